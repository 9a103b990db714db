"""Buyers, owners of buses, animals that are seen again, and a portfolio."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.nn import sigmoid, softplus

from benchmarks.compare import close
from benchmarks.programs.seen import populations
from benchmarks.programs.seen.populations import DISCOUNT, HOPED, PAID
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _buyers(rng: np.random.Generator, scale: Scale) -> Inputs:
    markets, buyers, products = scale.pick((20, 100, 15), quick=(2, 7, 3))
    x, taste = rng.normal(size=(markets, products)), rng.normal(size=(markets, buyers))
    wants = np.exp(rng.normal(size=(markets, 1, products)) - 1.5 + taste[:, :, None] * x[:, None, :])
    share = (wants / (1 + wants.sum(axis=2, keepdims=True))).mean(axis=1)
    return inputs(share, x, taste, np.array(1e-12), most=scale.steps(2_000))


def _demand(share: Any, x: Any, taste: Any, tolerance: Any, most: int) -> Any:
    own = taste[:, :, None] * x[:, None, :]
    log_share = jnp.log(share)

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, utility, _ = carry
        wants = jnp.exp(utility[:, None, :] + own)
        chance = wants / (1 + wants.sum(axis=2, keepdims=True))
        change = log_share - jnp.log(chance.mean(axis=1))
        return i + 1, utility + change, jnp.abs(change).max()

    start = (0, log_share - jnp.log(1 - share.sum(axis=1, keepdims=True)), jnp.inf)
    return lax.while_loop(lambda carry: (carry[0] < most) & (carry[2] >= tolerance), step, start)[1]


def _demand_tuned(share: Any, x: Any, taste: Any, tolerance: Any, most: int) -> Any:
    """Newton's method near the end, in a few steps; exponentials of tastes before the loop."""
    own = jnp.exp(taste[:, :, None] * x[:, None, :])
    log_share = jnp.log(share)
    buyers, eye = taste.shape[1], jnp.eye(x.shape[1])

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, utility, _ = carry
        wants = own * jnp.exp(utility)[:, None, :]
        chance = wants / (1 + wants.sum(axis=2, keepdims=True))
        found = chance.mean(axis=1)
        change = log_share - jnp.log(found)
        size = jnp.abs(change).max()

        def newton() -> Any:
            both = jnp.einsum("mbi,mbj->mij", chance, chance) / (buyers * found[:, :, None])
            return jnp.linalg.solve(eye - both, change[:, :, None])[:, :, 0]

        return i + 1, utility + lax.cond(size < 1, newton, lambda: change), size

    start = (0, log_share - jnp.log(1 - share.sum(axis=1, keepdims=True)), jnp.inf)
    return lax.while_loop(lambda carry: (carry[0] < most) & (carry[2] >= tolerance), step, start)[1]


def _buses(rng: np.random.Generator, scale: Scale) -> Inputs:
    states = scale.pick(90, quick=8)
    P = np.zeros((states, states))
    for by, chance in enumerate((0.35, 0.6, 0.05)):
        P[np.arange(states), np.minimum(np.arange(states) + by, states - 1)] += chance
    mile = np.arange(states) * 90 / states
    months = rng.poisson(100 * np.exp(-mile / 40)).astype(float)
    replaced = rng.binomial(months.astype(int), 0.1 * mile / 90).astype(float)
    return inputs(P, mile, months - replaced, replaced, np.array([0.02, 8.0]), steps=scale.steps(800))


def _bus_engine(P: Any, mile: Any, kept: Any, replaced: Any, theta: Any, steps: int) -> list[Any]:
    def likelihood(theta: Any) -> Any:
        keeping, replacing = -theta[0] * mile, -theta[1]

        def step(ahead: Any, _: None) -> tuple[Any, None]:
            return P @ jnp.logaddexp(keeping + DISCOUNT * ahead, replacing + DISCOUNT * ahead[0]), None

        ahead, _ = lax.scan(step, jnp.zeros_like(mile), None, steps)
        apart = replacing - keeping + DISCOUNT * (ahead[0] - ahead)
        return -(kept * softplus(apart) + replaced * softplus(-apart)).sum()

    return list(jax.value_and_grad(likelihood)(theta))


