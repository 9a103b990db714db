"""Particle filter of stochastic volatility: ``x(t) = 0.95 x(t-1) + 0.3 e(t)``, ``y(t)`` normal with variance
``exp(x(t))``; systematic resampling at every step (Gordon, Salmond and Smith 1993; Kitagawa 1996)."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def particles(aesara: Any, count: int) -> Any:
    """Estimate of the log-likelihood of ``y (T,)``, up to a constant, float32."""
    at, random = aesara.tensor, import_module(f"{aesara.__name__}.tensor.random.utils")
    trng = random.RandomStream(1234)
    y = at.fvector("y")
    grid = at.arange(count, dtype="float32")

    def step(y_t: Any, x_tm1: Any) -> list[Any]:
        x = at.cast(0.95 * x_tm1 + 0.3 * trng.normal(size=(count,), dtype="float32"), "float32")
        score = -0.5 * (x + y_t**2 * at.exp(-x))
        best = score.max()
        weights = at.exp(score - best)
        total = at.cumsum(weights)
        marks = at.cast((grid + trng.uniform(size=(), dtype="float32")) * (total[-1] / count), "float32")
        chosen = at.clip(at.searchsorted(total, marks), 0, count - 1)
        return [x[chosen], best + at.log(total[-1] / count)]

    (_, terms), updates = aesara.scan(
        fn=step, sequences=y, outputs_info=[at.zeros((count,), dtype="float32"), None], non_sequences=[]
    )
    return aesara.function([y], at.cast(terms.sum(), "float32"), updates=updates)
