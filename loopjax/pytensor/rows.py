"""Arrays as rows: how many there are, and the arrays that they are joined from.

A loop of PyTensor reads its initial rows from a buffer and returns them before its stack. Here that is a join, whose
parts are found again when a part of it is read, and sizes are integer expressions of inputs as far as that is known.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from functools import reduce
from typing import Any

import loopjax.tensor as at
from loopjax.ir.dim import Dim
from loopjax.ir.index import Slice
from loopjax.ir.public_ops import ops
from loopjax.ir.scan import SAVE_ALL, Scan


def pieces(x: Any) -> list[Any]:
    """Return the arrays that an array joins along its first axis."""
    owner = x.owner
    if owner is not None and owner.op.named("join") and owner.op.arguments["axis"] == 0:
        return [part for joined in owner.inputs for part in pieces(joined)]
    return [x]


def joined(parts: Sequence[Any]) -> Any:
    """Join arrays along their first axis, leaving out those that are known to be empty."""
    kept = [part for part in parts if length(part).number != 0] or list(parts[:1])
    return kept[0] if len(kept) == 1 else at.join(0, *kept)


def row_count(x: Any) -> Any:
    """Return the first size of an array as a Python int, or as the variable that it was made with."""
    size, node = x.type.shape[0], x.owner
    if size is not None or node is None:
        return _dim(x, 0) if size is None else size
    op, operands = node.op, node.inputs
    if isinstance(op, Scan) and not op.until and x.index < len(op.outputs) and op.outputs[x.index].saved == SAVE_ALL:
        return operands[0] if op.n_steps is None else op.n_steps
    if op.named("join") and op.arguments["axis"] == 0:
        return reduce(_plus, map(row_count, operands))
    if op.named("alloc") and op.arguments["lengths"][0] is None:
        return operands[1]
    if op.named("set", "inc"):
        return row_count(operands[0])
    if op.has("pointwise"):
        wide = [one for one in operands if one.ndim == x.ndim and one.type.shape[0] != 1]
        return row_count(wide[0])
    if op.named("dimshuffle") and op.arguments["pattern"][0] == 0:
        return row_count(operands[0])
    if op.named("index") and op.arguments["pattern"].entries[0] == Slice():
        return row_count(operands[0])
    if op.named("index") and op.arguments["pattern"].entries[0] == Slice(step=0) and op.arguments["lengths"][0] == -1:
        return row_count(operands[0])
    return _dim(x, 0)


_SIZES: ContextVar[dict[tuple[Any, int], Any]] = ContextVar("sizes")
"""The sizes that the present conversion has made variables of."""


@contextlib.contextmanager
def shared_sizes() -> Iterator[None]:
    """Give equal sizes the same variable within a ``with`` block, so that they are seen to be equal."""
    token = _SIZES.set({})
    try:
        yield
    finally:
        _SIZES.reset(token)


def _dim(x: Any, axis: int) -> Any:
    """Return a size as a variable."""
    known = _SIZES.get({})
    if (x, axis) not in known:
        known[x, axis] = ops.dim(x, axis)
    return known[x, axis]


def _plus(left: Any, right: Any) -> Any:
    return left + right if isinstance(left, int) and isinstance(right, int) else at.add(left, right)


def shape_of(x: Any) -> list[Any]:
    """Return the sizes of an array: Python ints, and variables where they are not known."""
    inner = [_dim(x, axis) if size is None else size for axis, size in enumerate(x.type.shape)]
    return [row_count(x), *inner[1:]] if x.ndim else []


def as_size(size: Any) -> Any:
    """Return a size as a variable."""
    return at.constant(size, dtype="int64") if isinstance(size, int) else size


def length(x: Any) -> Dim:
    """Return the first size of an array as an integer expression."""
    return Dim.of(row_count(x))


def read_rows(x: Any, entry: Any) -> Any | None:
    """Return ``x[entry]`` as a part of one of the arrays that ``x`` joins; ``None`` where that is not known.

    A stack of a loop stands behind its initial rows. ``[L:]`` is the stack, and ``[-1]`` its last row, so that the
    loop need not keep more.
    """
    parts = pieces(x)
    if len(parts) == 1:
        return None
    if isinstance(entry, slice) and _is_number(entry.step, 1) and (entry.start is None or entry.stop is None):
        if entry.stop is None and entry.start is not None:
            at_boundary = _boundary(parts, _offset(parts, entry.start))
            return None if at_boundary is None else joined(parts[at_boundary:] or [parts[-1][:0]])
        if entry.stop is not None:
            at_boundary = _boundary(parts, _offset(parts, entry.stop))
            return None if at_boundary is None else joined(parts[:at_boundary] or [parts[0][:0]])
    if isinstance(entry, int) and entry < 0:
        for part in reversed(parts):
            size = length(part).number
            if size is None:
                return None
            if -entry <= size:
                return part[entry]
            entry += size
    if isinstance(entry, int):
        for part in parts:
            size = length(part).number
            if size is None:
                return None
            if entry < size:
                return part[entry]
            entry -= size
    return None


def starts_at_zero(entry: Any) -> bool:
    """Test if an index is a slice ``[:n]``."""
    return isinstance(entry, slice) and _is_number(entry.step, 1) and _is_number(entry.start, 0)


def _is_number(bound: Any, default: int) -> bool:
    """Test if a bound of a slice is not given or its default."""
    return bound is None or (isinstance(bound, int) and bound == default)


def is_whole(x: Any, entry: Any) -> bool:
    """Test if a slice of the first axis is known to be all of it."""
    if not starts_at_zero(entry):
        return False
    return entry.stop is None or Dim.of(entry.stop) == length(x)


def _offset(parts: Sequence[Any], bound: Any) -> Dim:
    """Return a bound of a slice as rows from the start."""
    offset = Dim.of(bound)
    if offset.number is not None and offset.number < 0:
        return sum((length(part) for part in parts), Dim({})) + offset
    return offset


def _boundary(parts: Sequence[Any], offset: Dim) -> int | None:
    """Return the number of arrays before an offset, where one begins there or they all end."""
    total = Dim({})
    for count, part in enumerate(parts):
        if total == offset:
            return count
        total = total + length(part)
    return len(parts) if total == offset else None
