"""Common-subexpression elimination for the parts of one loop: inputs, states and outputs.

``cse`` shares equal nodes of a graph, but two states of a loop are never equal nodes: each reads its own past. Here two
states are equal where they start alike and are computed alike of states that are equal, found by partition refinement
from the optimistic side (Alpern, Wegman and Zadeck 1988, Detecting equality of variables in programs): states that
start alike are taken to be equal until their values differ. Equal sequences, non-sequences and keys are one, and small
constants go into the body::

    h, g = scan(lambda x, y, h, g: (h * x, g * y), [xs, xs], [1, 1])  ->  h = g = scan(lambda x, h: h * x, xs, 1)

Outputs that stand outside of the loop already need no stack: an output that is another one, rows of a sequence, a value
that no step computes, a state that no step changes. Where the gradient is truncated, the last three stay, for it would
flow around the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import replace

from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.index import static_read
from loopjax.ir.op import table_op
from loopjax.ir.scan import Scan, SequenceInput
from loopjax.rewrite.cse import EliminateCommonSubexpressions, value_key
from loopjax.rewrite.driver import Context, Pass, Replacement
from loopjax.rewrite.scan_builder import Capture, MapSlot, RecurrenceSlot, ScanBuilder, SequenceSlot, scan_builder


class EliminateCommonLoopParts(Pass):
    """Shares equal inputs and states of a loop, and takes outputs that stand outside of it from there."""

    def rewrite_scan(self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        if op.n_steps == 0:
            return None
        loop = scan_builder(node, inputs)
        _share_inputs(loop)
        _share_states(loop)
        outside = _outputs_from_outside(loop) if op.truncate_gradient < 0 else {}
        shared = _shared_outputs(loop)
        if not loop.notes:
            return None
        found = loop.replacements(loop.build())
        # An output that is read from another which is itself read from a third comes before that.
        for stack, (other, saved) in reversed(shared.items()):
            found[stack] = found[other] if saved is None else _last(found[other], saved, loop)
        found.update(outside)
        return [found[old] for old in node.outputs]


def _share_inputs(loop: ScanBuilder) -> None:
    replaced: dict[Variable, Variable] = {}
    loop.non_sequences = list(_distinct(loop.non_sequences, replaced))
    loop.keys = list(_distinct(loop.keys, replaced))
    if replaced:
        loop.notes.append("equal non-sequences are one, constants are in the body")
    captured = len(replaced)
    _share_sequences(loop, replaced)
    if len(replaced) > captured:
        loop.notes.append("sequences of one array are one")
    loop.substitute(replaced)


def _distinct(captures: Sequence[Capture], replaced: dict[Variable, Variable]) -> Iterator[Capture]:
    """The captures that equal no other one and are no constant of one element."""
    first: dict[Hashable, Capture] = {}
    for capture in captures:
        if isinstance(capture.outer, Constant) and capture.outer.data.size <= 1:
            replaced[capture.inner] = capture.outer
        elif first.setdefault(value_key(capture.outer), capture) is capture:
            yield capture
        else:
            replaced[capture.inner] = first[value_key(capture.outer)].inner


def _share_sequences(loop: ScanBuilder, replaced: dict[Variable, Variable]) -> None:
    kept: list[SequenceSlot] = []
    for sequence in loop.sequences:
        for position, other in enumerate(kept):
            spec = _joint_spec(loop.op, other, sequence)
            if spec is not None:
                kept[position] = _joined(spec, (other, sequence), replaced)
                break
        else:
            kept.append(sequence)
    loop.sequences = kept


def _joint_spec(op: Scan, first: SequenceSlot, second: SequenceSlot) -> SequenceInput | None:
    """The spec that reads what two sequences of one array read; forward, both begin with its first row."""
    one, other = first.spec, second.spec
    if first.outer is not second.outer:
        return None
    if (one.low, one.span) == (other.low, other.span):
        return replace(one, taps=tuple(sorted({*one.taps, *other.taps})))
    offsets = {tap - spec.low for spec in (one, other) for tap in spec.taps}
    joint = replace(one, taps=tuple(sorted(offsets)))
    return joint if joint.span <= max(one.span, other.span) and not op.go_backwards else None


def _joined(spec: SequenceInput, pair: Sequence[SequenceSlot], replaced: dict[Variable, Variable]) -> SequenceSlot:
    rows: dict[int, Variable] = {}
    for slot in pair:
        for tap, row in zip(slot.spec.taps, slot.rows, strict=True):
            # Counted from the oldest row that the loop reads.
            kept = rows.setdefault(tap - slot.spec.low + spec.low, row)
            if kept is not row:
                replaced[row] = kept
    return SequenceSlot(spec, pair[0].outer, [rows[tap] for tap in spec.taps])


def _share_states(loop: ScanBuilder) -> None:
    replaced: dict[Variable, Variable] = {}
    for first, *others in _equal_states(loop):
        for state in others:
            replaced.update(zip(state.pasts, first.pasts, strict=True))
            loop.make_output(state, first.value)
            loop.notes.append(f"{state.spec.name or 'a state'} is {first.spec.name or 'another state'}")
    if replaced:
        loop.substitute(replaced)
        loop.set_results(EliminateCommonSubexpressions()(loop.body).outputs)


def _equal_states(loop: ScanBuilder) -> list[list[RecurrenceSlot]]:
    """Groups of states that are equal at every step."""
    states = loop.recurrences
    starts = [(one.spec.taps, one.spec.windowed, value_key(one.initial), one.initial.type.weak) for one in states]
    groups = grouped(states, starts)
    while groups:
        names: dict[Variable, Hashable] = {}
        for number, group in enumerate(groups):
            for state in group:
                names.update((past, (number, tap)) for tap, past in zip(state.spec.taps, state.pasts, strict=True))
        numbers = ValueNumbering(loop.body, names)
        finer = [part for group in groups for part in grouped(group, [numbers(state.value) for state in group])]
        if finer == groups:
            break
        groups = finer
    return groups


def grouped(states: Sequence[RecurrenceSlot], keys: Sequence[Hashable]) -> list[list[RecurrenceSlot]]:
    """States of equal keys, where there are several."""
    found: dict[Hashable, list[RecurrenceSlot]] = {}
    for state, key in zip(states, keys, strict=True):
        found.setdefault(key, []).append(state)
    return [group for group in found.values() if len(group) > 1]


class ValueNumbering:
    """Value numbers of a body: equal for variables that are computed alike from variables of the same name.

    ``names`` are those of the body's inputs, by default the variables themselves; ``constant`` names constants.
    """

    def __init__(
        self,
        body: Graph,
        names: Mapping[Variable, Hashable],
        constant: Callable[[Constant], Hashable] = value_key,
    ) -> None:
        self._names: dict[Variable, Hashable] = dict(names)
        self._constant = constant
        numbers: dict[Hashable, int] = {}
        for node in body.applies:
            key = (node.op, tuple(self(variable) for variable in node.inputs))
            number = numbers.setdefault(key, len(numbers))
            self._names.update((output, (number, "output", output.index)) for output in node.outputs)

    def __call__(self, variable: Variable) -> Hashable:
        if isinstance(variable, Constant):
            return self._constant(variable)
        return self._names.get(variable, variable)


def _outputs_from_outside(loop: ScanBuilder) -> dict[Variable, Variable]:
    """Take outputs out of the loop that stand outside already, and map them to what they are."""
    found: dict[Variable, Variable] = {}
    for shared in list(loop.states):
        if shared.after is shared.before and shared.final is not None:
            loop.states.remove(shared)
            loop.non_sequences.append(Capture(shared.initial, shared.before))
            found[shared.final] = shared.initial
            loop.notes.append("a shared variable that no step changes is a non-sequence")
    accumulated = loop.accumulated
    for state in list(loop.recurrences):
        if _is_constant(state, loop) and state not in accumulated and state.stack is not None:
            initial = state.before_first(loop.sources)
            loop.recurrences.remove(state)
            loop.non_sequences.append(Capture(initial, state.pasts[0]))
            found[state.stack] = _repeated(initial, state.stack, loop)
            loop.notes.append(f"{state.spec.name or 'a state'}, which no step changes, is a non-sequence")
    outers = {one.inner: one.outer for one in loop.non_sequences}
    for output in list(loop.maps) if _has_fixed_length(loop.op) else ():
        if output.stack is None or output in accumulated:
            continue
        same = output.value if isinstance(output.value, Constant) else outers.get(output.value)
        if same is not None:
            found[output.stack] = _repeated(same, output.stack, loop)
            loop.notes.append(f"{output.spec.name or 'an output'} is the same at every step")
        elif (rows := _sequence_rows(output, loop)) is not None:
            found[output.stack] = rows
        else:
            continue
        loop.maps.remove(output)
    return found


def _has_fixed_length(op: Scan) -> bool:
    return op.n_steps is not None and not op.until and not op.dynamic


def _is_constant(state: RecurrenceSlot, loop: ScanBuilder) -> bool:
    """True for a state that no step changes, and whose stack has a known length."""
    unread = state.spec.saved.last == 0
    return state.spec.taps == (-1,) and state.value is state.pasts[0] and (unread or _has_fixed_length(loop.op))


def _repeated(value: Variable, stack: Variable, loop: ScanBuilder) -> Variable:
    return Apply(table_op("alloc", lengths=stack.type.sizes), [value], loop.sources).outputs[0]


def _sequence_rows(output: MapSlot, loop: ScanBuilder) -> Variable | None:
    """The saved rows of an output that is a row of a sequence, in the order of the steps."""
    n_steps, spec = loop.op.n_steps or 0, output.spec
    taps = ((one, tap, row) for one in loop.sequences for tap, row in zip(one.spec.taps, one.rows, strict=True))
    sequence, tap = next(((one, tap) for one, tap, row in taps if row is output.value), (None, 0))
    if sequence is None or spec.saved.every != 1:
        return None
    loop.notes.append(f"{spec.name or 'an output'} is rows of {sequence.spec.name or 'a sequence'}")
    start, step = tap - sequence.spec.low, 1
    if loop.op.go_backwards:
        start, step = sequence.outer.type.sizes[0] - sequence.spec.span - 1 + start, -1
    return _last(_slice(sequence.outer, start, start + step * n_steps, step, loop), spec.saved.rows(n_steps), loop)


def _last(rows: Variable, count: int | None, loop: ScanBuilder) -> Variable:
    total = rows.type.sizes[0]
    return _slice(rows, total - (total if count is None else count), total, 1, loop)


def _slice(x: Variable, start: int, stop: int, step: int, loop: ScanBuilder) -> Variable:
    if (start, stop, step) == (0, x.type.sizes[0], 1):
        return x
    return static_read(x, slice(start, stop if stop >= 0 else None, step), sources=loop.sources)


def _shared_outputs(loop: ScanBuilder) -> dict[Variable, tuple[Variable, int | None]]:
    """Take outputs out of the loop that equal another output, and map them to its stack and to the number of its last
    rows that they are; ``None`` for all that are saved of it."""
    found: dict[Variable, tuple[Variable, int | None]] = {}
    accumulated, n_steps = loop.accumulated, loop.op.n_steps
    for output in list(loop.maps):
        if output.stack is None or output in accumulated:
            continue
        saved = output.spec.saved
        for other in loop.outputs:
            if other is output or other.value is not output.value or other.stack is None:
                continue
            same = other.spec.saved == saved
            if same or (_has_fixed_length(loop.op) and other.spec.saved.all and saved.last is not None):
                found[output.stack] = other.stack, None if same else saved.rows(n_steps)
                loop.maps.remove(output)
                source = other.spec.name or "another output"
                loop.notes.append(f"{output.spec.name or 'an output'} is read from {source}")
                break
    return found
