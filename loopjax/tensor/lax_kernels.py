"""What ops of the table compute, said in ``jax.lax``: the values, derivatives and code that ``jax.numpy`` gives, at a
fraction of its time for each node.

Inputs have one dtype already, so all that is left of what ``jax.numpy`` does is to give them one rank: ``lax``
stretches scalars and sizes of 1 itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

Function = Callable[..., Any]


def ranked(*xs: Any) -> tuple[Any, ...]:
    """The arrays with axes of size 1 in front where they have different ranks; scalars stay."""
    ranks = {x.ndim for x in xs if x.ndim}
    if len(ranks) < 2:
        return xs
    most = max(ranks)
    return tuple(lax.expand_dims(x, range(most - x.ndim)) if 0 < x.ndim < most else x for x in xs)


def elementwise(function: Function, of_bools: Function | None = None) -> Function:
    """A function of ``lax`` for arrays of any shapes that broadcast; ``of_bools`` computes it of booleans."""

    def run(*xs: Any) -> Any:
        chosen = of_bools if of_bools is not None and xs[0].dtype == bool else function
        return chosen(*ranked(*xs))

    return run


def compared(function: Function, of_complex: Function) -> Function:
    """A comparison, of complex numbers by ``of_complex``."""

    def run(x: Any, y: Any) -> Any:
        return of_complex(x, y) if x.dtype.kind == "c" else function(*ranked(x, y))

    return run


def logical(function: Function) -> Function:
    """A function of truth values, for numbers too."""
    return lambda *xs: function(*ranked(*(_truth(x) for x in xs)))


def _truth(x: Any) -> Any:
    return x if x.dtype == bool else lax.ne(x, np.zeros((), x.dtype))


def same_shape(*xs: Any) -> list[Any]:
    """The arrays stretched to one shape."""
    if len({x.shape for x in xs}) == 1:
        return list(xs)
    shape = jnp.broadcast_shapes(*(x.shape for x in xs))
    return [stretched(x, shape) for x in xs]


def stretched(x: Any, shape: tuple[int, ...]) -> Any:
    """As ``jnp.broadcast_to``."""
    if x.shape == shape:
        return jnp.asarray(x)
    return jnp.broadcast_to(x, shape) if x.ndim else lax.broadcast(x, shape)


def where(condition: Any, x: Any, y: Any) -> Any:
    """As ``jnp.where``."""
    condition = _truth(condition)
    if condition.ndim:
        condition, x, y = same_shape(condition, x, y)
    else:
        x, y = same_shape(x, y)
    return lax.select(condition, x, y) if x.size else jnp.asarray(x)


def clip(x: Any, least: Any, most: Any) -> Any:
    """As ``jnp.clip``, whose derivative at a bound is a half."""
    if x.dtype.kind == "c":
        return jnp.clip(x, least, most)
    return lax.min(*ranked(most, lax.max(*ranked(least, x))))


def absolute(x: Any) -> Any:
    """As ``jnp.abs``."""
    return jnp.asarray(x) if x.dtype.kind in "bu" else lax.abs(x)


@jax.custom_jvp
def relu(x: Any) -> Any:
    """As ``jax.nn.relu``, whose derivative at 0 is 0."""
    return lax.max(x, np.zeros((), x.dtype))


@relu.defjvp
def _relu_tangent(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    (x,), (tangent,) = primals, tangents
    zero = np.zeros((), x.dtype)
    return relu(x), lax.select(lax.gt(x, zero), tangent, jnp.zeros_like(tangent))


def reduction(function: Function, otherwise: Function) -> Function:
    """A reduction of ``lax`` along axes; of halves, which are summed in single precision, as ``jax.numpy`` does."""

    def run(x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
        if x.dtype.kind in "bc" or x.dtype.itemsize == 2 or not x.size:
            return otherwise(x, axis=axis, keepdims=keepdims)
        found = function(x, axis)
        return lax.expand_dims(found, axis) if keepdims else found

    return run


def mean(x: Any, axis: tuple[int, ...]) -> Any:
    """The sum along axes over the number of elements."""
    count = math.prod(x.shape[one] for one in axis)
    return lax.div(lax.reduce_sum(x, axis), np.asarray(count, x.dtype))


def arange(start: int, stop: int, step: int, dtype: str) -> Any:
    """As ``jnp.arange``."""
    count = len(range(start, stop, step))
    found = lax.iota(dtype, count)
    if step != 1:
        found = lax.mul(found, np.asarray(step, dtype))
    return lax.add(found, np.asarray(start, dtype)) if start else found
