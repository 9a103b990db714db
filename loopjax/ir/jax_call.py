"""The op of a call to a JAX function, whose types JAX infers by tracing it.

Sizes that are not known while a program is recorded are symbolic (``jax.export.symbolic_shape``). A function that
compares or divides them cannot be traced so, nor one that multiplies with weights that it holds; it is then traced with
several numbers in their place, and sizes of results that differ are found when the program is called.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from itertools import count, islice, product
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np

from loopjax.errors import coded, source_of
from loopjax.ir.graph import Op
from loopjax.ir.symbolic_sizes import known
from loopjax.ir.types import KEY, TensorType, dtype_name

PROBE = 8
"""The size tried first in the place of an unknown one."""

KEPT = 256
"""The most types of arguments for which the results of one call are kept."""

PROBES = 256
"""The most assignments of sizes to unknown dimensions that are tried."""

OTHERS = (1, 3, 24, 10_000)
"""Sizes by which those of results are found that do not depend on an unknown one."""

AXIS_SIZES = (8, 16)
"""Sizes of named axes that are bound where a program runs, and not where it is recorded."""

HELD = 1000
"""The most objects that are looked at for arrays that a function holds."""


@dataclass(frozen=True)
class Static:
    """An argument that is no array. ``text`` distinguishes what Python calls equal: 1, 1.0 and True."""

    value: Hashable
    text: str


class Traced(NamedTuple):
    """The results of a function: types of its leaves, and their pytree."""

    types: tuple[TensorType, ...]
    tree: Any

    def without_symbols(self) -> Traced:
        """Return the results with their symbolic sizes unknown."""
        return self._replace(types=tuple(type.with_shape(known(type.sizes)) for type in self.types))


@dataclass(frozen=True)
class JaxCall(Op):
    """A call of a JAX function.

    ``x64``: it is traced with JAX's flag on, if a program is that has it on; else with the flag off. ``tree`` is the
    pytree of its arguments. ``statics`` has an entry per leaf: the argument where it is no array, ``None`` where it is
    an input of the node.
    """

    fn: Callable[..., Any]
    tree: Any
    statics: tuple[Static | None, ...]
    label: str
    x64: bool

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
            with jax.enable_x64(self.x64):
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
        with nullcontext() if self.x64 else jax.enable_x64(False):
            result = self.fn(*args, **kwargs)
        for leaf in jax.tree.leaves(result):
            if not isinstance(leaf, (jax.Array, np.ndarray, np.generic, bool, int, float, complex)):
                raise coded(TypeError, "LJ704")(f"it returns {type(leaf).__name__} {leaf!r:.80}; expected arrays")
        return result


_TRACED: WeakKeyDictionary[JaxCall, dict[tuple[TensorType, ...], Traced]] = WeakKeyDictionary()
"""The results of each function that is in use, by the types that it was called with."""


def _traced(op: JaxCall, types: tuple[TensorType, ...]) -> Traced:
    """Trace the function, without running it; an error names the function and the types."""
    try:
        return _with_sizes(op, types) if all(type.concrete for type in types) else _without_sizes(op, types)
    except Exception as error:
        kind = next((kind for kind in (IndexError, TypeError) if isinstance(error, kind)), ValueError)
        text = str(error).strip().split("\n")[0]
        shown = ", ".join(map(str, types))
        remedy = _size_remedy(op, types, error, text)
        raise coded(kind, "LJ704")(
            f"the function{source_of(op.fn)} raised {type(error).__name__} on ({shown}): {text}{remedy}"
        ) from error


def _size_remedy(op: JaxCall, types: Sequence[TensorType], error: Exception, text: str) -> str:
    """Return the remedy of an error of shapes, where sizes were not known and had a number in their place."""
    probe, _ = _tried_sizes(op, types)
    of_sizes = re.search(rf"\b{probe}\b|equal division", text)
    if all(type.concrete for type in types) or not of_sizes or isinstance(error, jax.errors.JAXTypeError):
        return ""
    return f"; {probe} stands for sizes not known yet (?): where 3 is expected, write at.specify_shape(x, (None, 3))"


def _with_sizes(op: JaxCall, types: Sequence[TensorType]) -> Traced:
    return _evaluated(op, [_struct(type.dtype, type.sizes) for type in types])


def _evaluated(op: JaxCall, structs: Sequence[Any]) -> Traced:
    """Trace for some types; named axes that are not bound here are bound to axes of two sizes, for collectives."""
    axes: list[str] = []
    while True:
        try:
            first, *others = (_result(_over_axes(op, axes, size, structs)) for size in AXIS_SIZES[: 1 + len(axes)])
        except NameError as error:
            unbound = re.search(r"unbound axis name: (\w+)", str(error))
            if unbound is None or unbound[1] in axes:
                raise
            axes.append(unbound[1])
            continue
        if any(other.types != first.types for other in others):
            raise coded(ValueError, "LJ704")(
                f"its results have sizes that depend on how large axis {axes[0]!r} is; reduce that axis"
            )
        return first


def _over_axes(op: JaxCall, axes: Sequence[str], size: int, structs: Sequence[Any]) -> Any:
    """The results' types with some named axes bound."""
    call = op.call
    for axis in axes:
        call = jax.vmap(call, in_axes=None, axis_name=axis, axis_size=size)
    found = jax.eval_shape(call, *structs)
    own = lambda leaf: jax.ShapeDtypeStruct(leaf.shape[len(axes) :], leaf.dtype)  # type: ignore[no-untyped-call]  # noqa: E731
    return jax.tree.map(own, found)


