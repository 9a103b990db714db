"""The pass ``pad``: axes of a length that varies from call to call get room for more, so that one program serves many
lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from loopjax.config import config
from loopjax.rewrite.pad import index
from loopjax.rewrite.pad.derivatives import Linear, padded_pullback, padded_region
from loopjax.rewrite.pad.level import Axis, Claim, Fallback, Lengths, Level, Requirement
from loopjax.rewrite.pad.loops import padded_scan
from loopjax.rewrite.pad.rules import padded_call
from loopjax.trace.derivative import Differentiated, Pullback
from loopjax.trace.graph import Apply, Graph, Variable
from loopjax.trace.loop import Scan
from loopjax.trace.op import Call
from loopjax.trace.types import TensorType


class InputAxis(NamedTuple):
    """An axis of an input of which calls give more or fewer rows."""

    variable: Variable
    axis: int


class Padded(NamedTuple):
    """A padded graph.

    Its last inputs are the counts of ``axes``; the host gives their variables room to spare, as much as the capacity
    in ``fine`` or coarse steps. Its last outputs are what ``claims`` say of the run, in their order. ``fallbacks`` are
    the ops that needed a length as it is, and ``exact`` those of what varies that such lengths depend on: a program is
    compiled for each of them all the same. ``requirements`` are checked before a call.
    """

    graph: Graph
    axes: tuple[InputAxis, ...]
    fine: bool
    fallbacks: tuple[Fallback, ...]
    exact: frozenset[Variable | InputAxis]
    claims: tuple[Claim, ...]
    requirements: tuple[Requirement, ...]


@dataclass(frozen=True)
class Pad:
    """Gives room to spare to axes whose length depends on ``values`` (inputs that calls give as numbers), on the sizes
    of ``axes``, or, with ``device``, on what only a run decides; ``differentiated`` where a derivative will be taken.

    What mixes rows is masked; where an op has no rule for that, the axis is cut to its length before it, which ends a
    stage or is compiled for each length. In the bodies of loops no stage can end, so there it is always done.
    """

    values: tuple[Variable, ...] = ()
    axes: tuple[InputAxis, ...] = ()
    device: bool = False
    differentiated: bool = False
    name: str = "pad"

    def __call__(self, graph: Graph) -> Graph:
        """The graph with room, every output cut to its length; then what it claims."""
        return self.padded(graph).graph

    def padded(self, graph: Graph) -> Padded:
        """The graph with room, and what a call must know of it."""
        if not (self.values or self.axes or self.device) and not _may_vary(graph):
            return Padded(graph, (), False, (), frozenset(), (), ())
        counts = {
            one: Variable(TensorType("int64"), name=f"rows of {one.variable.name or 'an input'}") for one in self.axes
        }
        differentiated = any(isinstance(node.op, Differentiated) for node in graph.applies)
        # A gradient relies on valid rows past the count: nothing times NaN is NaN.
        filling = "poison" if config.poison and not differentiated else "row 0"
        level = Level(
            Lengths((*self.values, *counts.values()), self.device, filling, fine=differentiated),
            differentiated=self.differentiated,
        )
        for one, count in counts.items():
            room = level.emit("dim", one.variable, axis=one.axis)
            level.note(one.variable, {**level.of(one.variable), one.axis: Axis(count, room)})
        outputs = [level.cut(one) for one in _walk(level, graph, graph.inputs)]
        needed = level.lengths.exact
        exact: list[Variable | InputAxis] = [one for one in self.values if one in needed]
        exact += [one for one, count in counts.items() if count in needed]
        claims = tuple(level.lengths.claims)
        padded = Graph([*graph.inputs, *counts.values()], [*outputs, *(claim.holds for claim in claims)])
        requirements = tuple(level.lengths.requirements)
        return Padded(
            padded,
            self.axes,
            differentiated,
            tuple(level.lengths.fallbacks),
            frozenset(exact),
            claims,
            requirements,
        )


__all__ = ["Fallback", "InputAxis", "Pad", "Padded"]


def _may_vary(graph: Graph, inner: bool = False) -> bool:
    """Whether lengths may vary though those of a call do not: what only a run decides, or, in a region (``inner``),
    anything that is no number."""
    for node in graph.applies:
        op = node.op
        if isinstance(op, Scan) and (op.until or (inner and op.n_steps is None)):
            return True
        if isinstance(op, Call) and (op.row == "nonzero" or (inner and op.length_inputs(len(node.inputs)))):
            return True
        if any(_may_vary(region, inner=True) for region in op.regions):
            return True
    return False


def _walk(level: Level, graph: Graph, inputs: Sequence[Variable]) -> list[Variable]:
    """Rewrites a graph's nodes one after the other; what stands for its outputs."""
    new: dict[Variable, Variable] = dict(zip(graph.inputs, inputs, strict=True))
    linear: dict[Variable, Linear] = {}
    for node in graph.applies:
        level.sources, level.op = node.sources, node.op.subject
        given = [new.get(variable, variable) for variable in node.inputs]
        outputs = _node(level, node, given, linear)
        for old, made in zip(node.outputs, outputs, strict=True):
            made.name = made.name or old.name
            new[old] = made
    return [new.get(variable, variable) for variable in graph.outputs]


def _node(level: Level, node: Apply, given: list[Variable], linear: dict[Variable, Linear]) -> Sequence[Variable]:
    op = node.op
    if isinstance(op, Scan):
        return padded_scan(level, node, op, given, _walk)
    if isinstance(op, Differentiated):
        outputs, known = padded_region(level, node, op, given, _walk)
        linear[outputs[-1]] = known
        return outputs
    if isinstance(op, Pullback):
        return padded_pullback(level, node, op, given, linear[given[0]])
    if not isinstance(op, Call) or len(node.outputs) > 1:
        return level.apply(op, *(level.exact(variable) for variable in given))
    return [padded_call(level, node, given)]
