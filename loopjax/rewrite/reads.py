"""What is read of a loop's stacked outputs."""

from __future__ import annotations

from loopjax.trace.graph import Apply, Graph, Variable
from loopjax.trace.lengths import leaves_of, slice_bounds
from loopjax.trace.loop import Scan
from loopjax.trace.op import Call, Entry


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
    if not isinstance(reader.op, Call) or stack in reader.inputs[1:]:
        return None
    if reader.op.row == "dim":
        return 0
    if reader.op.row != "index":
        return None
    first = first_entry(reader.op)
    if first[0] == "int" and first[1] < 0:
        return -int(first[1])
    if slices and first[0] == "slice" and first[1] is not None and first[2:] == (None, None):
        start = reader.op.arguments["lengths"][first[1]]
        if start is not None and start < 0:
            return -int(start)
    return None


def steps_of(reader: Apply, stack: Variable) -> range | None:
    """The steps that one reader needs of a stack whose length is known, the earliest first; ``None`` for all."""
    if not isinstance(reader.op, Call) or stack in reader.inputs[1:]:
        return None
    if reader.op.row == "dim":
        return range(0)
    if reader.op.row != "index":
        return None
    first, size = first_entry(reader.op), stack.type.sizes[0]
    if first[0] == "int" and -size <= first[1] < size:
        return range(first[1] % size, first[1] % size + 1)
    if first[0] != "slice":
        return None
    steps = range(*slice_bounds(first, reader.op.arguments["lengths"], size))
    steps = steps if steps.step > 0 else steps[::-1]
    return range(steps[0], steps[-1] + 1, steps.step if len(steps) > 1 else 1) if steps else range(0)


def first_entry(op: Call) -> Entry:
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
    if any(output.keep.every > 1 for output in op.outputs):
        return False
    leaves = leaves_of([node.inputs[0]], stop=graph.inputs)
    return bool(leaves.values or leaves.opaque) and (inner or not leaves.opaque)
