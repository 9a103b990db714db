"""Rematerialization: what a step stores for its gradient beside the state, and what is recomputed.

A cheap value costs less to recompute than to store and read back: a step's gradient reads it once, from memory that the
loop has meanwhile filled many times over. A product is expensive, and all that the gradient needs of it is the sum that
it goes into, for the gradient of a sum needs none of its terms. So the sums of products are stored
(``stored_products.py``), and the rest is recomputed from them and the state. An op that is neither, such as an inner
loop, a sort or a draw, is as expensive as a product, but storing its result saves nothing: its own gradient needs what
it computes within.
"""

from __future__ import annotations

import jax

from loopjax.ir.graph import Graph
from loopjax.ir.op import register, same_type
from loopjax.ir.schedule import PolicySchedule

STATES_ALONE = PolicySchedule(jax.checkpoint_policies.nothing_saveable)
"""Stores the state before each step, and recomputes all else."""


register("stored", None, same_type, "pointwise", "view")


def is_cheap(body: Graph) -> bool:
    """True where a step, except for its products, can be recomputed for about what storing it costs."""
    return all(node.op.has("contraction", "memory_bound") for node in body.applies)
