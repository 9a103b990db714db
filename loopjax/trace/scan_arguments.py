"""What users pass to ``scan`` and return from its fn, read into named parts."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from loopjax.errors import source_of, where
from loopjax.ir.graph import Constant, Variable
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import SequenceInput
from loopjax.ir.types import TensorType
from loopjax.trace.convert import as_variable, constant
from loopjax.trace.shared import SharedVariable


class until:  # noqa: N801 - the name that Theano programs use
    """``until(condition)``, returned last by a scan's fn, stops the loop after the step in which it is true."""

    def __init__(self, condition: Any) -> None:
        made = as_variable(condition)
        if made.ndim != 0:
            raise ValueError(f"until() takes a scalar condition, got {made!r}{where(made.sources)}")
        self.condition = made


class SequenceArgument(NamedTuple):
    """A variable that is read along its first axis, and the taps to read at each step."""

    variable: Variable
    taps: tuple[int, ...]
    name: str


class InitialArgument(NamedTuple):
    """An entry of ``outputs_info`` that is a state: ``windowed`` where ``variable`` has a leading time axis."""

    variable: Variable
    taps: tuple[int, ...]
    windowed: bool
    name: str


class Returned(NamedTuple):
    """What fn returned."""

    outputs: list[Variable]
    updates: dict[SharedVariable, Variable]
    condition: Variable | None


def read_sequences(sequences: Any) -> list[SequenceArgument]:
    """``sequences`` as a list. Raises ``TypeError`` or ``ValueError`` naming the entry."""
    found: list[SequenceArgument] = []
    if isinstance(sequences, (list, tuple)) and sequences and all(isinstance(v, (int, float)) for v in sequences):
        sequences = [sequences]  # one sequence, given as its numbers
    for position, entry in enumerate(_entries(sequences)):
        place = f"sequences[{position}]"
        taps: Any = [0]
        if isinstance(entry, Mapping):
            taps = _tap_list(_only(entry, place, "input", "taps").get("taps"), place, [0])
            if "input" not in entry:
                raise ValueError(f"{place} is a dict without the key 'input'")
            entry = entry["input"]
        variable = _strong(entry, place)
        if variable.ndim == 0:
            raise ValueError(f"{place} is the scalar {variable!r}; a sequence needs a first axis to be read along")
        found.append(SequenceArgument(variable, tuple(taps), variable.name or place))
    return found


def read_outputs_info(outputs_info: Any) -> list[InitialArgument | None] | None:
    """``outputs_info`` as a list with ``None`` for map outputs; ``None`` where nothing was given at all."""
    if outputs_info is None:
        return None
    found: list[InitialArgument | None] = []
    for position, entry in enumerate(_entries(outputs_info)):
        place = f"outputs_info[{position}]"
        if isinstance(entry, Mapping):
            options = _only(entry, place, "initial", "taps")
            if options.get("initial") is None:
                if options.get("taps"):
                    raise ValueError(f"{place} has taps and no 'initial' value for them to read at the first steps")
                found.append(None)
                continue
            taps = tuple(_tap_list(options.get("taps"), place, [-1]))
            if any(tap >= 0 for tap in taps):
                raise ValueError(f"{place}: taps of a state are negative, steps in the past; got {list(taps)}")
            if len(set(taps)) != len(taps):
                raise ValueError(f"{place}: taps {list(taps)} repeat")
            found.append(_initial(options["initial"], taps, place))
        elif entry is None:
            found.append(None)
        else:
            found.append(_initial(entry, (-1,), place))
    return found


def read_non_sequences(non_sequences: Any) -> list[Variable]:
    """``non_sequences`` as a list of variables."""
    return [_strong(entry, f"non_sequences[{position}]") for position, entry in enumerate(_entries(non_sequences))]


def read_n_steps(n_steps: Any) -> Variable | int | None:
    """``n_steps`` as a number where it is one."""
    if n_steps is None:
        return None
    if isinstance(n_steps, Constant):
        n_steps = n_steps.data
    if isinstance(n_steps, Variable):
        if not n_steps.type.is_integer or n_steps.ndim != 0:
            raise TypeError(f"n_steps is an integer scalar, got {n_steps!r}{where(n_steps.sources)}")
        return n_steps
    given = np.asarray(n_steps)
    if given.dtype.kind not in "iu" or given.ndim != 0:
        raise TypeError(f"n_steps is an integer scalar, got {n_steps!r}")
    if given < 0:
        raise ValueError(f"n_steps is negative: {n_steps}")
    return int(given)


def read_lengths(lengths: Any) -> Variable:
    """``lengths`` as an integer vector."""
    try:
        variable = _strong(lengths, "lengths")
    except TypeError as error:
        raise TypeError(f"lengths is an integer vector with the steps of each example, got {lengths!r:.80}") from error
    if not variable.type.is_integer or variable.ndim != 1:
        raise TypeError(
            f"lengths is an integer vector with the steps of each example, got {variable!r}{where(variable.sources)}"
        )
    if variable.type.shape[0] == 0:
        raise ValueError(f"lengths is empty; a loop with lengths has at least one example{where(variable.sources)}")
    return variable


