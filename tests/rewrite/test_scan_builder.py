"""A scan taken apart and built again."""

import numpy as np

import loopjax
import loopjax.tensor as at
from loopjax.ir.graph import Graph
from loopjax.ir.printing import graph_text
from loopjax.ir.scan import Scan
from loopjax.ir.verify import verify
from loopjax.rewrite.scan_builder import scan_builder
from tests.rewrite.sized import sized_graph

X = at.tensor("float64", shape=(5,), name="x")
W = at.tensor("float64", name="w")
ONE = at.constant(1.0, dtype="float64")


def node_of(outputs):
    graph = sized_graph([X, W], outputs)
    (node,) = (node for node in graph.applies if isinstance(node.op, Scan))
    return node, graph


def everything():
    """A loop with a sequence of two taps, a state, an output, shared state, a key and a stop."""
    count, stream = loopjax.shared(np.float64(0)), at.random.RandomStream(1)

    def step(a, b, h, w):
        h = h * a + b * w + stream.normal(dtype="float64")
        return [h, at.sin(h)], {count: count + 1.0}, loopjax.until(h > 9.0)

    outputs, updates = loopjax.scan(step, {"input": X, "taps": [0, 1]}, [ONE, None], W)
    return Graph([X, W, *updates], [*outputs, *updates.values()])


def test_built_unchanged_it_is_the_same():
    graph = everything()
    (node,) = (node for node in graph.applies if isinstance(node.op, Scan))
    loop = scan_builder(node)
    same = graph.rebuilt(dict(zip(node.outputs, loop.outputs_for(node), strict=True)))
    verify(same)
    assert same is not graph
    assert graph_text(same) == graph_text(graph)


def test_inputs_that_nothing_reads_are_dropped_whole():
    h, _ = loopjax.scan(lambda a, b, h, w: h * a + 0 * b + w, {"input": X, "taps": [0, 1]}, ONE, W)
    node, _ = node_of([h])
    loop = scan_builder(node)
    (sequence,) = loop.sequences
    loop.keep_inputs({sequence.rows[1]})
    assert loop.sequences == [sequence]
    assert not loop.non_sequences
    loop.keep_inputs(set())
    assert not loop.sequences


def test_a_row_is_read_in_the_order_of_the_stack():
    for backwards in (False, True):
        h, _ = loopjax.scan(lambda a, h: h + a, X, ONE, go_backwards=backwards)
        node, graph = node_of([h])
        loop = scan_builder(node)
        row = loop.row_of(graph.inputs[0], "row")
        loop.recurrences[0].value = loop.recurrences[0].value * row
        built = loop.build()
        verify(Graph(graph.inputs, built.outputs))
        read = built.op.inputs(built.inputs).sequences[1]
        assert (read is graph.inputs[0]) is not backwards
        assert built.op.sequences[1].name == "row"


def test_a_state_becomes_an_output():
    h, _ = loopjax.scan(lambda a, h: a * 2.0, X, ONE, n_steps=at.lscalar("n"))
    graph = Graph([X], [h])
    (node,) = (node for node in graph.applies if isinstance(node.op, Scan))
    loop = scan_builder(node)
    (state,) = loop.recurrences
    loop.make_output(state, state.value)
    assert not loop.recurrences
    assert [output.stack for output in loop.maps] == [node.outputs[0]]
    assert loop.build().op.maps[0].name == state.spec.name
