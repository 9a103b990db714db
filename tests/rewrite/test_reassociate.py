"""Sums whose early terms are added first."""

import pytest

import loopjax.tensor as at
from loopjax.ir.graph import Graph
from loopjax.ir.printing import graph_text
from loopjax.rewrite.reassociate import early_terms_first
from tests.rewrite.sized import lines

A, B, C, D = (at.tensor("float64", shape=(2,), name=name) for name in "abcd")


def test_before_and_after():
    graph = early_terms_first(Graph([A, B, C, D], [((A - B) + C) - D]), {B, C, D})
    assert graph_text(graph) == lines("""
        input a : float64(2,)
        input b : float64(2,)
        input c : float64(2,)
        input d : float64(2,)
        %0 = sub(c, b) : float64(2,)
        %1 = sub(%0, d) : float64(2,)
        %2 = add(a, %1) : float64(2,)
        return %2""")


@pytest.mark.parametrize(
    ("build", "early"),
    [
        (lambda: (A + B) + C, {A, B, C}),
        (lambda: (A + B) + C, {C}),
        (lambda: (A * B) + C, {A, C}),
        (lambda: (A.astype("int64") + B.astype("int64")) + C.astype("int64"), {B, C}),
    ],
    ids=["all early", "one early", "two terms", "integers"],
)
def test_sums_that_stay(build, early):
    graph = Graph([A, B, C], [build()])
    assert early_terms_first(graph, early) is graph


def test_a_partial_sum_that_something_else_reads_is_a_term():
    partial = A + B
    graph = Graph([A, B, C], [partial + C, at.exp(partial)])
    assert early_terms_first(graph, {B, C}) is graph


def test_subtracted_terms_only():
    graph = early_terms_first(Graph([A, B, C], [(A - B) - C]), {B, C})
    assert graph_text(graph) == lines("""
        input a : float64(2,)
        input b : float64(2,)
        input c : float64(2,)
        %0 = neg(b) : float64(2,)
        %1 = sub(%0, c) : float64(2,)
        %2 = add(a, %1) : float64(2,)
        return %2""")


def test_a_partial_sum_that_is_subtracted():
    graph = early_terms_first(Graph([A, B, C], [A - (B - C)]), {B, C})
    assert graph_text(graph) == lines("""
        input a : float64(2,)
        input b : float64(2,)
        input c : float64(2,)
        %0 = sub(c, b) : float64(2,)
        %1 = add(a, %0) : float64(2,)
        return %1""")
