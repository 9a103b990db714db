"""Step combinators: functions from steps to a step, which the loops of this folder are put together from.

A ``Step`` takes a carry and its inputs to the carry after it and rows, the values that are stacked. The same type
serves for a run of several steps: inputs and rows then have a leading axis with one entry per step. So they nest:

    chunked(reporting(looped(step, unroll=4), bar), 100)

is a loop of chunks of 100 steps, four an iteration, with an update of a progress bar after each chunk. A *chunk* is a
run of a fixed number of steps, compiled once as the body of an outer loop.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jax import lax

from loopjax.ir.fill import unwritten
from loopjax.lower.loops.progress import Bar
from loopjax.lower.max_of_batch import max_of_batch
from loopjax.lower.placement import placed, placement, zeros

Rows = tuple[Any, ...]
Step = Callable[[Any, Any], tuple[Any, Rows]]
State = TypeVar("State", bound=tuple[Any, ...])


def looped(step: Step, unroll: int = 1) -> Step:
    """Repeat a step by ``lax.scan``, ``unroll`` times in an iteration."""
    return lambda carry, inputs: lax.scan(step, carry, inputs, unroll=unroll)


def looped_until(
    step: Callable[[State], State], state: State, limit: Any, unroll: int, stops: Callable[[State], Any] | None
) -> State:
    """Repeat a step by ``lax.while_loop`` until ``limit`` steps are done, which the state counts first, or it stops.

    Several steps are an iteration where only the limit decides. Where it is a number, no step was done before, and none
    is left over of a multiple.
    """
    if stops is not None:
        return lax.while_loop(lambda now: (now[0] < limit) & ~stops(now), step, state)
    if unroll > 1:

        def steps(now: State) -> State:
            for _ in range(unroll):
                now = step(now)
            return now

        # Less than, and of nothing negative: where it knows the limit, XLA runs `t <= -1` once (jaxlib 0.10.2, CPU).
        whole = limit - limit % unroll if isinstance(limit, int) else jnp.maximum(limit - unroll + 1, 0)
        state = lax.while_loop(lambda now: now[0] < whole, steps, state)
        if isinstance(limit, int) and whole == limit:
            return state
    return lax.while_loop(lambda now: now[0] < limit, step, state)


def unrolled(*steps: Step) -> Step:
    """Run steps one after the other, written out."""

    def run(carry: Any, inputs: Any) -> tuple[Any, Rows]:
        found: list[Rows] = []
        for position, step in enumerate(steps):
            carry, rows = step(carry, entry(inputs, position))
            found.append(rows)
        return carry, tuple(map(jnp.stack, zip(*found, strict=True)))

    return run


def in_turn(*runs: tuple[Step, int]) -> Step:
    """Run steps in turn, each on as many inputs as stand beside it; their rows are joined."""

    def run(carry: Any, inputs: Any) -> tuple[Any, Rows]:
        found: list[Rows] = []
        start = 0
        for step, count in runs:
            carry, rows = step(carry, entries(inputs, start, start + count))
            found.append(rows)
            start += count
        return carry, tuple(map(joined, zip(*found, strict=True)))

    return run


def chunked(run: Step, size: int) -> Step:
    """Loop over chunks of ``size`` steps; steps left over are one shorter chunk."""

    def chunks(carry: Any, inputs: Any) -> tuple[Any, Rows]:
        n_steps = len(jax.tree.leaves(inputs)[0])
        length = min(size, n_steps)
        whole, rest = divmod(n_steps, length)

        def several(carry: Any, inputs: Any) -> tuple[Any, Rows]:
            grouped = jax.tree.map(lambda x: x.reshape(whole, length, *x.shape[1:]), inputs)
            carry, stacks = lax.scan(run, carry, grouped)
            return carry, tuple(x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]) for x in stacks)

        return in_turn((several, n_steps - rest), *([(run, rest)] if rest else []))(carry, inputs)

    return chunks


def followed_by(run: Step, last: Step) -> Step:
    """Run all steps but one, and ``last`` for that one, in no loop; their rows are joined where ``run`` has any."""

    def both(carry: Any, inputs: Any) -> tuple[Any, Rows]:
        before, final = entries(inputs, None, -1), entry(inputs, -1)
        carry, stacks = run(carry, before)
        carry, rows = last(carry, final)
        rows = tuple(row[None] for row in rows)
        return carry, tuple(map(joined, zip(stacks, rows, strict=True))) if stacks else rows

    return both


def rematerialised(step: Step, policy: Callable[..., Any] | None = None) -> Step:
    """Recompute a step for its gradient instead of storing its residuals, except those that a policy saves."""
    # Within a loop XLA cannot merge the recomputation with the first run: preventing that costs time for nothing.
    return jax.checkpoint(step, prevent_cse=False, policy=policy)


def reporting(run: Step, bar: Bar | None, counted: Callable[[Any], tuple[Any, Any, Any]] | None = None) -> Step:
    """Tell a progress bar of the steps done after each run, at no cost to the steps.

    ``counted`` tells of the carry of a masked loop how many steps are done of how many, and if another one follows.
    """
    if bar is None:
        return run

    def reported(carry: Any, slices: Any) -> tuple[Any, Rows]:
        result = run(carry, slices)
        if counted is None:
            bar.report(len(slices.t), slices.t[0] == 0, result)
        else:
            (before, *_), (after, limit, active) = counted(carry), counted(result[0])
            bar.report_at(before, after, limit, active)
        return result

    return reported


def predicated(step: Step, is_active: Callable[[Any], Any]) -> Step:
    """Run a step whose results count only where ``is_active`` holds of the carry, by a select.

    Elsewhere the carry stays, and the rows must not be read. No gradient flows through a ``while_loop``, so that a
    select is enough: the double-where trick (JAX FAQ) is not needed.
    """

    def masked(carry: Any, inputs: Any) -> tuple[Any, Rows]:
        after, rows = step(carry, inputs)
        active = is_active(carry)
        nothing = tuple(placed(unwritten(row.shape, row.dtype), placement(row)) for row in rows)
        return select(active, after, carry), select(active, rows, nothing)

    return masked


def skipping(step: Step, is_active: Callable[[Any], Any]) -> Step:
    """Run a step where ``is_active`` holds of the carry, by ``lax.cond``; elsewhere its rows are zeros.

    Of a batch (``jax.vmap``) all are run where any is active, so that the step must leave the others as they are.
    """

    def skipped(carry: Any, inputs: Any) -> tuple[Any, Rows]:
        rows = jax.eval_shape(step, carry, inputs)[1]
        return carry, tuple(map(zeros, rows))

    return lambda carry, inputs: lax.cond(max_of_batch(is_active(carry)), step, skipped, carry, inputs)


def select(condition: Any, values: Any, others: Any) -> Any:
    """One tree of arrays or the other; leaves that are the same array in both need no choice."""
    return jax.tree.map(lambda x, y: x if x is y else jnp.where(condition, x, y), values, others)


def entry(inputs: Any, position: int) -> Any:
    """The inputs of one step of a run."""
    return jax.tree.map(lambda x: x[position], inputs)


def entries(inputs: Any, start: int | None, stop: int | None) -> Any:
    """The inputs of some steps of a run."""
    return jax.tree.map(lambda x: x[start:stop], inputs)


def joined(parts: tuple[Any, ...]) -> Any:
    """Stacks one after the other as one."""
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts)
