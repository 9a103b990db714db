"""Loop unrolling on a GPU, where an iteration costs what it takes to launch its kernels.

Measured on an H200, jax 0.11.2, float32, milliseconds for 1,000 steps of elementwise bodies and 500 of the network, by
steps per iteration:

| body | 1 | 4 | 8 | 16 | 32 | 64 |
|---|---|---|---|---|---|---|
| 1 to 1e6 values, carried: multiply and add | 7 to 10 | 2.4 | | 0.6 to 0.7 | | 0.14 to 0.24 |
| 1,000 values, carried: Runge-Kutta, 30 ops | 7.2 | 1.6 | | 0.46 | 0.25 | |
| 64 values, stacked, and a row read: tanh | 12 | | | 0.98 | | |
| the same, written as one block (``lower/loops/row_blocks.py``) | 12 | | 0.97 | 0.40 | 0.34 | 0.25 |
| its gradient | 16 | 5.8 | | 1.6 | | |
| 64 values times a matrix, stacked | 2.7 | 1.3 | 1.2 | 1.3 | | |
| its gradient | 11 | 2.9 | | 2.1 | | |
| until, carried, one value | 29 | 7.8 | 3.7 | 1.3 | 0.76 | 0.67 |

A step of a loop with ``until``, whose end the host has to ask for, costs 20 to 30 us more. XLA takes 0.1 s for a body
of one step, 0.4 s for 16 stacked ones with ``tanh``, 2.3 s for 32 and 4 s for 64; for 480 ops that are carried 0.6 s,
for 960 1.2 s.
"""

from __future__ import annotations

from loopjax.ir.graph import Apply
from loopjax.ir.jax_call import JaxCall
from loopjax.ir.scan import Scan
from loopjax.rewrite.cost_model import is_pointwise
from loopjax.rewrite.target import Derivative

CARRIED, STACKED, MIXED = 64, 16, 8
"""Most steps per iteration: of elementwise bodies with no stack, of elementwise bodies with stacks, and of bodies that
do more, such as products and sums."""

OPS = 512
"""Most ops per iteration."""

UNTIL = 16
"""Most steps per iteration of a loop with ``until``: reading the condition on the host costs more than steps, even if
15 steps are computed for nothing."""


def steps_per_launch(op: Scan, n_steps: int | None, derivative: Derivative) -> int:
    """Return the unroll factor of a sized loop of at most ``n_steps``, ``None`` where only the run decides.

    It is 1 where a step runs a loop of its own. Else it divides ``n_steps`` if it can, since the remaining steps are
    compiled again and their rows copied.
    """
    if any(_has_loop(node) for region in op.regions for node in region.applies):
        return 1
    most = min(_most_steps(op, derivative), max(OPS // max(len(op.body.applies), 1), 1))
    return most if n_steps is None else _divisor(n_steps, most)


def _has_loop(node: Apply) -> bool:
    """Return whether a node runs a loop of its own, whose copies multiply the time that XLA takes."""
    return bool(node.op.regions) or isinstance(node.op, JaxCall) or node.op.has("inner_loop")


def _most_steps(op: Scan, derivative: Derivative) -> int:
    if op.until:
        return UNTIL
    if op.samples is not None or not is_pointwise(op.body):
        return MIXED
    stacks = derivative != "none" or any(output.saved.last is None for output in op.outputs)
    return STACKED if stacks else CARRIED


def _divisor(n_steps: int, most: int) -> int:
    """The largest factor up to ``most`` that divides ``n_steps``; ``most`` where that is not over half of it."""
    most = min(most, n_steps)
    return next((count for count in range(most, most // 2, -1) if n_steps % count == 0), most)
