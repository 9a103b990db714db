"""A call like one before takes the short way, and gives or refuses what the first one did."""

import warnings

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.errors import UnsupportedError
from loopjax.runtime.executables import StageTable
from loopjax.runtime.function import Function
from tests.compilations import Counting


def kinds(f):
    """The types of arguments whose conversion the fast path knows."""
    return f._dispatch.kinds


def runs(f):
    """The programs that the fast path runs, of the last stage."""
    return [one for one in f._dispatch.stages[-1].executables.values() if one is not None]


@pytest.fixture
def anew(monkeypatch):
    """The calls that went the function's own way."""
    calls = []
    original = Function.call_general

    def noted(self, args, kwargs):
        calls.append((args, dict(kwargs)))
        return original(self, args, kwargs)

    monkeypatch.setattr(Function, "call_general", noted)
    return calls


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_of_jax_and_numpy_and_numbers(dtype):
    x = at.scalar("x", dtype=dtype)
    f = loopjax.function([x], x / 3)
    with jax.enable_x64(True):
        on_device = jax.device_put(np.array(2, dtype))
    for value in (on_device, np.array(2, dtype), np.dtype(dtype).type(2), 2.0, 2):
        first, second = f(value), f(value)
        assert first.dtype == second.dtype == dtype
        assert np.asarray(first) == np.asarray(second) == np.array(2, dtype) / np.array(3, dtype)
    assert len(kinds(f)) == 5
    assert len(runs(f)) == 1
    assert not jax.config.jax_enable_x64


def test_what_is_converted_or_bound_to_a_device_goes_the_long_way():
    x = at.dvector("x")
    f = loopjax.function([x], x * 2)
    for value in ([1.0, 2.0], np.ones(2, "float32"), jax.device_put(np.ones(2, "float32"), jax.devices()[0])):
        for _ in range(2):
            assert f(value).dtype == "float64"
    assert not kinds(f)


def test_shapes_defaults_keywords_and_shared_values_of_another_shape():
    a, b, c = at.dvector("a"), at.dscalar("b"), at.dscalar("c")
    s = loopjax.shared(np.ones(2))
    f = loopjax.function(
        [a, loopjax.In(b, value=2.0), loopjax.In(c, value=loopjax.shared(3.0, dtype="float64"))], [a * b + c, s]
    )
    for size in (2, 3, 2, 3):
        s.set_value(np.full(size, float(size)))
        for _ in range(2):
            value, state = f(np.ones(size), b=4)
            np.testing.assert_array_equal(value, np.full(size, 7.0))
            np.testing.assert_array_equal(state, np.full(size, float(size)))
            np.testing.assert_array_equal(f(np.ones(size))[0], np.full(size, 5.0))
    assert runs(f)


def test_trip_counts_are_checked_each_time():
    n = at.iscalar("n")
    h, _ = loopjax.scan(lambda h: h * 2, outputs_info=at.constant(1.0, dtype="float64"), n_steps=n)
    f = loopjax.function([n], h[-1])
    for _ in range(2):
        assert [float(f(np.int32(k))) for k in (1, 3, 5)] == [2, 8, 32]
        with pytest.raises(ValueError, match="negative"):
            f(np.int32(-1))
        with pytest.raises(IndexError, match="what is read needs 1"):
            f(np.int32(0))
    assert len(runs(f)) == 1


def test_lengths_that_decide_shapes():
    n = at.lscalar("n")
    f = loopjax.function([n], at.zeros(n).sum() + at.arange(n).sum())
    assert [float(f(np.int64(k))) for k in (3, 4, 3, 4)] == [3, 6, 3, 6]
    assert len(runs(f)) == 2


def test_lengths_of_padded_outputs_are_not_results():
    n = at.lscalar("n")
    stack, _ = loopjax.scan(lambda h: h * 2, outputs_info=at.constant(1.0, dtype="float64"), n_steps=n)
    f = loopjax.function([n], [stack], lengths="padded")
    for k in (3, 3, 5, 3):
        (found,) = f(np.int64(k))
        np.testing.assert_array_equal(found, 2.0 ** np.arange(1, k + 1))
    assert len(runs(f)) == 1


def test_updates_within_a_caller_s_jit_are_refused_before_and_after_a_call():
    count = loopjax.shared(np.float32(0))
    f = loopjax.function([], count, updates=[(count, count + 1)])
    for calls in range(3):
        with pytest.raises(UnsupportedError, match="outside"):
            jax.jit(lambda: f())()
        assert count.get_value() == calls
        assert f() == calls


