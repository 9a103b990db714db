"""Linear systems and inverses against NumPy and SciPy, their gradients against finite differences."""

import numpy as np
import pytest
import scipy.linalg

import loopjax
import loopjax.tensor as at
from tests.grids import pairwise

RNG = np.random.default_rng(6)
DTYPES = ["float32", "float64", "complex64", "complex128"]


def general(*shape, dtype="float64"):
    real = RNG.normal(size=shape)
    return (real + 1j * RNG.normal(size=shape) if np.dtype(dtype).kind == "c" else real).astype(dtype)


def regular(*shape, dtype="float64"):
    """Square matrices that are far from singular, and so are their triangles."""
    return general(*shape, dtype=dtype) + 5 * np.eye(shape[-1], dtype=dtype)


def run(op, *arrays, known=True):
    inputs = [at.tensor(array.dtype.name, array.shape if known else (None,) * array.ndim) for array in arrays]
    output = op(*inputs)
    found = loopjax.function(inputs, output)(*arrays)
    assert found.dtype == output.dtype
    if known:
        assert found.shape == output.type.shape
    return np.asarray(found)


def close(found, wanted):
    tolerance = 2e-4 if found.dtype.name in ("float32", "complex64") else 1e-10
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


SHAPES = [((4, 4), (4,)), ((4, 4), (4, 2)), ((3, 4, 4), (3, 4, 2)), ((2, 3, 4, 4), (3, 4, 1)), ((4, 4), (3, 4, 4))]
"""Each a system whose batch needs no stretching of a size of 1."""


@pairwise(shapes=SHAPES, dtype=DTYPES, known=[True, False])
def test_solve(shapes, dtype, known):
    left, right = shapes
    a, b = regular(*left, dtype=dtype), general(*right, dtype=dtype)
    close(run(at.linalg.solve, a, b, known=known), np.linalg.solve(a, b))


def test_solve_stretches_sizes_known_to_be_one_and_a_vector():
    a, b = regular(3, 4, 4), general(1, 4, 2)
    close(run(at.linalg.solve, a, b), np.linalg.solve(a, b))
    close(run(at.linalg.solve, a, b[0, :, 0]), np.linalg.solve(a, b[0, :, 0]))
    with pytest.raises(ValueError, match=r"\[test_systems\.py:\d+\](\n|$)"):
        run(at.linalg.solve, a, b, known=False)


@pairwise(shapes=SHAPES[:3], assume_a=["sym", "her", "pos"], lower=[False, True], dtype=["float32", "complex128"])
def test_solve_reads_one_triangle(shapes, assume_a, lower, dtype):
    left, right = shapes
    half = regular(*left, dtype=dtype)
    whole = half @ np.conj(np.swapaxes(half, -1, -2))
    if assume_a == "sym":
        whole = whole.real.astype(dtype)
    a = np.tril(whole) if lower else np.triu(whole)
    b = general(*right, dtype=dtype)
    close(run(lambda x, y: at.linalg.solve(x, y, assume_a, lower), a, b), np.linalg.solve(whole, b))
    if assume_a == "sym" and not lower:
        close(run(at.linalg.solve_symmetric, a, b), np.linalg.solve(whole, b))


@pairwise(trans=[0, 1, 2, "N", "T", "C"], lower=[False, True], unit=[False, True], dtype=["float32", "complex128"])
def test_solve_triangular(trans, lower, unit, dtype):
    a, b = regular(4, 4, dtype=dtype), general(4, 2, dtype=dtype)
    for right in (b, b[:, 0]):
        found = run(lambda x, y: at.linalg.solve_triangular(x, y, trans, lower, unit), a, right)
        close(found, scipy.linalg.solve_triangular(a, right, trans, lower, unit))


def test_triangles_by_name_and_in_batches():
    a, b = regular(3, 4, 4), general(3, 4, 2)
    close(run(at.linalg.solve_lower_triangular, a, b), np.linalg.solve(np.tril(a), b))
    close(run(at.linalg.solve_upper_triangular, a, b), np.linalg.solve(np.triu(a), b))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lower", [False, True])
def test_cho_solve(lower, dtype):
    half, b = regular(3, 4, 4, dtype=dtype), general(3, 4, 2, dtype=dtype)
    whole = half @ np.conj(np.swapaxes(half, -1, -2))
    found = run(lambda x, y: at.linalg.cho_solve((at.linalg.cholesky(x, lower), lower), y), whole, b)
    close(found, np.linalg.solve(whole, b))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
