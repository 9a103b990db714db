"""Indices that are checked on the device by ``checkify``, for ``function(..., check="index")``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from loopjax.errors import coded
from loopjax.ir.graph import Apply, Graph
from loopjax.ir.op import TableOp
from loopjax.lower.interpreter import rule


@rule("in_bounds")
def _in_bounds(node: Apply, op: TableOp, args: Sequence[Any]) -> Sequence[Any]:
    from jax.experimental import checkify

    index = jnp.asarray(args[0])
    if not index.size:
        return (index,)
    size, place = op.arguments["size"], op.arguments["place"]
    inside = (index >= -size) & (index < size)
    message = f"expected {-size} to {size - 1}; clip it, or make the axis longer{place}"
    outside = jnp.ravel(index)[jnp.argmin(jnp.ravel(inside))]
    checkify.check(
        inside.all(), f"index {{index}} is out of bounds for an axis of size {size}: {message}", index=outside
    )
    return (index,)


def holds_checks(graph: Graph) -> bool:
    """True where an index is checked in a graph or its regions."""
    return graph.holds(lambda node: node.op.name == "in_bounds")


def checked_vjp(region: Callable[..., tuple[Any, Any]], *wrt: Any) -> tuple[Any, Any, Any]:
    """Return ``jax.vjp(region, *wrt, has_aux=True)``, and raise in the program around what its checks find.

    ``jax.vjp`` drops checks that are inside of loops, so they are an error value among the auxiliary results.
    """
    from jax.experimental import checkify

    def run(*arrays: Any) -> tuple[Any, Any]:
        error, (costs, published) = checkify.checkify(region, errors=checkify.user_checks)(*arrays)
        return costs, (error, published)

    costs, pullback, (error, published) = jax.vjp(run, *wrt, has_aux=True)
    checkify.check_error(error)
    return costs, pullback, published


class checked:  # noqa: N801 - a function that also lowers, as ``jax.jit`` gives one
    """A jitted function that raises ``IndexError`` after a call where an index was out of bounds."""

    def __init__(self, run: Callable[..., Any]) -> None:
        from jax.experimental import checkify  # a tenth of the package's import time, and rarely needed

        self._jitted = jax.jit(checkify.checkify(run, errors=checkify.user_checks))

    def __call__(self, *arrays: Any) -> Any:
        error, outputs = self._jitted(*arrays)
        message = error.get()
        if message is not None:
            raise coded(IndexError, "LJ206")(message.split(" (`check` failed)")[0])
        return outputs

    def trace(self, *arrays: Any) -> Any:
        """Trace, as ``jax.jit(run).trace`` does."""
        return self._jitted.trace(*arrays)

    def lower(self, *arrays: Any) -> Any:
        """Lower, as ``jax.jit(run).lower`` does."""
        return self._jitted.lower(*arrays)
