"""Products, factorizations and linear systems; their rules take leading batch axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytensor.tensor.nlinalg as nlinalg
import pytensor.tensor.slinalg as slinalg
from pytensor.graph.basic import Apply
from pytensor.tensor.blas import BatchedDot
from pytensor.tensor.math import Dot

import loopjax.tensor as at
from loopjax.pytensor.conversion import Conversion, of_type, rule
from loopjax.tensor import nlinalg as loop_nlinalg
from loopjax.tensor import slinalg as loop_slinalg


@rule(Dot)
def _dot(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return at.matmul(*[of_type(one, node.outputs[0]) for one in args])


@rule(BatchedDot)
def _batched_dot(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return at.matmul(*[of_type(one, node.outputs[0]) for one in args])


@rule(slinalg.Cholesky)
def _cholesky(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return loop_slinalg.cholesky(args[0], lower=node.op.lower)


@rule(slinalg.SolveTriangular)
def _solve_triangular(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    op = node.op
    a, b = _columns(op, args)
    trans = getattr(op, "trans", 0)
    made = loop_slinalg.solve_triangular(a, b, trans=trans, lower=op.lower, unit_diagonal=op.unit_diagonal)
    return made[..., 0] if op.b_ndim == 1 else made


@rule(slinalg.Solve)
def _solve(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    op = node.op
    if op.assume_a not in ("gen", "sym", "her", "pos") or getattr(op, "transposed", False):
        return NotImplemented
    a, b = _columns(op, args)
    made = loop_slinalg.solve(a, b, assume_a=op.assume_a, lower=op.lower)
    return made[..., 0] if op.b_ndim == 1 else made


@rule(slinalg.CholeskySolve)
def _cholesky_solve(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    op = node.op
    a, b = _columns(op, args)
    made = loop_slinalg.cho_solve((a, op.lower), b)
    return made[..., 0] if op.b_ndim == 1 else made


def _columns(op: Any, args: Sequence[Any]) -> tuple[Any, Any]:
    """The matrix and the right-hand sides as columns, in one dtype."""
    a, b = args
    return a, b[..., None] if op.b_ndim == 1 else b


@rule(nlinalg.MatrixInverse)
def _inverse(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return loop_nlinalg.matrix_inverse(args[0])


@rule(nlinalg.Det)
def _det(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return loop_nlinalg.det(args[0])


@rule(nlinalg.SLogDet)
def _slogdet(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return list(loop_nlinalg.slogdet(args[0]))


BATCHED = (Dot, slinalg.Cholesky, slinalg.SolveTriangular, slinalg.Solve, slinalg.CholeskySolve, nlinalg.MatrixInverse, nlinalg.Det, nlinalg.SLogDet)
"""Core ops whose rules take leading batch axes."""
