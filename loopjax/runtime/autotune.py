"""Autotuning, ``mode="tune"``: measures the choices that rewrites make by size on a call's arguments.

A greedy search: each alternative is compared with the best program so far by interleaved A/B timing; what is found is
kept on disk by ``tuning_cache``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from loopjax.ir.graph import Graph
from loopjax.lower.jit import Compiled
from loopjax.rewrite.target import REWRITES, Made, Target, Value
from loopjax.runtime import tuning_cache
from loopjax.runtime.interleaved_timer import Sample, compare

SECONDS = 60.0
"""Time limit for tuning a program, with compilation; alternatives that are left then are not tried."""

SAMPLE = 2e-3
"""Least duration of a sample in seconds: a faster program runs several times."""

ENOUGH = 0.98
"""Upper bound of the ratio of times at which an alternative is chosen."""


_wait: Any = jax.block_until_ready


class Tried(NamedTuple):
    """An alternative that was measured: the ratio of its time to that of the best so far, ``None`` where it failed."""

    choice: str
    value: Value
    instead: Value
    ratio: float | None
    better: bool


class Finding(NamedTuple):
    """The result of tuning: ``choices`` that replace those made by size, the ratio of times to the default, and all
    alternatives that were tried; ``untried`` counts those that there was no time for."""

    choices: dict[str, Value]
    ratio: float
    tried: tuple[Tried, ...]
    untried: int


class Candidate(NamedTuple):
    """A program and the choices that made it."""

    choices: dict[str, Value]
    target: Target
    program: Compiled


def tuned(graph: Graph, target: Target, compiled: Callable[[Target], Compiled], arrays: Sequence[Any]) -> Compiled:
    """Compiles the fastest program of a sized graph on these arrays, among the choices that ``target`` allows.

    A result in the tuning cache is used without measuring.
    """

    def make(choices: dict[str, Value]) -> Candidate:
        """The program with these choices; a rewrite is one, ``False`` where it is left out."""
        left_out = REWRITES.keys() & choices
        forced = tuple((key, value) for key, value in choices.items() if key not in left_out)
        chosen = replace(target, without=target.without | left_out, forced=forced, made={})
        return Candidate(choices, chosen, compiled(chosen))

    default = make({})
    if default.program.jitted(arrays).trace(*arrays).jaxpr.effects:
        default.program.tuning = ("not tuned: it prints, shows progress or calls Python, which measuring would repeat",)
        return default.program
    place = tuning_cache.place(graph, target, _devices(arrays))
    finding, source = _read(tuning_cache.read(place)), "before"
    if finding is not None:
        best = make(finding.choices) if finding.choices else default
    else:
        finding, best = _Search(default, make, arrays).run()
        source = "now" if tuning_cache.write(place, finding._asdict()) else "now, for this process alone"
    best.program.tuning = tuple(_lines(finding, best.target.made, source))
    return best.program


class _Search:
    """Greedy search: one choice after the other, each given those before."""

    def __init__(
        self, default: Candidate, make: Callable[[dict[str, Value]], Candidate], arrays: Sequence[Any]
    ) -> None:
        self._best = self._default = default
        self._make, self._arrays = make, arrays
        self._seen = {_code(default.program, arrays)}
        self._repeats = 1
        self._until = time.perf_counter() + SECONDS

    def run(self) -> tuple[Finding, Candidate]:
        """Tries alternatives until the time is up. The best is compared with the default once more, since among many
        alternatives some seem better by chance."""
        default = self._sample(self._default)
        default()  # compiles
        self._repeats = max(round(SAMPLE / default()), 1)
        tried, untried = [], 0
        for key, value in self._alternatives():
            if time.perf_counter() > self._until:
                untried += 1
            elif (one := self._try(key, value)) is not None:
                tried.append(one)
        ratio = 1.0
        if self._best is not self._default:
            again = compare(default, self._sample(self._best), ENOUGH, time.perf_counter() + SECONDS / 4)
            if again.high > ENOUGH:
                self._best = self._default
            else:
                ratio = again.median
        return Finding(self._best.choices, ratio, tuple(tried), untried), self._best

    def _alternatives(self) -> Iterator[tuple[str, Value]]:
        """The alternatives of each choice: first rewrites left out, then the values that those of the best program so
        far could have chosen."""
        for name in REWRITES:
            if name in self._best.target:
                yield name, False
        done: set[str] = set()
        while left := [key for key in self._best.target.made if key not in done]:
            done.add(left[0])
            for value in self._best.target.made[left[0]].others:
                yield left[0], value

    def _try(self, key: str, value: Value) -> Tried | None:
        """Measures an alternative and keeps it if it is better; ``None`` where it is the same program as another."""
        made = self._best.target.made.get(key)
        instead = True if made is None else made.value
        try:
            candidate = self._make({**self._best.choices, key: value})
            code = _code(candidate.program, self._arrays)
            if code in self._seen:
                return None
            self._seen.add(code)
            sample = self._sample(candidate)
            sample()  # compiles
            ratio = compare(self._sample(self._best), sample, ENOUGH, self._until)
        except Exception:  # what was not asked for must not fail: it may take too much memory, for one
            return Tried(key, value, instead, None, better=False)
        better = ratio.high <= ENOUGH
        if better:
            self._best = candidate
        return Tried(key, value, instead, ratio.median, better)

    def _sample(self, candidate: Candidate) -> Sample:
        """A timer of a candidate's program, which gets copies of donated arguments."""
        program = candidate.program

        def seconds() -> float:
            total = 0.0
            for _ in range(self._repeats):
                given = [jnp.array(x) if place in program.donated else x for place, x in enumerate(self._arrays)]
                _wait(given)
                start = time.perf_counter()
                _wait(program.compiled(given)(*given))
                total += time.perf_counter() - start
            return total

        return seconds


