"""Lowering of calls of JAX functions: JAX traces them in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp

from loopjax.errors import UnsupportedError, coded, where
from loopjax.ir.graph import Apply
from loopjax.ir.jax_call import JaxCall
from loopjax.ir.types import KEY, jax_dtype
from loopjax.lower.interpreter import as_array, rule


@rule(JaxCall)
def _jax_call(node: Apply, op: JaxCall, args: Sequence[Any]) -> Sequence[Any]:
    try:
        results = op.run([as_array(arg) for arg in args])
    except NameError as error:
        if "unbound axis name" not in str(error):
            raise
        raise coded(UnsupportedError, "LJ704")(
            f"{op.subject}{where(node.sources)} communicates over a named axis, and JAX says: {error} Make the program "
            f"with loopjax.to_jax, and call it where the axis is bound: inside of jax.shard_map or "
            f"jax.vmap(axis_name=...)"
        ) from None
    pairs = zip(results, node.outputs, strict=True)
    return [x if variable.dtype == KEY else jnp.asarray(x, jax_dtype(variable.dtype)) for x, variable in pairs]
