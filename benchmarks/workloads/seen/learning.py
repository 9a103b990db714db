"""Networks that learn, by gradients and without."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import learning
from benchmarks.programs.seen.learning import MEMORY, RADIUS, RATE
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _letters(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, batch = scale.steps(60, quick=8), scale.pick(8, quick=2)
    letters, units, width, depth = scale.pick((16, 40, 8, 20), quick=(3, 5, 2, 4))
    x = np.eye(letters)[rng.integers(0, letters, (steps, batch))]
    shapes = (letters, units), (units, units), (width, units), (units, 3), (units, width)
    weights = (rng.normal(size=shape) / shape[0] ** 0.5 for shape in shapes)
    return inputs(*(array.astype("float32") for array in (x, *weights)), depth=depth)


def _stack_network(x: Any, *weights: Any, depth: int) -> list[Any]:
    def cost(weights: Any) -> Any:
        W, U, R, A, D = weights

        def step(carry: tuple[Any, Any], x_t: Any) -> tuple[Any, Any]:
            h, stack = carry
            h = jax.nn.sigmoid(x_t @ W + h @ U + stack[:, 0] @ R)
            act = jax.nn.softmax(h @ A)[:, :, None, None]
            new = jax.nn.sigmoid(h @ D)[:, None]
            pushed = jnp.concatenate([new, stack[:, :-1]], axis=1)
            popped = jnp.concatenate([stack[:, 1:], jnp.zeros_like(new)], axis=1)
            return (h, act[:, 0] * pushed + act[:, 1] * popped + act[:, 2] * stack), h

        start = jnp.zeros((x.shape[1], len(U))), jnp.zeros((x.shape[1], depth, D.shape[1]))
        return (lax.scan(step, start, x)[1] ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _stack_network_tuned(x: Any, W: Any, U: Any, R: Any, A: Any, D: Any, depth: int) -> list[Any]:
    """Input products before the loop, one product for each layer, places of the stack first; every weight gradient is
    one product after the loop, of the slopes of the layers' sums."""
    steps, batch, _ = x.shape
    units, width = D.shape
    into, out = jnp.concatenate([U, R]), jnp.concatenate([A, D], axis=1)

    def cost(first: Any, second: Any) -> tuple[Any, Any]:
        def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
            before, stack = carry
            first_t, second_t = now
            h = jax.nn.sigmoid(first_t + before @ into)
            inner = second_t + h @ out
            act = jax.nn.softmax(inner[:, :3])
            new = jax.nn.sigmoid(inner[:, 3:])[None]
            longer = jnp.concatenate([new, stack, jnp.zeros_like(new)])
            stack = act[:, :1] * longer[:-2] + act[:, 1:2] * longer[2:] + act[:, 2:] * stack
            return (jnp.concatenate([h, stack[0]], axis=1), stack), (h, before)

        start = jnp.zeros((batch, units + width)), jnp.zeros((depth, batch, width))
        h, before = lax.scan(step, start, (first, second))[1]
        return (h**2).mean(), (h, before)

    value, pull, (h, before) = jax.vjp(cost, x @ W, jnp.zeros((steps, batch, 3 + width)), has_aux=True)
    first, second = pull(jnp.ones(()))
    of_into = jnp.tensordot(before, first, ((0, 1), (0, 1)))
    of_out = jnp.tensordot(h, second, ((0, 1), (0, 1)))
    of_W = jnp.tensordot(x, first, ((0, 1), (0, 1)))
    return [value, of_W, of_into[:units], of_into[units:], of_out[:, :3], of_out[:, 3:]]


def _codes(rng: np.random.Generator, scale: Scale) -> Inputs:
    layers, batch, n, m = scale.pick((16, 32, 32, 64), quick=(3, 4, 5, 6))
    code = rng.normal(size=(batch, m)) * (rng.uniform(size=(batch, m)) < scale.pick(0.1, quick=0.5))
    A = rng.normal(size=(m, n)) / n**0.5
    step = 1 / np.linalg.eigvalsh(A @ A.T)[-1]
    B = step * A.T + 0.01 * rng.normal(size=(layers, n, m))
    S = np.eye(m) - step * A @ A.T + 0.01 * rng.normal(size=(layers, m, m))
    theta = rng.uniform(0.01, 0.03, (layers, m))
    return inputs(*(array.astype("float32") for array in (code @ A, code, B, S, theta)))


