"""Logistic regression by minibatches, as a tutorial of the time would have it."""
import cPickle
import os
import sys
import time

import numpy

import theano
import theano.tensor as T


def shared_dataset(data_xy, borrow=True):
    data_x, data_y = data_xy
    shared_x = theano.shared(numpy.asarray(data_x, dtype=theano.config.floatX), borrow=borrow)
    shared_y = theano.shared(numpy.asarray(data_y, dtype=theano.config.floatX), borrow=borrow)
    return shared_x, T.cast(shared_y, 'int32')


class LogisticRegression(object):
    def __init__(self, input, n_in, n_out):
        self.W = theano.shared(value=numpy.zeros((n_in, n_out), dtype=theano.config.floatX), name='W', borrow=True)
        self.b = theano.shared(value=numpy.zeros((n_out,), dtype=theano.config.floatX), name='b', borrow=True)
        self.p_y_given_x = T.nnet.softmax(T.dot(input, self.W) + self.b)
        self.y_pred = T.argmax(self.p_y_given_x, axis=1)
        self.params = [self.W, self.b]

    def negative_log_likelihood(self, y):
        # the mean, so that the rate does not depend on the size of the batch
        return -T.mean(T.log(self.p_y_given_x)[T.arange(y.shape[0]), y])

    def errors(self, y):
        if y.ndim != self.y_pred.ndim:
            raise TypeError, ('y should have the same shape as self.y_pred', ('y', y.type))
        if y.dtype.startswith('int'):
            return T.mean(T.neq(self.y_pred, y))
        else:
            raise NotImplementedError()


def sgd_optimization(learning_rate=0.5, n_epochs=20, batch_size=10):
    rng = numpy.random.RandomState(3)
    data = rng.normal(size=(120, 4))
    labels = (data[:, 0] - data[:, 1] > 0) + 0
    train_set_x, train_set_y = shared_dataset((data, labels))
    n_train_batches = train_set_x.get_value(borrow=True).shape[0] / batch_size

    index = T.lscalar()  # index to a minibatch
    x = T.matrix('x')
    y = T.ivector('y')
    classifier = LogisticRegression(input=x, n_in=4, n_out=2)
    cost = classifier.negative_log_likelihood(y)
    g_W = T.grad(cost=cost, wrt=classifier.W)
    g_b = T.grad(cost=cost, wrt=classifier.b)
    updates = [(classifier.W, classifier.W - learning_rate * g_W),
               (classifier.b, classifier.b - learning_rate * g_b)]
    batch = slice(None)
    givens = {x: train_set_x[index * batch_size:(index + 1) * batch_size],
              y: train_set_y[index * batch_size:(index + 1) * batch_size]}
    train_model = theano.function(inputs=[index], outputs=cost, updates=updates, givens=givens)
    test_model = theano.function(inputs=[], outputs=classifier.errors(y), givens={x: train_set_x, y: train_set_y})
    start_time = time.clock()
    for epoch in xrange(n_epochs):
        for minibatch_index in xrange(n_train_batches):
            minibatch_avg_cost = train_model(minibatch_index)
    print >> sys.stderr, 'ran for %.2fm' % ((time.clock() - start_time) / 60.)
    print 'batches %d' % n_train_batches
    print 'errors %.3f' % test_model()
    print 'cost %.5f' % float(minibatch_avg_cost)
    saved = cPickle.dumps([p.get_value(borrow=True) for p in classifier.params], protocol=cPickle.HIGHEST_PROTOCOL)
    print 'sum %.5f' % abs(cPickle.loads(saved)[0]).sum()


if __name__ == '__main__':
    sgd_optimization()
