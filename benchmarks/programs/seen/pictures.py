"""A fractal, depth from two pictures, points that are laid over others and a crystal of snow."""

# ruff: noqa: N806 - matrices have the names that the field gives them

from __future__ import annotations

import math
from typing import Any

from benchmarks.programs.applications import until

SMALL, LARGE, NEVER = 8, 60, 10_000
PACE, SLOWNESS, APART = 1e-4, 3e-4, 0.03
THICK, UNEVEN, ARMS, TURNED = 0.01, 0.02, 6, 0.2
DRIVE, STEEP, HEAT = 0.9, 10.0, 1.8


def escape_times(aesara: Any, most: int) -> Any:
    """Number of steps ``z -> z * z + c`` from 0 during which ``z`` stays within 2, for each point ``c`` of a picture,
    up to ``most`` (Mandelbrot 1980). Float64 and int32."""
    at = aesara.tensor
    x, y = at.dmatrix("x"), at.dmatrix("y")

    def step(a: Any, b: Any, count: Any) -> list[Any]:
        inside = a**2 + b**2 <= 4
        new_a, new_b = a**2 - b**2 + x, 2 * a * b + y
        count = count + at.cast(inside, "int32")
        return [at.switch(inside, new_a, a), at.switch(inside, new_b, b), count]

    start = [at.zeros_like(x), at.zeros_like(x), at.zeros_like(x, dtype="int32")]
    (_, _, count), updates = aesara.scan(step, outputs_info=start, n_steps=most)
    return aesara.function([x, y], count[-1], updates=updates)


def stereo(aesara: Any, depths: int) -> Any:
    """Shift between two pictures at each place, by costs that are added up from four sides, where a small change of
    the shift costs less than a large one (Hirschmueller 2008), and the sum of least costs. Int32."""
    at = aesara.tensor
    left, right = at.imatrix("left"), at.imatrix("right")
    width = left.shape[1]
    first = depths - 1
    costs = [abs(left[:, first:] - right[:, first - depth : width - depth]) for depth in range(depths)]
    cost = at.stack(costs, axis=2)

    def along(cost_t: Any, before: Any) -> Any:
        least = before.min(axis=1, keepdims=True)
        none = at.zeros_like(least) + NEVER
        lower = at.concatenate([none, before[:, :-1]], axis=1)
        higher = at.concatenate([before[:, 1:], none], axis=1)
        near = at.minimum(before, at.minimum(lower, higher) + SMALL)
        return cost_t + at.minimum(near, least + LARGE) - least

    def both(cost: Any) -> Any:
        start = at.zeros_like(cost[0])
        forth, _ = aesara.scan(along, sequences=cost, outputs_info=start)
        back, _ = aesara.scan(along, sequences=cost, outputs_info=start, go_backwards=True)
        return forth + back[::-1]

    total = both(cost) + both(cost.dimshuffle(1, 0, 2)).dimshuffle(1, 0, 2)
    shift = at.cast(at.argmin(total, axis=2), "int32")
    return aesara.function([left, right], [shift, at.cast(total.min(axis=2).sum(), "int32")])


def point_clouds(aesara: Any, most: int) -> Any:
    """Points that are turned and moved over others, each time to the nearest points of the others, until the mean
    square distance rests (Besl and McKay 1992), and that distance. Float64."""
    at = aesara.tensor
    points, others, tolerance = at.dmatrix("points"), at.dmatrix("others"), at.dscalar("tolerance")

    def step(points: Any, error: Any) -> Any:
        apart = points.dimshuffle(0, "x", 1) - others.dimshuffle("x", 0, 1)
        square = (apart**2).sum(axis=2)
        nearest = others[at.argmin(square, axis=1)]
        new_error = square.min(axis=1).mean()
        middle, to = points.mean(axis=0), nearest.mean(axis=0)
        U, _, Vt = at.linalg.svd(at.dot((points - middle).T, nearest - to))
        sign = at.linalg.det(at.dot(U, Vt))
        R = at.dot(U * at.stack([1.0, 1.0, sign]), Vt)
        moved = at.dot(points - middle, R) + to
        return [moved, new_error], until(aesara, abs(error - new_error) < tolerance)

    start = [points, at.constant(1e9, dtype="float64")]
    (moved, error), updates = aesara.scan(step, outputs_info=start, n_steps=most)
    return aesara.function([points, others, tolerance], [moved[-1], error[-1]], updates=updates)


def snow_crystal(aesara: Any, steps: int) -> Any:
    """Where a crystal with six arms has grown, and the temperature, as a phase field on a ring of cells in two
    directions (Kobayashi 1993). Float64."""
    at = aesara.tensor
    phase, heat = at.dmatrix("phase"), at.dmatrix("heat")

    def slope(value: Any, axis: int) -> Any:
        return (at.roll(value, -1, axis=axis) - at.roll(value, 1, axis=axis)) / (2 * APART)

    def curvature(value: Any) -> Any:
        around = [at.roll(value, by, axis=axis) for by in (1, -1) for axis in (0, 1)]
        return (sum(around) - 4 * value) / APART**2

    def step(phase: Any, heat: Any) -> list[Any]:
        down, across = slope(phase, 0), slope(phase, 1)
        angle = ARMS * (at.arctan2(down, across) - TURNED)
        width = THICK * (1 + UNEVEN * at.cos(angle))
        change = -THICK * ARMS * UNEVEN * at.sin(angle)
        bent = slope(width * change * across, 0) - slope(width * change * down, 1)
        drive = DRIVE / math.pi * at.arctan(STEEP * (1 - heat))
        grows = phase * (1 - phase) * (phase - 0.5 + drive)
        new = phase + PACE / SLOWNESS * (bent + width**2 * curvature(phase) + grows)
        return [new, heat + PACE * curvature(heat) + HEAT * (new - phase)]

    (phase_t, heat_t), updates = aesara.scan(step, outputs_info=[phase, heat], n_steps=steps)
    return aesara.function([phase, heat], [phase_t[-1], heat_t[-1]], updates=updates)