def _learned_shrinkage(y: Any, code: Any, *weights: Any) -> list[Any]:
    def cost(weights: Any) -> Any:
        def layer(x: Any, now: tuple[Any, Any, Any]) -> tuple[Any, None]:
            B, S, theta = now
            inner = y @ B + x @ S
            return jnp.sign(inner) * jnp.maximum(jnp.abs(inner) - theta, 0), None

        return ((lax.scan(layer, jnp.zeros_like(code), weights)[0] - code) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _learned_shrinkage_tuned(y: Any, code: Any, B: Any, S: Any, theta: Any) -> list[Any]:
    """Products with the data for all layers at once before the loop; the reverse loop by hand, weight gradients after
    it; all layers written out."""
    inputs = jnp.einsum("bn,lnm->lbm", y, B)

    def layer(x: Any, now: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        input, S, theta = now
        inner = input + x @ S
        new = inner - jnp.clip(inner, -theta, theta)
        return new, (x, new)

    last, (x, new) = lax.scan(layer, jnp.zeros_like(code), (inputs, S, theta), unroll=len(B))
    error = last - code

    def back(slope: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        new, S = now
        slope = jnp.where(new == 0, 0.0, slope)
        return slope @ S.T, slope

    slope = lax.scan(back, 2 / error.size * error, (new, S), reverse=True, unroll=len(B))[1]
    of_S = x.swapaxes(1, 2) @ slope
    return [(error**2).mean(), y.T @ slope, of_S, -(jnp.sign(new) * slope).sum(1)]


def _behaviour(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, batch = scale.steps(200, quick=12), scale.pick(64, quick=3)
    shape = steps, batch
    keep = 0.99 * (rng.uniform(size=shape) > 0.02)
    arrays = rng.normal(size=(steps + 1, batch)), rng.normal(size=shape), keep, 0.3 * rng.normal(size=shape)
    return inputs(*(array.astype("float32") for array in arrays))


def _corrected_returns(value: Any, reward: Any, keep: Any, ratio: Any) -> list[Any]:
    weight = jnp.minimum(jnp.exp(ratio), 1)
    error = weight * (reward + keep * value[1:] - value[:-1])

    def step(ahead: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        error_t, keep_t = now
        total = error_t + keep_t * ahead
        return total, total

    total = lax.scan(step, jnp.zeros_like(value[0]), (error, keep * weight), reverse=True)[1]
    target = value[:-1] + total
    after = jnp.concatenate([target[1:], value[-1:]])
    return [target, weight * (reward + keep * after - value[:-1])]


def _corrected_returns_tuned(value: Any, reward: Any, keep: Any, ratio: Any) -> list[Any]:
    """All of a step in the loop, so that nothing is stored but both results."""

    def step(ahead: Any, now: tuple[Any, ...]) -> tuple[Any, Any]:
        value_t, after, reward_t, keep_t, ratio_t = now
        total = jnp.minimum(jnp.exp(ratio_t), 1) * (reward_t + keep_t * (after + ahead) - value_t)
        return total, (value_t + total, total)

    sequences = value[:-1], value[1:], reward, keep, ratio
    return list(lax.scan(step, jnp.zeros_like(value[0]), sequences, reverse=True)[1])


def _colors(rng: np.random.Generator, scale: Scale) -> Inputs:
    side, width = scale.pick((10, 8), quick=(3, 2))
    place = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).reshape(-1, 2).astype("float64")
    x, W = rng.uniform(size=(scale.steps(1_000, quick=20), width)), rng.uniform(size=(side**2, width))
    return Inputs((x, place), {}, (W, np.float64(0)))


def _feature_map(state: tuple[Any, Any], x: Any, place: Any) -> tuple[Any, Any]:
    apart = ((place[:, None] - place) ** 2).sum(2)

    def step(carry: tuple[Any, Any], x_t: Any) -> tuple[Any, Any]:
        W, count = carry
        winner = jnp.argmin(((W - x_t) ** 2).sum(1))
        fade = jnp.exp(-count / MEMORY)
        near = jnp.exp(-apart[winner] / (2 * (0.5 + RADIUS * fade) ** 2))
        W = W + (RATE * fade + 0.01) * near[:, None] * (x_t - W)
        return (W, count + 1), winner.astype("int32")

    state, winner = lax.scan(step, state, x)
    return winner, state


def _feature_map_tuned(state: tuple[Any, Any], x: Any, place: Any) -> tuple[Any, Any]:
    """Units in the last axis; rates and widths before the loop."""
    W, count = state
    apart = ((place[:, None] - place) ** 2).sum(2)
    fade = jnp.exp(-(count + jnp.arange(len(x))) / MEMORY)
    width, rate = -0.5 / (0.5 + RADIUS * fade) ** 2, RATE * fade + 0.01

    def step(W: Any, now: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        x_t, width_t, rate_t = now
        away = x_t[:, None] - W
        winner = jnp.argmin((away * away).sum(0)).astype("int32")
        row = lax.dynamic_index_in_dim(apart, winner, keepdims=False)
        return W + (rate_t * jnp.exp(row * width_t)) * away, winner

    W, winner = lax.scan(step, W.T, (x, width, rate))
    return winner, (W.T, count + len(x))


WORKLOADS = (
    task(
        "stack-network-grad",
        "recurrent network of 40 units with a stack of 20 x 8, T=60, batch 8, with gradients",
        learning.stack_network,
        _letters,
        _stack_network,
        _stack_network_tuned,
        close(1e-4),
    ),
    task(
        "learned-shrinkage-grad",
        "16 layers that shrink codes of 64 numbers, each with weights of its own, batch 32, with gradients",
        learning.learned_shrinkage,
        _codes,
        _learned_shrinkage,
        _learned_shrinkage_tuned,
        close(1e-4),
    ),
    task(
        "corrected-returns",
        "corrected returns and advantages of actions from another policy, batch 64, T=200",
        learning.corrected_returns,
        _behaviour,
        _corrected_returns,
        _corrected_returns_tuned,
        close(1e-4),
    ),
    task(
        "feature-map",
        "self-organizing map of 10 x 10 units in shared variables, 1,000 samples",
        learning.feature_map,
        _colors,
        _feature_map,
        _feature_map_tuned,
        close(1e-7),
    ),
)
