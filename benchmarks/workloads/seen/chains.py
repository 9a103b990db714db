"""Chains of random draws: pictures of noise, walkers, states and photons."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random
from jax.nn import silu

from benchmarks.compare import near, within
from benchmarks.programs.seen import chains
from benchmarks.programs.seen.chains import (
    ABSORBED,
    CHANCE,
    DEPTH,
    FORWARD,
    FREEDOM,
    LIGHT,
    RATE,
    SCATTERED,
    SHAPE,
    STRETCH,
    WIDE,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _denoiser(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Coefficients of the times, and a network with random inner layers whose last layer fits noise in points of a
    ring."""
    steps = scale.steps(200, quick=50)
    samples, units, rows = scale.pick((256, 128, 6_000), quick=(192, 24, 1_500))
    beta = np.linspace(1e-4, 0.05, steps)
    left = np.cumprod(1 - beta)
    turns = np.arange(steps)[:, None] / steps * np.pi * np.arange(1, 5)
    embedding = np.concatenate([np.sin(turns), np.cos(turns)], axis=1)
    weights = [
        rng.normal(size=(2, units)),
        rng.normal(size=(8, units)) / 2,
        rng.normal(size=units),
        rng.normal(size=(units, units)) / np.sqrt(units),
        rng.normal(size=units) / 2,
    ]
    time, angle = rng.integers(0, steps, rows), 2 * np.pi * rng.random(rows)
    noise = rng.normal(size=(rows, 2))
    ring = 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x = np.sqrt(left[time])[:, None] * ring + np.sqrt(1 - left[time])[:, None] * noise
    h = x @ weights[0] + embedding[time] @ weights[1] + weights[2]
    h = h / (1 + np.exp(-h)) @ weights[3] + weights[4]
    h = np.concatenate([h / (1 + np.exp(-h)), np.ones((rows, 1))], axis=1)
    out = np.linalg.solve(h.T @ h + 1e-2 * np.eye(units + 1), h.T @ noise)
    scaled, share, spread = 1 / np.sqrt(1 - beta), beta / np.sqrt(1 - left), np.sqrt(beta)
    spread[0] = 0
    arrays = [embedding, scaled, share, spread]
    arrays = [*(array[::-1] for array in arrays), *weights, out[:-1], out[-1]]
    return inputs(*(np.ascontiguousarray(array).astype("float32") for array in arrays), samples=samples)


def _denoising_sampler(
    key: Any, embedding: Any, scale: Any, share: Any, spread: Any, *weights: Any, samples: int
) -> Any:
    W_in, W_time, b_in, W_mid, b_mid, W_out, b_out = weights
    first, key = random.split(key)

    def step(x: Any, now: tuple[Any, ...]) -> tuple[Any, None]:
        time, scale_t, share_t, spread_t, key = now
        h = silu(x @ W_in + time @ W_time + b_in)
        h = silu(h @ W_mid + b_mid)
        noise = h @ W_out + b_out
        return scale_t * (x - share_t * noise) + spread_t * random.normal(key, x.shape), None

    keys = random.split(key, len(scale))
    x, _ = lax.scan(step, random.normal(first, (samples, 2)), (embedding, scale, share, spread, keys))
    return jnp.linalg.norm(x, axis=1).mean()


def _denoising_sampler_tuned(
    key: Any, embedding: Any, scale: Any, share: Any, spread: Any, *weights: Any, samples: int
) -> Any:
    """All noise and what times give before the loop; points in columns; a hyperbolic tangent for the sigmoid."""
    W_in, W_time, b_in, W_mid, b_mid, W_out, b_out = weights
    steps = len(scale)
    noise = random.normal(key, (steps + 1, 2, samples))
    given = (embedding @ W_time + b_in)[:, :, None] * 0.5
    more = spread[:, None, None] * noise[1:] - (scale * share)[:, None, None] * b_out[:, None]
    W_first, W_second, W_last, b_second = W_in.T * 0.5, W_mid.T * 0.5, W_out.T, b_mid[:, None] * 0.5

    def step(x: Any, now: tuple[Any, ...]) -> tuple[Any, None]:
        given_t, scale_t, by_t, more_t = now
        h = W_first[:, :1] * x[:1] + W_first[:, 1:] * x[1:] + given_t
        h = h + h * jnp.tanh(h)
        h = W_second @ h + b_second
        h = h + h * jnp.tanh(h)
        return scale_t * x - by_t * (W_last @ h) + more_t, None

    x, _ = lax.scan(step, noise[0], (given, scale, scale * share, more))
    return jnp.sqrt((x * x).sum(axis=0)).mean()


