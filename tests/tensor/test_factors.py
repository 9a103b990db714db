"""Factors and spectra against NumPy and SciPy, their gradients against finite differences."""

import numpy as np
import pytest
import scipy.linalg

import loopjax
import loopjax.tensor as at
from loopjax.errors import UnsupportedError
from tests.grids import pairwise

RNG = np.random.default_rng(5)


def general(*shape, dtype="float64"):
    real = RNG.normal(size=shape)
    return (real + 1j * RNG.normal(size=shape) if np.dtype(dtype).kind == "c" else real).astype(dtype)


def definite(*shape, dtype="float64"):
    """Positive definite, with values of no meaning in the upper triangle of one and the lower of the other."""
    x = general(*shape, dtype=dtype)
    whole = x @ np.conj(np.swapaxes(x, -1, -2)) + np.eye(shape[-1], dtype=dtype)
    noise = np.triu(general(*shape, dtype=dtype), 1)
    return np.tril(whole) + noise, np.triu(whole) + np.swapaxes(noise, -1, -2)


def both(op, *arrays):
    """The outputs for inputs whose sizes are known, after those for inputs of unknown ones were found equal."""
    known = [at.tensor(array.dtype.name, array.shape) for array in arrays]
    unknown = [at.tensor(array.dtype.name, (None,) * array.ndim) for array in arrays]
    outputs = [list(found) if isinstance(found, (list, tuple)) else [found] for found in (op(*known), op(*unknown))]
    found = loopjax.function([*known, *unknown], outputs[0] + outputs[1])(*arrays, *arrays)
    count = len(outputs[0])
    for output, one, other in zip(outputs[0], found[:count], found[count:], strict=True):
        assert (one.dtype, one.shape) == (output.dtype, output.type.shape)
        assert other.dtype == output.dtype
        np.testing.assert_allclose(one, other, rtol=1e-5)
    return [np.asarray(one) for one in found[:count]]


def close(found, wanted):
    dtype = found.dtype.name
    assert found.dtype == wanted.dtype
    tolerance = 2e-4 if dtype in ("float32", "complex64") else 1e-10
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


DTYPES = ["float32", "float64", "complex64", "complex128"]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_cholesky_reads_one_triangle(batch, dtype):
    below, above = definite(*batch, 4, 4, dtype=dtype)
    (lower,) = both(at.linalg.cholesky, below)
    (upper,) = both(lambda x: at.linalg.cholesky(x, lower=False), above)
    close(lower, np.linalg.cholesky(below))
    close(upper, np.conj(np.swapaxes(np.linalg.cholesky(below), -1, -2)))


def test_cholesky_of_what_is_not_positive_definite_is_nan():
    x = at.dmatrix()
    assert np.isnan(loopjax.function([x], at.linalg.cholesky(x, on_error="nan"))(-np.eye(2))).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [(), (3,)])
def test_eigh(batch, dtype):
    for array, UPLO in zip(definite(*batch, 4, 4, dtype=dtype), "LU", strict=True):
        values, vectors = both(lambda x, UPLO=UPLO: at.linalg.eigh(x, UPLO), array)
        wanted, others = np.linalg.eigh(array, UPLO)
        close(values, wanted)
        projections = [v[..., None, :, :] * np.conj(v)[..., :, None, :] for v in (vectors, others)]
        np.testing.assert_allclose(*projections, rtol=1e-2, atol=1e-3)
        assert vectors.dtype == others.dtype


@pytest.mark.parametrize("dtype", DTYPES)
def test_eigvalsh(dtype):
    for index, lower in enumerate((True, False)):
        a, b = (definite(4, 4, dtype=dtype)[index] for _ in range(2))
        close(
            both(lambda x, lower=lower: at.linalg.eigvalsh(x, lower=lower), a)[0], scipy.linalg.eigvalsh(a, lower=lower)
        )
        (found,) = both(lambda x, y, lower=lower: at.linalg.eigvalsh(x, y, lower), a, b)
        close(found, scipy.linalg.eigvalsh(a, b, lower=lower))


def test_eigvalsh_of_a_batch():
    a, b = definite(3, 4, 4)[0], definite(4, 4)[0]
    (found,) = both(at.linalg.eigvalsh, a, b)
    close(found, np.stack([scipy.linalg.eigvalsh(one, b) for one in a]))


@pairwise(shape=[(4, 4), (4, 2), (2, 4), (3, 4, 2)], dtype=DTYPES, full=[True, False])
def test_svd(shape, dtype, full):
    array = general(*shape, dtype=dtype)
    u, s, v = both(lambda x: at.linalg.svd(x, full_matrices=full), array)
    wanted = np.linalg.svd(array, full_matrices=full)
    assert [one.shape for one in (u, s, v)] == [one.shape for one in wanted]
    close(s, wanted[1])
    count = s.shape[-1]
    close((u[..., :count] * s[..., None, :]) @ v[..., :count, :], array)
    close(both(lambda x: at.linalg.svd(x, compute_uv=False), array)[0], wanted[1])


