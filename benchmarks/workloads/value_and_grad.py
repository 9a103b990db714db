"""Cost and gradients from one function, with the gradients recorded one by one."""

# ruff: noqa: N803 - arrays have the names that the guide gives them

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.program import jitted, normal, unroll
from benchmarks.programs.value_and_grad import value_and_grad
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload

UNITS = 64


def _make(scale: Scale) -> Contenders:
    rng = np.random.default_rng(0)
    array = partial(normal, rng)
    x = array(scale.steps(500, quick=50), 8, UNITS)
    parameters = (*(array(UNITS, UNITS, scale=0.5 / UNITS**0.5) for _ in range(2)), array(UNITS))
    return Contenders(
        loopjax=Symbolic(value_and_grad, (x,), parameters),
        plain=lambda: jitted(_plain, x, *parameters),
        tuned=lambda: jitted(_tuned, x, *parameters),
    )


def _cost(x: Any, W_in: Any, W: Any, b: Any) -> Any:
    def step(h_tm1: Any, x_t: Any) -> tuple[Any, Any]:
        h_t = jnp.tanh(x_t @ W_in + h_tm1 @ W + b)
        return h_t, h_t

    h = lax.scan(step, jnp.zeros_like(x[0]), x)[1]
    return (h**2).mean()


def _plain(*arrays: Any) -> list[Any]:
    value, gradients = jax.value_and_grad(_cost, argnums=(1, 2, 3))(*arrays)
    return [value, *gradients]


def _tuned(x: Any, W_in: Any, W: Any, b: Any) -> list[Any]:
    """Input products before the loop; reverse loop by hand, the gradient of each matrix one product after it."""

    def forward(h_tm1: Any, x_t: Any) -> tuple[Any, Any]:
        h_t = jnp.tanh(h_tm1 @ W + x_t)
        return h_t, h_t

    start = jnp.zeros_like(x[0])
    _, h = lax.scan(forward, start, x @ W_in + b, unroll=unroll(1, 8))
    back = W.T

    def reverse(z_tp1: Any, inputs: tuple[Any, Any]) -> tuple[Any, Any]:
        into, slope = inputs
        z_t = (z_tp1 @ back + into) * slope
        return z_t, z_t

    _, z = lax.scan(reverse, start, (h * (2 / h.size), 1 - h * h), reverse=True, unroll=unroll(1, 8))
    flat = z.reshape(-1, z.shape[-1])
    before = jnp.concatenate([start[None], h[:-1]]).reshape(flat.shape)
    return [(h**2).mean(), x.reshape(flat.shape).T @ flat, before.T @ flat, flat.sum(0)]


WORKLOADS = (
    Workload(
        "value-and-grad", "cost and three gradients of a network, T=500, batch 8, 64 units", _make, compare=close(1e-4)
    ),
)
