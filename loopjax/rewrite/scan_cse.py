"""Common-subexpression elimination for the parts of one loop: inputs and states.

``cse`` shares equal nodes of a graph, but two states of a loop are never equal nodes: each reads its own past. Here two
states are equal where they start alike and are computed alike of states that are equal, found by partition refinement
from the optimistic side (Alpern, Wegman and Zadeck 1988, Detecting equality of variables in programs): states that
start alike are taken to be equal until their values differ. Equal sequences, non-sequences and keys are one, and small
constants go into the body::

    h, g = scan(lambda x, y, h, g: (h * x, g * y), [xs, xs], [1, 1])  ->  h = g = scan(lambda x, h: h * x, xs, 1)

A state that no step changes is a non-sequence, unless the gradient is truncated, which would flow around the loop then.
Limits: sequences of one array with other taps stay apart, and map outputs that are equal are stacked each.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence

from loopjax.ir.equality import value_key
from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.op import table_op
from loopjax.ir.scan import Scan
from loopjax.rewrite.cse import EliminateCommonSubexpressions
from loopjax.rewrite.driver import Context, Pass, Replacement
from loopjax.rewrite.scan_builder import Capture, RecurrenceSlot, ScanBuilder, SequenceSlot, scan_builder


class EliminateCommonLoopParts(Pass):
    """Shares equal inputs and states of a loop."""

    def rewrite_scan(self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        loop = scan_builder(node, inputs)
        _share_inputs(loop)
        same = _share_states(loop)
        fixed = _constant_states(loop) if op.truncate_gradient < 0 else {}
        if not loop.notes:
            return None
        found = {**loop.replacements(loop.build()), **fixed}
        return [found[same.get(old, old)] for old in node.outputs]


def _share_inputs(loop: ScanBuilder) -> None:
    replaced: dict[Variable, Variable] = {}
    loop.non_sequences = list(_distinct(loop.non_sequences, replaced))
    loop.keys = list(_distinct(loop.keys, replaced))
    loop.sequences = list(_distinct_sequences(loop.sequences, replaced))
    if replaced:
        loop.notes.append("equal inputs are one, constants are in the body")
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


def _distinct_sequences(
    sequences: Iterable[SequenceSlot], replaced: dict[Variable, Variable]
) -> Iterator[SequenceSlot]:
    """The sequences that are no other one's array read at the same taps."""
    first: dict[Hashable, SequenceSlot] = {}
    for slot in sequences:
        same = first.setdefault((slot.spec, value_key(slot.outer)), slot)
        if same is slot:
            yield slot
        else:
            replaced.update(zip(slot.rows, same.rows, strict=True))


def _share_states(loop: ScanBuilder) -> dict[Variable, Variable]:
    """Drop states that equal others, and map their stacks to those of the others where these save the same steps."""
    replaced: dict[Variable, Variable] = {}
    same: dict[Variable, Variable] = {}
    for first, *others in _equal_states(loop):
        for state in others:
            replaced.update(zip(state.pasts, first.pasts, strict=True))
            assert state.stack is not None and first.stack is not None  # noqa: PT018
            if state.spec.saved == first.spec.saved and state not in loop.accumulated:
                loop.recurrences.remove(state)
                same[state.stack] = first.stack
            else:
                loop.make_output(state, first.value)
            loop.notes.append(f"{state.spec.name or 'a state'} is {first.spec.name or 'another state'}")
    if replaced:
        loop.substitute(replaced)
        loop.set_results(EliminateCommonSubexpressions()(loop.body).outputs)
    return same


def _constant_states(loop: ScanBuilder) -> dict[Variable, Variable]:
    """Make states that no step changes non-sequences, and map their stacks to what these hold."""
    found: dict[Variable, Variable] = {}
    has_length = loop.op.n_steps is not None and not (loop.op.until or loop.op.dynamic)
    for state in list(loop.recurrences):
        is_read = state.spec.saved.last != 0
        is_fixed = state.spec.taps == (-1,) and state.value is state.pasts[0] and (has_length or not is_read)
        if not is_fixed or state in loop.accumulated or state.stack is None:
            continue
        initial = state.before_first(loop.sources)
        loop.recurrences.remove(state)
        loop.non_sequences.append(Capture(initial, state.pasts[0]))
        alloc = table_op("alloc", lengths=state.stack.type.sizes)
        found[state.stack] = Apply(alloc, [initial], loop.sources).outputs[0]
        loop.notes.append(f"{state.spec.name or 'a state'}, which no step changes, is a non-sequence")
    return found


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
