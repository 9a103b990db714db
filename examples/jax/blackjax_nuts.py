"""BlackJAX's NUTS samples the parameters of a state space model whose Kalman filter is a LoopJAX loop.

Needs blackjax. Run it with ``python -m examples.jax.blackjax_nuts``.
"""

from __future__ import annotations

import blackjax
import jax
import jax.numpy as jnp
import numpy as np

import loopjax
import loopjax.tensor as at


def main() -> np.ndarray:
    """Posterior means of the logarithms of both standard deviations of a local level model: 0.5 and 1."""
    rng = np.random.default_rng(1)
    level = np.cumsum(0.5 * rng.normal(size=300))
    y = (level + rng.normal(size=300)).astype("float32")

    series, scales = at.fvector("y"), at.fvector("scales")

    def step(y_t: at.Variable, mean: at.Variable, variance: at.Variable, scales: at.Variable) -> list[at.Variable]:
        predicted = variance + at.exp(2 * scales[0])
        total = predicted + at.exp(2 * scales[1])
        error, gain = y_t - mean, predicted / total
        return [mean + gain * error, (1 - gain) * predicted, -0.5 * (at.log(total) + error**2 / total)]

    start = [at.zeros((), dtype="float32"), at.ones((), dtype="float32"), None]
    (_, _, terms), _ = loopjax.scan(step, series, start, [scales])
    likelihood = loopjax.to_jax([series, scales], terms.sum(), name="level")

    def density(scales: jax.Array) -> jax.Array:
        return likelihood(y, scales) - 0.5 * (scales**2).sum()

    adaptation = blackjax.window_adaptation(blackjax.nuts, density)
    (state, tuned), _ = adaptation.run(jax.random.key(0), jnp.zeros(2), num_steps=200)
    kernel = jax.jit(blackjax.nuts(density, **tuned).step)
    draws = []
    for key in jax.random.split(jax.random.key(1), 200):
        state, _ = kernel(key, state)
        draws.append(np.asarray(state.position))
    return np.mean(draws, axis=0)


if __name__ == "__main__":
    means = main()
    print(f"standard deviations: {np.exp(means)}")
    assert abs(np.exp(means) - [0.5, 1.0]).max() < 0.2
