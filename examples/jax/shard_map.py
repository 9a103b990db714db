"""A loop within ``jax.shard_map`` with its defaults: each of eight devices runs it on its own series.

The initial state is zeros, the devices' costs are averaged by a collective, and the gradient of the weights that all
share is that of the average. Run it with ``python -m examples.jax.shard_map``.
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


def main() -> float:
    """Returns the largest difference of the gradient from that of one device."""
    x, W = at.ftensor3("x"), at.fmatrix("W")
    start = at.zeros((x.shape[1], 4), dtype="float32")
    h, _ = loopjax.scan(lambda x_t, h, W: at.tanh(x_t + h @ W), x, start, [W])
    cost = loopjax.to_jax([x, W], (h[-1] ** 2).mean())

    rng = np.random.default_rng(0)
    series = jnp.asarray(rng.normal(size=(10, 16, 4)), "float32")
    weights = jnp.asarray(0.4 * rng.normal(size=(4, 4)), "float32")

    mesh = jax.make_mesh((8,), ("series",))

    @jax.shard_map(mesh=mesh, in_specs=(PartitionSpec(None, "series"), PartitionSpec()), out_specs=PartitionSpec())
    def mean_cost(x: jax.Array, W: jax.Array) -> jax.Array:
        return jax.lax.pmean(cost(x, W), "series")

    apart = jax.device_put(series, NamedSharding(mesh, PartitionSpec(None, "series")))
    value, slope = jax.jit(jax.value_and_grad(mean_cost, argnums=1))(apart, weights)
    wanted, wanted_slope = jax.value_and_grad(cost, argnums=1)(series, weights)
    np.testing.assert_allclose(value, wanted, rtol=1e-5)
    return float(abs(np.asarray(slope) - np.asarray(wanted_slope)).max())


if __name__ == "__main__":
    error = main()
    print(f"gradient of eight devices and of one differ by {error:.1e}")
    assert error < 1e-6
