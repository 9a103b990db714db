"""Forms differentiated regions: recorded gradients that share work become one region, lowered to one ``jax.vjp``.

``grad(cost, x)`` records a node that names a cost and the variables to differentiate by, not how. This pass cuts the
path from these variables to the cost out of the graph, as the region of a ``Linearize``, whose residual a ``Pullback``
reads; lowering hands the region to ``jax.vjp``::

    y = exp(x); c = sum(y * h); grad(c, x), grad(c, h), y
    ->
    c, y, residual = linearize[x, h: sum(exp(x) * h), exp(x)](x, h);  pullback(residual, 1.0);  y

All gradients whose paths overlap get one region, so that a cost, its gradients asked one by one and the values in
between cost one forward and one backward pass. Variables that are differentiated by and computed inside of the region
are marked by ``perturb``: the derivative is that of a zero added there. Readers outside of the region read the values
that it publishes, so that nothing is computed twice. ``Rop`` becomes a ``Pushforward``, one region for each.

Derivatives of derivatives form from the inside out: a derivative is ready when no recorded one feeds it, and the region
that it becomes is a node on the path of the next. Where two groups of gradients read values of each other, their
regions are made one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
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
from loopjax.ir.cond import LAZY_SWITCH, branches, lazy_switches
from loopjax.ir.graph import Apply, Constant, Graph, Variable, copy_node, dependents, toposort
from loopjax.ir.index import Array
from loopjax.ir.op import TableOp, register, table_op
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import Scan
from loopjax.ir.types import RESIDUAL
from loopjax.rewrite.driver import Context, Pass, Replacement, replace_all
from loopjax.rewrite.reduction_fusion import reduces_steps

register("perturb", lambda x, index: x, lambda type, index: type, "pointwise", "finite_derivative")
register("no_change", jnp.zeros_like, lambda type: type, "pointwise")


class FormDifferentiatedRegions(Pass):
    """Turns every ``Gradient`` and ``Jacobian`` into a pullback of a ``Linearize``, every ``Tangent`` into a
    ``Pushforward``."""

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        graph = _with_deltas(graph)
        while ready := _ready(graph):
            forward = next((node for node in ready if isinstance(node.op, Tangent)), None)
            if forward is not None:
                replaced = _pushed_forward(graph, forward)
            else:
                replaced = {}
                for group in _groups(graph, ready):
                    replaced.update(_linearized(graph, group))
            graph = replace_all(graph, replaced)
        return graph


def _ready(graph: Graph) -> list[Apply]:
    """The derivatives that no other recorded derivative feeds."""
    recorded = derivatives(graph.applies)
    fed = dependents(graph.applies, [output for node, _ in recorded for output in node.outputs])
    return [node for node, parts in recorded if not fed.intersection((*parts.costs, *parts.wrt))]


def _parts(node: Apply) -> DerivativeParts:
    ((_, parts),) = derivatives([node])
    return parts


def _path(nodes: Sequence[Apply]) -> list[Apply]:
    """The nodes from the ``wrt`` to the costs of these derivatives, and the regions whose residuals they read."""
    costs = _costs(nodes)
    order = toposort(costs)
    deltas = [node.outputs[0] for node in order if node.op.named("no_change")]
    if deltas:
        order = toposort(costs, stop=deltas)
    wrt = [variable for node in nodes for variable in _parts(node).wrt]
    regions: list[Apply] = []
    while True:
        reached = dependents(order, [*wrt, *(output for node in regions for output in node.outputs)])
        path = [node for node in order if node in regions or not reached.isdisjoint(node.inputs)]
        residuals = {node.inputs[0] for node in path if isinstance(node.op, Pullback)}
        # A region that leaves a residual comes in whole, and with it the readers of its other outputs.
        found = [node for node in order if not residuals.isdisjoint(node.outputs)]
        if found == regions:
            return path
        regions = found


def _groups(graph: Graph, ready: Sequence[Apply]) -> list[list[Apply]]:
    """Partition gradients into groups that share work, directly or through others. Only the first group where two
    groups read values of each other, so that neither region could run before the other."""
    groups = _united([[node] for node in ready], _costs)
    while len(groups) > len(united := _united(groups, _path)):
        groups = united
    return groups[:1] if len(groups) > 1 and _has_cycle(graph, groups) else groups


def _costs(group: Sequence[Apply]) -> list[Variable]:
    return [cost for node in group for cost in _parts(node).costs]


def _united(groups: list[list[Apply]], marks: Callable[[list[Apply]], Iterable[Hashable]]) -> list[list[Apply]]:
    """Unite the groups that have a mark in common, in order of their first members (union-find)."""
    if len(groups) < 2:
        return groups
    parent = list(range(len(groups)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    owner: dict[Hashable, int] = {}
    for index, group in enumerate(groups):
        for mark in marks(group):
            first, second = sorted((root(owner.setdefault(mark, index)), root(index)))
            parent[second] = first
    found: dict[int, list[Apply]] = {}
    for index, group in enumerate(groups):
        found.setdefault(root(index), []).extend(group)
    return list(found.values())


def _has_cycle(graph: Graph, groups: Sequence[Sequence[Apply]]) -> bool:
    """Return whether the graph has a cycle once each group's path is one node."""
    merged: dict[Apply, Hashable] = {node: index for index, group in enumerate(groups) for node in _path(group)}
    before: dict[Hashable, set[Hashable]] = {}
    for node in graph.applies:
        reads = {merged.get(read.owner, read.owner) for read in node.inputs if read.owner is not None}
        here = merged.get(node, node)
        before.setdefault(here, set()).update(reads - {here})
    try:
        TopologicalSorter(before).prepare()
    except CycleError:
        return True
    return False