def test_an_executable_that_refuses_is_not_asked_again(monkeypatch):
    x = at.fscalar("x")
    f = loopjax.function([x], x + 1)
    refused = []

    def refuses(*arrays):
        refused.append(arrays)
        raise ValueError("sharding")

    monkeypatch.setattr(StageTable, "chained", lambda table, execute: refuses)
    value = np.float32(1)
    f(value)
    assert runs(f)
    assert f(value) == f(value) == f(value) == 2
    assert len(refused) == 1
    assert not runs(f)


def test_an_executable_that_fails_is_asked_again(anew):
    x, total = at.fscalar("x"), loopjax.shared(np.float32(0))

    def look(value):
        if value < 0:
            raise ValueError("negative")
        return value

    looked = loopjax.wrap_jax(lambda v: jax.pure_callback(look, jax.ShapeDtypeStruct((), v.dtype), v))
    f = loopjax.function([x], looked(x) + 1, updates={total: total + x})
    one, bad = np.float32(1), np.float32(-1)
    for _ in range(3):
        assert f(one) == f(one) == 2
        with pytest.raises(Exception, match="negative"):
            f(bad)
    assert f(one) == f(1.0) == f(1.0) == f(one) == 2
    assert len(anew) == 5  # the first call, those that fail, and one of another kind
    assert total.get_value() == 10


def test_numbers_that_do_not_fit_are_refused_each_time():
    x, y = at.dscalar("x"), at.fscalar("y")
    f, g = loopjax.function([x], x * 2), loopjax.function([y], y * 2)
    f(2), g(2.0), g(3)
    for function, value in ((f, 2**70 + 1), (g, 2**200)):
        with pytest.raises(TypeError):
            function(value)
    assert np.isinf(f(float("inf")))
    assert np.isnan(f(float("nan")))


def test_settings_of_jax_that_change_results():
    draw = loopjax.random.RandomStream(1).normal(size=(4,))
    f, g = (loopjax.function([], draw * 1, no_default_updates=True) for _ in range(2))
    f(), f()
    before = jax.config.jax_threefry_partitionable
    jax.config.update("jax_threefry_partitionable", not before)
    try:
        np.testing.assert_array_equal(f(), g())
    finally:
        jax.config.update("jax_threefry_partitionable", before)


