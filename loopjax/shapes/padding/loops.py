"""Loops over axes with room to spare, and loops whose trip count is a value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.index import Array, index_op
from loopjax.ir.op import TableOp
from loopjax.ir.scan import SAVE_ALL, BodyInputs, MapOutput, Parts, Recurrence, Scan, SequenceInput, StepResult
from loopjax.ir.types import TensorType
from loopjax.shapes.padding.rules import iota, taken
from loopjax.shapes.padding.scope import Axes, Axis, PaddingScope
from loopjax.shapes.preconditions import LENGTH, OTHER

Walk = Callable[[PaddingScope, Graph, Sequence[Variable]], list[Variable]]
"""Rewrites a region's nodes, given what stands for its inputs; what stands for its outputs."""


class _Loop(NamedTuple):
    """A loop on its way: its op, its inputs by role, and the trip count with the room for it, where that is a value."""

    op: Scan
    parts: Parts
    steps: Axis | None


def padded_scan(level: PaddingScope, node: Apply, op: Scan, inputs: Sequence[Variable], walk: Walk) -> list[Variable]:
    """What stands for a loop's outputs on these inputs of the new graph."""
    loop = _with_steps(level, op, op.inputs(inputs))
    exact: set[int] = set()
    while True:
        made = _attempt(level, node, loop, exact, walk)
        if isinstance(made, list):
            return made
        exact.add(made)


# The trip count.


def _with_steps(level: PaddingScope, op: Scan, parts: Parts) -> _Loop:
    """The loop with its trip count as a value, where it is one to make room for."""
    parts = parts._replace(
        initials=tuple(
            _window(level, op, one, value) if one.windowed else value
            for one, value in zip(op.recurrences, parts.initials, strict=True)
        )
    )
    free = op.n_steps is None and not op.dynamic and level.varies(parts.n_steps[0])
    if any(one.saved.every > 1 for one in op.outputs) or (level.differentiated and op.accumulators):
        return _fixed(level, op, parts)
    if level.differentiated and op.until and _stacks(op) and op.truncate_gradient >= 0:
        return _fixed(level, op, parts)
    if level.differentiated and op.until and not free and _stacks(op):
        fixed = _fixed(level, op, parts)
        most = level.scalar(op.n_steps) if op.n_steps is not None else level.integer(parts.n_steps[0])
        return fixed._replace(steps=Axis(most, most))
    if not free:
        return _fixed(level, op, parts)
    count = level.integer(parts.n_steps[0])
    room = _room(level, op, count, parts) if _check_steps(level, op, count, parts) else None
    if room is None:
        return _fixed(level, op, parts)
    if op.go_backwards:
        op, parts = _forwards(level, op, parts)
    return _Loop(op, parts, Axis(count, room))


def _window(level: PaddingScope, op: Scan, recurrence: Recurrence, initial: Variable) -> Variable:
    """An initial value cut to the rows that taps reach."""
    padded = level.axis(initial, 0)
    if padded is None:
        return initial
    message = f"{op.subject}: the initial value of {recurrence.name!r} has fewer rows than its taps reach"
    if not level.require(">=", padded.count, level.scalar(recurrence.depth), message):
        return level.exact(initial, [0])
    resized = level.resized(initial, 0, level.scalar(recurrence.depth))
    return level.note(resized, {axis: one for axis, one in level.of(initial).items() if axis > 0})


def _check_steps(level: PaddingScope, op: Scan, count: Variable, parts: Parts) -> bool:
    """Asks for checks that a trip count is not negative and that sequences are long enough; ``False`` where nobody
    could tell."""
    level.require(">=", count, level.scalar(0), f"{op.subject}: n_steps is negative")
    for spec, x in zip(op.sequences, parts.sequences, strict=True):
        rows = level.count(x, 0)
        message = (
            f"{op.subject}: sequence {spec.name!r} has rows for {OTHER} steps with taps {list(spec.taps)}, and "
            f"{LENGTH} are asked for"
        )
        most = level.calc("maximum", level.calc("sub", rows, spec.span), 0) if spec.span else rows
        if not _follows(level, count, rows, spec.span) and not level.claim("<=", count, most, message):
            return False
    return True


