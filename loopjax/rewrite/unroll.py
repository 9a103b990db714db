"""Loop unrolling: steps per iteration of a loop that runs step by step on a CPU; for GPUs see ``gpu_unroll``.

An iteration takes 2 to 4 ns besides its steps, which several cheap steps on few values share. Several steps of more
values, or with functions, are kernels that XLA on CPU vectorises less. Measured for 4,000 steps (jaxlib 0.10.2,
float64, the last state read, each loop one function of XLA, see ``lower/small_loops.py``), microseconds by steps per
iteration:

| values and body | 1 | 2 | 4 | 8 | 16 |
|---|---|---|---|---|---|
| 1: multiply and add; the same and a row | 34; 36 | 24; 30 | 22; 27 | 20; 26 | 20; 25 |
| 1: 12 ops; a quotient | 52; 47 | 46; 41 | 44; 39 | 43; 37 | 41; 36 |
| 1, 2, 8: ``tanh`` | 101, 104, 181 | 96, 99, 245 | 93, 97, 340 | 92, 124, 456 | 95, 148, 151 |
| 8: multiply and add; the same and a row | 31; 39 | 26; 33 | 23; 31 | 21; 29 | 21; 28 |
| 8: 12 ops | 57 | 53 | 44 | 42 | 98 |
| 64: multiply and add; the same and a row | 55; 69 | 36; 59 | 29; 116 | 90; 134 | 86; 130 |
| 64: 12 ops; the same and a row | 78; 93 | 145; 170 | 181; 213 | 218; 266 | 277; 345 |
| 1,000: 12 ops | 1,032 | 1,220 | 1,672 | 2,388 | 3,315 |

Of 60 other loops of 2 to 8 values (sums and means of all elements among the ops, stacks, gradients), two steps an
iteration took 0.80 to 0.99 of the time of one, by kind in the mean, four 0.77 to 1.4.

XLA copies a state that another one takes over: of 50 other loops of cheap ops on 2 to 8 states of 9 to 60,000 values,
that are not stacked, one step an iteration took 1.2 times as long as two in the mean (0.74 to 2.4). Those of more than
about 16 ops lost; Runge and Kutta's fourth order took 1.3 times as long at two. Of 311 other ones with stacks, sums,
rolls or gathers, two steps took 0.90 of the time of one in the mean (0.15 to 2.9), with stacks and sums 1.06 from 25
values up to 8 kB.

Of 79 generated loops of scalars without a gradient, whose iterations have 65 to 80 ops at one factor and not at the
next, the larger one took 0.95 of the time of the smaller in the mean (0.78 to 1.12); of arrays 1.1.

Where a step leaves elements of a state as they are (``switch(c, new, h)``), LLVM makes masked stores, in which AMD's
processors are slow. The first of two steps an iteration stores elsewhere. Time of two over that of one: last state of
24 float32 values 0.6, 64 to 25,000 0.25 to 0.45, 200,000 0.35; float64 0.65 to 0.45; stacks 0.5 to 0.8; gradients 1.0,
and 3.5 for 15 ops.

A window of past values is moved along by copies, which vanish where as many steps as it is deep are written out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from loopjax.ir.graph import Apply
from loopjax.ir.plan import History
from loopjax.ir.scan import Scan
from loopjax.ir.types import TensorType
from loopjax.rewrite.cost_model import is_pointwise, moves_elements, size_bytes, step_cost
from loopjax.rewrite.loop_products import loop_products
from loopjax.rewrite.target import Derivative

FUSED_LOOP_BYTES = 1024
"""Bytes that an iteration touches below which XLA makes a loop one function by itself
(``small_while_loop_hoisting_pass.cc``)."""

ROW_BYTES, STACK_BYTES = 32, 44
"""Bytes that XLA counts for the indices of a row that is read, and of a row that is written, besides its own bytes."""

FEW_CARRIED, FEW_STACKED, MOST_OPS, MOST_SCALAR_OPS, MOST_WIDE_OPS, MOST_SMALL_OPS = 8, 2, 64, 80, 8, 8
"""Elements of an array up to which several steps gain, without a stack and with one, and ops of an iteration up to
which they do: of such arrays, of scalars, of larger arrays that are only carried, and of two steps of those between."""

MOST_TAKEN_OPS, MOST_KEPT_OPS, FEW_KEPT, LARGE_BYTES = 16, 10, 24, 2**13
"""Ops up to which two steps of states that take each other over gain; the same with stacks or sums of them, where they
gain for few elements, which LLVM writes out, and for states of many bytes, which an iteration reads once."""

INLINE_OPERATIONS, INLINE_STEPS = 1_000, 2_000
"""Operations of a program, an iteration of each loop, up to which XLA runs it on the thread that calls it
(``cheap_computation_`` of ``cpu_client.cc``), and steps of a loop that gains back the 25 us of another thread."""

EXPENSIVE = 2
"""Steps per iteration of scalars with functions."""

STORED_BYTES = 700
"""Bytes of a step of scalars with past values, residuals included, up to which two steps fit in that function. Measured
for gradients of 10 filters, time of one step an iteration over that of two: 240 to 600 bytes 1.1 to 1.5, 790 0.2. Four
steps took up to 18 times as long as two."""

WINDOW_READS = 4
"""Times that an iteration reads and writes its windows. Measured for 42 bodies of 2 to 32 values, 2 to 4 deep, at 1, 2
and 4 steps: several steps that are no longer one function, where one step is, take 1.5 to 3.4 times as long, and those
of an equalizer 9 times."""


def steps_per_iteration(
    op: Scan, storage: Sequence[History], n_steps: int | None, derivative: Derivative, outlines: bool, runs: int = 1
) -> int:
    """Return the unroll factor of a sized loop of ``n_steps``, ``None`` where only the run decides.

    The loop runs ``runs`` times, by the steps of loops around it. With ``outlines``, it is one function of XLA, however
    many bytes an iteration touches.
    """
    if any(history.kind in ("ring", "array") for history in storage):
        return 1
    depth = max((history.size for history in storage), default=0)
    if depth < 2:
        count = _without_windows(op, derivative, outlines, runs)
    elif any(node.op.regions for node in op.body.applies) or (derivative != "none" and _writes_matrix(op)):
        count = 1
    else:
        count = 2 if depth == 2 else 4
        count = count if outlines else _for_windows(op, storage, derivative, count)
    return min(count, n_steps) if n_steps is not None else count


def _without_windows(op: Scan, derivative: Derivative, outlines: bool, runs: int) -> int:
    """The factor of an elementwise body that reads the last values only.

    Under a derivative, the results of all ops but sums are stacked too, as residuals. Of several states, two steps of
    cheap ops on at most two values: 44 generated gradients of 2 to 4 states took 0.88 of the time in the mean, at most
    1.63.
    """
    step = op.results([variable.type for variable in op.body.outputs])
    rows = [type for group in op.body_inputs([v.type for v in op.body.inputs]).slices for type in group]
    types, nodes = [*step.recurrences, *step.maps], op.body.applies
    stacked = [type for type, output in zip(types, op.outputs, strict=True) if output.saved.last is None]
    values = [*types, *step.states, *rows, *(output.type for node in nodes for output in node.outputs)]
    most = max((math.prod(type.sizes) for type in values), default=1)
    is_differentiated, ops = derivative != "none", max(len(nodes), 1)
    is_elementwise, is_small = is_pointwise(op.body), outlines and not op.until and most <= FEW_CARRIED
    is_allowed = is_elementwise or (is_small and all(node.op.has("pointwise", "reduce") for node in nodes))
    if op.samples is not None:
        return 1
    is_cheap = all(node.op.has("cheap", "reduce") for node in nodes)
    if not is_allowed:
        count = 1
    elif is_differentiated and len(op.recurrences) > 1:
        count = 2 if is_cheap and is_small and most <= FEW_STACKED and ops <= MOST_OPS // 2 else 1
    elif not is_cheap:
        count = EXPENSIVE if most == 1 and ops * EXPENSIVE <= MOST_OPS else 1
    elif is_elementwise and most <= (FEW_STACKED if stacked or is_differentiated else FEW_CARRIED):
        most_ops = MOST_SCALAR_OPS if most == 1 and not is_differentiated else MOST_OPS
        count = min(4 if is_differentiated else 8, most_ops // ops)
    elif is_small:
        count = 2 if ops <= MOST_SMALL_OPS else 1
    else:
        count = 1 if is_differentiated or stacked or rows else MOST_WIDE_OPS // ops
    if outlines and most > FEW_CARRIED and not (is_differentiated or op.until):
        keeps = bool(stacked or op.accumulators)
        gains = ops <= (MOST_KEPT_OPS if keeps else MOST_TAKEN_OPS) and not (keeps and _is_between(types, most))
        if gains and len(op.recurrences) > 1 and all(map(_is_light, nodes)):
            count = max(count, 2)
        if is_elementwise and is_cheap and ops <= MOST_TAKEN_OPS and _keeps_elements(op):
            count = max(count, 2)
        if ops * most < INLINE_OPERATIONS and (op.n_steps or 0) * runs <= INLINE_STEPS:
            count = min(count, INLINE_OPERATIONS // (ops * most * max(len(op.recurrences), 1)))  # each has a kernel
    if not outlines:
        if is_differentiated:
            stacked += [node.outputs[0].type for node in nodes if not node.op.named("add", "sub")]
        states = 2 * size_bytes(types[: len(op.recurrences)]) if len(op.recurrences) > 1 else 0
        touched = states + size_bytes(rows) + ROW_BYTES * len(rows) + 2 * size_bytes(stacked)
        count = min(count, FUSED_LOOP_BYTES // max(touched + STACK_BYTES * len(stacked), 1))
    return 1 << (max(count, 1).bit_length() - 1)


def _keeps_elements(op: Scan) -> bool:
    """Return whether a step leaves some elements of a state as they are, for which LLVM makes masked stores."""
    taps = op.body_inputs(op.body.inputs).taps
    pairs = [(past, after) for pasts, after in zip(taps, op.body.outputs, strict=False) for past in pasts]
    return any(
        after.owner is not None and after.owner.op.named("switch") and past in after.owner.inputs[1:]
        for past, after in pairs
        if past.type.ndim
    )


def _is_between(types: Sequence[TensorType], most: int) -> bool:
    """Return whether the largest array has neither few elements nor many bytes."""
    return most > FEW_KEPT and max(type.bytes for type in types) < LARGE_BYTES


def _is_light(node: Apply) -> bool:
    """Return whether an op is cheap, or moves elements."""
    return node.op.has("cheap") or moves_elements(node)


def _for_windows(op: Scan, storage: Sequence[History], derivative: Derivative, count: int) -> int:
    """The factor of a loop with past values that is one function where its bytes are few: ``count``, so that no window
    is moved along, unless that is no longer one."""
    if derivative != "none" and all(variable.ndim == 0 for variable in op.body.outputs):
        return 2 if _stored_bytes(op) <= STORED_BYTES else 1
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
