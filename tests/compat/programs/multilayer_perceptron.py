"""A multilayer perceptron with L1 and L2 penalties and momentum."""

import numpy as np

import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as T


class HiddenLayer(object):
    def __init__(self, rng, input, n_in, n_out, W=None, b=None, activation=T.tanh):
        self.input = input
        if W is None:
            bound = np.sqrt(6.0 / (n_in + n_out))
            W_values = np.asarray(rng.uniform(low=-bound, high=bound, size=(n_in, n_out)), dtype=theano.config.floatX)
            if activation == theano.tensor.nnet.sigmoid:
                W_values *= 4
            W = theano.shared(value=W_values, name="W", borrow=True)
        if b is None:
            b = theano.shared(value=np.zeros((n_out,), dtype=theano.config.floatX), name="b", borrow=True)
        self.W = W
        self.b = b
        lin_output = T.dot(input, self.W) + self.b
        self.output = lin_output if activation is None else activation(lin_output)
        self.params = [self.W, self.b]


def train():
    rng = np.random.RandomState(1234)
    x = T.matrix("x")
    y = T.ivector("y")
    hidden = HiddenLayer(rng, x, 2, 8, activation=T.nnet.sigmoid)
    output = HiddenLayer(rng, hidden.output, 8, 2, activation=None)
    p_y = T.nnet.softmax(output.output)
    params = hidden.params + output.params
    L1 = abs(hidden.W).sum() + abs(output.W).sum()
    L2_sqr = (hidden.W**2).sum() + (output.W**2).sum()
    nll = T.nnet.categorical_crossentropy(p_y, y).mean()
    cost = nll + 0.0001 * L1 + 0.0001 * L2_sqr
    gparams = [T.grad(cost, param) for param in params]
    updates = []
    for param, gparam in zip(params, gparams):
        velocity = theano.shared(param.get_value() * 0.0, broadcastable=param.broadcastable)
        updates.append((velocity, 0.9 * velocity - 0.3 * gparam))
        updates.append((param, param + velocity))
    step = theano.function([x, y], nll, updates=updates, allow_input_downcast=True, mode="FAST_RUN")
    points = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    losses = [float(step(points, [0, 1, 1, 0])) for _ in range(150)]
    predict = theano.function([x], T.argmax(p_y, axis=1), allow_input_downcast=True)
    assert list(predict(points)) == [0, 1, 1, 0]
    return losses
