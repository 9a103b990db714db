"""The guide's Gibbs chain. The order of draws differs, so frequencies are compared instead of draws."""

# ruff: noqa: N803 - arrays have the names that the guide gives them

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax

from benchmarks.compare import same_frequencies
from benchmarks.program import Program, on_device
from benchmarks.programs.gibbs import gibbs
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload

AT_ONCE = 10
"""Steps whose draws ``tuned`` makes together."""


class Data(NamedTuple):
    """``sample (batch, visible)`` of 0 and 1, weights and biases, float32."""

    sample: Any
    W: Any
    bvis: Any
    bhid: Any


def _data(quick: bool) -> Data:
    rng = np.random.default_rng(0)
    visible, hidden = (98, 60) if quick else (784, 500)
    arrays = (
        rng.uniform(size=(64, visible)) < 0.5,
        0.05 * rng.normal(size=(visible, hidden)),
        rng.normal(size=visible),
        rng.normal(size=hidden),
    )
    return Data(*(on_device(array.astype("float32")) for array in arrays))


def _make(steps: int, scale: Scale) -> Contenders:
    data, steps = _data(scale.quick), scale.steps(steps, quick=10)
    return Contenders(
        loopjax=Symbolic(gibbs, (data.sample,), data[1:], {"steps": steps}),
        plain=lambda: _plain(data, steps),
        tuned=lambda: _tuned(data, steps),
    )


def _chained(chain: Any, data: Data) -> Program:
    """Each call draws from the key that the previous call returned."""
    compiled = jax.jit(chain)
    key = jax.random.key(1234)

    def call() -> Any:
        nonlocal key
        values, key = compiled(key, *data)
        return values

    return Program(call, lambda: (compiled.lower(key, *data),))


def _plain(data: Data, steps: int) -> Program:
    def chain(key: Any, sample: Any, W: Any, bvis: Any, bhid: Any) -> tuple[Any, Any]:
        def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], Any]:
            key, v = carry
            key, of_h, of_v = jax.random.split(key, 3)
            h = jax.random.bernoulli(of_h, jax.nn.sigmoid(v @ W + bhid)).astype(W.dtype)
            v = jax.random.bernoulli(of_v, jax.nn.sigmoid(h @ W.T + bvis)).astype(W.dtype)
            return (key, v), v

        (key, _), values = lax.scan(step, (key, sample), None, length=steps)
        return values[-1], key

    return _chained(chain, data)


def _tuned(data: Data, steps: int) -> Program:
    """Uniform numbers of several steps at once, outside the loop that uses them; only the last sample is stored."""

    def chain(key: Any, sample: Any, W: Any, bvis: Any, bhid: Any) -> tuple[Any, Any]:
        visible, hidden = W.shape

        def step(v: Any, u: Any) -> tuple[Any, None]:
            h = (u[:, :hidden] < jax.nn.sigmoid(v @ W + bhid)).astype(W.dtype)
            return (u[:, hidden:] < jax.nn.sigmoid(h @ W.T + bvis)).astype(W.dtype), None

        def several(v: Any, key: Any) -> tuple[Any, None]:
            u = jax.random.uniform(key, (AT_ONCE, len(sample), hidden + visible))
            return lax.scan(step, v, u)[0], None

        key, used = jax.random.split(key)
        return lax.scan(several, sample, jax.random.split(used, steps // AT_ONCE))[0], key

    return _chained(chain, data)


def _workload(steps: int) -> Workload:
    what = f"the guide's chain, 784 x 500, {steps:,} steps, batch 64"
    return Workload(f"gibbs-{steps}", what, partial(_make, steps), compare=same_frequencies(mean=0.03, rms=0.13))


WORKLOADS = (_workload(10), _workload(1_000))
