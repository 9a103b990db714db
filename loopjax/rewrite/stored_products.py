"""Marks matrix products as residuals to save for a loop's gradient, by name and a ``jax.checkpoint`` policy.

``plan`` chooses what a loop stores. Where that is its products, this pass puts ``stored`` around each, or around the
sum that only it goes into: the gradient of a sum needs none of its terms. ``lower/loops/checkpointed.py`` gives these
values the name that the policy of ``jax.checkpoint`` saves.
"""

from __future__ import annotations

from loopjax.ir.graph import Apply, Graph, Variable, copy_node
from loopjax.ir.op import table_op
from loopjax.ir.scan import Scan
from loopjax.rewrite.driver import Context, Pass, Replacement
from loopjax.rewrite.remat import stores_products


class MarkStoredProducts(Pass):
    """Puts ``stored`` around the products of loops whose plan stores them."""

    def rewrite_scan(self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        nest = None if op.plan is None else op.plan.checkpoint
        if nest is None or not stores_products(nest.keep):
            return None
        _, *regions = op.regions
        return copy_node(node, inputs, op.with_regions([with_stored_products(op.body), *regions])).outputs


def with_stored_products(body: Graph) -> Graph:
    """The body with its products marked."""
    marked = {_sum_of(node.outputs[0], body) for node in body.applies if node.op.has("contraction")}
    marked = {variable for variable in marked if variable in body.readers}

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> Replacement:
        if node.outputs[0] not in marked:
            return None
        return Apply(table_op("stored"), copy_node(node, inputs).outputs, node.sources).outputs

    return body.rebuilt(transform=transform)


def _sum_of(variable: Variable, body: Graph) -> Variable:
    """The last of the sums of the same shape that a value goes into and nothing else reads."""
    while variable not in body.outputs:
        readers = body.readers.get(variable, [])
        if len(readers) != 1 or not _is_sum(readers[0]) or readers[0].outputs[0].type != variable.type:
            break
        variable = readers[0].outputs[0]
    return variable


def _is_sum(node: Apply) -> bool:
    return node.op.named("add", "sub", "tapped")
