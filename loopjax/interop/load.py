"""``load``: a function from a file that ``Function.export`` wrote, without the source of its program."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax

from loopjax.errors import coded, here, reported
from loopjax.interop.wrap_jax import wrap_jax
from loopjax.ir.graph import Variable, recorded
from loopjax.ir.symbolic_sizes import known
from loopjax.ir.types import TensorType, dtype_name
from loopjax.runtime import state_file
from loopjax.runtime.function import Function, function
from loopjax.runtime.program import OutputStructure
from loopjax.runtime.signature import In
from loopjax.trace.shared import shared


@reported
def load(path: str | os.PathLike[str]) -> Function:
    """Reads a function from a file that ``Function.export`` wrote.

    It is called as the exported one, with arguments of the shapes for which that was exported, numbers in the place of
    symbolic sizes, and has shared variables of its own, with the values of the file and the names that
    ``Function.save_state`` gives them. Its program is one op, for the platforms that it was exported for.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Function
        The function.

    Raises
    ------
    FileNotFoundError
        There is no file.
    ValueError
        It is no file of ``export``, is damaged, or is of another version.
    ImportError
        ``flatbuffers`` is missing: it is in the extra ``loopjax[export]``.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import loopjax
    >>> import loopjax.tensor as at
    >>> x = at.dvector("x")
    >>> doubled, _ = loopjax.scan(lambda x_t: 2 * x_t, sequences=x)
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "doubled.npz"
    >>> loopjax.function([x], doubled, name="doubled").export(path, [[1.0, 2.0]])
    >>> loopjax.load(path)([3.0, 4.0])
    array([6., 8.])
    """
    from loopjax.runtime.export import DEFAULT, FORMAT, PROGRAM, require_flatbuffers  # imports jax.export

    require_flatbuffers("load")
    arrays, about = state_file.load(path)
    if about.get("format") != FORMAT:
        raise coded(ValueError, "LJ802")(
            f"{os.fspath(path)!r} has format {about.get('format')} of an exported program; expected {FORMAT}, as this "
            f"version of export writes it; export it again{here()}"
        )
    program = Exported(arrays[PROGRAM].tobytes())
    inputs = []
    for place, (aval, options) in enumerate(zip(program.exported.in_avals, about["inputs"], strict=False)):
        variable = recorded(Variable)(_type(aval), name=options["name"])
        inputs.append(In(variable, value=arrays.get(f"{DEFAULT}{place}"), **options))
    values = state_file.state_of(arrays)
    # The program was exported for these shapes.
    variables = {name: shared(value, name, shape=value.shape) for name, value in values.items()}
    exported, read = program.exported, [variables[name] for name in about["reads"]]
    (args, _), _ = exported.in_tree.unflatten([*(one.variable for one in inputs), *read])
    updates, outputs = wrap_jax(program, name=about["name"], x64=True)(args, read)
    form = OutputStructure(**about["outputs"])
    return function(
        exported.in_tree.unflatten([*inputs, *read])[0][0],
        None if form.kind == "none" else outputs if form.kind == "tree" else form(outputs),
        updates=[*zip((variables[name] for name in about["updates"]), updates, strict=True)],
        name=about["name"],
        allow_input_downcast=about["allow_input_downcast"],
        on_unused_input="ignore",
        results=about["results"],
    )


def _type(aval: Any) -> TensorType:
    """The type of an argument or result; a symbolic size is unknown."""
    return TensorType(dtype_name(aval.dtype), known(aval.shape))


@dataclass(frozen=True)
class Exported:
    """A serialized program as a JAX function of arrays."""

    serialized: bytes

    @cached_property
    def exported(self) -> Any:
        """The program as ``jax.export`` has it."""
        from jax import export as jax_export  # a twentieth of the package's import time, and rarely needed

        return jax_export.deserialize(bytearray(self.serialized))

    @property
    def structs(self) -> list[Any]:
        """The types of the arguments, whose sizes may be symbolic."""
        avals = self.exported.in_avals
        return [jax.ShapeDtypeStruct(aval.shape, aval.dtype) for aval in avals]  # type: ignore[no-untyped-call]

    def __reduce__(self) -> tuple[Any, ...]:
        return Exported, (self.serialized,)

    def __call__(self, *arrays: Any) -> Any:
        return self.exported.call(*arrays)
