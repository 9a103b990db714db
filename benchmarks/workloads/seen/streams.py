"""Memory accesses, coded symbols, seams of pictures and orders of texts."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import TIGHT, close
from benchmarks.programs.seen import streams
from benchmarks.programs.seen.streams import BITS, DARK
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _accesses(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps = scale.steps(100_000, quick=200)
    sets, ways = scale.pick((64, 8), quick=(4, 3))
    lines = 2 * sets * ways
    walk = np.arange(steps) // 8 % (3 * lines)
    line = np.where(rng.random(steps) < 0.5, walk, np.minimum(rng.zipf(1.2, steps), 10**6) * 7 % (4 * lines))
    return inputs(line.astype("int32"), sets=sets, ways=ways)


def _cache(line: Any, sets: int, ways: int) -> list[Any]:
    def access(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[Any, Any]:
        tags, used, misses = carry
        time, line_t = now
        place, tag = line_t % sets, line_t // sets
        same = tags[place] == tag
        hit = same.any()
        way = jnp.where(hit, jnp.argmax(same), jnp.argmin(used[place]))
        tags, used = tags.at[place, way].set(tag), used.at[place, way].set(time)
        misses = misses.at[place].add(jnp.where(hit, 0, 1).astype("int32"))
        return (tags, used, misses), hit

    nothing = jnp.full((sets, ways), -1, "int32")
    times = jnp.arange(len(line), dtype="int32")
    start = (nothing, nothing, jnp.zeros(sets, "int32"))
    (_, _, misses), hit = lax.scan(access, start, (times, line))
    return [hit, misses]


def _cache_tuned(line: Any, sets: int, ways: int) -> list[Any]:
    """One least number says which line is hit or was used least recently; misses after the loop; reads and writes
    without a test of places."""
    place, tag = line % sets, line // sets
    lane = np.arange(ways, dtype="int32")

    def access(carry: tuple[Any, Any], now: tuple[Any, ...]) -> tuple[Any, Any]:
        tags, used = carry
        time, place_t, tag_t = now
        row, times = tags.at[place_t].get(mode="promise_in_bounds"), used.at[place_t].get(mode="promise_in_bounds")
        least = (jnp.where(row == tag_t, -4, times) * ways + lane).min()
        way = least % ways
        tags = tags.at[place_t, way].set(tag_t, mode="promise_in_bounds")
        return (tags, used.at[place_t, way].set(time, mode="promise_in_bounds")), least < -ways

    nothing = jnp.full((sets, ways), -1, "int32")
    times = jnp.arange(len(line), dtype="int32")
    _, hit = lax.scan(access, (nothing, nothing), (times, place, tag))
    return [hit, jnp.zeros(sets, "int32").at[place].add((~hit).astype("int32"), mode="promise_in_bounds")]


def _coded(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, lanes, letters = scale.steps(4_000, quick=40), scale.pick(8, quick=3), scale.pick(64, quick=5)
    weight = rng.exponential(size=letters)
    count = np.maximum(1, (weight / weight.sum() * 2**BITS).astype(int))
    count[np.argmax(count)] += 2**BITS - count.sum()
    first = np.cumsum(count) - count
    text = rng.choice(letters, (steps, lanes), p=count / count.sum())
    state, words = [2**16] * lanes, []
    for t in range(steps - 1, -1, -1):
        for lane in range(lanes - 1, -1, -1):
            one, x = text[t, lane], state[lane]
            if x >= int(count[one]) << (32 - BITS):
                words.append(x & 0xFFFF)
                x >>= 16
            state[lane] = (x // int(count[one]) << BITS) + x % int(count[one]) + int(first[one])
    arrays = (np.array(words[::-1]), np.array(state), count, first)
    words_of, state_of, count_of, first_of = (array.astype("uint32") for array in arrays)
    symbol = np.repeat(np.arange(letters, dtype="int32"), count)
    return inputs(words_of, state_of, symbol, count_of, first_of, steps=steps)


def _range_decoder(words: Any, state: Any, symbol: Any, count: Any, first: Any, steps: int) -> list[Any]:
    def step(carry: tuple[Any, Any], _: None) -> tuple[Any, Any]:
        state, position = carry
        slot = state & (2**BITS - 1)
        found = symbol[slot]
        state = count[found] * (state >> BITS) + slot - first[found]
        needs = state < 2**16
        place = position + jnp.cumsum(needs, dtype="int32")
        state = jnp.where(needs, (state << 16) | words[place - 1], state)
        return (state, place[-1]), found

    (state, _), found = lax.scan(step, (state, jnp.int32(0)), None, steps)
    return [found, state]


def _range_decoder_tuned(words: Any, state: Any, symbol: Any, count: Any, first: Any, steps: int) -> list[Any]:
    """What a symbol is and does for each slot in one word: the number of its slots and how far it is from the first;
    a read of all words that a step may need; symbols of all steps after the loop."""
    lanes = len(state)
    slots = jnp.arange(2**BITS, dtype="uint32")
    table = ((count[symbol] - 1) << BITS) | (slots - first[symbol])
    padded = jnp.concatenate([words, jnp.zeros(lanes, "uint32")])
    before = np.tril(np.ones((lanes, lanes), bool))

    def step(carry: tuple[Any, Any], _: None) -> tuple[Any, Any]:
        state, position = carry
        slot = state & (2**BITS - 1)
        both = table.at[slot].get(mode="promise_in_bounds")
        state = ((both >> BITS) + 1) * (state >> BITS) + (both & (2**BITS - 1))
        needs = state < 2**16
        count_of = (needs & before).sum(axis=1, dtype="int32")
        word = padded.at[position + count_of - 1].get(mode="promise_in_bounds")
        state = jnp.where(needs, (state << 16) | word, state)
        return (state, position + count_of[-1]), slot

    (state, _), slot = lax.scan(step, (state, jnp.int32(0)), None, steps, unroll=4)
    return [symbol[slot], state]


def _photograph(rng: np.random.Generator, scale: Scale) -> Inputs:
    rows, columns = scale.pick((240, 320), quick=(6, 9))
    rough = rng.normal(size=(rows, columns))
    for _ in range(3):
        rough = rough + np.roll(rough, 1, axis=0) + np.roll(rough, 1, axis=1)
    picture = rough / rough.std() + 0.05 * rng.normal(size=rough.shape)
    return inputs(picture.astype("float32"), seams=scale.steps(30, quick=3))


def _seams(picture: Any, seams: int) -> list[Any]:
    _, columns = picture.shape
    column = jnp.arange(columns)

    def contrast(picture: Any, width: Any) -> Any:
        right = jnp.concatenate([picture[:, 1:], picture[:, -1:]], axis=1)
        below = jnp.concatenate([picture[1:], picture[-1:]])
        right = jnp.where(column == width - 1, picture, right)
        return jnp.where(column < width, jnp.abs(right - picture) + jnp.abs(below - picture), DARK)

    def remove(picture: Any, width: Any) -> tuple[Any, Any]:
        energy = contrast(picture, width)

        def down(above: Any, energy_r: Any) -> tuple[Any, Any]:
            around = jnp.pad(above, 1, constant_values=DARK)
            total = energy_r + jnp.minimum(above, jnp.minimum(around[:-2], around[2:]))
            return total, total

        more = lax.scan(down, energy[0], energy[1:])[1]
        total = jnp.concatenate([energy[:1], more])
        last = jnp.argmin(total[-1])

        def up(place: Any, total_r: Any) -> tuple[Any, Any]:
            place = jnp.argmin(jnp.where(jnp.abs(column - place) <= 1, total_r, 2 * DARK))
            return place, place

        places = lax.scan(up, last, total[:-1], reverse=True)[1]
        places = jnp.append(places, last)
        moved = jnp.pad(picture[:, 1:], ((0, 0), (0, 1)))
        return jnp.where(column < places[:, None], picture, moved), total[-1].min()

    left, paid = lax.scan(remove, picture, columns - jnp.arange(seams))
    return [left, paid]


def _seams_tuned(picture: Any, seams: int) -> list[Any]:
    """The way up reads three places of a row."""
    _, columns = picture.shape
    column = jnp.arange(columns, dtype="int32")

    def remove(picture: Any, width: Any) -> tuple[Any, Any]:
        right = jnp.concatenate([picture[:, 1:], picture[:, -1:]], axis=1)
        below = jnp.concatenate([picture[1:], picture[-1:]])
        right = jnp.where(column == width - 1, picture, right)
        energy = jnp.where(column < width, jnp.abs(right - picture) + jnp.abs(below - picture), DARK)

        def down(above: Any, energy_r: Any) -> tuple[Any, Any]:
            around = jnp.pad(above, 1, constant_values=DARK)
            total = energy_r + jnp.minimum(above, jnp.minimum(around[:-2], around[2:]))
            return total, total

        bottom, more = lax.scan(down, energy[0], energy[1:])
        last = jnp.argmin(bottom).astype("int32")

        def up(place: Any, total_r: Any) -> tuple[Any, Any]:
            def read(at: Any) -> Any:
                return total_r.at[at].get(mode="promise_in_bounds")

            left = jnp.where(place > 0, read(jnp.maximum(place - 1, 0)), 2 * DARK)
            right = jnp.where(place < columns - 1, read(jnp.minimum(place + 1, columns - 1)), 2 * DARK)
            middle = read(place)
            by = jnp.where(left <= jnp.minimum(middle, right), -1, jnp.where(middle <= right, 0, 1))
            place = place + by.astype("int32")
            return place, place

        total = jnp.concatenate([energy[:1], more[:-1]])
        places = jnp.append(lax.scan(up, last, total, reverse=True)[1], last)
        moved = jnp.pad(picture[:, 1:], ((0, 0), (0, 1)))
        return jnp.where(column < places[:, None], picture, moved), bottom.min()

    left, paid = lax.scan(remove, picture, columns - jnp.arange(seams, dtype="int32"))
    return [left, paid]


def _chromosome(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(5_000, quick=60)
    text = rng.integers(0, 4, size)
    for _ in range(size // 50):
        length = min(int(rng.zipf(1.5)) * 5, size // 10)
        one, other = rng.integers(0, size - length, 2)
        text[one : one + length] = text[other : other + length].copy()
    return inputs(text.astype("int32"), most=scale.steps(20))


def _suffix_order(text: Any, most: int) -> Any:
    size = len(text)
    place = jnp.arange(size, dtype="int32")

    def double(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, length, rank, _, _ = carry
        beyond = place + length
        second = jnp.where(beyond < size, rank[jnp.minimum(beyond, size - 1)] + 1, 0)
        key = rank * (size + 1) + second
        order = jnp.argsort(key).astype("int32")
        ordered = key[order]
        new = jnp.cumsum(jnp.append(False, ordered[1:] != ordered[:-1]), dtype="int32")
        return i + 1, length * 2, jnp.zeros_like(rank).at[order].set(new), order, new[-1]

    def goes_on(carry: tuple[Any, ...]) -> Any:
        return (carry[0] < most) & (carry[4] < size - 1)

    start = (0, jnp.int32(1), text, jnp.zeros_like(text), jnp.int32(0))
    return lax.while_loop(goes_on, double, start)[3]


def _suffix_order_tuned(text: Any, most: int) -> Any:
    """Begins with 8 letters, which shifts pack into a word, where letters have at most 4 bits; keys are sorted together
    with places."""
    size = len(text)
    place = jnp.arange(size, dtype="int32")
    if most < 4:
        return _suffix_order(text, most)
    base = (text.max() + 1).astype("uint32")
    key, length = text.astype("uint32") + 1, 1
    narrow = base < 15

    def packed(key: Any) -> Any:
        by = jnp.uint32(1)
        for length in (1, 2, 4):
            by = by * 16 if length == 1 else by * by
            after = jnp.concatenate([key[length:], jnp.zeros(length, "uint32")])
            key = key * by + after
        return key

    def ranks(key: Any) -> tuple[Any, Any, Any]:
        ordered, order = lax.sort((key, place), num_keys=1, is_stable=False)
        new = jnp.cumsum(jnp.append(False, ordered[1:] != ordered[:-1]), dtype="int32")
        return jnp.zeros(size, "int32").at[order].set(new, unique_indices=True), order, new[-1]

    length = jnp.where(narrow, 8, 1)
    rank, order, last = ranks(jnp.where(narrow, packed(key), key))

    def double(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        length, rank, _, _ = carry
        beyond = place + length
        second = jnp.where(beyond < size, rank[jnp.minimum(beyond, size - 1)] + 1, 0)
        return length * 2, *ranks((rank * (size + 1) + second).astype("uint32"))

    return lax.while_loop(lambda carry: carry[3] < size - 1, double, (length, rank, order, last))[2]


WORKLOADS = (
    task(
        "cache",
        "100,000 accesses to a cache of 64 sets of 8 lines, where the least recently used gives way",
        streams.cache,
        _accesses,
        _cache,
        _cache_tuned,
        TIGHT,
    ),
    task(
        "range-decoder",
        "32,000 symbols of 8 interleaved streams of asymmetric numerals",
        streams.range_decoder,
        _coded,
        _range_decoder,
        _range_decoder_tuned,
        TIGHT,
    ),
    task(
        "seams",
        "30 seams of least contrast out of a picture of 240 by 320, nested loops",
        streams.seams,
        _photograph,
        _seams,
        _seams_tuned,
        close(1e-5),
    ),
    task(
        "suffix-order",
        "order of the suffixes of a text of 5,000 letters, until all differ",
        streams.suffix_order,
        _chromosome,
        _suffix_order,
        _suffix_order_tuned,
        TIGHT,
    ),
)
