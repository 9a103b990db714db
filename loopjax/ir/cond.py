"""The conditional: one of two regions runs, as a value decides (``jax.lax.cond``)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from loopjax.ir.autodiff import Derivative
from loopjax.ir.graph import Apply, Graph, Op, Variable, check_accepts, toposort
from loopjax.ir.op import table_op
from loopjax.ir.types import RESIDUAL, TensorType

LAZY_SWITCH = table_op("switch", lazy=True)
"""The op ``switch`` of a scalar condition where only the branch that is taken should be computed."""

Switches = list[Apply]
"""Lazy switches of one condition that do not depend on one another."""


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


def branches(graph: Graph, group: Switches) -> tuple[set[Apply], set[Apply]]:
    """Return the nodes that only the first operands of the switches need, and those that only the second ones do."""
    return _owned(graph, group, 1), _owned(graph, group, 2)


def _owned(graph: Graph, group: Switches, position: int) -> set[Apply]:
    """Return the nodes whose every reader is such a node too, or reads them as this operand of the switches."""
    found: set[Apply] = set()
    operands, kept = {(switch, position) for switch in group}, set(graph.outputs)
    candidates = {switch.inputs[position].owner for switch in group}
    for node in reversed(graph.applies if group else ()):
        if node not in candidates:
            continue
        # A residual has to stay in the graph of its pullback.
        together = [node, *(x.owner for x in node.inputs if x.dtype == RESIDUAL and x.owner is not None)]
        values = {output for one in together for output in one.outputs}
        readers = {reader for x in values for reader in graph.readers.get(x, ())} - found - {node}
        reads = {(reader, place) for reader in readers for place, x in enumerate(reader.inputs) if x in values}
        if reads <= operands and kept.isdisjoint(values) and not isinstance(node.op, Derivative):
            found.add(node)
            candidates.update(x.owner for x in node.inputs)
    return found


def lazy_switches(graph: Graph) -> list[Switches]:
    """Return the lazy switches by condition, apart where one depends on another through whatever others."""
    group_of: dict[Apply, Switches] = {}
    last: dict[Variable, Switches] = {}

    def reads(node: Apply) -> Sequence[Variable]:
        return [x for member in group_of.get(node, [node]) for x in member.inputs]

    for node in graph.applies:
        # A weak result is made of Python numbers.
        if node.op != LAZY_SWITCH or node.inputs[0].ndim or node.outputs[0].type.weak:
            continue
        group = last.get(node.inputs[0])
        if group is None or not set(group).isdisjoint(toposort(node.inputs, graph.inputs, reads)):
            group = last[node.inputs[0]] = []
        group.append(node)
        group_of[node] = group
    return list({id(group): group for group in group_of.values()}.values())
