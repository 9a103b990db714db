"""Hybrid Monte Carlo: scan within functions, an accept step, `if` on a variable and integer division of counts."""
import numpy
from theano import function, shared
from theano import tensor as TT
import theano

sharedX = lambda X, name: shared(numpy.asarray(X, dtype=theano.config.floatX), name=name)


def kinetic_energy(vel):
    return 0.5 * (vel ** 2).sum(axis=1)


def simulate_dynamics(initial_pos, initial_vel, stepsize, n_steps, energy_fn):
    def leapfrog(pos, vel, step):
        dE_dpos = TT.grad(energy_fn(pos).sum(), pos)
        new_vel = vel - step * dE_dpos
        return [pos + step * new_vel, new_vel], {}
    initial_energy = energy_fn(initial_pos)
    dE_dpos = TT.grad(initial_energy.sum(), initial_pos)
    vel_half_step = initial_vel - 0.5 * stepsize * dE_dpos
    pos_full_step = initial_pos + stepsize * vel_half_step
    (all_pos, all_vel), scan_updates = theano.scan(leapfrog, outputs_info=[dict(initial=pos_full_step),
                                                                           dict(initial=vel_half_step)],
                                                   non_sequences=[stepsize], n_steps=n_steps - 1)
    final_pos, final_vel = all_pos[-1], all_vel[-1]
    assert not scan_updates
    final_vel = final_vel - 0.5 * stepsize * TT.grad(energy_fn(final_pos).sum(), final_pos)
    return final_pos, final_vel


def hmc_move(s_rng, positions, energy_fn, stepsize, n_steps):
    initial_vel = s_rng.normal(size=positions.shape)
    final_pos, final_vel = simulate_dynamics(positions, initial_vel, stepsize, n_steps, energy_fn)
    e_old = energy_fn(positions) + kinetic_energy(initial_vel)
    e_new = energy_fn(final_pos) + kinetic_energy(final_vel)
    accept = (TT.exp(e_old - e_new) - s_rng.uniform(size=e_old.shape)) >= 0
    return accept, final_pos


def main():
    n_samples, burnin, chains = 400, 100, 50
    mu = numpy.array([1., -2.])
    energy = lambda x: 0.5 * (((x - mu) / numpy.array([0.5, 1.])) ** 2).sum(axis=1)
    positions = sharedX(numpy.zeros((chains, 2)), 'positions')
    s_rng = TT.shared_randomstreams.RandomStreams(42)
    accept, final_pos = hmc_move(s_rng, positions, energy, sharedX(0.3, 'stepsize'), 7)
    new = TT.switch(accept.dimshuffle(0, *(('x',) * (final_pos.ndim - 1))), final_pos, positions)
    simulate = function([], [accept.mean()], updates=[(positions, new)])
    rates = [simulate()[0] for r in xrange(burnin)]
    samples = numpy.concatenate([(simulate(), positions.get_value())[1] for r in xrange(n_samples / 2)])
    print 'samples', samples.shape
    print 'mean', abs(samples.mean(0) - mu).max() < 0.05
    print 'std', numpy.round(samples.std(0), 1).tolist()
    print 'accepts', numpy.mean(rates) > 0.8


if __name__ == "__main__":
    main()
