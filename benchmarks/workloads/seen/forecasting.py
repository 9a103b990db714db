"""Forecasts, volatility and motifs of time series."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.program import unroll
from benchmarks.programs.seen import forecasting
from benchmarks.programs.seen.forecasting import MEAN_ABSOLUTE
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _returns(rng: np.random.Generator, scale: Scale) -> Inputs:
    y = rng.standard_t(6, scale.steps(3_000, quick=60))
    return inputs(y, *map(np.float64, (0.02, 0.15, -0.08, 0.95)))


def _exponential_garch(y: Any, *parameters: Any) -> list[Any]:
    def cost(parameters: Any) -> Any:
        omega, alpha, leverage, beta = parameters

        def step(log_variance: Any, y_t: Any) -> tuple[Any, Any]:
            z = y_t * jnp.exp(-log_variance / 2)
            new = omega + beta * log_variance + alpha * (jnp.abs(z) - MEAN_ABSOLUTE) + leverage * z
            return new, (log_variance + z**2) / 2

        return lax.scan(step, omega / (1 - beta), y)[1].sum()

    value, slopes = jax.value_and_grad(cost)(parameters)
    return [value, *slopes]


def _exponential_garch_tuned(y: Any, *parameters: Any) -> list[Any]:
    """Terms and slopes of a step for all steps at once; backwards, one product and one sum a step."""
    omega, alpha, leverage, beta = parameters
    constant = omega - alpha * MEAN_ABSOLUTE
    weight = alpha * jnp.abs(y) + leverage * y
    start = omega / (1 - beta)

    def forward(h: Any, weight_t: Any) -> tuple[Any, Any]:
        return constant + beta * h + weight_t * jnp.exp(-h / 2), h

    _, h = lax.scan(forward, start, weight)
    scale = jnp.exp(-h / 2)
    z = y * scale
    factor, slope = beta - weight * scale / 2, (1 - z**2) / 2

    def backward(after: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        factor_t, slope_t = now
        return slope_t + factor_t * after, after

    first, after = lax.scan(backward, jnp.zeros(()), (factor, slope), reverse=True, unroll=unroll(4, 16))
    of_omega = after.sum() + first / (1 - beta)
    of_alpha = (after * (jnp.abs(z) - MEAN_ABSOLUTE)).sum()
    of_beta = (after * h).sum() + first * start / (1 - beta)
    return [(h + z**2).sum() / 2, of_omega, of_alpha, (after * z).sum(), of_beta]


def _seasons(rng: np.random.Generator, scale: Scale) -> Inputs:
    t = np.arange(scale.steps(2_000, quick=60))
    y = 5 + 0.01 * t + np.sin(2 * np.pi * t / 24) + 0.3 * np.cos(4 * np.pi * t / 24) + 0.2 * rng.normal(size=len(t))
    return inputs(y, *map(np.float64, (0.2, 0.05, 0.95, 0.02, 0.01)), period=24.0, count=3)


def _angles(period: float, count: int) -> Any:
    return 2 * math.pi / period * (jnp.arange(count) + 1)


def _harmonics(y: Any, *parameters: Any, period: float, count: int) -> list[Any]:
    angle = _angles(period, count)
    cosine, sine = jnp.cos(angle), jnp.sin(angle)

    def cost(parameters: Any) -> Any:
        alpha, beta, phi, gamma_1, gamma_2 = parameters

        def step(carry: Any, y_t: Any) -> tuple[Any, Any]:
            level, trend, s, turned = carry
            error = y_t - (level + phi * trend + s.sum())
            level, trend = level + phi * trend + alpha * error, phi * trend + beta * error
            s, turned = s * cosine + turned * sine + gamma_1 * error, turned * cosine - s * sine + gamma_2 * error
            return (level, trend, s, turned), error

        zeros = jnp.zeros(count)
        return (lax.scan(step, (y[0], jnp.zeros(()), zeros, zeros), y)[1] ** 2).sum()

    value, slopes = jax.value_and_grad(cost)(parameters)
    return [value, *slopes]


def _harmonics_tuned(y: Any, *parameters: Any, period: float, count: int) -> list[Any]:
    """All states as one vector that each step multiplies by one matrix; backwards its transpose, and the slopes of
    matrix and vectors as products after the loop."""
    angle = _angles(period, count)
    cosine, sine = jnp.diag(jnp.cos(angle)), jnp.diag(jnp.sin(angle))
    size = 2 + 2 * count

    def model(alpha: Any, beta: Any, phi: Any, gamma_1: Any, gamma_2: Any) -> tuple[Any, Any, Any]:
        ones = jnp.ones(count)
        seen = jnp.concatenate([jnp.stack([jnp.ones(()), phi]), ones, 0 * ones])
        gain = jnp.concatenate([jnp.stack([alpha, beta]), gamma_1 * ones, gamma_2 * ones])
        turn = jnp.block([[cosine, sine], [-sine, cosine]])
        moves = jnp.zeros((size, size)).at[0, 0].set(1).at[0, 1].set(phi).at[1, 1].set(phi).at[2:, 2:].set(turn)
        return moves - jnp.outer(gain, seen), gain, seen

    (moves, gain, seen), pull = jax.vjp(model, *parameters)
    start = jnp.zeros(size).at[0].set(y[0])
    columns, rows = moves.T, moves

    def forward(x: Any, added: Any) -> tuple[Any, Any]:
        return (columns * x[:, None]).sum(0) + added, x

    _, x = lax.scan(forward, start, gain * y[:, None])
    error = y - x @ seen

    def backward(after: Any, added: Any) -> tuple[Any, Any]:
        return (rows * after[:, None]).sum(0) + added, after

    _, after = lax.scan(backward, jnp.zeros(size), -2 * error[:, None] * seen, reverse=True)
    return [(error**2).sum(), *pull((after.T @ x, y @ after, -2 * error @ x))]


def _motif(rng: np.random.Generator, scale: Scale) -> Inputs:
    size, width = scale.pick((1_000, 50), quick=(60, 8))
    return inputs(np.sin(np.arange(size) / 7) + rng.normal(size=size), width=width)


def _windows(y: Any, width: int) -> tuple[Any, Any, Any]:
    windows = y[jnp.arange(len(y) - width + 1)[:, None] + jnp.arange(width)]
    return windows.mean(1), windows.std(1), windows @ y[:width]


def _matrix_profile(y: Any, width: int) -> Any:
    mean, deviation, first = _windows(y, width)
    count = len(first)
    place = jnp.arange(count)

    def nearest(i: Any, product: Any) -> Any:
        correlation = (product - width * mean[i] * mean) / (width * deviation[i] * deviation)
        apart = jnp.sqrt(jnp.maximum(2 * width * (1 - correlation), 0))
        return jnp.where(jnp.abs(place - i) < width // 2, jnp.inf, apart).min()

    def step(product: Any, i: Any) -> tuple[Any, Any]:
        later = product[:-1] - y[i - 1] * y[: count - 1] + y[i + width - 1] * y[width:]
        product = jnp.concatenate([first[i][None], later])
        return product, nearest(i, product)

    found = lax.scan(step, first, place[1:])[1]
    return jnp.concatenate([nearest(0, first)[None], found])


def _matrix_profile_tuned(y: Any, width: int) -> Any:
    """Scaled windows before the loop, the largest correlation in it, distances after it."""
    mean, deviation, first = _windows(y, width)
    count = len(first)
    place = jnp.arange(count, dtype="int32")
    share, center = 1 / (width**0.5 * deviation), mean / deviation
    leaves, comes = y[: count - 1], y[width:]

    def step(product: Any, now: Any) -> tuple[Any, Any]:
        i, top, drop, add, own_share, own_center = now
        later = product[:-1] - drop * leaves + add * comes
        product = jnp.concatenate([top[None], later])
        correlation = product * share * own_share - own_center * center
        return product, jnp.where(jnp.abs(place - i) < width // 2, -jnp.inf, correlation).max()

    others = lax.scan(step, first, (place[1:], first[1:], leaves, comes, share[1:], center[1:]))[1]
    top = jnp.where(place < width // 2, -jnp.inf, first * share * share[0] - center[0] * center).max()
    best = jnp.concatenate([top[None], others])
    return jnp.sqrt(jnp.maximum(2 * width * (1 - best), 0))


WORKLOADS = (
    task(
        "exponential-garch-grad",
        "likelihood of an exponential GARCH model with leverage, T=3,000, with gradient in four parameters",
        forecasting.exponential_garch,
        _returns,
        _exponential_garch,
        _exponential_garch_tuned,
        close(1e-7),
    ),
    task(
        "harmonics-grad",
        "smoothing with a damped trend and a season of 3 harmonics, T=2,000, with gradient in five parameters",
        forecasting.harmonics,
        _seasons,
        _harmonics,
        _harmonics_tuned,
        close(1e-7),
    ),
    task(
        "matrix-profile",
        "nearest other window of 50 of each of 951 windows of a series",
        forecasting.matrix_profile,
        _motif,
        _matrix_profile,
        _matrix_profile_tuned,
        close(1e-6),
    ),
)
