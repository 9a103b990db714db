"""Dynamic trip counts: loops whose readers need only last values run any number of steps from one compilation."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from loopjax.ir.autodiff import Differentiated
from loopjax.ir.graph import Apply, Graph, Variable, copy_node
from loopjax.ir.lengths import leaves_of
from loopjax.ir.scan import Scan
from loopjax.rewrite.demand import last_rows_read, may_stay_dynamic
from loopjax.rewrite.driver import Context, Pass, Replacement


class DynamicTripCount(Pass):
    """Leaves ``n_steps`` a run-time value where no shape depends on it.

    That holds for a loop without sequences whose outputs are read only as ``out[-j]``. A loop whose length follows from
    shapes is compiled for that length anyway. Inside of bodies no stage can end to learn a length that the device
    computes, so such a length stays on the device. A loop in reverse mode stores its steps, so it is compiled for its
    length unless that varies from step to step of an outer loop; ``InspectLengths`` then finds the greatest one.
    """

    def __call__(self, graph: Graph) -> Graph:
        return _marked(graph, Context(self.target.derivative), frozenset(graph.inputs))


def _marked(graph: Graph, context: Context, invariant: Collection[Variable]) -> Graph:
    """Mark the loops of a graph, some of whose inputs are invariant in the loops around it."""

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> Replacement:
        op = node.op
        if isinstance(op, Differentiated):
            pairs = zip(op.region.inputs, node.inputs, strict=False)
        elif isinstance(op, Scan):
            outer, inner = op.inputs(node.inputs).non_sequences, op.body_inputs(op.body.inputs).non_sequences
            pairs = zip(inner, outer, strict=False)
        else:
            return None
        same = {inner for inner, outer in pairs if _is_invariant(outer, graph, invariant)}
        op = op.with_regions([_marked(region, context.inside(op), same) for region in op.regions])
        if isinstance(op, Scan):
            op = replace(op, dynamic=_is_dynamic(node, op, graph, context, invariant))
        return copy_node(node, inputs, op).outputs

    return graph.rebuilt(transform=transform)


def _is_dynamic(node: Apply, op: Scan, graph: Graph, context: Context, invariant: Collection[Variable]) -> bool:
    """Return whether the trip count of a loop stays a run-time value."""
    stacks = node.outputs[: len(op.outputs)]
    if not may_stay_dynamic(node, graph, context.in_loop):
        return False
    if any(last_rows_read(stack, graph, slices=False) is None for stack in stacks):
        return False
    return not context.reversed or (context.in_loop and not _is_invariant(node.inputs[0], graph, invariant))


def _is_invariant(variable: Variable, graph: Graph, invariant: Collection[Variable]) -> bool:
    """Return whether a value that the host can compute is the same at each step of the loops around."""
    leaves = leaves_of([variable], stop=graph.inputs)
    return not leaves.opaque and leaves.values.issubset(invariant)
