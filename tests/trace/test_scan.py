"""scan against plain Python loops over NumPy arrays: what fn receives, what comes back, what is refused."""

import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.errors import MissingInputError

RNG = np.random.default_rng(7)


def run(outputs, inputs=(), values=(), **options):
    return loopjax.function(list(inputs), outputs, **options)(*values)


def positions(length, taps):
    low, high = min(*taps, 0), max(*taps, 0)
    return [[t + tap - low for tap in taps] for t in range(max(length - (high - low), 0))]


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("taps", [[0], [-1], [1], [-4, 0], [0, 2], [-2, 0, 3], [3, -1], [-3]])
def test_sequence_taps(taps, backwards):
    x = at.dvector("x")
    weights = np.arange(1.0, len(taps) + 1)
    total, _ = loopjax.scan(
        lambda *slices: sum(w * s for w, s in zip(weights, slices, strict=True)),
        sequences={"input": x, "taps": taps},
        go_backwards=backwards,
    )
    value = RNG.normal(size=9)
    steps = positions(9, taps)
    expected = [weights @ value[step] for step in (steps[::-1] if backwards else steps)]
    np.testing.assert_allclose(run(total, [x], [value]), expected, rtol=1e-12)


@pytest.mark.parametrize("n_steps", [0, 1, 2, 5])
@pytest.mark.parametrize("backwards", [False, True])
def test_given_steps_take_the_first_rows_or_the_last(n_steps, backwards):
    x = at.dvector("x")
    doubled, _ = loopjax.scan(lambda a: 2 * a, sequences=x, n_steps=n_steps, go_backwards=backwards)
    value = RNG.normal(size=5)
    expected = 2 * (value[::-1] if backwards else value)[:n_steps]
    np.testing.assert_allclose(run(doubled, [x], [value]), expected)


def test_the_shortest_trimmed_sequence_decides():
    x, y = at.dvector("x"), at.dvector("y")
    total, _ = loopjax.scan(lambda a, b, c: a + b * c, sequences=[{"input": x, "taps": [-2, 0]}, y])
    a, b = RNG.normal(size=6), RNG.normal(size=9)
    np.testing.assert_allclose(run(total, [x, y], [a, b]), a[:4] + a[2:] * b[:4])


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5, 6, 17])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 3, 30])
def test_state_taps_at_every_depth(depth, backwards, steps):
    x, start = at.dmatrix("x"), at.dmatrix("start")
    taps = sorted({-depth, -1})
    out, _ = loopjax.scan(
        lambda u, *past: at.sin(sum((i + 1) * p for i, p in enumerate(past)) + u),
        sequences=x,
        outputs_info={"initial": start, "taps": taps} if depth > 1 else start[0],
        go_backwards=backwards,
    )
    value, first = RNG.normal(size=(steps, 2)), RNG.normal(size=(depth, 2))
    history = list(first)
    for row in value[::-1] if backwards else value:
        history.append(np.sin(sum((i + 1) * history[tap] for i, tap in enumerate(taps)) + row))
    found = run(out, [x, start], [value, first])
    assert found.shape == (steps, 2)
    np.testing.assert_allclose(found, np.array(history[depth:]).reshape(steps, 2), rtol=1e-12)


def test_longer_initial_values_are_read_from_the_oldest_row():
    start = at.dvector("start")
    out, _ = loopjax.scan(lambda a, b: a + 10 * b, outputs_info={"initial": start, "taps": [-2, -1]}, n_steps=2)
    np.testing.assert_allclose(run(out, [start], [np.array([1.0, 2.0, 100.0])]), [21.0, 212.0])


def test_arguments_arrive_in_the_documented_order():
    u, v, p, q, w = (at.dvector(name) for name in "uvpqw")
    seen = []

    def fn(*args):
        seen.append([arg.name for arg in args])
        return args[0] + args[4], args[1], args[2] + args[5]

    loopjax.scan(
        fn,
        sequences=[{"input": u, "taps": [1, 0]}, v],
        outputs_info=[{"initial": p, "taps": [-2, -1]}, None, q[0]],
        non_sequences=[w],
    )
    assert seen == [["u[t+1]", "u[t]", "v[t]", "p[t-2]", "p[t-1]", "outputs_info[2][t-1]", "w"]]


