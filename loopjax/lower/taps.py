"""The past values of a loop's outputs, in the carry.

Never by shifting a buffer: its cost grows with the deepest tap, and XLA on CPU can compute wrong values for an update
whose source is a shifted slice of its target (openxla/xla#49176). Few values are plain carries; many are a ring, of
which a step overwrites the oldest row, the one that its deepest tap has read: so XLA updates in place, where writing
another row made it copy the ring at every step. The newest value is also carried apart, which spares tap -1 its read.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from loopjax.trace.loop import History


class Ring(NamedTuple):
    """Row ``s % size`` of ``rows`` holds the value of step ``s``; ``newest`` is that of the last step."""

    rows: Any
    newest: Any


def start(history: History, rows: Any) -> Any:
    """The past before step 0: ``rows`` of shape ``(size, *state)``, the oldest first."""
    if history.kind == "window":
        return tuple(rows[position] for position in range(history.size))
    return Ring(rows, rows[-1])


def read(history: History, past: Any, tap: int, t: Any) -> Any:
    """The value ``-tap`` steps before step ``t``."""
    if history.kind == "window":
        return past[history.size + tap]
    if tap == -1:
        return past.newest
    return lax.dynamic_index_in_dim(past.rows, _slot(history, t, tap), keepdims=False)


def push(history: History, past: Any, value: Any, t: Any) -> Any:
    """The past after step ``t`` gave ``value``."""
    if history.size == 0:
        return past
    if history.kind == "window":
        return (*past[1:], value)
    return Ring(lax.dynamic_update_index_in_dim(past.rows, value, _slot(history, t, 0), 0), value)


def last(history: History, past: Any, count: int, t: Any) -> Any:
    """The values of the last ``count`` of ``t`` steps, shape ``(count, *state)``, the oldest first."""
    if history.kind == "window":
        return jnp.stack(past[history.size - count :])
    slots = (t + jnp.arange(history.size - count, history.size, dtype="int32")) % history.size
    return past.rows[slots]


def _slot(history: History, t: Any, tap: int) -> Any:
    """The row of step ``t + tap``; both are int32."""
    size = np.int32(history.size)
    return lax.rem(t + (size + np.int32(tap)), size)
