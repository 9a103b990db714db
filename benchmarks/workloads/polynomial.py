"""Sum of the terms of a polynomial."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.program import Program, jitted, on_device, on_gpu
from benchmarks.programs.polynomial import polynomial
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload


def _make(scale: Scale) -> Contenders:
    count = scale.steps(10_000, quick=1_000)
    coefficients = on_device(np.random.default_rng(0).normal(size=count).astype("float32"))
    value = on_device(np.float32(0.999))
    return Contenders(
        loopjax=Symbolic(polynomial, (coefficients, value), options={"count": count}),
        plain=lambda: _plain(coefficients, value),
        tuned=lambda: _tuned(coefficients, value),
    )


def _plain(numbers: jax.Array, value: jax.Array) -> Program:
    def polynomial(coefficients: Any, x: Any) -> Any:
        def step(_: None, term: tuple[Any, Any]) -> tuple[None, Any]:
            coefficient, power = term
            return None, coefficient * x**power

        powers = jnp.arange(coefficients.size, dtype="float32")
        return lax.scan(step, None, (coefficients, powers))[1].sum()

    return jitted(polynomial, numbers, value)


def _tuned(numbers: jax.Array, value: jax.Array) -> Program:
    """Accumulates in the carry: on a CPU one fused loop, faster than storing all terms and than all terms at once; a
    GPU computes all at once."""

    def polynomial(coefficients: Any, x: Any) -> Any:
        def step(i: Any, total: Any) -> Any:
            return total + coefficients[i] * x ** i.astype("float32")

        if on_gpu():
            return (coefficients * x ** jnp.arange(coefficients.size, dtype="float32")).sum()
        return lax.fori_loop(0, coefficients.size, step, jnp.zeros((), "float32"), unroll=8)

    return jitted(polynomial, numbers, value)


WORKLOADS = (Workload("polynomial", "10,000 terms, summed", _make, compare=close(1e-4)),)
