"""Conditionals of lazy switches: one branch is computed, under derivatives and in loops too."""

import jax
import numpy as np
import pytest

import loopjax
import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as T
from loopjax.compat.theano.gof import Apply, Op
from loopjax.compat.theano.ifelse import ifelse
from loopjax.compat.theano.tensor.shared_randomstreams import RandomStreams
from loopjax.ir.cond import IfElse
from loopjax.rewrite.branches import FormConditionals
from tests.rewrite.sized import after, float64, lines, scans, text

CALLS = []


class Sine(Op):
    """The sine, computed on the host, which notes its calls."""

    __props__ = ("branch",)

    def __init__(self, branch):
        self.branch = branch

    def make_node(self, x):
        x = T.as_tensor_variable(x)
        return Apply(self, [x], [x.type()])

    def infer_shape(self, fgraph, node, shapes):
        return shapes

    def perform(self, node, inputs, output_storage):
        CALLS.append(self.branch)
        output_storage[0][0] = np.asarray(np.sin(inputs[0]))

    def grad(self, inputs, output_gradients):
        return [output_gradients[0] * T.cos(inputs[0])]


FIRST, SECOND = Sine("first"), Sine("second")
C, X, M, N = T.dscalar("c"), T.dvector("x"), T.dmatrix("m"), T.lscalar("n")
VALUES = np.array([-1.0, 1.0, 2.0, -3.0])


def called(f, *args):
    """The result of a call, and which branches it computed."""
    CALLS.clear()
    result = jax.block_until_ready(f(*args))
    return result, sorted(CALLS)


def loop(fn, start, steps=3):
    return theano.scan(fn, outputs_info=start, n_steps=steps)[0][-1]


def conditionals(graph):
    """The number of conditionals of a graph, those in regions included."""
    regions = [region for node in graph.applies for region in node.op.regions]
    return sum(isinstance(node.op, IfElse) for node in graph.applies) + sum(map(conditionals, regions))


def test_before_and_after():
    c, m = float64("c"), float64("m", 2, 2)
    chosen = ifelse(loopjax.tensor.gt(c, 0), loopjax.tensor.dot(m, m) + c, m)
    assert text(after([FormConditionals()], [c, m], [chosen])) == lines("""
        input c : float64()
        input m : float64(2, 2)
        %0 = gt(c, 0.) : bool()
        %1 = ifelse(%0, m, c) : float64(2, 2)
            input 1.m : float64(2, 2)
            input 1.c : float64()
            %1.0 = dot(1.m, 1.m) : float64(2, 2)
            %1.1 = add(%1.0, 1.c) : float64(2, 2)
            return %1.1
            input 1.m : float64(2, 2)
            input 1.c : float64()
            return 1.m
        return %1""")


def test_switches_of_one_condition_share_a_conditional_unless_one_needs_the_other():
    c, m = float64("c"), float64("m", 2, 2)
    dot, gt = loopjax.tensor.dot, loopjax.tensor.gt
    a, b = ifelse(gt(c, 0), [dot(m, m), m], [m, dot(m, m.T)])
    count = lambda *outputs: conditionals(after([FormConditionals()], [c, m], outputs))  # noqa: E731
    assert count(a, b) == 1
    assert count(a, b, ifelse(gt(c, 0), dot(b, b), b)) == 2
    # Of two pairs, each would need a value of the other.
    p, q = gt(c, 1), gt(c, 2)
    first, fourth = ifelse(p, dot(m, m), m), ifelse(q, dot(m, m.T), m)
    assert count(first, fourth, ifelse(q, dot(first, m), m), ifelse(p, dot(fourth, m), m)) == 3


@pytest.mark.parametrize("elsewhere", [True, False])
def test_what_is_read_elsewhere_or_costs_nothing_stays(elsewhere):
    c, m = float64("c"), float64("m", 2, 2)
    product = loopjax.tensor.dot(m, m) if elsewhere else loopjax.tensor.tanh(m)
    graph = after([FormConditionals()], [c, m], [ifelse(c, product, m), product])
    assert conditionals(graph) == 0


def test_one_branch_is_computed():
    y = ifelse(C > 0, FIRST(X).sum(), SECOND(X * 2).sum())
    f = theano.function([C, X], y)
    for c, expected, branch in ((1.0, np.sin(VALUES), "first"), (-1.0, np.sin(2 * VALUES), "second")):
        result, calls = called(f, c, VALUES)
        np.testing.assert_allclose(result, expected.sum(), rtol=1e-12)
        assert calls == [branch]


def test_nested_choices():
    a, b = ifelse(C > 0, [FIRST(X), X], [SECOND(X), X * 2])
    y = ifelse(C > 1, FIRST(a * b).sum(), SECOND(a + b).sum())
    f = theano.function([C, X], [y, theano.grad(y, X)])
    sine, cosine = np.sin(VALUES), np.cos(VALUES)
    (value, slope), calls = called(f, 2.0, VALUES)
    np.testing.assert_allclose(value, np.sin(sine * VALUES).sum(), rtol=1e-12)
    np.testing.assert_allclose(slope, np.cos(sine * VALUES) * (cosine * VALUES + sine), rtol=1e-12)
    assert set(calls) == {"first"}
    (value, slope), calls = called(f, 0.5, VALUES)
    np.testing.assert_allclose(value, np.sin(sine + VALUES).sum(), rtol=1e-12)
    assert set(calls) == {"first", "second"}
    (value, slope), calls = called(f, -1.0, VALUES)
    np.testing.assert_allclose(slope, np.cos(sine + 2 * VALUES) * (cosine + 2), rtol=1e-12)
    assert set(calls) == {"second"}


