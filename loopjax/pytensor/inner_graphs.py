"""Ops that hold graphs: ``OpFromGraph``, and the choice between values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytensor.compile.builders import OpFromGraph
from pytensor.graph.basic import Apply

import loopjax.tensor as at
from loopjax.pytensor.conversion import Conversion, rule
from loopjax.pytensor.versions import IfElse


@rule(OpFromGraph)
def _inlined(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    inner = node.op.fgraph
    return conversion.inner(inner.inputs, args, inner.outputs)


@rule(IfElse)
def _ifelse(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    condition, *values = args
    count = node.op.n_outs
    condition = condition if condition.dtype == "bool" else at.neq(condition, at.zeros((), condition.dtype))
    return [at.ifelse(condition, values[position], values[count + position]) for position in range(count)]
