"""PyMC models of many families: each function returns a model whose log density and gradient are compared."""

import inspect
from collections.abc import Callable

import numpy as np
import pymc as pm
import pytensor
import pytensor.tensor as pt
from pytensor.scan.utils import until

MODELS: dict[str, Callable[[], pm.Model]] = {}
"""The models by name."""

_OPTIONS = {"return_updates": False} if "return_updates" in inspect.signature(pytensor.scan).parameters else {}


def scan(*args, **kwargs):
    """``pytensor.scan`` that returns the outputs."""
    found = pytensor.scan(*args, strict=True, **_OPTIONS, **kwargs)
    return found if _OPTIONS else found[0]


def model(build):
    """Register a function that declares variables as one that makes a model of them."""

    def made() -> pm.Model:
        with pm.Model() as created:
            build(np.random.default_rng(7))
        return created

    MODELS[build.__name__.replace("_", "-")] = made
    return made


@model
def logistic_regression(rng):
    x = rng.normal(size=(60, 4))
    beta = pm.Normal("beta", 0, 2, shape=4)
    pm.Bernoulli("y", logit_p=x @ beta, observed=rng.integers(0, 2, 60))


@model
def poisson_regression(rng):
    x = rng.normal(size=(60, 3))
    beta = pm.Normal("beta", 0, 1, shape=3)
    pm.Poisson("y", pm.math.exp(pm.math.dot(x, beta)), observed=rng.poisson(2, 60))


@model
def negative_binomial_regression(rng):
    x = rng.normal(size=60)
    a, b = pm.Normal("a", 0, 1), pm.Normal("b", 0, 1)
    alpha = pm.Exponential("alpha", 1)
    pm.NegativeBinomial("y", mu=pm.math.exp(a + b * x), alpha=alpha, observed=rng.poisson(2, 60))


@model
def robust_regression(rng):
    x = rng.normal(size=50)
    a, b = pm.Normal("a", 0, 5), pm.Normal("b", 0, 5)
    s, nu = pm.HalfCauchy("s", 2), pm.Gamma("nu", 2, 0.1)
    pm.StudentT("y", nu=nu, mu=a + b * x, sigma=s, observed=1 + 2 * x + rng.standard_t(3, 50))


@model
def hierarchical(rng):
    group = rng.integers(0, 8, 80)
    mu, tau = pm.Normal("mu", 0, 5), pm.HalfNormal("tau", 2)
    z = pm.Normal("z", 0, 1, shape=8)
    theta = pm.Deterministic("theta", mu + tau * z)
    pm.Normal("y", theta[group], 1.0, observed=rng.normal(size=80))


@model
def missing_values(rng):
    y = rng.normal(1, 2, size=30)
    y[[3, 7, 20]] = np.nan
    mu, s = pm.Normal("mu", 0, 5), pm.HalfNormal("s", 3)
    pm.Normal("y", mu, s, observed=y)


@model
def potential_and_deterministic(rng):
    x = pm.Normal("x", 0, 1, shape=3)
    total = pm.Deterministic("total", x.sum())
    pm.Potential("ring", -((total**2 - 2) ** 2))


@model
def gaussian_process_marginal(rng):
    x = np.linspace(0, 1, 25)[:, None]
    length, eta, s = pm.Gamma("length", 2, 4), pm.HalfNormal("eta", 2), pm.HalfNormal("s", 1)
    gp = pm.gp.Marginal(cov_func=eta**2 * pm.gp.cov.ExpQuad(1, length))
    gp.marginal_likelihood("y", X=x, y=np.sin(5 * x[:, 0]) + 0.1 * rng.normal(size=25), sigma=s)


@model
def gaussian_process_latent(rng):
    x = np.linspace(0, 1, 15)[:, None]
    length = pm.Gamma("length", 2, 4)
    f = pm.gp.Latent(cov_func=pm.gp.cov.Matern52(1, length)).prior("f", X=x)
    pm.Poisson("y", pm.math.exp(f), observed=rng.poisson(2, 15))


@model
def lkj_covariance(rng):
    chol, *_ = pm.LKJCholeskyCov("chol", n=3, eta=2.0, sd_dist=pm.Exponential.dist(1.0, size=3), compute_corr=True)
    mu = pm.Normal("mu", 0, 2, shape=3)
    pm.MvNormal("y", mu, chol=chol, observed=rng.normal(size=(40, 3)))


@model
def normal_mixture(rng):
    w = pm.Dirichlet("w", np.ones(3))
    mu = pm.Normal("mu", 0, 3, shape=3)
    pm.NormalMixture("y", w=w, mu=mu, sigma=np.ones(3), observed=rng.normal(size=60))


@model
def mixture_of_families(rng):
    w = pm.Dirichlet("w", np.ones(2))
    parts = [pm.Normal.dist(pm.Normal("m", 0, 2), 1), pm.StudentT.dist(nu=4, mu=0, sigma=pm.HalfNormal("s", 3))]
    pm.Mixture("y", w=w, comp_dists=parts, observed=rng.normal(size=40))


