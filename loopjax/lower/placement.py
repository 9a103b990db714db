"""Sharding in types: arrays made in a trace, such as zeros, placed as those that they meet in the carry of a loop.

Over mesh axes of type ``Explicit`` (``jax.set_mesh``) an array's type says how it is sharded, and within ``shard_map``
over which axes it varies. A constant is replicated and varies over none; JAX wants the carry of a loop to keep its
type.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import AxisType, NamedSharding, PartitionSpec

Run = Callable[..., list[Any]]
_RESHARD: Any = jax.sharding.reshard
_SPEC: Any = PartitionSpec


@dataclass(frozen=True)
class Placement:
    """The axes that an array varies over, the sharding of its last ``ndim`` axes, and the mesh of that."""

    varying: frozenset[str] = frozenset()
    spec: tuple[Any, ...] = ()
    mesh: Any = None

    def varying_over(self, axes: frozenset[str]) -> Placement:
        """The same, which varies over further axes too."""
        return replace(self, varying=self.varying | axes)


def placement(array: Any) -> Placement:
    """Return the placement of an array, a tracer or a type."""
    type = jax.typeof(array) if isinstance(array, (jax.Array, np.ndarray, np.generic)) else array
    varying = getattr(type.manual_axis_type, "varying", frozenset[str]())
    if type.sharding is None or all(axis is None for axis in type.sharding.spec):
        return Placement(varying, (None,) * len(type.shape))
    return Placement(varying, tuple(type.sharding.spec), type.sharding.mesh)


def in_types() -> bool:
    """Return whether types have placements here: under a mesh that is not automatic."""
    return any(kind != AxisType.Auto for kind in jax.sharding.get_abstract_mesh().axis_types)


def is_on_one_device(arrays: Sequence[Any]) -> bool:
    """Return whether each array is on one device, and no mesh is explicit here."""
    shardings = [array.sharding for array in arrays if isinstance(array, jax.Array)]
    return not in_types() and all(len(sharding.device_set) == 1 for sharding in shardings)


def mesh_of(arrays: Sequence[Any]) -> AbstractContextManager[Any]:
    """Return the context of the mesh that arrays are sharded over, where no mesh is set; ``jax.jit`` sets none."""
    meshes = [] if in_types() else [found.mesh for found in map(placement, arrays) if found.mesh]
    return jax.sharding.use_abstract_mesh(meshes[0]) if meshes else nullcontext()


def placed(array: Any, like: Placement) -> Any:
    """Return an array placed like another, whose axes are its last ones."""
    own = placement(array)
    spec = ((None,) * array.ndim + like.spec)[len(like.spec) :]
    if own.spec != spec:
        array = _RESHARD(array, NamedSharding(like.mesh or own.mesh, _SPEC(*spec)))
    axes = tuple(sorted(like.varying - own.varying))
    return lax.pcast(array, axes, to="varying") if axes else array


def aligned(arrays: Sequence[Any]) -> Sequence[Any]:
    """Return arrays that are broadcast, joined or written into each other, sharded alike where their axes agree.

    JAX leaves that to the program, but a state that is zeros at first has no sharding until it has met another.
    """
    axes: dict[int, tuple[Any, int, Any]] = {}
    for array, place in zip(arrays, map(placement, arrays), strict=True):
        pairs = enumerate(zip(place.spec, array.shape, strict=True), -array.ndim)
        axes |= {axis: (name, size, place.mesh) for axis, (name, size) in pairs if name is not None}
    names = [name for name, _, _ in axes.values()]
    if len(set(names)) < len(names):
        return arrays

    def like(array: Any) -> Placement:
        places = [axes.get(axis, (None, 0, None)) for axis in range(-array.ndim, 0)]
        spec = tuple(name if size == own else None for (name, size, _), own in zip(places, array.shape, strict=True))
        return Placement(spec=spec, mesh=next((mesh for _, _, mesh in places if mesh), None))

    return [placed(array, like(array)) for array in arrays] if axes else arrays


def placed_alike(branches: Sequence[Run], args: Sequence[Any]) -> Sequence[Run]:
    """Return two functions whose results vary over the same axes, and are sharded like those of the first."""
    if not in_types():
        return branches
    first, second = ([*map(placement, jax.eval_shape(branch, *args))] for branch in branches)
    places = [one.varying_over(other.varying) for one, other in zip(first, second, strict=True)]

    def like(branch: Run) -> Run:
        return lambda *given: [*map(placed, branch(*given), places)]

    return [like(branch) for branch in branches]


def zeros(type: Any, *leading: int) -> Any:
    """Return zeros of a type, an array or a tracer, with further axes in front."""
    return placed(jnp.zeros((*leading, *type.shape), type.dtype), placement(type))
