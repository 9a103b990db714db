"""Padding of loops: over padded sequences, or of a trip count that is a value.

The problem: one compiled loop is to serve every number of steps up to a capacity. The loop becomes one of two:

- without a recurrence, all steps up to the capacity run at once, and results past the length are not read;
- with one, a loop whose trip count is a run-time value (``Scan.dynamic``) runs exactly the steps asked for, and so does
  its gradient (``lower/loops/dynamic_scan.py``).

For example ``scan(lambda u, h: h + u, x, h0)`` with ``x`` padded to 16 rows becomes ``scan[steps=value, at most 16]``.

A loop that stops by ``until`` counts its steps: this number is the length of its outputs. A state whose shape does not
stay the same in padded form is made exact, and the loop is tried again.

Known limit: a loop that saves every n-th step runs its exact number of steps.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import chain
from typing import NamedTuple, TypeVar

from loopjax.errors import LengthError, coded, where
from loopjax.ir.dim import Bounds, Dim
from loopjax.ir.graph import Apply, Constant, Op, Variable
from loopjax.ir.index import Array, index_op
from loopjax.ir.scan import (
    SAVE_ALL,
    Accumulator,
    BodyInputs,
    MapOutput,
    Parts,
    Recurrence,
    SavedSteps,
    Scan,
    StepResult,
)
from loopjax.shapes.padding.rules import require_enough, require_rows, steps_of_rows
from loopjax.shapes.padding.scope import Axes, PaddedAxis, PaddingScope, Walk, unfilled
from loopjax.shapes.preconditions import LENGTH, OTHER, RuntimeAssertion

Output = TypeVar("Output", Recurrence, MapOutput)


class _Loop(NamedTuple):
    """A loop that is being padded: its op, its inputs by role, and its trip count where that is a value."""

    op: Scan
    parts: Parts
    steps: PaddedAxis | None


def padded_scan(scope: PaddingScope, node: Apply, op: Scan, inputs: Sequence[Variable], walk: Walk) -> list[Variable]:
    """Return what stands for a loop's outputs on these inputs of the new graph."""
    loop = _with_steps(scope, op, op.inputs(inputs))
    exact: set[int] = set()
    while True:
        made = _attempt(scope, node, loop, exact, walk)
        if isinstance(made, list):
            return made
        exact.add(made)


# The trip count.


def _with_steps(scope: PaddingScope, op: Scan, parts: Parts) -> _Loop:
    """Return the loop with its trip count as a value, where it needs a capacity."""
    pairs = zip(op.recurrences, parts.initials, strict=True)
    parts = parts._replace(initials=tuple(_window(scope, op, recurrence, x) for recurrence, x in pairs))
    loop = _Loop(op, parts, None)
    if any(output.saved.every > 1 for output in op.outputs):
        return _fixed(scope, loop)
    if op.dynamic and not op.bounded and scope.differentiated and scope.parent is not None:
        capacity = scope.capacity(parts.n_steps[0])
        if capacity is not None:
            parts = parts._replace(n_steps=(*parts.n_steps, *(() if _number(capacity) is not None else (capacity,))))
            return _fixed(scope, _Loop(replace(op, bounded=True, n_steps=_number(capacity)), parts, None))
    if op.n_steps is not None or op.dynamic or not scope.varies(parts.n_steps[0]):
        return _fixed(scope, loop)
    length = scope.integer(parts.n_steps[0])
    capacity = _capacity(scope, loop, length)
    if capacity is None:
        return _fixed(scope, loop)
    if op.go_backwards:
        op, parts = _forwards(scope, op, parts)
    return _Loop(op, parts, PaddedAxis(length, capacity))


def _window(scope: PaddingScope, op: Scan, recurrence: Recurrence, initial: Variable) -> Variable:
    """Return an initial value cut to the rows that taps reach."""
    padded = scope.axis(initial, 0)
    if padded is None or not recurrence.windowed:
        return initial
    message = f"{op.subject}: the initial value of {recurrence.name!r} has fewer rows than its taps reach"
    if not scope.add_precondition(">=", padded.length, recurrence.depth, message, "LJ110"):
        return scope.exact(initial, [0])
    resized = scope.with_capacity(initial, 0, scope.scalar(recurrence.depth))
    return scope.note(resized, scope.other_axes(initial, 0))


