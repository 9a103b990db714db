"""A call like one before, written out as Python source for what it is given: no loop, no call, no check more than it
needs. Around an executable that takes microseconds, each of these counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import methodcaller
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.ir.graph import Variable
from loopjax.runtime.buckets import Bucket
from loopjax.runtime.compiler import cut
from loopjax.runtime.jax_settings import default_device
from loopjax.runtime.program import Program
from loopjax.runtime.signature import Layout
from loopjax.runtime.state import State, assign, owned
from loopjax.runtime.written import Source
from loopjax.runtime.x64 import NARROW, switched
from loopjax.shapes.intervals import InputInterval
from loopjax.shapes.stages import OutputSlice
from loopjax.trace.shared import SharedVariable

UNKNOWN: Any = object()
"""What comes back of a call that is not known: nothing has been changed, and the function's own way does it."""

Run = Callable[[Sequence[Any]], Any]
"""From the values of all inputs to the function's results, or ``UNKNOWN``."""

Failed = Callable[[Sequence[Any], Exception], Any]
"""What a call returns where the executable has raised."""

NUMBERS = (int, float)
"""Python's numbers, which become arrays of the input's dtype."""

WITHIN_ONE_WITH = 16
"""Locks that one ``with`` takes; Python nests no more than 20."""

SEVERAL = 3
"""Arrays from which on one run of C that waits for them costs less than as many calls."""

_finfo: Any = jnp.finfo


CallOf = Callable[[Any, tuple[Any, ...], Mapping[str, Any]], Any]
"""A function's call with its arguments by position and by name."""


class Settings(NamedTuple):
    """The settings of JAX that hold: its default device, and what reads the others that the program depends on."""

    device: Any
    others: Callable[[], tuple[Any, ...]] | None


