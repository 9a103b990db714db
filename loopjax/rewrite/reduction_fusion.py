"""Reductions over the steps of a loop are gathered in its carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax.numpy as jnp

from loopjax.ir.graph import Apply, Graph, Variable, dependents
from loopjax.ir.index import IndexPattern
from loopjax.ir.monoid import MONOIDS, REDUCTIONS, sum_dtype
from loopjax.ir.op import TableOp, table_op
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import Accumulator, MapOutput, SavedSteps, Scan
from loopjax.rewrite.cost_model import is_small
from loopjax.rewrite.demand import may_vary, reads_few, rows_of
from loopjax.rewrite.driver import Context, Pass, replace_all
from loopjax.rewrite.scan_builder import AccumulatorSlot, MapSlot, RecurrenceSlot, ScanBuilder, scan_builder

LARGE = 2**25
"""Bytes of a stack from which ``logsumexp`` is gathered. Each step takes an ``exp`` of its own then, which costs more
than that of a whole stack in cache: measured on two cores, 1.3 times as long for 1e5 scalars or 1,000 steps of 10
float64 values, as long for 1,000 of 1,000, and a tenth for 500 of 20,000. The other reductions gain at every size: 0.9
of the time for 100 scalars, a half for 1e5, down to a 50th for 500 of 20,000."""


@dataclass(frozen=True)
class FuseReductions(Pass):
    """``out.sum(0)``, other reductions over steps, ``dot(w, out)`` and ``out[i]`` without the stack ``out``.

    XLA does not do it by itself: it stores every step and then reduces. Of a loop whose length only the run knows, no
    stage then ends to learn it, and inside of another loop such a loop can be read at all.

    Inside of bodies even loops without recurrence are folded: they could not be lowered otherwise. In reverse mode,
    loops outside of bodies run as many steps as they are compiled for unless ``until`` stops them.
    """

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        replaced: dict[Variable, Variable] = {}
        for node in graph.applies:
            accumulators = self._folds(node, graph, context)
            if accumulators:
                replaced.update(_folded(node, accumulators))
        return replace_all(graph, replaced)

    def _folds(self, node: Apply, graph: Graph, context: Context) -> list[Found]:
        """The readers of a loop's outputs that can be folded, where all readers of the output can, or need last rows
        alone."""
        op = node.op
        if not isinstance(op, Scan):
            return []
        varies = (context.in_loop or not context.reversed) and may_vary(node, graph, context.in_loop)
        if not (op.until or varies) or not (op.until or op.recurrences or context.in_loop):
            return []
        found: list[Found] = []
        for position, stack in _stacks(node, op, graph):
            readers = graph.readers.get(stack, [])
            accumulators = [Found(reader, fold) for reader in readers if (fold := fold_of(reader, stack, position))]
            if context.reversed and any(one.fold.kind != "at" and one.fold.some for one in accumulators):
                # Equal extremes share a gradient, and only a reduction of all of them at once can see how many.
                continue
            rest = [reader for reader in readers if reader not in [one.reader for one in accumulators]]
            if accumulators and all(rows_of(reader, stack, slices=False) is not None for reader in rest):
                found.extend(accumulators)
        return found


@dataclass(frozen=True)
class FuseSizedReductions(Pass):
    """The same of loops whose length is known, where it saves memory and time.

    A loop whose steps need no other stays a ``vmap``, whose reduction XLA fuses with it; but for a few steps of
    scalars, on a CPU. Under a derivative, sums alone cost nothing.
    """

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        while replaced := self._replaced(graph, context):
            graph = replace_all(graph, replaced)
        return graph

    def _replaced(self, graph: Graph, context: Context) -> dict[Variable, Variable]:
        """What stands for readers that are folded. Of loops that take in weights one alone, since it then needs what
        computes those, and another loop might need this one for that."""
        found: dict[Variable, Variable] = {}
        weighted = False
        for node in graph.applies:
            accumulators = self._folds(node, graph, context)
            takes = any(one.weights is not None for one in accumulators)
            if accumulators and not (takes and weighted):
                found.update(_folded(node, accumulators))
                weighted |= takes
        return found

    def _folds(self, node: Apply, graph: Graph, context: Context) -> list[Found]:
        op = node.op
        if not isinstance(op, Scan) or op.until or op.dynamic or (op.n_steps or 0) < 2:
            return []
        if not op.recurrences and not self._is_short(op, context):
            return []
        found: list[Found] = []
        after: set[Variable] | None = None
        for position, stack in _stacks(node, op, graph):
            readers = graph.readers.get(stack, [])
            accumulators = [one for reader in readers for one in _found(reader, stack, position, graph)]
            if any(one.weights is not None for one in accumulators):
                after = dependents(graph.applies, node.outputs) if after is None else after
                # Of a loop that is truncated, no gradient flows to weights of early steps, which are sequences then.
                may = set() if op.truncate_gradient >= 0 else {one.weights for one in accumulators}.difference(after)
                accumulators = [one for one in accumulators if one.weights is None or one.weights in may]
            accumulators = [one for one in accumulators if one.fold.kind != "logsumexp" or stack.type.bytes >= LARGE]
            if context.differentiated and any(MONOIDS[one.fold.kind].keeps_steps for one in accumulators):
                continue
            done = {one.through or one.reader for one in accumulators}
            if accumulators and all(reads_few(reader, stack) for reader in readers if reader not in done):
                found.extend(accumulators)
        return found

    def _is_short(self, op: Scan, context: Context) -> bool:
        """Whether a loop without recurrence is faster step by step: see ``SHORT``."""
        scalars = all(variable.ndim == 0 for variable in (*op.body.inputs, *op.body.outputs))
        here = self.target.on_cpu and not context.differentiated
        return here and scalars and is_small(op) and (op.n_steps or 0) <= SHORT


SHORT = 10_000
"""Steps up to which scalars are summed by a loop that XLA on CPU compiles into one function, which runs on the thread
that calls it; of all at once, a second function is called, on another thread. Measured on two cores for 100, 1,000,
10,000 and 100,000 steps, times as fast: powers 1.3, 7, 1.4, 0.9; products 1.0, 9, 1.9, 0.5; tanh 1.0, 5, 1.3, 0.5."""


class Found(NamedTuple):
    """A reader of a stack and its fold: of the stack, or of its steps times those of the vector ``weights``, where the
    reader is a product. It may read the stack ``through`` a transposition."""

    reader: Apply
    fold: Accumulator
    weights: Variable | None = None
    through: Apply | None = None


def _stacks(node: Apply, op: Scan, graph: Graph) -> list[tuple[int, Variable]]:
    """The outputs of which all steps are kept, and that nothing outside of the graph reads, with their positions."""
    pairs = enumerate(zip(op.outputs, node.outputs, strict=False))
    return [(p, stack) for p, (output, stack) in pairs if output.saved.all and stack not in graph.outputs]


def fold_of(reader: Apply, stack: Variable, position: int) -> Accumulator | None:
    """How a reader of a stack is folded, if it can be by itself."""
    op = reader.op
    if not isinstance(op, TableOp) or stack in reader.inputs[1:]:
        return None
    if op.row == "index":
        step = _step(op)
        return None if step is None else Accumulator(position, "at", stack.dtype, step)
    if op.row not in REDUCTIONS:
        return None
    monoid, axis = REDUCTIONS[op.row], op.arguments["axis"]
    if monoid.name in ("argmax", "argmin"):
        alone = axis == 0 or (axis is None and stack.ndim == 1)
        return (
            Accumulator(position, monoid.name, "int64", some=True) if alone and not _is_complex(stack.dtype) else None
        )
    dtype = op.arguments["dtype"]
    if 0 not in axis or (op.row in ("mean", "logsumexp") and not _is_real(dtype)):
        return None
    return Accumulator(position, monoid.name, sum_dtype(dtype), some=monoid.needs_elements)


def _is_real(dtype: str) -> bool:
    return bool(jnp.issubdtype(dtype, jnp.floating))


def _is_complex(dtype: str) -> bool:
    return bool(jnp.issubdtype(dtype, jnp.complexfloating))


def _step(op: TableOp) -> int | None:
    """For ``out[i, ...]`` with a number ``i`` from 0 up and nothing symbolic else, that number."""
    pattern: IndexPattern = op.arguments["pattern"]
    step, static = pattern.entries[0], not pattern.array_axes and None not in op.arguments["lengths"]
    return step if isinstance(step, int) and step >= 0 and static else None


def _found(reader: Apply, stack: Variable, position: int, graph: Graph) -> list[Found]:
    """A reader as a reduction or a product with a vector over steps, directly or of the transposed stack; empty where
    it is none."""
    fold = fold_of(reader, stack, position)
    if fold is not None:
        return [] if fold.kind == "at" else [Found(reader, fold)]
    if _is_transposition(reader):
        flipped = reader.outputs[0]
        products = [_product(one, flipped, 1, position) for one in graph.readers.get(flipped, [])]
        if flipped in graph.outputs or None in products:
            return []
        return [one._replace(through=reader) for one in products if one is not None]
    product = _product(reader, stack, 0, position)
    return [] if product is None else [product]


def _is_transposition(node: Apply) -> bool:
    return (
        isinstance(node.op, TableOp)
        and node.inputs[0].ndim == 2
        and (node.op.row == "transpose" or (node.op.row == "dimshuffle" and node.op.arguments["pattern"] == (1, 0)))
    )


def _product(reader: Apply, array: Variable, axis: int, position: int) -> Found | None:
    """A reader that multiplies ``array``, whose ``axis`` is that of steps, with a vector over it."""
    op = reader.op
    if not isinstance(op, TableOp) or not op.has("contraction"):
        return None
    if reader.inputs.count(array) != 1:
        return None
    place = reader.inputs.index(array)
    weights = reader.inputs[1 - place]
    if weights.ndim != 1:
        return None
    if op.row == "tensordot":
        sums = op.arguments["left" if place == 0 else "right"] == (axis,)
    elif place == 0:
        sums = axis == array.ndim - 1
    else:
        sums = array.ndim <= 2 and axis == max(array.ndim - 2, 0)
    dtype = reader.outputs[0].dtype
    return Found(reader, Accumulator(position, "sum", sum_dtype(dtype)), weights) if sums else None


def _folded(node: Apply, accumulators: list[Found]) -> Mapping[Variable, Variable]:
    """What stands for a loop's outputs, and for the readers that are folded."""
    loop = scan_builder(node)
    outputs = loop.outputs
    totals: list[tuple[Found, Variable]] = []
    for one in accumulators:
        of = outputs[one.fold.output]
        if one.weights is not None:
            of = _weighted(loop, of, one.weights, one.fold.dtype)
        total = Variable(of.value.type.with_dtype(one.fold.dtype))
        loop.accumulators.append(AccumulatorSlot(one.fold, of, total))
        totals.append((one, total))
    for position, output in enumerate(outputs):
        kinds = [_kind(one) for one in accumulators if one.fold.output == position]
        if kinds:
            loop.notes.append(f"{', '.join(dict.fromkeys(kinds))} of {output.spec.name} in the carry, not from a stack")
    scan = loop.build()
    replaced = loop.replacements(scan)
    for one, total in totals:
        replaced[one.reader.outputs[0]] = _read(one, replaced.pop(total), scan)
    return replaced


