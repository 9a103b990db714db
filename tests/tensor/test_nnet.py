"""The parts of neural networks against NumPy and SciPy."""

import numpy as np
import pytest
import scipy.signal
import scipy.special

import loopjax
import loopjax.tensor as T
from loopjax.tensor import nnet

X = np.array([[-3.0, -0.4, 0.0], [0.2, 1.5, 40.0]])


def elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


ROWS = [
    ("sigmoid", (), scipy.special.expit(X)),
    ("ultra_fast_sigmoid", (), scipy.special.expit(X)),
    ("hard_sigmoid", (), np.clip(0.2 * X + 0.5, 0, 1)),
    ("softplus", (), np.logaddexp(0, X)),
    ("softmax", (), scipy.special.softmax(X, axis=-1)),
    ("logsoftmax", (), scipy.special.log_softmax(X, axis=-1)),
    ("softmax_with_bias", ([1.0, 2.0, 3.0],), scipy.special.softmax(X + [1, 2, 3], axis=-1)),
    ("relu", (), np.maximum(X, 0)),
    ("relu", (0.1,), np.where(X > 0, X, 0.1 * X)),
    ("elu", (), elu(X)),
    ("elu", (0.5,), elu(X, 0.5)),
    ("selu", (), 1.0507009873554805 * elu(X, 1.6732632423543772)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "more", "wanted"), ROWS, ids=[row[0] for row in ROWS])
def test_activations(name, more, wanted, dtype):
    x = T.tensor(dtype, (None, None))
    made = getattr(T.nnet, name)(x, *more)
    found, slope = loopjax.function([x], [made, loopjax.grad(made.sum(), x)])(X.astype(dtype))
    assert found.dtype == dtype
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(found, wanted, rtol=20 * eps, atol=4 * eps)
    assert np.isfinite(slope).all()


def test_activations_of_integers_are_of_dtype_floatx():
    for op in (nnet.hard_sigmoid, nnet.elu, nnet.selu, nnet.softplus, nnet.sigmoid):
        assert op(T.lmatrix()).dtype == "float32"


def test_crossentropies():
    p, t = np.array([[0.1, 0.7, 0.2], [0.5, 0.25, 0.25]]), np.array([[0.0, 1.0, 0.0], [0.5, 0.2, 0.3]])
    v, w, labels = T.dmatrix(), T.dmatrix(), T.lvector()
    found = loopjax.function(
        [v, w, labels],
        [
            nnet.binary_crossentropy(v, w),
            nnet.sigmoid_binary_crossentropy(v, w),
            nnet.categorical_crossentropy(v, w),
            nnet.categorical_crossentropy(v, labels),
        ],
    )(p, t, [1, 2])
    logit = scipy.special.expit(p)
    wanted = [
        -(t * np.log(p) + (1 - t) * np.log(1 - p)),
        -(t * np.log(logit) + (1 - t) * np.log(1 - logit)),
        -(t * np.log(p)).sum(-1),
        -np.log([0.7, 0.25]),
    ]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-13)


def test_crossentropies_stay_finite_where_probabilities_round_to_zero():
    x, labels = T.fmatrix(), T.lvector()
    scores = np.array([[200.0, -200.0], [-300.0, 300.0]], "float32")
    costs = [
        nnet.binary_crossentropy(nnet.sigmoid(x), 1 - (x > 0)),
        nnet.categorical_crossentropy(nnet.softmax(x), labels),
        nnet.categorical_crossentropy(nnet.softmax(x), 1.0 - (x > 0)),
    ]
    slopes = [loopjax.grad(cost.sum(), x) for cost in costs]
    found = loopjax.function([x, labels], [*costs, *slopes])(scores, [1, 0])
    np.testing.assert_allclose(found[0], np.abs(scores))
    np.testing.assert_allclose(found[1], [400, 600])
    np.testing.assert_allclose(found[2], [400, 600])
    np.testing.assert_allclose(found[3], np.sign(scores), atol=1e-6)
    np.testing.assert_allclose(found[4], np.sign(scores), atol=1e-6)
    np.testing.assert_allclose(found[5], np.sign(scores), atol=1e-6)


