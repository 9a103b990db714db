"""Values of elements that a program must not depend on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.config import config
from loopjax.ir.monoid import element
from loopjax.ir.types import KEY


def is_key_dtype(dtype: Any) -> bool:
    """Test for the dtype of random keys, that of JAX or its name here."""
    if isinstance(dtype, np.dtype):
        return False
    return dtype == KEY or bool(jnp.issubdtype(dtype, jax.dtypes.prng_key))


def unwritten(shape: Sequence[int], dtype: str) -> Any:
    """Return an array that must be written before it is read.

    Zeros or keys of seed 0, or with ``config.poison`` NaN (the least integer), which shows in results where it is read
    all the same.
    """
    return filled(shape, dtype) if config.poison else blank(shape, dtype)


def blank(shape: Sequence[int], dtype: Any) -> Any:
    """Return zeros, or keys of seed 0."""
    return jnp.broadcast_to(jax.random.key(0), shape) if is_key_dtype(dtype) else jnp.zeros(shape, dtype)


def filled(shape: Sequence[int], dtype: Any) -> Any:
    """Return an array of what reads out of bounds give; for keys, which have no such value, those of seed 0."""
    return blank(shape, dtype) if is_key_dtype(dtype) else jnp.full(shape, fill_value(dtype), dtype)


def fill_value(dtype: Any) -> Any:
    """Return what a read out of bounds gives: NaN, the least integer, or false."""
    return jnp.nan if jnp.issubdtype(dtype, jnp.inexact) else element("least", dtype)
