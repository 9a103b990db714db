"""Lengths: integers that decide shapes, and the integer arithmetic that the host can do on them before a call.

A length is a variable. It is known before a call where ops of ``HOST`` compute it from constants, shapes and inputs;
anything else is opaque: only a run on the device tells. Lengths that vary from call to call are rounded up to a
``capacity``, so that one compiled program serves all lengths up to it (bucketing).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import core

from loopjax.errors import coded
from loopjax.ir.capacities import capacity, steps_of_pairs
from loopjax.ir.graph import Apply, Constant, Variable, toposort
from loopjax.ir.op import TableOp
from loopjax.ir.symbolic_sizes import is_symbolic
from loopjax.ir.types import TensorType


def _specified(x: Any, lengths: Sequence[int]) -> Any:
    if any(0 <= wanted != size for size, wanted in zip(np.shape(x), lengths, strict=True)):
        raise coded(ValueError, "LJ503")(
            f"an array of shape {np.shape(x)} is not of the shape specified, {tuple(lengths)}"
        )
    return x


HOST: dict[str, Callable[..., Any]] = {
    **{op: getattr(operator, op) for op in ("add", "sub", "mul", "mod", "neg", "abs", "lt", "le", "gt", "ge", "eq")},
    "floor_div": operator.floordiv,
    "neq": operator.ne,
    "minimum": np.minimum,
    "maximum": np.maximum,
    "identity": lambda x: x,
    "switch": lambda condition, x, y, lazy=False: np.where(condition, x, y),
    "cast": lambda x, dtype: np.asarray(x).astype(dtype),
    "prod": lambda x, axis, keepdims, dtype: np.prod(x, axis=axis, keepdims=keepdims, dtype=dtype),
    "sum": lambda x, axis, keepdims, dtype: np.sum(x, axis=axis, keepdims=keepdims, dtype=dtype),
    "max": lambda x, axis, keepdims, dtype: np.max(x, axis=axis, keepdims=keepdims),
    "index": lambda x, pattern, lengths: x[pattern.key(lengths)],
    "join": lambda *xs, axis: np.concatenate(xs, axis),
    "dimshuffle": lambda x, pattern: np.reshape(x, [1 if a is None else np.shape(x)[a] for a in pattern]),
    "reshape": lambda x, lengths: np.reshape(x, lengths),
    "specify_shape": lambda x, lengths: _specified(x, lengths),
    "trip_count": lambda n_steps, *rows, scan, needs: n_steps,
    "capacity": lambda length, fine: capacity(length, fine, np),
    "example_lengths": lambda lengths, *most, scan, needs: lengths,
    "steps_of_pairs": lambda lengths, most: steps_of_pairs(lengths, most, np),
}
"""The integer ops that the host can compute, by their names in the op table."""

SYMBOLIC: dict[str, Callable[..., Any]] = {
    "eq": lambda x, y: (x >= y) & (x <= y),  # sizes that may be equal are `!=` to JAX
    "neq": lambda x, y: (x < y) | (x > y),
    "minimum": np.frompyfunc(core.min_dim, 2, 1),
    "maximum": np.frompyfunc(core.max_dim, 2, 1),
}
"""Ops of ``HOST`` that are computed otherwise where sizes are symbolic."""


def on_host(node: Apply) -> bool:
    """Test if the host can compute a node from the values of its inputs."""
    if not isinstance(node.op, TableOp) or not all(_plain(v) for v in (*node.inputs, *node.outputs)):
        return False
    if node.op.name == "index" and node.op.arguments["pattern"].array_axes:
        return False
    return node.op.name in HOST and not node.op.length_inputs(len(node.inputs))


def _plain(variable: Variable) -> bool:
    return (variable.type.is_integer or variable.dtype == "bool") and variable.ndim <= 2


def compute(node: Apply, values: Sequence[Any]) -> Any:
    """Return the value of a node that ``on_host`` admits."""
    arrays = [np.asarray(value) for value in values]
    if any(array.dtype.hasobject for array in arrays):
        return symbolic_value(node, arrays)
    with np.errstate(divide="ignore"):  # x // 0 is 0, as on the device
        result = np.asarray(HOST[node.op.name](*arrays, **node.op.arguments))
    dtype = node.outputs[0].dtype
    return result if dtype == "bool" else result.astype(dtype)


def symbolic_value(node: Apply, arrays: Sequence[Any]) -> Any | None:
    """Return the value of a node by symbolic sizes, an array of objects; ``None`` where it takes a number to decide."""
    name, arguments = node.op.name, dict(node.op.arguments)
    if "dtype" in arguments:
        arguments["dtype"] = object
    try:
        return np.asarray({**HOST, **SYMBOLIC}[name](*arrays, **arguments))
    except jax.errors.InconclusiveDimensionOperation:
        return None


def is_shape(node: Apply) -> bool:
    """Test if a node is the shape of its input, or one size of it."""
    return node.op.named("dim", "shape")


def shape_value(node: Apply, shape: Sequence[int]) -> Any:
    """Return the value of a node that ``is_shape``, for an input of this shape."""
    sizes = np.asarray(shape, dtype=object if any(map(is_symbolic, shape)) else np.int64)
    return sizes if node.op.name == "shape" else np.asarray(sizes[node.op.arguments["axis"]])


def scalar(length: Any) -> Any:
    """Return a length as an integer, or as the symbolic size that it is."""
    return np.asarray(length).item()


class Leaves(NamedTuple):
    """The variables that lengths are computed from: those whose values the host needs, and those that are ``opaque``
    to it because a run computes them."""

    values: set[Variable]
    opaque: set[Variable]


def leaves_of(lengths: Iterable[Variable], stop: Iterable[Variable]) -> Leaves:
    """Return the leaves of lengths. Variables of ``stop`` and those without an owner are leaves themselves."""
    leaves = Leaves(set(), set())
    stopped = set(stop)
    stack = list(lengths)
    seen: set[Variable] = set()
    while stack:
        variable = stack.pop()
        if variable in seen or isinstance(variable, Constant):
            continue
        seen.add(variable)
        node = variable.owner
        if node is None or variable in stopped:
            leaves.values.add(variable)
        elif on_host(node):
            stack.extend(node.inputs)
        elif not is_shape(node):
            leaves.opaque.add(variable)
    return leaves


def evaluate(
    node: Apply, value: Callable[[Variable], Any | None], shape: Callable[[Variable], Sequence[int] | None]
) -> Any | None:
    """Return the value of a node's output by those and the shapes of its inputs; ``None`` where the host cannot."""
    if is_shape(node):
        sizes = shape(node.inputs[0])
        return None if sizes is None else shape_value(node, sizes)
    if not on_host(node):
        return None
    values = [value(variable) for variable in node.inputs]
    return None if any(one is None for one in values) else compute(node, values)


