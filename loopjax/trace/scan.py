"""``scan``: records a loop. Arguments in, a ``Scan`` node out."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from loopjax.config import config
from loopjax.errors import MissingInputError, Source, about, source_of, user_source, where
from loopjax.ir.graph import Apply, Constant, Graph, Variable, apply, copy_node
from loopjax.ir.op import TableOp, table_op
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import SAVE_ALL, MapOutput, Recurrence, SavedSteps, Scan, SequenceInput, StepResult
from loopjax.ir.schedule import Policy, Schedule, read_checkpoint
from loopjax.ir.types import KEY, TensorType
from loopjax.trace.promotion import exactly, fold_weak, is_as_wide, settle_weak, unfolded
from loopjax.trace.ragged import Request, ragged
from loopjax.trace.recording import current_body, recording
from loopjax.trace.region import close_region
from loopjax.trace.scan_arguments import (
    InitialArgument,
    Returned,
    SequenceArgument,
    check_takes,
    default_label,
    read_n_steps,
    read_non_sequences,
    read_outputs_info,
    read_returned,
    read_sequences,
    shortest,
    step_type,
)
from loopjax.trace.shared import SharedVariable
from loopjax.trace.updates import OrderedUpdates

Updates = dict[SharedVariable, Variable]


def scan(
    fn: Callable[..., Any],
    sequences: Any = None,
    outputs_info: Any = None,
    non_sequences: Any = None,
    n_steps: Any = None,
    truncate_gradient: int = -1,
    go_backwards: bool = False,
    mode: Any = None,
    name: str | None = None,
    profile: Any = False,
    allow_gc: Any = None,
    strict: bool = False,
    return_list: bool = False,
    *,
    return_updates: bool = True,
    unroll: int | None = None,
    checkpoint: int | str | Schedule | Policy | None = None,
    progress: bool | str = False,
    lengths: Any = None,
) -> Any:
    """Runs ``fn`` once a step and stacks what it returns.

    Parameters
    ----------
    fn
        Called once, with variables: every sequence's slices in the order of its taps, every state's past values in
        the order of ``outputs_info`` and its taps, then the ``non_sequences``. Returns outputs, updates of shared
        variables (a dict or pairs), ``until(condition)``, in that order, each where there is one.
    sequences
        Arrays or variables ``(length, ...)`` that are read along their first axis, or dicts ``{"input":, "taps":}``.
        With taps the first step reads ``x[k - min(taps, 0)]`` for tap ``k``, so that every tap is inside.
        The shortest sequence decides the number of steps.
    outputs_info
        For each output ``None`` (nothing later reads it), the value before the first step, shape ``(*state)``, or
        ``{"initial":, "taps":}``: ``initial`` then has the shape ``(rows, *state)`` with at least
        ``-min(taps)`` rows, row 0 the oldest, unless the only tap is -1.
    non_sequences
        What ``fn`` receives unchanged at each step. Other variables that it uses are found by themselves.
    n_steps
        An int or an integer scalar variable: the number of steps, or with ``until`` the most there can be.
    truncate_gradient
        Where not negative, gradients flow through the last so-many steps only.
    go_backwards
        Reads sequences from their ends. Outputs are in the order in which they were computed.
    strict
        Raises ``MissingInputError`` for a shared variable that ``fn`` uses and that is not passed.
    return_list
        A list of outputs even where there is one.
    return_updates
        ``False`` returns the outputs alone; an error where there are updates.
    unroll
        Steps in one iteration of the compiled loop; chosen for the body unless given.
    checkpoint
        What is stored for the gradient of a loop whose length is known before the call; the rest is computed again.
        An int N or ``Every(N)``: the state every N steps. ``"sqrt"``: at most ``2 ceil(sqrt(n_steps)) + 3`` states at
        one time, each step computed again at most twice. ``"log"``: at most ``4 log2(n_steps)``. ``Budget(states=)``
        or ``Budget(bytes=)``: at most so many, with the least recomputation; ``ValueError`` where that cannot be. A
        policy of ``jax.checkpoint``: every state, and of each step's values what it says. ``Every`` and ``Budget``
        are in ``loopjax.checkpoint``. A state is all that a step hands to the next. Gradients of every order are the
        same with each, draws too. Unless given, each step stores the state and its products, and what is elementwise
        is computed again; steps with inner loops, sorts or draws, and those of small states, store what they compute.
        Where only the run knows the length (``until``, or an inner loop whose length varies) and last steps or sums
        alone are read, the gradient stores few states of its own accord, and this says nothing.
    progress
        ``True`` or a label: a progress bar while the loop runs. Needs the extra ``loopjax[progress]``.
    lengths
        An integer vector ``(batch,)``, or ``Packed`` of one: example i of a minibatch stops after ``lengths[i]`` steps,
        0 or more. Sequences are then ``(length, batch, ...)``, or ``(length,)`` for all examples alike; initial values
        ``(batch, ...)``, with taps ``(rows, batch, ...)``; axis 0 of what ``fn`` returns is that of examples, and
        ``fn`` mixes none. Behind its last step an example's outputs are zero and its state is frozen (``reduce``,
        ``foldl`` and ``foldr`` return it), and nothing of its sequences is read, so that they may hold NaN there; an
        example without steps may hold it anywhere. The loop runs ``max(lengths)`` steps, and so many rows outputs have,
        unless ``n_steps`` says how many, ``x.shape[0]`` for example: then one program serves all lengths. With taps of
        sequences, steps count, not rows. ``go_backwards`` begins with each example's own last step, and all end
        together: row t of an output is time ``n_steps - 1 - t``, so that ``out[::-1]`` stands beside the outputs
        of a forward loop. ``truncate_gradient`` counts each example's own last steps. Draws of an example do not
        depend on the others' lengths. Derivatives of every order and mode. ``until`` and updates of shared
        variables in ``fn`` raise ``UnsupportedError``, lengths that are negative or too large ``ValueError``.
    mode, profile, allow_gc
        Accepted for old programs. XLA owns buffers and compilation, so they change nothing.

    Returns
    -------
    ``(outputs, updates)``: outputs of shape ``(n_steps, *step)``, one variable, a list, or ``None``;
    ``updates`` a dict from each shared variable that ``fn`` updates or random stream that it draws from to
    its value after the last step, to be passed to ``function``.

    Raises ``TypeError`` and ``ValueError`` for arguments or results that do not fit each other, naming the argument,
    both types and the line.
    """
    label = default_label(fn, name)
    _check_options(truncate_gradient, unroll, label)
    options = Scan(
        body=Graph((), ()),
        go_backwards=bool(go_backwards),
        truncate_gradient=truncate_gradient,
        checkpoint=read_checkpoint(checkpoint, label, _here()),
        unroll=unroll,
        progress=_progress_label(progress, label),
        label=label,
    )
    if lengths is None:
        outputs, updates = record(fn, sequences, outputs_info, non_sequences, n_steps, options, strict=strict)
    else:
        asked = Request(fn, sequences, outputs_info, n_steps, lengths, options.go_backwards, truncate_gradient, label)
        outputs, updates = record_ragged(asked, non_sequences, options, strict=strict)
    single: Any = outputs if return_list or len(outputs) > 1 else outputs[0] if outputs else None
    if return_updates:
        return single, updates
    if updates:
        raise ValueError(
            f"scan {label!r} updates {list(updates)}; return_updates=False would lose that{where(_here())}"
        )
    return single


def record(
    fn: Callable[..., Any],
    sequences: Any,
    outputs_info: Any,
    non_sequences: Any,
    n_steps: Any,
    options: Scan,
    *,
    strict: bool = False,
    saved: SavedSteps = SAVE_ALL,
) -> tuple[list[Variable], Updates]:
    """Records a loop with the options of a ``Scan`` that has no body yet; ``saved`` says which steps its outputs
    have."""
    label = options.label
    subject, source = options.subject, user_source()
    with about(subject, source):
        sequence_args = read_sequences(sequences)
        info = read_outputs_info(outputs_info)
        passed = read_non_sequences(non_sequences)
        steps = _steps(read_n_steps(n_steps), sequence_args, label)
        slices = [_slices(argument) for argument in sequence_args]
        pasts = [_pasts(initial) for initial in info or () if initial is not None]
        arguments = [variable for group in (*slices, *pasts) for variable in group] + passed
        check_takes(fn, arguments, label)
    with recording() as body:
        result = fn(*arguments)
    with about(subject, source):
        returned = read_returned(result, label)
        info = _matched(info, returned, label, fn)
        if returned.condition is not None and saved.every > 1:
            raise ValueError(f"scan {label!r}: a loop that stops by until has no fixed steps to keep{source_of(fn)}")
        # A stream's update is that its key moves on, whether fn returns it (from an inner scan) or not.
        keys = list(body.keys) + [one for one in returned.updates if one.dtype == KEY and one not in body.keys]
        returned = returned._replace(updates={one: new for one, new in returned.updates.items() if one.dtype != KEY})
        traced = _Trace(label, fn, sequence_args, info, returned, slices, pasts, keys, saved)
        return _results(traced, _node(traced, steps, passed if strict else None, options))


def record_ragged(
    asked: Request, non_sequences: Any, options: Scan, *, strict: bool = False
) -> tuple[list[Variable], Updates]:
    """Records a loop over examples of different lengths."""
    with about(options.subject, user_source()):
        loop = ragged(asked)
        sequences = loop.sequences
    options = replace(
        options,
        go_backwards=loop.go_backwards,
        counts_down=loop.go_backwards,
        truncate_gradient=loop.truncate_gradient,
    )
    stacks, updates = record(loop.fn, sequences, loop.outputs_info, non_sequences, loop.n_steps, options, strict=strict)
    outputs = loop.results(stacks)
    for output, stack in zip(outputs, stacks, strict=True):
        output.name = stack.name
    return outputs, updates


class _Trace(NamedTuple):
    """What one call of ``scan`` has recorded before it becomes a node."""

    label: str
    fn: Callable[..., Any]
    sequences: list[SequenceArgument]
    info: list[InitialArgument | None]
    returned: Returned
    slices: list[list[Variable]]
    pasts: list[list[Variable]]
    keys: list[SharedVariable]
    saved: SavedSteps

    @property
    def initials(self) -> list[InitialArgument]:
        return [initial for initial in self.info if initial is not None]


def _steps(n_steps: Variable | int | None, sequences: list[SequenceArgument], label: str) -> Variable | int:
    """The number of steps: given, or that of the shortest sequence after its taps."""
    if n_steps is not None:
        return n_steps
    if not sequences:
        raise ValueError(f"scan {label!r} has neither sequences nor n_steps; give one, so that it knows when to stop")
    return shortest(sequences)


def _here() -> list[Source]:
    """The user's line."""
    source = user_source()
    return [] if source is None else [source]


