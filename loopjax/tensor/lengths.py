"""Shapes and sizes as users write them: ints, integer scalar variables, or a vector of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from loopjax.errors import coded
from loopjax.ir.graph import Constant, Variable, apply
from loopjax.ir.op import table_op
from loopjax.trace.convert import as_variable


def size_list(shape: Any, argument: str = "shape", count: int | None = None) -> list[Any]:
    """Shape as a list of sizes, from an int, a list of ints and integer scalars, or a vector variable.

    ``count`` is the size of a vector whose type does not say it; a call with a vector of another size raises
    ``ValueError``. Raises ``ValueError`` where neither does.
    """
    if isinstance(shape, Variable) and not isinstance(shape, Constant):
        if shape.ndim == 0:
            return [shape]
        size = shape.type.shape[0] if shape.ndim == 1 else None
        count = count if size is None else size
        if shape.ndim != 1 or count is None:
            raise coded(ValueError, "LJ506")(f"{argument} is a vector of known size, got {shape!r}; write a list")
        if size is None:
            shape = apply(table_op("specify_shape", lengths=(count,)), shape)[0]
        return [shape[position] for position in range(count)]
    if isinstance(shape, Constant):
        shape = shape.data
    if isinstance(shape, np.ndarray):
        return np.atleast_1d(shape).tolist()
    if isinstance(shape, (list, tuple)):
        return list(shape)
    return [shape]


def check_sizes(lengths: Iterable[int | None]) -> None:
    """Raise ``ValueError`` where a size is negative."""
    if any(length is not None and length < 0 for length in lengths):
        raise coded(ValueError, "LJ506")(f"a size is negative in {tuple(lengths)}; expected sizes from 0 up")


def split_sizes(lengths: Iterable[Any], argument: str) -> tuple[tuple[int | None, ...], list[Variable]]:
    """Static sizes, with ``None`` in place of each symbolic one, and the list of symbolic ones.

    The ops that take sizes have the first as their parameter ``lengths``, and the second as their last inputs. Raises
    ``TypeError`` for a size that is not an integer scalar.
    """
    static: list[int | None] = []
    symbolic: list[Variable] = []
    for length in lengths:
        try:
            variable = as_variable(length)
        except (TypeError, OverflowError):
            variable = None
        if variable is None or variable.ndim != 0 or not variable.type.is_integer:
            raise coded(TypeError, "LJ506")(
                f"{argument} holds integers and integer scalars, got {type(length).__name__} {length!r:.80}; write a "
                f"size as an int"
            )
        if isinstance(variable, Constant):
            static.append(int(variable.data))
        else:
            static.append(None)
            symbolic.append(variable)
    return tuple(static), symbolic
