"""Lengths: integers that decide shapes, computed on the host from what a call is given."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from loopjax.ir.graph import Apply, Constant, Variable, toposort
from loopjax.ir.op import Entry, TableOp
from loopjax.ir.scan import MOST_STEPS
from loopjax.ir.types import Shape

FINE = (0, *(2**k for k in range(3, 31)), MOST_STEPS)
"""How much room there may be in programs with gradients, whose loops run as many steps as there is room for. The least
is 8: less would compile more programs and gain nothing."""

COARSE = (0, 16, 32, 64, *(4**k for k in range(4, 16)), MOST_STEPS)
"""How much room there may be elsewhere, where room costs memory alone."""


def capacity(length: Any, fine: bool, xp: Any) -> Any:
    """How much room is made for a length that varies: the least there may be that is no less, and none for none.

    ``xp`` is NumPy, or ``jax.numpy``.
    """
    rooms = xp.asarray(FINE if fine else COARSE, dtype="int64")
    return rooms[xp.minimum(xp.searchsorted(rooms, length), len(rooms) - 1)]


def _index(x: Any, pattern: Sequence[Entry], lengths: Shape) -> Any:
    key: list[Any] = []
    for entry in pattern:
        if entry[0] == "int":
            key.append(entry[1])
        elif entry[0] == "slice":
            key.append(slice(*(None if position is None else lengths[position] for position in entry[1:])))
        else:
            key.append(None)
    return x[tuple(key)]


def slice_bounds(entry: Entry, lengths: Shape, size: int) -> tuple[int, int, int]:
    """The start, stop and step of a slice entry over an axis of ``size`` elements."""
    parts = [None if position is None else lengths[position] for position in entry[1:]]
    return slice(*parts).indices(size)


def steps_of_pairs(lengths: Any, most: Any, xp: Any) -> Any:
    """How many steps the longest of ``lengths`` and the shortest take after one another, the next longest and the next
    shortest, and so on, at most; rounded up to a 16th of ``most``, so that few programs serve all lengths.

    ``xp`` is NumPy, or ``jax.numpy``.
    """
    ordered = xp.sort(lengths)
    pairs = ordered + ordered[::-1]
    # The one in the middle has a lane to itself; the longest alone is no less.
    longest = xp.max(xp.concatenate([pairs[: pairs.shape[0] // 2], ordered[-1:]]))
    unit = xp.maximum(most // 16, 1)
    return -(-longest // unit) * unit


HOST: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floor_div": operator.floordiv,
    "mod": operator.mod,
    "neg": operator.neg,
    "abs": operator.abs,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "identity": lambda x: x,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
    "eq": operator.eq,
    "neq": operator.ne,
    "switch": np.where,
    "cast": lambda x, dtype: np.asarray(x).astype(dtype),
    "prod": lambda x, axis, keepdims, dtype: np.prod(x, axis=axis, keepdims=keepdims, dtype=dtype),
    "sum": lambda x, axis, keepdims, dtype: np.sum(x, axis=axis, keepdims=keepdims, dtype=dtype),
    "max": lambda x, axis, keepdims, dtype: np.max(x, axis=axis, keepdims=keepdims),
    "index": _index,
    "join": lambda *xs, axis: np.concatenate(xs, axis),
    "dimshuffle": lambda x, pattern: np.reshape(x, [1 if a is None else np.shape(x)[a] for a in pattern]),
    "reshape": lambda x, lengths: np.reshape(x, lengths),
    "trip_count": lambda n_steps, *rows, scan, needs: n_steps,
    "capacity": lambda length, fine: capacity(length, fine, np),
    "example_lengths": lambda lengths, *most, scan, needs: lengths,
    "steps_of_pairs": lambda lengths, most: steps_of_pairs(lengths, most, np),
}
"""The integer ops that the host can compute, by row."""


def on_host(node: Apply) -> bool:
    """Whether the host can compute a node from the values of its inputs."""
    if not isinstance(node.op, TableOp) or not all(_plain(v) for v in (*node.inputs, *node.outputs)):
        return False
    if node.op.row == "index" and any(entry[0] == "at" for entry in node.op.arguments["pattern"]):
        return False
    return node.op.row in HOST and not node.op.length_inputs(len(node.inputs))


def _plain(variable: Variable) -> bool:
    return (variable.type.is_integer or variable.dtype == "bool") and variable.ndim <= 2


def compute(node: Apply, values: Sequence[Any]) -> Any:
    """The value of a node that ``on_host`` admits."""
    assert isinstance(node.op, TableOp)
    result = np.asarray(HOST[node.op.row](*(np.asarray(value) for value in values), **node.op.arguments))
    dtype = node.outputs[0].dtype
    return result if dtype == "bool" else result.astype(dtype)


def is_shape(node: Apply) -> bool:
    """Whether a node reads no more of its input than the shape."""
    return isinstance(node.op, TableOp) and node.op.row in ("dim", "shape")


def shape_value(node: Apply, shape: Sequence[int]) -> Any:
    """The value of a node that ``is_shape``."""
    assert isinstance(node.op, TableOp)
    sizes = np.asarray(shape, dtype=np.int64)
    return sizes if node.op.row == "shape" else sizes[node.op.arguments["axis"]]


class Leaves(NamedTuple):
    """What a length is computed from: variables whose values it needs, and those that the host cannot compute."""

    values: set[Variable]
    opaque: set[Variable]


def leaves_of(lengths: Iterable[Variable], stop: Iterable[Variable]) -> Leaves:
    """The leaves of lengths. ``stop`` and variables without an owner are leaves themselves."""
    leaves = Leaves(set(), set())
    stopped = set(stop)
    stack = list(dict.fromkeys(lengths))
    seen = set(stack)
    while stack:
        current = stack.pop()
        node = current.owner
        if isinstance(current, Constant):
            continue
        if node is None or current in stopped:
            leaves.values.add(current)
        elif on_host(node):
            fresh = [read for read in node.inputs if read not in seen]
            seen.update(fresh)
            stack.extend(fresh)
        elif not is_shape(node):
            leaves.opaque.add(current)
    return leaves


def host_values(
    lengths: Sequence[Variable], values: Mapping[Variable, Any], shapes: Mapping[Variable, Sequence[int]]
) -> list[Any | None]:
    """The values of lengths from those of other variables and from shapes; ``None`` where the host cannot know."""
    known: dict[Variable, Any] = dict(values)

    def read(variable: Variable) -> Any | None:
        return variable.data if isinstance(variable, Constant) else known.get(variable)

    for node in toposort(lengths, stop=known):
        if is_shape(node):
            value = read(node.inputs[0])
            shape = shapes.get(node.inputs[0]) if value is None else np.shape(value)
            if shape is not None:
                known[node.outputs[0]] = shape_value(node, shape)
        elif on_host(node):
            inputs = [read(variable) for variable in node.inputs]
            if not any(value is None for value in inputs):
                known[node.outputs[0]] = compute(node, inputs)
    return [read(variable) for variable in lengths]
