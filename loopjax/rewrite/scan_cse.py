"""What is in a loop twice, or need not be in it: one of two equal parts, and outputs that stand outside already."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.index import static_read
from loopjax.ir.op import table_op
from loopjax.ir.scan import MapOutput, SavedSteps, Scan, SequenceInput
from loopjax.rewrite.cse import EliminateCommonSubexpressions
from loopjax.rewrite.driver import Context, Pass
from loopjax.rewrite.scan_builder import Capture, MapSlot, RecurrenceSlot, ScanBuilder, SequenceSlot, scan_builder

SCALARS = 1
"""Elements of a constant up to which it is written into the body."""


@dataclass(frozen=True)
class EliminateCommonLoopParts(Pass):
    """Equal sequences, non-sequences, keys and states of a loop become one; constants among them go into the body.

    Of the outputs, one that is another is read from that; one that is a sequence's row is read from that; and what is
    the same at every step is repeated outside: a value that no step computes, and a state that no step changes. Where
    the gradient is truncated those stay, for it flows to what is outside of the loop.
    """

    def rewrite_scan(
        self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context
    ) -> Sequence[Variable] | None:
        if op.n_steps == 0:
            return None
        loop = scan_builder(node, inputs)
        _share_inputs(loop)
        _share_states(loop)
        outside = _outputs_from_outside(loop) if op.truncate_gradient < 0 else {}
        same = _outputs_that_are_others(loop)
        if not loop.notes:
            return None
        found = loop.replacements(loop.build())
        # One that is read from another which is itself read from a third comes before it.
        for old, read in reversed(same):
            found[old] = read.of(found, op.n_steps, node)
        found.update(outside)
        return [found[old] for old in node.outputs]


def _share_inputs(loop: ScanBuilder) -> None:
    replaced: dict[Variable, Variable] = {}
    loop.non_sequences = list(_distinct(loop.non_sequences, replaced))
    loop.keys = list(_distinct(loop.keys, replaced))
    if replaced:
        loop.notes.append("equal non-sequences are one, constants are in the body")
    rows = len(replaced)
    _share_sequences(loop, replaced)
    if len(replaced) > rows:
        loop.notes.append("sequences of one array are one")
    loop.substitute(replaced)


def _distinct(given: Sequence[Capture], replaced: dict[Variable, Variable]) -> Iterator[Capture]:
    """Those that are not another one, and no number."""
    first: dict[Hashable, Capture] = {}
    for one in given:
        outer = one.outer
        if isinstance(outer, Constant) and outer.data.size <= SCALARS:
            replaced[one.inner] = outer
            continue
        key = (outer.key, outer.type.weak) if isinstance(outer, Constant) else outer
        if first.setdefault(key, one) is one:
            yield one
        else:
            replaced[one.inner] = first[key].inner


def _share_sequences(loop: ScanBuilder, replaced: dict[Variable, Variable]) -> None:
    kept: list[SequenceSlot] = []
    for one in loop.sequences:
        place = next((i for i, other in enumerate(kept) if (_both(loop.op, other, one)) is not None), None)
        if place is None:
            kept.append(one)
            continue
        spec = _both(loop.op, kept[place], one)
        assert spec is not None
        rows: dict[int, Variable] = {}
        for part in (kept[place], one):
            for tap, row in zip(part.spec.taps, part.rows, strict=True):
                # Counted from the oldest row that the loop reads.
                at = tap - part.spec.low + spec.low
                if rows.setdefault(at, row) is not row:
                    replaced[row] = rows[at]
        kept[place] = SequenceSlot(spec, one.outer, [rows[tap] for tap in spec.taps])
    loop.sequences = kept


def _both(op: Scan, first: SequenceSlot, second: SequenceSlot) -> SequenceInput | None:
    """The sequence that reads what two read of one array; forward, both begin with its first row."""
    if first.outer is not second.outer:
        return None
    one, other = first.spec, second.spec
    if (one.low, one.span) == (other.low, other.span):
        return replace(one, taps=tuple(sorted({*one.taps, *other.taps})))
    if op.go_backwards:
        return None
    offsets = {tap - spec.low for spec in (one, other) for tap in spec.taps}
    joined = replace(one, taps=tuple(sorted(offsets)))
    return joined if joined.span <= max(one.span, other.span) else None


def _share_states(loop: ScanBuilder) -> None:
    """Of states that start alike and are computed alike, the first stands for all."""
    groups = _equal_states(loop)
    replaced: dict[Variable, Variable] = {}
    for first, *others in groups:
        for one in others:
            replaced.update(zip(one.pasts, first.pasts, strict=True))
            output = MapSlot(MapOutput(one.spec.saved, one.spec.name), first.value, one.stack)
            loop.recurrences.remove(one)
            loop.maps.append(output)
            for fold in loop.accumulators:
                fold.of = output if fold.of is one else fold.of
            loop.notes.append(f"{one.spec.name or 'a state'} is {first.spec.name or 'another state'}")
    if replaced:
        loop.substitute(replaced)
        loop.set_results(EliminateCommonSubexpressions()(loop.body).outputs)


def _equal_states(loop: ScanBuilder) -> list[list[RecurrenceSlot]]:
    """Groups of states that are equal at every step, by refinement: taken to be equal until their values differ."""
    classes: dict[Hashable, list[RecurrenceSlot]] = {}
    for one in loop.recurrences:
        initial = one.initial
        start = initial.key if isinstance(initial, Constant) else initial
        classes.setdefault((one.spec.taps, one.spec.windowed, start, one.initial.type.weak), []).append(one)
    groups = [group for group in classes.values() if len(group) > 1]
    while groups:
        given: dict[Variable, Hashable] = {}
        for number, group in enumerate(groups):
            for one in group:
                given.update((past, (number, tap)) for tap, past in zip(one.spec.taps, one.pasts, strict=True))
        numbers = ValueNumbering(loop.body, given)
        finer: dict[Hashable, list[RecurrenceSlot]] = {}
        for number, group in enumerate(groups):
            for one in group:
                finer.setdefault((number, numbers(one.value)), []).append(one)
        found = [group for group in finer.values() if len(group) > 1]
        if found == groups:
            return groups
        groups = found
    return []


class ValueNumbering:
    """Equal for variables that are computed alike from what is ``given`` the same name; ``constant`` names
    constants."""

    def __init__(
        self,
        body: Graph,
        given: Mapping[Variable, Hashable],
        constant: Callable[[Constant], Hashable] = lambda one: (*one.key, one.type.weak),
    ) -> None:
        self._names: dict[Variable, Hashable] = dict(given)
        self._constant = constant
        known: dict[Hashable, int] = {}
        for node in body.applies:
            key = (node.op, tuple(self(variable) for variable in node.inputs))
            number = known.setdefault(key, len(known))
            self._names.update((output, (number, "output", output.index)) for output in node.outputs)

    def __call__(self, variable: Variable) -> Hashable:
        if isinstance(variable, Constant):
            return self._constant(variable)
        return self._names.get(variable, variable)


def _outputs_from_outside(loop: ScanBuilder) -> dict[Variable, Variable]:
    """Outputs that stand outside of the loop already, and what stands for them."""
    found: dict[Variable, Variable] = {}
    _constant_states(loop, found)
    folded = {id(fold.of) for fold in loop.accumulators}
    n_steps = loop.op.n_steps
    if n_steps is None or loop.op.until or loop.op.dynamic:
        return found
    outers = {one.inner: one.outer for one in loop.non_sequences}
    for output in list(loop.maps):
        if output.stack is None or id(output) in folded:
            continue
        repeated = output.value if isinstance(output.value, Constant) else outers.get(output.value)
        if repeated is not None:
            found[output.stack] = _repeated(repeated, output.stack, loop)
            loop.notes.append(f"{output.spec.name or 'an output'} is the same at every step")
        else:
            row = _sequence_row(loop, output.value)
            if row is None or output.spec.saved.every != 1:
                continue
            rows = _rows(loop, *row, n_steps)
            found[output.stack] = _last(rows, output.spec.saved, n_steps, loop)
            loop.notes.append(f"{output.spec.name or 'an output'} is rows of {row[0].spec.name or 'a sequence'}")
        loop.maps.remove(output)
    return found


def _constant_states(loop: ScanBuilder, found: dict[Variable, Variable]) -> None:
    """States that no step changes are non-sequences."""
    op = loop.op
    folded = {id(fold.of) for fold in loop.accumulators}
    fixed = op.n_steps is not None and not op.until and not op.dynamic
    for state in list(loop.states):
        if state.after is not state.before or state.final is None:
            continue
        loop.states.remove(state)
        loop.non_sequences.append(Capture(state.initial, state.before))
        found[state.final] = state.initial
        loop.notes.append("a shared variable that no step changes is a non-sequence")
    for one in list(loop.recurrences):
        if one.spec.taps != (-1,) or one.value is not one.pasts[0] or id(one) in folded or one.stack is None:
            continue
        if not fixed and one.spec.saved.last != 0:
            continue
        initial = one.initial
        if one.spec.windowed:
            initial = static_read(initial, 0, sources=loop.sources)
        loop.recurrences.remove(one)
        loop.non_sequences.append(Capture(initial, one.pasts[0]))
        found[one.stack] = _repeated(initial, one.stack, loop)
        loop.notes.append(f"{one.spec.name or 'a state'}, which no step changes, is a non-sequence")


def _repeated(value: Variable, stack: Variable, loop: ScanBuilder) -> Variable:
    return Apply(table_op("alloc", lengths=stack.type.sizes), [value], loop.sources).outputs[0]


def _sequence_row(loop: ScanBuilder, value: Variable) -> tuple[SequenceSlot, int] | None:
    """The sequence that a value is a row of, and how far behind the first row that the loop reads."""
    for one in loop.sequences:
        for tap, row in zip(one.spec.taps, one.rows, strict=True):
            if row is value:
                return one, tap - one.spec.low
    return None


def _rows(loop: ScanBuilder, sequence: SequenceSlot, offset: int, n_steps: int) -> Variable:
    """The rows that so many steps read, in the order in which they run."""
    x = sequence.outer
    if not loop.op.go_backwards:
        return _slice(x, offset, offset + n_steps, 1, loop)
    last = x.type.sizes[0] - sequence.spec.span - 1 + offset
    end = last - n_steps
    return _slice(x, last, None if end < 0 else end, -1, loop)


def _slice(x: Variable, start: int, stop: int | None, step: int, loop: ScanBuilder) -> Variable:
    if (start, stop, step) == (0, x.type.sizes[0], 1):
        return x
    return static_read(x, slice(start, stop, step), sources=loop.sources)


def _last(rows: Variable, saved: SavedSteps, n_steps: int, loop: ScanBuilder) -> Variable:
    count = saved.rows(n_steps)
    assert count is not None
    return _slice(rows, n_steps - count, n_steps, 1, loop)


@dataclass(frozen=True)
class _Read:
    """An output that is another one: the stack of that, and the rows that are kept."""

    stack: Variable
    loop: ScanBuilder
    saved: SavedSteps
    whole: bool

    def of(self, found: Mapping[Variable, Variable], n_steps: int | None, node: Apply) -> Variable:
        stack = found[self.stack]
        if self.whole:
            return stack
        assert n_steps is not None
        return _last(stack, self.saved, n_steps, self.loop)


def _outputs_that_are_others(loop: ScanBuilder) -> list[tuple[Variable, _Read]]:
    found: list[tuple[Variable, _Read]] = []
    folded = {id(fold.of) for fold in loop.accumulators}
    fixed = loop.op.n_steps is not None and not loop.op.until and not loop.op.dynamic
    for output in list(loop.maps):
        if output.stack is None or id(output) in folded:
            continue
        for other in loop.outputs:
            if other is output or other.value is not output.value or other.stack is None:
                continue
            same = other.spec.saved == output.spec.saved
            if same or (fixed and other.spec.saved.all and output.spec.saved.last is not None):
                found.append((output.stack, _Read(other.stack, loop, output.spec.saved, same)))
                loop.maps.remove(output)
                name = output.spec.name
                loop.notes.append(f"{name or 'an output'} is read from {other.spec.name or 'another output'}")
                break
    return found
