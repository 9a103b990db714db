"""Predicated reductions: reduce all elements, with the identity of the reduction where a mask is false.

``x[mask]`` reads the positions at which the mask is true, and how many there are only the run can tell: a loop pads
them, and outside of loops a program ends to count them. A sum needs neither::

    sum(log(x[x > s]))
    ->
    sum(switch(x > s, log(x), 0))

The mask sinks below elementwise ops, some reductions of other axes and slices of them, as long as all that they read
has been selected by the same mask or is the same for every row. A mean divides by how many elements are true. An empty
maximum is an error, so the number of selected elements is still computed, and checked.

All elements are computed, also where few are selected. What is not selected has no part in a gradient only by
``double_where``, without which this pass does not run, and which does not guard operands of reductions of other axes
that are infinite or NaN: only sums, means and extremes of them are moved.

Measured on one core (jax 0.10.2, float64), times as fast as without: a mean and a deviation of 20,000 values without
outliers, 20 times, 9; means of the bright ones of 40 by 40 values, 200 times, 9; a mean outside of a loop 1.5.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from loopjax.ir.equality import computed_alike, value_key
from loopjax.ir.graph import Apply, Graph, Variable, copy_node
from loopjax.ir.index import WHOLE, Array, IndexPattern
from loopjax.ir.monoid import MONOIDS, REDUCTIONS, element, sum_dtype
from loopjax.ir.op import table_op
from loopjax.ir.public_ops import ops
from loopjax.rewrite.driver import Pass, Replacement, region_inputs, replace_all
from loopjax.tensor.indexing import unraveled
from loopjax.trace.convert import constant

REDUCED = (*(name for name in REDUCTIONS if name not in ("logsumexp", "argmax", "argmin")), "var")
"""Reductions whose identity replaces elements that are not selected."""

OF_ROWS = ("sum", "mean", "max", "min", "any", "all")
"""Reductions of other axes with finite derivatives, whatever is in the rows that are not selected."""


class Selection(NamedTuple):
    """The rows of ``whole`` for which the vector ``mask`` is true; ``positions`` are theirs."""

    whole: Variable
    mask: Variable
    positions: Variable


Sizes = Mapping[Variable, Variable]
"""For an array of the shape that a mask must have, the array whose leading axes have that shape."""


class MaskReductions(Pass):
    """Replaces reductions of ``x[mask]`` by reductions of ``x`` with the identity where the mask is false."""

    def __call__(self, graph: Graph) -> Graph:
        return self._masked(graph, {})

    def _masked(self, graph: Graph, known: Sizes) -> Graph:
        if not graph.holds(lambda node: node.op.named("nonzero")):
            return graph
        sizes = _sizes(graph, known)

        def enter(node: Apply, inputs: tuple[Variable, ...]) -> Replacement:
            if not node.op.regions:
                return None
            regions = [self._masked(region, _entered(node, region, sizes)) for region in node.op.regions]
            if all(map(operator.is_, regions, node.op.regions)):
                return None
            return copy_node(node, inputs, node.op.with_regions(regions)).outputs

        return _reduce_all(graph.rebuilt(transform=enter), known)


def _sizes(graph: Graph, known: Sizes) -> dict[Variable, Variable]:
    """Return the arrays of a graph that have the sizes of others, which ``x[mask]`` checks the mask by."""
    sizes = dict(known)
    for node in graph.applies:
        read = [size.owner for size in node.inputs[1:]] if node.op.named("alloc") else []
        dims = [(one.inputs[0], one.op.arguments["axis"]) for one in read if one is not None and one.op.named("dim")]
        if read and len(dims) == len(read) and dims == [(dims[0][0], axis) for axis in range(len(read))]:
            sizes[node.outputs[0]] = dims[0][0]
    return sizes


def _entered(node: Apply, region: Graph, sizes: Sizes) -> Sizes:
    """Return the arrays that have the sizes of others among a region's inputs."""
    pairs = list(region_inputs(node, region))
    inside = {outer: inner for inner, outer in pairs}
    return {inner: inside[sizes[outer]] for inner, outer in pairs if outer in sizes and sizes[outer] in inside}


