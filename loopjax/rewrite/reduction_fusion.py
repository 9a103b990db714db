"""Reduction fusion: reductions over the steps of a loop become accumulators in its carry.

``out.sum(0)``, the other reductions of ``ir/monoid.py``, ``dot(w, out)`` and ``out[i]`` need no stack ``out``. XLA does
not find that out by itself: it stores every step and then reduces. A loop of 40 steps whose output is read by two
reductions, before and after::

    %0 = scan[recurrence keeps all](h)                    %0 = scan[recurrence keeps last 0, sum of 0, max of 0](h)
    %1 = sum[axis=0](%0)                                  return %0:1, %0:2
    %2 = max[axis=0](%0)
    return %1, %2

An output is fused where all of its readers are such reductions or need few of its rows. Where a derivative encloses the
loop, only reductions are fused whose gradient needs no step (``Monoid.keeps_steps``): equal extremes share a gradient,
which only a reduction of all of them at once can see; products and ``logsumexp`` would store more a step than the stack
does. Terms that ``loop_epilogue`` computes for all steps at once are not summed in the loop: a likelihood of dynamic
correlations, by determinants and solutions of 4 by 4, takes a quarter of the time with its gradient. Of a loop whose
length the run decides, fusion is required: no stage then ends to learn that length, and inside of another loop such a
loop could not be read at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax.numpy as jnp

from loopjax.ir.graph import Apply, Graph, Variable, dependents
from loopjax.ir.index import IndexPattern
from loopjax.ir.monoid import REDUCTIONS, sum_dtype
from loopjax.ir.op import TableOp, table_op
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import Accumulator, MapOutput, SavedSteps, Scan
from loopjax.rewrite.cost_model import SMALL_BODY_OPS, moves_elements
from loopjax.rewrite.demand import may_stay_dynamic, needs_few
from loopjax.rewrite.driver import Context, Pass, replace_all, replace_loops
from loopjax.rewrite.loop_epilogue import DistributeEpilogue
from loopjax.rewrite.scan_builder import AccumulatorSlot, MapSlot, RecurrenceSlot, ScanBuilder, scan_builder


class Reduction(NamedTuple):
    """A reader of a stack and the accumulator that replaces it.

    A product with a vector reduces the stack times ``weights``, a number for each step. It may read the stack
    ``through`` a transposition, and a reduction through a mask of the steps that ran.
    """

    reader: Apply
    accumulator: Accumulator
    weights: Variable | None = None
    through: Apply | None = None


class FuseReductions(Pass):
    """Reduction fusion for loops whose length the run decides.

    Inside of bodies even loops without recurrence are fused: they could not be lowered otherwise. In reverse mode,
    loops outside of bodies run as many steps as they are compiled for unless ``until`` stops them.
    """

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        return replace_loops(graph, lambda node, op: _fused(node, _of_dynamic(node, op, graph, context)))


def _of_dynamic(node: Apply, op: Scan, graph: Graph, context: Context) -> list[Reduction]:
    """Return the readers of a loop's outputs to fuse."""
    is_dynamic = (context.in_loop or not context.reversed) and may_stay_dynamic(node, graph, context.in_loop)
    if not op.until and not (is_dynamic and (op.recurrences or context.in_loop)):
        return []
    found: list[Reduction] = []
    for position, stack in whole_stacks(node, op, graph):
        readers = {reader: accumulator_of(reader, stack, position) for reader in graph.readers.get(stack, [])}
        reductions = [Reduction(reader, one) for reader, one in readers.items() if one is not None]
        if context.reversed and any(one.monoid is not None and one.some for one in readers.values() if one is not None):
            continue
        rest = [reader for reader, one in readers.items() if one is None]
        if all(needs_few(reader, stack) for reader in rest):
            found.extend(reductions)
    return found


