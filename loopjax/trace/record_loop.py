"""Records a loop: calls ``fn`` once with variables, closes what it computed to a body, and makes a ``Scan`` node.

1. The arguments are read: sequences, initial values, the number of steps (``trace/scan_arguments.py``).
2. ``fn`` is called once, with a variable for each tap of each sequence and state. Draws in it add keys to the body.
3. Its result is read into outputs, updates and condition (``trace/step_results.py``).
4. What depends on the step becomes the body, and the rest non-sequences (``trace/region.py``).
5. States get the dtypes that ``fn`` returns where they start as Python numbers (``trace/weak_states.py``).

With ``lengths``, the arguments are first turned into those of a masked loop (``trace/ragged.py``). ``fn`` must be a
pure function of variables: it runs when the loop is recorded and never again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from os.path import commonprefix
from typing import Any, NamedTuple

from loopjax.errors import MissingInputError, about, check_callable, coded, here, source_of, user_source, where
from loopjax.ir.graph import Graph, Variable, ancestors, apply, recorded
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import SAVE_ALL, UNTIL_STEPS, MapOutput, Recurrence, SavedSteps, Scan, SequenceInput, StepResult
from loopjax.ir.types import KEY
from loopjax.trace.packed import ragged_loop
from loopjax.trace.promotion import settle_weak
from loopjax.trace.pytrees import Pytrees
from loopjax.trace.recording import current_body, recording
from loopjax.trace.region import close_region
from loopjax.trace.scan_arguments import (
    InitialArgument,
    LoopArguments,
    SequenceArgument,
    check_takes,
    default_label,
    name_by_parameters,
    read_n_steps,
    read_non_sequences,
    read_outputs_info,
    read_sequences,
    shortest,
)
from loopjax.trace.shared import SharedVariable
from loopjax.trace.step_results import Returned, read_returned
from loopjax.trace.updates import OrderedUpdates
from loopjax.trace.weak_states import settle_states

Loop = tuple[list[Any], OrderedUpdates]
"""The outputs of a loop, and the new values of shared variables after it."""


def loop_options(fn: Callable[..., Any], name: str | None, **options: Any) -> Scan:
    """Return a ``Scan`` without a body, with these options and the label of the loop."""
    label = default_label(fn, name)
    with about(f"scan {label!r}"):
        check_callable("fn", fn, "a function that computes one step; write scan(lambda x_t: ...)")
    options["go_backwards"] = bool(options.get("go_backwards", False))
    return Scan(body=Graph((), ()), label=label, **options)


def record_loop(
    asked: LoopArguments, options: Scan, lengths: Any = None, *, only_last: bool = False, saved: SavedSteps = SAVE_ALL
) -> Loop:
    """Record a loop with the options of a ``Scan`` that has no body yet.

    With ``lengths``, each example of a minibatch has its own number of steps. ``only_last`` returns the last value of
    each output, which must then be a state where there are ``lengths``. ``saved`` says which steps outputs have.
    """
    pytrees = Pytrees(asked, options.label)
    outputs, updates = _recorded(pytrees.arguments, options, lengths, only_last, saved)
    return pytrees.results(outputs), updates


def _recorded(asked: LoopArguments, options: Scan, lengths: Any, only_last: bool, saved: SavedSteps) -> Loop:
    if lengths is None:
        outputs, updates = _record(asked, options, saved)
        return [output[-1] for output in outputs] if only_last else outputs, updates
    with about(options.subject):
        loop = ragged_loop(asked, options, lengths, only_last)
        arguments = loop.arguments
    stacks, updates = _record(arguments, loop.options, saved)
    outputs = loop.results(stacks)
    for output, stack in zip(outputs, stacks, strict=True):
        output.name = stack.name
    return outputs, updates


def single(outputs: list[Variable]) -> Any:
    """Return the outputs of a loop as users expect them: one variable, a list of several, or ``None``."""
    return outputs if len(outputs) > 1 else outputs[0] if outputs else None


class _Trace(NamedTuple):
    """A loop whose ``fn`` has been called, before it becomes a node."""

    options: Scan
    fn: Callable[..., Any]
    sequences: list[SequenceArgument]
    info: list[InitialArgument | None]
    returned: Returned
    read: list[Variable]
    keys: list[SharedVariable]
    saved: SavedSteps
    first: int

    @property
    def states(self) -> list[InitialArgument]:
        return [initial for initial in self.info if initial is not None]


def _record(asked: LoopArguments, options: Scan, saved: SavedSteps) -> Loop:
    fn, label = asked.fn, options.label
    with about(options.subject):
        sequences = read_sequences(asked.sequences)
        info = read_outputs_info(asked.outputs_info)
        passed = read_non_sequences(asked.non_sequences)
        n_steps = read_n_steps(asked.n_steps)
        unbounded = n_steps is None and not sequences
        if n_steps is None:
            n_steps = shortest(sequences) if sequences else UNTIL_STEPS
        arguments: list[SequenceArgument | InitialArgument] = [*sequences]
        arguments += [initial for initial in info or () if initial]
        read = [one for argument in arguments for one in _tapped(argument, label)]
        try:
            check_takes(fn, [*read, *passed], label)
        except TypeError:
            if unbounded and not read:  # fn wants slices of a sequence that was forgotten
                raise _without_length(label) from None
            raise
        name_by_parameters(fn, arguments, read)
    with recording() as body:
        result = fn(*read, *passed)
    with about(options.subject):
        returned = read_returned(result, label)
        if unbounded and returned.condition is None:
            raise _without_length(label)
        info = _matched(info, returned, label, fn)
        if returned.condition is not None and saved.every > 1:
            raise coded(ValueError, "LJ113")(
                f"scan {label!r}: a loop that stops by until has no fixed steps to keep{source_of(fn)}"
            )
        # The update of a stream is that its key advances, whether fn returns it (from an inner scan) or not.
        keys = list(dict.fromkeys([*body.keys, *(key for key in returned.updates if key.dtype == KEY)]))
        returned = returned._replace(updates={key: new for key, new in returned.updates.items() if key.dtype != KEY})
        traced = _Trace(options, fn, sequences, info, returned, read, keys, saved, body.first)
        return _results(traced, _node(traced, n_steps, passed if asked.strict else None))


def _without_length(label: str) -> ValueError:
    return coded(ValueError, "LJ108")(
        f"scan {label!r} has neither sequences nor n_steps; expected one of them, give it, so that it knows when to "
        f"stop; or return until(condition), which has to be true after at most {UNTIL_STEPS:,} steps"
    )


def _tapped(argument: SequenceArgument | InitialArgument, label: str) -> list[Variable]:
    """Return the variables that ``fn`` receives of an argument, one for each tap."""
    names = [f"{argument.name}[t{tap:+d}]" if tap else f"{argument.name}[t]" for tap in argument.taps]
    variables = [recorded(Variable)(argument.step_type, name=tapped) for tapped in names]
    for variable in variables:
        variable.scan, variable.source = label, user_source()
    return variables


def _matched(
    info: list[InitialArgument | None] | None, returned: Returned, label: str, fn: Callable[..., Any]
) -> list[InitialArgument | None]:
    """Return ``outputs_info`` with an entry for each array that ``fn`` returns."""
    count = len(returned.counts)
    if info is None:
        return [None] * len(returned.outputs)
    if len(info) != count:
        stops = returned.outputs[-1:] and returned.outputs[-1].dtype == "bool" and count > len(info)
        remedy = "; to stop by the last one, return until(condition)" if stops else ""
        raise coded(ValueError, "LJ104")(
            f"scan {label!r}: fn returns {count} outputs and outputs_info has {len(info)} entries; give one for each, "
            f"None for an output that no later step reads{remedy}{source_of(fn)}"
        )
    return returned.info(info)


def _node(traced: _Trace, n_steps: Variable | int, listed: list[Variable] | None) -> tuple[Variable, ...]:
    """Close the body, settle the types of its states and record the node; return its outputs."""
    returned, label = traced.returned, traced.options.label
    carried = [*returned.updates, *traced.keys]
    closed = close_region(_body_outputs(traced), [*traced.read, *carried], traced.first)
    if listed is not None:
        read = ancestors(closed.captured, stop=listed)
        missing = [v for v in read if isinstance(v, SharedVariable) and v not in set(listed)]
        if missing:
            raise coded(MissingInputError, "LJ115")(
                f"scan {label!r} is strict and its fn{source_of(traced.fn)} uses {missing}, which are not passed; "
                f"expected all of them, add "
                f"them to non_sequences{here()}"
            )
    inner: dict[Variable, Variable] = {shared: Variable(shared.type, name=shared.name) for shared in carried}
    n_slices = sum(len(argument.taps) for argument in traced.sequences)
    body, initials = settle_states(closed.graph.rebuilt(inner), n_slices, traced.states, label)
    op = replace(
        traced.options,
        body=body,
        sequences=tuple(SequenceInput(argument.taps, argument.name) for argument in traced.sequences),
        recurrences=tuple(
            Recurrence(i.taps, traced.saved, name, i.windowed)
            for i, name in zip(traced.states, _state_names(traced), strict=True)
        ),
        maps=tuple(MapOutput(traced.saved, f"output {number}") for number, i in enumerate(traced.info) if i is None),
        n_states=len(returned.updates),
        n_keys=len(traced.keys),
        until=returned.condition is not None,
        n_steps=n_steps if isinstance(n_steps, int) else None,
    )
    lengths = () if isinstance(n_steps, int) else (n_steps,)
    sequences = [argument.variable for argument in traced.sequences]
    return apply(op, *lengths, *sequences, *initials, *carried, *closed.captured, name=label)


def _state_names(traced: _Trace) -> Iterator[str]:
    """Return the name of each state: its own, or what the parameters of ``fn`` for its taps begin with."""
    rest = islice(traced.read, sum(len(argument.taps) for argument in traced.sequences), None)
    for state in traced.states:
        read = {tap: str(next(rest).name) for tap in state.taps}
        names = {tap: name for tap, name in read.items() if not name.startswith(f"{state.name}[t")}
        prefix = commonprefix([*names.values()]).rstrip("_")  # noqa: RUF071 - of characters, as meant
        yield prefix or (names[max(names)] if names else state.name)


def _body_outputs(traced: _Trace) -> list[Variable]:
    """Return what ``fn`` returned in the order of a body's outputs."""
    returned, label = traced.returned, traced.options.label
    paired = list(zip(returned.outputs, traced.info, strict=True))
    return StepResult(
        tuple(value for value, initial in paired if initial is not None),
        tuple(value for value, initial in paired if initial is None),
        tuple(_state_update(shared, new, label) for shared, new in returned.updates.items()),
        () if returned.condition is None else (ops.cast(returned.condition, "bool"),),
    ).flat()