def test_fn_is_called_once_even_for_a_python_number():
    x = at.fvector("x")
    calls = []

    def fn(a, total):
        calls.append(1)
        return total * 2 + a

    out, _ = loopjax.scan(fn, sequences=x, outputs_info=0)
    found = run(out, [x], [np.array([1, 2, 3], "float32")])
    assert len(calls) == 1
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [1.0, 4.0, 11.0])


def test_a_python_number_in_the_body_is_exact_in_the_dtype_it_meets():
    x = at.dvector("x")
    out, _ = loopjax.scan(lambda a, h: h * 0.1 + a, sequences=x, outputs_info=0.0)
    assert float(run(out[-1], [x], [np.array([1.0, 0.0])])) == 1.0 * 0.1


@pytest.mark.parametrize(
    "result", ["outs", "list", "outs+updates", "outs+until", "updates+until", "all", "updates", "()"]
)
def test_every_form_of_return(result):
    count = loopjax.shared(0)
    forms = {
        "outs": lambda: at.constant(1.0),
        "list": lambda: [at.constant(1.0), 2.0],
        "outs+updates": lambda: (at.constant(1.0), {count: count + 1}),
        "outs+until": lambda: (at.constant(1.0), loopjax.until(count > 100)),
        "updates+until": lambda: ({count: count + 1}, loopjax.until(count >= 2)),
        "all": lambda: ([at.constant(1.0), 2.0], [(count, count + 1)], loopjax.until(count >= 2)),
        "updates": lambda: [(count, count + 1)],
        "()": lambda: (),
    }
    outputs, updates = loopjax.scan(forms[result], n_steps=5)
    steps = 3 if result in ("updates+until", "all") else 5
    if result in ("updates", "updates+until", "()"):
        assert outputs is None
    else:
        first = outputs[0] if isinstance(outputs, list) else outputs
        np.testing.assert_allclose(first.eval(), np.ones(steps))
    assert bool(updates) == ("updates" in result or result == "all")
    if updates:
        assert int(updates[count].eval()) == steps


@pytest.mark.parametrize(
    "result",
    [None, {"a": "text"}, "text", (1, 2, "x"), (loopjax.until(at.constant(1) > 0), 1), [object()]],
    ids=["nothing", "dict of others", "text", "a word in a list", "until first", "an object"],
)
def test_other_returns_are_refused(result):
    with pytest.raises((ValueError, TypeError), match="scan 'step'"):
        loopjax.scan(lambda: result, n_steps=2, name="step")


def test_return_list_and_return_updates():
    outputs, _ = loopjax.scan(lambda: at.constant(1.0), n_steps=2, return_list=True)
    assert isinstance(outputs, list)
    alone = loopjax.scan(lambda: at.constant(1.0), n_steps=2, return_updates=False)
    np.testing.assert_allclose(alone.eval(), [1, 1])
    a = loopjax.shared(1)
    with pytest.raises(ValueError, match="return_updates=False would lose"):
        loopjax.scan(lambda: {a: a + 1}, n_steps=2, return_updates=False)


def test_counter_updates_as_the_guide_has_them():
    a = loopjax.shared(1)
    _, updates = loopjax.scan(lambda: {a: a + 1}, n_steps=10)
    f = loopjax.function([], [a + 1, updates[a] + 1], updates=updates)
    assert [int(v) for v in f()] == [2, 12]
    assert int(a.get_value()) == 11
    assert [int(v) for v in f()] == [12, 22]
    assert int(a.get_value()) == 21
    g = loopjax.function([], [a + 1, updates[a] + 1])
    assert [int(v) for v in g()] == [int(v) for v in g()] == [22, 32]


def test_uses_in_a_step_see_the_old_value_of_an_updated_variable():
    a = loopjax.shared(1.0)
    out, updates = loopjax.scan(lambda: (a * 10, {a: a + 1}), n_steps=3)
    np.testing.assert_allclose(out.eval(), [10, 20, 30])
    assert float(updates[a].eval()) == 4.0


def test_updates_with_zero_steps_are_the_old_values():
    a = loopjax.shared(3)
    _, updates = loopjax.scan(lambda: {a: a + 1}, n_steps=0)
    assert int(updates[a].eval()) == 3


