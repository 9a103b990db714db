"""Loops of which only the last values are read run any number of steps from one compilation."""

from __future__ import annotations

from dataclasses import dataclass, replace

from loopjax.rewrite.driver import map_regions
from loopjax.rewrite.keep import rows_read
from loopjax.trace.grad import Linearize
from loopjax.trace.graph import Apply, Graph, Variable, copy_node
from loopjax.trace.lengths import leaves_of
from loopjax.trace.loop import Scan


@dataclass(frozen=True)
class TripCount:
    """Leaves ``n_steps`` a run-time value where no shape depends on it.

    That holds for a loop without sequences whose outputs are read by ``out[-j]`` alone. A loop that is differentiated
    needs its length to store the steps, and one whose length follows from shapes is compiled for it anyway. ``inner``
    is set inside of bodies: there no stage can end to learn a length that the device computes, so it is left to it.
    """

    name: str = "trip count"
    inner: bool = False

    def __call__(self, graph: Graph) -> Graph:
        graph = map_regions(graph, lambda r, op: r if isinstance(op, Linearize) else TripCount(inner=True)(r))
        chosen = {node for node in graph.applies if may_vary(node, graph, self.inner) and _last_rows_alone(node, graph)}
        if not chosen:
            return graph

        def transform(node: Apply, inputs: tuple[Variable, ...]) -> tuple[Variable, ...] | None:
            if node not in chosen or not isinstance(node.op, Scan):
                return None
            return copy_node(node, inputs, replace(node.op, dynamic=True)).outputs

        return graph.rebuilt(transform=transform)


def may_vary(node: Apply, graph: Graph, inner: bool) -> bool:
    """Whether a node is a loop whose length is a value that nothing but its stacked outputs has to know.

    Outside of bodies a value that the host can check before the run: below zero it is an error.
    """
    op = node.op
    if not isinstance(op, Scan) or op.n_steps is not None or op.sequences or op.checkpoint:
        return False
    leaves = leaves_of([node.inputs[0]], stop=graph.inputs)
    return bool(leaves.values or leaves.opaque) and (inner or not leaves.opaque)


def _last_rows_alone(node: Apply, graph: Graph) -> bool:
    assert isinstance(node.op, Scan)
    op = node.op
    stacks = node.outputs[: len(op.outputs)]
    return all(rows_read(stack, graph, slices=False) is not None for stack in stacks)
