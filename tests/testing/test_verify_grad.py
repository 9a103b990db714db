"""``verify_grad`` passes right gradients, and says where a wrong one is."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.errors import GradientError

RNG = np.random.default_rng(3)


def recurrence(x, W):
    out, _ = loopjax.scan(lambda u, h: at.tanh(at.dot(W, h) + u), sequences=x, outputs_info=at.zeros(2, "float64"))
    return out


def test_a_loop_is_right():
    loopjax.verify_grad(recurrence, [RNG.normal(size=(4, 2)), RNG.normal(size=(2, 2))], rng=np.random.default_rng(1))


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_scalars_lists_and_dtypes(dtype):
    loopjax.verify_grad(lambda x, y: [at.sin(x) * y, (x * x).sum()], [np.ones(3, dtype), np.asarray(0.5, dtype)])
    loopjax.verify_grad(lambda x, y: (x**2).sum(), [np.ones(3, dtype), np.ones(2, dtype)])


def test_draws_are_the_same_in_every_evaluation():
    stream = at.random.RandomStream(4)
    loopjax.verify_grad(lambda x: x * stream.normal(size=(3,), dtype="float64"), [np.ones(3)])


def test_a_wrong_one_is_named_by_argument_place_and_values():
    def wrong(x, y):
        return at.set_subtensor(y[1, 2], at.grad_scale(y[1, 2], 3)) * x.sum()

    with pytest.raises(GradientError, match=r"argument 1 is wrong at \[1, 2\] of shape \(2, 3\)") as caught:
        loopjax.verify_grad(wrong, [np.ones(2), np.ones((2, 3))], n_tests=1)
    error = caught.value
    assert (error.argument, error.place) == (1, (1, 2))
    np.testing.assert_allclose(error.analytic, 3 * error.numeric, rtol=1e-6)
    assert f"{error.analytic:.9g}" in str(error)
    assert f"{error.numeric:.9g}" in str(error)
    loopjax.verify_grad(wrong, [np.ones(2), np.ones((2, 3))], abs_tol=10)


def test_a_gradient_that_is_no_number_is_wrong():
    with pytest.raises(GradientError, match="grad gives inf, finite differences nan"):
        loopjax.verify_grad(lambda x: at.switch(x > 0, x, at.sqrt(x)), [np.array([-1.0, 2.0]) ** 2 * [0.0, 1.0]])


def test_integers_are_refused():
    with pytest.raises(TypeError, match=r"pt\[1\] is int64"):
        loopjax.verify_grad(lambda x, k: x * k, [np.ones(2), np.arange(2)])
    with pytest.raises(TypeError, match="returns float variables"):
        loopjax.verify_grad(lambda x: x > 0, [np.ones(2)])


def test_it_is_where_programs_look_for_it():
    assert loopjax.gradient.verify_grad is at.verify_grad is loopjax.verify_grad
