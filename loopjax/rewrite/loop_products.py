"""Products of a body with matrices that are the same at every step."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

from loopjax.ir.graph import Apply, Variable


class Product(NamedTuple):
    """``operand @ matrix``, or with ``left`` ``matrix @ operand``."""

    node: Apply
    operand: Variable
    matrix: Variable
    left: bool

    @property
    def output(self) -> Variable:
        return self.node.outputs[0]

    @property
    def rows(self) -> int:
        """How many vectors the matrix is multiplied with."""
        within = self.matrix.type.sizes[1 if self.left else 0]
        return math.prod(self.operand.type.sizes) // max(within, 1)


def product(node: Apply, matrices: Collection[Variable]) -> Product | None:
    """A node as the product of something with one of ``matrices``: of two axes, and of the dtype of the other operand.
    The operand is a vector, or a matrix, or on the left any array."""
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
