"""Shapes against NumPy: reading them, changing them, joining and splitting arrays."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at

CUBE = np.arange(24.0).reshape(2, 3, 4)
MATRIX = np.arange(6).reshape(2, 3)
ONES = np.arange(3.0).reshape(1, 3, 1)

ROWS = [
    ("reshape", lambda x: x.reshape((4, 6)), lambda x: x.reshape(4, 6), CUBE),
    ("reshape by arguments", lambda x: x.reshape(3, -1), lambda x: x.reshape(3, -1), CUBE),
    ("reshape to a vector", lambda x: at.reshape(x, -1), lambda x: x.reshape(-1), CUBE),
    ("reshape to an array", lambda x: at.reshape(x, np.array([8, 3])), lambda x: x.reshape(8, 3), CUBE),
    ("reshape to a shape", lambda x: x.reshape((x.shape[1], x.shape[0] * 4)), lambda x: x.reshape(3, 8), CUBE),
    ("reshape to a shape vector", lambda x: x.T.reshape(x.shape), lambda x: x.T.reshape(2, 3, 4), CUBE),
    ("reshape to a scalar", lambda x: at.reshape(x, ()), lambda x: x.reshape(()), np.ones((1, 1))),
    ("flatten", lambda x: x.flatten(), np.ravel, CUBE),
    ("ravel", lambda x: x.ravel(), np.ravel, CUBE),
    ("flatten a scalar", lambda x: at.flatten(x), np.ravel, np.array(3.0)),
    ("flatten to 2", lambda x: at.flatten(x, 2), lambda x: x.reshape(2, 12), CUBE),
    ("T", lambda x: x.T, np.transpose, CUBE),
    ("transpose", lambda x: x.transpose(1, -1, 0), lambda x: x.transpose(1, 2, 0), CUBE),
    ("transpose by a list", lambda x: at.transpose(x, (2, 0, 1)), lambda x: x.transpose(2, 0, 1), CUBE),
    ("transpose by None", lambda x: at.transpose(x, None), np.transpose, CUBE),
    ("swapaxes", lambda x: x.swapaxes(0, -1), lambda x: x.swapaxes(0, -1), CUBE),
    ("moveaxis", lambda x: at.moveaxis(x, 0, -1), lambda x: np.moveaxis(x, 0, -1), CUBE),
    ("moveaxis twice", lambda x: at.moveaxis(x, (2, 0), (0, 1)), lambda x: np.moveaxis(x, (2, 0), (0, 1)), CUBE),
    ("dimshuffle", lambda x: x.dimshuffle(1, "x", 0), lambda x: x.T[:, None], MATRIX),
    ("dimshuffle by a list", lambda x: x.dimshuffle([-1, "x", 0]), lambda x: x.T[:, None], MATRIX),
    ("expand_dims", lambda x: at.expand_dims(x, 1), lambda x: x[:, None], MATRIX),
    ("expand_dims at the end", lambda x: at.expand_dims(x, -1), lambda x: x[..., None], MATRIX),
    ("expand_dims twice", lambda x: at.expand_dims(x, (0, -1)), lambda x: x[None, ..., None], MATRIX),
    ("shape_padleft", lambda x: at.shape_padleft(x, 2), lambda x: x[None, None], MATRIX),
    ("shape_padright", lambda x: at.shape_padright(x), lambda x: x[..., None], MATRIX),
    ("squeeze", lambda x: at.addbroadcast(x, 0, 2).squeeze(), np.squeeze, ONES),
    ("squeeze an axis", lambda x: at.squeeze(x, 0), lambda x: x.squeeze(0), ONES),
    ("squeeze axes", lambda x: at.squeeze(x, (0, -1)), np.squeeze, ONES),
    ("atleast_1d", at.atleast_1d, np.atleast_1d, np.array(2.0)),
    ("atleast_2d", at.atleast_2d, np.atleast_2d, np.arange(3)),
    ("atleast_3d", at.atleast_3d, lambda x: x[None], MATRIX),
    ("atleast_nd", lambda x: at.atleast_nd(x, 3, left=False), lambda x: x[..., None], MATRIX),
    ("atleast_1d of more", at.atleast_1d, np.atleast_1d, MATRIX),
    ("join", lambda x: at.join(1, x, x * 2), lambda x: np.concatenate([x, x * 2], 1), MATRIX),
    ("join at the end", lambda x: at.join(-1, x, x), lambda x: np.concatenate([x, x], -1), CUBE),
    ("join one", lambda x: at.join(0, x), lambda x: x, MATRIX),
    ("concatenate", lambda x: at.concatenate([x, x[:1], x]), lambda x: np.concatenate([x, x[:1], x]), MATRIX),
    ("concatenate a list", lambda x: at.concatenate([x, [7, 8]]), lambda x: np.concatenate([x, [7, 8]]), np.arange(3)),
    ("stack", lambda x: at.stack([x, x + 1]), lambda x: np.stack([x, x + 1]), MATRIX),
    ("stack at the end", lambda x: at.stack([x, -x], axis=-1), lambda x: np.stack([x, -x], -1), MATRIX),
    ("stack arguments", lambda x: at.stack(x, x), lambda x: np.stack([x, x]), MATRIX),
    ("stack scalars", lambda x: at.stack([x[0], x[1] * 2, 5]), lambda x: np.stack([x[0], x[1] * 2, 5]), np.arange(3)),
    ("a list of variables", lambda x: at.as_tensor([x[0], 2, x[1]]), lambda x: np.array([x[0], 2, x[1]]), np.arange(3)),
    ("broadcast_to", lambda x: at.broadcast_to(x, (2, 2, 3)), lambda x: np.broadcast_to(x, (2, 2, 3)), MATRIX),
    (
        "broadcast_to a size",
        lambda x: at.broadcast_to(x[:1], x.shape),
        lambda x: np.broadcast_to(x[:1], (2, 3)),
        MATRIX,
    ),
    ("repeat", lambda x: at.repeat(x, 3), lambda x: np.repeat(x, 3), MATRIX),
    ("repeat along", lambda x: x.repeat(2, axis=1), lambda x: np.repeat(x, 2, axis=1), MATRIX),
    ("repeat by a size", lambda x: at.repeat(x, x.shape[1], 0), lambda x: np.repeat(x, 3, 0), MATRIX),
    ("repeat each", lambda x: at.repeat(x, [2, 0, 1], 1), lambda x: np.repeat(x, [2, 0, 1], 1), MATRIX),
    ("repeat a scalar", lambda x: at.repeat(x, 3), lambda x: np.repeat(x, 3), np.array(2.0)),
    ("tile", lambda x: at.tile(x, 2), lambda x: np.tile(x, 2), MATRIX),
    ("tile along axes", lambda x: at.tile(x, (2, 3)), lambda x: np.tile(x, (2, 3)), MATRIX),
    ("tile new axes", lambda x: at.tile(x, (2, 1, 2)), lambda x: np.tile(x, (2, 1, 2)), MATRIX),
    ("tile to ndim", lambda x: at.tile(x, (2,), ndim=3), lambda x: np.tile(x, (1, 1, 2)), MATRIX),
    ("tile by a size", lambda x: at.tile(x, (x.shape[1], 1)), lambda x: np.tile(x, (3, 1)), MATRIX),
    ("roll", lambda x: at.roll(x, 2), lambda x: np.roll(x, 2), MATRIX),
    ("roll along", lambda x: at.roll(x, -1, axis=1), lambda x: np.roll(x, -1, axis=1), MATRIX),
    ("roll by a value", lambda x: at.roll(x, x[0], axis=0), lambda x: np.roll(x, x[0]), np.array([2, 5, 7])),
    ("specify_shape", lambda x: at.specify_shape(x, (2, None)), lambda x: x, MATRIX),
    ("unbroadcast", lambda x: at.unbroadcast(x, 0), lambda x: x, MATRIX),
    ("patternbroadcast", lambda x: at.patternbroadcast(x, (True, False, True)), lambda x: x, ONES),
    ("shape", lambda x: x.shape, lambda x: np.array(x.shape), CUBE),
    ("shape[-1]", lambda x: x.shape[-1], lambda x: np.array(x.shape[-1]), CUBE),
    ("shape[1:]", lambda x: x.shape[1:], lambda x: np.array(x.shape[1:]), CUBE),
    ("size", lambda x: x.size, lambda x: np.array(x.size), CUBE),
    ("size of a scalar", lambda x: x.size, lambda x: np.array(x.size), np.array(2.0)),
]


@pytest.mark.parametrize(("op", "reference", "array"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_against_numpy(op, reference, array):
    unknown = at.tensor(array.dtype, (None,) * array.ndim)
    known = at.tensor(array.dtype, array.shape)
    outputs = [op(unknown), op(known)]
    wanted = reference(array)
    f = loopjax.function([unknown, known], outputs, on_unused_input="ignore")
    for found, output in zip(f(array, array), outputs, strict=True):
        assert found.dtype == output.dtype == wanted.dtype
        np.testing.assert_array_equal(found, wanted)
    # A shape of int64 scalars is known only when the program is called; any other is inferred from known sizes.
    assert all(size in (None, real) for size, real in zip(outputs[1].type.shape, wanted.shape, strict=True))


def test_shapes_are_inferred_from_known_sizes():
    x = at.tensor("float32", (2, 3, 4))
    n = at.lscalar()
    for found, wanted in [
        (x.reshape((-1, 6)), (4, 6)),
        (x.reshape((n, 6)), (None, 6)),
        (x.dimshuffle(2, "x", 0, 1), (4, 1, 2, 3)),
        (at.join(1, x, x), (2, 6, 4)),
        (at.join(1, x, at.tensor("float32", (None, None, 4))), (2, None, 4)),
        (at.stack([x, x], axis=1), (2, 2, 3, 4)),
        (at.tile(x, (2, 1, 1, n)), (2, 2, 3, None)),
        (at.repeat(x, 2, axis=0), (4, 3, 4)),
        (at.flatten(x, 2), (2, 12)),
        (at.specify_shape(at.matrix(), (None, 3)), (None, 3)),
        (at.specify_shape(at.matrix(), (n, 3)), (None, 3)),
    ]:
        assert found.type.shape == wanted


def test_a_known_size_is_a_constant():
    x = at.tensor("float32", (2, None))
    assert isinstance(x.shape[0], at.Constant)
    assert int(x.shape[0].data) == 2
    assert not isinstance(x.shape[1], at.Constant)


@pytest.mark.parametrize("sizes", [[1, 2, 3], (2, 0, 4), np.array([3, 3])])
@pytest.mark.parametrize("axis", [0, -1])
def test_split(sizes, axis):
    x = at.dmatrix()
    array = np.arange(36.0).reshape(6, 6)
    found = loopjax.function([x], at.split(x, sizes, len(sizes), axis=axis))(array)
    for one, wanted in zip(found, np.split(array, np.cumsum(sizes)[:-1], axis=axis), strict=True):
        np.testing.assert_array_equal(one, wanted)


def test_split_at_symbolic_sizes_must_use_up_the_array():
    x, sizes = at.dvector(), at.lvector()
    f = loopjax.function([x, sizes], at.split(x, sizes, n_splits=2))
    found = f(np.arange(5.0), [2, 3])
    np.testing.assert_array_equal(found[0], [0.0, 1.0])
    np.testing.assert_array_equal(found[1], [2.0, 3.0, 4.0])
    with pytest.raises(ValueError, match=r"specify_shape: .*\[test_shape\.py:\d+\](\n|$)"):
        f(np.arange(5.0), [2, 2])


def test_a_promised_shape_is_checked_when_called():
    x, n = at.dmatrix(), at.lscalar()
    f = loopjax.function([x, n], at.specify_shape(x, (n, None)))
    assert f(np.ones((2, 3)), 2).shape == (2, 3)
    with pytest.raises(ValueError, match=r"specify_shape: .*\(2, 3\).*\(5, 'any'\).* \[test_shape\.py:\d+\](\n|$)"):
        f(np.ones((2, 3)), 5)


def test_reshape_by_a_vector_of_unknown_size_needs_ndim():
    x, shape = at.dvector(), at.lvector()
    f = loopjax.function([x, shape], at.reshape(x, shape, ndim=2))
    assert f(np.arange(6.0), [2, 3]).shape == (2, 3)
    with pytest.raises(ValueError, match=r"newshape is a vector of known size.*\[test_shape\.py:\d+\](\n|$)"):
        at.reshape(x, shape)


def _one(dtype="float32", shape=(2, 3)):
    return at.tensor(dtype, shape)


@pytest.mark.parametrize(
    ("op", "error", "message"),
    [
        (lambda x: x.reshape((4, 2)), ValueError, r"reshape: .*\(2, 3\) does not reshape to \(4, 2\)"),
        (lambda x: x.reshape((-1, -1)), ValueError, "more than one -1"),
        (lambda x: x.reshape((-2, 3)), ValueError, "negative size"),
        (lambda x: x.reshape((1.5, 2)), TypeError, "newshape holds integers"),
        (lambda x: x.reshape((2, 3), ndim=3), ValueError, "ndim=3"),
        (lambda x: at.flatten(x, 3), ValueError, "flatten leaves 1 to 2 axes"),
        (lambda x: x.transpose(0, 0), ValueError, "cannot take the order"),
        (lambda x: x.transpose(0, 2), ValueError, "axis 2 is outside"),
        (lambda x: x.swapaxes(0, 2), ValueError, "axis 2 is outside"),
        (lambda x: at.moveaxis(x, (0, 1), 0), ValueError, "moveaxis takes as many places as axes"),
        (lambda x: x.dimshuffle(0, 0, 1), ValueError, "repeats an axis"),
        (lambda x: x.dimshuffle(0), ValueError, "drops axis 1, whose size is 3 and not 1"),
        (lambda x: x.dimshuffle(0, 1, 2), ValueError, "axis 2 is outside"),
        (lambda x: x.dimshuffle(0, 1, "y"), TypeError, "an axis is an int"),
        (lambda x: at.expand_dims(x, 5), ValueError, "axis 5 is outside"),
        (lambda x: at.squeeze(x, 1), ValueError, "drops axis 1"),
        (lambda x: at.join(0, x, _one(shape=(2, 2))), ValueError, "differ along axis 1; only axis 0 may"),
        (lambda x: at.join(0, x, at.vector()), ValueError, "expected arrays of one ndim"),
        (lambda x: at.join(2, x, x), ValueError, "axis 2 is outside"),
        (lambda x: at.join(0, at.scalar(), at.scalar()), ValueError, "got scalars; use stack"),
        (lambda x: at.stack([x, at.vector()]), ValueError, "expected arrays of one ndim"),
        (lambda x: at.broadcast_to(x, (3, 3)), ValueError, r"\(2, 3\) does not broadcast to \(3, 3\)"),
        (lambda x: at.broadcast_to(x, (3,)), ValueError, "does not broadcast"),
        (lambda x: at.repeat(x, -1, 0), ValueError, "cannot be repeated -1 times"),
        (lambda x: at.repeat(x, [1, 2], 1), ValueError, "does not say how often"),
        (lambda x: at.repeat(x, 1.5), TypeError, "repeats holds integers"),
        (lambda x: at.tile(x, (-1,)), ValueError, "sizes from 0 up"),
        (lambda x: at.tile(x, (2, 2), ndim=1), ValueError, "more than ndim=1 axes"),
        (lambda x: at.roll(x, 1.5, 0), TypeError, "shift is an integer scalar"),
        (lambda x: at.specify_shape(x, (2, 4)), ValueError, "is not of the shape specified"),
        (lambda x: at.specify_shape(x, (2,)), ValueError, "1 sizes are given"),
        (lambda x: at.addbroadcast(x, 0), ValueError, "is not of the shape specified"),
        (lambda x: at.split(x, [1, 2], 2), ValueError, "is not of the shape specified"),
        (lambda x: at.split(x, [1, 1], 3), ValueError, "2 sizes are given for 3 parts"),
    ],
)
def test_errors_name_the_line(op, error, message):
    with pytest.raises(error, match=rf"{message}.*\[test_shape\.py:\d+\](\n|$)"):
        op(_one())


def test_shapes_that_turn_out_wrong_name_the_line():
    x, y, n = at.dmatrix(), at.dmatrix(), at.lscalar()
    a, b = np.ones((2, 3)), np.ones((2, 4))
    for op, message in [
        (at.join(0, x, y) + 0 * n, "differ along axis 1"),
        (x.reshape((n, y.shape[1])), "does not reshape"),
        (at.broadcast_to(x, (n, 4)) + 0 * y[0, 0], "does not broadcast"),
        (x.dimshuffle(0) + 0 * n * y[0, 0], "drops axis 1"),
    ]:
        f = loopjax.function([x, y, n], op)
        with pytest.raises(ValueError, match=rf"{message}.*\[test_shape\.py:\d+\](\n|$)"):
            f(a, b, 2)


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -3])
def test_shape_padaxis(axis):
    x = at.tensor("float64", (2, 3))
    padded = at.shape_padaxis(x, axis)
    assert padded.type.shape == np.expand_dims(np.zeros((2, 3)), axis).shape
    with pytest.raises(
        ValueError, match=r"axis 3 is outside an array of 3 dimensions; expected -3 to 2 \[test_shape\.py:\d+\](\n|$)"
    ):
        at.shape_padaxis(x, 3)


class TestSizesThatAreRefused:
    x, sizes = at.dvector("x"), at.lvector("sizes")

    @pytest.mark.parametrize("lengths", ["auto", "padded"])
    @pytest.mark.parametrize("given", [[-1, 4], [4, -1], [1, 1], [1, 1, 1], [3]])
    def test_of_split(self, given, lengths):
        f = loopjax.function([self.x, self.sizes], at.split(self.x, self.sizes, 2), lengths=lengths)
        assert [part.shape for part in f(np.ones(3), [1, 2])] == [(1,), (2,)]
        with pytest.raises(ValueError, match=r"size|shape"):
            f(np.ones(3), given)
        if len(given) == 2:
            with pytest.raises(ValueError, match=r"size|shape"):
                loopjax.function([self.x], at.split(self.x, given, 2))(np.ones(3))

    @pytest.mark.parametrize("given", [[2, 3, 1], [6]])
    def test_of_reshape(self, given):
        f = loopjax.function([self.x, self.sizes], at.reshape(self.x, self.sizes, ndim=2))
        assert f(np.ones(6), [2, 3]).shape == (2, 3)
        with pytest.raises(ValueError, match=r"is not of the shape specified, \(2,\)"):
            f(np.ones(6), given)
        with pytest.raises(ValueError, match="3 dimensions, where ndim=2"):
            at.reshape(self.x, at.dtensor3("t").shape, ndim=2)

    def test_that_are_negative(self):
        n = at.lscalar("n")
        for make in (at.broadcast_to, at.specify_shape):
            with pytest.raises(ValueError, match="a size is negative in"):
                make(self.x, (-3,))
            with pytest.raises(TypeError, match=r"float 2\.5"):
                make(self.x, (2.5,))
            with pytest.raises(ValueError, match="a size is negative in"):
                loopjax.function([self.x, n], make(self.x, (n,)))(np.ones(3), -1)
