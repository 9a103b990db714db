"""Beliefs about series, parameters, arms and the place of an optimum."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random
from jax.nn import sigmoid, softplus

from benchmarks.compare import close, near, within
from benchmarks.programs.seen import beliefs
from benchmarks.programs.seen.beliefs import BONUS, FIRST, SEASON, SECOND, TINY, VOLATILITY_STEP, WIDE, WIDTH
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task

LOG_TURN = math.log(2 * math.pi)


def _months(rng: np.random.Generator, scale: Scale) -> Inputs:
    months, n = scale.steps(240, quick=16), SEASON + 1
    T = np.zeros((n, n))
    T[0, :2], T[1, 1], T[2, 2:] = 1, 1, -1
    T[np.arange(3, n), np.arange(2, n - 1)] = 1
    time = np.arange(months)
    level = np.cumsum(0.3 * rng.normal(size=months) + np.cumsum(0.05 * rng.normal(size=months)))
    y = level + 2 * np.sin(2 * np.pi * time / SEASON) + 0.7 * rng.normal(size=months)
    seen = (rng.random(months) < 0.93).astype(float)
    return inputs(y * seen, seen, T, np.log([0.05, 0.01, 0.02, 0.4]))


def _structural_series(y: Any, seen: Any, T: Any, logs: Any) -> list[Any]:
    n = SEASON + 1
    Z = jnp.zeros(n).at[jnp.array([0, 2])].set(1.0)

    def likelihood(logs: Any) -> Any:
        variance = jnp.exp(logs)
        Q = jnp.diag(jnp.concatenate([variance[:3], jnp.zeros(n - 3)]))

        def month(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
            a, P = carry
            y_t, seen_t = now
            error = y_t - Z @ a
            PZ = P @ Z
            F = Z @ PZ + variance[3]
            K = seen_t * PZ / F
            a = T @ (a + K * error)
            P = T @ (P - jnp.outer(K, PZ)) @ T.T + Q
            return (a, P), seen_t * (jnp.log(F) + error**2 / F + LOG_TURN)

        start = (jnp.zeros(n), WIDE * jnp.eye(n))
        return -0.5 * lax.scan(month, start, (y, seen))[1].sum()

    return list(jax.value_and_grad(likelihood)(logs))


def _structural_series_tuned(y: Any, seen: Any, T: Any, logs: Any) -> list[Any]:
    """The score from smoothed disturbances (Koopman and Shephard 1992): one loop back over gains, errors and their
    variances, which are all that is kept. What ``T`` does to a matrix is two sums and a shift."""
    n = SEASON + 1
    variance = jnp.exp(logs)
    noise = jnp.zeros(n).at[:3].set(variance[:3])
    unit = jnp.zeros(n).at[jnp.array([0, 2])].set(1.0)
    Q = jnp.diag(noise)

    def move(M: Any) -> Any:
        return jnp.concatenate([M[:1] + M[1:2], M[1:2], -M[2:].sum(axis=0, keepdims=True), M[2:-1]])

    def back(M: Any) -> Any:
        last = -M[2:3]
        rest = jnp.concatenate([M[3:], jnp.zeros_like(last)]) + last
        return jnp.concatenate([M[:1], M[:1] + M[1:2], rest])

    def month(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
        a, P = carry
        y_t, seen_t = now
        error = y_t - a[0] - a[2]
        PZ = P[0] + P[2]
        F = PZ[0] + PZ[2] + variance[3]
        K = (seen_t / F) * PZ
        a = move(a + K * error)
        P = move(move(P - K[:, None] * PZ).T) + Q
        return (a, P), (error, F, K)

    start = (jnp.zeros(n), WIDE * jnp.eye(n))
    error, F, K = lax.scan(month, start, (y, seen))[1]
    value = -0.5 * (seen * (jnp.log(F) + error**2 / F + LOG_TURN)).sum()

    def smooth(carry: tuple[Any, Any], now: tuple[Any, ...]) -> tuple[Any, Any]:
        r, N = carry
        error_t, F_t, K_t, seen_t = now
        found = r[:3] * r[:3] - jnp.diagonal(N)[:3]
        r = back(r)
        N = back(back(N).T)
        NK = N @ K_t
        u, D = error_t / F_t - K_t @ r, 1 / F_t + K_t @ NK
        r = r + (seen_t * u) * unit
        crossed = unit[:, None] * NK
        N = N - seen_t * (crossed + crossed.T) + (seen_t * D) * (unit[:, None] * unit)
        return (r, N), (found, seen_t * (u * u - D))

    last = (jnp.zeros(n), jnp.zeros((n, n)))
    found, of_noise = lax.scan(smooth, last, (error, F, K, seen), reverse=True)[1]
    slopes = jnp.concatenate([found.sum(axis=0), of_noise.sum(keepdims=True)])
    return [value, 0.5 * variance * slopes]


def _returns(rng: np.random.Generator, scale: Scale) -> Inputs:
    days, draws, particles = scale.pick((80, 20, 128), quick=(30, 6, 32))
    x, returns = 0.0, np.zeros(days)
    for day in range(days):
        x = 0.95 * x + 0.3 * rng.normal()
        returns[day] = np.exp(x / 2) * rng.normal()
    start = np.array([0.0, np.arctanh(0.95), np.log(0.3)])
    return inputs(returns, start, draws=scale.steps(draws), particles=particles)


def _volatility_chain(key: Any, returns: Any, start: Any, draws: int, particles: int) -> Any:
    place = jnp.arange(particles) / particles

    def estimate(key: Any, theta: Any) -> Any:
        mean, keep, noise = theta[0], jnp.tanh(theta[1]), jnp.exp(theta[2])
        first_key, key = random.split(key)

        def day(x: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
            return_t, key = now
            moving, choosing = random.split(key)
            x = mean + keep * (x - mean) + noise * random.normal(moving, (particles,))
            log_weight = -0.5 * (x + return_t**2 * jnp.exp(-x))
            most = log_weight.max()
            weight = jnp.exp(log_weight - most)
            total = jnp.cumsum(weight)
            u = place + random.uniform(choosing) / particles
            return x[jnp.searchsorted(total / total[-1], u)], most + jnp.log(weight.mean())

        first = mean + noise / jnp.sqrt(1 - keep**2) * random.normal(first_key, (particles,))
        terms = lax.scan(day, first, (returns, random.split(key, len(returns))))[1]
        return terms.sum() - 0.5 * ((theta - start) ** 2).sum()

    def draw(carry: tuple[Any, Any], key: Any) -> tuple[Any, Any]:
        theta, density = carry
        moving, estimating, deciding = random.split(key, 3)
        proposed = theta + VOLATILITY_STEP * random.normal(moving, (3,))
        new = estimate(estimating, proposed)
        accepted = jnp.log(random.uniform(deciding)) < new - density
        density = jnp.where(accepted, new, density)
        return (jnp.where(accepted, proposed, theta), density), density

    first_key, key = random.split(key)
    return lax.scan(draw, (start, estimate(first_key, start)), random.split(key, draws))[1].mean()


def _volatility_chain_tuned(key: Any, returns: Any, start: Any, draws: int, particles: int) -> Any:
    """All noise before the loops; each particle's number is written where the run of its copies begins, and a running
    maximum of these gives the others, for a search."""
    days = len(returns)
    one, two, three, four = random.split(key, 4)
    noise = random.normal(one, (draws + 1, days + 1, particles))
    shift = random.uniform(two, (draws + 1, days))
    moves = VOLATILITY_STEP * random.normal(three, (draws, 3))
    chance = jnp.log(random.uniform(four, (draws,)))
    squares = returns**2
    own = jnp.arange(particles, dtype="int32")

    def estimate(theta: Any, noise_d: Any, shift_d: Any) -> Any:
        mean, keep, spread = theta[0], jnp.tanh(theta[1]), jnp.exp(theta[2])
        fixed = mean - keep * mean

        def day(x: Any, now: tuple[Any, ...]) -> tuple[Any, Any]:
            square_t, noise_t, shift_t = now
            x = fixed + keep * x + spread * noise_t
            weight = jnp.exp(-0.5 * (x + square_t * jnp.exp(-x)))
            total = jnp.cumsum(weight)
            reached = jnp.ceil(total * (particles / total[-1]) - shift_t).astype("int32")
            begin = jnp.concatenate([jnp.zeros(1, "int32"), reached[:-1]])
            marks = jnp.zeros(particles, "int32").at[begin].max(own, mode="drop")
            return x.at[lax.cummax(marks)].get(mode="promise_in_bounds"), total[-1]

        first = mean + spread / jnp.sqrt(1 - keep**2) * noise_d[0]
        totals = lax.scan(day, first, (squares, noise_d[1:], shift_d))[1]
        return jnp.log(totals / particles).sum() - 0.5 * ((theta - start) ** 2).sum()

    def draw(carry: tuple[Any, Any], now: tuple[Any, ...]) -> tuple[Any, Any]:
        theta, density = carry
        move, noise_d, shift_d, chance_d = now
        proposed = theta + move
        new = estimate(proposed, noise_d, shift_d)
        accepted = chance_d < new - density
        density = jnp.where(accepted, new, density)
        return (jnp.where(accepted, proposed, theta), density), density

    begin = (start, estimate(start, noise[0], shift[0]))
    return lax.scan(draw, begin, (moves, noise[1:], shift[1:], chance))[1].mean()


def _classes(rng: np.random.Generator, scale: Scale) -> Inputs:
    rows, size = scale.pick((200, 10), quick=(40, 3))
    X, w = rng.normal(size=(rows, size)), 1.5 * rng.normal(size=size)
    y = np.where(rng.random(rows) < 1 / (1 + np.exp(-X @ w)), 1.0, -1.0)
    return inputs(X, y, np.float64(0.05), steps=scale.steps(500, quick=120), samples=4)


def _variational_fit(key: Any, X: Any, y: Any, rate: Any, steps: int, samples: int) -> Any:
    size = X.shape[1]

    def bound(parameters: tuple[Any, Any], z: Any) -> Any:
        mean, log_spread = parameters
        w = mean + jnp.exp(log_spread) * z
        likelihood = jax.nn.log_sigmoid(y * (w @ X.T)).sum(axis=1)
        prior = jax.scipy.stats.norm.logpdf(w, scale=WIDTH).sum(axis=1)
        entropy = (log_spread + 0.5 * (LOG_TURN + 1)).sum()
        return (likelihood + prior).mean() + entropy

    def step(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[Any, Any]:
        parameters, first, second = carry
        power, key = now
        value, slopes = jax.value_and_grad(bound)(parameters, random.normal(key, (samples, size)))
        first = jax.tree.map(lambda m, g: FIRST * m + (1 - FIRST) * g, first, slopes)
        second = jax.tree.map(lambda v, g: SECOND * v + (1 - SECOND) * g**2, second, slopes)

        def moved(parameter: Any, m: Any, v: Any) -> Any:
            return parameter + rate * m / (1 - FIRST**power) / (jnp.sqrt(v / (1 - SECOND**power)) + TINY)

        return (jax.tree.map(moved, parameters, first, second), first, second), value

    zeros = jnp.zeros(size)
    start = ((zeros, zeros - 1), (zeros, zeros), (zeros, zeros))
    powers = jnp.arange(1, steps + 1, dtype=X.dtype)
    value = lax.scan(step, start, (powers, random.split(key, steps)))[1]
    return value[steps // 2 :].mean()


def _variational_fit_tuned(key: Any, X: Any, y: Any, rate: Any, steps: int, samples: int) -> Any:
    """All noise and both powers before the loop, means and spreads in one array, the gradient by hand, and bounds after
    the loop for the steps that count, from the weights that it kept."""
    size = X.shape[1]
    Xy = y[:, None] * X
    z = random.normal(key, (steps, samples, size))
    powers = jnp.arange(1, steps + 1, dtype=X.dtype)
    first_by, second_by = rate / (1 - FIRST**powers), 1 / (1 - SECOND**powers)
    entropy = jnp.concatenate([jnp.zeros(size), jnp.ones(size)])

    def step(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, Any]:
        parameters, m, v = carry
        z_t, first_t, second_t = now
        by = jnp.exp(parameters[size:]) * z_t
        w = parameters[:size] + by
        slope = (sigmoid(-(w @ Xy.T)) @ Xy - w / WIDTH**2) / samples
        g = jnp.concatenate([slope.sum(axis=0), (slope * by).sum(axis=0)]) + entropy
        m = FIRST * m + (1 - FIRST) * g
        v = SECOND * v + (1 - SECOND) * (g * g)
        parameters = parameters + first_t * m / (jnp.sqrt(second_t * v) + TINY)
        return (parameters, m, v), (w, parameters[size:])

    zeros = jnp.zeros(2 * size)
    w, spread = lax.scan(step, (zeros - entropy, zeros, zeros), (z, first_by, second_by))[1]
    half = steps // 2
    likelihood = -softplus(-(w[half:] @ Xy.T)).sum() / samples
    prior = -0.5 * ((w[half:] / WIDTH) ** 2).sum() / samples
    count = steps - half
    fixed = size * (0.5 * (LOG_TURN + 1) - 0.5 * math.log(2 * math.pi * WIDTH**2))
    return (likelihood + prior + spread[half - 1 : -1].sum()) / count + fixed


def _contexts(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps = scale.steps(1_500, quick=20)
    arms, width = scale.pick((10, 12), quick=(3, 4))
    context = rng.normal(size=(steps, width)) / np.sqrt(width)
    reward = context @ rng.normal(size=(width, arms)) + 0.3 * rng.normal(size=(steps, arms))
    return inputs(context, reward, 0.01 * rng.normal(size=(arms, width)))


def _linear_bandit(context: Any, reward: Any, b: Any) -> list[Any]:
    def step(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[Any, Any]:
        A, b, total = carry
        x, reward_t = now
        Ax = A @ x
        bonus = jnp.sqrt(Ax @ x)
        arm = jnp.argmax((Ax * b).sum(axis=1) + BONUS * bonus)
        gained = reward_t[arm]
        A = A.at[arm].add(-jnp.outer(Ax[arm], Ax[arm]) / (1 + bonus[arm] ** 2))
        b = b.at[arm].add(gained * x)
        total = total + gained
        return (A, b, total), (arm.astype("int32"), total)

    A = jnp.broadcast_to(jnp.eye(context.shape[1]), (*b.shape, context.shape[1]))
    return list(lax.scan(step, (A, b, jnp.float64(0)), (context, reward))[1])


def _linear_bandit_tuned(context: Any, reward: Any, b: Any) -> list[Any]:
    """The weights of each arm beside its matrix, so that one matrix gives products and estimates; sums of rewards after
    the loop; reads without a test of places."""
    arms, width = b.shape

    def read(array: Any, k: Any) -> Any:
        return array.at[k].get(mode="promise_in_bounds")

    def step(A: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        x, reward_t = now
        both = (A * x[:, None]).sum(axis=1)
        square = (both[:, :width] * x).sum(axis=1)
        estimate = both[:, width]
        arm = jnp.argmax(estimate + BONUS * jnp.sqrt(square))
        gained = read(reward_t, arm)
        by = 1 / (1 + read(square, arm))
        row, own = read(both[:, :width], arm), read(estimate, arm)
        change = jnp.concatenate([-by * row, (by * (gained - own))[None]])
        changed = read(A, arm) + row[:, None] * change
        A = lax.dynamic_update_index_in_dim(A, changed, arm, 0)
        return A, (arm.astype("int32"), gained)

    eye = jnp.broadcast_to(jnp.eye(width), (arms, width, width))
    arm, gained = lax.scan(step, jnp.concatenate([eye, b[:, :, None]], axis=2), (context, reward))[1]
    return [arm, jnp.cumsum(gained)]


def _ellipsoid(rng: np.random.Generator, scale: Scale) -> Inputs:
    size, members = scale.pick((12, 12), quick=(5, 10))
    axes = 10.0 ** np.linspace(0, 2, size)
    return inputs(1 + 0.2 * rng.normal(size=size), axes, generations=scale.steps(250, quick=60), members=members)


def _settings(n: int, members: int) -> tuple[Any, ...]:
    half = members // 2
    weight = np.log(half + 0.5) - np.log(np.arange(1, half + 1))
    weight = weight / weight.sum()
    mass = 1 / (weight**2).sum()
    c_sigma, c_c = (mass + 2) / (n + mass + 5), (4 + mass / n) / (n + 4 + 2 * mass / n)
    c_1 = 2 / ((n + 1.3) ** 2 + mass)
    c_mu = min(1 - c_1, 2 * (mass - 2 + 1 / mass) / ((n + 2) ** 2 + mass))
    damping = 1 + 2 * max(0.0, np.sqrt((mass - 1) / (n + 1)) - 1) + c_sigma
    usual = np.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))
    return half, weight, mass, c_sigma, c_c, c_1, c_mu, damping, usual


def _covariance_adaptation(key: Any, start: Any, axes: Any, generations: int, members: int) -> Any:
    n = len(start)
    half, weight, mass, c_sigma, c_c, c_1, c_mu, damping, usual = _settings(n, members)

    def cost(x: Any) -> Any:
        return (axes * x**2).sum(axis=-1)

    def generation(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[Any, Any]:
        mean, sigma, C, path_sigma, path_c = carry
        number, key = now
        squares, B = jnp.linalg.eigh(C)
        D = jnp.sqrt(jnp.maximum(squares, 1e-20))
        y = (random.normal(key, (members, n)) * D) @ B.T
        best = jnp.argsort(cost(mean + sigma * y))[:half]
        by = weight @ y[best]
        mean = mean + sigma * by
        white = B @ (B.T @ by / D)
        path_sigma = (1 - c_sigma) * path_sigma + math.sqrt(c_sigma * (2 - c_sigma) * mass) * white
        length = jnp.linalg.norm(path_sigma)
        h = jnp.where(length / jnp.sqrt(1 - (1 - c_sigma) ** (2 * number)) < (1.4 + 2 / (n + 1)) * usual, 1.0, 0.0)
        path_c = (1 - c_c) * path_c + h * math.sqrt(c_c * (2 - c_c) * mass) * by
        rank_one = jnp.outer(path_c, path_c) + (1 - h) * c_c * (2 - c_c) * C
        C = (1 - c_1 - c_mu) * C + c_1 * rank_one + c_mu * (y[best].T * weight) @ y[best]
        sigma = sigma * jnp.exp(c_sigma / damping * (length / usual - 1))
        return (mean, sigma, C, path_sigma, path_c), cost(mean)

    zeros = jnp.zeros(n)
    numbers = jnp.arange(1, generations + 1, dtype=start.dtype)
    first = (start, jnp.float64(0.5), jnp.eye(n), zeros, zeros)
    found = lax.scan(generation, first, (numbers, random.split(key, generations)))[1]
    return jnp.log10(found).mean()


def _covariance_adaptation_tuned(key: Any, start: Any, axes: Any, generations: int, members: int) -> Any:
    """A triangular factor for eigenvectors, so that the path has the weighted sum of the draws themselves, which is the
    same up to a turn; all draws before the loop; ranks by comparison for the weights."""
    n = len(start)
    half, weight, mass, c_sigma, c_c, c_1, c_mu, damping, usual = _settings(n, members)
    z = random.normal(key, (generations, members, n))
    of_rank = jnp.concatenate([jnp.asarray(weight), jnp.zeros(members - half)])
    numbers = jnp.arange(1, generations + 1, dtype=start.dtype)
    limit = (1.4 + 2 / (n + 1)) * usual * jnp.sqrt(1 - (1 - c_sigma) ** (2 * numbers))
    grow_sigma, grow_c = math.sqrt(c_sigma * (2 - c_sigma) * mass), math.sqrt(c_c * (2 - c_c) * mass)

    def generation(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[Any, Any]:
        mean, sigma, C, path_sigma, path_c = carry
        z_t, limit_t = now
        y = z_t @ lax.linalg.cholesky(C, symmetrize_input=False).T
        x = mean + sigma * y
        cost = (axes * (x * x)).sum(axis=1)
        w = of_rank[(cost[None] < cost[:, None]).sum(axis=1)]
        weighted = w[:, None] * y
        by, white = weighted.sum(axis=0), w @ z_t
        mean = mean + sigma * by
        path_sigma = (1 - c_sigma) * path_sigma + grow_sigma * white
        length = jnp.sqrt((path_sigma * path_sigma).sum())
        h = jnp.where(length < limit_t, 1.0, 0.0)
        path_c = (1 - c_c) * path_c + h * grow_c * by
        keep = 1 - c_1 - c_mu + c_1 * (1 - h) * c_c * (2 - c_c)
        C = keep * C + c_1 * (path_c[:, None] * path_c) + c_mu * (weighted.T @ y)
        sigma = sigma * jnp.exp(c_sigma / damping * (length / usual - 1))
        return (mean, sigma, C, path_sigma, path_c), mean

    zeros = jnp.zeros(n)
    mean = lax.scan(generation, (start, jnp.float64(0.5), jnp.eye(n), zeros, zeros), (z, limit))[1]
    return jnp.log10((mean * mean) @ axes).mean()


WORKLOADS = (
    task(
        "structural-series-grad",
        "level, slope and season of 240 months by a Kalman filter of 13 states, with gradients",
        beliefs.structural_series,
        _months,
        _structural_series,
        _structural_series_tuned,
        close(1e-7),
    ),
    task(
        "volatility-chain",
        "20 draws of particle marginal Metropolis with 128 particles over 80 days",
        beliefs.volatility_chain,
        _returns,
        _volatility_chain,
        _volatility_chain_tuned,
        within(3.0),
        draws=True,
    ),
    task(
        "variational-fit",
        "500 steps of Adam on the evidence bound of a logistic regression, 4 draws of 10 weights a step",
        beliefs.variational_fit,
        _classes,
        _variational_fit,
        _variational_fit_tuned,
        near(0.05),
        draws=True,
    ),
    task(
        "linear-bandit",
        "1,500 choices among 10 arms by bounds of linear models of 12 features",
        beliefs.linear_bandit,
        _contexts,
        _linear_bandit,
        _linear_bandit_tuned,
        close(1e-8),
    ),
    task(
        "covariance-adaptation",
        "250 generations of 12 draws that adapt their covariance, 12 dimensions",
        beliefs.covariance_adaptation,
        _ellipsoid,
        _covariance_adaptation,
        _covariance_adaptation_tuned,
        within(1.0),
        draws=True,
    ),
)
