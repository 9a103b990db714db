"""Values that hold for a whole batch: the identity, and the largest of a batch."""

from __future__ import annotations

from typing import Any

import jax


@jax.custom_batching.custom_vmap
def max_of_batch(value: Any) -> Any:
    """Return a scalar, under ``jax.vmap`` the largest of the batch, as one that is not batched: of bools, their or.

    ``lax.cond`` of a batched condition computes both branches and selects, and the selection cannot be transposed where
    the branches are linear (jax 0.10.2): reverse mode of a batch of linearized loops fails. A callback of a batched
    argument is called for each example.
    """
    return value


@max_of_batch.def_vmap
def _of_batch(size: int, batched: Any, value: Any) -> tuple[Any, bool]:
    return max_of_batch(value.max(0)), False
