"""Programs with almost no computation."""

from __future__ import annotations

from typing import Any


def add_one(aesara: Any) -> Any:
    """``x + 1`` on a scalar."""
    x = aesara.tensor.fscalar("x")
    return aesara.function([x], x + 1)


def counter(aesara: Any, start: Any) -> Any:
    """A counter in a shared variable."""
    count = aesara.shared(start)
    return aesara.function([], count, updates=[(count, count + 1)])
