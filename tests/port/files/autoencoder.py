"""A denoising autoencoder on the streams of the sandbox, with dictionaries of old and a class of new style."""
import numpy
import theano
import theano.tensor as T
from theano.sandbox.rng_mrg import MRG_RandomStreams as RandomStreams


class dA(object):
    u"""Tied weights."""

    def __init__(self, (n_visible, n_hidden), corruption=0.3):
        rng = numpy.random.RandomState(89677)
        self.theano_rng = RandomStreams(rng.randint(2 ** 30))
        self.params = {}
        self.params['W'] = theano.shared(numpy.asarray(rng.normal(0, .1, (n_visible, n_hidden)), theano.config.floatX))
        self.params['b'] = theano.shared(numpy.zeros(n_hidden, theano.config.floatX))
        self.params['b_prime'] = theano.shared(numpy.zeros(n_visible, theano.config.floatX))
        self.corruption = corruption

    def cost_updates(self, x, learning_rate):
        mask = self.theano_rng.binomial(size=x.shape, n=1, p=1 - self.corruption, dtype=theano.config.floatX)
        W, b, c = [self.params[k] for k in ('W', 'b', 'b_prime')]
        y = T.nnet.sigmoid(T.dot(mask * x, W) + b)
        z = T.nnet.sigmoid(T.dot(y, W.T) + c)
        L = -T.sum(x * T.log(z) + (1 - x) * T.log(1 - z), axis=1)
        cost = T.mean(L)
        if self.params.has_key('W'):
            keys = self.params.keys()
            keys.sort()
        gparams = T.grad(cost, [self.params[k] for k in keys])
        return cost, [(self.params[k], self.params[k] - learning_rate * g) for k, g in zip(keys, gparams)]


x = T.matrix('x')
da = dA((16, 8))
cost, updates = da.cost_updates(x, 0.5)
train = theano.function([x], cost, updates=updates)
data = numpy.asarray(numpy.eye(4).repeat(4, 1), dtype=theano.config.floatX)
costs = map(lambda i: train(data), range(300))
print u'falls', costs[-1] < costs[0] * .8
for name, value in sorted(da.params.iteritems()):
    print name, `value.get_value().shape`, value.name <> name
