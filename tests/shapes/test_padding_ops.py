"""Ops with rules of padding: values and gradients are those of the exact program, at the top and in loops."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.runtime import buckets

LENGTHS = (0, 1, 7)
X, M, N = at.dvector("x"), at.dmatrix("m"), at.lscalar("n")
Z = at.dmatrix("z")


@pytest.fixture(autouse=True)
def everything(monkeypatch):
    """Every length is padded from the first call, and what no rule writes is NaN."""
    monkeypatch.setattr(buckets, "AT_ONCE", True)
    monkeypatch.setattr(loopjax.config, "poison", True)


def positive(m):
    """Positive definite matrices of a varying size."""
    return at.dot(m, m.T) + at.eye(m.shape[0], dtype="float64")


OPS = {
    "writes by slices": {
        "from a value": lambda x, m, n, z: at.set_subtensor(x[n:], 5.0),
        "up to a value": lambda x, m, n, z: at.inc_subtensor(x[:n], x[:n] * 2),
        "between values": lambda x, m, n, z: at.set_subtensor(x[n - 1 : n + 1], 5.0),
        "all but": lambda x, m, n, z: at.inc_subtensor(x[1:-1], x[:-2]),
        "reversed": lambda x, m, n, z: at.set_subtensor(x[::-1], x),
        "reversed stride": lambda x, m, n, z: at.inc_subtensor(x[::-3], x[::-3] ** 2),
    },
    "writes of several axes": {
        "rows and columns": lambda x, m, n, z: at.set_subtensor(m[:n, 1:], m[:n, :-1] * 2),
        "beside an array": lambda x, m, n, z: at.inc_subtensor(z[:n, at.as_tensor([0, 2, 0])], 2.0),
        "beside a number": lambda x, m, n, z: at.set_subtensor(z[:n, 1], x[:n]),
        "beside a static slice": lambda x, m, n, z: at.set_subtensor(z[n:, 1:], z[n:, :-1]),
        "beside a new axis": lambda x, m, n, z: at.set_subtensor(x[None, :n], 4.0),
    },
    "sorts": {
        "sort": lambda x, m, n, z: at.sort(x),
        "sort with NaN": lambda x, m, n, z: at.sort(at.sqrt(x - 1))[: n // 2] ** 2,
        "argsort": lambda x, m, n, z: at.argsort(-x),
        "sorted by others": lambda x, m, n, z: m[at.argsort(x)],
        "searchsorted": lambda x, m, n, z: at.searchsorted(at.sort(x), x * 1.1, side="right"),
    },
    "repeats": {
        "repeat": lambda x, m, n, z: at.repeat(x, 3),
        "repeat by a value": lambda x, m, n, z: at.repeat(z, n, axis=1),
        "roll": lambda x, m, n, z: at.roll(x, 2),
        "roll by a value": lambda x, m, n, z: at.roll(m, -n, axis=1),
        "tile": lambda x, m, n, z: at.tile(x, 2),
        "tile by a value": lambda x, m, n, z: at.tile(z, (n, 2)),
        "kron": lambda x, m, n, z: at.linalg.kron(z, m),
    },
    "triangles": {
        "tril": lambda x, m, n, z: at.tril(m, -1),
        "triu": lambda x, m, n, z: at.triu(m),
        "tri": lambda x, m, n, z: at.tri(n, dtype="float64") * 2,
        "eye": lambda x, m, n, z: at.eye(n, n + 2, 1, dtype="float64"),
        "diag": lambda x, m, n, z: at.diag(x, 1) + 1,
        "diagonal": lambda x, m, n, z: at.diag(m, -1),
        "trace": lambda x, m, n, z: at.trace(m),
        "linspace": lambda x, m, n, z: at.linspace(1.0, 2.0, n, dtype="float64"),
        "one hot": lambda x, m, n, z: at.extra_ops.to_one_hot(at.arange(n), n, dtype="float64"),
    },
    "shapes": {
        "split": lambda x, m, n, z: at.split(x, [n, x.shape[0] - n], 2)[1],
        "reshape": lambda x, m, n, z: m.reshape((-1,)),
        "flatten and back": lambda x, m, n, z: (m.flatten() * 2).reshape(m.shape),
        "reshape of other axes": lambda x, m, n, z: at.outer(x, at.arange(6.0)).reshape((-1, 3, 2)),
        "reshape after it": lambda x, m, n, z: at.outer(at.arange(6.0), x).reshape((2, 3, -1)),
        "reshape by a value": lambda x, m, n, z: at.repeat(x, 2).reshape((2, x.shape[0])),
    },
    "decompositions": {
        "cholesky": lambda x, m, n, z: at.linalg.cholesky(positive(m)),
        "cholesky, upper": lambda x, m, n, z: at.linalg.cholesky(positive(m), lower=False),
        "inverse": lambda x, m, n, z: at.linalg.inv(positive(m)),
        "slogdet": lambda x, m, n, z: at.linalg.slogdet(positive(m))[1],
        "power": lambda x, m, n, z: at.linalg.matrix_power(m, 3),
        "expm": lambda x, m, n, z: loopjax.gradient.disconnected_grad(at.linalg.expm(m / 8)),
        "eigvalsh": lambda x, m, n, z: at.linalg.eigvalsh(m + m.T),
        "singular values": lambda x, m, n, z: at.linalg.svd(z, compute_uv=False),
    },
    "systems": {
        "conv2d": lambda x, m, n, z: at.nnet.conv2d(m[None, None], KERNEL, border_mode="full", subsample=(2, 1)),
        "solve": lambda x, m, n, z: at.linalg.solve(positive(m), x),
        "solve for columns": lambda x, m, n, z: at.linalg.solve(positive(m), m, assume_a="pos"),
        "solve triangular": lambda x, m, n, z: at.linalg.solve_triangular(positive(m), z, trans=1, lower=True),
        "norm": lambda x, m, n, z: at.linalg.norm(m),
        "norm of columns": lambda x, m, n, z: at.linalg.norm(m, 1, axis=0),
    },
}


KERNEL = np.arange(6.0).reshape(1, 1, 3, 2)


def given(n):
    rng = np.random.default_rng(n)
    return rng.uniform(0.5, 1.5, n), rng.uniform(0.5, 1.5, (n, n)), n // 2, rng.uniform(0.5, 1.5, (n, 3))


def results(cases, *variables):
    """The results, and the gradients of the sum of their squares."""
    found = [make(*variables) for make in cases]
    cost = sum((one**2).sum() for one in found if one.dtype == "float64")
    x, m, _, z = variables
    return found, loopjax.grad(cost, [x, m, z], disconnected_inputs="ignore")


@pytest.mark.parametrize("group", OPS)
def test_values_and_gradients(group):
    found, gradients = results(OPS[group].values(), X, M, N, Z)
    exact, padded, alone = (
        loopjax.function([X, M, N, Z], outputs, on_unused_input="ignore", lengths=lengths)
        for outputs, lengths in (([*found, *gradients], "exact"), ([*found, *gradients], "padded"), (found, "padded"))
    )
    names = [*OPS[group], "gradient by x", "gradient by m", "gradient by z"]
    for n in LENGTHS:
        expected = exact(*given(n))
        for one, other, name in zip(padded(*given(n)), expected, names, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11, err_msg=f"{name}, n={n}")
        for one, other, name in zip(alone(*given(n)), expected, names, strict=False):
            np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-11, err_msg=f"{name}, n={n}")
    assert not padded.exact_ops
    assert not alone.exact_ops


@pytest.mark.parametrize("group", OPS)
def test_lengths_that_differ_from_step_to_step(group):
    cases = OPS[group]

    def costs(x, m, n, z):
        return [(make(x, m, n, z).astype("float64") ** 2).sum() for make in cases.values()]

    def step(k):
        return costs(X[:k], M[:k, :k], X[:k].shape[0] // 2, Z[:k])

    ks = at.lvector("ks")
    out, _ = loopjax.map(step, ks)
    gradients = loopjax.grad(sum(one.sum() for one in out), [X, M, Z], disconnected_inputs="ignore")
    f = loopjax.function([ks, X, M, Z], [*out, *gradients], on_unused_input="ignore")
    found = costs(X, M, N, Z)
    slopes = loopjax.grad(sum(found), [X, M, Z], disconnected_inputs="ignore")
    values, exact = (
        loopjax.function([X, M, N, Z], outputs, on_unused_input="ignore", lengths="exact")
        for outputs in (found, [*found, *slopes])
    )
    x, m, n, z = given(6)
    results = f([0, 6], x, m, z)
    nothing, expected = values(x[:0], m[:0, :0], 0, z[:0]), exact(x, m, n, z)
    for one, first, last, name in zip(results, nothing, expected, cases, strict=False):
        np.testing.assert_allclose(one, [first, last], rtol=1e-9, err_msg=name)
    for one, slope in zip(results[len(cases) :], expected[len(cases) :], strict=True):
        np.testing.assert_allclose(one, slope, rtol=1e-8, atol=1e-10)


def test_argmax_of_negative_numbers_that_step_sizes_pick():
    """The greatest element comes first among copies of row 0, which stand in the place of NaN."""
    x, ks = np.array([-3.0, -1.0, -2.0]), at.lvector("ks")
    out, _ = loopjax.map(lambda k: (at.argmax(X[:k]), at.argmin(X[:k])), ks)
    found = loopjax.function([X, ks], out)(x, np.array([1, 2, 3]))
    np.testing.assert_array_equal(found, [[0, 1, 1], [0, 0, 0]])
