"""Closure conversion: what goes inside of a region, and what is captured."""

import loopjax
import loopjax.tensor as at
from loopjax.trace.region import close_region


def names(graph):
    return [node.op.name for node in graph.applies]


def test_what_does_not_depend_on_the_inputs_stays_outside_as_a_whole():
    x, w = at.dvector("x"), at.dvector("w")
    outer = at.exp(at.sin(w))
    closed = close_region([x * outer + w], [x], 0)
    assert names(closed.graph) == ["mul", "add"]
    assert closed.captured == (outer, w)
    assert [variable.type for variable in closed.graph.inputs] == [x.type, outer.type, w.type]


def test_constants_go_inside():
    x = at.dvector("x")
    closed = close_region([x + at.sqrt(at.constant(2.0))], [x], 0)
    assert "sqrt" in names(closed.graph)
    assert closed.captured == ()


def test_an_output_from_outside_is_captured():
    x, w = at.dvector("x"), at.dvector("w")
    outer = at.sin(w)
    closed = close_region([outer], [x], 0)
    assert names(closed.graph) == []
    assert closed.captured == (outer,)
    assert closed.graph.outputs == (closed.graph.inputs[1],)


def test_a_derivative_takes_its_path_inside():
    """Outside, the path from w to the cost would be computed and nothing left to differentiate."""
    x, w = at.dscalar("x"), at.dscalar("w")
    cost = at.exp(at.sin(w))
    closed = close_region([x * loopjax.grad(cost * x, w)], [x], 0)
    assert names(closed.graph) == ["sin", "exp", "mul", "gradient", "mul"]
    assert closed.captured == (w,)
