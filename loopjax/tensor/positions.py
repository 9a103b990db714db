"""Positions as data: one-hot rows, histograms, binary search, diagonals, flat and multi-dimensional positions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import jax.numpy as jnp
from numpy.typing import DTypeLike

from loopjax.config import config
from loopjax.errors import coded, here, reported
from loopjax.ir.graph import Constant, Variable, apply
from loopjax.ir.op import register, table_op
from loopjax.ir.types import TensorType
from loopjax.tensor.creation import arange, zeros
from loopjax.tensor.elementwise import clip, eq, lt, maximum, minimum, switch
from loopjax.tensor.indexing import inc_subtensor, set_subtensor
from loopjax.tensor.lengths import check_sizes, size_list, split_sizes
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


@reported
def to_one_hot(y: Any, nb_class: int | Variable, dtype: DTypeLike | None = None) -> Variable:
    """Encode integers as one-hot rows.

    No gradient flows to ``y``.

    Parameters
    ----------
    y : array_like of int
        The classes; one outside of the row gives a row of zeros.
    nb_class : int or integer scalar
        The length of a row.
    dtype : dtype, optional
        ``floatX`` by default.

    Returns
    -------
    Variable
        Rows of shape ``(*y.shape, nb_class)``, 1 at the class and else 0.

    Raises
    ------
    TypeError
        Where ``y`` holds no integers.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.to_one_hot([0, 2], 3).eval())
    [[1. 0. 0.]
     [0. 0. 1.]]
    """
    return eq(shape_padright(_integers(y, "to_one_hot y")), arange(_size(nb_class, "nb_class"))).astype(
        dtype or config.floatX
    )


@reported
def bincount(x: Any, weights: Any = None, minlength: int | Variable | None = None) -> Variable:
    """Count how often each integer occurs, or sum weights by integer.

    The length of the result must be known before the program is compiled, which happens again for each new one. Numbers
    below 0 are left out; ``check="index"`` refuses them. Differentiable in ``weights``.

    Parameters
    ----------
    x : array_like of int
        A vector of integers from 0 up.
    weights : array_like, optional
        What each element adds; 1 by default.
    minlength : int or integer scalar, optional
        The least length of the result, which is else the largest integer and one.

    Returns
    -------
    Variable
        A vector of counts, int64, or of sums in the dtype of ``weights``.

    Raises
    ------
    TypeError
        Where ``x`` holds no integers.
    ValueError
        Where ``x`` is no vector.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.bincount([0, 2, 2]).eval())
    [1 0 2]
    """
    numbers = _integers(x, "bincount x").astype("int64")
    if numbers.ndim != 1:
        raise coded(ValueError, "LJ507")(f"bincount takes a vector, got {numbers!r}; reshape it")
    length = max(numbers) + 1
    if minlength is not None:
        length = maximum(length, _size(minlength, "minlength"))
    added = as_variable(1 if weights is None else weights)
    counts = zeros(length, "int64" if weights is None else added.dtype)
    return inc_subtensor(counts[switch(lt(numbers, 0), length, numbers)], added)


def _size(size: Any, argument: str) -> Any:
    """Return a size; raise where it is no integer, or negative."""
    static, _ = split_sizes([size], argument)
    check_sizes(static)
    return size


def _integers(x: Any, name: str) -> Variable:
    variable = as_variable(x)
    if not variable.type.is_integer:
        raise coded(TypeError, "LJ510")(f"{name} takes integers, got {variable!r}; cast it with .astype('int64')")
    return variable


def _searchsorted_type(x: TensorType, v: TensorType, side: str, method: str) -> TensorType:
    return TensorType("int64", v.shape)


def _searchsorted_run(x: Any, v: Any, side: str, method: str) -> Any:
    """Search by the algorithm ``method`` of JAX: binary search unless a rewrite chooses another."""
    return jnp.searchsorted(x, v, side=side, method=method).astype(int)


register("searchsorted", _searchsorted_run, _searchsorted_type, operands="common")


@reported
def searchsorted(x: Any, v: Any, side: Literal["left", "right"] = "left", sorter: Any = None) -> Variable:
    """Find the positions at which elements keep a sorted vector sorted.

    The result is no float and has no derivative.

    Parameters
    ----------
    x : array_like
        A vector in ascending order, or in that of ``sorter``.
    v : array_like
        The elements to insert.
    side : {'left', 'right'}, optional
        The position before equal elements, or after them.
    sorter : array_like of int, optional
        The positions that sort ``x``.

    Returns
    -------
    Variable
        int64 positions in the shape of ``v``.

    Raises
    ------
    ValueError
        Where ``x`` is no vector, or ``side`` is another.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.searchsorted([1, 3, 5], [0, 3, 9]).eval())
    [0 1 3]
    """
    x = as_variable(x)
    if x.ndim != 1:
        raise coded(ValueError, "LJ507")(f"searchsorted takes a sorted vector, got {x!r}; reshape it")
    if sorter is not None:
        order = _integers(sorter, "searchsorted sorter")
        if order.ndim != 1:
            raise coded(ValueError, "LJ507")(f"searchsorted: sorter takes a vector, got {order!r}; reshape it")
        x = x[order]
    return apply(table_op("searchsorted", side=side, method="scan"), x, as_variable(v))[0]


@reported
def fill_diagonal(a: Any, val: Any) -> Variable:
    """Replace the main diagonal of a matrix.

    Differentiable in ``a`` and ``val``.

    Parameters
    ----------
    a : array_like
        A matrix.
    val : array_like
        A scalar, or a vector as long as the diagonal.

    Returns
    -------
    Variable
        A copy of ``a`` with the diagonal replaced.

    Raises
    ------
    ValueError
        Where ``a`` is no matrix.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.fill_diagonal([[1, 2], [3, 4]], 0).eval())
    [[0 2]
     [3 0]]
    """
    matrix = as_variable(a)
    if matrix.ndim != 2:
        raise coded(ValueError, "LJ507")(f"fill_diagonal takes a matrix, got {matrix!r}; reshape it")
    places = arange(minimum(dim(matrix, 0), dim(matrix, 1)))
    return set_subtensor(matrix[places, places], val)


@reported
def unravel_index(indices: Any, dims: Any, order: Literal["C", "F"] = "C") -> tuple[Variable, ...]:
    """Convert positions in a flattened array to positions along each axis.

    Parameters
    ----------
    indices : array_like of int
        Positions in the flattened array.
    dims : int, sequence or integer vector
        The sizes of the array.
    order : {'C', 'F'}, optional
        Whether the last axis varies fastest, or the first.

    Returns
    -------
    tuple of Variable
        int64 positions along each axis, in the shape of ``indices``.

    Raises
    ------
    TypeError
        Where ``indices`` are no integers.
    ValueError
        Where ``order`` is another.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> row, column = at.unravel_index([1, 5], (2, 3))
    >>> print(row.eval(), column.eval())
    [0 1] [1 2]
    """
    sizes = [_integers(_size(size, "dims"), "unravel_index dims") for size in size_list(dims, "dims")]
    rest = _integers(indices, "unravel_index indices").astype("int64")
    found: list[Variable] = []
    for size in sizes if order == "F" else reversed(sizes):
        found.append(rest % size)
        rest = rest // size
    return tuple(found if order == "F" else reversed(found))


@reported
def ravel_multi_index(
    multi_index: Sequence[Any],
    dims: Any,
    mode: Literal["raise", "clip", "wrap"] = "raise",
    order: Literal["C", "F"] = "C",
) -> Variable:
    """Convert positions along each axis to positions in the flattened array.

    Parameters
    ----------
    multi_index : sequence of array_like of int
        Positions along each axis; they broadcast.
    dims : int, sequence or integer vector
        The sizes of the array.
    mode : {'raise', 'clip', 'wrap'}, optional
        The treatment of positions out of bounds: an error where they and ``dims`` are numbers, else a position of no
        meaning; the nearest one; counting on from the other end.
    order : {'C', 'F'}, optional
        Whether the last axis varies fastest, or the first.

    Returns
    -------
    Variable
        int64 positions.

    Raises
    ------
    TypeError
        Where the positions are no integers.
    ValueError
        Where there is not one array for each axis, a number is out of bounds, or ``mode`` or ``order`` is another.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.ravel_multi_index(([0, 1], [1, 2]), (2, 3)).eval())
    [1 5]
    """
    if not isinstance(multi_index, (tuple, list)):
        raise TypeError(
            f"multi_index: expected a list of arrays, got {type(multi_index).__name__} {multi_index!r:.80}; write "
            f"one array of positions for each axis{here()}"
        )
    places = [_integers(one, "ravel_multi_index multi_index").astype("int64") for one in multi_index]
    sizes = [_integers(_size(size, "dims"), "ravel_multi_index dims") for size in size_list(dims, "dims", len(places))]
    if len(sizes) != len(places) or not places:
        raise coded(ValueError, "LJ506")(
            f"ravel_multi_index dims are {len(sizes)} sizes, got {len(places)} arrays of positions; expected one of "
            f"each"
        )
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
        raise coded(ValueError, "LJ206")(
            f"ravel_multi_index: {place!r} is out of bounds for an axis of size {int(size.data)}"
        )
    return place
