"""The rewrites, in order: before a call's shapes are known, and after."""

from __future__ import annotations

from loopjax.rewrite.count_first import CountFirst
from loopjax.rewrite.driver import Pass
from loopjax.rewrite.fold import FoldSteps
from loopjax.rewrite.gather import Gather
from loopjax.rewrite.keep import KeepRead
from loopjax.rewrite.merge import Merge
from loopjax.rewrite.plan import PlanLoops
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

SIZED: tuple[Pass, ...] = (PlanLoops(),)
"""For each set of shapes and lengths; the last writes the plan of every loop."""