def _fixed(scope: PaddingScope, loop: _Loop) -> _Loop:
    """Return the loop with its exact number of steps and exact sequences."""
    op, parts = loop.op, loop.parts
    sequences = tuple(scope.exact(x, [0]) for x in parts.sequences)
    if op.n_steps is None and not op.dynamic and scope.varies(parts.n_steps[0]):
        scope.need(parts.n_steps[0])
    return _Loop(op, parts._replace(sequences=sequences), None)


def _capacity(scope: PaddingScope, loop: _Loop, length: Variable) -> Variable | None:
    """Return the most steps that the loop may run, no more than sequences have rows for.

    Have the trip count compared with 0 and with the sequences' lengths; ``None`` where that cannot be.
    """
    subject = loop.op.subject
    scope.require_size(length, f"{subject}: n_steps is negative")
    limits = []
    # Where padded sequences decide, their capacity does: another number would be one more program.
    decided = bool(loop.op.sequences) and not scope.is_known(length)
    for sequence, x in zip(loop.op.sequences, loop.parts.sequences, strict=True):
        span = sequence.span
        named = f"{subject}: sequence {sequence.name!r} with taps {list(sequence.taps)}"
        is_enough = require_rows(scope, length, named, scope.length(x, 0), span)
        decided = decided or (is_enough and scope.axis(x, 0) is not None)
        limits.append(steps_of_rows(scope, scope.rows(x, 0), span))
    capacity = None if decided else scope.capacity(length)
    limits[:0] = [] if capacity is None else [capacity]
    return scope.least(limits) if limits else None


def _forwards(scope: PaddingScope, op: Scan, parts: Parts) -> tuple[Scan, Parts]:
    """Turn a loop that reads its sequences from their ends into one that reads them reversed."""
    sequences = tuple(replace(sequence, taps=tuple(-tap for tap in sequence.taps)) for sequence in op.sequences)
    op = replace(op, go_backwards=False, sequences=sequences)
    return op, parts._replace(sequences=tuple(_reversed(scope, x) for x in parts.sequences))


def _reversed(scope: PaddingScope, x: Variable) -> Variable:
    rows = scope.rows(x, 0)
    positions = scope.emit("sub", scope.calc("sub", scope.length(x, 0), 1), scope.iota(rows))
    return scope.filled(scope.take(x, 0, positions, rows), scope.axes(x), [0])


# The body.


def _attempt(scope: PaddingScope, node: Apply, loop: _Loop, exact: set[int], walk: Walk) -> list[Variable] | int:
    """Return the loop's outputs, or the number of a state whose padded shape does not stay the same at every step."""
    op, parts, steps = loop
    parts = parts._replace(
        initials=tuple(scope.exact(x) if i in exact else x for i, x in enumerate(parts.initials)),
        states=tuple(scope.exact(x) if i in exact else x for i, x in enumerate(parts.states, len(op.recurrences))),
    )
    inner = PaddingScope(scope.context, scope, scope.differentiated)
    inner.sources = node.sources
    body_inputs = op.body_inputs([Variable(one.type, name=one.name) for one in op.body.inputs])
    starts = _note_inputs(scope, inner, op, body_inputs, parts)
    outputs = walk(inner, op.body, body_inputs.flat())
    results = _settled(inner, op.results(outputs), starts)
    if isinstance(results, int):
        return results
    values = (*results.recurrences, *results.maps)
    stacked = [{axis + 1: padded for axis, padded in inner.lifted_axes(inner.axes(one)).items()} for one in values]
    new_op, parts = (op, parts) if steps is None else _bounded(scope, op, parts, steps)
    new_op, results = _with_checks(new_op, results, [*inner.asserted])
    body = inner.region([*body_inputs.flat(), *inner.entered.values()], results.flat())
    fresh = Apply(replace(new_op, body=body), [*chain(*parts), *inner.entered], node.sources)
    _publish_checks(scope, fresh, loop, inner.asserted.values())
    for old, new in zip(node.outputs, fresh.outputs, strict=False):
        new.name = old.name
    return _outputs(scope, loop._replace(parts=parts), fresh, stacked)


