"""The driver: runs passes over a graph and its regions, and verifies the graph after each."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from loopjax.config import config
from loopjax.ir.autodiff import Differentiated
from loopjax.ir.cond import IfElse
from loopjax.ir.graph import Apply, Graph, Op, Variable, copy_node, toposort
from loopjax.ir.op import TableOp
from loopjax.ir.scan import Scan
from loopjax.ir.verify import verify
from loopjax.ir.weight_gradients import BatchedWeightGradients
from loopjax.rewrite.target import Derivative, Target, within

Replacement = Sequence[Variable] | None
"""The variables that replace a node's outputs; ``None`` to keep the node."""


class Rewrite(Protocol):
    """A named function from a valid graph to an equivalent valid one."""

    @property
    def name(self) -> str: ...

    def __call__(self, graph: Graph) -> Graph: ...


def rewrite(graph: Graph, passes: Iterable[Rewrite]) -> Graph:
    """Apply each pass in turn; with ``config.verify`` the graph is verified after each."""
    for step in passes:
        graph = step(graph)
        if config.verify:
            verify(graph, after=step.name)
    return graph


@dataclass(frozen=True)
class Context:
    """The position of a graph in its program.

    ``derivative`` encloses the graph: that of the regions around it and, for the whole program, the one that JAX may
    take. ``enclosing`` are the ops whose regions the graph is in, outermost first.
    """

    derivative: Derivative = "none"
    enclosing: tuple[Op, ...] = ()

    def inside(self, op: Op) -> Context:
        """The context of the regions of an op of the graph."""
        derivative = within(op, self.derivative) if isinstance(op, Differentiated) else self.derivative
        return Context(derivative, (*self.enclosing, op))

    @property
    def in_loop(self) -> bool:
        """True inside of a loop's body, where no stage can end."""
        return any(isinstance(op, Scan) for op in self.enclosing)

    @property
    def runs(self) -> int:
        """Product of the steps of the loops around the graph: with ``until`` at most, an unknown length counts once."""
        return math.prod(op.n_steps or 1 for op in self.enclosing if isinstance(op, Scan))

    @property
    def differentiated(self) -> bool:
        """True where any derivative encloses the graph."""
        return self.derivative != "none"

    @property
    def reversed(self) -> bool:
        """True where reverse mode encloses the graph: its loops store their steps."""
        return self.derivative in ("reverse", "any")


@dataclass(frozen=True)
class Pass:
    """Base of the passes, each in a file that has its name; one with thresholds is a frozen dataclass like this.

    A pass overrides the narrowest of ``rewrite_scan``, ``rewrite_node`` and ``rewrite_graph`` that it needs. The driver
    calls it for every graph of the program, the regions of a graph before the graph itself, or after it where
    ``outermost_first``. A pass whose walk carries facts about the inputs of regions overrides ``__call__``.
    """

    target: Target = field(default_factory=Target)
    outermost_first = False

    @property
    def name(self) -> str:
        """The name of the pass in ``REWRITES`` and in ``Mode.excluding``."""
        return type(self).__module__.rpartition(".")[2]

    def __call__(self, graph: Graph) -> Graph:
        return self._walk(graph, Context(self.target.derivative))

    def _walk(self, graph: Graph, context: Context) -> Graph:
        def inside(region: Graph, op: Op) -> Graph:
            return self._walk(region, context.inside(op))

        if self.outermost_first:
            return map_regions(self.rewrite_graph(graph, context), inside)
        return self.rewrite_graph(map_regions(graph, inside), context)

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        """Return an equivalent of one graph, whose regions are not to be visited; by default node by node."""
        loops_only = type(self).rewrite_node is Pass.rewrite_node
        if loops_only and not any(isinstance(node.op, Scan) for node in graph.applies):
            return graph
        return graph.rebuilt(transform=lambda node, inputs: self.rewrite_node(node, inputs, context))

    def rewrite_node(self, node: Apply, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        """Return variables computed from ``inputs`` that replace the node's outputs, ``None`` to keep its op; by
        default for loops only."""
        return self.rewrite_scan(node, node.op, inputs, context) if isinstance(node.op, Scan) else None

    def rewrite_scan(self, node: Apply, op: Scan, inputs: tuple[Variable, ...], context: Context) -> Replacement:
        """Return what replaces the outputs of a loop, ``None`` to keep it."""
        raise NotImplementedError


def map_regions(graph: Graph, change: Callable[[Graph, Op], Graph]) -> Graph:
    """Change the regions of a graph's nodes; ``change`` gets each region and the op that it belongs to."""
    changed: dict[Apply, Op] = {}
    for node in [one for one in graph.applies if not isinstance(one.op, TableOp)]:  # which have no regions
        regions = node.op.regions
        new = [change(region, node.op) for region in regions]
        if any(one is not other for one, other in zip(new, regions, strict=True)):
            changed[node] = node.op.with_regions(new)
    if not changed:
        return graph
    return graph.rebuilt(
        transform=lambda node, inputs: copy_node(node, inputs, changed[node]).outputs if node in changed else None
    )


def region_inputs(node: Apply, region: Graph) -> Iterable[tuple[Variable, Variable]]:
    """Return pairs of a region's inputs that are inputs of its node, unchanged, and these; of a loop, non-sequences."""
    if isinstance(node.op, Scan):
        if region is not node.op.body:  # coefficients, sampled draws
            return ()
        inside, outside = node.op.body_inputs(region.inputs), node.op.inputs(node.inputs)
        return zip(inside.non_sequences, outside.non_sequences, strict=True)
    if isinstance(node.op, Differentiated):
        return zip(node.op.primals, node.inputs, strict=False)
    if isinstance(node.op, BatchedWeightGradients):
        return zip(region.inputs, node.inputs, strict=False)
    return zip(region.inputs if isinstance(node.op, IfElse) else (), node.inputs[1:], strict=False)


def replace_loops(graph: Graph, change: Callable[[Apply, Scan], Mapping[Variable, Variable]]) -> Graph:
    """Replace outputs of the graph's loops, and what is computed from them, by what ``change`` maps them to."""
    replaced: dict[Variable, Variable] = {}
    for node in graph.applies:
        if isinstance(node.op, Scan):
            replaced.update(change(node, node.op))
    return replace_all(graph, replaced)


def replace_all(graph: Graph, replaced: Mapping[Variable, Variable]) -> Graph:
    """Replace variables, also where a replacement is computed from others that are replaced."""
    if not replaced:
        return graph

    def final(variable: Variable) -> Variable:
        while variable in replaced:
            variable = replaced[variable]
        return variable

    new: dict[Variable, Variable] = {}
    outputs = [final(variable) for variable in graph.outputs]
    for node in toposort(outputs, graph.inputs, reads=lambda node: [final(variable) for variable in node.inputs]):
        inputs = [final(variable) for variable in node.inputs]
        inputs = [new.get(variable, variable) for variable in inputs]
        if any(fresh is not old for fresh, old in zip(inputs, node.inputs, strict=True)):
            new.update(zip(node.outputs, copy_node(node, inputs).outputs, strict=True))
    return Graph(graph.inputs, [new.get(variable, variable) for variable in outputs])
