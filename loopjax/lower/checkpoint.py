"""Saving the state every so many steps, and computing the steps between again for the gradient."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from loopjax.lower.loop import Carry, Loop, Slices


def run(loop: Loop, carry: Carry, slices: Slices, n_steps: int) -> tuple[Carry, tuple[Any, ...]]:
    """Two nested loops, the inner one under ``jax.checkpoint``; steps left over are one shorter inner loop.

    Stores one carry for every ``plan.checkpoint`` steps. Of outputs that keep every n-th step only the last step of
    each inner loop is stacked.
    """
    every = min(loop.plan.checkpoint, n_steps)
    whole = n_steps // every

    def chunk(before: Carry, part: Slices) -> tuple[Carry, tuple[Any, ...]]:
        after, stacks = lax.scan(loop.scan_step, before, part, unroll=loop.plan.unroll)
        return after, _ends(loop, stacks)

    saved = jax.checkpoint(chunk, prevent_cse=False)
    grouped = jax.tree.map(lambda x: x[: whole * every].reshape(whole, every, *x.shape[1:]), slices)
    carry, stacks = lax.scan(saved, carry, grouped, length=whole)
    stacks = tuple(_joined(stack) for stack in stacks)
    if whole * every == n_steps:
        return carry, stacks
    carry, rest = saved(carry, jax.tree.map(lambda x: x[whole * every :], slices))
    return carry, tuple(jnp.concatenate(pair) for pair in zip(stacks, rest, strict=True))


def _ends(loop: Loop, stacks: tuple[Any, ...]) -> tuple[Any, ...]:
    """Whole stacks, or their last rows, as each output keeps."""
    kept = [output.keep for output in loop.op.outputs if output.keep.last is None]
    return tuple(stack if keep.all else stack[-1:] for stack, keep in zip(stacks, kept, strict=True))


def _joined(stack: Any) -> Any:
    return stack.reshape(stack.shape[0] * stack.shape[1], *stack.shape[2:])
