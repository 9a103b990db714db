"""``stepper``: the steps of a recorded loop one at a time, for data that comes while the program runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from loopjax.errors import UnsupportedError, about, coded, here, reported, where
from loopjax.interop.to_jax import to_jax
from loopjax.ir.graph import Apply, Variable, toposort
from loopjax.ir.scan import BodyInputs, Recurrence, Scan, SequenceInput
from loopjax.runtime.mode import read_mode
from loopjax.runtime.program import Options, OutputStructure, Program, read_outputs
from loopjax.runtime.signature import In, Signature
from loopjax.runtime.state import State
from loopjax.trace.derivative_arguments import read_variables


class StepState(NamedTuple):
    """State between two steps, a pytree.

    ``rows``: the last rows of sequences with past taps; ``pasts``: the last values of each recurrence, the oldest
    first; ``shared``: state that the loop updates; ``keys``: random keys, combined with the number ``step`` of a step;
    ``fixed``: what is the same at each step; ``stopped``: the condition of ``until`` has held.
    """

    step: Any
    rows: tuple[Any, ...]
    pasts: tuple[Any, ...]
    shared: tuple[Any, ...]
    keys: tuple[Any, ...]
    fixed: tuple[Any, ...]
    stopped: Any


class Stepper(NamedTuple):
    """The two functions of ``stepper``."""

    init: Callable[..., StepState]
    step: Callable[..., tuple[StepState, Any]]


@reported
def stepper(
    sequences: Variable | Sequence[Variable],
    outputs: Any,
    parameters: Sequence[Variable] = (),
    *,
    name: str | None = None,
    mode: Any = None,
) -> Stepper:
    """Makes ``(init, step)`` of a loop, which run it one step a call: for streams, simulators and agents.

    ``step(state, row)`` returns ``(state, outputs)`` after one step, as a body of ``jax.lax.scan`` does; ``row`` is a
    row of the sequence, a tuple of rows where ``sequences`` is a list, and left out where the loop has none. All steps
    together give what the loop gives. The state holds what later steps read: windows of past values and rows, random
    keys, and what the loop reads at each step (weights), evaluated once.

    Both are pure functions for ``jax.jit`` and other transformations; jit ``step`` before a loop in Python.

    Parameters
    ----------
    sequences
        The variables that the loop has as sequences, all of them.
    outputs
        Results of the loop: a variable, a list or a dict. ``step`` returns the values of the step in this structure.
    parameters
        Inputs that initial values and non-sequences need: the arguments of ``init``. Shared variables and random
        streams are read when ``init`` is called, and not updated.
    name
        The name in errors; that of the loop by default.
    mode
        As in ``function``.

    Returns
    -------
    init : callable
        ``init(*parameters, rows=None)`` returns the state before the first step. ``rows``, the first row of each
        sequence, is needed where initial values depend on their shapes; a sequence with past taps has its first rows
        there, as many as the lowest tap says.
    step : callable
        ``step(state, row)`` returns ``(state, outputs)``. ``state.stopped`` says if the condition of ``until`` has
        held; nothing else changes then.

    Raises
    ------
    UnsupportedError
        The outputs are not of one loop; it reads rows that are yet to come, or runs backwards.
    MissingInputError
        Initial values need an input that is not among ``parameters``.

    Examples
    --------
    >>> import jax
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x, rate = at.fvector("x"), at.fscalar("rate")
    >>> mean, _ = loopjax.scan(lambda x_t, m, rate: m + rate * (x_t - m), x, at.zeros((), "float32"), [rate])
    >>> init, step = loopjax.stepper(x, mean, [rate])
    >>> state = init(0.5)
    >>> for value in [4.0, 8.0]:
    ...     state, latest = jax.jit(step)(state, value)
    >>> float(latest)
    5.0
    """
    form, wanted = read_outputs(outputs)
    node, op = _loop(wanted)
    options = Options(name or op.label, mode=read_mode(mode))
    with about(options.name):
        read_variables(sequences, "sequences")
        loop = _Loop(node, op, sequences, wanted, form, read_variables(parameters, "parameters"), options)
    return Stepper(loop.init, loop.step)


def _loop(outputs: Sequence[Variable]) -> tuple[Apply, Scan]:
    """The node of the loop whose outputs these are."""
    nodes = list(dict.fromkeys(variable.owner for variable in outputs))
    node = nodes[0] if len(nodes) == 1 else None
    if node is None or not isinstance(node.op, Scan):
        raise UnsupportedError(
            f"outputs are {outputs}; expected results of one scan as that returned them, return from fn what each step "
            f"is to give{here()}"
        )
    op = node.op
    if op.go_backwards:
        raise UnsupportedError(f"{op.subject}{where(node.sources)} runs backwards: its first step reads the last row")
    for sequence in op.sequences:
        if max(sequence.taps) > 0:
            raise coded(UnsupportedError, "LJ109")(
                f"{op.subject}{where(node.sources)} reads sequence {sequence.name!r} at taps {list(sequence.taps)}; "
                f"expected none above 0, since rows to come are not known: shift all taps by {-max(sequence.taps)}"
            )
    return node, op


class _Loop:
    """A loop as two programs: the values before its first step, and the body."""

    def __init__(
        self,
        node: Apply,
        op: Scan,
        given: Variable | Sequence[Variable],
        outputs: Sequence[Variable],
        form: OutputStructure,
        parameters: Sequence[Variable],
        options: Options,
    ) -> None:
        from loopjax.runtime.compiler import simplify  # imports all passes and lowering rules
        from loopjax.runtime.inline import Inlined

        self.op = op
        self.single = isinstance(given, Variable)
        sequences = self._listed(given)
        parts = op.inputs(node.inputs)
        if len(set(sequences)) < len(sequences) or set(sequences) != set(parts.sequences):
            raise UnsupportedError(
                f"sequences are {list(sequences)}, and those of {op.subject}{where(node.sources)} are "
                f"{list(parts.sequences)}; expected each of them once"
            )
        self.form = form
        self.results = [node.outputs.index(output) for output in outputs]
        self.order = [sequences.index(sequence) for sequence in parts.sequences]
        rows = [In(Variable(variable.type.row(), name=variable.name)) for variable in sequences]
        self.signature = Signature(rows, True, f"{options.name}.step")
        body = Program((), OutputStructure("list"), op.body, State((), ()), options)
        self.body = Inlined(simplify(body))
        before = [*parts.initials, *parts.states, *parts.keys, *parts.non_sequences]
        self.reads_rows = _reads_rows(before, sequences)
        inputs = [*parameters, *sequences] if self.reads_rows else parameters
        label = f"{options.name}.init"
        self.before = to_jax(
            inputs, before, no_default_updates=True, name=label, on_unused_input="ignore", mode=options.mode
        )

    def init(self, *parameters: Any, rows: Any = None) -> StepState:
        """The state before the first step."""
        op = self.op
        given = self._listed(rows)
        needed = self.reads_rows or any(sequence.low for sequence in op.sequences)
        if len(given) != len(self.order) and (needed or rows is not None):
            why = "shapes of initial values depend on them" if self.reads_rows else "past taps read them"
            raise coded(TypeError, "LJ307")(
                f"{self.before.__name__} got rows of {len(given)} sequences; expected rows=, an array for each of "
                f"{[one.name for one in self.signature.inputs]} with the rows before the first step, since {why}"
                f"{here()}"
            )
        args = [*parameters, *given] if self.reads_rows else parameters
        before = self.before
        found = iter(before(before.init(), *args)[0] if before.variables else before(*args))
        read = [self._rows_before(place, spec, given) for place, spec in zip(self.order, op.sequences, strict=True)]
        pasts = tuple(_past(spec, next(found)) for spec in op.recurrences)
        shared, keys = (tuple(islice(found, count)) for count in (op.n_states, op.n_keys))
        return StepState(jnp.int32(0), tuple(read), pasts, shared, keys, tuple(found), jnp.bool_(False))

    def step(self, state: StepState, row: Any = None) -> tuple[StepState, Any]:
        """One step."""
        rows = self.signature.checked(self.signature.placed(self._listed(row), {}))
        windows = [_slid(before, rows[place]) for place, before in zip(self.order, state.rows, strict=True)]
        inputs = BodyInputs(
            tuple(_taps(window, spec.taps, -1) for spec, window in zip(self.op.sequences, windows, strict=True)),
            tuple(_taps(past, spec.taps, 0) for spec, past in zip(self.op.recurrences, state.pasts, strict=True)),
            state.shared,
            tuple(jax.random.fold_in(key, state.step) for key in state.keys),
            state.fixed,
        )
        found = self.op.results(self.body(inputs.flat()))
        after = StepState(
            state.step + 1,
            tuple(window[1:] if spec.low else None for spec, window in zip(self.op.sequences, windows, strict=True)),
            tuple(_slid(past[1:], new) for past, new in zip(state.pasts, found.recurrences, strict=True)),
            found.states,
            state.keys,
            state.fixed,
            state.stopped | found.until[0] if self.op.until else state.stopped,
        )
        outputs = found.flat()
        return after, self.form([outputs[place] for place in self.results])

    def _listed(self, given: Any) -> list[Any]:
        """One value for each sequence."""
        return [] if given is None else [given] if self.single else list(given)

    def _rows_before(self, place: int, spec: SequenceInput, rows: Sequence[Any]) -> Any:
        """The rows of a sequence that the first steps read at past taps."""
        one, count = self.signature.inputs[place], -spec.low
        if not count:
            return None
        given = jnp.asarray(rows[place])
        if given.ndim != one.variable.ndim + 1 or len(given) < count:
            raise coded(ValueError, "LJ110")(
                f"rows of {one.name!r} have shape {given.shape}; expected at least {count} rows of type "
                f"{one.variable.type}, since taps {list(spec.taps)} read them, give the last ones{here()}"
            )
        return given[len(given) - count :]


def _slid(rows: Any, new: Any) -> Any:
    """Rows and a new one after them."""
    row = jnp.asarray(new)[None]
    return row if rows is None else jnp.concatenate([rows, row.astype(rows.dtype)])


def _taps(rows: Any, taps: Sequence[int], now: int) -> tuple[Any, ...]:
    """The rows at some taps; tap 0 is at ``now`` from the end."""
    return tuple(rows[tap + now] for tap in taps)


def _past(spec: Recurrence, initial: Any) -> Any:
    """The rows of an initial value that the first steps read."""
    return initial[: spec.depth] if spec.windowed else initial[None]


def _reads_rows(outputs: Sequence[Variable], sequences: Sequence[Variable]) -> bool:
    """Test if outputs depend on shapes of rows; raises where they depend on more of the sequences."""
    reads = False
    for node in toposort(outputs, sequences):
        for variable in node.inputs:
            if variable not in sequences:
                continue
            if not (node.op.named("dim") and node.op.arguments["axis"]):
                raise coded(UnsupportedError, "LJ116")(
                    f"{node.outputs[0]!r}{where(node.sources)}, which the loop reads before its first step, depends on "
                    f"{variable!r}; expected that only fn reads sequences, make it a parameter"
                )
            reads = True
    return reads
