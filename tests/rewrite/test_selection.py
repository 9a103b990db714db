"""Sorts of which the first or last elements are read, or a few."""

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.selection import SelectElements
from loopjax.rewrite.target import Target
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
    assert "end=" in text(after([SelectElements()], [X], [read]))
    assert "end=" not in text(after([SelectElements(Target("gpu"))], [X], [read]))


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
    assert "end=" not in text(after([SelectElements()], [X], [read]))


def chosen(read, x, target=None):
    """The positions that are found by bisection, for each sort."""
    graph = after([SelectElements(target or Target())], [x], [read])
    return [node.op.arguments.get("positions") for node in graph.applies if node.op.named("sort")]


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint32", "uint64"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_order_statistics(dtype, axis):
    x = at.tensor(dtype, (None, None, None))
    n, ordered = x.shape[axis], at.sort(x, axis=axis)
    key = [slice(None)] * axis
    reads = [ordered[(*key, n // 2)], ordered[(*key, slice(n // 2 - 1, n // 2 + 1))], ordered[(*key, -3)]]
    f = loopjax.function([x], reads)
    shape = [3, 5, 2]
    shape[axis] = 3001
    kinds = VALUES if "float" in dtype else np.array([0, 1, 7, np.iinfo(dtype).min, np.iinfo(dtype).max, 2], dtype)
    drawn = [RNG.normal(size=shape) * 1e3] if "float" in dtype else []
    for array in [one.astype(dtype) for one in (RNG.choice(kinds, shape), *drawn)]:
        right = np.moveaxis(np.sort(array, axis), axis, 0)
        middle, both, last = f(array)
        np.testing.assert_array_equal(middle, right[1500])
        np.testing.assert_array_equal(np.moveaxis(both, axis, 0), right[1499:1501])
        np.testing.assert_array_equal(last, right[-3])
    (sort,) = [node for node in f.stages[-1].programs[-1].graph.applies if node.op.named("sort")]
    assert sort.op.arguments["positions"] == (1499, 1500, 2998)


def test_a_median_in_a_loop_and_in_a_map():
    x, width = at.fvector("x"), 31
    smooth, _ = loopjax.scan(lambda h: 0.9 * h + 0.1 * at.sort(h)[h.shape[0] // 2], outputs_info=x, n_steps=4)
    filtered, _ = loopjax.map(lambda i: at.sort(x[i : i + width])[width // 2], at.arange(x.shape[0] - width + 1))
    f = loopjax.function([x], [smooth[-1], filtered])
    value = RNG.normal(size=600).astype("float32")
    value[::50] = np.nan
    last = value
    for _ in range(4):
        last = np.float32(0.9) * last + np.float32(0.1) * np.sort(last)[300]
    found = f(value)
    np.testing.assert_allclose(found[0], last, rtol=1e-5, atol=1e-7)
    windows = np.lib.stride_tricks.sliding_window_view(value, width)
    np.testing.assert_array_equal(found[1], np.sort(windows, axis=1)[:, width // 2])
    assert text(f.stages[-1].programs[-1].graph).count("positions=") == 2


LONG = at.tensor("float64", shape=(2000,), name="long")


def test_few_elements_are_selected():
    ordered = at.sort(LONG)
    assert chosen(ordered[7] + ordered[-7], LONG) == [(7, 1993)]
    assert chosen(ordered[at.constant(5)], LONG) == [(5,)]
    for read in (ordered[:40:20].sum(), ordered[:20].sum(), ordered[7] + ordered.sum(), at.argsort(LONG)[7]):
        assert set(chosen(read, LONG)) <= {None}
    assert chosen(ordered[7], LONG, Target("gpu")) == [None]
    assert chosen(at.sort(LONG[:100])[7], LONG) == [None]


def test_a_derivative_knows_the_place():
    slope = loopjax.function([LONG], loopjax.grad(at.sort(LONG)[1000], LONG))
    value = RNG.normal(size=2000)
    np.testing.assert_array_equal(slope(value), value == np.sort(value)[1000])
    jacobian = jax.grad(loopjax.to_jax([LONG], at.sort(LONG)[1000]))(value)
    np.testing.assert_array_equal(jacobian, value == np.sort(value)[1000])


def test_subnormals_and_signs_of_zeros_are_kept():
    middle = loopjax.function([LONG], at.sort(LONG)[1000])
    tiny = np.arange(1, 2001) * np.finfo("float64").smallest_subnormal
    assert float(middle(tiny)) == tiny[1000] > 0
    assert np.signbit(float(middle(np.full(2000, -0.0))))
