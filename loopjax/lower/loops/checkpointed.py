"""Loops that store few of their states for the gradient: nested loops, each iteration under ``jax.checkpoint``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.ad_checkpoint import checkpoint_name

from loopjax.ir.graph import Apply
from loopjax.ir.schedule import Box, Nest
from loopjax.lower.interpreter import rule
from loopjax.lower.loops import progress
from loopjax.lower.loops.chunks import Stacks
from loopjax.lower.loops.step import Carry, Loop, Slices

Run = Callable[[Carry, Slices], tuple[Carry, Stacks]]
Report = Callable[[Any, Any], None]

STORED = "loopjax.stored"


@rule("stored")
def _stored(node: Apply, args: Sequence[Any]) -> Sequence[Any]:
    name: Callable[[Any, str], Any] = checkpoint_name
    return [name(jnp.asarray(args[0]), STORED)]


def nested(loop: Loop, carry: Carry, slices: Slices, nest: Nest) -> tuple[Carry, Stacks]:
    """The steps of ``nest``: the carry after them and the stacks of what is kept.

    Of outputs that keep every n-th step, chunks of n steps stack their last alone. Progress is reported after each
    iteration of an outermost loop that has loops within, and after each box.
    """
    parts: list[Stacks] = []
    start = 0
    report = _reports(loop, nest)
    for box in nest.boxes:
        stop = start + box.n_steps
        part = jax.tree.map(lambda x, start=start, stop=stop: x[start:stop], slices)
        carry, stacks = _reporting(_box(loop, box, nest, report), report)(carry, part)
        parts.append(stacks)
        start = stop
    return carry, tuple(stack[0] if len(stack) == 1 else jnp.concatenate(stack) for stack in zip(*parts, strict=True))


def _box(loop: Loop, box: Box, nest: Nest, report: Report | None) -> Run:
    """Loops in each other; ``run`` is one iteration, ``steps`` long, of the level that comes next."""
    run, steps = step(loop, nest), 1
    for size in box.sizes[:0:-1]:
        run = _again(_loop(loop, run, size, steps, apart=box.apart and steps == 1))
        steps *= size
    return _loop(loop, _reporting(run, report) if steps > 1 else run, box.sizes[0], steps)


def _again(run: Run) -> Run:
    """Computed again for the gradient, from the state before it."""
    found: Run = jax.checkpoint(run, prevent_cse=False)
    return found


def step(loop: Loop, nest: Nest) -> Run:
    """One step that stores what the nest says."""
    run: Run = again(loop.scan_step, nest)
    return run


def again(run: Callable[..., Any], nest: Nest) -> Callable[..., Any]:
    """A step, computed again for the gradient but for what the nest says."""
    if nest.keep == "nothing":
        return jax.checkpoint(run, prevent_cse=False)
    policy = jax.checkpoint_policies.save_only_these_names(STORED) if nest.keep == "products" else nest.keep
    return jax.checkpoint(run, prevent_cse=False, policy=policy)


def _loop(loop: Loop, run: Run, size: int, steps: int, apart: bool = False) -> Run:
    """``run``, ``steps`` long, ``size`` times."""

    def several(carry: Carry, slices: Slices) -> tuple[Carry, Stacks]:
        if apart:
            carry, stacks = _last_apart(run, carry, slices)
        elif steps == 1:
            carry, stacks = lax.scan(run, carry, slices, length=size, unroll=loop.plan.unroll)
        else:
            grouped = jax.tree.map(lambda x: x.reshape(size, steps, *x.shape[1:]), slices)
            carry, stacks = lax.scan(run, carry, grouped, length=size)
            stacks = tuple(stack.reshape(-1, *stack.shape[2:]) for stack in stacks)
        kept = [loop.op.outputs[position].saved for position in loop.stacked]
        return carry, tuple(
            stack[-1:] if size * steps <= saved.every > 1 else stack for stack, saved in zip(stacks, kept, strict=True)
        )

    return several


def _last_apart(run: Run, carry: Carry, slices: Slices) -> tuple[Carry, Stacks]:
    """Single steps, of which the last is in no loop: where nothing reads the state after it, XLA leaves it out."""
    first, last = (jax.tree.map(lambda x, part=part: x[part], slices) for part in (slice(-1), -1))
    carry, stacks = lax.scan(run, carry, first)
    carry, rows = run(carry, last)
    return carry, tuple(jnp.concatenate([stack, row[None]]) for stack, row in zip(stacks, rows, strict=True))


def _reports(loop: Loop, nest: Nest) -> Report | None:
    """What tells the progress bar of the steps done, and of a value of theirs; ``None`` where there is no bar."""
    if not loop.plan.report:
        return None
    box = nest.boxes[0]
    first = box.n_steps // box.sizes[0] if len(box.sizes) > 1 else box.n_steps
    bar = progress.Bar(loop.op.progress, first, nest.n_steps)
    return lambda done, values: jax.debug.callback(bar, done, progress.witness(values))


def _reporting(run: Run, report: Report | None) -> Run:
    if report is None:
        return run

    def reported(carry: Carry, slices: Slices) -> tuple[Carry, Stacks]:
        after, stacks = run(carry, slices)
        report(slices.t[-1] + 1, (after, stacks))
        return after, stacks

    return reported
