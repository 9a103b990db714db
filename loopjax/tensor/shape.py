"""Shapes: reading them, changing them, joining arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from loopjax.errors import here
from loopjax.ir.graph import Constant, Variable, apply
from loopjax.ir.op import register, table_op
from loopjax.ir.public_ops import public_op
from loopjax.ir.types import Shape, TensorType
from loopjax.tensor.axes import normal_axes, normal_axis
from loopjax.tensor.lengths import size_list, split_sizes
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
    return jnp.asarray(x.shape, dtype="int64").reshape(x.ndim)


register("shape", _shape_run, _shape_type, "memory_bound", "disconnected")
register(
    "trip_count",
    lambda n_steps, *rows, scan, needs: n_steps.astype("int64"),
    lambda *types, scan, needs: TensorType("int64"),
)
register("dim", lambda x, axis: jnp.asarray(x.shape[axis], dtype="int64"), _dim_type, "memory_bound", "disconnected")


@public_op
def shape(x: Any) -> Variable:
    """The sizes of ``x``, an int64 vector of known length."""
    return apply(table_op("shape"), as_variable(x))[0]


@public_op
def dim(x: Any, axis: int) -> Variable:
    """``x.shape[axis]``, an int64 scalar; a constant where it is known."""
    variable = as_variable(x)
    axis = normal_axis(axis, variable.ndim)
    known = variable.type.shape[axis]
    if known is not None:
        return constant(known)
    return apply(table_op("dim", axis=axis), variable)[0]


@public_op
def size(x: Any) -> Variable:
    """The number of elements, an int64 scalar."""
    variable = as_variable(x)
    count: Variable = constant(1)
    for axis in range(variable.ndim):
        count = count * dim(variable, axis)
    return count


def _reshape_type(type: TensorType, lengths: Shape) -> TensorType:
    if lengths.count(-1) > 1:
        raise ValueError(f"reshape to {lengths} has more than one -1")
    if any(length is not None and length < -1 for length in lengths):
        raise ValueError(f"reshape to {lengths} has a negative size")
    if not type.concrete or None in lengths:
        return TensorType(type.dtype, tuple(None if length == -1 else length for length in lengths), type.weak)
    total = math.prod(type.sizes)
    known = math.prod(length for length in lengths if length is not None and length != -1)
    if (-1 in lengths and (known == 0 or total % known)) or (-1 not in lengths and known != total):
        raise ValueError(f"an array of shape {type.shape} does not reshape to {lengths}")
    filled = tuple(total // known if length == -1 else length for length in lengths)
    return TensorType(type.dtype, filled, type.weak)


def _reshape_run(x: Any, lengths: tuple[int, ...]) -> Any:
    return jnp.reshape(x, lengths) if -1 in lengths else lax.reshape(x, lengths)


register("reshape", _reshape_run, _reshape_type, "view")


@public_op
def reshape(x: Any, *newshape: Any, ndim: int | None = None) -> Variable:
    """The elements of ``x`` in C order in another shape: ints and integer scalars, one of them -1 at most.

    ``ndim`` is the number of sizes, where the shape is a symbolic vector whose type does not say it.
    """
    target = size_list(newshape[0], "newshape", ndim) if len(newshape) == 1 else list(newshape)
    if ndim is not None and len(target) != ndim:
        raise ValueError(f"reshape to {len(target)} dimensions, where ndim={ndim} are expected{here()}")
    static, symbolic = split_sizes(target, "newshape")
    return apply(table_op("reshape", lengths=static), as_variable(x), *symbolic)[0]


@public_op
def flatten(x: Any, ndim: int = 1) -> Variable:
    """The last axes joined so that ``ndim`` are left."""
    variable = as_variable(x)
    if ndim < 1 or ndim > max(variable.ndim, 1):
        raise ValueError(f"flatten leaves 1 to {variable.ndim} axes, not {ndim}{here()}")
    if ndim == variable.ndim:
        return variable
    return reshape(variable, [*(dim(variable, axis) for axis in range(ndim - 1)), -1])


def _transpose_type(type: TensorType, axes: tuple[int, ...]) -> TensorType:
    return type.with_shape([type.shape[axis] for axis in axes])


register("transpose", lambda x, axes: jnp.transpose(x, axes), _transpose_type, "view")


@public_op
def transpose(x: Any, *axes: Any) -> Variable:
    """The axes in another order, reversed by default."""
    variable = as_variable(x)
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (list, tuple))):
        axes = tuple(axes[0] or ())
    order = tuple(range(variable.ndim))[::-1] if not axes else tuple(normal_axis(axis, variable.ndim) for axis in axes)
    if sorted(order) != list(range(variable.ndim)):
        raise ValueError(f"transpose of {variable.ndim} axes cannot take the order {axes}{here()}")
    return apply(table_op("transpose", axes=order), variable)[0]


@public_op
def swapaxes(x: Any, axis1: int, axis2: int) -> Variable:
    """Two axes exchanged."""
    variable = as_variable(x)
    order = list(range(variable.ndim))
    first, second = normal_axis(axis1, variable.ndim), normal_axis(axis2, variable.ndim)
    order[first], order[second] = second, first
    return transpose(variable, order)


@public_op
def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Variable:
    """The axes ``source`` moved to the places ``destination``, the others in their order."""
    variable = as_variable(x)
    moved = [normal_axis(axis, variable.ndim) for axis in _several(source)]
    places = [normal_axis(axis, variable.ndim) for axis in _several(destination)]
    if len(moved) != len(places) or len(set(moved)) < len(moved) or len(set(places)) < len(places):
        raise ValueError(f"moveaxis takes as many places as axes, each once; got {source} and {destination}{here()}")
    order = [axis for axis in range(variable.ndim) if axis not in moved]
    for place, axis in sorted(zip(places, moved, strict=True)):
        order.insert(place, axis)
    return transpose(variable, order)


def _several(axis: int | Sequence[int]) -> list[int]:
    return list(axis) if isinstance(axis, (list, tuple)) else [axis]  # type: ignore[list-item]


def _dimshuffle_type(type: TensorType, pattern: tuple[int | None, ...]) -> TensorType:
    for axis, dim_ in enumerate(type.shape):
        if axis not in pattern and dim_ not in (None, 1):
            raise ValueError(f"dimshuffle{pattern} drops axis {axis}, whose size is {dim_} and not 1")
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
    """Axes in the order of ``pattern``, a new axis of size 1 for each ``'x'``; dropped axes must have size 1."""
    variable = as_variable(x)
    if len(pattern) == 1 and isinstance(pattern[0], (list, tuple)):
        pattern = tuple(pattern[0])
    axes = tuple(
        None if isinstance(axis, str) and axis == "x" else normal_axis(axis, variable.ndim) for axis in pattern
    )
    kept = [axis for axis in axes if axis is not None]
    if len(set(kept)) != len(kept):
        raise ValueError(f"dimshuffle{pattern} repeats an axis{here()}")
    return apply(table_op("dimshuffle", pattern=axes), variable)[0]


@public_op
def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Variable:
    """Without the axes of size 1: those named, or all whose size is known to be 1."""
    variable = as_variable(x)
    if axis is None:
        dropped = tuple(position for position, dim_ in enumerate(variable.type.shape) if dim_ == 1)
    else:
        dropped = normal_axes(axis, variable.ndim)
    return dimshuffle(variable, *(position for position in range(variable.ndim) if position not in dropped))


def expand_dims(x: Any, axis: int | Sequence[int]) -> Variable:
    """New axes of size 1, at the places ``axis`` of the result."""
    variable = as_variable(x)
    new = normal_axes(axis, variable.ndim + len(_several(axis)))
    order: list[Any] = list(range(variable.ndim))
    for place in new:
        order.insert(place, "x")
    return dimshuffle(variable, *order)


def atleast_nd(x: Any, n: int = 1, left: bool = True) -> Variable:
    """``x`` with axes of size 1 before (or after) the others, so that there are ``n`` at least."""
    variable = as_variable(x)
    missing = n - variable.ndim
    if missing <= 0:
        return variable
    return shape_padleft(variable, missing) if left else shape_padright(variable, missing)


def atleast_1d(x: Any) -> Variable:
    """``x`` with one axis at least."""
    return atleast_nd(x, 1)


def atleast_2d(x: Any) -> Variable:
    """``x`` with two axes at least, new ones first."""
    return atleast_nd(x, 2)


def atleast_3d(x: Any) -> Variable:
    """``x`` with three axes at least, new ones first (NumPy puts some of them last)."""
    return atleast_nd(x, 3)


def shape_padleft(x: Any, n_ones: int = 1) -> Variable:
    """``n_ones`` axes of size 1 before the others."""
    variable = as_variable(x)
    return dimshuffle(variable, *["x"] * n_ones, *range(variable.ndim))


def shape_padright(x: Any, n_ones: int = 1) -> Variable:
    """``n_ones`` axes of size 1 after the others."""
    variable = as_variable(x)
    return dimshuffle(variable, *range(variable.ndim), *["x"] * n_ones)


def shape_padaxis(x: Any, axis: int) -> Variable:
    """A new axis of size 1, at the place ``axis`` of the result."""
    return expand_dims(x, axis)


def _join_type(*types: TensorType, axis: int) -> TensorType:
    if len({type.ndim for type in types}) > 1:
        shown = " and ".join(str(type.shape) for type in types)
        raise ValueError(f"arrays of one number of dimensions are joined, got {shown}")
    shape_: list[int | None] = []
    for position, dims in enumerate(zip(*(type.shape for type in types), strict=True)):
        if position == axis:
            shape_.append(None if None in dims else sum(dim_ for dim_ in dims if dim_ is not None))
            continue
        known = {dim_ for dim_ in dims if dim_ is not None}
        if len(known) > 1:
            shown = " and ".join(str(type.shape) for type in types)
            raise ValueError(f"shapes {shown} differ along axis {position}; only axis {axis} may")
        shape_.append(known.pop() if known else None)
    return TensorType(common_dtype(types), tuple(shape_))


register("join", lambda *xs, axis: jnp.concatenate(xs, axis), _join_type, "memory_bound", operands="common")


@public_op
def join(axis: int, *tensors: Any) -> Variable:
    """Arrays one after the other along ``axis``."""
    variables = promoted("common", tensors)
    if not variables or variables[0].ndim == 0:
        raise ValueError(f"join needs arrays of at least one dimension; use stack for scalars{here()}")
    axis = normal_axis(axis, variables[0].ndim)
    if len(variables) == 1:
        return variables[0]
    return apply(table_op("join", axis=axis), *variables)[0]


def concatenate(tensors: Sequence[Any], axis: int = 0) -> Variable:
    """Arrays one after the other along ``axis``."""
    return join(axis, *tensors)


@public_op
def stack(*tensors: Any, axis: int = 0) -> Variable:
    """Arrays of one shape along a new axis; takes a list, or the arrays one by one."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    variables = [as_variable(tensor) for tensor in given]
    if variables and all(variable.type.weak for variable in variables):
        variables = [variable.astype(common_dtype([v.type for v in variables])) for variable in variables]
    return join(axis, *(expand_dims(variable, axis) for variable in promoted("common", variables)))


