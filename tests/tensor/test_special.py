"""Special functions against SciPy."""

import numpy as np
import pytest
import scipy.special

import loopjax
import loopjax.tensor as at

ALL = np.array([-2.5, -0.7, 0.0, 0.4, 1.0, 3.0])
POSITIVE = np.array([0.2, 0.5, 1.0, 2.5, 7.0])
OPEN_UNIT = np.array([0.05, 0.3, 0.5, 0.9])

ROWS = [
    ("erf", scipy.special.erf, (ALL,)),
    ("erfc", scipy.special.erfc, (ALL,)),
    ("erfinv", scipy.special.erfinv, (OPEN_UNIT,)),
    ("gamma", scipy.special.gamma, (POSITIVE,)),
    ("gammaln", scipy.special.gammaln, (POSITIVE,)),
    ("psi", scipy.special.psi, (POSITIVE,)),
    ("i0", scipy.special.i0, (ALL,)),
    ("i1", scipy.special.i1, (ALL,)),
    ("logit", scipy.special.logit, (OPEN_UNIT,)),
    ("log1mexp", lambda x: np.log1p(-np.exp(x.astype("float64"))), (-POSITIVE,)),
    ("gammainc", scipy.special.gammainc, (POSITIVE, POSITIVE[::-1])),
    ("gammaincc", scipy.special.gammaincc, (POSITIVE, POSITIVE[::-1])),
    ("betainc", scipy.special.betainc, (POSITIVE[:4], POSITIVE[1:], OPEN_UNIT)),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "reference", "values"), ROWS, ids=[row[0] for row in ROWS])
def test_special_functions(name, reference, values, dtype):
    arrays = [value.astype(dtype) for value in values]
    inputs = [at.tensor(dtype, (None,)) for _ in arrays]
    found = loopjax.function(inputs, getattr(at, name)(*inputs))(*arrays)
    assert found.dtype == dtype
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(found, reference(*arrays), rtol=100 * eps, atol=30 * eps)


def test_log1mexp_keeps_its_digits_and_its_gradient():
    x = at.dvector()
    values = np.array([-1e-12, -0.5, -0.8, -50.0])
    f = loopjax.function([x], [at.log1mexp(x), loopjax.grad(at.log1mexp(x).sum(), x)])
    found, slope = f(values)
    np.testing.assert_allclose(found[:3], np.log(-np.expm1(values[:3])), rtol=1e-14)
    np.testing.assert_allclose(found[3], -np.exp(-50), rtol=1e-14)
    np.testing.assert_allclose(slope, -1 / np.expm1(-values), rtol=1e-12)
    assert [list(one) for one in f(np.array([0.0, -0.0]))] == [[-np.inf] * 2] * 2


@pytest.mark.parametrize("axis", [-1, 0, 1, None, (0, 1)])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
def test_softmax(axis, dtype):
    x = np.array([[1.0, 2.0, 3.0], [-1000.0, 0.0, 1000.0]]).astype(dtype)
    v = at.tensor(dtype, (None, None))
    found, logs = loopjax.function([v], [at.softmax(v, axis=axis), at.log_softmax(v, axis=axis)])(x)
    wanted = "float32" if dtype == "int64" else dtype
    assert (found.dtype, logs.dtype) == (wanted, wanted)
    eps = np.finfo(wanted).eps
    np.testing.assert_allclose(found, scipy.special.softmax(x.astype(float), axis=axis), rtol=8 * eps, atol=8 * eps)
    np.testing.assert_allclose(logs, scipy.special.log_softmax(x.astype(float), axis=axis), rtol=8 * eps, atol=8 * eps)


def test_softmax_refuses_an_axis_that_is_not_there():
    with pytest.raises(ValueError, match=r"axis 2 is outside.*\[test_special\.py:\d+\](\n|$)"):
        at.softmax(at.matrix(), axis=2)


def test_a_special_function_of_integers_is_of_dtype_floatx():
    assert at.gammaln(at.lscalar()).dtype == "float32"
    with pytest.raises(TypeError, match=r"erf: .*real numbers are expected.*\[test_special\.py:\d+\](\n|$)"):
        at.erf(at.zscalar())


def test_gradients_flow_through_special_functions():
    x = at.dscalar()
    for op, slope in [
        (at.gammaln, scipy.special.psi(1.3)),
        (at.psi, scipy.special.polygamma(1, 1.3)),
        (at.erf, 2 / np.sqrt(np.pi) * np.exp(-(1.3**2))),
    ]:
        np.testing.assert_allclose(loopjax.grad(op(x), x).eval({x: 1.3}), slope, rtol=1e-12)
