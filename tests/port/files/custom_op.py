"""An op of one's own with perform and grad, another by as_op, printing in the graph, a checked gradient."""
import numpy
import theano
import theano.tensor as T
from theano import gof
from theano.compile.ops import as_op
from theano.tests import unittest_tools as utt


class Cumulative(gof.Op):
    __props__ = ()

    def make_node(self, x):
        x = T.as_tensor_variable(x)
        return gof.Apply(self, [x], [x.type()])

    def perform(self, node, inputs, output_storage):
        output_storage[0][0] = numpy.cumsum(inputs[0])

    def infer_shape(self, node, i0_shapes):
        return i0_shapes

    def grad(self, (x,), (gz,)):
        return [Cumulative()(gz[::-1])[::-1]]

    def c_code_cache_version(self):
        return (1,)


@as_op(itypes=[T.dmatrix, T.dmatrix], otypes=[T.dmatrix])
def numpy_dot(a, b):
    return numpy.dot(a, b)

x = T.dvector('x')
y = Cumulative()(x)
shown = theano.printing.Print('y', attrs=('shape',))(y)
f = theano.function([x], [shown, T.grad((y ** 2).sum(), x)])
value, slope = f(numpy.array([1., 2., 3.]))
print value.tolist(), slope.tolist()
m = T.dmatrix('m')
print theano.function([m], numpy_dot(m, m.T))(numpy.eye(2) * 3).sum()
T.verify_grad(Cumulative(), [numpy.array([.5, -1., 2.])], rng=numpy.random)
print 'gradient is right'
try:
    f([[1.]])
except TypeError, e:
    print 'TypeError'
