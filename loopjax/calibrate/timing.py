"""Timers of compiled programs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import jax

SAMPLE = 2e-3
"""Least seconds of a sample: a faster program runs several times."""


def sampler(call: Callable[[], Any], least: float = SAMPLE) -> Callable[[], float]:
    """Return a timer of a program, in seconds per call; compiles it first."""
    wait: Any = jax.block_until_ready
    wait(call())
    start = time.perf_counter()
    wait(call())
    repeats = max(round(least / (time.perf_counter() - start)), 1)

    def sample() -> float:
        start = time.perf_counter()
        for _ in range(repeats):
            wait(call())
        return (time.perf_counter() - start) / repeats

    return sample


def least(call: Callable[[], Any], samples: int = 5) -> float:
    """Seconds of a call, the least of some samples, which noise reaches least."""
    sample = sampler(call)
    return min(sample() for _ in range(samples))
