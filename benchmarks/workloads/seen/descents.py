"""Electrons of an atom, a linear program, inputs within bounds and a path over a pass."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random
from jax.scipy.linalg import cho_factor, cho_solve

from benchmarks.compare import close, near
from benchmarks.programs.seen import descents
from benchmarks.programs.seen.descents import (
    ACROSS,
    ALONG,
    EARLY,
    HEIGHT,
    MIXED,
    MOVE,
    PACE,
    PLACE_X,
    PLACE_Y,
    SAFE,
    SPRING,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _electrons(rng: np.random.Generator, scale: Scale) -> Inputs:
    walkers = scale.pick(128, quick=100)
    start = 0.5 * rng.normal(size=(walkers, 2, 3))
    return inputs(start.astype("float32"), np.array(0.15, "float32"), steps=scale.steps(1_000, quick=600))


def _helium(key: Any, start: Any, bend: Any, steps: int) -> Any:
    def radii(x: Any) -> tuple[Any, Any, Any]:
        return jnp.linalg.norm(x[0]), jnp.linalg.norm(x[1]), jnp.linalg.norm(x[0] - x[1])

    def log_density(x: Any) -> Any:
        first, second, between = radii(x)
        return -4 * (first + second) + between / (1 + bend * between)

    def energy(x: Any) -> Any:
        first, second, between = radii(x)
        damped = 1 + bend * between
        turned = (x[0] / first - x[1] / second) @ (x[0] - x[1])
        pull = turned / (between * damped**2) - 1 / (between * damped**3)
        return -4 + pull - 1 / (4 * damped**4) + 1 / between

    def step(carry: tuple[Any, Any], key: Any) -> tuple[Any, Any]:
        x, density = carry
        moving, deciding = random.split(key)
        proposed = x + MOVE * (random.uniform(moving, x.shape) - 0.5)
        new = jax.vmap(log_density)(proposed)
        accepted = jnp.log(random.uniform(deciding, density.shape)) < new - density
        x = jnp.where(accepted[:, None, None], proposed, x)
        return (x, jnp.where(accepted, new, density)), jax.vmap(energy)(x).mean()

    begin = (start, jax.vmap(log_density)(start))
    return lax.scan(step, begin, random.split(key, steps))[1][EARLY:].mean()


def _helium_tuned(key: Any, start: Any, bend: Any, steps: int) -> Any:
    """Random numbers of a hundred steps at once; axes in rows; distances of walkers are carried, and energies are found
    from them without the places, for the angle between electrons follows from the three sides; no logarithms."""
    count = len(start)
    block = 100 if steps % 100 == 0 else 1

    def radii(x: Any) -> tuple[Any, Any, Any]:
        def length(v: Any) -> Any:
            return jnp.sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2])

        return length(x[:3]), length(x[3:]), length(x[:3] - x[3:])

    def energy(first: Any, second: Any, between: Any) -> Any:
        inverse = 1 / (1 + bend * between)
        square = inverse * inverse
        product = 0.5 * (first * first + second * second - between * between)
        turned = (first + second) * (1 - product / (first * second))
        return -4 + (turned * square - square * inverse + 1) / between - 0.25 * (square * square)

    def step(carry: tuple[Any, ...], now: Any) -> tuple[Any, None]:
        x, sides, total = carry
        proposed = x + now[:6]
        new = radii(proposed)
        change = new[2] / (1 + bend * new[2]) - sides[2] / (1 + bend * sides[2])
        accepted = now[6] < jnp.exp(4 * (sides[0] + sides[1] - new[0] - new[1]) + change)
        sides = tuple(jnp.where(accepted, one, other) for one, other in zip(new, sides, strict=True))
        return (jnp.where(accepted, proposed, x), sides, total + energy(*sides)), None

    scaled = jnp.full((7, 1), MOVE, "float32").at[6].set(1.0)
    middle = jnp.full((7, 1), 0.5, "float32").at[6].set(0.0)

    def some(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[Any, Any]:
        x, sides = carry
        moves = (random.uniform(now[0], (block, 7, count)) - middle) * scaled
        (x, sides, total), _ = lax.scan(step, (x, sides, jnp.zeros(count, "float32")), moves)
        return (x, sides), total.mean()

    x = start.reshape(count, 6).T
    keys = random.split(key, steps // block)
    totals = lax.scan(some, (x, radii(x)), (keys, keys))[1]
    return totals[EARLY // block :].sum() / (steps - EARLY)


def _program(rng: np.random.Generator, scale: Scale) -> Inputs:
    rows, columns = scale.pick((40, 100), quick=(4, 9))
    A, x = rng.normal(size=(rows, columns)), rng.random(columns) + 0.1
    c = A.T @ rng.normal(size=rows) + rng.random(columns) + 0.1
    return inputs(A, A @ x, c, np.array(1e-8), most=scale.steps(50))


def _longest(value: Any, change: Any) -> Any:
    return jnp.minimum(1.0, jnp.where(change < 0, -value / jnp.where(change < 0, change, -1.0), 1e9).min())


def _interior_point(A: Any, b: Any, c: Any, tolerance: Any, most: int) -> list[Any]:
    size = len(c)

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, x, price, slack = carry
        missing, dual = b - A @ x, c - A.T @ price - slack
        weight = x / slack
        matrix = (A * weight) @ A.T

        def direction(target: Any) -> tuple[Any, Any, Any]:
            moved = jnp.linalg.solve(matrix, missing + A @ (weight * dual - target / slack))
            of_slack = dual - A.T @ moved
            return (target - x * of_slack) / slack, moved, of_slack

        gap = x @ slack / size
        x_1, _, slack_1 = direction(-x * slack)
        better = (x + _longest(x, x_1) * x_1) @ (slack + _longest(slack, slack_1) * slack_1) / size
        x_2, price_2, slack_2 = direction((better / gap) ** 3 * gap - x * slack - x_1 * slack_1)
        part = SAFE * _longest(slack, slack_2)
        return i + 1, x + SAFE * _longest(x, x_2) * x_2, price + part * price_2, slack + part * slack_2

    def goes_on(carry: tuple[Any, ...]) -> Any:
        i, x, _, slack = carry
        return (i < most) & (x @ slack >= tolerance)

    start = (0, jnp.full(size, 10.0), jnp.zeros_like(b), jnp.full(size, 10.0))
    _, x, _, _ = lax.while_loop(goes_on, step, start)
    return [c @ x, x]


def _interior_point_tuned(A: Any, b: Any, c: Any, tolerance: Any, most: int) -> list[Any]:
    """Cholesky's factor, once for both directions."""
    size = len(c)

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, x, price, slack = carry
        missing, dual = b - A @ x, c - price @ A - slack
        inverse = 1 / slack
        weight = x * inverse
        factor = cho_factor((A * weight) @ A.T, lower=True)

        def direction(target: Any) -> tuple[Any, Any, Any]:
            moved = cho_solve(factor, missing + A @ (weight * dual - target * inverse))
            of_slack = dual - moved @ A
            return (target - x * of_slack) * inverse, moved, of_slack

        both = x * slack
        gap = both.sum() / size
        x_1, _, slack_1 = direction(-both)
        better = (x + _longest(x, x_1) * x_1) @ (slack + _longest(slack, slack_1) * slack_1) / size
        x_2, price_2, slack_2 = direction((better / gap) ** 3 * gap - both - x_1 * slack_1)
        part = SAFE * _longest(slack, slack_2)
        return i + 1, x + SAFE * _longest(x, x_2) * x_2, price + part * price_2, slack + part * slack_2

    start = (0, jnp.full(size, 10.0), jnp.zeros_like(b), jnp.full(size, 10.0))
    _, x, _, _ = lax.while_loop(lambda carry: (carry[0] < most) & (carry[1] @ carry[3] >= tolerance), step, start)
    return [c @ x, x]


