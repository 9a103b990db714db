"""Parameters of models by gradients, float64."""

from __future__ import annotations

from typing import Any

SCALE = 0.2


def conductivity(aesara: Any, sensors: tuple[int, ...]) -> Any:
    """Squared error of temperatures of a heated bar at some cells, and its gradient in the conductivities between
    cells (Beck, Blackwell and St. Clair 1985); ``heat`` enters at the left end."""
    at = aesara.tensor
    heat, seen, conductivity = at.dvector("heat"), at.dmatrix("seen"), at.dvector("conductivity")

    def step(heat_t: Any, u: Any) -> Any:
        flux = conductivity * (u[1:] - u[:-1])
        u = at.inc_subtensor(u[:-1], flux)
        u = at.inc_subtensor(u[1:], -flux)
        return at.inc_subtensor(u[0], heat_t)

    start = at.zeros((conductivity.shape[0] + 1,), dtype="float64")
    u, updates = aesara.scan(step, sequences=heat, outputs_info=start)
    cost = sum(((u[:, cell] - seen[:, k]) ** 2).sum() for k, cell in enumerate(sensors))
    return aesara.function([heat, seen, conductivity], [cost, aesara.grad(cost, conductivity)], updates=updates)


def ratings(aesara: Any, players: int) -> Any:
    """Negative log-likelihood of the results of games under ratings that each game changes (Elo 1978), and its gradient
    in the size of the changes and the advantage of the first player."""
    at = aesara.tensor
    first, second, result = at.ivector("first"), at.ivector("second"), at.dvector("result")
    size, advantage = at.dscalar("size"), at.dscalar("advantage")

    def game(i: Any, j: Any, result_t: Any, rating: Any) -> list[Any]:
        x = SCALE * (rating[i] - rating[j] + advantage)
        wins = at.sigmoid(x)
        change = size * (result_t - wins)
        rating = at.inc_subtensor(rating[i], change)
        rating = at.inc_subtensor(rating[j], -change)
        return [rating, -(result_t * at.log(wins) + (1 - result_t) * at.log(1 - wins))]

    start = at.zeros((players,), dtype="float64")
    (_, loss), updates = aesara.scan(game, sequences=[first, second, result], outputs_info=[start, None])
    cost = loss.sum()
    outputs = [cost, *aesara.grad(cost, [size, advantage])]
    return aesara.function([first, second, result, size, advantage], outputs, updates=updates)


def renewal(aesara: Any, days: int) -> Any:
    """Negative Poisson log-likelihood of cases under the renewal equation, from those of the last ``days`` (Fraser
    2007; Cori et al. 2013), and its gradient in the logarithms of the reproduction numbers. ``cases (time, region)``;
    ``weight`` is for the last day first."""
    at = aesara.tensor
    cases, before = at.dmatrix("cases"), at.dmatrix("before")
    weight, log_number = at.dvector("weight"), at.dmatrix("log_number")

    def step(log_number_t: Any, cases_t: Any, *past: Any) -> list[Any]:
        pressure = sum(weight[k] * past[days - 1 - k] for k in range(days))
        infected = at.exp(log_number_t) * pressure
        return [infected, infected - cases_t * at.log(infected)]

    taps = {"initial": before, "taps": list(range(-days, 0))}
    (_, loss), updates = aesara.scan(step, sequences=[log_number, cases], outputs_info=[taps, None])
    cost = loss.sum()
    outputs = [cost, aesara.grad(cost, log_number)]
    return aesara.function([cases, before, weight, log_number], outputs, updates=updates)
