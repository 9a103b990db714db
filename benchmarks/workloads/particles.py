"""Particle filter of stochastic volatility. Draws differ, so estimated likelihoods are compared up to chance."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import near
from benchmarks.program import Program, on_device
from benchmarks.programs.particles import particles
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload


def _make(scale: Scale) -> Contenders:
    steps, count = scale.steps(200, quick=50), scale.pick(1_000, quick=500)
    rng = np.random.default_rng(0)
    x, seen = 0.0, []
    for _ in range(steps):
        x = 0.95 * x + 0.3 * rng.normal()
        seen.append(np.exp(x / 2) * rng.normal())
    y = on_device(np.array(seen, "float32"))
    return Contenders(
        loopjax=Symbolic(particles, (y,), options={"count": count}),
        plain=lambda: _by_hand(y, count, ahead=False),
        tuned=lambda: _by_hand(y, count, ahead=True),
    )


def _by_hand(y: jax.Array, count: int, ahead: bool) -> Program:
    """``ahead``: makes all draws before the loop and resamples by counting the marks below each sum, without a search;
    else draws at each step and searches."""

    def draws(key: Any, *steps: int) -> tuple[Any, Any]:
        noise, offset = jax.random.split(key)
        return jax.random.normal(noise, (*steps, count)), jax.random.uniform(offset, steps)

    def resampled(x: Any, total: Any, offset: Any) -> Any:
        if not ahead:
            marks = (jnp.arange(count) + offset) * (total[-1] / count)
            return x[jnp.clip(jnp.searchsorted(total, marks), 0, count - 1)]
        below = jnp.clip(jnp.ceil(total * (count / total[-1]) - offset), 0, count).astype("int32")
        chosen = jnp.cumsum(jnp.zeros(count + 1, "int32").at[below].add(1))[:count]
        return x[jnp.clip(chosen, 0, count - 1)]

    def moved(x: Any, y_t: Any, noise: Any, offset: Any) -> tuple[Any, Any]:
        x = 0.95 * x + 0.3 * noise
        score = -0.5 * (x + y_t**2 * jnp.exp(-x))
        best = score.max()
        total = jnp.cumsum(jnp.exp(score - best))
        return resampled(x, total, offset), best + jnp.log(total[-1] / count)

    def likelihood(key: Any, y: Any) -> tuple[Any, Any]:
        key, used = jax.random.split(key)
        start = jnp.zeros(count, y.dtype)
        if ahead:
            step = lambda x, inputs: moved(x, *inputs)  # noqa: E731
            return lax.scan(step, start, (y, *draws(used, len(y))))[1].sum(), key

        def drawing(carry: tuple[Any, Any], y_t: Any) -> tuple[tuple[Any, Any], Any]:
            x, key = carry
            key, used = jax.random.split(key)
            x, term = moved(x, y_t, *draws(used))
            return (x, key), term

        return lax.scan(drawing, (start, used), y)[1].sum(), key

    compiled = jax.jit(likelihood)
    key = jax.random.key(1234)

    def call() -> Any:
        nonlocal key
        found, key = compiled(key, y)
        return found

    return Program(call, lambda: (compiled.lower(key, y),))


WORKLOADS = (
    Workload("particles", "stochastic volatility, 1,000 particles, T=200", _make, compare=near(0.05), grows_to=10_000),
)
