"""Gradients of max-pooling where elements of a window are equal."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as T
from loopjax.compat.theano.tensor.signal.pool import pool_2d

IMAGES = np.random.default_rng(3).integers(0, 3, (2, 1, 5, 6)).astype("float64")


def pooled(images, ws, stride, pad):
    """Maxima of the windows, and the gradient of their sum: 1 to each element that is its window's maximum."""
    padded = np.pad(images, [(0, 0), (0, 0), (pad, pad), (pad, pad)], constant_values=-np.inf)
    found, slope = [], np.zeros_like(padded)
    starts = [range(0, size - span + 1, step) for size, span, step in zip(padded.shape[2:], ws, stride, strict=True)]
    for row, column in itertools.product(*starts):
        window = np.s_[:, :, row : row + ws[0], column : column + ws[1]]
        top = padded[window].max((2, 3), keepdims=True)
        found.append(top)
        slope[window] += padded[window] == top
    inside = np.s_[:, :, pad : padded.shape[2] - pad, pad : padded.shape[3] - pad]
    return np.stack(found).reshape(len(starts[0]), len(starts[1]), 2, 1).transpose(2, 3, 0, 1), slope[inside]


@pytest.mark.parametrize(
    ("ws", "stride", "pad"), [((2, 2), (2, 2), 0), ((3, 2), (1, 2), 0), ((3, 3), (2, 2), 1), ((2, 3), (3, 1), 0)]
)
def test_each_of_equal_elements_gets_the_gradient(ws, stride, pad):
    x = T.tensor4("x")
    top = pool_2d(x, ws, ignore_border=True, stride=stride, pad=(pad, pad))
    found = theano.function([x], [top, T.grad(top.sum(), x)])(IMAGES)
    for one, other in zip(found, pooled(IMAGES, ws, stride, pad), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_gradient_has_a_derivative():
    x = T.tensor4("x")
    slope = T.grad((pool_2d(x, (2, 2), ignore_border=True) ** 2).sum(), x)
    image = np.array([[3.0, 1.0], [2.0, 0.0]]).reshape(1, 1, 2, 2)
    found = theano.function([x], T.grad(slope.sum(), x))(image)
    np.testing.assert_allclose(found, [[[[2, 0], [0, 0]]]])
