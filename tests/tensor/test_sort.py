"""Sorting against NumPy."""

import jax
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
    with pytest.raises(ValueError, match=r"axis 2 is outside.*\[test_sort\.py:\d+\](\n|$)"):
        x.sort(axis=2)


def test_gradient_of_sort():
    x = at.dvector()
    weights = np.array([1.0, 2.0, 3.0])
    slope = loopjax.grad((at.sort(x) * weights).sum(), x).eval({x: [5.0, -1.0, 2.0]})
    np.testing.assert_array_equal(slope, [3.0, 1.0, 2.0])


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16", "int32", "uint8"])
@pytest.mark.parametrize(
    ("shape", "axis"), [((16,), 0), ((17,), 0), ((5, 9), 0), ((3, 4, 6), 1), ((4, 1), 1), ((0, 3), 1)]
)
def test_few_and_many_elements_are_sorted_alike(dtype, shape, axis):
    values = [0, -0.0, np.nan, np.inf, -np.inf, 1, 1, 2, -1] if np.dtype(dtype).kind == "f" else [0, 1, 2, 5, 9, 255]
    array = np.random.default_rng(4).choice(values, shape).astype(dtype)
    x = at.tensor(dtype, (None,) * len(shape))
    found, order = loopjax.function([x], [at.sort(x, axis), at.argsort(x, axis)])(array)
    np.testing.assert_array_equal(found, np.sort(array, axis, kind="stable"))
    np.testing.assert_array_equal(order, np.argsort(array, axis, kind="stable"))


def test_few_elements_are_sorted_without_a_routine():
    x = at.dvector()
    found, _ = loopjax.scan(lambda x: at.sort(x - x[::-1]), outputs_info=x, n_steps=3)
    f = loopjax.function([x], found[-1])
    with jax.enable_x64(True):
        few, many = (jax.jit(f).lower(np.arange(size)).as_text() for size in (8.0, 17.0))
    assert "stablehlo.sort" not in few
    assert "stablehlo.sort" in many
