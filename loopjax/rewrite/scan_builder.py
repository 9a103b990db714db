"""A scan taken apart into slots, for a rewrite to change, and built again.

A ``Scan`` node has flat lists of inputs and outputs, and its body has others, in an order that specs of sequences,
recurrences and so on decide. A rewrite that adds a sequence would have to change five of these in step. Here each part
of a loop is one slot that holds its spec with its variables outside of the loop and in the body::

    loop = scan_builder(node)
    loop.maps = [output for output in loop.maps if output.stack in wanted]
    loop.drop_unread()
    made = loop.build()

Slots may be added, dropped, changed and reordered between the two. The body is not stored: it is whatever computes the
slots' values, so a value may be any variable that the body's inputs lead to. An output that is dropped must have no
reader; nothing checks that before the graph is verified.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from loopjax.errors import Source
from loopjax.ir.graph import Apply, Graph, Op, Variable, copy_node, toposort
from loopjax.ir.index import static_read
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import Accumulator, BodyInputs, MapOutput, Recurrence, Scan, SequenceInput


@dataclass(eq=False)
class SequenceSlot:
    """A sequence: the array ``outer``, and in the body a row of it for each tap of ``spec``."""

    spec: SequenceInput
    outer: Variable
    rows: list[Variable]


@dataclass(eq=False)
class RecurrenceSlot:
    """A state: its initial value, its past values and its next value in the body, and its stack outside, ``None`` for a
    new state."""

    spec: Recurrence
    initial: Variable
    pasts: list[Variable]
    value: Variable
    stack: Variable | None = None

    def before_first(self, sources: tuple[Source, ...] = ()) -> Variable:
        """The past value of the first step, of a state with the tap -1 only."""
        return static_read(self.initial, 0, sources=sources) if self.spec.windowed else self.initial


@dataclass(eq=False)
class MapSlot:
    """A value of each step that no later step reads, and its stack outside, ``None`` for a new output."""

    spec: MapOutput
    value: Variable
    stack: Variable | None = None


@dataclass(eq=False)
class AccumulatorSlot:
    """A reduction over the steps of an output, and its result outside, ``None`` for a new one."""

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
    """A random key or a non-sequence, outside and in the body."""

    outer: Variable
    inner: Variable


@dataclass(eq=False)
class ScanBuilder:
    """The slots of a scan. ``steps_run`` is the number of steps that an ``until`` loop ran."""

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
    steps_run: Variable | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def outputs(self) -> list[RecurrenceSlot | MapSlot]:
        """Recurrences and map outputs."""
        return [*self.recurrences, *self.maps]

    @property
    def body(self) -> Graph:
        """The body as it is now."""
        inputs = BodyInputs(
            tuple(tuple(one.rows) for one in self.sequences),
            tuple(tuple(one.pasts) for one in self.recurrences),
            tuple(one.before for one in self.states),
            tuple(one.inner for one in self.keys),
            tuple(one.inner for one in self.non_sequences),
        )
        results = [*(one.value for one in self.outputs), *(one.after for one in self.states)]
        return Graph(inputs.flat(), [*results, self.until] if self.until is not None else results)

    def substitute(self, replaced: Mapping[Variable, Variable]) -> None:
        """Replace variables of the body wherever they are read."""
        if replaced:
            self.set_results(self.body.rebuilt(replaced).outputs)

    def transform(self, change: Callable[[Apply, tuple[Variable, ...]], Sequence[Variable] | None]) -> None:
        """Change nodes of the body, as ``Graph.rebuilt`` does."""
        self.set_results(self.body.rebuilt(transform=change).outputs)

    def set_results(self, values: Sequence[Variable]) -> None:
        """Set the values of a step, in the order of the body's outputs."""
        results = iter(values)
        for output in self.outputs:
            output.value = next(results)
        for state in self.states:
            state.after = next(results)
        if self.until is not None:
            self.until = next(results)

    def outside(self, values: Sequence[Variable], states: Mapping[Variable, Variable] | None = None) -> list[Variable]:
        """Compute in front of the loop what the body computes of non-sequences only, and of ``states`` as mapped."""
        outers = {**{one.inner: one.outer for one in self.non_sequences}, **(states or {})}
        for node in toposort(values, stop=outers):
            copy = copy_node(node, [outers.get(variable, variable) for variable in node.inputs])
            outers.update(zip(node.outputs, copy.outputs, strict=True))
        return [outers.get(value, value) for value in values]

    def capture(self, value: Variable) -> Variable:
        """Add a non-sequence and return its variable in the body."""
        inner = Variable(value.type, name=value.name)
        self.non_sequences.append(Capture(value, inner))
        return inner

    def row_of(self, x: Variable, name: str) -> Variable:
        """Add a sequence and return its row in the body: the row of ``x`` at which a step's own values are stacked."""
        in_order = ops.index(x, slice(None, None, -1)) if self.op.go_backwards else x
        row = Variable(x.type.row())
        self.sequences.append(SequenceSlot(SequenceInput((0,), name), in_order, [row]))
        return row

    @property
    def accumulated(self) -> list[RecurrenceSlot | MapSlot]:
        """The outputs that accumulators read."""
        return [one.of for one in self.accumulators]

    def make_output(self, state: RecurrenceSlot, value: Variable) -> None:
        """Make a state that no step reads a map output of ``value``."""
        output = MapSlot(MapOutput(state.spec.saved, state.spec.name), value, state.stack)
        self.recurrences.remove(state)
        self.maps.append(output)
        for accumulator in self.accumulators:
            accumulator.of = output if accumulator.of is state else accumulator.of

    def drop_unread(self) -> None:
        """Drop the sequences, keys and non-sequences that the body does not read."""
        body = self.body
        self.keep_inputs({variable for node in body.applies for variable in node.inputs}.union(body.outputs))

    def keep_inputs(self, read: Collection[Variable]) -> None:
        """Drop the sequences, keys and non-sequences whose variables in the body are not ``read``."""
        self.sequences = [one for one in self.sequences if any(row in read for row in one.rows)]
        self.keys = [one for one in self.keys if one.inner in read]
        self.non_sequences = [one for one in self.non_sequences if one.inner in read]

    def build(self) -> Apply:
        """Build the scan of these slots."""
        positions = {id(output): position for position, output in enumerate(self.outputs)}
        op = replace(
            self.op,
            body=self.body,
            sequences=tuple(one.spec for one in self.sequences),
            recurrences=tuple(one.spec for one in self.recurrences),
            maps=tuple(one.spec for one in self.maps),
            accumulators=tuple(one.spec._replace(output=positions[id(one.of)]) for one in self.accumulators),
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
            *(one.outer for one in (*self.keys, *self.non_sequences)),
        ]
        node = Apply(op, inputs, self.sources)
        for old, new in self._pairs(node):
            if old is not None:
                new.name = old.name
        return node

    def replacements(self, node: Apply) -> dict[Variable, Variable]:
        """Map the outputs of the scan that was taken apart to those of the ``node`` that was built."""
        return {old: new for old, new in self._pairs(node) if old is not None}

    def _pairs(self, node: Apply) -> Iterator[tuple[Variable | None, Variable]]:
        olds = [
            *(one.stack for one in self.outputs),
            *(one.final for one in self.states),
            *(one.total for one in self.accumulators),
            *([self.steps_run] if self.until is not None else []),
        ]
        return zip(olds, node.outputs, strict=True)

    def outputs_for(self, node: Apply) -> list[Variable]:
        """Build the scan and return what replaces the outputs of ``node``, from which the slots come; outputs that were
        dropped are their own replacement."""
        found = self.replacements(self.build())
        return [found.get(old, old) for old in node.outputs]


