"""Kalman filter with four states and one observed weighted sum."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.program import jitted, on_device, unroll
from benchmarks.programs.kalman import kalman
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload

STATES = 4


def _make(gradient: bool, scale: Scale) -> Contenders:
    rng = np.random.default_rng(0)
    turn = np.array([[np.cos(0.1), -np.sin(0.1)], [np.sin(0.1), np.cos(0.1)]])
    F = np.block([[0.99 * turn, np.zeros((2, 2))], [np.zeros((2, 2)), np.array([[1.0, 0.1], [0.0, 0.98]])]])
    z = rng.normal(size=scale.steps(2_000, quick=200))
    arrays = (z, F, 0.1 * np.eye(STATES), np.array([1.0, 0.0, 1.0, 0.0]), np.float64(0.5))
    data = tuple(map(on_device, arrays))

    def cost(step: Any) -> Any:
        return jax.grad(lambda *args: step(*args)[0], argnums=(1, 2, 4)) if gradient else step

    return Contenders(
        loopjax=Symbolic(kalman, data, options={"gradient": gradient}),
        plain=lambda: jitted(cost(_plain), *data, wide=True),
        tuned=lambda: jitted(cost(_tuned_grad if gradient else _tuned), *data, wide=True),
    )


def _plain(z: Any, F: Any, Q: Any, H: Any, r: Any) -> tuple[Any, Any]:
    def step(carry: tuple[Any, Any], z_t: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        m, P = carry
        m, P = F @ m, F @ P @ F.T + Q
        seen = P @ H
        variance = H @ seen + r
        error = z_t - H @ m
        gain = seen / variance
        m, P = m + gain * error, P - jnp.outer(gain, seen)
        return (m, P), (-0.5 * (error**2 / variance + jnp.log(variance)), m)

    terms, m = lax.scan(step, (jnp.zeros_like(H), jnp.eye(len(H), dtype=H.dtype)), z)[1]
    return terms.sum(), m


def _times(A: Any, B: Any) -> Any:
    """Product of tiny matrices as sums, which cost less than a call of a matrix routine."""
    return (A[:, :, None] * B[None]).sum(1)


def _tuned(z: Any, F: Any, Q: Any, H: Any, r: Any) -> tuple[Any, Any]:
    """Small products written out; terms of the likelihood are computed from errors and variances after the loop."""

    def step(carry: tuple[Any, Any], z_t: Any) -> tuple[tuple[Any, Any], tuple[Any, Any, Any]]:
        m, P = carry
        m, P = (F * m).sum(1), _times(_times(F, P), F.T) + Q
        seen = (P * H).sum(1)
        variance = (H * seen).sum() + r
        error = z_t - (H * m).sum()
        gain = seen / variance
        m, P = m + gain * error, P - gain[:, None] * seen
        return (m, P), (error, variance, m)

    start = jnp.zeros_like(H), jnp.eye(len(H), dtype=H.dtype)
    error, variance, m = lax.scan(step, start, z, unroll=unroll(1, 8))[1]
    return -0.5 * (error**2 / variance + jnp.log(variance)).sum(), m


def _tuned_grad(z: Any, F: Any, Q: Any, H: Any, r: Any) -> tuple[Any, Any]:
    """The reverse loop recomputes the body: less to store and to read."""

    @partial(jax.checkpoint, prevent_cse=False)
    def step(carry: tuple[Any, Any], z_t: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        m, P = carry
        m, P = (F * m).sum(1), _times(_times(F, P), F.T) + Q
        seen = (P * H).sum(1)
        variance = (H * seen).sum() + r
        error = z_t - (H * m).sum()
        gain = seen / variance
        return (m + gain * error, P - gain[:, None] * seen), (error, variance)

    start = jnp.zeros_like(H), jnp.eye(len(H), dtype=H.dtype)
    error, variance = lax.scan(step, start, z, unroll=unroll(1, 8))[1]
    return -0.5 * (error**2 / variance + jnp.log(variance)).sum(), None


WORKLOADS = (
    Workload("kalman", "four states, one number seen, T=2,000, filtered means", partial(_make, False)),
    Workload("kalman-grad", "gradient of its likelihood in both noises and the transition", partial(_make, True)),
)
