"""JAX's transformations as functions from a function of a vector to another one, and loops that they are applied to.

Each takes ``f`` of two numbers to a function of two numbers, so that they nest in any order. All pairs, and triples by
chance, of all loops: ``python -m tests.interop.compositions [TRIPLES [SEED]]``.
"""

import itertools
import random
import sys
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

import loopjax
import loopjax.tensor as at

X = np.array([1.0, 0.4], "float32")

FACTORS = np.array([1.0, 0.3], "float32")
"""Those of a batch: loops that stop by a value stop at different steps."""

N_STEPS = 4


def custom_vjp(f):
    """``f`` with its gradient as a rule of its own."""
    g = jax.custom_vjp(f)
    g.defvjp(lambda x: jax.vjp(f, x), lambda pull, cotangent: pull(cotangent))
    return g


TRANSFORMS = {
    "jit": jax.jit,
    "vmap": lambda f: lambda x: jax.vmap(lambda k: f(x * k))(FACTORS).sum(0),
    "grad": lambda f: jax.grad(lambda x: jnp.sin(f(x)).sum()),
    "jvp": lambda f: lambda x: jax.jvp(f, (x,), (jnp.cos(x),))[1],
    "jacfwd": lambda f: lambda x: jax.jacfwd(f)(x) @ jnp.cos(x),
    "jacrev": lambda f: lambda x: jnp.cos(x) @ jax.jacrev(f)(x),
    "hessian": lambda f: lambda x: jax.hessian(lambda x: jnp.sin(f(x)).sum())(x) @ jnp.cos(x),
    "linearize": lambda f: lambda x: jax.linearize(f, x)[1](jnp.cos(x)),
    "checkpoint": jax.checkpoint,
    "scan": lambda f: lambda x: lax.scan(lambda c, _: (0.5 * f(c) + x, None), x, None, length=2)[0],
    "cond": lambda f: lambda x: lax.cond(x[0] > 0, f, jnp.sin, x),
    "custom_vjp": custom_vjp,
}

FORWARD = {"jvp", "jacfwd", "hessian", "linearize"}
"""Transformations by forward mode, which JAX does not have of a ``custom_vjp``."""

PAIRS = [*itertools.product(TRANSFORMS, repeat=2)]
TRIPLES = [*itertools.product(TRANSFORMS, repeat=3)]


def is_defined(names):
    """Test if JAX has a composition: the last name is the innermost."""
    return all(FORWARD.isdisjoint(names[:place]) for place, name in enumerate(names) if name == "custom_vjp")


def composed(names, f):
    """``f`` transformed by all, by the last name first."""
    for name in reversed(names):
        f = TRANSFORMS[name](f)
    return f


def plain(x):
    return loopjax.scan(lambda s: at.sin(s) + 0.1 * x, outputs_info=x, n_steps=N_STEPS)[0][-1]


def until(x):
    fn = lambda s: (0.7 * at.sin(s) + 0.1 * x, loopjax.until(s.sum() < 0.9))  # noqa: E731
    return loopjax.scan(fn, outputs_info=x, n_steps=N_STEPS)[0][-1]


def counted(x):
    fn = lambda t, s: ([t + 1, at.sin(s) + 0.1 * x], loopjax.until(t + 1 >= at.switch(x[0] > 0.5, 3, 2)))  # noqa: E731
    return loopjax.scan(fn, outputs_info=[at.constant(0), x], n_steps=N_STEPS)[0][1][-1]


def drawn(x):
    stream = loopjax.random.RandomStream(1)
    fn = lambda s: at.sin(s) + 0.1 * x * stream.uniform(dtype="float32")  # noqa: E731
    return loopjax.scan(fn, outputs_info=x, n_steps=N_STEPS)[0][-1]


@cache
def draws():
    """The numbers that ``drawn`` draws."""
    with jax.ensure_compile_time_eval():
        stream = loopjax.random.RandomStream(1)
        return loopjax.function([], loopjax.scan(lambda: stream.uniform(dtype="float32"), n_steps=N_STEPS)[0])()


LOOPS = {
    plain: lambda t, s, x: (jnp.sin(s) + 0.1 * x, False),
    until: lambda t, s, x: (0.7 * jnp.sin(s) + 0.1 * x, s.sum() < 0.9),
    counted: lambda t, s, x: (jnp.sin(s) + 0.1 * x, t + 1 >= jnp.where(x[0] > 0.5, 3, 2)),
    drawn: lambda t, s, x: (jnp.sin(s) + 0.1 * x * jnp.asarray(draws())[t], False),
}
"""Loops and their steps in JAX: the number of the step, the state and the input to the next state and if it stops."""


@cache
def recorded(loop, dtype):
    """A loop as a function of JAX."""
    x = at.tensor(dtype, (None,), name="x")
    f = loopjax.to_jax([x], loop(x))
    return (lambda x: f(f.init(), x)[0]) if f.variables else f


def written(loop):
    """The same function in JAX, whose steps after the last one do nothing."""

    def f(x):
        def step(carry, t):
            state, stopped = carry
            after, stops = LOOPS[loop](t, state, x)
            return (jnp.where(stopped, state, after), stopped | stops), None

        return lax.scan(step, (x, jnp.asarray(False)), jnp.arange(N_STEPS))[0][0]

    return f


def value(names, f, dtype):
    """The composition at ``X``, compiled without optimizations, which would take most of the time."""
    program = jax.jit(composed(names, f)).lower(X.astype(dtype))
    return program.compile(compiler_options={"xla_backend_optimization_level": "0"})(X.astype(dtype))


def check(names, loop, x64):
    """Raise where LoopJAX's loop and JAX's differ under a composition."""
    dtype = "float64" if x64 else "float32"
    with jax.enable_x64(x64):
        found, expected = (value(names, f, dtype) for f in (recorded(loop, dtype), written(loop)))
        assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=1e-9 if x64 else 2e-4, atol=1e-12 if x64 else 2e-5)


def main(count="100", seed="0"):
    """Check all pairs and ``count`` triples of all loops, and print what fails."""
    triples = random.Random(int(seed)).sample(TRIPLES, int(count))
    failed = 0
    for names, loop, x64 in itertools.product([*PAIRS, *triples], LOOPS, (True, False)):
        if is_defined(names):
            try:
                check(names, loop, x64)
            except Exception as error:
                failed += 1
                print(
                    " of ".join(names), loop.__name__, "x64" if x64 else "x32", type(error).__name__, str(error)[:300]
                )
    print(failed, "failed")
    return failed


if __name__ == "__main__":
    sys.exit(bool(main(*sys.argv[1:])))
