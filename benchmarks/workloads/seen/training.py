"""Networks and their training by gradients."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import training
from benchmarks.programs.seen.training import MOMENTUM
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _plant(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, batch = scale.steps(1_000, quick=10), scale.pick(8, quick=2)
    memory, inner, outer, units = scale.pick((8, 3, 4, 20), quick=(3, 2, 2, 3))
    x, target = rng.normal(size=(steps, batch, inner)), rng.normal(size=(steps, batch, outer))
    W = rng.normal(size=(memory, outer, units)) / (memory * outer) ** 0.5
    U, b, V = (
        rng.normal(size=(inner, units)),
        0.1 * rng.normal(size=units),
        rng.normal(size=(units, outer)) / units**0.5,
    )
    return inputs(x, target, W, U, b, V, memory=memory)


def _narx(x: Any, target: Any, *weights: Any, memory: int) -> list[Any]:
    def cost(weights: Any) -> Any:
        W, U, b, V = weights

        def step(past: Any, x_t: Any) -> tuple[Any, Any]:
            h = jnp.tanh(x_t @ U + b + jnp.einsum("kbo,kou->bu", past, W))
            y = h @ V
            return jnp.concatenate([past[1:], y[None]]), y

        start = jnp.zeros((memory, *target.shape[1:]))
        return ((lax.scan(step, start, x)[1] - target) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _narx_tuned(x: Any, target: Any, W: Any, U: Any, b: Any, V: Any, memory: int) -> list[Any]:
    """Input products before the loop; all taps in one product; the reverse loop by hand, with what later steps leave
    for each output in a window too, and weight gradients after it."""
    batch, outer = target.shape[1:]
    of_past = W.reshape(memory * outer, len(b))
    empty = jnp.zeros((batch, memory * outer))

    def step(past: Any, driven_t: Any) -> tuple[Any, Any]:
        h = jnp.tanh(driven_t + past @ of_past)
        y = h @ V
        return jnp.concatenate([past[:, outer:], y], axis=1), (past, h, y)

    past, h, y = lax.scan(step, empty, x @ U + b)[1]
    error = y - target
    pull = 2 / error.size * error

    def back(of_window: Any, now: Any) -> tuple[Any, Any]:
        pull_t, slope_t = now
        of_y = of_window[:, -outer:] + pull_t
        inner = slope_t * (of_y @ V.T)
        earlier = jnp.concatenate([jnp.zeros((batch, outer)), of_window[:, :-outer]], axis=1)
        return earlier + inner @ of_past.T, (of_y, inner)

    of_y, inner = lax.scan(back, empty, (pull, 1 - h * h), reverse=True)[1]
    of_W = jnp.einsum("tbp,tbu->pu", past, inner).reshape(W.shape)
    of_U, of_V = jnp.einsum("tbi,tbu->iu", x, inner), jnp.einsum("tbu,tbo->uo", h, of_y)
    return [(error**2).mean(), of_W, of_U, inner.sum((0, 1)), of_V]


def _rows(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, (rows, width) = scale.steps(1_000, quick=12), scale.pick((16, 10), quick=(4, 3))
    w = rng.normal(size=width)
    X, X_out = rng.normal(size=(steps, rows, width)), rng.normal(size=(10 * rows, width))
    y, y_out = (np.where(A @ w + rng.normal(size=A.shape[:-1]) > 0, 1.0, -1.0) for A in (X, X_out))
    return inputs(X, y, X_out, y_out, np.full(steps, np.log(0.05)), np.float64(np.log(0.01)))


def _learning_rates(X: Any, y: Any, X_out: Any, y_out: Any, log_rate: Any, log_penalty: Any) -> list[Any]:
    def loss(w: Any, X: Any, y: Any) -> Any:
        return jax.nn.softplus(-y * (X @ w)).mean()

    def cost(log_rate: Any, log_penalty: Any) -> Any:
        def objective(w: Any, X: Any, y: Any) -> Any:
            return loss(w, X, y) + 0.5 * jnp.exp(log_penalty) * (w**2).sum()

        def step(carry: tuple[Any, Any], now: tuple[Any, Any, Any]) -> tuple[Any, None]:
            w, velocity = carry
            X_t, y_t, log_rate_t = now
            velocity = MOMENTUM * velocity - jax.grad(objective)(w, X_t, y_t)
            return (w + jnp.exp(log_rate_t) * velocity, velocity), None

        zeros = jnp.zeros(X.shape[2])
        (w, _), _ = lax.scan(step, (zeros, zeros), (X, y, log_rate))
        return loss(w, X_out, y_out)

    value, slopes = jax.value_and_grad(cost, (0, 1))(log_rate, log_penalty)
    return [value, *slopes]


def _learning_rates_tuned(X: Any, y: Any, X_out: Any, y_out: Any, log_rate: Any, log_penalty: Any) -> list[Any]:
    """Rows times labels before the loop; the reverse loop by hand, with the product of the loss's second derivative by
    two small products; slopes of the rates after it."""
    rows, width = X.shape[1:]
    signed, rate, penalty = -y[:, :, None] * X, jnp.exp(log_rate), jnp.exp(log_penalty)
    zeros = jnp.zeros(width)

    def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
        w, velocity = carry
        Z, rate_t = now
        wrong = 1 / (1 + jnp.exp(-(Z * w).sum(1)))
        velocity = MOMENTUM * velocity - (Z.T * wrong).sum(1) / rows - penalty * w
        return (w + rate_t * velocity, velocity), (w, velocity, wrong)

    (last, _), (w, velocity, wrong) = lax.scan(step, (zeros, zeros), (signed, rate))
    inner = -y_out * (X_out @ last)
    of_last = (-y_out * jax.nn.sigmoid(inner)) @ X_out / len(y_out)
    curve = wrong * (1 - wrong) / rows

    def back(carry: tuple[Any, Any], now: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        of_w, of_v = carry
        Z, curve_t, rate_t = now
        total = of_v + rate_t * of_w
        of_slope = Z * (curve_t * (Z * total).sum(1))[:, None]
        return (of_w - of_slope.sum(0) - penalty * total, MOMENTUM * total), (of_w, total)

    of_w, total = lax.scan(back, (of_last, zeros), (signed, curve, rate), reverse=True)[1]
    of_rate = rate * (of_w * velocity).sum(1)
    return [jax.nn.softplus(inner).mean(), of_rate, -penalty * (total * w).sum()]


def _channels(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, channels = scale.steps(1_000, quick=12), scale.pick(64, quick=3)
    key, value, gate, target = rng.normal(size=(4, steps, channels))
    return inputs(target, 2 * key, value, gate, rng.uniform(-5, 0, channels), rng.normal(size=channels))


def _weighted_values(target: Any, *weights: Any) -> list[Any]:
    def cost(weights: Any) -> Any:
        key, value, gate, fade, first = weights

        def step(carry: tuple[Any, Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
            above, below, largest = carry
            key_t, value_t = now
            most = jnp.maximum(largest, first + key_t)
            old, new = jnp.exp(largest - most), jnp.exp(first + key_t - most)
            average = (old * above + new * value_t) / (old * below + new)
            faded = largest - jnp.exp(fade)
            most = jnp.maximum(faded, key_t)
            old, new = jnp.exp(faded - most), jnp.exp(key_t - most)
            return (old * above + new * value_t, old * below + new, most), average

        zeros = jnp.zeros_like(fade)
        average = lax.scan(step, (zeros, zeros, zeros - 1e30), (key, value))[1]
        return ((jax.nn.sigmoid(gate) * average - target) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _weighted_values_tuned(target: Any, key: Any, value: Any, gate: Any, fade: Any, first: Any) -> list[Any]:
    """Exponents less the largest of each channel, so that both sums are linear recurrences with a constant factor; the
    same backwards by hand; everything else for all steps at once."""
    decay, bonus = jnp.exp(-jnp.exp(fade)), jnp.exp(first)
    weight = jnp.exp(key - key.max(0))
    weighted = weight * value

    def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
        above, below = carry
        return (decay * above + now[0], decay * below + now[1]), carry

    zeros = jnp.zeros_like(fade)
    above, below = lax.scan(step, (zeros, zeros), (weighted, weight))[1]
    inverse = 1 / (below + bonus * weight)
    average = (above + bonus * weighted) * inverse
    opened = jax.nn.sigmoid(gate)
    error = opened * average - target
    pull = 2 / error.size * error
    of_above = pull * opened * inverse
    of_below = -of_above * average

    def back(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
        return (now[0] + decay * carry[0], now[1] + decay * carry[1]), carry

    later_above, later_below = lax.scan(back, (zeros, zeros), (of_above, of_below), reverse=True)[1]
    of_weighted, of_weight = later_above + bonus * of_above, later_below + bonus * of_below
    of_decay = (later_above * above + later_below * below).sum(0)
    of_bonus = (of_above * weighted + of_below * weight).sum(0)
    of_key = weighted * of_weighted + weight * of_weight
    of_gate = pull * average * opened * (1 - opened)
    slopes = of_key, weight * of_weighted, of_gate, of_decay * decay * -jnp.exp(fade), of_bonus * bonus
    return [(error**2).mean(), *slopes]


WORKLOADS = (
    task(
        "narx-grad",
        "network of 20 units that reads its last 8 outputs, T=1,000, batch 8, with gradients",
        training.narx,
        _plant,
        _narx,
        _narx_tuned,
        close(1e-8),
    ),
    task(
        "learning-rates-grad",
        "logistic regression trained in 1,000 steps, with gradient in all learning rates and the penalty",
        training.learning_rates,
        _rows,
        _learning_rates,
        _learning_rates_tuned,
        close(1e-8),
    ),
    task(
        "weighted-values-grad",
        "averages of values whose weights fade, 64 channels, T=1,000, with gradients",
        training.weighted_values,
        _channels,
        _weighted_values,
        _weighted_values_tuned,
        close(1e-8),
    ),
)
