"""Distributions of integers."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from loopjax.random.distributions import REQUIRED, distribution

Sizes = tuple[int, ...]


def _bernoulli(key: Any, p: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.bernoulli(key, p, shape).astype(dtype)


def _binomial(key: Any, n: Any, p: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.binomial(key, n.astype(p.dtype), p, shape, dtype=p.dtype).astype(dtype)


def _betabinom(key: Any, n: Any, a: Any, b: Any, shape: Sizes, dtype: str) -> Any:
    first, second = jax.random.split(key)
    return _binomial(second, n, jax.random.beta(first, a, b.astype(a.dtype), shape, a.dtype), shape, dtype)


def _negative_binomial(key: Any, n: Any, p: Any, shape: Sizes, dtype: str) -> Any:
    """A Poisson variable whose rate is a gamma variable."""
    first, second = jax.random.split(key)
    rate = jax.random.gamma(first, n.astype(p.dtype), shape, p.dtype) * ((1 - p) / p)
    return jax.random.poisson(second, rate, shape, "int64").astype(dtype)


def _integers(key: Any, low: Any, high: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.randint(key, shape, low, high, "int64").astype(dtype)


def _geometric(key: Any, p: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.geometric(key, p, shape, "int64").astype(dtype)


def _poisson(key: Any, lam: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.poisson(key, lam, shape, "int64").astype(dtype)


def _categorical(key: Any, p: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.categorical(key, jnp.log(p), shape=shape).astype(dtype)


distribution("bernoulli", _bernoulli, {"p": 0.5}, discrete=True)
distribution("binomial", _binomial, {"n": int, "p": REQUIRED}, discrete=True)
distribution("betabinom", _betabinom, {"n": int, "a": REQUIRED, "b": REQUIRED}, discrete=True)
distribution("negative_binomial", _negative_binomial, {"n": REQUIRED, "p": REQUIRED}, "nbinom", discrete=True)
distribution("integers", _integers, {"low": int, "high": int}, "randint", discrete=True)
distribution("geometric", _geometric, {"p": REQUIRED}, discrete=True)
distribution("poisson", _poisson, {"lam": 1.0}, discrete=True)
distribution("categorical", _categorical, {"p": REQUIRED}, discrete=True, events=(1,))
