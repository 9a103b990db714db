"""The ``Scan`` op: a loop as a body region and a specification by role.

The body is a closed graph of one step. Its inputs and outputs, and those of the op, are flat lists of variables; the
specification says which of them are sequences, recurrences, map outputs, shared states, random keys and non-sequences.
``op.inputs(values)``, ``op.body_inputs(values)`` and ``op.results(values)`` give them by role, so that nothing counts
positions. A cumulative sum, for example, is one sequence with tap 0 and one recurrence with tap -1:

    Scan(body=Graph([x, h], [h + x]), sequences=(SequenceInput((0,)),), recurrences=(Recurrence((-1,)),))

Passes refine the specification (``saved``, ``accumulators``, ``linear``, ``samples``); ``plan`` says how it is lowered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, Literal, NamedTuple, TypeVar

from loopjax.errors import coded
from loopjax.ir.graph import Graph, Op
from loopjax.ir.monoid import MONOIDS, Monoid, MonoidName
from loopjax.ir.plan import LoopPlan
from loopjax.ir.schedule import Schedule
from loopjax.ir.symbolic_sizes import is_symbolic
from loopjax.ir.types import TensorType

T = TypeVar("T")

MOST_STEPS = 2**31 - 1
"""The most steps that a loop can count, in int32."""


class SavedSteps(NamedTuple):
    """The steps of an output that are stored: all, the ``last`` few, ``every`` n-th and the last, or ``steps``.

    ``steps`` are ranges one after the other, of a loop whose number of steps is known.
    """

    last: int | None = None
    every: int = 1
    steps: tuple[range, ...] | None = None

    @property
    def all(self) -> bool:
        """True where every step is stored."""
        return self.last is None and self.every == 1 and self.steps is None

    def rows(self, n_steps: int | None) -> int | None:
        """The rows of the output after ``n_steps`` steps; ``None`` where that is not known."""
        if self.steps is not None:
            return sum(map(len, self.steps))
        if n_steps is None:
            return None
        return min(self.last, n_steps) if self.last is not None else -(-n_steps // self.every)

    def __str__(self) -> str:
        if self.last is not None:
            return f"last {self.last}"
        if self.steps is not None:
            return " and ".join(map(_slice_text, self.steps))
        return "all" if self.every == 1 else f"every {self.every}"


def _slice_text(steps: range) -> str:
    return f"{steps.start}:{steps.stop}" if steps.step == 1 else f"{steps.start}:{steps.stop}:{steps.step}"


SAVE_ALL = SavedSteps()

UNTIL_STEPS = 2**20
"""Steps of a loop that nothing but ``until`` ends, at most. A gradient stores five times 16 states (``PlanLoops``)."""


@dataclass(frozen=True)
class SequenceInput:
    """A sequence: tap ``k`` at step ``t`` reads row ``t + k - min(taps, 0)`` of it."""

    taps: tuple[int, ...]
    name: str = field(default="", compare=False)

    @property
    def low(self) -> int:
        """The lowest tap, or 0."""
        return min(*self.taps, 0)

    @property
    def span(self) -> int:
        """The rows that the sequence must have beyond the number of steps."""
        return max(*self.taps, 0) - self.low


@dataclass(frozen=True)
class Recurrence:
    """A state: its past values at ``taps`` (negative) enter the body, which returns the next one."""

    taps: tuple[int, ...]
    saved: SavedSteps = SAVE_ALL
    name: str = field(default="", compare=False)
    windowed: bool = True
    """The initial value has a leading time axis."""

    @property
    def depth(self) -> int:
        """The number of past steps that the deepest tap reaches."""
        return -min(self.taps)


@dataclass(frozen=True)
class MapOutput:
    """An output of each step that no later step reads."""

    depth = 0
    taps = ()

    saved: SavedSteps = SAVE_ALL
    name: str = field(default="", compare=False)


AccumulatorKind = MonoidName | Literal["at"]


class Accumulator(NamedTuple):
    """A reduction over the steps of an output, computed in the carry: one more output of the scan.

    Attributes
    ----------
    output
        The number of the output.
    kind
        The monoid; ``argmax`` and ``argmin`` give the first step that has the extreme. ``at`` is the value of one step,
        ``step``: NaN (the least integer) where the loop ends before, as the ``max`` or ``min`` of no steps is.
    dtype
        The dtype of the result.
    some
        It is an error where no steps run.
    """

    output: int
    kind: AccumulatorKind
    dtype: str
    step: int = 0
    some: bool = False

    @property
    def monoid(self) -> Monoid | None:
        """The reduction; ``None`` for the value of one step."""
        return MONOIDS.get(self.kind)


class LinearRecurrence(NamedTuple):
    """A recurrence ``h' = factor * h + term`` in the arithmetic of a semiring.

    Attributes
    ----------
    recurrence
        Its number among the loop's recurrences.
    plus, times
        Ops of the table; ``times`` may be ``left`` or ``right`` instead, the side from which a matrix multiplies.
        Without ``plus``, the next value is the term: it does not depend on ``h``.
    coefficients
        From the body's inputs to the factor and the term, as far as there are any: a region of the loop.
    has_factor, has_term
        Which of the two there are.
    last
        Only the value after the last step is read.
    """

    recurrence: int
    plus: str
    times: str
    coefficients: Graph
    has_factor: bool
    has_term: bool
    last: bool = False

    @property
    def kind(self) -> str:
        """The arithmetic in words: ``add and mul``, or ``products of matrices``."""
        if not self.plus:
            return "all steps at once"
        if self.times in ("left", "right"):
            return "products of matrices"
        return " and ".join([self.plus] * self.has_term + [self.times] * self.has_factor)


class BlockSamples(NamedTuple):
    """Random draws that are made for ``steps`` steps at once.

    ``draws`` takes the body's keys and non-sequences to the draws of one step, which the body takes as its last inputs.
    """

    draws: Graph
    steps: int


class Parts(NamedTuple):
    """Inputs of a scan by their role.

    ``n_steps`` holds the trip count where it is a run-time value, and the length (or capacity) until it is known.
    """

    n_steps: tuple[Any, ...]
    sequences: tuple[Any, ...]
    initials: tuple[Any, ...]
    states: tuple[Any, ...]
    keys: tuple[Any, ...]
    non_sequences: tuple[Any, ...]


class BodyInputs(NamedTuple):
    """Inputs of a step by their role: of each sequence and each recurrence a tuple with one entry per tap."""

    slices: tuple[tuple[Any, ...], ...]
    taps: tuple[tuple[Any, ...], ...]
    states: tuple[Any, ...]
    keys: tuple[Any, ...]
    non_sequences: tuple[Any, ...]
    samples: tuple[Any, ...] = ()

    def flat(self) -> list[Any]:
        """The inputs in the order in which the body takes them."""
        return [*chain(*self.slices, *self.taps, self.states, self.keys, self.non_sequences, self.samples)]


class StepResult(NamedTuple):
    """Outputs of a step by their role, and those of a scan, where ``until`` is the number of steps that ran."""

    recurrences: tuple[Any, ...]
    maps: tuple[Any, ...]
    states: tuple[Any, ...]
    until: tuple[Any, ...]

    def flat(self) -> list[Any]:
        return [*self.recurrences, *self.maps, *self.states, *self.until]


@dataclass(frozen=True)
class Scan(Op):
    """A loop.

    Inputs in the order of ``Parts``; the body takes ``BodyInputs`` to ``StepResult``. Outputs: the saved rows of each
    recurrence and map output, the final states, the accumulators, and with ``until`` the number of steps that ran.

    Attributes
    ----------
    n_steps
        The number of steps, with ``until`` or ``dynamic`` at most; ``None`` where it is the first input.
    dynamic
        The number of steps is an input and stays a run-time value: one compiled loop serves every length; where it is
        ``bounded``, every length up to ``n_steps``, which is the second input until it is known.
    is_sized
        The outputs of an ``until`` loop are buffers of ``n_steps`` rows; rows past the steps that ran do not count.
        Before, their length is unknown.
    counts_down
        Steps draw with keys numbered from ``n_steps - 1`` down to 0.
    linear
        The recurrences as linear ones, each after those it reads, where parallel scans are to run them
        (``rewrite/linear_recurrence.py``).
    samples
        Draws made for several steps at once (``rewrite/block_sampling.py``).
    plan
        How it is lowered; decided last.
    notes
        What rewrites did to the loop, for ``explain``.

    All regions have the same variables as inputs, ``samples.draws`` those that are keys or non-sequences.
    """

    body: Graph
    sequences: tuple[SequenceInput, ...] = ()
    recurrences: tuple[Recurrence, ...] = ()
    maps: tuple[MapOutput, ...] = ()
    accumulators: tuple[Accumulator, ...] = ()
    n_states: int = 0
    n_keys: int = 0
    until: bool = False
    n_steps: int | None = None
    go_backwards: bool = False
    counts_down: bool = False
    truncate_gradient: int = -1
    checkpoint: Schedule | None = None
    unroll: int | None = None
    progress: str = ""
    dynamic: bool = False
    bounded: bool = False
    is_sized: bool = False
    linear: tuple[LinearRecurrence, ...] = ()
    samples: BlockSamples | None = None
    plan: LoopPlan | None = None
    label: str = field(default="scan", compare=False)
    notes: tuple[str, ...] = field(default=(), compare=False)

    @property
    def subject(self) -> str:
        return f"scan {self.label!r}"

    @property
    def outputs(self) -> tuple[Recurrence | MapOutput, ...]:
        """Recurrences and map outputs, in the order of the op's outputs."""
        return (*self.recurrences, *self.maps)

    @property
    def is_map(self) -> bool:
        """True where no step needs another one and nothing is accumulated over them."""
        return not (self.recurrences or self.n_states or self.accumulators)

    @property
    def varies(self) -> bool:
        """True where the number of steps is known only to the run."""
        return (self.until or self.dynamic) and self.n_steps != 0

    @property
    def regions(self) -> tuple[Graph, ...]:
        draws = () if self.samples is None else (self.samples.draws,)
        return (self.body, *draws, *(one.coefficients for one in self.linear))

    def with_regions(self, regions: Sequence[Graph]) -> Scan:
        body, *rest = regions
        samples = None if self.samples is None else self.samples._replace(draws=rest.pop(0))
        linear = tuple(one._replace(coefficients=new) for one, new in zip(self.linear, rest, strict=True))
        return replace(self, body=body, samples=samples, linear=linear)

    def length_inputs(self, count: int) -> tuple[int, ...]:
        return (int(self.dynamic),) if self._has_length_input else ()

    @property
    def _has_length_input(self) -> bool:
        return self.n_steps is None and (self.bounded or not self.dynamic)

    def sized(self, lengths: Sequence[int]) -> Scan:
        """The op with its length as a parameter; the outputs of a loop of varying length become buffers."""
        n_steps = lengths[0] if lengths else self.n_steps
        return replace(self, n_steps=n_steps, is_sized=True)

    def inputs(self, values: Sequence[T]) -> Parts:
        """The op's inputs by role; ``values`` may be variables, types or arrays."""
        n_lengths = self.dynamic + self._has_length_input
        counts = (n_lengths, len(self.sequences), len(self.recurrences), self.n_states, self.n_keys)
        return Parts(*_split(values, *counts))

    def body_inputs(self, values: Sequence[T]) -> BodyInputs:
        """The body's inputs by role."""
        end = len(values) - len(self._sampled)
        tapped: list[SequenceInput | Recurrence] = [*self.sequences, *self.recurrences]
        counts = [len(spec.taps) for spec in tapped]
        *groups, states, keys, non_sequences = _split(values[:end], *counts, self.n_states, self.n_keys)
        slices, taps = tuple(groups[: len(self.sequences)]), tuple(groups[len(self.sequences) :])
        return BodyInputs(slices, taps, states, keys, non_sequences, tuple(values[end:]))

    @property
    def _sampled(self) -> tuple[TensorType, ...]:
        """The types of the draws that the body takes."""
        return () if self.samples is None else tuple(variable.type for variable in self.samples.draws.outputs)

    def results(self, values: Sequence[T]) -> StepResult:
        """The body's outputs, or the op's, by role."""
        return StepResult(*_split(values, len(self.recurrences), len(self.maps), self.n_states))

    def body_types(self, types: Sequence[TensorType]) -> list[TensorType]:
        """The types of the body's inputs, from those of the op's inputs."""
        parts = self.inputs(types)
        read = zip(self.sequences, parts.sequences, strict=True)
        slices = [type.row() for spec, type in read for _ in spec.taps]
        initials = zip(self.recurrences, parts.initials, strict=True)
        pasts = [type.row() if spec.windowed else type for spec, type in initials for _ in spec.taps]
        return [*slices, *pasts, *parts.states, *parts.keys, *parts.non_sequences, *self._sampled]

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        parts = self.inputs(types)
        self._check_sequences(parts.sequences)
        self._check_initials(parts.initials)
        step = self.results([variable.type for variable in self.body.outputs])
        values = [*step.recurrences, *step.maps]
        known = None if self.until and not self.is_sized else self.n_steps
        saved = [output.saved for output in self.outputs]
        lengths = [steps.last if self.dynamic and steps.last is not None else steps.rows(known) for steps in saved]
        stacks = [value.stacked(length) for value, length in zip(values, lengths, strict=True)]
        self._check_accumulators(known)
        accumulators = [values[spec.output].with_dtype(spec.dtype) for spec in self.accumulators]
        length = (TensorType("int64"),) if self.until else ()
        states = [old.with_shape(new.shape) for old, new in zip(parts.states, step.states, strict=True)]
        return (*stacks, *states, *accumulators, *length)

    def _check_accumulators(self, n_steps: int | None) -> None:
        for spec in self.accumulators:
            if spec.some and n_steps == 0:
                raise coded(ValueError, "LJ108")(f"no steps ran, so the output has no {spec.kind}")
            if self.until or self.dynamic or spec.kind != "at" or n_steps is None:
                continue
            if spec.step >= n_steps:
                raise coded(IndexError, "LJ206")(f"{n_steps} steps ran, and the output is read at index {spec.step}")

    def _check_sequences(self, types: Sequence[TensorType]) -> None:
        for sequence, type in zip(self.sequences, types, strict=True):
            rows = type.shape[0]
            if rows is not None and self.n_steps and rows < self.n_steps + sequence.span:
                raise coded(ValueError, "LJ111")(
                    f"sequence {sequence.name!r} has {rows} rows; {self.n_steps} steps "
                    f"with taps {list(sequence.taps)} need {self.n_steps + sequence.span}"
                )

    def _check_initials(self, types: Sequence[TensorType]) -> None:
        for recurrence, type in zip(self.recurrences, types, strict=True):
            rows = type.shape[0] if recurrence.windowed else recurrence.depth
            if rows is not None and rows < recurrence.depth:
                raise coded(ValueError, "LJ110")(
                    f"the initial value of {recurrence.name!r} has {rows} rows; "
                    f"taps {list(recurrence.taps)} need at least {recurrence.depth}, row 0 the oldest"
                )


def wrong_count(name: str, count: int) -> str | None:
    """Return the error of a number of steps that no loop has, ``None`` for others."""
    if count < 0:
        return f"{name} is negative: {count}; expected 0 or more"
    is_too_many = not is_symbolic(count) and count > MOST_STEPS
    return f"{name} is {count}; expected at most {MOST_STEPS}" if is_too_many else None


def batch_mismatch(what: str, size: object, axis: int, wanted: object) -> str:
    """Return the message where an argument has another number of examples than there are lengths."""
    return f"{what} has {size} examples along axis {axis} and lengths has {wanted}; give one length for each example"


def _split(values: Sequence[T], *counts: int) -> list[tuple[T, ...]]:
    """Return consecutive groups of as many values as ``counts`` says, and the group of all that are left."""
    rest = iter(values)
    return [*(tuple([next(rest) for _ in range(count)]) for count in counts), tuple(rest)]
