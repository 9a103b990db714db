"""Loops over minibatches whose examples have different lengths, as a loop whose steps know which examples run.

``scan(..., lengths=lengths)`` becomes an ordinary loop with one more sequence, the time, and a body that masks: where
``time < lengths`` an example runs, elsewhere its outputs are zero and its state keeps its value.

Masking the outputs alone would not do. Shapes of a step are fixed, so ``fn`` computes on every example in every step,
and what follows an example in its padding may be anything: zero times infinity is NaN in a derivative. So ``fn`` sees
the first step of an example again wherever the example does not run (the double-where trick of the JAX FAQ, for loops):
values that the loop computes in any case, with nothing flowing back through them.

For lengths 2 and 1, ``fn`` sees at the three times of a batch of two::

    time       0        1        2
    example 0  x[0, 0]  x[1, 0]  x[0, 0]  (masked)
    example 1  x[0, 1]  x[0, 1]  x[0, 1]  (masked from time 1)

``fn`` must not mix examples; nothing checks that it does not. ``until`` and updates of shared variables are refused.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import update_wrapper
from itertools import islice
from typing import Any, NamedTuple

from loopjax.errors import UnsupportedError, about, coded, source_of, user_source
from loopjax.ir.graph import Variable
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import Scan, SequenceInput
from loopjax.ir.types import KEY
from loopjax.trace.convert import as_variable, constant
from loopjax.trace.promotion import settle_weak
from loopjax.trace.scan_arguments import (
    InitialArgument,
    LoopArguments,
    SequenceArgument,
    check_takes,
    name_by_parameters,
    read_lengths,
    read_n_steps,
    read_outputs_info,
    read_sequences,
    shortest,
)
from loopjax.trace.step_results import Returned, read_returned


class Now(NamedTuple):
    """A step, for each lane: is an example ``running`` in it, which ``step`` of its own is that (0 where none runs),
    how long is it, and where two examples share the lane, is it the ``second``."""

    running: Variable
    step: Variable
    length: Variable
    second: Variable | None = None


class Ragged(ABC):
    """A loop over examples of different lengths, as ``arguments`` and ``options`` of an ordinary loop.

    An example runs in a lane: one index of axis 0 of what a step computes.
    """

    n_steps: Variable | int
    go_backwards: bool
    truncate_gradient: int
    sequences: list[dict[str, Any]]
    """The sequences to record; the last one is the time."""
    _starts: list[Variable]
    """The initial values to record."""
    _holds_last = False
    """True where the states of lanes that do not run keep their values, to be read after the loop."""

    def __init__(self, asked: LoopArguments, options: Scan, lengths: Any, only_last: bool) -> None:
        self.asked = asked
        self.asked_options = options
        self.only_last = only_last
        self._source = user_source()
        self._read = read_sequences(asked.sequences)
        self._info = read_outputs_info(asked.outputs_info)
        if only_last and (not self._info or None in self._info):
            raise coded(ValueError, "LJ102")("with lengths every output is a state; give each a value in outputs_info")
        self._states = [initial for initial in self._info or () if initial is not None]
        most = read_n_steps(asked.n_steps)
        self.lengths = self._checked(read_lengths(lengths), most)
        self._batch = ops.dim(self.lengths, 0)
        self._longest = ops.max(self.lengths)
        self._most = self._longest if most is None else most
        self._initials = self._starts = [self._initial(state) for state in self._states]

    @property
    def arguments(self) -> LoopArguments:
        """The arguments of the loop to record."""
        return self.asked._replace(
            fn=self.fn, sequences=self.sequences, outputs_info=self.outputs_info, n_steps=self.n_steps
        )

    @property
    def options(self) -> Scan:
        """The options of the loop to record."""
        backwards, truncated = self.go_backwards, self.truncate_gradient
        return replace(self.asked_options, go_backwards=backwards, counts_down=backwards, truncate_gradient=truncated)

    def _checked(self, lengths: Variable, most: Variable | int | None) -> Variable:
        """Return the lengths with a runtime check that no sequence is too short for them."""
        rows = [(ops.dim(read.variable, 0), read.name, SequenceInput(read.taps).span) for read in self._read]
        return ops.example_lengths(lengths, rows, self.asked_options.label, None if most is None else as_variable(most))

    def _initial(self, state: InitialArgument) -> Variable:
        """Return a state's initial value; no gradient reaches it from an example whose truncated steps begin later."""
        x = self._of_batch(state.variable, int(state.windowed), state.name)
        truncated = self.asked_options.truncate_gradient
        if truncated <= 0:
            return x
        before = (self.lengths > truncated).dimshuffle(*["x"] * state.windowed, 0)
        return named(x, select(before, ops.zero_grad(x), x))

    def _of_batch(self, x: Variable, axis: int, name: str) -> Variable:
        """Return an argument, checked to have as many entries along ``axis`` as there are examples."""
        if x.ndim <= axis:
            raise coded(ValueError, "LJ118")(f"{name} is {x.type}; with lengths its axis {axis} is that of examples")
        return named(x, ops.of_batch(x, self.lengths, axis, f"{self.asked_options.subject}: {name}"))

    @property
    def outputs_info(self) -> list[Any] | None:
        """The states to record."""
        if self._info is None:
            return None
        starts = iter(self._starts)
        return [
            None if state is None else {"initial": next(starts), "taps": [*self._taps(state)]} for state in self._info
        ]

    def _taps(self, state: InitialArgument) -> tuple[int, ...]:
        return (*state.taps, -1) if self._holds_last and -1 not in state.taps else state.taps

    @abstractmethod
    def now(self, time: Variable) -> Now:
        """Return the step at a time, or the steps at times of shape ``(n, 1)``."""

    @abstractmethod
    def slices(self, now: Now, read: Sequence[Variable]) -> list[Variable]:
        """Return what ``fn`` receives of sequences, in a step that has ``read`` these rows."""

    @abstractmethod
    def past(self, now: Now, position: int, tap: int, value: Variable) -> Variable:
        """Return what ``fn`` receives of a state, in a step whose carry holds ``value``."""

    @abstractmethod
    def results(self, stacks: Sequence[Variable]) -> list[Variable]:
        """Return the user's outputs, from those of the recorded loop."""

    @property
    def fn(self) -> Callable[..., Any]:
        """``step`` as a function with the name and the source line of the user's ``fn``."""

        def step(*arguments: Variable) -> Any:
            return self.step(*arguments)

        signature = inspect.signature(step)
        update_wrapper(step, self.asked.fn)
        step.__dict__["__signature__"] = signature
        return step

    def step(self, *arguments: Variable) -> Any:
        """Call ``fn`` on what each lane is to see, and mask its results."""
        rest = iter(arguments)
        read = list(islice(rest, sum(len(sequence.get("taps", [0])) for sequence in self.sequences[:-1])))
        now = self.now(next(rest))
        seen = self.slices(now, read)
        held: list[Variable] = []
        given = [*read]
        for position, state in enumerate(self._states):
            values = {tap: next(rest) for tap in self._taps(state)}
            given.extend(values[tap] for tap in state.taps)
            seen.extend(named(values[tap], self.past(now, position, tap, values[tap])) for tap in state.taps)
            held.append(values.get(-1, values[state.taps[0]]))
        seen.extend(rest)
        label = self.asked_options.label
        check_takes(self.asked.fn, seen, label)
        name_by_parameters(self.asked.fn, [*self._read, *self._states], seen)
        for outside, inside in zip(given, seen, strict=False):
            outside.name = inside.name
        result = self.asked.fn(*seen)
        with about(self.asked_options.subject):
            returned = read_returned(result, label)
            self._check(returned)
            info = self._info or [None] * len(returned.counts)
            if len(info) != len(returned.counts):
                return result  # that is an error of every loop
            info = returned.info(info)
            before = iter(held)
            states = [None if state is None else next(before) for state in info]
            numbered = enumerate(zip(returned.outputs, states, strict=True))
            outputs = [self._after(now, position, value, state) for position, (value, state) in numbered]
        return returned.grouped(outputs), list(returned.updates.items())

    def _check(self, returned: Returned) -> None:
        """Raise ``UnsupportedError`` for effects that belong to no example."""
        subject = self.asked_options.subject
        if returned.condition is not None:
            raise coded(UnsupportedError, "LJ113")(
                f"{subject}: until stops the loop for all examples, and with lengths some have ended before. "
                f"Leave until out, and count the steps in lengths{source_of(self.asked.fn)}"
            )
        updated = [key for key in returned.updates if key.dtype != KEY]
        if updated:
            raise coded(UnsupportedError, "LJ114")(
                f"{subject}: fn updates {updated}, which belongs to no example, and with lengths some have "
                f"ended. Make it a state, with an entry in outputs_info{source_of(self.asked.fn)}"
            )

    def _after(self, now: Now, position: int, value: Variable, before: Variable | None) -> Variable:
        """Return an output of a step, masked and with its gradient truncated."""
        if before is not None:
            value = settle_weak(value, before.dtype)
            if not before.type.accepts(value.type):
                return value  # that is an error of every loop
        lanes = now.running.type.shape[0]
        if not value.ndim or (None not in (lanes, value.type.shape[0]) and lanes != value.type.shape[0]):
            raise coded(ValueError, "LJ118")(
                f"output {position} of a step is {value.type}; with lengths its axis 0 is that of "
                f"examples{source_of(self.asked.fn)}"
            )
        truncated = self.asked_options.truncate_gradient
        if self.truncate_gradient < 0 < truncated:
            value = select(now.step >= now.length - truncated, value, ops.zero_grad(value))
        return self._masked(now, value, before)

    @abstractmethod
    def _masked(self, now: Now, value: Variable, before: Variable | None) -> Variable:
        """Return an output of a step, with what lanes that do not run give in its place."""


