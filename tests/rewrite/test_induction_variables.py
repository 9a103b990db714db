"""Ranges that loops of known length read are counted in the carry."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at

COUNTED = loopjax.Mode()
STORED = COUNTED.excluding("induction_variables")


def sums(*bounds, mode=COUNTED, gradient=False, **options):
    h = at.dscalar("h")
    out, _ = loopjax.scan(
        lambda *rows: rows[-1] + sum((k + 1) * row for k, row in enumerate(rows[:-1])),
        sequences={"input": at.arange(*bounds), "taps": [-1, 1]},
        outputs_info=h,
        **options,
    )
    return loopjax.function([h], loopjax.grad(out.sum(), h) if gradient else out, mode=mode)


def notes(f):
    f(0.5)
    return str(loopjax.explain(f))


@pytest.mark.parametrize("bounds", [(40,), (3, 50), (3, 50, 4), (30, -9, -3)])
@pytest.mark.parametrize("options", [{}, {"go_backwards": True}, {"n_steps": 5}, {"n_steps": 5, "go_backwards": True}])
def test_every_range_in_both_directions(bounds, options):
    counted, stored = sums(*bounds, **options), sums(*bounds, mode=STORED, **options)
    np.testing.assert_array_equal(counted(0.5), stored(0.5))
    values = np.arange(*bounds)
    steps = options.get("n_steps", len(values) - 2)
    places = range(len(values) - 3, -1, -1) if "go_backwards" in options else range(steps)
    rows = [values[i] + 2 * values[i + 2] for i in list(places)[:steps]]
    np.testing.assert_array_equal(counted(0.5), 0.5 + np.cumsum(rows))
    assert "is counted in the carry" in notes(counted)
    assert "is counted in the carry" not in notes(stored)


def test_it_is_not_stored():
    sizes = [
        sums(100_000, mode=mode).lower(0.5).compile().memory_analysis().temp_size_in_bytes for mode in (COUNTED, STORED)
    ]
    assert sizes[0] < 2000 < sizes[1]


def test_not_under_a_derivative_nor_beside_arrays():
    assert "is counted in the carry" not in notes(sums(40, gradient=True))
    h = at.dvector("h")
    out, _ = loopjax.scan(lambda i, h: h + i, sequences=at.arange(40), outputs_info=h)
    f = loopjax.function([h], out, mode=COUNTED)
    np.testing.assert_array_equal(f(np.ones(2))[-1], [781.0, 781.0])
    assert "is counted in the carry" not in str(loopjax.explain(f))


@pytest.mark.parametrize("go_backwards", [False, True])
def test_a_range_with_room_to_spare(go_backwards):
    """Where the last step is not known, a loop that goes backwards reads the range as it is."""
    n = at.lscalar("n")
    out, _ = loopjax.scan(
        lambda i, total: total + i,
        sequences=at.arange(n),
        outputs_info=at.constant(0, dtype="int64"),
        go_backwards=go_backwards,
    )
    f = loopjax.function([n], out, lengths="padded")
    for count in (5, 7, 100, 110):
        values = np.arange(count)
        np.testing.assert_array_equal(f(count), np.cumsum(values[::-1] if go_backwards else values))
    assert ("is counted in the carry" in str(loopjax.explain(f))) is not go_backwards


@pytest.mark.parametrize(
    ("dtype", "start", "counted"), [("float32", 3, True), ("float64", -7, True), ("float32", 2**24, False)]
)
def test_ranges_of_floats_that_hold_them(dtype, start, counted):
    w = at.vector("w", dtype=dtype)
    terms, _ = loopjax.scan(lambda w, i: w * i, sequences=[w, at.arange(start, start + 50, dtype=dtype)])
    f, stored = (
        loopjax.function([w], terms.sum(), mode=mode) for mode in (COUNTED, STORED.excluding("reduction_fusion"))
    )
    values = np.linspace(0, 1, 50).astype(dtype)
    np.testing.assert_allclose(f(values), stored(values), rtol=5e-6)
    assert ("is counted in the carry" in str(loopjax.explain(f))) is counted
