"""Every distribution against SciPy's, at fixed seeds."""

import inspect
from functools import partial

import jax
import numpy as np
import pytest
from scipy import integrate, special, stats

import loopjax
import loopjax.tensor as at
from loopjax.ir.op import computed
from loopjax.random import RandomStream
from loopjax.random.distributions import DISTRIBUTIONS

N = 4000


class PolyaGamma:
    """Polson, Scott and Windle (2013): the density as a series of tilted inverse Gaussians, summed up on a grid."""

    def __init__(self, b, c):
        n = np.arange(200)[:, None]
        mean = b / (2 * c) * np.tanh(c / 2) if c else b / 4
        x = mean * np.geomspace(1e-3, 1e3, 20001)
        log_terms = special.gammaln(n + b) - special.gammaln(n + 1) - (2 * n + b) ** 2 / (8 * x) - c**2 * x / 2
        log_terms += b * (np.logaddexp(c / 2, -c / 2)) - special.gammaln(b) - np.log(2)
        density = ((-1.0) ** n * (2 * n + b) * np.exp(log_terms)).sum(0) / np.sqrt(2 * np.pi * x**3) * (x < 30 * mean)
        self.x, self.sums = x, integrate.cumulative_simpson(density, x=x, initial=0)

    def cdf(self, x):
        return np.interp(x, self.x, self.sums)


CONTINUOUS = [
    ("uniform", (-1.0, 2.5), stats.uniform(-1, 3.5)),
    ("normal", (1.5, 2.0), stats.norm(1.5, 2)),
    ("standard_normal", (), stats.norm()),
    ("halfnormal", (1.0, 2.0), stats.halfnorm(1, 2)),
    ("lognormal", (0.5, 0.7), stats.lognorm(0.7, scale=np.exp(0.5))),
    ("exponential", (2.5,), stats.expon(scale=2.5)),
    ("standard_exponential", (), stats.expon()),
    ("truncexpon", (1.5, 0.5, 2.0), stats.truncexpon(1.5, 0.5, 2)),
    ("gamma", (0.7, 2.0), stats.gamma(0.7, scale=2)),
    ("standard_gamma", (2.5,), stats.gamma(2.5)),
    ("invgamma", (3.0, 2.0), stats.invgamma(3, scale=2)),
    ("gengamma", (3.0, 1.5, 2.0), stats.gengamma(2, 1.5, scale=2)),
    ("chisquare", (3.0,), stats.chi2(3)),
    ("noncentral_chisquare", (3.0, 2.0), stats.ncx2(3, 2)),
    ("beta", (0.5, 2.0), stats.beta(0.5, 2)),
    ("f", (5.0, 8.0), stats.f(5, 8)),
    ("noncentral_f", (5.0, 8.0, 2.0), stats.ncf(5, 8, 2)),
    ("t", (4.0, 1.0, 2.0), stats.t(4, 1, 2)),
    ("standard_t", (4.0,), stats.t(4)),
    ("cauchy", (1.0, 2.0), stats.cauchy(1, 2)),
    ("standard_cauchy", (), stats.cauchy()),
    ("halfcauchy", (1.0, 2.0), stats.halfcauchy(1, 2)),
    ("laplace", (1.0, 2.0), stats.laplace(1, 2)),
    ("logistic", (1.0, 2.0), stats.logistic(1, 2)),
    ("gumbel", (1.0, 2.0), stats.gumbel_r(1, 2)),
    ("pareto", (3.0, 2.0), stats.pareto(3, scale=2)),
    ("power", (3.0,), stats.powerlaw(3)),
    ("rayleigh", (2.0,), stats.rayleigh(scale=2)),
    ("maxwell", (1.0, 2.0), stats.maxwell(1, 2)),
    ("weibull", (1.5,), stats.weibull_min(1.5)),
    ("triangular", (-1.0, 0.5, 2.0), stats.triang(0.5, -1, 3)),
    ("wald", (1.5, 2.5), stats.invgauss(1.5 / 2.5, scale=2.5)),
    ("vonmises", (0.5, 4.0), stats.vonmises_line(4, 0.5)),
    ("vonmises", (0.0, 0.0), stats.uniform(-np.pi, 2 * np.pi)),
    ("vonmises", (0.0, 1e-3), stats.vonmises_line(1e-3)),
    ("vonmises", (0.0, 0.7), stats.vonmises_line(0.7)),
    ("vonmises", (0.0, 1e7), stats.norm(0, 1e7**-0.5)),
    ("polyagamma", (1.0, 0.0), PolyaGamma(1, 0)),
    ("polyagamma", (2.5, -3.0), PolyaGamma(2.5, 3)),
    ("polyagamma", (0.2, 0.5), PolyaGamma(0.2, 0.5)),
    ("polyagamma", (1.0, 200.0), PolyaGamma(1, 200)),
]

