"""``Packed``: two examples of a minibatch share a lane of the loop, so that examples that have ended cost less.

Lengths 7, 5, 2 and 1 make two lanes of 8 and 7 steps, where a lane per example would make four of 7: bin packing, with
two items a bin. The longest is paired with the shortest, which minimizes the length of the longest pair. Sequences are
gathered before the loop and outputs after it, which a step of small arrays may not be worth.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from loopjax.errors import UnsupportedError, source_of
from loopjax.ir.graph import Variable
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import Scan, SequenceInput
from loopjax.trace.convert import as_variable
from loopjax.trace.ragged import LanePerExample, Now, Ragged, named, select, zero_like
from loopjax.trace.recording import current_body
from loopjax.trace.scan_arguments import LoopArguments, read_lengths, shortest
from loopjax.trace.step_results import Returned


class Packed:
    """Lengths of a minibatch whose examples are packed into half as many lanes, for ``scan(..., lengths=Packed(v))``.

    The longest example shares a lane with the shortest, which starts when the other has ended, the next longest with
    the next shortest, and so on. Results are where they are without packing. It pays where the time of a step grows
    with the batch and lengths differ; where all are equal it only makes twice as many steps of half the size.

    ``fn`` sees ``(batch + 1) // 2`` lanes in place of examples. So what it uses from outside has no axis for examples,
    every sequence has one, and it draws no random numbers. Stacked states of all steps are stored while the loop runs,
    in ``reduce`` too. Derivatives are those of ``scan``: of every order and in both modes.

    Parameters
    ----------
    lengths : Variable or array_like
        An integer vector ``(batch,)``: the steps of each example, 0 or more.

    Examples
    --------
    >>> import loopjax
    >>> import numpy as np
    >>> x = np.ones((3, 2))
    >>> sums, _ = loopjax.reduce(lambda a, s: s + a, x, np.zeros(2), lengths=loopjax.Packed([3, 1]))
    >>> sums.eval()
    array([3., 1.])
    """

    def __init__(self, lengths: Any) -> None:
        self.lengths = read_lengths(lengths)

    def __repr__(self) -> str:
        return f"Packed({self.lengths!r})"


def ragged_loop(asked: LoopArguments, options: Scan, lengths: Any, only_last: bool) -> Ragged:
    """Return the loop over examples of these lengths."""
    if isinstance(lengths, Packed):
        return SharedLanes(asked, options, lengths.lengths, only_last)
    return LanePerExample(asked, options, lengths, only_last)


class SharedLanes(Ragged):
    """Two examples have a lane; the second starts when the first has ended.

    Sequences are gathered before the loop, so that each lane reads its own time. Initial values are read within steps,
    by the two examples of a lane in turn.
    """

    go_backwards = False

    def __init__(self, asked: LoopArguments, options: Scan, lengths: Any, only_last: bool) -> None:
        super().__init__(asked, options, lengths, only_last)
        self.truncate_gradient = 0 if options.truncate_gradient == 0 else -1
        count = (self._batch + 1) // 2
        order = ops.argsort(-self.lengths)
        self._one = ops.index(order, slice(None, count))
        self._other = ops.index(ops.index(order, slice(None, None, -1)), slice(None, count))
        self._ends = ops.index(self.lengths, self._one)
        # With an odd number of examples the middle one comes after itself, and only its first pass is read.
        self._length = ops.index(self.lengths, self._other)
        # A lane without steps repeats the first of the longest example.
        self._idle = ops.switch(self._ends > 0, self._one, ops.index(order, 0))
        # Initial values of the right shapes, which no step reads: see ``past``.
        self._starts = [
            named(x, ops.zero_grad(ops.index(x, (*[slice(None)] * state.windowed, self._idle))))
            for state, x in zip(self._states, self._initials, strict=True)
        ]
        rank = ops.argsort(order)
        self._lane = ops.switch(rank < count, rank, self._batch - 1 - rank)
        self._start = ops.switch(rank < count, 0, ops.index(self._ends, self._lane))
        most = self._most if asked.n_steps is not None or not self._read else shortest(self._read)
        self.n_steps = ops.lane_steps(self.lengths, as_variable(most))
        time = ops.arange(self.n_steps)
        self.sequences = [*self._gathered(time), {"input": time}]

    def _gathered(self, time: Variable) -> list[dict[str, Any]]:
        """Return, for each tap of each sequence, what every lane reads at each time."""
        now = self.now(time.dimshuffle(0, "x"))
        example = self._example(now)
        backwards = self.asked_options.go_backwards
        step = ops.index(self.lengths, example) - 1 - now.step if backwards else now.step
        found: list[dict[str, Any]] = []
        for sequence in self._read:
            x, low = self._of_batch(sequence.variable, 1, sequence.name), SequenceInput(sequence.taps).low
            rows = [ops.index(x, (step + (tap - low), example)) for tap in sequence.taps]
            found.extend({"input": named(x, read)} for read in rows)
        return found

    def _example(self, now: Now) -> Variable:
        """Return the example in each lane."""
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
            start = select(now.second, ops.index(initial, self._other), ops.index(initial, self._idle))
        return select(now.step + tap >= 0, value, start)

    def _check(self, returned: Returned) -> None:
        super()._check(returned)
        body = current_body()
        if body is not None and body.keys:
            raise UnsupportedError(
                f"{self.asked_options.subject}: fn draws, and with Packed the draws of an example would depend on the "
                f"others' lengths. Draw before the loop, or pass lengths as they are{source_of(self.asked.fn)}"
            )

    def _masked(self, now: Now, value: Variable, before: Variable | None) -> Variable:
        return value

    def results(self, stacks: Sequence[Variable]) -> list[Variable]:
        if self.only_last:
            return [self._last(stack, position) for position, stack in enumerate(stacks)]
        time = ops.arange(self._most).dimshuffle(0, "x")
        if self.asked_options.go_backwards:
            time = self._most - 1 - time
        running = time < self.lengths
        step = self.lengths - 1 - time if self.asked_options.go_backwards else time
        return [self._read_back(stack, running, step, zero_like(stack)) for stack in stacks]

    def _last(self, stack: Variable, position: int) -> Variable:
        """Return the last value of a state, the initial one for examples without steps."""
        state, initial = self._states[position], self._initials[position]
        initial = ops.index(initial, -min(state.taps) - 1) if state.windowed else initial
        return self._read_back(stack, self.lengths > 0, self.lengths - 1, initial)

    def _read_back(self, stack: Variable, running: Variable, step: Variable, rest: Variable) -> Variable:
        """Return the rows of a stack that hold these steps of the examples, ``rest`` where none runs."""
        rows = ops.switch(running, self._start + step, 0)
        return select(running, ops.index(stack, (rows, self._lane)), rest)
