"""Closed forms for real matrices of at most three rows, elementwise over a batch.

A LAPACK routine takes about a microsecond for a matrix however small, and XLA on CPU compiles no loop that calls one
into one function. Here the algorithms of LAPACK, Gaussian elimination with partial pivoting and Cholesky's, are written
as arithmetic on the elements: as exact, and infinite or NaN where a pivot is 0. Loops of 2,000 steps on one core (jax
0.10.2), times as fast as LAPACK:

| rows | 1 | 2 | 3 |
|---|---|---|---|
| solve | 36 | 27 | 2.4 |
| gradient of solve | 35 | 33 | 2 |
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import custom_jvp, lax

from loopjax.ir.symbolic_sizes import nominal

Solver = Callable[[Any, Any], Any]

MOST_ROWS = 3
"""Rows up to which closed forms are faster: the work of more is more than the call of a routine."""


def is_small(x: Any) -> bool:
    """True for real square matrices with a closed form."""
    return 0 < nominal(x.shape[-1]) <= MOST_ROWS and not jnp.iscomplexobj(x)


def solution(a: Any, b: Any) -> Any:
    """Solve ``a @ x = b`` for right-hand sides ``(..., n, k)``."""
    return _linear_solve(a, b, _by_elimination, lambda a, b: _by_elimination(_transposed(a), b))


def positive_solution(a: Any, b: Any) -> Any:
    """Solve systems with symmetric matrices; NaN where one is not positive definite."""
    return _linear_solve(a, b, _by_factor, _by_factor)


def triangular_solution(a: Any, b: Any, lower: bool, unit_diagonal: bool) -> Any:
    """Solve triangular systems; the other triangle is not read."""
    if a.shape[-1] == 1:
        return b / (jnp.ones_like(a) if unit_diagonal else a)
    triangle = jnp.tril(a) if lower else jnp.triu(a)
    if unit_diagonal:
        triangle = jnp.where(np.eye(a.shape[-1], dtype=bool), 1, triangle)
    return _linear_solve(
        triangle,
        b,
        lambda a, b: _by_substitution(a, b, lower),
        lambda a, b: _by_substitution(_transposed(a), b, not lower),
    )


def _linear_solve(a: Any, b: Any, solve: Solver, transpose_solve: Solver) -> Any:
    """Solve linear systems, with the derivatives of a linear solve.

    Factors are computed anew for a derivative: to store those of every step of a loop takes longer.
    """
    if a.shape[-1] == 1:
        return solve(a, b)
    fixed = lax.stop_gradient(a)
    return lax.custom_linear_solve(
        lambda x: _product(a, x),
        jnp.broadcast_to(b, (*jnp.broadcast_shapes(a.shape[:-2], b.shape[:-2]), *b.shape[-2:])),
        lambda _, right: solve(fixed, right),
        lambda _, right: transpose_solve(fixed, right),
    )


def _transposed(x: Any) -> Any:
    return jnp.swapaxes(x, -1, -2)


def _product(x: Any, y: Any) -> Any:
    """Multiply small matrices elementwise; XLA calls a routine for a product, too."""
    return jnp.sum(x[..., None] * y[..., None, :, :], -2)


def _elements(x: Any) -> list[list[Any]]:
    """Elements of matrices, each ``(..., 1)``, so that they multiply rows of others."""
    rows = range(x.shape[-1])
    return [[lax.slice_in_dim(x[..., i, :], j, j + 1, axis=-1) for j in rows] for i in rows]


def _by_elimination(a: Any, b: Any) -> Any:
    rows, _ = _eliminated([[*row, b[..., i, :]] for i, row in enumerate(_elements(a))])
    found: list[Any] = []
    for pivot, *others, right in reversed(rows):
        found.insert(0, (right - sum(x * y for x, y in zip(others, found, strict=True))) / pivot)
    return jnp.stack(found, -2)


def _eliminated(rows: list[list[Any]]) -> tuple[list[list[Any]], Any]:
    """Eliminate by rows with partial pivoting.

    Returns the rows of the upper triangle, each from its pivot on, and the sign of the permutation.
    """
    upper, sign = [], jnp.ones_like(rows[0][0])
    while rows:
        top, rest = rows[0], []
        for row in rows[1:]:
            swaps = jnp.abs(row[0]) > jnp.abs(top[0])
            sign = jnp.where(swaps, -sign, sign)
            pairs = [(jnp.where(swaps, x, y), jnp.where(swaps, y, x)) for x, y in zip(row, top, strict=True)]
            top, row = map(list, zip(*pairs, strict=True))
            rest.append(row)
        # Below a pivot of 0 all is 0.
        pivot = jnp.where(top[0] == 0, 1, top[0])
        rows = [[x - row[0] / pivot * y for x, y in zip(row[1:], top[1:], strict=True)] for row in rest]
        upper.append(top)
    return upper, sign


@custom_jvp
def inverse(x: Any) -> Any:
    """Invert matrices."""
    return _by_elimination(x, jnp.broadcast_to(jnp.eye(x.shape[-1], dtype=x.dtype), x.shape))


@inverse.defjvp
def _inverse_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    found = inverse(*primals)
    return found, -_product(found, _product(*tangents, found))


@custom_jvp
def determinant(x: Any) -> Any:
    """Determinants of matrices of three rows from their pivots; six products lose twice as many digits."""
    upper, sign = _eliminated(_elements(x))
    return sign[..., 0] * jnp.prod(jnp.concatenate([row[0] for row in upper], -1), -1)


@determinant.defjvp
def _determinant_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    x, y, z = (primals[0][..., i, :] for i in range(3))
    cofactors = jnp.stack([jnp.cross(y, z), jnp.cross(z, x), jnp.cross(x, y)], -2)
    return determinant(*primals), jnp.sum(cofactors * tangents[0], (-2, -1))


@custom_jvp
def sign_and_log_determinant(x: Any) -> tuple[Any, Any]:
    """Signs and logarithms of determinants, from the pivots, whose product may overflow."""
    upper, sign = _eliminated(_elements(x))
    pivots = jnp.concatenate([row[0] for row in upper], -1)
    return sign[..., 0] * jnp.prod(jnp.sign(pivots), -1), jnp.sum(jnp.log(jnp.abs(pivots)), -1)


@sign_and_log_determinant.defjvp
def _log_determinant_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    sign, log = sign_and_log_determinant(*primals)
    slope = _transposed(inverse(*primals))
    return (sign, log), (jnp.zeros_like(sign), jnp.sum(slope * tangents[0], (-2, -1)))


def cholesky_factor(x: Any) -> Any:
    """Lower Cholesky factors, from the lower triangles; NaN for matrices that are not positive definite."""
    return jnp.where(x > 0, jnp.sqrt(x), jnp.nan) if x.shape[-1] == 1 else _cholesky(x)


@custom_jvp
def _cholesky(x: Any) -> Any:
    lower: list[list[Any]] = []
    positive: Any = True
    for i, row in enumerate(_elements(x)):
        found: list[Any] = []
        for j, other in enumerate(lower):
            found.append((row[j] - sum(found[k] * other[k] for k in range(j))) / other[j])
        rest = row[i] - sum(value * value for value in found)
        positive = positive & (rest > 0)
        lower.append([*found, jnp.sqrt(rest)])
    zero = jnp.zeros_like(lower[0][0])
    rows = [[jnp.where(positive, value, jnp.nan) for value in row] + [zero] * (len(lower) - len(row)) for row in lower]
    return jnp.stack([jnp.concatenate(row, -1) for row in rows], -2)


@_cholesky.defjvp
def _cholesky_jvp(primals: tuple[Any], tangents: tuple[Any]) -> tuple[Any, Any]:
    """Murray 2016, Differentiation of the Cholesky decomposition, equation 8."""
    factor, (change,) = _cholesky(*primals), tangents
    symmetric = jnp.tril(change) + _transposed(jnp.tril(change, -1))
    half = _by_substitution(factor, symmetric, lower=True)
    inner = _by_substitution(factor, _transposed(half), lower=True)
    return factor, _product(factor, jnp.tril(inner) - jnp.eye(factor.shape[-1], dtype=factor.dtype) * inner / 2)


def _by_substitution(a: Any, b: Any, lower: bool) -> Any:
    rows = _elements(a)
    found: dict[int, Any] = {}
    for i in range(len(rows)) if lower else reversed(range(len(rows))):
        found[i] = (b[..., i, :] - sum(rows[i][j] * x for j, x in found.items())) / rows[i][i]
    return jnp.stack([found[i] for i in range(len(rows))], -2)


def _by_factor(a: Any, b: Any) -> Any:
    factor = cholesky_factor(a)
    return _by_substitution(_transposed(factor), _by_substitution(factor, b, lower=True), lower=False)
