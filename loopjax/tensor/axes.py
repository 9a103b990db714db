"""Axes as users write them."""

from __future__ import annotations

import operator
from typing import Any

from loopjax.errors import here
from loopjax.ir.methods import Axis


def normal_axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """The axes as a sorted tuple from 0 up; ``None`` is all of them.

    Raises ``ValueError`` outside ``ndim`` or for one that is named twice, ``TypeError`` for what is no int.
    """
    if axis is None:
        return tuple(range(ndim))
    given = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    axes = sorted(normal_axis(one, ndim) for one in given)
    if len(set(axes)) < len(axes):
        raise ValueError(f"axis {axis} names an axis twice{here()}")
    return tuple(axes)


def normal_axis(axis: Any, ndim: int) -> int:
    """One axis from 0 up. Raises ``ValueError`` outside ``ndim``, ``TypeError`` for what is no int."""
    try:
        number = operator.index(axis)
    except TypeError as error:
        raise TypeError(f"an axis is an int, got {axis!r}{here()}") from error
    if not -ndim <= number < ndim:
        raise ValueError(f"axis {axis} is outside an array of {ndim} dimensions{here()}")
    return number % ndim
