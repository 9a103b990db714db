"""Convolutions, normalization and losses of the peers' ``tensor.nnet`` that the core has not, or has otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from loopjax import tensor
from loopjax.compat import kinks, tensors
from loopjax.compat.rows import row
from loopjax.errors import coded, here
from loopjax.ir.graph import Variable
from loopjax.tensor import nnet
from loopjax.trace.convert import as_variable
from loopjax.trace.jacobian import Lop


def conv2d(
    input: Any,
    filters: Any,
    input_shape: Any = None,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1),
    filter_flip: bool = True,
    image_shape: Any = None,
    filter_dilation: Any = (1, 1),
    num_groups: int = 1,
    unshared: bool = False,
    **accepted: Any,
) -> Variable:
    """Convolution of images with filters; see ``loopjax.tensor.nnet.conv2d``."""
    if unshared:
        raise ValueError(f"conv2d() has no unshared filters; write them with einsum(){here()}")
    border = tuple(border_mode) if isinstance(border_mode, list) else border_mode
    if border == "same":
        border = "half"
    pairs: list[Any] = [
        tuple(int(one) for one in np.broadcast_to(option, 2)) for option in (subsample, filter_dilation)
    ]
    return nnet.conv2d(
        input, filters, border_mode=border, subsample=pairs[0], filter_flip=filter_flip, filter_dilation=pairs[1],
        num_groups=num_groups,
    )  # fmt: skip


abstract_conv2d = conv2d


def conv3d(
    input: Any,
    filters: Any,
    input_shape: Any = None,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1, 1),
    num_groups: int = 1,
) -> Variable:
    """Convolution of volumes ``(n, channels, depth, rows, columns)`` with filters."""
    return _conv(3, input, filters, border_mode, subsample, filter_flip, filter_dilation, num_groups)


def conv1d(
    input: Any,
    filters: Any,
    input_shape: Any = None,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1,),
    filter_flip: bool = True,
    filter_dilation: Any = (1,),
    num_groups: int = 1,
) -> Variable:
    """Convolution of signals ``(n, channels, length)`` with filters."""
    return _conv(1, input, filters, border_mode, subsample, filter_flip, filter_dilation, num_groups)


def _conv(
    axes: int, images: Any, filters: Any, border: Any, stride: Any, flip: bool, dilation: Any, groups: int
) -> Variable:
    strides = tuple(int(one) for one in np.broadcast_to(stride, axes))
    spread = tuple(int(one) for one in np.broadcast_to(dilation, axes))

    def run(x: Any, w: Any) -> Any:
        spans = [(size - 1) * step + 1 for size, step in zip(w.shape[2:], spread, strict=True)]
        if flip:
            w = jnp.flip(w, tuple(range(2, 2 + axes)))
        return lax.conv_general_dilated(
            x, w, strides, _pads(border, spans, here_text), rhs_dilation=spread, feature_group_count=groups
        )

    here_text = here()
    both = [as_variable(images), as_variable(filters)]
    dtype = tensors.upcast(*(one.dtype for one in both))
    made: Variable = row(run, 2, f"conv{axes}d")(*(one.astype(dtype) for one in both))
    return made


def _pads(border: Any, spans: Sequence[int], line: str) -> list[tuple[int, int]]:
    """Return the zeros before and after each axis, for a border mode."""
    if border in ("valid", "full", "half", "same"):
        sides = {"valid": 0, "full": -1, "half": None, "same": None}[border]
        return [
            (span // 2, span // 2) if sides is None else (0, 0) if sides == 0 else (span - 1, span - 1)
            for span in spans
        ]
    given = [border] * len(spans) if isinstance(border, int) else list(border)
    if len(given) != len(spans):
        raise coded(ValueError, "LJ901")(
            f"border_mode is 'valid', 'full', 'half' or {len(spans)} numbers, got {border!r}{line}"
        )
    return [(one, one) if isinstance(one, int) else tuple(one) for one in given]


def conv2d_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    input_dilation: Any = (1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1),
    num_groups: int = 1,
    **options: Any,
) -> Variable:
    """The transpose of ``conv2d``: from its results to images of ``output_shape``."""
    return conv2d_grad_wrt_inputs(
        input, filters, output_shape, filter_shape, border_mode, input_dilation, filter_flip, filter_dilation,
        num_groups,
    )  # fmt: skip


def conv2d_grad_wrt_inputs(
    output_grad: Any,
    filters: Any,
    input_shape: Any,
    filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1),
    num_groups: int = 1,
    **options: Any,
) -> Variable:
    """The gradient of ``conv2d`` with respect to its images, of ``input_shape``."""
    slope = as_variable(output_grad)
    sizes = [slope.shape[0] if size is None else size for size in input_shape]
    images = tensor.zeros(sizes, dtype=slope.dtype)
    made = conv2d(
        images, filters, None, filter_shape, border_mode, subsample, filter_flip, None, filter_dilation, num_groups
    )
    found: Variable = Lop(made, images, slope)
    return found


def conv2d_grad_wrt_weights(
    input: Any,
    output_grad: Any,
    filter_shape: Any,
    input_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1),
    num_groups: int = 1,
    **options: Any,
) -> Variable:
    """The gradient of ``conv2d`` with respect to its filters, of ``filter_shape``."""
    slope = as_variable(output_grad)
    filters = tensor.zeros(list(filter_shape), dtype=slope.dtype)
    made = conv2d(input, filters, None, None, border_mode, subsample, filter_flip, None, filter_dilation, num_groups)
    found: Variable = Lop(made, filters, slope)
    return found


def separable_conv2d(
    input: Any,
    depthwise_filters: Any,
    pointwise_filters: Any,
    num_channels: int,
    input_shape: Any = None,
    depthwise_filter_shape: Any = None,
    pointwise_filter_shape: Any = None,
    border_mode: Any = "valid",
    subsample: Any = (1, 1),
    filter_flip: bool = True,
    filter_dilation: Any = (1, 1),
) -> Variable:
    """A convolution of each channel, then one of single pixels over channels."""
    deep = conv2d(
        input, depthwise_filters, None, None, border_mode, subsample, filter_flip, None, filter_dilation, num_channels
    )
    return conv2d(deep, pointwise_filters, filter_flip=filter_flip)


def signal_conv2d(
    input: Any,
    filters: Any,
    image_shape: Any = None,
    filter_shape: Any = None,
    border_mode: str = "valid",
    subsample: Any = (1, 1),
    **options: Any,
) -> Variable:
    """Convolution of one or several matrices with one or several filters, without channels."""
    x, w = as_variable(input), as_variable(filters)
    images = x.dimshuffle("x", "x", 0, 1) if x.ndim == 2 else x.dimshuffle(0, "x", 1, 2)
    kernels = w.dimshuffle("x", "x", 0, 1) if w.ndim == 2 else w.dimshuffle(0, "x", 1, 2)
    made = conv2d(images, kernels, border_mode=border_mode, subsample=subsample)
    if x.ndim == 2:
        made = made[0]
    elif w.ndim == 2:
        made = made[:, 0]
    return made[0] if x.ndim == 2 and w.ndim == 2 else made


def images2neibs(ten4: Any, neib_shape: Any, neib_step: Any = None, mode: str = "valid") -> Variable:
    """Patches of images as rows of a matrix."""
    rows, columns = (int(getattr(one, "data", one)) for one in neib_shape)
    steps = neib_shape if neib_step is None else neib_step
    down, right = (int(getattr(one, "data", one)) for one in steps)

    def run(x: Any) -> Any:
        if mode == "ignore_borders" or (down, right) != (rows, columns) or mode == "valid":
            h, w = (x.shape[2] - rows) // down + 1, (x.shape[3] - columns) // right + 1
        top = (jnp.arange(h) * down)[:, None] + jnp.arange(rows)
        left = (jnp.arange(w) * right)[:, None] + jnp.arange(columns)
        patches = x[:, :, top[:, None, :, None], left[None, :, None, :]]
        return patches.reshape(-1, rows * columns)

    made: Variable = row(run, 1, "images2neibs")(ten4)
    return made


def neibs2images(neibs: Any, neib_shape: Any, original_shape: Any, mode: str = "valid") -> Variable:
    """Images of patches that do not overlap: the inverse of ``images2neibs``."""
    rows, columns = (int(getattr(one, "data", one)) for one in neib_shape)
    patches = as_variable(neibs)
    n, channels, height, width = (original_shape[place] for place in range(4))
    grid = tensor.reshape(patches, [n, channels, height // rows, width // columns, rows, columns])
    return tensor.reshape(grid.dimshuffle(0, 1, 2, 4, 3, 5), [n, channels, height, width])


def batch_normalization(inputs: Any, gamma: Any, beta: Any, mean: Any, std: Any, mode: str = "low_mem") -> Variable:
    """``(inputs - mean) / std * gamma + beta``."""
    return (as_variable(inputs) - mean) * (as_variable(gamma) / std) + beta


def batch_normalization_train(
    inputs: Any,
    gamma: Any,
    beta: Any,
    axes: Any = "per-activation",
    epsilon: float = 1e-4,
    running_average_factor: Any = 0.1,
    running_mean: Any = None,
    running_var: Any = None,
) -> Any:
    """Normalize by the statistics of a batch; returns the result, the mean, 1 / std, and new running statistics."""
    x = as_variable(inputs)
    chosen = _batch_axes(axes, x.ndim)
    scale, shift = (_beside(one, x.ndim, chosen) for one in (gamma, beta))
    mean = tensor.mean(x, axis=chosen, keepdims=True)
    var = tensor.mean(tensor.sqr(x - mean), axis=chosen, keepdims=True)
    inverse = 1 / tensor.sqrt(var + epsilon)
    results = [(x - mean) * (scale * inverse) + shift, _like(gamma, mean), _like(gamma, inverse)]
    rate = running_average_factor
    if running_mean is not None:
        results.append(_like(running_mean, as_variable(running_mean) * (1 - rate) + mean * rate))
    if running_var is not None:
        count = tensor.cast(tensor.prod([x.shape[axis] for axis in chosen]), x.dtype)
        results.append(_like(running_var, as_variable(running_var) * (1 - rate) + count / (count - 1) * var * rate))
    return tuple(results)


def batch_normalization_test(
    inputs: Any, gamma: Any, beta: Any, mean: Any, var: Any, axes: Any = "per-activation", epsilon: float = 1e-4
) -> Variable:
    """Normalize by given statistics."""
    x = as_variable(inputs)
    chosen = _batch_axes(axes, x.ndim)
    scale, shift, mean, var = (_beside(one, x.ndim, chosen) for one in (gamma, beta, mean, var))
    return (x - mean) * (scale / tensor.sqrt(var + epsilon)) + shift


def _batch_axes(axes: Any, ndim: int) -> tuple[int, ...]:
    if axes == "per-activation":
        return (0,)
    if axes == "spatial":
        return (0, *range(2, ndim))
    return tuple(int(axis) for axis in axes)


def _beside(value: Any, ndim: int, axes: Sequence[int]) -> Variable:
    """Return parameters with axes of size 1 where statistics are taken; those that have all axes as they are."""
    variable = as_variable(value)
    if variable.ndim == ndim:
        return tensor.specify_broadcastable(variable, *axes)
    places = iter(range(variable.ndim))
    return variable.dimshuffle(*["x" if axis in axes else next(places) for axis in range(ndim)])


def _like(old: Any, new: Variable) -> Variable:
    """Return new statistics in the dtype and shape of the old ones."""
    variable = as_variable(old)
    cast = tensor.cast(new, variable.dtype)
    if variable.ndim == new.ndim:
        return cast
    return tensor.reshape(cast, variable.shape, ndim=variable.ndim)


def relu(x: Any, alpha: Any = 0) -> Variable:
    """Rectifier: ``x`` where positive, else ``alpha * x``."""
    return kinks.relu(x, alpha)


def softsign(x: Any) -> Variable:
    """``x / (1 + abs(x))``."""
    variable = as_variable(x)
    return variable / (1 + kinks.abs(variable))


def confusion_matrix(actual: Any, pred: Any) -> list[Variable]:
    """Counts of pairs of classes, and the classes in order."""
    from loopjax.compat.arrays import unique

    order = unique(tensor.concatenate([actual, pred]))
    rows = tensor.eq(tensor.flatten(actual)[:, None], order[None, :])
    columns = tensor.eq(tensor.flatten(pred)[:, None], order[None, :])
    return [tensor.dot(tensor.cast(rows.T, "int64"), tensor.cast(columns, "int64")), order]


def crossentropy_categorical_1hot(coding_dist: Any, true_one_of_n: Any) -> Variable:
    """``-log`` of each row's probability of its class."""
    return nnet.categorical_crossentropy(coding_dist, true_one_of_n)


