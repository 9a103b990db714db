"""Ordinary differential equation by Runge-Kutta steps, many runs at once."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.program import jitted, on_device, on_gpu
from benchmarks.programs.ode import DT, MU, ode
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload


def _make(scale: Scale) -> Contenders:
    steps = scale.steps(1_000, quick=100)
    rng = np.random.default_rng(0)
    x, v = (on_device(rng.normal(size=1_000)) for _ in range(2))

    def slope(state: Any) -> Any:
        x, v = state
        return jnp.stack([v, MU * (1 - x**2) * v - x])

    def plain(x: Any, v: Any) -> list[Any]:
        def step(y: Any, _: None) -> tuple[Any, Any]:
            k1 = slope(y)
            k2 = slope(y + DT / 2 * k1)
            k3 = slope(y + DT / 2 * k2)
            k4 = slope(y + DT * k3)
            y = y + DT / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            return y, y

        return list(lax.scan(step, jnp.stack([x, v]), None, length=steps)[1][-1])

    def tuned(x: Any, v: Any) -> list[Any]:
        """Position and velocity as one complex number, so that a step is one fused loop without repeated work; runs in
        two halves, one after the other, so that threads do not share a loop; only the last values are stored. On a GPU
        all runs at once, several steps per iteration."""

        def push(v: Any, x: Any) -> Any:
            return MU * (1 - x * x) * v - x

        def step(_: Any, state: Any) -> Any:
            x, v = state.real, state.imag
            a1 = push(v, x)
            v2 = v + DT / 2 * a1
            a2 = push(v2, x + DT / 2 * v)
            v3 = v + DT / 2 * a2
            a3 = push(v3, x + DT / 2 * v2)
            v4 = v + DT * a3
            a4 = push(v4, x + DT * v3)
            return lax.complex(x + DT / 6 * (v + 2 * v2 + 2 * v3 + v4), v + DT / 6 * (a1 + 2 * a2 + 2 * a3 + a4))

        if on_gpu():
            last = lax.fori_loop(0, steps, step, lax.complex(x, v), unroll=16)
            return [last.real, last.imag]
        halves = lax.complex(x, v).reshape(2, -1)
        last = lax.map(lambda half: lax.fori_loop(0, steps, step, half), halves).ravel()
        return [last.real, last.imag]

    return Contenders(
        loopjax=Symbolic(ode, (x, v), options={"steps": steps}),
        plain=lambda: jitted(plain, x, v, wide=True),
        tuned=lambda: jitted(tuned, x, v, wide=True),
    )


WORKLOADS = (Workload("ode", "Van der Pol by Runge-Kutta, 1,000 runs, 1,000 steps, last only", _make),)
