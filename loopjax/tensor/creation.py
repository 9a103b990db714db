"""Arrays made of sizes, ranges and fill values, and constants made of Python values.

Sizes may be integer scalar variables: such a size is an input of the recorded node that must be known before the node
is compiled. Arrays that hold nothing but a fill value are `alloc` nodes, which XLA fuses into what reads them.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from numpy.typing import DTypeLike

from loopjax.config import config
from loopjax.errors import coded, here, reported
from loopjax.ir.graph import Constant, Variable, apply, recorded
from loopjax.ir.op import register, table_op
from loopjax.ir.public_ops import public_op
from loopjax.ir.symbolic_sizes import counted
from loopjax.ir.types import Shape, TensorType, broadcast_shapes, dtype_name
from loopjax.tensor import lax_kernels
from loopjax.tensor.elementwise import ge
from loopjax.tensor.lengths import check_sizes, size_list, split_sizes
from loopjax.trace.convert import as_variable, constant, strong

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


def _alloc_type(value: TensorType, lengths: Shape) -> TensorType:
    """The value's dtype and the sizes asked for; raises ``ValueError`` where the value does not broadcast to them."""
    check_sizes(lengths)
    dims = zip(reversed(value.shape), reversed(lengths), strict=False)
    if value.ndim > len(lengths) or any(None not in (size, to) and size not in (1, to) for size, to in dims):
        raise coded(ValueError, "LJ501")(
            f"a value of shape {value.shape} does not fill an array of shape {lengths}; expected sizes that broadcast "
            "to it"
        )
    return TensorType(value.dtype, tuple(lengths))


register(
    "alloc",
    lambda value, lengths: lax_kernels.broadcast_to(value, tuple(lengths)),
    _alloc_type,
    "view",
    broadcasts=lambda value, lengths: [[value.shape, lengths]],
)


@public_op
def alloc(value: Any, *shape: Any) -> Variable:
    """Array filled with ``value``, broadcast to a shape.

    Differentiable in ``value``, to any order.

    Parameters
    ----------
    value : array_like
        Fill value, of a shape that broadcasts to ``shape``.
    *shape : int or integer scalar variable
        Sizes, one argument each.

    Returns
    -------
    Variable
        Of the sizes ``shape`` and the dtype of ``value``.

    Raises
    ------
    TypeError
        Where a size is not an integer.
    ValueError
        Where a size is negative, or ``value`` does not broadcast to the shape.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.alloc([1, 2], 3, 2).eval())
    [[1 2]
     [1 2]
     [1 2]]
    """
    static, symbolic = split_sizes(shape, "shape")
    filled = as_variable(value)
    if filled.type.weak:
        filled = filled.astype(filled.dtype)
    return apply(table_op("alloc", lengths=static), filled, *symbolic)[0]


@reported
def full(shape: Any, fill_value: Any, dtype: DTypeLike | None = None) -> Variable:
    """Array of ``shape`` whose elements are all ``fill_value``.

    Parameters
    ----------
    shape : int, vector variable, or sequence of ints and scalar variables
        Sizes, or one int for a vector. A vector variable needs a known size.
    fill_value : array_like
        Fill value, of a shape that broadcasts to ``shape``.
    dtype : dtype_like, optional
        Dtype of the result, that of ``fill_value`` by default: int64 or floatX of a Python number.

    Returns
    -------
    Variable
        Array of shape ``shape``.

    Raises
    ------
    TypeError
        Where a size is not an integer, or ``dtype`` is not a dtype or would lose a part of a number ``fill_value``.
    OverflowError
        Where an integer ``fill_value`` does not fit into ``dtype``.
    ValueError
        Where a size is negative, or ``fill_value`` does not broadcast to ``shape``.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.full((2, 3), 7).eval())
    [[7 7 7]
     [7 7 7]]
    """
    return alloc(fill_value if dtype is None else _filling(fill_value, dtype), *size_list(shape))


