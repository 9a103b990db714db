"""Closed forms for matrices of one to three rows: values, errors and derivatives against those of LAPACK in JAX."""

import jax
import jax.numpy as jnp
import jax.scipy.linalg
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.op import computed

RNG = np.random.default_rng(11)
SIZES = [1, 2, 3]
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""Compiler options with which XLA compiles in less time."""


def mirrored(x, lower):
    half = jnp.tril(x) if lower else jnp.triu(x)
    return half + jnp.swapaxes(half, -1, -2) - half * np.eye(x.shape[-1])


def upper_factor(x):
    return jnp.swapaxes(jnp.linalg.cholesky(mirrored(x, False)), -1, -2)


def solved_by_rows(a, b, **options):
    return jnp.vectorize(
        lambda a, b: jax.scipy.linalg.solve_triangular(a, b, **options), signature="(n,n),(n,k)->(n,k)"
    )(a, b)


def log_determinant(x):
    """By a QR decomposition, in which JAX has no closed form for any size."""
    return jnp.linalg.slogdet(x, method="qr")[1]


GENERAL = {"assume_a": "gen", "lower": False}
SYMMETRIC = {"assume_a": "sym", "lower": False}
POSITIVE = {"assume_a": "pos", "lower": True}
TRANSPOSED = {"trans": 1, "lower": True, "unit_diagonal": False}
UNIT = {"trans": 0, "lower": False, "unit_diagonal": True}
OPS = {
    "solve": (lambda a, b: computed("solve", a, b, **GENERAL), jnp.linalg.solve),
    "symmetric": (
        lambda a, b: computed("solve", a, b, **SYMMETRIC),
        lambda a, b: jnp.linalg.solve(mirrored(a, False), b),
    ),
    "positive": (
        lambda a, b: computed("solve", a, b, **POSITIVE),
        lambda a, b: jnp.linalg.solve(mirrored(a, True), b),
    ),
    "transposed": (
        lambda a, b: computed("solve_triangular", a, b, **TRANSPOSED),
        lambda a, b: solved_by_rows(a, b, **TRANSPOSED),
    ),
    "unit": (lambda a, b: computed("solve_triangular", a, b, **UNIT), lambda a, b: solved_by_rows(a, b, **UNIT)),
    "inverse": (lambda a, b: computed("matrix_inverse", a), lambda a, b: jnp.linalg.inv(a)),
    "lower": (
        lambda a, b: computed("cholesky", a, lower=True),
        lambda a, b: jnp.linalg.cholesky(mirrored(a, True), symmetrize_input=False),
    ),
    "upper": (lambda a, b: computed("cholesky", a, lower=False), lambda a, b: upper_factor(a)),
    "det": (lambda a, b: computed("det", a), lambda a, b: jnp.exp(log_determinant(a))),
    "slogdet": (lambda a, b: computed("slogdet", a)[1], lambda a, b: log_determinant(a)),
}
"""Ours and LAPACK's, of a matrix and of right-hand sides."""


def definite(*shape):
    """Positive definite matrices that are symmetric but for the upper triangle, where ops may read either."""
    half = RNG.normal(size=shape)
    return half @ np.swapaxes(half, -1, -2) + 0.5 * np.eye(shape[-1])


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("op", OPS)
def test_values_and_two_derivatives_are_those_of_lapack(op, size):
    a, b = definite(size, size) + 0.1 * np.triu(RNG.normal(size=(size, size)), 1), RNG.normal(size=(size, 2))
    weights = RNG.normal(size=(size, 3))

    def results(function):
        def cost(both):
            value = function(both[:, :size], both[:, size:])
            return jnp.sum(jnp.sin(value) * (weights[:, : value.shape[-1]] if value.ndim else 1.0)), value

        def twice(both):
            return jax.jvp(jax.grad(cost, has_aux=True), (both,), (jnp.cos(both),))

        return jax.tree.leaves(jax.jit(twice, compiler_options=QUICK)(np.concatenate([a, b], 1)))

    with jax.enable_x64(True):
        for found, wanted in zip(*map(results, OPS[op]), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-8, atol=1e-8 * np.abs(wanted).max())


@pytest.mark.parametrize("size", SIZES)
def test_batches_broadcast_and_float32_stays(size):
    a, b = definite(4, size, size).astype("float32"), RNG.normal(size=(3, 1, size, 2)).astype("float32")
    x, y = at.tensor("float32", a.shape), at.tensor("float32", b.shape)
    outputs = [at.linalg.solve(x, y), at.linalg.inv(x), at.linalg.cholesky(x), *at.linalg.slogdet(x)]
    wanted = [np.linalg.solve(a, b), np.linalg.inv(a), np.linalg.cholesky(a), *np.linalg.slogdet(a)]
    for one, other in zip(loopjax.function([x, y], outputs)(a, b), wanted, strict=True):
        assert one.dtype == "float32"
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3 * np.abs(other).max())


