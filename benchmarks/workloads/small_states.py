"""Many small states with the same update, each written as a separate state, and the gradient of their last values.
From 32 values per state on, one array for all no longer pays."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import loopjax as aesara
import loopjax.tensor as at
from benchmarks.compare import close
from benchmarks.program import Program, jitted, on_device, symbolic, unroll
from benchmarks.workload import Contenders, Scale, Workload

STEPS = 1_000


def _make(count: int, size: int, gradient: bool, scale: Scale) -> Contenders:
    steps = scale.steps(STEPS, quick=20)
    rng = np.random.default_rng(0)
    shape = (size,) if size > 1 else ()
    starts = tuple(on_device(rng.normal(size=shape)) for _ in range(count))
    weights = tuple(on_device(rng.uniform(0.5, 1, size=shape)) for _ in range(count))
    values = (*starts, *weights)
    return Contenders(
        loopjax=lambda: _loopjax(values, steps, gradient),
        plain=lambda: _jax(_plain, values, steps, gradient),
        tuned=lambda: _jax(_tuned, values, steps, gradient),
    )


def _loopjax(values: tuple[jax.Array, ...], steps: int, gradient: bool) -> Program:
    count = len(values) // 2
    inputs = [at.tensor("float64", shape=(None,) * value.ndim) for value in values]

    def step(*args: Any) -> list[Any]:
        h, w = args[:count], args[count:]
        return [at.tanh(h[i] * w[i] + 0.1 * h[(i + 1) % count]) for i in range(count)]

    outs, _ = aesara.scan(step, outputs_info=inputs[:count], non_sequences=inputs[count:], n_steps=steps)
    cost = at.stack([out[-1] for out in outs]).sum()
    return symbolic(aesara.function(inputs, aesara.grad(cost, inputs) if gradient else cost), *values)


def _plain(steps: int, *values: Any) -> Any:
    count = len(values) // 2
    w = values[count:]

    def step(h: Any, _: None) -> tuple[Any, None]:
        return tuple(jnp.tanh(h[i] * w[i] + 0.1 * h[(i + 1) % count]) for i in range(count)), None

    return jnp.stack(lax.scan(step, values[:count], None, length=steps)[0]).sum()


def _tuned(steps: int, *values: Any) -> Any:
    """All states as rows of one array."""
    count = len(values) // 2
    w = jnp.stack(values[count:])

    def step(h: Any, _: None) -> tuple[Any, None]:
        return jnp.tanh(h * w + 0.1 * jnp.concatenate([h[1:], h[:1]])), None

    return lax.scan(step, jnp.stack(values[:count]), None, length=steps, unroll=unroll(1, 16))[0].sum()


def _jax(run: Any, values: tuple[jax.Array, ...], steps: int, gradient: bool) -> Program:
    cost = partial(run, steps)
    given = jax.grad(cost, argnums=tuple(range(len(values)))) if gradient else cost
    return jitted(lambda *args: list(given(*args)) if gradient else given(*args), *values, wide=True)


WORKLOADS = (
    Workload("states", "16 scalar states, 1,000 steps", partial(_make, 16, 1, False), close(1e-9)),
    Workload("states-grad", "its gradient in starts and weights", partial(_make, 16, 1, True), close(1e-9)),
    Workload("states-wide-grad", "the same of 16 states of 64 values", partial(_make, 16, 64, True), close(1e-9)),
)
