"""Settings of JAX that compiled programs depend on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax

from loopjax.ir.graph import Apply, Graph
from loopjax.ir.scan import Scan
from loopjax.ir.types import KEY

_numerics = (jax.default_matmul_precision, jax.default_prng_impl, jax.threefry_partitionable)


def settings_of(graph: Graph) -> Callable[[], Any]:
    """Returns a reader of the JAX settings that a program depends on, for cache keys.

    Every program is compiled for the default device. Precision and random keys matter to products, draws and calls of
    functions that cannot be looked into.
    """
    device = partial(getattr, jax.default_device, "value")
    if all(map(_is_independent, graph.applies)):
        return device
    return lambda: (device(), *[setting.value for setting in _numerics])


def _is_independent(node: Apply) -> bool:
    """Test if no setting changes the results of a node."""
    if any(variable.dtype == KEY for variable in (*node.inputs, *node.outputs)):
        return False
    if isinstance(node.op, Scan):
        return all(map(_is_independent, node.op.body.applies))
    return node.op.has("pointwise", "reduce", "gather")
