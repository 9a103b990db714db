"""Wavefront order: a loop over rows around a loop over columns as one loop over anti-diagonals.

A cell of a dynamic program depends on its left, upper and diagonal neighbours: the dependence vectors of the nest are
``(0, 1)``, ``(1, 0)`` and ``(1, 1)``, so that neither loop can run all of its steps at once. Skewed by ``t = row +
column``, all of them point to smaller ``t``: cells of one anti-diagonal need nothing of each other (Lamport 1974, "The
parallel execution of DO loops"; Wolfe 1986, "Loop skewing: the wavefront method revisited")::

    d = scan(lambda above: [first, *scan(cell, (above[:-1], above[1:]), first)], rows)             # n * m steps
    ->
    d = scan(lambda d1, d2: [first, *map(cell, d2[:-1], d1[1:], d1[:-1])], anti-diagonals)       # n + m steps

The pass works on the body over rows, not on the formula of a cell. An array ``v`` of each row becomes a *wave*, an
array whose element ``k`` at time ``t`` is ``v[k]`` of row ``t - k - delay``. Elementwise ops take waves to waves of one
delay, slices and joins move it by as many positions as they move elements, the row before is the wave one step ago, and
the inner loop becomes one without recurrence. What bodies ask of each other's delays are difference constraints, whose
least solution, if they have one, makes every read one of a past step (Leiserson and Saxe 1991, "Retiming synchronous
circuitry"); a cell that reads its upper right neighbour has none. Cells outside of the table keep the state as it was.

Measured on one core (jax 0.10.2, float64 but for the first), times as fast as row by row, for rows and columns:

| cells | 64, 64 | 92, 90 | 150, 130 | 300, 60 | 2,000, 36 | 1,000, 800 | 64, 1,024 |
|---|---|---|---|---|---|---|---|
| longest common subsequence, int32 | 1.1 | 1.5 | 2.2 | 3.5 | 5.4 | 2.6 | 0.4 |
| time warping of two vectors | 1.8 | 1.9 | 2.6 | 3.2 | 5.2 | 3.5 | |
| local alignment, of a table of scores | 1.1 | 1.4 | 1.6 | 2.2 | 3.5 | 0.8 | |
| affine gaps, of a table of scores | 0.9 | 1.1 | 1.2 | 1.5 | 1.6 | 1.2 | |
| soft minimum of three | | | 1.0 | 1.6 to 2.7 | 3.8 | 0.9 | 0.2 |
| gradient of the time warping | 0.7 | | 0.8 | 1.1 | 1.2 | 0.9 | |
| gradient of the local alignment | 0.8 | | 0.7 | 1.2 | 1.4 | | |

Few rows of many columns are many anti-diagonals that are empty but for a few cells. A gradient stores all cells of
these, and a table whose rows become anti-diagonals is written anew. In a loop that runs all of its steps at once, a
step row by row is a vector already. On a GPU a step takes 8 us whatever it computes, if it is not one of several of an
iteration, and there are ``n + m`` instead of ``n * m`` of them; there the gain is counted, not measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from loopjax.ir.graph import Apply, Constant, Variable, apply, copy_node, dependents
from loopjax.ir.index import IndexPattern, static_read
from loopjax.ir.monoid import element
from loopjax.ir.op import table_op
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import MOST_STEPS, SAVE_ALL, MapOutput, Recurrence, SavedSteps, Scan, SequenceInput
from loopjax.ir.singular import SINGULAR
from loopjax.rewrite.driver import Context, Pass, Replacement
from loopjax.rewrite.loop_distribution import map_loop
from loopjax.rewrite.scan_builder import (
    AccumulatorSlot,
    Capture,
    MapSlot,
    RecurrenceSlot,
    ScanBuilder,
    SequenceSlot,
    scan_builder,
)
from loopjax.rewrite.trip_counts import may_speculate

NOTHING, LAST = SavedSteps(0), SavedSteps(1)


@dataclass(frozen=True)
class SkewLoops(Pass):
    """Runs nests of two loops in wavefront order.

    Attributes
    ----------
    least_gain
        GPU: cells for each anti-diagonal, from which this is profitable: several cells of a row are one iteration.
    least_cells, least_stored
        CPU: cells of the table from which it is, and where a gradient stores what it needs of each.
    least_columns
        CPU: columns from which it is where a cell is cheap: XLA may compile a row of few into one function. Measured
        for two multiplications and additions a cell, 2,000 rows of 8, 16, 24 and 32 columns, times as fast: 0.06, 0.11,
        1.0 and 1.0; for time warping 5 and more.
    most_idle, most_idle_dear, most_idle_stored
        CPU: cells computed for each cell of the table, at most; where a cell is more than cheap elementwise ops; and
        where a gradient stores.
    most_sheared, most_stored
        CPU: elements of a table whose rows become anti-diagonals, at most, and cells computed where a gradient stores.
    """

    least_gain: int = 24
    least_cells: int = 2**13
    least_stored: int = 2**15
    least_columns: int = 32
    most_idle: float = 2.1
    most_idle_dear: float = 1.5
    most_idle_stored: float = 1.25
    most_sheared: int = 2**19
    most_stored: int = 2**17

    def rewrite_scan(self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        nests = [scan_builder(one) for one in op.body.applies if isinstance(one.op, Scan) and one.op.recurrences]
        if not nests or not all(map(_is_plain, [op, *(one.op for one in nests)])) or not may_speculate(op, self.target):
            return None
        if not self._is_profitable(op.n_steps or 0, nests, context):
            return None
        try:
            most = self.most_sheared if self.target.on_cpu else MOST_STEPS
            return _Skewed(scan_builder(node, inputs), nests, context, most).outputs(node)
        except _NotSkewed:
            return None

    def _is_profitable(self, rows: int, nests: Sequence[ScanBuilder], context: Context) -> bool:
        columns = max(one.op.n_steps or 0 for one in nests)
        if not self.target.on_cpu:
            return rows * columns >= self.least_gain * (rows + columns)
        is_cheap = all(node.op.has("cheap") for one in nests for node in one.body.applies)
        least, most = self.least_cells, self.most_idle if is_cheap else self.most_idle_dear
        if context.differentiated:
            least, most = self.least_stored, self.most_idle_stored
            if (rows + columns) * columns > self.most_stored:
                return False
        if is_cheap and columns < self.least_columns:
            return False
        return not context.in_loop and rows * columns >= least and rows + columns <= most * rows


def _is_plain(op: Scan) -> bool:
    """True for a loop of known length that only carries states of the step before, and saves all steps or the last."""
    asks = op.checkpoint or op.progress or op.unroll or op.truncate_gradient >= 0 or op.go_backwards or op.counts_down
    odd = op.n_states or op.n_keys or op.until or op.dynamic or op.n_steps is None or op.samples or op.linear
    saved = all(one.saved in (SAVE_ALL, NOTHING, LAST) for one in op.outputs)
    return saved and not (asks or odd) and all(one.taps == (-1,) for one in op.recurrences)


class _NotSkewed(Exception):
    """A value that is no wave."""


@dataclass(eq=False)
class _Wave:
    """Values of a row that a step of the skewed loop computes together: a state or an output of the rows, the stacks
    of an inner loop, or another value.

    ``taps`` are the variables of past values that are read, by the number of the value and the tap.
    """

    values: list[Variable]
    slot: RecurrenceSlot | MapSlot | None = None
    inner: ScanBuilder | None = None
    delay: int = 0
    taps: dict[tuple[int, int], Variable] = field(default_factory=dict)
    computed: list[Variable] = field(default_factory=list)

    @property
    def size(self) -> int:
        return self.values[0].type.sizes[0] if self.values[0].ndim else 1

    def tap(self, tap: int, number: int = 0) -> Variable:
        """The variable of a past value."""
        value = self.values[number]
        return self.taps.setdefault((number, tap), Variable(value.type, name=value.name))


class _Skewed:
    """The loop over anti-diagonals of a nest.

    It is built twice: the first time, while ``solving``, only to learn what waves ask of each other's delays.
    """

    def __init__(self, loop: ScanBuilder, nests: Sequence[ScanBuilder], context: Context, most_sheared: int) -> None:
        self.loop, self.context, self.most_sheared, self.rows = loop, context, most_sheared, loop.op.n_steps or 0
        body, pasts = loop.body.applies, [state.pasts[0] for state in loop.recurrences]
        self.carried = dependents(body, pasts)
        self.varying = dependents(body, [*pasts, *(row for one in loop.sequences for row in one.rows)])
        self.waves = [_Wave([slot.value], slot) for slot in loop.outputs]
        self.pasts = dict(zip(pasts, self.waves, strict=False))
        self.states = {wave.values[0]: wave for wave in self.pasts.values()}
        self.stacks: dict[Variable, tuple[_Wave, int]] = {}
        self.lefts: dict[RecurrenceSlot, _Wave] = {}
        for inner in nests:
            if inner.outputs[0].stack in self.carried:
                self.add_inner(inner)
        if not self.stacks or any(value.ndim > 1 for wave in self.waves for value in wave.values):
            raise _NotSkewed
        self.apart: dict[Variable, Variable] = {}
        self.solving = True
        self.solve()
        self.solving = False
        self.first = min(wave.delay for wave in self.waves)
        self.steps = max(wave.delay + wave.size for wave in self.waves) - 1 + self.rows - self.first
        self.distribute()
        self.begin()

    def add_inner(self, inner: ScanBuilder) -> None:
        """Make waves of all steps of an inner loop, and of ``[first, *cells]`` for each of its states."""
        wave = _Wave([], inner=inner)
        for number, output in enumerate(inner.outputs):
            assert output.stack is not None
            saved, steps = output.spec.saved, output.stack.type.row().stacked(inner.op.n_steps)
            wave.values.append(output.stack if saved.all else Variable(steps, name=output.spec.name))
            self.stacks[output.stack] = self.stacks[wave.values[-1]] = wave, number
            for found in (self.carried, self.varying):
                found.add(wave.values[-1])
        for state, stack in zip(inner.recurrences, wave.values, strict=False):
            self.lefts[state] = self.with_first(state.before_first(), stack)
        self.waves.append(wave)

    def with_first(self, first: Variable, stack: Variable) -> _Wave:
        """The wave of ``[first, *cells]``, a state of the rows or a new value."""
        for value, wave in self.states.items():
            parts = value.owner.inputs if value.owner is not None and value.owner.op.named("join") else ()
            if len(parts) == 2 and parts[1] is stack and self.number(parts[0]) == self.number(first):
                return wave
        head = ops.dimshuffle(first, "x")
        row = _joined([head, stack])
        for found in (self.carried, self.varying):
            found.update([head, row] if first in found else [row])
        self.waves.append(_Wave([row]))
        return self.waves[-1]

    def number(self, x: Variable) -> object:
        """The number that an array of one element holds, for comparison."""
        outer = {one.inner: one.outer for one in self.loop.non_sequences}
        x = outer.get(x, x)
        while x.owner is not None and x.owner.op.named("dimshuffle", "alloc"):
            x = outer.get(x.owner.inputs[0], x.owner.inputs[0])
        return x.data.item() if isinstance(x, Constant) and x.data.size == 1 else x

    # Delays.

    def begin(self) -> None:
        """Forget what has been built."""
        self.known: dict[tuple[object, ...], Variable] = {}
        self.sequences: list[SequenceSlot] = []
        self.captures: list[Capture] = []

    def solve(self) -> None:
        """Find the least delays by which each wave reads what is computed before it, by relaxation."""
        self.demands: list[tuple[_Wave, _Wave, int]] = []
        for wave in self.waves:
            self.begin()
            self.reader = wave
            self.compute(wave)
        for _ in self.waves:
            for reader, of, lead in self.demands:
                reader.delay = max(reader.delay, of.delay - lead)
        if any(reader.delay < of.delay - lead for reader, of, lead in self.demands):
            raise _NotSkewed
        for wave in self.waves:
            wave.computed, wave.taps = [], {}

    def read(self, wave: _Wave, number: int, delay: int, lag: int = 0) -> Variable:
        """The value of a wave ``lag`` rows ago, with another delay: one of a past step, or of this one."""
        if self.solving:
            self.demands.append((self.reader, wave, delay))
            return wave.values[number]
        tap = wave.delay - delay - lag
        return wave.tap(tap, number) if tap else self.compute(wave)[number]

    # The waves of values.

    def once(self, key: tuple[object, ...], make: Callable[[], Variable]) -> Variable:
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]

    def at(self, v: Variable, delay: int, own: bool = False) -> Variable:
        """The wave of a value with a delay; ``own`` where it is the next value of a state that is being computed."""
        if isinstance(v, Constant):
            return v
        if v not in self.varying:
            return self.once(("fixed", v), lambda: self.captured(self.loop.outside([v])[0]))
        if v not in self.carried:
            return self.once((v, delay), lambda: self.skewed(v, delay))
        if v in self.pasts:
            return self.read(self.pasts[v], 0, delay, lag=1)
        if v in self.states and not own:
            return self.read(self.states[v], 0, delay)
        if v in self.stacks:
            wave, number = self.stacks[v]
            unread = wave.size - v.type.sizes[0]
            whole = self.read(wave, number, delay - unread)
            return static_read(whole, slice(unread, None)) if unread else whole
        return self.once((v, delay), lambda: self.derived(v, delay))

    def derived(self, v: Variable, delay: int) -> Variable:
        """The wave of a value that a node computes of others."""
        node = v.owner
        if node is None or len(node.outputs) > 1 or v.ndim > 1:
            raise _NotSkewed
        x, pattern = node.inputs[0], node.op.arguments.get("pattern", ())
        entries = pattern.entries if isinstance(pattern, IndexPattern) else pattern
        if node.op.has("pointwise") and not (self.context.differentiated and node.op.name in SINGULAR):
            inputs = [self.operand(x, v, delay) for x in node.inputs]
        elif node.op.named("join"):
            starts = np.cumsum([0, *(x.type.sizes[0] for x in node.inputs)]).tolist()
            inputs = [self.at(x, delay + start) for x, start in zip(node.inputs, starts, strict=False)]
        elif node.op.named("index", "dimshuffle") and entries == (None,):
            inputs = [self.at(x, delay)]
        elif isinstance(pattern, IndexPattern) and x.ndim == len(entries) == len(node.inputs) == 1:
            rows = pattern.rows(0, node.op.arguments["lengths"], x.type.sizes[0])
            if not rows or rows.step != 1:
                raise _NotSkewed
            inputs = [self.at(x, delay - rows.start)]
        else:
            raise _NotSkewed
        return copy_node(node, inputs).outputs[0]

    def operand(self, x: Variable, v: Variable, delay: int) -> Variable:
        """The wave of an operand of an elementwise op: a number of each row is one for each element of ``v``."""
        if x not in self.varying or x.type.shape == v.type.shape:
            return self.at(x, delay)
        if x.ndim:
            raise _NotSkewed
        return self.spread(x, delay, v.type.sizes[0])

    # What depends on no state.

    def distribute(self) -> None:
        """Compute for all rows, before the loop, what depends on no state."""
        arrays = {one.rows[0]: one.outer for one in self.loop.sequences if one.spec.taps == (0,)}
        moved = [MapSlot(MapOutput(name=v.name or "hoisted"), v) for v in self.apart if v not in arrays]
        stacks = map_loop(self.loop, self.loop.sequences, moved).build().outputs if moved else ()
        self.apart.update({**arrays, **dict(zip([one.value for one in moved], stacks, strict=True))})

    def captured(self, outer: Variable) -> Variable:
        if isinstance(outer, Constant):
            return outer
        self.captures.append(Capture(outer, Variable(outer.type, name=outer.name)))
        return self.captures[-1].inner

    def sequence(self, outer: Variable, name: str | None) -> Variable:
        row = Variable(outer.type.row(), name=name)
        self.sequences.append(SequenceSlot(SequenceInput((0,), name or ""), outer, [row]))
        return row

    @property
    def time(self) -> Variable:
        """The number of the anti-diagonal."""
        numbers = np.arange(self.first, self.first + self.steps)
        return self.once(("time",), lambda: self.sequence(_int32(numbers), "time"))

    def skewed(self, v: Variable, delay: int) -> Variable:
        """The wave of a value that is computed for all rows before the loop."""
        if self.solving:
            return self.apart.setdefault(v, v)
        if v.ndim:
            return self.sequence(self.sheared(self.apart[v], -1, self.first - delay, self.steps), v.name)
        return self.sequence(self.taken(v, np.arange(self.steps) + self.first - delay), v.name)

    def taken(self, v: Variable, rows: Any) -> Variable:
        """The values of these rows, of the nearest where there is none."""
        return ops.index(self.apart[v], _int32(np.clip(rows, 0, self.rows - 1)))

    def sheared(self, table: Variable, by: int, start: int, rows: int) -> Variable:
        if self.steps * table.type.sizes[1] > self.most_sheared:
            raise _NotSkewed
        op = table_op("shear", by=by, start=start, rows=rows, gather=not self.context.reversed)
        return Apply(op, [table], self.loop.sources).outputs[0]

    def spread(self, v: Variable, delay: int, size: int) -> Variable:
        """The wave of a value of each row for ``size`` elements: a window of all such values, the last row first."""
        if v in self.carried:
            raise _NotSkewed
        if self.solving:
            self.apart[v] = v
            return Variable(v.type.stacked(size))
        return self.once((v, delay, size), lambda: self.window(v, delay, size))

    def window(self, v: Variable, delay: int, size: int) -> Variable:
        last = self.first + self.steps - 1
        numbers = self.captured(self.taken(v, last - delay - np.arange(self.steps + size - 1)))
        op = table_op("window", axes=(0,), lengths=(size,), inner=True)
        return Apply(op, [numbers, ops.sub(_int32(last), self.time)], self.loop.sources).outputs[0]

    # What a step computes.

    def compute(self, wave: _Wave) -> list[Variable]:
        if not wave.computed:
            wave.computed = [self.value(wave)] if wave.inner is None else self.cells(wave, wave.inner)
        return wave.computed

    def value(self, wave: _Wave) -> Variable:
        """The next value of a state, which elements outside of the table keep as it was; that of an output.

        The parts of a join are masked, not the whole, which XLA on CPU would compute an element at a time.
        """
        (v,) = wave.values
        if self.solving or not isinstance(wave.slot, RecurrenceSlot):
            return self.at(v, wave.delay, own=True)
        if v.owner is None or not v.owner.op.named("join"):
            return ops.switch(self.inside(wave.delay, v), self.at(v, wave.delay, own=True), wave.tap(-1))
        parts, start = [], 0
        for part in v.owner.inputs:
            past = static_read(wave.tap(-1), slice(start, start + part.type.sizes[0]))
            delay = wave.delay + start
            parts.append(ops.switch(self.inside(delay, part), self.at(part, delay), past))
            start += part.type.sizes[0]
        return _joined(parts)

    def inside(self, delay: int, like: Variable) -> Variable:
        """True for the elements of a wave that belong to a row."""
        place = np.arange(like.type.sizes[0]) if like.ndim else 0
        row = self.once(("row", delay, like.type.shape[:1]), lambda: ops.sub(self.time, _int32(delay + place)))
        return ops.logical_and(ops.ge(row, _int32(0)), ops.lt(row, _int32(self.rows)))

    def cells(self, wave: _Wave, inner: ScanBuilder) -> list[Variable]:
        """All cells of an anti-diagonal: the inner loop, to which left neighbours are a sequence like all others."""
        size, delay = wave.size, wave.delay
        sequences: list[SequenceSlot] = []

        def add(name: str | None, x: Variable, row: Variable, first: Variable) -> None:
            x = x if self.solving else self.guarded(x, first, delay, inner)
            sequences.append(SequenceSlot(SequenceInput((0,), name or ""), x, [row]))

        for one in inner.sequences:
            for row, tap in zip(one.rows, one.spec.taps, strict=True):
                start = tap - one.spec.low
                x = static_read(self.at(one.outer, delay - start), slice(start, start + size))
                add(one.spec.name, x, row, static_read(one.outer, start))
        for state in inner.recurrences:
            add(state.spec.name, self.left(wave, self.lefts[state]), state.pasts[0], state.before_first())
        captures = []
        for given in inner.non_sequences:
            if given.outer in self.varying:
                add(given.inner.name, self.spread(given.outer, delay, size), given.inner, given.outer)
            else:
                captures.append(Capture(self.at(given.outer, delay), given.inner))
        if self.solving:
            return wave.values
        maps = [MapSlot(MapOutput(name=one.spec.name), one.value) for one in inner.outputs]
        made = ScanBuilder(inner.op, inner.sources, [], sequences, [], maps, [], [], captures, [])
        return list(made.build().outputs)

    def left(self, wave: _Wave, row: _Wave) -> Variable:
        """The left neighbours of cells: all but the last of ``[first, *cells]``."""
        if self.solving:
            self.demands.append((wave, row, wave.delay - 1))
        return static_read(row.tap(row.delay - wave.delay), slice(0, wave.size))

    def guarded(self, x: Variable, first: Variable, delay: int, inner: ScanBuilder) -> Variable:
        """An input of cells; under a derivative, those outside of the table have the first cell's, so that theirs are
        finite where it is (the double-where trick, for loops)."""
        if not self.context.differentiated or all(one.op.has("finite_derivative") for one in inner.body.applies):
            return x
        rows = {state.pasts[0]: state.before_first() for state in self.loop.recurrences}
        for one in self.loop.sequences:
            for row, tap in zip(one.rows, one.spec.taps, strict=True):
                rows[row] = static_read(one.outer, tap - one.spec.low)
        safe = ops.zero_grad(self.captured(self.loop.outside([first], rows)[0]))
        inside = ops.dimshuffle(self.inside(delay, x), 0, *["x"] * (x.ndim - 1))
        return ops.switch(inside, x, safe)

    # The loop.

    def outputs(self, node: Apply) -> list[Variable]:
        """Build the loop and return what replaces the outputs of ``node``."""
        for wave in self.waves:
            self.compute(wave)
        numbered = [(wave, number) for wave in self.waves for number in sorted({number for number, _ in wave.taps})]
        recurrences = [self.recurrence(wave, number) for wave, number in numbered]
        maps, accumulators = [], []
        for wave in self.waves:
            if isinstance(wave.slot, MapSlot):
                spec = replace(wave.slot.spec, saved=NOTHING if wave.slot.spec.saved == NOTHING else SAVE_ALL)
                maps.append(MapSlot(spec, wave.computed[0], wave.slot.stack))
            for one in self.loop.accumulators:
                if one.of is wave.slot:
                    maps.append(self.reduced(wave, one))
                    accumulators.append(AccumulatorSlot(one.spec, maps[-1], one.total))
        op = replace(self.loop.op, n_steps=self.steps)
        slots: tuple[Any, ...] = (self.sequences, recurrences, maps, [], [], self.captures, accumulators)
        made = ScanBuilder(op, self.loop.sources, [], *slots)
        made.notes.append(f"wavefront: {self.rows} rows run as {self.steps} anti-diagonals")
        found = made.replacements(made.build())
        for wave in self.waves:
            if wave.slot is not None and wave.slot.stack is not None and wave.slot.spec.saved != NOTHING:
                found[wave.slot.stack] = self.unskewed(wave, wave.slot, found[wave.slot.stack])
        return [found[old] for old in node.outputs]

    def recurrence(self, wave: _Wave, number: int) -> RecurrenceSlot:
        """A state of the skewed loop: before its first step it has its initial value for as long as that is read."""
        taps = tuple(sorted((tap for of, tap in wave.taps if of == number), reverse=True))
        value, pasts = wave.computed[number], [wave.tap(tap, number) for tap in taps]
        if isinstance(wave.slot, RecurrenceSlot):
            first = _joined([ops.dimshuffle(wave.slot.before_first(), "x", *range(value.ndim))] * -taps[-1])
            spec = replace(wave.slot.spec, taps=taps, windowed=True)
            return RecurrenceSlot(spec, first, pasts, value, wave.slot.stack)
        zeros = Constant(np.zeros((-taps[-1], *value.type.sizes), value.dtype))
        return RecurrenceSlot(Recurrence(taps, NOTHING, wave.values[number].name or ""), zeros, pasts, value)

    def reduced(self, wave: _Wave, one: AccumulatorSlot) -> MapSlot:
        """An output for an accumulator to read, which has the identity outside of the table."""
        if one.spec.monoid is None or one.spec.kind.startswith("arg"):
            raise _NotSkewed
        (value,) = wave.computed
        identity = Constant(np.asarray(element(one.spec.monoid.identity, value.dtype), value.dtype))
        masked = ops.switch(self.inside(wave.delay, value), value, identity)
        return MapSlot(MapOutput(NOTHING, one.of.spec.name), masked)

    def unskewed(self, wave: _Wave, slot: RecurrenceSlot | MapSlot, stack: Variable) -> Variable:
        """The saved rows of an output, from the stack of its wave."""
        if isinstance(slot, RecurrenceSlot) and slot.spec.saved == LAST:
            return stack
        start = wave.delay - self.first
        if stack.ndim > 1:
            rows = self.sheared(stack, 1, start, self.rows)
        else:
            rows = static_read(stack, slice(start, start + self.rows))
        return rows if slot.spec.saved.all else static_read(rows, slice(-1, None))


def _joined(parts: Sequence[Variable]) -> Variable:
    return apply(table_op("join", axis=0), *parts)[0]


def _int32(value: Any) -> Constant:
    return Constant(np.array(value, "int32"))
