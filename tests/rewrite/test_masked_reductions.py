"""Reductions of what a mask selects, without selecting it."""

import warnings

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax import Mode
from loopjax.ir.graph import Graph
from loopjax.rewrite.masked_reductions import MaskReductions
from tests.rewrite.sized import text

RNG = np.random.default_rng(7)
SELECTING = Mode().excluding("masked_reductions")

x, s, m, r = at.dvector("x"), at.dscalar("s"), at.bvector("m"), at.dvector("r")
X, Y = at.dmatrix("X"), at.dtensor3("Y")
GIVEN = {
    "x": RNG.normal(size=6),
    "s": 0.2,
    "m": np.array([1, 0, 0, 1, 1, 0], "int8"),
    "r": RNG.normal(size=4),
    "X": RNG.normal(size=(6, 5)),
    "Y": RNG.normal(size=(6, 5, 4)),
}


def rewritten(output, inputs=(x, s, m, r, X, Y)):
    return text(MaskReductions()(Graph(inputs, [output])))


REDUCED = [
    x[x > s].sum(),
    (x[x > s] * s + 1).prod(),
    at.sqrt(x[(x > 0).nonzero()]).mean(),
    at.exp(x)[(x > 0).nonzero()].mean(),
    x[x > s].std(),
    x[x > s].var(ddof=1),
    x[x > s].max(),
    at.exp(x)[x > s].min(),
    x[x > s].shape[0] / 2.5,
    (x > s).nonzero()[0].max(),
    at.flatnonzero(s < X).sum(),
    at.cast(10 * x, "int8")[x > s].sum(),
    at.cast(10 * x, "int8")[x > s].mean(),
    at.cast(x, "float16")[x > s].mean(),
    (x[x > s] > 1).any(),
    (x[x > s] < 2).all(),
    X[x > s].sum(axis=0),
    X[s < X].mean(),
    Y[s < X].sum(),
    Y[s < X, 1].sum(),
    (Y[s < X] * r).mean(),
    (Y[s < X] - r).std(axis=0, keepdims=True),
    Y[s < X].max(axis=1).sum(),
    Y[s < X].max(axis=(0, 1)),
    (Y[s < X][:, 2:] ** 2).mean(),
    at.sqrt(x[x > 0] / x[x > 0].sum()).sum(),
]


@pytest.mark.parametrize("reduced", REDUCED, ids=str)
def test_reduced_without_positions(reduced):
    found = rewritten(reduced)
    assert "nonzero(" not in found or "index[" not in found.replace("index[:", "")


