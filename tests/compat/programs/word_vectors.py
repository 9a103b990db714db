"""Skip-gram word vectors with negative sampling; only the rows that were used are updated."""

import numpy as np

import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as T


def train(n_words=12, dim=6, n_negative=3):
    rng = np.random.RandomState(2)
    W_in = theano.shared(rng.uniform(-0.5, 0.5, (n_words, dim)).astype(theano.config.floatX), name="W_in")
    W_out = theano.shared(np.zeros((n_words, dim), dtype=theano.config.floatX), name="W_out")
    center = T.ivector("center")
    context = T.ivector("context")
    negative = T.imatrix("negative")
    lr = T.scalar("lr", dtype=theano.config.floatX)
    v = W_in[center]
    u = W_out[context]
    u_neg = W_out[negative]
    score = T.sum(v * u, axis=1)
    score_neg = T.batched_dot(u_neg, v)
    cost = -T.mean(T.log(T.nnet.sigmoid(score)) + T.sum(T.log(T.nnet.sigmoid(-score_neg)), axis=1))
    g_v, g_u, g_neg = T.grad(cost, [v, u, u_neg])
    flat = negative.flatten()
    new_out = T.inc_subtensor(u, -lr * g_u)
    new_out = T.inc_subtensor(new_out[flat], -lr * g_neg.reshape((flat.shape[0], dim)))
    updates = [(W_in, T.inc_subtensor(v, -lr * g_v)), (W_out, new_out)]
    step = theano.function([center, context, negative, lr], cost, updates=updates, allow_input_downcast=True)
    text = np.tile(np.arange(n_words), 6)
    losses = []
    for _ in range(40):
        negatives = rng.randint(n_words, size=(len(text) - 1, n_negative))
        losses.append(float(step(text[:-1], text[1:], negatives, 5.0)))
    return losses
