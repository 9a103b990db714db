"""Identity functions with derivatives of their own: stopped, scaled or clipped gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from loopjax.errors import coded, here
from loopjax.ir.graph import Variable, apply
from loopjax.ir.op import TableOp, register, same_type, table_op
from loopjax.ir.public_ops import public_op
from loopjax.trace.convert import as_variable

__all__ = [
    "consider_constant",
    "disconnected_grad",
    "grad_clip",
    "grad_scale",
    "zero_grad",
]


def _scaling(multiplier: float) -> Callable[[Any], Any]:
    """Identity whose tangents are multiplied by a number."""

    @jax.custom_jvp
    def scaled(x: Any) -> Any:
        return x

    scaled.defjvp(lambda primals, tangents: (primals[0], tangents[0] * jnp.asarray(multiplier, primals[0].dtype)))
    return scaled


def _clipping(lower: float, upper: float) -> Callable[[Any], Any]:
    """Identity whose cotangents are clipped; reverse mode only, since clipping is not linear in a tangent."""

    @jax.custom_vjp
    def clipped(x: Any) -> Any:
        return x

    def forward(x: Any) -> tuple[Any, None]:
        return x, None

    def backward(_: None, cotangent: Any) -> tuple[Any]:
        return (jnp.clip(cotangent, lower, upper),)

    clipped.defvjp(forward, backward)
    return clipped


register("disconnected_grad", jax.lax.stop_gradient, same_type, "pointwise", "disconnected")
register("zero_grad", jax.lax.stop_gradient, same_type, "pointwise")
register("grad_scale", lambda x, multiplier: _scaling(multiplier)(x), same_type, "pointwise")
register("grad_clip", lambda x, lower, upper: _clipping(lower, upper)(x), same_type, "pointwise", "reverse_only")


@public_op
def disconnected_grad(x: Any) -> Variable:
    """``x`` as a constant for differentiation: the result does not depend on it.

    `grad` of the result by ``x`` raises ``DisconnectedInputError`` where there is no other way to ``x``; `zero_grad`
    gives zeros instead. The same as `jax.lax.stop_gradient` for values.

    Parameters
    ----------
    x : array_like
        Numbers of any shape.

    Returns
    -------
    Variable
        ``x``, of the same shape and dtype.

    Raises
    ------
    TypeError
        Where ``x`` is not numeric.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x = at.dscalar("x")
    >>> print(loopjax.grad(at.disconnected_grad(x) * x, x).eval({x: 3.0}))
    3.0
    """
    return apply(table_op("disconnected_grad"), as_variable(x))[0]


@public_op
def zero_grad(x: Any) -> Variable:
    """``x`` with derivatives of zero.

    The result depends on ``x``, so that `grad` by it gives zeros and does not raise; see `disconnected_grad`.

    Parameters
    ----------
    x : array_like
        Numbers of any shape.

    Returns
    -------
    Variable
        ``x``, of the same shape and dtype.

    Raises
    ------
    TypeError
        Where ``x`` is not numeric.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x = at.dscalar("x")
    >>> print(loopjax.grad(at.zero_grad(x), x).eval({x: 3.0}))
    0.0
    """
    return apply(table_op("zero_grad"), as_variable(x))[0]


@public_op
def consider_constant(x: Any) -> Variable:
    """`zero_grad` by its name in Aesara.

    Parameters
    ----------
    x : array_like
        Numbers of any shape.

    Returns
    -------
    Variable
        ``x``, of the same shape and dtype, with derivatives of zero.

    Raises
    ------
    TypeError
        Where ``x`` is not numeric.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x = at.dscalar("x")
    >>> print(loopjax.grad(at.consider_constant(x) + x, x).eval({x: 3.0}))
    1.0
    """
    return zero_grad(x)


@public_op
def grad_scale(x: Any, multiplier: float) -> Variable:
    """``x`` with derivatives multiplied by a number, in forward and reverse mode.

    With a negative number, the gradient reversal layer of Ganin and Lempitsky (2015), Unsupervised Domain Adaptation by
    Backpropagation, section 3. Derivatives of the scaled gradient are not scaled again; Aesara scales them once more.

    Parameters
    ----------
    x : array_like
        Numbers of any shape. Integers have no derivative to scale.
    multiplier : float
        Factor of the derivatives, not a variable.

    Returns
    -------
    Variable
        ``x``, of the same shape and dtype.

    Raises
    ------
    TypeError
        Where ``x`` is not numeric, or ``multiplier`` is a variable.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x = at.dscalar("x")
    >>> print(loopjax.grad(at.grad_scale(x, -0.5), x).eval({x: 3.0}))
    -0.5
    """
    op = table_op("grad_scale", multiplier=_number(multiplier, "multiplier"))
    return _record(op, x)


@public_op
def grad_clip(x: Any, lower_bound: float, upper_bound: float) -> Variable:
    """``x`` with each element of the gradient that flows back limited to a range.

    Graves (2013), Generating Sequences With Recurrent Neural Networks, section 4.2. Derivatives of the clipped
    gradient, in both modes, are those of the clipping itself; Aesara clips them once more. `Rop` of the result raises
    ``UnsupportedError``: clipping is not linear in a tangent.

    Parameters
    ----------
    x : array_like
        Numbers of any shape. Integers have no gradient to clip.
    lower_bound, upper_bound : float
        Bounds of the gradient's elements, not variables.

    Returns
    -------
    Variable
        ``x``, of the same shape and dtype.

    Raises
    ------
    TypeError
        Where ``x`` is not numeric, or a bound is a variable.
    ValueError
        Where ``lower_bound`` is above ``upper_bound``.

    Examples
    --------
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x = at.dscalar("x")
    >>> print(loopjax.grad(at.grad_clip(x, -1, 1) * 5, x).eval({x: 3.0}))
    1.0
    """
    lower, upper = _number(lower_bound, "lower_bound"), _number(upper_bound, "upper_bound")
    if not lower <= upper:
        raise ValueError(f"grad_clip: lower_bound {lower} is above upper_bound {upper}{here()}")
    return _record(table_op("grad_clip", lower=lower, upper=upper), x)


def _record(op: TableOp, x: Any) -> Variable:
    """Record the op on a float; any other operand has no derivative to change."""
    variable = as_variable(x)
    return apply(op if variable.type.is_float else table_op("zero_grad"), variable)[0]


def _number(value: Any, argument: str) -> float:
    """The argument as a float; raises ``TypeError`` for a variable."""
    if isinstance(value, Variable):
        raise coded(TypeError, "LJ901")(f"{argument} is a number, got {value!r}")
    return float(value)
