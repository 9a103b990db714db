"""Recurrent networks."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import recurrent
from benchmarks.programs.seen.recurrent import HALT
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _arrays(rng: np.random.Generator, *shapes: tuple[int, ...]) -> list[Any]:
    """Normal values scaled by the rows of each matrix, float32."""
    return [(rng.normal(size=shape) / shape[0] ** 0.5).astype("float32") for shape in shapes]


def _steps(rng: np.random.Generator, *shape: int) -> Any:
    return rng.normal(size=shape).astype("float32")


def _gated(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, batch, width, units = scale.steps(100, quick=10), *scale.pick((8, 16, 32), quick=(2, 3, 4))
    W, U, b = _arrays(rng, (width, 4 * units), (units, 4 * units), (4 * units,))
    return inputs(_steps(rng, steps, batch, width), W, U, b)


def _gates(inner: Any, c: Any, norm: Any, most: Any) -> tuple[Any, Any, Any, Any]:
    enters, stays, value, shown = jnp.split(inner, 4, axis=-1)
    stays = stays + most
    most = jnp.maximum(enters, stays)
    enters, stays = jnp.exp(enters - most), jnp.exp(stays - most)
    c = stays * c + enters * jnp.tanh(value)
    norm = stays * norm + enters
    return jax.nn.sigmoid(shown) * c / norm, c, norm, most


def _exponential(x: Any, W: Any, U: Any, b: Any) -> list[Any]:
    def cost(W: Any, U: Any, b: Any) -> Any:
        def step(carry: Any, x_t: Any) -> tuple[Any, Any]:
            h, *rest = carry
            carry = _gates(x_t @ W + h @ U + b, *rest)
            return carry, carry[0]

        start = (jnp.zeros((x.shape[1], len(U)), x.dtype),) * 4
        return (lax.scan(step, start, x)[1] ** 2).mean()

    value, slopes = jax.value_and_grad(cost, (0, 1, 2))(W, U, b)
    return [value, *slopes]


def _exponential_tuned(x: Any, W: Any, U: Any, b: Any) -> list[Any]:
    """Inputs' products before the loop; slopes of what the gates take, and those of weights after the backward loop."""
    zeros = jnp.zeros((x.shape[1], len(U)), x.dtype)

    def cost(inner: Any) -> tuple[Any, Any]:
        def step(carry: Any, inner_t: Any) -> tuple[Any, Any]:
            h, *rest = carry
            carry = _gates(inner_t + h @ U, *rest)
            return carry, carry[0]

        h = lax.scan(step, (zeros,) * 4, inner)[1]
        return (h**2).mean(), h

    (value, h), slope = jax.value_and_grad(cost, has_aux=True)(x @ W + b)
    before = jnp.concatenate([zeros[None], h[:-1]])
    of_W, of_U = (jnp.einsum("tbi,tbj->ij", rows, slope) for rows in (x, before))
    return [value, of_W, of_U, slope.sum((0, 1))]


