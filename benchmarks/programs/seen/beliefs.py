"""Beliefs about series, parameters, arms and the place of an optimum, float64."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

import math
from typing import Any

from benchmarks.programs.applications import stream

SEASON = 12
WIDE = 100.0
VOLATILITY_STEP = 0.1
FIRST, SECOND, TINY = 0.9, 0.999, 1e-8
WIDTH = 1.0
BONUS = 0.6


def structural_series(aesara: Any) -> Any:
    """Log-likelihood of a series with a level, a slope and a season, each of which drifts, by the Kalman filter (Harvey
    1989; Durbin and Koopman 2012, section 3.2), and its gradient in the logarithms of four variances. Some values are
    missing. ``T`` moves the state: level, slope and the seasons of the last 11 months."""
    at = aesara.tensor
    y, seen, T = at.dvector("y"), at.dvector("seen"), at.dmatrix("T")
    logs = at.dvector("logs")
    variance = at.exp(logs)
    n = SEASON + 1
    Z = at.constant([1.0, 0.0, 1.0] + [0.0] * (n - 3), dtype="float64")
    Q = at.diag(at.concatenate([variance[:3], at.zeros((n - 3,), dtype="float64")]))

    def month(y_t: Any, seen_t: Any, a: Any, P: Any) -> list[Any]:
        error = y_t - at.dot(Z, a)
        PZ = at.dot(P, Z)
        F = at.dot(Z, PZ) + variance[3]
        K = seen_t * PZ / F
        a = at.dot(T, a + K * error)
        P = at.dot(at.dot(T, P - at.outer(K, PZ)), T.T) + Q
        return [a, P, seen_t * (at.log(F) + error**2 / F + math.log(2 * math.pi))]

    start = [at.zeros((n,), dtype="float64"), WIDE * at.eye(n, dtype="float64"), None]
    (_, _, terms), updates = aesara.scan(month, sequences=[y, seen], outputs_info=start)
    value = -0.5 * terms.sum()
    return aesara.function([y, seen, T, logs], [value, aesara.grad(value, logs)], updates=updates)


def volatility_chain(aesara: Any, draws: int, particles: int) -> Any:
    """Mean log-likelihood of returns along a chain of parameters of stochastic volatility by particle marginal
    Metropolis (Andrieu, Doucet and Holenstein 2010): a loop over draws with one over days, in which particles are
    resampled systematically. ``start`` is the mean of the log-volatility, the inverse hyperbolic tangent of its
    persistence and the logarithm of its noise."""
    at, trng = aesara.tensor, stream(aesara)
    returns, start = at.dvector("returns"), at.dvector("start")
    place = at.arange(particles) / float(particles)

    def estimate(theta: Any) -> tuple[Any, Any]:
        mean, keep, noise = theta[0], at.tanh(theta[1]), at.exp(theta[2])

        def day(return_t: Any, x: Any) -> list[Any]:
            x = mean + keep * (x - mean) + noise * trng.normal(size=(particles,), dtype="float64")
            log_weight = -0.5 * (x + return_t**2 * at.exp(-x))
            most = log_weight.max()
            weight = at.exp(log_weight - most)
            total = at.cumsum(weight)
            u = place + trng.uniform(size=(), dtype="float64") / particles
            chosen = at.minimum(at.searchsorted(total / total[-1], u), particles - 1)
            return [x[chosen], most + at.log(weight.mean())]

        first = mean + noise / at.sqrt(1 - keep**2) * trng.normal(size=(particles,), dtype="float64")
        (_, terms), updates = aesara.scan(day, sequences=returns, outputs_info=[first, None])
        return terms.sum() - 0.5 * ((theta - start) ** 2).sum(), updates

    def draw(theta: Any, density: Any) -> Any:
        proposed = theta + VOLATILITY_STEP * trng.normal(size=(3,), dtype="float64")
        new, updates = estimate(proposed)
        accepted = at.log(trng.uniform(size=(), dtype="float64")) < new - density
        return [at.switch(accepted, proposed, theta), at.switch(accepted, new, density)], updates

    density, updates = estimate(start)
    (_, density), more = aesara.scan(draw, outputs_info=[start, density], n_steps=draws)
    return aesara.function([returns, start], density.mean(), updates={**updates, **more})


def variational_fit(aesara: Any, steps: int, samples: int) -> Any:
    """Mean evidence bound, over the later half of the steps, of a normal density with a mean and a spread of each
    weight of a logistic regression, fitted by gradients through its draws (Kucukelbir, Tran, Ranganath, Gelman and Blei
    2017) with Adam (Kingma and Ba 2015). ``y`` is 1 or -1."""
    at, trng = aesara.tensor, stream(aesara)
    X, y, rate = at.dmatrix("X"), at.dvector("y"), at.dscalar("rate")
    size = X.shape[1]

    def bound(mean: Any, log_spread: Any, z: Any) -> Any:
        w = mean + at.exp(log_spread) * z
        likelihood = -at.softplus(-y * at.dot(w, X.T)).sum(axis=1)
        prior = -0.5 * ((w / WIDTH) ** 2 + math.log(2 * math.pi * WIDTH**2)).sum(axis=1)
        entropy = (log_spread + 0.5 * math.log(2 * math.pi * math.e)).sum()
        return (likelihood + prior).mean() + entropy

    def moved(parameter: Any, slope: Any, first: Any, second: Any, power: Any) -> list[Any]:
        first = FIRST * first + (1 - FIRST) * slope
        second = SECOND * second + (1 - SECOND) * slope**2
        by = first / (1 - FIRST**power) / (at.sqrt(second / (1 - SECOND**power)) + TINY)
        return [parameter + rate * by, first, second]

    def step(power: Any, mean: Any, m_1: Any, m_2: Any, log_spread: Any, s_1: Any, s_2: Any) -> list[Any]:
        value = bound(mean, log_spread, trng.normal(size=(samples, size), dtype="float64"))
        of_mean, of_spread = aesara.grad(value, [mean, log_spread])
        return [*moved(mean, of_mean, m_1, m_2, power), *moved(log_spread, of_spread, s_1, s_2, power), value]

    zeros = at.zeros((size,), dtype="float64")
    powers = at.cast(at.arange(1, steps + 1), "float64")
    start = [zeros, zeros, zeros, zeros - 1, zeros, zeros, None]
    (*_, value), updates = aesara.scan(step, sequences=powers, outputs_info=start)
    return aesara.function([X, y, rate], value[steps // 2 :].mean(), updates=updates)


def linear_bandit(aesara: Any) -> Any:
    """Arms that are chosen by upper confidence bounds of a linear model of each (Li, Chu, Langford and Schapire 2010),
    the inverse matrices by rank-one changes (Sherman and Morrison 1950), and the sum of rewards so far. ``context
    (time, width)``, ``reward (time, arm)``, ``b (arm, width)`` is a first belief. Float64 and int32."""
    at = aesara.tensor
    context, reward, b = at.dmatrix("context"), at.dmatrix("reward"), at.dmatrix("b")
    arms, width = b.shape[0], b.shape[1]

    def step(x: Any, reward_t: Any, A: Any, b: Any, total: Any) -> list[Any]:
        Ax = at.dot(A, x)
        bonus = at.sqrt(at.dot(Ax, x))
        arm = at.argmax((Ax * b).sum(axis=1) + BONUS * bonus)
        gained = reward_t[arm]
        change = at.outer(Ax[arm], Ax[arm]) / (1 + bonus[arm] ** 2)
        A = at.inc_subtensor(A[arm], -change)
        b = at.inc_subtensor(b[arm], gained * x)
        return [A, b, total + gained, at.cast(arm, "int32")]

    A = at.zeros((arms, 1, 1), dtype="float64") + at.eye(width, dtype="float64")
    start = [A, b, at.constant(0.0, dtype="float64"), None]
    (_, _, total, arm), updates = aesara.scan(step, sequences=[context, reward], outputs_info=start)
    return aesara.function([context, reward, b], [arm, total], updates=updates)


def covariance_adaptation(aesara: Any, generations: int, members: int) -> Any:
    """Mean over the generations of the logarithm of the cost at the mean of a normal density that moves to the better
    half of its draws and takes their shape (Hansen and Ostermeier 2001; Hansen 2016). The cost is an ellipsoid."""
    at, trng = aesara.tensor, stream(aesara)
    start, axes = at.dvector("start"), at.dvector("axes")
    size = start.shape[0]
    n = at.cast(size, "float64")
    half = members // 2
    raw = [math.log(half + 0.5) - math.log(k + 1) for k in range(half)]
    weight = at.constant([one / sum(raw) for one in raw], dtype="float64")
    mass = sum(raw) ** 2 / sum(one**2 for one in raw)
    c_sigma, c_c = (mass + 2) / (n + mass + 5), (4 + mass / n) / (n + 4 + 2 * mass / n)
    c_1 = 2 / ((n + 1.3) ** 2 + mass)
    c_mu = at.minimum(1 - c_1, 2 * (mass - 2 + 1 / mass) / ((n + 2) ** 2 + mass))
    damping = 1 + 2 * at.maximum(0.0, at.sqrt((mass - 1) / (n + 1)) - 1) + c_sigma
    usual = at.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))

    def cost(x: Any) -> Any:
        return (axes * x**2).sum(axis=-1)

    def generation(number: Any, mean: Any, sigma: Any, C: Any, path_sigma: Any, path_c: Any) -> list[Any]:
        squares, B = at.linalg.eigh(C)
        D = at.sqrt(at.maximum(squares, 1e-20))
        z = trng.normal(size=(members, size), dtype="float64")
        y = at.dot(z * D, B.T)
        best = at.argsort(cost(mean + sigma * y))[:half]
        by = at.dot(weight, y[best])
        mean = mean + sigma * by
        white = at.dot(B, at.dot(B.T, by) / D)
        path_sigma = (1 - c_sigma) * path_sigma + at.sqrt(c_sigma * (2 - c_sigma) * mass) * white
        length = at.sqrt((path_sigma**2).sum())
        usually = length / at.sqrt(1 - (1 - c_sigma) ** (2 * number)) < (1.4 + 2 / (n + 1)) * usual
        h = at.switch(usually, 1.0, 0.0)
        path_c = (1 - c_c) * path_c + h * at.sqrt(c_c * (2 - c_c) * mass) * by
        rank_one = at.outer(path_c, path_c) + (1 - h) * c_c * (2 - c_c) * C
        rank_mu = at.dot(y[best].T * weight, y[best])
        C = (1 - c_1 - c_mu) * C + c_1 * rank_one + c_mu * rank_mu
        sigma = sigma * at.exp(c_sigma / damping * (length / usual - 1))
        return [mean, sigma, C, path_sigma, path_c, cost(mean)]

    zeros = at.zeros_like(start)
    numbers = at.cast(at.arange(1, generations + 1), "float64")
    first = [start, at.constant(0.5, dtype="float64"), at.eye(size, dtype="float64"), zeros, zeros, None]
    (*_, found), updates = aesara.scan(generation, sequences=numbers, outputs_info=first)
    return aesara.function([start, axes], at.log10(found).mean(), updates=updates)
