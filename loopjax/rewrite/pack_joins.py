"""Superword-level parallelism: isomorphic expressions that a loop's body stacks become one expression of a stack.

A body that combines its taps in Python runs each op as many times as there are taps, and XLA on CPU calls each of them
by itself. What ``stack`` joins is often the same ops on other values (Larsen and Amarasinghe 2000, Exploiting superword
level parallelism with multimedia instruction sets)::

    stack([f(h1 + a), f(h2 + a), f(h3 + a), f(h4 + a)])  ->  f(stack([h1, h2, h3, h4]) + a)

The leaves are joined: taps become a window then (``tap_windows``), and what is the same at each step leaves the loop.
A value that all lanes share is broadcast. Ops are elementwise, reductions and permutations of axes. Limits: a first
axis that is new, and values that nothing else reads; scalars stay apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.op import TableOp, table_op
from loopjax.ir.types import KEY, RESIDUAL
from loopjax.rewrite.driver import Context, Pass, replace_all
from loopjax.rewrite.vectorize_states import Lane, stacked, with_axes

DEEPEST = 32
"""Ops of one expression, one after the other, that are lifted; those before are leaves."""


@dataclass(frozen=True)
class PackJoins(Pass):
    """Makes one expression of those that a stack joins.

    Attributes
    ----------
    least_lanes
        Expressions from which this is profitable, under reverse mode and where one of their ops is not cheap: a body
        that stores what each ``tanh`` gives is many kernels. Measured on one core (jax 0.10.2), gradients of 4 terms
        ``tanh(h * w + x)`` of 8, 30, 100 and 500 float64 values: 0.27, 0.50, 0.80 and 1.10 of the time; 12 terms of 4
        values 0.14, 6 of 16 float32 values 0.33; of cheap ops alone, which XLA fuses, 1.4 to 2.8. Without a derivative
        between 0.6 and 5 times.
    most_bytes
        Bytes of one of them up to which it is.
    """

    least_lanes: int = 4
    most_bytes: int = 1024

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        replaced: dict[Variable, Variable] = {}
        for node in graph.applies if context.in_loop and context.reversed and self.target.backend == "cpu" else ():
            lane = _stacked(node, graph)
            if lane is None or len(lane) < self.least_lanes or lane[0].ndim == 0:
                continue
            lift = _Lift(graph)
            value = lift(lane) if lane[0].type.bytes <= self.most_bytes else None
            if value is not None and lift.is_dear and value.type == node.outputs[0].type:
                replaced[node.outputs[0]] = value
        return replace_all(graph, replaced)


def _stacked(node: Apply, graph: Graph) -> Lane | None:
    """Return the values that a node stacks along a new first axis; ``None`` for another op."""
    if not (node.op.named("join") and isinstance(node.op, TableOp) and node.op.arguments["axis"] == 0):
        return None
    lane = []
    for part in node.inputs:
        expanded = part.owner
        if expanded is None or not expanded.op.named("dimshuffle") or graph.readers[part] != [node]:
            return None
        value = expanded.inputs[0]
        if _pattern(expanded) != (None, *range(value.ndim)) or value.type != node.inputs[0].owner.inputs[0].type:  # type: ignore[union-attr]
            return None
        lane.append(value)
    return tuple(lane)


def _pattern(node: Apply) -> tuple[int | None, ...]:
    return tuple(node.op.arguments["pattern"])


@dataclass
class _Lift:
    """Maps lanes to one value each: with a first axis for them, or a value that all of them share."""

    graph: Graph
    is_dear: bool = False
    shared: set[Variable] = field(default_factory=set)

    def __call__(self, lane: Lane, depth: int = 0) -> Variable | None:
        """Return the lifted value; ``None`` where there is none that pays."""
        first, nodes = lane[0], [value.owner for value in lane if value.owner is not None]
        if all(value is first for value in lane):
            self.shared.add(first)
            return first
        if any(value.type != first.type for value in lane) or first.type.weak or first.dtype in (KEY, RESIDUAL):
            return None
        alike = len(nodes) == len(lane) and all(node.op == nodes[0].op for node in nodes) and self._are_own(lane)
        is_lifted = alike and isinstance(nodes[0].op, TableOp) and depth < DEEPEST
        made = self._node(nodes, depth) if is_lifted else None
        if made is None:
            return _joined(lane)
        if made.type != first.type.stacked(len(lane)):
            return None
        self.is_dear |= not nodes[0].op.has("cheap", "view")
        return made

    def _are_own(self, lane: Lane) -> bool:
        """Test if each value has one reader, and none is a result."""
        return all(len(self.graph.readers.get(value, ())) == 1 and value not in self.graph.outputs for value in lane)

    def _node(self, nodes: Sequence[Apply], depth: int) -> Variable | None:
        """Lift an op; ``None`` for one that is not lifted."""
        node, op = nodes[0], nodes[0].op
        reduces = op.has("reduce") and op.arguments.get("axis") is not None and len(node.inputs) == 1
        if not (op.has("pointwise") or op.named("dimshuffle") or reduces):
            return None
        operands = [self(lane, depth + 1) for lane in zip(*(one.inputs for one in nodes), strict=True)]
        values = [operand for operand in operands if operand is not None]
        if len(values) < len(operands) or self.shared.issuperset(values):
            return None
        if op.named("dimshuffle"):
            pattern = (0, *(None if axis is None else axis + 1 for axis in _pattern(node)))
            return Apply(table_op("dimshuffle", pattern=pattern), values, node.sources).outputs[0]
        if reduces:
            axes = tuple(axis + 1 for axis in op.arguments["axis"])
            return Apply(table_op(op.name, **{**op.arguments, "axis": axes}), values, node.sources).outputs[0]
        aligned = [
            value if value in self.shared else with_axes(value, node.outputs[0].ndim - x.ndim)
            for value, x in zip(values, node.inputs, strict=True)
        ]
        return Apply(op, aligned, node.sources).outputs[0]


def _joined(lane: Lane) -> Variable:
    """Return the values stacked along a new first axis."""
    if all(isinstance(value, Constant) for value in lane):
        return Constant(np.stack([value.data for value in lane if isinstance(value, Constant)]))
    return stacked(lane, 0)
