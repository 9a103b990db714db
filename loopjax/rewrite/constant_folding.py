"""What is known before a program runs is computed when it is rewritten, and what changes nothing is left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from loopjax.ir.graph import Apply, Constant, Variable
from loopjax.ir.lengths import HOST, is_shape, shape_value
from loopjax.ir.op import TableOp, table_op
from loopjax.ir.types import KEY, RESIDUAL, TensorType
from loopjax.rewrite.driver import Context, Pass
from loopjax.trace.promotion import operand_dtypes

MOST_ELEMENTS = 64
"""Elements of a result up to which it is computed here: XLA folds larger ones as well, and in its own threads."""


def _shuffled(x: Any, pattern: tuple[int | None, ...]) -> Any:
    kept = [axis for axis in pattern if axis is not None]
    dropped = [axis for axis in range(x.ndim) if axis not in kept]
    moved = np.transpose(x, [*kept, *dropped])
    return moved.reshape([1 if axis is None else x.shape[axis] for axis in pattern])


EXACT: dict[str, Callable[..., Any]] = {
    **{row: HOST[row] for row in ("add", "sub", "mul", "neg", "abs", "lt", "le", "gt", "ge", "eq", "neq", "identity")},
    **{row: HOST[row] for row in ("switch", "index", "join", "reshape")},
    "true_div": np.true_divide,
    "sqrt": np.sqrt,
    "sqr": np.square,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "and_": np.bitwise_and,
    "or_": np.bitwise_or,
    "xor": np.bitwise_xor,
    "invert": np.invert,
    "logical_and": np.logical_and,
    "logical_or": np.logical_or,
    "logical_not": np.logical_not,
    "isnan": np.isnan,
    "isfinite": np.isfinite,
    "alloc": np.broadcast_to,
    "broadcast_to": np.broadcast_to,
    "arange": lambda lengths, dtype: np.arange(*lengths, dtype=dtype),
    "transpose": np.transpose,
    "dimshuffle": _shuffled,
    "no_change": np.zeros_like,
}
"""Rows that NumPy computes as XLA does, to the last bit."""

WHOLE: dict[str, Callable[..., Any]] = {row: HOST[row] for row in ("floor_div", "mod", "minimum", "maximum")}
"""Rows of which that holds for integers: of floats, NumPy picks other zeros and rounds otherwise."""


@dataclass(frozen=True)
class FoldConstants(Pass):
    """Nodes of small constants become constants, as do shapes; what gives its own input back is left out, and so are
    pairs of nodes that cancel. Nothing is left out that might change a bit: ``x + 0.`` turns -0. into 0.
    """

    def rewrite_node(self, node: Apply, inputs: tuple[Variable, ...], context: Context) -> Sequence[Variable] | None:
        if not isinstance(node.op, TableOp) or len(node.outputs) != 1:
            return None
        found = _value(node, node.op, inputs)
        if found is None:
            rule = RULES.get(node.op.row)
            found = rule(node, node.op, inputs) if rule is not None else None
        if found is None or not _stands_for(found, node.outputs[0]):
            return None
        return (found,)


def _stands_for(found: Variable, output: Variable) -> bool:
    return found.type == output.type and found.type.weak == output.type.weak


def _value(node: Apply, op: TableOp, inputs: Sequence[Variable]) -> Variable | None:
    """The node's value, where it can be known."""
    type = node.outputs[0].type
    if is_shape(node):
        return Constant(np.asarray(shape_value(node, inputs[0].type.sizes))) if inputs[0].type.concrete else None
    if op.row == "trip_count":
        return Constant(np.asarray(inputs[0].data, np.int64)) if isinstance(inputs[0], Constant) else None
    if op.row == "no_change":
        return Constant(np.zeros(type.sizes, type.dtype), weak=type.weak) if _is_small(type) else None
    if not all(isinstance(variable, Constant) for variable in inputs) or not _is_small(type):
        return None
    if op.row in ("cast", "as_float"):
        return _cast(inputs[0], type)
    run = EXACT.get(op.row)
    if op.row in WHOLE and type.is_integer and not _divides_by_zero(op, inputs):
        run = WHOLE[op.row]
    if run is None:
        return None
    arguments = dict(op.arguments)
    if op.row == "index" and arguments["pattern"].array_axes:
        return None
    if op.row in ("alloc", "broadcast_to"):
        arguments = {"shape": arguments["lengths"]}
    dtypes = operand_dtypes(op.definition.operands, [variable.type for variable in inputs])
    with np.errstate(all="ignore"):
        values = [
            one.data.astype(dtype) for one, dtype in zip(inputs, dtypes, strict=True) if isinstance(one, Constant)
        ]
        result = np.asarray(run(*values, **arguments))
    if result.dtype != np.dtype(type.dtype) or result.shape != type.sizes:
        return None
    return Constant(result, weak=type.weak)


