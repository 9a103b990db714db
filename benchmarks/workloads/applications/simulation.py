"""Physics, cellular automata, epidemics, queues and prices."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from benchmarks.compare import close, within
from benchmarks.program import unroll
from benchmarks.programs.applications import simulation
from benchmarks.programs.applications.simulation import (
    BODIES_DT,
    FORCING,
    HEAT,
    INFECTION,
    LORENZ_DT,
    PENDULUM_DT,
    RATE,
    RECOVERY,
    SIR_DT,
    SOFTENING,
    SPOT,
    STRIKE,
    VOLATILITY,
    WAVE,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _bodies_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    n = scale.pick(64, quick=8)
    x, v, mass = rng.normal(size=(n, 3)), 0.3 * rng.normal(size=(n, 3)), rng.uniform(0.5, 1.5, n) / n
    return inputs(x, v, mass, steps=scale.steps(200, quick=20))


def _bodies(x0: Any, v0: Any, mass: Any, steps: int) -> list[Any]:
    def pull(x: Any) -> Any:
        apart = x[None] - x[:, None]
        cubes = ((apart**2).sum(2) + SOFTENING**2) ** 1.5
        return (mass[:, None] * apart / cubes[:, :, None]).sum(1)

    def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
        x, v = carry
        v = v + BODIES_DT / 2 * pull(x)
        x = x + BODIES_DT * v
        return (x, v + BODIES_DT / 2 * pull(x)), None

    return list(lax.scan(step, (x0, v0), None, length=steps)[0])


def _bodies_tuned(x0: Any, v0: Any, mass: Any, steps: int) -> list[Any]:
    """Coordinates in rows; one pull for each step, with half steps at both ends; sums over the others as products; the
    power by a square root."""

    def pull(x: Any) -> Any:
        squares = sum((row[None] - row[:, None]) ** 2 for row in x) + SOFTENING**2
        weights = mass / (squares * jnp.sqrt(squares))
        return x @ weights.T - x * weights.sum(1)

    def step(_: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        x, v = carry
        v = v + BODIES_DT * pull(x)
        return x + BODIES_DT * v, v

    x, v = x0.T, v0.T
    v = v + BODIES_DT / 2 * pull(x)
    x, v = lax.fori_loop(1, steps, step, (x + BODIES_DT * v, v))
    return [x.T, (v + BODIES_DT / 2 * pull(x)).T]


def _life_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(128, quick=12)
    return inputs((rng.uniform(size=(size, size)) < 0.3).astype("int32"), steps=scale.steps(200, quick=20))


def _life(start: Any, steps: int) -> list[Any]:
    def step(cells: Any, _: None) -> tuple[Any, Any]:
        around = sum(jnp.roll(cells, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0))
        cells = ((around == 3) | ((cells == 1) & (around == 2))).astype("int32")
        return cells, cells.sum()

    return list(lax.scan(step, start, None, length=steps))


def _life_tuned(start: Any, steps: int) -> list[Any]:
    """Integers of 8 bits; sums of three rows, then of three columns, each from a padded array and computed once."""

    def step(cells: Any, _: None) -> tuple[Any, Any]:
        tall = jnp.concatenate([cells[-1:], cells, cells[:1]])
        threes = lax.optimization_barrier(tall[:-2] + tall[1:-1] + tall[2:])
        wide = jnp.concatenate([threes[:, -1:], threes, threes[:, :1]], axis=1)
        total = wide[:, :-2] + wide[:, 1:-1] + wide[:, 2:]
        cells = ((total == 3) | ((cells == 1) & (total == 4))).astype("int8")
        return cells, cells.sum(dtype="int32")

    cells, count = lax.scan(step, start.astype("int8"), None, length=steps)
    return [cells.astype("int32"), count]


def _rule_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    start = rng.integers(0, 2, scale.pick(1_024, quick=40)).astype("int32")
    table = np.array([110 >> i & 1 for i in range(8)], "int32")
    return inputs(start, table, steps=scale.steps(1_000, quick=20))


def _rule(start: Any, table: Any, steps: int) -> Any:
    def step(cells: Any, _: None) -> tuple[Any, Any]:
        cells = table[4 * jnp.roll(cells, 1) + 2 * cells + jnp.roll(cells, -1)]
        return cells, cells

    return lax.scan(step, start, None, length=steps)[1]


def _rule_tuned(start: Any, table: Any, steps: int) -> Any:
    """Integers of 8 bits, neighbours from one padded array, the table as the bits of one number."""
    bits = (table << jnp.arange(8)).sum().astype("uint8")

    def step(cells: Any, _: None) -> tuple[Any, Any]:
        ring = jnp.concatenate([cells[-1:], cells, cells[:1]])
        cells = (bits >> (4 * ring[:-2] + 2 * cells + ring[2:])) & jnp.uint8(1)
        return cells, cells

    return lax.scan(step, start.astype("uint8"), None, length=steps)[1].astype("int32")


def _heat_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(64, quick=8)
    return inputs(rng.normal(size=(size, size)), steps=scale.steps(500, quick=20))


def _heat(start: Any, steps: int) -> Any:
    def step(u: Any, _: None) -> tuple[Any, None]:
        inner = u[1:-1, 1:-1]
        change = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * inner
        return u.at[1:-1, 1:-1].set(inner + HEAT * change), None

    return lax.scan(step, start, None, length=steps)[0]


def _heat_tuned(start: Any, steps: int) -> Any:
    """The whole array as one fused expression: neighbours by padding, and a mask that keeps the border."""
    inside = HEAT * jnp.pad(jnp.ones(tuple(size - 2 for size in start.shape)), 1)

    def step(_: Any, u: Any) -> Any:
        wide = jnp.pad(u, 1)
        around = wide[2:, 1:-1] + wide[:-2, 1:-1] + wide[1:-1, 2:] + wide[1:-1, :-2]
        return u + inside * (around - 4 * u)

    return lax.fori_loop(0, steps, step, start)


def _wave_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    place = np.arange(scale.pick(512, quick=20))
    return inputs(np.stack(2 * [np.exp(-(((place - 10) / 4.0) ** 2))]), steps=scale.steps(1_000, quick=20))


def _wave(start: Any, steps: int) -> Any:
    def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], Any]:
        older, u = carry
        new = 2 * u - older + WAVE * (jnp.roll(u, 1) + jnp.roll(u, -1) - 2 * u)
        return (u, new), new

    return lax.scan(step, (start[0], start[1]), None, length=steps)[1]


def _wave_tuned(start: Any, steps: int) -> Any:
    """The inner places from slices, both ends apart."""

    def moved(u: Any, older: Any, left: Any, right: Any) -> Any:
        return 2 * u - older + WAVE * (left + right - 2 * u)

    def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], Any]:
        older, u = carry
        first, last = moved(u[:1], older[:1], u[-1:], u[1:2]), moved(u[-1:], older[-1:], u[-2:-1], u[:1])
        new = jnp.concatenate([first, moved(u[1:-1], older[1:-1], u[:-2], u[2:]), last])
        return (u, new), new

    return lax.scan(step, (start[0], start[1]), None, length=steps)[1]


def _lorenz_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    return inputs(FORCING + rng.normal(size=40), steps=scale.steps(1_000, quick=20))


def _lorenz(start: Any, steps: int, padded: bool = False) -> Any:
    """``padded``: all neighbours from one padded array."""

    def slope(x: Any) -> Any:
        if padded:
            ring = jnp.concatenate([x[-2:], x, x[:1]])
            return (ring[3:] - ring[:-3]) * ring[1:-2] - x + FORCING
        return (jnp.roll(x, -1) - jnp.roll(x, 2)) * jnp.roll(x, 1) - x + FORCING

    def step(x: Any, _: None) -> tuple[Any, Any]:
        k1 = slope(x)
        k2 = slope(x + LORENZ_DT / 2 * k1)
        k3 = slope(x + LORENZ_DT / 2 * k2)
        k4 = slope(x + LORENZ_DT * k3)
        x = x + LORENZ_DT / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return x, x

    return lax.scan(step, start, None, length=steps)[1]


def _pendulums_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    return inputs(rng.normal(size=scale.pick(64, quick=8)), np.float64(0.5), steps=scale.steps(500, quick=20))


def _pendulums(angle0: Any, stiffness: Any, steps: int, fast: bool = False) -> list[Any]:
    """``fast``: one push for each step, neighbours from one padded array, and the step recomputed in the reverse
    loop."""

    def push(angle: Any, stiffness: Any) -> Any:
        if fast:
            ring = jnp.concatenate([angle[-1:], angle, angle[:1]])
            around = ring[:-2] + ring[2:]
        else:
            around = jnp.roll(angle, 1) + jnp.roll(angle, -1)
        return -jnp.sin(angle) + stiffness * (around - 2 * angle)

    def energy(angle: Any, stiffness: Any) -> tuple[Any, Any]:
        def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
            angle, speed = carry
            half = speed + PENDULUM_DT / 2 * push(angle, stiffness)
            angle = angle + PENDULUM_DT * half
            return (angle, half + PENDULUM_DT / 2 * push(angle, stiffness)), None

        def whole(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
            angle, half = carry
            half = half + PENDULUM_DT * push(angle, stiffness)
            return (angle + PENDULUM_DT * half, half), None

        if fast:
            half = PENDULUM_DT / 2 * push(angle, stiffness)
            kept = jax.checkpoint(whole, prevent_cse=False)
            (angle, half), _ = lax.scan(kept, (angle + PENDULUM_DT * half, half), None, length=steps - 1)
            speed = half + PENDULUM_DT / 2 * push(angle, stiffness)
        else:
            (angle, speed), _ = lax.scan(step, (angle, jnp.zeros_like(angle)), None, length=steps)
        return 0.5 * (speed**2).sum() - jnp.cos(angle).sum(), angle

    slopes, angle = jax.grad(energy, (0, 1), has_aux=True)(angle0, stiffness)
    return [angle, *slopes]


def _epidemic_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    people, infected = rng.integers(20_000, 50_000, 50), rng.integers(300, 600, 50)
    return inputs((people - infected).astype(float), infected.astype(float), steps=scale.steps(100))


def _epidemic(key: Any, s0: Any, i0: Any, steps: int) -> list[Any]:
    people = s0 + i0
    recovery = 1 - jnp.exp(-RECOVERY * SIR_DT)

    def step(carry: tuple[Any, Any, Any], _: None) -> tuple[tuple[Any, Any, Any], Any]:
        s, i, key = carry
        key, one, two = random.split(key, 3)
        infected = random.binomial(one, s, 1 - jnp.exp(-INFECTION * i / people * SIR_DT))
        recovered = random.binomial(two, i, recovery)
        s, i = s - infected, i + infected - recovered
        return (s, i, key), (s, i)

    s, i = lax.scan(step, (s0, i0, key), None, length=steps)[1]
    return [(s / people).mean(1), (i / people).mean(1)]


def _queue_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps = scale.steps(5_000, quick=60)
    return inputs(rng.exponential(size=steps), rng.exponential(6.0, size=steps), servers=8)


def _queue(gaps: Any, work: Any, servers: int) -> Any:
    def step(load: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        gap, work = now
        load = jnp.maximum(load - gap, 0)
        return jnp.sort(load.at[0].add(work)), load[0]

    return lax.scan(step, jnp.zeros(servers), (gaps, work))[1]


def _queue_tuned(gaps: Any, work: Any, servers: int) -> Any:
    """One value is inserted into a sorted list, without a sort."""
    high = jnp.full(1, jnp.inf)

    def step(load: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        gap, work = now
        load = jnp.maximum(load - gap, 0)
        new = load[0] + work
        rest = jnp.concatenate([load[1:], high])
        return jnp.maximum(jnp.minimum(rest, new), load), load[0]

    return lax.scan(step, jnp.zeros(servers), (gaps, work), unroll=unroll(4, 8))[1]


def _option_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    return inputs(np.float64(SPOT), paths=2_000, steps=scale.steps(100, quick=20))


def _discounted(prices: Any) -> Any:
    return jnp.exp(-RATE) * jnp.maximum(prices - STRIKE, 0).mean()


def _asian(key: Any, spot: Any, paths: int, steps: int) -> list[Any]:
    dt = 1 / steps

    def value(spot: Any) -> Any:
        def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], Any]:
            price, key = carry
            key, used = random.split(key)
            noise = random.normal(used, (paths,))
            price = price * jnp.exp((RATE - VOLATILITY**2 / 2) * dt + VOLATILITY * dt**0.5 * noise)
            return (price, key), price

        return _discounted(lax.scan(step, (jnp.full(paths, spot), key), None, length=steps)[1].mean(0))

    return list(jax.value_and_grad(value)(spot))


def _asian_tuned(key: Any, spot: Any, paths: int, steps: int) -> list[Any]:
    """Draws of a step from its key; the mean is summed in the loop; derivatives from the same loop, forward."""
    dt = 1 / steps

    def step(carry: tuple[Any, Any], key: Any) -> tuple[tuple[Any, Any], None]:
        growth, total = carry
        noise = random.normal(key, (paths,))
        growth = growth * jnp.exp((RATE - VOLATILITY**2 / 2) * dt + VOLATILITY * dt**0.5 * noise)
        return (growth, total + growth), None

    start = jnp.ones(paths), jnp.zeros(paths)
    (_, total), _ = lax.scan(step, start, random.split(key, steps))
    return list(jax.value_and_grad(lambda spot: _discounted(spot * (total / steps)))(spot))


def _put_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    return inputs(np.float64(SPOT), levels=scale.steps(500, quick=30))


def _tree(levels: int) -> tuple[Any, Any, Any]:
    dt = 1 / levels
    up, discount = np.exp(VOLATILITY * dt**0.5), np.exp(-RATE * dt)
    return up, discount, (1 / discount - 1 / up) / (up - 1 / up)


def _put(spot: Any, levels: int) -> Any:
    up, discount, chance = _tree(levels)
    place = jnp.arange(levels + 1)

    def step(value: Any, level: Any) -> tuple[Any, None]:
        later = discount * (chance * jnp.roll(value, -1) + (1 - chance) * value)
        return jnp.maximum(later, STRIKE - spot * up ** (2 * place - level)), None

    start = jnp.maximum(STRIKE - spot * up ** (2 * place - levels), 0)
    return lax.scan(step, start, jnp.arange(levels)[::-1])[0][0]


def _put_tuned(spot: Any, levels: int) -> Any:
    """All prices before the loop: those of a level are every other one, so that a step reads a slice."""
    up, discount, chance = _tree(levels)
    one, two = discount * chance, discount * (1 - chance)
    gain = STRIKE - spot * jnp.exp(np.log(up) * jnp.arange(-levels, levels + 1.0))
    halves = jnp.pad(gain, (0, 2 * levels + 1)).reshape(-1, 2).T

    def step(value: Any, level: Any) -> tuple[Any, None]:
        first = levels - level
        exercised = lax.dynamic_slice(halves, (first % 2, first // 2), (1, levels + 1))[0]
        shifted = jnp.concatenate([value[1:], value[:1]])
        return jnp.maximum(one * shifted + two * value, exercised), None

    start = jnp.maximum(halves[0, : levels + 1], 0)
    return lax.scan(step, start, jnp.arange(levels)[::-1])[0][0]


WORKLOADS = (
    task(
        "bodies",
        "gravitation of 64 bodies, 200 leapfrog steps",
        simulation.bodies,
        _bodies_data,
        _bodies,
        _bodies_tuned,
        close(1e-6),
    ),
    task("life", "game of life, 128 x 128, 200 generations", simulation.life, _life_data, _life, _life_tuned),
    task(
        "rule-110",
        "cellular automaton 110, 1,024 cells, 1,000 generations",
        simulation.rule_110,
        _rule_data,
        _rule,
        _rule_tuned,
    ),
    task("heat", "heat equation, 64 x 64, 500 steps", simulation.heat, _heat_data, _heat, _heat_tuned),
    task(
        "wave",
        "wave equation on a ring of 512, two taps, 1,000 steps kept",
        simulation.wave,
        _wave_data,
        _wave,
        _wave_tuned,
    ),
    task(
        "lorenz",
        "model of Lorenz (1996), 40 variables, 1,000 Runge-Kutta steps kept",
        simulation.lorenz,
        _lorenz_data,
        _lorenz,
        partial(_lorenz, padded=True),
        close(1e-5),
    ),
    task(
        "pendulums-grad",
        "64 coupled pendulums, 500 Verlet steps, gradient",
        simulation.pendulums,
        _pendulums_data,
        _pendulums,
        partial(_pendulums, fast=True),
        close(1e-7),
    ),
    task(
        "epidemic",
        "chain-binomial SIR model, 50 regions, 100 days",
        simulation.epidemic,
        _epidemic_data,
        _epidemic,
        compare=within(0.03),
        draws=True,
    ),
    task("queue", "waiting times at 8 servers, 5,000 customers", simulation.queue, _queue_data, _queue, _queue_tuned),
    task(
        "asian-option-grad",
        "Asian option, 2,000 paths of 100 steps, with derivative",
        simulation.asian_option,
        _option_data,
        _asian,
        _asian_tuned,
        within(1.0),
        draws=True,
    ),
    task(
        "american-put",
        "American put option, a tree of 500 levels",
        simulation.american_put,
        _put_data,
        _put,
        _put_tuned,
    ),
)
