"""Networks whose cells, nodes, words and events hear of each other."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.nn import relu, sigmoid, softplus

from benchmarks.compare import close
from benchmarks.programs.seen import messages
from benchmarks.programs.seen.messages import ALIVE
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _weights(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray[Any, Any]:
    return (rng.normal(size=(rows, columns)) / np.sqrt(rows)).astype("float32")


def _seed(rng: np.random.Generator, scale: Scale) -> Inputs:
    size, channels, hidden = scale.pick((32, 16, 64), quick=(6, 5, 7))
    start = np.zeros((size, size, channels), "float32")
    start[size // 2, size // 2, 3:] = 1
    row, column = np.meshgrid(*[np.linspace(-1, 1, size)] * 2, indexing="ij")
    inside = (row**2 + column**2 < 0.5).astype("float32")
    target = np.stack([inside, inside * (row > 0), inside * (column > 0), inside], axis=2).astype("float32")
    out = 0.3 * _weights(rng, hidden, channels)
    weights = (_weights(rng, 3 * channels, hidden), 0.1 * rng.normal(size=hidden).astype("float32"), out)
    return inputs(start, target, *weights, steps=scale.steps(32, quick=4))


def _neural_automaton(start: Any, target: Any, *weights: Any, steps: int) -> list[Any]:
    def smooth(x: Any, axis: int) -> Any:
        return (jnp.roll(x, 1, axis) + 2 * x + jnp.roll(x, -1, axis)) / 4

    def slope(x: Any, axis: int) -> Any:
        return (jnp.roll(x, -1, axis) - jnp.roll(x, 1, axis)) / 2

    def largest(x: Any, axis: int) -> Any:
        return jnp.maximum(jnp.maximum(jnp.roll(x, 1, axis), x), jnp.roll(x, -1, axis))

    def cost(weights: Any) -> Any:
        W_in, b, W_out = weights

        def step(x: Any, _: None) -> tuple[Any, None]:
            seen = jnp.concatenate([x, slope(smooth(x, 0), 1), slope(smooth(x, 1), 0)], axis=2)
            x = x + relu(seen @ W_in + b) @ W_out
            alive = largest(largest(x[:, :, 3], 0), 1) > ALIVE
            return jnp.where(alive[:, :, None], x, 0.0), None

        x, _ = lax.scan(step, start, None, steps)
        return ((x[:, :, :4] - target) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _neural_automaton_tuned(start: Any, target: Any, *weights: Any, steps: int) -> list[Any]:
    """Channels first and cells in one axis, with a border that wraps around, so that neighbours are slices; what the
    network sees and its inner values are kept, and the way back is written out."""
    W_in, b, W_out = weights
    rows, columns, channels = start.shape
    first = jnp.moveaxis(start, 2, 0)
    W_seen, W_new = W_in.T, W_out.T

    def wrapped(x: Any) -> Any:
        x = jnp.concatenate([x[:, -1:], x, x[:, :1]], axis=1)
        return jnp.concatenate([x[:, :, -1:], x, x[:, :, :1]], axis=2)

    def perceive(x: Any) -> Any:
        around = wrapped(x)
        down = around[:, :-2] + 2 * around[:, 1:-1] + around[:, 2:]
        across = around[:, :, :-2] + 2 * around[:, :, 1:-1] + around[:, :, 2:]
        of_column = (down[:, :, 2:] - down[:, :, :-2]) * 0.125
        of_row = (across[:, 2:] - across[:, :-2]) * 0.125
        return jnp.concatenate([x, of_column, of_row]).reshape(3 * channels, -1)

    def perceive_back(slope: Any) -> Any:
        of_x, of_column, of_row = slope.reshape(3, channels, rows, columns)
        of_column, of_row = wrapped(of_column), wrapped(of_row)
        across = of_column[:, :, :-2] - of_column[:, :, 2:]
        down = of_row[:, :-2] - of_row[:, 2:]
        down_wide = across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]
        across_wide = down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]
        return of_x + 0.125 * (down_wide + across_wide)

    def step(x: Any, _: None) -> tuple[Any, Any]:
        seen = perceive(x)
        inner = relu(W_seen @ seen + b[:, None])
        x = x + (W_new @ inner).reshape(x.shape)
        around = wrapped(x[3:4])[0]
        most = jnp.maximum(jnp.maximum(around[:-2], around[1:-1]), around[2:])
        most = jnp.maximum(jnp.maximum(most[:, :-2], most[:, 1:-1]), most[:, 2:])
        alive = most > ALIVE
        return jnp.where(alive, x, 0.0), (seen, inner, alive)

    x, kept = lax.scan(step, first, None, steps)
    apart = x[:4] - jnp.moveaxis(target, 2, 0)
    last = jnp.zeros_like(x).at[:4].set(apart * (2 / apart.size))

    def back(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, None]:
        of_x, of_in, of_b, of_out = carry
        seen, inner, alive = now
        of_x = jnp.where(alive, of_x, 0.0)
        flat = of_x.reshape(channels, -1)
        of_inner = jnp.where(inner > 0, W_out @ flat, 0.0)
        of_in, of_out = of_in + of_inner @ seen.T, of_out + inner @ flat.T
        return (of_x + perceive_back(W_in @ of_inner), of_in, of_b + of_inner.sum(axis=1), of_out), None

    start_back = (last, jnp.zeros_like(W_seen), jnp.zeros_like(b), jnp.zeros_like(W_out))
    (_, of_in, of_b, of_out), _ = lax.scan(back, start_back, kept, reverse=True)
    return [(apart * apart).mean(), of_in.T, of_b, of_out]


def _molecules(rng: np.random.Generator, scale: Scale) -> Inputs:
    graphs, atoms, units, kinds = scale.pick((16, 20, 64, 4), quick=(3, 5, 4, 2))
    edges = []
    for graph in range(graphs):
        for atom in range(1, atoms):
            other = rng.integers(max(0, atom - 3), atom)
            kind = rng.integers(kinds)
            edges += [(graph * atoms + atom, graph * atoms + other, kind)]
            edges += [(graph * atoms + other, graph * atoms + atom, kind)]
    source, end, kind = np.array(edges, "int32").T
    x = np.zeros((graphs * atoms, units), "float32")
    x[np.arange(len(x)), rng.integers(0, units // 2, len(x))] = 1
    weights = (
        _weights(rng, units, kinds * units),
        *(_weights(rng, units, 3 * units) for _ in range(2)),
        0.1 * rng.normal(size=3 * units).astype("float32"),
        _weights(rng, 2 * units, 1)[:, 0],
    )
    graph = np.repeat(np.arange(graphs, dtype="int32"), atoms)
    target = rng.normal(size=graphs).astype("float32")
    return inputs(x, target, source, end, kind, graph, *weights, steps=scale.steps(6, quick=2), graphs=graphs)


def _gated_graph(
    x: Any, target: Any, source: Any, end: Any, kind: Any, graph: Any, *weights: Any, steps: int, graphs: int
) -> list[Any]:
    nodes, units = x.shape

    def cost(weights: Any) -> Any:
        W_edge, W, U, b, w_out = weights

        def step(h: Any, _: None) -> tuple[Any, None]:
            said = (h @ W_edge).reshape(nodes, -1, units)[source, kind]
            heard = jax.ops.segment_sum(said, end, nodes)
            given = heard @ W + b
            gates = sigmoid(given[:, : 2 * units] + h @ U[:, : 2 * units])
            reset, update = gates[:, :units], gates[:, units:]
            new = jnp.tanh(given[:, 2 * units :] + (reset * h) @ U[:, 2 * units :])
            return (1 - update) * h + update * new, None

        h, _ = lax.scan(step, x, None, steps)
        each = jnp.concatenate([h, x], axis=1) @ w_out
        return ((jax.ops.segment_sum(each, graph, graphs) - target) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _gated_graph_tuned(
    x: Any, target: Any, source: Any, end: Any, kind: Any, graph: Any, *weights: Any, steps: int, graphs: int
) -> list[Any]:
    """One matrix for messages and gates, reads and sums without a test of places, and no loop: products take most of
    the time."""
    (nodes, units), kinds = x.shape, weights[0].shape[1] // x.shape[1]
    place = source * kinds + kind

    def cost(weights: Any) -> Any:
        W_edge, W, U, b, w_out = weights
        W_state = jnp.concatenate([W_edge, U[:, : 2 * units]], axis=1)
        U_new = U[:, 2 * units :]

        def step(h: Any, _: None) -> tuple[Any, None]:
            of_state = h @ W_state
            said = of_state[:, : kinds * units].reshape(-1, units).at[place].get(mode="promise_in_bounds")
            heard = jnp.zeros((nodes, units)).at[end].add(said, mode="promise_in_bounds")
            given = heard @ W + b
            gates = sigmoid(given[:, : 2 * units] + of_state[:, kinds * units :])
            reset, update = gates[:, :units], gates[:, units:]
            new = jnp.tanh(given[:, 2 * units :] + (reset * h) @ U_new)
            return h + update * (new - h), None

        h, _ = lax.scan(step, x, None, steps, unroll=True)
        each = jnp.concatenate([h, x], axis=1) @ w_out
        return ((jnp.zeros(graphs).at[graph].add(each, mode="promise_in_bounds") - target) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _words(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, batch = scale.steps(256, quick=20), scale.pick(4, quick=2)
    width, heads, keys, values = scale.pick((128, 4, 16, 32), quick=(6, 2, 3, 4))
    x, target = rng.normal(size=(steps, batch, width)), rng.normal(size=(steps, batch, width))
    weights = [_weights(rng, width, heads * keys) for _ in range(2)]
    weights += [_weights(rng, width, heads * values), _weights(rng, width, heads * keys)]
    out = _weights(rng, heads * values, width)
    return inputs(x.astype("float32"), target.astype("float32"), *weights, out, heads=heads)


def _gated_attention(x: Any, target: Any, *weights: Any, heads: int) -> list[Any]:
    steps, batch, _ = x.shape

    def cost(weights: Any) -> Any:
        W_q, W_k, W_v, W_fade, W_out = weights
        q, k, v = ((x @ W).reshape(steps, batch, heads, -1) for W in (W_q, W_k, W_v))
        fade = (sigmoid(x @ W_fade) ** 0.0625).reshape(steps, batch, heads, -1)

        def step(S: Any, now: tuple[Any, ...]) -> tuple[Any, Any]:
            q_t, k_t, v_t, fade_t = now
            S = fade_t[..., None] * S + k_t[..., None] * v_t[..., None, :]
            return S, jnp.einsum("bhk,bhkv->bhv", q_t, S)

        start = jnp.zeros((batch, heads, q.shape[3], v.shape[3]))
        o = lax.scan(step, start, (q, k, v, fade))[1]
        return ((o.reshape(steps, batch, -1) @ W_out - target) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _gated_attention_tuned(x: Any, target: Any, *weights: Any, heads: int) -> list[Any]:
    """Chunks of 16 words (the same paper, section 4): products within a chunk, all chunks at once, and a loop over
    chunks for the memory."""
    steps, batch, _ = x.shape
    size = 16
    chunks = -(-steps // size)
    late = chunks * size - steps
    earlier = np.tril(np.ones((size, size), bool))

    def chunked(array: Any) -> Any:
        padded = jnp.pad(array, ((0, late), (0, 0), (0, 0)))
        return padded.reshape(chunks, size, batch, heads, -1).transpose(0, 2, 3, 1, 4)

    def cost(weights: Any) -> Any:
        W_q, W_k, W_v, W_fade, W_out = weights
        q, k, v = (chunked(x @ W) for W in (W_q, W_k, W_v))
        total = jnp.cumsum(chunked(jax.nn.log_sigmoid(x @ W_fade) * 0.0625), axis=3)
        q = q * jnp.exp(total)
        weight = jnp.where(earlier, q @ (k * jnp.exp(-total)).swapaxes(3, 4), 0.0)
        last = total[:, :, :, -1:]
        new = (k * jnp.exp(last - total)).swapaxes(3, 4) @ v
        fade = jnp.exp(last).swapaxes(3, 4)

        def step(S: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
            fade_c, new_c = now
            return fade_c * S + new_c, S

        start = jnp.zeros(new.shape[1:])
        o = weight @ v + q @ lax.scan(step, start, (fade, new))[1]
        o = o.transpose(0, 3, 1, 2, 4).reshape(chunks * size, batch, -1)[:steps]
        return ((o @ W_out - target) ** 2).mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _events(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, batch, samples = scale.steps(100, quick=5), scale.pick(16, quick=2), scale.pick(5, quick=3)
    units, kinds = scale.pick((64, 8), quick=(4, 3))
    event = rng.integers(0, kinds, (steps + 1, batch)).astype("int32")
    wait = rng.exponential(size=(steps, batch)).astype("float32")
    share = ((np.arange(samples) + rng.random((steps, batch, samples))) / samples).astype("float32")
    weights = (
        rng.normal(size=(kinds, units)).astype("float32"),
        *(_weights(rng, units, 7 * units) for _ in range(2)),
        0.1 * rng.normal(size=7 * units).astype("float32"),
        _weights(rng, units, kinds),
    )
    return inputs(event[:-1], event[1:], wait, share, *weights)


def _event_network(event: Any, following: Any, wait: Any, share: Any, *weights: Any) -> list[Any]:
    def cost(weights: Any) -> Any:
        embedding, W, U, b, W_out = weights
        units = len(U)

        def step(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, Any]:
            h, c, level = carry
            event_t, next_t, wait_t, share_t = now
            inner = jnp.split(embedding[event_t] @ W + h @ U + b, 7, axis=1)
            gate = [sigmoid(one) for one in inner[:5]]
            new, decay = jnp.tanh(inner[5]), softplus(inner[6])
            c = gate[0] * new + gate[1] * c
            level = gate[2] * new + gate[3] * level

            def later(time: Any) -> tuple[Any, Any]:
                then = level + (c - level) * jnp.exp(-decay * time)
                return then, gate[4] * jnp.tanh(then)

            between = jax.vmap(lambda time: later(time[:, None])[1], in_axes=1, out_axes=1)(wait_t[:, None] * share_t)
            total = softplus(between @ W_out).sum(axis=2).mean(axis=1) * wait_t
            c, h = later(wait_t[:, None])
            rate = jnp.take_along_axis(softplus(h @ W_out), next_t[:, None], axis=1)[:, 0]
            return (h, c, level), total - jnp.log(rate)

        zeros = jnp.zeros((event.shape[1], units))
        return lax.scan(step, (zeros, zeros, zeros), (event, following, wait, share))[1].mean()

    value, slopes = jax.value_and_grad(cost)(weights)
    return [value, *slopes]


def _event_network_tuned(event: Any, following: Any, wait: Any, share: Any, *weights: Any) -> list[Any]:
    """A row of a table for what an event gives; intensities of all times after the loop; the gradient of the matrix of
    the loop as one product after the way back."""
    embedding, W, U, b, W_out = weights
    units = len(U)
    table = embedding @ W + b

    def cost(given: Any, W_out: Any) -> Any:
        def step(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[Any, Any]:
            h, c, level = carry
            given_t, wait_t = now
            inner = given_t + h @ U
            gates = sigmoid(inner[:, : 5 * units])
            new, decay = jnp.tanh(inner[:, 5 * units : 6 * units]), softplus(inner[:, 6 * units :])
            c = gates[:, :units] * new + gates[:, units : 2 * units] * c
            level = gates[:, 2 * units : 3 * units] * new + gates[:, 3 * units : 4 * units] * level
            apart, shown = c - level, gates[:, 4 * units :]
            c = level + apart * jnp.exp(-decay * wait_t[:, None])
            h = shown * jnp.tanh(c)
            return (h, c, level), (h, level, apart, decay, shown)

        zeros = jnp.zeros((event.shape[1], units))
        h, *state = lax.scan(step, (zeros, zeros, zeros), (given, wait))[1]
        level, apart, decay, shown = (one[:, :, None] for one in state)
        between = shown * jnp.tanh(level + apart * jnp.exp(-decay * (wait[:, :, None] * share)[..., None]))
        total = softplus(between @ W_out).sum(axis=3).mean(axis=2) * wait
        rate = softplus(jnp.take_along_axis(h @ W_out, following[:, :, None], axis=2)[:, :, 0])
        return (total - jnp.log(rate)).mean(), h

    (value, h), (of_given, of_out) = jax.value_and_grad(cost, argnums=(0, 1), has_aux=True)(table[event], W_out)
    of_u = jnp.einsum("tbi,tbj->ij", h[:-1], of_given[1:])
    of_table = jnp.zeros_like(table).at[event].add(of_given)
    return [value, of_table @ W.T, embedding.T @ of_table, of_u, of_table.sum(axis=0), of_out]


WORKLOADS = (
    task(
        "neural-automaton-grad",
        "32 by 32 cells of 16 numbers that grow a picture by a network in 32 steps, with gradients",
        messages.neural_automaton,
        _seed,
        _neural_automaton,
        _neural_automaton_tuned,
        close(1e-3),
    ),
    task(
        "gated-graph-grad",
        "16 graphs of 20 nodes with 64 gated units each that hear their neighbours 6 times, with gradients",
        messages.gated_graph,
        _molecules,
        _gated_graph,
        _gated_graph_tuned,
        close(1e-3),
    ),
    task(
        "gated-attention-grad",
        "linear attention of 4 heads whose memories fade, T=256, batch 4, with gradients",
        messages.gated_attention,
        _words,
        _gated_attention,
        _gated_attention_tuned,
        close(1e-3),
    ),
    task(
        "event-network-grad",
        "100 events of 8 kinds by an LSTM layer of 64 units that decay in between, batch 16, with gradients",
        messages.event_network,
        _events,
        _event_network,
        _event_network_tuned,
        close(1e-3),
    ),
)
