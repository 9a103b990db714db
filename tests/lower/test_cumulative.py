"""Cumulative loops: values of JAX's own primitives, exactness, and functions with gradients."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend.core import jaxpr_as_fun

import loopjax
import loopjax.tensor as at
from loopjax.lower.cumulative import COMBINE, LEAST, with_cumulative_loops

PRIMITIVES = {"cumsum": lax.cumsum, "cumprod": lax.cumprod, "cummax": lax.cummax, "cummin": lax.cummin}


def _looped(function: Any, x: Any) -> tuple[Any, bool]:
    """The result of a program with cumulative loops, and if it has any."""
    program = jax.make_jaxpr(function)(x)
    looped = with_cumulative_loops(program)
    return jax.jit(jaxpr_as_fun(looped))(x)[0], looped is not program


@pytest.mark.parametrize("name", sorted(COMBINE))
@pytest.mark.parametrize(
    ("dtype", "shape", "axis"),
    [
        *(("float64", shape, axis) for shape, axis in [((17,), 0), ((9, 3), 0), ((2, 8, 1), 1), ((8, 0), 0)]),
        *((dtype, (3, 9), 1) for dtype in ("float64", "float32", "bfloat16", "int32", "complex64")),
    ],
)
def test_values_are_those_of_the_primitive(name, dtype, shape, axis):
    if dtype == "complex64" and name in ("cummax", "cummin"):
        return
    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(0).uniform(0.5, 1.6, shape) * 2).astype(dtype)
        for reverse in (False, True):
            primitive = PRIMITIVES[name]
            found, is_looped = _looped(lambda x, p=primitive, r=reverse: p(x, axis=axis, reverse=r), x)
            expected = primitive(x, axis=axis, reverse=reverse)
            assert is_looped
            assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
            exact = {"float64": 1e-14, "int32": 0.0}.get(dtype, 2e-2 if dtype == "bfloat16" else 3e-6)
            wide = "complex128" if dtype == "complex64" else "float64"
            np.testing.assert_allclose(found.astype(wide), expected.astype(wide), rtol=exact)


def test_nan_and_infinity_reach_what_comes_after():
    x = jnp.array([1.0, -2.0, jnp.inf, 3.0, -jnp.inf, 5.0, jnp.nan, 7.0, 8.0])
    for primitive in PRIMITIVES.values():
        np.testing.assert_array_equal(_looped(primitive, x)[0], primitive(x))


def test_sums_of_single_precision_are_as_exact_as_xla_makes_them():
    x = np.random.default_rng(0).uniform(0, 1, 50_000).astype("float32")
    expected = np.cumsum(x.astype("float64"))
    found, by_xla = _looped(lax.cumsum, x)[0], jax.jit(lax.cumsum)(x)
    errors = [np.abs(np.asarray(one) / expected - 1).max() for one in (found, by_xla)]
    assert errors[0] <= max(errors[1], 6e-8)


def test_short_axes_stay():
    x = jnp.ones((LEAST - 1, 20))
    assert not _looped(lax.cumsum, x)[1]


@pytest.mark.parametrize("x64", [False, True])
def test_functions_run_loops_for_values_and_gradients(x64):
    x = at.fmatrix("x")
    states, _ = loopjax.scan(lambda h: at.tanh(0.1 * at.cumsum(h, axis=1)), outputs_info=x, n_steps=3)
    cost = (at.cumsum(states[-1], axis=0) ** 2).sum()
    f, g = (loopjax.function([x], [cost, loopjax.grad(cost, x)], mode=mode) for mode in (None, "FAST_COMPILE"))
    values = np.random.default_rng(0).normal(size=(12, 9)).astype("float32")
    with jax.enable_x64(x64):
        assert "stablehlo.reduce_window" not in f.lower(values).as_text()
        for one, other in zip(f(values), g(values), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-6 * np.abs(other).max())
