"""Convolutions by the module of the time, pooling by downsample."""
import numpy
import theano
import theano.tensor as T
from theano.tensor.signal import downsample
from theano.tensor.nnet import conv


class LeNetConvPoolLayer(object):
    def __init__(self, rng, input, filter_shape, image_shape, poolsize=(2, 2)):
        assert image_shape[1] == filter_shape[1]
        fan_in = numpy.prod(filter_shape[1:])
        fan_out = (filter_shape[0] * numpy.prod(filter_shape[2:]) / numpy.prod(poolsize))
        W_bound = numpy.sqrt(6. / (fan_in + fan_out))
        self.W = theano.shared(numpy.asarray(rng.uniform(low=-W_bound, high=W_bound, size=filter_shape),
                                             dtype=theano.config.floatX), borrow=True)
        self.b = theano.shared(value=numpy.zeros((filter_shape[0],), dtype=theano.config.floatX), borrow=True)
        conv_out = conv.conv2d(input=input, filters=self.W, filter_shape=filter_shape, image_shape=image_shape)
        pooled_out = downsample.max_pool_2d(input=conv_out, ds=poolsize, ignore_border=True)
        self.output = T.tanh(pooled_out + self.b.dimshuffle('x', 0, 'x', 'x'))
        self.params = [self.W, self.b]


def main():
    rng = numpy.random.RandomState(23455)
    side, batch_size, nkerns = 12, 2, [3, 4]
    x = T.matrix('x')
    layer0_input = x.reshape((batch_size, 1, side, side))
    layer0 = LeNetConvPoolLayer(rng, layer0_input, filter_shape=(nkerns[0], 1, 3, 3),
                                image_shape=(batch_size, 1, side, side))
    side = (side - 3 + 1) / 2
    layer1 = LeNetConvPoolLayer(rng, layer0.output, filter_shape=(nkerns[1], nkerns[0], 2, 2),
                                image_shape=(batch_size, nkerns[0], side, side))
    side = (side - 2 + 1) / 2
    out = layer1.output.flatten(2)
    f = theano.function([x], [out.shape[1], out.sum(), T.grad(out.sum(), layer0.W)], on_unused_input='ignore')
    features, total, gradient = f(numpy.arange(batch_size * 144).reshape(batch_size, 144) / 288.)
    print 'side %d features %d' % (side, features)
    print 'total %.6f' % total
    print 'gradient', gradient.shape, '%.6f' % gradient.sum()


if __name__ == '__main__':
    main()
