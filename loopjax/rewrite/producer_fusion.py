"""What a reduction over steps reads elementwise of a loop's stacks is computed at each step.

Of ``((y - target) ** 2).mean(0)`` the loop gives the squares, which ``fold`` gathers in the carry; else it would stack
all of ``y`` for them. Measured on two cores, jax 0.10.2, float64, times as fast, for ``h = 0.9 * h + x`` and its tanh:

| values, steps | 1, 10,000 | 1, 1e6 | 10, 10,000 | 64, 5,000 | 1,000, 1,000 | 10,000, 500 |
|---|---|---|---|---|---|---|
| ``(h**2).sum(0)`` | 2.4, 1.1 | 1.2, 1.0 | 3.3, 1.3 | 2.1, 1.5 | 1.1, 1.3 | 9, 6 |
| ``((h - y)**2).mean()`` | 3.6, 1.2 | 1.4, 1.0 | 3.1, 1.3 | 1.5, 1.4 | 0.9, 1.2 | 2.6, 1.9 |

Only where all of it is cheap: functions such as ``exp`` cost less for a whole stack at once. And not under a
derivative, which needs the stack anyway.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from loopjax.ir.graph import Apply, Constant, Graph, Variable, copy_node, dependents
from loopjax.ir.monoid import REDUCTIONS
from loopjax.ir.op import TableOp
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import MapOutput, Scan
from loopjax.rewrite.demand import last_rows, may_stay_dynamic, needs_few
from loopjax.rewrite.driver import Context, Pass, replace_all
from loopjax.rewrite.scan_builder import Capture, MapSlot, ScanBuilder, scan_builder

MOST_NODES, MOST_REACHED = 16, 256
"""Ops of a term, and values that are looked at for terms, at most."""


@dataclass(frozen=True)
class FuseProducers(Pass):
    """Of loops whose length is not known, whose reductions are folded in any case; and with ``known`` of the others,
    with recurrences, on shapes that are."""

    known: bool = False

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        if context.differentiated:
            return graph
        while replaced := self._replaced(graph, context):
            graph = replace_all(graph, replaced)
        return graph

    def _replaced(self, graph: Graph, context: Context) -> dict[Variable, Variable]:
        """What stands for the outputs of loops, and for terms of them. Of loops whose terms read what is computed
        elsewhere one alone, since another might be what computes it."""
        found: dict[Variable, Variable] = {}
        taken = False
        for node in graph.applies:
            if not isinstance(node.op, Scan) or not self._may(node, node.op, graph, context):
                continue
            terms = _terms(node, node.op, graph)
            takes = any(other.owner is not None for term in terms for other in term.others)
            if terms and not (takes and taken):
                found.update(_computed_inside(node, terms))
                taken |= takes
        return found

    def _may(self, node: Apply, op: Scan, graph: Graph, context: Context) -> bool:
        if self.known:
            return bool(op.recurrences) and not (op.until or op.dynamic) and (op.n_steps or 0) > 1
        return op.until or may_stay_dynamic(node, graph, context.in_loop)


class _Term(NamedTuple):
    """What a reduction reads, the nodes that compute it of a loop's stacks, and what else they read."""

    value: Variable
    nodes: tuple[Apply, ...]
    stacks: frozenset[Variable]
    others: tuple[Variable, ...]


def _terms(node: Apply, op: Scan, graph: Graph) -> list[_Term]:
    """The terms that can be computed inside, where then nothing reads the whole of a stack that they are of."""
    outputs = zip(op.outputs, node.outputs, strict=False)
    stacks = {stack for output, stack in outputs if output.saved.all and stack not in graph.outputs}
    reached = _reached(stacks, graph)
    values = [v for v in reached if v not in stacks and any(map(_is_reduction, graph.readers.get(v, [])))]
    found = [term for value in values if (term := _term(value, stacks, reached, graph, op)) is not None]
    if any(other.owner is not None for term in found for other in term.others):
        after = dependents(graph.applies, node.outputs)
        found = [term for term in found if after.isdisjoint(term.others)]
    while True:
        inside = {made for one in found for made in one.nodes}
        whole = {stack for stack in stacks if not _is_read_little(stack, inside, graph)}
        kept = [one for one in found if whole.isdisjoint(one.stacks)]
        if len(kept) == len(found):
            return found
        found = kept


