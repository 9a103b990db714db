"""Growth of the time before XLA with the size of a program: ``python -m benchmarks.building``.

From a program's first line to its first result, less what JAX reports for compilations: recording, rewriting and
tracing. A family of programs grows by one number; the exponent is the slope of the logarithms over the upper half of
its sizes, 1 where time grows in proportion.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import loopjax
import loopjax.tensor as at
from benchmarks.growth import panels
from benchmarks.measure import built
from benchmarks.program import Program, symbolic
from benchmarks.results import default_path, load, save
from benchmarks.table import aligned

Outputs = tuple[Sequence[Any], Sequence[Any], Sequence[Any]]
"""Inputs, outputs and the arguments of a call."""


def nodes(size: int) -> Outputs:
    """One loop, ``size`` ops in its body."""
    x = at.dvector("x")

    def step(x_t: Any, h: Any) -> Any:
        for position in range(size // 2):
            h = at.sin(h) if position % 5 == 0 else h * 0.9
            h = h + x_t if position % 3 else h - 0.1
        return h

    h, _ = loopjax.scan(step, sequences=x, outputs_info=at.zeros((), dtype="float64"))
    return [x], [h[-1]], [np.ones(20)]


def nodes_with_gradient(size: int) -> Outputs:
    """The same, with its gradient."""
    inputs, outputs, arguments = nodes(size)
    return inputs, [*outputs, loopjax.grad(outputs[0], inputs[0])], arguments


def states(size: int) -> Outputs:
    """One loop of ``size`` vectors, each computed from two others, with a gradient."""
    x = at.dvector("x")

    def step(*states: Any) -> list[Any]:
        return [at.tanh(state + 0.1 * states[position - 1]) for position, state in enumerate(states)]

    found, _ = loopjax.scan(step, outputs_info=[x * float(position) for position in range(size)], n_steps=5)
    found = found if isinstance(found, list) else [found]
    cost = sum(one[-1].sum() for one in found)
    return [x], [cost, loopjax.grad(cost, x)], [np.ones(3)]


def unlike_states(size: int) -> Outputs:
    """The same of states of many sizes and functions, which no rewrite makes one array."""
    x = at.dvector("x")
    functions = (at.tanh, at.sin, at.sigmoid, at.cos, at.softplus)

    def step(*states: Any) -> list[Any]:
        return [
            functions[position % 5](state) + 0.1 * states[position - 1].sum() for position, state in enumerate(states)
        ]

    starts = [at.zeros((1 + position % 7,), dtype="float64") + x[0] for position in range(size)]
    found, _ = loopjax.scan(step, outputs_info=starts, n_steps=5)
    cost = sum(one[-1].sum() for one in found)
    return [x], [cost, loopjax.grad(cost, x)], [np.ones(3)]


def loops(size: int) -> Outputs:
    """``size`` loops, each over the results of the one before."""
    x = at.dvector("x")
    found = x
    for _ in range(size):
        found, _ = loopjax.scan(lambda x_t, h: at.tanh(h + x_t), found, at.zeros((), dtype="float64"))
    return [x], [found], [np.ones(20)]


def sequences(size: int) -> Outputs:
    """``size`` inputs, each a sequence of one loop."""
    inputs = [at.dvector(f"x{position}") for position in range(size)]
    h, _ = loopjax.scan(lambda *now: at.tanh(sum(now)), inputs, at.zeros((), dtype="float64"))
    return inputs, [h[-1]], [np.ones(20)] * size


def shared(size: int) -> Outputs:
    """``size`` shared variables, all updated."""
    weights = [loopjax.shared(np.ones(3), name=f"w{position}") for position in range(size)]
    h, _ = loopjax.scan(lambda h: at.tanh(sum(h * w for w in weights)), outputs_info=weights[0], n_steps=5)
    updates = {w: w - 0.1 * slope for w, slope in zip(weights, loopjax.grad(h[-1].sum(), weights), strict=True)}
    return [], [h[-1], updates], []


FAMILIES: Mapping[str, tuple[Callable[[int], Outputs], tuple[int, ...]]] = {
    "nodes": (nodes, (10, 100, 500, 1_000, 2_000)),
    "nodes, gradient": (nodes_with_gradient, (10, 100, 500, 1_000, 2_000)),
    "states, gradient": (states, (2, 10, 50, 100, 200)),
    "unlike states, gradient": (unlike_states, (2, 10, 25, 50, 100)),
    "loops": (loops, (1, 5, 12, 25, 50)),
    "sequences": (sequences, (3, 30, 75, 150, 300)),
    "shared, gradient": (shared, (2, 10, 25, 50, 100)),
}


@dataclass(frozen=True)
class Family:
    """Seconds before XLA by the size of a family's programs."""

    name: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]

    @property
    def exponent(self) -> float:
        """Slope of the logarithms over the upper half of the sizes."""
        middle = len(self.sizes) // 2 if len(self.sizes) > 2 else 0
        return math.log(self.seconds[-1] / self.seconds[middle]) / math.log(self.sizes[-1] / self.sizes[middle])

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(saved: Mapping[str, Any]) -> Family:
        return Family(saved["name"], tuple(saved["sizes"]), tuple(saved["seconds"]))


def measured(name: str, sizes: Sequence[int], repeats: int = 3) -> Family:
    """Measure programs of a family: the median of several builds for each size."""
    make = FAMILIES[name][0]
    return Family(name, tuple(sizes), tuple(median(_seconds(make, size) for _ in range(repeats)) for size in sizes))


def _seconds(make: Callable[[int], Outputs], size: int) -> float:
    def contender() -> Program:
        inputs, outputs, arguments = make(size)
        updates = outputs[-1] if isinstance(outputs[-1], dict) else None
        return symbolic(loopjax.function(inputs, outputs[: -1 if updates else None], updates=updates), *arguments)

    first = built(contender).first
    return first.seconds - (first.compiling or 0)


def report(found: Sequence[Family]) -> str:
    """Table of the milliseconds at the least, the middle and the greatest size, with the exponent."""

    def row(one: Family) -> list[str]:
        points = [f"{one.sizes[i]:,}: {1e3 * one.seconds[i]:.0f}" for i in (0, len(one.sizes) // 2, -1)]
        return [one.name, *points, f"{one.exponent:.2f}"]

    return aligned(("family", "size: ms", "", "", "exponent"), list(map(row, found)))


def plot(found: Sequence[Family], path: Path) -> None:
    """Plot a panel for each family. Needs matplotlib."""
    figure = panels(len(found))
    for one, panel in zip(found, figure.axes, strict=True):
        panel.loglog(one.sizes, [1e3 * seconds for seconds in one.seconds], "o-")
        panel.set(title=f"{one.name}: exponent {one.exponent:.2f}", xlabel="size", ylabel="ms before XLA")
    figure.savefig(path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.building", description="Time before XLA by size.")
    parser.add_argument("families", nargs="*", help="which; all unless given")
    parser.add_argument("--read", action="store_true", help="measure nothing: print what the file holds")
    parser.add_argument("--plot", type=Path, help="draw there; needs loopjax[bench]")
    options = parser.parse_args(arguments)
    path = default_path("-building", quick=False)
    if not options.read:
        for name in options.families or FAMILIES:
            print(f"{name} ...", file=sys.stderr, flush=True)
            save([measured(name, FAMILIES[name][1])], path)
    found = load(path, Family.from_json)
    print(report(found))
    if options.plot:
        plot(found, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
