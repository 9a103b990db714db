"""A restricted Boltzmann machine: contrastive divergence, shared random streams, consider_constant."""
import numpy
import theano
import theano.tensor as T
from theano.tensor.shared_randomstreams import RandomStreams


class RBM(object):
    def __init__(self, input=None, n_visible=12, n_hidden=6, numpy_rng=None, theano_rng=None):
        if numpy_rng is None:
            numpy_rng = numpy.random.RandomState(1234)
        if theano_rng is None:
            theano_rng = RandomStreams(numpy_rng.randint(2 ** 30))
        self.n_visible, self.n_hidden = n_visible, n_hidden
        scale = 4 * numpy.sqrt(6. / (n_hidden + n_visible))
        initial_W = numpy.asarray(numpy_rng.uniform(low=-scale, high=scale, size=(n_visible, n_hidden)),
                                  dtype=theano.config.floatX)
        self.W = theano.shared(value=initial_W, name='W', borrow=True)
        self.hbias = theano.shared(value=numpy.zeros(n_hidden, dtype=theano.config.floatX), name='hbias')
        self.vbias = theano.shared(value=numpy.zeros(n_visible, dtype=theano.config.floatX), name='vbias')
        self.input = input
        if not input:
            self.input = T.matrix('input')
        self.theano_rng = theano_rng
        self.params = [self.W, self.hbias, self.vbias]

    def free_energy(self, v_sample):
        wx_b = T.dot(v_sample, self.W) + self.hbias
        return -T.sum(T.log(1 + T.exp(wx_b)), axis=1) - T.dot(v_sample, self.vbias)

    def sample_h_given_v(self, v):
        mean = T.nnet.sigmoid(T.dot(v, self.W) + self.hbias)
        return mean, self.theano_rng.binomial(size=mean.shape, n=1, p=mean, dtype=theano.config.floatX)

    def sample_v_given_h(self, h):
        pre = T.dot(h, self.W.T) + self.vbias
        mean = T.nnet.sigmoid(pre)
        return pre, mean, self.theano_rng.binomial(size=mean.shape, n=1, p=mean, dtype=theano.config.floatX)

    def gibbs_hvh(self, h0_sample):
        pre_v, v_mean, v_sample = self.sample_v_given_h(h0_sample)
        h_mean, h_sample = self.sample_h_given_v(v_sample)
        return [pre_v, v_mean, v_sample, h_mean, h_sample]

    def get_cost_updates(self, lr=0.1, persistent=None, k=1):
        ph_mean, ph_sample = self.sample_h_given_v(self.input)
        chain_start = ph_sample if persistent is None else persistent
        (results, updates) = theano.scan(self.gibbs_hvh, outputs_info=[None, None, None, None, chain_start], n_steps=k)
        chain_end = results[2][-1]
        cost = T.mean(self.free_energy(self.input)) - T.mean(self.free_energy(chain_end))
        gparams = T.grad(cost, self.params, consider_constant=[chain_end])
        for gparam, param in zip(gparams, self.params):
            updates[param] = param - gparam * T.cast(lr, dtype=theano.config.floatX)
        if persistent:
            updates[persistent] = results[4][-1]
        return T.nnet.binary_crossentropy(results[1][0], self.input).mean(), updates


def main():
    rows = numpy.eye(3).repeat(4, axis=1)
    data = theano.shared(numpy.asarray(rows.repeat(20, axis=0), dtype=theano.config.floatX), borrow=True)
    x = T.matrix('x')
    index = T.lscalar('index')
    batch_size = 20
    rbm = RBM(input=x)
    chain = theano.shared(numpy.zeros((batch_size, rbm.n_hidden), dtype=theano.config.floatX), borrow=True)
    cost, updates = rbm.get_cost_updates(lr=0.1, persistent=chain, k=3)
    train = theano.function([index], cost, updates=updates, name='train_rbm',
                            givens={x: data[index * batch_size:(index + 1) * batch_size]})
    energy = theano.function([], rbm.free_energy(data).mean(), givens=[])
    before = energy()
    means = []
    for epoch in xrange(60):
        means.append(numpy.mean([train(i) for i in xrange(data.get_value(borrow=True).shape[0] / batch_size)]))
    print 'epochs', len(means)
    print 'lower', energy() < before
    print 'chain', chain.get_value(borrow=True).shape, sorted(set(chain.get_value().ravel())) in ([0., 1.], [1.], [0.])


if __name__ == '__main__':
    main()
