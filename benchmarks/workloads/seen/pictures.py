"""A fractal, depth from two pictures, points that are laid over others and a crystal of snow."""

# ruff: noqa: N806 - matrices have the names that the field gives them

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import pictures
from benchmarks.programs.seen.pictures import (
    APART,
    ARMS,
    DRIVE,
    HEAT,
    LARGE,
    NEVER,
    PACE,
    SLOWNESS,
    SMALL,
    STEEP,
    THICK,
    TURNED,
    UNEVEN,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _plane(_: np.random.Generator, scale: Scale) -> Inputs:
    rows, columns = scale.pick((200, 300), quick=(12, 17))
    y, x = np.meshgrid(np.linspace(-1.2, 1.2, rows), np.linspace(-2.2, 1.0, columns), indexing="ij")
    return inputs(x, y, most=scale.steps(200, quick=30))


def _escape_times(x: Any, y: Any, most: int) -> Any:
    def step(carry: tuple[Any, ...], _: None) -> tuple[tuple[Any, ...], None]:
        a, b, count = carry
        inside = a**2 + b**2 <= 4
        new_a, new_b = a**2 - b**2 + x, 2 * a * b + y
        return (jnp.where(inside, new_a, a), jnp.where(inside, new_b, b), count + inside.astype("int32")), None

    start = (jnp.zeros_like(x), jnp.zeros_like(x), jnp.zeros(x.shape, "int32"))
    return lax.scan(step, start, None, most)[0][2]


def _escape_times_tuned(x: Any, y: Any, most: int) -> Any:
    """Tiles one by one, each until its last point has left or all steps are done, ten steps between looks; points that
    left go on to infinity; counts are floats."""
    several = 10 if most % 10 == 0 else 1
    rows, columns = x.shape
    tall, wide = math.gcd(rows, 10), math.gcd(columns, 20)

    def tiles(value: Any) -> Any:
        return value.reshape(rows // tall, tall, columns // wide, wide).swapaxes(1, 2).reshape(-1, tall * wide)

    def tile(at: tuple[Any, Any]) -> Any:
        x, y = at

        def steps(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            i, a, b, count, _ = carry
            for _ in range(several):
                a_2, b_2 = a * a, b * b
                inside = a_2 + b_2 <= 4
                count = count + jnp.where(inside, 1.0, 0.0)
                a, b = a_2 - b_2 + x, 2 * a * b + y
            return i + several, a, b, count, inside.any()

        start = (0, jnp.zeros_like(x), jnp.zeros_like(x), jnp.zeros_like(x), True)
        return lax.while_loop(lambda carry: (carry[0] < most) & carry[4], steps, start)[3]

    count = lax.map(tile, (tiles(x), tiles(y))).astype("int32")
    return count.reshape(rows // tall, columns // wide, tall, wide).swapaxes(1, 2).reshape(rows, columns)


def _pair(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Pictures of flat shapes at several depths in front of a wall, with noise."""
    rows, columns, depths = scale.pick((120, 192, 32), quick=(9, 20, 5))
    shift = np.full((rows, columns), 2 if scale.quick else 6)
    for _ in range(6):
        top, side = rng.integers(0, rows // 2), rng.integers(0, columns // 2)
        shift[top : top + rows // 3, side : side + columns // 4] = rng.integers(1, depths)
    right = rng.integers(0, 256, (rows, columns))
    source = np.maximum(np.arange(columns) - shift, 0)
    left = np.clip(np.take_along_axis(right, source, axis=1) + rng.integers(-8, 9, (rows, columns)), 0, 255)
    return inputs(left.astype("int32"), right.astype("int32"), depths=depths)


def _stereo(left: Any, right: Any, depths: int) -> list[Any]:
    width, first = left.shape[1], depths - 1
    costs = [jnp.abs(left[:, first:] - right[:, first - depth : width - depth]) for depth in range(depths)]
    cost = jnp.stack(costs, axis=2)

    def along(before: Any, cost_t: Any) -> tuple[Any, Any]:
        least = before.min(axis=1, keepdims=True)
        lower = jnp.pad(before[:, :-1], ((0, 0), (1, 0)), constant_values=NEVER)
        higher = jnp.pad(before[:, 1:], ((0, 0), (0, 1)), constant_values=NEVER)
        near = jnp.minimum(before, jnp.minimum(lower, higher) + SMALL)
        new = cost_t + jnp.minimum(near, least + LARGE) - least
        return new, new

    def both(cost: Any) -> Any:
        start = jnp.zeros_like(cost[0])
        return lax.scan(along, start, cost)[1] + lax.scan(along, start, cost, reverse=True)[1]

    total = both(cost) + both(cost.transpose(1, 0, 2)).transpose(1, 0, 2)
    return [jnp.argmin(total, axis=2).astype("int32"), total.min(axis=2).sum()]


def _stereo_tuned(left: Any, right: Any, depths: int) -> list[Any]:
    """Integers of 16 bits, as costs are small; the second way adds to the sums of the first; the least cost together
    with its shift, in one minimum."""
    width, first = left.shape[1], depths - 1
    left, right = left.astype("int16"), right.astype("int16")
    costs = [jnp.abs(left[:, first:] - right[:, first - depth : width - depth]) for depth in range(depths)]

    def along(before: Any, cost_t: Any) -> Any:
        least = before.min(axis=0)
        lower = jnp.pad(before[:-1], ((1, 0), (0, 0)), constant_values=NEVER)
        higher = jnp.pad(before[1:], ((0, 1), (0, 0)), constant_values=NEVER)
        near = jnp.minimum(before - least, jnp.minimum(lower, higher) - (least - SMALL))
        return cost_t + jnp.minimum(near, jnp.int16(LARGE))

    def both(cost: Any) -> Any:
        start = jnp.zeros_like(cost[0])

        def forth(before: Any, cost_t: Any) -> tuple[Any, Any]:
            new = along(before, cost_t)
            return new, new

        def back(before: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
            new = along(before, now[0])
            return new, new + now[1]

        return lax.scan(back, start, (cost, lax.scan(forth, start, cost)[1]), reverse=True)[1]

    down = both(jnp.stack(costs, axis=1))
    across = both(jnp.stack([one.T for one in costs], axis=1))
    total = down + across.transpose(2, 1, 0)
    both_of = total.astype("int32") * depths + jnp.arange(depths, dtype="int32")[:, None]
    least = both_of.min(axis=1)
    return [least % depths, (least // depths).sum(dtype="int32")]


def _clouds(rng: np.random.Generator, scale: Scale) -> Inputs:
    """A bent sheet, seen twice with noise from two sides."""
    count, other = scale.pick((500, 700), quick=(20, 30))

    def sheet(count: int) -> Any:
        u, v = rng.random((2, count)) * 2 - 1
        return np.stack([u, 0.6 * v, 0.5 * np.sin(2 * u) + 0.3 * v**2 + 0.2 * u], axis=1)

    turn = np.array([[math.cos(0.5), -math.sin(0.5), 0], [math.sin(0.5), math.cos(0.5), 0], [0, 0, 1]])
    points = sheet(count) @ turn + np.array([0.3, -0.2, 0.1]) + 0.005 * rng.normal(size=(count, 3))
    return inputs(points, sheet(other), np.array(1e-12), most=scale.steps(200))


def _point_clouds(points: Any, others: Any, tolerance: Any, most: int) -> list[Any]:
    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, points, error, _ = carry
        square = ((points[:, None] - others) ** 2).sum(axis=2)
        nearest = others[jnp.argmin(square, axis=1)]
        middle, to = points.mean(axis=0), nearest.mean(axis=0)
        U, _, Vt = jnp.linalg.svd((points - middle).T @ (nearest - to))
        R = U @ jnp.diag(jnp.array([1.0, 1.0, jnp.linalg.det(U @ Vt)])) @ Vt
        return i + 1, (points - middle) @ R + to, square.min(axis=1).mean(), error

    def goes_on(carry: tuple[Any, ...]) -> Any:
        i, _, error, before = carry
        return (i < most) & (jnp.abs(error - before) >= tolerance)

    _, points, error, _ = lax.while_loop(goes_on, step, (0, points, jnp.float64(1e9), jnp.float64(0)))
    return [points, error]


def _point_clouds_tuned(points: Any, others: Any, tolerance: Any, most: int) -> list[Any]:
    """Axes in rows; squares of distances less what a point has by itself, which are sums of products; first place of
    the least as a minimum of numbers."""
    count, many = len(points), len(others)
    columns, place = others.T, jnp.arange(many, dtype="int32")
    square_of = (others * others).sum(axis=1)
    twice = -2 * columns

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, p, error, _ = carry
        less = square_of + p[0][:, None] * twice[0] + p[1][:, None] * twice[1] + p[2][:, None] * twice[2]
        least = less.min(axis=1)
        nearest = jnp.where(less == least[:, None], place, many).min(axis=1)
        q = columns.at[:, nearest].get(mode="promise_in_bounds")
        new_error = (least.sum() + (p * p).sum()) / count
        middle, to = p.mean(axis=1, keepdims=True), q.mean(axis=1, keepdims=True)
        p = p - middle
        U, _, Vt = jnp.linalg.svd(p @ (q - to).T)
        both = U @ Vt
        sign = both[0] @ jnp.cross(both[1], both[2])
        R = both + (sign - 1) * jnp.outer(U[:, 2], Vt[2])
        return i + 1, R.T @ p + to, new_error, error

    def goes_on(carry: tuple[Any, ...]) -> Any:
        i, _, error, before = carry
        return (i < most) & (jnp.abs(error - before) >= tolerance)

    _, p, error, _ = lax.while_loop(goes_on, step, (0, points.T, jnp.float64(1e9), jnp.float64(0)))
    return [p.T, error]


def _seed(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(64, quick=14)
    at = np.arange(size) - size // 2
    phase = 1.0 * (at[:, None] ** 2 + at**2 < size / 2)
    return inputs(phase, 0.02 * rng.random((size, size)), steps=scale.steps(150, quick=12))


def _snow_crystal(phase: Any, heat: Any, steps: int) -> list[Any]:
    def slope(value: Any, axis: int) -> Any:
        return (jnp.roll(value, -1, axis) - jnp.roll(value, 1, axis)) / (2 * APART)

    def curvature(value: Any) -> Any:
        around = [jnp.roll(value, by, axis) for by in (1, -1) for axis in (0, 1)]
        return (sum(around) - 4 * value) / APART**2

    def step(carry: tuple[Any, Any], _: None) -> tuple[Any, None]:
        phase, heat = carry
        down, across = slope(phase, 0), slope(phase, 1)
        angle = ARMS * (jnp.arctan2(down, across) - TURNED)
        width = THICK * (1 + UNEVEN * jnp.cos(angle))
        change = -THICK * ARMS * UNEVEN * jnp.sin(angle)
        bent = slope(width * change * across, 0) - slope(width * change * down, 1)
        drive = DRIVE / jnp.pi * jnp.arctan(STEEP * (1 - heat))
        grows = phase * (1 - phase) * (phase - 0.5 + drive)
        new = phase + PACE / SLOWNESS * (bent + width**2 * curvature(phase) + grows)
        return (new, heat + PACE * curvature(heat) + HEAT * (new - phase)), None

    (phase, heat), _ = lax.scan(step, (phase, heat), None, steps)
    return [phase, heat]


def _snow_crystal_tuned(phase: Any, heat: Any, steps: int) -> list[Any]:
    """Cosine and sine of six times the angle from powers of the slope's direction, without an angle; cells with a
    border, of which slices are read."""
    cosine, sine = math.cos(ARMS * TURNED), math.sin(ARMS * TURNED)

    def bordered(value: Any) -> Any:
        value = jnp.concatenate([value[-1:], value, value[:1]])
        return jnp.concatenate([value[:, -1:], value, value[:, :1]], axis=1)

    def sides(value: Any) -> tuple[Any, ...]:
        return value[:-2, 1:-1], value[2:, 1:-1], value[1:-1, :-2], value[1:-1, 2:]

    def step(carry: tuple[Any, Any], _: None) -> tuple[Any, None]:
        phase, heat = carry
        above, below, before, after = sides(bordered(phase))
        down, across = (below - above) * (0.5 / APART), (after - before) * (0.5 / APART)
        curved = ((above + below) + (before + after) - 4 * phase) * (1 / APART**2)
        square = down * down + across * across
        flat = square == 0
        inverse = 1 / jnp.where(flat, 1.0, square)
        a, b = (across * across - down * down) * inverse, 2 * (across * down) * inverse
        a = jnp.where(flat, 1.0, a)
        of_a, of_b = a * (a * a - 3 * b * b), b * (3 * a * a - b * b)
        width = THICK * (1 + UNEVEN * (of_a * cosine + of_b * sine))
        both = width * (of_b * cosine - of_a * sine) * (-THICK * ARMS * UNEVEN)
        above, below, _, _ = sides(bordered(both * across))
        _, _, before, after = sides(bordered(both * down))
        bent = ((below - above) - (after - before)) * (0.5 / APART)
        drive = DRIVE / jnp.pi * jnp.arctan(STEEP * (1 - heat))
        grows = phase * (1 - phase) * (phase - 0.5 + drive)
        change = PACE / SLOWNESS * (bent + width * width * curved + grows)
        above, below, before, after = sides(bordered(heat))
        spread = (PACE / APART**2) * ((above + below) + (before + after) - 4 * heat)
        return (phase + change, heat + spread + HEAT * change), None

    (phase, heat), _ = lax.scan(step, (phase, heat), None, steps)
    return [phase, heat]


WORKLOADS = (
    task(
        "escape-times",
        "Mandelbrot's set at 200 by 300 points, 200 steps",
        pictures.escape_times,
        _plane,
        _escape_times,
        _escape_times_tuned,
    ),
    task(
        "stereo",
        "shifts up to 32 between two pictures of 120 by 192, costs from four sides",
        pictures.stereo,
        _pair,
        _stereo,
        _stereo_tuned,
    ),
    task(
        "point-clouds",
        "500 points that are turned and moved over 700 others, until the distance rests",
        pictures.point_clouds,
        _clouds,
        _point_clouds,
        _point_clouds_tuned,
        close(1e-6),
    ),
    task(
        "snow-crystal",
        "phase field of a crystal on 64 by 64 cells, 150 steps",
        pictures.snow_crystal,
        _seed,
        _snow_crystal,
        _snow_crystal_tuned,
        close(1e-7),
    ),
)