def _bus_engine_tuned(P: Any, mile: Any, kept: Any, replaced: Any, theta: Any, steps: int) -> list[Any]:
    """Newton's method for what is ahead, and the gradient by one more system: after as many steps it has converged."""
    if steps < 700:
        return _bus_engine(P, mile, kept, replaced, theta, steps)
    keeping, replacing = -theta[0] * mile, -theta[1]
    eye = jnp.eye(len(mile))

    def slopes(ahead: Any) -> tuple[Any, Any, Any]:
        keep, replace = keeping + DISCOUNT * ahead, replacing + DISCOUNT * ahead[0]
        chance = sigmoid(replace - keep)
        moves = eye - DISCOUNT * P * (1 - chance)
        return P @ jnp.logaddexp(keep, replace), chance, moves.at[:, 0].add(-DISCOUNT * (P @ chance))

    def newton(carry: tuple[Any, Any]) -> tuple[Any, Any]:
        ahead, _ = carry
        better, _, moves = slopes(ahead)
        change = jnp.linalg.solve(moves, better - ahead)
        return ahead + change, jnp.abs(change).max()

    ahead, _ = lax.while_loop(lambda carry: carry[1] > 1e-9, newton, (jnp.zeros_like(mile), jnp.inf))
    _, chance, moves = slopes(ahead)
    apart = replacing - keeping + DISCOUNT * (ahead[0] - ahead)
    value = -(kept * softplus(apart) + replaced * softplus(-apart)).sum()
    of_apart = replaced * sigmoid(-apart) - kept * sigmoid(apart)
    of_ahead = (-DISCOUNT * of_apart).at[0].add(DISCOUNT * of_apart.sum())
    through = jnp.linalg.solve(moves.T, of_ahead) @ P
    of_mile = ((of_apart - through * (1 - chance)) * mile).sum()
    return [value, jnp.stack([of_mile, -of_apart.sum() - (through * chance).sum()])]


def _animals(rng: np.random.Generator, scale: Scale) -> Inputs:
    occasions, animals = scale.steps(40, quick=7), scale.pick(2_000, quick=9)
    weight, weather = rng.normal(size=animals), rng.normal(size=occasions)
    first = rng.integers(0, max(occasions - 1, 1), animals)
    marked = np.arange(occasions)[:, None] > first
    survival = 1 / (1 + np.exp(-(1.0 + 0.3 * weight + 0.4 * weather[:, None])))
    alive = np.cumprod(np.where(marked, rng.random((occasions, animals)) < survival, True), axis=0)
    seen = marked * alive * (rng.random((occasions, animals)) < 0.4)
    theta, effort = np.array([0.8, 0.2, 0.3]), 0.3 * rng.normal(size=occasions) - 0.5
    return inputs(seen.astype("int8"), marked.astype("int8"), weight, weather, theta, effort)


def _recapture(seen: Any, marked: Any, weight: Any, weather: Any, theta: Any, effort: Any) -> list[Any]:
    def likelihood(theta: Any, effort: Any) -> Any:
        def occasion(carry: tuple[Any, Any], now: tuple[Any, ...]) -> tuple[Any, None]:
            alive, dead = carry
            seen_t, marked_t, weather_t, effort_t = now
            survival = sigmoid(theta[0] + theta[1] * weight + theta[2] * weather_t)
            chance = sigmoid(effort_t)
            new_alive = alive * survival * jnp.where(seen_t, chance, 1 - chance)
            new_dead = jnp.where(seen_t, 0, dead + alive * (1 - survival))
            return (jnp.where(marked_t, new_alive, alive), jnp.where(marked_t, new_dead, dead)), None

        start = (jnp.ones_like(weight), jnp.zeros_like(weight))
        sequences = (seen.astype(bool), marked.astype(bool), weather, effort)
        (alive, dead), _ = lax.scan(occasion, start, sequences)
        return jnp.log(alive + dead).sum()

    value, slopes = jax.value_and_grad(likelihood, (0, 1))(theta, effort)
    return [value, *slopes]


def _recapture_tuned(seen: Any, marked: Any, weight: Any, weather: Any, theta: Any, effort: Any) -> list[Any]:
    """Animals were alive until they were seen last, so that only the chance not to be seen again is a loop, back in
    time, and its gradient one forth; exponentials of animals and of occasions, not of both."""
    occasions = len(weather)
    chance = sigmoid(effort)
    by_weight = jnp.exp(-theta[0] - theta[1] * weight)
    by_weather = jnp.exp(-theta[2] * weather)
    was_seen = seen.astype(bool)
    last = jnp.where(was_seen, jnp.arange(occasions)[:, None], -1).max(axis=0)
    first = occasions - marked.sum(axis=0, dtype="int32") - 1
    last = jnp.maximum(last, first)

    def back(never: Any, now: tuple[Any, ...]) -> tuple[Any, Any]:
        t, weather_t, chance_t = now
        survival = 1 / (1 + by_weight * weather_t)
        before = 1 - survival * (1 - (1 - chance_t) * never)
        never = jnp.where(t > last, before, never)
        return never, never

    times = jnp.arange(occasions)
    start = jnp.ones_like(weight)
    never, nevers = lax.scan(back, start, (times, by_weather, chance), reverse=True)
    after = jnp.concatenate([nevers[1:], start[None]])

    def forth(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, Any]:
        of_never, known, of_log = carry
        t, weather_t, chance_t, never_t, seen_t = now
        odds = by_weight * weather_t
        survival = 1 / (1 + odds)
        later, sooner = t > last, (t > first) & (t <= last)
        unseen = jnp.where(later, of_never * survival, 0)
        of_logit = jnp.where(later, unseen * ((1 - chance_t) * never_t - 1), jnp.where(sooner, 1.0, 0.0)) * (
            1 - survival
        )
        of_chance = -(unseen * never_t).sum()
        of_never = jnp.where(later, unseen * (1 - chance_t), of_never)
        known = known * jnp.where(sooner, survival, 1)
        hits, misses = (sooner & seen_t).sum(), (sooner & ~seen_t).sum()
        return (of_never, known, of_log + of_logit), (of_logit.sum(), of_chance, hits, misses)

    begin = (1 / never, jnp.ones_like(weight), jnp.zeros_like(weight))
    sequences = (times, by_weather, chance, after, was_seen)
    (_, known, of_log), (of_time, of_chance, hits, misses) = lax.scan(forth, begin, sequences)
    value = jnp.log(never * known).sum() + (hits * jnp.log(chance) + misses * jnp.log(1 - chance)).sum()
    of_effort = of_chance * chance * (1 - chance) + hits * (1 - chance) - misses * chance
    return [value, jnp.stack([of_log.sum(), of_log @ weight, of_time @ weather]), of_effort]


