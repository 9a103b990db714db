"""How each loop is lowered: the last sized rewrite writes its ``LoopPlan``."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import compress

from loopjax.errors import UnsupportedError, where
from loopjax.ir.autodiff import Differentiated
from loopjax.ir.cond import IfElse
from loopjax.ir.graph import Apply, Graph, Op, Variable, copy_node, dependents
from loopjax.ir.plan import History, LoopPlan
from loopjax.ir.scan import MapOutput, Recurrence, Scan
from loopjax.ir.schedule import Body, Box, Nest
from loopjax.ir.weight_gradients import BatchedWeightGradients
from loopjax.rewrite.cost_model import is_pointwise, size_bytes, step_cost
from loopjax.rewrite.driver import Pass
from loopjax.rewrite.gpu_unroll import CARRIED, steps_per_launch
from loopjax.rewrite.remat import LEAST_BYTES, is_cheap
from loopjax.rewrite.target import Derivative, Target, within
from loopjax.rewrite.trip_counts import holds_varying_loop, is_forward_only, may_speculate
from loopjax.rewrite.unroll import steps_per_iteration

WINDOW = {"cpu": 4, "gpu": 16}
"""Past values up to which plain carries beat a ring buffer: on a GPU as many as the steps of an iteration, which so
move none."""

VMAP_BYTES = 2**28
"""Intermediate values of a loop without recurrence up to which all of its steps run at once."""

REPORTS = 100
"""Words to a progress bar in a whole loop; where its length is not known, steps from one to the next."""

CHILDREN = 16
"""Children of a node, at most: more make skipping and storing a level dearer, fewer make more levels."""

UNROLLS = (1, 2, 4, 8, 16)
"""Steps per iteration that tuning tries."""


@dataclass(frozen=True)
class PlanLoops(Pass):
    """Decides for every loop; ``lower/`` obeys and ``explain`` prints it."""

    def __call__(self, graph: Graph) -> Graph:
        derivative = self.target.derivative
        wrt = frozenset() if derivative == "none" else frozenset(graph.inputs)
        return _planned(graph, self.target, derivative, wrt, in_region=False)


def _planned(graph: Graph, target: Target, derivative: Derivative, wrt: Collection[Variable], in_region: bool) -> Graph:
    """The graph with its loops planned; ``derivative`` encloses it, with respect to ``wrt`` of its inputs: as a region
    of the program's own derivatives, or as JAX may ask for it."""
    if not any(node.op.regions for node in graph.applies):
        return graph
    reached = dependents(graph.applies, wrt)

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> tuple[Variable, ...] | None:
        op: Op = node.op
        if isinstance(op, Differentiated):
            kind = within(op, derivative)
            moving = {i for i, o in zip(op.primals, node.inputs, strict=False) if o in reached}
            op = op.with_regions([_planned(op.region, target, kind, moving.union(op.differentiated), in_region=True)])
        elif isinstance(op, BatchedWeightGradients):
            taps = op.region.inputs[len(node.inputs) :]
            moving = {i for i, o in zip(op.region.inputs, node.inputs, strict=False) if o in reached}
            op = op.with_regions([_planned(op.region, target, derivative, moving.union(taps), in_region)])
        elif isinstance(op, IfElse):
            moves = [variable in reached for variable in node.inputs[1:]]
            op = op.with_regions(
                [_planned(one, target, derivative, set(compress(one.inputs, moves)), in_region) for one in op.regions]
            )
        elif isinstance(op, Scan):
            moving = _within_body(op, node, reached)
            op = op.with_regions([_planned(one, target, derivative, moving, in_region) for one in op.regions])
            plan = choose(op, node, target, derivative if in_region else _possible(op, derivative))
            if plan.kind == "bounded_while":
                plan = replace(plan, fixed=tuple(variable not in reached for variable in node.inputs))
            op = replace(op, plan=plan)
        else:
            return None
        return copy_node(node, inputs, op).outputs

    return graph.rebuilt(transform=transform)


def _possible(op: Scan, derivative: Derivative) -> Derivative:
    """What JAX can take of a loop; one that nothing bounds is run forward alone."""
    return "forward" if derivative != "none" and op.dynamic and op.n_steps is None else derivative


def _within_body(op: Scan, node: Apply, reached: Collection[Variable]) -> set[Variable]:
    """The body's inputs that may depend on what is differentiated: all states, once one does."""
    outer, inner = op.inputs(node.inputs), op.body_inputs(op.body.inputs)
    if not any(variable in reached for variable in node.inputs):
        return set()
    found = {i for group, x in zip(inner.slices, outer.sequences, strict=True) for i in group if x in reached}
    found.update(i for i, o in zip(inner.non_sequences, outer.non_sequences, strict=True) if o in reached)
    return found.union(inner.states, *inner.taps)


