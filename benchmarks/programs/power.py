"""``A**k`` by repeated multiplication."""

# ruff: noqa: N803, N806 - arrays have the names that the guide gives them

from __future__ import annotations

from typing import Any


def power(aesara: Any) -> Any:
    """Only the last value, from ``A`` and ``k``."""
    at = aesara.tensor
    k = at.iscalar("k")
    A = at.dvector("A")
    result, updates = aesara.scan(
        fn=lambda prior, A: prior * A, outputs_info=at.ones_like(A), non_sequences=A, n_steps=k
    )
    return aesara.function([A, k], result[-1], updates=updates)
