"""Parameters of models by gradients."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.program import unroll
from benchmarks.programs.seen import inference
from benchmarks.programs.seen.inference import SCALE
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _bar(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, size, sensors = scale.pick((800, 100, (5, 20, 60)), quick=(20, 10, (2, 5)))
    steps = scale.steps(steps)
    heat = 1 + np.sin(np.arange(steps) / 50)
    seen = np.cumsum(rng.uniform(size=(steps, len(sensors))), axis=0) / 40
    return inputs(heat, seen, rng.uniform(0.1, 0.45, size - 1), sensors=sensors)


def _conductivity(heat: Any, seen: Any, conductivity: Any, sensors: tuple[int, ...]) -> list[Any]:
    def cost(conductivity: Any) -> Any:
        def step(u: Any, heat_t: Any) -> tuple[Any, Any]:
            flux = conductivity * (u[1:] - u[:-1])
            u = u.at[:-1].add(flux).at[1:].add(-flux).at[0].add(heat_t)
            return u, u[jnp.array(sensors)]

        start = jnp.zeros(len(conductivity) + 1)
        return ((lax.scan(step, start, heat)[1] - seen) ** 2).sum()

    return list(jax.value_and_grad(cost)(conductivity))


def _conductivity_tuned(heat: Any, seen: Any, conductivity: Any, sensors: tuple[int, ...]) -> list[Any]:
    """Both neighbours from one padded array; the reverse loop by hand, as the step's matrix is symmetric; errors and
    the gradient after the loops, from all temperatures and their slopes."""
    size = len(conductivity) + 1
    first = (jnp.arange(size) == 0).astype(heat.dtype)
    to_right = jnp.pad(conductivity, (0, 1))
    to_left = jnp.pad(conductivity, (1, 0))

    def moved(u: Any) -> Any:
        padded = jnp.pad(u, 1)
        return u + to_right * (padded[2:] - u) - to_left * (u - padded[:-2])

    def step(u: Any, heat_t: Any) -> tuple[Any, Any]:
        return moved(u) + heat_t * first, u

    last, u = lax.scan(step, jnp.zeros(size), heat)
    cells = jnp.array(sensors)
    error = jnp.concatenate([u[1:, cells], last[None, cells]]) - seen

    def back(slope: Any, own: Any) -> tuple[Any, Any]:
        slope = slope + own
        return moved(slope), slope

    own = jnp.zeros((len(heat), size)).at[:, cells].set(2 * error)
    slope = lax.scan(back, jnp.zeros(size), own, reverse=True)[1]
    return [(error**2).sum(), -((u[:, 1:] - u[:, :-1]) * (slope[:, 1:] - slope[:, :-1])).sum(0)]


def _games(rng: np.random.Generator, scale: Scale) -> Inputs:
    games, players = scale.steps(3_000, quick=40), scale.pick(50, quick=6)
    first = rng.integers(0, players, games)
    second = (first + rng.integers(1, players, games)) % players
    skill = np.sort(rng.normal(size=players))
    wins = rng.uniform(size=games) < 1 / (1 + np.exp(skill[second] - skill[first] - 0.3))
    arrays = first.astype("int32"), second.astype("int32"), wins.astype("float64")
    return inputs(*arrays, np.float64(0.3), np.float64(1.0), players=players)


def _ratings(first: Any, second: Any, result: Any, *parameters: Any, players: int) -> list[Any]:
    def cost(parameters: Any) -> Any:
        size, advantage = parameters

        def game(rating: Any, now: tuple[Any, Any, Any]) -> tuple[Any, Any]:
            i, j, result_t = now
            wins = jax.nn.sigmoid(SCALE * (rating[i] - rating[j] + advantage))
            change = size * (result_t - wins)
            rating = rating.at[i].add(change).at[j].add(-change)
            return rating, -(result_t * jnp.log(wins) + (1 - result_t) * jnp.log(1 - wins))

        return lax.scan(game, jnp.zeros(players), (first, second, result))[1].sum()

    value, slopes = jax.value_and_grad(cost)(parameters)
    return [value, *slopes]


def _ratings_tuned(first: Any, second: Any, result: Any, size: Any, advantage: Any, players: int) -> list[Any]:
    """Forward mode by hand: rows of ratings and their derivatives, so that nothing is stored, with reads and writes by
    a mask of both players; likelihood and slopes after the loop."""
    each = jnp.arange(players, dtype="int32")

    def game(table: Any, now: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        i, j, result_t = now
        mask = jnp.where(each == i, 1.0, 0.0) - jnp.where(each == j, 1.0, 0.0)
        apart = (table * mask).sum(1)
        wins = 1 / (1 + jnp.exp(-SCALE * (apart[0] + advantage)))
        left = result_t - wins
        fall = -size * SCALE * wins * (1 - wins)
        change = jnp.stack([size * left, left + fall * apart[1], fall * (apart[2] + 1)])
        return table + change[:, None] * mask, apart

    _, apart = lax.scan(game, jnp.zeros((3, players)), (first, second, result))
    x = SCALE * (apart[:, 0] + advantage)
    slope = SCALE * (jax.nn.sigmoid(x) - result)
    return [(jax.nn.softplus(x) - result * x).sum(), slope @ apart[:, 1], slope @ (apart[:, 2] + 1)]


def _cases(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, regions, days = scale.steps(300, quick=20), *scale.pick((20, 14), quick=(2, 4))
    weight = rng.gamma(3.0, size=days)
    cases = rng.poisson(40, (steps, regions)).astype("float64")
    log_number = 0.1 * rng.normal(size=(steps, regions))
    return inputs(cases, rng.uniform(20, 60, (days, regions)), weight / weight.sum(), log_number, days=days)


def _renewal(cases: Any, before: Any, weight: Any, log_number: Any, days: int) -> list[Any]:
    def cost(log_number: Any) -> Any:
        def step(past: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
            log_number_t, cases_t = now
            infected = jnp.exp(log_number_t) * (weight[::-1] @ past)
            past = jnp.concatenate([past[1:], infected[None]])
            return past, infected - cases_t * jnp.log(infected)

        return lax.scan(step, before, (log_number, cases))[1].sum()

    return list(jax.value_and_grad(cost)(log_number))


def _renewal_tuned(cases: Any, before: Any, weight: Any, log_number: Any, days: int) -> list[Any]:
    """The reverse loop by hand, of the same form; exponentials, logarithms and the likelihood for all days at once."""
    number, nearest_last = jnp.exp(log_number), weight[::-1]

    def step(past: Any, number_t: Any) -> tuple[Any, Any]:
        infected = number_t * (nearest_last @ past)
        return jnp.concatenate([past[1:], infected[None]]), infected

    infected = lax.scan(step, before, number, unroll=unroll(2, 16))[1]

    def back(later: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        number_t, own_t = now
        slope = own_t + nearest_last @ later
        return jnp.concatenate([later[1:], (number_t * slope)[None]]), slope

    start, own = jnp.zeros_like(before), 1 - cases / infected
    slope = lax.scan(back, start, (number, own), reverse=True, unroll=unroll(2, 16))[1]
    return [(infected - cases * jnp.log(infected)).sum(), slope * infected]


WORKLOADS = (
    task(
        "conductivity-grad",
        "temperatures of a bar of 100 cells at 3 of them, 800 steps, with gradient in the conductivities",
        inference.conductivity,
        _bar,
        _conductivity,
        _conductivity_tuned,
        close(1e-7),
    ),
    task(
        "ratings-grad",
        "likelihood of 3,000 games of 50 rated players, with gradient in two parameters",
        inference.ratings,
        _games,
        _ratings,
        _ratings_tuned,
        close(1e-7),
    ),
    task(
        "renewal-grad",
        "likelihood of an epidemic by the cases of the last 14 days, 20 regions, T=300, with gradient",
        inference.renewal,
        _cases,
        _renewal,
        _renewal_tuned,
        close(1e-7),
    ),
)
