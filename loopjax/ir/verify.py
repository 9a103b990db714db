"""The verifier: what a graph must satisfy between two stages of the pipeline.

After the model of tinygrad's ``spec``: each stage has its own conditions, and a rewrite that breaks one is found where
it runs, by name.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Literal

from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.plan import LoopPlan
from loopjax.ir.scan import Scan

Stage = Literal["recorded", "sized", "planned"]


class InvalidGraph(AssertionError):
    """A rewrite broke a graph: a fault of LoopJAX, not of the user's program."""


def verify(graph: Graph, after: str = "", stage: Stage = "recorded") -> None:
    """Check the invariants of a stage's output in a graph and all its regions.

    Parameters
    ----------
    graph
        The graph.
    after
        The name of the pass that made it, for the error.
    stage
        ``recorded``: every variable is an input, a constant or computed before it is read, and has the type that its
        op infers. ``sized``: besides, every shape is known and no op waits for a length. ``planned``: besides, every
        loop has a plan, and no plan holds a graph: all graphs of a loop are its regions.

    Raises
    ------
    InvalidGraph
        The graph breaks one of them.
    """
    when = f" after {after}" if after else ""
    defined = set(graph.inputs)
    if len(defined) != len(graph.inputs):
        raise InvalidGraph(f"an input stands twice{when}")
    for node in graph.applies:
        _check_reads(node, defined, when)
        if stage != "recorded":
            _check_sized(node, when)
        if stage == "planned" and isinstance(node.op, Scan):
            _check_plan(node, node.op.plan, when)
        defined.update(node.outputs)
        for region in node.op.regions:
            verify(region, after, stage)
    for variable in graph.outputs:
        if variable not in defined and not isinstance(variable, Constant):
            raise InvalidGraph(f"output {variable!r} is not computed in this graph{when}")


def _check_reads(node: Apply, defined: set[Variable], when: str) -> None:
    """Each input is at hand, and the outputs have the types that the op infers."""
    for variable in node.inputs:
        if variable not in defined and not isinstance(variable, Constant):
            raise InvalidGraph(f"{node!r} reads {variable!r}, which is not of this graph{when}")
    inferred = node.op.infer(*(variable.type for variable in node.inputs))
    if inferred != tuple(output.type for output in node.outputs):
        raise InvalidGraph(f"{node!r} has other types than its op infers{when}")


def _check_sized(node: Apply, when: str) -> None:
    """Shapes are known, and lengths are parameters of the op, not inputs."""
    if node.op.length_inputs(len(node.inputs)):
        raise InvalidGraph(f"{node!r} still reads a length{when}")
    for variable in (*node.inputs, *node.outputs):
        if not variable.type.concrete:
            raise InvalidGraph(f"{variable!r} has an unknown size{when}")


def _check_plan(node: Apply, plan: LoopPlan | None, when: str) -> None:
    """A loop has a plan, which holds no graph."""
    if plan is None:
        raise InvalidGraph(f"{node!r} has no plan{when}")
    for field in fields(plan):
        if _holds_graph(getattr(plan, field.name)):
            raise InvalidGraph(f"the plan of {node!r} holds a graph in {field.name!r}{when}")


def _holds_graph(value: object) -> bool:
    return isinstance(value, Graph) or (isinstance(value, tuple) and any(map(_holds_graph, value)))
