"""Loops with a reverse mode whose length only the run knows: against ``lax.scan`` of that length."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from loopjax.lower.loops.dynamic_scan import Repeated, dynamic_scan

X = np.linspace(-1.0, 1.0, 16, dtype="float32").reshape(8, 2)
W = np.asarray([[0.5, -0.3], [0.2, 0.4]], "float32")
COUNTS = {"forward": 0, "backward": 0}


def told(name):
    def count():
        COUNTS[name] += 1

    jax.debug.callback(count)


@jax.custom_vjp
def counted(h):
    told("forward")
    return h


def _backward(stored, cotangent):
    told("backward")
    return (cotangent,)


counted.defvjp(lambda h: (counted(h), None), _backward)


def step(w, h, x):
    h = jnp.tanh(x @ w + h @ (2 * w).T)
    return h, h * x


def cost(w, x, n, step=step, unroll=1):
    after, stacks, ran = dynamic_scan(Repeated(step, unroll=unroll), w, jnp.ones(2, "float32"), x, n)
    rows = jnp.where(jnp.arange(8)[:, None] < ran, stacks, 0)
    return (after**2).sum() + (rows**3).sum()


def expected(w, x, n):
    after, stacks = lax.scan(lambda h, x: step(w, h, x), jnp.ones(2, "float32"), x[:n])
    return (after**2).sum() + (stacks**3).sum()


@pytest.mark.parametrize(("n", "unroll"), [(0, 1), (5, 1), (7, 3), (8, 1)])
def test_derivatives_of_both_orders(n, unroll):
    def curvature(cost, w):
        return jax.grad(lambda w: sum((one**2).sum() for one in jax.grad(cost, (0, 1))(w, X)))(w)

    found = jax.jit(jax.value_and_grad(lambda w, x: cost(w, x, n, unroll=unroll), (0, 1)))(W, X)
    reference = jax.value_and_grad(lambda w, x: expected(w, x, n), (0, 1))(W, X)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(reference), strict=True):
        np.testing.assert_allclose(one, other, rtol=2e-5, atol=1e-6)
    second = curvature(lambda w, x: cost(w, x, n, unroll=unroll), W)
    np.testing.assert_allclose(second, curvature(lambda w, x: expected(w, x, n), W), rtol=1e-4, atol=1e-5)


def test_no_step_runs_past_the_length():
    COUNTS.update(forward=0, backward=0)

    def counting(w, h, x):
        h, row = step(w, h, x)
        return counted(h), row

    jax.block_until_ready(jax.jit(jax.grad(lambda w, n: cost(w, X, n, counting)))(W, 5))
    jax.effects_barrier()
    assert COUNTS == {"forward": 5, "backward": 5}