def _state_update(shared: SharedVariable, new: Variable, label: str) -> Variable:
    """Return the new value of a shared variable; raise ``TypeError`` where it has another type."""
    new = settle_weak(new, shared.dtype)
    if not shared.type.accepts(new.type):
        raise coded(TypeError, "LJ304")(
            f"scan {label!r}: the update of {shared!r} is {new.type}; expected {shared.type}. "
            f"{shared.type.remedy(new.type)}{where(new.sources)}"
        )
    return new


def _results(traced: _Trace, outputs: tuple[Variable, ...]) -> Loop:
    """Return the node's outputs in the user's order, and the updates."""
    count, n_states = len(traced.info), len(traced.states)
    recurrences, maps = iter(outputs[:n_states]), iter(outputs[n_states:count])
    stacks = [next(maps if initial is None else recurrences) for initial in traced.info]
    for position, stack in enumerate(stacks):
        stack.name = f"{traced.options.label}[{position}]" if count > 1 else traced.options.label
    updates = OrderedUpdates(zip(traced.returned.updates, outputs[count:], strict=False))
    # Keys advance after the loop; a body around it carries them on.
    enclosing = current_body()
    if enclosing is not None:
        enclosing.keys.update(dict.fromkeys(traced.keys))
    updates.update((key, ops.advance(key)) for key in traced.keys)
    return stacks, updates