class Conversion(NamedTuple):
    """What becomes of the value of an input: both are Python of ``value`` and of ``names``; where ``test`` is false the
    call is another one."""

    test: str = ""
    result: str = "{value}"
    names: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Known:
    """A call that runs an executable.

    ``reads`` are the positions of the executable's arguments among the values of inputs and shared variables, ``picks``
    those of new state and results among the same values followed by the ``returned`` arrays, which may say how many
    rows count. ``fresh``: variables of which a call overwrites the value, which nobody else may hold. ``wide``: how
    JAX's x64 flag must be, ``None`` where it makes no difference. ``failed`` is called where the executable raises.
    """

    program: Program
    reads: tuple[int, ...]
    picks: tuple[OutputSlice, ...]
    returned: int
    fresh: tuple[SharedVariable, ...]
    execute: Callable[..., Any]
    conversions: tuple[Conversion, ...]
    wide: bool | None
    failed: Failed

    def call(self) -> Run:
        """The call by the values of all inputs."""
        source, names = Source(), self._inputs
        source.globals["UNKNOWN"] = UNKNOWN
        if names:
            source.line(f"{', '.join(names)}, = given")
        self._write(source, "given", "return UNKNOWN")
        return source.function("call", "given")

    def alike(
        self, layout: Layout, types: Sequence[type], settings: Settings, otherwise: CallOf, run: Run | None = None
    ) -> CallOf:
        """The call while all calls give their arguments alike, of these types; any other is done by ``otherwise``.
        With ``run`` that does it, once it is clear what the values of all inputs are."""
        source, other = Source(), "return otherwise(function, args, kwargs)"
        source.globals.update(otherwise=otherwise, default_device=default_device)
        changed = [f"len(kwargs) != {len(layout.names)}" if layout.names else "kwargs"]
        changed += [] if layout.given else ["args"]
        changed.append(f"default_device.value is not {source.name(settings.device)}")
        if settings.others is not None:
            changed.append(f"{source.name(settings.others)}() != {source.name(settings.others())}")
        source.line(f"if {' or '.join(changed)}: {other}")
        if layout.given or layout.names:
            with source.block("try:"):
                if layout.given:
                    source.line(f"{', '.join(self._inputs[: layout.given])}, = args")
                for name, place in zip(layout.names, layout.places, strict=True):
                    source.line(f"a{place} = kwargs[{name!r}]")
            source.line(f"except (KeyError, ValueError): {other}")
        for place, default in layout.defaults.items():
            source.line(f"a{place} = {source.name(default)}")
        kinds = [f"type(a{i}) is not {source.name(kind)}" for i, kind in enumerate(types) if i not in layout.defaults]
        if kinds:
            source.line(f"if {' or '.join(kinds)}: {other}")
        given, miss = (
            f"({', '.join(self._inputs)}{',' if self._inputs else ''})",
            "return function.call_anew(args, kwargs)",
        )
        if run is None:
            self._write(source, given, miss)
        else:
            source.globals["UNKNOWN"] = UNKNOWN
            source.line(f"result = {source.name(run)}({given})")
            source.line(f"if result is UNKNOWN: {miss}")
            source.line("return result")
        return source.function("call", "function", "args", "kwargs")

    @property
    def _inputs(self) -> list[str]:
        return [f"a{place}" for place in range(len(self.program.inputs))]

    def _write(self, source: Source, given: str, miss: str) -> None:
        """All but what gets at the inputs; ``given`` is what stands for them as a tuple."""
        state, options, inputs = self.program.state, self.program.options, self._inputs
        values = list(inputs)
        held = [place for place, one in enumerate(self.conversions) if "get_value" in one.result]
        for place, one in enumerate(self.conversions):
            if place < len(inputs) and place not in held:
                values[place] = _convert(source, one, inputs[place], miss)
        with _locked(source, state), _losing(source, state, options.inplace):
            if state.updated:
                source.line(f"if trace(None) is not before: {miss}")
            for place in held:
                values[place] = _convert(source, self.conversions[place], inputs[place], miss)
            for variable, one in zip(state.variables, self.conversions[len(inputs) :], strict=True):
                name = source.temporary(f"{source.name(variable)}._value")
                values.append(_convert(source, one, name, miss))
            for variable in self.fresh:
                source.line(f"if not {source.name(variable)}.own: {miss}")
            outputs = [f"o{place}" for place in range(self.returned)]
            with source.block("try:"):
                gets = f"{', '.join(outputs)}, = " if outputs else ""
                source.line(f"{gets}{self._run(source)}({', '.join([values[place] for place in self.reads])})")
            with source.block("except Exception as error:"):
                source.line(f"failed({given}, error)")
                source.line(miss)
            results = [self._picked(source, [*values, *outputs], pick) for pick in self.picks]
            self._commit(source, results)
        source.line(f"return {self._form(results[len(state.updated) :])}")
        source.globals.update(failed=self.failed)
        if state.updated:
            # What is compiled ahead of time runs while JAX traces, too, and state would change then.
            from jax.extend.core import find_top_trace  # a part of the package's import time, and not always needed

            source.globals.update(trace=find_top_trace, before=find_top_trace(None))  # type: ignore[no-untyped-call]

    def _picked(self, source: Source, found: Sequence[str], pick: OutputSlice) -> str:
        """One of what there is, of which some rows count alone. What is cut is narrowed unless JAX's flag is on."""
        array = found[pick.position]
        if not pick.lengths:
            return array
        outputs = found[-self.returned :]
        counts = [
            f"({axis}, {n if isinstance(n, int) else f'{outputs[n.position]}.item()'})," for axis, n in pick.lengths
        ]
        return source.temporary(f"{_under(source, cut, True)}({array}, ({' '.join(counts)}))")

    def _run(self, source: Source) -> str:
        return source.name(self.execute) if self.wide is None else _under(source, self.execute, self.wide)

    def _commit(self, source: Source, results: Sequence[str]) -> None:
        """As ``State.commit``."""
        state = self.program.state
        variables = [source.name(variable) for variable in state.updated]
        new = results[: len(variables)]
        if not self.program.options.inplace:
            for name in new if len(new) < SEVERAL else ():
                source.line(f"{name}.block_until_ready()")
            if len(new) >= SEVERAL:
                source.line(f"[*map(wait, ({', '.join(new)}))]")
                source.globals["wait"] = methodcaller("block_until_ready")
        for variable in variables:
            source.line(f"{variable}.own = False")
        if len(variables) == 1:
            source.line(f"{variables[0]}._value = {new[0]}")
        elif variables:
            # One run of C: no interrupt can come between two assignments.
            source.line(f"[*map(assign, {source.name(state.updated)}, ({', '.join(new)}))]")
            source.globals["assign"] = assign
        outputs = self.program.graph.outputs
        for variable, own in zip(variables, owned(outputs, len(variables)), strict=True):
            if own:
                source.line(f"{variable}.own = True")
        for output in outputs:
            if isinstance(output, SharedVariable):
                source.line(f"{source.name(output)}.own = False")

    def _form(self, results: Sequence[str]) -> str:
        form = self.program.form
        if form.kind == "single":
            return results[0]
        if form.kind == "dict":
            return f"{{{', '.join(f'{key!r}: {name}' for key, name in zip(form.keys, results, strict=True))}}}"
        return f"[{', '.join(results)}]"


@contextmanager
def _locked(source: Source, state: State) -> Iterator[None]:
    """Lines within hold the locks of all variables."""
    locks = state.locks
    if len(locks) > WITHIN_ONE_WITH:
        head = f"with {source.name(state.locked)}():"
    else:
        head = f"with {', '.join([source.name(lock) for lock in locks])}:" if locks else ""
    with source.block(head):
        yield


@contextmanager
def _losing(source: Source, state: State, inplace: bool) -> Iterator[None]:
    """Lines within may overwrite values of variables, which are then lost where they fail."""
    with source.block("try:" if inplace else ""):
        yield
    if inplace:
        with source.block("except BaseException:"):
            source.line(f"{source.name(state.lose_overwritten)}()")
            source.line("raise")


def _under(source: Source, run: Callable[..., Any], wide: bool) -> str:
    """What runs with JAX's x64 flag on or off."""
    source.globals["x64"] = jax.enable_x64
    return f"({source.name(run)} if x64.value is {wide} else {source.name(switched(run, wide))})"


