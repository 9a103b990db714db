"""Independent loops of one length as one."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.cse import EliminateCommonSubexpressions
from loopjax.rewrite.dce import EliminateDeadCode
from loopjax.rewrite.loop_fusion import FuseLoops
from loopjax.rewrite.scan_cse import EliminateCommonLoopParts
from loopjax.rewrite.target import Target
from tests.configured import configured
from tests.differences import differences
from tests.rewrite.sized import after, computed, lines, scans, text

GPU = Target(backend="gpu")
CPU = Target()
APART = Target(without=frozenset(["small_loops"]))
X = at.tensor("float64", shape=(4,), name="x")
Y = at.tensor("float64", shape=(4,), name="y")
ONE = at.constant(1.0, dtype="float64")
VALUES = [np.array([0.5, -1.0, 2.0, 1.5]), np.array([1.0, 3.0, -2.0, 0.25])]


def loop(fn, *sequences, start=ONE, **options):
    return loopjax.scan(fn, sequences=list(sequences), outputs_info=start, **options)[0]


def test_before_and_after():
    h = loop(lambda a, h: h * a, X)
    g = loop(lambda a, g: g - a, X)
    found = text(after([FuseLoops(GPU), EliminateCommonLoopParts()], [X], [h, g]))
    assert found.replace(", recurrence[-1] keeps all" * 2, ", twice") == lines("""
        input x : float64(4,)
        %0 = scan 'scan'[steps=4, sequence[0], twice](x, 1., 1.) : float64(4,), float64(4,)
            input 0.x[t] : float64()
            input 0.h : float64()
            input 0.g : float64()
            %0.0 = mul(0.h, 0.x[t]) : float64()
            %0.1 = sub(0.g, 0.x[t]) : float64()
            return %0.0, %0.1
        return %0:0, %0:1""")
    (op,) = scans(after([FuseLoops(GPU)], [X], [h, g]))
    assert any("merged with scan 'scan' [test_loop_fusion.py" in note for note in op.notes)


def test_of_many_those_that_need_one_another_stay_apart():
    a = loop(lambda x, h: h * x, X)
    b = loop(lambda x, h: h + x, a)
    c = loop(lambda x, h: h - x, Y)
    d = loop(lambda x, h: at.sin(h) + x, c)
    graph = after([FuseLoops(GPU)], [X, Y], [a, b, c, d])
    assert [len(one.recurrences) for one in scans(graph)] == [2, 2]
    found = computed(GPU, [X, Y], [a, b, c, d], VALUES)
    h, g, k, m = 1.0, 1.0, 1.0, 1.0
    for t in range(4):
        h *= VALUES[0][t]
        g += h
        k -= VALUES[1][t]
        m = np.sin(m) + k
        np.testing.assert_allclose([one[t] for one in found], [h, g, k, m], rtol=1e-12)


def test_no_cycle_is_made():
    """Merging a with d and b with c would have each of the two need the other."""
    a, b = loop(lambda x, h: h * x, X), loop(lambda x, h: h + x, Y)
    c, d = loop(lambda x, h: h - x, a), loop(lambda x, h: h * 2 + x, b)
    graph = after(
        [FuseLoops(GPU), EliminateCommonSubexpressions(), EliminateCommonLoopParts(), EliminateDeadCode()],
        [X, Y],
        [a, b, c, d],
    )
    assert len(scans(graph)) == 2


DIFFERENT = [
    {"go_backwards": True},
    {"truncate_gradient": 2},
    {"n_steps": 3},
    {"checkpoint": "sqrt"},
]


@pytest.mark.parametrize("options", DIFFERENT, ids=str)
def test_loops_of_other_options_stay_apart(options):
    h, g = loop(lambda a, h: h * a, X), loop(lambda a, g: g - a, X, **options)
    assert len(scans(after([FuseLoops(GPU)], [X], [h, g]))) == 2


def test_loops_without_recurrence_and_with_until_stay_apart():
    h = loop(lambda a, h: h * a, X)
    doubled = loopjax.map(lambda a: a * 2, X)[0]
    stopping = loop(lambda a, g: (g - a, loopjax.until(g < -5)), X)
    assert len(scans(after([FuseLoops(GPU)], [X], [h, doubled, stopping.sum()]))) == 3


class TestBySize:
    def test_on_a_cpu_the_smallest_merge(self):
        h, g = loop(lambda a, h: h * a, X), loop(lambda a, g: g - a, X)
        assert len(scans(after([FuseLoops(CPU)], [X], [h, g]))) == 1

    def test_larger_ones_do_on_a_gpu_alone(self):
        x = at.tensor("float64", shape=(4, 50), name="x")
        start = at.ones((50,), "float64")
        h, g = loop(lambda a, h: h * a, x, start=start), loop(lambda a, g: g - a, x, start=start)
        assert len(scans(after([FuseLoops(CPU)], [x], [h, g]))) == 2
        assert len(scans(after([FuseLoops(GPU)], [x], [h, g]))) == 1

    def test_the_largest_on_neither(self):
        h, g = loop(lambda a, h: h * a, X), loop(lambda a, g: g - a, X)
        assert len(scans(after([FuseLoops(GPU, most_gpu_bytes=10)], [X], [h, g]))) == 2

    def test_under_a_derivative_less(self):
        hs = [loop(lambda a, h, k=k: at.sin(h * a) * k + at.cos(h), X) for k in range(1, 6)]
        cost = sum(h.sum() for h in hs)
        without = after([FuseLoops(APART)], [X], [cost])
        with_ = after([FuseLoops(APART)], [X], [loopjax.grad(cost, X)])
        assert len(scans(without)) < len(scans(with_))

    def test_what_shares_most_of_its_work_merges_on_a_cpu_too(self):
        x, w = at.tensor("float64", shape=(4, 50), name="x"), at.tensor("float64", shape=(50, 50), name="w")
        start = at.zeros((50,), "float64")
        h = loop(lambda a, h, w: at.tanh(at.dot(h, w) + a), x, start=start, non_sequences=w)
        (g, read), _ = loopjax.scan(
            lambda a, g, w: [at.tanh(at.dot(g, w) + a), (g * g).sum()],
            sequences=x,
            outputs_info=[start, None],
            non_sequences=w,
        )
        k = loop(lambda a, h, w: at.tanh(at.dot(w, h) - a), x, start=start, non_sequences=w)
        graph = after(
            [
                FuseLoops(CPU),
                EliminateCommonSubexpressions(),
                EliminateCommonLoopParts(),
                EliminateCommonSubexpressions(),
                EliminateDeadCode(),
            ],
            [x, w],
            [h, g, read, k],
        )
        assert [len(one.recurrences) for one in scans(graph)] == [1, 1]
        rng = np.random.default_rng(0)
        values = [rng.normal(size=(4, 50)), rng.normal(size=(50, 50)) / 7]
        found = computed(CPU, [x, w], [h, g, read], values)
        state = np.zeros(50)
        for t in range(4):
            np.testing.assert_allclose(found[2][t], (state**2).sum(), rtol=1e-12)
            state = np.tanh(state @ values[1] + values[0][t])
            np.testing.assert_allclose(found[0][t], state, rtol=1e-12)
            np.testing.assert_allclose(found[1][t], state, rtol=1e-12)


class TestNumbers:
    """Whole programs as they are rewritten for a GPU, against plain loops."""

    def test_taps_folds_and_gradients(self):
        start = at.tensor("float64", shape=(2,), name="start")
        h = loop(lambda a, h2, h1: h2 * a + h1, X, start={"initial": start, "taps": [-2, -1]})
        g = loop(lambda a, b, g: g * a + b, {"input": Y, "taps": [0]}, X)
        cost = (h * 2).sum() + (g**2).sum()
        outputs = [h, g[-1], *loopjax.grad(cost, [X, Y, start])]
        values = [*VALUES, np.array([1.0, 2.0])]
        found = computed(GPU, [X, Y, start], outputs, values)
        pasts, state = [1.0, 2.0], 1.0
        for t in range(4):
            pasts.append(pasts[-2] * VALUES[0][t] + pasts[-1])
            state = state * VALUES[1][t] + VALUES[0][t]
        np.testing.assert_allclose(found[0], pasts[2:], rtol=1e-12)
        np.testing.assert_allclose(found[1], state, rtol=1e-12)
        f = loopjax.function([X, Y, start], cost)
        for position, gradient in enumerate(found[2:]):
            np.testing.assert_allclose(gradient, differences(f, values, position), rtol=1e-5)

    def test_shared_updates_and_draws(self):
        def program():
            count, total = loopjax.shared(np.float64(0.0)), loopjax.shared(np.float64(0.0))
            stream = at.random.RandomStream(7)
            a, first = loopjax.scan(lambda x, h: (h + stream.normal(dtype="float64"), {count: count + x}), X, ONE)
            b, second = loopjax.scan(lambda x, h: (h * stream.normal(dtype="float64"), {total: total - x}), X, ONE)
            updates = {**first, **second}
            return [X], [a, b], updates, (count, total)

        results = []
        for mode in (None, loopjax.Mode().excluding("loop_fusion")):
            inputs, outputs, updates, shared = program()
            f = loopjax.function(inputs, outputs, updates=updates, mode=mode)
            with configured(FuseLoops(most_bytes=10**6)):
                runs = [f(VALUES[0]) for _ in range(2)]
            results.append((runs, [float(one.get_value()) for one in shared]))
            loops = [op for op in scans(f.stages[-1].programs[-1].graph) if op.recurrences]
            assert len(loops) == (1 if mode is None else 2)
        np.testing.assert_array_equal(results[0][0], results[1][0])
        assert results[0][1] == results[1][1] == [6.0, -6.0]
        assert not np.array_equal(results[0][0][0], results[0][0][1])

    def test_in_bodies(self):
        def outer(a, h):
            r = loopjax.scan(lambda u: u * a, outputs_info=h, n_steps=3)[0]
            s = loopjax.scan(lambda u: u - a, outputs_info=h, n_steps=3)[0]
            return at.sin(r[-1] + s[-1])

        h = loop(outer, X)
        graph = after([FuseLoops(GPU)], [X], [h])
        assert [len(one.recurrences) for one in scans(graph)] == [1, 2]
        found, gradient = computed(GPU, [X], [h, loopjax.grad(h.sum(), X)], VALUES[:1])
        state = 1.0
        for t, a in enumerate(VALUES[0]):
            r = s = state
            for _ in range(3):
                r, s = r * a, s - a
            state = np.sin(r + s)
            np.testing.assert_allclose(found[t], state, rtol=1e-12)
        np.testing.assert_allclose(gradient, differences(loopjax.function([X], h.sum()), VALUES[:1], 0), rtol=1e-6)

    def test_loops_of_a_run_time_length(self):
        n = at.lscalar("n")
        a = loopjax.scan(lambda h: h * 2, outputs_info=ONE, n_steps=n)[0]
        b = loopjax.scan(lambda h: h + 3, outputs_info=ONE, n_steps=n)[0]
        f = loopjax.function([n], [a[-1], b[-1]])
        assert [[float(one) for one in f(count)] for count in (1, 5)] == [[2.0, 4.0], [32.0, 16.0]]
        (op,) = scans(f.stages[-1].programs[-1].graph)
        assert op.dynamic

    def test_one_body_in_two_loops(self):
        """Equal loops over two arrays may hold one and the same body."""
        outputs = [loop(lambda a, h: at.sin(h) * a, one) for one in (X, Y)]
        found = computed(GPU, [X, Y], outputs, VALUES)
        for stack, values in zip(found, VALUES, strict=True):
            state = 1.0
            for t, a in enumerate(values):
                state = np.sin(state) * a
                np.testing.assert_allclose(stack[t], state, rtol=1e-12)


class TestThresholds:
    def loops(self, step, gradient=False):
        h, g = loop(lambda a, h: h * a, X), loop(lambda a, g: g - a, X)
        outputs = [h, g, loopjax.grad((h + g).sum(), X)] if gradient else [h, g]
        return len(scans(after([step], [X], outputs)))

    # Each step reads a state and a row and computes one value: 24 bytes, 48 of both.
    @pytest.mark.parametrize(("limit", "left"), [(48, 1), (47, 2)])
    def test_on_a_cpu(self, limit, left):
        assert self.loops(FuseLoops(APART, most_bytes=limit, most_derivative_bytes=0)) == left

    @pytest.mark.parametrize(("limit", "left"), [(48, 1), (47, 2)])
    def test_outlined(self, limit, left):
        assert self.loops(FuseLoops(most_bytes=limit, most_derivative_bytes=0), gradient=True) == left

    @pytest.mark.parametrize(("limit", "left"), [(48, 1), (47, 2)])
    def test_under_a_derivative(self, limit, left):
        assert self.loops(FuseLoops(APART, most_bytes=0, most_derivative_bytes=limit), gradient=True) == left

    @pytest.mark.parametrize(("limit", "left"), [(24, 1), (23, 2)])
    def test_on_a_gpu(self, limit, left):
        assert self.loops(FuseLoops(GPU, most_gpu_bytes=limit)) == left

    @pytest.mark.parametrize(("limit", "left"), [(2, 1), (1, 2)])
    def test_of_many_loops(self, limit, left):
        assert self.loops(FuseLoops(most_loops=limit)) == left

    # Each loop's traffic is 104 bytes, 88 of them for the state that both have.
    @pytest.mark.parametrize(("part", "left"), [(0.8, 1), (0.9, 2)])
    def test_where_work_is_shared(self, part, left):
        outputs = [
            loopjax.scan(lambda a, h, op=op: [at.tanh(h * a + 0.5) * a, op(h)], X, [ONE, None])[0][1]
            for op in (at.exp, at.sin)
        ]
        assert len(scans(after([FuseLoops(APART, most_bytes=0, least_shared=part)], [X], outputs))) == left
