"""Lowering to ``lax.while_loop`` with preallocated output buffers: ``until``, dynamic and counted loops.

For loops whose trip count only the run knows (``until``, or a length that is a value), and for counted loops where
iterations of several steps leave a few over, or draws are made for a block of steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from loopjax.ir.fill import unwritten
from loopjax.lower.loops.combinators import Rows, Step, looped_until, predicated, select, unrolled
from loopjax.lower.loops.progress import Bar
from loopjax.lower.loops.step import Carry, Loop, Slices

STEPS = "steps"
"""Axis name of the steps of a loop that all run at once."""


class State(NamedTuple):
    """The carry of the ``while_loop``: steps done, the value of ``until``, the loop's carry, and the stacks."""

    t: Any
    stopped: Any
    carry: Carry
    buffers: Rows


def run(loop: Loop) -> list[Any]:
    """Lowers a loop to ``lax.while_loop``: until its condition holds, or for its largest number of steps."""
    op = loop.op
    limit = loop.limit() if op.dynamic or op.n_steps is None else op.n_steps
    state = advance(loop, start(loop), limit)
    may_be_short = loop.op.dynamic or any((output.saved.last or 0) > 1 for output in loop.op.outputs)
    stacks = [lax.slice_in_dim(buffer, 0, loop.op.n_steps) for buffer in state.buffers]
    return loop.outputs(state.carry, stacks, state.t, may_be_short)


def start(loop: Loop) -> State:
    """The state before the first step. Buffers hold whole iterations where these write rows together."""
    n_steps, size = loop.op.n_steps or 0, 1 if loop.plan.rows == "apart" else loop.plan.unroll
    rows = -(-n_steps // size) * size
    buffers = tuple(
        loop.placed(unwritten((rows, *type.sizes), type.dtype), position)
        for position, (type, output) in enumerate(zip(loop.types, loop.op.outputs, strict=True))
        if output.saved.last is None
    )
    t, stopped = loop.placed((jnp.zeros((), "int32"), jnp.zeros((), "bool")))
    return State(t, stopped, loop.carry(), buffers)


def advance(loop: Loop, state: State, limit: Any) -> State:
    """Run from ``state`` until the condition holds, or until ``limit`` steps were done since the first."""
    run = partial(_advance, loop)
    return _reporting(loop, run, state, limit) if loop.plan.report else run(state, limit)


def _advance(loop: Loop, state: State, limit: Any) -> State:
    def step(before: State, samples: Rows) -> tuple[State, Rows]:
        carry, result = loop.step(before.carry, Slices(before.t, loop.rows_at(before.t), samples))
        stopped = result.until[0] if loop.op.until else before.stopped
        return State(before.t + 1, stopped, carry, before.buffers), loop.kept(result)

    if not loop.plan.sampled:
        return _steps(loop, step, state, limit)

    def sampling(first: State) -> State:
        samples = loop.samples(first.t)

        def sampled(now: State, _: Rows) -> tuple[State, Rows]:
            position = now.t - first.t
            take = partial(lax.dynamic_index_in_dim, index=position, keepdims=False, allow_negative_indices=False)
            return step(now, tuple(map(take, samples)))

        return _steps(loop, sampled, first, jnp.minimum(first.t + loop.plan.sampled, limit))

    return looped_until(sampling, state, limit, 1, _end(loop))


def _reporting(loop: Loop, run: Callable[[State, Any], State], state: State, limit: Any) -> State:
    """Run chunks of steps up to a limit, and tell a progress bar after each.

    Where only the run knows the length, a chunk is a tenth of the steps before it: a bound says little of them.
    Chunks are whole iterations.
    """
    bar, size, count = Bar(loop.op.progress), loop.plan.report, loop.plan.unroll

    def chunk(before: State) -> State:
        steps = jnp.maximum(before.t // 10, min(size, 100)) if loop.op.varies else size
        steps = (steps + count - 1) // count * count
        after = run(before, before.t + jnp.minimum(steps, limit - before.t))  # a sum past the limit may overflow
        bar.report_at(before.t, after.t, limit)
        return after

    after = looped_until(chunk, state, limit, 1, _end(loop))
    bar.report_at(after.t, after.t, limit)
    return after


def _steps(loop: Loop, step: Step, state: State, limit: Any) -> State:
    """Run steps one after the other, several in an iteration where the plan says so."""
    if loop.plan.rows != "apart":
        return _grouped(step, state, limit, loop.plan.unroll)

    def written(now: State) -> State:
        after, rows = step(now, ())
        return _write(after, now.t, [row[None] for row in rows])

    if loop.plan.lockstep:
        return _in_lockstep(written, state, limit)
    return looped_until(written, state, limit, loop.plan.unroll, _end(loop))


def _write(state: State, t: Any, blocks: Sequence[Any]) -> State:
    """The state with blocks of rows in its buffers, from step ``t`` on."""
    buffers = tuple(
        lax.dynamic_update_slice_in_dim(buffer, block, t, 0, allow_negative_indices=False)
        for buffer, block in zip(state.buffers, blocks, strict=True)
    )
    return state._replace(buffers=buffers)


def first_of_last(loop: Loop, count: int) -> Any:
    """The number of the first of the last ``count`` steps, or 0; where ``until`` decides, by a run to the end."""
    ran = advance(loop, start(loop), loop.limit()).t if loop.op.until else loop.limit()
    return jnp.maximum(ran - count, 0)


def before_last(loop: Loop, count: int) -> State:
    """The state before the last ``count`` steps, to which gradients flow where it is the first one."""
    held = loop.frozen()
    there = lax.stop_gradient(advance(held, start(held), first_of_last(held, count)))
    return there._replace(carry=select(there.t > 0, there.carry, loop.carry()))


def _end(loop: Loop) -> Callable[[State], Any] | None:
    """The condition by which a loop stops before its last step, where it has one."""
    return (lambda state: state.stopped) if loop.op.until else None


def _in_lockstep(step: Callable[[State], State], state: State, limit: Any) -> State:
    """Run the loops of all steps around together, as far as the longest goes; those that have ended are predicated."""

    def advanced(now: State) -> State:
        after = step(now)
        return after._replace(carry=select(now.t < limit, after.carry, now.carry))

    longest = lax.pmax(limit, STEPS)  # type: ignore[no-untyped-call]
    state = lax.while_loop(lambda now: now.t < longest, advanced, state)
    return state._replace(t=jnp.clip(limit, 0, state.t))


def _grouped(step: Step, state: State, limit: Any, count: int) -> State:
    """Run ``count`` steps in an iteration, those past the end predicated.

    The condition, which the host has to wait for on a GPU, is evaluated once for all of them.
    """

    def active(now: State) -> Any:
        return (now.t < limit) & ~now.stopped

    steps = unrolled(step, *[predicated(step, active)] * (count - 1))

    def group(first: State) -> State:
        now, blocks = steps(first, ())
        return _write(now, first.t, blocks)

    return lax.while_loop(active, group, state)
