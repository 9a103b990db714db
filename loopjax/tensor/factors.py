"""Factorizations and spectra of matrices; leading axes are batches.

Ops on symmetric (Hermitian) matrices read one triangle, as LAPACK does, and so do their derivatives: the gradient is 0
in the other triangle. For example ``cholesky(x)`` reads ``tril(x)`` only. Matrices of 16 bits are refused.
"""

from __future__ import annotations

from typing import Any, Literal, overload

import jax
import jax.numpy as jnp

from loopjax.errors import UnsupportedError, coded, reported
from loopjax.ir.graph import Variable, apply
from loopjax.ir.op import register, table_op
from loopjax.ir.types import Shape, TensorType, broadcast_shapes, merge_dims
from loopjax.tensor.elementwise import real_dtype
from loopjax.tensor.matrix_types import rows_and_columns, shorter, side, solvable_dtype
from loopjax.tensor.operands import promoted
from loopjax.tensor.small_matrices import cholesky_factor, is_small


def mirrored(x: Any, lower: bool) -> Any:
    """Hermitian matrices from their lower or upper triangles."""
    half, rest = (jnp.tril(x), jnp.tril(x, -1)) if lower else (jnp.triu(x), jnp.triu(x, 1))
    return half + adjoint(rest)


def adjoint(x: Any) -> Any:
    """Conjugate transposes of matrices."""
    return jnp.conj(jnp.swapaxes(x, -1, -2))


def _cholesky_type(type: TensorType, lower: bool) -> TensorType:
    size = side(type)
    return TensorType(solvable_dtype(type), (*type.shape[:-2], size, size))


def _cholesky_run(x: Any, lower: bool) -> Any:
    if is_small(x):
        factor = cholesky_factor(x if lower else adjoint(x))
    else:
        factor = jax.lax.linalg.cholesky(mirrored(x, lower), symmetrize_input=False)
    return factor if lower else adjoint(factor)


register("cholesky", _cholesky_run, _cholesky_type, "cubic", operands="float")


@reported
def cholesky(x: Any, lower: bool = True, on_error: str = "nan", check_finite: bool = False) -> Variable:
    """Cholesky factors of positive definite matrices.

    Only one triangle of ``x`` is read. Differentiable; the gradient is 0 in the other triangle.

    Parameters
    ----------
    x : array_like
        Symmetric (Hermitian) matrices ``(..., n, n)``.
    lower : bool, optional
        True for ``L`` with ``x = L @ L.T`` from the lower triangles, False for ``U`` with ``x = U.T @ U`` from the
        upper ones.
    on_error : {'nan'}, optional
        The treatment of a matrix that is not positive definite: its factor is NaN. The device cannot stop a program.
    check_finite : bool, optional
        Ignored; for programs written for SciPy's signature.

    Returns
    -------
    Variable
        Triangular matrices ``(..., n, n)``.

    Raises
    ------
    TypeError
        Where the matrices have a dtype of 16 bits.
    ValueError
        Where ``x`` is not square, or ``on_error`` is another.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.linalg.cholesky([[4.0, 2.0], [2.0, 2.0]]).eval())
    [[2. 0.]
     [1. 1.]]
    """
    if on_error != "nan":
        raise coded(ValueError, "LJ901")(
            f"cholesky gives NaN for a matrix that is not positive definite; write on_error='nan' and test the result "
            f"with isnan, got on_error={on_error!r}"
        )
    return apply(table_op("cholesky", lower=bool(lower)), *promoted("float", [x]))[0]


def _eigh_type(type: TensorType, lower: bool) -> tuple[TensorType, TensorType]:
    size, dtype = side(type), solvable_dtype(type)
    values = TensorType(real_dtype(dtype), (*type.shape[:-2], size))
    return values, TensorType(dtype, (*type.shape[:-2], size, size))


def _eigh_run(x: Any, lower: bool) -> Any:
    return tuple(jnp.linalg.eigh(mirrored(x, lower), symmetrize_input=False))


register("eigh", _eigh_run, _eigh_type, "cubic", operands="float")


