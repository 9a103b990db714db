"""What is read of a loop's stacked outputs."""

from __future__ import annotations

from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.index import IndexPattern, Slice, index_op
from loopjax.ir.lengths import is_shape, leaves_of, shape_value
from loopjax.ir.op import TableOp
from loopjax.ir.scan import Scan
from loopjax.trace.convert import constant


def rows_read(stack: Variable, graph: Graph, slices: bool) -> int | None:
    """How many of a stack's last rows its readers need; ``None`` for all. ``slices`` admits ``[-k:]``."""
    if stack in graph.outputs:
        return None
    needed = 0
    for reader in graph.readers.get(stack, []):
        rows = rows_of(reader, stack, slices)
        if rows is None:
            return None
        needed = max(needed, rows)
    return needed


def rows_of(reader: Apply, stack: Variable, slices: bool) -> int | None:
    """How many of a stack's last rows one reader needs; ``None`` for all."""
    if not isinstance(reader.op, TableOp) or stack in reader.inputs[1:]:
        return None
    if reader.op.row == "dim":
        return 0
    if reader.op.row != "index":
        return None
    first = reader.op.arguments["pattern"].axis_entries[0]
    if isinstance(first, int) and first < 0:
        return -first
    if slices and isinstance(first, Slice) and first.start is not None and (first.stop, first.step) == (None, None):
        start = reader.op.arguments["lengths"][first.start]
        if start is not None and start < 0:
            return -int(start)
    return None


def steps_of(reader: Apply, stack: Variable) -> range | None:
    """The rows that one reader needs of a stack whose length is known, the earliest first; ``None`` for all."""
    if not isinstance(reader.op, TableOp) or stack in reader.inputs[1:]:
        return None
    if is_shape(reader):
        return range(0)
    if reader.op.row != "index":
        return None
    pattern: IndexPattern = reader.op.arguments["pattern"]
    rows = pattern.rows(0, reader.op.arguments["lengths"], stack.type.sizes[0])
    if not rows:
        return None if rows is None else range(0)
    rows = rows if rows.step > 0 else rows[::-1]
    return range(rows[0], rows[-1] + 1, rows.step if len(rows) > 1 else 1)


def reads_few(reader: Apply, stack: Variable) -> bool:
    """Whether one reader needs no more than half of the steps of a stack whose length is known."""
    steps = steps_of(reader, stack)
    return steps is not None and 2 * len(steps) <= stack.type.sizes[0]


def last_steps_of(reader: Apply, stack: Variable, n_steps: int) -> range | None:
    """The steps that one reader needs, the earliest first, of a stack that has the last of ``n_steps``; ``None`` for
    all."""
    rows = steps_of(reader, stack)
    before = n_steps - stack.type.sizes[0]
    return rows and range(rows.start + before, rows.stop + before, rows.step)


def read_again(reader: Apply, stack: Variable, rows: range) -> Variable:
    """What ``reader`` reads, from another stack where it is in these ``rows``: as many, the earliest first."""
    op = reader.op
    assert isinstance(op, TableOp)
    if is_shape(reader):
        return constant(shape_value(reader, reader.inputs[0].type.sizes))
    pattern: IndexPattern = op.arguments["pattern"]
    key, place = list(pattern.key(op.arguments["lengths"])), pattern.places[0]
    if isinstance(key[place], int):
        # The last one is read as such, so that it alone is kept.
        key[place] = -1 if rows[0] == stack.type.sizes[0] - 1 else rows[0]
    else:
        key[place] = _slice_of(rows, (key[place].step or 1) > 0)
    return Apply(index_op(key), [stack, *reader.inputs[1:]], reader.sources).outputs[0]


def _slice_of(rows: range, forwards: bool) -> slice:
    """The slice that takes these rows, in this or in the opposite order."""
    if not rows:
        return slice(0, 0)
    if forwards:
        return slice(rows[0], rows[-1] + 1, rows.step)
    return slice(rows[-1], rows[0] - 1 if rows[0] else None, -rows.step)


def may_vary(node: Apply, graph: Graph, inner: bool) -> bool:
    """Whether a node is a loop whose length is a value that nothing but its stacked outputs has to know.

    Outside of bodies a value that the host can check before the run: below zero it is an error.
    """
    op = node.op
    if not isinstance(op, Scan) or op.n_steps is not None or op.sequences:
        return False
    if any(output.saved.every > 1 for output in op.outputs):
        return False
    leaves = leaves_of([node.inputs[0]], stop=graph.inputs)
    return bool(leaves.values or leaves.opaque) and (inner or not leaves.opaque)
