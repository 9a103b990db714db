"""Time-series models."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from benchmarks.compare import close, within
from benchmarks.program import unroll
from benchmarks.programs.applications import time_series
from benchmarks.programs.applications.time_series import PERSISTENCE, VOL_OF_VOL
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _dense_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    weights = rng.normal(size=20)
    return inputs(
        rng.normal(size=scale.steps(20_000, quick=100)),
        0.8 * weights / np.abs(weights).sum(),
        rng.normal(size=20),
        order=20,
    )


def _dense(noise: Any, weights: Any, start: Any, order: int) -> Any:
    def step(past: Any, e: Any) -> tuple[Any, Any]:
        x = weights @ past + e
        return jnp.concatenate([x[None], past[:-1]]), x

    return lax.scan(step, start[::-1], noise)[1]


def _dense_tuned(noise: Any, weights: Any, start: Any, order: int) -> Any:
    """Sums that lie ahead instead of values that lie behind (transposed form), so that a step waits for one product and
    one sum."""
    zero = jnp.zeros(1)

    def step(ahead: Any, e: Any) -> tuple[Any, Any]:
        x = ahead[0] + e
        return jnp.concatenate([ahead[1:], zero]) + weights * x, x

    ahead = jnp.stack([weights[i:] @ start[::-1][: order - i] for i in range(order)])
    return lax.scan(step, ahead, noise, unroll=unroll(4, 16))[1]


def _returns(rng: np.random.Generator, scale: Scale) -> Inputs:
    y, variance, before = [], 0.5, 0.0
    for _ in range(scale.steps(5_000, quick=100)):
        variance = 0.05 + 0.1 * before**2 + 0.85 * variance
        before = variance**0.5 * rng.normal()
        y.append(before + 0.02)
    return inputs(np.array(y), *map(np.float64, (0.01, 0.06, 0.09, 0.84)))


def _garch(y: Any, *parameters: Any) -> list[Any]:
    def cost(mean: Any, omega: Any, alpha: Any, beta: Any) -> Any:
        def step(variance: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
            y_t, before = now
            variance = omega + alpha * (before - mean) ** 2 + beta * variance
            return variance, jnp.log(variance) + (y_t - mean) ** 2 / variance

        return 0.5 * lax.scan(step, omega / (1 - alpha - beta), (y[1:], y[:-1]))[1].sum()

    value, slopes = jax.value_and_grad(cost, (0, 1, 2, 3))(*parameters)
    return [value, *slopes]


def _garch_tuned(y: Any, *parameters: Any) -> list[Any]:
    """Only the variances in the forward loop, only their derivatives in the reverse loop, all else before and after."""
    mean, omega, alpha, beta = parameters
    apart = y - mean
    squares = apart * apart

    def forward(variance: Any, driven: Any) -> tuple[Any, Any]:
        variance = driven + beta * variance
        return variance, variance

    start = omega / (1 - alpha - beta)
    variance = lax.scan(forward, start, omega + alpha * squares[:-1], unroll=unroll(4, 16))[1]
    inverse = 1 / variance
    slopes = 0.5 * inverse * (1 - squares[1:] * inverse)

    def reverse(later: Any, slope: Any) -> tuple[Any, Any]:
        now = beta * later + slope
        return now, now

    first, total = lax.scan(reverse, jnp.zeros_like(beta), slopes, reverse=True, unroll=unroll(4, 16))
    before = jnp.concatenate([start[None], variance[:-1]])
    of_start = beta * first / (1 - alpha - beta)
    of_mean = -(apart[1:] * inverse).sum() - 2 * alpha * (total * apart[:-1]).sum()
    return [
        0.5 * (jnp.log(variance) + squares[1:] * inverse).sum(),
        of_mean,
        total.sum() + of_start,
        (total * squares[:-1]).sum() + of_start * start,
        (total * before).sum() + of_start * start,
    ]


def _arma_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    e = rng.normal(size=scale.steps(5_000, quick=100))
    y = e.copy()
    for t in range(2, len(y)):
        y[t] = 0.6 * y[t - 1] - 0.2 * y[t - 2] + e[t] + 0.3 * e[t - 1] + 0.1 * e[t - 2]
    return inputs(y, np.array([0.5, -0.1]), np.array([0.2, 0.2]))


def _arma(y: Any, *weights: Any) -> list[Any]:
    def cost(phi: Any, theta: Any) -> Any:
        def step(carry: tuple[Any, Any], now: tuple[Any, Any, Any]) -> tuple[tuple[Any, Any], Any]:
            (e1, e2), (y_t, y1, y2) = carry, now
            e = y_t - phi[0] * y1 - phi[1] * y2 - theta[0] * e1 - theta[1] * e2
            return (e, e1), e

        zero = jnp.zeros((), y.dtype)
        return (lax.scan(step, (zero, zero), (y[2:], y[1:-1], y[:-2]))[1] ** 2).sum()

    value, slopes = jax.value_and_grad(cost, (0, 1))(*weights)
    return [value, *slopes]


def _arma_tuned(y: Any, phi: Any, theta: Any) -> list[Any]:
    """The autoregressive part before the loop; the reverse loop by hand, all gradients as products after it."""
    zero = jnp.zeros((), y.dtype)
    a, b = theta[0], theta[1]

    def recursion(carry: tuple[Any, Any], driven: Any) -> tuple[tuple[Any, Any], Any]:
        one, two = carry
        new = driven - a * one - b * two
        return (new, one), new

    driven = y[2:] - phi[0] * y[1:-1] - phi[1] * y[:-2]
    e = lax.scan(recursion, (zero, zero), driven, unroll=unroll(4, 16))[1]
    back = lax.scan(recursion, (zero, zero), 2 * e, reverse=True, unroll=unroll(4, 16))[1]
    of_phi = -jnp.stack([back @ y[1:-1], back @ y[:-2]])
    return [e @ e, of_phi, -jnp.stack([back[1:] @ e[:-1], back[2:] @ e[:-2]])]


def _seasonal(rng: np.random.Generator, scale: Scale) -> Inputs:
    count = scale.steps(3_000, quick=60)
    season = np.sin(np.arange(count) * np.pi / 6)
    y = 0.1 * rng.normal(size=count).cumsum() + season + 0.3 * rng.normal(size=count)
    return inputs(y, season[:12] + 0.1 * rng.normal(size=12), np.array([0.3, 0.05, 0.2]))


def _holt_winters(y: Any, season: Any, rates: Any, by_errors: bool = False) -> list[Any]:
    """``by_errors``: a step in terms of its error, with the products of rates before the loop."""

    def cost(rates: Any) -> Any:
        def step(carry: tuple[Any, Any, Any], y_t: Any) -> tuple[tuple[Any, Any, Any], Any]:
            level, trend, past = carry
            error = y_t - level - trend - past[0]
            new = rates[0] * (y_t - past[0]) + (1 - rates[0]) * (level + trend)
            trend = rates[1] * (new - level) + (1 - rates[1]) * trend
            fresh = rates[2] * (y_t - new) + (1 - rates[2]) * past[0]
            return (new, trend, jnp.concatenate([past[1:], fresh[None]])), error

        def short(carry: tuple[Any, Any, Any], y_t: Any) -> tuple[tuple[Any, Any, Any], Any]:
            level, trend, past = carry
            error = y_t - level - trend - past[0]
            season = jnp.concatenate([past[1:], (past[0] + of_season * error)[None]])
            return (level + trend + rates[0] * error, trend + of_trend * error, season), error

        zero = jnp.zeros((), y.dtype)
        of_trend, of_season = rates[0] * rates[1], rates[2] * (1 - rates[0])
        return (lax.scan(short if by_errors else step, (zero, zero, season), y)[1] ** 2).mean()

    return list(jax.value_and_grad(cost)(rates))


def _volatility_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    return inputs(rng.normal(size=100), steps=scale.steps(500))


def _volatility(key: Any, start: Any, steps: int, ahead: bool = False) -> list[Any]:
    """``ahead``: draws before the loop, returns after it."""

    def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], Any]:
        h, key = carry
        key, one, two = random.split(key, 3)
        h = PERSISTENCE * h + VOL_OF_VOL * random.normal(one, h.shape)
        return (h, key), jnp.exp(h / 2) * random.normal(two, h.shape)

    def short(h: Any, noise: Any) -> tuple[Any, Any]:
        h = PERSISTENCE * h + noise
        return h, h

    if ahead:
        noise, shock = random.normal(key, (2, steps, len(start)))
        h = lax.scan(short, start, VOL_OF_VOL * noise, unroll=unroll(2, 16))[1]
        y = jnp.exp(h / 2) * shock
    else:
        y = lax.scan(step, (start, key), None, length=steps)[1]
    return [(y**2).mean(), jnp.sqrt(jnp.sqrt((y**4).mean()))]


def _vector_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    n = 8
    A, B = (size * np.linalg.qr(rng.normal(size=(n, n)))[0] for size in (0.5, 0.3))
    return inputs(rng.normal(size=(scale.steps(5_000, quick=50), n)), A, B, rng.normal(size=(2, n)))


def _vector(noise: Any, A: Any, B: Any, start: Any) -> Any:
    def step(carry: tuple[Any, Any], e: Any) -> tuple[tuple[Any, Any], Any]:
        two, one = carry
        x = A @ one + B @ two + e
        return (one, x), x

    return lax.scan(step, (start[0], start[1]), noise)[1]


def _vector_tuned(noise: Any, A: Any, B: Any, start: Any) -> Any:
    """Both products in one step of sums; that of the older value is made a step ahead, beside the other."""

    def step(carry: tuple[Any, Any], e: Any) -> tuple[tuple[Any, Any], Any]:
        old, x = carry
        both = (C * x).sum(1)
        new = both[: len(A)] + old + e
        return (both[len(A) :], new), new

    C = jnp.concatenate([A, B])
    return lax.scan(step, (B @ start[0], start[1]), noise, unroll=unroll(2, 16))[1]


def _covariances(rng: np.random.Generator, scale: Scale) -> Inputs:
    y = rng.normal(size=4_000)
    y[1:] += 0.7 * y[:-1]
    order = scale.pick(128, quick=10)
    return inputs(np.array([y[: len(y) - lag] @ y[lag:] / len(y) for lag in range(order + 1)]))


def _levinson(r: Any) -> list[Any]:
    order = len(r) - 1
    place = jnp.arange(order)

    def step(carry: tuple[Any, Any], k: Any) -> tuple[tuple[Any, Any], Any]:
        a, error = carry
        before = place < k
        flipped = r[jnp.clip(k - place, 0, order)]
        reflection = (r[k + 1] - jnp.where(before, a * flipped, 0).sum()) / error
        mirrored = a[jnp.clip(k - 1 - place, 0, order - 1)]
        a = (a - reflection * jnp.where(before, mirrored, 0)).at[k].set(reflection)
        error = error * (1 - reflection**2)
        return (a, error), error

    (a, _), errors = lax.scan(step, (jnp.zeros(order), r[0]), place)
    return [a, errors]


def _levinson_tuned(r: Any) -> list[Any]:
    """The mirrored coefficients are a slice of the reversed ones, whose end is zero: no masks and no gathers."""
    order = len(r) - 1
    zeros = jnp.zeros(order)
    wide = jnp.concatenate([r[::-1], zeros])

    def step(carry: tuple[Any, Any], k: Any) -> tuple[tuple[Any, Any], Any]:
        a, error = carry
        flipped = lax.dynamic_slice(wide, (order - k,), (order,))
        reflection = (r[k + 1] - (a * flipped).sum()) / error
        mirrored = lax.dynamic_slice(jnp.concatenate([a[::-1], zeros]), (order - k,), (order,))
        a = lax.dynamic_update_index_in_dim(a - reflection * mirrored, reflection, k, 0)
        error = error * (1 - reflection * reflection)
        return (a, error), error

    (a, _), errors = lax.scan(step, (zeros, r[0]), jnp.arange(order))
    return [a, errors]


def _events(rng: np.random.Generator, scale: Scale) -> Inputs:
    times = rng.exponential(size=scale.steps(5_000, quick=60)).cumsum()
    return inputs(times, times[-1] + 1, *map(np.float64, (0.5, 0.6, 1.2)))


def _hawkes(times: Any, end: Any, *parameters: Any) -> list[Any]:
    def cost(rate: Any, jump: Any, decay: Any) -> Any:
        def step(excited: Any, gap: Any) -> tuple[Any, Any]:
            excited = jnp.exp(-decay * gap) * (1 + excited)
            return excited, jnp.log(rate + jump * excited)

        terms = lax.scan(step, jnp.zeros((), times.dtype), times[1:] - times[:-1])[1]
        missed = rate * end + jump / decay * (1 - jnp.exp(-decay * (end - times))).sum()
        return missed - jnp.log(rate) - terms.sum()

    value, slopes = jax.value_and_grad(cost, (0, 1, 2))(*parameters)
    return [value, *slopes]


def _hawkes_tuned(times: Any, end: Any, *parameters: Any) -> list[Any]:
    """Exponentials before the loop, logarithms after it, both loops with a product and a sum a step."""
    rate, jump, decay = parameters
    gaps = times[1:] - times[:-1]
    kept = jnp.exp(-decay * gaps)

    def forward(excited: Any, kept: Any) -> tuple[Any, Any]:
        new = kept * (1 + excited)
        return new, new

    zero = jnp.zeros((), times.dtype)
    excited = lax.scan(forward, zero, kept, unroll=unroll(4, 16))[1]
    intensity = rate + jump * excited
    slopes = jump / intensity

    def reverse(later: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        slope, kept = now
        total = slope + later
        return kept * total, total

    total = lax.scan(reverse, zero, (slopes, kept), reverse=True, unroll=unroll(4, 16))[1]
    left = end - times
    gone = jnp.exp(-decay * left)
    missed = (1 - gone).sum()
    return [
        rate * end + jump / decay * missed - jnp.log(rate) - jnp.log(intensity).sum(),
        end - 1 / rate - (1 / intensity).sum(),
        missed / decay - (excited / intensity).sum(),
        jump / decay * (gone * left).sum() - jump / decay**2 * missed + (total * excited * gaps).sum(),
    ]


def _regimes_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    n = 4
    P = 0.9 * np.eye(n) + 0.1 * rng.dirichlet(np.ones(n), n)
    y = 2 * rng.normal(size=scale.steps(5_000, quick=50))
    return inputs(y, P, np.linspace(-3, 3, n), rng.uniform(0.5, 1.5, n))


def _regimes(y: Any, P: Any, means: Any, sds: Any) -> list[Any]:
    def step(chance: Any, y_t: Any) -> tuple[Any, Any]:
        density = jnp.exp(-0.5 * ((y_t - means) / sds) ** 2) / sds
        joint = chance @ P * density
        total = joint.sum()
        return joint / total, (jnp.log(total), joint / total)

    terms, chance = lax.scan(step, jnp.ones_like(means) / len(means), y)[1]
    return [terms.sum(), chance]


def _regimes_tuned(y: Any, P: Any, means: Any, sds: Any) -> list[Any]:
    """Densities before the loop and logarithms after it; the product as a sum."""
    density = jnp.exp(-0.5 * ((y[:, None] - means) / sds) ** 2) / sds

    def step(chance: Any, density: Any) -> tuple[Any, Any]:
        joint = (chance[:, None] * P).sum(0) * density
        total = joint.sum()
        chance = joint / total
        return chance, (total, chance)

    totals, chance = lax.scan(step, jnp.ones_like(means) / len(means), density, unroll=unroll(1, 8))[1]
    return [jnp.log(totals).sum(), chance]


GRADIENT = close(1e-7)
"""Comparison of gradients summed over many steps."""

WORKLOADS = (
    task(
        "dense-autoregression",
        "autoregression on 20 values, T=20,000",
        time_series.dense_autoregression,
        _dense_data,
        _dense,
        _dense_tuned,
    ),
    task(
        "garch-grad",
        "likelihood of a GARCH(1, 1) model, T=5,000, with gradient",
        time_series.garch,
        _returns,
        _garch,
        _garch_tuned,
        GRADIENT,
    ),
    task(
        "arma-grad",
        "sum of squares of an ARMA(2, 2) model, T=5,000, with gradient",
        time_series.arma,
        _arma_data,
        _arma,
        _arma_tuned,
        GRADIENT,
    ),
    task(
        "holt-winters-grad",
        "exponential smoothing with a season of 12, T=3,000, with gradient",
        time_series.holt_winters,
        _seasonal,
        _holt_winters,
        partial(_holt_winters, by_errors=True),
        GRADIENT,
    ),
    task(
        "stochastic-volatility",
        "simulated returns of 100 series, T=500",
        time_series.stochastic_volatility,
        _volatility_data,
        _volatility,
        partial(_volatility, ahead=True),
        within(0.25),
        draws=True,
    ),
    task(
        "vector-autoregression",
        "vector autoregression of order 2, 8 variables, T=5,000",
        time_series.vector_autoregression,
        _vector_data,
        _vector,
        _vector_tuned,
    ),
    task(
        "levinson", "Levinson's recursion to order 128", time_series.levinson, _covariances, _levinson, _levinson_tuned
    ),
    task(
        "hawkes-grad",
        "likelihood of a self-exciting process, 5,000 events, with gradient",
        time_series.hawkes,
        _events,
        _hawkes,
        _hawkes_tuned,
        GRADIENT,
    ),
    task(
        "regimes",
        "Markov-switching mean, 4 regimes, T=5,000",
        time_series.regimes,
        _regimes_data,
        _regimes,
        _regimes_tuned,
    ),
)
