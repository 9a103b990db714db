"""Products of vectors and matrices, diagonals and triangles."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp

from loopjax.errors import coded, here, reported
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
        raise coded(ValueError, "LJ502")(
            f"shapes {x.shape} and {y.shape} do not multiply: {error}; expected equal ones, transpose or reshape"
        ) from None


def _dot_type(x: TensorType, y: TensorType) -> TensorType:
    if x.ndim == 0 or y.ndim == 0:
        raise coded(ValueError, "LJ502")(
            f"dot of a scalar: expected x and y of at least one dimension, got {x} and {y}; write *"
        )
    _contract(x.shape[-1], y.shape[-2] if y.ndim > 1 else y.shape[0], x, y)
    kept = (*y.shape[:-2], y.shape[-1]) if y.ndim > 1 else ()
    return TensorType(common_dtype([x, y]), (*x.shape[:-1], *kept))


def _matmul_type(x: TensorType, y: TensorType) -> TensorType:
    if x.ndim == 0 or y.ndim == 0:
        raise coded(ValueError, "LJ502")(
            f"matmul of a scalar: expected x and y of at least one dimension, got {x} and {y}; write *"
        )
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
    """Shapes of the batches of two stacks of matrices."""
    return [x.shape[:-2], y.shape[:-2]]


def _outer_type(x: TensorType, y: TensorType) -> TensorType:
    return TensorType(common_dtype([x, y]), (x.shape[0], y.shape[0]))


register("dot", jnp.dot, _dot_type, "matmul", operands="common")
register("matmul", jnp.matmul, _matmul_type, "matmul", operands="common", broadcasts=lambda x, y: [_batches(x, y)])
register("outer", jnp.outer, _outer_type, "memory_bound", operands="common")


@public_op
def dot(x: Any, y: Any) -> Variable:
    """Multiply vectors, matrices and higher arrays.

    A sum of products over the last axis of ``x`` and the last axis but one of ``y``, or its only one. Scalars multiply
    elementwise. Differentiable in both.

    Parameters
    ----------
    x : array_like
        Any array.
    y : array_like
        Any array.

    Returns
    -------
    Variable
        The product, in the common dtype.

    Raises
    ------
    ValueError
        Where the sizes of the two axes differ.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.dot([1, 2], [3, 4]).eval())
    11
    """
    left, right = promoted("common", [x, y])
    if left.ndim == 0 or right.ndim == 0:
        return left * right
    return apply(table_op("dot"), left, right)[0]


@public_op
def matmul(x: Any, y: Any) -> Variable:
    """Multiply matrices, batched over leading axes that broadcast.

    Differentiable in both.

    Parameters
    ----------
    x : array_like
        A vector ``(n,)`` or matrices ``(..., m, n)``.
    y : array_like
        A vector ``(n,)`` or matrices ``(..., n, k)``.

    Returns
    -------
    Variable
        The product ``(..., m, k)``, without the axis of a vector, in the common dtype.

    Raises
    ------
    ValueError
        Where an input is a scalar, or the shapes do not fit.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.matmul([[1, 2], [3, 4]], [1, 1]).eval())
    [3 7]
    """
    return apply(table_op("matmul"), *promoted("common", [x, y]))[0]


@reported
def outer(x: Any, y: Any) -> Variable:
    """Multiply each element of one array with each of another.

    Differentiable in both.

    Parameters
    ----------
    x : array_like
        Any array, which is flattened.
    y : array_like
        Any array, which is flattened.

    Returns
    -------
    Variable
        A matrix ``(x.size, y.size)``, in the common dtype.

    Raises
    ------
    TypeError
        Where an input is no variable, number or array.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.outer([1, 2], [3, 4]).eval())
    [[3 4]
     [6 8]]
    """
    return apply(table_op("outer"), *promoted("common", [flatten(x), flatten(y)]))[0]


def _kron_type(x: TensorType, y: TensorType) -> TensorType:
    ndim = max(x.ndim, y.ndim)
    left, right = ((1,) * (ndim - type.ndim) + type.shape for type in (x, y))
    sizes = [None if a is None or b is None else a * b for a, b in zip(left, right, strict=True)]
    return TensorType(common_dtype([x, y]), tuple(sizes))


register("kron", jnp.kron, _kron_type, operands="common")


@reported
def kron(a: Any, b: Any) -> Variable:
    """Kronecker product: each element of ``a`` times all of ``b``, as a block.

    The array of fewer axes gets axes of size 1 before its own. Differentiable in both.

    Parameters
    ----------
    a : array_like
        Any array.
    b : array_like
        Any array.

    Returns
    -------
    Variable
        An array whose sizes are the products of those of ``a`` and ``b``.

    Raises
    ------
    TypeError
        Where an input is no variable, number or array.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.linalg.kron([1, 10], [1, 2]).eval())
    [ 1  2 10 20]
    """
    return apply(table_op("kron"), *promoted("common", [a, b]))[0]


@reported
def matrix_dot(*args: Any) -> Variable:
    """Multiply any number of matrices from the left.

    Differentiable in each.

    Parameters
    ----------
    *args : array_like
        The matrices.

    Returns
    -------
    Variable
        Their product.

    Raises
    ------
    TypeError
        Where there are none.
    ValueError
        Where the shapes do not fit.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.linalg.matrix_dot([[1, 1]], [[1], [2]], [[2]]).eval())
    [[6]]
    """
    if not args:
        raise TypeError(f"matrix_dot takes one matrix at least{here()}")
    return reduce(dot, args[1:], as_variable(args[0]))


@reported
def tensordot(x: Any, y: Any, axes: int | Sequence[int | Sequence[int]] = 2) -> Variable:
    """Sum products over several axes at once.

    Differentiable in both.

    Parameters
    ----------
    x : array_like
        Any array.
    y : array_like
        Any array.
    axes : int or pair of sequences, optional
        The axes summed over: a number of them, the last of ``x`` and the first of ``y``, or a list for each.

    Returns
    -------
    Variable
        The rest of the axes of ``x``, then those of ``y``.

    Raises
    ------
    ValueError
        Where there are not as many axes of each, or their sizes differ.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.tensordot([[1, 2], [3, 4]], [[1, 1], [1, 1]], 2).eval())
    10
    """
    x, y = as_variable(x), as_variable(y)
    if isinstance(axes, int) and not isinstance(axes, bool):
        if not 0 <= axes <= min(x.ndim, y.ndim):
            raise coded(ValueError, "LJ505")(
                f"tensordot over {axes} axes of {x!r} and {y!r}; expected at most {min(x.ndim, y.ndim)}, and at least 0"
            )
        pair: list[list[int]] = [list(range(x.ndim - axes, x.ndim)), list(range(axes))]
    else:
        if not isinstance(axes, (tuple, list)) or len(axes) != 2:
            raise coded(TypeError, "LJ505")(
                f"tensordot: axes is an int or two lists of axes, got {type(axes).__name__} {axes!r:.80}; write "
                f"axes=([1], [0])"
            )
        pair = [[one] if isinstance(one, int) else list(one) for one in axes]
    left, right = (tuple(normal_axis(a, v.ndim) for a in one) for one, v in zip(pair, (x, y), strict=True))
    if len(left) != len(right):
        raise coded(ValueError, "LJ502")(f"tensordot sums over {len(left)} axes of x and {len(right)} of y")
    return apply(table_op("tensordot", left=left, right=right), *promoted("common", [x, y]))[0]


@reported
def inner(x: Any, y: Any) -> Variable:
    """Sum products over the last axis of each array.

    Scalars multiply elementwise. Differentiable in both.

    Parameters
    ----------
    x : array_like
        Any array.
    y : array_like
        Any array.

    Returns
    -------
    Variable
        The rest of the axes of ``x``, then those of ``y``.

    Raises
    ------
    ValueError
        Where the sizes of the last axes differ.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.inner([1, 2], [3, 4]).eval())
    11
    """
    x, y = as_variable(x), as_variable(y)
    if x.ndim == 0 or y.ndim == 0:
        return mul(x, y)
    return tensordot(x, y, ([x.ndim - 1], [y.ndim - 1]))


@reported
def vdot(x: Any, y: Any) -> Variable:
    """Sum the products of all elements, those of ``x`` conjugated.

    Differentiable in both.

    Parameters
    ----------
    x : array_like
        Any array.
    y : array_like
        An array of as many elements.

    Returns
    -------
    Variable
        A scalar.

    Raises
    ------
    ValueError
        Where the numbers of elements differ.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.vdot([1 + 1j], [1 + 1j]).eval())
    (2+0j)
    """
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
    """Multiply the elements of two arrays along their first axes with each other.

    Differentiable in both.

    Parameters
    ----------
    x : array_like
        Vectors ``(batch, n)`` or matrices ``(batch, m, n)``.
    y : array_like
        Vectors ``(batch, n)`` or matrices ``(batch, n, k)``.

    Returns
    -------
    Variable
        Scalars, vectors or matrices, one for each element of the batch.

    Raises
    ------
    ValueError
        Where an input has other dimensions, or the shapes do not fit.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.batched_dot([[1, 2], [3, 4]], [[1, 1], [2, 2]]).eval())
    [ 3 14]
    """
    x, y = as_variable(x), as_variable(y)
    if not {x.ndim, y.ndim} <= {2, 3}:
        raise coded(ValueError, "LJ502")(f"batched_dot takes arrays of 2 or 3 dimensions, got {x!r} and {y!r}; reshape")
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
    """Read diagonals of matrices along two axes.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        An array of at least two dimensions.
    offset : int, optional
        The number of the diagonal; above the main one where positive.
    axis1 : int, optional
        The axis of rows.
    axis2 : int, optional
        The axis of columns.

    Returns
    -------
    Variable
        The diagonals as the last axis.

    Raises
    ------
    ValueError
        Where the two axes are one, or ``x`` does not have them.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.diagonal([[1, 2], [3, 4]]).eval())
    [1 4]
    """
    variable = as_variable(x)
    first, second = normal_axis(axis1, variable.ndim), normal_axis(axis2, variable.ndim)
    if first == second:
        raise coded(ValueError, "LJ505")(
            f"a diagonal runs along two axes: expected axis1 and axis2 to differ, got {axis1} and {axis2}; write "
            f"axis1=0, axis2=1"
        )
    return apply(table_op("diagonal", offset=int(offset), axis1=first, axis2=second), variable)[0]


extract_diag = diagonal


def _diag_type(type: TensorType, k: int) -> TensorType:
    size = None if type.shape[-1] is None else type.shape[-1] + abs(k)
    return TensorType(type.dtype, (*type.shape[:-1], size, size))


def _diag_run(x: Any, k: int) -> Any:
    return jnp.diag(x, k) if x.ndim == 1 else jax.vmap(lambda one: _diag_run(one, k))(x)


register("diag", _diag_run, _diag_type, "memory_bound")


@reported
def alloc_diag(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Variable:
    """Put vectors on diagonals of matrices of zeros; the inverse of ``extract_diag`` with the same arguments.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Vectors ``(..., n)``.
    offset : int, optional
        The number of the diagonal; above the main one where positive.
    axis1 : int, optional
        The axis of rows of the result.
    axis2 : int, optional
        The axis of columns of the result.

    Returns
    -------
    Variable
        Square matrices of ``n + abs(offset)`` rows.

    Raises
    ------
    ValueError
        Where ``x`` is a scalar.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.alloc_diag([1, 2]).eval())
    [[1 0]
     [0 2]]
    """
    variable = as_variable(x)
    if variable.ndim == 0:
        raise coded(ValueError, "LJ507")(f"alloc_diag takes vectors, got {variable!r}; reshape it")
    axis1, axis2 = normal_axis(axis1, variable.ndim + 1), normal_axis(axis2, variable.ndim + 1)
    matrices = apply(table_op("diag", k=int(offset)), variable)[0]
    return matrices if variable.ndim == 1 and axis1 < axis2 else moveaxis(matrices, (-2, -1), (axis1, axis2))


@public_op
def diag(x: Any, k: int = 0) -> Variable:
    """Read a diagonal of a matrix, or put a vector on one.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        A matrix or a vector.
    k : int, optional
        The number of the diagonal; above the main one where positive.

    Returns
    -------
    Variable
        The diagonal, a vector; or a square matrix of zeros with ``x`` on it.

    Raises
    ------
    ValueError
        Where ``x`` is neither a vector nor a matrix.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.diag([[1, 2], [3, 4]]).eval())
    [1 4]
    """
    variable = as_variable(x)
    if variable.ndim not in (1, 2):
        raise coded(ValueError, "LJ507")(f"diag takes a vector or a matrix, got {variable!r}; reshape it")
    return diagonal(variable, k) if variable.ndim == 2 else apply(table_op("diag", k=int(k)), variable)[0]


@public_op
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Variable:
    """Sum a diagonal.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        An array of at least two dimensions.
    offset : int, optional
        The number of the diagonal; above the main one where positive.
    axis1 : int, optional
        The axis of rows.
    axis2 : int, optional
        The axis of columns.

    Returns
    -------
    Variable
        The sum of each diagonal.

    Raises
    ------
    ValueError
        Where the two axes are one, or ``x`` does not have them.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.trace([[1, 2], [3, 4]]).eval())
    5
    """
    return sum(diagonal(x, offset, axis1, axis2), axis=-1)


def _triangle_type(type: TensorType, k: int) -> TensorType:
    return TensorType(type.dtype, type.shape)


register("tril", lambda x, k: jnp.tril(x, k), _triangle_type, "memory_bound")
register("triu", lambda x, k: jnp.triu(x, k), _triangle_type, "memory_bound")


@public_op
def tril(x: Any, k: int = 0) -> Variable:
    """Keep lower triangles and set the rest to zero.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Matrices ``(..., m, n)``.
    k : int, optional
        The last diagonal kept; above the main one where positive.

    Returns
    -------
    Variable
        Matrices with zeros above diagonal ``k``.

    Raises
    ------
    ValueError
        Where ``x`` has less than two dimensions.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.tril([[1, 2], [3, 4]]).eval())
    [[1 0]
     [3 4]]
    """
    return _triangle("tril", x, k)


@public_op
def triu(x: Any, k: int = 0) -> Variable:
    """Keep upper triangles and set the rest to zero.

    Differentiable in ``x``.

    Parameters
    ----------
    x : array_like
        Matrices ``(..., m, n)``.
    k : int, optional
        The first diagonal kept; above the main one where positive.

    Returns
    -------
    Variable
        Matrices with zeros below diagonal ``k``.

    Raises
    ------
    ValueError
        Where ``x`` has less than two dimensions.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.triu([[1, 2], [3, 4]]).eval())
    [[1 2]
     [0 4]]
    """
    return _triangle("triu", x, k)


def _triangle(row: str, x: Any, k: int) -> Variable:
    variable = as_variable(x)
    if variable.ndim < 2:
        raise coded(ValueError, "LJ507")(f"{row} takes matrices, got {variable!r}; reshape it")
    return apply(table_op(row, k=int(k)), variable)[0]
