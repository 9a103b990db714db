"""Outlining: ops that occur often in a differentiated region are traced once.

Under ``jax.vjp`` JAX differentiates each op where it stands, for about a millisecond; a function that ``jax.jit`` has
traced it differentiates once for all equal calls. The first such call costs twice as much, so that ops that occur only
a few times are left as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax

from loopjax.ir.graph import Apply, Graph, Op
from loopjax.ir.op import TableOp
from loopjax.ir.types import TensorType, x64_is_on
from loopjax.lower.interpreter import rule_of, run_row, runner

MANY = 4
"""Occurrences from which an op is traced once. Measured: the time to trace a gradient is then 0.3 to 0.5 of what it was
for a hundred, and the same for four."""


class Repeats:
    """A lowering rule for the plain ops of a region that traces each once where it occurs often."""

    def __init__(self, region: Graph) -> None:
        counts = Counter(_key(node) for node in region.applies if _is_plain(node.op))
        self._often = {key for key, count in counts.items() if count >= MANY}

    def __call__(self, node: Apply, op: TableOp, args: Sequence[Any]) -> Sequence[Any]:
        if not _is_plain(op) or _key(node) not in self._often:
            return rule_of(node)(node, op, args)
        return run_row(node, op, args, _traced_once(op, x64_is_on()))


def _is_plain(op: Op) -> bool:
    """True where an op runs by a function of its inputs only, whatever the settings are."""
    has_function = isinstance(op, TableOp) and op.definition.run is not None
    return has_function and (op.has("pointwise", "reduce") or op.name == "dot")


def _key(node: Apply) -> tuple[Op, tuple[TensorType, ...]]:
    return node.op, tuple([variable.type for variable in node.inputs])


@lru_cache(maxsize=4096)
def _traced_once(op: TableOp, x64: bool) -> Any:
    return jax.jit(runner(op), inline=True)
