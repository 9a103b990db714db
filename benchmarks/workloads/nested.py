"""Nested loops."""

# ruff: noqa: N803 - arrays have the names that the guide gives them

from __future__ import annotations

from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.program import jitted, normal, unroll
from benchmarks.programs.nested import nested
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload

UNITS, INNER = 32, 10


def _make(scale: Scale) -> Contenders:
    array = partial(normal, np.random.default_rng(0))
    data = (array(scale.steps(200, quick=50), UNITS), array(UNITS, UNITS, scale=0.3 / UNITS**0.5))
    return Contenders(
        loopjax=Symbolic(nested, data, options={"inner": INNER}),
        plain=lambda: jitted(_plain, *data),
        tuned=lambda: jitted(_tuned, *data),
    )


def _plain(u: Any, W: Any) -> Any:
    def outer(x_tm1: Any, u_t: Any) -> tuple[Any, Any]:
        def inner(x: Any, _: None) -> tuple[Any, Any]:
            x = jnp.tanh(x @ W + x_tm1 + u_t)
            return x, x

        x = lax.scan(inner, x_tm1, None, length=INNER)[1][-1]
        return x, x

    return lax.scan(outer, jnp.zeros_like(u[0]), u)[1]


def _tuned(u: Any, W: Any) -> Any:
    """Inner loop without a stack, fully unrolled."""

    def outer(x_tm1: Any, u_t: Any) -> tuple[Any, Any]:
        into = x_tm1 + u_t
        x = lax.fori_loop(0, INNER, lambda _, x: jnp.tanh(x @ W + into), x_tm1, unroll=INNER)
        return x, x

    return lax.scan(outer, jnp.zeros_like(u[0]), u, unroll=unroll(1, 2))[1]


WORKLOADS = (Workload("nested", "10 iterations in each of 200 steps, 32 values", _make, compare=close(1e-4)),)
