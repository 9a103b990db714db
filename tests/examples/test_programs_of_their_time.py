"""The programs in ``examples/``: what they compute against NumPy, and what they learn."""

import importlib.util
import itertools
from pathlib import Path

import numpy as np
import pytest
from scipy import special, stats

import loopjax
import loopjax.tensor as at
from tests.differences import differences

EXAMPLES = Path(__file__).parents[2] / "examples"


def load(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


lstm_classifier, rbm, hmc, kalman, hmm = map(load, ["lstm_classifier", "rbm", "hmc", "kalman", "hmm"])


@pytest.fixture
def double():
    """floatX is float64."""
    loopjax.config.floatX = "float64"
    yield
    loopjax.config.floatX = None


# LSTM


def numpy_lstm(values, x, mask):
    """The last hidden state of each sequence, step by step, without a mask: a sequence is as long as its mask says."""
    hidden = []
    for symbols, length in zip(x.T, mask.sum(axis=0).astype(int), strict=True):
        h = c = np.zeros(values["U_input"].shape[0])
        for symbol in symbols[:length]:
            i, f, o, g = (
                values["E"][symbol] @ values[f"W_{gate}"] + h @ values[f"U_{gate}"] + values[f"b_{gate}"]
                for gate in lstm_classifier.GATES
            )
            c = special.expit(f) * c + special.expit(i) * np.tanh(g)
            h = special.expit(o) * np.tanh(c)
        hidden.append(h)
    return np.array(hidden)


@pytest.fixture
def small_lstm(double):
    rng = np.random.RandomState(0)
    params = lstm_classifier.init_params(3, 4, rng)
    inputs, log_p, cost = lstm_classifier.build_model(params)
    return params, inputs, log_p, cost, lstm_classifier.make_sequences(5, 7, rng)


def test_lstm_labels_each_sequence_with_its_last_mark():
    x, mask, y = lstm_classifier.make_sequences(50, 10, np.random.RandomState(3))
    for symbols, length, label in zip(x.T, mask.sum(axis=0).astype(int), y, strict=True):
        assert label == [s for s in symbols[:length] if s < lstm_classifier.N_MARKS][-1]


def test_lstm_forward_is_a_loop(small_lstm):
    params, inputs, log_p, cost, (x, mask, y) = small_lstm
    values = {name: p.get_value() for name, p in params.items()}
    scores = numpy_lstm(values, x, mask) @ values["V"] + values["c"]
    expected = scores - special.logsumexp(scores, axis=1, keepdims=True)
    found, mean = loopjax.function(list(inputs), [log_p, cost])(x, mask, y)
    assert len(set(mask.sum(axis=0))) > 1
    np.testing.assert_allclose(found, expected, rtol=1e-10)
    np.testing.assert_allclose(mean, -expected[np.arange(5), y].mean(), rtol=1e-10)


def test_lstm_gradients_are_differences(small_lstm):
    params, inputs, _, cost, data = small_lstm
    f = loopjax.function(list(inputs), cost)
    grads = loopjax.function(list(inputs), loopjax.grad(cost, list(params.values())))(*data)

    def cost_at(*values):
        for param, value in zip(params.values(), values, strict=True):
            param.set_value(value)
        return f(*data)

    values = [param.get_value() for param in params.values()]
    for position, (name, grad) in enumerate(zip(params, grads, strict=True)):
        np.testing.assert_allclose(
            grad, differences(cost_at, values, position, 1e-5), rtol=1e-6, atol=1e-9, err_msg=name
        )


def test_lstm_rmsprop_is_numpys(double):
    p = loopjax.shared(np.array([3.0, -4.0]))
    updates = lstm_classifier.rmsprop(at.sum(p**2), [p], learning_rate=0.1, largest_norm=7.0)
    train = loopjax.function([], [], updates=updates)
    value, mean_square, velocity = np.array([3.0, -4.0]), 0.0, 0.0
    for _ in range(3):  # the norm of the first gradient is 10
        train()
        grad = 2 * value
        grad = grad * min(1.0, 7.0 / np.linalg.norm(grad))
        mean_square = 0.9 * mean_square + 0.1 * grad**2
        velocity = 0.5 * velocity - 0.1 * grad / np.sqrt(mean_square + 1e-6)
        value = value + velocity
        np.testing.assert_allclose(p.get_value(), value, rtol=1e-12)


def test_lstm_learns(capsys):
    result = lstm_classifier.main(quick=True)
    assert "accuracy" in capsys.readouterr().out
    assert result["costs"][0] < np.log(lstm_classifier.N_MARKS)
    assert result["costs"][-1] < 0.05 * result["costs"][0]
    # Chance is 1/3, and 500 sequences are told apart: 0.95 is 29 standard deviations above it.
    assert result["accuracy"] > 0.95


# RBM


@pytest.fixture
def small_rbm(double):
    rng = np.random.RandomState(1)
    machine = rbm.RBM(4, 3, rng, at.random.RandomStream(seed=9))
    for param in machine.params:
        param.set_value(0.7 * rng.randn(*param.get_value().shape))
    return machine


def numpy_free_energy(v, W, vbias, hbias):
    """By the sum over all hidden states."""
    energies = [
        -(v @ W @ h + v @ vbias + hbias @ h) for h in np.array(list(itertools.product([0, 1], repeat=len(hbias))))
    ]
    return -special.logsumexp(-np.array(energies), axis=0)


def test_rbm_patterns():
    found = rbm.bars_and_stripes(3)
    assert found.shape == (14, 9)
    for image in found.reshape(-1, 3, 3):
        assert (image == image[:, :1]).all() or (image == image[:1]).all()


def test_rbm_free_energy_sums_over_hidden_states(small_rbm):
    v = rbm.all_images(4)
    x = at.matrix()
    found = loopjax.function([x], small_rbm.free_energy(x))(v)
    np.testing.assert_allclose(found, numpy_free_energy(v, *(p.get_value() for p in small_rbm.params)), rtol=1e-10)


def test_rbm_update_holds_the_end_of_the_chain_constant(small_rbm):
    rng = np.random.RandomState(2)
    data, start = rng.randint(2, size=(6, 4)).astype("float64"), rng.randint(2, size=(5, 4)).astype("float64")
    old = [p.get_value() for p in small_rbm.params]
    v, persistent = at.matrix(), loopjax.shared(start)
    cost, chain_end, grads, updates = small_rbm.cost_updates(v, persistent, 0.5, k=3)
    found_cost, end, *found = loopjax.function([v], [cost, chain_end, *grads], updates=updates)(data)

    def contrast(W, vbias, hbias):
        return numpy_free_energy(data, W, vbias, hbias).mean() - numpy_free_energy(end, W, vbias, hbias).mean()

    end = np.asarray(end)
    assert set(np.unique(end)) <= {0, 1}
    np.testing.assert_allclose(found_cost, contrast(*old), rtol=1e-9, atol=1e-12)
    np.testing.assert_array_equal(persistent.get_value(), end)
    for position, (param, grad) in enumerate(zip(small_rbm.params, found, strict=True)):
        np.testing.assert_allclose(grad, differences(contrast, old, position, 1e-5), rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(param.get_value(), old[position] - 0.5 * np.asarray(grad), rtol=1e-12)


def test_rbm_gradient_of_a_chain_that_is_held_constant(small_rbm):
    """Through probabilities, unlike through draws, a gradient flows, unless it is held back."""
    start = loopjax.shared(np.random.RandomState(3).randint(2, size=(5, 4)).astype("float64"))
    means, _, updates = small_rbm.gibbs_chain(start, 3)
    end = means[-1]
    cost = at.mean(small_rbm.free_energy(end))
    held = loopjax.grad(cost, small_rbm.params, consider_constant=[end])
    through = loopjax.grad(cost, small_rbm.params)
    end, *grads = loopjax.function([], [end, *held, *through], updates=updates)()
    values = [p.get_value() for p in small_rbm.params]
    for position in range(3):
        expected = differences(
            lambda *values: numpy_free_energy(np.asarray(end), *values).mean(), values, position, 1e-5
        )
        np.testing.assert_allclose(grads[position], expected, rtol=1e-6, atol=1e-8)
        # The hidden biases reach the probabilities through draws alone.
        assert np.allclose(grads[3 + position], expected, atol=1e-3) == (position == 2)


def test_rbm_chains_draw_from_the_model(small_rbm):
    n_chains, n_steps = 4000, 60
    start = loopjax.shared(np.zeros((n_chains, 4)))
    _, samples, updates = small_rbm.gibbs_chain(start, n_steps)
    draw = loopjax.function([], samples[-1], updates=updates)
    first, second = np.asarray(draw()), np.asarray(draw())
    assert (first != second).any()

    images = rbm.all_images(4)
    energies = numpy_free_energy(images, *(p.get_value() for p in small_rbm.params))
    expected = n_chains * special.softmax(-energies)
    for drawn in (first, second):
        counts = np.bincount((drawn @ [8, 4, 2, 1]).astype(int), minlength=16)
        # Chains are independent, and 60 steps forget the start: a chi-square test, at one in ten thousand.
        assert stats.chisquare(counts, expected).pvalue > 1e-4


def test_rbm_learns(capsys):
    result = rbm.main(quick=True)
    before, after = result["before"], result["after"]
    assert "log_likelihood" in capsys.readouterr().out
    # No model can have more than the entropy of the patterns; drawing pixels at random gives -6.2.
    assert before["log_likelihood"] < -6
    assert -3.2 < after["log_likelihood"] < -np.log(result["n_patterns"])
    assert after["free_energy_gap"] > before["free_energy_gap"] + 3
    assert after["reconstruction"] < 0.2 * before["reconstruction"]


# Hamiltonian Monte Carlo


def quartic(x):
    """A potential that is no Gaussian's; its force is ``-(x ** 3 + 0.5 * x.sum())``."""
    return 0.25 * (x**4).sum(axis=1) + 0.25 * x.sum(axis=1) ** 2


@pytest.fixture
def trajectory(double):
    position, velocity = at.matrix(), at.matrix()
    step_size, n_steps = at.scalar(), at.lscalar()
    end = hmc.simulate_dynamics(position, velocity, step_size, n_steps, quartic)
    return loopjax.function([position, velocity, step_size, n_steps], list(end))


@pytest.fixture
def start():
    rng = np.random.RandomState(4)
    return rng.randn(3, 2), rng.randn(3, 2)


@pytest.mark.parametrize("n_steps", [1, 5])
def test_hmc_leapfrog_is_a_loop(trajectory, start, n_steps):
    def force(x):
        return -(x**3 + 0.5 * x.sum(axis=1, keepdims=True))

    x, v = start
    for _ in range(n_steps):
        v = v + 0.05 * force(x)
        x = x + 0.1 * v
        v = v + 0.05 * force(x)
    found = trajectory(*start, 0.1, n_steps)
    np.testing.assert_allclose(found[0], x, rtol=1e-10)
    np.testing.assert_allclose(found[1], v, rtol=1e-10)


def test_hmc_leapfrog_goes_back_and_keeps_energy(trajectory, start):
    x, v = map(np.asarray, trajectory(*start, 0.05, 20))
    back_x, back_v = trajectory(x, -v, 0.05, 20)
    np.testing.assert_allclose(back_x, start[0], atol=1e-10)
    np.testing.assert_allclose(back_v, -start[1], atol=1e-10)

    def drift(step_size):
        x, v = map(np.asarray, trajectory(*start, step_size, round(1 / step_size)))
        energy = quartic(x) + 0.5 * (v**2).sum(axis=1)
        return np.abs(energy - quartic(start[0]) - 0.5 * (start[1] ** 2).sum(axis=1)).max()

    # The method is of second order: half the step, a quarter of the error.
    assert 3.5 < drift(0.02) / drift(0.01) < 4.5


def test_hmc_step_size_follows_the_acceptance_rate():
    sampler = hmc.HMC(np.zeros((4, 2)), quartic, seed=1, step_size=50.0, step_size_range=(0.01, 100.0))
    for _ in range(5):  # far too large, so nothing is accepted
        assert sampler.adapt() == 0
    np.testing.assert_allclose(sampler.step_size.get_value(), 50.0 * 0.98**5, rtol=1e-5)
    np.testing.assert_allclose(sampler.acceptance.get_value(), 0.9 * 0.9**5, rtol=1e-5)
    np.testing.assert_array_equal(sampler.positions.get_value(), 0)
    sampler.step_size.set_value(np.float32(0.01))
    for _ in range(60):
        sampler.adapt()
    assert sampler.step_size.get_value() > 0.01
    assert (sampler.positions.get_value() != 0).all()
    sampler.step_size.set_value(np.float32(99.5))
    sampler.acceptance.set_value(np.float32(50.0))
    sampler.adapt()
    assert sampler.step_size.get_value() == 100


def test_hmc_samples_have_the_targets_moments(capsys):
    result = hmc.main(quick=True)
    assert "acceptance rate" in capsys.readouterr().out
    assert abs(result["acceptance"] - 0.9) < 0.07
    # Standard errors are those between 50 independent chains. Of 20 moments none is more than 4 of them off,
    # but for one seed in a few hundred; and the errors are small enough for that to say something.
    assert np.abs((result["found_mean"] - result["mean"]) / result["mean_error"]).max() < 4
    assert np.abs((result["found_covariance"] - result["covariance"]) / result["covariance_error"]).max() < 4
    assert result["mean_error"].max() < 0.05
    assert result["covariance_error"].max() < 0.1


# Kalman


def numpy_kalman(y, angle, decay, state_noise, seen_noise):
    """The log-likelihood and the means of the filter, by a loop with general matrices."""
    A = decay * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    H, m, P, total, means = np.array([[1.0, 0.0]]), np.zeros(2), np.eye(2), 0.0, []
    for seen in y:
        m, P = A @ m, A @ P @ A.T + state_noise**2 * np.eye(2)
        S = H @ P @ H.T + seen_noise**2
        gain = P @ H.T @ np.linalg.inv(S)
        total += stats.norm.logpdf(seen, (H @ m)[0], np.sqrt(S[0, 0]))
        m, P = m + gain @ (seen - H @ m), P - gain @ H @ P
        means.append(m)
    return total, np.array(means)


def joint_log_density(y, angle, decay, state_noise, seen_noise):
    """The log-likelihood by the covariance of all that is seen, without a filter."""
    n = len(y)
    A = decay * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    powers = [np.linalg.matrix_power(A, k) for k in range(n + 1)]
    covariance = seen_noise**2 * np.eye(n)
    for s, t in itertools.product(range(n), repeat=2):
        shared = powers[s + 1] @ powers[t + 1].T
        for u in range(min(s, t) + 1):
            shared = shared + state_noise**2 * powers[s - u] @ powers[t - u].T
        covariance[s, t] += shared[0, 0]
    return stats.multivariate_normal.logpdf(y, np.zeros(n), covariance)


@pytest.fixture(scope="module")
def kalman_function():
    """Log-likelihood, means and gradient, given what is seen and the parameters."""
    y, theta = at.dvector(), at.dvector()
    total, means = kalman.log_likelihood(y, theta)
    return loopjax.function([y, theta], [total, means, loopjax.grad(total, theta)])


@pytest.mark.parametrize("n_steps", [1, 12])
def test_kalman_likelihood_is_a_loops_and_that_of_the_joint_density(kalman_function, n_steps):
    params = {"angle": 0.3, "decay": 0.8, "state_noise": 0.6, "seen_noise": 0.9}
    y = kalman.simulate(n_steps, np.random.RandomState(1), **params)
    total, means, _ = kalman_function(y, kalman.free_parameters(**params))
    expected, expected_means = numpy_kalman(y, **params)
    np.testing.assert_allclose(total, expected, rtol=1e-10)
    np.testing.assert_allclose(total, joint_log_density(y, **params), rtol=1e-10)
    np.testing.assert_allclose(means, expected_means, rtol=1e-9, atol=1e-12)


def test_kalman_gradient_is_the_slope(kalman_function):
    theta = kalman.free_parameters(0.3, 0.8, 0.6, 0.9)
    y = kalman.simulate(12, np.random.RandomState(1), **kalman.TRUE)
    expected = differences(lambda y, theta: kalman_function(y, theta)[0], (y, theta), 1, 1e-5)
    np.testing.assert_allclose(kalman_function(y, theta)[2], expected, rtol=1e-6)


def test_kalman_fit_finds_the_parameters(kalman_function, capsys):
    result = kalman.main(quick=True)
    seen, found, values = result["seen"], result["found"], result["log_likelihoods"]
    assert "log-likelihood" in capsys.readouterr().out
    top, _, gradient = kalman_function(seen, kalman.free_parameters(**found))
    at_truth, _, _ = kalman_function(seen, kalman.free_parameters(**kalman.TRUE))
    assert values[-1] > values[0] + 50
    np.testing.assert_allclose(gradient, 0, atol=0.01)
    # Twice the gain over the true parameters is about chi-square of 4 degrees of freedom (Wilks, 1938).
    assert 0 < 2 * (float(top) - float(at_truth)) < stats.chi2.isf(1e-4, 4)
    np.testing.assert_allclose(list(found.values()), list(kalman.TRUE.values()), rtol=0.2)


# Hidden Markov model


@pytest.fixture(scope="module")
def hidden_markov():
    rng = np.random.RandomState(3)
    initial, transition, emission = (rng.dirichlet(np.ones(n), size=size) for n, size in [(3, 1), (3, 3), (4, 3)])
    return hmm.HMM(initial[0], transition, emission), (initial[0], transition, emission)


def every_path(params, rolls):
    """All paths of states, and the probability of each together with the rolls."""
    initial, transition, emission = params
    paths = np.array(list(itertools.product(range(len(initial)), repeat=len(rolls))))
    weights = initial[paths[:, 0]] * emission[paths, rolls].prod(axis=1)
    return paths, weights * transition[paths[:, :-1], paths[:, 1:]].prod(axis=1)


def forward_backward(params, rolls):
    """The posterior of the states, scaled at each step."""
    initial, transition, emission = params
    alpha, beta = np.zeros((2, len(rolls), len(initial)))
    alpha[0], beta[-1] = initial * emission[:, rolls[0]], 1
    for t in range(1, len(rolls)):
        alpha[t - 1] /= alpha[t - 1].sum()
        alpha[t] = alpha[t - 1] @ transition * emission[:, rolls[t]]
    for t in range(len(rolls) - 2, -1, -1):
        beta[t] = transition @ (emission[:, rolls[t + 1]] * beta[t + 1])
        beta[t] /= beta[t].sum()
    posterior = alpha * beta
    return posterior / posterior.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("n_steps", [1, 2, 6])
def test_hmm_likelihood_sums_over_every_path(hidden_markov, n_steps):
    model, params = hidden_markov
    rolls = np.random.RandomState(n_steps).randint(4, size=n_steps)
    _, weights = every_path(params, rolls)
    np.testing.assert_allclose(model.likelihood(rolls), np.log(weights.sum()), rtol=1e-10)


def test_hmm_gradient_is_the_posterior(hidden_markov):
    model, params = hidden_markov
    rolls = np.random.RandomState(0).randint(4, size=6)
    paths, weights = every_path(params, rolls)
    posterior = [[weights[paths[:, t] == k].sum() / weights.sum() for k in range(3)] for t in range(6)]
    np.testing.assert_allclose(model.posterior(rolls), posterior, rtol=1e-10)
    rolls = np.random.RandomState(1).randint(4, size=400)  # where probabilities, unlike their logarithms, underflow
    np.testing.assert_allclose(model.posterior(rolls), forward_backward(params, rolls), rtol=1e-8)


def test_hmm_gradient_is_the_slope():
    rng = np.random.RandomState(2)
    values = rng.randn(3), rng.randn(3, 3), rng.randn(5, 3)
    inputs = at.dvector(), at.dmatrix(), at.dmatrix()
    total = hmm.log_likelihood(*inputs)
    f = loopjax.function(list(inputs), [total, *loopjax.grad(total, list(inputs))])
    _, *grads = f(*values)
    for position, grad in enumerate(grads):
        expected = differences(lambda *values: f(*values)[0], values, position, 1e-5)
        np.testing.assert_allclose(grad, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("n_steps", [2, 6])
def test_hmm_decodes_the_best_path(hidden_markov, n_steps):
    model, params = hidden_markov
    turned = 0
    for seed in range(10):
        rolls = np.random.RandomState(seed).randint(4, size=n_steps)
        paths, weights = every_path(params, rolls)
        path, log_p = model.decode(rolls)
        np.testing.assert_array_equal(path, paths[weights.argmax()])
        np.testing.assert_allclose(log_p, np.log(weights.max()), rtol=1e-10)
        turned += (np.asarray(path) != np.asarray(path)[::-1]).any()
    assert turned > 3  # a path that reads the same backwards would not tell in which direction it was traced


def test_hmm_learns(capsys):
    result = hmm.main(quick=True)
    assert "log-likelihood" in capsys.readouterr().out
    # Expectation maximisation never loses likelihood (Dempster, Laird, Rubin, 1977).
    assert min(np.diff(result["log_likelihoods"])) > 0
    truth = hmm.HMM(hmm.TRUE_INITIAL, hmm.TRUE_TRANSITION, hmm.TRUE_EMISSION)
    gain = result["log_likelihoods"][-1] - float(truth.likelihood(result["rolls"]))
    # 13 free parameters; twice the gain is about chi-square of as many degrees of freedom (Wilks, 1938).
    assert 0 < 2 * gain < stats.chi2.isf(1e-4, 13)
    for table in ("transition", "emission"):
        np.testing.assert_allclose(result[table].sum(axis=1), 1, rtol=1e-10)
    # 1 - 0.05 / 0.15 of the rolls are of the fair die: saying "fair" always would tell 0.67 of the states.
    assert result["told"] > 0.75
    assert result["decoded"] > 0.7
