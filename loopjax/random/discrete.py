"""Samplers of distributions of integers; those by rejection compute in float64 and run a loop on the device."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.ir.op import Reparametrization
from loopjax.random.continuous import GUMBEL, UNIFORM
from loopjax.random.distributions import CHANCE, NONNEGATIVE, POSITIVE, PROBABILITY, Domain, distribution
from loopjax.random.rejection import accepted

Sizes = tuple[int, ...]


def _below(do: Any, draws: Any, p: Any) -> Any:
    inside = p >= 0  # NaN otherwise
    return do("switch", inside, (draws < p).astype("int8"), np.asarray(-1, "int8"))


def _binomial(key: Any, n: Any, p: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.binomial(key, n.astype(p.dtype), p, shape, dtype=p.dtype).astype(dtype)


def _betabinom(key: Any, n: Any, a: Any, b: Any, shape: Sizes, dtype: str) -> Any:
    first, second = jax.random.split(key)
    return _binomial(second, n, jax.random.beta(first, a, b.astype(a.dtype), shape, a.dtype), shape, dtype)


def _negative_binomial(key: Any, n: Any, p: Any, shape: Sizes, dtype: str) -> Any:
    """A Poisson variable whose rate is gamma distributed."""
    first, second = jax.random.split(key)
    rate = jax.random.gamma(first, n.astype(p.dtype), shape, p.dtype) * ((1 - p) / p)
    return jax.random.poisson(second, rate, shape, int).astype(dtype)


def _integers(key: Any, low: Any, high: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.randint(key, shape, low, high, "int64").astype(dtype)


def _geometric(key: Any, p: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.geometric(key, p, shape, int).astype(dtype)


def _poisson(key: Any, lam: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.poisson(key, lam, shape, int).astype(dtype)


def _largest(do: Any, draws: Any, p: Any) -> Any:
    return do("argmax", do("log", p) + draws, axis=-1, keepdims=False)


LARGEST = 2.0**63 - 1024
"""The largest int64 that is a float64."""


def _whole(values: Any, allowed: Any, dtype: str) -> Any:
    """Whole numbers from float64, clipped to the largest of int64; -1 where the parameters are not ``allowed``."""
    return jnp.where(allowed, jnp.minimum(values, LARGEST), -1).astype("int64").astype(dtype)


def _zipf(key: Any, a: Any, shape: Sizes, dtype: str) -> Any:
    """Rejection in float64: Devroye (1986), Non-Uniform Random Variate Generation, section X.6.1.

    Numbers above the largest of int64 are rejected, as in NumPy. -1 where ``a`` is not above 1.
    """
    power = jnp.where(a > 1, a, jnp.nan).astype("float64") - 1
    least = jnp.exp(-power * jnp.log(LARGEST))

    def propose(key: Any) -> tuple[Any, Any]:
        where, whether = jax.random.split(key)
        u = 1 - jax.random.uniform(where, shape, "float64") * (1 - least)
        x = jnp.floor(u ** (-1 / power))
        v = jax.random.uniform(whether, shape, "float64")
        growth = power * jnp.log1p(1 / x)
        return x, v * x * jnp.expm1(growth) / jnp.expm1(power * jnp.log(2)) > jnp.exp(growth - power * jnp.log(2))

    return _whole(accepted(key, propose, shape, "float64"), a > 1, dtype)


def _logseries(key: Any, p: Any, shape: Sizes, dtype: str) -> Any:
    """Kemp (1981), Efficient generation of logarithmically distributed pseudo-random variables, algorithm LK: a
    geometric variable with a random parameter. In float64; -1 where ``p`` is not at least 0 and below 1."""
    first, second = jax.random.split(key)
    exponent = jnp.log1p(-p.astype("float64")) * jax.random.uniform(first, shape, "float64")
    failure = jnp.where(exponent > -1, jnp.log(-jnp.expm1(exponent)), jnp.log1p(-jnp.exp(exponent)))
    x = jnp.floor(1 - jax.random.exponential(second, shape, "float64") / failure)
    return _whole(x, (p >= 0) & (p < 1), dtype)


def _log_ways(n: Any, k: Any) -> Any:
    """The logarithm of the binomial coefficient of ``n`` and ``k``."""
    return jax.scipy.special.gammaln(n + 1) - jax.scipy.special.gammaln(k + 1) - jax.scipy.special.gammaln(n - k + 1)


def hypergeometric(key: Any, good: Any, bad: Any, taken: Any, shape: Sizes, dtype: str) -> Any:
    """Rejection in float64 from a flat top around the mode with exponential tails: Devroye (1987), A simple generator
    for discrete log-concave distributions. Fewer than five candidates are drawn for each number on average.

    -1 where a number is negative or ``taken`` is more than ``good + bad``.
    """
    allowed = (good >= 0) & (bad >= 0) & (taken >= 0) & (taken <= good + bad)
    n, m, k = (jnp.where(allowed, number, jnp.nan).astype("float64") for number in (good, bad, taken))
    least, most = jnp.maximum(0, k - m), jnp.minimum(k, n)
    mode = jnp.clip(jnp.floor((k + 1) / (n + m + 2) * (n + 1)), least, most)
    whole = _log_ways(n + m, k)

    def log_probability(x: Any) -> Any:
        inside = (x >= least) & (x <= most)
        x = jnp.where(inside, x, mode)
        return jnp.where(inside, _log_ways(n, x) + _log_ways(m, k - x) - whole, -jnp.inf)

    top = log_probability(mode)
    height = jnp.exp(top)
    flat = 1 + height / 2

    def propose(key: Any) -> tuple[Any, Any]:
        where, along, side, whether = jax.random.split(key, 4)
        v = jax.random.uniform(along, shape, "float64")
        in_tail = jax.random.uniform(where, shape, "float64") * (1 + flat) > flat
        y = jnp.where(in_tail, flat - jnp.log1p(-v), v * flat) / height
        x = mode + jnp.where(jax.random.bernoulli(side, shape=shape), 1, -1) * jnp.round(y)
        hat = top + jnp.minimum(0, flat - height * y)
        return x, hat - jax.random.exponential(whether, shape, "float64") > log_probability(x)

    return _whole(accepted(key, propose, shape, "float64"), allowed, dtype)


distribution(
    "bernoulli", Reparametrization(UNIFORM, _below, as_parameters=True), "p", discrete=True, domains={"p": PROBABILITY}
)
distribution(
    "binomial",
    _binomial,
    "n",
    "p",
    integers=("n",),
    discrete=True,
    loops=True,
    domains={"n": NONNEGATIVE, "p": PROBABILITY},
)
distribution(
    "betabinom",
    _betabinom,
    "n",
    "a",
    "b",
    integers=("n",),
    discrete=True,
    loops=True,
    domains={"n": NONNEGATIVE, "a": POSITIVE, "b": POSITIVE},
)
distribution(
    "negative_binomial",
    _negative_binomial,
    "n",
    "p",
    aliases=("nbinom",),
    discrete=True,
    loops=True,
    domains={"n": POSITIVE, "p": CHANCE},
)
distribution(
    "integers",
    _integers,
    "low",
    "high",
    aliases=("randint",),
    integers=("low", "high"),
    discrete=True,
    x64=True,
    relation=Domain("low less than high", lambda low, high: low < high),
)
distribution("geometric", _geometric, "p", discrete=True, domains={"p": CHANCE})
distribution("poisson", _poisson, "lam", discrete=True, loops=True, domains={"lam": NONNEGATIVE})
distribution(
    "categorical",
    Reparametrization(GUMBEL, _largest, as_parameters=True, events=1),
    "p",
    discrete=True,
    events=(1,),
    domains={"p": NONNEGATIVE},
    relation=Domain("at least one probability above 0", lambda p: p.sum(-1) > 0),
)
distribution(
    "zipf",
    _zipf,
    "a",
    discrete=True,
    loops=True,
    x64=True,
    domains={"a": Domain("greater than 1", lambda values: values > 1)},
)
distribution(
    "logseries",
    _logseries,
    "p",
    discrete=True,
    x64=True,
    domains={"p": Domain("at least 0 and less than 1", lambda values: (values >= 0) & (values < 1))},
)
distribution(
    "hypergeometric",
    hypergeometric,
    "ngood",
    "nbad",
    "nsample",
    integers=("ngood", "nbad", "nsample"),
    discrete=True,
    loops=True,
    x64=True,
    domains={"ngood": NONNEGATIVE, "nbad": NONNEGATIVE, "nsample": NONNEGATIVE},
    relation=Domain("nsample at most ngood + nbad", lambda good, bad, sample: sample <= good + bad),
)
