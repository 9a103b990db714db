"""Planets, a shallow sea and the way around obstacles."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import worlds
from benchmarks.programs.seen.worlds import ACCURACY, DEPTH, GRAVITY, SUN, TURNING, UNKNOWN
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _orbits(rng: np.random.Generator, scale: Scale) -> Inputs:
    count = scale.pick(8, quick=3)
    radius = np.array([0.39, 0.72, 1.0, 1.52, 5.2, 9.55, 19.2, 30.1])[:count]
    mass = np.array([1.7e-7, 2.4e-6, 3e-6, 3.2e-7, 9.5e-4, 2.9e-4, 4.4e-5, 5.2e-5])[:count]
    angle, tilt = 2 * np.pi * rng.random(count), 0.05 * rng.normal(size=count)
    x = radius[:, None] * np.stack([np.cos(angle), np.sin(angle), np.sin(tilt)], axis=1)
    speed = np.sqrt(SUN / radius) * (1 + 0.05 * rng.normal(size=count))
    v = speed[:, None] * np.stack([-np.sin(angle), np.cos(angle), 0.02 * rng.normal(size=count)], axis=1)
    return inputs(x, v, mass, np.float64(0.01), steps=scale.steps(1_000, quick=10))


def _planets(x: Any, v: Any, mass: Any, dt: Any, steps: int) -> list[Any]:
    pull = SUN * mass

    def apart(x: Any) -> tuple[Any, Any]:
        by = x[:, None] - x
        return by, (by**2).sum(axis=2) + jnp.eye(len(x))

    def kick(x: Any) -> Any:
        by, square = apart(x)
        return -(pull[:, None] * by / (square**1.5)[:, :, None]).sum(axis=1)

    def drift(x: Any, v: Any) -> tuple[Any, Any]:
        r = jnp.linalg.norm(x, axis=1)
        a = 1 / (2 / r - (v**2).sum(axis=1) / SUN)
        n = jnp.sqrt(SUN / a**3)
        cosine, sine = 1 - r / a, (x * v).sum(axis=1) / jnp.sqrt(SUN * a)

        def newton(carry: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            i, angle, _ = carry
            wrong = angle - cosine * jnp.sin(angle) + sine * (1 - jnp.cos(angle)) - n * dt
            by = wrong / (1 - cosine * jnp.cos(angle) + sine * jnp.sin(angle))
            return i + 1, angle - by, jnp.abs(by).max()

        def goes_on(carry: tuple[Any, Any, Any]) -> Any:
            return (carry[0] < 30) & (carry[2] >= ACCURACY)

        _, angle, _ = lax.while_loop(goes_on, newton, (0, n * dt, jnp.inf))
        c, s = jnp.cos(angle), jnp.sin(angle)
        later = a * (1 - cosine * c + sine * s)
        f, g = 1 - a / r * (1 - c), dt + (s - angle) / n
        df, dg = -(a**2) * n / (r * later) * s, 1 - a / later * (1 - c)
        return f[:, None] * x + g[:, None] * v, df[:, None] * x + dg[:, None] * v

    def energy(x: Any, v: Any) -> Any:
        own = mass * ((v**2).sum(axis=1) / 2 - SUN / jnp.linalg.norm(x, axis=1))
        return own.sum() - jnp.triu(SUN * jnp.outer(mass, mass) / jnp.sqrt(apart(x)[1]), 1).sum()

    def step(carry: tuple[Any, Any], _: None) -> tuple[Any, Any]:
        x, v = carry
        v = v + dt / 2 * kick(x)
        x, v = drift(x, v)
        v = v + dt / 2 * kick(x)
        return (x, v), energy(x, v)

    (x, v), found = lax.scan(step, (x, v), None, steps)
    return [x, v, found]


def _planets_tuned(x: Any, v: Any, mass: Any, dt: Any, steps: int) -> list[Any]:
    """Both half kicks between ellipses in one, from the same distances as the energy; planets in the last axis; two
    steps of fourth order (Danby 1988, section 6.6) for Kepler's equation, whose sines and cosines follow from those of
    the step before; energies after the loop but for the part between planets."""
    count = len(mass)
    apart = jnp.eye(count)
    pull = SUN * mass

    def kick(x: Any) -> tuple[Any, Any]:
        by = x[:, :, None] - x[:, None]
        inverse = lax.rsqrt((by * by).sum(axis=0) + apart)
        size = inverse * inverse * inverse * pull
        return -(by * size).sum(axis=2), inverse

    def drift(x: Any, v: Any) -> tuple[Any, Any]:
        r = jnp.sqrt((x * x).sum(axis=0))
        inverse = 2 / r - (v * v).sum(axis=0) / SUN
        root = jnp.sqrt(SUN * inverse)
        n = root * inverse
        cosine, sine = 1 - r * inverse, (x * v).sum(axis=0) * root / SUN
        angle = n * dt
        angle = angle - sine * angle * angle / 2
        for _ in range(2):
            s, c = jnp.sin(angle), jnp.cos(angle)
            second, third = cosine * s + sine * c, cosine * c - sine * s
            wrong, first = angle - cosine * s + sine * (1 - c) - n * dt, 1 - third
            by = -wrong / first
            by = -wrong / (first + by * second / 2)
            by = -wrong / (first + by * second / 2 + by * by * third / 6)
            angle = angle + by
        s, c = jnp.sin(angle), jnp.cos(angle)
        share = 1 / (1 - cosine * c + sine * s)
        less = 1 - c
        f, g = 1 - less / (r * inverse), dt + (s - angle) / n
        df, dg = -root * share * s / r, 1 - less * share
        return f * x + g * v, df * x + dg * v

    def step(carry: tuple[Any, ...], _: None) -> tuple[Any, Any]:
        x, v, force = carry
        x, v = drift(x, v + dt / 2 * force)
        force, inverse = kick(x)
        v = v + dt / 2 * force
        return (x, v, force), (x, v, inverse)

    (x, v, _), (every_x, every_v, inverse) = lax.scan(step, (x.T, v.T, kick(x.T)[0]), None, steps)
    own = (every_v * every_v).sum(axis=1) / 2 - SUN * lax.rsqrt((every_x * every_x).sum(axis=1))
    between = jnp.triu(SUN * jnp.outer(mass, mass), 1)
    found = own @ mass - jnp.einsum("tij,ij->t", inverse, between)
    return [x.T, v.T, found]


def _sea(rng: np.random.Generator, scale: Scale) -> Inputs:
    size, times, every = scale.pick((64, 8, 10), quick=(8, 2, 3))
    place = np.arange(size)
    bump = np.exp(-((place[:, None] - size / 3) ** 2 + (place - size / 2) ** 2) / (size / 8) ** 2)
    height = bump + 0.01 * rng.normal(size=bump.shape)
    measured = 0.3 * rng.normal(size=(times, size, size))
    floats = (array.astype("float32") for array in (height, measured, np.float32(0.03)))
    return inputs(*floats, every=scale.steps(every))


def _shallow_sea(height: Any, measured: Any, rate: Any, every: int) -> list[Any]:
    def cost(height: Any) -> Any:
        def step(carry: tuple[Any, ...], _: None) -> tuple[Any, Any]:
            h, u, v = carry
            right, below = jnp.roll(h, -1, axis=1), jnp.roll(h, -1, axis=0)
            across = v + jnp.roll(v, -1, axis=1) + jnp.roll(v, 1, axis=0) + jnp.roll(v, (1, -1), axis=(0, 1))
            u = u + rate * (TURNING * across / 4 - GRAVITY * (right - h))
            along = u + jnp.roll(u, 1, axis=1) + jnp.roll(u, -1, axis=0) + jnp.roll(u, (-1, 1), axis=(0, 1))
            v = v - rate * (TURNING * along / 4 + GRAVITY * (below - h))
            flow_u, flow_v = (DEPTH + (h + right) / 2) * u, (DEPTH + (h + below) / 2) * v
            h = h - rate * (flow_u - jnp.roll(flow_u, 1, axis=1) + flow_v - jnp.roll(flow_v, 1, axis=0))
            return (h, u, v), h

        rest = jnp.zeros_like(height)
        h = lax.scan(step, (height, rest, rest), None, every * len(measured))[1]
        return ((h[every - 1 :: every] - measured) ** 2).mean()

    return list(jax.value_and_grad(cost)(height))


def _shallow_sea_tuned(height: Any, measured: Any, rate: Any, every: int) -> list[Any]:
    """The adjoint by hand, which reads what the step before left of heights and new speeds; mean speeds as sums of sums
    of neighbours; errors are met on the way back."""
    turn, fall, half = rate * TURNING / 4, rate * GRAVITY, rate / 2

    def right(a: Any) -> Any:
        return jnp.concatenate([a[:, 1:], a[:, :1]], axis=1)

    def left(a: Any) -> Any:
        return jnp.concatenate([a[:, -1:], a[:, :-1]], axis=1)

    def below(a: Any) -> Any:
        return jnp.concatenate([a[1:], a[:1]])

    def above(a: Any) -> Any:
        return jnp.concatenate([a[-1:], a[:-1]])

    def step(carry: tuple[Any, ...], _: None) -> tuple[Any, Any]:
        h, u, v = carry
        h_right, h_below = right(h), below(h)
        pair = v + right(v)
        u = u + turn * (pair + above(pair)) - fall * (h_right - h)
        pair = u + left(u)
        v = v - turn * (pair + below(pair)) - fall * (h_below - h)
        flow_u, flow_v = (rate * DEPTH + half * (h + h_right)) * u, (rate * DEPTH + half * (h + h_below)) * v
        new = h - (flow_u - left(flow_u) + flow_v - above(flow_v))
        return (new, u, v), (h, u, v)

    def some(carry: tuple[Any, ...], _: None) -> tuple[Any, Any]:
        carry, kept = lax.scan(step, carry, None, every)
        return carry, (carry[0], kept)

    def undo(carry: tuple[Any, ...], kept: tuple[Any, ...]) -> tuple[Any, None]:
        of_h, of_u, of_v = carry
        h, u, v = kept
        of_flow_u, of_flow_v = right(of_h) - of_h, below(of_h) - of_h
        by_u, by_v = half * (of_flow_u * u), half * (of_flow_v * v)
        new_h = of_h + by_u + left(by_u) + by_v + above(by_v)
        of_u = of_u + of_flow_u * (rate * DEPTH + half * (h + right(h)))
        of_v = of_v + of_flow_v * (rate * DEPTH + half * (h + below(h)))
        new_h = new_h + fall * (of_v - above(of_v))
        pair = of_v + above(of_v)
        of_u = of_u - turn * (pair + right(pair))
        new_h = new_h + fall * (of_u - left(of_u))
        pair = of_u + below(of_u)
        of_v = of_v + turn * (pair + left(pair))
        return (new_h, of_u, of_v), None

    def back(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[Any, None]:
        wrong, kept = now
        of_h, of_u, of_v = carry
        return lax.scan(undo, (of_h + (2 / measured.size) * wrong, of_u, of_v), kept, reverse=True)

    rest = jnp.zeros_like(height)
    h, kept = lax.scan(some, (height, rest, rest), None, len(measured))[1]
    wrong = h - measured
    (of_h, _, _), _ = lax.scan(back, (rest, rest, rest), (wrong, kept), reverse=True)
    return [(wrong**2).mean(), of_h]


def _map(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(64, quick=7)
    slowness = np.exp(0.3 * rng.normal(size=(size, size)))
    slowness[size // 4 :, size // 3] = slowness[: 3 * size // 4, 2 * size // 3] = 50.0
    start = np.full((size, size), UNKNOWN)
    start[size - 2, 1] = 0.0
    return inputs(start, slowness, most=scale.steps(50))


def _cell(now: Any, left: Any, right: Any, vertical: Any, slow: Any) -> Any:
    across = jnp.minimum(left, right)
    apart = across - vertical
    near = jnp.minimum(across, vertical) + slow
    both = (across + vertical + jnp.sqrt(jnp.maximum(2 * slow**2 - apart**2, 0.0))) / 2
    return jnp.minimum(now, jnp.where(jnp.abs(apart) >= slow, near, both))


def _travel_times(start: Any, slowness: Any, most: int) -> Any:
    def sweep(times: Any, slow: Any) -> Any:
        around = jnp.pad(times, 1, constant_values=UNKNOWN)

        def row(above: Any, now: tuple[Any, ...]) -> tuple[Any, Any]:
            now_r, right_r, below_r, slow_r = now

            def cell(left: Any, now: tuple[Any, ...]) -> tuple[Any, Any]:
                now_c, right, vertical, slow_c = now
                found = _cell(now_c, left, right, vertical, slow_c)
                return found, found

            vertical = jnp.minimum(above, below_r)
            found = lax.scan(cell, jnp.float64(UNKNOWN), (now_r, right_r, vertical, slow_r))[1]
            return found, found

        edge = jnp.full_like(times[0], UNKNOWN)
        return lax.scan(row, edge, (times, around[1:-1, 2:], around[2:, 1:-1], slow))[1]

    def rounds(carry: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        i, times, _ = carry
        new = times
        for down in (1, -1):
            for across in (1, -1):
                new = sweep(new[::down, ::across], slowness[::down, ::across])[::down, ::across]
        return i + 1, new, (times - new).max()

    def goes_on(carry: tuple[Any, Any, Any]) -> Any:
        return (carry[0] < most) & (carry[2] >= 1e-9)

    return lax.while_loop(goes_on, rounds, (0, start, jnp.inf))[1]


def _travel_times_tuned(start: Any, slowness: Any, most: int) -> Any:
    """Cells of a diagonal at once, none of which is beside another; the slowness of all diagonals before the rounds."""
    rows, columns = start.shape
    count = rows + columns - 1

    def skewed(table: Any) -> Any:
        """Diagonals of a map, the first axis: each row one later than that before."""
        flat = jnp.pad(table, ((0, 0), (0, rows)), constant_values=UNKNOWN).ravel()[: rows * count]
        return flat.reshape(rows, count).T

    def straight(diagonals: Any) -> Any:
        return jnp.pad(diagonals.T.ravel(), (0, rows)).reshape(rows, count + 1)[:, :columns]

    ways = [(down, across) for down in (1, -1) for across in (1, -1)]
    slow = [skewed(slowness[::down, ::across]) for down, across in ways]
    unknown = jnp.full(1, UNKNOWN)

    def sweep(times: Any, slow: Any) -> Any:
        diagonals = skewed(times)
        after = jnp.concatenate([diagonals[1:], jnp.full((1, rows), UNKNOWN)])

        def diagonal(before: Any, now: tuple[Any, Any, Any]) -> tuple[Any, Any]:
            now_d, after_d, slow_d = now
            vertical = jnp.minimum(jnp.concatenate([unknown, before[:-1]]), jnp.concatenate([after_d[1:], unknown]))
            found = _cell(now_d, before, after_d, vertical, slow_d)
            return found, found

        edge = jnp.full(rows, UNKNOWN)
        return straight(lax.scan(diagonal, edge, (diagonals, after, slow), unroll=2)[1])

    def rounds(carry: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        i, times, _ = carry
        new = times
        for (down, across), slow_w in zip(ways, slow, strict=True):
            new = sweep(new[::down, ::across], slow_w)[::down, ::across]
        return i + 1, new, (times - new).max()

    def goes_on(carry: tuple[Any, Any, Any]) -> Any:
        return (carry[0] < most) & (carry[2] >= 1e-9)

    return lax.while_loop(goes_on, rounds, (0, start, jnp.inf))[1]


WORKLOADS = (
    task(
        "planets",
        "8 planets for 1,000 steps of ellipses and kicks, Kepler's equation until its angles rest",
        worlds.planets,
        _orbits,
        _planets,
        _planets_tuned,
        close(1e-8),
    ),
    task(
        "shallow-sea-grad",
        "80 steps of a shallow sea of 64 by 64 cells, with the gradient of its error in the first heights",
        worlds.shallow_sea,
        _sea,
        _shallow_sea,
        _shallow_sea_tuned,
        close(1e-3),
    ),
    task(
        "travel-times",
        "times from one of 64 by 64 cells to all by sweeps from four corners until none changes",
        worlds.travel_times,
        _map,
        _travel_times,
        _travel_times_tuned,
        close(1e-8),
    ),
)