def _filling(value: Any, dtype: DTypeLike) -> Variable:
    """A fill value in a dtype, which must hold a number."""
    variable = as_variable(value)
    return (
        recorded(Constant)(strong(value, dtype), variable.name)
        if variable.type.weak and variable is not value
        else variable.astype(dtype)
    )


@reported
def zeros(shape: Any, dtype: DTypeLike | None = None) -> Variable:
    """Array of zeros.

    Parameters
    ----------
    shape : int, vector variable, or sequence of ints and scalar variables
        Sizes, or one int for a vector. A vector variable needs a known size.
    dtype : dtype_like, optional
        Dtype of the result, floatX by default.

    Returns
    -------
    Variable
        Zeros of shape ``shape``.

    Raises
    ------
    TypeError
        Where a size is not an integer, or ``dtype`` is not a dtype.
    ValueError
        Where a size is negative.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.zeros((2, 2)).eval())
    [[0. 0.]
     [0. 0.]]
    """
    return full(shape, 0, dtype or config.floatX)


@reported
def ones(shape: Any, dtype: DTypeLike | None = None) -> Variable:
    """Array of ones.

    Parameters
    ----------
    shape : int, vector variable, or sequence of ints and scalar variables
        Sizes, or one int for a vector. A vector variable needs a known size.
    dtype : dtype_like, optional
        Dtype of the result, floatX by default.

    Returns
    -------
    Variable
        Ones of shape ``shape``.

    Raises
    ------
    TypeError
        Where a size is not an integer, or ``dtype`` is not a dtype.
    ValueError
        Where a size is negative.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.ones(3, dtype='int32').eval())
    [1 1 1]
    """
    return full(shape, 1, dtype or config.floatX)


empty = zeros


@reported
def full_like(x: Any, fill_value: Any, dtype: DTypeLike | None = None) -> Variable:
    """``fill_value`` in the shape of ``x``.

    Parameters
    ----------
    x : array_like
        Array whose shape is taken; its elements are not read.
    fill_value : array_like
        Fill value, of a shape that broadcasts to that of ``x``.
    dtype : dtype_like, optional
        Dtype of the result, that of ``x`` by default.

    Returns
    -------
    Variable
        Array of the shape of ``x``.

    Raises
    ------
    TypeError
        Where ``x`` or ``fill_value`` is not numeric, or the dtype would lose a part of a number ``fill_value``.
    OverflowError
        Where an integer ``fill_value`` does not fit into the dtype.
    ValueError
        Where ``fill_value`` does not broadcast to the shape of ``x``.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.full_like([1.0, 2.0], 7).eval())
    [7. 7.]
    """
    like = as_variable(x)
    return alloc(_filling(fill_value, dtype or like.dtype), *(like.shape[axis] for axis in range(like.ndim)))


@public_op
def zeros_like(x: Any, dtype: DTypeLike | None = None) -> Variable:
    """Zeros in the shape of ``x``.

    Parameters
    ----------
    x : array_like
        Array whose shape is taken; its elements are not read.
    dtype : dtype_like, optional
        Dtype of the result, that of ``x`` by default.

    Returns
    -------
    Variable
        Zeros in the shape of ``x``.

    Raises
    ------
    TypeError
        Where ``x`` is not numeric or ``dtype`` is not a dtype.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.zeros_like([[1, 2], [3, 4]]).eval())
    [[0 0]
     [0 0]]
    """
    return full_like(x, 0, dtype)


@public_op
def ones_like(x: Any, dtype: DTypeLike | None = None) -> Variable:
    """Ones in the shape of ``x``.

    Parameters
    ----------
    x : array_like
        Array whose shape is taken; its elements are not read.
    dtype : dtype_like, optional
        Dtype of the result, that of ``x`` by default.

    Returns
    -------
    Variable
        Ones in the shape of ``x``.

    Raises
    ------
    TypeError
        Where ``x`` is not numeric or ``dtype`` is not a dtype.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.ones_like([1.5, 2.5]).eval())
    [1. 1.]
    """
    return full_like(x, 1, dtype)


