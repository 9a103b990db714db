"""Samplers. Draws differ between contenders, so estimates are compared up to chance."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from benchmarks.compare import near, within
from benchmarks.programs.applications import samplers
from benchmarks.programs.applications.samplers import (
    BANANA_STEP,
    BETA,
    HMC_STEP,
    LADDER_STEP,
    MALA_STEP,
    MIXTURE_PRECISION,
    MIXTURE_SD,
    SLICE_WIDTH,
    SSM_DECAY,
    SSM_SEEN_SD,
    SSM_STATE_SD,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _chain(draw: Any, key: Any, start: Any, draws: int) -> Any:
    """States of a chain that splits its key at every step."""

    def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], Any]:
        state, key = carry
        key, used = random.split(key)
        state = draw(used, state)
        return (state, key), state

    return lax.scan(step, (start, key), None, length=draws)[1]


def _hmc_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    X, q = rng.normal(size=(200, 8)), rng.normal(size=8)
    y = np.where(rng.uniform(size=200) < 1 / (1 + np.exp(-X @ q)), 1.0, -1.0)
    return inputs(X, y, q, draws=scale.steps(200, quick=40), leapfrogs=10)


def _hmc(key: Any, X: Any, y: Any, start: Any, draws: int, leapfrogs: int) -> Any:
    def potential(q: Any) -> Any:
        return jax.nn.softplus(-y * (X @ q)).sum() + 0.5 * (q**2).sum()

    force = jax.grad(potential)

    def leapfrog(state: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
        q, p = state
        p = p - HMC_STEP / 2 * force(q)
        q = q + HMC_STEP * p
        return (q, p - HMC_STEP / 2 * force(q)), None

    def draw(key: Any, q: Any) -> Any:
        one, two = random.split(key)
        p = random.normal(one, q.shape)
        (end, momentum), _ = lax.scan(leapfrog, (q, p), None, length=leapfrogs)
        gain = potential(q) + 0.5 * (p**2).sum() - potential(end) - 0.5 * (momentum**2).sum()
        return jnp.where(jnp.log(random.uniform(two)) < gain, end, q)

    return _chain(draw, key, start, draws).mean(0)


def _hmc_tuned(key: Any, X: Any, y: Any, start: Any, draws: int, leapfrogs: int) -> Any:
    """Draws before the loop; one force for each leapfrog step, carried from draw to draw, with half steps of the
    momentum only at both ends; potential and force from the same product."""
    signed = y[:, None] * X
    columns = signed.T.copy()

    def both(q: Any) -> tuple[Any, Any]:
        margin = signed @ q
        small = jnp.exp(-jnp.abs(margin))
        value = (jnp.maximum(-margin, 0) + jnp.log1p(small)).sum() + 0.5 * (q**2).sum()
        return value, q - columns @ (jnp.where(margin > 0, small, 1) / (1 + small))

    def force(q: Any) -> Any:
        return q - columns @ jax.nn.sigmoid(-(signed @ q))

    def leapfrog(_: Any, state: tuple[Any, Any]) -> tuple[Any, Any]:
        q, p = state
        p = p - HMC_STEP * force(q)
        return q + HMC_STEP * p, p

    def draw(carry: Any, chance: tuple[Any, Any]) -> tuple[Any, None]:
        q, value, slope, total = carry
        p, log_u = chance
        half = p - HMC_STEP / 2 * slope
        end, momentum = lax.fori_loop(1, leapfrogs, leapfrog, (q + HMC_STEP * half, half))
        end_value, end_slope = both(end)
        momentum = momentum - HMC_STEP / 2 * end_slope
        gain = value + 0.5 * (p**2).sum() - end_value - 0.5 * (momentum**2).sum()
        accepted = log_u < gain
        q, value, slope = (
            jnp.where(accepted, new, old) for new, old in ((end, q), (end_value, value), (end_slope, slope))
        )
        return (q, value, slope, total + q), None

    one, two = random.split(key)
    chance = random.normal(one, (draws, len(start))), jnp.log(random.uniform(two, (draws,)))
    return lax.scan(draw, (start, *both(start), jnp.zeros_like(start)), chance)[0][-1] / draws


def _mala_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    root = 0.3 * rng.normal(size=(8, 8))
    return inputs(np.eye(8) + root @ root.T, rng.normal(size=(32, 8)), draws=scale.steps(500))


def _mala(key: Any, precision: Any, start: Any, draws: int) -> Any:
    def log_density(x: Any) -> Any:
        return -0.5 * ((x @ precision) * x).sum(1)

    def drift(x: Any) -> Any:
        return x + MALA_STEP**2 / 2 * jax.grad(lambda x: log_density(x).sum())(x)

    def log_proposal(to: Any, x: Any) -> Any:
        return -((to - drift(x)) ** 2).sum(1) / (2 * MALA_STEP**2)

    def draw(key: Any, x: Any) -> Any:
        one, two = random.split(key)
        proposed = drift(x) + MALA_STEP * random.normal(one, x.shape)
        gain = log_density(proposed) + log_proposal(x, proposed) - log_density(x) - log_proposal(proposed, x)
        accepted = jnp.log(random.uniform(two, (len(x),))) < gain
        return jnp.where(accepted[:, None], proposed, x)

    return (_chain(draw, key, start, draws) ** 2).mean((0, 1))


def _mala_tuned(key: Any, precision: Any, start: Any, draws: int) -> Any:
    """Draws before the loop; density and slope carried, one product for each step; squares summed in the loop."""

    def both(x: Any) -> tuple[Any, Any]:
        slope = -(x @ precision)
        return 0.5 * (slope * x).sum(1), slope

    def draw(carry: Any, chance: tuple[Any, Any]) -> tuple[Any, None]:
        x, density, slope, total = carry
        noise, log_u = chance
        proposed = x + MALA_STEP**2 / 2 * slope + MALA_STEP * noise
        new_density, new_slope = both(proposed)
        back = x - proposed - MALA_STEP**2 / 2 * new_slope
        gain = new_density - density - (back**2).sum(1) / (2 * MALA_STEP**2) + (noise**2).sum(1) / 2
        accepted = log_u < gain
        density = jnp.where(accepted, new_density, density)
        x, slope = (jnp.where(accepted[:, None], new, old) for new, old in ((proposed, x), (new_slope, slope)))
        return (x, density, slope, total + x * x), None

    one, two = random.split(key)
    chance = random.normal(one, (draws, *start.shape)), jnp.log(random.uniform(two, (draws, len(start))))
    total = lax.scan(draw, (start, *both(start), jnp.zeros_like(start)), chance)[0][-1]
    return total.mean(0) / draws


def _metropolis_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    x = rng.normal(size=64)
    return inputs(x, x**2 + 0.5 * rng.normal(size=64), draws=scale.steps(1_000, quick=100))


def _banana(x: Any, y: Any) -> Any:
    return -0.5 * x**2 - 0.5 * ((y - x**2) / 0.5) ** 2


def _metropolis(key: Any, x0: Any, y0: Any, draws: int) -> list[Any]:
    def draw(key: Any, state: tuple[Any, Any]) -> tuple[Any, Any]:
        x, y = state
        one, two, three = random.split(key, 3)
        x1 = x + BANANA_STEP * random.normal(one, x.shape)
        y1 = y + BANANA_STEP * random.normal(two, x.shape)
        accepted = jnp.log(random.uniform(three, x.shape)) < _banana(x1, y1) - _banana(x, y)
        return jnp.where(accepted, x1, x), jnp.where(accepted, y1, y)

    x, y = _chain(draw, key, (x0, y0), draws)
    return [x.mean(), y.mean()]


def _metropolis_tuned(key: Any, x0: Any, y0: Any, draws: int) -> list[Any]:
    """Draws before the loop, the density carried, sums in the loop."""

    def draw(carry: Any, chance: Any) -> tuple[Any, None]:
        x, y, density, sum_x, sum_y = carry
        by_x, by_y, log_u = chance
        x1, y1 = x + by_x, y + by_y
        new = _banana(x1, y1)
        accepted = log_u < new - density
        x, y, density = (jnp.where(accepted, *pair) for pair in ((x1, x), (y1, y), (new, density)))
        return (x, y, density, sum_x + x, sum_y + y), None

    one, two = random.split(key)
    moves = BANANA_STEP * random.normal(one, (2, draws, len(x0)))
    chance = *moves, jnp.log(random.uniform(two, (draws, len(x0))))
    zeros = jnp.zeros_like(x0)
    sums = lax.scan(draw, (x0, y0, _banana(x0, y0), zeros, zeros), chance)[0][3:]
    return [total.mean() / draws for total in sums]


def _slice_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    return inputs(np.float64(0.5), draws=scale.steps(2_000, quick=500), shrinks=24)


def _slice(key: Any, start: Any, draws: int, shrinks: int) -> Any:
    def draw(key: Any, x: Any) -> Any:
        one, two, three = random.split(key, 3)
        level = -0.5 * x**2 + jnp.log(random.uniform(one))
        low = x - SLICE_WIDTH * random.uniform(two)

        def goes_on(state: Any) -> Any:
            i, _, _, _, tried = state
            return (i == 0) | ((i < shrinks) & (-0.5 * tried**2 <= level))

        def shrink(state: Any) -> Any:
            i, key, low, high, _ = state
            key, used = random.split(key)
            tried = low + (high - low) * random.uniform(used)
            return i + 1, key, jnp.where(tried < x, tried, low), jnp.where(tried < x, high, tried), tried

        return lax.while_loop(goes_on, shrink, (0, three, low, low + SLICE_WIDTH, x))[-1]

    return (_chain(draw, key, start, draws) ** 2).mean()


def _slice_tuned(key: Any, start: Any, draws: int, shrinks: int) -> Any:
    """Draws before the loop, the most that a step may need."""

    def draw(carry: tuple[Any, Any], u: Any) -> tuple[Any, None]:
        x, total = carry
        level = -0.5 * x**2 + jnp.log(u[0])
        low = x - SLICE_WIDTH * u[1]

        def goes_on(state: Any) -> Any:
            i, _, _, tried = state
            return (i == 0) | ((i < shrinks) & (-0.5 * tried**2 <= level))

        def shrink(state: Any) -> Any:
            i, low, high, _ = state
            tried = low + (high - low) * u[2 + i]
            return i + 1, jnp.where(tried < x, tried, low), jnp.where(tried < x, high, tried), tried

        x = lax.while_loop(goes_on, shrink, (0, low, low + SLICE_WIDTH, x))[-1]
        return (x, total + x * x), None

    u = random.uniform(key, (draws, 2 + shrinks))
    return lax.scan(draw, (start, jnp.zeros_like(start)), u)[0][1] / draws


def _ising_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(64, quick=32)
    spins = np.where(rng.uniform(size=(size, size)) < 0.5, -1, 1)
    black = np.indices((size, size)).sum(0) % 2
    return inputs(spins.astype("int32"), black.astype("int32"), sweeps=scale.steps(100, quick=30))


def _ising(key: Any, start: Any, black: Any, sweeps: int) -> Any:
    def flipped(key: Any, spins: Any, colour: int) -> Any:
        around = jnp.roll(spins, 1, 0) + jnp.roll(spins, -1, 0) + jnp.roll(spins, 1, 1) + jnp.roll(spins, -1, 1)
        accepted = random.uniform(key, spins.shape) < jnp.exp(-2 * BETA * spins * around)
        return jnp.where(accepted & (black == colour), -spins, spins)

    def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], Any]:
        spins, key = carry
        key, one, two = random.split(key, 3)
        spins = flipped(two, flipped(one, spins, 1), 0)
        return (spins, key), -(spins * (jnp.roll(spins, 1, 0) + jnp.roll(spins, 1, 1))).sum()

    energy = lax.scan(step, (start, key), None, length=sweeps)[1]
    return energy.mean() / start.size


def _ising_tuned(key: Any, start: Any, black: Any, sweeps: int) -> Any:
    """One array of 8-bit integers for each colour, so that a draw is made only for a site that may flip; energies from
    the last neighbours' sums."""
    size = len(start)
    even = (jnp.arange(size) % 2 == 0)[:, None]
    columns = jnp.arange(size // 2)
    row = jnp.arange(size)[:, None]
    blacks = start[row, 2 * columns + 1 - row % 2].astype("int8")
    whites = start[row, 2 * columns + row % 2].astype("int8")

    def around(other: Any, left: Any) -> Any:
        """Sum of the four neighbours, all of the other colour; ``left`` where its columns lie one to the left."""
        ring = jnp.concatenate([other[:, -1:], other, other[:, :1]], axis=1)
        side = jnp.where(left, ring[:, :-2], ring[:, 2:])
        tall = jnp.concatenate([other[-1:], other, other[:1]])
        return tall[:-2] + tall[2:] + other + side

    def flip(spins: Any, other: Any, left: Any, u: Any) -> tuple[Any, Any]:
        change = spins * around(other, left)
        flips = u < jnp.exp(-2 * BETA * change.astype("float32"))
        return jnp.where(flips, -spins, spins), jnp.where(flips, -change, change)

    def sweep(carry: Any, key: Any) -> tuple[Any, Any]:
        blacks, whites = carry
        u = random.uniform(key, (2, size, size // 2), "float32")
        blacks, _ = flip(blacks, whites, ~even, u[0])
        whites, aligned = flip(whites, blacks, even, u[1])
        return (blacks, whites), -aligned.sum(dtype="int32")

    energy = lax.scan(sweep, (blacks, whites), random.split(key, sweeps))[1]
    return energy.mean() / start.size


def _mixture_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    means = np.array([-4.0, 0.0, 4.0])
    y = means[rng.integers(0, 3, 500)] + MIXTURE_SD * rng.normal(size=500)
    return inputs(y, means, draws=scale.steps(500))


def _mixture_step(means: Any, y: Any, u: Any, noise: Any) -> Any:
    score = -0.5 * ((y[:, None] - means) / MIXTURE_SD) ** 2
    total = jnp.cumsum(jax.nn.softmax(score, axis=1), axis=1)
    label = (total[:, :-1] < u[:, None]).sum(1)
    member = (label[:, None] == jnp.arange(len(means))).astype(y.dtype)
    precision = MIXTURE_PRECISION + member.sum(0) / MIXTURE_SD**2
    return y @ member / MIXTURE_SD**2 / precision + noise / jnp.sqrt(precision)


def _mixture(key: Any, y: Any, start: Any, draws: int) -> Any:
    def draw(key: Any, means: Any) -> Any:
        one, two = random.split(key)
        return _mixture_step(means, y, random.uniform(one, y.shape), random.normal(two, means.shape))

    return _chain(draw, key, start, draws).mean(0)


def _mixture_tuned(key: Any, y: Any, start: Any, draws: int) -> Any:
    """Draws before the loop; weights without normalization, a row for each component, so that all reads are of
    neighbours; the squares of the data cancel."""
    count = len(start)

    def step(carry: tuple[Any, Any], chance: tuple[Any, Any]) -> tuple[Any, None]:
        means, sums = carry
        u, noise = chance
        weight = jnp.exp((means[:, None] * y - 0.5 * (means**2)[:, None]) / MIXTURE_SD**2)
        totals = [weight[0]]
        for one in weight[1:]:
            totals.append(totals[-1] + one)
        mark = u * totals[-1]
        label = sum((total < mark).astype("int32") for total in totals[:-1])
        member = (label == jnp.arange(count)[:, None]).astype(y.dtype)
        precision = MIXTURE_PRECISION + member.sum(1) / MIXTURE_SD**2
        means = (member * y).sum(1) / MIXTURE_SD**2 / precision + noise / jnp.sqrt(precision)
        return (means, sums + means), None

    one, two = random.split(key)
    chance = random.uniform(one, (draws, len(y))), random.normal(two, (draws, count))
    return lax.scan(step, (start, jnp.zeros_like(start)), chance)[0][1] / draws


def _paths_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    x, path, y = 0.0, [], []
    for _ in range(scale.pick(50, quick=20)):
        x = SSM_DECAY * x + SSM_STATE_SD * rng.normal()
        path.append(x)
        y.append(x + SSM_SEEN_SD * rng.normal())
    return inputs(np.array(y), np.array(path), draws=scale.steps(20), count=scale.pick(100, quick=20))


def _particle_gibbs(key: Any, y: Any, start: Any, draws: int, count: int, ahead: bool = False) -> list[Any]:
    """``ahead``: draws of a sweep before its loop."""

    def chance(key: Any, *steps: int) -> tuple[Any, Any]:
        one, two = random.split(key)
        return random.uniform(one, (*steps, count)), random.normal(two, (*steps, count))

    def forward(carry: tuple[Any, Any], now: Any) -> tuple[Any, Any]:
        x, weight = carry
        y_t, kept, key = now
        u, noise = key if ahead else chance(key)
        total = jnp.cumsum(weight)
        mark = u * total[-1]
        parent = jnp.clip(jnp.searchsorted(total, mark), 0, count - 1).at[-1].set(count - 1)
        x = (SSM_DECAY * x[parent] + SSM_STATE_SD * noise).at[-1].set(kept)
        score = -0.5 * ((y_t - x) / SSM_SEEN_SD) ** 2
        weight = jnp.exp(score - score.max())
        return (x, weight), (x, weight, parent)

    def draw(key: Any, path: Any) -> Any:
        one, two = random.split(key)
        chances = chance(one, len(y)) if ahead else random.split(one, len(y))
        _, (x, weight, parent) = lax.scan(forward, (jnp.zeros(count), jnp.ones(count)), (y, path, chances))
        total = jnp.cumsum(weight[-1])
        last = jnp.clip((total < random.uniform(two) * total[-1]).sum(), 0, count - 1)

        def backward(chosen: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
            x_t, parent_t = now
            return parent_t[chosen].astype(chosen.dtype), x_t[chosen]

        return lax.scan(backward, last, (x, parent), reverse=True)[1]

    paths = _chain(draw, key, start, draws)
    return [paths.mean(), (paths**2).mean()]


def _tempering_data(rng: np.random.Generator, scale: Scale) -> Inputs:
    return inputs(np.geomspace(8.0, 1.0, 8), rng.normal(size=(8, 16)), draws=scale.steps(1_000, quick=100))


def _swap(x: Any, t: Any, cold: Any, u: Any) -> Any:
    place = jnp.arange(len(cold))
    partner = jnp.where((place + t) % 2 == 0, place + 1, place - 1)
    partner = jnp.where((partner >= 0) & (partner < len(cold)), partner, place)
    beta = cold[:, None]
    gain = (beta - beta[partner]) * ((x**2 - 1) ** 2 - (x[partner] ** 2 - 1) ** 2)
    return jnp.where(jnp.log(u[jnp.minimum(place, partner)]) < gain, x[partner], x)


def _tempering(key: Any, cold: Any, start: Any, draws: int) -> Any:
    def step(carry: tuple[Any, Any], t: Any) -> tuple[tuple[Any, Any], Any]:
        x, key = carry
        key, one, two, three = random.split(key, 4)
        proposed = x + LADDER_STEP * random.normal(one, x.shape)
        gain = cold[:, None] * ((x**2 - 1) ** 2 - (proposed**2 - 1) ** 2)
        x = jnp.where(jnp.log(random.uniform(two, x.shape)) < gain, proposed, x)
        x = _swap(x, t, cold, random.uniform(three, x.shape))
        return (x, key), x

    x = lax.scan(step, (start, key), jnp.arange(draws))[1]
    return (x[:, 0] ** 2).mean()


def _tempering_tuned(key: Any, cold: Any, start: Any, draws: int) -> Any:
    """Draws before the loop; two swaps for each iteration, so that partners are neighbours at fixed places, with the
    energy carried through them."""
    beta = cold[:, None]

    def swapped(x: Any, energy: Any, log_u: Any, first: int) -> tuple[Any, Any]:
        last = len(cold) - (len(cold) - first) % 2
        pairs = (last - first) // 2, 2, -1
        xs, energies, betas = (
            value[first:last].reshape(pairs) for value in (x, energy, jnp.broadcast_to(beta, x.shape))
        )
        gain = (betas[:, 0] - betas[:, 1]) * (energies[:, 0] - energies[:, 1])
        swap = (log_u[first:last:2] < gain)[:, None]
        return tuple(
            jnp.concatenate([old[:first], jnp.where(swap, new[:, ::-1], new).reshape(-1, x.shape[1]), old[last:]])
            for old, new in ((x, xs), (energy, energies))
        )  # type: ignore[return-value]

    def twice(carry: Any, chance: Any) -> tuple[Any, None]:
        x, total = carry
        for first in range(2):
            noise, log_u, log_v = (part[first] for part in chance)
            proposed = x + LADDER_STEP * noise
            energy, new = (x**2 - 1) ** 2, (proposed**2 - 1) ** 2
            accepted = log_u < beta * (energy - new)
            x, energy = jnp.where(accepted, proposed, x), jnp.where(accepted, new, energy)
            x, energy = swapped(x, energy, log_v, first)
            total = total + x[0] ** 2
        return (x, total), None

    one, two = random.split(key)
    shape = draws // 2, 2, *start.shape
    log_u, log_v = jnp.log(random.uniform(two, (2, *shape)))
    start_total = start, jnp.zeros_like(start[0])
    return lax.scan(twice, start_total, (random.normal(one, shape), log_u, log_v))[0][1].mean() / draws


WORKLOADS = (
    task(
        "hmc",
        "Hamiltonian Monte Carlo of a logistic regression, 200 draws of 10 leapfrog steps",
        samplers.hmc,
        _hmc_data,
        _hmc,
        _hmc_tuned,
        within(0.3),
        draws=True,
    ),
    task(
        "mala",
        "Langevin Monte Carlo of 8 normal variables, 32 chains, 500 draws",
        samplers.mala,
        _mala_data,
        _mala,
        _mala_tuned,
        within(0.15),
        draws=True,
    ),
    task(
        "metropolis",
        "random-walk Metropolis of a banana, 64 chains, 1,000 draws",
        samplers.metropolis,
        _metropolis_data,
        _metropolis,
        _metropolis_tuned,
        within(0.2),
        draws=True,
    ),
    task(
        "slice-sampler",
        "slice sampling with shrinkage, 2,000 draws",
        samplers.slice_sampler,
        _slice_data,
        _slice,
        _slice_tuned,
        near(0.4),
        draws=True,
    ),
    task(
        "ising",
        "Metropolis sweeps of the Ising model, 64 x 64, 100 sweeps",
        samplers.ising,
        _ising_data,
        _ising,
        _ising_tuned,
        within(0.05),
        draws=True,
    ),
    task(
        "gibbs-mixture",
        "Gibbs sampling of a mixture of three, 500 values, 500 draws",
        samplers.gibbs_mixture,
        _mixture_data,
        _mixture,
        _mixture_tuned,
        within(0.1),
        draws=True,
    ),
    task(
        "particle-gibbs",
        "conditional particle filter with backtrace, 100 particles, T=50, 20 draws",
        samplers.particle_gibbs,
        _paths_data,
        _particle_gibbs,
        partial(_particle_gibbs, ahead=True),
        within(0.3),
        draws=True,
    ),
    task(
        "tempering",
        "parallel tempering, 8 temperatures, 16 chains, 1,000 draws",
        samplers.tempering,
        _tempering_data,
        _tempering,
        _tempering_tuned,
        within(0.1),
        draws=True,
    ),
)
