"""Draws of several steps at once, in loops whose length only the run knows, or whose draws are too many to be made for
all steps in front of them (see ``hoist``).

A block of steps draws together, then its steps run one after the other. Measured for states ``h = 0.3 * h + draw`` with
normal draws in float32 on two cores, jax 0.10.2, blocks of so many numbers, times as fast as a draw at each step:

| values of a state | 32 | 128 | 256 | 1,024 | 4,096 | 16,384 | 65,536 |
|---|---|---|---|---|---|---|---|
| 1 | 5 | 13 | 6 | 6 | 10 | 10 | 4 |
| 4 | 4 | 6 | 4 | 8 | 8 | 10 | 9 |
| 10 | 0.9 | 1.5 | 1.3 | 1.7 | 2.3 | 2.9 | 2.3 |
| 32 | | 2.4 | 1.4 | 3.2 | 3.4 | 4.4 | 5.0 |
| 100 | | | 0.5 | 1.4 | 1.3 | 2.0 | 1.3 |
| 1,000 | | | | | 1.1 | 2.2 | 2.8 |

XLA on CPU shares the work of more than about 150 numbers among two threads, and of more than 1,500 that of more of its
kernels, which pays for many more alone.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from loopjax.ir.graph import Apply, Graph, Variable, dependents
from loopjax.ir.plan import BlockSamples
from loopjax.ir.scan import Scan
from loopjax.rewrite.cost_model import bytes_of
from loopjax.rewrite.loop_distribution import STEP_DRAW_BYTES
from loopjax.rewrite.reparametrize import is_draw, standard_draws
from loopjax.rewrite.target import Target

BLOCK, BLOCK_STEPS, BLOCK_BYTES = 2**15, 64, 2**20
"""Numbers that a draw gives for a block, or steps of it where those are more; and bytes of all draws, at most."""

SMALL_BLOCKS = ((128, 32), (1_200, 8))
"""The same where only the run knows how many steps there are, and the rest of the last block is drawn for nothing: so
many numbers, where they are enough for so many steps. In between threads share what one would do sooner."""

FEW_STEPS = 16
"""Steps of a block then, where neither is enough."""

LEAST_STEPS = 4
"""Steps from which a block pays."""


def drawn_ahead(op: Scan, target: Target) -> BlockSamples | None:
    """How a sized loop draws for several steps at once, where it is one of which that pays."""
    inputs = op.body_inputs(op.body.inputs)
    if not inputs.keys or not target.draws_apart or "block_sampling" not in target:
        return None
    given = [*(v for group in (*inputs.slices, *inputs.taps) for v in group), *inputs.states]
    body = standard_draws(op.body, set(inputs.keys), dependents(op.body.applies, given))
    bound = dependents(body.applies, given)
    draws = [node for node in body.applies if _is_free(node, set(inputs.keys), bound)]
    if not draws:
        return None
    values = [node.outputs[0] for node in draws]
    steps = _steps(op, values)
    if steps < LEAST_STEPS or (target.on_cpu and bytes_of(values) > STEP_DRAW_BYTES):
        return None
    rows = {value: Variable(value.type) for value in values}
    return BlockSamples(Graph(body.inputs, values), body.rebuilt(rows, inputs=[*body.inputs, *rows.values()]), steps)


def _steps(op: Scan, values: Sequence[Variable]) -> int:
    """How many steps draw at once."""
    largest = max(math.prod(value.type.sizes) for value in values) or 1
    most = BLOCK_BYTES // (bytes_of(values) or 1)
    if op.until or op.n_steps is None:
        enough = (numbers // largest for numbers, steps in SMALL_BLOCKS if numbers // largest >= steps)
        return min(next(enough, FEW_STEPS), most, op.n_steps or most)
    steps = min(max(BLOCK // largest, BLOCK_STEPS), most, op.n_steps)
    if not steps:
        return 0
    blocks = -(-op.n_steps // steps)
    return -(-op.n_steps // blocks)  # as few as possible are drawn for no step


def _is_free(node: Apply, keys: Collection[Variable], bound: set[Variable]) -> bool:
    return is_draw(node) and node.inputs[0] in keys and bound.isdisjoint(node.inputs)
