"""Choices between an array and what writes make of it: values are those without the pass, and no array is copied."""

import re

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax import Mode

N = 96
RNG = np.random.default_rng(7)
VALUES = RNG.normal(size=N)
PLACES = RNG.integers(0, N, (40, 2))
WITHOUT = Mode().excluding("predicated_writes")


def exchanged(i, j, x):
    return at.switch(x[i] > x[j], at.set_subtensor(at.set_subtensor(x[i], x[j])[j], x[i]), x)


def kept(i, j, x):
    return at.switch(x[i] > x[j], x, at.set_subtensor(x[i], x[j] - 1))


def one_or_the_other(i, j, x):
    return at.switch(x[i] > x[j], at.set_subtensor(x[i], x[j]), at.inc_subtensor(x[j], x[i]))


def after_a_write(i, j, x):
    x = at.set_subtensor(x[i], x[j] / 2)
    return at.switch(x[0] > 0, at.set_subtensor(x[j], 1), at.set_subtensor(x[j], 2))


def if_else(i, j, x):
    return loopjax.ifelse(x[i] > x[j], at.inc_subtensor(x[j], 0.5), x)


def signed_zeros(i, j, x):
    x = at.set_subtensor(x[j], -0.0)
    return 1 / at.switch(x[i] > 0, at.inc_subtensor(x[j], 1), x)


def places_that_occur_twice(i, j, x):
    places = at.stack([i, j, i])
    return at.switch(x[j] > 0, at.inc_subtensor(x[places], at.arange(3)), at.set_subtensor(x[places], x[i]))


def windows(i, j, x):
    i = i % (N - 6)
    return at.switch(x[j] > 0, at.set_subtensor(x[i : i + 6], x[i : i + 6][::-1]), x)


def windows_of_rows(i, j, x):
    x, i = x.reshape((8, 12)), i % 7
    swapped = at.set_subtensor(x[i : i + 2, j % 11 : j % 11 + 2], x[i : i + 2, :2] + 1)
    return at.switch(x[:, 3:4] > x[j % 8, 0], at.set_subtensor(swapped[2:4], 0), x).flatten()


def slices(i, j, x):
    return at.switch(x[i] > x[j], at.set_subtensor(x[4:20:2], x[i]), at.set_subtensor(x[-3:], x[j]))


def out_of_bounds(i, j, x):
    return at.switch(x[j] > 0, at.set_subtensor(x[i + 50], 7), at.inc_subtensor(x[-1 - j], 1))


def nan_in_the_other(i, j, x):
    return at.switch(x[j] > 0, at.set_subtensor(x[i], at.sqrt(x[j])), x)


def element_by_element(i, j, x):
    return at.switch(x > x[j], at.set_subtensor(x[i], x[j]), x)


def rows(i, j, x):
    x = x.reshape((8, 12))
    row, column = at.arange(8), (at.arange(8) * i + j) % 12
    x = at.switch(x[:, :1] > x[0, 0], at.set_subtensor(x[row, column], x[row, (column + 1) % 12]), x)
    return at.switch(x[:1] > 0, at.set_subtensor(x[j % 8, 2:4], 3.0), x).flatten()


def rows_and_a_column(i, j, x):
    x = x.reshape((4, 4, 6))
    proposal = at.set_subtensor(x[:, i % 4, 1:3], at.ones((4, 2)))
    return at.switch(x[:, :1, :1] > x[0, 0, j % 6], proposal, x).flatten()


STEPS = [
    *(exchanged, kept, one_or_the_other, after_a_write, if_else, signed_zeros, places_that_occur_twice, windows),
    *(windows_of_rows, slices, out_of_bounds, nan_in_the_other, element_by_element, rows, rows_and_a_column),
]


def looped(step, dtype="float64", mode=None, last=lambda x: x[-1]):
    x, i, j = at.vector("x", dtype=dtype), at.lvector("i"), at.lvector("j")
    run = loopjax.scan(lambda i, j, x: at.cast(step(i, j, x), dtype), sequences=[i, j], outputs_info=x)[0]
    return loopjax.function([x, i, j], last(run), mode=mode)


