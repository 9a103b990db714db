"""The walk that pads a graph: its nodes are rewritten one after the other, in order."""

from __future__ import annotations

from collections.abc import Sequence

from loopjax.config import config
from loopjax.ir.autodiff import Differentiated, Pullback
from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.op import TableOp
from loopjax.ir.scan import Scan
from loopjax.ir.types import TensorType
from loopjax.shapes.padding import index  # noqa: F401 - registers its rules
from loopjax.shapes.padding.derivatives import Linear, padded_pullback, padded_region
from loopjax.shapes.padding.loops import padded_scan
from loopjax.shapes.padding.rules import padded_call
from loopjax.shapes.padding.scope import Axis, Lengths, PaddingScope
from loopjax.shapes.padding.spec import InputAxis, Padded, Padding


def padded(graph: Graph, padding: Padding) -> Padded:
    """The padded graph, every output cut to its length, and what a call must know of it."""
    counts = {
        one: Variable(TensorType("int64"), name=f"rows of {one.variable.name or 'an input'}") for one in padding.axes
    }
    differentiated = any(isinstance(node.op, Differentiated) for node in graph.applies)
    # A gradient relies on valid rows past the count: nothing times NaN is NaN.
    filling = "poison" if config.poison and not differentiated else "row 0"
    level = PaddingScope(
        Lengths((*padding.values, *counts.values()), padding.device, filling, fine=differentiated),
        differentiated=padding.differentiated,
    )
    for one, count in counts.items():
        room = level.emit("dim", one.variable, axis=one.axis)
        level.note(one.variable, {**level.of(one.variable), one.axis: Axis(count, room)})
    outputs = [level.cut(one) for one in _walk(level, graph, graph.inputs)]
    needed = level.lengths.exact
    exact: list[Variable | InputAxis] = [one for one in padding.values if one in needed]
    exact += [one for one, count in counts.items() if count in needed]
    assertions = tuple(level.lengths.assertions)
    return Padded(
        Graph([*graph.inputs, *counts.values()], [*outputs, *(one.holds for one in assertions)]),
        padding.axes,
        differentiated,
        tuple(level.lengths.exact_ops),
        frozenset(exact),
        assertions,
        tuple(level.lengths.preconditions),
    )


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
