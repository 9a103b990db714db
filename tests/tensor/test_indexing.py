"""Indexing against NumPy: reads, writes, and what becomes of indices out of bounds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import loopjax
import loopjax.tensor as at

CUBE = np.arange(60.0).reshape(3, 4, 5)
VECTOR = np.arange(7)

KEYS = [
    0,
    -1,
    np.int64(2),
    (),
    ...,
    None,
    slice(None),
    slice(1, None),
    slice(None, -1),
    slice(None, None, 2),
    slice(None, None, -1),
    slice(-2, None, -2),
    slice(10, None),
    slice(2, 0),
    (0, 1),
    (-1, -1, -1),
    (slice(None), 2),
    (..., 2),
    (1, ..., 0),
    (None, 1, None, slice(1, 3)),
    (slice(None), None, ..., slice(None, None, -2)),
    [0, 2],
    np.array([2, -1, 0], "int8"),
    np.array([[0, 1], [2, 2]]),
    [],
    ([0, 2], [1, -1]),
    ([0, 2], slice(None), [1, -1]),
    (slice(None), [0, 2], [1, -1]),
    ([[0], [2]], [1, 3]),
    (0, slice(None), [1, 2]),
    (0, [1, 2]),
    ([1, 2], None, 0),
    (None, [0, 1], slice(None, None, -1)),
    (..., [4, 0]),
    np.array([True, False, True]),
    (slice(None), np.array([True, False, False, True]), 1),
    np.arange(12).reshape(3, 4) % 3 == 0,
]


@pytest.mark.parametrize("key", KEYS, ids=repr)
def test_read_and_write(key):
    unknown, known = at.dtensor3(), at.tensor("float64", CUBE.shape)
    part = known[key]
    outputs = [unknown[key], part, at.set_subtensor(part, -1.5), at.inc_subtensor(unknown[key], 2 * unknown[key])]
    read, also, written, increased = loopjax.function([unknown, known], outputs)(CUBE, CUBE)
    wanted = CUBE[key]
    assert part.type.shape == wanted.shape
    np.testing.assert_array_equal(read, wanted)
    np.testing.assert_array_equal(also, wanted)
    after = CUBE.copy()
    after[key] = -1.5
    np.testing.assert_array_equal(written, after)
    after = CUBE.copy()
    np.add.at(after, key, 2 * CUBE[key])
    np.testing.assert_array_equal(increased, after)


entry = st.one_of(
    st.integers(-3, 2),
    st.builds(slice, *[st.one_of(st.none(), st.integers(-4, 4))] * 2, st.sampled_from([None, 1, 2, -1, -2])),
    st.lists(st.integers(-3, 2), min_size=2, max_size=2),
    st.just(None),
)


@settings(max_examples=25, deadline=None)
@given(st.lists(entry, max_size=4).map(tuple))
def test_any_key_reads_as_numpy_does(key):
    array = np.arange(27).reshape(3, 3, 3)
    if sum(one is not None for one in key) > 3:
        key = key[:3]
    found = at.constant(array)[key]
    wanted = array[key]
    assert found.type.shape == wanted.shape
    np.testing.assert_array_equal(found.eval(), wanted)


def test_symbolic_scalars():
    x, i, j = at.dtensor3(), at.lscalar(), at.bscalar()
    outputs = [x[i], x[i, j], x[:, i], x[i, :, j], x[i, 0], x[..., j], x[i, [0, 1], j], x[None, i], x[i][j], x[i, ::-1]]
    f = loopjax.function([x, i, j], outputs)
    for a in (0, 2, -1, -3):
        for b in (1, -2):
            found = f(CUBE, a, b)
            wanted = [CUBE[a], CUBE[a, b], CUBE[:, a], CUBE[a, :, b], CUBE[a, 0], CUBE[..., b]]
            wanted += [CUBE[a, [0, 1], b], CUBE[None, a], CUBE[a][b], CUBE[a, ::-1]]
            for one, other in zip(found, wanted, strict=True):
                np.testing.assert_array_equal(one, other)


def test_symbolic_arrays():
    x, i, j = at.dtensor3(), at.lvector(), at.lvector()
    outputs = [x[i], x[i, j], x[:, i, j], x[i, :, j], x[i.dimshuffle(0, "x"), j], at.set_subtensor(x[i, j], 0.5)]
    found = loopjax.function([x, i, j], outputs)(CUBE, [0, -1], [1, 2])
    a, b = np.array([0, -1]), np.array([1, 2])
    written = CUBE.copy()
    written[a, b] = 0.5
    for one, other in zip(
        found, [CUBE[a], CUBE[a, b], CUBE[:, a, b], CUBE[a, :, b], CUBE[a[:, None], b], written], strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("start", "stop", "step"), [(1, 5, 2), (-3, None, 1), (5, 0, -2), (9, 12, 1), (0, 0, 1)])
def test_symbolic_slices(start, stop, step):
    x, a, b, c = at.lvector(), at.lscalar(), at.lscalar(), at.lscalar()
    stop = len(VECTOR) if stop is None else stop
    f = loopjax.function([x, a, b, c], [x[a:b:c], at.set_subtensor(x[a:b:c], -1)])
    read, written = f(VECTOR, start, stop, step)
    after = VECTOR.copy()
    after[start:stop:step] = -1
    np.testing.assert_array_equal(read, VECTOR[start:stop:step])
    np.testing.assert_array_equal(written, after)


def test_slices_by_shapes():
    x = at.lvector()
    outputs = [x[: x.shape[0] - 2], x[x.shape[0] // 2 :], x[-at.minimum(x.shape[0], 3) :]]
    for one, other in zip(loopjax.function([x], outputs)(VECTOR), [VECTOR[:5], VECTOR[3:], VECTOR[4:]], strict=True):
        np.testing.assert_array_equal(one, other)


# Out of bounds


def test_a_constant_index_out_of_bounds_is_refused_when_built():
    x = at.tensor("float32", (3, 2))
    for key in (3, -4, (0, 2), (slice(None), -3), [0, 3], ([0, 1], [0, -3]), np.array([3])):
        with pytest.raises(
            IndexError, match=r"index: index -?\d is out of bounds for axis \d.*\[test_indexing\.py:\d+\](\n|$)"
        ):
            x[key]


def test_a_constant_index_out_of_bounds_is_refused_when_called():
    x = at.vector()
    for part in (x[5], x[-6], x[[0, 5]]):
        f = loopjax.function([x], part)
        assert f(np.zeros(6, "float32")).dtype == "float32"
        with pytest.raises(
            IndexError, match=r"out of bounds for axis 0 of size 2; expected -2 to 1 \[test_indexing\.py:\d+\](\n|$)"
        ):
            f(np.zeros(2, "float32"))
        write = loopjax.function([x], at.set_subtensor(part, 1.0))
        with pytest.raises(IndexError, match="out of bounds"):
            write(np.zeros(2, "float32"))


def test_a_mask_of_another_size_is_refused():
    x = at.tensor("float32", (3,))
    with pytest.raises(
        IndexError, match=r"a mask of size 2 does not fit axis 0 of size 3 \[test_indexing\.py:\d+\](\n|$)"
    ):
        x[np.array([True, False])]
    with pytest.raises(IndexError, match="a mask of size 2 does not fit"):
        x[np.array([False, False])]
    f = loopjax.function([v := at.vector()], v[np.array([True, False])])
    np.testing.assert_array_equal(f([1.5, 2.5]), [1.5])
    with pytest.raises(IndexError, match="a mask of size 2"):
        f([1.5, 2.5, 3.5])


LEAST = [
    ("float32", np.nan),
    ("float64", np.nan),
    ("int32", -(2**31)),
    ("int64", -(2**63)),
    ("int8", -128),
    ("bool", 0),
]


@pytest.mark.parametrize(("dtype", "fill"), LEAST)
def test_a_symbolic_index_out_of_bounds_reads_nan_or_the_least_integer(dtype, fill):
    x, i, many = at.tensor(dtype, (None, None)), at.lscalar(), at.lvector()
    f = loopjax.function([x, i, many], [x[i], x[i, 0], x[0, i], x[many], x[:, many]])
    array = np.ones((2, 2), dtype)
    for bad in (2, 5, -3, -100):
        row, element, other, rows, columns = f(array, bad, [0, bad])
        np.testing.assert_array_equal(row, np.full(2, fill, dtype))
        np.testing.assert_array_equal(element, np.asarray(fill, dtype))
        np.testing.assert_array_equal(other, np.asarray(fill, dtype))
        np.testing.assert_array_equal(rows, [array[0], np.full(2, fill, dtype)])
        np.testing.assert_array_equal(columns[:, 1], np.full(2, fill, dtype))


def test_writes_out_of_bounds_are_dropped():
    x, i, many = at.dvector(), at.lscalar(), at.lvector()
    outputs = [at.set_subtensor(x[i], 9.0), at.inc_subtensor(x[i], 1.0), at.set_subtensor(x[many], 9.0)]
    f = loopjax.function([x, i, many], outputs)
    array = np.array([1.0, 2.0])
    for bad in (2, 7, -3, -50):
        one, two, three = f(array, bad, [bad, 1])
        np.testing.assert_array_equal(one, array)
        np.testing.assert_array_equal(two, array)
        np.testing.assert_array_equal(three, [1.0, 9.0])
    np.testing.assert_array_equal(f(array, -1, [0, -1])[0], [1.0, 9.0])


def test_no_gradient_flows_through_a_read_out_of_bounds():
    x, i = at.dvector(), at.lscalar()
    f = loopjax.function([x, i], loopjax.grad(at.switch(i < x.shape[0], x[i], 0.0), x))
    np.testing.assert_array_equal(f([1.0, 2.0], 5), [0.0, 0.0])
    np.testing.assert_array_equal(f([1.0, 2.0], 1), [0.0, 1.0])


# Writes


def test_repeated_indices_add_up():
    x, i = at.dvector(), at.lvector()
    f = loopjax.function([x, i], at.inc_subtensor(x[i], at.constant([1.0, 2.0, 4.0]).astype("float64")))
    np.testing.assert_array_equal(f(np.zeros(3), [1, 1, -1]), [0.0, 3.0, 4.0])


def test_methods_of_a_part():
    x = at.dmatrix()
    array = np.zeros((2, 3))
    f = loopjax.function([x], [x[0].set(2.5), x[:, 1].inc(1), x[0, 0].set(7), x[...].set(1.0)])
    for found, wanted in zip(
        f(array), [[[2.5] * 3, [0] * 3], [[0, 1, 0]] * 2, [[7, 0, 0], [0] * 3], np.ones((2, 3))], strict=True
    ):
        np.testing.assert_array_equal(found, wanted)


def test_a_value_broadcasts_into_its_part():
    x, v = at.dmatrix(), at.dvector()
    f = loopjax.function([x, v], [at.set_subtensor(x[:2], v), at.set_subtensor(x[::2, 1:], v[1:])])
    array, row = np.zeros((3, 3)), np.array([1.0, 2.0, 3.0])
    one, two = f(array, row)
    np.testing.assert_array_equal(one, [row, row, np.zeros(3)])
    np.testing.assert_array_equal(two, [[0, 2, 3], [0, 0, 0], [0, 2, 3]])


@pytest.mark.parametrize(("dtype", "value"), [("float32", np.int64(3)), ("float32", 2.5), ("int8", 3), ("bool", True)])
def test_a_written_value_takes_the_dtype_of_the_array(dtype, value):
    x = at.tensor(dtype, (None,))
    found = loopjax.function([x], at.set_subtensor(x[0], value))(np.zeros(2, dtype))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.array([value, 0]).astype(dtype))


def test_an_integer_array_may_go_into_a_float_array():
    x = at.fvector()
    f = loopjax.function([x], at.set_subtensor(x[:2], np.array([3, 4])))
    assert f(np.zeros(3, "float32")).dtype == "float32"


def test_gradient_of_reads_and_writes():
    x, v = at.dvector(), at.dvector()
    cost = (at.set_subtensor(x[1:3], v) ** 2).sum() + (x[np.array([0, 0])] * 3).sum()
    found = loopjax.function([x, v], loopjax.grad(cost, [x, v]))([1.0, 2.0, 3.0], [4.0, 5.0])
    np.testing.assert_array_equal(found[0], [8.0, 0.0, 0.0])
    np.testing.assert_array_equal(found[1], [8.0, 10.0])


# take, rows, errors


@pytest.mark.parametrize("mode", ["raise", "clip", "wrap"])
@pytest.mark.parametrize("axis", [None, 0, -1])
def test_take(axis, mode):
    x, i = at.dtensor3(), at.lmatrix()
    indices = np.array([[0, 2], [1, 1]]) if mode == "raise" else np.array([[-1, 70], [1, 3]])
    f = loopjax.function([x, i], x.take(i, axis=axis, mode=mode))
    np.testing.assert_array_equal(f(CUBE, indices), np.take(CUBE, indices, axis=axis, mode=mode))


def test_rows_of_a_known_length():
    x = at.tensor("float64", (2, 3))
    first, second = x
    np.testing.assert_array_equal((second - first).eval({x: [[1.0, 2, 3], [4, 5, 7]]}), [3.0, 3.0, 4.0])


V, M = at.vector("v"), at.matrix("m")
FIXED = at.tensor("float32", (3,), "fixed")


@pytest.mark.parametrize(
    ("op", "error", "message"),
    [
        (lambda: V[0, 1], IndexError, "2 indices for"),
        (lambda: V[..., ...], IndexError, r"one '\.\.\.'"),
        (lambda: V[1.5], IndexError, "an index is an integer"),
        (lambda: V[V], IndexError, "an index is an integer"),
        (lambda: V[at.gt(M, 0)], IndexError, "2 indices for"),
        (lambda: V[::0], ValueError, "step 0"),
        (lambda: FIXED[::0], ValueError, "index: a slice has step 0"),
        (lambda: V[1.5:], TypeError, "a slice holds integers"),
        (lambda: M.shape[2], IndexError, r"shape\[2\]"),
        (lambda: list(V), TypeError, "unknown length"),
        (lambda: list(at.scalar()), TypeError, "cannot be iterated over"),
        (lambda: at.set_subtensor(V, 1), TypeError, "takes an indexed variable"),
        (lambda: at.set_subtensor(FIXED[:1], np.zeros(3, "float32")), ValueError, "does not fit into a part"),
        (lambda: at.set_subtensor(FIXED[0], np.zeros(3, "float32")), ValueError, "does not fit into a part"),
        (lambda: at.inc_subtensor(FIXED[:2], np.zeros(3, "float32")), ValueError, "does not fit into a part"),
        (lambda: at.set_subtensor(V[0], at.dscalar()), TypeError, "loses precision"),
        (lambda: at.set_subtensor(at.lvector()[0], 1.5), TypeError, "loses precision"),
        (lambda: at.inc_subtensor(at.ivector()[0], at.lscalar()), TypeError, "loses precision"),
        (lambda: at.take(V, 0, axis=1), ValueError, "axis 1 is outside"),
        (lambda: at.take(V, 0, mode="bounce"), ValueError, "take: mode"),
        (lambda: at.nonzero(at.scalar()), ValueError, "nonzero takes an array"),
        (lambda: at.matrix()[[0, 1], [0, 1, 2]], ValueError, "do not broadcast"),
    ],
)
def test_errors_name_the_line(op, error, message):
    with pytest.raises(error, match=rf"{message}.*\[test_indexing\.py:\d+\](\n|$)"):
        op()


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
@pytest.mark.parametrize("condition", [[True, False, True], [0, 1], [False, False], np.array([1.0, 0.0])])
def test_compress(condition, axis):
    x, array = at.dmatrix(), np.arange(12.0).reshape(3, 4)
    found = loopjax.function([x], at.compress(condition, x, axis))(array)
    np.testing.assert_array_equal(found, np.compress(condition, array, axis))


def test_compress_takes_a_vector():
    with pytest.raises(ValueError, match=r"compress takes a vector as its condition.*\[test_indexing\.py:\d+\](\n|$)"):
        at.compress([[True]], at.dvector())


@pytest.mark.parametrize("lengths", ["exact", "padded"])
class TestMasks:
    """Against NumPy, for masks that hold in some places, nowhere and everywhere."""

    READS = {
        "elements": lambda v, m, on: v[on(v) > 0],
        "rows": lambda v, m, on: m[on(v) > 0],
        "columns": lambda v, m, on: m[:, on(m[0]) > 0],
        "of a matrix": lambda v, m, on: m[on(m) > 0],
        "with an index": lambda v, m, on: m[on(v) > 0, 1],
        "and then": lambda v, m, on: (m[on(v) > 0] * 2).sum(0),
    }

    @pytest.mark.parametrize("read", READS)
    def test_reads(self, read, lengths):
        v, m = at.dvector(), at.dmatrix()
        f = loopjax.function([v, m], self.READS[read](v, m, lambda x: x), on_unused_input="ignore", lengths=lengths)
        for sign in (1, -1, np.array([1, -1, 1])):
            vector, matrix = sign * np.arange(1.0, 4), (sign * np.arange(1.0, 13).reshape(4, 3)).T
            np.testing.assert_array_equal(f(vector, matrix), self.READS[read](vector, matrix, lambda x: x))

    def test_writes_and_their_gradients(self, lengths):
        v, m = at.dvector(), at.dmatrix()
        to = at.set_subtensor(m[v > 1], 5.0)
        more = at.inc_subtensor(v[v > 1], v[0])
        cost = (to**2).sum() + (more**3).sum()
        f = loopjax.function([v, m], [to, more, *loopjax.grad(cost, [v, m])], lengths=lengths)
        vector, matrix = np.array([1.0, 2.0, 3.0]), np.arange(6.0).reshape(3, 2)
        found = f(vector, matrix)
        np.testing.assert_array_equal(found[0], [[0, 1], [5, 5], [5, 5]])
        np.testing.assert_array_equal(found[1], [1, 3, 4])
        np.testing.assert_array_equal(found[2], [3 + 27 + 48, 27, 48])
        np.testing.assert_array_equal(found[3], [[0, 2], [0, 0], [0, 0]])

    def test_positions(self, lengths):
        m = at.dmatrix()
        values = np.array([[0.0, 2.0], [3.0, 0.0], [0.0, 0.0]])
        wanted = [*at.nonzero(m), at.nonzero(m, return_matrix=True), at.flatnonzero(m), at.nonzero_values(m)]
        found = loopjax.function([m], [*wanted, at.compress(at.neq(m[:, 0], 0), m, 0)], lengths=lengths)(values)
        expected = [*np.nonzero(values), np.array(np.nonzero(values)), [1, 2], [2, 3], [[3, 0]]]
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)

    def test_a_mask_of_another_size(self, lengths):
        v, w = at.dvector(), at.dvector()
        f = loopjax.function([v, w], v[w > 0], lengths=lengths)
        with pytest.raises(ValueError, match=r"\[test_indexing\.py:\d+\]"):
            f([1.0, 2.0], [1.0, 2.0, 3.0])


def test_integer_arrays_read_from_no_rows_as_out_of_bounds():
    x, i = at.dmatrix(), at.lvector()
    assert np.isnan(loopjax.function([x, i], x[i])(np.zeros((0, 2)), [0, 1])).all()
