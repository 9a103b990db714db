"""The conditional: one of two regions runs, as a value decides (``jax.lax.cond``)."""

from __future__ import annotations

from dataclasses import dataclass

from loopjax.ir.graph import Graph, Op, check_accepts
from loopjax.ir.types import TensorType


@dataclass(frozen=True)
class IfElse(Op):
    """Runs the region ``then`` where the first input, a bool, is true, else ``otherwise``.

    The other inputs are the inputs of both regions. Under a derivative the residuals of both take their memory,
    whichever runs: the type of a ``lax.cond`` has them all.
    """

    region_fields = ("then", "otherwise")

    then: Graph
    otherwise: Graph

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        condition, *operands = types
        if condition != TensorType("bool"):
            raise TypeError(f"a condition is one bool, got {condition}")
        for region in self.regions:
            check_accepts(region.inputs, operands, "a branch")
        then, otherwise = (tuple(variable.type.strong() for variable in region.outputs) for region in self.regions)
        if then != otherwise:
            raise TypeError(f"the branches of a condition give {list(map(str, then))} and {list(map(str, otherwise))}")
        return then
