"""Integer recurrences, a market and species."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from math import comb
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import TIGHT, close
from benchmarks.programs.seen import sequences
from benchmarks.programs.seen.sequences import DT, LAGS, MOVES, STEPS
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _words(rng: np.random.Generator, scale: Scale) -> Inputs:
    state = rng.integers(0, 2**32, LAGS[0], dtype="uint32")
    return Inputs((), {"draws": scale.steps(24_000, quick=500)}, (state,))


def _lagged_fibonacci(state: tuple[Any], draws: int) -> tuple[Any, Any]:
    def step(state: Any, _: None) -> tuple[Any, Any]:
        new = state[0] + state[-LAGS[1]]
        return jnp.concatenate([state[1:], new[None]]), new

    last, x = lax.scan(step, state[0], None, length=draws)
    return (x >> 8).astype("float32") / 2**24, (last,)


def _lagged_fibonacci_tuned(state: tuple[Any], draws: int) -> tuple[Any, Any]:
    """Blocks of as many words as the shorter lag: a step of that size needs no word of its own block. The recurrence
    squared three times has lags eight times as long."""
    far, near = LAGS
    power = 8

    def block(words: Any, size: int, power: int) -> Any:
        end = words.shape[0]
        total = jnp.zeros(size, words.dtype)
        for k in range(power + 1):
            first = end - (k * far + (power - k) * near)
            total = total + np.uint32(comb(power, k)) * words[first : first + size]
        return total

    words, squared = state[0], 1
    while len(words) < power * far:
        squared = max(p for p in (1, 2, 4, 8) if p * far <= len(words))
        words = jnp.concatenate([words, block(words, squared * near, squared)])
    kept, size = power * far, power * near
    head = words[far:]
    count = max(0, -(-(draws - len(head)) // size))

    def step(words: Any, _: None) -> tuple[Any, Any]:
        new = block(words, size, power)
        return jnp.concatenate([words[size:], new]), new

    x = lax.scan(step, words[-kept:], None, length=count)[1]
    x = jnp.concatenate([head, x.ravel()])[:draws]
    return (x >> 8).astype("float32") * np.float32(2**-24), (x[-far:],)


def _community(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(20, quick=3)
    A = np.eye(size) + 0.4 * rng.uniform(size=(size, size)) / size**0.5
    growth, start = rng.uniform(0.5, 1.5, size), rng.uniform(0.1, 1, size)
    slopes = np.repeat((start * (growth - A @ start))[None], 4, axis=0)
    return inputs(A, growth, start, slopes, steps=scale.steps(2_000, quick=20))


def _species(A: Any, growth: Any, start: Any, slopes: Any, steps: int) -> Any:
    def step(carry: tuple[Any, Any], _: None) -> tuple[Any, Any]:
        x, f = carry
        x = x + DT / 24 * (55 * f[3] - 59 * f[2] + 37 * f[1] - 9 * f[0])
        return (x, jnp.concatenate([f[1:], (x * (growth - A @ x))[None]])), x

    return lax.scan(step, (start, slopes), None, length=steps)[1]


def _orders(rng: np.random.Generator, scale: Scale) -> Inputs:
    count, levels = scale.steps(3_000, quick=40), scale.pick(128, quick=16)
    buys = rng.integers(0, 2, count)
    middle = levels / 2 + np.cumsum(rng.normal(size=count)) * 0.1
    price = np.clip(middle + rng.normal(size=count) * levels / 16 + np.where(buys, -2, 2), 0, levels - 1)
    arrays = buys, price, rng.integers(1, 50, count)
    return inputs(*(array.astype("int32") for array in arrays), levels=levels)


def _order_book(buys: Any, price: Any, amount: Any, levels: int) -> list[Any]:
    level = jnp.arange(levels)

    def taken(offers: Any, amount_t: Any) -> Any:
        before = jnp.cumsum(offers) - offers
        return jnp.clip(amount_t - before, 0, offers)

    def order(carry: tuple[Any, Any], now: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        bids, asks = carry
        buys_t, price_t, amount_t = now

        def buy() -> tuple[Any, Any, Any]:
            found = taken(jnp.where(level <= price_t, asks, 0), amount_t)
            traded = found.sum()
            return bids.at[price_t].add(amount_t - traded), asks - found, traded

        def sell() -> tuple[Any, Any, Any]:
            found = taken(jnp.where(level >= price_t, bids, 0)[::-1], amount_t)[::-1]
            traded = found.sum()
            return bids - found, asks.at[price_t].add(amount_t - traded), traded

        bids, asks, traded = lax.cond(buys_t == 1, buy, sell)
        best = jnp.where(bids > 0, level, -1).max(), jnp.where(asks > 0, level, levels).min()
        return (bids, asks), (traded, *best)

    none = jnp.zeros(levels, "int32")
    (bids, asks), found = lax.scan(order, (none, none), (buys, price, amount))
    return [*found, bids, asks]


def _order_book_tuned(buys: Any, price: Any, amount: Any, levels: int) -> list[Any]:
    """Both sides by what they offer up to each price, the best first: an order lowers one row by one number, and its
    rest lifts the end of the other, so that nothing is summed along prices. The best prices of all orders after
    the loop."""
    level = jnp.arange(levels, dtype="int32")

    # Row 0 has the asks by price, row 1 the bids from the highest price on.
    def order(sides: Any, now: tuple[Any, Any, Any]) -> tuple[Any, tuple[Any, Any]]:
        buys_t, price_t, amount_t = now
        buyer, mirrored = buys_t == 1, levels - 1 - price_t
        asks, bids = (sides[k].at[at].get(mode="promise_in_bounds") for k, at in enumerate((price_t, mirrored)))
        traded = jnp.minimum(amount_t, jnp.where(buyer, asks, bids))
        rest = amount_t - traded
        leaves = jnp.stack([jnp.where(buyer, traded, 0), jnp.where(buyer, 0, traded)])[:, None]
        comes = jnp.stack([jnp.where(buyer, 0, rest), jnp.where(buyer, rest, 0)])[:, None]
        begins = jnp.stack([price_t, mirrored])[:, None]
        sides = jnp.maximum(sides - leaves, 0) + jnp.where(level >= begins, comes, 0)
        return sides, (traded, sides)

    (asks, bids), (traded, every) = lax.scan(order, jnp.zeros((2, levels), "int32"), (buys, price, amount))
    empty = (every == 0).sum(2, dtype="int32")
    waiting = jnp.diff(bids, prepend=0)[::-1], jnp.diff(asks, prepend=0)
    return [traded, levels - 1 - empty[:, 1], empty[:, 0], *waiting]


def _sound(rng: np.random.Generator, scale: Scale) -> Inputs:
    t = np.arange(scale.steps(10_000, quick=60))
    sound = 9000 * np.sin(t / 9) * np.sin(t / 900) + 600 * rng.normal(size=len(t))
    options = {"step_sizes": np.array(STEPS, "int32"), "moves": np.array(MOVES, "int32")}
    return inputs(np.clip(sound, -32768, 32767).astype("int32"), **options)


def _speech_coder(sound: Any, step_sizes: Any, moves: Any) -> list[Any]:
    step_sizes, moves = jnp.asarray(step_sizes), jnp.asarray(moves)

    def encode(carry: tuple[Any, Any], sample: Any) -> tuple[Any, Any]:
        guess, index = carry
        size = step_sizes[index]
        error = sample - guess
        sign = jnp.where(error < 0, 8, 0)
        error = jnp.abs(error)
        four = error >= size
        error = jnp.where(four, error - size, error)
        two = error >= size // 2
        error = jnp.where(two, error - size // 2, error)
        one = error >= size // 4
        change = size // 8 + jnp.where(four, size, 0) + jnp.where(two, size // 2, 0) + jnp.where(one, size // 4, 0)
        guess = jnp.clip(jnp.where(sign > 0, guess - change, guess + change), -32768, 32767)
        code = jnp.where(four, 4, 0) + jnp.where(two, 2, 0) + jnp.where(one, 1, 0)
        index = jnp.clip(index + moves[code], 0, 88)
        return (guess, index), (sign + code, guess)

    return list(lax.scan(encode, (jnp.int32(0), jnp.int32(0)), sound)[1])


def _speech_coder_tuned(sound: Any, step_sizes: Any, moves: Any) -> list[Any]:
    """Shifts instead of divisions, moves by arithmetic instead of a table."""
    sizes = jnp.asarray(step_sizes)

    def encode(carry: tuple[Any, Any], sample: Any) -> tuple[Any, Any]:
        guess, index = carry
        size = lax.dynamic_index_in_dim(sizes, index, keepdims=False, allow_negative_indices=False)
        error = sample - guess
        down = error < 0
        error = jnp.abs(error)
        half, quarter = size >> 1, size >> 2
        four = error >= size
        error = jnp.where(four, error - size, error)
        two = error >= half
        error = jnp.where(two, error - half, error)
        one = error >= quarter
        change = (size >> 3) + jnp.where(four, size, 0) + jnp.where(two, half, 0) + jnp.where(one, quarter, 0)
        guess = jnp.clip(guess + jnp.where(down, -change, change), -32768, 32767)
        low = jnp.where(two, 2, 0) + one
        index = jnp.clip(index + jnp.where(four, 2 + 2 * low, -1), 0, 88)
        return (guess, index), (jnp.where(down, 8, 0) + jnp.where(four, 4, 0) + low, guess)

    return list(lax.scan(encode, (jnp.int32(0), jnp.int32(0)), sound)[1])


WORKLOADS = (
    task(
        "lagged-fibonacci",
        "24,000 numbers of an additive generator whose 55 words are a shared variable",
        sequences.lagged_fibonacci,
        _words,
        _lagged_fibonacci,
        _lagged_fibonacci_tuned,
        TIGHT,
    ),
    task(
        "species",
        "20 species that compete, 2,000 steps from four slopes each",
        sequences.species,
        _community,
        _species,
        compare=close(1e-7),
    ),
    task(
        "order-book",
        "3,000 limit orders at 128 prices",
        sequences.order_book,
        _orders,
        _order_book,
        _order_book_tuned,
        TIGHT,
    ),
    task(
        "speech-coder",
        "codes of four bits for 10,000 samples of a sound",
        sequences.speech_coder,
        _sound,
        _speech_coder,
        _speech_coder_tuned,
        TIGHT,
    ),
)
