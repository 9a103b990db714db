"""Inside of a derivative, lengths that only a run decides are found by a run before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from loopjax.ir.autodiff import Differentiated, Linearize
from loopjax.ir.graph import Apply, Graph, Op, Variable, copy_node
from loopjax.ir.lengths import leaves_of
from loopjax.ir.op import table_op
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import Accumulator, MapOutput, SavedSteps, Scan
from loopjax.ir.shape_operands import shape_operands, stacked_until
from loopjax.ir.types import TensorType

NOTHING = SavedSteps(last=0)


@dataclass(frozen=True)
class InspectLengths:
    """Moves the lengths that a differentiated region computes out of it, where a stage can end to learn them.

    A loop of the region that stops by ``until`` and of which all steps are read runs once before, to count: then, in
    the region, it is a loop of that many steps. Loops of which the last steps or sums are read need no length.
    A loop in a body whose length differs from step to step needs the most that it can be: the loops around it run
    once before, as far as that length depends on them.
    """

    name: str = "inspector"

    def __call__(self, graph: Graph) -> Graph:
        """Again until nothing changes: what is moved out may hold regions of its own."""
        while (changed := _settled(graph)).outputs != graph.outputs:
            graph = changed
        return graph


def _settled(graph: Graph) -> Graph:
    def transform(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
        lifted = _lifted_node(node, differentiated=False, inner=False)
        if lifted is None:
            return None
        return copy_node(node, _with_lengths(lifted, inputs, _before(lifted, inputs, node)), lifted.op).outputs

    if not any(node.op.regions for node in graph.applies):
        return graph
    return graph.rebuilt(transform=transform)


class Lifted(NamedTuple):
    """A region whose last inputs are lengths, and the variables that gave them in the region as it ``was``."""

    region: Graph
    was: Graph
    lengths: tuple[Variable, ...]


class LiftedNode(NamedTuple):
    """An op that takes lengths as its last inputs, the op as it was, and the variables of its region that they were:
    of a scan, at the step where they are greatest."""

    op: Op
    was: Op
    lengths: tuple[Variable, ...]


def _lifted_node(node: Apply, differentiated: bool, inner: bool) -> LiftedNode | None:
    """``None`` where the node stays as it is."""
    op = node.op
    if isinstance(op, Differentiated):
        region = op.region if inner else _counted(op.region)
        lifted = _lifted(region, differentiated or isinstance(op, Linearize), inner)
    elif isinstance(op, Scan):
        lifted = _lifted(op.body, differentiated, inner=True)
    else:
        return None
    if lifted.region is op.regions[0]:
        return None
    return LiftedNode(op.with_regions([lifted.region]), op.with_regions([lifted.was]), lifted.lengths)


def _lifted(graph: Graph, differentiated: bool, inner: bool) -> Lifted:
    """The region with the lengths that it cannot have itself as inputs."""
    nodes = {node: lifted for node in graph.applies if (lifted := _lifted_node(node, differentiated, inner))}
    lengths: dict[Variable, Variable] = {}
    if not inner:
        lengths.update((v, Variable(v.type, name=v.name)) for v in _opaque_lengths(graph, nodes))

    def fresh(values: Sequence[Variable]) -> list[Variable]:
        return [lengths.setdefault(value, Variable(TensorType("int64"))) for value in values]

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
        op, given = node.op, list(inputs)
        if node in nodes:
            lifted = nodes[node]
            op, given = lifted.op, _with_lengths(lifted, inputs, fresh(_before(lifted, node.inputs, node)))
        if differentiated and inner and isinstance(op, Scan) and op.dynamic and not op.bounded:
            most = Apply(table_op("capacity", fine=True), [node.inputs[0]], node.sources).outputs
            op, given = replace(op, bounded=True), [given[0], *fresh(most), *given[1:]]
        return None if op is node.op else copy_node(node, given, op).outputs

    region = graph.rebuilt(lengths, transform)
    if region.outputs == graph.outputs and not lengths:
        return Lifted(graph, graph, ())
    return Lifted(Graph([*graph.inputs, *lengths.values()], region.outputs), graph, tuple(lengths))


def _with_lengths(lifted: LiftedNode, inputs: Sequence[Variable], lengths: Sequence[Variable]) -> list[Variable]:
    """A lifted node's inputs: behind those of its region come a derivative's tangents."""
    count = len(lifted.was.regions[0].inputs) if isinstance(lifted.was, Differentiated) else len(inputs)
    return [*inputs[:count], *lengths, *inputs[count:]]


def _before(lifted: LiftedNode, inputs: Sequence[Variable], node: Apply) -> Sequence[Variable]:
    """The lengths of a lifted node for these inputs, without running all of it."""
    if not lifted.lengths:
        return ()
    op = lifted.was
    if isinstance(op, Differentiated):
        given = dict(zip(op.region.inputs, inputs, strict=False))
        return Graph(op.region.inputs, lifted.lengths).rebuilt(given, inputs=()).outputs
    assert isinstance(op, Scan)
    first = len(op.recurrences) + len(lifted.lengths) + op.n_states
    greatest = copy_node(node, inputs, _greatest(op, lifted.lengths)).outputs[first : first + len(lifted.lengths)]
    # Of no steps the greatest is the least number.
    return [ops.maximum(length, 1) for length in greatest]


def _greatest(op: Scan, lengths: Sequence[Variable]) -> Scan:
    """The loop with nothing kept but the greatest of each of these variables of its body."""
    step = op.results(op.body.outputs)
    body = Graph(op.body.inputs, [*step.recurrences, *lengths, *step.states, *step.until])
    maps = (MapOutput(NOTHING),) * len(lengths)
    first = len(op.recurrences)
    accumulators = tuple(Accumulator(first + position, "max", "int64") for position in range(len(lengths)))
    return replace(_counting(op), body=body, maps=maps, accumulators=accumulators)


def _counting(op: Scan) -> Scan:
    """The loop with nothing kept."""
    return replace(
        op,
        recurrences=tuple(replace(one, saved=NOTHING) for one in op.recurrences),
        maps=tuple(replace(one, saved=NOTHING) for one in op.maps),
        accumulators=(),
        progress="",
    )


def _counted(region: Graph) -> Graph:
    """The region with its loops of unknown length as a loop that counts and one of so many steps."""

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
        stacks = stacked_until(node)
        if not any(stack in region.outputs or region.readers.get(stack) for stack in stacks):
            return None
        assert isinstance(node.op, Scan)
        count = copy_node(node, inputs, _counting(node.op)).outputs[-1]
        body = Graph(node.op.body.inputs, node.op.body.outputs[:-1])
        op = replace(node.op, body=body, until=False, n_steps=None, dynamic=False)
        rest = inputs[len(node.op.inputs(inputs).n_steps) :]
        return [*copy_node(node, [count, *rest], op).outputs, count]

    counted = region.rebuilt(transform=transform)
    return region if counted.outputs == region.outputs else counted


def _opaque_lengths(region: Graph, nodes: Mapping[Apply, LiftedNode]) -> list[Variable]:
    """The lengths that a region computes on the device, with these of its nodes lifted."""
    lengths: list[Variable] = []
    for node in region.applies:
        if node in nodes:
            more = [Variable(length.type) for length in nodes[node].lengths]
            node = Apply(nodes[node].op, _with_lengths(nodes[node], node.inputs, more), node.sources)
        lengths.extend(shape_operands(node))
    opaque = leaves_of(lengths, stop=region.inputs).opaque
    return [v for one in region.applies for v in one.outputs if v in opaque]
