"""Markov chain Monte Carlo. Draws differ between contenders, so estimates are compared up to chance."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from benchmarks.compare import within
from benchmarks.programs.seen import sampling
from benchmarks.programs.seen.sampling import CONCENTRATION, FIRST_COUNT, JUMP, PRIOR_PRECISION
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _clusters(rng: np.random.Generator, scale: Scale) -> Inputs:
    size, parts = scale.pick((200, 10), quick=(60, 5))
    x = rng.choice([-4.0, 0.0, 5.0], size) + rng.normal(size=size)
    return inputs(x, np.linspace(-5, 5, parts), draws=scale.steps(200), parts=parts)


def _dirichlet(key: Any, x: Any, start: Any, draws: int, parts: int) -> list[Any]:
    def draw(carry: tuple[Any, Any], key: Any) -> tuple[Any, Any]:
        mean, log_weight = carry
        one, two, three = random.split(key, 3)
        density = log_weight - 0.5 * (x[:, None] - mean) ** 2
        label = random.categorical(one, density, axis=1)
        chosen = jax.nn.one_hot(label, parts, dtype=x.dtype)
        count = chosen.sum(0)
        later = count.sum() - jnp.cumsum(count)
        stick = random.beta(two, 1 + count, CONCENTRATION + later).at[-1].set(1.0)
        rest = jnp.concatenate([jnp.zeros(1), jnp.cumsum(jnp.log1p(-stick[:-1]))])
        precision = count + PRIOR_PRECISION
        mean = x @ chosen / precision + random.normal(three, (parts,)) / jnp.sqrt(precision)
        log_weight = jnp.log(stick) + rest
        return (mean, log_weight), (mean, log_weight)

    even = jnp.full(parts, -jnp.log(parts))
    mean, log_weight = lax.scan(draw, (start, even), random.split(key, draws))[1]
    weight = jnp.exp(log_weight[draws // 4 :])
    return [(weight * mean[draws // 4 :]).sum(1).mean(), (weight**2).sum(1).mean()]


def _dirichlet_tuned(key: Any, x: Any, start: Any, draws: int, parts: int) -> list[Any]:
    """Labels from one uniform number each by sums of chances, drawn before the loop; weights themselves carried, so
    that a density is one exponential."""
    one, two, three = random.split(key, 3)
    uniform, noise = random.uniform(one, (draws, len(x))), random.normal(two, (draws, parts))
    steps = jnp.arange(parts)[:, None]

    def draw(carry: tuple[Any, Any], chance: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        (mean, weight), (u, z, key) = carry, chance
        sums = jnp.cumsum(weight[:, None] * jnp.exp(-0.5 * (x - mean[:, None]) ** 2), axis=0)
        label = (sums < u * sums[-1]).sum(0)
        chosen = (label == steps).astype(x.dtype)
        count = chosen.sum(1)
        later = count.sum() - jnp.cumsum(count)
        stick = random.beta(key, 1 + count, CONCENTRATION + later).at[-1].set(1.0)
        weight = stick * jnp.concatenate([jnp.ones(1), jnp.cumprod(1 - stick[:-1])])
        precision = count + PRIOR_PRECISION
        mean = (chosen * x).sum(1) / precision + z * lax.rsqrt(precision)
        return (mean, weight), (mean, weight)

    even = jnp.full(parts, 1 / parts)
    mean, weight = lax.scan(draw, (start, even), (uniform, noise, random.split(three, draws)))[1]
    return [(weight * mean)[draws // 4 :].sum(1).mean(), (weight**2)[draws // 4 :].sum(1).mean()]


def _normal(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(6, quick=2)
    root = np.eye(size) + 0.4 * np.tril(rng.normal(size=(size, size)), -1)
    return inputs(root @ root.T, np.zeros(size), draws=scale.steps(3_000, quick=1_500))


def _adaptive(key: Any, precision: Any, start: Any, draws: int) -> list[Any]:
    size = len(start)

    def log_density(x: Any) -> Any:
        return -0.5 * x @ precision @ x

    def draw(carry: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        (x, mean, covariance), (count, key) = carry, now
        one, two = random.split(key)
        proposed = x + JUMP / size**0.5 * jnp.linalg.cholesky(covariance) @ random.normal(one, (size,))
        accepted = jnp.log(random.uniform(two)) < log_density(proposed) - log_density(x)
        x = jnp.where(accepted, proposed, x)
        apart = x - mean
        mean = mean + apart / count
        covariance = covariance + (jnp.outer(apart, x - mean) - covariance) / count
        return (x, mean, covariance), x

    count = jnp.arange(draws) + FIRST_COUNT
    x = lax.scan(draw, (start, start, jnp.eye(size)), (count, random.split(key, draws)))[1][draws // 4 :]
    return [x.mean(0), (x**2).mean(0)]


def _adaptive_tuned(key: Any, precision: Any, start: Any, draws: int) -> list[Any]:
    """Draws before the loop; the density carried; the factor of the covariance updated by one row instead of factored
    again, columns written out."""
    size = len(start)
    one, two = random.split(key)
    noise = JUMP / size**0.5 * random.normal(one, (draws, size))
    level = jnp.log(random.uniform(two, (draws,)))
    rows = jnp.arange(size)

    def draw(carry: Any, now: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        (x, density, mean, factor), (count, z, level) = carry, now
        proposed = x + (factor * z).sum(1)
        new = -0.5 * (proposed * (precision * proposed).sum(1)).sum()
        accepted = level < new - density
        x, density = jnp.where(accepted, proposed, x), jnp.where(accepted, new, density)
        apart = x - mean
        keeps = 1 - 1 / count
        w, columns = apart * jnp.sqrt(keeps / count), []
        factor = factor * jnp.sqrt(keeps)
        for k in range(size):
            column = factor[:, k]
            r = jnp.sqrt(column[k] ** 2 + w[k] ** 2)
            c, s = column[k] / r, w[k] / r
            columns.append(jnp.where(rows < k, 0.0, c * column + s * w))
            w = c * w - s * column
        return (x, density, mean + apart / count, jnp.stack(columns, axis=1)), x

    begin = start, -0.5 * start @ precision @ start, start, jnp.eye(size)
    x = lax.scan(draw, begin, (jnp.arange(draws) + FIRST_COUNT, noise, level))[1][draws // 4 :]
    return [x.mean(0), (x**2).mean(0)]


def _dominant(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(5, quick=2)
    other = rng.uniform(-0.3, 0.3, (size, size)) / size
    end = float(scale.steps(1_000, quick=400))
    return inputs(np.eye(size) + other + other.T, np.zeros(size), end=end, most=int(8 * size * end))


def _zig_zag(key: Any, precision: Any, start: Any, end: float, most: int) -> list[Any]:
    def event(state: Any) -> Any:
        i, key, x, v, time, areas, squares = state
        key, used = random.split(key)
        rate, slope = v * (precision @ x), v * (precision @ v)
        wait = random.exponential(used, x.shape)
        comes = (jnp.sqrt(jnp.maximum(rate, 0) ** 2 + 2 * slope * wait) - rate) / slope
        first = jnp.argmin(comes)
        t = comes[first]
        areas = areas + t * (x + v * t / 2)
        squares = squares + t * (x**2 + x * v * t + (v * t) ** 2 / 3)
        return i + 1, key, x + v * t, v.at[first].multiply(-1), time + t, areas, squares

    zeros = jnp.zeros_like(start)
    state = 0, key, start, zeros + 1, jnp.zeros(()), zeros, zeros
    *_, time, areas, squares = lax.while_loop(lambda state: (state[4] <= end) & (state[0] < most), event, state)
    return [areas / time, squares / time]


def _zig_zag_tuned(key: Any, precision: Any, start: Any, end: float, most: int) -> list[Any]:
    """Waiting times for 64 events at once; both products with the precision carried, since an event moves along the
    second and changes that by one row."""
    size, block = len(start), 64
    each = jnp.arange(size)

    def event(state: Any, wait: Any) -> tuple[Any, None]:
        x, v, of_x, of_v, time, areas, squares = state
        rate, slope = v * of_x, v * of_v
        comes = (jnp.sqrt(jnp.maximum(rate, 0) ** 2 + 2 * slope * wait) - rate) / slope
        t = comes.min()
        first = comes == t
        t = jnp.where(time > end, 0.0, t)
        areas = areas + t * (x + v * t / 2)
        squares = squares + t * (x * (x + v * t) + t * t / 3)
        flipped = jnp.where(first, v, 0)
        of_x = of_x + t * of_v
        of_v = of_v - 2 * (precision * flipped).sum(1)
        return (x + v * t, jnp.where(first, -v, v), of_x, of_v, time + t, areas, squares), None

    def events(state: Any) -> Any:
        key, used = random.split(state[0])
        return key, lax.scan(event, state[1], random.exponential(used, (block, size)))[0]

    ones = jnp.ones_like(each, start.dtype)
    state = start, ones, precision @ start, precision @ ones, jnp.zeros(()), 0 * ones, 0 * ones
    _, (*_, time, areas, squares) = lax.while_loop(lambda state: state[1][4] <= end, events, (key, state))
    return [areas / time, squares / time]


WORKLOADS = (
    task(
        "dirichlet-gibbs",
        "Gibbs sampling of a Dirichlet process mixture cut at 10 parts, 200 values, 200 draws",
        sampling.dirichlet_process,
        _clusters,
        _dirichlet,
        _dirichlet_tuned,
        within(0.25),
        draws=True,
    ),
    task(
        "adaptive-metropolis",
        "Metropolis with the covariance of the chain so far, 6 variables, 3,000 draws",
        sampling.adaptive_metropolis,
        _normal,
        _adaptive,
        _adaptive_tuned,
        within(0.6),
        draws=True,
    ),
    task(
        "zig-zag",
        "zig-zag process of 5 normal variables until the time 1,000",
        sampling.zig_zag,
        _dominant,
        _zig_zag,
        _zig_zag_tuned,
        within(0.3),
        draws=True,
    ),
)
