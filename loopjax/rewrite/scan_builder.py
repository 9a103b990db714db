"""A scan taken apart into named parts, for a rewrite to change, and put together again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from loopjax.errors import Source
from loopjax.ir.graph import Apply, Graph, Op, Variable, copy_node, toposort
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import Accumulator, BodyInputs, MapOutput, Recurrence, Scan, SequenceInput


@dataclass(eq=False)
class SequenceSlot:
    """What is read along its first axis: the array ``outer``, and in the body a row for each tap of ``spec``."""

    spec: SequenceInput
    outer: Variable
    rows: list[Variable]


@dataclass(eq=False)
class RecurrenceSlot:
    """A state: where it starts, its past values in the body, the value that a step gives, and the stack of those
    outside, ``None`` where it is new."""

    spec: Recurrence
    initial: Variable
    pasts: list[Variable]
    value: Variable
    stack: Variable | None = None


@dataclass(eq=False)
class MapSlot:
    """A value of each step that no later step reads, and the stack of those outside, ``None`` where it is new."""

    spec: MapOutput
    value: Variable
    stack: Variable | None = None


@dataclass(eq=False)
class AccumulatorSlot:
    """A value gathered over the steps of an output, and what stands for it outside."""

    spec: Accumulator
    of: RecurrenceSlot | MapSlot
    total: Variable | None = None


@dataclass(eq=False)
class StateSlot:
    """A shared variable's value before the loop, before a step, after a step, and after the loop."""

    initial: Variable
    before: Variable
    after: Variable
    final: Variable | None = None


@dataclass(eq=False)
class Capture:
    """A random key or a non-sequence: what it is outside, and in the body."""

    outer: Variable
    inner: Variable


@dataclass(eq=False)
class ScanBuilder:
    """A scan in parts. Parts may be added, dropped, changed and put in another order; ``close`` makes the scan of them.

    What a part computes in the body is a variable, and may be any that the body's inputs lead to. An output that is
    dropped must have no reader.
    """

    op: Scan
    sources: tuple[Source, ...]
    n_steps: list[Variable]
    sequences: list[SequenceSlot]
    recurrences: list[RecurrenceSlot]
    maps: list[MapSlot]
    states: list[StateSlot]
    keys: list[Capture]
    non_sequences: list[Capture]
    accumulators: list[AccumulatorSlot]
    until: Variable | None = None
    ran: Variable | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def outputs(self) -> list[RecurrenceSlot | MapSlot]:
        """Recurrences and map outputs."""
        return [*self.recurrences, *self.maps]

    @property
    def body(self) -> Graph:
        """The body as it is now."""
        given = BodyInputs(
            tuple(tuple(one.rows) for one in self.sequences),
            tuple(tuple(one.pasts) for one in self.recurrences),
            tuple(one.before for one in self.states),
            tuple(one.inner for one in self.keys),
            tuple(one.inner for one in self.non_sequences),
        )
        results = [*(one.value for one in self.outputs), *(one.after for one in self.states)]
        return Graph(given.flat(), [*results, self.until] if self.until is not None else results)

    def substitute(self, replaced: Mapping[Variable, Variable]) -> None:
        """Puts other variables of the body in the place of some, wherever they are read."""
        if not replaced:
            return
        self.set_results(self.body.rebuilt(replaced).outputs)

    def transform(self, change: Callable[[Apply, tuple[Variable, ...]], Sequence[Variable] | None]) -> None:
        """Changes nodes of the body, as ``Graph.rebuilt`` does."""
        self.set_results(self.body.rebuilt(transform=change).outputs)

    def set_results(self, values: Sequence[Variable]) -> None:
        """Puts other variables in the place of what a step gives, in the order of the body's outputs."""
        results = iter(values)
        for output in self.outputs:
            output.value = next(results)
        for state in self.states:
            state.after = next(results)
        if self.until is not None:
            self.until = next(results)

    def outside(self, fixed: Sequence[Variable]) -> list[Variable]:
        """What the body computes of non-sequences alone, computed in front of the loop."""
        outers = {one.inner: one.outer for one in self.non_sequences}
        for made in toposort(fixed, stop=outers):
            copy = copy_node(made, [outers.get(variable, variable) for variable in made.inputs])
            outers.update(zip(made.outputs, copy.outputs, strict=True))
        return [outers.get(one, one) for one in fixed]

    def row_of(self, x: Variable, name: str) -> Variable:
        """A row of ``x`` in the body, by a new sequence of that name: at each step the one that stands where the step's
        own rows are stacked."""
        in_order = ops.index(x, slice(None, None, -1)) if self.op.go_backwards else x
        row = Variable(x.type.row())
        self.sequences.append(SequenceSlot(SequenceInput((0,), name), in_order, [row]))
        return row

    def drop_unread(self) -> None:
        """Drops the sequences, keys and non-sequences that the body does not read."""
        body = self.body
        read = {variable for node in body.applies for variable in node.inputs}.union(body.outputs)
        self.sequences = [one for one in self.sequences if not read.isdisjoint(one.rows)]
        self.keys = [one for one in self.keys if one.inner in read]
        self.non_sequences = [one for one in self.non_sequences if one.inner in read]

    def build(self) -> Apply:
        """The scan of these parts."""
        places = {id(output): place for place, output in enumerate(self.outputs)}
        op = replace(
            self.op,
            body=self.body,
            sequences=tuple(one.spec for one in self.sequences),
            recurrences=tuple(one.spec for one in self.recurrences),
            maps=tuple(one.spec for one in self.maps),
            accumulators=tuple(one.spec._replace(output=places[id(one.of)]) for one in self.accumulators),
            n_states=len(self.states),
            n_keys=len(self.keys),
            until=self.until is not None,
            notes=(*self.op.notes, *self.notes),
        )
        inputs = [
            *self.n_steps,
            *(one.outer for one in self.sequences),
            *(one.initial for one in self.recurrences),
            *(one.initial for one in self.states),
            *(one.outer for one in self.keys),
            *(one.outer for one in self.non_sequences),
        ]
        node = Apply(op, inputs, self.sources)
        for old, new in self._pairs(node):
            if old is not None:
                new.name = old.name
        return node

    def replacements(self, node: Apply) -> dict[Variable, Variable]:
        """What stands for the outputs of the scan that was opened, given the one that was closed."""
        return {old: new for old, new in self._pairs(node) if old is not None}

    def _pairs(self, node: Apply) -> Iterator[tuple[Variable | None, Variable]]:
        olds = [
            *(one.stack for one in self.outputs),
            *(one.final for one in self.states),
            *(one.total for one in self.accumulators),
            *([self.ran] if self.until is not None else []),
        ]
        return zip(olds, node.outputs, strict=True)

    def closed(self, opened: Apply) -> list[Variable]:
        """What stands for each output of the node that was opened; outputs that were dropped stand for themselves."""
        found = self.replacements(self.build())
        return [found.get(old, old) for old in opened.outputs]


