"""Each pass on small graphs, as text before and after."""

import textwrap

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.graph import Graph
from loopjax.ir.printing import graph_text
from loopjax.ir.verify import InvalidGraph, verify
from loopjax.rewrite.cse import EliminateCommonSubexpressions
from loopjax.rewrite.differentiate import FormDifferentiatedRegions
from loopjax.rewrite.driver import rewrite
from loopjax.rewrite.pipeline import symbolic


def after(steps, inputs, outputs):
    graph = rewrite(Graph(inputs, outputs), steps)
    verify(graph)
    return graph_text(graph)


def lines(text):
    return textwrap.dedent(text).strip("\n")


class TestMerge:
    def test_equal_nodes_become_one_with_both_lines(self):
        x = at.dvector("x")
        y = at.exp(x)
        z = at.exp(x)
        graph = EliminateCommonSubexpressions()(Graph([x], [y * 2 + z]))
        assert graph_text(graph) == lines("""
            input x : float64(?,)
            %0 = exp(x) : float64(?,)
            %1 = mul(%0, 2.) : float64(?,)
            %2 = add(%1, %0) : float64(?,)
            return %2""")
        assert len(graph.applies[0].sources) == 2

    def test_constants_by_type_and_bytes(self):
        values = [np.int64(1), 1.0, True, 0.0, -0.0]
        different = [at.constant(value).copy() for value in values]
        same = [at.constant(value).copy() for value in values]
        graph = EliminateCommonSubexpressions()(Graph([], different + same))
        assert len(graph.applies) == len(values)

    def test_bodies_up_to_renaming(self):
        x = at.dvector("x")
        first, _ = loopjax.scan(lambda a, h: h * a + 1, sequences=x, outputs_info=at.constant(0.0, dtype="float64"))
        other, _ = loopjax.scan(lambda b, g: g * b + 1, sequences=x, outputs_info=at.constant(0.0, dtype="float64"))
        unlike, _ = loopjax.scan(lambda b, g: g * b + 2, sequences=x, outputs_info=at.constant(0.0, dtype="float64"))
        assert after([EliminateCommonSubexpressions()], [x], [first, other, unlike]).count("scan '") == 2

    def test_what_a_gradient_is_taken_of_stays_itself(self):
        x = at.dvector("x")
        y, z = x * 2, x * 2
        text = after([EliminateCommonSubexpressions()], [x], [loopjax.grad((y + z).sum(), y)])
        assert text.count("mul(") == 2

    def test_draws_of_one_key_are_equal_and_of_two_keys_are_not(self):
        stream = at.random.RandomStream(1)
        a, b = stream.normal(size=(2,)), stream.normal(size=(2,))
        graph = EliminateCommonSubexpressions()(Graph([a.owner.inputs[0], b.owner.inputs[0]], [a, b]))
        assert len(graph.applies) == 2


class TestGather:
    def test_gradients_asked_one_by_one_are_one_region(self):
        x, h = at.dvector("x"), at.dscalar("h")
        y = at.exp(x) * h
        cost = y.sum()
        outputs = [cost, y, loopjax.grad(cost, x), loopjax.grad(cost, h)]
        assert after(
            [EliminateCommonSubexpressions(), FormDifferentiatedRegions(), EliminateCommonSubexpressions()],
            [x, h],
            outputs,
        ) == lines("""
            input x : float64(?,)
            input h : float64()
            %0 = linearize[wrt=2, costs=1](x, h) : float64(), float64(?,), residual()
                input 0.x : float64(?,)
                input 0.h : float64()
                %0.0 = exp(0.x) : float64(?,)
                %0.1 = mul(%0.0, 0.h) : float64(?,)
                %0.2 = sum[axis=(0,), dtype=float64, keepdims=False](%0.1) : float64()
                return %0.2, %0.1
            %1 = pullback(%0:2, 1.) : float64(?,), float64()
            return %0:0, %0:1, %1:0, %1:1""")

    def test_an_inner_variable_is_marked(self):
        x = at.dvector("x")
        y = at.exp(x)
        cost = (y**2).sum()
        text = after([FormDifferentiatedRegions()], [x], [loopjax.grad(cost, x), loopjax.grad(cost, y)])
        assert "perturb[index=0]" in text
        assert text.count("linearize[") == 1

    def test_costs_that_share_work_share_a_region_and_others_do_not(self):
        x, w = at.dvector("x"), at.dvector("w")
        y = at.exp(x)
        shared = [loopjax.grad(y.sum(), x), loopjax.grad((y**2).sum(), x)]
        assert (
            after([EliminateCommonSubexpressions(), FormDifferentiatedRegions()], [x], shared).count("linearize[") == 1
        )
        apart = [loopjax.grad(y.sum(), x), loopjax.grad(at.sin(w).sum(), w)]
        assert (
            after([EliminateCommonSubexpressions(), FormDifferentiatedRegions()], [x, w], apart).count("linearize[")
            == 2
        )

    def test_a_gradient_of_a_gradient_nests(self):
        x = at.dscalar("x")
        second = loopjax.grad(loopjax.grad(at.sin(x), x), x)
        text = after([FormDifferentiatedRegions()], [x], [second])
        assert text.count("linearize[") == 2
        assert "gradient(" not in text


def test_the_verifier_finds_a_foreign_variable_and_a_wrong_type():
    x, y = at.dvector("x"), at.dvector("y")
    with pytest.raises(InvalidGraph, match="not of this graph after test"):
        verify(Graph([x], [x + y]), after="test")
    with pytest.raises(InvalidGraph, match="is not computed"):
        verify(Graph([x], [y]))
    node = (x + x).owner
    node.outputs[0].type = node.outputs[0].type.with_dtype("int8")
    with pytest.raises(InvalidGraph, match="other types"):
        verify(Graph([x], [node.outputs[0]]))


def test_no_pass_recurses_along_the_depth():
    x = at.dscalar("x")
    y = x
    for _ in range(5000):
        y = at.sin(y)
    graph = rewrite(Graph([x], [y, loopjax.grad(y, x)]), symbolic())
    assert len(graph.outputs) == 2
