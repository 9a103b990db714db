"""Splits arrays with a short last axis into slices: reductions, and elementwise values that are read only by slices.

Positions of particles have a last axis of 2 or 3. XLA on CPU reduces a large array of this kind element by element,
whether over the short axis or over another; a slice of the short axis is a vector loop, fused with what makes it::

    (x[None] - x[:, None]) ** 2 .sum(2)
    ->
    (...)[..., 0] + (...)[..., 1] + (...)[..., 2]

and a sum over another axis becomes the stack of the sums of the slices. Measured on one core (jax 0.10.2), in loops,
times as fast, in values and in gradients; from 4,096 elements on, below which XLA compiles the other form as well:

| elements of the last axis | 2 | 3 | 4 | 8 |
|---|---|---|---|---|
| float64, over the last axis | 3 to 7, 1.5 to 13 | 2.5 to 6, 1 to 8 | 2.5 to 4, 1.2 to 7 | 1.7 to 2.2, 0.2 to 5 |
| float64, over another | 1.8 to 3.2, 1.3 to 8 | 1.2 to 2.3, 1.2 to 5 | 1.1 to 1.6, 1.0 to 4 | 0.6 to 1.2, 0.4 to 1.6 |
| float32, over the last axis | 3 to 8, 2 to 19 | 4 to 8, 1.2 to 13 | 3 to 7, 1.5 to 11 | |
| float32, over another | 2 to 4, 1.3 to 12 | 1.9 to 3, 1.2 to 9 | 1.5 to 2.5, 1.2 to 7 | |

In a loop, an elementwise value that is read only by such slices is computed slice by slice too, unless it reads along
that axis what changes from step to step, which would be read with a stride each time. What a slice reads of arrays that
are the same at every step then moves out of the loop as one vector for each slice::

    p = eye + length[:, None] * direction; f(p[:, 0], p[:, 1])
    ->
    f(eye[0] + length * direction[:, 0], eye[1] + length * direction[:, 1])
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import reduce

from loopjax.ir.graph import Apply, Graph, Variable, apply, dependents
from loopjax.ir.monoid import MONOIDS
from loopjax.ir.op import table_op
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import Scan
from loopjax.rewrite.driver import Context, Pass, Replacement


@dataclass(frozen=True)
class SplitShortAxes(Pass):
    """Splits reductions over numbers, and elementwise values read only by slices, on a CPU.

    Attributes
    ----------
    longest
        Elements up to which a last axis is short.
    least_elements
        Elements from which the reduction of an array is split.
    least_sliced
        Elements from which a value is computed slice by slice. Measured as it is over slice by slice, 200 steps of rays
        like these (float64, jaxlib 0.10.2), values and gradients: 30 rays 1.0, 1.1; 100 rays 1.0, 1.4; 1,000 rays 1.2,
        1.5; 10,000 rays 1.3, 4.6. With ``tanh`` of ``p``: 1.0, 1.3; 1.5, 1.5; 1.2, 1.7; 1.3, 5.3.
    """

    longest: int = 4
    least_elements: int = 4_096
    least_sliced: int = 64

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        graph = super().rewrite_graph(graph, context)
        loop = context.enclosing[-1] if context.enclosing else None
        if not self.target.on_cpu or not isinstance(loop, Scan):
            return graph
        given = loop.body_inputs(graph.inputs).non_sequences
        varying = dependents(graph.applies, [variable for variable in graph.inputs if variable not in given])
        return _sliced(graph, self._split_values(graph, varying))

    def _split_values(self, graph: Graph, varying: Collection[Variable]) -> set[Variable]:
        """The elementwise values that are read by slices of the last axis only, or by such values of their shape, and
        that read along it what is the same at every step, or such values."""
        split: set[Variable] = set()
        for value in (node.outputs[0] for node in graph.applies if node.op.has("pointwise")):
            is_short = value.ndim > 1 and value.type.sizes[-1] <= self.longest
            if is_short and value.type.elements >= self.least_sliced and value not in graph.outputs:
                split.add(value)
        while refused := {value for value in split if not _may_be_split(value, graph, split, varying)}:
            split -= refused
        return split

    def rewrite_node(self, node: Apply, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        monoid = MONOIDS.get(node.op.name)
        if not self.target.on_cpu or monoid is None or monoid.combine is None:
            return None
        (x,), (reduced,) = inputs, node.outputs
        short, axes = x.ndim - 1, node.op.arguments["axis"]
        others = tuple(axis for axis in axes if axis != short)
        is_number = x.dtype in ("float32", "float64", "int32", "int64")
        if x.ndim < 2 or not is_number or not 1 < x.type.sizes[short] <= self.longest or len(axes) == x.ndim:
            return None
        # Equal elements share the derivative of one reduction evenly, but not that of several.
        ties_differ = short in axes and monoid.needs_elements and (others or x.type.sizes[short] > 2)
        if math.prod(x.type.sizes) < self.least_elements or (ties_differ and context.differentiated):
            return None
        arguments = {**node.op.arguments, "axis": others, "keepdims": False}
        slices = [x[..., row] for row in range(x.type.sizes[short])]
        if others:
            slices = [apply(table_op(node.op.name, **arguments), one)[0] for one in slices]
        else:
            slices = [ops.cast(one, reduced.dtype) for one in slices]
        combine = table_op(monoid.combine)
        found = reduce(lambda x, y: apply(combine, x, y)[0], slices) if short in axes else ops.stack(*slices, axis=-1)
        return [found.reshape(reduced.type.sizes) if node.op.arguments["keepdims"] else found]


def _may_be_split(value: Variable, graph: Graph, split: set[Variable], varying: Collection[Variable]) -> bool:
    """Return whether all that reads a value, and all that it reads, allows for slices."""
    assert value.owner is not None
    is_read = all(
        _place(reader) is not None or (reader.outputs[0] in split and reader.outputs[0].type.sizes == value.type.sizes)
        for reader in graph.readers.get(value, [])
    )
    return is_read and all(
        x in split or x not in varying or not x.ndim or x.type.sizes[-1] == 1 for x in value.owner.inputs
    )


def _place(node: Apply) -> int | None:
    """The position of the last axis that a node reads, of all other axes all."""
    if not node.op.named("index") or len(node.inputs) > 1:
        return None
    place: int | None = node.op.arguments["pattern"].picked(node.inputs[0].ndim - 1)
    return place


def _sliced(graph: Graph, split: set[Variable]) -> Graph:
    """The graph with slices of these values computed from slices."""
    slices: dict[tuple[Variable, int], Variable] = {}
    rebuilt: dict[Variable, Variable] = {}

    def slice_of(value: Variable, place: int) -> Variable:
        """The slice of a value, or of what is repeated along its last axis."""
        if value in split and (value, place) not in slices:
            assert value.owner is not None
            read = [slice_of(x, place) for x in value.owner.inputs]
            slices[value, place] = Apply(value.owner.op, read, value.owner.sources).outputs[0]
        elif value not in split:
            new = rebuilt.get(value, value)
            return new[..., place if new.type.sizes[-1] > 1 else 0] if new.ndim else new
        return slices[value, place]

    def change(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
        rebuilt.update(zip(node.inputs, inputs, strict=True))
        place = _place(node)
        return None if place is None or node.inputs[0] not in split else [slice_of(node.inputs[0], place)]

    return graph.rebuilt(transform=change) if split else graph
