"""Sums, extremes and single steps gathered in the carry of a loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from loopjax.trace.loop import Fold
from loopjax.trace.types import fill_value


def start(fold: Fold, shape: tuple[int, ...]) -> Any:
    """The fold before step 0."""
    return jnp.full(shape, NEUTRAL[fold.kind](jnp.dtype(fold.dtype)), fold.dtype)


def push(fold: Fold, value: Any, new: Any, t: Any) -> Any:
    """The fold after step ``t`` gave ``new``."""
    new = new.astype(fold.dtype)
    if fold.kind == "at":
        return jnp.where(t == fold.step, new, value)
    after = FUNCTIONS[fold.kind](value, new)
    return jnp.where(t == 0, new, after) if fold.kind in ("max", "min") else after


def whole(fold: Fold, stack: Any) -> Any:
    """The fold over all steps at once."""
    stack = stack.astype(fold.dtype)
    return stack[fold.step] if fold.kind == "at" else WHOLE[fold.kind](stack, axis=0)


NEUTRAL: dict[str, Callable[[Any], Any]] = {
    "sum": lambda dtype: 0,
    "prod": lambda dtype: 1,
    "max": fill_value,
    "min": fill_value,
    "at": fill_value,
}

FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "sum": jnp.add,
    "prod": jnp.multiply,
    "max": jnp.maximum,
    "min": jnp.minimum,
}

WHOLE: dict[str, Callable[..., Any]] = {"sum": jnp.sum, "prod": jnp.prod, "max": jnp.max, "min": jnp.min}
"""Of a stack of steps along its first axis."""
