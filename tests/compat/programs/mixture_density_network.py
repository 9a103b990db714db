"""A mixture density network: logarithms of sums of exponentials, as users wrote them."""

import numpy as np

import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as T


def log_sum_exp(x, axis=None):
    x_max = T.max(x, axis=axis, keepdims=True)
    return T.log(T.sum(T.exp(x - x_max), axis=axis, keepdims=True)) + x_max


def train(n_hidden=10, n_components=3):
    rng = np.random.RandomState(3)
    shapes = [(1, n_hidden), (n_hidden,)] + [(n_hidden, n_components)] * 3
    params = [theano.shared(0.5 * rng.randn(*shape), name="p%d" % i) for i, shape in enumerate(shapes)]
    W, b, W_mu, W_sigma, W_alpha = params
    x, y = T.matrices("x", "y")
    h = T.tanh(T.dot(x, W) + b)
    mu = T.dot(h, W_mu)
    sigma = T.nnet.softplus(T.dot(h, W_sigma)) + 0.1
    alpha = T.nnet.softmax(T.dot(h, W_alpha))
    exponent = -0.5 * T.sqr((T.addbroadcast(y, 1) - mu) / sigma)
    normalizer = 0.5 * T.log(2 * np.pi) + T.log(sigma)
    nll = -T.mean(log_sum_exp(exponent + T.log(alpha) - normalizer, axis=1))
    updates = [(p, p - 0.05 * g) for p, g in zip(params, T.grad(nll, params))]
    step = theano.function(inputs=[x, y], outputs=nll, updates=updates)
    targets = rng.uniform(-1, 1, (60, 1))
    inputs = targets + 0.3 * np.sin(6 * targets)
    return [float(step(inputs, targets)) for _ in range(60)]