def _with_checks(op: Scan, results: StepResult, checks: Sequence[Variable]) -> tuple[Scan, StepResult]:
    """Add the conditions that hold at every step to a loop's outputs: stacked in a loop of independent steps, else
    accumulated in the carry."""
    in_carry = not (op.is_map and not op.until)
    first = len(op.outputs)
    accumulators = [Accumulator(first + place, "all", "bool") for place in range(len(checks) if in_carry else 0)]
    added = [MapOutput(SavedSteps(last=0) if in_carry else SAVE_ALL, "check")] * len(checks)
    op = replace(op, maps=(*op.maps, *added), accumulators=(*op.accumulators, *accumulators))
    return op, results._replace(maps=(*results.maps, *checks))


def _publish_checks(scope: PaddingScope, fresh: Apply, loop: _Loop, checks: Collection[RuntimeAssertion]) -> None:
    """Have the graph around a loop check what holds at every step, the last map outputs or accumulators."""
    op = fresh.op
    assert isinstance(op, Scan)
    results = op.results(fresh.outputs)
    if len(op.accumulators) > len(loop.op.accumulators):
        each = results.until[len(loop.op.accumulators) : len(op.accumulators)]
    else:
        stacks = results.maps[len(op.maps) - len(checks) :]
        axes = {} if loop.steps is None else {0: loop.steps}
        each = tuple(
            scope.emit(
                "all", scope.masked(scope.note(stack, axes), [0], "one"), axis=(0,), keepdims=False, dtype="bool"
            )
            for stack in stacks
        )
    for check, holds in zip(checks, each, strict=True):
        scope.assert_holds(holds, check.message, check.code)


def _note_inputs(
    scope: PaddingScope, inner: PaddingScope, op: Scan, body_inputs: BodyInputs, parts: Parts
) -> list[Axes]:
    """Record the padded axes of the body's inputs; return those that states must have again after a step."""

    def row_axes(x: Variable) -> Axes:
        return inner.entered_axes({axis - 1: padded for axis, padded in scope.axes(x).items() if axis > 0})

    inner.bind(dict(zip(body_inputs.non_sequences, parts.non_sequences, strict=True)))
    _bound_steps(scope, inner, op, body_inputs, parts)
    rows = [(group, row_axes(x)) for group, x in zip(body_inputs.slices, parts.sequences, strict=True)]
    states = [
        (group, row_axes(x) if recurrence.windowed else inner.entered_axes(scope.axes(x)))
        for recurrence, group, x in zip(op.recurrences, body_inputs.taps, parts.initials, strict=True)
    ]
    shared = zip(body_inputs.states, parts.states, strict=True)
    states += [((state,), inner.entered_axes(scope.axes(x))) for state, x in shared]
    for group, axes in (*rows, *states):
        for one in group:
            inner.note(one, axes)
    return [axes for _, axes in states]


def _bound_steps(scope: PaddingScope, inner: PaddingScope, op: Scan, body_inputs: BodyInputs, parts: Parts) -> None:
    """Bound the integers that differ from step to step: rows of sequences, and states."""
    for group, x in zip(body_inputs.slices, parts.sequences, strict=True):
        if x.type.is_integer:
            inner.step_bounds.update(dict.fromkeys(group, scope.elements(x)))
    n_steps = Dim.of(parts.n_steps[0] if op.n_steps is None else op.n_steps)
    inner.assume_step(n_steps)
    before, after = op.body_inputs(op.body.inputs), op.results(op.body.outputs)
    pairs = zip(before.non_sequences, parts.non_sequences, strict=True)
    known = {inside: Bounds(Dim.of(x), Dim.of(x)) for inside, x in pairs if x.ndim == 0 and x.type.is_integer}
    for old, group in zip(before.slices, body_inputs.slices, strict=True):
        known.update((x, inner.step_bounds[new]) for x, new in zip(old, group, strict=True) if new in inner.step_bounds)
    states = zip(
        (*before.taps, *((one,) for one in before.states)),
        (*after.recurrences, *after.states),
        (*body_inputs.taps, *((one,) for one in body_inputs.states)),
        (*parts.initials, *parts.states),
        strict=True,
    )
    for old, new, group, initial in states:
        if len(old) == 1 and old[0].ndim == initial.ndim == 0 and initial.type.is_integer:
            inner.bound_state(group[0], old[0], new, Dim.of(initial), n_steps, known)


