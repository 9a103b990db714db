"""Rates, hedges and wealth."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from benchmarks.compare import close, near
from benchmarks.programs.seen import money
from benchmarks.programs.seen.money import AVERSION, KEPT, PERIOD, PRICE_OF_TRADES, STRIKE
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _market(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, paths = scale.steps(20, quick=6), scale.pick(1_000, quick=400)
    ahead = np.arange(steps) - np.arange(steps)[:, None]
    level, tilt = 0.15 + 0.1 * np.exp(-ahead / 6), 0.08 * (1 - ahead / 10)
    loading = np.stack([np.where(ahead > 0, one, 0.0) for one in (level, tilt)], axis=1)
    return inputs(0.03 + 0.02 * np.arange(steps) / steps, loading, paths=paths)


def _forward_rates(key: Any, rates: Any, loading: Any, paths: int) -> Any:
    def step(carry: tuple[Any, Any, Any], now: tuple[Any, Any, Any]) -> tuple[Any, None]:
        rate, bank, paid = carry
        i, loading_t, key = now
        bank = bank * (1 + PERIOD * rate[:, i])
        paid = paid + PERIOD * jnp.maximum(rate[:, i] - STRIKE, 0.0) / bank
        z = random.normal(key, (paths, 2))
        share = PERIOD * rate / (1 + PERIOD * rate)
        drift = (loading_t * jnp.cumsum(share[:, None] * loading_t, axis=2)).sum(axis=1)
        drift = drift - (loading_t**2).sum(axis=0) / 2
        return (rate * jnp.exp(PERIOD * drift + PERIOD**0.5 * z @ loading_t), bank, paid), None

    start = (jnp.tile(rates, (paths, 1)), jnp.ones(paths), jnp.zeros(paths))
    keys = random.split(key, len(rates))
    (_, _, paid), _ = lax.scan(step, start, (jnp.arange(len(rates)), loading, keys))
    return paid.mean()


def _forward_rates_tuned(key: Any, rates: Any, loading: Any, paths: int) -> Any:
    """Paths beside each other, a vector for each rate, and the first one is fixed; sums over rates written out; four
    loops, each without the rates that are fixed when it starts; draws before them; 32 bits."""
    steps = len(rates)
    z = random.normal(key, (steps, 2, paths), "float32")
    later = np.arange(steps)[:, None] + np.arange(1, steps)
    loads = jnp.pad(loading, ((0, 0), (0, 0), (0, steps)))
    loads = jnp.take_along_axis(loads, jnp.asarray(later)[:, None], axis=2).astype("float32")

    def step(carry: tuple[Any, Any, Any], now: tuple[Any, Any]) -> tuple[Any, None]:
        (fixed, *rate), bank, paid = carry
        loads_t, z_t = now
        bank = bank * (1 + PERIOD * fixed)
        paid = paid + PERIOD * jnp.maximum(fixed - STRIKE, 0.0) / bank
        first, second = jnp.zeros(paths, "float32"), jnp.zeros(paths, "float32")
        for k in range(len(rate)):
            a, b = loads_t[0, k], loads_t[1, k]
            share = PERIOD * rate[k]
            share = share / (1 + share)
            first, second = first + a * share, second + b * share
            drift = a * (first - a / 2) + b * (second - b / 2)
            rate[k] = rate[k] * jnp.exp(PERIOD * drift + PERIOD**0.5 * (a * z_t[0] + b * z_t[1]))
        return ((*rate, fixed), bank, paid), None

    ones = jnp.ones(paths, "float32")
    rate, bank, paid = tuple(one * ones for one in rates.astype("float32")), ones, 0 * ones
    each = -(-steps // 4)
    for t in range(0, steps, each):
        now = (loads[t : t + each], z[t : t + each])
        (rate, bank, paid), _ = lax.scan(step, (rate[: steps - t], bank, paid), now)
    return paid.mean().astype(rates.dtype)


def _hedges(rng: np.random.Generator, scale: Scale) -> Inputs:
    dates, (paths, units) = scale.steps(30, quick=4), scale.pick((256, 16), quick=(5, 3))
    shocks = 0.2 * (1 / dates) ** 0.5 * rng.normal(size=(dates, paths))
    price = np.exp(np.cumsum(np.concatenate([np.zeros((1, paths)), shocks - 0.02 / dates]), axis=0))
    left = 1 - np.arange(dates) / dates
    w_in, w_mid = rng.normal(size=(3, units)), rng.normal(size=(units, units)) / units**0.5
    w_out = rng.normal(size=units) / units**0.5
    b_in, b_mid = 0.1 * rng.normal(size=units), 0.1 * rng.normal(size=units)
    arrays = (price, left, w_in, b_in, w_mid, b_mid, w_out)
    return inputs(*(array.astype("float32") for array in arrays))


def _hedging(price: Any, left: Any, *weights: Any) -> list[Any]:
    def risk(weights: Any) -> Any:
        w_in, b_in, w_mid, b_mid, w_out = weights

        def date(carry: tuple[Any, Any], now: tuple[Any, ...]) -> tuple[Any, None]:
            held, earned = carry
            left_t, price_t, later = now
            seen = jnp.stack([jnp.log(price_t), jnp.full_like(price_t, left_t), held], axis=1)
            hidden = jnp.tanh(seen @ w_in + b_in)
            hidden = jnp.tanh(hidden @ w_mid + b_mid)
            wanted = jax.nn.sigmoid(hidden @ w_out)
            earned = earned + wanted * (later - price_t) - PRICE_OF_TRADES * price_t * jnp.abs(wanted - held)
            return (wanted, earned), None

        zeros = jnp.zeros_like(price[0])
        (_, earned), _ = lax.scan(date, (zeros, zeros), (left, price[:-1], price[1:]))
        result = earned - jnp.maximum(price[-1] - 1, 0.0)
        return jnp.log(jnp.exp(-AVERSION * result).mean()) / AVERSION

    value, slopes = jax.value_and_grad(risk)(weights)
    return [value, *slopes]


def _hedging_tuned(price: Any, left: Any, *weights: Any) -> list[Any]:
    """Paths beside each other; what the network sees of price and time multiplied before the loop; earnings after
    it."""

    def risk(weights: Any) -> Any:
        w_in, b_in, w_mid, b_mid, w_out = weights
        of_price, of_left, of_held = w_in
        known = jnp.log(price[:-1])[:, None] * of_price[:, None] + (left[:, None] * of_left + b_in)[:, :, None]

        def date(held: Any, known_t: Any) -> tuple[Any, Any]:
            hidden = jnp.tanh(known_t + of_held[:, None] * held)
            hidden = jnp.tanh(w_mid.T @ hidden + b_mid[:, None])
            wanted = jax.nn.sigmoid(w_out @ hidden)
            return wanted, wanted

        wanted = lax.scan(date, jnp.zeros_like(price[0]), known, unroll=2)[1]
        traded = jnp.abs(jnp.diff(wanted, axis=0, prepend=jnp.zeros_like(price[:1])))
        earned = (wanted * jnp.diff(price, axis=0) - PRICE_OF_TRADES * price[:-1] * traded).sum(axis=0)
        result = earned - jnp.maximum(price[-1] - 1, 0.0)
        return jnp.log(jnp.exp(-AVERSION * result).mean()) / AVERSION

    value, slopes = jax.value_and_grad(risk)(weights)
    return [value, *slopes]


def _agents(rng: np.random.Generator, scale: Scale) -> Inputs:
    agents = scale.pick(1_000, quick=400)
    return inputs(np.ones(agents), agents=agents, rounds=scale.steps(100, quick=20))


def _gini(wealth: Any) -> Any:
    agents = len(wealth)
    ordered = jnp.sort(wealth)
    return (ordered * (2 * jnp.arange(1, agents + 1) - agents - 1)).sum() / (agents * ordered.sum())


def _wealth_exchange(key: Any, wealth: Any, agents: int, rounds: int) -> Any:
    half = agents // 2

    def meet(wealth: Any, key: Any) -> tuple[Any, None]:
        order_key, share_key = random.split(key)
        wealth = random.permutation(order_key, wealth)
        one, other = wealth[:half], wealth[half:]
        share = random.uniform(share_key, (half,))
        pot = (1 - KEPT) * (one + other)
        return jnp.concatenate([KEPT * one + share * pot, KEPT * other + (1 - share) * pot]), None

    return _gini(lax.scan(meet, wealth, random.split(key, rounds))[0])


def _wealth_exchange_tuned(key: Any, wealth: Any, agents: int, rounds: int) -> Any:
    """One sort of words for each order, with places of agents in the low bits, 1 in 4 million of which are alike; draws
    and sorts before the loop; 32 bits."""
    half = agents // 2
    low = (agents - 1).bit_length()
    order_key, share_key = random.split(key)
    word = random.bits(order_key, (rounds, agents), "uint32") >> np.uint32(low) << np.uint32(low)
    word = jnp.sort(word | jnp.arange(agents, dtype="uint32"), axis=1)
    order = (word & np.uint32(2**low - 1)).astype("int32")
    share = (1 - KEPT) * random.uniform(share_key, (rounds, half), "float32")

    def meet(wealth: Any, now: tuple[Any, Any]) -> tuple[Any, None]:
        order_t, share_t = now
        wealth = wealth.at[order_t].get(mode="promise_in_bounds")
        one, other = wealth[:half], wealth[half:]
        total = one + other
        first = KEPT * one + share_t * total
        return jnp.concatenate([first, total - first]), None

    return _gini(lax.scan(meet, wealth.astype("float32"), (order, share))[0].astype(wealth.dtype))


def _swaps(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps = scale.steps(480, quick=12)
    years = np.arange(1, steps + 1) / 12
    rate = 0.02 + 0.02 * (1 - np.exp(-years / 7)) + 0.0002 * np.sin(years)
    accrual = rng.choice([30, 31], steps) / 360
    return inputs(rate, accrual)


def _swap_curve(rate: Any, accrual: Any) -> list[Any]:
    def maturity(annuity: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        rate_t, accrual_t = now
        discount = (1 - rate_t * annuity) / (1 + rate_t * accrual_t)
        return annuity + accrual_t * discount, discount

    discount = lax.scan(maturity, jnp.zeros((), rate.dtype), (rate, accrual))[1]
    return [discount, -jnp.log(discount) / jnp.cumsum(accrual)]


def _swap_curve_tuned(rate: Any, accrual: Any) -> list[Any]:
    """The annuity is linear in the one before, with factors that are known before the loop: a product and a sum a
    step."""
    one = 1 / (1 + rate * accrual)
    by = accrual * one

    def maturity(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
        annuity, time = carry
        one_t, by_t, accrual_t = now
        new = (annuity * one_t + by_t, time + accrual_t)
        return new, (annuity, new[1])

    zero = jnp.zeros((), rate.dtype)
    annuity, time = lax.scan(maturity, (zero, zero), (one, by, accrual), unroll=2)[1]
    discount = (1 - rate * annuity) * one
    return [discount, -jnp.log(discount) / time]


WORKLOADS = (
    task(
        "forward-rates",
        "price of a cap on 20 forward rates by 1,000 paths",
        money.forward_rates,
        _market,
        _forward_rates,
        _forward_rates_tuned,
        near(0.15),
        draws=True,
    ),
    task(
        "hedging-grad",
        "risk of an option that a network of 16 units hedges at 30 dates, 256 paths, with gradients",
        money.hedging,
        _hedges,
        _hedging,
        _hedging_tuned,
        close(1e-3),
    ),
    task(
        "wealth-exchange",
        "wealth of 1,000 agents who meet in pairs 100 times",
        money.wealth_exchange,
        _agents,
        _wealth_exchange,
        _wealth_exchange_tuned,
        near(0.15),
        draws=True,
    ),
    task(
        "swap-curve",
        "discount factors of 480 months from the rates of swaps",
        money.swap_curve,
        _swaps,
        _swap_curve,
        _swap_curve_tuned,
        close(1e-9),
    ),
)
