"""Posteriors of models that PyTensor's JAX mode refuses, sampled through LoopJAX, beside integrals over a grid.

``python -m benchmarks.pytensor.posteriors [--draws N] [--sampler numpyro|blackjax]``. Each model has two parameters,
and a density on a grid that is written in NumPy, without PyTensor. Means are compared in posterior deviations; the
standard error, by the effective number of draws, says how far a right sampler is off.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks.table import markdown

Array = np.ndarray


class Posterior(NamedTuple):
    """The mean and the deviation of each parameter."""

    mean: dict[str, float]
    deviation: dict[str, float]


def _log_beta(x: Array, a: float, b: float) -> Array:
    return (a - 1) * np.log(x) + (b - 1) * np.log1p(-x)


def _log_normal(x: Array, mean: Array | float, deviation: float) -> Array:
    return -0.5 * ((x - mean) / deviation) ** 2


def steady_state(a: Array, b: Array) -> Array:
    """The log density of ``steady-state``: the fixed point of ``a cos x + b / 10``."""
    x = np.full(np.broadcast_shapes(a.shape, b.shape), 0.5)
    for _ in range(400):
        x = a * np.cos(x) + 0.1 * b
    seen = np.random.default_rng(7).normal(0.6, 0.2, size=20)
    return _log_beta(a, 2, 2) + _log_normal(b, 0, 1) + sum(_log_normal(one, x, 0.2) for one in seen)


def extinction(rate: Array, start: Array) -> Array:
    """The log density of ``extinction``: the sum of a population down to the first size below a half."""
    size = total = np.zeros(np.broadcast_shapes(rate.shape, start.shape))
    size, goes_on = size + start, np.full(total.shape, True)
    for _ in range(200):
        size = np.where(goes_on, rate * size, size)
        total = total + np.where(goes_on, size, 0)
        goes_on = goes_on & (size >= 0.5)
    seen = np.random.default_rng(7).normal(25, 2, size=8)
    prior = _log_beta(rate, 8, 2) + _log_normal(np.log(start), 2, 0.2) - np.log(start)
    return prior + sum(_log_normal(one, total, 2.0) for one in seen)


REFERENCES: dict[str, tuple[Callable[[Array, Array], Array], dict[str, tuple[float, float]]]] = {
    "steady-state": (steady_state, {"a": (1e-4, 1 - 1e-4), "b": (-5, 5)}),
    "extinction": (extinction, {"rate": (0.3, 1 - 1e-4), "start": (2, 20)}),
}
"""For each model its log density, up to a constant, and the ranges of its parameters."""


def on_grid(name: str, points: int = 600) -> Posterior:
    """The posterior of a model by sums over a grid."""
    density, ranges = REFERENCES[name]
    steps = (np.arange(points) + 0.5) / points
    grid = np.meshgrid(*(low + (high - low) * steps for low, high in ranges.values()), indexing="ij")
    log = density(*grid)
    weights = np.exp(log - log.max())
    weights /= weights.sum()
    means = [float((weights * x).sum()) for x in grid]
    deviations = [float(np.sqrt((weights * (x - mean) ** 2).sum())) for x, mean in zip(grid, means, strict=True)]
    return Posterior(dict(zip(ranges, means, strict=True)), dict(zip(ranges, deviations, strict=True)))


def sampled(name: str, draws: int, sampler: str) -> dict[str, Array]:
    """Draws of each parameter through LoopJAX, by chain."""
    import pymc as pm

    import loopjax.pytensor
    from benchmarks.pytensor.models import MODELS

    with MODELS[name](), loopjax.pytensor.pymc():
        trace = pm.sample(
            draws, tune=1000, chains=4, nuts_sampler=sampler, random_seed=1, progressbar=False, target_accept=0.95
        )
    return {one: trace["posterior"][one].to_numpy() for one in REFERENCES[name][1]}


def main() -> None:
    """Print each mean beside its reference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=2000, help="draws of each of four chains")
    parser.add_argument("--sampler", choices=["numpyro", "blackjax"], default="numpyro")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    import arviz

    rows = []
    for name in REFERENCES:
        expected, found = on_grid(name), sampled(name, options.draws, options.sampler)
        for one, draws in found.items():
            deviation = expected.deviation[one]
            off = (draws.mean() - expected.mean[one]) / deviation
            rows.append([name, one, f"{expected.mean[one]:.4f} ({deviation:.4f})"])
            rows[-1] += [f"{draws.mean():.4f} ({draws.std():.4f})", f"{off:+.3f}", f"{1 / arviz.ess(draws) ** 0.5:.3f}"]
    print(markdown(["model", "parameter", "grid", "sampled", "difference", "standard error"], rows))


if __name__ == "__main__":
    main()
