"""Reductions of arrays with a short last axis."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.short_axes import SplitShortAxes
from loopjax.rewrite.target import Target
from tests.rewrite.sized import after, scans, text

RNG = np.random.default_rng(3)
X = at.tensor("float64", shape=(50, 40, 3), name="x")


@pytest.mark.parametrize("reduced", [at.sum, at.prod, at.max, at.min])
@pytest.mark.parametrize("axis", [2, 1, (0, 1), (1, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_results_are_those_of_the_whole_array(reduced, axis, keepdims):
    found = reduced(at.sin(X), axis=axis, keepdims=keepdims)
    value = RNG.normal(size=(50, 40, 3))
    wanted = getattr(np, reduced.__name__)(np.sin(value), axis=axis, keepdims=keepdims)
    split = after([SplitShortAxes()], [X], [found])
    assert text(split) != text(after([], [X], [found]))
    np.testing.assert_allclose(loopjax.function([X], found)(value), wanted, rtol=1e-13, atol=1e-12)


def test_sums_of_integers_have_the_dtype_of_the_whole():
    x = at.imatrix()
    value = np.full((3_000, 2), 2**30, "int32")
    total = loopjax.function([x], x.sum(axis=1))(value)
    assert total.dtype == "int64"
    assert (total == 2**31).all()


def test_gradient_of_pairwise_distances_in_a_loop():
    x = at.dmatrix()

    def pull(x):
        apart = x.dimshuffle("x", 0, 1) - x.dimshuffle(0, "x", 1)
        return x + 0.01 * (apart / ((apart**2).sum(axis=2) + 0.1).dimshuffle(0, 1, "x")).sum(axis=1)

    path, _ = loopjax.scan(pull, outputs_info=x, n_steps=4)
    cost = (path[-1] ** 2).sum()
    value = RNG.normal(size=(50, 2))
    outputs = [cost, loopjax.grad(cost, x)]
    found = loopjax.function([x], outputs)(value)
    wanted = loopjax.function([x], outputs, mode=loopjax.Mode().excluding("short_axes"))(value)
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11)


@pytest.mark.parametrize("axis", [2, (0, 2)])
def test_gradient_of_equal_extremes_is_shared_evenly(axis):
    x = at.dtensor3("x")
    value = RNG.integers(0, 3, size=(50, 40, 3)).astype("float64")
    found = loopjax.function([x], loopjax.grad(x.max(axis=axis).sum(), x))(value)
    is_max = value == value.max(axis=axis, keepdims=True)
    np.testing.assert_allclose(found, is_max / is_max.sum(axis=axis, keepdims=True), rtol=1e-15)


@pytest.mark.parametrize(
    "kept",
    [
        X[:20].sum(axis=2),
        X.sum(),
        at.concatenate([X, X], axis=2).sum(axis=2),
        at.cast(X, "complex128").sum(axis=2),
        X.mean(axis=2),
    ],
)
def test_small_arrays_long_axes_and_other_reductions_stay(kept):
    assert text(after([SplitShortAxes()], [X], [kept])) == text(after([], [X], [kept]))


def test_other_backends_keep_reductions():
    total = X.sum(axis=2)
    assert text(after([SplitShortAxes(Target("gpu"))], [X], [total])) == text(after([], [X], [total]))


EYE, DIRECTION, LENGTH = at.dvector("eye"), at.dmatrix("direction"), at.dvector("length")
RAYS = 40
GIVEN = [RNG.normal(size=3), RNG.normal(size=(RAYS, 3)), RNG.uniform(0.5, 1.0, RAYS)]


def march(length, eye, direction):
    """A step whose places are read by coordinate, and squeezed once more before."""
    place = at.tanh(eye + length.dimshuffle(0, "x") * direction)
    turned = at.stack([place[:, 1], place[:, 0] - place[:, -1]], axis=1) * 0.5
    near = at.exp(-(turned**2))
    return 0.5 * length + near[:, 0] * near[:, 1]


def test_values_that_are_read_by_slices_are_computed_by_slices():
    out = loopjax.scan(march, outputs_info=LENGTH, non_sequences=[EYE, DIRECTION], n_steps=4, return_updates=False)[-1]
    outputs = [out, *loopjax.grad((out**2).sum(), [EYE, DIRECTION, LENGTH])]
    f = loopjax.function([EYE, DIRECTION, LENGTH], outputs)
    whole = loopjax.function([EYE, DIRECTION, LENGTH], outputs, mode=loopjax.Mode().excluding("short_axes"))
    for one, other in zip(f(*GIVEN), whole(*GIVEN), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


L, P = at.tensor("float64", shape=(RAYS,), name="l"), at.tensor("float64", shape=(RAYS, 3), name="p")


@pytest.mark.parametrize(
    ("read", "wide"),
    [
        (lambda y, h: y[:, 0] + y[:, 2], False),
        (lambda y, h: y[:, 0] + (2.0 * y)[:, 1], False),
        (lambda y, h: (y + h[:3])[:, 0], True),
        (lambda y, h: y[:, 0] + y.sum(), True),
        (lambda y, h: y[:, 0] + y[0, 0], True),
        (lambda y, h: y[:, :2].sum(1), True),
    ],
)
def test_which_values_are_computed_by_slices(read, wide):
    def step(h, p):
        return read(at.sin(h.dimshuffle(0, "x") * p), h)

    out = loopjax.scan(step, outputs_info=L, non_sequences=P, n_steps=4, return_updates=False)[-1]
    (loop,) = scans(after([SplitShortAxes()], [L, P], [out]))
    shapes = {node.outputs[0].type.sizes for node in loop.body.applies if node.op.has("pointwise")}
    assert (RAYS, 3) in shapes if wide else shapes == {(RAYS,)}