def _check_options(truncate_gradient: int, unroll: int | None, label: str) -> None:
    for option, value, least in (
        ("truncate_gradient", truncate_gradient, -1),
        ("unroll", unroll, 1),
    ):
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
            raise ValueError(f"scan {label!r}: {option} is an int of at least {least}, got {value!r}{where(_here())}")


def _progress_label(progress: bool | str, label: str) -> str:
    """The text before the bar, empty for no bar."""
    if not progress:
        return ""
    if importlib.util.find_spec("tqdm") is None:
        raise ImportError(f"scan {label!r}: progress needs tqdm; install it with pip install 'loopjax[progress]'")
    return label if progress is True else str(progress)


def _slices(argument: SequenceArgument) -> list[Variable]:
    return [Variable(argument.variable.type.row(), name=_tapped(argument.variable.name, tap)) for tap in argument.taps]


def _pasts(initial: InitialArgument) -> list[Variable]:
    return [Variable(step_type(initial), name=_tapped(initial.variable.name, tap)) for tap in initial.taps]


def _tapped(name: str | None, tap: int) -> str | None:
    return None if name is None else f"{name}[t{tap:+d}]" if tap else f"{name}[t]"


def _matched(
    info: list[InitialArgument | None] | None, returned: Returned, label: str, fn: Callable[..., Any]
) -> list[InitialArgument | None]:
    """``outputs_info`` with as many entries as fn has outputs."""
    count = len(returned.outputs)
    if info is None:
        return [None] * count
    if len(info) != count:
        raise ValueError(
            f"scan {label!r}: fn returns {count} outputs and outputs_info has {len(info)} entries; give one for each, "
            f"None for an output that no later step reads{source_of(fn)}"
        )
    return info


