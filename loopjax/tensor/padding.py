"""Ops on padded arrays, where only the first ``count`` rows along an axis are valid; recorded by the padding pass.

A program whose lengths vary is compiled for a capacity, and its arrays are padded to it. The rows past the count hold a
copy of row 0, so that nothing computed on them is less valid than what is computed on it (no division by a zero that
padding brought in). An op that mixes rows masks the padding first, with the identity element of what it computes. No
gradient flows from padding: the copy of row 0 passes through ``stop_gradient``.

- ``fill_rows`` overwrites the padding, with row 0 or with a poison value.
- ``mask_rows`` overwrites it with an identity element.
- ``resize`` cuts or extends an axis to another capacity.
- ``cut`` returns the valid rows; it has no implementation here, since its result's shape depends on the count.
- ``capacity`` is the capacity for a length.
"""

from __future__ import annotations

from typing import Any, Literal

import jax.numpy as jnp
from jax import lax

from loopjax.ir.capacities import capacity
from loopjax.ir.fill import filled, unwritten
from loopjax.ir.monoid import Element, element
from loopjax.ir.op import register
from loopjax.ir.types import Shape, TensorType


def _valid(x: Any, count: Any, axis: int) -> Any:
    """Mask of the valid rows, in a shape that broadcasts with ``x``."""
    rows = jnp.arange(x.shape[axis], dtype="int32") < count.astype("int32")
    return rows.reshape([-1 if each == axis else 1 for each in range(x.ndim)])


def _fill_run(x: Any, count: Any, axis: int, value: Literal["row 0", "poison"]) -> Any:
    """Overwrite the padding with row 0, or with NaN (the least integer) for tests that nothing reads it."""
    if x.shape[axis] == 0:
        return x
    if value == "poison":
        return jnp.where(_valid(x, count, axis), x, filled((), x.dtype))
    first = lax.stop_gradient(lax.slice_in_dim(x, 0, 1, axis=axis))
    return jnp.where(_valid(x, count, axis), x, first)


def _mask_run(x: Any, count: Any, axis: int, value: Element) -> Any:
    """Overwrite the padding with the identity element of a reduction."""
    return jnp.where(_valid(x, count, axis), x, jnp.asarray(element(value, x.dtype), x.dtype))


def _resize_run(x: Any, lengths: tuple[int], axis: int) -> Any:
    """Cut an axis, or extend it by rows that nothing reads before they are written."""
    missing = lengths[0] - x.shape[axis]
    if missing <= 0:
        return lax.slice_in_dim(x, 0, lengths[0], axis=axis)
    extra = unwritten([missing if each == axis else size for each, size in enumerate(x.shape)], str(x.dtype))
    return jnp.concatenate([x, extra], axis)


def _resize_type(type: TensorType, lengths: Shape, axis: int) -> TensorType:
    """The type with another size along ``axis``."""
    return type.with_shape([lengths[0] if each == axis else size for each, size in enumerate(type.shape)])


def _same(type: TensorType, count: TensorType, axis: int, value: str = "") -> TensorType:
    """The type of the operand."""
    return type.strong()


def _cut_type(type: TensorType, *counts: TensorType, axes: tuple[int, ...]) -> TensorType:
    """The type with unknown sizes along the axes that are cut."""
    return type.with_shape([None if axis in axes else size for axis, size in enumerate(type.shape)])


register("fill_rows", _fill_run, _same, "memory_bound", "selection")
register("mask_rows", _mask_run, _same, "memory_bound")
register("resize", _resize_run, _resize_type, "memory_bound", "selection")
register("cut", None, _cut_type, "selection")
register("capacity", lambda length, fine: capacity(length, fine, jnp), lambda type, fine: TensorType("int64"))
