"""Many small states that are computed alike become one.

XLA on CPU runs each op on each state of a loop as a call of its own, and before jax 0.12 the gradient of a loop with
many states takes several times as long again (jax#40150). States that are joined and taken apart at each step gain
little: it is the ops that must become one. So states are packed whose steps differ in nothing but what they read: each
op on all of them is then one op on an array with one more axis.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.index import static_read
from loopjax.ir.op import TableOp, table_op
from loopjax.ir.scan import SAVE_ALL, MapOutput, Recurrence, SavedSteps, Scan, SequenceInput
from loopjax.ir.types import KEY, RESIDUAL
from loopjax.rewrite.driver import Context, Pass
from loopjax.rewrite.footprint import bytes_of
from loopjax.rewrite.scan_builder import Capture, MapSlot, RecurrenceSlot, ScanBuilder, SequenceSlot, scan_builder
from loopjax.rewrite.scan_cse import ValueNumbering

LEAST_STATES = 4
"""States of one kind from which packing pays."""

LEAST_BYTES = 64
"""Bytes of all of them from which it does: XLA compiles a smaller loop into one function.

Measured on jax 0.10.2 for 1,000 steps of ``tanh(h * w + 0.1 * other + x)``: 4 and 6 float64 values took 0.9 to 1.2
times as long packed, 8 to 60 took 0.3 to 0.4 times, their gradient 0.05 to 0.16 times. On jax 0.12.0, 8 to 60 values
without sequences took 0.5 to 0.9 times as long, their gradient as long.
"""

MOST_BYTES = 128
"""Bytes of a state up to which it does where sequences are joined before the loop, or stacks taken apart after it.

