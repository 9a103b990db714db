"""Functions with kinks, with the derivatives there that Theano and its heirs have.

``abs`` has derivative 0 at 0. Where the operands of ``maximum`` and ``minimum`` are equal, the first gets all of the
derivative; at the limits of ``clip`` its ``x`` does. ``max`` and ``min`` over axes pass it to every element that is
equal to the result. ``relu`` has ``(1 + alpha) / 2`` at 0.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from loopjax.ir.graph import Variable
from loopjax.ir.public_ops import ops
from loopjax.tensor.elementwise import LINEAR, pointwise
from loopjax.trace.convert import as_variable


def _absolute(x: Any) -> Any:
    return x * lax.sign(x) if jnp.issubdtype(x.dtype, jnp.floating) else jnp.abs(x)


def _maximum(x: Any, y: Any) -> Any:
    return jnp.where((x >= y) | (x != x), x, y)


def _minimum(x: Any, y: Any) -> Any:
    return jnp.where((x <= y) | (x != x), x, y)


def _clip(x: Any, low: Any, high: Any) -> Any:
    return jnp.where(x < low, low, jnp.where(x > high, high, x))


def _relu(x: Any, alpha: Any) -> Any:
    return jnp.where(x > 0, x, jnp.where(x < 0, alpha * x, (1 + alpha) / 2 * x))


@jax.custom_jvp
def _tangent_only(x: Any) -> Any:
    return jnp.zeros_like(x)


@_tangent_only.defjvp
def _tangent_only_tangent(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    return jnp.zeros_like(primals[0]), tangents[0]


_TWO, _THREE = ("x", "y"), ("x", "low", "high")
_absolute_even = pointwise("compat_abs", _absolute, "Absolute value", "at.abs(-1) -> 1", module=__name__)
_maximum_first = pointwise(
    "compat_maximum", _maximum, "Larger of two", "at.abs(-1) -> 1", traits=LINEAR, parameters=_TWO
)
_minimum_first = pointwise(
    "compat_minimum", _minimum, "Smaller of two", "at.abs(-1) -> 1", traits=LINEAR, parameters=_TWO
)
_clip_inside = pointwise("compat_clip", _clip, "Limited to a range", "at.abs(-1) -> 1", parameters=_THREE)
_relu_even = pointwise("compat_relu", _relu, "Rectifier", "at.abs(-1) -> 1", "float", parameters=("x", "alpha"))
_zero_of = pointwise("compat_tangent_only", _tangent_only, "Zero, with derivative 1", "at.abs(-1) -> 1", "float")


def abs(x: Any) -> Variable:
    """Absolute value, whose derivative at 0 is 0."""
    x = as_variable(x)
    return ops.abs(x) if x.dtype == "bool" or x.dtype.startswith(("u", "complex")) else _absolute_even(x)


def maximum(x: Any, y: Any, *more: Any) -> Variable:
    """Larger of the operands; the first of equal ones gets the derivative."""
    found = _maximum_first(x, y)
    return maximum(found, *more) if more else found


def minimum(x: Any, y: Any, *more: Any) -> Variable:
    """Smaller of the operands; the first of equal ones gets the derivative."""
    found = _minimum_first(x, y)
    return minimum(found, *more) if more else found


def clip(x: Any, min: Any, max: Any) -> Variable:
    """``x`` limited to a range; on its limits ``x`` gets the derivative."""
    if min is None or max is None:
        return ops.clip(x, min, max)
    return _clip_inside(x, min, max)


def relu(x: Any, alpha: Any = 0) -> Variable:
    """Rectifier: ``x`` where positive, else ``alpha * x``."""
    return _relu_even(x, alpha)


def max(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """Maximum over axes; a gradient reaches every element that is equal to it."""
    return _extreme("max", x, axis, keepdims)


def min(x: Any, axis: Any = None, keepdims: bool = False) -> Variable:
    """Minimum over axes; a gradient reaches every element that is equal to it."""
    return _extreme("min", x, axis, keepdims)


def _extreme(name: str, x: Any, axis: Any, keepdims: bool) -> Variable:
    x = as_variable(x)
    if not x.type.is_float or x.ndim == 0:
        return ops[name](x, axis, keepdims)
    top = ops[name](ops["disconnected_grad"](x), axis, True)
    passed = ops.switch(ops["eq"](x, top), _zero_of(x), 0.0)
    value = top if keepdims else ops[name](ops["disconnected_grad"](x), axis, False)
    return value + ops.sum(passed, axis, None, keepdims)
