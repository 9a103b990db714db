"""Terms of a polynomial."""

from __future__ import annotations

from typing import Any


def polynomial(aesara: Any, count: int) -> Any:
    """Sum of the terms, from ``coefficients (count,)`` and ``x``."""
    at = aesara.tensor
    coefficients = at.fvector("coefficients")
    x = at.fscalar("x")
    components, updates = aesara.scan(
        fn=lambda coefficient, power, free_variable: coefficient * (free_variable**power),
        sequences=[coefficients, at.arange(count, dtype="float32")],
        outputs_info=None,
        non_sequences=x,
    )
    return aesara.function([coefficients, x], components.sum(), updates=updates)
