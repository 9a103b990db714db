"""Dead code elimination inside of loops and differentiated regions.

A graph holds no node that its outputs do not need, but a loop is one node: it is kept for any one of its outputs, with
all that its body computes. This pass finds what of a loop is live by the usual fixed point (Cytron et al. 1991, section
7.1), over as many steps as it takes: outputs that somebody reads, and states that a live value is computed from. A
state that only feeds itself is dead::

    h, g = scan(lambda h, g: (h * 2, g + h), ...)        h = scan(lambda h: h * 2, ...)
    return h                                             return h

The inputs that only dead parts read go too, and past values that no step reads; a stack with no row that is read is not
saved. Of a differentiated region, dead published values and inputs go; costs and inputs that are differentiated stay.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from loopjax.ir.autodiff import Differentiated
from loopjax.ir.graph import Apply, Graph, Variable, copy_node, toposort
from loopjax.ir.scan import SavedSteps, Scan
from loopjax.rewrite.driver import Context, Pass, replace_all
from loopjax.rewrite.scan_builder import RecurrenceSlot, ScanBuilder, scan_builder

NOTHING = SavedSteps(last=0)

Smaller = tuple[Apply, Mapping[Variable, Variable]]
"""A node with less in it, and which of its outputs replace those of the node before."""


class EliminateDeadCode(Pass):
    """Drops what nobody reads from loops and from differentiated regions."""

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        # Where a loop got smaller, another one may be read by nobody.
        while replaced := self._replaced(graph):
            graph = replace_all(graph, replaced)
        return graph

    def _replaced(self, graph: Graph) -> dict[Variable, Variable]:
        """Map the outputs of nodes that compute something dead to those of smaller nodes."""
        live = set(graph.outputs)
        replaced: dict[Variable, Variable] = {}
        for node in reversed(graph.applies):
            if live.isdisjoint(node.outputs):
                continue
            smaller: Smaller | None = None
            if isinstance(node.op, Scan):
                smaller = _smaller_loop(node, live)
            elif isinstance(node.op, Differentiated):
                smaller = _smaller_region(node, node.op, live)
            if smaller is None:
                live.update(node.inputs)
                continue
            made, outputs = smaller
            inner = [self(region) for region in made.op.regions]  # its nodes too have fewer readers
            node = copy_node(made, made.inputs, made.op.with_regions(inner))
            replaced.update((old, node.outputs[new.index]) for old, new in outputs.items())
            live.update(node.inputs)
        return replaced


def _smaller_loop(node: Apply, live: Collection[Variable]) -> Smaller | None:
    loop = scan_builder(node)
    before, specs = _sizes(loop), [output.spec for output in loop.outputs]
    _drop(loop, live)
    after = _sizes(loop)
    dropped = [name for name in before if before[name] > after[name]]
    if not dropped and specs == [output.spec for output in loop.outputs]:
        return None
    if dropped:
        loop.notes.append(f"{', '.join(dropped)} that nobody reads are dropped")
    made = loop.build()
    return made, loop.replacements(made)


def _sizes(loop: ScanBuilder) -> dict[str, int]:
    """Count the parts of each kind, by the name that the note has for them. States and map outputs count as one kind,
    since a state may become a map output."""
    return {
        "outputs": len(loop.outputs),
        "shared updates": len(loop.states),
        "sums over steps": len(loop.accumulators),
        "sequences": len(loop.sequences),
        "keys": len(loop.keys),
        "non-sequences": len(loop.non_sequences),
    }


def _drop(loop: ScanBuilder, live: Collection[Variable]) -> None:
    """Drop the dead parts of a loop."""
    loop.accumulators = [one for one in loop.accumulators if one.total in live]
    accumulated = loop.accumulated
    read = [output for output in loop.outputs if output.stack in live or output in accumulated]
    seen = _needed(loop, [output.value for output in read], live)
    loop.states = [one for one in loop.states if one.final in live or one.before in seen]
    loop.maps = [one for one in loop.maps if one in read]
    loop.recurrences = [one for one in loop.recurrences if one in read or not seen.isdisjoint(one.pasts)]
    for state in list(loop.recurrences):
        _narrow(loop, state, seen)
    for output in loop.outputs:
        if output.stack not in live:
            output.spec = replace(output.spec, saved=NOTHING)
    loop.keep_inputs(seen)


def _needed(loop: ScanBuilder, values: Iterable[Variable], live: Collection[Variable]) -> set[Variable]:
    """The variables of the body that ``values`` of any step are computed from, over as many steps as it takes."""
    seen: set[Variable] = set()
    pending = [*values, *(one.after for one in loop.states if one.final in live)]
    pending += [loop.until] if loop.until is not None else []
    carried = [(tuple(one.pasts), one.value) for one in loop.recurrences]
    carried += [((one.before,), one.after) for one in loop.states]
    while pending:
        _add_ancestors(pending, seen)
        pending = [value for pasts, value in carried if not seen.isdisjoint(pasts)]
        carried = [(pasts, value) for pasts, value in carried if seen.isdisjoint(pasts)]
    return seen


def _add_ancestors(variables: Collection[Variable], seen: set[Variable]) -> None:
    """Add variables, and all that they are computed from."""
    nodes = toposort(variables, stop=seen)
    seen.update(variables, *(node.inputs for node in nodes))


def _narrow(loop: ScanBuilder, state: RecurrenceSlot, seen: Collection[Variable]) -> None:
    """Drop the taps of a state that no step reads; without any it is no state but a map output."""
    read = [(tap, past) for tap, past in zip(state.spec.taps, state.pasts, strict=True) if past in seen]
    taps = tuple(tap for tap, _ in read)
    if not read:
        loop.make_output(state, state.value)
    # The oldest tap says where the initial value begins.
    elif taps != state.spec.taps and min(taps) == min(state.spec.taps):
        state.spec, state.pasts = replace(state.spec, taps=taps), [past for _, past in read]


def _smaller_region(node: Apply, op: Differentiated, live: Collection[Variable]) -> Smaller | None:
    """A region with its costs, the values that are read, and the inputs that these are computed from."""
    region, n_costs, first = op.region, op.n_costs, op.n_wrt + op.n_deltas
    kept = [i for i in range(len(region.outputs)) if i < n_costs or node.outputs[i] in live]
    outputs = [region.outputs[i] for i in kept]
    seen: set[Variable] = set()
    _add_ancestors(outputs, seen)
    inputs = [variable for i, variable in enumerate(region.inputs) if i < first or variable in seen]
    if len(inputs) == len(region.inputs) and len(outputs) == len(region.outputs):
        return None
    dropped = set(region.inputs).difference(inputs)
    outer = [x for inner, x in zip(op.primals, node.inputs, strict=False) if inner not in dropped]
    made = Apply(replace(op, region=Graph(inputs, outputs)), [*outer, *node.inputs[len(op.primals) :]], node.sources)
    # After the region's outputs come a residual, or the tangents of the costs.
    olds = [*(node.outputs[i] for i in kept), *node.outputs[len(region.outputs) :]]
    for old, new in zip(olds, made.outputs, strict=True):
        new.name = old.name
    return made, dict(zip(olds, made.outputs, strict=True))