def _node(
    traced: _Trace, steps: Variable | int, strict_arguments: list[Variable] | None, options: Scan
) -> tuple[Variable, ...]:
    """Closes the body, settles the types of its states and records the node; its outputs."""
    returned = traced.returned
    inputs = [variable for group in (*traced.slices, *traced.pasts) for variable in group]
    carried = [*returned.updates, *traced.keys]
    closed = close_region(_body_outputs(traced), [*inputs, *carried])
    if strict_arguments is not None:
        _check_strict(closed.captured, strict_arguments, traced)
    inner: dict[Variable, Variable] = {shared: Variable(shared.type, name=shared.name) for shared in carried}
    body, initials = _settled(closed.graph.rebuilt(inner), traced)
    op = replace(
        options,
        body=body,
        sequences=tuple(SequenceInput(argument.taps, argument.name) for argument in traced.sequences),
        recurrences=tuple(Recurrence(i.taps, traced.saved, i.name, i.windowed) for i in traced.initials),
        maps=tuple(
            MapOutput(traced.saved, f"output {position}") for position, i in enumerate(traced.info) if i is None
        ),
        n_states=len(returned.updates),
        n_keys=len(traced.keys),
        until=returned.condition is not None,
        n_steps=steps if isinstance(steps, int) else None,
    )
    return apply(
        op,
        *(() if isinstance(steps, int) else (steps,)),
        *(argument.variable for argument in traced.sequences),
        *initials,
        *carried,
        *closed.captured,
        name=traced.label,
    )


