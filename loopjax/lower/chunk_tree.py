"""Loops whose trip count only the run knows, in a form that every derivative of JAX goes through.

A ``while_loop`` has no reverse mode. Here steps are the leaves of a tree of nested scans: a node whose first step does
not run is skipped by ``lax.cond``, so the time is in proportion to the steps that run, and every node is under
``jax.checkpoint``, so the gradient stores the carries along one path, for each level as many as a node has children.
What comes back is computed again, once a level.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from loopjax.lower import while_loop
from loopjax.lower.loop import Carry, Loop, Slices

Rows = tuple[tuple[Any, ...], ...]
Stacks = tuple[Any, ...]


def run(loop: Loop) -> list[Any]:
    """Runs until the condition or the most steps there can be; gradients flow through the last ``truncate_gradient`` of
    them where that is asked."""
    n_steps, last = loop.op.n_steps, loop.op.truncate_gradient
    assert n_steps is not None
    state = while_loop.start(loop)
    if 0 < last < n_steps:
        state = _before_the_last(loop.frozen(), state, last)
    leaves = min(n_steps, last) if last > 0 else n_steps
    size, levels = math.prod(loop.plan.levels), loop.plan.levels
    rows = jax.tree.map(lambda x: _grouped(x, state.t, leaves, levels), loop.slices(n_steps).rows)
    after, stacks = _Tree(loop).node(0, Progress(state.t, state.stopped, state.carry), rows)
    stacks = tuple(
        lax.dynamic_update_slice_in_dim(buffer, stack.reshape(size, *stack.shape[len(levels) :])[:leaves], state.t, 0)
        for buffer, stack in zip(state.buffers, stacks, strict=True)
    )
    return loop.outputs(after.carry, stacks, after.t, may_be_short=True)


def _before_the_last(loop: Loop, state: while_loop.State, count: int) -> while_loop.State:
    """Where the last ``count`` steps begin, by a run to the end and a second one to there. Nothing flows back from
    there, unless it is the first step."""
    held = lax.stop_gradient(state)
    first = while_loop.advance(loop, held, loop.limit()).t - count
    there = lax.stop_gradient(while_loop.advance(loop, held, first))
    begin: while_loop.State = jax.tree.map(lambda early, late: jnp.where(first > 0, late, early), state, there)
    return begin


class Progress(NamedTuple):
    """What goes from step to step: how many were done, whether ``until`` was true, and the carry."""

    t: Any
    stopped: Any
    carry: Carry


class _Tree:
    """The nodes, by level: level 0 is the root, the last level are single steps."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._limit = loop.limit()
        self._levels = loop.plan.levels
        outputs = zip(loop.types, loop.op.outputs, strict=True)
        self._kept = [type for type, output in outputs if output.keep.last is None]

    def node(self, level: int, state: Progress, rows: Rows) -> tuple[Progress, Stacks]:
        """All steps of a node."""
        if level == len(self._levels):
            return self._step(state, rows)

        def child(before: Progress, part: Rows) -> tuple[Progress, Stacks]:
            def runs(before: Progress, part: Rows) -> tuple[Progress, Stacks]:
                return self.node(level + 1, before, part)

            def skipped(before: Progress, part: Rows) -> tuple[Progress, Stacks]:
                shape = self._levels[level + 1 :]
                return before, tuple(jnp.zeros((*shape, *type.sizes), type.dtype) for type in self._kept)

            active = (before.t < self._limit) & ~before.stopped
            done: tuple[Progress, Stacks] = lax.cond(active, runs, skipped, before, part)
            return done

        leaf = level + 1 == len(self._levels)
        run = child if leaf else jax.checkpoint(child, prevent_cse=False)
        after: tuple[Progress, Stacks] = lax.scan(run, state, rows, length=self._levels[level])
        return after

    def _step(self, state: Progress, rows: Rows) -> tuple[Progress, Stacks]:
        carry, result = self._loop.step(state.carry, Slices(state.t, rows))
        stopped = result.until[0] if self._loop.op.until else state.stopped
        return Progress(state.t + 1, stopped, carry), self._loop.kept(result)


def _grouped(x: Any, first: Any, count: int, levels: tuple[int, ...]) -> Any:
    """``count`` rows of a sequence as the tree reads them; rows behind the last are never read."""
    x = lax.dynamic_slice_in_dim(x, first, count)
    pad = [(0, math.prod(levels) - count), *[(0, 0)] * (x.ndim - 1)]
    return jnp.pad(x, pad).reshape(*levels, *x.shape[1:])