def _follows(level: PaddingScope, count: Variable, rows: Variable, span: int) -> bool:
    """Whether a trip count is seen to be no more than a length less ``span``: it is the least of this and others."""
    if level.parent is not None:
        outer = level.lifted(count, rows)
        if outer is not None:
            return _follows(level.parent, *outer, span)
    if count is rows:
        return span == 0
    node = count.owner
    if node is None or not isinstance(node.op, TableOp):
        return False
    first, *others = node.inputs
    second = others[0] if others else None
    number = int(second.data) if isinstance(second, Constant) and second.ndim == 0 else None
    if node.op.row == "minimum":
        return any(_follows(level, one, rows, span) for one in node.inputs)
    if node.op.row == "sub" and number is not None:
        return _follows(level, first, rows, 0) and number >= span
    return (node.op.row == "cast" or (node.op.row == "maximum" and number == 0)) and _follows(level, first, rows, span)


def _fixed(level: PaddingScope, op: Scan, parts: Parts) -> _Loop:
    """The loop with its own length; sequences are at theirs."""
    sequences = tuple(level.exact(x, [0]) for x in parts.sequences)
    if op.n_steps is None and not op.dynamic and level.varies(parts.n_steps[0]):
        level.need(parts.n_steps[0])
    return _Loop(op, parts._replace(sequences=sequences), None)


def _room(level: PaddingScope, op: Scan, count: Variable, parts: Parts) -> Variable | None:
    """How many steps there may be, of which ``count`` run: no more than sequences have rows for."""
    # As much as the sequences have, where they decide: another number would be one more program.
    pairs = list(zip(op.sequences, parts.sequences, strict=True))
    ragged = [(spec, x) for spec, x in pairs if level.axis(x, 0) is not None]
    decided = any(_follows(level, count, level.count(x, 0), spec.span) for spec, x in ragged)
    room = level.capacity(count) if not decided and (level.known(count) or not op.sequences) else None
    for spec, x in zip(op.sequences, parts.sequences, strict=True):
        rows = level.size(x, 0)
        if spec.span:
            rows = level.calc("maximum", level.calc("sub", rows, spec.span), 0)
        room = rows if room is None else level.calc("minimum", room, rows)
    return room


def _forwards(level: PaddingScope, op: Scan, parts: Parts) -> tuple[Scan, Parts]:
    """A loop that reads its sequences from their ends, as one that reads them reversed."""
    reverse = [_reversed(level, x) for x in parts.sequences]
    specs = tuple(replace(spec, taps=tuple(-tap for tap in spec.taps)) for spec in op.sequences)
    return replace(op, go_backwards=False, sequences=specs), parts._replace(sequences=tuple(reverse))


def _reversed(level: PaddingScope, x: Variable) -> Variable:
    known, size = level.of(x), level.size(x, 0)
    places = level.emit("sub", level.calc("sub", level.count(x, 0), 1), iota(level, size))
    return level.filled(taken(level, x, 0, places, size), known, [0])


# The body.


def _attempt(level: PaddingScope, node: Apply, loop: _Loop, exact: set[int], walk: Walk) -> list[Variable] | int:
    """The loop's outputs; or the number of a state whose room does not stay the same from step to step."""
    op, steps = loop.op, loop.steps
    first = len(op.recurrences)
    parts = loop.parts._replace(
        initials=tuple(level.exact(x) if i in exact else x for i, x in enumerate(loop.parts.initials)),
        states=tuple(level.exact(x) if i in exact else x for i, x in enumerate(loop.parts.states, first)),
    )
    inner = PaddingScope(level.lengths, level, level.differentiated)
    inner.sources = node.sources
    given = op.body_inputs([Variable(one.type, name=one.name) for one in op.body.inputs])
    inner.outer.update(zip(given.non_sequences, parts.non_sequences, strict=True))
    starts = _note_inputs(level, inner, op, given, parts)
    masks = level.differentiated and _runs_on(op)
    step = _Masked(level, inner, op, given, parts, steps) if masks and steps is not None else None
    read = given if step is None else step.safe(given)
    results = op.results(walk(inner, op.body, read.flat()))
    settled = _settle(inner, op, results, starts)
    if isinstance(settled, int):
        return settled
    results = settled
    stacked = _stacked_axes(inner, results)
    if step is not None:
        results = step.frozen(results)
    plan = _Specification(op, parts.n_steps) if steps is None else _specification(level, op, steps, step)
    body = _body(given, results, step, list(inner.entered.values()))
    fresh = Apply(
        replace(plan.op, body=body),
        [*plan.lengths, *parts.sequences, *plan.sequences, *parts.initials, *plan.initials, *parts.states]
        + [*parts.keys, *parts.non_sequences, *inner.entered],
        node.sources,
    )
    for old, new in zip(node.outputs, fresh.outputs, strict=False):
        new.name = old.name
    return _outputs(level, op, steps, step, fresh, stacked, parts.states)


