"""Reads and writes that need no check."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.rewrite.value_ranges import BoundIndices
from tests.rewrite.sized import after, scans

RNG = np.random.default_rng(12)
X = at.tensor("float64", shape=(20,), name="x")


def entries(graph):
    """The bounds of the index inputs of all reads and writes, the outer before the inner."""
    found = []
    for node in graph.applies:
        if node.op.has("gather", "scatter"):
            found += [(one.least, one.greatest) for one in node.op.arguments["pattern"].arrays]
        for region in node.op.regions:
            found += entries(region)
    return found


def bounds(inputs, outputs):
    return entries(after([BoundIndices()], inputs, outputs))


def test_indices_made_of_a_sequence_of_numbers():
    a, _ = loopjax.scan(
        lambda k, a: at.set_subtensor(a[k], (a * X[at.clip(k - at.arange(20), 0, 19)]).sum() + X[k] + X[k + 5]),
        sequences=at.arange(18),
        outputs_info=at.ones(20, dtype="float64"),
    )
    assert bounds([X], [a[-1]]) == [(0, 17), (0, 17), (5, None), (0, 17)]
    x, wanted = RNG.normal(size=20), np.ones(20)
    for k in range(15):
        wanted[k] = (wanted * x[np.clip(k - np.arange(20), 0, 19)]).sum() + x[k] + x[k + 5]
    wanted[15:18] = np.nan
    np.testing.assert_allclose(loopjax.function([X], a[-1])(x), wanted, rtol=1e-12)


@pytest.mark.parametrize(
    ("start", "step", "n_steps", "found"),
    [
        (0, lambda i: i + 1, 20, (0, 19)),
        (0, lambda i: i + 1, 21, (0, None)),
        (0, lambda i: at.minimum(i + 1, 12), 1_000, (0, 12)),
        (7, lambda i: (3 * i + 2) % 11, 1_000, (0, 10)),
        (19, lambda i: i + at.switch(X[i] > 0, -1, 0), 20, (0, 19)),
        (3, lambda i: at.switch(X[i] > 0, 5, 2), 1_000, (2, 5)),
        (1, lambda i: 2 * i, 3, (1, None)),
        (1, lambda i: -3 * i, 3, (None, None)),
        (0, lambda i: i - 1, 21, (-20, 0)),
    ],
)
def test_states_of_a_loop(start, step, n_steps, found):
    (_, v), _ = loopjax.scan(
        lambda i, v: [step(i), v + X[i]],
        outputs_info=[at.constant(start), at.constant(0.0, dtype="float64")],
        n_steps=n_steps,
    )
    assert set(bounds([X], [v[-1]])) == {found}


def test_positions_out_of_bounds_and_from_the_end():
    """What is not known to be within bounds, or not to be negative, is still checked."""
    k = at.lscalar("k")
    read, from_end = X[at.minimum(at.arange(4) + k, 30)], X[at.clip(k - at.arange(4), -20, 19)]
    written = at.set_subtensor(X[at.maximum(k, 0)], 5.0)
    assert bounds([k, X], [read, from_end, written]) == [(None, None), (-20, 19), (0, None)]
    f = loopjax.function([k, X], [read, from_end, written])
    x = RNG.normal(size=20)
    for value in (-2, 0, 18, 40):
        places = np.minimum(np.arange(4) + value, 30)
        inside = (places >= -20) & (places < 20)
        wanted = x.copy()
        if value < 20:
            wanted[max(value, 0)] = 5
        found = f(value, x)
        np.testing.assert_array_equal(found[0], np.where(inside, x[np.where(inside, places, 0)], np.nan))
        np.testing.assert_array_equal(found[1], x[np.clip(value - np.arange(4), -20, 19)])
        np.testing.assert_array_equal(found[2], wanted)


def test_a_stack_of_a_loop_in_another():
    places, _ = loopjax.scan(lambda x: at.argmax(x), sequences=X.reshape((4, 5)))
    v, _ = loopjax.scan(lambda i, v: 0.5 * v + X[i], sequences=places, outputs_info=at.constant(0.0, dtype="float64"))
    assert bounds([X], [v[-1]]) == [(0, 4)]


def test_gradients_of_rows_that_are_written():
    """In a region of a derivative, by an index that the loop computes and by one that may be out of bounds."""
    k = at.tensor("int64", shape=(6,), name="k")

    def step(t, k, a):
        a = at.set_subtensor(a[k], 2 * a[t] * X[t] + at.tanh(a[k]))
        return at.inc_subtensor(a[5 - t], X[k])

    a, _ = loopjax.scan(step, sequences=[at.arange(6), k], outputs_info=X)
    cost = (a[-1] ** 2).sum()
    f = loopjax.function([X, k], [cost, loopjax.grad(cost, X)])
    x, places = RNG.normal(size=20), np.array([3, 0, 30, 3, -1, 5])
    assert np.isnan(f(x, places)[0])  # which reads out of bounds
    places[2] = 9

    def run(x):
        a = x.copy()
        for t, k in enumerate(places):
            a[k] = 2 * a[t] * x[t] + np.tanh(a[k])
            a[5 - t] += x[k]
        return (a**2).sum()

    value, slope = f(x, places)
    np.testing.assert_allclose(value, run(x), rtol=1e-12)
    steps = 1e-6 * np.eye(20)
    np.testing.assert_allclose(slope, [(run(x + e) - run(x - e)) / 2e-6 for e in steps], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(("last", "masks"), [(17, False), (18, True)])
def test_padding_without_rows_is_not_masked(last, masks):
    """Windows of three of 20 rows, up to the last one that is inside, and one further."""
    k = at.tensor("int64", shape=(6,), name="k")
    sums, _ = loopjax.scan(
        lambda k, s: 0.5 * s + X[at.clip(k, 0, last) : at.clip(k, 0, last) + 3].sum(),
        k,
        at.constant(0.0, dtype="float64"),
    )
    f = loopjax.function([X, k], sums)
    x, places, expected = RNG.normal(size=20), np.array([-4, 0, 17, 18, 19, 30]), [0.0]
    for place in np.clip(places, 0, last):
        expected.append(0.5 * expected[-1] + x[place : place + 3].sum())
    np.testing.assert_allclose(f(x, places), expected[1:], rtol=1e-12)
    (loop,) = scans(f.stages[-1].programs[-1].graph)
    assert any(node.op.named("fill_rows", "mask_rows") for node in loop.body.applies) == masks


@pytest.mark.parametrize("factor", [np.int32(1103515245), np.int64(6364136223846793005)])
def test_places_made_of_products_that_wrap_around_are_masked(factor):
    n, x = 12, np.arange(1.0, 13.0)
    v = at.tensor("float64", shape=(n,), name="v")

    def step(i, v):
        hashed = at.cast(i, factor.dtype.name) * factor
        start = 2 * (n - 3) - 2 * at.minimum(at.maximum(hashed, 0), n - 3)
        return at.tanh(v) * 10, v[start : start + 3].sum()

    (_, sums), _ = loopjax.scan(step, at.arange(10) + 5, [v, None])
    expected = []
    with np.errstate(over="ignore"):
        for i in range(5, 15):
            hashed = int(np.asarray([i], factor.dtype)[0] * factor)
            start = 2 * (n - 3) - 2 * min(max(hashed, 0), n - 3)
            expected.append(x[start : start + 3].sum())
            x = np.tanh(x) * 10
    np.testing.assert_allclose(loopjax.function([v], sums)(np.arange(1.0, 13.0)), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("positions", "is_unique"),
    [
        (lambda place: at.arange(place.shape[0]), True),
        (lambda place: at.arange(1, 5), True),
        (lambda place: np.array([5, 0, 3, 2]), True),
        (lambda place: np.array([5, 0, 3, 5]), False),
        (lambda place: np.array([5, 0, 3, -1]), False),
        (lambda place: place % 6, False),
    ],
)
def test_elements_that_are_written_once(positions, is_unique):
    """Of rows that a loop is given, one for each: the derivative asks for no element which value is its last."""
    x, values, places = at.dmatrix("x"), at.dmatrix("values"), at.imatrix("places")
    first = positions(places[0])

    def step(v, place, x):
        rows = first if is_unique else positions(place)
        return at.set_subtensor(x[rows, place], at.tanh(v) * x[rows, place])

    out, _ = loopjax.scan(step, sequences=[values, places], outputs_info=x)
    cost = (at.sin(out[-1]) * np.arange(1.0, 9.0)).sum()
    outputs = [out[-1], *loopjax.grad(cost, [x, values])]
    given = RNG.normal(size=(6, 8)), RNG.normal(size=(5, 4)), RNG.integers(0, 8, (5, 4)).astype("int32")
    f = loopjax.function([x, values, places], outputs)
    found = f(*given)
    assert ("ui32" in f.lower(*given).as_text()) != is_unique
    mode = loopjax.Mode().excluding("value_ranges")
    expected = loopjax.function([x, values, places], outputs, mode=mode)(*given)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_a_range_beside_more_positions():
    """Writes elements twice: the derivative by what is there before is 0 where something is written."""
    x, places = at.dmatrix("x"), at.imatrix("places")
    wide = at.set_subtensor(x[at.arange(2), places], 7.0)
    one = at.set_subtensor(x[at.arange(1), places[0]], 5.0)
    f = loopjax.function([x, places], [wide, one, loopjax.grad((wide + 2 * one).sum(), x)])
    found = f(np.zeros((3, 4)), np.array([[1, 2], [1, 1], [0, 2]], "int32"))
    np.testing.assert_array_equal(found[0], [[7, 7, 0, 0], [0, 7, 7, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(found[1], [[0, 5, 5, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    np.testing.assert_array_equal(found[2], [[2, 0, 1, 3], [3, 2, 2, 3], [3, 3, 3, 3]])
