"""Isomorphic expressions that a step stacks: one expression of a stack."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.driver import Context
from loopjax.rewrite.pack_joins import PackJoins
from tests.rewrite.sized import sized_graph

RNG = np.random.default_rng(5)
TAPS = [-1, -2, -3, -4, -5]
A = at.tensor("float64", shape=(3, 3), name="A")
L = at.tensor("float64", shape=(5, 3), name="L")
T = at.tensor("float64", shape=(20, 3), name="T")
VALUES = [RNG.normal(size=(3, 3)), RNG.normal(size=(5, 3)), RNG.normal(size=(20, 3))]


def joined(made, taps=TAPS):
    """A loop over T whose step sums what ``made`` gives for each past value, stacked."""
    h, _ = loopjax.scan(
        lambda now, *pasts: at.tanh(at.stack([made(past, d, now) for d, past in enumerate(pasts)]).sum(axis=0)),
        T,
        {"initial": at.ones((len(taps), 3), dtype="float64") / 2, "taps": taps},
    )
    return h


KINDS = {
    "elementwise": lambda past, d, now: at.exp(-(past**2)) + now,
    "of a matrix and reduced": lambda past, d, now: at.logsumexp(past.dimshuffle(0, "x") + A, axis=0) + L[d],
    "a switch": lambda past, d, now: at.switch(past > now, past, now * L[d]),
    "constants that differ": lambda past, d, now: past * (0.1 * d) + now,
    "axes": lambda past, d, now: (past.dimshuffle("x", 0) * A.T).max(axis=1) - now,
    "an inner stack": lambda past, d, now: at.stack([past * k + now for k in (1.0, 2.0, 3.0, 4.0)]).sum(axis=0) / 4,
}


def ops_of_body(outputs, change):
    """Names of the ops in the body of the loop, with the pass or without."""
    graph = sized_graph([A, L, T], outputs)
    (node,) = [one for one in graph.applies if hasattr(one.op, "body")]
    context = Context("reverse").inside(node.op)
    body = PackJoins().rewrite_graph(node.op.body, context) if change else node.op.body
    return [one.op.name for one in body.applies]


@pytest.mark.parametrize("kind", KINDS)
def test_values_and_gradients_are_those_of_the_ops_one_by_one(kind):
    h = joined(KINDS[kind])
    cost = (h * at.arange(3)).sum() + h[-1].sum()
    outputs = [h, loopjax.grad(cost, [A, L, T], disconnected_inputs="ignore")]
    found = loopjax.function([A, L, T], outputs, on_unused_input="ignore")(*VALUES)
    mode = loopjax.Mode().excluding("pack_joins")
    expected = loopjax.function([A, L, T], outputs, on_unused_input="ignore", mode=mode)(*VALUES)
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
    for a, b in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_each_op_is_there_once():
    before, after = (ops_of_body([joined(KINDS["of a matrix and reduced"])], change) for change in (False, True))
    assert before.count("logsumexp") == 5
    assert after.count("logsumexp") == 1
    assert after.count("add") == 2


@pytest.mark.parametrize(
    "made",
    [
        lambda past, d, now: past**2 * 2 + now,  # cheap ops
        lambda past, d, now: (at.exp if d % 2 else at.tanh)(past + now),  # other ops
        lambda past, d, now: at.dot(at.tanh(past + now), A),  # a product
    ],
)
def test_expressions_that_stay_apart(made):
    before, after = (ops_of_body([joined(made)], change) for change in (False, True))
    assert sorted(after) == sorted(before)


def test_values_that_are_read_elsewhere_stay_apart():
    def step(now, *pasts):
        each = [at.exp(past * 2) + now for past in pasts]
        return at.tanh(at.stack(each).sum(axis=0) + each[0])

    h, _ = loopjax.scan(step, T, {"initial": at.ones((5, 3), dtype="float64"), "taps": TAPS})
    assert sorted(ops_of_body([h], True)) == sorted(ops_of_body([h], False))


def test_fewer_lanes_and_scalars_stay_apart():
    few = joined(KINDS["elementwise"], [-1, -2, -3])
    assert sorted(ops_of_body([few], True)) == sorted(ops_of_body([few], False))
    s, _ = loopjax.scan(
        lambda *pasts: at.stack([at.exp(past * 2) for past in pasts]).sum(),
        outputs_info={"initial": at.ones(5, dtype="float64"), "taps": TAPS},
        n_steps=4,
    )
    assert sorted(ops_of_body([s], True)) == sorted(ops_of_body([s], False))
