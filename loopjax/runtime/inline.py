"""Inlining of a program into one that JAX traces, for ``to_jax`` and for functions called inside of ``jax.jit``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.custom_derivatives import SymbolicZero

from loopjax.errors import UnsupportedError, coded, here, where
from loopjax.ir.graph import Constant, Graph, Variable
from loopjax.ir.lengths import leaves_of
from loopjax.ir.shape_operands import is_cut, shape_operands
from loopjax.ir.symbolic_sizes import is_symbolic
from loopjax.ir.types import KEY, NARROW, jax_dtype, x64_is_on
from loopjax.lower.fits_32_bits import COUNTS
from loopjax.lower.interpreter import evaluate
from loopjax.lower.jit import Compiled
from loopjax.rewrite.target import Derivative
from loopjax.runtime.compiler import CompiledStage, build
from loopjax.runtime.program import Program
from loopjax.runtime.x64 import is_key, narrowed
from loopjax.shapes.padding.spec import Padded, Padding
from loopjax.shapes.preconditions import check_trip_counts
from loopjax.shapes.stages import Stage, specialization_key
from loopjax.trace.shared import SharedVariable


class Inlined:
    """A simplified program that JAX traces in one piece, for the ``derivatives`` that JAX may take of it.

    It maps the values of the graph's inputs to those of its outputs. Lengths are concrete values; a traced one may only
    be the trip count of a loop on which no shape depends. Where JAX's x64 is off, a program that fits into 32 bits runs
    as it is; any other has its dtypes all the same, as one operation, and its results are cast to 32 bits unless
    ``keep_x64``.
    """

    def __init__(self, program: Program, derivatives: Derivative = "any", keep_x64: bool = False) -> None:
        options = program.options
        if options.check_index or options.check_values:
            raise UnsupportedError(
                f"{options.name}: check= of function raises after a call, which JAX's transformations cannot"
            )
        mode = replace(options.mode, loop_kernels=False)  # JAX may batch or differentiate the program
        self._program = program = replace(program, options=replace(options, mode=mode))
        self._keep_x64 = keep_x64
        self._plain = _form(program, "none")
        self._derived: list[_Form] = []
        if derivatives in ("reverse", "any"):
            self._derived.append(_form(program, derivatives, fixed_lengths=True))
        if derivatives != "none":
            self._derived.append(_form(program, derivatives))

    def __call__(self, arrays: Sequence[Any]) -> list[Any]:
        values = dict(zip(self._program.graph.inputs, arrays, strict=True))
        traced = self._plain.traced(values)
        if traced:
            raise self._unknown(traced[0], self._plain.executable.stage)
        plain = self._plain.sized(values)
        stage = plain.executable.stage
        check_trip_counts(stage.checks, {variable: values[variable] for variable in stage.graph.inputs})
        derived = next((form.sized(values) for form in self._derived if not form.traced(values)), None)
        narrow = arrays if x64_is_on() else self._in_32_bits(arrays)
        if narrow is not None and (x64_is_on() or plain.fits_32_bits()):
            found = list(_Run(plain, derived)(*narrow))
        else:
            found = self._in_64_bits(plain, derived, arrays)
        return self._with_keys(arrays, found)

    def _with_keys(self, arrays: Sequence[Any], found: list[Any]) -> list[Any]:
        """The outputs, with new keys that are folded here: JAX takes those of a ``custom_jvp`` for used ones
        (``jax.debug_key_reuse``)."""
        graph = self._program.graph
        positions = [position for position, variable in enumerate(graph.outputs) if variable.dtype == KEY]
        keys = Graph(graph.inputs, [graph.outputs[position] for position in positions])
        if all(node.op.named("advance") for node in keys.applies):
            for position, key in zip(positions, evaluate(keys, arrays), strict=True):
                found[position] = key
        return found

    def _in_32_bits(self, arrays: Sequence[Any]) -> list[Any] | None:
        """The values in 32 bits; ``None`` where some lose digits, or where results are to have 64 bits."""
        graph = self._program.graph
        if self._keep_x64 and any(variable.dtype in NARROW for variable in graph.outputs):
            return None
        narrow = []
        for variable, array in zip(graph.inputs, arrays, strict=True):
            if variable.dtype == "int64" and not isinstance(array, jax.core.Tracer):
                wide = np.asarray(array)
                if wide.size and (wide.min() < COUNTS.least or wide.max() > COUNTS.greatest):
                    return None
                array = wide.astype("int32")
            narrow.append(array)
        return narrow

    def _in_64_bits(self, plain: _Sized, derived: _Sized | None, arrays: Sequence[Any]) -> list[Any]:
        if any(is_symbolic(size) for array in arrays for size in array.shape):
            raise coded(UnsupportedError, "LJ702")(
                f"{self._program.options.name}: an array has a symbolic size, and the program has 64-bit values where "
                f"JAX's x64 is off; expected one of the two, export it under jax.enable_x64(True){here()}"
            )
        from loopjax.lower import x64_primitive  # what it needs of JAX is a twentieth of the package's import time

        whole = [isinstance(array, jax.core.Tracer) or is_key(array) for array in arrays]
        pairs = list(zip(arrays, whole, strict=True))
        apart = tuple(None if passed else str(array.dtype) for array, passed in pairs)
        halves = [array if passed else x64_primitive.halved(np.asarray(array)) for array, passed in pairs]
        return x64_primitive.in_64_bits(_Run(plain, derived, apart, narrow=not self._keep_x64), *halves)

    @property
    def stages(self) -> tuple[CompiledStage, ...]:
        """The stage that was compiled last, under a derivative or without."""
        forms = [*self._derived, self._plain]
        return (next((form for form in forms if form.executable.programs), self._plain).executable,)

    def _unknown(self, variable: Variable, stage: Stage) -> UnsupportedError:
        inputs, applies = stage.graph.inputs, stage.graph.applies
        readers = [node for node in applies if variable in leaves_of(shape_operands(node), inputs).values]
        lines = dict.fromkeys(source for node in readers for source in node.sources)
        label = repr(variable.name) if variable.name else repr(variable)
        what = "input"
        instead = (
            "pass a number, for example through static_argnums of jax.jit or functools.partial, or fix it with "
            "givens={variable: 5}"
        )
        if isinstance(variable, SharedVariable):
            what, instead = "shared variable", "fix it, for example with givens={variable: 5}"
        return coded(UnsupportedError, "LJ702")(
            f"{self._program.options.name}: {what} {label}{where(variable.sources)} decides how many steps a loop runs "
            f"or how large an array is{where(lines)}, and JAX traces it; {instead}"
        )


class _Form(NamedTuple):
    """A single-stage program, planned for no derivative, for reverse or for any mode."""

    graph: Graph
    executable: CompiledStage

    def traced(self, values: Mapping[Variable, Any]) -> list[Variable]:
        """The inputs that decide lengths and are tracers."""
        stage = self.executable.stage
        deciding = [stage.graph.inputs[position] for position in stage.length_inputs]
        return [variable for variable in deciding if isinstance(values[variable], jax.core.Tracer)]

    def sized(self, values: Mapping[Variable, Any]) -> _Sized:
        """The program for the shapes and lengths of these values."""
        stage = self.executable.stage
        # The cache of programs must not hold tracers.
        given = tuple(
            np.asarray(values[variable]) if position in stage.length_inputs else shape_of(values[variable])
            for position, variable in enumerate(stage.graph.inputs)
        )
        return _Sized(self.executable, specialization_key(stage, given), self.graph, given)


@dataclass(frozen=True)
class _Sized:
    """A shape-specialized program, hashable by its cache key ``place`` so that JAX can cache its trace."""

    executable: CompiledStage
    place: tuple[Any, ...]
    graph: Graph = field(compare=False)
    given: tuple[Any, ...] = field(compare=False)

    def __call__(self, *arrays: Any) -> list[Any]:
        stage = self.executable.stage.graph
        values = dict(zip(self.graph.inputs, arrays, strict=True))
        results = self._compiled().call(*(values[variable] for variable in stage.inputs))
        values.update((variable, results[pick.position]) for variable, pick in self.executable.stage.results)
        return [jnp.asarray(v.data) if isinstance(v, Constant) else values[v] for v in self.graph.outputs]

    def fits_32_bits(self) -> bool:
        """Test if it computes the same in 32 bits."""
        return self._compiled().in_32_bits

    def _compiled(self) -> Compiled:
        with jax.enable_x64(True):
            return self.executable.find(self.given)


@dataclass(frozen=True)
class _Run:
    """The function that JAX traces: casts its inputs and runs ``plain``, or ``derived`` where JAX differentiates it.

    ``apart``: for each value that came as two 32-bit halves, its 64-bit dtype. ``narrow``: results are cast to 32 bits.
    """

    plain: _Sized
    derived: _Sized | None
    apart: tuple[str | None, ...] = ()
    narrow: bool = False

    def __call__(self, *arrays: Any) -> Sequence[Any]:
        if self.apart:
            from loopjax.lower.x64_primitive import joined

            pairs = zip(arrays, self.apart, strict=True)
            arrays = tuple(array if dtype is None else joined(array, dtype) for array, dtype in pairs)
        cast = [
            array if variable.dtype == KEY else jnp.asarray(array).astype(jax_dtype(variable.dtype))
            for variable, array in zip(self.plain.graph.inputs, arrays, strict=True)
        ]
        run = self.plain if self.derived is None else _with_derivatives(self.plain, self.derived)
        found = run(*cast)
        return [narrowed(array) for array in found] if self.narrow else found


def _with_derivatives(plain: _Sized, derived: _Sized) -> Callable[..., list[Any]]:
    """A ``jax.custom_jvp``: values from ``plain``, tangents from ``derived``, whose differentiable loops are slower."""

    @jax.custom_jvp
    def run(*arrays: Any) -> list[Any]:
        return plain(*arrays)

    def push(primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        moved = {i: tangent for i, tangent in enumerate(tangents) if not isinstance(tangent, SymbolicZero)}
        run: Callable[..., Sequence[Any]] = derived
        if not x64_is_on() and not derived.fits_32_bits():
            from loopjax.lower.x64_primitive import in_64_bits

            run = partial(in_64_bits, _Run(derived, derived, narrow=True))

        def of_moved(*values: Any) -> Sequence[Any]:
            given = dict(zip(moved, values, strict=True))
            return run(*(given.get(position, array) for position, array in enumerate(primals)))

        return jax.jvp(of_moved, tuple(primals[i] for i in moved), tuple(moved.values()))

    run.defjvp(push, symbolic_zeros=True)
    return run


def _form(program: Program, derivative: Derivative, fixed_lengths: bool = False) -> _Form:
    # JAX compiles and measures the program as a part of its own: nothing to tune with.
    mode = replace(program.options.mode, tune=False)
    program = replace(program, options=replace(program.options, mode=mode))
    # No stage can end inside of JAX, so lengths that only the run knows get capacity; loops that JAX differentiates
    # need it throughout.
    padded, (stage,), _ = build(
        program,
        Padding(device=True, differentiated=derivative != "none", inlined=True),
        derivative=derivative,
        fixed_lengths=fixed_lengths,
        check=lambda padded: _check_inlines(padded, program.options.name),
    )
    return _Form(padded.graph, stage)


def shape_of(array: Any) -> Any:
    return jax.ShapeDtypeStruct(array.shape, array.dtype)  # type: ignore[no-untyped-call]


def _check_inlines(padded: Padded, name: str) -> None:
    """Raises for a program that needs a second stage, a slice of its results, or a check after the run."""
    for assertion in padded.assertions:
        raise coded(UnsupportedError, "LJ702")(
            f"{name}: {assertion.message}, or may: only the run can tell, and inside of JAX nothing can be raised "
            f"then; call a loopjax.function outside of JAX"
        )
    graph = padded.graph
    for node in graph.applies:
        if is_cut(node):
            stack, rows = _origin(node.inputs[0]), node.outputs[0]
            lines = dict.fromkeys(source for reader in graph.readers.get(rows, ()) for source in reader.sources)
            raise coded(UnsupportedError, "LJ702")(
                f"{name}: how many rows {stack} gives is known only after it has run, "
                f"and the whole of them is {'read' if lines else 'returned'}{where(lines)}; inside of JAX one program "
                f"must know all lengths before. Read its last rows, a single one or a sum; or call a loopjax.function "
                f"outside of JAX"
            )
        leaves = leaves_of(shape_operands(node), stop=graph.inputs)
        for length in leaves.opaque:
            assert length.owner is not None
            maker = f"{length.owner.op.subject}{where(length.sources)}"
            raise coded(UnsupportedError, "LJ702")(
                f"{name}: {node.op.subject}{where(node.sources)} needs a length that {maker} computes on the "
                f"device; inside of JAX one program must know all lengths before it runs. Compute it from inputs and "
                f"shapes, or make it an input; or call a loopjax.function outside of JAX"
            )


def _origin(variable: Variable) -> str:
    """The op that computed a padded stack, for errors."""
    node = variable.owner
    while node is not None and node.op.named("fill_rows", "resize"):
        node = node.inputs[0].owner
    if node is None:
        return repr(variable)
    what = "a mask" if node.op.named("true_places") else node.op.subject
    return f"{what}{where(node.sources)}"
