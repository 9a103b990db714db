"""Loop distribution: when ops of a body are worth a loop of their own, which does them for all steps at once.

``loop_prologue`` moves ops before a loop and ``loop_epilogue`` after it, where they become one batched op: a large
product instead of a small one at each step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from loopjax.ir.graph import Apply
from loopjax.ir.scan import Scan
from loopjax.rewrite.cost_model import bytes_of
from loopjax.rewrite.driver import Context, Pass
from loopjax.rewrite.scan_builder import MapSlot, ScanBuilder, SequenceSlot

LEAST_STEPS = 4
"""Steps from which a loop is worth a second one beside it."""

STEP_DRAW_BYTES = 2**16
"""CPU: bytes of a draw of one step, up to which several are made at once: of large ones, such as the 50,000 numbers of
a Gibbs sampler's step, several at once take 0.9 of the time, and 200 ms more to compile."""


def is_distributable(op: Scan, least_steps: int = LEAST_STEPS) -> bool:
    """True where ops of a loop may run in a loop of their own, of the same known number of steps."""
    return not (op.until or op.dynamic) and has_apart(op, least_steps)


def has_padded_rows(op: Scan, context: Context) -> bool:
    """True for a loop of dynamic trip count whose sequences hold valid rows up to its capacity, at most twice as many
    as steps: those under a derivative, outside of other loops (``ir/capacities.py``)."""
    return (
        op.dynamic and context.differentiated and not (context.in_loop or op.until or op.go_backwards or op.counts_down)
    )


def has_apart(op: Scan, least_steps: int = LEAST_STEPS) -> bool:
    """True where values of all steps of a loop may be apart from it: a bound on the number of steps, a state that
    connects them, and no ``checkpoint``, by which the user has said what may be stored."""
    is_long = op.n_steps is not None and op.n_steps >= least_steps
    return is_long and op.checkpoint is None and bool(op.recurrences or op.n_states)


@dataclass(frozen=True)
class LoopDistribution(Pass):
    """Base of the passes that distribute loops.

    Attributes
    ----------
    least_steps
        Steps from which a loop is worth a second one beside it.
    most_rows
        CPU: vectors that a product of a step multiplies, up to which one product for all steps is faster. With more the
        step's own product is as fast, and its result is still in the cache when it is read.
    least_inner
        CPU: terms of an inner product from which it is: with 16, a normalized least mean squares filter takes 1.3 times
        as long.
    most_bytes, most_gpu_bytes
        Bytes of one value of all steps: it has to be written and read again.
    most_draw_bytes, most_step_draw_bytes
        CPU: bytes of a draw of all steps, and of one step. A draw fills several arrays of its size on its way.
    """

    least_steps: int = LEAST_STEPS
    most_rows: int = 32
    least_inner: int = 32
    most_bytes: int = 2**26
    most_gpu_bytes: int = 2**30
    most_draw_bytes: int = 2**23
    most_step_draw_bytes: int = STEP_DRAW_BYTES

    def is_profitable(self, node: Apply, n_steps: int) -> bool:
        """True where an expensive op takes less time for all steps at once."""
        step = bytes_of(node.outputs)
        if not self.target.on_cpu:
            return step * n_steps <= self.most_gpu_bytes
        if node.op.has("draw") and (step > self.most_step_draw_bytes or step * n_steps > self.most_draw_bytes):
            return False
        if node.op.has("contraction") and not node.outputs[0].type.ndim:
            return math.prod(node.inputs[0].type.sizes) >= self.least_inner
        rows = math.prod(node.outputs[0].type.sizes[:-1]) if node.op.has("contraction") else 0
        return step * n_steps <= self.most_bytes and rows <= self.most_rows


def map_loop(
    loop: ScanBuilder, sequences: Sequence[SequenceSlot], outputs: Sequence[MapSlot], **options: Any
) -> ScanBuilder:
    """A loop without recurrence that computes values of the body of ``loop`` of these sequences, of its keys and of its
    non-sequences; ``options`` are fields of its ``Scan``."""
    op = replace(loop.op, truncate_gradient=-1, unroll=None, progress="", notes=(), dynamic=False, bounded=False)
    op = replace(op, **options)
    keys, captures = list(loop.keys), list(loop.non_sequences)
    made = ScanBuilder(op, loop.sources, [], list(sequences), [], list(outputs), [], keys, captures, [])
    made.drop_unread()
    return made