def test_inverses(batch, dtype):
    a = regular(*batch, 4, 4, dtype=dtype)
    close(run(at.linalg.matrix_inverse, a), np.linalg.inv(a))
    tall = general(*batch, 4, 2, dtype=dtype)
    close(run(at.linalg.pinv, tall), np.linalg.pinv(tall))
    wide = np.swapaxes(tall, -1, -2)
    close(run(at.linalg.pinv, wide, known=False), np.linalg.pinv(wide))


def test_inv_of_linalg_is_of_matrices_and_that_of_tensor_of_elements():
    a = regular(2, 2)
    close(run(at.linalg.inv, a), np.linalg.inv(a))
    close(run(at.inv, a), 1 / a)


@pairwise(shape=[(6, 3), (3, 6), (4, 4)], columns=[(), (3,)], dtype=DTYPES)
def test_lstsq(shape, columns, dtype):
    a, b = general(*shape, dtype=dtype), general(shape[0], *columns, dtype=dtype)
    inputs = [at.tensor(dtype, a.shape), at.tensor(dtype, b.shape)]
    outputs = at.linalg.lstsq(*inputs)
    solution, residuals, rank, values = loopjax.function(inputs, list(outputs))(a, b)
    for found, output in zip((solution, residuals, rank, values), outputs, strict=True):
        assert (found.dtype, found.shape) == (output.dtype, output.type.shape)
    wanted = np.linalg.lstsq(a, b, rcond=None)
    close(np.asarray(solution), wanted[0])
    close(np.asarray(values), wanted[3])
    assert int(rank) == wanted[2]
    missed = np.atleast_1d((np.abs(a @ wanted[0] - b) ** 2).sum(0))
    np.testing.assert_allclose(residuals, missed, rtol=1e-4, atol=1e-5)


def test_lstsq_of_less_than_full_rank():
    a, b = np.array([[1.0, 1.0], [1.0, 1.0], [2.0, 2.0]]), np.array([1.0, 2.0, 3.0])
    x, y = at.dmatrix(), at.dvector()
    solution, _, rank, _ = loopjax.function([x, y], list(at.linalg.lstsq(x, y, 1e-6)))(a, b)
    assert int(rank) == 1
    np.testing.assert_allclose(solution, np.linalg.lstsq(a, b, 1e-6)[0], rtol=1e-12)


def definite(*shape):
    half = regular(*shape)
    return half @ np.swapaxes(half, -1, -2) / 10


@pytest.mark.parametrize(
    ("op", "arrays"),
    [
        (at.linalg.solve, [regular(3, 3), general(3)]),
        (at.linalg.solve, [regular(2, 3, 3), general(2, 3, 2)]),
        (at.linalg.solve, [regular(3, 3), general(2, 3, 2)]),
        (at.linalg.solve_symmetric, [definite(3, 3), general(3)]),
        (lambda a, b: at.linalg.solve(a, b, "pos"), [definite(3, 3), general(3, 2)]),
        (lambda a, b: at.linalg.solve(a, b, "pos", lower=True), [definite(2, 3, 3), general(2, 3, 2)]),
        (at.linalg.solve_triangular, [regular(3, 3), general(3)]),
        (lambda a, b: at.linalg.solve_triangular(a, b, 1, True, True), [regular(2, 3, 3), general(2, 3, 2)]),
        (lambda a, b: at.linalg.cho_solve((a, True), b), [regular(3, 3), general(3, 2)]),
        (at.linalg.matrix_inverse, [regular(3, 3)]),
        (at.linalg.matrix_inverse, [regular(2, 3, 3)]),
        (at.linalg.pinv, [general(4, 2)]),
        (at.linalg.pinv, [general(2, 2, 4)]),
        (lambda a, b: at.linalg.lstsq(a, b)[0], [general(5, 3), general(5)]),
        (lambda a, b: at.linalg.lstsq(a, b)[:2], [general(5, 3), general(5, 2)]),
    ],
)
def test_gradients(op, arrays):
    loopjax.verify_grad(op, arrays)


def kalman(solve, dot, transpose):
    """A step of a filter of two states of which one sum is seen."""

    def step(seen, m, P, A, C, Q, R):
        m, P = dot(A, m), dot(dot(A, P), transpose(A)) + Q
        S = dot(dot(C, P), transpose(C)) + R
        gain = transpose(solve(S, dot(C, P)))
        return m + dot(gain, seen - dot(C, m)), P - dot(gain, dot(C, P))

    return step


