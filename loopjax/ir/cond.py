"""The conditional: one of two regions runs, as a value decides (``jax.lax.cond``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loopjax.ir.graph import Graph, Op, Variable, check_accepts
from loopjax.ir.op import table_op
from loopjax.ir.types import TensorType

LAZY_SWITCH = table_op("switch", lazy=True)
"""The op ``switch`` of a scalar condition where only the branch that is taken should be computed."""


@dataclass(frozen=True)
class IfElse(Op):
    """Runs the region ``then`` where the first input, a bool, is true, else ``otherwise``.

    The other inputs are the inputs of both regions. Under a derivative the residuals of both take their memory,
    whichever runs: the type of a ``lax.cond`` has them all. With ``remat`` the backward run computes the branch again,
    from the inputs: a loop would store residuals for each step, even those that are the same at every step.
    """

    region_fields = ("then", "otherwise")

    then: Graph
    otherwise: Graph
    remat: bool = False

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


def branch_of(given: Iterable[Variable], outputs: Sequence[Variable]) -> Graph:
    """Return the region that computes ``outputs`` from its inputs, which stand for the variables ``given``."""
    inner = {x: Variable(x.type, name=x.name) for x in given}
    return Graph(tuple(inner), outputs).rebuilt(replace=inner)
