"""Filters."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import solve_triangular

from benchmarks.compare import close
from benchmarks.programs.seen import estimation
from benchmarks.programs.seen.estimation import DT, GAIN
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _track(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps = scale.steps(500, quick=30)
    A = np.eye(4) + np.diag([0.1, 0.1], 2)
    noise = np.linalg.inv(np.diag([0.05, 0.05, 0.1, 0.1]))
    H = np.concatenate([2 * np.eye(2), np.zeros((2, 2))], axis=1)
    return inputs(np.linalg.inv(A), noise, H, np.cumsum(rng.normal(size=(steps, 2)), axis=0))


def _information(inverse: Any, noise: Any, H: Any, y: Any) -> Any:
    n = len(inverse)

    def step(carry: tuple[Any, Any], y_t: Any) -> tuple[tuple[Any, Any], Any]:
        R, z = carry
        moved = R @ inverse
        array = jnp.block([[noise, jnp.zeros((n, n + 1))], [-moved, moved, z[:, None]]])
        predicted = jnp.linalg.qr(array, mode="r")[n:, n:]
        seen = jnp.concatenate([H, y_t[:, None]], axis=1)
        found = jnp.linalg.qr(jnp.concatenate([predicted, seen]), mode="r")
        R, z = found[:n, :n], found[:n, n]
        return (R, z), solve_triangular(R, z)

    return lax.scan(step, (jnp.eye(n), jnp.zeros(n)), y)[1]


def _information_tuned(inverse: Any, noise: Any, H: Any, y: Any) -> Any:
    """One array a step, reflected column by column, as its noise's factor is triangular; all states after the loop."""
    n, m = len(inverse), len(H)
    rows = jnp.arange(2 * n + m)
    seen = jnp.concatenate([jnp.zeros((m, n)), H], axis=1)
    fixed = jnp.concatenate([noise, jnp.zeros((n, n + 1))], axis=1)

    def step(carry: tuple[Any, Any], y_t: Any) -> tuple[tuple[Any, Any], Any]:
        R, z = carry
        moved = (R[:, :, None] * inverse).sum(1)
        below = jnp.concatenate([-moved, moved, z[:, None]], axis=1)
        array = jnp.concatenate([fixed, below, jnp.concatenate([seen, y_t[:, None]], axis=1)])
        for k in range(2 * n):
            column = jnp.where(rows < k, 0.0, array[:, k])
            size = jnp.sqrt((column * column).sum())
            v = jnp.where(rows == k, column + jnp.where(column[k] < 0, -size, size), column)
            array = array - v[:, None] * ((v @ array) * (1 / (size * (size + jnp.abs(column[k])))))
        R, z = jnp.triu(array[n : 2 * n, n : 2 * n]), array[n : 2 * n, 2 * n]
        return (R, z), (R, z)

    R, z = lax.scan(step, (jnp.eye(n), jnp.zeros(n)), y)[1]
    x: list[Any] = [None] * n
    for i in reversed(range(n)):
        x[i] = (z[:, i] - sum(R[:, i, j] * x[j] for j in range(i + 1, n))) / R[:, i, i]
    return jnp.stack(x, axis=1)


def _motion(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps = scale.steps(5_000, quick=60)
    turn = np.cumsum(rng.normal(size=(steps, 3)), axis=0) * 0.05
    return inputs(turn, rng.normal(size=(steps, 3)) * 0.3 + [0.2, 0.1, 9.8])


def _orientation(turn: Any, pull: Any) -> Any:
    def step(q: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        w, a = now
        q0, q1, q2, q3 = q
        a = a / jnp.linalg.norm(a)
        wrong = jnp.stack([2 * (q1 * q3 - q0 * q2), 2 * (q0 * q1 + q2 * q3), 1 - 2 * (q1**2 + q2**2)]) - a
        J = jnp.array(
            [
                [-2 * q2, 2 * q3, -2 * q0, 2 * q1],
                [2 * q1, 2 * q0, 2 * q3, 2 * q2],
                [0.0, -4 * q1, -4 * q2, 0.0],
            ]
        )
        along = wrong @ J
        turned = jnp.array(
            [
                -q1 * w[0] - q2 * w[1] - q3 * w[2],
                q0 * w[0] + q2 * w[2] - q3 * w[1],
                q0 * w[1] - q1 * w[2] + q3 * w[0],
                q0 * w[2] + q1 * w[1] - q2 * w[0],
            ]
        )
        q = q + DT * (turned / 2 - GAIN * along / jnp.linalg.norm(along))
        q = q / jnp.linalg.norm(q)
        return q, q

    return lax.scan(step, jnp.array([1.0, 0, 0, 0]), (turn, pull))[1]


WORKLOADS = (
    task(
        "information-filter",
        "square-root information filter by orthogonal transformations, 4 states, T=500",
        estimation.information_filter,
        _track,
        _information,
        _information_tuned,
        close(1e-7),
    ),
    task(
        "orientation",
        "orientation of a body as quaternions by following the gradient, T=5,000",
        estimation.orientation,
        _motion,
        _orientation,
        compare=close(1e-7),
    ),
)
