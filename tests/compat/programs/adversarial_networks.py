"""A generator and a discriminator with their own costs; the generator learns a mean."""

import numpy as np

import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as T
from loopjax.compat.theano.sandbox.rng_mrg import MRG_RandomStreams as RandomStreams

sharedX = lambda X, name=None: theano.shared(np.asarray(X, dtype=theano.config.floatX), name=name)
leakyrectify = lambda x: T.nnet.relu(x, 0.2)
bce = T.nnet.binary_crossentropy


def train():
    rng = np.random.RandomState(42)
    srng = RandomStreams(seed=7)
    g_scale, g_shift = sharedX(1.0), sharedX(0.0)
    d_w1, d_b1 = sharedX(0.5 * rng.randn(1, 8)), sharedX(np.zeros(8))
    d_w2 = sharedX(0.5 * rng.randn(8, 1))

    def discrim(X, w1, b1, w2):
        return T.nnet.sigmoid(T.dot(leakyrectify(T.dot(X, w1) + b1), w2))

    X = T.matrix("X")
    gX = g_scale * srng.normal((64, 1)) + g_shift
    p_real, p_gen = discrim(X, d_w1, d_b1, d_w2), discrim(gX, d_w1, d_b1, d_w2)
    d_cost = bce(p_real, T.ones(p_real.shape)).mean() + bce(p_gen, T.zeros(p_gen.shape)).mean()
    g_cost = bce(p_gen, T.ones(p_gen.shape)).mean()
    d_updates = [(p, p - 0.1 * g) for p, g in zip([d_w1, d_b1, d_w2], T.grad(d_cost, [d_w1, d_b1, d_w2]))]
    g_updates = [(p, p - 0.1 * g) for p, g in zip([g_scale, g_shift], T.grad(g_cost, [g_scale, g_shift]))]
    train_d = theano.function([X], d_cost, updates=d_updates)
    train_g = theano.function([], g_cost, updates=g_updates)
    distances = []
    for _ in range(80):
        distances.append(abs(float(g_shift.get_value()) - 2.0))
        train_d(2.0 + 0.5 * rng.randn(64, 1))
        train_g()
    return distances
