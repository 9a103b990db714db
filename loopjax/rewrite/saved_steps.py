"""Only the steps that someone reads are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loopjax.ir.graph import Apply, Graph, Variable, copy_node
from loopjax.ir.op import TableOp, table_op
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import MapOutput, Recurrence, SavedSteps, Scan
from loopjax.rewrite.demand import may_vary, rows_of, rows_read
from loopjax.rewrite.driver import Context, Pass
from loopjax.trace.convert import constant


@dataclass(frozen=True)
class SaveReadSteps(Pass):
    """``out[-1]``, ``out[-k]`` and ``out[-k:]`` keep so many last rows; ``out.shape[0]`` keeps none.

    XLA does not do this by itself: it stores every step and then picks. ``varying`` leaves out the loops whose length
    is known or that of a stage: the others could not always be lowered with their stacks.
    """

    varying: bool = False

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        kept: dict[Apply, Scan] = {}
        for node in graph.applies:
            if isinstance(node.op, Scan) and not (self.varying and not _varies(node, node.op, graph, context.in_loop)):
                kept[node] = _trimmed(node, node.op, graph)
        if not kept:
            return graph

        def transform(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
            if node in kept:
                return copy_node(node, inputs, kept[node]).outputs
            length = _length_read(node, inputs)
            return None if length is None else (length,)

        return graph.rebuilt(transform=transform)


def _varies(node: Apply, op: Scan, graph: Graph, inner: bool) -> bool:
    return op.until or may_vary(node, graph, inner)


def _trimmed(node: Apply, op: Scan, graph: Graph) -> Scan:
    """The scan with the rows that nobody reads dropped."""
    kept: list[Recurrence | MapOutput] = []
    for output, stack in zip(op.outputs, node.outputs, strict=False):
        last = rows_read(stack, graph, slices=not op.until) if output.saved.all else None
        if output.saved.every > 1 and _last_alone(stack, graph):
            last = 1
        kept.append(output if last is None else replace(output, saved=SavedSteps(last=last)))
    count = len(op.recurrences)
    return replace(
        op,
        recurrences=tuple(one for one in kept[:count] if isinstance(one, Recurrence)),
        maps=tuple(one for one in kept[count:] if isinstance(one, MapOutput)),
    )


def _last_alone(stack: Variable, graph: Graph) -> bool:
    """Whether all that is read of every n-th step is the last one, as ``[-1]``."""
    readers = graph.readers.get(stack, [])
    return stack not in graph.outputs and bool(readers) and all(rows_of(r, stack, slices=False) == 1 for r in readers)


def _length_read(node: Apply, inputs: tuple[Variable, ...]) -> Variable | None:
    """For ``shape[0]`` of a scan's output, the number of steps: the loop need not run, but it must be able to."""
    if not isinstance(node.op, TableOp) or node.op.row != "dim" or node.op.arguments["axis"] != 0:
        return None
    owner = inputs[0].owner
    if owner is None or not isinstance(owner.op, Scan):
        return None
    op, position = owner.op, inputs[0].index
    if position >= len(op.outputs) or op.outputs[position].saved.every != 1:
        return None
    if op.until:
        return owner.outputs[-1]
    steps = constant(op.n_steps) if op.n_steps is not None else owner.inputs[0]
    rows = [ops.dim(sequence, 0) for sequence in op.inputs(owner.inputs).sequences]
    needs = tuple((sequence.name, sequence.span) for sequence in op.sequences)
    return Apply(table_op("trip_count", scan=op.label, needs=needs), [steps, *rows], owner.sources).outputs[0]
