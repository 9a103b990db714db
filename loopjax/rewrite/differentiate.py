"""Recorded derivatives become differentiated regions: one for all gradients that share work."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import NamedTuple

import jax.numpy as jnp

from loopjax.errors import UnsupportedError, where
from loopjax.ir.autodiff import (
    DerivativeParts,
    Jacobian,
    Linearize,
    Pullback,
    PullbackRows,
    Pushforward,
    Tangent,
    derivatives,
)
from loopjax.ir.graph import Apply, Constant, Graph, Variable, copy_node, dependents, toposort
from loopjax.ir.op import register, table_op
from loopjax.ir.public_ops import ops
from loopjax.ir.types import RESIDUAL, TensorType
from loopjax.rewrite.driver import Context, Pass, replace_all


def _same(type: TensorType, index: int) -> TensorType:
    return type


def _as_it_is(type: TensorType) -> TensorType:
    return type


register("perturb", lambda x, index: x, _same, "pointwise")
register("no_change", jnp.zeros_like, _as_it_is, "pointwise")


@dataclass(frozen=True)
class FormDifferentiatedRegions(Pass):
    """Turns every ``Gradient`` and ``Jacobian`` into a pullback of a ``Linearize``, every ``Tangent`` into a
    ``Pushforward``.

    All gradients whose paths from ``wrt`` to cost overlap get one region, so that a cost, its gradients asked one by
    one and the values in between cost one forward and one backward pass. A ``wrt`` inside the region is marked by
    ``perturb``: its derivative is that of a zero added there. Readers outside of the region's
    intermediate values read what the region publishes, so that nothing is computed twice.
    """

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        graph = _set_apart(graph)
        while True:
            ready = _ready(graph)
            if not ready:
                return graph
            forward = [node for node in ready if isinstance(node.op, Tangent)]
            graph = _pushed(graph, forward[0]) if forward else _linearized(graph, _groups(graph, ready))


def _ready(graph: Graph) -> list[Apply]:
    """The derivatives of what no other recorded derivative feeds."""
    recorded = derivatives(graph.applies)
    fed = dependents(graph.applies, [output for node, _ in recorded for output in node.outputs])
    return [node for node, parts in recorded if not fed.intersection((*parts.costs, *parts.wrt))]


def _parts(node: Apply) -> DerivativeParts:
    ((_, parts),) = derivatives([node])
    return parts


def _path(nodes: Sequence[Apply]) -> list[Apply]:
    """The nodes between the ``wrt`` and the costs of these derivatives, with what leaves the residuals they read."""
    order = toposort([cost for node in nodes for cost in _parts(node).costs])
    apart = [node.outputs[0] for node in order if _is_apart(node)]
    if apart:
        order = toposort([cost for node in nodes for cost in _parts(node).costs], stop=apart)
    wrt = [variable for node in nodes for variable in _parts(node).wrt]
    makers: list[Apply] = []
    while True:
        reached = dependents(order, [*wrt, *(output for node in makers for output in node.outputs)])
        whole = set(makers)
        path = [node for node in order if node in whole or not reached.isdisjoint(node.inputs)]
        pulled = {node.inputs[0] for node in path if isinstance(node.op, Pullback)}
        # What makes a residual comes in whole, and with it what reads its other outputs on the way to the costs.
        found = [node for node in order if not pulled.isdisjoint(node.outputs)]
        if found == makers:
            return path
        makers = found


def _groups(graph: Graph, ready: Sequence[Apply]) -> list[list[Apply]]:
    """The gradients in groups, each of all that share work, directly or through others. The first group alone where
    two groups read values of each other, so that neither region could run before the other."""
    groups = _united([[node] for node in ready], _costs)
    while len(groups) > len(united := _united(groups, _path)):
        groups = united
    if len(groups) > 1 and _read_each_other(graph, groups):
        return groups[:1]
    return groups


def _costs(group: Sequence[Apply]) -> list[Variable]:
    return [cost for node in group for cost in _parts(node).costs]


def _united(groups: list[list[Apply]], marks: Callable[[list[Apply]], Iterable[Hashable]]) -> list[list[Apply]]:
    """The groups, those that have a mark in common made one, in order of their first members."""
    if len(groups) < 2:
        return groups
    parent = list(range(len(groups)))

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = parent[place]
        return place

    owner: dict[Hashable, int] = {}
    for place, group in enumerate(groups):
        for mark in marks(group):
            first, second = sorted((root(owner.setdefault(mark, place)), root(place)))
            parent[second] = first
    found: dict[int, list[Apply]] = {}
    for place, group in enumerate(groups):
        found.setdefault(root(place), []).extend(group)
    return list(found.values())


def _read_each_other(graph: Graph, groups: Sequence[Sequence[Apply]]) -> bool:
    """Whether the graph has a cycle once each group's path is one node."""
    stands: dict[Apply, Hashable] = {node: place for place, group in enumerate(groups) for node in _path(group)}
    before: dict[Hashable, set[Hashable]] = {}
    for node in graph.applies:
        reads = {stands.get(one.owner, one.owner) for one in node.inputs if one.owner is not None}
        before.setdefault(stands.get(node, node), set()).update(reads)
    for place in range(len(groups)):
        before.get(place, set()).discard(place)
    try:
        TopologicalSorter(before).prepare()
    except CycleError:
        return True
    return False


