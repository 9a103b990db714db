"""Sizes that may be symbolic: splitting them into what is known and what must be known before compiling."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from loopjax.errors import here
from loopjax.ir.graph import Constant, Variable
from loopjax.trace.convert import as_variable


def size_list(shape: Any, argument: str = "shape", count: int | None = None) -> list[Any]:
    """A shape as a list: of an int, of a list of ints and integer scalars, or of a symbolic vector.

    ``count`` is the vector's size where its type does not say it.
    """
    if isinstance(shape, Variable) and not isinstance(shape, Constant):
        if shape.ndim == 0:
            return [shape]
        count = shape.type.shape[0] if count is None else count
        if shape.ndim != 1 or count is None:
            raise ValueError(f"{argument} is a vector of known size, got {shape!r}{here()}")
        return [shape[position] for position in range(count)]
    if isinstance(shape, Constant):
        shape = shape.data
    if isinstance(shape, np.ndarray):
        return [int(size) for size in np.atleast_1d(shape)]
    if isinstance(shape, (list, tuple)):
        return list(shape)
    return [shape]


def split_sizes(lengths: Iterable[Any], argument: str) -> tuple[tuple[int | None, ...], list[Variable]]:
    """The lengths with ``None`` for each that is symbolic, and those."""
    static: list[int | None] = []
    symbolic: list[Variable] = []
    for length in lengths:
        variable = as_variable(length)
        if variable.ndim != 0 or not variable.type.is_integer:
            raise TypeError(f"{argument} holds integers and integer scalars, got {length!r}{here()}")
        if isinstance(variable, Constant):
            static.append(int(variable.data))
        else:
            static.append(None)
            symbolic.append(variable)
    return tuple(static), symbolic
