"""Work on a loop's values that no later step reads moves out behind it, as one batched operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loopjax.ir.graph import Apply, Constant, Graph, Variable, dependents, toposort
from loopjax.ir.scan import MapOutput, SavedSteps, Scan, SequenceInput
from loopjax.rewrite.cost_model import is_expensive
from loopjax.rewrite.driver import Context
from loopjax.rewrite.loop_distribution import LoopDistribution, is_distributable
from loopjax.rewrite.scan_builder import MapSlot, ScanBuilder, SequenceSlot, scan_builder


@dataclass(frozen=True)
class DistributeEpilogue(LoopDistribution):
    """An output that no later step reads, such as ``dot(h_t, W_out)``, is computed of the stacks of what it is made of,
    for all steps at once, by a loop without recurrence behind: one large product. Where only its last rows are read, it
    is computed for those alone.

    Only where something dear is in it: elementwise work costs less in the loop, where what it reads need not be stored.
    """

    def rewrite_scan(
        self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context
    ) -> Sequence[Variable] | None:
        # The early steps of a loop that is truncated have no gradient, and what is behind it would not know them.
        if not is_distributable(op, self.least_steps) or op.truncate_gradient >= 0 or not op.maps:
            return None
        loop = scan_builder(node, inputs)
        moved = self._late(loop)
        if not moved:
            return None
        loop.maps = [one for one in loop.maps if one not in moved]
        behind = [
            _behind(loop, [one for one in moved if one.spec.saved.last == last])
            for last in dict.fromkeys(one.spec.saved.last for one in moved)
        ]
        loop.drop_unread()
        loop.notes.append("sink: what no later step reads is computed behind the loop, for all steps at once")
        found = loop.replacements(loop.build())
        stacks = [(old, new) for part in behind for old, new in part.replacements(part.build()).items()]
        made = Graph((), [new for _, new in stacks]).rebuilt(found).outputs
        found.update(zip([old for old, _ in stacks], made, strict=True))
        return [found.get(old, old) for old in node.outputs]

    def _late(self, loop: ScanBuilder) -> list[MapSlot]:
        """The outputs that are better computed behind the loop."""
        steps = loop.op.n_steps or 0
        kept = [one.of.value for one in loop.accumulators]
        first = set(toposort([*(one.value for one in loop.recurrences), *(one.after for one in loop.states), *kept]))
        fixed = dependents(loop.body.applies, [key.inner for key in loop.keys])
        fixed.update(v for node in loop.body.applies if node.op.name == "in_bounds" for v in node.outputs)
        found: list[MapSlot] = []
        for one in loop.maps:
            late = [node for node in toposort([one.value]) if node not in first]
            unread = one.spec.saved.last == 0 or one.spec.saved.every > 1
            if unread or any(v in fixed for node in late for v in (*node.inputs, *node.outputs)):
                continue
            if any(is_expensive(node) and self.is_profitable(node, steps) for node in late):
                found.append(one)
        return found


def _behind(loop: ScanBuilder, moved: Sequence[MapSlot]) -> ScanBuilder:
    """A loop of its own for some outputs, of which equally many last rows are read; the stacks that it reads become
    outputs of the one that they are taken from."""
    last, n_steps = moved[0].spec.saved.last, loop.op.n_steps or 0
    steps = n_steps if last is None else min(last, n_steps)
    stays = set(loop.body.applies)
    late = [node for node in toposort([one.value for one in moved], stop=loop.body.inputs) if node not in stays]
    same = {given.inner for given in loop.non_sequences}
    computed = {variable for node in late for variable in node.outputs}
    read = dict.fromkeys(v for node in late for v in node.inputs if v not in computed and v not in same)
    stacks = {one.value: one.stack for one in loop.outputs if one.spec.saved == moved[0].spec.saved}
    sequences = []
    for row in read:
        if isinstance(row, Constant):
            continue
        stack = stacks.get(row)
        if stack is None:
            stack = Variable(row.type.stacked(steps), name=row.name)
            loop.maps.append(MapSlot(MapOutput(moved[0].spec.saved, row.name or "read behind"), row, stack))
        sequences.append(SequenceSlot(SequenceInput((0,), row.name or "read behind"), stack, [row]))
    op = replace(
        loop.op,
        n_steps=steps,
        go_backwards=False,
        counts_down=False,
        truncate_gradient=-1,
        unroll=None,
        progress="",
        notes=(),
    )
    behind = ScanBuilder(op, loop.sources, [], sequences, [], [], [], [], list(loop.non_sequences), [])
    behind.maps = [MapSlot(replace(one.spec, saved=SavedSteps()), one.value, one.stack) for one in moved]
    behind.drop_unread()
    return behind