def _stacks(op: Scan) -> bool:
    """Whether an output is read as a whole."""
    return any(one.saved.last is None for one in op.outputs)


def _runs_on(op: Scan) -> bool:
    """Whether a loop under a derivative runs as many steps as there is room for: one that stops by ``until`` and of
    which only last rows are read is a tree, whose cost is in proportion to the steps that run."""
    if op.until and not _stacks(op):
        return False
    return bool(op.recurrences or op.n_states or op.until) or op.truncate_gradient >= 0


def _note_inputs(level: PaddingScope, inner: PaddingScope, op: Scan, given: BodyInputs, parts: Parts) -> list[Axes]:
    """Says what is known of the body's inputs, and of its states what must be known again after a step."""
    for group, x in zip(given.slices, parts.sequences, strict=True):
        for one in group:
            inner.note(one, _rows_of(inner, level.of(x)))
    starts = []
    for recurrence, group, x in zip(op.recurrences, given.taps, parts.initials, strict=True):
        axes = _rows_of(inner, level.of(x)) if recurrence.windowed else _entered(inner, level.of(x))
        starts.append(axes)
        for one in group:
            inner.note(one, axes)
    outside = (*parts.states, *parts.non_sequences)
    for one, x in zip((*given.states, *given.non_sequences), outside, strict=True):
        inner.note(one, _entered(inner, level.of(x)))
    return [*starts, *(inner.of(one) for one in given.states)]


def _rows_of(inner: PaddingScope, axes: Axes) -> dict[int, Axis]:
    return {axis - 1: one for axis, one in _entered(inner, axes).items() if axis > 0}


def _entered(inner: PaddingScope, axes: Axes) -> dict[int, Axis]:
    return {axis: Axis(inner.enter(one.count), inner.enter(one.size)) for axis, one in axes.items()}


def _settle(inner: PaddingScope, op: Scan, results: StepResult, starts: Sequence[Axes]) -> StepResult | int:
    """What a step gives with the room that its states have; or the number of one that cannot have room."""
    values = [*results.recurrences, *results.states]
    for position, (value, axes) in enumerate(zip(values, starts, strict=True)):
        fitting = _like(inner, value, axes)
        if fitting is None:
            return position
        values[position] = fitting
    count = len(op.recurrences)
    return StepResult(
        tuple(values[:count]),
        tuple(_alike(inner, value) for value in results.maps),
        tuple(values[count:]),
        tuple(inner.exact(value) for value in results.until),
    )


def _like(inner: PaddingScope, value: Variable, axes: Axes) -> Variable | None:
    """A value with the room of the state that it is the next of; ``None`` where that cannot have room."""
    value = inner.exact(value, [axis for axis in inner.of(value) if axis not in axes])
    for axis, start in axes.items():
        known = inner.axis(value, axis)
        if known is None:
            return None
        message = f"{inner.op}: a state changes its size from step to step"
        if not inner.equal(known.count, start.count) and not inner.claim("==", known.count, start.count, message):
            return None
        if known.size is not start.size:
            value = inner.resized(value, axis, start.size)
            value = inner.filled(value, {**inner.of(value), axis: start}, [axis])
    return inner.note(value, axes)


def _alike(inner: PaddingScope, value: Variable) -> Variable:
    """A value of each step with the room that is the same for all steps: rows of other lengths do not stack."""
    return inner.exact(value, [axis for axis, one in inner.of(value).items() if None in map(inner.lift, one.scalars)])


