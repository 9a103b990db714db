"""Lowering of reads and writes by index.

A basic index picks one rectangle of an array, which ``lax.slice``, ``lax.dynamic_slice`` and ``dynamic_update_slice``
read and write: XLA updates such a rectangle in place, and fuses it. An index with arrays is a gather or a scatter.
Reads out of bounds give the fill value of the dtype; writes out of bounds do nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax import lax

from loopjax.ir.fill import fill_value
from loopjax.ir.graph import Apply
from loopjax.ir.index import IndexPattern
from loopjax.ir.op import TableOp
from loopjax.lower.interpreter import rule


class _Window:
    """A basic index as one rectangle; ``inside`` is true where its symbolic starts are within the array."""

    def __init__(self, op: TableOp, x: Any, positions: Sequence[Any]) -> None:
        pattern: IndexPattern = op.arguments["pattern"]
        self.inside: Any = None
        rest = iter(positions)
        static = [pattern.rows(axis, op.arguments["lengths"], size) for axis, size in enumerate(x.shape)]
        self.starts = [
            self._symbolic(next(rest), size) if taken is None else min(taken[0], taken[-1]) if taken else 0
            for taken, size in zip(static, x.shape, strict=True)
        ]
        # A symbolic position takes one element, from its start on.
        rows = [range(1) if taken is None else taken for taken in static]
        self.strides = [abs(taken.step) for taken in rows]
        self.sizes = [(len(taken) - 1) * abs(taken.step) + 1 if taken else 0 for taken in rows]
        self.flips = [axis for axis, taken in enumerate(rows) if taken.step < 0]
        self.strided = any(taken.step != 1 for taken in rows)
        self.shape = [1 if axis is None else len(rows[axis]) for axis in pattern.kept_axes]

    def _symbolic(self, index: Any, size: int) -> Any:
        index = jnp.asarray(index).astype(int)
        index = jnp.where(index < 0, index + size, index)
        inside = (index >= 0) & (index < size)
        self.inside = inside if self.inside is None else self.inside & inside
        return index

    def read(self, x: Any) -> Any:
        if self.inside is None:
            limits = [start + size for start, size in zip(self.starts, self.sizes, strict=True)]
            part = lax.slice(x, self.starts, limits, self.strides)
        else:
            part = lax.dynamic_slice(x, self._dynamic_starts(), self.sizes)
            part = lax.slice(part, [0] * part.ndim, part.shape, self.strides)
        if self.flips:
            part = lax.rev(part, self.flips)
        return part.reshape(self.shape)

    def write(self, x: Any, value: Any) -> Any:
        """Replace the rectangle in ``x``; unit strides only."""
        return lax.dynamic_update_slice(x, value.reshape(self.sizes), self._dynamic_starts())

    def _dynamic_starts(self) -> list[Any]:
        return [jnp.asarray(start, dtype=int) for start in self.starts]


def _is_basic(node: Apply, first: int) -> bool:
    return all(variable.ndim == 0 for variable in node.inputs[first:])


def _numpy_key(op: TableOp, arrays: Sequence[Any]) -> tuple[Any, ...]:
    """The index in the form that ``jax.numpy`` takes."""
    return op.arguments["pattern"].key(op.arguments["lengths"], map(jnp.asarray, arrays))


@rule("index")
def _read(node: Apply, op: TableOp, args: Sequence[Any]) -> Sequence[Any]:
    x, *positions = args
    x = jnp.asarray(x)
    fill = fill_value(x.dtype)
    if not _is_basic(node, 1):
        if 0 in x.shape:  # JAX's gather refuses to read from nothing
            return (jnp.full(node.outputs[0].type.sizes, fill, x.dtype),)
        return (x.at[_numpy_key(op, positions)].get(mode="fill", fill_value=fill),)
    window = _Window(op, x, positions)
    if 0 in x.shape and window.inside is not None:
        return (jnp.full(window.shape, fill, x.dtype),)
    part = window.read(x)
    return (part if window.inside is None else jnp.where(window.inside, part, jnp.asarray(fill, x.dtype)),)


@rule("set")
@rule("inc")
def _write(node: Apply, op: TableOp, args: Sequence[Any]) -> Sequence[Any]:
    x, value, *positions = (jnp.asarray(arg) for arg in args)
    adds = op.name == "inc"
    window = _Window(op, x, positions) if _is_basic(node, 2) else None
    if window is None or window.strided:
        at = x.at[_numpy_key(op, positions)]
        return ((at.add if adds else at.set)(value, mode="drop"),)
    if 0 in x.shape or 0 in window.sizes:
        return (x,)
    old: Any = window.read(x) if adds or window.inside is not None else None
    value = jnp.broadcast_to(value, window.shape)
    value = old + value if adds else value
    if window.inside is not None:
        value = jnp.where(window.inside, value, old)
    return (window.write(x, value),)
