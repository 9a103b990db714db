"""The op of loops whose weight matrices get their gradients from one product after the backward loop.

See ``rewrite/weight_gradients.py`` (Appleyard et al. 2016).
"""

from __future__ import annotations

from dataclasses import dataclass

from loopjax.ir.graph import Graph, Op, check_accepts
from loopjax.ir.op import register
from loopjax.ir.types import TensorType


def _tapped_type(value: TensorType, tap: TensorType) -> TensorType:
    if value != tap:
        raise TypeError(f"what taps the cotangent of {value} is {tap}")
    return value


register("tapped", None, _tapped_type, "pointwise")
"""The identity of its first input, with a second input (the tap) that receives the same cotangent."""


@dataclass(frozen=True)
class BatchedWeightGradients(Op):
    """Runs a region, with a rule for reverse mode that computes each weight gradient as one product over all steps.

    The last inputs are the weight matrices, one for each of ``products``, which is true where the matrix stands on the
    left of its operand. The region has more inputs after them, the taps, which are stacks of zeros: the cotangent of a
    tap is that of the product, stacked over the steps. The region's last outputs are the stacked operands. Where the
    loop is ``dynamic``, the first input is the number of steps that run.
    """

    region_fields = ("region",)

    region: Graph
    products: tuple[bool, ...]
    dynamic: bool = False

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        check_accepts(self.region.inputs[: len(types)], types, "a region")
        return tuple(variable.type for variable in self.region.outputs[: -len(self.products)])