def test_a_gradient_needs_the_branch_that_is_taken_only():
    w = T.dscalar("w")
    y = ifelse(C > 0, FIRST(X).sum() * w, w)  # the sine does not depend on w
    f = theano.function([C, X, w], theano.grad(y, w))
    slope, calls = called(f, 1.0, VALUES, 3.0)
    np.testing.assert_allclose(slope, np.sin(VALUES).sum(), rtol=1e-12)
    assert calls == ["first"]
    assert called(f, -1.0, VALUES, 3.0) == (1.0, [])


def test_a_gradient_in_a_branch_stays_with_the_values_that_it_needs():
    w = T.dscalar("w")
    cost = loop(lambda s: T.sin(s * w), w)
    apart = theano.function([w], [cost, theano.grad(cost, w)])
    for shares in (False, True):
        y = ifelse(C > 0, theano.grad(cost, w), C)
        f = theano.function([C, w], [y, cost] if shares else [y])
        value, slope = apart(0.5)
        assert f(-1.0, 0.5)[0] == -1.0
        np.testing.assert_allclose(f(1.0, 0.5), [slope, value] if shares else [slope], rtol=1e-12)
    z = theano.function([C, w], theano.grad(ifelse(C > 0, theano.grad(cost, w) * w, w * 3), w))
    h = 1e-5
    second = (apart(0.5 + h)[1] - apart(0.5 - h)[1]) / (2 * h)
    np.testing.assert_allclose(z(1.0, 0.5), apart(0.5)[1] + 0.5 * second, rtol=1e-8)
    assert z(-1.0, 0.5) == 3.0


def test_steps_of_a_loop_compute_their_own_branch():
    o, _ = theano.scan(lambda t: ifelse(t > 0, FIRST(t), SECOND(t)), sequences=X)
    result, calls = called(theano.function([X], o), VALUES)
    np.testing.assert_allclose(result, np.sin(VALUES), rtol=1e-12)
    assert calls == ["first", "first", "second", "second"]
    slope = theano.function([X], theano.grad(o.sum(), X))(VALUES)
    np.testing.assert_allclose(slope, np.cos(VALUES), rtol=1e-12)


def reference(x, n):
    h = 1.0
    for t in x:
        if t > 0:
            for _ in range(n):
                h = np.sin(h) + t
        else:
            h = h * t
    return h


@pytest.mark.parametrize("check", [None, "index"])
def test_loops_in_branches_of_loops(check):
    one = T.constant(1.0)
    inside = lambda h, t: loop(lambda s: T.sin(s) + t, h, N)  # noqa: E731
    o, _ = theano.scan(lambda t, h: ifelse(t > 0, inside(h, t), h * t), sequences=X, outputs_info=one)
    f = loopjax.function([X, N], [o[-1], theano.grad(o[-1], X)], check=check)
    h = 1e-6
    for n in (3, 2, 5, 4):
        value, slope = f(VALUES, n)
        np.testing.assert_allclose(value, reference(VALUES, n), rtol=1e-12)
        moved = [reference(VALUES + d, n) - reference(VALUES - d, n) for d in h * np.eye(len(VALUES))]
        np.testing.assert_allclose(slope, np.array(moved) / (2 * h), rtol=1e-6)
    assert any(scan.body.holds(lambda node: isinstance(node.op, IfElse)) for scan in planned_loops(f))


def planned_loops(f):
    graph = f.stages[0].programs[-1].graph
    regions = [graph, *(region for node in graph.applies for region in node.op.regions)]
    return [scan for region in regions for scan in scans(region)]


def test_draws_are_those_of_a_switch():
    def drawn(choose):
        stream = RandomStreams(3)
        fn = lambda t: choose(t > 0, T.dot(M, stream.normal((2, 2))).sum(), stream.uniform((2, 2)).sum())  # noqa: E731
        o, updates = theano.scan(fn, sequences=X)
        f = theano.function([X, M], o, updates=updates)
        return [f(VALUES, np.eye(2)), f(VALUES, np.eye(2))]

    np.testing.assert_allclose(drawn(ifelse), drawn(T.switch), rtol=1e-14)  # sums of the same draws


def test_an_assertion_counts_in_its_branch_only():
    checked = T.opt.Assert("negative")
    y = ifelse(C > 0, C, checked(T.exp(C), C > -2))
    f = theano.function([C], [y, theano.grad(y, C)])
    assert f(4.0) == [4.0, 1.0]
    with pytest.raises(AssertionError, match="negative"):
        f(-3.0)


def test_operands_are_brought_to_one_type():
    p, q = ifelse(C > 0, [T.dot(M, M), T.constant(3)], [T.constant(np.ones((1, 2))), T.constant(2.5)])
    m = T.TensorType("float64", shape=(2, 2))("m")
    f = theano.function([C, m], theano.clone([p, q], {M: m}))
    np.testing.assert_array_equal(f(1.0, 2 * np.eye(2))[0], 4 * np.eye(2))
    np.testing.assert_array_equal(f(-1.0, 2 * np.eye(2))[0], np.ones((2, 2)))
    assert [f(c, np.eye(2))[1] for c in (1.0, -1.0)] == [3.0, 2.5]


def test_a_mode_may_leave_it_out():
    y = ifelse(C > 0, FIRST(X).sum(), SECOND(X).sum())
    f = loopjax.function([C, X], y, mode=loopjax.Mode().excluding("branches"))
    result, calls = called(f, 1.0, VALUES)
    np.testing.assert_allclose(result, np.sin(VALUES).sum(), rtol=1e-12)
    assert calls == ["first", "second"]
