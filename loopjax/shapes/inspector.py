"""Inspector/executor: a run before a differentiated region finds the lengths that the region would compute.

No stage can end inside of a derivative, since what it stores lives on the device between its two passes. So where such
a region computes a length, an inspector runs first, only as far as that length depends on it, and the executor, the
region itself, takes the length as an input (Saltz, Mirchandaney and Crowley 1991, "Run-time parallelization and
scheduling of loops"). For example ``grad`` of the sum of squares of the steps of an ``until`` loop becomes

    count = scan[until, saves nothing](...)
    pullback(linearize[scan[count steps]](count, ...))

A loop that stops by ``until`` needs an inspector only where all of its steps are read. A loop in the body of another
loop, whose length differs from step to step, needs the greatest of these lengths: the loops around it run once before.
Limit: a length that depends on a cotangent cannot be inspected, and ``shapes/stages.py`` reports it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple, TypeVar

from loopjax.errors import LengthError, coded, where
from loopjax.ir.autodiff import Differentiated, Linearize
from loopjax.ir.dim import constant_bound
from loopjax.ir.graph import Apply, Graph, Variable, ancestors, copy_node
from loopjax.ir.lengths import leaves_of
from loopjax.ir.op import table_op
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import Accumulator, BodyInputs, MapOutput, SavedSteps, Scan, StepResult
from loopjax.ir.shape_operands import shape_operands, stacked_until
from loopjax.ir.types import TensorType

NOTHING = SavedSteps(last=0)

T = TypeVar("T")

MOST_ROUNDS = 16
"""Rounds of inspection: a round more for each derivative that a length depends on."""


@dataclass(frozen=True)
class InspectLengths:
    """Moves the lengths that a differentiated region computes out of it, where a stage can end to read them back."""

    name: str = "inspector"

    def __call__(self, graph: Graph) -> Graph:
        """Repeat until nothing changes: an inspector may hold differentiated regions of its own.

        Raises ``LengthError`` for a length that depends on a derivative which that length bounds.
        """
        for _ in range(MOST_ROUNDS):
            changed = graph.rebuilt(transform=_inspected)
            if changed is graph:
                return graph
            graph = changed
        lines = next((node.sources for node in graph.applies if isinstance(node.op, Scan)), ())
        raise coded(LengthError, "LJ702")(
            f"inspector: lengths are left to find after {MOST_ROUNDS} rounds: the number of steps of a loop depends "
            f"on a gradient of that loop; bound it by a number, with minimum(n, 100){where(lines)}"
        )


def _inspected(node: Apply, inputs: Sequence[Variable]) -> Sequence[Variable] | None:
    """Return the outputs of an executor for a node that computes lengths in its regions, and of its inspector."""
    lifted = _lifted_region(node, differentiated=False, in_body=False)
    return None if lifted is None else lifted.executor(node, inputs, _inspector(lifted, node, inputs)).outputs


class Lifted(NamedTuple):
    """A region whose lengths are its last inputs, and the region before with the variables that the ``lengths`` were.

    In a scan's body these are different at each step; the greatest is meant.
    """

    region: Graph
    before: Graph
    lengths: tuple[Variable, ...]

    def executor(self, node: Apply, inputs: Sequence[Variable], lengths: Sequence[Variable]) -> Apply:
        """Return the node with the region and its lengths; the last inputs of a derivative are its tangents."""
        op = node.op.with_regions([self.region])
        count = len(self.before.inputs) if isinstance(op, Differentiated) else len(inputs)
        return copy_node(node, [*inputs[:count], *lengths, *inputs[count:]], op)


def _lifted_region(node: Apply, differentiated: bool, in_body: bool) -> Lifted | None:
    """Return the region of a node with its lengths lifted; ``None`` where the node stays as it is."""
    op = node.op
    if isinstance(op, Differentiated):
        region = op.region if in_body else counted_first(op.region)
        lifted = _lifted(region, differentiated or isinstance(op, Linearize), in_body)
    elif isinstance(op, Scan):
        lifted = _lifted(op.body, differentiated, in_body=True)
    else:
        return None
    return None if lifted.region is op.regions[0] else lifted


def _lifted(graph: Graph, differentiated: bool, in_body: bool) -> Lifted:
    """Lift the lengths that a region cannot compute itself to its inputs."""
    nodes = {node: lifted for node in graph.applies if (lifted := _lifted_region(node, differentiated, in_body))}
    lengths: dict[Variable, Variable] = {}
    if not in_body:
        lengths.update((v, Variable(v.type, name=v.name)) for v in _opaque_lengths(graph, nodes))

    def as_inputs(values: Sequence[Variable]) -> list[Variable]:
        return [lengths.setdefault(value, Variable(TensorType("int64"))) for value in values]

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
        fresh = None
        if node in nodes:
            fresh = nodes[node].executor(node, inputs, as_inputs(_inspector(nodes[node], node, node.inputs)))
        op, operands = (node.op, inputs) if fresh is None else (fresh.op, fresh.inputs)
        # A loop of a varying length has a reverse mode only up to a bound that is the same at every step.
        if differentiated and in_body and isinstance(op, Scan) and op.dynamic and not op.bounded:
            number = constant_bound(node.inputs[0])
            if number is not None:
                return copy_node(node, operands, replace(op, bounded=True, n_steps=number)).outputs
            most = Apply(table_op("capacity", fine=True), [node.inputs[0]], node.sources).outputs
            fresh = copy_node(node, [operands[0], *as_inputs(most), *operands[1:]], replace(op, bounded=True))
        return None if fresh is None else fresh.outputs

    region = graph.rebuilt(lengths, transform)
    if region is not graph or lengths:
        region = Graph([*graph.inputs, *lengths.values()], region.outputs)
    return Lifted(region, graph, tuple(lengths))


def _inspector(lifted: Lifted, node: Apply, inputs: Sequence[Variable]) -> Sequence[Variable]:
    """Return the lengths of a lifted region for these inputs of the node, by no more of it than they depend on."""
    lengths = lifted.lengths
    if not lengths or isinstance(node.op, Differentiated):
        given = dict(zip(lifted.before.inputs, inputs, strict=False))
        return Graph(lifted.before.inputs, lengths).rebuilt(given, inputs=()).outputs
    op = node.op
    assert isinstance(op, Scan)
    step, read, parts = op.results(lifted.before.outputs), op.body_inputs(lifted.before.inputs), op.inputs(inputs)
    states, shared = _needed(read, step, lengths)
    read = read._replace(taps=_at(read.taps, states), states=_at(read.states, shared))
    parts = parts._replace(initials=_at(parts.initials, states), states=_at(parts.states, shared))
    results = [*_at(step.recurrences, states), *lengths, *_at(step.states, shared), *step.until]
    silent = _saving_nothing(op)
    greatest = replace(
        silent,
        body=Graph(read.flat(), results),
        recurrences=_at(silent.recurrences, states),
        n_states=len(shared),
        maps=(MapOutput(NOTHING),) * len(lengths),
        accumulators=tuple(Accumulator(len(states) + place, "max", "int64") for place in range(len(lengths))),
    )
    found = greatest.results(Apply(greatest, [*chain(*parts)], node.sources).outputs)
    # The greatest length of no steps is the least number of its dtype.
    return [ops.maximum(length, 1) for length in found.until[: len(lengths)]]


def _needed(read: BodyInputs, step: StepResult, lengths: Sequence[Variable]) -> tuple[list[int], list[int]]:
    """Return the numbers of the recurrences and of the shared states that lengths and ``until`` depend on."""
    states: list[int] = []
    shared: list[int] = []
    while True:
        wanted = [*lengths, *step.until, *_at(step.recurrences, states), *_at(step.states, shared)]
        leaves = set(ancestors(wanted, stop=read.flat()))
        found = [place for place, taps in enumerate(read.taps) if not leaves.isdisjoint(taps)]
        found_shared = [place for place, state in enumerate(read.states) if state in leaves]
        if (found, found_shared) == (states, shared):
            return states, shared
        states, shared = found, found_shared


def _at(values: Sequence[T], places: Sequence[int]) -> tuple[T, ...]:
    return tuple(values[place] for place in places)


def _saving_nothing(op: Scan) -> Scan:
    return replace(
        op,
        recurrences=tuple(replace(recurrence, saved=NOTHING) for recurrence in op.recurrences),
        maps=tuple(replace(output, saved=NOTHING) for output in op.maps),
        accumulators=(),
        progress="",
    )


def counted_first(region: Graph, least: int = 0) -> Graph:
    """Replace each ``until`` loop whose steps are all read by one that counts the steps and one of that length.

    With ``least``, only loops whose bound is a number that is not less: others would be run twice for nothing.
    """

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
        stacks = stacked_until(node)
        if not any(stack in region.outputs or region.readers.get(stack) for stack in stacks):
            return None
        assert isinstance(node.op, Scan)
        if least and (node.op.n_steps is None or node.op.n_steps < least):
            return None
        count = copy_node(node, inputs, _saving_nothing(node.op)).outputs[-1]
        body = Graph(node.op.body.inputs, node.op.body.outputs[:-1])
        op = replace(node.op, body=body, until=False, n_steps=None, dynamic=False)
        rest = inputs[len(node.op.inputs(inputs).n_steps) :]
        return [*copy_node(node, [count, *rest], op).outputs, count]

    return region.rebuilt(transform=transform)


def _opaque_lengths(region: Graph, nodes: Mapping[Apply, Lifted]) -> list[Variable]:
    """Return the lengths that a region computes on the device, apart from those lifted out of its ``nodes``."""
    lengths: list[Variable] = []
    for node in region.applies:
        if node in nodes:
            lifted = [Variable(length.type) for length in nodes[node].lengths]
            node = nodes[node].executor(node, node.inputs, lifted)
        lengths.extend(shape_operands(node, padded=False))
    opaque = leaves_of(lengths, stop=region.inputs).opaque
    return [output for node in region.applies for output in node.outputs if output in opaque]
