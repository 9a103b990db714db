"""Linear recurrence, sequential and, if the mode allows it, parallel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

import loopjax
from benchmarks.compare import close
from benchmarks.program import Program, jitted, normal, on_device, on_gpu, symbolic, unroll
from benchmarks.programs.linear import linear
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload
from loopjax.runtime.mode import read_mode


def _make(parallel: bool, scale: Scale) -> Contenders:
    steps = scale.steps(65_536, quick=4_096)
    rng = np.random.default_rng(0)
    data = (on_device(rng.uniform(0.8, 1.0, (steps, 16)).astype("float32")), normal(rng, steps, 16))

    def free() -> Program:
        mode = replace(read_mode(None), reassociate=True)
        return symbolic(linear(loopjax, mode=mode), *data)

    return Contenders(
        loopjax=free if parallel else Symbolic(linear, data),
        plain=lambda: jitted(_in_order(1), *data),
        tuned=lambda: jitted(_tuned(parallel), *data),
    )


def _in_order(several: int) -> Callable[..., Any]:
    def loop(a: Any, b: Any) -> Any:
        def step(h: Any, inputs: tuple[Any, Any]) -> tuple[Any, Any]:
            a_t, b_t = inputs
            h = a_t * h + b_t
            return h, h

        return lax.scan(step, jnp.zeros_like(b[0]), (a, b), unroll=several)[1]

    return loop


def _tuned(parallel: bool) -> Callable[..., Any]:
    """Parallel on an accelerator, where the launch of a step costs more than its work; on a CPU unrolled by eight."""
    if not parallel or not on_gpu():
        return _in_order(unroll(8, 16))

    def combine(first: tuple[Any, Any], then: tuple[Any, Any]) -> tuple[Any, Any]:
        return first[0] * then[0], then[0] * first[1] + then[1]

    return lambda a, b: lax.associative_scan(combine, (a, b))[1]


WHAT = "h = a(t) h + b(t), T=65,536, 16 values"
WORKLOADS = (
    Workload("linear", WHAT, partial(_make, False), compare=close(1e-4)),
    Workload("linear-reassociate", f"{WHAT}, in any order", partial(_make, True), compare=close(1e-4)),
)