def _questions(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, width, units = scale.steps(150, quick=12), *scale.pick((8, 32), quick=(3, 4))
    W, U, first, halt = _arrays(rng, (width, units), (units, units), (units,), (units,))
    return inputs(_steps(rng, steps, width), W, U, first, 4 * halt - np.float32(0.2), most=10)


def _pondering(x: Any, W: Any, U: Any, first: Any, halt: Any, most: int) -> list[Any]:
    def step(h: Any, x_t: Any) -> tuple[Any, Any]:
        def ponder(state: Any) -> Any:
            i, _, h, total, mixed = state
            h = jnp.tanh(x_t @ W + h @ U + jnp.where(i == 0, first, 0))
            stops = jax.nn.sigmoid(h @ halt)
            ends = (total + stops > HALT) | (i == most - 1)
            return i + 1, ends, h, total + stops, mixed + jnp.where(ends, 1 - total, stops) * h

        state = jnp.int32(0), jnp.bool_(False), h, jnp.zeros((), h.dtype), jnp.zeros_like(h)
        times, *_, mixed = lax.while_loop(lambda state: ~state[1], ponder, state)
        return mixed, (mixed, times)

    return list(lax.scan(step, jnp.zeros_like(first), x)[1])


def _pondering_tuned(x: Any, W: Any, U: Any, first: Any, halt: Any, most: int) -> list[Any]:
    """Inputs' products before the loops; the first computation of a step before its loop; the product that decides
    about the end in one with the next state's."""
    both = jnp.concatenate([U, halt[:, None]], axis=1)

    def step(h_of_U: Any, of_x: Any) -> tuple[Any, Any]:
        def seen(h: Any, total: Any, mixed: Any, i: Any) -> Any:
            products = h @ both
            stops = jax.nn.sigmoid(products[-1])
            ends = (total + stops > HALT) | (i == most - 1)
            return i + 1, ends, products[:-1], total + stops, mixed + jnp.where(ends, 1 - total, stops) * h

        def ponder(state: Any) -> Any:
            i, _, of_h, total, mixed = state
            return seen(jnp.tanh(of_x + of_h), total, mixed, i)

        none = jnp.zeros((), x.dtype)
        state = seen(jnp.tanh(of_x + h_of_U + first), none, jnp.zeros_like(first), jnp.int32(0))
        times, *_, mixed = lax.while_loop(lambda state: ~state[1], ponder, state)
        return mixed @ U, (mixed, times)

    return list(lax.scan(step, jnp.zeros_like(first), x @ W)[1])


def _text(rng: np.random.Generator, scale: Scale) -> Inputs:
    sentences, words, batch, width, units = scale.pick((16, 12, 8, 16, 32), quick=(3, 4, 2, 3, 4))
    shapes = (width, 3 * units), (units, 3 * units), (units, units), (units, 3 * units), (units, 3 * units)
    return inputs(_steps(rng, sentences, words, batch, width), _steps(rng, batch, units), *_arrays(rng, *shapes))


def _cell(of_x: Any, of_h: Any, h: Any) -> Any:
    (keep, reset, new), (of_keep, of_reset, of_new) = jnp.split(of_x, 3, axis=-1), jnp.split(of_h, 3, axis=-1)
    keep, reset = jax.nn.sigmoid(keep + of_keep), jax.nn.sigmoid(reset + of_reset)
    return keep * h + (1 - keep) * jnp.tanh(new + reset * of_new)


def _hierarchical(x: Any, target: Any, *weights: Any) -> list[Any]:
    def cost(weights: Any) -> Any:
        W, U, into, W_s, U_s = weights

        def word(h: Any, x_t: Any) -> tuple[Any, None]:
            return _cell(x_t @ W, h @ U, h), None

        def sentence(h: Any, x_s: Any) -> tuple[Any, None]:
            last, _ = lax.scan(word, jnp.tanh(h @ into), x_s)
            return _cell(last @ W_s, h @ U_s, h), None

        h, _ = lax.scan(sentence, jnp.zeros((x.shape[2], len(U)), x.dtype), x)
        return ((h - target) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _hierarchical_tuned(x: Any, target: Any, *weights: Any) -> list[Any]:
    """Words' products before the loops; slopes of what the cells take, and those of weights after the backward loops,
    as one product each."""
    W, U, into, W_s, U_s = weights
    n = len(U)
    size = x.shape[2]

    def cost(of_x: Any, added: Any) -> tuple[Any, Any]:
        def word(h: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
            of_x, added = now
            return _cell(of_x, h @ U + added, h), h

        def sentence(h: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
            of_x, (of_words, of_start, of_last, of_state) = now
            start = jnp.tanh(h @ into + of_start)
            last, before = lax.scan(word, start, (of_x, of_words))
            return _cell(last @ W_s + of_last, h @ U_s + of_state, h), (before, h, last)

        h, rows = lax.scan(sentence, jnp.zeros((size, n), x.dtype), (of_x, added))
        return ((h - target) ** 2).mean(), rows

    def zeros(*shape: int) -> Any:
        return jnp.zeros(shape, x.dtype)

    count, words = x.shape[:2]
    added = (
        zeros(count, words, size, 3 * n),
        zeros(count, size, n),
        zeros(count, size, 3 * n),
        zeros(count, size, 3 * n),
    )
    (value, rows), slopes = jax.value_and_grad(cost, (0, 1), has_aux=True)(x @ W, added)
    of_x, (of_words, of_start, of_last, of_state) = slopes
    before, h, last = rows
    pairs = (x, of_x), (before, of_words), (h, of_start), (last, of_last), (h, of_state)
    return [value, *(one.reshape(-1, one.shape[-1]).T @ two.reshape(-1, two.shape[-1]) for one, two in pairs)]


WORKLOADS = (
    task(
        "exponential-gates-grad",
        "LSTM with exponential gates, 32 units, T=100, batch 8, with gradients",
        recurrent.exponential_gates,
        _gated,
        _exponential,
        _exponential_tuned,
        close(1e-4),
    ),
    task(
        "pondering",
        "network of 32 units that computes 1 to 10 times in each of 150 steps, nested loops",
        recurrent.pondering,
        _questions,
        _pondering,
        _pondering_tuned,
        close(1e-4),
    ),
    task(
        "hierarchical-grad",
        "gated units over 12 words of each of 16 sentences, 32 units, batch 8, nested loops, with gradients",
        recurrent.hierarchical,
        _text,
        _hierarchical,
        _hierarchical_tuned,
        close(1e-4),
    ),
)
