"""Shapes: reading them, changing them, joining arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from loopjax.tensor.axes import normal_axes
from loopjax.tensor.lengths import holes, size_list
from loopjax.trace.convert import as_variable, constant
from loopjax.trace.graph import Variable, apply
from loopjax.trace.methods import word
from loopjax.trace.op import call, register
from loopjax.trace.promotion import common_dtype, fold_weak
from loopjax.trace.types import Shape, TensorType, merge_dims


def _shape_type(type: TensorType) -> TensorType:
    return TensorType("int64", (type.ndim,))


def _dim_type(type: TensorType, axis: int) -> TensorType:
    return TensorType("int64")


register("shape", lambda x: jnp.asarray(x.shape, dtype="int64").reshape(x.ndim), _shape_type)
register("dim", lambda x, axis: jnp.asarray(x.shape[axis], dtype="int64"), _dim_type)


@word
def shape(x: Any) -> Variable:
    """The sizes of ``x``, an int64 vector of known length."""
    return apply(call("shape"), as_variable(x))[0]


@word
def dim(x: Any, axis: int) -> Variable:
    """``x.shape[axis]``, an int64 scalar; a constant where it is known."""
    variable = as_variable(x)
    (axis,) = normal_axes(axis, variable.ndim)
    known = variable.type.shape[axis]
    if known is not None:
        return constant(known)
    return apply(call("dim", axis=axis), variable)[0]


@word
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


register("reshape", lambda x, lengths: jnp.reshape(x, lengths), _reshape_type)


@word
def reshape(x: Any, *newshape: Any, ndim: int | None = None) -> Variable:
    """The elements of ``x`` in C order in another shape: ints and integer scalars, one of them -1 at most."""
    target = size_list(newshape[0]) if len(newshape) == 1 else list(newshape)
    static, symbolic = holes(target, "newshape")
    return apply(call("reshape", lengths=static), as_variable(x), *symbolic)[0]


@word
def flatten(x: Any, ndim: int = 1) -> Variable:
    """The last axes joined so that ``ndim`` are left."""
    variable = as_variable(x)
    if ndim < 1 or ndim > max(variable.ndim, 1):
        raise ValueError(f"flatten leaves 1 to {variable.ndim} axes, not {ndim}")
    if ndim == variable.ndim:
        return variable
    return reshape(variable, [*(dim(variable, axis) for axis in range(ndim - 1)), -1])


def _transpose_type(type: TensorType, axes: tuple[int, ...]) -> TensorType:
    return type.with_shape([type.shape[axis] for axis in axes])


register("transpose", lambda x, axes: jnp.transpose(x, axes), _transpose_type)


@word
def transpose(x: Any, *axes: Any) -> Variable:
    """The axes in another order, reversed by default."""
    variable = as_variable(x)
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], (list, tuple))):
        axes = tuple(axes[0] or ())
    order = tuple(range(variable.ndim))[::-1] if not axes else tuple(axis % variable.ndim for axis in axes)
    if sorted(order) != list(range(variable.ndim)):
        raise ValueError(f"transpose of {variable.ndim} axes cannot take the order {axes}")
    return apply(call("transpose", axes=order), variable)[0]


@word
def swapaxes(x: Any, axis1: int, axis2: int) -> Variable:
    """Two axes exchanged."""
    variable = as_variable(x)
    order = list(range(variable.ndim))
    order[axis1], order[axis2] = order[axis2], order[axis1]
    return transpose(variable, order)


def _dimshuffle_type(type: TensorType, pattern: tuple[int | None, ...]) -> TensorType:
    for axis, dim_ in enumerate(type.shape):
        if axis not in pattern and dim_ not in (None, 1):
            raise ValueError(f"dimshuffle{pattern} drops axis {axis}, whose size is {dim_} and not 1")
    return type.with_shape([1 if axis is None else type.shape[axis] for axis in pattern])


def _dimshuffle_run(x: Any, pattern: tuple[int | None, ...]) -> Any:
    kept = [axis for axis in pattern if axis is not None]
    dropped = [axis for axis in range(x.ndim) if axis not in kept]
    ordered = jnp.transpose(jnp.squeeze(x, dropped), _ranks(kept))
    return jnp.expand_dims(ordered, [position for position, axis in enumerate(pattern) if axis is None])


def _ranks(axes: Sequence[int]) -> list[int]:
    order = sorted(axes)
    return [order.index(axis) for axis in axes]


register("dimshuffle", _dimshuffle_run, _dimshuffle_type)


@word
def dimshuffle(x: Any, *pattern: Any) -> Variable:
    """Axes in the order of ``pattern``, a new axis of size 1 for each ``'x'``; dropped axes must have size 1."""
    variable = as_variable(x)
    if len(pattern) == 1 and isinstance(pattern[0], (list, tuple)):
        pattern = tuple(pattern[0])
    axes = tuple(None if axis == "x" else axis % max(variable.ndim, 1) for axis in pattern)
    kept = [axis for axis in axes if axis is not None]
    if len(set(kept)) != len(kept):
        raise ValueError(f"dimshuffle{pattern} repeats an axis")
    return apply(call("dimshuffle", pattern=axes), variable)[0]


@word
def squeeze(x: Any, axis: int | Sequence[int] | None = None) -> Variable:
    """Without the axes of size 1: those named, or all whose size is known to be 1."""
    variable = as_variable(x)
    if axis is None:
        dropped = tuple(position for position, dim_ in enumerate(variable.type.shape) if dim_ == 1)
    else:
        dropped = normal_axes(axis, variable.ndim)
    return dimshuffle(variable, *(position for position in range(variable.ndim) if position not in dropped))


def expand_dims(x: Any, axis: int) -> Variable:
    """A new axis of size 1 before ``axis``."""
    variable = as_variable(x)
    order: list[Any] = list(range(variable.ndim))
    order.insert(axis if axis >= 0 else axis + variable.ndim + 1, "x")
    return dimshuffle(variable, *order)


def shape_padleft(x: Any, n_ones: int = 1) -> Variable:
    """``n_ones`` axes of size 1 before the others."""
    variable = as_variable(x)
    return dimshuffle(variable, *["x"] * n_ones, *range(variable.ndim))


def shape_padright(x: Any, n_ones: int = 1) -> Variable:
    """``n_ones`` axes of size 1 after the others."""
    variable = as_variable(x)
    return dimshuffle(variable, *range(variable.ndim), *["x"] * n_ones)


def _join_type(*types: TensorType, axis: int) -> TensorType:
    if len({type.ndim for type in types}) > 1:
        raise ValueError(f"join takes arrays of one number of dimensions, got {[type.shape for type in types]}")
    shape_: list[int | None] = []
    for position, dims in enumerate(zip(*(type.shape for type in types), strict=True)):
        if position == axis:
            shape_.append(None if None in dims else sum(dim_ for dim_ in dims if dim_ is not None))
            continue
        merged: int | None = None
        for dim_ in dims:
            merged = merge_dims(merged, dim_)
        shape_.append(merged)
    return TensorType(common_dtype(types), tuple(shape_))


register("join", lambda *xs, axis: jnp.concatenate(xs, axis), _join_type, operands="common")


@word
def join(axis: int, *tensors: Any) -> Variable:
    """Arrays one after the other along ``axis``."""
    variables = fold_weak("common", [as_variable(tensor) for tensor in tensors])
    if not variables or variables[0].ndim == 0:
        raise ValueError("join needs arrays of at least one dimension; use stack for scalars")
    (axis,) = normal_axes(axis, variables[0].ndim)
    if len(variables) == 1:
        return variables[0]
    return apply(call("join", axis=axis), *variables)[0]


def concatenate(tensors: Sequence[Any], axis: int = 0) -> Variable:
    """Arrays one after the other along ``axis``."""
    return join(axis, *tensors)


@word
def stack(*tensors: Any, axis: int = 0) -> Variable:
    """Arrays of one shape along a new axis; takes a list, or the arrays one by one."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    variables = [as_variable(tensor) for tensor in given]
    if variables and all(variable.type.weak for variable in variables):
        variables = [variable.astype(common_dtype([v.type for v in variables])) for variable in variables]
    return join(axis, *(expand_dims(variable, axis) for variable in fold_weak("common", variables)))


