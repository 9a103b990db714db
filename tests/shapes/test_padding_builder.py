"""The builder emits equal nodes once and sees that lengths are equal."""

import numpy as np
import pytest

import loopjax.tensor as at
from loopjax.ir.graph import Constant
from loopjax.ir.lengths import host_values
from loopjax.shapes.padding.builder import GraphBuilder

N, K, X = at.lscalar("n"), at.lscalar("k"), at.dvector("x")


def value(length, n):
    (found,) = host_values([length], {N: np.asarray(n)}, {})
    return int(found)


def test_equal_nodes_are_one():
    builder = GraphBuilder()
    assert builder.emit("add", N, 1) is builder.emit("add", N, 1)
    assert builder.emit("add", N, 1) is not builder.emit("add", N, 2)
    assert builder.emit_sized("resize", X, lengths=[N], axis=0) is builder.resize(X, 0, N)


def test_lengths_that_are_numbers_are_parameters():
    node = GraphBuilder().emit_sized("alloc", 0, lengths=[3, N, 4]).owner
    assert node.op.arguments["lengths"] == (3, None, 4)
    assert node.inputs[1:] == (N,)


def test_arithmetic_is_folded():
    builder = GraphBuilder()
    assert builder.calc("add", N, 0) is builder.calc("sub", N, 0) is builder.calc("minimum", N, N) is N
    twelve = builder.calc("mul", 3, 4)
    assert isinstance(twelve, Constant)
    assert int(twelve.data) == 12
    assert builder.calc("add", 0, N) is not N


def test_a_length_is_int64():
    builder = GraphBuilder()
    assert builder.integer(N) is N
    assert builder.integer(at.iscalar("i")).dtype == "int64"


@pytest.mark.parametrize("divisor", [1, 2, 3, -2])
def test_division_rounds_up(divisor):
    quotient = GraphBuilder().ceil_div(N, divisor)
    for n in range(-5, 6):
        assert value(quotient, n) == int(np.ceil(n / divisor))


def test_products_and_minima():
    builder = GraphBuilder()
    assert value(builder.product([N, 3, 2]), 5) == 30
    assert value(builder.least([N, builder.scalar(4), builder.scalar(7)]), 5) == 4
    assert int(builder.product([]).data) == 1
