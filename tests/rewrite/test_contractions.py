"""Sums of outer products as matrix products: values, gradients, and which sums."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.contractions import RecognizeContractions
from loopjax.rewrite.target import Target
from tests.rewrite.sized import after, text

RNG = np.random.default_rng(29)
X, Y = (at.tensor("float64", shape, name) for shape, name in (((24, 20, 8), "x"), ((24, 20, 7), "y")))
A, B = RNG.normal(size=(24, 20, 8)), RNG.normal(size=(24, 20, 7))
PASSES = [RecognizeContractions(), RecognizeContractions(Target(derivative="reverse"))]


def outer():
    return X.dimshuffle(0, 1, 2, "x") * Y.dimshuffle(0, 1, "x", 2)


@pytest.mark.parametrize(
    ("options", "letters"),
    [
        ({"axis": 0}, "kib,kic->ibc"),
        ({"axis": 1}, "kib,kic->kbc"),
        ({"axis": (0, 1)}, "kib,kic->bc"),
        ({"axis": -3, "keepdims": True}, "kib,kic->kbc"),
    ],
)
def test_values_and_gradients_are_those_of_einsum(options, letters):
    total = outer().sum(**options)
    assert "matmul" in text(after([RecognizeContractions()], [X, Y], [total]))
    f = loopjax.function([X, Y], [total, *loopjax.grad((outer().sum(**options) ** 2).sum(), [X, Y])])
    found, of_x, of_y = f(A, B)
    factors, kept = letters.split("->")
    x, y = factors.split(",")
    wanted = np.einsum(letters, A, B)
    np.testing.assert_allclose(np.squeeze(found), wanted)
    np.testing.assert_allclose(of_x, np.einsum(f"{kept},{y}->{x}", 2 * wanted, B))
    np.testing.assert_allclose(of_y, np.einsum(f"{kept},{x}->{y}", 2 * wanted, A))


def test_a_step_that_weighs_its_past_is_a_product():
    """Attention over the rows of a matrix, and the covariance of what it finds: one sum of 16 terms each."""
    queries, keys = at.tensor("float64", (5, 20, 16), "q"), at.tensor("float64", (30, 16), "k")

    def step(query, keys):
        scores = (query.dimshuffle(0, "x", 1) * keys).sum(axis=-1)
        return (scores.dimshuffle(0, 1, "x") * scores.dimshuffle(0, "x", 1)).sum(axis=0)

    out, _ = loopjax.scan(step, sequences=queries, non_sequences=keys)
    q, k = RNG.normal(size=(5, 20, 16)), RNG.normal(size=(30, 16))
    scores = q @ k.T
    np.testing.assert_allclose(loopjax.function([queries, keys], out)(q, k), scores.swapaxes(1, 2) @ scores)
    assert text(after([RecognizeContractions()], [queries, keys], [out])).count("matmul") == 2


def test_infinities_and_nan_are_those_of_the_sum():
    a, b = A.copy(), B.copy()
    a[3, 2, 1], b[3, 2, 0], a[5, 4, 0] = np.inf, 0.0, np.nan
    found = loopjax.function([X, Y], outer().sum(axis=0))(a, b)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(found, (a[..., None] * b[:, :, None]).sum(axis=0))


@pytest.mark.parametrize(
    "total",
    [
        outer().sum(axis=2),  # of rows
        (X * 2.0).sum(axis=0),
        (X * X[:, :, :1]).sum(axis=0),  # no columns
        outer()[:8].sum(axis=0),  # of 8 terms
        outer().max(axis=0),
        (at.cast(outer(), "float32")).sum(axis=0),
        at.cast(outer(), "int64").sum(axis=0),
    ],
)
def test_other_sums_stay(total):
    assert "matmul" not in text(after([RecognizeContractions()], [X, Y], [total]))


def test_terms_that_are_read_elsewhere_and_sums_on_a_gpu_stay():
    terms = outer()
    assert "matmul" not in text(after([RecognizeContractions()], [X, Y], [terms.sum(axis=0), terms]))
    assert "matmul" not in text(after([RecognizeContractions(Target("gpu"))], [X, Y], [outer().sum(axis=0)]))


def test_small_products_stay_sums_and_those_with_a_gradient_need_more_terms():
    totals = [(X[:, :n].dimshuffle(0, 1, 2, "x") * Y[:, :n].dimshuffle(0, 1, "x", 2)).sum(axis=0) for n in (1, 4, 20)]
    found = [text(after([one], [X, Y], [total])).count("matmul") for one in PASSES for total in totals]
    assert found == [0, 1, 1, 0, 0, 1]
