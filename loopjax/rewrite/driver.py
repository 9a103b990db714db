"""Running passes: graph in, graph out, regions included."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from loopjax.config import config
from loopjax.trace.derivative import Linearize
from loopjax.trace.graph import Apply, Graph, Variable, copy_node
from loopjax.trace.op import Op
from loopjax.trace.verify import verify


class Pass(Protocol):
    """A rewrite: a frozen dataclass with a name, called with a valid graph, returning an equivalent valid one."""

    @property
    def name(self) -> str: ...

    def __call__(self, graph: Graph) -> Graph: ...


def rewrite(graph: Graph, passes: Iterable[Pass]) -> Graph:
    """The graph after each pass in turn."""
    for step in passes:
        graph = step(graph)
        if config.verify:
            verify(graph, after=step.name)
    return graph


def not_differentiated(op: Op) -> bool:
    """Whether a rewrite that derivatives do not survive may go into the regions of an op."""
    return not isinstance(op, Linearize)


def map_regions(graph: Graph, change: Callable[[Graph], Graph], into: Callable[[Op], bool] = lambda op: True) -> Graph:
    """The graph with ``change`` applied to the regions of its nodes, those of ops that ``into`` admits."""

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> tuple[Variable, ...] | None:
        regions = node.op.regions
        if not regions or not into(node.op):
            return None
        changed = tuple(change(region) for region in regions)
        if all(new is old for new, old in zip(changed, regions, strict=True)):
            return None
        return copy_node(node, inputs, node.op.with_regions(changed)).outputs

    if not any(node.op.regions for node in graph.applies):
        return graph
    return graph.rebuilt(transform=transform)
