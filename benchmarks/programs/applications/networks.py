"""Recurrent networks and layers, float32."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

LEAK, THRESHOLD, SHARPNESS = 0.875, 1.0, 4.0
RATE, BETA_1, BETA_2, EPSILON = 2.0**-7, 0.875, 1 - 2.0**-7, 2.0**-20


def spiking(aesara: Any) -> Any:
    """Cost of a recurrent network of leaky integrate-and-fire units and its gradients in both weights; the gradient of
    a spike is that of a sigmoid (Neftci, Mostafa and Zenke 2019)."""
    at = aesara.tensor
    x, target, W, U = at.ftensor3("x"), at.fmatrix("target"), at.fmatrix("W"), at.fmatrix("U")

    def spike(potential: Any) -> Any:
        smooth = at.sigmoid(SHARPNESS * (potential - THRESHOLD))
        return smooth + aesara.gradient.disconnected_grad(at.cast(potential > THRESHOLD, "float32") - smooth)

    def step(x_t: Any, potential: Any, spikes: Any) -> list[Any]:
        potential = LEAK * potential * (1 - spikes) + at.dot(x_t, W) + at.dot(spikes, U)
        return [potential, spike(potential)]

    start = at.zeros((x.shape[1], U.shape[0]), dtype="float32")
    (_, spikes), updates = aesara.scan(step, sequences=x, outputs_info=[start, start])
    cost = ((spikes.mean(axis=0) - target) ** 2).mean()
    return aesara.function([x, target, W, U], [cost, *aesara.grad(cost, [W, U])], updates=updates)


def gru(aesara: Any) -> Any:
    """Cost of a gated recurrent unit's states and its gradients in input and recurrent weights (Cho et al. 2014)."""
    at = aesara.tensor
    x, W, U = at.ftensor3("x"), at.fmatrix("W"), at.fmatrix("U")
    n = U.shape[0]

    def step(x_t: Any, h: Any) -> Any:
        inner = at.dot(x_t, W)
        gates = at.sigmoid(inner[:, : 2 * n] + at.dot(h, U[:, : 2 * n]))
        update, reset = gates[:, :n], gates[:, n:]
        new = at.tanh(inner[:, 2 * n :] + at.dot(reset * h, U[:, 2 * n :]))
        return update * h + (1 - update) * new

    start = at.zeros((x.shape[1], n), dtype="float32")
    h, updates = aesara.scan(step, sequences=x, outputs_info=start)
    cost = (h**2).mean()
    return aesara.function([x, W, U], [cost, *aesara.grad(cost, [W, U])], updates=updates)


def minimal_unit(aesara: Any) -> Any:
    """Last state of a minimal gated unit (Zhou et al. 2016)."""
    at = aesara.tensor
    x, Wf, Uf, Wh, Uh = at.ftensor3("x"), *(at.fmatrix(name) for name in ("Wf", "Uf", "Wh", "Uh"))

    def step(x_t: Any, h: Any) -> Any:
        forget = at.sigmoid(at.dot(x_t, Wf) + at.dot(h, Uf))
        return (1 - forget) * h + forget * at.tanh(at.dot(x_t, Wh) + at.dot(forget * h, Uh))

    start = at.zeros((x.shape[1], Uf.shape[0]), dtype="float32")
    h, updates = aesara.scan(step, sequences=x, outputs_info=start)
    return aesara.function([x, Wf, Uf, Wh, Uh], h[-1], updates=updates)


def linear_unit(aesara: Any) -> Any:
    """Outputs of a linear recurrent unit (Orvieto et al. 2023): a complex diagonal recurrence in real numbers."""
    at = aesara.tensor
    x, log_decay, angle = at.fmatrix("x"), at.fvector("log_decay"), at.fvector("angle")
    B, B_i, C, C_i = (at.fmatrix(name) for name in ("B", "B_i", "C", "C_i"))

    def step(x_t: Any, real: Any, imaginary: Any) -> list[Any]:
        decay = at.exp(-at.exp(log_decay))
        a, b = decay * at.cos(angle), decay * at.sin(angle)
        scale = at.sqrt(1 - decay**2)
        return [
            a * real - b * imaginary + scale * at.dot(x_t, B),
            b * real + a * imaginary + scale * at.dot(x_t, B_i),
        ]

    start = at.zeros_like(angle)
    (real, imaginary), updates = aesara.scan(step, sequences=x, outputs_info=[start, start])
    y = at.dot(real, C) - at.dot(imaginary, C_i)
    return aesara.function([x, log_decay, angle, B, B_i, C, C_i], y, updates=updates)


def selective(aesara: Any) -> Any:
    """Cost of a selective state-space layer and its gradients (Gu and Dao 2023): ``x (T, d)``, states ``(d, n)``."""
    at = aesara.tensor
    x, A, W = at.fmatrix("x"), at.fmatrix("A"), at.fmatrix("W")
    B, C = at.fmatrix("B"), at.fmatrix("C")

    def step(x_t: Any, h: Any) -> list[Any]:
        delta = at.softplus(at.dot(x_t, W))
        decay = at.exp(-delta.dimshuffle(0, "x") * at.exp(A))
        h = decay * h + (delta * x_t).dimshuffle(0, "x") * at.dot(x_t, B)
        return [h, at.dot(h, at.dot(x_t, C))]

    (_, y), updates = aesara.scan(step, sequences=x, outputs_info=[at.zeros_like(A), None])
    cost = (y**2).mean()
    return aesara.function([x, A, W, B, C], [cost, *aesara.grad(cost, [A, W, B, C])], updates=updates)


