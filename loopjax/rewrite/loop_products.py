"""Analysis: matrix products of a loop's body with a loop-invariant matrix."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

from loopjax.ir.graph import Apply, Variable
from loopjax.ir.scan import Scan


class Product(NamedTuple):
    """``operand @ matrix``, or with ``left`` ``matrix @ operand``."""

    node: Apply
    operand: Variable
    matrix: Variable
    left: bool

    @property
    def output(self) -> Variable:
        """The result of the product."""
        return self.node.outputs[0]

    @property
    def rows(self) -> int:
        """Number of vectors that the matrix multiplies."""
        contracted = self.matrix.type.sizes[1 if self.left else 0]
        return math.prod(self.operand.type.sizes) // max(contracted, 1)

    def with_matrix(self, matrix: Variable, inputs: Sequence[Variable]) -> Variable:
        """Return the product, on these inputs, with another matrix."""
        pair = (matrix, inputs[1]) if self.left else (inputs[0], matrix)
        return Apply(self.node.op, pair, self.node.sources).outputs[0]


def loop_products(op: Scan) -> list[Product]:
    """Return the products of a loop's body with non-sequences of two axes."""
    matrices = set(op.body_inputs(op.body.inputs).non_sequences)
    return [found for node in op.body.applies if (found := _product(node, matrices)) is not None]


def _product(node: Apply, matrices: Collection[Variable]) -> Product | None:
    """Return a node as a product with one of ``matrices``, of the dtype of the operand.

    The operand of a matrix on the left is a vector or a matrix, that of one on the right any array.
    """
    if not node.op.has("matmul"):
        return None
    x, y = node.inputs
    if x.dtype != y.dtype or not x.type.is_float:
        return None
    if y in matrices and y.ndim == 2 and x not in matrices and x.ndim >= 1:
        return Product(node, x, y, left=False)
    if x in matrices and x.ndim == 2 and y not in matrices and y.ndim in (1, 2):
        return Product(node, y, x, left=True)
    return None
