"""Reparametrization: a draw becomes a parameter-free base sample and an elementwise transform of it.

``normal(key, loc, scale)`` becomes ``loc + scale * standard_normal(key)`` (Kingma and Welling 2014, Auto-encoding
variational Bayes, section 2.4), so that the base samples of many steps can be drawn at once where the parameters depend
on earlier steps.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.op import TableOp, table_op
from loopjax.ir.public_ops import ops


def is_draw(node: Apply) -> bool:
    """Return whether a node draws from a distribution."""
    return node.op.has("draw")


def standard_draws(
    body: Graph, keys: Collection[Variable], bound: set[Variable], wanted: Callable[[Apply], bool] = is_draw
) -> Graph:
    """Reparametrize the ``wanted`` draws of a body that use one of ``keys`` and whose parameters are in ``bound``."""

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
        rule = node.op.definition.reparametrization if isinstance(node.op, TableOp) else None
        if rule is None or node.inputs[0] not in keys or bound.isdisjoint(node.inputs) or not wanted(node):
            return None
        key, *parameters = inputs
        (drawn,) = node.outputs
        dtype = rule.dtype(drawn.dtype, parameters[0].dtype)
        base = Apply(table_op(rule.base, lengths=drawn.type.sizes, dtype=dtype), [key], node.sources).outputs[0]
        return [rule.transform(lambda name, *args: ops[name](*args), base, *parameters).astype(drawn.dtype)]

    return body.rebuilt(transform=transform)
