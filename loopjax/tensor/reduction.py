"""Reductions and cumulative ops: folding an array along axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from loopjax.config import config
from loopjax.errors import here
from loopjax.ir.graph import Variable, apply
from loopjax.ir.methods import Axis
from loopjax.ir.op import register, table_op
from loopjax.ir.public_ops import public_op
from loopjax.ir.types import TensorType, dtype_name
from loopjax.tensor import lax_kernels
from loopjax.tensor.axes import normal_axes, normal_axis
from loopjax.tensor.elementwise import absolute, isclose, sqr, sqrt
from loopjax.tensor.lax_kernels import reduction
from loopjax.trace.convert import as_variable

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


def _same(dtype: str) -> str:
    return dtype


def _bool(dtype: str) -> str:
    return "bool"


def _check_some(type: TensorType, axis: tuple[int, ...]) -> None:
    """A largest element is one of at least one."""
    if 0 in [type.shape[position] for position in axis]:
        raise ValueError(f"an array of shape {type.shape} has no elements along axes {axis}, and so no result")


def _record(name: str, variable: Variable, axis: Axis, keepdims: bool, dtype: str) -> Variable:
    axes = normal_axes(axis, variable.ndim)
    return apply(table_op(name, axis=axes, keepdims=bool(keepdims), dtype=dtype), variable)[0]


def _register(name: str, run: Callable[..., Any], cast: bool, some: bool) -> None:
    """Adds the row. ``cast`` brings the input to the result's dtype first; ``some`` refuses to reduce nothing."""

    def infer(type: TensorType, axis: tuple[int, ...], keepdims: bool, dtype: str) -> TensorType:
        if some:
            _check_some(type, axis)
        return _reduced(type, axis, keepdims, dtype)

    def lowered(x: Any, axis: tuple[int, ...], keepdims: bool, dtype: str) -> Any:
        if cast and x.dtype != dtype:
            x = x.astype(dtype)
        found = run(x, axis=axis, keepdims=keepdims)
        return found if found.dtype == dtype else found.astype(dtype)

    register(name, lowered, infer, "reduce")


def _accumulation(name: str, run: Callable[..., Any], result: Callable[[str], str]) -> Callable[..., Variable]:
    """Registers a reduction that computes in the dtype of its result, which users may choose."""
    _register(name, run, cast=True, some=False)

    def record(x: Any, axis: Axis = None, dtype: Any = None, keepdims: bool = False) -> Variable:
        variable = as_variable(x)
        to = dtype_name(dtype) if dtype is not None else result(variable.dtype)
        return _record(name, variable, axis, keepdims, to)

    record.__name__ = record.__qualname__ = name
    record.__doc__ = (
        f"``{name}`` along ``axis`` (an int, several, or all by default); ``keepdims`` leaves them with size 1. "
        f"``dtype`` is that of the result."
    )
    return public_op(record)


def _choice(
    name: str, run: Callable[..., Any], result: Callable[[str], str], cast: bool = False, some: bool = False
) -> Callable[..., Variable]:
    """Registers a reduction whose dtype follows from its input's."""
    _register(name, run, cast, some)

    def record(x: Any, axis: Axis = None, keepdims: bool = False) -> Variable:
        variable = as_variable(x)
        return _record(name, variable, axis, keepdims, result(variable.dtype))

    record.__name__ = record.__qualname__ = name
    record.__doc__ = (
        f"``{name}`` along ``axis`` (an int, several, or all by default); ``keepdims`` leaves them with size 1."
    )
    return public_op(record)


sum = _accumulation("sum", reduction(lax.reduce_sum, jnp.sum), _sum_of)
prod = _accumulation("prod", reduction(lax.reduce_prod, jnp.prod), _sum_of)
mean = _accumulation("mean", reduction(lax_kernels.mean, jnp.mean), _float_of)
max = _choice("max", reduction(lax.reduce_max, jnp.max), _same, some=True)
min = _choice("min", reduction(lax.reduce_min, jnp.min), _same, some=True)
any = _choice("any", jnp.any, _bool)
all = _choice("all", jnp.all, _bool)
logsumexp = _choice("logsumexp", jax.scipy.special.logsumexp, _float_of, cast=True)
amax, amin = max, min