class _Cut(NamedTuple):
    """A region cut out of a graph for some derivatives.

    Its first inputs are ``leaves``, the ``wrt`` that enter it; ``marked`` are the ``wrt`` inside. Its other inputs are
    ``captured`` outside. Its outputs are ``costs``, then ``published``; ``shared`` are the costs whose values outside
    readers may read.
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
        """Map each variable that outside readers read to one of the ``outputs`` of the region's op."""
        found = {cost: output for cost, output in zip(self.costs, outputs, strict=False) if cost in self.shared}
        found.update(zip(self.published, outputs[len(self.costs) :], strict=False))
        return found


def _cut(graph: Graph, group: Sequence[Apply], publish: bool = True) -> _Cut:
    path = _with_reads(graph, _with_branches(graph, _path(group)))
    inside = {output for node in path for output in node.outputs}
    wrt = list(dict.fromkeys(variable for node in group for variable in _parts(node).wrt))
    costs = tuple(dict.fromkeys(_costs(group)))
    leaves = tuple(variable for variable in wrt if variable not in inside)
    marked = tuple(variable for variable in wrt if variable in inside)
    shared = tuple(cost for cost in costs if publish and cost in inside and cost not in marked)
    read = _published(graph, set(path), set(group), inside) if publish else []
    published = tuple(variable for variable in read if variable not in shared)
    region, captured = _region(path, leaves, marked, costs, published)
    return _Cut(region, leaves, marked, captured, costs, published, shared)


def _with_branches(graph: Graph, path: Sequence[Apply]) -> list[Apply]:
    """Return a path with all that only branches of its lazy switches need, derivatives or not."""
    on_path = set(path)
    for group in lazy_switches(graph) if LAZY_SWITCH in [node.op for node in path] else ():
        if not on_path.isdisjoint(group):
            on_path.update(*branches(graph, group))
    return sorted(on_path, key=graph.positions.__getitem__) if len(on_path) > len(path) else list(path)


def _with_reads(graph: Graph, path: Sequence[Apply]) -> list[Apply]:
    """Return a path with the slices and reductions over steps of its loops' stacks, where they alone are read outside.

    The region then publishes these in place of a stack, and the loop can see that nothing needs its other steps.
    """
    on_path = set(path)
    for node in path:
        for stack in node.outputs[: len(node.op.outputs)] if isinstance(node.op, Scan) else ():
            outside = set(graph.readers.get(stack, ())) - on_path
            if stack not in graph.outputs and all(map(_may_move_in, outside)):
                on_path |= outside
    return sorted(on_path, key=graph.positions.__getitem__)


def _may_move_in(reader: Apply) -> bool:
    """Return whether a node slices, or reduces over steps, its only input."""
    if not isinstance(reader.op, TableOp) or len(reader.inputs) != 1:
        return False
    if reader.op.name == "index":
        return not isinstance(reader.op.arguments["pattern"].axis_entries[0], Array)
    return reduces_steps(reader)


def _linearized(graph: Graph, group: Sequence[Apply]) -> dict[Variable, Variable]:
    """Map these gradients, and the values on their paths that are read, to outputs of one region and its pullbacks."""
    cut = _cut(graph, group)
    lines = tuple(dict.fromkeys(line for node in group for line in node.sources))
    op = Linearize(cut.region, len(cut.leaves), len(cut.costs))
    node = Apply(op, [*cut.leaves, *cut.captured], lines)
    replaced = cut.values(node.outputs)
    for gradient in group:
        cotangents = dict(zip(cut.wrt, _pullback(gradient, cut, node).outputs, strict=True))
        for variable, output in zip(_parts(gradient).wrt, gradient.outputs, strict=True):
            replaced[output] = cotangents[variable]
    return replaced


def _pullback(gradient: Apply, cut: _Cut, node: Apply) -> Apply:
    """Return the node that pulls back for a recorded gradient, from the region's node."""
    types = tuple(variable.type.strong() for variable in cut.wrt)
    residual, outputs = node.outputs[-1], node.outputs[: len(cut.costs)]
    parts = _parts(gradient)
    costs = tuple(output.type for output in outputs)
    if isinstance(gradient.op, Jacobian):
        rows = PullbackRows(types, costs, cut.costs.index(parts.costs[0]), gradient.op.together)
        return Apply(rows, [residual], gradient.sources)
    seeds = dict(zip(parts.costs, parts.seeds, strict=True))
    pairs = zip(cut.costs, outputs, strict=True)
    cotangents = [seeds[cost] if cost in seeds else ops.zeros_like(output) for cost, output in pairs]
    return Apply(Pullback(types, costs), [residual, *cotangents], gradient.sources)


