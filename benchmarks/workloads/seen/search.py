"""Search and optimisation without gradients. Where there are draws, they differ between contenders, so results are
compared up to chance."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from benchmarks.compare import TIGHT, close, near, within
from benchmarks.programs.seen import search
from benchmarks.programs.seen.search import CROSSOVER, DIFFERENCE, FREE, LOW, WALK
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _benefits(rng: np.random.Generator, scale: Scale) -> Inputs:
    count = scale.pick(48, quick=6)
    benefit = (rng.integers(0, 30, (count, count)) + rng.integers(0, 30, count)) * (count + 1)
    return inputs(benefit.astype("int32"), most=100_000)


def _auction(benefit: Any, most: int) -> list[Any]:
    count = len(benefit)

    def bid(state: Any) -> Any:
        i, owner, of, price = state
        person = jnp.argmax(of == FREE).astype("int32")
        worth = benefit[person] - price
        (best, second), (item, _) = lax.top_k(worth, 2)
        price = price.at[item].add(best - second + 1)
        before = owner[item]
        of = jnp.where(before >= 0, of.at[before].set(FREE), of).at[person].set(item)
        return i + 1, owner.at[item].set(person), of, price

    nobody = jnp.full(count, FREE, "int32")
    start = jnp.int32(0), nobody, nobody, jnp.zeros(count, "int32")
    bids, owner, _, price = lax.while_loop(lambda state: (state[2] < 0).any() & (state[0] < most), bid, start)
    return [owner, price, bids]


def _auction_tuned(benefit: Any, most: int) -> list[Any]:
    """The best object from one maximum of worth and place together; the first free person carried."""
    count = len(benefit)
    each = jnp.arange(count, dtype="int32")
    # Worth times the count, less the place: the largest is the first of the best.
    scaled = benefit * count - each

    def bid(state: Any) -> Any:
        i, person, owner, of, price = state
        worth = lax.dynamic_index_in_dim(scaled, person, keepdims=False) - price * count
        best = worth.max()
        chosen = worth == best
        item = (-best) % count
        second = jnp.where(chosen, LOW, worth).max()
        rise = (best + item) // count - (second + (-second) % count) // count + 1
        before = lax.dynamic_index_in_dim(owner, item, keepdims=False)
        of = jnp.where(each == person, item, jnp.where(each == before, FREE, of))
        price = jnp.where(chosen, price + rise, price)
        owner = lax.dynamic_update_index_in_dim(owner, person, item, 0)
        return i + 1, jnp.where(of < 0, each, count).min(), owner, of, price

    nobody = jnp.full(count, FREE, "int32")
    start = jnp.int32(0), jnp.int32(0), nobody, nobody, jnp.zeros(count, "int32")
    bids, _, owner, _, price = lax.while_loop(lambda state: (state[1] < count) & (state[0] < most), bid, start)
    return [owner, price, bids]


def _corners(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(6, quick=2)
    start = rng.uniform(-0.5, 0.5, size) + np.concatenate([np.zeros((1, size)), 0.5 * np.eye(size)])
    return inputs(start, most=5_000, tolerance=1e-14)


def _valley(x: Any) -> Any:
    head, tail = x[..., :-1], x[..., 1:]
    return (100 * (tail - head**2) ** 2 + (1 - head) ** 2).sum(-1)


def _simplex(start: Any, most: int, tolerance: float) -> Any:
    def step(state: Any) -> Any:
        i, points, values = state
        order = jnp.argsort(values)
        points, values = points[order], values[order]
        center, worst = points[:-1].mean(0), points[-1]
        reflected = 2 * center - worst
        of_reflected = _valley(reflected)

        def expand() -> Any:
            expanded = 3 * center - 2 * worst
            of_expanded = _valley(expanded)
            better = of_expanded < of_reflected
            found = jnp.where(better, expanded, reflected), jnp.where(better, of_expanded, of_reflected)
            return points.at[-1].set(found[0]), values.at[-1].set(found[1])

        def reflect() -> Any:
            return points.at[-1].set(reflected), values.at[-1].set(of_reflected)

        def contract() -> Any:
            outside = of_reflected < values[-1]
            contracted = jnp.where(outside, 1.5 * center - 0.5 * worst, 0.5 * center + 0.5 * worst)
            of_contracted = _valley(contracted)
            shrunk = points[0] + 0.5 * (points - points[0])
            return lax.cond(
                of_contracted < jnp.minimum(of_reflected, values[-1]),
                lambda: (points.at[-1].set(contracted), values.at[-1].set(of_contracted)),
                lambda: (shrunk, _valley(shrunk)),
            )

        kind = jnp.where(of_reflected < values[0], 0, jnp.where(of_reflected < values[-2], 1, 2))
        points, values = lax.switch(kind, [expand, reflect, contract])
        return i + 1, points, values

    def goes_on(state: Any) -> Any:
        i, _, values = state
        return (values.max() - values.min() >= tolerance) & (i < most)

    _, points, values = lax.while_loop(goes_on, step, (jnp.int32(0), start, _valley(start)))
    return points[jnp.argmin(values)]


def _simplex_tuned(start: Any, most: int, tolerance: float) -> Any:
    """Corners kept in order, so that a new one is put at its place without a sort; all candidates at once; only a
    shrinking sorts."""
    corners, size = start.shape
    rows = jnp.arange(corners, dtype="int32")
    factors = jnp.array([2.0, 3.0, 1.5, 0.5])[:, None]

    def step(state: Any) -> Any:
        i, points, values = state
        center, worst = points[:-1].sum(0) / size, points[-1]
        candidates = factors * center + (1 - factors) * worst
        head, tail = candidates[:, :-1], candidates[:, 1:]
        square = tail - head * head
        found = (100 * (square * square) + (1 - head) * (1 - head)).sum(1)
        of_reflected, of_expanded = found[0], found[1]
        expands, reflects = of_reflected < values[0], of_reflected < values[-2]
        outside = of_reflected < values[-1]
        of_contracted = jnp.where(outside, found[2], found[3])
        shrinks = ~reflects & (of_contracted >= jnp.minimum(of_reflected, values[-1]))
        further = expands & (of_expanded < of_reflected)
        kind = jnp.where(further, 1, jnp.where(reflects, 0, jnp.where(outside, 2, 3)))
        point = lax.dynamic_index_in_dim(candidates, kind, keepdims=False)
        value = jnp.where(further, of_expanded, jnp.where(reflects, of_reflected, of_contracted))

        def insert() -> Any:
            place = (values[:-1] <= value).sum(dtype="int32")
            before = jnp.concatenate([values[:1], values[:-1]])
            rows_before = jnp.concatenate([points[:1], points[:-1]])
            new = jnp.where(rows < place, values, jnp.where(rows == place, value, before))
            below, own = (rows < place)[:, None], (rows == place)[:, None]
            return jnp.where(below, points, jnp.where(own, point, rows_before)), new

        def shrink() -> Any:
            shrunk = points[0] + 0.5 * (points - points[0])
            new = _valley(shrunk)
            order = jnp.argsort(new)
            return shrunk[order], new[order]

        return i + 1, *lax.cond(shrinks, shrink, insert)

    values = _valley(start)
    order = jnp.argsort(values)
    state = jnp.int32(0), start[order], values[order]
    going = lax.while_loop(lambda state: (state[2][-1] - state[2][0] >= tolerance) & (state[0] < most), step, state)
    return going[1][0]


def _places(rng: np.random.Generator, scale: Scale) -> Inputs:
    size, moves = scale.pick((40, 10_000), quick=(8, 1_500))
    place = rng.uniform(size=(size, 2))
    apart = np.sqrt(((place[:, None] - place) ** 2).sum(2))
    return inputs(apart, np.geomspace(0.5, 0.005, scale.steps(moves)), moves=moves)


def _tour(key: Any, apart: Any, heat: Any, moves: int) -> Any:
    size = len(apart)
    place = jnp.arange(size)

    def move(order: Any, now: tuple[Any, Any]) -> tuple[Any, None]:
        heat_t, key = now
        one, two = random.split(key)
        ends = random.randint(one, (2,), 0, size)
        i, j = ends.min(), ends.max()
        before, after = order[(i - 1) % size], order[(j + 1) % size]
        first, last = order[i], order[j]
        longer = apart[before, last] + apart[first, after] - apart[before, first] - apart[last, after]
        longer = jnp.where(j - i >= size - 2, 0.0, longer)
        turned = order[jnp.where((place >= i) & (place <= j), i + j - place, place)]
        accepted = random.uniform(two) < jnp.exp(-longer / heat_t)
        return jnp.where(accepted, turned, order), None

    order, _ = lax.scan(move, place, (heat, random.split(key, len(heat))))
    return apart[order, jnp.roll(order, -1)].sum()


def _tour_tuned(key: Any, apart: Any, heat: Any, moves: int) -> Any:
    """Draws before the loop, with the most by that a tour may grow; 32-bit places; a part that stays is turned round at
    no place."""
    size = len(apart)
    place = jnp.arange(size, dtype="int32")
    one, two = random.split(key)
    ends = random.randint(one, (2, len(heat)), 0, size, "int32")
    i, j = ends.min(0), ends.max(0)
    most = -heat * jnp.log(random.uniform(two, heat.shape))
    most = jnp.where(j - i >= size - 2, jnp.inf, most)
    flat = apart.ravel()

    def read(table: Any, at: Any) -> Any:
        return table.at[at].get(mode="promise_in_bounds")

    def move(order: Any, now: Any) -> tuple[Any, None]:
        i, j, left, right, most_t = now
        before, after, first, last = read(order, left), read(order, right), read(order, i), read(order, j)
        row, other = before * size, after * size
        longer = read(flat, row + last) + read(flat, other + first) - read(flat, row + first) - read(flat, other + last)
        end = jnp.where(longer < most_t, j, -1)
        return read(order, jnp.where((place >= i) & (place <= end), i + j - place, place)), None

    order, _ = lax.scan(move, place, (i, j, (i - 1) % size, (j + 1) % size, most))
    return apart[order, jnp.roll(order, -1)].sum()


def _members(rng: np.random.Generator, scale: Scale) -> Inputs:
    members, size, generations = scale.pick((40, 10, 200), quick=(40, 3, 40))
    return inputs(rng.uniform(-5, 5, (members, size)), generations=scale.steps(generations))


def _waves(x: Any) -> Any:
    return (x**2 - 10 * jnp.cos(2 * math.pi * x) + 10).sum(1)


def _differential_evolution(key: Any, start: Any, generations: int) -> Any:
    members, size = start.shape
    each = jnp.arange(members)

    def generation(carry: tuple[Any, Any], key: Any) -> tuple[Any, None]:
        x, cost = carry
        one, two, three = random.split(key, 3)
        other = (each + random.randint(one, (3, members), 1, members)) % members
        mutant = x[other[0]] + DIFFERENCE * (x[other[1]] - x[other[2]])
        mixed = random.uniform(two, x.shape) < CROSSOVER
        sure = random.randint(three, (members, 1), 0, size) == jnp.arange(size)
        trial = jnp.where(mixed | sure, mutant, x)
        new = _waves(trial)
        better = new <= cost
        cost = jnp.where(better, new, cost)
        return (jnp.where(better[:, None], trial, x), cost), cost

    return lax.scan(generation, (start, _waves(start)), random.split(key, generations))[1].mean()


def _differential_evolution_tuned(key: Any, start: Any, generations: int) -> Any:
    """Draws, places and masks before the loop; members in the last axis."""
    members, size = start.shape
    each = jnp.arange(members, dtype="int32")
    one, two, three = random.split(key, 3)
    other = (each + random.randint(one, (generations, 3, members), 1, members, "int32")) % members
    mixed = random.uniform(two, (generations, size, members), "float32") < CROSSOVER
    sure = random.randint(three, (generations, 1, members), 0, size, "int32") == jnp.arange(size)[:, None]

    def value(x: Any) -> Any:
        return (x * x - 10 * jnp.cos(2 * math.pi * x) + 10).sum(0)

    def generation(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, None]:
        x, cost = carry
        other, mixed = now
        a, b, c = (x.at[:, other[k]].get(mode="promise_in_bounds") for k in range(3))
        trial = jnp.where(mixed, a + DIFFERENCE * (b - c), x)
        new = value(trial)
        better = new <= cost
        cost = jnp.where(better, new, cost)
        return (jnp.where(better, trial, x), cost), cost

    x = start.T
    return lax.scan(generation, (x, value(x)), (other, mixed | sure))[1].mean()


def _cube(rng: np.random.Generator, scale: Scale) -> Inputs:
    count, size, rounds, walk = scale.pick((50, 3, 400, 15), quick=(30, 2, 200, 8))
    center = rng.uniform(0.4, 0.6, size)
    return inputs(rng.uniform(size=(count, size)), center, np.float64(100.0), rounds=scale.steps(rounds), walk=walk)


def _evidence(level: Any, least: Any, rounds: int) -> Any:
    count = len(level)
    dead = least - jnp.arange(rounds) / count + jnp.log(1 - jnp.exp(-1 / count))
    return jax.nn.logsumexp(jnp.concatenate([dead, level - rounds / count - jnp.log(count)]))


def _nested_sampling(key: Any, start: Any, center: Any, precision: Any, rounds: int, walk: int) -> Any:
    count, size = start.shape

    def log_likelihood(x: Any) -> Any:
        return -0.5 * precision * ((x - center) ** 2).sum(-1)

    def replace(carry: tuple[Any, Any], key: Any) -> tuple[Any, Any]:
        live, level = carry
        one, two = random.split(key)
        worst = jnp.argmin(level)
        least = level[worst]
        other = random.randint(one, (), 0, count)

        def jump(carry: tuple[Any, Any], key: Any) -> tuple[Any, None]:
            x, of_x = carry
            proposed = x + WALK * random.normal(key, (size,))
            new = log_likelihood(proposed)
            accepted = ((proposed > 0) & (proposed < 1)).all() & (new > least)
            return (jnp.where(accepted, proposed, x), jnp.where(accepted, new, of_x)), None

        (x, of_x), _ = lax.scan(jump, (live[other], level[other]), random.split(two, walk))
        return (live.at[worst].set(x), level.at[worst].set(of_x)), least

    (_, level), least = lax.scan(replace, (start, log_likelihood(start)), random.split(key, rounds))
    return _evidence(level, least, rounds)


def _nested_sampling_tuned(key: Any, start: Any, center: Any, precision: Any, rounds: int, walk: int) -> Any:
    """Draws before the loops; squared distances instead of likelihoods, computed once for each place; the largest found
    by its value."""
    count, size = start.shape
    one, two = random.split(key)
    jumps = WALK * random.normal(two, (rounds, walk, size))
    others = random.randint(one, (rounds,), 0, count, "int32")
    each = jnp.arange(count, dtype="int32")

    def replace(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
        live, far = carry
        other, jumps_t = now
        most = far.max()
        worst = jnp.where(far == most, each, count).min()
        x = lax.dynamic_index_in_dim(live, other, keepdims=False)
        of_x = lax.dynamic_index_in_dim(far, other, keepdims=False)

        def jump(carry: tuple[Any, Any], by: Any) -> tuple[Any, None]:
            x, of_x = carry
            proposed = x + by
            apart = proposed - center
            new = (apart * apart).sum()
            accepted = (jnp.abs(proposed - 0.5).max() < 0.5) & (new < most)
            return (jnp.where(accepted, proposed, x), jnp.where(accepted, new, of_x)), None

        (x, of_x), _ = lax.scan(jump, (x, of_x), jumps_t)
        live = lax.dynamic_update_index_in_dim(live, x, worst, 0)
        return (live, lax.dynamic_update_index_in_dim(far, of_x, worst, 0)), most

    (_, far), most = lax.scan(replace, (start, ((start - center) ** 2).sum(1)), (others, jumps))
    return _evidence(-0.5 * precision * far, -0.5 * precision * most, rounds)


WORKLOADS = (
    task(
        "auction",
        "assignment of 48 objects by an auction, until each person has one",
        search.auction,
        _benefits,
        _auction,
        _auction_tuned,
        TIGHT,
    ),
    task(
        "simplex",
        "least point of Rosenbrock's function of 6 variables by a simplex, until its values are alike",
        search.simplex,
        _corners,
        _simplex,
        _simplex_tuned,
        close(1e-4),
    ),
    task(
        "tour",
        "tour of 40 places by simulated annealing, 10,000 moves",
        search.tour,
        _places,
        _tour,
        _tour_tuned,
        near(0.25),
        draws=True,
    ),
    task(
        "differential-evolution",
        "differential evolution of 40 members with 10 numbers, 200 generations",
        search.differential_evolution,
        _members,
        _differential_evolution,
        _differential_evolution_tuned,
        near(0.4),
        draws=True,
    ),
    task(
        "nested-sampling",
        "evidence by nested sampling, 50 points, 400 rounds of 15 steps, nested loops",
        search.nested_sampling,
        _cube,
        _nested_sampling,
        _nested_sampling_tuned,
        within(1.5),
        draws=True,
    ),
)