class _Part(NamedTuple):
    """The part of a graph that some derivatives are taken of, as a region.

    ``leaves``: the ``wrt`` that enter it, its first inputs; ``marked``: those inside. ``captured``: what its other
    inputs stand for. Its outputs are those of the ``costs``, then of ``published``. ``shared``: of the costs those
    whose values outside readers may read.
    """

    region: Graph
    leaves: tuple[Variable, ...]
    marked: tuple[Variable, ...]
    captured: tuple[Variable, ...]
    costs: tuple[Variable, ...]
    published: tuple[Variable, ...]
    shared: tuple[Variable, ...]

    @property
    def wrt(self) -> tuple[Variable, ...]:
        return (*self.leaves, *self.marked)

    def values(self, outputs: Sequence[Variable]) -> dict[Variable, Variable]:
        """What stands for each variable that outside readers read, given the outputs of the region's op."""
        found = {cost: output for cost, output in zip(self.costs, outputs, strict=False) if cost in self.shared}
        found.update(zip(self.published, outputs[len(self.costs) :], strict=False))
        return found


def _part(graph: Graph, group: Sequence[Apply], publish: bool = True) -> _Part:
    path = _path(group)
    inside = {output for node in path for output in node.outputs}
    wrt = list(dict.fromkeys(variable for node in group for variable in _parts(node).wrt))
    costs = tuple(dict.fromkeys(cost for node in group for cost in _parts(node).costs))
    leaves = tuple(variable for variable in wrt if variable not in inside)
    marked = tuple(variable for variable in wrt if variable in inside)
    within = set(marked)
    shared = tuple(cost for cost in costs if publish and cost in inside and cost not in within)
    read = _published(graph, set(path), set(group), inside) if publish else []
    published = tuple(variable for variable in read if variable not in shared)
    region, captured = _region(path, leaves, marked, costs, published)
    return _Part(region, leaves, marked, captured, costs, published, shared)


def _linearized(graph: Graph, groups: Sequence[Sequence[Apply]]) -> Graph:
    """The graph with one region for the gradients of each group."""
    replaced: dict[Variable, Variable] = {}
    for group in groups:
        replaced.update(_in_region(graph, group))
    return replace_all(graph, replaced)


def _in_region(graph: Graph, group: Sequence[Apply]) -> dict[Variable, Variable]:
    """What stands for these gradients, and for what is read of the values on their paths."""
    part = _part(graph, group)
    lines = tuple(dict.fromkeys(line for node in group for line in node.sources))
    op = Linearize(part.region, len(part.leaves), len(part.costs))
    node = Apply(op, [*part.leaves, *part.captured], lines)
    replaced = part.values(node.outputs)
    for gradient in group:
        back = _pullback(gradient, part, node)
        cotangents = dict(zip(part.wrt, back.outputs, strict=True))
        for variable, output in zip(_parts(gradient).wrt, gradient.outputs, strict=True):
            replaced[output] = cotangents[variable]
    return replaced


def _pullback(gradient: Apply, part: _Part, node: Apply) -> Apply:
    """The node that pulls back for a recorded gradient, from the region's node."""
    types = tuple(variable.type.strong() for variable in part.wrt)
    residual, outputs = node.outputs[-1], node.outputs[: len(part.costs)]
    parts = _parts(gradient)
    costs = tuple(output.type for output in outputs)
    if isinstance(gradient.op, Jacobian):
        rows = PullbackRows(types, costs, part.costs.index(parts.costs[0]), gradient.op.together)
        return Apply(rows, [residual], gradient.sources)
    given = dict(zip(parts.costs, parts.seeds, strict=True))
    seeds = [
        given[cost] if cost in given else ops.zeros_like(output)
        for cost, output in zip(part.costs, outputs, strict=True)
    ]
    return Apply(Pullback(types, costs), [residual, *seeds], gradient.sources)


