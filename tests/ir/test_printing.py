"""Graphs as text."""

import io

import loopjax
import loopjax.tensor as at
from loopjax.ir.graph import Graph
from loopjax.ir.printing import graph_text


def test_nodes_are_numbered_and_names_of_inputs_made_unique():
    x, same, nameless = at.dvector("x"), at.dvector("x"), at.dvector()
    text = graph_text(Graph([x, same, nameless], [(x + same).sum() + nameless]))
    assert text.splitlines() == [
        "input x : float64(?,)",
        "input x'1 : float64(?,)",
        "input in2 : float64(?,)",
        "%0 = add(x, x'1) : float64(?,)",
        "%1 = sum[axis=(0,), dtype=float64, keepdims=False](%0) : float64()",
        "%2 = add(%1, in2) : float64(?,)",
        "return %2",
    ]


def test_regions_are_indented():
    x = at.dscalar("x")
    out, _ = loopjax.scan(lambda h, x: h * x, outputs_info=x, non_sequences=x, n_steps=3)
    assert graph_text(Graph([x], [out])).splitlines() == [
        "input x : float64()",
        "%0 = scan 'scan'[steps=3, recurrence[-1] keeps all](x, x) : float64(3,)",
        "    input 0.x[t-1] : float64()",
        "    input 0.x : float64()",
        "    %0.0 = mul(0.x[t-1], 0.x) : float64()",
        "    return %0.0",
        "return %0",
    ]


def test_expressions():
    x, i = at.dmatrix("x"), at.lscalar("i")
    assert loopjax.pp(-x[i, 1:, None]) == "neg(x[i, 1:, None])"
    assert loopjax.pp(x[i, 1:]) == "x[i, 1:]"
    assert loopjax.pp((x @ x).sum(0) - 1) == "(sum((x @ x)) - 1.)"
    assert loopjax.pp(x**2 / x**-3) == "((x ** 2) / (x ** -3))"


def test_dprint_takes_variables_lists_graphs_and_functions():
    x = at.dvector("x")
    y = x * 2
    texts = []
    for what in (y, [y], Graph([x], [y]), loopjax.function([x], y)):
        file = io.StringIO()
        loopjax.dprint(what, file=file)
        texts.append(file.getvalue())
    assert texts[0] == texts[1] == texts[2] == texts[3]
    assert "test_printing.py:" in texts[0]


class TestInNotebooks:
    def test_a_variable_opens_to_its_graph(self):
        x = at.dvector("<x>")
        text = (x + 1).sum()._repr_html_()
        assert "<code>&lt;sum: float64()&gt;</code>" in text
        assert "%0 = add(&lt;x&gt;, 1.) : float64(?,)" in text

    def test_a_function_opens_to_its_graph(self):
        x = at.dvector("x")
        text = loopjax.function([x], at.exp(x), name="f")._repr_html_()
        assert "<code>&lt;f(x)&gt;</code>" in text
        assert "exp(x)" in text

    def test_a_long_graph_is_cut(self):
        x = at.dvector("x")
        for _ in range(200):
            x = x + 1
        assert "and 102 more lines, which loopjax.dprint prints" in x._repr_html_()
