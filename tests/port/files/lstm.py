# coding: latin-1
"""An LSTM with slices of one matrix, parameters in a dictionary with names by a prefix. Größe: "n / 4"."""
from collections import OrderedDict
import cPickle as pkl
import numpy
import theano
from theano import config
import theano.tensor as tensor
from theano.sandbox.rng_mrg import MRG_RandomStreams as RandomStreams


def numpy_floatX(data):
    return numpy.asarray(data, dtype=config.floatX)


def _p(pp, name):
    return '%s_%s' % (pp, name)


def init_params(dim):
    params = OrderedDict()
    rng = numpy.random.RandomState(123)
    params['lstm_W'] = numpy.concatenate([rng.randn(dim, dim) * .3 for i in range(4)], axis=1).astype(config.floatX)
    params['lstm_U'] = numpy.concatenate([rng.randn(dim, dim) * .3 for i in range(4)], axis=1).astype(config.floatX)
    params['lstm_b'] = numpy.zeros((4 * dim,)).astype(config.floatX)
    return params


def init_tparams(params):
    tparams = OrderedDict()
    for kk, pp in params.iteritems():
        tparams[kk] = theano.shared(params[kk], name=kk)
    return tparams


def lstm_layer(tparams, state_below, dim, prefix='lstm', mask=None):
    nsteps = state_below.shape[0]
    n_samples = state_below.shape[1] if state_below.ndim == 3 else 1
    assert mask is not None

    def _slice(_x, n, dim):
        if _x.ndim == 3:
            return _x[:, :, n * dim:(n + 1) * dim]
        return _x[:, n * dim:(n + 1) * dim]

    def _step(m_, x_, h_, c_):
        preact = tensor.dot(h_, tparams[_p(prefix, 'U')])
        preact += x_
        i = tensor.nnet.sigmoid(_slice(preact, 0, dim))
        f = tensor.nnet.sigmoid(_slice(preact, 1, dim))
        o = tensor.nnet.sigmoid(_slice(preact, 2, dim))
        c = tensor.tanh(_slice(preact, 3, dim))
        c = f * c_ + i * c
        c = m_[:, None] * c + (1. - m_)[:, None] * c_
        h = o * tensor.tanh(c)
        h = m_[:, None] * h + (1. - m_)[:, None] * h_
        return h, c
    state_below = (tensor.dot(state_below, tparams[_p(prefix, 'W')]) + tparams[_p(prefix, 'b')])
    rval, updates = theano.scan(_step, sequences=[mask, state_below],
                                outputs_info=[tensor.alloc(numpy_floatX(0.), n_samples, dim),
                                              tensor.alloc(numpy_floatX(0.), n_samples, dim)],
                                name=_p(prefix, '_layers'), n_steps=nsteps)
    return rval[0]


def main(width=20):
    dim = width / 4
    params = pkl.loads(pkl.dumps(init_params(dim), -1))
    tparams = init_tparams(params)
    x, mask = tensor.tensor3('x', dtype=config.floatX), tensor.matrix('mask', dtype=config.floatX)
    proj = lstm_layer(tparams, x, dim, mask=mask)
    proj = (proj * mask[:, :, None]).sum(axis=0)
    proj = proj / mask.sum(axis=0)[:, None]
    trng = RandomStreams(seed=5)
    use_noise = theano.shared(numpy_floatX(0.))
    proj = tensor.switch(use_noise, proj * trng.binomial(proj.shape, p=0.5, n=1, dtype=proj.dtype), proj * 0.5)
    cost = (proj ** 2).sum()
    grads = tensor.grad(cost, wrt=tparams.values())
    f_grad = theano.function([x, mask], grads + [cost], name='f_grad')
    rng = numpy.random.RandomState(4)
    lengths = [9, 5, 3]
    m = (numpy.arange(9)[:, None] < numpy.array(lengths)[None]).astype(config.floatX)
    found = f_grad(rng.randn(9, 3, dim).astype(config.floatX), m)
    print 'dim', dim
    print 'cost %.6f' % found[-1]
    print ' '.join('%.6f' % abs(g).sum() for g in found[:-1])


if __name__ == '__main__':
    main()