def scan_builder(node: Apply, inputs: Sequence[Variable] | None = None, op: Op | None = None) -> ScanBuilder:
    """Take a scan apart, with other ``inputs`` or another ``op`` where they are given."""
    op = node.op if op is None else op
    assert isinstance(op, Scan)
    outer = op.inputs(node.inputs if inputs is None else inputs)
    inner, results = op.body_inputs(op.body.inputs), op.results(op.body.outputs)
    outputs = iter(node.outputs)
    recurrences = [
        RecurrenceSlot(spec, initial, list(pasts), value, next(outputs))
        for spec, initial, pasts, value in zip(
            op.recurrences, outer.initials, inner.taps, results.recurrences, strict=True
        )
    ]
    maps = [MapSlot(spec, value, next(outputs)) for spec, value in zip(op.maps, results.maps, strict=True)]
    states = [
        StateSlot(initial, before, after, next(outputs))
        for initial, before, after in zip(outer.states, inner.states, results.states, strict=True)
    ]
    of: list[RecurrenceSlot | MapSlot] = [*recurrences, *maps]
    accumulators = [AccumulatorSlot(fold, of[fold.output], next(outputs)) for fold in op.accumulators]
    return ScanBuilder(
        op,
        node.sources,
        list(outer.n_steps),
        [
            SequenceSlot(spec, x, list(rows))
            for spec, x, rows in zip(op.sequences, outer.sequences, inner.slices, strict=True)
        ],
        recurrences,
        maps,
        states,
        [Capture(*pair) for pair in zip(outer.keys, inner.keys, strict=True)],
        [Capture(*pair) for pair in zip(outer.non_sequences, inner.non_sequences, strict=True)],
        accumulators,
        results.until[0] if op.until else None,
        node.outputs[-1] if op.until else None,
    )
