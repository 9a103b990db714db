"""borrow=True used as a view, test values, modes of debugging, givens as a list, updates with default_update."""
import numpy
import theano
import theano.tensor as T
from theano.compile.nanguardmode import NanGuardMode
from theano.compile.mode import Mode

theano.config.compute_test_value = 'ignore'
w = theano.shared(numpy.zeros((4, 3), dtype=theano.config.floatX), name='w', borrow=True)
w.get_value(borrow=True)[:] = 1.5
print 'sum', w.get_value().sum()
x = T.vector('x')
x.tag.test_value = numpy.ones(3, dtype=theano.config.floatX)
z = T.dot(w, x)
f = theano.function([x], z, mode=NanGuardMode(nan_is_error=True, inf_is_error=True, big_is_error=True))
print f([1, 2, 3]).tolist()
count = theano.shared(0)
count.default_update = count + 1
g = theano.function([], [count, z.sum()], givens=[(x, T.ones((3,)))], mode=Mode(linker='py', optimizer=None))
print [int(g()[0]) for _ in range(3)], count.get_value()
print T.matrix().broadcastable, T.row().broadcastable