def _inferred_sizes(
    node: Apply, value: Callable[[Variable], Any | None], shape: Callable[[Variable], Sequence[int] | None]
) -> Sequence[int] | None:
    """Return the shape of what a plain op computes, by the shapes of its operands and the values of its lengths."""
    if not isinstance(node.op, TableOp) or len(node.outputs) != 1:
        return None
    positions = node.op.length_inputs(len(node.inputs))
    lengths = [value(node.inputs[position]) for position in positions]
    operands = [variable for position, variable in enumerate(node.inputs) if position not in positions]
    shapes = [shape(variable) for variable in operands]
    if any(one is None for one in (*lengths, *shapes)):
        return None
    types = [TensorType(one.dtype, tuple(sizes or ())) for one, sizes in zip(operands, shapes, strict=True)]
    try:
        (made,) = node.op.sized([scalar(length) for length in lengths if length is not None]).infer(*types)
    except (TypeError, ValueError):
        return None  # shapes that do not fit are reported where the program is made for them
    return made.sizes if made.concrete else None


def host_values(
    lengths: Sequence[Variable], values: Mapping[Variable, Any], shapes: Mapping[Variable, Sequence[int]]
) -> list[Any | None]:
    """Return the values of lengths by those of other variables and by shapes; ``None`` where the host cannot tell."""
    found: dict[Variable, Any] = dict(values)
    sizes: dict[Variable, Sequence[int]] = dict(shapes)

    def value(variable: Variable) -> Any | None:
        return variable.data if isinstance(variable, Constant) else found.get(variable)

    def shape(variable: Variable) -> Sequence[int] | None:
        array = value(variable)
        return sizes.get(variable) if array is None else np.shape(array)

    for node in toposort(lengths, stop=found):
        result = evaluate(node, value, shape)
        if result is not None:
            found[node.outputs[0]] = result
        elif (inferred := _inferred_sizes(node, value, shape)) is not None:
            sizes[node.outputs[0]] = inferred
    return [value(variable) for variable in lengths]
