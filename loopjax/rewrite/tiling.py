"""Loops over many elements that never meet run for a part of them after the other.

Each element's steps depend on that element alone, so the whole loop may run for some of them, then for the next. A part
whose values fit the innermost cache is never written out to a further one; and for a gradient, the states of one part
alone exist at a time (loop tiling, or strip-mining and interchange: M. Wolfe, Iteration space tiling for memory
hierarchies, 1987). Measured on two cores, jax 0.10.2, float64, times as fast as whole, parts of 1,000 values, as many
steps as make the whole a second or less:

| values | 2,000 | 4,000 | 8,000 | 20,000 | 100,000 | 1,000,000 |
|---|---|---|---|---|---|---|
| multiply and add | 1.1 | 1.4 | 1.6 | 1.5 | 1.8 | 2.1 |
| tanh and sin | 1.05 | 1.2 | 1.9 | 2.0 | 1.03 | 0.6 |
| their gradient | 1.07 | 1.1 | 1.7 | 1.9 | 1.4 | 0.9 |

Of many values XLA on CPU gives each core a share of every step, which parts are too small for: with more cores than two
that pays sooner. Where it goes by the work of a step and not by its bytes, to share one costs more than it saves at
first. Runge and Kutta's fourth order, two states as one, shared from 540 and 960 values on, times as fast as whole:

| values | 1,000 | 2,000 | 4,000 | 20,000 |
|---|---|---|---|---|
| float64, parts of 500 values | 2.6 | 1.7 | 1.0 | 0.5 |
| float32, the same | 3.5 | 1.7 | 1.5 | 0.7 |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from loopjax.ir.graph import Apply, Constant, Graph, Variable, toposort
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import MapOutput, Scan, SequenceInput
from loopjax.ir.schedule import Body, PolicySchedule, Schedule
from loopjax.rewrite.cost_model import Kernel, bytes_of, kernel
from loopjax.rewrite.driver import Context, Pass
from loopjax.rewrite.remat import STATES_ALONE
from loopjax.rewrite.scan_builder import Capture, MapSlot, ScanBuilder, SequenceSlot, scan_builder

LEAST_BYTES, MOST_BYTES = 2**15, 2**19
"""A state from which on parts pay, and up to which one core computes a step whatever their number."""

MOST_COST = 2**20
"""The work of a step up to which parts beat its share for each of two cores."""

PART_BYTES, LEAST_PART = 2**13, 2**11
"""A state of a part, and of the least that is worth a loop of its own."""

SPARE = 6
"""States of the whole, at most, that arrays and cotangents take which are cut or joined."""

LEAST_STEPS = 16
"""Steps from which on it pays to cut the arrays and to put them together again."""


@dataclass(frozen=True)
class Tile(Pass):
    """A loop whose body is elementwise, of whose states little is read, becomes one over parts of its elements, which
    runs the steps of each. The gradient of a part is taken of that part alone, from where it begins: what the user
    asked to be stored (``checkpoint``) is stored of a part, unless all of its states are no more than that."""

    def rewrite_scan(
        self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context
    ) -> Sequence[Variable] | None:
        if not self.target.on_cpu or context.in_loop:
            return None
        part = _part(op, context.differentiated)
        return None if part is None else _tiled(node, inputs, part)


class _Part(NamedTuple):
    """How many elements a part has, and what of its states is stored for its gradient."""

    width: int
    checkpoint: Schedule | None


def _part(op: Scan, differentiated: bool) -> _Part | None:
    """The part that a loop is cut into; ``None`` where it is not to be cut, or cannot be."""
    shape = _common_shape(op)
    if shape is None or op.n_steps is None or op.n_steps < LEAST_STEPS:
        return None
    size, asked = math.prod(shape), op.checkpoint
    element = sum(np.dtype(value.dtype).itemsize for value in op.body.outputs)
    most = PART_BYTES // element
    work = max((_kernel(op, value) for value in op.body.outputs), key=lambda one: one.cost)
    if work.is_compute_bound and not differentiated:
        if size <= work.single_thread_elements or work.cost * size > MOST_COST:
            return None
        most = min(most, work.single_thread_elements)
    elif not LEAST_BYTES <= size * element <= MOST_BYTES:
        return None
    if asked is None or isinstance(asked, PolicySchedule):
        return _Part(_equal(size, most), asked)
    try:
        states = asked.nest(op.n_steps, Body(size * element)).states
    except ValueError:
        return None  # which the plan says better
    # All states of a part are no more than those asked for of the whole, less what cutting and joining take.
    fitting = max(states - SPARE, 0) * size // op.n_steps
    width = _equal(size, min(most, fitting) if fitting * element >= LEAST_PART else most)
    return _Part(width, None if op.n_steps * width < states * size else asked)


def _kernel(op: Scan, value: Variable) -> Kernel:
    """What computes one of the results of a step."""
    nodes = toposort([value], stop=op.body.inputs)
    read = {variable for node in nodes for variable in node.inputs}.intersection(op.body.inputs)
    touched = bytes_of([*(one for one in read if one.ndim), value]) // math.prod(value.type.sizes)
    return kernel(nodes, touched, np.dtype(value.dtype).itemsize)


def _equal(size: int, most: int) -> int:
    """At most so many elements; a little fewer where parts of equal size, which need no filling, are near."""
    parts = -(-size // max(most, 1))
    parts = next((count for count in range(parts, parts + parts // 4 + 1) if size % count == 0), parts)
    return -(-size // parts)


def _common_shape(op: Scan) -> tuple[int, ...] | None:
    """The shape of all that a step computes and that is no scalar, where no element of it meets another."""
    plain = not (op.n_states or op.n_keys or op.until or op.dynamic or op.progress or op.truncate_gradient >= 0)
    if not plain or not op.recurrences or any(one.taps != (-1,) or one.windowed for one in op.recurrences):
        return None
    if any(one.saved.last is None or one.saved.every > 1 or one.saved.steps is not None for one in op.outputs):
        return None
    shape = op.body.outputs[0].type.sizes
    if not math.prod(shape) > 1 or any(value.type.shape != shape for value in op.body.outputs):
        return None
    inside = [value for node in op.body.applies for value in (*node.inputs, *node.outputs)]
    if any(value.ndim and value.type.shape != shape for value in (*op.body.inputs, *inside)):
        return None
    rows = [row for group in op.body_inputs(op.body.inputs).slices for row in group]
    if any(row.ndim for row in rows) or any(isinstance(value, Constant) and value.ndim for value in inside):
        return None
    pointwise = all(one.op.has("pointwise") for one in op.body.applies)
    return shape if pointwise else None


class _Parts:
    """What the loop over parts reads, and what stands for it in its body."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.cut: list[SequenceSlot] = []
        self.whole: list[Capture] = []

    def part_of(self, outer: Variable) -> Variable:
        """What stands for an array that is cut."""
        parts = _cut(outer, self.width)
        row = Variable(parts.type.row(), name=outer.name)
        self.cut.append(SequenceSlot(SequenceInput((0,), outer.name or ""), parts, [row]))
        return row

    def as_it_is(self, outer: Variable) -> Variable:
        """What stands for anything else."""
        inner = Variable(outer.type, name=outer.name)
        self.whole.append(Capture(outer, inner))
        return inner


