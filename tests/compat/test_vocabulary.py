"""Functions of the peers' vocabulary against NumPy and SciPy."""

import importlib

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
import scipy.special

import loopjax.compat.aesara as aesara
import loopjax.compat.aesara.tensor as at
import loopjax.compat.theano.tensor as T
from loopjax.compat.aesara.tensor.nnet.batchnorm import batch_normalization_train
from loopjax.compat.aesara.tensor.nnet.neighbours import images2neibs
from loopjax.compat.aesara.tensor.signal.pool import pool_2d

X = np.random.default_rng(0).normal(size=(4, 4))
V = np.array([0.2, 1.5, 0.7])
P = X @ X.T + np.eye(4)
N = np.array([2, 0, 1, 1])
IMAGES = np.random.default_rng(1).normal(size=(2, 1, 5, 4))


def windows(x, fold, size, step):
    """Pools the whole windows of the last two axes, one by one."""
    rows, columns = ((length - size) // step + 1 for length in x.shape[2:])
    parts = [
        [fold(x[:, :, i * step : i * step + size, j * step : j * step + size], (2, 3)) for j in range(columns)]
        for i in range(rows)
    ]
    return np.moveaxis(np.array(parts), (0, 1), (2, 3))


ROWS = {
    "topk": (lambda x: at.topk(x, 2, axis=0), X, np.sort(X, 0)[-2:]),
    "argtopk": (lambda x: at.argtopk(x, 1), X, np.argmax(X, 1)[:, None]),
    "unique": (at.unique, N, np.unique(N)),
    "unique inverse": (lambda x: at.unique(x, return_inverse=True)[1], N, np.unique(N, return_inverse=True)[1]),
    "unique counts": (lambda x: at.unique(x, return_counts=True)[1], N, np.unique(N, return_counts=True)[1]),
    "einsum": (lambda x: T.einsum("ij,kj->ik", x, x), X, X @ X.T),
    "pad": (lambda x: T.pad(x, ((1, 0), (0, 2)), mode="edge"), X, np.pad(X, ((1, 0), (0, 2)), mode="edge")),
    "median": (lambda x: T.median(x, axis=1), X, np.median(X, 1)),
    "interp": (lambda x: T.interp(x, V.cumsum(), V), V, np.interp(V, V.cumsum(), V)),
    "take_along_axis": (lambda x: at.take_along_axis(x, at.argsort(x, axis=1), 1), X, np.sort(X, 1)),
    "triu_indices": (lambda x: x[at.triu_indices(4, 1)], X, X[np.triu_indices(4, 1)]),
    "fill_diagonal_offset": (lambda x: at.fill_diagonal_offset(x, 0.0, 1), X, X - np.diag(np.diag(X, 1), 1)),
    "erfcx": (at.erfcx, V, scipy.special.erfcx(V)),
    "erfcinv": (at.erfcinv, V, scipy.special.erfcinv(V)),
    "j1": (at.j1, V, scipy.special.j1(V)),
    "jv": (lambda x: aesara.grad(at.jv(1.5, x).sum(), x), V, scipy.special.jvp(1.5, V)),
    "kv": (lambda x: aesara.grad(T.kv(1.5, x).sum(), x), V, scipy.special.kvp(1.5, V)),
    "polygamma": (lambda x: T.polygamma(2, x), V, scipy.special.polygamma(2, V)),
    "gammaincinv": (lambda x: T.gammaincinv(1.5, x / 2), V, scipy.special.gammaincinv(1.5, V / 2)),
    "lu": (lambda x: T.lu(x)[2], X, scipy.linalg.lu(X)[2]),
    "lu_solve": (lambda x: T.lu_solve(T.lu_factor(x), V[N]), P, np.linalg.solve(P, V[N])),
    "schur": (lambda x: abs(T.schur(x)[0]), P, abs(scipy.linalg.schur(P)[0])),
    "eig": (lambda x: at.sort(at.linalg.eig(x)[0].real), P, np.linalg.eigvalsh(P)),
    "solve_sylvester": (lambda x: T.solve_sylvester(x, x, X), P, scipy.linalg.solve_sylvester(P, P, X)),
    "solve_discrete_are": (
        lambda x: T.solve_discrete_are(X, x, x, x),
        P,
        scipy.linalg.solve_discrete_are(X, P, P, P),
    ),
    "block_diag": (lambda x: T.block_diag(x, x), X, scipy.linalg.block_diag(X, X)),
    "rfft": (lambda x: at.fft.rfft(x)[..., 1], X, np.fft.rfft(X).imag),
    "convolve2d": (lambda x: T.convolve2d(x, X[:2, :2]), X, scipy.signal.convolve2d(X, X[:2, :2])),
    "max pooling": (lambda x: pool_2d(x, (2, 2), ignore_border=True), IMAGES, windows(IMAGES, np.max, 2, 2)),
    "average pooling": (
        lambda x: pool_2d(x, (3, 3), stride=(1, 1), ignore_border=True, mode="average_exc_pad"),
        IMAGES,
        windows(IMAGES, np.mean, 3, 1),
    ),
    "images2neibs": (lambda x: images2neibs(x[:, :, :4], (2, 2))[1], IMAGES, IMAGES[0, 0, :2, 2:4].ravel()),
    "batch normalization": (
        lambda x: batch_normalization_train(x, np.ones(4), np.zeros(4), epsilon=0.0)[0],
        X,
        (X - X.mean(0)) / X.std(0),
    ),
    "sum in float64": (lambda x: at.cast(x, "float32").sum(), np.array([1e8, 1, -1e8]), np.float32(1)),
    "a state of cumulative sums": (
        lambda n: aesara.scan(lambda s: at.cumsum(s) + s.cumprod(axis=0), outputs_info=n, n_steps=2)[0][-1],
        np.array([1, 2, 1], "int32"),
        np.array([4, 17, 73], "int32"),
    ),
    "parameters": (lambda x: at.sum(input=at.linspace(start=0.0, end=1.0, steps=3) * x, axis=0), V, 0.5 * V[1] + V[2]),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_function_gives_what_numpy_gives(name):
    function, value, expected = ROWS[name]
    x = at.TensorType(value.dtype, (False,) * value.ndim)("x")
    found = aesara.function([x], function(x))(value)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_connectionist_temporal_classification_sums_over_alignments():
    """Two frames and one label: the label may stand in either frame or in both."""
    x = np.random.default_rng(2).normal(size=(2, 1, 3))
    p = np.exp(x[:, 0]) / np.exp(x[:, 0]).sum(1, keepdims=True)
    expected = -np.log(p[0, 1] * p[1, 1] + p[0, 0] * p[1, 1] + p[0, 1] * p[1, 0])
    activations = at.dtensor3("x")
    loss = at.nnet.ctc.ctc(activations, np.array([[1, -1]], "int32"), np.array([2], "int32"))
    np.testing.assert_allclose(aesara.function([activations], loss)(x), [expected])


def test_a_parameter_that_would_change_the_result_is_not_ignored():
    with pytest.raises(NotImplementedError, match="endpoint=True only"):
        at.linspace(0, 1, endpoint=False)


def test_a_generator_is_a_state_and_a_draw_returns_the_next():
    pytensor = importlib.import_module("loopjax.compat.pytensor")
    key = pytensor.shared(np.random.default_rng(5))
    next_key, draw = key.normal(size=(2,))
    step = pytensor.function([], draw, updates={key: next_key})
    same = pytensor.function([], pytensor.tensor.random.normal(size=(2,), rng=key))
    first, second = step(), step()
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(same(), same())


def test_vectorize_maps_a_function_over_leading_axes():
    pt = importlib.import_module("loopjax.compat.pytensor.tensor")
    mapped = pt.vectorize(lambda a, b: pt.dot(a, b), signature="(n),(n)->()")
    x = pt.dmatrix("x")
    np.testing.assert_allclose(mapped(x, x).eval({x: X}), (X * X).sum(1))
