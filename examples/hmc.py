"""Hamiltonian Monte Carlo: many parallel chains sample a correlated Gaussian.

Each draw gives every chain a random velocity, follows Hamilton's equations by leapfrog steps, and accepts the final
position by Metropolis' rule. During burn-in the step size adapts to a target acceptance rate.
"""

import numpy

import loopjax as theano
import loopjax.tensor as T


def floatX(data):
    """An array of the float type in use."""
    return numpy.asarray(data, dtype=theano.config.floatX)


def kinetic_energy(velocity):
    """Half the squared speed of each chain."""
    return 0.5 * T.sum(velocity**2, axis=1)


def hamiltonian(position, velocity, potential):
    """Potential and kinetic energy of each chain."""
    return potential(position) + kinetic_energy(velocity)


def simulate_dynamics(position, velocity, step_size, n_steps, potential):
    """Positions and velocities ``(n_chains, dim)`` after ``n_steps`` leapfrog steps."""

    def force(position):
        return -T.grad(T.sum(potential(position)), position)

    def leapfrog(position, velocity, step_size):
        # The velocity is half a step ahead of the position.
        position = position + step_size * velocity
        return position, velocity + step_size * force(position)

    half_ahead = velocity + 0.5 * step_size * force(position)
    (positions, velocities), updates = theano.scan(
        leapfrog, outputs_info=[position, half_ahead], non_sequences=[step_size], n_steps=n_steps, name="leapfrog"
    )
    assert not updates
    final_position = positions[-1]
    return final_position, velocities[-1] - 0.5 * step_size * force(final_position)


def metropolis_accept(energy_before, energy_after, stream):
    """Metropolis' rule: true for each chain that accepts its move."""
    uniform = stream.uniform(size=energy_before.shape)
    return T.lt(T.log(uniform), energy_before - energy_after)


class HMC:
    """A sampler of the density ``exp(-potential(x))``, with chains ``(n_chains, dim)`` in a shared variable."""

    def __init__(
        self,
        initial,
        potential,
        seed,
        n_leapfrog=4,
        step_size=0.1,
        step_size_range=(0.001, 1.0),
        step_size_up=1.02,
        step_size_down=0.98,
        target_acceptance=0.9,
    ):
        self.positions = theano.shared(floatX(initial), name="positions")
        self.step_size = theano.shared(floatX(step_size), name="step_size")
        self.acceptance = theano.shared(floatX(target_acceptance), name="acceptance")

        stream = T.random.RandomStream(seed=seed)
        velocity = stream.normal(size=self.positions.shape)
        position, final_velocity = simulate_dynamics(self.positions, velocity, self.step_size, n_leapfrog, potential)
        accept = metropolis_accept(
            hamiltonian(self.positions, velocity, potential), hamiltonian(position, final_velocity, potential), stream
        )
        new_positions = T.switch(accept.dimshuffle(0, "x"), position, self.positions)
        rate = T.mean(T.cast(accept, theano.config.floatX))

        smoothed = 0.9 * self.acceptance + 0.1 * rate
        adapted = T.switch(smoothed > target_acceptance, self.step_size * step_size_up, self.step_size * step_size_down)
        moves = [(self.positions, new_positions), (self.acceptance, smoothed)]
        adapts = [(self.step_size, T.clip(adapted, *step_size_range))]
        self.adapt = theano.function([], rate, updates=moves + adapts, name="adapt")
        self.move = theano.function([], rate, updates=moves, name="move")

    def burn_in(self, n_samples):
        """Move the chains and adapt the step size."""
        for _ in range(n_samples):
            self.adapt()

    def sample(self, n_samples):
        """Samples ``(n_samples, n_chains, dim)`` at the present step size, and the mean acceptance rate."""
        samples, rates = [], []
        for _ in range(n_samples):
            rates.append(self.move())
            samples.append(self.positions.get_value())
        return numpy.array(samples), float(numpy.mean(rates))


def gaussian_potential(mean, covariance):
    """The potential of a Gaussian of this mean ``(dim,)`` and covariance ``(dim, dim)``."""
    mean, precision = theano.shared(floatX(mean)), theano.shared(floatX(numpy.linalg.inv(covariance)))

    def potential(x):
        return 0.5 * T.sum(T.dot(x - mean, precision) * (x - mean), axis=1)

    return potential


def make_target(dim, rng):
    """A mean and a strongly correlated covariance."""
    mean = rng.uniform(-5, 5, size=dim)
    mixing = 0.5 * rng.randn(dim, dim)
    return mean, numpy.dot(mixing, mixing.T) + 0.3 * numpy.eye(dim)


def main(quick=False):
    """Sample a Gaussian; return its moments, the samples' moments, and their standard errors between chains."""
    n_burn_in, n_samples, n_chains = (200, 300, 50) if quick else (500, 2000, 100)
    rng = numpy.random.RandomState(42)
    mean, covariance = make_target(4, rng)
    start = mean + rng.randn(n_chains, len(mean))
    sampler = HMC(start, gaussian_potential(mean, covariance), seed=7)
    sampler.burn_in(n_burn_in)
    samples, rate = sampler.sample(n_samples)
    print(f"step size {float(sampler.step_size.get_value()):.3f}, acceptance rate {rate:.3f}")

    # Chains are independent, so the spread of their moments gives the error of the average.
    off = samples.astype("float64") - mean
    means = off.mean(axis=0)
    seconds = numpy.einsum("sci,scj->cij", off, off) / n_samples
    result = {"mean": mean, "covariance": covariance, "acceptance": rate, "samples": samples}
    result["found_mean"] = mean + means.mean(axis=0)
    result["found_covariance"] = seconds.mean(axis=0)
    result["mean_error"] = means.std(axis=0, ddof=1) / numpy.sqrt(n_chains)
    result["covariance_error"] = seconds.std(axis=0, ddof=1) / numpy.sqrt(n_chains)
    print("mean, found and true:", numpy.round(result["found_mean"], 3), numpy.round(mean, 3))
    print(
        "covariance found:", numpy.round(result["found_covariance"], 3), "true:", numpy.round(covariance, 3), sep="\n"
    )
    return result


if __name__ == "__main__":
    main()
