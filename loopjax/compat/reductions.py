"""Sums and products of the peers: numbers of single precision are added in float64 (``acc_dtype``)."""

from __future__ import annotations

from typing import Any

from loopjax import tensor
from loopjax.ir.graph import Variable
from loopjax.trace.convert import as_variable

WIDER = {"float16": "float32", "float32": "float64", "complex64": "complex128"}
"""The dtypes in which Theano and its heirs add numbers of these dtypes."""


def sum(input: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False, acc_dtype: Any = None) -> Variable:
    """Sum over axes."""
    return _folded(tensor.sum, input, axis, dtype, keepdims, acc_dtype)


def prod(
    input: Any,
    axis: Any = None,
    dtype: Any = None,
    keepdims: bool = False,
    acc_dtype: Any = None,
    no_zeros_in_input: bool = False,
) -> Variable:
    """Product over axes."""
    return _folded(tensor.prod, input, axis, dtype, keepdims, acc_dtype)


def mean(
    input: Any, axis: Any = None, dtype: Any = None, op: bool = False, keepdims: bool = False, acc_dtype: Any = None
) -> Variable:
    """Arithmetic mean over axes."""
    return _folded(tensor.mean, input, axis, dtype, keepdims, acc_dtype)


def cumsum(x: Any, axis: int | None = None) -> Variable:
    """Cumulative sums along an axis, in the dtype of integers."""
    return _in_its_dtype(tensor.cumsum, x, axis)


def cumprod(x: Any, axis: int | None = None) -> Variable:
    """Cumulative products along an axis, in the dtype of integers."""
    return _in_its_dtype(tensor.cumprod, x, axis)


def _in_its_dtype(accumulate: Any, x: Any, axis: int | None) -> Variable:
    """The core's result is int64, as NumPy's; a loop's state of another integer would not take it."""
    variable = as_variable(x)
    found: Variable = accumulate(variable, axis)
    return found if variable.dtype == "bool" else tensor.cast(found, variable.dtype)


def _folded(fold: Any, x: Any, axis: Any, dtype: Any, keepdims: bool, acc_dtype: Any) -> Variable:
    variable = as_variable(x)
    wide = acc_dtype or WIDER.get(variable.dtype)
    if wide is None or dtype is not None:
        return fold(variable, axis, dtype, keepdims)
    return tensor.cast(fold(variable, axis, wide, keepdims), variable.dtype)
