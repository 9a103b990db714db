"""Products of vectors and matrices; diagonals and triangles."""

from __future__ import annotations

from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp

from loopjax.errors import here
from loopjax.ir.graph import Variable, apply
from loopjax.ir.op import register, table_op
from loopjax.ir.public_ops import public_op
from loopjax.ir.types import Shape, TensorType, broadcast_shapes, merge_dims
from loopjax.tensor.axes import normal_axis
from loopjax.tensor.elementwise import conj, mul
from loopjax.tensor.operands import promoted
from loopjax.tensor.reduction import sum
from loopjax.tensor.shape import flatten, moveaxis
from loopjax.trace.convert import as_variable
from loopjax.trace.promotion import common_dtype

__all__ = [
    "alloc_diag",
    "batched_dot",
    "diag",
    "diagonal",
    "dot",
    "extract_diag",
    "inner",
    "matmul",
    "outer",
    "tensordot",
    "trace",
    "tril",
    "triu",
    "vdot",
]


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


def _batches(x: TensorType, y: TensorType) -> list[Shape]:
    """The axes of matrices of matrices."""
    return [x.shape[:-2], y.shape[:-2]]


def _outer_type(x: TensorType, y: TensorType) -> TensorType:
    return TensorType(common_dtype([x, y]), (x.shape[0], y.shape[0]))


register("dot", jnp.dot, _dot_type, "matmul", operands="common")
register("matmul", jnp.matmul, _matmul_type, "matmul", operands="common", broadcasts=lambda x, y: [_batches(x, y)])
register("outer", jnp.outer, _outer_type, "memory_bound", operands="common")


@public_op
def dot(x: Any, y: Any) -> Variable:
    """The product over the last axis of ``x`` and the last but one (or only) of ``y``."""
    left, right = promoted("common", [x, y])
    if left.ndim == 0 or right.ndim == 0:
        return left * right
    return apply(table_op("dot"), left, right)[0]


@public_op
def matmul(x: Any, y: Any) -> Variable:
    """The matrix product, batched over leading axes, which broadcast."""
    return apply(table_op("matmul"), *promoted("common", [x, y]))[0]


def outer(x: Any, y: Any) -> Variable:
    """Every product of an element of the vector ``x`` with one of ``y``."""
    return apply(table_op("outer"), *promoted("common", [flatten(x), flatten(y)]))[0]


def _kron_type(x: TensorType, y: TensorType) -> TensorType:
    ndim = max(x.ndim, y.ndim)
    left, right = ((1,) * (ndim - type.ndim) + type.shape for type in (x, y))
    sizes = [None if a is None or b is None else a * b for a, b in zip(left, right, strict=True)]
    return TensorType(common_dtype([x, y]), tuple(sizes))


register("kron", jnp.kron, _kron_type, operands="common")


def kron(a: Any, b: Any) -> Variable:
    """The Kronecker product: ``a`` with each element replaced by its product with ``b``. The array of fewer axes
    gets axes of size 1 before its own, as in NumPy."""
    return apply(table_op("kron"), *promoted("common", [a, b]))[0]


def matrix_dot(*args: Any) -> Variable:
    """The product ``dot`` of all arguments, from the left."""
    if not args:
        raise TypeError(f"matrix_dot takes one matrix at least{here()}")
    return reduce(dot, args[1:], as_variable(args[0]))


def tensordot(x: Any, y: Any, axes: Any = 2) -> Variable:
    """The sum of products over ``axes``: a number of them, or a list for each operand."""
    x, y = as_variable(x), as_variable(y)
    if isinstance(axes, int):
        if not 0 <= axes <= min(x.ndim, y.ndim):
            raise ValueError(f"tensordot over {axes} axes of {x!r} and {y!r}{here()}")
        pair: list[list[int]] = [list(range(x.ndim - axes, x.ndim)), list(range(axes))]
    else:
        pair = [[one] if isinstance(one, int) else list(one) for one in axes]
    left, right = (tuple(normal_axis(a, v.ndim) for a in one) for one, v in zip(pair, (x, y), strict=True))
    if len(left) != len(right):
        raise ValueError(f"tensordot sums over {len(left)} axes of one operand and {len(right)} of the other{here()}")
    return apply(table_op("tensordot", left=left, right=right), *promoted("common", [x, y]))[0]


def inner(x: Any, y: Any) -> Variable:
    """The sum of products over the last axis of each."""
    x, y = as_variable(x), as_variable(y)
    if x.ndim == 0 or y.ndim == 0:
        return mul(x, y)
    return tensordot(x, y, ([x.ndim - 1], [y.ndim - 1]))


def vdot(x: Any, y: Any) -> Variable:
    """The sum of products of all elements, those of ``x`` conjugated."""
    return dot(flatten(conj(x)), flatten(y))


def _tensordot_type(x: TensorType, y: TensorType, left: tuple[int, ...], right: tuple[int, ...]) -> TensorType:
    for a, b in zip(left, right, strict=True):
        _contract(x.shape[a], y.shape[b], x, y)
    kept = [dim for axis, dim in enumerate(x.shape) if axis not in left]
    kept += [dim for axis, dim in enumerate(y.shape) if axis not in right]
    return TensorType(common_dtype([x, y]), tuple(kept))


