"""The verifier: what every graph between two stages must satisfy."""

from __future__ import annotations

from loopjax.ir.graph import Constant, Graph


class InvalidGraph(AssertionError):
    """A rewrite broke a graph: a fault of LoopJAX, not of the user's program."""


def verify(graph: Graph, after: str = "") -> None:
    """Raises ``InvalidGraph`` unless every variable is an input, a constant or computed before it is read, with the
    type that its op infers, in this graph and its regions."""
    place = f" after {after}" if after else ""
    known = set(graph.inputs)
    if len(known) != len(graph.inputs):
        raise InvalidGraph(f"an input stands twice{place}")
    for node in graph.applies:
        for variable in node.inputs:
            if variable not in known and not isinstance(variable, Constant):
                raise InvalidGraph(f"{node!r} reads {variable!r}, which is not of this graph{place}")
        inferred = node.op.infer(*(variable.type for variable in node.inputs))
        if inferred != tuple(output.type for output in node.outputs):
            raise InvalidGraph(f"{node!r} has other types than its op infers{place}")
        known.update(node.outputs)
        for region in node.op.regions:
            verify(region, after)
    for variable in graph.outputs:
        if variable not in known and not isinstance(variable, Constant):
            raise InvalidGraph(f"output {variable!r} is not computed in this graph{place}")
