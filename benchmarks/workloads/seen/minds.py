"""Words from pairs of letters, a language model that remembers, objects in a picture and games by chance."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random
from jax.nn import relu, sigmoid

from benchmarks.compare import TIGHT, close, within
from benchmarks.programs.seen import minds
from benchmarks.programs.seen.minds import COLUMNS, HEADS, LAYERS, ROWS, WAYS
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _letters(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Words that are drawn as words of a language are, some of them often."""
    size, letters = scale.pick((3_000, 27), quick=(60, 5))
    share = 1 / np.arange(1, letters)
    lexicon = [rng.choice(letters - 1, rng.integers(2, 9), p=share / share.sum()) + 1 for _ in range(200)]
    often = 1 / np.arange(1, 201)
    words = rng.choice(200, size, p=often / often.sum())
    text = np.concatenate([np.append(lexicon[word], 0) for word in words])[:size]
    return inputs(text.astype("int32"), letters=letters, merges=scale.steps(80, quick=6))


def _byte_pairs(text: Any, letters: int, merges: int) -> list[Any]:
    size, most = len(text), letters + merges
    place = jnp.arange(size, dtype="int32")

    def merge(carry: tuple[Any, Any], new: Any) -> tuple[tuple[Any, Any], Any]:
        text, length = carry
        pair = text * most + jnp.roll(text, -1)
        counts = jnp.zeros(most * most, "int32").at[pair].add((place + 1 < length).astype("int32"))
        best = jnp.argmax(counts).astype("int32")

        def put(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[tuple[Any, ...], None]:
            written, end, skips = carry
            i, symbol, pair_i = now
            here = (pair_i == best) & (i + 1 < length) & ~skips
            stays = (i < length) & ~skips
            written = written.at[end].set(jnp.where(stays, jnp.where(here, new, symbol), written[end]))
            return (written, end + stays, here), None

        start = (jnp.zeros_like(text), jnp.int32(0), False)
        (text, length, _), _ = lax.scan(put, start, (place, text, pair))
        return (text, length), (best, length)

    start = (text, jnp.int32(size))
    _, (pair, length) = lax.scan(merge, start, jnp.arange(letters, most, dtype="int32"))
    return [pair, length]


def _byte_pairs_tuned(text: Any, letters: int, merges: int) -> list[Any]:
    """The loop over the text ends where what is left of it ends; the most frequent pair as a minimum of numbers."""
    size, most = len(text), letters + merges
    place, symbols = jnp.arange(size, dtype="int32"), jnp.arange(most * most, dtype="int32")

    def read(array: Any, place: Any) -> Any:
        return lax.dynamic_index_in_dim(array, place, keepdims=False)

    def merge(carry: tuple[Any, Any], new: Any) -> tuple[tuple[Any, Any], Any]:
        text, length = carry
        pair = jnp.where(place + 1 < length, text * most + jnp.roll(text, -1), most * most)
        counts = jnp.zeros(most * most + 1, "int32").at[pair].add(1, mode="promise_in_bounds")[:-1]
        best = jnp.where(counts == counts.max(), symbols, most * most).min()

        def put(i: Any, carry: tuple[Any, ...]) -> tuple[Any, ...]:
            written, end, skips = carry
            joins = ~skips & (read(pair, i) == best)
            symbol = jnp.where(joins, new, read(text, i))
            written = lax.dynamic_update_index_in_dim(written, symbol, end, 0)
            return written, end + jnp.where(skips, 0, 1), joins

        start = (jnp.zeros_like(text), jnp.int32(0), False)
        text, length, _ = lax.fori_loop(0, length, put, start)
        return (text, length), (best, length)

    start = (text, jnp.int32(size))
    _, (pair, length) = lax.scan(merge, start, jnp.arange(letters, most, dtype="int32"))
    return [pair, length]


def _speaker(rng: np.random.Generator, scale: Scale) -> Inputs:
    texts, units, many = scale.pick((4, 128, 500), quick=(2, 16, 20))
    steps = scale.steps(128, quick=12)
    words = rng.normal(size=(many, units))
    places = 0.7 * rng.normal(size=(steps, units))
    shapes = [(units, units)] * 4 + [(units, 4 * units), (4 * units, units)]
    weights = [rng.normal(size=(LAYERS, *shape)) / np.sqrt(shape[0]) for shape in shapes]
    first = rng.integers(0, many, texts).astype("int32")
    return inputs(first, *(one.astype("float32") for one in (words, places, *weights)), steps=steps)


def _rms(x: Any) -> Any:
    return x / jnp.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)


