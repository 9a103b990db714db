"""Parts of loops that are equal, fixed or read by nobody."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.constant_folding import FoldConstants
from loopjax.rewrite.dce import EliminateDeadCode
from loopjax.rewrite.licm import HoistInvariants
from loopjax.rewrite.scan_cse import EliminateCommonLoopParts
from tests.differences import differences
from tests.rewrite.sized import after, lines, scans, text

X = at.tensor("float64", shape=(4,), name="x")
W = at.tensor("float64", name="w")
ZERO = at.constant(0.0, dtype="float64")
ONE = at.constant(1.0, dtype="float64")


def both(inputs, outputs, values, rtol=1e-12):
    """What a program gives with the rewrites and without, found equal; and the loops that are left."""
    with_, without = (
        loopjax.function(inputs, outputs, mode=mode, on_unused_input="ignore")
        for mode in (
            None,
            loopjax.Mode().excluding("scan_cse", "licm", "dce", "constant_folding", "loop_fusion", "vectorize_states"),
        )
    )
    found, expected = with_(*values), without(*values)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=rtol)
    return found, scans(with_.stages[-1].programs[-1].graph)


class TestPrune:
    def test_a_state_that_only_feeds_itself_goes_with_all_that_it_reads(self):
        y = at.tensor("float64", shape=(4,), name="y")
        (h, _dead, _map), _ = loopjax.scan(
            lambda a, b, h, g, w: [h * a, g * b + w, at.sin(b)],
            sequences=[X, y],
            outputs_info=[ONE, ONE, None],
            non_sequences=W,
        )
        assert text(after([EliminateDeadCode()], [X, y, W], [h])) == lines("""
            input x : float64(4,)
            input y : float64(4,)
            input w : float64()
            %0 = scan 'scan'[steps=4, sequence[0], recurrence[-1] keeps all](x, 1.) : float64(4,)
                input 0.x[t] : float64()
                input 0.in1 : float64()
                %0.0 = mul(0.in1, 0.x[t]) : float64()
                return %0.0
            return %0""")

    def test_a_state_that_another_needs_stays_without_its_stack(self):
        (h, _), _ = loopjax.scan(lambda a, h, g: [h + g, g * a], sequences=X, outputs_info=[ZERO, ONE])
        (loop,) = scans(after([EliminateDeadCode()], [X], [h]))
        assert [str(one.saved) for one in loop.recurrences] == ["all", "last 0"]

    def test_states_that_feed_one_another_alone(self):
        (_, _, h), _ = loopjax.scan(lambda a, g, k, h: [k, g, h + a], sequences=X, outputs_info=[ZERO, ONE, ONE])
        (loop,) = scans(after([EliminateDeadCode()], [X], [h]))
        assert len(loop.recurrences) == 1
        assert any("nobody reads" in note for note in loop.notes)

    def test_a_past_that_no_step_reads_makes_no_state(self):
        h, _ = loopjax.scan(lambda a, h: at.exp(a), sequences=X, outputs_info=ONE)
        _, (loop,) = both([X], [h], [np.arange(4.0)])
        assert not loop.recurrences
        assert loop.plan.kind == "vmap"

    def test_taps_that_no_step_reads(self):
        start = at.tensor("float64", shape=(3,), name="start")
        h, _ = loopjax.scan(
            lambda a, h3, h2, h1: h3 + a, sequences=X, outputs_info={"initial": start, "taps": [-3, -2, -1]}
        )
        graph = after([EliminateDeadCode()], [X, start], [h])
        assert scans(graph)[0].recurrences[0].taps == (-3,)
        found, _ = both([X, start], [h], [np.arange(4.0), np.array([1.0, 10.0, 100.0])])
        np.testing.assert_array_equal(found[0], [1, 11, 102, 4])

    def test_through_a_chain_of_loops(self):
        (a, unread), _ = loopjax.scan(lambda x, h: [h + x, at.sin(h)], sequences=X, outputs_info=[ZERO, None])
        (b, _), _ = loopjax.scan(lambda x, y, h, g: [h * x, g + y], sequences=[a, unread], outputs_info=[ONE, ONE])
        first, second = scans(after([EliminateDeadCode()], [X], [b]))
        assert (len(first.maps), len(second.sequences)) == (0, 1)

    def test_in_bodies(self):
        def outer(a, h):
            (r, s), _ = loopjax.scan(lambda u, v: [u * a, v + a], outputs_info=[h, h], n_steps=3)
            return [r[-1], s[-1]]

        (h, _), _ = loopjax.scan(outer, sequences=X, outputs_info=[ONE, None])
        graph = after([EliminateDeadCode()], [X], [h])
        assert [len(loop.recurrences) for loop in scans(graph)] == [1, 1]

    def test_shared_updates_and_keys(self):
        counter = loopjax.shared(np.float64(0.0), name="counter")
        stream = at.random.RandomStream(3)

        def step(a, h):
            return [h * a, stream.normal()], {counter: counter + a}

        (h, _), updates = loopjax.scan(step, sequences=X, outputs_info=[ONE, None])
        reads = [X, counter]
        (loop,) = scans(after([EliminateDeadCode()], [X, *[v for v in updates if v is not None]], [h]))
        assert (loop.n_states, loop.n_keys) == (0, 0)
        f = loopjax.function([X], h, updates=updates)
        np.testing.assert_array_equal(f(np.arange(1.0, 5)), [1, 2, 6, 24])
        assert counter.get_value() == 10
        assert len(reads) == 2

    def test_until_stays(self):
        (h, _), _ = loopjax.scan(
            lambda h, g: ([h * 2, g + h], loopjax.until(g > 20)), outputs_info=[ONE, ZERO], n_steps=50
        )
        found, (loop,) = both([], [h[-1]], [])
        assert len(loop.recurrences) == 2
        assert float(found[0]) == 64.0

    def test_what_a_region_publishes_for_nobody(self):
        h, _ = loopjax.scan(lambda a, h: h * a, sequences=X, outputs_info=ONE)
        cost = h.sum()
        (shown, _), _ = loopjax.scan(lambda a, b, g, k: [g - a, k + b], sequences=[X, h], outputs_info=[ONE, ZERO])
        graph = after([EliminateDeadCode()], [X], [loopjax.grad(cost, X), shown])
        (region,) = [node.op for node in graph.applies if node.op.name == "linearize"]
        assert len(region.region.outputs) == 1
        both([X], [loopjax.grad(cost, X), shown], [np.arange(1.0, 5)])

    def test_an_error_that_is_due_comes_all_the_same(self):
        x, y = at.dvector("x"), at.dvector("y")
        (h, _), _ = loopjax.scan(lambda a, b, h: [h * a, b], sequences=[x, y], outputs_info=[ONE, None], n_steps=4)
        with pytest.raises(ValueError, match="sequence 'y' has 3 rows"):
            loopjax.function([x, y], h)(np.ones(4), np.ones(3))


class TestShare:
    def test_sequences_non_sequences_and_constants(self):
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
                input 0.in1 : float64()
                input 0.w : float64()
                %0.0 = mul(0.in1, 0.w) : float64()
                %0.1 = mul(0.x[t], 0.w) : float64()
                %0.2 = mul(%0.1, 2.) : float64()
                %0.3 = add(%0.0, %0.2) : float64()
                %0.4 = add(%0.3, 0.x[t]) : float64()
                %0.5 = add(%0.4, 0.x[t]) : float64()
                return %0.5
            return %0""")

    @pytest.mark.parametrize("backwards", [False, True])
    @pytest.mark.parametrize("taps", [([0, 1], [0, 1]), ([-1, 0], [0]), ([0], [0, 2]), ([-2, -1], [-1]), ([1], [-1])])
    def test_taps_of_one_array(self, taps, backwards):
        x = at.tensor("float64", shape=(7,), name="x")

        def step(*args):
            return 3 * args[-1] + sum((place + 1) * one for place, one in enumerate(args[:-1]))

        sequences = [{"input": x, "taps": list(one)} for one in taps]
        h, _ = loopjax.scan(step, sequences=sequences, outputs_info=ONE, go_backwards=backwards)
        values = np.random.default_rng(0).normal(size=7)
        found, (loop,) = both([x], [h, loopjax.grad(h.sum(), x)], [values])
        assert len(loop.sequences) <= 2
        np.testing.assert_allclose(
            found[1], differences(loopjax.function([x], h.sum()), [values], 0), rtol=1e-5, atol=1e-5
        )

    def test_equal_states_are_one(self):
        (h, g, k), _ = loopjax.scan(
            lambda a, h, g, k: [h * a + g, g * a + h, k * a + h], sequences=X, outputs_info=[ONE, ONE, ZERO]
        )
        graph = after([EliminateCommonLoopParts()], [X], [h, g, k])
        (loop,) = scans(graph)
        assert (len(loop.recurrences), len(loop.maps)) == (2, 0)
        assert graph.outputs[0] is graph.outputs[1]
        both([X], [h, g, k, loopjax.grad((h + 2 * g).sum(), X)], [np.arange(4.0)])

    def test_states_that_start_alike_and_differ_later_stay_two(self):
        (h, g), _ = loopjax.scan(lambda a, h, g: [h * a + g, g * a + h + 1e-3], sequences=X, outputs_info=[ONE, ONE])
        assert len(scans(after([EliminateCommonLoopParts()], [X], [h, g]))[0].recurrences) == 2

    def test_equal_states_of_which_one_keeps_the_last_row(self):
        (h, g), _ = loopjax.scan(lambda a, h, g: [h * a, g * a], sequences=X, outputs_info=[ONE, ONE])
        found, (loop,) = both([X], [h, g[-1]], [np.arange(1.0, 5)])
        assert (len(loop.recurrences), len(loop.maps)) == (1, 0)
        assert float(found[1]) == 24.0

    @pytest.mark.parametrize("backwards", [False, True])
    def test_outputs_that_stand_outside(self, backwards):
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

    def test_a_state_that_no_step_changes(self):
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

    def test_a_shared_variable_that_no_step_changes(self):
        fixed = loopjax.shared(np.float64(2.0), name="fixed")
        h, updates = loopjax.scan(lambda a, h: (h * fixed + a, {fixed: fixed}), sequences=X, outputs_info=ONE)
        f = loopjax.function([X], h, updates=updates)
        np.testing.assert_array_equal(f(np.zeros(4)), [2, 4, 8, 16])
        assert scans(f.stages[-1].programs[-1].graph)[0].n_states == 0
        assert fixed.get_value() == 2.0

    def test_truncated_gradients_do_not_flow_around_the_loop(self):
        (h, row, fixed), _ = loopjax.scan(
            lambda a, h, g: [h * a, a, g], sequences=X, outputs_info=[ONE, None, W], truncate_gradient=2
        )
        cost = h.sum() + row.sum() + fixed.sum()
        both([X, W], [cost, *loopjax.grad(cost, [X, W])], [np.arange(1.0, 5), 0.5])

    def test_draws_of_one_key_are_one(self):
        stream = at.random.RandomStream(5)
        (a, b), _ = loopjax.scan(lambda: [stream.normal(), stream.normal()], n_steps=5)
        first, second = loopjax.function([], [a, b])()
        assert not np.any(np.asarray(first) == np.asarray(second))