def _chain(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Masses with springs in a row, pushed at both ends, and a plan's cost by its inputs."""
    masses, horizon, periods = *scale.pick((3, 15), quick=(2, 3)), scale.steps(200, quick=8)
    n, dt = 2 * masses, 0.2
    stiff = 2 * np.eye(masses) - np.eye(masses, k=1) - np.eye(masses, k=-1)
    push = np.eye(masses)[:, [0, -1]]
    M = np.block([[np.eye(masses) - dt**2 * stiff, dt * np.eye(masses)], [-dt * stiff, np.eye(masses)]])
    B = np.concatenate([dt**2 * push, dt * push])
    powers = [np.eye(n)]
    for _ in range(horizon):
        powers.append(M @ powers[-1])
    G = np.zeros((horizon * n, horizon * 2))
    for to in range(horizon):
        for by in range(to + 1):
            G[to * n : to * n + n, by * 2 : by * 2 + 2] = powers[to - by] @ B
    H, F = G.T @ G, G.T @ np.concatenate(powers[1:])
    price, values = np.log(0.3), np.linalg.eigvalsh(H)
    steep, least = values[-1] + 0.5, max(values[0], 0) + 0.3
    keep = (np.sqrt(steep) - np.sqrt(least)) / (np.sqrt(steep) + np.sqrt(least))
    arrays = (M, B, H, F, 0.4 * rng.normal(size=(periods, n)), np.array(price), np.array(steep), np.array(keep))
    return inputs(*arrays, rounds=scale.pick(20, quick=4))


def _predictive_control(
    M: Any, B: Any, H: Any, F: Any, noise: Any, price: Any, steep: Any, keep: Any, rounds: int
) -> list[Any]:
    inputs = B.shape[1]

    def total(price: Any) -> Any:
        matrix = H + jnp.exp(price) * jnp.eye(len(H))

        def period(carry: tuple[Any, Any], noise_t: Any) -> tuple[Any, Any]:
            x, plan = carry
            linear = F @ x

            def improve(carry: tuple[Any, Any], _: None) -> tuple[Any, None]:
                plan, ahead = carry
                new = jnp.clip(ahead - (matrix @ ahead + linear) / steep, -1, 1)
                return (new, new + keep * (new - plan)), None

            (plan, _), _ = lax.scan(improve, (plan, plan), None, rounds)
            u = plan[:inputs]
            x = M @ x + B @ u + noise_t
            return (x, jnp.concatenate([plan[inputs:], jnp.zeros(inputs)])), (x**2).sum() + 0.1 * (u**2).sum()

        return lax.scan(period, (jnp.zeros(len(M)), jnp.zeros(len(H))), noise)[1].mean()

    return list(jax.value_and_grad(total)(price))


def _predictive_control_tuned(
    M: Any, B: Any, H: Any, F: Any, noise: Any, price: Any, steep: Any, keep: Any, rounds: int
) -> list[Any]:
    """Derivatives go forth with the values, in a second column of each product, as there is one parameter: nothing is
    kept. A step's matrix takes in the division; rounds are written one after the other."""
    inputs, size = B.shape[1], len(H)
    cost = jnp.exp(price)
    matrix = jnp.eye(size) * (1 - cost / steep) - H / steep
    linear_of = -F / steep
    of_matrix = -cost / steep

    def period(carry: tuple[Any, Any], noise_t: Any) -> tuple[Any, Any]:
        x, plan = carry
        linear = linear_of @ x
        ahead = plan
        for _ in range(rounds):
            inner = matrix @ ahead + linear
            value = inner[:, 0]
            slope = jnp.where(jnp.abs(value) < 1, inner[:, 1] + of_matrix * ahead[:, 0], 0)
            new = jnp.stack([jnp.clip(value, -1, 1), slope], axis=1)
            plan, ahead = new, new + keep * (new - plan)
        u = plan[:inputs]
        x = (M @ x + B @ u).at[:, 0].add(noise_t)
        squares = (x * x[:, :1]).sum(axis=0) + 0.1 * (u * u[:, :1]).sum(axis=0)
        return (x, jnp.concatenate([plan[inputs:], jnp.zeros((inputs, 2))])), squares

    found = lax.scan(period, (jnp.zeros((len(M), 2)), jnp.zeros((size, 2))), noise)[1].mean(axis=0)
    return [found[0], 2 * found[1]]


def _band(rng: np.random.Generator, scale: Scale) -> Inputs:
    pictures = scale.pick(32, quick=6)
    part = np.linspace(0, 1, pictures)[:, None]
    start = (1 - part) * np.array([-0.558, 1.442]) + part * np.array([0.623, 0.028])
    start[1:-1] += 0.02 * rng.normal(size=(pictures - 2, 2))
    return inputs(start, steps=scale.steps(2_000, quick=20))


def _energy(x: Any, y: Any) -> Any:
    total = 0.0
    for height, a, b, c, x_0, y_0 in zip(HEIGHT, ACROSS, MIXED, ALONG, PLACE_X, PLACE_Y, strict=True):
        total = total + height * jnp.exp(a * (x - x_0) ** 2 + b * (x - x_0) * (y - y_0) + c * (y - y_0) ** 2)
    return total


def _reaction_path(start: Any, steps: int) -> list[Any]:
    slopes = jax.vmap(jax.grad(lambda point: _energy(point[0], point[1])))

    def step(path: Any, _: None) -> tuple[Any, None]:
        inner = path[1:-1]
        slope = slopes(inner)
        tangent = path[2:] - path[:-2]
        tangent = tangent / jnp.linalg.norm(tangent, axis=1, keepdims=True)
        lengths = jnp.linalg.norm(jnp.diff(path, axis=0), axis=1)
        spring = SPRING * jnp.diff(lengths)
        down = slope - (slope * tangent).sum(axis=1, keepdims=True) * tangent
        return path.at[1:-1].add(PACE * (spring[:, None] * tangent - down)), None

    path, _ = lax.scan(step, start, None, steps)
    return [path, _energy(path[:, 0], path[:, 1])]


def _reaction_path_tuned(start: Any, steps: int) -> list[Any]:
    """One sum along the tangent for springs and slope; two steps an iteration."""
    slopes = jax.vmap(jax.grad(lambda point: _energy(point[0], point[1])))

    def step(path: Any, _: None) -> tuple[Any, None]:
        slope = slopes(path[1:-1])
        tangent = path[2:] - path[:-2]
        tangent = tangent / jnp.linalg.norm(tangent, axis=1, keepdims=True)
        lengths = jnp.linalg.norm(jnp.diff(path, axis=0), axis=1)
        along = SPRING * jnp.diff(lengths) + (slope * tangent).sum(axis=1)
        return path.at[1:-1].add(PACE * (along[:, None] * tangent - slope)), None

    path, _ = lax.scan(step, start, None, steps, unroll=2)
    return [path, _energy(path[:, 0], path[:, 1])]


WORKLOADS = (
    task(
        "helium",
        "energy of the electrons of helium by 1,000 random moves of 128 walkers",
        descents.helium,
        _electrons,
        _helium,
        _helium_tuned,
        near(0.02),
        draws=True,
    ),
    task(
        "interior-point",
        "linear program with 100 unknowns and 40 rows, until the gap is small",
        descents.interior_point,
        _program,
        _interior_point,
        _interior_point_tuned,
        close(1e-6),
    ),
    task(
        "predictive-control-grad",
        "three masses steered by plans of 15 steps, 200 times 20 rounds, nested loops, with gradient in a price",
        descents.predictive_control,
        _chain,
        _predictive_control,
        _predictive_control_tuned,
        close(1e-7),
    ),
    task(
        "reaction-path",
        "path over a pass as a band of 32 pictures, 2,000 steps down the gradient",
        descents.reaction_path,
        _band,
        _reaction_path,
        _reaction_path_tuned,
        close(1e-7),
    ),
)
