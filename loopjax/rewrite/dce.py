"""What nobody reads is not computed: parts of loops and of differentiated regions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from loopjax.ir.autodiff import Differentiated
from loopjax.ir.graph import Apply, Graph, Variable, copy_node
from loopjax.ir.scan import MapOutput, SavedSteps, Scan
from loopjax.rewrite.driver import Context, Pass
from loopjax.rewrite.scan_builder import MapSlot, RecurrenceSlot, ScanBuilder, scan_builder

Transform = Callable[[tuple[Variable, ...]], Sequence[Variable]]

NOTHING = SavedSteps(last=0)


@dataclass(frozen=True)
class EliminateDeadCode(Pass):
    """Drops outputs of loops that nobody reads and no other part needs (a state that only feeds itself is needed by
    nobody), the inputs that only they read, past values that no step reads, and stacks of which no row is read; and the
    values that a differentiated region publishes for nobody.
    """

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        while (smaller := self._dropped(graph)) is not graph:
            graph = smaller
        return graph

    def _dropped(self, graph: Graph) -> Graph:
        """The graph without what nobody reads; where a loop got smaller, perhaps there is more then."""
        changes = _changes(graph)
        if not changes:
            return graph

        def transform(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
            if node not in changes:
                return None
            outputs = changes[node](inputs)
            return self._within(node, outputs)

        return graph.rebuilt(transform=transform)

    def _within(self, node: Apply, outputs: Sequence[Variable]) -> Sequence[Variable]:
        """The same with what only the dropped parts of a loop's body read dropped from the body."""
        made = next((one.owner for one in outputs if one.owner is not None and one.owner is not node), None)
        if made is None or not any(inner.op.regions for region in made.op.regions for inner in region.applies):
            return outputs
        regions = tuple(self(region) for region in made.op.regions)
        again = copy_node(made, made.inputs, made.op.with_regions(regions))
        return [again.outputs[one.index] if one.owner is made else one for one in outputs]


def _changes(graph: Graph) -> dict[Apply, Transform]:
    """For the nodes that compute something for nobody, what stands for their outputs on new inputs."""
    live = set(graph.outputs)
    changes: dict[Apply, Transform] = {}
    for node in reversed(graph.applies):
        if live.isdisjoint(node.outputs):
            continue
        reads: Collection[Variable] = node.inputs
        if isinstance(node.op, Scan):
            parts = _LoopParts(node, live)
            reads = parts.reads
            if parts.drops:
                changes[node] = parts
        elif isinstance(node.op, Differentiated):
            region = _RegionParts(node, node.op, live)
            reads = region.reads
            if region.drops:
                changes[node] = region
        live.update(reads)
    return changes


class _LoopParts:
    """The parts of a loop that are needed where ``live`` variables are read."""

    def __init__(self, node: Apply, live: Collection[Variable]) -> None:
        self._node = node
        self._live = {output for output in node.outputs if output in live}
        before = scan_builder(node)
        loop = scan_builder(node)
        self._keep(loop)
        self.reads = [
            *loop.n_steps,
            *(one.outer for one in loop.sequences),
            *(one.outer for one in (*loop.keys, *loop.non_sequences)),
            *(one.initial for one in loop.recurrences),
            *(one.initial for one in loop.states),
        ]
        self._dropped = [name for name, parts in _named(before).items() if len(parts) > len(_named(loop)[name])]
        specs = [one.spec for one in loop.outputs]
        self.drops = bool(self._dropped) or specs != [one.spec for one in before.outputs]

    def __call__(self, inputs: tuple[Variable, ...]) -> Sequence[Variable]:
        loop = scan_builder(self._node, inputs)
        self._keep(loop)
        if self._dropped:
            loop.notes.append(f"{', '.join(self._dropped)} that nobody reads are dropped")
        return loop.closed(self._node)

    def _keep(self, loop: ScanBuilder) -> None:
        """Drops what is not needed."""
        seen = self._needed(loop)
        wanted = {id(fold.of) for fold in loop.accumulators if fold.total in self._live}
        loop.accumulators = [fold for fold in loop.accumulators if fold.total in self._live]
        loop.states = [one for one in loop.states if one.final in self._live or one.before in seen]
        loop.maps = [one for one in loop.maps if one.stack in self._live or id(one) in wanted]
        kept = [
            one
            for one in loop.recurrences
            if one.stack in self._live or id(one) in wanted or not seen.isdisjoint(one.pasts)
        ]
        loop.recurrences = []
        for one in kept:
            _narrow(loop, one, seen)
        for output in loop.outputs:
            if output.stack not in self._live and output.spec.saved != NOTHING:
                output.spec = replace(output.spec, saved=NOTHING)
        loop.sequences = [one for one in loop.sequences if not seen.isdisjoint(one.rows)]
        loop.keys = [one for one in loop.keys if one.inner in seen]
        loop.non_sequences = [one for one in loop.non_sequences if one.inner in seen]

    def _needed(self, loop: ScanBuilder) -> set[Variable]:
        """All variables of the body that what is read is computed from, over as many steps as it takes."""
        seen: set[Variable] = set()
        wanted = {id(fold.of) for fold in loop.accumulators if fold.total in self._live}
        _see(
            [
                *([loop.until] if loop.until is not None else []),
                *(one.value for one in loop.outputs if one.stack in self._live or id(one) in wanted),
                *(one.after for one in loop.states if one.final in self._live),
            ],
            seen,
        )
        rest = [(tuple(one.pasts), one.value) for one in loop.recurrences]
        rest += [((one.before,), one.after) for one in loop.states]
        found = True
        while found:
            ready = [value for pasts, value in rest if not seen.isdisjoint(pasts)]
            rest = [one for one in rest if seen.isdisjoint(one[0])]
            found = bool(ready)
            _see(ready, seen)
        return seen


