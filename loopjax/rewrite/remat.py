"""What a step stores for its gradient beside the state, and what is computed again.

A value that is cheap to compute costs less to compute again than to store and read back: a step's gradient reads it
once, from memory that the loop has meanwhile filled many times over. A product is dear, and all that the gradient needs
of it is the sum that it goes into, for the gradient of a sum needs none of its terms. So the sums of products are
stored, and the rest is computed from them and the state. (What has neither trait, such as an inner loop, a sort or a
draw, is as dear, and storing its result saves nothing: its own gradient needs what it computes within.)
"""

from __future__ import annotations

import jax

from loopjax.ir.graph import Graph
from loopjax.ir.op import register, same_type
from loopjax.ir.schedule import PolicySchedule

LEAST_BYTES = 512
"""State from which computing again pays: below, a whole loop runs in cache. Measured for 1 to 20,000 float64 values on
two cores: tanh of 16 values 1.1 times as long, of 64 and of one even, 1,000 0.8, 20,000 0.65."""

STATES_ALONE = PolicySchedule(jax.checkpoint_policies.nothing_saveable)
"""Each step stores the state that it is given, and all that it computes is computed again."""


register("stored", None, same_type, "pointwise", "view")


def is_cheap(body: Graph) -> bool:
    """Whether a step can be computed again, but for its products, for about what storing it costs."""
    return all(node.op.has("contraction", "memory_bound") for node in body.applies)
