"""What every way of running a loop shares: its arrays, its carry, one step, and its outputs."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from loopjax.ir.fill import fill_value
from loopjax.ir.plan import LoopPlan
from loopjax.ir.scan import BodyInputs, SavedSteps, Scan, StepResult
from loopjax.lower.interpreter import as_array, evaluate
from loopjax.lower.loops import accumulate
from loopjax.lower.loops import history as histories


class Carry(NamedTuple):
    """What a step hands to the next: the past of each output, the states and the folds."""

    pasts: tuple[Any, ...]
    states: tuple[Any, ...]
    accumulators: tuple[Any, ...]


class Slices(NamedTuple):
    """What steps read besides: their numbers, for each sequence and tap a row for each step, and what was drawn
    ahead."""

    t: Any
    rows: tuple[tuple[Any, ...], ...]
    samples: tuple[Any, ...] = ()


class Loop:
    """A scan with its input arrays: what every way of running it shares."""

    def __init__(self, op: Scan, args: Sequence[Any]) -> None:
        assert op.plan is not None
        self.op = op
        self.plan: LoopPlan = op.plan
        self.parts = op.inputs([arg if _is_key(arg) else jnp.asarray(arg) for arg in args])
        step = op.results([variable.type for variable in op.body.outputs])
        self.types = (*step.recurrences, *step.maps)
        self.stacked = tuple(at for at, output in enumerate(op.outputs) if output.saved.last is None)

    def carry(self) -> Carry:
        """The carry before the first step."""
        pasts = [
            histories.start(history, _first_rows(output.depth, history.size, initial, output.windowed))
            for output, history, initial in zip(
                self.op.recurrences, self.plan.storage, self.parts.initials, strict=False
            )
        ]
        for history, type in zip(self.plan.storage[len(pasts) :], self.types[len(pasts) :], strict=True):
            pasts.append(histories.start(history, jnp.zeros((history.size, *type.sizes), type.dtype)))
        types = [self.types[fold.output] for fold in self.op.accumulators]
        accumulators = [
            accumulate.start(fold, type.sizes, type.dtype)
            for fold, type in zip(self.op.accumulators, types, strict=True)
        ]
        return Carry(tuple(pasts), self.parts.states, tuple(accumulators))

    def limit(self) -> Any:
        """The most steps there can be, int32."""
        if self.op.dynamic:
            return self.parts.n_steps[0].astype("int32")
        return jnp.asarray(self.op.n_steps, "int32")

    def slices(self, n_steps: int) -> Slices:
        """What ``n_steps`` steps read, in the order in which they run."""
        rows = []
        for spec, x in zip(self.op.sequences, self.parts.sequences, strict=True):
            length = x.shape[0] - spec.span
            group = []
            for tap in spec.taps:
                first = tap - spec.low
                if self.op.go_backwards:
                    part = x[first + length - n_steps : first + length]
                    group.append(part[::-1])
                else:
                    group.append(x[first : first + n_steps])
            rows.append(tuple(group))
        return Slices(jnp.arange(n_steps, dtype="int32"), tuple(rows))

    def rows_at(self, t: Any) -> tuple[tuple[Any, ...], ...]:
        """What step ``t`` reads of the sequences: for each, a row for each tap."""
        found = []
        for spec, x in zip(self.op.sequences, self.parts.sequences, strict=True):
            place = x.shape[0] - spec.span - 1 - t if self.op.go_backwards else t
            rows = [
                lax.dynamic_index_in_dim(x, place + (tap - spec.low), keepdims=False, allow_negative_indices=False)
                for tap in spec.taps
            ]
            found.append(tuple(rows))
        return tuple(found)

    def keys(self, t: Any) -> tuple[Any, ...]:
        """What step ``t`` draws with."""
        number = self.limit() - 1 - t if self.op.counts_down else t
        return tuple(jax.random.fold_in(key, number) for key in self.parts.keys)

    def samples(self, t: Any) -> tuple[Any, ...]:
        """The random draws of a block of steps from step ``t`` on: an array for each draw, with a row for each step."""
        assert self.op.samples is not None
        draws = self.op.samples.draws

        def of_step(t: Any) -> tuple[Any, ...]:
            return tuple(evaluate(draws, [*self.keys(t), *self.parts.non_sequences]))

        found: tuple[Any, ...] = jax.vmap(of_step)(t + jnp.arange(self.plan.sampled, dtype="int32"))
        return found

    def step(self, carry: Carry, slices: Slices) -> tuple[Carry, StepResult]:
        """One step: the carry after it, and what the body gave."""
        t = slices.t
        past = tuple(
            tuple(histories.read(history, values, tap) for tap in recurrence.taps)
            for recurrence, history, values in zip(self.op.recurrences, self.plan.storage, carry.pasts, strict=False)
        )
        given = BodyInputs(slices.rows, past, carry.states, self.keys(t), self.parts.non_sequences, slices.samples)
        result = self.op.results([as_array(value) for value in evaluate(self.op.body, given.flat())])
        values = (*result.recurrences, *result.maps)
        pasts = tuple(
            histories.push(history, old, value, t)
            for history, old, value in zip(self.plan.storage, carry.pasts, values, strict=True)
        )
        accumulators = tuple(
            accumulate.push(fold, old, values[fold.output])
            for fold, old in zip(self.op.accumulators, carry.accumulators, strict=True)
        )
        return Carry(pasts, result.states, accumulators), result

    def scan_step(self, carry: Carry, slices: Slices) -> tuple[Carry, tuple[Any, ...]]:
        """One step as ``lax.scan`` takes it."""
        after, result = self.step(carry, slices)
        return after, self.kept(result)

    def frozen(self) -> Loop:
        """The same loop with nothing flowing back from it, and so nothing stored for that."""
        parts = [value for group in self.parts for value in group]
        op = replace(self.op, plan=replace(self.plan, checkpoint=None))
        return Loop(op, [lax.stop_gradient(value) for value in parts])

    def stacking(self, outputs: Sequence[int]) -> Loop:
        """The same loop, of whose outputs those at these positions are stacked."""
        found = copy(self)
        found.stacked = tuple(outputs)
        return found

    def kept(self, result: StepResult) -> tuple[Any, ...]:
        """Of a step's values those that are stacked: all but those whose last rows alone are read."""
        values = (*result.recurrences, *result.maps)
        return tuple(values[position] for position in self.stacked)

    def outputs(self, carry: Carry, stacks: Sequence[Any], n_steps: Any, may_be_short: bool = False) -> list[Any]:
        """The scan's outputs after ``n_steps`` steps: stacks of the outputs that keep all, and the others' last
        rows."""
        stacked = iter(stacks)
        found: list[Any] = []
        for position, output in enumerate(self.op.outputs):
            if output.saved.last is None:
                found.append(next(stacked))
                continue
            found.append(self._last(carry, position, output.saved, n_steps, may_be_short))
        length = [jnp.asarray(n_steps, dtype="int64")] if self.op.until else []
        return [*found, *carry.states, *self.folded(carry, n_steps), *length]

    def folded(self, carry: Carry, n_steps: Any) -> list[Any]:
        """What was gathered in the carry over ``n_steps`` steps."""
        pairs = zip(self.op.accumulators, carry.accumulators, strict=True)
        return [accumulate.finish(fold, value, n_steps) for fold, value in pairs]

    def _last(self, carry: Carry, position: int, saved: SavedSteps, n_steps: Any, may_be_short: bool) -> Any:
        type = self.types[position]
        count = saved.last if self.op.dynamic else saved.rows(self.op.n_steps)
        if not count:
            return jnp.zeros((0, *type.sizes), type.dtype)
        rows = histories.last(self.plan.storage[position], carry.pasts[position], count, n_steps)
        if not may_be_short:
            return rows
        ran = jnp.arange(count, 0, -1) <= n_steps
        return only(ran, rows, jnp.asarray(fill_value(rows.dtype), rows.dtype))


def only(ran: Any, rows: Any, others: Any) -> Any:
    """The rows of steps that ``ran``, and ``others`` in the place of the rest."""
    return jnp.where(ran.reshape(-1, *[1] * (rows.ndim - 1)), rows, others)


def _is_key(value: Any) -> bool:
    return isinstance(value, jax.Array) and jnp.issubdtype(value.dtype, jax.dtypes.prng_key)


def _first_rows(depth: int, size: int, initial: Any, windowed: bool) -> Any:
    """The ``size`` rows before step 0; those older than the initial value are never read."""
    rows = initial[:depth] if windowed else initial[None]
    if size == depth:
        return rows
    return jnp.concatenate([jnp.zeros((size - depth, *rows.shape[1:]), rows.dtype), rows])
