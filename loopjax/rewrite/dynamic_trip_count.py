"""Loops of which only the last values are read run any number of steps from one compilation."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from loopjax.ir.autodiff import Differentiated, Linearize
from loopjax.ir.graph import Apply, Graph, Variable, copy_node
from loopjax.ir.lengths import leaves_of
from loopjax.ir.scan import Scan
from loopjax.rewrite.demand import may_vary, rows_read


@dataclass(frozen=True)
class DynamicTripCount:
    """Leaves ``n_steps`` a run-time value where no shape depends on it.

    That holds for a loop without sequences whose outputs are read by ``out[-j]`` alone. One whose length follows from
    shapes is compiled for it anyway. Inside of bodies (``inner``) no stage can end to learn a length that the device
    computes, so it is left to it. A loop that is ``differentiated`` stores its steps, so it is compiled for its length
    unless that varies from step to step of an outer loop; ``CountFirst`` then finds the most there are.
    """

    name: str = "dynamic_trip_count"
    inner: bool = False
    differentiated: bool = False

    def __call__(self, graph: Graph) -> Graph:
        return self._marked(graph, frozenset(graph.inputs))

    def _marked(self, graph: Graph, fixed: Collection[Variable]) -> Graph:
        """The graph with its loops marked, given which of its inputs are the same at each step."""

        def transform(node: Apply, inputs: tuple[Variable, ...]) -> tuple[Variable, ...] | None:
            op = node.op
            if isinstance(op, Differentiated):
                op = op.with_regions([self._in_region(node, op, graph, fixed)])
            elif isinstance(op, Scan):
                op = replace(op, body=self._in_body(node, op, graph, fixed), dynamic=self._varies(node, graph, fixed))
            return None if op is node.op else copy_node(node, inputs, op).outputs

        if not any(node.op.regions for node in graph.applies):
            return graph
        return graph.rebuilt(transform=transform)

    def _in_region(self, node: Apply, op: Differentiated, graph: Graph, fixed: Collection[Variable]) -> Graph:
        same = {i for i, o in zip(op.region.inputs, node.inputs, strict=False) if _fixed(o, graph, fixed)}
        stores = self.differentiated or isinstance(op, Linearize)
        return replace(self, differentiated=stores)._marked(op.region, same)

    def _in_body(self, node: Apply, op: Scan, graph: Graph, fixed: Collection[Variable]) -> Graph:
        inner = op.body_inputs(op.body.inputs).non_sequences
        outer = op.inputs(node.inputs).non_sequences
        same = {i for i, o in zip(inner, outer, strict=True) if _fixed(o, graph, fixed)}
        return replace(self, inner=True)._marked(op.body, same)

    def _varies(self, node: Apply, graph: Graph, fixed: Collection[Variable]) -> bool:
        if not may_vary(node, graph, self.inner) or not _last_rows_alone(node, graph):
            return False
        return not self.differentiated or (self.inner and not _fixed(node.inputs[0], graph, fixed))


def _fixed(variable: Variable, graph: Graph, fixed: Collection[Variable]) -> bool:
    """Whether a value that the host can compute is the same at each step of the loops around."""
    leaves = leaves_of([variable], stop=graph.inputs)
    return not leaves.opaque and leaves.values.issubset(fixed)


def _last_rows_alone(node: Apply, graph: Graph) -> bool:
    assert isinstance(node.op, Scan)
    op = node.op
    stacks = node.outputs[: len(op.outputs)]
    return all(rows_read(stack, graph, slices=False) is not None for stack in stacks)