class LanePerExample(Ragged):
    """Every example has a lane of its own.

    All are at the same time of their sequences: forwards they start together, backwards they end together.
    """

    def __init__(self, asked: LoopArguments, options: Scan, lengths: Any, only_last: bool) -> None:
        super().__init__(asked, options, lengths, only_last)
        self.go_backwards = options.go_backwards
        self._holds_last = only_last
        # Backwards, the last steps of the loop are the last ones of each example.
        keeps = options.go_backwards or not options.truncate_gradient
        self.truncate_gradient = options.truncate_gradient if keeps else -1
        # Where no example has a step, the last value of a state is the initial one: one step carries it there.
        self.n_steps = self._most if not only_last else ops.maximum(self._most, 1)
        sequences = [{"input": self._sequence(read), "taps": list(read.taps)} for read in self._read]
        rows = shortest(self._read) if self._read and not self.go_backwards else self.n_steps
        self.sequences = [*sequences, {"input": ops.arange(rows)}]

    def _sequence(self, sequence: SequenceArgument) -> Variable:
        """Return a sequence; backwards without the rows at whose times no example runs."""
        x = sequence.variable if sequence.variable.ndim == 1 else self._of_batch(sequence.variable, 1, sequence.name)
        stop = self.n_steps + SequenceInput(sequence.taps).span
        return named(x, ops.index(x, slice(None, stop))) if self.go_backwards else x

    def now(self, time: Variable) -> Now:
        running = time < self.lengths
        step = self.lengths - 1 - time if self.go_backwards else time
        return Now(running, ops.switch(running, step, 0), self.lengths)

    def slices(self, now: Now, read: Sequence[Variable]) -> list[Variable]:
        taps = [(sequence, tap) for sequence in self._read for tap in sequence.taps]
        return [
            row if not row.ndim else named(row, select(now.running, row, self._first(sequence, tap)))
            for row, (sequence, tap) in zip(read, taps, strict=True)
        ]

    def _first(self, sequence: SequenceArgument, tap: int) -> Variable:
        """Return what the first step of each example reads, with nothing flowing back from here."""
        first = ops.maximum(self.lengths - 1, 0) if self.go_backwards else self.lengths * 0
        rows = first + (tap - SequenceInput(sequence.taps).low)
        return ops.zero_grad(self._of_nonempty(ops.index(sequence.variable, (rows, ops.arange(self._batch)))))

    def _of_nonempty(self, values: Variable) -> Variable:
        """Return the examples' values, that of the longest for examples without steps: theirs may be anything."""
        longest = ops.index(values, ops.argmax(self.lengths))
        longest = ops.switch(self._longest > 0, longest, zero_like(values))
        return select(self.lengths > 0, values, longest)

    def past(self, now: Now, position: int, tap: int, value: Variable) -> Variable:
        state, initial = self._states[position], self._initials[position]
        depth = -min(state.taps)
        if not self.go_backwards:
            first = ops.index(initial, depth + tap) if state.windowed else initial
            return select(now.running, value, ops.zero_grad(self._of_nonempty(first)))
        if state.windowed:
            row = ops.minimum(now.step + (depth + tap), depth - 1)
            initial = ops.index(initial, (row, ops.arange(self._batch)))
        return select(now.step + tap >= 0, value, self._of_nonempty(initial))

    def _masked(self, now: Now, value: Variable, before: Variable | None) -> Variable:
        held = before if self._holds_last and before is not None else zero_like(value)
        return select(now.running, value, held)

    def results(self, stacks: Sequence[Variable]) -> list[Variable]:
        return [ops.index(stack, -1) for stack in stacks] if self.only_last else list(stacks)


def named(like: Variable, variable: Variable) -> Variable:
    """Return a variable, with the name of another one."""
    variable.name = like.name
    return variable


def select(where: Variable, value: Variable, other: Variable) -> Variable:
    """Return ``value`` where the mask ``where``, over its first axes, is true, and ``other`` elsewhere."""
    over = where.dimshuffle(*range(where.ndim), *["x"] * (value.ndim - where.ndim))
    return ops.switch(over, value, other)


def zero_like(like: Variable) -> Variable:
    """Return a zero of a variable's dtype."""
    return constant(0, dtype=like.dtype)
