"""Time, memory and compilations of programs."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, NamedTuple

from benchmarks.compilations import counted
from benchmarks.program import Program, waited
from benchmarks.workload import Contender, Wait


@dataclass(frozen=True)
class Effort:
    """Time budget of a measurement.

    ``rounds`` samples of each contender, fewer (but at least ``least``) if they take longer than ``budget`` seconds
    together; a sample repeats short calls until it lasts ``sample`` seconds. ``builds`` fresh builds, under the same
    budget, after a first build that warms up one-time costs; with 0 the first build is the only one. ``memory``:
    measures temporaries, which compiles once more, and peaks.
    """

    rounds: int
    sample: float
    budget: float
    builds: int
    least: int = 3
    memory: bool = True


FULL = Effort(rounds=31, sample=0.01, budget=20.0, builds=5)
BRIEF = Effort(rounds=9, sample=0.005, budget=1.0, builds=1, memory=False)
QUICK = Effort(rounds=5, sample=0.002, budget=2.0, builds=0, memory=False)


@dataclass(frozen=True)
class First:
    """First result from a fresh build: seconds in total, number of XLA's compilations, and their seconds."""

    seconds: float
    compilations: int | None = None
    compiling: float | None = None


class Built(NamedTuple):
    """A contender, its first result, and the cost of that result."""

    program: Program
    result: Any
    first: First


def built(contender: Contender) -> Built:
    """Build afresh and call once: tracing, rewriting, compiling, and one run."""
    with counted() as compilations, _undisturbed():
        start = perf_counter()
        program = contender()
        result = waited(program.call())
        seconds = perf_counter() - start
    return Built(program, result, First(seconds, compilations.count, compilations.seconds))


def first_results(contenders: Mapping[str, Contender], effort: Effort) -> dict[str, list[First]]:
    """Build each contender afresh several times, interleaved."""
    found: dict[str, list[First]] = {name: [] for name in contenders}
    start = perf_counter()
    for _ in range(effort.builds):
        for name, contender in contenders.items():
            found[name].append(built(contender).first)
        if perf_counter() - start > effort.budget:
            break
    return found


Repeat = Callable[[int], float]
"""Function of a number of calls that makes them and returns the seconds that they took."""


def repeating(program: Program, wait: Wait) -> Repeat:
    """Repeat calls of a program in this process."""

    def repeat(times: int) -> float:
        call = program.call
        result: Any = None
        with _undisturbed():
            start = perf_counter()
            for _ in range(times):
                result = call()
                if wait == "call":
                    waited(result)
            waited(result)
            return perf_counter() - start

    return repeat


def timings(repeats: Mapping[str, Repeat], effort: Effort) -> dict[str, list[float]]:
    """Seconds per call, a list of samples for each contender.

    Samples are interleaved (A B A B ...) and each round begins with another contender, so that a machine that slows
    down slows all. A sample makes as many calls as fill its time. If that is several, the same number of calls is made
    before without timing, since another process may have left cold caches and spinning threads.
    """
    names = list(repeats)
    calls = {name: max(1, math.ceil(effort.sample / repeat(1))) for name, repeat in repeats.items()}
    found: dict[str, list[float]] = {name: [] for name in names}
    start = perf_counter()
    for turn in range(effort.rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            if calls[name] > 1:
                repeats[name](calls[name])
            found[name].append(repeats[name](calls[name]) / calls[name])
        if turn + 1 >= effort.least and perf_counter() - start > effort.budget:
            break
    return found


def temporaries(program: Program) -> list[int] | None:
    """Bytes of temporaries that XLA allocates for each stage; ``None`` if the program or XLA cannot say."""
    if program.lower is None:
        return None
    sizes: list[int] = []
    for stage in program.lower():
        analysis = stage.compile().memory_analysis()
        if analysis is None:
            return None
        sizes.append(int(analysis.temp_size_in_bytes))
    return sizes


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Disable garbage collection in the context."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
