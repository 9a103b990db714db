"""Products of few elements are written out as sums of elementwise products.

A product is a call of a routine of its own, which costs more than tiny matrices do, and which keeps XLA on CPU from
compiling the loop around it into one function. Measured for loops of 2,000 steps on two cores, jax 0.10.2, times as
fast as products:

| square matrices of | 2 | 3 | 4 | 6 | 8 | 12 | 16 rows |
|---|---|---|---|---|---|---|---|
| float64: times a vector, its gradient | 0.9, 1.1 | 1.0, 1.3 | 0.8, 0.9 | 1.1, 1.4 | 1.5, 1.0 | 0.9, 1.0 | 0.8, 1.0 |
| float64: times a matrix, its gradient | 1.0, 1.1 | 1.1, 4 | 11, 20 | 10, 8 | 4, 6 | 3, 4 | 0.3, 0.4 |
| float32: times a vector, its gradient | 1.0, 1.1 | 1.0, 1.2 | 1.0, 1.2 | 1.0, 1.2 | 1.5, 1.3 | 1.0, 1.0 | 0.7, 0.8 |
| float32: times a matrix, its gradient | 1.1, 1.1 | 1.0, 10 | 3, 52 | 15, 18 | 8, 15 | 3, 4 | 0.9, 0.3 |

On an H200 (jax 0.11.2) a Kalman filter of four states takes 0.8 times as long: fewer kernels are launched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loopjax.ir.graph import Apply, Variable, copy_node
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import Scan
from loopjax.rewrite.driver import Context, Pass

MOST_ROWS = 12
"""Rows, columns and terms up to which a matrix is tiny."""


@dataclass(frozen=True)
class ExpandProducts(Pass):
    """In the bodies of loops that run step by step, products of vectors and of matrices, where some matrix is
    multiplied by another: where there are vectors alone, it makes no difference. Elsewhere than on a CPU not where sums
    may be taken in another order, since products may be a linear recurrence then."""

    def rewrite_scan(
        self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context
    ) -> Sequence[Variable] | None:
        if not op.recurrences or not (self.target.on_cpu or not self.target.reassociate):
            return None
        tiny = {product for product in op.body.applies if _is_tiny(product)}
        if not any(variable.ndim == 2 for product in tiny for variable in product.outputs):
            return None
        body = op.body.rebuilt(transform=lambda node, inputs: [_spelled(*inputs)] if node in tiny else None)
        return copy_node(node, inputs, replace(op, body=body)).outputs


def _is_tiny(node: Apply) -> bool:
    if not node.op.has("matmul"):
        return False
    x, y = node.inputs
    same = x.dtype == y.dtype and x.dtype in ("float32", "float64")
    return same and all(one.ndim in (1, 2) and max(one.type.sizes) <= MOST_ROWS for one in (x, y))


def _spelled(x: Variable, y: Variable) -> Variable:
    """``x @ y``."""
    if x.ndim == 1:
        return ops.sum(x * y if y.ndim == 1 else x.dimshuffle(0, "x") * y, axis=0)
    if y.ndim == 1:
        return ops.sum(x * y.dimshuffle("x", 0), axis=1)
    return ops.sum(x.dimshuffle(0, 1, "x") * y.dimshuffle("x", 0, 1), axis=1)
