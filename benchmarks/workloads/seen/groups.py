"""Groups of rows, maps of points, rules that vote and beliefs about a place."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import logsumexp

from benchmarks.compare import close
from benchmarks.programs.seen import groups
from benchmarks.programs.seen.groups import (
    DOUBT,
    EARLY,
    EXAGGERATION,
    FAST,
    MOVE,
    RIDGE,
    SLIP,
    SLOW,
    STAY,
    WIDTH,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task

LOG_TURN = math.log(2 * math.pi)
WAYS = ((0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1))


def _flowers(rng: np.random.Generator, scale: Scale) -> Inputs:
    rows, size, parts = scale.pick((1_000, 4, 4), quick=(60, 2, 2))
    mean = rng.normal(size=(parts, size))
    root = np.eye(size) + 0.4 * rng.normal(size=(parts, size, size))
    member = rng.integers(0, parts, rows)
    X = mean[member] + np.einsum("nij,nj->ni", root[member], rng.normal(size=(rows, size)))
    return inputs(X, X[:parts], np.float64(1e-5), most=scale.steps(500, quick=40))


def _mixture(X: Any, start: Any, tolerance: Any, most: int) -> list[Any]:
    (rows, size), parts = X.shape, len(start)

    def density(share: Any, mean: Any, covariance: Any) -> Any:
        apart = X - mean
        far = (apart @ jnp.linalg.inv(covariance) * apart).sum(axis=1)
        return jnp.log(share) - 0.5 * (jnp.linalg.slogdet(covariance)[1] + size * LOG_TURN + far)

    def iteration(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, share, mean, covariance, value, _ = carry
        each = jax.vmap(density)(share, mean, covariance)
        total = logsumexp(each, axis=0)
        member = jnp.exp(each - total)
        count = member.sum(axis=1)
        mean = member @ X / count[:, None]
        apart = X - mean[:, None]
        covariance = jnp.einsum("kn,kni,knj->kij", member, apart, apart) / count[:, None, None]
        return i + 1, count / rows, mean, covariance + RIDGE * jnp.eye(size), total.sum(), value

    def goes_on(carry: tuple[Any, ...]) -> Any:
        return (carry[0] < most) & (carry[4] - carry[5] >= tolerance)

    covariance = jnp.broadcast_to(jnp.eye(size), (parts, size, size))
    begin = (0, jnp.full(parts, 1 / parts), start, covariance, jnp.float64(-1e300), -jnp.float64(jnp.inf))
    _, share, mean, _, value, _ = lax.while_loop(goes_on, iteration, begin)
    return [value, share, mean]


def _mixture_tuned(X: Any, start: Any, tolerance: Any, most: int) -> list[Any]:
    """Densities are linear in products of features: one product with the rows gives all densities, another all sums;
    inverse matrices and determinants of all parts by elimination that is written out."""
    (rows, size), parts = X.shape, len(start)
    upper = [(i, j) for i in range(size) for j in range(i, size)]
    center = X.mean(axis=0)
    Z = (X - center).T
    features = jnp.stack([jnp.ones(rows), *Z, *(Z[i] * Z[j] for i, j in upper)])

    def inverted(covariance: Any) -> tuple[Any, Any]:
        """Inverse matrices and logarithms of determinants; the matrices' axes are first."""
        rows_of = [list(row) for row in covariance]
        inverse = [[jnp.ones(parts) if i == j else jnp.zeros(parts) for j in range(size)] for i in range(size)]
        determinant = jnp.ones(parts)
        for k in range(size):
            pivot = 1 / rows_of[k][k]
            determinant = determinant * rows_of[k][k]
            rows_of[k], inverse[k] = [one * pivot for one in rows_of[k]], [one * pivot for one in inverse[k]]
            for i in range(size):
                if i != k:
                    by = rows_of[i][k]
                    rows_of[i] = [one - by * other for one, other in zip(rows_of[i], rows_of[k], strict=True)]
                    inverse[i] = [one - by * other for one, other in zip(inverse[i], inverse[k], strict=True)]
        return inverse, jnp.log(determinant)

    def iteration(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, share, mean, covariance, value, _ = carry
        inverse, log_determinant = inverted(covariance)
        linear = [sum(inverse[i][j] * mean[j] for j in range(size)) for i in range(size)]
        far = sum(linear[i] * mean[i] for i in range(size))
        fixed = jnp.log(share) - 0.5 * (log_determinant + size * LOG_TURN + far)
        square = [inverse[i][j] * (-0.5 if i == j else -1.0) for i, j in upper]
        each = jnp.stack([fixed, *linear, *square], axis=1) @ features
        most_likely = each.max(axis=0)
        raw = jnp.exp(each - most_likely)
        total = raw.sum(axis=0)
        sums = (raw / total) @ features.T
        count = sums[:, 0]
        moments = (sums[:, 1:] / count[:, None]).T
        mean = moments[:size]
        place = {}
        for k, (i, j) in enumerate(upper):
            place[i, j] = place[j, i] = moments[size + k] - mean[i] * mean[j] + (RIDGE if i == j else 0.0)
        covariance = jnp.stack([jnp.stack([place[i, j] for j in range(size)]) for i in range(size)])
        return i + 1, count / rows, mean, covariance, (most_likely + jnp.log(total)).sum(), value

    def goes_on(carry: tuple[Any, ...]) -> Any:
        return (carry[0] < most) & (carry[4] - carry[5] >= tolerance)

    covariance = jnp.broadcast_to(jnp.eye(size)[:, :, None], (size, size, parts))
    first = (start - center).T
    begin = (0, jnp.full(parts, 1 / parts), first, covariance, jnp.float64(-1e300), -jnp.float64(jnp.inf))
    _, share, mean, _, value, _ = lax.while_loop(goes_on, iteration, begin)
    return [value, share, mean.T + center]


def _digits(rng: np.random.Generator, scale: Scale) -> Inputs:
    points, neighbours = scale.pick((200, 20.0), quick=(20, 5.0))
    X = 4 * rng.normal(size=(5, 10))[np.arange(points) % 5] + rng.normal(size=(points, 10))
    square = ((X[:, None] - X) ** 2).sum(axis=2)
    P = np.zeros_like(square)
    for i in range(points):
        low, high = -20.0, 20.0
        for _ in range(60):
            middle = (low + high) / 2
            row = np.exp(-(square[i] - np.delete(square[i], i).min()) * np.exp(middle))
            row[i] = 0
            row /= row.sum()
            entropy = -(row * np.log(np.maximum(row, 1e-300))).sum()
            low, high = (middle, high) if entropy > np.log(neighbours) else (low, middle)
        P[i] = row
    P = (P + P.T) / (2 * points)
    return inputs(P, 1e-2 * rng.normal(size=(points, 2)), np.float64(points / 4), steps=scale.steps(250, quick=60))


def _divergence(Y: Any, P: Any) -> Any:
    square = (Y**2).sum(axis=1)
    near = (1 - jnp.eye(len(P))) / (1 + square[:, None] + square - 2 * Y @ Y.T)
    Q = jnp.maximum(near / near.sum(), 1e-12)
    return (P * jnp.log(jnp.maximum(P, 1e-12) / Q)).sum()


def _neighbour_embedding(P: Any, start: Any, rate: Any, steps: int) -> list[Any]:
    def step(carry: tuple[Any, Any], time: Any) -> tuple[Any, None]:
        Y, speed = carry
        early = time < EARLY
        slope = jax.grad(_divergence)(Y, jnp.where(early, EXAGGERATION, 1.0) * P)
        speed = jnp.where(early, SLOW, FAST) * speed - rate * slope
        Y = Y + speed
        return (Y - Y.mean(axis=0), speed), None

    (Y, _), _ = lax.scan(step, (start, jnp.zeros_like(start)), jnp.arange(steps))
    return [_divergence(Y, P), Y]


def _neighbour_embedding_tuned(P: Any, start: Any, rate: Any, steps: int) -> list[Any]:
    """The gradient by its formula, 4 (P - s Q) times nearness (section 3 of the paper), whose sums over points are one
    product with coordinates and ones; both kinds of steps in a loop each."""
    points = len(P)
    mass = P.sum()
    ones = jnp.ones((1, points))

    def loop(carry: tuple[Any, Any], scaled: Any, keep: float, share: Any, count: int) -> Any:
        def step(carry: tuple[Any, Any], _: None) -> tuple[Any, None]:
            Y, speed = carry
            across, along = Y[0][:, None] - Y[0], Y[1][:, None] - Y[1]
            near = 1 / (1 + (across * across + along * along))
            pull = (scaled - near * (share / (near.sum() - points))) * near
            sums = jnp.concatenate([Y, ones]) @ pull
            speed = keep * speed - 4 * rate * (Y * sums[2] - sums[:2])
            Y = Y + speed
            return (Y - Y.mean(axis=1, keepdims=True), speed), None

        return lax.scan(step, carry, None, count)[0]

    early = min(EARLY, steps)
    carry = (start.T, jnp.zeros_like(start.T))
    carry = loop(carry, EXAGGERATION * P, SLOW, EXAGGERATION * mass, early)
    Y, _ = loop(carry, P, FAST, mass, steps - early)
    return [_divergence(Y.T, P), Y.T]


def _rules(rng: np.random.Generator, scale: Scale) -> Inputs:
    rows, size, each = scale.pick((800, 25, 10), quick=(30, 4, 3))
    X = rng.normal(size=(rows, size))
    y = np.where((X[:, : size // 3] ** 2).sum(axis=1) + X[:, -1] + rng.normal(size=rows) > size // 3, 1.0, -1.0)
    bound = np.quantile(X, (np.arange(each) + 0.5) / each, axis=0)
    votes = np.where(X.T[:, None] > bound.T[:, :, None], 1.0, -1.0).reshape(-1, rows)
    weight = 1 + 0.5 * rng.random(rows)
    return inputs(votes, y, weight / weight.sum(), rounds=scale.steps(200, quick=8))


def _boosting(votes: Any, y: Any, weight: Any, rounds: int) -> list[Any]:
    def choose(weight: Any, _: None) -> tuple[Any, Any]:
        edge = votes @ (weight * y)
        best = jnp.argmax(jnp.abs(edge))
        part = 0.5 * jnp.log((1 + edge[best]) / (1 - edge[best]))
        weight = weight * jnp.exp(-part * y * votes[best])
        return weight / weight.sum(), (best.astype("int32"), part)

    weight, (best, part) = lax.scan(choose, weight, None, rounds)
    wrong = (y * (part @ votes[best]) <= 0).mean(dtype=y.dtype)
    return [best, part, wrong, weight]


def _boosting_tuned(votes: Any, y: Any, weight: Any, rounds: int) -> list[Any]:
    """Votes that are right as 1 and wrong as -1; a row's weight changes by one of two factors, which the edge of the
    rule gives with the sum of all; weights times signs come from those before."""
    right = votes * y

    def choose(weight: Any, _: None) -> tuple[Any, Any]:
        edge = right @ weight
        best = jnp.argmax(jnp.abs(edge))
        own = edge.at[best].get(mode="promise_in_bounds")
        up, down = 0.5 / (1 - own), 0.5 / (1 + own)
        row = lax.dynamic_index_in_dim(right, best, 0, keepdims=False)
        weight = weight * (up + down - row * (up - down))
        return weight, (best.astype("int32"), own)

    weight, (best, own) = lax.scan(choose, weight, None, rounds)
    part = jnp.arctanh(own)
    return [best, part, (part @ right[best] <= 0).mean(dtype=y.dtype), weight]


def _rooms(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, size = scale.steps(200, quick=6), scale.pick(40, quick=8)
    free = np.ones((size, size), "float32")
    free[[0, -1]], free[:, [0, -1]] = 0, 0
    free[size // 2, : size // 3], free[: size // 4, size // 2] = 0, 0
    ahead = np.zeros((8, size, size), "float32")
    for k, (down, right) in enumerate(WAYS):
        for far in range(size, 0, -1):
            hit = np.roll(free, (-far * down, -far * right), axis=(0, 1)) == 0
            ahead[k] = np.where(hit, far, ahead[k])
    turn, seen = np.zeros((steps, 3), "float32"), np.zeros(steps, "float32")
    row, column, heading = size // 2 + 1, size // 2, 0
    for t in range(steps):
        by = rng.choice([-1, 0, 1], p=[0.2, 0.6, 0.2])
        turn[t] = 0.1
        turn[t, by + 1] = 0.8
        heading = (heading + by) % 8
        down, right = WAYS[heading]
        if free[row + down, column + right]:
            row, column = row + down, column + right
        seen[t] = ahead[heading, row, column] + rng.normal()
    return inputs(turn, seen, ahead, free)


def _localization(turn: Any, seen: Any, ahead: Any, free: Any) -> list[Any]:
    row, column = (jnp.arange(size, dtype="float32") for size in free.shape)

    def forward(belief: Any, way: tuple[int, int]) -> Any:
        once = jnp.roll(belief, way, axis=(0, 1))
        twice = jnp.roll(once, way, axis=(0, 1))
        return STAY * belief + MOVE * once + SLIP * twice

    def step(belief: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        turn_t, seen_t = now
        left, right = jnp.roll(belief, -1, axis=0), jnp.roll(belief, 1, axis=0)
        belief = turn_t[0] * left + turn_t[1] * belief + turn_t[2] * right
        belief = jnp.stack([forward(belief[k], way) for k, way in enumerate(WAYS)]) * free
        belief = belief * (jnp.exp(-0.5 * ((ahead - seen_t) / WIDTH) ** 2) + DOUBT)
        belief = belief / belief.sum()
        place = belief.sum(axis=0)
        mean = jnp.stack([place.sum(axis=1) @ row, place.sum(axis=0) @ column])
        return belief, (mean, place.max())

    start = jnp.broadcast_to(free / (8 * free.sum()), ahead.shape)
    return list(lax.scan(step, start, (turn, seen))[1])


def _localization_tuned(turn: Any, seen: Any, ahead: Any, free: Any) -> list[Any]:
    """Chances of distances at all times before the loop; slices of a belief with a border for turns of it; the sum of a
    step divides at the next; rows and columns by one product each."""
    rows, columns = free.shape
    apart = (ahead - seen[:, None, None, None]) * (math.sqrt(0.5) / WIDTH)
    likely = (jnp.exp(-(apart * apart)) + DOUBT) * free
    into_rows = jnp.stack([jnp.ones(rows), jnp.arange(rows, dtype="float32")])
    into_columns = jnp.arange(columns, dtype="float32")

    def forward(wide: Any, way: tuple[int, int]) -> Any:
        def by(count: int) -> Any:
            down, right = 2 - count * way[0], 2 - count * way[1]
            return wide[down : down + rows, right : right + columns]

        return STAY * by(0) + MOVE * by(1) + SLIP * by(2)

    def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
        belief, scale = carry
        turn_t, likely_t = now
        turn_t = turn_t * scale
        more = jnp.concatenate([belief[-1:], belief, belief[:1]])
        wide = turn_t[0] * more[2:] + turn_t[1] * more[1:-1] + turn_t[2] * more[:-2]
        wide = jnp.concatenate([wide[:, -2:], wide, wide[:, :2]], axis=1)
        wide = jnp.concatenate([wide[:, :, -2:], wide, wide[:, :, :2]], axis=2)
        belief = jnp.stack([forward(wide[k], way) for k, way in enumerate(WAYS)]) * likely_t
        place = belief.sum(axis=0)
        sums = into_rows @ place
        scale = 1 / sums[0].sum()
        mean = jnp.stack([sums[1].sum(), sums[0] @ into_columns]) * scale
        return (belief, scale), (mean, place.max() * scale)

    start = jnp.broadcast_to(free, ahead.shape)
    return list(lax.scan(step, (start, 1 / (8 * free.sum())), (turn, likely))[1])


WORKLOADS = (
    task(
        "mixture-em",
        "4 normal densities of 4 features for 1,000 rows, until the likelihood rests",
        groups.mixture,
        _flowers,
        _mixture,
        _mixture_tuned,
        close(1e-6),
    ),
    task(
        "neighbour-embedding",
        "200 points in the plane by their neighbours in 250 steps along gradients",
        groups.neighbour_embedding,
        _digits,
        _neighbour_embedding,
        _neighbour_embedding_tuned,
        close(1e-5),
    ),
    task(
        "boosting",
        "200 of 250 rules that vote on 800 rows, one after the other",
        groups.boosting,
        _rules,
        _boosting,
        _boosting_tuned,
        close(1e-7),
    ),
    task(
        "localization",
        "place of a robot on 40 by 40 cells with 8 headings, T=200",
        groups.localization,
        _rooms,
        _localization,
        _localization_tuned,
        close(1e-3),
    ),
)
