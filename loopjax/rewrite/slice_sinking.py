"""What reads a stack that a differentiated region publishes is read in the region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loopjax.ir.autodiff import Differentiated
from loopjax.ir.graph import Apply, Graph, Variable, copy_node
from loopjax.ir.index import Array
from loopjax.ir.monoid import REDUCTIONS
from loopjax.ir.op import TableOp
from loopjax.ir.scan import Scan
from loopjax.rewrite.driver import Context, Pass, replace_all


@dataclass(frozen=True)
class SinkSlices(Pass):
    """Reads and reductions of a loop's stack that are all that is read of it outside of the region where it runs, such
    as ``h[-1]`` beside the gradients of a cost, move into that region, which then publishes their results.

    There the loop can see that no one needs its other steps; so the stack is not kept for them.
    """

    outermost_first = True

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        replaced: dict[Variable, Variable] = {}
        for node in graph.applies:
            if isinstance(node.op, Differentiated):
                replaced.update(_moved(node, node.op, graph))
        return replace_all(graph, replaced)


def _moved(node: Apply, op: Differentiated, graph: Graph) -> dict[Variable, Variable]:
    """What stands for the outputs of a region's node and for the readers that have moved into it."""
    outputs = op.region.outputs
    moved: dict[Variable, list[Apply]] = {}
    for inner, outer in zip(outputs[op.n_costs :], node.outputs[op.n_costs :], strict=False):
        readers = graph.readers.get(outer, [])
        if _is_stack(inner) and outer not in graph.outputs and readers and all(_may_move(reader) for reader in readers):
            moved[outer] = readers
    if not moved:
        return {}
    published: list[tuple[Variable, Variable]] = []
    for inner, outer in zip(outputs[op.n_costs :], node.outputs[op.n_costs :], strict=False):
        if outer not in moved:
            published.append((inner, outer))
        published += [(copy_node(one, [inner]).outputs[0], one.outputs[0]) for one in moved.get(outer, [])]
    region = Graph(op.region.inputs, [*outputs[: op.n_costs], *(inner for inner, _ in published)])
    fresh = copy_node(node, node.inputs, op.with_regions([region])).outputs
    olds = [*node.outputs[: op.n_costs], *(outer for _, outer in published), *node.outputs[len(outputs) :]]
    return dict(zip(olds, fresh, strict=True))


def _is_stack(variable: Variable) -> bool:
    """Whether a variable is a loop's stack, or that of a loop in a region within."""
    while variable.owner is not None and isinstance(variable.owner.op, Differentiated):
        outputs: Sequence[Variable] = variable.owner.op.region.outputs
        if variable.index >= len(outputs):
            return False
        variable = outputs[variable.index]
    owner = variable.owner
    return owner is not None and isinstance(owner.op, Scan) and variable.index < len(owner.op.outputs)


def _may_move(reader: Apply) -> bool:
    """Whether a node reads a part or a reduction over steps of its only input."""
    op = reader.op
    if not isinstance(op, TableOp) or len(reader.inputs) != 1:
        return False
    if op.row == "index":
        return not isinstance(op.arguments["pattern"].axis_entries[0], Array)
    return op.row in REDUCTIONS and op.arguments["axis"] not in (None, ()) and 0 in _axes(op)


def _axes(op: TableOp) -> tuple[int, ...]:
    axis = op.arguments["axis"]
    return (axis,) if isinstance(axis, int) else tuple(axis)