def test_closures_in_outputs_updates_and_until():
    limit, scale, a = at.dscalar("limit"), at.dscalar("scale"), loopjax.shared(0.0, dtype="float64")
    outer = at.exp(scale) * 2

    def fn(h):
        return h * outer, {a: a + outer}, loopjax.until(h * outer > limit)

    out, updates = loopjax.scan(fn, outputs_info=at.constant(1.0, dtype="float64"), n_steps=20)
    found, total = run([out, updates[a].astype("float64")], [limit, scale], [50.0, 0.0])
    np.testing.assert_allclose(found, [2, 4, 8, 16, 32, 64])
    assert float(total) == 12.0


def test_the_largest_outer_expression_is_captured():
    x = at.dvector("x")
    outer = at.exp(x).sum()
    out, _ = loopjax.scan(lambda h: h + outer, outputs_info=at.constant(0.0, dtype="float64"), n_steps=3)
    body = out.owner.op.body
    assert [node.op.name for node in body.applies] == ["add"]


def test_initial_values_are_captured_as_given():
    numbers, _ = loopjax.scan(lambda a, b: a + b, sequences=[[1, 2, 3]], outputs_info=[np.int64(10)])
    assert numbers.eval().tolist() == [11, 13, 16]


def test_a_user_dict_is_not_modified():
    x = at.dvector("x")
    entry = {"input": x}
    initial = {"initial": at.dscalar("h")}
    loopjax.scan(lambda a, h: a + h, sequences=entry, outputs_info=initial)
    assert entry == {"input": x}
    assert list(initial) == ["initial"]


def test_gradient_inside_fn_sees_the_outer_graph():
    x = at.dvector("x")
    y = x**3
    jacobian, _ = loopjax.scan(
        lambda i, y, x: loopjax.grad(y[i], x), sequences=at.arange(y.shape[0]), non_sequences=[y, x]
    )
    value = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(run(jacobian, [x], [value]), np.diag(3 * value**2))


def test_nested_scans_are_products():
    x, y = at.dvector("x"), at.dvector("y")

    def row(a):
        inner, _ = loopjax.scan(lambda b, h: h + a * b, sequences=y, outputs_info=at.constant(0.0, dtype="float64"))
        return inner

    table, _ = loopjax.scan(row, sequences=x)
    a, b = RNG.normal(size=3), RNG.normal(size=4)
    np.testing.assert_allclose(run(table, [x, y], [a, b]), np.cumsum(np.outer(a, b), axis=1), rtol=1e-12)


def test_fn_may_have_any_python_in_it():
    def fn(a, h):
        total = h
        for power in range(4):
            if power % 2:
                total = total + a**power
        return total

    out, _ = loopjax.scan(fn, sequences=np.array([1.0, 2.0]), outputs_info=0.0)
    np.testing.assert_array_equal(out.eval(), [2, 12])


def test_none_one_or_a_list_of_outputs():
    one = at.constant(1.0)
    assert loopjax.scan(lambda: (), n_steps=2)[0] is None
    assert loopjax.scan(lambda: (), n_steps=2, return_list=True)[0] == []
    assert loopjax.scan(lambda: [one], n_steps=2)[0].ndim == 1
    assert isinstance(loopjax.scan(lambda: [one, one], n_steps=2)[0], list)
    assert loopjax.scan(lambda: (), n_steps=2, return_updates=False) is None


def test_updates_are_in_the_order_in_which_fn_gives_them():
    a, b = loopjax.shared(0, name="a"), loopjax.shared(0, name="b")
    for order in ((a, b), (b, a)):
        _, updates = loopjax.scan(lambda order=order: [(one, one + 1) for one in order], n_steps=2)
        assert list(updates) == list(order)


def test_what_xla_decides_is_accepted():
    out, _ = loopjax.scan(lambda: at.constant(1.0), n_steps=2, mode="FAST_RUN", profile=True, allow_gc=False)
    np.testing.assert_array_equal(out.eval(), [1, 1])


def test_go_backwards_gives_outputs_in_the_order_of_iteration():
    out, _ = loopjax.scan(lambda a, h: 10 * h + a, [1, 2, 3], 0, go_backwards=True)
    np.testing.assert_array_equal(out.eval(), [3, 32, 321])


