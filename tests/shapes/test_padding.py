"""Axes with room to spare: values and gradients as without, nothing past a length shows, one program for many."""

import re

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.graph import Graph
from loopjax.ir.printing import graph_text
from loopjax.runtime import buckets
from loopjax.shapes.padding.pad import pad
from loopjax.shapes.padding.spec import InputAxis, Padding
from tests.compilations import Counting

RNG = np.random.default_rng(0)


@pytest.fixture
def everything(monkeypatch):
    """Every length and axis has room from the first call, and nothing written shows as NaN."""
    monkeypatch.setattr(buckets, "AT_ONCE", True)
    monkeypatch.setattr(loopjax.config, "poison", True)


X, Y, M = at.dvector("x"), at.dvector("y"), at.dmatrix("m")
N = at.lscalar("n")

OPS = {
    "pointwise": lambda: at.exp(-X) * 2 + Y,
    "scalar": lambda: X * Y[0],
    "sum": lambda: (X * Y).sum(),
    "prod": lambda: at.prod(X),
    "mean": lambda: X.mean(),
    "std": lambda: X.std(),
    "var": lambda: at.var(M, axis=0, ddof=1),
    "max": lambda: at.max(X),
    "min": lambda: at.min(M, axis=1),
    "any": lambda: at.any(at.gt(X, 1.5)),
    "all": lambda: at.all(at.lt(X, 1.5)),
    "argmax": lambda: at.argmax(X),
    "argmin of rows": lambda: at.argmin(M, axis=1),
    "logsumexp": lambda: at.logsumexp(X),
    "keepdims": lambda: X / X.sum(keepdims=True)[0],
    "cumsum": lambda: at.cumsum(X),
    "cumprod reversed": lambda: at.cumprod(X[::-1]),
    "last": lambda: X[-1] + X[-2],
    "first": lambda: X[0] * X[1],
    "column": lambda: M[:, 1],
    "corner": lambda: M[-1, -2],
    "rows by index": lambda: X[at.as_tensor([0, -1, 1])],
    "rows by a symbolic index": lambda: M[at.argmax(X)],
    "slice": lambda: X[1:] - X[:-1],
    "slice by a number": lambda: X[:N],
    "slice from a number": lambda: X[N:],
    "slice between": lambda: X[N - 1 : N + 1],
    "stride": lambda: X[::2],
    "stride back": lambda: X[::-2],
    "stride by a number": lambda: M[::N].sum(1),
    "last three": lambda: X[-3:],
    "all but": lambda: X[2:-1],
    "diff": lambda: at.diff(X, n=2),
    "transposed": lambda: M.T + X.dimshuffle(0, "x"),
    "dot": lambda: at.dot(X, Y),
    "matrix vector": lambda: at.dot(M, X),
    "matrix matrix": lambda: at.dot(M, M.T),
    "matmul": lambda: at.matmul(M, X),
    "outer": lambda: at.outer(X, Y),
    "tensordot": lambda: at.tensordot(M, X, ([1], [0])),
    "join": lambda: at.concatenate([X, Y[:-1], X[::-1]]),
    "stack": lambda: at.stack([X, Y]),
    "flatten": lambda: M[:, :2].flatten(),
    "reshape": lambda: at.concatenate([X, Y]).reshape((X.shape[0], 2)),
    "shape": lambda: X.shape[0] + M.shape[1],
    "shapes": lambda: M.shape,
    "zeros": lambda: at.zeros(N) + 1,
    "zeros like": lambda: at.zeros_like(M) + X,
    "arange": lambda: at.arange(N) * 2,
    "arange by three": lambda: at.arange(1, N * 3, 3),
    "arange down": lambda: at.arange(N, 0, -2),
    "eye": lambda: at.eye(N).sum(),
    "sort": lambda: at.sort(X) * Y,
    "set": lambda: at.set_subtensor(X[-1], 5.0) * 2,
    "inc": lambda: at.inc_subtensor(X[N - 1], 5.0).sum(),
    "set slice": lambda: at.set_subtensor(X[1:3], 5.0).sum(),
    "mask": lambda: X[X > 1],
    "mask of rows": lambda: M[X > 1] * 2,
    "mask of a matrix": lambda: M[M > 1].sum(),
    "positions": lambda: at.nonzero(M > 1)[1],
    "how many": lambda: (X > 1).nonzero()[0].shape[0],
    "set where": lambda: at.set_subtensor(X[X > 1], 0.5) * Y,
    "inc where": lambda: at.inc_subtensor(M[X > 1], 0.5).sum(0),
    "a loop over some": lambda: loopjax.scan(lambda a, h: 0.5 * h + a, sequences=X[X > 0.7], outputs_info=X[0])[0],
    "switch": lambda: at.switch(X > 1, X, Y),
    "softmax": lambda: at.nnet.softmax(M),
    "its last": lambda: loopjax.scan(lambda a, h: 0.5 * h + a, sequences=X, outputs_info=np.float64(1))[0][-1],
    "set a column": lambda: at.set_subtensor(M[:, 1], X * 2).sum(1),
    "set all": lambda: at.inc_subtensor(X[:], at.sort(Y)) ** 2,
    "set where with rows": lambda: at.set_subtensor(X[X > 1], X[X > 1] * 2),
    "set in a loop": lambda: loopjax.scan(
        lambda r, h: at.set_subtensor(h[:], at.sort(Y)) * r.sum() + h, M, at.zeros(M.shape[1], dtype="float64")
    )[0],
    "last rows of a loop": lambda: loopjax.scan(lambda a, h: 0.5 * h + a, X[3:], np.float64(1))[0][-2:],
    "last rows of a map": lambda: loopjax.scan(lambda a: 2 * a, X[3:])[0][-2:],
    "a map": lambda: loopjax.scan(lambda a, b: a * b, sequences=[X, Y])[0],
    "a recurrence": lambda: loopjax.scan(lambda a, h: 0.5 * h + a, sequences=X, outputs_info=np.float64(1))[0],
    "its sum": lambda: loopjax.scan(lambda a, h: 0.5 * h + a, sequences=X, outputs_info=np.float64(1))[0].sum(),
    "backwards": lambda: loopjax.scan(lambda a, b, h: 0.5 * h + a * b, [X, Y], np.float64(1), go_backwards=True)[0],
    "taps": lambda: loopjax.scan(
        lambda a, b, c, p, q: 0.5 * p + a - b * q + c,
        [{"input": X, "taps": [-1, 1]}, Y],
        {"initial": M[0, :3], "taps": [-1, -3]},
    )[0],
    "taps backwards": lambda: loopjax.scan(
        lambda a, b, p: 0.5 * p + a - b, {"input": X, "taps": [-2, 0]}, np.float64(1), go_backwards=True
    )[0],
    "rows of a matrix": lambda: loopjax.scan(lambda r, h: h * 0.3 + r, sequences=M, outputs_info=X)[0],
    "a state of no fixed size": lambda: loopjax.scan(lambda h, m: at.tanh(at.dot(m, h)), None, X, M, n_steps=N)[0],
    "steps": lambda: loopjax.scan(lambda h: h * X[0], outputs_info=np.float64(1), n_steps=N)[0],
    "a loop in a loop": lambda: loopjax.scan(
        lambda r, h: loopjax.scan(lambda a, s: s * 0.5 + a, sequences=r, outputs_info=h)[0].mean(), M, np.float64(1)
    )[0],
    "until": lambda: loopjax.scan(
        lambda a, h: (h + a, loopjax.until(h + a > 2.5)), sequences=X, outputs_info=np.float64(0)
    )[0],
    "until then a loop": lambda: loopjax.scan(
        lambda a, h: h * 0.5 + a,
        loopjax.scan(lambda a, h: (h + a, loopjax.until(h + a > 2.5)), sequences=X, outputs_info=np.float64(0))[0][
            ::-1
        ],
        np.float64(0),
    )[0],
    "until in a loop": lambda: loopjax.scan(
        lambda limit: loopjax.scan(
            lambda a, h: (h + a, loopjax.until(h + a > limit)), sequences=X, outputs_info=np.float64(0)
        )[0].std(),
        sequences=Y,
    )[0],
    "truncated": lambda: loopjax.scan(
        lambda a, h: at.tanh(h) + a, sequences=X, outputs_info=np.float64(1), truncate_gradient=2
    )[0],
}


