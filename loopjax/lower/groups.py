"""Several steps in an iteration whose rows are written together.

On a GPU an iteration costs what it takes to launch its kernels, whatever they do. XLA makes one kernel of elementwise
steps in a row; but where the rows of a stack are computed in the kernel that writes them, that kernel computes the
states a second time, from those before, which XLA copies first: on an H200 (jax 0.11.2) the copy of 64 values takes
longer than the rest of the iteration. So the rows are finished before they are written, and the next states are read
from them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from loopjax.lower.chunks import Stacks, in_chunks
from loopjax.lower.loop import Carry, Loop
from loopjax.trace.loop import History

Step = Callable[[Carry, Any], tuple[Carry, Stacks]]


def run(loop: Loop, step: Step, carry: Carry, slices: Any, n_steps: int) -> tuple[Carry, Any]:
    """``step`` by step, ``plan.unroll`` of them in an iteration: the carry after them and the stacks of what is
    kept."""
    return in_chunks(partial(_iteration, loop, step), carry, slices, n_steps, loop.plan.unroll)


def _iteration(loop: Loop, step: Step, carry: Carry, slices: Any) -> tuple[Carry, Stacks]:
    found: list[Stacks] = []
    for at in range(slices.t.shape[0]):
        carry, rows = step(carry, jax.tree.map(lambda x, at=at: x[at], slices))
        found.append(rows)
    blocks = tuple(jnp.stack(rows) for rows in zip(*found, strict=True))
    if loop.plan.derivative != "none" or not blocks:
        return carry, blocks
    finished: Stacks = lax.optimization_barrier(blocks)  # type: ignore[no-untyped-call]
    pasts = list(carry.pasts)
    for position, rows in zip(loop.stacked, finished, strict=True):
        pasts[position] = _read(loop.plan.storage[position], pasts[position], rows)
    return carry._replace(pasts=tuple(pasts)), finished


def _read(history: History, past: Any, rows: Sequence[Any]) -> Any:
    """The past after a block of steps, from their rows where it is values one by one."""
    if history.kind != "window":
        return past
    count = min(history.size, len(rows))
    return (*past[: history.size - count], *(rows[at] for at in range(len(rows) - count, len(rows))))
