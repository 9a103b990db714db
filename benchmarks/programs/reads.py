"""Recurrence ``h = tanh(a * h + u(t))`` with few of its steps read."""

from __future__ import annotations

from typing import Any

STEP, SLICE, STRIDE = 100, slice(1_000, 1_100), 50
"""Reads: a single step, a slice of steps, every n-th step, and reductions."""


def reads(aesara: Any, what: str) -> Any:
    """The read of ``h`` with this name in ``READ``, from ``a (units,)``, ``u (T, units)`` and ``weights (T,)``."""
    at = aesara.tensor
    a, u, weights = at.fvector("a"), at.fmatrix("u"), at.fvector("weights")
    h, updates = aesara.scan(
        fn=lambda u_t, h_tm1, a: at.tanh(a * h_tm1 + u_t),
        sequences=u,
        outputs_info=at.zeros_like(u[0]),
        non_sequences=a,
    )
    return aesara.function([a, u, weights], READ[what](at, h, weights), updates=updates, on_unused_input="ignore")


READ = {
    "read-step": lambda at, h, weights: h[STEP],
    "read-slice": lambda at, h, weights: h[SLICE],
    "read-stride": lambda at, h, weights: h[::STRIDE],
    "reduce-sum": lambda at, h, weights: h.sum(axis=0),
    "reduce-logsumexp": lambda at, h, weights: at.logsumexp(h, axis=0),
    "reduce-argmax": lambda at, h, weights: at.argmax(h, axis=0),
    "reduce-dot": lambda at, h, weights: at.dot(weights, h),
}
