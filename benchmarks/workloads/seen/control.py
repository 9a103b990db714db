"""Control."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.program import unroll
from benchmarks.programs.seen import control
from benchmarks.programs.seen.control import (
    CART_MASS,
    DT,
    FRICTION,
    GRAVITY,
    MOST,
    PLANT_DT,
    POLE,
    POLE_MASS,
    STIFFNESS,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _plant(rng: np.random.Generator, scale: Scale) -> Inputs:
    A, B = 0.95 * np.eye(6) + 0.05 * rng.normal(size=(6, 6)), rng.normal(size=(6, 2))
    return inputs(A, B, np.eye(6), 0.5 * np.eye(2), rng.normal(size=6), steps=scale.steps(300, quick=20))


def _regulator(A: Any, B: Any, Q: Any, R: Any, start: Any, steps: int) -> list[Any]:
    def back(P: Any, _: None) -> tuple[Any, Any]:
        K = jnp.linalg.solve(R + B.T @ P @ B, B.T @ P @ A)
        return Q + A.T @ P @ (A - B @ K), K

    def forth(x: Any, K: Any) -> tuple[Any, Any]:
        x = (A - B @ K) @ x
        return x, x

    K = lax.scan(back, Q, None, length=steps)[1]
    return [lax.scan(forth, start, K[::-1])[1], K[-1]]


def _regulator_tuned(A: Any, B: Any, Q: Any, R: Any, start: Any, steps: int) -> list[Any]:
    """One product of P with both matrices, a solution of 2 x 2 in closed form, the closed loop's matrix kept."""
    both = jnp.concatenate([B, A], axis=1)

    def back(P: Any, _: None) -> tuple[Any, tuple[Any, Any]]:
        found = (B.T @ P) @ both
        S, right = R + found[:, :2], found[:, 2:]
        det = S[0, 0] * S[1, 1] - S[0, 1] * S[1, 0]
        rows = [S[1, 1] * right[0] - S[0, 1] * right[1], S[0, 0] * right[1] - S[1, 0] * right[0]]
        K = jnp.stack(rows) / det
        closed = A - B @ K
        return Q + A.T @ (P @ closed), (K, closed)

    def forth(x: Any, closed: Any) -> tuple[Any, Any]:
        x = closed @ x
        return x, x

    _, (K, closed) = lax.scan(back, Q, None, length=steps)
    return [lax.scan(forth, start, closed, reverse=True)[1][::-1], K[-1]]


def _forces(rng: np.random.Generator, scale: Scale) -> Inputs:
    return inputs(rng.normal(size=scale.steps(500, quick=20)), np.array([0.0, 0.0, 0.05, 0.0]))


def _cart_pole(force: Any, start: Any) -> list[Any]:
    mass = CART_MASS + POLE_MASS

    def cost(force: Any) -> Any:
        def step(state: Any, u: Any) -> tuple[Any, Any]:
            _, speed, angle, turning = state
            sin, cos = jnp.sin(angle), jnp.cos(angle)
            push = (u + POLE_MASS * POLE * turning**2 * sin) / mass
            bend = (GRAVITY * sin - cos * push) / (POLE * (4 / 3 - POLE_MASS * cos**2 / mass))
            away = push - POLE_MASS * POLE * bend * cos / mass
            state = state + DT * jnp.stack([speed, away, turning, bend])
            return state, state[2] ** 2 + 0.1 * state[0] ** 2 + 0.001 * u**2

        return lax.scan(step, start, force)[1].sum()

    return list(jax.value_and_grad(cost)(force))


