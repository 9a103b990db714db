"""Skip-gram vectors: indexed updates by inc_subtensor, text in unicode, dictionaries sorted by value."""
import string
import numpy as np
import theano
import theano.tensor as T

text = u'the cat sat on the mat the dog sat on the log the cat saw the dog'


def vocabulary(words, size):
    counts = {}
    for w in words:
        if not isinstance(w, basestring):
            raise TypeError, "words are strings"
        counts[w] = counts.get(w, 0) + 1
    ranked = sorted(counts.items(), key=lambda (w, c): (-c, w))[:size]
    return dict((w, i) for i, (w, c) in enumerate(ranked))


def pairs(ids, window=2):
    out = []
    for i, c in enumerate(ids):
        for j in xrange(max(0, i - window), min(len(ids), i + window + 1)):
            if i <> j:
                out.append((c, ids[j]))
    return np.array(out, dtype='int32')


def main():
    words = string.split(text) if hasattr(string, 'split') else text.split()
    vocab = vocabulary(words, 8)
    data = pairs([vocab[w] for w in words if vocab.has_key(w)])
    rng = np.random.RandomState(0)
    dim = 4
    V = theano.shared((rng.rand(len(vocab), dim) - .5).astype(theano.config.floatX) / dim, 'V')
    U = theano.shared(np.zeros((len(vocab), dim), theano.config.floatX), 'U')
    centre, context = T.ivectors('centre', 'context')
    rows = V[centre]
    p = T.nnet.softmax(T.dot(rows, U.T))
    loss = T.nnet.categorical_crossentropy(p, context).mean()
    g = T.grad(loss, [rows, U])
    step = theano.function([centre, context], loss,
                           updates=[(V, T.inc_subtensor(rows, -2. * g[0])), (U, U - 2. * g[1])])
    losses = [step(data[:, 0], data[:, 1]) for _ in xrange(80)]
    print 'words', len(vocab), 'pairs', len(data)
    print 'first %.6f' % losses[0]
    print 'last %.4f' % losses[-1]


if __name__ == '__main__':
    main()