def scan_builder(node: Apply, inputs: Sequence[Variable] | None = None, op: Op | None = None) -> ScanBuilder:
    """Take a scan apart, with other ``inputs`` or another ``op`` where they are given."""
    op = node.op if op is None else op
    assert isinstance(op, Scan)
    outer = op.inputs(node.inputs if inputs is None else inputs)
    inner, results = op.body_inputs(op.body.inputs), op.results(op.body.outputs)
    stacks = iter(node.outputs)
    parts = zip(op.recurrences, outer.initials, inner.taps, results.recurrences, strict=True)
    recurrences = [RecurrenceSlot(spec, x, list(pasts), value, next(stacks)) for spec, x, pasts, value in parts]
    maps = [MapSlot(spec, value, next(stacks)) for spec, value in zip(op.maps, results.maps, strict=True)]
    values = zip(outer.states, inner.states, results.states, strict=True)
    states = [StateSlot(initial, before, after, next(stacks)) for initial, before, after in values]
    outputs: list[RecurrenceSlot | MapSlot] = [*recurrences, *maps]
    accumulators = [AccumulatorSlot(spec, outputs[spec.output], next(stacks)) for spec in op.accumulators]
    arrays = zip(op.sequences, outer.sequences, inner.slices, strict=True)
    sequences = [SequenceSlot(spec, x, list(rows)) for spec, x, rows in arrays]
    keys = [Capture(*pair) for pair in zip(outer.keys, inner.keys, strict=True)]
    non_sequences = [Capture(*pair) for pair in zip(outer.non_sequences, inner.non_sequences, strict=True)]
    slots = (sequences, recurrences, maps, states, keys, non_sequences, accumulators)
    until, steps_run = (results.until[0], node.outputs[-1]) if op.until else (None, None)
    return ScanBuilder(op, node.sources, list(outer.n_steps), *slots, until, steps_run)
