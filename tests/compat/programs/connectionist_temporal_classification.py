"""Connectionist temporal classification, written with scans over probabilities in log space."""

import numpy as np

import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as tt

eps, epsinv = 1e-20, 1e20


def safe_log(x):
    return tt.log(tt.maximum(x, eps).astype(theano.config.floatX))


def safe_exp(x):
    return tt.exp(tt.minimum(x, epsinv).astype(theano.config.floatX))


def logadd_simple(x, y):
    return x + safe_log(1 + safe_exp(y - x))


def logadd(x, y, *zs):
    larger = tt.maximum(x, y)
    smaller = tt.minimum(x, y)
    summed = larger + tt.log1p(tt.exp(smaller - larger))
    return logadd(summed, *zs) if zs else summed


class LogCTC(object):
    @staticmethod
    def cost(labels, predict, blank):
        n = labels.shape[0]
        labels2 = tt.concatenate((labels, [blank, blank]))
        sec_diag = tt.neq(labels2[:-2], labels2[2:]) * tt.eq(labels2[1:-1], blank)
        minus_inf = tt.cast(-1e10, theano.config.floatX)
        skip = tt.switch(LogCTC.shifted(sec_diag, n), 0.0, -1e10)
        pred_y = safe_log(predict[:, labels])
        first = tt.switch(tt.lt(tt.arange(n), 2), pred_y[0], minus_inf)

        def step(row, prev):
            one = tt.concatenate([[minus_inf], prev[:-1]])
            two = tt.concatenate([[minus_inf, minus_inf], prev[:-2]]) + skip
            return row + logadd(prev, one, two)

        probs, _ = theano.scan(step, sequences=[pred_y[1:]], outputs_info=[first])
        last = probs[-1]
        return -logadd(last[-1], last[-2])

    @staticmethod
    def shifted(sec_diag, n):
        return tt.concatenate([tt.zeros((2,), dtype=sec_diag.dtype), sec_diag])[:n]


def train():
    rng = np.random.RandomState(4)
    n_in, n_classes, blank = 4, 4, 3
    x = tt.matrix("x")
    labels = tt.ivector("labels")
    W = theano.shared((0.1 * rng.randn(n_in, n_classes)).astype(theano.config.floatX))
    predict = tt.nnet.softmax(tt.dot(x, W))
    cost = LogCTC.cost(labels, predict, blank)
    step = theano.function([x, labels], cost, updates=[(W, W - 0.3 * tt.grad(cost, W))])
    frames = np.repeat(np.eye(4)[[0, 3, 1, 3, 2]], 2, axis=0).astype(theano.config.floatX)
    return [float(step(frames, np.array([3, 0, 3, 1, 3, 2, 3], "int32"))) for _ in range(30)]
