"""Constructors of input variables: ``matrix("x")``, ``dvector("x")``, ``tensor("float32", shape=(None, 3))``.

The names are Theano's: a letter for the dtype and a noun for the shape; without the letter, the dtype is floatX or an
argument. Those with a letter are assigned in `loopjax.tensor.typed`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike

from loopjax.config import config
from loopjax.errors import coded, here, reported
from loopjax.ir.graph import Variable, input_variable
from loopjax.ir.types import Shape, TensorType, dtype_name

__all__ = [
    "CONSTRUCTORS",
    "col",
    "cols",
    "matrices",
    "matrix",
    "row",
    "rows",
    "scalar",
    "scalars",
    "tensor",
    "tensor3",
    "tensor3s",
    "tensor4",
    "tensor4s",
    "tensor5",
    "tensor5s",
    "tensor6",
    "tensor6s",
    "tensor7",
    "tensor7s",
    "vector",
    "vectors",
]

PREFIXES = {
    "b": "int8",
    "w": "int16",
    "i": "int32",
    "l": "int64",
    "u": "uint64",
    "f": "float32",
    "d": "float64",
    "c": "complex64",
    "z": "complex128",
}
"""Dtype by the first letter of a typed constructor."""

SHAPES: dict[str, Shape] = {
    "scalar": (),
    "vector": (None,),
    "matrix": (None, None),
    "row": (1, None),
    "col": (None, 1),
    "tensor3": (None,) * 3,
    "tensor4": (None,) * 4,
    "tensor5": (None,) * 5,
    "tensor6": (None,) * 6,
    "tensor7": (None,) * 7,
}
"""Shape by noun; ``None`` is a size that may vary."""


class Constructor(Protocol):
    """Makes an input of one shape and any dtype."""

    def __call__(self, name: str | None = None, dtype: DTypeLike | None = None) -> Variable: ...


class TypedConstructor(Protocol):
    """Makes an input of one shape and dtype."""

    def __call__(self, name: str | None = None) -> Variable: ...


class Plural(Protocol):
    """Makes several inputs of one shape and any dtype."""

    def __call__(self, *names: str | int | Sequence[str], dtype: DTypeLike | None = None) -> list[Variable]: ...


class TypedPlural(Protocol):
    """Makes several inputs of one shape and dtype."""

    def __call__(self, *names: str | int | Sequence[str]) -> list[Variable]: ...


@reported
def tensor(
    first: DTypeLike | None = None,
    shape: Sequence[int | None] = (),
    name: str | None = None,
    *,
    dtype: DTypeLike | None = None,
) -> Variable:
    """Input variable: ``tensor(dtype, shape, name)``, or ``tensor(name, dtype=..., shape=...)``.

    Parameters
    ----------
    first : dtype_like or str, optional
        Dtype; or the name, where it is a string that is not a dtype or ``dtype`` is given.
    shape : sequence of int or None
        Sizes; ``None`` for one that may vary from call to call. A declared size is checked at each call.
    name : str, optional
        Name in errors and printed graphs, and keyword of the input in calls of a function.
    dtype : dtype_like, optional
        Dtype, floatX by default.

    Returns
    -------
    Variable
        New input variable.

    Raises
    ------
    TypeError
        Where the dtype is not a dtype.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.tensor("float32", shape=(None, 3), name="x").type)
    float32(?, 3)
    """
    if isinstance(first, str) and name is None and (dtype is not None or not _is_dtype(first)):
        name = first
    elif dtype is None:
        dtype = first
    if not isinstance(shape, (list, tuple)):
        raise coded(TypeError, "LJ506")(f"shape is a list of sizes, got {shape!r:.80}; write shape=({shape!r:.80},)")
    return input_variable(TensorType(dtype_name(dtype or config.floatX), tuple(shape)), name)


def _is_dtype(text: str) -> bool:
    """True if a string names a dtype, of numbers or not."""
    try:
        text == "floatX" or np.dtype(text)
    except TypeError:
        return False
    return True


def _constructor(shape: Shape, label: str) -> Constructor:
    """The constructor ``label`` of inputs of a shape."""

    def construct(name: str | None = None, dtype: DTypeLike | None = None) -> Variable:
        return input_variable(TensorType(dtype_name(dtype or config.floatX), shape), name)

    return _documented(construct, label, TensorType("int32", shape), typed=False)


def _typed_constructor(shape: Shape, dtype: str, label: str) -> TypedConstructor:
    """The constructor ``label`` of inputs of a shape and dtype."""

    def construct(name: str | None = None) -> Variable:
        return input_variable(TensorType(dtype, shape), name)

    return _documented(construct, label, TensorType(dtype, shape), typed=True)


def _plural(singular: Constructor, shape: Shape, label: str) -> Plural:
    """The constructor ``label`` of several inputs of a shape."""

    def construct(*names: str | int | Sequence[str], dtype: DTypeLike | None = None) -> list[Variable]:
        return [singular(name, dtype) for name in _names(names, label)]

    return _documented(construct, label, TensorType("int32", shape), typed=False, plural=True)


def _typed_plural(singular: TypedConstructor, shape: Shape, dtype: str, label: str) -> TypedPlural:
    """The constructor ``label`` of several inputs of a shape and dtype."""

    def construct(*names: str | int | Sequence[str]) -> list[Variable]:
        return [singular(name) for name in _names(names, label)]

    return _documented(construct, label, TensorType(dtype, shape), typed=True, plural=True)


def _names(names: Sequence[Any], label: str) -> Sequence[str | None]:
    """Name of each variable, from several names, a list of them, or a number of unnamed variables."""
    if len(names) == 1 and type(names[0]) is int and 0 <= names[0] < 2**31:
        return [None] * names[0]
    if len(names) == 1 and isinstance(names[0], (list, tuple)):
        names = tuple(names[0])
    if not all(isinstance(name, str) for name in names):
        raise TypeError(
            f"{label} takes names, or how many variables to make, got {names!r}; write {label}('x', 'y'){here()}"
        )
    return names


def _documented(construct: Any, label: str, type: TensorType, typed: bool, plural: bool = False) -> Any:
    """The constructor with its name, and a docstring whose example makes an input of a type."""
    construct.__name__ = construct.__qualname__ = label
    construct.__module__ = "loopjax.tensor.typed" if typed else __name__
    error = "a name is not a string" if plural else "``dtype`` is not a dtype"
    arguments = '"x", "y"' if plural else '"x"'
    if not typed:
        arguments += ', dtype="int32"'
    construct.__doc__ = _DOCSTRING.format(
        subject="Input variables" if plural else "Input variable",
        type=f"dtype {type.dtype} and shape ``{type.shape}``" if typed else f"shape ``{type.shape}``",
        sizes="; ``None`` is a size that may vary" if None in type.shape else "",
        parameters=(_NAMES if plural else _NAME) + ("" if typed else _DTYPE),
        result="list of Variable\n    New input variables." if plural else "Variable\n    New input variable.",
        raises="" if typed and not plural else _RAISES.format(error=error),
        example=f"{label}({arguments}){'[1]' * plural}",
        printed=type,
    )
    return reported(construct)


_NAME = """name : str, optional
    Name in errors and printed graphs, and keyword of the input in calls of a function.
