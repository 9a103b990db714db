"""Loop-invariant code motion."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.dce import EliminateDeadCode
from loopjax.rewrite.licm import HoistInvariants
from loopjax.rewrite.scan_cse import EliminateCommonLoopParts
from tests.differences import differences
from tests.rewrite.compared import both
from tests.rewrite.sized import after, lines, scans, text

X = at.tensor("float64", shape=(4,), name="x")
W = at.tensor("float64", name="w")
ZERO = at.constant(0.0, dtype="float64")
ONE = at.constant(1.0, dtype="float64")


def test_moves_out_of_all_loops():
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
            input 1.h : float64()
            input 1.in2 : float64()
            %1.0 = scan 'scan'[steps=3, recurrence[-1] keeps last 1](1.h, 1.x[t], 1.in2) : float64(1,)
                input 1.0.h[t-1] : float64()
                input 1.0.x[t] : float64()
                input 1.0.in2 : float64()
                %1.0.0 = mul(1.0.h[t-1], 1.0.in2) : float64()
                %1.0.1 = add(%1.0.0, 1.0.x[t]) : float64()
                return %1.0.1
            %1.1 = index[-1](%1.0) : float64()
            return %1.1
        return %1""")


def test_a_whole_loop_moves_out():
    def outer(a, h, w):
        r, _ = loopjax.scan(lambda u: u * w, outputs_info=w, n_steps=3)
        return [h * a + r[-1], w]

    (h, _), _ = loopjax.scan(outer, sequences=X, outputs_info=[ONE, W])
    first, second = scans(after([EliminateCommonLoopParts(), HoistInvariants(), EliminateDeadCode()], [X, W], [h]))
    assert (first.n_steps, second.n_steps) == (3, 4)
    assert not scans(second.body)
    both([X, W], [h, loopjax.grad(h.sum(), W)], [np.arange(4.0), 0.5])


def test_what_repeats_or_grows_stays():
    m = at.tensor("float64", shape=(100, 100), name="m")
    v = at.tensor("float64", shape=(100,), name="v")

    def step(a, h, m, v):
        return [h * a + at.dot(m.T, v) + (v.dimshuffle(0, "x") * v * h).sum(1), m, v]

    (h, _, _), _ = loopjax.scan(step, sequences=X, outputs_info=[at.zeros((100,), "float64"), m, v])
    graph = after([EliminateCommonLoopParts(), HoistInvariants(), EliminateDeadCode()], [X, m, v], [h])
    (loop,) = scans(graph)
    assert [node.op.name for node in graph.applies if node.op.name != "alloc"] == ["transpose", "dot", "scan"]
    assert [node.op.name for node in loop.body.applies].count("mul") == 3


def test_nothing_that_may_fail_leaves_a_loop_that_may_not_run():
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


def test_gradients():
    (h, _), _ = loopjax.scan(
        lambda a, h, w: [at.tanh(h * at.exp(w) + a * at.sin(w)), w], sequences=X, outputs_info=[ONE, W]
    )
    values = [np.arange(4.0) / 4, 0.3]
    found, (loop,) = both([X, W], [loopjax.grad(h.sum(), W)], values)
    np.testing.assert_allclose(found[0], differences(loopjax.function([X, W], h.sum()), values, 1), rtol=1e-6)
    assert any("moved out" in note for note in loop.notes)


def hoisted(step, **limits):
    """The graph of a loop whose steps get ``W`` as a state that they do not change."""
    (h, _), _ = loopjax.scan(step, sequences=X, outputs_info=[at.zeros((8,), "float64"), W])
    return after([EliminateCommonLoopParts(), HoistInvariants(**limits), EliminateDeadCode()], [X, W], [h])


def test_before_and_after():
    assert text(hoisted(lambda a, h, w: [h * a + at.exp(w), w])) == lines("""
        input x : float64(4,)
        input w : float64()
        %0 = alloc[lengths=(8,)](0.) : float64(8,)
        %1 = exp(w) : float64()
        %2 = scan 'scan'[steps=4, sequence[0], recurrence[-1] keeps all](x, %0, %1) : float64(4, 8)
            input 2.x[t] : float64()
            input 2.h : float64(8,)
            input 2.in2 : float64()
            %2.0 = mul(2.h, 2.x[t]) : float64(8,)
            %2.1 = add(%2.0, 2.in2) : float64(8,)
            return %2.1
        return %2""")


@pytest.mark.parametrize(("limit", "left"), [(8 * 8 * 8, ["sin", "add"]), (8 * 8 * 8 - 1, ["sin", "mul", "add"])])
def test_a_large_elementwise_result_of_small_inputs_stays(limit, left):
    v = at.tensor("float64", shape=(8,), name="v")
    (h, _), _ = loopjax.scan(
        lambda h, v: [at.sin(h) + v.dimshuffle(0, "x") * v, v], outputs_info=[at.zeros((8, 8), "float64"), v], n_steps=3
    )
    (op,) = scans(after([EliminateCommonLoopParts(), HoistInvariants(most_bytes=limit)], [v], [h]))
    assert [node.op.name for node in op.body.applies if not node.op.has("view")] == left


def test_less_than_twice_the_bytes_of_its_inputs_is_no_growth():
    v, u = at.tensor("float64", shape=(8,), name="v"), at.tensor("float64", shape=(2,), name="u")
    (h, _, _), _ = loopjax.scan(
        lambda h, v, u: [at.sin(h) + v.dimshuffle(0, "x") * u, v, u],
        outputs_info=[at.zeros((8, 2), "float64"), v, u],
        n_steps=3,
    )
    (op,) = scans(after([EliminateCommonLoopParts(), HoistInvariants(most_bytes=0)], [v, u], [h]))
    assert [node.op.name for node in op.body.applies] == ["sin", "add"]


def test_an_index_stays_in_a_loop_that_may_run_no_step():
    n, i, v = at.lscalar("n"), at.lscalar("i"), at.tensor("float64", shape=(8,), name="v")
    (h, _), _ = loopjax.scan(lambda h, v: [h * at.exp(v[i]) + at.exp(v).sum(), v], outputs_info=[ONE, v], n_steps=n)
    (op,) = scans(after([EliminateCommonLoopParts(), HoistInvariants()], [n, i, v], [h[-1]]))
    assert op.dynamic
    assert [node.op.name for node in op.body.applies] == ["index", "exp", "mul", "add"]


@pytest.mark.parametrize(("steps", "left"), [(1, ["exp", "mul"]), (2, ["mul"])])
def test_not_out_of_a_loop_of_one_step(steps, left):
    (h, _), _ = loopjax.scan(lambda h, w: [h * at.exp(w), w], outputs_info=[ONE, W], n_steps=steps)
    (op,) = scans(after([EliminateCommonLoopParts(), HoistInvariants(), EliminateDeadCode()], [W], [h]))
    assert [node.op.name for node in op.body.applies] == left
