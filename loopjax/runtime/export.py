"""Export of a program: StableHLO by ``jax.export``, with names, defaults and state, in one file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import count
from typing import Any

import jax
import numpy as np
from jax import export as jax_export

from loopjax.errors import UnsupportedError, about, check_choice, coded, here, where
from loopjax.ir.symbolic_sizes import undecided
from loopjax.rewrite.target import Derivative
from loopjax.runtime import state_file
from loopjax.runtime.inline import Inlined, shape_of
from loopjax.runtime.program import Program
from loopjax.runtime.signature import In, resolved

FORMAT = 2
"""Version of the entries of a file."""

PROGRAM, DEFAULT = "program", "default/"
"""Entry of the serialized program, and beginning of those of defaults."""


def export(
    program: Program,
    path: str | os.PathLike[str],
    given: Sequence[Any],
    platforms: Sequence[str] | None,
    derivatives: Derivative,
) -> None:
    """Writes a program for the shapes of some arguments: see ``Function.export``."""
    check_choice("derivatives", derivatives, ("none", "reverse"))
    require_flatbuffers("export")
    state, names = program.state.snapshot(), {variable: name for name, variable in program.state.named().items()}
    with about(program.options.name):
        structs = [*map(_struct, program.inputs, resolved(given), count())]
        read = [*map(shape_of, program.state.read())]
        defaults = {
            f"{DEFAULT}{place}": one.convert(resolved([one.value])[0], None, place)
            for place, one in enumerate(program.inputs)
            if one.value is not None
        }
    with jax.enable_x64(True):
        inlined, updates = Inlined(program, derivatives), len(program.state.updated)

        def run(args: Any, state: list[Any]) -> tuple[list[Any], Any]:
            found = inlined([*jax.tree.leaves(args), *state])
            outputs: Any = found[updates:]
            return found[:updates], program.form(outputs) if program.form.kind == "tree" else outputs

        run.__name__ = program.options.name
        args = structs if program.arguments is None else program.arguments.rebuilt(structs)
        try:
            exported = jax_export.export(jax.jit(run), platforms=platforms)(args, read)
        except jax.errors.InconclusiveDimensionOperation as error:  # from within JAX
            raise undecided(error, program.options.name) from None
        serialized = _serialized(program.options.name, exported, derivatives)
    state_file.save(
        path,
        {**state, **defaults, PROGRAM: np.frombuffer(serialized, np.uint8)},
        format=FORMAT,
        name=program.options.name,
        results=program.options.results,
        allow_input_downcast=program.options.allow_downcast,
        inputs=[
            {"name": one.name, "allow_downcast": one.allow_downcast, "strict": one.strict} for one in program.inputs
        ],
        outputs={"kind": program.form.kind, "keys": program.form.keys},
        reads=[names[variable] for variable in program.state.variables],
        updates=[names[variable] for variable in program.state.updated],
    )


def _serialized(name: str, exported: Any, derivatives: Derivative) -> Any:
    try:
        return exported.serialize(vjp_order=int(derivatives == "reverse"))
    except ValueError as error:
        raise coded(UnsupportedError, "LJ802")(
            f"{name}: JAX cannot write the pytrees of its arguments or results ({error}); expected dicts, lists, "
            f"tuples and None, or classes registered with jax.export.register_pytree_node_serialization, or "
            f"register_namedtuple_serialization, here and where the file is loaded{here()}"
        ) from error


def require_flatbuffers(function: str) -> None:
    """Raise ``ImportError`` where the package that ``jax.export`` writes and reads files with is missing."""
    if find_spec("flatbuffers") is None:
        raise ImportError(f"{function} needs flatbuffers; install it with pip install 'loopjax[export]'{here()}")


def _struct(one: In, value: Any, place: int) -> Any:
    """Shape and dtype of an argument, which may be given as such."""
    if not isinstance(value, jax.ShapeDtypeStruct):
        return shape_of(one.convert(value, None, place))
    if str(value.dtype) != one.variable.dtype or len(value.shape) != one.variable.ndim:
        raise coded(TypeError, "LJ307")(
            f"input {one.name!r}{where(one.variable.sources)}: expected {one.variable.type}, got {value}; give a "
            f"ShapeDtypeStruct of that dtype and number of dimensions"
        )
    return value
