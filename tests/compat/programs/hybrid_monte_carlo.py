"""Hybrid Monte Carlo: leapfrog steps in a scan, the step size adapted to an acceptance rate."""

import numpy

import loopjax.compat.theano as theano
from loopjax.compat.theano import function, shared
from loopjax.compat.theano import tensor as TT

sharedX = lambda X, name: shared(numpy.asarray(X, dtype=theano.config.floatX), name=name)


def kinetic_energy(vel):
    return 0.5 * (vel**2).sum(axis=1)


def hamiltonian(pos, vel, energy_fn):
    return energy_fn(pos) + kinetic_energy(vel)


def metropolis_hastings_accept(energy_prev, energy_next, s_rng):
    ediff = energy_prev - energy_next
    return (TT.exp(ediff) - s_rng.uniform(size=energy_prev.shape)) >= 0


def simulate_dynamics(initial_pos, initial_vel, stepsize, n_steps, energy_fn):
    def leapfrog(pos, vel, step):
        dE_dpos = TT.grad(energy_fn(pos).sum(), pos)
        new_vel = vel - step * dE_dpos
        new_pos = pos + step * new_vel
        return [new_pos, new_vel], {}

    initial_energy = energy_fn(initial_pos)
    dE_dpos = TT.grad(initial_energy.sum(), initial_pos)
    vel_half_step = initial_vel - 0.5 * stepsize * dE_dpos
    pos_full_step = initial_pos + stepsize * vel_half_step
    (all_pos, all_vel), scan_updates = theano.scan(
        leapfrog,
        outputs_info=[dict(initial=pos_full_step), dict(initial=vel_half_step)],
        non_sequences=[stepsize],
        n_steps=n_steps - 1,
    )
    final_pos = all_pos[-1]
    final_vel = all_vel[-1]
    assert not scan_updates
    energy = energy_fn(final_pos)
    final_vel = final_vel - 0.5 * stepsize * TT.grad(energy.sum(), final_pos)
    return final_pos, final_vel


def hmc_move(s_rng, positions, energy_fn, stepsize, n_steps):
    initial_vel = s_rng.normal(size=positions.shape)
    final_pos, final_vel = simulate_dynamics(positions, initial_vel, stepsize, n_steps, energy_fn)
    accept = metropolis_hastings_accept(
        energy_prev=hamiltonian(positions, initial_vel, energy_fn),
        energy_next=hamiltonian(final_pos, final_vel, energy_fn),
        s_rng=s_rng,
    )
    return accept, final_pos


def hmc_updates(positions, stepsize, avg_acceptance_rate, final_pos, accept, target=0.9, slowness=0.9):
    accept_matrix = accept.dimshuffle(0, *(("x",) * (final_pos.ndim - 1)))
    new_positions = TT.switch(accept_matrix, final_pos, positions)
    _new_stepsize = TT.switch(avg_acceptance_rate > target, stepsize * 1.02, stepsize * 0.98)
    new_stepsize = TT.clip(_new_stepsize, 0.001, 0.25)
    mean_dtype = theano.scalar.upcast(accept.dtype, avg_acceptance_rate.dtype)
    new_rate = TT.add(slowness * avg_acceptance_rate, (1.0 - slowness) * accept.mean(dtype=mean_dtype))
    return [(positions, new_positions), (stepsize, new_stepsize), (avg_acceptance_rate, new_rate)]


def train():
    center = numpy.array([3.0, -1.0])

    def gaussian_energy(x):
        return 0.5 * TT.sqr(x - center).sum(axis=1)

    positions = sharedX(numpy.zeros((60, 2)), "pos")
    stepsize = sharedX(0.1, "stepsize")
    rate = sharedX(0.9, "avg_acceptance_rate")
    s_rng = TT.shared_randomstreams.RandomStreams(12)
    accept, final_pos = hmc_move(s_rng, positions, gaussian_energy, stepsize, 10)
    simulate = function([], [], updates=hmc_updates(positions, stepsize, rate, final_pos, accept))
    distances = []
    for _ in range(40):
        distances.append(float(numpy.abs(positions.get_value().mean(axis=0) - center).sum()))
        simulate()
    assert numpy.all(numpy.abs(positions.get_value().var(axis=0) - 1) < 0.9)
    return distances
