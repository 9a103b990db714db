"""Arguments of ``scan``, in any of the forms that Theano allows, read into named parts.

``x``, ``[x, y]`` and ``{"input": x, "taps": [-1, 0]}`` are all ``sequences``; each becomes a ``SequenceArgument``. An
error names the entry, ``sequences[1]``, and what was expected there; ``record_loop`` adds the scan and the line.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import reduce
from typing import Any, NamedTuple

import jax
import numpy as np

from loopjax.errors import alike, coded, here, source_of, where
from loopjax.ir.graph import Constant, Variable, recorded
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import SequenceInput, wrong_count
from loopjax.ir.types import TensorType
from loopjax.trace.convert import as_variable, strong
from loopjax.trace.updates import check_unpacked

ArrayLike = Variable | np.ndarray[Any, Any] | jax.Array | complex
"""An array, symbolic or not, or a number."""

LoopArgument = ArrayLike | Sequence[Any] | Mapping[str, Any] | None
"""``sequences``, ``outputs_info`` or ``non_sequences``: an array, a dict that says more of it, or a list of those."""

StepCount = Variable | np.ndarray[Any, Any] | np.integer[Any] | int | None
"""``n_steps``: an integer scalar, or ``None`` for the length of the shortest sequence."""


class LoopArguments(NamedTuple):
    """A loop as a user asks for it, before anything is read."""

    fn: Callable[..., Any]
    sequences: Any
    outputs_info: Any
    non_sequences: Any
    n_steps: Any
    strict: bool = False


class SequenceArgument(NamedTuple):
    """A variable that is read along its first axis, and the taps that a step reads."""

    variable: Variable
    taps: tuple[int, ...]
    name: str

    @property
    def step_type(self) -> TensorType:
        """The type of a row."""
        return self.variable.type.row()


class InitialArgument(NamedTuple):
    """An entry of ``outputs_info`` that is a state; ``windowed`` where ``variable`` has a leading time axis."""

    variable: Variable
    taps: tuple[int, ...]
    windowed: bool
    name: str

    @property
    def step_type(self) -> TensorType:
        """The type of the state at one step."""
        return self.variable.type.row() if self.windowed else self.variable.type


def read_sequences(sequences: Any) -> list[SequenceArgument]:
    """Return ``sequences`` as a list; raise ``TypeError`` or ``ValueError`` that names the entry."""
    check_unpacked(sequences)
    found: list[SequenceArgument] = []
    if isinstance(sequences, (list, tuple)) and sequences and all(isinstance(v, (int, float)) for v in sequences):
        sequences = [sequences]  # one sequence, given as its numbers
    for argument, entry in numbered(sequences, "sequences"):
        taps: Any = [0]
        if isinstance(entry, Mapping):
            taps = tap_list(_only(entry, argument, "input", "taps").get("taps"), argument, [0])
            if "input" not in entry:
                raise coded(ValueError, "LJ112")(
                    f"{argument} is a dict without the key 'input'; write {{'input': x, 'taps': [0]}}"
                )
            entry = entry["input"]
        variable = _array(entry, argument)
        if variable.ndim == 0:
            raise coded(ValueError, "LJ107")(
                f"{argument} is the scalar {variable!r}; a sequence needs a first axis to be read along; pass "
                f"it in non_sequences. The order of arguments is fn, sequences, outputs_info"
            )
        found.append(SequenceArgument(variable, tuple(taps), variable.name or argument))
    return found


def read_outputs_info(outputs_info: Any) -> list[InitialArgument | None] | None:
    """Return ``outputs_info`` as a list with ``None`` for map outputs; ``None`` where it is not given at all."""
    if outputs_info is None:
        return None
    return [_output_info(entry, argument) for argument, entry in numbered(outputs_info, "outputs_info")]


def _output_info(entry: Any, argument: str) -> InitialArgument | None:
    if entry is None:
        return None
    if not isinstance(entry, Mapping):
        return _initial(entry, (-1,), argument)
    options = _only(entry, argument, "initial", "taps")
    if options.get("initial") is None:
        if options.get("taps"):
            raise coded(ValueError, "LJ110")(
                f"{argument} has taps and no 'initial' value for them to read at the first steps; write "
                f"{{'initial': value, 'taps': {options['taps']!r:.40}}}"
            )
        return None
    taps = tuple(tap_list(options.get("taps"), argument, [-1]))
    if any(tap >= 0 for tap in taps):
        raise coded(ValueError, "LJ109")(f"{argument}: taps of a state are negative: steps back; got {list(taps)}")
    if len(set(taps)) != len(taps):
        raise coded(ValueError, "LJ109")(f"{argument}: taps {list(taps)} repeat; expected each once")
    return _initial(options["initial"], taps, argument)


def _initial(value: Any, taps: tuple[int, ...], argument: str) -> InitialArgument:
    variable = _array(value, argument)
    windowed = taps != (-1,)
    if windowed and variable.ndim == 0:
        raise coded(ValueError, "LJ110")(
            f"{argument} is the scalar {variable!r}; taps {list(taps)} need an initial value with a leading time "
            f"axis of at least {-min(taps)} rows, row 0 the oldest"
        )
    return InitialArgument(variable, taps, windowed, variable.name or argument)


def read_non_sequences(non_sequences: Any) -> list[Variable]:
    """Return ``non_sequences`` as a list of variables."""
    return [_array(entry, argument) for argument, entry in numbered(non_sequences, "non_sequences")]


def read_n_steps(n_steps: Any) -> Variable | int | None:
    """Return ``n_steps`` as a number where it is one."""
    if n_steps is None:
        return None
    if isinstance(n_steps, Constant):
        n_steps = n_steps.data
    if isinstance(n_steps, Variable):
        if not n_steps.type.is_integer or n_steps.ndim != 0:
            raise coded(TypeError, "LJ901")(
                f"n_steps is an integer scalar, got {n_steps!r}; write n_steps=10{where(n_steps.sources)}"
            )
        return n_steps
    if isinstance(n_steps, jax.core.Tracer):
        n_steps = as_variable(n_steps)  # which raises
    number = np.asarray("" if isinstance(n_steps, (list, tuple)) else n_steps)
    if number.dtype.kind not in "iu" or number.ndim != 0:
        meant = int(number) if number.dtype.kind == "f" and number.ndim == 0 and number >= 0 and number % 1 == 0 else 10
        raise coded(TypeError, "LJ901")(f"n_steps is an integer scalar, got {n_steps!r:.80}; write n_steps={meant}")
    if wrong := wrong_count("n_steps", int(number)):
        raise coded(ValueError, "LJ901")(wrong)
    return int(number)


def read_lengths(lengths: Any) -> Variable:
    """Return ``lengths`` as an integer vector."""
    try:
        variable = _array(lengths, "lengths")
    except TypeError:
        if isinstance(lengths, jax.core.Tracer):
            raise
        raise coded(TypeError, "LJ118")(
            f"lengths is an integer vector with the steps of each example, got {lengths!r:.80}; write [3, 5]{here()}"
        ) from None
    if not variable.type.is_integer or variable.ndim != 1:
        raise coded(TypeError, "LJ118")(
            f"lengths is an integer vector with the steps of each example, got {variable!r}; write [3, 5]{here()}"
        )
    if isinstance(variable, Constant) and (variable.data < 0).any():
        raise coded(ValueError, "LJ118")(f"lengths is {variable.data}; expected values from 0 up{here()}")
    if variable.type.shape[0] == 0:
        raise coded(ValueError, "LJ118")(
            f"lengths is empty; a loop with lengths has at least one example{where(variable.sources)}"
        )
    return variable


def shortest(sequences: Sequence[SequenceArgument]) -> Variable | int:
    """Return the number of steps that the shortest of some sequences has, after its taps."""
    fixed: list[int] = []
    symbolic: list[Variable] = []
    for sequence in sequences:
        span = SequenceInput(sequence.taps).span
        rows = sequence.variable.type.shape[0]
        if rows is not None:
            fixed.append(max(rows - span, 0))
        else:
            length = sequence.variable.shape[0]
            symbolic.append(ops.maximum(length - span, 0) if span else length)
    least: list[Variable | int] = [*([min(fixed)] if fixed else []), *symbolic]
    return reduce(ops.minimum, least)


def check_takes(fn: Callable[..., Any], arguments: Sequence[Any], label: str) -> None:
    """Raise ``TypeError`` where ``fn`` does not take these arguments; Python's own error would not name the scan."""
    try:
        signature = inspect.signature(fn)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*arguments)
    except TypeError as error:
        received = ", ".join(str(getattr(argument, "name", None) or argument) for argument in arguments)
        raise coded(TypeError, "LJ103")(
            f"scan {label!r}: fn{signature} does not take the {len(arguments)} arguments that it is called with, "
            f"({received}): {error}. They are the slices of sequences, the past values of states, then "
            f"non_sequences; write one parameter for each. The order of arguments is fn, sequences, "
            f"outputs_info{source_of(fn)}"
        ) from None


