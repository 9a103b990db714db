"""Linear recurrence: ``h(t) = a(t) * h(t-1) + b(t)``."""

from __future__ import annotations

from typing import Any


def linear(aesara: Any, **how: Any) -> Any:
    """All steps of ``h`` from ``a`` and ``b``, both ``(T, units)``; ``how`` is passed to ``function``."""
    at = aesara.tensor
    a, b = at.fmatrix("a"), at.fmatrix("b")
    h, updates = aesara.scan(
        fn=lambda a_t, b_t, h_tm1: a_t * h_tm1 + b_t, sequences=[a, b], outputs_info=at.zeros_like(b[0])
    )
    return aesara.function([a, b], h, updates=updates, **how)
