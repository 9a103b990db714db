"""Tap windows: adjacent taps that a step joins are one array: of a state in the carry, of a sequence a slice.

An autoregression on its last 20 values reads 20 taps and joins them again::

    x = scan(lambda e_t, *past: w @ stack(past) + e_t, e, taps -1 to -20)
    ->
    _, x = scan(lambda e_t, past: (concatenate(past[1:], [x_t]), x_t := w @ past[::-1] + e_t), e)

XLA on CPU computes many of the taps, and the parts of the gradient of a join, by a kernel each. Under no derivative the
rows of the window are kept in a stack, so that a step moves none of them (``lower/loops/history.py``). Measured for
such a loop on one core (jax 0.10.2, float64), times as fast as with a value for each tap:

| values of the state, taps | 1, 5 | 1, 10 | 1, 20 | 1, 50 | 8, 5 | 8, 20 | 100, 20 | 1,000, 5 | 1,000, 20 |
|---|---|---|---|---|---|---|---|---|---|
| all steps | 0.8 | 1.0 | 37 | 22 | 0.9 | 9.0 | 3.4 | 0.9 | 1.5 |
| gradient | 8.4 | 14 | 16 | 12 | 2.5 | 4.8 | 1.9 | 1.3 | 1.5 |

Under reverse mode a sum of taps, each times a number that is the same at every step, is a product with the window, as
if the program had joined them. Its gradient is 1.0 to 8 times as fast, from 5 taps on; all steps without a gradient,
which XLA computes by one kernel, between 0.6 and 1.3 times, so that such a sum stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from loopjax.ir.graph import Apply, Constant, Variable
from loopjax.ir.index import index_op, static_read
from loopjax.ir.op import table_op
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import Recurrence, SavedSteps, Scan
from loopjax.rewrite.driver import Context, Pass, Replacement, replace_all
from loopjax.rewrite.reassociate import Term, sums, total
from loopjax.rewrite.scan_builder import RecurrenceSlot, ScanBuilder, SequenceSlot, scan_builder
from loopjax.rewrite.vectorize_states import stacked


@dataclass(frozen=True)
class CarryWindows(Pass):
    """Carries the window of a state whose taps a step joins, and slices a sequence.

    Attributes
    ----------
    least_taps, least_stored
        CPU: taps that are joined, from which one array is faster; and those under reverse mode.
    most_untapped
        Values of the window for each tap, at most: all of it moves at every step.
    """

    least_taps: int = 10
    least_stored: int = 5
    most_untapped: int = 2

    def rewrite_scan(self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        least = self.least_stored if context.reversed else self.least_taps
        states = [self._is_dense(one.taps, one.depth, least) for one in op.recurrences]
        slides = not (context.differentiated or op.dynamic or op.n_steps is None or op.go_backwards or op.counts_down)
        sequences = [slides and self._is_dense(one.taps, np.ptp(one.taps) + 1, least) for one in op.sequences]
        if not self.target.on_cpu or not any((*states, *sequences)):
            return None
        loop = scan_builder(node, inputs)
        dense = [state for state in compress(loop.recurrences, states) if not state.value.type.weak]
        for state in dense if context.reversed else ():
            _multiply_taps(loop, state, least)
        windows = [_slide_window(loop, sequence, least) for sequence in compress(loop.sequences, sequences)]
        windows += [_carry_window(loop, state, least) for state in dense]
        return loop.outputs_for(node) if any(windows) else None

    def _is_dense(self, taps: Sequence[int], depth: int, least: int) -> bool:
        return len(taps) >= least and depth <= self.most_untapped * len(taps)


def _multiply_taps(loop: ScanBuilder, state: RecurrenceSlot, least: int) -> None:
    """Write a sum of taps, each times a number that is the same at every step, as a product with what joins them."""
    rows, new, body = _rows(state), dict[Variable, Variable](), loop.body
    captured = {one.inner: one.outer for one in loop.non_sequences}
    for result, terms in sums(body).items():
        pairs = [_weighted(term, rows, captured) for term in terms]
        found = sorted(filter(None, pairs), key=lambda pair: rows[pair[0]])
        if len(found) < least:
            continue
        taps, weights = zip(*found, strict=True)
        rest = [term for term, pair in zip(terms, pairs, strict=True) if pair is None]
        join = stacked(taps, 0)
        if join.owner and _together(_runs(join.owner, rows)) >= least:
            matrix = ops.reshape(join, (len(taps), -1)) if join.ndim > 2 else join
            product = ops.reshape(ops.matmul(loop.capture(stacked(weights, 0)), matrix), taps[0].type.sizes)
            new[result] = total([*rest, Term(product, False)], result)
    loop.set_results(replace_all(body, new).outputs)


def _weighted(
    term: Term, rows: Mapping[Variable, int], captured: Mapping[Variable, Variable]
) -> tuple[Variable, Variable] | None:
    """Return the tap of a term, and outside of the loop its factor; ``None`` for another term."""
    node, dtype = term.value.owner, term.value.dtype
    one = Constant(np.ones((), dtype))
    factors = node.inputs if node is not None and node.op.named("mul") else (term.value, one)
    for tap, factor in (factors, factors[::-1]):
        weight = Constant(factor.data.astype(dtype)) if isinstance(factor, Constant) else captured.get(factor)
        if tap in rows and tap.type == term.value.type and weight is not None and weight.type == one.type:
            return tap, ops.neg(weight) if term.negative else weight
    return None


def _rows(state: RecurrenceSlot) -> dict[Variable, int]:
    """The taps of a state with their rows in its window."""
    return {past: state.spec.depth + tap for past, tap in zip(state.pasts, state.spec.taps, strict=True)}


def _carry_window(loop: ScanBuilder, state: RecurrenceSlot, least: int) -> bool:
    """Replace a state by its window, where a step joins enough of its taps; return whether."""
    depth, name, rows = state.spec.depth, state.spec.name, _rows(state)
    runs = _joined_runs(loop, rows, least)
    if not runs:
        return False
    window = Variable(state.pasts[0].type.stacked(depth), name=name)
    loop.make_output(state, state.value)
    row = ops.dimshuffle(state.value, "x", *range(state.value.ndim))
    after = _joined([static_read(window, slice(1, None)), row], 0)
    first = state.initial if state.initial.type.sizes[0] == depth else static_read(state.initial, slice(0, depth))
    spec = Recurrence((-1,), SavedSteps(last=0), name, windowed=False)
    loop.recurrences.append(RecurrenceSlot(spec, first, [window], after))
    _read_rows(loop, window, rows, runs)
    loop.notes.append(f"tap_windows: the last {depth} values of {name or 'a state'} are one array")
    return True


def _slide_window(loop: ScanBuilder, sequence: SequenceSlot, least: int) -> bool:
    """Replace a sequence by slices of the array, where a step joins enough of its taps; return whether.

    Not under a derivative: that of a slice has the size of the array at every step.
    """
    taps, name = sequence.spec.taps, sequence.spec.name
    rows = {row: tap - min(taps) for row, tap in zip(sequence.rows, taps, strict=True)}
    runs = _joined_runs(loop, rows, least)
    if not runs:
        return False
    depth = max(rows.values()) + 1
    start = loop.row_of(Constant(np.arange(loop.op.n_steps or 0)), "first")
    op = table_op("window", axes=(0,), lengths=(depth,), inner=True)
    window = Apply(op, [loop.capture(sequence.outer), start], ()).outputs[0]
    _read_rows(loop, window, rows, runs)
    loop.drop_unread()
    loop.notes.append(f"tap_windows: a step reads {depth} rows of {name or 'a sequence'} at once")
    return True


Runs = Mapping[Apply, Sequence[Variable | range]]
"""The inputs of each join, where they are taps as ranges of the rows of a window."""


def _joined_runs(loop: ScanBuilder, rows: Mapping[Variable, int], least: int) -> Runs:
    """Return the joins of a step that have enough taps beside one another."""
    runs = {join: _runs(join, rows) for join in loop.body.applies if join.op.named("join")}
    return {join: parts for join, parts in runs.items() if _together(parts) >= least}


def _read_rows(loop: ScanBuilder, window: Variable, rows: Mapping[Variable, int], runs: Runs) -> None:
    """Read the taps of a step from a window."""

    def read_together(node: Apply, inputs: tuple[Variable, ...]) -> Replacement:
        if node not in runs:
            return None
        new = dict(zip(node.inputs, inputs, strict=True))
        parts = [_read(window, part, node) if isinstance(part, range) else new[part] for part in runs[node]]
        return [_joined(parts, node.op.arguments["axis"])]

    loop.transform(read_together)
    loop.substitute({tap: static_read(window, row) for tap, row in rows.items()})


def _runs(join: Apply, rows: Mapping[Variable, int]) -> list[Variable | range]:
    """Return the inputs of a join, evenly spaced rows of the window as ranges of their numbers."""
    axis = join.op.arguments["axis"]
    found: list[Variable | range] = []
    for part in join.inputs:
        tap, before = _row(part, axis), found[-1] if found else None
        row = rows.get(tap) if tap is not None else None
        if row is None:
            found.append(part)
        elif isinstance(before, range) and (step := row - before[-1]) and (len(before) == 1 or step == before.step):
            found[-1] = range(before.start, row + step, step)
        else:
            found.append(range(row, row + 1))
    return found


def _together(parts: Sequence[Variable | range]) -> int:
    """Return the number of taps that are read together, each range after the first for one less."""
    return 1 + sum(len(part) - 1 for part in parts if isinstance(part, range))


def _row(part: Variable, axis: int) -> Variable | None:
    """Return the value that an input of a join has a new axis for, or that it joins end to end along the first axis."""
    node, rest = part.owner, range(part.ndim - 1)
    if node is None:
        return part if axis == 0 else None
    is_new = node.op.named("dimshuffle") and node.op.arguments["pattern"] == (*rest[:axis], None, *rest[axis:])
    return node.inputs[0] if is_new else None


def _read(window: Variable, run: range, join: Apply) -> Variable:
    """Return rows of the window as the join has them: along a new axis, or end to end."""
    axis = join.op.arguments["axis"]
    rows = static_read(window, slice(run.start, None if run.stop < 0 else run.stop, run.step))
    if join.outputs[0].ndim == rows.ndim:
        return ops.dimshuffle(rows, *range(1, axis + 1), 0, *range(axis + 1, rows.ndim)) if axis else rows
    return ops.reshape(rows, (len(run) * rows.type.sizes[1], *rows.type.sizes[2:]))


def _joined(parts: Sequence[Variable], axis: int) -> Variable:
    return parts[0] if len(parts) == 1 else Apply(table_op("join", axis=axis), parts, ()).outputs[0]


def shifted_row(op: Scan, position: int) -> Variable | None:
    """Return the newest row of a state that is a window, shifted by a row at each step; ``None`` for another state."""
    if position >= len(op.recurrences) or op.recurrences[position].saved.last != 0:
        return None
    pasts, join = op.body_inputs(op.body.inputs).taps[position], op.body.outputs[position].owner
    if len(pasts) > 1 or join is None or not join.op.named("join") or len(join.inputs) != 2:
        return None
    kept, row = (part.owner for part in join.inputs)
    if kept is None or row is None or kept.op != index_op([slice(1, None)], pasts[0].ndim) or kept.inputs != pasts:
        return None
    is_row = row.op.named("dimshuffle") and row.op.arguments["pattern"] == (None, *range(pasts[0].ndim - 1))
    return row.inputs[0] if is_row else None
