"""Loops with far taps under a derivative, and on GPUs: two nested loops, the inner one as long as no far tap reads its
own steps."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax.numpy as jnp
from jax import lax

from loopjax.lower.loops import checkpointed
from loopjax.lower.loops.chunks import Stacks, in_chunks
from loopjax.lower.loops.history import Blocks
from loopjax.lower.loops.step import Carry, Loop, Slices


def run(loop: Loop, carry: Carry, slices: Slices, n_steps: int) -> tuple[Carry, Stacks]:
    """Steps one after the other: the carry after them and the stacks of what is kept."""
    return in_chunks(partial(_block, loop), carry, slices, n_steps, loop.plan.block)


def _block(loop: Loop, carry: Carry, slices: Slices) -> tuple[Carry, Stacks]:
    """At most ``plan.block`` steps: the rows before them are read as sequences, and renewed behind them."""
    storage, count = loop.plan.storage, slices.t.shape[0]
    blocked = [position for position, history in enumerate(storage) if history.kind == "blocks"]
    rows = [carry.pasts[position].rows for position in blocked]
    ahead = [
        tuple(old[storage[position].size + tap :][:count] for tap in storage[position].far)
        for position, old in zip(blocked, rows, strict=True)
    ]

    def step(before: Carry, at: tuple[Slices, list[tuple[Any, ...]]]) -> tuple[Carry, tuple[Stacks, Stacks]]:
        part, far = at
        pasts = _with(
            before.pasts, blocked, [_past(before, p)._replace(ahead=f) for p, f in zip(blocked, far, strict=True)]
        )
        after, result = loop.step(before._replace(pasts=pasts), part)
        return after, (loop.kept(result), tuple(result.recurrences[position] for position in blocked))

    within = _with(carry.pasts, blocked, [_past(carry, position)._replace(rows=None) for position in blocked])
    run = step if loop.plan.checkpoint is None else checkpointed.again(step, loop.plan.checkpoint)
    after, (stacks, values) = lax.scan(run, carry._replace(pasts=within), (slices, ahead), unroll=loop.plan.unroll)
    renewed = [jnp.concatenate([old, new])[-old.shape[0] :] for old, new in zip(rows, values, strict=True)]
    pasts = [_past(after, position)._replace(rows=new) for position, new in zip(blocked, renewed, strict=True)]
    return after._replace(pasts=_with(after.pasts, blocked, pasts)), stacks


def _past(carry: Carry, position: int) -> Blocks:
    past: Blocks = carry.pasts[position]
    return past


def _with(pasts: tuple[Any, ...], positions: list[int], fresh: list[Any]) -> tuple[Any, ...]:
    """The pasts with those at some positions replaced."""
    changed = dict(zip(positions, fresh, strict=True))
    return tuple(changed.get(position, past) for position, past in enumerate(pasts))
