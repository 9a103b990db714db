"""A JAX primitive for conditions that hold for a whole batch: the identity, and the logical or of a batch."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

any_of_batch_p = Primitive("loopjax_any_of_batch")


def any_of_batch(condition: Any) -> Any:
    """Return a condition, under ``jax.vmap`` the logical or of those of the batch, as one that is not batched.

    ``lax.cond`` of a batched condition computes both branches and selects, and the selection cannot be transposed where
    the branches are linear (jax 0.10.2): reverse mode of a batch of linearized loops fails.
    """
    return any_of_batch_p.bind(condition)  # type: ignore[no-untyped-call]


def _batched(arguments: Any, dims: Any) -> Any:
    (condition,), (dim,) = arguments, dims
    return any_of_batch(jnp.any(condition, axis=dim)), None


any_of_batch_p.def_impl(lambda condition: condition)  # type: ignore[no-untyped-call]
any_of_batch_p.def_abstract_eval(lambda condition: condition)  # type: ignore[no-untyped-call]
batching.primitive_batchers[any_of_batch_p] = _batched
mlir.register_lowering(any_of_batch_p, mlir.lower_fun(lambda condition: condition, multiple_results=False))
