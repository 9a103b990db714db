"""Rates, hedges and wealth."""

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import stream

PERIOD, STRIKE = 0.5, 0.04
PRICE_OF_TRADES, AVERSION = 0.002, 10.0
KEPT = 0.3


def forward_rates(aesara: Any, paths: int) -> Any:
    """Price of a cap in the market model of forward rates, under the spot measure (Brace, Gatarek and Musiela 1997;
    Jamshidian 1997; Glasserman 2003, section 3.7), by Euler steps of their logarithms. ``loading (time, factor,
    maturity)`` is zero for rates that are fixed already. Float64."""
    at, trng = aesara.tensor, stream(aesara)
    rates, loading = at.dvector("rates"), at.dtensor3("loading")

    def step(i: Any, loading_t: Any, rate: Any, bank: Any, paid: Any) -> list[Any]:
        bank = bank * (1 + PERIOD * rate[:, i])
        paid = paid + PERIOD * at.maximum(rate[:, i] - STRIKE, 0.0) / bank
        z = trng.normal(size=(paths, 2), dtype="float64")
        share = PERIOD * rate / (1 + PERIOD * rate)
        drift = 0.0
        for k in range(2):
            drift = drift + loading_t[k] * at.cumsum(share * loading_t[k], axis=1)
        drift = drift - (loading_t**2).sum(axis=0) / 2
        rate = rate * at.exp(PERIOD * drift + PERIOD**0.5 * at.dot(z, loading_t))
        return [rate, bank, paid]

    ones = at.ones((paths,), dtype="float64")
    start = [at.outer(ones, rates), ones, at.zeros_like(ones)]
    sequences = [at.arange(rates.shape[0]), loading]
    (_, _, paid), updates = aesara.scan(step, sequences=sequences, outputs_info=start)
    return aesara.function([rates, loading], paid[-1].mean(), updates=updates)


def hedging(aesara: Any) -> Any:
    """Entropic risk of a sold option that a small network hedges at each date, with a price for trades (Buehler, Gonon,
    Teichmann and Wood 2019), and its gradient in the network's weights. ``price (date, path)``. Float32."""
    at = aesara.tensor
    price, left = at.fmatrix("price"), at.fvector("left")
    names = ("W_in", "b_in", "W_mid", "b_mid", "w_out")
    weights = [at.fmatrix(name) if name.startswith("W") else at.fvector(name) for name in names]
    w_in, b_in, w_mid, b_mid, w_out = weights

    def date(left_t: Any, now: Any, later: Any, held: Any, earned: Any) -> list[Any]:
        seen = at.stack([at.log(now), at.zeros_like(now) + left_t, held], axis=1)
        hidden = at.tanh(at.dot(seen, w_in) + b_in)
        hidden = at.tanh(at.dot(hidden, w_mid) + b_mid)
        wanted = at.sigmoid(at.dot(hidden, w_out))
        earned = earned + wanted * (later - now) - PRICE_OF_TRADES * now * abs(wanted - held)
        return [wanted, earned]

    zeros = at.zeros_like(price[0])
    sequences = [left, {"input": price, "taps": [0, 1]}]
    (_, earned), updates = aesara.scan(date, sequences=sequences, outputs_info=[zeros, zeros])
    result = earned[-1] - at.maximum(price[-1] - 1, 0.0)
    risk = at.log(at.exp(-AVERSION * result).mean()) / AVERSION
    return aesara.function([price, left, *weights], [risk, *aesara.grad(risk, weights)], updates=updates)


def wealth_exchange(aesara: Any, agents: int, rounds: int) -> Any:
    """Gini coefficient of the wealth of agents, whom each round pairs at random; both keep a share of theirs and divide
    the rest by chance (Dragulescu and Yakovenko 2000; Chakraborti and Chakrabarti 2000). Float64."""
    at, trng = aesara.tensor, stream(aesara)
    wealth = at.dvector("wealth")
    half = agents // 2

    def meet(wealth: Any) -> Any:
        wealth = wealth[trng.permutation(agents)]
        one, other = wealth[:half], wealth[half:]
        share = trng.uniform(size=(half,), dtype="float64")
        pot = (1 - KEPT) * (one + other)
        return at.concatenate([KEPT * one + share * pot, KEPT * other + (1 - share) * pot])

    wealths, updates = aesara.scan(meet, outputs_info=wealth, n_steps=rounds)
    ordered = at.sort(wealths[-1])
    place = at.arange(1, agents + 1)
    gini = (ordered * (2 * place - agents - 1)).sum() / (agents * ordered.sum())
    return aesara.function([wealth], gini, updates=updates)


def swap_curve(aesara: Any) -> Any:
    """Discount factors and zero rates from the rates of swaps that pay each month, of all maturities, one after the
    other (Hull 2018, section 7.6). Float64."""
    at = aesara.tensor
    rate, accrual = at.dvector("rate"), at.dvector("accrual")

    def maturity(rate_t: Any, accrual_t: Any, annuity: Any) -> list[Any]:
        discount = (1 - rate_t * annuity) / (1 + rate_t * accrual_t)
        return [annuity + accrual_t * discount, discount]

    zero = at.constant(0.0, dtype="float64")
    (_, discount), updates = aesara.scan(maturity, sequences=[rate, accrual], outputs_info=[zero, None])
    return aesara.function([rate, accrual], [discount, -at.log(discount) / at.cumsum(accrual)], updates=updates)
