"""Ablation of rewrites: the time without each rewrite over the time with all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from statistics import geometric_mean
from typing import Any

from benchmarks.measure import Effort, repeating, temporaries, timings
from benchmarks.program import Program, waited
from benchmarks.spread import Spread, ratio
from benchmarks.table import NOTHING, Layout
from benchmarks.workload import Scale, Workload
from loopjax import Mode, config
from loopjax.rewrite.target import REWRITES

DEFAULT = "default"
NONE = "none of them"
MODES = {DEFAULT: Mode(), **{name: Mode().excluding(name) for name in REWRITES}, NONE: Mode(frozenset(REWRITES))}
MORE_MEMORY = 1.1
"""Least growth of temporary memory that is printed."""


@dataclass(frozen=True)
class Without:
    """A workload without a rewrite: ratios of time and temporary memory to those with all; ``message`` of a failure."""

    time: Spread | None = None
    memory: float | None = None
    message: str = ""


@dataclass(frozen=True)
class Ablation:
    """The ablation of a workload; a rewrite that does not change its program has no entry."""

    name: str
    size: str
    without: Mapping[str, Without]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(saved: Mapping[str, Any]) -> Ablation:
        without = {
            name: Without(**{**one, "time": None if one["time"] is None else Spread(**one["time"])})
            for name, one in saved["without"].items()
        }
        return Ablation(saved["name"], saved["size"], without)


@contextmanager
def mode(chosen: Mode) -> Iterator[None]:
    """Set the mode of every ``function`` made in the context."""
    before = config.mode
    config.mode = chosen
    try:
        yield
    finally:
        config.mode = before


def ablate(workload: Workload, scale: Scale, effort: Effort) -> Ablation:
    """Measure the workload without each rewrite that changes its program, and without all of them, interleaved."""
    made = workload.make(scale)
    programs: dict[str, Program] = {}
    failed: dict[str, Without] = {}
    expected: Any = None
    default: Any = None
    for name, chosen in MODES.items():
        with mode(chosen):
            try:
                program = made.loopjax()
                code = _code(program)
                if name != DEFAULT and default is not None and code == default:
                    continue
                result = waited(program.call())
                if name == DEFAULT:
                    expected, default = result, code
                workload.compare(result, expected)
            except Exception as error:
                if name == DEFAULT:
                    raise
                failed[name] = Without(message=f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
                continue
            programs[name] = program
    times = timings({name: repeating(program, workload.wait) for name, program in programs.items()}, effort)
    sizes = {name: temporaries(program) for name, program in programs.items()}
    measured = {
        name: Without(ratio(times[name], times[DEFAULT]), _growth(sizes[name], sizes[DEFAULT]))
        for name in programs
        if name != DEFAULT
    }
    size = "quick" if scale.quick else "full"
    return Ablation(
        workload.name, size, {name: {**measured, **failed}[name] for name in MODES if name in {**measured, **failed}}
    )


def _code(program: Program) -> list[str] | None:
    return None if program.lower is None else [stage.as_text() for stage in program.lower()]


def _growth(sizes: Sequence[int] | None, others: Sequence[int] | None) -> float | None:
    return max(sizes) / max(1, *others) if sizes and others else None


def report(found: Sequence[Ablation], layout: Layout) -> str:
    """Tables of time ratios: each rewrite over all workloads, then by workload."""
    names = [name for name in MODES if name != DEFAULT]
    summary = [_summary(name, found) for name in names]
    rows = [[one.name, *(_cell(one.without.get(name)) for name in names)] for one in found]
    return (
        f"{layout(('without', 'what it does', 'workloads it changes', 'mean', 'most', 'where'), summary)}\n\n"
        f"{layout(('workload', *names), rows)}"
    )


def _summary(name: str, found: Sequence[Ablation]) -> tuple[str, ...]:
    times = {
        one.name: one.without[name].time.median  # type: ignore[union-attr]
        for one in found
        if name in one.without and one.without[name].time is not None
    }
    what = REWRITES.get(name, "")
    if not times:
        return (name, what, "0", NOTHING, NOTHING, NOTHING)
    most = max(times, key=times.__getitem__)
    return (name, what, str(len(times)), f"{geometric_mean(times.values()):.2f}", f"{times[most]:.2f}", most)


def _cell(one: Without | None) -> str:
    if one is None:
        return ""
    if one.time is None:
        return "fails"
    memory = f", {one.memory:.3g}x memory" if one.memory is not None and one.memory > MORE_MEMORY else ""
    return f"{one.time.median:.2f}{memory}"
