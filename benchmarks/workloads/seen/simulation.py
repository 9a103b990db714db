"""Neurons, oscillators, chemical reactions and prices."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from benchmarks.compare import close, within
from benchmarks.program import unroll
from benchmarks.programs.seen import simulation
from benchmarks.programs.seen.simulation import (
    BIRTH,
    CORRELATION,
    DEATH,
    END,
    LEAK,
    LEVEL,
    NEURON_DT,
    OSCILLATOR_DT,
    PAIRING,
    PULL,
    RATE,
    SHIFT,
    SLOWNESS,
    SPOT,
    WILDNESS,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _neurons(rng: np.random.Generator, scale: Scale) -> Inputs:
    count, delay = scale.pick((64, 40), quick=(6, 8))
    A = 0.5 * rng.normal(size=(count, count)) / count**0.5
    start = rng.normal(size=(delay, count))
    return inputs(A, start, simulation.DRIVE + 0.1 * rng.normal(size=scale.steps(2_000, quick=24)), delay=delay)


def _delayed_neurons(A: Any, start: Any, drive: Any, delay: int) -> list[Any]:
    def step(carry: tuple[Any, Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any, Any], Any]:
        (past, v, w), (t, drive_t) = carry, now
        place = t % delay
        slope = v - v**3 / 3 - w + drive_t + A @ past[place]
        v, w = v + NEURON_DT * slope, w + NEURON_DT * SLOWNESS * (v + SHIFT - LEAK * w)
        return (past.at[place].set(v), v, w), v.mean()

    carry = start, start[-1], jnp.zeros_like(start[0])
    (_, v, _), mean = lax.scan(step, carry, (jnp.arange(len(drive)), drive))
    return [mean, v]


def _delayed_neurons_tuned(A: Any, start: Any, drive: Any, delay: int) -> list[Any]:
    """As many steps at a time as the delay: all that reaches them is one product."""

    def step(carry: tuple[Any, Any], reached: Any) -> tuple[tuple[Any, Any], Any]:
        v, w = carry
        slope = v - v * v * v * (1 / 3) - w + reached
        v, w = v + NEURON_DT * slope, w + NEURON_DT * SLOWNESS * (v + SHIFT - LEAK * w)
        return (v, w), v

    def block(carry: tuple[Any, Any], drive: Any) -> tuple[tuple[Any, Any], Any]:
        past, w = carry
        (_, w), past = lax.scan(step, (past[-1], w), past[: len(drive)] @ A.T + drive[:, None])
        return (past, w), past.mean(1)

    whole = len(drive) // delay
    carry = start, jnp.zeros_like(start[0])
    carry, means = lax.scan(block, carry, drive[: whole * delay].reshape(whole, delay))
    means = means.ravel()
    if whole * delay < len(drive):
        carry, rest = block(carry, drive[whole * delay :])
        means = jnp.concatenate([means, rest])
    return [means, carry[0][-1]]


def _phases(rng: np.random.Generator, scale: Scale) -> Inputs:
    count = scale.pick(64, quick=6)
    return inputs(rng.uniform(0, 6, count), rng.normal(size=count), np.float64(1.5), steps=scale.steps(100, quick=15))


def _oscillators(start: Any, speed: Any, strength: Any, steps: int) -> list[Any]:
    def cost(speed: Any, strength: Any) -> Any:
        def step(phase: Any, _: None) -> tuple[Any, None]:
            pull = jnp.sin(phase[None] - phase[:, None]).mean(1)
            return phase + OSCILLATOR_DT * (speed + strength * pull), None

        phase = lax.scan(step, start, None, length=steps)[0]
        return jnp.cos(phase).mean() ** 2 + jnp.sin(phase).mean() ** 2

    value, slopes = jax.value_and_grad(cost, (0, 1))(speed, strength)
    return [value, *slopes]


def _oscillators_tuned(start: Any, speed: Any, strength: Any, steps: int) -> list[Any]:
    """The pull of all by two sums, from sines and cosines of the phases; the reverse loop by hand, from those."""
    count = len(start)
    push = OSCILLATOR_DT * strength / count

    def forward(phase: Any, _: None) -> tuple[Any, tuple[Any, Any]]:
        sin, cos = jnp.sin(phase), jnp.cos(phase)
        return phase + OSCILLATOR_DT * speed + push * (sin.sum() * cos - cos.sum() * sin), (sin, cos)

    last, (sin, cos) = lax.scan(forward, start, None, length=steps)
    y, x = sin.sum(1, keepdims=True), cos.sum(1, keepdims=True)

    def reverse(later: Any, now: Any) -> tuple[Any, Any]:
        sin, cos, along = now
        asked = push * later
        return later + cos * (asked @ cos) + sin * (asked @ sin) - asked * along, later

    end_y, end_x = jnp.sin(last).sum(), jnp.cos(last).sum()
    of_last = (end_y * jnp.cos(last) - end_x * jnp.sin(last)) * (2 / count**2)
    _, asked = lax.scan(reverse, of_last, (sin, cos, y * sin + x * cos), reverse=True)
    pull = (y * cos - x * sin) / count
    value = (end_x**2 + end_y**2) / count**2
    return [value, OSCILLATOR_DT * asked.sum(0), OSCILLATOR_DT * (asked * pull).sum()]


def _strikes(rng: np.random.Generator, scale: Scale) -> Inputs:
    return inputs(np.linspace(80.0, 120.0, 9), paths=1_000, steps=scale.steps(100, quick=20))


def _heston(key: Any, strikes: Any, paths: int, steps: int) -> Any:
    dt = 1 / steps

    def step(carry: tuple[Any, Any, Any], _: None) -> tuple[tuple[Any, Any, Any], None]:
        price, variance, key = carry
        key, first, second = random.split(key, 3)
        one = random.normal(first, (paths,))
        two = CORRELATION * one + math.sqrt(1 - CORRELATION**2) * random.normal(second, (paths,))
        positive = jnp.maximum(variance, 0)
        price = price * jnp.exp((RATE - positive / 2) * dt + jnp.sqrt(positive * dt) * one)
        variance = variance + PULL * (LEVEL - positive) * dt + WILDNESS * jnp.sqrt(positive * dt) * two
        return (price, variance, key), None

    start = jnp.full(paths, SPOT), jnp.full(paths, LEVEL), key
    (price, _, _), _ = lax.scan(step, start, None, length=steps)
    return math.exp(-RATE) * jnp.maximum(price - strikes[:, None], 0).mean(1)


def _heston_tuned(key: Any, strikes: Any, paths: int, steps: int) -> Any:
    """Draws before the loop; logarithms of prices; one root for each step."""
    dt = 1 / steps
    across = math.sqrt(1 - CORRELATION**2)

    def step(carry: tuple[Any, Any], noise: Any) -> tuple[tuple[Any, Any], None]:
        (log_price, variance), (one, two) = carry, noise
        positive = jnp.maximum(variance, 0)
        spread = jnp.sqrt(positive * dt)
        log_price = log_price + spread * one - (dt / 2) * positive
        variance = variance + PULL * dt * (LEVEL - positive) + WILDNESS * spread * (CORRELATION * one + across * two)
        return (log_price, variance), None

    start = jnp.full(paths, math.log(SPOT) + RATE), jnp.full(paths, LEVEL)
    (log_price, _), _ = lax.scan(step, start, random.normal(key, (steps, 2, paths)))
    return math.exp(-RATE) * jnp.maximum(jnp.exp(log_price) - strikes[:, None], 0).mean(1)


def _molecules(rng: np.random.Generator, scale: Scale) -> Inputs:
    return inputs(np.full(64, 40.0), most=scale.steps(2_000))


def _reactions(key: Any, start: Any, most: int) -> list[Any]:
    def goes_on(state: Any) -> Any:
        i, _, time, _ = state
        return (i < most) & (time < END).any()

    def step(state: Any) -> Any:
        i, x, time, key = state
        key, one, two = random.split(key, 3)
        dying, pairing = DEATH * x, PAIRING * x * (x - 1)
        total = BIRTH + dying + pairing
        time = time - jnp.log(random.uniform(one, x.shape)) / total
        mark = random.uniform(two, x.shape) * total
        change = jnp.where(mark < BIRTH, 1.0, jnp.where(mark < BIRTH + dying, -1.0, -2.0))
        return i + 1, jnp.where(time < END, x + change, x), time, key

    _, x, _, _ = lax.while_loop(goes_on, step, (0, start, jnp.zeros_like(start), key))
    return [x.mean(), x.std()]


def _reactions_tuned(key: Any, start: Any, most: int) -> list[Any]:
    """Draws and logarithms for 32 steps at a time; whether all have ended is asked after those."""
    several = 32

    def goes_on(state: Any) -> Any:
        i, _, time, _ = state
        return (i < most) & (time < END).any()

    def step(carry: tuple[Any, Any], chance: tuple[Any, Any]) -> tuple[tuple[Any, Any], None]:
        (x, time), (wait, u) = carry, chance
        dying = DEATH * x
        total = BIRTH + dying + PAIRING * x * (x - 1)
        time = time + wait / total
        mark = u * total
        change = jnp.where(mark < BIRTH, 1.0, jnp.where(mark < BIRTH + dying, -1.0, -2.0))
        return (jnp.where(time < END, x + change, x), time), None

    def block(state: Any) -> Any:
        i, x, time, key = state
        key, used = random.split(key)
        u = random.uniform(used, (2, several, len(start)))
        (x, time), _ = lax.scan(step, (x, time), (-jnp.log(u[0]), u[1]), unroll=4)
        return i + several, x, time, key

    _, x, _, _ = lax.while_loop(goes_on, block, (0, start, jnp.zeros_like(start), key))
    return [x.mean(), x.std()]


def _put(rng: np.random.Generator, scale: Scale) -> Inputs:
    count, steps = scale.pick(96, quick=12), scale.steps(60, quick=8)
    volatility, rate, strike, dt = 0.3, 0.05, 100.0, 1 / steps
    j = np.arange(1.0, count + 1)
    lower = dt / 4 * (volatility**2 * j**2 - rate * j)
    middle = -dt / 2 * (volatility**2 * j**2 + rate)
    upper = dt / 4 * (volatility**2 * j**2 + rate * j)
    payoff = np.maximum(strike - 3 * strike / count * j, 0)
    return inputs(lower, middle, upper, payoff, 2 * lower[0] * strike, steps=steps)


def _crank_nicolson(lower: Any, middle: Any, upper: Any, payoff: Any, edge: Any, steps: int) -> Any:
    none, zero = jnp.zeros(1), jnp.zeros(())

    def down(carry: tuple[Any, Any], now: Any) -> tuple[tuple[Any, Any], Any]:
        (factor, value), (right, a, b, c) = carry, now
        pivot = 1 - b + a * factor
        carry = -c / pivot, (right + a * value) / pivot
        return carry, carry

    def up(above: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        factor, value = now
        solved = value - factor * above
        return solved, solved

    def step(u: Any, _: None) -> tuple[Any, None]:
        right = (1 + middle) * u + lower * jnp.concatenate([none, u[:-1]]) + upper * jnp.concatenate([u[1:], none])
        right = right.at[0].add(edge)
        _, found = lax.scan(down, (zero, zero), (right, lower, middle, upper))
        return jnp.maximum(lax.scan(up, zero, found, reverse=True)[1], payoff), None

    return lax.scan(step, payoff, None, length=steps)[0]


def _crank_nicolson_tuned(lower: Any, middle: Any, upper: Any, payoff: Any, edge: Any, steps: int) -> Any:
    """The system is the same in all steps: its factors before the loop, divisions too."""
    none, zero = jnp.zeros(1), jnp.zeros(())

    def factored(factor: Any, now: Any) -> tuple[Any, Any]:
        a, b, c = now
        factor = -c / (1 - b + a * factor)
        return factor, factor

    factor = lax.scan(factored, zero, (lower, middle, upper))[1]
    pivot = 1 - middle + lower * jnp.concatenate([none, factor[:-1]])
    a, b, c = lower / pivot, (1 + middle) / pivot, upper / pivot
    added = jnp.zeros_like(payoff).at[0].set(edge / pivot[0])

    def down(value: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        right, a = now
        value = right + a * value
        return value, value

    def up(above: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        factor, value = now
        solved = value - factor * above
        return solved, solved

    def step(_: Any, u: Any) -> Any:
        right = b * u + a * jnp.concatenate([none, u[:-1]]) + c * jnp.concatenate([u[1:], none]) + added
        value = lax.scan(down, zero, (right, a), unroll=unroll(4, 16))[1]
        solved = lax.scan(up, zero, (factor, value), reverse=True, unroll=unroll(4, 16))[1]
        return jnp.maximum(solved, payoff)

    return lax.fori_loop(0, steps, step, payoff)


WORKLOADS = (
    task(
        "delayed-neurons",
        "64 neurons coupled after 40 steps, T=2,000",
        simulation.delayed_neurons,
        _neurons,
        _delayed_neurons,
        _delayed_neurons_tuned,
        close(1e-6),
    ),
    task(
        "oscillators-grad",
        "64 coupled oscillators, 100 steps, with gradient",
        simulation.oscillators,
        _phases,
        _oscillators,
        _oscillators_tuned,
        close(1e-7),
    ),
    task(
        "heston",
        "prices of 9 options with stochastic variance, 1,000 paths of 100 steps",
        simulation.heston,
        _strikes,
        _heston,
        _heston_tuned,
        within(4.0),
        draws=True,
    ),
    task(
        "reactions",
        "reactions one after the other until the end, 64 runs",
        simulation.reactions,
        _molecules,
        _reactions,
        _reactions_tuned,
        within(4.0),
        draws=True,
    ),
    task(
        "crank-nicolson",
        "American put by implicit differences, 96 prices, 60 steps, nested loops",
        simulation.crank_nicolson,
        _put,
        _crank_nicolson,
        _crank_nicolson_tuned,
    ),
)
