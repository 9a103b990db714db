"""Far taps of loops whose length is a value, under a derivative: whole blocks, and a masked one for the rest."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at


@pytest.mark.parametrize("taps", [[-20, -6, -1], [-10]])
def test_one_program_for_many_lengths(taps):
    x, a = at.dmatrix("x"), at.dvector("a")
    start = at.constant(np.linspace(-1, 1, -2 * min(taps)).reshape(-1, 2))

    def step(x_t, *pasts):
        new = at.tanh(sum(a[i] * past for i, past in enumerate(pasts)) + at.log(x_t))
        return new, new.sum()

    (h, m), _ = loopjax.scan(step, x, [{"initial": start, "taps": taps}, None])
    cost = (h**2).sum() + h[-1].prod() + m.sum()
    slopes = loopjax.grad(cost, [a, x])
    outputs = [cost, h, *slopes, loopjax.grad((slopes[0] ** 2).sum(), a)]
    f, g = (loopjax.function([x, a], outputs, lengths=lengths) for lengths in ("padded", "exact"))
    for n in (30, 7, 12, 1):
        arguments = np.random.default_rng(n).uniform(0.5, 1.5, (n, 2)), np.array([0.3, 0.2, 0.4])
        for one, other in zip(f(*arguments), g(*arguments), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-13)
    plans = [loop.plan for loop in loopjax.explain(f).loops]
    assert all((plan.kind, plan.block) == ("stored_while", -taps[-2] if len(taps) > 1 else 10) for plan in plans)
