"""Inner loops of different lengths that advance together: values, and which do."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.random import RandomStream
from loopjax.rewrite.plan import PlanLoops
from tests.configured import configured

RNG = np.random.default_rng(8)
X, V, K = at.dvector("x"), at.dmatrix("v"), at.lvector("k")
LENGTHS = [3, 0, 7, 1, 7, 5]
VALUES = RNG.normal(size=7)
ANY_SIZE = PlanLoops(lockstep_loops=1, lockstep_steps=1)


def in_lockstep(f):
    return [loop.plan.lockstep for loop in loopjax.explain(f).loops if loop.plan.kind == "while"]


def agrees(inputs, outputs, *values):
    """The results of a program whose inner loops advance together, equal to those one by one."""
    together = loopjax.function(inputs, outputs)
    with configured(ANY_SIZE):
        found = together(*values)
    apart = loopjax.function(inputs, outputs, mode=loopjax.Mode().excluding("vmap"))
    for one, other in zip(found, apart(*values), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    assert in_lockstep(together)
    assert all(in_lockstep(together))
    assert not any(in_lockstep(apart))
    return found


def test_last_states_and_sums():
    def row(k, x):
        h, _ = loopjax.scan(lambda u, h: 0.5 * h + u, sequences=x[:k], outputs_info=np.float64(1))
        return at.concatenate([at.ones(1, dtype="float64"), h])[-1], h.sum(), (h**2).sum()

    (last, total, squares), _ = loopjax.map(row, K, non_sequences=X)
    found = agrees([K, X], [last, total, squares], LENGTHS, VALUES)
    for place, k in enumerate(LENGTHS):
        h, rows = 1.0, [1.0]
        for u in VALUES[:k]:
            h = 0.5 * h + u
            rows.append(h)
        expected = rows[-1], sum(rows[1:]), sum(r * r for r in rows[1:])
        np.testing.assert_allclose([one[place] for one in found], expected, rtol=1e-12)


def test_taps_and_rows_of_a_sequence_of_each_step():
    def row(k, v):
        def step(u, before, past):
            return at.tanh(u + 0.5 * before - past), u * past

        (h, w), _ = loopjax.scan(
            step, sequences=v[:k], outputs_info=[{"initial": at.ones(3, dtype="float64"), "taps": [-1, -3]}, None]
        )
        return w.sum() + at.switch(k > 0, h.sum(), 0.0)

    sums, _ = loopjax.map(row, [K, V])
    agrees([K, V], [sums], LENGTHS, RNG.normal(size=(6, 7)))


def test_a_loop_in_a_loop_in_a_loop():
    def row(k, x):
        def column(j, x):
            h, _ = loopjax.scan(lambda u, h: at.sin(h + u), sequences=x[:j], outputs_info=np.float64(0.3))
            return h.sum()

        columns, _ = loopjax.map(column, at.arange(k), non_sequences=x)
        return columns.sum()

    rows, _ = loopjax.map(row, K, non_sequences=X)
    f = loopjax.function([K, X], rows)
    with configured(ANY_SIZE):
        found = f(LENGTHS, VALUES)

    def inner(j):
        h, total = 0.3, 0.0
        for u in VALUES[:j]:
            h = np.sin(h + u)
            total += h
        return total

    np.testing.assert_allclose(found, [sum(inner(j) for j in range(k)) for k in LENGTHS], rtol=1e-12)


def test_draws_are_those_of_each_loop():
    stream = RandomStream(5)

    def row(k):
        h, updates = loopjax.scan(lambda h: h + stream.normal(), outputs_info=np.float64(0), n_steps=at.minimum(k, 9))
        return at.switch(k > 0, h.sum(), 0.0), updates

    sums, updates = loopjax.map(row, K)
    draws = []
    for mode in (None, loopjax.Mode().excluding("vmap")):
        f = loopjax.function([K], sums, mode=mode, updates=updates)
        stream.seed(5)
        with configured(ANY_SIZE):
            draws.append(f(LENGTHS))
    np.testing.assert_allclose(*draws, rtol=1e-12)


@pytest.mark.parametrize("kind", ["until", "few", "large"])
def test_which_run_one_by_one(kind):
    def row(k, v):
        def step(h, v):
            new = at.tanh(at.dot(h, v) + 1) if kind == "large" else h * 0.5 + 1
            return (new, loopjax.until(new.sum() > 1.9)) if kind == "until" else new

        h, _ = loopjax.scan(step, outputs_info=v[0], non_sequences=v, n_steps=at.minimum(k, 500))
        return h[-1].sum()

    size, count = (70 if kind == "large" else 4), (3 if kind == "few" else 40)
    sums, _ = loopjax.map(row, K, non_sequences=V)
    f = loopjax.function([K, V], sums)
    assert f(np.arange(1, count + 1), RNG.normal(size=(size, size))).shape == (count,)
    assert not any(in_lockstep(f))


def test_under_a_gradient_all_run_at_once():
    def row(k, x, w):
        h, _ = loopjax.scan(lambda h, x, w: at.sqrt(x * h + w), outputs_info=x, non_sequences=[x, w], n_steps=k)
        return h[-1]

    w = at.dscalar("w")
    rows, _ = loopjax.map(row, [at.clip(K, 1, 7), X], non_sequences=w)
    f = loopjax.function([K, X, w], loopjax.grad(rows.sum(), [X, w]))
    values = np.abs(VALUES[: len(LENGTHS)])
    with configured(ANY_SIZE):
        found = f(LENGTHS, values, 0.0)

    def last(k, x, w):
        h = x
        for _ in range(k):
            h = np.sqrt(x * h + w)
        return h

    def slope(k, x, dx, dw):
        step = 1e-6
        return (last(k, x + step * dx, step * dw) - last(k, x - step * dx, -step * dw)) / (2 * step)

    pairs = list(zip(np.maximum(LENGTHS, 1), values, strict=True))
    np.testing.assert_allclose(found[0], [slope(k, x, 1, 0) for k, x in pairs], rtol=1e-5)
    np.testing.assert_allclose(found[1], sum(slope(k, x, 0, 1) for k, x in pairs), rtol=1e-5)
    assert {loop.plan.kind for loop in loopjax.explain(f).loops} == {"vmap", "scan"}
