"""Functions of whole matrices: determinants, powers, the exponential, norms; leading axes are batches."""

from __future__ import annotations

import math
import operator
from typing import Any, SupportsIndex

import jax
import jax.numpy as jnp

from loopjax.errors import check_number, coded, here, reported
from loopjax.ir.graph import Variable, apply
from loopjax.ir.methods import Axis
from loopjax.ir.op import register, table_op
from loopjax.ir.types import TensorType
from loopjax.tensor.axes import normal_axis
from loopjax.tensor.elementwise import real_dtype
from loopjax.tensor.matrix_types import side, solvable_dtype
from loopjax.tensor.operands import promoted
from loopjax.tensor.small_matrices import determinant, is_small, sign_and_log_determinant
from loopjax.tensor.systems import matrix_inverse
from loopjax.trace.convert import as_variable


def _det_type(type: TensorType) -> TensorType:
    side(type)
    return TensorType(solvable_dtype(type), type.shape[:-2])


def _slogdet_type(type: TensorType) -> tuple[TensorType, TensorType]:
    sign = _det_type(type)
    return sign, TensorType(real_dtype(sign.dtype), sign.shape)


def _det_run(x: Any) -> Any:
    if x.shape[-1] == 1:
        return x[..., 0, 0]
    return determinant(x) if is_small(x) and x.shape[-1] == 3 else jnp.linalg.det(x)


def _slogdet_run(x: Any) -> Any:
    return sign_and_log_determinant(x) if is_small(x) else tuple(jnp.linalg.slogdet(x))


register("det", _det_run, _det_type, "cubic", operands="float")
register("slogdet", _slogdet_run, _slogdet_type, "cubic", operands="float")


@reported
def det(x: Any) -> Variable:
    """Determinants of square matrices.

    Differentiable.

    Parameters
    ----------
    x : array_like
        Matrices ``(..., n, n)``.

    Returns
    -------
    Variable
        The determinants ``(...)``.

    Raises
    ------
    TypeError
        Where the matrices have a dtype of 16 bits.
    ValueError
        Where ``x`` is not square.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.linalg.det([[2.0, 0.0], [0.0, 4.0]]).eval())
    8.0
    """
    return apply(table_op("det"), *promoted("float", [x]))[0]


@reported
def slogdet(x: Any) -> tuple[Variable, ...]:
    """Signs and logarithms of the absolute values of determinants, where ``det`` would overflow.

    The logarithm is differentiable.

    Parameters
    ----------
    x : array_like
        Matrices ``(..., n, n)``.

    Returns
    -------
    tuple of Variable
        The signs ``(...)`` and the logarithms ``(...)``.

    Raises
    ------
    TypeError
        Where the matrices have a dtype of 16 bits.
    ValueError
        Where ``x`` is not square.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> sign, logarithm = at.linalg.slogdet([[-1.0, 0.0], [0.0, 1.0]])
    >>> print(sign.eval(), logarithm.eval())
    -1.0 0.0
    """
    return apply(table_op("slogdet"), *promoted("float", [x]))


def _same_square(type: TensorType) -> TensorType:
    size = side(type)
    return TensorType(solvable_dtype(type), (*type.shape[:-2], size, size))


def _power_type(type: TensorType, n: int) -> TensorType:
    size = side(type)
    return TensorType(type.dtype, (*type.shape[:-2], size, size))


register("expm", lambda x: jax.scipy.linalg.expm(x), _same_square, "cubic", operands="float")
register("matrix_power", lambda x, n: jnp.linalg.matrix_power(x, n), _power_type, "cubic")


@reported
def expm(x: Any) -> Variable:
    """Matrix exponentials, by scaling and squaring with Pade approximants (Higham 2005).

    NaN where more than 16 squarings are needed, at norms of about 3e5. Differentiable.

    Parameters
    ----------
    x : array_like
        Matrices ``(..., n, n)``.

    Returns
    -------
    Variable
        The exponentials ``(..., n, n)``.

    Raises
    ------
    TypeError
        Where the matrices have a dtype of 16 bits.
    ValueError
        Where ``x`` is not square.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.linalg.expm([[0.0, 1.0], [0.0, 0.0]]).eval())
    [[1. 1.]
     [0. 1.]]
    """
    return apply(table_op("expm"), *promoted("float", [x]))[0]


