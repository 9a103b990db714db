"""Recurrent networks and layers."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.program import unroll
from benchmarks.programs.applications import networks
from benchmarks.programs.applications.networks import BETA_1, BETA_2, EPSILON, LEAK, RATE, SHARPNESS, THRESHOLD
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _arrays(rng: np.random.Generator, *shapes: tuple[int, ...]) -> list[Any]:
    """Normal values scaled by the rows of each matrix, float32."""
    return [(rng.normal(size=shape) / max(1, shape[0]) ** 0.5).astype("float32") for shape in shapes]


def _steps(rng: np.random.Generator, *shape: int) -> Any:
    return rng.normal(size=shape).astype("float32")


def _spiking_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    units, steps = scale.pick(64, quick=8), scale.steps(100, quick=20)
    x = (rng.uniform(size=(steps, 16, 32)) < 0.3).astype("float32")
    W, U = _arrays(rng, (32, units), (units, units))
    return inputs(x, rng.uniform(size=(16, units)).astype("float32"), 2 * W, U)


@jax.custom_jvp
def _spike(potential: Any) -> Any:
    return (potential > THRESHOLD).astype(potential.dtype)


@_spike.defjvp
def _spike_slope(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    smooth = jax.nn.sigmoid(SHARPNESS * (primals[0] - THRESHOLD))
    return _spike(*primals), tangents[0] * SHARPNESS * smooth * (1 - smooth)


def _spiking(x: Any, target: Any, W: Any, U: Any) -> list[Any]:
    def cost(W: Any, U: Any) -> Any:
        def step(carry: tuple[Any, Any], x_t: Any) -> tuple[tuple[Any, Any], Any]:
            potential, spikes = carry
            potential = LEAK * potential * (1 - spikes) + x_t @ W + spikes @ U
            spikes = _spike(potential)
            return (potential, spikes), spikes

        start = jnp.zeros((x.shape[1], len(U)), x.dtype)
        return ((lax.scan(step, (start, start), x)[1].mean(0) - target) ** 2).mean()

    value, slopes = jax.value_and_grad(cost, (0, 1))(W, U)
    return [value, *slopes]


def _spiking_tuned(x: Any, target: Any, W: Any, U: Any) -> list[Any]:
    """Input products before the loop; reverse loop by hand, which recomputes what it can; weight gradients after."""
    start = jnp.zeros((x.shape[1], len(U)), x.dtype)

    def forward(carry: tuple[Any, Any], inner: Any) -> tuple[tuple[Any, Any], Any]:
        potential, spikes = carry
        potential = LEAK * potential * (1 - spikes) + inner + spikes @ U
        spikes = (potential > THRESHOLD).astype(x.dtype)
        return (potential, spikes), potential

    _, potential = lax.scan(forward, (start, start), x @ W)
    spikes = (potential > THRESHOLD).astype(x.dtype)
    apart = spikes.mean(0) - target
    into = apart * (2 / apart.size / len(x))
    back = U.T

    def reverse(later: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        """``later``: what the next step's potential asks of this one."""
        potential, spikes = now
        smooth = jax.nn.sigmoid(SHARPNESS * (potential - THRESHOLD))
        of_spikes = into + later @ back - LEAK * later * potential
        of_potential = LEAK * later * (1 - spikes) + of_spikes * (SHARPNESS * smooth * (1 - smooth))
        return of_potential, of_potential

    _, slopes = lax.scan(reverse, start, (potential, spikes), reverse=True)
    flat = slopes.reshape(-1, slopes.shape[-1])
    before = jnp.concatenate([start[None], spikes[:-1]]).reshape(flat.shape)
    return [(apart**2).mean(), x.reshape(len(flat), -1).T @ flat, before.T @ flat]


def _gru_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    units = scale.pick(64, quick=8)
    return inputs(_steps(rng, scale.steps(100, quick=20), 16, 32), *_arrays(rng, (32, 3 * units), (units, 3 * units)))