def memory(aesara: Any) -> Any:
    """Outputs of attention over all steps so far; keys and values are written into a memory."""
    at = aesara.tensor
    x, Q, K, V = at.fmatrix("x"), at.fmatrix("Q"), at.fmatrix("K"), at.fmatrix("V")
    steps, width = x.shape[0], Q.shape[1]
    place = at.arange(steps)

    def step(t: Any, x_t: Any, keys: Any, values: Any) -> list[Any]:
        keys = at.set_subtensor(keys[t], at.dot(x_t, K))
        values = at.set_subtensor(values[t], at.dot(x_t, V))
        score = at.switch(place <= t, at.dot(keys, at.dot(x_t, Q)), at.constant(-1e30, dtype="float32"))
        return [keys, values, at.dot(at.special.softmax(score, axis=-1), values)]

    empty = at.zeros((steps, width), dtype="float32")
    (_, _, y), updates = aesara.scan(step, sequences=[place, x], outputs_info=[empty, empty, None])
    return aesara.function([x, Q, K, V], y, updates=updates)


def hopfield(aesara: Any) -> Any:
    """State and energy of a Hopfield network (1982) whose units are updated one at a time."""
    at = aesara.tensor
    W, start, order = at.fmatrix("W"), at.fvector("start"), at.ivector("order")

    def step(i: Any, state: Any) -> Any:
        return at.set_subtensor(state[i], at.switch(at.dot(W[i], state) >= 0, 1, -1).astype("float32"))

    states, updates = aesara.scan(step, sequences=order, outputs_info=start)
    state = states[-1]
    return aesara.function([W, start, order], [state, -at.dot(state, at.dot(W, state)) / 2], updates=updates)


def echo_state(aesara: Any) -> Any:
    """Readout of an echo state network of leaky units (Jaeger 2001)."""
    at = aesara.tensor
    x, W_in, W, readout = at.fmatrix("x"), at.fmatrix("W_in"), at.fmatrix("W"), at.fmatrix("readout")

    def step(x_t: Any, h: Any) -> Any:
        return 0.75 * h + 0.25 * at.tanh(at.dot(x_t, W_in) + at.dot(h, W))

    start = at.zeros((W.shape[0],), dtype="float32")
    h, updates = aesara.scan(step, sequences=x, outputs_info=start)
    return aesara.function([x, W_in, W, readout], at.dot(h, readout), updates=updates)


def delta_rule(aesara: Any) -> Any:
    """Cost of a layer with fast weights that the delta rule writes (Schlag, Irie and Schmidhuber 2021), and its
    gradients."""
    at = aesara.tensor
    x, Q, K, V, b = at.fmatrix("x"), at.fmatrix("Q"), at.fmatrix("K"), at.fmatrix("V"), at.fvector("b")

    def step(x_t: Any, S: Any) -> list[Any]:
        key = at.special.softmax(at.dot(x_t, K), axis=-1)
        value = at.dot(x_t, V)
        write = at.sigmoid(at.dot(x_t, b))
        S = S + at.outer(write * (value - at.dot(S, key)), key)
        return [S, at.dot(S, at.special.softmax(at.dot(x_t, Q), axis=-1))]

    start = at.zeros((V.shape[1], K.shape[1]), dtype="float32")
    (_, y), updates = aesara.scan(step, sequences=x, outputs_info=[start, None])
    cost = (y**2).mean()
    return aesara.function([x, Q, K, V, b], [cost, *aesara.grad(cost, [Q, K, V, b])], updates=updates)


def adam(aesara: Any) -> Any:
    """Costs of a network with one hidden layer while Adam trains it (Kingma and Ba 2015), a minibatch a step."""
    at = aesara.tensor
    x, y, W0, v0 = at.ftensor3("x"), at.fmatrix("y"), at.fmatrix("W0"), at.fvector("v0")

    def step(x_t: Any, y_t: Any, t: Any, *state: Any) -> list[Any]:
        parameters, first, second = state[:2], state[2:4], state[4:]
        W, v = parameters
        cost = ((at.dot(at.tanh(at.dot(x_t, W)), v) - y_t) ** 2).mean()
        slopes = aesara.grad(cost, list(parameters))
        first = [BETA_1 * m + (1 - BETA_1) * g for m, g in zip(first, slopes, strict=True)]
        second = [BETA_2 * s + (1 - BETA_2) * g**2 for s, g in zip(second, slopes, strict=True)]
        rate = RATE * at.sqrt(1 - BETA_2**t) / (1 - BETA_1**t)
        parameters = [
            p - at.cast(rate, "float32") * m / (at.sqrt(s) + EPSILON)
            for p, m, s in zip(parameters, first, second, strict=True)
        ]
        return [*parameters, *first, *second, cost]

    zeros = [at.zeros_like(W0), at.zeros_like(v0)]
    count = at.arange(1, x.shape[0] + 1, dtype="float32")
    found, updates = aesara.scan(step, sequences=[x, y, count], outputs_info=[W0, v0, *zeros, *zeros, None])
    return aesara.function([x, y, W0, v0], found[-1], updates=updates)
