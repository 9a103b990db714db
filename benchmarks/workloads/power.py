"""``A**k`` by multiplying, last value alone."""

# ruff: noqa: N803, N806 - arrays have the names that the guide gives them

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import loopjax as aesara
import loopjax.tensor as at
from benchmarks.program import Program, jitted, on_device, symbolic
from benchmarks.workload import Contenders, Workload


def _contenders(size: int, k: int, unroll: int) -> Contenders:
    base = on_device(np.random.default_rng(0).uniform(0.9999, 1.0001, size))
    return Contenders(
        loopjax=lambda: _loopjax(base, k),
        plain=lambda: _plain(base, k),
        tuned=lambda: _tuned(base, k, unroll),
    )


def _loopjax(base: jax.Array, steps: int) -> Program:
    k = at.iscalar("k")
    A = at.dvector("A")
    result, updates = aesara.scan(
        fn=lambda prior, A: prior * A, outputs_info=at.ones_like(A), non_sequences=A, n_steps=k
    )
    return symbolic(aesara.function([A, k], result[-1], updates=updates), base, np.int32(steps))


def _plain(base: jax.Array, k: int) -> Program:
    def power(A: Any) -> Any:
        def step(prior: Any, _: None) -> tuple[Any, Any]:
            result = prior * A
            return result, result

        return lax.scan(step, jnp.ones_like(A), None, length=k)[1][-1]

    return jitted(power, base, wide=True)


def _tuned(base: jax.Array, k: int, unroll: int) -> Program:
    """The value alone in the carry; enough steps in an iteration that they, not the loop, take the time."""

    def power(A: Any) -> Any:
        return lax.fori_loop(0, k, lambda _, prior: prior * A, jnp.ones_like(A), unroll=unroll)

    return jitted(power, base, wide=True)


def _make(size: int, k: int, unroll: int, quick: bool) -> Contenders:
    return _contenders(size, k // 10 if quick else k, unroll)


WORKLOADS = (
    Workload("power-wide", "A**k, 1e5 elements, k=1,000, last only", partial(_make, 100_000, 1_000, 20)),
    Workload("power-narrow", "A**k, 10 elements, k=10,000, last only", partial(_make, 10, 10_000, 50)),
)
