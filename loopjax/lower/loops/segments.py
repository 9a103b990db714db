"""Loops of known length by ``lax.scan``, cut into segments where what is stacked changes.

``lax.scan`` stacks an output at every step or at none. So a loop where only some steps are saved, or where no gradient
reaches the first steps, runs as one loop after the other: each stacks the outputs that are saved there. Where every
n-th step is saved, a loop over chunks of n steps stacks the last of each. ``out[2:5]`` of ten steps, for example, is
three segments, and only the second stacks.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax

from loopjax.ir.scan import SavedSteps, Scan
from loopjax.ir.schedule import Box
from loopjax.lower.loops import while_loop
from loopjax.lower.loops.checkpointed import nested, storing
from loopjax.lower.loops.combinators import (
    Rows,
    Step,
    chunked,
    entries,
    followed_by,
    joined,
    looped,
    reporting,
    unrolled,
)
from loopjax.lower.loops.far_taps import block
from loopjax.lower.loops.progress import Bar
from loopjax.lower.loops.row_blocks import in_row_blocks
from loopjax.lower.loops.step import Carry, Loop, Slices


class Segment(NamedTuple):
    """Steps ``start`` to ``stop``; every ``every``-th is stacked for the ``outputs`` at these positions."""

    start: int
    stop: int
    outputs: tuple[int, ...]
    every: int = 1

    @property
    def n_steps(self) -> int:
        return self.stop - self.start


def segments(op: Scan, frozen: int) -> list[Segment]:
    """The segments of a loop of known length, ``frozen`` steps being apart from the others."""
    assert op.n_steps is not None
    storage = [] if op.plan is None else op.plan.storage
    in_carry = {position for position, history in enumerate(storage) if history.kind == "stack"}
    stacked = [(position, output) for position, output in enumerate(op.outputs) if position not in in_carry]
    if all(output.saved.all or output.saved.last is not None for _, output in stacked):
        positions = tuple(position for position, output in stacked if output.saved.all)
        return [Segment(*ends, positions) for ends in pairwise((0, frozen, op.n_steps) if frozen else (0, op.n_steps))]
    pieces = [(position, piece) for position, output in stacked for piece in _pieces(output.saved, op)]
    ends = sorted({0, frozen, op.n_steps, *(end for _, piece in pieces for end in (piece.start, piece.stop))})
    found: list[Segment] = []
    for start, stop in pairwise(ends):
        within = [(position, piece) for position, piece in pieces if piece.start <= start and stop <= piece.stop]
        every = max((piece.step for _, piece in within), default=1)
        found.append(Segment(start, stop, tuple(position for position, _ in within), every))
    return found


def _pieces(saved: SavedSteps, op: Scan) -> list[range]:
    """The steps that are stacked, as ranges; of every n-th step, the first one, and chunks that end in a saved one."""
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
    """Run the segments one after the other."""
    n_steps, frozen = loop.op.n_steps, loop.plan.frozen
    assert n_steps is not None
    if loop.op.varies:
        loop = loop.masked(_first_kept(loop))
    slices, carry = loop.slices(n_steps), loop.carry()
    stacks: list[list[Any]] = [[] for _ in loop.op.outputs]
    parts = segments(loop.op, frozen)
    bar = Bar(loop.op.progress, sum(one.n_steps for one in parts if one.every == 1)) if loop.plan.report else None
    for segment in parts:
        part = entries(slices, segment.start, segment.stop)
        if frozen and segment.stop <= frozen:
            carry, part = lax.stop_gradient((carry, part))
            carry, rows = lax.stop_gradient(_steps(loop.frozen(), segment, bar)(carry, part))
        else:
            carry, rows = _steps(loop, segment, bar)(carry, part)
        for position, stack in zip(segment.outputs, rows, strict=True):
            stacks[position].append(stack)
    ran = carry.ran[1] if loop.op.varies else n_steps
    return loop.outputs(carry, [joined(tuple(parts)) for parts in stacks if parts], ran, loop.op.varies)


def _first_kept(loop: Loop) -> Any:
    """The first step of a loop of varying length that a gradient reaches."""
    last = loop.op.truncate_gradient
    return while_loop.first_of_last(loop.frozen(), last) if last > 0 else jnp.zeros((), "int32")


def _steps(loop: Loop, segment: Segment, bar: Bar | None) -> Step:
    """The steps of a segment, told to a progress bar."""
    loop = loop.stacking(segment.outputs)
    plan, count, nest = loop.plan, segment.n_steps, loop.plan.checkpoint
    if plan.block:
        return _every(chunked(block(loop), plan.block), segment.every)
    step = storing(loop.scan_step, nest)
    if segment.every > 1:
        silent = loop.stacking(())
        return chunked(followed_by(_plain(silent, storing(silent.scan_step, nest)), step), segment.every)
    if count == 1 and not plan.report and (nest is None or nest.flat):
        return unrolled(step)
    if nest is not None and not (nest.flat and plan.report):
        # A nest of one level fits any length.
        return nested(loop, replace(nest, boxes=(Box((count,)),)) if nest.flat else nest, bar)
    if bar is not None:
        counted = None if loop.mask is None else loop.counted
        return chunked(reporting(looped(step, plan.unroll), bar, counted), plan.report)
    return _plain(loop, step, plan.unroll if not segment.outputs or count % plan.unroll == 0 else 1)


def _plain(loop: Loop, step: Step, unroll: int = 1) -> Step:
    """A single loop over a step."""
    return looped(step, unroll) if loop.plan.rows == "apart" else in_row_blocks(loop, step)


def _every(run: Step, every: int) -> Step:
    """A run that keeps only every n-th row of its stacks."""

    def thinned(carry: Carry, slices: Slices) -> tuple[Carry, Rows]:
        carry, stacks = run(carry, slices)
        return carry, tuple(stack[every - 1 :: every] for stack in stacks)

    return thinned
