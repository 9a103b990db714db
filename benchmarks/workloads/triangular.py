"""Running sum of 0, 1, 2, ..."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.program import Program, jitted, on_gpu
from benchmarks.programs.triangular import triangular
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload


def plain_sums(n: int) -> Any:
    """Every sum up to ``n`` terms, int64."""

    def step(total: Any, i: Any) -> tuple[Any, Any]:
        return total + i, total + i

    return lax.scan(step, jnp.zeros((), "int64"), jnp.arange(n, dtype="int64"))[1]


def _make(scale: Scale) -> Contenders:
    n = scale.steps(1_000_000, quick=100_000)
    return Contenders(loopjax=Symbolic(triangular, (np.int32(n),)), plain=lambda: _plain(n), tuned=lambda: _tuned(n))


def _plain(n: int) -> Program:
    return jitted(lambda: plain_sums(n), wide=True)


def _tuned(n: int) -> Program:
    """Eight steps per iteration, and a counter in the carry instead of a stored range; on a GPU all at once."""

    def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], Any]:
        i, total = carry
        return (i + 1, total + i), total + i

    def sums() -> Any:
        if on_gpu():
            return jnp.cumsum(jnp.arange(n, dtype="int64"))
        zero = jnp.zeros((), "int64")
        return lax.scan(step, (zero, zero), None, length=n, unroll=8)[1]

    return jitted(sums, wide=True)


WORKLOADS = (Workload("triangular", "running sum, 1e6 steps, all kept", _make),)
