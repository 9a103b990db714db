"""A highway network: layers in a Python loop, weights stacked and scanned over, learning rate that decays."""

import numpy as np

import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as T


def train(n_layers=4, dim=6):
    rng = np.random.RandomState(13)
    W_h = theano.shared(0.4 * rng.randn(n_layers, dim, dim), name="W_h")
    W_t = theano.shared(0.4 * rng.randn(n_layers, dim, dim), name="W_t")
    b_t = theano.shared(-1.0 * np.ones((n_layers, dim)), name="b_t")
    w_out = theano.shared(0.4 * rng.randn(dim), name="w_out")
    x = T.matrix("x")
    y = T.vector("y")

    def layer(W_h, W_t, b_t, h):
        t = T.nnet.sigmoid(T.dot(h, W_t) + b_t)
        return t * T.nnet.relu(T.dot(h, W_h)) + (1 - t) * h

    h, _ = theano.reduce(layer, sequences=[W_h, W_t, b_t], outputs_info=x)
    p = T.nnet.sigmoid(T.dot(h, w_out))
    cost = T.nnet.binary_crossentropy(p, y).mean()
    params = [W_h, W_t, b_t, w_out]
    lr = theano.shared(np.array(4.0, dtype=theano.config.floatX))
    grads = T.grad(cost, params)
    step = theano.function([x, y], cost, updates=[(p_, p_ - lr * g) for p_, g in zip(params, grads)])
    decay = theano.function([], [], updates={lr: lr * 0.99})
    inputs = rng.randn(40, dim)
    labels = (inputs[:, 0] * inputs[:, 1] > 0) * 1.0
    losses = []
    for _ in range(60):
        losses.append(float(step(inputs, labels)))
        decay()
    return losses