def _tiled(node: Apply, inputs: Sequence[Variable], part: _Part) -> list[Variable]:
    """What stands for the loop's outputs."""
    op, width = node.op, part.width
    assert isinstance(op, Scan)
    loop, parts = scan_builder(node, inputs), _Parts(width)
    size = math.prod(loop.recurrences[0].value.type.sizes)
    count = -(-size // width)
    _narrow(loop, parts)
    loop.op = replace(loop.op, checkpoint=part.checkpoint)
    loop.notes.append(f"tile: {count} parts of {width} of its {size} elements run one after the other")
    inner = loop.build()
    over = Scan(
        Graph([], []),
        n_steps=count,
        # A loop over parts is no map to be run all at once, and each part is computed again for its gradient.
        checkpoint=STATES_ALONE,
        is_sized=True,
        label=f"parts of {op.label}",
    )
    outer = ScanBuilder(over, node.sources, [], parts.cut, [], [], [], [], parts.whole, [])
    outer.maps = [MapSlot(MapOutput(name=one.name or "a result"), one) for one in inner.outputs]
    stacks = outer.build().outputs
    return [_joined(stack, old) for stack, old in zip(stacks, node.outputs, strict=True)]


def _narrow(loop: ScanBuilder, parts: _Parts) -> None:
    """Makes the loop one over a part of its elements, in the body of the loop over parts."""
    small: dict[Variable, Variable] = {}

    def narrowed(inside: Variable) -> Variable:
        small[inside] = Variable(inside.type.with_shape((parts.width,)), name=inside.name)
        return small[inside]

    for recurrence in loop.recurrences:
        recurrence.initial = parts.part_of(recurrence.initial)
        recurrence.pasts = [narrowed(past) for past in recurrence.pasts]
    for given in loop.non_sequences:
        if given.inner.ndim:
            given.outer, given.inner = parts.part_of(given.outer), narrowed(given.inner)
        else:
            given.outer = parts.as_it_is(given.outer)
    for sequence in loop.sequences:
        sequence.outer = parts.as_it_is(sequence.outer)
    loop.substitute(small)


def _cut(x: Variable, width: int) -> Variable:
    """The elements of an array in rows of ``width``, the last one filled up with its first elements: their gradient is
    nothing, but what it is computed from may be infinite, and nothing times that is no number."""
    flat = ops.reshape(x, (-1,))
    size = math.prod(x.type.sizes)
    lacking = -size % width
    if lacking:
        flat = ops.join(0, flat, ops.disconnected_grad(flat[:lacking]))
    return ops.reshape(flat, ((size + lacking) // width, width))


def _joined(stack: Variable, old: Variable) -> Variable:
    """What an output is in parts, as it is whole."""
    count, *rows, width = stack.type.sizes
    across = ops.transpose(stack, (*range(1, stack.ndim - 1), 0, stack.ndim - 1))
    flat = ops.reshape(across, (*rows, count * width))
    size = math.prod(old.type.sizes[len(rows) :])
    if size < count * width:
        flat = flat[(*[slice(None)] * len(rows), slice(size))]
    return ops.reshape(flat, old.type.sizes)
