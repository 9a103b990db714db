"""Elementary functions as polynomials: errors in units in the last place, special values, derivatives, what is left."""

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
from loopjax.lower.elementary_functions import with_polynomials

FUNCTIONS = {jnp.exp: np.exp, jnp.expm1: np.expm1, jnp.log: np.log, jnp.log1p: np.log1p}


def rewritten(function: Callable[[Any], Any], x: Any) -> Any:
    """A function of rows of 16 elements, for which all polynomials are taken."""
    program = with_polynomials(jax.make_jaxpr(lambda x: jax.lax.map(function, x))(x.reshape(-1, 16)))
    assert f" {function.__name__} " not in str(program)
    return jax.jit(jaxpr_as_fun(program))(x.reshape(-1, 16))[0].reshape(x.shape)


def arguments(function: Any, dtype: str) -> np.ndarray[Any, Any]:
    """Arguments of all magnitudes, many of them near the zero of the function."""
    rng = np.random.default_rng(0)
    near = np.concatenate([rng.normal(0.0, scale, 20_000) for scale in (1e-16, 1e-9, 1e-3, 0.1)])
    far = np.exp(rng.uniform(-700.0, 700.0, 20_000))
    if function in (jnp.exp, jnp.expm1):
        least, most = (-708.0, 709.7) if dtype == "float64" else (-87.0, 88.7)
        x = np.concatenate([near, rng.uniform(-1.0, 1.0, 80_000), rng.uniform(least, most, 80_000)])
    elif function is jnp.log:
        x = np.concatenate([1.0 + near, far, np.exp2(rng.integers(-1000, 1000, 1008).astype(float))])
    else:
        x = np.concatenate([near, far, -1.0 + np.exp(-rng.uniform(0.0, 36.0, 20_000))])
    info = np.finfo(dtype)
    magnitude = np.abs(x) if function in (jnp.log, jnp.log1p) else np.ones(len(x))
    return x[(magnitude < info.max) & (magnitude > info.tiny)][: len(x) // 32 * 16].astype(dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("function", "most"), [(jnp.exp, 1.1), (jnp.expm1, 2.2), (jnp.log, 1.0), (jnp.log1p, 1.0)])
def test_the_error_in_units_in_the_last_place(function: Any, most: float, dtype: str) -> None:
    if np.finfo(np.longdouble).nmant < 60:
        pytest.skip("long doubles are no wider than doubles here")
    x = arguments(function, dtype)
    assert len(x) > 20_000
    with jax.enable_x64(True):
        value = np.asarray(rewritten(function, x))
    assert value.dtype == dtype
    with np.errstate(divide="ignore"):
        right = FUNCTIONS[function](x.astype(np.longdouble))
    away = (np.abs(right) >= np.finfo(dtype).tiny) & np.isfinite(right)
    error = np.abs(value[away] - right[away]) / np.spacing(np.abs(right[away]).astype(dtype))
    assert error.max() < most
    assert (value[~away] == right[~away]).all()


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_special_values(function: Any, dtype: str) -> None:
    info: Any = np.finfo(dtype)
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, -1.0, -2.0, 1.0, 2.0, info.tiny, info.max, 100 * info.tiny]
    if function in (jnp.exp, jnp.expm1):
        special += [np.log(info.max) * (1 + k * info.eps) for k in (-4, -1, 1, 4, 1000)]
        special += [np.log(info.tiny) * factor for factor in (1 - 1e-6, 1.05, 1.2, 100.0)]
    with jax.enable_x64(True), np.errstate(all="ignore"):
        x = np.tile(np.array(special, dtype), 400)
        value, right = np.asarray(rewritten(function, x)), FUNCTIONS[function](x)
    right = np.where(np.abs(right) < info.tiny, np.copysign(0, right), right)
    np.testing.assert_allclose(value, right, rtol=2 * float(info.eps))
    assert (np.signbit(value) == np.signbit(right))[right == 0.0].all()


@pytest.mark.parametrize(
    ("function", "shape", "dtype", "steps", "is_taken"),
    [
        (jnp.log, (11,), "float64", 9999, False),
        (jnp.log, (12,), "float64", 9999, True),
        (jnp.log, (12,), "float64", 50, False),
        (jnp.log, (23,), "float32", 9999, True),
        (jnp.log, (4, 4), "float32", 9999, False),
        (jnp.log, (5000,), "float32", 9, False),
        (jnp.log1p, (5000,), "float32", 9, True),
        (jnp.exp, (3,), "float64", 9999, False),
        (jnp.exp, (1, 16), "float64", 9999, True),
        (jnp.exp, (4, 4), "float64", 9999, False),
        (jnp.exp, (30,), "float64", 9999, False),
        (jax.nn.sigmoid, (8,), "float32", 9999, True),
        (jnp.expm1, (), "float64", 9999, False),
        (jnp.expm1, (5000,), "float64", 9, True),
        (jnp.expm1, (50,), "float32", 9999, False),
        (jnp.expm1, (8,), "float16", 9999, False),
    ],
)
def test_which_arrays_are_taken(function: Any, shape: Any, dtype: str, steps: int, is_taken: bool) -> None:
    with jax.enable_x64(True):
        x = np.ones(shape, dtype)
        program = jax.make_jaxpr(lambda x: jax.lax.fori_loop(0, steps, lambda _, y: function(1 + y), x))(x)
        assert (with_polynomials(program) is not program) == is_taken


def test_short_logarithms_are_taken_beside_exponentials() -> None:
    def both(x: Any, y: Any) -> Any:
        return jax.lax.map(lambda x: jnp.logaddexp(x, 0.0), x), jax.lax.map(jnp.log, y)

    with jax.enable_x64(True):
        new = with_polynomials(jax.make_jaxpr(both)(np.ones((2000, 5)), np.ones((2000, 5))))
    assert " log1p " not in str(new)
    assert " log " in str(new)


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
