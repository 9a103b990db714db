"""Expressions that overflow, underflow or cancel: their stable forms as text, and their values against mpmath."""

import operator
from functools import reduce

import mpmath
import numpy as np
import pytest

import loopjax
import loopjax.tensor as at
from loopjax.ir.graph import Graph
from loopjax.rewrite.stabilize import Stabilize

X, U, M, K = at.dvector("x"), at.dvector("u"), at.dmatrix("m"), at.lvector("k")
S, E = at.sigmoid, at.exp

BEFORE_AND_AFTER = [
    # Logarithms of positive expressions
    (at.log(E(X)), "log(exp(x))", "x"),
    (at.log(S(X)), "log(sigmoid(x))", "neg(softplus(neg(x)))"),
    (at.log(1 - S(X)), "log((1. - sigmoid(x)))", "neg(softplus(x))"),
    (at.log(1 + E(X)), "log((1. + exp(x)))", "softplus(x)"),
    (at.log(E(X) + E(U)), "log((exp(x) + exp(u)))", "logaddexp(x, u)"),
    (at.log(E(M).sum(axis=0)), "log(sum(exp(m)))", "logsumexp(m)"),
    (at.log(E(M).mean(axis=0)), "log(mean(exp(m)))", "(logsumexp(m) - log(cast(dim(m))))"),
    (at.log(at.prod(S(X))), "log(prod(sigmoid(x)))", "sum(neg(softplus(neg(x))))"),
    (at.log(at.softmax(M)), "log(softmax(m))", "log_softmax(m)"),
    (at.log(at.softmax(M))[0, K], "log(softmax(m))[0, k]", "log_softmax(m)[0, k]"),
    (at.log(at.softmax(M)[0, K]), "log(softmax(m)[0, k])", "log_softmax(m)[0, k]"),
    (at.log(at.cosh(X)), "log(cosh(x))", "(logaddexp(x, neg(x)) - 0.69314718)"),
    (at.log(at.erfc(X)), "log(erfc(x))", "log_erfc(x)"),
    (at.log(E(X) / E(U)), "log((exp(x) / exp(u)))", "(x - u)"),
    (at.log(at.sqrt(S(X))), "log(sqrt(sigmoid(x)))", "(neg(softplus(neg(x))) / 2.)"),
    (at.log(at.switch(K, S(X), 1)), "log(switch(k, sigmoid(x), 1.))", "switch(k, neg(softplus(neg(x))), 0.)"),
    (at.log2(E(X)), "log2(exp(x))", "(x / 0.69314718)"),
    # Logarithms of products with other factors, of differences, of powers, of determinants, near 1
    (at.log(U * S(X)), "log((u * sigmoid(x)))", "(neg(softplus(neg(x))) + log(u))"),
    (at.log(U / E(X)), "log((u / exp(x)))", "(neg(x) + log(u))"),
    (at.log(E(X) - E(U)), "log((exp(x) - exp(u)))", "(x + log1mexp((u - x)))"),
    (at.log(E(X) - 1), "log((exp(x) - 1.))", "(x + log1mexp(neg(x)))"),
    (at.log(1 - E(X)), "log((1. - exp(x)))", "log1mexp(x)"),
    (at.log1p(-E(X)), "log1p(neg(exp(x)))", "log1mexp(x)"),
    (at.log1p(E(X)), "log1p(exp(x))", "softplus(x)"),
    (at.log(U + X + 1), "log(((u + x) + 1.))", "log1p((u + x))"),
    (at.log(1 - X), "log((1. - x))", "log1p(neg(x))"),
    (at.log(X**4), "log((x ** 4))", "(4. * log(abs(x)))"),
    (at.log(at.linalg.det(M)), "log(det(m))", "switch((slogdet(m).0 < 0.), nan, slogdet(m).1)"),
    (at.log(abs(at.linalg.det(M))), "log(abs(det(m)))", "slogdet(m).1"),
    # Sums that cancel
    (E(X) - 1, "(exp(x) - 1.)", "expm1(x)"),
    (U + E(X) - 1, "((u + exp(x)) - 1.)", "(expm1(x) + u)"),
    (1 - at.erf(X), "(1. - erf(x))", "erfc(x)"),
    (at.erf(X) - 1, "(erf(x) - 1.)", "neg(erfc(x))"),
    (0.5 + 0.5 * at.erf(X), "(0.5 + (0.5 * erf(x)))", "(0.5 * erfc(neg(x)))"),
    (1 - at.erfc(X), "(1. - erfc(x))", "erf(x)"),
    (1 - S(X), "(1. - sigmoid(x))", "sigmoid(neg(x))"),
    # Quotients and products
    (1 / (1 + E(-X)), "(1. / (1. + exp(neg(x))))", "sigmoid(x)"),
    (at.inv(1 + E(-X)), "reciprocal((1. + exp(neg(x))))", "sigmoid(x)"),
    ((1 + E(-X)) ** -2, "((1. + exp(neg(x))) ** -2)", "(sigmoid(x) ** 2)"),
    (U / (1 + E(X)), "(u / (1. + exp(x)))", "(u * sigmoid(neg(x)))"),
    (E(X) / (1 + E(X)), "(exp(x) / (1. + exp(x)))", "sigmoid(x)"),
    (E(X) / (E(X) + E(U)), "(exp(x) / (exp(x) + exp(u)))", "sigmoid((x - u))"),
    ((E(X) - 1) / (E(X) + 1), "((exp(x) - 1.) / (exp(x) + 1.))", "tanh((x / 2.))"),
    (E(X) / E(X).sum(), "(exp(x) / sum(exp(x)))", "softmax(x)"),
    (E(X - X.max()) / E(X - X.max()).sum(), "(exp((x - max(x))) / sum(exp((x - max(x)))))", "softmax(x)"),
    (
        E(M - M.max()) / E(M - M.max()).sum(axis=1)[:, None],
        "(exp((m - max(m))) / sum(exp((m - max(m))))[:, None])",
        "softmax((m - max(m)))",
    ),
    (E(M) / E(M).sum(axis=1)[:, None], "(exp(m) / sum(exp(m))[:, None])", "softmax(m)"),
    (E(M).T / E(M).sum(axis=1), "(transpose(exp(m)) / sum(exp(m)))", "exp((transpose(m) - logsumexp(m)))"),
    (U / E(X), "(u / exp(x))", "(u * exp(neg(x)))"),
    (M.sum() / E(M).sum(), "(sum(m) / sum(exp(m)))", "(sum(m) * exp(neg(logsumexp(m))))"),
    (at.tanh(E(X)) / E(X), "(tanh(exp(x)) / exp(x))", "(tanh(exp(x)) * exp(neg(x)))"),
    (E(X) * S(-X), "(exp(x) * sigmoid(neg(x)))", "exp((x + neg(softplus(x))))"),
    (E(-(X**2)) / at.erfc(X), "(exp(neg((x ** 2))) / erfc(x))", "exp((neg((x ** 2)) - log_erfc(x)))"),
    (at.sqrt(E(X)), "sqrt(exp(x))", "exp((x / 2.))"),
    # Inverses
    (E(at.log(X)), "exp(log(x))", "switch((x >= 0.), x, nan)"),
    (at.sqrt(X) ** 2, "(sqrt(x) ** 2)", "switch((x >= 0.), x, nan)"),
    (at.sqrt(at.sqr(X)), "sqrt(sqr(x))", "abs(x)"),
    (at.arctanh(at.tanh(X)), "arctanh(tanh(x))", "x"),
    (at.logit(S(X)), "logit(sigmoid(x))", "x"),
]


