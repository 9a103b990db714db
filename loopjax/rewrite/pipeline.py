"""The passes in order: symbolic ones before a call's shapes are known, sized ones after.

Order matters where a comment says so. A rewrite that a mode leaves out is not in the tuple; the others are required.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from loopjax.rewrite.block_sampling import SampleInBlocks
from loopjax.rewrite.branches import FormConditionals
from loopjax.rewrite.check_indices import CheckIndices
from loopjax.rewrite.collapse_axes import CollapseAxes
from loopjax.rewrite.contractions import RecognizeContractions
from loopjax.rewrite.cse import EliminateCommonSubexpressions
from loopjax.rewrite.dce import EliminateDeadCode
from loopjax.rewrite.differentiate import FormDifferentiatedRegions
from loopjax.rewrite.double_where import DoubleWhere
from loopjax.rewrite.driver import Rewrite
from loopjax.rewrite.dynamic_trip_count import DynamicTripCount
from loopjax.rewrite.expand_products import ExpandProducts
from loopjax.rewrite.fuse_products import FuseProducts
from loopjax.rewrite.halo import PadStencils
from loopjax.rewrite.induction_variables import ComputeInductionVariables, ComputeSizedInductionVariables
from loopjax.rewrite.licm import HoistInvariants
from loopjax.rewrite.linear_recurrence import FindLinearRecurrences
from loopjax.rewrite.logsumexp import MultiplyExponentials
from loopjax.rewrite.loop_epilogue import DistributeEpilogue
from loopjax.rewrite.loop_fusion import FuseLoops
from loopjax.rewrite.loop_prologue import DistributePrologue
from loopjax.rewrite.masked_products import SpeculateOnProducts
from loopjax.rewrite.masked_reductions import MaskReductions
from loopjax.rewrite.pack_states import PackStates
from loopjax.rewrite.plan import PlanLoops
from loopjax.rewrite.predicated_writes import PredicateWrites
from loopjax.rewrite.predictive_commoning import CarryCommonValues
from loopjax.rewrite.producer_fusion import FuseProducers
from loopjax.rewrite.producer_sinking import SinkProducers
from loopjax.rewrite.reduction_fusion import FuseReductions, FuseSizedReductions
from loopjax.rewrite.saved_steps import SaveReadSteps
from loopjax.rewrite.saved_windows import SaveReadWindows
from loopjax.rewrite.scan_cse import EliminateCommonLoopParts
from loopjax.rewrite.searchsorted import ExpandSearches
from loopjax.rewrite.selection import SelectElements
from loopjax.rewrite.short_axes import SplitShortAxes
from loopjax.rewrite.slice_sinking import SinkSlices
from loopjax.rewrite.stabilize import Stabilize
from loopjax.rewrite.step_values import FoldStepValues
from loopjax.rewrite.stored_products import MarkStoredProducts
from loopjax.rewrite.tap_windows import CarryWindows
from loopjax.rewrite.target import Derivative, Target
from loopjax.rewrite.tiling import Tile
from loopjax.rewrite.value_ranges import BoundIndices
from loopjax.rewrite.vectorize_states import VectorizeStates
from loopjax.rewrite.wavefront import SkewLoops
from loopjax.rewrite.weight_gradients import BatchWeightGradients
from loopjax.shapes.inspector import InspectLengths


def symbolic(without: Collection[str] = ()) -> tuple[Rewrite, ...]:
    """Return the passes that run once for each function, before shapes are known."""
    optional = (
        # Before derivatives have regions, so that they are those of the stable forms.
        Stabilize(),
        EliminateCommonSubexpressions(),
        # Before derivatives have regions and before a program ends where a length is counted.
        *([] if "double_where" in without else [MaskReductions()]),
        FormDifferentiatedRegions(),
        DoubleWhere(),
        EliminateCommonSubexpressions(),
        ComputeInductionVariables(),
        FuseProducers(),
    )
    # Loops whose length only the run knows can be lowered only where no reader needs the whole stack.
    required = (
        FuseReductions(),
        SaveReadSteps(dynamic_only="saved_steps" in without),
        DynamicTripCount(),
        InspectLengths(),
    )
    return (*_enabled(optional, without), *required)


def symbolic_under(derivative: Derivative, fixed_lengths: bool, without: Collection[str] = ()) -> tuple[Rewrite, ...]:
    """Return the passes after ``symbolic`` for a derivative that JAX may take, with lengths known when it traces."""
    target = Target(derivative=derivative)
    optional = [DoubleWhere(target)] if derivative != "none" else []
    return (*_enabled(optional, without), *([DynamicTripCount(target)] if fixed_lengths else ()))


def sized(target: Target) -> tuple[Rewrite, ...]:
    """Return the passes for one set of shapes and lengths; ``plan`` decides how every loop is lowered."""
    cse, dce = EliminateCommonSubexpressions(target), EliminateDeadCode(target)
    # What moves out of a loop may have been all that told two of its parts apart.
    scan_cse = EliminateCommonLoopParts(target)
    clean = (scan_cse, HoistInvariants(target), scan_cse, dce)
    checks = (CheckIndices(target),) if target.check_index else ()
    passes = (
        FoldStepValues(target),
        # Before equal reads become one.
        PredicateWrites(target),
        cse,
        # Before work moves between loops: what a branch needs stays in it.
        FormConditionals(target),
        # Before what stores or moves products.
        RecognizeContractions(target),
        *clean,
        FuseLoops(target),
        *((cse, *clean) if "loop_fusion" in target else ()),
        # Before anything is moved between the two loops of a nest.
        SkewLoops(target),
        VectorizeStates(target),
        dce,
        ComputeSizedInductionVariables(target),
        *checks,
        # Demand of a stack is seen before anything stands between the loop and its readers.
        SinkSlices(target),
        FuseProducers(target, sized=True),
        FuseSizedReductions(target),
        ComputeSizedInductionVariables(target),
        SaveReadSteps(target),
        CarryWindows(target),
        # Before values move out of the loops that it compares.
        SinkProducers(target),
        DistributePrologue(target),
        DistributeEpilogue(target),
        CarryCommonValues(target),
        # Before small products become larger ones.
        ExpandProducts(target),
        # After loop distribution: a fused product would be sliced again at every step.
        FuseProducts(target),
        # After loop distribution, since it duplicates the loop; before weight gradients, which may take its matrix.
        MultiplyExponentials(target),
        BatchWeightGradients(target),
        SaveReadWindows(target),
        CollapseAxes(target),
        Tile(target),
        ExpandSearches(target),
        SelectElements(target),
        SplitShortAxes(target),
        # Slices of what is the same at every step move out of the loop.
        HoistInvariants(target),
        PadStencils(target),
        FindLinearRecurrences(target),
        PackStates(target),
        SampleInBlocks(target),
        SpeculateOnProducts(target),
        BoundIndices(target),
        PlanLoops(target),
        MarkStoredProducts(),
    )
    return tuple(_enabled(passes, target.without))


def _enabled(passes: Iterable[Rewrite], without: Collection[str]) -> Iterator[Rewrite]:
    return (one for one in passes if one.name not in without)
