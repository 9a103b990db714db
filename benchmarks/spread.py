"""Median and quartiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Spread:
    """Median of ``count`` samples, with the first and the third quartile."""

    median: float
    low: float
    high: float
    count: int


def spread(samples: Sequence[float]) -> Spread:
    """Spread of samples."""
    low, median, high = (float(value) for value in np.quantile(samples, (0.25, 0.5, 0.75)))
    return Spread(median, low, high, len(samples))


def ratio(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Spread of the ratios of samples from the same round, so that a slowdown of a whole round cancels."""
    return spread([a / b for a, b in zip(over, under, strict=True)])
