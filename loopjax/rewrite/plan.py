"""How each loop is lowered: the last sized rewrite writes its ``LoopPlan``."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from loopjax.errors import UnsupportedError, where
from loopjax.rewrite.fold import LINEAR
from loopjax.rewrite.recompute import LEAST_BYTES, is_cheap, store_products
from loopjax.rewrite.target import Derivative, Target, within
from loopjax.trace.deferred import Deferred
from loopjax.trace.derivative import Differentiated
from loopjax.trace.graph import Apply, Graph, Variable, copy_node, dependents
from loopjax.trace.loop import History, LoopPlan, MapOutput, Recurrence, Scan
from loopjax.trace.op import Call, Op
from loopjax.trace.schedule import Body, Box, Nest
from loopjax.trace.types import KEY, RESIDUAL, TensorType

WINDOW = 4
"""Past values up to which plain carries beat a ring buffer."""

VMAP_BYTES = 2**28
"""Intermediate values of a loop without recurrence up to which all of its steps run at once."""

UNROLL = 8
"""Steps per iteration of a small elementwise body."""

REPORTS = 100
"""Words to a progress bar in a whole loop; where its length is not known, steps from one to the next."""

CHILDREN = 16
"""Children of a node, at most: more make skipping and storing a level dearer, fewer make more levels."""

UNROLL_OPS = 12
"""Elementwise ops up to which a body counts as small."""


@dataclass(frozen=True)
class PlanLoops:
    """Decides for every loop; ``lower/`` obeys and ``explain`` prints it."""

    target: Target = field(default_factory=Target)
    name: str = "plan"

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
            moving = {i for i, o in zip(op.given, node.inputs, strict=False) if o in reached}
            op = op.with_regions([_planned(op.region, target, kind, moving.union(op.differentiated), in_region=True)])
        elif isinstance(op, Deferred):
            taps = op.region.inputs[len(node.inputs) :]
            moving = {i for i, o in zip(op.region.inputs, node.inputs, strict=False) if o in reached}
            op = op.with_regions([_planned(op.region, target, derivative, moving.union(taps), in_region)])
        elif isinstance(op, Scan):
            op = replace(op, body=_planned(op.body, target, derivative, _within_body(op, node, reached), in_region))
            plan = choose(op, node, target, derivative if in_region else _possible(op, derivative))
            if plan.kind == "tree":
                plan = replace(plan, fixed=tuple(variable not in reached for variable in node.inputs))
            stores = plan.checkpoint is not None and plan.checkpoint.keep == "products"
            op = replace(op, body=store_products(op.body) if stores else op.body, plan=plan)
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
    plan = LoopPlan(
        "scan", report=report, storage=tuple(_history(output) for output in op.outputs), derivative=derivative
    )
    n_steps = op.n_steps
    if (op.until or op.dynamic) and n_steps != 0:
        return _varying(op, node, target, plan)
    assert n_steps is not None
    if n_steps == 0:
        return replace(plan, kind="empty", reason="no steps")
    if n_steps == 1:
        return replace(plan, kind="inline", reason="one step")
    if "vmap" in target and _is_map(op, derivative):
        return _map_plan(op, n_steps, plan)
    unroll, reason = _unroll(op, n_steps, target, derivative)
    frozen = max(n_steps - op.truncate_gradient, 0) if op.truncate_gradient > 0 and derivative != "none" else 0
    plan = replace(plan, unroll=unroll, reason=reason, frozen=frozen)
    if "blocks" in target and derivative in ("reverse", "any") and op.checkpoint is None and not op.progress:
        plan = _in_blocks(op, n_steps, plan)
    return _stored(op, node, n_steps - frozen, target, plan) if op.truncate_gradient else plan


def _stored(op: Scan, node: Apply, n_steps: int, target: Target, plan: LoopPlan) -> LoopPlan:
    """The plan with what is stored for the gradient of the last ``n_steps`` steps: as asked, or by the body."""
    state = _state_bytes(op, plan.storage)
    cheap = is_cheap(op.body)
    if op.checkpoint is None:
        if plan.derivative == "none" or "recompute" not in target or not cheap or state < LEAST_BYTES:
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


def _state_bytes(op: Scan, storage: tuple[History, ...]) -> int:
    """Bytes of all that a step hands to the next and that its gradient needs: not what sums have come to."""
    step = op.results([variable.type for variable in op.body.outputs])
    values = [*step.recurrences, *step.maps]
    pasts = [type for type, history in zip(values, storage, strict=True) for _ in range(_rows_held(history))]
    folds = [values[fold.output].with_dtype(fold.dtype) for fold in op.folds if fold.kind not in LINEAR]
    return _bytes([*pasts, *step.states, *folds])


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
    if plan.derivative == "none" or (plan.derivative == "forward" and op.truncate_gradient < 0):
        return replace(
            plan, kind="while", unroll=1 if op.until else _unroll(op, UNROLL, target, "none")[0], reason=reason
        )
    if op.n_steps is None:
        raise UnsupportedError(
            f"{op.subject}: its length varies from step to step of an outer loop, and nothing bounds it for the "
            f"gradient{where(node.sources)}"
        )
    return replace(plan, kind="tree", levels=_levels(op), reason=reason)


def _levels(op: Scan) -> tuple[int, ...]:
    """The children of a node at each level of a tree with a leaf for each step that is differentiated."""
    assert op.n_steps is not None
    n_steps = min(op.n_steps, op.truncate_gradient) if op.truncate_gradient > 0 else op.n_steps
    depth = max(math.ceil(math.log(n_steps, CHILDREN)), 1)
    width = max(math.ceil(n_steps ** (1 / depth)), 1)
    rest = width ** (depth - 1)
    return (-(-n_steps // rest), *[width] * (depth - 1))


def _history(output: Recurrence | MapOutput) -> History:
    size = max(output.depth, output.keep.last or 0)
    return History("window" if size <= WINDOW else "ring", size, output.taps)


def _in_blocks(op: Scan, n_steps: int, plan: LoopPlan) -> LoopPlan:
    """The plan with far taps read in blocks of as many steps as none of them reaches into, where there are any."""
    storage = tuple(_blocks(output) if output.depth > WINDOW else _history(output) for output in op.outputs)
    reach = [-tap for history in storage if history.kind == "blocks" for tap in history.far]
    if not reach:
        return plan
    reason = "each step needs the one before, and far ones"
    return replace(plan, storage=storage, block=min(*reach, n_steps), reason=reason)


def _blocks(output: Recurrence | MapOutput) -> History:
    near = max((-tap for tap in output.taps if -tap <= WINDOW), default=0)
    return History("blocks", _history(output).size, output.taps, near)


def _is_map(op: Scan, derivative: Derivative) -> bool:
    truncated = derivative != "none" and op.truncate_gradient > 0
    special = op.n_states or op.folds or op.checkpoint or op.progress or truncated
    return not op.recurrences and not special


def _map_plan(op: Scan, n_steps: int, plan: LoopPlan) -> LoopPlan:
    if _has_while(op.body):
        return replace(plan, reason="an inner loop's length varies, which running all steps at once would slow down")
    plan = replace(plan, storage=(History("window", 0, ()),) * len(op.maps))
    row = _bytes(output.type for inner in op.body.applies for output in inner.outputs)
    if row * n_steps <= VMAP_BYTES:
        return replace(plan, kind="vmap", reason="no step needs another")
    batch = max(VMAP_BYTES // max(row, 1), 1)
    return replace(
        plan, kind="batched", batch=batch, reason="no step needs another; all at once would take too much memory"
    )


def _has_while(body: Graph) -> bool:
    for node in body.applies:
        if isinstance(node.op, Scan) and node.op.plan is not None and node.op.plan.kind in ("while", "tree"):
            return True
        if any(_has_while(region) for region in node.op.regions):
            return True
    return False


def _bytes(types: Iterable[TensorType]) -> int:
    total = 0
    for type in types:
        if type.dtype not in (KEY, RESIDUAL):
            total += math.prod(type.sizes) * np.dtype(type.dtype).itemsize
    return total


def _unroll(op: Scan, n_steps: int, target: Target, derivative: Derivative) -> tuple[int, str]:
    """Steps per iteration: the user's, or several for a small elementwise body.

    Not under a derivative, which stores each step, nor where a ring is written: both got slower.
    """
    if op.unroll is not None:
        return op.unroll, "unroll as asked"
    small = len(op.body.applies) <= UNROLL_OPS and all(
        isinstance(node.op, Call) and node.op.definition.trait == "pointwise" for node in op.body.applies
    )
    rings = any(_history(output).kind == "ring" for output in op.outputs)
    if "unroll" not in target or not small or rings or derivative != "none":
        return 1, "each step needs the one before"
    steps = next((count for count in range(UNROLL, 1, -1) if n_steps % count == 0), 1)
    return steps, "each step needs the one before; a small elementwise body"
