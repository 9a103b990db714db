"""Recurrent networks and layers."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.program import unroll
from benchmarks.programs.seen import networks
from benchmarks.programs.seen.networks import STEP
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _arrays(rng: np.random.Generator, *shapes: tuple[int, ...], gain: float = 1.0) -> list[Any]:
    """Normal values scaled by the rows of each matrix, float32."""
    return [(gain * rng.normal(size=shape) / shape[-2] ** 0.5).astype("float32") for shape in shapes]


def _peepholes_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    units = scale.pick(32, quick=6)
    x = rng.normal(size=(scale.steps(80, quick=15), 8, 16)).astype("float32")
    return inputs(x, *_arrays(rng, (16, 4 * units), (units, 4 * units), (3, units)))


def _peepholes(x: Any, W: Any, U: Any, p: Any) -> list[Any]:
    def cost(W: Any, U: Any, p: Any) -> Any:
        n = len(U)

        def step(carry: tuple[Any, Any], x_t: Any) -> tuple[tuple[Any, Any], Any]:
            h, c = carry
            inner = x_t @ W + h @ U
            taken = jax.nn.sigmoid(inner[:, :n] + p[0] * c)
            kept = jax.nn.sigmoid(inner[:, n : 2 * n] + p[1] * c)
            c = kept * c + taken * jnp.tanh(inner[:, 2 * n : 3 * n])
            shown = jax.nn.sigmoid(inner[:, 3 * n :] + p[2] * c)
            h = shown * jnp.tanh(c)
            return (h, c), h

        start = jnp.zeros((x.shape[1], n), x.dtype)
        return (lax.scan(step, (start, start), x)[1] ** 2).mean()

    value, slopes = jax.value_and_grad(cost, (0, 1, 2))(W, U, p)
    return [value, *slopes]


def _peepholes_tuned(x: Any, W: Any, U: Any, p: Any) -> list[Any]:
    """Input products before the loop; reverse loop by hand; every weight gradient is one product after it."""
    n = len(U)
    start = jnp.zeros((x.shape[1], n), x.dtype)

    def forward(carry: tuple[Any, Any], inner: Any) -> tuple[tuple[Any, Any], Any]:
        h, before = carry
        inner = inner + h @ U
        taken = jax.nn.sigmoid(inner[:, :n] + p[0] * before)
        kept = jax.nn.sigmoid(inner[:, n : 2 * n] + p[1] * before)
        new = jnp.tanh(inner[:, 2 * n : 3 * n])
        c = kept * before + taken * new
        shown = jax.nn.sigmoid(inner[:, 3 * n :] + p[2] * c)
        size = jnp.tanh(c)
        h = shown * size
        return (h, c), (h, before, c, taken, kept, new, shown, size)

    _, saved = lax.scan(forward, (start, start), x @ W, unroll=unroll(1, 8))
    h, before, c = saved[:3]
    back = U.T

    def reverse(later: tuple[Any, Any], now: Any) -> tuple[tuple[Any, Any], Any]:
        (later_h, later_c), (into, before, _, taken, kept, new, shown, size) = later, now
        of_h = later_h + into
        of_shown = of_h * size * shown * (1 - shown)
        of_c = later_c + of_h * shown * (1 - size * size) + p[2] * of_shown
        of_taken = of_c * new * taken * (1 - taken)
        of_kept = of_c * before * kept * (1 - kept)
        of_new = of_c * taken * (1 - new * new)
        every = jnp.concatenate([of_taken, of_kept, of_new, of_shown], axis=1)
        return (every @ back, of_c * kept + p[0] * of_taken + p[1] * of_kept), every

    into = h * (2 / h.size)
    _, every = lax.scan(reverse, (start, start), (into, *saved[1:]), reverse=True, unroll=unroll(1, 8))
    flat = every.reshape(-1, 4 * n)
    earlier = jnp.concatenate([start[None], h[:-1]]).reshape(len(flat), n)
    peeps = [(seen * every[..., i * n : (i + 1) * n]).sum((0, 1)) for seen, i in ((before, 0), (before, 1), (c, 3))]
    return [(h**2).mean(), x.reshape(len(flat), -1).T @ flat, earlier.T @ flat, jnp.stack(peeps)]


def _ode_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    width, units = scale.pick((8, 32), quick=(3, 6))
    start, target = (rng.normal(size=(16, width)).astype("float32") for _ in range(2))
    W, V = _arrays(rng, (width, units), (units, width))
    return inputs(start, target, W, 0.1 * W[0], V, steps=scale.steps(40, quick=8))


def _neural_ode(start: Any, target: Any, W: Any, b: Any, V: Any, steps: int) -> list[Any]:
    def cost(W: Any, b: Any, V: Any) -> Any:
        def slope(x: Any) -> Any:
            return jnp.tanh(x @ W + b) @ V

        def step(x: Any, _: None) -> tuple[Any, None]:
            k1 = slope(x)
            k2 = slope(x + STEP / 2 * k1)
            k3 = slope(x + STEP / 2 * k2)
            k4 = slope(x + STEP * k3)
            return x + (k1 + 2 * k2 + 2 * k3 + k4) * STEP / 6, None

        return ((lax.scan(step, start, None, length=steps)[0] - target) ** 2).mean()

    value, slopes = jax.value_and_grad(cost, (0, 1, 2))(W, b, V)
    return [value, *slopes]


def _neural_ode_tuned(start: Any, target: Any, W: Any, b: Any, V: Any, steps: int) -> list[Any]:
    """Hidden units of the four stages kept; reverse loop by hand; every weight gradient is one product after it."""
    to_W, to_V = W.T, V.T

    def forward(x: Any, _: None) -> tuple[Any, Any]:
        places, hidden = [x], [jnp.tanh(x @ W + b)]
        total = slope = hidden[0] @ V
        for size, weight in ((0.5, 2), (0.5, 2), (1.0, 1)):
            places.append(x + size * STEP * slope)
            hidden.append(jnp.tanh(places[-1] @ W + b))
            slope = hidden[-1] @ V
            total = total + weight * slope
        return x + total * (STEP / 6), (jnp.stack(places), jnp.stack(hidden))

    end, (places, hidden) = lax.scan(forward, start, None, length=steps)

    def reverse(later: Any, hidden: Any) -> tuple[Any, Any]:
        into, of_slopes, of_inner = later, [], []
        asked = jnp.zeros_like(later)
        for stage, weight, size in ((3, 1, 0.0), (2, 2, 1.0), (1, 2, 0.5), (0, 1, 0.5)):
            of_slope = later * (weight * STEP / 6) + size * STEP * asked
            inner = (of_slope @ to_V) * (1 - hidden[stage] * hidden[stage])
            asked = inner @ to_W
            into = into + asked
            of_slopes.append(of_slope)
            of_inner.append(inner)
        return into, (jnp.stack(of_slopes[::-1]), jnp.stack(of_inner[::-1]))

    apart = end - target
    _, (of_slopes, of_inner) = lax.scan(reverse, apart * (2 / apart.size), hidden, reverse=True)
    flat, inner = hidden.reshape(-1, len(V)), of_inner.reshape(-1, len(V))
    slopes = [places.reshape(len(flat), -1).T @ inner, inner.sum(0), flat.T @ of_slopes.reshape(len(flat), -1)]
    return [(apart**2).mean(), *slopes]


def _decoder_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    words, units, most = scale.pick((128, 48, 100), quick=(20, 8, 20))
    shapes = (24, units), (words, units), (units, units), (units, units), (units, units), (units, words)
    ending = 0.1 * np.arange(most) - 3
    return inputs(*_arrays(rng, *shapes, gain=2.0), ending.astype("float32"), most=most)


def _decoder(memory: Any, embedding: Any, W: Any, U: Any, C: Any, out: Any, ending: Any, most: int) -> list[Any]:
    def goes_on(state: Any) -> Any:
        i, words, _, _ = state
        return (i < most) & ((i == 0) | (words[i - 1] != 0))

    def step(state: Any) -> Any:
        i, words, h, total = state
        word = jnp.where(i == 0, 1, words[i - 1])
        context = jax.nn.softmax(memory @ h) @ memory
        h = jnp.tanh(embedding[word] @ W + h @ U + context @ C)
        scores = (h @ out).at[0].add(ending[i])
        word = jnp.argmax(scores).astype("int32")
        return i + 1, words.at[i].set(word), h, total + scores[word] - jax.nn.logsumexp(scores)

    start = jnp.int32(0), jnp.zeros(most, "int32"), jnp.zeros(len(U), memory.dtype), jnp.zeros((), memory.dtype)
    count, words, _, total = lax.while_loop(goes_on, step, start)
    return [words, count, total]


def _decoder_tuned(memory: Any, embedding: Any, W: Any, U: Any, C: Any, out: Any, ending: Any, most: int) -> list[Any]:
    """Products of all words and of the memory before the loop; one product of the new state for scores, attention and
    the next state; the logarithm's largest score is that of the word."""
    given, shown = embedding @ W, memory @ C
    every = jnp.concatenate([out, memory.T, U], axis=1)
    words_of = len(embedding)

    def goes_on(state: Any) -> Any:
        i, word = state[:2]
        return (i < most) & ((i == 0) | (word != 0))

    def step(state: Any) -> Any:
        i, word, words, match, kept, total = state
        weight = jnp.exp(match - match.max())
        h = jnp.tanh(given[word] + kept + (weight @ shown) / weight.sum())
        found = h @ every
        scores = found[:words_of].at[0].add(ending[i])
        word = jnp.argmax(scores).astype("int32")
        match, kept = found[words_of : words_of + len(memory)], found[words_of + len(memory) :]
        total = total - jnp.log(jnp.exp(scores - scores[word]).sum())
        return i + 1, word, words.at[i].set(word, mode="promise_in_bounds"), match, kept, total

    zeros = jnp.zeros(len(memory), memory.dtype), jnp.zeros(len(U), memory.dtype), jnp.zeros((), memory.dtype)
    start = jnp.int32(0), jnp.int32(1), jnp.zeros(most, "int32"), *zeros
    count, _, words, _, _, total = lax.while_loop(goes_on, step, start)
    return [words, count, total]


