"""Loops whose trip count only the run knows (``until``, or a length that is a value), and counted loops of which
iterations of several steps leave a few over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
import jax.numpy as jnp
from jax import lax

from loopjax.ir.fill import unwritten
from loopjax.lower.loops import progress
from loopjax.lower.loops.chunks import Stacks
from loopjax.lower.loops.step import Carry, Loop, Slices


class State(NamedTuple):
    """What goes round: steps done, whether ``until`` was true, the carry, and a buffer for each output kept whole."""

    t: Any
    stopped: Any
    carry: Carry
    buffers: tuple[Any, ...]


Step = Callable[[State], tuple[State, Stacks]]
"""A step: the state after it, of which the buffers are as they were, and the rows to write there."""

T = TypeVar("T")


def run(loop: Loop) -> list[Any]:
    """Runs until the condition or the most steps there can be."""
    state = advance(loop, start(loop), loop.limit())
    may_be_short = loop.op.dynamic or any((output.saved.last or 0) > 1 for output in loop.op.outputs)
    stacks = [lax.slice_in_dim(buffer, 0, loop.op.n_steps) for buffer in state.buffers]
    return loop.outputs(state.carry, stacks, state.t, may_be_short)


def start(loop: Loop) -> State:
    """Before the first step. Where groups of steps are written, there are rows for whole ones."""
    outputs = zip(loop.types, loop.op.outputs, strict=True)
    kept = [type for type, output in outputs if output.saved.last is None]
    n_steps, size = loop.op.n_steps or 0, loop.plan.unroll if _is_grouped(loop) else 1
    rows = -(-n_steps // size) * size
    buffers = tuple(unwritten((rows, *type.sizes), type.dtype) for type in kept)
    return State(jnp.zeros((), "int32"), jnp.zeros((), "bool"), loop.carry(), buffers)


def advance(loop: Loop, state: State, limit: Any) -> State:
    """From ``state`` until the condition, or until ``limit`` steps were done since the first."""
    bar = progress.Bar(loop.op.progress, loop.plan.report, loop.op.n_steps)

    def step(before: State, samples: tuple[Any, ...] = ()) -> tuple[State, Stacks]:
        carry, result = loop.step(before.carry, Slices(before.t, loop.rows_at(before.t), samples))
        stopped = result.until[0] if loop.op.until else before.stopped
        if loop.plan.report:
            progress.report(bar, loop.plan.report, before.t + 1)
        return State(before.t + 1, stopped, carry, before.buffers), loop.kept(result)

    if not loop.plan.sampled:
        return _steps(loop, step, state, limit)
    return _in_blocks(loop, step, state, limit, loop.plan.sampled)


def _in_blocks(
    loop: Loop, step: Callable[[State, tuple[Any, ...]], tuple[State, Stacks]], state: State, limit: Any, size: int
) -> State:
    """The same, of a ``step`` that takes what it draws, which is drawn for so many steps at once."""

    def block(first: State) -> State:
        rows = loop.samples(first.t)

        def drawing(now: State) -> tuple[State, Stacks]:
            place = now.t - first.t
            return step(now, tuple(lax.dynamic_index_in_dim(row, place, keepdims=False) for row in rows))

        return _steps(loop, drawing, first, jnp.minimum(first.t + size, limit))

    return lax.while_loop(_goes_on(loop, limit), block, state)


def _steps(loop: Loop, step: Step, state: State, limit: Any) -> State:
    """Steps one after the other, several in an iteration where the plan says so."""
    if _is_grouped(loop):
        return _in_groups(step, state, limit, loop.plan.unroll)

    def written(now: State) -> State:
        after, rows = step(now)
        return _written(after, now.t, [row[None] for row in rows])

    if loop.plan.unroll > 1:
        state = _several_at_once(written, state, limit, loop.plan.unroll)
    return lax.while_loop(_goes_on(loop, limit), written, state)


def _written(state: State, t: Any, blocks: Sequence[Any]) -> State:
    """The state with blocks of rows in its buffers, from step ``t`` on."""
    buffers = tuple(
        lax.dynamic_update_slice_in_dim(buffer, block, t, 0, allow_negative_indices=False)
        for buffer, block in zip(state.buffers, blocks, strict=True)
    )
    return state._replace(buffers=buffers)


def _goes_on(loop: Loop, limit: Any) -> Callable[[State], Any]:
    return (lambda now: goes_on(now, limit)) if loop.op.until else (lambda now: now.t < limit)


def goes_on(state: State, limit: Any) -> Any:
    """Whether the next step runs."""
    return (state.t < limit) & ~state.stopped


def _several_at_once(step: Callable[[State], State], state: State, limit: Any, count: int) -> State:
    """All but the last few steps, ``count`` in an iteration."""

    def steps(now: State) -> State:
        for _ in range(count):
            now = step(now)
        return now

    # Less than, and of nothing negative: where it knows the limit, XLA runs `t <= -1` once (jaxlib 0.10.2, CPU).
    last = jnp.maximum(limit - count + 1, 0)
    return lax.while_loop(lambda now: now.t < last, steps, state)


def _is_grouped(loop: Loop) -> bool:
    return loop.plan.rows != "apart"


def _in_groups(step: Step, state: State, limit: Any, count: int) -> State:
    """``count`` steps in an iteration: those behind the end are computed as well, and change nothing. Whether the loop
    goes on, which the host has to wait for on a GPU, is asked once for all of them."""

    def group(first: State) -> State:
        now, found = first, []
        for at in range(count):
            after, rows = step(now)
            if at:
                goes = goes_on(now, limit)
                nothing = tuple(unwritten(row.shape, row.dtype) for row in rows)
                after, rows = chosen(goes, after, now), chosen(goes, rows, nothing)
            now = after
            found.append(rows)
        return _written(now, first.t, [jnp.stack(rows) for rows in zip(*found, strict=True)])

    return lax.while_loop(lambda now: goes_on(now, limit), group, state)


def chosen(condition: Any, values: T, others: T) -> T:
    """One tree of arrays or the other, of which some may be the same."""
    found: T = jax.tree.map(
        lambda one, other: one if one is other else jnp.where(condition, one, other), values, others
    )
    return found
