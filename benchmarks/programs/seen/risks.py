"""Sums of claims, insurance of incomes, quantiles of returns and earthquakes that follow others."""

from __future__ import annotations

from typing import Any

YEARS, LEVEL = 1 / 12, 0.995


def aggregate_claims(aesara: Any, most: int) -> Any:
    """Chances of the sums of a Poisson number of claims, whose sizes have the chances ``severity`` from 1 on, up to
    ``most``, each from those of smaller sums (Panjer 1981), and the capital for 99.5 percent of years. Float64 and
    int32."""
    at = aesara.tensor
    severity, rate = at.dvector("severity"), at.dscalar("rate")
    largest = severity.shape[0]
    weight = (severity * at.arange(1, largest + 1))[::-1]

    def step(s: Any, chance: Any) -> Any:
        before = chance[s : s + largest]
        return at.set_subtensor(chance[s + largest], rate / s * at.dot(weight, before))

    start = at.zeros((largest + most + 1,), dtype="float64")
    start = at.set_subtensor(start[largest], at.exp(-rate))
    chance, updates = aesara.scan(step, sequences=at.arange(1, most + 1), outputs_info=start)
    chance = chance[-1][largest:]
    capital = at.cast((at.cumsum(chance) < LEVEL).sum(), "int32")
    return aesara.function([severity, rate], [chance, capital], updates=updates)


def disability(aesara: Any) -> Any:
    """Squared error of the values of contracts that pay while their owner is ill, and at death, by Thiele's equations
    from the last age back (Hoem 1969; Norberg 1991) in Runge-Kutta steps of a month, and its gradient in the logarithms
    of the rates at which owners fall ill, get well and die, and in how these change with age. ``contract`` has the
    premium, the pension and the sum at death, ``age`` goes back. Float64."""
    at = aesara.tensor
    age, contract, quoted = at.dvector("age"), at.dmatrix("contract"), at.dmatrix("quoted")
    interest, base, slope = at.dscalar("interest"), at.dvector("base"), at.dvector("slope")
    premium, pension, death = contract[0], contract[1], contract[2]

    def change(age: Any, able: Any, ill: Any) -> tuple[Any, Any]:
        rate = at.exp(base + slope * age)
        of_able = interest * able + premium - rate[0] * (ill - able) - rate[2] * (death - able)
        of_ill = interest * ill - pension - rate[1] * (able - ill) - rate[3] * (death - ill)
        return of_able, of_ill

    def step(age: Any, able: Any, ill: Any) -> list[Any]:
        half = YEARS / 2
        a_1, i_1 = change(age, able, ill)
        a_2, i_2 = change(age - half, able - half * a_1, ill - half * i_1)
        a_3, i_3 = change(age - half, able - half * a_2, ill - half * i_2)
        a_4, i_4 = change(age - YEARS, able - YEARS * a_3, ill - YEARS * i_3)
        new_able = able - YEARS / 6 * (a_1 + 2 * a_2 + 2 * a_3 + a_4)
        return [new_able, ill - YEARS / 6 * (i_1 + 2 * i_2 + 2 * i_3 + i_4)]

    zeros = at.zeros_like(premium)
    (able, ill), updates = aesara.scan(step, sequences=age, outputs_info=[zeros, zeros])
    cost = ((able[-1] - quoted[0]) ** 2 + (ill[-1] - quoted[1]) ** 2).mean()
    arguments = [age, contract, quoted, interest, base, slope]
    return aesara.function(arguments, [cost, *aesara.grad(cost, [base, slope])], updates=updates)


def quantile_risk(aesara: Any) -> Any:
    """Mean loss of quantiles of the returns of assets that follow their last value and the last return, up and down
    (Engle and Manganelli 2004), the share of days below them, and the gradient in the parameters of each asset. ``y
    (day, asset)``, ``beta (4, asset)``. Float64."""
    at = aesara.tensor
    y, first, level = at.dmatrix("y"), at.dvector("first"), at.dscalar("level")
    beta = at.dmatrix("beta")

    def step(y_t: Any, q: Any) -> list[Any]:
        loss = (level - (y_t < q)) * (y_t - q)
        up, down = at.maximum(y_t, 0.0), at.maximum(-y_t, 0.0)
        new_q = beta[0] + beta[1] * q + beta[2] * up + beta[3] * down
        return [new_q, loss, at.cast(y_t < q, "float64")]

    (_, loss, below), updates = aesara.scan(step, sequences=y, outputs_info=[first, None, None])
    cost = loss.mean()
    outputs = [cost, below.mean(axis=0), aesara.grad(cost, beta)]
    return aesara.function([y, first, level, beta], outputs, updates=updates)


def aftershocks(aesara: Any) -> Any:
    """Log-likelihood of earthquakes, each of which makes others likelier by its size and the time since (Ogata 1988),
    from time 0 to ``end``, and its gradient in the logarithms of the rate without them, their number for size 0, the
    growth with size, the delay and how much faster than 1 / time they fade. Float64."""
    at = aesara.tensor
    time, size, end, theta = at.dvector("time"), at.dvector("size"), at.dscalar("end"), at.dvector("theta")
    base, number, growth, delay = [at.exp(theta[k]) for k in range(4)]
    power = 1 + at.exp(theta[4])
    index = at.arange(time.shape[0])

    def rate(i: Any) -> Any:
        before = index < i
        wait = at.switch(before, time[i] - time, 1.0)
        made = number * at.exp(growth * size) * (wait + delay) ** -power
        return base + at.switch(before, made, 0.0).sum()

    rates, updates = aesara.scan(rate, sequences=index)
    fade = (delay ** (1 - power) - (end - time + delay) ** (1 - power)) / (power - 1)
    expected = base * end + (number * at.exp(growth * size) * fade).sum()
    total = at.log(rates).sum() - expected
    return aesara.function([time, size, end, theta], [total, aesara.grad(total, theta)], updates=updates)
