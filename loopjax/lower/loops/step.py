"""Shared by all loop lowerings: the carry, slices of sequences, evaluation of the body, assembly of outputs.

A ``Loop`` is a planned scan with its input arrays. ``Loop.step`` takes a ``Carry`` and the ``Slices`` of one step to
the carry after it and the body's results; the other files of this folder put loops together from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from loopjax.ir.fill import blank, filled
from loopjax.ir.plan import LoopPlan
from loopjax.ir.scan import BodyInputs, Parts, SavedSteps, Scan, StepResult
from loopjax.ir.types import jax_dtype
from loopjax.lower.interpreter import Rule, as_array, evaluate
from loopjax.lower.loops import accumulate
from loopjax.lower.loops import history as histories
from loopjax.lower.loops.combinators import select
from loopjax.lower.placement import Placement, in_types, placed, placement


class Carry(NamedTuple):
    """The values that a step hands to the next: the past of each output, the states and the accumulators.

    A masked loop also carries if ``until`` has held, and the number of steps so far.
    """

    pasts: tuple[Any, ...]
    states: tuple[Any, ...]
    accumulators: tuple[Any, ...]
    ran: tuple[Any, ...] = ()


class Slices(NamedTuple):
    """The inputs of a step, or of a run of steps along a leading axis.

    ``t`` is the step's number, ``rows`` has a row for each sequence and tap, ``samples`` are draws made for a block.
    """

    t: Any
    rows: tuple[tuple[Any, ...], ...]
    samples: tuple[Any, ...] = ()


class Mask(NamedTuple):
    """The inputs of step 0, which masked steps are given, and the first step that a truncated gradient reaches."""

    slices: tuple[tuple[Any, ...], ...]
    pasts: tuple[tuple[Any, ...], ...]
    states: tuple[Any, ...]
    first: Any


class Loop:
    """A planned scan with its input arrays; ``stacked`` are the positions of the outputs that are stacked.

    With a ``mask``, steps past the length do nothing and no gradient comes from them: they are given what step 0 is
    given, and their results are dropped. It is the double-where trick (JAX FAQ, "gradients contain NaN where using
    where") for loops: what is dropped is as valid as step 0, so that it cannot put NaN into a gradient.

    ``calls``, where given, runs the plain ops of the body in place of their rules. ``places`` are the placements of a
    step's results, where types have any, and ``ends`` that of the number of steps.
    """

    mask: Mask | None = None

    def __init__(self, op: Scan, args: Sequence[Any]) -> None:
        assert op.plan is not None
        self.op = op
        self.plan: LoopPlan = op.plan
        self.parts = op.inputs([arg if _is_key(arg) else jnp.asarray(arg) for arg in args])
        step = op.results([variable.type for variable in op.body.outputs])
        values = (*step.recurrences, *step.maps)
        self.types = tuple([type.with_dtype(jax_dtype(type.dtype)) for type in values])
        self.calls: Rule | None = None
        self.places: StepResult | None = None
        self.ends = Placement()
        if self.plan.kind != "empty" and in_types():
            self._settle()
        self.stacked = tuple(position for position in range(len(op.outputs)) if self._is_stacked(position))

    def _settle(self) -> None:
        """Place initial values, and the results of every step, as the first step places its results: a fixed point.

        Where the number of steps varies over devices, so do all results. Where all results vary, constants are cast
        before the loop: a gradient is summed over devices once, not at each step.
        """
        for _ in range(2 + len(self.types) + len(self.parts.states)):
            initials, states = self.parts.initials, self.parts.states
            held = self.with_parts(lax.stop_gradient(self.parts))
            found = jax.tree.map(placement, jax.eval_shape(held._first_result))
            ends = frozenset[str]().union(*(placement(count).varying for count in self.parts.n_steps))
            self.ends = Placement(ends.union(*(place.varying for place in found.until)))
            places = found._replace(
                recurrences=tuple(map(self._met, found.recurrences, initials)),
                maps=tuple(place.varying_over(self.ends.varying) for place in found.maps),
                states=tuple(map(self._met, found.states, states)),
            )
            self.parts = self.parts._replace(
                initials=tuple(map(placed, initials, places.recurrences)),
                states=tuple(map(placed, states, places.states)),
            )
            if places == self.places:
                break
            self.places = places
        axes = frozenset[str].intersection(*(place.varying for place in places.flat()))
        constants = tuple(placed(x, placement(x).varying_over(axes)) for x in self.parts.non_sequences)
        self.parts = self.parts._replace(non_sequences=constants)

    def _met(self, place: Placement, initial: Any) -> Placement:
        """The placement of a state: that of a step's result, which varies where its initial value does."""
        return place.varying_over(placement(initial).varying | self.ends.varying)

    def placed(self, values: Any, output: int | None = None) -> Any:
        """Values made here, placed like the steps of an output, or like the number of steps."""
        if self.places is None:
            return values
        like = self.ends if output is None else self.places.flat()[output]
        return jax.tree.map(lambda value: placed(value, like), values)

    def carry(self) -> Carry:
        """The carry before the first step."""
        pasts = [
            histories.start(history, self._first_rows(position, history.size))
            for position, history in enumerate(self.plan.storage)
        ]
        accumulators = []
        for spec in self.op.accumulators:
            value, count = accumulate.start(spec, self.types[spec.output], self.op.n_steps)
            accumulators.append(accumulate.Accumulated(self.placed(value, spec.output), self.placed(count)))
        ran = () if self.mask is None else self.placed((jnp.zeros((), "bool"), jnp.zeros((), "int32")))
        return Carry(tuple(pasts), self.parts.states, tuple(accumulators), ran)

    def _first_rows(self, position: int, size: int) -> Any:
        """The ``size`` rows of an output before step 0; those older than the initial value are never read."""
        type = self.types[position]
        if position >= len(self.op.recurrences):
            return self.placed(blank((size, *type.sizes), type.dtype), position)
        spec, initial = self.op.recurrences[position], self.parts.initials[position]
        rows = initial[: spec.depth] if spec.windowed else initial[None]
        if size == spec.depth:
            return rows
        return jnp.concatenate([self.placed(blank((size - spec.depth, *type.sizes), type.dtype), position), rows])

    def limit(self) -> Any:
        """The most steps there can be, as int32."""
        if self.op.dynamic:
            return self.parts.n_steps[0].astype("int32")
        return jnp.asarray(self.op.n_steps, "int32")

    def slices(self, n_steps: int) -> Slices:
        """The inputs of ``n_steps`` steps, in the order in which they run."""

        def rows(x: Any, first: int, end: int) -> Any:
            return x[end - n_steps : end][::-1] if self.op.go_backwards else x[first : first + n_steps]

        groups = [
            tuple(rows(x, tap - spec.low, tap - spec.low + x.shape[0] - spec.span) for tap in spec.taps)
            for spec, x in zip(self.op.sequences, self.parts.sequences, strict=True)
        ]
        return Slices(jnp.arange(n_steps, dtype="int32"), tuple(groups))

    def rows_at(self, t: Any) -> tuple[tuple[Any, ...], ...]:
        """The rows that step ``t`` reads, read by index: for each sequence, one for each tap."""
        found = []
        for spec, x in zip(self.op.sequences, self.parts.sequences, strict=True):
            row = x.shape[0] - spec.span - 1 - t if self.op.go_backwards else t
            rows = [
                lax.dynamic_index_in_dim(x, row + (tap - spec.low), keepdims=False, allow_negative_indices=False)
                for tap in spec.taps
            ]
            found.append(tuple(rows))
        return tuple(found)

    def keys(self, t: Any) -> tuple[Any, ...]:
        """The random keys of step ``t``."""
        number = self.limit() - 1 - t if self.op.counts_down else t
        return tuple(jax.random.fold_in(key, number) for key in self.parts.keys)

    def samples(self, t: Any) -> tuple[Any, ...]:
        """The random draws of a block of steps from step ``t`` on: an array for each draw, with a row for each step."""
        assert self.op.samples is not None
        draws = self.op.samples.draws

        def of_step(t: Any) -> tuple[Any, ...]:
            return tuple(evaluate(draws, [*self.keys(t), *self.parts.non_sequences]))

        return jax.vmap(of_step)(t + jnp.arange(self.plan.sampled, dtype="int32"))

    def step(self, carry: Carry, slices: Slices) -> tuple[Carry, StepResult]:
        """Run one step: the carry after it, and the body's results."""
        t = slices.t
        pasts = tuple(
            tuple(histories.read(history, values, tap) for tap in recurrence.taps)
            for recurrence, history, values in zip(self.op.recurrences, self.plan.storage, carry.pasts, strict=False)
        )
        read = (slices.rows, pasts, carry.states)
        if self.mask is not None:
            active = self.is_active(carry)
            read = select(active, read, self.mask[:3])
        result = self._result(BodyInputs(*read, self.keys(t), self.parts.non_sequences, slices.samples))
        if self.places is not None:
            result = jax.tree.map(placed, result, self.places)
        if self.mask is not None and self.op.truncate_gradient > 0:
            result = select(t < self.mask.first, lax.stop_gradient(result), result)
        values = (*result.recurrences, *result.maps)
        after = tuple(
            histories.push(history, old, value, t)
            for history, old, value in zip(self.plan.storage, carry.pasts, values, strict=True)
        )
        accumulators = tuple(
            accumulate.push(spec, old, values[spec.output])
            for spec, old in zip(self.op.accumulators, carry.accumulators, strict=True)
        )
        found = Carry(after, result.states, accumulators)
        if self.mask is None:
            return found, result
        found = found._replace(ran=(result.until[0] if self.op.until else carry.ran[0], carry.ran[1] + 1))
        return select(active, found, carry), result

    def _result(self, given: BodyInputs) -> StepResult:
        """The body's results."""
        returned = evaluate(self.op.body, given.flat(), self.calls)
        return self.op.results([_rounded(as_array(value)) for value in returned])

    def _first_result(self) -> StepResult:
        """The results of step 0, before they are placed."""
        t = jnp.int32(0)
        samples = tuple(row[0] for row in self.samples(t)) if self.plan.sampled else ()
        parts = self.parts
        given = BodyInputs(
            self.rows_at(t), self._first_pasts(), parts.states, self.keys(t), parts.non_sequences, samples
        )
        return self._result(given)

    def _first_pasts(self) -> tuple[tuple[Any, ...], ...]:
        """The past values that step 0 reads."""
        return tuple(
            tuple(x[spec.depth + tap] if spec.windowed else x for tap in spec.taps)
            for spec, x in zip(self.op.recurrences, self.parts.initials, strict=True)
        )

    def is_active(self, carry: Carry) -> Any:
        """True where the next step of a masked loop is not past its length."""
        stopped, done = carry.ran
        return (done < self.limit()) & ~stopped

    def counted(self, carry: Carry) -> tuple[Any, Any, Any]:
        """The steps done of a masked loop, the most there can be, and if another one follows."""
        return carry.ran[1], self.limit(), self.is_active(carry)

    def masked(self, first: Any) -> Loop:
        """The same loop, to run as many steps as there can be; gradients flow from step ``first`` on."""
        found = copy(self)
        found.mask = lax.stop_gradient(Mask(self.rows_at(0), self._first_pasts(), self.parts.states, first))
        return found

    def scan_step(self, carry: Carry, slices: Slices) -> tuple[Carry, tuple[Any, ...]]:
        """Run one step: the carry after it, and the values to stack."""
        after, result = self.step(carry, slices)
        return after, self.kept(result)

    def frozen(self) -> Loop:
        """The same loop with no gradient through it, and so nothing stored for one."""
        op = replace(self.op, plan=replace(self.plan, checkpoint=None))
        return Loop(op, [lax.stop_gradient(value) for group in self.parts for value in group])

    def with_parts(self, parts: Parts) -> Loop:
        """The same loop with other input arrays."""
        found = copy(self)
        found.parts = parts
        return found

    def stacking(self, outputs: Sequence[int]) -> Loop:
        """The same loop, which stacks the outputs at these positions."""
        found = copy(self)
        found.stacked = tuple(outputs)
        return found

    def kept(self, result: StepResult) -> tuple[Any, ...]:
        """The ``ys`` of a step, without outputs that save only last rows."""
        values = (*result.recurrences, *result.maps)
        return tuple(values[position] for position in self.stacked)

    def outputs(self, carry: Carry, stacks: Sequence[Any], n_steps: Any, may_be_short: bool = False) -> list[Any]:
        """The scan's outputs after ``n_steps`` steps.

        ``stacks`` are those of the outputs that are stacked; the rows of the others are in the carry, filled up
        where the loop ``may_be_short`` of them.
        """
        stacked = iter(stacks)
        found = [
            next(stacked)
            if self._is_stacked(position)
            else self._last(carry, position, output.saved, n_steps, may_be_short)
            for position, output in enumerate(self.op.outputs)
        ]
        length = [jnp.asarray(n_steps, dtype=int)] if self.op.until else []
        return [*found, *carry.states, *self.accumulated(carry, n_steps), *length]

    def accumulated(self, carry: Carry, n_steps: Any) -> list[Any]:
        """The results of the accumulators after ``n_steps`` steps."""
        pairs = zip(self.op.accumulators, carry.accumulators, strict=True)
        return [accumulate.finish(spec, value, n_steps) for spec, value in pairs]

    def _is_stacked(self, position: int) -> bool:
        """True for an output whose rows the loop stacks; those of others are in the carry."""
        return self.op.outputs[position].saved.last is None and self.plan.storage[position].kind != "stack"

    @property
    def _runs_once(self) -> bool:
        """True where the loop is known to run a step before it stops by its condition."""
        limit = (*self.parts.n_steps, self.op.n_steps)[0]
        is_number = isinstance(limit, (int, np.number, np.ndarray, jax.Array))
        is_known = is_number and not isinstance(limit, jax.core.Tracer)
        return self.op.until and is_known and bool(np.all(np.asarray(limit) > 0))

    def _last(self, carry: Carry, position: int, saved: SavedSteps, n_steps: Any, may_be_short: bool) -> Any:
        type = self.types[position]
        count = saved.last if self.op.dynamic else saved.rows(self.op.n_steps)
        if not count:
            return blank((0, *type.sizes), type.dtype)
        rows = histories.last(self.plan.storage[position], carry.pasts[position], count, n_steps)
        if not may_be_short or (count == 1 and self._runs_once):
            return rows
        ran = jnp.arange(count, 0, -1) <= n_steps
        return mask_rows(ran, rows, filled((), rows.dtype))


def mask_rows(ran: Any, rows: Any, others: Any) -> Any:
    """The rows of steps that ``ran``, and ``others`` in place of the rest."""
    return jnp.where(ran.reshape(-1, *[1] * (rows.ndim - 1)), rows, others)


def _rounded(value: Any) -> Any:
    """The result of a step, rounded where it is of 16 bits: XLA keeps more digits between steps that are unrolled."""
    bits = _BITS.get(str(value.dtype))
    return value if bits is None else lax.reduce_precision(value, *bits)


_BITS = {"float16": (5, 10), "bfloat16": (8, 7)}
"""Bits of the exponent and the mantissa."""


def _is_key(value: Any) -> bool:
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)
