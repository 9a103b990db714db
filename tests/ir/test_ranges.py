"""Ranges of integers: values are in them, and they are as narrow as loops by induction allow."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.graph import Graph
from loopjax.ir.ranges import Range, RangeAnalysis, full
from tests.rewrite.sized import sized_graph

RNG = np.random.default_rng(12)
P, Q = at.tensor("int64", shape=(7,), name="i"), at.tensor("int64", shape=(7,), name="j")
B = at.tensor("bool", shape=(7,), name="b")


@pytest.mark.parametrize(
    "made",
    [
        lambda i, j, b: i + j,
        lambda i, j, b: i - 3 * j,
        lambda i, j, b: i * j,
        lambda i, j, b: -i,
        lambda i, j, b: at.minimum(i, j + 2),
        lambda i, j, b: at.maximum(i, -j),
        lambda i, j, b: at.clip(i, -2, j),
        lambda i, j, b: at.switch(b, i, j),
        lambda i, j, b: i // 3,
        lambda i, j, b: i // -4,
        lambda i, j, b: i % 5,
        lambda i, j, b: (i % 8) & (j % 4),
        lambda i, j, b: at.cast(i < j, "int32") - at.cast(b, "int32"),
        lambda i, j, b: at.roll(i, 2),
        lambda i, j, b: at.concatenate([i, j]) * at.argmax(i),
        lambda i, j, b: at.dot(i.dimshuffle(0, "x"), j.dimshuffle("x", 0)).max(axis=0),
        lambda i, j, b: b.sum() - 2 * (i < j).sum(),
        lambda i, j, b: i.sum(),
        lambda i, j, b: i[at.clip(j, 0, 6)],
        lambda i, j, b: at.set_subtensor(i[2], j[0]),
        lambda i, j, b: at.arange(5, -20, -4) + i[0],
        lambda i, j, b: at.argmin(at.stack([i, j]), axis=0),
    ],
)
def test_values_are_in_their_ranges(made):
    graph = sized_graph([P, Q, B], [made(P, Q, B)])
    known = {graph.inputs[0]: Range(-4, 9), graph.inputs[1]: Range(-7, 3)}
    found = RangeAnalysis(known).run(graph).of(graph.outputs[0])
    assert full(graph.outputs[0]).holds(found)
    f = loopjax.function([P, Q, B], made(P, Q, B), on_unused_input="ignore")
    for _ in range(20):
        value = f(RNG.integers(-4, 10, 7), RNG.integers(-7, 4, 7), RNG.uniform(size=7) < 0.5)
        assert found.least <= np.min(value)
        assert np.max(value) <= found.greatest


def test_an_operation_that_can_overflow_has_any_value():
    k = at.tensor("int8", shape=(7,), name="k")
    graph = Graph([k], [at.clip(k, 0, 100) + at.clip(k, 0, 100)])
    assert RangeAnalysis({}).run(graph).of(graph.outputs[0]) == Range(-128, 127)


@pytest.mark.parametrize(
    ("start", "step", "n_steps", "found"),
    [
        (0, lambda i: i + 1, 20, Range(0, 20)),
        (5, lambda i: i - 2, 10, Range(-15, 3)),
        (0, lambda i: at.minimum(i + 1, 12), 1_000, Range(0, 12)),
        (7, lambda i: (3 * i + 2) % 11, 1_000, Range(0, 10)),
        (1, lambda i: 3 * i, 70, Range(-(2**63), 2**63 - 1)),
    ],
)
def test_stacks_of_loops(start, step, n_steps, found):
    stack, _ = loopjax.scan(step, outputs_info=at.constant(start), n_steps=n_steps)
    graph = sized_graph([], [stack])
    ranges = RangeAnalysis().run(graph).of(graph.outputs[0])
    values = stack.eval()
    assert ranges.holds(Range(int(values.min()), int(values.max())))
    assert ranges == found


def test_states_that_widen_one_another():
    def step(a, b, c):
        return [at.minimum(b + 1, 100), c * 2, a - b]

    (a, b, c), _ = loopjax.scan(step, outputs_info=[at.constant(k) for k in (0, 1, 2)], n_steps=40)
    graph = sized_graph([], [a, b, c])
    analysis = RangeAnalysis().run(graph)
    for output, values in zip(graph.outputs, loopjax.function([], [a, b, c])(), strict=True):
        found = analysis.of(output)
        assert found.least <= values.min()
        assert values.max() <= found.greatest
    assert analysis.of(graph.outputs[0]).greatest == 100


X = at.tensor("float64", shape=(7,), name="x")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("made", "wanted"),
    [
        (lambda x: at.clip(x, 0.0, 5.5), Range(0, 6)),
        (lambda x: at.floor(at.clip(x * 3, -1.5, 5.0) + 2), Range(0, 7)),
        (lambda x: at.minimum(2.0 * at.maximum(x, -3.0), 4.0), Range(-6, 4)),
        (lambda x: at.maximum(at.minimum(x, 4.0) - 1, -1e5), Range(-100_000, 3)),
        (lambda x: at.clip(x, 0, x.shape[0] - 1.0), Range(0, 8)),
        (lambda x: abs(at.clip(x, -7.0, 2.0)), Range(0, 7)),
        (lambda x: at.switch(x > 0, 1.0, -at.ceil(at.clip(x, -2.5, 1.0))), Range(-1, 3)),
    ],
)
def test_floats_that_become_integers_have_ranges(made, wanted, dtype):
    x = at.tensor(dtype, shape=(9,), name="x")
    places = at.cast(made(x), "int32")
    graph = sized_graph([x], [places])
    assert RangeAnalysis().run(graph).of(graph.outputs[0]) == wanted
    values = [np.nan, np.inf, -np.inf, 1e300, -0.0, 0.5, -2.5, 4.99999999, 7.0]
    with np.errstate(over="ignore"):
        found = np.asarray(loopjax.function([x], places)(np.array(values).astype(dtype)))
    assert wanted.least <= found.min()
    assert found.max() <= wanted.greatest


@pytest.mark.parametrize(
    "made",
    [
        lambda x: x,
        lambda x: at.clip(x, 0.0, 1e30),
        lambda x: at.clip(x, 0.0, 5.0) % 3,
        lambda x: at.clip(x, 0.0, np.inf),
        lambda x: loopjax.scan(lambda s: at.clip(s + 1, 0.0, 5.0), outputs_info=x[0], n_steps=3)[0] * 1e9,
    ],
)
def test_other_floats_may_become_any_integer(made):
    graph = sized_graph([X], [at.cast(made(X), "int32")])
    assert RangeAnalysis().run(graph).of(graph.outputs[0]) == full(graph.outputs[0])


@pytest.mark.parametrize(
    "made",
    [
        lambda x, k, exact: (at.maximum(x, exact) + np.float32(1)) - at.clip(x, exact, exact),
        lambda x, k, exact: at.clip(k, 2**24 + 1, 2**24 + 1).astype("float32") - at.clip(x, exact, exact),
        lambda x, k, exact: at.clip(x, -exact, -exact) - (at.minimum(x, -exact) - np.float32(1)),
    ],
)
def test_floats_beyond_those_that_count_exactly_may_be_rounded(made):
    """``2**24 + 1`` is ``2**24`` in float32, so that its difference to that is 0, not 1."""
    x, k = at.fscalar("x"), at.iscalar("k")
    difference = at.cast(at.minimum(made(x, k, np.float32(2**24)) - np.float32(1), np.float32(5)), "int32")
    graph = Graph([x, k], [difference])
    assert RangeAnalysis().run(graph).of(difference).least <= -1
    f = loopjax.function([x, k], difference, on_unused_input="ignore")
    assert -1 in [f(start, 0) for start in np.float32([-(2**24), 2**24])]


def test_a_comparison_with_a_float_may_be_false_for_nan():
    below = at.cast(at.clip(X, 0.0, 1.0) < 5.0, "int32")
    graph = sized_graph([X], [below])
    assert RangeAnalysis().run(graph).of(graph.outputs[0]) == Range(0, 1)
    assert loopjax.function([X], below)(np.full(7, np.nan)).tolist() == [0] * 7
