"""Sorting against NumPy."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at

ARRAY = np.array([[3.0, -1.0, 2.0, 2.0], [0.5, np.nan, -np.inf, 7.0]])


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
@pytest.mark.parametrize("axis", [-1, 0, None])
def test_sort_and_argsort(axis, dtype):
    array = np.nan_to_num(ARRAY, neginf=-9).astype(dtype) if dtype in ("int64", "bool") else ARRAY.astype(dtype)
    x = at.tensor(dtype, (None, None))
    values, order = loopjax.function([x], [at.sort(x, axis), x.argsort(axis)])(array)
    assert (values.dtype, order.dtype) == (dtype, "int64")
    np.testing.assert_array_equal(values, np.sort(array, axis))
    np.testing.assert_array_equal(order, np.argsort(array, axis, kind="stable"))


def test_shapes_and_errors():
    x = at.tensor("float32", (2, 3))
    assert x.sort(axis=None).type.shape == (6,)
    assert x.sort(kind="mergesort").type.shape == (2, 3)
    with pytest.raises(ValueError, match=r"axis 2 is outside.*\[test_sort\.py:\d+\]$"):
        x.sort(axis=2)


def test_gradient_of_sort():
    x = at.dvector()
    weights = np.array([1.0, 2.0, 3.0])
    slope = loopjax.grad((at.sort(x) * weights).sum(), x).eval({x: [5.0, -1.0, 2.0]})
    np.testing.assert_array_equal(slope, [3.0, 1.0, 2.0])
