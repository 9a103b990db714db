"""Fast-path dispatch of calls that repeat, keyed by argument types, shapes, dtypes and lengths.

Around an executable that takes microseconds, checking and converting arguments costs more than the run. ``Dispatch``
keeps two tables. ``kinds`` maps the names and types of a call's arguments to a function that orders and converts them,
or finds that they do not fit. ``_runs`` maps the shapes of the converted values, and those values that the host reads,
to a closure that reads shared state, pads, runs the executable, commits and returns the results. All that is checked
before a call follows from this key, so that it is checked once for each. A call that finds no entry gets ``MISS``:
nothing has been changed, and the general path of ``Function`` serves it, then adds the entries.

Executables are compiled ahead of time (``jax.stages.Compiled``): unlike a jitted function they do not look at JAX's x64
flag, which therefore needs no switching. Calls with tracers, and values that need more than a check (lists, other
dtypes), take the general path every time, as do programs that need more than one stage.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.ir.graph import Graph
from loopjax.ir.jax_call import JaxCall
from loopjax.ir.ranges import Range, RangeAnalysis
from loopjax.ir.types import NARROW
from loopjax.runtime.buckets import Bucket
from loopjax.runtime.compiler import KEPT, CompiledStage, select
from loopjax.runtime.jax_settings import settings_of
from loopjax.runtime.program import Program
from loopjax.runtime.results import Convert, is_converted
from loopjax.runtime.signature import MISS, Signature, taking
from loopjax.runtime.state import peek
from loopjax.runtime.x64 import with_x64
from loopjax.shapes.preconditions import RuntimeAssertion
from loopjax.shapes.stages import OutputSlice, specialization_key
from loopjax.trace.promotion import is_as_wide
from loopjax.trace.shared import SharedVariable

Run = Callable[..., Any]
"""From argument values to the function's results, or ``MISS``; called with ``True``, too, where JAX's x64 flag was
switched on for the call."""

Layout = Callable[[Sequence[Any]], Sequence[Any]]
"""From positional arguments and those by name to the values of all inputs, in their order."""

Bind = Callable[[Callable[[Sequence[Any]], Sequence[Any]] | None], Run]
"""From a function of values to an executable's arguments (``None``: they are these) to the closure that runs it."""

Conversion = Callable[[Any], Any]
"""From an argument to the value that the executable takes, or ``MISS``."""

_finfo: Any = jnp.finfo


