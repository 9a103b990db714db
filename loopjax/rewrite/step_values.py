"""Constant folding over steps: integers of a body that are known for every step of a loop.

The elements of a range, and what a step computes of them and of sizes, are known before the run. One that is the same
at every step becomes a constant, one that always equals another becomes that one, and a slice that moves on by its
width is a row of a sequence of blocks::

    scan(lambda i: f(x[i * b : minimum((i + 1) * b, x.shape[0])]), arange(n))
    ->
    scan(lambda block: f(block), x[: n * b].reshape(n, b))

So bounds of slices need not be clipped, nor their sizes compared or padded, where no step asks for it. Outside of
loops, integers that sizes tell become constants, and of a ``switch`` that they decide one operand is left. Limits:
scalars, in loops up to a number of steps; blocks along the first axis of an array that is the same at every step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from loopjax.ir.graph import Apply, Constant, Graph, Variable, copy_node
from loopjax.ir.index import static_read
from loopjax.ir.lengths import compute, evaluate, is_shape, on_host, shape_value
from loopjax.ir.op import table_op
from loopjax.ir.scan import Scan, SequenceInput
from loopjax.rewrite.driver import Pass, Replacement, region_inputs, replace_all
from loopjax.rewrite.scan_builder import ScanBuilder, SequenceSlot, scan_builder

Values = Mapping[Variable, Any]


class _Block(NamedTuple):
    """A window along the first axis of ``x`` that begins at ``start`` in the first step and then moves on by its
    size."""

    x: Variable
    start: int
    size: int


@dataclass(frozen=True)
class FoldStepValues(Pass):
    """Folds integers and truth values that the host knows for each step.

    Attributes
    ----------
    most_steps
        Steps, and elements of a range, up to which values are computed.
    """

    most_steps: int = 2**16

    def __call__(self, graph: Graph) -> Graph:
        return self._folded(graph, {})

    def _folded(self, graph: Graph, known: Values) -> Graph:
        """Fold in the loops of a graph, with the values of inputs that are known."""
        values = dict(known)

        def transform(node: Apply, inputs: tuple[Variable, ...]) -> Replacement:
            self._note(node, values)
            if node.outputs[0] in values and not node.outputs[0].ndim:
                type = node.outputs[0].type
                return [Constant(np.asarray(values[node.outputs[0]], type.dtype), weak=type.weak)]
            if isinstance(node.op, Scan):
                return self._loop(node, node.op, inputs, values)
            if node.op.regions:
                regions = [self._folded(region, _entered(node, region, values)) for region in node.op.regions]
                return copy_node(node, inputs, node.op.with_regions(regions)).outputs
            kept = _kept(node, inputs)
            return None if kept is None else [kept]

        return graph.rebuilt(transform=transform)

    def _note(self, node: Apply, values: dict[Variable, Any]) -> None:
        """Record the value of a node where the host can compute it."""
        if node.op.named("arange") and not node.inputs and node.outputs[0].type.is_integer:
            if node.outputs[0].type.sizes[0] <= self.most_steps:
                values[node.outputs[0]] = np.arange(*node.op.arguments["lengths"], dtype=node.outputs[0].dtype)
            return
        found = evaluate(node, lambda variable: _value(values, variable), lambda variable: variable.type.sizes)
        if found is not None:
            values[node.outputs[0]] = found

    def _loop(self, node: Apply, op: Scan, inputs: tuple[Variable, ...], values: Values) -> Replacement:
        loop = scan_builder(node, inputs)
        outer, n_steps = op.inputs(node.inputs), op.n_steps or 0
        known = {one.inner: _value(values, x) for one, x in zip(loop.non_sequences, outer.non_sequences, strict=True)}
        known = {inside: value for inside, value in known.items() if value is not None}
        if 0 < n_steps <= self.most_steps and not op.go_backwards:
            steps = {inside: value for inside, value in known.items() if inside.ndim == 0}
            for slot, x in zip(loop.sequences, outer.sequences, strict=True):
                # Of floats, 0 and -0 are equal and differ.
                if (rows := _value(values, x)) is not None and rows.ndim == 1 and rows.dtype.kind in "biu":
                    firsts = [tap - slot.spec.low for tap in slot.spec.taps]
                    steps.update(
                        (row, rows[first : first + n_steps]) for row, first in zip(slot.rows, firsts, strict=True)
                    )
            _fold(loop, n_steps, steps)
        loop.set_results(self._folded(loop.body, known).outputs)
        return loop.outputs_for(node)


def _value(values: Values, variable: Variable) -> Any | None:
    return variable.data if isinstance(variable, Constant) else values.get(variable)


def _entered(node: Apply, region: Graph, values: Values) -> Values:
    """Return the known values of a region's inputs."""
    pairs = region_inputs(node, region)
    return {inside: value for inside, x in pairs if (value := _value(values, x)) is not None}


