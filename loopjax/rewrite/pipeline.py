"""The rewrites, in order: before a call's shapes are known, and after."""

from __future__ import annotations

from collections.abc import Collection

from loopjax.rewrite.check_indices import CheckIndices
from loopjax.rewrite.constants import FoldConstants
from loopjax.rewrite.count_first import CountFirst
from loopjax.rewrite.defer import Defer
from loopjax.rewrite.driver import Pass
from loopjax.rewrite.fold import FoldSteps
from loopjax.rewrite.fuse import FuseLoops
from loopjax.rewrite.gather import Gather
from loopjax.rewrite.hoist import Hoist
from loopjax.rewrite.invariant import MoveInvariant
from loopjax.rewrite.join import JoinProducts
from loopjax.rewrite.keep import KeepRead
from loopjax.rewrite.merge import Merge
from loopjax.rewrite.pack import PackStates
from loopjax.rewrite.plan import PlanLoops
from loopjax.rewrite.prune import Prune
from loopjax.rewrite.ranges import CountRanges
from loopjax.rewrite.share import ShareParts
from loopjax.rewrite.sink import Sink
from loopjax.rewrite.target import Target
from loopjax.rewrite.trip_count import TripCount


def symbolic(without: Collection[str] = ()) -> tuple[Pass, ...]:
    """The passes that run once for each function."""
    merge = () if "merge" in without else (Merge(),)
    ranges = () if "ranges" in without else (CountRanges(),)
    return (*merge, Gather(), *merge, *ranges, FoldSteps(), KeepRead(), TripCount(), CountFirst())


FIXED: tuple[Pass, ...] = (TripCount(differentiated=True),)
"""After those, for a program that JAX may differentiate: with the lengths that are known when it traces."""


def sized(target: Target) -> tuple[Pass, ...]:
    """The passes for each set of shapes and lengths; the last writes the plan of every loop."""
    merge = () if "merge" not in target else (Merge(),)
    constants = (FoldConstants(),) if "constants" in target else ()
    prune = (ShareParts(), MoveInvariant(), ShareParts(), Prune()) if "prune" in target else ()
    fuse = (FuseLoops(target), *merge, *prune) if "fuse" in target else ()
    pack = (PackStates(), Prune()) if "pack" in target else ()
    checks = (CheckIndices(),) if target.check_index else ()
    wanted: list[Pass] = []
    # What moves out of a loop is read there as it is: joined, it would be cut at every step.
    if "hoist" in target:
        wanted.append(Hoist(target))
    if "sink" in target:
        wanted.append(Sink(target))
    if "join" in target:
        wanted.append(JoinProducts(target))
    if "defer" in target:
        wanted.append(Defer(target))
    return (*constants, *merge, *prune, *fuse, *pack, *checks, *wanted, PlanLoops(target))