def _without_sizes(op: JaxCall, types: Sequence[TensorType]) -> Traced:
    """Trace with symbolic sizes, or where that fails with numbers in their place."""
    from jax import export  # a twentieth of the package's import time, and rarely needed

    scope = export.SymbolicScope()
    structs = []
    for position, type in enumerate(types):
        sizes = ", ".join(f"n{position}_{axis}" if size is None else str(size) for axis, size in enumerate(type.shape))
        structs.append(_struct(type.dtype, export.symbolic_shape(sizes, scope=scope)))
    structs = getattr(op.fn, "structs", structs)  # an exported program has sizes of its own
    try:
        return _evaluated(op, structs).without_symbols()
    except Exception:
        return _with_some_sizes(op, types)


def _tried_sizes(op: JaxCall, types: Sequence[TensorType]) -> tuple[int, list[int]]:
    """Return a number for unknown sizes, and the sizes known beside them or of arrays that the function holds."""
    beside = [size for type in types for size in type.shape if size is not None]
    known = list(dict.fromkeys([*beside, *_sizes_held(op.fn)]))
    return next(size for size in count(PROBE, PROBE) if size not in known), known


def _with_some_sizes(op: JaxCall, types: Sequence[TensorType]) -> Traced:
    """Trace with the first sizes that fit, and say which sizes of the results are the same for all others that fit.

    Sizes known beside an unknown one, and those of arrays that the function holds, may be the ones that it takes.
    """
    probe, known = _tried_sizes(op, types)

    def traced(tried: Sequence[int]) -> Traced:
        sizes = iter(tried)
        return _with_sizes(
            op, [type.with_shape([next(sizes) if size is None else size for size in type.shape]) for type in types]
        )

    unknown = sum(type.shape.count(None) for type in types)
    failure: Exception | None = None
    for tried in islice(product((probe, *known), repeat=unknown), PROBES):
        try:
            found = traced(tried)
            break
        except Exception as error:
            failure = failure or error
    else:
        assert failure is not None
        raise failure
    for varied in _variations(tried):
        if any(size is not None for type in found.types for size in type.shape):
            with suppress(Exception):
                found = _common(found, traced(varied))
    return found


def _variations(sizes: Sequence[int]) -> Iterator[Sequence[int]]:
    """Sizes with one of them changed, and with all that are equal changed alike, as operands of an op may be."""
    for place, other in product(range(len(sizes)), OTHERS):
        yield [other if one == place else size for one, size in enumerate(sizes)]
    for same, other in product(dict.fromkeys(sizes), OTHERS):
        yield [other if size == same else size for size in sizes]


def _common(found: Traced, other: Traced) -> Traced:
    """Sizes that two traces have in common; the first one where they differ in more than sizes."""
    if [(type.dtype, type.ndim) for type in found.types] != [(type.dtype, type.ndim) for type in other.types]:
        return found
    pairs = [
        (type, zip(type.shape, also.shape, strict=True)) for type, also in zip(found.types, other.types, strict=True)
    ]
    return found._replace(
        types=tuple(type.with_shape([a if a == b else None for a, b in sizes]) for type, sizes in pairs)
    )


def _sizes_held(fn: Any) -> list[int]:
    """Sizes of the arrays that a function holds: in its closure, defaults, globals, or as a pytree or an object."""
    found: dict[int, None] = {}
    waiting, seen = [fn], set[int]()
    while waiting and len(seen) < HELD:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, (type, ModuleType)):
            continue
        seen.add(id(one))
        if isinstance(one, (np.ndarray, jax.Array)):
            found.update(dict.fromkeys(one.shape))
        elif isinstance(one, FunctionType):
            codes = [one.__code__]
            for code in codes:  # with those of functions within
                codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
            names = {name for code in codes for name in code.co_names} & set(one.__globals__)
            waiting += [one.__defaults__, *(one.__closure__ or ()), *map(one.__globals__.get, names)]
        elif isinstance(one, CellType):
            with suppress(ValueError):  # an empty one
                waiting.append(one.cell_contents)
        elif isinstance(one, (list, tuple)):
            waiting += one
        else:
            held = [getattr(one, name, None) for name in ("__self__", "__func__", "__wrapped__", "func", "args")]
            waiting += [*held, *(one if isinstance(one, dict) else getattr(one, "__dict__", {})).values()]
    return list(found)


def _struct(dtype: str, shape: Sequence[Any]) -> Any:
    """A type for JAX; a random key is of the default generator, since types of variables have all generators."""
    made: Any = jax.eval_shape(jax.random.key, 0).dtype if dtype == KEY else np.dtype(dtype)
    return jax.ShapeDtypeStruct(tuple(shape), made)  # type: ignore[no-untyped-call]


def _result(results: Any) -> Traced:
    leaves, tree = jax.tree.flatten(results)
    shapes = [tuple(leaf.shape) for leaf in leaves]
    keys = [jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) for leaf in leaves]
    dtypes = [KEY if is_key else dtype_name(leaf.dtype) for leaf, is_key in zip(leaves, keys, strict=True)]
    types = list(map(TensorType, dtypes, shapes))
    return Traced(tuple(types), tree)
