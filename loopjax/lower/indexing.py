"""Lowering of reads and writes by index.

A basic index picks one rectangle of an array, which ``lax.slice``, ``lax.dynamic_slice`` and ``dynamic_update_slice``
read and write: XLA updates such a rectangle in place, and fuses it. An index with arrays is a gather or a scatter.
Reads out of bounds give the fill value of the dtype; writes out of bounds do nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from loopjax.ir.fill import fill_value, filled, is_key_dtype
from loopjax.ir.graph import Apply
from loopjax.ir.index import Array, IndexPattern
from loopjax.ir.op import TableOp
from loopjax.ir.symbolic_sizes import is_symbolic
from loopjax.lower.interpreter import rule
from loopjax.lower.placement import aligned, in_types


class _Window:
    """A basic index as one rectangle; ``inside`` is true where its symbolic starts are within the array, ``None`` where
    all are known to be."""

    def __init__(self, op: TableOp, x: Any, positions: Sequence[Any]) -> None:
        pattern: IndexPattern = op.arguments["pattern"]
        self.inside: Any = None
        rest = iter(zip(positions, pattern.arrays, strict=True))
        static = [pattern.rows(axis, op.arguments["lengths"], size) for axis, size in enumerate(x.shape)]
        self.is_static = None not in static
        self.starts = [
            self._symbolic(*next(rest), size) if taken is None else min(taken[0], taken[-1]) if taken else 0
            for taken, size in zip(static, x.shape, strict=True)
        ]
        # A symbolic position takes one element, from its start on.
        rows = [range(1) if taken is None else taken for taken in static]
        self.strides = [abs(taken.step) for taken in rows]
        self.sizes = [(len(taken) - 1) * abs(taken.step) + 1 if taken else 0 for taken in rows]
        self.flips = [axis for axis, taken in enumerate(rows) if taken.step < 0]
        self.is_element = not self.is_static and math.prod(self.sizes) == 1
        self.strided = any(taken.step != 1 for taken in rows)
        self.shape = [1 if axis is None else len(rows[axis]) for axis in pattern.kept_axes]

    def _symbolic(self, index: Any, entry: Array, size: int) -> Any:
        index = jnp.asarray(index).astype(int)
        if entry.wraps:
            index = jnp.where(index < 0, index + size, index)
        if entry.is_within:
            return index
        inside = (index >= 0) & (index < size)
        self.inside = inside if self.inside is None else self.inside & inside
        return index

    def read(self, x: Any) -> Any:
        if self.is_static:
            limits = [start + size for start, size in zip(self.starts, self.sizes, strict=True)]
            part = lax.slice(x, self.starts, limits, self.strides)
        else:
            part = lax.dynamic_slice(x, self._dynamic_starts(), self.sizes, allow_negative_indices=False)
            part = lax.slice(part, [0] * part.ndim, part.shape, self.strides)
        if self.flips:
            part = lax.rev(part, self.flips)
        return part.reshape(self.shape)

    def write(self, x: Any, value: Any) -> Any:
        """Replace the rectangle in ``x``; unit strides only."""
        value = value.reshape(self.sizes)
        x, value = aligned([x, value]) if in_types() else (x, value)
        return lax.dynamic_update_slice(x, value, self._dynamic_starts(), allow_negative_indices=False)

    def _dynamic_starts(self) -> list[Any]:
        return [jnp.asarray(start, dtype=int) for start in self.starts]


def _is_basic(node: Apply, first: int) -> bool:
    return all(variable.ndim == 0 for variable in node.inputs[first:])


def _numpy_key(op: TableOp, arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The index in the form that ``jax.numpy`` takes."""
    return op.arguments["pattern"].key(op.arguments["lengths"], map(jnp.asarray, arrays))


def _mode(op: TableOp, outside: str) -> dict[str, Any]:
    """The options of ``jax.numpy`` for positions out of bounds, and for negative ones, as far as there can be any."""
    pattern: IndexPattern = op.arguments["pattern"]
    mode = "promise_in_bounds" if all(entry.is_within for entry in pattern.arrays) else outside
    wraps = any(entry.wraps if isinstance(entry, Array) else isinstance(entry, int) for entry in pattern.entries)
    return {"mode": mode, "wrap_negative_indices": wraps}


def _is_unique(op: TableOp, positions: Sequence[Any]) -> bool:
    """Test if no element is written twice: positions along one axis are distinct, as many as there are in all."""
    shape = np.broadcast_shapes(*(np.shape(one) for one in positions))
    pairs = zip(op.arguments["pattern"].arrays, positions, strict=True)
    return len(shape) == 1 and any(entry.distinct and np.shape(one) == shape for entry, one in pairs)


@rule("index")
def _read(node: Apply, op: TableOp, args: Sequence[Any]) -> Sequence[Any]:
    x, *positions = args
    x = jnp.asarray(x)
    if not _is_basic(node, 1) or any(map(is_symbolic, x.shape)):
        if 0 in x.shape:  # JAX's gather refuses to read from nothing
            return (filled(node.outputs[0].type.sizes, x.dtype),)
        fill = None if is_key_dtype(x.dtype) else fill_value(x.dtype)  # which JAX has for keys
        return (x.at[_numpy_key(op, positions)].get(fill_value=fill, **_mode(op, "fill")),)
    window = _Window(op, x, positions)
    if 0 in x.shape and window.inside is not None:
        return (filled(window.shape, x.dtype),)
    part = window.read(x)
    return (part if window.inside is None else jnp.where(window.inside, part, filled((), x.dtype)),)


@rule("set")
@rule("inc")
def _write(node: Apply, op: TableOp, args: Sequence[Any]) -> Sequence[Any]:
    x, value, *positions = (jnp.asarray(arg) for arg in args)
    adds = op.name == "inc"
    is_rectangle = _is_basic(node, 2) and not any(map(is_symbolic, x.shape))
    window = _Window(op, x, positions) if is_rectangle else None
    # XLA makes a scatter at one position a slice too. It is one kernel of an element, where a slice would be fused with
    # the loop that computes the array, and its derivative reads no old value, as a check of a slice would.
    if window is None or window.strided or window.inside is not None or window.is_element:
        at = x.at[_numpy_key(op, positions)]
        options = {**_mode(op, "drop"), "unique_indices": _is_unique(op, positions)}
        return ((at.add if adds else at.set)(value, **options),)
    if 0 in x.shape or 0 in window.sizes:
        return (x,)
    value = jnp.broadcast_to(value, window.shape)
    return (window.write(x, window.read(x) + value if adds else value),)