def shortest(sequences: Sequence[SequenceArgument]) -> Variable | int:
    """How many steps the shortest of some sequences has after its taps."""
    lengths: list[Variable | int] = []
    for argument in sequences:
        span = SequenceInput(argument.taps).span
        rows = argument.variable.type.shape[0]
        if rows is not None:
            lengths.append(max(rows - span, 0))
        else:
            symbolic = argument.variable.shape[0]
            lengths.append(ops.maximum(symbolic - span, 0) if span else symbolic)
    fixed = [length for length in lengths if isinstance(length, int)]
    found: Variable | int | None = min(fixed) if fixed else None
    for length in lengths:
        if isinstance(length, Variable):
            found = length if found is None else ops.minimum(found, length)
    assert found is not None
    return found


def check_takes(fn: Callable[..., Any], arguments: Sequence[Variable], label: str) -> None:
    """Raises ``TypeError`` where fn does not take so many arguments, before its own error would name no scan."""
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        received = ", ".join(str(variable.name or variable) for variable in arguments)
        raise TypeError(
            f"scan {label!r}: fn{signature} does not take the {len(arguments)} arguments that it is called with, "
            f"({received}): {error}. They are the slices of sequences, the past values of states, then "
            f"non_sequences; write one parameter for each{source_of(fn)}"
        ) from error


def read_returned(result: Any, label: str) -> Returned:
    """Outputs, updates and condition, from any of the forms that fn may return."""
    condition: Variable | None = None
    if isinstance(result, (list, tuple)) and result and isinstance(result[-1], until):
        condition = result[-1].condition
        rest = result[:-1]
        if not rest:
            raise _misreturned(result, label)
        result = rest[0] if len(rest) == 1 else rest
    if _is_updates(result):
        return Returned([], _updates(result, label), condition)
    if isinstance(result, tuple) and len(result) == 2 and _is_updates(result[1], empty=True):
        return Returned(_outputs(result[0], label), _updates(result[1], label), condition)
    return Returned(_outputs(result, label), {}, condition)


def _outputs(result: Any, label: str) -> list[Variable]:
    values: Sequence[Any] = result if isinstance(result, (list, tuple)) else [result]
    outputs: list[Variable] = []
    for value in values:
        if not isinstance(value, (Variable, bool, int, float, complex, np.generic, np.ndarray, jax.Array)):
            raise _misreturned(result, label)
        outputs.append(as_variable(value))
    return outputs


def _is_updates(value: Any, empty: bool = False) -> bool:
    if isinstance(value, Mapping):
        return True
    if not isinstance(value, (list, tuple)):
        return False
    pairs = all(isinstance(v, (list, tuple)) and len(v) == 2 and isinstance(v[0], SharedVariable) for v in value)
    return pairs and (bool(value) or (empty and isinstance(value, list)))


def _updates(value: Any, label: str) -> dict[SharedVariable, Variable]:
    found: dict[SharedVariable, Variable] = {}
    for key, new in value.items() if isinstance(value, Mapping) else value:
        if not isinstance(key, SharedVariable):
            raise ValueError(f"scan {label!r}: updates that fn returns are keyed by shared variables, got {key!r}")
        if key in found:
            raise ValueError(f"scan {label!r}: {key!r} is updated twice in one step")
        found[key] = as_variable(new)
    return found


def _misreturned(result: Any, label: str) -> ValueError:
    return ValueError(
        f"scan {label!r}: fn returned {_shape_of(result)}; it may return outputs, updates, (outputs, updates), "
        f"(outputs, until), (updates, until), (outputs, updates, until) or (), where outputs is a variable or a "
        f"list of them, updates a dict or pairs from shared variables, and until(condition) comes last"
    )


def _shape_of(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        inside = ", ".join(_shape_of(item) for item in value)
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    return "None" if value is None else type(value).__name__


def _entries(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _only(entry: Mapping[str, Any], place: str, *known: str) -> Mapping[str, Any]:
    unknown = sorted(str(key) for key in entry if key not in known)
    if unknown:
        raise ValueError(f"{place} has unknown keys {unknown}; known are {list(known)}")
    return entry


def _tap_list(taps: Any, place: str, default: list[int]) -> list[int]:
    if taps is None:
        return default
    found = list(taps) if isinstance(taps, (list, tuple, np.ndarray, range)) else [taps]
    if not found or any(isinstance(tap, bool) or not isinstance(tap, (int, np.integer)) for tap in found):
        raise ValueError(f"{place}: taps is an int or a list of ints, got {taps!r}")
    return [int(tap) for tap in found]


def _initial(value: Any, taps: tuple[int, ...], place: str) -> InitialArgument:
    try:
        variable = as_variable(value)
    except TypeError as error:
        raise TypeError(f"{place}: {error}") from error
    windowed = taps != (-1,)
    if windowed and variable.ndim == 0:
        raise ValueError(
            f"{place} is the scalar {variable!r}; taps {list(taps)} need an initial value with a leading time "
            f"axis of at "
            f"least {-min(taps)} rows, row 0 the oldest"
        )
    return InitialArgument(variable, taps, windowed, variable.name or place)


def _strong(value: Any, place: str) -> Variable:
    if isinstance(value, Variable):
        return value
    try:
        return as_variable(value) if _has_variables(value) else constant(value, name=None)
    except TypeError as error:
        raise TypeError(f"{place}: {error}") from error


def _has_variables(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and any(isinstance(item, Variable) for item in value)


def default_label(fn: Callable[..., Any], name: str | None) -> str:
    """The scan's name for errors and metadata: the one given, or fn's own."""
    if name is not None:
        return name
    own = getattr(fn, "__name__", "scan")
    return "scan" if own == "<lambda>" else str(own)


def step_type(initial: InitialArgument) -> TensorType:
    """The type of one step of a state."""
    return initial.variable.type.row() if initial.windowed else initial.variable.type
