"""The verifier: each condition of each stage, in a graph that breaks it and no other."""

from dataclasses import replace

import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.graph import Apply, Graph
from loopjax.ir.verify import InvalidGraph, verify
from loopjax.rewrite.driver import rewrite
from loopjax.rewrite.pipeline import sized, symbolic
from loopjax.rewrite.target import Target
from loopjax.shapes.specialize import specialize


def powers(n_steps):
    x = at.tensor("float64", shape=(3,), name="x")
    states, _ = loopjax.scan(lambda past, base: past * base, outputs_info=x, non_sequences=x, n_steps=n_steps)
    return x, states[-1]


def with_lengths(graph):
    return specialize(graph, [variable.type for variable in graph.inputs], {})


def test_variables_are_defined_once_before_they_are_read():
    x, y = at.dvector("x"), at.dvector("y")
    with pytest.raises(InvalidGraph, match="not of this graph after test"):
        verify(Graph([x], [x + y]), after="test")
    with pytest.raises(InvalidGraph, match="is not computed"):
        verify(Graph([x], [y]))
    with pytest.raises(InvalidGraph, match="stands twice"):
        verify(Graph([x, x], [x]))


def test_types_are_those_that_ops_infer():
    x = at.dvector("x")
    node = (x + x).owner
    node.outputs[0].type = node.outputs[0].type.with_dtype("int8")
    with pytest.raises(InvalidGraph, match="other types"):
        verify(Graph([x], [node.outputs[0]]))


def test_a_recorded_graph_may_hold_unknown_sizes_and_a_sized_one_may_not():
    x = at.dvector("x")
    graph = Graph([x], [x + x])
    verify(graph)
    with pytest.raises(InvalidGraph, match="unknown size after specialize"):
        verify(graph, "specialize", "sized")


def test_a_sized_graph_reads_no_lengths():
    n = at.lscalar("n")
    graph = Graph([n], [at.zeros((n, 2))])
    verify(graph)
    with pytest.raises(InvalidGraph, match="still reads a length"):
        verify(graph, stage="sized")


def test_conditions_hold_in_regions():
    x, last = powers(5)
    graph = Graph([x], [last])
    verify(with_lengths(rewrite(graph, symbolic())), stage="sized")
    (loop,) = [node.op for node in graph.applies if node.op.regions]
    y = at.dvector("y")
    loop.body.outputs[0].owner.inputs = (y, y)
    with pytest.raises(InvalidGraph, match="not of this graph"):
        verify(graph)


def test_every_loop_of_a_planned_graph_has_a_plan():
    x, last = powers(5)
    graph = with_lengths(rewrite(Graph([x], [last]), symbolic()))
    with pytest.raises(InvalidGraph, match="has no plan after LICM"):
        verify(graph, "LICM", "planned")
    verify(rewrite(graph, sized(Target("cpu"))), stage="planned")


def test_no_plan_holds_a_graph():
    x, last = powers(5)
    graph = rewrite(with_lengths(rewrite(Graph([x], [last]), symbolic())), sized(Target("cpu")))
    (node,) = [node for node in graph.applies if node.op.regions]
    broken = Apply(replace(node.op, plan=replace(node.op.plan, storage=(1, graph))), node.inputs, ())
    with pytest.raises(InvalidGraph, match="holds a graph in 'storage' after plan"):
        verify(Graph(graph.inputs, broken.outputs), "plan", "planned")
