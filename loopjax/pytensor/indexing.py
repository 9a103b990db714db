"""Reads and writes of parts of arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytensor.tensor.subtensor as subtensor
from pytensor.graph.basic import Apply, Variable
from pytensor.tensor.shape import Shape

import loopjax.tensor as at
from loopjax.ir.dim import Dim
from loopjax.pytensor.conversion import Conversion, of_type, rule, scalar_of
from loopjax.pytensor.rows import as_size, is_whole, joined, length, read_rows, row_count, shape_of, starts_at_zero

_NUMBERED = "idx_list" in subtensor.AdvancedSubtensor.__props__
"""True where all of PyTensor's indexing ops number their index inputs, as from PyTensor 3 on."""


def key_of(conversion: Conversion, node: Apply, skip: int = 1) -> tuple[Any, ...]:
    """Return the index of a node as Python writes it, with LoopJAX variables; ``skip`` inputs stand before it."""
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


def read(x: Any, key: tuple[Any, ...]) -> Any:
    """Return ``x[key]``."""
    if not key or (len(key) == 1 and is_whole(x, key[0])):
        return x
    rows = read_rows(x, key[0])
    if rows is None:
        return x[key]
    if isinstance(key[0], slice):
        return rows[(slice(None), *key[1:])] if key[1:] else rows
    return rows[key[1:]] if key[1:] else rows


@rule(subtensor.Subtensor)
def _subtensor(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    key, of_shape = key_of(conversion, node), node.inputs[0].owner
    if of_shape is not None and isinstance(of_shape.op, Shape) and isinstance(key[0], int):
        return as_size(shape_of(conversion.read(of_shape.inputs[0]))[key[0]])
    return read(args[0], key)


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
    if rest or not starts_at_zero(entry):
        return None
    stop = length(x) if entry.stop is None else Dim.of(entry.stop)
    if rows.ndim != x.ndim or length(rows) != stop:
        return None
    count = row_count(rows)
    whole = at.second(x[:count], rows) if rows.type.shape[1:] != x.type.shape[1:] else rows
    spare = length(x) - stop
    size = spare.number if spare.number is not None else at.sub(row_count(x), count)
    return joined([whole, at.alloc(at.zeros((), x.dtype), size, *shape_of(x)[1:])])


@rule(subtensor.AdvancedIncSubtensor)
def _advanced_inc_subtensor(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return write(node, args, key_of(conversion, node, skip=2))


for _name, _rule in (("AdvancedSubtensor1", _advanced_subtensor), ("AdvancedIncSubtensor1", _advanced_inc_subtensor)):
    if hasattr(subtensor, _name):  # PyTensor 2
        rule(getattr(subtensor, _name))(_rule)
