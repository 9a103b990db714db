"""Reads and writes of parts of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytensor.tensor.subtensor as subtensor
from pytensor.graph.basic import Apply, Constant, Variable

import loopjax.tensor as at
from loopjax.ir.dim import Dim
from loopjax.ir.public_ops import ops
from loopjax.pytensor.conversion import Conversion, of_type, rule, scalar_of

_NUMBERED = "idx_list" in subtensor.AdvancedSubtensor.__props__
"""True where all of PyTensor's indexing ops number their index inputs, as from PyTensor 3 on."""


def key_of(conversion: Conversion, node: Apply, skip: int = 1) -> tuple[Any, ...]:
    """Return the index of a node as it is written in Python, with LoopJAX variables; ``skip`` inputs stand before it."""
    inputs = node.inputs[skip:]
    if not _NUMBERED and not isinstance(node.op, (subtensor.Subtensor, subtensor.IncSubtensor)):
        return tuple(_entry(conversion, one) for one in inputs)
    return tuple(_entry(conversion, one) for one in subtensor.indices_from_subtensor(inputs, node.op.idx_list))


def _entry(conversion: Conversion, entry: Any) -> Any:
    if isinstance(entry, slice):
        return slice(*(_entry(conversion, one) for one in (entry.start, entry.stop, entry.step)))
    if isinstance(entry, Variable):
        node = entry.owner
        if node is not None and type(node.op).__name__ == "MakeSlice":
            return slice(*(_entry(conversion, one) for one in node.inputs))
        value = scalar_of(conversion.read(entry))
        return _entry(conversion, value) if isinstance(value, slice) else value
    return entry


def pieces(x: Any) -> list[Any]:
    """Return the arrays of which an array is made along its first axis."""
    owner = x.owner
    if owner is not None and owner.op.named("join") and owner.op.arguments["axis"] == 0:
        return [part for joined in owner.inputs for part in pieces(joined)]
    return [x]


def joined(parts: Sequence[Any]) -> Any:
    """Join arrays along their first axis, leaving out those that are known to be empty."""
    kept = [part for part in parts if length(part).number != 0] or list(parts[:1])
    return kept[0] if len(kept) == 1 else at.join(0, *kept)


def length(x: Any) -> Dim:
    """Return the first size of an array."""
    size = x.type.shape[0]
    return Dim.of(ops.dim(x, 0) if size is None else size)


def read_rows(x: Any, entry: Any) -> Any | None:
    """Return ``x[entry]`` as a part of one of the arrays that ``x`` joins; ``None`` where that is not known.

    A stack of a loop stands behind its initial rows. ``[L:]`` is the stack, and ``[-1]`` its last row, so that the
    loop need not keep more.
    """
    parts = pieces(x)
    if len(parts) == 1:
        return None
    if isinstance(entry, slice) and entry.step in (None, 1) and (entry.start is None or entry.stop is None):
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


def read(x: Any, key: tuple[Any, ...]) -> Any:
    """Return ``x[key]``."""
    if not key:
        return x
    rows = read_rows(x, key[0])
    if rows is None:
        return x[key]
    if isinstance(key[0], slice):
        return rows[(slice(None), *key[1:])] if key[1:] else rows
    return rows[key[1:]] if key[1:] else rows


@rule(subtensor.Subtensor)
def _subtensor(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return read(args[0], key_of(conversion, node))


@rule(subtensor.AdvancedSubtensor)
def _advanced_subtensor(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return args[0][key_of(conversion, node)]


@rule(subtensor.IncSubtensor)
def _inc_subtensor(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    key = key_of(conversion, node, skip=2)
    if node.op.set_instead_of_inc and _is_empty(node.inputs[0]):
        started = _started(args[0], args[1], key)
        if started is not None:
            return started
    return write(node, args, key)


def write(node: Apply, args: Sequence[Any], key: tuple[Any, ...]) -> Any:
    """Return an array with a part set or incremented."""
    x, value = args[0], of_type(args[1], node.outputs[0])
    function = at.set_subtensor if node.op.set_instead_of_inc else at.inc_subtensor
    return function(x[key or (Ellipsis,)], value)


def _is_empty(variable: Variable) -> bool:
    return variable.owner is not None and type(variable.owner.op).__name__ == "AllocEmpty"


def _started(x: Any, rows: Any, key: tuple[Any, ...]) -> Any | None:
    """Return a buffer whose first rows are set as these rows joined with the rest, that has no values."""
    (entry, *rest) = key or (slice(None),)
    if rest or not isinstance(entry, slice) or entry.step not in (None, 1) or entry.start not in (None, 0):
        return None
    stop = length(x) if entry.stop is None else Dim.of(entry.stop)
    if rows.ndim != x.ndim or length(rows) != stop:
        return None
    whole = at.second(x[: entry.stop], rows) if rows.type.shape[1:] != x.type.shape[1:] else rows
    return joined([whole, x[entry.stop :]] if entry.stop is not None else [whole])


@rule(subtensor.AdvancedIncSubtensor)
def _advanced_inc_subtensor(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return write(node, args, key_of(conversion, node, skip=2))


for _name, _rule in (("AdvancedSubtensor1", _advanced_subtensor), ("AdvancedIncSubtensor1", _advanced_inc_subtensor)):
    if hasattr(subtensor, _name):  # PyTensor 2
        rule(getattr(subtensor, _name))(_rule)
