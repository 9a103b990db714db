"""Finance and the control of quality."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import markets
from benchmarks.programs.seen.markets import BOUND, COST, FIRST, INTEREST, SLACK
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _paths(rng: np.random.Generator, scale: Scale) -> Inputs:
    gain = 0.0003 + 0.01 * rng.normal(size=(scale.steps(1_250, quick=20), scale.pick(64, quick=3)))
    return inputs(gain, *map(np.float64, (8.0, 0.85, 0.9)))


def _insurance(gain: Any, *parameters: Any) -> list[Any]:
    def value(parameters: Any) -> Any:
        multiple, share, limit = parameters

        def step(carry: tuple[Any, Any, Any], gain_t: Any) -> tuple[Any, None]:
            wealth, peak, held = carry
            peak = jnp.maximum(peak, wealth)
            cushion = jnp.maximum(wealth - share * peak, 0)
            risky = jnp.minimum(multiple * cushion, limit * wealth)
            paid = COST * jnp.abs(risky - held)
            wealth = wealth - paid + risky * gain_t + (wealth - paid - risky) * INTEREST
            return (wealth, peak, risky * (1 + gain_t)), None

        ones = jnp.ones(gain.shape[1])
        (wealth, _, _), _ = lax.scan(step, (ones, ones, jnp.zeros_like(ones)), gain)
        return jnp.log(wealth).mean()

    found, slopes = jax.value_and_grad(value)(parameters)
    return [found, *slopes]


def _insurance_tuned(gain: Any, multiple: Any, share: Any, limit: Any) -> list[Any]:
    """Forward mode by hand: rows of values and their derivatives, so that nothing is stored."""
    paths = gain.shape[1]
    grow = 1 + INTEREST
    # Rows: the value, and its derivatives in multiple, share and limit.
    unit = [jnp.zeros((4, 1)).at[k].set(1.0) for k in range(4)]

    def step(carry: tuple[Any, Any, Any], gain_t: Any) -> tuple[Any, None]:
        wealth, peak, held = carry
        peak = jnp.where(wealth[0] > peak[0], wealth, peak)
        cushion = wealth - share * peak - peak[0] * unit[2]
        cushion = jnp.where(cushion[0] > 0, cushion, 0)
        free = multiple * cushion + cushion[0] * unit[1]
        bound = limit * wealth + wealth[0] * unit[3]
        risky = jnp.where(free[0] < bound[0], free, bound)
        change = risky - held
        paid = COST * jnp.sign(change[0]) * change
        wealth = grow * (wealth - paid) + (gain_t - INTEREST) * risky
        return (wealth, peak, risky * (1 + gain_t)), None

    ones = jnp.broadcast_to(unit[0], (4, paths))
    (wealth, _, _), _ = lax.scan(step, (ones, ones, jnp.zeros_like(ones)), gain)
    slopes = (wealth[1:] / wealth[0]).mean(1)
    return [jnp.log(wealth[0]).mean(), *slopes]


def _variances(rng: np.random.Generator, scale: Scale) -> Inputs:
    days, week = scale.pick((22, 5), quick=(6, 3))
    steps, assets = scale.steps(2_500, quick=30), scale.pick(20, quick=2)
    noise, before = 0.3 * rng.normal(size=(steps, assets)), 0.5 * rng.normal(size=(days, assets))
    return inputs(noise, before, np.array([-0.1, 0.35, 0.35, 0.25]), days=days, week=week)


def _daily_volatility(noise: Any, before: Any, weight: Any, days: int, week: int) -> Any:
    def step(past: Any, noise_t: Any) -> tuple[Any, Any]:
        of_week, of_month = past[-week:].mean(0), past.mean(0)
        new = weight[0] + weight[1] * past[-1] + weight[2] * of_week + weight[3] * of_month + noise_t
        return jnp.concatenate([past[1:], new[None]]), new

    return jnp.exp(lax.scan(step, before, noise)[1] / 2)


def _daily_volatility_tuned(noise: Any, before: Any, weight: Any, days: int, week: int) -> Any:
    """Blocks of days from the past of the block by one matrix, and from its own noise by another, for all blocks
    before the loop."""
    block = max(32, days)
    steps, assets = noise.shape
    blocks = -(-steps // block)
    lag = np.arange(1, days + 1)
    by_lag = weight[1] * (lag == 1) + weight[2] / week * (lag <= week) + weight[3] / days

    def respond(past: Any, first: Any) -> tuple[Any, Any]:
        new = (by_lag * past).sum() + first
        return jnp.concatenate([new[None], past[:-1]]), new

    impulse = lax.scan(respond, jnp.zeros(days), jnp.zeros(block).at[0].set(1.0))[1]
    apart = np.arange(block)[:, None] - np.arange(block)
    of_noise = jnp.where(apart >= 0, impulse[np.maximum(apart, 0)], 0)
    # What a past day adds to each of the first days as if it were noise of these.
    reach = np.arange(days)[:, None] + np.arange(days, 0, -1)
    of_past = of_noise[:, :days] @ jnp.where(reach <= days, by_lag[np.minimum(reach, days) - 1], 0)

    parts = jnp.pad(noise + weight[0], ((0, blocks * block - steps), (0, 0))).reshape(blocks, block, assets)
    own = of_noise @ parts

    def move(past: Any, own_b: Any) -> tuple[Any, Any]:
        new = of_past @ past + own_b
        return new[-days:], new

    return jnp.exp(lax.scan(move, before, own)[1].reshape(blocks * block, assets)[:steps] / 2)


def _process(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps = scale.steps(20_000, quick=60)
    level = np.repeat(rng.normal(size=steps // 20 + 1), 20)[:steps]
    return inputs(level * scale.pick(0.5, quick=3.0) + rng.normal(size=steps))


def _alarms(x: Any) -> list[Any]:
    def step(carry: Any, x_t: Any) -> tuple[Any, Any]:
        count, mean, square, high, low = carry
        z = (x_t - mean) / jnp.sqrt(square / count)
        high = jnp.maximum(high + z - SLACK, 0)
        low = jnp.maximum(low - z - SLACK, 0)
        alarm = (high > BOUND) | (low > BOUND)
        new = mean + (x_t - mean) / (count + 1)
        going = count + 1, new, square + (x_t - mean) * (x_t - new), high, low
        begun = FIRST, x_t, FIRST * square / count, BOUND / 2, BOUND / 2
        carry = tuple(jnp.where(alarm, one, other) for one, other in zip(begun, going, strict=True))
        return carry, (alarm.astype("int32"), carry[3])

    start = tuple(map(jnp.float64, (FIRST, 0.0, FIRST, 0.0, 0.0)))
    return list(lax.scan(step, start, x)[1])


WORKLOADS = (
    task(
        "insurance-grad",
        "64 portfolios that keep above a share of their highest wealth, T=1,250, with gradient in three parameters",
        markets.insurance,
        _paths,
        _insurance,
        _insurance_tuned,
        close(1e-8),
    ),
    task(
        "daily-volatility",
        "volatilities of 20 assets from those of the last 22 days, T=2,500",
        markets.daily_volatility,
        _variances,
        _daily_volatility,
        _daily_volatility_tuned,
        close(1e-8),
    ),
    task(
        "alarms",
        "cumulative sums in two directions that begin anew after an alarm, T=20,000",
        markets.alarms,
        _process,
        _alarms,
        compare=close(1e-8),
    ),
)
