"""An Equinox module is the cell of a LoopJAX loop: its arrays are variables, and gradients come as a module.

Needs equinox. Run it with ``python -m examples.jax.equinox_module``.
"""

from __future__ import annotations

import equinox as eqx
import jax
import numpy as np

import loopjax
import loopjax.tensor as at


def variables_of(module: eqx.Module) -> eqx.Module:
    """The module with a variable in the place of each array."""
    arrays, rest = eqx.partition(module, eqx.is_array)
    return eqx.combine(jax.tree.map(lambda a: at.tensor(str(a.dtype), shape=a.shape), arrays), rest)


def main() -> float:
    """Compares the gradient of a loop over a GRU cell with that of ``jax.lax.scan``; returns the largest deviation."""
    cell = eqx.nn.GRUCell(3, 5, key=jax.random.key(0))
    symbolic, x = variables_of(cell), at.fmatrix("x")
    call = loopjax.wrap_jax(lambda cell, x_t, h: cell(x_t, h), name="gru")
    states, _ = loopjax.scan(lambda x_t, h: call(symbolic, x_t, h), x, at.zeros(5, dtype="float32"))
    wanted = eqx.filter(symbolic, lambda leaf: isinstance(leaf, at.Variable))
    cost = (states**2).sum()
    gradient = loopjax.function([wanted, x], loopjax.grad(cost, wanted))

    def plain(cell: eqx.Module, x: jax.Array) -> jax.Array:
        def step(h: jax.Array, x_t: jax.Array) -> tuple[jax.Array, jax.Array]:
            h = cell(x_t, h)
            return h, h

        return (jax.lax.scan(step, jax.numpy.zeros(5), x)[1] ** 2).sum()

    data = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    found = gradient(eqx.filter(cell, eqx.is_array), data)
    expected = eqx.filter_grad(plain)(cell, data)
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    return max(float(abs(np.asarray(a) - np.asarray(b)).max()) for a, b in pairs)


if __name__ == "__main__":
    deviation = main()
    print(f"gradients deviate by at most {deviation:.1e}")
    assert deviation < 1e-4
