"""Padding rules of linear algebra: a matrix of a varying size is a block beside an identity matrix.

With ``A`` in the upper left corner and ones on the rest of the diagonal, Cholesky factors, inverses, powers and
solutions have those of ``A`` in the same corner, and the determinant is that of ``A``. No gradient flows from the rest,
and none of it is singular. ``expm`` and singular values take zeros for ones; eigenvalues in ascending order take
numbers above all those of ``A``, no two of them equal.

Known limits: eigenvectors, singular vectors, ``qr``, ``pinv`` and ``lstsq`` need exact sizes, since their signs or
tolerances depend on it; so do norms that count or divide by what padding adds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from loopjax.ir.graph import Apply, Variable
from loopjax.shapes.padding.rules import exact_call, require_elements, rule
from loopjax.shapes.padding.scope import PaddedAxis, PaddingScope


def _square(scope: PaddingScope, x: Variable) -> Variable:
    """Return matrices whose rows and columns have the same capacity."""
    (x,), _ = scope.aligned([x], [{x.ndim - 2: 0, x.ndim - 1: 0}], stretch=False)
    return x


def _past(scope: PaddingScope, padded: PaddedAxis, dtype: str) -> Variable:
    """Return a matrix with ones on the diagonal past the length."""
    past = scope.emit("ge", scope.iota(padded.capacity), padded.length)
    return scope.emit("diag", scope.emit("cast", past, dtype=dtype), k=0)


def _beside_identity(scope: PaddingScope, x: Variable) -> Variable:
    """Return square matrices beside an identity matrix."""
    padded = scope.axis(x, x.ndim - 1)
    if padded is None:
        return x
    masked = scope.masked(x, [x.ndim - 2, x.ndim - 1], "zero")
    return scope.note(scope.emit("add", masked, _past(scope, padded, x.dtype)), scope.axes(x))


@rule("cholesky", "matrix_inverse", "matrix_power")
def _matrices(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    x = _square(scope, inputs[0])
    made = scope.apply(node.op, _beside_identity(scope, x))[0]
    return scope.filled(made, scope.axes(x), [x.ndim - 2, x.ndim - 1])


@rule("expm")
def _expm(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    x = _square(scope, inputs[0])
    along = [x.ndim - 2, x.ndim - 1]
    return scope.filled(scope.apply(node.op, scope.masked(x, along, "zero"))[0], scope.axes(x), along)


@rule("det", "slogdet")
def _det(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Sequence[Variable]:
    x = _square(scope, inputs[0])
    batch = {axis: padded for axis, padded in scope.axes(x).items() if axis < x.ndim - 2}
    return [scope.note(one, batch) for one in scope.apply(node.op, _beside_identity(scope, x))]


@rule("solve", "solve_triangular")
def _solve(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    a, b = inputs
    rows = max(b.ndim - 2, 0)
    (a, b), _ = scope.aligned([a, b], [{a.ndim - 2: 0, a.ndim - 1: 0}, {rows: 0}], stretch=False)
    batch = max(a.ndim, b.ndim) - 2
    places = [{axis: axis + batch - (one.ndim - 2) for axis in range(one.ndim - 2)} for one in (a, b)]
    (a, b), axes = scope.aligned([a, b], places)
    for place, axis in enumerate(range(rows, b.ndim), batch):
        padded = scope.axis(b, axis)
        if padded is not None:
            axes[place] = padded
    made = scope.apply(node.op, _beside_identity(scope, a), scope.masked(b, [rows], "zero"))[0]
    return scope.filled(made, axes, [batch])


@rule("eigvalsh")
def _eigvalsh(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable | Sequence[Variable]:
    x, *others = inputs
    if others or not x.dtype.startswith("float"):
        return exact_call(scope, node, inputs)
    x = _square(scope, x)
    rows, columns = x.ndim - 2, x.ndim - 1
    axes = {axis: padded for axis, padded in scope.axes(x).items() if axis != columns}
    padded = scope.axis(x, columns)
    if padded is None:
        return scope.call(node.op, x, axes=axes)
    masked = scope.masked(x, [rows, columns], "zero")
    triangle = scope.emit("zero_grad", scope.emit("tril" if node.op.arguments["lower"] else "triu", masked, k=0))
    squares = scope.emit("mul", triangle, triangle)
    # Twice the Frobenius norm is more than any eigenvalue.
    norm = scope.emit("sqrt", scope.emit("sum", squares, axis=(rows, columns), keepdims=True, dtype=x.dtype))
    place = scope.emit("true_div", scope.emit("cast", scope.iota(padded.capacity), dtype=x.dtype), padded.capacity)
    above = scope.emit("mul", _past(scope, padded, x.dtype), scope.emit("add", place, 2))
    embedded = scope.emit("add", masked, scope.emit("mul", norm, scope.emit("cast", above, dtype=x.dtype)))
    return scope.filled(scope.apply(node.op, embedded)[0], axes, [rows])


@rule("svd")
def _svd(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable | Sequence[Variable]:
    x = inputs[0]
    rows, columns = x.ndim - 2, x.ndim - 1
    if node.op.arguments["compute_uv"] and not scope.axes(x).keys().isdisjoint((rows, columns)):
        return exact_call(scope, node, inputs)
    masked = scope.masked(x, [rows, columns], "zero")
    axes = {axis: padded for axis, padded in scope.axes(x).items() if axis < rows}
    if not scope.axes(x).keys().isdisjoint((rows, columns)):
        lengths, capacities = ([size(x, axis) for axis in (rows, columns)] for size in (scope.length, scope.rows))
        axes[rows] = PaddedAxis(scope.least(lengths), scope.least(capacities))
    return [scope.filled(one, axes, [rows]) for one in scope.apply(node.op, masked)]


@rule("norm")
def _norm(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable | Sequence[Variable]:
    x, order, over = inputs[0], node.op.arguments["ord"], node.op.arguments["axis"]
    keepdims = node.op.arguments["keepdims"]
    allowed = (None, "fro", 1, math.inf) if len(over) == 2 else (None, 1, 2, math.inf)
    padded = [axis for axis in over if scope.axis(x, axis) is not None]
    if padded and order not in allowed:
        return exact_call(scope, node, inputs)
    if order == math.inf or (order == 1 and len(over) == 2):
        require_elements(scope, node.op.name, x, over)
    kept = [axis for axis in range(x.ndim) if keepdims or axis not in over]
    axes = {place: scope.axes(x)[axis] for place, axis in enumerate(kept) if axis in scope.axes(x) and axis not in over}
    return scope.call(node.op, scope.masked(x, over, "zero"), axes=axes)
