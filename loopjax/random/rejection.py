"""Rejection sampling: candidates drawn again until every element has accepted one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


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

    start = key, jnp.zeros(shape, dtype), jnp.ones(shape, bool)
    return jax.lax.while_loop(lambda state: state[2].any(), again, start)[1]
