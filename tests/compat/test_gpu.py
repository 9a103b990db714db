"""Programs with Theano's names for CUDA."""

from __future__ import annotations

import numpy as np
import pytest

import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as T
from loopjax.compat.notes import CompatNote
from loopjax.compat.theano import gpuarray
from loopjax.compat.theano.sandbox import cuda
from loopjax.compat.theano.sandbox.cuda import basic_ops, dnn

IMAGES = np.random.default_rng(0).normal(size=(2, 3, 4, 4))
FILTERS = np.random.default_rng(1).normal(size=(3, 5, 3, 3))


def test_arrays_need_not_be_moved():
    x = T.dvector("x")
    moved = basic_ops.host_from_gpu(basic_ops.gpu_contiguous(gpuarray.basic_ops.as_gpuarray_variable(x, None)))
    np.testing.assert_allclose(theano.function([x], moved)([1.0, 2.0]), [1, 2])
    with pytest.warns(CompatNote, match="JAX chooses the device"):
        cuda.use("gpu0")
    assert not cuda.cuda_available


def test_layers_of_cudnn_are_the_ordinary_ones():
    x, w = T.tensor4("x"), T.tensor4("w")
    outputs = [
        dnn.dnn_conv(x, w.dimshuffle(1, 0, 2, 3), "half"),
        T.nnet.conv2d(x, w.dimshuffle(1, 0, 2, 3), border_mode="half"),
    ]
    np.testing.assert_allclose(*theano.function([x, w], outputs)(IMAGES, FILTERS))
    pooled = theano.function([x], dnn.dnn_pool(x, (2, 2), (2, 2)))(IMAGES)
    np.testing.assert_allclose(pooled, IMAGES.reshape(2, 3, 2, 2, 2, 2).max((3, 5)))


def test_the_gradient_of_a_convolution_is_a_layer():
    x, w = T.tensor4("x"), T.tensor4("w")
    made = basic_ops.gpu_alloc_empty(x.shape[0], w.shape[1], 2 * x.shape[2], 2 * x.shape[3])
    desc = dnn.GpuDnnConvDesc(border_mode=(1, 1), subsample=(2, 2), conv_mode="conv")(made.shape, w.shape)
    wide = dnn.GpuDnnConvGradI()(w, x, made, desc)
    forward = dnn.GpuDnnConv()(wide, w, x, desc)
    assert theano.function([x, w], wide)(IMAGES, FILTERS).shape == (2, 5, 8, 8)
    # <A x, A x> = <x, A* A x>: the layer is the adjoint of the convolution.
    both = theano.function([x, w], [(wide**2).sum(), (x * forward).sum()])(IMAGES, FILTERS)
    np.testing.assert_allclose(both[0], both[1])
