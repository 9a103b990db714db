"""Products of padded operands: values whatever the other rows are, and which products."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.cond import IfElse
from loopjax.ir.graph import Graph
from tests.rewrite.sized import scans

RNG = np.random.default_rng(3)
X, H = at.dmatrix("x"), at.dvector("h")
STEPS = at.arange(X.shape[0])


def attend(t, h, x):
    """Softmax attention to the rows of ``x`` up to ``t``."""
    return at.tanh(at.dot(at.softmax(at.dot(x[: t + 1], h)), x[: t + 1]) + h)


def attended(x, h):
    rows = []
    for t in range(len(x)):
        scores = x[: t + 1] @ h
        weights = np.exp(scores - scores.max())
        h = np.tanh(weights / weights.sum() @ x[: t + 1] + h)
        rows.append(h)
    return np.array(rows)


def speculated(f):
    """The conditionals in loops of the program that ran last."""
    bodies: list[Graph] = [op.body for op in scans(f.stages[-1].programs[-1].graph)]
    return sum(isinstance(node.op, IfElse) for body in bodies for node in body.applies)


@pytest.mark.parametrize("row", [None, 3, 79], ids=["finite", "inside", "last"])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_values_whatever_the_other_rows_are(row, number):
    x, h = RNG.normal(size=(80, 8)), RNG.normal(size=8)
    if row is not None:
        x[row, 2] = number
    out, _ = loopjax.scan(attend, sequences=STEPS, outputs_info=H, non_sequences=X)
    f = loopjax.function([X, H], out)
    with np.errstate(invalid="ignore"):
        np.testing.assert_allclose(f(x, h), attended(x, h), rtol=1e-9)
    assert speculated(f) == 1
    assert len([node for node in scans(f.stages[-1].programs[-1].graph)[0].body.applies if node.op.name == "dot"]) == 2


def test_other_sides_and_the_mode_without():
    def step(t, h, x):
        return at.tanh(at.dot(x[: t + 1].T, at.ones(t + 1, dtype="float64") * h[0]) + at.matmul(h[: t % 3], x[: t % 3]))

    out, _ = loopjax.scan(step, sequences=STEPS, outputs_info=H, non_sequences=X)
    x, h = RNG.normal(size=(90, 12)), RNG.normal(size=12)
    f, plain = (
        loopjax.function([X, H], out, mode=mode) for mode in (None, loopjax.Mode().excluding("masked_products"))
    )
    np.testing.assert_allclose(f(x, h), plain(x, h), rtol=1e-12)
    assert speculated(f) > speculated(plain) == 0


def test_not_where_both_branches_would_run():
    mapped, _ = loopjax.map(lambda t, x, h: at.dot(h[:t], x[:t]), STEPS, non_sequences=[X, H])
    recurrent, _ = loopjax.scan(attend, sequences=STEPS[:-1], outputs_info=H, non_sequences=X)
    x, h = RNG.normal(size=(80, 8)), RNG.normal(size=80)
    f = loopjax.function([X, H], mapped)
    np.testing.assert_allclose(f(x, h), [h[:t] @ x[:t] for t in range(80)], rtol=1e-9, atol=1e-12)
    assert not speculated(f)
    g = loopjax.function([X, H], loopjax.grad(recurrent[-1].sum(), X))
    x[79] = np.nan
    slope = g(x, h[:8])
    assert not speculated(g)
    assert np.isfinite(slope).all()
    assert not slope[79].any()


def test_small_operands_are_masked():
    out, _ = loopjax.scan(attend, sequences=STEPS, outputs_info=H, non_sequences=X)
    f = loopjax.function([X, H], out)
    x, h = RNG.normal(size=(20, 8)), RNG.normal(size=8)
    np.testing.assert_allclose(f(x, h), attended(x, h), rtol=1e-9)
    assert not speculated(f)