def test_a_kalman_filter_solves_in_its_body():
    seen = general(7, 2)
    model = [0.9 * np.eye(3) + 0.1 * general(3, 3), general(2, 3), np.eye(3), np.eye(2)]
    y, A, C, Q, R = at.dmatrix(), *(at.dmatrix() for _ in model)
    start = [at.zeros((3,), dtype="float64"), at.eye(3, dtype="float64")]
    for solve in (at.linalg.solve, lambda a, b: at.linalg.solve(a, b, assume_a="pos")):
        (means, spreads), _ = loopjax.scan(
            kalman(solve, at.dot, at.transpose), sequences=[y], outputs_info=start, non_sequences=[A, C, Q, R]
        )
        found = loopjax.function([y, A, C, Q, R], [means, spreads])(seen, *model)
        m, P = np.zeros(3), np.eye(3)
        for time, one in enumerate(seen):
            m, P = kalman(np.linalg.solve, np.dot, np.transpose)(one, m, P, *model)
            np.testing.assert_allclose(found[0][time], m, rtol=1e-10)
            np.testing.assert_allclose(found[1][time], P, rtol=1e-10)

        def last(y, A, C, Q, R, solve=solve):
            (means, _), _ = loopjax.scan(
                kalman(solve, at.dot, at.transpose), sequences=[y], outputs_info=start, non_sequences=[A, C, Q, R]
            )
            return means[-1]

        loopjax.verify_grad(last, [seen, *model])


def test_integers_become_floatx():
    x, y = at.lmatrix(), at.lvector()
    found = loopjax.function([x, y], at.linalg.solve(x, y))([[4, 2], [2, 5]], [2, 1])
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, [0.5, 0], atol=1e-6)
    assert at.linalg.solve(at.fmatrix(), at.dvector()).dtype == "float64"
    assert at.linalg.solve(at.fmatrix(), [1.0, 2.0]).dtype == "float32"


A, B = at.tensor("float64", (2, 2)), at.tensor("float64", (3, 2))


@pytest.mark.parametrize(
    ("op", "error", "message"),
    [
        (lambda: at.linalg.solve(B, B), ValueError, r"solve: square matrices are expected, got .* shape \(3, 2\)"),
        (lambda: at.linalg.solve(A, B), ValueError, r"solve: shapes \(2, 2\) and \(3, 2\) make no system"),
        (lambda: at.linalg.solve(A, B[:, 0]), ValueError, r"solve: shapes \(2, 2\) and \(3,\) make no system"),
        (lambda: at.linalg.solve(A[0], A), ValueError, r"solve: matrices are expected, got .* shape \(2,\)"),
        (lambda: at.linalg.solve(A, 1.0), ValueError, "solve: a vector or matrices .* got a scalar"),
        (lambda: at.linalg.solve(A, A, "tri"), ValueError, "assume_a is 'gen', 'sym', 'her' or 'pos', not 'tri'"),
        (
            lambda: at.linalg.solve(A.astype("float16"), A.astype("float16")),
            TypeError,
            "solve: expected matrices of 32 or 64",
        ),
        (lambda: at.linalg.solve_triangular(A, B), ValueError, "solve_triangular: shapes"),
        (lambda: at.linalg.solve_triangular(A, A, 3), ValueError, "trans is 0, 1, 2"),
        (lambda: at.linalg.matrix_inverse(B), ValueError, "matrix_inverse: square"),
        (lambda: at.linalg.pinv(A[0]), ValueError, "pinv: matrices"),
        (lambda: at.linalg.lstsq(A, B), ValueError, r"lstsq: shapes \(2, 2\) and \(3, 2\)"),
        (lambda: at.linalg.lstsq(A[0], B), ValueError, "lstsq: a matrix, and a vector or matrix"),
    ],
)
def test_errors_name_the_line(op, error, message):
    with pytest.raises(error, match=rf"({message}).*\[test_systems\.py:\d+\](\n|$)"):
        op()


def test_a_shape_that_turns_out_wrong_names_the_line():
    x, y = at.dmatrix(), at.dvector()
    f = loopjax.function([x, y], at.linalg.solve(x, y))
    with pytest.raises(
        ValueError, match=r"solve: shapes \(2, 2\) and \(3,\) make no .* \[test_systems\.py:\d+\](\n|$)"
    ):
        f(np.ones((2, 2)), np.ones(3))