def crossentropy_softmax_1hot(x: Any, y_idx: Any) -> tuple[Variable, Variable]:
    """Losses and probabilities of classes, from logits."""
    probabilities = tensor.softmax(x)
    return nnet.categorical_crossentropy(probabilities, y_idx), probabilities


def crossentropy_softmax_1hot_with_bias(x: Any, b: Any, y_idx: Any) -> tuple[Variable, Variable]:
    """Losses and probabilities of classes, from logits without their bias."""
    return crossentropy_softmax_1hot(as_variable(x) + b, y_idx)


def crossentropy_softmax_argmax_1hot_with_bias(x: Any, b: Any, y_idx: Any) -> tuple[Variable, Variable, Variable]:
    """Losses, probabilities and the likeliest class."""
    losses, probabilities = crossentropy_softmax_1hot_with_bias(x, b, y_idx)
    return losses, probabilities, tensor.argmax(probabilities, axis=-1)


def crossentropy_softmax_max_and_argmax_1hot(x: Any, y_idx: Any) -> tuple[Variable, ...]:
    """Losses, probabilities, the greatest of them and its class."""
    losses, probabilities = crossentropy_softmax_1hot(x, y_idx)
    return losses, probabilities, *tensor.max_and_argmax(probabilities, axis=-1)


