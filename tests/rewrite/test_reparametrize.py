"""Reparametrization: draws with parameters become base samples and a transform of them."""

import pytest

import loopjax.tensor as at
from loopjax.ir.graph import Graph
from loopjax.rewrite.reparametrize import standard_draws
from tests.rewrite.sized import float64, lines, text


def drawn(*parameters, name="normal"):
    """The graph of one draw of a key, and its parameters."""
    x = getattr(at.random.RandomStream(1), name)(*parameters, size=(3,))
    key, *variables = x.owner.inputs
    return Graph([key, *variables], [x]), key, variables


def test_before_and_after() -> None:
    graph, key, (loc, _) = drawn(float64("loc"), float64("scale"))
    assert text(graph) == lines("""
        input stream 1 key 0 : key()
        input loc : float64()
        input scale : float64()
        %0 = draw_normal[dtype=float32, lengths=(3,)](stream 1 key 0, loc, scale) : float32(3,)
        return %0""")
    assert text(standard_draws(graph, {key}, {loc})) == lines("""
        input stream 1 key 0 : key()
        input loc : float64()
        input scale : float64()
        %0 = draw_standard_normal[dtype=float32, lengths=(3,)](stream 1 key 0) : float32(3,)
        %1 = ge(scale, 0.) : bool()
        %2 = switch(%1, scale, nan) : float64()
        %3 = cast[dtype=float32](%2) : float32()
        %4 = mul(%0, %3) : float32(3,)
        %5 = cast[dtype=float32](loc) : float32()
        %6 = add(%4, %5) : float32(3,)
        return %6""")


@pytest.mark.parametrize("case", ["no parameter is bound", "another key", "not wanted"])
def test_not(case) -> None:
    graph, key, (loc, _) = drawn(float64("loc"), float64("scale"))
    keys = set() if case == "another key" else {key}
    bound = set() if case == "no parameter is bound" else {loc}
    found = standard_draws(graph, keys, bound, lambda node: case != "not wanted")
    assert text(found) == text(graph)
