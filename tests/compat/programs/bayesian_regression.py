"""A posterior by gradient ascent and Langevin noise, in PyTensor's style."""

import numpy as np

import loopjax.compat.pytensor as pytensor
import loopjax.compat.pytensor.tensor as pt


def logp(slope, intercept, log_sigma, x, y):
    sigma = pt.exp(log_sigma)
    residual = (y - (slope * x + intercept)) / sigma
    likelihood = pt.sum(-0.5 * pt.square(residual) - log_sigma - 0.5 * pt.log(2 * np.pi))
    prior = -0.5 * (pt.square(slope) + pt.square(intercept)) / 100
    return likelihood + prior


def train():
    rng = np.random.default_rng(1)
    x = pt.vector("x", shape=(50,))
    y = pt.vector("y", shape=(50,))
    theta = pt.dvector("theta", shape=(3,))
    value = logp(theta[0], theta[1], theta[2], x, y)
    score = pt.grad(value, theta)
    key = pytensor.shared(np.random.default_rng(3), name="rng")
    next_key, noise = pt.random.normal(size=(3,), rng=key, return_next_rng=True)
    moved = theta + 2e-3 * score + 1e-3 * noise
    step = pytensor.function([theta, x, y], [value, moved], updates={key: next_key})
    inputs = rng.normal(size=50)
    targets = 2 * inputs - 1 + 0.3 * rng.normal(size=50)
    point = np.zeros(3)
    losses = []
    for _ in range(150):
        value, point = step(point, inputs, targets)
        losses.append(-float(value))
    assert np.allclose(point[:2], [2, -1], atol=0.3)
    return losses