@public_op
def max_and_argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> tuple[Variable, Variable]:
    """The largest elements along ``axis``, and where they are."""
    return max(x, axis, keepdims), argmax(x, axis, keepdims)


@public_op
def allclose(x: Any, y: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Variable:
    """Whether all of ``isclose(x, y)`` hold, a bool scalar."""
    return all(isclose(x, y, rtol, atol, equal_nan))


@public_op
def var(x: Any, axis: Axis = None, ddof: int = 0, keepdims: bool = False) -> Variable:
    """The variance along ``axis``; divides by the count less ``ddof``."""
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
    """The standard deviation along ``axis``."""
    return sqrt(var(x, axis, ddof, keepdims))


def _picker(name: str, run: Callable[..., Any]) -> Callable[..., Variable]:
    """Registers ``argmax`` or ``argmin``."""

    def infer(type: TensorType, axis: int | None, keepdims: bool) -> TensorType:
        axes = tuple(range(type.ndim)) if axis is None else (axis,)
        _check_some(type, axes)
        return _reduced(type, axes, keepdims, "int64")

    def lowered(x: Any, axis: int | None, keepdims: bool) -> Any:
        return run(x, axis=axis, keepdims=keepdims).astype("int64")

    register(name, lowered, infer, "reduce")

    def record(x: Any, axis: int | None = None, keepdims: bool = False) -> Variable:
        variable = as_variable(x)
        if axis is not None:
            axis = normal_axis(axis, variable.ndim)
        return apply(table_op(name, axis=axis, keepdims=bool(keepdims)), variable)[0]

    record.__name__ = record.__qualname__ = name
    record.__doc__ = f"``{name}``: int64 positions along ``axis``, or in the flattened array."
    return public_op(record)


argmax = _picker("argmax", jnp.argmax)
argmin = _picker("argmin", jnp.argmin)


def _cumulative(name: str, run: Callable[..., Any]) -> Callable[..., Variable]:
    """Registers ``cumsum`` or ``cumprod``."""

    def infer(type: TensorType, axis: int) -> TensorType:
        return TensorType(_sum_of(type.dtype), type.shape)

    def lowered(x: Any, axis: int) -> Any:
        return run(x, axis=axis, dtype=_sum_of(str(x.dtype)))

    register(name, lowered, infer, "memory_bound")

    def record(x: Any, axis: int | None = None) -> Variable:
        variable = as_variable(x)
        if axis is None:
            variable, axis = variable.flatten(), 0
        axis = normal_axis(axis, variable.ndim)
        return apply(table_op(name, axis=axis), variable)[0]

    record.__name__ = record.__qualname__ = name
    record.__doc__ = f"``{name}`` along ``axis``, or of the flattened array."
    return public_op(record)


cumsum = _cumulative("cumsum", jnp.cumsum)
cumprod = _cumulative("cumprod", jnp.cumprod)


@public_op
def diff(x: Any, n: int = 1, axis: int = -1) -> Variable:
    """Each element along ``axis`` less the one before it, ``n`` times over."""
    variable = as_variable(x)
    before = (slice(None),) * normal_axis(axis, variable.ndim)
    if n < 0:
        raise ValueError(f"diff takes differences 0 times or more, not {n}{here()}")
    for _ in range(n):
        variable = variable[(*before, slice(1, None))] - variable[(*before, slice(None, -1))]
    return variable


@public_op
def ptp(x: Any, axis: Axis = None) -> Variable:
    """The largest less the smallest element along ``axis``."""
    return max(x, axis=axis) - min(x, axis=axis)


@public_op
def norm(x: Any, ord: float | None = 2, axis: Axis = None, keepdims: bool = False) -> Variable:
    """The vector norm of order 1, 2 (also ``None``) or infinity of the elements along ``axis``."""
    lengths = absolute(x)
    if ord == 1:
        return sum(lengths, axis=axis, keepdims=keepdims)
    if ord in (2, None):
        return sqrt(sum(sqr(lengths), axis=axis, keepdims=keepdims))
    if ord == math.inf:
        return max(lengths, axis, keepdims)
    raise ValueError(f"norm takes ord 1, 2 or infinity, not {ord!r}{here()}")
