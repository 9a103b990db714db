"""Networks whose cells, nodes, words and events hear of each other, float32."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

ALIVE = 0.125


def neural_automaton(aesara: Any, steps: int) -> Any:
    """Squared error of the picture that a cellular automaton grows, whose rule is a small network of what a cell and
    its slopes are (Mordvintsev, Randazzo, Niklasson and Levin 2020), and its gradient. ``start (row, column,
    channel)``; the first four channels are the picture, and cells live near a fourth channel above ``ALIVE``."""
    at = aesara.tensor
    start, target = at.ftensor3("start"), at.ftensor3("target")
    weights = W_in, b, W_out = [at.fmatrix("W_in"), at.fvector("b"), at.fmatrix("W_out")]

    def smooth(x: Any, axis: int) -> Any:
        return (at.roll(x, 1, axis=axis) + 2 * x + at.roll(x, -1, axis=axis)) / 4

    def slope(x: Any, axis: int) -> Any:
        return (at.roll(x, -1, axis=axis) - at.roll(x, 1, axis=axis)) / 2

    def largest(x: Any, axis: int) -> Any:
        return at.maximum(at.maximum(at.roll(x, 1, axis=axis), x), at.roll(x, -1, axis=axis))

    def step(x: Any) -> Any:
        seen = at.concatenate([x, slope(smooth(x, 0), 1), slope(smooth(x, 1), 0)], axis=2)
        x = x + at.dot(at.maximum(at.dot(seen, W_in) + b, 0), W_out)
        alive = largest(largest(x[:, :, 3], 0), 1) > ALIVE
        return x * at.cast(alive, "float32").dimshuffle(0, 1, "x")

    x, updates = aesara.scan(step, outputs_info=start, n_steps=steps)
    cost = ((x[-1][:, :, :4] - target) ** 2).mean()
    return aesara.function([start, target, *weights], [cost, *aesara.grad(cost, weights)], updates=updates)


def gated_graph(aesara: Any, steps: int, graphs: int) -> Any:
    """Squared error of a value of each graph, by gated units at nodes that hear their neighbours through a matrix for
    each type of edge (Li, Tarlow, Brockschmidt and Zemel 2016), and its gradient. ``x (node, width)`` are first
    states, ``graph`` the graph of each node; edges go from ``source`` to ``end`` with a ``kind``."""
    at = aesara.tensor
    x, target = at.fmatrix("x"), at.fvector("target")
    source, end, kind, graph = (at.ivector(name) for name in ("source", "end", "kind", "graph"))
    names = ("W_edge", "W", "U", "b", "w_out")
    weights = W_edge, W, U, b, w_out = [at.fvector(n) if n in ("b", "w_out") else at.fmatrix(n) for n in names]
    nodes, units = x.shape[0], x.shape[1]

    def step(h: Any) -> Any:
        said = at.dot(h, W_edge).reshape((nodes, -1, units))[source, kind]
        heard = at.inc_subtensor(at.zeros_like(h)[end], said)
        given = at.dot(heard, W) + b
        gates = at.sigmoid(given[:, : 2 * units] + at.dot(h, U[:, : 2 * units]))
        reset, update = gates[:, :units], gates[:, units:]
        new = at.tanh(given[:, 2 * units :] + at.dot(reset * h, U[:, 2 * units :]))
        return (1 - update) * h + update * new

    h, updates = aesara.scan(step, outputs_info=x, n_steps=steps)
    each = at.dot(at.concatenate([h[-1], x], axis=1), w_out)
    value = at.inc_subtensor(at.zeros((graphs,), dtype="float32")[graph], each)
    cost = ((value - target) ** 2).mean()
    arguments = [x, target, source, end, kind, graph, *weights]
    return aesara.function(arguments, [cost, *aesara.grad(cost, weights)], updates=updates)


def gated_attention(aesara: Any, heads: int) -> Any:
    """Squared error of linear attention whose memory, a matrix for each head, fades at a rate of each row that depends
    on the word (Yang, Wang, Shen, Panda and Kim 2024), and its gradient. ``x (time, batch, width)``."""
    at = aesara.tensor
    x, target = at.ftensor3("x"), at.ftensor3("target")
    names = ("W_q", "W_k", "W_v", "W_fade", "W_out")
    weights = W_q, W_k, W_v, W_fade, W_out = [at.fmatrix(name) for name in names]
    steps, batch = x.shape[0], x.shape[1]

    def split(array: Any) -> Any:
        return array.reshape((steps, batch, heads, -1))

    q, k, v = (split(at.dot(x, W)) for W in (W_q, W_k, W_v))
    fade = split(at.sigmoid(at.dot(x, W_fade)) ** 0.0625)

    def step(q_t: Any, k_t: Any, v_t: Any, fade_t: Any, S: Any) -> list[Any]:
        S = fade_t.dimshuffle(0, 1, 2, "x") * S + k_t.dimshuffle(0, 1, 2, "x") * v_t.dimshuffle(0, 1, "x", 2)
        return [S, (q_t.dimshuffle(0, 1, 2, "x") * S).sum(axis=2)]

    start = at.zeros((batch, heads, q.shape[3], v.shape[3]), dtype="float32")
    (_, o), updates = aesara.scan(step, sequences=[q, k, v, fade], outputs_info=[start, None])
    cost = ((at.dot(o.reshape((steps, batch, -1)), W_out) - target) ** 2).mean()
    return aesara.function([x, target, *weights], [cost, *aesara.grad(cost, weights)], updates=updates)


def event_network(aesara: Any) -> Any:
    """Negative log-likelihood of events of some kinds by an LSTM layer whose cells decay to a level between events (Mei
    and Eisner 2017), and its gradient. ``wait (time, batch)`` is the time after an event until the next, whose number
    is ``following``; the integral of intensities is a mean at ``share (time, batch, sample)`` of the wait."""
    at = aesara.tensor
    event, following, wait, share = (
        at.imatrix("event"),
        at.imatrix("following"),
        at.fmatrix("wait"),
        at.ftensor3("share"),
    )
    names = ("embedding", "W", "U", "b", "W_out")
    weights = embedding, W, U, b, W_out = [at.fvector(name) if name == "b" else at.fmatrix(name) for name in names]
    units = U.shape[0]
    batch = at.arange(event.shape[1])

    def step(event_t: Any, next_t: Any, wait_t: Any, share_t: Any, h: Any, c: Any, level: Any) -> list[Any]:
        inner = at.dot(embedding[event_t], W) + at.dot(h, U) + b
        gate = [at.sigmoid(inner[:, k * units : (k + 1) * units]) for k in range(5)]
        new = at.tanh(inner[:, 5 * units : 6 * units])
        decay = at.softplus(inner[:, 6 * units :])
        c = gate[0] * new + gate[1] * c
        level = gate[2] * new + gate[3] * level

        def later(time: Any, level: Any, c: Any, decay: Any, shown: Any) -> tuple[Any, Any]:
            c = level + (c - level) * at.exp(-decay * time)
            return c, shown * at.tanh(c)

        state = [level, c, decay, gate[4]]
        times = (wait_t.dimshuffle(0, "x") * share_t).dimshuffle(0, 1, "x")
        _, between = later(times, *[one.dimshuffle(0, "x", 1) for one in state])
        total = at.softplus(at.dot(between, W_out)).sum(axis=2).mean(axis=1) * wait_t
        c, h = later(wait_t.dimshuffle(0, "x"), *state)
        rate = at.softplus(at.dot(h, W_out))[batch, next_t]
        return [h, c, level, total - at.log(rate)]

    zeros = at.zeros((event.shape[1], units), dtype="float32")
    sequences, start = [event, following, wait, share], [zeros, zeros, zeros, None]
    (_, _, _, terms), updates = aesara.scan(step, sequences=sequences, outputs_info=start)
    cost = terms.mean()
    arguments = [event, following, wait, share, *weights]
    return aesara.function(arguments, [cost, *aesara.grad(cost, weights)], updates=updates)
