"""Slice sinking: reads of a stack that a differentiated region publishes move into the region.

A cost and its gradient are computed in one region (``rewrite/differentiate.py``), which publishes what else is read of
its inside, such as the stack of states for ``h[-1]``. Where the read itself is inside, the loop can see that nothing
needs its other steps, and its stack is not kept for them.
"""

from __future__ import annotations

from collections.abc import Sequence

from loopjax.ir.autodiff import Differentiated
from loopjax.ir.graph import Apply, Graph, Variable, copy_node
from loopjax.ir.index import Array
from loopjax.ir.op import TableOp
from loopjax.ir.scan import Scan
from loopjax.rewrite.driver import Context, Pass, replace_all
from loopjax.rewrite.reduction_fusion import reduces_steps


class SinkSlices(Pass):
    """Moves slices and reductions of a loop's stack, where nothing else is read of it outside, into the region.

    The region then publishes their results in place of the stack.
    """

    outermost_first = True

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        replaced: dict[Variable, Variable] = {}
        for node in graph.applies:
            if isinstance(node.op, Differentiated):
                replaced.update(_sunk(node, node.op, graph))
        return replace_all(graph, replaced)


def _sunk(node: Apply, op: Differentiated, graph: Graph) -> dict[Variable, Variable]:
    """Return what replaces the outputs of a region's node and the readers that move into it."""
    inner, outer = op.region.outputs, node.outputs
    published: list[tuple[Variable, Variable]] = []
    for result, old in zip(inner[op.n_costs :], outer[op.n_costs :], strict=False):
        readers = graph.readers.get(old, [])
        if not readers or old in graph.outputs or not _is_stack(result) or not all(map(_may_sink, readers)):
            published.append((result, old))
            continue
        published += [(copy_node(reader, [result]).outputs[0], reader.outputs[0]) for reader in readers]
    if all(old in outer for _, old in published):
        return {}
    region = Graph(op.region.inputs, [*inner[: op.n_costs], *(new for new, _ in published)])
    olds = [*outer[: op.n_costs], *(old for _, old in published), *outer[len(inner) :]]
    return dict(zip(olds, copy_node(node, node.inputs, op.with_regions([region])).outputs, strict=True))


def _is_stack(variable: Variable) -> bool:
    """Return whether a variable is a loop's stack, also one that a region within publishes."""
    while variable.owner is not None and isinstance(variable.owner.op, Differentiated):
        outputs: Sequence[Variable] = variable.owner.op.region.outputs
        if variable.index >= len(outputs):
            return False
        variable = outputs[variable.index]
    owner = variable.owner
    return owner is not None and isinstance(owner.op, Scan) and variable.index < len(owner.op.outputs)


def _may_sink(reader: Apply) -> bool:
    """Return whether a node slices, or reduces over steps, its only input."""
    if not isinstance(reader.op, TableOp) or len(reader.inputs) != 1:
        return False
    if reader.op.name == "index":
        return not isinstance(reader.op.arguments["pattern"].axis_entries[0], Array)
    return reduces_steps(reader)
