"""Draws of several steps at once, in loops whose length only the run knows, or whose draws are too many to be made for
all steps in front of them (see ``hoist``).

A block of steps draws together, then its steps run one after the other. Measured for states ``h = 0.9 * h + draw`` in
float32 on two cores, jax 0.10.2, blocks of so many steps, times as fast as a draw at each:

| values | 1 | 10 | 100 | 1,000 | 10,000 |
|---|---|---|---|---|---|
| normal: 10, 40 steps | 4.4, 13 | 2.2, 3.0 | 2.2, 1.8 | 1.7, 3.0 | 1.3, 2.2 |
| uniform: the same | 5.1, 14 | 2.8, 4.3 | 2.3, 1.2 | 1.3, 2.5 | 1.7, 2.5 |
"""

from __future__ import annotations

from collections.abc import Collection

from loopjax.rewrite.dear import MOST_STEP_DRAWN
from loopjax.rewrite.draws import is_draw, standard_draws
from loopjax.rewrite.sizes import bytes_of
from loopjax.rewrite.target import Target
from loopjax.trace.graph import Apply, Graph, Variable, dependents
from loopjax.trace.loop import Drawn, Scan

BLOCK_BYTES, MOST_STEPS = {"cpu": 2**20, "gpu": 2**26}, 1024
"""Draws of a block, at most."""

UNTIL_BYTES, UNTIL_STEPS = {"cpu": 2**16, "gpu": 2**22}, 256
"""The same where ``until`` may end the loop at any step, and the rest of the block was for nothing."""

LEAST_STEPS = 4
"""Steps from which a block pays."""


def drawn_ahead(op: Scan, target: Target) -> Drawn | None:
    """How a sized loop draws for several steps at once, where it is one of which that pays."""
    inputs = op.body_inputs(op.body.inputs)
    if not inputs.keys or not target.draws_apart or "hoist" not in target:
        return None
    given = [*(v for group in (*inputs.slices, *inputs.taps) for v in group), *inputs.states]
    body = standard_draws(op.body, set(inputs.keys), dependents(op.body.applies, given))
    bound = dependents(body.applies, given)
    draws = [node for node in body.applies if _is_free(node, set(inputs.keys), bound)]
    if not draws:
        return None
    values = [node.outputs[0] for node in draws]
    backend = "cpu" if target.backend == "cpu" else "gpu"
    most, room = (UNTIL_STEPS, UNTIL_BYTES) if op.until else (MOST_STEPS, BLOCK_BYTES)
    size = bytes_of(values)
    steps = min(most, room[backend] // max(size, 1), op.n_steps or most)
    if steps < LEAST_STEPS or (backend == "cpu" and size > MOST_STEP_DRAWN):
        return None
    if op.n_steps is not None and not op.until:
        blocks = -(-op.n_steps // steps)
        steps = -(-op.n_steps // blocks)  # as few as possible are drawn for no step
    rows = {value: Variable(value.type) for value in values}
    return Drawn(Graph(body.inputs, values), body.rebuilt(rows, inputs=[*body.inputs, *rows.values()]), steps)


def _is_free(node: Apply, keys: Collection[Variable], bound: set[Variable]) -> bool:
    return is_draw(node) and node.inputs[0] in keys and bound.isdisjoint(node.inputs)
