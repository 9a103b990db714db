"""Batch normalization with running averages, and dropout that a flag turns off."""

import numpy as np

import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as T
from loopjax.compat.theano.tensor.nnet import bn
from loopjax.compat.theano.sandbox.rng_mrg import MRG_RandomStreams

srng = MRG_RandomStreams(seed=42)


def dropout(x, level, on):
    retain = 1.0 - level
    mask = srng.binomial(x.shape, p=retain, dtype=x.dtype)
    return T.switch(on, x * mask / retain, x)


def train():
    rng = np.random.RandomState(8)
    x = T.matrix("x")
    y = T.matrix("y")
    W1 = theano.shared(rng.randn(3, 10), name="W1")
    gamma, beta = theano.shared(np.ones(10)), theano.shared(np.zeros(10))
    mean, var = theano.shared(np.zeros(10)), theano.shared(np.ones(10))
    W2 = theano.shared(0.3 * rng.randn(10, 1), name="W2")
    pre = T.dot(x, W1) * 5 + 3
    normed, _, _, new_mean, new_var = bn.batch_normalization_train(
        pre, gamma, beta, axes="per-activation", running_mean=mean, running_var=var
    )
    tested = bn.batch_normalization_test(pre, gamma, beta, mean, var)

    def output(normed, on):
        return T.dot(dropout(T.nnet.elu(normed), 0.1, on), W2)

    cost = T.mean(T.sqr(output(normed, 1) - y))
    params = [W1, gamma, beta, W2]
    updates = [(p, p - 0.05 * g) for p, g in zip(params, theano.grad(cost, params))]
    updates += [(mean, new_mean), (var, new_var)]
    step = theano.function([x, y], cost, updates=updates)
    test = theano.function([x, y], T.mean(T.sqr(output(tested, 0) - y)))
    inputs = rng.randn(40, 3)
    targets = np.tanh(inputs.sum(axis=1, keepdims=True))
    losses = [float(step(inputs, targets)) for _ in range(80)]
    assert test(inputs, targets) < losses[0]
    return losses
