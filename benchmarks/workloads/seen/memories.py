"""Recurrent networks with memory, attention and normalization, float32."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random
from jax.nn import sigmoid, softmax, softplus

from benchmarks.compare import close, near
from benchmarks.programs.seen import memories
from benchmarks.programs.seen.memories import COVERAGE, SMALL
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _weights(rng: np.random.Generator, *shape: int) -> Any:
    return (rng.normal(size=shape) / np.sqrt(shape[0])).astype("float32")


def _copying(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Words of eight bits, which the machine hears first and then says."""
    length, batch, hidden = scale.steps(20, quick=3), scale.pick(8, quick=2), scale.pick(100, quick=6)
    slots, width = scale.pick((128, 20), quick=(8, 4))
    bits = rng.integers(0, 2, (length, batch, 8))
    x = np.zeros((2 * length + 1, batch, 9))
    x[:length, :, :8], x[length, :, 8] = bits, 1
    target = np.zeros((2 * length + 1, batch, 8))
    target[length + 1 :] = bits
    head = _weights(rng, hidden, 4 * width + 12)
    weights = (_weights(rng, 9, hidden), _weights(rng, width, hidden), np.zeros(hidden, "float32"), head)
    M = 0.5 * rng.normal(size=(slots, width)).astype("float32")
    return inputs(x.astype("float32"), target.astype("float32"), *weights, _weights(rng, hidden + width, 8), M)


