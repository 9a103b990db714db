"""Calls like one before: nothing to convert or to compile, so they cost little more than ``jax.jit``'s own."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from loopjax.executable import KEPT
from loopjax.lower.trip_counts import Range, ranges
from loopjax.precision import SixtyFourBits
from loopjax.program import Program
from loopjax.trace.shared import SharedVariable
from loopjax.variants import Variant

Key = tuple[Any, ...]

_settings: Any = jax.config

SETTINGS = (
    "jax_default_device",
    "jax_default_matmul_precision",
    "jax_default_prng_impl",
    "jax_disable_jit",
    "jax_threefry_partitionable",
)
"""Settings of JAX that programs are compiled for."""

EXACT = 2**24
"""Up to here floats of 32 bits hold all integers."""

NUMBERS = (int, float)
"""Python's numbers, which become NumPy's of the input's dtype."""


class _Known(NamedTuple):
    """What a call like one before runs: an executable compiled ahead of time, which needs the x64 flag for NumPy's
    arrays alone; what becomes of numbers; what must hold of trip counts; and where JAX was in its tracing."""

    executable: Any
    numbers: tuple[tuple[int, Any], ...]
    ranges: tuple[Range, ...]
    wide: bool
    trace: Any


class Repeated:
    """The calls that a variant of one stage runs, by what decides how they run: types and shapes of all arrays, values
    of lengths, and the settings of JAX that a program is compiled for.

    Calls with tracers, with arrays bound to a device, or with arguments that are converted are never of this kind.
    """

    def __init__(self, program: Program, variant: Variant) -> None:
        (stage,) = variant.stages
        graph, inner = variant.graph, stage.stage.graph
        self.variant = variant
        self._shared, self._updates = program.state.variables, bool(program.state.updated)
        self._stage = stage
        self._reads = [graph.inputs.index(variable) for variable in inner.inputs]
        self._lengths = [self._reads[position] for position in stage.stage.length_inputs]
        places = {variable: place for place, variable in enumerate([*graph.inputs, *inner.outputs])}
        self._picks = [places[variable] for variable in graph.outputs]
        self._known: dict[Key, _Known | None] = {}
        self._lock = threading.Lock()

    def run(self, given: Sequence[Any], wide: SixtyFourBits) -> list[Any] | None:
        """The function's outputs where such a call is known; else ``None``."""
        values = [*given, *[variable.value for variable in self._shared]] if self._shared else list(given)
        try:
            key = self._key(values)
            known = self._known.get(key)
        except (AttributeError, TypeError):
            return None
        if known is None:
            return None
        for one in known.ranges:
            if not one.least <= int(np.asarray(values[one.place])) <= one.most:
                return None
        if self._updates and known.trace != _trace():
            return None
        try:
            for place, number in known.numbers:
                converted = number(values[place])
                if not _holds(converted, values[place]):
                    return None
                values[place] = converted
            arrays = [values[place] for place in self._reads]
            if known.wide:
                with wide:
                    values += known.executable(*arrays)
            else:
                values += known.executable(*arrays)
        except Exception:  # whatever it is, the function's own way says it better, or copes with it
            self._known[key] = None
            return None
        return [values[place] for place in self._picks]

    def remember(self, given: Sequence[Any], arrays: Sequence[Any], outputs: Sequence[Any]) -> None:
        """Notes a call that has succeeded, by what it was given and the arrays that became of this."""
        values = [*arrays, *[variable.value for variable in self._shared]]
        if any(isinstance(x, jax.core.Tracer) for x in (*values, *outputs)):
            return
        try:
            key = self._key([*given, *values[len(given) :]])
            if key in self._known:
                return
        except (AttributeError, TypeError):
            return
        made = self._make(given, values) if all(map(_is_taken, given, arrays)) else None
        with self._lock:
            self._known[key] = made
            if len(self._known) > KEPT:
                del self._known[next(iter(self._known))]

    def _key(self, values: Sequence[Any]) -> Key:
        """What decides how a call runs. Raises where an argument is neither an array nor a number, or a tracer."""
        parts: list[Any] = [getattr(_settings, name) for name in SETTINGS]
        for value in values:
            kind = type(value)
            parts += (kind,) if kind in NUMBERS else (kind, value.dtype, value.shape)
        for place in self._lengths:
            parts.append(np.asarray(values[place]).tobytes())
        return tuple(parts)

    def _make(self, given: Sequence[Any], values: Sequence[Any]) -> _Known | None:
        arrays = [values[place] for place in self._reads]
        shapes = {v: array.shape for v, array in zip(self._stage.stage.graph.inputs, arrays, strict=True)}
        found = ranges(self._stage.stage.checks, shapes)
        if found is None or any(isinstance(array, jax.Array) and array.committed for array in values):
            return None
        numbers = [(i, values[i].dtype.type) for i, value in enumerate(given) if type(value) in NUMBERS]
        return _Known(
            self._stage.find(arrays).call.lower(*arrays).compile(),
            tuple(numbers),
            tuple(Range(self._reads[one.place], one.least, one.most) for one in found),
            not all(isinstance(array, jax.Array) for array in values),
            _trace() if self._updates else None,
        )


def repeated(program: Program, variant: Variant) -> Repeated | None:
    """For calls that run one stage on the arguments and hand on its results as they are; ``None`` for others."""
    options, stages = program.options, variant.stages
    if len(stages) > 1 or options.inplace or options.check_index or not variant.is_plain:
        return None
    computed = all(isinstance(v, SharedVariable) or v.owner is not None for v in variant.graph.outputs)
    # Of one length computed from others, many calls share a program; here each would have its own.
    shares = bool(stages[0].stage.lengths and stages[0].stage.length_inputs)
    return Repeated(program, variant) if computed and not shares else None


def _is_taken(value: Any, array: Any) -> bool:
    """Whether an argument is passed on as it is, or as a number of NumPy's."""
    if type(value) in NUMBERS:
        return not array.ndim
    return value is array or (isinstance(value, np.generic) and value.dtype == array.dtype)


def _holds(converted: Any, number: float) -> bool:
    """Whether a number of NumPy's is the one of Python's that it was made of, but for rounding."""
    if type(number) is int:
        return abs(number) <= EXACT and bool(converted == number)
    return bool(abs(converted) != np.inf or abs(number) == np.inf)


def _trace() -> Any:
    """Where JAX is in its tracing, to be compared: what runs ahead of time does so while JAX traces, too."""
    from jax.extend.core import get_opaque_trace_state  # a part of the package's import time, and not always needed

    return get_opaque_trace_state(convention="nnx")  # type: ignore[no-untyped-call]