def _named(loop: ScanBuilder) -> dict[str, Sequence[object]]:
    """The parts by what the note calls them. Outputs that nobody reads are not among them if they are states."""
    return {
        "outputs": loop.outputs,
        "shared updates": loop.states,
        "sums over steps": loop.accumulators,
        "sequences": loop.sequences,
        "keys": loop.keys,
        "non-sequences": loop.non_sequences,
    }


def _see(variables: Iterable[Variable], seen: set[Variable]) -> None:
    """Adds variables, and all that they are computed from."""
    stack = list(variables)
    while stack:
        variable = stack.pop()
        if variable in seen:
            continue
        seen.add(variable)
        if variable.owner is not None:
            stack.extend(variable.owner.inputs)


def _narrow(loop: ScanBuilder, one: RecurrenceSlot, seen: Collection[Variable]) -> None:
    """Adds a state to the loop with the taps that are read; one of which none is read is no state."""
    read = [(tap, past) for tap, past in zip(one.spec.taps, one.pasts, strict=True) if past in seen]
    if not read:
        output = MapSlot(MapOutput(one.spec.saved, one.spec.name), one.value, one.stack)
        loop.maps.append(output)
        for fold in loop.accumulators:
            fold.of = output if fold.of is one else fold.of
        return
    loop.recurrences.append(one)
    taps = tuple(tap for tap, _ in read)
    # The oldest tap says where the initial value begins.
    if taps != one.spec.taps and min(taps) == min(one.spec.taps):
        one.spec, one.pasts = replace(one.spec, taps=taps), [past for _, past in read]


class _RegionParts:
    """What a differentiated region needs: all of its costs, the values that are read, and what they read."""

    def __init__(self, node: Apply, op: Differentiated, live: Collection[Variable]) -> None:
        self._node = node
        self._op = op
        published = range(op.n_costs, len(op.region.outputs))
        self._published = [place for place in published if node.outputs[place] in live]
        outputs = [*op.region.outputs[: op.n_costs], *(op.region.outputs[place] for place in self._published)]
        seen: set[Variable] = set()
        _see(outputs, seen)
        first = op.n_wrt + op.n_deltas
        self._rest = [place for place, one in enumerate(op.region.inputs[first:]) if one in seen]
        inputs = [*op.region.inputs[:first], *(op.region.inputs[first + place] for place in self._rest)]
        self._region = Graph(inputs, outputs)
        self._dropped_inputs = len(op.region.inputs) - len(inputs)
        self.drops = bool(self._dropped_inputs) or len(self._published) < len(published)
        self.reads = self._inputs(node.inputs)

    def __call__(self, inputs: tuple[Variable, ...]) -> Sequence[Variable]:
        fresh = Apply(replace(self._op, region=self._region), self._inputs(inputs), self._node.sources)
        costs, old = self._op.n_costs, self._node.outputs
        outputs = list(old)
        outputs[:costs] = fresh.outputs[:costs]
        for place, new in zip(self._published, fresh.outputs[costs:], strict=False):
            outputs[place] = new
        behind = len(self._region.outputs)
        outputs[len(self._op.region.outputs) :] = fresh.outputs[behind:]
        for before, after in zip(old, outputs, strict=True):
            after.name = before.name
        return outputs

    def _inputs(self, values: Sequence[Variable]) -> list[Variable]:
        count, first = len(self._op.primals), self._op.n_wrt
        rest = values[first:count]
        return [*values[:first], *(rest[place] for place in self._rest), *values[count:]]
