"""Loops whose trip count only the run knows, in a form that every derivative of JAX goes through.

A ``while_loop`` has no reverse mode. Here steps are the leaves of a tree of nested scans: a node whose first step does
not run is skipped by ``lax.cond``, so the time is in proportion to the steps that run, and every node is computed again
for its gradient, which so stores the carries along one path, for each level as many as a node has children.

JAX's own reverse mode of a ``cond`` hands what its branches read, weights and sequences too, out of it as a copy for
each node. So where derivatives of reverse mode alone enclose the loop, and none flows to its sequences, a node has a
rule of its own, which takes the ``cond`` first and then the gradient of the branch. Forward mode goes through no such
rule, and no check of an index: there a node is under ``jax.checkpoint``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from loopjax.lower.index_checks import holds_checks
from loopjax.lower.loops.step import Loop, Slices
from loopjax.lower.loops.while_loop import State, advance, chosen, goes_on, start

Rows = tuple[tuple[Any, ...], ...]
Leaves = tuple[Any, ...]


def run(loop: Loop) -> list[Any]:
    """Runs until the condition or the most steps there can be; gradients flow through the last ``truncate_gradient`` of
    them where that is asked. Nothing is stacked: last rows and folds are in the carry."""
    n_steps, last = loop.op.n_steps, loop.op.truncate_gradient
    assert n_steps is not None
    state = start(loop)
    if 0 < last < n_steps:
        state = _before_the_last(loop.frozen(), state, last)
    leaves = min(n_steps, last) if last > 0 else n_steps
    fixed = loop.op.inputs(loop.plan.fixed).sequences
    rows = tuple(() if known else group for group, known in zip(loop.slices(n_steps).rows, fixed, strict=True))
    rows = jax.tree.map(lambda x: _grouped(x, state.t, leaves, loop.plan.levels), rows)
    after = _Tree(loop).node(0, state, rows)
    return loop.outputs(after.carry, (), after.t, may_be_short=True)


def _before_the_last(loop: Loop, state: State, count: int) -> State:
    """Where the last ``count`` steps begin, by a run to the end and a second one to there. Nothing flows back from
    there, unless it is the first step."""
    held = lax.stop_gradient(state)
    first = advance(loop, held, loop.limit()).t - count
    there = lax.stop_gradient(advance(loop, held, first))
    return chosen(first > 0, there, state)


class _Tree:
    """The nodes, by level: level 0 is the root, the last level are single steps."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self._levels = loop.plan.levels
        self._limit = loop.limit()
        self._known = loop.op.inputs(loop.plan.fixed).sequences
        self._has_rule = loop.plan.derivative == "reverse" and all(self._known) and not holds_checks(loop.op.body)

    def node(self, level: int, state: State, rows: Rows) -> State:
        """All steps of a node."""
        if level == len(self._levels):
            return self._step(state, rows)

        def child(before: State, part: Rows) -> tuple[State, None]:
            again = self.run if level + 1 == len(self._levels) else self._again
            return again(level + 1, before, part), None

        after: State = lax.scan(child, state, rows, length=self._levels[level])[0]
        return after

    def run(self, level: int, state: State, rows: Rows) -> State:
        """A node where its first step runs, else nothing."""
        found: State = lax.cond(self.active(state), partial(self.node, level), lambda state, rows: state, state, rows)
        return found

    def active(self, state: State) -> Any:
        """Whether the next step runs."""
        return goes_on(state, self._limit)

    def _again(self, level: int, state: State, rows: Rows) -> State:
        """``run``, computed again for its gradient."""
        if self._has_rule:
            return _by_own_rule(self, level, state)
        found: State = jax.checkpoint(partial(self.run, level), prevent_cse=False)(state, rows)
        return found

    def _step(self, state: State, rows: Rows) -> State:
        read = zip(rows, self.loop.rows_at(state.t), self._known, strict=True)
        slices = Slices(state.t, tuple(at if known else row for row, at, known in read))
        carry, result = self.loop.step(state.carry, slices)
        stopped = result.until[0] if self.loop.op.until else state.stopped
        return State(state.t + 1, stopped, carry, ())


def _by_own_rule(tree: _Tree, level: int, state: State) -> State:
    """A node that stores its inputs alone, and whose gradient is that of the branch that ran. Its steps read sequences
    by index."""
    rows: Rows = ((),) * len(tree.loop.op.sequences)
    inputs = [value for group in tree.loop.parts for value in group]
    flows = [not fixed and _is_float(value) for fixed, value in zip(tree.loop.plan.fixed, inputs, strict=True)]
    leaves, structure = jax.tree.flatten(state)
    moves = [*flows, *(_is_float(leaf) for leaf in leaves)]

    def joined(moving: Leaves, held: Leaves) -> tuple[_Tree, State]:
        first, second = iter(moving), iter(held)
        values = [next(first if one else second) for one in moves]
        loop = Loop(tree.loop.op, values[: len(inputs)])
        return _Tree(loop), jax.tree.unflatten(structure, values[len(inputs) :])

    @jax.custom_vjp
    def node(moving: Leaves, held: Leaves) -> State:
        here, state = joined(moving, held)
        return here.run(level, state, rows)

    def forward(moving: Leaves, held: Leaves) -> tuple[State, tuple[Leaves, Leaves]]:
        return node(moving, held), (moving, held)

    def backward(stored: tuple[Leaves, Leaves], cotangent: State) -> tuple[Leaves, None]:
        moving, held = stored
        here, state = joined(moving, held)
        into = _floats(state, cotangent)

        def ran() -> Leaves:
            def after(*moving: Any) -> Leaves:
                here, state = joined(moving, held)
                return _floats(state, here.node(level, state, rows))

            back: Callable[[Leaves], Leaves] = jax.vjp(after, *moving)[1]
            return back(into)

        def skipped() -> Leaves:
            return (*(jnp.zeros_like(value) for value in moving[: sum(flows)]), *into)

        return lax.cond(here.active(state), ran, skipped), None

    node.defvjp(forward, backward)
    values = [*inputs, *leaves]
    moving = tuple(value for value, one in zip(values, moves, strict=True) if one)
    held = tuple(value for value, one in zip(values, moves, strict=True) if not one)
    found: State = node(moving, held)
    return found


def _is_float(value: Any) -> bool:
    return bool(jnp.issubdtype(value.dtype, jnp.inexact))


def _floats(like: Any, values: Any) -> Leaves:
    """Of a tree of values those that stand where ``like`` has floats."""
    pairs = zip(jax.tree.leaves(like), jax.tree.leaves(values), strict=True)
    return tuple(value for one, value in pairs if _is_float(one))


def _grouped(x: Any, first: Any, count: int, levels: tuple[int, ...]) -> Any:
    """``count`` rows of a sequence as the tree reads them; rows behind the last are never read."""
    x = lax.dynamic_slice_in_dim(x, first, count)
    pad = [(0, math.prod(levels) - count), *[(0, 0)] * (x.ndim - 1)]
    return jnp.pad(x, pad).reshape(*levels, *x.shape[1:])
