"""Examples of different lengths in one loop, recorded as a loop whose every step knows which examples are running.

An example that is not running takes part in each step all the same, since the shapes of a step are fixed. What it gives
is dropped; but zero times infinity is NaN in a derivative, and what follows an example in its sequences may be
anything. So it is given its own first step again, whose values the loop computes in any case.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import update_wrapper
from itertools import islice
from typing import Any, NamedTuple

from loopjax.errors import UnsupportedError, about, source_of, user_source
from loopjax.ir.graph import Variable
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import SequenceInput
from loopjax.ir.types import KEY
from loopjax.trace.convert import as_variable, constant
from loopjax.trace.promotion import settle_weak
from loopjax.trace.recording import current_body
from loopjax.trace.scan_arguments import (
    InitialArgument,
    Returned,
    SequenceArgument,
    check_takes,
    read_lengths,
    read_n_steps,
    read_outputs_info,
    read_returned,
    read_sequences,
    shortest,
)


class Packed:
    """``scan(..., lengths=Packed(v))``: examples that have ended cost nothing.

    The longest example shares a lane of the loop with the shortest, which starts when the other has ended, the next
    longest with the next shortest, and so on: half as many lanes as examples, each about as busy as the others. ``v``
    is what ``lengths`` is, results are where they are without. It pays where a step's time grows with the batch and
    lengths differ; where all are equal it only makes twice as many steps of half the size.

    ``fn`` sees lanes, ``(batch + 1) // 2`` of them, in place of examples. So what it uses from outside has no axis
    for examples, every sequence has one, and it draws nothing: ``UnsupportedError`` or an error of shapes otherwise.
    All stacked states are kept while the loop runs, in ``reduce`` too. Derivatives are those of ``scan``.
    """

    def __init__(self, lengths: Any) -> None:
        self.lengths = lengths

    def __repr__(self) -> str:
        return f"Packed({self.lengths!r})"


class Request(NamedTuple):
    """What ``scan`` was asked for. ``last``: the last values of states are returned, and nothing is stacked."""

    fn: Callable[..., Any]
    sequences: Any
    outputs_info: Any
    n_steps: Any
    lengths: Any
    go_backwards: bool
    truncate_gradient: int
    label: str
    last: bool = False


class Now(NamedTuple):
    """A step, for each lane: whether an example is running in it, which step of its own that is (0 where none is), how
    many it has, and where two examples share lanes, whether it is the second."""

    running: Variable
    step: Variable
    length: Variable
    second: Variable | None = None


class Ragged(ABC):
    """A loop over examples of different lengths, as one that ``record`` takes: of ``fn``, with these attributes."""

    n_steps: Variable | int
    go_backwards: bool
    truncate_gradient: int
    sequences: list[dict[str, Any]]
    """The last one is the time."""

    def __init__(self, asked: Request) -> None:
        self.asked = asked
        self._subject, self._source = f"scan {asked.label!r}", user_source()
        self._read = read_sequences(asked.sequences)
        self._info = read_outputs_info(asked.outputs_info)
        if asked.last and (not self._info or None in self._info):
            raise ValueError("with lengths every output is a state; give each an initial value in outputs_info")
        self._states = [initial for initial in self._info or () if initial is not None]
        most = read_n_steps(asked.n_steps)
        self.lengths = self._checked(read_lengths(asked.lengths), most)
        self._batch = ops.dim(self.lengths, 0)
        self._longest = ops.max(self.lengths)
        self._most = self._longest if most is None else most
        self._initials = [self._initial(one) for one in self._states]

    def _checked(self, lengths: Variable, most: Variable | int | None) -> Variable:
        rows = [(ops.dim(one.variable, 0), one.name, SequenceInput(one.taps).span) for one in self._read]
        return ops.example_lengths(lengths, rows, self.asked.label, None if most is None else as_variable(most))

    def _initial(self, state: InitialArgument) -> Variable:
        """A state's initial value; nothing flows back to it where the last steps that count do not begin there."""
        x = self._of_batch(state.variable, int(state.windowed), state.name)
        if self.asked.truncate_gradient <= 0:
            return x
        before = (self.lengths > self.asked.truncate_gradient).dimshuffle(*["x"] * state.windowed, 0)
        return _named(x, _select(before, ops.zero_grad(x), x))

    def _of_batch(self, x: Variable, axis: int, name: str) -> Variable:
        """An argument that has an axis for examples."""
        if x.ndim <= axis:
            raise ValueError(f"{name} is {x.type}; with lengths its axis {axis} is that of examples")
        return _named(x, ops.of_batch(x, self.lengths, axis, f"{self._subject}: {name}"))

    @property
    def outputs_info(self) -> list[Any] | None:
        """The states to record."""
        if self._info is None:
            return None
        values = iter(self._starts())
        return [None if one is None else {"initial": next(values), "taps": list(self._taps(one))} for one in self._info]

    def _starts(self) -> list[Variable]:
        """The initial values to record."""
        return self._initials

    def _taps(self, state: InitialArgument) -> tuple[int, ...]:
        return (*state.taps, -1) if self._holds_last and -1 not in state.taps else state.taps

    @property
    def _holds_last(self) -> bool:
        """Whether a state stays in the lanes that do not run, where it is read in the end; no step reads it."""
        return False

    @abstractmethod
    def now(self, time: Variable) -> Now:
        """The step at a time, or the steps at times of shape ``(n, 1)``."""

    @abstractmethod
    def slices(self, now: Now, read: Sequence[Variable]) -> list[Variable]:
        """What ``fn`` receives of sequences at a step that has ``read`` these rows."""

    @abstractmethod
    def past(self, now: Now, position: int, tap: int, value: Variable) -> Variable:
        """What ``fn`` receives of a state at a step that finds this value there."""

    @abstractmethod
    def results(self, stacks: Sequence[Variable]) -> list[Variable]:
        """What the user receives, for the outputs of the recorded loop."""

    @property
    def fn(self) -> Callable[..., Any]:
        """``step``, which stands on the line of the user's fn."""

        def step(*arguments: Variable) -> Any:
            return self.step(*arguments)

        signature = inspect.signature(step)
        update_wrapper(step, self.asked.fn)
        step.__dict__["__signature__"] = signature
        return step

    def step(self, *arguments: Variable) -> Any:
        """``fn`` on what each lane is to see; of its results those of the lanes that run."""
        rest = iter(arguments)
        read = list(islice(rest, sum(len(one.get("taps", [0])) for one in self.sequences[:-1])))
        now = self.now(next(rest))
        given = self.slices(now, read)
        held: list[Variable] = []
        for position, state in enumerate(self._states):
            values = {tap: next(rest) for tap in self._taps(state)}
            given.extend(_named(values[tap], self.past(now, position, tap, values[tap])) for tap in state.taps)
            held.append(values.get(-1, values[state.taps[0]]))
        given.extend(rest)
        check_takes(self.asked.fn, given, self.asked.label)
        result = self.asked.fn(*given)
        with about(self._subject, self._source):
            returned = read_returned(result, self.asked.label)
            self._check(returned)
            info = self._info or [None] * len(returned.outputs)
            if len(info) != len(returned.outputs):
                return result  # that is an error of every loop
            before = iter(held)
            states = [None if one is None else next(before) for one in info]
            outputs = [
                self._after(now, position, value, state)
                for position, (value, state) in enumerate(zip(returned.outputs, states, strict=True))
            ]
        return outputs, list(returned.updates.items())

    def _check(self, returned: Returned) -> None:
        if returned.condition is not None:
            raise UnsupportedError(
                f"{self._subject}: until stops the loop for all examples, and with lengths some have ended before. "
                f"Leave until out, and count the steps in lengths{source_of(self.asked.fn)}"
            )
        updated = [one for one in returned.updates if one.dtype != KEY]
        if updated:
            raise UnsupportedError(
                f"{self._subject}: fn updates {updated}, which belongs to no example, and with lengths some have "
                f"ended. Make it a state, with an entry in outputs_info{source_of(self.asked.fn)}"
            )

    def _after(self, now: Now, position: int, value: Variable, before: Variable | None) -> Variable:
        """An output of a step, or what stands for it in the lanes that do not run."""
        if before is not None:
            value = settle_weak(value, before.dtype)
            if not before.type.accepts(value.type):
                return value  # that is an error of every loop
        lanes = now.running.type.shape[0]
        if not value.ndim or (None not in (lanes, value.type.shape[0]) and lanes != value.type.shape[0]):
            raise ValueError(
                f"output {position} of a step is {value.type}; with lengths its axis 0 is that of "
                f"examples{source_of(self.asked.fn)}"
            )
        if self.truncate_gradient < 0 < self.asked.truncate_gradient:
            flows = now.step >= now.length - self.asked.truncate_gradient
            value = _select(flows, value, ops.zero_grad(value))
        return self._kept(now, value, before)

    @abstractmethod
    def _kept(self, now: Now, value: Variable, before: Variable | None) -> Variable:
        """An output, with what is read of it in lanes that do not run."""

    def _last(self, position: int) -> Variable:
        """The last value of a state before the first step."""
        state, initial = self._states[position], self._initials[position]
        return ops.index(initial, -min(state.taps) - 1) if state.windowed else initial


