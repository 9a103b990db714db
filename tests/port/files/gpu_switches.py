"""A program full of switches for GPUs: sandbox.cuda, device flags, the graph of a compiled function."""
import os
os.environ['THEANO_FLAGS'] = os.environ.get('THEANO_FLAGS', 'device=cpu,floatX=float32')
import numpy
import theano
import theano.sandbox.cuda
from theano import function, config, shared, sandbox
import theano.tensor as T
from theano.sandbox.cuda.basic_ops import host_from_gpu, gpu_from_host
try:
    from theano.sandbox.cuda.dnn import dnn_available
except ImportError, error:
    print error

config.floatX = 'float32'
theano.config.profile = False
vlen = 10 * 30 * 8
iters = 10
rng = numpy.random.RandomState(22)
x = shared(numpy.asarray(rng.rand(vlen), config.floatX))
f = function([], sandbox.cuda.basic_ops.gpu_from_host(T.exp(x)))
for i in xrange(iters):
    r = f()
if numpy.any([isinstance(node.op, T.Elemwise) and ('Gpu' not in type(node.op).__name__)
              for node in f.maker.fgraph.toposort()]):
    print 'Used the cpu'
else:
    print 'Used the gpu'
print numpy.asarray(r).dtype, abs(numpy.asarray(r) - numpy.exp(x.get_value())).max() < 1e-5
if theano.sandbox.cuda.cuda_available:
    theano.sandbox.cuda.use('gpu0')
print 'device', config.device
y = T.matrix('y')
g = function([y], host_from_gpu(gpu_from_host(T.dot(y, y.T))))
print '%.1f' % g(numpy.ones((3, vlen / 800), 'float32')).sum()