def stable(expression):
    """The expression that an expression is replaced by."""
    graph = Graph([X, U, M, K], [expression])
    return Stabilize()(graph).outputs[0]


@pytest.mark.parametrize(("expression", "before", "after"), BEFORE_AND_AFTER, ids=[row[1] for row in BEFORE_AND_AFTER])
def test_before_and_after(expression, before, after):
    assert loopjax.pp(expression) == before
    assert loopjax.pp(stable(expression)) == after


P = S(X)
GREATEST = M.max(axis=1)[:, None]
SHIFTED = E(M - at.switch(at.isinf(GREATEST), 0.0, GREATEST))
"""As other libraries write ``logsumexp``, with no NaN where the maximum is infinite."""


@pytest.mark.parametrize(
    "expression",
    [
        at.log(X),
        at.log(2 * X),
        at.log(at.maximum(S(X), 1e-8)),
        at.log(S(X) + 1e-8),  # neither overflows nor underflows
        at.log(E(X) * U + E(U)),  # may be negative
        X / X.sum(),
        P * U + (1 - P) * X,  # one exponential does
        at.log(1 + at.complex(X, U)),
        at.log(at.constant(2.0, dtype="float64")),
        at.log(X**0),
        # sums between 1 and their number of terms
        at.log(E(X - X.max()).sum()),
        at.log(SHIFTED.sum(axis=1)),
        X.sum() / SHIFTED.sum(axis=1),
        SHIFTED * (1 / SHIFTED.sum(axis=1))[:, None],
        # averages by weights: a weight that overflows does so above and below
        (M * E(M)).sum() / E(M).sum(),
        at.dot(E(M), M.T) / E(M).sum(axis=1)[:, None],
    ],
    ids=loopjax.pp,
)
def test_what_stays(expression):
    assert stable(expression) is expression


