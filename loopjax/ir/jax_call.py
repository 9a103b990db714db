"""The op of a call to a JAX function, whose types JAX infers by tracing it.

Sizes that are not known while a program is recorded are symbolic (``jax.export.symbolic_shape``). A function that
compares or divides them cannot be traced so; it is then traced with numbers in their place, which says the dtypes and
the numbers of dimensions, and its results' sizes are found when the program is called.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import islice, product
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.errors import source_of
from loopjax.ir.graph import Op
from loopjax.ir.types import KEY, TensorType, dtype_name

PROBE = 8
"""The size tried first in the place of an unknown one."""

KEPT = 256
"""The most types of arguments for which the results of one call are kept."""

PROBES = 256
"""The most assignments of sizes to unknown dimensions that are tried."""


@dataclass(frozen=True)
class Static:
    """An argument that is no array. ``text`` distinguishes what Python calls equal: 1, 1.0 and True."""

    value: Hashable
    text: str


class Traced(NamedTuple):
    """The results of a function: types of its leaves, and their pytree."""

    types: tuple[TensorType, ...]
    tree: Any


@dataclass(frozen=True)
class JaxCall(Op):
    """A call of a JAX function.

    ``tree`` is the pytree of its arguments. ``statics`` has an entry per leaf: the argument where it is no array,
    ``None`` where it is an input of the node.
    """

    fn: Callable[..., Any]
    tree: Any
    statics: tuple[Static | None, ...]
    label: str

    @property
    def name(self) -> str:
        return self.label

    def infer(self, *types: TensorType) -> tuple[TensorType, ...]:
        return self.traced(*types).types

    def traced(self, *types: TensorType) -> Traced:
        """Return the types of the results and their pytree."""
        kept = _TRACED.setdefault(self, {})
        found = kept.get(types)
        if found is None:
            if len(kept) >= KEPT:
                kept.clear()
            found = kept[types] = _traced(self, types)
        return found

    def run(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the leaves of the function's results."""
        return jax.tree.leaves(self.call(*arrays))

    def call(self, *arrays: Any) -> Any:
        """Call the function with these arrays and the static arguments; raise where it does not return arrays."""
        rest = iter(arrays)
        leaves = [next(rest) if static is None else static.value for static in self.statics]
        args, kwargs = jax.tree.unflatten(self.tree, leaves)
        result = self.fn(*args, **kwargs)
        for leaf in jax.tree.leaves(result):
            if not isinstance(leaf, (jax.Array, np.ndarray, np.generic, bool, int, float, complex)):
                raise TypeError(f"it returns {type(leaf).__name__} {leaf!r:.80}; expected arrays")
        return result


_TRACED: WeakKeyDictionary[JaxCall, dict[tuple[TensorType, ...], Traced]] = WeakKeyDictionary()
"""The results of each function that is in use, by the types that it was called with."""


def _traced(op: JaxCall, types: tuple[TensorType, ...]) -> Traced:
    """Trace the function, without running it; an error names the function and the types."""
    with jax.enable_x64(True):
        try:
            return _with_sizes(op, types) if all(type.concrete for type in types) else _without_sizes(op, types)
        except Exception as error:
            kind = next((kind for kind in (IndexError, TypeError) if isinstance(error, kind)), ValueError)
            text = str(error).strip().split("\n")[0]
            shown = ", ".join(map(str, types))
            is_sized = all(type.concrete for type in types)
            remedy = "" if is_sized else "; if that is for sizes not known yet (?), give them with specify_shape"
            raise kind(
                f"the function{source_of(op.fn)} raised {type(error).__name__} on ({shown}): {text}{remedy}"
            ) from error


def _with_sizes(op: JaxCall, types: Sequence[TensorType]) -> Traced:
    return _result(jax.eval_shape(op.call, *(_struct(type.dtype, type.sizes) for type in types)))


def _without_sizes(op: JaxCall, types: Sequence[TensorType]) -> Traced:
    """Trace with symbolic sizes, or where that fails with numbers in their place."""
    from jax import export  # a twentieth of the package's import time, and rarely needed

    scope = export.SymbolicScope()
    structs = []
    for position, type in enumerate(types):
        sizes = ", ".join(f"n{position}_{axis}" if size is None else str(size) for axis, size in enumerate(type.shape))
        structs.append(_struct(type.dtype, export.symbolic_shape(sizes, scope=scope)))
    try:
        return _result(jax.eval_shape(op.call, *structs))
    except Exception:
        found = _with_some_sizes(op, types)
        return Traced(tuple(type.with_shape((None,) * type.ndim) for type in found.types), found.tree)


def _with_some_sizes(op: JaxCall, types: Sequence[TensorType]) -> Traced:
    """Trace with the first sizes that fit: ``PROBE`` for each unknown one, or sizes known beside it."""
    sizes_beside = dict.fromkeys(size for type in types for size in type.shape if size is not None)
    unknown = sum(type.shape.count(None) for type in types)
    failure: Exception | None = None
    for tried in islice(product((PROBE, *sizes_beside), repeat=unknown), PROBES):
        sizes = iter(tried)
        whole = [type.with_shape([next(sizes) if size is None else size for size in type.shape]) for type in types]
        try:
            return _with_sizes(op, whole)
        except Exception as error:
            failure = failure or error
    assert failure is not None
    raise failure


def _struct(dtype: str, shape: Sequence[Any]) -> Any:
    """A type for JAX; a random key is of the default generator, since types of variables have all generators."""
    made: Any = jax.eval_shape(jax.random.key, 0).dtype if dtype == KEY else np.dtype(dtype)
    return jax.ShapeDtypeStruct(tuple(shape), made)  # type: ignore[no-untyped-call]


def _result(results: Any) -> Traced:
    leaves, tree = jax.tree.flatten(results)
    shapes = [tuple(size if isinstance(size, int) else None for size in leaf.shape) for leaf in leaves]
    keys = [jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in leaves]
    dtypes = [KEY if is_key else dtype_name(leaf.dtype) for leaf, is_key in zip(leaves, keys, strict=True)]
    types = list(map(TensorType, dtypes, shapes))
    return Traced(tuple(types), tree)