def given(n):
    return RNG.uniform(0.5, 1.5, n), RNG.uniform(0.5, 1.5, n), RNG.uniform(0.5, 1.5, (n, n)), n // 2 + 1


def same(found, expected, **tolerance):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, **tolerance)


@pytest.mark.parametrize("name", OPS)
def test_values_and_gradients_are_those_without_room(name, everything):
    out = OPS[name]()
    floats = [X, Y, M] if str(out.dtype).startswith("float") else []
    gradients = loopjax.grad((out**2).sum(), floats, disconnected_inputs="ignore") if floats else []
    inputs = [X, Y, M, N]
    exact = loopjax.function(inputs, [out, *gradients], on_unused_input="ignore", lengths="exact")
    padded = Counting(loopjax.function(inputs, [out, *gradients], on_unused_input="ignore", lengths="padded"))
    alone = loopjax.function(inputs, out, on_unused_input="ignore", lengths="padded")
    for n in (5, 9):
        values = given(n)
        expected = exact(*values)
        same(padded(*values), expected, rtol=1e-9, atol=1e-12)
    same([alone(*values)], expected[:1], rtol=1e-9, atol=1e-12)
    for n in (3, 8):
        padded(*given(n))
    if name not in {
        "stride by a number",
        "mask of a matrix",
        "positions",
    }:
        assert padded.count <= 2, "3, 5 and 8 are one program, 9 another"