def _code(program: Compiled, arrays: Sequence[Any]) -> int:
    """A hash of the StableHLO text, which differs for programs that differ for XLA."""
    return hash(program.jitted(arrays).lower(*arrays).as_text())


def _devices(arrays: Sequence[Any]) -> list[str]:
    """The kinds of the devices that a call runs on."""
    bound: list[Any] = [array for array in arrays if isinstance(array, jax.Array) and array.committed]
    return sorted(device.device_kind for device in [*bound, jnp.zeros(())][0].sharding.device_set)


def _read(written: Any) -> Finding | None:
    """Parses a finding from the cache; ``None`` for anything else."""
    try:
        choices = {str(key): int(value) for key, value in written["choices"].items()}
        tried = [Tried(*one) for one in written["tried"]]
        for one in tried:
            _line(one, {})
        return Finding(choices, float(written["ratio"]), tuple(tried), int(written["untried"]))
    except (AttributeError, KeyError, TypeError, ValueError):
        return None


def _lines(finding: Finding, made: Mapping[str, Made], source: str) -> Iterator[str]:
    """The lines of ``explain`` on tuning."""
    if finding.choices:
        gain = f"{finding.ratio:.2f} of the time of what sizes say"
    else:
        seemed = any(one.better for one in finding.tried)
        gain = f"what sizes say stays{'; what seemed better was not when it was compared again' * seemed}"
    yield f"measured {source}: {gain}"
    yield from (_line(one, made) for one in finding.tried)
    if finding.untried:
        yield f"there was no time for {finding.untried} more"


def _line(one: Tried, made: Mapping[str, Made]) -> str:
    what = f"without {one.choice}"
    if one.choice not in REWRITES:
        subject = f" of {made[one.choice].subject}" if one.choice in made else ""
        what = f"{one.choice}{subject}: {one.value} instead of {one.instead}"
    took = "failed" if one.ratio is None else f"{one.ratio:.2f} of the time"
    return f"  {what}: {took}{', better' * one.better}"
