"""Sums and single steps gathered in the carry of a loop."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from loopjax.lower.indexing import fill_value
from loopjax.trace.loop import Fold


def start(fold: Fold, shape: tuple[int, ...]) -> Any:
    """The fold before step 0."""
    neutral = {"sum": 0, "prod": 1, "at": fill_value(jnp.dtype(fold.dtype))}[fold.kind]
    return jnp.full(shape, neutral, fold.dtype)


def push(fold: Fold, value: Any, new: Any, t: Any) -> Any:
    """The fold after step ``t`` gave ``new``."""
    new = new.astype(fold.dtype)
    if fold.kind == "at":
        return jnp.where(t == fold.step, new, value)
    return value + new if fold.kind == "sum" else value * new
