"""What is read of a loop's stacked outputs."""

from __future__ import annotations

from loopjax.ir.graph import Apply, Graph, Variable
from loopjax.ir.lengths import is_shape, leaves_of, shape_value, slice_bounds
from loopjax.ir.op import Entry, TableOp, table_op
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
    first = _first_entry(reader.op)
    if first[0] == "int" and first[1] < 0:
        return -int(first[1])
    if slices and first[0] == "slice" and first[1] is not None and first[2:] == (None, None):
        start = reader.op.arguments["lengths"][first[1]]
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
    first, size = _first_entry(reader.op), stack.type.sizes[0]
    if first[0] == "int" and -size <= first[1] < size:
        return range(first[1] % size, first[1] % size + 1)
    if first[0] != "slice":
        return None
    rows = _sliced(reader.op, size)
    if not rows:
        return range(0)
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
    op, size = reader.op, reader.inputs[0].type.sizes[0]
    assert isinstance(op, TableOp)
    if is_shape(reader):
        return constant(shape_value(reader, reader.inputs[0].type.sizes))
    pattern, lengths = op.arguments["pattern"], op.arguments["lengths"]
    place, first = next((place, entry) for place, entry in enumerate(pattern) if entry[0] != "new")
    # The last one is read as such, so that it alone is kept.
    last = bool(rows) and rows[0] == stack.type.sizes[0] - 1
    entry: Entry = ("int", -1 if last else rows[0]) if first[0] == "int" else ()
    more: tuple[int, ...] = ()
    if not entry:
        entry, more = _slice_of(rows, _sliced(op, size).step > 0, len(lengths))
    fresh = table_op("index", pattern=(*pattern[:place], entry, *pattern[place + 1 :]), lengths=(*lengths, *more))
    return Apply(fresh, [stack, *reader.inputs[1:]], reader.sources).outputs[0]


def _slice_of(rows: range, forwards: bool, at: int) -> tuple[Entry, tuple[int, ...]]:
    """The slice that takes these rows, in this or in the opposite order, with its bounds as lengths from ``at`` on."""
    if not rows:
        return ("slice", at, at, None), (0,)
    if forwards:
        return ("slice", at, at + 1, at + 2), (rows[0], rows[-1] + 1, rows.step)
    if rows[0] == 0:
        return ("slice", at, None, at + 1), (rows[-1], -rows.step)
    return ("slice", at, at + 1, at + 2), (rows[-1], rows[0] - 1, -rows.step)


def _sliced(op: TableOp, size: int) -> range:
    """The rows that the slice of the first axis takes, in its order."""
    return range(*slice_bounds(_first_entry(op), op.arguments["lengths"], size))


def _first_entry(op: TableOp) -> Entry:
    """What an ``index`` takes of the first axis."""
    pattern: tuple[Entry, ...] = op.arguments["pattern"]
    return next(entry for entry in pattern if entry[0] != "new")


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