def _settled(inner: PaddingScope, results: StepResult, starts: Sequence[Axes]) -> StepResult | int:
    """Return the results of a step with the axes of its states, or the number of a state that does not have them."""
    values: list[Variable] = []
    for position, (value, axes) in enumerate(zip((*results.recurrences, *results.states), starts, strict=True)):
        fitting = _like_state(inner, value, axes)
        if fitting is None:
            return position
        values.append(fitting)
    count = len(results.recurrences)
    return StepResult(
        tuple(values[:count]),
        tuple(_stackable(inner, value) for value in results.maps),
        tuple(values[count:]),
        tuple(inner.exact(value) for value in results.until),
    )


def _like_state(inner: PaddingScope, value: Variable, axes: Axes) -> Variable | None:
    """Return the next value of a state with the state's padded axes; ``None`` where it does not have them."""
    value = inner.exact(value, inner.axes(value).keys() - axes.keys())
    for axis, start in axes.items():
        padded = inner.axis(value, axis)
        message = "a state changes its size from step to step"
        if padded is None or not inner.require_equal(padded.length, start.length, message, "LJ106"):
            return None
        if padded.capacity is not start.capacity:
            value = inner.with_capacity(value, axis, start.capacity)
            value = inner.filled(value, {**inner.axes(value), axis: start}, [axis])
    return inner.note(value, axes)


def _stackable(inner: PaddingScope, value: Variable) -> Variable:
    """Return a value of each step with only the axes padded that are the same at all steps; others do not stack."""
    assert inner.parent is not None
    for axis, padded in inner.axes(value).items():
        if inner.lift(padded.length) is not None or inner.window_in(padded.length) is not None:
            continue
        same = inner.invariant_length(padded.length)
        if same is None and inner.lift(padded.length, by=Op) is None:
            raise coded(LengthError, "LJ702")(
                f"{inner.parent.op}: a step returns a value whose size differs from step to step, and such values have "
                f"no stack; reduce it, or write it into a part of zeros, set_subtensor(zeros(n)[:k], "
                f"value){where(inner.parent.sources)}"
            )
        if same is not None:
            inner.note(value, {**inner.axes(value), axis: padded._replace(length=inner.enter(same))})
    return inner.exact(value, [axis for axis, one in inner.axes(value).items() if None in map(inner.lift, one)])


def _number(capacity: Variable) -> int | None:
    return int(capacity.data) if isinstance(capacity, Constant) else None


def _bounded(scope: PaddingScope, op: Scan, parts: Parts, steps: PaddedAxis) -> tuple[Scan, Parts]:
    """Return a loop over all steps at once, or with its trip count as a run-time value.

    The latter reads no row past it, so that sequences need not be filled but for a derivative.
    """
    n_steps = _number(steps.capacity)
    capacity = () if n_steps is not None else (steps.capacity,)
    if op.is_map and not op.until and not (scope.differentiated and op.truncate_gradient >= 0):
        return replace(op, n_steps=n_steps, maps=tuple(map(_saved, op.maps))), parts._replace(n_steps=capacity)
    op = replace(op, n_steps=n_steps, dynamic=True, bounded=True)
    if not scope.differentiated:
        rows = [{0: padded} if (padded := scope.axis(x, 0)) else {} for x in parts.sequences]
        parts = parts._replace(sequences=tuple(map(unfilled, parts.sequences, rows)))
    return op, parts._replace(n_steps=(steps.length, *capacity))


def _saved(output: Output) -> Output:
    """Return an output of a loop with steps past its length: the last of a state that stays as it was, else all."""
    last = output.saved.last
    return output if last in (None, 0) or (last == 1 and output.taps == (-1,)) else replace(output, saved=SAVE_ALL)


# The outputs.