class Dispatch:
    """Fast-path cache of one bucket: from argument types, shapes and lengths to an ahead-of-time compiled executable.

    ``Function.__call__`` looks up ``kinds`` by the settings of JAX, the names of arguments and their types.
    """

    __slots__ = (
        "_convert",
        "_executables",
        "_hosted",
        "_lock",
        "_makers",
        "_program",
        "_reads",
        "_runs",
        "_signature",
        "_stage",
        "bucket",
        "kinds",
        "settings",
    )

    def __init__(self, program: Program, bucket: Bucket, signature: Signature, convert: Convert | None) -> None:
        self.bucket = bucket
        self._convert = convert
        self.settings = settings_of(bucket.graph)
        self.kinds: dict[Any, Run] = {}
        self._makers: dict[Any, Callable[[Run], Run]] = {}
        self._executables: dict[Any, Bind | None] = {}
        self._runs: dict[Any, Run] = {}
        self._program = program
        self._signature = signature
        self._lock = threading.Lock()
        self._stage = _only_stage(program, bucket)
        if self._stage is not None:
            positions = {variable: position for position, variable in enumerate(bucket.graph.inputs)}
            self._reads = [positions[variable] for variable in self._stage.stage.graph.inputs]
            read = sorted(positions[variable] for variable in self._stage.host_inputs | bucket.host_inputs)
            # Those after the program's own inputs are the lengths of padded axes, which shapes tell.
            self._hosted = [position for position in read if position < len(program.graph.inputs)]

    @property
    def executables(self) -> list[Bind]:
        """The executables in the table, for tests."""
        return [one for one in self._executables.values() if one is not None]

    def run(self, arrays: Sequence[Any]) -> Any:
        """Runs the program on arrays of exactly the inputs' dtypes, or returns ``MISS``; the state's locks are held."""
        return self._choose_locked(arrays) if self._executables else MISS

    def settled(self) -> Callable[..., Sequence[Any]] | None:
        """The program that ran last, as ``jax.jit`` dispatches it: faster than Python looks at settings and shapes.

        Called with JAX's x64 flag on and arrays of the inputs' dtypes, in their order, it gives the outputs in order,
        and raises for other shapes. ``None`` where the host reads values, pads, slices or keeps state.
        """
        stage = self._stage
        if stage is None or not stage.programs or self._hosted or self.bucket.padded.axes:
            return None
        picks, call = dict(stage.stage.results), stage.programs[-1].call
        found = [picks.get(output) for output in self.bucket.graph.outputs]
        if self._program.state.variables or any(one is None or one.lengths for one in found):
            return None
        places, arguments = [one.position for one in found if one is not None], self._arguments(())
        if arguments is None and places == list(range(len(picks))):
            return call
        ordered = taking(places)
        return lambda *values: ordered(call(*(arguments(values) if arguments else values)))

    def note(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], arrays: Sequence[Any], values: Sequence[Any]
    ) -> None:
        """Adds the entries of a call that has run.

        ``arrays`` are what its arguments and defaults were converted to, in the order of the inputs, and ``values``
        those and the state, as the program took them.
        """
        if self._stage is None or any(isinstance(value, jax.Array) and value.committed for value in values):
            return
        with self._lock:
            self._compile(values)
            kind = (self.settings(), *kwargs, *map(type, (*args, *kwargs.values())))
            given = self._signature.placed(args, kwargs)
            if kind not in self.kinds and all(map(_is_fast, given, arrays)) and not self._signature.is_exact:
                layout = self._signature.layout(len(args), tuple(kwargs))
                self._makers[kind] = self._maker(layout, given, values)
            for table in (self.kinds, self._makers, self._executables):
                if len(table) > KEPT:
                    del table[next(iter(table))]
            self._connect()

    def _connect(self) -> None:
        """Rebuilds the table from argument types to the closure that runs.

        A single program that pads nothing, and whose inputs the host does not read, needs no lookup: the executable
        itself refuses other shapes and dtypes.
        """
        single = len(self._runs) == 1 and not (self._hosted or self.bucket.padded.axes)
        run = next(iter(self._runs.values())) if single else self._choose
        self.kinds.update({kind: _converting(make(run), self._convert) for kind, make in self._makers.items()})

    def _run_key(self, values: Sequence[Any]) -> Any:
        """Cache key of a run: JAX's settings, the shapes of all values, and the values that the host reads."""
        read = [_digest(np.asarray(values[position]).tobytes()) for position in self._hosted]
        return self.settings(), tuple([array.shape for array in values]), *read

    def _choose(self, arrays: Sequence[Any], switched: bool = False) -> Any:
        """Runs the entry of these shapes and lengths, and of those of the state."""
        return self._program.state.locked(self._choose_locked, arrays, switched)

    def _choose_locked(self, arrays: Sequence[Any], switched: bool = False) -> Any:
        values = (*arrays, *map(peek, self._program.state.variables))
        try:
            run_key = self._run_key(values)
        except AttributeError:  # a shared variable has lost its value, which the general path reports
            return MISS
        run = self._runs.get(run_key) or self._added(run_key, values)
        return MISS if run is None else run(arrays, switched)

    def _added(self, run_key: Any, values: Sequence[Any]) -> Run | None:
        """A closure for a new key, added to the table; ``None`` where no executable serves it, or the values do not
        fit."""
        assert self._stage is not None
        fitted = self.bucket.values(values)
        try:
            self.bucket.check(fitted)
            arrays = self._stage.arrays(fitted)
        except (TypeError, ValueError, IndexError):  # the general path reports it
            return None
        bind = self._executables.get(self._key(arrays))
        if bind is None:
            return None
        if len(self._runs) >= REMEMBERED:
            self._runs.clear()
        run = self._runs[run_key] = bind(self._arguments(values))
        return run

    def _arguments(self, values: Sequence[Any]) -> Callable[[Sequence[Any]], Sequence[Any]] | None:
        """A function from values of these shapes to the executable's arguments; ``None`` where they are these."""
        taken = None if self._reads == list(range(len(self.bucket.graph.inputs))) else taking(self._reads)
        if not self.bucket.padded.axes:
            return taken
        # A scalar on the device costs 2 us less a call than one of NumPy.
        shapes = [array.shape for array in values]
        fit = with_x64(self.bucket.fitting)(shapes, lambda length: jax.device_put(np.asarray(length)))
        return fit if taken is None else lambda values: taken(fit(values))

    def _maker(self, layout: Layout | None, given: Sequence[Any], values: Sequence[Any]) -> Callable[[Run], Run]:
        """Returns a wrapper that orders arguments, checks dtypes and converts scalars, for the types of ``given``."""
        pairs = [(x, array.dtype) for x, array in zip(given, values, strict=False)]
        # Padding makes NumPy arrays.
        pads = bool(self.bucket.padded.axes)
        needs_x64 = pads or any(str(dtype) in NARROW for x, dtype in pairs if not isinstance(x, jax.Array))
        # Arrays on the device need no check, since the executable refuses other dtypes, and no conversion.
        checks = [(place, dtype) for place, (x, dtype) in enumerate(pairs) if isinstance(x, np.ndarray)]
        inplace = self._program.options.inplace
        converters = [(place, _converter(x, dtype, inplace)) for place, (x, dtype) in enumerate(pairs)]
        converts = [(place, convert) for place, convert in converters if convert is not None]

        flag = jax.enable_x64

        def make(run: Run) -> Run:
            if needs_x64:
                wide, narrow = run, with_x64(run)
                run = lambda values: wide(values) if flag.value else narrow(values, True)  # noqa: E731

            if not (layout or checks or converts):
                return run

            def check_and_run(given: Sequence[Any]) -> Any:
                if layout:
                    given = layout(given)
                for place, dtype in checks:
                    if given[place].dtype != dtype:
                        return MISS
                if not converts:
                    return run(given)
                values = list(given)
                for place, convert in converts:
                    values[place] = value = convert(values[place])
                    if value is MISS:
                        return MISS
                return run(values)

            return check_and_run

        return make

    def _compile(self, values: Sequence[Any]) -> None:
        """Adds an executable for these values, which fit, where there is none."""
        assert self._stage is not None
        arrays = self._stage.arrays(self.bucket.values(values))
        key = self._key(arrays)
        if key not in self._executables:
            # The bound method, since Python looks up __call__ of an object at each call.
            compiled = self._stage.find(arrays)
            execute = compiled.call.lower(*arrays).compile().__call__
            if self.bucket.graph.holds(lambda node: isinstance(node.op, JaxCall)):
                execute = with_x64(execute)  # a callback's results are cut to 32 bits where the flag is off
            failed = partial(self._failed, key, [value.dtype for value in values])
            self._executables[key] = _runner(self._program, execute, self.bucket, self._stage, compiled.graph, failed)
        run_key = self._run_key(values)
        if run_key not in self._runs:
            self._added(run_key, values)

    def _key(self, arrays: Sequence[Any]) -> Any:
        """Cache key of an executable: JAX's settings, the shapes of its arguments and the lengths that it is for."""
        assert self._stage is not None
        return self.settings(), specialization_key(self._stage.stage, arrays)

    def _failed(self, key: Any, dtypes: Sequence[Any], values: Sequence[Any], error: Exception) -> Any:
        """The general path reports an error better, or copes with it; unless state is gone."""
        state = self._program.state
        if self._program.options.inplace and state.lose_overwritten():
            raise error
        lost = isinstance(error, _AssertionFailed) or any(value is None for value in values)
        if lost or jax.config.jax_disable_jit or [value.dtype for value in values] != dtypes:  # type: ignore[attr-defined]
            return MISS
        assert self._stage is not None
        if self._key(self._stage.arrays(self.bucket.values(values))) != key:
            return MISS
        # An executable that refuses what it was compiled for (for its sharding, say) is not asked again.
        self._executables[key] = None
        self._runs.clear()
        self._connect()
        return MISS


