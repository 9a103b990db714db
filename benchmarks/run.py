"""Running a workload: compare, then measure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from benchmarks.measure import FULL, QUICK, Effort, First, first_results, temporaries, timings
from benchmarks.outside import others
from benchmarks.program import Program, waited
from benchmarks.record import Outcome, Record
from benchmarks.spread import ratio, spread
from benchmarks.workload import Contender, Workload

OURS = "loopjax"
EXPECTED = "plain"
"""The contender whose result is taken as right."""


def run(workload: Workload, quick: bool, rounds: int | None = None) -> Record:
    """Measures every contender that runs and whose result is right; the others are reported as they are."""
    made = workload.make(quick)
    contenders = {name: contender for name, contender in made._asdict().items() if contender is not None}
    effort = QUICK if quick else FULL
    if rounds is not None:
        effort = replace(effort, rounds=rounds)
    checked = _checked(workload, contenders)
    fit = {name: program for name, program in checked.items() if isinstance(program, Program)}
    figures = _measured(workload, {name: contenders[name] for name in fit}, fit, effort)
    outcomes = {
        name: result if isinstance(result, Outcome) else figures.outcome(name) for name, result in checked.items()
    }
    size: Literal["quick", "full"] = "quick" if quick else "full"
    rivals = [name for name in fit if name != OURS] if OURS in fit else []
    return Record(
        name=workload.name,
        what=workload.what,
        size=size,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        outcomes={**outcomes, **others()},
        ratios={name: ratio(figures.times[OURS], figures.times[name]) for name in rivals},
        first_ratios={name: ratio(figures.first_seconds(OURS), figures.first_seconds(name)) for name in rivals},
    )


def _checked(workload: Workload, contenders: Mapping[str, Contender]) -> dict[str, Program | Outcome]:
    """Each contender's program, or what is wrong with it."""
    expected: Any = None
    found: dict[str, Program | Outcome] = {}
    for name in sorted(contenders, key=lambda name: name != EXPECTED):
        try:
            program = contenders[name]()
            result = waited(program.call())
        except Exception as error:
            found[name] = Outcome("fails", _line(error))
            continue
        if name == EXPECTED:
            expected = result
        found[name] = _compared(workload, program, result, expected)
    return {name: found[name] for name in contenders}


def _compared(workload: Workload, program: Program, result: Any, expected: Any) -> Program | Outcome:
    if expected is None:
        return Outcome("differs", f"nothing to compare with: {EXPECTED} fails")
    try:
        workload.compare(result, expected)
    except AssertionError as error:
        return Outcome("differs", _line(error))
    return program


def _line(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if not isinstance(error, AssertionError) else text


@dataclass(frozen=True)
class _Figures:
    times: Mapping[str, list[float]]
    firsts: Mapping[str, list[First]]
    bytes: Mapping[str, list[int] | None]

    def first_seconds(self, name: str) -> list[float]:
        return [first.seconds for first in self.firsts[name]]

    def outcome(self, name: str) -> Outcome:
        temporary = self.bytes[name]
        return Outcome(
            "ok",
            milliseconds=spread([1e3 * seconds for seconds in self.times[name]]),
            first_milliseconds=spread([1e3 * seconds for seconds in self.first_seconds(name)]),
            compilations=self.firsts[name][-1].compilations,
            temporaries=None if temporary is None else tuple(temporary),
        )


def _measured(
    workload: Workload, contenders: Mapping[str, Contender], programs: Mapping[str, Program], effort: Effort
) -> _Figures:
    if not programs:
        return _Figures({}, {}, {})
    return _Figures(
        timings(programs, effort, workload.wait),
        first_results(contenders, effort),
        _each(temporaries, programs),
    )


def _each(
    function: Callable[[Program], list[int] | None], programs: Mapping[str, Program]
) -> dict[str, list[int] | None]:
    return {name: function(program) for name, program in programs.items()}
