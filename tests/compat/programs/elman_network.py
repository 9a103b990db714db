"""An Elman network with context windows and normalized embeddings, saved and loaded by parameter."""

import os
import tempfile
from collections import OrderedDict

import numpy

import loopjax.compat.theano as theano
from loopjax.compat.theano import tensor as T


class model(object):
    def __init__(self, nh, nc, ne, de, cs):
        rng = numpy.random.RandomState(7)

        def uniform(*shape):
            return theano.shared(0.2 * rng.uniform(-1.0, 1.0, shape).astype(theano.config.floatX))

        self.emb = uniform(ne + 1, de)
        self.Wx = uniform(de * cs, nh)
        self.Wh = uniform(nh, nh)
        self.W = uniform(nh, nc)
        self.bh = theano.shared(numpy.zeros(nh, dtype=theano.config.floatX))
        self.b = theano.shared(numpy.zeros(nc, dtype=theano.config.floatX))
        self.h0 = theano.shared(numpy.zeros(nh, dtype=theano.config.floatX))
        self.params = [self.emb, self.Wx, self.Wh, self.W, self.bh, self.b, self.h0]
        self.names = ["embeddings", "Wx", "Wh", "W", "bh", "b", "h0"]
        idxs = T.imatrix()
        x = self.emb[idxs].reshape((idxs.shape[0], de * cs))
        y = T.iscalar("y")

        def recurrence(x_t, h_tm1):
            h_t = T.nnet.sigmoid(T.dot(x_t, self.Wx) + T.dot(h_tm1, self.Wh) + self.bh)
            s_t = T.nnet.softmax(T.dot(h_t, self.W) + self.b)
            return [h_t, s_t]

        [h, s], _ = theano.scan(fn=recurrence, sequences=x, outputs_info=[self.h0, None], n_steps=x.shape[0])
        p_y_given_x_lastword = s[-1, 0, :]
        p_y_given_x_sentence = s[:, 0, :]
        y_pred = T.argmax(p_y_given_x_sentence, axis=1)
        lr = T.scalar("lr")
        nll = -T.mean(T.log(p_y_given_x_lastword)[y])
        gradients = T.grad(nll, self.params)
        updates = OrderedDict((p, p - lr * g) for p, g in zip(self.params, gradients))
        self.classify = theano.function(inputs=[idxs], outputs=y_pred)
        self.train = theano.function(inputs=[idxs, y, lr], outputs=nll, updates=updates)
        self.normalize = theano.function(
            inputs=[], updates={self.emb: self.emb / T.sqrt((self.emb**2).sum(axis=1)).dimshuffle(0, "x")}
        )

    def save(self, folder):
        for param, name in zip(self.params, self.names):
            numpy.save(os.path.join(folder, name + ".npy"), param.get_value())


def contextwin(sentence, win):
    lpadded = win // 2 * [-1] + list(sentence) + win // 2 * [-1]
    return [lpadded[i : i + win] for i in range(len(sentence))]


def train():
    rnn = model(nh=8, nc=2, ne=6, de=3, cs=3)
    rng = numpy.random.RandomState(0)
    sentences = [rng.randint(6, size=5) for _ in range(6)]
    losses = []
    for _ in range(20):
        cost = 0
        for sentence in sentences:
            words = contextwin(sentence, 3)
            for i in range(3, 5):
                cost += rnn.train(words[: i + 1], int(sentence[i] > 2), 0.3)
            rnn.normalize()
        losses.append(cost)
    assert rnn.classify(contextwin(sentences[0], 3)).shape == (5,)
    with tempfile.TemporaryDirectory() as folder:
        rnn.save(folder)
        assert len(os.listdir(folder)) == 7
    return losses
