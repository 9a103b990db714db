"""Loop unrolling: steps per iteration of a loop that runs step by step on a CPU; for GPUs see ``gpu_unroll``.

A step of a few cheap ops costs less than an iteration around it, but an iteration of many steps may leave the regime in
which XLA compiles it well. The factor is read off a table of measurements, by the bytes that a body touches: a scalar
``h * a + x`` whose steps are stacked touches 32 + 8 bytes of a row and 2 * 8 + 44 of the stack, so that 8 steps fit in
1,024. Under a derivative, the results of all ops but sums count as stacks too: residuals. Known limit: the table knows
kinds of bodies, not single ops; ``mode="tune"`` measures a program itself.

Measured on a two-core CPU, jax 0.10.2, float64, times as fast as one step an iteration:

| body | 4 | 8 | 16 | 32 |
|---|---|---|---|---|
| one value, stacked: multiply and add a row; divide; tanh | 1.3; 2.4; 1.03 | 1.5; 2.8; 1.05 | 0.2; 0.6; 0.3 | |
| one value, carried: the same | 1.7; 2.8; 1.2 | 1.8; 4.1; 1.25 | 1.9; 4.1; 1.2 | |
| two values, stacked, rows read: tanh both; tanh and sin (2 steps: 1.0; 1.07) | 1.0; 0.8 | 0.2; 0.2 | | |
| 10 values, carried: the same | 1.7; 3.1; 0.6 | 2.2; 3.3; 0.5 | 0.8; -; 0.4 | |
| 64 and 1e5 values, carried, and a row read: multiply and add | 0.5 and 1.5 | 1.6 and 0.15 | 0.6 and 0.1 | |
| 64, 1,000 and 1e5 values, carried, no row read: multiply | | 4.2, 4.9, 4.8 | 6.0, 5.2, 4.8 | 7.2, -, 5.8 |
| the same: 3 ops | 2.7, 1.4, 1.6 | 2.6, 1.3, 0.9 | 2.2, 0.7, 1.0 | |
| the same: 5 ops (2 steps: 1.6, 1.1, 1.3) | 2.0, 1.1, 1.0 | 2.1, 0.5, 1.0 | | |
| the same: 8 ops (2 steps: 1.4, 1.0, 1.0) | 1.8, 1.0, 0.8 | 1.6, 0.6, 0.8 | | |
| the same: 12 ops (2 steps: 1.3, 0.9, 0.7) | 1.1, 0.3, 0.9 | 0.8, 0.5, 0.8 | | |
| the same: exp | | 0.9, 0.7, 1.3 | 0.9, 0.7, 2.7 | |
| 10, 16 and 64 values, carried, and a row read: tanh | 0.5, 1.7, 0.2 | | | |
| 16, 64, 256 values, carried, a row read, and summed: multiply and add (2: 0.4, 1.9, 2.5) | 0.5, 1.7, 2.6 | | | |
| the same, float32 (2: 0.4, 0.9, 0.6) | 0.5, 0.9, 0.5 | | | |
| 16, 64 and 256 values, carried, a row read, and summed: tanh | 0.7, 1.6, 1.6 | -, 0.6, - | | |
| 10, 64 and 1,000 values, stacked: multiply and add | 0.5, 0.6, 0.9 | 0.5, 0.6, 0.7 | | |
| vector of 64 times a matrix, stacked | 0.6 | 0.7 | | |
| gradient of one value: multiply and add; tanh | 2.0; 1.3 | 2.2; - | | |
| gradient of a GARCH likelihood, two states by ``log`` and divisions (2 steps: 1.1; 0.13) | 0.26; 0.2 | | | |
| gradient of 10 values, of a vector times a matrix | 0.5, 0.3 | | | |
| gradient of two values that depend on one another, by `logaddexp` and a maximum | 0.2 | 0.2 | | |
| 20,000 values, carried, a row read, and summed: 3 cheap ops (2 steps: 0.5) | 0.3 | 0.3 | | |
| past values 1 and 4 back, 64 and 1,000 values: multiply and add | 8.0, 2.5 | | | |
| past values 1 and 4 back, 64 and 256 values times a matrix each | 2.4, 1.1 | | | |
| the gradient of the first, its matrices deferred, not deferred | 1.3, 0.9 | 1.1, 0.8 | | |

Three effects show in it. XLA compiles a loop that touches less than a kilobyte an iteration into one function, in which
a step costs nanoseconds; several steps of scalars still fit, of more values or stacks soon not. Steps of cheap
elementwise ops become one kernel that reads and writes the carry once; but where it reads rows of sequences or computes
functions such as ``tanh``, it is no longer vectorised. And a window of past values is moved along by copies, which
vanish where as many steps as it is deep are written out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from loopjax.ir.plan import History
from loopjax.ir.scan import Scan
from loopjax.ir.types import TensorType
from loopjax.rewrite.cost_model import is_small_body, size_bytes, step_cost
from loopjax.rewrite.loop_products import loop_products
from loopjax.rewrite.target import Derivative

FUSED_LOOP_BYTES = 1024
"""Bytes that an iteration touches, up to which XLA on CPU compiles a loop into one function."""

ROW_BYTES, STACK_BYTES = 32, 44
"""Bytes that XLA counts for the indices of a row that is read, and of a row that is written, besides its own bytes."""

STORED_BYTES = 700
"""Bytes of a step of scalars with past values, residuals included, up to which two steps fit in that function. Measured
for gradients of 10 filters, time of one step an iteration over that of two: 240 to 600 bytes 1.1 to 1.5, 790 0.2. Four
steps took up to 18 times as long as two."""

FEW_STEPS = 64
"""Steps of an inner loop up to which the time to begin a second loop, 0.4 us, is more than unrolling gains."""

ACCUMULATED = range(64, 1025, 16)
"""Numbers of values of a state for which several steps pay beside accumulators: those that fill whole registers."""

FEW_VALUES = 256
"""Values of a state up to which steps that read only the carry are unrolled to more ops."""


def steps_per_iteration(op: Scan, storage: Sequence[History], n_steps: int | None, derivative: Derivative) -> int:
    """Return the unroll factor of a sized loop of ``n_steps``, ``None`` where only the run decides."""
    step = op.results([variable.type for variable in op.body.outputs])
    types = [*step.recurrences, *step.maps]
    stacked = [type for type, output in zip(types, op.outputs, strict=True) if output.saved.last is None]
    count = 1
    if not any(history.kind in ("ring", "array") for history in storage):
        if is_small_body(op):
            count = _for_elementwise(op, types, stacked, derivative)
        if count == 1:
            count = _for_windows(op, storage, derivative)
    return min(count, n_steps) if n_steps is not None else count


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


def _for_elementwise(op: Scan, types: list[TensorType], stacked: list[TensorType], derivative: Derivative) -> int:
    """The factor of a small elementwise body, by the bytes that an iteration touches."""
    rows = [type for group in op.body_inputs([v.type for v in op.body.inputs]).slices for type in group]
    if derivative != "none":
        stacked = [*stacked, *(node.outputs[0].type for node in op.body.applies if not node.op.named("add", "sub"))]
    states = 2 * size_bytes(types[: len(op.recurrences)]) if len(op.recurrences) > 1 else 0
    touched = states + size_bytes(rows) + ROW_BYTES * len(rows) + 2 * size_bytes(stacked) + STACK_BYTES * len(stacked)
    fits = FUSED_LOOP_BYTES // max(touched, 1)
    scalars = all(type.ndim == 0 for type in (*types, *rows))
    if derivative != "none":
        return _power(min(fits, 4)) if scalars and len(op.recurrences) == 1 else 1
    cheap = all(node.op.has("cheap") for node in op.body.applies)
    if scalars:
        most = 8 if touched else _for_carry(op, 1)
        return _power(min(fits, most if cheap or len(types) == 1 else 2))
    if stacked:
        return 1
    if op.accumulators:
        return _for_accumulators(op, types, cheap)
    if not cheap:
        return 1
    if rows:
        return _power(min(fits, 8)) if fits >= 4 else 1
    return _for_carry(op, max(math.prod(type.sizes) for type in types))


def _for_accumulators(op: Scan, types: list[TensorType], cheap: bool) -> int:
    """The factor of a body beside accumulators.

    XLA on CPU up to jaxlib 0.10 adds float64 arrays in small parts that go through the stack, and waits for each,
    unless more is done to them in one kernel (openxla/xla#42432).
    """
    plain = all(spec.monoid is not None and spec.monoid.reduce is not None for spec in op.accumulators)
    if not plain or max(math.prod(type.sizes) for type in types) not in ACCUMULATED:
        return 1
    if not cheap:
        return 4
    return 2 if any(type.dtype == "float64" for type in types) else 1


def _for_carry(op: Scan, values: int) -> int:
    """The factor of a body that reads only the carry: as many steps as make a number of ops, smaller for many
    values."""
    ops = max(len(op.body.applies), 1)
    if values == 1 or ops == 1:
        return _power(min(max(64 // ops, 8), 32))
    return _power((32 if values <= FEW_VALUES else 16) // ops)


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
    return 2 if depth == 2 else 4


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
