"""Selection: the first, the last, or a few elements of a sort are found without a sort, on a CPU.

A beam search keeps the best of its candidates, a robust estimate reads a median::

    argsort(-scores)[:beams]            sort(x)[n // 2]
    ->
    argsort[end=beams](-scores)         sort[positions=(n // 2,)](x)

The first or last elements are found by ``lax.top_k``, single ones by bisection. Measured on one core (jax 0.10.2,
float32), times as fast as a sort: ``top_k`` 2 for 8 of 100 elements, 12 for 8 of 1,000, 30 for 8 of 10,000 and 2.6 for
half of them. XLA on CPU sorts all elements of other dtypes for ``top_k``, too.

Bisection counts the elements up to a guess once for each bit of an element. Times as fast as a sort by bisection, one
element of each row, in a loop of 20 steps; where it is slower than 1.5 times as fast by an estimate, a sort stays:

| rows, elements | 1, 64 | 1, 200 | 1, 500 | 1, 1,000 | 1, 10,000 | 1, 100,000 | 100, 25 |
|---|---|---|---|---|---|---|---|
| float32 | 3.1 | 2.1 | 4.6 | 7.3 | 18 | 26 | 6.2 |
| float64 | 0.54 | 0.96 | 2.3 | 3.8 | 8.4 | 10 | 2.3 |
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from loopjax.ir.graph import Apply, Constant, Graph, Variable
from loopjax.ir.index import IndexPattern, index_op
from loopjax.ir.op import table_op
from loopjax.ir.scan import Scan
from loopjax.rewrite.driver import Context, Pass, Replacement
from loopjax.tensor.sort import MOST_RANKED

SORT_NS = 13.0
"""Nanoseconds of a sort for each element and each halving of the sorted axis."""

PASS_NS, COUNT_NS = 250.0, 0.35
"""Nanoseconds of one step of a bisection, and for each element of it."""


@dataclass(frozen=True)
class SelectElements(Pass):
    """Finds what is read of a sort without sorting: the first or last elements, at most half of them, or a few.

    Attributes
    ----------
    margin
        Estimated time of the sort over that of a bisection from which it pays.
    """

    margin: float = 1.5

    def rewrite_graph(self, graph: Graph, context: Context) -> Graph:
        if not self.target.on_cpu or not graph.holds(lambda node: node.op.named("sort", "argsort")):
            return graph
        # A derivative goes to the place that an element has come from, which bisection does not find.
        chosen = {} if context.differentiated else self._bisected(graph, _batch(context))

        def transform(node: Apply, inputs: tuple[Variable, ...]) -> Replacement:
            if node in chosen:
                op = table_op("sort", axis=node.op.arguments["axis"], positions=chosen[node])
                return Apply(op, inputs, node.sources).outputs
            sort = node.inputs[0].owner if node.op.named("index", "window") else None
            if sort is not None and sort in chosen:
                return _among(node, sort, inputs[0], chosen[sort])
            return _top(node, inputs[0]) if node.op.named("index") else None

        return graph.rebuilt(transform=transform)

    def _bisected(self, graph: Graph, batch: int) -> Mapping[Apply, tuple[int, ...]]:
        """Return the sorts whose readers ask for few elements, and the positions of these; ``batch`` run at once."""
        found: dict[Apply, tuple[int, ...]] = {}
        for sort in graph.applies:
            if not sort.op.named("sort") or len(sort.op.arguments) > 1 or sort.outputs[0] in graph.outputs:
                continue
            axis, sizes, dtype = sort.op.arguments["axis"], sort.outputs[0].type.sizes, np.dtype(sort.outputs[0].dtype)
            if dtype.kind not in "iuf" or dtype.itemsize < 4 or sizes[axis] <= MOST_RANKED:
                continue
            reads = [_rows(reader, axis, sizes[axis]) for reader in graph.readers[sort.outputs[0]]]
            positions = tuple(sorted({row for rows in reads if rows for row in rows}))
            elements = batch * math.prod(sizes)
            time = len(positions) * 8 * dtype.itemsize * (PASS_NS + COUNT_NS * elements)
            if all(reads) and SORT_NS * elements * math.log2(sizes[axis]) >= self.margin * time:
                found[sort] = positions
        return found


def _batch(context: Context) -> int:
    """Return the steps of a loop of independent steps, which run at once."""
    loop = context.enclosing[-1] if context.enclosing else None
    return (loop.n_steps or 1) if isinstance(loop, Scan) and loop.is_map and not loop.until else 1


def _key(read: Apply) -> tuple[Any, ...] | None:
    """Return the key of an index, or of a window, by numbers alone."""
    if any(not isinstance(one, Constant) or one.ndim for one in read.inputs[1:]):
        return None
    numbers = [int(one.data) for one in read.inputs[1:] if isinstance(one, Constant)]
    if read.op.named("window") and read.inputs[0].type.concrete:
        parts = zip(read.op.arguments["axes"], numbers, read.op.arguments["lengths"], strict=True)
        sizes, key = read.inputs[0].type.sizes, [slice(None)] * read.inputs[0].ndim
        for axis, start, rows in parts:
            first = min(max(start, 0), sizes[axis] - rows)  # as ``dynamic_slice`` moves it
            key[axis] = slice(first, first + rows)
        return tuple(key)
    return read.op.arguments["pattern"].key(read.op.arguments["lengths"], numbers) if read.op.named("index") else None


def _rows(read: Apply, axis: int, size: int) -> range | None:
    """Return the positions next to one another that an index by numbers reads of an axis."""
    key = _key(read)
    if key is None:
        return None
    pattern, lengths = IndexPattern.parse(key)
    rows = pattern.rows(axis, lengths, size)
    return rows if rows and rows.step == 1 else None


def _among(read: Apply, sort: Apply, selected: Variable, positions: tuple[int, ...]) -> Replacement:
    """Return what an index reads, from the elements at ``positions`` of a sort."""
    axis, key = sort.op.arguments["axis"], list(_key(read) or ())
    rows = _rows(read, axis, sort.outputs[0].type.sizes[axis])
    assert rows is not None
    place = [position for position, entry in enumerate(key) if entry is not None][axis]
    first = positions.index(rows[0])
    key[place] = first if isinstance(key[place], int) else slice(first, first + len(rows))
    return Apply(index_op(tuple(key), selected.ndim), [selected], read.sources).outputs


def _top(read: Apply, ordered: Variable) -> Replacement:
    """Return what a slice reads, where it is the first or last elements of the last axis, and at most half of them."""
    sort = ordered.owner
    if sort is None or not sort.op.named("sort", "argsort") or len(sort.op.arguments) > 1:
        return None
    (x,), last, pattern = sort.inputs, ordered.ndim - 1, read.op.arguments["pattern"]
    if x.dtype != "float32" or sort.op.arguments["axis"] != last or pattern.kept_axes != (*range(last + 1),):
        return None
    sizes, lengths = x.type.sizes, read.op.arguments["lengths"]
    *others, rows = (pattern.rows(axis, lengths, size) for axis, size in enumerate(sizes))
    if not rows or len(rows) > sizes[-1] // 2 or others != [range(size) for size in sizes[:-1]]:
        return None
    is_first, is_last = rows[0] == 0, rows[-1] == sizes[-1] - 1
    if rows.step != 1 or not (is_first or is_last):
        return None
    end = len(rows) if is_first else -len(rows)
    return Apply(table_op(sort.op.name, axis=last, end=end), [x], read.sources).outputs
