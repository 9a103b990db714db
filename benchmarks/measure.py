"""Time, memory and compilations of programs."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

from benchmarks.compilations import counted
from benchmarks.program import Program, waited
from benchmarks.workload import Contender


@dataclass(frozen=True)
class Effort:
    """How much time to spend.

    ``rounds`` samples of each contender, fewer (but at least ``least``) where they take longer than ``budget`` seconds
    together; a sample repeats short calls until it lasts ``sample`` seconds. ``builds`` fresh builds, under the same
    budget.
    """

    rounds: int
    sample: float
    budget: float
    builds: int
    least: int = 3


FULL = Effort(rounds=31, sample=0.01, budget=20.0, builds=5)
QUICK = Effort(rounds=5, sample=0.002, budget=2.0, builds=1)


@dataclass(frozen=True)
class First:
    """From nothing to the first result: seconds, and compilations on the way."""

    seconds: float
    compilations: int


def first_result(contender: Contender) -> First:
    """Builds anew and calls once: tracing, rewriting and compiling, and one run."""
    with counted() as compilations, _undisturbed():
        start = perf_counter()
        waited(contender().call())
        seconds = perf_counter() - start
    return First(seconds, compilations.count)


def first_results(contenders: Mapping[str, Contender], effort: Effort) -> dict[str, list[First]]:
    """Several fresh builds of each, in turn."""
    found: dict[str, list[First]] = {name: [] for name in contenders}
    start = perf_counter()
    for _ in range(effort.builds):
        for name, contender in contenders.items():
            found[name].append(first_result(contender))
        if perf_counter() - start > effort.budget:
            break
    return found


def timings(programs: Mapping[str, Program], effort: Effort, wait: Literal["call", "sample"]) -> dict[str, list[float]]:
    """Seconds a call, a list of samples for each program.

    Samples are taken in turn (A B A B ...), each round beginning with another program, so that a machine that slows
    down slows all.
    """
    names = list(programs)
    samplers = {name: _sampler(program, effort.sample, wait) for name, program in programs.items()}
    found: dict[str, list[float]] = {name: [] for name in names}
    start = perf_counter()
    for turn in range(effort.rounds):
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            found[name].append(samplers[name].sample())
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


@dataclass(frozen=True)
class _Sampler:
    program: Program
    calls: int
    wait: Literal["call", "sample"]

    def sample(self) -> float:
        """Seconds a call, over ``calls`` calls."""
        call = self.program.call
        with _undisturbed():
            start = perf_counter()
            if self.wait == "call":
                for _ in range(self.calls):
                    waited(call())
            else:
                result: Any = None
                for _ in range(self.calls):
                    result = call()
                waited(result)
            return (perf_counter() - start) / self.calls


def _sampler(program: Program, seconds: float, wait: Literal["call", "sample"]) -> _Sampler:
    """A sampler that makes as many calls as fill the time; calls once or twice to find out."""
    once = _Sampler(program, 1, wait)
    once.sample()
    return _Sampler(program, max(1, math.ceil(seconds / once.sample())), wait)


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
