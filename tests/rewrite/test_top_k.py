"""Sorts of which a slice reads the first or last elements."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.target import Target
from loopjax.rewrite.top_k import SelectTop
from tests.rewrite.sized import after, text

RNG = np.random.default_rng(12)
VALUES = np.array([0.0, -0.0, np.nan, np.copysign(np.nan, -1), np.inf, -np.inf, 1, 1, 2, -1, 3], "float32")


def test_ties_zeros_infinities_and_nan_are_where_a_stable_sort_puts_them():
    x = at.tensor("float32", (None, None))
    reads = [at.argsort(x)[:, :8], at.argsort(x)[:, -8:], at.sort(x)[:, :5], at.sort(x)[:, -5:]]
    f = loopjax.function([x], reads)
    array = RNG.choice(VALUES, (200, 17))
    order = np.argsort(array, axis=1, kind="stable")
    values = np.take_along_axis(array, order, 1)
    for found, wanted in zip(f(array), [order[:, :8], order[:, -8:], values[:, :5], values[:, -5:]], strict=True):
        np.testing.assert_array_equal(found, wanted)
    assert [node.op.arguments["end"] for node in f.stages[-1].programs[-1].graph.applies] == [8, -8, 5, -5]


def test_gradient_of_the_greatest():
    x = at.fvector()
    slopes = loopjax.grad((at.sort(x)[-2:] * np.array([2, 3], "float32")).sum(), x).eval({x: [5.0, -1.0, 9.0, 0, 1]})
    np.testing.assert_array_equal(slopes, [2, 0, 3, 0, 0])


X = at.tensor("float32", shape=(4, 10), name="x")


@pytest.mark.parametrize("read", [at.argsort(X)[:, :5], at.sort(X)[:, -1:]])
def test_at_most_half_of_the_elements_are_selected(read):
    assert "end=" in text(after([SelectTop()], [X], [read]))
    assert "end=" not in text(after([SelectTop(Target("gpu"))], [X], [read]))


@pytest.mark.parametrize(
    "read",
    [
        at.argsort(X)[:, :6],
        at.argsort(X)[:, 1:3],
        at.argsort(X)[:, :4:2],
        at.argsort(X)[1:, :3],
        at.argsort(X)[:, 0],
        at.argsort(X, axis=0)[:2],
        at.argsort(at.cast(X, "float64"))[:, :2],
    ],
)
def test_other_reads_sort(read):
    assert "end=" not in text(after([SelectTop()], [X], [read]))
