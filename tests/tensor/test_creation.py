"""Arrays from nothing, against NumPy."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at


@pytest.fixture
def float64():
    """floatX is float64 for one test."""
    loopjax.config.floatX = "float64"
    yield
    loopjax.config.floatX = None


ROWS = [
    ("zeros", lambda n: at.zeros((2, 3)), np.zeros((2, 3), "float32")),
    ("zeros of an int", lambda n: at.zeros(3), np.zeros(3, "float32")),
    ("zeros of a scalar", lambda n: at.zeros(()), np.zeros((), "float32")),
    ("zeros of a size", lambda n: at.zeros((n, 2)), np.zeros((3, 2), "float32")),
    ("zeros of one size", lambda n: at.zeros(n), np.zeros(3, "float32")),
    ("zeros of nothing", lambda n: at.zeros((0, n)), np.zeros((0, 3), "float32")),
    ("zeros of a dtype", lambda n: at.zeros(2, "int8"), np.zeros(2, "int8")),
    ("zeros of bool", lambda n: at.zeros(2, dtype=bool), np.zeros(2, bool)),
    ("ones", lambda n: at.ones((n, n + 1)), np.ones((3, 4), "float32")),
    ("ones of a dtype", lambda n: at.ones(2, "float64"), np.ones(2)),
    ("empty", lambda n: at.empty((n,)), np.zeros(3, "float32")),
    ("full", lambda n: at.full((2, n), 2.5), np.full((2, 3), 2.5, "float32")),
    ("full of ints", lambda n: at.full(2, 7), np.full(2, 7)),
    ("full of a dtype", lambda n: at.full(2, 7, "float64"), np.full(2, 7.0)),
    ("full of a NumPy number", lambda n: at.full(2, np.sqrt(4)), np.full(2, 2.0)),
    ("full of a variable", lambda n: at.full((2,), n), np.full(2, 3)),
    ("alloc", lambda n: at.alloc(1.5, 2, n), np.full((2, 3), 1.5, "float32")),
    ("alloc of a row", lambda n: at.alloc(np.arange(3), 2, 3), np.tile(np.arange(3), (2, 1))),
    ("alloc of computed numbers", lambda n: at.alloc(at.as_variable(1.5) + 2, 2), np.full(2, 3.5, "float32")),
    ("zeros_like", lambda n: at.zeros_like(at.arange(n)), np.zeros(3, int)),
    ("zeros_like of a dtype", lambda n: at.arange(n).zeros_like("float64"), np.zeros(3)),
    ("ones_like", lambda n: at.ones_like(at.zeros((n, 1))), np.ones((3, 1), "float32")),
    ("ones_like of a number", lambda n: at.ones_like(n), np.ones((), int)),
    ("empty_like", lambda n: at.empty_like(at.arange(n)), np.zeros(3, int)),
    ("full_like", lambda n: at.full_like(at.zeros((n, 2)), 4), np.full((3, 2), 4, "float32")),
    ("fill", lambda n: at.fill(at.zeros(n), 5), np.full(3, 5, "float32")),
    ("x.fill", lambda n: at.arange(n).fill(2), np.full(3, 2)),
    ("arange", lambda n: at.arange(4), np.arange(4)),
    ("arange of a size", lambda n: at.arange(n), np.arange(3)),
    ("arange from", lambda n: at.arange(1, n * 2), np.arange(1, 6)),
    ("arange by", lambda n: at.arange(1, 10, n), np.arange(1, 10, 3)),
    ("arange down", lambda n: at.arange(n, 0, -1), np.arange(3, 0, -1)),
    ("arange of nothing", lambda n: at.arange(5, n), np.arange(0)),
    ("arange of a dtype", lambda n: at.arange(n, dtype="float64"), np.arange(3.0)),
    ("arange of floats", lambda n: at.arange(0.0, 1.0, 0.25), np.arange(0, 1, 0.25, "float32")),
    ("eye", lambda n: at.eye(3), np.eye(3, dtype="float32")),
    ("eye of sizes", lambda n: at.eye(n, n + 1, 1), np.eye(3, 4, 1, "float32")),
    ("eye of a dtype", lambda n: at.eye(2, dtype="int64"), np.eye(2, dtype=int)),
    ("identity_like", lambda n: at.identity_like(at.zeros((n, 2))), np.eye(3, 2, dtype="float32")),
    ("tri", lambda n: at.tri(n), np.tri(3, dtype="float32")),
    ("tri of sizes", lambda n: at.tri(2, n, -1, "float64"), np.tri(2, 3, -1)),
    ("linspace", lambda n: at.linspace(0, 1, 5, dtype="float64"), np.linspace(0, 1, 5)),
    ("linspace of a size", lambda n: at.linspace(0, n, n), np.linspace(0, 3, 3, dtype="float32")),
    ("linspace of ints", lambda n: at.linspace(0, 10.5, 4, dtype="int64"), np.linspace(0, 10.5, 4, dtype=int)),
    ("linspace of one", lambda n: at.linspace(2, 3, 1), np.array([2.0], "float32")),
]


@pytest.mark.parametrize(("op", "wanted"), [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_against_numpy(op, wanted):
    n = at.lscalar()
    output = op(n)
    found = loopjax.function([n], output, on_unused_input="ignore")(3)
    assert found.dtype == output.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=4e-16 if wanted.dtype == "float64" else 1e-6)
    assert found.shape == wanted.shape
    assert all(size in (None, real) for size, real in zip(output.type.shape, wanted.shape, strict=True))


def test_creation_follows_floatx(float64):
    n = at.lscalar()
    created = [at.zeros(n), at.ones(n), at.eye(n), at.linspace(0, 1, n), at.full(n, 2.5), at.tri(n), at.arange(0.0, 2)]
    assert [one.dtype for one in created] == ["float64"] * 7
    loopjax.config.floatX = "float32"
    assert [one.dtype for one in loopjax.function([n], created)(2)] == ["float64"] * 7
    assert at.zeros(2).dtype == "float32"


@pytest.mark.parametrize("key", [np.s_[0:3], np.s_[0:3, 1:5:2], np.s_[0:1:3j], np.s_[0:1:0.5, 0:2]])
def test_grids(key):
    for ours, theirs in [(at.mgrid, np.mgrid), (at.ogrid, np.ogrid)]:
        found, wanted = ours[key], theirs[key]
        if not isinstance(key, tuple):
            found, wanted = [found], [wanted]
        for one, other in zip(found, wanted, strict=True):
            assert one.dtype == ("int64" if other.dtype.kind == "i" else "float32")
            np.testing.assert_allclose(one.eval(), other, rtol=1e-7)


def test_sizes_are_inferred():
    n = at.lscalar()
    assert at.zeros((2, n)).type.shape == (2, None)
    assert at.arange(2, 9, 3).type.shape == (3,)
    assert at.arange(n).type.shape == (None,)
    assert at.zeros_like(at.tensor("float32", (2, None))).type.shape == (2, None)


@pytest.mark.parametrize(
    ("op", "error", "message"),
    [
        (lambda: at.zeros((2, -1)), ValueError, "a size is negative"),
        (lambda: at.eye(-1), ValueError, "a size is negative"),
        (lambda: at.linspace(0, 1, -2), ValueError, "a size is negative"),
        (lambda: at.zeros(1.5), TypeError, "shape holds integers"),
        (lambda: at.zeros(at.lvector()), ValueError, "shape is a vector of known size"),
        (lambda: at.zeros(at.scalar()), TypeError, "shape holds integers"),
        (lambda: at.alloc(np.ones(3), 2), ValueError, "does not fill an array"),
        (lambda: at.alloc(np.ones(3), 1), ValueError, "does not fill an array"),
        (lambda: at.arange(0, 5, 0), ValueError, "never ends"),
        (lambda: at.arange(at.scalar()), TypeError, "start holds integers"),
        (lambda: at.arange(0.5, at.lscalar()), TypeError, "arange of floats takes no variables"),
        (lambda: at.identity_like(at.vector()), ValueError, "identity_like takes a matrix"),
        (lambda: at.mgrid[0 : at.lscalar()], TypeError, "mgrid takes numbers"),
    ],
)
def test_errors_name_the_line(op, error, message):
    with pytest.raises(error, match=rf"{message}.*\[test_creation\.py:\d+\](\n|$)"):
        op()


def test_a_size_that_turns_out_negative_names_the_line():
    n = at.lscalar()
    for output in (at.zeros(n), at.eye(n), at.linspace(0, 1, n)):
        with pytest.raises(ValueError, match=r"a size is negative.*\[test_creation\.py:\d+\](\n|$)"):
            loopjax.function([n], output)(-1)
