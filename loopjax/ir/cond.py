"""The op of a choice between two regions that depends on a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loopjax.ir.graph import Graph, Op
from loopjax.ir.types import TensorType


@dataclass(frozen=True)
class IfElse(Op):
    """Runs one of two regions: ``then`` where the first input, a bool, is true, else ``otherwise``.

    The other inputs are those of either region. What either keeps for a gradient takes its room whichever is run.
    """

    then: Graph
    otherwise: Graph

    @property
    def regions(self) -> tuple[Graph, ...]:
        return (self.then, self.otherwise)

    def with_regions(self, regions: Sequence[Graph]) -> IfElse:
        then, otherwise = regions
        return replace(self, then=then, otherwise=otherwise)

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        condition, *given = types
        if condition != TensorType("bool"):
            raise TypeError(f"a condition is one bool, got {condition}")
        for region in self.regions:
            for variable, type in zip(region.inputs, given, strict=True):
                if not variable.type.accepts(type):
                    raise TypeError(f"a branch expects {variable.type}, got {type}")
        one, other = (tuple(variable.type.strong() for variable in region.outputs) for region in self.regions)
        if one != other:
            raise TypeError(f"the branches of a condition give {list(map(str, one))} and {list(map(str, other))}")
        return one