def test_softmax_with_a_guarded_maximum():
    assert loopjax.pp(stable(SHIFTED / SHIFTED.sum(axis=1)[:, None])) == "softmax(m)"


def test_no_pattern_looks_past_a_variable_that_a_gradient_is_taken_by():
    p = S(X)
    cost = -at.log(p).sum() - at.log(1 - p).sum()
    f = loopjax.function([X], [loopjax.grad(cost, p), loopjax.grad(cost, X)])
    at_p, at_x = f(np.zeros(1))
    np.testing.assert_allclose(at_p, 1 / 0.5 * -1 + 1 / 0.5, atol=1e-12)
    np.testing.assert_allclose(at_x, 0, atol=1e-12)
    np.testing.assert_allclose(loopjax.grad(-at.log(p).sum(), p).eval({X: np.zeros(1)}), -2)
    negative = -X
    np.testing.assert_allclose(loopjax.grad(at.log(S(negative)).sum(), negative).eval({X: np.zeros(1)}), 0.5)


def test_deep_sums_and_products():
    total, product = E(X), E(X)
    for _ in range(2000):
        total, product = total + E(X), product * E(X)
    assert stable(at.log(total)).owner.op.name == "log"
    assert stable(at.log(1.0 + product)).owner.op.name == "softplus"


def test_it_can_be_left_out():
    plain = loopjax.function([X], at.log(S(X)), mode=loopjax.Mode().excluding("stabilize"))
    assert np.asarray(plain(np.array([-800.0]))) == -np.inf
    quick = loopjax.function([X], at.log(S(X)), mode="FAST_COMPILE")
    assert np.asarray(quick(np.array([-800.0]))) == -800


mp = mpmath.mp
LOGISTIC = {"sigmoid": lambda x: 1 / (1 + mp.exp(-x)), "softplus": lambda x: mp.log(1 + mp.exp(x))}

EXTREME = [
    (lambda f, x: f.log(f.sigmoid(x)), [-800, -30, 0, 30, 800]),
    (lambda f, x: f.log(1 - f.sigmoid(x)), [-800, -30, 0, 30, 800]),
    (lambda f, x: f.log(1 + f.exp(x)), [-800, -1, 800]),
    (lambda f, x: f.log(f.exp(x) + f.exp(2 * x) + 1), [-800, 0.5, 800]),
    (lambda f, x: f.log(f.exp(x) - 1), [1e-12, 2, 800]),
    (lambda f, x: f.log(1 - f.exp(-x)), [1e-12, 2, 100]),
    (lambda f, x: f.log(f.erfc(x)), [-20, 0.5, 5, 30]),
    (lambda f, x: f.log(1 + f.erf(x)), [-40, -5, 0.5, 20]),
    (lambda f, x: f.log(f.cosh(x)), [-800, 0.5, 800]),
    (lambda f, x: f.log(f.exp(-x * x / 2) / 3), [-100, 0.5, 100]),
    (lambda f, x: f.log(x**6), [-1e200, 1e-200, 3]),
    (lambda f, x: f.exp(x) - 1, [-800, 1e-18, 2]),
    (lambda f, x: 1 - f.erf(x), [-3, 0.5, 20]),
    (lambda f, x: f.erf(x) + 1, [-20, 0.5, 3]),
    (lambda f, x: 1 - f.sigmoid(x), [-800, 3, 40]),
    (lambda f, x: 1 / (1 + f.exp(-x)), [-700, 3, 800]),
    (lambda f, x: 3 / (1 + f.exp(x)) ** 2, [-800, 3, 350]),
    (lambda f, x: f.exp(x) / (1 + f.exp(x)), [-700, 3, 800]),
    (lambda f, x: (f.exp(x) - f.exp(-x)) / (f.exp(x) + f.exp(-x)), [-800, -3, 1e-9, 800]),
    (lambda f, x: x / f.exp(x), [-3, 3, 700]),
    (lambda f, x: f.exp(x) * f.sigmoid(-x), [-700, 3, 800]),
    (lambda f, x: f.exp(-x * x) / f.erfc(x), [-3, 0.5, 4]),
    (lambda f, x: f.exp(f.log(x)), [1e-300, 3]),
    (lambda f, x: f.sqrt(x * x * 1) * f.sqrt(x**2), [1e100, 3]),
]
"""Functions and points of which the plain form would lose some or all."""


def derivative(function, x):
    """The derivative of a function by mpmath: a difference quotient, exact to more than 400 digits."""
    step = mp.mpf(10) ** -1200
    return (function(mp, x + step) - function(mp, x - step)) / (2 * step)


