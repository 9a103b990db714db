"""Networks whose matrices are made of reflections, or change while they run."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import connections
from benchmarks.programs.seen.connections import (
    EXCITED,
    LESS,
    MEMBRANE,
    MORE,
    RESET,
    REST,
    SYNAPSE,
    THRESHOLD,
    TRACE,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _turning(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, batch, size, units, count = scale.steps(100, quick=6), *scale.pick((8, 16, 64, 12), quick=(2, 3, 5, 3))
    arrays = (
        rng.normal(size=(steps, batch, size)),
        rng.normal(size=(batch, 4)),
        rng.normal(size=(size, units)) / np.sqrt(size),
        rng.normal(size=(count, units)),
        rng.normal(size=units) / 4,
        rng.normal(size=(units, 4)) / np.sqrt(units),
    )
    return inputs(*(array.astype("float32") for array in arrays))


def _reflections(x: Any, target: Any, *weights: Any) -> list[Any]:
    def cost(weights: Any) -> Any:
        W_in, V, b, W_out = weights

        def reflect(h: Any, v: Any) -> tuple[Any, None]:
            return h - 2 * jnp.outer(h @ v, v) / (v @ v), None

        def step(h: Any, x_t: Any) -> tuple[Any, None]:
            turned, _ = lax.scan(reflect, h, V)
            return jax.nn.leaky_relu(turned + x_t @ W_in + b, 0.5), None

        h, _ = lax.scan(step, jnp.zeros((x.shape[1], V.shape[1]), "float32"), x)
        return ((h @ W_out - target) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _reflections_tuned(x: Any, target: Any, *weights: Any) -> list[Any]:
    """Product of all reflections before the loop, and inputs, too; gradients of matrices after the loop back."""
    W_in, V, b, W_out = weights
    steps, batch, size = x.shape
    units = V.shape[1]

    def turn(V: Any) -> Any:
        scaled = V * (2 / (V * V).sum(axis=1, keepdims=True))
        M = jnp.eye(units, dtype="float32")
        for k in range(V.shape[0]):
            M = M - (M @ V[k])[:, None] * scaled[k]
        return M

    M, back_of_turn = jax.vjp(turn, V)
    given = (x.reshape(-1, size) @ W_in + b).reshape(steps, batch, units)

    def step(h: Any, given_t: Any) -> tuple[Any, Any]:
        inner = h @ M + given_t
        new = jnp.maximum(inner, 0.5 * inner)
        return new, new

    start = jnp.zeros((batch, units), "float32")
    last, h = lax.scan(step, start, given)
    error = last @ W_out - target
    of_error = error * (2 / error.size)
    M_T = M.T

    def back(of_h: Any, h_t: Any) -> tuple[Any, Any]:
        of_inner = jnp.where(h_t > 0, of_h, 0.5 * of_h)
        return of_inner @ M_T, of_inner

    of_inner = lax.scan(back, of_error @ W_out.T, h, reverse=True)[1].reshape(-1, units)
    before = jnp.concatenate([start[None], h[:-1]]).reshape(-1, units)
    (of_V,) = back_of_turn(before.T @ of_inner)
    return [(error**2).mean(), x.reshape(-1, size).T @ of_inner, of_V, of_inner.sum(axis=0), last.T @ of_error]


def _patterns(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, batch, units = scale.steps(80, quick=7), *scale.pick((4, 48), quick=(2, 5))
    target = np.sign(rng.normal(size=(batch, units)))
    x = target * (rng.random((steps, batch, units)) < 0.5) * (np.arange(steps) % 10 < 6)[:, None, None]
    W, strength = rng.normal(size=(2, units, units)) / np.sqrt(units)
    arrays = (2 * x, target, W, strength, np.array(0.05))
    return inputs(*(array.astype("float32") for array in arrays))


def _plastic_network(x: Any, target: Any, *weights: Any) -> list[Any]:
    def cost(weights: Any) -> Any:
        W, strength, rate = weights

        def step(carry: tuple[Any, Any], x_t: Any) -> tuple[Any, None]:
            y, trace = carry
            new = jnp.tanh(jnp.einsum("bi,bij->bj", y, W + strength * trace) + x_t)
            trace = (1 - rate) * trace + rate * y[:, :, None] * new[:, None, :]
            return (new, trace), None

        _, batch, units = x.shape
        start = (jnp.zeros((batch, units), "float32"), jnp.zeros((batch, units, units), "float32"))
        (y, _), _ = lax.scan(step, start, x)
        return ((y - target) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _plastic_network_tuned(x: Any, target: Any, W: Any, strength: Any, rate: Any) -> list[Any]:
    """The loop back written out: it keeps outputs and traces, and its product of the trace's gradient with what a step
    heard serves twice; the gradient of fixed weights is one product after it."""
    _, batch, units = x.shape

    def step(carry: tuple[Any, Any], x_t: Any) -> tuple[Any, Any]:
        y, trace = carry
        new = jnp.tanh(jnp.einsum("bi,bij->bj", y, W + strength * trace) + x_t)
        return (new, trace + rate * (y[:, :, None] * new[:, None, :] - trace)), (y, trace)

    start = (jnp.zeros((batch, units), "float32"), jnp.zeros((batch, units, units), "float32"))
    (last, _), (y, trace) = lax.scan(step, start, x)
    after = jnp.concatenate([y[1:], last[None]])
    error = last - target

    def back(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, Any]:
        of_y, of_trace, of_strength = carry
        y_t, new, trace_t = now
        heard = jnp.einsum("bij,bi->bj", of_trace, y_t)
        of_inner = (of_y + rate * heard) * (1 - new * new)
        outer = y_t[:, :, None] * of_inner[:, None, :]
        of_y = jnp.einsum("bij,bj->bi", W + strength * trace_t, of_inner)
        of_y = of_y + rate * jnp.einsum("bij,bj->bi", of_trace, new)
        of_rate = (heard * new).sum() - (of_trace * trace_t).sum(axis=(0, 1)).sum()
        of_trace = (1 - rate) * of_trace + strength * outer
        return (of_y, of_trace, of_strength + outer * trace_t), (of_inner, of_rate)

    zero = jnp.zeros_like(start[1])
    begin = (error * (2 / error.size), zero, zero)
    (_, _, of_strength), (of_inner, of_rate) = lax.scan(back, begin, (y, after, trace), reverse=True)
    of_W = y.reshape(-1, units).T @ of_inner.reshape(-1, units)
    return [(error**2).mean(), of_W, of_strength.sum(axis=0), of_rate.sum()]


def _spikes(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, synapses = scale.steps(5_000, quick=150), scale.pick(500, quick=30)
    rate = 0.01 + 0.02 * rng.random(synapses)
    bursts = 1 + 2 * (rng.random((steps // 20 + 1, 1)) < 0.2) * (np.arange(synapses) < synapses // 2)
    spikes = rng.random((steps, synapses)) < rate * np.repeat(bursts, 20, axis=0)[:steps]
    most = 0.015 if synapses > 100 else 0.15
    return inputs(spikes.astype("int8"), most * rng.random(synapses), np.array(most))


def _spike_timing(spikes: Any, conductance: Any, most: Any) -> list[Any]:
    def step(carry: tuple[Any, ...], spike: Any) -> tuple[Any, Any]:
        V, excitation, g, before, after = carry
        spike = spike.astype("float64")
        excitation = excitation * jnp.exp(-1 / SYNAPSE) + spike @ g
        V = V + (REST - V + excitation * (EXCITED - V)) / MEMBRANE
        fired = V > THRESHOLD
        before = before * jnp.exp(-1 / TRACE) + MORE * spike
        g = jnp.clip(g + most * (fired * before - after * spike), 0, most)
        after = after * jnp.exp(-1 / TRACE) + LESS * fired
        return (jnp.where(fired, RESET, V), excitation, g, before, after), fired

    start = (jnp.float64(REST), jnp.float64(0), conductance, jnp.zeros_like(conductance), jnp.float64(0))
    (_, _, g, _, _), fired = lax.scan(step, start, spikes)
    return [fired, g]


def _spike_timing_tuned(spikes: Any, conductance: Any, most: Any) -> list[Any]:
    """Choices for products with 0 and 1, and constants of decay for exponentials."""
    fade, decay = math.exp(-1 / TRACE), math.exp(-1 / SYNAPSE)

    def step(carry: tuple[Any, ...], spike: Any) -> tuple[Any, Any]:
        V, excitation, g, before, after = carry
        active = spike != 0
        excitation = excitation * decay + jnp.where(active, g, 0).sum()
        V = V + (REST - V + excitation * (EXCITED - V)) * (1 / MEMBRANE)
        fired = V > THRESHOLD
        before = before * fade + jnp.where(active, MORE, 0)
        change = jnp.where(fired, most, 0) * before - jnp.where(active, most * after, 0)
        g = jnp.minimum(jnp.maximum(g + change, 0), most)
        after = after * fade + jnp.where(fired, LESS, 0)
        return (jnp.where(fired, RESET, V), excitation, g, before, after), fired

    start = (jnp.float64(REST), jnp.float64(0), conductance, jnp.zeros_like(conductance), jnp.float64(0))
    (_, _, g, _, _), fired = lax.scan(step, start, spikes)
    return [fired, g]


def _rows(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, size, count = scale.steps(4_000, quick=40), *scale.pick((64, 8), quick=(6, 3))
    turn, _ = np.linalg.qr(rng.normal(size=(size, size)))
    x = rng.normal(size=(steps, size)) * 0.8 ** np.arange(size) @ turn
    W = rng.normal(size=(count, size)) / np.sqrt(size)
    return inputs(*(array.astype("float32") for array in (x, W, np.array(0.02))))


def _principal_stream(x: Any, W: Any, rate: Any) -> list[Any]:
    def learn(W: Any, x_t: Any) -> tuple[Any, Any]:
        y = W @ x_t
        return W + rate * (jnp.outer(y, x_t) - jnp.tril(jnp.outer(y, y)) @ W), y

    W, y = lax.scan(learn, W, x)
    return [W, (y**2).mean(axis=0)]


def _principal_stream_tuned(x: Any, W: Any, rate: Any) -> list[Any]:
    """Cumulative sums over directions for the product of matrices."""

    def learn(W: Any, x_t: Any) -> tuple[Any, Any]:
        y = W @ x_t
        outputs = y[:, None]
        return W + rate * (outputs * (x_t - jnp.cumsum(outputs * W, axis=0))), y

    W, y = lax.scan(learn, W, x)
    return [W, (y**2).mean(axis=0)]


WORKLOADS = (
    task(
        "reflections-grad",
        "recurrent network of 64 units turned by 12 reflections, T=100, batch 8, nested loops, with gradients",
        connections.reflections,
        _turning,
        _reflections,
        _reflections_tuned,
        close(1e-3),
    ),
    task(
        "plastic-network-grad",
        "network of 48 units whose connections learn while it runs, T=80, batch 4, with gradients",
        connections.plastic_network,
        _patterns,
        _plastic_network,
        _plastic_network_tuned,
        close(1e-3),
    ),
    task(
        "spike-timing",
        "neuron with 500 synapses that learn from the times of spikes, T=5,000",
        connections.spike_timing,
        _spikes,
        _spike_timing,
        _spike_timing_tuned,
    ),
    task(
        "principal-stream",
        "8 main directions of 4,000 rows of 64 numbers that come one by one",
        connections.principal_stream,
        _rows,
        _principal_stream,
        _principal_stream_tuned,
        close(1e-3),
    ),
)