TRUE = Range(1, 1)
"""Range of an assertion that shapes and lengths prove."""


def _asserting(execute: Callable[..., Any], assertions: Sequence[tuple[int, RuntimeAssertion]]) -> Callable[..., Any]:
    """The executable, raising where one of its results, an assertion by its position, is false."""

    def run(*arrays: Any) -> Any:
        found = execute(*arrays)
        for position, assertion in assertions:
            if not np.asarray(found[position]):  # the truth value of a `jax.Array` takes 7 us more
                raise _AssertionFailed(assertion.message)
        return found

    return run


class _AssertionFailed(Exception):
    """A false runtime assertion, which the general path finds again and reports."""


def _runner(
    program: Program,
    execute: Callable[..., Any],
    bucket: Bucket,
    stage: CompiledStage,
    graph: Graph,
    failed: Callable[[Sequence[Any], Exception], Any],
) -> Bind:
    """Binds closures that read state, run an executable of a stage, commit new state and return results.

    ``failed`` is called where the executable raises.
    """
    state, inputs = program.state, len(program.graph.inputs)
    count, inplace, policy = len(state.updated), program.options.inplace, program.options.results
    positions = {variable: position for position, variable in enumerate(program.graph.inputs)}
    given, assertions = dict(stage.stage.results), bucket.padded.assertions
    outputs = bucket.graph.outputs[: len(bucket.graph.outputs) - len(assertions)]
    sources = [given[one] if one in given else positions[one] for one in outputs]
    if assertions:
        ranges = RangeAnalysis().run(graph)
        checked = [(given[one.holds].position, one) for one in assertions]
        checked = [(place, one) for place, one in checked if ranges.of(graph.outputs[place]) != TRUE]
        execute = _asserting(execute, checked) if checked else execute
    # Results are found by position among the executable's, after the values if one of these is a result, too.
    passed = inputs if any(isinstance(one, int) for one in sources) else 0
    places = [one if isinstance(one, int) else passed + one.position for one in sources]
    hosted = [place >= count and is_converted(policy, one) for place, one in enumerate(program.graph.outputs)]
    cut = _slicer(sources, places, passed, hosted)
    if cut:
        places = list(range(len(sources)))
    pack = program.form.packer(places[count:])
    variables, donated = state.variables, tuple(bucket.donated)
    only: Any = variables[0] if len(variables) == 1 else None
    # The executable's own results are ready, or fail, together.
    own = list(dict.fromkeys(place for place in places[:count] if place >= passed and not cut))
    awaited = [place for place in places[:count] if place not in own[1:]]
    commit = state.committer(program.graph.outputs, places, () if inplace else awaited)
    top_trace, outermost = _top_trace() if count else (None, None)

    def bind(arguments: Callable[[Sequence[Any]], Sequence[Any]] | None) -> Run:
        def run(values: Sequence[Any], switched: bool = False) -> Any:
            try:
                found = execute(*(arguments(values) if arguments else values))
            except Exception as error:
                return failed(values, error)
            return pack(cut(found, switched) if cut else found)

        if not state.locks:
            return run
        lock = state.locks[0]

        def run_with_state(arrays: Sequence[Any], switched: bool = False) -> Any:
            # An executable runs while JAX traces, too; state must not change then.
            if top_trace and top_trace(None) is not outermost:
                return MISS
            with lock:  # where there are several, it is held already
                values = (*arrays, only._value) if only is not None else (*arrays, *map(peek, variables))
                for variable in donated:
                    if not variable.own:
                        return MISS
                try:
                    found = execute(*(arguments(values) if arguments else values))
                except Exception as error:
                    return failed(values, error)
                if passed:
                    found = (*values, *found)
                if cut:
                    found = cut(found, switched)
                if commit:
                    commit(found)
                return pack(found)

        def run_in_place(arrays: Sequence[Any], switched: bool = False) -> Any:
            try:
                return run_with_state(arrays, switched)
            except BaseException:
                state.lose_overwritten()
                raise

        if inplace:
            return partial(state.locked, run_in_place)
        return partial(state.locked, run_with_state) if len(state.locks) > 1 else run_with_state

    return bind


