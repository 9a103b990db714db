"""Interleaved A/B timing: two programs are measured in turn, so that other load on the machine falls on both."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

MOST = 41
"""Most pairs of samples."""

DOUBT = 0.01
"""Probability that the true median lies outside of its bounds, on each side."""

HOPELESS = 1.25
"""Ratio in both of the first two pairs at which measuring stops."""

Sample = Callable[[], float]
"""Runs a program and returns the seconds it took."""


class Ratio(NamedTuple):
    """The median of a ratio of times and its confidence bounds; 0 and infinity for too few pairs."""

    median: float
    low: float
    high: float


def compare(base: Sample, other: Sample, least: float, until: float) -> Ratio:
    """Ratio of the time of ``other`` to that of ``base``.

    Stops when the bounds of the median exclude ``least``, or when ``time.perf_counter`` reaches ``until``.
    """
    ratios: list[float] = []
    found = Ratio(1.0, 0.0, math.inf)
    while len(ratios) < MOST and time.perf_counter() < until:
        before = base()
        ratios.append(other() / before)
        found = median(ratios)
        if found.high < least or found.low > least or (len(ratios) == 2 and min(ratios) > HOPELESS):
            break
    return found


def median(values: Sequence[float]) -> Ratio:
    """The median with distribution-free bounds, from the order statistics.

    The number of values below the true median has the binomial distribution of fair coins (the sign test).
    """
    ordered, count = sorted(values), len(values)
    middle = (ordered[(count - 1) // 2] + ordered[count // 2]) / 2
    outside, chance = 0, 0.5**count
    while chance <= DOUBT:
        outside += 1
        chance += math.comb(count, outside) * 0.5**count
    if not outside:
        return Ratio(middle, 0.0, math.inf)
    return Ratio(middle, ordered[outside - 1], ordered[-outside])