def _kept(node: Apply, inputs: tuple[Variable, ...]) -> Variable | None:
    """Return the operand that is the result: of padding where no row is past the length, or the size is the same, and
    of a choice that is made."""
    if node.op.named("resize"):
        return inputs[0] if inputs[0].type.shape == node.outputs[0].type.shape else None
    if node.op.named("switch") and isinstance(inputs[0], Constant) and not inputs[0].ndim:
        chosen = inputs[1 if inputs[0].data else 2]
        return chosen if chosen.type == node.outputs[0].type else None
    if not node.op.named("fill_rows", "mask_rows") or not isinstance(inputs[1], Constant):
        return None
    return inputs[0] if inputs[1].data >= inputs[0].type.sizes[node.op.arguments["axis"]] else None


def _fold(loop: ScanBuilder, n_steps: int, steps: dict[Variable, Any]) -> None:
    """Replace variables of a body that are known for all steps: a value for each, or one for all."""
    body, arrays = loop.body, {one.inner: one.outer for one in loop.non_sequences}
    replaced: dict[Variable, Variable] = {}
    for node in body.applies:
        _note_steps(node, steps)
        block = _block(node, steps, arrays)
        if block is not None:
            replaced[node.outputs[0]] = _row(loop, block, n_steps)
    first: dict[tuple[str, bytes], Variable] = {}
    for variable in (*body.inputs, *(output for node in body.applies for output in node.outputs)):
        if variable not in steps:
            continue
        each = np.broadcast_to(steps[variable], n_steps)
        same = first.setdefault((str(variable.type), each.tobytes()), variable)
        if (each == each[0]).all():
            replaced[variable] = Constant(np.asarray(each[0]), weak=variable.type.weak)
        elif same is not variable:
            replaced[variable] = same
    loop.set_results(replace_all(body, replaced).outputs)


def _note_steps(node: Apply, steps: dict[Variable, Any]) -> None:
    """Record the values of a scalar at all steps, where its operands are known."""
    if is_shape(node) and not node.outputs[0].ndim:
        steps[node.outputs[0]] = shape_value(node, node.inputs[0].type.sizes)
    if not node.op.has("pointwise") or any(one.ndim for one in (*node.inputs, *node.outputs)) or not on_host(node):
        return
    operands = [_value(steps, variable) for variable in node.inputs]
    if all(one is not None for one in operands):
        steps[node.outputs[0]] = compute(node, operands)


def _block(node: Apply, steps: Values, arrays: Mapping[Variable, Variable]) -> _Block | None:
    """Return the windows of all steps, where they are blocks next to one another of an array outside."""
    if not node.op.named("window") or node.op.arguments["axes"] != (0,):
        return None
    inside = _unresized(node.inputs[0])
    if inside not in arrays:
        return None
    (size,), starts = node.op.arguments["lengths"], np.ravel(steps.get(node.inputs[1], ()))
    if not size or len(starts) < 2 or starts[0] < 0 or (np.diff(starts) != size).any():
        return None
    x = _unresized(arrays[inside])
    return _Block(x, int(starts[0]), size) if starts[-1] + size <= x.type.sizes[0] else None


def _unresized(x: Variable) -> Variable:
    """Return an array without the rows that padding appends."""
    is_resized = x.owner is not None and x.owner.op.named("resize") and not x.owner.op.arguments["axis"]
    return x.owner.inputs[0] if x.owner is not None and is_resized else x


def _row(loop: ScanBuilder, block: _Block, n_steps: int) -> Variable:
    """Return the block of each step: the row of a new sequence."""
    x, start, size = block
    rows = static_read(x, slice(start, start + n_steps * size)) if n_steps * size < x.type.sizes[0] else x
    reshape = table_op("reshape", lengths=(n_steps, size, *x.type.sizes[1:]))
    blocks = Apply(reshape, [rows], loop.sources).outputs[0]
    row = Variable(blocks.type.row())
    loop.sequences.append(SequenceSlot(SequenceInput((0,), "blocks"), blocks, [row]))
    return row
