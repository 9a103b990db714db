"""Factors and spectra of matrices. Leading axes are batches.

Ops on symmetric (Hermitian) matrices read one triangle, as those of LAPACK do, and so do their derivatives: the
gradient is 0 in the other triangle.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from loopjax.errors import UnsupportedError, here
from loopjax.ir.graph import Variable, apply
from loopjax.ir.op import register, table_op
from loopjax.ir.types import Shape, TensorType, broadcast_shapes, merge_dims
from loopjax.tensor.elementwise import real_dtype
from loopjax.tensor.matrix_types import rows_and_columns, shorter, side, solvable_dtype
from loopjax.tensor.operands import promoted


def mirrored(x: Any, lower: bool) -> Any:
    """Hermitian matrices from the lower or the upper triangles."""
    half, rest = (jnp.tril(x), jnp.tril(x, -1)) if lower else (jnp.triu(x), jnp.triu(x, 1))
    return half + adjoint(rest)


def adjoint(x: Any) -> Any:
    """Matrices transposed and conjugated."""
    return jnp.conj(jnp.swapaxes(x, -1, -2))


def _cholesky_type(type: TensorType, lower: bool) -> TensorType:
    size = side(type)
    return TensorType(solvable_dtype(type), (*type.shape[:-2], size, size))


def _cholesky_run(x: Any, lower: bool) -> Any:
    factor = jax.lax.linalg.cholesky(mirrored(x, lower), symmetrize_input=False)
    return factor if lower else adjoint(factor)


register("cholesky", _cholesky_run, _cholesky_type, "cubic", operands="float")


def cholesky(x: Any, lower: bool = True, on_error: str = "nan", check_finite: bool = False) -> Variable:
    """The triangular ``L`` with ``x = L @ L.T`` of positive definite matrices, or ``U`` with ``x = U.T @ U``.

    Only that triangle of ``x`` is read. NaN where a matrix is not positive definite: ``on_error`` may be ``"nan"``
    alone, because the device cannot stop a program. ``check_finite`` is accepted for old programs.
    """
    if on_error != "nan":
        raise ValueError(
            f"cholesky gives NaN for a matrix that is not positive definite; write on_error='nan' and test the result "
            f"with isnan, got on_error={on_error!r}{here()}"
        )
    return apply(table_op("cholesky", lower=bool(lower)), *promoted("float", [x]))[0]


def _eigh_type(type: TensorType, lower: bool) -> tuple[TensorType, TensorType]:
    size, dtype = side(type), solvable_dtype(type)
    values = TensorType(real_dtype(dtype), (*type.shape[:-2], size))
    return values, TensorType(dtype, (*type.shape[:-2], size, size))


def _eigh_run(x: Any, lower: bool) -> Any:
    return tuple(jnp.linalg.eigh(mirrored(x, lower), symmetrize_input=False))


register("eigh", _eigh_run, _eigh_type, "cubic", operands="float")


def eigh(a: Any, UPLO: str = "L") -> tuple[Variable, ...]:  # noqa: N803 - NumPy's name
    """Eigenvalues in ascending order ``(..., n)``, and eigenvectors in columns ``(..., n, n)``, of symmetric matrices.

    Reads the lower triangles, the upper ones with ``UPLO="U"``. The gradient of eigenvectors is infinite or NaN where
    two eigenvalues are equal.
    """
    if UPLO not in ("L", "U"):
        raise ValueError(f"eigh reads the triangle UPLO='L' or 'U', not {UPLO!r}{here()}")
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
            raise ValueError(f"square matrices of one size are expected, got shapes {shown}") from error
    return TensorType(real_dtype(solvable_dtype(*types)), (*broadcast_shapes(*_batches(types)), size))


def _eigvalsh_run(a: Any, *b: Any, lower: bool) -> Any:
    matrices = mirrored(a, lower)
    if b:
        matrices = jnp.vectorize(_reduced, signature="(n,n),(n,n)->(n,n)")(matrices, mirrored(b[0], lower))
    return jnp.linalg.eigvalsh(matrices)


def _reduced(a: Any, b: Any) -> Any:
    """The matrix whose eigenvalues are those of ``a x = w b x``: with ``b = L L^H``, ``L^-1 a L^-H``."""
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


def eigvalsh(a: Any, b: Any = None, lower: bool = True) -> Variable:
    """The eigenvalues in ascending order of symmetric matrices ``a``: each ``w`` of ``a x = w x``, or of
    ``a x = w b x`` with positive definite ``b``. Reads one triangle of each."""
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
        raise UnsupportedError(
            f"no gradient of all singular vectors of matrices of shape {x.shape}; write full_matrices=False"
        ) from error
    return tuple(found) if compute_uv else found


register("svd", _svd_run, _svd_type, "cubic", operands="float")


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Singular vectors, values in descending order and vectors: ``a = u @ diag(s) @ v``; ``s`` alone with
    ``compute_uv=False``.

    ``u`` is ``(..., m, m)`` and ``v`` ``(..., n, n)``, or ``(..., m, k)`` and ``(..., k, n)`` with
    ``full_matrices=False``, ``k`` the lesser of both. The gradient needs those, or square matrices; that of vectors is
    infinite or NaN where two values are equal.
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


def qr(a: Any, mode: str = "reduced") -> Any:
    """Orthonormal columns ``q`` and upper triangular ``r`` with ``a = q @ r``; ``r`` alone with ``mode="r"``.

    ``q`` is ``(..., m, k)``, ``k`` the lesser size of ``a``, or ``(..., m, m)`` with ``mode="complete"``.
    """
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"qr takes mode 'reduced', 'complete' or 'r', not {mode!r}{here()}")
    outputs = apply(table_op("qr", mode=mode), *promoted("float", [a]))
    return outputs[0] if mode == "r" else outputs
