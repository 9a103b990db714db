"""Slices whose start is a run-time value: NumPy's results, and one compilation for each size."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at

DATA = np.arange(60.0).reshape(10, 6)


@pytest.mark.parametrize("start", [-12, -10, -3, -1, 0, 2, 7, 9, 10, 15])
@pytest.mark.parametrize("stop", [-11, -2, 0, 4, 9, 10, 13, None])
def test_every_pair_of_bounds(start, stop):
    x, i, j = at.dmatrix("x"), at.lscalar("i"), at.iscalar("j")
    parts = [x[i:stop], x[i:j] if stop is not None else x[i:], x[1:3, i:stop]]
    f = loopjax.function([x, i, j], parts, on_unused_input="ignore")
    found = f(DATA, start, stop or 0)
    for one, other in zip(found, [DATA[start:stop], DATA[start:stop], DATA[1:3, start:stop]], strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    "read",
    [
        lambda x, i: x[i : i + 3, 2],
        lambda x, i: x[i : i + 3, ::-1],
        lambda x, i: x[None, i : i + 3, 1:4],
        lambda x, i: x[i : i + 3, [0, 2, 2]],
        lambda x, i: x[..., i : i + 3],
        lambda x, i: x[i : i + 3, i : i + 2],
        lambda x, i: x[i : i + 3][0],
        lambda x, i: x[i : i + 3, i],
    ],
)
def test_with_other_entries(read):
    x, i = at.dmatrix("x"), at.lscalar("i")
    f = loopjax.function([x, i], read(x, i))
    for start in (0, 1, 3):
        np.testing.assert_array_equal(f(DATA, start), read(DATA, start))


def test_minibatches_compile_once_for_each_size():
    data, i, x = loopjax.shared(DATA), at.lscalar("i"), at.dmatrix("x")
    f = loopjax.function([i], at.tanh(x).sum(), givens={x: data[i * 4 : (i + 1) * 4]})
    for number in (0, 1, 2, 0, 1):
        expected = np.tanh(DATA[number * 4 : (number + 1) * 4]).sum()
        np.testing.assert_allclose(f(number), expected, rtol=1e-12)
    assert len(f.stages[0].programs) == 2
    assert float(f(3)) == 0.0


@pytest.mark.parametrize("start", [-3, 0, 2, 8, 11])
def test_writes(start):
    x, i = at.dmatrix("x"), at.lscalar("i")
    written = [
        at.set_subtensor(x[i : i + 2], -1.0),
        at.inc_subtensor(x[i : i + 2], x[i : i + 2] * 0 + 5),
        at.set_subtensor(x[i : i + 2, 1], 7.0),
        at.inc_subtensor(x[i : i + 2, [0, 0, 3]], 1.0),
    ]
    found = loopjax.function([x, i], written)(DATA, start)
    expected = [DATA.copy() for _ in written]
    expected[0][start : start + 2] = -1
    expected[1][start : start + 2] += 5
    expected[2][start : start + 2, 1] = 7
    for row in range(*slice(start, start + 2).indices(10)):
        np.add.at(expected[3], (row, [0, 0, 3]), 1)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_part_of_a_part_is_written_into_the_part():
    x, i = at.dmatrix("x"), at.lscalar("i")
    part = x[i : i + 3]
    found = loopjax.function([x, i], at.set_subtensor(part[0], 0.0))(DATA, 2)
    expected = DATA[2:5].copy()
    expected[0] = 0
    np.testing.assert_array_equal(found, expected)


def test_gradients():
    x, i = at.dvector("x"), at.lscalar("i")
    cost = (x[i : i + 3] ** 2).sum()
    found = loopjax.function([x, i], loopjax.grad(cost, x))(np.arange(6.0), 2)
    np.testing.assert_array_equal(found, [0, 0, 4, 6, 8, 0])


def test_lengths_that_agree_share_a_program():
    n = at.lscalar("n")
    f = loopjax.function([n], at.arange(n // 4))
    for value in range(8, 16):
        np.testing.assert_array_equal(f(value), np.arange(value // 4))
    assert len(f.stages[0].programs) == 2


def test_inside_of_a_loop_with_an_outer_start():
    x, i = at.dvector("x"), at.lscalar("i")
    out, _ = loopjax.scan(lambda h: h + x[i : i + 2], outputs_info=at.zeros(2, dtype="float64"), n_steps=2)
    f = loopjax.function([x, i], out[-1])
    for start in (0, 1, 2):
        np.testing.assert_array_equal(f(np.arange(5.0), start), 2 * np.arange(5.0)[start : start + 2])
    assert len(f.stages[0].programs) == 1
