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
    """How much time to spend.

    ``rounds`` samples of each contender, fewer (but at least ``least``) where they take longer than ``budget`` seconds
    together; a sample repeats short calls until it lasts ``sample`` seconds. ``builds`` fresh builds, under the same
    budget; where it is 0 the first one, which warms up what is slow once, is the only one. ``memory``: temporaries are
    asked for, which compiles once more, and peaks are measured.
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
    """From nothing to the first result: seconds, and XLA's compilations on the way with the seconds of theirs."""

    seconds: float
    compilations: int | None = None
    compiling: float | None = None


class Built(NamedTuple):
    """A contender, its first result, and what it took to get there."""

    program: Program
    result: Any
    first: First


def built(contender: Contender) -> Built:
    """Builds anew and calls once: tracing, rewriting and compiling, and one run."""
    with counted() as compilations, _undisturbed():
        start = perf_counter()
        program = contender()
        result = waited(program.call())
        seconds = perf_counter() - start
    return Built(program, result, First(seconds, compilations.count, compilations.seconds))


def first_results(contenders: Mapping[str, Contender], effort: Effort) -> dict[str, list[First]]:
    """Several fresh builds of each, in turn."""
    found: dict[str, list[First]] = {name: [] for name in contenders}
    start = perf_counter()
    for _ in range(effort.builds):
        for name, contender in contenders.items():
            found[name].append(built(contender).first)
        if perf_counter() - start > effort.budget:
            break
    return found


Repeat = Callable[[int], float]
"""Makes so many calls and gives the seconds that they took."""


def repeating(program: Program, wait: Wait) -> Repeat:
    """Calls of a program in this process."""

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
    """Seconds a call, a list of samples for each.

    Samples are taken in turn (A B A B ...), each round beginning with another, so that a machine that slows down slows
    all. A sample makes as many calls as fill its time; where those are several, as many are made before that do not
    count, so that it does not begin in what another process has left behind: cold caches, and threads that wait in a
    loop for more.
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
    """Bytes of temporaries that XLA allots for each stage; ``None`` where there is nothing to ask or no answer."""
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
    """No garbage collection within."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
