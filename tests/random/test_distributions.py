"""Every distribution against SciPy's, at fixed seeds."""

import numpy as np
import pytest
import scipy.stats as stats

import loopjax
import loopjax.tensor as at
from loopjax.random import RandomStream
from loopjax.random.distributions import DISTRIBUTIONS

N = 4000

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
    ("weibull", (1.5,), stats.weibull_min(1.5)),
    ("triangular", (-1.0, 0.5, 2.0), stats.triang(0.5, -1, 3)),
    ("wald", (1.5, 2.5), stats.invgauss(1.5 / 2.5, scale=2.5)),
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
]


def draws(name, parameters, **options):
    return loopjax.function([], getattr(RandomStream(7), name)(*parameters, **options))()


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
    counts = np.bincount(np.asarray(found) + 5)
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


def test_every_distribution_is_tested():
    multivariate = {"multinomial", "dirichlet", "multivariate_normal"}
    tested = {row[0] for row in (*CONTINUOUS, *DISCRETE)} | multivariate
    assert {one.name for one in DISTRIBUTIONS.values()} == {DISTRIBUTIONS[name].name for name in tested}
    assert DISTRIBUTIONS["nbinom"].name == "negative_binomial"


@pytest.mark.parametrize(
    ("op", "error", "message"),
    [
        (lambda s: s.normal(0, 1, 2, 3), TypeError, "normal takes"),
        (lambda s: s.normal(mean=0), TypeError, r"unknown|\['mean'\]"),
        (lambda s: s.normal(0, loc=1), TypeError, "by position and by name"),
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
    with pytest.raises(error, match=rf"({message}).*\[test_distributions\.py:\d+\]$"):
        op(RandomStream(1))
