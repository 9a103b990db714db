"""Loops of linear recurrences: a parallel scan over the steps' coefficients, and everything else for all steps at
once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from loopjax.ir.fill import unwritten
from loopjax.ir.op import OP_TABLE, computed
from loopjax.ir.scan import BodyInputs, LinearRecurrence
from loopjax.lower.interpreter import as_array, evaluate
from loopjax.lower.loops import accumulate
from loopjax.lower.loops.step import Carry, Loop, Slices, only

Steps = tuple[Any, ...]
"""The factor and the term of each step, or of several in a row, each where it has one: ``(n_steps, *state)``."""


def run(loop: Loop) -> list[Any]:
    """All states first, each from those that it reads, then what the steps give beside them."""
    n_steps = loop.op.n_steps
    assert n_steps is not None
    slices = loop.slices(n_steps)
    first = [past[0] for past in loop.carry().pasts[: len(loop.op.recurrences)]]
    before = [jnp.broadcast_to(value, (n_steps, *value.shape)) for value in first]
    states: dict[int, Any] = {}
    for part in loop.op.linear:
        found = _states(part, _coefficients(loop, part, slices, tuple(before)), first[part.recurrence], n_steps)
        states[part.recurrence] = found
        if not part.last:
            before[part.recurrence] = jnp.concatenate([first[part.recurrence][None], found[:-1]])
    stacks = [states[position] for position in range(len(first))]
    stacks.extend(_maps(loop, slices, tuple(before)))
    rows = [
        stack[stack.shape[0] - count :] if (count := output.saved.rows(n_steps)) is not None else stack
        for output, stack in zip(loop.op.outputs, stacks, strict=True)
    ]
    if loop.op.dynamic:
        ran = slices.t < loop.limit()
        rows = [only(ran, row, unwritten(row.shape, row.dtype)) for row in rows]
    return [*rows, *(accumulate.whole(fold, stacks[fold.output]) for fold in loop.op.accumulators)]


def _coefficients(loop: Loop, part: LinearRecurrence, slices: Slices, before: tuple[Any, ...]) -> Steps:
    """The factor and term of each step, of as many axes as the state, the term of its shape."""
    type = loop.types[part.recurrence]

    def step(one: Slices, pasts: tuple[Any, ...]) -> Steps:
        given = BodyInputs(one.rows, tuple((past,) for past in pasts), (), loop.keys(one.t), loop.parts.non_sequences)
        found = [as_array(value) for value in evaluate(part.coefficients, given.flat())]
        if part.has_term:
            found[-1] = jnp.broadcast_to(found[-1], type.sizes)
        if part.has_factor and part.times in OP_TABLE:
            found[0] = found[0].reshape((1,) * (type.ndim - found[0].ndim) + found[0].shape)
        return tuple(found)

    return jax.vmap(step)(slices, before)


def _maps(loop: Loop, slices: Slices, before: tuple[Any, ...]) -> tuple[Any, ...]:
    """What steps give that no other step reads."""
    if not loop.op.maps:
        return ()
    whole = Loop(replace(loop.op, accumulators=()), [value for group in loop.parts for value in group])

    def step(one: Slices, pasts: tuple[Any, ...]) -> Any:
        carry = Carry((*((past,) for past in pasts), *[()] * len(loop.op.maps)), (), ())
        return whole.step(carry, one)[1].maps

    found: tuple[Any, ...] = jax.vmap(step)(slices, before)
    return found


def _states(part: LinearRecurrence, steps: Steps, first: Any, n_steps: int) -> Any:
    """The state after each step, or after the last alone."""
    if not part.plus:
        return steps[0]
    combine = _combine(part)
    whole = _reduced(combine, steps, n_steps) if part.last else lax.associative_scan(combine, steps)
    after: Any = jax.vmap(lambda *one: _applied(part, one, first))(*whole)
    return after


def _combine(part: LinearRecurrence) -> Callable[[Steps, Steps], Steps]:
    """The steps ``first`` and then ``second`` as one, in each row."""

    def combine(first: Steps, second: Steps) -> Steps:
        factor = (_product(part, first[0], second[0]),) if part.has_factor else ()
        if not part.has_term:
            return factor
        return (*factor, jax.vmap(lambda term, *step: _applied(part, step, term))(first[-1], *second))

    return combine


def _product(part: LinearRecurrence, first: Any, second: Any) -> Any:
    if part.times == "right":
        return first @ second
    if part.times == "left":
        return second @ first
    return computed(part.times, second, first)


def _applied(part: LinearRecurrence, step: Steps, state: Any) -> Any:
    """The state after a step, or after several as one."""
    if part.has_factor:
        factor = step[0]
        if part.times == "right":
            state = state @ factor
        elif part.times == "left":
            state = factor @ state
        else:
            state = computed(part.times, factor, state)
    return computed(part.plus, state, step[-1]) if part.has_term else state


def _reduced(combine: Callable[[Steps, Steps], Steps], steps: Steps, count: int) -> Steps:
    """All steps as one, by halves."""
    while count > 1:
        half = count // 2
        pairs = combine(*(tuple(x[start : 2 * half : 2] for x in steps) for start in (0, 1)))
        odd = count % 2
        steps = tuple(
            jnp.concatenate([pair, x[count - 1 :]]) if odd else pair for pair, x in zip(pairs, steps, strict=True)
        )
        count = half + odd
    return steps
