"""Optax trains a recurrent network: parameters, gradients and the state of the optimizer are pytrees.

Needs optax. Run it with ``python -m examples.jax.optax_training``.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import optax

import loopjax
import loopjax.tensor as at


def main() -> float:
    """Trains to predict a noisy sine from its past; returns the last loss over the first."""
    x, y = at.fvector("x"), at.fvector("y")
    parameters = {"W": at.fmatrix("W"), "input": at.fvector("input"), "readout": at.fvector("readout")}

    def step(x_t: at.Variable, h: at.Variable, p: dict[str, at.Variable]) -> tuple[at.Variable, at.Variable]:
        h = at.tanh(x_t * p["input"] + h @ p["W"])
        return h, h @ p["readout"]

    start = at.zeros(parameters["W"].shape[0], dtype="float32")
    (_, predicted), _ = loopjax.scan(step, x, [start, None], [parameters])
    loss = loopjax.to_jax([parameters, x, y], ((predicted - y) ** 2).mean(), name="loss")

    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(201) / 5) + 0.05 * rng.normal(size=201)
    data = jnp.asarray(wave[:-1], "float32"), jnp.asarray(wave[1:], "float32")
    values = {
        "W": jnp.asarray(0.2 * rng.normal(size=(16, 16)), "float32"),
        "input": jnp.asarray(rng.normal(size=16), "float32"),
        "readout": jnp.zeros(16, "float32"),
    }
    optimizer = optax.adam(1e-2)
    state = optimizer.init(values)

    @jax.jit
    def update(
        values: dict[str, jax.Array], state: optax.OptState
    ) -> tuple[dict[str, jax.Array], optax.OptState, jax.Array]:
        cost, gradient = jax.value_and_grad(loss)(values, *data)
        changes, state = optimizer.update(gradient, state)
        return optax.apply_updates(values, changes), state, cost

    costs = []
    for _ in range(200):
        values, state, cost = update(values, state)
        costs.append(float(cost))
    return costs[-1] / costs[0]


if __name__ == "__main__":
    ratio = main()
    print(f"the loss fell to {ratio:.3f} of the first")
    assert ratio < 0.05
