"""A variational autoencoder with Adam."""

import numpy as np

import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as T
from loopjax.compat.theano.sandbox.rng_mrg import MRG_RandomStreams

floatX = theano.config.floatX


def adam(loss, all_params, learning_rate=0.02, b1=0.9, b2=0.999, e=1e-8):
    updates = []
    all_grads = theano.grad(loss, all_params)
    t = theano.shared(np.float64(1).astype(floatX))
    for theta_previous, g in zip(all_params, all_grads):
        m_previous = theano.shared(np.zeros(theta_previous.get_value().shape, dtype=floatX))
        v_previous = theano.shared(np.zeros(theta_previous.get_value().shape, dtype=floatX))
        m = b1 * m_previous + (1 - b1) * g
        v = b2 * v_previous + (1 - b2) * g**2
        m_hat = m / (1 - b1**t)
        v_hat = v / (1 - b2**t)
        theta = theta_previous - (learning_rate * m_hat) / (T.sqrt(v_hat) + e)
        updates.append((m_previous, m))
        updates.append((v_previous, v))
        updates.append((theta_previous, theta))
    updates.append((t, t + 1.0))
    return updates


def train(n_x=8, n_h=8, n_z=2):
    rng = np.random.RandomState(0)
    srng = MRG_RandomStreams(seed=rng.randint(2147462579))

    def weight(*shape):
        return theano.shared(rng.normal(0, 0.3, shape).astype(floatX), borrow=True)

    W_h, W_mu, W_sigma, W_d, W_x = (
        weight(n_x, n_h),
        weight(n_h, n_z),
        weight(n_h, n_z),
        weight(n_z, n_h),
        weight(n_h, n_x),
    )
    biases = [theano.shared(np.zeros(n, dtype=floatX)) for n in (n_h, n_z, n_z, n_h, n_x)]
    b_h, b_mu, b_sigma, b_d, b_x = biases
    x = T.matrix("x")
    h = T.nnet.softplus(T.dot(x, W_h) + b_h)
    mu = T.dot(h, W_mu) + b_mu
    log_sigma = 0.5 * (T.dot(h, W_sigma) + b_sigma)
    eps = srng.normal(mu.shape, dtype=floatX)
    z = mu + T.exp(log_sigma) * eps
    decoded = T.nnet.sigmoid(T.dot(T.nnet.softplus(T.dot(z, W_d) + b_d), W_x) + b_x)
    log_p = -T.nnet.binary_crossentropy(decoded, x).sum(axis=1)
    kl = 0.5 * T.sum(1 + 2 * log_sigma - mu**2 - T.exp(2 * log_sigma), axis=1)
    lower_bound = T.mean(log_p + kl)
    params = [W_h, W_mu, W_sigma, W_d, W_x] + biases
    f = theano.function([x], lower_bound, updates=adam(-lower_bound, params))
    data = np.repeat(rng.binomial(1, 0.5, size=(3, n_x)), 10, axis=0).astype(floatX)
    return [-float(f(data)) for _ in range(120)]