@reported
def matrix_power(M: Any, n: SupportsIndex) -> Variable:  # noqa: N803 - NumPy's name
    """Integer powers of square matrices, by repeated squaring.

    Differentiable in ``M``.

    Parameters
    ----------
    M : array_like
        Matrices ``(..., n, n)``.
    n : int
        The power; the inverses are raised to ``-n`` where it is negative.

    Returns
    -------
    Variable
        The powers ``(..., n, n)``.

    Raises
    ------
    TypeError
        Where ``n`` is no int: ``scan`` computes a power that is a value.
    ValueError
        Where ``M`` is not square.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.linalg.matrix_power([[1, 1], [0, 1]], 5).eval())
    [[1 5]
     [0 1]]
    """
    try:
        count = operator.index("" if isinstance(n, bool) else n)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"matrix_power takes an int, got {n!r}; use scan for a power that is a value{here()}") from None
    matrix = as_variable(M) if count >= 0 else matrix_inverse(M)
    return apply(table_op("matrix_power", n=abs(count)), matrix)[0]


Order = float | str | None

_MATRIX_ORDERS: tuple[Order, ...] = (None, "fro", "nuc", math.inf, -math.inf, 1, -1, 2, -2)


def _norm_type(type: TensorType, ord: Order, axis: tuple[int, ...], keepdims: bool) -> TensorType:
    dtype = solvable_dtype(type) if len(axis) == 2 else type.dtype
    sizes = [1 if place in axis else size for place, size in enumerate(type.shape) if keepdims or place not in axis]
    return TensorType(real_dtype(dtype), tuple(sizes))


def _norm_run(x: Any, ord: Order, axis: tuple[int, ...], keepdims: bool) -> Any:
    return jnp.linalg.norm(x, ord, axis if len(axis) == 2 else axis[0], keepdims)


register("norm", _norm_run, _norm_type, operands="float")


@reported
def norm(x: Any, ord: Order = None, axis: Axis = None, keepdims: bool = False) -> Variable:
    """Norms of vectors or matrices.

    Differentiable where the norm is.

    Parameters
    ----------
    x : array_like
        Any array of at least one dimension.
    ord : float or str, optional
        For vectors a number, 2 by default, 0 counting elements that are not 0. For matrices ``"fro"`` (the default),
        ``"nuc"``, 1, 2 and infinity, and their negatives. ``"inf"`` and ``"-inf"`` are infinity as well.
    axis : int or pair of int, optional
        The axis of vectors, or the two axes of matrices; by default all axes.
    keepdims : bool, optional
        True to keep these axes with size 1.

    Returns
    -------
    Variable
        The norms, of real dtype.

    Raises
    ------
    TypeError
        Where matrices have a dtype of 16 bits.
    ValueError
        Where there are not one or two axes, or ``ord`` is no order of norms of vectors or matrices.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.linalg.norm([3.0, 4.0]).eval(), at.linalg.norm([[1.0, -2.0], [3.0, 4.0]], "inf").eval())
    5.0 7.0
    """
    (variable,) = promoted("float", [x])
    given = range(variable.ndim) if axis is None else axis if isinstance(axis, (list, tuple)) else [axis]
    axes = tuple(normal_axis(one, variable.ndim) for one in given)
    if len(set(axes)) != len(axes) or len(axes) not in (1, 2):
        raise coded(ValueError, "LJ505")(f"norm is along one or two axes of {variable!r}, not {axes}")
    order = {"inf": math.inf, "-inf": -math.inf}.get(ord, ord) if isinstance(ord, str) else ord
    if order is not None and not isinstance(order, str):
        check_number("ord", order)
    allowed = order in _MATRIX_ORDERS if len(axes) == 2 else not isinstance(order, str)
    if not allowed:
        raise coded(ValueError, "LJ901")(
            f"norm of {'matrices' if len(axes) == 2 else 'vectors'} takes no ord={ord!r:.80}; write ord=2"
        )
    return apply(table_op("norm", ord=order, axis=axes, keepdims=bool(keepdims)), variable)[0]
