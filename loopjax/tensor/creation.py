"""Arrays from nothing: filled ones, ranges, and the like."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from loopjax.config import config
from loopjax.errors import here
from loopjax.ir.graph import Constant, Variable, apply
from loopjax.ir.op import register, table_op
from loopjax.ir.public_ops import public_op
from loopjax.ir.types import Shape, TensorType, broadcast_shapes, dtype_name
from loopjax.tensor import lax_kernels
from loopjax.tensor.elementwise import ge
from loopjax.tensor.lengths import size_list, split_sizes
from loopjax.trace.convert import as_variable, constant

__all__ = [
    "alloc",
    "arange",
    "as_tensor",
    "as_tensor_variable",
    "empty",
    "empty_like",
    "eye",
    "fill",
    "full",
    "full_like",
    "identity_like",
    "linspace",
    "mgrid",
    "ogrid",
    "ones",
    "ones_like",
    "tri",
    "zeros",
    "zeros_like",
]


def _check_sizes(lengths: Shape) -> None:
    if any(length is not None and length < 0 for length in lengths):
        raise ValueError(f"a size is negative in {lengths}")


def _alloc_type(value: TensorType, lengths: Shape) -> TensorType:
    _check_sizes(lengths)
    dims = zip(reversed(value.shape), reversed(lengths), strict=False)
    if value.ndim > len(lengths) or any(None not in (size, to) and size not in (1, to) for size, to in dims):
        raise ValueError(f"a value of shape {value.shape} does not fill an array of shape {lengths}")
    return TensorType(value.dtype, tuple(lengths))


register(
    "alloc",
    lambda value, lengths: lax_kernels.stretched(value, tuple(lengths)),
    _alloc_type,
    "view",
    broadcasts=lambda value, lengths: [[value.shape, lengths]],
)


@public_op
def alloc(value: Any, *shape: Any) -> Variable:
    """An array of this shape, filled with ``value`` (broadcast). Sizes are ints or integer scalars."""
    static, symbolic = split_sizes(shape, "shape")
    filled = as_variable(value)
    if filled.type.weak:
        filled = filled.astype(filled.dtype)
    return apply(table_op("alloc", lengths=static), filled, *symbolic)[0]


def full(shape: Any, fill_value: Any, dtype: Any = None) -> Variable:
    """An array of ``shape``, every element ``fill_value``; of dtype floatX where that is a Python float."""
    value = as_variable(fill_value)
    return alloc(value if dtype is None else value.astype(dtype), *size_list(shape))


def zeros(shape: Any, dtype: Any = None) -> Variable:
    """Zeros of ``shape``; dtype floatX unless given."""
    return full(shape, 0, dtype or config.floatX)


def ones(shape: Any, dtype: Any = None) -> Variable:
    """Ones of ``shape``; dtype floatX unless given."""
    return full(shape, 1, dtype or config.floatX)


empty = zeros


def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Variable:
    """``fill_value`` in the shape of ``x``, and in its dtype unless given."""
    model = as_variable(x)
    value = as_variable(fill_value).astype(dtype or model.dtype)
    return alloc(value, *(model.shape[axis] for axis in range(model.ndim)))


@public_op
def zeros_like(x: Any, dtype: Any = None) -> Variable:
    """Zeros in the shape of ``x``, and in its dtype unless given."""
    return full_like(x, 0, dtype)


@public_op
def ones_like(x: Any, dtype: Any = None) -> Variable:
    """Ones in the shape of ``x``, and in its dtype unless given."""
    return full_like(x, 1, dtype)


@public_op
def fill(x: Any, value: Any) -> Variable:
    """``value`` in the shape and dtype of ``x``."""
    return full_like(x, value)


def _arange_type(lengths: Shape, dtype: str) -> TensorType:
    start, stop, step = lengths
    if start is None or stop is None or step is None:
        return TensorType(dtype, (None,))
    if step == 0:
        raise ValueError("arange with step 0 never ends")
    return TensorType(dtype, (len(range(start, stop, step)),))


def _arange_run(lengths: tuple[int, int, int], dtype: str) -> Any:
    start, stop, step = lengths
    return lax_kernels.arange(start, stop, step, dtype)


register("arange", _arange_run, _arange_type, "memory_bound")


@public_op
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None) -> Variable:
    """Integers from ``start`` (0) up to, not including, ``stop``, as a vector; int64 unless given.

    Arguments are ints or integer scalar variables; Python floats make a constant floatX vector.
    """
    if stop is None:
        start, stop = 0, start
    given = (start, stop, step)
    if any(isinstance(value, (float, np.floating)) for value in given):
        if any(isinstance(value, Variable) for value in given):
            raise TypeError(f"arange of floats takes no variables; write start + step * arange(n){here()}")
        return constant(np.arange(*given), dtype=dtype or config.floatX)
    static, symbolic = split_sizes(given, "arange")
    return apply(table_op("arange", lengths=static, dtype=dtype_name(dtype or "int64")), *symbolic)[0]


def _eye_type(lengths: Shape, k: int, dtype: str) -> TensorType:
    _check_sizes(lengths)
    return TensorType(dtype, tuple(lengths))


def _eye_run(lengths: tuple[int, int], k: int, dtype: str) -> Any:
    return jnp.eye(lengths[0], lengths[1], k, dtype=dtype)


register("eye", _eye_run, _eye_type, "memory_bound")


def eye(n: Any, m: Any = None, k: int = 0, dtype: Any = None) -> Variable:
    """Ones on diagonal ``k`` of an ``(n, m)`` matrix of zeros; dtype floatX unless given."""
    static, symbolic = split_sizes([n, n if m is None else m], "eye")
    return apply(table_op("eye", lengths=static, k=k, dtype=dtype_name(dtype or config.floatX)), *symbolic)[0]


def identity_like(x: Any, dtype: Any = None) -> Variable:
    """The identity matrix in the shape of ``x``, and in its dtype unless given."""
    model = as_variable(x)
    if model.ndim != 2:
        raise ValueError(f"identity_like takes a matrix, got {model!r}{here()}")
    return eye(model.shape[0], model.shape[1], dtype=dtype or model.dtype)


def _linspace_type(start: TensorType, stop: TensorType, lengths: Shape, dtype: str) -> TensorType:
    _check_sizes(lengths)
    return TensorType(dtype, (*lengths, *broadcast_shapes(start.shape, stop.shape)))


def _linspace_run(start: Any, stop: Any, lengths: tuple[int], dtype: str) -> Any:
    return jnp.linspace(start, stop, lengths[0], dtype=dtype)


def _linspace_ends(start: TensorType, stop: TensorType, lengths: Shape, dtype: str) -> list[list[Shape]]:
    return [[start.shape, stop.shape]]


register("linspace", _linspace_run, _linspace_type, "memory_bound", broadcasts=_linspace_ends)


def linspace(start: Any, stop: Any, num: Any = 50, dtype: Any = None) -> Variable:
    """``num`` equally spaced values from ``start`` to ``stop``, both included; dtype floatX unless given."""
    to = dtype_name(dtype or config.floatX)
    static, symbolic = split_sizes([num], "num")
    between = to if jnp.issubdtype(to, jnp.inexact) else config.floatX
    ends = [as_variable(end).astype(between) for end in (start, stop)]
    return apply(table_op("linspace", lengths=static, dtype=to), *ends, *symbolic)[0]


empty_like = zeros_like


def tri(n: Any, m: Any = None, k: int = 0, dtype: Any = None) -> Variable:
    """Ones on and below diagonal ``k`` of an ``(n, m)`` matrix of zeros; dtype floatX unless given."""
    rows, columns = arange(n), arange(n if m is None else m)
    return ge(rows.dimshuffle(0, "x") + k, columns.dimshuffle("x", 0)).astype(dtype or config.floatX)


def as_tensor_variable(x: Any, name: str | None = None, ndim: int | None = None) -> Variable:
    """``x`` as a variable; Python numbers become int64 or floatX. ``ndim`` pads shapes with leading ones."""
    variable = x if isinstance(x, Variable) else as_variable(x, name)
    if isinstance(variable, Constant) and variable.type.weak:
        variable = constant(x, name)
    if ndim is not None and variable.ndim < ndim:
        variable = variable.dimshuffle(*["x"] * (ndim - variable.ndim), *range(variable.ndim))
    return variable


as_tensor = as_tensor_variable


class _Grid:
    """``mgrid[0:3, 0:2]``: a constant array of coordinates for each axis, as in NumPy. Bounds are numbers."""

    def __init__(self, grid: Any) -> None:
        self._grid = grid

    def __getitem__(self, key: Any) -> Any:
        slices = key if isinstance(key, tuple) else (key,)
        parts = [part for one in slices for part in (one.start, one.stop, one.step)]
        if any(isinstance(part, Variable) for part in parts):
            raise TypeError(f"mgrid takes numbers; build symbolic grids from arange and dimshuffle{here()}")
        found = self._grid[key]
        arrays = found if isinstance(key, tuple) else [found]
        made = [constant(array, dtype=None if array.dtype.kind in "iu" else config.floatX) for array in arrays]
        return made if isinstance(key, tuple) else made[0]


mgrid = _Grid(np.mgrid)
ogrid = _Grid(np.ogrid)
