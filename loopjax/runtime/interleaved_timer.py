"""Two ways to run the same, measured in turn: what else a machine does meanwhile falls on both."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

MOST = 41
"""Pairs after which what is not decided stays so."""

DOUBT = 0.01
"""How probable it may be that the median lies below its lower bound, or above its upper one."""

HOPELESS = 1.25
"""What takes so many times as long in both of the first pairs is not measured further."""

Sample = Callable[[], float]
"""Runs and says for how many seconds."""


class Ratio(NamedTuple):
    """The median of a ratio of times, and bounds of it. There are none, 0 and infinity, for few pairs."""

    median: float
    low: float
    high: float


def compare(base: Sample, other: Sample, least: float, until: float) -> Ratio:
    """The time of ``other`` in that of ``base``: until it is beyond doubt on which side of ``least`` it is, or until
    the clock says so, ``time.perf_counter``."""
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
    """The median with bounds that take no distribution for granted.

    As many values lie below the true median as heads come up for a coin thrown so often.
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
