"""Networks over trees, networks that draw and make music, and samples that are made one number after the other."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random
from jax.nn import relu, sigmoid, softplus

from benchmarks.compare import close
from benchmarks.programs.seen import composers
from benchmarks.programs.seen.composers import GLIMPSE
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _sentences(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Sentences of several lengths, in which neighbours are joined at random until one part is left."""
    batch, most, units, labels = scale.pick((16, 30, 64, 5), quick=(3, 6, 4, 3))
    lengths = rng.integers(most // 3, most + 1, batch)
    tree = np.zeros((most - 1, batch, 3), "int32")
    tree[:, :, 2] = 2 * most - 1
    for k, length in enumerate(lengths):
        parts = list(range(length))
        for step in range(length - 1):
            at = rng.integers(0, len(parts) - 1)
            tree[step, k] = parts[at], parts[at + 1], most + step
            parts[at : at + 2] = [most + step]
    weights = (
        rng.normal(size=(2 * units, 5 * units)) / np.sqrt(2 * units),
        0.1 * rng.normal(size=5 * units),
        rng.normal(size=(units, labels)) / np.sqrt(units),
    )
    words = rng.normal(size=(batch, most, units)).astype("float32")
    root, label = (most + lengths - 2).astype("int32"), rng.integers(0, labels, batch).astype("int32")
    return inputs(words, tree, root, label, *(array.astype("float32") for array in weights))


def _tree_network(words: Any, tree: Any, root: Any, label: Any, *weights: Any) -> list[Any]:
    batch = len(words)
    sentence = jnp.arange(batch)

    def cost(words: Any, W: Any, b: Any, W_out: Any) -> Any:
        def join(carry: tuple[Any, Any], places: Any) -> tuple[tuple[Any, Any], None]:
            h, c = carry
            left, right, whole = places.T
            inner = jnp.concatenate([h[sentence, left], h[sentence, right]], axis=1) @ W + b
            enter, keep_left, keep_right, leave, new = jnp.split(inner, 5, axis=1)
            memory = sigmoid(enter) * jnp.tanh(new)
            memory = memory + sigmoid(keep_left) * c[sentence, left] + sigmoid(keep_right) * c[sentence, right]
            h = h.at[sentence, whole].set(sigmoid(leave) * jnp.tanh(memory))
            return (h, c.at[sentence, whole].set(memory)), None

        start = jnp.pad(words, ((0, 0), (0, len(tree) + 1), (0, 0)))
        (h, _), _ = lax.scan(join, (start, jnp.zeros_like(start)), tree)
        chance = jax.nn.log_softmax(h[sentence, root] @ W_out, axis=1)
        return -chance[sentence, label].mean()

    value, slopes = jax.value_and_grad(cost, (0, 1, 2, 3))(words, *weights)
    return [value, *slopes]


def _tree_network_tuned(words: Any, tree: Any, root: Any, label: Any, W: Any, b: Any, W_out: Any) -> list[Any]:
    """The loop back written out: places come first, a step writes its own place, gradients of matrices are one product
    after the loops."""
    batch, most, units = words.shape
    steps = len(tree)
    sentence = jnp.arange(batch)
    pairs = tree[:, :, :2].swapaxes(1, 2)

    def read(array: Any, pair: Any) -> Any:
        return array.at[pair, sentence].get(mode="promise_in_bounds")

    def gates(inner: Any) -> tuple[Any, ...]:
        return (*(sigmoid(inner[:, k * units : (k + 1) * units]) for k in range(4)), jnp.tanh(inner[:, 4 * units :]))

    def join(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[tuple[Any, ...], Any]:
        h, c = carry
        t, pair = now
        left, right = read(h, pair)
        inner = jnp.concatenate([left, right], axis=1) @ W + b
        enter, keep_left, keep_right, leave, new = gates(inner)
        c_left, c_right = read(c, pair)
        memory = enter * new + keep_left * c_left + keep_right * c_right
        h = lax.dynamic_update_index_in_dim(h, leave * jnp.tanh(memory), most + t, 0)
        return (h, lax.dynamic_update_index_in_dim(c, memory, most + t, 0)), inner

    start = jnp.pad(words.swapaxes(0, 1), ((0, steps), (0, 0), (0, 0)))
    times = jnp.arange(steps, dtype="int32")
    (h, c), inner = lax.scan(join, (start, jnp.zeros_like(start)), (times, pairs))
    last = h[root, sentence]
    scores = last @ W_out
    chance = jax.nn.log_softmax(scores, axis=1)
    of_scores = jnp.exp(chance).at[sentence, label].add(-1) / batch

    def back(carry: tuple[Any, Any], now: tuple[Any, ...]) -> tuple[tuple[Any, Any], Any]:
        of_h, of_c = carry
        t, pair, inner_t = now
        enter, keep_left, keep_right, leave, new = gates(inner_t)
        memory = jnp.tanh(lax.dynamic_index_in_dim(c, most + t, keepdims=False))
        c_left, c_right = read(c, pair)
        of_new = lax.dynamic_index_in_dim(of_h, most + t, keepdims=False)
        of_memory = lax.dynamic_index_in_dim(of_c, most + t, keepdims=False)
        of_memory = of_memory + of_new * leave * (1 - memory * memory)
        of_inner = jnp.concatenate(
            [
                of_memory * new * enter * (1 - enter),
                of_memory * c_left * keep_left * (1 - keep_left),
                of_memory * c_right * keep_right * (1 - keep_right),
                of_new * memory * leave * (1 - leave),
                of_memory * enter * (1 - new * new),
            ],
            axis=1,
        )
        of_both = of_inner @ W.T
        kept = jnp.stack([of_memory * keep_left, of_memory * keep_right])
        given = jnp.stack([of_both[:, :units], of_both[:, units:]])
        of_h = of_h.at[pair, sentence].add(given, mode="promise_in_bounds")
        return (of_h, of_c.at[pair, sentence].add(kept, mode="promise_in_bounds")), of_inner

    of_h = jnp.zeros_like(h).at[root, sentence].set(of_scores @ W_out.T)
    (of_h, _), of_inner = lax.scan(back, (of_h, jnp.zeros_like(c)), (times, pairs, inner), reverse=True)
    both = h[pairs, sentence].swapaxes(1, 2).reshape(steps * batch, 2 * units)
    flat = of_inner.reshape(steps * batch, -1)
    of_words = of_h[:most].swapaxes(0, 1)
    return [-chance[sentence, label].mean(), of_words, both.T @ flat, flat.sum(axis=0), last.T @ of_scores]


def _digits(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, batch, size, codes, units = scale.steps(10, quick=3), *scale.pick((16, 28, 10, 96), quick=(2, 8, 2, 5))
    at = np.arange(size) / size
    waves = rng.normal(size=(3, 2, batch)) * 6
    picture = sum(np.sin(a[:, None, None] * at[:, None] + b[:, None, None] * at + a[:, None, None]) for a, b in waves)
    read = 2 * GLIMPSE**2 + units
    shapes = [(units, 5), (read, 4 * units), (units, 4 * units), (units, 2 * codes), (codes, 4 * units)]
    shapes += [(units, 4 * units), (units, GLIMPSE**2)]
    weights = [rng.normal(size=shape) / np.sqrt(shape[0]) for shape in shapes]
    arrays = (picture > 0.5, rng.normal(size=(steps, batch, codes)), 0.5 * weights[0], *weights[1:])
    return inputs(*(array.astype("float32") for array in arrays))


def _canvas(picture: Any, noise: Any, *weights: Any) -> list[Any]:
    batch, size, _ = picture.shape
    units = weights[2].shape[0]
    pixel = jnp.arange(size, dtype="float32")
    cell = jnp.arange(GLIMPSE, dtype="float32") - (GLIMPSE - 1) / 2

    def unit(x: Any, W: Any, h: Any, U: Any, c: Any) -> tuple[Any, Any]:
        enter, keep, leave, new = jnp.split(x @ W + h @ U, 4, axis=1)
        c = sigmoid(keep) * c + sigmoid(enter) * jnp.tanh(new)
        return sigmoid(leave) * jnp.tanh(c), c

    def filters(look: Any) -> tuple[Any, Any, Any]:
        between = jnp.exp(look[:, 2]) * (size - 1) / (GLIMPSE - 1)
        width = jnp.exp(look[:, 3])[:, None, None]

        def bank(middle: Any) -> Any:
            place = ((size - 1) * (middle + 1) / 2)[:, None] + between[:, None] * cell
            F = jnp.exp(-((pixel - place[:, :, None]) ** 2) / (2 * width))
            return F / (F.sum(axis=2, keepdims=True) + 1e-6)

        return bank(look[:, 0]), bank(look[:, 1]), jnp.exp(look[:, 4])[:, None, None]

    def cost(weights: Any) -> Any:
        W_look, W_read, U_read, W_code, W_draw, U_draw, W_write = weights

        def step(carry: tuple[Any, ...], noise_t: Any) -> tuple[tuple[Any, ...], Any]:
            drawn, h, c, g, d = carry
            missing = picture - sigmoid(drawn)
            F_y, F_x, strength = filters(g @ W_look)
            seen = [strength * (F_y @ image @ F_x.swapaxes(1, 2)) for image in (picture, missing)]
            read = jnp.concatenate([one.reshape(batch, -1) for one in seen] + [g], axis=1)
            h, c = unit(read, W_read, h, U_read, c)
            mean, log_spread = jnp.split(h @ W_code, 2, axis=1)
            g, d = unit(mean + jnp.exp(log_spread) * noise_t, W_draw, g, U_draw, d)
            F_y, F_x, strength = filters(g @ W_look)
            patch = (g @ W_write).reshape(batch, GLIMPSE, GLIMPSE)
            drawn = drawn + F_y.swapaxes(1, 2) @ patch @ F_x / strength
            price = 0.5 * (mean**2 + jnp.exp(2 * log_spread) - 2 * log_spread - 1).sum(axis=1)
            return (drawn, h, c, g, d), price

        zeros = jnp.zeros((batch, units), "float32")
        (drawn, *_), price = lax.scan(step, (jnp.zeros_like(picture), zeros, zeros, zeros, zeros), noise)
        wrong = (softplus(drawn) - picture * drawn).sum(axis=(1, 2))
        return (wrong + price.sum(axis=0)).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _canvas_tuned(picture: Any, noise: Any, *weights: Any) -> list[Any]:
    """Where a step writes the next one reads: filters are carried, with what they see of the picture by rows; one
    product for each gated unit and one for where and what to write; prices after the loop, which is written out."""
    batch, size, _ = picture.shape
    steps, _, codes = noise.shape
    units = weights[2].shape[0]
    pixel = jnp.arange(size, dtype="float32")
    cell = jnp.arange(GLIMPSE, dtype="float32") - (GLIMPSE - 1) / 2

    def unit(x: Any, W: Any, c: Any) -> tuple[Any, Any]:
        inner = x @ W
        gates = sigmoid(inner[:, : 3 * units])
        enter, keep, leave = (gates[:, k * units : (k + 1) * units] for k in range(3))
        c = keep * c + enter * jnp.tanh(inner[:, 3 * units :])
        return leave * jnp.tanh(c), c

    def filters(look: Any) -> tuple[Any, Any]:
        sizes = jnp.exp(look[:, 2:5])
        between = sizes[:, :1] * ((size - 1) / (GLIMPSE - 1))
        place = ((size - 1) / 2) * (look[:, :2, None] + 1) + (between * cell)[:, None]
        apart = pixel - place[..., None]
        F = jnp.exp(apart * apart * (-0.5 / sizes[:, 1])[:, None, None, None])
        return F * (1 / (F.sum(axis=3, keepdims=True) + 1e-6)), sizes[:, 2, None, None]

    def cost(weights: Any) -> Any:
        W_look, W_read, U_read, W_code, W_draw, U_draw, W_write = weights
        reading, drawing = jnp.concatenate([W_read, U_read]), jnp.concatenate([W_draw, U_draw])
        acting = jnp.concatenate([W_look, W_write], axis=1)

        def step(carry: tuple[Any, ...], noise_t: Any) -> tuple[tuple[Any, ...], Any]:
            drawn, h, c, g, d, F, strength = carry
            images = jnp.concatenate([picture, picture - sigmoid(drawn)], axis=2)
            rows = (F[:, 0] @ images).reshape(batch, GLIMPSE, 2, size)
            seen = strength[..., None] * jnp.einsum("bykx,bjx->bkyj", rows, F[:, 1])
            h, c = unit(jnp.concatenate([seen.reshape(batch, -1), g, h], axis=1), reading, c)
            code = h @ W_code
            sample = code[:, :codes] + jnp.exp(code[:, codes:]) * noise_t
            g, d = unit(jnp.concatenate([sample, g], axis=1), drawing, d)
            act = g @ acting
            F, strength = filters(act)
            patch = act[:, 5:].reshape(batch, GLIMPSE, GLIMPSE) / strength
            drawn = drawn + F[:, 0].swapaxes(1, 2) @ (patch @ F[:, 1])
            return (drawn, h, c, g, d, F, strength), code

        zeros = jnp.zeros((batch, units), "float32")
        start = (jnp.zeros_like(picture), zeros, zeros, zeros, zeros, *filters(jnp.zeros((batch, 5), "float32")))
        (drawn, *_), code = lax.scan(step, start, noise, unroll=min(steps, 10))
        mean, log_spread = code[..., :codes], code[..., codes:]
        price = 0.5 * (mean * mean + jnp.exp(2 * log_spread) - 2 * log_spread - 1).sum()
        return ((softplus(drawn) - picture * drawn).sum() + price) / batch

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _piano(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Chords of a few notes that stay for some time."""
    times, pitches, hidden, units = scale.steps(200, quick=400), *scale.pick((88, 150, 100), quick=(8, 6, 5))
    chords = rng.random((times // 4 + 1, pitches)) < np.where(np.arange(pitches) % 3 == 0, 0.3, 0.05)
    notes = np.repeat(chords, 4, axis=0)[:times]
    shapes = [(pitches, hidden), (pitches,), (hidden,), (units, pitches), (units, hidden), (pitches, units)]
    shapes += [(units, units), (units,)]
    weights = [0.5 * rng.normal(size=shape) / np.sqrt(shape[0]) for shape in shapes]
    return inputs(*(array.astype("float32") for array in (notes, *weights)), steps=scale.pick(15, quick=5))


def _music(key: Any, notes: Any, *weights: Any, steps: int) -> list[Any]:
    def cost(weights: Any) -> tuple[Any, Any]:
        W, b_notes, b_hidden, W_notes, W_hidden, W_in, W_state, b_state = weights

        def state(u: Any, v: Any) -> tuple[Any, Any]:
            new = jnp.tanh(b_state + v @ W_in + u @ W_state)
            return new, (b_notes + u @ W_notes, b_hidden + u @ W_hidden)

        _, (bias, bias_hidden) = lax.scan(state, jnp.zeros_like(b_state), notes)

        def gibbs(carry: tuple[Any, Any], key: Any) -> tuple[tuple[Any, Any], None]:
            v, _ = carry
            first, second = random.split(key)
            h = random.bernoulli(first, sigmoid(v @ W + bias_hidden)).astype("float32")
            chance = sigmoid(h @ W.T + bias)
            return (random.bernoulli(second, chance).astype("float32"), chance), None

        (sample, chance), _ = lax.scan(gibbs, (notes, notes), random.split(key, steps))
        sample, chance = lax.stop_gradient((sample, chance))

        def energy(v: Any) -> Any:
            return -(v * bias).sum() - softplus(v @ W + bias_hidden).sum()

        return (energy(notes) - energy(sample)) / len(notes), jnp.abs(notes - chance).mean()

    (_, error), slopes = jax.value_and_grad(cost, has_aux=True)(weights)
    return [error, *slopes]


def _music_tuned(key: Any, notes: Any, *weights: Any, steps: int) -> list[Any]:
    """Gradients written out: those of biases are differences of chances, which go back through the loop over time by
    one product a step; all other products before or after it."""
    W, b_notes, b_hidden, W_notes, W_hidden, W_in, W_state, b_state = weights
    times, pitches = notes.shape
    hidden = W.shape[1]
    given = notes @ W_in + b_state

    def state(u: Any, given_t: Any) -> tuple[Any, Any]:
        return jnp.tanh(given_t + u @ W_state), u

    _, u = lax.scan(state, jnp.zeros_like(b_state), given)
    bias, bias_hidden = u @ W_notes + b_notes, u @ W_hidden + b_hidden
    W_T = W.T

    def gibbs(carry: tuple[Any, Any], key: Any) -> tuple[tuple[Any, Any], None]:
        v, _ = carry
        draws = random.uniform(key, (times, hidden + pitches))
        h = jnp.where(draws[:, :hidden] < sigmoid(v @ W + bias_hidden), 1, 0).astype("float32")
        chance = sigmoid(h @ W_T + bias)
        return (jnp.where(draws[:, hidden:] < chance, 1, 0).astype("float32"), chance), None

    (sample, chance), _ = lax.scan(gibbs, (notes, notes), random.split(key, steps))
    positive, negative = sigmoid(notes @ W + bias_hidden), sigmoid(sample @ W + bias_hidden)
    of_bias, of_hidden = (sample - notes) * (1 / times), (negative - positive) * (1 / times)
    of_W = (sample.T @ negative - notes.T @ positive) * (1 / times)
    of_u = of_bias @ W_notes.T + of_hidden @ W_hidden.T
    W_state_T = W_state.T

    def back(of_next: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        of_u_t, u_t = now
        of_inner = (of_u_t + of_next @ W_state_T) * (1 - u_t * u_t)
        return of_inner, of_inner

    _, of_inner = lax.scan(back, jnp.zeros_like(b_state), (of_u, u), reverse=True)
    before, after = u[:-1], of_inner[1:]
    slopes = [of_W, of_bias.sum(axis=0), of_hidden.sum(axis=0), u.T @ of_bias, u.T @ of_hidden]
    slopes += [notes[:-1].T @ after, before.T @ after, after.sum(axis=0)]
    return [jnp.abs(notes - chance).mean(), *slopes]


def _alike(result: Any, expected: Any) -> None:
    """Gradients by random draws, whose norms exceed the chance of their entries: they differ by less than half."""
    leaves, others = jax.tree.leaves(result), jax.tree.leaves(expected)
    assert len(leaves) == len(others), f"{len(leaves)} results, expected {len(others)}"
    for one, other in zip(leaves, others, strict=True):
        assert one.shape == other.shape, f"shape {one.shape}, expected {other.shape}"
        assert one.dtype == other.dtype, f"dtype {one.dtype}, expected {other.dtype}"
        apart = np.linalg.norm(np.asarray(one) - np.asarray(other)) / np.linalg.norm(np.asarray(other))
        assert apart < 0.5, f"arrays of shape {one.shape} differ by {apart:.2f} of their norm"


def _degrees(size: int, units: int) -> Any:
    """The numbers that units may see: as many as their degree, in order."""
    return 1 + np.arange(units) * (size - 1) // units


def _flow(rng: np.random.Generator, scale: Scale) -> Inputs:
    layers, batch, size, units = scale.pick((5, 64, 16, 128), quick=(2, 3, 5, 9))
    order, degree = np.arange(1, size + 1), _degrees(size, units)
    sees = np.concatenate([order, order]) > degree[:, None]
    masks = (degree >= order[:, None], degree >= degree[:, None], sees)
    weights = []
    for shape in ((size, units), (units, units), (units, 2 * size)):
        weights += [
            rng.normal(size=(layers, *shape)) * np.sqrt(2 / shape[0]),
            0.1 * rng.normal(size=(layers, shape[1])),
        ]
    arrays = (rng.normal(size=(batch, size)), *masks, *weights)
    return inputs(*(array.astype("float32") for array in arrays))


def _flow_sampler(noise: Any, M_in: Any, M_mid: Any, M_out: Any, *layers: Any) -> Any:
    size = noise.shape[1]

    def layer(noise: Any, weights: tuple[Any, ...]) -> tuple[Any, None]:
        V, a, U, b, T, c = weights

        def number(i: Any, x: Any) -> Any:
            h = relu(x @ (V * M_in) + a)
            h = relu(h @ (U * M_mid) + b)
            out = h @ (T * M_out) + c
            mean, log_spread = out[:, :size], jnp.tanh(out[:, size:])
            return x.at[:, i].set(noise[:, i] * jnp.exp(log_spread[:, i]) + mean[:, i])

        return lax.fori_loop(0, size, number, jnp.zeros_like(noise))[:, ::-1], None

    return lax.scan(layer, noise, layers)[0]


def _flow_sampler_tuned(noise: Any, M_in: Any, M_mid: Any, M_out: Any, *layers: Any) -> Any:
    """Each unit once, when all that it sees is known, as units come by degree."""
    size, units = noise.shape[1], M_mid.shape[0]
    degree = _degrees(size, units)

    def layer(noise: Any, weights: tuple[Any, ...]) -> tuple[Any, None]:
        V, a, U, b, T, c = weights
        x, first, second = jnp.zeros((len(noise), 0), "float32"), *(jnp.zeros((len(noise), 0), "float32"),) * 2
        found = []
        for i in range(size):
            low, high = np.searchsorted(degree, [i, i + 1])
            if high > low:
                first = jnp.concatenate([first, relu(x @ V[:i, low:high] + a[low:high])], axis=1)
                second = jnp.concatenate([second, relu(first @ U[:high, low:high] + b[low:high])], axis=1)
            mean = second @ T[:high, i] + c[i]
            log_spread = jnp.tanh(second @ T[:high, size + i] + c[size + i])
            found.append(noise[:, i] * jnp.exp(log_spread) + mean)
            x = jnp.stack(found, axis=1)
        return x[:, ::-1], None

    return lax.scan(layer, noise, layers)[0]


WORKLOADS = (
    task(
        "tree-network-grad",
        "labels of 16 sentences by their trees of up to 30 words, 64 units, with gradients",
        composers.tree_network,
        _sentences,
        _tree_network,
        _tree_network_tuned,
        close(1e-3),
    ),
    task(
        "canvas-grad",
        "16 pictures of 28 by 28 that 96 units read and draw in 10 steps, with gradients",
        composers.canvas,
        _digits,
        _canvas,
        _canvas_tuned,
        close(2e-3),
    ),
    task(
        "music-grad",
        "88 notes at 200 times, biases from 100 recurrent units, 15 random draws of all times, with gradients",
        composers.music,
        _piano,
        _music,
        _music_tuned,
        _alike,
        draws=True,
    ),
    task(
        "flow-sampler",
        "64 samples of 16 numbers from 5 layers of 128 masked units, nested loops",
        composers.flow_sampler,
        _flow,
        _flow_sampler,
        _flow_sampler_tuned,
        close(1e-3),
    ),
)