def test_tangents_of_intermediate_values(everything):
    """The tangent has the size and the capacity of the value, not those of an input of the region."""
    middle = X[1:] * 2
    tangent = loopjax.Rop(at.dot(M, middle) ** 2 * X[0], [X, middle], [X, Y])
    exact, f = (loopjax.function([M, X, Y], tangent, lengths=lengths) for lengths in ("exact", "padded"))
    for n in (3, 5, 9):
        values = RNG.uniform(0.5, 1.5, (n, n + 3)), RNG.uniform(0.5, 1.5, n + 4), RNG.uniform(0.5, 1.5, n + 3)
        same([f(*values)], [exact(*values)], rtol=1e-9)


@pytest.mark.parametrize("lengths", ["padded", "auto"])
@pytest.mark.parametrize("name", ["a recurrence", "until", "slice by a number", "arange by three"])
def test_many_lengths(name, lengths):
    out = OPS[name]()
    exact = loopjax.function([X, Y, M, N], out, on_unused_input="ignore", lengths="exact")
    f = Counting(loopjax.function([X, Y, M, N], out, on_unused_input="ignore", lengths=lengths))
    for n in [*range(3, 30), 4, 9]:
        values = given(n)
        found = f(*values)
        if n % 5 == 4:
            same([found], [exact(*values)], rtol=1e-9)
    assert f.count <= 6


def test_no_length_at_all(everything):
    k = at.lscalar("k")
    out, _ = loopjax.scan(lambda a, h: h + a, sequences=at.arange(k), outputs_info=at.constant(0))
    f = loopjax.function([k], [out, at.zeros(k).sum(), out.sum()], lengths="padded")
    rows, none, total = f(0)
    assert rows.shape == (0,)
    assert float(none) == float(total) == 0
    assert f(3)[0].tolist() == [0, 1, 3]


