"""Fast-path dispatch of calls that repeat, keyed by argument types, shapes, dtypes and lengths.

Around an executable that takes microseconds, checking and converting arguments costs more than the run. ``Dispatch``
keeps two tables. ``kinds`` maps the names and types of a call's arguments to a function that orders and converts them,
or finds that they do not fit. ``_runs`` maps the shapes and lengths of the converted values to a closure that reads
shared state, runs the executable, commits and returns the results. A call that finds no entry gets ``MISS``: nothing
has been changed, and the general path of ``Function`` serves it, then adds the entries.

Executables are compiled ahead of time (``jax.stages.Compiled``): unlike a jitted function they do not look at JAX's x64
flag, which therefore needs no switching. Calls with tracers, and values that need more than a check (lists, other
dtypes), take the general path every time, as do programs that need more than one stage, padding of arguments or a check
after the run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.ir.jax_call import JaxCall
from loopjax.runtime.buckets import Bucket
from loopjax.runtime.compiler import KEPT, CompiledStage, select
from loopjax.runtime.jax_settings import settings_of
from loopjax.runtime.program import Program
from loopjax.runtime.results import Convert, is_converted
from loopjax.runtime.signature import MISS, Signature, taking
from loopjax.runtime.state import peek
from loopjax.runtime.x64 import NARROW, with_x64
from loopjax.shapes.intervals import InputInterval, input_intervals, trip_count_bounds
from loopjax.shapes.preconditions import RuntimeAssertion
from loopjax.shapes.stages import OutputSlice, specialization_key
from loopjax.trace.promotion import is_as_wide
from loopjax.trace.shared import SharedVariable

Run = Callable[[Sequence[Any]], Any]
"""From argument values to the function's results, or ``MISS``."""

Layout = Callable[[Sequence[Any]], Sequence[Any]]
"""From positional arguments and those by name to the values of all inputs, in their order."""

Conversion = Callable[[Any], Any]
"""From an argument to the value that the executable takes, or ``MISS``."""

_finfo: Any = jnp.finfo


