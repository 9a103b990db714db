"""Markov chain Monte Carlo, float64."""

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import stream, until

CONCENTRATION, PRIOR_PRECISION = 1.0, 0.05
FIRST_COUNT, JUMP = 10.0, 2.38


def dirichlet_process(aesara: Any, draws: int, parts: int) -> Any:
    """Posterior mean of the mixture's mean and of the sum of squared weights, by a blocked Gibbs sampler of a Dirichlet
    process mixture of normals that is cut at ``parts`` components (Ishwaran and James 2001)."""
    at, trng = aesara.tensor, stream(aesara)
    x, start = at.dvector("x"), at.dvector("start")

    def draw(mean: Any, log_weight: Any) -> list[Any]:
        density = log_weight - 0.5 * (x.dimshuffle(0, "x") - mean) ** 2
        label = at.argmax(density + trng.gumbel(0.0, 1.0, size=(x.shape[0], parts), dtype="float64"), axis=1)
        chosen = at.cast(at.eq(label.dimshuffle(0, "x"), at.arange(parts)), "float64")
        count = chosen.sum(axis=0)
        later = count.sum() - at.cumsum(count)
        stick = trng.beta(1.0 + count, CONCENTRATION + later, dtype="float64")
        stick = at.set_subtensor(stick[-1], 1.0)
        rest = at.concatenate([at.zeros((1,), dtype="float64"), at.cumsum(at.log1p(-stick[:-1]))])
        precision = count + PRIOR_PRECISION
        noise = trng.normal(size=(parts,), dtype="float64")
        return [at.dot(x, chosen) / precision + noise / at.sqrt(precision), at.log(stick) + rest]

    even = at.full((parts,), 0.0, dtype="float64") - at.log(at.constant(parts, dtype="float64"))
    (mean, log_weight), updates = aesara.scan(draw, outputs_info=[start, even], n_steps=draws)
    weight = at.exp(log_weight[draws // 4 :])
    outputs = [(weight * mean[draws // 4 :]).sum(axis=1).mean(), (weight**2).sum(axis=1).mean()]
    return aesara.function([x, start], outputs, updates=updates)


def adaptive_metropolis(aesara: Any, draws: int) -> Any:
    """Mean and mean square of a normal density with a given precision by Metropolis steps whose covariance is that of
    the chain so far (Haario, Saksman and Tamminen 2001)."""
    at, trng = aesara.tensor, stream(aesara)
    precision, start = at.dmatrix("precision"), at.dvector("start")
    size = start.shape[0]
    scale = JUMP / at.sqrt(at.cast(size, "float64"))

    def log_density(x: Any) -> Any:
        return -0.5 * at.dot(x, at.dot(precision, x))

    def draw(count: Any, x: Any, mean: Any, covariance: Any) -> list[Any]:
        proposed = x + scale * at.dot(at.linalg.cholesky(covariance), trng.normal(size=(size,), dtype="float64"))
        accepted = at.log(trng.uniform(size=(), dtype="float64")) < log_density(proposed) - log_density(x)
        x = at.switch(accepted, proposed, x)
        apart = x - mean
        mean = mean + apart / count
        return [x, mean, covariance + (at.outer(apart, x - mean) - covariance) / count]

    count = at.cast(at.arange(draws), "float64") + FIRST_COUNT
    (x, _, _), updates = aesara.scan(draw, sequences=count, outputs_info=[start, start, at.eye(size, dtype="float64")])
    kept = x[draws // 4 :]
    return aesara.function([precision, start], [kept.mean(axis=0), (kept**2).mean(axis=0)], updates=updates)


def zig_zag(aesara: Any, end: float, most: int) -> Any:
    """Mean and mean square along the path of the zig-zag process up to the time ``end``, for a normal density with a
    given precision whose diagonal dominates (Bierkens, Fearnhead and Roberts 2019)."""
    at, trng = aesara.tensor, stream(aesara)
    precision, start = at.dmatrix("precision"), at.dvector("start")
    size = start.shape[0]

    def event(x: Any, v: Any, time: Any) -> Any:
        rate, slope = v * at.dot(precision, x), v * at.dot(precision, v)
        wait = -at.log(trng.uniform(size=(size,), dtype="float64"))
        comes = (at.sqrt(at.maximum(rate, 0.0) ** 2 + 2 * slope * wait) - rate) / slope
        first = at.argmin(comes)
        t = comes[first]
        area = t * (x + v * t / 2)
        square = t * (x**2 + x * v * t + (v * t) ** 2 / 3)
        turned = at.set_subtensor(v[first], -v[first])
        return [x + v * t, turned, time + t, area, square], until(aesara, time + t > end)

    zero = at.zeros((), dtype="float64")
    (_, _, time, area, square), updates = aesara.scan(
        event, outputs_info=[start, at.ones_like(start), zero, None, None], n_steps=most
    )
    return aesara.function(
        [precision, start], [area.sum(axis=0) / time[-1], square.sum(axis=0) / time[-1]], updates=updates
    )
