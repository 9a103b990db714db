"""Fast-path dispatch of calls that repeat, by closures.

Around an executable that takes microseconds, checking and converting arguments costs more than the run. ``Dispatch``
has a closure for each kind of call, by the names of arguments and their types: it orders and converts them, or finds
that they do not fit, and hands them to a closure that ``runner`` made for their shapes and for those values that the
host reads (``StageTable``), which reads shared state, pads, runs the executables, commits and returns the results. A
call goes to the closure of the latest kind first, so that one like the one before builds no key. Where no closure
serves a call nothing has been changed, and the general path of ``Function`` serves it, then adds the closures.

Calls with tracers, and values that need more than a check (lists, other dtypes), take the general path every time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.ir.graph import Variable
from loopjax.ir.types import NARROW
from loopjax.runtime.buckets import Bucket
from loopjax.runtime.compiler import KEPT
from loopjax.runtime.executables import Execute, NotRun, StageTable
from loopjax.runtime.jax_settings import settings_of
from loopjax.runtime.program import Program
from loopjax.runtime.results import Convert
from loopjax.runtime.runner import Fit, Run, runner
from loopjax.runtime.signature import MISS, Signature, taking
from loopjax.runtime.state import peek
from loopjax.runtime.x64 import with_x64
from loopjax.trace.promotion import is_as_wide
from loopjax.trace.shared import SharedVariable

Call = Callable[..., Any]
"""From the arguments of a call, by position and by name, to its results."""

Conversion = Callable[[Any], Any]
"""From an argument to the value that the executable takes, or ``MISS``."""

Check = tuple[Any, Any, Conversion | None]
"""The type of an argument, its dtype where that must be checked, and its conversion, if any."""

_finfo: Any = jnp.finfo


class Dispatch:
    """Fast-path cache of one bucket: from names and types of arguments, shapes and lengths to closures.

    ``failing`` holds the keys of executables that have raised, until the general path has run, or has raised, too.
    ``missed`` serves calls that a closure does not serve.
    """

    def __init__(
        self, program: Program, bucket: Bucket, signature: Signature, convert: Convert | None, missed: Call
    ) -> None:
        self.bucket = bucket
        self.failing: set[Any] = set()
        self.kinds: dict[Any, Call] = {}
        self.stages: list[StageTable] = []
        self._convert = convert
        self._settings = settings_of(bucket.graph)
        self._makers: dict[Any, Callable[[Run], Call]] = {}
        self._missed = missed
        self._program = program
        self._signature = signature
        # Its own thread may take it again: an interrupt at the wrong moment left it held, and the next call waited.
        self._lock = threading.RLock()
        self._hosted: list[int] = []
        if not _is_served(program, bucket):
            return
        # Inputs of the graph after the program's own are the lengths of padded axes, which shapes tell.
        read = bucket.stages[0].host_inputs | bucket.host_inputs
        self._hosted = [place for place, variable in enumerate(program.graph.inputs) if variable in read]
        run = runner(program, bucket)

        def bind(chain: Execute, key: Any, values: Sequence[Any]) -> Run:
            failed = partial(self._failed, key, [value.dtype for value in values])
            return run(chain, self._fit(values), failed, key in self.stages[0].safe)

        following: StageTable | None = None
        for number in reversed(range(len(bucket.stages))):
            first = () if number else (self._hosted, self._checked, bind)
            following = StageTable(bucket, number, self.settings, following, *first)
            self.stages.insert(0, following)

    def settings(self) -> Any:
        """The settings of JAX that executables depend on."""
        return tuple([setting.value for setting in self._settings])

    def closure(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Call | None:
        """The closure for calls like this one."""
        return self.kinds.get(self._kind(args, kwargs))

    def run(self, arrays: Sequence[Any]) -> Any:
        """Runs the program on arrays of exactly the inputs' dtypes, or returns ``MISS``; the state's locks are held."""
        is_served = self.stages and self.stages[0].executables and not self.failing
        return self._choose_locked(arrays) if is_served else MISS

    def settled(self) -> Callable[..., Sequence[Any]] | None:
        """The program that ran last, as ``jax.jit`` dispatches it: faster than Python looks at settings and shapes.

        Called with JAX's x64 flag on and arrays of the inputs' dtypes, in their order, it gives the outputs in order,
        and raises for other shapes. ``None`` where the host reads values, pads, slices or keeps state.
        """
        state = self._program.state
        if len(self.stages) != 1 or self._hosted or self.bucket.padded.axes or state.variables:
            return None
        (table,) = self.stages
        programs, picks = table.stage.programs, dict(table.stage.stage.results)
        found = [picks.get(output) for output in self.bucket.graph.outputs]
        if not programs or any(one is None or one.lengths for one in found):
            return None
        call, places = table.chained(programs[-1].settled), [one.position for one in found if one is not None]
        if places == list(range(len(picks))):
            return call
        ordered = taking(places)
        return lambda *values: ordered(call(*values))

    def note(
        self,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        arrays: Sequence[Any],
        values: Sequence[Any],
        known: Mapping[Variable, Any] | None,
    ) -> Call | None:
        """Adds the closures for calls like one that has run; the result is the one that serves them, if any.

        ``arrays`` are what its arguments and defaults were converted to, in the order of the inputs, and ``values``
        those and the state, as the program took them. ``known``: values of the inputs and results of all stages, where
        the general path has run them.
        """
        if not self.stages or any(isinstance(value, jax.Array) and value.committed for value in values):
            self.failing.clear()
            return None
        with self._lock:
            if known is not None:
                for stage in self.stages:
                    stage.compile(known)
                # An executable that refuses what it was compiled for (for its sharding, say) is not asked again.
                for key in tuple(self.failing):
                    self.stages[0].refuse(key, values)
                self.failing.clear()
            self.stages[0].find(values)
            given = self._signature.placed(args, kwargs)
            kind = self._kind(args, kwargs)
            if kind not in self.kinds and all(map(_is_fast, given, arrays)) and not self._signature.is_exact:
                self._makers[kind] = self._maker(len(args), tuple(kwargs), given, arrays)
            for table in (self.kinds, self._makers):
                if len(table) > KEPT:
                    del table[next(iter(table))]
            self._connect()
            return self.kinds.get(kind)

    def _kind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return self.settings(), *kwargs, *map(type, args), *map(type, kwargs.values())

    def _connect(self) -> None:
        """Makes the closures of all kinds anew, with those that run.

        A single program that pads nothing, and whose inputs the host does not read, needs no lookup: the executable
        itself refuses other shapes and dtypes.
        """
        runs = self.stages[0].runs
        single = len(runs) == 1 and not (self._hosted or self.bucket.padded.axes)
        (settings, *_), run = next(iter(runs.items())) if single else ((None,), self._choose)
        for kind, make in self._makers.items():
            self.kinds[kind] = make(run if kind[0] == settings else self._choose)

    def _choose(self, arrays: Sequence[Any], switched: bool = False) -> Any:
        """Runs the closure of these shapes and lengths, and of those of the state."""
        return self._program.state.locked(self._choose_locked, arrays, switched)

    def _choose_locked(self, arrays: Sequence[Any], switched: bool = False) -> Any:
        try:
            run = self.stages[0].find((*arrays, *map(peek, self._program.state.variables)))
        except AttributeError:  # a shared variable has lost its value, which the general path reports
            return MISS
        return MISS if run is None else run(arrays, switched)

    def _checked(self, values: Sequence[Any]) -> Mapping[Variable, Any]:
        """Values of the bucket's inputs; raises where they do not fit each other."""
        fitted = self.bucket.values(values)
        self.bucket.check(fitted)
        return fitted

    def _fit(self, values: Sequence[Any]) -> Fit | None:
        """A function from values of these shapes to those of the bucket's inputs; ``None`` where they are these."""
        if not self.bucket.padded.axes:
            return None
        # A scalar on the device costs 2 us less a call than one of NumPy.
        shapes = [array.shape for array in values]
        return with_x64(self.bucket.fitting)(shapes, lambda length: jax.device_put(np.asarray(length)))

    def _maker(
        self, count: int, names: Sequence[str], given: Sequence[Any], arrays: Sequence[Any]
    ) -> Callable[[Run], Call]:
        """From a closure that runs to one for calls of this kind: ``count`` arguments by position and ``names``, of
        the types of ``given``, which were converted to ``arrays``."""
        inplace = self._program.options.inplace
        layout = self._signature.layout(count, names)
        # Padding makes NumPy arrays, and so do slices of results between stages.
        needs_x64 = bool(self.bucket.padded.axes) or len(self.stages) > 1
        pairs = list(zip(given, arrays, strict=True))
        needs_x64 |= any(str(array.dtype) in NARROW for x, array in pairs if not isinstance(x, jax.Array))
        # Arrays on the device need no check of their dtype, since the executable refuses others, and no conversion.
        checks: list[Check] = [
            (type(x), array.dtype if isinstance(x, np.ndarray) else None, _converter(x, array.dtype, inplace))
            for x, array in pairs
        ]
        kinds = list(dict.fromkeys(checks)) or [(object, None, None)]
        alike = len(kinds) == 1 and kinds[0][2] is None
        kind, dtype, _ = kinds[0]
        named, convert, missed = len(names), self._convert, self._missed
        device, *others = self._settings
        at, *expected = self.settings()
        flag = jax.enable_x64

        def make(run: Run) -> Call:
            if needs_x64:
                wide, narrow = run, with_x64(run)
                run = lambda values: wide(values) if flag.value else narrow(values, True)  # noqa: E731
            run = _converting(run, convert) if convert else run
            if not alike:
                run = _reading(run, checks)

            def call(*args: Any, **kwargs: Any) -> Any:
                if len(args) != count or len(kwargs) != named or device.value is not at:
                    return missed(*args, **kwargs)
                if others and [setting.value for setting in others] != expected:
                    return missed(*args, **kwargs)
                given: Sequence[Any] = args
                if layout:
                    try:
                        given = layout(args, kwargs)
                    except KeyError:
                        return missed(*args, **kwargs)
                if alike:
                    for x in given:
                        if type(x) is not kind or (dtype is not None and x.dtype is not dtype and x.dtype != dtype):
                            return missed(*args, **kwargs)
                try:
                    result = run(given)
                except FloatingPointError:  # of jax_debug_nans: the general path says where the NaN comes from
                    result = MISS
                return missed(*args, **kwargs) if result is MISS else result

            return call

        return make

    def _failed(self, key: Any, dtypes: Sequence[Any], values: Sequence[Any], error: Exception) -> Any:
        """The general path reports an error better, or copes with it; unless state is gone."""
        state = self._program.state
        if self._program.options.inplace and state.lose_overwritten():
            raise error
        lost = isinstance(error, NotRun) or any(value is None for value in values)
        if lost or jax.config.jax_disable_jit or [value.dtype for value in values] != dtypes:  # type: ignore[attr-defined]
            return MISS
        self.failing.add(key)
        return MISS


