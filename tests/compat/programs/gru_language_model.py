"""A recurrent network with gated units that predicts the next character; RMSprop with clipped gradients."""

import numpy as np

import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as T


class GRUTheano:
    def __init__(self, word_dim, hidden_dim=12, bptt_truncate=-1):
        self.bptt_truncate = bptt_truncate
        np.random.seed(10)
        bound = np.sqrt(1.0 / hidden_dim)
        E = np.random.uniform(-bound, bound, (hidden_dim, word_dim))
        U = np.random.uniform(-bound, bound, (3, hidden_dim, hidden_dim))
        W = np.random.uniform(-bound, bound, (3, hidden_dim, hidden_dim))
        V = np.random.uniform(-bound, bound, (word_dim, hidden_dim))
        self.E = theano.shared(name="E", value=E.astype(theano.config.floatX))
        self.U = theano.shared(name="U", value=U.astype(theano.config.floatX))
        self.W = theano.shared(name="W", value=W.astype(theano.config.floatX))
        self.V = theano.shared(name="V", value=V.astype(theano.config.floatX))
        self.b = theano.shared(name="b", value=np.zeros((3, hidden_dim)).astype(theano.config.floatX))
        self.c = theano.shared(name="c", value=np.zeros(word_dim).astype(theano.config.floatX))
        self.params = [self.E, self.U, self.W, self.V, self.b, self.c]
        self.hidden_dim = hidden_dim
        self.__theano_build__()

    def __theano_build__(self):
        E, V, U, W, b, c = self.E, self.V, self.U, self.W, self.b, self.c
        x = T.ivector("x")
        y = T.ivector("y")

        def forward_prop_step(x_t, s_t1_prev):
            x_e = E[:, x_t]
            z_t1 = T.nnet.hard_sigmoid(U[0].dot(x_e) + W[0].dot(s_t1_prev) + b[0])
            r_t1 = T.nnet.hard_sigmoid(U[1].dot(x_e) + W[1].dot(s_t1_prev) + b[1])
            c_t1 = T.tanh(U[2].dot(x_e) + W[2].dot(s_t1_prev * r_t1) + b[2])
            s_t1 = (T.ones_like(z_t1) - z_t1) * c_t1 + z_t1 * s_t1_prev
            # The softmax of a vector is a row.
            o_t = T.nnet.softmax(V.dot(s_t1) + c)[0]
            return [o_t, s_t1]

        [o, s], updates = theano.scan(
            forward_prop_step,
            sequences=x,
            truncate_gradient=self.bptt_truncate,
            outputs_info=[None, dict(initial=T.zeros(self.hidden_dim))],
        )
        prediction = T.argmax(o, axis=1)
        o_error = T.sum(T.nnet.categorical_crossentropy(o, y))
        grads = [T.clip(g, -5, 5) for g in T.grad(o_error, self.params)]
        caches = [theano.shared(np.zeros(p.get_value().shape).astype(theano.config.floatX)) for p in self.params]
        learning_rate = T.scalar("learning_rate")
        decay = T.scalar("decay")
        new = [decay * m + (1 - decay) * g**2 for m, g in zip(caches, grads)]
        self.predict_class = theano.function([x], prediction)
        self.ce_error = theano.function([x, y], o_error)
        self.sgd_step = theano.function(
            [x, y, learning_rate, theano.Param(decay, default=0.9)],
            [],
            updates=[(p, p - learning_rate * g / T.sqrt(m + 1e-6)) for p, g, m in zip(self.params, grads, new)]
            + list(zip(caches, new)),
        )


def train():
    text = "hello world, hello loops"
    characters = sorted(set(text))
    numbers = [characters.index(one) for one in text]
    model = GRUTheano(len(characters))
    losses = []
    for _ in range(40):
        losses.append(float(model.ce_error(numbers[:-1], numbers[1:])))
        model.sgd_step(numbers[:-1], numbers[1:], 0.02)
    assert np.mean(model.predict_class(numbers[:-1]) == numbers[1:]) > 0.7
    return losses