def _reached(stacks: Iterable[Variable], graph: Graph) -> dict[Variable, None]:
    """Stacks and what cheap nodes make of them, a few steps on."""
    found = dict.fromkeys(stacks)
    pending = list(found)
    while pending and len(found) < MOST_REACHED:
        for reader in graph.readers.get(pending.pop(), []):
            if reader.op.has("cheap") and reader.outputs[0] not in found:
                found.update(dict.fromkeys(reader.outputs))
                pending += reader.outputs
    return found


def _is_reduction(node: Apply) -> bool:
    op = node.op
    if not isinstance(op, TableOp) or op.row not in REDUCTIONS or op.row == "logsumexp":
        return False
    axis = op.arguments["axis"]
    return axis == 0 or (isinstance(axis, tuple) and 0 in axis)


def _term(
    value: Variable, stacks: set[Variable], reached: Collection[Variable], graph: Graph, op: Scan
) -> _Term | None:
    nodes: dict[Apply, None] = {}
    leaves: dict[Variable, None] = {}
    pending = [value]
    while pending:
        variable = pending.pop()
        made = variable.owner
        if variable in stacks or variable not in reached:
            leaves[variable] = None
            continue
        if made is None or not made.op.has("cheap") or variable.ndim != value.ndim or len(nodes) >= MOST_NODES:
            return None
        nodes[made] = None
        pending += made.inputs
    shared = {reader for made in nodes for v in made.outputs for reader in graph.readers.get(v, [])} - set(nodes)
    private = all(v is value or v not in graph.outputs for made in nodes for v in made.outputs)
    if not private or value in graph.outputs or not all(map(_is_reduction, shared)):
        return None
    mine = frozenset(stacks.intersection(leaves))
    others = tuple(one for one in leaves if one not in mine)
    if any(one.ndim != value.ndim for one in mine) or not all(_fits(one, value, op) for one in others):
        return None
    return _Term(value, tuple(sorted(nodes, key=graph.positions.__getitem__)), mine, others)


def _fits(other: Variable, value: Variable, op: Scan) -> bool:
    """Whether a variable has a row for each step, or is the same for all."""
    if other.ndim < value.ndim:
        return True
    return op.is_sized and not op.until and other.type.shape[0] == op.n_steps


def _is_read_little(stack: Variable, inside: Iterable[Apply], graph: Graph) -> bool:
    """Whether all that reads a stack beside nodes that move inside needs few of its steps."""
    rest = [reader for reader in graph.readers.get(stack, []) if reader not in inside]
    return all(_is_folded(one, stack) or _needs_few(one, stack) for one in rest)


def _is_folded(reader: Apply, stack: Variable) -> bool:
    return _is_reduction(reader) and reader.inputs[0] is stack


def _needs_few(reader: Apply, stack: Variable) -> bool:
    if last_rows(reader, stack, slices=False) is not None:
        return True
    return stack.type.shape[0] is not None and needs_few(reader, stack)


def _computed_inside(node: Apply, terms: list[_Term]) -> dict[Variable, Variable]:
    loop = scan_builder(node)
    values = {one.stack: one.value for one in loop.outputs if one.stack is not None}
    read: dict[tuple[Variable, bool], Variable] = {}
    added: dict[Variable, Variable] = {}
    for term in terms:
        inner = {stack: ops.cast(values[stack], stack.dtype) for stack in term.stacks}
        for other in term.others:
            # What is a row to one term is the same at each step to another, of more axes.
            role = (other, other.ndim == term.value.ndim)
            if role not in read:
                read[role] = _inside(loop, *role)
            inner[other] = read[role]
        for made in term.nodes:
            fresh = copy_node(made, [inner[variable] for variable in made.inputs])
            inner.update(zip(made.outputs, fresh.outputs, strict=True))
        added[term.value] = Variable(term.value.type)
        loop.maps.append(MapSlot(MapOutput(name=term.value.name or "term"), inner[term.value], added[term.value]))
    loop.notes.append("terms: what reductions over steps read is computed at each step")
    found = loop.replacements(loop.build())
    found.update((value, found.pop(stack)) for value, stack in added.items())
    return found


def _inside(loop: ScanBuilder, other: Variable, has_rows: bool) -> Variable:
    """What stands in the body for something else that a term reads, whole or a row at each step."""
    if isinstance(other, Constant) and not other.ndim:
        return other
    if not has_rows:
        inner = Variable(other.type, name=other.name)
        loop.non_sequences.append(Capture(other, inner))
        return inner
    return loop.row_of(other, other.name or "of a term")
