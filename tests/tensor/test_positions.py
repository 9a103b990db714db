"""Ops between positions and arrays, against NumPy."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at


def test_to_one_hot():
    y, n = at.lvector(), at.lscalar()
    found = loopjax.function([y, n], at.to_one_hot(y, n))([2, 0, 3], 3)
    assert found.dtype == "float32"
    np.testing.assert_array_equal(found, [[0, 0, 1], [1, 0, 0], [0, 0, 0]])
    assert at.to_one_hot(y, 5, dtype="int8").type.shape == (None, 5)
    assert at.to_one_hot(y, 5, dtype="int8").dtype == "int8"


@pytest.mark.parametrize("x", [[0, 3, 1, 3], [5], [2, 2]])
@pytest.mark.parametrize("minlength", [None, 4, 9])
def test_bincount(x, minlength):
    v, w = at.lvector(), at.dvector()
    weights = np.arange(1.0, len(x) + 1) / 2
    f = loopjax.function([v, w], [at.bincount(v, minlength=minlength), at.bincount(v, w, minlength)])
    counts, sums = f(x, weights)
    assert (counts.dtype, sums.dtype) == ("int64", "float64")
    np.testing.assert_array_equal(counts, np.bincount(x, minlength=minlength or 0))
    np.testing.assert_array_equal(sums, np.bincount(x, weights, minlength=minlength or 0))


def test_bincount_counts_no_negative_number():
    v = at.lvector()
    np.testing.assert_array_equal(loopjax.function([v], at.bincount(v))([-1, 1]), [0, 1])
    with pytest.raises(IndexError):
        loopjax.function([v], at.bincount(v), check="index")([-1, 1])


@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted(side):
    x, v = np.array([1.0, 2.0, 2.0, 5.0]), np.array([[0.0, 2.0], [5.0, 7.0]])
    a, b = at.dvector(), at.dmatrix()
    found = loopjax.function([a, b], at.searchsorted(a, b, side))(x, v)
    assert found.dtype == "int64"
    np.testing.assert_array_equal(found, np.searchsorted(x, v, side))
    sorter = np.argsort(x[::-1])
    shuffled = loopjax.function([a, b], at.searchsorted(a, b, side, sorter))(x[::-1], v)
    np.testing.assert_array_equal(shuffled, np.searchsorted(x[::-1], v, side, sorter))


@pytest.mark.parametrize("shape", [(3, 3), (4, 2), (2, 5)])
def test_fill_diagonal(shape):
    wanted = np.arange(float(np.prod(shape))).reshape(shape)
    x = at.dmatrix()
    found = loopjax.function([x], at.fill_diagonal(x, -1.0))(wanted)
    wanted[range(min(shape)), range(min(shape))] = -1
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("order", ["C", "F"])
def test_unravel_index(order):
    x = at.dtensor3()
    flat = at.argmax(x)
    array = np.random.default_rng(0).normal(size=(3, 4, 5))
    found = loopjax.function([x], list(at.unravel_index(flat, x.shape, order)))(array)
    assert [int(one) for one in found] == [int(one) for one in np.unravel_index(array.argmax(), (3, 4, 5), order)]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("mode", ["raise", "clip", "wrap"])
def test_ravel_multi_index(mode, order):
    x = at.dtensor3()
    far = 0 if mode == "raise" else 5
    places = [np.array([[0, 2 + far]]), np.array([[3], [1 - far]]), np.array(4)]
    inputs = [at.lrow(), at.lcol(), at.lscalar()]
    flat = at.ravel_multi_index(inputs, x.shape, mode, order)
    found = loopjax.function([x, *inputs], flat)(np.zeros((3, 4, 5)), *places)
    assert found.dtype == "int64"
    np.testing.assert_array_equal(found, np.ravel_multi_index(places, (3, 4, 5), mode, order))
    back = at.ravel_multi_index(at.unravel_index(at.argmax(x), x.shape, order), x.shape, order=order)
    array = np.random.default_rng(1).normal(size=(3, 4, 5))
    assert int(loopjax.function([x], back)(array)) == np.ravel_multi_index(
        np.unravel_index(array.argmax(), (3, 4, 5), order), (3, 4, 5), order=order
    )


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("n", [0, 1, 2])
def test_diff(n, axis):
    array = np.random.default_rng(0).normal(size=(4, 5))
    x = at.dmatrix()
    np.testing.assert_array_equal(loopjax.function([x], at.diff(x, n, axis))(array), np.diff(array, n, axis))


@pytest.mark.parametrize(
    ("op", "error", "message"),
    [
        (lambda: at.to_one_hot(at.vector(), 3), TypeError, "to_one_hot y takes integers"),
        (lambda: at.bincount(at.lmatrix()), ValueError, "bincount takes a vector"),
        (lambda: at.searchsorted(at.matrix(), 1), ValueError, "takes a sorted vector"),
        (lambda: at.searchsorted(at.vector(), 1, "middle"), ValueError, "side is 'left' or 'right'"),
        (lambda: at.fill_diagonal(at.vector(), 1), ValueError, "takes a matrix"),
        (lambda: at.unravel_index(at.lscalar(), (2, 3), "A"), ValueError, "order is 'C' or 'F'"),
        (lambda: at.ravel_multi_index((1, 2), (2, 3), order="A"), ValueError, "order is 'C' or 'F'"),
        (lambda: at.ravel_multi_index((1, 2), (2, 3), "cut"), ValueError, "mode is 'raise', 'clip' or 'wrap'"),
        (lambda: at.ravel_multi_index((1, 2), (2, 3, 4)), ValueError, "3 sizes, got 2"),
        (lambda: at.ravel_multi_index((1, 3), (2, 3)), ValueError, "out of bounds for an axis of size 3"),
        (lambda: at.ravel_multi_index((1.0, 2), (2, 3)), TypeError, "takes integers"),
        (lambda: at.diff(at.vector(), -1), ValueError, "n is an int of at least 0"),
    ],
)
def test_errors_name_the_line(op, error, message):
    with pytest.raises(error, match=rf"({message}).*\[test_positions\.py:\d+\](\n|$)"):
        op()
