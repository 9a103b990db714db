"""``Scan``: PyTensor's loops as those of LoopJAX.

A ``Scan`` node reads buffers, whose first rows are the initial values and whose sizes say how many rows to keep:

- a recurrence (``sit_sot``, ``mit_sot``) starts from the first rows of its buffer; its result is these rows, then the
  stack of all steps, cut to the last rows where the buffer is shorter (the save-memory form);
- an output that no step reads (``nit_sot``) has a size only;
- a state that only returns its last value (``untraced_sit_sot``, such as a random generator) has neither;
- ``mit_mot``, the accumulated gradients, reads and writes any rows of a buffer that moves on by one row a step. It is a
  window of states: a sequence brings the row that enters, and an output holds the row that leaves.

Sizes are integer expressions, so ``n_steps + 1`` rows are known to be those of a loop of ``n_steps``. A result that
joins initial rows and a stack is read piecewise (``indexing.py``): the stack of a loop whose last row is read is never
kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from pytensor.graph.basic import Apply
from pytensor.scan.op import Scan

import loopjax.tensor as at
from loopjax.ir.dim import Dim
from loopjax.pytensor.conversion import Conversion, of_type, rule, scalar_of
from loopjax.pytensor.rows import joined, length, read_rows, row_count, shape_of
from loopjax.trace.scan import scan
from loopjax.trace.step_results import until


class Window(NamedTuple):
    """A ``mit_mot`` buffer: rows that a step reads and writes, counted from the oldest."""

    buffer: Any
    reads: tuple[int, ...]
    writes: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of rows that a step sees."""
        return max(*self.reads, *self.writes) + 1

    @property
    def states(self) -> list[Any]:
        """The rows before the first step, without the one that enters."""
        return [row(self.buffer, position) for position in range(self.size - 1)]


def row(buffer: Any, position: int) -> Any:
    """Return a row of a buffer."""
    found = read_rows(buffer, position)
    return buffer[position] if found is None else found


def first_rows(buffer: Any, count: int) -> Any:
    """Return the first rows of a buffer."""
    if length(buffer).number == count:
        return buffer
    found = read_rows(buffer, slice(None, count))
    return buffer[:count] if found is None else found


def last_rows(buffer: Any, start: int) -> Any:
    """Return the rows of a buffer from ``start`` on."""
    if start == 0:
        return buffer
    found = read_rows(buffer, slice(start, None))
    return buffer[start:] if found is None else found


