"""Finance, queues and learning."""

# ruff: noqa: N803 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.program import unroll
from benchmarks.programs.seen import decisions
from benchmarks.programs.seen.decisions import DISCOUNT, LEARNING, RATE, STRIKE, TRACE
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _paths(rng: np.random.Generator, scale: Scale) -> Inputs:
    paths, steps = scale.pick(1_000, quick=40), scale.steps(50, quick=8)
    moves = (RATE - 0.02) / steps + 0.2 * rng.normal(size=(steps, paths)) / steps**0.5
    return inputs(100 * np.exp(np.cumsum(moves, axis=0)), 1e-8 * np.eye(3))


def _early_exercise(S: Any, ridge: Any) -> Any:
    keep = jnp.exp(-RATE / len(S))

    def step(value: Any, S_t: Any) -> tuple[Any, None]:
        value = keep * value
        gain = jnp.maximum(STRIKE - S_t, 0)
        weight = (gain > 0).astype(S.dtype)
        x = S_t / STRIKE
        basis = jnp.stack([jnp.ones_like(x), x, x**2])
        beta = jnp.linalg.solve((basis * weight) @ basis.T + ridge, basis @ (weight * value))
        return jnp.where((gain > 0) & (gain > beta @ basis), gain, value), None

    value, _ = lax.scan(step, jnp.maximum(STRIKE - S[-1], 0), S[:-1], reverse=True)
    return keep * value.mean()


def _early_exercise_tuned(S: Any, ridge: Any) -> Any:
    """Sums of powers and their systems before the loop, as far as the values do not enter; solved by hand."""
    keep = jnp.exp(-RATE / len(S))
    x = S[:-1] / STRIKE
    gain = jnp.maximum(STRIKE - S[:-1], 0)
    weight = (gain > 0).astype(S.dtype)
    powers = [weight]
    for _ in range(4):
        powers.append(powers[-1] * x)
    m0, m1, m2, m3, m4 = (power.sum(1) for power in powers)
    m0, d, m4 = m0 + ridge[0, 0], m2 + ridge[1, 1], m4 + ridge[2, 2]
    a, b, c = d * m4 - m3 * m3, m2 * m3 - m1 * m4, m1 * m3 - m2 * d
    e, f, g = m0 * m4 - m2 * m2, m1 * m2 - m0 * m3, m0 * d - m1 * m1
    inverse = jnp.stack([a, b, c, e, f, g], axis=1) / (m0 * a + m1 * b + m2 * c)[:, None]

    def step(value: Any, now: Any) -> tuple[Any, None]:
        x, gain, weight, (a, b, c, e, f, g) = now
        value = keep * value
        one = weight * value
        two = one * x
        r0, r1, r2 = one.sum(), two.sum(), (two * x).sum()
        b0, b1, b2 = a * r0 + b * r1 + c * r2, b * r0 + e * r1 + f * r2, c * r0 + f * r1 + g * r2
        return jnp.where((gain > 0) & (gain > b0 + x * (b1 + x * b2)), gain, value), None

    value, _ = lax.scan(step, jnp.maximum(STRIKE - S[-1], 0), (x, gain, weight, inverse), reverse=True)
    return keep * value.mean()


def _customers(rng: np.random.Generator, scale: Scale) -> Inputs:
    count, servers = scale.steps(5_000, quick=40), scale.pick(6, quick=3)
    return inputs(rng.exponential(1.0, count).cumsum(), rng.exponential(0.8, (count, servers)))


