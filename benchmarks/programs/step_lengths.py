"""Nested loops whose inner lengths differ from step to step."""

# ruff: noqa: N803, N806 - arrays have the names that the field gives them

from __future__ import annotations

from typing import Any


def double_loop(aesara: Any) -> Any:
    """For each ``i``, the last ``s = tanh(0.5 s + x[i] x[j])`` over ``j <= i``; ``x (n,)``."""
    at = aesara.tensor
    x = at.fvector("x")

    def outer(i: Any, x_i: Any, x: Any) -> Any:
        s, _ = aesara.scan(
            fn=lambda x_j, s, x_i: at.tanh(0.5 * s + x_i * x_j),
            sequences=x[: i + 1],
            outputs_info=at.zeros((), dtype="float32"),
            non_sequences=x_i,
        )
        return s[-1]

    last, updates = aesara.scan(fn=outer, sequences=[at.arange(x.shape[0]), x], non_sequences=x)
    return aesara.function([x], last, updates=updates)


def attention(aesara: Any) -> Any:
    """All ``h(t)``: a recurrence that attends to the rows ``tape[:t + 1]`` read so far.

    Inputs are ``tape (T, n)`` and ``W (n, n)``; ``h(t) = tanh(softmax(tape[:t + 1] h(t-1)) tape[:t + 1] + h(t-1) W)``.
    """
    at = aesara.tensor
    tape, W = at.fmatrix("tape"), at.fmatrix("W")

    def step(t: Any, h: Any, tape: Any, W: Any) -> Any:
        seen = tape[: t + 1]
        scores = at.dot(seen, h)
        weights = at.exp(scores - scores.max())
        return at.tanh(at.dot(weights / weights.sum(), seen) + at.dot(h, W))

    h, updates = aesara.scan(
        fn=step, sequences=at.arange(tape.shape[0]), outputs_info=at.zeros_like(tape[0]), non_sequences=[tape, W]
    )
    return aesara.function([tape, W], h, updates=updates)


def alignment(aesara: Any) -> Any:
    """Log-likelihood of monotonic alignments of ragged pairs, summed, and its gradient.

    Of pair ``b``, ``frames[b]`` rows and ``labels[b]`` columns of ``scores (pairs, frames, labels)`` count. Each frame
    keeps the label of the frame before or goes on to the next one; the last frame has the last label.
    """
    at = aesara.tensor
    scores = at.tensor3("scores", dtype="float32")
    frames, labels = at.ivector("frames"), at.ivector("labels")
    impossible = -1e9

    def pair(score: Any, n_frames: Any, n_labels: Any) -> Any:
        start = at.set_subtensor(at.full((score.shape[1],), impossible, dtype="float32")[0], score[0, 0])

        def frame(row: Any, alpha: Any) -> Any:
            before = at.set_subtensor(at.full_like(alpha, impossible)[1:], alpha[:-1])
            return at.logaddexp(alpha, before) + row

        alpha, _ = aesara.scan(fn=frame, sequences=score[1:n_frames], outputs_info=start)
        return alpha[-1, n_labels - 1]

    found, updates = aesara.map(pair, [scores, frames, labels])
    total = found.sum()
    return aesara.function([scores, frames, labels], [total, aesara.grad(total, scores)], updates=updates)


def newton(aesara: Any) -> Any:
    """All ``v(t)``: cube roots of ``a(t)``, of which step ``t`` does ``k(t)`` Newton iterations from ``v(t-1)``."""
    at = aesara.tensor
    a, k = at.fmatrix("a"), at.ivector("k")

    def step(a_t: Any, k_t: Any, v: Any) -> Any:
        found, _ = aesara.scan(
            fn=lambda v, a_t: v - (v**3 - a_t) / (3 * v**2), outputs_info=v, non_sequences=a_t, n_steps=k_t
        )
        return found[-1]

    v, updates = aesara.scan(fn=step, sequences=[a, k], outputs_info=at.ones_like(a[0]))
    return aesara.function([a, k], v, updates=updates)


def minibatches(aesara: Any, batch: int) -> Any:
    """Sum of the losses of a network over minibatches ``D[k * batch : (k + 1) * batch]``, and its gradients.

    Inputs are ``D (rows, n)``, ``target (rows,)``, ``W (n, units)`` and ``v (units,)``.
    """
    at = aesara.tensor
    D, target, W, v = at.fmatrix("D"), at.fvector("target"), at.fmatrix("W"), at.fvector("v")

    def loss(k: Any, D: Any, target: Any, W: Any, v: Any) -> Any:
        rows, wanted = D[k * batch : (k + 1) * batch], target[k * batch : (k + 1) * batch]
        return ((at.dot(at.tanh(at.dot(rows, W)), v) - wanted) ** 2).mean()

    losses, updates = aesara.scan(fn=loss, sequences=at.arange(D.shape[0] // batch), non_sequences=[D, target, W, v])
    total = losses.sum()
    return aesara.function([D, target, W, v], [total, *aesara.grad(total, [W, v])], updates=updates)
