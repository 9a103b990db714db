"""``explain``: what became of each loop of a function, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from loopjax.errors import where
from loopjax.function import Function
from loopjax.rewrite.pad import Fallback, Pad
from loopjax.trace.derivative import Differentiated
from loopjax.trace.graph import Apply, Graph, Variable
from loopjax.trace.loop import LoopPlan, Scan


class LoopReport(NamedTuple):
    """One loop: its name and line, how deep it is nested, its length, plan, and what it stacks in bytes.

    ``n_steps`` is ``None`` where the trip count is a run-time value without a bound. Where the count ``varies``,
    ``n_steps`` is the most there can be. ``plan`` is ``None`` for a function that has not been called yet.
    """

    name: str
    line: str
    depth: int
    differentiated: bool
    n_steps: int | None
    varies: bool
    outputs: tuple[str, ...]
    stacked_bytes: int | None
    plan: LoopPlan | None

    def __str__(self) -> str:
        indent = "  " * self.depth
        steps = (
            "a run-time number of" if self.n_steps is None else f"up to {self.n_steps}" if self.varies else self.n_steps
        )
        head = f"{indent}scan {self.name!r}{self.line}: {steps} step{'s' * (steps != 1)}"
        if self.plan is None:
            return f"{head}; not lowered yet"
        text = f"{head} -> {self.plan.kind}: {self.plan.reason}"
        details = [f"keeps {', '.join(self.outputs)}"] if self.outputs else []
        details += [f"{self.plan.unroll} steps an iteration"] if self.plan.unroll > 1 else []
        details += [_storage(self.plan)] if self.plan.checkpoint else []
        details += [f"a tree of {' x '.join(str(n) for n in self.plan.levels)}"] if self.plan.levels else []
        details += [f"far taps read in blocks of {self.plan.block} steps"] if self.plan.block else []
        details += [f"no gradient through the first {self.plan.frozen} steps"] if self.plan.frozen else []
        details += ["differentiated"] if self.differentiated else []
        details += [f"stacks {_count(self.stacked_bytes, 'byte')}"] if self.stacked_bytes is not None else []
        return f"{text}\n{indent}  {'; '.join(details)}"


def _storage(plan: LoopPlan) -> str:
    nest = plan.checkpoint
    assert nest is not None
    text = f"at most {nest.states} states of {plan.state_bytes} bytes at one time"
    return text if nest.flat else f"{text}, as loops of {nest}, {nest.recomputed} steps computed again"


class Report(NamedTuple):
    """The loops of each stage of a function; prints as text.

    ``room``: which lengths have room for more rows, so that one program serves many; ``exact``: the ops that need a
    length as it is, so that each length is compiled for. ``tuning``: for each stage, what was measured and chosen.
    """

    name: str
    stages: tuple[tuple[LoopReport, ...], ...]
    room: str = ""
    exact: tuple[str, ...] = ()
    tuning: tuple[tuple[str, ...], ...] = ()

    @property
    def loops(self) -> tuple[LoopReport, ...]:
        """All loops, the outer before the inner."""
        return tuple(loop for stage in self.stages for loop in stage)

    def __str__(self) -> str:
        lines = [f"{self.name}: {_count(len(self.stages), 'stage')}, {_count(len(self.loops), 'loop')}"]
        for number, stage in enumerate(self.stages):
            if len(self.stages) > 1:
                lines.append(f"stage {number + 1}:")
            lines.extend(str(loop) for loop in stage)
            lines.extend(self.tuning[number] if self.tuning else ())
        lines += [f"room is made for {self.room}"] if self.room else []
        lines += self.exact
        return "\n".join(lines)

    def __repr__(self) -> str:
        return str(self)


def explain(function: Function) -> Report:
    """How each loop of a function is lowered and why, for the shapes that it was called with last.

    A function that has not been called yet has no plans: they depend on shapes.
    """
    if not isinstance(function, Function):
        raise TypeError(f"explain() takes what function() returns, got {type(function).__name__}")
    stages, tuning = [], []
    for stage in function.stages:
        programs = stage.programs
        graph = programs[-1].graph if programs else stage.stage.graph
        stages.append(tuple(_loops(graph, 0, False)))
        tuning.append(programs[-1].tuning if programs else ())
    room, exact = _room(function.variant.pad), tuple(map(_needed, function.fallbacks))
    return Report(function.name, tuple(stages), room, exact, tuple(tuning))


def _room(pad: Pad) -> str:
    """The lengths that have room."""
    found = [f"the input {_name(variable)}" for variable in pad.values]
    found += [f"axis {one.axis} of {_name(one.variable)}" for one in pad.axes]
    return ", ".join(found)


def _name(variable: Variable) -> str:
    return repr(variable.name) if variable.name else str(variable)


def _needed(one: Fallback) -> str:
    cost = "a stage ends before it, and what follows" if one.stage else "the program"
    return f"{one.op}{where(one.sources)} needs a length as it is: {cost} is compiled for each"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _loops(graph: Graph, depth: int, differentiated: bool) -> Iterator[LoopReport]:
    for node in graph.applies:
        if isinstance(node.op, Scan):
            yield _report(node, node.op, depth, differentiated)
        inside = differentiated or isinstance(node.op, Differentiated)
        for region in node.op.regions:
            yield from _loops(region, depth + isinstance(node.op, Scan), inside)


def _report(node: Apply, op: Scan, depth: int, differentiated: bool) -> LoopReport:
    stacks = [output.type for output in node.outputs[: len(op.outputs)]]
    size = None
    if all(type.concrete for type in stacks):
        size = sum(math.prod(type.sizes) * np.dtype(type.dtype).itemsize for type in stacks)
    return LoopReport(
        op.label,
        where(node.sources),
        depth,
        differentiated,
        op.n_steps,
        op.until or op.dynamic,
        tuple(f"{output.keep} of {output.name}" for output in op.outputs),
        size,
        op.plan,
    )
