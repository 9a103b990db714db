"""LeNet: convolutions with pooling, then a hidden layer."""

import numpy

import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as T
from loopjax.compat.theano.tensor.nnet import conv2d
from loopjax.compat.theano.tensor.signal import downsample


class LeNetConvPoolLayer(object):
    def __init__(self, rng, input, filter_shape, image_shape, poolsize=(2, 2)):
        assert image_shape[1] == filter_shape[1]
        self.input = input
        fan_in = numpy.prod(filter_shape[1:])
        fan_out = filter_shape[0] * numpy.prod(filter_shape[2:]) // numpy.prod(poolsize)
        W_bound = numpy.sqrt(6.0 / (fan_in + fan_out))
        self.W = theano.shared(
            numpy.asarray(rng.uniform(low=-W_bound, high=W_bound, size=filter_shape), dtype=theano.config.floatX),
            borrow=True,
        )
        b_values = numpy.zeros((filter_shape[0],), dtype=theano.config.floatX)
        self.b = theano.shared(value=b_values, borrow=True)
        conv_out = conv2d(input=input, filters=self.W, filter_shape=filter_shape, input_shape=image_shape)
        pooled_out = downsample.max_pool_2d(input=conv_out, ds=poolsize, ignore_border=True)
        self.output = T.tanh(pooled_out + self.b.dimshuffle("x", 0, "x", "x"))
        self.params = [self.W, self.b]


def train(batch_size=10):
    rng = numpy.random.RandomState(23455)
    images = 0.3 * rng.randn(40, 8, 8)
    labels = rng.randint(2, size=40)
    images[labels == 0, 2:4] += 1
    images[labels == 1, :, 2:4] += 1
    train_set_x = theano.shared(numpy.asarray(images.reshape(40, -1), dtype=theano.config.floatX))
    train_set_y = T.cast(theano.shared(numpy.asarray(labels, dtype=theano.config.floatX)), "int32")
    index = T.lscalar()
    x = T.matrix("x")
    y = T.ivector("y")
    layer0_input = x.reshape((batch_size, 1, 8, 8))
    layer0 = LeNetConvPoolLayer(rng, layer0_input, image_shape=(batch_size, 1, 8, 8), filter_shape=(3, 1, 3, 3))
    layer1_input = layer0.output.flatten(2)
    W = theano.shared(numpy.asarray(0.1 * rng.randn(27, 2), theano.config.floatX))
    p_y = T.nnet.softmax(T.dot(layer1_input, W))
    cost = -T.mean(T.log(p_y)[T.arange(y.shape[0]), y])
    params = layer0.params + [W]
    grads = T.grad(cost, params)
    updates = [(param_i, param_i - 0.3 * grad_i) for param_i, grad_i in zip(params, grads)]
    train_model = theano.function(
        [index],
        cost,
        updates=updates,
        givens={
            x: train_set_x[index * batch_size : (index + 1) * batch_size],
            y: train_set_y[index * batch_size : (index + 1) * batch_size],
        },
    )
    return [numpy.mean([train_model(i) for i in range(4)]) for _ in range(8)]
