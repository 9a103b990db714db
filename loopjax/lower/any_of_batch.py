"""Conditions that hold for a whole batch: the identity, and the logical or of a batch."""

from __future__ import annotations

from typing import Any

import jax


@jax.custom_batching.custom_vmap
def any_of_batch(condition: Any) -> Any:
    """Return a condition, under ``jax.vmap`` the logical or of those of the batch, as one that is not batched.

    ``lax.cond`` of a batched condition computes both branches and selects, and the selection cannot be transposed where
    the branches are linear (jax 0.10.2): reverse mode of a batch of linearized loops fails.
    """
    return condition


@any_of_batch.def_vmap
def _of_batch(size: int, batched: Any, condition: Any) -> tuple[Any, bool]:
    return any_of_batch(condition.any(0)), False
