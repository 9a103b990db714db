# An Elman network over scan, with a truncated gradient and momentum in OrderedDicts.
import numpy as np
import theano
from collections import OrderedDict
from itertools import izip
from theano import tensor as T

floatX = theano.config.floatX
theano.config.compute_test_value = 'off'


class RNN:
    def __init__(self, n_in, n_hid, n_out):
        def weight(rows, cols, seed):
            values = np.random.RandomState(seed).uniform(-.3, .3, (rows, cols))
            return theano.shared(values.astype(floatX))
        self.W_in = weight(n_in, n_hid, 1)
        self.W = weight(n_hid, n_hid, 2)
        self.W_out = weight(n_hid, n_out, 3)
        self.h0 = theano.shared(np.zeros(n_hid, dtype=floatX))
        self.params = [self.W_in, self.W, self.W_out, self.h0]
        self.x, self.t = T.matrix(), T.matrix()
        self.lr = T.scalar('lr')

        def step(x_t, h_tm1, W, W_in, W_out):
            h_t = T.tanh(T.dot(x_t, W_in) + T.dot(h_tm1, W))
            y_t = T.dot(h_t, W_out)
            return h_t, y_t
        [h, y], _ = theano.scan(step, sequences=self.x, outputs_info=[self.h0, None],
                                non_sequences=[self.W, self.W_in, self.W_out], truncate_gradient=8)
        self.error = ((y - self.t) ** 2).sum()
        self.updates = OrderedDict()
        for p, g in izip(self.params, T.grad(self.error, self.params)):
            v = theano.shared(p.get_value() * 0.)
            self.updates[v] = 0.9 * v - self.lr * g
            self.updates[p] = p + self.updates[v]
        self.train = theano.function([self.x, self.t, self.lr], self.error, updates=self.updates)


def main():
    n_hidden, length = 7, 30
    net = RNN(2, n_hidden, 1)
    u = np.sin(np.arange(length * 2)).reshape(length, 2)
    t = u[:, :1] * u[:, 1:]
    errors = []
    for i in xrange(100):
        errors.append(net.train(u, t, 0.0005))
    print '%.6f' % errors[0]
    print '%.4f' % errors[-1]
    print net.h0.get_value().dtype, len(net.updates.keys())


main()
