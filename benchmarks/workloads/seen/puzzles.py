"""Queens on a board, water in pipes, a way around obstacles and steps that only rise."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import puzzles
from benchmarks.programs.seen.puzzles import LARGEST, LENGTH, NEAR
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _board(_: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(11, quick=5)
    return inputs(np.array(2**size - 1, "int32"), size=size, most=scale.steps(500_000))


def _queens(full: Any, size: int, most: int) -> list[Any]:
    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, row, columns, left, right, free, ways, tries = carry
        here = free[row]
        stuck, last = here == 0, row == size - 1
        queen = here & -here
        free = free.at[row].set(here & ~queen)
        taken, to_left, to_right = columns[row] | queen, (left[row] | queen) << 1, (right[row] | queen) >> 1
        after = jnp.where(~stuck & ~last, row + 1, size)
        columns, left = columns.at[after].set(taken, mode="drop"), left.at[after].set(to_left, mode="drop")
        right = right.at[after].set(to_right, mode="drop")
        free = free.at[after].set(full & ~(taken | to_left | to_right), mode="drop")
        row = jnp.where(stuck, row - 1, jnp.where(last, row, row + 1))
        return i + 1, row, columns, left, right, free, ways + (~stuck & last), tries + ~stuck

    zeros = jnp.zeros(size, "int32")
    zero = jnp.int32(0)
    start = (0, zero, zeros, zeros, zeros, zeros.at[0].set(full), zero, zero)
    found = lax.while_loop(lambda carry: (carry[0] < most) & (carry[1] >= 0), step, start)
    return [found[6], found[7]]


def _queens_tuned(full: Any, size: int, most: int) -> list[Any]:
    """The row that is tried is not in the arrays, where rows before it wait; the last row at once, by the number of its
    free places."""

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        row, here, waiting, ways, tries = carry
        columns, left, right, free = here
        last = row == size - 1
        queen = free & -free
        waiting = tuple(
            lax.dynamic_update_index_in_dim(array, value, row, 0)
            for array, value in zip(waiting, (columns, left, right, free & ~queen), strict=True)
        )
        back = last | (free == 0)
        count = lax.population_count(free)
        ways = ways + jnp.where(last, count, 0)
        tries = tries + jnp.where(last, count, jnp.where(back, 0, 1))
        taken, to_left, to_right = columns | queen, (left | queen) << 1, (right | queen) >> 1
        deeper = (taken, to_left, to_right, full & ~(taken | to_left | to_right))
        before = jnp.maximum(row - 1, 0)
        here = tuple(
            jnp.where(back, lax.dynamic_index_in_dim(array, before, keepdims=False), value)
            for array, value in zip(waiting, deeper, strict=True)
        )
        return row + jnp.where(back, -1, 1).astype("int32"), here, waiting, ways, tries

    zero = jnp.int32(0)
    waiting = (jnp.zeros(size, "int32"),) * 4
    start = (zero, (zero, zero, zero, full), waiting, zero, zero)
    found = lax.while_loop(lambda carry: carry[0] >= 0, step, start)
    return [found[3], found[4]]


def _pipes(rng: np.random.Generator, scale: Scale) -> Inputs:
    count = scale.pick(250, quick=8)
    place = rng.random((count, 2))
    place[0], place[-1] = 0, 1
    near = np.linalg.norm(place[:, None] - place, axis=2) < scale.pick(0.3, quick=0.8)
    room = np.where(near, rng.integers(1, 100, (count, count)), 0)
    np.fill_diagonal(room, 0)
    return inputs(room.astype("int32"), most=scale.steps(1_000))


def _max_flow(room: Any, most: int) -> list[Any]:
    count = len(room)
    node, sink = jnp.arange(count), count - 1

    def search(room: Any) -> tuple[Any, Any]:
        def layer(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            reached, newest, before = carry
            open_to = newest[:, None] & (room > 0)
            new = open_to.any(axis=0) & ~reached
            return reached | new, new, jnp.where(new, jnp.argmax(open_to, axis=0).astype("int32"), before)

        start = (node == 0, node == 0, jnp.zeros(count, "int32"))
        reached, _, before = lax.while_loop(lambda carry: ~carry[0][sink] & carry[1].any(), layer, start)
        return reached, before

    def augment(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, room, total, _ = carry
        reached, before = search(room)

        def narrow(carry: tuple[Any, Any]) -> tuple[Any, Any]:
            place, least = carry
            return before[place], jnp.minimum(least, room[before[place], place])

        def take(carry: tuple[Any, Any]) -> tuple[Any, Any]:
            place, room = carry
            to = before[place]
            return to, room.at[to, place].add(-flow).at[place, to].add(flow)

        _, least = lax.while_loop(lambda carry: carry[0] != 0, narrow, (jnp.int32(sink), jnp.int32(LARGEST)))
        flow = jnp.where(reached[sink], least, 0)
        _, room = lax.while_loop(lambda carry: carry[0] != 0, take, (jnp.int32(sink), room))
        return i + 1, room, total + flow, reached

    start = (0, room, jnp.int32(0), node <= sink)
    _, _, total, reached = lax.while_loop(lambda carry: (carry[0] < most) & carry[3][sink], augment, start)
    return [total, reached]


def _max_flow_tuned(room: Any, most: int) -> list[Any]:
    """The search finds the room of a way, too, and which node is before, in one minimum; one loop goes back. Rows are
    places that are left to."""
    count = len(room)
    node, sink = jnp.arange(count, dtype="int32"), count - 1

    def read(array: Any, place: Any) -> Any:
        return lax.dynamic_index_in_dim(array, place, keepdims=False)

    def augment(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, room, total, _ = carry

        def layer(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            reached, newest, before, _ = carry
            first = jnp.where(newest[:, None] & (room > 0), node[:, None], count).min(axis=0)
            new = (first < count) & ~reached
            return reached | new, new, jnp.where(new, first, before), new.any() & ~new[sink]

        start = (node == 0, node == 0, jnp.zeros(count, "int32"), True)
        reached, _, before, _ = lax.while_loop(lambda carry: carry[3], layer, start)

        def narrow(carry: tuple[Any, Any]) -> tuple[Any, Any]:
            place, least = carry
            to = read(before, place)
            return to, jnp.minimum(least, room.at[to, place].get(mode="promise_in_bounds"))

        def take(carry: tuple[Any, Any]) -> tuple[Any, Any]:
            place, room = carry
            to = read(before, place)
            there = room.at[to, place].get(mode="promise_in_bounds") - flow
            room = lax.dynamic_update_slice(room, there[None, None], (to, place))
            back = room.at[place, to].get(mode="promise_in_bounds") + flow
            return to, lax.dynamic_update_slice(room, back[None, None], (place, to))

        end = jnp.where(reached[sink], sink, 0).astype("int32")
        _, least = lax.while_loop(lambda carry: carry[0] != 0, narrow, (end, jnp.int32(LARGEST)))
        flow = jnp.where(reached[sink], least, 0)
        _, room = lax.while_loop(lambda carry: carry[0] != 0, take, (end, room))
        return i + 1, room, total + flow, reached

    start = (0, room, jnp.int32(0), node <= sink)
    _, _, total, reached = lax.while_loop(lambda carry: (carry[0] < most) & carry[3][sink], augment, start)
    return [total, reached]


def _obstacles(rng: np.random.Generator, scale: Scale) -> Inputs:
    start, goal = np.array([0.05, 0.05]), np.array([0.95, 0.95])
    centre, radius = rng.random((30, 2)), 0.03 + 0.06 * rng.random(30)
    away = [np.linalg.norm(centre - end, axis=1) > radius + 0.05 for end in (start, goal)]
    kept = away[0] & away[1]
    sample = rng.random((scale.steps(4_000, quick=900), 2))
    sample[::20] = goal
    return inputs(sample, start, goal, centre[kept], radius[kept])


def _exploring_tree(sample: Any, start: Any, goal: Any, centre: Any, radius: Any) -> list[Any]:
    most = len(sample) + 1
    norm = jnp.linalg.norm

    def grow(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, nodes, before, count, _ = carry
        point = sample[i]
        apart = jnp.where(jnp.arange(most) < count, norm(nodes - point, axis=1), jnp.inf)
        nearest = jnp.argmin(apart)
        origin = nodes[nearest]
        new = origin + (point - origin) * jnp.minimum(1.0, LENGTH / apart[nearest])
        along = new - origin
        part = jnp.clip((centre - origin) @ along / (along @ along), 0, 1)
        closest = origin + part[:, None] * along
        free = jnp.all(norm(centre - closest, axis=1) > radius)
        nodes = jnp.where(free, nodes.at[count].set(new), nodes)
        before = jnp.where(free, before.at[count].set(nearest.astype("int32")), before)
        return i + 1, nodes, before, count + free, free & (norm(new - goal) < NEAR)

    nodes = jnp.zeros((most, 2)).at[0].set(start)
    begin = (0, nodes, jnp.zeros(most, "int32"), jnp.int32(1), False)
    _, nodes, before, count, _ = lax.while_loop(lambda carry: (carry[0] < most - 1) & ~carry[4], grow, begin)

    def back(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        place, length, parts = carry
        to = before[place]
        return to, length + norm(nodes[place] - nodes[to]), parts + 1

    found = lax.while_loop(lambda carry: carry[0] != 0, back, (count - 1, jnp.float64(0), jnp.int32(0)))
    return [found[1], found[2], count]


def _exploring_tree_tuned(sample: Any, start: Any, goal: Any, centre: Any, radius: Any) -> list[Any]:
    """Squares of lengths; places that are not yet taken are far away; the least and its first place in columns; lengths
    from the start are kept with nodes, so that nothing goes back."""
    steps, lanes, far = len(sample), 64, 1e3
    rows = -(-(steps + 1) // lanes)
    place = jnp.arange(rows * lanes, dtype="int32").reshape(rows, lanes)
    square_of, centre = radius * radius, centre.T

    def grow(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, x, y, length, parts, count, _ = carry
        point = lax.dynamic_index_in_dim(sample, i, keepdims=False)
        to_x, to_y = x - point[0], y - point[1]
        square = to_x * to_x + to_y * to_y
        least = square.min(axis=0).min()
        nearest = jnp.where(square == least, place, steps).min(axis=0).min()
        row, column = nearest // lanes, nearest % lanes

        def read(array: Any) -> Any:
            return array.at[row, column].get(mode="promise_in_bounds")

        apart = jnp.sqrt(least)
        share = jnp.minimum(1.0, LENGTH / apart)
        off_x, off_y = read(to_x), read(to_y)
        origin_x, origin_y = point[0] + off_x, point[1] + off_y
        along_x, along_y = -off_x * share, -off_y * share
        moved = share * apart
        c_x, c_y = centre[0] - origin_x, centre[1] - origin_y
        part = jnp.clip((c_x * along_x + c_y * along_y) * (1 / (moved * moved)), 0, 1)
        c_x, c_y = c_x - part * along_x, c_y - part * along_y
        free = jnp.all(c_x * c_x + c_y * c_y > square_of)
        new_x, new_y = origin_x + along_x, origin_y + along_y
        total, number = read(length) + moved, read(parts) + 1
        at = (count // lanes, count % lanes)

        def write(array: Any, value: Any, none: float) -> Any:
            return lax.dynamic_update_slice(array, jnp.where(free, value, none).astype(array.dtype)[None, None], at)

        near = free & ((new_x - goal[0]) ** 2 + (new_y - goal[1]) ** 2 < NEAR**2)
        count = count + free.astype("int32")
        return (
            i + 1,
            write(x, new_x, far),
            write(y, new_y, far),
            write(length, total, 0),
            write(parts, number, 0),
            count,
            near,
        )

    empty = jnp.full((rows, lanes), far)
    zeros = jnp.zeros((rows, lanes))
    begin = (
        0,
        empty.at[0, 0].set(start[0]),
        empty.at[0, 0].set(start[1]),
        zeros,
        zeros.astype("int32"),
        jnp.int32(1),
        False,
    )
    found = lax.while_loop(lambda carry: (carry[0] < steps) & ~carry[6], grow, begin)
    _, _, _, length, parts, count, _ = found
    return [length.ravel()[count - 1], parts.ravel()[count - 1], count]


def _doses(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(10_000, quick=50)
    rise = np.cumsum(rng.random(size) < 0.05) * 0.02
    return inputs(rise + rng.normal(size=size), 0.2 + rng.random(size))


def _rising_steps(y: Any, weight: Any) -> Any:
    size = len(y)

    def add(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[tuple[Any, ...], None]:
        mean, total, first, count = carry
        i, y_i, weight_i = now
        first = first.at[count].set(i)

        def joins(carry: tuple[Any, ...]) -> Any:
            mean, _, top = carry
            return (top > 0) & (mean[top - 1] >= mean[top])

        def join(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            mean, total, top = carry
            both = total[top - 1] + total[top]
            joined = (mean[top - 1] * total[top - 1] + mean[top] * total[top]) / both
            return mean.at[top - 1].set(joined), total.at[top - 1].set(both), top - 1

        start = (mean.at[count].set(y_i), total.at[count].set(weight_i), count)
        mean, total, top = lax.while_loop(joins, join, start)
        return (mean, total, first, top + 1), None

    place = jnp.arange(size)
    start = (jnp.zeros_like(y), jnp.zeros_like(y), jnp.zeros_like(place), 0)
    (mean, _, first, count), _ = lax.scan(add, start, (place, y, weight))
    ends = jnp.where(place < count, first, size)
    return mean[jnp.searchsorted(ends, place, side="right") - 1]


def _rising_steps_tuned(y: Any, weight: Any) -> Any:
    """One loop, in which a step joins the last two blocks or goes on; the last block is not in the arrays; marks of
    firsts and their sums for a search."""
    size = len(y)
    y, weight = jnp.append(y, jnp.inf), jnp.append(weight, 1.0)

    def read(array: Any, place: Any) -> Any:
        return lax.dynamic_index_in_dim(array, place, keepdims=False)

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, count, arrays, (mean, total, first) = carry
        arrays = tuple(
            lax.dynamic_update_index_in_dim(array, value, count, 0)
            for array, value in zip(arrays, (mean, total, first), strict=True)
        )
        before = tuple(read(array, count - 1) for array in arrays)
        joins = before[0] >= mean
        both = before[1] + total
        joined = ((before[0] * before[1] + mean * total) / both, both, before[2])
        new = (read(y, i), read(weight, i), i)
        last = tuple(jnp.where(joins, one, other) for one, other in zip(joined, new, strict=True))
        return i + jnp.where(joins, 0, 1).astype("int32"), count + jnp.where(joins, -1, 1).astype("int32"), arrays, last

    none = (jnp.full(size + 2, -jnp.inf), jnp.ones(size + 2), jnp.zeros(size + 2, "int32"))
    start = (jnp.int32(1), jnp.int32(1), none, (y[0], weight[0], jnp.int32(0)))
    _, count, (mean, _, first), _ = lax.while_loop(lambda carry: carry[0] <= size, step, start)
    place = jnp.arange(size + 2, dtype="int32")
    marks = jnp.zeros(size + 1, "int32").at[jnp.where((place > 0) & (place < count), first, size)].set(1)
    return mean[jnp.cumsum(marks[:size], dtype="int32")]


WORKLOADS = (
    task(
        "queens",
        "number of ways to place 11 queens on a board, by trial and return",
        puzzles.queens,
        _board,
        _queens,
        _queens_tuned,
    ),
    task(
        "max-flow",
        "greatest flow through a network of 250 nodes by shortest ways, nested loops",
        puzzles.max_flow,
        _pipes,
        _max_flow,
        _max_flow_tuned,
    ),
    task(
        "exploring-tree",
        "way past 30 obstacles by a tree that grows to up to 4,000 random points",
        puzzles.exploring_tree,
        _obstacles,
        _exploring_tree,
        _exploring_tree_tuned,
        close(1e-7),
    ),
    task(
        "rising-steps",
        "rising values nearest to 10,000 weighted ones, by blocks that are joined, nested loops",
        puzzles.rising_steps,
        _doses,
        _rising_steps,
        _rising_steps_tuned,
        close(1e-7),
    ),
)