def _tandem(arrival: Any, service: Any) -> Any:
    def customer(free: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        arrives, service_t = now

        def server(comes: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
            needs, is_free = now
            leaves = jnp.maximum(is_free, comes) + needs
            return leaves, leaves

        last, leaves = lax.scan(server, arrives, (service_t, free))
        return leaves, last

    return lax.scan(customer, jnp.zeros(service.shape[1]), (arrival, service))[1]


def _tandem_tuned(arrival: Any, service: Any) -> Any:
    """Server by server: each is a loop over all customers, of one number."""

    def customer(free: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        comes, needs = now
        free = jnp.maximum(free, comes) + needs
        return free, free

    comes = arrival
    for needs in service.T:
        comes = lax.scan(customer, jnp.zeros(()), (comes, needs), unroll=unroll(4, 16))[1]
    return comes


def _visits(rng: np.random.Generator, scale: Scale) -> Inputs:
    states, width = scale.pick((64, 16), quick=(8, 4))
    steps = scale.steps(5_000, quick=60)
    visited = rng.integers(0, states, steps + 1).astype("int32")
    return inputs(rng.normal(size=(states, width)) / width**0.5, visited, rng.normal(size=steps))


def _traces(features: Any, states: Any, reward: Any) -> list[Any]:
    def step(carry: tuple[Any, Any], now: tuple[Any, Any, Any]) -> tuple[tuple[Any, Any], Any]:
        (w, trace), (state, after, gain) = carry, now
        seen = features[state]
        error = gain + DISCOUNT * w @ features[after] - w @ seen
        trace = DISCOUNT * TRACE * trace + seen
        return (w + LEARNING * error * trace, trace), error

    zeros = jnp.zeros(features.shape[1])
    (w, _), error = lax.scan(step, (zeros, zeros), (states[:-1], states[1:], reward))
    return [w, error]


def _traces_tuned(features: Any, states: Any, reward: Any) -> list[Any]:
    """Features and their differences before the loop; one sum of products instead of two."""
    seen = features[states]
    apart = DISCOUNT * seen[1:] - seen[:-1]

    def step(carry: tuple[Any, Any], now: tuple[Any, Any, Any]) -> tuple[tuple[Any, Any], Any]:
        (w, trace), (seen, apart, gain) = carry, now
        error = gain + (w * apart).sum()
        trace = (DISCOUNT * TRACE) * trace + seen
        return (w + (LEARNING * error) * trace, trace), error

    zeros = jnp.zeros(features.shape[1])
    (w, _), error = lax.scan(step, (zeros, zeros), (seen[:-1], apart, reward))
    return [w, error]


def _arms(rng: np.random.Generator, scale: Scale) -> Inputs:
    return inputs(rng.normal(size=(scale.steps(5_000, quick=60), 10)) + np.linspace(0, 1, 10))


def _bandit(reward: Any) -> list[Any]:
    def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
        (count, total), (reward_t, t) = carry, now
        arm = jnp.argmax(total / count + jnp.sqrt(2 * jnp.log(t) / count))
        return (count.at[arm].add(1.0), total.at[arm].add(reward_t[arm])), arm.astype("int32")

    ones = jnp.ones(reward.shape[1])
    times = jnp.arange(len(reward)) + 2.0
    (count, _), arm = lax.scan(step, (ones, 0 * ones), (reward, times))
    return [arm, count]


def _bandit_tuned(reward: Any) -> list[Any]:
    """Logarithms before the loop; the chosen arm as a mask."""
    arms = jnp.arange(reward.shape[1])

    def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
        (count, total), (reward_t, log) = carry, now
        arm = jnp.argmax(total / count + jnp.sqrt(log / count))
        chosen = arms == arm
        return (jnp.where(chosen, count + 1, count), jnp.where(chosen, total + reward_t, total)), arm.astype("int32")

    ones = jnp.ones(reward.shape[1])
    (count, _), arm = lax.scan(step, (ones, 0 * ones), (reward, 2 * jnp.log(jnp.arange(len(reward)) + 2.0)))
    return [arm, count]


WORKLOADS = (
    task(
        "early-exercise",
        "American put by regression, 1,000 paths of 50 steps",
        decisions.early_exercise,
        _paths,
        _early_exercise,
        _early_exercise_tuned,
        close(1e-6),
    ),
    task(
        "tandem",
        "6 servers in a row, 5,000 customers, nested loops",
        decisions.tandem,
        _customers,
        _tandem,
        _tandem_tuned,
    ),
    task(
        "traces",
        "temporal differences with eligibility traces, 16 features, 5,000 steps",
        decisions.traces,
        _visits,
        _traces,
        _traces_tuned,
        close(1e-7),
    ),
    task(
        "bandit",
        "upper confidence bounds of 10 arms, 5,000 steps",
        decisions.bandit,
        _arms,
        _bandit,
        _bandit_tuned,
    ),
)
