"""Quotients by square roots: what is left of ``rsqrt`` in float64, and that values stay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend.core import jaxpr_as_fun

import loopjax
import loopjax.tensor as at
from loopjax.lower.rsqrt import LEAST_ELEMENTS, without_rsqrt

BODIES: list[Callable[[Any], Any]] = [
    lambda x: x / jnp.sqrt(1.0 + x * x),
    lambda x: lax.rsqrt(1.0 + x * x),
    lambda x: jax.jit(lambda y: 0.1 / jnp.sqrt(y))(x),
    jax.grad(lambda x: jnp.sqrt(1.0 + x * x).sum()),
    lambda x: lax.cond(x[0] > 0.0, lambda: x / jnp.sqrt(x), lambda: x),
]


def looped(step: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A program that applies a step five times."""
    return lambda x: lax.scan(lambda x, _: (step(x), None), x, None, 5)[0]


@pytest.mark.parametrize("step", BODIES)
def test_loops_of_arrays_hold_no_rsqrt_and_give_the_same(step: Callable[[Any], Any]) -> None:
    with jax.enable_x64(True):
        x = jnp.linspace(0.1, 2.0, LEAST_ELEMENTS)
        program = jax.make_jaxpr(looped(step))(x)
        before, after = (jax.jit(jaxpr_as_fun(one)).lower(x).compile() for one in (program, without_rsqrt(program)))
        assert " rsqrt(" in before.as_text()
        assert " rsqrt(" not in after.as_text()
        np.testing.assert_allclose(after(x)[0], before(x)[0], rtol=1e-15)


@pytest.mark.parametrize("x", [np.linspace(0.1, 2.0, LEAST_ELEMENTS - 1), np.linspace(0.1, 2.0, 100, dtype="float32")])
def test_short_arrays_and_float32_are_left(x: Any) -> None:
    with jax.enable_x64(True):
        program = jax.make_jaxpr(looped(BODIES[0]))(x)
        assert without_rsqrt(program) is program


def test_functions_run_without_it() -> None:
    x = at.dvector()
    last = loopjax.scan(lambda h: h / at.sqrt(1.0 + h * h), outputs_info=x, n_steps=7, return_updates=False)[-1]
    function = loopjax.function([x], last)
    value = np.linspace(0.1, 2.0, 100)
    assert " rsqrt(" not in function.compile(value).as_text()
    np.testing.assert_allclose(function(value), value / np.sqrt(1.0 + 7.0 * value**2), rtol=1e-12)
