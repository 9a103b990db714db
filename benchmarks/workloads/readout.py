"""Recurrent network whose input and output products are independent of the recurrence."""

# ruff: noqa: N803 - arrays have the names that the guide gives them

from __future__ import annotations

from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.program import jitted, normal, unroll
from benchmarks.programs.readout import readout
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload

UNITS, READ = 64, 256


def _make(scale: Scale) -> Contenders:
    array = partial(normal, np.random.default_rng(0))
    steps = scale.steps(1_000, quick=100)
    data = (
        array(steps, UNITS),
        *(array(UNITS, UNITS, scale=0.5 / UNITS**0.5) for _ in range(2)),
        array(UNITS, READ, scale=0.5 / UNITS**0.5),
    )
    return Contenders(
        loopjax=Symbolic(readout, data),
        plain=lambda: jitted(_plain, *data),
        tuned=lambda: jitted(_tuned, *data),
    )


def _plain(x: Any, W_in: Any, W: Any, W_out: Any) -> Any:
    def step(h_tm1: Any, x_t: Any) -> tuple[Any, Any]:
        h_t = jnp.tanh(h_tm1 @ W + x_t @ W_in)
        return h_t, h_t @ W_out

    return lax.scan(step, jnp.zeros_like(W[0]), x)[1]


def _tuned(x: Any, W_in: Any, W: Any, W_out: Any) -> Any:
    """One product before the loop and one after it."""

    def step(h_tm1: Any, into: Any) -> tuple[Any, Any]:
        h_t = jnp.tanh(h_tm1 @ W + into)
        return h_t, h_t

    return lax.scan(step, jnp.zeros_like(W[0]), x @ W_in, unroll=unroll(4, 8))[1] @ W_out


WORKLOADS = (Workload("readout", "a network with 64 units, 256 read, T=1,000", _make, compare=close(1e-4)),)
