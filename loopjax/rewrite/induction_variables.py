"""A range that a loop reads is counted in its carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.op import TableOp, table_op
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import Recurrence, SavedSteps, Scan, SequenceInput
from loopjax.ir.types import TensorType
from loopjax.rewrite.cost_model import is_small_body
from loopjax.rewrite.demand import last_rows
from loopjax.rewrite.driver import Context, Pass
from loopjax.rewrite.reduction_fusion import accumulator_of
from loopjax.rewrite.scan_builder import RecurrenceSlot, ScanBuilder, SequenceSlot, scan_builder


@dataclass(frozen=True)
class ComputeInductionVariables(Pass):
    """``arange(n)`` as a sequence of a loop of ``n`` steps becomes a number in its carry, where of its outputs last
    rows, single steps and sums are read alone: then nothing in the loop has a length, and one compiled loop serves
    every ``n``. The length of a range is computed without it.

    Not under a derivative, which stores steps, nor in loops whose steps need no other: those run all at once.
    """

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        if context.differentiated:
            return graph

        def transform(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
            if isinstance(node.op, Scan):
                return _counted(node, node.op, inputs, graph)
            if isinstance(node.op, TableOp) and node.op.row == "dim":
                found = _range(inputs[0])
                return None if found is None else (found.length,)
            return None

        return graph.rebuilt(transform=transform)


@dataclass(frozen=True)
class ComputeSizedInductionVariables(Pass):
    """The same where the length is known and whatever is kept, in loops of scalars that no derivative encloses.

    A range of a million integers is written and read again for 7 ms; counted in the carry of a loop that XLA compiles
    into one function, it costs nothing. In other loops one more carry is one more kernel at each step.
    """

    def rewrite_scan(
        self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context
    ) -> Sequence[Variable] | None:
        if not self.target.on_cpu or context.differentiated or not _is_of_scalars(op):
            return None
        loop = scan_builder(node, inputs)
        return loop.closed(node) if _count(loop) else None


def _is_of_scalars(op: Scan) -> bool:
    """Whether a loop steps through few ops on scalars."""
    values = [variable.type for variable in (*op.body.inputs, *op.body.outputs)]
    # Where a loop that goes backwards begins to read depends on the run.
    backwards = op.dynamic and op.go_backwards
    plain = (
        bool(op.recurrences or op.accumulators) and bool(op.n_steps) and not (backwards or op.until or op.checkpoint)
    )
    return plain and is_small_body(op) and all(type.ndim == 0 for type in values)


class _Range(NamedTuple):
    start: Variable
    step: int
    length: Variable
    dtype: str


def _range(variable: Variable) -> _Range | None:
    """What a range of integers, or of floats that are integers, is made of; its step must be a number."""
    node = variable.owner
    if node is None or not isinstance(node.op, TableOp) or node.op.row != "arange":
        return None
    holes = iter(node.inputs)
    start, stop, step = (one if one is not None else next(holes) for one in node.op.arguments["lengths"])
    if not isinstance(step, int) or step == 0:
        return None
    if not variable.type.is_integer and not all(_is_exact(one, variable.dtype) for one in (start, stop, step)):
        return None
    first, last = (ops.cast(one, "int64") for one in (start, stop))
    span = last if isinstance(start, int) and start == 0 else last - first
    if step < 0:
        span = -span
    if abs(step) > 1:
        span = (span + (abs(step) - 1)) // abs(step)
    return _Range(first, step, ops.maximum(span, 0), variable.dtype)


def _is_exact(bound: Any, dtype: str) -> bool:
    """Whether a float of this dtype holds all integers up to a bound."""
    most = {"float32": 2**24, "float64": 2**53}.get(dtype, 0)
    return isinstance(bound, int) and abs(bound) <= most


def _counted(node: Apply, op: Scan, inputs: tuple[Variable, ...], graph: Graph) -> Sequence[Variable] | None:
    """The loop with its ranges counted; ``None`` where there are none, or it would gain nothing."""
    if op.n_steps is not None or not op.recurrences or not _reads_few(node, op, graph):
        return None
    loop = scan_builder(node, inputs)
    ranges = _count(loop)
    if not ranges:
        return None
    needs = tuple((spec.name, spec.span) for spec, _ in ranges)
    steps = table_op("trip_count", scan=op.label, needs=needs)
    loop.n_steps = list(Apply(steps, [*loop.n_steps, *(found.length for _, found in ranges)], node.sources).outputs)
    return loop.closed(node)


def _count(loop: ScanBuilder) -> list[tuple[SequenceInput, _Range]]:
    """Counts the ranges among the sequences in the carry, and says which they were."""
    op = loop.op
    ranges = [(one, found) for one in loop.sequences if (found := _range(_unfilled(one, loop))) is not None]
    rows: dict[Variable, Variable] = {}
    for sequence, found in ranges:
        spec = sequence.spec
        counter = Variable(TensorType("int64"), name=spec.name)
        for tap, row in zip(spec.taps, sequence.rows, strict=True):
            rows[row] = ops.cast(counter + found.step * (tap - spec.low), row.dtype)
        stride = -found.step if op.go_backwards else found.step
        counted = Recurrence((-1,), SavedSteps(last=0), spec.name, windowed=False)
        loop.recurrences.append(RecurrenceSlot(counted, _start(op, spec, found), [counter], counter + stride))
        loop.sequences.remove(sequence)
        loop.notes.append(f"{spec.name}, a range, is counted in the carry")
    loop.substitute(rows)
    return [(sequence.spec, found) for sequence, found in ranges]


def _unfilled(sequence: SequenceSlot, loop: ScanBuilder) -> Variable:
    """What a loop reads of which so many rows count as it has steps, without what was put behind them."""
    node = sequence.outer.owner
    if node is None or not isinstance(node.op, TableOp) or node.op.row != "fill_rows" or sequence.spec.span:
        return sequence.outer
    return node.inputs[0] if loop.op.dynamic and node.inputs[1] is loop.n_steps[0] else sequence.outer


def _start(op: Scan, spec: SequenceInput, found: _Range) -> Variable:
    """What the first step reads at the lowest place of its taps."""
    if not op.go_backwards:
        return found.start
    last: Variable = found.length - (spec.span + 1)
    return found.start + last * found.step


def _reads_few(node: Apply, op: Scan, graph: Graph) -> bool:
    """Whether last rows, single steps and sums are all that is read of a loop."""
    for position, (output, stack) in enumerate(zip(op.outputs, node.outputs, strict=False)):
        if not output.saved.all or stack in graph.outputs:
            return False
        for reader in graph.readers.get(stack, []):
            if (
                last_rows(reader, stack, slices=not op.until) is None
                and accumulator_of(reader, stack, position) is None
            ):
                return False
    return True