def _line(rng: np.random.Generator, scale: Scale) -> Inputs:
    rows, walkers = scale.pick((50, 16), quick=(20, 8))
    x = rng.random(rows) * 2 - 1
    y = 0.5 + 1.5 * x + 0.3 * rng.standard_t(FREEDOM, rows)
    start = np.array([0.5, 1.5, np.log(0.3)]) + 0.05 * rng.normal(size=(2, walkers, 3))
    return inputs(x, y, start, draws=scale.steps(1_000, quick=400))


def _stretch_moves(key: Any, x: Any, y: Any, start: Any, draws: int) -> Any:
    _, count, size = start.shape

    def log_density(theta: Any) -> Any:
        error = (y - theta[0] - theta[1] * x) / jnp.exp(theta[2])
        likelihood = -(FREEDOM + 1) / 2 * jnp.log1p(error**2 / FREEDOM).sum() - len(x) * theta[2]
        return likelihood - 0.5 * (theta**2).sum() / WIDE

    def moved(key: Any, theta: Any, density: Any, others: Any) -> tuple[Any, Any]:
        stretching, choosing, deciding = random.split(key, 3)
        z = ((STRETCH - 1) * random.uniform(stretching, (count,)) + 1) ** 2 / STRETCH
        other = others[random.randint(choosing, (count,), 0, count)]
        proposed = other + z[:, None] * (theta - other)
        new = jax.vmap(log_density)(proposed)
        accepted = jnp.log(random.uniform(deciding, (count,))) < (size - 1) * jnp.log(z) + new - density
        return jnp.where(accepted[:, None], proposed, theta), jnp.where(accepted, new, density)

    def draw(carry: tuple[Any, ...], key: Any) -> tuple[Any, Any]:
        first, second, of_first, of_second = carry
        one, two = random.split(key)
        first, of_first = moved(one, first, of_first, second)
        second, of_second = moved(two, second, of_second, first)
        return (first, second, of_first, of_second), jnp.stack([first, second])

    begin = (*start, *jax.vmap(jax.vmap(log_density))(start))
    return lax.scan(draw, begin, random.split(key, draws))[1].mean(axis=(0, 1, 2))


def _stretch_moves_tuned(key: Any, x: Any, y: Any, start: Any, draws: int) -> Any:
    """All draws before the loop; parameters in rows; errors of a group of four multiplied before the logarithm; sums of
    draws for the draws."""
    _, count, size = start.shape
    rows = len(x)
    stretching, choosing, deciding = random.split(key, 3)
    z = ((STRETCH - 1) * random.uniform(stretching, (draws, 2, count)) + 1) ** 2 / STRETCH
    chosen = random.randint(choosing, (draws, 2, count), 0, count)
    limit = jnp.log(random.uniform(deciding, (draws, 2, count))) - (size - 1) * jnp.log(z)
    late = -rows % 4
    x_4, y_4, there = (
        jnp.pad(one, (0, late)).reshape(4, -1, 1) for one in (x, y, jnp.full(rows, 1 / math.sqrt(FREEDOM)))
    )

    def log_density(theta: Any) -> Any:
        scaled = there * jnp.exp(-theta[2])
        error = (y_4 - theta[0] - theta[1] * x_4) * scaled
        four = 1 + error * error
        found = jnp.log((four[0] * four[1]) * (four[2] * four[3])).sum(axis=0)
        return -(FREEDOM + 1) / 2 * found - rows * theta[2] - (theta * theta).sum(axis=0) * (0.5 / WIDE)

    def moved(now: tuple[Any, ...], theta: Any, density: Any, others: Any) -> tuple[Any, Any]:
        z_t, chosen_t, limit_t = now
        other = others.at[:, chosen_t].get(mode="promise_in_bounds")
        proposed = other + z_t * (theta - other)
        new = log_density(proposed)
        accepted = limit_t < new - density
        return jnp.where(accepted, proposed, theta), jnp.where(accepted, new, density)

    def draw(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, None]:
        first, second, of_first, of_second, total = carry
        first, of_first = moved(tuple(one[0] for one in now), first, of_first, second)
        second, of_second = moved(tuple(one[1] for one in now), second, of_second, first)
        return (first, second, of_first, of_second, total + first + second), None

    first, second = start[0].T, start[1].T
    begin = (first, second, log_density(first), log_density(second), jnp.zeros_like(first))
    (*_, total), _ = lax.scan(draw, begin, (z, chosen, limit))
    return total.sum(axis=1) / (2 * count * draws)


