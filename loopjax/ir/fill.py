"""Values of elements that a program must not depend on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from loopjax.config import config
from loopjax.ir.monoid import element


def unwritten(shape: Sequence[int], dtype: str) -> Any:
    """Return an array that must be written before it is read.

    Zeros, or with ``config.poison`` NaN (the least integer), which shows in results where it is read all the same.
    """
    return jnp.full(shape, fill_value(dtype) if config.poison else 0, dtype)


def fill_value(dtype: Any) -> Any:
    """Return what a read out of bounds gives: NaN, the least integer, or false."""
    return jnp.nan if jnp.issubdtype(dtype, jnp.inexact) else element("least", dtype)
