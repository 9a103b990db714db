"""Loop unrolling: steps per iteration of a loop that runs step by step on a CPU; for GPUs see ``gpu_unroll``.

A step of a few cheap ops costs less than an iteration around it, but an iteration of many steps may leave the regime in
which XLA compiles it well. Without a derivative, the factor is the one for which ``loop_kernels`` predicts the least
time of a step; several steps are read and written row by row (``lower/loops/while_loop.py``), since ``lax.scan`` reads
them as one block, which XLA on CPU does in a function whose kernels are not vectorised.

Measured for 313 generated loops (``loopjax.calibrate``, seeds from 44000 on; kernels in a queue were priced lower
then) at 1, 2, 4 and 8 steps: the time of the
factor chosen over that of the best, median 1.00, 95th percentile 1.30, geometric mean 1.06; of one step an iteration
1.05, 1.96 and 1.18.

Under a derivative several steps gain for scalars, whose residuals must fit too, and rarely elsewhere. Measured on a
two-core CPU, jax 0.10.2, float64, times as fast as one step an iteration:

| body | 4 | 8 |
|---|---|---|
| gradient of one value: multiply and add; tanh | 2.0; 1.3 | 2.2; - |
| gradient of a GARCH likelihood, two states by ``log`` and divisions (2 steps: 1.1; 0.13) | 0.26; 0.2 | |
| gradient of 10 values, of a vector times a matrix | 0.5, 0.3 | |
| gradient of two values that depend on one another, by `logaddexp` and a maximum | 0.2 | 0.2 |
| past values 1 and 4 back, 64 and 1,000 values: multiply and add | 8.0, 2.5 | |
| past values 1 and 4 back, 64 and 256 values times a matrix each | 2.4, 1.1 | |
| the gradient of the first, its matrices deferred, not deferred | 1.3, 0.9 | 1.1, 0.8 |

A window of past values is moved along by copies, which vanish where as many steps as it is deep are written out: as
far as these are one function, where one step is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from loopjax.ir.plan import History
from loopjax.ir.scan import Scan
from loopjax.rewrite.cost_model import CACHED_BYTES, bytes_of, is_pointwise, is_small_body, size_bytes, step_cost
from loopjax.rewrite.loop_kernels import DIVISIONS, FUSED_LOOP_BYTES, HANDOFF_NS, Iteration, iteration
from loopjax.rewrite.loop_products import loop_products
from loopjax.rewrite.target import Derivative

ROW_BYTES, STACK_BYTES = 32, 44
"""Bytes that XLA counts for the indices of a row that is read, and of a row that is written, besides its own bytes."""

FEW_RESIDUALS, MOST_RESIDUALS, MANY_STEPS = 64, 64, 100
"""Values of a state, and ops of an iteration, up to which several steps under a derivative gain, and steps from which
they do."""

STORED_BYTES = 700
"""Bytes of a step of scalars with past values, residuals included, up to which two steps fit in that function. Measured
for gradients of 10 filters, time of one step an iteration over that of two: 240 to 600 bytes 1.1 to 1.5, 790 0.2. Four
steps took up to 18 times as long as two."""

WINDOW_READS = 4
"""Times that an iteration reads and writes its windows. Measured for 42 bodies of 2 to 32 values, 2 to 4 deep, at 1, 2
and 4 steps: several steps that are no longer one function, where one step is, take 1.5 to 3.4 times as long, and those
of an equalizer 9 times."""

FEW_STEPS, SECOND_LOOP_NS = 64, 400.0
"""Time to begin a second loop, of the steps that are left over, and steps of an inner loop up to which it is more than
unrolling gains."""

MOST_OPS = {2: 96, 4: 96, 8: 96, 16: 32, 32: 32}
"""The factors tried, each with the ops of an iteration up to which it is: XLA takes some ms to compile each."""

FEW_VALUES = 4
"""Values of a state up to which several steps of a loop that is one function gain: its kernels are not vectorised."""

MARGIN, LESS = 1.07, 1.05
"""Ratio of the times predicted from which several steps are taken, and up to which fewer of them are."""


def steps_per_iteration(
    op: Scan, storage: Sequence[History], n_steps: int | None, derivative: Derivative, around: Scan | None = None
) -> int:
    """Return the unroll factor of a sized loop of ``n_steps``, ``None`` where only the run decides, in the body of the
    loop ``around``, where there is one."""
    count = 1
    if not any(history.kind in ("ring", "array") for history in storage):
        of_scalars = _of_scalars(op, derivative)
        if of_scalars is not None:
            count = of_scalars
        elif derivative != "none":
            count = _of_states(op, n_steps)
        elif max((history.size for history in storage), default=0) <= 1:
            count = _fastest(op, n_steps, around is None)
        if count == 1:
            count = _for_windows(op, storage, derivative)
    count = min(count, n_steps) if n_steps is not None else count
    return within_fused_loop(around, op, n_steps, count) if around else count


def _fastest(op: Scan, n_steps: int | None, is_program: bool) -> int:
    """The factor that the model finds fastest for a loop of ``n_steps``, which is most of a program or within one."""
    steps = n_steps or 10**6
    plain = all(spec.monoid is not None and spec.monoid.reduce is not None for spec in op.accumulators)
    in_part = any(output.saved.steps is not None or output.saved.every > 1 for output in op.outputs)
    counts = [count for count, most in MOST_OPS.items() if count * len(op.body.applies) <= most and count <= steps]
    # Products, reductions, and what puts elements elsewhere lose as often as they gain.
    if op.samples is not None or in_part or not (is_pointwise(op.body) and plain and counts):
        return 1
    if steps * _row_bytes(op) > CACHED_BYTES:
        return 1
    once = iteration(op, 1)
    if once.is_one_function and not _is_smooth(op):
        return 1

    def total(several: Iteration) -> float:
        whole, rest = divmod(steps, several.steps)
        left_over = rest * once.time + SECOND_LOOP_NS if rest else 0.0
        return whole * several.time + left_over + HANDOFF_NS * (is_program and several.is_handed_over)

    times = {count: total(iteration(op, count)) for count in counts}
    least = min(times.values())
    if total(once) < MARGIN * least:
        return 1
    return next(count for count, time in times.items() if time <= LESS * least)


def _row_bytes(op: Scan) -> int:
    """Bytes that a step reads of sequences and writes to stacks. Where these are more than the cache holds, several
    steps are no faster: 256 float64 values, a row read, take 3 times as long for two as for one."""
    step = op.results([variable.type for variable in op.body.outputs])
    written = zip([*step.recurrences, *step.maps], op.outputs, strict=True)
    rows = [variable.type for group in op.body_inputs(op.body.inputs).slices for variable in group]
    return size_bytes([*rows, *(type for type, output in written if output.saved.last is None)])


def _is_smooth(op: Scan) -> bool:
    """Return whether several steps of a loop that is one function cost no more than one: of few values."""
    outputs = [output for node in op.body.applies for output in node.outputs]
    return all(math.prod(output.type.sizes) <= FEW_VALUES for output in outputs)


def within_fused_loop(around: Scan, op: Scan, n_steps: int | None, count: int) -> int:
    """Return the unroll factor of a loop in the body of another: 1 where only then XLA compiles both into one function.

    An iteration reads and writes its values once, however many steps it has; steps that are left over are a second
    loop. Measured for 10 steps of 4 to 64 float32 values in each of 2,000 steps: they are one function where these
    bytes fit, and a step of the outer loop then takes 0.1 us, elsewhere 0.5.
    """
    once = step_cost(op).bytes
    others = step_cost(around).bytes - (op.n_steps or 1) * once
    loops = 2 if n_steps is None or n_steps % count else 1
    is_long = op.n_steps is not None and op.n_steps > FEW_STEPS
    is_split = others + 2 * once <= FUSED_LOOP_BYTES < others + 2 * loops * once
    return 1 if is_split and not is_long else count


def _of_scalars(op: Scan, derivative: Derivative) -> int | None:
    """The factor of a small body of scalars, by the bytes that an iteration touches; ``None`` for another.

    Under a derivative the results of all ops but sums count as stacks too: residuals.
    """
    step = op.results([variable.type for variable in op.body.outputs])
    rows = [type for group in op.body_inputs([v.type for v in op.body.inputs]).slices for type in group]
    types = [*step.recurrences, *step.maps]
    if not is_small_body(op) or any(type.ndim for type in (*types, *rows)):
        return None
    stacked = [type for type, output in zip(types, op.outputs, strict=True) if output.saved.last is None]
    if derivative != "none":
        stacked += [node.outputs[0].type for node in op.body.applies if not node.op.named("add", "sub")]
    states = 2 * size_bytes(types[: len(op.recurrences)]) if len(op.recurrences) > 1 else 0
    touched = states + size_bytes(rows) + ROW_BYTES * len(rows) + 2 * size_bytes(stacked) + STACK_BYTES * len(stacked)
    fits = FUSED_LOOP_BYTES // max(touched, 1)
    if derivative != "none":
        return _power(min(fits, 4)) if len(op.recurrences) == 1 else 1
    if not touched:
        return _power(min(max(64 // max(len(op.body.applies), 1), 8), 32))
    is_cheap = all(node.op.has("cheap") for node in op.body.applies)
    return _power(min(fits, 8 if is_cheap or len(types) == 1 else 2))


def _of_states(op: Scan, n_steps: int | None) -> int:
    """The factor of a cheap body of several small states under a derivative, whose kernels, with the residuals that
    they write, are no single function: their launches take most of the time.

    Measured for 22 generated loops of at least 100 steps: 20 were 1.2 to 3.6 times as fast, 2 half as fast; of bodies
    with functions or divisions, and of shorter ones, one in three was slower.
    """
    values = [output for node in op.body.applies for output in node.outputs]
    is_cheap = all(node.op.has("cheap") and not node.op.named(*DIVISIONS) for node in op.body.applies)
    is_small = all(math.prod(value.type.sizes) <= FEW_RESIDUALS for value in values)
    if op.samples is not None or len(op.recurrences) < 2 or not (is_cheap and is_small) or (n_steps or 0) < MANY_STEPS:
        return 1
    residuals = bytes_of(node.outputs[0] for node in op.body.applies if not node.op.named("add", "sub"))
    if iteration(op, 1).touched + 2 * residuals < FUSED_LOOP_BYTES:
        return 1
    return max(count for count in (1, 2, 4) if count == 1 or count * len(values) <= MOST_RESIDUALS)


def _for_windows(op: Scan, storage: Sequence[History], derivative: Derivative) -> int:
    """The factor of a loop with past values: the depth of the deepest window, so that none is moved along. Not where
    the backward loop writes a matrix's gradient at every step."""
    depth = max((history.size for history in storage), default=0)
    if depth < 2 or any(node.op.regions for node in op.body.applies):
        return 1
    if derivative != "none" and _writes_matrix(op):
        return 1
    if derivative != "none" and all(variable.ndim == 0 for variable in op.body.outputs):
        return 2 if _stored_bytes(op) <= STORED_BYTES else 1
    count = 2 if depth == 2 else 4
    moved = sum(
        size_bytes([out.type]) * one.size for out, one in zip(op.body.outputs, storage, strict=False) if one.size > 1
    )
    once, windows = step_cost(op).bytes, WINDOW_READS * moved
    if derivative != "none" or once + windows >= FUSED_LOOP_BYTES:
        return count
    return max(fits for fits in (1, 2, 4) if fits <= count and (fits == 1 or fits * once + windows < FUSED_LOOP_BYTES))


def _stored_bytes(op: Scan) -> int:
    """Bytes that a step of scalars touches under a derivative, with the results of all ops but sums and reads."""
    rows = [row for group in op.body_inputs([v.type for v in op.body.inputs]).slices for row in group]
    stored = [node.outputs[0].type for node in op.body.applies if not node.op.named("add", "sub", "index")]
    stored += [one.type for one, output in zip(op.body.outputs, op.outputs, strict=False) if output.saved.last is None]
    states = 2 * size_bytes(variable.type for variable in op.body.outputs[: len(op.recurrences)])
    return states + size_bytes(rows) + ROW_BYTES * len(rows) + 2 * size_bytes(stored) + STACK_BYTES * len(stored)


def _writes_matrix(op: Scan) -> bool:
    """Return whether a matrix gets a part of its gradient at every step (see ``weight_gradients``)."""
    readers = [op.body.readers.get(product.output, []) for product in loop_products(op)]
    return any([reader.op.name for reader in each] != ["tapped"] for each in readers)


def _power(count: int) -> int:
    """The largest power of two up to a number."""
    return 1 << (max(count, 1).bit_length() - 1)
