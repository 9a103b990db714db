"""Common parts of one loop, and outputs that stand outside of it."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.scan_cse import EliminateCommonLoopParts
from tests.differences import differences
from tests.rewrite.compared import both
from tests.rewrite.sized import after, lines, scans, text

X = at.tensor("float64", shape=(4,), name="x")
W = at.tensor("float64", name="w")
ZERO = at.constant(0.0, dtype="float64")
ONE = at.constant(1.0, dtype="float64")


def test_sequences_non_sequences_and_constants():
    two = at.constant(2.0, dtype="float64")
    h, _ = loopjax.scan(
        lambda a, b, c, h, w, v, t: h * w + a * v * t + b + c,
        sequences=[X, X, {"input": X, "taps": [0]}],
        outputs_info=ONE,
        non_sequences=[W, W, two],
    )
    assert text(after([EliminateCommonLoopParts()], [X, W], [h])) == lines("""
        input x : float64(4,)
        input w : float64()
        %0 = scan 'scan'[steps=4, sequence[0], recurrence[-1] keeps all](x, 1., w) : float64(4,)
            input 0.x[t] : float64()
            input 0.h : float64()
            input 0.w : float64()
            %0.0 = mul(0.h, 0.w) : float64()
            %0.1 = mul(0.x[t], 0.w) : float64()
            %0.2 = mul(%0.1, 2.) : float64()
            %0.3 = add(%0.0, %0.2) : float64()
            %0.4 = add(%0.3, 0.x[t]) : float64()
            %0.5 = add(%0.4, 0.x[t]) : float64()
            return %0.5
        return %0""")


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("taps", [([0, 1], [0, 1]), ([-1, 0], [0]), ([0], [0, 2]), ([-2, -1], [-1]), ([1], [-1])])
def test_taps_of_one_array(taps, backwards):
    x = at.tensor("float64", shape=(7,), name="x")

    def step(*args):
        return 3 * args[-1] + sum((place + 1) * one for place, one in enumerate(args[:-1]))

    sequences = [{"input": x, "taps": list(one)} for one in taps]
    h, _ = loopjax.scan(step, sequences=sequences, outputs_info=ONE, go_backwards=backwards)
    values = np.random.default_rng(0).normal(size=7)
    found, (loop,) = both([x], [h, loopjax.grad(h.sum(), x)], [values])
    apart = backwards and taps[0] != taps[1]  # and two that have no row in common stay as they are
    assert len(loop.sequences) == (2 if apart or taps == ([1], [-1]) else 1)
    np.testing.assert_allclose(found[1], differences(loopjax.function([x], h.sum()), [values], 0), rtol=1e-5, atol=1e-5)


def test_equal_states_are_one():
    (h, g, k), _ = loopjax.scan(
        lambda a, h, g, k: [h * a + g, g * a + h, k * a + h], sequences=X, outputs_info=[ONE, ONE, ZERO]
    )
    graph = after([EliminateCommonLoopParts()], [X], [h, g, k])
    (loop,) = scans(graph)
    assert (len(loop.recurrences), len(loop.maps)) == (2, 0)
    assert graph.outputs[0] is graph.outputs[1]
    both([X], [h, g, k, loopjax.grad((h + 2 * g).sum(), X)], [np.arange(4.0)])


def test_states_that_start_alike_and_differ_later_stay_two():
    (h, g), _ = loopjax.scan(lambda a, h, g: [h * a + g, g * a + h + 1e-3], sequences=X, outputs_info=[ONE, ONE])
    assert len(scans(after([EliminateCommonLoopParts()], [X], [h, g]))[0].recurrences) == 2


def test_equal_states_of_which_one_keeps_the_last_row():
    (h, g), _ = loopjax.scan(lambda a, h, g: [h * a, g * a], sequences=X, outputs_info=[ONE, ONE])
    found, (loop,) = both([X], [h, g[-1]], [np.arange(1.0, 5)])
    assert (len(loop.recurrences), len(loop.maps)) == (1, 0)
    assert float(found[1]) == 24.0


@pytest.mark.parametrize("backwards", [False, True])
def test_outputs_that_stand_outside(backwards):
    (row, state, fixed, number, later, h), _ = loopjax.scan(
        lambda a, b, h, w: [a, h * a, w, at.constant(3.0), b, h * a],
        sequences=[{"input": X, "taps": [0, 1]}],
        outputs_info=[None, None, None, None, None, ONE],
        non_sequences=W,
        go_backwards=backwards,
    )
    outputs = [row, state, fixed, number, later, h, row[-1]]
    values = np.array([2.0, 3.0, 5.0, 7.0])
    found, (loop,) = both([X, W], outputs, [values, 0.5])
    assert (len(loop.recurrences), len(loop.maps)) == (1, 0)
    expected = values[:3][::-1] if backwards else values[:3]
    np.testing.assert_array_equal(found[0], expected)
    np.testing.assert_array_equal(found[2], [0.5] * 3)


def test_a_state_that_no_step_changes():
    start = at.tensor("float64", shape=(2,), name="start")
    (h, g, s), _ = loopjax.scan(
        lambda a, h, g, s: [h * g + a, g, s],
        sequences=X,
        outputs_info=[ZERO, W, {"initial": start[:1], "taps": [-1]}],
    )
    values = [np.arange(4.0), 0.5, np.array([7.0, 8.0])]
    found, (loop,) = both([X, W, start], [h, g, s, *loopjax.grad((h.sum() + g.sum() * 2), [W, X])], values)
    assert len(loop.recurrences) == 1
    np.testing.assert_array_equal(found[1], [0.5] * 4)
    np.testing.assert_array_equal(found[2], [[7.0]] * 4)


def test_a_shared_variable_that_no_step_changes():
    fixed = loopjax.shared(np.float64(2.0), name="fixed")
    h, updates = loopjax.scan(lambda a, h: (h * fixed + a, {fixed: fixed}), sequences=X, outputs_info=ONE)
    f = loopjax.function([X], h, updates=updates)
    np.testing.assert_array_equal(f(np.zeros(4)), [2, 4, 8, 16])
    assert scans(f.stages[-1].programs[-1].graph)[0].n_states == 0
    assert fixed.get_value() == 2.0


def test_truncated_gradients_do_not_flow_around_the_loop():
    (h, row, fixed), _ = loopjax.scan(
        lambda a, h, g: [h * a, a, g], sequences=X, outputs_info=[ONE, None, W], truncate_gradient=2
    )
    cost = h.sum() + row.sum() + fixed.sum()
    both([X, W], [cost, *loopjax.grad(cost, [X, W])], [np.arange(1.0, 5), 0.5])


def test_draws_of_one_key_are_one():
    stream = at.random.RandomStream(5)
    (a, b), _ = loopjax.scan(lambda: [stream.normal(), stream.normal()], n_steps=5)
    first, second = loopjax.function([], [a, b])()
    assert not np.any(np.asarray(first) == np.asarray(second))


def test_outputs_that_are_all_the_same():
    x = at.dmatrix("x")

    def step(u, h):
        y = at.tanh(u) + h
        return [h * 0.5 + u, y, y, y, y]

    outputs, _ = loopjax.scan(step, x, [np.zeros(2), None, None, None, None])
    found = loopjax.function([x], outputs[1:])(np.ones((5, 2)))
    for one in found:
        np.testing.assert_array_equal(one, found[0])
    assert found[0].shape == (5, 2)
