"""Growth with the number of steps: time of a call, and time of tracing and compiling."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks.measure import Effort, built, repeating, temporaries, timings
from benchmarks.program import Program, waited
from benchmarks.spread import spread
from benchmarks.table import NOTHING, Layout
from benchmarks.workload import Contender, Scale, Workload

SIZES = (100, 1_000, 10_000, 100_000, 1_000_000)
QUICK_SIZES = (100, 1_000)
LONGEST = 10.0
"""Seconds of a call; a contender that took longer gets no larger number of steps."""

BUILDS = 3
"""Builds of a contender whose call takes less than a second; the median is used."""


@dataclass(frozen=True)
class Point:
    """A contender at one number of steps: time of a call, of tracing and compiling, and largest temporaries."""

    steps: int
    milliseconds: float
    build_milliseconds: float
    temporaries: int | None


@dataclass(frozen=True)
class Growth:
    """The contenders of a workload, by ascending number of steps."""

    name: str
    size: str
    points: Mapping[str, Sequence[Point]]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(saved: Mapping[str, Any]) -> Growth:
        points = {name: [Point(**point) for point in some] for name, some in saved["points"].items()}
        return Growth(saved["name"], saved["size"], points)


def grow(workload: Workload, scale: Scale, effort: Effort) -> Growth:
    """Measure the contenders in JAX at each size, with results compared, until a call takes too long."""
    found: dict[str, list[Point]] = {}
    for steps in QUICK_SIZES if scale.quick else SIZES:
        if steps > workload.grows_to:
            break
        made = workload.make(scale._replace(n_steps=steps))
        contenders = {name: contender for name, contender in made._asdict().items() if contender is not None}
        start = perf_counter()
        programs = _agreeing(workload, contenders)
        for name, point in _points(workload, steps, contenders, programs, effort).items():
            found.setdefault(name, []).append(point)
        if perf_counter() - start > LONGEST * 10 or any(found[name][-1].milliseconds > 1e3 * LONGEST for name in found):
            break
    return Growth(workload.name, "quick" if scale.quick else "full", found)


def _agreeing(workload: Workload, contenders: Mapping[str, Contender]) -> dict[str, Program]:
    programs = {name: contender() for name, contender in contenders.items()}
    results = {name: waited(program.call()) for name, program in programs.items()}
    for result in results.values():
        workload.compare(result, results["plain"])
    return programs


def _points(
    workload: Workload,
    steps: int,
    contenders: Mapping[str, Contender],
    programs: Mapping[str, Program],
    effort: Effort,
) -> dict[str, Point]:
    times = timings({name: repeating(program, workload.wait) for name, program in programs.items()}, effort)
    points = {}
    for name, program in programs.items():
        call = spread(times[name]).median
        sizes = temporaries(program)
        # The first build after plain JAX may wait until the gigabytes of its stack are freed.
        firsts = [built(contenders[name]).first.seconds for _ in range(BUILDS if call < 1 else 1)]
        build = max(0.0, median(firsts) - call)
        points[name] = Point(steps, 1e3 * call, 1e3 * build, max(sizes) if sizes else None)
    return points


def steepest(points: Sequence[Point]) -> float:
    """Largest ratio of growth in time to growth in steps, from one size to the next; at most 1 for linear growth."""
    slopes = [(b.milliseconds / a.milliseconds) / (b.steps / a.steps) for a, b in pairwise(points)]
    return max(slopes, default=math.nan)


def report(found: Sequence[Growth], layout: Layout) -> str:
    """Table of LoopJAX's milliseconds at each number of steps: call, and tracing with compiling."""
    sizes = sorted({point.steps for one in found for point in one.points["loopjax"]})

    def row(one: Growth) -> list[str]:
        at = {point.steps: point for point in one.points["loopjax"]}
        cells = [f"{at[n].milliseconds:.3g} + {at[n].build_milliseconds:.0f}" if n in at else NOTHING for n in sizes]
        return [one.name, *cells]

    return layout(("workload: ms of a call + before it", *(f"{n:,} steps" for n in sizes)), list(map(row, found)))


def panels(count: int) -> Any:
    """A figure with a panel for each of ``count`` subjects. Needs matplotlib."""
    try:
        matplotlib = import_module("matplotlib.figure")
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'loopjax[bench]'") from error
    columns = min(4, count)
    rows = math.ceil(count / columns)
    figure = matplotlib.Figure(figsize=(4 * columns, 3 * rows), layout="constrained")
    for panel in figure.subplots(rows, columns, squeeze=False).flat[count:]:
        panel.remove()
    return figure


def plot(found: Sequence[Growth], path: Path) -> None:
    """Plot a panel per workload: time of a call over steps, and of tracing and compiling dashed. Needs matplotlib."""
    figure = panels(len(found))
    for one, panel in zip(found, figure.axes, strict=True):
        for number, (name, points) in enumerate(one.points.items()):
            steps = [point.steps for point in points]
            panel.loglog(steps, [point.milliseconds for point in points], f"C{number}o-", label=name)
            panel.loglog(steps, [point.build_milliseconds for point in points], f"C{number}--")
        panel.set(title=one.name, xlabel="steps", ylabel="ms")
    figure.axes[0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
