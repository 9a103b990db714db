"""Shapes: reading them, permuting, adding and dropping axes, joining and splitting arrays.

Sizes are ints or integer scalars. A size that the graph does not know is a hole of the op's ``lengths``, filled by an
input before compiling; one that is known is checked when the node is recorded. An axis broadcasts only where its size
was known to be 1 when the graph was built: ``specify_shape`` promises it. So ``x.reshape((n, -1))`` of a matrix records
``reshape`` with the lengths ``(None, -1)`` and the input ``n``.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from loopjax.errors import check_flag, check_integer, coded, reported
from loopjax.ir.graph import Constant, Variable, apply
from loopjax.ir.op import register, table_op
from loopjax.ir.public_ops import public_op
from loopjax.ir.types import Shape, TensorType
from loopjax.tensor.axes import normal_axes, normal_axis
from loopjax.tensor.lengths import check_sizes, size_list, split_sizes
from loopjax.tensor.operands import promoted
from loopjax.trace.convert import as_variable, constant
from loopjax.trace.promotion import common_dtype

__all__ = [
    "addbroadcast",
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "atleast_nd",
    "broadcast_to",
    "concatenate",
    "dimshuffle",
    "expand_dims",
    "flatten",
    "join",
    "moveaxis",
    "patternbroadcast",
    "repeat",
    "reshape",
    "roll",
    "shape",
    "shape_padaxis",
    "shape_padleft",
    "shape_padright",
    "specify_broadcastable",
    "specify_shape",
    "split",
    "squeeze",
    "stack",
    "swapaxes",
    "tile",
    "transpose",
    "unbroadcast",
]


def _shape_type(type: TensorType) -> TensorType:
    return TensorType("int64", (type.ndim,))


def _dim_type(type: TensorType, axis: int) -> TensorType:
    return TensorType("int64")


def _shape_run(x: Any) -> Any:
    return jnp.asarray(x.shape, dtype=int).reshape(x.ndim)


register("shape", _shape_run, _shape_type, "memory_bound", "disconnected")
register(
    "trip_count",
    lambda n_steps, *rows, scan, needs: n_steps.astype(int),
    lambda *types, scan, needs: TensorType("int64"),
)
register("dim", lambda x, axis: jnp.asarray(x.shape[axis], dtype=int), _dim_type, "memory_bound", "disconnected")


@public_op
def shape(x: Any) -> Variable:
    """Record the shape of an array.

    Its length is known, and so is each size that the type of ``x`` knows: ``x.type.shape``. It has no derivative.

    Parameters
    ----------
    x : array_like
        Any array.

    Returns
    -------
    Variable
        An int64 vector of ``x.ndim`` sizes.

    Raises
    ------
    TypeError
        Where ``x`` is no variable, number or array.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.shape([[1, 2, 3]]).eval())
    [1 3]
    """
    return apply(table_op("shape"), as_variable(x))[0]


@public_op
def dim(x: Any, axis: int) -> Variable:
    """Record ``x.shape[axis]``, an int64 scalar; a constant where the size is known."""
    variable = as_variable(x)
    axis = normal_axis(axis, variable.ndim)
    known = variable.type.shape[axis]
    if known is not None:
        return constant(known)
    return apply(table_op("dim", axis=axis), variable)[0]


@public_op
def size(x: Any) -> Variable:
    """Record the number of elements, an int64 scalar."""
    variable = as_variable(x)
    count: Variable = constant(1)
    for axis in range(variable.ndim):
        count = count * dim(variable, axis)
    return count


def _reshape_type(type: TensorType, lengths: Shape) -> TensorType:
    if lengths.count(-1) > 1:
        raise coded(ValueError, "LJ503")(f"newshape {lengths} has more than one -1; expected at most one")
    if any(length is not None and length < -1 for length in lengths):
        raise coded(ValueError, "LJ503")(
            f"newshape {lengths} has a negative size; expected sizes from 0 up, and at most one -1"
        )
    if not type.concrete or None in lengths:
        return TensorType(type.dtype, tuple(None if length == -1 else length for length in lengths), type.weak)
    total = math.prod(type.sizes)
    known = math.prod(length for length in lengths if length is not None and length != -1)
    if (-1 in lengths and (known == 0 or total % known)) or (-1 not in lengths and known != total):
        raise coded(ValueError, "LJ503")(
            f"an array of shape {type.shape} does not reshape to {lengths}; expected sizes whose product is {total}"
        )
    filled = tuple(total // known if length == -1 else length for length in lengths)
    return TensorType(type.dtype, filled, type.weak)


def _reshape_run(x: Any, lengths: tuple[int, ...]) -> Any:
    return jnp.reshape(x, lengths) if -1 in lengths else lax.reshape(x, lengths)


register("reshape", _reshape_run, _reshape_type, "view")


@public_op
def reshape(x: Any, *newshape: Any, ndim: int | None = None) -> Variable:
    """Rearrange the elements, in C order, into another shape.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    *newshape : int or integer scalar
        The sizes one by one, or one sequence or symbolic vector of them; one may be -1, for what is left.
    ndim : int, optional
        The number of sizes, where the shape is a symbolic vector whose type does not say it.

    Returns
    -------
    Variable
        The same elements, in the dtype of ``x``.

    Raises
    ------
    TypeError
        Where a size is no integer scalar.
    ValueError
        Where the sizes do not multiply to the number of elements, or do not number ``ndim``.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.reshape([1, 2, 3, 4], (2, -1)).eval())
    [[1 2]
     [3 4]]
    """
    target = size_list(newshape[0], "newshape", ndim) if len(newshape) == 1 else list(newshape)
    if ndim is not None and len(target) != ndim:
        raise coded(ValueError, "LJ503")(f"reshape to {len(target)} dimensions, where ndim={ndim} are expected")
    static, symbolic = split_sizes(target, "newshape")
    return apply(table_op("reshape", lengths=static), as_variable(x), *symbolic)[0]


@public_op
def flatten(x: Any, ndim: int = 1) -> Variable:
    """Merge trailing axes.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    ndim : int, optional
        The number of axes of the result; the last one is merged from all that are left.

    Returns
    -------
    Variable
        The same elements, in C order.

    Raises
    ------
    ValueError
        Where ``ndim`` is below 1 or above ``x.ndim``.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.flatten([[1, 2], [3, 4]]).eval())
    [1 2 3 4]
    """
    variable = as_variable(x)
    if ndim < 1 or ndim > max(variable.ndim, 1):
        raise coded(ValueError, "LJ505")(
            f"flatten leaves 1 to {variable.ndim} axes, not ndim={ndim}; expected at least 1"
        )
    if ndim == variable.ndim:
        return variable
    return reshape(variable, [*(dim(variable, axis) for axis in range(ndim - 1)), -1])


def _transpose_type(type: TensorType, axes: tuple[int, ...]) -> TensorType:
    return type.with_shape([type.shape[axis] for axis in axes])


register("transpose", lambda x, axes: jnp.transpose(x, axes), _transpose_type, "view")


@public_op
def transpose(x: Any, *axes: Any) -> Variable:
    """Permute axes.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    *axes : int
        The order of the axes, one by one or as one sequence; reversed by default.

    Returns
    -------
    Variable
        ``x`` with its axes in this order.

    Raises
    ------
    ValueError
        Where ``axes`` are not all axes of ``x``, each once.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.transpose([[1, 2, 3]]).type)
    int64(3, 1)
    """
    variable = as_variable(x)
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (list, tuple))):
        axes = tuple(axes[0] or ())
    order = tuple(range(variable.ndim))[::-1] if not axes else tuple(normal_axis(axis, variable.ndim) for axis in axes)
    if sorted(order) != list(range(variable.ndim)):
        raise coded(ValueError, "LJ505")(
            f"transpose of {variable.ndim} axes cannot take the order {axes}; expected each of them once"
        )
    return apply(table_op("transpose", axes=order), variable)[0]


@public_op
def swapaxes(x: Any, axis1: int, axis2: int) -> Variable:
    """Exchange two axes.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    axis1 : int
        The first axis.
    axis2 : int
        The second axis.

    Returns
    -------
    Variable
        ``x`` with the two axes exchanged.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.swapaxes(at.zeros((2, 3, 5)), 0, -1).type.shape)
    (5, 3, 2)
    """
    variable = as_variable(x)
    order = list(range(variable.ndim))
    first, second = normal_axis(axis1, variable.ndim), normal_axis(axis2, variable.ndim)
    order[first], order[second] = second, first
    return transpose(variable, order)


@public_op
def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Variable:
    """Move axes to other positions; the rest keep their order.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    source : int or sequence of int
        The axes to move.
    destination : int or sequence of int
        Their positions in the result.

    Returns
    -------
    Variable
        ``x`` with the axes moved.

    Raises
    ------
    ValueError
        Where an axis or position is out of range or named twice, or there are not as many of each.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.moveaxis(at.zeros((2, 3, 5)), 0, -1).type.shape)
    (3, 5, 2)
    """
    variable = as_variable(x)
    moved = [normal_axis(axis, variable.ndim) for axis in _several(source)]
    places = [normal_axis(axis, variable.ndim) for axis in _several(destination)]
    if len(moved) != len(places) or len(set(moved)) < len(moved) or len(set(places)) < len(places):
        raise coded(ValueError, "LJ505")(f"moveaxis takes as many places as axes; got {source} and {destination}")
    order = [axis for axis in range(variable.ndim) if axis not in moved]
    for place, axis in sorted(zip(places, moved, strict=True)):
        order.insert(place, axis)
    return transpose(variable, order)


def _several(axis: int | Sequence[int]) -> list[int]:
    return list(axis) if isinstance(axis, (list, tuple)) else [axis]  # type: ignore[list-item]


def _dimshuffle_type(type: TensorType, pattern: tuple[int | None, ...]) -> TensorType:
    for axis, dim_ in enumerate(type.shape):
        if axis not in pattern and dim_ not in (None, 1):
            raise coded(ValueError, "LJ505")(
                f"dimshuffle{pattern} drops axis {axis}, whose size is {dim_} and not 1; expected 1, take one row of "
                "it by an index"
            )
    return type.with_shape([1 if axis is None else type.shape[axis] for axis in pattern])


def _dimshuffle_run(x: Any, pattern: tuple[int | None, ...]) -> Any:
    kept = [axis for axis in pattern if axis is not None]
    dropped = [axis for axis in range(x.ndim) if axis not in kept]
    ordered = lax.transpose(lax.squeeze(x, dropped), _ranks(kept))
    return lax.expand_dims(ordered, [position for position, axis in enumerate(pattern) if axis is None])


def _ranks(axes: Sequence[int]) -> list[int]:
    order = sorted(axes)
    return [order.index(axis) for axis in axes]


register("dimshuffle", _dimshuffle_run, _dimshuffle_type, "view")


@public_op
def dimshuffle(x: Any, *pattern: Any) -> Variable:
    """Permute axes, drop axes of size 1 and add new ones.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    *pattern : int or 'x'
        For each axis of the result an axis of ``x``, or ``'x'`` for a new axis of size 1; one by one or as one
        sequence. An axis left out is dropped.

    Returns
    -------
    Variable
        The same elements; the new axes broadcast.

    Raises
    ------
    ValueError
        Where an axis is named twice, or one is dropped whose size is not 1.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.dimshuffle([1, 2, 3], "x", 0).type.shape)
    (1, 3)
    """
    variable = as_variable(x)
    if len(pattern) == 1 and isinstance(pattern[0], (list, tuple)):
        pattern = tuple(pattern[0])
    axes = tuple(
        None if isinstance(axis, str) and axis == "x" else normal_axis(axis, variable.ndim) for axis in pattern
    )
    kept = [axis for axis in axes if axis is not None]
    if len(set(kept)) != len(kept):
        raise coded(ValueError, "LJ505")(
            f"dimshuffle{pattern} repeats an axis; expected each once, write 'x' for a new axis"
        )
    return apply(table_op("dimshuffle", pattern=axes), variable)[0]


@public_op
def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Variable:
    """Drop axes of size 1.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    axis : int or sequence of int, optional
        The axes to drop; by default all whose size is known to be 1.

    Returns
    -------
    Variable
        ``x`` without these axes.

    Raises
    ------
    ValueError
        Where an axis named has another size.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.squeeze([[[1], [2]]]).type.shape)
    (2,)
    """
    variable = as_variable(x)
    if axis is None:
        dropped = tuple(position for position, dim_ in enumerate(variable.type.shape) if dim_ == 1)
    else:
        dropped = normal_axes(axis, variable.ndim)
    return dimshuffle(variable, *(position for position in range(variable.ndim) if position not in dropped))


@reported
def expand_dims(x: Any, axis: int | Sequence[int]) -> Variable:
    """Add axes of size 1.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    axis : int or sequence of int
        Positions of the new axes in the result.

    Returns
    -------
    Variable
        ``x`` with the axes added; they broadcast.

    Raises
    ------
    ValueError
        Where a position is out of range or named twice.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.expand_dims([1, 2], (0, 2)).type.shape)
    (1, 2, 1)
    """
    variable = as_variable(x)
    new = normal_axes(axis, variable.ndim + len(_several(axis)))
    order: list[Any] = list(range(variable.ndim))
    for place in new:
        order.insert(place, "x")
    return dimshuffle(variable, *order)


@reported
def atleast_nd(x: Any, n: int = 1, left: bool = True) -> Variable:
    """Add axes of size 1 up to a number of dimensions.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    n : int, optional
        The least number of dimensions.
    left : bool, optional
        True to add the axes before the others, False after them.

    Returns
    -------
    Variable
        ``x`` of ``n`` dimensions or more.

    Raises
    ------
    TypeError
        Where ``x`` is no variable, number or array.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.atleast_nd([1, 2], 3).type.shape, at.atleast_nd([1, 2], 2, left=False).type.shape)
    (1, 1, 2) (2, 1)
    """
    check_integer("n", n, 0)
    variable = as_variable(x)
    missing = n - variable.ndim
    if missing <= 0:
        return variable
    return shape_padleft(variable, missing) if left else shape_padright(variable, missing)


@reported
def atleast_1d(x: Any) -> Variable:
    """Make a scalar a vector; leave other arrays as they are.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.

    Returns
    -------
    Variable
        ``x`` of one dimension or more.

    Raises
    ------
    TypeError
        Where ``x`` is no variable, number or array.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.atleast_1d(3).type.shape)
    (1,)
    """
    return atleast_nd(x, 1)


@reported
def atleast_2d(x: Any) -> Variable:
    """Add axes of size 1 before the others, up to two dimensions.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.

    Returns
    -------
    Variable
        ``x`` of two dimensions or more.

    Raises
    ------
    TypeError
        Where ``x`` is no variable, number or array.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.atleast_2d([1, 2]).type.shape)
    (1, 2)
    """
    return atleast_nd(x, 2)


@reported
def atleast_3d(x: Any) -> Variable:
    """Add axes of size 1 before the others, up to three dimensions.

    NumPy puts some of the new axes last. Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.

    Returns
    -------
    Variable
        ``x`` of three dimensions or more.

    Raises
    ------
    TypeError
        Where ``x`` is no variable, number or array.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.atleast_3d([1, 2]).type.shape)
    (1, 1, 2)
    """
    return atleast_nd(x, 3)


@reported
def shape_padleft(x: Any, n_ones: int = 1) -> Variable:
    """Add axes of size 1 before the others.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    n_ones : int, optional
        The number of new axes.

    Returns
    -------
    Variable
        ``x`` with the axes added; they broadcast.

    Raises
    ------
    TypeError
        Where ``x`` is no variable, number or array.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.shape_padleft([1, 2], 2).type.shape)
    (1, 1, 2)
    """
    variable = as_variable(x)
    return dimshuffle(variable, *["x"] * n_ones, *range(variable.ndim))


@reported
def shape_padright(x: Any, n_ones: int = 1) -> Variable:
    """Add axes of size 1 after the others.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    n_ones : int, optional
        The number of new axes.

    Returns
    -------
    Variable
        ``x`` with the axes added; they broadcast.

    Raises
    ------
    TypeError
        Where ``x`` is no variable, number or array.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.shape_padright([1, 2], 2).type.shape)
    (2, 1, 1)
    """
    variable = as_variable(x)
    return dimshuffle(variable, *range(variable.ndim), *["x"] * n_ones)


@reported
def shape_padaxis(x: Any, axis: int) -> Variable:
    """Add one axis of size 1.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    axis : int
        Its position in the result.

    Returns
    -------
    Variable
        ``x`` with the axis added; it broadcasts.

    Raises
    ------
    ValueError
        Where the position is out of range.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.shape_padaxis([1, 2], -1).type.shape)
    (2, 1)
    """
    return expand_dims(x, axis)


def _join_type(*types: TensorType, axis: int) -> TensorType:
    if len({type.ndim for type in types}) > 1:
        shown = " and ".join(str(type.shape) for type in types)
        raise coded(ValueError, "LJ504")(f"tensors: expected arrays of one ndim, got {shown}; reshape them")
    shape_: list[int | None] = []
    for position, dims in enumerate(zip(*(type.shape for type in types), strict=True)):
        if position == axis:
            shape_.append(None if None in dims else sum(dim_ for dim_ in dims if dim_ is not None))
            continue
        known = {dim_ for dim_ in dims if dim_ is not None}
        if len(known) > 1:
            shown = " and ".join(str(type.shape) for type in types)
            raise coded(ValueError, "LJ504")(
                f"shapes {shown} differ along axis {position}; only axis {axis} may: expected equal sizes, slice or "
                "reshape"
            )
        shape_.append(known.pop() if known else None)
    return TensorType(common_dtype(types), tuple(shape_))


register("join", lambda *xs, axis: jnp.concatenate(xs, axis), _join_type, "memory_bound", operands="common")


@public_op
def join(axis: int, *tensors: Any) -> Variable:
    """Join arrays along an existing axis.

    Differentiable in each array.

    Parameters
    ----------
    axis : int
        The axis along which sizes may differ.
    *tensors : array_like
        One array or more, of equal sizes along the other axes; brought to their common dtype.

    Returns
    -------
    Variable
        The arrays one after the other.

    Raises
    ------
    ValueError
        Where there are no arrays, an array is a scalar, or other sizes differ.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.join(0, [1, 2], [3]).eval())
    [1 2 3]
    """
    if not tensors:
        raise coded(ValueError, "LJ504")("tensors is empty; expected at least one array")
    variables = promoted("common", tensors)
    if variables[0].ndim == 0:
        raise coded(ValueError, "LJ504")(
            "join: tensors: needs arrays of at least one dimension, got scalars; use stack for them"
        )
    axis = normal_axis(axis, variables[0].ndim)
    if len(variables) == 1:
        return variables[0]
    return apply(table_op("join", axis=axis), *variables)[0]


@reported
def concatenate(tensors: Sequence[Any], axis: int = 0) -> Variable:
    """Join arrays along an existing axis, as NumPy's ``concatenate``.

    Differentiable in each array.

    Parameters
    ----------
    tensors : sequence of array_like
        One array or more, of equal sizes along the other axes.
    axis : int, optional
        The axis along which sizes may differ.

    Returns
    -------
    Variable
        The arrays one after the other.

    Raises
    ------
    ValueError
        Where there are no arrays, an array is a scalar, or other sizes differ.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.concatenate([[1, 2], [3]]).eval())
    [1 2 3]
    """
    if not isinstance(tensors, (list, tuple, np.ndarray, Variable)):
        raise coded(TypeError, "LJ504")(
            f"tensors is a list of arrays, got {type(tensors).__name__} {tensors!r:.80}; write [x, y]"
        )
    if not isinstance(tensors, Variable) and len(tensors) == 0:
        raise coded(ValueError, "LJ504")("tensors is empty; expected at least one array")
    return join(axis, *tensors)


@public_op
def stack(*tensors: Any, axis: int = 0) -> Variable:
    """Join arrays of one shape along a new axis.

    Differentiable in each array.

    Parameters
    ----------
    *tensors : array_like
        The arrays one by one, or one list or tuple of them; brought to their common dtype.
    axis : int, optional
        The position of the new axis.

    Returns
    -------
    Variable
        The arrays as the elements along the new axis.

    Raises
    ------
    ValueError
        Where there are no arrays, or their shapes differ.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.stack([1, 2], [3, 4], axis=1).eval())
    [[1 3]
     [2 4]]
    """
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    if not given:
        raise coded(ValueError, "LJ504")("tensors is empty; expected at least one array")
    variables = [as_variable(tensor) for tensor in given]
    if variables and all(variable.type.weak for variable in variables):
        variables = [variable.astype(common_dtype([v.type for v in variables])) for variable in variables]
    return join(axis, *(expand_dims(variable, axis) for variable in promoted("common", variables)))


def _broadcast_type(type: TensorType, lengths: Shape) -> TensorType:
    check_sizes(lengths)
    dims = zip(reversed(type.shape), reversed(lengths), strict=False)
    if type.ndim > len(lengths) or any(None not in (size, to) and size not in (1, to) for size, to in dims):
        raise coded(ValueError, "LJ501")(
            f"an array of shape {type.shape} does not broadcast to {lengths}; expected sizes that are equal or 1, "
            "reshape it"
        )
    return TensorType(type.dtype, tuple(lengths))


register("broadcast_to", lambda x, lengths: jnp.broadcast_to(x, lengths), _broadcast_type, "view")


@reported
def broadcast_to(x: Any, shape: Any) -> Variable:
    """Broadcast an array to a shape.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    shape : int, sequence or integer vector
        The sizes, ints and integer scalars.

    Returns
    -------
    Variable
        ``x`` repeated along new leading axes and those whose size is known to be 1.

    Raises
    ------
    ValueError
        Where ``x`` does not broadcast to ``shape``.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.broadcast_to([1, 2], (2, 2)).eval())
    [[1 2]
     [1 2]]
    """
    static, symbolic = split_sizes(size_list(shape), "shape")
    return apply(table_op("broadcast_to", lengths=static), as_variable(x), *symbolic)[0]


def _repeat_type(type: TensorType, lengths: Shape, axis: int) -> TensorType:
    (times,), old = lengths, type.shape[axis]
    if times is not None and times < 0:
        raise coded(ValueError, "LJ506")(f"elements cannot be repeated {times} times; expected a number from 0 up")
    new = None if old is None or times is None else old * times
    return TensorType(type.dtype, (*type.shape[:axis], new, *type.shape[axis + 1 :]))


register("repeat", lambda x, lengths, axis: jnp.repeat(x, lengths[0], axis), _repeat_type, "memory_bound")


@public_op
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Variable:
    """Repeat each element.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    repeats : int, integer scalar or sequence of int
        How often each element is repeated: one number for all, or one for each element along ``axis``.
    axis : int, optional
        The axis along which elements are repeated; by default those of the flattened array.

    Returns
    -------
    Variable
        The repeated elements, next to one another.

    Raises
    ------
    ValueError
        Where a number is negative, or there is not one for each element.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.repeat([1, 2], 2).eval(), at.repeat([1, 2], [0, 3]).eval())
    [1 1 2 2] [2 2 2]
    """
    variable = as_variable(x)
    if axis is None:
        variable, axis = reshape(variable, (-1,)), 0
    axis = normal_axis(axis, variable.ndim)
    times = as_variable(repeats)
    if times.ndim == 0:
        static, symbolic = split_sizes([times], "repeats")
        return apply(table_op("repeat", lengths=static, axis=axis), variable, *symbolic)[0]
    if not isinstance(times, Constant) or times.ndim != 1:
        raise coded(ValueError, "LJ506")(f"repeats is an integer scalar or a list of numbers, got {times!r}")
    if variable.type.shape[axis] not in (None, times.data.size) or not times.type.is_integer or (times.data < 0).any():
        raise coded(ValueError, "LJ506")(f"{times!r} does not say how often each element of {variable!r} is repeated")
    exact = specify_shape(variable, [times.data.size if place == axis else None for place in range(variable.ndim)])
    return exact[(slice(None),) * axis + (np.repeat(np.arange(times.data.size), times.data),)]


def _tile_type(type: TensorType, lengths: Shape) -> TensorType:
    if any(times is not None and times < 0 for times in lengths):
        raise coded(ValueError, "LJ506")(f"reps are {lengths}; expected sizes from 0 up")
    sizes = (1,) * (len(lengths) - type.ndim) + type.shape
    dims = zip(sizes, lengths, strict=True)
    return TensorType(type.dtype, tuple(None if None in (old, n) else (old or 0) * (n or 0) for old, n in dims))


register("tile", lambda x, lengths: jnp.tile(x, lengths), _tile_type, "memory_bound")


@public_op
def tile(x: Any, reps: Any, ndim: int | None = None) -> Variable:
    """Repeat a whole array along each axis.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    reps : int, integer scalar or sequence
        Number of copies along each axis, the last for the last axis; 1 along those left out.
    ndim : int, optional
        The number of axes of the result, where ``reps`` has fewer numbers or its size is not known.

    Returns
    -------
    Variable
        The copies side by side.

    Raises
    ------
    ValueError
        Where a number is negative, or ``ndim`` is below the number of axes.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.tile([1, 2], (2, 2)).eval())
    [[1 2 1 2]
     [1 2 1 2]]
    """
    variable = as_variable(x)
    times = size_list(reps, "reps", ndim)
    if ndim is not None and ndim < max(len(times), variable.ndim):
        raise coded(ValueError, "LJ506")(f"tile of {variable!r} by {len(times)} numbers has more than ndim={ndim} axes")
    times = [1] * (max(variable.ndim, ndim or 0) - len(times)) + times
    static, symbolic = split_sizes(times, "reps")
    return apply(table_op("tile", lengths=static), variable, *symbolic)[0]


def _roll_type(type: TensorType, *shift: TensorType, axis: int) -> TensorType:
    return TensorType(type.dtype, type.shape)


register("roll", lambda x, shift, axis: jnp.roll(x, shift, axis), _roll_type, "rotation")


Rows = tuple[int, ...]
"""Numbers of rows, one for each axis."""


def _halo_type(type: TensorType, before: Rows, after: Rows) -> TensorType:
    return TensorType(type.dtype, tuple(map(operator.add, type.sizes, map(operator.add, before, after))))


def _halo(x: Any, before: Rows, after: Rows) -> Any:
    """Pad with the rows of the other end, into an array that is not fused with its readers."""
    for axis, (first, last) in enumerate(zip(before, after, strict=True)):
        ends = lax.slice_in_dim(x, x.shape[axis] - first, None, axis=axis), lax.slice_in_dim(x, 0, last, axis=axis)
        x = lax.concatenate([ends[0], x, ends[1]], axis)
    barrier: Callable[..., Any] = lax.optimization_barrier
    return barrier(x)


register("halo", _halo, _halo_type, "memory_bound", "finite_derivative", "selection")


@reported
def roll(x: Any, shift: Any, axis: int | None = None) -> Variable:
    """Rotate elements along an axis.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    shift : int or integer scalar
        The number of positions; those pushed out at one end enter at the other.
    axis : int, optional
        The axis; by default the flattened array is rotated.

    Returns
    -------
    Variable
        An array of the shape of ``x``.

    Raises
    ------
    TypeError
        Where ``shift`` is no integer scalar.
    ValueError
        Where ``x`` has no such axis.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.roll([1, 2, 3, 4], 1).eval())
    [4 1 2 3]
    """
    variable = as_variable(x)
    if axis is None:
        sizes = [dim(variable, position) for position in range(variable.ndim)]
        return reshape(roll(reshape(variable, (-1,)), shift, 0), sizes)
    places = as_variable(shift)
    if places.ndim != 0 or not places.type.is_integer:
        raise coded(TypeError, "LJ510")(f"shift is an integer scalar, got {places!r}; cast it with .astype('int64')")
    return apply(table_op("roll", axis=normal_axis(axis, variable.ndim)), variable, places)[0]


ANY_SIZE = -(2**63)
"""A size that ``specify_shape`` leaves open."""


def _specify_type(type: TensorType, lengths: Shape) -> TensorType:
    if len(lengths) != type.ndim:
        raise coded(ValueError, "LJ506")(f"{len(lengths)} sizes are given for an array of {type.ndim} dimensions")
    sizes: list[int | None] = []
    for old, wanted in zip(type.shape, lengths, strict=True):
        known = old if wanted in (None, ANY_SIZE) else wanted
        check_sizes([known])
        if None not in (old, known) and old != known:
            shown = tuple("any" if length == ANY_SIZE else length for length in lengths)
            raise coded(ValueError, "LJ503")(
                f"an array of shape {type.shape} is not of the shape specified, {shown}; expected that, reshape it"
            )
        sizes.append(known)
    return TensorType(type.dtype, tuple(sizes), type.weak)


register("specify_shape", lambda x, lengths: x, _specify_type, "view")


@public_op
def specify_shape(x: Any, shape: Any) -> Variable:
    """Promise sizes of an array.

    A size that is promised to be 1 broadcasts. A call with other sizes raises ``ValueError``. Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    shape : int, sequence or integer vector
        A size for each axis: an int, an integer scalar, or ``None`` for any.

    Returns
    -------
    Variable
        ``x`` itself, of a type with these sizes.

    Raises
    ------
    ValueError
        Where a size known contradicts the promise, or there is not one for each axis.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> x = at.dmatrix("x")
    >>> print(at.specify_shape(x, (None, 3)).type)
    float64(?, 3)
    """
    variable = as_variable(x)
    wanted = [ANY_SIZE if size is None else size for size in size_list(shape, "shape", variable.ndim)]
    static, symbolic = split_sizes(wanted, "shape")
    return apply(table_op("specify_shape", lengths=static), variable, *symbolic)[0]


@reported
def specify_broadcastable(x: Any, *axes: int) -> Variable:
    """Promise that sizes are 1, so that the axes broadcast.

    A call with other sizes raises ``ValueError``. Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    *axes : int
        The axes of size 1.

    Returns
    -------
    Variable
        ``x`` itself, of a type with these sizes.

    Raises
    ------
    ValueError
        Where a size is known to be another, or ``x`` has no such axis.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> x = at.dmatrix("x")
    >>> print(at.specify_broadcastable(x, 0).type)
    float64(1, ?)
    """
    variable = as_variable(x)
    ones = normal_axes(axes, variable.ndim)
    return specify_shape(variable, [1 if axis in ones else None for axis in range(variable.ndim)])


addbroadcast = specify_broadcastable


@reported
def unbroadcast(x: Any, *axes: int) -> Variable:
    """Return the array itself; for programs written for Theano.

    There a size known to be 1 broadcast only until forgotten; here it always does.

    Parameters
    ----------
    x : array_like
        Any array.
    *axes : int
        Axes of ``x``.

    Returns
    -------
    Variable
        ``x`` itself.

    Raises
    ------
    ValueError
        Where ``x`` has no such axis.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.unbroadcast([[1, 2]], 0).type.shape)
    (1, 2)
    """
    variable = as_variable(x)
    normal_axes(axes, variable.ndim)
    return variable


@reported
def patternbroadcast(x: Any, broadcastable: Sequence[bool]) -> Variable:
    """Promise sizes of 1 where a pattern says so.

    A call with other sizes raises ``ValueError``. Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    broadcastable : sequence of bool
        For each axis, True where its size is 1.

    Returns
    -------
    Variable
        ``x`` itself, of a type with these sizes.

    Raises
    ------
    ValueError
        Where a size is known to be another.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> x = at.dmatrix("x")
    >>> print(at.patternbroadcast(x, (True, False)).type)
    float64(1, ?)
    """
    if not isinstance(broadcastable, (tuple, list)):
        raise coded(TypeError, "LJ901")(
            f"broadcastable: expected a list of True and False, got {type(broadcastable).__name__} "
            f"{broadcastable!r:.80}; write (True, False)"
        )
    for one in broadcastable:
        check_flag("broadcastable", one)
    return specify_broadcastable(x, *(axis for axis, one in enumerate(broadcastable) if one))


@public_op
def split(x: Any, splits_size: Any, n_splits: int | None = None, axis: int = 0) -> list[Variable]:
    """Cut an array into consecutive sections.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Any array.
    splits_size : sequence or integer vector
        The sizes of the sections, ints and integer scalars that add up to that of ``x``.
    n_splits : int, optional
        The number of sections, where ``splits_size`` is a symbolic vector whose type does not say it.
    axis : int, optional
        The axis that is cut.

    Returns
    -------
    list of Variable
        The sections in order.

    Raises
    ------
    ValueError
        Where the sizes do not add up, or do not number ``n_splits``.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> first, second = at.split([1, 2, 3], [1, 2])
    >>> print(first.eval(), second.eval())
    [1] [2 3]
    """
    variable = as_variable(x)
    axis = normal_axis(axis, variable.ndim)
    listed = size_list(splits_size, "splits_size", n_splits)
    split_sizes(listed, "splits_size")
    sizes = [as_variable(size) for size in listed]
    if n_splits is not None and len(sizes) != n_splits:
        raise coded(ValueError, "LJ506")(f"{len(sizes)} sizes are given for {n_splits} parts; expected one of each")
    ends: list[Variable] = [constant(0)]
    for length in sizes:
        ends.append(ends[-1] + length)
    known = [int(length.data) for length in sizes if isinstance(length, Constant)]
    check_sizes(known)

    def sized(part: Variable, length: Any) -> Variable:
        return specify_shape(part, [length if place == axis else None for place in range(variable.ndim)])

    whole = sized(variable, sum(known) if len(known) == len(sizes) else ends[-1])
    parts = [whole[(*(slice(None),) * axis, slice(start, end))] for start, end in pairwise(ends)]
    # A negative size would give a part that overlaps with others.
    pairs = zip(parts, sizes, strict=True)
    return [part if isinstance(length, Constant) else sized(part, length) for part, length in pairs]
