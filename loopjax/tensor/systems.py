"""Linear systems, least squares and inverses; leading axes are batches. Matrices of 16 bits are refused."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp

from loopjax.errors import check_flag, coded, here, reported
from loopjax.ir.graph import Variable, apply
from loopjax.ir.op import register, table_op
from loopjax.ir.types import Shape, TensorType, broadcast_shapes, merge_dims
from loopjax.tensor.elementwise import real_dtype
from loopjax.tensor.factors import mirrored
from loopjax.tensor.matrix_types import rows_and_columns, shorter, side, solvable_dtype
from loopjax.tensor.operands import promoted
from loopjax.tensor.small_matrices import inverse, is_small, positive_solution, solution, triangular_solution


def _system(name: str, solve_one: Callable[..., Any], solve_small: Callable[..., Any]) -> None:
    """Register a solver, which is given one square matrix and one matrix of right-hand sides, and one of batches of
    small systems."""

    def run(a: Any, b: Any, **params: Any) -> Any:
        columns = b[:, None] if b.ndim == 1 else b
        one = jnp.vectorize(partial(solve_one, **params), signature="(n,n),(n,k)->(n,k)")
        found = solve_small(a, columns, **params) if is_small(a) else one(a, columns)
        return found[..., 0] if b.ndim == 1 else found

    register(name, run, _system_type, "cubic", operands="float", broadcasts=_batches)


def _system_type(a: TensorType, b: TensorType, **params: Any) -> TensorType:
    if b.ndim == 0:
        raise coded(ValueError, "LJ507")(
            "a vector or matrices are expected on the right, got a scalar of shape (); reshape it"
        )
    size = _agreeing(side(a), b, a)
    dtype = solvable_dtype(a, b)
    if b.ndim == 1:
        return TensorType(dtype, (*a.shape[:-2], size))
    return TensorType(dtype, (*broadcast_shapes(a.shape[:-2], b.shape[:-2]), size, b.shape[-1]))


def _agreeing(rows: int | None, b: TensorType, a: TensorType) -> int | None:
    """Number of equations."""
    try:
        return merge_dims(rows, b.shape[-2] if b.ndim > 1 else b.shape[0])
    except ValueError as error:
        raise coded(ValueError, "LJ507")(
            f"shapes {a.shape} and {b.shape} make no system of equations: {error}"
        ) from error


def _batches(a: TensorType, b: TensorType, **params: Any) -> list[list[Shape]]:
    return [[a.shape[:-2], b.shape[:-2]]] if b.ndim > 1 else []


def _solve_one(a: Any, b: Any, assume_a: str, lower: bool) -> Any:
    matrix = a if assume_a == "gen" else mirrored(a, lower)
    return jax.scipy.linalg.solve(matrix, b, assume_a="pos" if assume_a == "pos" else "gen", lower=True)


def _solve_small(a: Any, b: Any, assume_a: str, lower: bool) -> Any:
    matrix = a if assume_a == "gen" else mirrored(a, lower)
    return positive_solution(matrix, b) if assume_a == "pos" else solution(matrix, b)


_system("solve", _solve_one, _solve_small)


@reported
def solve(
    a: Any,
    b: Any,
    assume_a: Literal["gen", "sym", "her", "pos"] = "gen",
    lower: bool = False,
    check_finite: bool = True,
) -> Variable:
    """Solve linear systems, ``a @ x = b``.

    Infinite or NaN where ``a`` is singular. Differentiable in both; with another ``assume_a`` than ``"gen"`` the
    gradient is 0 in the triangle that is not read.

    Parameters
    ----------
    a : array_like
        Square matrices ``(..., n, n)``.
    b : array_like
        A vector ``(n,)`` or right-hand sides ``(..., n, k)``.
    assume_a : {'gen', 'sym', 'her', 'pos'}, optional
        The kind of ``a``: general, symmetric, Hermitian, or positive definite, which is solved by Cholesky factors.
        Only one triangle is read, but for the first.
    lower : bool, optional
        True to read the lower triangle.
    check_finite : bool, optional
        Ignored; for programs written for SciPy's signature.

    Returns
    -------
    Variable
        ``x``, in the shape of ``b`` with the batch of ``a``.

    Raises
    ------
    TypeError
        Where the matrices have a dtype of 16 bits.
    ValueError
        Where ``a`` is not square, the shapes do not fit, or ``assume_a`` is another.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.linalg.solve([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0]).eval())
    [1.  0.5]
    """
    return apply(table_op("solve", assume_a=assume_a, lower=bool(lower)), *promoted("float", [a, b]))[0]


@reported
def solve_symmetric(a: Any, b: Any) -> Variable:
    """Solve linear systems with symmetric matrices, whose upper triangle is read.

    Differentiable in both; the gradient is 0 in the lower triangle.

    Parameters
    ----------
    a : array_like
        Symmetric matrices ``(..., n, n)``.
    b : array_like
        A vector ``(n,)`` or right-hand sides ``(..., n, k)``.

    Returns
    -------
    Variable
        ``x`` with ``a @ x = b``.

    Raises
    ------
    TypeError
        Where the matrices have a dtype of 16 bits.
    ValueError
        Where ``a`` is not square, or the shapes do not fit.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.linalg.solve_symmetric([[2.0, 0.0], [0.0, 4.0]], [2.0, 2.0]).eval())
    [1.  0.5]
    """
    return solve(a, b, assume_a="sym")


_TRANSPOSES: dict[Any, int] = {0: 0, 1: 1, 2: 2, "N": 0, "T": 1, "C": 2}


def _substitute_small(a: Any, b: Any, trans: int, lower: bool, unit_diagonal: bool) -> Any:
    return triangular_solution(jnp.swapaxes(a, -1, -2) if trans else a, b, lower != bool(trans), unit_diagonal)


_system(
    "solve_triangular",
    lambda a, b, **options: jax.scipy.linalg.solve_triangular(a, b, **options),
    _substitute_small,
)


@reported
def solve_triangular(
    a: Any,
    b: Any,
    trans: Literal[0, 1, 2, "N", "T", "C"] = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    check_finite: bool = True,
) -> Variable:
    """Solve linear systems with triangular matrices by substitution.

    The other triangle of ``a`` is not read. Differentiable in both.

    Parameters
    ----------
    a : array_like
        Triangular matrices ``(..., n, n)``.
    b : array_like
        A vector ``(n,)`` or right-hand sides ``(..., n, k)``.
    trans : {0, 1, 2, 'N', 'T', 'C'}, optional
        1 or ``'T'`` to solve with the transpose of ``a``, 2 or ``'C'`` with its adjoint.
    lower : bool, optional
        True for lower triangles.
    unit_diagonal : bool, optional
        True to take the diagonal as ones.
    check_finite : bool, optional
        Ignored; for programs written for SciPy's signature.

    Returns
    -------
    Variable
        ``x`` with ``a @ x = b``.

    Raises
    ------
    TypeError
        Where the matrices have a dtype of 16 bits.
    ValueError
        Where ``a`` is not square, the shapes do not fit, or ``trans`` is another.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.linalg.solve_triangular([[1.0, 1.0], [0.0, 2.0]], [3.0, 2.0]).eval())
    [2. 1.]
    """
    op = table_op("solve_triangular", trans=_TRANSPOSES[trans], lower=bool(lower), unit_diagonal=bool(unit_diagonal))
    return apply(op, *promoted("float", [a, b]))[0]


@reported
def solve_lower_triangular(a: Any, b: Any) -> Variable:
    """Solve linear systems with lower triangular matrices.

    Differentiable in both.

    Parameters
    ----------
    a : array_like
        Lower triangular matrices ``(..., n, n)``.
    b : array_like
        A vector ``(n,)`` or right-hand sides ``(..., n, k)``.

    Returns
    -------
    Variable
        ``x`` with ``a @ x = b``.

    Raises
    ------
    TypeError
        Where the matrices have a dtype of 16 bits.
    ValueError
        Where ``a`` is not square, or the shapes do not fit.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.linalg.solve_lower_triangular([[2.0, 0.0], [1.0, 1.0]], [2.0, 3.0]).eval())
    [1. 2.]
    """
    return solve_triangular(a, b, lower=True)


@reported
def solve_upper_triangular(a: Any, b: Any) -> Variable:
    """Solve linear systems with upper triangular matrices.

    Differentiable in both.

    Parameters
    ----------
    a : array_like
        Upper triangular matrices ``(..., n, n)``.
    b : array_like
        A vector ``(n,)`` or right-hand sides ``(..., n, k)``.

    Returns
    -------
    Variable
        ``x`` with ``a @ x = b``.

    Raises
    ------
    TypeError
        Where the matrices have a dtype of 16 bits.
    ValueError
        Where ``a`` is not square, or the shapes do not fit.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.linalg.solve_upper_triangular([[1.0, 1.0], [0.0, 2.0]], [3.0, 2.0]).eval())
    [2. 1.]
    """
    return solve_triangular(a, b)


@reported
def cho_solve(c_and_lower: tuple[Any, bool], b: Any, check_finite: bool = True) -> Variable:
    """Solve linear systems from Cholesky factors.

    Differentiable in the factor and ``b``.

    Parameters
    ----------
    c_and_lower : tuple of (array_like, bool)
        ``(cholesky(a), True)`` or ``(cholesky(a, lower=False), False)``.
    b : array_like
        A vector ``(n,)`` or right-hand sides ``(..., n, k)``.
    check_finite : bool, optional
        Ignored; for programs written for SciPy's signature.

    Returns
    -------
    Variable
        ``x`` with ``a @ x = b``.

    Raises
    ------
    TypeError
        Where the factor has a dtype of 16 bits.
    ValueError
        Where the factor is not square, or the shapes do not fit.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> factor = at.linalg.cholesky([[4.0, 0.0], [0.0, 1.0]])
    >>> print(at.linalg.cho_solve((factor, True), [8.0, 3.0]).eval())
    [2. 3.]
    """
    if not isinstance(c_and_lower, (tuple, list)) or len(c_and_lower) != 2:
        raise TypeError(
            f"c_and_lower: expected a factor and a flag, got {type(c_and_lower).__name__} {c_and_lower!r:.80}; write "
            f"(factor, True){here()}"
        )
    factor, lower = c_and_lower
    check_flag("c_and_lower[1]", lower)
    if lower:
        return solve_triangular(factor, solve_triangular(factor, b, "N", True), "C", True)
    return solve_triangular(factor, solve_triangular(factor, b, "C", False), "N", False)


def _inverse_type(type: TensorType) -> TensorType:
    size = side(type)
    return TensorType(solvable_dtype(type), (*type.shape[:-2], size, size))


def _inverse_run(x: Any) -> Any:
    return inverse(x) if is_small(x) else jnp.linalg.inv(x)


register("matrix_inverse", _inverse_run, _inverse_type, "cubic", operands="float")


@reported
def matrix_inverse(x: Any) -> Variable:
    """Invert square matrices.

    Infinite or NaN where a matrix is singular. ``solve(x, b)`` costs less and is more exact than ``matrix_inverse(x) @
    b``. Differentiable.

    Parameters
    ----------
    x : array_like
        Matrices ``(..., n, n)``.

    Returns
    -------
    Variable
        The inverses ``(..., n, n)``.

    Raises
    ------
    TypeError
        Where the matrices have a dtype of 16 bits.
    ValueError
        Where ``x`` is not square.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.linalg.matrix_inverse([[2.0, 0.0], [0.0, 4.0]]).eval())
    [[0.5  0.  ]
     [0.   0.25]]
    """
    return apply(table_op("matrix_inverse"), *promoted("float", [x]))[0]


def _pinv_type(type: TensorType) -> TensorType:
    rows, columns = rows_and_columns(type)
    return TensorType(solvable_dtype(type), (*type.shape[:-2], columns, rows))


register("pinv", jnp.linalg.pinv, _pinv_type, "cubic", operands="float")


@reported
def pinv(x: Any) -> Variable:
    """Moore-Penrose pseudo-inverses of matrices.

    Differentiable; the gradient takes the rank as constant.

    Parameters
    ----------
    x : array_like
        Matrices ``(..., m, n)``.

    Returns
    -------
    Variable
        The pseudo-inverses ``(..., n, m)``.

    Raises
    ------
    TypeError
        Where the matrices have a dtype of 16 bits.
    ValueError
        Where ``x`` has less than two dimensions.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.linalg.pinv(at.ones((2, 3))).type.shape)
    (3, 2)
    """
    return apply(table_op("pinv"), *promoted("float", [x]))[0]


def _lstsq_type(a: TensorType, b: TensorType, rcond: float | None) -> tuple[TensorType, ...]:
    if a.ndim != 2 or b.ndim not in (1, 2):
        raise coded(ValueError, "LJ507")(
            f"a matrix, and a vector or matrix are expected, got arrays of shapes {a.shape} and {b.shape}"
        )
    rows = _agreeing(a.shape[0], b, a)
    dtype, columns = solvable_dtype(a, b), b.shape[1:]
    return (
        TensorType(dtype, (a.shape[1], *columns)),
        TensorType(real_dtype(dtype), columns or (1,)),
        TensorType("int64"),
        TensorType(real_dtype(dtype), (shorter(rows, a.shape[1]),)),
    )


def _lstsq_run(a: Any, b: Any, rcond: float | None) -> Any:
    solution, residuals, rank, values = jnp.linalg.lstsq(a, b, rcond)
    return solution, residuals, rank.astype(int), values


register("lstsq", _lstsq_run, _lstsq_type, "cubic", operands="float")


@reported
def lstsq(a: Any, b: Any, rcond: float | None = None) -> tuple[Variable, ...]:
    """Solve a linear least-squares problem.

    Differentiable; the gradient is NaN where singular values are equal. The sums of squares are there also where NumPy
    leaves them out: for ``m <= n`` and for less than full rank.

    Parameters
    ----------
    a : array_like
        A matrix ``(m, n)``.
    b : array_like
        A vector ``(m,)`` or a matrix ``(m, k)``.
    rcond : float, optional
        Singular values below ``rcond`` times the greatest count as 0.

    Returns
    -------
    tuple of Variable
        The ``x`` of least norm for which the squares of ``a @ x - b`` have the least sum; those sums, one for each
        column of ``b``; the rank of ``a``, int64; its singular values.

    Raises
    ------
    TypeError
        Where the matrices have a dtype of 16 bits.
    ValueError
        Where an input has other dimensions, or the shapes do not fit.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> x, squares, rank, values = at.linalg.lstsq(at.ones((3, 2)), at.ones(3))
    >>> print(x.type.shape, squares.type.shape, rank.eval())
    (2,) (1,) 1
    """
    limit = None if rcond is None else float(rcond)
    return apply(table_op("lstsq", rcond=limit), *promoted("float", [a, b]))
