"""Saved steps: where only ``out[-1]`` or ``out[-k:]`` of a loop is read, it keeps its last rows and stacks none.

A recurrent network that returns ``h[-1]`` would else store ``h`` of every step: XLA stores a stack and then picks. The
pass only marks the outputs: ``scan[recurrence keeps all]`` becomes ``scan[recurrence keeps last 1]`` (``SavedSteps``),
and its readers stay. The rows are then in the carry (``lower/loops/history.py``), where a recurrence has them anyway.
``demand`` tells which rows are read. What a gradient stores of each step is another matter: see ``remat``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.op import table_op
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import SavedSteps, Scan
from loopjax.rewrite.demand import last_rows, last_rows_read, may_stay_dynamic
from loopjax.rewrite.driver import Context, Pass, Replacement
from loopjax.rewrite.scan_builder import scan_builder
from loopjax.trace.convert import constant


@dataclass(frozen=True)
class SaveReadSteps(Pass):
    """``out[-1]``, ``out[-k]`` and ``out[-k:]`` save as many last rows; ``out.shape[0]`` saves none.

    XLA does not do this by itself: it stores every step and then picks. With ``dynamic_only``, only loops are changed
    whose length the run decides: they could not always be lowered with their stacks.
    """

    dynamic_only: bool = False

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        def is_candidate(node: Apply) -> bool:
            if not isinstance(node.op, Scan):
                return False
            return not self.dynamic_only or node.op.until or may_stay_dynamic(node, graph, context.in_loop)

        candidates = {node for node in graph.applies if is_candidate(node)}
        if not candidates:
            return graph

        def transform(node: Apply, inputs: tuple[Variable, ...]) -> Replacement:
            if node in candidates:
                return _trimmed(node, inputs, graph)
            length = _length_read(node, inputs)
            return None if length is None else (length,)

        return graph.rebuilt(transform=transform)


def _trimmed(node: Apply, inputs: tuple[Variable, ...], graph: Graph) -> Sequence[Variable]:
    """Return the outputs of the loop that stacks only the last rows that are read."""
    loop = scan_builder(node, inputs)
    for output in loop.outputs:
        stack, saved, last = output.stack, output.spec.saved, None
        assert stack is not None
        if saved.all:
            last = last_rows_read(stack, graph, slices=not loop.op.until)
        elif saved.every > 1 and stack not in graph.outputs:
            # Of each n-th step, the last row is known only where every reader reads just that.
            rows = {last_rows(reader, stack, slices=False) for reader in graph.readers.get(stack, [])}
            last = 1 if rows == {1} else None
        if last is not None:
            output.spec = replace(output.spec, saved=SavedSteps(last=last))
    return loop.outputs_for(node)


def _length_read(node: Apply, inputs: tuple[Variable, ...]) -> Variable | None:
    """Return the number of steps for ``shape[0]`` of a scan's output: the loop need not run, but it must be able to."""
    if not node.op.named("dim") or node.op.arguments["axis"] != 0:
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
