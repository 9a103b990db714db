"""Trees, genes and minds."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from benchmarks.compare import TIGHT, close, near
from benchmarks.programs.seen import organisms
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _distances(rng: np.random.Generator, scale: Scale) -> Inputs:
    count = scale.pick(96, quick=8)
    D = np.zeros((1, 1))
    for _ in range(count - 1):
        place = rng.integers(0, len(D))
        split = np.append(D, D[place : place + 1], axis=0)
        split = np.append(split, split[:, place : place + 1], axis=1)
        by = rng.exponential(0.2, len(split))
        D = split + by[:, None] + by
        np.fill_diagonal(D, 0.0)
    noise = 0.05 * rng.exponential(size=D.shape)
    return inputs(D + (noise + noise.T) * (1 - np.eye(count)))


def _neighbour_joining(D: Any) -> list[Any]:
    count = len(D)

    def join(carry: tuple[Any, Any], left: Any) -> tuple[Any, Any]:
        D, active = carry
        far = D @ active
        Q = (left - 2) * D - far[:, None] - far
        pairs = jnp.triu(active[:, None] * active, 1)
        i, j = jnp.unravel_index(jnp.argmin(jnp.where(pairs > 0, Q, jnp.inf)), D.shape)
        to_i = D[i, j] / 2 + (far[i] - far[j]) / (2 * (left - 2))
        row = ((D[i] + D[j] - D[i, j]) / 2).at[i].set(0.0)
        found = i.astype("int32"), j.astype("int32"), to_i, D[i, j] - to_i
        return (D.at[i].set(row).at[:, i].set(row), active.at[j].set(0.0)), found

    left = jnp.arange(count, 4, -1).astype(D.dtype)
    return [*lax.scan(join, (D, jnp.ones(count)), left)[1]]


def _neighbour_joining_tuned(D: Any) -> list[Any]:
    """Distances to those that are gone and to oneself are very long, so that no mask is needed; sums of rows are
    carried along; the least of each column first, then of these."""
    count, long = len(D), 1e30
    every = jnp.arange(count)

    def join(carry: tuple[Any, Any], left: Any) -> tuple[Any, Any]:
        D, far = carry
        share = far / (left - 2)
        least = (D - share[:, None]).min(axis=0) - share
        j = jnp.argmin(least)
        column = D.at[j].get(mode="promise_in_bounds")
        i = jnp.argmin(column - share)
        i, j = jnp.minimum(i, j), jnp.maximum(i, j)
        row_i, row_j = (D.at[k].get(mode="promise_in_bounds") for k in (i, j))
        apart = row_i[j]
        to_i = apart / 2 + (share[i] - share[j]) / 2
        alone = (row_i >= long / 2) | (row_j >= long / 2)
        row = jnp.where(alone, long, (row_i + row_j - apart) / 2)
        far = jnp.where(alone, far, far - row_i - row_j + row)
        far = far.at[i].set(jnp.where(alone, 0.0, row).sum(), mode="promise_in_bounds")
        far = jnp.where(every == j, -long, far)
        D = D.at[i].set(row, mode="promise_in_bounds").at[j].set(long, mode="promise_in_bounds")
        D = D.at[:, i].set(row, mode="promise_in_bounds").at[:, j].set(long, mode="promise_in_bounds")
        return (D, far), (i.astype("int32"), j.astype("int32"), to_i, apart - to_i)

    left = jnp.arange(count, 4, -1).astype(D.dtype)
    return [*lax.scan(join, (jnp.where(jnp.eye(count) > 0, long, D), D.sum(axis=0)), left)[1]]


def _genes(rng: np.random.Generator, scale: Scale) -> Inputs:
    genes = scale.pick(1_000, quick=30)
    state, rules = rng.integers(0, 2, genes), rng.integers(0, 2, (genes, 4))
    arrays = (state, rng.integers(0, genes, (genes, 2)), rules)
    return inputs(*(array.astype("int32") for array in arrays), most=scale.steps(10_000))


def _boolean_network(state: Any, wires: Any, rules: Any, most: int) -> list[Any]:
    genes = jnp.arange(len(state))

    def next_of(state: Any) -> Any:
        return rules[genes, 2 * state[wires[:, 0]] + state[wires[:, 1]]]

    def walk(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, slow, fast = carry
        return i + 1, next_of(slow), next_of(next_of(fast))

    def apart(carry: tuple[Any, ...]) -> Any:
        i, slow, fast = carry
        return (i == 0) | ((i < most) & (slow != fast).any())

    met = lax.while_loop(apart, walk, (0, state, state))[1]

    def go_round(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        state, length, total = carry
        state = next_of(state)
        return state, length + 1, total + state.sum(dtype="int32")

    def on_the_way(carry: tuple[Any, ...]) -> Any:
        state, length, _ = carry
        return (length == 0) | ((length < most) & (state != met).any())

    _, length, total = lax.while_loop(on_the_way, go_round, (met, jnp.int32(0), jnp.int32(0)))
    return [length, total]


def _boolean_network_tuned(state: Any, wires: Any, rules: Any, most: int) -> list[Any]:
    """A walker beside one that waits for it, and moves up to it after 1, 2, 4, ... steps (Brent 1980), so that each
    step is one step; rules as sums of products of both inputs, in bytes; a sum of genes for each step of the last
    round."""
    first, second = wires.T
    none, one, other, both = (rules[:, k].astype("int8") for k in (0, 2, 1, 3))
    one, other = one ^ none, other ^ none
    both = both ^ none ^ one ^ other

    def next_of(state: Any) -> Any:
        a = state.at[first].get(mode="promise_in_bounds")
        b = state.at[second].get(mode="promise_in_bounds")
        return none ^ (one & a) ^ (b & (other ^ (both & a)))

    def walk(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        state, waiting, length, room, total, _ = carry
        full = length == room
        waiting = jnp.where(full, state, waiting)
        length, room, total = jnp.where(full, 0, length), jnp.where(full, 2 * room, room), jnp.where(full, 0, total)
        state = next_of(state)
        return state, waiting, length + 1, room, total + state.sum(dtype="int32"), (state != waiting).any()

    small = state.astype("int8")
    start = (next_of(small), small, jnp.int32(1), jnp.int32(1), next_of(small).sum(dtype="int32"))
    begin = (*start, (start[0] != small).any())
    _, _, length, _, total, _ = lax.while_loop(lambda carry: carry[5], walk, begin)
    return [length, total]


def _population(rng: np.random.Generator, scale: Scale) -> Inputs:
    size, rate = scale.pick((1_024, 0.02), quick=(256, 0.05))
    return inputs(np.float32(rate), size=size, generations=scale.steps(400, quick=200))


def _allele_drift(key: Any, rate: Any, size: int, generations: int) -> Any:
    own = jnp.arange(size, dtype="int32")

    def generation(genes: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        number, key = now
        from_key, new_key = random.split(key)
        parents = random.randint(from_key, (size,), 0, size)
        new = random.uniform(new_key, (size,)) < rate
        genes = jnp.where(new, number * size + own, genes[parents])
        return genes, (genes == jnp.roll(genes, 1)).mean()

    numbers = jnp.arange(1, generations + 1, dtype="int32")
    alike = lax.scan(generation, own, (numbers, random.split(key, generations)))[1]
    return alike[generations // 2 :].mean()


def _allele_drift_tuned(key: Any, rate: Any, size: int, generations: int) -> Any:
    """One word of 32 bits for the parent, whose number is a power of 2, and the new gene; all words before the loop;
    only the later half counts."""
    bits = size.bit_length() - 1
    assert size == 1 << bits
    word = random.bits(key, (generations, size), "uint32")
    limit = (rate * 2.0 ** (32 - bits)).astype("uint32")
    own = jnp.arange(size, dtype="int32")
    half = generations // 2

    def generation(genes: Any, now: tuple[Any, Any]) -> Any:
        number, word_t = now
        copied = genes.at[(word_t & np.uint32(size - 1)).astype("int32")].get(mode="promise_in_bounds")
        return jnp.where((word_t >> np.uint32(bits)) < limit, number * size + own, copied)

    def counted(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, None]:
        genes, total = carry
        genes = generation(genes, now)
        alike = (genes[1:] == genes[:-1]).sum(dtype="int32") + (genes[0] == genes[-1])
        return (genes, total + alike), None

    numbers = jnp.arange(1, generations + 1, dtype="int32")
    genes, _ = lax.scan(lambda genes, now: (generation(genes, now), None), own, (numbers[:half], word[:half]))
    (_, total), _ = lax.scan(counted, (genes, jnp.int32(0)), (numbers[half:], word[half:]))
    return total / jnp.float32(size * (generations - half))


def _choices(rng: np.random.Generator, scale: Scale) -> Inputs:
    trials, people = scale.steps(200, quick=8), scale.pick(64, quick=3)
    chance = 1 / (1 + np.exp(-np.cumsum(0.2 * rng.normal(size=(trials, people, 4)), axis=0)))
    liking = 3 * chance + rng.gumbel(size=chance.shape)
    choice = liking.argmax(axis=2)
    reward = rng.random((trials, people)) < np.take_along_axis(chance, choice[:, :, None], axis=2)[:, :, 0]
    parameters = (value + 0.3 * rng.normal(size=people) for value in (0.0, -1.0, 1.0, 0.2))
    return inputs(choice.astype("int32"), reward.astype(float), *parameters)


def _learning_trials(choice: Any, reward: Any, *parameters: Any) -> list[Any]:
    people = jnp.arange(choice.shape[1])

    def likelihood(parameters: Any) -> Any:
        rate, memory, sharpness, habit = parameters
        kappa, eta, beta = jax.nn.sigmoid(rate), jax.nn.sigmoid(memory), jnp.exp(sharpness)

        def trial(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[Any, Any]:
            value, interest, last = carry
            choice_t, reward_t = now
            liking = beta[:, None] * value + habit[:, None] * last
            gained = jax.nn.log_softmax(liking)[people, choice_t]
            surprise = reward_t - value[people, choice_t]
            value = value.at[people, choice_t].add(kappa * interest * surprise)
            interest = eta * jnp.abs(surprise) + (1 - eta) * interest
            return (value, interest, jax.nn.one_hot(choice_t, 4)), gained

        zeros = jnp.zeros((len(rate), 4))
        return lax.scan(trial, (zeros, jnp.ones_like(rate), zeros), (choice, reward))[1].sum()

    value, slopes = jax.value_and_grad(likelihood)(parameters)
    return [value, *slopes]


def _learning_trials_tuned(choice: Any, reward: Any, *parameters: Any) -> list[Any]:
    """Choices as four rows of zeros and ones; only values and interests in the loop, likelihoods for all trials after
    it, so that its way back is short."""
    chosen = (choice[:, None] == jnp.arange(4)[:, None]).astype(reward.dtype)
    before = jnp.concatenate([jnp.zeros_like(chosen[:1]), chosen[:-1]])

    def likelihood(parameters: Any) -> Any:
        rate, memory, sharpness, habit = parameters
        kappa, eta, beta = jax.nn.sigmoid(rate), jax.nn.sigmoid(memory), jnp.exp(sharpness)

        def trial(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[Any, Any]:
            value, interest = carry
            chosen_t, reward_t = now
            surprise = reward_t - (chosen_t * value).sum(axis=0)
            moved = value + chosen_t * (kappa * interest * surprise)
            return (moved, interest + eta * (jnp.abs(surprise) - interest)), value

        start = (jnp.zeros((4, len(rate))), jnp.ones_like(rate))
        liking = beta * lax.scan(trial, start, (chosen, reward), unroll=2)[1] + habit * before
        return (chosen * liking).sum() - jax.nn.logsumexp(liking, axis=1).sum()

    value, slopes = jax.value_and_grad(likelihood)(parameters)
    return [value, *slopes]


WORKLOADS = (
    task(
        "neighbour-joining",
        "tree of 96 organisms from their distances by joining near ones",
        organisms.neighbour_joining,
        _distances,
        _neighbour_joining,
        _neighbour_joining_tuned,
        close(1e-8),
    ),
    task(
        "boolean-network",
        "cycle of 1,000 genes that switch each other, until two walkers meet and one is back",
        organisms.boolean_network,
        _genes,
        _boolean_network,
        _boolean_network_tuned,
        TIGHT,
    ),
    task(
        "allele-drift",
        "400 generations of 1,024 genes that are copied from random parents",
        organisms.allele_drift,
        _population,
        _allele_drift,
        _allele_drift_tuned,
        near(0.4),
        draws=True,
    ),
    task(
        "learning-trials-grad",
        "choices of 64 people who learn in 200 trials, with gradients",
        organisms.learning_trials,
        _choices,
        _learning_trials,
        _learning_trials_tuned,
        close(1e-8),
    ),
)
