"""Values that one step computes last and the next one first: carried."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.predictive_commoning import CarryCommonValues
from tests.rewrite.compared import both
from tests.rewrite.sized import float64, rewrites

WITHOUT = ["predictive_commoning"]
RNG = np.random.default_rng(4)
N = 12
A, Q, P, X = at.dmatrix("A"), at.dvector("q"), at.dvector("p"), at.dvector("x")
VALUES = [RNG.normal(size=(N, N)) / N, RNG.normal(size=N), RNG.normal(size=N)]


def force(q):
    return A @ at.sin(q) + q


def carried(loops):
    return [any("predictive_commoning" in note for note in loop.notes) for loop in loops]


def leapfrog(q, p, force=force):
    half = p - 0.05 * force(q)
    q = q + 0.1 * half
    return [q, half - 0.05 * force(q)]


def leap(step=leapfrog, start=Q, **options):
    return loopjax.scan(step, outputs_info=[start, P], n_steps=7, **options)[0]


def by_hand(a, q, p, steps=7):
    for _ in range(steps):
        p = p - 0.05 * (a @ np.sin(q) + q)
        q = q + 0.1 * p
        p = p - 0.05 * (a @ np.sin(q) + q)
    return q, p


@pytest.mark.parametrize("rows", [np.s_[-1], np.s_[:]])
def test_leapfrog(rows):
    q, p = leap()
    found, loops = both([A, Q, P], [q[rows], p[rows]], VALUES, without=WITHOUT)
    assert carried(loops) == [True]
    for one, expected in zip(found, by_hand(*VALUES), strict=True):
        np.testing.assert_allclose(one if one.ndim == 1 else one[-1], expected, rtol=1e-12)


def test_force_as_a_gradient():
    def slope(q):
        return loopjax.grad((A @ at.cos(q)).sum() + (q**2).sum(), q)

    q, p = leap(lambda q, p: leapfrog(q, p, slope))
    _, loops = both([A, Q, P], [q[-1], p[-1]], VALUES, without=WITHOUT)
    assert carried(loops)[0]


@pytest.mark.parametrize("n_steps", [0, 1, 3, 8])
def test_accepted_or_rejected(n_steps):
    """A scalar condition chooses the next state: the value is that of the chosen one."""

    def density(q):
        return at.sin(A @ q).sum()

    def draw(x, q):
        end = leap(start=q)[0][-1] + x
        return at.switch(density(end) > density(q) + at.cos(x), end, q)

    q, _ = loopjax.scan(draw, sequences=X[:n_steps], outputs_info=Q)
    values = [*VALUES, 3 * RNG.normal(size=8)]
    _, loops = both([A, Q, P, X], [q], values, without=WITHOUT)
    if n_steps > 2:
        assert carried(loops) == [True, True]


def test_several_states():
    """The value reads two states beside another one."""

    def step(x, q, p, r):
        value = at.tanh(A @ q + p)
        q_new, p_new = 0.9 * q + value, 0.8 * p + x
        return [q_new, p_new, at.tanh(A @ q_new + p_new) + 0.5 * r]

    start = {"initial": at.stack([Q, P]), "taps": [-2]}
    states = [Q, P, start]
    (q, p, r), _ = loopjax.scan(step, sequences=X, outputs_info=states)
    _, loops = both([A, Q, P, X], [q, p, r], [*VALUES, RNG.normal(size=8)], without=WITHOUT)
    assert carried(loops) == [True]


def test_until():
    q, p = leap(lambda q, p: (leapfrog(q, p), loopjax.until(q.sum() > 100)))
    _, loops = both([A, Q, P], [q, p], VALUES, without=WITHOUT)
    assert carried(loops) == [True]


def test_gradient():
    q, _ = leap()
    _, loops = both([A, Q, P], loopjax.grad(q[-1].sum(), [A, Q, P]), VALUES, rtol=1e-10, without=WITHOUT)
    assert carried(loops) == [False]


def with_time(x, q, a):
    """The value depends on the step's own input, which the next step does not have."""
    q = q + a @ at.sin(q + x)
    return q + 0.1 * (a @ at.sin(q + x))


@pytest.mark.parametrize(
    "step",
    [
        with_time,
        lambda x, q, a: q + a @ at.sin(q),
        lambda x, q, a: 2 * (q + 1.5 * q) + x,
        lambda x, q, a: at.tanh(at.tanh(a @ q)) + a @ at.tanh(a @ q),
    ],
)
def test_other_values_are_computed(step):
    a, q, x = float64("a", N, N), float64("q", N), float64("x", 8)
    out, _ = loopjax.scan(step, sequences=x, outputs_info=q, non_sequences=a)
    assert not rewrites(CarryCommonValues(), [a, q, x], [out])
