"""Theano's ``RandomStreams`` against ``RandomStream``."""

import numpy as np
import pytest
from scipy import stats

import loopjax as theano
import loopjax.tensor as T
from loopjax.random import RandomStream
from loopjax.sandbox.rng_mrg import MRG_RandomStreams
from loopjax.tensor.shared_randomstreams import RandomStreams


def values(*drawn):
    return [np.asarray(one) for one in theano.function([], list(drawn))()]


ROWS = [
    (lambda s: s.uniform((2, 3), -1.0, 4.0), lambda s: s.uniform(-1.0, 4.0, size=(2, 3))),
    (lambda s: s.uniform(low=[0.0, 0.5]), lambda s: s.uniform([0.0, 0.5], 1.0)),
    (lambda s: s.normal((4,), avg=2.0, std=0.5), lambda s: s.normal(2.0, 0.5, size=4)),
    (lambda s: s.normal((4,), dtype="float64"), lambda s: s.normal(size=4, dtype="float64")),
    (lambda s: s.binomial((5,), n=7, p=0.3), lambda s: s.binomial(7, 0.3, size=5)),
    (lambda s: s.binomial((5,), prob=0.3, dtype="floatX"), lambda s: s.binomial(1, 0.3, size=5).astype("float32")),
    (lambda s: s.poisson((5,), lam=3.0), lambda s: s.poisson(3.0, size=5)),
    (lambda s: s.random_integers((50,), low=1, high=3), lambda s: s.integers(1, 4, size=50)),
    (lambda s: s.multinomial((3,), 5, [0.2, 0.8]), lambda s: s.multinomial(5, [0.2, 0.8], size=3)),
    (lambda s: s.multinomial(pvals=np.eye(3)), lambda s: s.multinomial(1, np.eye(3))),
    (lambda s: s.choice((4,), a=[1.5, 2.5], p=[0.3, 0.7]), lambda s: s.choice([1.5, 2.5], 4, p=[0.3, 0.7])),
    (lambda s: s.permutation(n=6), lambda s: s.permutation(6)),
]


@pytest.mark.parametrize("row", range(len(ROWS)))
def test_draws_are_those_of_random_stream(row):
    theirs, ours = ROWS[row]
    one, other = values(theirs(RandomStreams(seed=5)), ours(RandomStream(5)))
    assert one.dtype == other.dtype
    np.testing.assert_array_equal(one, other)


def test_defaults_are_theanos():
    stream = RandomStreams(1)
    uniform, coins, integers, pairs = values(
        stream.uniform((200,)), stream.binomial((200,)), stream.random_integers((200,)), stream.multinomial((200,))
    )
    assert ((uniform >= 0) & (uniform < 1)).all()
    assert coins.dtype == integers.dtype == pairs.dtype == "int64"
    assert set(coins) == set(integers) == {0, 1}
    assert pairs.shape == (200, 2)
    assert (pairs.sum(1) == 1).all()


def test_each_call_draws_afresh_and_seed_starts_again():
    stream = RandomStreams(seed=234)
    f = theano.function([], stream.uniform((2, 2)))
    g = theano.function([], stream.normal((2, 2)), no_default_updates=True)
    first = np.asarray(f())
    assert (np.asarray(f()) != first).all()
    np.testing.assert_array_equal(g(), g())
    stream.seed(234)
    np.testing.assert_array_equal(f(), first)
    assert len(stream.updates()) == len(stream.state_updates) == 2


def test_draws_in_a_loop():
    stream = RandomStreams(seed=3)
    walk, updates = theano.scan(lambda x: x + stream.normal((2,)), outputs_info=T.zeros(2), n_steps=3)
    f = theano.function([], walk, updates=updates)
    assert (np.asarray(f()) != np.asarray(f())).all()


def test_a_symbolic_size_with_ndim():
    x, size = T.dmatrix(), T.lvector()
    stream = RandomStreams(1)
    f = theano.function([x, size], [stream.uniform(x.shape), stream.normal(size, ndim=2)])
    assert [one.shape for one in f(np.zeros((2, 3)), [4, 5])] == [(2, 3), (4, 5)]
    with pytest.raises(ValueError, match=r"size has 1 numbers, where ndim=2.*\[test_size_first\.py:\d+\](\n|$)"):
        stream.uniform((3,), ndim=2)


def test_permutations():
    (found,) = values(RandomStreams(2).permutation((300, 2), n=3))
    assert found.dtype == "int64"
    assert found.shape == (300, 2, 3)
    np.testing.assert_array_equal(np.sort(found), np.broadcast_to([0, 1, 2], found.shape))
    orders = np.unique(found.reshape(-1, 3), axis=0, return_counts=True)[1]
    assert len(orders) == 6
    assert stats.chisquare(orders).pvalue > 0.005


@pytest.mark.parametrize("shape", [(8,), (30, 8), (2, 15, 8)])
def test_shuffle_row_elements(shape):
    x = T.tensor("float64", (None,) * len(shape))
    array = np.arange(float(np.prod(shape))).reshape(shape)
    found = np.asarray(theano.function([x], RandomStreams(2).shuffle_row_elements(x))(array))
    np.testing.assert_array_equal(np.sort(found), array)
    assert len(np.unique(found.reshape(-1, 8) % 8, axis=0)) == array.size // 8


def test_mrg_has_a_seed_of_its_own():
    one, other = values(MRG_RandomStreams().uniform((3,), nstreams=4), RandomStreams(12345).uniform((3,)))
    np.testing.assert_array_equal(one, other)