def _pushed(graph: Graph, tangent: Apply) -> Graph:
    """The graph with a region for one derivative in forward mode.

    It publishes its values unless a tangent is computed from them, or another derivative passes some of them: that one
    is better off with the plain computation than with one that carries tangents.
    """
    others = [node for node, _ in derivatives(graph.applies) if node is not tangent]
    path = set(_path([tangent]))
    _refuse_reverse_rules(path, tangent)
    parts = _parts(tangent)
    apart = path.isdisjoint(toposort(parts.seeds)) and all(path.isdisjoint(_path([other])) for other in others)
    part = _part(graph, [tangent], publish=apart)
    seeds = dict(zip(parts.wrt, parts.seeds, strict=True))
    op = Pushforward(part.region, len(part.leaves), len(part.costs))
    node = Apply(op, [*part.leaves, *part.captured, *(seeds[variable] for variable in part.wrt)], tangent.sources)
    moved = dict(zip(part.costs, node.outputs[len(part.region.outputs) :], strict=True))
    replaced = part.values(node.outputs[: len(part.region.outputs)])
    replaced.update((output, moved[cost]) for output, cost in zip(tangent.outputs, parts.costs, strict=True))
    return replace_all(graph, replaced)


def _refuse_reverse_rules(path: Iterable[Apply], tangent: Apply) -> None:
    """Raises ``UnsupportedError`` for an op on the path, or in a loop on it, that has a reverse rule alone.

    A gradient on the path has used that rule already.
    """
    for node in path:
        if node.op.has("reverse_only"):
            raise UnsupportedError(
                f"Rop{where(tangent.sources)} passes {node.op.name}{where(node.sources)}, which is no linear function "
                f"of a tangent and has a gradient in reverse mode alone: use grad or Lop there"
            )
        for region in () if isinstance(node.op, Linearize) else node.op.regions:
            _refuse_reverse_rules(region.applies, tangent)


def _published(graph: Graph, path: set[Apply], group: set[Apply], inside: set[Variable]) -> list[Variable]:
    """The values of the region that something outside of it reads. A residual stays where it is: the region that
    leaves it is run there, too."""
    found: dict[Variable, None] = {}
    outside = {reader for variable in inside for reader in graph.readers.get(variable, ()) if reader not in path}
    for node in sorted(outside, key=graph.positions.__getitem__):
        read = node.inputs if node not in group else _parts(node).seeds
        found.update((variable, None) for variable in read if variable in inside)
    if not inside.isdisjoint(graph.outputs):
        found.update((variable, None) for variable in graph.outputs if variable in inside)
    return [variable for variable in found if variable.dtype != RESIDUAL]


def _region(
    path: Sequence[Apply],
    leaves: Sequence[Variable],
    marked: Sequence[Variable],
    costs: Sequence[Variable],
    published: Sequence[Variable],
) -> tuple[Graph, tuple[Variable, ...]]:
    """The region, and the outer values that its last inputs stand for."""
    inner: dict[Variable, Variable] = {leaf: Variable(leaf.type.strong(), name=leaf.name) for leaf in leaves}
    places = {variable: place for place, variable in enumerate(marked)}
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
            if old in places:
                inner[old] = Apply(table_op("perturb", index=places[old]), [new], node.sources).outputs[0]
    outputs = [*(read(cost) for cost in costs), *(plain[variable] for variable in published)]
    return Graph([*(inner[leaf] for leaf in leaves), *captured.values()], outputs), tuple(captured)


def _set_apart(graph: Graph) -> Graph:
    """Adds a zero of its own to each variable inside of one derivative's path that another derivative of it is with
    respect to.

    Once the first is a region, such a variable is hidden in it. The zero enters the region, and stands for it.
    Its shape is read off a copy of the variable, which nothing else reads and XLA drops.
    """
    recorded = derivatives(graph.applies)
    fed = dependents(graph.applies, [output for node, _ in recorded for output in node.outputs])
    further = {node for node, parts in recorded if not fed.isdisjoint(parts.costs)}
    if not further:
        return graph
    together = _united([[node] for node, _ in recorded], _costs)
    inside = {output for group in together for one in _path(group) for output in one.outputs}
    asked = [variable for node in further for variable in _parts(node).wrt if variable in inside]
    hidden = {variable: _zero(variable) for variable in dict.fromkeys(asked)}
    if not hidden:
        return graph

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
        if node in further:
            parts = _parts(node)
            wrt = [hidden.get(old, new) for old, new in zip(parts.wrt, inputs[len(parts.costs) :], strict=False)]
            inputs = (*inputs[: len(parts.costs)], *wrt, *inputs[len(parts.costs) + len(wrt) :])
        elif hidden.keys().isdisjoint(node.outputs):
            return None
        outputs = copy_node(node, inputs).outputs
        return [
            ops.add(new, hidden[old]) if old in hidden else new for old, new in zip(node.outputs, outputs, strict=True)
        ]

    return graph.rebuilt(transform=transform)


def _zero(variable: Variable) -> Variable:
    copied = Graph((), [variable]).rebuilt(transform=lambda node, inputs: copy_node(node, inputs).outputs)
    return Apply(table_op("no_change"), copied.outputs, variable.sources).outputs[0]


def _is_apart(node: Apply) -> bool:
    return node.op.named("no_change")