def _pushed_forward(graph: Graph, tangent: Apply) -> dict[Variable, Variable]:
    """Map one derivative in forward mode, and the values on its path, to outputs of its region.

    The region publishes its values unless a tangent is computed from them, or another derivative passes some of them,
    which is better off with the plain computation than with one that carries tangents.
    """
    others = [node for node, _ in derivatives(graph.applies) if node is not tangent]
    path = set(_path([tangent]))
    _refuse_reverse_rules(path, tangent)
    parts = _parts(tangent)
    apart = path.isdisjoint(toposort(parts.seeds)) and all(path.isdisjoint(_path([other])) for other in others)
    cut = _cut(graph, [tangent], publish=apart)
    seeds = dict(zip(parts.wrt, parts.seeds, strict=True))
    op = Pushforward(cut.region, len(cut.leaves), len(cut.costs))
    node = Apply(op, [*cut.leaves, *cut.captured, *(seeds[variable] for variable in cut.wrt)], tangent.sources)
    primals, tangents = node.outputs[: len(cut.region.outputs)], node.outputs[len(cut.region.outputs) :]
    moved = dict(zip(cut.costs, tangents, strict=True))
    replaced = cut.values(primals)
    replaced.update((output, moved[cost]) for output, cost in zip(tangent.outputs, parts.costs, strict=True))
    return replaced


def _refuse_reverse_rules(path: Iterable[Apply], tangent: Apply) -> None:
    """Raise ``UnsupportedError`` for an op on the path, or in a loop on it, that has a reverse rule only.

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
    """The values of a path that something outside of it reads. Residuals are not published: the region that leaves one
    is run outside, too."""
    found: dict[Variable, None] = {}
    outside = {reader for variable in inside for reader in graph.readers.get(variable, ()) if reader not in path}
    for node in sorted(outside, key=graph.positions.__getitem__):
        read = node.inputs if node not in group else _parts(node).seeds
        found.update((variable, None) for variable in read if variable in inside)
    found.update((variable, None) for variable in graph.outputs if variable in inside)
    return [variable for variable in found if variable.dtype != RESIDUAL]


def _region(
    path: Sequence[Apply],
    leaves: Sequence[Variable],
    marked: Sequence[Variable],
    costs: Sequence[Variable],
    published: Sequence[Variable],
) -> tuple[Graph, tuple[Variable, ...]]:
    """The region, and the outer values of its last inputs. Published values are those before the mark."""
    inner: dict[Variable, Variable] = {leaf: Variable(leaf.type.strong(), name=leaf.name) for leaf in leaves}
    positions = {variable: position for position, variable in enumerate(marked)}
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
            plain[old] = inner[old] = new
            if old in positions:
                inner[old] = Apply(table_op("perturb", index=positions[old]), [new], node.sources).outputs[0]
    outputs = [*(read(cost) for cost in costs), *(plain[variable] for variable in published)]
    return Graph([*(inner[leaf] for leaf in leaves), *captured.values()], outputs), tuple(captured)


def _with_deltas(graph: Graph) -> Graph:
    """Add a zero, the delta, to each variable on the path of one derivative by which another derivative of that one is
    taken.

    Once the first derivative is a region, such a variable is hidden in it; the delta enters the region, and the second
    derivative is taken by it. Its shape is read off a copy of the variable, which nothing else reads and XLA drops.
    """
    recorded = derivatives(graph.applies)
    fed = dependents(graph.applies, [output for node, _ in recorded for output in node.outputs])
    further = {node for node, parts in recorded if not fed.isdisjoint(parts.costs)}
    if not further:
        return graph
    together = _united([[node] for node, _ in recorded], _costs)
    inside = {output for group in together for one in _path(group) for output in one.outputs}
    asked = [variable for node in further for variable in _parts(node).wrt if variable in inside]
    deltas = {variable: _delta(variable) for variable in dict.fromkeys(asked)}
    if not deltas:
        return graph

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> Replacement:
        if node in further:
            parts = _parts(node)
            wrt = [deltas.get(old, new) for old, new in zip(parts.wrt, inputs[len(parts.costs) :], strict=False)]
            inputs = (*inputs[: len(parts.costs)], *wrt, *inputs[len(parts.costs) + len(wrt) :])
        elif deltas.keys().isdisjoint(node.outputs):
            return None
        pairs = zip(node.outputs, copy_node(node, inputs).outputs, strict=True)
        return [ops.add(new, deltas[old]) if old in deltas else new for old, new in pairs]

    return graph.rebuilt(transform=transform)


def _delta(variable: Variable) -> Variable:
    copied = Graph((), [variable]).rebuilt(transform=lambda node, inputs: copy_node(node, inputs).outputs)
    return Apply(table_op("no_change"), copied.outputs, variable.sources).outputs[0]
