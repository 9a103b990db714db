"""An end-to-end memory network: embeddings, attention over memories, several hops."""

import numpy as np

import loopjax.compat.theano as theano
import loopjax.compat.theano.tensor as T
from loopjax.compat.theano.ifelse import ifelse


def train(n_words=8, dim=6, n_memories=4, hops=2):
    rng = np.random.RandomState(1)
    A, B, C = [theano.shared(0.3 * rng.randn(n_words, dim), name=name) for name in "ABC"]
    W = theano.shared(0.3 * rng.randn(dim, n_words), name="W")
    memories = T.imatrix("memories")
    question = T.ivector("question")
    answer = T.ivector("answer")
    linear = T.bscalar("linear")
    m, c = A[memories], C[memories]
    u = B[question]
    for _ in range(hops):
        scores = T.batched_dot(m, u)
        p = ifelse(linear, scores, T.nnet.softmax(scores))
        o = (p.dimshuffle(0, 1, "x") * c).sum(axis=1)
        u = u + o
    prediction = T.nnet.softmax(T.dot(u, W))
    cost = T.nnet.categorical_crossentropy(prediction, answer).mean()
    params = [A, B, C, W]
    grads = T.grad(cost, params)
    norm = T.sqrt(sum(map(lambda g: T.sqr(g).sum(), grads)))
    updates = [(p, p - 0.3 * T.switch(T.ge(norm, 5), g * 5 / norm, g)) for p, g in zip(params, grads)]
    step = theano.function([memories, question, answer, linear], cost, updates=updates)
    rows = rng.randint(n_words, size=(20, n_memories)).astype("int32")
    losses = []
    for epoch in range(60):
        losses.append(float(step(rows, rows[:, 0], rows[:, 1], 1 if epoch < 5 else 0)))
    return losses[5:]
