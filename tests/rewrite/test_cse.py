"""Common-subexpression elimination."""

import numpy as np

import loopjax
import loopjax.tensor as at
from loopjax.ir.graph import Graph
from loopjax.ir.printing import graph_text
from loopjax.rewrite.cse import EliminateCommonSubexpressions
from tests.rewrite.sized import lines, symbolically


def test_equal_nodes_become_one_with_both_lines():
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


def test_constants_by_type_and_bytes():
    values = [np.int64(1), 1.0, True, 0.0, -0.0, np.int64(0), np.zeros(1)]
    different = [at.constant(value).copy() for value in values]
    same = [at.constant(value).copy() for value in values]
    graph = EliminateCommonSubexpressions()(Graph([], different + same))
    assert len(graph.applies) == len(values)


def test_bodies_up_to_renaming():
    x = at.dvector("x")
    first, _ = loopjax.scan(lambda a, h: h * a + 1, sequences=x, outputs_info=at.constant(0.0, dtype="float64"))
    other, _ = loopjax.scan(lambda b, g: g * b + 1, sequences=x, outputs_info=at.constant(0.0, dtype="float64"))
    unlike, _ = loopjax.scan(lambda b, g: g * b + 2, sequences=x, outputs_info=at.constant(0.0, dtype="float64"))
    assert symbolically([EliminateCommonSubexpressions()], [x], [first, other, unlike]).count("scan '") == 2


def test_what_a_gradient_is_taken_of_stays_itself():
    x = at.dvector("x")
    y, z = x * 2, x * 2
    text = symbolically([EliminateCommonSubexpressions()], [x], [loopjax.grad((y + z).sum(), y)])
    assert text.count("mul(") == 2


def test_draws_of_one_key_are_equal_and_of_two_keys_are_not():
    stream = at.random.RandomStream(1)
    a, b = stream.normal(size=(2,)), stream.normal(size=(2,))
    graph = EliminateCommonSubexpressions()(Graph([a.owner.inputs[0], b.owner.inputs[0]], [a, b]))
    assert len(graph.applies) == 2
