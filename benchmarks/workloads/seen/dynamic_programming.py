"""Dynamic programming."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import dynamic_programming as programs
from benchmarks.programs.seen.dynamic_programming import DISCOUNT, EXPLORING, HIGH, LEARNING
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _roads(rng: np.random.Generator, scale: Scale) -> Inputs:
    side = scale.pick(24, quick=6)
    row, column = np.indices((side, side)).reshape(2, -1)
    near = [
        np.clip(row + i, 0, side - 1) * side + np.clip(column + j, 0, side - 1)
        for i, j in ((0, 1), (0, -1), (1, 0), (-1, 0))
    ]
    places = rng.permutation(side * side)
    moved = np.empty((side * side, 4), "int32")
    moved[places] = places[np.stack(near, axis=1)]
    return inputs(moved, rng.uniform(1, 10, moved.shape))


def _bellman_ford(near: Any, apart: Any) -> list[Any]:
    def goes_on(state: Any) -> Any:
        i, changed, _ = state
        return changed & (i < len(near))

    def improve(state: Any) -> Any:
        i, _, distance = state
        new = jnp.minimum(distance, (distance[near] + apart).min(1))
        return i + 1, (new != distance).any(), new

    start = jnp.full(len(near), HIGH).at[0].set(0)
    rounds, _, distance = lax.while_loop(goes_on, improve, (jnp.int32(0), jnp.bool_(True), start))
    return [distance, rounds]


def _bellman_ford_tuned(near: Any, apart: Any) -> list[Any]:
    """A row for each neighbour, so that the least is elementwise."""
    nears, aparts = near.T, apart.T

    def goes_on(state: Any) -> Any:
        i, changed, _ = state
        return changed & (i < len(near))

    def improve(state: Any) -> Any:
        i, _, distance = state
        new = distance
        for one, far in zip(nears, aparts, strict=True):
            new = jnp.minimum(new, distance.at[one].get(mode="promise_in_bounds") + far)
        return i + 1, (new != distance).any(), new

    start = jnp.full(len(near), HIGH).at[0].set(0)
    rounds, _, distance = lax.while_loop(goes_on, improve, (jnp.int32(0), jnp.bool_(True), start))
    return [distance, rounds]


def _cards(rng: np.random.Generator, scale: Scale) -> Inputs:
    return inputs(rng.permutation(scale.steps(2_000, quick=60)).astype(float))


def _longest(x: Any) -> Any:
    def step(least: Any, x_t: Any) -> tuple[Any, Any]:
        place = jnp.searchsorted(least, x_t)
        return least.at[place].set(x_t), (place + 1).astype("int32")

    return lax.scan(step, jnp.full(len(x), HIGH), x)[1]


def _longest_tuned(x: Any) -> Any:
    """The binary search within the length so far."""

    def step(carry: tuple[Any, Any], x_t: Any) -> tuple[tuple[Any, Any], Any]:
        least, length = carry

        def halved(bounds: tuple[Any, Any]) -> tuple[Any, Any]:
            low, high = bounds
            middle = (low + high) // 2
            below = lax.dynamic_index_in_dim(least, middle, keepdims=False) < x_t
            return jnp.where(below, middle + 1, low), jnp.where(below, high, middle)

        place, _ = lax.while_loop(lambda bounds: bounds[0] < bounds[1], halved, (jnp.int32(0), length))
        least = lax.dynamic_update_slice(least, x_t[None], (place,))
        return (least, jnp.maximum(length, place + 1)), place + 1

    return lax.scan(step, (jnp.full(len(x), HIGH), jnp.int32(0)), x)[1]


def _segments(rng: np.random.Generator, scale: Scale) -> Inputs:
    labels, longest = scale.pick((6, 10), quick=(3, 4))
    scores = rng.normal(size=(scale.steps(150, quick=20), labels))
    return inputs(scores, rng.normal(size=(labels, labels)), rng.normal(size=(longest, labels)), longest=longest)


def _semi_markov(scores: Any, A: Any, lengths: Any, longest: int) -> list[Any]:
    def value(scores: Any, A: Any, lengths: Any) -> Any:
        labels = len(A)
        total = jnp.cumsum(scores, axis=0)

        def step(carry: tuple[Any, Any], now: Any) -> tuple[tuple[Any, Any], None]:
            alphas, totals = carry
            reached = jax.nn.logsumexp(alphas[:, :, None] + A, axis=1) + now - totals + lengths
            alpha = jax.nn.logsumexp(reached, axis=0)
            return tuple(jnp.concatenate([new[None], old[:-1]]) for new, old in ((alpha, alphas), (now, totals))), None  # type: ignore[return-value]

        start = jnp.full((longest, labels), -HIGH).at[0].set(0), jnp.zeros((longest, labels))
        (alphas, _), _ = lax.scan(step, start, total)
        return jax.nn.logsumexp(alphas[0])

    found, slopes = jax.value_and_grad(value, (0, 1, 2))(scores, A, lengths)
    return [found, *slopes]


def _semi_markov_tuned(scores: Any, A: Any, lengths: Any, longest: int) -> list[Any]:
    """Probabilities instead of their logarithms, scaled at every step; one product with the transitions for each step
    instead of one for each length; segments grow by a factor, so that nothing is summed twice."""

    def value(scores: Any, A: Any, lengths: Any) -> Any:
        labels = len(A)
        most = scores.max(1, keepdims=True)
        factors = jnp.exp(scores - most)
        moves, weights = jnp.exp(A), jnp.exp(lengths)

        def step(carry: tuple[Any, Any], factor: Any) -> tuple[tuple[Any, Any], Any]:
            """``opened``: mass of segments by their length so far, before this step."""
            alpha, opened = carry
            opened = jnp.concatenate([(alpha @ moves)[None], opened[:-1]]) * factor
            alpha = (opened * weights).sum(0)
            size = alpha.sum()
            return (alpha / size, opened / size), size

        start = jnp.ones(labels), jnp.zeros((longest, labels))
        (alpha, _), sizes = lax.scan(step, start, factors)
        return jnp.log(alpha.sum()) + jnp.log(sizes).sum() + most.sum()

    found, slopes = jax.value_and_grad(value, (0, 1, 2))(scores, A, lengths)
    return [found, *slopes]


def _world(rng: np.random.Generator, scale: Scale) -> Inputs:
    states, actions = scale.pick(64, quick=8), 4
    steps = scale.steps(5_000, quick=100)
    after = rng.integers(0, states, (states, actions)).astype("int32")
    other = rng.integers(0, actions, steps).astype("int32")
    return inputs(after, rng.normal(size=(states, actions)), rng.uniform(size=steps), other)


def _q_learning(after: Any, reward: Any, u: Any, other: Any) -> list[Any]:
    def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
        (state, Q), (u_t, other_t) = carry, now
        action = jnp.where(u_t < EXPLORING, other_t, jnp.argmax(Q[state]).astype("int32"))
        new, gain = after[state, action], reward[state, action]
        error = gain + DISCOUNT * Q[new].max() - Q[state, action]
        return (new, Q.at[state, action].add(LEARNING * error)), gain

    (_, Q), gain = lax.scan(step, (jnp.int32(0), jnp.zeros_like(reward)), (u, other))
    return [Q, gain]


WORKLOADS = (
    task(
        "bellman-ford",
        "distances from one of 576 places with 4 neighbours, until none changes",
        programs.bellman_ford,
        _roads,
        _bellman_ford,
        _bellman_ford_tuned,
    ),
    task(
        "longest-subsequence",
        "longest increasing subsequence of 2,000 values by patience sorting",
        programs.longest_subsequence,
        _cards,
        _longest,
        _longest_tuned,
    ),
    task(
        "semi-markov-grad",
        "semi-Markov random field, 6 labels, segments of up to 10 steps, T=150, with gradient",
        programs.semi_markov,
        _segments,
        _semi_markov,
        _semi_markov_tuned,
        close(1e-7),
    ),
    task(
        "q-learning",
        "Q-learning in a world of 64 states and 4 actions, 5,000 steps",
        programs.q_learning,
        _world,
        _q_learning,
    ),
)
