"""The rewrites, in order: before a call's shapes are known, and after."""

from __future__ import annotations

from collections.abc import Collection

from loopjax.rewrite.check_indices import CheckIndices
from loopjax.rewrite.count_first import CountFirst
from loopjax.rewrite.driver import Pass
from loopjax.rewrite.fewer import FewerSteps
from loopjax.rewrite.fold import FoldKnown, FoldSteps
from loopjax.rewrite.gather import Gather
from loopjax.rewrite.inside import ReadInside
from loopjax.rewrite.keep import KeepRead
from loopjax.rewrite.merge import Merge
from loopjax.rewrite.plan import PlanLoops
from loopjax.rewrite.ranges import CountRanges
from loopjax.rewrite.target import Target
from loopjax.rewrite.trip_count import TripCount
from loopjax.rewrite.windows import KeepWindows


def symbolic(without: Collection[str] = ()) -> tuple[Pass, ...]:
    """The passes that run once for each function."""
    merge = () if "merge" in without else (Merge(),)
    ranges = () if "ranges" in without else (CountRanges(),)
    inside = () if "inside" in without else (ReadInside(),)
    return (
        *merge,
        Gather(),
        *merge,
        *inside,
        *ranges,
        FoldSteps(),
        KeepRead(varying="keep" in without),
        TripCount(),
        CountFirst(),
    )


FIXED: tuple[Pass, ...] = (TripCount(differentiated=True),)
"""After those, for a program that JAX may differentiate: with the lengths that are known when it traces."""


def sized(target: Target) -> tuple[Pass, ...]:
    """The passes for each set of shapes and lengths; the last writes the plan of every loop."""
    checks = (CheckIndices(),) if target.check_index else ()
    fold = (FoldKnown(target.derivative != "none"),) if "fold" in target else ()
    fewer = (FewerSteps(),) if "fewer" in target else ()
    windows = (KeepWindows(),) if "windows" in target else ()
    keep = (KeepRead(),) if "keep" in target else ()
    return (*checks, *fewer, *fold, *keep, *windows, PlanLoops(target))
