"""What in a step is dear enough to be done for all steps at once."""

from __future__ import annotations

import math

from loopjax.errors import Source
from loopjax.ir.graph import Apply, Variable
from loopjax.ir.index import static_read
from loopjax.ir.op import TableOp
from loopjax.ir.scan import Scan
from loopjax.rewrite.footprint import bytes_of
from loopjax.rewrite.target import Target

LEAST_STEPS = 4
"""Steps from which a loop is worth a second one beside it."""

MOST_ROWS = 32
"""On CPU: vectors that a product of a step multiplies, up to which one product for all steps is faster. With more the
step's own product is as fast, and its result is still in the cache when it is read."""

MOST_BYTES = {"cpu": 2**26, "gpu": 2**30}
"""Bytes of one value of all steps: it has to be written and read again."""


MOST_DRAWN, MOST_STEP_DRAWN = 2**23, 2**16
"""On a CPU: bytes of what is drawn for all steps, and of what one step draws. A draw fills several arrays of its size
on its way; and of large ones, such as the 50,000 numbers of a Gibbs sampler's step, several at once take 0.9 of the
time, and 200 ms more to compile."""


def may_move(op: Scan) -> bool:
    """Whether a part of a loop may be done apart from it: its steps are known, some need others, and nobody has said
    what may be stored of them."""
    varies = op.until or op.dynamic or op.n_steps is None or op.n_steps < LEAST_STEPS
    return not varies and op.checkpoint is None and bool(op.recurrences or op.n_states)


def is_dear(node: Apply) -> bool:
    """Whether a node is a product, or costs more than to write its result, as a decomposition does."""
    return isinstance(node.op, TableOp) and not node.op.has("memory_bound")


def pays(target: Target, node: Apply, n_steps: int) -> bool:
    """Whether a dear node is better done for all steps at once."""
    step = bytes_of(node.outputs)
    if target.on_cpu and node.op.has("draw") and (step > MOST_STEP_DRAWN or step * n_steps > MOST_DRAWN):
        return False
    if step * n_steps > MOST_BYTES["cpu" if target.on_cpu else "gpu"]:
        return False
    if not target.on_cpu or not node.op.has("contraction"):
        return True
    return math.prod(node.outputs[0].type.sizes[:-1]) <= MOST_ROWS


def backwards(stack: Variable, sources: tuple[Source, ...]) -> Variable:
    """The rows of a stack from the last to the first: from the order of the steps of a loop that goes backwards to that
    of its sequences, and back."""
    return static_read(stack, slice(None, None, -1), sources=sources)