ROWS = {
    "pointwise": (lambda s: s * 2, lambda s: s * 2),
    "switch": (lambda s: at.switch(s > 0.1, s, 1.0), lambda s: s),
    "column": (lambda s: s[:, None] * np.ones(2), lambda s: s[:, None] * np.ones(2)),
    "products": (
        lambda s: at.matmul(s[:, None, None], np.ones((1, 1, 2))),
        lambda s: s[:, None, None] * np.ones((1, 2)),
    ),
    "broadcast_to": (lambda s: at.broadcast_to(s, (2, s.shape[0])), lambda s: np.stack([s, s])),
    "write": (lambda s: at.set_subtensor(s[:], 5.0), lambda s: np.full_like(s, 5.0)),
    "index arrays": (lambda s: s[:, None][at.arange(s.shape[0]), 0], lambda s: s),
    "mask": (lambda s: s[s > 0] * 2, lambda s: s[s > 0] * 2),
    "loop": (
        lambda s: loopjax.scan(lambda a, i: a + i, [s, at.arange(s.shape[0])])[0],
        lambda s: s + np.arange(len(s)),
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_an_axis_of_at_most_one_row_does_not_stretch(name):
    """Capacity for one row is no size of 1: the slices have one row, or none."""
    compute, reference = ROWS[name]
    stack, _ = loopjax.scan(lambda a: (a * 2, loopjax.until(a > 1)), sequences=X, n_steps=2)
    slices = [np.s_[1:2], np.s_[:-1], np.s_[-2:-1]]
    results = [compute(stack[one]) for one in slices]
    cost = sum((one * one).sum() for one in results)
    lengths = "padded" if name == "loop" else "auto"
    f = loopjax.function([X], [cost, *results], lengths=lengths)
    gradient = loopjax.function([X], loopjax.grad(cost, X, disconnected_inputs="ignore"), lengths=lengths)
    for values in ([2.0, 3.0], [0.5, 3.0]):
        slices_now = [2 * np.asarray(values[: 1 if values[0] > 1 else 2])[one] for one in slices]
        for found, expected in zip(f(values)[1:], map(reference, slices_now), strict=True):
            np.testing.assert_array_equal(found, expected)
        costs = [float(f(row)[0]) for row in (values, *np.add(values, np.diag([1e-6, 1e-6])))]
        np.testing.assert_allclose(gradient(values), np.subtract(costs[1:], costs[0]) / 1e-6, rtol=1e-5, atol=1e-8)


def test_a_mask_over_one_element():
    one = at.tensor("float64", shape=(1,), name="one")
    f = loopjax.function([one], [one[one > 0] * 2, (one[one > 0] * 2).sum()])
    np.testing.assert_array_equal(f([3.0])[0], [6.0])
    np.testing.assert_array_equal(f([-3.0])[0], [])
    np.testing.assert_array_equal(f([-3.0])[1], 0.0)


KEPT = {
    "sort": lambda k: (at.sort(k) * k).sum(),
    "roll": lambda k: (at.roll(k, 1) * k).sum(),
    "repeat and tile": lambda k: (at.repeat(k, 2) * at.tile(k, 2)).sum(),
    "reshape": lambda k: (k.reshape((1, -1)) * at.arange(k.shape[0])).sum() + (k.reshape((k.shape[0], 1)) ** 2).sum(),
    "a loop over positions": lambda k: loopjax.scan(lambda i: k[i] ** 2 * i, at.arange(k.shape[0]))[0].sum(),
}


@pytest.mark.parametrize("name", KEPT)
def test_gradients_through_a_mask_and_ops_that_need_its_length(name):
    """A mask of an argument, of what is computed from it, of a loop's results, and a mask of a mask."""
    smooth, _ = loopjax.scan(lambda a, h: 0.5 * h + a, X, np.float64(0))
    twice = (at.sin(X) + 2 * X)[X > -0.5]
    masked = [X[X > 0], smooth[smooth > 0] if name == "sort" else X[at.exp(X) > 1.1], twice[twice > 0]]
    cost = sum(KEPT[name](one) for one in masked)
    f, g = loopjax.function([X], cost), loopjax.function([X], loopjax.grad(cost, X))
    for values in [[0.5, -1.0, 2.0, 1.25], [-1.0, -0.25, 3.0, -2.0]][: 2 if name == "sort" else 1]:
        steps = 1e-5 * np.eye(4)
        slopes = [(float(f(values + step)) - float(f(values - step))) / 2e-5 for step in steps]
        np.testing.assert_allclose(g(values), slopes, rtol=1e-6, atol=1e-7)


class TestErrors:
    """What is refused without room is refused with it, at the user's line."""

    @pytest.mark.parametrize("policy", ["exact", "padded"])
    @pytest.mark.parametrize(
        ("make", "values", "error"),
        [
            (lambda: X + Y, ([1.0, 2.0], [1.0, 2.0, 3.0]), ValueError),
            (lambda: X + np.ones(4), ([1.0, 2.0], [1.0]), ValueError),
            (lambda: at.dot(X, Y), ([1.0, 2.0], [1.0, 2.0, 3.0]), ValueError),
            (lambda: loopjax.grad(((X + Y) ** 2).sum(), X), ([1.0, 2.0], [1.0, 2.0, 3.0]), ValueError),
            (lambda: loopjax.grad(None, X, known_grads={at.cumsum(X) ** 2: Y}), ([1.0] * 5, [1.0] * 6), ValueError),
            (lambda: loopjax.grad(None, X, known_grads={at.cumsum(X) ** 2: Y}), ([1.0] * 6, [1.0] * 3), ValueError),
            (lambda: loopjax.Rop(at.cumsum(X**2), X, Y), ([1.0] * 6, [1.0] * 3), ValueError),
            (lambda: at.set_subtensor(X[:], np.arange(16.0)) + Y[0], ([1.0, 2.0], [1.0]), ValueError),
            (lambda: at.set_subtensor(X[:], Y), ([1.0, 2.0], [1.0, 2.0, 3.0]), ValueError),
            (lambda: at.max(X[X > 5]) + Y[0], ([1.0, 2.0], [1.0]), ValueError),
            (lambda: at.argmax(X[X > 5]) + Y[0], ([1.0, 2.0], [1.0]), ValueError),
            (lambda: X[5] + Y[0], ([1.0, 2.0], [1.0]), IndexError),
            (lambda: at.max(X[2:]) + Y[0], ([1.0, 2.0], [1.0]), ValueError),
            (lambda: at.concatenate([X, Y]).reshape((3, 2)), ([1.0, 2.0], [1.0]), ValueError),
            (lambda: loopjax.scan(lambda a: a, X, n_steps=5)[0] + Y[0], ([1.0, 2.0], [1.0]), ValueError),
        ],
        ids=[
            "pointwise",
            "constant",
            "dot",
            "gradient",
            "long cotangent",
            "short cotangent",
            "tangent",
            "set constant",
            "set",
            "max of a mask",
            "argmax of a mask",
            "index",
            "max of nothing",
            "reshape",
            "n_steps",
        ],
    )
    def test_sizes(self, make, values, error, policy, everything):
        f = loopjax.function([X, Y], make(), on_unused_input="ignore", lengths=policy)
        with pytest.raises(error, match=r"\[test_padding.py:\d+"):
            f(*map(np.array, values))

    def test_sequences_that_are_too_short_are_named(self, everything):
        out, _ = loopjax.scan(lambda a, b: a + b, sequences=[X, Y], n_steps=N, name="two")
        f = loopjax.function([X, Y, N], out, lengths="padded")
        np.testing.assert_array_equal(f(np.ones(5), np.ones(3), 2), [2, 2])
        message = r"^scan 'two': sequence 'y' with taps \[0\] has rows for 3 steps, and 4 are asked for \[test_pad"
        with pytest.raises(ValueError, match=message):
            f(np.ones(5), np.ones(3), 4)

    @pytest.mark.parametrize("policy", ["exact", "padded"])
    def test_a_negative_size(self, policy):
        f = loopjax.function([N], at.zeros(N), lengths=policy)
        with pytest.raises(ValueError, match=r"negative.*\[test_padding.py:\d+"):
            f(-2)

    def test_lengths_that_only_the_run_knows_must_be_equal(self):
        state = loopjax.shared(np.zeros(()))

        def sums(x, limit):
            step = lambda a, h: (h + a, loopjax.until(h + a >= limit))  # noqa: E731
            return loopjax.scan(step, sequences=x, outputs_info=np.float64(0), n_steps=50)[0]

        total = (sums(X, 3.0) + sums(Y, 4.0)).sum()
        f = loopjax.function([X, Y], total, updates={state: total})
        assert len(f.stages) == 1
        assert float(f(np.full(50, 3.0), np.full(50, 4.0))) == 7
        with pytest.raises(ValueError, match=r"add: sizes that must be equal differ \[test_padding.py:\d+"):
            f(np.ones(50), np.ones(50))
        assert state.get_value() == 7, "a call that fails changes nothing"

    def test_a_policy_of_another_name(self):
        with pytest.raises(ValueError, match=r"lengths is .* not .none."):
            loopjax.function([X], X, lengths="none")
        with pytest.raises(ValueError, match=r"lengths is .* not .none."):
            loopjax.config.lengths = "none"


class TestPolicy:
    def test_auto_compiles_for_two_lengths_and_then_makes_room(self):
        f = Counting(loopjax.function([N], at.arange(N) * 2))
        counts = []
        for n in (5, 5, 6, 5, 7, 8, 6, 3, 20):
            np.testing.assert_array_equal(f(n), np.arange(n) * 2)
            counts.append(f.count)
        assert counts == [1, 1, 2, 2, 3, 3, 3, 3, 4]

    def test_exact_compiles_for_each(self):
        f = Counting(loopjax.function([N], at.arange(N) * 2, lengths="exact"))
        for n in range(1, 6):
            f(n)
        assert f.count == 5

    def test_axes_that_stay_as_they_are_have_no_room(self):
        f = loopjax.function([X, M], at.dot(M, X[:3]).sum() + X.sum())
        for n in range(3, 9):
            f(np.ones(n), np.ones((4, 3)))
        assert f._buckets.latest.padding.axes == (InputAxis(X, 0),)

    def test_what_needs_a_length_as_it_is_gets_no_room(self):
        f = loopjax.function([X], at.linalg.eigh(at.diag(X))[0].cumsum())
        counting = Counting(f)
        for n in range(2, 7):
            np.testing.assert_allclose(counting(np.arange(n)[::-1] * 1.0), np.arange(n).cumsum())
        assert f._buckets.latest.padding.axes == ()
        assert counting.count == 5

    def test_explain_says_what_has_room_and_what_prevents_it(self):
        values = at.linalg.eigh(at.diag(X))[0]
        f = loopjax.function([X, Y], [values.sum() + Y.sum(), at.arange(Y.shape[0]).max()])
        assert loopjax.explain(f).room == ""
        for n in range(2, 6):
            f(np.ones(n), np.ones(n))
        report = loopjax.explain(f)
        assert report.room == "axis 0 of 'y'"
        assert len(report.exact) == 1
        line = r"eigh \[test_padding.py:\d+\] needs a length as it is: the program is compiled for each"
        assert re.search(line, str(report))

    def test_what_cannot_have_room_goes_on_without(self):
        """A vector with which the host computes how many steps a loop runs."""
        counts = at.lvector("counts")
        out, _ = loopjax.scan(
            lambda r, h: h / 2 + r, M, at.zeros(M.shape[1], dtype="float64"), lengths=counts, n_steps=M.shape[0]
        )
        f = loopjax.function([M, counts], loopjax.grad((out**2).sum(), M))
        g = loopjax.function([M, counts], loopjax.grad((out**2).sum(), M), lengths="exact")
        for n in (5, 6, 7, 8):
            values = RNG.normal(size=(4, n)), np.arange(n) % 5
            np.testing.assert_allclose(f(*values), g(*values))

    def test_checked_indices_have_no_room(self):
        i = at.lvector("i")
        f = loopjax.function([i], at.set_subtensor(at.zeros(20)[i], 5.0), check="index")
        for n in (3, 4, 5, 6):
            assert float(f(np.arange(n)).sum()) == 5 * n
        with pytest.raises(IndexError, match="20"):
            f([20])

    def test_sizes_of_one_that_must_be_equal(self, everything):
        f = loopjax.function([X], at.dot(np.ones((3, 1)), X), lengths="padded")
        np.testing.assert_array_equal(f(np.ones(1)), np.ones(3))
        g = loopjax.function([M], at.concatenate([np.ones((1, 2)), M], axis=1), lengths="padded")
        np.testing.assert_array_equal(g(np.ones((1, 3))), np.ones((1, 5)))

    def test_shared_variables_that_grow(self):
        state = loopjax.shared(np.array([1.0]))
        f = Counting(loopjax.function([], state.sum(), updates={state: at.concatenate([state, state[-1:] * 2])}))
        for n in range(1, 12):
            assert float(f()) == 2.0**n - 1
        np.testing.assert_array_equal(state.get_value(), 2.0 ** np.arange(12))
        assert f.count <= 4

    def test_results_of_until_of_few_steps_stay_on_the_device(self):
        out = loopjax.scan(
            lambda a, h: (h + a, loopjax.until(h + a > 3)), sequences=X, outputs_info=np.float64(0), n_steps=100
        )[0]
        second = loopjax.scan(lambda a, h: h / 2 + a, sequences=out, outputs_info=np.float64(0))[0]
        results = [out.sum(), out.mean(), out.std(), out[-1], out[-2], out[::-1], out.shape[0], second]
        f = loopjax.function([X, M], [*results, at.dot(out, M[: out.shape[0]]), out])
        x, m = RNG.uniform(0, 1, 100), RNG.uniform(0, 1, (100, 4))
        rows = np.cumsum(x)[: np.argmax(np.cumsum(x) > 3) + 1]
        after = [rows[0]]
        for row in rows[1:]:
            after.append(after[-1] / 2 + row)
        expected = [rows.sum(), rows.mean(), rows.std(), rows[-1], rows[-2], rows[::-1], len(rows), after]
        found = f(x, m)
        for one, other in zip(found, [*expected, rows @ m[: len(rows)], rows], strict=True):
            np.testing.assert_allclose(one, other)
        assert len(f.stages) == 1
        text = f.lower(x, m).as_text()
        assert not any(word in text for word in ("infeed", "outfeed", "callback", "send", "recv"))

    def test_rows_that_are_cut_off_are_not_filled(self):
        limit = at.dscalar("limit")
        out = loopjax.scan(
            lambda h: (h * 2, loopjax.until(h > limit)), outputs_info=at.constant(1.0, dtype="float64"), n_steps=100
        )[0]
        alone, filled = loopjax.function([limit], out), loopjax.function([limit], [out, out.sum()])
        for limits in (5.0, 100.0):
            rows = 2.0 ** np.arange(1, np.ceil(np.log2(limits)) + 2)
            np.testing.assert_array_equal(alone(limits), rows)
            np.testing.assert_array_equal(filled(limits)[0], rows)
        assert "select" not in alone.lower(5.0).as_text()
        assert "select" in filled.lower(5.0).as_text()

    def test_gradients_of_until_compile_for_capacities(self):
        limit = at.dscalar("limit")
        out = loopjax.scan(
            lambda h: (h * 1.1, loopjax.until(h > limit)), outputs_info=X[0], n_steps=1000, name="growth"
        )[0]
        f = Counting(loopjax.function([X, limit], loopjax.grad((out**2).std(), X), lengths="padded"))
        exact = Counting(loopjax.function([X, limit], loopjax.grad((out**2).std(), X), lengths="exact"))
        for value in np.linspace(2, 40, 25):
            np.testing.assert_allclose(f([1.0], value), exact([1.0], value), rtol=1e-9)
        assert f.count <= 4
        assert exact.count > 10


def test_the_pass_as_text():
    n = at.lscalar("n")
    graph = pad(Graph([n], [at.arange(n).sum(), at.arange(n)]), Padding(values=(n,))).graph
    assert graph_text(graph).splitlines()[1:] == [
        "%0 = maximum(n, 0) : int64()",
        "%1 = capacity[fine=False](%0) : int64()",
        "%2 = arange[dtype=int64, lengths=(0, None, 1)](%1) : int64(?,)",
        "%3 = mask_rows[axis=0, value=zero](%2, %0) : int64(?,)",
        "%4 = sum[axis=(0,), dtype=int64, keepdims=False](%3) : int64()",
        "%5 = cut[axes=(0,)](%2, %0) : int64(?,)",
        "return %4, %5",
    ]


def test_no_gradient_and_no_nan_from_what_is_past_a_length():
    """1 / x at a row past the length would be infinite, were it not a copy of a valid one."""
    f = loopjax.function([X], loopjax.grad((1 / (X - 1) * at.log(X)).sum(), X), lengths="padded")
    for n in (2, 3, 5):
        x = np.arange(2.0, n + 2)
        expected = jax.grad(lambda v: (1 / (v - 1) * jax.numpy.log(v)).sum())(x.astype("float32"))
        np.testing.assert_allclose(f(x), expected, rtol=1e-5)
