"""Bits that came through noise, a stream of secret numbers, levels between two others and a text from its sorted
turns."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import channels
from benchmarks.programs.seen.channels import APART, BIT, FINE, IMPOSSIBLE, LETTERS, NEXT, PARITY, SHARE
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _word(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.steps(1_024, quick=40)
    bits, order = rng.integers(0, 2, size), rng.permutation(size)

    def checks(bits: Any) -> Any:
        state, made = 0, []
        for bit in bits:
            made.append(PARITY[state, bit])
            state = NEXT[state, bit]
        return np.array(made)

    sent = [2.0 * bits - 1, checks(bits), checks(bits[order])]
    spread = 1.0
    came = [(2 / spread**2 * (one + spread * rng.normal(size=size))).astype("float32") for one in sent]
    return inputs(*came, order.astype("int32"), rounds=scale.pick(8, quick=3))


def _turbo_decoder(plain: Any, first: Any, second: Any, order: Any, rounds: int) -> Any:
    before = [[(s, u) for s in range(4) for u in range(2) if NEXT[s, u] == to] for to in range(4)]
    came_from, came_by = np.moveaxis(np.array(before), 2, 0)

    def found(odds: Any, checks: Any) -> Any:
        branch = (BIT * odds[:, None, None] + PARITY * checks[:, None, None]) / 2

        def forth(a: Any, branch_t: Any) -> tuple[Any, Any]:
            new = (a[came_from] + branch_t[came_from, came_by]).max(axis=1)
            return new - new.max(), a

        def back(b: Any, branch_t: Any) -> tuple[Any, Any]:
            new = (b[NEXT] + branch_t).max(axis=1)
            return new - new.max(), b

        zeros = jnp.zeros(4, "float32")
        _, a = lax.scan(forth, zeros.at[1:].set(IMPOSSIBLE), branch)
        _, b = lax.scan(back, zeros, branch, reverse=True)
        best = (a[:, :, None] + branch + b[:, NEXT]).max(axis=1)
        return best[:, 1] - best[:, 0] - odds

    def step(known: Any, _: None) -> tuple[Any, Any]:
        odds = plain + known
        news = SHARE * found(odds, first)
        back = SHARE * found((plain + news)[order], second)
        known = jnp.zeros_like(known).at[order].set(back)
        return known, plain + news + known

    return lax.scan(step, jnp.zeros_like(plain), None, rounds)[1][-1]


def _turbo_decoder_tuned(plain: Any, first: Any, second: Any, order: Any, rounds: int) -> Any:
    """Both ways in one loop, with a number for each state; states less the first of them; half sums and differences
    before the loop; the way back of the order before all."""
    size = len(plain)
    inverse = jnp.zeros_like(order).at[order].set(jnp.arange(size, dtype="int32"), unique_indices=True)

    def gained(s: int, u: int, half: Any, other: Any) -> Any:
        """Logarithm of a branch, from half the sum and half the difference of odds and checks."""
        value = half if PARITY[s, u] == BIT[s, u] else other
        return value if u else -value

    def best(pairs: list[Any]) -> Any:
        return jnp.maximum(*pairs)

    def found(odds: Any, checks: Any) -> Any:
        half, other = 0.5 * (odds + checks), 0.5 * (odds - checks)

        def step(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
            a, b = carry
            half_f, other_f, half_b, other_b = now
            ways = [(s, u) for s in range(4) for u in range(2)]
            new_a = [
                best([a[s] + gained(s, u, half_f, other_f) for s, u in ways if NEXT[s, u] == to]) for to in range(4)
            ]
            new_b = [best([b[NEXT[s, u]] + gained(s, u, half_b, other_b) for u in range(2)]) for s in range(4)]
            new_a = [one - new_a[0] for one in new_a]
            new_b = [one - new_b[0] for one in new_b]
            return (tuple(new_a), tuple(new_b)), carry

        zero, none = jnp.float32(0), jnp.float32(IMPOSSIBLE)
        start = ((zero, none, none, none), (zero,) * 4)
        _, (a, b) = lax.scan(step, start, (half, other, half[::-1], other[::-1]), unroll=2)
        b = [one[::-1] for one in b]
        ends = [[a[s] + gained(s, u, half, other) + b[NEXT[s, u]] for s in range(4)] for u in range(2)]
        likeliest = [jnp.maximum(jnp.maximum(*end[:2]), jnp.maximum(*end[2:])) for end in ends]
        return likeliest[1] - likeliest[0] - odds

    def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
        known, _ = carry
        news = SHARE * found(plain + known, first)
        turned = (plain + news).at[order].get(mode="promise_in_bounds")
        known = (SHARE * found(turned, second)).at[inverse].get(mode="promise_in_bounds")
        return (known, plain + news + known), None

    zeros = jnp.zeros_like(plain)
    return lax.scan(step, (zeros, zeros), None, rounds)[0][1]


def _secret(rng: np.random.Generator, scale: Scale) -> Inputs:
    message = rng.integers(0, 256, scale.steps(50_000, quick=300)).astype("int32")
    key = rng.integers(0, 256, 16)
    table, j = np.arange(256), 0
    for i in range(256):
        j = (j + table[i] + key[i % 16]) % 256
        table[i], table[j] = table[j], table[i]
    return Inputs((message,), {}, (table.astype("int32"), np.zeros(2, "int32")))


def _key_stream(state: tuple[Any, Any], message: Any) -> tuple[Any, Any]:
    def step(carry: tuple[Any, ...], letter: Any) -> tuple[tuple[Any, ...], Any]:
        table, i, j = carry
        i = (i + 1) % 256
        one = table[i]
        j = (j + one) % 256
        other = table[j]
        table = table.at[i].set(other).at[j].set(one)
        return (table, i, j), letter ^ table[(one + other) % 256]

    table, place = state
    (table, i, j), secret = lax.scan(step, (table, place[0], place[1]), message)
    return secret, (table, jnp.stack([i, j]))


def _key_stream_tuned(state: tuple[Any, Any], message: Any) -> tuple[Any, Any]:
    """Bits instead of remainders; numbers are read and written as slices, so that the table stays where it is; first
    places of changes are known; the message after the loop."""

    def read(table: Any, place: Any) -> Any:
        return lax.dynamic_index_in_dim(table, place, keepdims=False)

    def step(carry: tuple[Any, Any], i: Any) -> tuple[tuple[Any, Any], Any]:
        table, j = carry
        one = read(table, i)
        j = (j + one) & 255
        other = read(table, j)
        table = lax.dynamic_update_index_in_dim(table, other, i, 0)
        table = lax.dynamic_update_index_in_dim(table, one, j, 0)
        return (table, j), read(table, (one + other) & 255)

    table, place = state
    places = (place[0] + 1 + jnp.arange(len(message), dtype="int32")) & 255
    (table, j), stream = lax.scan(step, (table, place[1]), places)
    return message ^ stream, (table, jnp.stack([places[-1], j]))


def _between(_: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.steps(2**17, quick=2**9)
    x = FINE * (0.5 + 0.3 * np.sin(2 * np.pi * 5 * np.arange(size) / size))
    return inputs(np.round(x).astype("int32"))


def _noise_shaper(x: Any) -> list[Any]:
    def step(carry: tuple[Any, ...], x_t: Any) -> tuple[tuple[Any, ...], Any]:
        a, b, c, b_1, c_1, c_2, p, q, r = carry
        high_a, a = jnp.divmod(a + x_t, FINE)
        high_b, b = jnp.divmod(b + a, FINE)
        high_c, c = jnp.divmod(c + b, FINE)
        y = high_a + (high_b - b_1) + (high_c - 2 * c_1 + c_2)
        p = p + y
        q = q + p
        r = r + q
        return (a, b, c, high_b, high_c, c_1, p, q, r), (y, r)

    _, (y, r) = lax.scan(step, (jnp.int32(0),) * 9, x)
    out = r[APART - 1 :: APART]
    for _ in range(3):
        out = jnp.diff(out, prepend=0)
    return [y, out]


def _noise_shaper_tuned(x: Any) -> list[Any]:
    """Bits instead of remainders; sums and differences of levels are one product with the values of a cube of means
    after the loop."""
    size, low = len(x), FINE - 1

    def step(carry: tuple[Any, ...], x_t: Any) -> tuple[tuple[Any, ...], Any]:
        a, b, c, b_1, c_1, c_2 = carry
        a = a + x_t
        high_a, a = a >> 16, a & low
        b = b + a
        high_b, b = b >> 16, b & low
        c = c + b
        high_c, c = c >> 16, c & low
        return (a, b, c, high_b, high_c, c_1), high_a + (high_b - b_1) + (high_c - 2 * c_1 + c_2)

    _, y = lax.scan(step, (jnp.int32(0),) * 6, x)
    box = np.ones(APART)
    cube = np.convolve(np.convolve(box, box), box)
    weight = np.zeros((3, APART), "float32")
    weight.ravel()[: len(cube)] = cube
    parts = y[: size // APART * APART].reshape(-1, APART).astype("float32") @ weight[:, ::-1].T
    parts = jnp.pad(parts, ((2, 0), (0, 0)))
    return [y, (parts[2:, 0] + parts[1:-1, 1] + parts[:-2, 2]).astype("int32")]


def _turns(rng: np.random.Generator, scale: Scale) -> Inputs:
    """A text of four letters that ends with a mark, and the order of its suffixes by ranks of twice as many letters."""
    size = scale.steps(2**17, quick=2**7)
    text = np.append(rng.integers(1, LETTERS, size - 1), 0)
    rank, width = text.astype("int64"), 1
    while True:
        key = rank * (size + 1) + np.append(rank[width:], np.zeros(min(width, size), "int64"))[:size]
        order = np.argsort(key, kind="stable")
        rank = np.zeros(size, "int64")
        rank[order[1:]] = np.cumsum(key[order[1:]] != key[order[:-1]])
        if rank.max() == size - 1:
            return inputs(text[order - 1].astype("int32"))
        width *= 2


def _inverse_transform(last: Any) -> Any:
    order = jnp.argsort(last)

    def step(place: Any, _: None) -> tuple[Any, Any]:
        place = order[place]
        return place, last[place]

    return lax.scan(step, jnp.argmin(last), None, len(last))[1]


def _inverse_transform_tuned(last: Any) -> Any:
    """Backwards, as that needs no order but counts of letters so far, which are found by a loop."""
    size = len(last)
    count = [(last == k).sum(dtype="int32") for k in range(LETTERS)]
    begin = jnp.stack([sum(count[:k], jnp.int32(0)) for k in range(LETTERS)])

    def read(array: Any, place: Any) -> Any:
        return lax.dynamic_index_in_dim(array, place, keepdims=False)

    def rank(place: Any, letter: Any) -> tuple[Any, Any]:
        here = read(place, letter)
        return lax.dynamic_update_index_in_dim(place, here + 1, letter, 0), here

    _, before = lax.scan(rank, begin, last)
    _, place = lax.scan(lambda place, _: (read(before, place), place), jnp.int32(0), None, size)
    return jnp.roll(last.at[place].get(mode="promise_in_bounds")[::-1], -1)


WORKLOADS = (
    task(
        "turbo-decoder",
        "1,024 bits from a turbo code with four states, eight rounds, nested loops",
        channels.turbo_decoder,
        _word,
        _turbo_decoder,
        _turbo_decoder_tuned,
        close(1e-3),
    ),
    task(
        "key-stream",
        "50,000 bytes with those of a stream cipher, whose table the next call goes on with",
        channels.key_stream,
        _secret,
        _key_stream,
        _key_stream_tuned,
    ),
    task(
        "noise-shaper",
        "131,072 levels of three accumulators, and each 64th value of their sums and differences",
        channels.noise_shaper,
        _between,
        _noise_shaper,
        _noise_shaper_tuned,
    ),
    task(
        "inverse-transform",
        "text of 131,072 letters from the last letters of its sorted turns",
        channels.inverse_transform,
        _turns,
        _inverse_transform,
        _inverse_transform_tuned,
    ),
)