@dataclass(frozen=True)
class FuseSizedReductions(Pass):
    """Reduction fusion for loops of known length or capacity, where it saves memory and time.

    A loop whose steps need no other stays a ``vmap``, whose reduction XLA fuses with it, except for small bodies on a
    CPU: there a reduction over the first axis takes 15 ns for each element of a matrix (jaxlib 0.10).

    Attributes
    ----------
    least_logsumexp_bytes
        Bytes of a stack from which ``logsumexp`` is fused. Each step then takes an ``exp`` of its own, which costs more
        than that of a whole stack in cache: measured on two cores, 1.3 times as long for 1e5 scalars or 1,000 steps of
        10 float64 values, as long for 1,000 of 1,000, and a tenth for 500 of 20,000. The other reductions gain at every
        size: 0.9 of the time for 100 scalars, a half for 1e5, down to a 50th for 500 of 20,000.
    most_scalar_steps
        Steps up to which scalars that no step hands on are reduced step by step. XLA on CPU compiles such a loop into
        one function, which runs on the thread that calls it; for all steps at once, a second function is called, on
        another thread. Measured on two cores for 100, 1,000, 10,000 and 100,000 steps, times as fast: powers 1.3, 7,
        1.4, 0.9; products 1.0, 9, 1.9, 0.5; tanh 1.0, 5, 1.3, 0.5.
    least_vector
        Elements of an array from which the number of steps does not matter. Measured on one core for sums of 300, 3,000
        and 30,000 steps, float64, times as fast: 8 values, cheap 4.6, 6.6, 5.2; ``tanh`` 2.5, 1.1, 0.4; 64 values,
        cheap 6.6, 4.4, 3.2; ``tanh`` 3.5, 1.6, 1.3; 1,000 values, cheap 2.6, 2.6; ``tanh`` 1.4, 1.4. Of 70 steps of
        17,000 values 19; 5.9 (two cores). Of 34 generated loops with gathers and rolls, summed, 0.6 of the time in the
        mean (0.03 to 2.2), those excluded in which no step reads a sequence.
    """

    least_logsumexp_bytes: int = 2**25
    most_scalar_steps: int = 10_000
    least_vector: int = 16

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        # One loop at a time: a loop that takes in weights depends on what computes them, which may be another loop.
        while replaced := next(filter(None, self._fusions(graph, context)), None):
            graph = replace_all(graph, replaced)
        return graph

    def _fusions(self, graph: Graph, context: Context) -> Iterator[Mapping[Variable, Variable]]:
        """Yield what replaces the outputs and fused readers of each loop."""
        for node in graph.applies:
            if isinstance(node.op, Scan) and self._is_candidate(node.op, context):
                yield _fused(node, self._reductions(node, node.op, graph, context))

    def _is_candidate(self, op: Scan, context: Context) -> bool:
        """Return whether a loop has steps in order, or is short."""
        # Elsewhere a loop may run all steps at once by an associative scan, which reduces no part of them.
        is_fused = not op.dynamic or context.differentiated or self.target.on_cpu
        if op.until or not is_fused or (op.n_steps or 0) < 2:
            return False
        in_map = any(isinstance(one, Scan) and one.is_map for one in context.enclosing)
        may_be = self.target.on_cpu and not (context.differentiated or in_map)
        return bool(op.recurrences) or (may_be and self._is_faster(op))

    def _is_faster(self, op: Scan) -> bool:
        """Return whether a loop that needs no order is faster in order."""
        if op.dynamic or op.samples is not None or not op.sequences or len(op.body.applies) > SMALL_BODY_OPS:
            return False
        if not all(node.op.has("pointwise") or moves_elements(node) for node in op.body.applies):
            return False
        types = [variable.type for variable in (*op.body.inputs, *op.body.outputs)]
        if any(type.elements >= self.least_vector for type in types):
            return True
        is_short = (op.n_steps or 0) <= self.most_scalar_steps
        return is_short and (self.target.outlines or not any(type.ndim for type in types))

    def _reductions(self, node: Apply, op: Scan, graph: Graph, context: Context) -> list[Reduction]:
        """Return the readers of a loop's outputs to fuse."""
        found: list[Reduction] = []
        after: set[Variable] | None = None
        loop = scan_builder(node)
        # What comes after the loop reads whole stacks, so that its reductions do too.
        late = DistributeEpilogue(self.target).late(loop) if "loop_epilogue" in self.target else ()
        for position, stack in whole_stacks(node, op, graph):
            if loop.outputs[position] in late:
                continue
            readers = graph.readers.get(stack, [])
            found_by = partial(_masked_reductions_by, node) if op.dynamic else _reductions_by
            reductions = [one for reader in readers for one in found_by(reader, stack, position, graph)]
            if any(one.weights is not None for one in reductions):
                after = dependents(graph.applies, node.outputs) if after is None else after
                # Weights become a sequence: a truncated loop would pass no gradient to those of early steps.
                truncated = op.truncate_gradient >= 0
                reductions = [r for r in reductions if r.weights is None or not (truncated or r.weights in after)]
            if stack.type.bytes < self.least_logsumexp_bytes:
                reductions = [one for one in reductions if one.accumulator.kind != "logsumexp"]
            monoids = [one.accumulator.monoid for one in reductions]
            if context.differentiated and any(monoid is not None and monoid.keeps_steps for monoid in monoids):
                continue
            fused = {one.through or one.reader for one in reductions}
            if all(needs_few(reader, stack) for reader in readers if reader not in fused):
                found.extend(reductions)
        return found


