"""Reductions and cumulative ops against NumPy."""

import numpy as np
import pytest
import scipy.special

import loopjax
import loopjax.tensor as at

VALUES = np.random.default_rng(0).normal(size=(2, 3, 4)) * 3
AXES = [None, 0, 1, -1, (0, 2), [1], (-1, 0), ()]


def run(op, *arrays):
    inputs = [at.tensor(array.dtype, (None,) * array.ndim) for array in arrays]
    outputs = op(*inputs)
    result = loopjax.function(inputs, outputs)(*arrays)
    assert result.dtype == outputs.dtype
    return np.asarray(result)


def assert_close(found, wanted, ulps=16):
    wanted = np.asarray(wanted)
    assert found.shape == wanted.shape
    tolerance = ulps * np.finfo(found.dtype).eps if found.dtype.kind in "fc" else 0
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def numpy_axis(axis):
    return tuple(axis) if isinstance(axis, list) else axis


REDUCTIONS = [
    ("sum", np.sum),
    ("prod", np.prod),
    ("mean", np.mean),
    ("max", np.max),
    ("min", np.min),
    ("any", np.any),
    ("all", np.all),
    ("var", np.var),
    ("std", np.std),
    ("logsumexp", scipy.special.logsumexp),
]


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(("name", "reference"), REDUCTIONS, ids=[row[0] for row in REDUCTIONS])
def test_reductions_along_axes(name, reference, keepdims):
    axes = [axis for axis in AXES if name != "logsumexp" or axis != ()]  # SciPy takes no empty axis
    x = at.dtensor3()
    outputs = [getattr(at, name)(x, axis=axis, keepdims=keepdims) for axis in axes]
    for axis, found in zip(axes, loopjax.function([x], outputs)(VALUES), strict=True):
        wanted = reference(VALUES, axis=numpy_axis(axis), keepdims=keepdims)
        assert found.dtype == wanted.dtype
        assert_close(np.asarray(found), wanted)


DTYPES = ["float32", "float64", "int32", "int64", "uint8", "bool"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "reference"), REDUCTIONS, ids=[row[0] for row in REDUCTIONS])
def test_dtypes_of_reductions(name, reference, dtype):
    x = np.abs(VALUES[0, :, :2] * 2).astype(dtype)
    found = run(getattr(at, name), x)
    if name in ("any", "all"):
        wanted = "bool"
    elif name in ("max", "min"):
        wanted = dtype
    elif name in ("sum", "prod"):
        wanted = dtype if dtype.startswith("float") else "int64"
    else:
        wanted = dtype if dtype.startswith("float") else "float32"
    assert found.dtype == wanted
    exact = reference(x.astype("float64") if name not in ("any", "all", "max", "min") else x)
    np.testing.assert_allclose(found, exact, rtol=20 * np.finfo(wanted).eps if wanted.startswith("float") else 0)


def test_sum_does_not_wrap_around():
    assert int(run(at.sum, np.full(1000, 127, "int8"))) == 127000
    assert int(run(at.cumsum, np.full(1000, 127, "int8"))[-1]) == 127000


def test_a_reduction_takes_the_dtype_asked_for():
    x = np.full(3, 0.5, "float32")
    found = run(lambda v: v.sum(dtype="float64"), x)
    assert found.dtype == "float64"
    assert float(found) == 1.5
    assert run(lambda v: at.mean(v, dtype="float64"), x).dtype == "float64"
    assert run(lambda v: at.prod(v, 0, "float64", True), x).shape == (1,)


def test_an_accumulator_of_another_dtype():
    x = np.array([2.0**24, 1.0, 1.0], "float32")
    for name, wanted in (("sum", 2.0**24 + 2), ("mean", (2.0**24 + 2) / 3)):
        found = run(lambda v, name=name: getattr(v, name)(acc_dtype="float64"), x)
        assert found.dtype == "float32"
        assert found == np.float32(wanted)
    tiny = np.array([1e-30, 1e-30, 1e30, 1e30], "float32")
    np.testing.assert_allclose(run(lambda v: at.prod(v, acc_dtype="float64"), tiny), 1.0, rtol=1e-6)
    assert run(lambda v: at.sum(v, dtype="float64", acc_dtype="float32"), x).dtype == "float64"


def test_a_reduction_of_an_integer_mean_is_settled_when_built():
    x = at.lvector()
    f = loopjax.function([x], x.mean())
    assert f([1, 2]).dtype == "float32"
    assert float(f([1, 2])) == 1.5


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_argmax(name, axis, keepdims):
    found = run(lambda x: getattr(at, name)(x, axis=axis, keepdims=keepdims), VALUES)
    wanted = getattr(np, name)(VALUES, axis=axis, keepdims=keepdims)
    assert found.dtype == "int64"
    assert_close(found, wanted)


def test_argmax_takes_the_first_of_equal_elements():
    assert int(run(at.argmax, np.array([1, 3, 3, 0]))) == 1
    assert int(run(at.argmax, np.array(7))) == 0


def test_max_and_argmax():
    x = at.dmatrix()
    found = loopjax.function([x], at.max_and_argmax(x, axis=1))(VALUES[0])
    assert_close(np.asarray(found[0]), VALUES[0].max(1))
    assert_close(np.asarray(found[1]), VALUES[0].argmax(1))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "bool"])