def _broadcast_type(type: TensorType, lengths: Shape) -> TensorType:
    dims = zip(reversed(type.shape), reversed(lengths), strict=False)
    if type.ndim > len(lengths) or any(None not in (size, to) and size not in (1, to) for size, to in dims):
        raise ValueError(f"an array of shape {type.shape} does not broadcast to {lengths}")
    return TensorType(type.dtype, tuple(lengths))


register("broadcast_to", lambda x, lengths: jnp.broadcast_to(x, lengths), _broadcast_type, "view")


def broadcast_to(x: Any, shape: Any) -> Variable:
    """``x`` repeated along axes of size 1 and new leading ones to give ``shape``."""
    static, symbolic = split_sizes(size_list(shape), "shape")
    return apply(table_op("broadcast_to", lengths=static), as_variable(x), *symbolic)[0]


def _repeat_type(type: TensorType, lengths: Shape, axis: int) -> TensorType:
    (times,), old = lengths, type.shape[axis]
    if times is not None and times < 0:
        raise ValueError(f"elements cannot be repeated {times} times")
    new = None if old is None or times is None else old * times
    return TensorType(type.dtype, (*type.shape[:axis], new, *type.shape[axis + 1 :]))


register("repeat", lambda x, lengths, axis: jnp.repeat(x, lengths[0], axis), _repeat_type, "memory_bound")