def _cart_pole_tuned(force: Any, start: Any) -> list[Any]:
    """Numbers instead of a vector; costs after the loop."""
    mass = CART_MASS + POLE_MASS

    def cost(force: Any) -> Any:
        def step(state: Any, u: Any) -> tuple[Any, Any]:
            place, speed, angle, turning = state
            sin, cos = jnp.sin(angle), jnp.cos(angle)
            push = (u + (POLE_MASS * POLE) * turning * turning * sin) * (1 / mass)
            bend = (GRAVITY * sin - cos * push) / (POLE * 4 / 3 - (POLE * POLE_MASS / mass) * cos * cos)
            away = push - (POLE_MASS * POLE / mass) * bend * cos
            state = place + DT * speed, speed + DT * away, angle + DT * turning, turning + DT * bend
            return state, (state[0], state[2])

        place, angle = lax.scan(step, tuple(start), force)[1]
        return angle @ angle + 0.1 * (place @ place) + 0.001 * (force @ force)

    return list(jax.value_and_grad(cost)(force))


def _goals(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps = scale.steps(2_000, quick=40)
    return inputs(np.repeat(rng.normal(size=4), steps // 4), *map(np.float64, (8.0, 2.0, 1.0)))


def _tuning(goal: Any, proportional: Any, integral: Any, derivative: Any) -> list[Any]:
    def cost(proportional: Any, integral: Any, derivative: Any) -> Any:
        def step(carry: tuple[Any, Any, Any], goal_t: Any) -> tuple[tuple[Any, Any, Any], Any]:
            total, y, v = carry
            error = goal_t - y
            asked = proportional * error + integral * total - derivative * v
            u = jnp.clip(asked, -MOST, MOST)
            total = jnp.where(u == asked, total + PLANT_DT * error, total)
            v = v + PLANT_DT * (u - STIFFNESS * y - FRICTION * v)
            return (total, y + PLANT_DT * v, v), error**2

        zero = jnp.float64(0)
        return lax.scan(step, (zero, zero, zero), goal)[1].mean()

    value, slopes = jax.value_and_grad(cost, (0, 1, 2))(proportional, integral, derivative)
    return [value, *slopes]


def _tuning_tuned(goal: Any, proportional: Any, integral: Any, derivative: Any) -> list[Any]:
    """Forward mode by hand, the three derivatives in a vector: nothing is stored."""
    gains = proportional, integral, derivative

    def step(carry: Any, goal_t: Any) -> tuple[Any, Any]:
        total, y, v, of_total, of_y, of_v, cost, of_cost = carry
        error = goal_t - y
        asked = gains[0] * error + gains[1] * total - gains[2] * v
        free = (asked > -MOST) & (asked < MOST)
        own = jnp.stack([error, total, -v])
        of_u = jnp.where(free, own - gains[0] * of_y + gains[1] * of_total - gains[2] * of_v, 0.0)
        cost, of_cost = cost + error * error, of_cost - (2 * error) * of_y
        total, of_total = (
            jnp.where(free, total + PLANT_DT * error, total),
            jnp.where(free, of_total - PLANT_DT * of_y, of_total),
        )
        u = jnp.clip(asked, -MOST, MOST)
        v, of_v = (
            v + PLANT_DT * (u - STIFFNESS * y - FRICTION * v),
            of_v + PLANT_DT * (of_u - STIFFNESS * of_y - FRICTION * of_v),
        )
        return (total, y + PLANT_DT * v, v, of_total, of_y + PLANT_DT * of_v, of_v, cost, of_cost), None

    zero, none = jnp.float64(0), jnp.zeros(3)
    (*_, cost, of_cost), _ = lax.scan(step, (zero, zero, zero, none, none, none, zero, none), goal, unroll=unroll(1, 8))
    return [cost / len(goal), *(of_cost / len(goal))]


WORKLOADS = (
    task(
        "regulator",
        "linear-quadratic regulator, 6 states, 2 inputs, 300 steps back and forth",
        control.regulator,
        _plant,
        _regulator,
        _regulator_tuned,
        close(1e-7),
    ),
    task(
        "cart-pole-grad",
        "cart and pole, 500 steps, with gradient in all forces",
        control.cart_pole,
        _forces,
        _cart_pole,
        _cart_pole_tuned,
        close(1e-6),
    ),
    task(
        "controller-grad",
        "PID controller with saturation, T=2,000, with gradient in three gains",
        control.tuning,
        _goals,
        _tuning,
        _tuning_tuned,
        close(1e-7),
    ),
)
