"""Compositions of JAX's transformations around a loop that `until` stops."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at

FACTORS = np.array([1.0, 0.1, 0.6])
COMPOSITIONS = {
    "grad of vmap": lambda f: jax.grad(lambda x: jax.vmap(lambda k: f(x * k))(FACTORS).sum()),
    "jacrev of vmap": lambda f: jax.jacrev(lambda x: jax.vmap(lambda k: f(x * k))(FACTORS)),
    "hessian of vmap": lambda f: jax.hessian(lambda x: jax.vmap(lambda k: f(x * k))(FACTORS).sum()),
    "vmap of grad": lambda f: lambda x: jax.vmap(lambda k: jax.grad(f)(x * k))(FACTORS),
    "grad of vmap of grad": lambda f: jax.grad(
        lambda x: jax.vmap(lambda k: (jax.grad(f)(x * k) ** 2).sum())(FACTORS).sum()
    ),
    "grad of vmap of jvp": lambda f: jax.grad(
        lambda x: jax.vmap(lambda k: jax.jvp(f, (x * k,), (x,))[1])(FACTORS).sum()
    ),
    "grad of checkpoint of vmap of linearize": lambda f: jax.grad(
        jax.checkpoint(lambda x: jax.vmap(lambda k: jax.linearize(f, x * k)[1](x))(FACTORS).sum())
    ),
}


def expected(x):
    """The program in JAX."""

    def step(carry, _):
        state, done = carry
        return (jnp.where(done, state, 0.9 * jnp.sin(state) + 0.1), done | (state.sum() < 0.9)), None

    (state, _), _ = jax.lax.scan(step, (x, jnp.asarray(False)), None, length=20)
    return (state**2).sum()


@pytest.mark.parametrize("x64", [True, False])
@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_derivatives_outside_of_a_batch(composition, x64):
    with jax.enable_x64(x64):
        dtype = "float64" if x64 else "float32"
        x = at.tensor(dtype, (None,))
        path, _ = loopjax.scan(
            lambda s: (0.9 * at.sin(s) + 0.1, loopjax.until(s.sum() < 0.9)), outputs_info=x, n_steps=20
        )
        f = loopjax.to_jax([x], (path[-1] ** 2).sum())
        value = jnp.asarray([1.0, 2.0, 0.3], dtype)
        transform = COMPOSITIONS[composition]
        np.testing.assert_allclose(
            transform(f)(value), transform(expected)(value), rtol=1e-9 if x64 else 1e-4, atol=0 if x64 else 1e-5
        )