def _cached_attention(first: Any, words: Any, places: Any, *weights: Any, steps: int) -> Any:
    texts, units = len(first), words.shape[1]
    width = units // HEADS

    def step(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[tuple[Any, ...], Any]:
        word, K, V = carry
        t, place = now
        x = words[word] + place
        for layer in range(LAYERS):
            W_q, W_k, W_v, W_o, W_in, W_out = (W[layer] for W in weights)
            y = _rms(x)
            q, k, v = ((y @ W).reshape(texts, HEADS, width) for W in (W_q, W_k, W_v))
            K, V = K.at[layer, t].set(k), V.at[layer, t].set(v)
            scores = jnp.einsum("tbhd,bhd->tbh", K[layer], q) / np.float32(width**0.5)
            scores = jnp.where((jnp.arange(steps) <= t)[:, None, None], scores, -1e9)
            share = jax.nn.softmax(scores, axis=0)
            x = x + jnp.einsum("tbh,tbhd->bhd", share, V[layer]).reshape(texts, units) @ W_o
            x = x + relu(_rms(x) @ W_in) @ W_out
        word = jnp.argmax(_rms(x) @ words.T, axis=1).astype("int32")
        return (word, K, V), word

    empty = jnp.zeros((LAYERS, steps, texts, HEADS, width), "float32")
    return lax.scan(step, (first, empty, empty), (jnp.arange(steps), places))[1]


def _cached_attention_tuned(
    first: Any, words: Any, places: Any, W_q: Any, W_k: Any, W_v: Any, W_o: Any, W_in: Any, W_out: Any, steps: int
) -> Any:
    """Loops over parts of the time, each with as many keys as there are at its end; queries, keys and values by one
    product; an array of keys for each layer, with the time before the last axis."""
    texts, units = len(first), words.shape[1]
    width = units // HEADS
    turned = words.T
    W_qkv = jnp.concatenate([W_q / np.float32(width**0.5), W_k, W_v], axis=2)
    part = max(1, steps // 4)
    word, caches, found = first, [jnp.zeros((0, texts, units), "float32")] * (2 * LAYERS), []
    sums = np.kron(np.eye(HEADS), np.ones((width, 1))).astype("float32")

    for begin in range(0, steps, part):
        end = min(begin + part, steps)
        time = jnp.arange(end, dtype="int32")
        caches = [jnp.pad(cache, ((0, end - begin), (0, 0), (0, 0))) for cache in caches]

        def step(
            carry: tuple[Any, ...], now: tuple[Any, Any], time: Any = time, end: int = end
        ) -> tuple[tuple[Any, ...], Any]:
            word, caches = carry
            caches = list(caches)
            t, place = now
            x = words.at[word].get(mode="promise_in_bounds") + place
            for layer in range(LAYERS):
                q, k, v = jnp.split(_rms(x) @ W_qkv[layer], 3, axis=1)
                K = lax.dynamic_update_index_in_dim(caches[2 * layer], k, t, 0)
                V = lax.dynamic_update_index_in_dim(caches[2 * layer + 1], v, t, 0)
                caches[2 * layer : 2 * layer + 2] = [K, V]
                scores = ((K * q).reshape(-1, units) @ sums).reshape(end, texts, HEADS)
                scores = jnp.where((time <= t)[:, None, None], scores, -1e9)
                share = jnp.exp(scores - scores.max(axis=0))
                wide = jnp.broadcast_to(share[..., None], (*share.shape, width)).reshape(end, texts, units)
                total = jnp.repeat(share.sum(axis=0), width, axis=1)
                x = x + ((wide * V).sum(axis=0) / total) @ W_o[layer]
                x = x + relu(_rms(x) @ W_in[layer]) @ W_out[layer]
            word = jnp.argmax(x @ turned, axis=1).astype("int32")
            return (word, tuple(caches)), word

        given = (jnp.arange(begin, end, dtype="int32"), places[begin:end])
        (word, kept), some = lax.scan(step, (word, tuple(caches)), given)
        caches = list(kept)
        found.append(some)
    return jnp.concatenate(found)


def _objects(rng: np.random.Generator, scale: Scale) -> Inputs:
    pictures, parts, units, number = scale.pick((16, 256, 64, 7), quick=(2, 12, 8, 3))
    inner = 2 * units
    shapes = [(units, units)] * 3 + [(units, 2 * units)] * 2 + [(units, units)] * 2 + [(units, inner), (inner, units)]
    weights = [rng.normal(size=shape) / np.sqrt(shape[0]) for shape in shapes]
    middle = rng.normal(size=(pictures, number, units))
    of = rng.integers(0, number, (pictures, parts))
    seen = np.take_along_axis(middle, of[:, :, None], axis=1) + 0.5 * rng.normal(size=(pictures, parts, units))
    slots = rng.normal(size=middle.shape)
    return inputs(*(one.astype("float32") for one in (seen, slots, middle, *weights)), rounds=scale.steps(5, quick=3))


def _layer_norm(x: Any) -> Any:
    x = x - x.mean(axis=-1, keepdims=True)
    return x / jnp.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5)


def _slot_attention(parts: Any, slots: Any, wanted: Any, *weights: Any, rounds: int) -> list[Any]:
    units = slots.shape[2]

    def cost(weights: tuple[Any, ...]) -> Any:
        W_k, W_v, W_q, W_gates, U_gates, W_new, U_new, W_in, W_out = weights
        seen = _layer_norm(parts)
        k, v = seen @ W_k, seen @ W_v

        def step(slots: Any, _: None) -> tuple[Any, None]:
            q = _layer_norm(slots) @ W_q
            scores = jnp.einsum("bnd,bsd->bns", k, q) / np.float32(units**0.5)
            share = jax.nn.softmax(scores, axis=2) + 1e-6
            share = share / share.sum(axis=1, keepdims=True)
            found = jnp.einsum("bns,bnd->bsd", share, v)
            keep, use = jnp.split(sigmoid(found @ W_gates + slots @ U_gates), 2, axis=2)
            new = jnp.tanh(found @ W_new + (use * slots) @ U_new)
            slots = keep * slots + (1 - keep) * new
            return slots + relu(_layer_norm(slots) @ W_in) @ W_out, None

        last, _ = lax.scan(step, slots, None, rounds)
        return ((last - wanted) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _slot_attention_tuned(parts: Any, slots: Any, wanted: Any, *weights: Any, rounds: int) -> list[Any]:
    """Rounds one after the other without a loop. Matrices of keys go to queries, and those of values to what is found,
    so that no product has the rows of all parts but those with attention."""
    units = slots.shape[2]
    seen = _layer_norm(parts)

    def cost(weights: tuple[Any, ...]) -> Any:
        W_k, W_v, W_q, W_gates, U_gates, W_new, U_new, W_in, W_out = weights
        ask = (W_q / np.float32(units**0.5)) @ W_k.T
        W_found = W_v @ jnp.concatenate([W_gates, W_new], axis=1)
        now = slots
        for _ in range(rounds):
            q = _layer_norm(now) @ ask
            scores = jnp.einsum("bsd,bnd->bsn", q, seen)
            share = jax.nn.softmax(scores, axis=1) + 1e-6
            found = jnp.einsum("bsn,bnd->bsd", share, seen) / share.sum(axis=2, keepdims=True)
            inner = found @ W_found
            gates = sigmoid(inner[..., : 2 * units] + now @ U_gates)
            keep, use = gates[..., :units], gates[..., units:]
            new = jnp.tanh(inner[..., 2 * units :] + (use * now) @ U_new)
            now = new + keep * (now - new)
            now = now + relu(_layer_norm(now) @ W_in) @ W_out
        return ((now - wanted) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _games(_: np.random.Generator, scale: Scale) -> Inputs:
    """Games that begin with the same three stones."""
    count = scale.pick(2_000, quick=1_000)
    power = 2 ** np.arange(COLUMNS * (ROWS + 1), dtype="int64")
    first = power[3 * (ROWS + 1)] + power[2 * (ROWS + 1)]
    second = power[3 * (ROWS + 1) + 1] + power[4 * (ROWS + 1)]
    height = np.array([0, 0, 1, 2, 1, 0, 0])
    weight = np.array([1, 1.5, 2, 3, 2, 1.5, 1])
    return inputs(weight, power, np.full(count, first), np.full(count, second), np.tile(height, (count, 1)))


def _four(stones: Any) -> Any:
    won = jnp.zeros(stones.shape, bool)
    for way in WAYS:
        two = stones & (stones >> way)
        won = won | ((two & (two >> (2 * way))) != 0)
    return won


def _playouts(key: Any, weight: Any, power: Any, first: Any, second: Any, height: Any) -> Any:
    game = jnp.arange(len(first))

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        key, own, other, height, sign, value, plays = carry
        key, used = random.split(key)
        wish = jnp.where(height < ROWS, jnp.log(weight), -jnp.inf)
        column = random.categorical(used, wish, axis=1)
        stone = power[column * (ROWS + 1) + height[game, column]]
        own = jnp.where(plays, own | stone, own)
        height = height.at[game, column].add(plays)
        won = plays & _four(own)
        value = jnp.where(won, sign, value)
        plays = plays & ~won & (height.sum(axis=1) < ROWS * COLUMNS)
        return key, other, own, height, -sign, value, plays

    start = (key, first, second, height, 1.0, jnp.zeros(len(first)), jnp.ones(len(first), bool))
    found = lax.while_loop(lambda carry: carry[6].any(), step, start)
    return jnp.stack([found[5].mean(), found[3].sum(axis=1).mean() / (ROWS * COLUMNS)])


def _playouts_tuned(key: Any, weight: Any, power: Any, first: Any, second: Any, height: Any) -> Any:
    """One random number of 32 bits a game and step, and sums of weights of free columns; the lowest free place of each
    column is a bit; columns apart."""
    count = len(first)
    heavy = weight.astype("float32")
    bottom = power[:: ROWS + 1]
    beyond = power[ROWS :: ROWS + 1]
    before = height[0].sum()

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        key, own, other, free, sign, value, length, plays, time = carry
        key, used = random.split(key)
        below, total = [], jnp.zeros(count, "float32")
        for k in range(COLUMNS):
            total = total + jnp.where((free & beyond[k]) == 0, heavy[k], 0)
            below.append(total)
        u = random.uniform(used, (count,), "float32") * total
        stone, passed = jnp.zeros(count, "int64"), jnp.zeros(count, bool)
        for k in range(COLUMNS):
            reached = u < below[k]
            column = bottom[k] * (2 ** (ROWS + 1) - 1)
            stone = jnp.where(reached & ~passed, free & column, stone)
            passed = passed | reached
        own = jnp.where(plays, own | stone, own)
        free = jnp.where(plays, free + stone, free)
        time = time + 1
        won = plays & _four(own)
        value = jnp.where(won, sign, value)
        ends = won | (time == ROWS * COLUMNS)
        length = jnp.where(plays & ends, time, length)
        return key, other, own, free, -sign, value, length, plays & ~ends, time

    free = (bottom << height).sum(axis=1)
    nothing = (jnp.zeros(count, "float32"), jnp.zeros(count, "int64"), jnp.ones(count, bool))
    start = (key, first, second, free, jnp.float32(1), *nothing, before)
    found = lax.while_loop(lambda carry: carry[7].any(), step, start)
    return jnp.stack([found[5].mean(dtype="float64"), found[6].mean() / (ROWS * COLUMNS)])


WORKLOADS = (
    task(
        "byte-pairs",
        "80 pairs of symbols of a text of 3,000 letters that become one, nested loops",
        minds.byte_pairs,
        _letters,
        _byte_pairs,
        _byte_pairs_tuned,
    ),
    task(
        "cached-attention",
        "128 words of 4 texts by a model of 2 layers of 128 units that keeps keys and values",
        minds.cached_attention,
        _speaker,
        _cached_attention,
        _cached_attention_tuned,
        TIGHT,
    ),
    task(
        "slot-attention-grad",
        "7 slots for the objects of 16 pictures of 256 parts, five rounds, with gradients",
        minds.slot_attention,
        _objects,
        _slot_attention,
        _slot_attention_tuned,
        close(1e-3),
    ),
    task(
        "playouts",
        "2,000 games of four in a row by chance, until all have ended",
        minds.playouts,
        _games,
        _playouts,
        _playouts_tuned,
        within(0.15),
        draws=True,
    ),
)
