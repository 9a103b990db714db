"""Gradients of programs in which a length is zero at some steps: what is past it puts no NaN anywhere."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at

X = np.array([0.1, 0.3, 0.5])
SOFTMAX = [np.exp(X[:k]) / np.exp(X[:k]).sum() for k in range(3)]


def masked(part):
    return part[part > 0.05]


@pytest.mark.parametrize(
    ("op", "sums"),
    [
        (at.sort, [0, 0.1, 0.4]),
        (lambda part: at.softmax(part, 0), [0, 1, 1]),
        (lambda part: at.log_softmax(part, 0), [np.log(one).sum() for one in SOFTMAX]),
        (masked, [0, 0.1, 0.4]),
    ],
    ids=["sort", "softmax", "log_softmax", "mask"],
)
def test_a_factor_of_nothing_has_a_gradient(op, sums):
    x, a = at.dvector("x"), at.dscalar("a")
    products, _ = loopjax.map(lambda k: (op(x[:k]) * a).sum(), at.arange(x.shape[0]))
    f = loopjax.function([x, a], [products, loopjax.grad(products.sum(), a)])
    found, slope = f(X, 2.0)
    np.testing.assert_allclose(found, 2 * np.asarray(sums), atol=1e-12)
    np.testing.assert_allclose(slope, sum(sums), atol=1e-12)


def test_gradients_of_loops_that_stop_where_no_step_has_room():
    x, ks = at.dvector("x"), at.lvector("ks")

    def total(k):
        out, _ = loopjax.scan(lambda u, h: (h * u, loopjax.until(u > 5)), x[:k], np.float64(1))
        return (out * 2).sum()

    f = loopjax.function([x, ks], loopjax.grad(loopjax.map(total, ks)[0].sum(), x))
    np.testing.assert_array_equal(f(np.ones(3), [1, 2]), [6, 2, 0])
    np.testing.assert_array_equal(f(np.ones(3), [0, 0]), [0, 0, 0])
