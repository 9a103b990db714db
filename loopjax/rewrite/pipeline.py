"""The rewrites, in order: before a call's shapes are known, and after."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from loopjax.rewrite.check_indices import CheckIndices
from loopjax.rewrite.constants import FoldConstants
from loopjax.rewrite.count_first import CountFirst
from loopjax.rewrite.defer import Defer
from loopjax.rewrite.driver import Pass
from loopjax.rewrite.fewer import FewerSteps
from loopjax.rewrite.fold import FoldKnown, FoldSteps
from loopjax.rewrite.fuse import FuseLoops
from loopjax.rewrite.gather import Gather
from loopjax.rewrite.hoist import Hoist
from loopjax.rewrite.inside import ReadInside
from loopjax.rewrite.invariant import MoveInvariant
from loopjax.rewrite.join import JoinProducts
from loopjax.rewrite.keep import KeepRead
from loopjax.rewrite.logspace import LogProducts
from loopjax.rewrite.merge import Merge
from loopjax.rewrite.pack import PackStates
from loopjax.rewrite.pair import PairStates
from loopjax.rewrite.plan import PlanLoops
from loopjax.rewrite.prune import Prune
from loopjax.rewrite.ranges import CountRanges, CountSizedRanges
from loopjax.rewrite.search import SearchAtOnce
from loopjax.rewrite.share import ShareParts
from loopjax.rewrite.sink import Sink
from loopjax.rewrite.spell import SpellProducts
from loopjax.rewrite.target import Target
from loopjax.rewrite.terms import StepTerms
from loopjax.rewrite.tile import Tile
from loopjax.rewrite.trip_count import TripCount
from loopjax.rewrite.windows import KeepWindows


def symbolic(without: Collection[str] = ()) -> tuple[Pass, ...]:
    """The passes that run once for each function."""
    merge = () if "merge" in without else (Merge(),)
    ranges = () if "ranges" in without else (CountRanges(),)
    inside = () if "inside" in without else (ReadInside(),)
    terms = () if "terms" in without else (StepTerms(),)
    return (
        *merge,
        Gather(),
        *merge,
        *inside,
        *ranges,
        *terms,
        FoldSteps(),
        KeepRead(varying="keep" in without),
        TripCount(),
        CountFirst(),
    )


FIXED: tuple[Pass, ...] = (TripCount(differentiated=True),)
"""After those, for a program that JAX may differentiate: with the lengths that are known when it traces."""


def sized(target: Target) -> tuple[Pass, ...]:
    """The passes for each set of shapes and lengths; the last writes the plan of every loop."""
    merge = ("merge", (Merge(),))
    prune = ("prune", (ShareParts(), MoveInvariant(), ShareParts(), Prune()))
    shared: tuple[Named, ...] = (
        ("constants", (FoldConstants(),)),
        merge,
        prune,
        ("fuse", (FuseLoops(target),)),
        *((merge, prune) if "fuse" in target else ()),
        ("pack", (PackStates(),)),
        ("prune", (Prune(),)),
        ("ranges", (CountSizedRanges(target),)),
    )
    moved: tuple[Named, ...] = (
        # What is read of a loop is seen before anything stands between it and the loop.
        ("fewer", (FewerSteps(),)),
        ("terms", (StepTerms(target, known=True),)),
        ("fold", (FoldKnown(target),)),
        ("ranges", (CountSizedRanges(target),)),
        ("keep", (KeepRead(),)),
        ("hoist", (Hoist(target),)),
        ("sink", (Sink(target),)),
        # What moves out of a loop is read there as it is: joined, it would be cut at every step.
        ("join", (JoinProducts(target),)),
        ("spell", (SpellProducts(target),)),
        # Behind what moves out of a loop, since it makes two of it; and its matrix may be deferred.
        ("logspace", (LogProducts(target),)),
        ("defer", (Defer(target),)),
        ("windows", (KeepWindows(),)),
        ("pair", (PairStates(target),)),
        ("tile", (Tile(target),)),
        ("search", (SearchAtOnce(target),)),
    )
    checks = (CheckIndices(),) if target.check_index else ()
    return (*_wanted(shared, target), *checks, *_wanted(moved, target), PlanLoops(target))


Named = tuple[str, tuple[Pass, ...]]


def _wanted(passes: Iterable[Named], target: Target) -> Iterator[Pass]:
    return (one for name, those in passes if name in target for one in those)
