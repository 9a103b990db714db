"""Run of a workload: compare results, then measure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from statistics import median
from typing import Any, Literal, NamedTuple

from benchmarks.measure import Effort, First, Repeat, built, first_results, repeating, temporaries, timings
from benchmarks.outside import OTHERS, Outside, OutsideError, missing, python
from benchmarks.peak import peak
from benchmarks.program import Program, on_gpu
from benchmarks.record import Outcome, Record
from benchmarks.spread import ratio, spread
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contender, Scale, Workload

OURS = "loopjax"
EXPECTED = "plain"
"""Contender whose result is the expected one."""
OWN = (OURS, EXPECTED, "tuned")


class Ran(NamedTuple):
    """Contender with the expected result: its repeated call, and the figures of its first result."""

    repeat: Repeat
    first: First
    program: Program | None = None
    peak: int | None = None


def run(workload: Workload, scale: Scale, effort: Effort, others: Collection[str] = OTHERS) -> Record:
    """Measure every contender with the expected result; report failures of the others."""
    made = workload.make(scale)
    contenders = {name: contender for name, contender in made._asdict().items() if contender is not None}
    with ExitStack() as stack:
        checked, expected = _checked(workload, contenders)
        for name in others:
            checked[name] = _outside(name, made.loopjax, workload, expected, stack)
        fit = {name: ran for name, ran in checked.items() if isinstance(ran, Ran)}
        figures = _measured(workload, scale, {name: contenders.get(name) for name in fit}, fit, effort)
    rivals = [name for name in fit if name != OURS] if OURS in fit else []
    size: Literal["quick", "full"] = "quick" if scale.quick else "full"
    return Record(
        name=workload.name,
        what=workload.what,
        size=size,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        outcomes={
            name: result if isinstance(result, Outcome) else figures.outcome(name) for name, result in checked.items()
        },
        ratios={name: ratio(figures.times[OURS], figures.times[name]) for name in rivals},
        first_ratios={name: ratio(*figures.first_seconds(OURS, name)) for name in rivals},
    )


def _checked(workload: Workload, contenders: Mapping[str, Contender]) -> tuple[dict[str, Ran | Outcome], Any]:
    """Run each contender once: a ``Ran`` or the failure for each, and the expected result."""
    expected: Any = None
    found: dict[str, Ran | Outcome] = {}
    for name in sorted(contenders, key=lambda name: name != EXPECTED):
        try:
            program, result, first = built(contenders[name])
        except Exception as error:
            found[name] = Outcome("fails", _line(error))
            continue
        if name == EXPECTED:
            expected = result
        wrong = _differs(workload, result, expected)
        found[name] = wrong or Ran(repeating(program, workload.wait), first, program)
    return {name: found[name] for name in contenders}, expected


def _outside(name: str, contender: Contender, workload: Workload, expected: Any, stack: ExitStack) -> Ran | Outcome:
    """Run a library in a separate process, which ends with the ``stack``."""
    executable = python(name)
    if executable is None:
        return Outcome("skipped", missing(name))
    if not isinstance(contender, Symbolic):
        return Outcome("skipped", "no program")
    try:
        process = stack.enter_context(Outside(name, executable))
        found = process.build(contender)
    except OutsideError as error:
        return Outcome("fails", str(error))
    wrong = _differs(workload, found.result, expected)
    return wrong or Ran(process.repeat, First(found.seconds), peak=found.peak if workload.peak else None)


def _differs(workload: Workload, result: Any, expected: Any) -> Outcome | None:
    if expected is None:
        return Outcome("differs", f"nothing to compare with: {EXPECTED} fails")
    try:
        workload.compare(result, expected)
    except AssertionError as error:
        return Outcome("differs", _line(error))
    return None


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if not isinstance(error, AssertionError) else text


@dataclass(frozen=True)
class _Figures:
    times: Mapping[str, list[float]]
    firsts: Mapping[str, list[First]]
    bytes: Mapping[str, list[int] | None]
    peaks: Mapping[str, int | None]

    def first_seconds(self, name: str, other: str) -> tuple[list[float], list[float]]:
        """Seconds to the first result of both; a single build counts for every sample."""
        one, two = ([first.seconds for first in self.firsts[key]] for key in (name, other))
        return one, two if len(two) == len(one) else len(one) * two

    def outcome(self, name: str) -> Outcome:
        temporary, firsts = self.bytes[name], self.firsts[name]
        return Outcome(
            "ok",
            milliseconds=spread([1e3 * seconds for seconds in self.times[name]]),
            first_milliseconds=spread([1e3 * first.seconds for first in firsts]),
            front=self._front(name),
            compilations=firsts[-1].compilations,
            temporaries=None if temporary is None else tuple(temporary),
            peak=self.peaks[name],
        )

    def _front(self, name: str) -> float | None:
        """Share of the first result that is neither XLA's compilation nor the call."""
        call = median(self.times[name])
        shares = [
            max(0.0, first.seconds - first.compiling - call) / first.seconds
            for first in self.firsts[name]
            if first.compiling is not None
        ]
        return median(shares) if shares else None


def _measured(
    workload: Workload,
    scale: Scale,
    contenders: Mapping[str, Contender | None],
    fit: Mapping[str, Ran],
    effort: Effort,
) -> _Figures:
    if not fit:
        return _Figures({}, {}, {}, {})
    own = {name: contender for name, contender in contenders.items() if contender is not None}
    firsts = {name: [ran.first] for name, ran in fit.items()}
    if effort.builds:
        firsts |= first_results(own, effort)
    return _Figures(
        timings({name: ran.repeat for name, ran in fit.items()}, effort),
        firsts,
        {name: temporaries(ran.program) if ran.program and effort.memory else None for name, ran in fit.items()},
        {name: _peak(workload, name, scale, ran) if effort.memory else None for name, ran in fit.items()},
    )


def _peak(workload: Workload, name: str, scale: Scale, ran: Ran) -> int | None:
    """Peak memory of a separate process, in host memory."""
    measured = workload.peak and ran.program is not None and not on_gpu()
    return peak(workload.name, name, scale) if measured else ran.peak
