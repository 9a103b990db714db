"""Padding rules of sorts: rows past the length are NaN or the greatest integer, which a stable sort leaves last."""

from __future__ import annotations

from collections.abc import Sequence

from loopjax.ir.graph import Apply, Variable
from loopjax.shapes.padding.rules import exact_call, rule
from loopjax.shapes.padding.scope import PaddingScope


@rule("sort", "argsort")
def _sort(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable | Sequence[Variable]:
    x, axis = inputs[0], node.op.arguments["axis"]
    if x.dtype.startswith("complex") and scope.axis(x, axis) is not None:
        return exact_call(scope, node, inputs)
    masked = scope.masked(x, [axis], "last", least=1)
    return scope.filled(scope.apply(node.op, masked)[0], scope.axes(x), [axis])


@rule("searchsorted")
def _searchsorted(scope: PaddingScope, node: Apply, inputs: list[Variable]) -> Variable:
    x, values = inputs
    found = scope.call(node.op, scope.masked(x, [0], "last"), values, axes=scope.axes(values))
    if scope.axis(x, 0) is None:
        return found
    return scope.note(scope.emit("minimum", found, scope.length(x, 0)), scope.axes(values))
