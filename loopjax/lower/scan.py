"""Lowering a scan as its plan says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from loopjax.lower import blocks, checkpoint, chunk_tree, progress, while_loop
from loopjax.lower.interpreter import rule
from loopjax.lower.loop import Carry, Loop, Slices
from loopjax.trace.graph import Apply
from loopjax.trace.loop import Scan
from loopjax.trace.types import fill_value


@rule(Scan)
def _scan(node: Apply, args: Sequence[Any]) -> Sequence[Any]:
    op = node.op
    assert isinstance(op, Scan)
    assert op.plan is not None
    if op.truncate_gradient == 0:
        args = [lax.stop_gradient(arg) for arg in args]
    with jax.named_scope(op.label):
        return KINDS[op.plan.kind](Loop(op, args))


def _empty(loop: Loop) -> list[Any]:
    rows = [(output.keep.last or 0) if loop.op.dynamic else 0 for output in loop.op.outputs]
    stacks = [
        jnp.full((count, *type.sizes), fill_value(type.dtype), type.dtype)
        for count, type in zip(rows, loop.types, strict=True)
    ]
    length = [jnp.zeros((), "int64")] if loop.op.until else []
    return [*stacks, *loop.parts.states, *loop.folded(loop.carry(), 0), *length]


def _inline(loop: Loop) -> list[Any]:
    slices = loop.slices(1)
    first = Slices(slices.t[0], jax.tree.map(lambda x: x[0], slices.rows))
    carry, result = loop.step(loop.carry(), first)
    return loop.outputs(carry, [value[None] for value in loop.kept(result)], 1)


def _vmap(loop: Loop) -> list[Any]:
    return _map(loop, jax.vmap)


def _batched(loop: Loop) -> list[Any]:
    return _map(loop, lambda step: lambda xs: lax.map(step, xs, batch_size=loop.plan.batch))


def _map(loop: Loop, vectorise: Callable[[Callable[[Slices], Any]], Callable[[Slices], Any]]) -> list[Any]:
    """All steps at once; where only the last are read, those alone."""
    n_steps = loop.op.n_steps
    assert n_steps is not None
    rows = [output.keep.rows(n_steps) or 0 for output in loop.op.outputs]
    run = max(rows, default=0)
    slices = jax.tree.map(lambda x: x[n_steps - run :], loop.slices(n_steps))

    def step(one: Slices) -> Any:
        return loop.step(Carry(((),) * len(rows), (), ()), one)[1].maps

    if not run:
        return [jnp.zeros((0, *type.sizes), type.dtype) for type in loop.types]
    return [stack[run - count :] for stack, count in zip(vectorise(step)(slices), rows, strict=True)]


def _static(loop: Loop) -> list[Any]:
    n_steps = loop.op.n_steps
    assert n_steps is not None
    slices = loop.slices(n_steps)
    free = loop.plan.frozen
    if not free:
        carry, stacks = _steps(loop, loop.carry(), slices, n_steps)
        return loop.outputs(carry, stacks, n_steps)
    first, second = _cut(slices, 0, free), _cut(slices, free, n_steps)
    frozen = loop.frozen()
    carry, early = _steps(frozen, frozen.carry(), lax.stop_gradient(first), free)
    carry, early = lax.stop_gradient((carry, early))
    carry, late = _steps(loop, carry, second, n_steps - free)
    stacks = tuple(jnp.concatenate(pair) for pair in zip(early, late, strict=True))
    return loop.outputs(carry, stacks, n_steps)


def _cut(slices: Slices, start: int, stop: int) -> Slices:
    return Slices(slices.t[start:stop], jax.tree.map(lambda x: x[start:stop], slices.rows))


def _steps(loop: Loop, carry: Carry, slices: Slices, n_steps: int) -> tuple[Carry, tuple[Any, ...]]:
    """Steps one after the other: the carry after them and the stacks of what is kept."""
    nest = loop.plan.checkpoint
    if loop.plan.block:
        return blocks.run(loop, carry, slices, n_steps)
    if nest is not None and not (nest.flat and loop.plan.report):
        return checkpoint.nested(loop, carry, slices, nest)
    step = loop.scan_step if nest is None else checkpoint.step(loop, nest)
    if loop.plan.report:
        return progress.run(loop, step, carry, slices, n_steps)
    return lax.scan(step, carry, slices, length=n_steps, unroll=loop.plan.unroll)


KINDS: dict[str, Callable[[Loop], list[Any]]] = {
    "empty": _empty,
    "inline": _inline,
    "vmap": _vmap,
    "batched": _batched,
    "scan": _static,
    "while": while_loop.run,
    "tree": chunk_tree.run,
}
"""How each kind of plan runs."""
