"""How much a step reads and computes, in bytes."""

from __future__ import annotations

from collections.abc import Iterable

from loopjax.ir.graph import Graph, Variable
from loopjax.ir.scan import Scan


def bytes_of(variables: Iterable[Variable]) -> int:
    """Bytes of values whose shapes are known."""
    return sum(variable.type.bytes for variable in variables)


def step_bytes(body: Graph) -> int:
    """Bytes of what a step is given and of all that it computes, loops in it with all of their steps."""
    return bytes_of(body.inputs) + computed_bytes(body)


def computed_bytes(body: Graph) -> int:
    """Bytes of all that a step computes, loops in it with all of their steps."""
    total = 0
    for node in body.applies:
        steps = (node.op.n_steps or 1) if isinstance(node.op, Scan) else 1
        total += bytes_of(node.outputs) + steps * sum(step_bytes(region) for region in node.op.regions)
    return total


def work(body: Graph) -> int:
    """Bytes that the ops of a step read and write, which says how much of one step another is."""
    total = 0
    for node in body.applies:
        steps = (node.op.n_steps or 1) if isinstance(node.op, Scan) else 1
        inner = steps * sum(work(region) for region in node.op.regions)
        total += bytes_of(node.outputs) + bytes_of(node.inputs) + inner
    return total