def _gru(x: Any, W: Any, U: Any, fast: bool = False) -> list[Any]:
    """``fast``: input products before the loop, and the reset state's product from matrices that are cut once."""

    def cost(W: Any, U: Any) -> Any:
        n = len(U)
        gates_of, new_of = U[:, : 2 * n], U[:, 2 * n :]

        def step(h: Any, x_t: Any) -> tuple[Any, Any]:
            inner = x_t if fast else x_t @ W
            gates = jax.nn.sigmoid(inner[:, : 2 * n] + h @ gates_of)
            update, reset = gates[:, :n], gates[:, n:]
            new = jnp.tanh(inner[:, 2 * n :] + (reset * h) @ new_of)
            h = update * h + (1 - update) * new
            return h, h

        h = lax.scan(step, jnp.zeros((x.shape[1], n), x.dtype), x @ W if fast else x)[1]
        return (h**2).mean()

    value, slopes = jax.value_and_grad(cost, (0, 1))(W, U)
    return [value, *slopes]


def _gru_tuned(x: Any, W: Any, U: Any) -> list[Any]:
    """Reverse loop by hand; every weight gradient is one product after it."""
    n = len(U)
    start = jnp.zeros((x.shape[1], n), x.dtype)
    gates_of, new_of = U[:, : 2 * n], U[:, 2 * n :]

    def forward(h: Any, inner: Any) -> tuple[Any, Any]:
        gates = jax.nn.sigmoid(inner[:, : 2 * n] + h @ gates_of)
        update, reset = gates[:, :n], gates[:, n:]
        new = jnp.tanh(inner[:, 2 * n :] + (reset * h) @ new_of)
        return update * h + (1 - update) * new, (h, update, reset, new)

    last, (h, update, reset, new) = lax.scan(forward, start, x @ W)
    after = jnp.concatenate([h[1:], last[None]])
    gates_back, new_back = gates_of.T, new_of.T

    def reverse(later: Any, now: Any) -> tuple[Any, Any]:
        into, h, update, reset, new = now
        of_h = later + into
        of_new = of_h * (1 - update) * (1 - new * new)
        of_product = of_new @ new_back
        of_update = of_h * (h - new) * update * (1 - update)
        of_reset = of_product * h * reset * (1 - reset)
        gates = jnp.concatenate([of_update, of_reset], axis=1)
        return of_h * update + of_product * reset + gates @ gates_back, (gates, of_new)

    _, (gates, of_new) = lax.scan(reverse, start, (after * (2 / after.size), h, update, reset, new), reverse=True)
    every = jnp.concatenate([gates, of_new], axis=2).reshape(-1, 3 * n)
    flat = h.reshape(-1, n)
    of_U = jnp.concatenate([flat.T @ every[:, : 2 * n], (reset.reshape(-1, n) * flat).T @ every[:, 2 * n :]], axis=1)
    return [(after**2).mean(), x.reshape(len(every), -1).T @ every, of_U]


def _minimal_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    units = scale.pick(64, quick=8)
    weights = _arrays(rng, (32, units), (units, units), (32, units), (units, units))
    return inputs(_steps(rng, scale.steps(200, quick=20), 16, 32), *weights)


def _minimal(x: Any, Wf: Any, Uf: Any, Wh: Any, Uh: Any) -> Any:
    def step(h: Any, x_t: Any) -> tuple[Any, None]:
        forget = jax.nn.sigmoid(x_t @ Wf + h @ Uf)
        return (1 - forget) * h + forget * jnp.tanh(x_t @ Wh + (forget * h) @ Uh), None

    return lax.scan(step, jnp.zeros((x.shape[1], len(Uf)), x.dtype), x)[0]


def _minimal_tuned(x: Any, Wf: Any, Uf: Any, Wh: Any, Uh: Any) -> Any:
    """Input products of both parts before the loop."""

    def step(h: Any, inner: tuple[Any, Any]) -> tuple[Any, None]:
        of_forget, of_new = inner
        forget = jax.nn.sigmoid(of_forget + h @ Uf)
        return h + forget * (jnp.tanh(of_new + (forget * h) @ Uh) - h), None

    start = jnp.zeros((x.shape[1], len(Uf)), x.dtype)
    return lax.scan(step, start, (x @ Wf, x @ Wh), unroll=unroll(1, 8))[0]


def _linear_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    units, width = scale.pick((128, 32), quick=(8, 4))
    decay, angle = (rng.uniform(low, high, units).astype("float32") for low, high in ((-4, -1), (0, 3)))
    weights = _arrays(rng, (width, units), (width, units), (units, width), (units, width))
    return inputs(_steps(rng, scale.steps(1_000, quick=30), width), decay, angle, *weights)