def _convert(source: Source, one: Conversion, value: str, miss: str) -> str:
    if one.test:
        source.line(f"if not ({one.test.format(value=value)}): {miss}")
    source.globals.update(one.names)
    return value if one.result == "{value}" else source.temporary(one.result.format(value=value))


class Converting(NamedTuple):
    """What becomes of all values, and how JAX's x64 flag must be: ``None`` where it makes no difference."""

    each: tuple[Conversion, ...]
    wide: bool | None


def converting(
    given: Sequence[Any], values: Sequence[Any], ranges: Mapping[int, InputInterval], copies: bool = False
) -> Converting:
    """For arguments like ``given``, which became the first of ``values``; what is in a range must stay there.

    ``copies``: the caller may write to NumPy's arrays before they have been read.
    """
    host = [isinstance(value, (*NUMBERS, np.ndarray, np.generic)) for value in given]
    dtypes = [value.dtype for value in values]
    wide = any(is_host and str(dtype) in NARROW for is_host, dtype in zip(host, dtypes, strict=False))
    found = []
    for place, value in enumerate([*given, *values[len(given) :]]):
        if type(value) in NUMBERS:
            found.append(_number(type(value), dtypes[place], ranges.get(place), wide, place))
        else:
            found.append(_array(value, dtypes[place], ranges.get(place), copies, place))
    return Converting(tuple(found), wide if any(host) else None)


def _number(kind: type, dtype: Any, bounds: InputInterval | None, wide: bool, place: int) -> Conversion:
    """Of one of Python's numbers that the dtype holds, but for rounding of floats."""
    natural = str(dtype) in (("int64", "float64") if wide else ("int32", "float32"))
    result, names = f"dtype{place}({{value}})", {f"dtype{place}": dtype.type}
    if natural and (kind is float or dtype.kind != "f"):
        result = "{value}"  # JAX makes the same of it, at less cost
    elif natural:
        result = "float({value})"
    if kind is float:
        most: Any = float(_finfo(dtype).max)
        infinite = "{value} - {value} != 0"  # or no number
        return Conversion(f"-{most!r} <= {{value}} <= {most!r} or {infinite}", result, names)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        least, most = int(info.min), int(info.max)
    else:
        most = 2 ** (_finfo(dtype).nmant + 1)  # up to here it holds all integers
        least = -most
    if bounds:
        least, most = max(least, bounds.least), min(most, bounds.most)
    return Conversion(f"{least} <= {{value}} <= {most}", result, names)


def _array(value: Any, dtype: Any, bounds: InputInterval | None, copies: bool, place: int) -> Conversion:
    if isinstance(value, SharedVariable):
        # The default of an input; a number of steps is not looked for there.
        return Conversion(f"{{value}} is v{place}", "{value}.get_value(borrow=True)", {f"v{place}": value})
    tests, names, result = [], {"array": np.array, "asarray": np.asarray, f"dtype{place}": dtype}, "{value}"
    if isinstance(value, np.ndarray):
        tests.append(f"{{value}}.dtype == dtype{place}")
        result = "array({value})" if copies else result
    if bounds and isinstance(value, jax.Array):
        # An array on the device never changes: the one seen last is not read again.
        names[f"seen{place}"] = [value]
        within = f"{bounds.least} <= int(asarray({{value}})) <= {bounds.most}"
        tests.append(f"{{value}} is seen{place}[0] or {within} and see(seen{place}, {{value}})")
        names["see"] = _see
    elif bounds:
        tests.append(f"{bounds.least} <= int({{value}}) <= {bounds.most}")
    return Conversion(" and ".join(tests), result, names)


def _see(seen: list[Any], value: Any) -> bool:
    """Notes an array that fits."""
    seen[0] = value
    return True


def known(
    program: Program,
    variant: Bucket,
    execute: Callable[..., Any],
    converting: Converting,
    failed: Failed,
) -> Known:
    """A call of a variant of one stage that runs an executable."""
    (stage,) = variant.stages
    inner = stage.stage.graph
    # An input may be an output as well: where it counts rows.
    inputs = variant.graph.inputs
    places = {v: len(inputs) + place for place, v in enumerate(inner.outputs)}
    places.update({v: place for place, v in enumerate(inputs)})
    given = dict(stage.stage.results)
    return Known(
        program,
        tuple([places[v] for v in inner.inputs]),
        tuple([_pick(v, places, given, len(inputs)) for v in variant.graph.outputs]),
        len(inner.outputs),
        tuple(variant.donated),
        execute,
        *converting,
        failed,
    )


def _pick(
    output: Variable, places: Mapping[Variable, int], given: Mapping[Variable, OutputSlice], inputs: int
) -> OutputSlice:
    """Where an output is among the values of inputs and what a stage returns."""
    if output not in given:
        return OutputSlice(places[output], ())
    pick = given[output]
    return pick._replace(position=inputs + pick.position)
