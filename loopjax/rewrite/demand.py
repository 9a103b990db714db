"""Demand analysis: the steps of a loop's stacked outputs that their readers need.

XLA stores every step of a loop and then picks. The passes that ask here (``saved_steps``, ``saved_windows``,
``reduction_fusion``, ``dynamic_trip_count``) store only the steps that are needed. Two questions have answers: the
number of last rows, where the length of a stack is not known, and the exact steps, where it is. A reader with a
symbolic index (``out[i]``) needs all of them.
"""

from __future__ import annotations

from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.index import IndexPattern, Slice, index_op
from loopjax.ir.lengths import is_shape, leaves_of, shape_value
from loopjax.ir.op import TableOp
from loopjax.ir.scan import Scan
from loopjax.trace.convert import constant


def last_rows_read(stack: Variable, graph: Graph, slices: bool) -> int | None:
    """Return the number of a stack's last rows that its readers need; ``None`` for all. ``slices`` admits ``[-k:]``."""
    if stack in graph.outputs:
        return None
    needed = [last_rows(reader, stack, slices) for reader in graph.readers.get(stack, [])]
    return None if None in needed else max((rows for rows in needed if rows is not None), default=0)


def last_rows(reader: Apply, stack: Variable, slices: bool) -> int | None:
    """Return the number of a stack's last rows that one reader needs; ``None`` for all."""
    if not isinstance(reader.op, TableOp) or stack in reader.inputs[1:]:
        return None
    if reader.op.name == "dim":
        return 0
    if reader.op.name != "index":
        return None
    first = reader.op.arguments["pattern"].axis_entries[0]
    if isinstance(first, int) and first < 0:
        return -first
    if slices and isinstance(first, Slice) and first.start is not None and (first.stop, first.step) == (None, None):
        start = reader.op.arguments["lengths"][first.start]
        if start is not None and start < 0:
            return -int(start)
    return None


def rows_needed(reader: Apply, stack: Variable) -> range | None:
    """Return the rows that one reader needs of a stack of known length, in ascending order; ``None`` for all."""
    if not isinstance(reader.op, TableOp) or stack in reader.inputs[1:]:
        return None
    if is_shape(reader):
        return range(0)
    if reader.op.name != "index":
        return None
    pattern: IndexPattern = reader.op.arguments["pattern"]
    rows = pattern.rows(0, reader.op.arguments["lengths"], stack.type.sizes[0])
    if not rows:
        return None if rows is None else range(0)
    rows = rows if rows.step > 0 else rows[::-1]
    return range(rows[0], rows[-1] + 1, rows.step if len(rows) > 1 else 1)


def needs_few(reader: Apply, stack: Variable) -> bool:
    """Return whether a reader needs at most half of a stack's rows, of one of unknown length only a last row."""
    if stack.type.shape[0] is None:
        return last_rows(reader, stack, slices=False) is not None
    rows = rows_needed(reader, stack)
    return rows is not None and 2 * len(rows) <= stack.type.sizes[0]


def steps_needed(stack: Variable, graph: Graph, n_steps: int) -> dict[Apply, range] | None:
    """Return the steps that each reader needs of a stack of the last of ``n_steps``; ``None`` where any needs all."""
    if stack in graph.outputs:
        return None
    before = n_steps - stack.type.sizes[0]
    needed: dict[Apply, range] = {}
    for reader in graph.readers.get(stack, []):
        rows = rows_needed(reader, stack)
        if rows is None:
            return None
        needed[reader] = rows and range(rows.start + before, rows.stop + before, rows.step)
    return needed


def reindexed(reader: Apply, stack: Variable, rows: range) -> Variable:
    """Return what ``reader`` reads, from another stack that holds it in these rows, in ascending order."""
    op = reader.op
    if is_shape(reader):
        return constant(shape_value(reader, reader.inputs[0].type.sizes))
    pattern: IndexPattern = op.arguments["pattern"]
    key, place = list(pattern.key(op.arguments["lengths"])), pattern.axis_positions[0]
    if isinstance(key[place], int):
        # A last row is read as -1, which later passes know to need no other.
        key[place] = -1 if rows[0] == stack.type.sizes[0] - 1 else rows[0]
    else:
        key[place] = _slice_of(rows, (key[place].step or 1) > 0)
    return Apply(index_op(key), [stack, *reader.inputs[1:]], reader.sources).outputs[0]


def _slice_of(rows: range, forwards: bool) -> slice:
    """Return the slice of these rows, in ascending or descending order."""
    if not rows:
        return slice(0, 0)
    if forwards:
        return slice(rows[0], rows[-1] + 1, rows.step)
    return slice(rows[-1], rows[0] - 1 if rows[0] else None, -rows.step)


def may_stay_dynamic(node: Apply, graph: Graph, in_loop: bool) -> bool:
    """Return whether a node is a loop whose length is a value that only its stacked outputs have to know.

    Outside of bodies, only a value that the host can check before the run: a negative one is an error.
    """
    op = node.op
    if not isinstance(op, Scan) or op.n_steps is not None or op.sequences:
        return False
    if any(output.saved.every > 1 for output in op.outputs):
        return False
    leaves = leaves_of([node.inputs[0]], stop=graph.inputs)
    return bool(leaves.values or leaves.opaque) and (in_loop or not leaves.opaque)
