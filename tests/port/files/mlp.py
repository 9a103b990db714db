"""A perceptron with a hidden layer: weight decay, a cast of a number, reduce, and lists of updates."""
import numpy
import theano
import theano.tensor as T


class HiddenLayer(object):
    def __init__(self, rng, input, n_in, n_out, W=None, activation=T.tanh):
        self.input = input
        if W is None:
            W_values = numpy.asarray(rng.uniform(low=-numpy.sqrt(6. / (n_in + n_out)),
                                                 high=numpy.sqrt(6. / (n_in + n_out)),
                                                 size=(n_in, n_out)), dtype=theano.config.floatX)
            if activation == theano.tensor.nnet.sigmoid:
                W_values *= 4
            W = theano.shared(value=W_values, name='W', borrow=True)
        self.W = W
        self.b = theano.shared(value=numpy.zeros((n_out,), dtype=theano.config.floatX), name='b', borrow=True)
        lin_output = T.dot(input, self.W) + self.b
        self.output = (lin_output if activation is None else activation(lin_output))
        self.params = [self.W, self.b]


def main(n_hidden=6):
    rng = numpy.random.RandomState(1234)
    x = T.matrix('x')
    y = T.vector('y')
    layers = [HiddenLayer(rng, x, 3, n_hidden)]
    layers.append(HiddenLayer(rng, layers[-1].output, n_hidden, n_hidden / 2, activation=T.nnet.sigmoid))
    layers.append(HiddenLayer(rng, layers[-1].output, n_hidden / 2, 1, activation=None))
    params = reduce(lambda a, b: a + b, [layer.params for layer in layers])
    L2_sqr = sum([(p ** 2).sum() for p in params if p.ndim == 2])
    cost = T.mean((layers[-1].output.flatten() - y) ** 2) + numpy.cast[theano.config.floatX](0.001) * L2_sqr
    gparams = []
    for param in params:
        gparam = T.grad(cost, param)
        gparams.append(gparam)
    updates = []
    for param, gparam in zip(params, gparams):
        updates.append((param, param - 0.1 * gparam))
    train = theano.function([x, y], cost, updates=updates, allow_input_downcast=True, mode='FAST_RUN')
    data = numpy.linspace(-1, 1, 60).reshape(20, 3)
    target = numpy.sin(data.sum(1))
    costs = [train(data, target) for i in range(200)]
    print "parameters", len(params), params[2].get_value().shape
    print "first", "%.6f" % costs[0]
    print "last", "%.6f" % costs[-1]
    print "falls", costs[-1] < costs[0] / 2


if __name__ == '__main__':
    main()
