"""Products, factorizations and linear systems; their rules take leading batch axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytensor.graph.basic import Apply
from pytensor.tensor.blas import BatchedDot
from pytensor.tensor.math import Dot

import loopjax.tensor as at
from loopjax.pytensor.conversion import Conversion, of_type, rule
from loopjax.pytensor.versions import Cholesky, CholeskySolve, Det, MatrixInverse, SLogDet, Solve, SolveTriangular
from loopjax.tensor.linalg import cholesky, det, slogdet
from loopjax.tensor.systems import cho_solve, matrix_inverse, solve, solve_triangular


@rule(Dot)
def _dot(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return at.matmul(*[of_type(one, node.outputs[0]) for one in args])


@rule(BatchedDot)
def _batched_dot(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return at.matmul(*[of_type(one, node.outputs[0]) for one in args])


@rule(Cholesky)
def _cholesky(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return cholesky(args[0], lower=node.op.lower)


@rule(SolveTriangular)
def _solve_triangular(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    op = node.op
    a, b = _columns(op, args)
    trans: Any = getattr(op, "trans", 0)
    made = solve_triangular(a, b, trans=trans, lower=op.lower, unit_diagonal=op.unit_diagonal)
    return made[..., 0] if op.b_ndim == 1 else made


@rule(Solve)
def _solve(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    op = node.op
    if op.assume_a not in ("gen", "sym", "her", "pos") or getattr(op, "transposed", False):
        return NotImplemented
    a, b = _columns(op, args)
    made = solve(a, b, assume_a=op.assume_a, lower=op.lower)
    return made[..., 0] if op.b_ndim == 1 else made


@rule(CholeskySolve)
def _cholesky_solve(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    op = node.op
    a, b = _columns(op, args)
    made = cho_solve((a, op.lower), b)
    return made[..., 0] if op.b_ndim == 1 else made


def _columns(op: Any, args: Sequence[Any]) -> tuple[Any, Any]:
    """The matrix and the right-hand sides as columns, in one dtype."""
    a, b = args
    return a, b[..., None] if op.b_ndim == 1 else b


@rule(MatrixInverse)
def _inverse(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return matrix_inverse(args[0])


@rule(Det)
def _det(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return det(args[0])


@rule(SLogDet)
def _slogdet(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return list(slogdet(args[0]))


BATCHED = (
    Dot,
    Cholesky,
    SolveTriangular,
    Solve,
    CholeskySolve,
    MatrixInverse,
    Det,
    SLogDet,
)
"""Core ops whose rules take leading batch axes."""
