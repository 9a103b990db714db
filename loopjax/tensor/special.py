"""Special functions, elementwise, and softmax."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from loopjax.config import config
from loopjax.ir.graph import Variable, apply
from loopjax.ir.methods import Axis
from loopjax.ir.op import register, table_op
from loopjax.ir.public_ops import public_op
from loopjax.ir.types import TensorType
from loopjax.tensor.axes import normal_axes
from loopjax.tensor.elementwise import REAL, Binary, Unary, pointwise, sigmoid, softplus
from loopjax.trace.convert import as_variable

__all__ = [
    "betainc",
    "digamma",
    "erf",
    "erfc",
    "erfinv",
    "expit",
    "gamma",
    "gammainc",
    "gammaincc",
    "gammaln",
    "i0",
    "i1",
    "log1mexp",
    "log1pexp",
    "log_softmax",
    "logit",
    "psi",
    "softmax",
]


def _unary(name: str, run: Callable[..., Any]) -> Unary:
    return pointwise(name, run, "float", kinds=REAL)


def _looping(name: str, run: Callable[..., Any], *parameters: str) -> Callable[..., Variable]:
    return pointwise(name, run, "float", kinds=REAL, traits=["inner_loop"], parameters=parameters)


def _log1mexp(x: Any) -> Any:
    """Maechler (2012), Accurately computing log(1 - exp(-|a|)): the form that keeps digits changes at log 2."""
    near = x > -jnp.log(2.0).astype(x.dtype)
    # Each branch sees only arguments that it is finite for, so that no gradient is NaN.
    small = jnp.log(-jnp.expm1(jnp.where(near, x, -1)))
    large = jnp.log1p(-jnp.exp(jnp.where(near, -1, x)))
    return jnp.where(near, small, large)


erf = _unary("erf", jax.scipy.special.erf)
erfc = _unary("erfc", jax.scipy.special.erfc)
erfinv = _unary("erfinv", jax.scipy.special.erfinv)
gamma = _unary("gamma", jax.scipy.special.gamma)
gammaln = _unary("gammaln", jax.scipy.special.gammaln)
psi = _unary("psi", jax.scipy.special.digamma)
digamma = psi
i0 = _unary("i0", jax.scipy.special.i0)
i1 = _unary("i1", jax.scipy.special.i1)
logit = _unary("logit", jax.scipy.special.logit)
log1mexp = _unary("log1mexp", _log1mexp)
gammainc: Binary = _looping("gammainc", jax.scipy.special.gammainc, "a", "x")
gammaincc: Binary = _looping("gammaincc", jax.scipy.special.gammaincc, "a", "x")
betainc: Callable[[Any, Any, Any], Variable] = _looping("betainc", jax.scipy.special.betainc, "a", "b", "x")
expit = sigmoid
log1pexp = softplus


def _along(name: str, run: Callable[..., Any]) -> Callable[..., Variable]:
    """Registers ``softmax`` or ``log_softmax``."""

    def lowered(x: Any, axis: tuple[int, ...], dtype: str) -> Any:
        return run(x.astype(dtype), axis=axis)

    def infer(type: TensorType, axis: tuple[int, ...], dtype: str) -> TensorType:
        return TensorType(dtype, type.shape)

    register(name, lowered, infer, "memory_bound")

    def record(x: Any, axis: Axis = -1) -> Variable:
        variable = as_variable(x)
        axes = normal_axes(axis, variable.ndim)
        dtype = variable.dtype if variable.type.is_float else config.floatX
        return apply(table_op(name, axis=axes, dtype=dtype), variable)[0]

    record.__name__ = record.__qualname__ = name
    record.__doc__ = f"``{name}`` along ``axis``, the last by default, or of all elements together with ``None``."
    return public_op(record)


softmax = _along("softmax", jax.nn.softmax)
log_softmax = _along("log_softmax", jax.nn.log_softmax)