def _kind(one: Found) -> str:
    assert isinstance(one.reader.op, TableOp)
    return f"step {one.fold.step}" if one.fold.kind == "at" else one.reader.op.row


def _weighted(loop: ScanBuilder, of: RecurrenceSlot | MapSlot, weights: Variable, dtype: str) -> MapSlot:
    """One more value of each step: that of an output times that of a vector."""
    row = loop.row_of(weights, "weights")
    value = ops.mul(ops.cast(row, dtype), ops.cast(of.value, dtype))
    weighted = MapSlot(MapOutput(SavedSteps(last=0), f"weighted {of.spec.name}"), value)
    loop.maps.append(weighted)
    return weighted


def _read(one: Found, value: Variable, scan: Apply) -> Variable:
    """What stands for a folded reader."""
    op, reader = scan.op, one.reader
    assert isinstance(op, Scan)
    assert isinstance(reader.op, TableOp)
    arguments, dtype = reader.op.arguments, reader.outputs[0].dtype
    if one.weights is not None:
        return value.astype(dtype)
    if reader.op.row == "index":
        pattern = IndexPattern(arguments["pattern"].entries[1:])
        if pattern.is_whole:
            return value
        rest = table_op("index", pattern=pattern, lengths=arguments["lengths"])
        return Apply(rest, [value], reader.sources).outputs[0]
    axes = () if reader.op.row in ("argmax", "argmin") else tuple(axis - 1 for axis in arguments["axis"] if axis > 0)
    if axes:
        rest = table_op(reader.op.row, **{**arguments, "axis": axes, "dtype": value.dtype})
        value = Apply(rest, [value], reader.sources).outputs[0]
    if reader.op.row == "mean":
        length = scan.outputs[-1] if op.until else scan.inputs[0] if op.n_steps is None or op.dynamic else op.n_steps
        value = ops.true_div(value, ops.cast(length, value.dtype))
    if arguments["keepdims"]:
        value = ops.dimshuffle(value, "x", *range(value.ndim))
    return value.astype(dtype)