def _linear(x: Any, log_decay: Any, angle: Any, B: Any, B_i: Any, C: Any, C_i: Any) -> Any:
    rate = lax.complex(-jnp.exp(log_decay), angle)
    pole = jnp.exp(rate)
    scale = jnp.sqrt(1 - jnp.abs(pole) ** 2)

    def step(h: Any, x_t: Any) -> tuple[Any, Any]:
        h = pole * h + scale * lax.complex(x_t @ B, x_t @ B_i)
        return h, h

    h = lax.scan(step, jnp.zeros_like(pole), x)[1]
    return h.real @ C - h.imag @ C_i


def _linear_tuned(x: Any, log_decay: Any, angle: Any, B: Any, B_i: Any, C: Any, C_i: Any) -> Any:
    """Both input products before the loop, the recurrence in real numbers."""
    decay = jnp.exp(-jnp.exp(log_decay))
    a, b = decay * jnp.cos(angle), decay * jnp.sin(angle)
    scale = jnp.sqrt(1 - decay * decay)

    def step(h: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        (real, imaginary), (one, two) = h, now
        h = a * real - b * imaginary + one, b * real + a * imaginary + two
        return h, h

    zeros = jnp.zeros_like(angle)
    _, (real, imaginary) = lax.scan(step, (zeros, zeros), (x @ (B * scale), x @ (B_i * scale)), unroll=unroll(2, 16))
    return real @ C - imaginary @ C_i


def _selective_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    width, states = scale.pick((64, 16), quick=(8, 4))
    A, W, B, C = _arrays(rng, (width, states), (width, width), (width, states), (width, states))
    return inputs(_steps(rng, scale.steps(200, quick=20), width), A, W, B, C)


def _selective(x: Any, *weights: Any, fast: bool = False) -> list[Any]:
    """``fast``: all that depends on the input only before the loop, outputs after it, and the step recomputed in the
    reverse loop."""

    def cost(A: Any, W: Any, B: Any, C: Any) -> Any:
        def step(h: Any, x_t: Any) -> tuple[Any, Any]:
            delta = jax.nn.softplus(x_t @ W)
            h = jnp.exp(-delta[:, None] * jnp.exp(A)) * h + (delta * x_t)[:, None] * (x_t @ B)
            return h, h @ (x_t @ C)

        @partial(jax.checkpoint, prevent_cse=False)
        def short(h: Any, now: Any) -> tuple[Any, Any]:
            delta, scaled, into, out = now
            h = jnp.exp(delta[:, None] * rates) * h + scaled[:, None] * into
            return h, (h * out).sum(1)

        if not fast:
            return (lax.scan(step, jnp.zeros_like(A), x)[1] ** 2).mean()
        rates = -jnp.exp(A)
        delta = jax.nn.softplus(x @ W)
        y = lax.scan(short, jnp.zeros_like(A), (delta, delta * x, x @ B, x @ C))[1]
        return (y**2).mean()

    value, slopes = jax.value_and_grad(cost, (0, 1, 2, 3))(*weights)
    return [value, *slopes]


def _memory_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    width = scale.pick(32, quick=4)
    return inputs(_steps(rng, scale.steps(200, quick=20), width), *_arrays(rng, *(3 * [(width, width)])))


def _memory(x: Any, Q: Any, K: Any, V: Any, fast: bool = False) -> Any:
    """``fast``: queries, keys and values before the loop; each step reads them masked, and nothing is written."""
    place = jnp.arange(len(x))

    def attend(t: Any, query: Any, keys: Any, values: Any) -> Any:
        return jax.nn.softmax(jnp.where(place <= t, keys @ query, -1e30)) @ values

    def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
        (keys, values), (t, x_t) = carry, now
        keys, values = keys.at[t].set(x_t @ K), values.at[t].set(x_t @ V)
        return (keys, values), attend(t, x_t @ Q, keys, values)

    if not fast:
        empty = jnp.zeros((len(x), Q.shape[1]), x.dtype)
        return lax.scan(step, (empty, empty), (place, x))[1]
    score = jnp.where(place <= place[:, None], (x @ Q) @ (x @ K).T, -1e30)
    return jax.nn.softmax(score, axis=1) @ (x @ V)


def _hopfield_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    units = scale.pick(256, quick=16)
    patterns = np.where(rng.uniform(size=(units // 8, units)) < 0.5, 1.0, -1.0)
    W = patterns.T @ patterns / units * (1 - np.eye(units))
    start = np.where(rng.uniform(size=units) < 0.5, 1, -1).astype("float32")
    order = rng.integers(0, units, scale.steps(2_000, quick=50)).astype("int32")
    return inputs(W.astype("float32"), start, order)


def _hopfield(W: Any, start: Any, order: Any) -> list[Any]:
    def step(state: Any, i: Any) -> tuple[Any, None]:
        return state.at[i].set(jnp.where(W[i] @ state >= 0, 1, -1).astype(W.dtype)), None

    state, _ = lax.scan(step, start, order)
    return [state, -state @ (W @ state) / 2]


def _hopfield_tuned(W: Any, start: Any, order: Any) -> list[Any]:
    """The fields of all units are carried: a flip adds a multiple of one row."""

    def step(carry: tuple[Any, Any], i: Any) -> tuple[tuple[Any, Any], None]:
        state, field = carry
        new = jnp.where(field[i] >= 0, 1, -1).astype(W.dtype)
        field = field + (new - state[i]) * lax.dynamic_index_in_dim(W, i, keepdims=False)
        return (lax.dynamic_update_index_in_dim(state, new, i, 0), field), None

    (state, _), _ = lax.scan(step, (start, W @ start), order)
    return [state, -state @ (W @ state) / 2]


def _echo_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    units = scale.pick(200, quick=10)
    return inputs(_steps(rng, scale.steps(500, quick=20), 4), *_arrays(rng, (4, units), (units, units), (units, 4)))


def _echo(x: Any, W_in: Any, W: Any, readout: Any) -> Any:
    def step(h: Any, x_t: Any) -> tuple[Any, Any]:
        h = 0.75 * h + 0.25 * jnp.tanh(x_t @ W_in + h @ W)
        return h, h

    return lax.scan(step, jnp.zeros(len(W), x.dtype), x)[1] @ readout


def _delta_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    width = scale.pick(32, quick=4)
    weights = _arrays(rng, *(3 * [(width, width)]), (width,))
    return inputs(_steps(rng, scale.steps(200, quick=20), width), *weights)


def _delta(x: Any, *weights: Any, fast: bool = False) -> list[Any]:
    """``fast``: all that depends on the input only before the loop, products of a step as sums."""

    def cost(Q: Any, K: Any, V: Any, b: Any) -> Any:
        def step(S: Any, x_t: Any) -> tuple[Any, Any]:
            key = jax.nn.softmax(x_t @ K)
            S = S + jnp.outer(jax.nn.sigmoid(x_t @ b) * (x_t @ V - S @ key), key)
            return S, S @ jax.nn.softmax(x_t @ Q)

        def short(S: Any, now: Any) -> tuple[Any, Any]:
            query, key, value, write = now
            S = S + (write * (value - (S * key).sum(1)))[:, None] * key
            return S, (S * query).sum(1)

        start = jnp.zeros((V.shape[1], K.shape[1]), x.dtype)
        if not fast:
            return (lax.scan(step, start, x)[1] ** 2).mean()
        before = jax.nn.softmax(x @ Q), jax.nn.softmax(x @ K), x @ V, jax.nn.sigmoid(x @ b)
        return (lax.scan(short, start, before)[1] ** 2).mean()

    value, slopes = jax.value_and_grad(cost, (0, 1, 2, 3))(*weights)
    return [value, *slopes]


def _adam_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    units = scale.pick(32, quick=4)
    x = _steps(rng, scale.steps(500, quick=20), 32, 8)
    W, v = _arrays(rng, (8, units), (units,))
    return inputs(x, np.sin(x[..., 0]) * x[..., 1], W, v)


def _adam(x: Any, y: Any, W0: Any, v0: Any) -> Any:
    def cost(parameters: tuple[Any, Any], x_t: Any, y_t: Any) -> Any:
        W, v = parameters
        return ((jnp.tanh(x_t @ W) @ v - y_t) ** 2).mean()

    def step(carry: Any, now: Any) -> tuple[Any, Any]:
        (parameters, first, second), (x_t, y_t, t) = carry, now
        value, slopes = jax.value_and_grad(cost)(parameters, x_t, y_t)
        first = jax.tree.map(lambda m, g: BETA_1 * m + (1 - BETA_1) * g, first, slopes)
        second = jax.tree.map(lambda s, g: BETA_2 * s + (1 - BETA_2) * g**2, second, slopes)
        rate = RATE * jnp.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
        parameters = jax.tree.map(lambda p, m, s: p - rate * m / (jnp.sqrt(s) + EPSILON), parameters, first, second)
        return (parameters, first, second), value

    zeros = jnp.zeros_like(W0), jnp.zeros_like(v0)
    count = jnp.arange(1, len(x) + 1, dtype=x.dtype)
    return lax.scan(step, ((W0, v0), zeros, zeros), (x, y, count))[1]


def _adam_tuned(x: Any, y: Any, W0: Any, v0: Any) -> Any:
    """Rates and transposed inputs before the loop, costs after it, the gradient by hand."""
    count = jnp.arange(1, len(x) + 1, dtype=x.dtype)
    rates = RATE * jnp.sqrt(1 - BETA_2**count) / (1 - BETA_1**count)

    def step(carry: Any, now: Any) -> tuple[Any, Any]:
        (parameters, first, second), (x_t, columns, y_t, rate) = carry, now
        W, v = parameters
        hidden = jnp.tanh(x_t @ W)
        apart = hidden @ v - y_t
        into = apart * (2 / y.shape[1])
        slopes = columns @ ((1 - hidden * hidden) * (into[:, None] * v)), into @ hidden
        first = [BETA_1 * m + (1 - BETA_1) * g for m, g in zip(first, slopes, strict=True)]
        second = [BETA_2 * s + (1 - BETA_2) * g * g for s, g in zip(second, slopes, strict=True)]
        parameters = [p - rate * m / (jnp.sqrt(s) + EPSILON) for p, m, s in zip(parameters, first, second, strict=True)]
        return (parameters, first, second), apart

    zeros = [jnp.zeros_like(W0), jnp.zeros_like(v0)]
    return (lax.scan(step, ([W0, v0], zeros, zeros), (x, jnp.swapaxes(x, 1, 2), y, rates))[1] ** 2).mean(1)


SINGLE = close(1e-4)
"""Comparison of float32."""

WORKLOADS = (
    task(
        "spiking-grad",
        "spiking network with a surrogate gradient, 64 units, T=100, batch 16",
        networks.spiking,
        _spiking_data,
        _spiking,
        _spiking_tuned,
        SINGLE,
    ),
    task(
        "gru-grad",
        "gated recurrent unit with gradients, 64 units, T=100, batch 16",
        networks.gru,
        _gru_data,
        _gru,
        _gru_tuned,
        SINGLE,
    ),
    task(
        "minimal-unit",
        "minimal gated unit, 64 units, T=200, batch 16, last state",
        networks.minimal_unit,
        _minimal_data,
        _minimal,
        _minimal_tuned,
        SINGLE,
    ),
    task(
        "linear-unit",
        "linear recurrent unit, 128 complex states, T=1,000",
        networks.linear_unit,
        _linear_data,
        _linear,
        _linear_tuned,
        SINGLE,
    ),
    task(
        "selective-grad",
        "selective state-space layer with gradients, 64 x 16 states, T=200",
        networks.selective,
        _selective_data,
        _selective,
        partial(_selective, fast=True),
        SINGLE,
    ),
    task(
        "memory",
        "attention over a memory that grows, width 32, T=200",
        networks.memory,
        _memory_data,
        _memory,
        partial(_memory, fast=True),
        SINGLE,
    ),
    task(
        "hopfield",
        "Hopfield network, 256 units, 2,000 single updates",
        networks.hopfield,
        _hopfield_data,
        _hopfield,
        _hopfield_tuned,
        SINGLE,
    ),
    task(
        "echo-state",
        "echo state network, 200 units, T=500",
        networks.echo_state,
        _echo_data,
        _echo,
        compare=SINGLE,
    ),
    task(
        "delta-rule-grad",
        "fast weights by the delta rule with gradients, 32 x 32, T=200",
        networks.delta_rule,
        _delta_data,
        _delta,
        partial(_delta, fast=True),
        SINGLE,
    ),
    task(
        "adam",
        "training of a small network by Adam inside of a loop, 500 steps",
        networks.adam,
        _adam_data,
        _adam,
        _adam_tuned,
        close(1e-3),
    ),
)
