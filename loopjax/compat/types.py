"""Types of variables as the peers describe them: by broadcast patterns, and with the attributes that programs read.

``True`` in a pattern is a size of 1, ``False`` a size that is not known. A ``PeerType`` equals the core's type of the
same dtype and shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from loopjax.compat.arguments import fitting
from loopjax.errors import reported
from loopjax.ir.graph import Constant, recorded
from loopjax.ir.public_ops import ops
from loopjax.ir.types import KEY, RESIDUAL, Shape, TensorType, dtype_name
from loopjax.tensor.constructors import PREFIXES

if TYPE_CHECKING:
    from loopjax.compat.library import Library

NOUNS: dict[str, Shape] = {
    "scalar": (),
    "vector": (None,),
    "matrix": (None, None),
    "row": (1, None),
    "col": (None, 1),
    **{f"tensor{ndim}": (None,) * ndim for ndim in range(3, 8)},
}


def sizes_of(pattern: Iterable[Any] | int) -> Shape:
    """Return the sizes that a broadcast pattern or a shape describes; ``None`` in a pattern counts as ``False``."""
    if isinstance(pattern, (int, np.integer)) and not isinstance(pattern, bool):
        pattern = (pattern,)
    entries = list(pattern)  # type: ignore[arg-type]
    return tuple(
        None if entry is None or entry is False else 1 if isinstance(entry, (bool, np.bool_)) else int(entry)
        for entry in (bool(entry) if isinstance(entry, np.bool_) else entry for entry in entries)
    )


def broadcast_pattern(type: TensorType) -> tuple[bool, ...]:
    """Return for each axis if its size is known to be 1."""
    return tuple(size == 1 for size in type.shape)


class PeerType(TensorType):
    """A type of a peer library. Called with a name, it makes an input.

    Parameters
    ----------
    dtype
        The dtype, or its name.
    shape
        Sizes, or a broadcast pattern.
    name
        Accepted for old programs.
    broadcastable
        A broadcast pattern.
    """

    library: ClassVar[Library]

    def __init__(
        self,
        dtype: Any,
        shape: Iterable[Any] | int | None = None,
        name: str | None = None,
        broadcastable: Iterable[Any] | None = None,
        weak: bool = False,
    ) -> None:
        described = shape if shape is not None else broadcastable
        sizes = () if described is None else sizes_of(described)
        super().__init__(dtype_name(dtype), sizes, weak)

    def __call__(self, name: str | None = None, **options: Any) -> Any:
        return self.make_variable(name)

    def make_variable(self, name: str | None = None) -> Any:
        """Return an input of this type."""
        with self.library.scope():
            return ops.input_variable(self, name)

    def make_constant(self, value: Any, name: str | None = None) -> Any:
        """Return a constant of this type."""
        with self.library.scope():
            return recorded(Constant)(np.asarray(value, self.dtype), name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorType) and (self.dtype, self.shape) == (other.dtype, other.shape)

    def __hash__(self) -> int:
        return hash((self.dtype, self.shape))

    @property
    def broadcastable(self) -> tuple[bool, ...]:
        """For each axis, if its size is known to be 1."""
        return broadcast_pattern(self)

    broadcast_pattern = broadcastable

    @property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The dtype as NumPy's object."""
        return np.dtype(self.dtype)

    def filter(self, value: Any, strict: bool = False, allow_downcast: bool | None = None) -> np.ndarray[Any, Any]:
        """Return a value as an array of this type; raise ``TypeError`` where that would lose something."""
        array = np.asarray(fitting(value, self, bool(allow_downcast)))
        kept = array.astype(self.dtype, copy=False)
        if array.ndim != self.ndim or not (allow_downcast or np.can_cast(array.dtype, self.dtype, "same_kind")):
            raise TypeError(f"expected {self}, got {TensorType(str(array.dtype), array.shape)}")
        return kept

    def is_valid_value(self, value: Any, strict: bool = True) -> bool:
        """Test if a value is of this type."""
        try:
            self.filter(value)
        except (TypeError, ValueError):
            return False
        return True

    def in_same_class(self, other: Any) -> bool:
        """Test if another type has the same dtype and pattern."""
        return self == other

    is_super = in_same_class

    def clone(self, dtype: Any = None, shape: Any = None, broadcastable: Any = None, **options: Any) -> Any:
        """Return the type with another dtype or shape."""
        described = shape if shape is not None else broadcastable
        return replace(
            self,
            dtype=self.dtype if dtype is None else dtype_name(dtype),
            shape=self.shape if described is None else sizes_of(described),
        )

    @staticmethod
    def values_eq(a: Any, b: Any, **options: Any) -> bool:
        """Test if two values are equal, NaN included."""
        return bool(np.array_equal(a, b, equal_nan=np.asarray(a).dtype.kind in "fc"))

    @staticmethod
    def values_eq_approx(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, **options: Any) -> bool:
        """Test if two values are nearly equal, NaN included."""
        return bool(np.allclose(a, b, rtol=rtol, atol=atol, equal_nan=True))