@pairwise(shape=[(4, 4), (4, 2), (2, 4), (3, 4, 2)], dtype=DTYPES, mode=["reduced", "complete"])
def test_qr(shape, dtype, mode):
    array = general(*shape, dtype=dtype)
    q, r = both(lambda x: at.linalg.qr(x, mode), array)
    assert [q.shape, r.shape] == [one.shape for one in np.linalg.qr(array, mode)]
    close(q @ r, array)
    close(
        np.conj(np.swapaxes(q, -1, -2)) @ q,
        np.broadcast_to(np.eye(q.shape[-1], dtype=dtype), (*shape[:-2], *[q.shape[-1]] * 2)),
    )
    close(np.triu(r), r)
    (alone,) = both(lambda x: at.linalg.qr(x, "r"), array)
    close(alone, np.linalg.qr(array, "r"))


@pytest.mark.parametrize(
    ("op", "array"),
    [
        (at.linalg.cholesky, definite(3, 3)[0]),
        (lambda x: at.linalg.cholesky(x, lower=False), definite(2, 3, 3)[1]),
        (at.linalg.eigh, definite(3, 3)[0]),
        (lambda x: at.linalg.eigh(x, "U"), definite(2, 3, 3)[1]),
        (at.linalg.eigvalsh, definite(3, 3)[0]),
        (lambda x: at.linalg.svd(x), general(3, 3)),
        (lambda x: at.linalg.svd(x, full_matrices=False), general(2, 4, 3)),
        (lambda x: at.linalg.svd(x, compute_uv=False), general(3, 4)),
        (at.linalg.qr, general(4, 3)),
        (at.linalg.qr, general(3, 4)),
        (lambda x: at.linalg.qr(x, "complete"), general(4, 3)),
        (lambda x: at.linalg.qr(x, "r"), general(2, 3, 3)),
    ],
)
def test_gradients(op, array):
    loopjax.verify_grad(op, [array])


def test_gradients_of_generalised_eigenvalues():
    loopjax.verify_grad(at.linalg.eigvalsh, [definite(3, 3)[0], definite(3, 3)[0]])


def test_the_triangle_that_is_not_read_has_no_gradient():
    x = at.dmatrix()
    for op, kept in [(at.linalg.cholesky, np.tril), (lambda x: at.linalg.eigh(x, "U")[0], np.triu)]:
        array = definite(3, 3)[0 if kept is np.tril else 1]
        slope = np.asarray(loopjax.function([x], loopjax.grad((op(x) ** 3).sum(), x))(array))
        np.testing.assert_array_equal(slope, kept(slope))
        assert (slope[kept(np.ones((3, 3))) == 1] != 0).all()


def test_all_singular_vectors_have_no_gradient():
    x = at.dmatrix()
    with pytest.raises(UnsupportedError, match=r"^svd: .*write full_matrices=False \[test_factors\.py:\d+\]"):
        loopjax.function([x], loopjax.grad(at.linalg.svd(x)[0].sum(), x))(general(3, 2))


def test_integers_become_floatx():
    x = at.lmatrix()
    found = loopjax.function([x], at.linalg.cholesky(x))([[4, 2], [2, 5]])
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, [[2, 0], [1, 2]])


@pytest.mark.parametrize(
    ("op", "error", "message"),
    [
        (lambda: at.linalg.cholesky(at.tensor("float64", (2, 3))), ValueError, r"cholesky: square .* shape \(2, 3\)"),
        (lambda: at.linalg.cholesky(at.vector()), ValueError, r"cholesky: matrices are expected, .* shape \(None,\)"),
        (lambda: at.linalg.cholesky(at.matrix(), on_error="raise"), ValueError, "write on_error='nan'"),
        (lambda: at.linalg.cholesky(at.tensor("float16", (2, 2))), TypeError, r"cholesky: .*astype\('float32'\)"),
        (lambda: at.linalg.eigh(at.tensor("float64", (2, 3))), ValueError, "eigh: square"),
        (lambda: at.linalg.eigh(at.matrix(), "X"), ValueError, "UPLO is 'L' or 'U', not 'X'"),
        (
            lambda: at.linalg.eigvalsh(at.tensor("float64", (2, 2)), at.tensor("float64", (3, 3))),
            ValueError,
            r"eigvalsh: square matrices of one size are expected, got shapes \(2, 2\) and \(3, 3\)",
        ),
        (lambda: at.linalg.svd(at.vector()), ValueError, "svd: matrices"),
        (lambda: at.linalg.qr(at.vector()), ValueError, "qr: matrices"),
        (lambda: at.linalg.qr(at.matrix(), "raw"), ValueError, "mode is 'reduced', 'complete' or 'r', not 'raw'"),
    ],
)
def test_errors_name_the_line(op, error, message):
    with pytest.raises(error, match=rf"({message}).*\[test_factors\.py:\d+\](\n|$)"):
        op()


def test_a_shape_that_turns_out_wrong_names_the_line():
    x = at.dmatrix()
    f = loopjax.function([x], at.linalg.eigh(x)[0])
    with pytest.raises(ValueError, match=r"eigh: square .* shape \(2, 3\); reshape it \[test_factors\.py:\d+\](\n|$)"):
        f(np.ones((2, 3)))
