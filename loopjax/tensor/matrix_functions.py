"""Functions of whole matrices: determinants, powers, the exponential, norms. Leading axes are batches."""

from __future__ import annotations

import math
import operator
from typing import Any

import jax
import jax.numpy as jnp

from loopjax.errors import here
from loopjax.ir.graph import Variable, apply
from loopjax.ir.methods import Axis
from loopjax.ir.op import register, table_op
from loopjax.ir.types import TensorType
from loopjax.tensor.axes import normal_axis
from loopjax.tensor.elementwise import real_dtype
from loopjax.tensor.matrix_types import side, solvable_dtype
from loopjax.tensor.operands import promoted
from loopjax.tensor.systems import matrix_inverse
from loopjax.trace.convert import as_variable


def _det_type(type: TensorType) -> TensorType:
    side(type)
    return TensorType(solvable_dtype(type), type.shape[:-2])


def _slogdet_type(type: TensorType) -> tuple[TensorType, TensorType]:
    sign = _det_type(type)
    return sign, TensorType(real_dtype(sign.dtype), sign.shape)


register("det", jnp.linalg.det, _det_type, "cubic", operands="float")
register("slogdet", lambda x: tuple(jnp.linalg.slogdet(x)), _slogdet_type, "cubic", operands="float")


def det(x: Any) -> Variable:
    """The determinants of square matrices ``(..., n, n)``."""
    return apply(table_op("det"), *promoted("float", [x]))[0]


def slogdet(x: Any) -> tuple[Variable, ...]:
    """The signs of the determinants, and the logarithms of their absolute values, where ``det`` would overflow."""
    return apply(table_op("slogdet"), *promoted("float", [x]))


def _same_square(type: TensorType) -> TensorType:
    size = side(type)
    return TensorType(solvable_dtype(type), (*type.shape[:-2], size, size))


def _power_type(type: TensorType, n: int) -> TensorType:
    size = side(type)
    return TensorType(type.dtype, (*type.shape[:-2], size, size))


register("expm", lambda x: jax.scipy.linalg.expm(x), _same_square, "cubic", operands="float")
register("matrix_power", lambda x, n: jnp.linalg.matrix_power(x, n), _power_type, "cubic")


def expm(x: Any) -> Variable:
    """The exponentials of square matrices ``(..., n, n)``, by scaling, squaring and Pade's approximation.

    NaN where more than 16 squarings are needed, at norms of about 3e5.
    """
    return apply(table_op("expm"), *promoted("float", [x]))[0]


def matrix_power(M: Any, n: int) -> Variable:  # noqa: N803 - NumPy's name
    """Square matrices multiplied with themselves, ``n`` of them; of the inverses for negative ``n``."""
    try:
        count = operator.index(n)
    except TypeError as error:
        raise TypeError(
            f"matrix_power takes an int, got {n!r}; use scan for a power that is a value{here()}"
        ) from error
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


def norm(x: Any, ord: Order = None, axis: Axis = None, keepdims: bool = False) -> Variable:
    """The norm of a vector or matrix, or of those along one or two axes.

    Orders are NumPy's: for vectors a number (2 by default), 0 counting what is not 0; for matrices ``"fro"`` (the
    default), ``"nuc"``, 1, 2 and infinity, and the negative of those. ``"inf"`` and ``"-inf"`` are infinity as well.
    """
    (variable,) = promoted("float", [x])
    given = range(variable.ndim) if axis is None else axis if isinstance(axis, (list, tuple)) else [axis]
    axes = tuple(normal_axis(one, variable.ndim) for one in given)
    if len(set(axes)) != len(axes) or len(axes) not in (1, 2):
        raise ValueError(f"norm is of vectors or matrices, along one or two axes of {variable!r}, not {axes}{here()}")
    order = {"inf": math.inf, "-inf": -math.inf}.get(ord, ord) if isinstance(ord, str) else ord
    allowed = order in _MATRIX_ORDERS if len(axes) == 2 else not isinstance(order, str)
    if not allowed:
        raise ValueError(f"norm of {'matrices' if len(axes) == 2 else 'vectors'} takes no ord={ord!r}{here()}")
    return apply(table_op("norm", ord=order, axis=axes, keepdims=bool(keepdims)), variable)[0]
