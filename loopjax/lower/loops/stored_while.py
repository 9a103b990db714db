"""``stored_while``: a loop of dynamic trip count under a derivative, which runs no step past its length."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from loopjax.lower.loops import far_taps
from loopjax.lower.loops.checkpointed import storing
from loopjax.lower.loops.combinators import Rows
from loopjax.lower.loops.dynamic_scan import Repeated, dynamic_scan, while_scan
from loopjax.lower.loops.progress import Bar
from loopjax.lower.loops.step import Carry, Loop, Slices
from loopjax.lower.loops.while_loop import before_last
from loopjax.lower.max_of_batch import max_of_batch

State = tuple[Any, Carry]
"""True once ``until`` holds, and the carry."""


def run(loop: Loop) -> list[Any]:
    """Run the steps that there are. Gradients flow through the last ``truncate_gradient`` of them, if that is asked."""
    n_steps, last = loop.op.n_steps, loop.op.truncate_gradient
    assert n_steps is not None
    if loop.plan.block:
        return far_taps.run(loop)
    slices, first, carry = loop.slices(n_steps), loop.placed(jnp.zeros((), "int32")), loop.carry()
    before: Rows = ()
    if 0 < last < n_steps:
        first, _, carry, before = before_last(loop, last)
        slices = jax.tree.map(lambda x: lax.dynamic_slice_in_dim(x, first, last), slices)
    # The rule of `dynamic_scan` has no forward mode.
    scan = dynamic_scan if loop.plan.derivative == "reverse" else while_scan
    stops = (lambda state: state[0]) if loop.op.until else None
    constants = loop.parts._replace(sequences=(), initials=(), states=())
    state: State = (loop.placed(jnp.zeros((), "bool")), carry)
    bar = Bar(loop.op.progress)
    repeated = Repeated(_step(loop, bar), stops, unroll=loop.plan.unroll)
    (_, carry), stacks, ran = scan(repeated, constants, state, slices, loop.limit() - first)
    if loop.plan.report:
        bar.report_at(first + ran, first + ran, loop.limit())
    if before:
        stacks = [lax.dynamic_update_slice_in_dim(old, new, first, 0) for old, new in zip(before, stacks, strict=True)]
    return loop.outputs(carry, stacks, first + ran, may_be_short=True)


def _step(loop: Loop, bar: Bar) -> Any:
    """A step that reads the loop's inputs from its first argument."""
    report = loop.plan.report

    def step(constants: Any, state: State, slices: Slices) -> tuple[State, Rows]:
        here = loop.with_parts(constants)

        def run(state: State, slices: Slices) -> tuple[State, Rows]:
            carry, result = here.step(state[1], slices)
            return (result.until[0] if loop.op.until else state[0], carry), loop.kept(result)

        if report:
            done = slices.t + 1
            told = partial(bar.report_at, done - report, done, here.limit())
            lax.cond(max_of_batch(done % report == 0), told, lambda: None)
        return storing(run, loop.plan.checkpoint)(state, slices)

    return step
