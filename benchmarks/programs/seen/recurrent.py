"""Recurrent networks, float32."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

HALT = 0.99


def exponential_gates(aesara: Any) -> Any:
    """Cost of an LSTM layer with exponential gates and its stabilizer (Beck et al. 2024, sLSTM), and its gradients in
    input and recurrent weights and biases."""
    at = aesara.tensor
    x, W, U, b = at.ftensor3("x"), at.fmatrix("W"), at.fmatrix("U"), at.fvector("b")
    n = U.shape[0]

    def step(x_t: Any, h: Any, c: Any, norm: Any, most: Any) -> list[Any]:
        inner = at.dot(x_t, W) + at.dot(h, U) + b
        enters, stays = inner[:, :n], inner[:, n : 2 * n] + most
        most = at.maximum(enters, stays)
        enters, stays = at.exp(enters - most), at.exp(stays - most)
        c = stays * c + enters * at.tanh(inner[:, 2 * n : 3 * n])
        norm = stays * norm + enters
        return [at.sigmoid(inner[:, 3 * n :]) * c / norm, c, norm, most]

    start = [at.zeros((x.shape[1], n), dtype="float32")] * 4
    (h, *_), updates = aesara.scan(step, sequences=x, outputs_info=start)
    cost = (h**2).mean()
    return aesara.function([x, W, U, b], [cost, *aesara.grad(cost, [W, U, b])], updates=updates)


def pondering(aesara: Any, most: int) -> Any:
    """States of a network that decides how often it computes at each step, at most ``most`` times, and how often
    (Graves 2016); ``first`` is added where an input is new."""
    at = aesara.tensor
    x, W, U = at.fmatrix("x"), at.fmatrix("W"), at.fmatrix("U")
    first, halt = at.fvector("first"), at.fvector("halt")

    def step(x_t: Any, h: Any) -> list[Any]:
        def ponder(i: Any, h: Any, total: Any, mixed: Any) -> Any:
            h = at.tanh(at.dot(x_t, W) + at.dot(h, U) + at.switch(at.eq(i, 0), first, at.zeros_like(first)))
            stops = at.sigmoid(at.dot(h, halt))
            ends = at.or_(total + stops > HALT, at.eq(i, most - 1))
            mixed = mixed + at.switch(ends, 1 - total, stops) * h
            return [h, total + stops, mixed], until(aesara, ends)

        start = [h, at.zeros((), dtype="float32"), at.zeros_like(h)]
        (_, total, mixed), _ = aesara.scan(ponder, sequences=at.arange(most), outputs_info=start)
        return [mixed[-1], at.cast(total.shape[0], "int32")]

    (h, times), updates = aesara.scan(step, sequences=x, outputs_info=[at.zeros_like(first), None])
    return aesara.function([x, W, U, first, halt], [h, times], updates=updates)


def hierarchical(aesara: Any) -> Any:
    """Cost of gated recurrent units over the words of each sentence, that start from those over the sentences, and its
    gradients in all weights (Sordoni et al. 2015). ``x (sentence, word, batch, width)``."""
    at = aesara.tensor
    x, target = at.ftensor4("x"), at.fmatrix("target")
    weights = W, U, into, W_s, U_s = [at.fmatrix(name) for name in ("W", "U", "into", "W_s", "U_s")]
    n = U.shape[0]

    def cell(x: Any, h: Any, W: Any, U: Any) -> Any:
        of_x, of_h = at.dot(x, W), at.dot(h, U)
        keep = at.sigmoid(of_x[:, :n] + of_h[:, :n])
        reset = at.sigmoid(of_x[:, n : 2 * n] + of_h[:, n : 2 * n])
        return keep * h + (1 - keep) * at.tanh(of_x[:, 2 * n :] + reset * of_h[:, 2 * n :])

    def sentence(x_s: Any, h: Any) -> Any:
        def word(x_t: Any, h: Any) -> Any:
            return cell(x_t, h, W, U)

        words, _ = aesara.scan(word, sequences=x_s, outputs_info=at.tanh(at.dot(h, into)))
        return cell(words[-1], h, W_s, U_s)

    h, updates = aesara.scan(sentence, sequences=x, outputs_info=at.zeros((x.shape[2], n), dtype="float32"))
    cost = ((h[-1] - target) ** 2).mean()
    return aesara.function([x, target, *weights], [cost, *aesara.grad(cost, weights)], updates=updates)
