"""XLA programs that functions compile for many lengths, by JAX's own events."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.random import RandomStream
from tests.compilations import Counting

LENGTHS = (3, 4, 5, 9, 12, 16, 8)


def noise():
    n, stream = at.lscalar("n"), RandomStream(3)
    start = at.zeros(n, dtype="float64")
    out, updates = loopjax.scan(lambda h: 0.9 * h + stream.normal(size=(n,)), outputs_info=start, n_steps=4)
    return [n], [out[-1]], updates, lambda k: (k,)


def ragged():
    x, lengths, weights = at.dtensor3("x"), at.lvector("lengths"), at.dmatrix("weights")
    start = at.zeros((x.shape[1], 2), dtype="float64")
    out, _ = loopjax.scan(lambda x, h, w: at.tanh(x @ w + h), x, start, weights, lengths=lengths)
    cost = (out[-1] ** 2).sum()

    def given(k):
        return np.ones((k, 3, 2)), np.array([k, 1, k - 1]), np.full((2, 2), 0.1)

    return [x, lengths, weights], [cost, loopjax.grad(cost, weights)], {}, given


def attention():
    x, weights = at.dmatrix("x"), at.dmatrix("weights")
    scores = at.dot(at.dot(x, weights), x.T)
    causal = at.tril(at.ones((x.shape[0], x.shape[0])))
    out = at.dot(at.nnet.softmax(at.switch(causal > 0, scores, -1e9)), x)
    given = lambda k: (np.linspace(-1, 1, 2 * k).reshape(k, 2), np.eye(2))  # noqa: E731
    return [x, weights], [out, loopjax.grad((out**2).sum(), weights)], {}, given


@pytest.mark.parametrize("make", [noise, ragged, attention])
def test_many_lengths(make):
    inputs, outputs, updates, given = make()
    f = Counting(loopjax.function(inputs, outputs, updates=updates))
    for k in LENGTHS:
        assert np.isfinite(f(*given(k))[0]).all()
    assert f.count <= 4
    exact = loopjax.function(inputs, outputs, updates=updates, lengths="exact")
    keys = {key: key.get_value() for key in updates}
    found = f(*given(11))
    for key, value in keys.items():
        key.set_value(value)
    for one, other in zip(found, exact(*given(11)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_results_that_are_cut_compile_nothing(dtype):
    n, calls = at.lscalar("n"), loopjax.shared(0)
    rows = at.ones((n, 2), dtype=dtype) * at.arange(n).astype(dtype).dimshuffle(0, "x")
    f = Counting(loopjax.function([n], [rows, rows.sum(1)], updates={calls: calls + 1}))
    for k in range(1, 33):
        found = f(k)
        assert [one.shape for one in found] == [(k, 2), (k,)]
        np.testing.assert_array_equal(found[1], 2 * np.arange(k, dtype=dtype))
    assert f.count <= 5
    assert calls.get_value() == 32
