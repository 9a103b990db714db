"""Graphs whose every shape is known, before and after passes."""

import textwrap

import jax

import loopjax.tensor as at
from loopjax.ir.graph import Graph
from loopjax.ir.printing import graph_text
from loopjax.ir.scan import Scan
from loopjax.ir.verify import verify
from loopjax.lower import jit  # noqa: F401 - it imports the lowering rules
from loopjax.lower.interpreter import evaluate
from loopjax.rewrite.driver import rewrite
from loopjax.rewrite.pipeline import sized, symbolic
from loopjax.shapes.specialize import specialize


def sized_graph(inputs, outputs):
    """The graph of inputs whose types have sizes, as the passes for a set of shapes get it."""
    graph = rewrite(Graph(inputs, outputs), symbolic())
    return specialize(graph, [variable.type for variable in inputs], {})


def symbolically(passes, inputs, outputs):
    """The graph as text after passes, its sizes not known."""
    graph = rewrite(Graph(inputs, outputs), passes)
    verify(graph)
    return graph_text(graph)


def after(passes, inputs, outputs):
    graph = rewrite(sized_graph(inputs, outputs), passes)
    verify(graph)
    return graph


def rewrites(step, inputs, outputs):
    """True where a pass changes the program."""
    return text(after([step], inputs, outputs)) != text(sized_graph(inputs, outputs))


def float64(name, *shape):
    """A float64 variable of known sizes."""
    return at.tensor("float64", shape=shape, name=name)


def text(graph):
    return graph_text(graph)


def lines(expected):
    return textwrap.dedent(expected).strip("\n")


def scans(graph):
    """The loops of a graph, the outer before the inner."""
    found = []
    for node in graph.applies:
        found += [node.op] if isinstance(node.op, Scan) else []
        for region in node.op.regions:
            found += scans(region)
    return found


def computed(target, inputs, outputs, values):
    """What the program gives when it is rewritten for a target, here on the CPU."""
    with jax.enable_x64(True):
        return evaluate(rewrite(sized_graph(inputs, outputs), sized(target)), values)
