"""A JAX primitive for 64-bit arithmetic inside of a trace where JAX's x64 is off.

JAX reads that flag again when it transposes, batches and lowers a trace, long after a context around the tracing has
ended: a float64 ``argmax`` then fails to lower, and the gradient of a float64 read by index fails to transpose. So such
a program is one primitive, whose rules for evaluation, batching, JVP and transposition set the flag themselves. Each
rule binds the primitive again with a derived program: ``Batched``, ``Pushed``, ``Transposed`` and ``Shortcut`` are
hashable, so that equal programs are traced and compiled once.

What enters and leaves the primitive is 32 bits wide. The residuals of a gradient are not: they cross the caller's trace
as pairs of 32 bits (``halved``, ``joined``), and are found again by a ``Shortcut``. For example the JVP of a program
is ``first``, which gives results and residuals, and ``later``, from residuals and tangents to the results' tangents.

Limits: nothing sees inside: ``checkify`` and the lowering for several platforms, which must, raise; results have no
sharding in their types, so that under a mesh with explicit axes they are replicated. ``jax.extend`` and
the rule tables of ``jax.interpreters`` are public, but may change between JAX releases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import Primitive, jaxpr_as_fun
from jax.interpreters import ad, batching, mlir
from jax.sharding import NamedSharding, PartitionSpec

from loopjax.errors import UnsupportedError
from loopjax.lower.partition import is_float, merge
from loopjax.lower.placement import placed, placement

Run = Callable[..., Sequence[Any]]
Types = tuple[jax.ShapeDtypeStruct, ...]

KEPT = 1024
"""Traced programs that are cached, with their derivatives."""

wide = Primitive("loopjax_wide")
wide.multiple_results = True


def in_64_bits(run: Run, *arrays: Any) -> list[Any]:
    """Run ``run(*arrays)`` with x64 on, in a trace where it is off and under every transformation of that trace.

    ``run`` takes and returns flat arrays. It is hashable, and equal ones are the same program. Within ``shard_map`` all
    arrays are made to vary over the same axes, as all results do.
    """
    places = [placement(jax.typeof(array)) for array in arrays]
    varying = frozenset[str]().union(*(one.varying for one in places))
    if varying:
        pairs = zip(arrays, places, strict=True)
        arrays = tuple(placed(jnp.asarray(array), one.varying_over(varying)) for array, one in pairs)
    return wide.bind(*arrays, run=run, call_jaxpr=SEALED)  # type: ignore[no-untyped-call]


class _Sealed:
    """The parameter ``call_jaxpr`` of the primitive, at which ``checkify`` raises: it transforms that parameter of an
    operation that it has no rule for, and would pass over an operation without."""

    @property
    def debug_info(self) -> Any:
        raise UnsupportedError(
            "jax.experimental.checkify cannot look into a program of to_jax that has values of 64 bits while JAX's x64 "
            "is off; give its variables 32 bits, or turn jax_enable_x64 on"
        )


SEALED = _Sealed()


def halved(array: Any) -> Any:
    """Return an array of 64-bit elements as one of pairs of 32 bits; any other as it is."""
    if jnp.issubdtype(array.dtype, jax.dtypes.extended) or array.dtype.itemsize < 8:
        return array
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        return halved(jnp.stack([array.real, array.imag]))
    if isinstance(array, np.ndarray):
        return np.ascontiguousarray(array).reshape(*array.shape, 1).view(np.uint32)
    return lax.bitcast_convert_type(array, jnp.uint32)


def joined(array: Any, dtype: Any) -> Any:
    """Undo ``halved``."""
    if jnp.issubdtype(dtype, jax.dtypes.extended) or np.dtype(dtype).itemsize < 8:
        return array
    if jnp.issubdtype(dtype, jnp.complexfloating):
        return lax.complex(*joined(array, "float64"))
    return lax.bitcast_convert_type(array, dtype)


@dataclass(frozen=True)
class Shortcut:
    """A program that computes by ``run`` what ``exact`` computes without its first ``cached`` arguments, residuals.

    No derivative flows to the residuals: derivatives are those of ``exact``.
    """

    run: Run
    exact: Run
    cached: int

    def __call__(self, *arrays: Any) -> Sequence[Any]:
        return self.run(*arrays)


@dataclass(frozen=True)
class Batched:
    """A program batched over the axes ``dims`` of its arguments, ``None`` for those without; results have it first."""

    run: Run
    dims: tuple[int | None, ...]

    def __call__(self, *arrays: Any) -> Sequence[Any]:
        return jax.vmap(self.run, in_axes=self.dims)(*arrays)


@dataclass(frozen=True)
class Pushed:
    """The JVP of a program, from its arguments and tangents of those in ``moved`` to the tangents of float results."""

    run: Run
    moved: tuple[int, ...]

    def __call__(self, *arrays: Any) -> Sequence[Any]:
        given, tangents = arrays[: len(arrays) - len(self.moved)], arrays[len(arrays) - len(self.moved) :]
        at = tuple(given[position] for position in self.moved)
        return _floats(jax.jvp(_of(self.run, given, self.moved), at, tangents)[1])


@dataclass(frozen=True)
class Transposed:
    """The transpose of a program that is linear in some arguments, from the others and cotangents of its results."""

    run: Run
    linear: tuple[bool, ...]
    types: Types

    def __call__(self, *arrays: Any) -> Sequence[Any]:
        count = self.linear.count(False)

        def of_linear(*values: Any) -> list[Any]:
            return list(self.run(*merge(values, arrays[:count], self.linear)))

        return jax.linear_transpose(of_linear, *self.types)(list(arrays[count:]))


@lru_cache(KEPT)
def _linearized(run: Run, types: Types, moved: tuple[int, ...]) -> tuple[Run, Run, int]:
    """Return a program linearized: ``first`` gives results and ``cached`` residuals.

    ``later`` takes the residuals, the arguments and tangents to the tangents of the results.
    """
    kept: list[Any] = []

    def first(*arrays: Any) -> list[Any]:
        results, tangent = jax.linearize(_of(run, arrays, moved), *(arrays[i] for i in moved))
        leaves, tree = jax.tree.flatten(tangent)
        kept[:] = [tree, [leaf.dtype for leaf in leaves]]
        return [*results, *(lax.stop_gradient(halved(leaf)) for leaf in leaves)]

    with jax.enable_x64(True):
        traced = jax.make_jaxpr(first)(*types)
    tree, dtypes = kept

    def later(*arrays: Any) -> Sequence[Any]:
        leaves = [joined(leaf, dtype) for leaf, dtype in zip(arrays, dtypes, strict=False)]
        return _floats(jax.tree.unflatten(tree, leaves)(*arrays[len(arrays) - len(moved) :]))

    return jaxpr_as_fun(traced), later, len(dtypes)


def _of(run: Run, arrays: Sequence[Any], moved: Sequence[int]) -> Run:
    """A program as a function of some of its arguments."""

    def of_moved(*values: Any) -> list[Any]:
        given = dict(zip(moved, values, strict=True))
        return list(run(*(given.get(position, array) for position, array in enumerate(arrays))))

    return of_moved


def _floats(arrays: Sequence[Any]) -> list[Any]:
    return [array for array in arrays if array.dtype != jax.dtypes.float0]


def _types(values: Sequence[Any]) -> Types:
    return tuple(jax.ShapeDtypeStruct(value.shape, value.dtype) for value in values)  # type: ignore[no-untyped-call]


@lru_cache(KEPT)
def _results(run: Run, types: Types) -> Sequence[Any]:
    with jax.enable_x64(True):
        return jax.eval_shape(run, *types)


@lru_cache(KEPT)
def _jitted(run: Run) -> Any:
    return jax.jit(run)


def _run(*arrays: Any, run: Run, **_: Any) -> Sequence[Any]:
    with jax.enable_x64(True):
        return _jitted(run)(*arrays)


def _infer(*avals: Any, run: Run, **_: Any) -> Sequence[Any]:
    results = [jax.core.ShapedArray(one.shape, one.dtype) for one in _results(run, _types(avals))]
    if not any(placement(one).varying for one in avals):
        return results
    mesh, axes = avals[0].sharding.mesh, avals[0].manual_axis_type
    spec: Any = PartitionSpec
    placed_on: list[Any] = [NamedSharding(mesh, spec(*[None] * one.ndim)) for one in results]
    update: Any = jax.core.ShapedArray.update
    return [update(one, sharding=place, manual_axis_type=axes) for one, place in zip(results, placed_on, strict=True)]


def _lower(context: Any, *values: Any, run: Run, **_: Any) -> Any:
    if len(context.module_context.platforms) > 1:
        raise UnsupportedError(
            "jax.export compiles for one platform a program of to_jax that has values of 64 bits while JAX's x64 is "
            f"off, got {', '.join(context.module_context.platforms)}; export each by itself, give its variables 32 "
            "bits, or turn jax_enable_x64 on"
        )
    # Each device runs the program by itself: nothing varies inside.
    types = [jax.core.ShapedArray(one.shape, one.dtype) for one in context.avals_in]
    with jax.enable_x64(True), jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), ())):
        return mlir.lower_fun(run, multiple_results=True)(context.replace(avals_in=types), *values)


def _batch(arrays: Sequence[Any], dims: Sequence[int | None], *, run: Run, **_: Any) -> tuple[list[Any], list[int]]:
    axes = tuple(dims)
    batched: Run = Batched(run, axes)
    if isinstance(run, Shortcut):
        batched = Shortcut(batched, Batched(run.exact, axes[run.cached :]), run.cached)
    results = in_64_bits(batched, *arrays)
    return results, [0] * len(results)


def _push(primals: Sequence[Any], tangents: Sequence[Any], *, run: Run, **_: Any) -> tuple[list[Any], list[Any]]:
    if isinstance(run, Shortcut):
        primals, tangents, run = primals[run.cached :], tangents[run.cached :], run.exact
    moved = tuple(position for position, tangent in enumerate(tangents) if not isinstance(tangent, ad.Zero))
    first, later, cached = _linearized(run, _types([jax.typeof(value) for value in primals]), moved)
    found = in_64_bits(first, *primals)
    count = len(found) - cached
    results, cache = found[:count], found[count:]
    shortcut = Shortcut(later, Pushed(run, moved), cached)
    pushed = iter(in_64_bits(shortcut, *cache, *primals, *(tangents[position] for position in moved)))
    return results, [
        next(pushed) if is_float(result) else ad.Zero(jax.typeof(result).to_tangent_aval()) for result in results
    ]


def _transpose(cotangents: Sequence[Any], *arrays: Any, run: Run, **_: Any) -> list[Any]:
    linear = tuple(isinstance(array, ad.UndefinedPrimal) for array in arrays)
    types = _types([array.aval for array in arrays if isinstance(array, ad.UndefinedPrimal)])
    transposed: Run = Transposed(run, linear, types)
    if isinstance(run, Shortcut):
        transposed = Shortcut(transposed, Transposed(run.exact, linear[run.cached :], types), run.cached)
    fixed = [array for array in arrays if not isinstance(array, ad.UndefinedPrimal)]
    found = iter(in_64_bits(transposed, *fixed, *map(ad.instantiate_zeros, cotangents)))
    return [next(found) if one else None for one in linear]


wide.def_impl(_run)  # type: ignore[no-untyped-call]
wide.def_abstract_eval(_infer)  # type: ignore[no-untyped-call]
mlir.register_lowering(wide, _lower)
batching.primitive_batchers[wide] = _batch
ad.primitive_jvps[wide] = _push
ad.primitive_transposes[wide] = _transpose
