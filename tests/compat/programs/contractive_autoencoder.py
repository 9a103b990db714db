"""A contractive autoencoder: the norm of the encoder's Jacobian is a part of the cost."""

import numpy as np

import loopjax.compat.theano as theano
from loopjax.compat.theano import tensor as T


def train():
    rng = np.random.RandomState(5)
    floatX = theano.config.floatX
    W = theano.shared((0.3 * rng.randn(6, 4)).astype(floatX), name="W")
    b = theano.shared(np.zeros(4, floatX), name="b")
    c = theano.shared(np.zeros(6, floatX), name="c")
    x = T.matrix("x")
    h = T.nnet.sigmoid(T.dot(x, W) + b)
    r = T.dot(h, W.T) + c
    jacobian = T.reshape(h * (1 - h), (h.shape[0], 1, 4)) * T.reshape(W, (1, 6, 4))
    contraction = T.sum(jacobian**2) / x.shape[0]
    cost = T.mean(T.sum(T.sqr(x - r), axis=1)) + 0.01 * contraction
    updates = dict((p, p - 0.05 * g) for p, g in zip([W, b, c], theano.grad(cost, [W, b, c])))
    f = theano.function([x], [cost, contraction], updates=updates)
    data = rng.randn(30, 2).dot(rng.randn(2, 6)).astype(floatX)
    return [float(f(data)[0]) for _ in range(60)]