def _body_outputs(traced: _Trace) -> list[Variable]:
    """What fn returned, by role."""
    returned = traced.returned
    paired = list(zip(returned.outputs, traced.info, strict=True))
    return StepResult(
        tuple(value for value, initial in paired if initial is not None),
        tuple(value for value, initial in paired if initial is None),
        tuple(_state_update(shared, new, traced.label) for shared, new in returned.updates.items()),
        () if returned.condition is None else (ops.cast(returned.condition, "bool"),),
    ).flat()


def _state_update(shared: SharedVariable, new: Variable, label: str) -> Variable:
    """The new value of a shared variable, of exactly its type."""
    new = settle_weak(new, shared.dtype)
    if not shared.type.accepts(new.type):
        raise TypeError(
            f"scan {label!r}: the update of {shared!r} is {new.type}; expected {shared.type}. "
            f"{shared.type.remedy(new.type)}{where(new.sources)}"
        )
    return new


def _settled(body: Graph, traced: _Trace) -> tuple[Graph, list[Variable]]:
    """The body and the initial values in agreement: Python numbers take the dtype that fn returns."""
    count = sum(len(argument.taps) for argument in traced.sequences)
    replaced: dict[Variable, Variable] = {}
    initials: list[Variable] = []
    inputs = iter(body.inputs[count:])
    for initial, output in zip(traced.initials, body.outputs, strict=False):
        pasts = [next(inputs) for _ in initial.taps]
        variable = initial.variable
        if variable.type.weak and is_as_wide(output.type.dtype, variable.dtype):
            variable = _retyped_constant(variable, output.type.dtype)
            for past in pasts:
                replaced[past] = Variable(TensorType(output.type.dtype, past.type.shape), name=past.name)
        initials.append(variable)
    if replaced:
        body = body.rebuilt(replaced, _repromoted)
    outputs = list(body.outputs)
    problems: list[str] = []
    for position, (initial, variable) in enumerate(zip(traced.initials, initials, strict=True)):
        step = variable.type.row() if initial.windowed else variable.type
        outputs[position] = output = settle_weak(outputs[position], step.dtype)
        if not step.accepts(output.type):
            problems.append(_state_mismatch(initial, step, output))
    if problems:
        raise TypeError(f"scan {traced.label!r}: " + "; ".join(problems))
    return Graph(body.inputs, outputs), initials


