"""Constant positions of axes whose size only a step of a loop, or ``until``, tells."""

import re

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.compat.theano.ifelse import ifelse

X = np.array([3.0, 1.0, 2.0])


def doubled(n_steps=None, limit=None):
    """The powers of 2 of some steps, or up to a limit."""

    def fn(p):
        return 2 * p if limit is None else (2 * p, loopjax.until(2 * p > limit))

    return loopjax.scan(fn, outputs_info=np.float64(1), n_steps=n_steps, name="doubled")[0]


def stopping(x):
    """A loop over the rows of an array that no row stops."""
    return loopjax.scan(lambda u: (2 * u, loopjax.until(u > 100)), x, name="stopping")[0]


READS = {
    "first of a slice": (lambda x, k: x[:k][0], 1),
    "last of a slice": (lambda x, k: x[:k][-1], 1),
    "some of a slice": (lambda x, k: x[:k][np.array([0, -2])].sum(), 2),
    "second last of a map": (lambda x, k: loopjax.map(lambda i: i * x[i], at.arange(k))[0][-2], 2),
    "last step": (lambda x, k: doubled(k)[-1], 1),
    "step 1": (lambda x, k: doubled(k)[1], 2),
    "step -2": (lambda x, k: doubled(k)[-2], 2),
    "step 1 of a loop that stops": (lambda x, k: doubled(9, limit=2.0**k)[1], 1),
    "a loop that stops, of no step": (lambda x, k: doubled(k, limit=100.0)[-1], 1),
    "a loop that stops, over no row": (lambda x, k: (stopping(x[3 - k :]) * 2)[-1], 1),
    "the greatest of a loop that stops, over no row": (lambda x, k: (stopping(x[3 - k :]) * 2).max(), 1),
    "greatest step": (lambda x, k: doubled(k).max(), 1),
    "place of the greatest step": (lambda x, k: doubled(k).argmax(), 1),
    "a write": (lambda x, k: at.set_subtensor(x[:k][1], 9.0).sum(), 2),
}


@pytest.mark.parametrize("name", READS)
def test_a_position_that_a_step_has_not_raises(name):
    """The line is that of the read or of the loop that is read; no shared variable changes."""
    read, least = READS[name]
    x, ks, calls = at.dvector("x"), at.lvector("ks"), loopjax.shared(0, name="calls")
    out, _ = loopjax.map(lambda k: read(x, k), ks)
    f = loopjax.function([x, ks], out, updates={calls: calls + 1}, on_unused_input="ignore")
    enough = np.arange(least, 4)
    assert np.isfinite(f(X, enough)).all()
    message = r"(out of bounds for axis 0|what is read needs \d|no elements).*\[test_constant_posi"
    with pytest.raises((IndexError, ValueError), match=message):
        f(X, np.array([3, least - 1, 3]))
    assert calls.get_value() == 1
    np.testing.assert_array_equal(f(X, enough), f(X, enough))


def test_a_position_past_the_steps_that_ran_raises():
    limit = at.dscalar("limit")
    for read in (lambda out: out[3], lambda out: out[-4], lambda out: [out[3], out.std()]):
        f = loopjax.function([limit], read(doubled(50, limit)))
        f(16.0)
        with pytest.raises(IndexError, match=r"needs 4 \[|expected 4 rows, got fewer \["):
            f(4.0)


def test_a_gradient_raises_too():
    x, ks = at.dvector("x"), at.lvector("ks")
    for read in (lambda k: x[:k][1] ** 2, lambda k: (doubled(k)[1] * x[0]) ** 2):
        f = loopjax.function([x, ks], loopjax.grad(loopjax.map(read, ks)[0].sum(), x))
        assert np.isfinite(f(X, np.array([2, 3]))).all()
        with pytest.raises(IndexError, match=re.escape("[test_constant_positions.py:")):
            f(X, np.array([2, 1]))


def test_a_branch_that_is_not_taken_is_not_checked():
    x, ks, least = at.dvector("x"), at.lvector("ks"), at.lscalar("least")
    reads = (lambda k: x[:k][-1], lambda k: x[:k].max(), lambda k: ifelse(k > 1, x[:k][1], x[:k][0]))
    for read in reads:
        out, _ = loopjax.map(lambda k: ifelse(k > least, read(k), at.constant(0.0)), ks)  # noqa: B023
        outside = ifelse((x > 2.0).sum() > least, x[x > 2.0][0], at.constant(0.0))
        f = loopjax.function([x, ks, least], [out, outside])
        assert f(X, np.array([3, 0, 1]), 0)[0][1] == 0
        assert f(X / 2, np.array([3, 1, 1]), 0)[1] == 0
        with pytest.raises((IndexError, ValueError), match=r"out of bounds|no elements"):
            f(X, np.array([3, 0, 1]), -1)
        with pytest.raises(IndexError, match="expected 1 rows, got fewer"):
            f(X / 2, np.array([3, 1, 1]), -1)


def test_positions_that_are_seen_to_exist_cost_no_check():
    x = at.dvector("x")
    out, _ = loopjax.map(
        lambda i: x[: i + 1][0] + x[: i + 1][-1] + x[i:][0] + doubled(i + 1)[-1], at.arange(x.shape[0])
    )
    f = loopjax.function([x], [out, doubled(50, x.sum())[-1]])
    np.testing.assert_allclose(f(X)[0], X[0] + 2 * X + 2.0 ** np.arange(1, 4))
    assert not f._buckets.latest.padded.assertions


def test_inside_of_jax_such_a_read_is_nan():
    x, ks = at.dvector("x"), at.lvector("ks")
    out, _ = loopjax.map(lambda k: x[:k][0] + doubled(k)[-1], ks)
    run = jax.jit(loopjax.to_jax([x, ks], out))
    with jax.enable_x64(True):
        np.testing.assert_array_equal(run(X, np.array([2, 0])), [7.0, np.nan])


def test_a_call_like_one_before_is_checked_too():
    """Fast-path dispatch checks after the run and before it commits; results are those of the general path."""
    x, ks, calls = at.dvector("x"), at.lvector("ks"), loopjax.shared(0)
    f = loopjax.function([x, ks], loopjax.map(lambda k: x[:k][0] * k, ks)[0], updates={calls: calls + 1})
    fine, short = np.array([1, 3]), np.array([1, 0])
    for turn in range(1, 4):
        np.testing.assert_array_equal(f(X, fine), [3.0, 9.0])
        with pytest.raises(IndexError, match="out of bounds"):
            f(X, short)
        assert calls.get_value() == turn
    assert f._dispatch.stages
