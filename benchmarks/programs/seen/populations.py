"""Buyers, owners of buses, animals that are seen again, and a portfolio, float64."""

# ruff: noqa: N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

DISCOUNT = 0.97
HOPED, PAID = 1.05, 0.001


def demand(aesara: Any, most: int) -> Any:
    """Mean utilities of products by which the shares of buyers who differ are those seen in markets, until they rest
    (Berry, Levinsohn and Pakes 1995). ``share (market, product)`` are seen, ``x`` is what buyers value by their
    ``taste (market, buyer)``; who buys nothing has utility 0."""
    at = aesara.tensor
    share, x, taste, tolerance = at.dmatrix("share"), at.dmatrix("x"), at.dmatrix("taste"), at.dscalar("tolerance")
    own = taste.dimshuffle(0, 1, "x") * x.dimshuffle(0, "x", 1)
    log_share = at.log(share)

    def step(utility: Any) -> Any:
        wants = at.exp(utility.dimshuffle(0, "x", 1) + own)
        chance = wants / (1 + wants.sum(axis=2, keepdims=True))
        change = log_share - at.log(chance.mean(axis=1))
        return utility + change, until(aesara, abs(change).max() < tolerance)

    start = log_share - at.log(1 - share.sum(axis=1, keepdims=True))
    utility, updates = aesara.scan(step, outputs_info=start, n_steps=most)
    return aesara.function([share, x, taste, tolerance], utility[-1], updates=updates)


def bus_engine(aesara: Any, steps: int) -> Any:
    """Log-likelihood of when an owner replaces the engines of buses, who looks ahead, and its gradient in the costs of
    a mile and of an engine (Rust 1987). ``P (state, next state)`` moves the mileage of a bus that keeps its engine, and
    from its first row that of one with a new one; ``kept`` and ``replaced`` count months in each state."""
    at = aesara.tensor
    P, mile, kept, replaced, theta = (
        at.dmatrix("P"),
        at.dvector("mile"),
        at.dvector("kept"),
        at.dvector("replaced"),
        at.dvector("theta"),
    )
    keeping, replacing = -theta[0] * mile, -theta[1]

    def step(ahead: Any) -> Any:
        keep, replace = keeping + DISCOUNT * ahead, replacing + DISCOUNT * ahead[0]
        larger = at.maximum(keep, replace)
        return at.dot(P, larger + at.log(at.exp(keep - larger) + at.exp(replace - larger)))

    ahead, updates = aesara.scan(step, outputs_info=at.zeros_like(mile), n_steps=steps)
    apart = replacing - keeping + DISCOUNT * (ahead[-1][0] - ahead[-1])
    value = -(kept * at.softplus(apart) + replaced * at.softplus(-apart)).sum()
    return aesara.function([P, mile, kept, replaced, theta], [value, aesara.grad(value, theta)], updates=updates)


def recapture(aesara: Any) -> Any:
    """Log-likelihood of animals that are marked, and seen again or not, and its gradient in what survival depends on
    and in how well animals are seen at each occasion (Cormack 1964; Lebreton, Burnham, Clobert and Anderson 1992).
    ``seen (occasion, animal)`` and ``marked``, 1 at occasions after that of an animal's mark, are 0 or 1."""
    at = aesara.tensor
    seen, marked, weight, weather = (
        at.bmatrix("seen"),
        at.bmatrix("marked"),
        at.dvector("weight"),
        at.dvector("weather"),
    )
    theta, effort = at.dvector("theta"), at.dvector("effort")

    def occasion(seen_t: Any, marked_t: Any, weather_t: Any, effort_t: Any, alive: Any, dead: Any) -> list[Any]:
        survival = at.sigmoid(theta[0] + theta[1] * weight + theta[2] * weather_t)
        chance = at.sigmoid(effort_t)
        new_alive = alive * survival * at.switch(seen_t, chance, 1 - chance)
        new_dead = at.switch(seen_t, 0.0, dead + alive * (1 - survival))
        return [at.switch(marked_t, new_alive, alive), at.switch(marked_t, new_dead, dead)]

    start = [at.ones_like(weight), at.zeros_like(weight)]
    sequences = [seen, marked, weather, effort]
    (alive, dead), updates = aesara.scan(occasion, sequences=sequences, outputs_info=start)
    value = at.log(alive[-1] + dead[-1]).sum()
    arguments = [seen, marked, weight, weather, theta, effort]
    return aesara.function(arguments, [value, *aesara.grad(value, [theta, effort])], updates=updates)


def reversion(aesara: Any) -> Any:
    """Logarithm of the wealth of a portfolio that bets on prices to return to their means of the last days, and its
    last parts (Li and Hoi 2012): each day it moves as little as a hoped gain needs, and then to the nearest parts that
    are positive and sum to 1 (Duchi, Shalev-Shwartz, Singer and Chandra 2008). ``growth (day, asset)`` are ratios of
    prices, ``hope`` those of means to prices on the day before."""
    at = aesara.tensor
    growth, hope = at.dmatrix("growth"), at.dmatrix("hope")
    assets = growth.shape[1]
    count = at.arange(assets) + 1

    def nearest(v: Any) -> Any:
        ordered = at.sort(v)[::-1]
        above = at.cumsum(ordered) - 1
        kept = (ordered * count > above).sum()
        return at.maximum(v - above[kept - 1] / kept, 0)

    def day(growth_t: Any, hope_t: Any, parts: Any) -> list[Any]:
        apart = hope_t - hope_t.mean()
        step = at.maximum(HOPED - at.dot(parts, hope_t), 0) / (apart**2).sum()
        new = nearest(parts + step * apart)
        gain = at.log(at.dot(new, growth_t)) + at.log(1 - PAID * abs(new - parts).sum())
        return [new, gain]

    start = at.ones((assets,), dtype="float64") / assets
    (parts, gain), updates = aesara.scan(day, sequences=[growth, hope], outputs_info=[start, None])
    return aesara.function([growth, hope], [at.cumsum(gain), parts[-1]], updates=updates)
