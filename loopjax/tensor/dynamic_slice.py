"""Slices whose start is a run-time value, along several axes at once: `jax.lax.dynamic_slice`.

An index such as ``x[i:i + 3]`` has a size that is known while compiling, after simplification, and a start that is not.
Its ``window`` node has the starts and sizes as inputs; the sizes must be numbers before it is compiled, the starts need
not, so that one compiled program serves every position. NumPy's rules for bounds out of range are spelled out in
`bounds`, since ``dynamic_slice`` itself clamps the start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import core, lax

from loopjax.ir.dim import Bounds as DimBounds
from loopjax.ir.dim import Dim, Interval, emitted, is_natural_number
from loopjax.ir.equality import computed_alike
from loopjax.ir.graph import Constant, Variable, apply
from loopjax.ir.lengths import is_shape
from loopjax.ir.op import register, table_op
from loopjax.ir.types import Shape, TensorType
from loopjax.tensor.elementwise import add, cast, floor_div, lt, maximum, minimum, mul, sub, switch
from loopjax.tensor.lengths import split_sizes
from loopjax.tensor.shape import dim
from loopjax.trace.convert import as_variable


class Bounds(NamedTuple):
    """Start and number of elements of a slice along an axis, after NumPy's clipping."""

    axis: int
    start: Variable
    size: Variable


def _window_type(x: TensorType, *starts: TensorType, axes: tuple[int, ...], lengths: Shape, inner: bool) -> TensorType:
    """The type of a ``window``."""
    shape = list(x.shape)
    for axis, size in zip(axes, lengths, strict=True):
        shape[axis] = size
    return TensorType(x.dtype, tuple(shape))


def _put_type(
    x: TensorType, value: TensorType, *starts: TensorType, axes: tuple[int, ...], lengths: Shape, inner: bool
) -> TensorType:
    """The type of the array that a window is written into."""
    return TensorType(x.dtype, x.shape)


def _starts(x: Any, starts: Sequence[Any], axes: tuple[int, ...]) -> list[Any]:
    """Start along every axis of ``x``, 0 where there is no window."""
    by_axis = [jnp.zeros((), int)] * x.ndim
    for axis, start in zip(axes, starts, strict=True):
        by_axis[axis] = jnp.asarray(start, int)
    return by_axis


def _window_run(x: Any, *starts: Any, axes: tuple[int, ...], lengths: tuple[int, ...], inner: bool) -> Any:
    """Read a window; one that no step of a loop reads may have more rows than the array."""
    sizes = list(x.shape)
    for axis, size in zip(axes, lengths, strict=True):
        sizes[axis] = size
    missing = [(0, core.max_dim(size - rows, 0)) for size, rows in zip(sizes, x.shape, strict=True)]
    x = jnp.pad(x, missing) if any(rows for _, rows in missing) else x
    return lax.dynamic_slice(x, _starts(x, starts, axes), sizes)


def _put_run(x: Any, value: Any, *starts: Any, axes: tuple[int, ...], lengths: tuple[int, ...], inner: bool) -> Any:
    """Write a window; one of more rows than the array has is written by no step."""
    if any(new > old for new, old in zip(value.shape, x.shape, strict=True)):
        return x
    return lax.dynamic_update_slice(x, value, _starts(x, starts, axes))


register("window", _window_run, _window_type, "memory_bound", "selection")
register("put_window", _put_run, _put_type, "memory_bound")


def slides(entry: Any) -> bool:
    """True for a slice of step 1 whose start is symbolic."""
    if not isinstance(entry, slice) or isinstance(entry.step, Variable) or entry.step not in (None, 1):
        return False
    return isinstance(entry.start, Variable) and not isinstance(entry.start, Constant)


def bounds(x: Variable, axis: int, entry: slice) -> Bounds:
    """Start and size of a slice of ``x`` along ``axis``.

    A slice whose width does not depend on where it begins, such as ``x[i:i + k]``, has at most that size.
    """
    length = dim(x, axis)
    start = _clipped(entry.start, length)
    stop = length if entry.stop is None else _clipped(entry.stop, length)
    size = maximum(sub(stop, start), 0)
    most = None if entry.stop is None else _width(_dim(entry.start), _dim(entry.stop), length)
    return Bounds(axis, start, size if most is None else minimum(size, most))


def _width(start: Dim, stop: Dim, length: Variable) -> Variable | int | None:
    """Return the number of rows that a slice has at most, where terms of the start cancel in ``stop - start``.

    So they do in ``x[i:i + k]``, which has at most ``k`` rows, and in ``x[2 * i - k:2 * i]``, not in ``x[i:j]``.
    """
    pairs = ((one, other) for one in stop.variables for other in start.variables if computed_alike(one, other))
    width = stop.renamed(dict(pairs)) - start
    if width.number is not None:
        return width.number if width.number >= 0 else None
    if start.terms.keys() <= width.terms.keys():
        return None
    value = emitted(width, lambda name, *values: OPS[name](*values), _by_sign, lambda atom: cast(atom, "int64"))
    least = Interval(_bounds_of_size, is_natural_number).least(width)
    if least is not None and is_natural_number(least):
        return as_variable(value)
    return _by_sign(value, maximum(add(value, length), 0), value)  # x[3:-2], of width -5, has at most n - 5


OPS = {"add": add, "sub": sub, "mul": mul, "floor_div": floor_div, "minimum": minimum, "maximum": maximum}
"""The ops that compute dims."""


def _bounds_of_size(leaf: Any) -> DimBounds:
    """Bounds of a variable that is known to be a size."""
    is_size = isinstance(leaf, Variable) and leaf.owner is not None and is_shape(leaf.owner)
    return DimBounds(Dim.of(0) if is_size else None, None)


def _by_sign(sign: Any, negative: Any, other: Any) -> Variable:
    return switch(lt(sign, 0), negative, other)


def _dim(bound: Any) -> Dim:
    return Dim.of(cast(as_variable(bound), "int64"))


def _clipped(bound: Any, length: Variable) -> Variable:
    """Bound counted from the front and clipped to the axis."""
    position = cast(as_variable(bound), "int64")
    return switch(lt(position, 0), maximum(add(position, length), 0), minimum(position, length))


def window(x: Variable, along: Sequence[Bounds], inner: bool) -> Variable:
    """Read a window of ``x``; ``inner`` where the rest of the same index is still to be applied to it."""
    static, symbolic = split_sizes([bound.size for bound in along], "a slice")
    op = table_op("window", axes=tuple(bound.axis for bound in along), lengths=static, inner=inner)
    return apply(op, x, *(bound.start for bound in along), *symbolic)[0]


def put_back(part: Variable, value: Variable) -> Variable:
    """The array that ``part`` is a window of, with ``value`` in the window's place."""
    node = part.owner
    assert node is not None
    x, *rest = node.inputs
    return apply(table_op("put_window", **node.op.arguments), x, value, *rest)[0]


def is_window(variable: Variable, inner: bool) -> bool:
    """True for the result of `window` with this ``inner``."""
    node = variable.owner
    if node is None or not node.op.named("window"):
        return False
    return bool(node.op.arguments["inner"]) == inner
