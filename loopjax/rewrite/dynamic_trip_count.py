"""Loops of which only the last values are read run any number of steps from one compilation."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from loopjax.ir.autodiff import Differentiated
from loopjax.ir.graph import Apply, Graph, Variable, copy_node
from loopjax.ir.lengths import leaves_of
from loopjax.ir.scan import Scan
from loopjax.rewrite.demand import may_vary, rows_read
from loopjax.rewrite.driver import Context, Pass


@dataclass(frozen=True)
class DynamicTripCount(Pass):
    """Leaves ``n_steps`` a run-time value where no shape depends on it.

    That holds for a loop without sequences whose outputs are read by ``out[-j]`` alone. One whose length follows from
    shapes is compiled for it anyway. Inside of bodies no stage can end to learn a length that the device
    computes, so it is left to it. A loop in reverse mode stores its steps, so it is compiled for its length
    unless that varies from step to step of an outer loop; ``CountFirst`` then finds the most there are.
    """

    def __call__(self, graph: Graph) -> Graph:
        return _marked(graph, Context(self.target.derivative), frozenset(graph.inputs))


def _marked(graph: Graph, context: Context, fixed: Collection[Variable]) -> Graph:
    """The graph with its loops marked, given which of its inputs are the same at each step."""

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> tuple[Variable, ...] | None:
        op = node.op
        if isinstance(op, Differentiated):
            pairs = zip(op.region.inputs, node.inputs, strict=False)
        elif isinstance(op, Scan):
            outer, inner = op.inputs(node.inputs).non_sequences, op.body_inputs(op.body.inputs).non_sequences
            pairs = zip(inner, outer, strict=False)
        else:
            return None
        same = {inner for inner, outer in pairs if _fixed(outer, graph, fixed)}
        op = op.with_regions([_marked(region, context.inside(op), same) for region in op.regions])
        if isinstance(op, Scan):
            op = replace(op, dynamic=_varies(node, graph, context, fixed))
        return copy_node(node, inputs, op).outputs

    return graph.rebuilt(transform=transform)


def _varies(node: Apply, graph: Graph, context: Context, fixed: Collection[Variable]) -> bool:
    if not may_vary(node, graph, context.in_loop) or not _last_rows_alone(node, graph):
        return False
    return not context.reversed or (context.in_loop and not _fixed(node.inputs[0], graph, fixed))


def _fixed(variable: Variable, graph: Graph, fixed: Collection[Variable]) -> bool:
    """Whether a value that the host can compute is the same at each step of the loops around."""
    leaves = leaves_of([variable], stop=graph.inputs)
    return not leaves.opaque and leaves.values.issubset(fixed)


def _last_rows_alone(node: Apply, graph: Graph) -> bool:
    assert isinstance(node.op, Scan)
    op = node.op
    stacks = node.outputs[: len(op.outputs)]
    return all(rows_read(stack, graph, slices=False) is not None for stack in stacks)
