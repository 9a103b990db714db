"""The op of loops whose matrices get their gradients behind the backward loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loopjax.ir.graph import Graph, Op
from loopjax.ir.op import register
from loopjax.ir.types import TensorType


def _tapped_type(value: TensorType, tap: TensorType) -> TensorType:
    if value != tap:
        raise TypeError(f"what taps the cotangent of {value} is {tap}")
    return value


register("tapped", None, _tapped_type, "pointwise")
"""Its first input; what flows back to that flows to the second one too."""


@dataclass(frozen=True)
class BatchedWeightGradients(Op):
    """Runs a region, and has a reverse mode of its own, in which each of some matrices gets its gradient from a product
    over all steps.

    The last inputs are those matrices, one for each of ``products``, which says of each whether it stands on the left
    of its operand. The region has further inputs behind them, the taps, stacks of zeros: what flows back to one is
    what flows back to a product at each step. The region's last outputs are the stacked operands.
    """

    region: Graph
    products: tuple[bool, ...]

    @property
    def regions(self) -> tuple[Graph, ...]:
        return (self.region,)

    def with_regions(self, regions: Sequence[Graph]) -> BatchedWeightGradients:
        return replace(self, region=regions[0])

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        for variable, type in zip(self.region.inputs, types, strict=False):
            if not variable.type.accepts(type):
                raise TypeError(f"a region expects {variable.type}, got {type}")
        return tuple(variable.type for variable in self.region.outputs[: -len(self.products)])
