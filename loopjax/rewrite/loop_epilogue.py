"""Loop distribution, epilogue: work that no later step reads becomes one batched op after the loop.

An output such as ``h_t @ W_out`` is computed of the stacks of what it is made of, for all steps at once::

    h, y = scan(lambda x_t, h: (tanh(x_t + h @ U), h @ W_out), x)
    ->
    h = scan(lambda x_t, h: tanh(x_t + h @ U), x)
    y = scan(lambda h_t: h_t @ W_out, h)                  # no recurrence: one product of all of h with W_out

Where only its last rows are read, it is computed for those. Only where something expensive is in it: elementwise work
costs less in the loop, where what it reads need not be stored, and on a CPU so do products with a matrix that differs
from step to step. Not where the gradient is truncated: the early steps of
such a loop have no gradient, and a loop after it would not know them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from loopjax.ir.graph import Apply, Constant, Graph, Variable, dependents, toposort
from loopjax.ir.scan import MapOutput, SavedSteps, Scan, SequenceInput
from loopjax.rewrite.cost_model import is_expensive
from loopjax.rewrite.driver import Context, Replacement
from loopjax.rewrite.loop_distribution import LoopDistribution, is_distributable, map_loop
from loopjax.rewrite.scan_builder import MapSlot, ScanBuilder, SequenceSlot, scan_builder


class DistributeEpilogue(LoopDistribution):
    """Moves outputs that no later step reads after the loop."""

    def rewrite_scan(self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        loop = scan_builder(node, inputs)
        moved = self.late(loop)
        if not moved:
            return None
        loop.maps = [one for one in loop.maps if one not in moved]
        lengths = dict.fromkeys(one.spec.saved.last for one in moved)
        after = [_loop_after(loop, [one for one in moved if one.spec.saved.last == last]) for last in lengths]
        loop.drop_unread()
        loop.notes.append("loop_epilogue: work that no later step reads runs after the loop, for all steps at once")
        found = loop.replacements(loop.build())
        stacks = {old: new for late in after for old, new in late.replacements(late.build()).items()}
        found.update(zip(stacks, Graph((), list(stacks.values())).rebuilt(found).outputs, strict=True))
        return [found.get(old, old) for old in node.outputs]

    def late(self, loop: ScanBuilder) -> list[MapSlot]:
        """Return the outputs that are better computed after the loop."""
        if not is_distributable(loop.op, self.least_steps) or loop.op.truncate_gradient >= 0:
            return []
        steps, body = loop.op.n_steps or 0, loop.body
        accumulated = [one.value for one in loop.accumulated]
        stays = set(toposort([*(s.value for s in loop.recurrences), *(s.after for s in loop.states), *accumulated]))
        fixed = dependents(body.applies, [key.inner for key in loop.keys])
        fixed.update(v for node in body.applies if node.op.named("in_bounds") for v in node.outputs)
        pasts = [past for one in loop.recurrences for past in one.pasts]
        carried = dependents(body.applies, [*pasts, *(one.before for one in loop.states)])
        found: list[MapSlot] = []
        for output in loop.maps:
            late = [node for node in toposort([output.value]) if node not in stays]
            if output.spec.saved.last == 0 or output.spec.saved.every > 1:
                continue
            if any(variable in fixed for node in late for variable in (*node.inputs, *node.outputs)):
                continue
            if self.target.on_cpu and _stores_matrices(loop, output, late):
                continue
            recurrent = [node for node in late if not carried.isdisjoint(node.outputs)]
            if any(is_expensive(node) and self.is_profitable(node, steps) for node in recurrent):
                found.append(output)
        return found


def _stores_matrices(loop: ScanBuilder, output: MapSlot, late: Sequence[Apply]) -> bool:
    """Return whether matrices of all steps would be stored for products of an epilogue alone.

    A product with another matrix at each step takes as long for all steps at once as in the loop, where the matrix is
    in the cache: attention over a memory that steps write to takes three times as long with the memories stored.
    """
    made = {variable for node in late for variable in node.outputs}
    stored = {one.value for one in loop.outputs if one.spec.saved == output.spec.saved}
    same = {capture.inner for capture in loop.non_sequences}
    products = [node.inputs for node in late if node.op.has("contraction")]
    between = [x for x in products if not any(one in same or isinstance(one, Constant) for one in x)]
    return any(one.ndim > 1 and one not in made and one not in stored for x in between for one in x)


def _loop_after(loop: ScanBuilder, moved: Sequence[MapSlot]) -> ScanBuilder:
    """A loop of its own for outputs that save equally many last rows; the stacks that it reads become outputs of the
    loop that they are taken from."""
    saved, n_steps = moved[0].spec.saved, loop.op.n_steps or 0
    steps = n_steps if saved.last is None else min(saved.last, n_steps)
    stays = set(loop.body.applies)
    late = [node for node in toposort([one.value for one in moved], stop=loop.body.inputs) if node not in stays]
    same = {capture.inner for capture in loop.non_sequences}.union(v for node in late for v in node.outputs)
    read = dict.fromkeys(v for node in late for v in node.inputs if v not in same and not isinstance(v, Constant))
    stacks = {one.value: one.stack for one in loop.outputs if one.spec.saved == saved}
    sequences = []
    for row in read:
        name, stack = row.name or "read behind", stacks.get(row)
        if stack is None:
            stack = Variable(row.type.stacked(steps), name=row.name)
            loop.maps.append(MapSlot(MapOutput(saved, name), row, stack))
        sequences.append(SequenceSlot(SequenceInput((0,), name), stack, [row]))
    outputs = [MapSlot(replace(one.spec, saved=SavedSteps()), one.value, one.stack) for one in moved]
    return map_loop(loop, sequences, outputs, n_steps=steps, go_backwards=False, counts_down=False)
