"""Gradient through many elementwise steps, and its memory: ``h = tanh(h * A) + 0.1 * sin(h)``."""

# ruff: noqa: N803, N806 - arrays have the names that the guide gives them

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import loopjax
from benchmarks.program import Program, jitted, on_device, on_gpu, symbolic, unroll
from benchmarks.programs.checkpoint import elementwise
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contender, Contenders, Scale, Workload
from loopjax.checkpoint import Budget

TILE = 500
"""Size of a tile: ``tuned`` runs the whole loop for these elements before the next."""


def _make(checkpoint: Any, scale: Scale) -> Contenders:
    size, steps = scale.pick(20_000, quick=2_000), scale.steps(2_000, quick=200)
    rng = np.random.default_rng(0)
    A, h0 = on_device(rng.uniform(0.5, 1.5, size)), on_device(rng.normal(size=size))
    return Contenders(
        loopjax=_symbolic(A, h0, steps, checkpoint),
        plain=lambda: _plain(A, h0, steps),
        tuned=lambda: _tuned(A, h0, steps),
    )


def _symbolic(values: jax.Array, start: jax.Array, steps: int, checkpoint: Any) -> Contender:
    if checkpoint is None:
        return Symbolic(elementwise, (values, start), options={"steps": steps})
    return lambda: symbolic(elementwise(loopjax, steps, checkpoint=checkpoint), values, start)


def _plain(values: jax.Array, start: jax.Array, steps: int) -> Program:
    def cost(A: Any, h0: Any) -> Any:
        def step(h: Any, _: None) -> tuple[Any, Any]:
            h = jnp.tanh(h * A) + 0.1 * jnp.sin(h)
            return h, h

        return lax.scan(step, h0, None, length=steps)[1][-1].sum()

    return jitted(jax.grad(cost, argnums=(0, 1)), values, start, wide=True)


def _tuned(values: jax.Array, start: jax.Array, steps: int) -> Program:
    """Elements are independent, so the loop runs tile by tile: states fit the cache, and only a tile's are stored.

    The reverse loop is by hand and recomputes the intermediate values of each step from its state.
    """

    def tile(arrays: tuple[Any, Any]) -> tuple[Any, Any]:
        A, h0 = arrays

        def forward(h: Any, _: None) -> tuple[Any, Any]:
            return jnp.tanh(h * A) + 0.1 * jnp.sin(h), h

        def reverse(carry: tuple[Any, Any], h: Any) -> tuple[tuple[Any, Any], None]:
            of_h, of_A = carry
            into = of_h * (1 - jnp.tanh(h * A) ** 2)
            return (into * A + of_h * 0.1 * jnp.cos(h), of_A + into * h), None

        _, states = lax.scan(forward, h0, None, length=steps, unroll=unroll(1, 16))
        start = jnp.ones_like(h0), jnp.zeros_like(A)
        (of_h0, of_A), _ = lax.scan(reverse, start, states, reverse=True, unroll=unroll(1, 16))
        return of_A, of_h0

    def gradient(A: Any, h0: Any) -> list[Any]:
        if on_gpu():
            return list(tile((A, h0)))
        tiles = lax.map(tile, (A.reshape(-1, TILE), h0.reshape(-1, TILE)))
        return [of.reshape(-1) for of in tiles]

    return jitted(gradient, values, start, wide=True)


WHAT = "gradient of 2,000 elementwise steps on 20,000 values"
WORKLOADS = (
    Workload("checkpoint", WHAT, partial(_make, None), peak=True, grows_to=1_000),
    Workload("checkpoint-4", f"{WHAT}, the state saved every 4 steps", partial(_make, 4), peak=True, grows_to=1_000),
    Workload("checkpoint-sqrt", f"{WHAT}, checkpoint='sqrt'", partial(_make, "sqrt"), peak=True, grows_to=1_000),
    Workload("checkpoint-log", f"{WHAT}, checkpoint='log'", partial(_make, "log"), peak=True, grows_to=1_000),
    Workload(
        "checkpoint-budget", f"{WHAT}, at most 41 states", partial(_make, Budget(states=41)), peak=True, grows_to=1_000
    ),
)