class Apart(Ragged):
    """Every example has a lane of its own, and all are at the same time of their sequences: forwards they start
    together, backwards they end together."""

    def __init__(self, asked: Request) -> None:
        super().__init__(asked)
        self.go_backwards = asked.go_backwards
        # Backwards, the last steps of the loop are the last ones of each example.
        self.truncate_gradient = asked.truncate_gradient if asked.go_backwards or not asked.truncate_gradient else -1
        # Where no example has a step, the last value of a state is the initial one: one step carries it there.
        self.n_steps = self._most if not asked.last else ops.maximum(self._most, 1)
        sequences = [{"input": self._sequence(one), "taps": list(one.taps)} for one in self._read]
        rows = shortest(self._read) if self._read and not self.go_backwards else self.n_steps
        self.sequences = [*sequences, {"input": ops.arange(rows)}]

    @property
    def _holds_last(self) -> bool:
        return self.asked.last

    def _sequence(self, sequence: SequenceArgument) -> Variable:
        """The sequence; backwards, from the first time at which an example runs."""
        x = sequence.variable if sequence.variable.ndim == 1 else self._of_batch(sequence.variable, 1, sequence.name)
        stop = self.n_steps + SequenceInput(sequence.taps).span
        return _named(x, ops.index(x, slice(None, stop))) if self.go_backwards else x

    def now(self, time: Variable) -> Now:
        running = time < self.lengths
        step = self.lengths - 1 - time if self.go_backwards else time
        return Now(running, ops.switch(running, step, 0), self.lengths)

    def slices(self, now: Now, read: Sequence[Variable]) -> list[Variable]:
        taps = [(sequence, tap) for sequence in self._read for tap in sequence.taps]
        return [
            row if not row.ndim else _named(row, _select(now.running, row, self._first(sequence, tap)))
            for row, (sequence, tap) in zip(read, taps, strict=True)
        ]

    def _first(self, sequence: SequenceArgument, tap: int) -> Variable:
        """What the first step of each example reads; nothing flows back from there a second time."""
        first = ops.maximum(self.lengths - 1, 0) if self.go_backwards else self.lengths * 0
        rows = first + (tap - SequenceInput(sequence.taps).low)
        return ops.zero_grad(self._some(ops.index(sequence.variable, (rows, ops.arange(self._batch)))))

    def _some(self, values: Variable) -> Variable:
        """The values of the examples, and that of the longest one for those that have no step: theirs may be
        anything."""
        longest = ops.index(values, ops.argmax(self.lengths))
        longest = ops.switch(self._longest > 0, longest, _zero(values))
        return _select(self.lengths > 0, values, longest)

    def past(self, now: Now, position: int, tap: int, value: Variable) -> Variable:
        state, initial = self._states[position], self._initials[position]
        depth = -min(state.taps)
        if not self.go_backwards:
            first = ops.index(initial, depth + tap) if state.windowed else initial
            return _select(now.running, value, ops.zero_grad(self._some(first)))
        if state.windowed:
            row = ops.minimum(now.step + (depth + tap), depth - 1)
            initial = ops.index(initial, (row, ops.arange(self._batch)))
        return _select(now.step + tap >= 0, value, self._some(initial))

    def _kept(self, now: Now, value: Variable, before: Variable | None) -> Variable:
        held = before if self._holds_last and before is not None else _zero(value)
        return _select(now.running, value, held)

    def results(self, stacks: Sequence[Variable]) -> list[Variable]:
        return [ops.index(stack, -1) for stack in stacks] if self.asked.last else list(stacks)