def _dilated_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    layers, width = scale.pick((6, 32), quick=(3, 5))
    noise = 0.3 * rng.normal(size=scale.steps(400, quick=20))
    into, out = rng.normal(size=width), rng.normal(size=width) / width
    weights = _arrays(rng, (layers, width, width), (layers, width, width), gain=0.5)
    return inputs(*(array.astype("float32") for array in (noise, into, out)), *weights, layers=layers)


def _dilated(noise: Any, into: Any, out: Any, W: Any, V: Any, layers: int) -> Any:
    def step(carry: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        (sample, queues), (t, e) = carry, now
        h = jnp.tanh(sample * into)
        new = []
        for layer, queue in enumerate(queues):
            place = t % 2**layer
            below = h
            h = h + jnp.tanh(h @ W[layer] + queue[place] @ V[layer])
            new.append(queue.at[place].set(below))
        sample = jnp.tanh(h @ out) + e
        return (sample, new), sample

    queues = [jnp.zeros((2**layer, len(into)), noise.dtype) for layer in range(layers)]
    start = jnp.zeros((), noise.dtype), queues
    return lax.scan(step, start, (jnp.arange(len(noise)), noise))[1]


def _dilated_tuned(noise: Any, into: Any, out: Any, W: Any, V: Any, layers: int) -> Any:
    """One product for each layer, with both of its weights: what a later step reads is already multiplied."""
    both = jnp.concatenate([W, V], axis=2)
    width = len(into)

    def step(carry: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        (sample, queues), (t, e) = carry, now
        h = jnp.tanh(sample * into)
        new = []
        for layer, queue in enumerate(queues):
            place = t % 2**layer
            products = h @ both[layer]
            h = h + jnp.tanh(products[:width] + queue[place])
            new.append(queue.at[place].set(products[width:], mode="promise_in_bounds"))
        sample = jnp.tanh(h @ out) + e
        return (sample, new), sample

    queues = [jnp.zeros((2**layer, width), noise.dtype) for layer in range(layers)]
    start = jnp.zeros((), noise.dtype), queues
    count = jnp.arange(len(noise), dtype="uint32")
    return lax.scan(step, start, (count, noise))[1]


WORKLOADS = (
    task(
        "peepholes-grad",
        "LSTM with peepholes, 32 units, T=80, batch 8, with gradients",
        networks.peepholes,
        _peepholes_data,
        _peepholes,
        _peepholes_tuned,
        close(1e-4),
    ),
    task(
        "neural-ode-grad",
        "neural differential equation, 8 variables, 32 units, 40 Runge-Kutta steps, batch 16, with gradients",
        networks.neural_ode,
        _ode_data,
        _neural_ode,
        _neural_ode_tuned,
        close(1e-4),
    ),
    task(
        "decoder",
        "decoder with attention, 128 words, 48 units, at most 100 words until the last",
        networks.decoder,
        _decoder_data,
        _decoder,
        _decoder_tuned,
        close(1e-4),
    ),
    task(
        "dilated",
        "samples of 6 dilated layers of 32 units, T=400",
        networks.dilated,
        _dilated_data,
        _dilated,
        _dilated_tuned,
        close(1e-4),
    ),
)