@model
def autoregression(rng):
    rho = pm.Normal("rho", 0, 0.5, shape=3)
    s = pm.HalfNormal("s", 1)
    pm.AR("y", rho, sigma=s, constant=True, init_dist=pm.Normal.dist(0, 1, size=2), observed=rng.normal(size=50))


@model
def random_walk(rng):
    s = pm.HalfNormal("s", 1)
    level = pm.GaussianRandomWalk("level", sigma=s, init_dist=pm.Normal.dist(0, 1), shape=40)
    pm.Normal("y", level, 0.5, observed=np.cumsum(rng.normal(size=40)))


@model
def garch(rng):
    omega, alpha = pm.HalfNormal("omega", 1), pm.Beta("alpha", 2, 5)
    beta = pm.Beta("beta", 2, 5)
    pm.GARCH11("y", omega=omega, alpha_1=alpha, beta_1=beta, initial_vol=1.0, observed=rng.normal(size=50))


@model
def euler_maruyama(rng):
    theta, s = pm.HalfNormal("theta", 1), pm.HalfNormal("s", 1)
    pm.EulerMaruyama(
        "y", 0.1, lambda x, t, s: (-t * x, s), (theta, s), init_dist=pm.Normal.dist(0, 1), observed=rng.normal(size=30)
    )


@model
def zero_inflated(rng):
    psi, mu = pm.Beta("psi", 2, 2), pm.Gamma("mu", 2, 1)
    pm.ZeroInflatedPoisson("y", psi=psi, mu=mu, observed=rng.poisson(2, 40) * rng.integers(0, 2, 40))


@model
def ordered_logistic(rng):
    cut = pm.Normal("cut", [-1.0, 0.0, 1.0], 1, transform=pm.distributions.transforms.ordered, shape=3)
    eta = pm.Normal("eta", 0, 1)
    pm.OrderedLogistic("y", eta=eta * rng.normal(size=40), cutpoints=cut, observed=rng.integers(0, 4, 40))


@model
def dirichlet_multinomial(rng):
    a = pm.HalfNormal("a", 2, shape=4)
    pm.DirichletMultinomial("y", n=20, a=a, observed=rng.multinomial(20, [0.1, 0.2, 0.3, 0.4], size=10))


@model
def censored_survival(rng):
    alpha, beta = pm.HalfNormal("alpha", 2), pm.HalfNormal("beta", 3)
    times = rng.weibull(1.5, size=50)
    pm.Censored("y", pm.Weibull.dist(alpha, beta), lower=None, upper=1.5, observed=np.minimum(times, 1.5))


@model
def truncated_normal(rng):
    mu, s = pm.Normal("mu", 0, 2), pm.HalfNormal("s", 2)
    pm.TruncatedNormal("y", mu, s, lower=0.0, observed=np.abs(rng.normal(size=40)))


@model
def gamma_and_beta(rng):
    a, b = pm.HalfNormal("a", 2), pm.HalfNormal("b", 2)
    pm.Gamma("y", a, b, observed=rng.gamma(2, 1, 30))
    pm.Beta("p", a, b, observed=rng.beta(2, 3, 30))


@model
def change_point(rng):
    when = pm.Uniform("when", 0, 40)
    early, late = pm.Exponential("early", 1), pm.Exponential("late", 1)
    sharp = pm.math.sigmoid((np.arange(40) - when) * 2)
    pm.Poisson("y", early * (1 - sharp) + late * sharp, observed=rng.poisson(2, 40))


@model
def hidden_markov(rng):
    y = rng.normal(size=50)
    p = pm.Dirichlet("p", np.ones((3, 3)) + 2 * np.eye(3), shape=(3, 3))
    mu = pm.Normal("mu", [-1.0, 0.0, 1.0], 1, shape=3)
    emission = pm.logp(pm.Normal.dist(mu[None, :], 1.0), pt.as_tensor(y)[:, None])

    def step(e, alpha, log_p):
        return e + pt.logsumexp(alpha[:, None] + log_p, axis=0)

    alphas = scan(step, sequences=emission[1:], outputs_info=emission[0] - np.log(3.0), non_sequences=[pt.log(p)])
    pm.Potential("likelihood", pt.logsumexp(alphas[-1]))


@model
def epidemic(rng):
    beta, gamma = pm.LogNormal("beta", -0.5, 0.3), pm.LogNormal("gamma", -1.5, 0.3)
    i0 = pm.Beta("i0", 1, 50)

    def step(s, i, beta, gamma):
        new, gone = beta * s * i, gamma * i
        return s - new, i + new - gone

    _, i = scan(step, outputs_info=[1 - i0, i0], non_sequences=[beta, gamma], n_steps=40)
    pm.Normal("y", i, 0.05, observed=0.2 * np.exp(-((np.arange(40) - 20) ** 2) / 60) + 0.01 * rng.normal(size=40))


