"""Reparametrization: a draw becomes a parameter-free base sample and a transform of it.

``normal(key, loc, scale)`` becomes ``loc + scale * standard_normal(key)`` (Kingma and Welling 2014, Auto-encoding
variational Bayes, section 2.4), so that the base samples of many steps can be drawn at once where the parameters depend
on earlier steps. ``categorical(key, p)`` becomes the position of the largest of ``log(p)`` plus Gumbel noise (Gumbel
1954, Statistical theory of extreme values, lecture 4).
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
        lengths = rule.shape(drawn.type.sizes, parameters[0].type.sizes)
        base = Apply(table_op(rule.base, lengths=lengths, dtype=dtype), [key], node.sources).outputs[0]
        value = rule.transform(lambda name, *args, **options: ops[name](*args, **options), base, *parameters)
        return [value.astype(drawn.dtype)]

    return body.rebuilt(transform=transform)
