"""The settings of JAX that programs are compiled for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from loopjax.ir.graph import Apply, Graph
from loopjax.ir.scan import Scan
from loopjax.ir.types import KEY

default_device = jax.default_device
"""Its ``value`` is the setting, here and now: all programs are compiled for it."""

_others = (jax.default_matmul_precision, jax.default_prng_impl, jax.threefry_partitionable)

Read = Callable[[], tuple[Any, ...]]


def others(graph: Graph) -> Read | None:
    """What reads the settings that a program may depend on besides: for products and random draws, and for what is not
    known, all; where jit is off, executables themselves refuse. ``None`` where there are none such."""
    if all(map(_is_indifferent, graph.applies)):
        return None
    precision, implementation, partitionable = _others
    return lambda: (precision.value, implementation.value, partitionable.value)


def _is_indifferent(node: Apply) -> bool:
    if any(variable.dtype == KEY for variable in (*node.inputs, *node.outputs)):
        return False
    if isinstance(node.op, Scan):
        return all(map(_is_indifferent, node.op.body.applies))
    return node.op.has("pointwise", "reduce", "gather")
