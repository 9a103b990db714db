"""Forecasts, volatility and motifs of time series, float64."""

from __future__ import annotations

import math
from typing import Any

MEAN_ABSOLUTE = math.sqrt(2 / math.pi)


def exponential_garch(aesara: Any) -> Any:
    """Negative log-likelihood of an exponential GARCH model with leverage and its gradient in four parameters (Nelson
    1991)."""
    at = aesara.tensor
    y = at.dvector("y")
    omega, alpha, leverage, beta = parameters = [at.dscalar(name) for name in ("omega", "alpha", "leverage", "beta")]

    def step(y_t: Any, log_variance: Any) -> list[Any]:
        z = y_t * at.exp(-log_variance / 2)
        new = omega + beta * log_variance + alpha * (abs(z) - MEAN_ABSOLUTE) + leverage * z
        return [new, (log_variance + z**2) / 2]

    (_, terms), updates = aesara.scan(step, sequences=y, outputs_info=[omega / (1 - beta), None])
    cost = terms.sum()
    return aesara.function([y, *parameters], [cost, *aesara.grad(cost, parameters)], updates=updates)


def harmonics(aesara: Any, period: float, count: int) -> Any:
    """Sum of squared errors of exponential smoothing with a damped trend and seasons of ``count`` harmonics (De Livera,
    Hyndman and Snyder 2011), and its gradient in five parameters."""
    at = aesara.tensor
    y = at.dvector("y")
    names = ("alpha", "beta", "phi", "gamma_1", "gamma_2")
    alpha, beta, phi, gamma_1, gamma_2 = parameters = [at.dscalar(name) for name in names]
    angle = 2 * math.pi / period * (at.cast(at.arange(count), "float64") + 1)
    cosine, sine = at.cos(angle), at.sin(angle)

    def step(y_t: Any, level: Any, trend: Any, s: Any, turned: Any) -> list[Any]:
        error = y_t - (level + phi * trend + s.sum())
        return [
            level + phi * trend + alpha * error,
            phi * trend + beta * error,
            s * cosine + turned * sine + gamma_1 * error,
            turned * cosine - s * sine + gamma_2 * error,
            error,
        ]

    zero, zeros = at.zeros((), dtype="float64"), at.zeros((count,), dtype="float64")
    (*_, error), updates = aesara.scan(step, sequences=y, outputs_info=[y[0], zero, zeros, zeros, None])
    cost = (error**2).sum()
    return aesara.function([y, *parameters], [cost, *aesara.grad(cost, parameters)], updates=updates)


def matrix_profile(aesara: Any, width: int) -> Any:
    """Distance of each normalized window of a series from the nearest that is not beside it, row by row (Zhu et al.
    2016, STOMP)."""
    at = aesara.tensor
    y = at.dvector("y")
    count = y.shape[0] - width + 1
    place = at.arange(count)
    windows = y[place.dimshuffle(0, "x") + at.arange(width)]
    mean, deviation = windows.mean(axis=1), windows.std(axis=1)
    first = at.dot(windows, y[:width])

    def nearest(i: Any, product: Any) -> Any:
        correlation = (product - width * mean[i] * mean) / (width * deviation[i] * deviation)
        apart = at.sqrt(at.maximum(2 * width * (1 - correlation), 0.0))
        return at.switch(abs(place - i) < width // 2, math.inf, apart).min()

    def step(i: Any, product: Any) -> list[Any]:
        later = product[:-1] - y[i - 1] * y[: count - 1] + y[i + width - 1] * y[width:]
        product = at.concatenate([first[i].dimshuffle("x"), later])
        return [product, nearest(i, product)]

    (_, found), updates = aesara.scan(step, sequences=at.arange(1, count), outputs_info=[first, None])
    return aesara.function([y], at.concatenate([nearest(0, first).dimshuffle("x"), found]), updates=updates)