def _stacked_axes(inner: PaddingScope, results: StepResult) -> list[dict[int, Axis]]:
    """The padded axes of each output besides the first, in terms of the graph around."""
    found = []
    for value in (*results.recurrences, *results.maps):
        axes = {}
        for axis, one in inner.of(value).items():
            count, size = inner.lift(one.count), inner.lift(one.size)
            if count is not None and size is not None:
                axes[axis + 1] = Axis(count, size)
        found.append(axes)
    return found


class _Masked:
    """Steps past the trip count of a loop that is differentiated: each repeats step 0, and nothing comes of it.

    Such a loop has a static length, its room, so that every plan for gradients serves it. What a step past the count
    reads is what step 0 read, so that nothing it computes, and no derivative of it, is less valid.
    """

    def __init__(
        self, level: PaddingScope, inner: PaddingScope, op: Scan, given: BodyInputs, parts: Parts, steps: Axis
    ) -> None:
        self.inner, self.op, self.parts = inner, op, parts
        self.given = given
        self.time = Variable(TensorType("int64"))
        self.stopped = Variable(TensorType("bool")) if op.until else None
        self.ran = Variable(TensorType("int64")) if op.until else None
        self.sequence = iota(level, steps.size)
        self.level = level
        self.count = inner.enter(steps.count)
        active = inner.emit("lt", self.time, self.count)
        if self.stopped is not None:
            active = inner.emit("and_", active, inner.emit("invert", self.stopped))
        self.active = active

    def safe(self, given: BodyInputs) -> BodyInputs:
        """What a step reads, and past the count what step 0 did."""
        taps = []
        for one, group, x in zip(self.op.recurrences, given.taps, self.parts.initials, strict=True):
            first = [self._first(one, tap, x) for tap in one.taps]
            past = [self._truncated(value, tap) for value, tap in zip(group, one.taps, strict=True)]
            taps.append(tuple(self._choose(a, b) for a, b in zip(past, first, strict=True)))
        starts = [self._same(x) for x in self.parts.states]
        past = [self._truncated(value, -1) for value in given.states]
        states = [self._choose(a, b) for a, b in zip(past, starts, strict=True)]
        return given._replace(taps=tuple(taps), states=tuple(states))

    def _first(self, recurrence: Recurrence, tap: int, initial: Variable) -> Variable:
        """What step 0 reads at a tap, as an input of the body."""
        if not recurrence.windowed:
            return self._same(initial)
        row = self.level.apply(index_op([recurrence.depth + tap], initial.ndim), initial)[0]
        rest = {axis - 1: one for axis, one in self.level.of(initial).items()}
        return self._same(self.level.note(row, rest))

    def _same(self, outer: Variable) -> Variable:
        """A variable of the graph around as an input of the body that stays the same."""
        entered = self.inner.entered.get(outer)
        if entered is None:
            if isinstance(outer, Constant):
                return self.inner.scalar(0) if outer.ndim == 0 and outer.dtype == "int64" and not outer.data else outer
            entered = Variable(outer.type, name=outer.name)
            self.inner.entered[outer] = entered
            self.inner.outer[entered] = outer
            self.inner.note(entered, _entered(self.inner, self.level.of(outer)))
        return entered

    @property
    def _first_kept(self) -> Variable:
        """The first step that a gradient reaches."""
        return self.inner.calc("sub", self.count, self.op.truncate_gradient)

    def _truncated(self, value: Variable, tap: int) -> Variable:
        """What a step reads at a tap: no gradient flows to initial values where steps are truncated."""
        if self.op.truncate_gradient < 0 or not value.type.is_float:
            return value
        initial = self.inner.emit("lt", self.inner.calc("add", self.time, tap), self.inner.scalar(0))
        some = self.inner.emit("gt", self._first_kept, self.inner.scalar(0))
        return self._cut(self.inner.emit("and_", initial, some), value)

    def _cut(self, where: Variable, value: Variable) -> Variable:
        stopped = self.inner.emit("zero_grad", value)
        return self.inner.note(self.inner.emit("switch", where, stopped, value), self.inner.of(value))

    def _choose(self, now: Variable, otherwise: Variable) -> Variable:
        if otherwise.type.is_float:
            otherwise = self.inner.emit("zero_grad", otherwise)
        return self.inner.note(self.inner.emit("switch", self.active, now, otherwise), self.inner.of(now))

    def frozen(self, results: StepResult) -> StepResult:
        """What a step gives; past the count states stay as they were. No gradient reaches truncated steps."""
        values = [*results.recurrences, *results.maps, *results.states]
        if self.op.truncate_gradient >= 0:
            early = self.inner.emit("lt", self.time, self._first_kept)
            values = [self._cut(early, value) if value.type.is_float else value for value in values]
        count = len(self.op.recurrences)
        recurrences = list(values[:count])
        for position, (one, group) in enumerate(zip(self.op.recurrences, self.given.taps, strict=True)):
            if one.taps == (-1,):
                recurrences[position] = self.inner.emit("switch", self.active, recurrences[position], group[0])
        states = tuple(
            self.inner.emit("switch", self.active, new, old)
            for new, old in zip(values[len(self.op.outputs) :], self.given.states, strict=True)
        )
        until: tuple[Variable, ...] = ()
        if self.stopped is not None and self.ran is not None:
            stops = self.inner.emit("and_", self.active, results.until[0])
            number = self.inner.emit("cast", self.active, dtype="int64")
            until = (self.inner.emit("or_", self.stopped, stops), self.inner.emit("add", self.ran, number))
        return StepResult(tuple(recurrences), tuple(values[count : len(self.op.outputs)]), states, until)

    @property
    def added(self) -> tuple[Variable, ...]:
        """The states that are added to the loop: whether it stopped, and how many steps ran."""
        return (self.stopped, self.ran) if self.stopped is not None and self.ran is not None else ()


