"""Many elementwise steps: ``h = tanh(h * A) + 0.1 * sin(h)``."""

# ruff: noqa: N803, N806 - arrays have the names that the guide gives them

from __future__ import annotations

from typing import Any


def elementwise(aesara: Any, steps: int, **how: Any) -> Any:
    """Gradient of the last state's sum with respect to ``A`` and ``h0``; ``how`` is passed to ``scan``."""
    at = aesara.tensor
    A, h0 = at.dvector("A"), at.dvector("h0")
    h, updates = aesara.scan(
        fn=lambda h, A: at.tanh(h * A) + 0.1 * at.sin(h), outputs_info=h0, non_sequences=A, n_steps=steps, **how
    )
    return aesara.function([A, h0], aesara.grad(h[-1].sum(), [A, h0]), updates=updates)
