"""Functions of matrices against NumPy and SciPy, their gradients against finite differences."""

import numpy as np
import pytest
import scipy.linalg

import loopjax
import loopjax.tensor as at
from tests.grids import pairwise

RNG = np.random.default_rng(7)
DTYPES = ["float32", "float64", "complex64", "complex128"]


def general(*shape, dtype="float64"):
    real = RNG.normal(size=shape)
    return (real + 1j * RNG.normal(size=shape) if np.dtype(dtype).kind == "c" else real).astype(dtype)


def run(op, array, known=True):
    x = at.tensor(array.dtype.name, array.shape if known else (None,) * array.ndim)
    outputs = op(x)
    listed = list(outputs) if isinstance(outputs, tuple) else [outputs]
    found = loopjax.function([x], listed)(array)
    for one, output in zip(found, listed, strict=True):
        assert one.dtype == output.dtype
        assert not known or one.shape == output.type.shape
    return [np.asarray(one) for one in found]


def close(found, wanted):
    tolerance = 5e-4 if found.dtype.name in ("float32", "complex64") else 1e-9
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


@pairwise(size=[1, 2, 3, 5], dtype=DTYPES, batch=[(), (2, 3)])
def test_determinants(batch, size, dtype):
    array = general(*batch, size, size, dtype=dtype)
    close(run(at.linalg.det, array)[0], np.asarray(np.linalg.det(array)))
    sign, log = run(at.linalg.slogdet, array, known=False)
    close(sign, np.asarray(np.linalg.slogdet(array)[0]))
    close(log, np.asarray(np.linalg.slogdet(array)[1]))


def test_slogdet_of_what_overflows():
    sign, log = run(at.linalg.slogdet, -1e200 * np.eye(3))
    assert (float(sign), float(log)) == (-1, pytest.approx(3 * np.log(1e200)))


@pairwise(dtype=DTYPES, batch=[(), (3,)], scale=[0.1, 3.0])
def test_expm(batch, scale, dtype):
    array = (scale * general(*batch, 3, 3, dtype=dtype)).astype(dtype)
    wanted = scipy.linalg.expm(array.astype("complex128" if np.dtype(dtype).kind == "c" else "float64"))
    (found,) = run(at.linalg.expm, array)
    assert found.dtype == dtype
    tolerance = 1e-3 if found.dtype.name in ("float32", "complex64") else 1e-10
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max())


@pytest.mark.parametrize("n", [-3, -1, 0, 1, 2, 3, 10])
@pytest.mark.parametrize("batch", [(), (3,)])
def test_matrix_power(batch, n):
    array = general(*batch, 3, 3) + 3 * np.eye(3)
    np.testing.assert_allclose(
        run(lambda x: at.linalg.matrix_power(x, n), array)[0], np.linalg.matrix_power(array, n), rtol=1e-9, atol=1e-9
    )


def test_powers_of_integers_are_integers():
    array = np.array([[1, 1], [1, 0]], "int64")
    (found,) = run(lambda x: at.linalg.matrix_power(x, np.int64(10)), array)
    assert found.dtype == "int64"
    np.testing.assert_array_equal(found, [[89, 55], [55, 34]])
    assert at.linalg.matrix_power(at.lmatrix(), -1).dtype == "float32"


ORDERS = [None, "fro", "nuc", np.inf, -np.inf, 1, -1, 2, -2]


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("ord", ORDERS)
def test_norms_of_matrices(ord, dtype):
    array = general(3, 4, dtype=dtype)
    close(run(lambda x: at.linalg.norm(x, ord), array)[0], np.asarray(np.linalg.norm(array, ord)))
    batch = general(2, 3, 4, dtype=dtype)
    for axes in ((1, 2), (-1, 0)):
        for keepdims in (False, True):
            (found,) = run(lambda x, axes=axes, keepdims=keepdims: at.linalg.norm(x, ord, axes, keepdims), batch)
            close(found, np.linalg.norm(batch, ord, axes, keepdims))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize("ord", [None, np.inf, -np.inf, 0, 1, 2, 3, 0.5, -1])
