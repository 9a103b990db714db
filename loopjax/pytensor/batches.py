"""``Blockwise``: an op applied to each element of a batch.

Rules of linear algebra take batches as they are. Any other rule, that of ``Scan`` among them, is recorded once in the
step of a loop without states over each batch axis, which LoopJAX runs for all elements at once. Sizes are those of the
first element, since all elements have the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytensor.tensor.basic as basic
from pytensor.graph.basic import Apply
from pytensor.scan.op import Scan
from pytensor.tensor.blockwise import Blockwise
from pytensor.tensor.subtensor import IncSubtensor, Subtensor, indices_from_subtensor

import loopjax.tensor as at
from loopjax.ir.graph import Constant, apply
from loopjax.ir.public_ops import ops
from loopjax.pytensor.conversion import Conversion, rule, rule_of
from loopjax.pytensor.linear_algebra import BATCHED
from loopjax.pytensor.rows import shape_of
from loopjax.trace.scan import scan


class Operand(NamedTuple):
    """An input of the core op, at a position, with the batch axes that are still to be looped over."""

    position: int
    value: Any
    axes: int

    @property
    def varies(self) -> bool:
        """True where the first batch axis may have more than one element."""
        return bool(self.value.type.shape[0] != 1)

    def at(self, value: Any) -> Operand:
        """The operand of one element along the first batch axis."""
        return Operand(self.position, value, self.axes - 1)


@rule(Blockwise)
def _blockwise(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    op = node.op
    core_rule = rule_of(op.core_op)
    if core_rule is None:
        return NotImplemented
    dummy = op._create_dummy_core_node(node.inputs)
    core = dummy[0] if isinstance(dummy, tuple) else dummy
    if isinstance(op.core_op, BATCHED):
        return core_rule(conversion, core, args)
    batch = node.outputs[0].type.ndim - len(op.outputs_sig[0])
    lengths = _length_positions(op.core_op, len(args))
    operands = []
    sizes: list[Any] = [1] * batch
    for position, (variable, x, signature) in enumerate(zip(node.inputs, args, op.inputs_sig, strict=True)):
        axes = x.ndim - len(signature)
        for axis in range(axes):
            if variable.type.shape[axis] != 1:
                size = x.type.shape[axis]
                sizes[batch - axes + axis] = ops.dim(x, axis) if size is None else size
        uniform = position in lengths or all(size == 1 for size in variable.type.shape[:axes])
        if variable in conversion.uniform:
            operands.append(Operand(position, conversion.uniform[variable], 0))
        else:
            operands.append(Operand(position, first(x, axes) if uniform else x, 0 if uniform else axes))
    made = _mapped(conversion, core, sizes, operands)
    if any(operand.axes for operand in operands):
        return made
    for variable, one in zip(node.outputs, made, strict=True):
        conversion.uniform[variable] = one[(0,) * batch]
    return [at.alloc(one[(0,) * batch], *sizes, *shape_of(one)[batch:]) for one in made]


def _mapped(conversion: Conversion, core: Apply, sizes: Sequence[Any], operands: Sequence[Operand]) -> list[Any]:
    """Loop over the first batch axis, and in its step over the others."""
    if not sizes:
        values = [operand.value for operand in sorted(operands)]
        return conversion.inner(core.inputs, values, core.outputs)
    here = [operand for operand in operands if operand.axes == len(sizes)]
    moving = [operand for operand in here if operand.varies]
    still = [operand.at(operand.value[0]) for operand in here if not operand.varies]
    later = [operand for operand in operands if operand.axes < len(sizes)]
    if not moving:
        return [one[None] for one in _mapped(conversion, core, sizes[1:], [*still, *later])]

    def step(*rows: Any) -> list[Any]:
        inside = [operand.at(row) for operand, row in zip(moving, rows, strict=True)]
        return _mapped(conversion, core, sizes[1:], [*inside, *still, *later])

    name = f"Blockwise {type(core.op).__name__}"
    made, _ = scan(step, sequences=[one.value for one in moving], n_steps=sizes[0], name=name, return_list=True)
    return list(made)


def _length_positions(op: Any, count: int) -> set[int]:
    """Return the positions of inputs that decide sizes of results, which are the same for the whole batch."""
    positions = list(range(count))
    if isinstance(op, Scan):
        return {0, *op.outer_nitsot(positions)}
    if isinstance(op, (basic.Alloc, basic.AllocEmpty)):
        return set(positions[isinstance(op, basic.Alloc) :])
    if isinstance(op, (Subtensor, IncSubtensor)):
        entries = indices_from_subtensor(positions[1 if isinstance(op, Subtensor) else 2 :], op.idx_list)
        slices = [entry for entry in entries if isinstance(entry, slice) and None in (entry.start, entry.stop)]
        return {one for entry in slices for one in (entry.start, entry.stop, entry.step) if one is not None}
    return set()


def first(x: Any, axes: int) -> Any:
    """Return the first element along the leading axes, of what the array was made of where that is known."""
    if axes == 0:
        return x
    if x.ndim == axes:
        return _element(x, (0,) * axes)
    return x[(0,) * axes]


def _element(x: Any, position: tuple[int, ...]) -> Any:
    """Return an element of an array of sizes, read through the ops that arrange sizes to arrays."""
    if isinstance(x, Constant):
        return at.constant(x.data[position], dtype=x.dtype)
    node = x.owner
    if node is None:
        return x[position] if position else x
    op, operand = node.op, node.inputs[0]

    def of(inner: Any) -> Any:
        found = position[len(position) - inner.ndim :]
        return _element(inner, tuple(0 if size == 1 else at for size, at in zip(inner.type.shape, found, strict=True)))

    if op.named("alloc", "broadcast_to"):
        return of(operand)
    if op.has("pointwise"):
        return apply(op, *[of(one) for one in node.inputs])[0]
    if op.named("dimshuffle"):
        pattern = op.arguments["pattern"]
        if sorted(axis for axis in pattern if axis is not None) == list(range(operand.ndim)):
            places = {axis: position[place] for place, axis in enumerate(pattern) if axis is not None}
            return _element(operand, tuple(places[axis] for axis in range(operand.ndim)))
    if op.named("join"):
        axis, start = op.arguments["axis"], 0
        for part in node.inputs:
            size = part.type.shape[axis]
            if size is None:
                break
            if position[axis] < start + size:
                return _element(part, (*position[:axis], position[axis] - start, *position[axis + 1 :]))
            start += size
    if op.named("shape"):
        size = operand.type.shape[position[0]]
        return ops.dim(operand, position[0]) if size is None else at.constant(size)
    return x[position] if position else x