def _prices(rng: np.random.Generator, scale: Scale) -> Inputs:
    days, assets, window = scale.steps(2_000, quick=30), *scale.pick((30, 5), quick=(4, 3))
    noise = 0.015 * rng.normal(size=(days + window, assets))
    log_price = np.cumsum(noise - 0.2 * np.roll(noise, 1, axis=0), axis=0)
    price = np.exp(log_price)
    means = np.stack([price[k : k + days] for k in range(window)]).mean(axis=0)
    return inputs(price[window:] / price[window - 1 : -1], means / price[window - 1 : -1])


def _reversion(growth: Any, hope: Any) -> list[Any]:
    assets = growth.shape[1]

    def nearest(v: Any) -> Any:
        ordered = jnp.sort(v)[::-1]
        above = jnp.cumsum(ordered) - 1
        kept = (ordered * jnp.arange(1, assets + 1) > above).sum()
        return jnp.maximum(v - above[kept - 1] / kept, 0)

    def day(parts: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        growth_t, hope_t = now
        apart = hope_t - hope_t.mean()
        step = jnp.maximum(HOPED - parts @ hope_t, 0) / (apart**2).sum()
        new = nearest(parts + step * apart)
        return new, jnp.log(new @ growth_t) + jnp.log(1 - PAID * jnp.abs(new - parts).sum())

    parts, gain = lax.scan(day, jnp.full(assets, 1 / assets), (growth, hope))
    return [jnp.cumsum(gain), parts]


def _reversion_tuned(growth: Any, hope: Any) -> list[Any]:
    """Assets that fall below are left out until none does (Michelot 1986), without an order; gains after the loop."""
    assets = growth.shape[1]
    apart = hope - hope.mean(axis=1, keepdims=True)
    scaled = apart / (apart**2).sum(axis=1, keepdims=True)

    def day(parts: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        hope_t, scaled_t = now
        v = parts + jnp.maximum(HOPED - (parts * hope_t).sum(), 0) * scaled_t

        def fewer(carry: tuple[Any, ...]) -> tuple[Any, ...]:
            _, count, least = carry
            above = v > least
            left = above.sum(dtype="int32")
            return count, left, (jnp.where(above, v, 0).sum() - 1) / left

        first = (jnp.int32(assets + 1), jnp.int32(assets), (v.sum() - 1) / assets)
        least = lax.while_loop(lambda carry: carry[1] < carry[0], fewer, first)[2]
        new = jnp.maximum(v - least, 0)
        return new, new

    start = jnp.full(assets, 1 / assets)
    last, parts = lax.scan(day, start, (hope, scaled))
    before = jnp.concatenate([start[None], parts[:-1]])
    gain = jnp.log((parts * growth).sum(axis=1) * (1 - PAID * jnp.abs(parts - before).sum(axis=1)))
    return [jnp.cumsum(gain), last]


WORKLOADS = (
    task(
        "demand",
        "utilities of 15 products in 20 markets from their shares, 100 buyers each, until they rest",
        populations.demand,
        _buyers,
        _demand,
        _demand_tuned,
    ),
    task(
        "bus-engine-grad",
        "likelihood of replaced engines in 90 states, 800 steps of values, with gradient in two costs",
        populations.bus_engine,
        _buses,
        _bus_engine,
        _bus_engine_tuned,
        close(1e-7),
    ),
    task(
        "recapture-grad",
        "likelihood of 2,000 animals that are marked and seen again at 40 occasions, with gradients",
        populations.recapture,
        _animals,
        _recapture,
        _recapture_tuned,
    ),
    task(
        "reversion",
        "portfolio of 30 assets on 2,000 days, each with the nearest parts that sum to 1",
        populations.reversion,
        _prices,
        _reversion,
        _reversion_tuned,
        close(1e-7),
    ),
)
