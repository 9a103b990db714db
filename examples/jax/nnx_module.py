"""A Flax NNX module is a step of a LoopJAX loop: its state is a pytree of variables.

Needs flax. Run it with ``python -m examples.jax.nnx_module``.
"""

from __future__ import annotations

import jax
import numpy as np
from flax import nnx

import loopjax
import loopjax.tensor as at


def main() -> float:
    """Compares a loop over two layers with the same layers in NumPy; returns the largest deviation."""
    model = nnx.Sequential(nnx.Linear(4, 8, rngs=nnx.Rngs(0)), nnx.tanh, nnx.Linear(8, 4, rngs=nnx.Rngs(1)))
    structure, state = nnx.split(model)
    weights = nnx.to_pure_dict(state)
    symbolic = jax.tree.map(lambda a: at.tensor(str(a.dtype), shape=a.shape), weights)

    def apply(weights: dict[str, object], h: jax.Array) -> jax.Array:
        filled = nnx.clone(state)
        nnx.replace_by_pure_dict(filled, weights)
        return nnx.merge(structure, filled)(h)

    layers, start = loopjax.wrap_jax(apply, name="layers"), at.fvector("start")
    states, _ = loopjax.scan(lambda h: h + layers(symbolic, h), outputs_info=start, n_steps=10)
    run = loopjax.function([symbolic, start], states)

    h = np.random.default_rng(0).normal(size=4).astype("float32")
    found = np.asarray(run(weights, h))
    expected = []
    for _ in range(10):
        h = h + np.asarray(model(h))
        expected.append(h)
    return float(abs(found - np.stack(expected)).max())


if __name__ == "__main__":
    deviation = main()
    print(f"states deviate by at most {deviation:.1e}")
    assert deviation < 1e-4
