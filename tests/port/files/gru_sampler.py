"""A character model that samples: multinomial draws in scan with updates, a function with a state, Param defaults."""
import numpy as np
import theano
import theano.tensor as T
from theano import Param
from theano.tensor.shared_randomstreams import RandomStreams

srng = RandomStreams(seed=234)
n, k = 5, 8
rng = np.random.RandomState(1)


def weights(*shape):
    return theano.shared(rng.uniform(-1, 1, shape).astype(theano.config.floatX))

E, Wz, Wr, Wh = weights(n, k), weights(2 * k, k), weights(2 * k, k), weights(2 * k, k)
O = weights(k, n)


def cell(x, h):
    both = T.concatenate([x, h])
    z, r = T.nnet.sigmoid(T.dot(both, Wz)), T.nnet.sigmoid(T.dot(both, Wr))
    return (1 - z) * h + z * T.tanh(T.dot(T.concatenate([x, r * h]), Wh))


def sample(letter, h, temperature):
    h = cell(E[letter], h)
    p = T.nnet.softmax(T.dot(h, O) / temperature)
    draw = srng.multinomial(n=1, pvals=p, dtype='int64')
    return T.argmax(draw, axis=1)[0], h

steps = T.iscalar('steps')
temperature = T.scalar('temperature')
(letters, hs), updates = theano.scan(sample, outputs_info=[T.constant(2, dtype='int64'), T.zeros((k,))],
                                     non_sequences=temperature, n_steps=steps)
generate = theano.function([steps, Param(temperature, default=1.0)], letters, updates=updates)
a, b = generate(12), generate(12)
print a.shape, a.dtype, (a <> b).any()
print all(0 <= l < n for l in a)
state, inc = theano.shared(0), T.iscalar('inc')
accumulator = theano.function([inc], state, updates=[(state, state + inc)])
print accumulator(1), accumulator(300), state.get_value()
print generate(12, 0.05).shape[0]