def whole_stacks(node: Apply, op: Scan, graph: Graph) -> list[tuple[int, Variable]]:
    """Return the whole stacks that the graph does not return, with their positions among the outputs."""
    pairs = enumerate(zip(op.outputs, node.outputs, strict=False))
    return [(p, stack) for p, (output, stack) in pairs if output.saved.all and stack not in graph.outputs]


def reduces_steps(node: Apply) -> bool:
    """Return whether a node reduces its operand along the first axis."""
    if not isinstance(node.op, TableOp) or node.op.name not in REDUCTIONS:
        return False
    axis = node.op.arguments["axis"]
    return axis == 0 or (isinstance(axis, tuple) and 0 in axis)


def accumulator_of(reader: Apply, stack: Variable, position: int) -> Accumulator | None:
    """Return the accumulator that replaces a reader of a stack, output number ``position`` of its loop."""
    op = reader.op
    if not isinstance(op, TableOp):
        return None
    if op.name == "index":
        step = _step(op)
        return None if step is None else Accumulator(position, "at", stack.dtype, step)
    if op.name not in REDUCTIONS:
        return None
    monoid, axis = REDUCTIONS[op.name], op.arguments["axis"]
    if monoid.name in ("argmax", "argmin"):
        over_steps = axis == 0 or (axis is None and stack.ndim == 1)
        if not over_steps or jnp.issubdtype(stack.dtype, jnp.complexfloating):
            return None
        return Accumulator(position, monoid.name, "int64", some=True)
    dtype = op.arguments["dtype"]
    if 0 not in axis or (op.name in ("mean", "logsumexp") and not jnp.issubdtype(dtype, jnp.floating)):
        return None
    return Accumulator(position, monoid.name, sum_dtype(dtype), some=monoid.needs_elements)


def _step(op: TableOp) -> int | None:
    """Return ``i`` of ``out[i, ...]`` where it is a number, not negative, and no other index is symbolic."""
    pattern: IndexPattern = op.arguments["pattern"]
    step, static = pattern.entries[0], not pattern.array_axes and None not in op.arguments["lengths"]
    return step if isinstance(step, int) and step >= 0 and static else None


def _reductions_by(reader: Apply, stack: Variable, position: int, graph: Graph) -> list[Reduction]:
    """Return a reader as a reduction or a product with a vector over steps, directly or of the transposed stack."""
    accumulator = accumulator_of(reader, stack, position)
    if accumulator is not None:
        return [] if accumulator.kind == "at" else [Reduction(reader, accumulator)]
    if not _is_transposition(reader):
        product = _product(reader, stack, 0, position)
        return [] if product is None else [product]
    flipped = reader.outputs[0]
    products = [_product(each, flipped, 1, position) for each in graph.readers.get(flipped, [])]
    if flipped in graph.outputs or None in products:
        return []
    return [product._replace(through=reader) for product in products if product is not None]


def _masked_reductions_by(loop: Apply, reader: Apply, stack: Variable, position: int, graph: Graph) -> list[Reduction]:
    """Return the reductions over the steps of a dynamic ``loop`` that ran, where a reader is the mask of the others."""
    if not reader.op.named("mask_rows") or reader.op.arguments["axis"] or reader.inputs[1] is not loop.inputs[0]:
        return []
    masked, identity = reader.outputs[0], reader.op.arguments["value"]
    accumulators = {each: accumulator_of(each, masked, position) for each in graph.readers.get(masked, [])}
    monoids = [None if one is None else one.monoid for one in accumulators.values()]
    if masked in graph.outputs or any(monoid is None or monoid.identity != identity for monoid in monoids):
        return []
    return [Reduction(each, one, through=reader) for each, one in accumulators.items() if one is not None]