class _Specification(NamedTuple):
    """The op of the new loop without its body, and the inputs that it has besides those of the old one."""

    op: Scan
    lengths: tuple[Variable, ...]
    sequences: tuple[Variable, ...] = ()
    initials: tuple[Variable, ...] = ()


def _specification(level: PaddingScope, op: Scan, steps: Axis, step: _Masked | None) -> _Specification:
    room = steps.size
    static = int(room.data) if isinstance(room, Constant) else None
    rooms = () if isinstance(room, Constant) else (room,)
    keeps = [_kept(one) for one in op.outputs]
    count = len(op.recurrences)
    if step is None and _is_map(op):
        maps = tuple(one for one in keeps if isinstance(one, MapOutput))
        return _Specification(replace(op, n_steps=static, maps=maps), rooms)
    if step is None:
        dynamic = replace(op, n_steps=static, dynamic=True, bounded=True)
        return _Specification(dynamic, (steps.count, *rooms))
    added = tuple(Recurrence((-1,), name=name, windowed=False) for name in ("stopped", "ran")[: len(step.added)])
    starts = (level.emit("lt", level.scalar(0), level.scalar(0)), level.scalar(0))[: len(step.added)]
    recurrences = [one for one in keeps[:count] if isinstance(one, Recurrence)]
    made = replace(
        op,
        n_steps=static,
        until=False,
        truncate_gradient=-1,
        sequences=(*op.sequences, SequenceInput((0,), "step")),
        recurrences=(*recurrences, *added),
        maps=tuple(one for one in keeps[count:] if isinstance(one, MapOutput)),
    )
    return _Specification(made, rooms, (step.sequence,), starts)


def _is_map(op: Scan) -> bool:
    """Whether no step needs another, so that as many as there is room for may run at once."""
    return not (op.recurrences or op.n_states or op.until or op.accumulators)


def _kept(output: Recurrence | MapOutput) -> Recurrence | MapOutput:
    """Which steps a loop with steps past its count keeps: the last of a state that stays as it was, else all."""
    if output.saved.last is None or output.saved.last == 0 or (output.saved.last == 1 and output.taps == (-1,)):
        return output
    return replace(output, saved=SAVE_ALL)


def _body(given: BodyInputs, results: StepResult, step: _Masked | None, entered: Sequence[Variable]) -> Graph:
    if step is not None:
        given = given._replace(
            slices=(*given.slices, (step.time,)), taps=(*given.taps, *((one,) for one in step.added))
        )
        results = results._replace(recurrences=(*results.recurrences, *results.until), until=())
    return Graph([*given.flat(), *entered], results.flat())