@pytest.mark.parametrize("condition", [1, 1e9])
@pytest.mark.parametrize("size", SIZES)
def test_no_more_digits_are_lost_than_by_lapack(size, condition):
    """Rows and columns are scaled by powers of two, which is exact; the wanted values are of rational arithmetic."""
    left, right = (np.linalg.qr(RNG.normal(size=(size, size)))[0] for _ in range(2))
    core = left * np.geomspace(1, 1 / condition, size) @ right
    rows, columns = RNG.integers(-90, 90, (2, size))
    scaled, shift = np.ldexp(core, rows[:, None] + columns), np.log(2) * (rows.sum() + columns.sum())
    wanted, wanted_det = rational_inverse(core)

    def errors(inverse, log, det):
        unscaled = np.ldexp(inverse, columns[:, None] + rows)
        logs = log - shift - np.log(abs(wanted_det))
        return np.abs([np.abs(unscaled - wanted).max() / np.abs(wanted).max(), logs, det / wanted_det - 1])

    x = at.dmatrix()
    f = loopjax.function([x], [at.linalg.inv(x), at.linalg.slogdet(x)[1], at.linalg.det(x)])
    (inverse, log, _), (_, _, det) = ([np.asarray(one) for one in f(matrix)] for matrix in (scaled, core))
    lapack = errors(np.linalg.inv(scaled), np.linalg.slogdet(scaled)[1], np.linalg.det(core))
    rounding = np.finfo("float64").eps * np.array([condition, condition + abs(shift), condition])
    assert (errors(inverse, log, det) <= 4 * (lapack + rounding)).all()


def rational_inverse(matrix):
    """The inverse and the determinant, exact until they are rounded."""
    from fractions import Fraction

    size, det = len(matrix), Fraction(1)
    rows = [[Fraction(float(x)) for x in row] + [Fraction(i == j) for j in range(size)] for i, row in enumerate(matrix)]
    for k in range(size):
        det *= rows[k][k]
        rows[k] = [x / rows[k][k] for x in rows[k]]
        for i in range(size):
            if i != k:
                rows[i] = [x - rows[i][k] * y for x, y in zip(rows[i], rows[k], strict=True)]
    return np.array([[float(x) for x in row[size:]] for row in rows]), float(det)


SINGULAR = [
    [[[0.0]]],
    [[[0.0, 0.0], [0.0, 0.0]], [[1.0, 2.0], [2.0, 4.0]], [[0.0, 2.0], [0.0, 4.0]]],
    [[[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [1.0, 0.0, 1.0]], [[0.0, 1.0, 2.0], [0.0, 3.0, 4.0], [0.0, 5.0, 6.0]]],
]


@pytest.mark.parametrize("matrices", SINGULAR)
def test_singular_matrices(matrices):
    x, ones = at.dtensor3(), np.ones(len(matrices[0]))
    outputs = [at.linalg.inv(x), at.linalg.solve(x, ones), at.linalg.solve(x, ones, "pos"), at.linalg.cholesky(x)]
    inverse, solved, positive, factor, det, sign, log = loopjax.function(
        [x], [*outputs, at.linalg.det(x), *at.linalg.slogdet(x)]
    )(np.array(matrices))
    assert not np.isfinite(inverse).all(axis=(1, 2)).any()
    assert not np.isfinite(solved).all(axis=1).any()
    assert np.isnan(positive).all()
    assert np.isnan(factor[(slice(None), *np.tril_indices(len(ones)))]).all()
    assert not det.any()
    assert not sign.any()
    assert (log == -np.inf).all()


def test_cholesky_is_nan_wherever_a_pivot_is_negative():
    for matrix in ([[-1.0]], [[1.0, 2.0], [2.0, 1.0]], [[4.0, 0, 0], [0, 4.0, 9.0], [0, 9.0, 4.0]]):
        factor = np.asarray(at.linalg.cholesky(matrix).eval())
        np.testing.assert_array_equal(np.isnan(factor), np.tril(np.ones_like(factor)) == 1)


def test_the_gradient_of_a_determinant_at_a_singular_matrix_is_its_cofactors():
    x = at.dmatrix()
    slopes = loopjax.grad(at.linalg.det(x), x).eval({x: np.array(SINGULAR[2][0])})
    np.testing.assert_array_equal(slopes, [[4, 4, -4], [-2, -2, 2], [0, 0, 0]])


@pytest.mark.parametrize("unit", [False, True])
def test_right_hand_sides_of_one_row_are_stretched_to_the_batch(unit):
    a, b = at.dtensor3("a"), at.dmatrix("b")
    solved = loopjax.function([a, b], at.linalg.solve_triangular(a, b, unit_diagonal=unit))
    expected = np.full((3, 1, 2), 5.0 if unit else 2.5)
    np.testing.assert_allclose(solved(np.full((3, 1, 1), 2.0), np.full((1, 2), 5.0)), expected)


def test_a_triangle_that_is_not_read_may_be_nan():
    a = np.array([[2.0, np.nan, np.nan], [1.0, 4.0, np.nan], [3.0, 5.0, 20.0]])
    x, b = at.dmatrix(), np.array([2.0, 5.0, 16.0])
    for solved in (at.linalg.solve_triangular(x, b, lower=True), at.linalg.cholesky(x).sum(axis=1)):
        value, slopes = loopjax.function([x], [solved, loopjax.grad(solved.sum(), x)])(a)
        assert np.isfinite(value).all()
        assert np.isfinite(slopes).all()
        np.testing.assert_array_equal(np.triu(slopes, 1), 0)


def test_no_routine_is_called_in_a_loop():
    x, b = at.dtensor3(), at.dmatrix()

    def step(a, y):
        factor = at.linalg.cholesky(a)
        return at.linalg.solve(a, y) + at.linalg.inv(factor) @ y * at.linalg.slogdet(a)[1]

    for size in SIZES:
        last = loopjax.scan(step, sequences=x, outputs_info=b)[0][-1]
        f = loopjax.to_jax([x, b], loopjax.grad(last.sum(), b))
        with jax.enable_x64(True):
            text = jax.jit(f).lower(np.ones((5, size, size)), np.ones((size, 2))).as_text()
        assert "custom_call" not in text