class TestStrict:
    def test_a_shared_variable_that_it_updates_is_carried_and_need_not_be_listed(self):
        a = loopjax.shared(1)
        _, updates = loopjax.scan(lambda: {a: a + 1}, n_steps=2, strict=True)
        assert int(updates[a].eval()) == 3

    def test_a_shared_variable_that_is_not_listed(self):
        W = loopjax.shared(np.ones(2), name="W")
        with pytest.raises(MissingInputError, match=r"strict and its fn \[test_scan.py:\d+\] uses .*W"):
            loopjax.scan(lambda h: h * W, outputs_info=at.dvector("h"), n_steps=2, strict=True)

    def test_listed_in_sequences_or_non_sequences(self):
        W, xs = loopjax.shared(np.ones(2), name="W"), loopjax.shared(np.ones((3, 2)))
        out, _ = loopjax.scan(
            lambda x, h, W: h * W + x, sequences=xs, outputs_info=at.dvector("h"), non_sequences=W, strict=True
        )
        assert out.ndim == 2

    def test_outer_variables_may_be_captured(self):
        x = at.dvector("x")
        loopjax.scan(lambda h: h * x, outputs_info=at.dvector("h"), n_steps=2, strict=True)


class TestRefusals:
    """Each says where, what was expected, what came."""

    def test_neither_steps_nor_sequences(self):
        with pytest.raises(ValueError, match="neither sequences nor n_steps"):
            loopjax.scan(lambda h: h, outputs_info=at.dscalar())

    @pytest.mark.parametrize("steps", [2.0, "3", True, [2]])
    def test_steps_that_are_no_integer(self, steps):
        with pytest.raises(TypeError, match="n_steps is an integer scalar"):
            loopjax.scan(lambda: 1.0, n_steps=steps)

    def test_float_variable_for_steps(self):
        with pytest.raises(TypeError, match="n_steps is an integer scalar"):
            loopjax.scan(lambda: 1.0, n_steps=at.dscalar("k"))

    def test_negative_steps(self):
        with pytest.raises(ValueError, match="n_steps is negative: -2; expected 0 or more"):
            loopjax.scan(lambda: 1.0, n_steps=-2)
        k = at.iscalar("k")
        ones, _ = loopjax.scan(lambda: at.constant(1.0), n_steps=k)
        with pytest.raises(ValueError, match=r"n_steps is negative: -1.*\[test_scan.py:\d+\]"):
            run(ones, [k], [-1])
        last, _ = loopjax.scan(lambda h: h + 1, outputs_info=0.0, n_steps=k)
        with pytest.raises(ValueError, match=r"n_steps is negative: -1.*\[test_scan.py:\d+\]"):
            run(last[-1], [k], [-1])

    def test_a_sequence_too_short_for_the_steps(self):
        x, k = at.dvector("x"), at.iscalar("k")
        out, _ = loopjax.scan(lambda a, b: a + b, sequences={"input": x, "taps": [0, 1]}, n_steps=k)
        message = r"sequence 'x' has 3 rows; 3 steps with taps \[0, 1\] need 4.*\[test_scan.py:\d+\]"
        with pytest.raises(ValueError, match=message):
            run(out, [x, k], [np.ones(3), 3])

    def test_an_initial_value_too_short_for_the_taps(self):
        start = at.dvector("start")
        out, _ = loopjax.scan(lambda a: a, outputs_info={"initial": start, "taps": [-3]}, n_steps=2)
        with pytest.raises(ValueError, match=r"initial value of 'start' has 2 rows; taps \[-3\] need at least 3"):
            run(out, [start], [np.ones(2)])

    @pytest.mark.parametrize("taps", [[0], [1], [-1, 0], [-1, -1], [], ["a"], [1.5]])
    def test_state_taps_that_are_not_in_the_past_or_repeat(self, taps):
        with pytest.raises(ValueError, match=r"outputs_info\[0\]"):
            loopjax.scan(lambda *h: h[0], outputs_info={"initial": at.dvector("h"), "taps": taps}, n_steps=1)

    def test_a_scalar_initial_value_with_deep_taps(self):
        with pytest.raises(ValueError, match=r"outputs_info\[0\].*leading time axis"):
            loopjax.scan(lambda h: h, outputs_info={"initial": at.dscalar(), "taps": [-2]}, n_steps=1)

    def test_unknown_keys(self):
        with pytest.raises(ValueError, match=r"sequences\[0\] has unknown keys \['tap'\]"):
            loopjax.scan(lambda a: a, sequences={"input": at.dvector(), "tap": [0]})
        with pytest.raises(ValueError, match=r"outputs_info\[0\] has unknown keys \['inital'\]"):
            loopjax.scan(lambda a: a, outputs_info={"inital": at.dvector()}, n_steps=1)

    def test_a_scalar_sequence(self):
        with pytest.raises(ValueError, match=r"sequences\[0\] is the scalar"):
            loopjax.scan(lambda a: a, sequences=at.dscalar())

    def test_outputs_info_of_another_length(self):
        with pytest.raises(ValueError, match="fn returns 2 outputs and outputs_info has 1 entries"):
            loopjax.scan(lambda h: (h, h), outputs_info=[at.dscalar()], n_steps=2)
        with pytest.raises(ValueError, match=r"to stop by the last one, return until\(condition\) \[test_scan.py"):
            loopjax.scan(lambda h: (h, h > 1), outputs_info=[at.dscalar()], n_steps=2)

    def test_a_state_of_another_dtype(self):
        h = at.fvector("h")
        message = (
            r"scan 'rnn': state 'h' starts as float32\(\?,\) but a step returns float64\(\?,\). Cast the result.*\[test"
        )
        with pytest.raises(TypeError, match=message):
            loopjax.scan(lambda h: h.astype("float64"), outputs_info=h, n_steps=2, name="rnn")

    def test_a_state_that_would_be_rounded(self):
        with pytest.raises(TypeError, match=r"starts as int8.* a step returns"):
            loopjax.scan(lambda a, h: a + h, sequences=at.dvector(), outputs_info=at.constant(0, dtype="int8"))

    def test_a_state_of_another_shape_at_call_time(self):
        h, w = at.dvector("h"), at.dmatrix("w")
        out, _ = loopjax.scan(lambda h, w: at.dot(w, h), outputs_info=h, non_sequences=w, n_steps=2, name="grow")
        message = r"scan 'grow': state 'h' starts as float64\(2,\) but step returns float64\(3,\).*\[test_scan.py:\d+\]"
        with pytest.raises(ValueError, match=message):
            run(out, [h, w], [np.ones(2), np.ones((3, 2))])

    def test_an_update_of_another_type(self):
        a = loopjax.shared(1, name="a")
        with pytest.raises(TypeError, match=r"the update of <shared a: int64.* is float64"):
            loopjax.scan(lambda: {a: a * at.constant(0.5, dtype="float64")}, n_steps=2)

    def test_zero_steps_have_no_last(self):
        k = at.iscalar("k")
        out, _ = loopjax.scan(lambda h: h + 1, outputs_info=at.constant(0.0), n_steps=k)
        f = loopjax.function([k], out[-1])
        assert float(f(1)) == 1.0
        with pytest.raises(IndexError, match=r"ran 0 steps.*\[test_scan.py:\d+\]"):
            f(0)
        with pytest.raises(IndexError, match=r"out of bounds.*\[test_scan.py:\d+\]"):
            loopjax.function([], loopjax.scan(lambda h: h + 1, outputs_info=at.constant(0.0), n_steps=0)[0][-1])()

    def test_a_body_that_does_not_fit_names_the_line(self):
        x, w = at.dmatrix("x"), at.dmatrix("w")
        out, _ = loopjax.scan(lambda a: at.dot(w, a), sequences=x)
        with pytest.raises(ValueError, match=r"do not multiply.*\[test_scan.py:\d+\]"):
            run(out, [x, w], [np.ones((2, 3)), np.ones((4, 5))])


