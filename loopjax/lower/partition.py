"""Flat lists of arrays partitioned by a mask, as custom derivative rules need them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import compress
from typing import Any

import jax.numpy as jnp

Arrays = tuple[Any, ...]


def is_float(value: Any) -> bool:
    """True where an array has a derivative."""
    return bool(jnp.issubdtype(value.dtype, jnp.inexact))


def partition(values: Sequence[Any], mask: Sequence[bool]) -> tuple[Arrays, Arrays]:
    """Split values into those where the mask holds and the others."""
    return tuple(compress(values, mask)), tuple(compress(values, [not chosen for chosen in mask]))


def merge(chosen: Sequence[Any], others: Sequence[Any], mask: Sequence[bool]) -> list[Any]:
    """Undo ``partition``."""
    first, second = iter(chosen), iter(others)
    return [next(first if is_chosen else second) for is_chosen in mask]
