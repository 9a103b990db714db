"""Reductions, cumulative ops and differences along axes.

The parameters of a reduction are its axes from 0 up, ``keepdims`` and the dtype of the result: ``x.sum(-1)`` of an
int32 matrix records ``sum`` with the axes ``(1,)`` and the dtype int64. Sums, products and means are computed in the
dtype of the result, which users may choose.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import DTypeLike

from loopjax.config import config
from loopjax.errors import check_integer, coded
from loopjax.ir.graph import Variable, apply
from loopjax.ir.methods import Axis
from loopjax.ir.op import register, table_op
from loopjax.ir.public_ops import public_op
from loopjax.ir.traits import Trait
from loopjax.ir.types import TensorType, dtype_name, jax_dtype
from loopjax.tensor import lax_kernels
from loopjax.tensor.axes import normal_axes, normal_axis
from loopjax.tensor.elementwise import absolute, cast, isclose, sqr, sqrt
from loopjax.tensor.lax_kernels import reduction
from loopjax.tensor.shape import dimshuffle, transpose
from loopjax.trace.convert import as_variable, is_complex

__all__ = [
    "all",
    "allclose",
    "amax",
    "amin",
    "any",
    "argmax",
    "argmin",
    "cumprod",
    "cumsum",
    "diff",
    "logsumexp",
    "max",
    "max_and_argmax",
    "mean",
    "min",
    "norm",
    "prod",
    "ptp",
    "std",
    "sum",
    "var",
]


def _reduced(type: TensorType, axis: tuple[int, ...], keepdims: bool, dtype: str | None) -> TensorType:
    shape = [
        1 if position in axis else dim for position, dim in enumerate(type.shape) if keepdims or position not in axis
    ]
    return TensorType(dtype or type.dtype, tuple(shape))


def _float_of(dtype: str) -> str:
    return dtype if jnp.issubdtype(dtype, jnp.inexact) else config.floatX


def _real_of(dtype: str) -> str:
    return str(np.empty(0, dtype).real.dtype) if np.dtype(dtype).kind == "c" else _float_of(dtype)


def _sum_of(dtype: str) -> str:
    return dtype if jnp.issubdtype(dtype, jnp.inexact) else "int64"


def _check_not_empty(type: TensorType, axis: tuple[int, ...]) -> None:
    """Raise ``ValueError`` where a maximum or minimum is over no elements."""
    if 0 in [type.shape[position] for position in axis]:
        raise coded(ValueError, "LJ505")(
            f"an array of shape {type.shape} has no elements along axes {axis}, and so no result"
        )


def _register(name: str, run: Callable[..., Any], *traits: Trait, cast: bool = False, not_empty: bool = False) -> None:
    """Register a reduction. ``cast`` brings the input to the dtype of the result; ``not_empty`` refuses empty axes."""

    def infer(type: TensorType, axis: tuple[int, ...], keepdims: bool, dtype: str) -> TensorType:
        if not_empty:
            _check_not_empty(type, axis)
        return _reduced(type, axis, keepdims, dtype)

    def lowered(x: Any, axis: tuple[int, ...], keepdims: bool, dtype: str) -> Any:
        if cast and x.dtype != dtype:
            x = x.astype(dtype)
        found = run(x, axis=axis, keepdims=keepdims)
        return found if found.dtype == dtype else found.astype(dtype)

    register(name, lowered, infer, "reduce", *traits)


_register("sum", reduction(lax.reduce_sum, jnp.sum), "finite_derivative", cast=True)
_register("prod", reduction(lax.reduce_prod, jnp.prod), cast=True)
_register("mean", reduction(lax_kernels.mean, jnp.mean), "finite_derivative", cast=True)
_register("max", reduction(lax.reduce_max, jnp.max), not_empty=True)
_register("min", reduction(lax.reduce_min, jnp.min), not_empty=True)
# By a comparison, which has no derivative: JAX has no rule for a boolean that a derivative of another loop gives.
_register("any", lambda x, **options: jnp.any(x != np.zeros((), x.dtype), **options))
_register("all", lambda x, **options: jnp.all(x != np.zeros((), x.dtype), **options))
_register("logsumexp", jax.nn.logsumexp, cast=True)


def _reduce(name: str, x: Variable, axis: Axis, keepdims: bool, dtype: str) -> Variable:
    """Record a reduction with a result of this dtype."""
    axes = normal_axes(axis, x.ndim)
    return apply(table_op(name, axis=axes, keepdims=bool(keepdims), dtype=dtype), x)[0]


def _accumulated(
    name: str, x: Variable, axis: Axis, keepdims: bool, dtype: str, acc_dtype: DTypeLike | None
) -> Variable:
    """Record a reduction with a result of ``dtype`` that is computed in ``acc_dtype``."""
    computed = dtype if acc_dtype is None else dtype_name(acc_dtype)
    x = cast(x, computed) if is_complex(x.dtype) else x  # refused where it would drop the imaginary part
    return cast(_reduce(name, x, axis, keepdims, computed), dtype)


@public_op
def sum(
    x: Any,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    keepdims: bool = False,
    acc_dtype: DTypeLike | None = None,
) -> Variable:
    """Sum elements over axes.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    axis : int or sequence of int, optional
        The axes summed over; by default all.
    dtype : dtype, optional
        The dtype of the sum; by default that of ``x``, int64 for integers and booleans.
    keepdims : bool, optional
        True to keep these axes with size 1.
    acc_dtype : dtype, optional
        The dtype of the computation, by default that of the sum; ``"float64"`` keeps the digits of long float32
        arrays.

    Returns
    -------
    Variable
        The sums.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis, or one is named twice.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.sum([[1, 2], [3, 4]], axis=0).eval())
    [4 6]
    """
    variable = as_variable(x)
    to = _sum_of(variable.dtype) if dtype is None else dtype_name(dtype)
    return _accumulated("sum", variable, axis, keepdims, to, acc_dtype)


@public_op
def prod(
    x: Any,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    keepdims: bool = False,
    acc_dtype: DTypeLike | None = None,
) -> Variable:
    """Multiply elements over axes.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    axis : int or sequence of int, optional
        The axes multiplied over; by default all.
    dtype : dtype, optional
        The dtype of the product; by default that of ``x``, int64 for integers and booleans.
    keepdims : bool, optional
        True to keep these axes with size 1.
    acc_dtype : dtype, optional
        The dtype of the computation, by default that of the product; ``"float64"`` keeps the digits of long float32
        arrays.

    Returns
    -------
    Variable
        The products.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis, or one is named twice.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.prod([[1, 2], [3, 4]], axis=1).eval())
    [ 2 12]
    """
    variable = as_variable(x)
    to = _sum_of(variable.dtype) if dtype is None else dtype_name(dtype)
    return _accumulated("prod", variable, axis, keepdims, to, acc_dtype)


@public_op
def mean(
    x: Any,
    axis: Axis = None,
    dtype: DTypeLike | None = None,
    keepdims: bool = False,
    acc_dtype: DTypeLike | None = None,
) -> Variable:
    """Average elements over axes.

    NaN where there are no elements. Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    axis : int or sequence of int, optional
        The axes averaged over; by default all.
    dtype : dtype, optional
        The dtype of the mean; by default that of ``x``, floatX for integers and booleans.
    keepdims : bool, optional
        True to keep these axes with size 1.
    acc_dtype : dtype, optional
        The dtype of the computation, by default that of the mean; ``"float64"`` keeps the digits of long float32
        arrays.

    Returns
    -------
    Variable
        The means.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis, or one is named twice.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.mean([[1, 2], [3, 4]], axis=0).eval())
    [2. 3.]
    """
    variable = as_variable(x)
    to = _float_of(variable.dtype) if dtype is None else dtype_name(dtype)
    return _accumulated("mean", variable, axis, keepdims, to, acc_dtype)


@public_op
def max(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """Find the largest elements over axes.

    NaN where an element is NaN. Differentiable in ``x``; equal maxima share the gradient.

    Parameters
    ----------
    x : array_like
        Real numbers or booleans.
    axis : int or sequence of int, optional
        The axes; by default all.
    keepdims : bool, optional
        True to keep these axes with size 1.

    Returns
    -------
    Variable
        The maxima, in the dtype of ``x``.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis, or no elements along them.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.max([[1, 2], [3, 0]], axis=1).eval())
    [2 3]
    """
    variable = as_variable(x)
    return _reduce("max", variable, axis, keepdims, variable.dtype)


@public_op
def min(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """Find the smallest elements over axes.

    NaN where an element is NaN. Differentiable in ``x``; equal minima share the gradient.

    Parameters
    ----------
    x : array_like
        Real numbers or booleans.
    axis : int or sequence of int, optional
        The axes; by default all.
    keepdims : bool, optional
        True to keep these axes with size 1.

    Returns
    -------
    Variable
        The minima, in the dtype of ``x``.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis, or no elements along them.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.min([[1, 2], [3, 0]], axis=1).eval())
    [1 0]
    """
    variable = as_variable(x)
    return _reduce("min", variable, axis, keepdims, variable.dtype)


amax, amin = max, min


@public_op
def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """Test if any element over axes is true.

    The result is no float and has no derivative.

    Parameters
    ----------
    x : array_like
        Any array; numbers are true where they are not 0.
    axis : int or sequence of int, optional
        The axes; by default all.
    keepdims : bool, optional
        True to keep these axes with size 1.

    Returns
    -------
    Variable
        Booleans.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis, or one is named twice.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.any([[True, False], [False, False]], axis=1).eval())
    [ True False]
    """
    return _reduce("any", as_variable(x), axis, keepdims, "bool")


@public_op
def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """Test if all elements over axes are true.

    The result is no float and has no derivative.

    Parameters
    ----------
    x : array_like
        Any array; numbers are true where they are not 0.
    axis : int or sequence of int, optional
        The axes; by default all.
    keepdims : bool, optional
        True to keep these axes with size 1.

    Returns
    -------
    Variable
        Booleans.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis, or one is named twice.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.all([[True, True], [True, False]], axis=1).eval())
    [ True False]
    """
    return _reduce("all", as_variable(x), axis, keepdims, "bool")


@public_op
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """Logarithm of the sum of exponentials over axes, without overflow.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    axis : int or sequence of int, optional
        The axes; by default all.
    keepdims : bool, optional
        True to keep these axes with size 1.

    Returns
    -------
    Variable
        In the dtype of ``x``, floatX for integers and booleans.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis, or one is named twice.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.logsumexp([1000.0, float("-inf")]).eval())
    1000.0
    """
    variable = as_variable(x)
    return _reduce("logsumexp", variable, axis, keepdims, _float_of(variable.dtype))


@public_op
def max_and_argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> tuple[Variable, Variable]:
    """Find the largest elements along an axis and their positions.

    The maxima are differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Real numbers or booleans.
    axis : int or sequence of int, optional
        The axes, flattened where there are several; by default all.
    keepdims : bool, optional
        True to keep reduced axes with size 1.

    Returns
    -------
    tuple of Variable
        The maxima, in the dtype of ``x``, and their int64 positions.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis, or no elements along it.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> largest, position = at.max_and_argmax([1, 5, 2])
    >>> print(largest.eval(), position.eval())
    5 1
    """
    return max(x, axis, keepdims), argmax(x, axis, keepdims)


@public_op
def allclose(x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Variable:
    """Test if two arrays are equal within a tolerance, element by element.

    The result is no float and has no derivative.

    Parameters
    ----------
    x : array_like
        Any array.
    y : array_like
        An array whose shape broadcasts with that of ``x``.
    rtol : float, optional
        The tolerance relative to ``y``.
    atol : float, optional
        The tolerance added to it.
    equal_nan : bool, optional
        True to count NaN as equal to NaN.

    Returns
    -------
    Variable
        A boolean scalar.

    Raises
    ------
    ValueError
        Where the shapes do not broadcast.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.allclose([1.0, 2.0], [1.0, 2.000001]).eval())
    True
    """
    return all(isclose(x, y, rtol, atol, equal_nan))


@public_op
def var(x: Any, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Variable:
    """Variance over axes.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    axis : int or sequence of int, optional
        The axes; by default all.
    ddof : int, optional
        What is taken from the number of elements before dividing by it.
    keepdims : bool, optional
        True to keep these axes with size 1.

    Returns
    -------
    Variable
        The variances, of real dtype, floatX for integers and booleans.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis, or one is named twice.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.var([1, 3], ddof=1).eval())
    2.0
    """
    variable = as_variable(x)
    axes = normal_axes(axis, variable.ndim)
    to = _real_of(variable.dtype)
    return apply(table_op("var", axis=axes, ddof=ddof, keepdims=bool(keepdims), dtype=to), variable)[0]


def _var_type(type: TensorType, axis: tuple[int, ...], ddof: int, keepdims: bool, dtype: str) -> TensorType:
    return _reduced(type, axis, keepdims, dtype)


def _var_run(x: Any, axis: tuple[int, ...], ddof: int, keepdims: bool, dtype: str) -> Any:
    exact = x if jnp.iscomplexobj(x) else x.astype(dtype)
    return jnp.var(exact, axis=axis, ddof=ddof, keepdims=keepdims)


register("var", _var_run, _var_type, "reduce")


@public_op
def std(x: Any, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Variable:
    """Standard deviation over axes, the square root of ``var``.

    Differentiable in ``x`` where it is not 0.

    Parameters
    ----------
    x : array_like
        Any array.
    axis : int or sequence of int, optional
        The axes; by default all.
    ddof : int, optional
        What is taken from the number of elements before dividing by it.
    keepdims : bool, optional
        True to keep these axes with size 1.

    Returns
    -------
    Variable
        The standard deviations, of real dtype, floatX for integers and booleans.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis, or one is named twice.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.std([1, 3]).eval())
    1.0
    """
    return sqrt(var(x, axis, ddof, keepdims))


def _register_position(name: str, run: Callable[..., Any]) -> None:
    """Register ``argmax`` or ``argmin``."""

    def infer(type: TensorType, axis: int | None, keepdims: bool) -> TensorType:
        axes = tuple(range(type.ndim)) if axis is None else (axis,)
        _check_not_empty(type, axes)
        return _reduced(type, axes, keepdims, "int64")

    def lowered(x: Any, axis: int | None, keepdims: bool) -> Any:
        return run(x, axis=axis, keepdims=keepdims).astype(int)

    register(name, lowered, infer, "reduce")


_register_position("argmax", jnp.argmax)
_register_position("argmin", jnp.argmin)


def _position(name: str, x: Any, axis: Axis, keepdims: bool) -> Variable:
    variable = as_variable(x)
    axes = normal_axes(axis, variable.ndim)
    if 1 < len(axes) < variable.ndim:
        return _position_over(name, variable, axes, keepdims)
    along = axes[0] if axis is not None and len(axes) == 1 else None
    return apply(table_op(name, axis=along, keepdims=bool(keepdims)), variable)[0]


def _position_over(name: str, x: Variable, axes: tuple[int, ...], keepdims: bool) -> Variable:
    """Positions in the flattened array of several axes."""
    others = [axis for axis in range(x.ndim) if axis not in axes]
    merged = transpose(x, *others, *axes).flatten(len(others) + 1)
    found = apply(table_op(name, axis=len(others), keepdims=False), merged)[0]
    kept = iter(range(len(others)))
    return dimshuffle(found, *("x" if axis in axes else next(kept) for axis in range(x.ndim))) if keepdims else found


@public_op
def argmax(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """Find the positions of the largest elements over axes, the first of equal ones.

    The result is no float and has no derivative.

    Parameters
    ----------
    x : array_like
        Real numbers or booleans.
    axis : int or sequence of int, optional
        The axes, flattened where there are several; by default all.
    keepdims : bool, optional
        True to keep reduced axes with size 1.

    Returns
    -------
    Variable
        int64 positions.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis, or no elements along it.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.argmax([[1, 5, 2], [7, 0, 7]], axis=1).eval())
    [1 0]
    """
    return _position("argmax", x, axis, keepdims)


@public_op
def argmin(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
    """Find the positions of the smallest elements over axes, the first of equal ones.

    The result is no float and has no derivative.

    Parameters
    ----------
    x : array_like
        Real numbers or booleans.
    axis : int or sequence of int, optional
        The axes, flattened where there are several; by default all.
    keepdims : bool, optional
        True to keep reduced axes with size 1.

    Returns
    -------
    Variable
        int64 positions.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis, or no elements along it.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.argmin([[1, 5, 2], [7, 0, 7]], axis=1).eval())
    [0 1]
    """
    return _position("argmin", x, axis, keepdims)


def _register_cumulative(name: str, run: Callable[..., Any]) -> None:
    """Register ``cumsum`` or ``cumprod``."""

    def infer(type: TensorType, axis: int) -> TensorType:
        return TensorType(_sum_of(type.dtype), type.shape)

    def lowered(x: Any, axis: int) -> Any:
        # XLA merges the padding of one row with the windows of a cumulative sum and gets a wrong sum: jaxlib 0.10.2,
        # `jit(grad(lambda x: (lax.cumsum(jnp.stack([x] * 3), 0)[1] ** 2).sum()))` of an array. Barriers on both sides
        # keep padding of values and of cotangents away; they cost nothing that was measured.
        barrier: Callable[..., Any] = jax.lax.optimization_barrier
        return barrier(run(barrier(x), axis=axis, dtype=jax_dtype(_sum_of(str(x.dtype)))))

    register(name, lowered, infer, "memory_bound")


_register_cumulative("cumsum", jnp.cumsum)
_register_cumulative("cumprod", jnp.cumprod)


def _accumulate(name: str, x: Any, axis: int | None) -> Variable:
    variable = as_variable(x)
    if axis is None:
        variable, axis = variable.flatten(), 0
    return apply(table_op(name, axis=normal_axis(axis, variable.ndim)), variable)[0]


@public_op
def cumsum(x: Any, axis: int | None = None) -> Variable:
    """Cumulative sums along an axis.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    axis : int or sequence of int, optional
        The axes, flattened where there are several; by default all.

    Returns
    -------
    Variable
        In the dtype of ``x``, int64 for integers and booleans.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.cumsum([1, 2, 3]).eval())
    [1 3 6]
    """
    return _accumulate("cumsum", x, axis)


@public_op
def cumprod(x: Any, axis: int | None = None) -> Variable:
    """Cumulative products along an axis.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    axis : int or sequence of int, optional
        The axes, flattened where there are several; by default all.

    Returns
    -------
    Variable
        In the dtype of ``x``, int64 for integers and booleans.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.cumprod([1, 2, 3]).eval())
    [1 2 6]
    """
    return _accumulate("cumprod", x, axis)


@public_op
def diff(x: Any, n: int = 1, axis: int = -1) -> Variable:
    """Differences between neighbours along an axis.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        An array of at least one dimension.
    n : int, optional
        How often differences are taken.
    axis : int, optional
        The axis, by default the last.

    Returns
    -------
    Variable
        An array shorter by ``n`` along the axis.

    Raises
    ------
    ValueError
        Where ``n`` is negative, or ``x`` has no such axis.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.diff([1, 4, 9, 16]).eval())
    [3 5 7]
    """
    variable = as_variable(x)
    before = (slice(None),) * normal_axis(axis, variable.ndim)
    check_integer("n", n, 0)
    for _ in range(n):
        variable = variable[(*before, slice(1, None))] - variable[(*before, slice(None, -1))]
    return variable


@public_op
def ptp(x: Any, axis: Axis = None) -> Variable:
    """Range of values over axes, the maximum less the minimum.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Real numbers.
    axis : int or sequence of int, optional
        The axes; by default all.

    Returns
    -------
    Variable
        The ranges, in the dtype of ``x``.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis, or no elements along them.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.ptp([1, 5, 2]).eval())
    4
    """
    return max(x, axis=axis) - min(x, axis=axis)


@public_op
def norm(x: Any, ord: float | None = 2, axis: Axis = None, keepdims: bool = False) -> Variable:
    """Vector norm over axes; ``at.linalg.norm`` has the norms of matrices.

    Differentiable in ``x`` where the norm is.

    Parameters
    ----------
    x : array_like
        Any array.
    ord : {1, 2, inf, None}, optional
        The order; ``None`` is 2.
    axis : int or sequence of int, optional
        The axes; by default all.
    keepdims : bool, optional
        True to keep these axes with size 1.

    Returns
    -------
    Variable
        The norms.

    Raises
    ------
    ValueError
        Where ``ord`` is another, or ``x`` has no such axis.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.norm([3.0, 4.0]).eval(), at.norm([3.0, 4.0], 1).eval())
    5.0 7.0
    """
    lengths = absolute(x)
    if ord == 1:
        return sum(lengths, axis=axis, keepdims=keepdims)
    if ord in (2, None):
        return sqrt(sum(sqr(lengths), axis=axis, keepdims=keepdims))
    if ord == math.inf:
        return max(lengths, axis, keepdims)
    raise coded(ValueError, "LJ901")(f"norm takes ord 1, 2 or infinity, not {ord!r}; write ord=2")
