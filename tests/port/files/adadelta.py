"""Optimizers of the time: zipped lists of shared variables, f_grad_shared and f_update, clipped norms."""
import numpy
import theano
import theano.tensor as tensor
from theano.ifelse import ifelse

profile = False


def adadelta(lr, tparams, grads, inp, cost):
    zipped_grads = [theano.shared(p.get_value() * numpy.float32(0.), name='%s_grad' % k) for k, p in tparams.iteritems()]
    running_up2 = [theano.shared(p.get_value() * numpy.float32(0.), name='%s_rup2' % k) for k, p in tparams.iteritems()]
    running_grads2 = [theano.shared(p.get_value() * numpy.float32(0.), name='%s_rg2' % k) for k, p in tparams.iteritems()]
    zgup = [(zg, g) for zg, g in zip(zipped_grads, grads)]
    rg2up = [(rg2, 0.95 * rg2 + 0.05 * (g ** 2)) for rg2, g in zip(running_grads2, grads)]
    f_grad_shared = theano.function(inp, cost, updates=zgup + rg2up, profile=profile)
    updir = [-tensor.sqrt(ru2 + 1e-6) / tensor.sqrt(rg2 + 1e-6) * zg
             for zg, ru2, rg2 in zip(zipped_grads, running_up2, running_grads2)]
    ru2up = [(ru2, 0.95 * ru2 + 0.05 * (ud ** 2)) for ru2, ud in zip(running_up2, updir)]
    param_up = [(p, p + ud) for p, ud in zip(tparams.values(), updir)]
    f_update = theano.function([lr], [], updates=ru2up + param_up, on_unused_input='ignore', profile=profile)
    return f_grad_shared, f_update


def main():
    rng = numpy.random.RandomState(7)
    tparams = {'W': theano.shared(rng.randn(5, 1), name='W'), 'b': theano.shared(numpy.zeros(1), name='b')}
    x, y = tensor.dmatrices('x', 'y')
    cost = ((tensor.dot(x, tparams['W']) + tparams['b'] - y) ** 2).mean()
    grads = tensor.grad(cost, wrt=list(tparams.values()))
    norm = sum((g ** 2).sum() for g in grads)
    grads = [ifelse(norm > 25., g / tensor.sqrt(norm) * 5., g) for g in grads]
    f_grad, f_update = adadelta(tensor.scalar(name='lr'), tparams, grads, [x, y], cost)
    data = rng.randn(40, 5)
    target = data.sum(1)[:, None]
    history = []
    for eidx in xrange(400):
        for uidx in range(0, len(data), 20):
            history.append(f_grad(data[uidx:uidx + 20], target[uidx:uidx + 20]))
            f_update(0.01)
        if numpy.isnan(history[-1]) or numpy.isinf(history[-1]):
            raise RuntimeError, 'NaN detected'
    print 'updates', len(history)
    print '%.6f' % history[0]
    print 'falls', history[-1] < history[0] / 10
    print 'epochs', len(history) / 2


main()