@pytest.mark.parametrize("view", ["map", "reduce", "foldl", "foldr"])
def test_views(view):
    x = at.dvector("x")
    value = RNG.normal(size=5)
    if view == "map":
        out, _ = loopjax.map(lambda a, s: a * s, x, non_sequences=2.0)
        expected = value * 2
    else:
        out, _ = getattr(loopjax, view)(lambda a, h: at.sin(h) + a, x, at.constant(0.0, dtype="float64"))
        expected = 0.0
        for a in value[::-1] if view == "foldr" else value:
            expected = np.sin(expected) + a
    np.testing.assert_allclose(run(out, [x], [value]), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("limit", "expected"), [(45.0, [2, 4, 8, 16, 32, 64]), (1.0, [2]), (1e300, 2.0 ** np.arange(1, 11))]
)
def test_until_includes_the_step_that_stops(limit, expected):
    m = at.dscalar("m")
    start = at.constant(1.0, dtype="float64")
    out, _ = loopjax.scan(lambda p: (p * 2, loopjax.until(p * 2 > m)), outputs_info=start, n_steps=10)
    found, last, count = run([out, out[-1], out.shape[0]], [m], [limit])
    np.testing.assert_allclose(found, expected)
    assert float(last) == expected[-1]
    assert int(count) == len(expected)


