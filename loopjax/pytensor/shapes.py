"""Ops that make arrays, and those that ask for or change shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytensor.tensor.basic as basic
import pytensor.tensor.extra_ops as extra
from pytensor.compile.ops import DeepCopyOp, TypeCastingOp, ViewOp
from pytensor.graph.basic import Apply, Constant, Variable
from pytensor.raise_op import CheckAndRaise
from pytensor.tensor.shape import Reshape, Shape, Shape_i, SpecifyShape
from pytensor.tensor.sort import ArgSortOp, SortOp
from pytensor.tensor.subtensor import Subtensor

import loopjax.tensor as at
from loopjax.pytensor.conversion import Conversion, of_type, rule, scalar_of
from loopjax.pytensor.rows import as_size, shape_of


def sizes(conversion: Conversion, vector: Variable) -> list[Any]:
    """Return the elements of a vector of sizes: Python ints, and variables where they are not known."""
    if isinstance(vector, Constant):
        return [int(size) for size in np.atleast_1d(vector.data)]
    node = vector.owner
    if node is not None and vector not in conversion.given:
        if isinstance(node.op, basic.MakeVector) or type(node.op).__name__ == "JAXShapeTuple":
            return [scalar_of(conversion.read(one)) for one in node.inputs]
        if isinstance(node.op, Shape):
            return shape_of(conversion.read(node.inputs[0]))
        if isinstance(node.op, basic.Join):
            return [size for part in node.inputs[isinstance(node.op, _OldJoin) :] for size in sizes(conversion, part)]
        if isinstance(node.op, Subtensor):
            from loopjax.pytensor.indexing import key_of

            (entry,) = key_of(conversion, node)
            if isinstance(entry, slice) and all(one is None or isinstance(one, int) for one in _bounds(entry)):
                return sizes(conversion, node.inputs[0])[entry]
    value = conversion.read(vector)
    count = vector.type.shape[0] if vector.type.shape[0] is not None else value.type.shape[0]
    if count is None:
        raise ValueError("a shape is a vector whose number of elements is not known; expected a known number")
    return [value[position] for position in range(count)]


def _bounds(entry: slice) -> tuple[Any, Any, Any]:
    return entry.start, entry.stop, entry.step


@rule(
    DeepCopyOp,
    ViewOp,
    TypeCastingOp,
    basic.TensorFromScalar,
    basic.ScalarFromTensor,
    CheckAndRaise,
    extra.CpuContiguous,
)
def _same(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return args[0]


@rule(Shape)
def _shape(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return at.shape(args[0])


@rule(Shape_i)
def _dim(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return as_size(shape_of(args[0])[node.op.i])


@rule(SpecifyShape)
def _specify_shape(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return at.specify_shape(args[0], [None if size is None else scalar_of(size) for size in args[1:]])


@rule(Reshape)
def _reshape(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return at.reshape(args[0], sizes(conversion, node.inputs[1]))


@rule(basic.Alloc)
def _alloc(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return at.alloc(args[0], *map(scalar_of, args[1:]))


@rule(basic.AllocEmpty)
def _empty(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return at.alloc(at.zeros((), dtype=node.op.dtype), *map(scalar_of, args))


@rule(basic.MakeVector)
def _make_vector(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    if not args:
        return at.zeros(0, dtype=node.op.dtype)
    return at.stack([of_type(one, node.outputs[0]) for one in args])


_OldJoin = basic.Join if "axis" not in basic.Join.__props__ else ()
"""``Join`` where its axis is the first input, as in PyTensor 2."""


@rule(basic.Join)
def _join(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    axis, parts = (scalar_of(args[0]), args[1:]) if _OldJoin else (node.op.axis, args)
    return at.join(axis, *[of_type(one, node.outputs[0]) for one in parts])


@rule(basic.Split)
def _split(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    axis = node.op.axis if "axis" in node.op.__props__ else scalar_of(args[1])
    return list(at.split(args[0], sizes(conversion, node.inputs[-1]), node.op.len_splits, axis=axis))


@rule(basic.ARange)
def _arange(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    if not all(one.type.is_integer for one in args):
        return NotImplemented
    start, stop, step = map(scalar_of, args)
    return at.arange(start, stop, step, dtype=node.op.dtype)


@rule(basic.Eye)
def _eye(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    n, m, k = map(scalar_of, args)
    return at.eye(n, m, k, dtype=node.op.dtype) if isinstance(k, int) else NotImplemented


@rule(basic.Nonzero)
def _nonzero(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return list(at.nonzero(args[0]))


@rule(basic.ExtractDiag)
def _diagonal(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    op = node.op
    return at.diagonal(args[0], op.offset, op.axis1, op.axis2)


@rule(extra.CumOp)
def _cumulative(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    function = at.cumsum if node.op.mode == "add" else at.cumprod
    return of_type(function(of_type(args[0], node.outputs[0]), axis=node.op.axis), node.outputs[0])


@rule(extra.Repeat)
def _repeat(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    if args[1].ndim:
        return NotImplemented
    return at.repeat(args[0], scalar_of(args[1]), axis=node.op.axis)


@rule(extra.SearchsortedOp)
def _searchsorted(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    return (
        of_type(at.searchsorted(args[0], args[1], node.op.side), node.outputs[0]) if len(args) == 2 else NotImplemented
    )


@rule(SortOp)
def _sort(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    axis = _sorted_axis(node, args)
    return at.sort(args[0], axis=axis) if axis is None or isinstance(axis, int) else NotImplemented


@rule(ArgSortOp)
def _argsort(conversion: Conversion, node: Apply, args: Sequence[Any]) -> Any:
    axis = _sorted_axis(node, args)
    if axis is not None and not isinstance(axis, int):
        return NotImplemented
    return of_type(at.argsort(args[0], axis=axis), node.outputs[0])


def _sorted_axis(node: Apply, args: Sequence[Any]) -> Any:
    """The axis of a sort, which is an input in some versions."""
    return scalar_of(args[1]) if len(args) > 1 else node.op.axis
