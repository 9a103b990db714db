"""Sheared matrices: rows of a table become anti-diagonals, and anti-diagonals rows, for ``rewrite/wavefront.py``."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from loopjax.ir.op import register
from loopjax.ir.types import TensorType


def _shear_type(x: TensorType, by: int, start: int, rows: int, gather: bool) -> TensorType:
    return TensorType(x.dtype, (rows, *x.shape[1:]))


def _shear(x: Any, by: int, start: int, rows: int, gather: bool) -> Any:
    """Return ``y[i, k] = x[start + i + by * k, k]`` for ``rows`` rows, where ``by`` is 1 or -1; elements from outside
    of ``x`` are any. A ``gather`` is faster, its derivative is not: else columns are read as rows of other length."""
    size, columns = x.shape[:2]
    if gather:
        row = start + jnp.arange(rows)[:, None] + by * jnp.arange(columns)
        return x.at[jnp.clip(row, 0, size - 1), jnp.arange(columns)].get(mode="promise_in_bounds")
    ends = (start, start + rows - 1, start + by * (columns - 1), start + rows - 1 + by * (columns - 1))
    before = max(0, -min(ends))
    width = before + max(size, max(ends) + 1) + 1
    rest = [(0, 0)] * (x.ndim - 2)
    flat = jnp.pad(jnp.moveaxis(x, 1, 0), [(0, 0), (before, width - before - size), *rest]).reshape(-1, *x.shape[2:])
    first = start + before
    flat = jnp.pad(flat, [(0, first + columns), *rest])[first : first + columns * (width + by)]
    return jnp.moveaxis(flat.reshape(columns, width + by, *x.shape[2:])[:, :rows], 1, 0)


register("shear", _shear, _shear_type, "memory_bound")
