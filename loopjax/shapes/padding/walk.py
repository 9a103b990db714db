"""What the pass ``pad`` does to a graph: its nodes are rewritten one after the other, in order."""

from __future__ import annotations

from collections.abc import Sequence

from loopjax.config import config
from loopjax.ir.autodiff import Differentiated, Pullback
from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.op import TableOp
from loopjax.ir.scan import Scan
from loopjax.ir.types import TensorType
from loopjax.shapes.padding import (
    InputAxis,
    Pad,
    Padded,
    index,  # noqa: F401 - registers its rules
)
from loopjax.shapes.padding.derivatives import Linear, padded_pullback, padded_region
from loopjax.shapes.padding.loops import padded_scan
from loopjax.shapes.padding.rules import padded_call
from loopjax.shapes.padding.scope import Axis, Lengths, PaddingScope


def padded(pad: Pad, graph: Graph) -> Padded:
    """The graph with room for what varies, every output cut to its length, and what a call must know of it."""
    if not (pad.values or pad.axes or pad.device) and not _may_vary(graph):
        return Padded(graph, (), False, (), frozenset(), (), ())
    counts = {one: Variable(TensorType("int64"), name=f"rows of {one.variable.name or 'an input'}") for one in pad.axes}
    differentiated = any(isinstance(node.op, Differentiated) for node in graph.applies)
    # A gradient relies on valid rows past the count: nothing times NaN is NaN.
    filling = "poison" if config.poison and not differentiated else "row 0"
    level = PaddingScope(
        Lengths((*pad.values, *counts.values()), pad.device, filling, fine=differentiated),
        differentiated=pad.differentiated,
    )
    for one, count in counts.items():
        room = level.emit("dim", one.variable, axis=one.axis)
        level.note(one.variable, {**level.of(one.variable), one.axis: Axis(count, room)})
    outputs = [level.cut(one) for one in _walk(level, graph, graph.inputs)]
    needed = level.lengths.exact
    exact: list[Variable | InputAxis] = [one for one in pad.values if one in needed]
    exact += [one for one, count in counts.items() if count in needed]
    claims = tuple(level.lengths.claims)
    padded = Graph([*graph.inputs, *counts.values()], [*outputs, *(claim.holds for claim in claims)])
    requirements = tuple(level.lengths.requirements)
    return Padded(
        padded,
        pad.axes,
        differentiated,
        tuple(level.lengths.fallbacks),
        frozenset(exact),
        claims,
        requirements,
    )


def _may_vary(graph: Graph, inner: bool = False) -> bool:
    """Whether lengths may vary though those of a call do not: what only a run decides, or, in a region (``inner``),
    anything that is no number."""
    for node in graph.applies:
        op = node.op
        if isinstance(op, Scan) and (op.until or (inner and op.n_steps is None)):
            return True
        if isinstance(op, TableOp) and (op.row == "nonzero" or (inner and op.length_inputs(len(node.inputs)))):
            return True
        if any(_may_vary(region, inner=True) for region in op.regions):
            return True
    return False


def _walk(level: PaddingScope, graph: Graph, inputs: Sequence[Variable]) -> list[Variable]:
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


def _node(
    level: PaddingScope, node: Apply, given: list[Variable], linear: dict[Variable, Linear]
) -> Sequence[Variable]:
    op = node.op
    if isinstance(op, Scan):
        return padded_scan(level, node, op, given, _walk)
    if isinstance(op, Differentiated):
        outputs, known = padded_region(level, node, op, given, _walk)
        linear[outputs[-1]] = known
        return outputs
    if isinstance(op, Pullback):
        return padded_pullback(level, node, op, given, linear[given[0]])
    if not isinstance(op, TableOp) or len(node.outputs) > 1:
        return level.apply(op, *(level.exact(variable) for variable in given))
    return [padded_call(level, node, given)]
