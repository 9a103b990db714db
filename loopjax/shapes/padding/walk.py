"""The walk that pads a graph: its nodes are rewritten in order, those of its regions in scopes of their own."""

from __future__ import annotations

from collections.abc import Sequence

import jax

from loopjax.config import config
from loopjax.ir.autodiff import Differentiated, Pullback
from loopjax.ir.cond import branches, lazy_switches
from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.op import TableOp
from loopjax.ir.scan import Scan
from loopjax.ir.types import KEY, TensorType
from loopjax.shapes.padding import draws, index, matrices, rearrangement, sorting  # noqa: F401 - register their rules
from loopjax.shapes.padding.derivatives import RegionAxes, padded_pullback, padded_region
from loopjax.shapes.padding.loops import padded_scan
from loopjax.shapes.padding.rules import padded_call
from loopjax.shapes.padding.scope import PaddedAxis, PaddingContext, PaddingScope
from loopjax.shapes.padding.spec import InputAxis, Padded, Padding
from loopjax.shapes.preconditions import RuntimeAssertion
from loopjax.trace.shared import SharedVariable


def padded(graph: Graph, padding: Padding) -> Padded:
    """Return the padded graph, every output cut to its length, and what a call must know of it."""
    lengths = {
        one: Variable(TensorType("int64"), name=f"rows of {one.variable.name or 'an input'}") for one in padding.axes
    }
    differentiated = any(isinstance(node.op, Differentiated) for node in graph.applies)
    # A gradient relies on valid rows past the length: nothing times NaN is NaN.
    filling = "poison" if config.poison and not differentiated else "row 0"
    varying = (*padding.values, *lengths.values())
    fine = differentiated or graph.holds(lambda node: node.op.has("cubic"))
    context = PaddingContext(varying, padding.device, filling, fine, _draws_by_position(graph), padding.inlined)
    scope = PaddingScope(context, differentiated=padding.differentiated)
    for (variable, axis), length in lengths.items():
        capacity = scope.emit("dim", variable, axis=axis)
        scope.note(variable, {**scope.axes(variable), axis: PaddedAxis(length, capacity)})
    outputs = [scope.cut(output) for output in _walk(scope, graph, graph.inputs)]
    exact: list[Variable | InputAxis] = [one for one in padding.values if one in context.exact_inputs]
    exact += [one for one, length in lengths.items() if length in context.exact_inputs]
    return Padded(
        Graph([*graph.inputs, *lengths.values()], [*outputs, *scope.asserted]),
        padding.axes,
        fine,
        tuple(context.exact_ops),
        frozenset(exact),
        tuple(scope.asserted.values()),
        tuple(context.preconditions),
    )


def _draws_by_position(graph: Graph) -> bool:
    """Test if the keys are threefry keys of the host's, whose numbers depend on their positions only."""
    keys = [variable for variable in graph.inputs if variable.dtype == KEY]
    are_threefry = all(
        isinstance(key, SharedVariable) and str(jax.random.key_impl(key.value)) == "threefry2x32" for key in keys
    )
    return are_threefry and bool(jax.config.jax_threefry_partitionable)  # type: ignore[attr-defined]


def _walk(scope: PaddingScope, graph: Graph, inputs: Sequence[Variable]) -> list[Variable]:
    """Pad a graph's nodes, given what stands for its inputs; return what stands for its outputs."""
    new: dict[Variable, Variable] = dict(zip(graph.inputs, inputs, strict=True))
    regions: dict[Variable, RegionAxes] = {}
    chosen = _chosen(graph)
    guarded: list[tuple[RuntimeAssertion, Apply]] = []
    for node in graph.applies:
        scope.sources, scope.op, scope.lazy = node.sources, node.op.subject, node in chosen
        always, scope.asserted = scope.asserted, {}
        outputs = _node(scope, node, [new.get(variable, variable) for variable in node.inputs], regions)
        if node in chosen:
            guarded += [(one, node) for one in scope.asserted.values()]
        else:
            always.update(scope.asserted)
        scope.asserted = always
        for old, made in zip(node.outputs, outputs, strict=True):
            made.name = made.name or old.name
            new[old] = made
    for one, node in guarded:
        holds = one.holds
        for condition, position in chosen[node]:
            is_first = scope.emit("cast", new.get(condition, condition), dtype="bool")
            holds = scope.emit("or_", holds, scope.emit("invert", is_first) if position == 1 else is_first)
        scope.assert_holds(holds, one.message, one.code)
    return [new.get(variable, variable) for variable in graph.outputs]


def _chosen(graph: Graph) -> dict[Apply, list[tuple[Variable, int]]]:
    """Return the nodes that only one branch needs, with the conditions and the operands that lazy switches choose."""
    found: dict[Apply, list[tuple[Variable, int]]] = {}
    for group in lazy_switches(graph):
        for position, nodes in enumerate(branches(graph, group), start=1):
            for node in nodes:
                found.setdefault(node, []).append((group[0].inputs[0], position))
    return found


def _node(
    scope: PaddingScope, node: Apply, inputs: list[Variable], regions: dict[Variable, RegionAxes]
) -> Sequence[Variable]:
    """Pad a node; ``regions`` are those of the graph by their residuals."""
    op = node.op
    if isinstance(op, Scan):
        return padded_scan(scope, node, op, inputs, _walk)
    if isinstance(op, Differentiated):
        outputs, regions[outputs[-1]] = padded_region(scope, node, op, inputs, _walk)
        return outputs
    if isinstance(op, Pullback):
        return padded_pullback(scope, op, inputs, regions[inputs[0]])
    if not isinstance(op, TableOp):
        return scope.apply(op, *(scope.exact(variable) for variable in inputs))
    return padded_call(scope, node, inputs)
