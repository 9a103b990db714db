"""A program that calls nothing on the host cannot fail after it was dispatched; one that does, wherever, can."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import checkify, io_callback

from loopjax.lower.fails_later import LITTLE, may_fail_later


def called(v):
    return jax.pure_callback(lambda v: v, jax.ShapeDtypeStruct(v.shape, v.dtype), v, vmap_method="sequential")


@jax.custom_jvp
def with_rule(v):
    return called(v)


with_rule.defjvp(lambda values, slopes: (with_rule(*values), slopes[0]))


@jax.custom_vjp
def with_backward(v):
    return called(v)


with_backward.defvjp(lambda v: (called(v), None), lambda kept, slope: (slope,))


def noted(v):
    jax.debug.callback(lambda v: None, v)
    return v


def written(v):
    io_callback(lambda v: None, None, v)
    return v


CALLS = {
    "itself": called,
    "loop": lambda v: jax.lax.scan(lambda h, _: (called(h), None), v, None, length=3)[0],
    "until": lambda v: jax.lax.while_loop(lambda h: h.sum() < 9, lambda h: called(h) + 1, v),
    "condition": lambda v: jax.lax.while_loop(lambda h: called(h).sum() < 9, lambda h: h + 1, v),
    "branch": lambda v: jax.lax.cond(v.sum() > 0, called, lambda v: v, v),
    "function": lambda v: jax.jit(jax.jit(called))(v),
    "checkpoint": jax.checkpoint(called),
    "rule": with_rule,
    "backward": with_backward,
    "gradient": jax.grad(lambda v: jax.lax.scan(lambda h, _: (with_rule(h) * h, None), v, None, length=2)[0].sum()),
    "batch": jax.vmap(called),
    "debug": noted,
    "write": written,
    "check": lambda v: checkify.checkify(lambda v: called(v))(v)[1],
    "library": lambda v: jnp.linalg.cholesky(jnp.outer(v, v)),
    "memory": lambda v: jnp.broadcast_to(v, (LITTLE, 3)),
}
SURE = {
    "elementwise": lambda v: jnp.exp(v) + 1,
    "product": lambda v: jnp.outer(v, v) @ v,
    "loop": lambda v: jax.lax.scan(lambda h, _: (h * 2, h), v, None, length=3)[1],
    "branch": lambda v: jax.lax.cond(v.sum() > 0, lambda v: v, lambda v: 2 * v, v),
    "draw": lambda v: v + jax.random.normal(jax.random.key(1), v.shape),
    "check": lambda v: checkify.checkify(lambda v: (checkify.check(v[0] > 0, "small"), v)[1])(v),
}


def may_fail(run):
    traced = jax.jit(run).trace(np.ones(3, np.float32))
    return may_fail_later(traced.jaxpr, traced.lower().compile())


@pytest.mark.parametrize("name", CALLS)
def test_programs_that_may_fail(name):
    assert may_fail(CALLS[name])


@pytest.mark.parametrize("name", SURE)
def test_programs_that_cannot(name):
    assert may_fail(SURE[name]) == (jax.default_backend() != "cpu")
