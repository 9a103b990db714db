"""Axes as users write them."""

from __future__ import annotations

from collections.abc import Sequence

Axis = int | Sequence[int] | None


def normal_axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes as a sorted tuple from 0 up; ``None`` is all of them. Raises ``ValueError`` outside ``ndim``."""
    if axis is None:
        return tuple(range(ndim))
    given = [axis] if isinstance(axis, int) else list(axis)
    if any(not -ndim <= one < ndim for one in given):
        raise ValueError(f"axis {axis} is outside an array of {ndim} dimensions")
    return tuple(sorted({one % ndim for one in given}))
