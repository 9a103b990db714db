"""Loops in chunks of so many steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from loopjax.lower.loops.step import Carry, Slices

Stacks = tuple[Any, ...]


def in_chunks(
    chunk: Callable[[Carry, Slices], tuple[Carry, Stacks]], carry: Carry, slices: Slices, n_steps: int, size: int
) -> tuple[Carry, Stacks]:
    """Runs ``chunk`` on ``size`` steps after the other; steps left over are one shorter chunk. The stacks are
    joined."""
    size = min(size, n_steps)
    whole = n_steps // size
    grouped = jax.tree.map(lambda x: x[: whole * size].reshape(whole, size, *x.shape[1:]), slices)
    carry, stacks = lax.scan(chunk, carry, grouped, length=whole)
    stacks = tuple(stack.reshape(stack.shape[0] * stack.shape[1], *stack.shape[2:]) for stack in stacks)
    if whole * size == n_steps:
        return carry, stacks
    carry, rest = chunk(carry, jax.tree.map(lambda x: x[whole * size :], slices))
    return carry, tuple(jnp.concatenate(pair) for pair in zip(stacks, rest, strict=True))
