"""Types of variables: a dtype and as much of the shape as is known while a program is recorded.

A ``TensorType`` is ``float64(?, 3)``: sizes are numbers or ``None``. Ops infer types from types (``ir/op.py``), so an
error of shapes or dtypes is raised at the line that records the op. When a program is called its inputs' sizes are
known, and all types are inferred once more, without ``None`` (``shapes/specialize.py``). Sizes have no names: that two
unknown sizes are equal is not known before the call.

A type is ``weak`` where a value is a Python number, or made of such numbers only; it takes the dtype of what it meets
(``trace/promotion.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.config import config
from loopjax.errors import coded
from loopjax.ir.public_ops import ops
from loopjax.ir.symbolic_sizes import nominal

Shape = tuple[int | None, ...]

KEY = "key"
"""The dtype name of a random key: a scalar that only random draws may read."""

RESIDUAL = "residual"
"""The dtype name of the residuals of ``Linearize`` that ``Pullback`` reads; they stay inside a compiled program."""


NARROW = {"float64": "float32", "int64": "int32", "uint64": "uint32", "complex128": "complex64"}
"""The dtypes that JAX replaces 64-bit ones by, where x64 is off."""


def x64_is_on() -> bool:
    """Test if JAX's x64 flag is on in this thread."""
    return bool(jax.config.jax_enable_x64)  # type: ignore[attr-defined]


def jax_dtype(dtype: str) -> str:
    """Return the dtype that JAX has for one under its x64 flag."""
    return dtype if dtype not in NARROW or x64_is_on() else NARROW[dtype]