@pytest.fixture(autouse=True)
def _digits():
    with mp.workdps(2500):
        mp.sigmoid = LOGISTIC["sigmoid"]
        yield
        del mp.sigmoid


@pytest.mark.parametrize("in_loop", [False, True])
def test_extreme_arguments(in_loop):
    xs = [at.dvector(f"x{number}") for number in range(len(EXTREME))]
    values = [np.array(points, "float64") for _, points in EXTREME]
    made = [function(at, x) for (function, _), x in zip(EXTREME, xs, strict=True)]
    if in_loop:
        made = [
            loopjax.scan(lambda v, f=function: f(at, v), sequences=x)[0]
            for (function, _), x in zip(EXTREME, xs, strict=True)
        ]
    gradients = [loopjax.grad(one.sum(), x) for one, x in zip(made, xs, strict=True)]
    found = loopjax.function(xs, [*made, *gradients])(*values)
    for (function, points), value, slope in zip(EXTREME, found[: len(xs)], found[len(xs) :], strict=True):
        points = [mp.mpf(float(point)) for point in points]
        # Rounding of x itself moves an exponential of it by as many units as x is large.
        np.testing.assert_allclose(value, [float(function(mp, point)) for point in points], rtol=1e-12)
        np.testing.assert_allclose(slope, [float(derivative(function, point)) for point in points], rtol=1e-12)


def test_hazard_of_a_normal_distribution():
    x = np.array([30.0, 1000.0])
    expected = [float(mp.exp(-(mp.mpf(one) ** 2)) / mp.erfc(one)) for one in (30, 1000)]
    found = loopjax.function([X], E(-(X**2)) / at.erfc(X))(x)
    np.testing.assert_allclose(found, expected, rtol=4 * 1000**2 * np.finfo("float64").eps)


def a_positive(rng, depth):
    """A random positive expression of the inputs ``x`` and ``y``, as a function of a library and of these."""
    if not depth or rng.random() < 0.2:
        a, b, c = rng.choice([-1.0, 0.0, 0.5, 2.0], size=3)
        name = rng.choice(["exp", "sigmoid", "one_minus", "cosh"])
        inner = lambda x, y: a * x + b * y + c  # noqa: E731
        if name == "one_minus":
            return lambda f, x, y: 1 - f.sigmoid(inner(x, y))
        return lambda f, x, y: getattr(f, name)(inner(x, y))
    p, q = (a_positive(rng, depth - 1) for _ in "pq")
    return rng.choice(
        [
            lambda f, x, y: p(f, x, y) + q(f, x, y),
            lambda f, x, y: p(f, x, y) * q(f, x, y),
            lambda f, x, y: p(f, x, y) / q(f, x, y),
            lambda f, x, y: 1 + p(f, x, y),
            lambda f, x, y: 3 * p(f, x, y),
            lambda f, x, y: f.sqrt(p(f, x, y)),
            lambda f, x, y: p(f, x, y) ** 3,
        ]
    )


@pytest.mark.parametrize("in_loop", [False, True])
def test_random_expressions(in_loop):
    """Logarithms of positive expressions, whose conditioning is known: they move by as much as their arguments."""
    rng = np.random.default_rng(15)
    functions = [a_positive(rng, 3) for _ in range(7)]
    scales = np.array([1.0, 1.0, 30.0, 900.0, 900.0])
    xs, ys = (rng.normal(size=5) * scales for _ in "xy")
    x, y = at.dvector("x"), at.dvector("y")
    made = [at.log(function(at, x, y)) for function in functions]
    if in_loop:
        made, _ = loopjax.scan(lambda x, y: [at.log(function(at, x, y)) for function in functions], sequences=[x, y])
    slopes = loopjax.grad(reduce(operator.add, made).sum(), [x, y])
    *values, by_x, by_y = loopjax.function([x, y], [*made, *slopes])(xs, ys)
    for at_point, (a, b) in enumerate(zip(xs, ys, strict=True)):
        a, b, step = mp.mpf(float(a)), mp.mpf(float(b)), mp.mpf(10) ** -800
        size = 1e-13 * float(1 + abs(a) + abs(b))
        right = [mp.log(function(mp, a, b)) for function in functions]
        np.testing.assert_allclose(
            [value[at_point] for value in values], [float(one) for one in right], rtol=0, atol=30 * size
        )
        moved = [sum(mp.log(f(mp, *pair)) for f in functions) for pair in ((a + step, b), (a, b + step))]
        for found, new in zip((by_x, by_y), moved, strict=True):
            np.testing.assert_allclose(found[at_point], float((new - sum(right)) / step), rtol=0, atol=30 * size)
