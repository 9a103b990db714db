"""Activations, losses and convolution of neural networks, as ``at.nnet``, by the names of Theano's ``tensor.nnet``.

The losses are recorded as they are defined. The rewrite ``stabilize`` goes back to the logits of a ``sigmoid`` or
``softmax``, as Theano's did: ``categorical_crossentropy(softmax(x), y)`` is computed from ``log_softmax(x)``.

`conv2d` is `jax.lax.conv_general_dilated` with Theano's conventions: filters are flipped unless ``filter_flip=False``,
so that it is a convolution, not a cross-correlation. Strides and padding are numbers, not variables.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax

from loopjax.errors import coded, here, reported
from loopjax.ir.graph import Variable, apply
from loopjax.ir.op import register, table_op
from loopjax.ir.public_ops import public_op
from loopjax.ir.types import Shape, TensorType
from loopjax.tensor.creation import arange
from loopjax.tensor.elementwise import (
    REAL,
    Binary,
    Unary,
    add,
    clip,
    log,
    mul,
    neg,
    pointwise,
    sigmoid,
    softplus,
    switch,
)
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

_elu: Binary = pointwise(
    "elu",
    jax.nn.elu,
    "Exponential linear unit; see `loopjax.tensor.nnet.elu`",
    "at.nnet.elu([-1000.0, 2.0], 0.5) -> [-0.5  2. ]",
    "float",
    kinds=REAL,
    parameters=("x", "alpha"),
)
selu: Unary = pointwise(
    "selu",
    jax.nn.selu,
    "Scaled exponential linear unit (Klambauer et al. 2017), whose outputs keep mean 0 and variance 1",
    "at.nnet.selu(0.0) -> 0.0",
    "float",
    kinds=REAL,
    module=__name__,
)


@reported
def hard_sigmoid(x: Any) -> Variable:
    """Piecewise linear approximation of `sigmoid`: ``0.2 * x + 0.5`` limited to the range from 0 to 1.

    Differentiable; the derivative is 0.2 between -2.5 and 2.5, and zero outside.

    Parameters
    ----------
    x : array_like
        Real numbers of any shape.

    Returns
    -------
    Variable
        Of the shape of ``x`` and its dtype, floatX where that is no float.

    Raises
    ------
    TypeError
        Where ``x`` is not numeric.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.nnet.hard_sigmoid([-3.0, 0.0, 3.0]).eval())
    [0.  0.5 1. ]
    """
    return clip(as_variable(x) * 0.2 + 0.5, 0.0, 1.0)


@reported
def relu(x: Any, alpha: Any = 0) -> Variable:
    """Leaky rectified linear unit: ``x`` where it is positive, else ``alpha * x``.

    Differentiable in both; the derivative by ``x`` at 0 is ``alpha``.

    Parameters
    ----------
    x : array_like
        Real numbers of any shape.
    alpha : array_like
        Slope of the negative side, of a shape that broadcasts with that of ``x``.

    Returns
    -------
    Variable
        Of the shape that the inputs broadcast to and the common dtype.

    Raises
    ------
    TypeError
        Where an input is not numeric.
    ValueError
        Where the shapes do not broadcast.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.nnet.relu([-2.0, 3.0], alpha=0.5).eval())
    [-1.  3.]
    """
    if isinstance(alpha, (int, float)) and alpha == 0:
        return _plain_relu(x)
    variable = as_variable(x)
    return switch(variable > 0, variable, alpha * variable)


@reported
def elu(x: Any, alpha: Any = 1) -> Variable:
    """Exponential linear unit (Clevert, Unterthiner and Hochreiter 2016): ``x`` where it is positive, else
    ``alpha * (exp(x) - 1)``.

    Differentiable in both, to any order.

    Parameters
    ----------
    x : array_like
        Real numbers of any shape.
    alpha : array_like
        Negative of the limit on the negative side, of a shape that broadcasts with that of ``x``.

    Returns
    -------
    Variable
        Of the shape that the inputs broadcast to and the common dtype, floatX where no input is a float.

    Raises
    ------
    TypeError
        Where an input is complex or not numeric.
    ValueError
        Where the shapes do not broadcast.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.nnet.elu([-1000.0, 2.0], alpha=0.5).eval())
    [-0.5  2. ]
    """
    return _elu(x, alpha)


@reported
def softmax_with_bias(x: Any, b: Any) -> Variable:
    """``softmax(x + b)`` along the last axis.

    Differentiable in both, to any order.

    Parameters
    ----------
    x : array_like
        Numbers of shape ``(..., classes)``.
    b : array_like
        Bias of shape ``(classes,)``.

    Returns
    -------
    Variable
        Of the shape of ``x + b`` and its dtype, floatX where that is no float.

    Raises
    ------
    TypeError
        Where an input is not numeric.
    ValueError
        Where the shapes do not broadcast.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.nnet.softmax_with_bias([[1.0, 2.0]], [1.0, 0.0]).eval())
    [[0.5 0.5]]
    """
    return softmax(as_variable(x) + b)


@reported
def sigmoid_binary_crossentropy(output: Any, target: Any) -> Variable:
    """Binary cross-entropy of logits: ``binary_crossentropy(sigmoid(output), target)``, finite for every finite
    ``output``.

    Differentiable in both, to any order.

    Parameters
    ----------
    output : array_like
        Logits of any shape.
    target : array_like
        Probabilities, of a shape that broadcasts with that of ``output``.

    Returns
    -------
    Variable
        Nats for each element, of the shape that the inputs broadcast to and the common float dtype.

    Raises
    ------
    TypeError
        Where an input is not numeric.
    ValueError
        Where the shapes do not broadcast.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.nnet.sigmoid_binary_crossentropy([1000.0, -1000.0], [1.0, 1.0]).eval())
    [   0. 1000.]
    """
    output, target = as_variable(output), as_variable(target)
    return add(mul(target, softplus(-output)), mul(1 - target, softplus(output)))


@reported
def binary_crossentropy(output: Any, target: Any) -> Variable:
    """Binary cross-entropy: ``-(target * log(output) + (1 - target) * log(1 - output))``.

    Where ``output`` is ``sigmoid(logits)``, it is computed from the logits, so that it stays finite where
    the sigmoid rounds to 0 or 1. Differentiable in both, to any order.

    Parameters
    ----------
    output : array_like
        Predicted probabilities of any shape.
    target : array_like
        True probabilities, of a shape that broadcasts with that of ``output``.

    Returns
    -------
    Variable
        Nats for each element, of the shape that the inputs broadcast to and the common float dtype.

    Raises
    ------
    TypeError
        Where an input is not numeric.
    ValueError
        Where the shapes do not broadcast.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> print(at.nnet.binary_crossentropy(at.sigmoid([1000.0, -1000.0]), [1.0, 1.0]).eval())
    [   0. 1000.]
    """
    output, target = as_variable(output), as_variable(target)
    return neg(add(mul(target, log(output)), mul(1 - target, log(1 - output))))


@reported
def categorical_crossentropy(coding_dist: Any, true_dist: Any) -> Variable:
    """Cross-entropy of each row: the nats that a symbol of ``true_dist`` takes in a code made for ``coding_dist``.

    Where ``coding_dist`` is ``softmax(logits)``, it is computed from the logits, so that it stays finite
    where a probability rounds to 0. Differentiable in both distributions, to any order.

    Parameters
    ----------
    coding_dist : array_like
        Predicted probabilities of shape ``(..., classes)``.
    true_dist : array_like
        True probabilities in the shape of ``coding_dist``; or, for a matrix ``coding_dist``, a vector of integers: the
        position of the true class in each row.

    Returns
    -------
    Variable
        Nats for each row, of the shape of ``coding_dist`` without its last axis.

    Raises
    ------
    TypeError
        For any other ``true_dist``.
    ValueError
        Where the shapes differ.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> probabilities = at.softmax([[0.0, 1000.0], [1000.0, 0.0]])
    >>> print(at.nnet.categorical_crossentropy(probabilities, [0, 1]).eval())
    [1000. 1000.]
    """
    coding, truth = as_variable(coding_dist), as_variable(true_dist)
    nats = -log(coding)
    if truth.ndim == coding.ndim:
        return (truth * nats).sum(axis=-1)
    if coding.ndim == 2 and truth.ndim == 1 and truth.type.is_integer:
        return nats[arange(truth.shape[0]), truth]
    raise coded(TypeError, "LJ501")(
        f"the true distribution has the shape of the coding one, or is a vector of integers for a matrix; "
        f"got {truth!r} for {coding!r}"
    )


Pads = tuple[tuple[int, int], tuple[int, int]]
"""Zeros before and after the rows, and before and after the columns."""


def _filter_sizes(filters: Shape, dilation: tuple[int, int]) -> list[int | None]:
    """Rows and columns that a dilated filter covers."""
    sizes = zip(filters[2:], dilation, strict=True)
    return [None if size is None else (size - 1) * step + 1 for size, step in sizes]


def _zeros(border: str, size: int) -> int:
    """Zeros on each side of an axis by the name of a border mode."""
    return {"valid": 0, "half": size // 2, "full": size - 1}[border]


def _conv2d_shape(
    images: Shape, filters: Shape, border: str | Pads, stride: tuple[int, int], dilation: tuple[int, int]
) -> tuple[list[int | None], list[tuple[int, int]]]:
    """Rows and columns of the result, and the zeros before and after each of the two axes."""
    sizes: list[int | None] = []
    pads: list[tuple[int, int]] = []
    for axis, (size, span) in enumerate(zip(images[2:], _filter_sizes(filters, dilation), strict=True)):
        if size is None or span is None:
            sizes.append(None)
            continue
        around = _zeros(border, span) if isinstance(border, str) else 0
        pads.append(border[axis] if not isinstance(border, str) else (around, around))
        free = size + sum(pads[-1]) - span
        if free < 0:
            raise coded(ValueError, "LJ506")(f"filters of shape {filters} are larger than padded images, {images}")
        sizes.append(free // stride[axis] + 1)
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
    """Type of the result; raises ``ValueError`` where channels or sizes do not fit."""
    channels, filtered = images.shape[1], filters.shape[1]
    if channels is not None and filtered is not None and channels != filtered * groups:
        raise coded(ValueError, "LJ501")(
            f"images of {channels} channels and filters of {filtered} in {groups} groups do not fit"
        )
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
    """`jax.lax.conv_general_dilated`, with filters flipped for a convolution."""
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
    """Two-dimensional convolution of a batch of images with a bank of filters.

    Differentiable in images and filters, in both modes and to any order.

    Parameters
    ----------
    input : array_like
        Images of shape ``(n, channels, rows, columns)``.
    filters : array_like
        Filters of shape ``(m, channels // num_groups, rows, columns)``.
    input_shape, filter_shape : sequence of int or None, optional
        Accepted for old programs and not used.
    border_mode : {"valid", "full", "half"}, int, or pair
        Zeros around the images: none; one less than the filter's size; half of that size; or as many as a number says,
        for rows and columns an int or a pair, before and after.
    subsample : tuple of int
        Stride along rows and columns.
    filter_flip : bool
        False for cross-correlation: filters that are not turned by half a circle.
    image_shape : sequence of int or None, optional
        Accepted for old programs and not used.
    filter_dilation : tuple of int
        Distance between the filter's elements along rows and columns.
    num_groups : int
        Groups of channels, each convolved with its own share of the filters.

    Returns
    -------
    Variable
        Of shape ``(n, m, rows, columns)`` and the common float dtype.

    Raises
    ------
    TypeError
        Where an input is not numeric.
    ValueError
        Where an input has other than 4 dimensions, channels and groups do not fit, filters are larger than padded
        images, or an option is of another form.

    Examples
    --------
    >>> import loopjax.tensor as at
    >>> image = at.arange(9).reshape((1, 1, 3, 3))
    >>> print(at.nnet.conv2d(image, at.ones((1, 1, 2, 2))).eval())
    [[[[ 8. 12.]
       [20. 24.]]]]
    """
    images, weights = promoted("float", [input, filters])
    if images.ndim != 4 or weights.ndim != 4:
        raise ValueError(f"conv2d takes images and filters of 4 dimensions, got {images!r} and {weights!r}{here()}")
    for name, shape in (("input_shape", input_shape), ("filter_shape", filter_shape), ("image_shape", image_shape)):
        listed = isinstance(shape, (tuple, list)) and all(
            size is None or (isinstance(size, int) and size > 0) for size in shape
        )
        if shape is not None and not listed:
            raise coded(TypeError, "LJ506")(
                f"conv2d: {name}: expected a list of sizes and None, got {type(shape).__name__} {shape!r:.80}; write "
                f"{name}=(None, None, 3, 3)"
            )
    op = table_op(
        "conv2d",
        border=_border(border_mode),
        stride=_pair(subsample, "subsample"),
        flip=bool(filter_flip),
        dilation=_pair(filter_dilation, "filter_dilation"),
        groups=int(num_groups),
    )
    return apply(op, images, weights)[0]


def _pair(option: Any, name: str) -> tuple[int, int]:
    """Two positive ints from an option, which may be one int for both."""
    pair = option if isinstance(option, (tuple, list)) else (option, option)
    if len(pair) != 2 or not all(type(number) is int and 0 < number < 2**31 for number in pair):
        raise coded(ValueError, "LJ901")(f"{name} is two positive ints, got {option!r:.80}; write {name}=(1, 1)")
    return pair[0], pair[1]


def _border(mode: Any) -> str | Pads:
    """Border mode by name, or as zeros around rows and columns."""
    if isinstance(mode, str) and mode in ("valid", "full", "half"):
        return mode
    sides = (mode, mode) if isinstance(mode, int) else mode
    if isinstance(sides, (tuple, list)) and len(sides) == 2:
        pads = [tuple(side) if isinstance(side, (tuple, list)) else (side, side) for side in sides]
        if all(len(pad) == 2 for pad in pads) and all(
            type(zeros) is int and 0 <= zeros < 2**31 for zeros in sum(pads, ())
        ):
            return pads[0], pads[1]
    raise coded(ValueError, "LJ901")(
        f"border_mode is 'valid', 'full', 'half' or numbers of zeros, got {mode!r:.80}; write border_mode=(1, 1)"
    )