DISCRETE = [
    ("bernoulli", (0.3,), stats.bernoulli(0.3)),
    ("binomial", (7, 0.3), stats.binom(7, 0.3)),
    ("binomial", (100, 0.4), stats.binom(100, 0.4)),
    ("binomial", (1, 0.4), stats.binom(1, 0.4)),
    ("betabinom", (6, 2.0, 3.0), stats.betabinom(6, 2, 3)),
    ("negative_binomial", (3.5, 0.4), stats.nbinom(3.5, 0.4)),
    ("integers", (-2, 5), stats.randint(-2, 5)),
    ("randint", (4,), stats.randint(0, 4)),
    ("geometric", (0.3,), stats.geom(0.3)),
    ("poisson", (3.5,), stats.poisson(3.5)),
    ("poisson", (40.0,), stats.poisson(40)),
    ("categorical", ([0.2, 0.5, 0.0, 0.3],), stats.rv_discrete(values=([0, 1, 2, 3], [0.2, 0.5, 0.0, 0.3]))),
    ("zipf", (1.3,), stats.zipf(1.3)),
    ("zipf", (4.0,), stats.zipf(4)),
    ("logseries", (0.05,), stats.logser(0.05)),
    ("logseries", (0.97,), stats.logser(0.97)),
    ("hypergeometric", (6, 5, 7), stats.hypergeom(11, 6, 7)),
    ("hypergeometric", (300, 500, 200), stats.hypergeom(800, 300, 200)),
    ("hypergeometric", (1, 9, 2), stats.hypergeom(10, 1, 2)),
]


def draws(name, parameters, **options):
    return loopjax.function([], getattr(RandomStream(7), name)(*parameters, **options))()


def draws_of_inputs(name, parameters, **options):
    """Draws for parameters that only the run knows; as constants wrong ones are refused."""
    values = [np.asarray(value) for value in parameters]
    inputs = [at.tensor(str(value.dtype), shape=value.shape) for value in values]
    return loopjax.function(inputs, getattr(RandomStream(7), name)(*inputs, **options))(*values)


@pytest.mark.parametrize(("name", "parameters", "reference"), CONTINUOUS, ids=[row[0] for row in CONTINUOUS])
def test_continuous(name, parameters, reference):
    found = draws(name, parameters, size=(N,))
    assert found.dtype == "float32"
    assert found.shape == (N,)
    assert stats.kstest(np.asarray(found, float), reference.cdf).pvalue > 0.005


@pytest.mark.parametrize(("name", "parameters", "reference"), DISCRETE, ids=[row[0] for row in DISCRETE])
def test_discrete(name, parameters, reference):
    found = draws(name, parameters, size=(N,))
    assert found.dtype == "int64"
    counts = np.bincount(np.minimum(found, 1000) + 5)  # zipf draws numbers of any size
    values = np.arange(len(counts)) - 5
    expected = reference.pmf(values) * N
    assert not counts[expected == 0].any()
    often = expected > 5
    observed, wanted = np.append(counts[often], N - counts[often].sum()), np.append(expected[often], 0)
    wanted[-1] = N - wanted.sum()
    if wanted[-1] < 1e-6:
        observed, wanted = observed[:-1], wanted[:-1]
    assert stats.chisquare(observed, wanted * observed.sum() / wanted.sum()).pvalue > 0.005


@pytest.mark.parametrize("name", ["uniform", "normal", "gamma", "beta", "laplace", "t", "triangular", "dirichlet"])
def test_draws_follow_floatx_and_dtype(name):
    parameters = {
        "gamma": (2.0,),
        "beta": (2.0, 3.0),
        "t": (4.0,),
        "triangular": (0.0, 0.5, 1.0),
        "dirichlet": ([1, 2],),
    }
    stream, given = RandomStream(1), parameters.get(name, ())
    drawn = [stream.gen(name, *given, size=3), stream.gen(name, *given, size=3, dtype="float64")]
    loopjax.config.floatX = "float64"
    try:
        drawn.append(stream.gen(name, *given, size=3))
    finally:
        loopjax.config.floatX = None
    assert [one.dtype for one in drawn] == ["float32", "float64", "float64"]
    lowered = loopjax.function([], drawn).lower()  # traced and not compiled, which takes seconds
    assert [one.dtype for one in lowered.out_info[-3:]] == ["float32", "float64", "float64"]


