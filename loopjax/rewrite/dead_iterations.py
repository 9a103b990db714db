"""The last steps of a loop are not run where nobody reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.scan import SAVE_ALL, SavedSteps, Scan
from loopjax.rewrite.demand import last_steps_of, read_again
from loopjax.rewrite.driver import Context, Pass, replace_all
from loopjax.rewrite.scan_builder import scan_builder

LEAST = 16
"""The share of steps, one of so many, that must be left out: fewer would gain less than what a number of steps that the
steps of an iteration divide is worth."""


@dataclass(frozen=True)
class EliminateDeadIterations(Pass):
    """``n_steps`` becomes the last step that anyone reads, and one more: ``out[:k]`` runs k steps.

    Of loops whose length is known. What a call must notice is noticed before: sequences too short for the steps that
    were asked for. Draws keep their numbers; where those count down from the last step, all steps run, and where an
    index is checked at each step, or a progress bar is shown.
    """

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        replaced: dict[Variable, Variable] = {}
        for node in graph.applies:
            if isinstance(node.op, Scan) and _may_end_early(node.op):
                replaced.update(_ended(node, node.op, graph))
        return replace_all(graph, replaced)


def _may_end_early(op: Scan) -> bool:
    plain = not (op.until or op.dynamic or op.counts_down or op.progress)
    kept = all(output.saved.all or output.saved.last is not None for output in op.outputs)
    return plain and kept and (op.n_steps or 0) > 1 and not op.body.holds(lambda node: node.op.name == "in_bounds")


def _ended(node: Apply, op: Scan, graph: Graph) -> Mapping[Variable, Variable]:
    """What stands for the loop's readers, with fewer steps; empty where all are needed."""
    assert op.n_steps is not None
    reads: dict[Apply, range] = {}
    count = len(op.outputs)
    for stack in node.outputs[:count]:
        for reader in graph.readers.get(stack, []):
            steps = last_steps_of(reader, stack, op.n_steps)
            if steps is None:
                return {}
            reads[reader] = steps
    # Final states and folds are of all steps.
    others = [v for v in node.outputs[count:] if v in graph.readers]
    if others or not set(node.outputs).isdisjoint(graph.outputs):
        return {}
    n_steps = max((steps.stop for steps in reads.values()), default=0)
    if op.n_steps - n_steps < max(op.n_steps // LEAST, 1):
        return {}
    loop = scan_builder(node)
    loop.op = replace(op, n_steps=n_steps, truncate_gradient=_truncated(op, n_steps))
    for output in loop.outputs:
        output.spec = replace(output.spec, saved=SAVE_ALL if output.stack in graph.readers else SavedSteps(last=0))
    loop.notes.append(f"{n_steps} of {op.n_steps} steps, the others are not read")
    scan = loop.build()
    stacks = dict(zip(node.outputs, scan.outputs, strict=True))
    return {reader.outputs[0]: read_again(reader, stacks[reader.inputs[0]], steps) for reader, steps in reads.items()}


def _truncated(op: Scan, n_steps: int) -> int:
    """How many of the first ``n_steps`` steps are among the last of all through which gradients flow."""
    if op.truncate_gradient < 0:
        return -1
    assert op.n_steps is not None
    return max(op.truncate_gradient - (op.n_steps - n_steps), 0)