def _tensordot_run(x: Any, y: Any, left: tuple[int, ...], right: tuple[int, ...]) -> Any:
    return jnp.tensordot(x, y, (left, right))


register("tensordot", _tensordot_run, _tensordot_type, "contraction", operands="common")


@public_op
def batched_dot(x: Any, y: Any) -> Variable:
    """``dot`` of each element of ``x`` with that of ``y``, along their first axes."""
    x, y = as_variable(x), as_variable(y)
    if not {x.ndim, y.ndim} <= {2, 3}:
        raise ValueError(f"batched_dot takes arrays of 2 or 3 dimensions, got {x!r} and {y!r}{here()}")
    left = x.dimshuffle(0, "x", 1) if x.ndim == 2 else x
    right = y.dimshuffle(0, 1, "x") if y.ndim == 2 else y
    product = matmul(left, right)
    if y.ndim == 2:
        product = product.dimshuffle(*range(product.ndim - 1))
    if x.ndim == 2:
        product = product.dimshuffle(0, *range(2, product.ndim))
    return product


def _diagonal_type(type: TensorType, offset: int, axis1: int, axis2: int) -> TensorType:
    rows, columns = type.shape[axis1], type.shape[axis2]
    length = None
    if rows is not None and columns is not None:
        length = max(min(rows + min(offset, 0), columns - max(offset, 0)), 0)
    kept = [size for axis, size in enumerate(type.shape) if axis not in (axis1, axis2)]
    return TensorType(type.dtype, (*kept, length))


def _diagonal_run(x: Any, offset: int, axis1: int, axis2: int) -> Any:
    return jnp.diagonal(x, offset, axis1, axis2)


register("diagonal", _diagonal_run, _diagonal_type, "memory_bound")


@public_op
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Variable:
    """The diagonal ``offset`` places above the main one of each matrix along two axes, as the last axis."""
    variable = as_variable(x)
    first, second = normal_axis(axis1, variable.ndim), normal_axis(axis2, variable.ndim)
    if first == second:
        raise ValueError(f"a diagonal runs along two axes, got {axis1} and {axis2}{here()}")
    return apply(table_op("diagonal", offset=int(offset), axis1=first, axis2=second), variable)[0]


extract_diag = diagonal


def _diag_type(type: TensorType, k: int) -> TensorType:
    size = None if type.shape[-1] is None else type.shape[-1] + abs(k)
    return TensorType(type.dtype, (*type.shape[:-1], size, size))


def _diag_run(x: Any, k: int) -> Any:
    return jnp.diag(x, k) if x.ndim == 1 else jax.vmap(lambda one: _diag_run(one, k))(x)


register("diag", _diag_run, _diag_type, "memory_bound")


def alloc_diag(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Variable:
    """Zeros, with the vectors of the last axis of ``x`` on diagonal ``offset`` of the matrices along two new axes.

    What ``extract_diag`` with the same arguments reads back.
    """
    variable = as_variable(x)
    if variable.ndim == 0:
        raise ValueError(f"alloc_diag takes vectors, got {variable!r}{here()}")
    matrices = apply(table_op("diag", k=int(offset)), variable)[0]
    return matrices if variable.ndim == 1 and axis1 < axis2 else moveaxis(matrices, (-2, -1), (axis1, axis2))


@public_op
def diag(x: Any, k: int = 0) -> Variable:
    """Diagonal ``k`` of a matrix, or the matrix of zeros with the vector ``x`` on diagonal ``k``."""
    variable = as_variable(x)
    if variable.ndim not in (1, 2):
        raise ValueError(f"diag takes a vector or a matrix, got {variable!r}{here()}")
    return diagonal(variable, k) if variable.ndim == 2 else apply(table_op("diag", k=int(k)), variable)[0]


@public_op
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Variable:
    """The sum of ``diagonal(x, offset, axis1, axis2)``."""
    return sum(diagonal(x, offset, axis1, axis2), axis=-1)


def _triangle_type(type: TensorType, k: int) -> TensorType:
    return TensorType(type.dtype, type.shape)


register("tril", lambda x, k: jnp.tril(x, k), _triangle_type, "memory_bound")
register("triu", lambda x, k: jnp.triu(x, k), _triangle_type, "memory_bound")


@public_op
def tril(x: Any, k: int = 0) -> Variable:
    """The matrices of the last two axes, with zeros above diagonal ``k``."""
    return _triangle("tril", x, k)


@public_op
def triu(x: Any, k: int = 0) -> Variable:
    """The matrices of the last two axes, with zeros below diagonal ``k``."""
    return _triangle("triu", x, k)


def _triangle(row: str, x: Any, k: int) -> Variable:
    variable = as_variable(x)
    if variable.ndim < 2:
        raise ValueError(f"{row} takes matrices, got {variable!r}{here()}")
    return apply(table_op(row, k=int(k)), variable)[0]
