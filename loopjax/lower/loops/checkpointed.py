"""Gradient checkpointing of loops: nested scans under ``jax.checkpoint``.

A nest of loops whose iterations are rematerialised: each level stores the carry before each of its iterations, and an
iteration is recomputed for its gradient. Two levels of ``sqrt(n)`` iterations store ``2 sqrt(n)`` states; deeper nests
trade recomputation for memory (Griewank and Walther 2000, Algorithm 799: revolve; here the length is known when the
loop is compiled, so that the schedule is static). The schedules are in ``loopjax/checkpoint``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from loopjax.ir.graph import Apply
from loopjax.ir.op import TableOp
from loopjax.ir.schedule import Box, Nest
from loopjax.lower.index_checks import holds_checks
from loopjax.lower.interpreter import rule
from loopjax.lower.loops.combinators import (
    Rows,
    Step,
    chunked,
    followed_by,
    in_turn,
    looped,
    rematerialised,
    reporting,
    skipping,
)
from loopjax.lower.loops.progress import Bar
from loopjax.lower.loops.step import Loop

STORED = "loopjax.stored"


@rule("stored")
def _stored(node: Apply, op: TableOp, args: Sequence[Any]) -> Sequence[Any]:
    name: Callable[[Any, str], Any] = checkpoint_name
    return [name(jnp.asarray(args[0]), STORED)]


def storing(step: Step, nest: Nest | None) -> Step:
    """A step that stores what the nest says, and recomputes the rest for its gradient."""
    if nest is None:
        return step
    if nest.keep == "nothing":
        return rematerialised(step)
    policies = jax.checkpoint_policies
    policy = policies.save_only_these_names(STORED)
    if nest.keep != "products":
        policy = policies.save_from_both_policies(policy, nest.keep)
    return rematerialised(step, policy)


def nested(loop: Loop, nest: Nest, bar: Bar | None) -> Step:
    """The loops of a nest, box after box.

    Progress is reported after each iteration of an outermost loop that has loops within, or after a box. A nest of a
    masked loop may have more steps than there are inputs: nothing reads those of the rest.
    """
    reported = partial(reporting, bar=bar, counted=None if loop.mask is None else loop.counted)
    run = in_turn(*((_box(loop, box, nest, reported), box.n_steps) for box in nest.boxes))

    def filled(carry: Any, slices: Any) -> tuple[Any, Rows]:
        count = len(slices.t)
        if count == nest.n_steps:
            return run(carry, slices)
        at = jnp.minimum(jnp.arange(nest.n_steps), count - 1)
        carry, stacks = run(carry, jax.tree.map(lambda x: x[at], slices))
        return carry, tuple(stack[:count] for stack in stacks)

    return filled


def _box(loop: Loop, box: Box, nest: Nest, reported: Callable[[Step], Step]) -> Step:
    step = storing(loop.scan_step, nest)
    skips = loop.mask is not None and not holds_checks(loop.op.body)
    *outer, steps = box.sizes
    innermost = followed_by(looped(step), step) if box.apart and outer else looped(step, loop.plan.unroll)
    run = _saving(loop, innermost if outer else reported(innermost), steps)
    for position in reversed(range(len(outer))):
        again = rematerialised(skipping(run, loop.is_active) if skips else run)
        run = chunked(again if position else reported(again), steps)
        steps *= outer[position]
        run = _saving(loop, run, steps)
    return run


def _saving(loop: Loop, run: Step, count: int) -> Step:
    """A run of ``count`` steps that stacks only its last row, for outputs that save no more rows than that."""
    every = [loop.op.outputs[position].saved.every for position in loop.stacked]
    if all(one == 1 for one in every):
        return run

    def saved(carry: Any, slices: Any) -> tuple[Any, Rows]:
        carry, stacks = run(carry, slices)
        return carry, tuple(x[-1:] if count <= one > 1 else x for x, one in zip(stacks, every, strict=True))

    return saved
