"""Rejection sampling: candidates drawn again until every element has accepted one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from loopjax.lower.placement import in_types, placed, placement


def accepted(key: Any, propose: Callable[[Any], tuple[Any, Any]], shape: tuple[int, ...], dtype: str) -> Any:
    """The first accepted candidate for each element of an array.

    ``propose(key)`` returns candidates and a mask of those refused. It must accept NaN, so that the loop ends for every
    parameter.
    """

    def again(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        key, values, open_ = state
        key, now = jax.random.split(key)
        candidates, refused = propose(now)
        return key, jnp.where(open_, candidates, values), open_ & refused

    values, open_ = jnp.zeros(shape, dtype), jnp.ones(shape, bool)
    if in_types():
        first, second = map(placement, jax.eval_shape(propose, key))
        values, open_ = placed(values, first.varying_over(second.varying)), placed(open_, second)
    start = key, values, open_
    return jax.lax.while_loop(lambda state: state[2].any(), again, start)[1]
