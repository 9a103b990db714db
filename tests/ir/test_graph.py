"""Graphs: equality up to names, rebuilding, order, pickling."""

import pickle

import pytest

import loopjax
import loopjax.tensor as at
from loopjax.errors import Source
from loopjax.ir.cond import IfElse
from loopjax.ir.graph import Apply, Graph, ancestors, check_accepts, copy_node, dependents, toposort
from loopjax.ir.op import table_op


def sized(rows):
    return at.tensor("float64", shape=(rows,), name="x")


def tower(height):
    """A graph of one long chain, whose every node is read by the next."""
    x = y = at.dscalar("x")
    for _ in range(height):
        y = at.sin(y)
    return Graph([x], [y])


def test_graphs_are_equal_up_to_names_and_lines():
    def doubled(name, number):
        x = at.dvector(name)
        return Graph([x], [x * number])

    assert doubled("x", 2) == doubled("y", 2)
    assert hash(doubled("x", 2)) == hash(doubled("y", 2))
    assert doubled("x", 2) != doubled("x", 3)


def test_an_output_that_is_an_input_is_not_one_that_is_computed():
    x, y = at.dvector("x"), at.dvector("y")
    assert Graph([x, y], [x]) != Graph([x, y], [y])
    assert Graph([x], [x]) != Graph([x], [x + 0])


def test_nodes_stand_after_what_they_read():
    x = at.dvector("x")
    a = x + 1
    b = a * x
    c = at.sin(a)
    graph = Graph([x], [c, b])
    assert [node.op.name for node in graph.applies] == ["add", "sin", "mul"]
    assert graph.positions[a.owner] == 0
    assert graph.readers[a] == [c.owner, b.owner]
    assert [node.op.name for node in toposort([b], stop=[a])] == ["mul"]
    assert ancestors([b, c], stop=[a]) == [a, x]


def test_dependents_are_what_the_roots_reach():
    x, y = at.dvector("x"), at.dvector("y")
    a, b = x + 1, y + 1
    c = a * b
    assert dependents(toposort([c]), [x]) == {x, a, c}


def test_what_does_not_change_is_the_same_graph():
    graph = tower(3)
    assert graph.rebuilt() is graph
    assert graph.rebuilt(transform=lambda node, inputs: None) is graph


def test_replacing_and_transforming():
    x = at.dscalar("x")
    graph = Graph([x], [at.exp(at.sin(x))])
    y = at.dscalar("y")
    replaced = graph.rebuilt({x: y})
    assert replaced == graph
    assert replaced.inputs == (y,)

    def transform(node, inputs):
        return copy_node(node, inputs, table_op("cos")).outputs if node.op.named("sin") else None

    assert [node.op.name for node in graph.rebuilt(transform=transform).applies] == ["cos", "exp"]
    assert [node.op.name for node in graph.applies] == ["sin", "exp"]


def test_depth_is_bounded_by_memory_only():
    graph = tower(5_000)
    again = pickle.loads(pickle.dumps(graph))
    assert again == graph
    assert len(again.applies) == 5_000
    assert graph.rebuilt({graph.inputs[0]: at.dscalar("y")}) == graph


def test_pickling_keeps_names_and_lines():
    x = at.dvector("x")
    y = x * 2.5
    y.name = "doubled"
    again = pickle.loads(pickle.dumps(y))
    assert (again.name, again.type, again.sources) == ("doubled", y.type, y.sources)
    assert again.owner.inputs[0].name == "x"
    assert again.owner.inputs[1].exact == 2.5


def test_an_error_of_types_names_the_op_and_the_line():
    with pytest.raises(ValueError, match=r"^add: .* \[model.py:7\](\n|$)"):
        Apply(table_op("add"), [sized(2), sized(3)], LINE)
    assert Apply(table_op("sin"), [sized(2)], LINE).outputs[0].sources == LINE


LINE = (Source("model.py", 7),)


def test_regions_are_fields_of_an_op():
    x = at.dvector("x")
    then, otherwise, other = Graph([x], [x + 1]), Graph([x], [x - 1]), Graph([x], [x * 2])
    op = IfElse(then, otherwise)
    assert op.regions == (then, otherwise)
    assert op.with_regions([then, other]) == IfElse(then, other)
    assert table_op("add").regions == ()


def test_a_region_refuses_other_types():
    x = sized(2)
    check_accepts([x], [at.dvector("y").type], "a region")
    with pytest.raises(TypeError, match=r"a region expects float64\(2,\), got float32\(2,\)"):
        check_accepts([x], [x.type.with_dtype("float32")], "a region")


def test_a_graph_holds_nodes_of_its_regions():
    out, _ = loopjax.scan(lambda h: at.tanh(h), outputs_info=at.dscalar("h"), n_steps=3)
    graph = Graph(ancestors([out]), [out])
    assert graph.holds(lambda node: node.op.named("tanh"))
    assert not graph.holds(lambda node: node.op.named("sin"))