def test_norms_of_vectors(ord, dtype):
    array = general(4, dtype=dtype)
    close(run(lambda x: at.linalg.norm(x, ord), array)[0], np.asarray(np.linalg.norm(array, ord)))
    rows = general(2, 4, dtype=dtype)
    close(run(lambda x: at.linalg.norm(x, ord, axis=1), rows, known=False)[0], np.linalg.norm(rows, ord, axis=1))


def test_infinity_as_a_word():
    x = general(3, 4)
    close(run(lambda x: at.nlinalg.norm(x, "inf"), x)[0], np.asarray(np.linalg.norm(x, np.inf)))
    close(run(lambda x: at.nlinalg.norm(x[0], "-inf"), x)[0], np.asarray(np.linalg.norm(x[0], -np.inf)))


@pytest.mark.parametrize(
    ("op", "array"),
    [
        (at.linalg.det, general(3, 3)),
        (at.linalg.det, general(2, 4, 4)),
        (lambda x: at.linalg.slogdet(x)[1], general(2, 3, 3)),
        (at.linalg.expm, general(3, 3)),
        (at.linalg.expm, 3 * general(2, 3, 3)),
        (lambda x: at.linalg.matrix_power(x, 5), general(2, 3, 3) / 2),
        (lambda x: at.linalg.matrix_power(x, -2), general(3, 3) + 4 * np.eye(3)),
        *((lambda x, ord=ord: at.linalg.norm(x, ord), general(3, 4)) for ord in ORDERS),
        *((lambda x, ord=ord: at.linalg.norm(x, ord), general(4)) for ord in (None, np.inf, -np.inf, 1, 3)),
    ],
)
def test_gradients(op, array):
    loopjax.verify_grad(op, [array])


def test_the_exponential_in_a_body():
    a = at.dmatrix()
    states, _ = loopjax.scan(
        lambda x, a: at.dot(at.linalg.expm(a), x),
        outputs_info=at.ones((2,), dtype="float64"),
        non_sequences=a,
        n_steps=4,
    )
    array = general(2, 2)
    wanted = [scipy.linalg.expm(step * array) @ np.ones(2) for step in range(1, 5)]
    np.testing.assert_allclose(loopjax.function([a], states)(array), wanted, rtol=1e-10)


def test_integers_become_floatx():
    x = at.lmatrix()
    found = loopjax.function([x], at.linalg.det(x))([[4, 2], [2, 5]])
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, 16)


WIDE = at.tensor("float64", (2, 3))


@pytest.mark.parametrize(
    ("op", "error", "message"),
    [
        (lambda: at.linalg.det(WIDE), ValueError, r"det: square matrices are expected, got .* shape \(2, 3\)"),
        (lambda: at.linalg.det(WIDE[0]), ValueError, r"det: matrices are expected, got .* shape \(3,\)"),
        (lambda: at.linalg.slogdet(WIDE), ValueError, "slogdet: square"),
        (lambda: at.linalg.expm(WIDE), ValueError, "expm: square"),
        (lambda: at.linalg.expm(at.tensor("float16", (2, 2))), TypeError, "expm: expected matrices of 32 or 64 bits"),
        (lambda: at.linalg.matrix_power(WIDE, 2), ValueError, "matrix_power: square"),
        (lambda: at.linalg.matrix_power(WIDE, 0.5), TypeError, "matrix_power takes an int, got 0.5"),
        (lambda: at.linalg.matrix_power(WIDE, at.lscalar()), TypeError, "use scan for a power that is a value"),
        (lambda: at.linalg.norm(at.tensor3()), ValueError, "norm is along one or two axes"),
        (lambda: at.linalg.norm(at.scalar()), ValueError, "norm is along one or two axes"),
        (lambda: at.linalg.norm(WIDE, axis=(0, 0)), ValueError, "norm is along one or two axes"),
        (lambda: at.linalg.norm(WIDE, 3), ValueError, "norm of matrices takes no ord=3"),
        (lambda: at.linalg.norm(WIDE, "fro", axis=0), ValueError, "norm of vectors takes no ord='fro'"),
    ],
)
def test_errors_name_the_line(op, error, message):
    with pytest.raises(error, match=rf"({message}).*\[test_matrix_functions\.py:\d+\](\n|$)"):
        op()
