"""Slices whose start is a run-time value: one compiled program for every position of a window of one size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from loopjax.ir.graph import Constant, Variable, apply
from loopjax.ir.op import TableOp, register, table_op
from loopjax.ir.types import Shape, TensorType
from loopjax.tensor.elementwise import add, cast, lt, maximum, minimum, sub, switch
from loopjax.tensor.lengths import split_sizes
from loopjax.tensor.shape import dim
from loopjax.trace.convert import as_variable


class Bounds(NamedTuple):
    """Where a slice starts along an axis and how many elements it has, as NumPy clips it."""

    axis: int
    start: Variable
    size: Variable


def _window_type(x: TensorType, *starts: TensorType, axes: tuple[int, ...], lengths: Shape, inner: bool) -> TensorType:
    shape = list(x.shape)
    for axis, size in zip(axes, lengths, strict=True):
        shape[axis] = size
    return TensorType(x.dtype, tuple(shape))


def _put_type(
    x: TensorType, value: TensorType, *starts: TensorType, axes: tuple[int, ...], lengths: Shape, inner: bool
) -> TensorType:
    return TensorType(x.dtype, x.shape)


def _starts(x: Any, starts: Sequence[Any], axes: tuple[int, ...]) -> list[Any]:
    found = [jnp.zeros((), "int64")] * x.ndim
    for axis, start in zip(axes, starts, strict=True):
        found[axis] = jnp.asarray(start, "int64")
    return found


def _window_run(x: Any, *starts: Any, axes: tuple[int, ...], lengths: tuple[int, ...], inner: bool) -> Any:
    sizes = list(x.shape)
    for axis, size in zip(axes, lengths, strict=True):
        sizes[axis] = size
    return lax.dynamic_slice(x, _starts(x, starts, axes), sizes)


def _put_run(x: Any, value: Any, *starts: Any, axes: tuple[int, ...], lengths: tuple[int, ...], inner: bool) -> Any:
    return lax.dynamic_update_slice(x, value, _starts(x, starts, axes))


register("window", _window_run, _window_type, "memory_bound")
register("put_window", _put_run, _put_type, "memory_bound")


def slides(entry: Any) -> bool:
    """Whether an entry of an index is a slice with step 1 whose start is symbolic."""
    start = entry.start if isinstance(entry, slice) and entry.step in (None, 1) else None
    return isinstance(start, Variable) and not isinstance(start, Constant)


def bounds(x: Variable, axis: int, entry: slice) -> Bounds:
    """The start and size of a slice of ``x`` along ``axis``."""
    length = dim(x, axis)
    start = _clipped(entry.start, length)
    stop = length if entry.stop is None else _clipped(entry.stop, length)
    return Bounds(axis, start, maximum(sub(stop, start), 0))


def _clipped(bound: Any, length: Variable) -> Variable:
    """A bound counted from the front and inside of the axis."""
    given = cast(as_variable(bound), "int64")
    return switch(lt(given, 0), maximum(add(given, length), 0), minimum(given, length))


def window(x: Variable, along: Sequence[Bounds], inner: bool) -> Variable:
    """The part of ``x`` inside of these bounds; ``inner`` where more of the same index is still to be read from it."""
    static, symbolic = split_sizes([one.size for one in along], "a slice")
    op = table_op("window", axes=tuple(one.axis for one in along), lengths=static, inner=inner)
    return apply(op, x, *(one.start for one in along), *symbolic)[0]


def put_back(part: Variable, value: Variable) -> Variable:
    """The array that ``part`` is a window of, with ``value`` in its place."""
    node = part.owner
    assert node is not None
    assert isinstance(node.op, TableOp)
    x, *rest = node.inputs
    return apply(TableOp("put_window", node.op.params), x, value, *rest)[0]


def is_window(variable: Variable, inner: bool) -> bool:
    """Whether a variable is what ``window`` gives, as a step on the way to what an index reads or as all of it."""
    node = variable.owner
    if node is None or not isinstance(node.op, TableOp) or node.op.row != "window":
        return False
    return bool(node.op.arguments["inner"]) == inner
