"""Sums over the steps of a loop of unknown length are gathered in its carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from loopjax.rewrite.driver import map_regions
from loopjax.rewrite.keep import rows_of
from loopjax.rewrite.trip_count import may_vary
from loopjax.trace.derivative import Differentiated, Linearize
from loopjax.trace.graph import Apply, Graph, Variable, copy_node
from loopjax.trace.loop import Fold, Scan
from loopjax.trace.methods import say
from loopjax.trace.op import Call, Entry, Op, call


@dataclass(frozen=True)
class FoldSteps:
    """``out.sum(0)``, ``out.prod(0)``, ``out.mean(0)``, ``out.max(0)``, ``out.min(0)`` and ``out[i]`` of a loop
    whose length only the run knows.

    Nothing is stacked, so no stage ends to learn the length, and inside of another loop such a loop can be read at all.
    ``inner`` is set inside of bodies, where even loops without recurrence are folded: they could not be lowered
    otherwise. ``differentiated`` is set inside of regions that are, where loops outside of bodies run as many steps
    as they are compiled for unless ``until`` stops them.
    """

    name: str = "fold"
    inner: bool = False
    differentiated: bool = False

    def __call__(self, graph: Graph) -> Graph:
        graph = map_regions(graph, self._within)
        plans = {node: folds for node in graph.applies if (folds := self._folds(node, graph))}
        if not plans:
            return graph

        def transform(node: Apply, inputs: tuple[Variable, ...]) -> Sequence[Variable] | None:
            if node in plans and isinstance(node.op, Scan):
                return _with_folds(node, node.op, inputs, list(plans[node].values()))
            for folds in plans.values():
                if node in folds:
                    position = list(folds).index(node)
                    return [_read(node, inputs[0], position)]
            return None

        return graph.rebuilt(transform=transform)

    def _within(self, region: Graph, op: Op) -> Graph:
        if isinstance(op, Differentiated):
            return replace(self, differentiated=self.differentiated or isinstance(op, Linearize))(region)
        return replace(self, inner=True)(region)

    def _folds(self, node: Apply, graph: Graph) -> dict[Apply, Fold]:
        """The readers of a loop's outputs that can be folded, where all readers of the output can, or need last rows
        alone."""
        op = node.op
        if not isinstance(op, Scan):
            return {}
        varies = (self.inner or not self.differentiated) and may_vary(node, graph, self.inner)
        if not (op.until or varies):
            return {}
        if not op.until and not op.recurrences and not self.inner:
            return {}
        found: dict[Apply, Fold] = {}
        for position, (output, stack) in enumerate(zip(op.outputs, node.outputs, strict=False)):
            if not output.keep.all or stack in graph.outputs:
                continue
            readers = graph.readers.get(stack, [])
            folds = {reader: fold for reader in readers if (fold := fold_of(reader, stack, position)) is not None}
            if self.differentiated and any(fold.some for fold in folds.values()):
                # Equal extremes share a gradient, and only a reduction of all of them at once can see how many.
                continue
            rest = [reader for reader in readers if reader not in folds]
            if folds and all(rows_of(reader, stack, slices=False) is not None for reader in rest):
                found.update(folds)
        return found


def fold_of(reader: Apply, stack: Variable, position: int) -> Fold | None:
    """How a reader of a stack is folded, if it can be."""
    op = reader.op
    if not isinstance(op, Call) or stack in reader.inputs[1:]:
        return None
    if op.row in ("sum", "prod", "mean"):
        folds = 0 in op.arguments["axis"] and not op.arguments["keepdims"]
        dtype = op.arguments["dtype"]
        wide = "float32" if dtype in ("float16", "bfloat16") else dtype
        return Fold(position, "prod" if op.row == "prod" else "sum", wide) if folds else None
    if op.row in ("max", "min"):
        folds = 0 in op.arguments["axis"] and not op.arguments["keepdims"]
        return Fold(position, "max" if op.row == "max" else "min", stack.dtype, some=True) if folds else None
    if op.row == "index" and _step(op) is not None:
        return Fold(position, "at", stack.dtype, _step(op) or 0)
    return None


def _step(op: Call) -> int | None:
    """For ``out[i, ...]`` with a number ``i`` from 0 up and nothing symbolic else, that number."""
    pattern: tuple[Entry, ...] = op.arguments["pattern"]
    if (
        pattern[0][0] != "int"
        or pattern[0][1] < 0
        or any(entry[0] == "at" for entry in pattern)
        or None in op.arguments["lengths"]
    ):
        return None
    return int(pattern[0][1])


def _with_folds(node: Apply, op: Scan, inputs: tuple[Variable, ...], folds: list[Fold]) -> list[Variable]:
    """The scan with these folds; its outputs without them."""
    fresh = copy_node(node, inputs, replace(op, folds=tuple(folds))).outputs
    count = len(op.outputs) + op.n_states
    return [*fresh[:count], *fresh[count + len(folds) :]]


def _read(reader: Apply, stack: Variable, position: int) -> Variable:
    """What stands for a folded reader."""
    scan = stack.owner
    assert scan is not None
    assert isinstance(scan.op, Scan)
    assert isinstance(reader.op, Call)
    value = scan.outputs[len(scan.op.outputs) + scan.op.n_states + position]
    arguments = reader.op.arguments
    if reader.op.row == "index":
        rest = call("index", pattern=arguments["pattern"][1:], lengths=arguments["lengths"])
        if all(entry == ("slice", None, None, None) for entry in arguments["pattern"][1:]):
            return value
        return Apply(rest, [value], reader.sources).outputs[0]
    axes = tuple(axis - 1 for axis in arguments["axis"] if axis > 0)
    if axes:
        rest = call(reader.op.row, **{**arguments, "axis": axes, "dtype": value.dtype})
        value = Apply(rest, [value], reader.sources).outputs[0]
    if reader.op.row == "mean":
        length = scan.outputs[-1] if scan.op.until else scan.inputs[0]
        value = say("true_div", value, say("cast", length, value.dtype))
    return value.astype(arguments["dtype"])