def _broadcast_type(type: TensorType, lengths: Shape) -> TensorType:
    return TensorType(type.dtype, tuple(lengths))


register("broadcast_to", lambda x, lengths: jnp.broadcast_to(x, lengths), _broadcast_type)


def broadcast_to(x: Any, shape: Any) -> Variable:
    """``x`` repeated along axes of size 1 and new leading ones to give ``shape``."""
    static, symbolic = holes(size_list(shape), "shape")
    return apply(call("broadcast_to", lengths=static), as_variable(x), *symbolic)[0]


def _repeat_type(type: TensorType, lengths: Shape, axis: int) -> TensorType:
    (times,), old = lengths, type.shape[axis]
    new = None if old is None or times is None else old * times
    return TensorType(type.dtype, (*type.shape[:axis], new, *type.shape[axis + 1 :]))


register("repeat", lambda x, lengths, axis: jnp.repeat(x, lengths[0], axis), _repeat_type)


@word
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Variable:
    """Each element ``repeats`` times (one number for all) along ``axis``, or of the flattened array."""
    variable = as_variable(x)
    if axis is None:
        variable, axis = flatten(variable) if variable.ndim else shape_padleft(variable), 0
    (axis,) = normal_axes(axis, variable.ndim)
    static, symbolic = holes([repeats], "repeats")
    return apply(call("repeat", lengths=static, axis=axis), variable, *symbolic)[0]


def _roll_type(type: TensorType, shift: int, axis: int) -> TensorType:
    return type


register("roll", lambda x, shift, axis: jnp.roll(x, shift, axis), _roll_type)


def roll(x: Any, shift: int, axis: int | None = None) -> Variable:
    """Elements moved ``shift`` places along ``axis`` (or in the flattened array), those pushed out entering again."""
    variable = as_variable(x)
    if axis is None:
        sizes = [dim(variable, position) for position in range(variable.ndim)]
        return reshape(roll(flatten(variable), shift, 0), sizes)
    (axis,) = normal_axes(axis, variable.ndim)
    return apply(call("roll", shift=shift, axis=axis), variable)[0]
