"""Special functions, elementwise, and softmax.

The functions themselves are those of `jax.scipy.special` and `jax.nn`; arguments are converted to a float dtype.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from loopjax.config import config
from loopjax.ir.graph import Variable, apply
from loopjax.ir.methods import Axis
from loopjax.ir.op import register, table_op
from loopjax.ir.public_ops import public_op
from loopjax.ir.types import TensorType
from loopjax.tensor import incomplete_beta
from loopjax.tensor.axes import normal_axes
from loopjax.tensor.elementwise import REAL, Unary, pointwise, sigmoid, softplus
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
    "log_erfc",
    "log_softmax",
    "logit",
    "psi",
    "softmax",
]


class _Incomplete(Protocol):
    """Incomplete gamma function: a parameter and an upper limit."""

    def __call__(self, a: Any, x: Any, /) -> Variable: ...


class _IncompleteBeta(Protocol):
    """Incomplete beta function: two parameters and an upper limit."""

    def __call__(self, a: Any, b: Any, x: Any, /) -> Variable: ...


class _Softmax(Protocol):
    """Normalization of exponentials along axes."""

    def __call__(self, x: Any, axis: Axis = -1) -> Variable: ...


def _of_scipy(name: str) -> Callable[..., Any]:
    """The function of ``jax.scipy.special``, found when it is called: its import is a tenth of the package's."""
    return lambda *arrays: getattr(jax.scipy.special, name)(*arrays)


def _unary(name: str, run: Callable[..., Any], summary: str, example: str) -> Unary:
    """Register a special function of one real number."""
    return pointwise(name, run, summary, example, "float", kinds=REAL, module=__name__)


def _iterative(
    name: str, run: Callable[..., Any], summary: str, example: str, parameters: Sequence[str], derivative: str
) -> Callable[..., Variable]:
    """Register a special function that JAX computes by a series or continued fraction, in a loop."""
    return pointwise(
        name, run, summary, example, "float", None, REAL, ["inner_loop"], parameters, derivative, module=__name__
    )


@jax.custom_jvp
def _log1mexp(x: Any) -> Any:
    """Maechler (2012), Accurately computing log(1 - exp(-|a|)): the accurate form changes at ``log 2``."""
    near = x > -jnp.log(2.0).astype(x.dtype)
    return jnp.where(near, jnp.log(-jnp.expm1(x)), jnp.log1p(-jnp.exp(x)))