def _outputs(scope: PaddingScope, loop: _Loop, fresh: Apply, stacked: Sequence[Axes]) -> list[Variable]:
    """Return what stands for the loop's outputs; ``stacked`` are their padded axes apart from that of steps."""
    op, new = loop.op, fresh.op
    assert isinstance(new, Scan)
    count = len(op.recurrences)
    results = new.results(fresh.outputs)
    length, capacity = loop.steps or (None, None)
    ran: list[Variable] = []
    if op.until:
        length = results.until[-1]
        ran = [length]
        if capacity is None and not op.dynamic:
            capacity = scope.integer(fresh.inputs[0] if op.n_steps is None else op.n_steps)
    _require_steps(scope, loop, length)
    found: list[Variable] = []
    saved: list[Recurrence | MapOutput] = [*new.recurrences[:count], *new.maps[: len(op.maps)]]
    stacks = (*results.recurrences[:count], *results.maps[: len(op.maps)])
    for output, now, stack, axes in zip(op.outputs, saved, stacks, stacked, strict=True):
        last, is_same = output.saved.last, now.saved == output.saved
        is_exact = last is not None and is_same and (op.until or loop.steps is None)
        if length is None or capacity is None or is_exact:
            found.append(scope.note(stack, axes))
        elif last is None:
            found.append(_stack(scope, op, stack, {**axes, 0: PaddedAxis(length, capacity)}))
        elif op.until:
            found.append(scope.note(_last_rows(scope, stack, last, PaddedAxis(length, capacity)), axes))
        else:
            found.append(_valid_last_rows(scope, stack, last, PaddedAxis(length, capacity), axes, is_same))
    for state, start in zip(results.states, loop.parts.states, strict=True):
        scope.note(state, scope.axes(start))
    accumulators = results.until[: len(op.accumulators)]
    totals: list[Variable] = []
    for fold, value in zip(op.accumulators, accumulators, strict=True):
        totals.append(scope.note(value, {axis - 1: one for axis, one in stacked[fold.output].items()}))
    return [*found, *results.states, *totals, *ran]


def _require_steps(scope: PaddingScope, loop: _Loop, ran: Variable | None) -> None:
    """Have it checked that as many steps run as what is read needs, where the number of steps that ``ran`` is a
    value."""
    op = loop.op
    if ran is None and op.dynamic:
        ran = scope.integer(loop.parts.n_steps[0])
    # The readers of other last rows know how many there are, and the host checks what it knows.
    if ran is None or (scope.parent is None and scope.is_known(ran)):
        return
    needs = [fold.step + 1 for fold in op.accumulators if fold.some or fold.kind == "at"]
    needs += [output.saved.last or 0 for output in op.outputs if op.until or op.dynamic]
    least = max(needs, default=0)
    if least > (1 if op.until and op.n_steps and not op.dynamic else 0):
        require_enough(scope, ran, least, f"{op.subject} ran {LENGTH} steps; what is read needs {OTHER}")


def _stack(scope: PaddingScope, op: Scan, stack: Variable, axes: Axes) -> Variable:
    """Return a stack whose length only a run decides: cut at once where such lengths are not padded."""
    if op.until and scope.parent is None and not scope.context.device:
        return scope.cut(scope.note(stack, axes))
    return scope.filled(stack, axes, [0])


def _valid_last_rows(
    scope: PaddingScope, stack: Variable, last: int, steps: PaddedAxis, axes: Axes, is_same: bool
) -> Variable:
    """Return the ``last`` valid rows of a stack of all rows or (``is_same``) of the last ones, as many as there are."""
    short = scope.calc("minimum", steps.length, last)
    axes = {**axes, 0: PaddedAxis(short, scope.scalar(last))}
    if last == 0 or (last == 1 and is_same):
        return scope.note(stack, axes)
    end, rows = (scope.scalar(last), scope.scalar(last)) if is_same else steps
    positions = scope.emit("add", scope.iota(last), scope.calc("sub", end, short))
    return scope.filled(scope.take(stack, 0, positions, rows), axes, [0])


def _last_rows(scope: PaddingScope, stack: Variable, last: int, steps: PaddedAxis) -> Variable:
    """Return the ``last`` valid rows; out of bounds, and so NaN, where there are fewer."""
    positions = scope.emit("add", scope.iota(0, start=-last), steps.length)
    is_valid = scope.emit("ge", positions, 0)
    return scope.apply(
        index_op([Array()], stack.ndim), stack, scope.emit("switch", is_valid, positions, steps.capacity)
    )[0]