def choose(op: Scan, node: Apply, target: Target, derivative: Derivative) -> LoopPlan:
    """The plan of a sized scan."""
    report = max((op.n_steps or REPORTS * REPORTS) // REPORTS, 1) if op.progress else 0
    once = step_cost(op)
    plan = LoopPlan(
        "scan",
        report=report,
        storage=tuple(_history(output, target) for output in op.outputs),
        derivative=derivative,
        flops=once.flops,
        bytes=once.bytes,
    )
    n_steps = op.n_steps
    if op.linear:
        return _associative(op, plan)
    if op.varies:
        return _varying(op, node, target, plan)
    assert n_steps is not None
    if n_steps == 0:
        return replace(plan, kind="empty", reason="no steps")
    if n_steps == 1:
        return replace(plan, kind="inline", reason="one step")
    if "vmap" in target and _is_map(op, derivative):
        return _map_plan(op, n_steps, plan)
    plan = _iterations(op, n_steps, target, plan)
    windows = any(output.saved.steps is not None or output.saved.every > 1 for output in op.outputs)
    if op.samples is not None:
        return _with_samples(op, _with_rows(op, target, replace(plan, kind="counted")))
    if target.on_cpu and derivative == "none" and n_steps % plan.unroll and op.unroll is None and not windows:
        # What is left over of a scan that is written out is a second one, whose stack is copied behind the first's.
        return replace(plan, kind="counted")
    frozen = max(n_steps - op.truncate_gradient, 0) if op.truncate_gradient > 0 and derivative != "none" else 0
    plan = replace(plan, frozen=frozen)
    far = derivative in ("reverse", "any") or not target.on_cpu
    if "far_taps" in target and far and op.checkpoint is None and not op.progress:
        plan = _in_blocks(op, n_steps, target, plan)
    plan = _stored(op, node, n_steps - frozen, target, plan) if op.truncate_gradient else plan
    alone = plan.block or plan.report or plan.checkpoint
    return plan if alone else _with_rows(op, target, plan)


def _stored(op: Scan, node: Apply, n_steps: int, target: Target, plan: LoopPlan) -> LoopPlan:
    """The plan with what is stored for the gradient of the last ``n_steps`` steps: as asked, or by the body."""
    state = carried_bytes(op, plan.storage)
    cheap = is_cheap(op.body)
    if op.checkpoint is None:
        if plan.derivative == "none" or "remat" not in target or not cheap or state < LEAST_BYTES:
            return plan
        reason = f"{plan.reason}; all but states and products is computed again, which is cheaper than to store it"
        return replace(plan, checkpoint=Nest((Box((n_steps,)),), "products"), state_bytes=state, reason=reason)
    try:
        nest = op.checkpoint.nest(n_steps, Body(state))
    except ValueError as error:
        raise ValueError(f"scan {op.label!r}: {error}{where(node.sources)}") from error
    if nest.keep == "products" and not cheap:
        nest = replace(nest, keep="nothing")
    return replace(plan, checkpoint=nest, state_bytes=state, reason=f"{plan.reason}; checkpoint={op.checkpoint}")


def carried_bytes(op: Scan, storage: tuple[History, ...]) -> int:
    """Bytes of all that a step hands to the next and that its gradient needs: not what sums have come to."""
    step = op.results([variable.type for variable in op.body.outputs])
    values = [*step.recurrences, *step.maps]
    pasts = [type for type, history in zip(values, storage, strict=True) for _ in range(_rows_held(history))]
    kept = [fold for fold in op.accumulators if fold.monoid is None or fold.monoid.keeps_steps]
    return size_bytes([*pasts, *step.states, *(values[fold.output].with_dtype(fold.dtype) for fold in kept)])


def _rows_held(history: History) -> int:
    """Values of a past that a step hands to the next."""
    if history.kind == "blocks":
        return history.near
    return history.size + (len(history.taps) if history.kind == "ring" else 0)


def _varying(op: Scan, node: Apply, target: Target, plan: LoopPlan) -> LoopPlan:
    """The plan of a loop whose trip count only the run knows."""
    reason = (
        "it stops when until says so" if op.until else "n_steps is a run-time value and only the last steps are read"
    )
    if is_forward_only(op, plan.derivative):
        if not op.until if target.on_cpu else may_speculate(op, target):
            plan = _with_rows(op, target, _iterations(op, None if target.on_cpu else op.n_steps, target, plan))
        return _with_samples(op, replace(plan, kind="while", reason=reason))
    if op.n_steps is None:
        raise UnsupportedError(
            f"{op.subject}: its length varies from step to step of an outer loop, and nothing bounds it for the "
            f"gradient{where(node.sources)}"
        )
    return replace(plan, kind="bounded_while", levels=_levels(op), reason=reason)


def _with_samples(op: Scan, plan: LoopPlan) -> LoopPlan:
    """The plan with the steps that draw at once: whole iterations."""
    if op.samples is None:
        return plan
    steps = op.samples.steps
    if plan.rows != "apart":
        steps = max(steps // plan.unroll, 1) * plan.unroll
    return replace(plan, sampled=steps, reason=f"{plan.reason}; draws are made for {steps} steps at once")


def _levels(op: Scan) -> tuple[int, ...]:
    """The children of a node at each level of a tree with a leaf for each step that is differentiated."""
    assert op.n_steps is not None
    n_steps = min(op.n_steps, op.truncate_gradient) if op.truncate_gradient > 0 else op.n_steps
    depth = max(math.ceil(math.log(n_steps, CHILDREN)), 1)
    width = max(math.ceil(n_steps ** (1 / depth)), 1)
    rest = width ** (depth - 1)
    return (-(-n_steps // rest), *[width] * (depth - 1))


def _history(output: Recurrence | MapOutput, target: Target) -> History:
    size = max(output.depth, output.saved.last or 0)
    return History("window" if size <= _window(target) else "ring", size, output.taps)


def _window(target: Target) -> int:
    return WINDOW["cpu" if target.on_cpu else "gpu"]


def _in_blocks(op: Scan, n_steps: int, target: Target, plan: LoopPlan) -> LoopPlan:
    """The plan with far taps read in blocks of as many steps as none of them reaches into, where there are any."""
    most = _window(target)
    storage = tuple(
        _blocks(output, history, most) if output.depth > most else history
        for output, history in zip(op.outputs, plan.storage, strict=True)
    )
    reach = [-tap for history in storage if history.kind == "blocks" for tap in history.far]
    if not reach:
        return plan
    reason = "each step needs the one before, and far ones"
    return replace(plan, storage=storage, block=min(*reach, n_steps), reason=reason)


def _blocks(output: Recurrence | MapOutput, history: History, most: int) -> History:
    near = max((-tap for tap in output.taps if -tap <= most), default=0)
    return History("blocks", history.size, output.taps, near)


def _is_map(op: Scan, derivative: Derivative) -> bool:
    truncated = derivative != "none" and op.truncate_gradient > 0
    special = op.n_states or op.accumulators or op.checkpoint or op.progress or truncated
    return not op.recurrences and not special


def _map_plan(op: Scan, n_steps: int, plan: LoopPlan) -> LoopPlan:
    if holds_varying_loop(op):
        return replace(plan, reason="an inner loop's length varies, which running all steps at once would slow down")
    plan = replace(plan, storage=(History("window", 0, ()),) * len(op.maps))
    row = size_bytes(output.type for inner in op.body.applies for output in inner.outputs)
    if row * n_steps <= VMAP_BYTES:
        return replace(plan, kind="vmap", reason="no step needs another")
    batch = max(VMAP_BYTES // max(row, 1), 1)
    return replace(
        plan, kind="batched", batch=batch, reason="no step needs another; all at once would take too much memory"
    )


def _associative(op: Scan, plan: LoopPlan) -> LoopPlan:
    """The plan of linear recurrences."""
    storage = (*(History("window", 1, (-1,)) for _ in op.recurrences), *(History("window", 0, ()) for _ in op.maps))
    kinds = ", ".join(f"{op.recurrences[one.recurrence].name or 'a state'} by {one.kind}" for one in op.linear)
    return replace(plan, kind="associative", storage=storage, reason=f"linear recurrences: {kinds}")


def _iterations(op: Scan, n_steps: int | None, target: Target, plan: LoopPlan) -> LoopPlan:
    """The plan with the steps of an iteration: as many as the user says, or as the body asks for; and why."""
    reason = "each step needs the one before"
    if op.unroll is not None:
        count, reason = op.unroll, "unroll as asked"
    elif "unroll" not in target or op.progress:
        count = 1
    else:
        by_size = (
            steps_per_iteration(op, plan.storage, n_steps, plan.derivative)
            if target.on_cpu
            else steps_per_launch(op, n_steps, plan.derivative)
        )
        tried = UNROLLS if target.on_cpu else (*UNROLLS, CARRIED)
        others = [count for count in tried if n_steps is None or count <= n_steps]
        count = target.choice("unroll", by_size, others, op.subject)
        if count != by_size:
            reason = f"{reason}; {count} at a time as measured"
        elif count > 1:
            reason = f"{reason}; a small body" if target.on_cpu else f"{reason}; kernels are launched for several"
    return replace(plan, unroll=count, reason=reason)


def _with_rows(op: Scan, target: Target, plan: LoopPlan) -> LoopPlan:
    """The plan with how the rows of an iteration's steps are written."""
    if target.on_cpu or plan.unroll == 1:
        return plan
    finished = plan.kind == "scan" and plan.derivative == "none" and is_pointwise(op.body)
    return replace(plan, rows="finished" if finished else "grouped")