@public_op
def fill(x: Any, value: Any) -> Variable:
    """``value`` in the shape and dtype of ``x``; `full_like` by Theano's name.

    Parameters
    ----------
    x : array_like
        Array whose shape and dtype are taken; its elements are not read.
    value : array_like
        Fill value, of a shape that broadcasts to that of ``x``.

    Returns
    -------
    Variable
        Array of the shape and dtype of ``x``.

    Raises
    ------
    TypeError
        Where an input is not numeric.
    ValueError
        Where ``value`` does not broadcast to the shape of ``x``.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.fill([1, 2, 3], 7).eval())
    [7 7 7]
    """
    return full_like(x, value)


def _arange_type(lengths: Shape, dtype: str) -> TensorType:
    """Vector whose size is known where all three arguments are."""
    start, stop, step = lengths
    if start is None or stop is None or step is None:
        return TensorType(dtype, (None,))
    if step == 0:
        raise ValueError("arange with step 0 never ends")
    return TensorType(dtype, (counted(start, stop, step),))


def _arange_run(lengths: tuple[int, int, int], dtype: str) -> Any:
    """The numbers, from ``start``, ``stop`` and ``step`` as ints."""
    start, stop, step = lengths
    return lax_kernels.arange(start, stop, step, dtype)


register("arange", _arange_run, _arange_type, "memory_bound")


@public_op
def arange(start: Any, stop: Any = None, step: Any = 1, dtype: DTypeLike | None = None) -> Variable:
    """Evenly spaced integers from ``start`` up to, not including, ``stop``; as ``range``.

    Parameters
    ----------
    start : int or integer scalar variable
        First number; or ``stop``, where that is left out, and then the first number is 0.
    stop : int or integer scalar variable, optional
        End, not included.
    step : int or integer scalar variable
        Distance between numbers; may be negative.
    dtype : dtype_like, optional
        Dtype of the result: int64 by default, or floatX where an argument is a Python float.

    Returns
    -------
    Variable
        Vector. Where an argument is a Python float, a constant as by `numpy.arange`.

    Raises
    ------
    TypeError
        Where an argument is a float and another a variable, or one is not a scalar.
    ValueError
        Where ``step`` is zero.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.arange(4).eval(), at.arange(10, 4, -2).eval())
    [0 1 2 3] [10  8  6]
    >>> print(at.arange(0.0, 1.0, 0.25).eval())
    [0.   0.25 0.5  0.75]
    """
    names = ("start", "start", "step") if stop is None else ("start", "stop", "step")
    if stop is None:
        start, stop = 0, start
    bounds = (start, stop, step)
    for name, value in zip(names, bounds, strict=True):
        if isinstance(value, (float, np.floating)) and not np.isfinite(value):
            raise ValueError(f"{name} is {value}; expected a finite number, write {name}=1.0{here()}")
    if any(isinstance(value, (float, np.floating)) for value in bounds):
        if any(isinstance(value, Variable) for value in bounds):
            raise TypeError(f"arange of floats takes no variables; write start + step * arange(n){here()}")
        return constant(np.arange(*bounds), dtype=dtype or config.floatX)
    parts = [split_sizes([bound], name) for name, bound in zip(names, bounds, strict=True)]
    static, symbolic = [size for sizes, _ in parts for size in sizes], [one for _, ones in parts for one in ones]
    if static[2] == 0:
        raise ValueError(f"step is 0, and arange never ends; expected another int{here()}")
    return apply(table_op("arange", lengths=tuple(static), dtype=dtype_name(dtype or "int64")), *symbolic)[0]


def _eye_type(lengths: Shape, k: int, dtype: str) -> TensorType:
    """Matrix of the sizes asked for."""
    check_sizes(lengths)
    return TensorType(dtype, tuple(lengths))


def _eye_run(lengths: tuple[int, int], k: int, dtype: str) -> Any:
    """`jax.numpy.eye`."""
    return jnp.eye(lengths[0], lengths[1], k, dtype=dtype)


register("eye", _eye_run, _eye_type, "memory_bound")


