"""Calls with almost no computation, to measure the overhead of a call."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from benchmarks.program import Program, jitted, on_device
from benchmarks.programs.small_call import add_one, counter
from benchmarks.symbolic import Symbolic
from benchmarks.workload import Contenders, Scale, Workload


def _add_one(scale: Scale) -> Contenders:
    value = on_device(np.float32(1.0))
    return Contenders(Symbolic(add_one, (value,)), lambda: jitted(lambda x: x + 1, value))


def _counter(scale: Scale) -> Contenders:
    start = np.int32(0)

    def plain() -> Program:
        count: Any = on_device(start)

        @jax.jit
        def step(count: Any) -> tuple[Any, Any]:
            return count, count + 1

        def call() -> Any:
            nonlocal count
            value, count = step(count)
            return value

        return Program(call, lambda: (step.lower(count),))

    return Contenders(Symbolic(counter, shared=(start,)), plain)


WORKLOADS = (
    Workload("small-call", "x + 1 on a scalar", _add_one, wait="sample", grows_to=0),
    Workload("small-call-shared", "a counter in a shared variable", _counter, wait="sample", grows_to=0),
)
