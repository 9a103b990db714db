"""Equal nodes become one."""

from __future__ import annotations

from dataclasses import dataclass

from loopjax.errors import Source
from loopjax.ir.autodiff import derivatives
from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.rewrite.driver import Context, Pass


@dataclass(frozen=True)
class EliminateCommonSubexpressions(Pass):
    """Shares nodes of equal op and inputs, in regions too; the one that stays has the source lines of all.

    What a recorded derivative is taken with respect to keeps its identity: with ``y = x*2; z = x*2`` the gradient of
    ``y + z`` with respect to ``y`` is 1.
    """

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        groups = _groups(graph)
        if not groups.merges:
            return graph
        built: dict[Apply, Apply] = {}

        def transform(node: Apply, inputs: tuple[Variable, ...]) -> tuple[Variable, ...]:
            first = groups.first[node]
            if first is not node:
                return built[first].outputs
            built[node] = Apply(node.op, [groups.constant(variable) for variable in inputs], groups.sources[node])
            for old, new in zip(node.outputs, built[node].outputs, strict=True):
                new.name = old.name
            return built[node].outputs

        return graph.rebuilt(transform=transform)


class _Groups:
    """Which node stands for which."""

    def __init__(self) -> None:
        self.first: dict[Apply, Apply] = {}
        self.sources: dict[Apply, tuple[Source, ...]] = {}
        self.constants: dict[object, Constant] = {}
        self.merges = False

    def constant(self, variable: Variable) -> Variable:
        if not isinstance(variable, Constant):
            return variable
        return self.constants.setdefault((variable.key, variable.type.weak), variable)


def _groups(graph: Graph) -> _Groups:
    groups = _Groups()
    distinct = {variable for _, parts in derivatives(graph.applies) for variable in parts.wrt}
    stands: dict[Variable, Variable] = {}
    found: dict[object, Apply] = {}
    for node in graph.applies:
        inputs = tuple([stands[one] if one in stands else groups.constant(one) for one in node.inputs])
        key: object = (node.op, inputs)
        if distinct and not distinct.isdisjoint(node.outputs):
            key = node
        first = found.setdefault(key, node)
        groups.first[node] = first
        if first is node:
            groups.sources[node] = node.sources
            continue
        groups.sources[first] = tuple(dict.fromkeys((*groups.sources[first], *node.sources)))
        groups.merges = True
        stands.update(zip(node.outputs, first.outputs, strict=True))
    return groups
