"""Rivers, light, cloth and gas."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import nature
from benchmarks.programs.seen.nature import (
    COURANT,
    DRAG,
    END,
    GAS,
    HELD,
    LIMIT,
    MELTS_AT,
    PULL,
    ROUTE,
    STIFFNESS,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _weather(rng: np.random.Generator, scale: Scale) -> Inputs:
    days = scale.steps(1_500, quick=20)
    season = np.cos(2 * np.pi * np.arange(days) / 365)
    rain = np.where(rng.random(days) < 0.4, rng.gamma(0.8, 9.0, days), 0.0)
    warmth = 6 - 10 * season + 3 * rng.normal(size=days)
    dryness = np.maximum(1.8 - 1.7 * season, 0.0)
    measured = 2 + 2 * np.convolve(rain, np.exp(-np.arange(30) / 8) / 8)[:days] * rng.gamma(20, 0.05, days)
    logs = np.log([3.0, 200.0, 2.5, 0.3, 0.1, 0.02, 1.5])
    return inputs(rain, warmth, dryness, measured, *map(np.float64, logs))


def _error(q: Any, measured: Any) -> Any:
    flow = jnp.convolve(q, jnp.array(ROUTE))[: len(q)]
    return ((jnp.sqrt(flow + 0.01) - jnp.sqrt(measured + 0.01)) ** 2).mean()


def _runoff(rain: Any, warmth: Any, dryness: Any, measured: Any, *logs: Any) -> list[Any]:
    def cost(logs: Any) -> Any:
        melting, room, shape, fast, middle, slow, sinking = (jnp.exp(one) for one in logs)

        def day(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, Any]:
            snow, soil, upper, lower = carry
            rain_t, warmth_t, dry_t = now
            cold = warmth_t < MELTS_AT
            snow = snow + jnp.where(cold, rain_t, 0.0)
            melt = jnp.minimum(snow, melting * jnp.maximum(warmth_t - MELTS_AT, 0.0))
            water = jnp.where(cold, 0.0, rain_t) + melt
            recharge = water * jnp.minimum(soil / room, 1.0) ** shape
            soil = soil + water - recharge
            soil = jnp.maximum(soil - dry_t * jnp.minimum(soil / (HELD * room), 1.0), 1e-3)
            upper = upper + recharge
            sunk = jnp.minimum(upper, sinking)
            upper, lower = upper - sunk, lower + sunk
            out = fast * jnp.maximum(upper - LIMIT, 0.0) + middle * upper
            return (snow - melt, soil, upper - out, lower - slow * lower), out + slow * lower

        start = tuple(jnp.float64(value) for value in (0.0, 100.0, 10.0, 50.0))
        return _error(lax.scan(day, start, (rain, warmth, dryness))[1], measured)

    value, slopes = jax.value_and_grad(cost)(logs)
    return [value, *slopes]


def _runoff_tuned(rain: Any, warmth: Any, dryness: Any, measured: Any, *logs: Any) -> list[Any]:
    """Slopes of all stores in all parameters in a vector beside each store, forward, so that nothing is kept."""
    values = melting, room, shape, fast, middle, slow, sinking = [jnp.exp(one) for one in logs]
    unit = np.eye(7)
    of_melting, of_room, of_shape, of_fast, of_middle, of_slow, of_sinking = (
        value * jnp.asarray(unit[k]) for k, value in enumerate(values)
    )

    def day(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, Any]:
        (snow, of_snow), (soil, of_soil), (upper, of_upper), (lower, of_lower) = carry
        falls, rain_t, heat, dry_t = now
        snow = snow + falls
        melts = melting * heat
        whole = snow < melts
        melt, of_melt = jnp.where(whole, snow, melts), jnp.where(whole, of_snow, heat * of_melting)
        snow, of_snow = snow - melt, of_snow - of_melt
        water = rain_t + melt
        full = soil / room
        inside = full < 1
        share = jnp.minimum(full, 1.0)
        logarithm = jnp.log(share)
        power = jnp.exp(shape * logarithm)
        of_full = jnp.where(inside, (of_soil - full * of_room) / room, 0.0)
        recharge = water * power
        of_recharge = of_melt * power + recharge * (shape / share * of_full + logarithm * of_shape)
        soil, of_soil = soil + water - recharge, of_soil + of_melt - of_recharge
        wet = soil / (HELD * room)
        lost = dry_t * jnp.minimum(wet, 1.0)
        of_lost = jnp.where(wet < 1, dry_t / (HELD * room) * (of_soil - soil / room * of_room), 0.0)
        above = soil - lost > 1e-3
        soil, of_soil = jnp.where(above, soil - lost, 1e-3), jnp.where(above, of_soil - of_lost, 0.0)
        upper, of_upper = upper + recharge, of_upper + of_recharge
        little = upper < sinking
        sunk, of_sunk = jnp.where(little, upper, sinking), jnp.where(little, of_upper, of_sinking)
        upper, of_upper = upper - sunk, of_upper - of_sunk
        over = jnp.maximum(upper - LIMIT, 0.0)
        out = fast * over + middle * upper
        rate = jnp.where(over > 0, fast, 0.0) + middle
        of_out = over * of_fast + upper * of_middle + rate * of_upper
        upper, of_upper = upper - out, of_upper - of_out
        lower, of_lower = lower + sunk, of_lower + of_sunk
        base, of_base = slow * lower, slow * of_lower + lower * of_slow
        stores = (snow, of_snow), (soil, of_soil), (upper, of_upper), (lower - base, of_lower - of_base)
        return stores, (out + base, of_out + of_base)

    zeros = jnp.zeros(7)
    start = tuple((jnp.float64(value), zeros) for value in (0.0, 100.0, 10.0, 50.0))
    cold = warmth < MELTS_AT
    heat = jnp.maximum(warmth - MELTS_AT, 0.0)
    sequences = (jnp.where(cold, rain, 0.0), jnp.where(cold, 0.0, rain), heat, dryness)
    q, of_q = lax.scan(day, start, sequences)[1]
    value, through = jax.value_and_grad(_error)(q, measured)
    return [value, *(through @ of_q)]


RADII = np.array([22.01, -435.76, -22.21, 20.29, 79.68, -18.40])
DISTANCES = np.array([5.0, 3.26, 6.01, 1.00, 4.75, 2.95])
INDICES = np.array([1.0, 1.6204, 1.0, 1.6200, 1.0, 1.6204, 1.0])


def _triplet(rng: np.random.Generator, scale: Scale) -> Inputs:
    rays = scale.pick(3_000, quick=7)
    radius, turn = 4.5 * np.sqrt(rng.random(rays)), 2 * np.pi * rng.random(rays)
    angle = np.float64(0.1)
    x, y = radius * np.cos(turn), radius * np.sin(turn) - 10 * np.tan(angle)
    return inputs(x, y, angle, 1 / RADII, DISTANCES, INDICES[:-1] / INDICES[1:], np.array([42.0]))


def _lenses(x: Any, y: Any, angle: Any, curvature: Any, distance: Any, ratio: Any, back: Any) -> list[Any]:
    def size(parameters: Any) -> Any:
        curvature, distance, back = parameters

        def surface(carry: tuple[Any, ...], now: tuple[Any, Any, Any]) -> tuple[Any, None]:
            x, y, z, u, v, w = carry
            c, d, mu = now
            to_vertex = (d - z) / w
            x, y = x + to_vertex * u, y + to_vertex * v
            f = c * (x**2 + y**2)
            g = w - c * (x * u + y * v)
            falls = jnp.sqrt(g**2 - c * f)
            further = f / (g + falls)
            x, y, z = x + further * u, y + further * v, further * w
            leaves = jnp.sqrt(1 - mu**2 * (1 - falls**2))
            by = leaves - mu * falls
            return (x, y, z, mu * u - by * c * x, mu * v - by * c * y, mu * w + by * (1 - c * z)), None

        zeros = jnp.zeros_like(x)
        start = (x, y, zeros, zeros, zeros + jnp.sin(angle), zeros + jnp.cos(angle))
        (x_end, y_end, z_end, u, v, w), _ = lax.scan(surface, start, (curvature, distance, ratio))
        left = (back[0] - z_end) / w
        return jnp.var(x_end + left * u) + jnp.var(y_end + left * v)

    value, slopes = jax.value_and_grad(size)((curvature, distance, back))
    return [value, *slopes]


def _lenses_tuned(x: Any, y: Any, angle: Any, curvature: Any, distance: Any, ratio: Any, back: Any) -> list[Any]:
    """Values of a surface computed again on the way back, so that only the rays are kept; a root and its square
    once."""

    def size(parameters: Any) -> Any:
        curvature, distance, back = parameters

        @jax.checkpoint
        def surface(carry: tuple[Any, ...], now: tuple[Any, Any, Any]) -> tuple[Any, None]:
            x, y, z, u, v, w = carry
            c, d, mu = now
            to_vertex = (d - z) / w
            x, y = x + to_vertex * u, y + to_vertex * v
            f = c * (x * x + y * y)
            g = w - c * (x * u + y * v)
            square = g * g - c * f
            falls = jnp.sqrt(square)
            further = f / (g + falls)
            x, y, z = x + further * u, y + further * v, further * w
            by = jnp.sqrt(1 - mu * mu * (1 - square)) - mu * falls
            turn = by * c
            return (x, y, z, mu * u - turn * x, mu * v - turn * y, mu * w + by - turn * z), None

        zeros = jnp.zeros_like(x)
        start = (x, y, zeros, zeros, zeros + jnp.sin(angle), zeros + jnp.cos(angle))
        (x_end, y_end, z_end, u, v, w), _ = lax.scan(surface, start, (curvature, distance, ratio))
        left = (back[0] - z_end) / w
        return jnp.var(x_end + left * u) + jnp.var(y_end + left * v)

    value, slopes = jax.value_and_grad(size)((curvature, distance, back))
    return [value, *slopes]


def _flag(rng: np.random.Generator, scale: Scale) -> Inputs:
    side = scale.pick(24, quick=4)
    row, column = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    points = np.stack([0.05 * column, 0.02 * row, -0.045 * row], axis=2) + 0.001 * rng.normal(size=(side, side, 3))
    gravity = np.array([0.0, 0.0, PULL])
    options = {"steps": scale.steps(50, quick=5), "rounds": scale.pick(10, quick=3)}
    return inputs(points, np.float64(0.05), gravity, **options)


def _cloth(points: Any, rest: Any, gravity: Any, steps: int, rounds: int) -> Any:
    def relax(_: int, p: Any) -> Any:
        right, down = p[:, 1:] - p[:, :-1], p[1:] - p[:-1]
        right = STIFFNESS * (1 - rest / jnp.linalg.norm(right, axis=2, keepdims=True)) * right
        down = STIFFNESS * (1 - rest / jnp.linalg.norm(down, axis=2, keepdims=True)) * down
        p = p.at[:, :-1].add(right).at[:, 1:].add(-right).at[:-1].add(down).at[1:].add(-down)
        return p.at[0].set(points[0])

    def step(carry: tuple[Any, Any], _: None) -> tuple[Any, None]:
        before, now = carry
        moved = now + DRAG * (now - before) + gravity
        return (now, lax.fori_loop(0, rounds, relax, moved)), None

    return lax.scan(step, (points, points), None, steps)[0][1]


def _cloth_tuned(points: Any, rest: Any, gravity: Any, steps: int, rounds: int) -> Any:
    """Coordinates first, so that rows of points are next to each other and squares are summed without a short axis."""
    start = points.transpose(2, 0, 1)

    def pull(apart: Any) -> Any:
        x, y, z = apart
        return STIFFNESS * (1 - rest / jnp.sqrt(x * x + y * y + z * z)) * apart

    def relax(_: int, p: Any) -> Any:
        right, down = pull(p[:, :, 1:] - p[:, :, :-1]), pull(p[:, 1:] - p[:, :-1])
        p = p.at[:, :, :-1].add(right).at[:, :, 1:].add(-right).at[:, :-1].add(down).at[:, 1:].add(-down)
        return p.at[:, 0].set(start[:, 0])

    def step(carry: tuple[Any, Any], _: None) -> tuple[Any, None]:
        before, now = carry
        moved = now + DRAG * (now - before) + gravity[:, None, None]
        return (now, lax.fori_loop(0, rounds, relax, moved)), None

    return lax.scan(step, (start, start), None, steps)[0][1].transpose(1, 2, 0)


def _tube(rng: np.random.Generator, scale: Scale) -> Inputs:
    cells = scale.pick(400, quick=24)
    left = np.arange(cells) < cells // 2
    density, pressure = np.where(left, 1.0, 0.125), np.where(left, 1.0, 0.1)
    return inputs(density, pressure, np.float64(1 / cells), most=scale.steps(2_000))


def _known(state: Any) -> tuple[Any, Any, Any]:
    rho, m, e = state
    u = m / rho
    return rho, u, (GAS - 1) * (e - m * u / 2)


def _shock_tube(density: Any, pressure: Any, width: Any, most: int) -> list[Any]:
    def flux(known: Any) -> tuple[Any, Any, Any]:
        rho, u, p = known
        e = p / (GAS - 1) + rho * u**2 / 2
        fast = jnp.abs(u) + jnp.sqrt(GAS * p / rho)
        return jnp.stack([rho, rho * u, e]), jnp.stack([rho * u, rho * u**2 + p, (e + p) * u]), fast

    def change(state: Any) -> Any:
        q = jnp.pad(jnp.stack(_known(state)), ((0, 0), (2, 2)), mode="edge")
        by = jnp.diff(q, axis=1)
        a, b = by[:, :-1], by[:, 1:]
        slope = jnp.where(a * b > 0, jnp.where(jnp.abs(a) < jnp.abs(b), a, b), 0.0)
        q_left, f_left, fast_left = flux((q[:, 1:-1] + slope / 2)[:, :-1])
        q_right, f_right, fast_right = flux((q[:, 1:-1] - slope / 2)[:, 1:])
        flow = (f_left + f_right) / 2 - jnp.maximum(fast_left, fast_right) * (q_right - q_left) / 2
        return -jnp.diff(flow, axis=1) / width

    def step(carry: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        i, time, state = carry
        rho, u, p = _known(state)
        by = COURANT * width / (jnp.abs(u) + jnp.sqrt(GAS * p / rho)).max()
        by = jnp.minimum(by, END - time)
        first = state + by * change(state)
        second = first + by * change(first)
        return i + 1, time + by, (state + second) / 2

    def goes_on(carry: tuple[Any, Any, Any]) -> Any:
        return (carry[0] < most) & (carry[1] <= END - 1e-12)

    start = jnp.stack([density, jnp.zeros_like(density), pressure / (GAS - 1)])
    return [*_known(lax.while_loop(goes_on, step, (0, jnp.float64(0.0), start))[2])]


def _shock_tube_tuned(density: Any, pressure: Any, width: Any, most: int) -> list[Any]:
    """Both sides of all cells in one array, so that fluxes are computed in one pass; slopes as the smaller of both
    changes where they have one sign; no division but those by densities."""

    def changed(state: Any, by: Any) -> Any:
        known = jnp.stack(_known(state))
        q = jnp.concatenate([known[:, :1], known[:, :1], known, known[:, -1:], known[:, -1:]], axis=1)
        apart = q[:, 1:] - q[:, :-1]
        a, b = apart[:, :-1], apart[:, 1:]
        half = 0.5 * (jnp.maximum(0.0, jnp.minimum(a, b)) + jnp.minimum(0.0, jnp.maximum(a, b)))
        rho, u, p = jnp.stack([q[:, 1:-1] + half, q[:, 1:-1] - half], axis=1)
        m = rho * u
        e = p * (1 / (GAS - 1)) + 0.5 * m * u
        q, f = jnp.stack([rho, m, e]), jnp.stack([m, m * u + p, (e + p) * u])
        fast = jnp.abs(u) + jnp.sqrt(GAS * p / rho)
        fast = jnp.maximum(fast[0, :-1], fast[1, 1:])
        flow = f[:, 0, :-1] + f[:, 1, 1:] - fast * (q[:, 1, 1:] - q[:, 0, :-1])
        return state - by * (flow[:, 1:] - flow[:, :-1])

    def step(carry: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        i, time, state = carry
        rho, u, p = _known(state)
        by = COURANT * width / (jnp.abs(u) + jnp.sqrt(GAS * p / rho)).max()
        by = jnp.minimum(by, END - time)
        half = by * (0.5 / width)
        return i + 1, time + by, 0.5 * (state + changed(changed(state, half), half))

    def goes_on(carry: tuple[Any, Any, Any]) -> Any:
        return (carry[0] < most) & (carry[1] <= END - 1e-12)

    start = jnp.stack([density, jnp.zeros_like(density), pressure / (GAS - 1)])
    return [*_known(lax.while_loop(goes_on, step, (0, jnp.float64(0.0), start))[2])]


WORKLOADS = (
    task(
        "runoff-grad",
        "flow of a river from the weather of 1,500 days, with gradient in seven parameters",
        nature.runoff,
        _weather,
        _runoff,
        _runoff_tuned,
        close(1e-8),
    ),
    task(
        "lenses-grad",
        "3,000 rays through a triplet of lenses, with gradient in curvatures and distances",
        nature.lenses,
        _triplet,
        _lenses,
        _lenses_tuned,
        close(1e-8),
    ),
    task(
        "cloth",
        "cloth of 24 x 24 points, 50 steps of 10 rounds each, nested loops",
        nature.cloth,
        _flag,
        _cloth,
        _cloth_tuned,
        close(1e-8),
    ),
    task(
        "shock-tube",
        "gas in a tube of 400 cells by steps of two stages, until the end",
        nature.shock_tube,
        _tube,
        _shock_tube,
        _shock_tube_tuned,
        close(1e-8),
    ),
)
