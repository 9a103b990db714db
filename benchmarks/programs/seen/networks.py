"""Recurrent networks and layers, float32."""

# ruff: noqa: N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

STEP = 0.125
"""Step of the solver."""


def peepholes(aesara: Any) -> Any:
    """Cost of an LSTM layer whose gates see the cell (Gers, Schraudolph and Schmidhuber 2002) and its gradients in
    input and recurrent weights and in the peepholes ``p (3, units)``."""
    at = aesara.tensor
    x, W, U, p = at.ftensor3("x"), at.fmatrix("W"), at.fmatrix("U"), at.fmatrix("p")
    n = U.shape[0]

    def step(x_t: Any, h: Any, c: Any) -> list[Any]:
        inner = at.dot(x_t, W) + at.dot(h, U)
        taken = at.sigmoid(inner[:, :n] + p[0] * c)
        kept = at.sigmoid(inner[:, n : 2 * n] + p[1] * c)
        c = kept * c + taken * at.tanh(inner[:, 2 * n : 3 * n])
        shown = at.sigmoid(inner[:, 3 * n :] + p[2] * c)
        return [shown * at.tanh(c), c]

    start = at.zeros((x.shape[1], n), dtype="float32")
    (h, _), updates = aesara.scan(step, sequences=x, outputs_info=[start, start])
    cost = (h**2).mean()
    return aesara.function([x, W, U, p], [cost, *aesara.grad(cost, [W, U, p])], updates=updates)


def neural_ode(aesara: Any, steps: int) -> Any:
    """Cost of the end of a neural differential equation, solved by Runge-Kutta steps, and its gradients (Chen et al.
    2018)."""
    at = aesara.tensor
    start, target = at.fmatrix("start"), at.fmatrix("target")
    W, b, V = weights = [at.fmatrix("W"), at.fvector("b"), at.fmatrix("V")]

    def slope(x: Any) -> Any:
        return at.dot(at.tanh(at.dot(x, W) + b), V)

    def step(x: Any) -> Any:
        k1 = slope(x)
        k2 = slope(x + STEP / 2 * k1)
        k3 = slope(x + STEP / 2 * k2)
        k4 = slope(x + STEP * k3)
        return x + (k1 + 2 * k2 + 2 * k3 + k4) * STEP / 6

    x, updates = aesara.scan(step, outputs_info=start, n_steps=steps)
    cost = ((x[-1] - target) ** 2).mean()
    return aesara.function([start, target, *weights], [cost, *aesara.grad(cost, weights)], updates=updates)


def decoder(aesara: Any, most: int) -> Any:
    """Words of a decoder that attends to ``memory`` (Bahdanau, Cho and Bengio 2015), the best at each step, until word
    0; their number and their log-probability. ``ending`` is added to the score of word 0 with every step."""
    at = aesara.tensor
    memory, embedding, W, U, C, out = (at.fmatrix(name) for name in ("memory", "embedding", "W", "U", "C", "out"))
    ending = at.fvector("ending")

    def step(late: Any, word: Any, h: Any) -> Any:
        context = at.dot(at.special.softmax(at.dot(memory, h), axis=-1), memory)
        h = at.tanh(at.dot(embedding[word], W) + at.dot(h, U) + at.dot(context, C))
        scores = at.dot(h, out)
        scores = at.inc_subtensor(scores[0], late)
        word = at.cast(at.argmax(scores), "int32")
        return [word, h, scores[word] - at.logsumexp(scores)], until(aesara, at.eq(word, 0))

    first, zeros = at.ones((), dtype="int32"), at.zeros((U.shape[0],), dtype="float32")
    (word, _, term), updates = aesara.scan(step, sequences=ending, outputs_info=[first, zeros, None], n_steps=most)
    padded = at.zeros((most,), dtype="int32")
    padded = at.set_subtensor(padded[: word.shape[0]], word)
    outputs = [padded, at.cast(word.shape[0], "int32"), term.sum()]
    return aesara.function([memory, embedding, W, U, C, out, ending], outputs, updates=updates)


def dilated(aesara: Any, layers: int) -> Any:
    """Samples that a stack of dilated causal layers generates, each from the last (van den Oord et al. 2016): layer
    ``l`` sees what is below it now and ``2**l`` steps before."""
    at = aesara.tensor
    noise, into, out = at.fvector("noise"), at.fvector("into"), at.fvector("out")
    W, V = at.ftensor3("W"), at.ftensor3("V")

    def step(e: Any, *before: Any) -> list[Any]:
        sample, past = before[0], before[1:]
        h = at.tanh(sample * into)
        below = []
        for layer in range(layers):
            below.append(h)
            h = h + at.tanh(at.dot(h, W[layer]) + at.dot(past[layer], V[layer]))
        return [at.tanh(at.dot(h, out)) + e, *below]

    width = into.shape[0]
    states = [at.zeros((width,), dtype="float32")]
    for layer in range(1, layers):
        states.append({"initial": at.zeros((2**layer, width), dtype="float32"), "taps": [-(2**layer)]})
    first = at.zeros((), dtype="float32")
    (sample, *_), updates = aesara.scan(step, sequences=noise, outputs_info=[first, *states])
    return aesara.function([noise, into, out, W, V], sample, updates=updates)
