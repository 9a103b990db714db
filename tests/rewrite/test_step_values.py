"""Integers that are known for all steps: graphs before and after, values, and what is not known."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.step_values import FoldStepValues
from tests.rewrite.sized import after, float64, rewrites, scans, sized_graph, text

RNG = np.random.default_rng(4)
X, D = float64("x", 12), float64("d", 12, 2)
N, V = at.dmatrix("n"), at.dvector("v")


def body(graph):
    (op,) = scans(graph)
    return [node.op.name for node in op.body.applies]


def test_what_is_the_same_at_every_step_and_what_equals_another():
    def step(i, x):
        clipped = at.switch(i < 0, i + 12, at.minimum(i, x.shape[0]))
        return x[0] * clipped + i, at.minimum(clipped, 0)

    (found, same), _ = loopjax.map(step, at.arange(12), non_sequences=X)
    graph = after([FoldStepValues()], [X], [found, same])
    assert not {"switch", "minimum", "lt"} & set(body(graph))
    assert {"switch", "minimum", "lt"} <= set(body(sized_graph([X], [found, same])))
    assert body(graph) == ["as_float", "mul", "as_float", "add"]
    assert ", 0\n" in text(graph)


def test_not_in_loops_of_other_lengths():
    (found, _), _ = loopjax.scan(
        lambda i, s: (s + at.minimum(i, 3), i), sequences=at.arange(20), outputs_info=[np.int64(0), None]
    )
    assert rewrites(FoldStepValues(), [], [at.minimum(found, 99), loopjax.map(lambda i: i * 0, at.arange(9))[0]])
    assert not rewrites(FoldStepValues(most_steps=10), [], [found])
    backwards, _ = loopjax.map(lambda i: i * 0, at.arange(9), go_backwards=True)
    assert not rewrites(FoldStepValues(), [], [backwards])


def test_zeros_of_both_signs_are_no_constant():
    inverse, _ = loopjax.map(lambda x: 1 / x, np.array([0.0, -0.0]))
    np.testing.assert_array_equal(loopjax.function([], inverse)(), [np.inf, -np.inf])


@pytest.mark.parametrize("rows", [1, 3, 4])
def test_blocks_are_a_sequence(rows):
    def loss(k, d, x):
        block, wanted = d[k * rows : (k + 1) * rows], x[k * rows : (k + 1) * rows]
        return ((block.sum(axis=1) - wanted) ** 2).mean()

    losses, _ = loopjax.map(loss, at.arange(D.shape[0] // rows), non_sequences=[D, X])
    f = loopjax.function([D, X], [losses, *loopjax.grad(losses.sum(), [D, X])])
    plain = loopjax.function(
        [D, X], [losses, *loopjax.grad(losses.sum(), [D, X])], mode=loopjax.Mode().excluding("step_values")
    )
    d, x = RNG.normal(size=(12, 2)), RNG.normal(size=12)
    for one, other in zip(f(d, x), plain(d, x), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(f(d, x)[0], ((d.sum(axis=1) - x) ** 2).reshape(-1, rows).mean(axis=1), rtol=1e-12)
    names = {name for op in scans(f.stages[0].programs[-1].graph) for name in (one.op.name for one in op.body.applies)}
    assert not {"window", "fill_rows", "mask_rows"} & names


def test_blocks_of_a_part_in_a_recurrent_loop():
    out, _ = loopjax.scan(
        lambda k, h, d: at.tanh(h + d[1 + 3 * k : 4 + 3 * k].sum(axis=0)),
        sequences=at.arange(3),
        outputs_info=at.zeros(2, dtype="float64"),
        non_sequences=D,
    )
    f = loopjax.function([D], out)
    d, h = RNG.normal(size=(12, 2)), np.zeros(2)
    rows = f(d)
    for k in range(3):
        h = np.tanh(h + d[1 + 3 * k : 4 + 3 * k].sum(axis=0))
        np.testing.assert_allclose(rows[k], h, rtol=1e-12)
    assert "window" not in body(f.stages[0].programs[-1].graph)


def test_blocks_that_overhang_or_overlap_stay_windows():
    cut, _ = loopjax.map(lambda k: D[5 * k : 5 * k + 5].sum(), at.arange(3))
    near, _ = loopjax.map(lambda k: D[2 * k : 2 * k + 3].sum(), at.arange(4))
    f = loopjax.function([D], [cut, near])
    d = RNG.normal(size=(12, 2))
    found = f(d)
    np.testing.assert_allclose(found[0], [d[5 * k : 5 * k + 5].sum() for k in range(3)], rtol=1e-12)
    np.testing.assert_allclose(found[1], [d[2 * k : 2 * k + 3].sum() for k in range(4)], rtol=1e-12)
    assert sum("window" in {node.op.name for node in op.body.applies} for op in scans(f.stages[0].programs[-1].graph))


def test_a_network_over_minibatches():
    W, w = at.dmatrix("W"), at.dvector("w")

    def loss(k, n, v, W, w):
        hidden = at.tanh(at.dot(n[4 * k : 4 * k + 4], W))
        return ((at.dot(at.tanh(at.dot(hidden, W)), w) - v[4 * k : 4 * k + 4]) ** 2).mean()

    losses, _ = loopjax.map(loss, at.arange(N.shape[0] // 4), non_sequences=[N, V, W, w])
    grads = loopjax.grad(losses.sum(), [W, w])
    hessian = loopjax.grad((grads[0] ** 2).sum(), w)
    inputs, values = [N, V, W, w], [RNG.normal(size=size) for size in ((8, 3), 8, (3, 3), 3)]
    f, plain = (
        loopjax.function(inputs, [losses, *grads, hessian], mode=mode)
        for mode in (None, loopjax.Mode().excluding("step_values", "vmap"))
    )
    for one, other in zip(f(*values), plain(*values), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
