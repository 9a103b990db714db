"""Lowering of a choice between two regions: ``lax.cond``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax import lax

from loopjax.ir.cond import IfElse
from loopjax.ir.graph import Apply, Graph
from loopjax.lower.interpreter import as_array, evaluate, rule
from loopjax.lower.placement import placed_alike


@rule(IfElse)
def _if_else(node: Apply, op: IfElse, args: Sequence[Any]) -> Sequence[Any]:
    def branch(region: Graph) -> Callable[..., list[Any]]:
        return lambda *given: [as_array(value) for value in evaluate(region, given)]

    branches = placed_alike([branch(op.then), branch(op.otherwise)], args[1:])

    def choose(*given: Any) -> list[Any]:
        chosen: list[Any] = lax.cond(given[0], *branches, *given[1:])
        return chosen

    return (jax.checkpoint(choose, prevent_cse=False) if op.remat else choose)(*args)
