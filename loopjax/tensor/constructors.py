"""Typed inputs: ``dvector("x")``, ``imatrix()``, ``tensor("float32", shape=(None, 3))`` and their kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from loopjax.config import config
from loopjax.errors import here
from loopjax.ir.graph import Variable, input_variable
from loopjax.ir.types import Shape, TensorType, dtype_name

__all__ = [
    "CONSTRUCTORS",
    "col",
    "matrices",
    "matrix",
    "row",
    "scalar",
    "scalars",
    "tensor",
    "tensor3",
    "tensor4",
    "tensor5",
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
"""What the first letter of ``dvector`` says."""

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
"""What the rest of it says."""


def tensor(
    first: Any = None, shape: Sequence[int | None] = (), name: str | None = None, *, dtype: Any = None
) -> Variable:
    """An input: ``tensor(dtype, shape, name)``, or ``tensor(name, dtype=..., shape=...)``.

    The dtype is floatX unless given; ``None`` in ``shape`` is a size that may vary.
    """
    if isinstance(first, str) and name is None and (dtype is not None or not _is_dtype(first)):
        name = first
    elif dtype is None:
        dtype = first
    return input_variable(TensorType(dtype_name(dtype or config.floatX), tuple(shape)), name)


def _is_dtype(text: str) -> bool:
    try:
        dtype_name(text)
    except TypeError:
        return False
    return True


def _constructor(shape: Shape, dtype: str | None, label: str) -> Callable[..., Variable]:
    if dtype is None:

        def any_dtype(name: str | None = None, dtype: Any = None) -> Variable:
            return input_variable(TensorType(dtype_name(dtype or config.floatX), shape), name)

        made: Callable[..., Variable] = any_dtype
    else:
        fixed = dtype

        def one_dtype(name: str | None = None) -> Variable:
            return input_variable(TensorType(fixed, shape), name)

        made = one_dtype
    made.__name__ = made.__qualname__ = label
    made.__doc__ = f"An input of type {TensorType(dtype or 'floatX', shape)}."
    return made


def _plural(one: Callable[..., Variable], label: str) -> Callable[..., list[Variable]]:
    def several(*names: Any, **options: Any) -> list[Variable]:
        if len(names) == 1 and isinstance(names[0], int):
            return [one(**options) for _ in range(names[0])]
        if len(names) == 1 and isinstance(names[0], (list, tuple)):
            names = tuple(names[0])
        if not all(isinstance(name, str) for name in names):
            raise TypeError(f"{label} takes names, or how many variables to make, got {names!r}{here()}")
        return [one(name, **options) for name in names]

    several.__name__ = several.__qualname__ = label
    several.__doc__ = f"Several of ``{one.__name__}``: one for each name, or so many as a number says."
    return several


def _constructors() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {}
    for noun, shape in SHAPES.items():
        found[noun] = _constructor(shape, None, noun)
        for prefix, dtype in PREFIXES.items():
            found[prefix + noun] = _constructor(shape, dtype, prefix + noun)
    for label, one in list(found.items()):
        plural = f"{label.removesuffix('ix')}ices" if label.endswith("matrix") else f"{label}s"
        found[plural] = _plural(one, plural)
    return found


CONSTRUCTORS = _constructors()
"""Every constructor of a shape and dtype, by name."""

scalar = CONSTRUCTORS["scalar"]
vector = CONSTRUCTORS["vector"]
matrix = CONSTRUCTORS["matrix"]
row = CONSTRUCTORS["row"]
col = CONSTRUCTORS["col"]
tensor3 = CONSTRUCTORS["tensor3"]
tensor4 = CONSTRUCTORS["tensor4"]
tensor5 = CONSTRUCTORS["tensor5"]
scalars = CONSTRUCTORS["scalars"]
vectors = CONSTRUCTORS["vectors"]
matrices = CONSTRUCTORS["matrices"]
