"""A range that a loop reads is counted in its carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from loopjax.rewrite.driver import map_regions
from loopjax.rewrite.fold import fold_of
from loopjax.rewrite.keep import rows_of
from loopjax.trace.derivative import Differentiated
from loopjax.trace.graph import Apply, Graph, Variable
from loopjax.trace.loop import Keep, Recurrence, Scan, SequenceInput
from loopjax.trace.methods import say
from loopjax.trace.op import Call, Op, call
from loopjax.trace.types import TensorType


@dataclass(frozen=True)
class CountRanges:
    """``arange(n)`` as a sequence of a loop of ``n`` steps becomes a number in its carry, where of its outputs last
    rows, single steps and sums are read alone: then nothing in the loop has a length, and one compiled loop serves
    every ``n``. The length of a range is computed without it.

    Not under a derivative, which stores steps, nor in loops whose steps need no other: those run all at once.
    """

    name: str = "ranges"

    def __call__(self, graph: Graph) -> Graph:
        graph = map_regions(graph, self._within)

        def transform(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
            if isinstance(node.op, Scan):
                return _counted(node, node.op, inputs, graph)
            if isinstance(node.op, Call) and node.op.row == "dim":
                found = _range(inputs[0])
                return None if found is None else (found.length,)
            return None

        return graph.rebuilt(transform=transform)

    def _within(self, region: Graph, op: Op) -> Graph:
        return region if isinstance(op, Differentiated) else self(region)


class _Range(NamedTuple):
    start: Variable
    step: int
    length: Variable
    dtype: str


def _range(variable: Variable) -> _Range | None:
    """What a range of integers is made of; its step must be a number."""
    node = variable.owner
    if node is None or not isinstance(node.op, Call) or node.op.row != "arange" or not variable.type.is_integer:
        return None
    holes = iter(node.inputs)
    start, stop, step = (one if one is not None else next(holes) for one in node.op.arguments["lengths"])
    if not isinstance(step, int) or step == 0:
        return None
    first, last = (say("cast", one, "int64") for one in (start, stop))
    span = last if isinstance(start, int) and start == 0 else last - first
    if step < 0:
        span = -span
    if abs(step) > 1:
        span = (span + (abs(step) - 1)) // abs(step)
    return _Range(first, step, say("maximum", span, 0), variable.dtype)


def _counted(node: Apply, op: Scan, inputs: tuple[Variable, ...], graph: Graph) -> Sequence[Variable] | None:
    """The loop with its ranges counted; ``None`` where there are none, or it would gain nothing."""
    if op.n_steps is not None or not op.recurrences or not _reads_few(node, op, graph):
        return None
    parts = op.inputs(inputs)
    ranges = {i: found for i, x in enumerate(parts.sequences) if (found := _range(x)) is not None}
    if not ranges:
        return None
    body = op.body_inputs(op.body.inputs)
    counters = {i: Variable(TensorType("int64"), name=op.sequences[i].name) for i in ranges}
    rows: dict[Variable, Variable] = {}
    for i, counter in counters.items():
        for tap, row in zip(op.sequences[i].taps, body.slices[i], strict=True):
            rows[row] = say("cast", counter + ranges[i].step * (tap - op.sequences[i].low), row.dtype)
    strides = {i: -one.step if op.go_backwards else one.step for i, one in ranges.items()}
    read = body._replace(
        slices=tuple(group for i, group in enumerate(body.slices) if i not in ranges),
        taps=(*body.taps, *((one,) for one in counters.values())),
    )
    new = Graph(op.body.inputs, op.body.outputs).rebuilt(rows, inputs=()).outputs
    results = op.results(new)
    results = results._replace(recurrences=(*results.recurrences, *(counters[i] + strides[i] for i in ranges)))
    needs = tuple((op.sequences[i].name, op.sequences[i].span) for i in ranges)
    steps = call("trip_count", scan=op.label, needs=needs)
    count = Apply(steps, [*parts.n_steps, *(one.length for one in ranges.values())], node.sources).outputs[0]
    fresh = replace(
        op,
        body=Graph(read.flat(), results.flat()),
        sequences=tuple(one for i, one in enumerate(op.sequences) if i not in ranges),
        recurrences=(*op.recurrences, *(_counter(op.sequences[i]) for i in ranges)),
    )
    starts = [_start(op, op.sequences[i], one) for i, one in ranges.items()]
    sequences = [x for i, x in enumerate(parts.sequences) if i not in ranges]
    made = Apply(
        fresh,
        [count, *sequences, *parts.initials, *starts, *parts.states, *parts.keys, *parts.non_sequences],
        node.sources,
    )
    for old, one in zip([*node.outputs], _without(made, len(op.recurrences), len(ranges)), strict=True):
        one.name = old.name
    return _without(made, len(op.recurrences), len(ranges))


def _without(made: Apply, first: int, count: int) -> list[Variable]:
    """The outputs but for the counters'."""
    return [*made.outputs[:first], *made.outputs[first + count :]]


def _counter(sequence: SequenceInput) -> Recurrence:
    return Recurrence((-1,), Keep(last=0), sequence.name, windowed=False)


def _start(op: Scan, spec: SequenceInput, found: _Range) -> Variable:
    """What the first step reads at the lowest place of its taps."""
    if not op.go_backwards:
        return found.start
    last: Variable = found.length - (spec.span + 1)
    return found.start + last * found.step


def _reads_few(node: Apply, op: Scan, graph: Graph) -> bool:
    """Whether last rows, single steps and sums are all that is read of a loop."""
    for position, (output, stack) in enumerate(zip(op.outputs, node.outputs, strict=False)):
        if not output.keep.all or stack in graph.outputs:
            return False
        for reader in graph.readers.get(stack, []):
            if rows_of(reader, stack, slices=not op.until) is None and fold_of(reader, stack, position) is None:
                return False
    return True
