"""Between positions and arrays: one-hot rows, counts, places in a sorted vector, diagonals."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from loopjax.config import config
from loopjax.errors import here
from loopjax.ir.graph import Constant, Variable, apply
from loopjax.ir.op import register, table_op
from loopjax.ir.types import TensorType
from loopjax.tensor.creation import arange, zeros
from loopjax.tensor.elementwise import clip, eq, lt, maximum, minimum, switch
from loopjax.tensor.indexing import inc_subtensor, set_subtensor
from loopjax.tensor.lengths import size_list
from loopjax.tensor.reduction import max
from loopjax.tensor.shape import dim, shape_padright
from loopjax.trace.convert import as_variable

__all__ = [
    "bincount",
    "fill_diagonal",
    "ravel_multi_index",
    "searchsorted",
    "to_one_hot",
    "unravel_index",
]


def to_one_hot(y: Any, nb_class: Any, dtype: Any = None) -> Variable:
    """For each integer of ``y`` a row of ``nb_class`` numbers, 1 at its position and else 0; dtype floatX unless given.

    An integer outside of the row gives zeros.
    """
    return eq(shape_padright(_integers(y, "to_one_hot")), arange(nb_class)).astype(dtype or config.floatX)


def bincount(x: Any, weights: Any = None, minlength: Any = None) -> Variable:
    """How often each number from 0 to the largest of ``x`` is in it, int64; or the sums of their ``weights``.

    ``minlength`` is the least length of the result. That length must be known before the program is compiled, which
    happens again for each new one. Numbers below 0 count nowhere; ``check="index"`` refuses them.
    """
    numbers = _integers(x, "bincount")
    if numbers.ndim != 1:
        raise ValueError(f"bincount takes a vector, got {numbers!r}{here()}")
    length = max(numbers).astype("int64") + 1
    if minlength is not None:
        length = maximum(length, minlength)
    added = as_variable(1 if weights is None else weights)
    counts = zeros(length, "int64" if weights is None else added.dtype)
    return inc_subtensor(counts[switch(lt(numbers, 0), length, numbers)], added)


def _integers(x: Any, name: str) -> Variable:
    variable = as_variable(x)
    if not variable.type.is_integer:
        raise TypeError(f"{name} takes integers, got {variable!r}{here()}")
    return variable


def _searchsorted_type(x: TensorType, v: TensorType, side: str, method: str) -> TensorType:
    return TensorType("int64", v.shape)


def _searchsorted_run(x: Any, v: Any, side: str, method: str) -> Any:
    """``method`` is JAX's, by halves until a rewrite says otherwise."""
    return jnp.searchsorted(x, v, side=side, method=method).astype("int64")


register("searchsorted", _searchsorted_run, _searchsorted_type, operands="common")


def searchsorted(x: Any, v: Any, side: str = "left", sorter: Any = None) -> Variable:
    """Where the elements of ``v`` belong in the sorted vector ``x`` (in ``x[sorter]``), int64: before equal ones, or
    after them with ``side="right"``."""
    x = as_variable(x)
    if x.ndim != 1:
        raise ValueError(f"searchsorted takes a sorted vector, got {x!r}{here()}")
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted side is 'left' or 'right', not {side!r}{here()}")
    return apply(
        table_op("searchsorted", side=side, method="scan"), x if sorter is None else x[sorter], as_variable(v)
    )[0]


def fill_diagonal(a: Any, val: Any) -> Variable:
    """The matrix ``a`` with ``val`` along its main diagonal."""
    matrix = as_variable(a)
    if matrix.ndim != 2:
        raise ValueError(f"fill_diagonal takes a matrix, got {matrix!r}{here()}")
    places = arange(minimum(dim(matrix, 0), dim(matrix, 1)))
    return set_subtensor(matrix[places, places], val)


def unravel_index(indices: Any, dims: Any, order: str = "C") -> tuple[Variable, ...]:
    """The positions along each axis of an array of sizes ``dims`` that positions in the flattened array stand for.

    ``order`` is ``C``, the last axis the fastest, or ``F``, the first.
    """
    if order not in ("C", "F"):
        raise ValueError(f"unravel_index order is 'C' or 'F', not {order!r}{here()}")
    sizes = size_list(dims, "dims")
    rest = _integers(indices, "unravel_index").astype("int64")
    found: list[Variable] = []
    for size in sizes if order == "F" else reversed(sizes):
        found.append(rest % size)
        rest = rest // size
    return tuple(found if order == "F" else reversed(found))


def ravel_multi_index(multi_index: Any, dims: Any, mode: str = "raise", order: str = "C") -> Variable:
    """The positions in the flattened array that positions along each axis of an array of sizes ``dims`` stand for.

    ``multi_index`` has an integer array for each axis; they broadcast. ``mode`` says what becomes of positions out of
    bounds: ``clip``, the nearest one; ``wrap``, counting on from the other end; with ``raise``, an error where they and
    ``dims`` are numbers, else a position of no meaning. ``order`` as in ``unravel_index``.
    """
    if order not in ("C", "F"):
        raise ValueError(f"ravel_multi_index order is 'C' or 'F', not {order!r}{here()}")
    if mode not in ("raise", "clip", "wrap"):
        raise ValueError(f"ravel_multi_index mode is 'raise', 'clip' or 'wrap', not {mode!r}{here()}")
    places = [_integers(one, "ravel_multi_index").astype("int64") for one in multi_index]
    sizes = [as_variable(size) for size in size_list(dims, "dims", len(places))]
    if len(sizes) != len(places) or not places:
        raise ValueError(f"ravel_multi_index takes positions along {len(sizes)} axes, got {len(places)}{here()}")
    pairs = list(zip(places, sizes, strict=True))
    flat = as_variable(0)
    for place, size in pairs if order == "C" else reversed(pairs):
        flat = flat * size + _bounded(place, size, mode)
    return flat


def _bounded(place: Variable, size: Variable, mode: str) -> Variable:
    if mode == "clip":
        return clip(place, 0, size - 1)
    if mode == "wrap":
        return place % size
    if not isinstance(place, Constant) or not isinstance(size, Constant):
        return place
    if not ((place.data >= 0) & (place.data < size.data)).all():
        raise ValueError(f"ravel_multi_index: {place!r} is out of bounds for an axis of size {int(size.data)}{here()}")
    return place
