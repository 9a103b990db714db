"""Cars that follow each other, a car that follows a path, a map from beams of light and places of a robot from what it
saw again."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import vehicles
from benchmarks.programs.seen.vehicles import (
    BASE,
    FASTEST,
    FREE,
    HIT,
    LONG,
    PACE,
    PULL,
    SHARP,
    SPEED,
    SURE,
    TICK,
    TIME,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _platoon(rng: np.random.Generator, scale: Scale) -> Inputs:
    """A leader that brakes now and then, and cars behind it, seen with noise, of other habits than those given."""
    cars, steps = scale.pick(20, quick=4), scale.steps(3_000, quick=60)
    time = TIME * np.arange(steps)
    lead_v = np.maximum(20 + 6 * np.sin(time / 20) + 4 * np.sin(time / 7), 0)
    lead_x = np.concatenate([[0.0], np.cumsum(TIME * (lead_v[:-1] + lead_v[1:]) / 2)])
    start = -30.0 * np.arange(1, cars + 1)
    habits = np.array([30.0, 1.4, 2.5, 1.1, 1.8])
    x, v, seen = start.copy(), np.full(cars, lead_v[0]), np.zeros((steps, cars))
    for t in range(steps):
        before_x, before_v = np.append(lead_x[t], x[:-1]), np.append(lead_v[t], v[:-1])
        wanted = v * habits[1] + v * (v - before_v) / (2 * np.sqrt(habits[3] * habits[4]))
        wanted = habits[2] + np.maximum(wanted, 0)
        force = habits[3] * (1 - (v / habits[0]) ** 4 - (wanted / (before_x - x - LONG)) ** 2)
        new = np.maximum(v + TIME * force, 0)
        x, v = x + TIME * (v + new) / 2, new
        seen[t] = x
    theta = np.log([33.0, 1.6, 2.0, 1.0, 2.0])
    return inputs(lead_x, lead_v, seen + 0.5 * rng.normal(size=seen.shape), start, theta)


def _following(lead_x: Any, lead_v: Any, seen: Any, start: Any, theta: Any) -> list[Any]:
    def cost(theta: Any) -> Any:
        wished, ahead, apart, gain, brake = jnp.exp(theta)

        def step(carry: tuple[Any, Any], lead: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
            x, v = carry
            before_x, before_v = (jnp.append(one, own[:-1]) for one, own in zip(lead, carry, strict=True))
            gap = before_x - x - LONG
            wanted = apart + jnp.maximum(0, v * ahead + v * (v - before_v) / (2 * jnp.sqrt(gain * brake)))
            force = gain * (1 - (v / wished) ** 4 - (wanted / gap) ** 2)
            new_v = jnp.maximum(v + TIME * force, 0)
            x = x + TIME * (v + new_v) / 2
            return (x, new_v), x

        _, x = lax.scan(step, (start, jnp.full_like(start, lead_v[0])), (lead_x, lead_v))
        return ((x - seen) ** 2).mean()

    return list(jax.value_and_grad(cost)(theta))


def _following_tuned(lead_x: Any, lead_v: Any, seen: Any, start: Any, theta: Any) -> list[Any]:
    """The loop back written out, from places and speeds alone; sums for the gradient in parameters after both loops."""
    wished, ahead, apart, gain, brake = jnp.exp(theta)
    rate, narrow = 1 / (2 * jnp.sqrt(gain * brake)), 1 / wished

    def ahead_of(lead: Any, own: Any) -> Any:
        return jnp.concatenate([lead[..., None], own[..., :-1]], axis=-1)

    def parts(x: Any, v: Any, before_x: Any, before_v: Any) -> tuple[Any, ...]:
        inverse = 1 / (before_x - x - LONG)
        closing = v - before_v
        moving = v * (ahead + rate * closing)
        ratio = (apart + jnp.maximum(moving, 0)) * inverse
        share = v * narrow
        return inverse, closing, moving, ratio, share

    def step(carry: tuple[Any, Any], lead: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
        x, v = carry
        _, _, _, ratio, share = parts(x, v, ahead_of(lead[0], x), ahead_of(lead[1], v))
        square = share * share
        new_v = jnp.maximum(v + (TIME * gain) * (1 - square * square - ratio * ratio), 0)
        return (x + (TIME / 2) * (v + new_v), new_v), carry

    (last, last_v), (x, v) = lax.scan(step, (start, jnp.full_like(start, lead_v[0])), (lead_x, lead_v))
    error = jnp.concatenate([x[1:], last[None]]) - seen
    new_v = jnp.concatenate([v[1:], last_v[None]])
    inverse, closing, moving, ratio, share = parts(x, v, ahead_of(lead_x, x), ahead_of(lead_v, v))
    of_moving = jnp.where(moving > 0, (-2 * gain) * ratio * inverse, 0)
    goes = jnp.where(new_v > 0, TIME, 0.0)
    to_gap = 2 * gain * ratio * ratio * inverse
    to_before = -rate * of_moving * v
    to_own = of_moving * (ahead + rate * (closing + v)) - (4 * gain * narrow) * share**3

    def back(carry: tuple[Any, Any], now: tuple[Any, ...]) -> tuple[tuple[Any, Any], Any]:
        of_x, of_v = carry
        error_t, goes_t, to_gap_t, to_before_t, to_own_t = now
        of_x = of_x + error_t
        half = (TIME / 2) * of_x
        of_new = of_v + half
        of_force = goes_t * of_new
        of_gap, of_before = of_force * to_gap_t, of_force * to_before_t
        of_v = half + of_force * (1 / TIME + to_own_t) + jnp.pad(of_before[1:], (0, 1))
        return (of_x - of_gap + jnp.pad(of_gap[1:], (0, 1)), of_v), of_force

    zeros = jnp.zeros_like(start)
    arrays = (error * (2 / error.size), goes, to_gap, to_before, to_own)
    _, of_force = lax.scan(back, (zeros, zeros), arrays, reverse=True)
    fourth = share**4
    of_moving = of_force * of_moving
    of_rate = (of_moving * v * closing).sum() * rate / 2
    slopes = [
        (4 * gain) * (of_force * fourth).sum(),
        ahead * (of_moving * v).sum(),
        (-2 * gain * apart) * (of_force * ratio * inverse).sum(),
        gain * (of_force * (1 - fourth - ratio * ratio)).sum() - of_rate,
        -of_rate,
    ]
    return [(error**2).mean(), jnp.stack(slopes)]


def _course(rng: np.random.Generator, scale: Scale) -> Inputs:
    """A road that winds, as points a fifth of a metre apart."""
    count = scale.pick(3_000, quick=200)
    at = 0.2 * np.arange(count)
    phase = rng.random(3) * 6
    heading = 0.7 * np.sin(at / 25 + phase[0]) + 0.4 * np.sin(at / 11 + phase[1]) + 0.1 * np.sin(at / 5 + phase[2])
    path = 0.2 * np.stack([np.cumsum(np.cos(heading)), np.cumsum(np.sin(heading))], axis=1)
    return inputs(path, heading, np.array([-1.0, 2.0, 0.0, 2.0]), most=scale.steps(4_000))


def _path_tracking(path: Any, heading: Any, start: Any, most: int) -> list[Any]:
    count = len(path)

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        x, y, yaw, speed, worst, steps, _ = carry
        off = jnp.stack([x + BASE * jnp.cos(yaw), y + BASE * jnp.sin(yaw)]) - path
        nearest = jnp.argmin((off**2).sum(axis=1))
        error = off[nearest, 0] * jnp.sin(yaw) - off[nearest, 1] * jnp.cos(yaw)
        turn = heading[nearest] - yaw
        turn = jnp.arctan2(jnp.sin(turn), jnp.cos(turn))
        wheel = jnp.clip(turn + jnp.arctan2(SHARP * error, speed), -0.5, 0.5)
        return (
            x + speed * jnp.cos(yaw) * TICK,
            y + speed * jnp.sin(yaw) * TICK,
            yaw + speed / BASE * jnp.tan(wheel) * TICK,
            speed + jnp.minimum(PULL * (SPEED - speed), FASTEST) * TICK,
            jnp.maximum(worst, jnp.abs(error)),
            steps + 1,
            nearest >= count - 2,
        )

    begin = (*start, jnp.float64(0), jnp.int32(0), False)
    found = lax.while_loop(lambda carry: (carry[5] < most) & ~carry[6], step, begin)
    return list(found[:6])


def _path_tracking_tuned(path: Any, heading: Any, start: Any, most: int) -> list[Any]:
    """The nearest point is sought among 64 around the last one, after the first step. Sines and tangents of sums of
    angles by their parts; headings as directions."""
    count = len(path)
    width = min(64, count)
    points = jnp.stack([path[:, 0], path[:, 1], jnp.cos(heading), jnp.sin(heading)])
    place = jnp.arange(width, dtype="int32")

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        x, y, yaw, speed, worst, steps, nearest = carry
        cosine, sine = jnp.cos(yaw), jnp.sin(yaw)
        first = jnp.clip(nearest - width // 4, 0, count - width)
        near = lax.dynamic_slice(points, (jnp.int32(0), first), (4, width))
        off_x, off_y = x + BASE * cosine - near[0], y + BASE * sine - near[1]
        square = off_x * off_x + off_y * off_y
        least = square.min() * (1 + 1e-14)  # XLA may round the squares otherwise where it compares them
        found = jnp.where(square <= least, place, width).min()
        to_x, to_y = near[2, found], near[3, found]
        error = off_x[found] * sine - off_y[found] * cosine
        turn = jnp.arctan2(to_y * cosine - to_x * sine, to_x * cosine + to_y * sine)
        wheel = jnp.clip(turn + jnp.arctan2(SHARP * error, speed), -0.5, 0.5)
        far = speed * TICK
        return (
            x + far * cosine,
            y + far * sine,
            yaw + far * (1 / BASE) * jnp.tan(wheel),
            speed + jnp.minimum(PULL * (SPEED - speed), FASTEST) * TICK,
            jnp.maximum(worst, jnp.abs(error)),
            steps + 1,
            first + found,
        )

    front = jnp.stack([start[0] + BASE * jnp.cos(start[2]), start[1] + BASE * jnp.sin(start[2])])
    nearest = jnp.argmin(((front - path) ** 2).sum(axis=1)).astype("int32")
    begin = (*start, jnp.float64(0), jnp.int32(0), jnp.minimum(nearest, count - 3))
    found = lax.while_loop(lambda carry: (carry[5] < most) & (carry[6] < count - 2), step, begin)
    return list(found[:6])


def _rooms(rng: np.random.Generator, scale: Scale) -> Inputs:
    """A robot that goes round a square room with a pillar, and measures walls with noise."""
    size, beams, reach = scale.pick((128, 90, 120), quick=(16, 7, 16))
    steps = scale.steps(200, quick=6)
    turn = np.linspace(0, 2 * np.pi, steps)
    pose = np.stack([size / 2 + 0.3 * size * np.sin(turn), size / 2 + 0.3 * size * np.cos(turn), turn + np.pi / 2], 1)
    beam = np.linspace(-2.2, 2.2, beams)
    angle = pose[:, 2:] + beam
    way = np.stack([np.sin(angle), np.cos(angle)], axis=2)
    walls = np.where(way > 0, size - 3 - pose[:, None, :2], 3 - pose[:, None, :2]) / way
    length = walls.min(axis=2)
    off = pose[:, None, :2] - size / 2
    along = -(off * way).sum(axis=2)
    beside = (off**2).sum(axis=2) - along**2
    radius = 0.08 * size
    pillar = along - np.sqrt(np.maximum(radius**2 - beside, 0))
    length = np.where((beside < radius**2) & (along > 0), np.minimum(length, pillar), length)
    length = np.minimum(length + 0.2 * rng.normal(size=length.shape), reach * PACE + 5)
    return inputs(pose, length, beam, np.zeros((size, size)), reach=reach)


def _occupancy_map(pose: Any, length: Any, beam: Any, grid: Any, reach: int) -> Any:
    along = PACE * (jnp.arange(reach) + 0.5)
    rows, columns = grid.shape

    def step(grid: Any, now: tuple[Any, Any]) -> tuple[Any, None]:
        pose_t, length_t = now
        angle = (pose_t[2] + beam)[:, None]
        row = jnp.floor(pose_t[0] + jnp.sin(angle) * along).astype("int32")
        column = jnp.floor(pose_t[1] + jnp.cos(angle) * along).astype("int32")
        end = length_t[:, None]
        odds = jnp.where(along < end - PACE, FREE, jnp.where(along < end, HIT, 0))
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        grid = grid.at[row, column].add(jnp.where(inside, odds, 0), mode="drop")
        return jnp.clip(grid, -SURE, SURE), None

    return lax.scan(step, grid, (pose, length))[0]


def _occupancy_map_tuned(pose: Any, length: Any, beam: Any, grid: Any, reach: int) -> Any:
    """Cells in a row, which are found for all beams at once; each beam writes its cells one by one until it ends."""
    rows, columns = grid.shape
    beams = len(beam)
    along = PACE * (jnp.arange(reach) + 0.5)

    def step(grid: Any, now: tuple[Any, ...]) -> tuple[Any, None]:
        row_t, column_t, down, across, length_t = now
        row = jnp.floor(row_t + down[:, None] * along).astype("int32")
        column = jnp.floor(column_t + across[:, None] * along).astype("int32")
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        cell = jnp.where(inside, row * columns + column, rows * columns).ravel()
        free = (along < length_t[:, None] - PACE).sum(axis=1, dtype="int32")
        ends = (along < length_t[:, None]).sum(axis=1, dtype="int32")

        def ray(k: Any, grid: Any) -> Any:
            first = k * reach

            def write(grid: Any, i: Any, odds: float) -> Any:
                at = lax.dynamic_index_in_dim(cell, first + i, keepdims=False)
                new = grid.at[at].get(mode="promise_in_bounds") + odds
                return lax.dynamic_update_index_in_dim(grid, new, at, 0)

            grid = lax.fori_loop(0, free[k], lambda i, grid: write(grid, i, FREE), grid)
            return lax.fori_loop(free[k], ends[k], lambda i, grid: write(grid, i, HIT), grid)

        grid = lax.fori_loop(jnp.int32(0), jnp.int32(beams), ray, grid)
        return jnp.clip(grid, -SURE, SURE), None

    angle = pose[:, 2:] + beam
    given = (pose[:, 0], pose[:, 1], jnp.sin(angle), jnp.cos(angle), length)
    return lax.scan(step, jnp.append(grid.ravel(), 0), given)[0][:-1].reshape(rows, columns)


def _loops(rng: np.random.Generator, scale: Scale) -> Inputs:
    """A robot that goes round several times, and sees places of former rounds again."""
    count, around = scale.pick((120, 30), quick=(12, 5))
    turn = 2 * np.pi * np.arange(count) / around
    true = np.stack([8 * np.cos(turn) + 0.02 * np.arange(count), 6 * np.sin(turn), turn + np.pi / 2], axis=1)
    first = np.concatenate([np.arange(count - 1), np.arange(0, count - around, 2)])
    second = np.concatenate([np.arange(1, count), np.arange(around, count, 2)])
    step = true[second] - true[first]
    cosine, sine = np.cos(true[first, 2]), np.sin(true[first, 2])
    x, y = cosine * step[:, 0] + sine * step[:, 1], cosine * step[:, 1] - sine * step[:, 0]
    seen = np.stack([x, y, (step[:, 2] + np.pi) % (2 * np.pi) - np.pi], axis=1)
    seen = seen + rng.normal(size=seen.shape) * [0.05, 0.05, 0.02]
    pose = np.zeros((count, 3))
    pose[0] = true[0]
    for k in range(count - 1):
        c, s = np.cos(pose[k, 2]), np.sin(pose[k, 2])
        moved = [c * seen[k, 0] - s * seen[k, 1], s * seen[k, 0] + c * seen[k, 1], seen[k, 2]]
        pose[k + 1] = pose[k] + moved
    weight = np.tile([400.0, 400.0, 2_500.0], (len(first), 1))
    edges = (first.astype("int32"), second.astype("int32"))
    return inputs(pose, seen, weight, *edges, np.array(1e-9), most=scale.steps(30))


def _pose_graph(pose: Any, seen: Any, weight: Any, first: Any, second: Any, tolerance: Any, most: int) -> list[Any]:
    count = len(pose)

    def error(one: Any, other: Any, seen: Any) -> Any:
        cosine, sine = jnp.cos(one[2]), jnp.sin(one[2])
        x, y, turn = other - one
        turn = turn - seen[2]
        turn = jnp.arctan2(jnp.sin(turn), jnp.cos(turn))
        return jnp.stack([cosine * x + sine * y - seen[0], cosine * y - sine * x - seen[1], turn])

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, pose, _, _ = carry
        given = (pose[first], pose[second], seen)
        e = jax.vmap(error)(*given)
        A, B = jax.vmap(jax.jacfwd(error, (0, 1)))(*given)
        A_w, B_w = (jnp.swapaxes(J * weight[:, :, None], 1, 2) for J in (A, B))
        H = jnp.zeros((count, count, 3, 3))
        H = H.at[first, first].add(A_w @ A).at[first, second].add(A_w @ B)
        H = H.at[second, first].add(B_w @ A).at[second, second].add(B_w @ B)
        H = H.at[0, 0].add(jnp.eye(3))
        b = jnp.zeros((count, 3)).at[first].add((A_w @ e[:, :, None])[:, :, 0])
        b = b.at[second].add((B_w @ e[:, :, None])[:, :, 0])
        change = jnp.linalg.solve(H.transpose(0, 2, 1, 3).reshape(3 * count, 3 * count), -b.ravel())
        return i + 1, pose + change.reshape(count, 3), (weight * e**2).sum(), jnp.abs(change).max()

    start = (0, pose, jnp.float64(0), jnp.inf)
    found = lax.while_loop(lambda carry: (carry[0] < most) & (carry[3] >= tolerance), step, start)
    return [found[1], found[2]]


def _pose_graph_tuned(
    pose: Any, seen: Any, weight: Any, first: Any, second: Any, tolerance: Any, most: int
) -> list[Any]:
    """The lower half of the matrix, written in place, and Cholesky factors; an edge goes to a later pose."""
    count = len(pose)
    which = jnp.concatenate([first, second, second])
    other_of = jnp.concatenate([first, second, first])
    axis = jnp.arange(3)
    rows = 3 * which[:, None, None] + axis[:, None]
    columns = 3 * other_of[:, None, None] + axis
    begin = jnp.zeros((3 * count, 3 * count)).at[axis, axis].set(1)

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, pose, _, _ = carry
        one, other = pose[first].T, pose[second].T
        cosine, sine = jnp.cos(one[2]), jnp.sin(one[2])
        x, y = other[0] - one[0], other[1] - one[1]
        seen_x, seen_y = cosine * x + sine * y, cosine * y - sine * x
        turn = other[2] - one[2] - seen[:, 2]
        turn = turn - 2 * jnp.pi * jnp.round(turn * (1 / (2 * jnp.pi)))
        e = (seen_x - seen[:, 0], seen_y - seen[:, 1], turn)
        zero, unit = jnp.zeros_like(x), jnp.ones_like(x)
        A = ((-cosine, -sine, seen_y), (sine, -cosine, -seen_x), (zero, zero, -unit))
        B = ((cosine, sine, zero), (-sine, cosine, zero), (zero, zero, unit))
        w = weight.T

        def product(J: Any, K: Any) -> Any:
            parts = [[sum(w[k] * J[k][a] * K[k][b] for k in range(3)) for b in range(3)] for a in range(3)]
            return jnp.stack([jnp.stack(row, axis=-1) for row in parts], axis=-2)

        def gradient(J: Any) -> Any:
            return jnp.stack([sum(w[k] * J[k][a] * e[k] for k in range(3)) for a in range(3)], axis=-1)

        blocks = jnp.concatenate([product(A, A), product(B, B), product(B, A)])
        H = begin.at[rows, columns].add(blocks, mode="promise_in_bounds")
        b = jnp.zeros((count, 3)).at[which[: 2 * len(first)]].add(jnp.concatenate([gradient(A), gradient(B)]))
        L = lax.linalg.cholesky(H, symmetrize_input=False)
        half = lax.linalg.triangular_solve(L, -b.reshape(-1, 1), left_side=True, lower=True)
        change = lax.linalg.triangular_solve(L, half, left_side=True, lower=True, transpose_a=True)
        total = sum((w[k] * e[k] * e[k]).sum() for k in range(3))
        return i + 1, pose + change.reshape(count, 3), total, jnp.abs(change).max()

    start = (0, pose, jnp.float64(0), jnp.inf)
    found = lax.while_loop(lambda carry: (carry[0] < most) & (carry[3] >= tolerance), step, start)
    return [found[1], found[2]]


WORKLOADS = (
    task(
        "following-grad",
        "20 cars behind a leader, 3,000 steps, with gradient in five habits of drivers",
        vehicles.following,
        _platoon,
        _following,
        _following_tuned,
        close(1e-6),
    ),
    task(
        "path-tracking",
        "car that follows a path of 3,000 points to its end",
        vehicles.path_tracking,
        _course,
        _path_tracking,
        _path_tracking_tuned,
        close(1e-6),
    ),
    task(
        "occupancy-map",
        "map of 128 by 128 from 200 times 90 beams of up to 120 cells",
        vehicles.occupancy_map,
        _rooms,
        _occupancy_map,
        _occupancy_map_tuned,
        close(1e-7),
    ),
    task(
        "pose-graph",
        "120 poses by 164 measurements between them, Gauss-Newton steps until they rest",
        vehicles.pose_graph,
        _loops,
        _pose_graph,
        _pose_graph_tuned,
        close(1e-6),
    ),
)