def _is_transposition(node: Apply) -> bool:
    """Return whether a node transposes a matrix."""
    op = node.op
    if not isinstance(op, TableOp) or node.inputs[0].ndim != 2:
        return False
    return op.name == "transpose" or (op.name == "dimshuffle" and op.arguments["pattern"] == (1, 0))


def _product(reader: Apply, array: Variable, axis: int, position: int) -> Reduction | None:
    """Return a reader that contracts ``axis``, that of the steps, of ``array`` with a vector."""
    op = reader.op
    if not op.has("contraction") or reader.inputs.count(array) != 1:
        return None
    operand = reader.inputs.index(array)
    weights = reader.inputs[1 - operand]
    if weights.ndim != 1:
        return None
    if op.name == "tensordot":
        is_contracted = op.arguments["left" if operand == 0 else "right"] == (axis,)
    elif operand == 0:
        is_contracted = axis == array.ndim - 1
    else:
        is_contracted = array.ndim <= 2 and axis == max(array.ndim - 2, 0)
    accumulator = Accumulator(position, "sum", sum_dtype(reader.outputs[0].dtype))
    return Reduction(reader, accumulator, weights) if is_contracted else None


def _fused(node: Apply, reductions: list[Reduction]) -> Mapping[Variable, Variable]:
    """Return what replaces a loop's outputs and the readers that are fused, if there are any."""
    if not reductions:
        return {}
    loop = scan_builder(node)
    outputs = loop.outputs
    totals: list[Variable] = []
    names: dict[int, dict[str, None]] = {}
    for one in reductions:
        spec = one.accumulator
        output = outputs[spec.output]
        names.setdefault(spec.output, {})[f"step {spec.step}" if spec.kind == "at" else one.reader.op.name] = None
        if one.weights is not None:
            output = _weighted(loop, output, one.weights, spec.dtype)
        totals.append(Variable(output.value.type.with_dtype(spec.dtype)))
        loop.accumulators.append(AccumulatorSlot(spec, output, totals[-1]))
    for position, kinds in sorted(names.items()):
        loop.notes.append(f"{', '.join(kinds)} of {outputs[position].spec.name} in the carry, not from a stack")
    scan = loop.build()
    replaced = loop.replacements(scan)
    for one, total in zip(reductions, totals, strict=True):
        replaced[one.reader.outputs[0]] = _result(one, replaced.pop(total), scan)
    return replaced


def _weighted(loop: ScanBuilder, output: RecurrenceSlot | MapSlot, weights: Variable, dtype: str) -> MapSlot:
    """Add one more output to the loop: an output times the step's weight."""
    row = loop.row_of(weights, "weights")
    value = ops.mul(ops.cast(row, dtype), ops.cast(output.value, dtype))
    weighted = MapSlot(MapOutput(SavedSteps(last=0), f"weighted {output.spec.name}"), value)
    loop.maps.append(weighted)
    return weighted


def _result(reduction: Reduction, value: Variable, scan: Apply) -> Variable:
    """Return what replaces a fused reader, computed from the accumulator's ``value``."""
    op, reader = scan.op, reduction.reader
    assert isinstance(op, Scan)
    arguments, dtype = reader.op.arguments, reader.outputs[0].dtype
    if reduction.weights is not None:
        return value.astype(dtype)
    if reader.op.name == "index":
        pattern = IndexPattern(arguments["pattern"].entries[1:])
        if pattern.is_whole:
            return value
        rest = table_op("index", pattern=pattern, lengths=arguments["lengths"])
        return Apply(rest, [value], reader.sources).outputs[0]
    axes = () if reader.op.name in ("argmax", "argmin") else tuple(axis - 1 for axis in arguments["axis"] if axis > 0)
    if axes:
        rest = table_op(reader.op.name, **{**arguments, "axis": axes, "dtype": value.dtype})
        value = Apply(rest, [value], reader.sources).outputs[0]
    if reader.op.name == "mean":
        length = scan.outputs[-1] if op.until else scan.inputs[0] if op.n_steps is None or op.dynamic else op.n_steps
        value = ops.true_div(value, ops.cast(length, value.dtype))
    if arguments["keepdims"]:
        value = ops.dimshuffle(value, "x", *range(value.ndim))
    return value.astype(dtype)
