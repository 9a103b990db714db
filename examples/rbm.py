"""A restricted Boltzmann machine that learns bars and stripes by persistent contrastive divergence.

The patterns are the 14 images of 3 by 3 pixels in which each row, or each column, is of one colour. The partition
function of such a small machine can be summed, so the likelihood is known exactly.
"""

import itertools

import numpy

import loopjax as theano
import loopjax.tensor as T


def floatX(data):
    """An array of the float type in use."""
    return numpy.asarray(data, dtype=theano.config.floatX)


def bars_and_stripes(side):
    """All images ``(n, side * side)`` in which each row, or each column, is of one colour."""
    lines = numpy.array(list(itertools.product([0, 1], repeat=side)))
    bars = numpy.repeat(lines[:, :, None], side, axis=2)
    both = numpy.concatenate([bars, bars.transpose(0, 2, 1)]).reshape(-1, side * side)
    return floatX(numpy.unique(both, axis=0))


class RBM:
    """Binary visible and hidden units, joined by ``W`` of shape ``(n_visible, n_hidden)``, with a bias each."""

    def __init__(self, n_visible, n_hidden, rng, stream):
        self.W = theano.shared(floatX(0.1 * rng.randn(n_visible, n_hidden)), name="W")
        self.vbias = theano.shared(floatX(numpy.zeros(n_visible)), name="vbias")
        self.hbias = theano.shared(floatX(numpy.zeros(n_hidden)), name="hbias")
        self.params = [self.W, self.vbias, self.hbias]
        self.stream = stream

    def free_energy(self, v):
        """The free energy of each row of ``v``: ``-log`` of its probability, up to the partition function."""
        return -T.dot(v, self.vbias) - T.sum(T.log(1 + T.exp(T.dot(v, self.W) + self.hbias)), axis=1)

    def sample_h_given_v(self, v):
        """Probabilities of hidden units, and a draw."""
        mean = T.sigmoid(T.dot(v, self.W) + self.hbias)
        return mean, self.stream.binomial(size=mean.shape, n=1, p=mean, dtype=theano.config.floatX)

    def sample_v_given_h(self, h):
        """Probabilities of visible units, and a draw."""
        mean = T.sigmoid(T.dot(h, self.W.T) + self.vbias)
        return mean, self.stream.binomial(size=mean.shape, n=1, p=mean, dtype=theano.config.floatX)

    def gibbs_step(self, v):
        """A Gibbs step from visible units to hidden units and back."""
        _, h = self.sample_h_given_v(v)
        v_mean, v = self.sample_v_given_h(h)
        return v_mean, v

    def gibbs_chain(self, start, n_steps):
        """Visible probabilities and draws of each step, and the updates of the stream."""
        (means, samples), updates = theano.scan(
            self.gibbs_step, outputs_info=[None, start], n_steps=n_steps, name="gibbs"
        )
        return means, samples, updates

    def cost_updates(self, v, persistent, learning_rate, k):
        """The monitoring cost, the chain's end, the gradients, and updates of parameters, chain and stream."""
        _, samples, updates = self.gibbs_chain(persistent, k)
        chain_end = samples[-1]
        cost = T.mean(self.free_energy(v)) - T.mean(self.free_energy(chain_end))
        # The chain's end depends on the parameters, but it is data for this gradient.
        grads = T.grad(cost, self.params, consider_constant=[chain_end])
        for param, grad in zip(self.params, grads, strict=True):
            updates[param] = param - grad * T.cast(learning_rate, dtype=theano.config.floatX)
        updates[persistent] = chain_end
        return cost, chain_end, grads, updates

    def reconstruction_error(self, v):
        """The cross-entropy, in nats per image, between images and their reconstructions by one Gibbs step."""
        mean, _ = self.gibbs_step(v)
        mean = T.clip(mean, 1e-6, 1 - 1e-6)
        return -T.mean(T.sum(v * T.log(mean) + (1 - v) * T.log(1 - mean), axis=1))


def all_images(n_visible):
    """All images, ``(2 ** n_visible, n_visible)``."""
    return floatX(list(itertools.product([0, 1], repeat=n_visible)))


def main(quick=False):
    """Train the machine; return log-likelihoods, free energy gaps and reconstruction errors, before and after."""
    n_updates, n_chains, k = (2500, 100, 2) if quick else (6000, 200, 5)
    rng = numpy.random.RandomState(123)
    data = bars_and_stripes(3)
    n_visible = data.shape[1]
    everything = all_images(n_visible)

    rbm = RBM(n_visible, 16, rng, T.random.RandomStream(seed=int(rng.randint(2**30))))
    persistent = theano.shared(floatX(rng.randint(2, size=(n_chains, n_visible))), name="persistent")
    v = T.matrix("v")
    learning_rate = T.scalar("learning_rate")
    cost, _, _, updates = rbm.cost_updates(v, persistent, learning_rate, k)
    train = theano.function([learning_rate], cost, updates=updates, givens={v: theano.shared(data)}, name="train")
    energies = theano.function([v], rbm.free_energy(v))
    reconstruction = theano.function([v], rbm.reconstruction_error(v))

    def measure():
        of_data, of_all = numpy.asarray(energies(data), "float64"), numpy.asarray(energies(everything), "float64")
        log_z = numpy.logaddexp.reduce(-of_all)
        return {
            "log_likelihood": float(-of_data.mean() - log_z),
            "free_energy_gap": float(of_all.mean() - of_data.mean()),
            "reconstruction": float(numpy.mean([reconstruction(data) for _ in range(20)])),
        }

    before = measure()
    for i in range(n_updates):
        train(0.2 * (1 - i / n_updates))
    after = measure()
    for name, value in before.items():
        print(f"{name}: {value:.3f} -> {after[name]:.3f}")
    best, worst = -numpy.log(len(data)), -n_visible * numpy.log(2)
    print(f"log_likelihood of the best model: {best:.3f}; of pixels drawn at random: {worst:.3f}")
    return {"before": before, "after": after, "n_patterns": len(data)}


if __name__ == "__main__":
    main()