@reported
def eye(n: Any, m: Any = None, k: int = 0, dtype: DTypeLike | None = None) -> Variable:
    """Matrix of zeros with ones on a diagonal.

    Parameters
    ----------
    n : int or integer scalar variable
        Number of rows.
    m : int or integer scalar variable, optional
        Number of columns, ``n`` by default.
    k : int
        Diagonal of the ones: 0 for the main one, positive above it, negative below.
    dtype : dtype_like, optional
        Dtype of the result, floatX by default.

    Returns
    -------
    Variable
        Matrix of shape ``(n, m)``.

    Raises
    ------
    TypeError
        Where a size is not an integer, or ``dtype`` is not a dtype.
    ValueError
        Where a size is negative.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.eye(2, 3, k=1).eval())
    [[0. 1. 0.]
     [0. 0. 1.]]
    """
    rows, columns = split_sizes([n], "n"), split_sizes([n if m is None else m], "m")
    static, symbolic = (*rows[0], *columns[0]), (*rows[1], *columns[1])
    return apply(table_op("eye", lengths=static, k=k, dtype=dtype_name(dtype or config.floatX)), *symbolic)[0]


@reported
def identity_like(x: Any, dtype: DTypeLike | None = None) -> Variable:
    """Identity matrix in the shape of a matrix.

    Parameters
    ----------
    x : array_like
        Matrix whose shape is taken.
    dtype : dtype_like, optional
        Dtype of the result, that of ``x`` by default.

    Returns
    -------
    Variable
        Matrix of the shape of ``x``, with ones on its main diagonal.

    Raises
    ------
    ValueError
        Where ``x`` is not a matrix.
    TypeError
        Where ``x`` is not numeric or ``dtype`` is not a dtype.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.identity_like([[3, 4], [5, 6]]).eval())
    [[1 0]
     [0 1]]
    """
    like = as_variable(x)
    if like.ndim != 2:
        raise coded(ValueError, "LJ507")(f"identity_like takes a matrix, got {like!r}; write loopjax.tensor.eye(n)")
    return eye(like.shape[0], like.shape[1], dtype=dtype or like.dtype)


def _linspace_type(start: TensorType, stop: TensorType, lengths: Shape, dtype: str) -> TensorType:
    """The shape of the bounds, after a first axis of the numbers."""
    check_sizes(lengths)
    return TensorType(dtype, (*lengths, *broadcast_shapes(start.shape, stop.shape)))


def _linspace_run(start: Any, stop: Any, lengths: tuple[int], dtype: str) -> Any:
    """`jax.numpy.linspace`."""
    return jnp.linspace(start, stop, lengths[0], dtype=dtype)


def _linspace_ends(start: TensorType, stop: TensorType, lengths: Shape, dtype: str) -> list[list[Shape]]:
    """The bounds broadcast with each other."""
    return [[start.shape, stop.shape]]


register("linspace", _linspace_run, _linspace_type, "memory_bound", broadcasts=_linspace_ends)


@reported
def linspace(start: Any, stop: Any, num: Any = 50, dtype: DTypeLike | None = None) -> Variable:
    """Evenly spaced numbers from ``start`` to ``stop``, both included.

    Differentiable in ``start`` and ``stop``.

    Parameters
    ----------
    start, stop : array_like
        First and last number; arrays broadcast, and give numbers along a new first axis.
    num : int or integer scalar variable
        How many numbers.
    dtype : dtype_like, optional
        Dtype of the result, floatX by default.

    Returns
    -------
    Variable
        Of shape ``(num, ...)``.

    Raises
    ------
    TypeError
        Where ``num`` is not an integer, ``dtype`` is not a dtype, or a bound is not numeric.
    ValueError
        Where ``num`` is negative, or the shapes do not broadcast.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.linspace(0.0, 1.0, 5).eval())
    [0.   0.25 0.5  0.75 1.  ]
    """
    to = dtype_name(dtype or config.floatX)
    static, symbolic = split_sizes([num], "num")
    computed = to if jnp.issubdtype(to, jnp.inexact) else config.floatX
    ends = [as_variable(end).astype(computed) for end in (start, stop)]
    return apply(table_op("linspace", lengths=static, dtype=to), *ends, *symbolic)[0]


