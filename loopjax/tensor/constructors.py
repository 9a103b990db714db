"""Typed inputs: ``dvector("x")``, ``imatrix()``, ``tensor("float32", shape=(None, 3))`` and their kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from loopjax.config import config
from loopjax.trace.graph import Variable, input_variable
from loopjax.trace.types import Shape, TensorType, dtype_name

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
}
"""What the rest of it says."""


def tensor(dtype: Any = None, shape: Sequence[int | None] = (), name: str | None = None) -> Variable:
    """An input of this dtype (floatX unless given) and shape, ``None`` for a size that may vary.

    Also written ``tensor(name, dtype=..., shape=...)``.
    """
    if isinstance(dtype, str) and name is None and not _is_dtype(dtype):
        dtype, name = None, dtype
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


def _constructors() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {}
    for noun, shape in SHAPES.items():
        found[noun] = _constructor(shape, None, noun)
        for prefix, dtype in PREFIXES.items():
            found[prefix + noun] = _constructor(shape, dtype, prefix + noun)
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
