"""Programs called with 30 lengths each: ``python -m benchmarks.lengths``.

For each program of ``programs/varying_lengths.py``: the XLA programs that 30 calls of different lengths compile, by
JAX's own events, the time of these calls together, the time of a call once they are compiled, and, at the greatest
length, the time of a call beside that of a program compiled for exactly this length.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.compilations import counted
from benchmarks.measure import BRIEF, repeating, timings
from benchmarks.program import symbolic, waited
from benchmarks.programs.varying_lengths import PROGRAMS, Given
from benchmarks.results import default_path, load, save
from benchmarks.table import aligned

LENGTHS = tuple(10 + 10 * (7 * turn % 30) for turn in range(30))
"""10, 20, ..., 300, in a mixed order."""

QUICK = (5, 9, 7, 6)


@dataclass(frozen=True)
class Called:
    """A program called with many lengths: XLA compilations and seconds of all first calls, milliseconds of a call.

    ``padded`` and ``exact`` are milliseconds of a call at the greatest length, with capacity and compiled for it.
    """

    name: str
    calls: int
    compilations: int
    seconds: float
    milliseconds: float
    padded: float
    exact: float

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(saved: Mapping[str, Any]) -> Called:
        return Called(**saved)


def called(make: Callable[[], Given], lengths: Sequence[int]) -> Called:
    """Measure a program. Raises ``AssertionError`` where padding changes its results."""
    given = make()
    f = given.function()
    with counted() as compilations:
        start = perf_counter()
        for length in lengths:
            waited(f(*given.arguments(length)))
        seconds = perf_counter() - start
    again = []
    for length in lengths:
        arguments = given.arguments(length)
        start = perf_counter()
        waited(f(*arguments))
        again.append(perf_counter() - start)
    longest = given.arguments(max(lengths))
    same = {key: key.get_value() for key in given.updates}
    contenders = {"padded": f, "exact": given.function("exact")}
    results = []
    for one in contenders.values():
        for key, value in same.items():
            key.set_value(value)
        results.append(one(*longest))
    for padded, exact in zip(*results, strict=True):
        np.testing.assert_allclose(padded, exact, rtol=1e-6, atol=1e-9)
    repeats = {name: repeating(symbolic(one, *longest), "call") for name, one in contenders.items()}
    times = {name: 1e3 * median(each) for name, each in timings(repeats, BRIEF).items()}
    return Called(make.__name__, len(lengths), compilations.count, seconds, 1e3 * median(again), **times)


def report(found: Sequence[Called]) -> str:
    """Table of the measurements."""
    head = ("program", "compilations", "s, 30 first calls", "ms of a call", f"ms at {max(LENGTHS)}", "exact", "ratio")
    rows = [
        (
            one.name.replace("_", " "),
            str(one.compilations),
            f"{one.seconds:.1f}",
            f"{one.milliseconds:.2f}",
            f"{one.padded:.2f}",
            f"{one.exact:.2f}",
            f"{one.padded / one.exact:.2f}",
        )
        for one in found
    ]
    return aligned(head, rows)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the named programs, or all, save each, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lengths", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="program", help="; ".join(one.__name__ for one in PROGRAMS))
    parser.add_argument("--read", action="store_true", help="measure nothing: print what the file holds")
    parser.add_argument("--no-save", action="store_true", help="print only")
    options = parser.parse_args(arguments)
    path = default_path("-lengths", quick=False)
    if options.read:
        found = load(path, Called.from_json)
    else:
        found = []
        for make in PROGRAMS:
            if options.names and make.__name__ not in options.names:
                continue
            print(f"{make.__name__} ...", file=sys.stderr, flush=True)
            found.append(called(make, LENGTHS))
            if not options.no_save:
                save(found[-1:], path)
    print(report(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
