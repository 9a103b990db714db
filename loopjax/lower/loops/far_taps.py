"""Loops with far taps under a derivative, and on GPUs, where a ring buffer would be slow (see ``history.py``).

Two nested loops: in a block of steps, as many as the nearest far tap reaches back, far taps read only values from
before the block. These are sequences of the inner loop; the outer one carries them and renews them after each block.

Of a loop whose length is a value, the outer loop is a ``dynamic_scan`` of whole blocks. The steps left over are one
more block, in which those past the length are masked.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from loopjax.lower.loops.checkpointed import storing
from loopjax.lower.loops.combinators import Rows, Step, entries, looped
from loopjax.lower.loops.dynamic_scan import Repeated, dynamic_scan
from loopjax.lower.loops.step import Carry, Loop, Slices


def block(loop: Loop) -> Step:
    """A run of at most ``plan.block`` steps."""
    storage = loop.plan.storage
    blocked = [position for position, history in enumerate(storage) if history.kind == "blocks"]

    def step(before: Carry, inputs: tuple[Slices, list[Rows]]) -> tuple[Carry, tuple[Rows, Rows]]:
        slices, far = inputs
        pasts = [before.pasts[position]._replace(ahead=values) for position, values in zip(blocked, far, strict=True)]
        after, result = loop.step(_with(before, blocked, pasts), slices)
        after = _with(after, blocked, [after.pasts[position]._replace(ahead=()) for position in blocked])
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


def run(loop: Loop) -> list[Any]:
    """Run as many steps as there are of a loop that stores them for reverse mode."""
    size, n_steps, limit = loop.plan.block, loop.op.n_steps, loop.limit()
    assert n_steps is not None
    count, whole = n_steps // size, limit // size
    rows = (count + 1) * size

    def grouped(x: Any) -> Any:
        return jnp.pad(x, [(0, rows - n_steps), *[(0, 0)] * (x.ndim - 1)]).reshape(count + 1, size, *x.shape[1:])

    slices = jax.tree.map(grouped, loop.slices(n_steps))
    slices = slices._replace(t=jnp.arange(rows, dtype="int32").reshape(count + 1, size))
    constants = loop.parts._replace(sequences=(), initials=(), states=())
    repeated = Repeated(lambda parts, carry, slices: block(loop.with_parts(parts))(carry, slices))
    carry, stacks, _ = dynamic_scan(repeated, constants, loop.carry(), entries(slices, 0, count), whole)
    ran = loop.placed((jnp.zeros((), "bool"), whole * size))
    last = jax.tree.map(lambda x: lax.dynamic_index_in_dim(x, whole, keepdims=False), slices)
    carry, rest = block(loop.masked(jnp.zeros((), "int32")))(carry._replace(ran=ran), last)

    def joined(stack: Any, row: Any) -> Any:
        longer = jnp.pad(stack, [(0, 1), *[(0, 0)] * (stack.ndim - 1)])
        put = lax.dynamic_update_index_in_dim(longer, row, whole, 0)
        return put.reshape(rows, *row.shape[1:])[:n_steps]

    return loop.outputs(carry, list(map(joined, stacks, rest)), limit, may_be_short=True)


def _with(carry: Carry, positions: list[int], pasts: list[Any]) -> Carry:
    """The carry with the pasts at some positions replaced."""
    changed = dict(zip(positions, pasts, strict=True))
    return carry._replace(pasts=tuple(changed.get(position, past) for position, past in enumerate(carry.pasts)))
