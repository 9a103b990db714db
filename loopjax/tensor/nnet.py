"""What neural networks are made of, by the names of Theano's ``tensor.nnet``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax

from loopjax.errors import here
from loopjax.ir.graph import Variable, apply
from loopjax.ir.op import TableOp, register, table_op
from loopjax.ir.public_ops import public_op
from loopjax.ir.types import Shape, TensorType
from loopjax.tensor.creation import arange
from loopjax.tensor.elementwise import REAL, Unary, add, clip, log, mul, neg, pointwise, sigmoid, softplus, switch
from loopjax.tensor.elementwise import relu as _plain_relu
from loopjax.tensor.operands import promoted
from loopjax.tensor.special import log_softmax, softmax
from loopjax.trace.convert import as_variable
from loopjax.trace.promotion import common_dtype

__all__ = [
    "binary_crossentropy",
    "categorical_crossentropy",
    "conv2d",
    "elu",
    "hard_sigmoid",
    "logsoftmax",
    "relu",
    "selu",
    "sigmoid",
    "sigmoid_binary_crossentropy",
    "softmax",
    "softmax_with_bias",
    "softplus",
    "ultra_fast_sigmoid",
]

logsoftmax = log_softmax
ultra_fast_sigmoid = sigmoid
"""Theano's is an approximation of ``sigmoid``, made for its speed; this is ``sigmoid`` itself."""

_elu: Callable[[Any, Any], Variable] = pointwise("elu", jax.nn.elu, "float", kinds=REAL, parameters=("x", "alpha"))
selu: Unary = pointwise("selu", jax.nn.selu, "float", kinds=REAL)


def hard_sigmoid(x: Any) -> Variable:
    """``0.2 * x + 0.5`` limited to the range from 0 to 1."""
    return clip(as_variable(x) * 0.2 + 0.5, 0.0, 1.0)


def relu(x: Any, alpha: Any = 0) -> Variable:
    """``x`` where it is positive, else ``alpha * x``."""
    if not isinstance(alpha, Variable) and alpha == 0:
        return _plain_relu(x)
    variable = as_variable(x)
    return switch(variable > 0, variable, alpha * variable)


def elu(x: Any, alpha: Any = 1) -> Variable:
    """``x`` where it is positive, else ``alpha * (exp(x) - 1)``: Clevert, Unterthiner and Hochreiter (2016)."""
    return _elu(x, alpha)


def softmax_with_bias(x: Any, b: Any) -> Variable:
    """``softmax(x + b)`` of each row."""
    return softmax(as_variable(x) + b)


def _made_by(variable: Variable, row: str) -> tuple[TableOp, Variable] | None:
    """The op that computes a variable and what it is of, if it is this one."""
    node = variable.owner
    if node is None or not isinstance(node.op, TableOp) or node.op.row != row:
        return None
    return node.op, node.inputs[0]


def sigmoid_binary_crossentropy(output: Any, target: Any) -> Variable:
    """``binary_crossentropy(sigmoid(output), target)``, finite for every finite ``output``."""
    output, target = as_variable(output), as_variable(target)
    return add(mul(target, softplus(-output)), mul(1 - target, softplus(output)))


def binary_crossentropy(output: Any, target: Any) -> Variable:
    """``-(target * log(output) + (1 - target) * log(1 - output))`` for each element.

    Of a ``sigmoid`` it is computed from what that is of, so that it is finite where the sigmoid rounds to 0 or 1.
    """
    output, target = as_variable(output), as_variable(target)
    if (made := _made_by(output, "sigmoid")) is not None:
        return sigmoid_binary_crossentropy(made[1], target)
    return neg(add(mul(target, log(output)), mul(1 - target, log(1 - output))))


def categorical_crossentropy(coding_dist: Any, true_dist: Any) -> Variable:
    """How many nats each row of ``true_dist`` takes in the code made for the row of ``coding_dist``.

    ``true_dist`` holds probabilities in the shape of ``coding_dist``, or integers, the position of the true class in
    each row. Of a ``softmax`` it is computed from what that is of, so that it is finite where a probability rounds
    to 0. Raises ``TypeError`` for any other ``true_dist``.
    """
    coding, truth = as_variable(coding_dist), as_variable(true_dist)
    nats = -_log_rows(coding)
    if truth.ndim == coding.ndim:
        return (truth * nats).sum(axis=-1)
    if coding.ndim == 2 and truth.ndim == 1 and truth.type.is_integer:
        return nats[arange(truth.shape[0]), truth]
    raise TypeError(
        f"the true distribution has the shape of the coding one, or is a vector of integers for a matrix; "
        f"got {truth!r} for {coding!r}{here()}"
    )


def _log_rows(coding: Variable) -> Variable:
    if (made := _made_by(coding, "softmax")) is None:
        return log(coding)
    op, inside = made
    return apply(TableOp("log_softmax", op.params), inside)[0]


