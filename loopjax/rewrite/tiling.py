"""Strip-mining and interchange: a loop over many elements that never meet runs tile by tile.

Each element's steps depend on that element only, so the whole loop may run for some of them, then for the next (M.
Wolfe 1987, Iteration space tiling for memory hierarchies). The states of a tile stay in the innermost cache; and for a
gradient, the states of only one tile exist at a time. A loop of 20 steps over 10,000 elements, in tiles of 1,000::

    scan[steps=20](h)  ->  h' = reshape(h, (10, 1000))
                           scan[steps=10, sequence h'](scan[steps=20](row of h')), reshaped back

Measured on two cores, jax 0.10.2, float64, times as fast as whole, tiles of 1,000 values, as many steps as make the
whole a second or less:

| values | 2,000 | 4,000 | 8,000 | 20,000 | 100,000 | 1,000,000 |
|---|---|---|---|---|---|---|
| multiply and add | 1.1 | 1.4 | 1.6 | 1.5 | 1.8 | 2.1 |
| tanh and sin | 1.05 | 1.2 | 1.9 | 2.0 | 1.03 | 0.6 |
| their gradient, before it was weighed against storing | 1.07 | 1.1 | 1.7 | 1.9 | 1.4 | 0.9 |

XLA on CPU gives each core a share of every step of many values, which tiles are too small for: with more cores than two
that pays sooner. Where it decides by the work of a step and not by its bytes, to share one costs more than it saves at
first. Runge and Kutta's fourth order, two states as one, shared from 540 and 960 values on, times as fast as whole:

| values | 1,000 | 2,000 | 4,000 | 20,000 |
|---|---|---|---|---|
| float64, tiles of 500 values | 2.6 | 1.7 | 1.0 | 0.5 |
| float32, the same | 3.5 | 1.7 | 1.5 | 0.7 |

Limits: one shape for all states, elementwise ops only, no rows of arrays, no stacks, a known number of steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from loopjax.ir.graph import Apply, Constant, Graph, Variable, toposort
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import MapOutput, Scan, SequenceInput
from loopjax.ir.schedule import Body, PolicySchedule, Schedule
from loopjax.rewrite.cost_model import Kernel, bytes_of, kernel, storing_time
from loopjax.rewrite.driver import Context, Pass, Replacement
from loopjax.rewrite.remat import STATES_ALONE, step_time
from loopjax.rewrite.scan_builder import MapSlot, ScanBuilder, SequenceSlot, scan_builder

SPARE_STATES = 6
"""States of the whole, at most, taken by arrays and cotangents that are cut or joined."""


@dataclass(frozen=True)
class Tile(Pass):
    """Tiles loops on a CPU whose body is elementwise and of whose states little is read.

    The gradient of a tile is taken of that tile only, from its initial states on. A ``checkpoint`` that the user asked
    for applies to a tile, unless all states of a tile are no more than it stores of the whole.

    Attributes
    ----------
    least_bytes, most_bytes
        Bytes of a state from which tiles pay, and up to which one core computes a step whatever their number.
    most_cost
        The work of a step up to which tiles beat its share for each of two cores.
    tile_bytes, least_tile_bytes
        Bytes of a state of a tile, and of the least that is worth a loop of its own.
    least_steps
        Steps from which it pays to cut the arrays and to put them together again.
    least_stacked_bytes, most_element_bytes
        Bytes of the states of all steps from which the gradient of tiles pays, and of the states of an element up to
        which it does: each tile is computed again. With 4 and 5 MB of three to four states it takes 1.7 to 1.9 times as
        long, with 17 MB of eight states 1.5 times.
    most_recomputed, most_stored_bytes
        Time to compute a step again over that to store its states, up to which the gradient of tiles pays where the
        states of all steps have at most ``most_stored_bytes``; with more, tiles save that memory. Measured for
        20,000 values, times as fast as whole: 10 MB of states, multiply and add 1.2 to 1.5, a quotient 1.2, ``sqrt``
        1.1, ``tanh`` and ``exp`` 0.7, ``log1p``, ``logaddexp`` and ``sin`` 0.54 to 0.71; 48 MB, a quotient 3.2,
        ``sqrt`` 2.2, ``exp`` 2, ``tanh`` 1.8, ``log1p`` 0.86, ``logaddexp`` 0.96, ``sin`` 0.86.
    """

    least_bytes: int = 2**15
    most_bytes: int = 2**19
    most_cost: int = 2**20
    tile_bytes: int = 2**13
    least_tile_bytes: int = 2**11
    least_steps: int = 16
    least_stacked_bytes: int = 2**23
    most_element_bytes: int = 16
    most_recomputed: float = 0.8
    most_stored_bytes: int = 2**25

    def rewrite_scan(self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        if not self.target.on_cpu or context.in_loop:
            return None
        tiles = self._tiles(op, context.differentiated)
        return None if tiles is None else _tiled(node, op, inputs, *tiles)

    def _tiles(self, op: Scan, differentiated: bool) -> tuple[int, Schedule | None] | None:
        """Return the number of elements in a tile, and what of its states is stored for its gradient; ``None`` where a
        loop cannot be tiled, or should not."""
        shape = _common_shape(op)
        if shape is None or op.n_steps is None or op.n_steps < self.least_steps:
            return None
        size, asked = math.prod(shape), op.checkpoint
        element = sum(np.dtype(value.dtype).itemsize for value in op.body.outputs)
        most = self.tile_bytes // element
        work = max((_kernel(op, value) for value in op.body.outputs), key=lambda each: each.cost)
        if work.is_compute_bound and not differentiated:
            if size <= work.single_thread_elements or work.cost * size > self.most_cost:
                return None
            most = min(most, work.single_thread_elements)
        elif not self.least_bytes <= size * element <= self.most_bytes:
            return None
        recomputes_in_vain = (
            element > self.most_element_bytes or size * element * op.n_steps <= self.least_stacked_bytes
        )
        if differentiated and asked is None and (recomputes_in_vain or self._is_stored(op, size * element)):
            return None
        if asked is None or isinstance(asked, PolicySchedule):
            return _width(size, most), asked
        try:
            states = asked.nest(op.n_steps, Body(size * element)).states
        except ValueError:
            return None  # the plan reports it, with advice
        # All states of a tile must be no more than the states stored of the whole, less what cutting and joining take.
        fitting = max(states - SPARE_STATES, 0) * size // op.n_steps
        width = _width(size, min(most, fitting) if fitting * element >= self.least_tile_bytes else most)
        return width, None if op.n_steps * width < states * size else asked

    def _is_stored(self, op: Scan, state_bytes: int) -> bool:
        """Return whether the states of all steps are stored in less time than they are computed again, and memory for
        them is kept from call to call."""
        struct: Any = jax.ShapeDtypeStruct
        states = [struct(value.type.sizes, np.dtype(value.dtype)) for value in op.body.outputs]
        n_steps = op.n_steps or 0
        is_faster = step_time(op.body) > self.most_recomputed * storing_time(states, n_steps)
        return is_faster and state_bytes * n_steps <= self.most_stored_bytes


def _kernel(op: Scan, value: Variable) -> Kernel:
    """Return the kernel that computes one of the results of a step."""
    nodes = toposort([value], stop=op.body.inputs)
    read = {variable for node in nodes for variable in node.inputs}.intersection(op.body.inputs)
    touched = bytes_of([*(variable for variable in read if variable.ndim), value]) // math.prod(value.type.sizes)
    return kernel(nodes, touched, np.dtype(value.dtype).itemsize)


def _width(size: int, most: int) -> int:
    """Return at most this many elements; a little fewer where tiles of equal size, which need no filling, are near."""
    tiles = -(-size // max(most, 1))
    tiles = next((count for count in range(tiles, tiles + tiles // 4 + 1) if size % count == 0), tiles)
    return -(-size // tiles)


def _common_shape(op: Scan) -> tuple[int, ...] | None:
    """Return the shape of all values of a step but scalars, where no element meets another."""
    plain = not (op.n_states or op.n_keys or op.until or op.dynamic or op.progress or op.truncate_gradient >= 0)
    if not plain or not op.recurrences or any(one.taps != (-1,) or one.windowed for one in op.recurrences):
        return None
    if any(output.saved.last is None for output in op.outputs):
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
    return shape if all(node.op.has("pointwise") for node in op.body.applies) else None


def _tiled(node: Apply, op: Scan, inputs: Sequence[Variable], width: int, stored: Schedule | None) -> list[Variable]:
    """Return what replaces the loop's outputs."""
    inner = scan_builder(node, inputs)
    size = math.prod(inner.recurrences[0].value.type.sizes)
    count = -(-size // width)
    # A schedule keeps the loop over tiles from becoming a vmap; each tile is computed again for its gradient.
    over = Scan(Graph([], []), n_steps=count, checkpoint=STATES_ALONE, is_sized=True, label=f"parts of {op.label}")
    outer = ScanBuilder(over, node.sources, [], [], [], [], [], [], [], [])
    _narrow(inner, outer, width)
    inner.op = replace(op, checkpoint=stored)
    inner.notes.append(f"tiling: {count} tiles of {width} of its {size} elements run one after the other")
    outer.maps = [MapSlot(MapOutput(name=one.name or "a result"), one) for one in inner.build().outputs]
    stacks = outer.build().outputs
    return [_joined(stack, old) for stack, old in zip(stacks, node.outputs, strict=True)]


def _narrow(inner: ScanBuilder, outer: ScanBuilder, width: int) -> None:
    """Make ``inner`` a loop over one tile, in the body of ``outer``, the loop over tiles."""
    small: dict[Variable, Variable] = {}

    def tile_of(array: Variable) -> Variable:
        tiles = _cut(array, width)
        row = Variable(tiles.type.row(), name=array.name)
        outer.sequences.append(SequenceSlot(SequenceInput((0,), array.name or ""), tiles, [row]))
        return row

    def narrowed(value: Variable) -> Variable:
        small[value] = Variable(value.type.with_shape((width,)), name=value.name)
        return small[value]

    for recurrence in inner.recurrences:
        recurrence.initial = tile_of(recurrence.initial)
        recurrence.pasts = [narrowed(past) for past in recurrence.pasts]
    for given in inner.non_sequences:
        if given.inner.ndim:
            given.outer, given.inner = tile_of(given.outer), narrowed(given.inner)
        else:
            given.outer = outer.capture(given.outer)
    for sequence in inner.sequences:
        sequence.outer = outer.capture(sequence.outer)
    inner.substitute(small)


def _cut(x: Variable, width: int) -> Variable:
    """Return the elements of an array in rows of ``width``, the last one filled up with copies of its first elements.

    No gradient may flow to the copies: theirs is zero, but a factor on its way may be infinite, which gives NaN.
    """
    flat = ops.reshape(x, (-1,))
    size = math.prod(x.type.sizes)
    lacking = -size % width
    if lacking:
        flat = ops.join(0, flat, ops.disconnected_grad(flat[:lacking]))
    return ops.reshape(flat, ((size + lacking) // width, width))


def _joined(stack: Variable, old: Variable) -> Variable:
    """Return an output put together from its tiles."""
    count, *rows, width = stack.type.sizes
    across = ops.transpose(stack, (*range(1, stack.ndim - 1), 0, stack.ndim - 1))
    flat = ops.reshape(across, (*rows, count * width))
    size = math.prod(old.type.sizes[len(rows) :])
    if size < count * width:
        flat = flat[(*[slice(None)] * len(rows), slice(size))]
    return ops.reshape(flat, old.type.sizes)