@reported
def eigh(a: Any, UPLO: Literal["L", "U"] = "L") -> tuple[Variable, ...]:  # noqa: N803 - NumPy's name
    """Eigenvalues and eigenvectors of symmetric (Hermitian) matrices.

    Only one triangle is read. Differentiable; the gradient of eigenvectors is infinite or NaN where two eigenvalues are
    equal.

    Parameters
    ----------
    a : array_like
        Matrices ``(..., n, n)``.
    UPLO : {'L', 'U'}, optional
        The triangle that is read.

    Returns
    -------
    tuple of Variable
        Eigenvalues ``(..., n)`` in ascending order, and eigenvectors in the columns of ``(..., n, n)``.

    Raises
    ------
    TypeError
        Where the matrices have a dtype of 16 bits.
    ValueError
        Where ``a`` is not square, or ``UPLO`` is another.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> values, vectors = at.linalg.eigh([[2.0, 0.0], [0.0, 1.0]])
    >>> print(values.eval())
    [1. 2.]
    """
    return apply(table_op("eigh", lower=UPLO == "L"), *promoted("float", [a]))


def _batches(types: tuple[TensorType, ...]) -> list[Shape]:
    return [type.shape[:-2] for type in types]


def _eigvalsh_type(*types: TensorType, lower: bool) -> TensorType:
    size: int | None = None
    for type in types:
        try:
            size = merge_dims(size, side(type))
        except ValueError as error:
            shown = " and ".join(str(one.shape) for one in types)
            raise coded(ValueError, "LJ507")(f"square matrices of one size are expected, got shapes {shown}") from error
    return TensorType(real_dtype(solvable_dtype(*types)), (*broadcast_shapes(*_batches(types)), size))


def _eigvalsh_run(a: Any, *b: Any, lower: bool) -> Any:
    matrices = mirrored(a, lower)
    if b:
        matrices = jnp.vectorize(_reduced, signature="(n,n),(n,n)->(n,n)")(matrices, mirrored(b[0], lower))
    return jnp.linalg.eigvalsh(matrices)


def _reduced(a: Any, b: Any) -> Any:
    """Matrix with the eigenvalues of ``a x = w b x``: with ``b = L L^H`` it is ``L^-1 a L^-H``."""
    factor = jax.lax.linalg.cholesky(b, symmetrize_input=False)
    half = jax.scipy.linalg.solve_triangular(factor, a, lower=True)
    return jax.scipy.linalg.solve_triangular(factor, adjoint(half), lower=True)


register(
    "eigvalsh",
    _eigvalsh_run,
    _eigvalsh_type,
    "cubic",
    operands="float",
    broadcasts=lambda *types, lower: [_batches(types)],
)


@reported
def eigvalsh(a: Any, b: Any = None, lower: bool = True) -> Variable:
    """Eigenvalues of symmetric (Hermitian) matrices, also of generalized problems.

    Only one triangle of each is read. Differentiable in both.

    Parameters
    ----------
    a : array_like
        Matrices ``(..., n, n)``.
    b : array_like, optional
        Positive definite matrices ``(..., n, n)``, for the eigenvalues ``w`` of ``a x = w b x``.
    lower : bool, optional
        True to read the lower triangles.

    Returns
    -------
    Variable
        Eigenvalues ``(..., n)`` in ascending order.

    Raises
    ------
    TypeError
        Where the matrices have a dtype of 16 bits.
    ValueError
        Where matrices are not square or not of one size.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.linalg.eigvalsh([[2.0, 0.0], [0.0, 1.0]]).eval())
    [1. 2.]
    """
    given = [a] if b is None else [a, b]
    return apply(table_op("eigvalsh", lower=bool(lower)), *promoted("float", given))[0]


def _svd_type(type: TensorType, full_matrices: bool, compute_uv: bool) -> TensorType | tuple[TensorType, ...]:
    rows, columns = rows_and_columns(type)
    dtype, batch, count = solvable_dtype(type), type.shape[:-2], shorter(rows, columns)
    values = TensorType(real_dtype(dtype), (*batch, count))
    if not compute_uv:
        return values
    left, right = (rows, columns) if full_matrices else (count, count)
    return TensorType(dtype, (*batch, rows, left)), values, TensorType(dtype, (*batch, right, columns))


