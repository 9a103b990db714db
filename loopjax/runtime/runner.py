"""A call once its executables are found: state is read, they run, new state is committed, results are packed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import find_top_trace

from loopjax.lower.jit import outermost_trace
from loopjax.runtime.buckets import Bucket
from loopjax.runtime.compiler import select
from loopjax.runtime.executables import Execute
from loopjax.runtime.program import Program
from loopjax.runtime.results import is_converted
from loopjax.runtime.signature import MISS, taking
from loopjax.runtime.state import peek
from loopjax.runtime.x64 import with_x64
from loopjax.shapes.stages import LengthOutput, OutputSlice

Run = Callable[..., Any]
"""From argument values to the function's results, or ``MISS``; called with ``True``, too, where JAX's x64 flag was
switched on for the call."""

Fit = Callable[[Sequence[Any]], Sequence[Any]]
"""From a program's values to those of a bucket's inputs: padded, and their lengths."""

Failed = Callable[[Sequence[Any], Exception], Any]
"""From values and what the run of an executable raised to ``MISS``, or it raises."""


def runner(program: Program, bucket: Bucket) -> Callable[[Execute, Fit | None, Failed, bool], Run]:
    """From a chain of executables to a closure that reads state, runs it, commits new state and returns results."""
    state, inputs = program.state, len(program.graph.inputs)
    count, inplace = len(state.updated), program.options.inplace
    positions = {variable: position for position, variable in enumerate(program.graph.inputs)}
    given, offset = _chain_results(bucket)
    outputs = bucket.graph.outputs[: len(bucket.graph.outputs) - len(bucket.padded.assertions)]
    sources = [given[one] if one in given else positions[one] for one in outputs]
    # Results are found by position among the executable's, after the values if one of these is a result, too.
    passed = inputs if any(isinstance(one, int) for one in sources) else 0
    places = [one if isinstance(one, int) else passed + one.position for one in sources]
    hosted = [
        place >= count and is_converted(program.options.results, one) for place, one in enumerate(program.graph.outputs)
    ]
    cut = _slicer(sources, places, passed, hosted)
    if cut:
        places = list(range(len(sources)))
    pack = program.form.packer(places[count:])
    variables, donated = state.variables, tuple(bucket.donated)
    # An executable's results are ready, or fail, together. To wait once more for a result, as a caller does, is cheap.
    own = [place for place in [*places[count:], *places[:count]] if place >= passed + offset and not cut]
    awaited = [*own[:1], *(place for place in places[:count] if place not in own)] if count and not inplace else []
    only = variables[0] if len(variables) == 1 else None
    lock: Any = state.locks[0] if state.locks else None  # acquired once more where all are: a thread may do so
    commit = state.committer(program.graph.outputs)
    single = state.updated[0] if count == 1 and not state.lent(program.graph.outputs) else None
    take = None if places[:count] == list(range(count)) else taking(places[:count])
    outermost = outermost_trace()

    def bind(execute: Execute, fit: Fit | None, failed: Failed, is_safe: bool) -> Run:
        checked, waited = (variables, ()) if is_safe and awaited else ((), awaited)
        if fit is not None:
            unpadded = execute
            execute = lambda *values: unpadded(*fit(values))  # noqa: E731

        def run(values: Sequence[Any], switched: bool = False) -> Any:
            try:
                found = execute(*values)
            except Exception as error:
                return failed(values, error)
            return pack(cut(found, switched) if cut else found)

        def run_with_state(values: Sequence[Any], switched: bool = False) -> Any:
            with lock:
                # An executable runs while JAX traces, too; state must not change then.
                if count and find_top_trace(None) is not outermost:  # type: ignore[no-untyped-call]
                    return MISS
                for variable in donated:
                    if not variable.own:
                        return MISS
                values = (*values, only._value) if only is not None else (*values, *map(peek, variables))
                try:
                    found = execute(*values)
                except Exception as error:
                    return failed(values, error)
                if passed:
                    found = [*values, *found]
                if cut:
                    found = cut(found, switched)
                # A computation that fails changes nothing. One that is safe fails only by what it reads.
                for one in checked:
                    value: Any = one._value
                    if value is not one.safe:
                        value.block_until_ready()
                for place in waited:
                    found[place].block_until_ready()
                if single is not None:
                    single._value = found[places[0]]
                    single.own = True
                elif commit:
                    commit(take(found) if take else found)
                for one in checked:
                    one.safe = one._value
                return pack(found)

        def run_locked(values: Sequence[Any], switched: bool = False) -> Any:
            return state.locked(run_with_state, values, switched)

        def run_in_place(values: Sequence[Any], switched: bool) -> Any:
            try:
                return run_with_state(values, switched)
            except BaseException:
                state.lose_overwritten()
                raise

        if not state.locks:
            return run
        if inplace:
            return lambda values, switched=False: state.locked(run_in_place, values, switched)
        return run_with_state if len(state.locks) == 1 else run_locked

    return bind


def _chain_results(bucket: Bucket) -> tuple[dict[Any, OutputSlice], int]:
    """Where a chain of executables returns each result of the stages, and how many come before those of the last."""
    *earlier, last = bucket.stages
    found = {variable: OutputSlice(0, ()) for stage in earlier for variable, _ in stage.stage.results}
    found = {variable: OutputSlice(place, ()) for place, variable in enumerate(found)}
    offset = len(found)
    for variable, (position, lengths) in last.stage.results:
        moved = [(axis, n if isinstance(n, int) else LengthOutput(n.position + offset)) for axis, n in lengths]
        found[variable] = OutputSlice(position + offset, tuple(moved))
    return found, offset


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