def _trend(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps = scale.pick(100, quick=20)
    slope = np.cumsum(0.3 * rng.normal(size=steps))
    y = np.cumsum(slope + 0.5 * rng.normal(size=steps)) + 0.7 * rng.normal(size=steps)
    F = np.array([[1.0, 1.0], [0.0, 1.0]])
    return inputs(y, F, np.array([0.25, 0.1, 0.5]), draws=scale.steps(100, quick=40))


def _state_sampler(key: Any, y: Any, F: Any, start: Any, draws: int) -> Any:
    steps, n = len(y), 2
    counts = jnp.array([steps - 1, steps - 1, steps])

    def draw(variance: Any, key: Any) -> tuple[Any, Any]:
        Q = jnp.diag(variance[:2])
        last_key, states_key, gamma_key = random.split(key, 3)

        def forward(carry: tuple[Any, Any], y_t: Any) -> tuple[Any, Any]:
            m, P = carry
            m = F @ m
            P = F @ P @ F.T + Q
            K = P[:, 0] / (P[0, 0] + variance[2])
            after = (m + K * (y_t - m[0]), P - jnp.outer(K, P[0]))
            return after, after

        def back(x: Any, now: tuple[Any, ...]) -> tuple[Any, Any]:
            m, P, key = now
            J = P @ F.T @ jnp.linalg.inv(F @ P @ F.T + Q)
            covariance = P - J @ F @ P
            root = jnp.linalg.cholesky((covariance + covariance.T) / 2)
            x = m + J @ (x - F @ m) + root @ random.normal(key, (n,))
            return x, x

        (m_T, P_T), (m, P) = lax.scan(forward, (jnp.zeros(n), WIDE * jnp.eye(n)), y)
        last = m_T + jnp.linalg.cholesky(P_T) @ random.normal(last_key, (n,))
        keys = random.split(states_key, steps - 1)
        x = lax.scan(back, last, (m[:-1], P[:-1], keys), reverse=True)[1]
        x = jnp.concatenate([x, last[None]])
        moves = x[1:] - x[:-1] @ F.T
        squares = jnp.append((moves**2).sum(axis=0), ((y - x[:, 0]) ** 2).sum())
        variance = (RATE + squares / 2) / random.gamma(gamma_key, SHAPE + counts / 2)
        return variance, variance

    return jnp.log(lax.scan(draw, start, random.split(key, draws))[1]).mean(axis=0)


def _state_sampler_tuned(key: Any, y: Any, F: Any, start: Any, draws: int) -> Any:
    """States from differences of a path that is made of noise and its smoothed mean (Durbin and Koopman 2002), which
    needs gains and variances alone from the way forth; numbers for matrices; all noise before the loop."""
    steps = len(y)
    one, two = random.split(key)
    noise = random.normal(one, (draws, steps + 1, 3))
    gammas = random.gamma(two, jnp.broadcast_to(SHAPE + jnp.array([steps - 1, steps - 1, steps]) / 2, (draws, 3)))
    a, b, c, d = F[0, 0], F[0, 1], F[1, 0], F[1, 1]

    def draw(variance: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        noise_d, gamma_d = now
        of_level, of_slope, of_y = variance[0], variance[1], variance[2]
        shocks = noise_d[1:] * jnp.sqrt(variance)
        wide = math.sqrt(WIDE)

        def forward(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, Any]:
            level, slope, m_1, m_2, P_11, P_12, P_22 = carry
            y_t, e_1, e_2, e_y = now
            level, slope = a * level + b * slope + e_1, c * level + d * slope + e_2
            m_1, m_2 = a * m_1 + b * m_2, c * m_1 + d * m_2
            u_1, u_2, w_1, w_2 = a * P_11 + b * P_12, a * P_12 + b * P_22, c * P_11 + d * P_12, c * P_12 + d * P_22
            P_11, P_12, P_22 = u_1 * a + u_2 * b + of_level, u_1 * c + u_2 * d, w_1 * c + w_2 * d + of_slope
            inverse = 1 / (P_11 + of_y)
            K_1, K_2 = P_11 * inverse, P_12 * inverse
            error = y_t - level - e_y - m_1
            m_1, m_2 = m_1 + K_1 * error, m_2 + K_2 * error
            after = (P_11 - K_1 * P_11, P_12 - K_1 * P_12, P_22 - K_2 * P_12)
            return (level, slope, m_1, m_2, *after), (error * inverse, K_1, K_2)

        begin = (wide * noise_d[0, 0], wide * noise_d[0, 1], 0.0, 0.0, WIDE, 0.0, WIDE)
        begin = tuple(jnp.asarray(one, y.dtype) for one in begin)
        scaled, K_1, K_2 = lax.scan(forward, begin, (y, shocks[:, 0], shocks[:, 1], shocks[:, 2]))[1]

        def back(r: tuple[Any, Any], now: tuple[Any, ...]) -> tuple[Any, Any]:
            r_1, r_2 = r
            scaled_t, K_1, K_2 = now
            s_1, s_2 = a * r_1 + c * r_2, b * r_1 + d * r_2
            r_1, r_2 = s_1 + scaled_t - (K_1 * s_1 + K_2 * s_2), s_2
            return (r_1, r_2), (r_1, r_2)

        zero = jnp.zeros((), y.dtype)
        r_1, r_2 = lax.scan(back, (zero, zero), (scaled, K_1, K_2), reverse=True)[1]
        moved_1, moved_2 = of_level * r_1, of_slope * r_2
        errors_1, errors_2 = shocks[1:, 0] + moved_1[1:], shocks[1:, 1] + moved_2[1:]
        r_below = jnp.append(a * r_1[1:] + c * r_2[1:], 0.0)
        r_slope = jnp.append(b * r_1[1:] + d * r_2[1:], 0.0)
        of_error = shocks[:, 2] + of_y * (scaled - K_1 * r_below - K_2 * r_slope)
        squares = jnp.stack([(errors_1**2).sum(), (errors_2**2).sum(), (of_error**2).sum()])
        variance = (RATE + squares / 2) / gamma_d
        return variance, variance

    return jnp.log(lax.scan(draw, start, (noise, gammas))[1]).mean(axis=0)


def _layer(rng: np.random.Generator, scale: Scale) -> Inputs:
    packets = scale.pick(10_000, quick=400)
    cosine = np.sqrt(0.7 + 0.3 * rng.random(packets)).astype("float32")
    return inputs(cosine, packets=packets, most=scale.steps(2_000, quick=300))


def _walked(u: Any, z: Any, cosine: Any, weight: Any) -> tuple[Any, ...]:
    z = z - jnp.log(1 - u[0]) / (ABSORBED + SCATTERED) * cosine
    above, below = z < 0, z > DEPTH
    back, through = jnp.where(above, weight, 0).sum(), jnp.where(below, weight, 0).sum()
    weight = jnp.where(above | below, 0, weight)
    part = ABSORBED / (ABSORBED + SCATTERED)
    kept = part * weight.sum()
    weight = (1 - part) * weight
    ratio = (1 - FORWARD**2) / (1 - FORWARD + 2 * FORWARD * u[1])
    turn = jnp.clip((1 + FORWARD**2 - ratio**2) / (2 * FORWARD), -1.0, 1.0)
    side = jnp.sqrt((1 - turn**2) * (1 - cosine**2)) * jnp.cos(2 * jnp.pi * u[2])
    cosine = jnp.clip(cosine * turn + side, -1.0, 1.0)
    lucky = jnp.where(u[3] < CHANCE, weight / CHANCE, 0)
    return z, cosine, jnp.where(weight < LIGHT, lucky, weight), back, through, kept


def _photons(key: Any, start: Any, packets: int, most: int) -> Any:
    def walk(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        key, i, z, cosine, weight, back, through, kept = carry
        key, used = random.split(key)
        u = random.uniform(used, (4, packets))
        z, cosine, weight, more_back, more_through, more_kept = _walked(u, z, cosine, weight)
        return key, i + 1, z, cosine, weight, back + more_back, through + more_through, kept + more_kept

    def goes_on(carry: tuple[Any, ...]) -> Any:
        return (carry[1] < most) & (carry[4] > 0).any()

    begin = (key, 0, jnp.zeros_like(start), start, jnp.ones_like(start), 0.0, 0.0, 0.0)
    return jnp.stack(lax.while_loop(goes_on, walk, begin)[5:]) / packets


def _photons_tuned(key: Any, start: Any, packets: int, most: int) -> Any:
    """When a third is left, packets that go on move to the front, and the rest is left out, again and again; numbers
    for roulette are drawn when a packet is faint."""
    part = ABSORBED / (ABSORBED + SCATTERED)
    by = -1 / (ABSORBED + SCATTERED)

    def walk(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        key, i, z, cosine, weight, sums, _ = carry
        key, used = random.split(key)
        u = random.uniform(used, (3, len(z)))
        z = z + by * jnp.log(1 - u[0]) * cosine
        above, below = z < 0, z > DEPTH
        back, through = jnp.where(above, weight, 0).sum(), jnp.where(below, weight, 0).sum()
        weight = jnp.where(above | below, 0, weight)
        kept = weight.sum()
        weight = (1 - part) * weight
        ratio = (1 - FORWARD**2) / (1 - FORWARD + 2 * FORWARD * u[1])
        turn = jnp.clip((1 + FORWARD**2 - ratio * ratio) / (2 * FORWARD), -1.0, 1.0)
        side = jnp.sqrt((1 - turn * turn) * (1 - cosine * cosine)) * jnp.cos(jnp.pi * u[2])
        cosine = jnp.clip(cosine * turn + side, -1.0, 1.0)
        faint = (weight < LIGHT) & (weight > 0)

        def roulette(weight: Any) -> Any:
            lucky = random.uniform(random.fold_in(used, 1), weight.shape) < CHANCE
            return jnp.where(faint, jnp.where(lucky, weight / CHANCE, 0), weight)

        weight = lax.cond(faint.any(), roulette, lambda weight: weight, weight)
        return key, i + 1, z, cosine, weight, sums + jnp.stack([back, through, part * kept]), (weight > 0).sum()

    carry = (key, 0, jnp.zeros_like(start), start, jnp.ones_like(start), jnp.zeros(3), jnp.array(len(start)))
    size = packets
    while size:
        smaller = size // 3 if size > 32 else 0
        carry = lax.while_loop(lambda carry, least=smaller: (carry[1] < most) & (carry[6] > least), walk, carry)
        if smaller:
            _, first = lax.top_k(carry[4], smaller)
            z, cosine, weight = (one[first] for one in carry[2:5])
            carry = (*carry[:2], z, cosine, weight, *carry[5:])
        size = smaller
    return carry[5] / packets


WORKLOADS = (
    task(
        "denoising-sampler",
        "256 points made of noise in 200 steps by a network of two layers of 128 units",
        chains.denoising_sampler,
        _denoiser,
        _denoising_sampler,
        _denoising_sampler_tuned,
        near(0.15),
        draws=True,
    ),
    task(
        "stretch-moves",
        "1,000 draws by 32 walkers that stretch lines to each other, 3 parameters, 50 rows",
        chains.stretch_moves,
        _line,
        _stretch_moves,
        _stretch_moves_tuned,
        within(0.1),
        draws=True,
    ),
    task(
        "state-sampler",
        "100 draws of all states and variances of a level and a slope, T=100, nested loops",
        chains.state_sampler,
        _trend,
        _state_sampler,
        _state_sampler_tuned,
        within(1.25),
        draws=True,
    ),
    task(
        "photons",
        "10,000 packets of photons in a layer until none is left",
        chains.photons,
        _layer,
        _photons,
        _photons_tuned,
        within(0.1),
        draws=True,
    ),
)