def test_float64_draws_have_float64_digits():
    found = np.asarray(draws("normal", (), size=100, dtype="float64"))
    assert (found != found.astype("float32")).all()


def test_multinomial():
    p = np.array([0.2, 0.5, 0.3])
    found = np.asarray(draws("multinomial", (10, p), size=(N,)))
    assert found.shape == (N, 3)
    assert (found.sum(1) == 10).all()
    np.testing.assert_allclose(found.mean(0), 10 * p, atol=4 * np.sqrt(10 * 0.25 / N))
    first = np.bincount(found[:, 0], minlength=11)
    wanted = stats.binom(10, 0.2).pmf(np.arange(11)) * N
    often = wanted > 5
    assert stats.chisquare(first[often], wanted[often] * first[often].sum() / wanted[often].sum()).pvalue > 0.005


def test_multivariate_hypergeometric():
    colors = np.array([4, 0, 9, 7])
    found = np.asarray(draws("multivariate_hypergeometric", (colors, 8), size=(N,)))
    assert found.dtype == "int64"
    assert found.shape == (N, 4)
    assert (found.sum(1) == 8).all()
    assert ((found >= 0) & (found <= colors)).all()
    for position in (0, 2, 3):
        counts = np.bincount(found[:, position], minlength=9)
        wanted = stats.hypergeom(20, colors[position], 8).pmf(np.arange(9)) * N
        often = wanted > 5
        assert stats.chisquare(counts[often], wanted[often] * counts[often].sum() / wanted[often].sum()).pvalue > 0.005
    covariance = stats.multivariate_hypergeom(colors, 8).cov()[0, 2]
    assert abs(np.cov(found[:, 0], found[:, 2])[0, 1] - covariance) < 0.1
    assert RandomStream(1).multivariate_hypergeometric([[1, 2]], [1, 2, 3], size=(5, 3)).type.shape == (5, 3, 2)


def test_dirichlet():
    alpha = np.array([0.5, 2.0, 3.0])
    found = np.asarray(draws("dirichlet", (alpha,), size=(N,)), float)
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-6)
    for position in range(3):
        marginal = stats.beta(alpha[position], alpha.sum() - alpha[position])
        assert stats.kstest(found[:, position], marginal.cdf).pvalue > 0.005


def test_multivariate_normal():
    mean, cov = np.array([1.0, -2.0]), np.array([[2.0, 0.6], [0.6, 0.5]])
    found = np.asarray(draws("multivariate_normal", (mean, cov), size=N), float)
    assert found.shape == (N, 2)
    white = np.linalg.solve(np.linalg.cholesky(cov), (found - mean).T)
    for row in white:
        assert stats.kstest(row, stats.norm().cdf).pvalue > 0.005
    assert abs(np.corrcoef(white)[0, 1]) < 4 / np.sqrt(N)


