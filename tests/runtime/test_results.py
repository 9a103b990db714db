"""The arrays that calls return: ``config.results``."""

import warnings

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at

ARGUMENT = np.array([1.0, 2.0])


@pytest.fixture
def x():
    return at.dvector("x")


def kinds(f, *arguments, calls=3):
    """Whether the results are NumPy arrays, in the general path and in the fast one."""
    found = [[isinstance(result, np.ndarray) for result in f(*arguments)] for _ in range(calls)]
    assert found[1:] == found[:-1]
    return found[0]


def outputs(x):
    return [x / 3, at.cast(x, "float32"), x.shape[0], at.argmax(x), x > 1, at.cast(x, "complex128")]


def test_64_bit_results_are_numpy_arrays_while_x64_is_off(x):
    assert kinds(loopjax.function([x], outputs(x)), ARGUMENT) == [True, False, True, True, False, True]


def test_the_next_operation_keeps_them(x):
    f = loopjax.function([x], x / 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            after = f(ARGUMENT) * 2
            assert after.dtype == "float64"
            np.testing.assert_array_equal(after, ARGUMENT / 3 * 2)


@pytest.mark.parametrize(
    "argument", [ARGUMENT, [1.0, 2.0], jax.numpy.float32([1.0, 2.0])], ids=lambda v: type(v).__name__
)
def test_all_are_jax_arrays_while_x64_is_on(x, argument):
    f = loopjax.function([x], outputs(x))
    with jax.enable_x64(True):
        assert kinds(f, argument) == [False] * 6
    assert kinds(f, argument)[0]


def test_asked_for(x):
    assert kinds(loopjax.function([x], outputs(x), results="jax"), ARGUMENT) == [False] * 6
    assert kinds(loopjax.function([x], outputs(x), results="numpy"), ARGUMENT) == [True] * 6
    with jax.enable_x64(True):
        assert kinds(loopjax.function([x], outputs(x), results="numpy"), ARGUMENT) == [True] * 6
    with pytest.raises(ValueError, match=r"results is .* or None, not 'numpi'"):
        loopjax.function([x], x, results="numpi")


def test_the_setting_is_read_when_a_function_is_made(x, monkeypatch):
    before = loopjax.function([x], [x * 2])
    monkeypatch.setattr(loopjax.config, "results", "jax")
    assert kinds(loopjax.function([x], [x * 2]), ARGUMENT) == [False]
    assert kinds(before, ARGUMENT) == [True]
    with pytest.raises(ValueError, match=r"config\.results is one of"):
        loopjax.config.results = "list"


def test_numpy_results_are_copies_where_asked_for_and_else_read_only():
    w = loopjax.shared(np.zeros(2))
    for form in (w, [w], {"w": w}):
        for results in ("numpy", "auto"):
            f = loopjax.function([], form, results=results)
            for _ in range(3):
                result = f()
                (array,) = [result] if form is w else result if isinstance(form, list) else result.values()
                assert array.flags.writeable is (results == "numpy")
                if results == "numpy":
                    array[0] = 5.0
    assert w.get_value().tolist() == [0.0, 0.0]
    assert loopjax.function([], None, updates={w: w + 1})() == []


def test_eval_and_copies_of_functions_follow(x):
    assert isinstance(x.eval({x: ARGUMENT}), np.ndarray)
    assert isinstance(loopjax.function([x], x * 2, results="jax").copy()(ARGUMENT), jax.Array)


def test_keys_and_calls_inside_of_jax_stay_as_they_are():
    key = loopjax.shared(jax.random.key(1))
    assert isinstance(loopjax.function([], key, results="numpy")(), jax.Array)
    v = at.fvector("v")
    double = loopjax.function([v], v * 2, results="numpy")
    assert jax.jit(double)(np.float32([1.0])).tolist() == [2.0]


@pytest.mark.parametrize("size", [3, 100_000], ids=["copies", "views"])
def test_results_that_are_cut_to_their_length_stay_on_the_host(size):
    """On the fast path, too; new state is on the device."""
    n, last = at.lscalar("n"), loopjax.shared(np.zeros(0))
    stack, _ = loopjax.scan(lambda h: h + 1, outputs_info=at.constant(0.0, dtype="float64"), n_steps=n)
    narrow, _ = loopjax.scan(lambda h: h + 1, outputs_info=at.constant(0.0, dtype="float32"), n_steps=n)
    f = loopjax.function([n], [stack, narrow], updates={last: stack}, lengths="padded")
    for length in (size, size, size + 1, size):
        wide, small = f(np.int64(length))
        assert isinstance(wide, np.ndarray)
        assert not wide.flags.writeable
        assert isinstance(small, jax.Array)
        assert isinstance(last.get_value(borrow=True), jax.Array)
        for array in (wide, small, last.get_value()):
            np.testing.assert_array_equal(array, np.arange(1.0, length + 1))
    with jax.enable_x64(True):
        assert all(isinstance(array, jax.Array) for array in f(np.int64(size)))
    assert f._dispatch.stages[0].executables
