"""Mean-reverting random walk. Draws differ, so mean squares are compared up to chance."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from benchmarks.compare import near
from benchmarks.program import Program, on_device, unroll
from benchmarks.programs.walk import BOUND, KEPT, walk
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload

AT_ONCE = 1_000
"""Steps whose draws ``tuned`` makes together."""


def _make(until: bool, scale: Scale) -> Contenders:
    steps = scale.steps(10_000)
    return Contenders(
        loopjax=Symbolic(walk, (on_device(jnp.float32(0)),), options={"steps": steps, "until": until}),
        plain=lambda: _program(partial(_plain_until if until else _plain, steps)),
        tuned=lambda: _program(partial(_tuned_until if until else _tuned, steps)),
    )


def _program(mean: Any) -> Program:
    """Each call draws from the key that the previous call returned."""

    def run(key: Any, x0: Any) -> tuple[Any, Any]:
        key, used = jax.random.split(key)
        return mean(used, x0), key

    compiled = jax.jit(run)
    key, x0 = jax.random.key(1234), on_device(jnp.float32(0))

    def call() -> Any:
        nonlocal key
        found, key = compiled(key, x0)
        return found

    return Program(call, lambda: (compiled.lower(key, x0),))


def _plain(steps: int, key: Any, x0: Any) -> Any:
    def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], Any]:
        x, key = carry
        key, used = jax.random.split(key)
        x = KEPT * x + jax.random.normal(used)
        return (x, key), x

    return (lax.scan(step, (x0, key), None, length=steps)[1] ** 2).mean()


def _tuned(steps: int, key: Any, x0: Any) -> Any:
    def step(carry: tuple[Any, Any], e: Any) -> tuple[tuple[Any, Any], None]:
        x, total = carry
        x = KEPT * x + e
        return (x, total + x * x), None

    return lax.scan(step, (x0, jnp.float32(0)), jax.random.normal(key, (steps,)), unroll=unroll(8, 64))[0][1] / steps


def _plain_until(steps: int, key: Any, x0: Any) -> Any:
    def goes_on(state: Any) -> Any:
        t, x, _, _ = state
        return (t < steps) & (x <= BOUND)

    def step(state: Any) -> Any:
        t, x, key, total = state
        key, used = jax.random.split(key)
        x = KEPT * x + jax.random.normal(used)
        return t + 1, x, key, total + x * x

    t, _, _, total = lax.while_loop(goes_on, step, (0, x0, key, jnp.float32(0)))
    return total / t


def _tuned_until(steps: int, key: Any, x0: Any) -> Any:
    """Draws for a block of steps at once; the walk uses as many as it needs."""

    def goes_on(state: Any) -> Any:
        t, x, _ = state
        return (t < steps) & (x <= BOUND)

    def block(state: Any) -> Any:
        first = state[0]
        draws = jax.random.normal(jax.random.fold_in(key, first), (AT_ONCE,))

        def step(state: Any) -> Any:
            t, x, total = state
            x = KEPT * x + draws[t - first]
            return t + 1, x, total + x * x

        return lax.while_loop(lambda now: goes_on(now) & (now[0] < first + AT_ONCE), step, state)

    t, _, total = lax.while_loop(goes_on, block, (0, x0, jnp.float32(0)))
    return total / t


def _workload(name: str, what: str, until: bool) -> Workload:
    # With fewer steps, mean squares of correct walks differ too much to be compared.
    return Workload(name, what, partial(_make, until), compare=near(0.25), grows_to=0)


WORKLOADS = (
    _workload("walk", "an autoregression driven by chance, T=10,000", until=False),
    _workload("walk-until", "the same until a bound that it does not reach", until=True),
)
