"""Logarithms as polynomials: their error in units in the last place, special values, derivatives, what is left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.extend.core import jaxpr_as_fun

import loopjax
import loopjax.tensor as at
from loopjax.lower.logarithms import LEAST_ELEMENTS, with_polynomials

SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, -1.0, -2.0, 1.0, 2.0, np.finfo(float).tiny, np.finfo(float).max, 1e-300]
FUNCTIONS = [(jnp.log, np.log), (jnp.log1p, np.log1p)]


def rewritten(function: Callable[[Any], Any], x: Any) -> Any:
    program = with_polynomials(jax.make_jaxpr(function)(x))
    return jax.jit(jaxpr_as_fun(program))(x)[0]


def arguments(function: Any) -> np.ndarray[Any, Any]:
    """Arguments of all magnitudes, many of them near the zero of the function."""
    rng = np.random.default_rng(0)
    near = np.concatenate([rng.normal(0.0, scale, 20_000) for scale in (1e-16, 1e-9, 1e-3, 0.1)])
    far = np.exp(rng.uniform(-700.0, 700.0, 20_000))
    if function is jnp.log:
        return np.concatenate([1.0 + near, far, np.exp2(rng.integers(-1000, 1000, 1000).astype(float))])
    return np.concatenate([near, far, -1.0 + np.exp(-rng.uniform(0.0, 36.0, 20_000))])


@pytest.mark.parametrize(("function", "exact"), FUNCTIONS)
def test_the_error_is_below_one_unit_in_the_last_place(function: Any, exact: Any) -> None:
    if np.finfo(np.longdouble).nmant < 60:
        pytest.skip("long doubles are no wider than doubles here")
    x = arguments(function)
    with jax.enable_x64(True):
        value = np.asarray(rewritten(function, x))
    right = exact(x.astype(np.longdouble))
    away = right != 0
    error = np.abs(value[away] - right[away]) / np.spacing(np.abs(right[away]).astype(float))
    assert error.max() < 1.0
    assert (value[~away] == 0.0).all()


@pytest.mark.parametrize(("function", "exact"), FUNCTIONS)
def test_special_values(function: Any, exact: Any) -> None:
    x = np.tile(SPECIAL, 400)
    with jax.enable_x64(True), np.errstate(all="ignore"):
        value, right = np.asarray(rewritten(function, x)), exact(x)
    np.testing.assert_allclose(value, right, rtol=3e-16)
    assert (np.signbit(value) == np.signbit(right))[right == 0.0].all()


@pytest.mark.parametrize(
    ("x", "steps"), [(np.ones(LEAST_ELEMENTS - 1), 9999), (np.ones(5000, "float32"), 9), (np.ones(20), 50)]
)
def test_short_arrays_float32_and_few_values_are_left(x: Any, steps: int) -> None:
    with jax.enable_x64(True):
        program = jax.make_jaxpr(lambda x: jax.lax.fori_loop(0, steps, lambda _, y: jnp.log(1.0 + y), x))(x)
        assert with_polynomials(program) is program


def test_loops_and_their_gradients_call_no_logarithm() -> None:
    h, x = at.dvector(), at.dmatrix()
    last = loopjax.scan(lambda x_t, h_t: at.logaddexp(h_t, x_t) - 0.7, [x], h, return_updates=False)[-1]
    values = np.linspace(-1.0, 2.0, 50), np.random.default_rng(0).normal(size=(99, 50))
    outputs = [last, loopjax.grad(last.sum(), h)]
    function = loopjax.function([h, x], outputs)
    plain = loopjax.function([h, x], outputs, mode="FAST_COMPILE")
    assert " log(" not in function.compile(*values).as_text()
    assert " log-plus-one(" not in function.compile(*values).as_text()
    for found, expected in zip(function(*values), plain(*values), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize(("reads", "is_left"), [(2, False), (3, True), (40, True)])
def test_a_logarithm_that_a_broadcast_reads_is_left(reads: int, is_left: bool) -> None:
    def summed(x: Any) -> Any:
        return (jnp.log(x)[None, :] - jnp.ones((reads, 1))).sum(1)

    with jax.enable_x64(True):
        program = jax.make_jaxpr(lambda x: jax.lax.map(summed, x))(np.ones((200, 64)))
        new = with_polynomials(program)
    assert (" log " in str(new)) == is_left


@pytest.mark.parametrize("compare", [jnp.argmax, jax.lax.argmin, jnp.max])
def test_logarithms_that_a_comparison_of_positions_reads_are_left(compare: Any) -> None:
    def place(x: Any) -> Any:
        noise = x - jnp.log(-jnp.log(x))
        return compare(noise, 0, "int32") if compare is jax.lax.argmin else compare(noise)

    with jax.enable_x64(True):
        program = jax.make_jaxpr(lambda x: (jax.lax.map(place, x), jnp.log(2.0 + x)))(np.full((200, 64), 0.5))
        new = with_polynomials(program)
    logarithms = str(new).count(" log ")
    assert logarithms == (0 if compare is jnp.max else 2), "of the last one, nothing reads positions"


@pytest.mark.parametrize(
    "step",
    [
        lambda h: at.log(h)[None] - h[:, None],
        lambda h: at.log(h)[:, None].T - h[:, None],
        lambda h: at.clip(at.log(h), 0.1, 0.7)[None, ::-1] * h[:, None],
        lambda h: at.logaddexp(h, 1.0)[None] - h[:, None],  # a call that takes a logarithm
    ],
)
def test_a_logarithm_that_a_new_axis_of_a_loop_reads_is_left(step: Any) -> None:
    h, start = at.dvector(), np.linspace(1.0, 2.0, 20)
    last = loopjax.scan(lambda h: step(h).sum(1) * 0.01 + 1.0, outputs_info=h, n_steps=300, return_updates=False)[-1]
    function, plain = loopjax.function([h], last), loopjax.function([h], last, mode="FAST_COMPILE")
    code = function.compile(start).as_text()
    assert " log(" in code or " log-plus-one(" in code
    np.testing.assert_allclose(function(start), plain(start), rtol=1e-13)