def test_choice_with_replacement():
    a, p = np.array([[1, 10], [2, 20], [3, 30]]), [0.5, 0.2, 0.3]
    found = np.asarray(draws("choice", (a, N), p=p))
    assert found.shape == (N, 2)
    assert (found[:, 1] == 10 * found[:, 0]).all()
    assert stats.chisquare(np.bincount(found[:, 0])[1:], np.array(p) * N).pvalue > 0.005
    even = np.asarray(draws("choice", (4,), size=(N // 4, 4)))
    assert stats.chisquare(np.bincount(even.ravel())).pvalue > 0.005
    assert draws("choice", (4,)).shape == ()


def test_choice_without_replacement():
    found = np.asarray(draws("choice", (6, 6), replace=False))
    assert sorted(found) == list(range(6))
    n = at.lscalar()
    f = loopjax.function([n], RandomStream(0).choice(n, n, replace=False, p=at.ones(n) / n))
    assert sorted(np.asarray(f(5))) == list(range(5))


def test_permutation():
    x = at.dmatrix()
    array = np.arange(20.0).reshape(10, 2)
    found = np.asarray(loopjax.function([x], RandomStream(3).permutation(x))(array))
    assert not (found == array).all()
    np.testing.assert_array_equal(found[np.argsort(found[:, 0])], array)
    again = loopjax.function([], RandomStream(3).permutation(3)[0])
    firsts = [int(again()) for _ in range(90)]
    assert stats.chisquare(np.bincount(firsts, minlength=3)).pvalue > 0.005


def test_parameters_broadcast():
    loc, n = at.tensor("float64", (2, 1)), at.lscalar()
    stream = RandomStream(2)
    outputs = [
        stream.normal(loc, [1e-6, 1e-6, 1e-6]),
        stream.normal(loc, 1e-6, size=(n, 2, 3)),
        stream.categorical([[1.0, 0.0], [0.0, 1.0]]),
        stream.multinomial([2, 3], [1.0, 0.0]),
    ]
    assert outputs[0].type.shape == (2, 3)
    assert outputs[1].type.shape == (None, 2, 3)
    found = loopjax.function([loc, n], outputs)([[0.0], [5.0]], 4)
    np.testing.assert_allclose(found[0], [[0.0] * 3, [5.0] * 3], atol=1e-4)
    assert found[1].shape == (4, 2, 3)
    np.testing.assert_allclose(found[1][3, 1], 5.0, atol=1e-4)
    np.testing.assert_array_equal(found[2], [0, 1])
    np.testing.assert_array_equal(found[3], [[2, 0], [3, 0]])
    assert stream.dirichlet(np.ones((4, 3)), size=(2, 4)).type.shape == (2, 4, 3)
    assert stream.binomial([3, 5], [[0.5]]).type.shape == (1, 2)


def test_draws_are_differentiable_in_their_parameters():
    loc, scale = at.dscalar(), at.dscalar()
    drawn = RandomStream(1).normal(loc, scale, size=50, dtype="float64")
    f = loopjax.function([loc, scale], [drawn.mean(), *loopjax.grad(drawn.mean(), [loc, scale])])
    mean, by_loc, by_scale = (float(one) for one in f(1.0, 2.0))
    assert by_loc == pytest.approx(1, rel=1e-12)
    assert by_scale == pytest.approx((mean - 1) / 2, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("zipf", (1.0,)),
        ("zipf", (np.nan,)),
        ("logseries", (1.0,)),
        ("logseries", (-0.5,)),
        ("hypergeometric", (3, 4, 8)),
        ("hypergeometric", (-1, 4, 2)),
    ],
)
def test_parameters_without_a_distribution_give_minus_one(name, parameters):
    np.testing.assert_array_equal(draws_of_inputs(name, parameters, size=3), [-1, -1, -1])


def test_a_rejection_ends_for_every_parameter():
    found = draws_of_inputs("vonmises", (0.0, [np.nan, 1.0, np.inf]))
    np.testing.assert_array_equal(np.isnan(found), [True, False, True])
    np.testing.assert_array_equal(np.asarray(draws("zipf", ([1e6, 1.0 + 1e-6],))) > 1, [False, True])
    np.testing.assert_array_equal(
        draws_of_inputs("hypergeometric", ([5, 0, 5, 10**9], [0, 5, 5, 0], [3, 3, 0, 7])), [3, 0, 0, 7]
    )
    assert draws("vonmises", (0.0, 1.0), size=(0,)).shape == (0,)


def test_hypergeometric_has_the_right_tails():
    """They are drawn from another part of the hat than the middle, and few draws lie there."""
    n, reference = 200_000, stats.hypergeom(800, 300, 200)
    found = np.asarray(draws("hypergeometric", (300, 500, 200), size=n))
    away = np.abs(np.arange(201) - 75)
    for least, most in [(0, 5), (6, 11), (12, 15), (16, 19), (20, 200)]:
        expected = reference.pmf(np.arange(201))[(away >= least) & (away <= most)].sum()
        counted = ((np.abs(found - 75) >= least) & (np.abs(found - 75) <= most)).sum()
        assert stats.binomtest(int(counted), n, expected).pvalue > 0.005


def test_rejection_in_a_loop():
    stream = RandomStream(5)
    drawn, updates = loopjax.scan(lambda: stream.hypergeometric(3, 2, 2, size=20), n_steps=50)
    found = np.asarray(loopjax.function([], drawn, updates=updates)())
    assert stats.chisquare(np.bincount(found.ravel()), [100, 600, 300]).pvalue > 0.005


def test_vonmises_draws_lie_on_the_circle():
    found = np.asarray(draws("vonmises", (3.0, 2.0), size=N))
    assert found.min() < -2
    assert (np.abs(found) <= np.float32(np.pi)).all()
    assert stats.kstest((found - 3 + np.pi) % (2 * np.pi) - np.pi, stats.vonmises_line(2).cdf).pvalue > 0.005


@pytest.mark.parametrize(
    ("name", "theirs", "ours"),
    [
        ("beta", {"alpha": 2.0, "beta": 3.0}, {"a": 2.0, "b": 3.0}),
        ("gamma", {"shape": 2.0, "rate": 4.0}, {"shape": 2.0, "scale": 0.25}),
        ("weibull", {"shape": 2.0}, {"a": 2.0}),
        ("dirichlet", {"alphas": [2.0, 3.0]}, {"alpha": [2.0, 3.0]}),
        ("multinomial", {"n": 9, "pvals": [0.2, 0.8]}, {"n": 9, "p": [0.2, 0.8]}),
    ],
)
def test_parameters_have_the_names_of_aesara_and_of_numpy(name, theirs, ours):
    found = [getattr(RandomStream(3), name)(size=4, **names) for names in (theirs, ours)]
    np.testing.assert_array_equal(*loopjax.function([], found)())


@pytest.mark.parametrize("name", sorted(DISTRIBUTIONS))
def test_the_signature_of_a_distribution_shows_its_parameters(name):
    """In the order of the sampler, then ``size``; synonyms and ``dtype`` by keyword only."""
    parameters = inspect.signature(getattr(RandomStream(1), name)).parameters
    by_position = [one for one in parameters if parameters[one].kind is not inspect.Parameter.KEYWORD_ONLY]
    assert by_position == [*DISTRIBUTIONS[name].parameters, "size"]
    assert list(parameters)[-1] == "dtype"
    assert all(one.annotation is not inspect.Parameter.empty for one in parameters.values())


def test_every_distribution_is_tested():
    multivariate = {"multinomial", "multivariate_hypergeometric", "dirichlet", "multivariate_normal"}
    tested = {row[0] for row in (*CONTINUOUS, *DISCRETE)} | multivariate
    assert {one.name for one in DISTRIBUTIONS.values()} == {DISTRIBUTIONS[name].name for name in tested}
    assert DISTRIBUTIONS["nbinom"].name == "negative_binomial"


@pytest.mark.parametrize(
    ("op", "error", "message"),
    [
        (lambda s: s.normal(0, 1, 2, 3), TypeError, "normal takes"),
        (lambda s: s.normal(mean=0), TypeError, r"unknown|\['mean'\]"),
        (lambda s: s.normal(0, loc=1), TypeError, "by position and by name"),
        (lambda s: s.gamma(2, rate=1, scale=1), TypeError, "gamma got 'scale' twice, once as 'rate'"),
        (lambda s: s.gamma(2, 3, rate=1), TypeError, "by position and by name"),
        (lambda s: s.hypergeometric(2.5, 3, 1), TypeError, "ngood takes integers"),
        (lambda s: s.multivariate_hypergeometric(3, 1), ValueError, "colors has 1 dimensions for each draw"),
        (lambda s: s.binomial(5), TypeError, "binomial needs 'p'"),
        (lambda s: s.binomial(2.5, 0.5), TypeError, "n takes integers"),
        (lambda s: s.categorical(0.5), ValueError, "p has 1 dimensions for each draw of categorical"),
        (lambda s: s.normal(np.zeros(3), size=(2,)), ValueError, "does not draw an array of size"),
        (lambda s: s.normal(size=1.5), TypeError, "size holds integers"),
        (lambda s: s.normal(size=at.lvector()), ValueError, "size is a vector of known size"),
        (lambda s: s.gen("nomal"), ValueError, "no distribution 'nomal'"),
        (lambda s: s.multivariate_normal(np.zeros(2), np.eye(3)), ValueError, "do not fit"),
        (lambda s: s.choice(3, 4, replace=False), ValueError, "4 elements cannot be drawn from 3"),
        (lambda s: s.choice(0, 4), ValueError, "4 elements cannot be drawn from 0"),
        (lambda s: s.choice(3, p=[0.5, 0.5]), ValueError, "2 probabilities for 3 elements"),
        (lambda s: s.choice(3, p=0.5), ValueError, "p is a vector"),
        (lambda s: s.permutation(2.5), TypeError, "arange"),
    ],
)
def test_errors_name_the_line(op, error, message):
    with pytest.raises(error, match=rf"({message}).*\[test_distributions\.py:\d+\](\n|$)"):
        op(RandomStream(1))


@pytest.mark.parametrize(
    ("name", "parameters", "wrong"),
    [
        ("binomial", [3, P := at.dscalar("p")], [-0.5, 1.5, np.nan]),
        ("geometric", [P], [0.0, 1.5, np.nan]),
        ("poisson", [P], [-1.0, np.nan]),
        ("nbinom", [2.0, P], [0.0, 1.5, np.nan]),
        ("betabinom", [3, P, 1.0], [0.0, np.nan]),
        ("gamma", [P, 2.0], [-0.5, np.nan]),
        ("beta", [P, 2.0], [-0.5, 0.0]),
        ("exponential", [P], [-2.0, np.nan]),
        ("normal", [1.0, P], [-2.0]),
    ],
)
def test_a_draw_outside_of_its_domain_is_nan_or_minus_one(name, parameters, wrong):
    stream = RandomStream(4)
    drawn = getattr(stream, name)(*parameters, size=3)
    f = loopjax.function([P], drawn)
    outside = np.full(3, np.nan if drawn.type.is_float else -1)
    for value in wrong:
        np.testing.assert_array_equal(f(value), outside)
    assert np.isfinite(f(0.5)).all()
    assert not np.array_equal(f(0.5), outside)


@pytest.mark.parametrize("lengths", ["exact", "padded"])
def test_a_draw_outside_of_its_domain_at_one_step(lengths):
    stream, scales = RandomStream(4), at.dvector("scales")
    walk, _ = loopjax.scan(
        lambda scale, x: (stream.normal(0.0, scale), x + stream.normal(x, scale)), scales, [None, np.float64(0.0)]
    )
    drawn, cost = walk[0], (walk[0] ** 2).sum()
    f = loopjax.function([scales], [drawn, loopjax.grad(cost, scales)], lengths=lengths)
    found, slope = f([0.5, 2.0, 1.0])
    other, other_slope = f([0.5, -2.0, 1.0])
    np.testing.assert_array_equal(np.isnan(other), [False, True, False])
    np.testing.assert_array_equal(other[::2], found[::2])
    np.testing.assert_allclose(other_slope[::2], slope[::2])


@pytest.mark.parametrize(("dtype", "outside"), [("int8", -1), ("uint8", 255)])
@pytest.mark.parametrize(
    ("name", "before"), [("bernoulli", ()), ("binomial", (3,)), ("binomial", (1,)), ("poisson", ())]
)
def test_whole_numbers_outside_of_a_domain_are_minus_one_in_their_dtype(name, before, dtype, outside):
    p = at.dscalar("p")
    drawn = getattr(RandomStream(1), name)(*before, p, size=(3,), dtype=dtype)
    f = loopjax.function([p], drawn)
    np.testing.assert_array_equal(f(-0.5), np.full(3, outside, dtype))
    assert f(0.5).max() < 100


@pytest.mark.parametrize(
    ("name", "by_jax", "bounds"),
    [
        ("standard_uniform", "uniform", ()),
        ("standard_normal", "normal", ()),
        ("integers", "randint", (0, 9)),
        ("integers", "randint", (np.arange(5), np.arange(6, 9)[:, None])),
    ],
)
def test_draws_of_several_axes_are_those_of_jax_drawn_as_a_vector(name, by_jax, bounds):
    key, dtype = jax.random.key(7), "int64" if bounds else "float64"
    with jax.enable_x64(True):
        sample = partial(computed, f"draw_{name}", key, *map(np.asarray, bounds), lengths=(4, 3, 5), dtype=dtype)
        expected = getattr(jax.random, by_jax)(key, (4, 3, 5), *bounds, dtype=dtype)
        np.testing.assert_array_equal(sample(), expected)
        text = str(jax.make_jaxpr(sample)())
    assert "shape=(60,)" in text
    assert "random_bits[bit_width=64 shape=(4, 3, 5)]" not in text
