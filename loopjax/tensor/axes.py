"""Normalization of axes as users write them."""

from __future__ import annotations

import operator
from typing import Any

from loopjax.errors import coded
from loopjax.ir.graph import Constant
from loopjax.ir.methods import Axis


def normal_axes(axis: Axis, ndim: int) -> tuple[int, ...]:
    """Sorted non-negative axes; ``None`` is all of them.

    Raises ``ValueError`` for an axis outside of ``ndim`` dimensions or named twice,
    ``TypeError`` for anything but ints and constants.
    """
    if axis is None:
        return tuple(range(ndim))
    if isinstance(axis, Constant):
        axis = axis.data.tolist()
    listed = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    axes = sorted(normal_axis(each, ndim) for each in listed)
    if len(set(axes)) < len(axes):
        raise coded(ValueError, "LJ505")(f"axis {axis} names an axis twice; expected each once")
    return tuple(axes)


def normal_axis(axis: Any, ndim: int) -> int:
    """Non-negative axis.

    Raises ``ValueError`` outside of ``ndim`` dimensions, ``TypeError`` for anything but an int.
    """
    try:
        number = None if isinstance(axis, bool) else operator.index(axis.data if isinstance(axis, Constant) else axis)
    except TypeError:
        number = None
    if number is None:
        raise coded(TypeError, "LJ505")(f"an axis is an int, got {axis!r:.80}; write axis=0")
    if not -ndim <= number < ndim:
        expected = f"expected {-ndim} to {ndim - 1}" if ndim else "expected one of at least 1 dimension, reshape it"
        raise coded(ValueError, "LJ505")(f"axis {axis} is outside an array of {ndim} dimensions; {expected}")
    return number % ndim
