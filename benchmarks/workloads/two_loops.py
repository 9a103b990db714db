"""Two loops of equal length: of scalars, where fusion pays; of larger states, where it does not on a CPU; and with a
state that both compute, each for a different output."""

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
from benchmarks.program import Program, jitted, on_device, on_gpu, symbolic, unroll
from benchmarks.workload import Contenders, Scale, Workload

STEPS = 5_000


def _make(size: int, scale: Scale) -> Contenders:
    rng = np.random.default_rng(0)
    shape = (size,) if size > 1 else ()
    x = on_device(rng.normal(size=(scale.steps(STEPS, quick=50), *shape)))
    h0, w = on_device(rng.normal(size=shape)), on_device(rng.uniform(0.5, 1, size=shape))
    return Contenders(
        loopjax=lambda: _loopjax(x, h0, w),
        plain=lambda: jitted(_plain, x, h0, w, wide=True),
        tuned=lambda: jitted(_one_loop if size == 1 or on_gpu() else _plain, x, h0, w, wide=True),
    )


def _loopjax(*values: jax.Array) -> Program:
    x, h0, w = (at.tensor("float64", shape=(None,) * value.ndim) for value in values)
    first, _ = aesara.scan(lambda x, h, w: at.tanh(h * w + x), sequences=x, outputs_info=h0, non_sequences=w)
    second, _ = aesara.scan(lambda x, h, w: at.sin(h * w - x), sequences=x, outputs_info=h0, non_sequences=w)
    return symbolic(aesara.function([x, h0, w], [first, second]), *values)


def _plain(x: Any, h0: Any, w: Any) -> list[Any]:
    def first(h: Any, row: Any) -> tuple[Any, Any]:
        h = jnp.tanh(h * w + row)
        return h, h

    def second(h: Any, row: Any) -> tuple[Any, Any]:
        h = jnp.sin(h * w - row)
        return h, h

    return [lax.scan(first, h0, x)[1], lax.scan(second, h0, x)[1]]


def _one_loop(x: Any, h0: Any, w: Any) -> list[Any]:
    def step(carry: tuple[Any, Any], row: Any) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        h, g = carry
        carry = jnp.tanh(h * w + row), jnp.sin(g * w - row)
        return carry, carry

    return list(lax.scan(step, (h0, h0), x, unroll=unroll(1, 16))[1])


def _make_same(size: int, scale: Scale) -> Contenders:
    rng = np.random.default_rng(0)
    n = scale.pick(size, quick=16)
    x = on_device(rng.normal(size=(scale.steps(500, quick=20), n)))
    h0, w = on_device(rng.normal(size=n)), on_device(rng.normal(size=(n, n)) / n**0.5)
    return Contenders(
        loopjax=lambda: _same(x, h0, w),
        plain=lambda: jitted(_plain_same, x, h0, w, wide=True),
        tuned=lambda: jitted(_tuned_same, x, h0, w, wide=True),
    )


def _same(*values: jax.Array) -> Program:
    x, h0, w = (at.tensor("float64", shape=(None,) * value.ndim) for value in values)
    states, _ = aesara.scan(lambda x, h, w: at.tanh(at.dot(w, h) + x), sequences=x, outputs_info=h0, non_sequences=w)
    # The same network with another output and a state that nobody reads.
    (_, norms, _), _ = aesara.scan(
        lambda x, h, g, w: [at.tanh(at.dot(w, h) + x), (h**2).sum(), at.tanh(at.dot(w, g))],
        sequences=x,
        outputs_info=[h0, None, h0],
        non_sequences=w,
    )
    return symbolic(aesara.function([x, h0, w], [states, norms]), *values)


def _plain_same(x: Any, h0: Any, w: Any) -> list[Any]:
    def state(h: Any, row: Any) -> tuple[Any, Any]:
        h = jnp.tanh(w @ h + row)
        return h, h

    def norm(carry: tuple[Any, Any], row: Any) -> tuple[tuple[Any, Any], tuple[Any, ...]]:
        h, g = carry
        carry = jnp.tanh(w @ h + row), jnp.tanh(w @ g)
        return carry, (carry[0], (h**2).sum(), carry[1])

    return [lax.scan(state, h0, x)[1], lax.scan(norm, (h0, h0), x)[1][1]]


def _tuned_same(x: Any, h0: Any, w: Any) -> list[Any]:
    def step(h: Any, row: Any) -> tuple[Any, tuple[Any, Any]]:
        new = jnp.tanh(w @ h + row)
        return new, (new, (h**2).sum())

    return list(lax.scan(step, h0, x, unroll=unroll(1, 8))[1])


WORKLOADS = (
    Workload("two-loops", "two loops over scalars, 5,000 steps", partial(_make, 1), close(1e-9)),
    Workload("two-loops-wide", "the same over 64 values", partial(_make, 64), close(1e-9)),
    Workload("same-state", "two loops with one state of 128 units", partial(_make_same, 128), close(1e-9)),
)