def _reduce_all(graph: Graph, known: Sizes) -> Graph:
    """Replace the reductions of a graph that can do without what masks select."""
    sizes = _sizes(graph, known)
    selections: dict[Variable, Selection] = {}
    replaced: dict[Variable, Variable] = {}
    for node in graph.applies:
        made = _selected(node, sizes) or _moved(node, selections)
        if made is not None:
            selections[node.outputs[0]] = made
        elif len(node.inputs) == 1 and node.inputs[0] in selections:
            result = _reduced(node, selections[node.inputs[0]], graph.readers.get(node.outputs[0], ()))
            if result is not None:
                replaced[node.outputs[0]] = result
    return replace_all(graph, replaced)


def _selected(node: Apply, known: Sizes) -> Selection | None:
    """Return the selection that a node makes: positions of a mask, or a read of the first axes at them."""
    if node.op.named("nonzero"):
        return Selection(ops.arange(ops.dim(node.inputs[0], 0)), node.inputs[0], node.outputs[0])
    if not node.op.named("index") or not (count := len(node.inputs) - 1):
        return None
    (x, *arrays), pattern = node.inputs, node.op.arguments["pattern"]
    if len(pattern.arrays) != count:
        return None
    is_first = all(isinstance(entry, Array) for entry in pattern.entries[:count])
    found = _nonzero(arrays) if is_first else None
    if found is None or not _has_sizes(found[1], x, known):
        return None
    others = IndexPattern((WHOLE,) * count + pattern.entries[count:])
    read = table_op("index", **{**node.op.arguments, "pattern": others})
    whole, nonzero = Apply(read, [x], node.sources).outputs[0], found[0]
    if count > 1:
        sizes = [ops.dim(nonzero.inputs[0], 0), *(ops.dim(whole, axis) for axis in range(count, whole.ndim))]
        whole = ops.reshape(whole, sizes)
    return Selection(whole, nonzero.inputs[0], nonzero.outputs[0])


def _nonzero(arrays: Sequence[Variable]) -> tuple[Apply, Variable] | None:
    """Return the mask from which index arrays are made, one for each of its axes, and the node that finds its flat
    positions."""
    flat = arrays[0]
    for _ in arrays[1:]:
        flat = flat if flat.owner is None or not flat.owner.inputs else flat.owner.inputs[0]
    found = flat.owner
    if found is None or not found.op.named("nonzero"):
        return None
    mask = found.inputs[0]
    if len(arrays) == 1:
        return found, mask
    if mask.owner is None or not mask.owner.op.named("reshape") or mask.owner.inputs[0].ndim != len(arrays):
        return None
    mask = mask.owner.inputs[0]
    alike = all(computed_alike(*pair) for pair in zip(arrays, unraveled(flat, mask), strict=True))
    return (found, mask) if alike else None


def _has_sizes(mask: Variable, x: Variable, known: Sizes) -> bool:
    """Return whether a mask is known to have the sizes of the leading axes of an array."""
    sizes = x.type.shape[: mask.ndim]
    if None not in sizes and sizes == mask.type.shape:
        return True
    # ``x[mask]`` has it checked.
    if mask.owner is not None and mask.owner.op.named("second") and known.get(mask.owner.inputs[0]) is x:
        return True
    # Both are computed elementwise from the same arrays.
    return mask.ndim == x.ndim and _arrays(mask) == _arrays(x)


def _arrays(x: Variable) -> set[object]:
    """Return the arrays from which elementwise ops compute an array: they have its sizes, or broadcast."""
    found: set[object] = set()
    seen, left = set(), [x]
    while left:
        variable = left.pop()
        if variable in seen or not variable.ndim:
            continue
        seen.add(variable)
        if variable.owner is not None and variable.owner.op.has("pointwise"):
            left.extend(variable.owner.inputs)
        else:
            found.add(value_key(variable))
    return found


