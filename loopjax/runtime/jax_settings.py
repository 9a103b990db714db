"""Settings of JAX that compiled programs depend on."""

from __future__ import annotations

from typing import Any

import jax

from loopjax.ir.graph import Apply, Graph
from loopjax.ir.scan import Scan
from loopjax.ir.types import KEY

_numerics = (jax.default_matmul_precision, jax.default_prng_impl, jax.threefry_partitionable)


def settings_of(graph: Graph) -> tuple[Any, ...]:
    """Returns the settings of JAX that a program depends on; the ``value`` of each is a part of cache keys.

    Every program is compiled for the default device, the first of them. Precision and random keys matter to products,
    draws and calls of functions that cannot be looked into.
    """
    device: Any = jax.default_device
    return (device,) if all(map(_is_independent, graph.applies)) else (device, *_numerics)


def _is_independent(node: Apply) -> bool:
    """Test if no setting changes the results of a node."""
    if any(variable.dtype == KEY for variable in (*node.inputs, *node.outputs)):
        return False
    if isinstance(node.op, Scan):
        return all(map(_is_independent, node.op.body.applies))
    return node.op.has("pointwise", "reduce", "gather")
