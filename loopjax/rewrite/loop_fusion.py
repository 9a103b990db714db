"""Loop fusion: independent loops of equal length become one.

Two independent loops of one length pay for the overhead of an iteration twice. Fused, the body
is both bodies side by side, and the passes after this one find what the two have in common::

    h = scan(lambda x, h: h * x, x)        h, g = scan(lambda x, h, g: (h * x, g - x), x)
    g = scan(lambda x, g: g - x, x)

On a GPU each step costs about 8 us whatever it does, so fusion pays but for the largest bodies. On a CPU it pays for
the smallest, and where most of what one loop computes is in the other too. Loops without recurrence stay apart, since
all of their steps run at once; so do loops with ``until`` or a progress bar. Pairs are sought in order and fused as
they are found; no search is made for the best grouping.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from loopjax.errors import where
from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.scan import Scan
from loopjax.rewrite.cost_model import body_bytes, step_cost
from loopjax.rewrite.cse import EliminateCommonSubexpressions
from loopjax.rewrite.dce import EliminateDeadCode
from loopjax.rewrite.driver import Context, Pass
from loopjax.rewrite.scan_builder import scan_builder
from loopjax.rewrite.scan_cse import EliminateCommonLoopParts


@dataclass(frozen=True)
class FuseLoops(Pass):
    """Fuses loops of equal length, direction and options, in regions and bodies too.

    Attributes
    ----------
    most_bytes
        CPU: bytes that a step of the fused loop reads and computes, up to which two loops are fused. XLA compiles a
        loop of few bytes into one function, and each op of a larger one is a call. Measured for 2 to 16 loops of
        ``tanh(a * h + x)`` on 1 to 256 float64 values over 1,000 steps: 0.5 to 0.8 times as long up to 400 bytes, 4
        times as long at 600; loops of products of 64 values and more 0.8 to 1.5 times.
    most_derivative_bytes
        The same under a derivative where loops are not outlined (``lower/small_loops.py``): they read what each step
        stored. 0.6 to 0.9 times as long up to 200 bytes, 4 to 17 times at 290.
    most_gpu_bytes
        GPU: bytes of the smaller of two loops up to which they are fused: what it moves in the 8 us of a step that is
        an iteration.
    least_shared
        Part of the smaller loop that the other computes as well, from which fusion pays whatever their size.
    most_loops
        Loops of a graph among which pairs are sought.
    """

    most_bytes: int = 400
    most_derivative_bytes: int = 200
    most_gpu_bytes: int = 2**24
    least_shared: float = 0.5
    most_loops: int = 64

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        while (pair := self._pair(graph, context)) is not None:
            graph = graph.rebuilt(_fused(*pair))
        return graph

    def _pair(self, graph: Graph, context: Context) -> tuple[Apply, Apply] | None:
        """Two independent loops whose fusion pays."""
        loops = {node: node.op for node in graph.applies if isinstance(node.op, Scan)}
        if not 1 < len(loops) <= self.most_loops:
            return None
        required = _required_loops(graph)
        keys = {node: _fusion_key(node, op) for node, op in loops.items()}
        for position, second in enumerate(loops):
            for first in list(loops)[:position]:
                alike = keys[first] is not None and keys[first] == keys[second]
                if alike and first not in required[second] and self._is_profitable(first, second, context):
                    return first, second
        return None

    def _is_profitable(self, first: Apply, second: Apply, context: Context) -> bool:
        sizes = [body_bytes(body) for node in (first, second) for body in node.op.regions]
        if not self.target.on_cpu:
            return min(sizes) <= self.most_gpu_bytes
        is_stored = context.differentiated and not self.target.outlines
        most = self.most_derivative_bytes if is_stored else self.most_bytes
        if sum(sizes) <= most:
            return True
        if _initial_values(first).isdisjoint(_initial_values(second)):
            return False
        apart = [_step_flops(node.outputs) for node in (first, second)]
        together = _step_flops(list(_fused(first, second).values()))
        return sum(apart) - together >= self.least_shared * min(apart)


def _fusion_key(node: Apply, op: Scan) -> Hashable | None:
    """Key that is equal for loops that can be fused; ``None`` for a loop that stays by itself."""
    if op.until or op.progress or op.n_steps in (0, 1) or not (op.recurrences or op.n_states):
        return None
    options = (op.truncate_gradient, op.checkpoint, op.unroll, op.counts_down if op.n_keys else None)
    return (op.n_steps, op.dynamic, op.bounded, op.go_backwards, options, op.inputs(node.inputs).n_steps)


def _required_loops(graph: Graph) -> dict[Apply, set[Apply]]:
    """The loops that each loop depends on."""
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


def _fused(first: Apply, second: Apply) -> dict[Variable, Variable]:
    """Map the outputs of two loops to those of one loop."""
    loop, other = scan_builder(first), scan_builder(second, op=_with_own_body(second))
    for slots in ("sequences", "recurrences", "maps", "states", "keys", "non_sequences", "accumulators"):
        getattr(loop, slots).extend(getattr(other, slots))
    loop.notes += [*other.op.notes, f"merged with {other.op.subject}{where(second.sources)}, of the same length"]
    loop.sources = tuple(dict.fromkeys((*first.sources, *second.sources)))
    if not loop.op.n_keys:
        loop.op = replace(loop.op, counts_down=other.op.counts_down)
    return loop.replacements(loop.build())


def _with_own_body(node: Apply) -> Scan:
    """The op with other variables in its body: two loops may hold the same body."""
    op = node.op
    assert isinstance(op, Scan)
    return replace(op, body=op.body.rebuilt({one: Variable(one.type, name=one.name) for one in op.body.inputs}))


def _step_flops(outputs: Sequence[Variable]) -> int:
    """Operations of a step of the loop that computes these outputs, what is in it twice counted once."""
    (node,) = dict.fromkeys(variable.owner for variable in outputs if variable.owner is not None)
    graph = Graph([variable for variable in dict.fromkeys(node.inputs) if not isinstance(variable, Constant)], outputs)
    for step in (EliminateCommonLoopParts(), EliminateCommonSubexpressions(), EliminateDeadCode()):
        graph = step(graph)
    return sum(step_cost(one.op).flops for one in graph.applies if isinstance(one.op, Scan))


def _initial_values(node: Apply) -> set[Hashable]:
    """The initial values of a loop's states, with their taps."""
    op = node.op
    assert isinstance(op, Scan)
    pairs = zip(op.recurrences, op.inputs(node.inputs).initials, strict=True)
    return {(one.taps, start.key if isinstance(start, Constant) else start) for one, start in pairs}
