"""Dims: lengths as canonical integer expressions, and their bounds."""

import itertools
import operator

import numpy as np
import pytest

import loopjax.tensor as at
from loopjax.ir.dim import Bounds, Dim, Interval, constant_bound, emitted, maximum, minimum
from loopjax.ir.lengths import host_values

K, N, M = at.lscalar("k"), at.lscalar("n"), at.lscalar("m")
X = at.dvector("x")


INTEGERS = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "floor_div": operator.floordiv,
    "minimum": min,
    "maximum": max,
}


def evaluated(dim, values):
    """The value of a dim by those of its variables."""
    choose = lambda sign, negative, other: negative if sign < 0 else other  # noqa: E731
    return emitted(dim, lambda name, *operands: INTEGERS[name](*operands), choose, values.__getitem__)


def size(window):
    """The size of a slice whose start is a value."""
    return window.owner.inputs[-1]


CLIPPED = size(X[K:N])

EQUAL = [
    (N - (N - K), K),
    ((K + 1) * 3 - K * 3, at.constant(3)),
    ((K + 1) * N - K * N, N),
    (at.minimum(K, N), at.minimum(N, K)),
    (at.minimum(at.minimum(K, 3), N), at.minimum(at.minimum(N, K), 3)),
    (at.minimum(N + 1, N + 4), N + 1),
    (at.maximum(K, 0) + 2 - at.maximum(0, K), at.constant(2)),
    ((4 * K + 8) // 4, K + 2),
    (CLIPPED, CLIPPED + K - K),
    (at.cast(K, "int32") + N, N + K),
    (K * N * M + M * K, K * M + M * (N * K)),
    (at.switch(K < N, K, N), at.minimum(K, N)),
    (at.switch(K + N < 0, 0, K + N), at.maximum(K + N, 0)),
    (at.switch(K < N, N, K), at.maximum(K, N)),
]

DIFFERENT = [
    (K, N),
    (K + 1, K),
    (at.minimum(K, N), at.maximum(K, N)),
    (K // 2, K // 3),
    (at.cast(K, "int8") + 1, K + 1),
    (at.switch(K < 0, N, M), at.switch(K < 1, N, M)),
    (at.switch(at.dscalar() < N, K, N), at.minimum(K, N)),
]


@pytest.mark.parametrize(("one", "other"), EQUAL, ids=range(len(EQUAL)))
def test_equal_lengths_are_the_same_dim(one, other):
    assert Dim.of(one) == Dim.of(other)


def test_products_are_emitted_in_their_order():
    """The order of addresses differs between processes, and a compiled program's key in JAX's cache with it."""
    for _ in range(20):
        factors = [at.lscalar() for _ in range(4)]
        dim = Dim.of(factors[0] * factors[1] * (factors[2] + factors[3]))
        names = dict(zip(factors, "abcd", strict=True))
        text = emitted(dim, lambda op, one, other: f"{op} {one} {other}", None, names.__getitem__)
        assert text == "add mul mul a b c mul mul a b d"


@pytest.mark.parametrize(("one", "other"), DIFFERENT, ids=range(len(DIFFERENT)))
def test_others_are_not(one, other):
    assert Dim.of(one) != Dim.of(other)


EXPRESSIONS = [
    K + N - M,
    at.minimum(K + 3, N) - at.minimum(K, N),
    at.maximum(K - 2, 0) - at.minimum(N, M),
    K + 1 - at.maximum(K - 2, 0),
    at.minimum(K, 3) - at.maximum(N, K),
    (K + N) // 3 - K // 2,
    at.switch(K - 2 < 0, K + N, at.minimum(K, N)),
    at.switch(K < M, K * 2, N),
    at.maximum(at.minimum(K, M) - at.minimum(N, M), 0) * 2,
    K * N - M,
    N - K * M,
    2 * K * N * M - K,
]


@pytest.mark.parametrize("length", EXPRESSIONS, ids=range(len(EXPRESSIONS)))
def test_bounds_hold_and_values_are_those_of_the_nodes(length):
    ends = {K: (-2, 4), N: (0, 5), M: (1, 3)}
    interval = Interval(lambda leaf: Bounds(*map(Dim.of, ends[leaf])), lambda dim: dim.number >= 0)
    least, greatest = interval.least(Dim.of(length)), interval.greatest(Dim.of(length))
    assert least is not None
    assert greatest is not None
    values = []
    for k, n, m in itertools.product(*(range(low, high + 1) for low, high in ends.values())):
        (value,) = host_values([length], {K: np.int64(k), N: np.int64(n), M: np.int64(m)}, {})
        assert value == evaluated(Dim.of(length), {K: k, N: n, M: m})
        values.append(int(value))
    assert least.number <= min(values)
    assert max(values) <= greatest.number


def test_bounds_that_cancel_are_tight():
    unknown = Interval(lambda leaf: Bounds(None, None), lambda dim: False)
    assert unknown.greatest(Dim.of(at.minimum(K + 3, N) - K)) == Dim.of(3)
    assert unknown.least(Dim.of(at.maximum(K, 5) - K)) == Dim.of(0)
    assert unknown.greatest(Dim.of(K)) is None


def test_a_slice_of_constant_width_has_at_most_that():
    assert constant_bound(size(X[K : K + 3])) == 3
    assert constant_bound(size(X[K * 4 : (K + 1) * 4])) == 4
    assert constant_bound(size(X[K : K - 1])) is None
    assert constant_bound(at.minimum(K, 10)) == 10


def test_extremes_of_one_dim_are_it():
    assert minimum(Dim.of(K)) == Dim.of(K)
    assert maximum(Dim.of(K), Dim.of(K)) == Dim.of(K)
