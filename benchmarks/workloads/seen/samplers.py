"""Markov chain Monte Carlo and annealing. Draws differ between contenders, so estimates are compared up to chance."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from benchmarks.compare import within
from benchmarks.programs.seen import samplers
from benchmarks.programs.seen.samplers import (
    ANNEALING_STEP,
    EFFECTS_STEP,
    FULL_TURN,
    LANGEVIN_DELAY,
    LANGEVIN_RATE,
    START_WIDTH,
    TRIALS,
    WIDTH,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _elliptical_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    places = np.linspace(0, 4, scale.pick(32, quick=8))
    root = np.linalg.cholesky(np.exp(-0.5 * (places[:, None] - places) ** 2) + 1e-6 * np.eye(len(places)))
    f = root @ rng.normal(size=len(places))
    return inputs(root, rng.poisson(np.exp(f)).astype(float), f, draws=scale.steps(300, quick=100), shrinks=30)


def _elliptical(key: Any, root: Any, counts: Any, start: Any, draws: int, shrinks: int) -> list[Any]:
    def log_likelihood(f: Any) -> Any:
        return (counts * f - jnp.exp(f)).sum()

    def draw(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], Any]:
        f, key = carry
        key, one, two, three, four = random.split(key, 5)
        other = root @ random.normal(one, f.shape)
        level = log_likelihood(f) + jnp.log(random.uniform(two))
        first = FULL_TURN * random.uniform(three)

        def goes_on(state: Any) -> Any:
            i, done = state[:2]
            return (i < shrinks) & ~done

        def shrink(state: Any) -> Any:
            i, _, key, angle, low, high, _ = state
            key, used = random.split(key)
            tried = f * jnp.cos(angle) + other * jnp.sin(angle)
            low, high = jnp.where(angle < 0, angle, low), jnp.where(angle < 0, high, angle)
            angle = low + (high - low) * random.uniform(used)
            return i + 1, log_likelihood(tried) > level, key, angle, low, high, tried

        state = 0, jnp.bool_(False), four, first, first - FULL_TURN, first, f
        f = lax.while_loop(goes_on, shrink, state)[-1]
        return (f, key), f

    f = lax.scan(draw, (start, key), None, length=draws)[1]
    return [f.mean(), (f**2).mean()]


def _elliptical_tuned(key: Any, root: Any, counts: Any, start: Any, draws: int, shrinks: int) -> list[Any]:
    """Draws before the loop, the most that a step may need, all of the prior by one product; the likelihood's linear
    part by two numbers; likelihood carried; sums in the loop."""

    def draw(carry: Any, chance: tuple[Any, Any, Any]) -> tuple[Any, None]:
        f, linear, value, sums, squares = carry
        other, of_other, u = chance
        level = value + jnp.log(u[0])
        first = FULL_TURN * u[1]

        def goes_on(state: Any) -> Any:
            i, value = state[:2]
            return (i < shrinks) & (value <= level)

        def shrink(state: Any) -> Any:
            i, _, _, angle, low, high, _ = state
            cos, sin = jnp.cos(angle), jnp.sin(angle)
            tried = f * cos + other * sin
            along = linear * cos + of_other * sin
            low, high = jnp.where(angle < 0, angle, low), jnp.where(angle < 0, high, angle)
            return i + 1, along - jnp.exp(tried).sum(), along, low + (high - low) * u[2 + i], low, high, tried

        state = 0, jnp.full_like(value, -jnp.inf), linear, first, first - FULL_TURN, first, f
        _, value, linear, _, _, _, f = lax.while_loop(goes_on, shrink, state)
        return (f, linear, value, sums + f, squares + f * f), None

    one, two = random.split(key)
    other = random.normal(one, (draws, len(start))) @ root.T
    linear = counts @ start
    zeros = jnp.zeros_like(start)
    carry = start, linear, linear - jnp.exp(start).sum(), zeros, zeros
    chance = other, other @ counts, random.uniform(two, (draws, 2 + shrinks))
    return [total.mean() / draws for total in lax.scan(draw, carry, chance)[0][3:]]


def _langevin_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    X, w = rng.normal(size=(1_000, 16)), rng.normal(size=16)
    y = np.where(rng.uniform(size=1_000) < 1 / (1 + np.exp(-X @ w)), 1.0, -1.0)
    count = np.arange(scale.steps(2_000, quick=500))
    return inputs(*(array.astype("float32") for array in (X, y, w, count)), batch=32)


def _langevin(key: Any, X: Any, y: Any, start: Any, count: Any, batch: int) -> Any:
    def log_density(w: Any, chosen: Any) -> Any:
        margin = y[chosen] * (X[chosen] @ w)
        return -len(X) / batch * jax.nn.softplus(-margin).sum() - 0.5 * (w**2).sum()

    def step(carry: tuple[Any, Any], t: Any) -> tuple[tuple[Any, Any], Any]:
        w, key = carry
        key, one, two = random.split(key, 3)
        rate = LANGEVIN_RATE / jnp.sqrt(LANGEVIN_DELAY + t)
        slope = jax.grad(log_density)(w, random.randint(one, (batch,), 0, len(X)))
        w = w + 0.5 * rate * slope + jnp.sqrt(rate) * random.normal(two, w.shape, w.dtype)
        return (w, key), w

    w = lax.scan(step, (start, key), count)[1]
    return w[len(count) // 2 :].mean(0)


def _langevin_tuned(key: Any, X: Any, y: Any, start: Any, count: Any, batch: int) -> Any:
    """Draws, rates and rows of the minibatches before the loop, the gradient by hand."""
    steps = len(count)
    signed = y[:, None] * X
    one, two = random.split(key)
    rate = 0.5 * LANGEVIN_RATE / jnp.sqrt(LANGEVIN_DELAY + count)
    noise = jnp.sqrt(2 * rate)[:, None] * random.normal(two, (steps, len(start)), X.dtype)
    rows = signed[random.randint(one, (steps, batch), 0, len(X))]

    def step(w: Any, now: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        rows, rate, noise = now
        pull = (len(X) / batch) * jax.nn.sigmoid(-(rows @ w))
        w = w + rate * (pull @ rows - w) + noise
        return w, w

    return lax.scan(step, start, (rows, rate, noise))[1][steps // 2 :].mean(0)


def _effects_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    logit = 0.5 + 0.8 * rng.normal(size=scale.pick(50, quick=20))
    wins = rng.binomial(TRIALS, 1 / (1 + np.exp(-logit)))
    return inputs(wins.astype(float), np.array([0.5, -0.2]), draws=scale.steps(500, quick=200), importance=16)


def _effects(key: Any, wins: Any, start: Any, draws: int, importance: int) -> Any:
    def estimate(key: Any, theta: Any) -> Any:
        logit = theta[0] + jnp.exp(theta[1]) * random.normal(key, (len(wins), importance))
        terms = wins[:, None] * logit - TRIALS * jax.nn.softplus(logit)
        return (jax.nn.logsumexp(terms, axis=1) - math.log(importance)).sum() - 0.5 * (theta**2).sum()

    def draw(carry: tuple[Any, Any, Any], _: None) -> tuple[tuple[Any, Any, Any], Any]:
        theta, density, key = carry
        key, one, two, three = random.split(key, 4)
        proposed = theta + EFFECTS_STEP * random.normal(one, theta.shape)
        new = estimate(two, proposed)
        accepted = jnp.log(random.uniform(three)) < new - density
        theta, density = jnp.where(accepted, proposed, theta), jnp.where(accepted, new, density)
        return (theta, density, key), theta

    key, used = random.split(key)
    return lax.scan(draw, (start, estimate(used, start), key), None, length=draws)[1].mean(0)


def _effects_tuned(key: Any, wins: Any, start: Any, draws: int, importance: int) -> Any:
    """Draws before the loop, with the effects in the last axis; sums in the loop. Terms are at most 1 and far from
    underflow, so their exponentials are summed as they are."""

    def estimate(theta: Any, z: Any) -> Any:
        logit = theta[0] + jnp.exp(theta[1]) * z
        terms = jnp.exp(wins * logit - TRIALS * (jnp.maximum(logit, 0) + jnp.log1p(jnp.exp(-jnp.abs(logit)))))
        return jnp.log(terms.sum(0)).sum() - 0.5 * (theta**2).sum()

    def draw(carry: Any, chance: Any) -> tuple[Any, None]:
        theta, density, total = carry
        move, z, log_u = chance
        proposed = theta + move
        new = estimate(proposed, z)
        accepted = log_u < new - density
        theta, density = jnp.where(accepted, proposed, theta), jnp.where(accepted, new, density)
        return (theta, density, total + theta), None

    one, two, three = random.split(key, 3)
    z = random.normal(two, (draws + 1, importance, len(wins)))
    moves = EFFECTS_STEP * random.normal(one, (draws, 2))
    carry = start, estimate(start, z[0]), jnp.zeros_like(start)
    return lax.scan(draw, carry, (moves, z[1:], jnp.log(random.uniform(three, (draws,)))))[0][2] / draws


def _annealed_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    beta = np.linspace(0, 1, scale.steps(200, quick=60) + 1)
    return inputs(beta, np.array([1.5, 0.5]), START_WIDTH * rng.normal(size=(256, 2)))


def _log_base(x: Any) -> Any:
    return -0.5 * (x**2).sum(1) / START_WIDTH**2 - math.log(FULL_TURN * START_WIDTH**2)


def _annealed(key: Any, beta: Any, bump: Any, start: Any) -> Any:
    def log_target(x: Any) -> Any:
        one, two = (-0.5 * ((x - sign * bump) ** 2).sum(1) / WIDTH**2 for sign in (1, -1))
        return jnp.logaddexp(one, two)

    def step(carry: Any, now: tuple[Any, Any]) -> tuple[Any, None]:
        (x, weight, key), (cold, before) = carry, now
        key, one, two = random.split(key, 3)

        def log_density(x: Any) -> Any:
            return (1 - cold) * _log_base(x) + cold * log_target(x)

        weight = weight + (cold - before) * (log_target(x) - _log_base(x))
        proposed = x + ANNEALING_STEP * random.normal(one, x.shape)
        accepted = jnp.log(random.uniform(two, (len(x),))) < log_density(proposed) - log_density(x)
        return (jnp.where(accepted[:, None], proposed, x), weight, key), None

    carry = start, jnp.zeros(len(start)), key
    (_, weight, _), _ = lax.scan(step, carry, (beta[1:], beta[:-1]))
    return jax.nn.logsumexp(weight) - jnp.log(len(start))


def _annealed_tuned(key: Any, beta: Any, bump: Any, start: Any) -> Any:
    """Draws before the loop; coordinates in rows; both densities of each place computed once and carried, those of the
    bumps from one square and one product."""
    both = (bump**2).sum() / (2 * WIDTH**2)

    def densities(x: Any) -> tuple[Any, Any]:
        squares = x[0] * x[0] + x[1] * x[1]
        across = jnp.abs(x[0] * (bump[0] / WIDTH**2) + x[1] * (bump[1] / WIDTH**2))
        target = across + jnp.log1p(jnp.exp(-2 * across)) - squares / (2 * WIDTH**2) - both
        return target, target + squares / (2 * START_WIDTH**2) + math.log(FULL_TURN * START_WIDTH**2)

    def step(carry: Any, now: Any) -> tuple[Any, None]:
        x, target, apart, weight = carry
        cold, rise, move, log_u = now
        weight = weight + rise * apart
        proposed = x + move
        new_target, new_apart = densities(proposed)
        accepted = log_u < new_target - target - (1 - cold) * (new_apart - apart)
        x, target, apart = (
            jnp.where(accepted, *pair) for pair in ((proposed, x), (new_target, target), (new_apart, apart))
        )
        return (x, target, apart, weight), None

    one, two = random.split(key)
    count, steps = len(start), len(beta) - 1
    moves = ANNEALING_STEP * random.normal(one, (steps, 2, count))
    log_u = jnp.log(random.uniform(two, (steps, count)))
    carry = start.T, *densities(start.T), jnp.zeros(count)
    weight = lax.scan(step, carry, (beta[1:], jnp.diff(beta), moves, log_u))[0][-1]
    return jax.nn.logsumexp(weight) - math.log(count)


WORKLOADS = (
    task(
        "elliptical-slice",
        "elliptical slice sampling of 32 log-rates, 300 draws",
        samplers.elliptical_slice,
        _elliptical_data,
        _elliptical,
        _elliptical_tuned,
        within(0.5),
        draws=True,
    ),
    task(
        "langevin",
        "stochastic gradient Langevin dynamics of 16 weights, minibatches of 32, 2,000 steps",
        samplers.langevin,
        _langevin_data,
        _langevin,
        _langevin_tuned,
        within(0.3),
        draws=True,
    ),
    task(
        "pseudo-marginal",
        "pseudo-marginal Metropolis with 50 random effects, 16 importance draws, 500 draws",
        samplers.pseudo_marginal,
        _effects_data,
        _effects,
        _effects_tuned,
        within(0.5),
        draws=True,
    ),
    task(
        "annealed-importance",
        "annealed importance sampling, 256 particles in the plane, 200 temperatures",
        samplers.annealed_importance,
        _annealed_data,
        _annealed,
        _annealed_tuned,
        within(0.5),
        draws=True,
    ),
)
