"""Doubling until a bound: the guide's example of ``until``."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.program import Program, jitted, on_device
from benchmarks.programs.until import until
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload

MOST = 1_024


def _make(scale: Scale) -> Contenders:
    bound = on_device(np.float64(scale.pick(1e200, quick=1e20)))
    return Contenders(
        loopjax=Symbolic(until, (bound,), options={"most": MOST}),
        plain=lambda: _by_hand(bound, in_place=False),
        tuned=lambda: _by_hand(bound, in_place=True),
    )


def _by_hand(bound: jax.Array, in_place: bool) -> Program:
    """Buffer and count, sliced on the host; ``in_place`` writes by ``dynamic_update_slice``, else by index."""

    def powers(max_value: Any) -> tuple[Any, Any]:
        def step(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            i, power, found = state
            power = power * 2
            if in_place:
                return i + 1, power, lax.dynamic_update_index_in_dim(found, power, i, 0)
            return i + 1, power, found.at[i].set(power)

        def goes_on(state: tuple[Any, Any, Any]) -> Any:
            i, power, _ = state
            return (i < MOST) & (power <= max_value)

        start = (jnp.zeros((), "int32"), jnp.ones((), "float64"), jnp.zeros(MOST, "float64"))
        count, _, found = lax.while_loop(goes_on, step, start)
        return found, count

    whole = jitted(powers, bound, wide=True)

    def call() -> Any:
        found, count = whole.call()
        return np.asarray(found)[: int(count)]

    return Program(call, whole.lower)


WORKLOADS = (Workload("until", "doubling until 1e200", _make, grows_to=0),)
