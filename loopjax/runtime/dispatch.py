"""Calls like one before: nothing to convert or to compile, so they cost little more than ``jax.jit``'s own."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from loopjax.ir.graph import toposort
from loopjax.ir.lengths import host_values, is_shape
from loopjax.runtime.buckets import Bucket
from loopjax.runtime.compiler import KEPT
from loopjax.runtime.jax_settings import default_device, others
from loopjax.runtime.known import NUMBERS, UNKNOWN, CallOf, Failed, Known, Run, Settings, converting, known
from loopjax.runtime.program import Program
from loopjax.runtime.signature import Layout, Signature
from loopjax.runtime.state import State
from loopjax.shapes.intervals import input_intervals, trip_count_bounds
from loopjax.shapes.stages import Stage
from loopjax.trace.shared import SharedVariable


def anew(function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """A function's call where there was none before."""
    return function.call_anew(args, kwargs)


class Repeated:
    """The calls that a variant of one stage runs, by what decides how they run: settings of JAX, types of arguments,
    values of lengths, and of arrays, dtypes and shapes.

    Of the last an executable checks all itself; they choose among several. Calls with tracers, with arrays bound to a
    device, or with arguments that are converted are never of this kind.
    """

    def __init__(self, program: Program, variant: Bucket, signature: Signature) -> None:
        self.variant = variant
        self._program = program
        self._signature = signature
        self._others = others(variant.graph)
        (self._stage,) = variant.stages
        places = {variable: place for place, variable in enumerate(variant.graph.inputs)}
        self._reads = [places[variable] for variable in self._stage.stage.graph.inputs]
        self._numbers = _Numbers(self._stage.stage, self._reads)
        self._kinds: dict[Any, _Kind] = {}
        self._lock = threading.Lock()

    @property
    def known(self) -> list[Known]:
        """The calls that are known."""
        return [one for kind in self._kinds.values() for one in kind.calls.values() if one is not None]

    def run(self, function: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """A function's call of any kind."""
        try:
            given = self._signature.placed(args, kwargs)
        except TypeError:
            return function.call_anew(args, kwargs)
        kind = self._kinds.get((self._settings(), *map(type, given)))
        result = UNKNOWN if kind is None else kind.run(given)
        return function.call_anew(args, kwargs) if result is UNKNOWN else result

    def remember(
        self, layout: Layout, given: Sequence[Any], arrays: Sequence[Any], outputs: Sequence[Any]
    ) -> CallOf | None:
        """Notes a call that has succeeded, by what it was given and the arrays that became of this; where it is new,
        returns how the next one is run."""
        values = [*arrays, *[variable.value for variable in self._program.state.variables]]
        if any(isinstance(x, jax.core.Tracer) for x in (*values, *outputs)):
            return None
        types = [type(value) for value in given]
        with self._lock:
            kind = self._kinds.setdefault((self._settings(), *types), _Kind(self._program, self._numbers))
            if not self._note(kind, given, arrays, values):
                return None
            for kept in (kind.calls, self._kinds):
                if len(kept) > KEPT:
                    del kept[next(iter(kept))]
            some = [one for one in kind.calls.values() if one is not None] if len(self._kinds) == 1 else []
            if not some:
                return self.run
            run = None if kind.only else kind.run
        return some[0].alike(layout, types, Settings(default_device.value, self._others), self.run, run)

    def _settings(self) -> Any:
        return default_device.value, None if self._others is None else self._others()

    def _note(self, kind: _Kind, given: Sequence[Any], arrays: Sequence[Any], values: Sequence[Any]) -> bool:
        try:
            signature = kind.signature(given)
        except (AttributeError, TypeError):
            return False  # neither an array nor a number
        if signature in kind.calls and (signature not in kind.doubted or kind.calls[signature] is None):
            return False
        made = None if signature in kind.doubted else self._known(given, arrays, values, kind, signature)
        kind.calls[signature] = made
        kind.run = kind.joined()
        return True

    def _known(
        self, given: Sequence[Any], arrays: Sequence[Any], values: Sequence[Any], kind: _Kind, signature: Any
    ) -> Known | None:
        inputs, taken = self.variant.graph.inputs, [values[place] for place in self._reads]
        shapes = {variable: array.shape for variable, array in zip(inputs, values, strict=True)}
        of_loops, of_room = trip_count_bounds(self._stage.stage.checks, shapes), self.variant.bounds(shapes)
        if of_loops is None or of_room is None or not all(map(_is_taken, given, arrays)):
            return None
        found = input_intervals([*of_loops, *of_room], inputs)
        if found is None:
            return None
        if any(isinstance(array, jax.Array) and array.committed for array in values):
            return None
        kept = {one.position: one for one in found}
        if any(isinstance(given[place], SharedVariable) for place in kept if place < len(given)):
            return None
        convert = converting(given, values, kept, self._program.options.inplace)
        execute = self._stage.find(taken).call.lower(*taken).compile()
        return known(self._program, self.variant, execute, convert, self._failed(kind, signature))

    def _failed(self, kind: _Kind, like: Any) -> Failed:
        """What a call does when the executable raises that was compiled for calls ``like`` one."""
        inplace, state = self._program.options.inplace, self._program.state
        doubted, signature = kind.doubted, kind.signature

        def failed(given: Sequence[Any], error: Exception) -> None:
            """Whatever it is, the function's own way says it better, or copes with it; unless state is gone."""
            if inplace and state.lose_overwritten():
                raise error
            try:
                refused = signature(given) == like
            except AttributeError:
                return  # a shared variable has lost its value
            if refused and not jax.config.jax_disable_jit:  # type: ignore[attr-defined]
                doubted.add(like)

        return failed


class _Numbers:
    """From the values of all inputs to those of lengths, which a program is compiled for; where they are computed from
    others, as those are: many calls share a program. What they came to is remembered."""

    def __init__(self, stage: Stage, reads: Sequence[int]) -> None:
        self._stage = stage
        self._places = [reads[position] for position in stage.length_inputs]
        self._inputs = [stage.graph.inputs[position] for position in stage.length_inputs]
        self._found: dict[Any, Any] = {}

    def __bool__(self) -> bool:
        return bool(self._places)

    def __call__(self, values: Sequence[Any]) -> tuple[Any, ...]:
        given = tuple([values[i] if type(values[i]) is int else _number(values[i]) for i in self._places])
        if not given or not self._stage.lengths:
            return given
        found = self._found.get(given)
        if found is None:
            try:
                found = self._computed([_value(values[i]) for i in self._places])
            except OverflowError:
                return (UNKNOWN,)
            if len(self._found) >= REMEMBERED:
                self._found.clear()
            self._found[given] = found
        return found

    def _computed(self, values: Sequence[Any]) -> tuple[Any, ...]:
        known = {v: np.asarray(value, v.dtype) for v, value in zip(self._inputs, values, strict=True)}
        return tuple([None if one is None else one.tobytes() for one in host_values(self._stage.lengths, known, {})])


REMEMBERED = 4096
"""Values of lengths of which is remembered what is computed from them."""


class _Kind:
    """Calls with arguments of the same types, by dtypes and shapes of arrays, and values of lengths; ``None`` for those
    that need the function's own way. ``doubted``: those that their executable has refused, and so may the next one."""

    def __init__(self, program: Program, numbers: _Numbers) -> None:
        self._state = program.state
        self._numbers = numbers
        self.signature = _Signature(program.state.variables, numbers)
        self.calls: dict[Any, Known | None] = {}
        self.doubted: set[Any] = set()
        self.run: Run = _unlike

    @property
    def only(self) -> Known | None:
        """The only call, where it is known by the arguments' types alone."""
        return None if self._numbers or len(self.calls) != 1 else next(iter(self.calls.values()))

    def joined(self) -> Run:
        """The calls as one: the only one there is, or by dtypes and shapes in those places where they differ."""
        if self.only:
            return self.only.call()
        first, *rest = [parts for parts, _ in self.calls]
        differ = [place for place, part in enumerate(first) if any(other[place] != part for other in rest)]
        runs = {
            (tuple([parts[place] for place in differ]), lengths): one.call()
            for (parts, lengths), one in self.calls.items()
            if one is not None
        }
        return _choosing(self._state, runs, differ, self._numbers)


def _choosing(state: State, runs: Mapping[Any, Run], differ: Sequence[int], numbers: _Numbers) -> Run:
    variables, locked = state.variables, state.locked

    def choose(given: Sequence[Any]) -> Any:
        if not variables:
            run = runs.get((_parts(given, differ), numbers(given) if numbers else ()))
            return UNKNOWN if run is None else run(given)
        with locked():
            values = [*given, *[variable._value for variable in variables]]
            run = runs.get((_parts(values, differ), numbers(values) if numbers else ()))
            return UNKNOWN if run is None else run(given)

    return choose


class _Signature:
    """What tells calls with arguments of the same types apart. Raises where one is neither an array nor a number."""

    def __init__(self, variables: Sequence[SharedVariable], numbers: _Numbers) -> None:
        self._variables = variables
        self._numbers = numbers

    def __call__(self, given: Sequence[Any]) -> Any:
        values = [*given, *[variable._value for variable in self._variables]]
        return _parts(values, range(len(values))), self._numbers(values)


def repeated(program: Program, variant: Bucket, signature: Signature) -> Repeated | None:
    """For calls that run one stage on the arguments and hand on its results as they are; ``None`` for others."""
    options, stages = program.options, variant.stages
    if len(stages) > 1 or options.check_index or not variant.is_plain:
        return None
    computed = all(isinstance(v, SharedVariable) or v.owner is not None for v in variant.graph.outputs)
    # Sizes of arguments tell calls apart, and what is computed from them alone; with values among it, it would as well.
    stage = stages[0].stage
    mixed = bool(stage.length_inputs) and any(map(is_shape, toposort(stage.lengths)))
    return Repeated(program, variant, signature) if computed and not mixed else None


def _unlike(given: Sequence[Any]) -> Any:
    return UNKNOWN


def _parts(values: Sequence[Any], places: Sequence[int]) -> tuple[Any, ...]:
    """Dtypes and shapes."""
    return tuple([None if type(values[i]) in NUMBERS else _part(values[i]) for i in places])


def _part(value: Any) -> Any:
    if type(value) is SharedVariable:
        value = value._value
    return value.dtype, value.shape


def _number(value: Any) -> tuple[Any, bytes]:
    array = np.asarray(_value(value))
    return array.dtype, array.tobytes()


def _value(value: Any) -> Any:
    return value._value if type(value) is SharedVariable else value


def _is_taken(value: Any, array: Any) -> bool:
    """Whether an argument is passed on as it is, or as a number of NumPy's."""
    if isinstance(value, SharedVariable):
        value = value._value
    if type(value) in NUMBERS:
        return not array.ndim
    return value is array or (isinstance(value, np.generic) and value.dtype == array.dtype)