@public_op
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Variable:
    """Each element ``repeats`` times along ``axis``, or of the flattened array.

    ``repeats`` is an int, an integer scalar, or a list of numbers, one for each element.
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
        raise ValueError(f"repeats is an integer scalar or a list of numbers, got {times!r}{here()}")
    if variable.type.shape[axis] not in (None, times.data.size) or not times.type.is_integer or (times.data < 0).any():
        raise ValueError(f"{times!r} does not say how often each element of {variable!r} is repeated{here()}")
    exact = specify_shape(variable, [times.data.size if place == axis else None for place in range(variable.ndim)])
    return exact[(slice(None),) * axis + (np.repeat(np.arange(times.data.size), times.data),)]


def _tile_type(type: TensorType, lengths: Shape) -> TensorType:
    if any(times is not None and times < 0 for times in lengths):
        raise ValueError(f"tile takes numbers from 0 up, got {lengths}")
    sizes = (1,) * (len(lengths) - type.ndim) + type.shape
    dims = zip(sizes, lengths, strict=True)
    return TensorType(type.dtype, tuple(None if None in (old, n) else (old or 0) * (n or 0) for old, n in dims))


register("tile", lambda x, lengths: jnp.tile(x, lengths), _tile_type, "memory_bound")


@public_op
def tile(x: Any, reps: Any, ndim: int | None = None) -> Variable:
    """``x`` laid side by side ``reps`` times along each axis: ints and integer scalars, the last for the last axis.

    ``ndim`` is the number of axes of the result, where ``reps`` has fewer numbers or its size is not known.
    """
    variable = as_variable(x)
    times = size_list(reps, "reps", ndim)
    if ndim is not None and ndim < max(len(times), variable.ndim):
        raise ValueError(f"tile of {variable!r} by {len(times)} numbers has more than ndim={ndim} axes{here()}")
    times = [1] * (max(variable.ndim, ndim or 0) - len(times)) + times
    static, symbolic = split_sizes(times, "reps")
    return apply(table_op("tile", lengths=static), variable, *symbolic)[0]


def _roll_type(type: TensorType, *shift: TensorType, axis: int) -> TensorType:
    return TensorType(type.dtype, type.shape)


register("roll", lambda x, shift, axis: jnp.roll(x, shift, axis), _roll_type, "memory_bound")


def roll(x: Any, shift: Any, axis: int | None = None) -> Variable:
    """Elements moved ``shift`` places along ``axis`` (or in the flattened array), those pushed out entering again.

    ``shift`` is an int or an integer scalar.
    """
    variable = as_variable(x)
    if axis is None:
        sizes = [dim(variable, position) for position in range(variable.ndim)]
        return reshape(roll(reshape(variable, (-1,)), shift, 0), sizes)
    places = as_variable(shift)
    if places.ndim != 0 or not places.type.is_integer:
        raise TypeError(f"shift is an integer scalar, got {places!r}{here()}")
    return apply(table_op("roll", axis=normal_axis(axis, variable.ndim)), variable, places)[0]


ANY_SIZE = -1
"""A size that ``specify_shape`` leaves open."""


def _specify_type(type: TensorType, lengths: Shape) -> TensorType:
    if len(lengths) != type.ndim:
        raise ValueError(f"{len(lengths)} sizes are given for an array of {type.ndim} dimensions")
    sizes: list[int | None] = []
    for old, wanted in zip(type.shape, lengths, strict=True):
        known = old if wanted in (None, ANY_SIZE) else wanted
        if None not in (old, known) and old != known:
            shown = tuple("any" if length == ANY_SIZE else length for length in lengths)
            raise ValueError(f"an array of shape {type.shape} is not of the shape specified, {shown}")
        sizes.append(known)
    return TensorType(type.dtype, tuple(sizes), type.weak)


register("specify_shape", lambda x, lengths: x, _specify_type, "view")


@public_op
def specify_shape(x: Any, shape: Any) -> Variable:
    """``x`` with promised sizes: ints and integer scalars, ``None`` for any. A call that breaks the promise fails.

    A size that is promised to be 1 broadcasts.
    """
    variable = as_variable(x)
    wanted = [ANY_SIZE if size is None else size for size in size_list(shape, "shape", variable.ndim)]
    static, symbolic = split_sizes(wanted, "shape")
    return apply(table_op("specify_shape", lengths=static), variable, *symbolic)[0]


def specify_broadcastable(x: Any, *axes: int) -> Variable:
    """``x``, whose sizes along ``axes`` are promised to be 1, so that they broadcast."""
    variable = as_variable(x)
    ones = normal_axes(axes, variable.ndim)
    return specify_shape(variable, [1 if axis in ones else None for axis in range(variable.ndim)])


addbroadcast = specify_broadcastable


def unbroadcast(x: Any, *axes: int) -> Variable:
    """``x`` itself, for old programs: a size known to be 1 broadcasts, and there is no need to forget it."""
    variable = as_variable(x)
    normal_axes(axes, variable.ndim)
    return variable


def patternbroadcast(x: Any, broadcastable: Sequence[bool]) -> Variable:
    """``x``, whose sizes are promised to be 1 where ``broadcastable`` is true."""
    return specify_broadcastable(x, *(axis for axis, one in enumerate(broadcastable) if one))


@public_op
def split(x: Any, splits_size: Any, n_splits: int | None = None, axis: int = 0) -> list[Variable]:
    """``x`` cut along ``axis`` into parts of these sizes, ints and integer scalars, which must add up to its own.

    ``n_splits`` is the number of parts, where ``splits_size`` is a symbolic vector whose type does not say it.
    """
    variable = as_variable(x)
    axis = normal_axis(axis, variable.ndim)
    sizes = [as_variable(size) for size in size_list(splits_size, "splits_size", n_splits)]
    if n_splits is not None and len(sizes) != n_splits:
        raise ValueError(f"{len(sizes)} sizes are given for {n_splits} parts{here()}")
    ends: list[Variable] = [constant(0)]
    for length in sizes:
        ends.append(ends[-1] + length)
    known = [length.data for length in sizes if isinstance(length, Constant)]
    total = int(np.sum(known)) if len(known) == len(sizes) else ends[-1]
    whole = specify_shape(variable, [total if place == axis else None for place in range(variable.ndim)])
    before = (slice(None),) * axis
    return [whole[(*before, slice(start, end))] for start, end in pairwise(ends)]
