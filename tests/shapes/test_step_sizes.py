"""Sizes that differ from step to step of a loop: capacities by bounds, checks at every step, and what is refused."""

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.errors import LengthError
from loopjax.ir.scan import Scan
from tests.rewrite.sized import scans

X, W, KS = at.dvector("x"), at.dvector("w"), at.lvector("ks")
VALUES = np.arange(1.0, 9.0)
RNG = np.random.default_rng(21)
POLICIES = ("exact", "auto", "padded")


def body(f):
    """The body of the only loop of a function."""
    (loop,) = [node for node in f._buckets.latest.graph.applies if isinstance(node.op, Scan)]
    return loop.op.body


def compiled_body(f):
    """The body of the only loop of the program that was compiled last."""
    (loop,) = scans(f.stages[-1].programs[-1].graph)
    return loop.body


def names(graph):
    return {node.op.name for node in graph.applies}


@pytest.mark.parametrize("policy", POLICIES)
class TestCapacities:
    """A length takes the capacity of its greatest value over all steps."""

    def test_of_a_range(self, policy):
        triangle, _ = loopjax.map(lambda i: (at.arange(i + 1) ** 2).sum(), at.arange(X.shape[0]))
        f = loopjax.function([X], triangle, lengths=policy)
        for n in (0, 1, 8, 5):
            np.testing.assert_array_equal(f(VALUES[:n]), [sum(j * j for j in range(i + 1)) for i in range(n)])

    def test_of_the_elements_of_an_input(self, policy):
        sums, _ = loopjax.map(lambda k: at.ones(k).sum() + at.arange(k).sum(), KS)
        f = loopjax.function([KS], sums, lengths=policy)
        for ks in ([3, 0, 5], [1], [40, 2]):
            np.testing.assert_array_equal(f(ks), [k + k * (k - 1) / 2 for k in ks])

    def test_of_a_product_with_a_size(self, policy):
        """The elements of ``ks`` may be negative."""
        sums, _ = loopjax.map(
            lambda k: at.ones(at.maximum(k * X.shape[0], 0)).sum() + at.arange(5 - X.shape[0] * k).sum(), KS
        )
        f = loopjax.function([X, KS], sums, lengths=policy)
        for ks in ([2, 0, -1], [1], [-3, -2], [4, 5]):
            np.testing.assert_array_equal(f(VALUES[:3], ks), [max(k * 3, 0) + np.arange(5 - 3 * k).sum() for k in ks])

    def test_of_a_counter_in_the_carry(self, policy):
        (_, sums), _ = loopjax.scan(
            lambda i, s: (i + 2, s + at.arange(i).sum()), outputs_info=[np.int64(1), np.int64(0)], n_steps=4
        )
        assert loopjax.function([], sums, lengths=policy)().tolist() == [0, 3, 13, 34]

    def test_of_a_state_that_no_step_lets_pass_a_bound(self, policy):
        start = at.lscalar("start")
        (_, sums), _ = loopjax.scan(
            lambda k, s: (at.minimum(k * 2, 6), s + at.arange(k).sum()), outputs_info=[start, np.int64(0)], n_steps=4
        )
        f = loopjax.function([start], sums, lengths=policy)
        assert f(1).tolist() == [0, 1, 7, 22]
        assert f(9).tolist() == [36, 51, 66, 81]

    @pytest.mark.parametrize(
        "step",
        [
            lambda v, k, n: at.maximum(k - 1, v),
            lambda v, k, n: at.maximum(at.maximum(k, v), k - 2),
            lambda v, k, n: at.minimum(k * 2 + v, n + 3),
        ],
    )
    def test_of_a_state_that_others_bound(self, policy, step):
        """Elements of a sequence and a number from outside; what falls from step to step needs no bound."""
        start = at.lscalar("start")
        (sizes, sums), _ = loopjax.scan(
            lambda v, k, s, n: (step(v, k, n), s + at.arange(k).sum()), KS, [start, np.int64(0)], start
        )
        f = loopjax.function([KS, start], [sizes, sums], lengths=policy)
        for ks, n in (([1, 2, 7, 0], 4), ([0, 0, 9, 3], 2)):
            found = f(ks, n)
            before = [n, *found[0][:-1].tolist()]
            assert found[0].tolist() == [int(step(v, k, n).eval()) for v, k in zip(ks, before, strict=True)]
            assert found[1].tolist() == np.cumsum([k * (k - 1) // 2 for k in before]).tolist()

    def test_of_two_loops(self, policy):
        def row(i):
            inner, _ = loopjax.map(lambda j: X[: j + 1].sum() * at.ones(i).sum(), at.arange(i))
            return inner.sum()

        rows, _ = loopjax.map(row, at.arange(X.shape[0]))
        f = loopjax.function([X], [rows, loopjax.grad(rows.sum(), X)], lengths=policy)
        value, slope = f(VALUES)
        np.testing.assert_allclose(value, [i * sum(VALUES[: j + 1].sum() for j in range(i)) for i in range(8)])
        right = sum(i * (np.arange(8) <= j) for i in range(8) for j in range(i))
        np.testing.assert_allclose(slope, right)


class TestWindows:
    """Slices of constant width."""

    def test_one_that_stays_inside_is_a_dynamic_slice(self):
        sums, _ = loopjax.map(lambda i: (X[i : i + 3] * W).sum(), at.arange(X.shape[0] - 2))
        f = loopjax.function([X, W], sums)
        np.testing.assert_allclose(f(VALUES, [1.0, 2.0, 3.0]), np.convolve(VALUES, [3.0, 2.0, 1.0], "valid"))
        assert "window" in names(body(f))
        assert not {"fill_rows", "mask_rows", "index"} & names(body(f))

    @pytest.mark.parametrize("policy", POLICIES)
    def test_one_that_reaches_over_an_end_has_fewer_rows(self, policy):
        sums, _ = loopjax.map(lambda i: X[i : i + 3].sum(), at.arange(X.shape[0]))
        f = loopjax.function([X], [sums, loopjax.grad((sums**2).sum(), X)], lengths=policy)
        value, slope = f(VALUES)
        right = [VALUES[i : i + 3].sum() for i in range(8)]
        np.testing.assert_allclose(value, right)
        np.testing.assert_allclose(slope, [sum(2 * right[i] for i in range(max(j - 2, 0), j + 1)) for j in range(8)])

    @pytest.mark.parametrize("policy", POLICIES)
    @pytest.mark.parametrize("kind", ["map", "scan", "grad", "scan grad", "stack"])
    def test_where_three_rows_are_needed_each_step_is_checked(self, kind, policy):
        steps = at.lscalar("steps")
        rows = at.arange(steps)
        windows = lambda i: (X[i : i + 3] * W).sum()  # noqa: E731
        if kind == "stack":
            out, _ = loopjax.map(lambda i: X[i : i + 3] * 2, rows)
        elif "scan" in kind:
            out, _ = loopjax.scan(lambda i, h: 0.5 * h + windows(i), rows, outputs_info=np.float64(0))
        else:
            out, _ = loopjax.map(windows, rows)
        cost = (out**2).sum() + 0 * W.sum()
        count = loopjax.shared(np.int64(0))
        f = loopjax.function(
            [X, W, steps], loopjax.grad(cost, X) if "grad" in kind else cost, updates={count: count + 1}, lengths=policy
        )
        weights = [1.0, 2.0, 3.0]
        assert np.all(np.isfinite(f(VALUES, weights, 6)))
        with pytest.raises(ValueError, match=r"(must be equal|reaches over an end).*test_step_sizes"):
            f(VALUES, weights, 7)
        assert count.get_value() == 1
        assert np.all(np.isfinite(f(VALUES, weights, 5)))


@pytest.mark.parametrize("policy", POLICIES)
class TestInnerLoops:
    """Loops whose number of steps differs."""

    @pytest.mark.parametrize("backwards", [False, True])
    def test_over_the_first_rows_of_a_sequence(self, policy, backwards):
        def inner(k):
            step = lambda v, h: 0.5 * h + v  # noqa: E731
            return loopjax.scan(step, X[:k], outputs_info=np.float64(0), go_backwards=backwards)[0][-1]

        out, _ = loopjax.map(inner, KS)
        f = loopjax.function([X, KS], [out, loopjax.grad(out.sum(), X)], lengths=policy)
        value, slope = f(VALUES, [3, 8, 1])
        weights = [0.5 ** (np.arange(k) if backwards else np.arange(k)[::-1]) for k in (3, 8, 1)]
        np.testing.assert_allclose(value, [w @ VALUES[: len(w)] for w in weights])
        np.testing.assert_allclose(slope, sum(np.pad(w, (0, 8 - len(w))) for w in weights))

    def test_too_many_steps_for_a_sequence_raise(self, policy):
        out, _ = loopjax.map(lambda k: loopjax.scan(lambda v: v, X, n_steps=k)[0].sum(), KS)
        f = loopjax.function([X, KS], out, lengths=policy)
        np.testing.assert_allclose(f(VALUES, [2, 8]), [3.0, 36.0])
        with pytest.raises(
            ValueError, match=r"sequence 'x' with taps \[0\] has rows for fewer steps, and more are asked for"
        ):
            f(VALUES, [2, 9])

    def test_a_gradient_inside_of_a_loop_that_it_drives(self, policy):
        a = at.dscalar("a")
        power = lambda z, k: loopjax.scan(lambda v: v * z, outputs_info=z, n_steps=k)[0][-1]  # noqa: E731
        out, _ = loopjax.scan(lambda k, x: x - 0.1 * loopjax.grad(power(x, k), x), KS, outputs_info=a)
        x = 0.4
        for k in (3, 1, 2):
            x -= 0.1 * (k + 1) * x**k
        np.testing.assert_allclose(loopjax.function([a, KS], out[-1], lengths=policy)(0.4, [3, 1, 2]), x)


class TestRefused:
    """Nothing bounds the length."""

    def test_a_state_that_grows_by_what_only_a_run_knows(self):
        (_, sums), _ = loopjax.scan(
            lambda k, s: (k * 2, s + at.arange(k).sum()), outputs_info=[np.int64(1), np.int64(0)], n_steps=4
        )
        with pytest.raises(LengthError, match=r"arange: a size differs .* minimum\(size, most\).*test_step_sizes"):
            loopjax.function([], sums)

    def test_a_number_of_steps_that_depends_on_its_own_gradient(self):
        a = at.dscalar("a")

        def step(x):
            k = at.cast(x * 3, "int64")
            return x - 0.1 * loopjax.grad(loopjax.scan(lambda v: v * x, outputs_info=x, n_steps=k)[0][-1], x)

        out, _ = loopjax.scan(step, outputs_info=a, n_steps=3)
        with pytest.raises(LengthError, match=r"inspector: .* minimum\(n, 100\)"):
            loopjax.function([a], out[-1])


def test_an_array_of_valid_rows_is_not_taken_for_one_with_other_valid_rows():
    """Three rows of which a mask leaves some, and three rows as they are: both begin as ``alloc`` of three."""
    rows, _ = loopjax.scan(lambda a: a, KS, n_steps=3)
    positive = rows[rows > 0]
    total = positive[positive > 0].sum()
    scaled = at.cumsum(rows) * total
    f = loopjax.function([KS], scaled[scaled > 0].sum())
    assert f([3, 2, -3]) == 5 * (3 + 5 + 2)
    assert f([-1, -2, -3]) == 0


COSTS = {
    "slices": lambda: loopjax.map(lambda k: (X[k:] ** 2).sum(), KS)[0].sum(),
    "softmax": lambda: loopjax.map(lambda i: at.softmax(X[: i + 1]).max(), at.arange(X.shape[0]))[0].sum(),
    "windows": lambda: (loopjax.map(lambda i: (X[i : i + 3] ** 2).sum(), at.arange(X.shape[0]))[0] ** 2).sum(),
    "state": lambda: loopjax.scan(lambda k, h: at.tanh(h * X[:k].sum()), KS, outputs_info=np.float64(0.5))[0][-1],
    "inner loop": lambda: loopjax.map(
        lambda k: loopjax.scan(lambda a, h: h * a + a, X[:k], outputs_info=np.float64(1))[0][-1], KS
    )[0].sum(),
}


@pytest.mark.parametrize("name", COSTS)
def test_derivatives_of_every_kind_and_inside_of_jax(name):
    cost, v = COSTS[name](), at.dvector("v")
    slope = loopjax.grad(cost, X)
    outputs = [cost, slope, loopjax.Rop(cost, X, v), loopjax.grad((slope * v).sum(), X)]
    f = loopjax.function([X, KS, v], outputs, on_unused_input="ignore")
    x, ks, along = VALUES / 4, np.array([3, 1, 2]), np.linspace(-1, 1, 8)
    value, slope, tangent, second = f(x, ks, along)

    def difference(output, step):
        return (np.asarray(f(x + step, ks, along)[output]) - np.asarray(f(x - step, ks, along)[output])) / 2e-5

    np.testing.assert_allclose(slope, [difference(0, step) for step in 1e-5 * np.eye(8)], rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(tangent, slope @ along, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(second, difference(1, 1e-5 * along), rtol=1e-5, atol=1e-7)
    with jax.enable_x64(True):
        inside = loopjax.to_jax([X, KS], cost, on_unused_input="ignore")
        np.testing.assert_allclose(jax.jit(inside)(x, ks), value, rtol=1e-12)
        np.testing.assert_allclose(jax.jit(jax.grad(inside))(x, ks), slope, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(jax.vmap(inside, (0, None))(np.stack([x, x]), ks), [value, value], rtol=1e-12)


@pytest.mark.parametrize("policy", POLICIES)
class TestFactsThatDoNotHold:
    """Bounds that a run might take for granted, and must not."""

    def test_a_loop_of_no_steps_over_an_array_of_no_rows(self, policy):
        out, _ = loopjax.map(lambda i: X[i - i : i - i + 1].sum(), at.arange(X.shape[0]))
        f = loopjax.function([X], out, lengths=policy)
        for n in (3, 0, 2):
            np.testing.assert_array_equal(f(VALUES[:n]), [1.0] * n)

    def test_a_number_decides_the_trip_count_and_not_the_array(self, policy):
        positive = X[X > 0]
        out, _ = loopjax.scan(
            lambda i, h: h + at.exp(positive[i - i : i - i + 1]).sum() + 1,
            at.arange(at.maximum(positive.shape[0], 2)),
            outputs_info=np.float64(0),
        )
        f = loopjax.function([X], out[-1], lengths=policy)
        np.testing.assert_allclose(f([-1.0, -2.0]), 2.0)
        np.testing.assert_allclose(f([-1.0, 1.0]), 2 + 2 * np.exp(1))

    @pytest.mark.parametrize(
        "make",
        [
            lambda k: at.concatenate([at.zeros(k), X]).sum(),
            lambda k: at.ones(k).mean(),
            lambda k: at.tile(X, k).sum(),
            lambda k: at.repeat(X, k).sum(),
            lambda k: at.zeros(k).shape[0] + at.arange(k).shape[0],
        ],
        ids=["zeros", "ones", "tile", "repeat", "shape"],
    )
    def test_a_negative_size_raises(self, make, policy):
        f = loopjax.function([X, KS], loopjax.map(make, KS)[0], on_unused_input="ignore", lengths=policy)
        f(VALUES, [1, 2])
        with pytest.raises(ValueError, match=r"(negative|less than 0).*test_step_sizes"):
            f(VALUES, [2, -2])

    def test_a_shared_counter_is_bounded(self, policy):
        count = loopjax.shared(np.int64(3))
        sums, updates = loopjax.scan(lambda: (at.arange(count).sum(), {count: count + 1}), n_steps=3)
        f = loopjax.function([], sums, updates=updates, lengths=policy)
        assert f().tolist() == [3, 6, 10]
        assert f().tolist() == [15, 21, 28]

    def test_rows_of_another_loop_bound_a_size(self, policy):
        sizes, _ = loopjax.scan(lambda k, h: h + k, KS, outputs_info=np.int64(0))
        sums, _ = loopjax.map(lambda k: at.arange(k).sum(), sizes)
        assert loopjax.function([KS], sums, lengths=policy)([1, 2, 3]).tolist() == [0, 3, 15]


def test_integers_that_wrap_around_are_not_inverted():
    k = at.iscalar("k")
    f = loopjax.function(
        [k], loopjax.scan(lambda h: h + 1, outputs_info=np.int64(0), n_steps=(k * 1000) // 1000)[0][-1]
    )
    assert [int(f(n)) for n in (5, 6, 7)] == [5, 6, 7]
    with pytest.raises(ValueError, match="n_steps is negative"):
        f(3_000_000)


def test_polynomials_that_grow_are_atoms():
    rows = KS
    for _ in range(12):
        rows = rows * (rows + 1) + 1
    out, _ = loopjax.map(lambda k: X[: at.minimum(k % 3, 2)].sum(), rows)
    values = np.array([1, 2])
    f = loopjax.function([X, KS], out)
    expected = values
    with np.errstate(over="ignore"):
        for _ in range(12):
            expected = expected * (expected + 1) + 1
    np.testing.assert_allclose(f(VALUES, values), [VALUES[: min(k % 3, 2)].sum() for k in expected])


@pytest.mark.parametrize(
    ("start", "stop", "lengths"),
    [(None, None, "exact"), (2, None, "padded"), (-1, 1, "padded"), (1, -1, "exact"), (20, -20, "padded")],
)
def test_slices_with_a_run_time_step(start, stop, lengths):
    x, k = at.dvector("x"), at.lscalar("k")
    read, added = loopjax.map(
        lambda i: (x[start : stop : k * i].sum(), at.inc_subtensor(x[start : stop : k * i], 1.0)), at.arange(1, 4)
    )[0]
    whole = x[start:stop:k]
    outputs = [whole, loopjax.grad((whole**2).sum() + (read**2).sum(), x), read, added]
    f = loopjax.function([x, k], outputs, lengths=lengths)
    value = np.arange(1.0, 9.0)
    for step in (1, 2, -1, -3, 7):
        slices = [slice(start, stop, step * i) for i in (1, 2, 3)]
        sums = [value[one].sum() for one in slices]
        slope, rows = np.zeros(8), np.tile(value, (3, 1))
        slope[slices[0]] = 2 * value[slices[0]]
        for number, one in enumerate(slices):
            slope[one] += 2 * sums[number]
            rows[number, one] += 1
        for found, wanted in zip(f(value, step), [value[slices[0]], slope, sums, rows], strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-14)
    with pytest.raises(ValueError, match="a slice has step 0; expected another step"):
        f(value, 0)


class TestWindowsOfAWidthFromOutside:
    """Slices whose width is a size or an input: windows of that many rows, wherever they start."""

    STARTS = np.arange(-12, 12)

    @pytest.mark.parametrize("policy", POLICIES)
    @pytest.mark.parametrize("width", [-9, -3, 0, 1, 3, 8, 11])
    def test_any_start_and_width(self, policy, width):
        starts, k = at.lvector("starts"), at.iscalar("k")
        parts = [lambda i, x, k: x[i : i + k], lambda i, x, k: x[i - k : i + k], lambda i, x, k: x[k - i : 3 * k - i]]
        sums = [loopjax.map(lambda i, part=part: part(i, X, k).sum(), starts)[0] for part in parts]
        f = loopjax.function([X, starts, k], sums, lengths=policy)
        for found, part in zip(f(VALUES, self.STARTS, width), parts, strict=True):
            np.testing.assert_allclose(found, [part(i, VALUES, width).sum() for i in self.STARTS])

    @pytest.mark.parametrize("policy", POLICIES)
    def test_writes_of_two_axes_and_gradients(self, policy):
        x, w = at.dmatrix("x"), at.dmatrix("w")
        rows, columns, (n, m) = at.lvector("rows"), at.lvector("columns"), w.shape

        def step(i, j, x):
            part = x[i : i + n, j : j + m]
            return at.inc_subtensor(part, 0.1 * part * part.sum())

        out, _ = loopjax.scan(step, [rows, columns], x)
        cost = (out[-1] ** 2).sum()
        f = loopjax.function([x, w, rows, columns], [out[-1], loopjax.grad(cost, x)], lengths=policy)

        def run(x, rows, columns):
            x = x.copy()
            for i, j in zip(rows, columns, strict=True):
                x[i : i + 3, j : j + 2] *= 1 + 0.1 * x[i : i + 3, j : j + 2].sum()
            return x

        value = np.random.default_rng(3).uniform(0.1, 0.3, (5, 4))
        places = [np.array([0, 4, -3, -1, 2, 3, -9]), np.array([1, 2, -2, 0, -4, 3, 1])]
        found, slope = f(value, np.zeros((3, 2)), *places)
        np.testing.assert_allclose(found, run(value, *places), rtol=1e-12)
        steps = 1e-6 * np.eye(20).reshape(20, 5, 4)
        ends = [[(run(value + sign * e, *places) ** 2).sum() for e in steps] for sign in (1, -1)]
        np.testing.assert_allclose(slope.ravel(), np.subtract(*ends) / 2e-6, rtol=1e-6)

    def test_a_place_in_the_middle_needs_no_mask(self):
        """A window around the greatest element, which is always inside."""
        x, w = at.dmatrix("x"), at.dmatrix("w")
        n = x.shape[0]

        def step(x):
            place = at.argmax(x)
            row, column = place // n, place % n
            return x - w[n - 1 - row : 2 * n - 1 - row, n - 1 - column : 2 * n - 1 - column] * x[row, column]

        out, _ = loopjax.scan(step, outputs_info=x, n_steps=6)
        f = loopjax.function([x, w], out[-1])
        rng = np.random.default_rng(4)
        value, around = rng.uniform(size=(4, 4)), rng.uniform(size=(7, 7))
        expected = value.copy()
        for _ in range(6):
            row, column = divmod(int(expected.argmax()), 4)
            expected = expected - around[3 - row : 7 - row, 3 - column : 7 - column] * expected[row, column]
        np.testing.assert_allclose(f(value, around), expected, rtol=1e-12)
        assert "window" in names(compiled_body(f))
        assert not {"fill_rows", "mask_rows"} & names(compiled_body(f))

    def test_what_is_written_is_a_window(self):
        """Not the whole array, whose size does not count."""
        places = at.lvector("places")
        x, _ = loopjax.scan(lambda i, x: at.inc_subtensor(x[i : i + W.shape[0]], W * x[i]), places, X)
        f = loopjax.function([X, W, places], x[-1])
        value, expected = np.ones(1000), np.ones(1000)
        for i in (5, 990, 6):
            expected[i : i + 3] += expected[i] * np.array([1.0, 2.0, 3.0])
        np.testing.assert_allclose(f(value, [1.0, 2.0, 3.0], [5, 990, 6]), expected, rtol=1e-12)
        large = {node.op.name for node in compiled_body(f).applies if 1000 in node.outputs[0].type.shape}
        assert large <= {"put_window", "resize"}

    def test_a_queue_of_slices_of_one_row(self):
        """A sum of a size and a constant width is a size, checked at every step."""
        rows = at.lvector("rows")
        q, _ = loopjax.scan(lambda i, q: at.sort(at.concatenate([q[1:], X[i : i + 1]])), rows, X[:3])
        f = loopjax.function([X, rows], q[-1])
        np.testing.assert_array_equal(f(VALUES, [5, 0, 6]), [3.0, 6.0, 7.0])
        with pytest.raises(ValueError, match="a slice of 1 rows reaches over an end"):
            f(VALUES, [5, 8])

    def test_a_width_that_a_step_bounds(self):
        """By a remainder, and by a start that is written twice."""
        rows = at.lvector("rows")
        sums, _ = loopjax.map(lambda i: X[i : i + 1 + i % 3].sum(), rows)
        twice, _ = loopjax.map(lambda i: X[at.clip(i, 0, 5) * 2 : at.clip(i, 0, 5) * 2 + 2].sum(), rows)
        f = loopjax.function([X, rows], [sums, twice])
        value, places = RNG.normal(size=100), [-7, -2, 0, 3, 98]
        wanted = [value[i : i + 1 + i % 3].sum() for i in places], [value[i : i + 2].sum() for i in (0, 0, 0, 6, 10)]
        for found, expected in zip(f(value, places), wanted, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12)
        windows = {node for loop in scans(f.stages[-1].programs[-1].graph) for node in loop.body.applies}
        sizes = [node.outputs[0].type.sizes for node in windows if node.op.named("window")]
        assert sorted(sizes) == [(2,), (3,)]

    @pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32"])
    def test_a_width_whose_dtype_is_narrow(self, dtype):
        """Products of it do not wrap around."""
        k, rows, i = at.scalar("k", dtype=dtype), at.lvector("rows"), at.lscalar("i")
        sums, _ = loopjax.map(lambda i: X[i - k : i + k].sum(), rows)
        f = loopjax.function(
            [X, rows, i, k], [sums, X[i : i + 3 * at.cast(k, "int64")].shape[0], X[i + k : i].shape[0]]
        )
        value, width = RNG.normal(size=500), 100
        found = f(value, [110, 300], 7, np.dtype(dtype).type(width))
        np.testing.assert_allclose(found[0], [value[10:210].sum(), value[200:400].sum()], rtol=1e-12)
        assert [int(one) for one in found[1:]] == [300, 0]


@pytest.mark.parametrize("policy", POLICIES)
class TestSlicesOfAnAssertedLength:
    """A slice of a state at a place that data gives: what reads it needs all of its rows, so that none is moved."""

    def sums(self, policy):
        """Weighted sums of three rows, and their gradients."""
        s, _ = loopjax.scan(lambda i, s, w: 0.9 * s + (s[i : i + 3] * w).sum(), KS, X, W)
        cost = (s[-1] ** 2).sum()
        return loopjax.function([X, KS, W], [s[-1], *loopjax.grad(cost, [X, W])], lengths=policy)

    def writes(self, policy, state):
        rows = at.dmatrix("rows")
        step = lambda i, row, s: at.set_subtensor(s[i : i + 3], row - s[i : i + 3])  # noqa: E731
        s, _ = loopjax.scan(step, [KS, rows], state)
        return loopjax.function([KS, rows], s[-1], updates={state: s[-1]}, lengths=policy)

    def test_read(self, policy):
        f, weights, places = self.sums(policy), np.array([1.0, -2.0, 0.5]), [0, 5, 2, -4]
        value, slope = VALUES, np.eye(8)
        for i in places:
            read = np.zeros(8)
            read[i : i + 3 or None] = weights
            value, slope = 0.9 * value + read @ value, 0.9 * slope + np.outer(np.ones(8), read @ slope)
        found = f(VALUES, places, weights)
        np.testing.assert_allclose(found[0], value, rtol=1e-12)
        np.testing.assert_allclose(found[1], 2 * value @ slope, rtol=1e-12)
        for end in (6, -2, 100):
            with pytest.raises(ValueError, match=r"sizes that must be equal differ.*test_step_sizes"):
                f(VALUES, [0, end], weights)

    def test_written(self, policy):
        state = loopjax.shared(VALUES, "state")
        f, rows, value = self.writes(policy, state), RNG.normal(size=(3, 3)), VALUES.copy()
        for i, row in zip((1, 5, 2), rows, strict=True):
            value[i : i + 3] = row - value[i : i + 3]
        np.testing.assert_array_equal(f([1, 5, 2], rows), value)
        with pytest.raises(ValueError, match=r"sizes that must be equal differ.*test_step_sizes"):
            f([1, 6, 2], rows)
        np.testing.assert_array_equal(state.get_value(), value)

    def test_no_row_is_moved(self, policy):
        read, write = self.sums(policy), self.writes(policy, loopjax.shared(VALUES))
        write([0, 1], np.ones((2, 3)))
        read(VALUES, [0, 1], [1.0, 2.0, 3.0])
        regions = [region for node in read.stages[-1].programs[-1].graph.applies for region in node.op.regions]
        (loop,) = [node.op for region in regions for node in region.applies if isinstance(node.op, Scan)]
        for graph in (compiled_body(write), loop.body):
            assert names(graph).isdisjoint({"join", "fill_rows", "mask_rows"})

    def test_a_branch_that_is_not_taken_needs_no_rows(self, policy):
        step = lambda i, s, w: 0.9 * s + loopjax.ifelse(i > 5, s.sum(), (s[i : i + 3] * w).sum())  # noqa: E731
        f = loopjax.function([X, KS, W], loopjax.scan(step, KS, X, W)[0][-1], lengths=policy)
        value, weights = VALUES, np.array([1.0, 2.0, 3.0])
        for i in (0, 7, 5):
            value = 0.9 * value + (value.sum() if i > 5 else value[i : i + 3] @ weights)
        np.testing.assert_allclose(f(VALUES, [0, 7, 5], weights), value, rtol=1e-12)

    def test_a_slice_that_is_read_whole_and_not(self, policy):
        """What is joined has the rows that there are; the assertion is another one's."""
        step = lambda i, s, w: 0.9 * s + at.concatenate([s[i : i + 3], s])[-1] + (s[i : i + 3] * w).sum()  # noqa: E731
        f = loopjax.function([X, KS, W], loopjax.scan(step, KS, X, W)[0][-1], lengths=policy)
        value, weights = VALUES, np.array([1.0, 2.0, 3.0])
        for i in (0, 5, 2):
            value = 0.9 * value + value[-1] + value[i : i + 3] @ weights
        np.testing.assert_allclose(f(VALUES, [0, 5, 2], weights), value, rtol=1e-12)
