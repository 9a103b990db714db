"""The running sum of 0, 1, 2, ..."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

import loopjax as aesara
import loopjax.tensor as at
from benchmarks.program import Program, jitted, symbolic
from benchmarks.workload import Contenders, Workload


def guide_sums() -> tuple[Any, Any, Any]:
    """The guide's program: its input, its running sums and their updates."""
    up_to = at.iscalar("up_to")
    seq = at.arange(up_to)
    sums, updates = aesara.scan(
        fn=lambda arange_val, sum_to_date: sum_to_date + arange_val,
        sequences=seq,
        outputs_info=at.as_tensor_variable(np.asarray(0, seq.dtype)),
    )
    return up_to, sums, updates


def plain_sums(n: int) -> Any:
    """Every sum up to ``n`` terms, int64."""

    def step(total: Any, i: Any) -> tuple[Any, Any]:
        return total + i, total + i

    return lax.scan(step, jnp.zeros((), "int64"), jnp.arange(n, dtype="int64"))[1]


def _make(quick: bool) -> Contenders:
    n = 100_000 if quick else 1_000_000
    return Contenders(loopjax=lambda: _loopjax(n), plain=lambda: _plain(n), tuned=lambda: _tuned(n))


def _loopjax(n: int) -> Program:
    up_to, sums, updates = guide_sums()
    return symbolic(aesara.function([up_to], sums, updates=updates), np.int32(n))


def _plain(n: int) -> Program:
    return jitted(lambda: plain_sums(n), wide=True)


def _tuned(n: int) -> Program:
    """Eight steps in an iteration, and a counter in the carry instead of a stored range."""

    def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], Any]:
        i, total = carry
        return (i + 1, total + i), total + i

    def sums() -> Any:
        zero = jnp.zeros((), "int64")
        return lax.scan(step, (zero, zero), None, length=n, unroll=8)[1]

    return jitted(sums, wide=True)


WORKLOADS = (Workload("triangular", "running sum, 1e6 steps, all kept", _make),)