@dataclass(frozen=True)
class TensorType:
    """The dtype and shape of a variable. Calling a type makes an input of it.

    Parameters
    ----------
    dtype : str
        The name of the dtype, such as ``"float32"``.
    shape : tuple of int or None
        The sizes; ``None`` where one is not known yet.
    weak : bool, default False
        Marks a Python number, or what was computed from such numbers only: it takes the dtype of what it meets, as in
        JAX. Two types that differ only in it are equal.

    Returns
    -------
    Variable
        Of a call ``type(name)``: an input of this type.

    Raises
    ------
    TypeError
        Of a call, where ``shape`` holds anything but sizes, such as the booleans of Theano's broadcast patterns.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> at.TensorType("float32", (None, 3))("x")
    <x: float32(?, 3)>
    """

    dtype: str
    shape: Shape = ()
    weak: bool = field(default=False, compare=False)

    def __call__(self, name: str | None = None) -> Any:
        """Return an input of this type."""
        return ops.input_variable(self, name)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def concrete(self) -> bool:
        """True where every size is known."""
        return None not in self.shape

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape; raises ``ValueError`` where a size is not known."""
        sizes = tuple(dim for dim in self.shape if dim is not None)
        if len(sizes) != len(self.shape):
            raise ValueError(f"{self} has an unknown dimension")
        return sizes

    @property
    def elements(self) -> int:
        """Number of elements, where sizes are symbolic an estimate."""
        return math.prod(map(nominal, self.sizes))

    @property
    def bytes(self) -> int:
        """The size of a value in bytes, of a type whose every size is known; 0 for keys and residuals."""
        return 0 if self.dtype in (KEY, RESIDUAL) else self.elements * np.dtype(self.dtype).itemsize

    @property
    def is_float(self) -> bool:
        return is_inexact(self.dtype)

    @property
    def is_integer(self) -> bool:
        return is_whole(self.dtype)

    def with_shape(self, shape: Sequence[int | None]) -> TensorType:
        return TensorType(self.dtype, tuple(shape), self.weak)

    def with_dtype(self, dtype: str) -> TensorType:
        return TensorType(dtype, self.shape)

    def strong(self) -> TensorType:
        return replace(self, weak=False) if self.weak else self

    def row(self) -> TensorType:
        """Return the type of ``x[i]``."""
        return TensorType(self.dtype, self.shape[1:], self.weak)

    def stacked(self, length: int | None) -> TensorType:
        """Return the type of ``length`` such values along a new first axis."""
        return TensorType(self.dtype, (length, *self.shape))

    def accepts(self, other: TensorType) -> bool:
        """Test if a value of type ``other`` may stand where this type is expected; unknown sizes match any."""
        return (
            self.dtype == other.dtype
            and self.ndim == other.ndim
            and all(a is None or b is None or a == b for a, b in zip(self.shape, other.shape, strict=True))
        )

    def remedy(self, other: TensorType) -> str:
        """Return advice for an error message: how to turn a value of type ``other`` into one of this type."""
        fits = TensorType(self.dtype, other.shape)
        shape = "" if self.accepts(fits) else f"Give a value of {self.ndim} dimensions, {self}"
        cast = "" if self.dtype == other.dtype else f"Cast it with .astype({self.dtype!r})"
        return ". ".join(part for part in (shape, cast) if part)

    def __str__(self) -> str:
        dims = ", ".join("?" if dim is None else str(dim) for dim in self.shape)
        return f"{self.dtype}({dims}{',' if self.ndim == 1 else ''})"


@cache
def is_inexact(dtype: str) -> bool:
    """Test if a dtype is floating or complex."""
    return dtype not in (KEY, RESIDUAL) and bool(jnp.issubdtype(dtype, jnp.inexact))


@cache
def is_whole(dtype: str) -> bool:
    """Test if a dtype is an integer."""
    return dtype not in (KEY, RESIDUAL) and bool(jnp.issubdtype(dtype, jnp.integer))


def dtype_name(dtype: object) -> str:
    """Return the canonical name of a dtype, ``'float32'``, from any way of writing it."""
    if isinstance(dtype, str):
        return config.floatX if dtype == "floatX" else _spelled(dtype)
    return _spelled(dtype) if isinstance(dtype, np.dtype) else _spelling(dtype)


@cache
def _spelled(dtype: str | np.dtype[Any]) -> str:
    return dtype if isinstance(dtype, str) and dtype in (KEY, RESIDUAL) else _spelling(dtype)


def _spelling(dtype: object) -> str:
    try:
        found = np.dtype(dtype)  # type: ignore[call-overload]
    except (TypeError, ValueError, DeprecationWarning):  # an object with a dtype; an old alias
        found = None
    if found is None or dtype is None or not is_numeric(found):
        raise coded(TypeError, "LJ510")(f"expected a dtype of numbers, got dtype {dtype!r:.80}; write 'float32'")
    return str(found.name)


def is_numeric(dtype: Any) -> bool:
    """Test if a dtype is one of numbers or booleans that JAX has."""
    if not isinstance(dtype, np.dtype) or dtype.char in "gG":  # a key of JAX, longdouble
        return False
    return dtype.kind in "biufc" or bool(jnp.issubdtype(dtype, jnp.number))  # also bfloat16


def merge_dims(a: int | None, b: int | None) -> int | None:
    """Return the size of two values that must have the same; raise ``ValueError`` where they differ."""
    if a is None:
        return b
    if b is None or a == b:
        return a
    raise ValueError(f"dimensions {a} and {b} differ")


def broadcast_shapes(*shapes: Shape) -> Shape:
    """Return the shape that shapes broadcast to, by NumPy's rules; an unknown size counts as equal to the others.

    Only a size known to be 1 stretches: one that turns out to be 1 when the program is called does not, and the call
    fails.
    """
    different = {shape for shape in shapes if shape}
    if len(different) < 2:
        return different.pop() if different else ()
    ndim = max(len(shape) for shape in different)
    out: list[int | None] = []
    for axis in range(-ndim, 0):
        dims = {shape[axis] for shape in shapes if len(shape) >= -axis} - {1}
        sizes = dims - {None}
        if len(sizes) > 1:
            shown = " and ".join(TensorType("", shape).__str__() for shape in shapes)
            raise coded(ValueError, "LJ501")(
                f"shapes {shown} do not broadcast (axis {axis}); expected equal sizes or 1, reshape one"
            )
        out.append(next(iter(sizes)) if sizes else None if dims else 1)
    return tuple(out)
