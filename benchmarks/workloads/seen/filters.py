"""State estimation and adaptive filters."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.program import unroll
from benchmarks.programs.seen import filters
from benchmarks.programs.seen.filters import LATTICE_FORGETTING, LATTICE_RATE, SLAM_DT
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _target(rng: np.random.Generator, scale: Scale) -> Inputs:
    dt = 0.5
    F = np.kron(np.eye(2), [[1.0, dt], [0.0, 1.0]])
    Q = np.kron(np.eye(2), [[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
    H = np.kron(np.eye(2), [[1.0, 0.0]])
    root, x, z = np.linalg.cholesky(Q), np.zeros(4), []
    for t in range(scale.steps(500, quick=30)):
        x = F @ x + (0.05 if t // 50 % 2 == 0 else 1.0) * root @ rng.normal(size=4)
        z.append(H @ x + 0.5 * rng.normal(size=2))
    chances = np.array([[0.95, 0.05], [0.1, 0.9]])
    return inputs(np.array(z), F, Q, H, 0.25 * np.eye(2), chances, np.array([0.0025, 1.0]))


def _interacting(z: Any, F: Any, Q: Any, H: Any, R: Any, chances: Any, q: Any) -> list[Any]:
    def model(weight: Any, q_j: Any, means: Any, covariances: Any, z_t: Any) -> tuple[Any, Any, Any]:
        m = weight @ means
        apart = means - m
        P = (weight[:, None, None] * covariances).sum(0) + (apart.T * weight) @ apart
        m, P = F @ m, F @ P @ F.T + q_j * Q
        S = H @ P @ H.T + R
        inverse = jnp.linalg.inv(S)
        error = z_t - H @ m
        K = P @ H.T @ inverse
        density = jnp.exp(-0.5 * error @ inverse @ error) / jnp.sqrt(jnp.linalg.det(S))
        return m + K @ error, P - K @ H @ P, density

    def step(carry: Any, z_t: Any) -> tuple[Any, Any]:
        means, covariances, chance = carry
        ahead = chance @ chances
        weights = (chances * chance[:, None] / ahead).T
        means, covariances, density = jax.vmap(model, (0, 0, None, None, None))(weights, q, means, covariances, z_t)
        joint = ahead * density
        chance = joint / joint.sum()
        return (means, covariances, chance), (chance @ means, chance)

    n = len(F)
    start = jnp.zeros((2, n)), jnp.broadcast_to(jnp.eye(n), (2, n, n)), jnp.full(2, 0.5)
    return list(lax.scan(step, start, z)[1])


def _interacting_tuned(z: Any, F: Any, Q: Any, H: Any, R: Any, chances: Any, q: Any) -> list[Any]:
    """Mean and covariance of a model as one row, so that mixing and prediction are one product each; the covariance of
    what is seen from that row too; inverse and determinant of the 2 x 2 innovation in closed form."""
    n = len(F)
    ahead_of = jnp.kron(F, F)
    noise = q[:, None] * Q.ravel()
    H_left = jnp.kron(H, jnp.eye(n))
    H_both = jnp.kron(H, H)
    into = jnp.concatenate([jnp.pad(F, ((0, 0), (0, n * n))), jnp.pad(ahead_of, ((0, 0), (n, 0)))])
    seen = jnp.concatenate(
        [
            jnp.pad(H, ((0, 0), (0, n * n))),
            jnp.pad(H_both, ((0, 0), (n, 0))),
            jnp.pad(H_left, ((0, 0), (n, 0))),
        ]
    )
    added = jnp.concatenate([jnp.zeros((2, n)), noise], axis=1)
    every = jnp.concatenate([into, seen @ into]).T
    offset = jnp.concatenate([added, added @ seen.T], axis=1)
    offset = offset + jnp.concatenate([jnp.zeros(n + n * n + 2), R.ravel(), jnp.zeros(2 * n)])
    back = chances.T

    def step(carry: Any, z_t: Any) -> tuple[Any, Any]:
        rows, chance = carry
        weights = back * chance
        ahead = weights.sum(1)
        weights = weights / ahead[:, None]
        means = rows[:, :n]
        mixed = weights @ rows
        apart = means[None] - mixed[:, None, :n]
        spread = ((weights[:, :, None] * apart)[:, :, :, None] * apart[:, :, None]).sum(1)
        mixed = mixed + jnp.pad(spread.reshape(2, -1), ((0, 0), (n, 0)))
        found = mixed @ every + offset
        error = z_t - found[:, n + n * n : n + n * n + 2]
        a, b, _, d = found[:, n + n * n + 2 : n + n * n + 6].T
        HP = found[:, n + n * n + 6 :].reshape(2, 2, n)
        det = a * d - b * b
        scaled = jnp.stack([d * error[:, 0] - b * error[:, 1], a * error[:, 1] - b * error[:, 0]], 1) / det[:, None]
        density = jnp.exp(-0.5 * (error * scaled).sum(1)) / jnp.sqrt(det)
        one, two = HP[:, 0], HP[:, 1]
        gains = jnp.stack([d[:, None] * one - b[:, None] * two, a[:, None] * two - b[:, None] * one], 1)
        gains = gains / det[:, None, None]
        m = found[:, :n] + (scaled[:, :, None] * HP).sum(1)
        less = (gains[:, :, :, None] * HP[:, :, None]).sum(1)
        rows = jnp.concatenate([m, found[:, n : n + n * n] - less.reshape(2, -1)], axis=1)
        joint = ahead * density
        chance = joint / joint.sum()
        return (rows, chance), (chance @ m, chance)

    first = jnp.concatenate([jnp.zeros((2, n)), jnp.broadcast_to(jnp.eye(n).ravel(), (2, n * n))], axis=1)
    return list(lax.scan(step, (first, jnp.full(2, 0.5)), z)[1])


def _walls(rng: np.random.Generator, scale: Scale) -> Inputs:
    count, steps = scale.pick(8, quick=3), scale.steps(300, quick=30)
    places = 5 * rng.normal(size=(count, 2))
    pose, u, z, which = np.zeros(3), [], [], []
    for t in range(steps):
        speeds = np.array([1.0, 0.3 * np.sin(0.02 * t)])
        pose = pose + SLAM_DT * np.array([speeds[0] * np.cos(pose[2]), speeds[0] * np.sin(pose[2]), speeds[1]])
        i = t % count
        apart = places[i] - pose[:2]
        u.append(speeds + 0.02 * rng.normal(size=2))
        z.append([np.hypot(*apart), np.arctan2(apart[1], apart[0]) - pose[2]] + 0.05 * rng.normal(size=2))
        which.append(i)
    n = 3 + 2 * count
    start = np.concatenate([np.zeros(3), (places + 0.3 * rng.normal(size=places.shape)).ravel()])
    P, Q = np.diag([1e-4] * 3 + [0.09] * (n - 3)), np.diag([1e-4] * 3 + [0.0] * (n - 3))
    return inputs(np.array(u), np.array(z), np.array(which), start, P, Q, 0.0025 * np.eye(2))


def _slam(u: Any, z: Any, which: Any, start: Any, P0: Any, Q: Any, R: Any) -> list[Any]:
    n = len(start)

    def step(carry: tuple[Any, Any], now: tuple[Any, Any, Any]) -> tuple[tuple[Any, Any], Any]:
        (x, P), (u_t, z_t, i) = carry, now
        along = SLAM_DT * u_t[0]
        cos, sin = jnp.cos(x[2]), jnp.sin(x[2])
        G = jnp.eye(n).at[0, 2].set(-along * sin).at[1, 2].set(along * cos)
        x = x.at[:3].add(jnp.stack([along * cos, along * sin, SLAM_DT * u_t[1]]))
        P = G @ P @ G.T + Q

        place = 3 + 2 * i
        east, north = x[place] - x[0], x[place + 1] - x[1]
        square = east**2 + north**2
        distance = jnp.sqrt(square)
        H = jnp.zeros((2, n))
        H = H.at[0, :2].set(jnp.stack([-east, -north]) / distance)
        H = H.at[1, :3].set(jnp.stack([north / square, -east / square, -1.0]))
        H = H.at[:, place].set(jnp.stack([east / distance, -north / square]))
        H = H.at[:, place + 1].set(jnp.stack([north / distance, east / square]))
        turn = z_t[1] - jnp.arctan2(north, east) + x[2]
        error = jnp.stack([z_t[0] - distance, jnp.arctan2(jnp.sin(turn), jnp.cos(turn))])
        S = H @ P @ H.T + R
        K = P @ H.T @ jnp.linalg.inv(S)
        x, P = x + K @ error, P - K @ H @ P
        return (x, P), x[:3]

    (x, P), poses = lax.scan(step, (start, P0), (u, z, which))
    return [poses, x, jnp.diagonal(P)]


def _slam_tuned(u: Any, z: Any, which: Any, start: Any, P0: Any, Q: Any, R: Any) -> list[Any]:
    """The motion changes two rows and columns; five columns of the covariance hold all that is seen; the 2 x 2 inverse
    in closed form."""
    n = len(start)
    zeros = jnp.zeros(n - 3)

    def step(carry: tuple[Any, Any], now: tuple[Any, Any, Any]) -> tuple[tuple[Any, Any], Any]:
        (x, P), (u_t, z_t, i) = carry, now
        along = SLAM_DT * u_t[0]
        cos, sin = jnp.cos(x[2]), jnp.sin(x[2])
        x = x + jnp.concatenate([jnp.stack([along * cos, along * sin, SLAM_DT * u_t[1]]), zeros])
        push = jnp.concatenate([jnp.stack([-along * sin, along * cos, 0.0]), zeros])
        heading = P[2]
        P = P + push[:, None] * heading + (heading + push * heading[2])[:, None] * push + Q

        first = 3 + 2 * i
        mark = lax.dynamic_slice(x, (first,), (2,))
        east, north = mark[0] - x[0], mark[1] - x[1]
        square = east * east + north * north
        distance = jnp.sqrt(square)
        rows = lax.dynamic_slice(P, (first, 0), (2, n)) - P[:2]
        one = (east * rows[0] + north * rows[1]) / distance
        two = (east * rows[1] - north * rows[0]) / square - P[2]

        def seen(row: Any) -> tuple[Any, Any]:
            mark = lax.dynamic_slice(row, (first,), (2,)) - row[:2]
            by_east, by_north = mark[0], mark[1]
            return (east * by_east + north * by_north) / distance, (east * by_north - north * by_east) / square - row[2]

        (a, b), (_, d) = seen(one), seen(two)
        a, b, d = a + R[0, 0], b + R[0, 1], d + R[1, 1]
        det = a * d - b * b
        turn = z_t[1] - jnp.arctan2(north, east) + x[2]
        miss, turn = z_t[0] - distance, jnp.arctan2(jnp.sin(turn), jnp.cos(turn))
        by_one, by_two = (d * one - b * two) / det, (a * two - b * one) / det
        x = x + by_one * miss + by_two * turn
        return (x, P - by_one[:, None] * one - by_two[:, None] * two), x[:3]

    (x, P), poses = lax.scan(step, (start, P0), (u, z, which))
    return [poses, x, jnp.diagonal(P)]


def _signal(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps = scale.steps(10_000, quick=100)
    phase = 0.05 * np.arange(steps) + 0.02 * rng.normal(size=steps).cumsum()
    real, imaginary = np.cos(phase) + 0.3 * rng.normal(size=steps), np.sin(phase) + 0.3 * rng.normal(size=steps)
    return inputs(real, imaginary, np.float64(0.1), np.float64(0.005))


def _phase_locked(real: Any, imaginary: Any, proportional: Any, integral: Any) -> list[Any]:
    def cost(proportional: Any, integral: Any) -> Any:
        def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
            (phase, speed), (i, q) = carry, now
            error = q * jnp.cos(phase) - i * jnp.sin(phase)
            speed = speed + integral * error
            return (phase + speed + proportional * error, speed), error

        zero = jnp.float64(0)
        return (lax.scan(step, (zero, zero), (real, imaginary))[1] ** 2).mean()

    value, slopes = jax.value_and_grad(cost, (0, 1))(proportional, integral)
    return [value, *slopes]


def _phase_locked_tuned(real: Any, imaginary: Any, proportional: Any, integral: Any) -> list[Any]:
    """Errors and their slopes kept; a linear reverse loop by hand."""

    def forward(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
        (phase, speed), (i, q) = carry, now
        cos, sin = jnp.cos(phase), jnp.sin(phase)
        error = q * cos - i * sin
        speed = speed + integral * error
        return (phase + speed + proportional * error, speed), (error, -q * sin - i * cos)

    zero = jnp.float64(0)
    _, (error, slope) = lax.scan(forward, (zero, zero), (real, imaginary), unroll=unroll(2, 16))

    def reverse(later: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
        """``later``: what the next step asks of its phase and speed."""
        of_phase, of_speed = later
        error, slope = now
        of_speed = of_speed + of_phase
        of_error = error + integral * of_speed + proportional * of_phase
        return (of_phase + slope * of_error, of_speed), (of_phase, of_speed)

    scaled = error * (2 / len(real))
    _, (of_phase, of_speed) = lax.scan(reverse, (zero, zero), (scaled, slope), reverse=True, unroll=unroll(4, 16))
    return [(error**2).mean(), of_phase @ error, of_speed @ error]


def _lattice_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    x = [0.0, 0.0]
    for e in rng.normal(size=scale.steps(3_000, quick=60)):
        x.append(1.2 * x[-1] - 0.6 * x[-2] + e)
    return inputs(np.array(x[2:]), stages=8)


def _lattice(x: Any, stages: int) -> list[Any]:
    def step(carry: tuple[Any, Any, Any], x_t: Any) -> tuple[tuple[Any, Any, Any], Any]:
        past, reflection, power = carry

        def stage(forward: Any, now: tuple[Any, Any]) -> tuple[Any, tuple[Any, Any]]:
            k, backward = now
            after = forward + k * backward
            return after, (after, backward + k * forward)

        _, (forward, backward) = lax.scan(stage, x_t, (reflection, past))
        before = jnp.concatenate([x_t[None], forward[:-1]])
        power = LATTICE_FORGETTING * power + (1 - LATTICE_FORGETTING) * (before**2 + past**2)
        reflection = reflection - LATTICE_RATE * (forward * past + backward * before) / power
        return (jnp.concatenate([x_t[None], backward[:-1]]), reflection, power), forward[-1]

    (_, reflection, _), error = lax.scan(step, (jnp.zeros(stages), jnp.zeros(stages), jnp.ones(stages)), x)
    return [error, reflection]


def _lattice_tuned(x: Any, stages: int) -> list[Any]:
    """The loop over stages is a running sum: one product."""
    lower = jnp.tril(jnp.ones((stages, stages)))

    def step(carry: tuple[Any, Any, Any], x_t: Any) -> tuple[tuple[Any, Any, Any], Any]:
        past, reflection, power = carry
        forward = x_t + lower @ (reflection * past)
        before = jnp.concatenate([x_t[None], forward[:-1]])
        backward = past + reflection * before
        power = LATTICE_FORGETTING * power + (1 - LATTICE_FORGETTING) * (before * before + past * past)
        reflection = reflection - LATTICE_RATE * (forward * past + backward * before) / power
        return (jnp.concatenate([x_t[None], backward[:-1]]), reflection, power), forward[-1]

    (_, reflection, _), error = lax.scan(step, (jnp.zeros(stages), jnp.zeros(stages), jnp.ones(stages)), x)
    return [error, reflection]


WORKLOADS = (
    task(
        "interacting-models",
        "interacting multiple model filter, 2 models of 4 states, T=500",
        filters.interacting_models,
        _target,
        _interacting,
        _interacting_tuned,
        close(1e-7),
    ),
    task(
        "slam",
        "localization and mapping by the extended Kalman filter, 8 landmarks, T=300",
        filters.slam,
        _walls,
        _slam,
        _slam_tuned,
        close(1e-7),
    ),
    task(
        "phase-locked-grad",
        "second-order phase-locked loop, T=10,000, with gradient in both gains",
        filters.phase_locked,
        _signal,
        _phase_locked,
        _phase_locked_tuned,
        close(1e-7),
    ),
    task(
        "lattice",
        "gradient adaptive lattice of 8 stages, nested loops, T=3,000",
        filters.lattice,
        _lattice_data,
        _lattice,
        _lattice_tuned,
    ),
)
