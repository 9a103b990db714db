"""State vectorization: many small states that are computed alike become one array.

XLA on CPU runs each op on each state of a loop as a call of its own, and before jax 0.12 the gradient of a loop with
many states takes several times as long again (jax#40150). To stack states and take them apart at each step gains
little: it is the ops that must become one. The method is that of superword-level parallelism (Larsen and Amarasinghe
2000, Exploiting superword level parallelism with multimedia instruction sets): states whose steps are isomorphic
expressions, which differ only in the values that they read, are packed into one state with a new first axis, and each
op on all of them becomes one op. Of four states ``h[i]``, ``w[i]`` being non-sequences::

    tanh(h0 * w0), tanh(h1 * w1), ...  ->  tanh(h * w), where h = stack(h0, h1, ...), w = stack(w0, w1, ...)

Sequences and non-sequences are stacked before the loop. A value that all states share is broadcast. A reader of one of
the states reads its row. Limits: states with one past value each, elementwise ops only, and small states, since the
stacked arrays are copies.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.index import static_read
from loopjax.ir.op import table_op
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import SAVE_ALL, MapOutput, Recurrence, SavedSteps, Scan, SequenceInput
from loopjax.ir.types import KEY, RESIDUAL
from loopjax.rewrite.cost_model import bytes_of
from loopjax.rewrite.driver import Context, Pass, Replacement
from loopjax.rewrite.scan_builder import Capture, MapSlot, RecurrenceSlot, ScanBuilder, SequenceSlot, scan_builder
from loopjax.rewrite.scan_cse import ValueNumbering, grouped

MOST_SLICES = 3
"""Slices of neighbouring states that the states are read in, at most."""

Lane = tuple[Variable, ...]
"""Corresponding values of the states of a group, one for each state."""


@dataclass(frozen=True)
class VectorizeStates(Pass):
    """Packs states of one type whose values are the same elementwise ops of their pasts, of rows and of non-sequences.

    Attributes
    ----------
    least_states
        States of one kind from which packing pays.
    least_bytes
        Bytes of all of them from which it does: XLA compiles a smaller loop into one function. Measured on jax 0.10.2
        for 1,000 steps of ``tanh(h * w + 0.1 * other + x)``: 4 and 6 float64 values took 0.9 to 1.2 times as long
        packed, 8 to 60 took 0.3 to 0.4 times, their gradient 0.05 to 0.16 times. On jax 0.12.0, 8 to 60 values without
        sequences took 0.5 to 0.9 times as long, their gradient as long.
    most_bytes
        Bytes of a state up to which it does where sequences are joined before the loop, or stacks taken apart after it.
        States of 16 values took 0.4 to 0.6 times as long, their gradient 0.2 to 0.3 times; of 32 values 1.0 and 1.0 to
        1.2; of 64 values 1.2.
    most_bytes_in_carry
        The same where there are neither: 16 states of 64 values took 0.9 times as long, their gradient 0.3 times.
    """

    least_states: int = 4
    least_bytes: int = 64
    most_bytes: int = 128
    most_bytes_in_carry: int = 512

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        parts: dict[Variable, tuple[Variable, int]] = {}
        rows: dict[tuple[Variable, int], Variable] = {}

        def transform(node: Apply, inputs: tuple[Variable, ...]) -> Replacement:
            read = _picked(node.outputs[0], 0) if node.inputs and inputs[0] in parts else None
            if read is not None:
                # A row of one state's stack is read from that row of the packed stack, which other states share.
                (stack, state), (_, row) = parts[inputs[0]], read
                if (stack, row) not in rows:
                    rows[stack, row] = static_read(stack, row, sources=node.sources)
                return [static_read(rows[stack, row], state, sources=node.sources)]
            if not isinstance(node.op, Scan) or node.op.n_steps in (0, 1):
                return None
            found = self._packed(node, inputs)
            parts.update((output, part) for output in found or () if (part := _picked(output, 1)) is not None)
            return found

        return graph.rebuilt(transform=transform)

    def _packed(self, node: Apply, inputs: tuple[Variable, ...]) -> Replacement:
        """Return the outputs of a loop whose states are packed; ``None`` where there are no groups."""
        loop = scan_builder(node, inputs)
        states: dict[Variable, tuple[Variable, int]] = {}
        for group in self._groups(loop) if len(loop.recurrences) >= self.least_states else ():
            packed = self._pack(loop, group)
            if packed is None:
                continue
            packed.stack = Variable(packed.value.type)
            apart = {output.stack for output in loop.maps}
            reads = [(state, slot.stack) for state, slot in enumerate(group) if slot.stack not in apart]
            states.update((stack, (packed.stack, state)) for state, stack in reads if stack is not None)
            loop.notes.append(f"{len(group)} states that are computed alike are one")
        if not states:
            return None
        found = loop.replacements(loop.build())
        for old, (stack, state) in states.items():
            rows, kept = found[stack], old.type.sizes[0]
            last = _between(rows, rows.type.sizes[0] - kept, rows.type.sizes[0])
            found[old] = static_read(last, slice(None), state, sources=node.sources)
        return [found[old] for old in node.outputs]

    def _groups(self, loop: ScanBuilder) -> list[list[RecurrenceSlot]]:
        """Return the groups of states with isomorphic steps: equal value numbers if all pasts are equal."""
        accumulated = {id(accumulator.of) for accumulator in loop.accumulators}
        kinds: dict[Variable, Hashable] = {}
        for state in loop.recurrences:
            (past, *more), type = state.pasts, state.value.type
            small = type.dtype not in (KEY, RESIDUAL) and type.bytes <= self.most_bytes_in_carry
            plain = not more and state.spec.taps == (-1,) and id(state) not in accumulated
            if plain and small and not type.weak and not past.type.weak:
                kinds[past] = ("past", type)
        names = dict(kinds)
        for sequence in loop.sequences:
            for tap, row in zip(sequence.spec.taps, sequence.rows, strict=True):
                names[row] = ("row", tap, sequence.spec, sequence.outer.type, row.type.weak)
        names.update((given.inner, ("fixed", given.inner.type, given.inner.type.weak)) for given in loop.non_sequences)
        numbers = ValueNumbering(loop.body, names, lambda constant: ("fixed", constant.type, constant.type.weak))
        states = [state for state in loop.recurrences if state.pasts[0] in kinds]
        groups = grouped(states, [(kinds[state.pasts[0]], numbers(state.value)) for state in states])
        large = [group for group in groups if bytes_of(state.value for state in group) >= self.least_bytes]
        return [group for group in large if len(group) >= self.least_states]

    def _pack(self, loop: ScanBuilder, group: list[RecurrenceSlot]) -> RecurrenceSlot | None:
        """Replace a group by one state; ``None`` where the steps are not the same ops after all."""
        first = group[0]
        past = Variable(first.value.type.stacked(len(group)), name=first.spec.name)
        lift = _Lift(loop, [state.pasts[0] for state in group], past)
        value = lift(tuple(state.value for state in group))
        if value is None or value.type != past.type:
            return None
        is_stacked = any(state.spec.saved.last is None for state in group)
        if (lift.sequences or is_stacked) and first.value.type.bytes > self.most_bytes:
            return None
        sources = first.value.owner.sources if first.value.owner is not None else ()
        initials = [state.before_first(sources) for state in group]
        # All steps where all states save all, else the most last rows of any.
        saves_all = all(state.spec.saved.all for state in group)
        saved = SAVE_ALL if saves_all else SavedSteps(last=max(state.spec.saved.last or 0 for state in group))
        spec = Recurrence((-1,), saved, first.spec.name, windowed=False)
        packed = RecurrenceSlot(spec, stacked(initials, 0), [past], value)
        loop.recurrences.append(packed)
        loop.sequences.extend(lift.sequences.values())
        loop.non_sequences.extend(lift.non_sequences)
        loop.substitute({state.pasts[0]: static_read(past, place) for place, state in enumerate(group)})
        loop.recurrences = [state for state in loop.recurrences if state not in group]
        parts = [static_read(packed.value, place) for place in range(len(group))]
        loop.substitute({state.value: part for state, part in zip(group, parts, strict=True)})
        for state, part in zip(group, parts, strict=True):
            if not saved.all and state.spec.saved.last is None:
                loop.maps.append(MapSlot(MapOutput(state.spec.saved, state.spec.name), part, state.stack))
        return packed


class _Lift:
    """Maps lanes to one value each: with a first axis for the states, or a value that all of them share."""

    def __init__(self, loop: ScanBuilder, pasts: Sequence[Variable], packed: Variable) -> None:
        self.sequences: dict[tuple[Variable, ...], SequenceSlot] = {}
        self.non_sequences: list[Capture] = []
        self._packed = packed
        self._state = {past: state for state, past in enumerate(pasts)}
        self._fixed = {given.inner: given.outer for given in loop.non_sequences}
        self._rows = {
            row: (slot, tap) for slot in loop.sequences for tap, row in zip(slot.spec.taps, slot.rows, strict=True)
        }
        self._lifted: dict[Lane, Variable] = {}
        self._shared: set[Variable] = set()

    def __call__(self, lane: Lane) -> Variable | None:
        """Return the lifted value; ``None`` where the expressions are not isomorphic. Iterative: they are deep."""
        pending = [lane]
        while pending:
            current = pending[-1]
            operands = self._operands(current)
            missing = [operand for operand in operands if operand not in self._lifted]
            if missing:
                pending.extend(missing)
                continue
            pending.pop()
            if current not in self._lifted:
                value = self._node(current, operands) if operands else self._leaf(current)
                if value is None:
                    return None
                self._lifted[current] = value
        return self._lifted[lane]

    def _operands(self, lane: Lane) -> list[Lane]:
        """Return the lanes that one elementwise op on a lane reads; none for a leaf."""
        first, nodes = lane[0], [value.owner for value in lane if value.owner is not None]
        if len(nodes) < len(lane) or all(value is first for value in lane):
            return []
        if not nodes[0].op.has("pointwise") or any(node.op != nodes[0].op for node in nodes):
            return []
        if any(value.type != first.type or value.type.weak for value in lane):
            return []
        return list(zip(*(node.inputs for node in nodes), strict=True))

    def _node(self, lane: Lane, operands: list[Lane]) -> Variable | None:
        """Lift an elementwise op on lanes that are lifted."""
        node, ndim = lane[0].owner, lane[0].ndim
        assert node is not None
        inputs = [self._lifted[operand] for operand in operands]
        if self._shared.issuperset(inputs):
            return None
        # Axes of size 1 after that of the states, so that operands broadcast as they did.
        aligned = [
            value if value in self._shared else with_axes(value, ndim - operand[0].ndim)
            for value, operand in zip(inputs, operands, strict=True)
        ]
        (made,) = Apply(node.op, aligned, node.sources).outputs
        return made if made.type == lane[0].type.stacked(len(lane)) else None

    def _leaf(self, lane: Lane) -> Variable | None:
        """Lift pasts, constants, non-sequences, rows, or a value that all states share."""
        first = lane[0]
        if all(value is first for value in lane):
            if first in self._state:
                return None
            self._shared.add(first)
            return first
        if any(value.type != first.type for value in lane):
            return None
        if all(value in self._state for value in lane):
            return self._pasts([self._state[value] for value in lane])
        if all(isinstance(value, Constant) for value in lane):
            data = np.stack([value.data for value in lane if isinstance(value, Constant)])
            return Constant(data, weak=first.type.weak)
        if any(value.type.weak for value in lane):
            return None
        if all(value in self._fixed or isinstance(value, Constant) for value in lane):
            inner = Variable(first.type.stacked(len(lane)), name=first.name)
            self.non_sequences.append(Capture(stacked([self._fixed.get(value, value) for value in lane], 0), inner))
            return inner
        return self._row(lane) if all(value in self._rows for value in lane) else None

    def _pasts(self, states: list[int]) -> Variable | None:
        """Return the packed past with its states in another order, joined from slices of neighbours."""
        slices = [[states[0], states[0] + 1]]
        for before, state in pairwise(states):
            if state == before + 1:
                slices[-1][1] += 1
            else:
                slices.append([state, state + 1])
        if len(slices) > MOST_SLICES:
            return None
        parts = [_between(self._packed, *bounds) for bounds in slices]
        if len(parts) == 1:
            return parts[0] if len(states) == self._packed.type.sizes[0] else None
        return Apply(table_op("join", axis=0), parts, ()).outputs[0]

    def _row(self, lane: Lane) -> Variable | None:
        """Lift rows of sequences, which are stacked before the loop."""
        slots = [self._rows[value][0] for value in lane]
        taps = {self._rows[value][1] for value in lane}
        first = slots[0]
        if len(taps) > 1 or any((slot.spec, slot.outer.type) != (first.spec, first.outer.type) for slot in slots):
            return None
        outers = tuple(slot.outer for slot in slots)
        if outers not in self.sequences:
            type = lane[0].type.stacked(len(lane))
            rows = [Variable(type, name=row.name) for row in first.rows]
            spec = SequenceInput(first.spec.taps, first.spec.name)
            self.sequences[outers] = SequenceSlot(spec, stacked(outers, 1), rows)
        return self.sequences[outers].rows[first.spec.taps.index(taps.pop())]


def with_axes(value: Variable, count: int) -> Variable:
    """Return a value with ``count`` axes of size 1 after its first."""
    return ops.dimshuffle(value, 0, *["x"] * count, *range(1, value.ndim)) if count else value


def stacked(values: Sequence[Variable], axis: int) -> Variable:
    """Stack values along a new axis; where they are all rows of an array, in order, return the array."""
    picked = [_picked(value, 0) for value in values]
    if axis == 0 and picked[0] is not None:
        array = picked[0][0]
        if picked == [(array, row) for row in range(array.type.sizes[0])]:
            return array
    rows = [ops.dimshuffle(value, *range(axis), "x", *range(axis, value.ndim)) for value in values]
    return Apply(table_op("join", axis=axis), rows, ()).outputs[0]


def _picked(value: Variable, axis: int) -> tuple[Variable, int] | None:
    """Return the array that a value is one place of along an axis, and the place."""
    node = value.owner
    if node is None or not node.op.named("index") or len(node.inputs) > 1:
        return None
    place = node.op.arguments["pattern"].picked(axis)
    return None if place is None else (node.inputs[0], place)


def _between(x: Variable, start: int, stop: int) -> Variable:
    """Return some rows of an array, or the array where they are all."""
    return x if (start, stop) == (0, x.type.sizes[0]) else static_read(x, slice(start, stop))
