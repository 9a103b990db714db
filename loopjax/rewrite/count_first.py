"""Inside of a derivative, lengths that only a run decides are found by a run before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loopjax.rewrite.driver import map_regions
from loopjax.trace.demands import cut_outputs, demanded
from loopjax.trace.grad import Linearize
from loopjax.trace.graph import Apply, Graph, Variable, copy_node
from loopjax.trace.lengths import leaves_of
from loopjax.trace.loop import Keep, Scan
from loopjax.trace.op import Op


@dataclass(frozen=True)
class CountFirst:
    """Moves the lengths that a differentiated region computes out of it, where a stage can end to learn them.

    A loop of the region that stops by ``until`` and of which all steps are read runs once before, to count: then, in
    the region, it is a loop of that many steps. Loops of which the last steps or sums are read need no length.
    Inside of bodies no stage ends, so there such loops stay.
    """

    name: str = "count first"

    def __call__(self, graph: Graph) -> Graph:
        graph = map_regions(graph, self._within)

        def transform(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
            return _lengths_outside(node, inputs) if isinstance(node.op, Linearize) else None

        return graph.rebuilt(transform=transform) if _differentiates(graph) else graph

    def _within(self, region: Graph, op: Op) -> Graph:
        return self(_counted(region)) if isinstance(op, Linearize) else region


def _differentiates(graph: Graph) -> bool:
    return any(isinstance(node.op, Linearize) for node in graph.applies)


def _counted(region: Graph) -> Graph:
    """The region with its loops of unknown length as a loop that counts and one of so many steps."""

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
        stacks = cut_outputs(node)
        if not any(stack in region.outputs or region.readers.get(stack) for stack in stacks):
            return None
        assert isinstance(node.op, Scan)
        count = copy_node(node, inputs, _counting(node.op)).outputs[-1]
        body = Graph(node.op.body.inputs, node.op.body.outputs[:-1])
        op = replace(node.op, body=body, until=False, n_steps=None, dynamic=False)
        return [*copy_node(node, [count, *_after_length(node.op, inputs)], op).outputs, count]

    return region.rebuilt(transform=transform)


def _counting(op: Scan) -> Scan:
    """The loop with nothing kept."""
    return replace(
        op,
        recurrences=tuple(replace(one, keep=Keep(last=0)) for one in op.recurrences),
        maps=tuple(replace(one, keep=Keep(last=0)) for one in op.maps),
        folds=(),
        progress="",
    )


def _after_length(op: Scan, inputs: Sequence[Variable]) -> Sequence[Variable]:
    return inputs[len(op.inputs(inputs).n_steps) :]


def _lengths_outside(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
    """The node with the lengths that its region computes on the device as inputs, computed before it."""
    op = node.op
    assert isinstance(op, Linearize)
    region = op.region
    lengths = [length for inner in region.applies for length in demanded(inner)]
    opaque = leaves_of(lengths, stop=region.inputs).opaque
    found = [v for one in region.applies for v in one.outputs if v in opaque]
    if not found:
        return None
    outside = Graph(region.inputs, found).rebuilt(dict(zip(region.inputs, inputs, strict=True)), inputs=()).outputs
    inside = [Variable(variable.type, name=variable.name) for variable in found]
    region = region.rebuilt(dict(zip(found, inside, strict=True)), inputs=[*region.inputs, *inside])
    return copy_node(node, [*inputs, *outside], replace(op, region=region)).outputs
