"""Populations, states of a particle and a chemical clock."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import dynamics
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _flies(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, (cages, delay) = scale.steps(2_000, quick=20), scale.pick((8, 15), quick=(2, 4))
    counts = rng.uniform(500, 3_000, (steps, cages))
    luck, harm = rng.gamma(20.0, size=(2, steps, cages)) / 20
    start = rng.uniform(1_000, 2_000, (delay, cages))
    return inputs(counts, luck, harm, start, *map(np.float64, (6.5, 400.0, 0.2)), delay=delay)


def _blowflies(counts: Any, luck: Any, harm: Any, start: Any, *parameters: Any, delay: int) -> list[Any]:
    def cost(parameters: Any) -> Any:
        births, size, deaths = parameters

        def step(past: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
            luck_t, harm_t = now
            parents, adults = past[0], past[-1]
            new = births * parents * jnp.exp(-parents / size) * luck_t + adults * jnp.exp(-deaths * harm_t)
            return jnp.concatenate([past[1:], new[None]]), new

        flies = lax.scan(step, start, (luck, harm))[1]
        return ((jnp.log(flies) - jnp.log(counts)) ** 2).sum()

    value, slopes = jax.value_and_grad(cost)(parameters)
    return [value, *slopes]


def _blowflies_tuned(
    counts: Any, luck: Any, harm: Any, start: Any, births: Any, size: Any, deaths: Any, delay: int
) -> list[Any]:
    """Blocks as long as the delay, whose recruits are known together, and a sum of these over the share that is alive
    since they came."""
    steps, cages = counts.shape
    blocks = -(-steps // delay)

    def parted(array: Any) -> Any:
        return jnp.pad(array, ((0, blocks * delay - steps), (0, 0))).reshape(blocks, delay, cages)

    luck_b, hurt_b = parted(luck), jnp.cumsum(parted(harm), axis=1)

    def cost(parameters: Any) -> Any:
        births, size, deaths = parameters
        alive = jnp.exp(-deaths * hurt_b)
        weight = births * luck_b / alive

        def block(past: Any, now: Any) -> Any:
            alive_b, weight_b = now
            recruits = past * jnp.exp(past * (-1 / size)) * weight_b
            new = alive_b * (past[-1] + jnp.cumsum(recruits, axis=0))
            return new, new

        flies = lax.scan(block, start, (alive, weight))[1].reshape(blocks * delay, cages)[:steps]
        return (jnp.log(flies / counts) ** 2).sum()

    value, slopes = jax.value_and_grad(cost)((births, size, deaths))
    return [value, *slopes]


def _well(rng: np.random.Generator, scale: Scale) -> Inputs:
    points, levels = scale.steps(400, quick=80), scale.pick(6, quick=2)
    x = np.linspace(-6, 6, points)
    potential = 0.5 * x**2 + 2 * np.exp(-4 * (x - 0.3) ** 2)
    return inputs(potential, np.float64(x[1] - x[0]), np.float64(12.0), levels=levels, most=100, tolerance=1e-11)


def _energies(potential: Any, apart: Any, highest: Any, levels: int, most: int, tolerance: float) -> Any:
    level = jnp.arange(levels)

    def zeros(energy: Any) -> Any:
        share = apart**2 / 12

        def point(carry: tuple[Any, Any], now: tuple[Any, Any, Any]) -> tuple[Any, Any]:
            psi_2, psi_1 = carry
            far, near, own = (2 * share * (energy - value) for value in now)
            psi = (2 * (1 - 5 * near) * psi_1 - (1 + far) * psi_2) / (1 + own)
            return (psi_1, psi), psi

        start = jnp.zeros_like(energy), jnp.full_like(energy, 1e-9)
        psi = lax.scan(point, start, (potential[:-2], potential[1:-1], potential[2:]))[1]
        return (psi[1:] * psi[:-1] < 0).sum(0)

    def halve(state: Any) -> Any:
        i, low, high = state
        middle = (low + high) / 2
        above = zeros(middle) > level
        return i + 1, jnp.where(above, low, middle), jnp.where(above, middle, high)

    def goes_on(state: Any) -> Any:
        return ((state[2] - state[1]).max() >= tolerance) & (state[0] < most)

    start = jnp.int32(0), jnp.full(levels, potential.min()), jnp.full(levels, highest)
    _, low, high = lax.while_loop(goes_on, halve, start)
    return (low + high) / 2


def _energies_tuned(potential: Any, apart: Any, highest: Any, levels: int, most: int, tolerance: float) -> Any:
    """Ratios of neighbouring values, which change by a division and a subtraction, with all factors before the inner
    loop; after the interval is small enough, two steps of the secant method on the value at the end."""
    share = apart**2 / 6
    level = jnp.arange(levels)
    scaled = share * potential[1:-1]

    def factors(energy: Any) -> Any:
        near = share * energy - jnp.expand_dims(scaled, range(1, energy.ndim + 1))
        return (2 - 10 * near) / (1 + near)

    # Both loops are on the wave function times 1 + own, which is positive.
    def zeros(energy: Any) -> Any:
        def point(carry: tuple[Any, Any], factor: Any) -> tuple[Any, None]:
            ratio, count = carry
            ratio = factor - 1 / ratio
            return (ratio, count + (ratio < 0)), None

        start = jnp.full(energy.shape, jnp.inf), jnp.zeros(energy.shape, "int32")
        return lax.scan(point, start, factors(energy))[0][1]

    def last(energy: Any) -> Any:
        def point(carry: tuple[Any, Any], factor: Any) -> tuple[Any, None]:
            below, value = carry
            return (value, factor * value - below), None

        return lax.scan(point, (jnp.zeros(energy.shape), jnp.ones(energy.shape)), factors(energy))[0][1]

    def halve(state: Any) -> Any:
        i, low, wide = state
        wide = wide / 2
        return i + 1, jnp.where(zeros(low + wide) <= level, low + wide, low), wide

    def goes_on(state: Any) -> Any:
        return (state[2] >= max(1e-3, tolerance)) & (state[0] < most)

    bottom = potential.min()
    start = jnp.int32(0), jnp.full(levels, bottom), highest - bottom
    _, one, wide = lax.while_loop(goes_on, halve, start)
    two = one + wide
    of_one, of_two = last(jnp.stack([one, two]))
    for _ in range(2):
        new = two - of_two * (two - one) / (of_two - of_one)
        one, of_one, two, of_two = two, of_two, new, last(new)
    return two - of_two * (two - one) / jnp.where(of_two == of_one, 1, of_two - of_one)


def _clock(rng: np.random.Generator, scale: Scale) -> Inputs:
    end, tolerance = scale.pick((60.0, 1e-8), quick=(2.0, 1e-4))
    numbers = map(np.float64, (1.0, 3.0, end, tolerance))
    return inputs(rng.uniform(1, 2, 2), *numbers, most=100_000)


def _brusselator(start: Any, feed: Any, rate: Any, end: Any, tolerance: Any, most: int) -> list[Any]:
    def slope(x: Any) -> Any:
        u, v = x
        made = u**2 * v
        return jnp.stack([feed + made - (rate + 1) * u, rate * u - made])

    def step(state: Any) -> Any:
        i, x, k1, time, size = state
        h = jnp.minimum(size, end - time)
        k2 = slope(x + h * k1 / 2)
        k3 = slope(x + 3 * h * k2 / 4)
        new = x + h * (2 * k1 + 3 * k2 + 4 * k3) / 9
        k4 = slope(new)
        error = h * (-5 * k1 / 72 + k2 / 12 + k3 / 9 - k4 / 8)
        wrong = jnp.sqrt(((error / (tolerance * (1 + jnp.abs(x)))) ** 2).mean())
        size = h * jnp.clip(0.9 * (wrong + 1e-12) ** (-1 / 3), 0.2, 5.0)
        good = wrong <= 1
        return i + 1, jnp.where(good, new, x), jnp.where(good, k4, k1), jnp.where(good, time + h, time), size

    def goes_on(state: Any) -> Any:
        return (state[3] < end - 1e-9) & (state[0] < most)

    begin = jnp.int32(0), start, slope(start), jnp.float64(0), jnp.float64(1e-3)
    count, x, *_ = lax.while_loop(goes_on, step, begin)
    return [x, count]


def _brusselator_tuned(start: Any, feed: Any, rate: Any, end: Any, tolerance: Any, most: int) -> list[Any]:
    """Scalars instead of vectors, fewer products and divisions."""
    inverse = 1 / tolerance

    def slope(u: Any, v: Any) -> tuple[Any, Any]:
        turned = u * (rate - u * v)
        return feed - u - turned, turned

    def step(state: Any) -> Any:
        i, u, v, a1, b1, time, size = state
        h = jnp.minimum(size, end - time)
        half, most_of = 0.5 * h, 0.75 * h
        a2, b2 = slope(u + half * a1, v + half * b1)
        a3, b3 = slope(u + most_of * a2, v + most_of * b2)
        ninth = h / 9
        new_u = u + ninth * (2 * a1 + 3 * a2 + 4 * a3)
        new_v = v + ninth * (2 * b1 + 3 * b2 + 4 * b3)
        a4, b4 = slope(new_u, new_v)
        of_u = (a3 / 9 - 5 / 72 * a1 + a2 / 12 - a4 / 8) / (1 + jnp.abs(u))
        of_v = (b3 / 9 - 5 / 72 * b1 + b2 / 12 - b4 / 8) / (1 + jnp.abs(v))
        wrong = h * inverse * jnp.sqrt(0.5 * (of_u * of_u + of_v * of_v))
        size = h * jnp.clip(0.9 * (wrong + 1e-12) ** (-1 / 3), 0.2, 5.0)
        good = wrong <= 1
        found = (new_u, u), (new_v, v), (a4, a1), (b4, b1), (time + h, time)
        return i + 1, *(jnp.where(good, new, old) for new, old in found), size

    def goes_on(state: Any) -> Any:
        return (state[5] < end - 1e-9) & (state[0] < most)

    begin = jnp.int32(0), start[0], start[1], *slope(start[0], start[1]), jnp.float64(0), jnp.float64(1e-3)
    count, u, v, *_ = lax.while_loop(goes_on, step, begin)
    return [jnp.stack([u, v]), count]


WORKLOADS = (
    task(
        "blowflies-grad",
        "numbers of blowflies in 8 cages, which breed after 15 days, 2,000 days, with gradient in three parameters",
        dynamics.blowflies,
        _flies,
        _blowflies,
        _blowflies_tuned,
        close(1e-8),
    ),
    task(
        "energies",
        "6 energies of a particle in a well by halving, 400 points, nested loops",
        dynamics.energies,
        _well,
        _energies,
        _energies_tuned,
        close(1e-8),
    ),
    task(
        "brusselator",
        "a chemical clock by steps that adapt, until the end",
        dynamics.brusselator,
        _clock,
        _brusselator,
        _brusselator_tuned,
        close(1e-8),
    ),
)
