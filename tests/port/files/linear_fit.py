#!/usr/bin/env python
import theano, numpy as np
import theano.tensor as T
import theano.tensor

theano.config.floatX = 'float64'
theano.config.optimizer = 'fast_compile'
theano.config.exception_verbosity = 'high'

# a line by gradient descent: everything in one script
trX = np.linspace(-1, 1, 101)
trY = 2 * trX + 0.25
X = T.scalar()
Y = T.scalar()


def model(X, w, c):
    return X * w + c

w = theano.shared(np.asarray(0., dtype=theano.config.floatX))
c = theano.shared(np.asarray(0., dtype=theano.config.floatX))
y = model(X, w, c)
cost = T.mean(T.sqr(y - Y))
gradient = T.grad(cost=cost, wrt=w)
updates = [[w, w - gradient * 0.01], [c, c - T.grad(cost, c) * 0.01]]
train = theano.function(inputs=[X, Y], outputs=cost, updates=updates, allow_input_downcast=True,
                        mode=theano.Mode(linker='vm', optimizer='fast_run'))
for i in range(20):
    for x, t in zip(trX, trY):
        train(x, t)
print "%.3f %.3f" % (w.get_value(), c.get_value())
print theano.printing.pp(T.sqr(X) + 1) != '', theano.tensor.vector('v').type == T.dvector
half = len(trX) / 2
print "half", half, trX[:half].shape[0]