def _outputs(
    level: PaddingScope,
    op: Scan,
    steps: Axis | None,
    step: _Masked | None,
    fresh: Apply,
    stacked: Sequence[Axes],
    starts: Sequence[Variable],
) -> list[Variable]:
    """What stands for the old loop's outputs; ``starts`` are the shared variables' values before it."""
    made = list(fresh.outputs)
    n_recurrences, n_outputs = len(op.recurrences), len(op.outputs)
    count, size = steps.scalars if steps is not None else (None, None)
    ran: list[Variable] = []
    if step is not None and step.added:
        ran = [_last(level, made[n_recurrences + 1])]
        del made[n_recurrences : n_recurrences + 2]
    elif op.until:
        ran = [made[-1]]
    if ran:
        count = ran[0]
        size = _most(level, op, fresh) if size is None and not op.dynamic else size
    found: list[Variable] = []
    for output, stack, axes in zip(op.outputs, made, stacked, strict=False):
        whole = output.saved.last is None
        runs_on = step is not None or (steps is not None and _is_map(op))
        bare = not whole and (op.until or steps is None) and not _all_kept(output, runs_on)
        if count is None or size is None or bare:
            found.append(level.note(stack, axes))
        elif whole:
            found.append(_ragged(level, op, stack, {**axes, 0: Axis(count, size)}))
        elif op.until:
            found.append(level.note(_last_rows(level, stack, output.saved.last or 0, Axis(count, size)), axes))
        else:
            found.append(_at_the_end(level, output, stack, Axis(count, size), axes, _all_kept(output, runs_on)))
    states = made[n_outputs : n_outputs + op.n_states]
    for state, start in zip(states, starts, strict=True):
        level.note(state, level.of(start))
    accumulators = made[n_outputs + op.n_states : n_outputs + op.n_states + len(op.accumulators)]
    for fold, value in zip(op.accumulators, accumulators, strict=True):
        level.note(value, {axis - 1: one for axis, one in stacked[fold.output].items()})
    return [*found, *states, *accumulators, *ran]


def _ragged(level: PaddingScope, op: Scan, stack: Variable, axes: Axes) -> Variable:
    """A stack of which only the run knows how many rows count: cut at once where there is no room to be made."""
    if op.until and level.parent is None and not level.lengths.device:
        return level.cut(level.note(stack, axes))
    return level.filled(stack, axes, [0])


def _most(level: PaddingScope, op: Scan, fresh: Apply) -> Variable:
    """The most steps of a loop that stops by ``until``."""
    return level.scalar(op.n_steps) if op.n_steps is not None else level.integer(fresh.inputs[int(op.dynamic)])


def _last(level: PaddingScope, stack: Variable) -> Variable:
    return level.apply(index_op([-1]), stack)[0]


def _all_kept(output: Recurrence | MapOutput, runs_on: bool) -> bool:
    """Whether all rows of an output are kept though its last ones alone are read."""
    return runs_on and _kept(output) is not output


def _at_the_end(
    level: PaddingScope, output: Recurrence | MapOutput, stack: Variable, steps: Axis, axes: Axes, whole: bool
) -> Variable:
    """The last rows of an output, as many as there are, from the ``whole`` of it or from the last ones."""
    rows = output.saved.last or 0
    short = level.calc("minimum", steps.count, rows)
    known = {**axes, 0: Axis(short, level.scalar(rows))}
    if rows == 0 or (rows == 1 and not whole):
        return level.note(stack, known)
    end = steps.count if whole else level.scalar(rows)
    places = level.emit("add", iota(level, level.scalar(rows)), level.calc("sub", end, short))
    size = steps.size if whole else level.scalar(rows)
    return level.filled(taken(level, stack, 0, places, size), known, [0])


def _last_rows(level: PaddingScope, stack: Variable, rows: int, steps: Axis) -> Variable:
    """The last rows that count; out of bounds, and so NaN, where there are not so many."""
    numbers = level.emit("arange", lengths=(-rows, 0, 1), dtype="int64")
    places = level.emit("add", numbers, steps.count)
    inside = level.emit("switch", level.emit("ge", places, level.scalar(0)), places, steps.size)
    return level.apply(index_op([Array()], stack.ndim), stack, inside)[0]
