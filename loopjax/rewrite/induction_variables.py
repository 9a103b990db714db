"""Induction variables: a range that a loop reads as a sequence is computed from a counter in its carry.

``arange(n)`` as a sequence of a loop becomes a state that grows by the range's step. A range that goes backwards, or is
read at several taps, is the counter plus a constant::

    scan(lambda i, h: h + i, sequences=arange(n))  ->  scan(lambda h, i: (h + i, i + 1), initials=(h, 0), n_steps=n)

Then nothing in the loop has a length, and one compiled loop serves every ``n``. Limits: ranges of integers, and of
floats that represent them exactly, whose step is a number; not under a derivative, which stores steps; not in loops
whose steps need no other, which run all at once.
"""

from __future__ import annotations

from typing import NamedTuple

from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.op import table_op
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import Recurrence, SavedSteps, Scan, SequenceInput
from loopjax.ir.types import TensorType
from loopjax.rewrite.cost_model import is_small_body
from loopjax.rewrite.demand import last_rows
from loopjax.rewrite.driver import Context, Pass, Replacement
from loopjax.rewrite.reduction_fusion import accumulator_of
from loopjax.rewrite.scan_builder import RecurrenceSlot, ScanBuilder, scan_builder


class ComputeInductionVariables(Pass):
    """Counts ranges in loops of unknown length whose outputs are read only by last rows, single steps and reductions.

    The length of a range is computed without the range.
    """

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        if context.differentiated:
            return graph

        def transform(node: Apply, inputs: tuple[Variable, ...]) -> Replacement:
            if isinstance(node.op, Scan):
                return _with_counters(node, node.op, inputs, graph)
            if node.op.named("dim"):
                found = _range(inputs[0])
                return None if found is None else (found.length,)
            return None

        return graph.rebuilt(transform=transform)


class ComputeSizedInductionVariables(Pass):
    """Counts ranges in loops of scalars of known length that no derivative encloses, whatever is saved of them.

    A range of a million integers is written and read again for 7 ms; counted in the carry of a loop that XLA compiles
    into one function, it costs nothing. In other loops one more carry is one more kernel at each step.
    """

    def rewrite_scan(self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        if not self.target.on_cpu or context.differentiated or not _is_of_scalars(op):
            return None
        loop = scan_builder(node, inputs)
        return loop.outputs_for(node) if _count_ranges(loop) else None


def _is_of_scalars(op: Scan) -> bool:
    """Return whether a loop steps through few ops on scalars."""
    # The first step of a dynamic loop that goes backwards depends on the run.
    is_open = op.until or op.checkpoint or (op.dynamic and op.go_backwards)
    if is_open or not (op.recurrences or op.accumulators) or not op.n_steps:
        return False
    return is_small_body(op) and all(variable.ndim == 0 for variable in (*op.body.inputs, *op.body.outputs))


class _Range(NamedTuple):
    """A range of numbers; its step is known."""

    start: Variable
    step: int
    length: Variable


def _range(variable: Variable) -> _Range | None:
    """Return the bounds of a range of integers, or of floats that are integers."""
    node = variable.owner
    if node is None or not node.op.named("arange"):
        return None
    symbolic = iter(node.inputs)
    start, stop, step = (one if one is not None else next(symbolic) for one in node.op.arguments["lengths"])
    if not isinstance(step, int) or step == 0:
        return None
    # Floats represent all integers up to this bound.
    most = {"float32": 2**24, "float64": 2**53}.get(variable.dtype, 0)
    is_exact = all(isinstance(one, int) and abs(one) <= most for one in (start, stop, step))
    if not variable.type.is_integer and not is_exact:
        return None
    first, last = (ops.cast(one, "int64") for one in (start, stop))
    span = last if isinstance(start, int) and start == 0 else last - first
    if step < 0:
        span = -span
    if abs(step) > 1:
        span = (span + (abs(step) - 1)) // abs(step)
    return _Range(first, step, ops.maximum(span, 0))


def _with_counters(node: Apply, op: Scan, inputs: tuple[Variable, ...], graph: Graph) -> Replacement:
    """Return the outputs of a loop with its ranges counted; ``None`` where that would gain nothing."""
    if op.n_steps is not None or not op.recurrences or not _is_read_little(node, op, graph):
        return None
    loop = scan_builder(node, inputs)
    ranges = _count_ranges(loop)
    if not ranges:
        return None
    needs = tuple((spec.name, spec.span) for spec, _ in ranges)
    steps = table_op("trip_count", scan=op.label, needs=needs)
    loop.n_steps = list(Apply(steps, [*loop.n_steps, *(found.length for _, found in ranges)], node.sources).outputs)
    return loop.outputs_for(node)


def _count_ranges(loop: ScanBuilder) -> list[tuple[SequenceInput, _Range]]:
    """Replace the ranges among the sequences by counters, and return the sequences that went."""
    op = loop.op
    ranges = [(slot, found) for slot in loop.sequences if (found := _range(slot.outer)) is not None]
    rows: dict[Variable, Variable] = {}
    for slot, found in ranges:
        spec = slot.spec
        counter = Variable(TensorType("int64"), name=spec.name)
        for tap, row in zip(spec.taps, slot.rows, strict=True):
            rows[row] = ops.cast(counter + found.step * (tap - spec.low), row.dtype)
        stride = -found.step if op.go_backwards else found.step
        counted = Recurrence((-1,), SavedSteps(last=0), spec.name, windowed=False)
        # The number that the first step reads at its lowest tap.
        start = found.start + (found.length - (spec.span + 1)) * found.step if op.go_backwards else found.start
        loop.recurrences.append(RecurrenceSlot(counted, start, [counter], counter + stride))
        loop.sequences.remove(slot)
        loop.notes.append(f"{spec.name}, a range, is counted in the carry")
    loop.substitute(rows)
    return [(slot.spec, found) for slot, found in ranges]


def _is_read_little(node: Apply, op: Scan, graph: Graph) -> bool:
    """Return whether a loop is read only by last rows, single steps and reductions."""
    for position, (output, stack) in enumerate(zip(op.outputs, node.outputs, strict=False)):
        if not output.saved.all or stack in graph.outputs:
            return False
        for reader in graph.readers.get(stack, []):
            is_last = last_rows(reader, stack, slices=not op.until) is not None
            if not is_last and accumulator_of(reader, stack, position) is None:
                return False
    return True