class Dispatch:
    """Fast-path cache of one bucket: from argument types, shapes and lengths to an ahead-of-time compiled executable.

    ``Function.__call__`` looks up ``kinds`` by the settings of JAX, the names of arguments and their types.
    """

    __slots__ = (
        "_convert",
        "_lengths",
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
        self._runs: dict[Any, Run] = {}
        self._program = program
        self._signature = signature
        self._lock = threading.Lock()
        self._lengths: dict[Any, Any] = {}
        self._stage = _only_stage(program, bucket)
        if self._stage is not None:
            positions = {variable: position for position, variable in enumerate(bucket.graph.inputs)}
            self._reads = [positions[variable] for variable in self._stage.stage.graph.inputs]

    @property
    def runs(self) -> list[Run]:
        """The closures in the table, for tests."""
        return [run for run in self._runs.values() if run is not _miss]

    def run(self, arrays: Sequence[Any]) -> Any:
        """Runs the program on arrays of exactly the inputs' dtypes, or returns ``MISS``; the state's locks are held."""
        return self._choose_locked(arrays) if self._runs else MISS

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
            run_key = self._run_key(values)
            if run_key not in self._runs:
                self._runs[run_key] = self._made(run_key, values)
                self._connect()
            kind = (self.settings(), *kwargs, *map(type, (*args, *kwargs.values())))
            given = self._signature.placed(args, kwargs)
            if kind not in self.kinds and all(map(_is_fast, given, arrays)) and not self._signature.is_exact:
                layout = self._signature.layout(len(args), tuple(kwargs))
                self._makers[kind] = self._maker(layout, given, values)
                self._connect()
            for table in (self.kinds, self._makers, self._runs):
                if len(table) > KEPT:
                    del table[next(iter(table))]

    def _connect(self) -> None:
        """Rebuilds the table from argument types to the closure that runs.

        A single program without lengths needs no lookup: the executable itself refuses other shapes and dtypes.
        """
        assert self._stage is not None
        single = len(self._runs) == 1 and not self._stage.stage.length_inputs
        run = next(iter(self._runs.values())) if single else self._choose
        self.kinds.update({kind: _converting(make(run), self._convert) for kind, make in self._makers.items()})

    def _run_key(self, values: Sequence[Any]) -> Any:
        """Cache key of an executable: JAX's settings, input shapes and the values of lengths."""
        assert self._stage is not None
        stage, arrays = self._stage.stage, [values[position] for position in self._reads]
        if not stage.lengths:
            return self.settings(), specialization_key(stage, arrays)
        # Lengths computed from shapes and the values of inputs are evaluated once for each of them.
        bytes_read = tuple([np.asarray(arrays[position]).tobytes() for position in stage.length_inputs])
        inputs = tuple([array.shape for array in arrays]), bytes_read
        found = self._lengths.get(inputs)
        if found is None:
            if len(self._lengths) >= REMEMBERED:
                self._lengths.clear()
            found = self._lengths[inputs] = specialization_key(stage, arrays)
        return self.settings(), found

    def _choose(self, arrays: Sequence[Any]) -> Any:
        """Runs the entry of these shapes and lengths, and of those of the state."""
        return self._program.state.locked(self._choose_locked, arrays)

    def _choose_locked(self, arrays: Sequence[Any]) -> Any:
        try:
            run_key = self._run_key((*arrays, *map(peek, self._program.state.variables)))
        except AttributeError:  # a shared variable has lost its value, which the general path reports
            return MISS
        return self._runs.get(run_key, _miss)(arrays)

    def _maker(self, layout: Layout | None, given: Sequence[Any], values: Sequence[Any]) -> Callable[[Run], Run]:
        """Returns a wrapper that orders arguments, checks dtypes and converts scalars, for the types of ``given``."""
        pairs = [(x, array.dtype) for x, array in zip(given, values, strict=False)]
        needs_x64 = any(str(dtype) in NARROW for x, dtype in pairs if not isinstance(x, jax.Array))
        # Arrays on the device need no check, since the executable refuses other dtypes, and no conversion.
        checks = [(place, dtype) for place, (x, dtype) in enumerate(pairs) if isinstance(x, np.ndarray)]
        inplace = self._program.options.inplace
        converters = [(place, _converter(x, dtype, inplace)) for place, (x, dtype) in enumerate(pairs)]
        converts = [(place, convert) for place, convert in converters if convert is not None]

        def make(run: Run) -> Run:
            if needs_x64:
                run = with_x64(run)

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

    def _made(self, run_key: Any, values: Sequence[Any]) -> Run:
        """A closure around the executable for these values; ``_miss`` where a call needs more than it can check."""
        assert self._stage is not None
        bucket, stage, inputs = self.bucket, self._stage.stage, self.bucket.graph.inputs
        shapes = {variable: array.shape for variable, array in zip(inputs, values, strict=True)}
        of_loops, of_capacity = trip_count_bounds(stage.checks, shapes), bucket.bounds(shapes)
        if of_loops is None or of_capacity is None:
            return _miss
        limits = input_intervals([*of_loops, *of_capacity], inputs)
        if limits is None:
            return _miss
        arrays = [values[position] for position in self._reads]
        # The bound method, since Python looks up __call__ of an object at each call.
        execute = self._stage.find(arrays).call.lower(*arrays).compile().__call__
        if bucket.graph.holds(lambda node: isinstance(node.op, JaxCall)):
            execute = with_x64(execute)  # a callback's results are cut to 32 bits where the flag is off
        positions = {variable: position for position, variable in enumerate(inputs)}
        dtypes = [value.dtype for value in values]
        given = dict(stage.results)
        assertions = bucket.padded.assertions
        outputs = bucket.graph.outputs[: len(bucket.graph.outputs) - len(assertions)]
        sources = [given[one] if one in given else positions[one] for one in outputs]
        if assertions:
            execute = _asserting(execute, [(given[one.holds].position, one) for one in assertions])

        def failed(values: Sequence[Any], error: Exception) -> Any:
            """The general path reports an error better, or copes with it; unless state is gone."""
            state = self._program.state
            if self._program.options.inplace and state.lose_overwritten():
                raise error
            lost = isinstance(error, _AssertionFailed) or any(value is None for value in values)
            if lost or jax.config.jax_disable_jit or [value.dtype for value in values] != dtypes:  # type: ignore[attr-defined]
                return MISS
            # An executable that refuses what it was compiled for (for its sharding, say) is not asked again.
            if self._run_key(values) == run_key:
                self._runs[run_key] = _miss
                self._connect()
            return MISS

        return _runner(self._program, execute, self._reads, sources, limits, tuple(bucket.donated), failed)


def _asserting(execute: Callable[..., Any], assertions: Sequence[tuple[int, RuntimeAssertion]]) -> Callable[..., Any]:
    """The executable, raising where one of its results, an assertion by its position, is false."""

    def run(*arrays: Any) -> Any:
        found = execute(*arrays)
        for position, assertion in assertions:
            if not found[position]:
                raise _AssertionFailed(assertion.message)
        return found

    return run


class _AssertionFailed(Exception):
    """A false runtime assertion, which the general path finds again and reports."""


def _runner(
    program: Program,
    execute: Callable[..., Any],
    reads: Sequence[int],
    sources: Sequence[OutputSlice | int],
    limits: Sequence[InputInterval],
    donated: Sequence[SharedVariable],
    failed: Callable[[Sequence[Any], Exception], Any],
) -> Run:
    """A closure that reads state, runs an executable, commits new state and returns results.

    ``reads``: positions of the executable's arguments among the values of inputs and state. ``sources``: for each
    output of the program, a value's position or a result of the executable. ``limits``: values, by position, from which
    every trip count stays within its bounds. ``donated``: variables whose values are overwritten, which nobody else may
    hold. ``failed`` is called where the executable raises.
    """
    state, inputs = program.state, len(program.graph.inputs)
    count, inplace, policy = len(state.updated), program.options.inplace, program.options.results
    arguments = taking(reads) if list(reads) != list(range(inputs)) else None
    # Results are found by position among the executable's, after the values if one of these is a result, too.
    passed = inputs if any(isinstance(one, int) for one in sources) else 0
    places = [one if isinstance(one, int) else passed + one.position for one in sources]
    hosted = [place >= count and is_converted(policy, one) for place, one in enumerate(program.graph.outputs)]
    cut = _slicer(sources, places, passed, hosted)
    if cut:
        places = list(range(len(sources)))
    pack = program.form.packer(places[count:])

    def run(values: Sequence[Any]) -> Any:
        for position, least, most in limits:
            if not least <= int(values[position]) <= most:
                return MISS
        try:
            found = execute(*(arguments(values) if arguments else values))
        except Exception as error:
            return failed(values, error)
        return pack(cut(found) if cut else found)

    if not state.locks:
        return run
    variables, lock, several = state.variables, state.locks[0], len(state.locks) > 1
    only: Any = variables[0] if len(variables) == 1 else None
    # The executable's own results are ready, or fail, together.
    own = [place for place in places[:count] if place >= passed and not cut]
    awaited = [place for place in places[:count] if place not in own[1:]]
    commit = state.committer(program.graph.outputs, places, () if inplace else awaited)
    top_trace, outermost = _top_trace() if count else (None, None)

    def run_with_state(arrays: Sequence[Any]) -> Any:
        # An executable runs while JAX traces, too; state must not change then.
        if top_trace and top_trace(None) is not outermost:
            return MISS
        with lock:  # where there are several, it is held already
            values = (*arrays, only._value) if only is not None else (*arrays, *map(peek, variables))
            for position, least, most in limits:
                if not least <= int(values[position]) <= most:
                    return MISS
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
                found = cut(found)
            if commit:
                commit(found)
            return pack(found)

    def run_in_place(arrays: Sequence[Any]) -> Any:
        try:
            return run_with_state(arrays)
        except BaseException:
            state.lose_overwritten()
            raise

    if inplace:
        return partial(state.locked, run_in_place)
    return partial(state.locked, run_with_state) if several else run_with_state


def _slicer(
    sources: Sequence[OutputSlice | int], places: Sequence[int], passed: int, on_host: Sequence[bool]
) -> Callable[[Sequence[Any]], Sequence[Any]] | None:
    """A function that gives each source its own result, sliced to its length; ``None`` where none is sliced.

    ``on_host``: results that become NumPy arrays while JAX's x64 flag is off, and stay on the host then.
    """
    sliced = [not isinstance(one, int) and bool(one.lengths) for one in sources]
    if not any(sliced):
        return None
    entries = list(zip(sources, places, on_host, strict=True))

    def cut(found: Sequence[Any], wide: bool = False) -> Sequence[Any]:
        outputs = found[passed:]
        return [
            found[place] if isinstance(one, int) else select(outputs, one, is_hosted and not wide)
            for one, place, is_hosted in entries
        ]

    flag, in_x64 = jax.enable_x64, with_x64(cut)
    narrow = (
        cut if all(is_hosted for is_sliced, is_hosted in zip(sliced, on_host, strict=True) if is_sliced) else in_x64
    )
    return lambda found: cut(found, True) if flag.value else narrow(found)


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
    # An axis with capacity pads an argument.
    if len(bucket.stages) > 1 or program.options.check_index or bucket.padded.axes:
        return None
    (stage,) = bucket.stages
    computed = all(isinstance(v, SharedVariable) or v.owner is not None for v in bucket.graph.outputs)
    return stage if computed else None


def _miss(values: Sequence[Any]) -> Any:
    """The closure of calls that need the general path."""
    return MISS


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


REMEMBERED = 4096
"""Values of length inputs for which the lengths computed from them are kept."""
