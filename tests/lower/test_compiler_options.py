"""XLA's compiler options: which programs get them, what XLA makes of them, and a version that does not know them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax import Mode
from loopjax.lower import compiler_options
from loopjax.lower.compiler_options import COPIES, LEVEL, MOST_CARRIED
from loopjax.lower.jit import Compiled

WITHOUT = Mode().excluding("compiler_options")


def _states(count: int, mode: Any = None, gradient: bool = False, x: Any = None) -> Any:
    """States that read one another, by default vectors."""
    x = at.dvector("x") if x is None else x

    def step(*states: Any) -> list[Any]:
        return [0.5 * states[i] + 0.4 * states[i - 1] for i in range(count)]

    outputs, _ = loopjax.scan(step, outputs_info=[x + i for i in range(count)], n_steps=7, return_list=True)
    out = sum(output[-1] for output in outputs)
    return loopjax.function([x], loopjax.grad(out.sum(), x) if gradient else out, mode=mode)


def _given(monkeypatch: pytest.MonkeyPatch, function: Any, *arguments: Any) -> list[dict[str, Any]]:
    """The options of the programs that a call compiles, and its result."""
    found = []
    jit: Any = jax.jit

    def recording(*args: Any, compiler_options: Any = None, **named: Any) -> Any:
        found.append(compiler_options or {})
        return jit(*args, compiler_options=compiler_options, **named)

    monkeypatch.setattr(jax, "jit", recording)
    function(*arguments)
    monkeypatch.setattr(jax, "jit", jit)
    return [options for options in found if options]


@pytest.mark.parametrize(
    ("count", "gradient", "expected"),
    [
        (3, False, [{**LEVEL, **COPIES}]),
        (MOST_CARRIED, False, [{**LEVEL, **COPIES}]),
        (MOST_CARRIED + 1, False, [LEVEL]),
        (MOST_CARRIED // 4, True, [{**LEVEL, **COPIES}]),
        (MOST_CARRIED // 4 + 1, True, [LEVEL]),
    ],
)
def test_many_carried_arrays_are_not_analysed(count, gradient, expected, monkeypatch):
    apart = Mode().excluding("vectorize_states", "loop_epilogue")
    assert _given(monkeypatch, _states(count, apart, gradient), np.ones(30)) == expected


@pytest.mark.parametrize(
    ("shape", "draws", "expected"),
    [
        ((8,), False, LEVEL),
        ((300, 100), False, LEVEL),
        ((7,), False, {}),
        ((101,), False, {}),
        ((8, 300), False, {}),
        ((30,), True, LEVEL),
        ((60,), True, {}),
    ],
)
def test_loops_over_short_axes_without_many_draws_are_of_another_level(shape, draws, expected, monkeypatch):
    x, stream = at.tensor("float64", shape=(None,) * len(shape)), at.random.RandomStream(1)
    noise = stream.normal(size=shape) if draws else 0.1
    out, updates = loopjax.scan(lambda h: at.tanh(h) + noise, outputs_info=x, n_steps=9)
    f = loopjax.function([x], out[-1], updates=updates, mode=Mode().excluding("collapse_axes"))
    assert _given(monkeypatch, f, np.ones(shape)) == [{**expected, **COPIES}]


@pytest.mark.parametrize(("mode", "expected"), [(Mode().excluding("loop_prologue"), LEVEL), (None, {})])
def test_a_loop_draws_the_numbers_of_one_step_unless_its_steps_run_at_once(mode, expected, monkeypatch):
    x, stream = at.dvector("x"), at.random.RandomStream(1)
    out, updates = loopjax.scan(lambda h: at.tanh(h) + stream.normal(), outputs_info=x, n_steps=60)
    f = loopjax.function([x], out, updates=updates, mode=mode)
    assert _given(monkeypatch, f, np.ones(30)) == [{**expected, **COPIES}]


@pytest.mark.parametrize(
    ("count", "gradient", "expected"),
    [(2, False, []), (3, False, [COPIES]), (2, True, [COPIES])],
)
def test_copies_of_few_scalars_stay(count, gradient, expected, monkeypatch):
    f = _states(count, Mode().excluding("vectorize_states"), gradient, at.dscalar("x"))
    assert _given(monkeypatch, f, 1.0) == expected


def test_a_program_without_a_loop_has_no_options(monkeypatch):
    x = at.dvector("x")
    assert _given(monkeypatch, loopjax.function([x], x * 2), np.ones(3)) == []


@pytest.mark.parametrize("mode", [WITHOUT, "FAST_COMPILE"])
def test_a_mode_without_them_gives_none(mode, monkeypatch):
    assert _given(monkeypatch, _states(3, mode), np.ones(3)) == []


def test_xla_copies_fewer_states():
    """A state whose values are added up."""

    def copies(mode: Any) -> int:
        x, rows = at.dvector("x"), at.dmatrix("rows")
        states, _ = loopjax.scan(lambda row, x: 0.6 * x + 0.3 * row, sequences=rows, outputs_info=x)
        run = loopjax.function([x, rows], states.sum(axis=0), mode=mode)
        return int(run.compile(np.ones(9000), np.ones((20, 9000))).as_text().count(" copy("))

    assert copies(None) < copies(WITHOUT)


def test_values_are_the_same():
    x = np.linspace(-1, 1, 24)
    for gradient in (False, True):
        f, g = _states(6, None, gradient), _states(6, WITHOUT, gradient)
        np.testing.assert_allclose(f(x), g(x), rtol=1e-14)


def test_an_option_that_xla_does_not_know_is_left_out(monkeypatch):
    monkeypatch.setattr(compiler_options, "LEVEL", {"xla_cpu_no_such_option": True})
    f = _states(3)
    np.testing.assert_allclose(f(np.ones(9)), _states(3, WITHOUT)(np.ones(9)))
    assert "xla_cpu_small_call" in f.compile(np.ones(9)).as_text()  # loops are outlined still


def test_threads_that_are_refused_at_the_same_time_all_get_a_result(monkeypatch):
    monkeypatch.setattr(compiler_options, "LEVEL", {"xla_cpu_no_such_option": True})
    f, expected = _states(3), _states(3, WITHOUT)(np.ones(9))
    together, once, jitted = threading.Barrier(4, timeout=60), threading.local(), Compiled.jitted

    def waiting(self: Any, arrays: Any) -> Any:
        found = jitted(self, arrays)
        if not hasattr(once, "waited"):
            once.waited = together.wait()
        return found

    with monkeypatch.context() as patched, ThreadPoolExecutor(4) as threads:
        patched.setattr(Compiled, "jitted", waiting)
        for found in threads.map(lambda _: f(np.ones(9)), range(4)):
            np.testing.assert_allclose(found, expected)
    assert "xla_cpu_small_call" in f.compile(np.ones(9)).as_text()  # loops are outlined still


@pytest.mark.parametrize(
    ("shape", "rows", "columns", "expected"),
    [
        ((120, 60), slice(1, None), slice(None), COPIES),
        ((120, 60), slice(None), slice(1, None), {**LEVEL, **COPIES}),
        ((60, 60), slice(1, None), slice(None), {**LEVEL, **COPIES}),
    ],
    ids=["rows", "columns", "rows of a small array"],
)
def test_level_3_for_what_is_added_to_rows_of_a_large_array(shape, rows, columns, expected, monkeypatch):
    h = at.dmatrix("h")
    states, _ = loopjax.scan(lambda h: at.inc_subtensor(h[rows, columns], 0.1), outputs_info=h, n_steps=5)
    f = loopjax.function([h], states[-1])
    value, right = np.ones(shape), np.ones(shape)
    right[rows, columns] += 0.5
    assert _given(monkeypatch, f, value) == [expected]
    np.testing.assert_allclose(f(value), right, rtol=1e-12)
