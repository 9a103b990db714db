"""Sums of claims, insurance of incomes, quantiles of returns and earthquakes that follow others."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import risks
from benchmarks.programs.seen.risks import LEVEL, YEARS
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _claims(_: np.random.Generator, scale: Scale) -> Inputs:
    largest, mean = scale.pick((300, 60.0), quick=(12, 4.0))
    size = np.arange(1, largest + 1)
    severity = np.exp(-size / mean) * size**0.3
    rate = scale.pick(50.0, quick=5.0)
    return inputs(severity / severity.sum(), np.array(rate), most=scale.steps(6_000, quick=100))


def _aggregate_claims(severity: Any, rate: Any, most: int) -> list[Any]:
    largest = len(severity)
    weight = (severity * jnp.arange(1, largest + 1))[::-1]

    def step(chance: Any, s: Any) -> tuple[Any, None]:
        before = lax.dynamic_slice(chance, (s,), (largest,))
        return chance.at[s + largest].set(rate / s * (weight @ before)), None

    start = jnp.zeros(largest + most + 1).at[largest].set(jnp.exp(-rate))
    chance = lax.scan(step, start, jnp.arange(1, most + 1))[0][largest:]
    return [chance, (jnp.cumsum(chance) < LEVEL).sum().astype("int32")]


def _aggregate_claims_tuned(severity: Any, rate: Any, most: int) -> list[Any]:
    """Exponential of a transform, of a length that is a product of small numbers and ends where sums have no mass."""
    length = 2 ** (2 * most).bit_length()
    transform = jnp.fft.rfft(jnp.pad(severity, (1, length - 1 - len(severity))))
    chance = jnp.fft.irfft(jnp.exp(rate * (transform - 1)), length)[: most + 1]
    return [chance, (jnp.cumsum(chance) < LEVEL).sum(dtype="int32")]


def _contracts(rng: np.random.Generator, scale: Scale) -> Inputs:
    count, steps = scale.pick(200, quick=5), scale.steps(420, quick=24)
    age = 65 - YEARS * np.arange(steps)
    contract = np.stack([0.02 + 0.02 * rng.random(count), 0.5 + rng.random(count), 3 * rng.random(count)])
    quoted = np.stack([0.3 * contract[1], 5 * contract[1]]) * (1 + 0.05 * rng.normal(size=(2, count)))
    base, slope = np.array([-8.0, 0.5, -10.0, -7.0]), np.array([0.08, -0.04, 0.09, 0.06])
    return inputs(age, contract, quoted, np.array(0.02), base, slope)


def _disability(age: Any, contract: Any, quoted: Any, interest: Any, base: Any, slope: Any) -> list[Any]:
    premium, pension, death = contract

    def cost(base: Any, slope: Any) -> Any:
        def change(age: Any, value: tuple[Any, Any]) -> tuple[Any, Any]:
            able, ill = value
            rate = jnp.exp(base + slope * age)
            of_able = interest * able + premium - rate[0] * (ill - able) - rate[2] * (death - able)
            return of_able, interest * ill - pension - rate[1] * (able - ill) - rate[3] * (death - ill)

        def moved(value: Any, by: float, change: Any) -> Any:
            return jax.tree.map(lambda one, other: one - by * other, value, change)

        def step(value: tuple[Any, Any], age: Any) -> tuple[tuple[Any, Any], None]:
            k_1 = change(age, value)
            k_2 = change(age - YEARS / 2, moved(value, YEARS / 2, k_1))
            k_3 = change(age - YEARS / 2, moved(value, YEARS / 2, k_2))
            k_4 = change(age - YEARS, moved(value, YEARS, k_3))
            both = jax.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, k_1, k_2, k_3, k_4)
            return moved(value, YEARS, both), None

        zeros = jnp.zeros_like(premium)
        (able, ill), _ = lax.scan(step, (zeros, zeros), age)
        return ((able - quoted[0]) ** 2 + (ill - quoted[1]) ** 2).mean()

    value, slopes = jax.value_and_grad(cost, (0, 1))(base, slope)
    return [value, *slopes]


def _disability_tuned(age: Any, contract: Any, quoted: Any, interest: Any, base: Any, slope: Any) -> list[Any]:
    """Values are sums over what a contract pays: steps are matrices of five rows, all at once, whose product halves its
    number of factors until it is one."""

    def cost(base: Any, slope: Any) -> Any:
        def change(age: Any) -> Any:
            ill, well, dies, dies_ill = jnp.exp(base[:, None] + slope[:, None] * age)
            zero, unit = jnp.zeros_like(age), jnp.ones_like(age)
            able = jnp.stack([interest + ill + dies, -ill, unit, zero, -dies])
            other = jnp.stack([-well, interest + well + dies_ill, zero, -unit, -dies_ill])
            return jnp.stack([able, other])

        def times(G: Any, M: Any) -> Any:
            """Rows of ``G`` times a matrix whose last three rows are those of the identity."""
            rows = []
            for g in G:
                first = g[0] * M[0] + g[1] * M[1]
                rows.append(first.at[2:].add(g[2:]))
            return jnp.stack(rows)

        unit = jnp.zeros((2, 5, len(age))).at[jnp.arange(2), jnp.arange(2)].set(1)
        middle = change(age - YEARS / 2)
        k_1 = change(age)
        k_2 = times(middle, unit - YEARS / 2 * k_1)
        k_3 = times(middle, unit - YEARS / 2 * k_2)
        k_4 = times(change(age - YEARS), unit - YEARS * k_3)
        M = unit - YEARS / 6 * (k_1 + 2 * k_2 + 2 * k_3 + k_4)
        while M.shape[2] > 1:
            half = M.shape[2] // 2
            joined = times(M[:, :, 1 : 2 * half : 2], M[:, :, : 2 * half : 2])
            M = jnp.concatenate([joined, M[:, :, 2 * half :]], axis=2)
        return ((M[:, 2:, 0] @ contract - quoted) ** 2).sum() / contract.shape[1]

    value, slopes = jax.value_and_grad(cost, (0, 1))(base, slope)
    return [value, *slopes]


def _returns(rng: np.random.Generator, scale: Scale) -> Inputs:
    days, assets = scale.steps(5_000, quick=40), scale.pick(6, quick=2)
    spread = np.exp(np.cumsum(0.05 * rng.normal(size=(days, assets)), axis=0) * 0.3)
    y = 0.01 * spread * rng.standard_t(5, size=(days, assets))
    y = y / y.std(axis=0) * 0.01
    beta = np.stack([np.full(assets, -0.0005), np.full(assets, 0.9), np.full(assets, -0.05), np.full(assets, -0.25)])
    return inputs(y, np.full(assets, -0.017), np.array(0.05), beta * (1 + 0.02 * rng.normal(size=beta.shape)))


def _quantile_risk(y: Any, first: Any, level: Any, beta: Any) -> list[Any]:
    def cost(beta: Any) -> tuple[Any, Any]:
        def step(q: Any, y_t: Any) -> tuple[Any, Any]:
            loss = (level - (y_t < q)) * (y_t - q)
            up, down = jnp.maximum(y_t, 0), jnp.maximum(-y_t, 0)
            return beta[0] + beta[1] * q + beta[2] * up + beta[3] * down, (loss, y_t < q)

        _, (loss, below) = lax.scan(step, first, y)
        return loss.mean(), below.astype("float64").mean(axis=0)

    (value, below), slope = jax.value_and_grad(cost, has_aux=True)(beta)
    return [value, below, slope]


def _faded(x: Any, rate: Any, start: Any, block: int) -> Any:
    """Values ``s (time, asset)`` of ``s = rate * s + x`` after each time, by blocks of times: a product with powers of
    the rate, and a loop over blocks."""
    steps, assets = x.shape
    blocks = x.reshape(steps // block, block, assets)
    index = np.arange(block)
    lag = index[:, None] - index
    powers = jnp.where(lag[:, :, None] >= 0, rate ** np.maximum(lag, 0)[:, :, None], 0)
    inner = jnp.einsum("ija,kja->kia", powers, blocks)

    def join(end: Any, last: Any) -> tuple[Any, Any]:
        return last + rate**block * end, end

    _, ends = lax.scan(join, start, inner[:, -1])
    return (inner + rate ** (index[:, None] + 1) * ends[:, None]).reshape(steps, assets)


def _quantile_risk_tuned(y: Any, first: Any, level: Any, beta: Any) -> list[Any]:
    """Quantiles and what they do to the loss are sums that fade, found by blocks of 20 days."""
    assets = y.shape[1]
    up, down = jnp.maximum(y, 0), jnp.maximum(-y, 0)
    after = _faded(beta[0] + beta[2] * up + beta[3] * down, beta[1], first, 20)
    q = jnp.concatenate([first[None], after[:-1]])
    below = y < q
    share = (level - below) / y.size
    loss = (share * (y - q)).sum()
    of_q = _faded(-share[::-1], beta[1], jnp.zeros(assets), 20)[::-1][1:]
    slopes = [(of_q * one).sum(axis=0) for one in (1, q[:-1], up[:-1], down[:-1])]
    return [loss, below.mean(axis=0, dtype="float64"), jnp.stack(slopes)]


def _earthquakes(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Some of the earthquakes come soon after others."""
    count = scale.pick(1_000, quick=20)
    parents = rng.uniform(0, 900, count // 4)
    children = rng.choice(parents, count - len(parents)) + rng.pareto(0.3, count - len(parents)).clip(0, 90) * 0.02
    time = np.sort(np.concatenate([parents, children]))
    theta = np.log([0.3, 0.02, 1.4, 0.02, 0.15])
    return inputs(time, rng.exponential(size=count) / 2.3, np.array(time[-1] + 1), theta)


def _aftershocks(time: Any, size: Any, end: Any, theta: Any) -> list[Any]:
    def likelihood(theta: Any) -> Any:
        base, number, growth, delay = jnp.exp(theta[:4])
        power = 1 + jnp.exp(theta[4])
        index = jnp.arange(len(time))

        def rate(i: Any) -> Any:
            before = index < i
            wait = jnp.where(before, time[i] - time, 1)
            made = number * jnp.exp(growth * size) * (wait + delay) ** -power
            return base + jnp.where(before, made, 0).sum()

        fade = (delay ** (1 - power) - (end - time + delay) ** (1 - power)) / (power - 1)
        expected = base * end + (number * jnp.exp(growth * size) * fade).sum()
        return jnp.log(jax.vmap(rate)(index)).sum() - expected

    return list(jax.value_and_grad(likelihood)(theta))


def _aftershocks_tuned(time: Any, size: Any, end: Any, theta: Any) -> list[Any]:
    """Only pairs in their order: a row of the triangle with one from its other end. Logarithms of delays are found once
    for values and gradients, which are written out."""
    base, number, growth, delay = jnp.exp(theta[:4])
    more = jnp.exp(theta[4])
    count = len(time)
    half = count // 2
    row, column = np.arange(half)[:, None], np.arange(count - 1)
    early = column < row
    made = number * jnp.exp(growth * size)
    turned, made_turned, size_turned = time[::-1][1:], made[::-1][1:], size[::-1][1:]
    late = time[::-1][:half, None] - turned
    waits = jnp.where(early, time[:half, None] - time[:-1], late) + delay
    log_wait = jnp.log(waits)
    rate = jnp.where(early, made[:-1], made_turned) * jnp.exp(-(1 + more) * log_wait)
    first, second = base + jnp.where(early, rate, 0).sum(axis=1), base + jnp.where(early, 0, rate).sum(axis=1)
    shares = jnp.where(early, 1 / first[:, None], 1 / second[:, None]) * rate
    of_growth = (shares * jnp.where(early, size[:-1], size_turned)).sum()
    of_delay = -(1 + more) * (shares / waits).sum()
    of_power = -(shares * log_wait).sum()

    def expected(theta: Any) -> Any:
        base, number, growth, delay, more = jnp.exp(theta)
        fade = (delay**-more - (end - time + delay) ** -more) / more
        return base * end + (number * jnp.exp(growth * size) * fade).sum()

    value, slope = jax.value_and_grad(expected)(theta)
    of_base = base * ((1 / first).sum() + (1 / second).sum())
    seen = jnp.stack([of_base, shares.sum(), growth * of_growth, delay * of_delay, more * of_power])
    return [jnp.log(first).sum() + jnp.log(second).sum() - value, seen - slope]


WORKLOADS = (
    task(
        "aggregate-claims",
        "chances of sums of claims up to 6,000, each from 300 before it",
        risks.aggregate_claims,
        _claims,
        _aggregate_claims,
        _aggregate_claims_tuned,
        close(1e-8),
    ),
    task(
        "disability-grad",
        "values of 200 contracts over 420 months of Runge-Kutta steps, with gradients in eight parameters",
        risks.disability,
        _contracts,
        _disability,
        _disability_tuned,
        close(1e-7),
    ),
    task(
        "quantile-risk-grad",
        "quantiles of the returns of 6 assets over 5,000 days, with gradients in four parameters of each",
        risks.quantile_risk,
        _returns,
        _quantile_risk,
        _quantile_risk_tuned,
        close(1e-7),
    ),
    task(
        "aftershocks-grad",
        "likelihood of 1,000 earthquakes that make others likelier, with gradient in five parameters",
        risks.aftershocks,
        _earthquakes,
        _aftershocks,
        _aftershocks_tuned,
        close(1e-7),
    ),
)