def _is_small(type: TensorType) -> bool:
    return type.dtype not in (KEY, RESIDUAL) and type.concrete and math.prod(type.sizes) <= MOST_ELEMENTS


def _divides_by_zero(op: TableOp, inputs: Sequence[Variable]) -> bool:
    divisor = inputs[-1]
    return op.row in ("floor_div", "mod") and isinstance(divisor, Constant) and not divisor.data.all()


def _cast(variable: Variable, type: TensorType) -> Variable | None:
    """A constant as another dtype; where it does not fit, what XLA gives is XLA's."""
    assert isinstance(variable, Constant)
    data = variable.data
    if data.dtype.kind == "c" and np.dtype(type.dtype).kind != "c":
        return None
    with np.errstate(all="ignore"):
        cast = data.astype(np.dtype(type.dtype))
    if data.dtype.kind not in "biu" and np.dtype(type.dtype).kind in "biu" and not (cast == data).all():
        return None
    return Constant(cast, weak=type.weak)


Rule = Callable[[Apply, TableOp, tuple[Variable, ...]], Variable | None]


def _all_are(variable: Variable, number: float) -> bool:
    """Whether a constant of real numbers is this one throughout, with its sign."""
    if (
        not isinstance(variable, Constant)
        or variable.data.size > MOST_ELEMENTS
        or variable.data.dtype.kind not in "iuf"
    ):
        return False
    same = variable.data == number
    if variable.data.dtype.kind == "f":
        same &= np.signbit(variable.data) == np.signbit(number)
    return bool(same.all())


def _neutral(either: bool, whole: float, real: float) -> Rule:
    """For an op that gives its first input back where the second is a number, ``whole`` for integers and ``real``
    for floats; with ``either`` the other way, too."""

    def rule(node: Apply, op: TableOp, inputs: tuple[Variable, ...]) -> Variable | None:
        type = node.outputs[0].type
        number = real if type.is_float else whole
        if type.dtype.startswith("complex"):
            return None
        if _all_are(inputs[1], number):
            return inputs[0]
        return inputs[1] if either and _all_are(inputs[0], number) else None

    return rule


def _itself(node: Apply, op: TableOp, inputs: tuple[Variable, ...]) -> Variable | None:
    return inputs[0]


def _power(node: Apply, op: TableOp, inputs: tuple[Variable, ...]) -> Variable | None:
    return inputs[0] if op.arguments["exponent"] == 1 else None


def _before(variable: Variable, row: str) -> Apply | None:
    """The node that computes a variable, where it is of this row."""
    node = variable.owner
    return node if node is not None and isinstance(node.op, TableOp) and node.op.row == row else None


def _twice(node: Apply, op: TableOp, inputs: tuple[Variable, ...]) -> Variable | None:
    """An op that undoes itself."""
    first = _before(inputs[0], op.row)
    return first.inputs[0] if first is not None else None


