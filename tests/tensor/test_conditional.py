"""``ifelse``: one branch is computed, in loops and under gradients too."""

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from tests.differences import differences

SINGULAR, REGULAR = np.zeros((2, 2)), np.array([[2.0, 1.0], [0.0, 4.0]])


def seen(calls):
    """An op that notes on the host that it runs."""

    def run(x):
        jax.debug.callback(lambda: calls.append(1))
        return x * 2

    return loopjax.wrap_jax(run, name="seen")


def test_only_the_branch_that_is_taken_runs():
    x, calls = at.dvector("x"), []
    f = loopjax.function([x], loopjax.ifelse(x.sum() > 0, seen(calls)(x), x))
    np.testing.assert_array_equal(f([-1.0, -2.0]), [-1.0, -2.0])
    jax.effects_barrier()
    assert calls == []
    np.testing.assert_array_equal(f([1.0, 2.0]), [2.0, 4.0])
    jax.effects_barrier()
    assert calls == [1]


def test_in_a_loop_with_a_gradient():
    x, rows = at.dmatrix("x"), at.dvector("rows")

    def step(row, total, x):
        return total + row * at.ifelse(row > 0, at.linalg.solve(x, row * at.ones(2, dtype="float64")).sum(), x.sum())

    totals, _ = loopjax.scan(step, rows, at.zeros((), dtype="float64"), [x])
    cost = loopjax.function([x, rows], totals[-1])
    slope = loopjax.function([x, rows], loopjax.grad(totals[-1], x))
    mixed = np.array([1.0, -2.0, 3.0])
    np.testing.assert_allclose(
        slope(REGULAR, mixed), differences(lambda x: float(cost(x, mixed)), [REGULAR], 0), rtol=1e-6
    )
    np.testing.assert_array_equal(slope(SINGULAR, -np.ones(3)), np.full((2, 2), -3.0))


def test_pytrees_and_dtypes():
    x, c = at.dvector("x"), at.bscalar("c")
    chosen = loopjax.ifelse(c, {"a": x, "b": [x.sum()]}, {"a": 2 * x, "b": [1]}, name="chosen")
    assert chosen["a"].name == "chosen"
    f = loopjax.function([c, x], chosen)
    np.testing.assert_array_equal(f(0, [1.0, 2.0])["a"], [2.0, 4.0])
    assert float(f(1, [1.0, 2.0])["b"][0]) == 3.0


def test_errors():
    x = at.dvector("x")
    with pytest.raises(TypeError, match=r"ifelse takes a scalar condition, got <.*switch\(\).*test_conditional.py"):
        loopjax.ifelse(x > 0, x, x)
    with pytest.raises(TypeError, match=r"ifelse: the branches are .*; expected one structure.*test_conditional.py"):
        loopjax.ifelse(x.sum() > 0, [x, x], [x])
