"""Searches of sorted vectors on a GPU: by comparing all pairs or by sorting, without a loop."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.scan import Scan
from loopjax.rewrite.searchsorted import ExpandSearches
from tests.configured import configured
from tests.planned import planned_for

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
