"""Products of vectors and matrices."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from loopjax.trace.convert import as_variable
from loopjax.trace.graph import Variable, apply
from loopjax.trace.methods import word
from loopjax.trace.op import call, register
from loopjax.trace.promotion import common_dtype, fold_weak
from loopjax.trace.types import TensorType, broadcast_shapes, merge_dims


def _contract(a: int | None, b: int | None, x: TensorType, y: TensorType) -> None:
    try:
        merge_dims(a, b)
    except ValueError as error:
        raise ValueError(f"shapes {x.shape} and {y.shape} do not multiply: {error}") from error


def _dot_type(x: TensorType, y: TensorType) -> TensorType:
    if x.ndim == 0 or y.ndim == 0:
        raise ValueError("dot of a scalar; write *")
    _contract(x.shape[-1], y.shape[-2] if y.ndim > 1 else y.shape[0], x, y)
    kept = (*y.shape[:-2], y.shape[-1]) if y.ndim > 1 else ()
    return TensorType(common_dtype([x, y]), (*x.shape[:-1], *kept))


def _matmul_type(x: TensorType, y: TensorType) -> TensorType:
    if x.ndim == 0 or y.ndim == 0:
        raise ValueError("matmul of a scalar; write *")
    if x.ndim <= 2 and y.ndim <= 2:
        return _dot_type(x, y)
    left = x.with_shape((1, *x.shape)) if x.ndim == 1 else x
    right = y.with_shape((*y.shape, 1)) if y.ndim == 1 else y
    _contract(left.shape[-1], right.shape[-2], x, y)
    batch = broadcast_shapes(left.shape[:-2], right.shape[:-2])
    rows = () if x.ndim == 1 else (x.shape[-2],)
    columns = () if y.ndim == 1 else (y.shape[-1],)
    return TensorType(common_dtype([x, y]), (*batch, *rows, *columns))


def _outer_type(x: TensorType, y: TensorType) -> TensorType:
    return TensorType(common_dtype([x, y]), (x.shape[0], y.shape[0]))


register("dot", jnp.dot, _dot_type, operands="common")
register("matmul", jnp.matmul, _matmul_type, operands="common")
register("outer", jnp.outer, _outer_type, operands="common")


@word
def dot(x: Any, y: Any) -> Variable:
    """The product over the last axis of ``x`` and the last but one (or only) of ``y``."""
    left, right = fold_weak("common", [as_variable(x), as_variable(y)])
    if left.ndim == 0 or right.ndim == 0:
        return left * right
    return apply(call("dot"), left, right)[0]


@word
def matmul(x: Any, y: Any) -> Variable:
    """The matrix product, batched over leading axes, which broadcast."""
    return apply(call("matmul"), *fold_weak("common", [as_variable(x), as_variable(y)]))[0]


def outer(x: Any, y: Any) -> Variable:
    """Every product of an element of the vector ``x`` with one of ``y``."""
    return apply(call("outer"), as_variable(x).flatten(), as_variable(y).flatten())[0]


def tensordot(x: Any, y: Any, axes: Any = 2) -> Variable:
    """The sum of products over ``axes``: a number of them, or a list for each operand."""
    x, y = as_variable(x), as_variable(y)
    if isinstance(axes, int):
        pair = [list(range(x.ndim - axes, x.ndim)), list(range(axes))]
    else:
        pair = [[one] if isinstance(one, int) else list(one) for one in axes]
    left, right = (tuple(a % v.ndim for a in one) for one, v in zip(pair, (x, y), strict=True))
    return apply(call("tensordot", left=left, right=right), *fold_weak("common", [x, y]))[0]


def _tensordot_type(x: TensorType, y: TensorType, left: tuple[int, ...], right: tuple[int, ...]) -> TensorType:
    for a, b in zip(left, right, strict=True):
        _contract(x.shape[a], y.shape[b], x, y)
    kept = [dim for axis, dim in enumerate(x.shape) if axis not in left]
    kept += [dim for axis, dim in enumerate(y.shape) if axis not in right]
    return TensorType(common_dtype([x, y]), tuple(kept))


def _tensordot_run(x: Any, y: Any, left: tuple[int, ...], right: tuple[int, ...]) -> Any:
    return jnp.tensordot(x, y, (left, right))


register("tensordot", _tensordot_run, _tensordot_type, operands="common")


def batched_dot(x: Any, y: Any) -> Variable:
    """``dot`` of each element of ``x`` with that of ``y``, along their first axes."""
    x, y = as_variable(x), as_variable(y)
    left = x.dimshuffle(0, "x", 1) if x.ndim == 2 else x
    right = y.dimshuffle(0, 1, "x") if y.ndim == 2 else y
    product = matmul(left, right)
    if y.ndim == 2:
        product = product.dimshuffle(*range(product.ndim - 1))
    if x.ndim == 2:
        product = product.dimshuffle(0, *range(2, product.ndim))
    return product
