"""The bounded while loop: a reverse-differentiable ``while_loop``, as nested scans under ``cond`` and ``checkpoint``.

``lax.while_loop`` has no reverse mode. With a bound on the steps, the loop can be a tree of nested scans whose leaves
are the steps (the method of Equinox's ``bounded_while_loop``; a tree of checkpoints as in Griewank and Walther 2000).
A node whose first step does not run is skipped by ``lax.cond``, so that the time is in proportion to the steps that
run. Every node is rematerialised for its gradient, which so stores the carries along one path: for each level as many
as a node has children. For example 500 steps of ``until`` are 8 x 8 x 8 leaves:

    looped(cond(checkpoint(looped(cond(checkpoint(looped(cond(step))))))))

Nothing is stacked: last rows and accumulators are in the carry, and ``plan`` chooses the tree only where those suffice.

JAX's own reverse mode of a ``cond`` hands what its branches read, weights and sequences too, out of it as a copy for
each node. So where only reverse mode encloses the loop, and no derivative flows to its sequences, a node has a rule of
its own, which takes the ``cond`` first and then the gradient of the branch. Forward mode goes through no such rule, nor
does the check of an index: there a node is under ``jax.checkpoint``.
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
from loopjax.lower.loops.combinators import Rows, Step, looped, rematerialised, skipping
from loopjax.lower.loops.step import Loop, Slices
from loopjax.lower.loops.while_loop import State, before_last, goes_on, start
from loopjax.lower.partition import is_float, merge, partition

Groups = tuple[Rows, ...]
"""The rows of each sequence, one for each tap; none of a sequence that steps read by index."""


def run(loop: Loop) -> list[Any]:
    """Run until the condition holds, or to the most steps there can be.

    Gradients flow through the last ``truncate_gradient`` of them, where that is asked.
    """
    n_steps, last = loop.op.n_steps, loop.op.truncate_gradient
    assert n_steps is not None
    state = before_last(loop, last) if 0 < last < n_steps else start(loop)
    leaves = min(n_steps, last) if last > 0 else n_steps
    tree = _Tree(loop)
    groups = [() if fixed else rows for rows, fixed in zip(loop.slices(n_steps).rows, tree.fixed, strict=True)]
    rows = jax.tree.map(lambda x: _as_leaves(x, state.t, leaves, loop.plan.levels), tuple(groups))
    after, _ = tree.node(0)(state, rows)
    return loop.outputs(after.carry, (), after.t, may_be_short=True)


class _Tree:
    """The nodes by level: level 0 is the root, single steps are the last level.

    A node is a ``Step`` of a ``State`` and of its part of the sequences' rows.
    """

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.levels = loop.plan.levels
        self.fixed = loop.op.inputs(loop.plan.fixed).sequences
        self.active = partial(goes_on, loop.limit())
        self._has_rule = loop.plan.derivative == "reverse" and all(self.fixed) and not holds_checks(loop.op.body)

    def node(self, level: int) -> Step:
        """All steps of a node."""
        if level == len(self.levels):
            return self._leaf
        below = level + 1
        child = self.where_active(below)
        if below < len(self.levels):
            child = partial(_with_rule, self, below) if self._has_rule else rematerialised(child)
        return looped(child, length=self.levels[level])

    def where_active(self, level: int) -> Step:
        """A node where its first step runs, else nothing."""
        return skipping(self.node(level), self.active)

    def _leaf(self, state: State, groups: Groups) -> tuple[State, Rows]:
        read = zip(groups, self.loop.rows_at(state.t), self.fixed, strict=True)
        slices = Slices(state.t, tuple(by_index if fixed else rows for rows, by_index, fixed in read))
        carry, result = self.loop.step(state.carry, slices)
        stopped = result.until[0] if self.loop.op.until else state.stopped
        return State(state.t + 1, stopped, carry, ()), ()


def _with_rule(tree: _Tree, level: int, state: State, groups: Groups) -> tuple[State, Rows]:
    """A node that stores only its inputs, and whose gradient is that of the branch that ran.

    Its steps read sequences by index, so that ``groups`` are empty.
    """
    inputs = [value for group in tree.loop.parts for value in group]
    leaves, structure = jax.tree.flatten(state)
    flows = [not fixed and is_float(value) for fixed, value in zip(tree.loop.plan.fixed, inputs, strict=True)]
    values, moves = [*inputs, *leaves], [*flows, *map(is_float, leaves)]

    def tree_of(moving: Rows, held: Rows) -> tuple[_Tree, State]:
        found = merge(moving, held, moves)
        loop = Loop(tree.loop.op, found[: len(inputs)])
        return _Tree(loop), jax.tree.unflatten(structure, found[len(inputs) :])

    @jax.custom_vjp
    def node(moving: Rows, held: Rows) -> State:
        here, state = tree_of(moving, held)
        return here.where_active(level)(state, groups)[0]

    def forward(moving: Rows, held: Rows) -> tuple[State, tuple[Rows, Rows]]:
        return node(moving, held), (moving, held)

    def backward(stored: tuple[Rows, Rows], cotangent: State) -> tuple[Rows, None]:
        moving, held = stored
        here, state = tree_of(moving, held)
        into = _floats(state, cotangent)

        def ran() -> Rows:
            def after(*moving: Any) -> Rows:
                here, state = tree_of(moving, held)
                return _floats(state, here.node(level)(state, groups)[0])

            pull: Callable[[Rows], Rows] = jax.vjp(after, *moving)[1]
            return pull(into)

        def skipped() -> Rows:
            return (*(jnp.zeros_like(value) for value in moving[: sum(flows)]), *into)

        return lax.cond(here.active(state), ran, skipped), None

    node.defvjp(forward, backward)
    return node(*partition(values, moves)), ()


def _floats(like: Any, values: Any) -> Rows:
    """The leaves of a tree of values where ``like`` has floats."""
    return partition(jax.tree.leaves(values), [is_float(leaf) for leaf in jax.tree.leaves(like)])[0]


def _as_leaves(x: Any, first: Any, count: int, levels: tuple[int, ...]) -> Any:
    """``count`` rows of a sequence in the shape of the tree; the rows of leaves past them are never read."""
    x = lax.dynamic_slice_in_dim(x, first, count)
    pad = [(0, math.prod(levels) - count), *[(0, 0)] * (x.ndim - 1)]
    return jnp.pad(x, pad).reshape(*levels, *x.shape[1:])
