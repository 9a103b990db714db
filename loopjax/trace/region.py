"""Closure conversion: makes a region of variables that were recorded in the open.

``fn`` of a scan uses outer variables as any Python function does. The region gets an input for each of them; what does
not depend on the step is computed outside, but for functions with a singularity that a condition guards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from loopjax.ir.autodiff import derivatives
from loopjax.ir.cond import branches
from loopjax.ir.graph import Apply, Constant, Graph, Variable, dependents, toposort
from loopjax.ir.singular import is_singular


class Closed(NamedTuple):
    """A region, and the outer variables that are passed to its last inputs."""

    graph: Graph
    captured: tuple[Variable, ...]


def close_region(outputs: Sequence[Variable], inputs: Sequence[Variable], first: int) -> Closed:
    """Return the region from ``inputs`` to ``outputs``; ``first`` is the order of the first node recorded inside.

    What does not depend on ``inputs`` stays outside, in the largest expressions possible, and is captured as more
    inputs. Nodes of constants only go inside. A derivative that is recorded inside keeps its whole path from ``wrt`` to
    cost inside, because outside nothing would be left to differentiate. What is recorded inside, has a singularity
    and is read by one branch of a ``switch`` only stays with it: outside, no condition would guard its derivative.
    """
    nodes = toposort(outputs, stop=inputs)
    inside = dependents(nodes, inputs)
    inside |= _constant_expressions(nodes)
    inside |= _gradient_paths(nodes, inside)
    inside |= _guarded(nodes, outputs, inside, first)
    captured: dict[Variable, Variable] = {}

    def inner(variable: Variable) -> None:
        if variable not in inside and variable not in captured and not isinstance(variable, Constant):
            captured[variable] = Variable(variable.type, name=variable.name)

    for output in outputs:
        inner(output)
    for node in toposort(outputs, stop=[*inputs, *captured]):
        if node.outputs[0] in inside:
            for variable in node.inputs:
                inner(variable)
    # A captured variable may be the source of another captured one: only those still read stay.
    closed = Graph(inputs, outputs).rebuilt(captured, inputs=[*inputs, *captured.values()])
    read = {variable for node in closed.applies for variable in node.inputs} | set(closed.outputs)
    kept = {outer: variable for outer, variable in captured.items() if variable in read}
    return Closed(Graph([*inputs, *kept.values()], closed.outputs), tuple(kept))


def _constant_expressions(nodes: Sequence[Apply]) -> set[Variable]:
    """Return the variables that are computed from constants only."""
    found: set[Variable] = set()
    for node in nodes:
        if all(isinstance(variable, Constant) or variable in found for variable in node.inputs):
            found.update(node.outputs)
    return found


def _guarded(nodes: Sequence[Apply], outputs: Sequence[Variable], inside: set[Variable], first: int) -> set[Variable]:
    """Return what was recorded inside, only one branch of a ``switch`` inside reads, and a singularity comes before."""
    graph = Graph([x for node in nodes for x in node.inputs if x.owner is None], outputs)
    switches = [node for node in nodes if node.op.named("switch") and node.outputs[0] in inside]
    owned = set[Apply]().union(*branches(graph, switches))
    singular = {x for node in owned if node.order >= first and is_singular(node.op) for x in node.outputs}
    return singular | dependents(nodes, singular)


def _gradient_paths(nodes: Sequence[Apply], inside: set[Variable]) -> set[Variable]:
    """Return the variables between ``wrt`` and costs of the derivatives inside."""
    found: set[Variable] = set()
    pending = derivatives(nodes)
    while ready := [pair for pair in pending if pair[0].outputs[0] in inside or pair[0].outputs[0] in found]:
        for pair in ready:
            _, parts = pair
            found |= dependents(toposort(parts.costs), parts.wrt) - set(parts.wrt)
            pending.remove(pair)
        # Readers of a path must be inside too, and may be other derivatives.
        found |= dependents(nodes, found)
    return found
