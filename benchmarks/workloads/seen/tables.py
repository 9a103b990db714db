"""Tables that loops fill and look into."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import TIGHT, close
from benchmarks.programs.seen import tables
from benchmarks.programs.seen.tables import FAR, LEARNING, RATE
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _places(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(10, quick=4)
    place = rng.uniform(size=(size + 1, 2))
    return inputs(np.sqrt(((place[:, None] - place) ** 2).sum(2)), size=size)


def _subset_tour(apart: Any, size: int) -> Any:
    between, from_start = apart[:size, :size], apart[size, :size]
    power = 2 ** jnp.arange(size, dtype="int32")

    def extend(table: Any, places: Any) -> tuple[Any, None]:
        inside = (places & power) > 0
        without = jnp.where(inside, places - power, places)
        shortest = (table[without] + between.T).min(1)
        shortest = jnp.where(without == 0, from_start, shortest)
        return table.at[places].set(jnp.where(inside, shortest, FAR)), None

    start = jnp.full((2**size, size), FAR)
    table, _ = lax.scan(extend, start, jnp.arange(1, 2**size, dtype="int32"))
    return (table[-1] + from_start).min()


def _subset_tour_tuned(apart: Any, size: int) -> Any:
    """All sets of a size at once, with their places only; numbers of sets and places before the call."""
    between, from_start = apart[:size, :size], apart[size, :size]
    sets = [[mask for mask in range(2**size) if mask.bit_count() == count] for count in range(size + 1)]
    number = np.zeros(2**size, "int32")
    for of_count in sets:
        number[of_count] = np.arange(len(of_count))
    shortest = from_start[:, None]
    for count in range(2, size + 1):
        inside = np.array([[j for j in range(size) if mask >> j & 1] for mask in sets[count]])
        before = number[np.array(sets[count])[:, None] - (1 << inside)]
        # The other places of each set, in order: column m of row j without the place j.
        others = np.array([np.delete(inside, j, axis=1) for j in range(count)]).swapaxes(0, 1)
        legs = between[others, inside[:, :, None]]
        shortest = (shortest[before] + legs).min(2)
    return (shortest[0] + from_start).min()


def _game(rng: np.random.Generator, scale: Scale) -> Inputs:
    heaps, moves = scale.steps(20_000, quick=60), scale.pick((3, 7, 12, 20, 33), quick=(2, 3, 5))
    return inputs(moves=moves, heaps=heaps)


def _least(reached: Any) -> Any:
    return jnp.argmin(reached, axis=-1).astype("int32")


def _grundy(moves: tuple[int, ...], heaps: int) -> list[Any]:
    farthest = moves[-1]
    back = farthest - jnp.array(moves)
    value = jnp.arange(len(moves) + 1)

    def heap(past: Any, _: None) -> tuple[Any, Any]:
        new = _least((past[back][:, None] == value).any(0))
        return jnp.concatenate([past[1:], new[None]]), new

    values = lax.scan(heap, jnp.full(farthest, -1, "int32"), None, length=heaps)[1]
    return [values, (values == 0).sum(dtype="int32")]


def _grundy_tuned(moves: tuple[int, ...], heaps: int) -> list[Any]:
    """As many heaps at once as the least move takes, by bits; once the last heaps repeat earlier ones, as in most such
    games, the rest is a copy."""
    least, farthest = moves[0], moves[-1]
    head = min(heaps, 640)

    def block(past: Any, _: None) -> tuple[Any, Any]:
        reached = past[farthest - least : farthest]
        for move in moves[1:]:
            reached = reached | past[farthest - move : farthest - move + least]
        new = ~reached & (reached + 1)
        return jnp.concatenate([past[least:], new]), new

    def bits(count: int) -> Any:
        """Two to the power of the values of the first heaps; 0 stands for no heap."""
        found = lax.scan(block, jnp.zeros(farthest, "int32"), None, length=-(-count // least))[1]
        return found.reshape(-1)[:count]

    found = first = bits(head)
    if heaps > head:
        most = head - 2 * farthest
        # Periods: the last heaps are equal to those one period before.
        places = head - farthest + np.arange(farthest) - np.arange(1, most)[:, None]
        same = (first[places] == first[head - farthest :]).all(1)
        period = jnp.argmax(same).astype("int32") + 1

        def copied() -> Any:
            rest = jnp.arange(heaps - head, dtype="int32") % period
            return jnp.concatenate([first, first[head - period + rest]])

        found = lax.cond(same.any(), copied, lambda: bits(heaps))
    number = lax.population_count(found - 1)
    return [number, (number == 0).sum(dtype="int32")]


def _text(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, (models, slots) = scale.steps(8_000, quick=40), scale.pick((3, 256), quick=(2, 8))
    bit = np.zeros(steps, "int32")
    context = np.zeros((steps, models), "int32")
    factor = rng.integers(1, 1_000, models) * 2 + 1
    for t in range(steps):
        recent = bit[max(0, t - 12) : t]
        number = [int("".join(map(str, recent[-4 * (k + 1) :])) or "0", 2) + t % 8 for k in range(models)]
        context[t] = [number[k] * factor[k] // 16 % slots for k in range(models)]
        bit[t] = (rng.uniform() < 0.1) != (number[1] * 7 % 5 > 2)
    return inputs(bit.astype("float64"), context, slots=slots)


def _mixing(bit: Any, context: Any, slots: int) -> list[Any]:
    models = context.shape[1]
    model = jnp.arange(models)

    def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
        table, weight = carry
        bit_t, context_t = now
        p = table[model, context_t]
        stretched = jnp.log(p / (1 - p))
        mixed = jax.nn.sigmoid(weight @ stretched)
        table = table.at[model, context_t].add(RATE * (bit_t - p))
        cost = -jnp.log(jnp.where(bit_t > 0.5, mixed, 1 - mixed))
        return (table, weight + LEARNING * (bit_t - mixed) * stretched), cost

    (_, weight), cost = lax.scan(step, (jnp.full((models, slots), 0.5), jnp.full(models, 0.3)), (bit, context))
    return [cost / math.log(2), weight]


def _mixing_tuned(bit: Any, context: Any, slots: int) -> list[Any]:
    """Predictions do not depend on the weights: a sort by slot and time leaves a loop over one number for all tables;
    logarithms for all steps at once; then a loop over the weights."""
    steps, models = context.shape
    time_bits = (steps - 1).bit_length()
    slot = context.T + slots * jnp.arange(models, dtype="int32")[:, None]
    key = jnp.sort(((slot << time_bits) + jnp.arange(steps, dtype="int32")).ravel())
    slot, time = key >> time_bits, key & (2**time_bits - 1)
    begins = jnp.concatenate([jnp.ones(1, bool), slot[1:] != slot[:-1]])

    def learn(p: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        bit_n, begins_n = now
        p = jnp.where(begins_n, 0.5, p)
        return p + RATE * (bit_n - p), p

    p = lax.scan(learn, jnp.float64(0.5), (bit.at[time].get(mode="promise_in_bounds"), begins))[1]
    place = time + steps * (slot // slots)
    stretched = (
        jnp.zeros(steps * models).at[place].set(jnp.log(p / (1 - p)), mode="promise_in_bounds", unique_indices=True)
    )

    def mix(weight: Any, now: tuple[Any, ...]) -> tuple[Any, Any]:
        bit_t, *stretched_t = now
        x = sum(one * other for one, other in zip(weight, stretched_t, strict=True))
        step = LEARNING * (bit_t - 1 / (1 + jnp.exp(-x)))
        return tuple(one + step * other for one, other in zip(weight, stretched_t, strict=True)), x

    start = tuple(jnp.float64(0.3) for _ in range(models))
    weight, x = lax.scan(mix, start, (bit, *stretched.reshape(models, steps)))
    cost = jax.nn.softplus(jnp.where(bit > 0.5, -x, x))
    return [cost / math.log(2), jnp.stack(weight)]


def _population(rng: np.random.Generator, scale: Scale) -> Inputs:
    sites, count = scale.steps(1_500, quick=20), scale.pick(200, quick=6)
    founders = rng.integers(0, 2, (sites, 8))
    switches = rng.uniform(size=(sites, count)) < 0.02
    source = rng.integers(0, 8, (sites, count))
    last = np.maximum.accumulate(np.where(switches, np.arange(sites)[:, None], 0), axis=0)
    x = np.take_along_axis(founders, np.take_along_axis(source, last, axis=0), axis=1)
    return inputs(x.astype("int32"))


def _haplotypes(x: Any) -> list[Any]:
    def site(order: Any, x_k: Any) -> tuple[Any, Any]:
        letter = x_k[order]
        ones, zeros = jnp.cumsum(letter), jnp.cumsum(1 - letter)
        place = jnp.where(letter == 0, zeros - 1, zeros[-1] + ones - 1)
        runs = (letter[1:] != letter[:-1]).sum(dtype="int32") + 1
        return jnp.zeros_like(order).at[place].set(order), runs

    order, runs = lax.scan(site, jnp.arange(x.shape[1], dtype="int32"), x)
    return [runs, order]


def _haplotypes_tuned(x: Any) -> list[Any]:
    """One running sum, by shifts of 1, 2, 4 and more places; no test of places; runs after the loop."""
    count = x.shape[1]
    each = jnp.arange(count, dtype="int32")

    def site(order: Any, x_k: Any) -> tuple[Any, Any]:
        letter = x_k.at[order].get(mode="promise_in_bounds")
        ones, shift = letter, 1
        while shift < count:
            ones = ones + jnp.concatenate([jnp.zeros(shift, "int32"), ones[:-shift]])
            shift *= 2
        place = jnp.where(letter == 0, each - ones, count - 1 - ones[-1] + ones)
        return order.at[place].set(order, mode="promise_in_bounds", unique_indices=True), letter

    order, letter = lax.scan(site, each, x)
    return [(letter[:, 1:] != letter[:, :-1]).sum(1, dtype="int32") + 1, order]


WORKLOADS = (
    task(
        "subset-tour",
        "shortest round trip through 11 places by all 1,023 sets of them",
        tables.subset_tour,
        _places,
        _subset_tour,
        _subset_tour_tuned,
        TIGHT,
    ),
    task(
        "grundy",
        "values of 20,000 heaps of a game in which 3, 7, 12, 20 or 33 stones are taken",
        tables.grundy,
        _game,
        _grundy,
        _grundy_tuned,
        TIGHT,
    ),
    task(
        "mixing",
        "bits that a compressor needs for 8,000 bits by three tables of 256 predictions",
        tables.mixing,
        _text,
        _mixing,
        _mixing_tuned,
        close(1e-8),
    ),
    task(
        "haplotypes",
        "order of 200 haplotypes at 1,500 sites by the letters before",
        tables.haplotypes,
        _population,
        _haplotypes,
        _haplotypes_tuned,
        TIGHT,
    ),
)
