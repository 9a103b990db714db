"""State estimation and adaptive filters."""

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
from benchmarks.programs.applications import filters
from benchmarks.programs.applications.filters import (
    ENKF_SEEN,
    FORCING,
    FORGETTING,
    INFLATION,
    L96_DT,
    RANGE_SEEN,
    SEEN_EVERY,
    STEP_SIZE,
    UKF_DT,
    UKF_NOISE,
    UKF_SEEN,
    UKF_SPREAD,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _tracking(rng: np.random.Generator, scale: Scale, seen: int, **options: Any) -> Inputs:
    n = 4
    F = np.eye(n) * 0.95 + 0.1 * np.eye(n, k=1)
    return inputs(
        rng.normal(size=(scale.steps(1_000, quick=50), seen)),
        F,
        0.1 * np.eye(n),
        np.eye(n)[:seen] + 0.1 * rng.normal(size=(seen, n)),
        np.eye(seen) + 0.2,
        **options,
    )


def _kalman(z: Any, F: Any, Q: Any, H: Any, R: Any, solve: bool) -> list[Any]:
    def step(carry: tuple[Any, Any], z_t: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        m, P = carry
        m, P = F @ m, F @ P @ F.T + Q
        S = H @ P @ H.T + R
        error = z_t - H @ m
        if solve:
            K, scaled = jnp.linalg.solve(S.T, H @ P.T).T, jnp.linalg.solve(S, error)
        else:
            inverse = jnp.linalg.inv(S)
            K, scaled = P @ H.T @ inverse, inverse @ error
        m = m + K @ error
        return (m, P - K @ H @ P), (-0.5 * (error @ scaled + jnp.log(jnp.linalg.det(S))), m)

    terms, m = lax.scan(step, (jnp.zeros(len(F)), jnp.eye(len(F))), z)[1]
    return [terms.sum(), m]


def _times(A: Any, B: Any) -> Any:
    """Product of tiny matrices as sums, which cost less than a call of a matrix routine."""
    return (A[:, :, None] * B[None]).sum(1)


def _inverse(S: Any) -> tuple[Any, Any]:
    """Inverse and determinant of 1 x 1 and 2 x 2 matrices."""
    if len(S) == 1:
        return 1 / S, S[0, 0]
    det = S[0, 0] * S[1, 1] - S[0, 1] * S[1, 0]
    return jnp.stack([S[1, 1], -S[0, 1], -S[1, 0], S[0, 0]]).reshape(2, 2) / det, det


def _kalman_tuned(z: Any, F: Any, Q: Any, H: Any, R: Any, solve: bool) -> list[Any]:
    """Small products and the inverse written out; logarithms after the loop."""

    def step(carry: tuple[Any, Any], z_t: Any) -> tuple[tuple[Any, Any], Any]:
        m, P = carry
        m, P = (F * m).sum(1), _times(_times(F, P), F.T) + Q
        seen, across = _times(H, P), _times(P, H.T)
        inverse, det = _inverse(_times(seen, H.T) + R)
        error = z_t - (H * m).sum(1)
        scaled = (inverse * error).sum(1)
        m = m + (across * scaled).sum(1)
        return (m, P - _times(across, _times(inverse, seen))), ((error * scaled).sum(), det, m)

    distance, det, m = lax.scan(step, (jnp.zeros(len(F)), jnp.eye(len(F))), z, unroll=unroll(1, 8))[1]
    return [-0.5 * (distance + jnp.log(det)).sum(), m]


def _smoother_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    n = 4
    F = np.eye(n) * 0.95 + 0.1 * np.eye(n, k=1)
    h = np.array([1.0, 0.0, 0.5, 0.0])
    return inputs(rng.normal(size=scale.steps(1_000, quick=50)), F, 0.1 * np.eye(n), h, np.float64(0.5))


def _forward(z_t: Any, m: Any, P: Any, F: Any, Q: Any, h: Any, r: Any) -> tuple[Any, Any, Any, Any]:
    ahead, spread = F @ m, F @ P @ F.T + Q
    seen = spread @ h
    gain = seen / (h @ seen + r)
    return ahead + gain * (z_t - h @ ahead), spread - jnp.outer(gain, seen), ahead, spread


def _smoother(z: Any, F: Any, Q: Any, h: Any, r: Any) -> Any:
    def forward(carry: tuple[Any, Any], z_t: Any) -> tuple[tuple[Any, Any], Any]:
        found = _forward(z_t, *carry, F, Q, h, r)
        return found[:2], found

    def backward(later: Any, now: Any) -> tuple[Any, Any]:
        m, P, ahead, spread = now
        smooth = m + jnp.linalg.solve(spread, F @ P).T @ (later - ahead)
        return smooth, smooth

    _, (m, P, ahead, spread) = lax.scan(forward, (jnp.zeros_like(h), jnp.eye(len(h))), z)
    return lax.scan(backward, m[-1], (m[:-1], P[:-1], ahead[1:], spread[1:]), reverse=True)[1][::-1]


def _smoother_tuned(z: Any, F: Any, Q: Any, h: Any, r: Any) -> Any:
    """Small products written out; all gains from one batched solve, so that a step back is one product."""

    def forward(carry: tuple[Any, Any], z_t: Any) -> tuple[tuple[Any, Any], Any]:
        m, P = carry
        ahead, spread = (F * m).sum(1), _times(_times(F, P), F.T) + Q
        seen = (spread * h).sum(1)
        gain = seen / ((h * seen).sum() + r)
        m, P = ahead + gain * (z_t - (h * ahead).sum()), spread - gain[:, None] * seen
        return (m, P), (m, P, ahead, spread)

    _, (m, P, ahead, spread) = lax.scan(forward, (jnp.zeros_like(h), jnp.eye(len(h))), z)
    gains = jnp.linalg.solve(spread[1:], F @ P[:-1])
    fixed = m[:-1] - (gains * ahead[1:, :, None]).sum(1)

    def backward(later: Any, now: Any) -> tuple[Any, Any]:
        gain, fixed = now
        smooth = fixed + (gain * later[:, None]).sum(0)
        return smooth, smooth

    return lax.scan(backward, m[-1], (gains, fixed), reverse=True, unroll=unroll(1, 8))[1][::-1]


def _pendulum(rng: np.random.Generator, scale: Scale) -> Inputs:
    x, z = np.array([1.0, 0.0]), []
    for _ in range(scale.steps(1_000, quick=50)):
        x = np.array([x[0] + UKF_DT * x[1], x[1] - UKF_DT * 9.81 * np.sin(x[0])])
        x = 0.99 * x + 0.05 * rng.normal(size=2)
        z.append(np.sin(x[0]) + 0.3 * rng.normal())
    return inputs(np.array(z), np.array([1.0, 0.0]))


def _unscented(z: Any, start: Any) -> Any:
    n = 2
    weight = jnp.array([1 - n / UKF_SPREAD, *(2 * n * [0.5 / UKF_SPREAD])])

    def points(m: Any, P: Any) -> Any:
        root = jnp.linalg.cholesky(UKF_SPREAD * P).T
        return jnp.concatenate([m[None], m + root, m - root])

    def step(carry: tuple[Any, Any], z_t: Any) -> tuple[tuple[Any, Any], Any]:
        x = points(*carry)
        x = jnp.stack([x[:, 0] + UKF_DT * x[:, 1], x[:, 1] - UKF_DT * 9.81 * jnp.sin(x[:, 0])], axis=1)
        m = weight @ x
        P = ((x - m).T * weight) @ (x - m) + UKF_NOISE * jnp.eye(n)
        x = points(m, P)
        seen = jnp.sin(x[:, 0])
        mean = weight @ seen
        variance = weight @ (seen - mean) ** 2 + UKF_SEEN
        gain = (x - m).T @ (weight * (seen - mean)) / variance
        m = m + gain * (z_t - mean)
        return (m, P - jnp.outer(gain, gain) * variance), m

    return lax.scan(step, (start, jnp.eye(n)), z)[1]


def _unscented_tuned(z: Any, start: Any) -> Any:
    """Everything in scalars and vectors over the points; the factor of a 2 x 2 matrix in closed form."""
    outer = 0.5 / UKF_SPREAD
    weight = jnp.array([1 - 2 / UKF_SPREAD, outer, outer, outer, outer])
    first, second = jnp.array([0.0, 1, 0, -1, 0]), jnp.array([0.0, 0, 1, 0, -1])

    def step(carry: Any, z_t: Any) -> tuple[Any, Any]:
        a, b, p, q, s = carry
        root = jnp.sqrt(UKF_SPREAD * p)
        low = UKF_SPREAD * q / root
        x = a + root * first
        y = b + low * first + jnp.sqrt(UKF_SPREAD * s - low * low) * second
        x, y = x + UKF_DT * y, y - UKF_DT * 9.81 * jnp.sin(x)
        a, b = (weight * x).sum(), (weight * y).sum()
        x, y = x - a, y - b
        p, q, s = (weight * x * x).sum() + UKF_NOISE, (weight * x * y).sum(), (weight * y * y).sum() + UKF_NOISE
        root = jnp.sqrt(UKF_SPREAD * p)
        low = UKF_SPREAD * q / root
        x = root * first
        y = low * first + jnp.sqrt(UKF_SPREAD * s - low * low) * second
        seen = jnp.sin(a + x)
        mean = (weight * seen).sum()
        scaled = weight * (seen - mean)
        variance = (scaled * (seen - mean)).sum() + UKF_SEEN
        one, two = (x * scaled).sum() / variance, (y * scaled).sum() / variance
        a, b = a + one * (z_t - mean), b + two * (z_t - mean)
        return (a, b, p - one * one * variance, q - one * two * variance, s - two * two * variance), (a, b)

    begin = start[0], start[1], jnp.float64(1), jnp.float64(0), jnp.float64(1)
    return jnp.stack(lax.scan(step, begin, z, unroll=unroll(1, 8))[1], axis=1)


def _ranges(rng: np.random.Generator, scale: Scale) -> Inputs:
    F = np.eye(4) + 0.1 * np.eye(4, k=2)
    stations, start = np.array([[-20.0, 0.0], [0.0, -20.0]]), np.array([1.0, 2.0, 0.1, -0.1])
    x, z = start, []
    for _ in range(scale.steps(500, quick=50)):
        x = F @ (np.array([1, 1, 0.99, 0.99]) * x)
        x[2:] += 0.05 * rng.normal(size=2) - 0.01 * x[:2]
        z.append(np.hypot(*(x[:2] - stations).T) + 0.3 * rng.normal(size=2))
    return inputs(np.array(z), F, 0.01 * np.eye(4), stations, start)


def _extended(z: Any, F: Any, Q: Any, stations: Any, start: Any) -> Any:
    def distances(m: Any) -> Any:
        return jnp.sqrt(((m[:2] - stations) ** 2).sum(1))

    def step(carry: tuple[Any, Any], z_t: Any) -> tuple[tuple[Any, Any], Any]:
        m, P = carry
        m, P = F @ m, F @ P @ F.T + Q
        H = jax.jacobian(distances)(m)
        S = H @ P @ H.T + RANGE_SEEN * jnp.eye(2)
        K = P @ H.T @ jnp.linalg.inv(S)
        m = m + K @ (z_t - distances(m))
        return (m, P - K @ H @ P), m

    return lax.scan(step, (start, jnp.eye(4)), z)[1]


def _extended_tuned(z: Any, F: Any, Q: Any, stations: Any, start: Any) -> Any:
    """Derivatives and the inverse in closed form, small products written out."""

    def step(carry: tuple[Any, Any], z_t: Any) -> tuple[tuple[Any, Any], Any]:
        m, P = carry
        m, P = (F * m).sum(1), _times(_times(F, P), F.T) + Q
        apart = m[:2] - stations
        distance = jnp.sqrt((apart**2).sum(1))
        H = apart / distance[:, None]
        seen, across = _times(H, P[:2]), _times(P[:, :2], H.T)
        inverse, _ = _inverse(_times(seen[:, :2], H.T) + RANGE_SEEN * jnp.eye(2))
        gain = _times(across, inverse)
        m = m + (gain * (z_t - distance)).sum(1)
        return (m, P - _times(gain, seen)), m

    return lax.scan(step, (start, jnp.eye(4)), z, unroll=unroll(1, 8))[1]


def _regression(rng: np.random.Generator, scale: Scale, steps: int, noise: bool) -> Inputs:
    X = rng.normal(size=(scale.steps(steps, quick=60), 8))
    y = X @ rng.normal(size=8) + 0.3 * rng.normal(size=len(X))
    return inputs(X, y, np.float64(0.1)) if noise else inputs(X, y)


def _square_root(X: Any, y: Any, r: Any) -> list[Any]:
    def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
        (w, S), (x, y_t) = carry, now
        phi = S.T @ x
        variance = phi @ phi + r
        gain = S @ phi / variance
        w = w + gain * (y_t - x @ w)
        return (w, S - jnp.outer(gain, phi) / (1 + jnp.sqrt(r / variance))), w

    (_, S), w = lax.scan(step, (jnp.zeros(X.shape[1]), 10 * jnp.eye(X.shape[1])), (X, y))
    return [w, jnp.diagonal(S @ S.T)]


def _square_root_tuned(X: Any, y: Any, r: Any) -> list[Any]:
    """Small products written out."""

    def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
        (w, S), (x, y_t) = carry, now
        phi = (S * x[:, None]).sum(0)
        variance = (phi * phi).sum() + r
        gain = (S * phi).sum(1) / variance
        w = w + gain * (y_t - (x * w).sum())
        return (w, S - gain[:, None] * (phi / (1 + jnp.sqrt(r / variance)))), w

    (_, S), w = lax.scan(step, (jnp.zeros(X.shape[1]), 10 * jnp.eye(X.shape[1])), (X, y), unroll=unroll(1, 8))
    return [w, jnp.diagonal(S @ S.T)]


def _lorenz_slope(x: Any) -> Any:
    return (np.roll(x, -1, -1) - np.roll(x, 2, -1)) * np.roll(x, 1, -1) - x + FORCING


def _lorenz_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    x, truth = FORCING + rng.normal(size=40), []
    for _ in range(500 + scale.steps(300)):
        for _ in range(4):
            x = x + L96_DT / 4 * _lorenz_slope(x)
        truth.append(x)
    true = np.array(truth)[500:]
    z = true[:, ::SEEN_EVERY] + ENKF_SEEN * rng.normal(size=(len(true), 40 // SEEN_EVERY))
    return inputs(z, true, truth[499] + rng.normal(size=(64, 40)))


def _analysis(x: Any, z_t: Any, noise: Any, slope: Any, solve: Any) -> Any:
    k1 = slope(x)
    k2 = slope(x + L96_DT / 2 * k1)
    k3 = slope(x + L96_DT / 2 * k2)
    k4 = slope(x + L96_DT * k3)
    x = x + L96_DT / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    mean = x.mean(0)
    apart = INFLATION * (x - mean)
    x = mean + apart
    seen, seen_apart = x[:, ::SEEN_EVERY], apart[:, ::SEEN_EVERY]
    S = seen_apart.T @ seen_apart / (len(x) - 1) + ENKF_SEEN**2 * jnp.eye(len(z_t))
    cross = seen_apart.T @ apart / (len(x) - 1)
    return x + solve(S, cross, z_t + noise - seen)


def _ensemble(key: Any, z: Any, truth: Any, start: Any) -> Any:
    def slope(x: Any) -> Any:
        return (jnp.roll(x, -1, 1) - jnp.roll(x, 2, 1)) * jnp.roll(x, 1, 1) - x + FORCING

    def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
        (x, key), (z_t, true) = carry, now
        key, used = random.split(key)
        noise = ENKF_SEEN * random.normal(used, (len(x), len(z_t)))
        x = _analysis(x, z_t, noise, slope, lambda S, cross, error: error @ jnp.linalg.solve(S, cross))
        return (x, key), ((x.mean(0) - true) ** 2).mean()

    return lax.scan(step, (start, key), (z, truth))[1].mean()


def _ensemble_tuned(key: Any, z: Any, truth: Any, start: Any) -> Any:
    """Draws before the loop; neighbours read from one padded array; a Cholesky solve of the innovations, of which there
    are fewer than columns; errors after the loop."""

    def slope(x: Any) -> Any:
        ring = jnp.concatenate([x[:, -2:], x, x[:, :1]], axis=1)
        return (ring[:, 3:] - ring[:, :-3]) * ring[:, 1:-2] - x + FORCING

    def solved(S: Any, cross: Any, error: Any) -> Any:
        return jax.scipy.linalg.cho_solve((jnp.linalg.cholesky(S), True), error.T).T @ cross

    def step(x: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        z_t, noise = now
        x = _analysis(x, z_t, noise, slope, solved)
        return x, x.mean(0)

    noise = ENKF_SEEN * random.normal(key, (len(z), len(start), z.shape[1]))
    return ((lax.scan(step, start, (z, noise))[1] - truth) ** 2).mean()


def _rls(X: Any, y: Any) -> Any:
    def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
        (w, P), (x, y_t) = carry, now
        seen = P @ x
        gain = seen / (FORGETTING + x @ seen)
        error = y_t - w @ x
        return (w + gain * error, (P - jnp.outer(gain, seen)) / FORGETTING), error

    return lax.scan(step, (jnp.zeros(X.shape[1]), 100 * jnp.eye(X.shape[1])), (X, y))[1]


def _rls_tuned(X: Any, y: Any) -> Any:
    """Small products written out."""

    def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
        (w, P), (x, y_t) = carry, now
        seen = (P * x).sum(1)
        gain = seen / (FORGETTING + (x * seen).sum())
        error = y_t - (w * x).sum()
        return (w + gain * error, (P - gain[:, None] * seen) * (1 / FORGETTING)), error

    start = jnp.zeros(X.shape[1]), 100 * jnp.eye(X.shape[1])
    return lax.scan(step, start, (X, y), unroll=unroll(1, 8))[1]


def _echo_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    x = rng.normal(size=scale.steps(10_000, quick=100))
    y = np.convolve(x, rng.normal(size=16))[: len(x)] + 0.1 * rng.normal(size=len(x))
    return inputs(x, y, taps=16)


def _adaptive(x: Any, y: Any, taps: int) -> Any:
    def step(w: Any, t: Any) -> tuple[Any, Any]:
        window = lax.dynamic_slice(x, (t,), (taps,))
        error = y[t + taps - 1] - w @ window
        return w + STEP_SIZE * error * window / (1e-3 + window @ window), error

    return lax.scan(step, jnp.zeros(taps), jnp.arange(len(x) - taps + 1))[1]


def _biquads_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    radius, angle = rng.uniform(0.5, 0.9, 4), rng.uniform(0.2, 3, 4)
    a = np.stack([-2 * radius * np.cos(angle), radius**2], axis=1)
    return inputs(rng.normal(size=scale.steps(20_000, quick=100)), 0.5 * rng.normal(size=(4, 3)), a, sections=4)


def _biquads(x: Any, b: Any, a: Any, sections: int) -> Any:
    def step(states: Any, x_t: Any) -> tuple[Any, Any]:
        new = []
        for i in range(sections):
            y = b[i, 0] * x_t + states[i, 0]
            new.append([b[i, 1] * x_t - a[i, 0] * y + states[i, 1], b[i, 2] * x_t - a[i, 1] * y])
            x_t = y
        return jnp.array(new), x_t

    return lax.scan(step, jnp.zeros((sections, 2)), x)[1]


LOOSE = close(1e-6)
"""Comparison of recursions that amplify rounding."""

WORKLOADS = (
    task(
        "kalman-inverse",
        "Kalman filter with the inverse of a 1 x 1 innovation, T=1,000",
        filters.kalman,
        partial(_tracking, seen=1, solve=False),
        _kalman,
        _kalman_tuned,
    ),
    task(
        "kalman-solve",
        "Kalman filter that solves with a 2 x 2 innovation, T=1,000",
        filters.kalman,
        partial(_tracking, seen=2, solve=True),
        _kalman,
        _kalman_tuned,
    ),
    task(
        "smoother",
        "Rauch-Tung-Striebel smoother, 4 states, T=1,000",
        filters.smoother,
        _smoother_data,
        _smoother,
        _smoother_tuned,
    ),
    task(
        "unscented",
        "unscented Kalman filter of a pendulum, T=1,000",
        filters.unscented,
        _pendulum,
        _unscented,
        _unscented_tuned,
        LOOSE,
    ),
    task(
        "extended",
        "extended Kalman filter of a ranged target, T=500",
        filters.extended,
        _ranges,
        _extended,
        _extended_tuned,
        LOOSE,
    ),
    task(
        "square-root",
        "Potter's square-root filter of 8 weights, 2,000 rows",
        filters.square_root,
        partial(_regression, steps=2_000, noise=True),
        _square_root,
        _square_root_tuned,
        LOOSE,
    ),
    task(
        "ensemble",
        "ensemble Kalman filter of Lorenz's 40 variables, 64 members, T=300",
        filters.ensemble,
        _lorenz_data,
        _ensemble,
        _ensemble_tuned,
        within(0.15),
        draws=True,
    ),
    task(
        "least-squares",
        "recursive least squares of 8 weights, 5,000 rows",
        filters.recursive_least_squares,
        partial(_regression, steps=5_000, noise=False),
        _rls,
        _rls_tuned,
        LOOSE,
    ),
    task(
        "adaptive",
        "normalized least mean squares on 16 taps, T=10,000",
        filters.adaptive,
        _echo_data,
        _adaptive,
    ),
    task(
        "biquads",
        "cascade of four second-order sections, T=20,000",
        filters.biquads,
        _biquads_data,
        _biquads,
    ),
)