@pytest.mark.parametrize("until", [False, True])
@pytest.mark.parametrize("depth", [2, 7])
def test_until_with_taps_sequences_and_updates(until, depth):
    x, start, total = at.dvector("x"), at.dvector("start"), loopjax.shared(0.0, dtype="float64")

    def fn(u, old, new):
        value = at.tanh(old - new) + u
        outputs = [value, u * 2], {total: total + u}
        return (*outputs, loopjax.until(value > 0.9)) if until else outputs

    info = [{"initial": start, "taps": [-depth, -1]}, None]
    (out, doubled), updates = loopjax.scan(fn, sequences=x, outputs_info=info)
    value, first = np.linspace(-1, 1.5, 25), RNG.normal(size=depth)
    history, running = list(first), 0.0
    for u in value:
        history.append(np.tanh(history[-depth] - history[-1]) + u)
        running += u
        if until and history[-1] > 0.9:
            break
    expected = np.array(history[depth:])
    assert (len(expected) < 25) == until
    found = run([out, doubled, updates[total], out[-1], out[-2]], [x, start], [value, first])
    np.testing.assert_allclose(found[0], expected, rtol=1e-12)
    np.testing.assert_allclose(found[1], 2 * value[: len(expected)], rtol=1e-12)
    np.testing.assert_allclose(found[2], running, rtol=1e-9)
    np.testing.assert_allclose(found[3], expected[-1], rtol=1e-12)
    np.testing.assert_allclose(found[4], expected[-2], rtol=1e-12)