@model
def scalar_kalman(rng):
    y = np.cumsum(rng.normal(size=60)) + rng.normal(size=60)
    q, r = pm.HalfNormal("q", 1), pm.HalfNormal("r", 1)

    def step(y_t, m, p, q, r):
        p = p + q**2
        s = p + r**2
        gain = p / s
        return m + gain * (y_t - m), (1 - gain) * p, -0.5 * (pt.log(2 * np.pi * s) + (y_t - m) ** 2 / s)

    start = [pt.zeros(()), pt.as_tensor(np.array(10.0)), None]
    *_, terms = scan(step, sequences=pt.as_tensor(y), outputs_info=start, non_sequences=[q, r])
    pm.Potential("likelihood", terms.sum())


@model
def local_trend(rng):
    """A Kalman filter in matrices: level, slope and one observation."""
    y = np.cumsum(0.1 * np.arange(50) + rng.normal(size=50))
    q, r = pm.HalfNormal("q", 1, shape=2), pm.HalfNormal("r", 1)
    move, see = pt.as_tensor(np.array([[1.0, 1.0], [0.0, 1.0]])), pt.as_tensor(np.array([[1.0, 0.0]]))

    def step(y_t, m, p, q, r, move, see):
        m, p = move @ m, move @ p @ move.T + pt.diag(q**2)
        s = see @ p @ see.T + r**2 * pt.eye(1)
        gain = pt.linalg.solve(s, see @ p, assume_a="pos").T
        error = y_t - see @ m
        logdet = pt.linalg.slogdet(s)[1]
        loss = -0.5 * (np.log(2 * np.pi) + logdet + error @ pt.linalg.solve(s, error, assume_a="pos"))
        return m + gain @ error, p - gain @ s @ gain.T, loss

    start = [pt.zeros(2), 10 * pt.eye(2), None]
    *_, terms = scan(step, sequences=pt.as_tensor(y), outputs_info=start, non_sequences=[q, r, move, see])
    pm.Potential("likelihood", terms.sum())


@model
def recurrent_network(rng):
    x = rng.normal(size=(30, 2))
    w, u = pm.Normal("w", 0, 0.5, shape=(2, 3)), pm.Normal("u", 0, 0.5, shape=(3, 3))
    out = pm.Normal("out", 0, 1, shape=3)
    states = scan(
        lambda x_t, h, w, u: pt.tanh(x_t @ w + h @ u),
        sequences=pt.as_tensor(x),
        outputs_info=pt.zeros(3),
        non_sequences=[w, u],
    )
    pm.Normal("y", states @ out, 1.0, observed=rng.normal(size=30))


@model
def steady_state(rng):
    """A fixed point by iteration until it is reached: a while loop, which PyTensor refuses on JAX."""
    a, b = pm.Beta("a", 2, 2), pm.Normal("b", 0, 1)
    tries = scan(
        lambda x, a, b: (a * pt.cos(x) + 0.1 * b, until(pt.abs(a * pt.cos(x) + 0.1 * b - x) < 1e-12)),
        outputs_info=pt.as_tensor(np.array(0.5)),
        non_sequences=[a, b],
        n_steps=400,
    )
    pm.Normal("y", tries[-1], 0.2, observed=rng.normal(0.6, 0.2, size=20))


@model
def extinction(rng):
    """A population until it falls below a threshold, at most 200 steps: a while loop with a sum over its states."""
    rate, start = pm.Beta("rate", 8, 2), pm.LogNormal("start", 2, 0.2)
    sizes = scan(
        lambda n, rate: (rate * n, until(rate * n < 0.5)), outputs_info=start, non_sequences=[rate], n_steps=200
    )
    pm.Normal("total", sizes.sum(), 2.0, observed=rng.normal(25, 2, size=8))


@model
def renewal(rng):
    """Counts driven by the three counts before: a state with taps."""
    rate = pm.LogNormal("rate", 0, 0.3)
    weights = pm.Dirichlet("weights", np.ones(3))
    expected = scan(
        lambda a, b, c, rate, w: rate * (w[0] * c + w[1] * b + w[2] * a),
        outputs_info=[{"initial": pt.as_tensor(np.array([2.0, 3.0, 4.0])), "taps": [-3, -2, -1]}],
        non_sequences=[rate, weights],
        n_steps=30,
    )
    pm.Poisson("y", expected, observed=rng.poisson(3, 30))


@model
def data_that_changes(rng):
    """Data containers, which are shared variables."""
    x = pm.Data("x", rng.normal(size=40))
    a, b = pm.Normal("a", 0, 1), pm.Normal("b", 0, 1)
    pm.Normal("y", a + b * x, 1.0, observed=pm.Data("seen", rng.normal(size=40)))


@model
def masked_likelihood(rng):
    """A likelihood of the observations that a mask picks, whose number is a value."""
    y = pm.Data("y", rng.normal(size=30))
    mu = pm.Normal("mu", 0, 1)
    picked = y[y > pm.Data("least", 0.0)]
    pm.Potential("likelihood", pm.logp(pm.Normal.dist(mu, 1.0), picked).sum())