"""

_NAMES = """*names : str, list of str, or int
    A name for each variable; or one number, of variables without names.
"""

_DTYPE = """dtype : dtype_like, optional
    Dtype, floatX by default.
"""

_RAISES = """
Raises
------
TypeError
    Where {error}.
"""

_DOCSTRING = """{subject} of {type}{sizes}.

Parameters
----------
{parameters}
Returns
-------
{result}
{raises}
Examples
--------
>>> import loopjax.tensor as at
>>> print(at.{example}.type)
{printed}
"""


def _constructors() -> dict[str, Any]:
    """All constructors, singular and plural, with and without a letter for the dtype."""
    by_name: dict[str, Any] = {}
    for noun, shape in SHAPES.items():
        nouns = _plural_of(noun)
        by_name[noun] = _constructor(shape, noun)
        by_name[nouns] = _plural(by_name[noun], shape, nouns)
        for prefix, dtype in PREFIXES.items():
            by_name[prefix + noun] = _typed_constructor(shape, dtype, prefix + noun)
            by_name[prefix + nouns] = _typed_plural(by_name[prefix + noun], shape, dtype, prefix + nouns)
    return by_name


def _plural_of(noun: str) -> str:
    """``matrices`` of ``matrix``, ``rows`` of ``row``."""
    return "matrices" if noun == "matrix" else f"{noun}s"


CONSTRUCTORS = _constructors()
"""All constructors by name, such as ``"dvector"``."""

scalar: Constructor = CONSTRUCTORS["scalar"]
vector: Constructor = CONSTRUCTORS["vector"]
matrix: Constructor = CONSTRUCTORS["matrix"]
row: Constructor = CONSTRUCTORS["row"]
col: Constructor = CONSTRUCTORS["col"]
tensor3: Constructor = CONSTRUCTORS["tensor3"]
tensor4: Constructor = CONSTRUCTORS["tensor4"]
tensor5: Constructor = CONSTRUCTORS["tensor5"]
tensor6: Constructor = CONSTRUCTORS["tensor6"]
tensor7: Constructor = CONSTRUCTORS["tensor7"]
scalars: Plural = CONSTRUCTORS["scalars"]
vectors: Plural = CONSTRUCTORS["vectors"]
matrices: Plural = CONSTRUCTORS["matrices"]
rows: Plural = CONSTRUCTORS["rows"]
cols: Plural = CONSTRUCTORS["cols"]
tensor3s: Plural = CONSTRUCTORS["tensor3s"]
tensor4s: Plural = CONSTRUCTORS["tensor4s"]
tensor5s: Plural = CONSTRUCTORS["tensor5s"]
tensor6s: Plural = CONSTRUCTORS["tensor6s"]
tensor7s: Plural = CONSTRUCTORS["tensor7s"]


def typed(noun: str) -> tuple[TypedConstructor, ...]:
    """Constructors of one shape, in the order of `PREFIXES`."""
    return tuple(CONSTRUCTORS[prefix + noun] for prefix in PREFIXES)


def typed_plurals(noun: str) -> tuple[TypedPlural, ...]:
    """Plural constructors of one shape, in the order of `PREFIXES`."""
    return tuple(CONSTRUCTORS[prefix + _plural_of(noun)] for prefix in PREFIXES)
