"""NumPyro's NUTS samples three models whose likelihoods are loops: AR(2), GARCH(1, 1) and a hidden Markov model.

Needs numpyro. Run it with ``python -m examples.jax.numpyro_nuts``.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from numpyro.infer import MCMC, NUTS

import loopjax
import loopjax.tensor as at


def sampled(model: object, *data: np.ndarray) -> dict[str, np.ndarray]:
    """Means of the posterior by NUTS."""
    mcmc = MCMC(NUTS(model), num_warmup=150, num_samples=200, progress_bar=False)
    mcmc.run(jax.random.key(0), *map(jnp.asarray, data))
    return {name: np.asarray(values).mean(0) for name, values in mcmc.get_samples().items()}


def autoregression(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Coefficients of an AR(2) process: 0.6 and -0.3."""
    y = np.zeros(300, "float32")
    for t in range(2, 300):
        y[t] = 0.6 * y[t - 1] - 0.3 * y[t - 2] + 0.5 * rng.normal()
    series, a, b, scale = at.fvector("y"), at.fscalar("a"), at.fscalar("b"), at.fscalar("scale")
    terms, _ = loopjax.scan(
        lambda two, one, now, a, b, scale: -0.5 * ((now - a * one - b * two) / scale) ** 2 - at.log(scale),
        {"input": series, "taps": [-2, -1, 0]},
        non_sequences=[a, b, scale],
    )
    likelihood = loopjax.to_jax([series, a, b, scale], terms.sum(), name="ar2")

    def model(y: jax.Array) -> None:
        a, b = numpyro.sample("a", dist.Normal(0, 1)), numpyro.sample("b", dist.Normal(0, 1))
        scale = numpyro.sample("scale", dist.HalfNormal(1))
        numpyro.factor("y", likelihood(y, a, b, scale))

    return sampled(model, y)


def volatility(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """A GARCH(1, 1) model with persistence ``alpha + beta`` of 0.9."""
    r, v = np.zeros(600, "float32"), 1.0
    for t in range(1, 600):
        v = 0.1 + 0.3 * r[t - 1] ** 2 + 0.6 * v
        r[t] = np.sqrt(v) * rng.normal()
    returns, alpha, beta = at.fvector("r"), at.fscalar("alpha"), at.fscalar("beta")
    (_, terms), _ = loopjax.scan(
        lambda now, v, alpha, beta: [0.1 + alpha * now**2 + beta * v, -0.5 * (at.log(v) + now**2 / v)],
        returns,
        [at.ones((), dtype="float32"), None],
        [alpha, beta],
    )
    likelihood = loopjax.to_jax([returns, alpha, beta], terms.sum(), name="garch")

    def model(r: jax.Array) -> None:
        alpha, beta = numpyro.sample("alpha", dist.Beta(2, 4)), numpyro.sample("beta", dist.Beta(4, 2))
        numpyro.factor("r", likelihood(r, alpha, beta))

    return sampled(model, r)


def hidden_markov(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Means -1 and 2 of the two states of a hidden Markov model."""
    states = np.zeros(300, int)
    for t in range(1, 300):
        states[t] = states[t - 1] if rng.random() < 0.9 else 1 - states[t - 1]
    y = (np.array([-1.0, 2.0])[states] + 0.7 * rng.normal(size=300)).astype("float32")
    series, means = at.fvector("y"), at.fvector("means")
    log_step = np.log(np.array([[0.9, 0.1], [0.1, 0.9]], "float32"))
    forward, _ = loopjax.scan(
        lambda now, alpha, means: at.logsumexp(alpha[:, None] + log_step, axis=0) - 0.5 * ((now - means) / 0.7) ** 2,
        series,
        at.zeros(2, dtype="float32"),
        [means],
    )
    likelihood = loopjax.to_jax([series, means], at.logsumexp(forward[-1]), name="hmm")

    def model(y: jax.Array) -> None:
        means = numpyro.sample("means", dist.Normal(jnp.array([-0.5, 0.5]), 1.5).to_event(1))
        numpyro.factor("y", likelihood(y, means))

    return sampled(model, y)


if __name__ == "__main__":
    generator = np.random.default_rng(0)
    ar, garch, hmm = autoregression(generator), volatility(generator), hidden_markov(generator)
    print(f"AR(2): {ar}\nGARCH(1, 1): {garch}\nhidden Markov model: {hmm}")
    assert abs(ar["a"] - 0.6) < 0.15
    assert abs(ar["b"] + 0.3) < 0.15
    assert abs(garch["alpha"] + garch["beta"] - 0.9) < 0.1
    assert abs(hmm["means"] - [-1, 2]).max() < 0.3