def _moved(node: Apply, selections: Mapping[Variable, Selection]) -> Selection | None:
    """Return the selection that a result is, if each of its rows is computed from the same row of selections."""
    found = [selections[x] for x in node.inputs if x in selections]
    if not found or any(one.positions is not found[0].positions for one in found):
        return None
    if node.op.has("pointwise") and not node.op.has("may_fail"):
        by_row = all(x in selections or x.type.shape[:1] == (1,) for x in node.inputs if x.ndim == node.outputs[0].ndim)
        by_row = by_row and all(x.ndim == node.outputs[0].ndim for x in node.inputs if x in selections)
    elif node.op.named("index"):
        by_row = len(node.inputs) == 1 and node.op.arguments["pattern"].entries[0] == WHOLE
    else:
        by_row = node.op.name in OF_ROWS and 0 not in node.op.arguments["axis"]
    if not by_row:
        return None
    wholes = [selections[x].whole if x in selections else x for x in node.inputs]
    return found[0]._replace(whole=copy_node(node, wholes).outputs[0])


def _reduced(node: Apply, selection: Selection, readers: Sequence[Apply]) -> Variable | None:
    """Return a reduction of the selected rows or, where its readers take it for a value and no length, their number."""
    whole, mask, positions = selection
    if node.op.named("dim"):
        is_value = all(one.op.has("pointwise") and one.outputs[0].type.is_float for one in readers)
        return ops.sum(mask) if node.op.arguments["axis"] == 0 and is_value else None
    if node.op.name not in REDUCED or 0 not in node.op.arguments["axis"]:
        return None
    if node.op.named("mean", "var"):
        return _mean_or_variance(node, whole, mask)
    result = _predicated(node, node.op.name, whole, mask, **node.op.arguments)
    if not MONOIDS[node.op.name].needs_elements:
        return result
    # Keeps the error for an empty selection: the extreme of the positions fails where there are none.
    op = table_op(node.op.name, axis=(0,), dtype="int64", keepdims=False)
    return ops.second(Apply(op, [positions], node.sources).outputs[0], result)


def _predicated(node: Apply, name: str, x: Variable, mask: Variable, **options: Any) -> Variable:
    """Return a reduction of an array, with the identity in the rows for which a mask is false."""
    identity = constant(np.array(element(MONOIDS[name].identity, x.dtype), x.dtype))
    kept = ops.switch(ops.dimshuffle(mask, (0, *("x" * (x.ndim - 1)))), x, identity)
    return Apply(table_op(name, **options), [kept], node.sources).outputs[0]


def _mean_or_variance(node: Apply, whole: Variable, mask: Variable) -> Variable | None:
    """Return a mean or a variance of the rows for which a mask is true: sums over the number of their elements."""
    if node.op.named("var") and np.dtype(whole.dtype).kind == "c":
        return None
    axes, keepdims, dtype = (node.op.arguments[name] for name in ("axis", "keepdims", "dtype"))
    exact = sum_dtype(dtype)
    count = math.prod((ops.dim(whole, axis) for axis in axes if axis), start=ops.sum(mask))
    if node.op.named("mean"):
        total = _predicated(node, "sum", whole, mask, axis=axes, dtype=exact, keepdims=keepdims)
        return ops.cast(total / ops.cast(count, exact), dtype)
    centred = ops.cast(whole, exact)
    total = _predicated(node, "sum", centred, mask, axis=axes, dtype=exact, keepdims=True)
    centred = centred - total / ops.cast(count, exact)
    squares = _predicated(node, "sum", centred * centred, mask, axis=axes, dtype=exact, keepdims=keepdims)
    return ops.cast(squares / ops.cast(ops.maximum(count - node.op.arguments["ddof"], 0), exact), dtype)
