"""Linear algebra of matrices as ``at.linalg``: the names of Aesara's ``nlinalg`` and ``slinalg`` together."""

from __future__ import annotations

from loopjax.tensor.factors import cholesky, eigh, eigvalsh, qr, svd
from loopjax.tensor.matrix_functions import det, expm, matrix_power, norm, slogdet
from loopjax.tensor.products import alloc_diag, diag, extract_diag, kron, matrix_dot, trace
from loopjax.tensor.systems import (
    cho_solve,
    lstsq,
    matrix_inverse,
    pinv,
    solve,
    solve_lower_triangular,
    solve_symmetric,
    solve_triangular,
    solve_upper_triangular,
)

inv = matrix_inverse

__all__ = [
    "alloc_diag",
    "cho_solve",
    "cholesky",
    "det",
    "diag",
    "eigh",
    "eigvalsh",
    "expm",
    "extract_diag",
    "inv",
    "kron",
    "lstsq",
    "matrix_dot",
    "matrix_inverse",
    "matrix_power",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_lower_triangular",
    "solve_symmetric",
    "solve_triangular",
    "solve_upper_triangular",
    "svd",
    "trace",
]
