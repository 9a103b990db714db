"""The inspector: lengths that a differentiated region computes are found by a run before it."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.graph import Graph, Variable
from loopjax.ir.printing import graph_text
from loopjax.ir.scan import SAVE_ALL, UNTIL_STEPS, Scan
from loopjax.ir.verify import verify
from loopjax.rewrite.differentiate import FormDifferentiatedRegions
from loopjax.rewrite.driver import rewrite
from loopjax.rewrite.dynamic_trip_count import DynamicTripCount
from loopjax.rewrite.saved_steps import SaveReadSteps
from loopjax.shapes.inspector import InspectLengths, counted_first
from loopjax.shapes.stages import split

H, LIMIT, X, K = at.dscalar("h"), at.dscalar("limit"), at.dvector("x"), at.lvector("k")


def squares(**options):
    step = lambda h: (h * h, loopjax.until(h > LIMIT))  # noqa: E731
    return loopjax.scan(step, outputs_info=H, n_steps=100, name="squares", **options)[0]


def differentiated(inputs, outputs):
    """The graph as the inspector gets it."""
    return rewrite(Graph(inputs, outputs), (FormDifferentiatedRegions(), SaveReadSteps(), DynamicTripCount()))


def inspected(inputs, outputs):
    graph = InspectLengths()(differentiated(inputs, outputs))
    verify(graph)
    return graph


def loops(graph):
    """The loops of a graph, outside of its regions."""
    return [node for node in graph.applies if isinstance(node.op, Scan)]


def test_an_until_loop_is_counted_before_it_is_differentiated():
    cost = at.cumsum(squares()).sum()
    before = differentiated([H, LIMIT], [loopjax.grad(cost, H)])
    assert graph_text(before).splitlines()[2:7] == [
        "%0 = linearize[wrt=1, costs=1](h, limit) : float64(), residual()",
        "    input 0.h : float64()",
        "    input 0.limit : float64()",
        "    %0.0 = scan 'squares'[steps=100, recurrence[-1] keeps all, until](0.h, 0.limit) : float64(?,), int64()",
        "        input 0.0.h[t-1] : float64()",
    ]
    assert graph_text(inspected([H, LIMIT], [loopjax.grad(cost, H)])).splitlines() == [
        "input h : float64()",
        "input limit : float64()",
        "%0 = scan 'squares'[steps=100, recurrence[-1] keeps last 0, until](h, limit) : float64(?,), int64()",
        "    input 0.h[t-1] : float64()",
        "    input 0.limit : float64()",
        "    %0.0 = mul(0.h[t-1], 0.h[t-1]) : float64()",
        "    %0.1 = gt(0.h[t-1], 0.limit) : bool()",
        "    return %0.0, %0.1",
        "%1 = linearize[wrt=1, costs=1](h, limit, %0:1) : float64(), residual()",
        "    input 1.h : float64()",
        "    input 1.limit : float64()",
        "    input 1.squares : int64()",
        "    %1.0 = scan 'squares'[steps=length, recurrence[-1] keeps all](1.squares, 1.h, 1.limit) : float64(?,)",
        "        input 1.0.h[t-1] : float64()",
        "        input 1.0.limit : float64()",
        "        %1.0.0 = mul(1.0.h[t-1], 1.0.h[t-1]) : float64()",
        "        return %1.0.0",
        "    %1.1 = cumsum[axis=0](%1.0) : float64(?,)",
        "    %1.2 = sum[axis=(0,), dtype=float64, keepdims=False](%1.1) : float64()",
        "    return %1.2",
        "%2 = pullback(%1:1, 1.) : float64()",
        "return %2",
    ]


def test_the_last_step_needs_no_length():
    outputs = [loopjax.grad(squares()[-1], H)]
    assert inspected([H, LIMIT], outputs) == differentiated([H, LIMIT], outputs)


def test_nor_does_a_loop_that_is_not_differentiated():
    outputs = [at.cumsum(squares())]
    assert inspected([H, LIMIT], outputs) == differentiated([H, LIMIT], outputs)


def test_a_loop_in_a_body_runs_up_to_the_greatest_of_its_lengths():
    def row(a, n):
        return loopjax.scan(lambda s: s * a, outputs_info=np.float64(1), n_steps=n, name="inner")[0][-1]

    out, _ = loopjax.scan(row, sequences=[X, K], name="outer")
    graph = inspected([X, K], [loopjax.grad(at.cumsum(out).sum(), X)])
    text = graph_text(graph).splitlines()
    first = next(number for number, line in enumerate(text) if "scan" in line)
    assert text[first : first + 6] == [
        "%3 = scan 'outer'[steps=length, sequence[0], sequence[0], map keeps last 0, max of 0](%2, x, k) : "
        "int64(?,), int64()",
        "    input 3.x[t] : float64()",
        "    input 3.k[t] : int64()",
        "    %3.0 = capacity[fine=True](3.k[t]) : int64()",
        "    return %3.0",
        "%4 = maximum(%3:1, 1) : int64()",
    ]
    (region,) = [node.op.region for node in graph.applies if node.op.name == "linearize"]
    (outer,) = loops(region)
    (inner,) = loops(outer.op.body)
    assert inner.op.dynamic
    assert inner.op.bounded
    assert inner.inputs[1] is outer.op.body.inputs[-1], "the bound is the same at every step"
    f = loopjax.function([X, K], loopjax.grad(at.cumsum(out).sum(), X))
    np.testing.assert_allclose(f([2.0, 3.0], [2, 9]), [2 * 2 * 2.0, 9 * 3.0**8])


def test_regions_in_an_inspector_are_inspected_too():
    """The limit of the second loop is a gradient through the first."""
    slope = loopjax.grad(at.cumsum(squares()).sum(), H)
    step = lambda s: (s * 2, loopjax.until(s > slope))  # noqa: E731
    out, _ = loopjax.scan(step, outputs_info=H, n_steps=50, name="doubled")
    graph = inspected([H, LIMIT], [loopjax.grad(at.cumsum(out).sum(), H)])
    assert [node.op.label for node in loops(graph)] == ["squares", "doubled", "squares"]
    assert all(node.op.until and node.op.outputs[0].saved != SAVE_ALL for node in loops(graph))


@pytest.mark.parametrize(("n_steps", "count"), [(None, 1), (at.lscalar("n"), 1), (100, 1), (UNTIL_STEPS, 2)])
def test_outside_of_regions_only_loops_of_a_large_bound_are_counted(n_steps, count):
    """Another loop is run once, also where its bound is the length of a sequence or a value."""
    step = lambda *read: (read[-1] * 2, loopjax.until(read[-1] > LIMIT))  # noqa: E731
    sequences = X if n_steps is None else None
    out, _ = loopjax.scan(step, sequences=sequences, outputs_info=H, n_steps=n_steps)
    graph = Graph([v for v in (H, LIMIT, X, n_steps) if isinstance(v, Variable)], [out])
    assert len(loops(counted_first(graph, UNTIL_STEPS))) == count
    if n_steps is None:
        f = loopjax.function([H, LIMIT, X], out)
        assert f(1.0, 5.0, np.ones(50)).tolist() == [2.0, 4.0, 8.0, 16.0]
        assert len(loopjax.explain(f).loops) == 1


def test_the_count_ends_a_stage():
    graph = inspected([H, LIMIT], [loopjax.grad(at.cumsum(squares()).sum(), H)])
    first, second = split(graph)
    assert [variable.dtype for variable in first.graph.outputs] == ["int64"]
    assert [second.graph.inputs[position].dtype for position in second.length_inputs] == ["int64"]
