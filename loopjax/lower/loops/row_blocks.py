"""Loops on a GPU whose iterations write the rows of several steps together.

On a GPU an iteration costs what it takes to launch its kernels, whatever they do. XLA makes one kernel of elementwise
steps in a row; but where the rows of a stack are computed in the kernel that writes them, that kernel computes the
states a second time, from those before, which XLA copies first: on an H200 (jax 0.11.2) the copy of 64 values takes
longer than the rest of the iteration. So the rows are finished before they are written, and the next states are read
from them. Past values go from one iteration to the next as one array, since each by itself would be copied too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jax import lax

from loopjax.ir.plan import History
from loopjax.lower.loops.combinators import Rows, Step, chunked, unrolled
from loopjax.lower.loops.step import Carry, Loop, Slices


def in_row_blocks(loop: Loop, step: Step) -> Step:
    """Loop over ``step``, ``plan.unroll`` times in an iteration."""
    storage = loop.plan.storage

    def iteration(packed: Carry, slices: Slices) -> tuple[Carry, Rows]:
        steps = unrolled(*[step] * slices.t.shape[0])
        after, blocks = steps(_each(_unpacked, storage, packed), slices)
        after = _each(_packed, storage, after)
        if loop.plan.rows != "finished" or not blocks:
            return after, blocks
        finished: Rows = lax.optimization_barrier(blocks)  # type: ignore[no-untyped-call]
        pasts = list(after.pasts)
        for position, rows in zip(loop.stacked, finished, strict=True):
            pasts[position] = _from_rows(storage[position], pasts[position], rows)
        return after._replace(pasts=tuple(pasts)), finished

    def run(carry: Carry, slices: Slices) -> tuple[Carry, Rows]:
        after, stacks = chunked(iteration, loop.plan.unroll)(_each(_packed, storage, carry), slices)
        return _each(_unpacked, storage, after), stacks

    return run


def _each(change: Callable[[History, Any], Any], storage: tuple[History, ...], carry: Carry) -> Carry:
    return carry._replace(pasts=tuple(change(one, past) for one, past in zip(storage, carry.pasts, strict=True)))


def _packed(history: History, past: Any) -> Any:
    return jnp.stack(past) if _is_window(history) else past


def _unpacked(history: History, past: Any) -> Any:
    return tuple(past[at] for at in range(history.size)) if _is_window(history) else past


def _is_window(history: History) -> bool:
    return history.kind == "window" and history.size > 0


def _from_rows(history: History, past: Any, rows: Any) -> Any:
    """The past after a block of steps, packed, from their rows where it is a window that they fill."""
    return rows[-history.size :] if _is_window(history) and history.size <= len(rows) else past
