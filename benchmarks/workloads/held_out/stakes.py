"""A game of dice, seats of two flights, losses of many loans and the time between trades."""

# ruff: noqa: N803, N806 - values have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import digamma, erfc, erfinv, gammaln

from benchmarks.compare import close
from benchmarks.programs.held_out import stakes
from benchmarks.programs.held_out.stakes import LARGEST, USES, YEARS
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _game(_: np.random.Generator, scale: Scale) -> Inputs:
    return inputs(np.array(1e-9), goal=scale.pick(32, quick=10), most=scale.steps(1_000))


def _pig_dice(tolerance: Any, goal: int, most: int) -> Any:
    i, j, k = np.mgrid[:goal, :goal, :goal]
    wins, after = i + k >= goal, np.minimum(i + k, goal - 1)

    def sweep(carry: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        P, _, sweeps = carry
        more = jnp.pad(P, ((0, 0), (0, 0), (0, 6)), constant_values=1)
        roll = (1 - P[:, :, 0].T)[:, :, None] + sum(more[:, :, points : points + goal] for points in range(2, 7))
        hold = jnp.where(k > 0, 1 - P[j, after, 0], 0)
        new = jnp.where(wins, 1, jnp.maximum(roll / 6, hold))
        return new, abs(new - P).max(), sweeps + 1

    start = (jnp.zeros((goal, goal, goal)), jnp.array(jnp.inf), 0)
    P, _, _ = lax.while_loop(lambda carry: (carry[1] >= tolerance) & (carry[2] < most), sweep, start)
    return P[:, :, 0]


def _pig_dice_tuned(tolerance: Any, goal: int, most: int) -> Any:
    """Points of both players only rise, so that states with the same sum of points wait for those with larger sums
    alone: for one sum after the other, from the largest, best plays of both players from the largest sum of a turn
    back, until they rest. Chances are linear in that after a lost turn, which a system of two numbers has."""
    player = jnp.arange(goal)
    turn = np.arange(goal - 1, 0, -1)

    def of_sum(P: Any, total: Any) -> tuple[Any, None]:
        other = total - player
        valid = (other >= 0) & (other < goal)
        after = player + turn[:, None]
        hold = jnp.where(after >= goal, 1, 1 - P[jnp.clip(other, 0, goal - 1), jnp.minimum(after, goal - 1)])
        opposite = jnp.clip(other, 0, goal - 1)

        def round_of(carry: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            own, _, rounds = carry
            lost = 1 - own[opposite]

            def throw(ahead: tuple[Any, ...], hold_k: Any) -> tuple[tuple[Any, ...], None]:
                fixed, share = ahead
                new, part = sum(fixed[1:6]) / 6, (1 + sum(share[1:6])) / 6
                holds = hold_k >= new + part * lost
                new, part = jnp.where(holds, hold_k, new), jnp.where(holds, 0, part)
                return ((new, *fixed[:5]), (part, *share[:5])), None

            ones, zeros = jnp.ones(goal), jnp.zeros(goal)
            (fixed, share), _ = lax.scan(throw, ((ones,) * 6, (zeros,) * 6), hold)
            a, b = sum(fixed[1:6]) / 6, (1 + sum(share[1:6])) / 6
            c, d = a[opposite], b[opposite]
            new = (a + b * (1 - c - d)) / (1 - b * d)
            return new, jnp.where(valid, abs(new - own), 0).max(), rounds + 1

        start = (jnp.full(goal, 0.5), jnp.array(jnp.inf), 0)
        own, _, _ = lax.while_loop(lambda carry: (carry[1] >= tolerance) & (carry[2] < most), round_of, start)
        return P.at[player, jnp.where(valid, other, goal)].set(own, mode="drop"), None

    return lax.scan(of_sum, jnp.zeros((goal, goal)), jnp.arange(2 * goal - 2, -1, -1))[0]


def _requests(_: np.random.Generator, scale: Scale) -> Inputs:
    """Requests that pay more come later, for flights that more people want than have seats."""
    first, second = scale.pick((100, 80), quick=(10, 8))
    times = scale.steps(300, quick=40)
    left = np.arange(times) / times
    early = np.stack([1 - left, left] * 3, axis=1)
    chance = early * np.array([0.35, 0.35, 0.3, 0.3, 0.35, 0.35])
    fare = np.array([300.0, 120.0, 250.0, 100.0, 450.0, 200.0])
    return inputs(chance, fare, first=first, second=second)


def _airline_seats(chance: Any, fare: Any, first: int, second: int) -> list[Any]:
    def step(V: Any, chance_t: Any) -> tuple[Any, Any]:
        new = V
        for kind, (one, other) in enumerate(USES):
            less = V[: first + 1 - one, : second + 1 - other] - V[one:, other:]
            new = new.at[one:, other:].add(chance_t[kind] * jnp.maximum(fare[kind] + less, 0))
        return new, new[first, second]

    return list(lax.scan(step, jnp.zeros((first + 1, second + 1)), chance))


def _airline_seats_tuned(chance: Any, fare: Any, first: int, second: int) -> list[Any]:
    """Values have a border that no fare makes up for, so that a step is one expression; both fares of a use have one
    difference."""
    border = -1e9
    rows, columns = np.ogrid[: first + 2, : second + 2]
    inside = (rows > 0) & (columns > 0)

    def step(V: Any, chance_t: Any) -> tuple[Any, Any]:
        new = V
        for kind in (0, 2, 4):
            one, other = USES[kind]
            less = jnp.roll(V, (one, other), (0, 1)) - V
            for k in (kind, kind + 1):
                new = new + chance_t[k] * jnp.maximum(fare[k] + less, 0)
        new = jnp.where(inside, new, border)
        return new, new[-1, -1]

    start = jnp.where(inside, 0.0, border)
    V, all_seats = lax.scan(step, start, chance)
    return [V[1:, 1:], all_seats]


def _loans(rng: np.random.Generator, scale: Scale) -> Inputs:
    loans, nodes = scale.pick((125, 32), quick=(8, 6))
    unit = rng.integers(1, LARGEST + 1, loans).astype("int32")
    rate = 0.005 + 0.03 * rng.random(loans)
    factor, weight = np.polynomial.hermite_e.hermegauss(nodes)
    most = int(unit.sum())
    options = {"most": most, "low": round(0.03 * most), "high": max(round(0.12 * most), 2)}
    return inputs(rate, unit, np.array(0.5), factor, weight / weight.sum(), **options)


def _defaults(rate: Any, loading: Any, factor: Any) -> Any:
    limit = np.sqrt(2) * erfinv(1 - 2 * jnp.exp(-YEARS * rate))
    return erfc((loading * factor - limit[:, None]) / jnp.sqrt(2 * (1 - loading**2))) / 2


def _credit_losses(
    rate: Any, unit: Any, loading: Any, factor: Any, weight: Any, most: int, low: int, high: int
) -> list[Any]:
    def value(rate: Any) -> Any:
        def step(chance: Any, now: tuple[Any, Any]) -> tuple[Any, None]:
            default_t, unit_t = now
            wide = jnp.pad(chance, ((0, 0), (LARGEST, 0)))
            moved = lax.dynamic_slice_in_dim(wide, LARGEST - unit_t, most + 1, axis=1)
            return (1 - default_t)[:, None] * chance + default_t[:, None] * moved, None

        start = jnp.zeros((len(factor), most + 1)).at[:, 0].set(1)
        chance, _ = lax.scan(step, start, (_defaults(rate, loading, factor), unit))
        return weight @ chance @ jnp.clip(jnp.arange(most + 1) - low, 0, high - low)

    return list(jax.value_and_grad(value)(rate))


def _credit_losses_tuned(
    rate: Any, unit: Any, loading: Any, factor: Any, weight: Any, most: int, low: int, high: int
) -> list[Any]:
    """Sums beyond ``high`` all lose the same, so that chances end there; the way back has the expected loss from each
    sum on, whose differences times chances are the slopes; values of the factor come last."""
    default, of_rate = jax.vjp(lambda rate: _defaults(rate, loading, factor), rate)
    nodes = len(factor)

    def forth(chance: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        default_t, unit_t = now
        wide = jnp.pad(chance, ((LARGEST, 0), (0, 0)))
        moved = lax.dynamic_slice_in_dim(wide, LARGEST - unit_t, high)
        return chance + default_t * (moved - chance), chance

    start = jnp.zeros((high, nodes)).at[0].set(1)
    _, chances = lax.scan(forth, start, (default, unit))

    def back(left: Any, now: tuple[Any, ...]) -> tuple[Any, Any]:
        default_t, unit_t, chance = now
        wide = jnp.pad(left, ((0, LARGEST), (0, 0)))
        change = lax.dynamic_slice_in_dim(wide, unit_t, high) - left
        return left + default_t * change, (chance * change).sum(axis=0)

    loss = jnp.clip(jnp.arange(high) - low, 0) - float(high - low)
    end = jnp.broadcast_to(loss[:, None], (high, nodes))
    left, slope = lax.scan(back, end, (default, unit, chances), reverse=True)
    return [weight @ left[0] + (high - low), *of_rate(slope * weight)]


def _trades(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Times between trades of assets with parameters near those given."""
    steps, assets = scale.steps(3_000, quick=60), scale.pick(50, quick=4)
    theta = np.log(np.array([0.1, 0.12, 0.05, 0.5, 0.2, 0.9]))[:, None] + 0.1 * rng.normal(size=(6, assets))
    wait, mean = np.ones((steps, assets)), np.ones((steps, assets))
    draws = rng.weibull(0.9, (steps, assets))
    for t in range(2, steps):
        mean[t] = 0.12 + 0.1 * wait[t - 1] + 0.05 * wait[t - 2] + 0.5 * mean[t - 1] + 0.2 * mean[t - 2]
        wait[t] = mean[t] * np.maximum(draws[t], 1e-3)
    return inputs(wait, theta)


def _trade_durations(wait: Any, theta: Any) -> list[Any]:
    def likelihood(theta: Any) -> Any:
        base, new, old, near, far, shape = jnp.exp(theta)
        level = gammaln(1 + 1 / shape)

        def step(carry: tuple[Any, Any], now: tuple[Any, ...]) -> tuple[tuple[Any, Any], Any]:
            mean_2, mean_1 = carry
            wait_2, wait_1, wait_0 = now
            mean = base + new * wait_1 + old * wait_2 + near * mean_1 + far * mean_2
            relative = shape * (level + jnp.log(wait_0) - jnp.log(mean))
            return (mean_1, mean), jnp.log(shape) - jnp.log(wait_0) + relative - jnp.exp(relative)

        first = wait.mean(axis=0)
        return lax.scan(step, (first, first), (wait[:-2], wait[1:-1], wait[2:]))[1].mean()

    return list(jax.value_and_grad(likelihood)(theta))


def _trade_durations_tuned(wait: Any, theta: Any) -> list[Any]:
    """Loops have two products a step, forth for means and back for their slopes; all else is before, between and after
    them."""
    base, new, old, near, far, shape = jnp.exp(theta)
    first = wait.mean(axis=0)
    number = (len(wait) - 2) * wait.shape[1]

    def forth(carry: tuple[Any, Any], given: Any) -> tuple[tuple[Any, Any], Any]:
        mean_2, mean_1 = carry
        mean = given + near * mean_1 + far * mean_2
        return (mean_1, mean), mean

    _, mean = lax.scan(forth, (first, first), base + new * wait[1:-1] + old * wait[:-2], unroll=4)
    level = gammaln(1 + 1 / shape)
    logs = jnp.log(wait[2:])
    apart = level + logs - jnp.log(mean)
    power = jnp.exp(shape * apart)
    total = (jnp.log(shape) * (len(wait) - 2)).sum() - logs.sum() + (shape * apart - power).sum()
    slope = shape * (power - 1) / mean

    def back(carry: tuple[Any, Any], slope_t: Any) -> tuple[tuple[Any, Any], Any]:
        of_2, of_1 = carry
        of_mean = slope_t + near * of_1 + far * of_2
        return (of_1, of_mean), of_mean

    zeros = jnp.zeros_like(first)
    _, of_mean = lax.scan(back, (zeros, zeros), slope, reverse=True, unroll=4)
    before = jnp.concatenate([first[None], first[None], mean])
    of_level = (1 - power).sum(axis=0)
    of_shape = (len(wait) - 2) + shape * ((1 - power) * apart).sum(axis=0) - digamma(1 + 1 / shape) * of_level
    slopes = [
        base * of_mean.sum(axis=0),
        new * (of_mean * wait[1:-1]).sum(axis=0),
        old * (of_mean * wait[:-2]).sum(axis=0),
        near * (of_mean * before[1:-1]).sum(axis=0),
        far * (of_mean * before[:-2]).sum(axis=0),
        of_shape,
    ]
    return [total / number, jnp.stack(slopes) / number]


WORKLOADS = (
    task(
        "pig-dice",
        "chances to win a game of dice to 32 points from all states, until they rest",
        stakes.pig_dice,
        _game,
        _pig_dice,
        _pig_dice_tuned,
        close(1e-6),
    ),
    task(
        "airline-seats",
        "revenue from up to 100 and 80 seats of two flights, six kinds of requests, 300 times",
        stakes.airline_seats,
        _requests,
        _airline_seats,
        _airline_seats_tuned,
    ),
    task(
        "credit-losses-grad",
        "losses of 125 loans at 32 values of a factor, with gradient in the rates of all",
        stakes.credit_losses,
        _loans,
        _credit_losses,
        _credit_losses_tuned,
        close(1e-7),
    ),
    task(
        "trade-durations-grad",
        "likelihood of 3,000 times between trades of each of 50 assets, with gradients in six parameters of each",
        stakes.trade_durations,
        _trades,
        _trade_durations,
        _trade_durations_tuned,
        close(1e-7),
    ),
)