def _state_mismatch(initial: InitialArgument, step: TensorType, output: Variable) -> str:
    advice = (
        f"Cast the result with .astype({step.dtype!r}) or start from {output.type.dtype}"
        if step.dtype != output.type.dtype
        else "Start from a value of the shape that a step returns"
    )
    return f"state {initial.name!r} starts as {step} but a step returns {output.type}. {advice}.{where(output.sources)}"


def _retyped_constant(variable: Variable, dtype: str) -> Variable:
    if isinstance(variable, Constant):
        return Constant(exactly(variable, dtype), variable.name)
    cast: Variable = ops.cast(variable, dtype)
    return cast


def _repromoted(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
    """The node on inputs of other dtypes, its Python numbers taking those, in the bodies of inner loops too."""
    if inputs == node.inputs:
        return None
    if isinstance(node.op, Scan):
        return copy_node(node, inputs, _with_inputs_of(node.op, inputs)).outputs
    if not isinstance(node.op, TableOp):
        return None
    op = _with_dtype_of(node.op, node.inputs[0].type, inputs[0].type) if inputs else node.op
    numbers = [unfolded(variable) for variable in inputs]
    return copy_node(node, fold_weak(op.definition.operands, numbers), op).outputs


def _with_dtype_of(op: TableOp, old: TensorType, new: TensorType) -> TableOp:
    """A reduction whose dtype followed from its input's, following the new one; a cast says what it says."""
    dtype = op.arguments.get("dtype")
    followed = dtype == old.dtype or (dtype == config.floatX and not old.is_float and new.is_float)
    if op.row == "cast" or not followed:
        return op
    return table_op(op.row, **{**op.arguments, "dtype": new.dtype})


def _with_inputs_of(op: Scan, inputs: Sequence[Variable]) -> Scan:
    """An inner loop for inputs of other dtypes."""
    given = zip(op.body.inputs, op.body_types([variable.type for variable in inputs]), strict=True)
    fresh = {old: Variable(type, name=old.name) for old, type in given if old.dtype != type.dtype or old.type.weak}
    body = op.body.rebuilt(fresh, _repromoted)
    starts = op.body_inputs([variable.type for variable in body.inputs]).taps
    for recurrence, taps, value in zip(op.recurrences, starts, op.results(body.outputs).recurrences, strict=True):
        if taps[0].dtype != value.dtype:
            raise TypeError(
                f"scan {op.label!r}: state {recurrence.name!r} starts as {taps[0]} but a step returns {value.type}, "
                f"now that a number takes the dtype of its loop's results. Cast the result with "
                f".astype({taps[0].dtype!r}){where(value.sources)}"
            )
    return replace(op, body=body)


def _check_strict(captured: Sequence[Variable], listed: Sequence[Variable], traced: _Trace) -> None:
    missing = [v for v in captured if isinstance(v, SharedVariable) and v not in set(listed)]
    if missing:
        raise MissingInputError(
            f"scan {traced.label!r} is strict and its fn{source_of(traced.fn)} uses {missing}, which "
            f"are not passed; add them to non_sequences{where(_here())}"
        )


def _results(traced: _Trace, outputs: tuple[Variable, ...]) -> tuple[list[Variable], Updates]:
    """The outputs in the user's order, and the updates."""
    count = len(traced.info)
    n_recurrences = len(traced.initials)
    recurrences, maps = iter(outputs[:n_recurrences]), iter(outputs[n_recurrences:count])
    stacks: list[Variable] = []
    for position, initial in enumerate(traced.info):
        stack = next(maps if initial is None else recurrences)
        stack.name = f"{traced.label}[{position}]" if count > 1 else traced.label
        stacks.append(stack)
    updates = OrderedUpdates(zip(traced.returned.updates, outputs[count:], strict=False))
    updates.update(advance_keys(traced.keys))
    return stacks, updates


def advance_keys(keys: Sequence[SharedVariable]) -> Updates:
    """The streams' keys after a loop that drew from them; the enclosing body, if any, carries them on."""
    enclosing = current_body()
    if enclosing is not None:
        enclosing.keys.update(dict.fromkeys(keys))
    return {key: ops.advance(key) for key in keys}
