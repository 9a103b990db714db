"""Connection: the variables through which a derivative can flow to outputs of a graph.

An op whose result has no derivative, ``disconnected_grad`` or a shape, connects nothing. The outputs of a loop are
connected to what its body computes them from: in ``scan(lambda a, h, g: (a + h, 2 * g), x, [h0,
g0])`` the second output depends on ``g0`` and not on ``x``. A state is connected to what its next value is computed
from, in as many steps as there may be. Nothing flows through a number of steps or the condition of ``until``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from loopjax.ir.graph import Apply, Variable, toposort
from loopjax.ir.scan import Scan


def upstream(outputs: Collection[Variable]) -> set[Variable]:
    """Return the variables that some of ``outputs`` is connected to, and the outputs."""
    found = set(outputs)
    for node in reversed(toposort(outputs)):
        if not node.op.has("disconnected") and not found.isdisjoint(node.outputs):
            places = [place for place, one in enumerate(node.outputs) if one in found]
            found.update(_inputs(node, node.op, places) if isinstance(node.op, Scan) else node.inputs)
    return found


def _inputs(node: Apply, op: Scan, places: Collection[int]) -> Iterable[Variable]:
    """Return the inputs of a loop that outputs are connected to: a state that a step reads brings its next value."""
    step, body = op.results(op.body.outputs), op.body_inputs(op.body.inputs)
    results = (*step.recurrences, *step.maps, *step.states)
    wanted = {results[place] for place in places if place < len(results)}
    read = upstream(wanted)
    while True:
        pasts = zip((*body.taps, *((state,) for state in body.states)), (*step.recurrences, *step.states), strict=True)
        more = {new for old, new in pasts if not read.isdisjoint(old)} - read
        if not more:
            break
        wanted |= more
        read = upstream(wanted)
    parts = op.inputs(node.inputs)
    groups = [*zip(parts.sequences, body.slices, strict=True), *zip(parts.initials, body.taps, strict=True)]
    groups += [(outer, (inside,)) for outer, inside in zip(parts.non_sequences, body.non_sequences, strict=True)]
    # After no steps a shared variable has the value that it had before.
    groups += [
        (outer, (new, inside)) for outer, new, inside in zip(parts.states, step.states, body.states, strict=True)
    ]
    return [outer for outer, inside in groups if not read.isdisjoint(inside)]