States of 16 values took 0.4 to 0.6 times as long, their gradient 0.2 to 0.3 times; of 32 values 1.0 and 1.0 to 1.2; of
64 values 1.2.
"""

MOST_BYTES_ALONE = 512
"""The same where there are neither: 16 states of 64 values took 0.9 times as long, their gradient 0.3 times."""

MOST_RUNS = 3
"""Runs of neighbours that states are read in, at most: each is a slice."""


@dataclass(frozen=True)
class VectorizeStates(Pass):
    """States with one past value each, of one type, whose values are the same elementwise ops of their
    pasts, of rows of sequences and of non-sequences, become rows of one state; so do those sequences and
    non-sequences. What reads one of the states reads its row.
    """

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        parts: dict[Variable, tuple[Variable, int]] = {}
        rows: dict[tuple[Variable, int], Variable] = {}

        def transform(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
            row = _part_read(node.outputs[0], 0) if node.inputs and inputs[0] in parts else None
            if row is not None:
                # Of one of the states, read of that row of all, which the others' rows are read of as well.
                stack, place = parts[inputs[0]]
                if (stack, row[1]) not in rows:
                    rows[stack, row[1]] = _part(stack, 0, row[1], node)
                return [_part(rows[stack, row[1]], 0, place, node)]
            if not isinstance(node.op, Scan) or len(node.op.recurrences) < LEAST_STATES or node.op.n_steps in (0, 1):
                return None
            found = _packed(node, inputs)
            parts.update((one, part) for one in found or () if (part := _part_read(one, 1)) is not None)
            return found

        return graph.rebuilt(transform=transform)


def _packed(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
    loop = scan_builder(node, inputs)
    rows: dict[Variable, tuple[Variable, int]] = {}
    for group in _alike(loop):
        packed = _pack(loop, group)
        if packed is None:
            continue
        packed.stack = Variable(packed.value.type)
        stacked = {one.stack for one in loop.maps}
        reads = [(place, one.stack) for place, one in enumerate(group) if one.stack not in stacked]
        rows.update((stack, (packed.stack, place)) for place, stack in reads if stack is not None)
        loop.notes.append(f"{len(group)} states that are computed alike are one")
    if not rows:
        return None
    found = loop.replacements(loop.build())
    for old, (stack, place) in rows.items():
        found[old] = _rows_of(found[stack], place, old.type.sizes[0], node)
    return [found[old] for old in node.outputs]


def _rows_of(stack: Variable, place: int, count: int, node: Apply) -> Variable:
    """The last rows of one of the states."""
    return _part(_between(stack, stack.type.sizes[0] - count, stack.type.sizes[0]), 1, place, node)


def _saved(group: Sequence[RecurrenceSlot]) -> SavedSteps:
    """What the packed state keeps: all where all of its states do, else the last rows that any keeps alone."""
    if all(one.spec.saved.all for one in group):
        return SAVE_ALL
    return SavedSteps(last=max((one.spec.saved.last or 0 for one in group), default=0))


def _alike(loop: ScanBuilder) -> list[list[RecurrenceSlot]]:
    """Groups of states that are computed alike from pasts of the group, rows and non-sequences."""
    folded = {id(fold.of) for fold in loop.accumulators}
    kinds: dict[Variable, Hashable] = {}
    names: dict[Variable, Hashable] = {}
    for one in loop.recurrences:
        (past, *more), type = one.pasts, one.value.type
        small = type.dtype not in (KEY, RESIDUAL) and bytes_of([one.value]) <= MOST_BYTES_ALONE
        if more or one.spec.taps != (-1,) or id(one) in folded or not small or type.weak or past.type.weak:
            continue
        kinds[past] = names[past] = ("past", type)
    for sequence in loop.sequences:
        for tap, row in zip(sequence.spec.taps, sequence.rows, strict=True):
            names[row] = ("row", tap, sequence.spec, sequence.outer.type, row.type.weak)
    names.update((one.inner, ("fixed", one.inner.type, one.inner.type.weak)) for one in loop.non_sequences)
    numbers = ValueNumbering(loop.body, names, lambda constant: ("fixed", constant.type, constant.type.weak))
    groups: dict[Hashable, list[RecurrenceSlot]] = {}
    for one in loop.recurrences:
        if one.pasts[0] in kinds:
            groups.setdefault((kinds[one.pasts[0]], numbers(one.value)), []).append(one)
    return [group for group in groups.values() if len(group) >= LEAST_STATES and _total(group) >= LEAST_BYTES]


def _total(group: Sequence[RecurrenceSlot]) -> int:
    return bytes_of(one.value for one in group)


def _pack(loop: ScanBuilder, group: list[RecurrenceSlot]) -> RecurrenceSlot | None:
    """One state for a group, put in its place; ``None`` where the steps are not the same ops after all."""
    first = group[0]
    type = first.value.type
    past = Variable(type.stacked(len(group)), name=first.spec.name)
    lift = _Lift(loop, [one.pasts[0] for one in group], past)
    value = lift([one.value for one in group])
    if value is None or value.type != past.type:
        return None
    stacked = any(one.spec.saved.last is None for one in group)
    if (lift.sequences or stacked) and bytes_of([first.value]) > MOST_BYTES:
        return None
    initials = [_part(one.initial, 0, 0, first.value.owner) if one.spec.windowed else one.initial for one in group]
    saved = _saved(group)
    spec = Recurrence((-1,), saved, first.spec.name, windowed=False)
    packed = RecurrenceSlot(spec, _joined(initials, 0), [past], value)
    loop.recurrences.append(packed)
    loop.sequences.extend(lift.sequences)
    loop.non_sequences.extend(lift.non_sequences)
    loop.substitute({one.pasts[0]: _part(past, 0, place, None) for place, one in enumerate(group)})
    loop.recurrences = [one for one in loop.recurrences if one not in group]
    parts = [_part(packed.value, 0, place, None) for place in range(len(group))]
    loop.substitute({one.value: part for one, part in zip(group, parts, strict=True)})
    for one, part in zip(group, parts, strict=True):
        if not saved.all and one.spec.saved.last is None:
            loop.maps.append(MapSlot(MapOutput(one.spec.saved, one.spec.name), part, one.stack))
    return packed


class _Lift:
    """Values of a group, one for each of its states, as one value with a first axis for the states, or as one that
    they share."""

    def __init__(self, loop: ScanBuilder, pasts: Sequence[Variable], packed: Variable) -> None:
        self.sequences: list[SequenceSlot] = []
        self.non_sequences: list[Capture] = []
        self._packed = packed
        self._place = {past: place for place, past in enumerate(pasts)}
        self._fixed = {one.inner: one.outer for one in loop.non_sequences}
        self._rows = {
            row: (one, tap) for one in loop.sequences for tap, row in zip(one.spec.taps, one.rows, strict=True)
        }
        self._joined_sequences: dict[tuple[Variable, ...], SequenceSlot] = {}
        self._done: dict[tuple[Variable, ...], Variable | None] = {}
        self._shared: set[Variable] = set()

    def __call__(self, values: Sequence[Variable]) -> Variable | None:
        """Without recursion: values may be deep."""
        last = tuple(values)
        stack = [last]
        while stack:
            key = stack[-1]
            if key in self._done:
                stack.pop()
                continue
            below = [] if self._is_leaf(key) else self._below(key)
            if below is None:
                return None
            rest = [one for one in below if one not in self._done]
            if rest:
                stack.extend(rest)
                continue
            self._done[key] = self._node(key, below) if below else self._leaf(key)
            if self._done[key] is None:
                return None
            stack.pop()
        return self._done[last]

    def _is_leaf(self, key: tuple[Variable, ...]) -> bool:
        return all(one is key[0] for one in key) or any(one.owner is None for one in key) or not self._below(key)

    def _below(self, key: tuple[Variable, ...]) -> list[tuple[Variable, ...]] | None:
        """What one elementwise op on each of the values reads, by its position; ``None`` where it is no such op."""
        nodes = [one.owner for one in key]
        found = [node for node in nodes if node is not None]
        first = found[0] if found else None
        if first is None or len(found) < len(nodes) or not isinstance(first.op, TableOp):
            return None
        if not first.op.has("pointwise") or any(node.op != first.op for node in found):
            return None
        if any(one.type != key[0].type or one.type.weak for one in key):
            return None
        return list(zip(*(node.inputs for node in found), strict=True))

    def _node(self, key: tuple[Variable, ...], below: list[tuple[Variable, ...]]) -> Variable | None:
        node = key[0].owner
        assert node is not None
        inputs = [value for one in below if (value := self._done[one]) is not None]
        if all(value in self._shared for value in inputs):
            return None
        most = key[0].ndim
        aligned = [
            value if value in self._shared else _padded(value, most - before[0].ndim)
            for value, before in zip(inputs, below, strict=True)
        ]
        (made,) = Apply(node.op, aligned, node.sources).outputs
        return made if made.type == key[0].type.stacked(len(key)) else None

    def _leaf(self, key: tuple[Variable, ...]) -> Variable | None:
        first = key[0]
        if all(one is first for one in key):
            if first in self._place:
                return None
            self._shared.add(first)
            return first
        if any(one.type != first.type for one in key):
            return None
        if all(one in self._place for one in key):
            return self._pasts([self._place[one] for one in key])
        if all(isinstance(one, Constant) for one in key):
            data = np.stack([one.data for one in key if isinstance(one, Constant)])
            return Constant(data, weak=first.type.weak)
        if any(one.type.weak for one in key):
            return None
        if all(one in self._fixed or isinstance(one, Constant) for one in key):
            inner = Variable(first.type.stacked(len(key)), name=first.name)
            self.non_sequences.append(Capture(_joined([self._fixed.get(one, one) for one in key], 0), inner))
            return inner
        if all(one in self._rows for one in key):
            return self._row(key)
        return None

    def _pasts(self, places: list[int]) -> Variable | None:
        """The states in another order, as so many slices of neighbours."""
        runs = [[places[0]]]
        for before, place in pairwise(places):
            if place == before + 1:
                runs[-1].append(place)
            else:
                runs.append([place])
        if len(runs) > MOST_RUNS:
            return None
        parts = [_between(self._packed, run[0], run[-1] + 1) for run in runs]
        if len(parts) == 1:
            return parts[0] if len(places) == self._packed.type.sizes[0] else None
        return Apply(table_op("join", axis=0), parts, ()).outputs[0]

    def _row(self, key: tuple[Variable, ...]) -> Variable | None:
        sequences = [self._rows[one][0] for one in key]
        taps = {self._rows[one][1] for one in key}
        first = sequences[0]
        same = all((one.spec, one.outer.type) == (first.spec, first.outer.type) for one in sequences)
        if len(taps) > 1 or not same:
            return None
        outers = tuple(one.outer for one in sequences)
        if outers not in self._joined_sequences:
            spec = SequenceInput(first.spec.taps, first.spec.name)
            type = key[0].type.stacked(len(key))
            rows = [Variable(type, name=row.name) for row in first.rows]
            self._joined_sequences[outers] = SequenceSlot(spec, _joined(outers, 1), rows)
            self.sequences.append(self._joined_sequences[outers])
        return self._joined_sequences[outers].rows[first.spec.taps.index(taps.pop())]


def _padded(value: Variable, missing: int) -> Variable:
    """A value with so many axes of size 1 behind that of the states."""
    if not missing:
        return value
    pattern = (0, *[None] * missing, *range(1, value.ndim))
    return Apply(table_op("dimshuffle", pattern=pattern), [value], ()).outputs[0]


def _joined(values: Sequence[Variable], axis: int) -> Variable:
    """Values next to one another along a new axis."""
    whole = _taken_apart(values) if axis == 0 else None
    if whole is not None:
        return whole
    parts = []
    for value in values:
        pattern = (*range(axis), None, *range(axis, value.ndim))
        parts.append(Apply(table_op("dimshuffle", pattern=pattern), [value], ()).outputs[0])
    return Apply(table_op("join", axis=axis), parts, ()).outputs[0]


def _taken_apart(values: Sequence[Variable]) -> Variable | None:
    """The array whose rows, all of them and in order, values are."""
    found = [_part_read(value, 0) for value in values]
    first = found[0]
    if first is None or found != [(first[0], place) for place in range(first[0].type.sizes[0])]:
        return None
    return first[0]


def _part_read(value: Variable, axis: int) -> tuple[Variable, int] | None:
    """The array of which a value is one place of this axis, and the place."""
    node = value.owner
    if node is None or not isinstance(node.op, TableOp) or node.op.row != "index" or len(node.inputs) > 1:
        return None
    place = node.op.arguments["pattern"].picked(axis)
    return None if place is None else (node.inputs[0], place)


def _between(x: Variable, start: int, stop: int) -> Variable:
    if (start, stop) == (0, x.type.sizes[0]):
        return x
    return static_read(x, slice(start, stop))


def _part(x: Variable, axis: int, place: int, node: Apply | None) -> Variable:
    """``x`` at ``place`` of an axis."""
    return static_read(x, *[slice(None)] * axis, place, sources=node.sources if node is not None else ())
