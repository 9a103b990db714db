"""Sorting along an axis."""

from __future__ import annotations

from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
from jax import lax

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


def _sort_type(type: TensorType, axis: int, end: int | None = None) -> TensorType:
    return TensorType(type.dtype, type.shape if end is None else (*type.shape[:-1], abs(end)))


def _argsort_type(type: TensorType, axis: int, end: int | None = None) -> TensorType:
    return _sort_type(TensorType("int64", type.shape), axis, end)


def _sort_run(x: Any, axis: int, end: int | None = None) -> Any:
    return jnp.sort(x, axis) if end is None else jnp.take_along_axis(x, _positions_at(x, end), -1)


def _argsort_run(x: Any, axis: int, end: int | None = None) -> Any:
    return (jnp.argsort(x, axis) if end is None else _positions_at(x, end)).astype("int64")


def _positions_at(x: Any, end: int) -> Any:
    """Positions of the first ``end`` or last ``-end`` elements of a stable ascending sort along the last axis.

    ``lax.top_k`` takes the lower of two positions where elements are equal, the greatest element first, and orders
    floats by IEEE 754's total order, in which 0 is greater than -0 and NaN is at both ends.
    """
    x = jnp.where(x == 0, 0, x)
    if end > 0:
        return lax.top_k(jnp.where(jnp.isnan(x), np.copysign(np.nan, -1).astype(x.dtype), -x), end)[1]
    found = lax.top_k(jnp.flip(jnp.where(jnp.isnan(x), np.nan, x), -1), -end)[1]
    return x.shape[-1] - 1 - jnp.flip(found, -1)


register("sort", _sort_run, _sort_type)
register("argsort", _argsort_run, _argsort_type)


@public_op
def sort(
    x: Any, axis: int | None = -1, kind: Literal["quicksort", "mergesort", "heapsort", "stable"] | None = None
) -> Variable:
    """Sort elements along an axis, ascending.

    Equal elements keep their order; NaN comes last. Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    axis : int, optional
        The axis, by default the last; ``None`` sorts the flattened array.
    kind : {"quicksort", "mergesort", "heapsort", "stable"}, optional
        Ignored: the sort is stable in any case.

    Returns
    -------
    Variable
        The sorted elements, in the dtype of ``x``.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.sort([3, 1, 2]).eval())
    [1 2 3]
    """
    return _sorted("sort", x, axis)


@public_op
def argsort(
    x: Any, axis: int | None = -1, kind: Literal["quicksort", "mergesort", "heapsort", "stable"] | None = None
) -> Variable:
    """Find the positions that sort an array along an axis.

    Equal elements keep their order. The result is no float and has no derivative.

    Parameters
    ----------
    x : array_like
        Any array.
    axis : int, optional
        The axis, by default the last; ``None`` sorts the flattened array.
    kind : {"quicksort", "mergesort", "heapsort", "stable"}, optional
        Ignored: the sort is stable in any case.

    Returns
    -------
    Variable
        The int64 positions of the sorted elements in ``x``.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.argsort([3, 1, 2]).eval())
    [1 2 0]
    """
    return _sorted("argsort", x, axis)


def _sorted(row: str, x: Any, axis: int | None) -> Variable:
    variable = as_variable(x)
    if axis is None:
        variable, axis = reshape(variable, (-1,)), 0
    return apply(table_op(row, axis=normal_axis(axis, variable.ndim)), variable)[0]
