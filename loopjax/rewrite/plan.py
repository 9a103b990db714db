"""The loop planner: ``scan``, ``while_loop``, ``vmap`` or ``associative_scan``, unroll factor and rematerialization.

The last decision about a sized loop, written as its ``LoopPlan`` and changed by nothing after it. Several passes have
prepared it: which steps are saved, coefficients of linear recurrences, draws for a block of steps. The planner rewrites
no graph; it chooses, in this order, by what the loop is and not by how it is written:

| the loop has | kind |
|---|---|
| linear recurrences, found profitable (``linear_recurrence.py``) | ``associative`` |
| ``until``, or a length that is a run-time value | ``while`` |
| the same under reverse mode | ``stored_while`` |
| the same under both modes, or where few states are to be stored | ``scan``, masked |
| no steps; one step | ``empty``; ``inline`` |
| no step that needs another | ``vmap``; ``batched`` where that takes too much memory |
| draws for a block of steps, or several steps an iteration on a CPU | ``counted`` |
| anything else | ``scan``, with what is stored for the gradient |

``lower/`` has a way of running each kind; ``explain`` prints the plan with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import compress
from typing import Literal

from jax import core

from loopjax.errors import UnsupportedError, alike, coded, where
from loopjax.ir.autodiff import Differentiated
from loopjax.ir.cond import IfElse
from loopjax.ir.graph import Apply, Graph, Variable, copy_node, dependents
from loopjax.ir.plan import History, LoopPlan
from loopjax.ir.scan import MapOutput, Recurrence, Scan
from loopjax.ir.schedule import Body, Box, Nest, Policy
from loopjax.ir.symbolic_sizes import is_symbolic, nominal
from loopjax.ir.types import TensorType
from loopjax.ir.weight_gradients import BatchedWeightGradients
from loopjax.lower.loop_kernels import is_elementwise
from loopjax.lower.small_loops import COPIED_BYTES
from loopjax.rewrite.cost_model import is_expensive, is_pointwise, size_bytes, step_cost
from loopjax.rewrite.driver import Context, Pass, Replacement
from loopjax.rewrite.gpu_unroll import CARRIED, steps_per_launch
from loopjax.rewrite.loop_products import loop_products
from loopjax.rewrite.remat import SaveExpensive, is_cheap, recomputations
from loopjax.rewrite.stored_products import with_stored_products
from loopjax.rewrite.tap_windows import shifted_row
from loopjax.rewrite.trip_counts import holds_varying_loop, is_forward_only, is_varying, may_speculate
from loopjax.rewrite.unroll import steps_per_iteration

SHIFTED_BYTES = 2**23
"""Bytes of a stack up to which its rows are written twice, to be read as one window: what the caches hold."""


@dataclass(frozen=True)
class PlanLoops(Pass):
    """Writes the plan of every loop.

    Attributes
    ----------
    cpu_window, gpu_window
        Past values up to which a window of carries beats a ring buffer: on a GPU as many as the steps of an iteration,
        which so move none.
    array_bytes, dense_bytes
        CPU, reverse mode: bytes of the past values of an output up to which they are one array that each step shifts,
        and those of a value where at least every other one is read. Measured for a sum of products with scalars, two
        thirds of them within ``tanh``, times as fast as in blocks: one value, 5 to 20 back, 1.7 to 5, 24 back 0.2 and
        0.6; 2 values, 8 back, 3.2 and 4, 10 back 0.4 and 2.3; 4 values, 5 back, 0.5 and 3; all of the last 5 to 12 of
        2 to 32 values 0.9 to 7.5, of 128 values 0.8 to 1.7, of 1,000 values 0.8 to 1.0.
    vmap_bytes
        Intermediate values of a loop without recurrence up to which all of its steps run at once.
    row_bytes, summed_bytes
        CPU, reverse mode, where all steps share an array: its gradient is a sum of a row for each step. XLA takes 0.5
        to 1.2 ns an element for it, and 7 where a row has more than 64 kB (jaxlib 0.10); a product with a vector of
        ones 0.2 to 1.0. Up to ``summed_bytes`` of all rows it is such a product: on one core, 0.5 to 0.95 of the time
        for sums of squares, of ``tanh``, of products and of ``softplus``, 20 to 2,000 steps of 100 to 10,000 values.
        More rows do not stay in the cache, and are added up step by step if one has ``row_bytes``: 0.1 to 1.6 of the
        time, at most 1.05 of that in JAX, for 70 to 20,000 steps of 100 to 17,000 values.
    inline_values, short_values, values_per_step
        CPU, reverse mode: a map of more than ``inline_values`` values in all, whose kernels XLA hands to another thread
        for about 20 us, runs in order up to ``short_values``, where a step counts as ``values_per_step`` more. So,
        gradients of 300 and 1,000 scalars, 20 and 100 steps of 50, and 100 of 100 values take 0.5 to 1.05 of the time;
        300 steps of 50 0.6 to 1.7, 1,000 of 10 0.7 to 1.8.
    lockstep_loops, lockstep_steps, lockstep_flops
        CPU: least number of inner loops of varying length that advance together, of their steps in all, and most flops
        of one step. Measured for lengths of 1 to 500, 500 loops, times as fast as one by one: scalars 3.5 (multiply and
        add) and 9 (tanh), 4 to 16 values 0.8 to 1.2, 64 and 512 values 1.2 to 2.9, a vector times a matrix of 8, 32 and
        64 rows 1.6, 3.9 and 1.1; for 20 loops of 1 to 20 steps 0.7 to 1.4. Known limit: one loop much longer than all
        others costs as much as if all had its length.
    remat_bytes
        Values of a step (on a GPU: its state) from which recomputing is profitable: below, a whole loop runs in cache.
        Measured for 1 to 20,000 float64 values on two cores: tanh of 16 values 1.1 times as long, of 64 and of one
        even, 1,000 0.8, 20,000 0.65; for 3,000 steps of networks and filters of 200 bytes 1.1 to 1.4, of 700 to 8,000
        0.4 to 0.9.
    stored_bytes
        States of all the steps that a loop with ``until`` may run, up to which it stores them for a gradient of its
        last rows. Above, and under both modes, it is a nest of masked loops that stores few. Measured on one core for
        50 of 500 and of 10,000 steps, ms stored and nested: a vector times a 64 by 64 matrix 0.15 and 0.91, 0.47 and
        0.90; a scalar, of 500 and of 100,000 steps, 0.02 and 0.06, 0.08 and 0.10.
    children
        Iterations of each loop of that nest, at most: more are skipped later, fewer make more loops to compile.
    reports
        Updates of a progress bar in a whole loop; where its length is unknown, its square root from one to the next.
    unrolls
        Steps per iteration that tuning tries.
    """

    cpu_window: int = 4
    array_bytes: int = 144
    dense_bytes: int = 1024
    gpu_window: int = 16
    vmap_bytes: int = 2**28
    row_bytes: int = 512
    summed_bytes: int = 2**22
    inline_values: int = 128
    short_values: int = 12_000
    values_per_step: int = 8
    lockstep_loops: int = 16
    lockstep_steps: int = 2**12
    lockstep_flops: int = 2**12
    remat_bytes: int = 512
    stored_bytes: int = 2**22
    children: int = 16
    reports: int = 100
    unrolls: tuple[int, ...] = (1, 2, 4, 8, 16)

    def __call__(self, graph: Graph) -> Graph:
        context = Context(self.target.derivative)
        return self._planned(graph, context, graph.inputs if context.differentiated else ())

    def _planned(self, graph: Graph, context: Context, wrt: Collection[Variable]) -> Graph:
        """The graph with its loops planned, where derivatives flow to the inputs ``wrt``."""
        if not any(node.op.regions for node in graph.applies):
            return graph
        reached = dependents(graph.applies, wrt)

        def transform(node: Apply, inputs: tuple[Variable, ...]) -> Replacement:
            if not node.op.regions:
                return None
            inside = context.inside(node.op)
            active = list(_differentiable(node, reached))
            regions = zip(node.op.regions, active, strict=True)
            op = node.op.with_regions([self._planned(region, inside, wrt) for region, wrt in regions])
            if isinstance(op, Scan):
                plan = self._rematerialized(op, self._plan(op, node, context, active[0]), active[0])
                if plan.kind == "vmap":
                    op = replace(op, body=_batched(op.body, self.target.on_cpu))
                op = replace(op, plan=plan)
            return copy_node(node, inputs, op).outputs

        return graph.rebuilt(transform=transform)

    def _plan(self, op: Scan, node: Apply, context: Context, wrt: Collection[Variable]) -> LoopPlan:
        """The plan of a loop whose body is planned, where derivatives flow to the body's inputs ``wrt``."""
        n_steps, once, derivative = op.n_steps, step_cost(op), context.derivative
        in_region = any(isinstance(outer, Differentiated) for outer in context.enclosing)
        if context.differentiated and op.dynamic and n_steps is None and not in_region:
            derivative = "forward"  # nothing bounds the loop, so that JAX can take no other
        report = (
            max((n_steps or self.reports**2) // self.reports, 1) if op.progress and not is_symbolic(n_steps or 1) else 0
        )
        step = op.results([variable.type for variable in op.body.outputs])
        rows = [*step.recurrences, *step.maps]
        has_products = any(loop_products(op))
        storage = tuple(self._history(*pair, context, has_products) for pair in zip(op.outputs, rows, strict=True))
        plan = LoopPlan(
            "scan", storage=storage, report=report, derivative=derivative, flops=once.flops, bytes=once.bytes
        )
        if op.linear:
            return _associative(op, plan)
        if op.varies:
            return self._varying(op, node, plan, wrt, context.runs)
        assert n_steps is not None
        if n_steps == 0:
            return replace(plan, kind="empty", reason="no steps")
        if n_steps == 1:
            return replace(plan, kind="inline", reason="one step")
        truncated = derivative != "none" and op.truncate_gradient > 0
        if "vmap" in self.target and op.is_map and not (op.checkpoint or op.progress or truncated):
            return self._map(op, n_steps, plan, wrt)
        return self._sequential(op, node, n_steps, self._iterations(op, n_steps, plan, wrt, context.runs))

    def _sequential(self, op: Scan, node: Apply, n_steps: int, plan: LoopPlan) -> LoopPlan:
        """The plan of a loop of known length whose steps run one after the other."""
        if op.samples is not None:
            return _with_samples(op, self._with_rows(op, replace(plan, kind="counted")))
        windows = any(output.saved.steps is not None or output.saved.every > 1 for output in op.outputs)
        on_cpu, is_free = self.target.on_cpu, plan.derivative == "none"
        if on_cpu and is_free and not windows and _runs_counted(op, n_steps, plan):
            return replace(plan, kind="counted")
        if on_cpu and is_free:
            outlines = self.target.outlines
            storage = [_in_stack(op, n_steps, *pair, outlines) for pair in enumerate(plan.storage)]
            plan = replace(plan, storage=tuple(storage))
        frozen = core.max_dim(n_steps - op.truncate_gradient, 0) if op.truncate_gradient > 0 and not is_free else 0
        plan = replace(plan, frozen=frozen)
        prefers_blocks = plan.derivative in ("reverse", "any") or not on_cpu
        if "far_taps" in self.target and prefers_blocks and op.checkpoint is None and not op.progress:
            plan = self._in_blocks(op, n_steps, plan)
        plan = self._stored(op, node, n_steps - frozen, plan) if op.truncate_gradient else plan
        return plan if plan.block or plan.report or plan.checkpoint else self._with_rows(op, plan)

    def _stored(self, op: Scan, node: Apply, n_steps: int, plan: LoopPlan) -> LoopPlan:
        """The plan with what the user asks to be stored for the gradient of the last ``n_steps`` steps."""
        if op.checkpoint is None:
            return plan
        if is_symbolic(n_steps):
            raise coded(UnsupportedError, "LJ702")(
                f"scan {op.label!r}: checkpoint={op.checkpoint} stores states by the number of steps, which is the "
                f"symbolic {n_steps}; expected a number, leave checkpoint= out{where(node.sources)}"
            )
        state = carried_bytes(op, plan.storage)
        try:
            nest = op.checkpoint.nest(n_steps, Body(state))
        except ValueError as error:
            raise alike(error, f"scan {op.label!r}: {error}{where(node.sources)}") from None
        if nest.keep == "products" and not is_cheap(op.body):
            nest = replace(nest, keep="nothing")
        return replace(plan, checkpoint=nest, state_bytes=state, reason=f"{plan.reason}; checkpoint={op.checkpoint}")

    def _rematerialized(self, op: Scan, plan: LoopPlan, wrt: Collection[Variable]) -> LoopPlan:
        """The plan with cheap values recomputed for the gradient by the body's inputs ``wrt``, where that pays."""
        state, steps = carried_bytes(op, plan.storage), (op.n_steps or 0) - plan.frozen
        is_stored = plan.kind in ("scan", "stored_while") and plan.derivative != "none" and op.truncate_gradient != 0
        is_asked = op.checkpoint is not None or "remat" not in self.target
        stored = step_bytes(op, state) if self.target.on_cpu else state
        if not is_stored or is_asked or stored < self.remat_bytes or not is_cheap(op.body):
            return plan
        keep: Policy | Literal["products"] = "products"
        if self.target.on_cpu:
            keep = SaveExpensive(steps, recomputations(op))
            if not keep.is_profitable(replace(op, body=with_stored_products(op.body)), wrt):
                return plan
        reason = f"{plan.reason}; values that are cheaper to compute again than to store are not stored"
        nest = Nest((Box((steps,)),), keep)
        return replace(plan, checkpoint=nest, state_bytes=state, rows="apart", reason=reason)

    def _varying(self, op: Scan, node: Apply, plan: LoopPlan, wrt: Collection[Variable], runs: int) -> LoopPlan:
        """Plans a loop of dynamic trip count: ``while_loop``, or one that stores its steps under reverse mode."""
        by_value = "n_steps is a run-time value and only the last steps are read"
        reason = "it stops when until says so" if op.until else by_value
        on_cpu = self.target.on_cpu
        if is_forward_only(op, plan.derivative):
            if not op.until if on_cpu else may_speculate(op, self.target):
                plan = self._with_rows(op, self._iterations(op, None if on_cpu else op.n_steps, plan, wrt, runs))
            return _with_samples(op, replace(plan, kind="while", reason=reason))
        if op.n_steps is None:
            raise coded(UnsupportedError, "LJ702")(
                f"{op.subject}: its length varies from step to step of an outer loop, and nothing bounds it for the "
                f"gradient{where(node.sources)}"
            )
        plan = self._iterations(op, op.n_steps, plan, wrt) if op.truncate_gradient else plan
        return self._stored_while(op, node, op.n_steps, plan)

    def _stored_while(self, op: Scan, node: Apply, n_steps: int, plan: LoopPlan) -> LoopPlan:
        """Plans a loop that stores its steps for a gradient: masked, where not only reverse mode is taken of it."""
        plan = self._stored(op, node, n_steps, plan) if op.truncate_gradient else plan
        may_nest = op.until and op.checkpoint is None and not is_symbolic(n_steps)
        if may_nest and all(output.saved.last is not None for output in op.outputs):
            state = carried_bytes(op, plan.storage)
            if plan.derivative == "any" or self.target.check_index or nominal(n_steps) * state > self.stored_bytes:
                plan = replace(plan, checkpoint=Nest((Box(self._levels(n_steps)),)), state_bytes=state)
        nested = plan.checkpoint is not None and not plan.checkpoint.flat
        # The rule of a `stored_while` has no forward mode, and `checkify` finds no checks in it.
        is_masked = nested or plan.derivative == "any" or self.target.check_index
        plain = op.checkpoint is None and not (op.until or op.progress or op.truncate_gradient >= 0)
        if plain and not is_masked and "far_taps" in self.target and all(not one.saved.last for one in op.outputs):
            plan = self._in_blocks(op, n_steps, plan)
        return replace(plan, kind="scan" if is_masked else "stored_while")

    def _levels(self, n_steps: int) -> tuple[int, ...]:
        """The sizes of nested loops of at least ``n_steps`` steps: the rest of a masked loop does nothing."""
        depth = max(math.ceil(math.log(n_steps, self.children)), 1)
        width = math.ceil(n_steps ** (1 / depth) - 1e-9)
        return (-(-n_steps // width ** (depth - 1)), *[width] * (depth - 1))

    @property
    def _window(self) -> int:
        return self.cpu_window if self.target.on_cpu else self.gpu_window

    def _history(
        self, output: Recurrence | MapOutput, row: TensorType, context: Context, has_products: bool
    ) -> History:
        size = max(output.depth, output.saved.last or 0)
        is_dense = size <= 2 * len(output.taps) and row.bytes <= self.dense_bytes
        is_small = is_dense or size * row.bytes <= self.array_bytes
        # Several steps an iteration move no window along, and a deferred product gains by them.
        is_few = size <= (self._window if row.ndim == 0 or has_products else 1)
        if is_small and not is_few and self.target.on_cpu and context.reversed:
            return History("array", size, output.taps)
        return History("window" if size <= self._window else "ring", size, output.taps)

    def _in_blocks(self, op: Scan, n_steps: int, plan: LoopPlan) -> LoopPlan:
        """The plan with far taps read in blocks, where there are any: no far tap reaches into its own block."""

        def blocks(output: Recurrence | MapOutput, history: History) -> History:
            if history.kind != "ring" or output.depth <= self._window:
                return history
            near = max((-tap for tap in output.taps if -tap <= self._window), default=0)
            return history._replace(kind="blocks", near=near)

        storage = tuple(map(blocks, op.outputs, plan.storage))
        reach = [-tap for history in storage if history.kind == "blocks" for tap in history.far]
        if not reach:
            return plan
        reason = "each step needs the one before, and far ones"
        return replace(plan, storage=storage, block=min(*reach, n_steps), reason=reason)

    def _map(self, op: Scan, n_steps: int, plan: LoopPlan, wrt: Collection[Variable]) -> LoopPlan:
        """Plans a loop without loop-carried dependence: ``vmap``, or batches of it where memory is short."""
        is_reversed = plan.derivative in ("reverse", "any") and not is_symbolic(n_steps)
        shared = _shared_bytes(op, wrt) if self.target.on_cpu and is_reversed else {}
        if any(size >= self.row_bytes and size * n_steps > self.summed_bytes for size in shared.values()):
            return replace(plan, reason="the gradient of an array that its steps share is added up step by step")
        if self.target.on_cpu and is_reversed and self._is_short(op, n_steps):
            return replace(plan, reason="to start its kernels on other threads would take longer")
        step = size_bytes(output.type for inner in op.body.applies for output in inner.outputs)
        fits = step * nominal(n_steps) <= self.vmap_bytes
        if holds_varying_loop(op) and not (fits and self._runs_in_lockstep(op)):
            why = "an inner loop's length or a condition varies, which running all steps at once would slow down"
            return replace(plan, reason=why)
        plan = replace(plan, storage=(History("window", 0, ()),) * len(op.maps), reason="no step needs another")
        if fits:
            summed = [place for place, size in shared.items() if size * n_steps <= self.summed_bytes]
            return replace(plan, kind="vmap", summed=tuple(summed))
        if is_symbolic(n_steps):
            return replace(plan, reason="all steps at once might take too much memory")
        reason = f"{plan.reason}; all at once would take too much memory"
        return replace(plan, kind="batched", batch=max(self.vmap_bytes // max(step, 1), 1), reason=reason)

    def _is_short(self, op: Scan, n_steps: int) -> bool:
        """True for few values in all, of some, of a body that needs no library."""
        values = max(variable.type.elements for variable in (*op.body.inputs, *op.body.outputs))
        is_short = (
            n_steps * values > self.inline_values and n_steps * (values + self.values_per_step) <= self.short_values
        )
        return is_short and not any(node.op.regions or is_expensive(node) for node in op.body.applies)

    def _runs_in_lockstep(self, op: Scan) -> bool:
        """True where the inner loops of all steps advance together, to the longest, in less time than one by one."""
        return all(
            isinstance(node.op, Scan) and self._advances_together(op, node.op)
            for node in op.body.applies
            if is_varying(node) or any(region.holds(is_varying) for region in node.op.regions)
        )

    def _advances_together(self, op: Scan, loop: Scan) -> bool:
        """True where an inner loop does, which must hold no varying loop itself."""
        if (
            loop.until
            or loop.samples
            or loop.plan is None
            or loop.plan.kind not in TOGETHER
            or holds_varying_loop(loop)
        ):
            return False
        if not may_speculate(loop, self.target):
            return False
        steps = op.n_steps or 0
        is_small = steps >= self.lockstep_loops and steps * (loop.n_steps or steps) >= self.lockstep_steps
        return not self.target.on_cpu or (is_small and step_cost(loop).flops <= self.lockstep_flops)

    def _iterations(
        self, op: Scan, n_steps: int | None, plan: LoopPlan, wrt: Collection[Variable], runs: int = 1
    ) -> LoopPlan:
        """The plan with the steps of an iteration of a loop that runs ``runs`` times: as many as the user says, or as
        the body asks for; and why."""
        reason, on_cpu = "each step needs the one before", self.target.on_cpu
        if op.unroll is not None and not is_symbolic(n_steps or 1):
            return replace(plan, unroll=op.unroll, reason="unroll as asked")
        if "unroll" not in self.target or (op.progress and plan.derivative != "none"):
            return replace(plan, reason=reason)
        if on_cpu:
            by_size = steps_per_iteration(op, plan.storage, n_steps, plan.derivative, self.target.outlines, runs)
        elif "loop_kernels" in self.target.by_itself and is_elementwise(op, wrt):
            by_size, reason = 1, f"{reason}; one kernel runs all steps"
        else:
            by_size = steps_per_launch(op, n_steps, plan.derivative)
        tried = self.unrolls if on_cpu else (*self.unrolls, CARRIED)
        others = [count for count in tried if n_steps is None or count <= n_steps]
        count = self.target.choice("unroll", by_size, others, op.subject)
        if count != by_size:
            reason = f"{reason}; {count} at a time as measured"
        elif count > 1:
            reason = f"{reason}; a small body" if on_cpu else f"{reason}; kernels are launched for several"
        return replace(plan, unroll=count, reason=reason)

    def _with_rows(self, op: Scan, plan: LoopPlan) -> LoopPlan:
        """The plan with how the steps of an iteration write their rows (``lower/loops/row_blocks.py``)."""
        if self.target.on_cpu or plan.unroll == 1:
            return plan
        finished = plan.kind == "scan" and plan.derivative == "none" and is_pointwise(op.body)
        return replace(plan, rows="finished" if finished else "grouped")


def _runs_counted(op: Scan, n_steps: int, plan: LoopPlan) -> bool:
    """Return whether several steps of an iteration read and write their rows one by one.

    ``lax.scan`` reads them as one block, which XLA on CPU does in a function, so that their kernels are not vectorised;
    and it runs steps that are left over as a second loop, whose stacks it copies. Scalars it reads well.
    """
    if plan.unroll == 1 or any(history.kind != "window" for history in plan.storage):
        return False
    is_scalar = all(variable.ndim == 0 for variable in (*op.body.inputs, *op.body.outputs))
    return n_steps % plan.unroll > 0 or not is_scalar


def _in_stack(op: Scan, n_steps: int, position: int, history: History, outlines: bool) -> History:
    """The storage of an output in its own stack, where all steps are saved, instead of a ring; that of a window in a
    stack of its rows.

    A loop that could be outlined keeps its ring where its stack has more bytes than a function of XLA may copy.
    Measured for 5,000 steps of 24 to 256 float64 values and two taps, times as fast with a ring: 1.4 to 2.
    """
    row = shifted_row(op, position)
    if row is not None and size_bytes([row.type]) * n_steps <= SHIFTED_BYTES:
        return history._replace(kind="shifted", steps=n_steps)
    is_copied = outlines and op.body.outputs[position].type.bytes > COPIED_BYTES
    is_ring = history.kind == "ring" and op.outputs[position].saved.all and not is_copied
    return history._replace(kind="stack", steps=n_steps) if is_ring else history


def _differentiable(node: Apply, reached: Collection[Variable]) -> Iterator[set[Variable]]:
    """For each region of a node, its inputs that derivatives may flow to, where they flow to those in ``reached``."""
    op = node.op
    if isinstance(op, Scan):
        yield from [_differentiable_in_body(op, node, reached)] * len(op.regions)
    elif isinstance(op, Differentiated):
        outer = {i for i, o in zip(op.primals, node.inputs, strict=False) if o in reached}
        yield outer.union(op.differentiated)
    elif isinstance(op, BatchedWeightGradients):
        taps = op.region.inputs[len(node.inputs) :]
        yield {i for i, o in zip(op.region.inputs, node.inputs, strict=False) if o in reached}.union(taps)
    else:
        assert isinstance(op, IfElse)
        for region in op.regions:
            yield set(compress(region.inputs, [variable in reached for variable in node.inputs[1:]]))


def _differentiable_in_body(op: Scan, node: Apply, reached: Collection[Variable]) -> set[Variable]:
    """The body's inputs that derivatives may flow to: all states, once they flow to any input of the loop."""
    outer, inner = op.inputs(node.inputs), op.body_inputs(op.body.inputs)
    if not any(variable in reached for variable in node.inputs):
        return set()
    found = {i for group, x in zip(inner.slices, outer.sequences, strict=True) for i in group if x in reached}
    found.update(i for i, o in zip(inner.non_sequences, outer.non_sequences, strict=True) if o in reached)
    return found.union(inner.states, *inner.taps)


TOGETHER = ("while", "stored_while", "scan")
"""The kinds of loops of varying length that can advance together: by a common condition, or masked."""


def _shared_bytes(op: Scan, wrt: Collection[Variable]) -> dict[int, int]:
    """Bytes of the arrays that all steps share and combine with their own values element by element, where derivatives
    flow to them: the gradient of each is the sum of a row for each step. Keys are places among the non-sequences."""
    shared = enumerate(op.body_inputs(op.body.inputs).non_sequences)
    readers = op.body.readers

    def is_combined(variable: Variable) -> bool:
        results = [node.outputs[0].type for node in readers.get(variable, []) if node.op.has("pointwise")]
        is_read_so = len(results) == len(readers.get(variable, [])) and variable not in op.body.outputs
        return is_read_so and all(type.sizes == variable.type.sizes for type in results)

    # Halves are added up in single precision, which a product does not promise.
    wide = [(i, one) for i, one in shared if one.ndim and one.dtype in ("float32", "float64")]
    return {i: one.type.bytes for i, one in wide if one in wrt and is_combined(one)}


def _batched(body: Graph, on_cpu: bool) -> Graph:
    """Returns the body of a loop that runs all steps at once: its loops of varying length advance together.

    On a CPU an iteration is one step, since a batch of steps is not as small as the body says.
    """

    def transform(node: Apply, inputs: tuple[Variable, ...]) -> Replacement:
        op = node.op
        if not isinstance(op, Scan) or op.plan is None or op.plan.kind == "associative":
            return None
        plan = op.plan
        if is_varying(node) and plan.kind != "while":
            plan = replace(plan, kind="scan", unroll=1, reason=f"{plan.reason}; masked, all at once")
        elif is_varying(node):
            plan = replace(plan, lockstep=True, unroll=1, rows="apart", reason=f"{plan.reason}; all in lockstep")
        elif on_cpu and op.unroll is None and plan.kind == "scan":
            plan = replace(plan, unroll=1)
        return None if plan is op.plan else copy_node(node, inputs, replace(op, plan=plan)).outputs

    return body.rebuilt(transform=transform)


def _associative(op: Scan, plan: LoopPlan) -> LoopPlan:
    """The plan of linear recurrences."""
    storage = (*[History("window", 1, (-1,))] * len(op.recurrences), *[History("window", 0, ())] * len(op.maps))
    kinds = ", ".join(f"{op.recurrences[one.recurrence].name or 'a state'} by {one.kind}" for one in op.linear)
    return replace(plan, kind="associative", storage=storage, reason=f"linear recurrences: {kinds}")


def _with_samples(op: Scan, plan: LoopPlan) -> LoopPlan:
    """The plan with the steps that draw at once: whole iterations."""
    if op.samples is None:
        return plan
    steps = op.samples.steps
    if plan.rows != "apart":
        steps = max(steps // plan.unroll, 1) * plan.unroll
    return replace(plan, sampled=steps, reason=f"{plan.reason}; draws are made for {steps} steps at once")


def carried_bytes(op: Scan, storage: tuple[History, ...]) -> int:
    """Bytes of all that a step hands to the next and that its gradient needs: accumulated sums are not among them."""
    step = op.results([variable.type for variable in op.body.outputs])
    values = [*step.recurrences, *step.maps]
    pasts = [type for type, history in zip(values, storage, strict=True) for _ in range(_carried_rows(history))]
    kept = [one for one in op.accumulators if one.monoid is None or one.monoid.keeps_steps]
    return size_bytes([*pasts, *step.states, *(values[one.output].with_dtype(one.dtype) for one in kept)])


def step_bytes(op: Scan, carried: int) -> int:
    """Bytes of what a step may store for its gradient: what it hands to the next, and all that it computes."""
    return carried + size_bytes(output.type for node in op.body.applies for output in node.outputs)


def _carried_rows(history: History) -> int:
    """Past values that a step hands to the next."""
    if history.kind == "blocks":
        return history.near
    return history.size + (len(history.taps) if history.kind == "ring" else 0)