def convolved(x, w, mode, flip):
    op = scipy.signal.convolve2d if flip else scipy.signal.correlate2d
    return np.array([[sum(op(a, b, mode) for a, b in zip(one, f, strict=True)) for f in w] for one in x])


@pytest.mark.parametrize("flip", [True, False])
@pytest.mark.parametrize("mode", ["valid", "full", "half", 1, (0, 2), ((1, 0), (2, 1))])
def test_conv2d(mode, flip):
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 3, 7, 6)), rng.normal(size=(4, 3, 3, 3))
    pads = {"valid": 0, "full": 2, "half": 1}.get(mode, mode) if isinstance(mode, (str, int)) else mode
    pads = [(pads, pads)] * 2 if isinstance(pads, int) else [(p, p) if isinstance(p, int) else p for p in pads]
    wanted = convolved(np.pad(x, [(0, 0), (0, 0), *pads]), w, "valid", flip)
    images, filters = T.dtensor4(), T.dtensor4()
    made = nnet.conv2d(images, filters, border_mode=mode, filter_flip=flip)
    np.testing.assert_allclose(loopjax.function([images, filters], made)(x, w), wanted, rtol=1e-12, atol=1e-12)
    if mode == "full":
        np.testing.assert_allclose(wanted, convolved(x, w, "full", flip), rtol=1e-12, atol=1e-12)


def test_conv2d_with_strides_groups_and_dilation():
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(1, 2, 9, 8)), rng.normal(size=(2, 1, 2, 2))
    spread = np.zeros((2, 1, 3, 3))
    spread[..., ::2, ::2] = w
    wanted = [convolved(x[:, [g]], spread[[g]], "valid", True)[..., ::2, ::3] for g in range(2)]
    images = T.tensor("float64", (1, 2, 9, 8))
    made = nnet.conv2d(images, w, subsample=(2, 3), filter_dilation=(2, 2), num_groups=2)
    assert made.type.shape == (1, 2, 4, 2)
    np.testing.assert_allclose(loopjax.function([images], made)(x), np.concatenate(wanted, 1), rtol=1e-12)


def test_gradient_of_conv2d():
    rng = np.random.default_rng(2)
    x, w, c = rng.normal(size=(1, 2, 5, 4)), rng.normal(size=(3, 2, 2, 3)), rng.normal(size=(1, 3, 6, 6))
    images, filters = T.dtensor4(), T.dtensor4()
    cost = (nnet.conv2d(images, filters, border_mode="full") * c).sum()
    by_image, by_filter = loopjax.function([images, filters], loopjax.grad(cost, [images, filters]))(x, w)
    value = loopjax.function([images, filters], cost)
    for found, array, at in [(by_image, x, (0, 1, 2, 3)), (by_filter, w, (2, 0, 1, 1))]:
        step = np.zeros_like(array)
        step[at] = 1e-5
        up, down = (float(value(*(one + sign * step if one is array else one for one in (x, w)))) for sign in (1, -1))
        np.testing.assert_allclose(found[at], (up - down) / 2e-5, rtol=1e-7)


@pytest.mark.parametrize(
    ("op", "error", "message"),
    [
        (lambda: nnet.categorical_crossentropy(T.matrix(), T.vector()), TypeError, "the true distribution has"),
        (lambda: nnet.conv2d(T.matrix(), T.tensor4()), ValueError, "4 dimensions"),
        (lambda: nnet.conv2d(T.tensor4(), T.tensor4(), border_mode="same"), ValueError, "border_mode is 'valid'"),
        (lambda: nnet.conv2d(T.tensor4(), T.tensor4(), subsample=(0, 1)), ValueError, "subsample is two positive"),
        (
            lambda: nnet.conv2d(T.tensor("float32", (1, 3, 4, 4)), T.tensor("float32", (1, 2, 3, 3))),
            ValueError,
            "images of 3 channels and filters of 2",
        ),
        (
            lambda: nnet.conv2d(T.tensor("float32", (1, 2, 4, 4)), T.tensor("float32", (1, 2, 5, 3))),
            ValueError,
            "are larger than padded images",
        ),
    ],
)
def test_errors_name_the_line(op, error, message):
    with pytest.raises(error, match=rf"({message}).*\[test_nnet\.py:\d+\](\n|$)"):
        op()
