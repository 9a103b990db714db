"""Equal inputs and states of one loop become one."""

import numpy as np

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.scan_cse import EliminateCommonLoopParts
from tests.differences import differences
from tests.rewrite.compared import both
from tests.rewrite.sized import after, lines, scans, sized_graph, text

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


def test_inputs_that_other_passes_make_equal_or_constant():
    v, c = (at.tensor("float64", name=name) for name in "vc")
    h, _ = loopjax.scan(lambda a, h, w, v, c: h * w + a * v + c, X, ONE, [W, v, c])
    graph = sized_graph([X, W, v, c], [h])
    x, w, v, c = graph.inputs
    graph = graph.rebuilt({v: w, c: at.constant(2.0, dtype="float64")}, inputs=[x, w])
    assert text(EliminateCommonLoopParts()(graph)) == lines("""
        input x : float64(4,)
        input w : float64()
        %0 = scan 'scan'[steps=4, sequence[0], recurrence[-1] keeps all](x, 1., w) : float64(4,)
            input 0.x[t] : float64()
            input 0.h : float64()
            input 0.w : float64()
            %0.0 = mul(0.h, 0.w) : float64()
            %0.1 = mul(0.x[t], 0.w) : float64()
            %0.2 = add(%0.0, %0.1) : float64()
            %0.3 = add(%0.2, 2.) : float64()
            return %0.3
        return %0""")


def test_sequences_of_one_array_with_other_taps_stay_apart():
    x = at.tensor("float64", shape=(7,), name="x")
    sequences = [{"input": x, "taps": [-1, 0]}, {"input": x, "taps": [0]}, {"input": x, "taps": [-1, 0]}]
    h, _ = loopjax.scan(
        lambda a, b, c, d, e, h: 3 * h + a + 2 * b + 3 * c + 4 * d + 5 * e, sequences=sequences, outputs_info=ONE
    )
    values = np.random.default_rng(0).normal(size=7)
    found, (loop,) = both([x], [h, loopjax.grad(h.sum(), x)], [values])
    assert [one.taps for one in loop.sequences] == [(-1, 0), (0,)]
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
    assert [len(loop.recurrences), *(one.saved.last for one in loop.maps)] == [1, 1]
    assert float(found[1]) == 24.0


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
