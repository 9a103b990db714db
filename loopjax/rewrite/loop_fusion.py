"""Independent loops of one length become one."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

from loopjax.errors import where
from loopjax.ir.graph import Apply, Constant, Graph, Variable, copy_node
from loopjax.ir.scan import Scan
from loopjax.rewrite.cse import EliminateCommonSubexpressions
from loopjax.rewrite.dce import EliminateDeadCode
from loopjax.rewrite.driver import Context, Pass
from loopjax.rewrite.footprint import step_bytes, work
from loopjax.rewrite.scan_builder import scan_builder
from loopjax.rewrite.scan_cse import EliminateCommonLoopParts

CPU_BYTES = 400
"""Bytes that a step of the merged loop reads and computes, up to which two loops are merged on a CPU.

XLA compiles a loop of few bytes into one function, and each op of a larger one is a call. Measured for 2 to 16 loops of
``tanh(a * h + x)`` on 1 to 256 float64 values over 1,000 steps: 0.5 to 0.8 times as long up to 400 bytes, 4 times as
long at 600; loops of products of 64 values and more 0.8 to 1.5 times.
"""

CPU_BYTES_DIFFERENTIATED = 200
"""The same under a derivative, whose loops read what each step stored: 0.6 to 0.9 times up to 200 bytes, 4 to 17 times
at 290."""

GPU_BYTES = 2**24
"""Bytes of the smaller of two loops up to which they are merged on a GPU: what it moves in the 8 us of a step that is
an iteration."""

SHARED = 0.5
"""The part of the smaller loop that the other computes as well, from which merging pays whatever their size."""

MOST_LOOPS = 64
"""Loops of a graph among which pairs are sought."""


@dataclass(frozen=True)
class FuseLoops(Pass):
    """Merges loops of equal length, direction and options of which none needs another, in regions and bodies too.

    Loops without recurrence stay alone, since all of their steps run at once; so do those with ``until`` or a progress
    bar. On a GPU each step costs about 8 us whatever it does, and so merging pays but for the largest. On a CPU it pays
    for the smallest, and where most of what one loop computes is in the other too.
    """

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        while (pair := self._pair(graph, context)) is not None:
            graph = _merged(graph, *pair)
        return graph

    def _pair(self, graph: Graph, context: Context) -> tuple[Apply, Apply] | None:
        """Two loops to merge."""
        loops = [node for node in graph.applies if isinstance(node.op, Scan)]
        if not 1 < len(loops) <= MOST_LOOPS:
            return None
        before = _loops_before(graph)
        for place, second in enumerate(loops):
            for first in loops[:place]:
                alike = _kind(first) is not None and _kind(first) == _kind(second)
                if alike and first not in before[second] and self._pays(first, second, context):
                    return first, second
        return None

    def _pays(self, first: Apply, second: Apply, context: Context) -> bool:
        assert isinstance(first.op, Scan)
        assert isinstance(second.op, Scan)
        if not self.target.on_cpu:
            return min(step_bytes(first.op.body), step_bytes(second.op.body)) <= GPU_BYTES
        most = CPU_BYTES_DIFFERENTIATED if context.differentiated else CPU_BYTES
        if step_bytes(first.op.body) + step_bytes(second.op.body) <= most:
            return True
        return _share_most(first, second)


def _kind(node: Apply) -> Hashable | None:
    """What must be equal in loops that are merged; ``None`` for one that stays alone."""
    op = node.op
    assert isinstance(op, Scan)
    if op.until or op.progress or op.n_steps in (0, 1) or not (op.recurrences or op.n_states):
        return None
    counts_down = op.counts_down if op.n_keys else None
    options = (op.truncate_gradient, op.checkpoint, op.unroll, counts_down)
    return (op.n_steps, op.dynamic, op.bounded, op.go_backwards, options, op.inputs(node.inputs).n_steps)


def _loops_before(graph: Graph) -> dict[Apply, set[Apply]]:
    """The loops that each loop needs."""
    found: dict[Apply, set[Apply]] = {}
    reads: dict[Variable, frozenset[Apply]] = {}
    for node in graph.applies:
        sets = {reads[variable] for variable in node.inputs if variable in reads}
        needed: frozenset[Apply] = frozenset().union(*sets) if len(sets) > 1 else next(iter(sets), frozenset())
        if isinstance(node.op, Scan):
            found[node] = set(needed)
            needed = needed | {node}
        if needed:
            reads.update((output, needed) for output in node.outputs)
    return found


def _merged(graph: Graph, first: Apply, second: Apply) -> Graph:
    _, parts = _both(first, second)
    found = dict(zip((*first.outputs, *second.outputs), parts, strict=True))
    return graph.rebuilt(found)


def _both(first: Apply, second: Apply) -> tuple[Apply, list[Variable]]:
    """One loop for two, and its outputs in the place of theirs."""
    other_node = _with_own_body(second)
    loop, other = scan_builder(first), scan_builder(other_node)
    loop.sequences += other.sequences
    loop.recurrences += other.recurrences
    loop.maps += other.maps
    loop.states += other.states
    loop.keys += other.keys
    loop.non_sequences += other.non_sequences
    loop.accumulators += other.accumulators
    loop.notes += [*other.op.notes, f"merged with {other.op.subject}{where(second.sources)}, of the same length"]
    loop.sources = tuple(dict.fromkeys((*first.sources, *second.sources)))
    if not loop.op.n_keys:
        loop.op = replace(loop.op, counts_down=other.op.counts_down)
    node = loop.build()
    found = loop.replacements(node)
    return node, [found[old] for old in (*first.outputs, *other_node.outputs)]


def _with_own_body(node: Apply) -> Apply:
    """The loop with other variables in its body: two loops may hold the same one."""
    op = node.op
    assert isinstance(op, Scan)
    fresh = {variable: Variable(variable.type, name=variable.name) for variable in op.body.inputs}
    return copy_node(node, node.inputs, replace(op, body=op.body.rebuilt(fresh)))


def _share_most(first: Apply, second: Apply) -> bool:
    """Whether most of what the smaller loop computes is in the other."""
    assert isinstance(first.op, Scan)
    assert isinstance(second.op, Scan)
    if _starts(first).isdisjoint(_starts(second)):
        return False
    both, _ = _both(first, second)
    alone = [_work(first), _work(second)]
    return sum(alone) - _work(both) >= SHARED * min(alone)


def _work(node: Apply) -> int:
    """What a step of a loop reads and writes, once what is in it twice is dropped."""
    inputs = dict.fromkeys(variable for variable in node.inputs if not isinstance(variable, Constant))
    graph = Graph(tuple(inputs), node.outputs)
    for step in (EliminateCommonLoopParts(), EliminateCommonSubexpressions(), EliminateDeadCode()):
        graph = step(graph)
    return sum(work(one.op.body) for one in graph.applies if isinstance(one.op, Scan))


def _starts(node: Apply) -> set[Hashable]:
    """What states start from."""
    op = node.op
    assert isinstance(op, Scan)
    initials = op.inputs(node.inputs).initials
    pairs = zip(op.recurrences, initials, strict=True)
    return {(one.taps, start.key if isinstance(start, Constant) else start) for one, start in pairs}
