"""Names of Theano's modules for CUDA: XLA places arrays, so that moving one is the identity and cuDNN's layers are the
ordinary ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from loopjax import tensor
from loopjax.compat import functions, layers, pooling
from loopjax.compat.library import current
from loopjax.compat.notes import note
from loopjax.ir.graph import Variable
from loopjax.trace.convert import as_variable

_MOVES = """
host_from_gpu gpu_from_host gpu_contiguous as_cuda_ndarray_variable as_gpuarray_variable as_cuda_variable
"""


def names() -> dict[str, Any]:
    """Return the names that all modules for CUDA have."""
    own = {
        "use": use,
        "unuse": _accept,
        "synchronize": _accept,
        "set_gpu_from_theano": _accept,
        "gpu_alloc_empty": empty,
        "GpuAllocEmpty": lambda *options: empty,
        "float32_shared_constructor": functions.make_shared,
        "gpuarray_shared_constructor": functions.make_shared,
        "GpuDnnConvDesc": GpuDnnConvDesc,
        "GpuDnnConv": lambda **options: _forward,
        "GpuDnnConvGradI": lambda **options: _gradient_of_images,
        "GpuDnnConvGradW": lambda **options: _gradient_of_filters,
        "GpuDnnSoftmax": _softmax,
        "dnn_conv": dnn_conv,
        "dnn_pool": dnn_pool,
        "dnn_batch_normalization_train": layers.batch_normalization_train,
        "dnn_batch_normalization_test": layers.batch_normalization_test,
    }
    return {**dict.fromkeys(_MOVES.split(), moved), **own}


def use(device: Any = None, *args: Any, **options: Any) -> None:
    """Choose a device, for old programs: JAX has chosen one."""
    note("sandbox.cuda.use", "without effect; JAX chooses the device, and JAX_PLATFORMS says which")


def _accept(*args: Any, **options: Any) -> None:
    """Accepted for old programs, without effect."""


def moved(x: Any, *context: Any) -> Variable:
    """Return the variable itself."""
    return as_variable(x)


def empty(*shape: Any) -> Variable:
    """An array that the program fills: zeros of floatX."""
    return tensor.zeros(shape, dtype=current().floatX)


def dnn_conv(
    img: Any,
    kerns: Any,
    border_mode: Any = "valid",
    subsample: Any = (1, 1),
    dilation: Any = (1, 1),
    conv_mode: str = "conv",
    **options: Any,
) -> Variable:
    """Convolution of images, or correlation for ``conv_mode="cross"``."""
    return layers.conv2d(
        img,
        kerns,
        border_mode=border_mode,
        subsample=subsample,
        filter_flip=conv_mode == "conv",
        filter_dilation=dilation,
        num_groups=options.get("num_groups", 1),
    )


def dnn_pool(img: Any, ws: Any, stride: Any = None, mode: str = "max", pad: Any = None) -> Variable:
    """Pooling of images; windows are moved by one where ``stride`` is not given."""
    steps = (1,) * len(ws) if stride is None else stride
    edges = (0,) * len(ws) if pad is None else pad
    kind = "average_exc_pad" if mode == "average" else mode
    pool: Callable[..., Variable] = pooling.pools()["pool_2d" if len(ws) == 2 else "pool_3d"]
    return pool(img, ws, ignore_border=True, stride=steps, pad=edges, mode=kind)


class GpuDnnConvDesc:
    """Settings of a convolution of cuDNN; called with shapes, it returns itself.

    Parameters
    ----------
    border_mode, subsample, dilation, conv_mode
        As in ``dnn_conv``.
    """

    def __init__(
        self,
        border_mode: Any,
        subsample: Sequence[int] = (1, 1),
        dilation: Sequence[int] = (1, 1),
        conv_mode: str = "conv",
        **options: Any,
    ) -> None:
        self.border = tuple(border_mode) if isinstance(border_mode, list) else border_mode
        self.steps, self.dilation, self.flips = tuple(subsample), tuple(dilation), conv_mode == "conv"

    def __call__(self, *shapes: Any) -> GpuDnnConvDesc:
        return self


def _forward(img: Any, kerns: Any, output: Any, desc: GpuDnnConvDesc, *factors: Any) -> Variable:
    mode = "conv" if desc.flips else "cross"
    return dnn_conv(img, kerns, desc.border, desc.steps, desc.dilation, mode)


def _gradient_of_images(kerns: Any, topgrad: Any, output: Any, desc: GpuDnnConvDesc, *factors: Any) -> Variable:
    return layers.conv2d_grad_wrt_inputs(
        topgrad, kerns, _sizes(output), None, desc.border, desc.steps, desc.flips, desc.dilation
    )


def _gradient_of_filters(img: Any, topgrad: Any, output: Any, desc: GpuDnnConvDesc, *factors: Any) -> Variable:
    return layers.conv2d_grad_wrt_weights(
        img, topgrad, _sizes(output), None, desc.border, desc.steps, desc.flips, desc.dilation
    )


def _sizes(x: Any) -> list[Any]:
    return [as_variable(x).shape[axis] for axis in range(4)]


def _softmax(*options: Any, **named: Any) -> Callable[[Any], Variable]:
    """Return a softmax of images over channels, or with ``mode="instance"`` over all of an image."""
    mode = named.get("mode", options[-1] if options else "channel")

    def softmax(x: Any) -> Variable:
        images = as_variable(x)
        if mode == "instance":
            return tensor.reshape(tensor.softmax(tensor.flatten(images, 2)), images.shape, ndim=images.ndim)
        return tensor.softmax(images, axis=1)

    return softmax