def crossentropy_softmax_max_and_argmax_1hot_with_bias(x: Any, b: Any, y_idx: Any) -> tuple[Variable, ...]:
    """Losses, probabilities, the greatest of them and its class, from logits without their bias."""
    return crossentropy_softmax_max_and_argmax_1hot(as_variable(x) + b, y_idx)


def prepend_scalar_to_each_row(val: Any, mat: Any) -> Variable:
    """A matrix with one more column in front, of one value."""
    matrix = as_variable(mat)
    return tensor.concatenate([tensor.alloc(tensor.cast(val, matrix.dtype), matrix.shape[0], 1), matrix], axis=1)


def prepend_0_to_each_row(mat: Any) -> Variable:
    """A matrix with a column of 0 in front."""
    return prepend_scalar_to_each_row(0, mat)


def prepend_1_to_each_row(mat: Any) -> Variable:
    """A matrix with a column of 1 in front."""
    return prepend_scalar_to_each_row(1, mat)


def h_softmax(
    x: Any,
    batch_size: Any,
    n_outputs: int,
    n_classes: int,
    n_outputs_per_class: int,
    W1: Any,  # noqa: N803
    b1: Any,
    W2: Any,  # noqa: N803
    b2: Any,
    target: Any = None,
) -> Variable:
    """Two-level softmax: of a class, and of an output in it; of ``target`` only, where given."""
    inputs = as_variable(x)
    first = tensor.softmax(tensor.dot(inputs, W1) + b1)
    if target is None:
        each = tensor.tensordot(inputs, W2, [[1], [1]]) + as_variable(b2)[None]
        joint = tensor.softmax(each) * first.dimshuffle(0, 1, "x")
        return tensor.reshape(joint, [inputs.shape[0], -1])[:, :n_outputs]
    wanted = tensor.flatten(target)
    group, member = wanted // n_outputs_per_class, wanted % n_outputs_per_class
    rows = tensor.arange(inputs.shape[0])
    scores = tensor.sum(inputs.dimshuffle(0, 1, "x") * as_variable(W2)[group], axis=1) + as_variable(b2)[group]
    return first[rows, group] * tensor.softmax(scores)[rows, member]


