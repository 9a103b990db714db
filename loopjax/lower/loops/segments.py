"""Loops of which some steps alone are kept: one loop after the other, of which some stack their steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from loopjax.ir.scan import Scan
from loopjax.ir.schedule import Box, Nest
from loopjax.lower.loops import checkpointed, far_taps, progress, row_blocks
from loopjax.lower.loops.chunks import Stacks
from loopjax.lower.loops.step import Carry, Loop, Slices

Step = Callable[[Carry, Slices], tuple[Carry, Stacks]]


class Segment(NamedTuple):
    """Steps from ``start`` to ``stop``, and the positions of the outputs of which one of ``every`` so many is
    stacked."""

    start: int
    stop: int
    outputs: tuple[int, ...]
    every: int = 1


def segments(op: Scan, frozen: int) -> list[Segment]:
    """A loop of known length cut where what is stacked changes, and behind the steps that are ``frozen``."""
    assert op.n_steps is not None
    pieces = [(position, piece) for position, output in enumerate(op.outputs) for piece in _pieces(output.saved, op)]
    ends = sorted({0, frozen, op.n_steps, *(end for _, piece in pieces for end in (piece.start, piece.stop))})
    found: list[Segment] = []
    for start, stop in pairwise(ends):
        within = [(position, piece) for position, piece in pieces if piece.start <= start and stop <= piece.stop]
        every = max((piece.step for _, piece in within), default=1)
        found.append(Segment(start, stop, tuple(position for position, _ in within), every))
    return found


def _pieces(saved: Any, op: Scan) -> list[range]:
    """The steps that are stacked, as ranges of steps; of every n-th step, the first one, and chunks that end in one."""
    if saved.last is not None:
        return []
    if saved.steps is None:
        return [range(op.n_steps or 0)]
    found: list[range] = []
    for steps in saved.steps:
        if steps.step == 1:
            found.append(steps)
        else:
            found += [range(steps.start, steps.start + 1), range(steps.start + 1, steps.stop, steps.step)]
    return found


def run(loop: Loop) -> list[Any]:
    """Steps one after the other."""
    n_steps, frozen = loop.op.n_steps, loop.plan.frozen
    assert n_steps is not None
    slices, carry = loop.slices(n_steps), loop.carry()
    stacks: list[list[Any]] = [[] for _ in loop.op.outputs]
    for segment in segments(loop.op, frozen):
        is_frozen = segment.stop <= frozen
        part = _part(slices, segment.start, segment.stop)
        if is_frozen:
            carry, part = lax.stop_gradient((carry, part))
        current = (loop.frozen() if is_frozen else loop).stacking(segment.outputs)
        carry, rows = _steps(current, carry, part, segment)
        if is_frozen:
            carry, rows = lax.stop_gradient((carry, rows))
        for position, stack in zip(segment.outputs, rows, strict=True):
            stacks[position].append(stack)
    return loop.outputs(carry, [_joined(parts) for parts in stacks if parts], n_steps)


def _joined(parts: list[Any]) -> Any:
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts)


def _part(slices: Slices, start: int, stop: int) -> Slices:
    return jax.tree.map(lambda x: x[start:stop], slices)


def _steps(loop: Loop, carry: Carry, slices: Slices, segment: Segment) -> tuple[Carry, Stacks]:
    """The steps of a segment: the carry after them and the stacks of what is kept."""
    count, plan = segment.stop - segment.start, loop.plan
    nest = plan.checkpoint
    if plan.block:
        carry, stacks = far_taps.run(loop, carry, slices, count)
        return carry, tuple(stack[segment.every - 1 :: segment.every] for stack in stacks)
    step = loop.scan_step if nest is None else checkpointed.step(loop, nest)
    if segment.every > 1:
        return _every(loop, step, carry, slices, segment)
    if count == 1 and not plan.report and (nest is None or nest.flat):
        carry, rows = step(carry, jax.tree.map(lambda x: x[0], slices))
        return carry, tuple(row[None] for row in rows)
    if nest is not None and not (nest.flat and plan.report):
        return checkpointed.nested(loop, carry, slices, _nest(nest, count))
    if plan.report:
        return progress.run(loop, step, carry, slices, count)
    return _run(loop, step, carry, slices, count, plan.unroll if not segment.outputs or count % plan.unroll == 0 else 1)


def _run(loop: Loop, step: Step, carry: Carry, slices: Slices, count: int, unroll: int = 1) -> tuple[Carry, Stacks]:
    """The steps by a scan, ``unroll`` in an iteration where their rows are not written in groups."""
    if loop.plan.rows != "apart":
        return row_blocks.run(loop, step, carry, slices, count)
    return lax.scan(step, carry, slices, length=count, unroll=unroll)


def _nest(nest: Nest, n_steps: int) -> Nest:
    """The nest of so many steps, of one that nothing but the length decides."""
    return nest if nest.n_steps == n_steps else replace(nest, boxes=(Box((n_steps,)),))


def _every(loop: Loop, step: Step, carry: Carry, slices: Slices, segment: Segment) -> tuple[Carry, Stacks]:
    """Chunks of steps that stack their last one."""
    size = segment.every
    silent = loop.stacking(())
    quiet = silent.scan_step if loop.plan.checkpoint is None else checkpointed.step(silent, loop.plan.checkpoint)

    def chunk(carry: Carry, part: Slices) -> tuple[Carry, Stacks]:
        carry, _ = _run(silent, quiet, carry, jax.tree.map(lambda x: x[:-1], part), size - 1)
        return step(carry, jax.tree.map(lambda x: x[-1], part))

    grouped = jax.tree.map(lambda x: x.reshape(-1, size, *x.shape[1:]), slices)
    return lax.scan(chunk, carry, grouped)
