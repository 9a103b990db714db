"""Loops of linear recurrences by ``lax.associative_scan`` (Blelloch 1990, section 1.4).

Each step is a pair of a factor and a term; a scan over the pairs gives the prefix of all steps up to each, and applying
it to the first state gives the state after it. All else of the body runs for all steps at once, by ``vmap``.
"""

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
from loopjax.lower.loops.step import Carry, Loop, Slices, mask_rows
from loopjax.lower.placement import placed, placement

Steps = tuple[Any, ...]
"""The factor and the term of each step, or of several in a row, as far as there are any: ``(n_steps, *state)``."""


def run(loop: Loop) -> list[Any]:
    """Compute all states, each from those that it reads, then the other results of all steps."""
    n_steps = loop.op.n_steps
    assert n_steps is not None
    slices = loop.slices(n_steps)
    first = [past[0] for past in loop.carry().pasts[: len(loop.op.recurrences)]]
    before = [jnp.broadcast_to(value, (n_steps, *value.shape)) for value in first]
    states: dict[int, Any] = {}
    for spec in loop.op.linear:
        found = _states(spec, _coefficients(loop, spec, slices, tuple(before)), first[spec.recurrence], n_steps)
        states[spec.recurrence] = found
        if not spec.last:
            before[spec.recurrence] = jnp.concatenate([first[spec.recurrence][None], found[:-1]])
    stacks = [states[position] for position in range(len(first))]
    stacks.extend(_maps(loop, slices, tuple(before)))
    rows = [
        stack[stack.shape[0] - count :] if (count := output.saved.rows(n_steps)) is not None else stack
        for output, stack in zip(loop.op.outputs, stacks, strict=True)
    ]
    if loop.op.dynamic:
        ran = slices.t < loop.limit()
        rows = [mask_rows(ran, row, placed(unwritten(row.shape, row.dtype), placement(row))) for row in rows]
    return [*rows, *(accumulate.whole(spec, stacks[spec.output]) for spec in loop.op.accumulators)]


def _coefficients(loop: Loop, spec: LinearRecurrence, slices: Slices, before: tuple[Any, ...]) -> Steps:
    """The factors and terms of all steps, with as many axes as the state, the terms of its shape."""
    type = loop.types[spec.recurrence]

    def step(slices: Slices, pasts: tuple[Any, ...]) -> Steps:
        taps = tuple((past,) for past in pasts)
        given = BodyInputs(slices.rows, taps, (), loop.keys(slices.t), loop.parts.non_sequences)
        found = [as_array(value) for value in evaluate(spec.coefficients, given.flat())]
        if spec.has_term:
            found[-1] = jnp.broadcast_to(found[-1], type.sizes)
        if spec.has_factor and spec.times in OP_TABLE:
            found[0] = found[0].reshape((1,) * (type.ndim - found[0].ndim) + found[0].shape)
        return tuple(found)

    return jax.vmap(step)(slices, before)


def _maps(loop: Loop, slices: Slices, before: tuple[Any, ...]) -> tuple[Any, ...]:
    """The map outputs of all steps."""
    if not loop.op.maps:
        return ()
    whole = Loop(replace(loop.op, accumulators=()), [value for group in loop.parts for value in group])

    def step(slices: Slices, pasts: tuple[Any, ...]) -> Any:
        carry = Carry((*((past,) for past in pasts), *[()] * len(loop.op.maps)), (), ())
        return whole.step(carry, slices)[1].maps

    return jax.vmap(step)(slices, before)


def _states(spec: LinearRecurrence, steps: Steps, first: Any, n_steps: int) -> Any:
    """The state after each step, or only after the last."""
    if not spec.plus:
        return steps[0]
    combine = _combine(spec)
    whole = _reduced(combine, steps, n_steps) if spec.last else lax.associative_scan(combine, steps)
    return jax.vmap(lambda *step: _applied(spec, step, first))(*whole)


def _combine(spec: LinearRecurrence) -> Callable[[Steps, Steps], Steps]:
    """The associative operator: in each row, step ``first`` and then ``second`` as one."""

    def combined(first: Steps, second: Steps) -> Steps:
        factor = (_product(spec, first[0], second[0]),) if spec.has_factor else ()
        if not spec.has_term:
            return factor
        return (*factor, jax.vmap(lambda term, *step: _applied(spec, step, term))(first[-1], *second))

    return combined


def _product(spec: LinearRecurrence, state: Any, factor: Any) -> Any:
    """A state times the factor of a step, or the factor of earlier steps times it."""
    if spec.times == "right":
        return state @ factor
    if spec.times == "left":
        return factor @ state
    return computed(spec.times, factor, state)


def _applied(spec: LinearRecurrence, step: Steps, state: Any) -> Any:
    """The state after a step, or after several that are one."""
    if spec.has_factor:
        state = _product(spec, state, step[0])
    return computed(spec.plus, state, step[-1]) if spec.has_term else state


def _reduced(combine: Callable[[Steps, Steps], Steps], steps: Steps, count: int) -> Steps:
    """Tree reduction of the steps by the associative operator, where only the last state is read."""
    while count > 1:
        half = count // 2
        pairs = combine(*(tuple(x[start : 2 * half : 2] for x in steps) for start in (0, 1)))
        odd = count % 2
        steps = tuple(
            jnp.concatenate([pair, x[count - 1 :]]) if odd else pair for pair, x in zip(pairs, steps, strict=True)
        )
        count = half + odd
    return steps
