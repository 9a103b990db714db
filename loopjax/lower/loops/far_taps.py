"""Loops with far taps under a derivative, and on GPUs, where a ring buffer would be slow (see ``history.py``).

Two nested loops: in a block of steps, as many as the nearest far tap reaches back, far taps read only values from
before the block. These are sequences of the inner loop; the outer one carries them and renews them after each block.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from loopjax.lower.loops.checkpointed import storing
from loopjax.lower.loops.combinators import Rows, Step, looped
from loopjax.lower.loops.step import Carry, Loop, Slices


def block(loop: Loop) -> Step:
    """A run of at most ``plan.block`` steps."""
    storage = loop.plan.storage
    blocked = [position for position, history in enumerate(storage) if history.kind == "blocks"]

    def step(before: Carry, inputs: tuple[Slices, list[Rows]]) -> tuple[Carry, tuple[Rows, Rows]]:
        slices, far = inputs
        pasts = [before.pasts[position]._replace(ahead=values) for position, values in zip(blocked, far, strict=True)]
        after, result = loop.step(_with(before, blocked, pasts), slices)
        return after, (loop.kept(result), tuple(result.recurrences[position] for position in blocked))

    def run(carry: Carry, slices: Slices) -> tuple[Carry, Rows]:
        count = slices.t.shape[0]
        rows = [carry.pasts[position].rows for position in blocked]
        far = [
            tuple(old[storage[position].size + tap :][:count] for tap in storage[position].far)
            for position, old in zip(blocked, rows, strict=True)
        ]
        within = _with(carry, blocked, [carry.pasts[position]._replace(rows=None) for position in blocked])
        steps = looped(storing(step, loop.plan.checkpoint), loop.plan.unroll)
        after, (stacks, values) = steps(within, (slices, far))
        renewed = [jnp.concatenate([old, new])[-old.shape[0] :] for old, new in zip(rows, values, strict=True)]
        pasts = [after.pasts[position]._replace(rows=new) for position, new in zip(blocked, renewed, strict=True)]
        return _with(after, blocked, pasts), stacks

    return run


def _with(carry: Carry, positions: list[int], pasts: list[Any]) -> Carry:
    """The carry with the pasts at some positions replaced."""
    changed = dict(zip(positions, pasts, strict=True))
    return carry._replace(pasts=tuple(changed.get(position, past) for position, past in enumerate(carry.pasts)))
