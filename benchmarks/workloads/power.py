"""``A**k`` by repeated multiplication, only the last value."""

# ruff: noqa: N803 - arrays have the names that the guide gives them

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.program import Program, jitted, on_device, unroll
from benchmarks.programs.power import power
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload


def _make(size: int, most: int, steps: int, scale: Scale) -> Contenders:
    k = scale.steps(most, quick=most // 10)
    base = on_device(np.random.default_rng(0).uniform(0.9999, 1.0001, size))
    return Contenders(
        loopjax=Symbolic(power, (base, np.int32(k))),
        plain=lambda: _plain(base, k),
        tuned=lambda: _tuned(base, k, steps),
    )


def _plain(base: jax.Array, k: int) -> Program:
    def power(A: Any) -> Any:
        def step(prior: Any, _: None) -> tuple[Any, Any]:
            result = prior * A
            return result, result

        return lax.scan(step, jnp.ones_like(A), None, length=k)[1][-1]

    return jitted(power, base, wide=True)


def _tuned(base: jax.Array, k: int, steps: int) -> Program:
    """Only the value in the carry, unrolled until the steps outweigh the overhead of the loop."""

    def power(A: Any) -> Any:
        return lax.fori_loop(0, k, lambda _, prior: prior * A, jnp.ones_like(A), unroll=unroll(steps, 64))

    return jitted(power, base, wide=True)


WORKLOADS = (
    Workload(
        "power-wide",
        "A**k, 1e5 elements, k=1,000, last only",
        partial(_make, 100_000, 1_000, 20),
        peak=True,
        grows_to=10_000,
    ),
    Workload("power-narrow", "A**k, 10 elements, k=10,000, last only", partial(_make, 10, 10_000, 50)),
)
