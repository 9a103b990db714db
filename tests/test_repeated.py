"""A call like one before takes the short way, and gives or refuses what the first one did."""

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.errors import UnsupportedError


def short(f):
    """The calls that are known to go the short way."""
    return [known for known in f._repeated._known.values() if known is not None]


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
    assert len(short(f)) == 5
    assert not jax.config.jax_enable_x64


def test_what_is_converted_or_bound_to_a_device_goes_the_long_way():
    x = at.dvector("x")
    f = loopjax.function([x], x * 2)
    for value in ([1.0, 2.0], np.ones(2, "float32"), jax.device_put(np.ones(2, "float32"), jax.devices()[0])):
        for _ in range(2):
            assert f(value).dtype == "float64"
    assert not short(f)


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
    assert short(f)


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
    ((bounds,),) = [known.ranges for known in short(f)]
    assert (bounds.place, bounds.least) == (0, 1)


def test_lengths_that_decide_shapes():
    n = at.lscalar("n")
    f = loopjax.function([n], at.zeros(n).sum() + at.arange(n).sum())
    assert [float(f(np.int64(k))) for k in (3, 4, 3, 4)] == [3, 6, 3, 6]
    assert len(short(f)) == 2


def test_updates_within_a_caller_s_jit_are_refused_before_and_after_a_call():
    count = loopjax.shared(np.float32(0))
    f = loopjax.function([], count, updates=[(count, count + 1)])
    for calls in range(3):
        with pytest.raises(UnsupportedError, match="outside"):
            jax.jit(lambda: f())()
        assert count.get_value() == calls
        assert f() == calls


def test_an_executable_that_refuses_is_not_asked_again():
    x = at.fscalar("x")
    f = loopjax.function([x], x + 1)
    value = np.float32(1)
    f(value)
    ((key, known),) = f._repeated._known.items()

    def refuses(*args):
        raise ValueError("sharding")

    f._repeated._known[key] = type(known)(refuses, known.numbers, known.ranges, known.wide, known.trace)
    assert f(value) == f(value) == 2
    assert f._repeated._known[key] is None


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
