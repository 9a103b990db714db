"""Running passes: graph in, graph out, regions included."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from loopjax.config import config
from loopjax.ir.graph import Apply, Graph, Op, Variable, copy_node, toposort
from loopjax.ir.verify import verify


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


def map_regions(graph: Graph, change: Callable[[Graph, Op], Graph]) -> Graph:
    """The graph with the regions of its nodes changed; ``change`` gets each region and the op that it belongs to."""

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> tuple[Variable, ...] | None:
        regions = node.op.regions
        if not regions:
            return None
        changed = tuple(change(region, node.op) for region in regions)
        if all(new is old for new, old in zip(changed, regions, strict=True)):
            return None
        return copy_node(node, inputs, node.op.with_regions(changed)).outputs

    if not any(node.op.regions for node in graph.applies):
        return graph
    return graph.rebuilt(transform=transform)


def settled(graph: Graph, replaced: Mapping[Variable, Variable]) -> Graph:
    """The graph with variables replaced, also where what replaces them reads others of them."""

    def stands(variable: Variable) -> Variable:
        while variable in replaced:
            variable = replaced[variable]
        return variable

    new: dict[Variable, Variable] = {}
    outputs = [stands(variable) for variable in graph.outputs]
    for node in toposort(outputs, graph.inputs, reads=lambda node: [stands(variable) for variable in node.inputs]):
        inputs = [stands(variable) for variable in node.inputs]
        inputs = [new.get(variable, variable) for variable in inputs]
        if any(fresh is not old for fresh, old in zip(inputs, node.inputs, strict=True)):
            new.update(zip(node.outputs, copy_node(node, inputs).outputs, strict=True))
    return Graph(graph.inputs, [new.get(variable, variable) for variable in outputs])
