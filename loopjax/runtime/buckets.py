"""Which lengths a function's programs have room for: decided by the calls that it sees."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from loopjax.errors import LoopJaxError
from loopjax.ir.graph import Constant, Graph, Variable
from loopjax.ir.lengths import capacity, host_values, leaves_of
from loopjax.ir.op import TableOp
from loopjax.ir.scan import Scan
from loopjax.ir.shape_operands import is_cut
from loopjax.ir.types import KEY
from loopjax.runtime.compiler import CompiledStage, Ready
from loopjax.runtime.program import Program
from loopjax.shapes.intervals import LengthBounds
from loopjax.shapes.padding.pad import pad
from loopjax.shapes.padding.spec import ExactLengthOp, InputAxis, Padding
from loopjax.shapes.stages import split
from loopjax.trace.shared import SharedVariable, on_device

DISTINCT = 2
"""Values of one length for which a program each is compiled, before one is that has room for more."""

AT_ONCE = False
"""Gives all lengths and axes room from the first call, for tests."""

SMALL = 1024
"""Steps up to which a loop that stops by ``until`` is given room for all of them at once."""

Leaf = Variable | InputAxis


class Bucket:
    """The program with room for the lengths that vary, as compiled stages."""

    def __init__(self, program: Program, padding: Padding) -> None:
        self.padding = padding
        self.padded = pad(program.graph, padding)
        self.graph = self.padded.graph
        self._inputs = program.graph.inputs
        stages = split(self.graph)
        options = program.options
        overwritable = options.inplace and len(stages) == 1 and not self.padded.axes
        self.donated = frozenset(program.state.overwritable(program.graph.outputs) if overwritable else ())
        self.stages = tuple(CompiledStage(stage, options, self.donated) for stage in stages)
        self._compared = [length for one in self.padded.preconditions for length in (one.length, one.other)]
        self._leaves = leaves_of(self._compared, stop=self.graph.inputs).values

    @property
    def is_plain(self) -> bool:
        """Whether arguments are passed on as they are, and nothing is checked after the run."""
        return not (self.padded.axes or self.padded.assertions)

    def bounds(self, shapes: Mapping[Variable, Sequence[int]]) -> list[LengthBounds] | None:
        """What lengths must not leave, for inputs of these shapes; ``None`` where that depends on more."""
        found = []
        for one in self.padded.preconditions:
            length, other = host_values([one.length, one.other], {}, shapes)
            if other is not None and length is None:
                found.append(LengthBounds(one.length, *one.bounds(int(other))))
            elif other is None or length is None:
                return None
        return found

    def values(self, arrays: Sequence[Any]) -> dict[Variable, Any]:
        """The inputs' values: arrays with room to spare, and their counts."""
        values = dict(zip(self._inputs, arrays, strict=True))
        counts = [values[one.variable].shape[one.axis] for one in self.padded.axes]
        for one in self.padded.axes:
            rows = values[one.variable].shape[one.axis]
            values[one.variable] = _with_room(values[one.variable], one.axis, int(capacity(rows, self.padded.fine, np)))
        values.update(zip(self.graph.inputs[len(arrays) :], (np.asarray(count) for count in counts), strict=True))
        return values

    def run(self, values: dict[Variable, Any], first: Ready | None = None) -> list[Any]:
        """The program's outputs: each stage found or compiled for its inputs, and run; ``first`` is what is known of
        the first one.

        Raises ``ValueError`` for sizes that differ and must be equal, where only the run knew them.
        """
        self._check(values)
        for number, stage in enumerate(self.stages):
            values.update(stage.run(values, None if number else first))
        for assertion in self.padded.assertions:
            if not values[assertion.holds]:
                raise ValueError(assertion.message)
        outputs = self.graph.outputs[: len(self.graph.outputs) - len(self.padded.assertions)]
        return [on_device(v.data if isinstance(v, Constant) else values[v]) for v in outputs]

    def _check(self, values: Mapping[Variable, Any]) -> None:
        """Raises for lengths among the arguments that do not fit each other."""
        if not self._compared:
            return
        known = {leaf: np.asarray(values[leaf]) for leaf in self._leaves}
        shapes = {variable: np.shape(array) for variable, array in values.items()}
        found = iter(host_values(self._compared, known, shapes))
        for one in self.padded.preconditions:
            length, other = next(found), next(found)
            assert length is not None
            assert other is not None
            one.verify(int(length), int(other))


def _with_room(array: Any, axis: int, room: int) -> Any:
    """The array with copies of its first row up to so many, made on the host."""
    rows = array.shape[axis]
    if room == rows:
        return array
    data = np.asarray(array)
    shape = (*data.shape[:axis], room, *data.shape[axis + 1 :])
    padded = np.empty(shape, data.dtype)
    before = (slice(None),) * axis
    padded[(*before, slice(rows))] = data
    padded[(*before, slice(rows, None))] = data[(*before, slice(1))]
    return jax.device_put(padded, array.sharding) if isinstance(array, jax.Array) and array.committed else padded


class Ran(NamedTuple):
    """What a variant has computed."""

    variant: Bucket
    outputs: list[Any]