def _is_served(program: Program, bucket: Bucket) -> bool:
    """Test if closures serve a bucket: it checks nothing after a run, and computes all its results."""
    options = program.options
    if options.check_index or options.check_values or options.out_shardings:
        return False
    return all(isinstance(v, SharedVariable) or v.owner is not None for v in bucket.graph.outputs)


def _reading(run: Run, checks: Sequence[Check]) -> Run:
    """The closure for arguments of several types, or that need a conversion; ``MISS`` for others."""

    def read_and_run(args: Sequence[Any]) -> Any:
        values = []
        for x, (kind, dtype, convert) in zip(args, checks, strict=True):
            if type(x) is not kind or (dtype is not None and x.dtype != dtype):
                return MISS
            if convert is not None:
                x = convert(x)
                if x is MISS:
                    return MISS
            values.append(x)
        return run(tuple(values))

    return read_and_run


def _converting(run: Run, convert: Convert) -> Run:
    """The closure with its results converted."""

    def run_and_convert(values: Sequence[Any]) -> Any:
        results = run(values)
        return results if results is MISS else convert(results)

    return run_and_convert


def _is_fast(value: Any, array: Any) -> bool:
    """Test if an argument was passed on as it is, or as a scalar: else its conversion is the general path's."""
    if isinstance(value, SharedVariable):
        return True
    if type(value) in (int, float):
        return not array.ndim and is_as_wide(str(array.dtype), "int64" if type(value) is int else "float64")
    return value is array or (isinstance(value, np.generic) and value.dtype == array.dtype)


def _converter(value: Any, dtype: Any, copies: bool) -> Conversion | None:
    """A function that converts arguments of the type of ``value`` for the executable, if they need it.

    ``copies``: the call does not wait, so that the caller may write to a NumPy array before it has been read.
    """
    if isinstance(value, SharedVariable):  # the default of an input
        return lambda variable: variable.get_value(borrow=True)
    if type(value) in (int, float):
        return _number(type(value), dtype)
    return np.array if copies and isinstance(value, np.ndarray) else None


def _number(kind: type, dtype: Any) -> Conversion:
    """From a Python number to a scalar of a dtype that holds it, but for rounding of floats."""
    scalar = dtype.type
    if kind is float:
        most: Any = float(_finfo(dtype).max)
        return lambda x: scalar(x) if -most <= x <= most or x - x != 0 else MISS  # infinities and NaN stay
    if dtype.kind in "iu":
        least, greatest = int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
    else:
        greatest = 2 ** (_finfo(dtype).nmant + 1)  # up to here the dtype holds all integers
        least = -greatest
    return lambda x: scalar(x) if least <= x <= greatest else MISS