class TestInnerLoopsOfRunTimeLength:
    """A loop inside a loop whose length differs from step to step, read as far as it can be."""

    @staticmethod
    def doubling(limit):
        start = at.constant(1.0, dtype="float64")
        out, _ = loopjax.scan(
            lambda p: (p * 2, loopjax.until(p * 2 > limit)), outputs_info=start, n_steps=50, name="inner"
        )
        return out

    def test_last_sum_mean_length_and_one_step(self):
        x = at.dvector("x")

        def fn(limit):
            out = self.doubling(limit)
            return out[-1], out.sum(), out.mean(), out.shape[0], out[0]

        outputs, _ = loopjax.scan(fn, sequences=x)
        limits = [1.5, 5.0, 100.0]
        rows = [2.0 ** np.arange(1, n + 1) for n in (1, 3, 7)]
        found = run(outputs, [x], [np.array(limits)])
        np.testing.assert_allclose(found[0], [row[-1] for row in rows])
        np.testing.assert_allclose(found[1], [row.sum() for row in rows])
        np.testing.assert_allclose(found[2], [row.mean() for row in rows])
        np.testing.assert_array_equal(found[3], [1, 3, 7])
        np.testing.assert_allclose(found[4], [2.0, 2.0, 2.0])

    def test_a_length_that_is_a_sequence(self):
        counts = at.lvector("counts")

        def fn(n):
            out, _ = loopjax.scan(lambda p: p * 2, outputs_info=at.constant(1.0, dtype="float64"), n_steps=n)
            return out[-1], out.sum()

        (last, total), _ = loopjax.scan(fn, sequences=counts)
        found = run([last, total], [counts], [np.array([1, 3, 2])])
        np.testing.assert_allclose(found[0], [2, 8, 4])
        np.testing.assert_allclose(found[1], [2, 14, 6])
        alone, _ = loopjax.scan(lambda n: fn(n)[1], sequences=counts)
        np.testing.assert_allclose(run(alone, [counts], [np.array([1, 3, 0])]), [2, 14, 0])

    def test_a_number_of_steps_that_varies_is_refused_for_the_whole_stack(self):
        counts = at.lvector("counts")

        def fn(n):
            return loopjax.scan(lambda p: p * 2, outputs_info=at.constant(1.0), n_steps=n, name="inner")[0]

        out, _ = loopjax.scan(fn, sequences=counts, name="outer")
        message = (
            r"^scan 'outer': a step returns a value whose size differs .* have no stack.*\[test_scan.py:\d+\](\n|$)"
        )
        with pytest.raises(loopjax.errors.LengthError, match=message):
            loopjax.function([counts], out)

    def test_the_whole_stack_is_refused(self):
        out, _ = loopjax.scan(self.doubling, sequences=at.dvector("x"))
        message = r"^scan 'doubling': a step returns a value whose size differs"
        with pytest.raises(loopjax.errors.LengthError, match=message):
            loopjax.function([out.owner.inputs[1]], out)

    def test_the_whole_stack_is_read_inside(self):
        x = at.dvector("x")
        found, _ = loopjax.scan(lambda u: (self.doubling(u)[::-1] ** 2).std(), sequences=x)
        rows = [[2.0], [2.0, 4.0], [2.0, 4.0, 8.0]]
        expected = [np.std(np.square(row)) for row in rows]
        np.testing.assert_allclose(run(found, [x], [np.array([1.5, 3.0, 6.0])]), expected)


def test_a_list_of_numbers_is_one_state_each():
    (a, _), _ = loopjax.scan(lambda a, b: (b, a + b), outputs_info=[0, 1], n_steps=6)
    assert a.eval().tolist() == [1, 1, 2, 3, 5, 8]
    out, _ = loopjax.scan(lambda h, p, q: h * p + q, outputs_info=[1], non_sequences=[2, 3], n_steps=3)
    assert out.eval().tolist() == [5, 13, 29]
    doubled, _ = loopjax.scan(lambda a: a * 2, sequences=[1, 2, 3])
    assert doubled.eval().tolist() == [2, 4, 6]


def test_numbers_inside_take_the_dtype_of_a_state_that_starts_as_a_number():
    """0.1 meets a float32 at first, and then a float64: it is the 0.1 of float64."""
    x = at.lvector("x")
    out, _ = loopjax.scan(lambda u, h: ((h + u) * 0.1).astype("float64"), sequences=x, outputs_info=[0.0], n_steps=1)
    assert float(loopjax.function([x], out)([-3])[0]) == -3 * 0.1


@pytest.mark.parametrize(("condition", "steps"), [(lambda c: c - 3, 1), (lambda c: c // 3, 3), (lambda c: c > 1, 2)])
def test_a_condition_of_integers_is_true_where_it_is_not_0(condition, steps):
    counts, _ = loopjax.scan(lambda c: (c + 1, loopjax.until(condition(c + 1))), outputs_info=0, n_steps=9)
    assert counts.eval().tolist() == list(range(1, steps + 1))


def test_what_fn_receives_has_the_names_of_its_parameters_where_there_is_no_other():
    x, seen = at.dvector("x"), []

    def step(x_t, row, h, before, last, *rest):
        seen.extend([x_t, row, h, before, last, *rest])
        return h + x_t * row, last

    states = [np.float64(0), {"initial": at.zeros(2, dtype="float64"), "taps": [-2, -1]}]
    out, _ = loopjax.scan(step, [x, np.ones(3)], states, [at.dscalar("w")], name="loop")
    assert [one.name for one in seen] == ["x[t]", "row", "h", "before", "last", "w"]
    assert [one.name for one in out[0].owner.op.recurrences] == ["h", "last"]
    loopjax.scan(lambda *all: seen.extend(all) or all[0], [np.ones(3)])
    assert seen[-1].name == "sequences[0][t]"
