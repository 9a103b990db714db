"""Markov chain Monte Carlo and annealing."""

# ruff: noqa: N806 - matrices have the names that the field gives them

from __future__ import annotations

import math
from typing import Any

from benchmarks.programs.applications import stream, until

FULL_TURN = 2 * math.pi
LANGEVIN_RATE, LANGEVIN_DELAY = 2.0**-6, 16.0
EFFECTS_STEP, TRIALS = 0.25, 10
ANNEALING_STEP, WIDTH, START_WIDTH = 0.5, 0.5, 2.0


def elliptical_slice(aesara: Any, draws: int, shrinks: int) -> Any:
    """Mean and mean square of log-rates of Poisson counts with a normal prior, by elliptical slice sampling (Murray,
    Adams and MacKay 2010); ``root`` is the Cholesky factor of the prior's covariance."""
    at, trng = aesara.tensor, stream(aesara)
    root, counts, start = at.dmatrix("root"), at.dvector("counts"), at.dvector("start")

    def log_likelihood(f: Any) -> Any:
        return (counts * f - at.exp(f)).sum()

    def draw(f: Any) -> Any:
        other = at.dot(root, trng.normal(size=f.shape, dtype="float64"))
        level = log_likelihood(f) + at.log(trng.uniform(size=(), dtype="float64"))
        first = FULL_TURN * trng.uniform(size=(), dtype="float64")

        def shrink(angle: Any, low: Any, high: Any) -> Any:
            tried = f * at.cos(angle) + other * at.sin(angle)
            low, high = at.switch(angle < 0, angle, low), at.switch(angle < 0, high, angle)
            angle = low + (high - low) * trng.uniform(size=(), dtype="float64")
            return [angle, low, high, tried], until(aesara, log_likelihood(tried) > level)

        (_, _, _, tried), _ = aesara.scan(shrink, outputs_info=[first, first - FULL_TURN, first, None], n_steps=shrinks)
        return tried[-1]

    f, updates = aesara.scan(draw, outputs_info=start, n_steps=draws)
    return aesara.function([root, counts, start], [f.mean(), (f**2).mean()], updates=updates)


def langevin(aesara: Any, batch: int) -> Any:
    """Mean weights of a logistic regression over the second half of a chain of stochastic gradient Langevin dynamics
    (Welling and Teh 2011); ``y`` is -1 or 1, ``count`` has the numbers of the steps. Float32."""
    at, trng = aesara.tensor, stream(aesara)
    X, y, start, count = at.fmatrix("X"), at.fvector("y"), at.fvector("start"), at.fvector("count")
    share = at.cast(X.shape[0] / batch, "float32")

    def step(t: Any, w: Any) -> Any:
        chosen = trng.integers(0, X.shape[0], size=(batch,))
        margin = y[chosen] * at.dot(X[chosen], w)
        log_density = -share * at.softplus(-margin).sum() - 0.5 * (w**2).sum()
        rate = LANGEVIN_RATE / at.sqrt(LANGEVIN_DELAY + t)
        noise = trng.normal(size=w.shape, dtype="float32")
        return w + 0.5 * rate * aesara.grad(log_density, w) + at.sqrt(rate) * noise

    w, updates = aesara.scan(step, sequences=count, outputs_info=start)
    return aesara.function([X, y, start, count], w[count.shape[0] // 2 :].mean(axis=0), updates=updates)


def pseudo_marginal(aesara: Any, draws: int, importance: int) -> Any:
    """Mean of location and log-scale of random effects on numbers of successes ``wins``, by pseudo-marginal Metropolis
    (Andrieu and Roberts 2009): importance draws of all effects estimate the likelihood of each proposal."""
    at, trng = aesara.tensor, stream(aesara)
    wins, start = at.dvector("wins"), at.dvector("start")

    def estimate(theta: Any) -> Any:
        z = trng.normal(size=(wins.shape[0], importance), dtype="float64")
        logit = theta[0] + at.exp(theta[1]) * z
        terms = wins.dimshuffle(0, "x") * logit - TRIALS * at.softplus(logit)
        return (at.logsumexp(terms, axis=1) - math.log(importance)).sum() - 0.5 * (theta**2).sum()

    def draw(theta: Any, density: Any) -> list[Any]:
        proposed = theta + EFFECTS_STEP * trng.normal(size=theta.shape, dtype="float64")
        new = estimate(proposed)
        accepted = at.log(trng.uniform(size=(), dtype="float64")) < new - density
        return [at.switch(accepted, proposed, theta), at.switch(accepted, new, density)]

    (theta, _), updates = aesara.scan(draw, outputs_info=[start, estimate(start)], n_steps=draws)
    return aesara.function([wins, start], theta.mean(axis=0), updates=updates)


def annealed_importance(aesara: Any) -> Any:
    """Logarithm of the mass of two bumps in the plane by annealed importance sampling (Neal 2001): one Metropolis step
    for all particles at each of the inverse temperatures ``beta``."""
    at, trng = aesara.tensor, stream(aesara)
    beta, bump, start = at.dvector("beta"), at.dvector("bump"), at.dmatrix("start")

    def log_base(x: Any) -> Any:
        return -0.5 * (x**2).sum(axis=1) / START_WIDTH**2 - math.log(FULL_TURN * START_WIDTH**2)

    def log_target(x: Any) -> Any:
        one, two = (-0.5 * ((x - sign * bump) ** 2).sum(axis=1) / WIDTH**2 for sign in (1, -1))
        return at.logaddexp(one, two)

    def step(cold: Any, before: Any, x: Any, weight: Any) -> list[Any]:
        def log_density(x: Any) -> Any:
            return (1 - cold) * log_base(x) + cold * log_target(x)

        weight = weight + (cold - before) * (log_target(x) - log_base(x))
        proposed = x + ANNEALING_STEP * trng.normal(size=x.shape, dtype="float64")
        u = trng.uniform(size=(x.shape[0],), dtype="float64")
        accepted = at.log(u) < log_density(proposed) - log_density(x)
        return [at.switch(accepted.dimshuffle(0, "x"), proposed, x), weight]

    none = at.zeros((start.shape[0],), dtype="float64")
    (_, weight), updates = aesara.scan(step, sequences=[beta[1:], beta[:-1]], outputs_info=[start, none])
    mass = at.logsumexp(weight[-1]) - at.log(at.cast(start.shape[0], "float64"))
    return aesara.function([beta, bump, start], mass, updates=updates)