class TestInvariant:
    def test_moves_out_of_all_loops(self):
        def outer(a, h, w):
            r, _ = loopjax.scan(lambda u, v: [u * at.exp(v) + a, v], outputs_info=[h, w], n_steps=3)
            return [r[0][-1], w]

        (h, _), _ = loopjax.scan(outer, sequences=X, outputs_info=[ONE, W])
        passes = [EliminateCommonLoopParts(), HoistInvariants(), EliminateDeadCode()]
        assert text(after(passes, [X, W], [h])) == lines("""
            input x : float64(4,)
            input w : float64()
            %0 = exp(w) : float64()
            %1 = scan 'outer'[steps=4, sequence[0], recurrence[-1] keeps all](x, 1., %0) : float64(4,)
                input 1.x[t] : float64()
                input 1.in1 : float64()
                input 1.in2 : float64()
                %1.0 = scan 'scan'[steps=3, recurrence[-1] keeps last 1](1.in1, 1.x[t], 1.in2) : float64(1,)
                    input 1.0.in0 : float64()
                    input 1.0.x[t] : float64()
                    input 1.0.in2 : float64()
                    %1.0.0 = mul(1.0.in0, 1.0.in2) : float64()
                    %1.0.1 = add(%1.0.0, 1.0.x[t]) : float64()
                    return %1.0.1
                %1.1 = index[lengths=(), pattern=(('int', -1),)](%1.0) : float64()
                return %1.1
            return %1""")

    def test_a_whole_loop_moves_out(self):
        def outer(a, h, w):
            r, _ = loopjax.scan(lambda u: u * w, outputs_info=w, n_steps=3)
            return [h * a + r[-1], w]

        (h, _), _ = loopjax.scan(outer, sequences=X, outputs_info=[ONE, W])
        first, second = scans(after([EliminateCommonLoopParts(), HoistInvariants(), EliminateDeadCode()], [X, W], [h]))
        assert (first.n_steps, second.n_steps) == (3, 4)
        assert not scans(second.body)
        both([X, W], [h, loopjax.grad(h.sum(), W)], [np.arange(4.0), 0.5])

    def test_what_repeats_or_grows_stays(self):
        m = at.tensor("float64", shape=(100, 100), name="m")
        v = at.tensor("float64", shape=(100,), name="v")

        def step(a, h, m, v):
            return [h * a + at.dot(m.T, v) + (v.dimshuffle(0, "x") * v * h).sum(1), m, v]

        (h, _, _), _ = loopjax.scan(step, sequences=X, outputs_info=[at.zeros((100,), "float64"), m, v])
        graph = after([EliminateCommonLoopParts(), HoistInvariants(), EliminateDeadCode()], [X, m, v], [h])
        (loop,) = scans(graph)
        assert [node.op.name for node in graph.applies if node.op.name != "alloc"] == ["transpose", "dot", "scan"]
        assert [node.op.name for node in loop.body.applies].count("mul") == 3

    def test_nothing_that_may_fail_leaves_a_loop_that_may_not_run(self):
        n, i, v = at.lscalar("n"), at.lscalar("i"), at.dvector("v")
        (h, _, _), _ = loopjax.scan(
            lambda h, v, i: [h + at.exp(v[i]), v, i], outputs_info=[ZERO, v, i], n_steps=n, name="sum"
        )
        f = loopjax.function([n, v, i], h[-1:].sum(), check="index")
        assert float(f(2, np.zeros(3), 2)) == 2.0
        (loop,) = scans(f.stages[-1].programs[-1].graph)
        assert ("index" in [node.op.name for node in loop.body.applies]) == loop.dynamic
        with pytest.raises(IndexError, match="out of bounds"):
            f(2, np.zeros(3), 3)
        assert f(0, np.zeros(3), 3).shape == ()

    def test_gradients(self):
        (h, _), _ = loopjax.scan(
            lambda a, h, w: [at.tanh(h * at.exp(w) + a * at.sin(w)), w], sequences=X, outputs_info=[ONE, W]
        )
        values = [np.arange(4.0) / 4, 0.3]
        found, (loop,) = both([X, W], [loopjax.grad(h.sum(), W)], values)
        np.testing.assert_allclose(found[0], differences(loopjax.function([X, W], h.sum()), values, 1), rtol=1e-6)
        assert any("moved out" in note for note in loop.notes)


def test_constants_make_states_equal():
    """What folds to one constant starts states alike."""
    (h, g), _ = loopjax.scan(lambda a, h, g: [h * a, g * a], sequences=X, outputs_info=[ONE + 1.0, ONE * 2.0])
    (loop,) = scans(after([FoldConstants(), EliminateCommonLoopParts()], [X], [h, g]))
    assert len(loop.recurrences) == 1


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
