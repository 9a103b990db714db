"""Functions of broadcast arrays: that XLA computes them once for each value, and that results stay bit for bit."""

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
from loopjax.lower.shared_functions import with_shared_functions

SHARED: list[Callable[[Any, Any], Any]] = [
    lambda x, p: x * jnp.sin(p),
    lambda x, p: x + (0.5 * jnp.cos(p) - p)[None, :],
    lambda x, p: jax.vmap(lambda row: row / jnp.tan(p))(x),
    lambda x, p: jax.lax.scan(lambda h, _: (x * jnp.sin(h[0]), None), x, None, 3)[0],
]
OWN: list[Callable[[Any, Any], Any]] = [
    lambda x, p: jnp.sin(x) * p,
    lambda x, p: x[:4] * jnp.sin(p),
    lambda x, p: x[:, :1] * jnp.sin(p[:1]),
    lambda x, p: x.sum(0) * jnp.sin(p),
    lambda x, p: x * jnp.sin(p + 1j),
]
X, P = np.linspace(-3.0, 3.0, 16 * 64).reshape(16, 64), np.append(np.linspace(-9.0, 9.0, 61), [np.inf, np.nan, -0.0])


@pytest.mark.parametrize("function", SHARED)
def test_functions_of_broadcast_arrays_are_kept(function: Any) -> None:
    with jax.enable_x64(True):
        program = jax.make_jaxpr(function)(X, P)
        new = with_shared_functions(program)
        assert " rem " in str(new)
        before, after = (jax.jit(jaxpr_as_fun(one))(X, P)[0] for one in (program, new))
    np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("function", OWN)
def test_functions_that_few_elements_read_and_complex_ones_are_left(function: Any) -> None:
    with jax.enable_x64(True):
        program = jax.make_jaxpr(function)(X, P)
        assert with_shared_functions(program) is program


def test_xla_computes_an_invariant_of_a_map_apart() -> None:
    x, p = at.dmatrix(), at.dvector()
    rows = loopjax.scan(lambda row, p: row * at.sin(p), [x], non_sequences=p, return_updates=False)
    function = loopjax.function([x, p], rows)
    kernels = [part for part in function.compile(X, P).as_text().split("\n\n") if " sine(" in part]
    assert len(kernels) == 1
    assert "f64[16,64]" not in kernels[0]
    finite = np.where(np.isfinite(P), P, 0.0)
    np.testing.assert_allclose(function(X, finite), X * np.sin(finite), rtol=1e-14)
