"""Samplers of continuous distributions of numbers.

A distribution is registered either with a sampler of ``jax.random``'s form or with a ``Reparametrization``: a base
sample without parameters and an elementwise transform of it, so that a loop's base samples can be drawn in one block
although a step computes the parameters. So ``normal(loc, scale)`` is ``loc + scale * standard_normal()``. Parameters
are those of NumPy's ``Generator``, else those of SciPy. Samplers by rejection run a loop on the device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from loopjax.ir.op import Reparametrization
from loopjax.random.distributions import NONNEGATIVE, POSITIVE, Domain, distribution, standard
from loopjax.random.rejection import accepted

Sizes = tuple[int, ...]
Do = Callable[..., Any]

UNIFORM = standard("standard_uniform", jax.random.uniform)
LAPLACE = standard("standard_laplace", jax.random.laplace)
LOGISTIC = standard("standard_logistic", jax.random.logistic)
GUMBEL = standard("standard_gumbel", jax.random.gumbel)
MAXWELL = standard("standard_maxwell", jax.random.maxwell)
NORMAL, EXPONENTIAL, CAUCHY = "draw_standard_normal", "draw_standard_exponential", "draw_standard_cauchy"
"""Base samples that are distributions of their own, registered below."""


def _shifted(draws: Any, loc: Any, scale: Any) -> Any:
    """``loc + scale * draws``."""
    return draws * scale.astype(draws.dtype) + loc.astype(draws.dtype)


def _affine(do: Do, draws: Any, loc: Any, scale: Any) -> Any:
    return _shifted(draws, loc, scale)


def _scaled(do: Do, draws: Any, scale: Any) -> Any:
    return draws * scale.astype(draws.dtype)


def _between(do: Do, draws: Any, low: Any, high: Any) -> Any:
    return _shifted(draws, low, high - low)


def _folded(do: Do, draws: Any, loc: Any, scale: Any) -> Any:
    return _shifted(do("abs", draws), loc, scale)


def _lognormal(do: Do, draws: Any, mean: Any, sigma: Any) -> Any:
    return do("exp", _shifted(draws, mean, sigma))


def _truncexpon(do: Do, draws: Any, b: Any, loc: Any, scale: Any) -> Any:
    """Inversion of the distribution function."""
    return _shifted(-do("log1p", draws * do("expm1", -b.astype(draws.dtype))), loc, scale)


def _pareto(do: Do, draws: Any, b: Any, scale: Any) -> Any:
    return do("exp", draws / b.astype(draws.dtype)) * scale.astype(draws.dtype)


def _power(do: Do, draws: Any, a: Any) -> Any:
    return do("exp", -draws / a.astype(draws.dtype))


def _rayleigh(do: Do, draws: Any, scale: Any) -> Any:
    return do("sqrt", 2 * draws) * scale.astype(draws.dtype)


def _weibull(do: Do, draws: Any, a: Any) -> Any:
    return draws ** (1 / a.astype(draws.dtype))


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
    pairs = jax.random.poisson(counts, nonc.astype(dtype) / 2, shape, int).astype(dtype)
    return 2 * jax.random.gamma(rest, df.astype(dtype) / 2 + pairs, shape, dtype)


def _beta(key: Any, a: Any, b: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.beta(key, a.astype(dtype), b.astype(dtype), shape, dtype)


def _f(key: Any, dfnum: Any, dfden: Any, shape: Sizes, dtype: str) -> Any:
    above, below = jax.random.split(key)
    ratio = _chisquare(above, dfnum, shape, dtype) / _chisquare(below, dfden, shape, dtype)
    return ratio * (dfden / dfnum).astype(dtype)


def _noncentral_f(key: Any, dfnum: Any, dfden: Any, nonc: Any, shape: Sizes, dtype: str) -> Any:
    """A ratio of a noncentral and a central chi-square: Johnson, Kotz and Balakrishnan (1995), chapter 30."""
    above, below = jax.random.split(key)
    ratio = _noncentral_chisquare(above, dfnum, nonc, shape, dtype) / _chisquare(below, dfden, shape, dtype)
    return ratio * (dfden / dfnum).astype(dtype)


def _t(key: Any, df: Any, loc: Any, scale: Any, shape: Sizes, dtype: str) -> Any:
    return _shifted(jax.random.t(key, df.astype(dtype), shape, dtype), loc, scale)


def _standard_t(key: Any, df: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.t(key, df.astype(dtype), shape, dtype)


def _triangular(key: Any, left: Any, mode: Any, right: Any, shape: Sizes, dtype: str) -> Any:
    return jax.random.triangular(key, left.astype(dtype), mode.astype(dtype), right.astype(dtype), shape, dtype)


def _wald(key: Any, mean: Any, scale: Any, shape: Sizes, dtype: str) -> Any:
    """``c * IG(mean, scale)`` is ``IG(c * mean, c * scale)``."""
    scale = scale.astype(dtype)
    return jax.random.wald(key, mean.astype(dtype) / scale, shape, dtype) * scale


def _vonmises(key: Any, mu: Any, kappa: Any, shape: Sizes, dtype: str) -> Any:
    """Best and Fisher (1979), Efficient simulation of the von Mises distribution: rejection from a wrapped Cauchy.

    Their ``1 / r``, the ratio ``s`` here, and its distance to 1 are written without cancellation, so that large and
    small ``kappa`` keep their digits. At least 0.66 of the candidates are accepted.
    """
    kappa = kappa.astype(dtype)
    root = jnp.hypot(1, 2 * kappa)
    rest = 1 + 1 / (root + 2 * kappa)  # 1 + root - 2 * kappa
    s, gap = 2 * kappa / (1 + root), rest / (1 + root)  # gap is 1 - s

    def propose(key: Any) -> tuple[Any, Any]:
        where, whether = jax.random.split(key)
        half = jax.random.uniform(where, shape, dtype, -jnp.pi / 2, jnp.pi / 2)
        sine, cosine = jnp.sin(half), jnp.cos(half)
        below_one = 2 * gap * sine**2 / (gap + 2 * s * cosine**2)  # 1 - cos(angle)
        c = rest / 2 + kappa * below_one
        angle = 2 * jnp.arctan2(jnp.sqrt(gap) * sine, jnp.sqrt(1 + s) * cosine)
        return angle, jnp.log(c) + 1 - c + jax.random.exponential(whether, shape, dtype) < 0

    angle = accepted(key, propose, shape, dtype) + mu.astype(dtype)
    return angle - 2 * jnp.pi * jnp.round(angle / (2 * jnp.pi))


TERMS = 32
"""Terms of the series of a Polya-gamma variable that are drawn one by one."""


def _polyagamma(key: Any, b: Any, c: Any, shape: Sizes, dtype: str) -> Any:
    """Polson, Scott and Windle (2013), Bayesian inference for logistic models using Polya-gamma latent variables,
    section 2: a sum of gamma variables, weighed by ``1 / (2 pi**2 ((k - 1/2)**2 + (c / 2 pi)**2))``.

    The terms after the first 32 are drawn together, as an inverse Gaussian of their mean and variance, which the whole
    sum becomes as ``c`` grows. That puts the distribution function off by at most 3e-5 for ``abs(c) <= 10`` and 6e-4
    for any ``c`` where ``b`` is 1 to 100, and by 3e-3 where it is 0.05.
    """
    first, others = jax.random.split(key)
    b, a = b.astype(dtype), jnp.abs(c).astype(dtype) / (2 * jnp.pi)
    places = jnp.arange(TERMS, dtype=dtype) + 0.5
    terms = jax.random.gamma(first, b[..., None], (*shape, TERMS), dtype)
    head = (terms / (places**2 + a[..., None] ** 2)).sum(-1)
    # The sums over the other terms, of their weights and of the squares, as integrals by the midpoint rule.
    ratio = a / TERMS
    safe = jnp.maximum(ratio, 0.2)
    near = 1 - ratio**2 / 3 + ratio**4 / 5 - ratio**6 / 7
    weights = jnp.where(ratio < 0.2, near, jnp.arctan(safe) / safe) / TERMS
    near = 1 / 3 - ratio**2 * 2 / 5 + ratio**4 * 3 / 7 - ratio**6 * 4 / 9
    squares = jnp.where(ratio < 0.2, near, (jnp.arctan(safe) / safe - 1 / (1 + safe**2)) / (2 * safe**2)) / TERMS**3
    tail = _wald(others, b * weights, b**2 * weights**3 / squares, shape, dtype)
    return (head + tail) / (2 * jnp.pi**2)


distribution(
    "uniform",
    Reparametrization(UNIFORM, _between),
    "low",
    "high",
    relation=Domain("low at most high", lambda low, high: low <= high),
)
distribution("normal", Reparametrization(NORMAL, _affine), "loc", "scale", domains={"scale": NONNEGATIVE})
distribution("standard_normal", jax.random.normal)
distribution("halfnormal", Reparametrization(NORMAL, _folded), "loc", "scale", domains={"scale": NONNEGATIVE})
distribution("lognormal", Reparametrization(NORMAL, _lognormal), "mean", "sigma", domains={"sigma": NONNEGATIVE})
distribution("exponential", Reparametrization(EXPONENTIAL, _scaled), "scale", domains={"scale": NONNEGATIVE})
distribution("standard_exponential", jax.random.exponential)
distribution(
    "truncexpon",
    Reparametrization(UNIFORM, _truncexpon),
    "b",
    "loc",
    "scale",
    domains={"b": POSITIVE, "scale": NONNEGATIVE},
)
distribution("gamma", _gamma, "shape", "scale", loops=True, domains={"shape": NONNEGATIVE, "scale": NONNEGATIVE})
distribution("standard_gamma", _standard_gamma, "shape", loops=True, domains={"shape": NONNEGATIVE})
distribution("invgamma", _invgamma, "shape", "scale", loops=True, domains={"shape": POSITIVE, "scale": NONNEGATIVE})
distribution(
    "gengamma",
    _gengamma,
    "alpha",
    "p",
    "lambd",
    loops=True,
    domains={"alpha": POSITIVE, "p": POSITIVE, "lambd": POSITIVE},
)
distribution("chisquare", _chisquare, "df", loops=True, domains={"df": POSITIVE})
distribution(
    "noncentral_chisquare",
    _noncentral_chisquare,
    "df",
    "nonc",
    loops=True,
    domains={"df": POSITIVE, "nonc": NONNEGATIVE},
)
distribution("beta", _beta, "a", "b", loops=True, domains={"a": POSITIVE, "b": POSITIVE})
distribution("f", _f, "dfnum", "dfden", loops=True, domains={"dfnum": POSITIVE, "dfden": POSITIVE})
distribution(
    "noncentral_f",
    _noncentral_f,
    "dfnum",
    "dfden",
    "nonc",
    loops=True,
    domains={"dfnum": POSITIVE, "dfden": POSITIVE, "nonc": NONNEGATIVE},
)
distribution("t", _t, "df", "loc", "scale", loops=True, domains={"df": POSITIVE, "scale": NONNEGATIVE})
distribution("standard_t", _standard_t, "df", loops=True, domains={"df": POSITIVE})
distribution("cauchy", Reparametrization(CAUCHY, _affine), "loc", "scale", domains={"scale": NONNEGATIVE})
distribution("standard_cauchy", jax.random.cauchy)
distribution("halfcauchy", Reparametrization(CAUCHY, _folded), "loc", "scale", domains={"scale": NONNEGATIVE})
distribution("laplace", Reparametrization(LAPLACE, _affine), "loc", "scale", domains={"scale": NONNEGATIVE})
distribution("logistic", Reparametrization(LOGISTIC, _affine), "loc", "scale", domains={"scale": NONNEGATIVE})
distribution("gumbel", Reparametrization(GUMBEL, _affine), "loc", "scale", domains={"scale": NONNEGATIVE})
distribution(
    "pareto", Reparametrization(EXPONENTIAL, _pareto), "b", "scale", domains={"b": POSITIVE, "scale": NONNEGATIVE}
)
distribution("power", Reparametrization(EXPONENTIAL, _power), "a", domains={"a": POSITIVE})
distribution("rayleigh", Reparametrization(EXPONENTIAL, _rayleigh), "scale", domains={"scale": NONNEGATIVE})
distribution("maxwell", Reparametrization(MAXWELL, _affine), "loc", "scale", domains={"scale": NONNEGATIVE})
distribution("weibull", Reparametrization(EXPONENTIAL, _weibull), "a", domains={"a": POSITIVE})
distribution(
    "triangular",
    _triangular,
    "left",
    "mode",
    "right",
    relation=Domain("left <= mode <= right", lambda left, mode, right: (left <= mode) & (mode <= right)),
)
distribution("wald", _wald, "mean", "scale", domains={"mean": POSITIVE, "scale": POSITIVE})
distribution("vonmises", _vonmises, "mu", "kappa", loops=True, domains={"kappa": NONNEGATIVE})
distribution("polyagamma", _polyagamma, "b", "c", loops=True, domains={"b": POSITIVE})
