"""The guide's recurrent network.

``x(t) = tanh(W x(t-1) + W_in_1 u(t) + W_in_2 u(t-4) + W_feedback y(t-1))`` and ``y(t) = W_out x(t-3)``.
"""

# ruff: noqa: N803, N806 - arrays have the names that the guide gives them

from __future__ import annotations

from typing import Any


def rnn_taps(aesara: Any, gradient: bool) -> Any:
    """``x`` and ``y`` from ``u``, ``x0``, ``y0`` and five matrices, or the gradient of ``sum(y**2)`` in these."""
    at = aesara.tensor
    W, W_in_1, W_in_2, W_feedback, W_out = matrices = [at.fmatrix() for _ in range(5)]
    u, x0, y0 = at.fmatrix("u"), at.fmatrix("x0"), at.fvector("y0")

    def one_step(
        u_tm4: Any,
        u_t: Any,
        x_tm3: Any,
        x_tm1: Any,
        y_tm1: Any,
        W: Any,
        W_in_1: Any,
        W_in_2: Any,
        W_feedback: Any,
        W_out: Any,
    ) -> list[Any]:
        x_t = at.tanh(at.dot(x_tm1, W) + at.dot(u_t, W_in_1) + at.dot(u_tm4, W_in_2) + at.dot(y_tm1, W_feedback))
        return [x_t, at.dot(x_tm3, W_out)]

    (x_vals, y_vals), updates = aesara.scan(
        fn=one_step,
        sequences={"input": u, "taps": [-4, -0]},
        outputs_info=[{"initial": x0, "taps": [-3, -1]}, y0],
        non_sequences=[W, W_in_1, W_in_2, W_feedback, W_out],
    )
    outputs = aesara.grad((y_vals**2).sum(), matrices) if gradient else [x_vals, y_vals]
    return aesara.function([u, x0, y0, *matrices], outputs, updates=updates)
