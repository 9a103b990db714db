"""Searches of sorted vectors on a GPU: by comparing all pairs or by sorting, without a loop."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.scan import Scan
from loopjax.rewrite.searchsorted import ExpandSearches
from loopjax.rewrite.target import Target
from tests.configured import configured
from tests.planned import planned_for
from tests.rewrite.sized import after, float64, lines, sized_graph, text

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("most", [2**24, 10], ids=["by comparing", "by sorting"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_sorted_vectors_are_searched_without_a_loop(most, side):
    values = np.sort(RNG.integers(0, 9, size=20)).astype("float64")

    def make(lengths):
        x, h = at.dvector("x"), at.dvector("h")
        out, _ = loopjax.scan(
            lambda h, x: 0.3 * h + at.searchsorted(x, h, side=side), outputs_info=h, non_sequences=x, n_steps=9
        )
        return loopjax.function([x, h], [out], lengths=lengths)

    start = np.array([0.0, 2.0, 5.5, 9.0, 20.0])
    expected = make("exact")(values, start)
    with planned_for("gpu"), configured(ExpandSearches(most_compared=most)):
        f = make("exact")
        found = f(values, start)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    (loop,) = [node.op for node in f.stages[-1].programs[-1].graph.applies if isinstance(node.op, Scan)]
    (method,) = [node.op.arguments["method"] for node in loop.body.applies if node.op.name == "searchsorted"]
    assert method == ("compare_all" if most > 100 else "sort")


def test_before_and_after() -> None:
    h, x = float64("h"), float64("x", 4)
    out, _ = loopjax.scan(
        lambda h, x: at.cast(at.searchsorted(x, h), "float64"), outputs_info=h, non_sequences=x, n_steps=3
    )
    assert text(sized_graph([h, x], [out])) == lines("""
        input h : float64()
        input x : float64(4,)
        %0 = scan 'scan'[steps=3, recurrence[-1] keeps all](h, x) : float64(3,)
            input 0.h[t-1] : float64()
            input 0.x : float64(4,)
            %0.0 = searchsorted[method=scan, side=left](0.x, 0.h[t-1]) : int64()
            %0.1 = cast[dtype=float64](%0.0) : float64()
            return %0.1
        return %0""")
    assert text(after([ExpandSearches(Target("gpu"))], [h, x], [out])) == lines("""
        input h : float64()
        input x : float64(4,)
        %0 = scan 'scan'[steps=3, recurrence[-1] keeps all](h, x) : float64(3,)
            input 0.h[t-1] : float64()
            input 0.x : float64(4,)
            %0.0 = searchsorted[method=compare_all, side=left](0.x, 0.h[t-1]) : int64()
            %0.1 = cast[dtype=float64](%0.0) : float64()
            return %0.1
        return %0""")


@pytest.mark.parametrize(
    ("step", "method"),
    [
        (ExpandSearches(Target("gpu"), most_compared=12), "method=compare_all"),
        (ExpandSearches(Target("gpu"), most_compared=11), "method=sort"),
        (ExpandSearches(Target("cpu")), "method=scan"),
    ],
)
def test_methods(step, method) -> None:
    h, x = float64("h", 3), float64("x", 4)
    assert method in text(after([step], [h, x], [at.searchsorted(x, h)]))


@pytest.mark.parametrize(("values", "method"), [(2**12, "method=compare_all"), (2**12 + 1, "method=sort")])
def test_methods_by_size(values, method) -> None:
    h, x = float64("h", values), float64("x", 2**12)
    assert method in text(after([ExpandSearches(Target("gpu"))], [h, x], [at.searchsorted(x, h)]))