def peer_type(kind: type[PeerType], type: TensorType) -> TensorType:
    """Return the peer's type for one of the core; keys and residuals stay as they are."""
    if isinstance(type, kind) or type.dtype in (KEY, RESIDUAL):
        return type
    return kind(type.dtype, type.shape, weak=type.weak)


def constructors(library: Library) -> dict[str, Any]:
    """Return the types and constructors of a library's inputs, by name: ``dvector``, ``dvectors``, ``vector``, ..."""
    made: dict[str, Any] = {}
    for noun, sizes in NOUNS.items():
        nouns = "matrices" if noun == "matrix" else f"{noun}s"
        made[noun] = library.recording(_of_float_x(library, noun, sizes))
        made[nouns] = _plural(made[noun])
        for prefix, dtype in PREFIXES.items():
            made[prefix + noun] = library.type(dtype, sizes)
            made[prefix + nouns] = _plural(made[prefix + noun])
    return made


def _of_float_x(library: Library, noun: str, sizes: Shape) -> Any:
    def construct(name: str | None = None, dtype: Any = None, shape: Any = None) -> Any:
        """Return an input; of dtype floatX unless given."""
        given = sizes if shape is None else sizes_of(shape)
        return library.type(dtype if dtype is not None else library.floatX, given)(name)

    construct.__name__ = noun
    return reported(construct)


def _plural(construct: Any) -> Any:
    def several(*names: Any, **options: Any) -> list[Any]:
        """Return several inputs: of these names, of the letters of one name, or a number of unnamed ones."""
        if len(names) == 1:
            (names,) = names
            if isinstance(names, int):
                names = (None,) * names
        return [construct(name, **options) for name in names]

    return several


def tensor_of(library: Library) -> Any:
    """Return the library's ``tensor``, which makes an input of any dtype and shape."""

    def tensor(*args: Any, **options: Any) -> Any:
        """Return an input: ``tensor(dtype, broadcastable or shape, name)``, or PyTensor's ``tensor(name, shape=)``."""
        named = dict(zip(_order(args), args, strict=False))
        named.update(options)
        pattern = named.get("shape") if named.get("shape") is not None else named.get("broadcastable")
        ndim = named.get("ndim")
        sizes: Sequence[Any] = (None,) * (ndim or 0) if pattern is None else sizes_of(pattern)
        return library.type(named.get("dtype") or library.floatX, sizes)(named.get("name"))

    return reported(tensor)


def _order(args: Sequence[Any]) -> tuple[str, ...]:
    """Return the names of positional arguments: the first is a dtype, or a name that is none."""
    if args and isinstance(args[0], str):
        try:
            np.dtype(args[0] if args[0] not in ("floatX", "bfloat16") else "float32")
        except TypeError:
            return "name", "dtype", "shape"
    if args and args[0] is None:
        return "name", "dtype", "shape"
    return "dtype", "shape", "name"