def _turing_machine(x: Any, target: Any, *weights: Any) -> list[Any]:
    def cost(weights: Any) -> Any:
        W_x, W_read, b, W_head, W_out, M = weights
        slots, width = M.shape

        def place(memory: Any, given: Any, before: Any) -> Any:
            key, rest = jnp.tanh(given[:, :width]), given[:, width:]
            norm = jnp.linalg.norm(memory, axis=2) * jnp.linalg.norm(key, axis=1, keepdims=True)
            alike = jnp.einsum("bnw,bw->bn", memory, key) / (norm + SMALL)
            found = softmax(softplus(rest[:, :1]) * alike, axis=1)
            gate, shift = sigmoid(rest[:, 1:2]), softmax(rest[:, 2:5], axis=1)
            mixed = gate * found + (1 - gate) * before
            moved = shift[:, :1] * jnp.roll(mixed, -1, axis=1) + shift[:, 1:2] * mixed
            moved = moved + shift[:, 2:] * jnp.roll(mixed, 1, axis=1)
            sharp = moved ** (1 + softplus(rest[:, 5:]))
            return sharp / sharp.sum(axis=1, keepdims=True)

        def step(carry: tuple[Any, ...], x_t: Any) -> tuple[Any, Any]:
            memory, read, at_write, at_read = carry
            h = jnp.tanh(x_t @ W_x + read @ W_read + b)
            for_write, for_read, erase, add = jnp.split(h @ W_head, [width + 6, 2 * width + 12, 3 * width + 12], axis=1)
            at_write = place(memory, for_write, at_write)
            erased = 1 - at_write[:, :, None] * sigmoid(erase)[:, None]
            memory = memory * erased + at_write[:, :, None] * jnp.tanh(add)[:, None]
            at_read = place(memory, for_read, at_read)
            read = jnp.einsum("bn,bnw->bw", at_read, memory)
            return (memory, read, at_write, at_read), jnp.concatenate([h, read], axis=1)

        batch = x.shape[1]
        everywhere = jnp.full((batch, slots), 1 / slots)
        start = (jnp.broadcast_to(M, (batch, slots, width)), jnp.zeros((batch, width)), everywhere, everywhere)
        logit = lax.scan(step, start, x)[1] @ W_out
        return (softplus(logit) - target * logit).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _turing_machine_tuned(x: Any, target: Any, *weights: Any) -> list[Any]:
    """Slots in the last axis of the memory; inner values of inputs before the loop and what depends on weights alone
    after it, so that the way back has no sums of their gradients."""
    W_x, W_read, b, W_head, W_out, M = weights
    slots, width = M.shape
    steps, batch, hidden = x.shape[0], x.shape[1], len(b)

    def place(memory: Any, given: Any, before: Any) -> Any:
        key, rest = jnp.tanh(given[:, :width]), given[:, width:]
        square, length = (memory * memory).sum(axis=1), (key * key).sum(axis=1, keepdims=True)
        alike = (memory * key[:, :, None]).sum(axis=1) / (jnp.sqrt(square) * jnp.sqrt(length) + SMALL)
        strength = softplus(rest[:, :1])
        found = jnp.exp(strength * (alike - 1))
        gate, shift = sigmoid(rest[:, 1:2]), softmax(rest[:, 2:5], axis=1)
        mixed = gate / found.sum(axis=1, keepdims=True) * found + (1 - gate) * before
        around = jnp.concatenate([mixed[:, -1:], mixed, mixed[:, :1]], axis=1)
        moved = shift[:, :1] * around[:, 2:] + shift[:, 1:2] * mixed + shift[:, 2:] * around[:, :-2]
        sharp = jnp.exp((1 + softplus(rest[:, 5:])) * jnp.log(moved))
        return sharp / sharp.sum(axis=1, keepdims=True)

    def cost(into: Any, into_head: Any, memory: Any, W_out: Any) -> Any:
        def step(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[Any, Any]:
            memory, read, at_write, at_read = carry
            given, head_given = now
            h = jnp.tanh(given + read @ W_read)
            head = h @ W_head + head_given
            at_write = place(memory, head[:, : width + 6], at_write)
            erase = sigmoid(head[:, 2 * width + 12 : 3 * width + 12])[:, :, None]
            add = jnp.tanh(head[:, 3 * width + 12 :])[:, :, None]
            memory = memory + at_write[:, None] * (add - erase * memory)
            at_read = place(memory, head[:, width + 6 : 2 * width + 12], at_read)
            read = (memory * at_read[:, None]).sum(axis=2)
            return (memory, read, at_write, at_read), (h, read)

        everywhere = jnp.full((batch, slots), 1 / slots)
        start = (memory, jnp.zeros((batch, width)), everywhere, everywhere)
        h, read = lax.scan(step, start, (into, into_head))[1]
        logit = h @ W_out[:hidden] + read @ W_out[hidden:]
        return (softplus(logit) - target * logit).mean(), (h, read)

    memory = jnp.broadcast_to(M.T, (batch, width, slots))
    nothing = jnp.zeros((steps, batch, W_head.shape[1]))
    (value, (h, read)), (of_into, of_head, of_memory, of_out) = jax.value_and_grad(
        cost, argnums=(0, 1, 2, 3), has_aux=True
    )(x @ W_x + b, nothing, memory, W_out)
    of_x = jnp.einsum("tbi,tbj->ij", x, of_into)
    of_read = jnp.einsum("tbi,tbj->ij", read[:-1], of_into[1:])
    slopes = [of_x, of_read, of_into.sum(axis=(0, 1)), jnp.einsum("tbi,tbj->ij", h, of_head)]
    return [value, *slopes, of_out, of_memory.sum(axis=0).T]


def _gated(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, batch = scale.steps(50, quick=4), scale.pick(16, quick=2)
    width, units = scale.pick((32, 128), quick=(3, 5))
    x, target = rng.normal(size=(steps, batch, width)), 0.3 * rng.normal(size=(steps, batch, 8))
    scales = (1 + 0.1 * rng.normal(size=3 * units), 0.1 * rng.normal(size=3 * units))
    weights = (_weights(rng, width + units, 3 * units), *scales, _weights(rng, units, 8))
    return inputs(*(array.astype("float32") for array in (x, target, *weights)))


def _gates(inner: Any, h: Any) -> Any:
    reset, new, update = jnp.split(inner, 3, axis=1)
    update = sigmoid(update - 1)
    return update * jnp.tanh(sigmoid(reset) * new) + (1 - update) * h


def _normalized_gates(x: Any, target: Any, *weights: Any) -> list[Any]:
    def cost(weights: Any) -> Any:
        W, scale, shift, W_out = weights

        def step(h: Any, x_t: Any) -> tuple[Any, Any]:
            inner = jnp.concatenate([x_t, h], axis=1) @ W
            mean, variance = inner.mean(axis=1, keepdims=True), inner.var(axis=1, keepdims=True)
            h = _gates((inner - mean) * lax.rsqrt(variance + 1e-5) * scale + shift, h)
            return h, h

        h = lax.scan(step, jnp.zeros((x.shape[1], len(W_out))), x)[1]
        return ((h @ W_out - target) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _normalized_gates_tuned(x: Any, target: Any, *weights: Any) -> list[Any]:
    """Inputs multiplied before the loop; gradients of weights, scales and shifts after the way back, as products with
    the gradients of the inner values at all times."""
    W, scale, shift, W_out = weights
    width = x.shape[2]
    U = W[width:]

    def cost(into: Any, more: Any, W_out: Any) -> Any:
        def step(h: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
            into_t, more_t = now
            inner = into_t + h @ U
            apart = inner - inner.mean(axis=1, keepdims=True)
            normal = apart * lax.rsqrt((apart * apart).mean(axis=1, keepdims=True) + 1e-5)
            h = _gates(normal * scale + more_t, h)
            return h, (h, normal)

        h, normal = lax.scan(step, jnp.zeros((x.shape[1], len(W_out))), (into, more))[1]
        return ((h @ W_out - target) ** 2).mean(), (h, normal)

    into = x @ W[:width]
    more = jnp.broadcast_to(shift, into.shape)
    (value, (h, normal)), (of_into, of_more, of_out) = jax.value_and_grad(cost, argnums=(0, 1, 2), has_aux=True)(
        into, more, W_out
    )
    of_x = jnp.einsum("tbi,tbj->ij", x, of_into)
    of_h = jnp.einsum("tbi,tbj->ij", h[:-1], of_into[1:])
    of_scale, of_shift = (of_more * normal).sum(axis=(0, 1)), of_more.sum(axis=(0, 1))
    return [value, jnp.concatenate([of_x, of_h]), of_scale, of_shift, of_out]


def _texts(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, batch, places = scale.steps(25, quick=3), scale.pick(8, quick=2), scale.pick(40, quick=4)
    units, words = scale.pick((64, 300), quick=(5, 7))
    memory = 0.5 * rng.normal(size=(batch, places, units))
    mask = np.arange(places) < rng.integers(places // 2, places + 1, (batch, 1))
    word = rng.integers(0, words, (steps + 1, batch)).astype("int32")
    weights = (
        rng.normal(size=(words, units)),
        _weights(rng, units, units),
        _weights(rng, units, units),
        0.3 * rng.normal(size=units),
        rng.normal(size=units) / 4,
        *(_weights(rng, units, 3 * units) for _ in range(3)),
        _weights(rng, 2 * units, words),
    )
    floats = [array.astype("float32") for array in (memory, mask, *weights)]
    return inputs(*floats[:2], word[:-1], word[1:], *floats[2:])


def _cross_entropy(features: Any, W_out: Any, following: Any) -> Any:
    chance = jax.nn.log_softmax(features @ W_out)
    return -jnp.take_along_axis(chance, following[:, :, None], axis=2).mean()


def _covering_attention(memory: Any, mask: Any, word: Any, following: Any, *weights: Any) -> list[Any]:
    def cost(weights: Any) -> Any:
        embedding, W_memory, W_query, w_cover, v, W_x, W_c, U, W_out = weights
        units = len(U)
        keys = memory @ W_memory

        def step(carry: tuple[Any, Any], x_t: Any) -> tuple[Any, Any]:
            h, cover = carry
            score = jnp.tanh(keys + (h @ W_query)[:, None] + cover[:, :, None] * w_cover) @ v
            weight = softmax(score, axis=1) * mask
            weight = weight / weight.sum(axis=1, keepdims=True)
            twice = jnp.minimum(weight, cover).sum(axis=1)
            context = jnp.einsum("bn,bnd->bd", weight, memory)
            given = x_t @ W_x + context @ W_c
            gates = sigmoid(given[:, : 2 * units] + h @ U[:, : 2 * units])
            reset, update = gates[:, :units], gates[:, units:]
            new = jnp.tanh(given[:, 2 * units :] + (reset * h) @ U[:, 2 * units :])
            h = update * h + (1 - update) * new
            return (h, cover + weight), (jnp.concatenate([h, context], axis=1), twice)

        start = (jnp.zeros((len(memory), units)), jnp.zeros_like(mask))
        features, twice = lax.scan(step, start, embedding[word])[1]
        return _cross_entropy(features, W_out, following) + COVERAGE * twice.mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _covering_attention_tuned(memory: Any, mask: Any, word: Any, following: Any, *weights: Any) -> list[Any]:
    """Words multiplied before the loop, both products of the state in one, and the gradients of all weights of the loop
    but two as products after it."""
    embedding, W_memory, W_query, w_cover, v, W_x, W_c, U, W_out = weights
    units = len(U)
    W_state = jnp.concatenate([U[:, : 2 * units], W_query], axis=1)
    U_new = U[:, 2 * units :]
    no = jnp.where(mask > 0, 0.0, -1e30)

    def cost(given: Any, query: Any, keys: Any, w_cover: Any, v: Any, W_out: Any) -> Any:
        def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
            h, cover = carry
            given_t, query_t = now
            of_state = h @ W_state
            asked = of_state[:, 2 * units :] + query_t
            score = jnp.tanh(keys + asked[:, None] + cover[:, :, None] * w_cover) @ v
            weight = softmax(score + no, axis=1)
            context = jnp.einsum("bn,bnd->bd", weight, memory)
            given_t = given_t + context @ W_c
            gates = sigmoid(given_t[:, : 2 * units] + of_state[:, : 2 * units])
            reset, update = gates[:, :units], gates[:, units:]
            some = reset * h
            new = jnp.tanh(given_t[:, 2 * units :] + some @ U_new)
            return (new + update * (h - new), cover + weight), (h, some, context, weight, cover)

        start = (jnp.zeros((len(memory), units)), jnp.zeros_like(mask))
        (last, _), (h, some, context, weight, cover) = lax.scan(step, start, (given, query))
        twice = jnp.minimum(weight, cover).sum(axis=2).mean()
        after = jnp.concatenate([h[1:], last[None]])
        features = jnp.concatenate([after, context], axis=2)
        return _cross_entropy(features, W_out, following) + COVERAGE * twice, (h, some, context)

    x = embedding[word]
    keys, query = memory @ W_memory, jnp.zeros((*word.shape, units))
    numbers = (0, 1, 2, 3, 4, 5)
    (value, (h, some, context)), found = jax.value_and_grad(cost, argnums=numbers, has_aux=True)(
        x @ W_x, query, keys, w_cover, v, W_out
    )
    of_given, of_query, of_keys, of_cover, of_v, of_out = found

    def weight(one: Any, other: Any) -> Any:
        return jnp.einsum("tbi,tbj->ij", one, other)

    of_u = jnp.concatenate([weight(h, of_given[:, :, : 2 * units]), weight(some, of_given[:, :, 2 * units :])], axis=1)
    of_embedding = jnp.zeros_like(embedding).at[word].add(of_given @ W_x.T)
    of_memory = jnp.einsum("bni,bnj->ij", memory, of_keys)
    products = [weight(x, of_given), weight(context, of_given), of_u]
    return [value, of_embedding, of_memory, weight(h, of_query), of_cover, of_v, *products, of_out]


def _language(rng: np.random.Generator, scale: Scale) -> Inputs:
    texts, units, letters = scale.pick((8, 128, 64), quick=(8, 6, 5))
    first = rng.integers(0, letters, texts).astype("int32")
    embedding = rng.normal(size=(letters, 32)).astype("float32")
    weights = (_weights(rng, 32, 4 * units), _weights(rng, units, 4 * units), np.zeros(4 * units, "float32"))
    out = 4 * _weights(rng, units, letters)
    return inputs(first, np.float32(0.8), embedding, *weights, out, characters=scale.steps(200, quick=80))


def _character_sampler(key: Any, first: Any, temperature: Any, *weights: Any, characters: int) -> Any:
    embedding, W, U, b, W_out = weights
    units = len(U)

    def step(carry: tuple[Any, ...], key: Any) -> tuple[Any, Any]:
        character, h, c = carry
        inner = embedding[character] @ W + h @ U + b
        taken, kept, shown = jnp.split(sigmoid(inner[:, : 3 * units]), 3, axis=1)
        c = taken * jnp.tanh(inner[:, 3 * units :]) + kept * c
        h = shown * jnp.tanh(c)
        chance = jax.nn.log_softmax(h @ W_out / temperature)
        character = random.categorical(key, chance).astype("int32")
        return (character, h, c), jnp.take_along_axis(chance, character[:, None], axis=1).mean()

    zeros = jnp.zeros((len(first), units))
    return lax.scan(step, (first, zeros, zeros), random.split(key, characters))[1].mean()


def _character_sampler_tuned(key: Any, first: Any, temperature: Any, *weights: Any, characters: int) -> Any:
    """All noise before the loop, a row of a table for what a character gives, and the chances after the loop."""
    embedding, W, U, b, W_out = weights
    units, texts, letters = len(U), len(first), len(embedding)
    noise = random.gumbel(key, (characters, texts, letters))
    table, scaled = embedding @ W + b, W_out / temperature

    def step(carry: tuple[Any, ...], noise_t: Any) -> tuple[Any, Any]:
        character, h, c = carry
        inner = table.at[character].get(mode="promise_in_bounds") + h @ U
        gates = sigmoid(inner[:, : 3 * units])
        c = gates[:, :units] * jnp.tanh(inner[:, 3 * units :]) + gates[:, units : 2 * units] * c
        h = gates[:, 2 * units :] * jnp.tanh(c)
        logit = h @ scaled
        character = jnp.argmax(logit + noise_t, axis=1).astype("int32")
        return (character, h, c), (character, logit)

    zeros = jnp.zeros((texts, units))
    character, logit = lax.scan(step, (first, zeros, zeros), noise)[1]
    chosen = jnp.take_along_axis(logit, character[:, :, None], axis=2)[:, :, 0]
    return (chosen - jax.nn.logsumexp(logit, axis=2)).mean()


WORKLOADS = (
    task(
        "turing-machine-grad",
        "neural Turing machine with 128 slots that copies 20 words, batch 8, with gradients",
        memories.turing_machine,
        _copying,
        _turing_machine,
        _turing_machine_tuned,
        close(1e-3),
    ),
    task(
        "layer-norm-gru-grad",
        "gated units with normalized inner values, 50 steps, batch 16, 128 units, with gradients",
        memories.normalized_gates,
        _gated,
        _normalized_gates,
        _normalized_gates_tuned,
        close(1e-3),
    ),
    task(
        "coverage-attention-grad",
        "decoder of 25 words that attends to 40 places and to what it attended to before, batch 8, with gradients",
        memories.covering_attention,
        _texts,
        _covering_attention,
        _covering_attention_tuned,
        close(1e-3),
    ),
    task(
        "character-sampler",
        "8 texts of 200 characters drawn from an LSTM layer of 128 units",
        memories.character_sampler,
        _language,
        _character_sampler,
        _character_sampler_tuned,
        near(0.2),
        draws=True,
    ),
)
