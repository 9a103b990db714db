"""Shardings of a function's arguments and results: ``in_shardings`` and ``out_shardings``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import jax
from jax.sharding import PartitionSpec

from loopjax.trace.pytrees import is_iterator

Shardings = tuple[Any, ...] | None
"""For each array, what ``jax.device_put`` takes, or ``None``; ``None`` where no array has any."""


def read_shardings(name: str, given: Any, like: Any) -> Shardings:
    """Reads an option that is a prefix of ``like``, variables in a list or another pytree, as those of ``jax.jit``."""
    if given is None:
        return None
    for one in jax.tree.leaves(given, is_leaf=is_iterator):
        if not isinstance(one, (jax.sharding.Sharding, PartitionSpec, jax.Device)):
            raise TypeError(
                f"{name} holds {type(one).__name__} {one!r:.80}; expected shardings, devices or None, write "
                f"jax.sharding.NamedSharding(mesh, spec)"
            )
    prefix, full = (list(tree) if type(tree) in (list, tuple) else tree for tree in (given, like))
    try:
        found = jax.tree.broadcast(prefix, full, is_leaf=_is_none)
    except ValueError:
        wanted = f"a list of {len(full)}" if isinstance(full, list) else f"as {type(full).__name__} as the variables"
        raise ValueError(
            f"{name}: expected one sharding, or {wanted} with a sharding or None for each variable or pytree, got "
            f"{given!r:.200}; write jax.sharding.NamedSharding(mesh, spec)"
        ) from None
    values = [found[key] for key in full] if isinstance(full, Mapping) else found  # a pytree has its keys sorted
    return tuple(jax.tree.leaves(values, is_leaf=_is_none))


def placed(arrays: Iterable[Any], shardings: Shardings) -> list[Any]:
    """Returns arrays on the devices that their shardings say."""
    if shardings is None:
        return list(arrays)
    pairs = zip(arrays, shardings, strict=True)
    return [array if sharding is None else jax.device_put(array, sharding) for array, sharding in pairs]


def _is_none(entry: Any) -> bool:
    return entry is None
