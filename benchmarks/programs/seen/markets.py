"""Finance and the control of quality, float64."""

from __future__ import annotations

from typing import Any

COST, INTEREST = 0.001, 0.0001
SLACK, BOUND, FIRST = 0.5, 6.0, 8.0


def insurance(aesara: Any) -> Any:
    """Mean logarithm of the wealth at the end of portfolios that keep above a share of their highest wealth (Black and
    Perold 1992; Estep and Kritzman 1988), and its gradient in multiple, share and limit of credit. ``gain (time,
    path)``."""
    at = aesara.tensor
    gain = at.dmatrix("gain")
    parameters = multiple, share, limit = [at.dscalar(name) for name in ("multiple", "share", "limit")]

    def step(gain_t: Any, wealth: Any, peak: Any, held: Any) -> list[Any]:
        peak = at.maximum(peak, wealth)
        cushion = at.maximum(wealth - share * peak, 0.0)
        risky = at.minimum(multiple * cushion, limit * wealth)
        paid = COST * abs(risky - held)
        wealth = wealth - paid + risky * gain_t + (wealth - paid - risky) * INTEREST
        return [wealth, peak, risky * (1 + gain_t)]

    ones = at.ones_like(gain[0])
    (wealth, *_), updates = aesara.scan(step, sequences=gain, outputs_info=[ones, ones, at.zeros_like(ones)])
    value = at.log(wealth[-1]).mean()
    return aesara.function([gain, *parameters], [value, *aesara.grad(value, parameters)], updates=updates)


def daily_volatility(aesara: Any, days: int, week: int) -> Any:
    """Volatilities of assets by a regression on the last day, week and month of their logarithms (Corsi 2009).
    ``noise (time, asset)``, ``before (days, asset)``; ``weight`` has constant, day, week and month."""
    at = aesara.tensor
    noise, before, weight = at.dmatrix("noise"), at.dmatrix("before"), at.dvector("weight")

    def step(noise_t: Any, *past: Any) -> Any:
        of_week, of_month = sum(past[-week:]) / week, sum(past) / days
        return weight[0] + weight[1] * past[-1] + weight[2] * of_week + weight[3] * of_month + noise_t

    taps = {"initial": before, "taps": list(range(-days, 0))}
    log_variance, updates = aesara.scan(step, sequences=noise, outputs_info=taps)
    return aesara.function([noise, before, weight], at.exp(log_variance / 2), updates=updates)


def alarms(aesara: Any) -> Any:
    """Alarms of a process by cumulative sums in both directions that learn its mean and spread, and begin anew after
    each alarm (Page 1954; Hawkins 1987), and the upper sums."""
    at = aesara.tensor
    x = at.dvector("x")

    def step(x_t: Any, count: Any, mean: Any, square: Any, high: Any, low: Any) -> list[Any]:
        spread = at.sqrt(square / count)
        z = (x_t - mean) / spread
        high = at.maximum(high + z - SLACK, 0.0)
        low = at.maximum(low - z - SLACK, 0.0)
        alarm = at.or_(high > BOUND, low > BOUND)
        more = count + 1
        new = mean + (x_t - mean) / more
        return [
            at.switch(alarm, FIRST, more),
            at.switch(alarm, x_t, new),
            at.switch(alarm, FIRST * square / count, square + (x_t - mean) * (x_t - new)),
            at.switch(alarm, BOUND / 2, high),
            at.switch(alarm, BOUND / 2, low),
            at.cast(alarm, "int32"),
        ]

    start = [at.constant(value, dtype="float64") for value in (FIRST, 0.0, FIRST, 0.0, 0.0)]
    (_, _, _, high, _, alarm), updates = aesara.scan(step, sequences=x, outputs_info=[*start, None])
    return aesara.function([x], [alarm, high], updates=updates)
