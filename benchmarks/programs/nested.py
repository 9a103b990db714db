"""Nested loops: each state is the solution of an equation, found by fixed-point iteration."""

# ruff: noqa: N803, N806 - arrays have the names that the guide gives them

from __future__ import annotations

from typing import Any


def nested(aesara: Any, inner: int) -> Any:
    """All ``x(t)``, where ``x(t) = tanh(x(t) W + x(t-1) + u(t))`` after ``inner`` iterations, of ``u`` and ``W``."""
    at = aesara.tensor
    u, W = at.fmatrix("u"), at.fmatrix("W")

    def outer(u_t: Any, x_tm1: Any, W: Any) -> Any:
        into = x_tm1 + u_t
        found, _ = aesara.scan(
            fn=lambda x, into, W: at.tanh(at.dot(x, W) + into),
            outputs_info=x_tm1,
            non_sequences=[into, W],
            n_steps=inner,
        )
        return found[-1]

    x, updates = aesara.scan(fn=outer, sequences=u, outputs_info=at.zeros_like(u[0]), non_sequences=W)
    return aesara.function([u, W], x, updates=updates)
