"""Time-series models, float64."""

# ruff: noqa: N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import stream

PERSISTENCE, VOL_OF_VOL = 0.95, 0.3


def dense_autoregression(aesara: Any, order: int) -> Any:
    """Values of an autoregression on all of the last ``order`` values."""
    at = aesara.tensor
    noise, weights, start = at.dvector("noise"), at.dvector("weights"), at.dvector("start")

    def step(e: Any, *past: Any) -> Any:
        return at.dot(weights, at.stack(past)) + e

    taps = list(range(-1, -order - 1, -1))
    x, updates = aesara.scan(step, sequences=noise, outputs_info={"initial": start, "taps": taps})
    return aesara.function([noise, weights, start], x, updates=updates)


def garch(aesara: Any) -> Any:
    """Negative log-likelihood of GARCH(1, 1) (Bollerslev 1986) and its gradient in the mean and three coefficients."""
    at = aesara.tensor
    y = at.dvector("y")
    mean, omega, alpha, beta = parameters = [at.dscalar(name) for name in ("mean", "omega", "alpha", "beta")]

    def step(y_t: Any, before: Any, variance: Any) -> list[Any]:
        variance = omega + alpha * (before - mean) ** 2 + beta * variance
        return [variance, at.log(variance) + (y_t - mean) ** 2 / variance]

    start = omega / (1 - alpha - beta)
    (_, terms), updates = aesara.scan(step, sequences=[y[1:], y[:-1]], outputs_info=[start, None])
    cost = 0.5 * terms.sum()
    return aesara.function([y, *parameters], [cost, *aesara.grad(cost, parameters)], updates=updates)


def arma(aesara: Any) -> Any:
    """Sum of squares of an ARMA(2, 2) model's innovations and its gradient (Box and Jenkins 1970)."""
    at = aesara.tensor
    y, phi, theta = at.dvector("y"), at.dvector("phi"), at.dvector("theta")

    def step(y_t: Any, y1: Any, y2: Any, e1: Any, e2: Any) -> Any:
        return y_t - phi[0] * y1 - phi[1] * y2 - theta[0] * e1 - theta[1] * e2

    e, updates = aesara.scan(
        step,
        sequences={"input": y, "taps": [0, -1, -2]},
        outputs_info={"initial": at.zeros((2,), dtype="float64"), "taps": [-1, -2]},
    )
    cost = (e**2).sum()
    return aesara.function([y, phi, theta], [cost, *aesara.grad(cost, [phi, theta])], updates=updates)


def holt_winters(aesara: Any) -> Any:
    """Mean squared error of one-step forecasts by additive exponential smoothing with a season (Winters 1960), and its
    gradient in the three rates; ``season`` has the first season."""
    at = aesara.tensor
    y, season, rates = at.dvector("y"), at.dvector("season"), at.dvector("rates")

    def step(y_t: Any, level: Any, trend: Any, past: Any, *_: Any) -> list[Any]:
        error = y_t - level - trend - past
        new = rates[0] * (y_t - past) + (1 - rates[0]) * (level + trend)
        return [
            new,
            rates[1] * (new - level) + (1 - rates[1]) * trend,
            rates[2] * (y_t - new) + (1 - rates[2]) * past,
            error,
        ]

    zero = at.zeros((), dtype="float64")
    (_, _, _, error), updates = aesara.scan(
        step, sequences=y, outputs_info=[zero, zero, {"initial": season, "taps": [-12]}, None]
    )
    cost = (error**2).mean()
    return aesara.function([y, season, rates], [cost, aesara.grad(cost, rates)], updates=updates)


def stochastic_volatility(aesara: Any, steps: int) -> Any:
    """Mean square and mean fourth power of simulated returns, many series: log-volatility is an autoregression."""
    at, trng = aesara.tensor, stream(aesara)
    start = at.dvector("start")

    def step(h: Any) -> list[Any]:
        h = PERSISTENCE * h + VOL_OF_VOL * trng.normal(size=h.shape, dtype="float64")
        return [h, at.exp(h / 2) * trng.normal(size=h.shape, dtype="float64")]

    (_, y), updates = aesara.scan(step, outputs_info=[start, None], n_steps=steps)
    return aesara.function([start], [(y**2).mean(), at.sqrt(at.sqrt((y**4).mean()))], updates=updates)


def vector_autoregression(aesara: Any) -> Any:
    """Values of a vector autoregression of order 2."""
    at = aesara.tensor
    noise, A, B, start = at.dmatrix("noise"), at.dmatrix("A"), at.dmatrix("B"), at.dmatrix("start")

    def step(e: Any, one: Any, two: Any) -> Any:
        return at.dot(A, one) + at.dot(B, two) + e

    x, updates = aesara.scan(step, sequences=noise, outputs_info={"initial": start, "taps": [-1, -2]})
    return aesara.function([noise, A, B, start], x, updates=updates)


def levinson(aesara: Any) -> Any:
    """Coefficients of linear prediction and the errors of all orders, from autocovariances (Levinson 1946)."""
    at = aesara.tensor
    r = at.dvector("r")
    order = r.shape[0] - 1
    place = at.arange(order)

    def step(k: Any, a: Any, error: Any) -> list[Any]:
        flipped = r[at.clip(k - place, 0, order)]
        before = place < k
        reflection = (r[k + 1] - at.switch(before, a * flipped, 0.0).sum()) / error
        mirrored = a[at.clip(k - 1 - place, 0, order - 1)]
        a = a - reflection * at.switch(before, mirrored, 0.0)
        return [at.set_subtensor(a[k], reflection), error * (1 - reflection**2)]

    (a, error), updates = aesara.scan(step, sequences=place, outputs_info=[at.zeros((order,), dtype="float64"), r[0]])
    return aesara.function([r], [a[-1], error], updates=updates)


def hawkes(aesara: Any) -> Any:
    """Negative log-likelihood of a self-exciting point process (Hawkes 1971) and its gradient in rate, jump and
    decay, by the recursion of Ozaki (1979)."""
    at = aesara.tensor
    times, end = at.dvector("times"), at.dscalar("end")
    rate, jump, decay = parameters = [at.dscalar(name) for name in ("rate", "jump", "decay")]

    def step(gap: Any, excited: Any) -> list[Any]:
        excited = at.exp(-decay * gap) * (1 + excited)
        return [excited, at.log(rate + jump * excited)]

    zero = at.zeros((), dtype="float64")
    (_, terms), updates = aesara.scan(step, sequences=times[1:] - times[:-1], outputs_info=[zero, None])
    missed = rate * end + jump / decay * (1 - at.exp(-decay * (end - times))).sum()
    cost = missed - at.log(rate) - terms.sum()
    return aesara.function([times, end, *parameters], [cost, *aesara.grad(cost, parameters)], updates=updates)


def regimes(aesara: Any) -> Any:
    """Log-likelihood and filtered probabilities of a Markov-switching mean (Hamilton 1989)."""
    at = aesara.tensor
    y, P, means, sds = at.dvector("y"), at.dmatrix("P"), at.dvector("means"), at.dvector("sds")

    def step(y_t: Any, chance: Any) -> list[Any]:
        density = at.exp(-0.5 * ((y_t - means) / sds) ** 2) / sds
        joint = at.dot(chance, P) * density
        total = joint.sum()
        return [joint / total, at.log(total)]

    start = at.ones_like(means) / means.shape[0]
    (chance, terms), updates = aesara.scan(step, sequences=y, outputs_info=[start, None])
    return aesara.function([y, P, means, sds], [terms.sum(), chance], updates=updates)
