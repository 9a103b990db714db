"""Time-series models, float64."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

import math
from typing import Any

SEASON = 12
HAZARD = 0.02
PRIOR_MEAN, PRIOR_COUNT, PRIOR_SHAPE, PRIOR_SCALE = 0.0, 1.0, 1.0, 1.0


def score_driven(aesara: Any) -> Any:
    """Negative log-likelihood of a score-driven model of volatility with Student's t (Creal, Koopman and Lucas 2013)
    and its gradient in four parameters."""
    at = aesara.tensor
    y = at.dvector("y")
    omega, alpha, beta, nu = parameters = [at.dscalar(name) for name in ("omega", "alpha", "beta", "nu")]

    def step(y_t: Any, f: Any) -> list[Any]:
        ratio = y_t**2 / (nu * at.exp(f))
        score = (nu + 1) * ratio / (1 + ratio) - 1
        return [omega + beta * f + alpha * score, f / 2 + (nu + 1) / 2 * at.log1p(ratio)]

    (_, terms), updates = aesara.scan(step, sequences=y, outputs_info=[omega / (1 - beta), None])
    norm = at.gammaln(nu / 2) - at.gammaln((nu + 1) / 2) + at.log(math.pi * nu) / 2
    cost = terms.sum() + y.shape[0] * norm
    return aesara.function([y, *parameters], [cost, *aesara.grad(cost, parameters)], updates=updates)


def dynamic_correlation(aesara: Any) -> Any:
    """Negative log-likelihood of dynamic conditional correlations (Engle 2002) and its gradient in both parameters;
    ``z`` has the standardized returns."""
    at = aesara.tensor
    z, a, b = at.dmatrix("z"), at.dscalar("a"), at.dscalar("b")
    mean = at.dot(z.T, z) / z.shape[0]

    def step(z_t: Any, before: Any, Q: Any) -> list[Any]:
        Q = (1 - a - b) * mean + a * at.outer(before, before) + b * Q
        sd = at.sqrt(at.diagonal(Q))
        R = Q / at.outer(sd, sd)
        return [Q, at.log(at.linalg.det(R)) + at.dot(z_t, at.linalg.solve(R, z_t))]

    (_, terms), updates = aesara.scan(step, sequences={"input": z, "taps": [0, -1]}, outputs_info=[mean, None])
    cost = terms.sum() / 2
    return aesara.function([z, a, b], [cost, *aesara.grad(cost, [a, b])], updates=updates)


def change_points(aesara: Any, most: int) -> Any:
    """Expected time since the last change, by step, and its last distribution, by online detection of changes in mean
    and variance (Adams and MacKay 2007)."""
    at = aesara.tensor
    x = at.dvector("x")

    def shifted(first: Any, values: Any) -> Any:
        return at.concatenate([at.stack([first]), values[:-1]])

    def step(x_t: Any, chance: Any, mean: Any, count: Any, shape: Any, scale: Any) -> list[Any]:
        width = 2 * scale * (count + 1) / count
        log_density = at.gammaln(shape + 0.5) - at.gammaln(shape) - at.log(math.pi * width) / 2
        log_density = log_density - (shape + 0.5) * at.log1p((x_t - mean) ** 2 / width)
        joint = chance * at.exp(log_density)
        chance = shifted(HAZARD * joint.sum(), (1 - HAZARD) * joint)
        chance = chance / chance.sum()
        scale = scale + count * (x_t - mean) ** 2 / (2 * (count + 1))
        mean = (count * mean + x_t) / (count + 1)
        return [
            chance,
            shifted(at.constant(PRIOR_MEAN, dtype="float64"), mean),
            shifted(at.constant(PRIOR_COUNT, dtype="float64"), count + 1),
            shifted(at.constant(PRIOR_SHAPE, dtype="float64"), shape + 0.5),
            shifted(at.constant(PRIOR_SCALE, dtype="float64"), scale),
            at.dot(chance, at.arange(most)),
        ]

    start = [
        at.set_subtensor(at.zeros((most,), dtype="float64")[0], 1.0),
        *(at.full((most,), value, dtype="float64") for value in (PRIOR_MEAN, PRIOR_COUNT, PRIOR_SHAPE, PRIOR_SCALE)),
        None,
    ]
    (chance, *_, expected), updates = aesara.scan(step, sequences=x, outputs_info=start)
    return aesara.function([x], [expected, chance[-1]], updates=updates)


def seasonal(aesara: Any) -> Any:
    """Sum of squares of the innovations of a seasonal ARIMA(1, 0, 1)(1, 0, 1) model of months and its gradient (Box and
    Jenkins 1970)."""
    at = aesara.tensor
    y = at.dvector("y")
    phi, theta, of_year, of_shock = parameters = [at.dscalar(name) for name in ("phi", "theta", "Phi", "Theta")]

    def step(now: Any, one: Any, year: Any, both: Any, e1: Any, e12: Any, e13: Any) -> Any:
        forecast = phi * one + of_year * year - phi * of_year * both
        return now - forecast - theta * e1 - of_shock * e12 - theta * of_shock * e13

    e, updates = aesara.scan(
        step,
        sequences={"input": y, "taps": [0, -1, -SEASON, -SEASON - 1]},
        outputs_info={"initial": at.zeros((SEASON + 1,), dtype="float64"), "taps": [-1, -SEASON, -SEASON - 1]},
    )
    cost = (e**2).sum()
    return aesara.function([y, *parameters], [cost, *aesara.grad(cost, parameters)], updates=updates)
