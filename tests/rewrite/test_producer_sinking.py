"""Outputs that a later loop reads one place of: computed there."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from tests.rewrite.compared import both
from tests.rewrite.sized import scans

T, K = 12, 16
RNG = np.random.default_rng(8)
WITHOUT = ["producer_sinking"]


def sunk(loops):
    """True where an output has moved to the later of two loops."""
    return any("producer_sinking" in note for loop in loops for note in loop.notes)


def parents(B, start, A, choose=lambda reached: reached.argmax(axis=0)):
    def forward(b, score):
        reached = score.dimshuffle(0, "x") + A
        return [reached.max(axis=0) + b, choose(reached)]

    (score, parent), _ = loopjax.scan(forward, sequences=B, outputs_info=[start, None])
    return score, parent


def walk(parent, last, backwards=True, read=lambda back, state: back[state]):
    return loopjax.scan(read, sequences=parent, outputs_info=last, go_backwards=backwards)[0]


B, START, A = at.dmatrix("B"), at.dvector("start"), at.dmatrix("A")
VALUES = [RNG.normal(size=size) for size in ((T, K), (K,), (K, K))]


def viterbi(b, start, a):
    score, parent = [start], []
    for row in b:
        reached = score[-1][:, None] + a
        parent.append(reached.argmax(0))
        score.append(reached.max(0) + row)
    path = [int(score[-1].argmax())]
    for back in parent[::-1]:
        path.append(int(back[path[-1]]))
    return path[1:]


def test_viterbi():
    score, parent = parents(B, START, A)
    (path,), loops = both([B, START, A], [walk(parent, score[-1].argmax())], VALUES, without=WITHOUT)
    assert list(path) == viterbi(*VALUES)
    assert sunk(loops)
    assert [output.name for output in loops[0].outputs] == ["start", "start[t-1]"]


def test_some_steps_in_another_order():
    score, parent = parents(B, START, A)
    paths = walk(parent[2:][::-1], score[-1].argmax(), backwards=False)
    _, loops = both([B, START, A], [paths, score[-1]], VALUES, without=WITHOUT)
    assert sunk(loops)


@pytest.mark.parametrize(
    "choose",
    [
        lambda reached: at.switch(reached.max(axis=0, keepdims=True) > reached, 1, 0).argmin(axis=0),
        lambda reached: at.cast(reached.T.argmax(axis=1), "int32"),
        lambda reached: (reached.dimshuffle(0, 1, "x") * at.ones((1, 1, 3)) + at.arange(3)).sum(axis=2).argmax(axis=0),
        lambda reached: at.stack([reached, -reached]).argmax(axis=1)[0],
    ],
)
def test_expressions(choose):
    score, parent = parents(B, START, A, choose)
    last = at.cast(score[-1].argmax(), parent.dtype)
    both([B, START, A], [walk(parent, last)], VALUES, without=WITHOUT)


def test_minibatch():
    """Each example of a batch reads a place of its own, by two index arrays."""
    b, start = at.dtensor3("b"), at.dmatrix("start")

    def forward(b, score):
        reached = score.dimshuffle(0, 1, "x") + A
        return [reached.max(axis=1) + b, reached.argmax(axis=1)]

    (score, parent), _ = loopjax.scan(forward, sequences=b, outputs_info=[start, None])
    each = at.arange(start.shape[0])
    for read, last in ((lambda back, state: back[each, state], score[-1].argmax(axis=1)),):
        arrays = [RNG.normal(size=(T, 4, K)), RNG.normal(size=(4, K)), VALUES[2]]
        (path,), loops = both([b, start, A], [walk(parent, last, read=read)], arrays, without=WITHOUT)
        expected = [viterbi(arrays[0][:, n], arrays[1][n], arrays[2]) for n in range(4)]
        np.testing.assert_array_equal(path, np.transpose(expected))
        assert sunk(loops)


def test_several_places_of_each_step():
    score, parent = parents(B, START, A)
    ends = at.argsort(score[-1])[:2]
    _, loops = both([B, START, A], [walk(parent, ends)], VALUES, without=WITHOUT)
    assert sunk(loops)


def test_places_out_of_bounds():
    places = at.ivector("places")
    _, parent = parents(B, START, A)
    found, _ = loopjax.scan(
        lambda back, i, total: total + back[i], sequences=[parent, places], outputs_info=at.constant(0)
    )
    at_once, _ = loopjax.scan(lambda back, i: back[i], sequences=[parent, places])
    for output in (found, at_once):
        both([B, START, A, places], [output], [*VALUES, np.arange(-23, -11, dtype="int32")], without=WITHOUT)
        both([B, START, A, places], [output], [*VALUES, np.arange(9, 21, dtype="int32")], without=WITHOUT)


def test_gradient_of_a_soft_choice():
    """A float output, differentiated through both loops."""

    def forward(b, h):
        reached = at.tanh(h.dimshuffle(0, "x") * A)
        return [0.5 * h + b, reached.sum(axis=0)]

    (_, mixed), _ = loopjax.scan(forward, sequences=B, outputs_info=[START, None])
    found, _ = loopjax.scan(
        lambda m, i, s: 0.5 * s + m[i], sequences=[mixed, at.arange(T) % K], outputs_info=np.float64(0)
    )
    inputs = [B, START, A]
    _, loops = both(inputs, [found[-1]], VALUES, without=WITHOUT)
    assert sunk(loops)
    _, loops = both(inputs, loopjax.grad(found[-1], inputs), VALUES, rtol=1e-10, without=WITHOUT)
    assert sunk(loops)


def test_gradient_where_a_read_out_of_bounds_is_masked():
    places = at.lvector("places")

    def forward(b, h):
        return [0.5 * h + b, at.tanh(h.dimshuffle(0, "x") * A).sum(axis=0)]

    (_, mixed), _ = loopjax.scan(forward, sequences=B, outputs_info=[START, None])
    found, _ = loopjax.scan(lambda m, i: at.switch((i >= 0) & (i < K), m[i], 0.0), sequences=[mixed, places])
    gradients = loopjax.grad(found.sum(), [B, START, A])
    found, loops = both([B, START, A, places], gradients, [*VALUES, np.arange(10, 22)], rtol=1e-10, without=WITHOUT)
    assert sunk(loops)
    assert all(np.isfinite(one).all() for one in found)


def test_two_outputs_of_a_loop():
    def forward(b, score):
        reached = score.dimshuffle(0, "x") + A
        return [reached.max(axis=0) + b, reached.argmax(axis=0), reached.argmin(axis=0)]

    (_, best, worst), _ = loopjax.scan(forward, sequences=B, outputs_info=[START, None, None])
    last = at.constant(0, dtype="int64")
    path, _ = loopjax.scan(lambda i, j, s: i[j[s]], sequences=[best, worst], outputs_info=last, go_backwards=True)
    _, loops = both([B, START, A], [path], VALUES, without=WITHOUT)
    assert sum("producer_sinking" in note for note in loops[1].notes) == 2


@pytest.mark.parametrize("case", ["returned", "two readers", "whole row", "one place of few", "checked", "truncated"])
def test_where_an_output_stays(case):
    cheap = (
        (lambda reached: at.cast(reached[0] > 0, "int64"))
        if case == "one place of few"
        else (lambda r: r.argmax(axis=0))
    )
    score, parent = parents(B, START, A, cheap)
    last, more = score[-1].argmax(), []
    read = (lambda back, state: back[state] + back.sum()) if case == "whole row" else (lambda back, state: back[state])
    if case == "returned":
        more = [parent]
    elif case == "two readers":
        more = [walk(parent, last, backwards=False)]
    check = "index" if case == "checked" else None
    if case == "truncated":
        (score, parent), _ = loopjax.scan(
            lambda b, s: [s + b, (s.dimshuffle(0, "x") + A).argmax(axis=0)],
            sequences=B,
            outputs_info=[START, None],
            truncate_gradient=3,
        )
    f = loopjax.function([B, START, A], [walk(parent, last, read=read), *more], check=check, on_unused_input="ignore")
    f(*VALUES)
    assert not sunk(scans(f.stages[-1].programs[-1].graph))
