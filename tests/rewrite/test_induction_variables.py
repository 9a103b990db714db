"""Ranges that loops of known length read are counted in the carry."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.induction_variables import ComputeInductionVariables, ComputeSizedInductionVariables
from loopjax.rewrite.target import Target
from tests.rewrite.sized import after, float64, lines, rewrites, sized_graph, symbolically, text

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


def test_before_and_after() -> None:
    h = float64("h")
    out, _ = loopjax.scan(
        lambda a, b, h: h + a * b, sequences={"input": at.arange(9, 1, -2), "taps": [0, 1]}, outputs_info=h
    )
    assert text(sized_graph([h], [out])) == lines("""
        input h : float64()
        %0 = arange[dtype=int64, lengths=(9, 1, -2)]() : int64(4,)
        %1 = scan 'scan'[steps=3, sequence[0, 1], recurrence[-1] keeps all](%0, h) : float64(3,)
            input 1.a : int64()
            input 1.b : int64()
            input 1.h[t-1] : float64()
            %1.0 = mul(1.a, 1.b) : int64()
            %1.1 = as_float[dtype=float64](%1.0) : float64()
            %1.2 = add(1.h[t-1], %1.1) : float64()
            return %1.2
        return %1""")
    assert text(after([ComputeSizedInductionVariables()], [h], [out])) == lines("""
        input h : float64()
        %0 = scan 'scan'[steps=3, recurrence[-1] keeps all, recurrence[-1] keeps last 0](h, 9) : float64(3,), int64(0,)
            input 0.h[t-1] : float64()
            input 0.sequences[0] : int64()
            %0.0 = add(0.sequences[0], 0) : int64()
            %0.1 = add(0.sequences[0], -2) : int64()
            %0.2 = mul(%0.0, %0.1) : int64()
            %0.3 = as_float[dtype=float64](%0.2) : float64()
            %0.4 = add(0.h[t-1], %0.3) : float64()
            %0.5 = add(0.sequences[0], -2) : int64()
            return %0.4, %0.5
        return %0:0""")


@pytest.mark.parametrize(
    ("step", "counts"),
    [
        (ComputeSizedInductionVariables(), True),
        (ComputeSizedInductionVariables(Target("gpu")), False),
        (ComputeSizedInductionVariables(Target(derivative="reverse")), False),
    ],
)
def test_where(step, counts) -> None:
    h = float64("h")
    out, _ = loopjax.scan(lambda i, h: h + i, sequences=at.arange(4), outputs_info=h)
    assert rewrites(step, [h], [out]) is counts


@pytest.mark.parametrize(("ops", "counts"), [(12, True), (13, False)])
def test_bodies_of_few_ops(ops, counts) -> None:
    def step(i, h):
        for _ in range(ops - 1):
            h = h * h
        return h + i

    h = float64("h")
    out, _ = loopjax.scan(step, sequences=at.arange(4, dtype="float64"), outputs_info=h)
    assert rewrites(ComputeSizedInductionVariables(), [h], [out]) is counts


@pytest.mark.parametrize(
    ("read", "counts"),
    [
        (lambda out: out[-1], True),
        (lambda out: out[2], True),
        (lambda out: out.sum(), True),
        (lambda out: out[-2:], True),
        (lambda out: out[1:], False),
        (lambda out: out, False),
    ],
)
def test_of_unknown_length(read, counts) -> None:
    n, h = at.lscalar("n"), float64("h")
    out, _ = loopjax.scan(lambda i, h: h + i, sequences=at.arange(n), outputs_info=h)
    found = symbolically([ComputeInductionVariables()], [n, h], [read(out)])
    assert ("sequence[" not in found) is counts
    assert ("trip_count[needs=(('sequences[0]', 0),), scan=scan]" in found) is counts


@pytest.mark.parametrize(
    ("bounds", "length"), [((3, 11, 2), 4), ((3, 12, 2), 5), ((11, 3, -3), 3), ((12, 3, -3), 3), ((5, 3, 1), 0)]
)
def test_the_length_of_a_range_is_computed_without_it(bounds, length) -> None:
    n = at.lscalar("n")
    start, stop, stride = bounds
    x = at.arange(start, n, stride)
    found = symbolically([ComputeInductionVariables()], [n], [x.shape[0]])
    assert "arange" not in found
    assert int(loopjax.function([n], x.shape[0])(stop)) == length