class ShapeBuckets:
    """The variants of a program, each with room for what was seen to vary when it was made.

    With ``auto`` a length is compiled for as it is until it has had ``DISTINCT`` values; with ``padded`` lengths that
    are values have room from the first call, and axes of inputs from the second size on. ``exact_ops`` are the ops
    because of which some have none.
    """

    def __init__(self, program: Program, policy: str) -> None:
        self._program = program
        # With room, a position past a count stands for no position; the check of indices would refuse it.
        self._policy = "exact" if program.options.check_index else policy
        self._seen: dict[Leaf, set[Any]] = {}
        self._exact: set[Leaf] = set()
        self.exact_ops: dict[ExactLengthOp, None] = {}
        self._lock = threading.Lock()
        first = Bucket(program, Padding())
        if self._policy != "exact":
            first = self._first(first)
        self._all = [first]

    @property
    def latest(self) -> Bucket:
        """The variant made last."""
        return self._all[-1]

    @property
    def donated(self) -> frozenset[SharedVariable]:
        """The shared variables whose old values some variant may overwrite."""
        return frozenset(variable for variant in self._all for variable in variant.donated)

    def run(self, arrays: Sequence[Any]) -> Ran:
        """The program's outputs for these inputs, and of which variant they are."""
        for variant in reversed(self._all):
            values = variant.values(arrays)
            ready = variant.stages[0].ready(values)
            if ready is not None:
                return self._run(variant, values, ready)
        if self._note(arrays):
            return self.run(arrays)
        return self._run(self.latest, self.latest.values(arrays))

    def _run(self, variant: Bucket, values: dict[Variable, Any], ready: Ready | None = None) -> Ran:
        ran = Ran(variant, variant.run(values, ready))
        if self._policy == "exact" or variant.padding.device:
            return ran
        if any(len(stage.programs) > DISTINCT for stage in variant.stages[1:]):
            with self._lock:
                if variant is self.latest:
                    padding = variant.padding
                    self._all = [Bucket(self._program, Padding(padding.values, padding.axes, device=True))]
        return ran

    def _first(self, exact: Bucket) -> Bucket:
        """The variant to begin with."""
        values = tuple(_values(exact, self._program.graph)) if self._policy == "padded" else ()
        axes = tuple(_axes(self._program.graph, exact)) if AT_ONCE else ()
        device = self._policy == "padded" or _all_small(exact.graph)
        return self._made(values, axes, device) if values or axes or device else exact

    def _made(self, values: Sequence[Variable], axes: Sequence[InputAxis], device: bool) -> Bucket:
        """A variant with room for these; without it for those whose exact lengths are needed anyway."""
        while True:
            made = Bucket(self._program, Padding(tuple(values), tuple(axes), device))
            self.exact_ops.update(dict.fromkeys(made.padded.exact_ops))
            needed = made.padded.exact_inputs
            if not needed:
                return made
            self._exact |= needed
            values = [one for one in values if one not in needed]
            axes = [one for one in axes if one not in needed]

    def _note(self, arrays: Sequence[Any]) -> bool:
        """Remembers the lengths of a call that no program is compiled for; whether there is a new variant for it."""
        if self._policy == "exact":
            return False
        with self._lock:
            padding = self.latest.padding
            given = dict(zip(self._program.graph.inputs, arrays, strict=True))
            settled = {*padding.values, *padding.axes, *self._exact}
            for variable in _values(self.latest, self._program.graph):
                self._seen.setdefault(variable, set()).add(np.asarray(given[variable]).tobytes())
            for one in _axes(self._program.graph, self.latest):
                self._seen.setdefault(one, set()).add(given[one.variable].shape[one.axis])
            most = 1 if self._policy == "padded" else DISTINCT
            self._seen = {one: seen for one, seen in self._seen.items() if one not in settled}
            new = [one for one, seen in self._seen.items() if len(seen) > most]
            if not new:
                return False
            values = [*padding.values, *(one for one in new if isinstance(one, Variable))]
            axes = [*padding.axes, *(one for one in new if isinstance(one, InputAxis))]
            try:
                made = self._made(values, axes, padding.device)
            except (LoopJaxError, TypeError, ValueError, IndexError):
                # What was not asked for must not fail: it goes on as it was, one program for each length.
                self._exact.update(new)
                return False
            if (made.padding.values, made.padding.axes) == (padding.values, padding.axes):
                return False
            self._all.append(made)
            return True


def _values(variant: Bucket, graph: Graph) -> Iterator[Variable]:
    """The program's inputs whose values decide shapes."""
    found = {stage.stage.graph.inputs[place] for stage in variant.stages for place in stage.stage.length_inputs}
    return (variable for variable in graph.inputs if variable in found)


def _axes(graph: Graph, variant: Bucket) -> Iterator[InputAxis]:
    """The axes of a program's inputs of which the size is not known before a call; but for inputs with whose elements
    the host computes: of those there must be as many as there are."""
    read = {variable for stage in variant.stages for variable in stage.needed}
    for variable in graph.inputs:
        if variable.dtype == KEY or variable in read:
            continue
        for axis, size in enumerate(variable.type.shape):
            if size is None:
                yield InputAxis(variable, axis)


def _all_small(graph: Graph) -> bool:
    """Whether there are lengths that only a run decides, and all are positions of a mask or of ``until`` loops of few
    steps."""
    opaque = [node for node in graph.applies if is_cut(node) and leaves_of(node.inputs[1:], graph.inputs).opaque]
    return bool(opaque) and all(_is_small(node.inputs[0]) for node in opaque)


def _is_small(stack: Variable) -> bool:
    op = None if stack.owner is None else stack.owner.op
    if isinstance(op, Scan):
        return op.n_steps is not None and op.n_steps <= SMALL
    return isinstance(op, TableOp) and op.row == "true_places"
