"""Several small loops of equal length, and a loop of many small states."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.program import jitted, normal, unroll
from benchmarks.programs.many import averages, ring
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload

RATES = [0.5, 0.2, 0.1, 0.05]
COUNT = 32


def _averages(scale: Scale) -> Contenders:
    x = normal(np.random.default_rng(0), scale.steps(10_000, quick=1_000), 8)

    def plain(x: Any) -> list[Any]:
        def average(rate: float) -> Any:
            def step(mean: Any, x_t: Any) -> tuple[Any, Any]:
                mean = mean + rate * (x_t - mean)
                return mean, mean

            return lax.scan(step, jnp.zeros_like(x[0]), x)[1]

        return [average(rate) for rate in RATES]

    def tuned(x: Any) -> list[Any]:
        """One loop, with the states of all rates in one array."""
        rates = jnp.array(RATES, x.dtype)[:, None]

        def step(mean: Any, x_t: Any) -> tuple[Any, Any]:
            mean = mean + rates * (x_t - mean)
            return mean, mean

        found = lax.scan(step, jnp.zeros((len(RATES), x.shape[1]), x.dtype), x, unroll=unroll(4, 16))[1]
        return [found[:, k] for k in range(len(RATES))]

    return Contenders(
        loopjax=Symbolic(averages, (x,), options={"rates": RATES}),
        plain=lambda: jitted(plain, x),
        tuned=lambda: jitted(tuned, x),
    )


def _ring(scale: Scale) -> Contenders:
    steps = scale.steps(1_000, quick=100)
    start = normal(np.random.default_rng(0), COUNT)

    def plain(start: Any) -> Any:
        def step(states: tuple[Any, ...], _: None) -> tuple[tuple[Any, ...], None]:
            after = (*states[1:], states[0])
            return tuple(jnp.tanh(one + 0.1 * (other - one)) for one, other in zip(states, after, strict=True)), None

        last = lax.scan(step, tuple(start[i] for i in range(COUNT)), None, length=steps)[0]
        return sum(one**2 for one in last)

    def tuned(start: Any) -> Any:
        """One vector of all states."""

        def step(states: Any, _: None) -> tuple[Any, None]:
            return jnp.tanh(states + 0.1 * (jnp.roll(states, -1) - states)), None

        return (lax.scan(step, start, None, length=steps, unroll=unroll(1, 16))[0] ** 2).sum()

    return Contenders(
        loopjax=Symbolic(ring, (start,), options={"count": COUNT, "steps": steps}),
        plain=lambda: jitted(jax.grad(plain), start),
        tuned=lambda: jitted(jax.grad(tuned), start),
    )


_close = partial(close, 1e-4)
WORKLOADS = (
    Workload("four-loops", "four moving averages of 8 series, T=10,000, a loop each", _averages, compare=_close()),
    Workload("many-states-grad", "32 scalar states, T=1,000, gradient", _ring, compare=_close()),
)
