"""Reads of a stack that a differentiated region would publish, which the region publishes in its place."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.graph import Graph
from loopjax.ir.printing import graph_text
from loopjax.rewrite.differentiate import FormDifferentiatedRegions
from loopjax.rewrite.driver import rewrite
from tests.rewrite.decaying import NONE, temporaries


class TestInside:
    def test_as_text(self):
        h = at.dscalar("h")
        out, _ = loopjax.scan(lambda h: at.tanh(h), outputs_info=h, n_steps=20)
        cost = (out**2).sum()
        rewritten = rewrite(Graph([h], [out[-1], out.sum(), loopjax.grad(cost, h)]), (FormDifferentiatedRegions(),))
        text = graph_text(rewritten)
        region = text[text.index("linearize") : text.index("pullback")]
        assert "index[" in region
        assert "index[" not in text.replace(region, "")

    def test_the_stack_is_not_kept_for_it(self):
        found = []
        for mode in (None, NONE):
            h = at.dvector("h")
            (states, costs), _ = loopjax.scan(
                lambda h: (at.tanh(h) + 0.1 * h, (h * h).sum()), outputs_info=[h, None], n_steps=100
            )
            cost = costs.sum()
            f = loopjax.function([h], [cost, states[-1], states.mean(0), loopjax.grad(cost, h)], mode=mode)
            found.append((f(np.linspace(0, 1, 1000)), temporaries(f) / 8000))
        for one, other in zip(found[0][0], found[1][0], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)
        assert found[0][1] < 110
        assert found[1][1] > 190


INDEX = at.lscalar("i")


@pytest.mark.parametrize(
    ("read", "sinks"),
    [
        (lambda out: [out[-1]], True),
        (lambda out: [out[1:3], out.max(0), at.argmax(out, axis=0)], True),
        (lambda out: [out.sum(1)], False),
        (lambda out: [at.argmax(out, axis=1)], False),
        (lambda out: [out[-1], out * 2], False),
        (lambda out: [out], False),
        (lambda out: [out[INDEX]], False),
    ],
)
def test_which_reads(read, sinks) -> None:
    """A region publishes the reads of a stack in its place, where all reads outside are slices or reduce over steps."""
    h = at.dvector("h")
    out, _ = loopjax.scan(lambda h: at.tanh(h), outputs_info=h, n_steps=4)
    reads = read(out)
    graph = Graph([h, INDEX], [*reads, loopjax.grad((out**2).sum(), h)])
    (node,) = [n for n in rewrite(graph, [FormDifferentiatedRegions()]).applies if n.op.regions]
    published = [variable.owner.op.name for variable in node.op.regions[0].outputs[1:]]
    assert published == ([one.owner.op.name for one in reads] if sinks else ["scan"])


def test_which_arrays() -> None:
    """Only stacks of loops, also those that a region in the region publishes."""
    x = at.dvector("x")
    y = at.exp(x)
    graph = Graph([x], [y[0], loopjax.grad((y**2).sum(), x)])
    (node,) = [n for n in rewrite(graph, [FormDifferentiatedRegions()]).applies if n.op.regions]
    assert [variable.owner.op.name for variable in node.op.regions[0].outputs[1:]] == ["exp"]


def test_which_of_nested_gradients() -> None:
    h = at.dscalar("h")
    out, _ = loopjax.scan(lambda h: at.tanh(h), outputs_info=h, n_steps=4)
    second = loopjax.grad(loopjax.grad((out**2).sum(), h), h)
    found = graph_text(rewrite(Graph([h], [out[-1], second]), [FormDifferentiatedRegions()]))
    outer, inner = found.index("linearize["), found.rindex("linearize[")
    assert outer < inner < found.index("index[")


def test_which_outputs_of_a_loop() -> None:
    """A final state is no stack."""
    total, h = loopjax.shared(np.zeros(3), "total"), at.dscalar("h")
    _, updates = loopjax.scan(lambda h: (h * 2, {total: total + h}), outputs_info=h, n_steps=4)
    final = updates[total]
    graph = Graph([h, total], [final[0], loopjax.grad((final**2).sum(), h)])
    (node,) = [n for n in rewrite(graph, [FormDifferentiatedRegions()]).applies if n.op.regions]
    assert [variable.owner.op.name for variable in node.op.regions[0].outputs[1:]] == ["scan"]