@_log1mexp.defjvp
def _log1mexp_tangent(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    """``-exp(x) / (1 - exp(x))``, whose limit at 0 from below does not depend on the sign of the zero."""
    (x,), (tangent,) = primals, tangents
    return _log1mexp(x), tangent * jnp.where(x == 0, -jnp.inf, -1 / jnp.expm1(-x))


erf = _unary("erf", _of_scipy("erf"), "Error function", "at.erf([0.0, float('inf')]) -> [0. 1.]")
erfc = _unary(
    "erfc",
    _of_scipy("erfc"),
    "Complementary error function, ``1 - erf(x)``, exact for large ``x``",
    "at.erfc([0.0, float('inf')]) -> [1. 0.]",
)
log_erfc = _unary(
    "log_erfc",
    # Ten terms of the asymptotic series: the default of three has errors of 1e-9.
    lambda x: jnp.log(2.0).astype(x.dtype) + jax.scipy.special.log_ndtr(-math.sqrt(2.0) * x, series_order=10),
    "``log(erfc(x))``, also where ``erfc`` underflows",
    "at.round(at.log_erfc(100.0)) -> -10005.0",
)
erfinv = _unary(
    "erfinv",
    _of_scipy("erfinv"),
    "Inverse of the error function; NaN outside of -1 to 1",
    "at.erfinv([0.0, 1.0]) -> [ 0. inf]",
)
gamma = _unary("gamma", _of_scipy("gamma"), "Gamma function", "at.round(at.gamma([1.0, 5.0])) -> [ 1. 24.]")
gammaln = _unary(
    "gammaln",
    _of_scipy("gammaln"),
    "Logarithm of the absolute value of the gamma function",
    "at.round(at.gammaln(100.0)) -> 359.0",
)
digamma = psi = _unary(
    "psi",
    _of_scipy("digamma"),
    "Digamma function, the derivative of ``gammaln``",
    "at.round(100 * at.psi(1.0)) -> -58.0",
)
i0 = _unary(
    "i0",
    _of_scipy("i0"),
    "Modified Bessel function of the first kind, of order 0",
    "at.round(at.i0(10.0)) -> 2816.0",
)
i1 = _unary(
    "i1",
    _of_scipy("i1"),
    "Modified Bessel function of the first kind, of order 1",
    "at.round(at.i1(10.0)) -> 2671.0",
)
logit = _unary(
    "logit",
    _of_scipy("logit"),
    "Log odds, ``log(x / (1 - x))``: the inverse of ``sigmoid``; NaN outside of 0 to 1",
    "at.logit([0.0, 0.5, 1.0]) -> [-inf   0.  inf]",
)
log1mexp = _unary(
    "log1mexp",
    _log1mexp,
    "``log(1 - exp(x))`` of negative ``x``, exact near 0 and far from it",
    "at.log1mexp(0.0) -> -inf",
)
gammainc: _Incomplete = _iterative(
    "gammainc",
    _of_scipy("gammainc"),
    "Regularized lower incomplete gamma function of parameter ``a`` up to ``x``",
    "at.gammainc(1.0, [0.0, float('inf')]) -> [0. 1.]",
    ("a", "x"),
    "First derivatives exist by both arguments, higher ones by ``x`` only.",
)
gammaincc: _Incomplete = _iterative(
    "gammaincc",
    _of_scipy("gammaincc"),
    "Regularized upper incomplete gamma function of parameter ``a`` from ``x`` on",
    "at.gammaincc(1.0, [0.0, float('inf')]) -> [1. 0.]",
    ("a", "x"),
    "First derivatives exist by both arguments, higher ones by ``x`` only.",
)
betainc: _IncompleteBeta = _iterative(
    "betainc",
    incomplete_beta.betainc,
    "Regularized incomplete beta function of parameters ``a`` and ``b`` up to ``x``",
    "at.betainc(1.0, 1.0, [0.0, 0.5, 1.0]) -> [0.  0.5 1. ]",
    ("a", "b", "x"),
    "Differentiable in all three.",
)
expit = sigmoid
log1pexp = softplus


def _along_axis(name: str, run: Callable[..., Any], summary: str, example: str) -> _Softmax:
    """Register ``softmax`` or ``log_softmax``."""

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
    record.__doc__ = _DOCSTRING.format(
        summary=summary, example=example.partition(" -> ")[0], printed=example.partition(" -> ")[2]
    )
    return public_op(record)


_DOCSTRING = """{summary}

Computed after subtraction of the maximum, so that nothing overflows. Differentiable in forward and reverse mode, to any
order.

Parameters
----------
x : array_like
    Numbers of any shape.
axis : int, sequence of int or None
    Axes that are normalized together: the last one by default, all of them for ``None``.

Returns
-------
Variable
    Of the shape of ``x`` and its dtype, floatX where that is no float.

Raises
------
TypeError
    Where ``x`` is not numeric or an axis is not an int.
ValueError
    Where an axis is outside of the dimensions of ``x`` or named twice.

Examples
--------
>>> import loopjax.tensor as at
>>> print({example}.eval())
{printed}
"""

softmax = _along_axis(
    "softmax",
    jax.nn.softmax,
    "Exponentials divided by their sum: ``exp(x) / sum(exp(x))``.",
    "at.softmax([0.0, 0.0, -1000.0]) -> [0.5 0.5 0. ]",
)
log_softmax = _along_axis(
    "log_softmax",
    jax.nn.log_softmax,
    "Logarithm of `softmax`: ``x - log(sum(exp(x)))``.",
    "at.log_softmax([0.0, -1000.0]) -> [    0. -1000.]",
)
