"""Derivatives of the incomplete beta function in its parameters, against integrals by SciPy."""

import numpy as np
import pytest
import scipy.special
from scipy.integrate import quad

import loopjax
import loopjax.tensor as at


def by_quadrature(a, b, x, logarithm, parameter):
    """The derivative as the integral of the density times a logarithm."""

    def density(t):
        return np.exp((a - 1) * np.log(t) + (b - 1) * np.log1p(-t) - scipy.special.betaln(a, b)) * logarithm(t)

    whole = quad(density, 0, x, epsabs=1e-14, epsrel=1e-12)[0]
    return whole - scipy.special.betainc(a, b, x) * (scipy.special.digamma(parameter) - scipy.special.digamma(a + b))


@pytest.mark.parametrize("point", [(1.5, 2.5, 0.3), (10.0, 3.0, 0.7), (0.2, 0.3, 0.9), (3.0, 0.05, 0.99)])
def test_slopes_in_the_parameters(point):
    variables = at.dscalars("a", "b", "x")
    slopes = loopjax.function(variables, loopjax.grad(at.betainc(*variables), list(variables[:2])))(*point)
    expected = [by_quadrature(*point, np.log, point[0]), by_quadrature(*point, lambda t: np.log1p(-t), point[1])]
    np.testing.assert_allclose(slopes, expected, rtol=1e-9)


def test_no_slope_at_the_ends():
    x = at.dvector("x")
    a = at.dscalar("a")
    f = loopjax.function([a, x], loopjax.grad(at.betainc(a, 2.0, x).sum(), a))
    assert float(f(1.5, [0.0, 1.0])) == 0
