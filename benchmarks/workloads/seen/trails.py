"""An ant, beginnings of a text that come again, a tree that spans points, and players with regrets."""

from __future__ import annotations

from itertools import product
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import trails
from benchmarks.programs.seen.trails import FAR
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _cells(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(64, quick=16)
    cells = np.zeros((size, size), "int32")
    cells[size // 2 : size // 2 + 3, size // 2 : size // 2 + 3] = rng.integers(0, 4, (3, 3))
    return inputs(cells, np.array([1, 1, -1, -1], "int32"), steps=scale.steps(20_000, quick=400))


def _ant(cells: Any, turn: Any, steps: int) -> list[Any]:
    rows, columns = cells.shape
    down, right = jnp.array([-1, 0, 1, 0], "int32"), jnp.array([0, 1, 0, -1], "int32")

    def step(_: Any, carry: tuple[Any, ...]) -> tuple[Any, ...]:
        cells, row, column, heading = carry
        colour = cells[row, column]
        heading = (heading + turn[colour]) % 4
        cells = cells.at[row, column].set((colour + 1) % len(turn))
        return cells, (row + down[heading]) % rows, (column + right[heading]) % columns, heading

    start = (cells, jnp.int32(rows // 2), jnp.int32(columns // 2), jnp.int32(0))
    cells, row, column, _ = lax.fori_loop(0, steps, step, start)
    return [cells, jnp.stack([row, column])]


def _ant_tuned(cells: Any, turn: Any, steps: int) -> list[Any]:
    """The next colour is read after the last is written, so that cells stay where they are; the way on is made of bits
    of the heading, and bounds are met by choices."""
    rows, columns = cells.shape
    colours, turns = len(turn), turn % 4

    def step(carry: tuple[Any, ...], _: None) -> tuple[tuple[Any, ...], None]:
        cells, row, column, heading, colour = carry
        heading = (heading + lax.dynamic_index_in_dim(turns, colour, keepdims=False)) & 3
        new = jnp.where(colour == colours - 1, 0, colour + 1)
        cells = lax.dynamic_update_index_in_dim(cells, new, row * columns + column, 0)
        odd = heading & 1
        row, column = row + (heading - 1) * (1 - odd), column + (2 - heading) * odd
        row = jnp.where(row < 0, rows - 1, jnp.where(row == rows, 0, row))
        column = jnp.where(column < 0, columns - 1, jnp.where(column == columns, 0, column))
        colour = cells.at[row * columns + column].get(mode="promise_in_bounds")
        return (cells, row, column, heading, colour), None

    row, column = rows // 2, columns // 2
    start = (cells.ravel(), jnp.int32(row), jnp.int32(column), jnp.int32(0), cells[row, column])
    (flat, row, column, _, _), _ = lax.scan(step, start, None, steps)
    return [flat.reshape(rows, columns), jnp.stack([row, column])]


def _text(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Words of Fibonacci with changes, so that beginnings come again."""
    size = scale.pick(50_000, quick=60)
    one, other = [0], [0, 1]
    while len(other) < size:
        one, other = other, other + one
    text = np.array(other[:size], "int32")
    text[rng.integers(size // 4, size, max(size // 400, 1))] = 2
    return inputs(text)


def _failure_function(text: Any) -> Any:
    def place(carry: tuple[Any, Any], i: Any) -> tuple[Any, None]:
        table, length = carry

        def fails(length: Any) -> Any:
            return (length > 0) & (text[length] != text[i])

        length = lax.while_loop(fails, lambda length: table[length - 1], length)
        length = length + (text[length] == text[i]).astype("int32")
        return (table.at[i].set(length), length), None

    (table, _), _ = lax.scan(place, (jnp.zeros_like(text), jnp.int32(0)), jnp.arange(1, len(text)))
    return table


def _failure_function_tuned(text: Any) -> Any:
    """One loop, in which a step goes to the next place or to a shorter beginning; what it reads from the table it reads
    after it has written, so that the table stays where it is."""
    size = len(text)

    def read(array: Any, place: Any) -> Any:
        return lax.dynamic_index_in_dim(array, place, keepdims=False)

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, length, table = carry
        same = read(text, i) == read(text, length)
        goes_on = same | (length == 0)
        found = length + same.astype("int32")
        table = lax.dynamic_update_index_in_dim(table, found, i, 0)
        shorter = read(table, jnp.maximum(length - 1, 0))
        return i + goes_on.astype("int32"), jnp.where(goes_on, found, shorter), table

    start = (jnp.int32(1), jnp.int32(0), jnp.zeros_like(text))
    return lax.while_loop(lambda carry: carry[0] < size, step, start)[2]


def _points(rng: np.random.Generator, scale: Scale) -> Inputs:
    return inputs(rng.random((scale.pick(1_000, quick=12), 2)))


def _spanning_tree(points: Any) -> list[Any]:
    count = len(points)

    def join(carry: tuple[Any, ...], _: None) -> tuple[Any, Any]:
        outside, distance, before = carry
        nearest = jnp.argmin(jnp.where(outside, distance, FAR))
        length = distance[nearest]
        outside = outside.at[nearest].set(False)
        to = jnp.linalg.norm(points - points[nearest], axis=1)
        closer = outside & (to < distance)
        return (outside, jnp.where(closer, to, distance), jnp.where(closer, nearest.astype("int32"), before)), length

    distance = jnp.linalg.norm(points - points[0], axis=1)
    start = (jnp.arange(count) > 0, distance, jnp.zeros(count, "int32"))
    (_, _, before), length = lax.scan(join, start, None, count - 1)
    return [before, length.sum()]


def _spanning_tree_tuned(points: Any) -> list[Any]:
    """Squares of lengths, which are far for points of the tree; a least value and its first place, in 32 columns."""
    count, lanes = len(points), 32
    x, y = (jnp.pad(points[:, k], (0, -count % lanes)) for k in range(2))
    x_of, y_of = x.reshape(-1, lanes), y.reshape(-1, lanes)
    place = jnp.arange(len(x), dtype="int32").reshape(-1, lanes)

    def join(carry: tuple[Any, Any], _: None) -> tuple[Any, Any]:
        square, before = carry
        least = square.min(axis=0).min()
        nearest = jnp.where(square == least, place, count).min(axis=0).min()
        apart_x = x_of - x.at[nearest].get(mode="promise_in_bounds")
        apart_y = y_of - y.at[nearest].get(mode="promise_in_bounds")
        to = apart_x * apart_x + apart_y * apart_y
        joined = (square >= FAR) | (place == nearest)
        before = jnp.where(~joined & (to < square), nearest, before)
        return (jnp.where(joined, FAR, jnp.minimum(to, square)), before), least

    first = (x_of - x[0]) ** 2 + (y_of - y[0]) ** 2
    first = jnp.where((place > 0) & (place < count), first, FAR)
    (_, before), squares = lax.scan(join, (first, jnp.zeros_like(place)), None, count - 1)
    return [before.ravel()[:count], jnp.sqrt(squares).sum()]


def _battles(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Fields that soldiers win where they are more (Borel 1921), with fields of different worth."""
    soldiers = scale.pick(13, quick=4)
    ways = np.array([way for way in product(range(soldiers + 1), repeat=3) if sum(way) == soldiers])
    worth = 1 + rng.random(3)
    payoff = np.sign(ways[:, None] - ways[None]) @ worth
    return inputs(payoff + 0.1 * rng.normal(size=payoff.shape), rounds=scale.steps(2_000, quick=20))


def _regrets(payoff: Any, rounds: int) -> list[Any]:
    def strategy(regret: Any) -> Any:
        total = regret.sum()
        return jnp.where(total > 0, regret / jnp.where(total > 0, total, 1.0), 1 / len(regret))

    def play(carry: tuple[Any, ...], time: Any) -> tuple[Any, None]:
        first, second, of_first, of_second = carry
        x, y = strategy(first), strategy(second)
        gains = payoff @ y
        first = jnp.maximum(first + gains - x @ gains, 0)
        x = strategy(first)
        losses = x @ payoff
        second = jnp.maximum(second + losses @ y - losses, 0)
        y = strategy(second)
        return (first, second, of_first + time * x, of_second + time * y), None

    zeros = (jnp.zeros(payoff.shape[0]), jnp.zeros(payoff.shape[1]))
    times = jnp.arange(1, rounds + 1, dtype="float64")
    (_, _, x, y), _ = lax.scan(play, (*zeros, *zeros), times)
    x, y = x / x.sum(), y / y.sum()
    return [x, y, (payoff @ y).max() - (x @ payoff).min()]


def _regrets_tuned(payoff: Any, rounds: int) -> list[Any]:
    """Strategies are carried, not found again; two rounds an iteration."""
    rows, columns = payoff.shape

    def strategy(regret: Any) -> Any:
        total = regret.sum()
        return jnp.where(total > 0, regret * (1 / total), 1 / len(regret))

    def play(carry: tuple[Any, ...], time: Any) -> tuple[Any, None]:
        first, second, x, y, of_first, of_second = carry
        gains = payoff @ y
        first = jnp.maximum(first + (gains - x @ gains), 0)
        x = strategy(first)
        losses = x @ payoff
        second = jnp.maximum(second + (losses @ y - losses), 0)
        y = strategy(second)
        return (first, second, x, y, of_first + time * x, of_second + time * y), None

    none = (jnp.zeros(rows), jnp.zeros(columns))
    start = (*none, jnp.full(rows, 1 / rows), jnp.full(columns, 1 / columns), *none)
    times = jnp.arange(1, rounds + 1, dtype="float64")
    (*_, x, y), _ = lax.scan(play, start, times, unroll=2)
    x, y = x / x.sum(), y / y.sum()
    return [x, y, (payoff @ y).max() - (x @ payoff).min()]


WORKLOADS = (
    task(
        "ant",
        "ant that turns by four colours of 64 by 64 cells, 20,000 steps",
        trails.ant,
        _cells,
        _ant,
        _ant_tuned,
    ),
    task(
        "failure-function",
        "longest beginnings of a text of 50,000 letters that come again at each place, nested loops",
        trails.failure_function,
        _text,
        _failure_function,
        _failure_function_tuned,
    ),
    task(
        "spanning-tree",
        "tree of least length that spans 1,000 points, one after the other",
        trails.spanning_tree,
        _points,
        _spanning_tree,
        _spanning_tree_tuned,
    ),
    task(
        "regrets",
        "two players with 105 ways to share out soldiers, who learn from regrets in 2,000 rounds",
        trails.regrets,
        _battles,
        _regrets,
        _regrets_tuned,
        close(1e-6),
    ),
)
