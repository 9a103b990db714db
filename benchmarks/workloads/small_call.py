"""Calls that compute next to nothing: what is left is the cost of a call."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

import loopjax as aesara
import loopjax.tensor as at
from benchmarks.program import Program, jitted, on_device, symbolic
from benchmarks.workload import Contenders, Workload


def _add_one(quick: bool) -> Contenders:
    value = on_device(np.float32(1.0))

    def loopjax() -> Program:
        x = at.fscalar("x")
        return symbolic(aesara.function([x], x + 1), value)

    return Contenders(loopjax, lambda: jitted(lambda x: x + 1, value))


def _counter(quick: bool) -> Contenders:
    start = np.int32(0)

    def loopjax() -> Program:
        counter = aesara.shared(start)
        return symbolic(aesara.function([], counter, updates=[(counter, counter + 1)]))

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

    return Contenders(loopjax, plain)


WORKLOADS = (
    Workload("small-call", "x + 1 on a scalar", _add_one, wait="sample"),
    Workload("small-call-shared", "a counter in a shared variable", _counter, wait="sample"),
)