@pytest.mark.parametrize("axis", [None, 0, -1])
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
def test_cumulative(name, axis, dtype):
    x = (VALUES * 2).astype(dtype)
    found = run(lambda v: getattr(at, name)(v, axis=axis), x)
    wanted = getattr(np, name)(x.astype("float64" if dtype.startswith("float") else "int64"), axis=axis)
    assert found.dtype == (dtype if dtype.startswith("float") else "int64")
    np.testing.assert_allclose(found, wanted, rtol=1e-5 if dtype == "float32" else 1e-13, atol=1e-5)


@pytest.mark.parametrize("n", [1, 3, 4, 5])
@pytest.mark.parametrize("function", [at.cumsum, at.cumprod])
def test_cumulative_functions_beside_padding_of_one_row(function, n):
    """XLA merges that padding with the windows and gets it wrong, of the argument and of a cotangent."""
    x = at.dvector("x")
    rows = at.stack([x] * n)
    fill = at.zeros((n, 2)) if function is at.cumsum else at.ones((n, 2))
    padded = function(at.concatenate([fill, x[None], fill]), 0)
    f = loopjax.function([x], [padded, loopjax.grad((function(rows, 0)[n // 2] ** 2).sum(), x)])
    value = np.array([2.0, 3.0])
    whole, gradient = f(value)
    start = np.full((n, 2), float(function is at.cumprod))
    np.testing.assert_array_equal(whole, np.concatenate([start, np.tile(value, (n + 1, 1))]))
    power = n // 2 + 1
    expected = 2 * power**2 * value if function is at.cumsum else 2 * power * value ** (2 * power - 1)
    np.testing.assert_allclose(gradient, expected, rtol=1e-13)


@pytest.mark.parametrize("ddof", [0, 1])
def test_ddof(ddof):
    assert_close(run(lambda v: v.var(axis=1, ddof=ddof), VALUES), VALUES.var(axis=1, ddof=ddof))
    assert_close(run(lambda v: v.std(ddof=ddof), VALUES), VALUES.std(ddof=ddof))


@pytest.mark.parametrize("axis", [None, 0, (0, 1)])
@pytest.mark.parametrize("order", [1, 2, None, np.inf])
def test_norm(order, axis):
    x = VALUES[0]
    powers = {1: np.abs(x).sum(axis), np.inf: np.abs(x).max(axis)}
    wanted = powers.get(order, np.sqrt(np.square(x).sum(axis)))
    assert_close(run(lambda v: at.norm(v, order, axis=axis), x), wanted)


def test_complex_reductions():
    z = np.array([1 + 2j, -3j, 2.0])
    for op, reference in [(at.sum, np.sum), (at.mean, np.mean), (at.var, np.var), (at.std, np.std)]:
        found = run(op, z)
        assert found.dtype == reference(z).dtype
        assert_close(found, reference(z))
    assert_close(run(at.norm, z), np.linalg.norm(z))


def test_methods_take_the_same_arguments():
    x = VALUES
    for method in (
        lambda v: v.sum(axis=(0, 1)),
        lambda v: v.mean(0),
        lambda v: v.max(axis=1),
        lambda v: v.min(),
        lambda v: v.prod(axis=2),
        lambda v: v.cumsum(axis=0),
        lambda v: v.argmax(axis=-1),
        lambda v: v.any(),
        lambda v: v.all(axis=0),
    ):
        assert_close(run(method, x), method(x))
    assert_close(run(lambda v: v.ptp(axis=0), x), np.ptp(x, axis=0))
    assert_close(run(lambda v: v.logsumexp(), x), scipy.special.logsumexp(x))
    assert_close(run(lambda v: at.max(v, 0, True), x), x.max(0, keepdims=True))


def test_known_sizes_are_inferred():
    x = at.tensor("float32", (2, 3))
    assert x.sum(axis=0).type.shape == (3,)
    assert x.sum(axis=0, keepdims=True).type.shape == (1, 3)
    assert x.argmax(axis=1).type.shape == (2,)
    assert x.cumsum().type.shape == (6,)


@pytest.mark.parametrize("name", ["max", "min", "argmax", "argmin"])
def test_nothing_has_no_largest_element(name):
    x = at.dvector()
    f = loopjax.function([x], getattr(at, name)(x))
    with pytest.raises(ValueError, match=rf"{name}: .*no elements.*\[test_reduction\.py:\d+\](\n|$)"):
        f(np.zeros(0))
    assert float(loopjax.function([x], x.sum())(np.zeros(0))) == 0.0


@pytest.mark.parametrize(
    ("op", "error", "message"),
    [
        (lambda x: x.sum(axis=2), ValueError, "axis 2 is outside an array of 2 dimensions"),
        (lambda x: x.sum(axis=(0, -2)), ValueError, "names an axis twice"),
        (lambda x: x.sum(axis=0.5), TypeError, "an axis is an int"),
        (lambda x: at.argmax(x, axis=-3), ValueError, "axis -3 is outside"),
        (lambda x: at.cumsum(x, axis=2), ValueError, "axis 2 is outside"),
        (lambda x: at.norm(x, 3), ValueError, "norm takes ord 1, 2 or infinity"),
        (lambda x: at.tensor("float32", (0,)).max(), ValueError, "max: .*no elements"),
    ],
)
def test_errors_name_the_line(op, error, message):
    with pytest.raises(error, match=rf"{message}.*\[test_reduction\.py:\d+\](\n|$)"):
        op(at.matrix())
