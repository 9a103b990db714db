"""Samplers of distributions of vectors, and draws from arrays."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from loopjax.config import config
from loopjax.errors import coded
from loopjax.ir.graph import Constant, Variable, apply
from loopjax.ir.op import register, table_op
from loopjax.ir.types import Shape, TensorType
from loopjax.random.discrete import hypergeometric
from loopjax.random.distributions import NONNEGATIVE, POSITIVE, SIMPLEX, distribution
from loopjax.tensor.creation import arange
from loopjax.tensor.lengths import check_sizes, size_list, split_sizes
from loopjax.trace.convert import as_variable

Sizes = tuple[int, ...]


def _multinomial(key: Any, n: Any, p: Any, shape: Sizes, dtype: str) -> Any:
    # Its shape= holds the number of outcomes in jax 0.10 and not in 0.12.
    p = jnp.broadcast_to(p, (*shape, p.shape[-1]))
    return jax.random.multinomial(key, n.astype(p.dtype), p).astype(dtype)


def _dirichlet(key: Any, alpha: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.dirichlet(key, alpha.astype(dtype), shape, dtype)


def _multivariate_normal(key: Any, mean: Any, cov: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.multivariate_normal(key, mean.astype(dtype), cov.astype(dtype), shape, dtype)


def _mean_shape(mean: TensorType, cov: TensorType) -> Shape:
    sizes = {size for size in (mean.shape[-1], *cov.shape[-2:]) if size is not None}
    if len(sizes) > 1:
        raise coded(ValueError, "LJ602")(f"a mean of shape {mean.shape} and covariance of shape {cov.shape} do not fit")
    return (sizes.pop() if sizes else None,)


def _multivariate_hypergeometric(key: Any, colors: Any, taken: Any, shape: Sizes, dtype: str) -> Any:
    """Color by color: the count of one is hypergeometric, given the counts of those before it.

    -1 for some colors where a number is negative or ``taken`` is more than there are.
    """
    by_color = jnp.moveaxis(jnp.broadcast_to(colors, (*shape, colors.shape[-1])), -1, 0)
    others = by_color.sum(0) - jnp.cumsum(by_color, 0)

    def take(left: Any, color: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        key, good, bad = color
        count = hypergeometric(key, good, bad, left, shape, "int64")
        return left - count, count

    keys = jax.random.split(key, len(by_color))
    counts = jax.lax.scan(take, jnp.broadcast_to(taken, shape), (keys, by_color, others))[1]
    return jnp.moveaxis(counts, 0, -1).astype(dtype)


distribution(
    "multinomial",
    _multinomial,
    "n",
    "p",
    integers=("n",),
    discrete=True,
    events=(0, 1),
    event_shape=lambda n, p: p.shape[-1:],
    loops=True,
    domains={"n": NONNEGATIVE, "p": SIMPLEX},
)
distribution(
    "multivariate_hypergeometric",
    _multivariate_hypergeometric,
    "colors",
    "nsample",
    integers=("colors", "nsample"),
    discrete=True,
    x64=True,
    events=(1, 0),
    event_shape=lambda colors, taken: colors.shape[-1:],
    loops=True,
    domains={"colors": NONNEGATIVE, "nsample": NONNEGATIVE},
)
distribution(
    "dirichlet",
    _dirichlet,
    "alpha",
    events=(1,),
    event_shape=lambda alpha: alpha.shape[-1:],
    loops=True,
    domains={"alpha": POSITIVE},
)
distribution(
    "multivariate_normal",
    _multivariate_normal,
    "mean",
    "cov",
    events=(1, 2),
    event_shape=_mean_shape,
)


def _choice_type(key: TensorType, a: TensorType, *p: TensorType, lengths: Shape, replace: bool) -> TensorType:
    if p and None not in (p[0].shape[0], a.shape[0]) and p[0].shape[0] != a.shape[0]:
        raise coded(ValueError, "LJ602")(
            f"there are {p[0].shape[0]} probabilities for {a.shape[0]} elements; expected {a.shape[0]}"
        )
    check_sizes(lengths)
    if None not in (*lengths, a.shape[0]):
        wanted, there = math.prod(size or 0 for size in lengths), a.shape[0] or 0
        if wanted > (there if not replace else wanted * there):
            raise coded(ValueError, "LJ602")(
                f"{wanted} elements cannot be drawn from {there} with replace={replace}; expected at most that many"
            )
    return TensorType(a.dtype, (*lengths, *a.shape[1:]))


def _choice_run(key: Any, a: Any, *p: Any, lengths: Sizes, replace: bool) -> Any:
    return jax.random.choice(key, a, lengths, replace, *p)


register("draw_choice", _choice_run, _choice_type, "draw", "x64")


def choice(key: Variable, a: Any, size: Any, replace: bool, p: Any) -> Variable:
    """Record a draw of rows of ``a``, or of integers below the scalar ``a``."""
    weights = [] if p is None else [as_variable(p).astype(config.floatX)]
    if weights and weights[0].ndim != 1:
        raise coded(ValueError, "LJ602")(f"choice: p is a vector, a probability for each element, got {weights[0]!r}")
    given = None if p is None else as_variable(p)
    if isinstance(given, Constant) and not SIMPLEX.holds(given.data):
        raise coded(ValueError, "LJ602")(f"choice: p is {given.data}; expected {SIMPLEX.text}")
    static, symbolic = split_sizes(size_list(() if size is None else size, "size"), "size")
    op = table_op("draw_choice", lengths=static, replace=bool(replace))
    return apply(op, key, _elements(a), *weights, *symbolic)[0]


def _permutation_type(key: TensorType, x: TensorType) -> TensorType:
    return TensorType(x.dtype, x.shape)


register("draw_permutation", lambda key, x: jax.random.permutation(key, x), _permutation_type, "draw")


def permutation(key: Variable, x: Any) -> Variable:
    """Record a draw of an order of the rows of ``x``."""
    return apply(table_op("draw_permutation"), key, _elements(x))[0]


def _elements(a: Any) -> Variable:
    """The array to draw from; a scalar ``n`` stands for the integers from 0 to ``n - 1``."""
    variable = as_variable(a)
    if isinstance(variable, Constant) and variable.ndim == 0 and variable.data < 0:
        raise coded(ValueError, "LJ602")(
            f"there are no integers from 0 to {variable.data}; expected a number from 0 up"
        )
    return arange(variable) if variable.ndim == 0 else variable
