"""Recorded gradients become linearised regions: one for all gradients that share work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from loopjax.rewrite.driver import map_regions
from loopjax.trace.grad import Gradient, GradientParts, Linearize, Pullback
from loopjax.trace.graph import Apply, Constant, Graph, Variable, copy_node, dependents, toposort
from loopjax.trace.methods import say
from loopjax.trace.op import call, register
from loopjax.trace.types import TensorType


def _same(type: TensorType, index: int) -> TensorType:
    return type


register("perturb", None, _same, "pointwise")


@dataclass(frozen=True)
class Gather:
    """Turns every ``Gradient`` into a ``Pullback`` of a ``Linearize``.

    All gradients whose paths from ``wrt`` to cost overlap get one region, so that a cost, its gradients asked one by
    one and the values in between cost one forward and one backward pass. A ``wrt`` inside the region is marked by
    ``perturb``: its gradient is that of a zero added there. Readers outside of the region's
    intermediate values read what the region publishes, so that nothing is computed twice.
    """

    name: str = "gather"

    def __call__(self, graph: Graph) -> Graph:
        graph = map_regions(graph, lambda region, op: self(region))
        while True:
            ready = _ready(graph)
            if not ready:
                return graph
            graph = _linearized(graph, _overlapping(ready))


def _ready(graph: Graph) -> list[Apply]:
    """The gradients that no other recorded gradient feeds."""
    gradients = [node for node in graph.applies if isinstance(node.op, Gradient)]
    fed = dependents(graph.applies, [output for node in gradients for output in node.outputs])
    return [node for node in gradients if not fed.intersection(node.inputs)]


def _parts(node: Apply) -> GradientParts:
    assert isinstance(node.op, Gradient)
    return node.op.parts(node.inputs)


def _path(nodes: Sequence[Apply]) -> list[Apply]:
    """The nodes between the ``wrt`` and the costs of these gradients."""
    order = toposort([cost for node in nodes for cost in _parts(node).costs])
    reached = dependents(order, [variable for node in nodes for variable in _parts(node).wrt])
    return [node for node in order if not reached.isdisjoint(node.inputs)]


def _overlapping(ready: Sequence[Apply]) -> list[Apply]:
    """The first gradient and all that share work with it, directly or through others."""
    group = [ready[0]]
    rest = list(ready[1:])
    covered = set(_path(group))
    changed = True
    while changed:
        changed = False
        for node in list(rest):
            path = _path([node])
            same_cost = set(_parts(node).costs) & {cost for other in group for cost in _parts(other).costs}
            if same_cost or covered.intersection(path):
                group.append(node)
                rest.remove(node)
                covered.update(path)
                changed = True
    return group


def _linearized(graph: Graph, group: Sequence[Apply]) -> Graph:
    """The graph with one region for these gradients."""
    path = _path(group)
    inside = {output for node in path for output in node.outputs}
    wrt = list(dict.fromkeys(variable for node in group for variable in _parts(node).wrt))
    leaves = [variable for variable in wrt if variable not in inside]
    marked = [variable for variable in wrt if variable in inside]
    costs = list(dict.fromkeys(cost for node in group for cost in _parts(node).costs))
    plain = [cost for cost in costs if cost in inside and cost not in marked]
    published = [v for v in _published(graph, set(path), set(group), inside) if v not in plain]

    region, captured = _region(path, leaves, marked, costs, published)
    lines = tuple(dict.fromkeys(line for node in group for line in node.sources))
    node = Apply(Linearize(region, len(leaves), len(costs)), [*leaves, *captured], lines)
    residual = node.outputs[-1]
    values = dict(zip(published, node.outputs[len(costs) : -1], strict=True))
    values.update((cost, output) for cost, output in zip(costs, node.outputs, strict=False) if cost in plain)
    types = tuple(variable.type.strong() for variable in (*leaves, *marked))

    replaced: dict[Variable, Variable] = dict(values)
    for gradient in group:
        parts = _parts(gradient)
        given = dict(zip(parts.costs, parts.cotangents, strict=True))
        outputs = node.outputs[: len(costs)]
        seeds = [
            given[cost] if cost in given else say("zeros_like", output)
            for cost, output in zip(costs, outputs, strict=True)
        ]
        back = Apply(Pullback(types), [residual, *seeds], gradient.sources)
        cotangents = dict(zip((*leaves, *marked), back.outputs, strict=True))
        for variable, output in zip(parts.wrt, gradient.outputs, strict=True):
            replaced[output] = cotangents[variable]
    # The cotangents may read published values: replace inside what was just made, too.
    graph = graph.rebuilt(replaced)
    return _settle(graph, values)


def _settle(graph: Graph, values: dict[Variable, Variable]) -> Graph:
    """Readers that came in with the replacement (cotangents) read the published values too."""
    if not any(variable in values for node in graph.applies for variable in node.inputs):
        return graph
    return graph.rebuilt(values)


def _published(graph: Graph, path: set[Apply], group: set[Apply], inside: set[Variable]) -> list[Variable]:
    """The values of the region that something outside of it reads."""
    found: dict[Variable, None] = {}
    for node in graph.applies:
        if node in path:
            continue
        read = node.inputs if node not in group else (*_parts(node).cotangents,)
        found.update((variable, None) for variable in read if variable in inside)
    found.update((variable, None) for variable in graph.outputs if variable in inside)
    return list(found)


def _region(
    path: Sequence[Apply],
    leaves: Sequence[Variable],
    marked: Sequence[Variable],
    costs: Sequence[Variable],
    published: Sequence[Variable],
) -> tuple[Graph, list[Variable]]:
    """The region, and the outer values that its last inputs stand for."""
    inner: dict[Variable, Variable] = {leaf: Variable(leaf.type.strong(), name=leaf.name) for leaf in leaves}
    plain: dict[Variable, Variable] = {}
    captured: dict[Variable, Variable] = {}

    def read(variable: Variable) -> Variable:
        if variable in inner:
            return inner[variable]
        if isinstance(variable, Constant):
            return variable
        return captured.setdefault(variable, Variable(variable.type, name=variable.name))

    for node in path:
        fresh = copy_node(node, [read(variable) for variable in node.inputs])
        for old, new in zip(node.outputs, fresh.outputs, strict=True):
            plain[old] = new
            inner[old] = new
            if old in marked:
                inner[old] = Apply(call("perturb", index=marked.index(old)), [new], node.sources).outputs[0]
    inputs = [*(inner[leaf] for leaf in leaves), *captured.values()]
    return Graph(inputs, [*(read(cost) for cost in costs), *(plain[v] for v in published)]), list(captured)
