"""Recurrence with a deep tap: ``h(t) = tanh(a h(t-1) + b h(t-depth) + u(t))``."""

from __future__ import annotations

from typing import Any


def deep_taps(aesara: Any, depth: int, gradient: bool) -> Any:
    """``h`` from ``a``, ``b``, ``u`` and ``h0``, or the gradient of ``sum(h**2)`` with respect to ``a`` and ``b``."""
    at = aesara.tensor
    a, b, u, h0 = at.dvector("a"), at.dvector("b"), at.dmatrix("u"), at.dmatrix("h0")
    h, updates = aesara.scan(
        fn=lambda u_t, h_far, h_tm1, a, b: at.tanh(a * h_tm1 + b * h_far + u_t),
        sequences=u,
        outputs_info={"initial": h0, "taps": [-depth, -1]},
        non_sequences=[a, b],
    )
    return aesara.function([a, b, u, h0], aesara.grad((h**2).sum(), [a, b]) if gradient else h, updates=updates)
