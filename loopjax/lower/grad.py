"""Lowering derivatives: one ``jax.vjp`` for each linearised region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from loopjax.lower.interpreter import as_array, evaluate, rule
from loopjax.trace.grad import Linearize, Pullback
from loopjax.trace.graph import Apply


@rule(Linearize)
def _linearize(node: Apply, args: Sequence[Any]) -> Sequence[Any]:
    op = node.op
    assert isinstance(op, Linearize)
    wrt = [jnp.asarray(arg) for arg in args[: op.n_wrt]]
    deltas = [
        jnp.zeros(variable.type.sizes, variable.dtype)
        for variable in op.region.inputs[op.n_wrt : op.n_wrt + op.n_deltas]
    ]
    rest = args[op.n_wrt :]

    def region(*differentiated: Any) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        outputs = [as_array(value) for value in evaluate(op.region, [*differentiated, *rest])]
        return tuple(outputs[: op.n_costs]), tuple(outputs[op.n_costs :])

    costs, pullback, published = jax.vjp(region, *wrt, *deltas, has_aux=True)
    return [*costs, *published, pullback]


@rule(Pullback)
def _pullback(node: Apply, args: Sequence[Any]) -> Sequence[Any]:
    pullback, *cotangents = args
    found: Sequence[Any] = pullback(tuple(jnp.asarray(cotangent) for cotangent in cotangents))
    return found