def _slicer(
    sources: Sequence[OutputSlice | int], places: Sequence[int], passed: int, on_host: Sequence[bool]
) -> Callable[[Sequence[Any], bool], Sequence[Any]] | None:
    """A function that gives each source its own result, sliced to its length; ``None`` where none is sliced.

    It is told if JAX's x64 flag was switched on for the call. ``on_host``: results that become NumPy arrays while
    JAX's x64 flag is off, and stay on the host then.
    """
    sliced = [not isinstance(one, int) and bool(one.lengths) for one in sources]
    if not any(sliced):
        return None
    entries = list(zip(sources, places, on_host, strict=True))

    def cut(found: Sequence[Any], wide: bool) -> Sequence[Any]:
        outputs = found[passed:]
        return [
            found[place] if isinstance(one, int) else select(outputs, one, is_hosted and not wide)
            for one, place, is_hosted in entries
        ]

    flag, are_hosted = jax.enable_x64, all(hosted for is_cut, hosted in zip(sliced, on_host, strict=True) if is_cut)
    narrow = cut if are_hosted else with_x64(cut)
    return lambda found, switched: cut(found, True) if flag.value and not switched else narrow(found, False)


def _converting(run: Run, convert: Convert | None) -> Run:
    """The closure with its results converted; outermost, since it looks at JAX's x64 flag."""
    if convert is None:
        return run

    def run_and_convert(given: Sequence[Any]) -> Any:
        results = run(given)
        return results if results is MISS else convert(results)

    return run_and_convert


def _only_stage(program: Program, bucket: Bucket) -> CompiledStage | None:
    """The stage of a bucket that runs one stage on the arguments and returns its results; ``None`` for others."""
    options = program.options
    if len(bucket.stages) > 1 or options.check_index or options.check_nan or options.out_shardings:
        return None
    (stage,) = bucket.stages
    computed = all(isinstance(v, SharedVariable) or v.owner is not None for v in bucket.graph.outputs)
    return stage if computed else None


def _top_trace() -> tuple[Callable[[Any], Any] | None, Any]:
    """The function that finds JAX's current trace, and the trace outside of all transformations."""
    from jax.extend.core import find_top_trace  # a part of the package's import time, and not always needed

    return find_top_trace, find_top_trace(None)  # type: ignore[no-untyped-call]


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


def _digest(data: bytes) -> bytes:
    """Bytes as a part of a cache key, which holds no copy of a long vector."""
    return data if len(data) <= 64 else sha256(data).digest()


REMEMBERED = 4096
"""Shapes and lengths of a call for which a closure is kept."""
