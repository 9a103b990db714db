"""The rewrites, in order: before a call's shapes are known, and after."""

from __future__ import annotations

from loopjax.rewrite.check_indices import CheckIndices
from loopjax.rewrite.count_first import CountFirst
from loopjax.rewrite.driver import Pass
from loopjax.rewrite.fold import FoldSteps
from loopjax.rewrite.gather import Gather
from loopjax.rewrite.keep import KeepRead
from loopjax.rewrite.merge import Merge
from loopjax.rewrite.plan import Derivative, PlanLoops
from loopjax.rewrite.ranges import CountRanges
from loopjax.rewrite.trip_count import TripCount

SYMBOLIC: tuple[Pass, ...] = (
    Merge(),
    Gather(),
    Merge(),
    CountRanges(),
    FoldSteps(),
    KeepRead(),
    TripCount(),
    CountFirst(),
)
"""Once for each function."""

FIXED: tuple[Pass, ...] = (TripCount(differentiated=True),)
"""After those, for a program that JAX may differentiate: with the lengths that are known when it traces."""


def sized(derivative: Derivative = "none", check_index: bool = False) -> tuple[Pass, ...]:
    """For each set of shapes and lengths; the last writes the plan of every loop. ``derivative`` may be taken of it
    all by JAX."""
    plan = PlanLoops(derivative=derivative)
    return (CheckIndices(), plan) if check_index else (plan,)