class TestTheShortWay:
    def test_keywords_defaults_and_shared_defaults(self, anew):
        a, b, c, d = (at.dscalar(name) for name in "abcd")
        rate = loopjax.shared(3.0, dtype="float64")
        inputs = [a, b, loopjax.In(c, value=10.0), loopjax.In(d, value=rate)]
        f = loopjax.function(inputs, {"sum": a + 2 * b + 3 * c + 4 * d, "d": 1 * d})
        with jax.enable_x64(True):
            one, two = jax.device_put(1.0), jax.device_put(2.0)
        for call in range(3):
            rate.set_value(float(call))
            assert {k: float(v) for k, v in f(one, c=one, b=two).items()} == {"sum": 8 + 4 * call, "d": call}
            assert {k: float(v) for k, v in f(one, b=two, c=one).items()} == {"sum": 8 + 4 * call, "d": call}
        assert len(anew) == 1  # in any order of names
        for _ in range(2):
            assert float(f(a=one, b=two)["sum"]) == 5 + 30 + 8
            assert float(f(one, two, two)["sum"]) == 5 + 6 + 8
        assert len(anew) == 3
        for wrong, message in (({"z": one}, "no input 'z'"), ({"a": one}, "by position and by name"), ({}, "missing")):
            with pytest.raises(TypeError, match=message):
                f(one, **wrong)

    def test_sizes_in_turn(self, anew):
        x, y = at.dvector("x"), at.dscalar("y")
        s = loopjax.shared(np.ones(2))
        f = loopjax.function([x, y], [x * y, s.sum()], lengths="exact")
        for _ in range(4):
            for size in (1, 2, 3):
                s.set_value(np.ones(size + 1))
                product, total = f(np.full(size, 2.0), 3)
                np.testing.assert_array_equal(product, np.full(size, 6.0))
                assert float(total) == size + 1
        assert len(anew) == 3

    def test_results_in_the_order_and_form_asked_for(self, anew):
        x, y = at.dscalar("x"), at.dscalar("y")
        s = loopjax.shared(1.0, dtype="float64")
        f = loopjax.function([x, y], [y + s, x * 1, s, x - y], updates={s: s + x})
        for call in range(3):
            assert [float(v) for v in f(2.0, 5.0)] == [6 + 2 * call, 2, 1 + 2 * call, -3]
        nothing = loopjax.function([x], None, updates={s: x}, on_unused_input="ignore")
        assert [nothing(7.0), nothing(8.0), float(s.get_value())] == [[], [], 8]

    def test_arrays_of_numpy_and_numbers_whatever_the_flag(self, anew):
        x, k, y = at.dvector("x"), at.iscalar("k"), at.fscalar("y")
        f = loopjax.function([x, k, y], [x.sum() * k, y * 1])
        for flag in (False, True, False):
            with jax.enable_x64(flag):
                for _ in range(2):
                    total, same = f(np.array([1e-20, 1.0]), 3, 0.1)
                    assert (total.dtype, same.dtype) == (np.float64, np.float32)
                    assert (float(total), float(same)) == ((1.0 + 1e-20) * 3, float(np.float32(0.1)))
                    assert jax.config.jax_enable_x64 == flag
        assert len(anew) == 1
        g = loopjax.function([y], y * 2)
        for flag in (False, True):
            with jax.enable_x64(flag):
                assert g(0.5).dtype == np.float32

    def test_what_does_not_fit_is_refused_after_what_does(self):
        x, k, v = at.fscalar("x"), at.bscalar("k"), at.fvector("v")
        f, g, h = (loopjax.function([one], one * 1) for one in (x, k, v))
        f(1.5), g(3), h(np.ones(2, "float32"))
        for function, value in ((g, 300), (g, 2.5), (f, np.ones(1, "float32")), (h, np.ones(2)), (h, np.ones((2, 2)))):
            with pytest.raises(TypeError, match="expected"):
                function(value)
        assert float(f(-0.0)) == 0
        assert np.signbit(np.asarray(f(-0.0)))
        assert int(g(-128)) == -128

    def test_a_number_of_steps_on_the_device(self, anew):
        n = at.iscalar("n")
        h, _ = loopjax.scan(lambda h: h * 2, outputs_info=at.constant(1.0, dtype="float64"), n_steps=n)
        f = loopjax.function([n], h[-1])
        for _ in range(2):
            for steps in (jax.numpy.int32(3), jax.numpy.int32(5)):
                assert float(f(steps)) == float(f(steps)) == 2.0 ** int(steps)
            with pytest.raises(IndexError, match="needs 1"):
                f(jax.numpy.int32(0))
        assert len(anew) == 3

    @pytest.mark.parametrize("wide", [False, True])
    def test_results_of_which_some_rows_count(self, anew, wide):
        limit, last = at.dscalar("limit"), loopjax.shared(np.zeros(0), name="last")
        (out, _), _ = loopjax.scan(
            lambda h: ((h * 2, h * np.float32(3)), loopjax.until(h * 2 > limit)),
            outputs_info=[at.constant(1.0, dtype="float64"), None],
            n_steps=100,
        )
        f = loopjax.function(
            [limit], {"powers": out, "matrix": at.outer(out, out), "limit": limit * 1}, updates={last: out}
        )
        with jax.enable_x64(wide):
            for value in (5.0, 100.0, 5.0, 1e40):
                rows = 2.0 ** np.arange(1, np.ceil(np.log2(value)) + 1)[:100]
                found = f(value)
                np.testing.assert_array_equal(found["powers"], rows)
                np.testing.assert_array_equal(found["matrix"], np.outer(rows, rows))
                assert found["powers"].dtype == found["limit"].dtype == "float64"
                np.testing.assert_array_equal(last.get_value(), rows)
        assert len(anew) == len(runs(f)) == 1

    def test_lengths_of_arguments(self, anew):
        x = at.dvector("x")
        f = loopjax.function([x], at.ones_like(x) * at.arange(x.shape[0] + 1).sum(), lengths="exact")
        for size in (3, 4, 3, 4, 3):
            np.testing.assert_array_equal(f(np.zeros(size)), np.full(size, size * (size + 1) / 2))
        assert len(anew) == 2

    def test_lengths_that_have_room(self, anew):
        n = at.iscalar("n")
        sums, _ = loopjax.scan(
            lambda i, total: total + i, sequences=at.arange(n), outputs_info=at.constant(0, dtype="int64")
        )
        f = loopjax.function([n], sums, lengths="padded")
        counting = Counting(f)
        given = [5, 9, 100, 130, 700]
        for value in given:
            counting(value)
        programs = counting.count
        before = len(anew)
        for value in (*given, 7, 6, 120, 999):
            np.testing.assert_array_equal(counting(value), np.cumsum(np.arange(value)))
        assert len(anew) == before
        assert counting.count == programs == len(runs(f)) < len(given)
        np.testing.assert_array_equal(f(-3), [])
        with pytest.raises((TypeError, OverflowError)):
            f(2**40)

    def test_lengths_that_get_room_on_the_way(self, anew):
        n = at.lscalar("n")
        f = loopjax.function([n], loopjax.scan(lambda h: h * 2.0, outputs_info=at.constant(1.0), n_steps=n)[0])
        for value in range(1, 20):
            np.testing.assert_array_equal(f(value), 2.0 ** np.arange(1, value + 1))
        before = len(anew)
        for value in range(3, 20):
            np.testing.assert_array_equal(f(value), 2.0 ** np.arange(1, value + 1))
        assert len(anew) == before
        for _ in range(2):
            with pytest.raises(ValueError, match="n_steps is negative"):
                f(-1)

    @pytest.mark.parametrize(
        ("steps", "most"),
        [(lambda n: at.maximum(n - 2, 1), None), (lambda n: n + 3, -4), (lambda n: at.minimum(n, 9), -1)],
    )
    def test_trip_counts_computed_from_an_input(self, anew, steps, most):
        n = at.lscalar("n")
        h, _ = loopjax.scan(lambda h: h * 2, outputs_info=at.constant(1.0, dtype="float64"), n_steps=steps(n))
        f = loopjax.function([n], h[-1])
        for value in (4, 12, 5, -2 if most is None else 7):
            assert float(f(value)) == 2.0 ** int(steps(at.constant(value)).eval())
        calls = [args for args, _ in anew if args != ()]
        assert len(calls) == 1
        for _ in range(2 if most is not None else 0):
            with pytest.raises(ValueError, match="n_steps is negative"):
                f(most)

    @pytest.mark.parametrize(
        ("dtype", "steps", "good", "bad"),
        [
            ("uint8", lambda n: n - np.uint8(5), 8, 3),
            ("int8", lambda n: n + np.int8(100), 8, 50),
            ("int32", lambda n: n + 5, 3, 2**31 - 3),
            ("int64", lambda n: n + 2**62, -(2**62) + 3, 2**62 + 2),
        ],
    )
    def test_trip_counts_that_wrap_around(self, dtype, steps, good, bad):
        n = at.scalar("n", dtype=dtype)
        h, _ = loopjax.scan(lambda h: h + 1, outputs_info=at.constant(0.0, dtype="float64"), n_steps=steps(n))
        f = loopjax.function([n], h[-1])
        for _ in range(2):
            f(np.dtype(dtype).type(good))
            if dtype == "uint8":
                assert float(f(np.uint8(bad))) == 254
            else:
                with pytest.raises(ValueError, match="negative"):
                    f(np.dtype(dtype).type(bad))

    def test_lengths_of_casts_do_not_mix(self):
        n = at.iscalar("n")
        f = loopjax.function([n], at.zeros(n + 4), allow_input_downcast=True, lengths="exact")
        for _ in range(2):
            assert f(np.int32(3).view(np.float32)).shape == (4,)
            for value in (3, 0, 3, 0):
                assert f(np.int32(value)).shape == (value + 4,)
                assert f(np.asarray(value, "int32").view("float32")[()]).shape == (4,)

    def test_a_view_of_a_large_result_is_as_good_as_a_copy(self, anew):
        n, last = at.lscalar("n"), loopjax.shared(np.zeros(0), name="last")
        out, _ = loopjax.scan(lambda h: h + 1, outputs_info=at.constant(0.0, dtype="float64"), n_steps=n)
        f = loopjax.function([n], out, updates={last: out}, lengths="padded", accept_inplace=True, results="jax")
        found = [f(100_000 + i) for i in range(4)]
        donated = jax.jit(lambda x: x * 2, donate_argnums=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that JAX cannot reuse the memory
            with jax.enable_x64(True):
                np.testing.assert_array_equal(donated(found[3]), 2 * np.arange(1.0, 100_004))
        for i, rows in enumerate(found[:3]):
            np.testing.assert_array_equal(rows, np.arange(1.0, 100_001 + i))
        np.testing.assert_array_equal(last.get_value(), np.arange(1.0, 100_004))
        assert f(100_001).committed is False

    def test_tracers_go_the_other_way(self):
        x = at.fscalar("x")
        f = loopjax.function([x], x * x)
        f(jax.numpy.float32(3)), f(jax.numpy.float32(3))
        assert float(jax.grad(f)(3.0)) == 6
        np.testing.assert_array_equal(jax.vmap(f)(jax.numpy.arange(3.0)), [0, 1, 4])

    def test_settings(self, anew):
        x, m = at.fscalar("x"), at.fmatrix("m")
        f, g = loopjax.function([x], x + 1), loopjax.function([m], at.dot(m, m))
        one, eye = jax.numpy.float32(1), jax.numpy.eye(2)
        f(one), g(eye)
        for _ in range(2):
            with jax.default_matmul_precision("highest"):
                f(one)
                np.testing.assert_array_equal(g(eye), eye)
            assert len(anew) == 3
        with jax.default_device(jax.devices()[0]):
            assert f(one) == f(one) == 2
        assert len(anew) == 4
        with jax.disable_jit():
            assert f(one) == 2
        assert len(anew) == 5
        assert f(one) == 2
        np.testing.assert_array_equal(g(eye), eye)
        assert len(anew) == 5


class TestStateOnTheShortWay:
    def test_many_variables(self, anew):
        many = [loopjax.shared(float(i), dtype="float64") for i in range(25)]
        f = loopjax.function([], many[0], updates=[(a, b + 1) for a, b in zip(many, many[1:] + many[:1], strict=True)])
        expected = [float(i) for i in range(25)]
        for _ in range(3):
            assert float(f()) == expected[0]
            expected = [value + 1 for value in expected[1:] + expected[:1]]
            assert [float(one.get_value()) for one in many] == expected
        assert len(anew) == 1

    def test_overwritten_in_place(self, anew):
        a, b, x = loopjax.shared(np.zeros(1000)), loopjax.shared(np.zeros(1000)), at.dvector("x")
        f = loopjax.function([x], b.sum(), updates={a: a + x, b: b + 1}, accept_inplace=True)
        argument = np.ones(1000)
        for call in range(4):
            old = a.value
            assert float(f(argument)) == 1000 * call
            assert old.is_deleted() == (call > 0)
        assert len(anew) == 1
        held = a.get_value(borrow=True)
        f(argument)
        assert not held.is_deleted()
        np.testing.assert_array_equal(a.get_value(), np.full(1000, 5.0))
        assert len(anew) == 2

    def test_what_was_lost_says_so(self):
        a = loopjax.shared(np.zeros(3))
        f = loopjax.function([], updates={a: a + 1}, accept_inplace=True)
        f(), f()
        a.value.delete()
        with pytest.raises(RuntimeError, match="deleted"):
            f()
        with pytest.raises(loopjax.errors.StateLost):
            f()
        a.set_value(np.ones(3))
        f(), f()
        np.testing.assert_array_equal(a.get_value(), np.full(3, 3.0))


class TestSeveralStages:
    """A length that a first run computes, and another program uses."""

    def test_lengths_of_a_loop(self, anew):
        limit = at.dscalar("limit")
        powers, _ = loopjax.scan(
            lambda h: (h * 2, loopjax.until(h * 2 > limit)),
            outputs_info=at.constant(np.float32(1)),
            n_steps=2000,
        )
        sums, _ = loopjax.scan(lambda row, s: s + row.sum(), at.outer(powers, powers), at.constant(np.float32(0)))
        f = loopjax.function([limit], {"powers": powers, "sums": sums, "count": powers.shape[0]})
        assert len(f.stages) == 2
        for call, (value, flag) in enumerate([(5.0, False), (100.0, False), (5.0, True), (100.0, False), (6.5, True)]):
            expected = 2.0 ** np.arange(1, np.ceil(np.log2(value)) + 1)
            with jax.enable_x64(flag):
                found = f(value)
            np.testing.assert_array_equal(found["powers"], expected)
            np.testing.assert_array_equal(found["sums"], np.cumsum(expected * expected.sum()))
            assert isinstance(found["powers"], jax.Array)
            assert int(found["count"]) == len(expected)
            assert len(anew) == min(call + 1, 2)
        assert len(runs(f)) == 2
        np.testing.assert_array_equal(f(1000.0)["powers"], 2.0 ** np.arange(1, 11))
        assert len(anew) == 3

    def test_positions_ragged_loops_and_state(self, anew):
        x, total = at.dvector("x"), loopjax.shared(0.0, dtype="float64")
        n = at.cast(at.floor(at.exp(x.sum())), "int64")
        y = at.sort(x[:n]) * at.arange(n)
        f = loopjax.function([x], [y, n], updates={total: total + y.sum()}, lengths="exact")
        assert len(f.stages) == 2
        expected = 0.0
        for _ in range(3):
            for size in (3, 2):
                given = np.linspace(1.0, 0.0, 8) * np.log(size + 0.5) / 4
                found, number = f(given)
                np.testing.assert_allclose(found, np.sort(given[:size]) * np.arange(size))
                assert int(number) == size
                expected += found.sum()
                np.testing.assert_allclose(total.get_value(), expected)
        assert len(anew) == 2
        assert len(runs(f)) == 2

    def test_a_call_whose_second_stage_fails_changes_nothing(self, anew):
        x, calls = at.dscalar("x"), loopjax.shared(0)
        n = at.cast(at.floor(at.exp(x)), "int64")
        h, _ = loopjax.scan(lambda h: h + 1.0, outputs_info=at.constant(0.0, dtype="float64"), n_steps=n - 5)
        f = loopjax.function([x], h.sum() + at.zeros(n).sum(), updates={calls: calls + 1}, lengths="exact")
        for turn in range(1, 4):
            assert float(f(np.log(7.5))) == 3
            with pytest.raises(ValueError, match="negative"):
                f(np.log(3.5))
            assert calls.get_value() == turn
        assert len(anew) == 4  # the first call, and those that fail
        with pytest.raises((UnsupportedError, jax.errors.TracerArrayConversionError)):
            jax.jit(lambda: f(np.log(7.5)))()
        assert calls.get_value() == 3

    def test_a_length_that_is_drawn(self, anew):
        n = loopjax.random.RandomStream(3).integers(low=2, high=4)
        f = loopjax.function([], [at.arange(n) * 2.0, n], lengths="exact")
        assert len(f.stages) == 2
        sizes = []
        for _ in range(12):
            rows, size = f()
            np.testing.assert_array_equal(rows, 2.0 * np.arange(int(size)))
            sizes.append(int(size))
        assert set(sizes) == {2, 3}
        assert len(anew) == 2


def test_keys_hold_no_copies_of_long_vectors_that_the_host_reads():
    counts = at.lvector("counts")
    f = loopjax.function([counts], loopjax.map(lambda count: at.arange(count).sum(), counts)[0])
    for last in (3, 4, 3, 2):
        found = f(np.array([5] * 100 + [last]))
        assert int(found[0]) == 10
        assert int(found[-1]) == last * (last - 1) // 2
    keys = f._dispatch.stages[0].runs
    assert len(keys) == 3
    assert max(len(part) for key in keys for part in key if isinstance(part, bytes)) <= 64


def test_an_executable_that_is_dropped_leaves_those_of_other_settings_alone():
    """A callback fails once; what was compiled for other settings of JAX is not called instead."""
    x, fails = at.dvector("x"), []

    def checked(value):
        if fails:
            raise RuntimeError("fails")
        return np.asarray(value)

    def drawn(value):
        passed = jax.pure_callback(checked, value, value, vmap_method="sequential")
        return passed + jax.random.uniform(jax.random.key(0), value.shape, value.dtype)

    f = loopjax.function([x], loopjax.wrap_jax(drawn)(x))

    def call(partitionable):
        with jax.threefry_partitionable(partitionable):
            return np.asarray(f(np.arange(3.0)))

    wanted = {choice: call(choice) for choice in (True, False)}
    fails.append(True)
    with pytest.raises(Exception, match="fails"):
        call(True)
    fails.clear()
    for choice in (True, False, True, True):
        np.testing.assert_array_equal(call(choice), wanted[choice])
