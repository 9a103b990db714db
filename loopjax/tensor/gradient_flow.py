"""Identities that change what flows back through them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from loopjax.errors import here
from loopjax.ir.graph import Variable, apply
from loopjax.ir.op import TableOp, register, table_op
from loopjax.ir.public_ops import public_op
from loopjax.ir.types import TensorType
from loopjax.trace.convert import as_variable

__all__ = [
    "consider_constant",
    "disconnected_grad",
    "grad_clip",
    "grad_scale",
    "zero_grad",
]


def _same(type: TensorType, **parameters: Any) -> TensorType:
    return type


def _scaling(multiplier: float) -> Callable[[Any], Any]:
    @jax.custom_jvp
    def scaled(x: Any) -> Any:
        return x

    scaled.defjvp(lambda primals, tangents: (primals[0], tangents[0] * jnp.asarray(multiplier, primals[0].dtype)))
    return scaled


def _clipping(lower: float, upper: float) -> Callable[[Any], Any]:
    """Clipping is not linear, so forward mode cannot express it: a reverse rule alone."""

    @jax.custom_vjp
    def clipped(x: Any) -> Any:
        return x

    def forward(x: Any) -> tuple[Any, None]:
        return x, None

    def backward(_: None, cotangent: Any) -> tuple[Any]:
        return (jnp.clip(cotangent, lower, upper),)

    clipped.defvjp(forward, backward)
    return clipped


register("disconnected_grad", jax.lax.stop_gradient, _same, "pointwise", "disconnected")
register("zero_grad", jax.lax.stop_gradient, _same, "pointwise")
register("grad_scale", lambda x, multiplier: _scaling(multiplier)(x), _same, "pointwise")
register("grad_clip", lambda x, lower, upper: _clipping(lower, upper)(x), _same, "pointwise", "reverse_only")


@public_op
def disconnected_grad(x: Any) -> Variable:
    """``x``, of which the result does not count as depending: ``grad`` raises where there is no other way to ``x``."""
    return apply(table_op("disconnected_grad"), as_variable(x))[0]


@public_op
def zero_grad(x: Any) -> Variable:
    """``x``, with derivatives of zero. The result depends on ``x``, so that ``grad`` gives zeros and does not raise."""
    return apply(table_op("zero_grad"), as_variable(x))[0]


@public_op
def consider_constant(x: Any) -> Variable:
    """The same as ``zero_grad``; Aesara has both."""
    return zero_grad(x)


@public_op
def grad_scale(x: Any, multiplier: float) -> Variable:
    """``x``, of shape and dtype as it is, with derivatives of both modes multiplied by the number ``multiplier``.

    Second derivatives are those of the first ones as they are; Aesara multiplies them once more.
    Source: Ganin and Lempitsky (2015), Unsupervised Domain Adaptation by Backpropagation, section 3, where it is -1.
    """
    op = table_op("grad_scale", multiplier=_number(multiplier, "multiplier"))
    return _of_floats(op, x)


@public_op
def grad_clip(x: Any, lower_bound: float, upper_bound: float) -> Variable:
    """``x``, of shape and dtype as it is; each element of the gradient that flows back is limited to the range between
    two numbers.

    Second derivatives, in both modes, are those of the clipped gradient as it is; Aesara clips them once more. ``Rop``
    of the result itself raises ``UnsupportedError``: clipping is not linear in a tangent. Raises ``ValueError`` for an
    empty range.
    Source: Graves (2013), Generating Sequences With Recurrent Neural Networks, section 4.2.
    """
    lower, upper = _number(lower_bound, "lower_bound"), _number(upper_bound, "upper_bound")
    if not lower <= upper:
        raise ValueError(f"grad_clip: lower_bound {lower} is above upper_bound {upper}{here()}")
    return _of_floats(table_op("grad_clip", lower=lower, upper=upper), x)


def _of_floats(op: TableOp, x: Any) -> Variable:
    """What is not float has no gradient to change."""
    variable = as_variable(x)
    return apply(op if variable.type.is_float else table_op("zero_grad"), variable)[0]


def _number(value: Any, argument: str) -> float:
    if isinstance(value, Variable):
        raise TypeError(f"{argument} is a number, got {value!r}{here()}")
    return float(value)
