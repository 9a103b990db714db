"""Learners in a world that changes, a building in an earthquake, a country in debt and beats of a heart."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.nn import sigmoid, softplus

from benchmarks.compare import close
from benchmarks.programs.seen import judgements
from benchmarks.programs.seen.judgements import (
    DAMPED,
    INTEREST,
    LATE,
    NOTHING,
    PATIENCE,
    RESTS,
    RETURNS,
    SECONDS,
    SHARED,
    TIME,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _learners(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Chances that turn round every forty trials, some trials without a choice."""
    trials, learners = scale.steps(320, quick=25), scale.pick(40, quick=3)
    likely = np.where(np.arange(trials) // 40 % 2 == 0, 0.8, 0.2)[:, None]
    outcome = rng.random((trials, learners)) < likely
    choice = np.where(rng.random((trials, learners)) < 0.8, np.roll(outcome, 1, axis=0), ~outcome)
    choice = np.where(rng.random((trials, learners)) < 0.05, -1, choice)
    theta = np.array([-3.0, 0.0, -2.5, 0.5])[:, None] + 0.2 * rng.normal(size=(4, learners))
    return inputs(outcome.astype("int8"), choice.astype("int8"), theta)


def _volatile_beliefs(outcome: Any, choice: Any, theta: Any) -> list[Any]:
    def likelihood(theta: Any) -> Any:
        tonic, (coupling, pace, sharp) = theta[0], jnp.exp(theta[1:])

        def trial(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[tuple[Any, ...], Any]:
            belief, unsure, level, unsure_level = carry
            outcome_t, choice_t = now
            chance = sigmoid(belief)
            change = jnp.exp(coupling * level + tonic)
            expected, expected_level = 1 / (unsure + change), 1 / (unsure_level + pace)
            precision = expected + chance * (1 - chance)
            new = belief + (outcome_t - chance) / precision
            weight, relative = change * expected, (change - unsure) * expected
            surprise = (1 / precision + (new - belief) ** 2) * expected - 1
            of_level = expected_level + coupling**2 / 2 * weight * (weight + relative * surprise)
            new_level = level + coupling / 2 * weight * surprise / of_level
            score = jnp.where(choice_t >= 0, -softplus((1 - 2 * choice_t) * sharp * belief), 0)
            return (new, 1 / precision, new_level, 1 / of_level), score

        zeros = jnp.zeros_like(tonic)
        _, score = lax.scan(trial, (zeros, zeros + 0.1, zeros + 1, zeros + 1), (outcome, choice))
        return score.sum()

    return list(jax.value_and_grad(likelihood)(theta))


def _volatile_beliefs_tuned(outcome: Any, choice: Any, theta: Any) -> list[Any]:
    """Derivatives of beliefs in the three parameters of each learner go forth with them: nothing is kept but beliefs
    and these; scores after the loop."""
    sharp = jnp.exp(theta[3])

    def beliefs(parameters: Any) -> Any:
        tonic, (coupling, pace) = parameters[0], jnp.exp(parameters[1:])
        half = coupling * 0.5

        def trial(carry: tuple[Any, ...], outcome_t: Any) -> tuple[tuple[Any, ...], Any]:
            belief, unsure, level, unsure_level = carry
            chance = sigmoid(belief)
            change = jnp.exp(coupling * level + tonic)
            expected = 1 / (unsure + change)
            new_unsure = 1 / (expected + chance * (1 - chance))
            moved = (outcome_t - chance) * new_unsure
            weight = change * expected
            surprise = (new_unsure + moved * moved) * expected - 1
            pull = half * weight
            unsure_level = 1 / (1 / (unsure_level + pace) + pull * coupling * (weight + (2 * weight - 1) * surprise))
            return (belief + moved, new_unsure, level + pull * surprise * unsure_level, unsure_level), belief

        zeros = jnp.zeros_like(tonic)
        return lax.scan(trial, (zeros, zeros + 0.1, zeros + 1, zeros + 1), outcome.astype("float64"))[1]

    parameters = theta[:3]
    ways = jnp.broadcast_to(jnp.eye(3)[:, :, None], (3, *parameters.shape))
    belief, slopes = jax.vmap(lambda way: jax.jvp(beliefs, (parameters,), (way,)), out_axes=(None, 0))(ways)
    side = (1 - 2 * choice).astype("float64")
    inner = side * sharp * belief
    made = choice >= 0
    of_inner = jnp.where(made, -sigmoid(inner) * side * sharp, 0)
    of_theta = jnp.concatenate([(of_inner * slopes).sum(axis=1), (of_inner * belief).sum(axis=0)[None]])
    return [jnp.where(made, -softplus(inner), 0).sum(), of_theta]


def _shaken(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, storeys = scale.steps(2_000, quick=40), scale.pick(8, quick=3)
    time = TIME * np.arange(steps)
    noise = rng.normal(size=steps)
    ground = 4 * np.convolve(noise, np.sin(np.arange(25) / 4), "same")[:steps] * np.exp(-(((time - 8) / 6) ** 2)) / 3
    seen = 0.02 * rng.normal(size=(steps, storeys)).cumsum(axis=0) / np.sqrt(steps)
    stiffness = np.log(400 * (1 - 0.4 * np.arange(storeys) / storeys)) + 0.05 * rng.normal(size=storeys)
    return inputs(ground, seen, 1 + 0.1 * rng.random(storeys), stiffness, np.array([0.5, 0.4, np.log(0.02)]))


def _earthquake(ground: Any, seen: Any, mass: Any, stiffness: Any, shape: Any) -> list[Any]:
    def cost(stiffness: Any, shape: Any) -> Any:
        k, (beta, gamma), yields = jnp.exp(stiffness), shape[:2], jnp.exp(shape[2])

        def step(carry: tuple[Any, ...], ground_t: Any) -> tuple[tuple[Any, ...], Any]:
            u, v, z = carry
            drift, rate = jnp.diff(u, prepend=0), jnp.diff(v, prepend=0)
            force = k * (SHARED * drift + (1 - SHARED) * z + DAMPED * rate)
            change = rate - (beta * jnp.abs(rate) * jnp.abs(z) * z + gamma * rate * z**2) / yields**2
            v = v + TIME * (jnp.diff(force, append=0) / mass - ground_t)
            u = u + TIME * v
            return (u, v, z + TIME * change), u

        zeros = jnp.zeros_like(mass)
        _, u = lax.scan(step, (zeros, zeros, zeros), ground)
        return ((u - seen) ** 2).mean()

    value, slopes = jax.value_and_grad(cost, (0, 1))(stiffness, shape)
    return [value, *slopes]


def _earthquake_tuned(ground: Any, seen: Any, mass: Any, stiffness: Any, shape: Any) -> list[Any]:
    """The loop back written out, in drifts of storeys and their rates; what gradients of parameters are sums of comes
    after both loops."""
    k, (beta, gamma), narrow = jnp.exp(stiffness), shape[:2], jnp.exp(-2 * shape[2])
    a, b = TIME * narrow * beta, TIME * narrow * gamma
    by_mass = TIME / mass

    def step(carry: tuple[Any, ...], ground_t: Any) -> tuple[tuple[Any, ...], Any]:
        u, v, z = carry
        drift, rate = u - jnp.pad(u[:-1], (1, 0)), v - jnp.pad(v[:-1], (1, 0))
        force = k * (SHARED * drift + (1 - SHARED) * z + DAMPED * rate)
        v = v + by_mass * (jnp.pad(force[1:], (0, 1)) - force) - TIME * ground_t
        change = TIME * rate - z * (a * jnp.abs(rate * z) + b * (rate * z))
        return (u + TIME * v, v, z + change), carry

    zeros = jnp.zeros_like(mass)
    (last, _, _), (u, v, z) = lax.scan(step, (zeros, zeros, zeros), ground)
    error = jnp.concatenate([u[1:], last[None]]) - seen
    drift, rate = (jnp.diff(one, axis=1, prepend=0) for one in (u, v))

    def back(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
        of_u, of_v, of_z = carry
        error_t, rate_t, z_t = now
        of_u = of_u + error_t
        of_v = of_v + TIME * of_u
        moved = by_mass * of_v
        of_force = jnp.pad(moved[:-1], (1, 0)) - moved
        of_spring = k * of_force
        size = jnp.abs(z_t)
        lost = a * jnp.sign(rate_t) * size * z_t + b * z_t * z_t
        of_rate = DAMPED * of_spring + of_z * (TIME - lost)
        before = of_z * (1 - 2 * (a * jnp.abs(rate_t) * size + b * rate_t * z_t)) + (1 - SHARED) * of_spring
        of_drift = SHARED * of_spring
        of_u = of_u + (of_drift - jnp.pad(of_drift[1:], (0, 1)))
        of_v = of_v + (of_rate - jnp.pad(of_rate[1:], (0, 1)))
        return (of_u, of_v, before), (of_spring, of_z)

    scaled = error * (2 / error.size)
    _, (of_spring, of_z) = lax.scan(back, (zeros, zeros, zeros), (scaled, rate, z), reverse=True)
    spring = SHARED * drift + (1 - SHARED) * z + DAMPED * rate
    of_beta = -(TIME * narrow) * (of_z * jnp.abs(rate) * jnp.abs(z) * z).sum()
    of_gamma = -(TIME * narrow) * (of_z * rate * z * z).sum()
    of_shape = jnp.stack([of_beta, of_gamma, -2 * (beta * of_beta + gamma * of_gamma)])
    return [(error**2).mean(), (of_spring * spring).sum(axis=0), of_shape]


def _country(_: np.random.Generator, scale: Scale) -> Inputs:
    debts, incomes = scale.pick((61, 15), quick=(9, 4))
    most = 3 * 0.025 / np.sqrt(1 - 0.945**2)
    log_income = np.linspace(-most, most, incomes)
    apart = (log_income - 0.945 * log_income[:, None]) / max(0.025, log_income[1] - log_income[0])
    P = np.exp(-0.5 * apart**2)
    P /= P.sum(axis=1, keepdims=True)
    income = np.exp(log_income)
    bonds = np.linspace(-0.45, 0.45, debts)
    bonds[debts // 2] = 0
    poor = np.minimum(income, 0.969 * income.mean())
    return inputs(P, income, poor, bonds, np.array(1e-8), zero=debts // 2, most=scale.steps(1_000))


def _sovereign_default(P: Any, income: Any, poor: Any, bonds: Any, tolerance: Any, zero: int, most: int) -> list[Any]:
    def utility(c: Any) -> Any:
        return jnp.where(c > 0, -1 / jnp.where(c > 0, c, 1), NOTHING)

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, value, alone, price, _, _ = carry
        ahead, ahead_alone = value @ P.T, alone @ P.T
        new_alone = utility(poor) + PATIENCE * (RETURNS * ahead[zero] + (1 - RETURNS) * ahead_alone)
        c = bonds[:, None, None] + income - price * bonds[:, None]
        stays = (utility(c) + PATIENCE * ahead).max(axis=1)
        stops = new_alone > stays
        new_price = (~stops).astype("float64") @ P.T / (1 + INTEREST)
        new = jnp.maximum(stays, new_alone)
        change = jnp.maximum(jnp.abs(new - value).max(), jnp.abs(new_price - price).max())
        return i + 1, new, new_alone, new_price, stops, change

    zeros = jnp.zeros((len(bonds), len(income)))
    start = (0, zeros, zeros[0], zeros + 1 / (1 + INTEREST), zeros > 0, jnp.inf)
    found = lax.while_loop(lambda carry: (carry[0] < most) & (carry[5] >= tolerance), step, start)
    return [found[1], found[3], found[4]]


def _sovereign_default_tuned(
    P: Any, income: Any, poor: Any, bonds: Any, tolerance: Any, zero: int, most: int
) -> list[Any]:
    """Least consumption instead of choices, and greatest values by comparisons that no missing number disturbs; debts
    in the last axis of what is carried."""
    P_T = P.T
    of_poor = -1 / poor

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, value, alone, price, _, _ = carry
        ahead = PATIENCE * (P @ value)
        new_alone = of_poor + RETURNS * ahead[:, zero] + (PATIENCE * (1 - RETURNS)) * (alone @ P_T)
        left = (income[:, None] - price * bonds).T
        enjoyed = ahead.T - 1 / jnp.maximum(left + bonds[:, None, None], -1 / NOTHING)
        stays = lax.reduce(enjoyed, -jnp.inf, lambda one, other: jnp.where(one > other, one, other), (1,)).T
        stops = new_alone[:, None] > stays
        new_price = P @ jnp.where(stops, 0, 1 / (1 + INTEREST))
        new = jnp.maximum(stays, new_alone[:, None])
        change = jnp.maximum(jnp.abs(new - value).max(), jnp.abs(new_price - price).max())
        return i + 1, new, new_alone, new_price, stops, change

    zeros = jnp.zeros((len(income), len(bonds)))
    start = (0, zeros, zeros[:, 0], zeros + 1 / (1 + INTEREST), zeros > 0, jnp.inf)
    found = lax.while_loop(lambda carry: (carry[0] < most) & (carry[5] >= tolerance), step, start)
    return [found[1].T, found[3].T, found[4].T]


def _heart(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Beats of changing height and pace, some of them faint, with waves after them, noise and a baseline that sways."""
    size = scale.steps(360_000, quick=1_600)
    time = np.arange(size)
    record = 30 * np.sin(2 * np.pi * time / 700) + 4 * rng.normal(size=size)
    at = 60.0
    while at < size:
        height = 200 * (0.35 if rng.random() < 0.08 else 1 + 0.2 * rng.normal())
        record += height * np.exp(-0.5 * ((time - at) / 2.5) ** 2) - 0.2 * height * np.exp(
            -0.5 * ((time - at - 6) / 3) ** 2
        )
        record += 0.2 * height * np.exp(-0.5 * ((time - at - 50) / 10) ** 2)
        at += 160 + 12 * rng.normal()
    return inputs(np.round(record))


def _power(band: Any) -> Any:
    """Means of squares of slopes over windows."""
    x = jnp.pad(band, (4, 0))
    square = ((2 * x[4:] + x[3:-1] - x[1:-3] - 2 * x[:-4]) / 8) ** 2
    total = jnp.pad(jnp.cumsum(jnp.pad(square, (29, 0))), (1, 0))
    return (total[30:] - total[:-30]) / 30


def _heart_beats(record: Any) -> list[Any]:
    def low(carry: tuple[Any, Any], now: tuple[Any, ...]) -> tuple[tuple[Any, Any], Any]:
        y_1, y_2 = carry
        x, x_6, x_12 = now
        y = 2 * y_1 - y_2 + x - 2 * x_6 + x_12
        return (y, y_1), y

    def high(y_1: Any, now: tuple[Any, ...]) -> tuple[Any, Any]:
        x, x_16, x_17, x_32 = now
        y = y_1 - x / 32 + x_16 - x_17 + x_32 / 32
        return y, y

    size = len(record)
    x = jnp.pad(record, (12, 0))
    _, smooth = lax.scan(low, (0.0, 0.0), (x[12:], x[6:-6], x[:-12]))
    x = jnp.pad(smooth, (32, 0))
    _, band = lax.scan(high, 0.0, tuple(x[32 - k :][:size] for k in (0, 16, 17, 32)))
    power = _power(band)

    def look(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
        signal, noise, mean, since, best, ago = carry
        before, m, after = now
        since, ago = since + 1, ago + 1
        threshold = noise + 0.25 * (signal - noise)
        peak = (m > before) & (m >= after) & (since > RESTS)
        beat = peak & (m > threshold)
        small = peak & ~beat
        better = small & (m > best)
        best, ago = jnp.where(better, m, best), jnp.where(better, 0, ago)
        late = ~beat & (since > LATE * mean) & (best > threshold / 2)
        found = beat | late
        height, part = jnp.where(beat, m, best), jnp.where(beat, 0.125, 0.25)
        wait = jnp.where(beat, since, since - ago)
        signal = jnp.where(found, signal + part * (height - signal), signal)
        noise = jnp.where(small, noise + 0.125 * (m - noise), noise)
        mean = jnp.where(found, mean + 0.125 * (wait - mean), mean)
        since = jnp.where(beat, 0, jnp.where(late, ago, since))
        best, ago = jnp.where(found, 0, best), jnp.where(found, 0, ago)
        return (signal, noise, mean, since, best, ago), found

    first = power[: 200 * SECONDS]
    start = (first.max() / 4, first.mean() / 2, 160.0, jnp.int32(0), 0.0, jnp.int32(0))
    (_, _, mean, *_), found = lax.scan(look, start, (power[:-2], power[1:-1], power[2:]))
    return [found, mean]


def _heart_beats_tuned(record: Any) -> list[Any]:
    """Three loops for everything, as sums over arrays take longer: the second finds squares of slopes, too, and the
    third the sums over windows; times of beats for counts since them."""
    size = len(record)

    def low(carry: tuple[Any, Any], now: tuple[Any, ...]) -> tuple[tuple[Any, Any], Any]:
        y_1, y_2 = carry
        x, x_6, x_12 = now
        y = 2 * y_1 - y_2 + (x - 2 * x_6 + x_12)
        return (y, y_1), y

    def high(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
        y_1, y_2, y_3, y_4 = carry
        x, x_16, x_17, x_32 = now
        y = y_1 + ((x_32 - x) * (1 / 32) + (x_16 - x_17))
        slope = (2 * (y - y_4) + (y_1 - y_3)) * (1 / 8)
        return (y, y_1, y_2, y_3), slope * slope

    def delayed(x: Any, *by: int) -> tuple[Any, ...]:
        x = jnp.pad(x, (max(by), 0))
        return tuple(x[max(by) - k :][:size] for k in by)

    _, smooth = lax.scan(low, (0.0, 0.0), delayed(record, 0, 6, 12))
    _, square = lax.scan(high, (0.0,) * 4, delayed(smooth, 0, 16, 17, 32))

    def look(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
        total, before, m, signal, noise, mean, beat_at, best, best_at = carry
        i, new, old = now
        total = total + (new - old)
        after = total * (1 / 30)
        threshold = noise + 0.25 * (signal - noise)
        peak = (m > before) & (m >= after) & (i - beat_at > RESTS)
        beat = peak & (m > threshold)
        small = peak & ~beat
        better = small & (m > best)
        best, best_at = jnp.where(better, m, best), jnp.where(better, i, best_at)
        late = ~beat & (i - beat_at > LATE * mean) & (best > threshold * 0.5)
        found = beat | late
        signal = signal + jnp.where(beat, 0.125 * (m - signal), jnp.where(late, 0.25 * (best - signal), 0))
        noise = noise + jnp.where(small, 0.125 * (m - noise), 0)
        at = jnp.where(beat, i, best_at)
        mean = mean + jnp.where(found, 0.125 * (at - beat_at - mean), 0)
        beat_at, best = jnp.where(found, at, beat_at), jnp.where(found, 0, best)
        return (total, m, after, signal, noise, mean, beat_at, best, best_at), found

    early = jnp.cumsum(square[: 200 * SECONDS])
    first = (early - jnp.pad(early, (30, 0))[: len(early)]) / 30
    ago = jnp.int32(-1)
    start = (early[1], first[0], first[1], first.max() / 4, first.mean() / 2, 160.0, ago, 0.0, ago)
    sequences = (jnp.arange(size - 2, dtype="int32"), *(one[2:] for one in delayed(square, 0, 30)))
    found = lax.scan(look, start, sequences)
    return [found[1], found[0][5]]


WORKLOADS = (
    task(
        "volatile-beliefs-grad",
        "choices of 40 learners of chances and of how fast they change, 320 trials, with gradients",
        judgements.volatile_beliefs,
        _learners,
        _volatile_beliefs,
        _volatile_beliefs_tuned,
        close(1e-7),
    ),
    task(
        "earthquake-grad",
        "building of 8 storeys whose springs yield, 2,000 steps of an earthquake, with gradients",
        judgements.earthquake,
        _shaken,
        _earthquake,
        _earthquake_tuned,
        close(1e-6),
    ),
    task(
        "sovereign-default",
        "values and prices of 61 debts and 15 incomes of a country that may stop to pay, until they rest",
        judgements.sovereign_default,
        _country,
        _sovereign_default,
        _sovereign_default_tuned,
        close(1e-6),
    ),
    task(
        "heart-beats",
        "beats of a heart in 360,000 numbers, half an hour, by filters and thresholds that follow",
        judgements.heart_beats,
        _heart,
        _heart_beats,
        _heart_beats_tuned,
    ),
)
