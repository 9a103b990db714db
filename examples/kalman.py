"""A noisy oscillator, identified by the likelihood that a Kalman filter computes.

The state, two numbers, turns by an angle and shrinks by a factor at each step, and noise is added. One of the two
numbers is observed with noise. Gradient ascent finds angle, factor and both noises from the observations.
"""

from collections import OrderedDict

import numpy

import loopjax as theano
import loopjax.tensor as T

TRUE = OrderedDict([("angle", 0.4), ("decay", 0.95), ("state_noise", 0.5), ("seen_noise", 0.8)])


def simulate(n_steps, rng, angle, decay, state_noise, seen_noise):
    """Observations of the oscillator, ``(n_steps,)``."""
    A = decay * numpy.array([[numpy.cos(angle), -numpy.sin(angle)], [numpy.sin(angle), numpy.cos(angle)]])
    x, seen = rng.randn(2), []
    for _ in range(n_steps):
        x = A.dot(x) + state_noise * rng.randn(2)
        seen.append(x[0] + seen_noise * rng.randn())
    return numpy.array(seen)


def free_parameters(angle, decay, state_noise, seen_noise):
    """The parameters as numbers without bounds."""
    return numpy.array([angle, numpy.log(decay / (1 - decay)), numpy.log(state_noise), numpy.log(seen_noise)])


def bounded_parameters(theta):
    """The inverse of ``free_parameters``, symbolic."""
    return theta[0], T.sigmoid(theta[1]), T.exp(theta[2]), T.exp(theta[3])


def log_likelihood(y, theta):
    """The log-density of ``y``, shape ``(n_steps,)``, and the means of the filter ``(n_steps, 2)``."""
    angle, decay, state_noise, seen_noise = bounded_parameters(theta)
    A = decay * T.stack([T.stack([T.cos(angle), -T.sin(angle)]), T.stack([T.sin(angle), T.cos(angle)])])
    Q = state_noise**2 * T.eye(2, dtype="float64")
    R = seen_noise**2

    def step(y_t, m, P, A, Q, R):
        m = T.dot(A, m)
        P = T.dot(T.dot(A, P), A.T) + Q
        surprise = y_t - m[0]
        S = P[0, 0] + R
        gain = P[:, 0] / S
        log_p = -0.5 * (T.log(2 * numpy.pi * S) + surprise**2 / S)
        return log_p, m + gain * surprise, P - T.outer(gain, gain) * S

    start = [T.zeros((2,), dtype="float64"), T.eye(2, dtype="float64")]
    (log_p, means, _), _ = theano.scan(
        step, sequences=[y], outputs_info=[None, *start], non_sequences=[A, Q, R], name="kalman"
    )
    return T.sum(log_p), means


def fit(seen, start, n_updates, learning_rate=0.2, momentum=0.8):
    """Gradient ascent with momentum; return the log-likelihood before each update, and the parameters."""
    theta = theano.shared(free_parameters(**start), name="theta")
    velocity = theano.shared(numpy.zeros(4), name="velocity")
    y = T.dvector("y")
    total, _ = log_likelihood(y, theta)
    gradient = T.grad(total / y.shape[0], theta)
    new_velocity = momentum * velocity + learning_rate * gradient
    ascend = theano.function(
        [], total, updates=[(velocity, new_velocity), (theta, theta + new_velocity)], givens={y: theano.shared(seen)}
    )
    values = [float(ascend()) for _ in range(n_updates)]
    found = theano.function([], list(bounded_parameters(theta)))()
    return values, OrderedDict(zip(TRUE, map(float, found), strict=True))


def main(quick=False):
    """Fit the oscillator; return the observations, the log-likelihood before each update, and the parameters."""
    n_steps, n_updates = (500, 250) if quick else (3000, 500)
    seen = simulate(n_steps, numpy.random.RandomState(5), **TRUE)
    start = OrderedDict([("angle", 0.6), ("decay", 0.8), ("state_noise", 1.0), ("seen_noise", 1.0)])
    values, found = fit(seen, start, n_updates)
    print(f"log-likelihood: {values[0]:.2f} -> {values[-1]:.2f}")
    for name, value in found.items():
        print(f"{name}: {value:.3f}, true {TRUE[name]}")
    return {"seen": seen, "log_likelihoods": values, "found": found}


if __name__ == "__main__":
    main()