def name_by_parameters(
    fn: Callable[..., Any], arguments: Sequence[SequenceArgument | InitialArgument], read: Sequence[Variable]
) -> None:
    """Give what ``fn`` receives of arguments without a name the names of its positional parameters."""
    with suppress(TypeError, ValueError):
        parameters = inspect.signature(fn).parameters.values()
        names = [one.name for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
        owners = [argument for argument in arguments for _ in argument.taps]
        for argument, variable, name in zip(owners, read, names, strict=False):
            if argument.variable.name is None:
                variable.name = name


def default_label(fn: Callable[..., Any], name: str | None) -> str:
    """Return the scan's name in errors and metadata: ``name``, or that of ``fn``."""
    if name is not None:
        return name
    own = getattr(fn, "__name__", "scan")
    return "scan" if own == "<lambda>" else str(own)


class Leaf(NamedTuple):
    """An entry that is a leaf of a pytree: ``argument`` says where it is."""

    argument: str
    value: Any


def is_listed(value: Any) -> bool:
    """Test for a list or a tuple without names, which holds several arguments or results."""
    return isinstance(value, (list, tuple)) and not hasattr(value, "_fields")


def numbered(value: Any, argument: str) -> list[Leaf]:
    """Return the entries of an argument with their places; a single one stands for itself."""
    entries = [] if value is None else list(value) if is_listed(value) else [value]
    places = enumerate(entries)
    return [entry if isinstance(entry, Leaf) else Leaf(f"{argument}[{place}]", entry) for place, entry in places]


def _only(entry: Mapping[str, Any], argument: str, *keys: str) -> Mapping[str, Any]:
    unknown = sorted(str(key) for key in entry if key not in keys)
    if unknown:
        raise coded(ValueError, "LJ112")(f"{argument} has unknown keys {unknown}; known are {list(keys)}, write one")
    return entry


def tap_list(taps: Any, argument: str, default: list[int]) -> list[int]:
    if taps is None:
        return default
    found = list(taps) if isinstance(taps, (list, tuple, np.ndarray, range)) else [taps]
    if not found or any(isinstance(tap, bool) or not isinstance(tap, (int, np.integer)) for tap in found):
        raise coded(ValueError, "LJ109")(f"{argument}: taps is an int or a list of ints, got {taps!r}; write [-1]")
    return [int(tap) for tap in found]


def _array(value: Any, argument: str) -> Variable:
    """Return a value as a variable; anything that NumPy makes an array of will do."""
    has_rule = isinstance(value, (Variable, jax.core.Tracer, bool, int, float, complex, list, tuple))
    try:
        return as_variable(value) if has_rule else recorded(Constant)(strong(value))
    except TypeError as error:
        raise alike(error, f"{argument}: {error}") from None
