"""Long short-term memory with four gates, each with its own matrices."""

# ruff: noqa: N806 - arrays have the names that the guide gives them

from __future__ import annotations

from typing import Any


def lstm(aesara: Any, gradient: bool) -> Any:
    """``h`` from ``x`` and the gates' ``W``, ``U`` and ``b``, or the gradient of the last ``h``'s sum of squares."""
    at = aesara.tensor
    x = at.tensor3("x", dtype="float32")
    W, U = [at.fmatrix() for _ in range(4)], [at.fmatrix() for _ in range(4)]
    b = [at.fvector() for _ in range(4)]
    weights = [*W, *U, *b]

    def one_step(x_t: Any, h_tm1: Any, c_tm1: Any, *weights: Any) -> list[Any]:
        W, U, b = weights[:4], weights[4:8], weights[8:]
        i, f, o, g = (at.dot(x_t, W[k]) + at.dot(h_tm1, U[k]) + b[k] for k in range(4))
        c_t = at.sigmoid(f) * c_tm1 + at.sigmoid(i) * at.tanh(g)
        return [at.sigmoid(o) * at.tanh(c_t), c_t]

    start = at.zeros((x.shape[1], U[0].shape[0]), dtype="float32")
    (h, _), updates = aesara.scan(fn=one_step, sequences=x, outputs_info=[start, start], non_sequences=weights)
    outputs = aesara.grad((h[-1] ** 2).sum(), weights) if gradient else h
    return aesara.function([x, *weights], outputs, updates=updates)
