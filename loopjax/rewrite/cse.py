"""Common-subexpression elimination: nodes of equal op and inputs become one.

The graph is walked once with a table of the nodes so far (hash-consing, or global value numbering without joins, since
a graph is one basic block). Loops are nodes too: two with equal bodies, which is equality up to the names of variables,
and equal inputs are one.
"""

from __future__ import annotations

from collections.abc import Hashable

from loopjax.ir.autodiff import derivatives
from loopjax.ir.equality import value_key
from loopjax.ir.graph import Apply, Graph, Variable, copy_node
from loopjax.rewrite.driver import Context, Pass


class EliminateCommonSubexpressions(Pass):
    """Shares nodes of equal op and inputs; the one that stays has the source lines of all.

    Variables that a recorded derivative is taken by keep their identity: with ``y = x * 2; z = x * 2`` the gradient of
    ``y + z`` by ``y`` is 1.
    """

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        distinct = {variable for _, parts in derivatives(graph.applies) for variable in parts.wrt}
        found: dict[Hashable, Apply] = {}
        merged: dict[Apply, list[Apply]] = {}

        def share(node: Apply, inputs: tuple[Variable, ...]) -> tuple[Variable, ...]:
            key: Hashable = (node.op, tuple(map(value_key, inputs))) if distinct.isdisjoint(node.outputs) else node
            first = found.get(key)
            if first is None:
                first = found[key] = node if inputs is node.inputs else copy_node(node, inputs)
            else:
                merged.setdefault(first, [first]).append(node)
            return first.outputs

        def note_sources(node: Apply, inputs: tuple[Variable, ...]) -> tuple[Variable, ...] | None:
            if node not in merged:
                return None
            made = copy_node(node, inputs)
            made.sources = tuple(dict.fromkeys(line for one in merged[node] for line in one.sources))
            return made.outputs

        shared = graph.rebuilt(transform=share)
        return shared.rebuilt(transform=note_sources) if merged else graph