Pads = tuple[tuple[int, int], tuple[int, int]]


def _filter_sizes(filters: Shape, dilation: tuple[int, int]) -> list[int | None]:
    spread = zip(filters[2:], dilation, strict=True)
    return [None if size is None else (size - 1) * apart + 1 for size, apart in spread]


def _zeros(border: str, size: int) -> int:
    return {"valid": 0, "half": size // 2, "full": size - 1}[border]


def _conv2d_shape(
    images: Shape, filters: Shape, border: str | Pads, stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[list[int | None], list[tuple[int, int]]]:
    """The rows and columns of the result, and how many zeros are put before and after each axis."""
    sizes: list[int | None] = []
    pads: list[tuple[int, int]] = []
    for axis, (size, span) in enumerate(zip(images[2:], _filter_sizes(filters, dilation), strict=True)):
        if size is None or span is None:
            sizes.append(None)
            continue
        around = _zeros(border, span) if isinstance(border, str) else 0
        pads.append(border[axis] if not isinstance(border, str) else (around, around))
        room = size + sum(pads[-1]) - span
        if room < 0:
            raise ValueError(f"filters of shape {filters} are larger than padded images of shape {images}")
        sizes.append(room // stride[axis] + 1)
    return sizes, pads


def _conv2d_type(
    images: TensorType,
    filters: TensorType,
    border: Any,
    stride: tuple[int, int],
    flip: bool,
    dilation: tuple[int, int],
    groups: int,
) -> TensorType:
    channels, taken = images.shape[1], filters.shape[1]
    if channels is not None and taken is not None and channels != taken * groups:
        raise ValueError(f"images of {channels} channels and filters of {taken} in {groups} groups do not fit")
    sizes, _ = _conv2d_shape(images.shape, filters.shape, border, stride, dilation)
    return TensorType(common_dtype([images, filters]), (images.shape[0], filters.shape[0], *sizes))


def _conv2d_run(
    images: Any,
    filters: Any,
    border: Any,
    stride: tuple[int, int],
    flip: bool,
    dilation: tuple[int, int],
    groups: int,
) -> Any:
    _, pads = _conv2d_shape(images.shape, filters.shape, border, stride, dilation)
    if flip:
        filters = filters[:, :, ::-1, ::-1]
    return jax.lax.conv_general_dilated(
        images, filters, stride, pads, rhs_dilation=dilation, feature_group_count=groups
    )


register("conv2d", _conv2d_run, _conv2d_type, operands="float")


@public_op
def conv2d(
    input: Any,
    filters: Any,
    input_shape: Sequence[int | None] | None = None,
    filter_shape: Sequence[int | None] | None = None,
    border_mode: Any = "valid",
    subsample: tuple[int, int] = (1, 1),
    filter_flip: bool = True,
    image_shape: Sequence[int | None] | None = None,
    filter_dilation: tuple[int, int] = (1, 1),
    num_groups: int = 1,
) -> Variable:
    """Images ``(n, channels, rows, columns)`` convolved with filters ``(m, channels // num_groups, rows, columns)``.

    ``border_mode`` is ``valid``, ``full`` or ``half``, or how many zeros are put around: an int, or for rows and
    columns an int or a pair, before and after. ``subsample`` is the stride. Filters are turned by half a circle,
    unless ``filter_flip=False``. The shapes are accepted for old programs. Differentiable in both.
    """
    images, weights = promoted("float", [input, filters])
    if images.ndim != 4 or weights.ndim != 4:
        raise ValueError(f"conv2d takes images and filters of 4 dimensions, got {images!r} and {weights!r}{here()}")
    op = table_op(
        "conv2d",
        border=_border(border_mode),
        stride=_pair(subsample, "subsample"),
        flip=bool(filter_flip),
        dilation=_pair(filter_dilation, "filter_dilation"),
        groups=int(num_groups),
    )
    return apply(op, images, weights)[0]


def _pair(given: Any, name: str) -> tuple[int, int]:
    pair = (given, given) if isinstance(given, int) else tuple(given)
    if len(pair) != 2 or not all(isinstance(number, int) and number > 0 for number in pair):
        raise ValueError(f"{name} is two positive ints, got {given!r}{here()}")
    return pair


def _border(mode: Any) -> str | Pads:
    if mode in ("valid", "full", "half"):
        return str(mode)
    sides = (mode, mode) if isinstance(mode, int) else mode
    if isinstance(sides, (tuple, list)) and len(sides) == 2:
        pads = [(side, side) if isinstance(side, int) else tuple(side) for side in sides]
        if all(len(pad) == 2 and all(isinstance(zeros, int) and zeros >= 0 for zeros in pad) for pad in pads):
            return pads[0], pads[1]
    raise ValueError(f"border_mode is 'valid', 'full', 'half' or numbers of zeros, got {mode!r}{here()}")
