"""Sorting."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from loopjax.ir.graph import Variable, apply
from loopjax.ir.op import register, table_op
from loopjax.ir.public_ops import public_op
from loopjax.ir.types import TensorType
from loopjax.tensor.axes import normal_axis
from loopjax.tensor.shape import reshape
from loopjax.trace.convert import as_variable

__all__ = [
    "argsort",
    "sort",
]


def _sort_type(type: TensorType, axis: int) -> TensorType:
    return TensorType(type.dtype, type.shape)


def _argsort_type(type: TensorType, axis: int) -> TensorType:
    return TensorType("int64", type.shape)


register("sort", lambda x, axis: jnp.sort(x, axis), _sort_type)
register("argsort", lambda x, axis: jnp.argsort(x, axis).astype("int64"), _argsort_type)


@public_op
def sort(x: Any, axis: int | None = -1, kind: str | None = None) -> Variable:
    """The elements along ``axis``, or of the flattened array with ``None``, from the least to the greatest.

    ``kind`` is accepted for old programs; the order of equal elements is kept in any case.
    """
    return _sorted("sort", x, axis)


@public_op
def argsort(x: Any, axis: int | None = -1, kind: str | None = None) -> Variable:
    """Where the elements of ``sort(x, axis)`` come from, int64."""
    return _sorted("argsort", x, axis)


def _sorted(row: str, x: Any, axis: int | None) -> Variable:
    variable = as_variable(x)
    if axis is None:
        variable, axis = reshape(variable, (-1,)), 0
    return apply(table_op(row, axis=normal_axis(axis, variable.ndim)), variable)[0]
