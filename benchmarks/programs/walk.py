"""First-order autoregression with random input: ``x(t) = 0.9 x(t-1) + e(t)``, ``e(t)`` standard normal."""

from __future__ import annotations

from importlib import import_module
from typing import Any

KEPT = 0.9
BOUND = 100.0
"""About 44 standard deviations away."""


def walk(aesara: Any, steps: int, until: bool) -> Any:
    """Mean square of all steps from ``x0``, float32; with ``until``, of the steps up to ``BOUND``."""
    at, random = aesara.tensor, import_module(f"{aesara.__name__}.tensor.random.utils")
    trng = random.RandomStream(1234)
    x0 = at.fscalar("x0")

    def step(x: Any) -> Any:
        x = at.cast(KEPT * x + trng.normal(size=(), dtype="float32"), "float32")
        return (x, import_module(f"{aesara.__name__}.scan.utils").until(x > BOUND)) if until else x

    x, updates = aesara.scan(fn=step, outputs_info=x0, n_steps=steps)
    return aesara.function([x0], at.cast((x**2).mean(), "float32"), updates=updates)
