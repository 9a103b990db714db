"""Time-series models."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import digamma, gammaln

from benchmarks.compare import close
from benchmarks.program import unroll
from benchmarks.programs.seen import time_series
from benchmarks.programs.seen.time_series import (
    HAZARD,
    PRIOR_COUNT,
    PRIOR_MEAN,
    PRIOR_SCALE,
    PRIOR_SHAPE,
    SEASON,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _returns(rng: np.random.Generator, scale: Scale) -> Inputs:
    f, y = -0.5, []
    for _ in range(scale.steps(2_000, quick=60)):
        y.append(np.exp(f / 2) * rng.standard_t(6))
        ratio = y[-1] ** 2 / (6 * np.exp(f))
        f = -0.025 + 0.95 * f + 0.1 * (7 * ratio / (1 + ratio) - 1)
    return inputs(np.array(y), *map(np.float64, (-0.02, 0.08, 0.96, 5.0)))


def _score_driven(y: Any, omega: Any, alpha: Any, beta: Any, nu: Any) -> list[Any]:
    def cost(omega: Any, alpha: Any, beta: Any, nu: Any) -> Any:
        def step(f: Any, y_t: Any) -> tuple[Any, Any]:
            ratio = y_t**2 / (nu * jnp.exp(f))
            score = (nu + 1) * ratio / (1 + ratio) - 1
            return omega + beta * f + alpha * score, f / 2 + (nu + 1) / 2 * jnp.log1p(ratio)

        terms = lax.scan(step, omega / (1 - beta), y)[1]
        norm = gammaln(nu / 2) - gammaln((nu + 1) / 2) + jnp.log(math.pi * nu) / 2
        return terms.sum() + len(y) * norm

    value, slopes = jax.value_and_grad(cost, (0, 1, 2, 3))(omega, alpha, beta, nu)
    return [value, *slopes]


def _score_driven_tuned(y: Any, omega: Any, alpha: Any, beta: Any, nu: Any) -> list[Any]:
    """The recurrence alone in the forward loop, a linear reverse loop by hand, all else before and after."""
    squares = y * y / nu
    low, high = omega - alpha, alpha * (nu + 1)

    def forward(f: Any, square: Any) -> tuple[Any, Any]:
        return low + beta * f + high * (square / (square + jnp.exp(f))), f

    start = omega / (1 - beta)
    _, f = lax.scan(forward, start, squares, unroll=unroll(2, 16))
    ratio = squares * jnp.exp(-f)
    share = ratio / (1 + ratio)
    logs = jnp.log1p(ratio)
    steep = share * (1 - share)

    def reverse(later: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        into, slope = now
        return into + slope * later, later

    zero = jnp.zeros_like(start)
    now = 0.5 - (nu + 1) / 2 * share, beta - high * steep
    first, later = lax.scan(reverse, zero, now, reverse=True, unroll=unroll(4, 16))
    steps = len(y)
    of_norm = (digamma(nu / 2) - digamma((nu + 1) / 2) + 1 / nu) / 2
    of_nu = (logs / 2 - (nu + 1) / (2 * nu) * share).sum() + later @ (alpha * share - high / nu * steep)
    norm = gammaln(nu / 2) - gammaln((nu + 1) / 2) + jnp.log(math.pi * nu) / 2
    return [
        f.sum() / 2 + (nu + 1) / 2 * logs.sum() + steps * norm,
        later.sum() + first / (1 - beta),
        later @ ((nu + 1) * share - 1),
        later @ f + first * omega / (1 - beta) ** 2,
        of_nu + steps * of_norm,
    ]


def _standardized(rng: np.random.Generator, scale: Scale) -> Inputs:
    root = np.linalg.cholesky(0.5 * np.eye(4) + 0.5)
    z = rng.normal(size=(scale.steps(400, quick=30), 4)) @ root.T
    return inputs(z, np.float64(0.05), np.float64(0.9))


def _dynamic_correlation(z: Any, a: Any, b: Any) -> list[Any]:
    mean = z.T @ z / len(z)

    def cost(a: Any, b: Any) -> Any:
        def step(Q: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
            z_t, before = now
            Q = (1 - a - b) * mean + a * jnp.outer(before, before) + b * Q
            sd = jnp.sqrt(jnp.diagonal(Q))
            R = Q / jnp.outer(sd, sd)
            return Q, jnp.log(jnp.linalg.det(R)) + z_t @ jnp.linalg.solve(R, z_t)

        return lax.scan(step, mean, (z[1:], z[:-1]))[1].sum() / 2

    value, slopes = jax.value_and_grad(cost, (0, 1))(a, b)
    return [value, *slopes]


def _dynamic_correlation_tuned(z: Any, a: Any, b: Any) -> list[Any]:
    """The linear recurrence alone in the loop, for one triangle, with its derivatives in both parameters beside; the
    likelihood of all steps at once, by elimination in rows of all steps."""
    mean = z.T @ z / len(z)
    size = z.shape[1]
    pairs = [(i, j) for i in range(size) for j in range(i + 1)]
    rows, columns = (jnp.array(part) for part in zip(*pairs, strict=True))
    level, products = mean[rows, columns], z[:-1, rows] * z[:-1, columns]

    def step(carry: Any, product: Any) -> tuple[Any, Any]:
        """Correlations and their derivatives in ``a`` and ``b``."""
        Q, of_a, of_b = carry
        of_a, of_b = product - level + b * of_a, Q - level + b * of_b
        Q = (1 - a - b) * level + a * product + b * Q
        return (Q, of_a, of_b), (Q, of_a, of_b)

    zero = jnp.zeros_like(level)
    _, (Q, of_a, of_b) = lax.scan(step, (level, zero, zero), products, unroll=unroll(4, 16))

    def likelihood(Q: Any) -> Any:
        entries = dict(zip(pairs, Q, strict=True))
        sd = [jnp.sqrt(entries[i, i]) for i in range(size)]
        lower = {(i, j): entries[i, j] / (sd[i] * sd[j]) if i != j else jnp.ones_like(sd[i]) for i, j in pairs}
        right = list(z[1:].T)
        total = 0
        for k in range(size):
            pivot = lower[k, k]
            total = total + jnp.log(pivot) + right[k] ** 2 / pivot
            for i in range(k + 1, size):
                share = lower[i, k] / pivot
                right[i] = right[i] - share * right[k]
                for j in range(k + 1, i + 1):
                    lower[i, j] = lower[i, j] - share * lower[j, k]
        return total.sum() / 2

    value, of_Q = jax.value_and_grad(likelihood)(Q.T)
    return [value, (of_Q.T * of_a).sum(), (of_Q.T * of_b).sum()]


def _changes(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps = scale.steps(400, quick=40)
    mean, sd = (np.repeat(values, 50)[:steps] for values in (3 * rng.normal(size=8), rng.uniform(0.5, 2, 8)))
    return inputs(mean + sd * rng.normal(size=steps), most=scale.pick(128, quick=16))


def _change_points(x: Any, most: int) -> list[Any]:
    def shifted(first: Any, values: Any) -> Any:
        return jnp.concatenate([jnp.array([first]), values[:-1]])

    def step(carry: Any, x_t: Any) -> tuple[Any, Any]:
        chance, mean, count, shape, scale = carry
        width = 2 * scale * (count + 1) / count
        log_density = gammaln(shape + 0.5) - gammaln(shape) - jnp.log(math.pi * width) / 2
        log_density = log_density - (shape + 0.5) * jnp.log1p((x_t - mean) ** 2 / width)
        joint = chance * jnp.exp(log_density)
        chance = shifted(HAZARD * joint.sum(), (1 - HAZARD) * joint)
        chance = chance / chance.sum()
        scale = scale + count * (x_t - mean) ** 2 / (2 * (count + 1))
        mean = (count * mean + x_t) / (count + 1)
        carry = (
            chance,
            shifted(PRIOR_MEAN, mean),
            shifted(PRIOR_COUNT, count + 1),
            shifted(PRIOR_SHAPE, shape + 0.5),
            shifted(PRIOR_SCALE, scale),
        )
        return carry, chance @ jnp.arange(most)

    priors = (PRIOR_MEAN, PRIOR_COUNT, PRIOR_SHAPE, PRIOR_SCALE)
    start = jnp.zeros(most).at[0].set(1), *(jnp.full(most, value) for value in priors)
    (chance, *_), expected = lax.scan(step, start, x)
    return [expected, chance]


def _change_points_tuned(x: Any, most: int) -> list[Any]:
    """Counts and shapes depend on the time since the change alone, and so do gamma functions, which are computed once:
    places that are not reached yet have chance 0, whatever their values."""
    place = jnp.arange(most, dtype=x.dtype)
    count, shape = PRIOR_COUNT + place, PRIOR_SHAPE + place / 2
    wide, by, less, power = 2 * (count + 1) / count, count / (2 * (count + 1)), 1 / (count + 1), shape + 0.5
    norm = jnp.exp(gammaln(power) - gammaln(shape)) / math.sqrt(math.pi)
    prior_mean, prior_scale = jnp.full(1, PRIOR_MEAN), jnp.full(1, PRIOR_SCALE)

    def step(carry: Any, x_t: Any) -> tuple[Any, Any]:
        chance, mean, scale = carry
        error = x_t - mean
        squares, width = error * error, wide * scale
        joint = chance * norm / jnp.sqrt(width) * jnp.exp(-power * jnp.log1p(squares / width))
        chance = jnp.concatenate([HAZARD * joint.sum(keepdims=True), (1 - HAZARD) * joint[:-1]])
        chance = chance / chance.sum()
        mean = jnp.concatenate([prior_mean, (mean + error * less)[:-1]])
        scale = jnp.concatenate([prior_scale, (scale + by * squares)[:-1]])
        return (chance, mean, scale), chance

    start = jnp.zeros(most).at[0].set(1), jnp.full(most, PRIOR_MEAN), jnp.full(most, PRIOR_SCALE)
    (chance, _, _), every = lax.scan(step, start, x)
    return [every @ place, chance]


def _months(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps = scale.steps(2_400, quick=72) + SEASON + 1
    y = list(rng.normal(size=SEASON + 1))
    for e in rng.normal(size=steps - len(y)):
        y.append(0.5 * y[-1] + 0.4 * y[-SEASON] - 0.2 * y[-SEASON - 1] + e)
    return inputs(np.array(y), *map(np.float64, (0.4, 0.2, 0.3, 0.25)))


def _seasonal(y: Any, phi: Any, theta: Any, of_year: Any, of_shock: Any) -> list[Any]:
    def cost(phi: Any, theta: Any, of_year: Any, of_shock: Any) -> Any:
        def step(past: Any, now: Any) -> tuple[Any, Any]:
            y_t, one, year, both = now
            forecast = phi * one + of_year * year - phi * of_year * both
            e = y_t - forecast - theta * past[-1] - of_shock * past[1] - theta * of_shock * past[0]
            return jnp.concatenate([past[1:], e[None]]), e

        sequences = y[SEASON + 1 :], y[SEASON:-1], y[1:-SEASON], y[: -SEASON - 1]
        return (lax.scan(step, jnp.zeros(SEASON + 1), sequences)[1] ** 2).sum()

    value, slopes = jax.value_and_grad(cost, (0, 1, 2, 3))(phi, theta, of_year, of_shock)
    return [value, *slopes]


def _seasonal_tuned(y: Any, phi: Any, theta: Any, of_year: Any, of_shock: Any) -> list[Any]:
    """The filter is a product of two: one of the last value, and one of the last year, a row of months for each
    step. The gradient is the same filter backwards."""
    now, one, year, both = y[SEASON + 1 :], y[SEASON:-1], y[1:-SEASON], y[: -SEASON - 1]
    steps = len(now)
    rest = -steps % SEASON

    def by_month(value: Any, driven: Any) -> tuple[Any, Any]:
        value = driven - theta * value
        return value, value

    def by_year(value: Any, driven: Any) -> tuple[Any, Any]:
        value = driven - of_shock * value
        return value, value

    def filtered(driven: Any) -> Any:
        months = lax.scan(by_month, jnp.zeros_like(theta), driven, unroll=unroll(8, 16))[1]
        years = jnp.pad(months, (0, rest)).reshape(-1, SEASON)
        return lax.scan(by_year, jnp.zeros(SEASON), years)[1].ravel()[:steps]

    e = filtered(now - phi * one - of_year * year + phi * of_year * both)
    asked = filtered(2 * e[::-1])[::-1]
    past = jnp.pad(e, (SEASON + 1, 0))
    e1, e12, e13 = past[SEASON:-1], past[1:-SEASON], past[: -SEASON - 1]
    return [
        e @ e,
        asked @ (of_year * both - one),
        -(asked @ (e1 + of_shock * e13)),
        asked @ (phi * both - year),
        -(asked @ (e12 + theta * e13)),
    ]


WORKLOADS = (
    task(
        "score-driven-grad",
        "likelihood of a score-driven volatility, T=2,000, with gradient in four parameters",
        time_series.score_driven,
        _returns,
        _score_driven,
        _score_driven_tuned,
        close(1e-7),
    ),
    task(
        "dynamic-correlation-grad",
        "likelihood of dynamic correlations of 4 series, T=400, with gradient",
        time_series.dynamic_correlation,
        _standardized,
        _dynamic_correlation,
        _dynamic_correlation_tuned,
        close(1e-7),
    ),
    task(
        "change-points",
        "online detection of changes, up to 128 steps back, T=400",
        time_series.change_points,
        _changes,
        _change_points,
        _change_points_tuned,
        close(1e-7),
    ),
    task(
        "seasonal-grad",
        "sum of squares of a seasonal ARIMA model, T=2,400, with gradient",
        time_series.seasonal,
        _months,
        _seasonal,
        _seasonal_tuned,
        close(1e-7),
    ),
)