def _offsets(taps: Sequence[Sequence[int]], base: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    return [tuple(tap - min(0, *reads) for tap in mine) for mine, reads in zip(taps, base, strict=True)]


@rule(Scan)
def _scan(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return Loop(conversion, node.op, args).outputs


class Loop:
    """A ``Scan`` op with its inputs, recorded as a loop; ``outputs`` are the values of its outputs."""

    def __init__(self, conversion: Conversion, op: Any, args: Sequence[Any]) -> None:
        self.conversion, self.op, self.info = conversion, op, op.info
        info = self.info
        self.n_steps = scalar_of(args[0])
        self.sequences = list(op.outer_seqs(args))
        reads, writes = info.mit_mot_in_slices, info.mit_mot_out_slices
        self.windows = [
            Window(buffer, mine, written)
            for buffer, mine, written in zip(
                op.outer_mitmot(args), _offsets(reads, reads), _offsets(writes, reads), strict=True
            )
        ]
        self.taps = [*info.mit_sot_in_slices, *info.sit_sot_in_slices]
        self.buffers = [*op.outer_mitsot(args), *op.outer_sitsot(args)]
        self.sizes = list(op.outer_nitsot(args))
        self.untraced = list(op.outer_untraced_sit_sot(args))
        self.constants = list(op.outer_non_seqs(args))
        inner = op.fgraph.inputs
        self.state_types = [group[0] for group in self._grouped(inner)]
        self.outputs = self._recorded(str(op.name or "scan"))

    def _grouped(self, inner: Sequence[Any]) -> list[Sequence[Any]]:
        """The inner inputs of each recurrence."""
        flat = [*self.op.inner_mitsot(inner), *self.op.inner_sitsot(inner)]
        groups: list[Sequence[Any]] = []
        for taps in self.taps:
            groups.append(flat[: len(taps)])
            flat = flat[len(taps) :]
        return groups

    def _recorded(self, label: str) -> list[Any]:
        entering = [_entering(window, self.n_steps) for window in self.windows]
        initial = [first_rows(buffer, -min(taps)) for buffer, taps in zip(self.buffers, self.taps, strict=True)]
        info: list[Any] = [state for window in self.windows for state in window.states]
        info += [
            start[0] if tuple(taps) == (-1,) else {"initial": start, "taps": list(taps)}
            for start, taps in zip(initial, self.taps, strict=True)
        ]
        info += self.untraced
        info += [None] * (len(self.windows) + len(self.sizes))
        if not info and not self.info.as_while:
            return []
        stacks, _ = scan(
            self._step,
            sequences=[*self.sequences, *entering],
            outputs_info=info,
            n_steps=self.n_steps,
            name=label,
            return_list=True,
        )
        return self._results(stacks, initial)

    def _step(self, *args: Any) -> Any:
        """One step: the rows of sequences, windows and states to their new values, in the order of the loop."""
        values = iter(args)

        def take(count: int) -> list[Any]:
            return [next(values) for _ in range(count)]

        sequences, entering = take(len(self.sequences)), take(len(self.windows))
        held = [take(window.size - 1) for window in self.windows]
        rows = [[*states, new] for states, new in zip(held, entering, strict=True)]
        past = [take(len(taps)) for taps in self.taps]
        untraced = take(len(self.untraced))
        read = [seen[position] for seen, window in zip(rows, self.windows, strict=True) for position in window.reads]
        inputs = [*sequences, *read, *(one for taps in past for one in taps), *untraced, *self.constants]
        op, inner = self.op, self.op.fgraph
        found = self.conversion.inner(inner.inputs, inputs, inner.outputs)
        written = iter(op.inner_mitmot_outs(found))
        for seen, window in zip(rows, self.windows, strict=True):
            for position in window.writes:
                seen[position] = _like(next(written), seen[position])
        states = [
            of_type(new, kind)
            for new, kind in zip(
                [*op.inner_mitsot_outs(found), *op.inner_sitsot_outs(found)], self.state_types, strict=True
            )
        ]
        outputs = [one for seen in rows for one in seen[1:]]
        outputs += [*states, *op.inner_untraced_sit_sot_outs(found), *(seen[0] for seen in rows)]
        outputs += op.inner_nitsot_outs(found)
        if self.info.as_while:
            stop = found[-1]
            return outputs, until(stop if stop.dtype == "bool" else at.neq(stop, 0))
        return outputs

    def _results(self, stacks: Sequence[Any], initial: Sequence[Any]) -> list[Any]:
        values = iter(stacks)

        def take(count: int) -> list[Any]:
            return [next(values) for _ in range(count)]

        held = [take(window.size - 1) for window in self.windows]
        traced, untraced = take(len(self.taps)), take(len(self.untraced))
        left, mapped = take(len(self.windows)), take(len(self.sizes))
        outputs = [self._moved(window, *rows) for window, *rows in zip(self.windows, held, left, strict=True)]
        outputs += [
            self._kept([start, stack], buffer)
            for start, stack, buffer in zip(initial, traced, self.buffers, strict=True)
        ]
        outputs += [
            _last(stack, Dim.of(scalar_of(size)), scalar_of(size), self.info.as_while)
            for stack, size in zip(mapped, self.sizes, strict=True)
        ]
        outputs += [self._end(stack, start) for stack, start in zip(untraced, self.untraced, strict=True)]
        return outputs

    def _kept(self, parts: Sequence[Any], buffer: Any) -> Any:
        """The rows of a recurrence that its buffer has room for."""
        start, stack = parts
        room, most = length(buffer), length(start) + Dim.of(self.n_steps)
        if room == most or (self.info.as_while and room.number is None):
            return joined([start, stack])
        size = row_count(buffer)
        return _last(joined([start, stack]), room, size, self.info.as_while)

    def _end(self, stack: Any, start: Any) -> Any:
        """The last value of a state, or its initial one where no step runs."""
        if (Dim.of(self.n_steps).number or 0) > 0:
            return stack[-1]
        return at.join(0, start[None], stack)[-1]

    def _moved(self, window: Window, states: Sequence[Any], left: Any) -> Any:
        """The buffer after the loop: the rows that left, those of the last window, and the rows that never entered."""
        steps = row_count(left)
        room, rows = length(window.buffer), length(left) + (window.size - 1)
        ends = [self._end(stack, start) for start, stack in zip(window.states, states, strict=True)]
        parts = [left, *(end[None] for end in ends)]
        if room != rows:
            parts.append(window.buffer[steps + (window.size - 1) :])
        return joined(parts)


def _like(new: Any, old: Any) -> Any:
    return at.cast(new, old.dtype) if new.dtype != old.dtype else new


def _entering(window: Window, n_steps: Any) -> Any:
    """The rows that enter a window, one a step."""
    return last_rows(window.buffer, window.size - 1)


def _last(stack: Any, room: Dim, size: Any, ends_early: bool) -> Any:
    """The last rows of a stack for which there is room, and zeros where there is more, as truncated gradients have."""
    rows = length(stack)
    if room == rows:
        return stack
    kept: Any
    more: Any
    if room.number is not None and rows.number is not None:
        spare = room.number - rows.number
        kept, more = last_rows(stack, max(-spare, 0)), max(spare, 0)
        if ends_early or not more:
            return kept
    else:
        count = row_count(stack)
        kept, more = stack[at.maximum(count - size, 0) :], at.maximum(size - count, 0)
        if ends_early:
            return kept
    return joined([kept, at.alloc(at.zeros((), stack.dtype), more, *shape_of(stack)[1:])])
