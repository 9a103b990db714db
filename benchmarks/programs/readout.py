"""Recurrent network whose input and output products are independent of the recurrence."""

# ruff: noqa: N803, N806 - arrays have the names that the guide gives them

from __future__ import annotations

from typing import Any


def readout(aesara: Any) -> Any:
    """``y(t) = h(t) W_out`` with ``h(t) = tanh(h(t-1) W + x(t) W_in)``, from ``x``, ``W_in``, ``W`` and ``W_out``."""
    at = aesara.tensor
    x, W_in, W, W_out = at.fmatrix("x"), at.fmatrix("W_in"), at.fmatrix("W"), at.fmatrix("W_out")

    def step(x_t: Any, h_tm1: Any, W_in: Any, W: Any, W_out: Any) -> list[Any]:
        h_t = at.tanh(at.dot(h_tm1, W) + at.dot(x_t, W_in))
        return [h_t, at.dot(h_t, W_out)]

    (_, y), updates = aesara.scan(
        fn=step, sequences=x, outputs_info=[at.zeros_like(W[0]), None], non_sequences=[W_in, W, W_out]
    )
    return aesara.function([x, W_in, W, W_out], y, updates=updates)