@pytest.mark.parametrize("step", STEPS)
def test_values(step):
    found, expected = (looped(step, mode=mode)(VALUES, *PLACES.T) for mode in (None, WITHOUT))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint16", "int64"])
def test_dtypes(dtype):
    values = (VALUES * 40).astype(dtype)
    for step in (one_or_the_other, windows):
        found, expected = (looped(step, dtype, mode)(values, *PLACES.T) for mode in (None, WITHOUT))
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    "step", [exchanged, kept, one_or_the_other, after_a_write, if_else, windows, slices, rows, rows_and_a_column]
)
def test_no_choice_is_made_among_all_elements(step):
    for mode, chooses in ((None, False), (WITHOUT, True)):
        text = looped(step, mode=mode).lower(VALUES, *PLACES.T).as_text()
        assert bool(re.search(r"stablehlo.select .*tensor<(96|8x12|4x4x6)xf64>", text)) == chooses


@pytest.mark.parametrize("dtype", ["float32", "complex128", "int8", "bool"])
def test_nothing_is_added_to_what_stays(dtype):
    x, c = at.vector("x", dtype=dtype), at.bvector("c")
    values = -np.zeros(300, dtype) if dtype != "bool" else np.zeros(300, dtype)
    one = at.ones((), dtype=dtype)
    run = loopjax.scan(lambda c, x: at.switch(c > 0, at.inc_subtensor(x[4], one), x), c, x)[0]
    added = loopjax.function([x, c], run[-1])
    assert added(values, [0, 0]).tobytes() == values.tobytes()
    assert added(values, [0, 1])[4] == 1


def test_an_array_that_is_read_before_it_is_chosen_is_made():
    def step(i, j, x):
        proposal = at.set_subtensor(x[i], x[j])
        return at.switch((proposal**2).sum() < (x**2).sum(), proposal, x)

    for last in (lambda x: x[-1], lambda x: x):
        found, expected = (looped(step, mode=mode, last=last)(VALUES, *PLACES.T) for mode in (None, WITHOUT))
        np.testing.assert_array_equal(found, expected)


def test_what_is_returned_besides_is_made():
    x, c = at.dvector("x"), at.dvector("c")

    def step(c, x):
        written = at.set_subtensor(x[3], c)
        return at.switch(c > 0, written, x), written

    chosen, written = loopjax.scan(step, c, [x, None])[0]
    found = loopjax.function([x, c], [written[-1], chosen[-1]])(VALUES, [2.0, -1.0])
    np.testing.assert_array_equal(found[0][3], -1)
    np.testing.assert_array_equal(found[1], [*VALUES[:3], 2, *VALUES[4:]])


@pytest.mark.parametrize("count", [8, 9])
def test_many_writes_are_left(count):
    def step(i, j, x):
        written = x
        for k in range(count):
            written = at.set_subtensor(written[2 * k], x[i] + k)
        return at.switch(x[j] > 0, written, x)

    chooses = "tensor<96xf64>" in " ".join(
        re.findall("stablehlo.select .*", looped(step).lower(VALUES, *PLACES.T).as_text())
    )
    assert chooses == (count > 8)
    found, expected = (looped(step, mode=mode)(VALUES, *PLACES.T) for mode in (None, WITHOUT))
    np.testing.assert_array_equal(found, expected)


def test_a_choice_outside_of_a_loop_is_left():
    x, c = at.dvector("x"), at.dscalar("c")
    f = loopjax.function([x, c], at.switch(c > 0, at.set_subtensor(x[3], c), x))
    assert re.search(r"stablehlo.select .*tensor<96xf64>", f.lower(VALUES, 1.0).as_text())


def test_gradients():
    x, i, j = at.dvector("x"), at.lvector("i"), at.lvector("j")
    run = loopjax.scan(exchanged, sequences=[i, j], outputs_info=x)[0]
    slope = loopjax.grad((run[-1] * at.arange(N)).sum(), x)
    found, expected = (loopjax.function([x, i, j], slope, mode=mode)(VALUES, *PLACES.T) for mode in (None, WITHOUT))
    np.testing.assert_array_equal(found, expected)
