"""Ops on axes whose first ``count`` rows alone mean something: what the pass ``pad`` emits.

The rows past the count hold a copy of row 0, so that nothing computed on them is less valid than what is computed on
it; what mixes rows masks them first. No gradient flows from a row past the count.
"""

from __future__ import annotations

from typing import Any, Literal

import jax.numpy as jnp
from jax import lax

from loopjax.ir.fill import fill_value, unwritten
from loopjax.ir.lengths import capacity
from loopjax.ir.monoid import Element, element
from loopjax.ir.op import register
from loopjax.ir.types import Shape, TensorType


def _counts(x: Any, count: Any, axis: int) -> Any:
    """Which rows count, in a shape that broadcasts with ``x``."""
    rows = jnp.arange(x.shape[axis], dtype="int32") < count.astype("int32")
    return rows.reshape([-1 if place == axis else 1 for place in range(x.ndim)])


def _fill_run(x: Any, count: Any, axis: int, value: Literal["row 0", "poison"]) -> Any:
    if x.shape[axis] == 0:
        return x
    if value == "poison":
        return jnp.where(_counts(x, count, axis), x, jnp.asarray(fill_value(x.dtype), x.dtype))
    first = lax.stop_gradient(lax.slice_in_dim(x, 0, 1, axis=axis))
    return jnp.where(_counts(x, count, axis), x, first)


def _mask_run(x: Any, count: Any, axis: int, value: Element) -> Any:
    return jnp.where(_counts(x, count, axis), x, jnp.asarray(element(value, x.dtype), x.dtype))


def _resize_run(x: Any, lengths: tuple[int], axis: int) -> Any:
    missing = lengths[0] - x.shape[axis]
    if missing <= 0:
        return lax.slice_in_dim(x, 0, lengths[0], axis=axis)
    more = unwritten([missing if place == axis else size for place, size in enumerate(x.shape)], str(x.dtype))
    return jnp.concatenate([x, more], axis)


def _resize_type(type: TensorType, lengths: Shape, axis: int) -> TensorType:
    return type.with_shape([lengths[0] if place == axis else size for place, size in enumerate(type.shape)])


def _same(type: TensorType, count: TensorType, axis: int, value: str = "") -> TensorType:
    return type.strong()


def _cut_type(type: TensorType, *counts: TensorType, axes: tuple[int, ...]) -> TensorType:
    return type.with_shape([None if place in axes else size for place, size in enumerate(type.shape)])


register("fill_rows", _fill_run, _same)
register("mask_rows", _mask_run, _same)
register("resize", _resize_run, _resize_type)
register("cut", None, _cut_type)
register("capacity", lambda length, fine: capacity(length, fine, jnp), lambda type, fine: TensorType("int64"))