def ctc(activations: Any, labels: Any, input_lengths: Any) -> Variable:
    """Connectionist temporal classification loss of each example; labels are padded with -1, class 0 is blank.

    ``activations`` are ``(time, batch, classes)``. Forward variables in log space (Graves et al. 2006).
    """

    def run(x: Any, labels: Any, lengths: Any) -> Any:
        logits = jnp.moveaxis(x, 0, 1)
        ends = jnp.arange(logits.shape[1])[None] >= lengths[:, None]
        return _ctc(logits, ends, jnp.maximum(labels, 0), labels < 0)

    made: Variable = row(run, 3, "ctc")(activations, labels, input_lengths)
    return made


def _ctc(logits: Any, ended: Any, labels: Any, absent: Any) -> Any:
    """Return ``-log p(labels)`` of each example by the forward algorithm."""
    log_p = jax.nn.log_softmax(logits)
    batch, _, _ = logits.shape
    count = labels.shape[1]
    least = jnp.asarray(-1e30, logits.dtype)
    symbols = jnp.zeros((batch, 2 * count + 1), labels.dtype).at[:, 1::2].set(labels)
    differs = jnp.concatenate([jnp.zeros((batch, 2), bool), symbols[:, 2:] != symbols[:, :-2]], 1)
    may_skip = differs & (symbols != 0)
    start = jnp.full((batch, 2 * count + 1), least).at[:, 0].set(0)

    def step(alpha: Any, each: Any) -> Any:
        row, is_over, is_first = each
        stay, one = alpha, jnp.pad(alpha, ((0, 0), (1, 0)), constant_values=least)[:, :-1]
        two = jnp.where(may_skip, jnp.pad(alpha, ((0, 0), (2, 0)), constant_values=least)[:, :-2], least)
        moved = jnp.logaddexp(jnp.logaddexp(stay, one), jnp.where(is_first, least, two))
        new = moved + jnp.take_along_axis(row, symbols, 1)
        return jnp.where(is_over[:, None], alpha, new), None

    firsts = jnp.arange(logits.shape[1]) == 0
    alpha, _ = lax.scan(step, start, (jnp.moveaxis(log_p, 1, 0), ended.T, firsts))
    length = 2 * (count - absent.sum(1))
    last = jnp.take_along_axis(alpha, length[:, None], 1)[:, 0]
    before = jnp.where(length > 0, jnp.take_along_axis(alpha, jnp.maximum(length - 1, 0)[:, None], 1)[:, 0], least)
    return -jnp.logaddexp(last, before)


def names() -> dict[str, Any]:
    """Return the names of ``tensor.nnet``."""
    core = {name: getattr(nnet, name) for name in nnet.__all__}
    own = {name: value for name, value in globals().items() if getattr(value, "__module__", "") == __name__}
    own = {name: value for name, value in own.items() if name[0] != "_" and name not in ("names", "signal_conv2d")}
    rows = {name: tensors.softmax_vector_as_row(core[name]) for name in ("softmax", "logsoftmax", "softmax_with_bias")}
    return {
        **core,
        **own,
        **rows,
        "log_softmax": rows["logsoftmax"],
        "sigm": core["sigmoid"],
        "softmax_graph": rows["softmax"],
        "softmax_legacy": rows["softmax"],
    }