def test_values_and_gradients_are_those_of_what_is_selected():
    given = {name: value for name, value in GIVEN.items() if name != "m"}
    costs = [one.sum() for one in REDUCED if one.dtype == "float64"]
    slopes = [loopjax.grad(cost, [x, X, Y, r], disconnected_inputs="ignore") for cost in costs]
    outputs = [*REDUCED, *(slope for each in slopes for slope in each)]
    f, g = (loopjax.function([x, s, r, X, Y], outputs, mode=mode) for mode in (Mode(), SELECTING))
    for one, other in zip(f(**given), g(**given), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_allclose(one, other, rtol=2e-3 if one.dtype == "float16" else 1e-12, atol=1e-15)


@pytest.mark.parametrize(
    "selected",
    [
        x[x > s],
        at.sort(x[x > s]).sum(),
        x[x > s].argmax(),
        (x[x > s] - r).sum(),
        (x[x > s] * x[x < s]).sum(),
        X[:, x > s].sum(),
        x[at.neq(m, 0).nonzero()].sum(),
        x[:-1][(x[1:] > x[:-1]).nonzero()].sum(),
    ],
    ids=str,
)
def test_other_reads_select(selected):
    assert "switch(" not in rewritten(selected)


def test_a_mask_of_another_length_is_an_error_as_before():
    for mode in (Mode(), SELECTING):
        f = loopjax.function([x, m], x[at.neq(m, 0)].sum(), mode=mode)
        assert f(np.arange(3.0), np.array([1, 0, 1], "int8")) == 2
        with pytest.raises(ValueError, match=r"2|4"):
            f(np.arange(4.0), np.array([1, 1], "int8"))
        shorter = loopjax.function([x, m], x[at.neq(m, 0).nonzero()].sum(), mode=mode)
        assert shorter(np.arange(4.0), np.array([1, 1], "int8")) == 1


def test_what_is_not_selected_has_no_part_in_values_and_gradients():
    kept = x[at.neq(m, 0)]
    costs = [y.mean() + y.std() for y in (at.log(kept) * s, s / kept, at.sqrt(kept), kept**s, at.exp(kept) * kept)]
    outputs = [*costs, *(slope for cost in costs for slope in loopjax.grad(cost, [x, s], disconnected_inputs="ignore"))]
    f, g = (loopjax.function([x, m, s], outputs, mode=mode) for mode in (Mode(), SELECTING))
    for bad in (0.0, -1.0, np.nan, np.inf, -np.inf, 1e308):
        given = np.array([0.4, bad, 1.5, bad, 0.9]), np.array([1, 0, 1, 0, 1], "int8"), 0.7
        for found, expected in zip(f(*given), g(*given), strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12)
            assert np.isfinite(found).all()


def test_rows_with_missing_values():
    """Gradients of rows that are left out are 0, also where they hold NaN and a row is reduced first."""
    whole = X[at.invert(at.any(at.isnan(X), axis=1))]
    scaled = (whole - whole.mean(1, keepdims=True)) / whole.std(1, keepdims=True)
    costs = [whole.std(axis=1).mean(), whole.prod(axis=1).sum(), at.log(at.exp(whole).sum(axis=1)).sum()]
    costs += [whole.mean(axis=1).std(), (scaled**3).sum() + whole.max(axis=1).sum()]
    f, g = (loopjax.function([X], [loopjax.grad(one, X) for one in costs], mode=mode) for mode in (Mode(), SELECTING))
    rows = np.array([[1, 2.0, 4], [np.nan, 3, 1], [4, 6, 5]])
    for found, expected in zip(f(rows), g(rows), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
        assert np.isfinite(found).all()


def test_fewer_selected_than_degrees_of_freedom():
    f = loopjax.function([x, m], [x[at.neq(m, 0)].var(ddof=ddof) for ddof in (1, 2, 3)])
    for selected in ([0, 0, 0], [1, 0, 0], [1, 1, 0], [1, 1, 1]):
        values, mask = np.array([1.0, 3, 4]), np.array(selected, "int8")
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = [values[mask != 0].var(ddof=ddof) for ddof in (1, 2, 3)]
        np.testing.assert_allclose(f(values, mask), expected)


def test_a_number_of_selected_elements_as_a_length():
    squares, _ = loopjax.scan(lambda t: (at.arange(x[x > t].shape[0]) ** 2).sum(), sequences=r)
    np.testing.assert_array_equal(loopjax.function([x, r], squares)(np.arange(5.0), np.arange(3.0)), [14, 5, 1])


def test_other_positions_beside_a_mask():
    corner = X[at.arange(2), at.arange(2)].sum() + x[x > 0].sum()
    assert loopjax.function([X, x], corner)(np.eye(2), np.arange(3.0)) == 5
    none = loopjax.function([Y, X], Y[X > 0].sum())
    assert none(np.zeros((3, 2, 0)), np.ones((3, 2))) == 0


def test_without_double_where_elements_are_selected():
    slope = loopjax.grad(at.log(x[x > 0]).mean(), x)
    f = loopjax.function([x], slope, mode=Mode().excluding("double_where"))
    np.testing.assert_array_equal(f(np.array([0.0, 2])), [0, 0.5])


def test_nothing_selected():
    values = np.array([-1.0, -2.0])
    f = loopjax.function([x], [x[x > 0].sum(), x[x > 0].prod(), x[x > 0].mean(), x[x > 0].shape[0]])
    np.testing.assert_array_equal(f(values), [0, 1, np.nan, 0])
    h, _ = loopjax.scan(lambda t: x[x > t].max(), sequences=s[None])
    for greatest in (x[x > s].max(), h):
        with pytest.raises(ValueError, match=r"max: an array has no elements .*\[test_masked_reductions.py:\d+\]"):
            loopjax.function([x, s], greatest)(values, 3.0)


def test_in_loops_with_a_mask_of_what_is_outside():
    def clipped(mean, spread):
        near = x[abs(x - mean) < 2 * spread]
        return near.mean(), near.std()

    (means, spreads), _ = loopjax.scan(clipped, outputs_info=[x.mean(), x.std()], n_steps=5)
    rows, _ = loopjax.scan(lambda k: X[at.eq(m, k)].mean(axis=0), sequences=at.arange(2))
    f = loopjax.function([x, X, m], [means, spreads, rows], mode=Mode().excluding("small_loops"))
    values = np.append(RNG.normal(size=30), [50, -80])
    found = f(values, GIVEN["X"], GIVEN["m"])
    mean, spread = values.mean(), values.std()
    for one, other in zip(*found[:2], strict=True):
        near = values[abs(values - mean) < 2 * spread]
        mean, spread = near.mean(), near.std()
        np.testing.assert_allclose([one, other], [mean, spread])
    np.testing.assert_allclose(found[2], [GIVEN["X"][GIVEN["m"] == k].mean(0) for k in range(2)])
    assert not f.stages[-1].programs[-1].graph.holds(lambda node: node.op.named("nonzero"))


def test_a_program_that_jax_batches():
    above = loopjax.to_jax([x, s], at.log(x[x > s]).mean())
    values, least = RNG.uniform(1, 3, (4, 9)), np.linspace(1, 2, 4)
    found = jax.vmap(above)(values, least)
    expected = [np.log(row[row > one]).mean() for row, one in zip(values, least, strict=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-6)
