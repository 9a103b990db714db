"""A hidden Markov model of a loaded die, fitted by expectation maximisation.

Only the forward pass is written, in log space. The results of the backward pass, posteriors of states and expected
counts of transitions, are gradients of the log-likelihood.
"""

import numpy

import loopjax as theano
import loopjax.tensor as T

TRUE_INITIAL = numpy.array([0.5, 0.5])
TRUE_TRANSITION = numpy.array([[0.95, 0.05], [0.1, 0.9]])
TRUE_EMISSION = numpy.array([[1 / 6] * 6, [0.1] * 5 + [0.5]])


def simulate(n_steps, rng):
    """Hidden states and rolls of a die that is fair in state 0 and loaded in state 1."""
    states, rolls = [], []
    state = rng.choice(2, p=TRUE_INITIAL)
    for _ in range(n_steps):
        states.append(state)
        rolls.append(rng.choice(6, p=TRUE_EMISSION[state]))
        state = rng.choice(2, p=TRUE_TRANSITION[state])
    return numpy.array(states), numpy.array(rolls, dtype="int64")


def log_sum_exp(x, axis):
    """``log(sum(exp(x)))`` along an axis, of numbers of any size."""
    largest = T.max(x, axis=axis, keepdims=True)
    total = T.log(T.sum(T.exp(x - largest), axis=axis, keepdims=True)) + largest
    return T.sum(total, axis=axis)


def log_likelihood(log_initial, log_transition, scores):
    """The log-likelihood of ``scores[t, k]``, the log-probability of the roll at step ``t`` in state ``k``."""

    def step(score, alpha, log_transition):
        return log_sum_exp(alpha.dimshuffle(0, "x") + log_transition, axis=0) + score

    first = log_initial + scores[0]
    alphas, _ = theano.scan(
        step, sequences=scores[1:], outputs_info=first, non_sequences=log_transition, name="forward"
    )
    # A sequence of one roll makes no step; its alpha is the first.
    all_alphas = T.concatenate([first.dimshuffle("x", 0), alphas], axis=0)
    return log_sum_exp(all_alphas[-1], axis=0)


def viterbi(log_initial, log_transition, scores):
    """The most probable states ``(n_steps,)``, and the joint log-probability of states and rolls."""

    def forward(score, best, log_transition):
        reached = best.dimshuffle(0, "x") + log_transition
        return T.max(reached, axis=0) + score, T.argmax(reached, axis=0)

    (best, came_from), _ = theano.scan(
        forward,
        sequences=scores[1:],
        outputs_info=[log_initial + scores[0], None],
        non_sequences=log_transition,
        name="viterbi",
    )
    last = T.argmax(best[-1])
    earlier, _ = theano.scan(
        lambda back, state: back[state], sequences=came_from, outputs_info=last, go_backwards=True, name="backtrace"
    )
    return T.concatenate([earlier[::-1], last.dimshuffle("x")]), T.max(best[-1])


class HMM:
    """Log-probabilities in shared variables, and the functions that use them on rolls ``(n_steps,)``."""

    def __init__(self, initial, transition, emission):
        self.log_initial = theano.shared(numpy.log(initial), name="log_initial")
        self.log_transition = theano.shared(numpy.log(transition), name="log_transition")
        self.log_emission = theano.shared(numpy.log(emission), name="log_emission")
        params = [self.log_initial, self.log_transition, self.log_emission]

        rolls = T.lvector("rolls")
        scores = self.log_emission[:, rolls].T
        total = log_likelihood(self.log_initial, self.log_transition, scores)
        self.likelihood = theano.function([rolls], total)
        self.posterior = theano.function([rolls], T.grad(total, scores))
        self.decode = theano.function([rolls], list(viterbi(self.log_initial, self.log_transition, scores)))
        # The gradients are expected counts; normalised, they are the parameters that explain them best.
        counts = T.grad(total, params)
        updates = [(p, T.log(n) - T.log(T.sum(n, axis=-1, keepdims=True))) for p, n in zip(params, counts, strict=True)]
        self.em_step = theano.function([rolls], total, updates=updates)


def main(quick=False):
    """Fit the model; return the log-likelihood at each iteration, the parameters, and the accuracy of states."""
    n_steps, n_iterations = (1000, 60) if quick else (5000, 200)
    states, rolls = simulate(n_steps, numpy.random.RandomState(11))
    model = HMM(
        numpy.array([0.6, 0.4]),
        numpy.array([[0.8, 0.2], [0.2, 0.8]]),
        numpy.array([[1 / 6] * 6, [0.12] * 5 + [0.4]]),
    )
    values = [float(model.em_step(rolls)) for _ in range(n_iterations)]
    transition, emission = numpy.exp(model.log_transition.get_value()), numpy.exp(model.log_emission.get_value())
    posterior = numpy.asarray(model.posterior(rolls))
    told = float(numpy.mean(posterior.argmax(axis=1) == states))
    path, _ = model.decode(rolls)
    decoded = float(numpy.mean(numpy.asarray(path) == states))
    print(f"log-likelihood: {values[0]:.2f} -> {values[-1]:.2f}")
    print("transition:", numpy.round(transition, 3), "emission:", numpy.round(emission, 3), sep="\n")
    print(f"states told rightly: {told:.3f} by the posterior, {decoded:.3f} by the most probable path")
    return {
        "rolls": rolls,
        "log_likelihoods": values,
        "transition": transition,
        "emission": emission,
        "told": told,
        "decoded": decoded,
    }


if __name__ == "__main__":
    main()