def _cast_back(node: Apply, op: TableOp, inputs: tuple[Variable, ...]) -> Variable | None:
    """``x`` itself, or ``x`` as a wider number and back."""
    if inputs[0].dtype == node.outputs[0].dtype:
        return inputs[0]
    first = _before(inputs[0], "cast")
    if first is None or first.inputs[0].dtype != node.outputs[0].dtype:
        return None
    narrow, wide = np.dtype(first.inputs[0].dtype), np.dtype(inputs[0].dtype)
    return first.inputs[0] if narrow.kind == wide.kind and np.can_cast(narrow, wide) else None


def _reshape(node: Apply, op: TableOp, inputs: tuple[Variable, ...]) -> Variable | None:
    if inputs[0].type == node.outputs[0].type:
        return inputs[0]
    first = _before(inputs[0], "reshape")
    if first is None:
        return None
    if first.inputs[0].type == node.outputs[0].type:
        return first.inputs[0]
    return Apply(op, [first.inputs[0]], node.sources).outputs[0]


def _transpose(node: Apply, op: TableOp, inputs: tuple[Variable, ...]) -> Variable | None:
    axes = op.arguments["axes"]
    if axes == tuple(range(len(axes))):
        return inputs[0]
    first = _before(inputs[0], "transpose")
    if first is None:
        return None
    assert isinstance(first.op, TableOp)
    through = tuple(first.op.arguments["axes"][axis] for axis in axes)
    if through == tuple(range(len(axes))):
        return first.inputs[0]
    return Apply(table_op("transpose", axes=through), [first.inputs[0]], node.sources).outputs[0]


def _dimshuffle(node: Apply, op: TableOp, inputs: tuple[Variable, ...]) -> Variable | None:
    pattern = op.arguments["pattern"]
    if pattern == tuple(range(inputs[0].ndim)):
        return inputs[0]
    first = _before(inputs[0], "dimshuffle")
    if first is None:
        return None
    assert isinstance(first.op, TableOp)
    through = tuple(None if axis is None else first.op.arguments["pattern"][axis] for axis in pattern)
    if through == tuple(range(first.inputs[0].ndim)):
        return first.inputs[0]
    return Apply(table_op("dimshuffle", pattern=through), [first.inputs[0]], node.sources).outputs[0]


def _index(node: Apply, op: TableOp, inputs: tuple[Variable, ...]) -> Variable | None:
    """A row of rows that were joined is one of them."""
    if op.arguments["pattern"].is_whole:
        return inputs[0]
    joined, place = _before(inputs[0], "join"), op.arguments["pattern"].picked(0)
    if joined is None or len(inputs) > 1 or place is None:
        return None
    assert isinstance(joined.op, TableOp)
    if joined.op.arguments["axis"] != 0:
        return None
    place %= inputs[0].type.sizes[0]
    for part in joined.inputs:
        size = part.type.sizes[0]
        if place < size:
            return _row(part, place, node)
        place -= size
    return None


def _row(part: Variable, place: int, node: Apply) -> Variable | None:
    """Row ``place`` of what is joined, where that is a row with a new axis."""
    made = _before(part, "dimshuffle")
    if made is None or not isinstance(made.op, TableOp) or part.dtype != node.outputs[0].dtype:
        return None
    expanded = (None, *range(made.inputs[0].ndim))
    return made.inputs[0] if made.op.arguments["pattern"] == expanded else None


RULES: dict[str, Rule] = {
    "mul": _neutral(True, 1, 1.0),
    "true_div": _neutral(False, 1, 1.0),
    "add": _neutral(True, 0, -0.0),
    "sub": _neutral(False, 0, 0.0),
    "integer_pow": _power,
    "identity": _itself,
    "neg": _twice,
    "invert": _twice,
    "cast": _cast_back,
    "as_float": _itself,
    "reshape": _reshape,
    "transpose": _transpose,
    "dimshuffle": _dimshuffle,
    "index": _index,
}
"""What a node with some constant input, or after some other node, is the same as; only where the types are the same."""
