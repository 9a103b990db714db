"""Continuous distributions of numbers. Parameters are those of NumPy's ``Generator``, else those of SciPy."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from loopjax.random.distributions import REQUIRED, distribution

Sizes = tuple[int, ...]


def _uniform(key: Any, low: Any, high: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.uniform(key, shape, dtype) * (high - low).astype(dtype) + low.astype(dtype)


def _placed(draws: Any, loc: Any, scale: Any) -> Any:
    """Standard draws moved and stretched."""
    return draws * scale.astype(draws.dtype) + loc.astype(draws.dtype)


def _normal(key: Any, loc: Any, scale: Any, shape: Sizes, dtype: str) -> Any:
    return _placed(jax.random.normal(key, shape, dtype), loc, scale)


def _standard_normal(key: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.normal(key, shape, dtype)


def _halfnormal(key: Any, loc: Any, scale: Any, shape: Sizes, dtype: str) -> Any:
    return _placed(jnp.abs(jax.random.normal(key, shape, dtype)), loc, scale)


def _lognormal(key: Any, mean: Any, sigma: Any, shape: Sizes, dtype: str) -> Any:
    return jnp.exp(_normal(key, mean, sigma, shape, dtype))


def _exponential(key: Any, scale: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.exponential(key, shape, dtype) * scale.astype(dtype)


def _standard_exponential(key: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.exponential(key, shape, dtype)


def _truncexpon(key: Any, b: Any, loc: Any, scale: Any, shape: Sizes, dtype: str) -> Any:
    """By the inverse of its distribution function."""
    u = jax.random.uniform(key, shape, dtype)
    return _placed(-jnp.log1p(u * jnp.expm1(-b.astype(dtype))), loc, scale)


def _gamma(key: Any, concentration: Any, scale: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.gamma(key, concentration.astype(dtype), shape, dtype) * scale.astype(dtype)


def _standard_gamma(key: Any, concentration: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.gamma(key, concentration.astype(dtype), shape, dtype)


def _invgamma(key: Any, concentration: Any, scale: Any, shape: Sizes, dtype: str) -> Any:
    return scale.astype(dtype) / jax.random.gamma(key, concentration.astype(dtype), shape, dtype)


def _gengamma(key: Any, alpha: Any, p: Any, scale: Any, shape: Sizes, dtype: str) -> Any:
    """Stacy (1962): a power of a gamma variable."""
    p = p.astype(dtype)
    return scale.astype(dtype) * jax.random.gamma(key, alpha.astype(dtype) / p, shape, dtype) ** (1 / p)


def _chisquare(key: Any, df: Any, shape: Sizes, dtype: str) -> Any:
    return 2 * jax.random.gamma(key, df.astype(dtype) / 2, shape, dtype)


def _noncentral_chisquare(key: Any, df: Any, nonc: Any, shape: Sizes, dtype: str) -> Any:
    """A Poisson mixture of chi-squares: Johnson, Kotz and Balakrishnan (1995), chapter 29."""
    counts, rest = jax.random.split(key)
    pairs = jax.random.poisson(counts, nonc.astype(dtype) / 2, shape, "int64").astype(dtype)
    return 2 * jax.random.gamma(rest, df.astype(dtype) / 2 + pairs, shape, dtype)


def _beta(key: Any, a: Any, b: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.beta(key, a.astype(dtype), b.astype(dtype), shape, dtype)


def _f(key: Any, dfnum: Any, dfden: Any, shape: Sizes, dtype: str) -> Any:
    above, below = jax.random.split(key)
    ratio = _chisquare(above, dfnum, shape, dtype) / _chisquare(below, dfden, shape, dtype)
    return ratio * (dfden / dfnum).astype(dtype)


def _t(key: Any, df: Any, loc: Any, scale: Any, shape: Sizes, dtype: str) -> Any:
    return _placed(jax.random.t(key, df.astype(dtype), shape, dtype), loc, scale)


def _standard_t(key: Any, df: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.t(key, df.astype(dtype), shape, dtype)


def _cauchy(key: Any, loc: Any, scale: Any, shape: Sizes, dtype: str) -> Any:
    return _placed(jax.random.cauchy(key, shape, dtype), loc, scale)


def _standard_cauchy(key: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.cauchy(key, shape, dtype)


def _halfcauchy(key: Any, loc: Any, scale: Any, shape: Sizes, dtype: str) -> Any:
    return _placed(jnp.abs(jax.random.cauchy(key, shape, dtype)), loc, scale)


def _laplace(key: Any, loc: Any, scale: Any, shape: Sizes, dtype: str) -> Any:
    return _placed(jax.random.laplace(key, shape, dtype), loc, scale)


def _logistic(key: Any, loc: Any, scale: Any, shape: Sizes, dtype: str) -> Any:
    return _placed(jax.random.logistic(key, shape, dtype), loc, scale)


def _gumbel(key: Any, loc: Any, scale: Any, shape: Sizes, dtype: str) -> Any:
    return _placed(jax.random.gumbel(key, shape, dtype), loc, scale)


def _pareto(key: Any, b: Any, scale: Any, shape: Sizes, dtype: str) -> Any:
    return jnp.exp(jax.random.exponential(key, shape, dtype) / b.astype(dtype)) * scale.astype(dtype)


def _power(key: Any, a: Any, shape: Sizes, dtype: str) -> Any:
    return jnp.exp(-jax.random.exponential(key, shape, dtype) / a.astype(dtype))


def _rayleigh(key: Any, scale: Any, shape: Sizes, dtype: str) -> Any:
    return jnp.sqrt(2 * jax.random.exponential(key, shape, dtype)) * scale.astype(dtype)


def _weibull(key: Any, a: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.exponential(key, shape, dtype) ** (1 / a.astype(dtype))


def _triangular(key: Any, left: Any, mode: Any, right: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.triangular(key, left.astype(dtype), mode.astype(dtype), right.astype(dtype), shape, dtype)


def _wald(key: Any, mean: Any, scale: Any, shape: Sizes, dtype: str) -> Any:
    """``c * IG(mean, scale)`` is ``IG(c * mean, c * scale)``."""
    scale = scale.astype(dtype)
    return jax.random.wald(key, mean.astype(dtype) / scale, shape, dtype) * scale


PLACED: dict[str, Any] = {"loc": 0.0, "scale": 1.0}

distribution("uniform", _uniform, {"low": 0.0, "high": 1.0})
distribution("normal", _normal, PLACED)
distribution("standard_normal", _standard_normal, {})
distribution("halfnormal", _halfnormal, PLACED)
distribution("lognormal", _lognormal, {"mean": 0.0, "sigma": 1.0})
distribution("exponential", _exponential, {"scale": 1.0})
distribution("standard_exponential", _standard_exponential, {})
distribution("truncexpon", _truncexpon, {"b": REQUIRED, **PLACED})
distribution("gamma", _gamma, {"shape": REQUIRED, "scale": 1.0})
distribution("standard_gamma", _standard_gamma, {"shape": REQUIRED})
distribution("invgamma", _invgamma, {"shape": REQUIRED, "scale": 1.0})
distribution("gengamma", _gengamma, {"alpha": 1.0, "p": 1.0, "lambd": 1.0})
distribution("chisquare", _chisquare, {"df": REQUIRED})
distribution("noncentral_chisquare", _noncentral_chisquare, {"df": REQUIRED, "nonc": REQUIRED})
distribution("beta", _beta, {"a": REQUIRED, "b": REQUIRED})
distribution("f", _f, {"dfnum": REQUIRED, "dfden": REQUIRED})
distribution("t", _t, {"df": REQUIRED, **PLACED})
distribution("standard_t", _standard_t, {"df": REQUIRED})
distribution("cauchy", _cauchy, PLACED)
distribution("standard_cauchy", _standard_cauchy, {})
distribution("halfcauchy", _halfcauchy, PLACED)
distribution("laplace", _laplace, PLACED)
distribution("logistic", _logistic, PLACED)
distribution("gumbel", _gumbel, PLACED)
distribution("pareto", _pareto, {"b": REQUIRED, "scale": 1.0})
distribution("power", _power, {"a": REQUIRED})
distribution("rayleigh", _rayleigh, {"scale": 1.0})
distribution("weibull", _weibull, {"a": REQUIRED})
distribution("triangular", _triangular, {"left": REQUIRED, "mode": REQUIRED, "right": REQUIRED})
distribution("wald", _wald, {"mean": REQUIRED, "scale": 1.0})
