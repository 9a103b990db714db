"""A recurrent network is trained on eight devices, each with an eighth of every batch.

Once by ``loopjax.function``, whose shared variables are the weights, and once inside of ``jax.jit`` under a mesh with
explicit axes. Both are compared with one device. Run it with ``python -m examples.jax.data_parallel``.
"""

from __future__ import annotations

import os

os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

import loopjax
import loopjax.tensor as at

STEPS, BATCH, WIDTH, RATE = 20, 64, 16, 0.05


def model(x: at.Variable, y: at.Variable, p: dict[str, at.Variable]) -> at.Variable:
    """The mean error of a prediction from the last state."""
    start = at.zeros((x.shape[1], WIDTH), dtype="float32")
    h, _ = loopjax.scan(lambda x_t, h, p: at.tanh(x_t[:, None] * p["input"] + h @ p["W"]), x, start, [p])
    return ((h[-1] @ p["readout"] - y) ** 2).mean()


def first_weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "W": (0.3 * rng.normal(size=(WIDTH, WIDTH))).astype("float32"),
        "input": rng.normal(size=WIDTH).astype("float32"),
        "readout": np.zeros(WIDTH, "float32"),
    }


def batches() -> list[tuple[np.ndarray, np.ndarray]]:
    """Series, and their sums."""
    rng = np.random.default_rng(1)
    series = [rng.normal(size=(STEPS, BATCH)).astype("float32") / np.float32(STEPS**0.5) for _ in range(40)]
    return [(x, x.sum(axis=0)) for x in series]


def by_function(place: NamedSharding | None, rows: NamedSharding | None) -> list[float]:
    """Losses of training by ``function``; ``place`` is where weights are, ``rows`` where columns of series are."""
    x, y = at.fmatrix("x"), at.fvector("y")
    shared = {name: loopjax.shared(jax.device_put(w, place), name) for name, w in first_weights().items()}
    loss = model(x, y, shared)
    gradients = loopjax.grad(loss, list(shared.values()))
    updates = {w: w - at.constant(RATE, dtype="float32") * g for w, g in zip(shared.values(), gradients, strict=True)}
    shardings = None if rows is None else [rows, NamedSharding(rows.mesh, PartitionSpec("data"))]
    train = loopjax.function([x, y], loss, updates=updates, in_shardings=shardings, out_shardings=place)
    losses = [float(train(*batch)) for batch in batches()]
    for w in shared.values():
        assert place is None or w.get_value(borrow=True).sharding == place
    return losses


def inside_jax(mesh: jax.sharding.Mesh) -> list[float]:
    """Losses of training by ``to_jax`` in ``jax.jit``."""
    x, y = at.fmatrix("x"), at.fvector("y")
    p = {"W": at.fmatrix("W"), "input": at.fvector("input"), "readout": at.fvector("readout")}
    loss = loopjax.to_jax([p, x, y], model(x, y, p))

    @jax.jit
    def train(weights: dict[str, jax.Array], x: jax.Array, y: jax.Array) -> tuple[dict[str, jax.Array], jax.Array]:
        cost, gradient = jax.value_and_grad(loss)(weights, x, y)
        return jax.tree.map(lambda w, g: w - RATE * g, weights, gradient), cost

    losses = []
    with jax.set_mesh(mesh):
        weights = jax.tree.map(jnp.asarray, first_weights())
        for series, sums in batches():
            given = jax.device_put(series, PartitionSpec(None, "data")), jax.device_put(sums, PartitionSpec("data"))
            weights, cost = train(weights, *given)
            losses.append(float(cost))
    return losses


def main() -> list[float]:
    """Trains three times; the losses of the batches."""
    mesh = jax.make_mesh((8,), ("data",))
    everywhere = NamedSharding(mesh, PartitionSpec())
    losses = by_function(None, None)
    np.testing.assert_allclose(by_function(everywhere, NamedSharding(mesh, PartitionSpec(None, "data"))), losses, 1e-3)
    np.testing.assert_allclose(inside_jax(mesh), losses, 1e-3)
    return losses


if __name__ == "__main__":
    costs = main()
    print(f"{len(jax.devices())} devices; the loss fell from {costs[0]:.3f} to {costs[-1]:.3f}")
    assert costs[-1] < 0.3 * costs[0]