def _svd_run(x: Any, full_matrices: bool, compute_uv: bool) -> Any:
    try:
        found = jnp.linalg.svd(x, full_matrices=full_matrices, compute_uv=compute_uv)
    except NotImplementedError as error:
        raise coded(UnsupportedError, "LJ506")(
            f"no gradient of all singular vectors of matrices of shape {x.shape}; write full_matrices=False"
        ) from error
    return tuple(found) if compute_uv else found


register("svd", _svd_run, _svd_type, "cubic", operands="float")


@overload
def svd(a: Any, full_matrices: bool = True, compute_uv: Literal[True] = True) -> tuple[Variable, ...]: ...


@overload
def svd(a: Any, full_matrices: bool = True, *, compute_uv: Literal[False]) -> Variable: ...


@overload
def svd(a: Any, full_matrices: bool, compute_uv: Literal[False]) -> Variable: ...


@overload
def svd(a: Any, full_matrices: bool = True, *, compute_uv: bool) -> tuple[Variable, ...] | Variable: ...


@reported
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> tuple[Variable, ...] | Variable:
    """Singular value decomposition, ``a = u @ diag(s) @ vh``.

    Differentiable with ``full_matrices=False`` or for square matrices; the gradient of singular vectors is infinite or
    NaN where two values are equal.

    Parameters
    ----------
    a : array_like
        Matrices ``(..., m, n)``.
    full_matrices : bool, optional
        True for ``m`` left and ``n`` right singular vectors, False for ``k = min(m, n)`` of each.
    compute_uv : bool, optional
        False for the singular values only.

    Returns
    -------
    tuple of Variable, or Variable
        ``u`` ``(..., m, k)``, singular values ``(..., k)`` in descending order, and ``vh`` ``(..., k, n)``.

    Raises
    ------
    TypeError
        Where the matrices have a dtype of 16 bits.
    ValueError
        Where ``a`` has less than two dimensions.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.linalg.svd([[3.0, 0.0], [0.0, 4.0]], compute_uv=False).eval())
    [4. 3.]
    """
    outputs = apply(
        table_op("svd", full_matrices=bool(full_matrices), compute_uv=bool(compute_uv)), *promoted("float", [a])
    )
    return outputs if compute_uv else outputs[0]


def _qr_type(type: TensorType, mode: str) -> TensorType | tuple[TensorType, ...]:
    rows, columns = rows_and_columns(type)
    dtype, batch = solvable_dtype(type), type.shape[:-2]
    inner = rows if mode == "complete" else shorter(rows, columns)
    triangle = TensorType(dtype, (*batch, inner, columns))
    return triangle if mode == "r" else (TensorType(dtype, (*batch, rows, inner)), triangle)


def _qr_run(x: Any, mode: str) -> Any:
    found = jnp.linalg.qr(x, mode=mode)
    return found if mode == "r" else tuple(found)


register("qr", _qr_run, _qr_type, "cubic", operands="float")


@overload
def qr(a: Any, mode: Literal["reduced", "complete"] = "reduced") -> tuple[Variable, ...]: ...


@overload
def qr(a: Any, mode: Literal["r"]) -> Variable: ...


@reported
def qr(a: Any, mode: Literal["reduced", "complete", "r"] = "reduced") -> tuple[Variable, ...] | Variable:
    """QR decomposition, ``a = q @ r``.

    Differentiable where ``m >= n``; with ``mode="complete"`` for square matrices only.

    Parameters
    ----------
    a : array_like
        Matrices ``(..., m, n)``.
    mode : {'reduced', 'complete', 'r'}, optional
        ``q`` of ``k = min(m, n)`` columns, of ``m``, or not returned.

    Returns
    -------
    tuple of Variable, or Variable
        Orthonormal columns ``q`` ``(..., m, k)`` and upper triangles ``r`` ``(..., k, n)``; ``r`` only with
        ``mode="r"``.

    Raises
    ------
    TypeError
        Where the matrices have a dtype of 16 bits.
    ValueError
        Where ``a`` has less than two dimensions, or ``mode`` is another.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> q, r = at.linalg.qr([[3.0, 1.0], [4.0, 2.0]])
    >>> print(q.type.shape, r.type.shape)
    (2, 2) (2, 2)
    """
    outputs = apply(table_op("qr", mode=mode), *promoted("float", [a]))
    return outputs[0] if mode == "r" else outputs