empty_like = zeros_like


@reported
def tri(n: Any, m: Any = None, k: int = 0, dtype: DTypeLike | None = None) -> Variable:
    """Matrix of ones on and below a diagonal, zeros above it.

    Parameters
    ----------
    n : int or integer scalar variable
        Number of rows.
    m : int or integer scalar variable, optional
        Number of columns, ``n`` by default.
    k : int
        Last diagonal of ones: 0 for the main one, positive above it, negative below.
    dtype : dtype_like, optional
        Dtype of the result, floatX by default.

    Returns
    -------
    Variable
        Matrix of shape ``(n, m)``.

    Raises
    ------
    TypeError
        Where a size is not an integer, or ``dtype`` is not a dtype.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.tri(3).eval())
    [[1. 0. 0.]
     [1. 1. 0.]
     [1. 1. 1.]]
    """
    check_sizes(split_sizes([n], "n")[0])
    check_sizes(split_sizes([n if m is None else m], "m")[0])
    rows, columns = arange(n), arange(n if m is None else m)
    return ge(rows.dimshuffle(0, "x") + k, columns.dimshuffle("x", 0)).astype(dtype or config.floatX)


@reported
def as_tensor_variable(x: Any, name: str | None = None, ndim: int | None = None) -> Variable:
    """Convert a value to a variable.

    Parameters
    ----------
    x : array_like
        Variable, number, array, or nested list of them. Python numbers become int64 or floatX, and do not adapt to what
        they meet, unlike those of `as_variable`.
    name : str, optional
        Name of a new constant.
    ndim : int, optional
        Least number of dimensions; axes of size 1 are put in front.

    Returns
    -------
    Variable
        ``x`` itself where it is a variable of enough dimensions.

    Raises
    ------
    TypeError
        Where ``x`` is not numeric, or is a JAX tracer.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.as_tensor_variable([1, 2], ndim=2).type)
    int64(1, 2)
    """
    variable = x if isinstance(x, Variable) else as_variable(x, name)
    if isinstance(variable, Constant) and variable.type.weak:
        variable = recorded(Constant)(strong(x), name)
    if ndim is not None and variable.ndim < ndim:
        variable = variable.dimshuffle(*["x"] * (ndim - variable.ndim), *range(variable.ndim))
    return variable


as_tensor = as_tensor_variable


class _Grid:
    """Constant coordinate arrays by slices, as NumPy's ``mgrid`` and ``ogrid``.

    ``mgrid[0:3, 0:2]`` has an array for each axis, all of the grid's shape; the arrays of ``ogrid`` have size 1 along
    the other axes. Bounds are numbers: ``start:stop:step``, or ``start:stop:5j`` for five numbers with ``stop``
    included. Floats have dtype floatX. Symbolic bounds raise ``TypeError``.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> rows, columns = at.mgrid[0:2, 0:3]
    >>> print(columns.eval())
    [[0 1 2]
     [0 1 2]]
    >>> rows, columns = at.ogrid[0:2, 0:3]
    >>> print(rows.eval())
    [[0]
     [1]]
    """

    def __init__(self, grid: Any) -> None:
        self._grid = grid

    def __getitem__(self, key: Any) -> Any:
        """Coordinate arrays for a tuple of slices, or the array of one slice."""
        slices = key if isinstance(key, tuple) else (key,)
        if any(isinstance(bound, Variable) for one in slices for bound in (one.start, one.stop, one.step)):
            raise TypeError(f"mgrid takes numbers; build symbolic grids from arange and dimshuffle{here()}")
        arrays = self._grid[slices]
        constants = [constant(array, dtype=None if array.dtype.kind in "iu" else config.floatX) for array in arrays]
        return constants if isinstance(key, tuple) else constants[0]


mgrid = _Grid(np.mgrid)
ogrid = _Grid(np.ogrid)