class Paired(Ragged):
    """Two examples have a lane, the second of which starts when the first has ended: see ``Packed``."""

    go_backwards = False

    def __init__(self, asked: Request) -> None:
        super().__init__(asked)
        self.truncate_gradient = 0 if asked.truncate_gradient == 0 else -1
        count = (self._batch + 1) // 2
        order = ops.argsort(-self.lengths)
        self._one = ops.index(order, slice(None, count))
        self._other = ops.index(ops.index(order, slice(None, None, -1)), slice(None, count))
        self._ends = ops.index(self.lengths, self._one)
        # Of an odd number of examples the one in the middle is behind itself, and only its first run is read.
        self._length = ops.index(self.lengths, self._other)
        # A lane without steps repeats the first of the longest example.
        self._idle = ops.switch(self._ends > 0, self._one, ops.index(order, 0))
        rank = ops.argsort(order)
        self._lane = ops.switch(rank < count, rank, self._batch - 1 - rank)
        self._start = ops.switch(rank < count, 0, ops.index(self._ends, self._lane))
        most = self._most if asked.n_steps is not None or not self._read else shortest(self._read)
        self.n_steps = ops.lane_steps(self.lengths, as_variable(most))
        time = ops.arange(self.n_steps)
        self.sequences = [*self._laid_out(time), {"input": time}]

    def _laid_out(self, time: Variable) -> list[dict[str, Any]]:
        """What each lane reads of the sequences at each time, a sequence for each tap."""
        now = self.now(time.dimshuffle(0, "x"))
        example = self._example(now)
        step = ops.index(self.lengths, example) - 1 - now.step if self.asked.go_backwards else now.step
        found: list[dict[str, Any]] = []
        for sequence in self._read:
            x, low = self._of_batch(sequence.variable, 1, sequence.name), SequenceInput(sequence.taps).low
            for tap in sequence.taps:
                found.append({"input": _named(x, ops.index(x, (step + (tap - low), example)))})
        return found

    def _starts(self) -> list[Variable]:
        """Of the right shapes: a step reads initial values itself, for two examples in turn."""
        lanes = [(*[slice(None)] * state.windowed, self._idle) for state in self._states]
        found = [ops.zero_grad(ops.index(x, key)) for x, key in zip(self._initials, lanes, strict=True)]
        return [_named(x, one) for x, one in zip(self._initials, found, strict=True)]

    def _example(self, now: Now) -> Variable:
        """The example in each lane."""
        return ops.switch(now.second, self._other, self._idle)

    def now(self, time: Variable) -> Now:
        running = time < self._ends + self._length
        second = ops.and_(running, time >= self._ends)
        step = ops.switch(second, time - self._ends, ops.switch(running, time, 0))
        return Now(running, step, ops.switch(second, self._length, self._ends), second)

    def slices(self, now: Now, read: Sequence[Variable]) -> list[Variable]:
        return list(read)

    def past(self, now: Now, position: int, tap: int, value: Variable) -> Variable:
        state, initial = self._states[position], self._initials[position]
        depth = -min(state.taps)
        if state.windowed:
            row = ops.minimum(now.step + (depth + tap), depth - 1)
            start = ops.index(initial, (row, self._example(now)))
        else:
            assert now.second is not None
            start = _select(now.second, ops.index(initial, self._other), ops.index(initial, self._idle))
        return _select(now.step + tap >= 0, value, start)

    def _check(self, returned: Returned) -> None:
        super()._check(returned)
        body = current_body()
        if body is not None and body.keys:
            raise UnsupportedError(
                f"{self._subject}: fn draws, and with Packed the draws of an example would depend on the others' "
                f"lengths. Draw before the loop, or pass lengths as they are{source_of(self.asked.fn)}"
            )

    def _kept(self, now: Now, value: Variable, before: Variable | None) -> Variable:
        return value

    def results(self, stacks: Sequence[Variable]) -> list[Variable]:
        if self.asked.last:
            return [self._last_of(stack, position) for position, stack in enumerate(stacks)]
        time = ops.arange(self._most).dimshuffle(0, "x")
        if self.asked.go_backwards:
            time = self._most - 1 - time
        runs = time < self.lengths
        step = self.lengths - 1 - time if self.asked.go_backwards else time
        return [self._read_back(stack, runs, step, _zero(stack)) for stack in stacks]

    def _last_of(self, stack: Variable, position: int) -> Variable:
        return self._read_back(stack, self.lengths > 0, self.lengths - 1, self._last(position))

    def _read_back(self, stack: Variable, runs: Variable, step: Variable, rest: Variable) -> Variable:
        """The rows of a stack that hold these steps of the examples, ``rest`` where there is none."""
        rows = ops.switch(runs, self._start + step, 0)
        return _select(runs, ops.index(stack, (rows, self._lane)), rest)


def ragged(asked: Request) -> Ragged:
    """The loop for what was asked."""
    if isinstance(asked.lengths, Packed):
        return Paired(asked._replace(lengths=asked.lengths.lengths))
    return Apart(asked)


def _named(like: Variable, variable: Variable) -> Variable:
    variable.name = like.name
    return variable


def _select(where: Variable, value: Variable, other: Variable) -> Variable:
    """``value`` where the examples say so, along its first axes."""
    over = where.dimshuffle(*range(where.ndim), *["x"] * (value.ndim - where.ndim))
    return ops.switch(over, value, other)


def _zero(like: Variable) -> Variable:
    return constant(0, dtype=like.dtype)
