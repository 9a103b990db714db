"""Recurrence with a deep tap: ``h(t) = tanh(a h(t-1) + b h(t-depth) + u(t))``."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.program import Program, jitted, on_device, unroll
from benchmarks.programs.deep_taps import deep_taps
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload

WIDTH = 64


class Data(NamedTuple):
    """``a`` and ``b (width,)``, ``u (T, width)``, ``h0 (depth, width)``; ``depth`` divides ``T``. float64."""

    a: Any
    b: Any
    u: Any
    h0: Any


def _data(depth: int, steps: int) -> Data:
    rng = np.random.default_rng(0)
    return Data(
        a=on_device(rng.uniform(0.1, 0.5, WIDTH)),
        b=on_device(rng.uniform(0.1, 0.5, WIDTH)),
        u=on_device(rng.normal(size=(steps, WIDTH))),
        h0=on_device(rng.normal(size=(depth, WIDTH))),
    )


def _make(most: int, gradient: bool, scale: Scale) -> Contenders:
    steps = scale.steps(5_000, quick=500)
    depth = min(most, 100 if scale.quick else steps)
    data = _data(depth, steps)
    return Contenders(
        loopjax=Symbolic(deep_taps, data, options={"depth": depth, "gradient": gradient}),
        plain=lambda: _plain(data, gradient),
        tuned=lambda: jitted(_tuned_grad if gradient else _tuned, *data, wide=True),
    )


def _plain(data: Data, gradient: bool) -> Program:
    def network(*arrays: Any) -> Any:
        d = Data(*arrays)

        def step(window: Any, u_t: Any) -> tuple[Any, Any]:
            h_t = jnp.tanh(d.a * window[-1] + d.b * window[0] + u_t)
            return jnp.concatenate([window[1:], h_t[None]]), h_t

        return lax.scan(step, d.h0, d.u)[1]

    def cost(*arrays: Any) -> Any:
        return (network(*arrays) ** 2).sum()

    return jitted(jax.grad(cost, argnums=(0, 1)) if gradient else network, *data, wide=True)


def _blocks(x: Any, depth: int) -> Any:
    return x.reshape(-1, depth, x.shape[-1])


def _unroll(depth: int) -> int:
    """Unroll factor: a whole short block, else a few of its steps."""
    return depth if depth <= 16 else unroll(4, 16)


def _tuned(*arrays: Any) -> Any:
    """Blocks of ``depth`` steps: within a block the far tap reads the block before as a sequence."""
    d = Data(*arrays)

    def block(before: Any, u: Any) -> tuple[Any, Any]:
        def step(h_tm1: Any, inputs: tuple[Any, Any]) -> tuple[Any, Any]:
            h_far, u_t = inputs
            h_t = jnp.tanh(d.a * h_tm1 + d.b * h_far + u_t)
            return h_t, h_t

        _, h = lax.scan(step, before[-1], (before, u), unroll=_unroll(len(d.h0)))
        return h, h

    return lax.scan(block, d.h0, _blocks(d.u, len(d.h0)))[1].reshape(d.u.shape)


def _tuned_grad(*arrays: Any) -> list[Any]:
    """Reverse loop by hand, in the same blocks, with the sums over steps after it."""
    d = Data(*arrays)
    h = _tuned(*arrays)
    several = _unroll(len(d.h0))
    slopes, into = _blocks(1 - h * h, len(d.h0)), _blocks(2 * h, len(d.h0))

    def block(carry: tuple[Any, Any], inputs: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
        later, z = carry
        slope, from_cost = inputs

        def step(z_tp1: Any, inputs: tuple[Any, Any]) -> tuple[Any, Any]:
            slope_t, into_t = inputs
            z_t = (d.a * z_tp1 + into_t) * slope_t
            return z_t, z_t

        z, block_z = lax.scan(step, z, (slope, from_cost + d.b * later), reverse=True, unroll=several)
        return (block_z, z), block_z

    _, z = lax.scan(block, (jnp.zeros_like(d.h0), jnp.zeros_like(d.a)), (slopes, into), reverse=True)
    z = z.reshape(h.shape)
    past = jnp.concatenate([d.h0, h])
    near, far = past[len(d.h0) - 1 : -1], past[: len(h)]
    return [(z * near).sum(0), (z * far).sum(0)]


def _family(depth: int) -> tuple[Workload, Workload]:
    what = f"tap -{depth:,}, T=5,000, 64 values"
    return (
        Workload(f"deep-taps-{depth}", f"{what}, forward", partial(_make, depth, False)),
        Workload(f"deep-taps-{depth}-grad", f"{what}, gradient", partial(_make, depth, True)),
    )


WORKLOADS = (*_family(1_000), *_family(10))
