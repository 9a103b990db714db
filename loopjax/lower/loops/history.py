"""History buffers: the past values of a loop's outputs, in the carry.

A deep buffer is not shifted: its cost grows with the deepest tap, and XLA on CPU can compute wrong values for an update
whose source is a shifted slice of its target (openxla/xla#49176). Few values are plain carries; many are a ring, or
where all steps of small arrays are saved the stack itself, from which adjacent taps are read as one slice: measured for
20 taps of a scalar on a CPU, 15 ns a step, where a ring takes 1,750. A step writes its row first and then reads what
the next step needs, so that no read of the old ring and write of the new one cross: where they do, XLA copies the ring
at every step.

The transpose of a ring cannot be kept from that, and on a GPU a ring takes several kernels a step. So under a
derivative, and there, the far past is in blocks: for as many steps as the nearest far tap reaches back, all that far
taps read was there before the first of them, and is a sequence (``far_taps.py``). Where these values are few bytes, all
are one array that each step shifts: XLA on CPU then compiles the loop into one function.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from loopjax.ir.fill import unwritten
from loopjax.ir.plan import History
from loopjax.lower.placement import placed, placement

_put = partial(lax.dynamic_update_index_in_dim, axis=0, allow_negative_indices=False)
_take = partial(lax.dynamic_slice_in_dim, allow_negative_indices=False)


class RingBuffer(NamedTuple):
    """A circular buffer: row ``s % size`` of ``rows`` holds the value of step ``s``.

    ``ahead`` holds the values that the next step reads, tap by tap.
    """

    rows: Any
    ahead: tuple[Any, ...]


class Stack(NamedTuple):
    """The rows of all steps, after the initial ones. ``ahead`` holds what the next step reads, by runs of taps."""

    rows: Any
    ahead: tuple[Any, ...]


class Blocks(NamedTuple):
    """Past values for a block of steps.

    ``near`` are the latest. ``rows`` are all, as they were when the block began, and ``None`` within it. ``ahead`` are
    the values that the step reads of these, tap by tap.
    """

    near: tuple[Any, ...]
    rows: Any
    ahead: tuple[Any, ...] = ()


def start(history: History, rows: Any) -> Any:
    """Return the past before step 0, from ``rows`` of shape ``(size, *state)``, the oldest first."""
    if history.kind == "window":
        return tuple(rows[position] for position in range(history.size))
    if history.kind == "array":
        return rows
    if history.kind == "blocks":
        return Blocks(tuple(rows[position] for position in range(history.size - history.near, history.size)), rows)
    if history.kind == "stack":
        ahead = tuple(rows[history.size + run.start : history.size + run.stop] for run in history.runs)
        return Stack(_with_room(history, rows), ahead)
    if history.kind == "shifted":
        return Stack(_with_room(history, rows[0]), (rows[0],))
    return RingBuffer(rows, tuple(rows[history.size + tap] for tap in history.taps))


def _with_room(history: History, rows: Any) -> Any:
    """Return the initial rows, followed by those of all steps, which are not written yet."""
    room = unwritten((history.steps, *rows.shape[1:]), rows.dtype)
    return jnp.concatenate([rows, placed(room, placement(rows))])


def read(history: History, past: Any, tap: int) -> Any:
    """Return the value ``-tap`` steps before the step that is to run."""
    if history.kind in ("window", "array"):
        return past[history.size + tap]
    if history.kind == "blocks":
        return past.near[history.near + tap] if -tap <= history.near else past.ahead[history.far.index(tap)]
    if history.kind == "stack":
        return next(rows[tap - run.start] for run, rows in zip(history.runs, past.ahead, strict=True) if tap in run)
    return past.ahead[0 if history.kind == "shifted" else history.taps.index(tap)]


def push(history: History, past: Any, value: Any, t: Any) -> Any:
    """Return the past after step ``t`` gave ``value``."""
    if history.size == 0:
        return past
    if history.kind == "window":
        return (*past[1:], value)
    if history.kind == "array":
        return jnp.concatenate([past[1:], value[None]])
    if history.kind == "blocks":
        return past._replace(near=(*past.near[1:], value) if history.near else ())
    if history.kind == "stack":
        at = t + np.int32(history.size)
        rows = _put(past.rows, value, at)
        return Stack(rows, tuple(_run(rows, at + np.int32(1 + run.start), run, value) for run in history.runs))
    if history.kind == "shifted":
        rows = _put(past.rows, value[-1], t + np.int32(len(value)))
        return Stack(rows, (_take(rows, t + np.int32(1), len(value)),))
    rows = _put(past.rows, value, _slot(history, t, 0))
    ahead = tuple(value if tap == -1 else _take(rows, _slot(history, t + 1, tap), 1)[0] for tap in history.taps)
    return RingBuffer(rows, ahead)


def _run(rows: Any, start: Any, run: range, value: Any) -> Any:
    """Return the rows of a run of taps from ``start`` on; ``value`` is that of the tap -1."""
    return value[None] if run.start == -1 else _take(rows, start, len(run))


def last(history: History, past: Any, count: int, t: Any) -> Any:
    """Return the values of the last ``count`` of ``t`` steps, shape ``(count, *state)``, the oldest first."""
    if history.kind == "window":
        return jnp.stack(past[history.size - count :])
    if history.kind == "array":
        return past[history.size - count :]
    if history.kind in ("stack", "blocks"):
        return past.rows[past.rows.shape[0] - count :]
    slots = (t + jnp.arange(history.size - count, history.size, dtype="int32")) % history.size
    return past.rows[slots]


def _slot(history: History, t: Any, tap: int) -> Any:
    """Return the row of step ``t + tap``; both are int32."""
    size = np.int32(history.size)
    return lax.rem(t + (size + np.int32(tap)), size)
