"""A game of dice, seats of two flights, losses of many loans and the time between trades."""

# ruff: noqa: N803, N806 - values have the names that the field gives them

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.programs.applications import until

USES = ((1, 0), (1, 0), (0, 1), (0, 1), (1, 1), (1, 1))
YEARS, LARGEST = 5.0, 5


def pig_dice(aesara: Any, goal: int, most: int) -> Any:
    """Chances of whoever is to throw to win a game of pig, by points of both players, who throw a die until they hold,
    and lose the sum where it shows 1, if both play as is best (Neller and Presser 2004): sweeps over all points and
    sums, until none changes. Float64."""
    at = aesara.tensor
    tolerance = at.dscalar("tolerance")
    i, j, k = np.mgrid[:goal, :goal, :goal].astype("int32")
    wins, after = i + k >= goal, np.minimum(i + k, goal - 1)
    ones = at.ones((goal, goal, 6), dtype="float64")

    def sweep(P: Any) -> Any:
        lost = 1 - P[:, :, 0].T
        more = at.concatenate([P, ones], axis=2)
        roll = lost.dimshuffle(0, 1, "x")
        for points in range(2, 7):
            roll = roll + more[:, :, points : points + goal]
        hold = at.switch(k > 0, 1 - P[j, after, 0], 0.0)
        new = at.switch(wins, 1.0, at.maximum(roll / 6, hold))
        return new, until(aesara, abs(new - P).max() < tolerance)

    start = at.zeros((goal, goal, goal), dtype="float64")
    P, updates = aesara.scan(sweep, outputs_info=start, n_steps=most)
    return aesara.function([tolerance], P[-1][:, :, 0], updates=updates)


def airline_seats(aesara: Any, first: int, second: int) -> Any:
    """Expected revenue from each number of seats left on two flights, and from all seats at each time, where requests
    of six kinds, for one flight or both, are refused if seats are worth more later (Lee and Hersh 1993; Talluri and
    van Ryzin 1998). ``chance (time, kind)``, from the last time back. Float64."""
    at = aesara.tensor
    chance, fare = at.dmatrix("chance"), at.dvector("fare")

    def step(chance_t: Any, V: Any) -> list[Any]:
        new = V
        for kind, (one, other) in enumerate(USES):
            now, then = V[one:, other:], V[: first + 1 - one, : second + 1 - other]
            gain = at.maximum(fare[kind] + then - now, 0.0)
            new = at.inc_subtensor(new[one:, other:], chance_t[kind] * gain)
        return [new, new[first, second]]

    start = at.zeros((first + 1, second + 1), dtype="float64")
    (V, all_seats), updates = aesara.scan(step, sequences=chance, outputs_info=[start, None])
    return aesara.function([chance, fare], [V[-1], all_seats], updates=updates)


def credit_losses(aesara: Any, most: int, low: int, high: int) -> Any:
    """Expected loss between ``low`` and ``high`` units of many loans that one factor moves, and its gradient in the
    rates at which they default: chances of all sums, one loan after the other, at each value of the factor (Andersen,
    Sidenius and Basu 2003). ``unit (loan)`` is the loss of each, and ``most`` that of all. Float64."""
    at = aesara.tensor
    rate, unit, loading = at.dvector("rate"), at.ivector("unit"), at.dscalar("loading")
    factor, weight = at.dvector("factor"), at.dvector("weight")
    limit = np.sqrt(2) * at.erfinv(1 - 2 * at.exp(-YEARS * rate))
    distance = (limit.dimshuffle(0, "x") - loading * factor) / at.sqrt(1 - loading**2)
    default = at.erfc(-distance / np.sqrt(2)) / 2
    before = at.zeros((factor.shape[0], LARGEST), dtype="float64")

    def step(default_t: Any, unit_t: Any, chance: Any) -> Any:
        wide = at.concatenate([before, chance], axis=1)
        moved = wide[:, LARGEST - unit_t : LARGEST - unit_t + most + 1]
        default_t = default_t.dimshuffle(0, "x")
        return (1 - default_t) * chance + default_t * moved

    start = at.set_subtensor(at.zeros((factor.shape[0], most + 1), dtype="float64")[:, 0], 1.0)
    chance, updates = aesara.scan(step, sequences=[default, unit], outputs_info=start)
    loss = at.clip(at.arange(most + 1) - low, 0, high - low)
    value = at.dot(at.dot(weight, chance[-1]), at.cast(loss, "float64"))
    arguments = [rate, unit, loading, factor, weight]
    return aesara.function(arguments, [value, aesara.grad(value, rate)], updates=updates)


def trade_durations(aesara: Any) -> Any:
    """Mean log-likelihood of the times between trades of assets, whose means follow the last two times and means, with
    Weibull densities (Engle and Russell 1998), and its gradient in the logarithms of six
    parameters of each.
    ``wait (trade, asset)``. Float64."""
    at = aesara.tensor
    wait, theta = at.dmatrix("wait"), at.dmatrix("theta")
    base, new, old, near, far, shape = [at.exp(theta[k]) for k in range(6)]
    level = at.gammaln(1 + 1 / shape)

    def step(wait_2: Any, wait_1: Any, wait_0: Any, mean_2: Any, mean_1: Any) -> list[Any]:
        mean = base + new * wait_1 + old * wait_2 + near * mean_1 + far * mean_2
        relative = shape * (level + at.log(wait_0) - at.log(mean))
        return [mean, at.log(shape) - at.log(wait_0) + relative - at.exp(relative)]

    start = {"initial": at.stack([wait.mean(axis=0)] * 2), "taps": [-2, -1]}
    given = {"input": wait, "taps": [-2, -1, 0]}
    (_, score), updates = aesara.scan(step, sequences=given, outputs_info=[start, None])
    total = score.mean()
    return aesara.function([wait, theta], [total, aesara.grad(total, theta)], updates=updates)
