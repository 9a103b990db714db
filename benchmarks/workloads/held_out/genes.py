"""Genes that are copies of others, families of proteins, trees of relatives and signals that sequences share."""

# ruff: noqa: E741, N803, N806 - states have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random
from jax.nn import log_softmax, sigmoid, softmax

from benchmarks.compare import close, near, within
from benchmarks.programs.held_out import genes
from benchmarks.programs.held_out.genes import BASES, EXTRA, LETTERS, NONE
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _panel(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Haplotypes that copy each other, and one more that changes between them."""
    sites, count = scale.steps(2_000, quick=60), scale.pick(1_000, quick=12)
    share = rng.beta(0.3, 1.0, sites)
    panel = rng.random((sites, count)) < share[:, None]
    block = np.cumsum(rng.random(sites) < 0.02)
    copied = rng.integers(0, count, block[-1] + 1)[block]
    gene = panel[np.arange(sites), copied] ^ (rng.random(sites) < 0.005)
    distance = rng.exponential(1.0, sites).astype("float32")
    theta = np.array([-3.0, -4.0], "float32")
    return inputs(panel.astype("int8"), gene.astype("int8"), distance, theta)


def _copied_haplotypes(panel: Any, gene: Any, distance: Any, theta: Any) -> list[Any]:
    count = panel.shape[1]

    def likelihood(theta: Any) -> Any:
        rate, error = jnp.exp(theta[0]), sigmoid(theta[1])
        jump = 1 - jnp.exp(-rate * distance)

        def step(share: Any, now: tuple[Any, ...]) -> tuple[Any, Any]:
            copied, gene_t, jump_t = now
            new = jnp.where(copied == gene_t, 1 - error, error) * ((1 - jump_t) * share + jump_t / count)
            total = new.sum()
            return new / total, jnp.log(total)

        return lax.scan(step, jnp.full(count, 1 / count, "float32"), (panel, gene, jump))[1].sum()

    return list(jax.value_and_grad(likelihood)(theta))


def _copied_haplotypes_tuned(panel: Any, gene: Any, distance: Any, theta: Any) -> list[Any]:
    """Both derivatives go forth with the shares in one loop, which stores nothing; a step divides by the total of the
    step before, and totals that are left over are those of the last step."""
    count = panel.shape[1]
    rate, error = jnp.exp(theta[0]), sigmoid(theta[1])
    stays = jnp.exp(-rate * distance)
    slope = rate * distance * stays
    change = error * (1 - error)
    same = panel == gene[:, None]

    def step(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
        a, of_rate, of_error, total = carry
        same_t, stays_t, slope_t = now
        scale = 1 / total
        even = 1 / count
        shown = jnp.where(same_t, 1 - error, error)
        a, of_rate, of_error = a * scale, of_rate * scale, of_error * scale
        new = stays_t * a + (1 - stays_t) * even
        of_rate = shown * (stays_t * of_rate + slope_t * (even - a) + (1 - stays_t) * even * of_rate.sum())
        moved = stays_t * of_error + (1 - stays_t) * even * of_error.sum()
        of_error = shown * moved + jnp.where(same_t, -change, change) * new
        new = shown * new
        return (new, of_rate, of_error, new.sum()), jnp.log(scale)

    zeros, one = jnp.zeros(count, "float32"), jnp.float32(1)
    start = (jnp.full(count, 1 / count, "float32"), zeros, zeros, one)
    (_, of_rate, of_error, total), logs = lax.scan(step, start, (same, stays, slope))
    return [jnp.log(total) - logs.sum(), jnp.stack([of_rate.sum(), of_error.sum()]) / total]


def _proteins(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Proteins that a profile has made, cut or filled up to the same length."""
    length, proteins, places = scale.steps(80, quick=12), scale.pick(16, quick=3), scale.pick(69, quick=8)
    best = rng.integers(0, LETTERS, places)
    letters = rng.integers(0, LETTERS, (length, proteins))
    for k in range(proteins):
        shown = [best[j] for j in range(places) if rng.random() < 0.9]
        first = rng.integers(0, 3)
        for t, letter in enumerate(shown[: length - first]):
            if rng.random() < 0.7:
                letters[first + t, k] = letter
    emit = 0.5 * rng.normal(size=(places, LETTERS))
    emit[np.arange(places), best] += 2
    match = np.tile([3.0, 0.0, 0.0], (places + 1, 1)) + 0.3 * rng.normal(size=(places + 1, 3))
    insert = np.tile([0.5, 0.0], (places + 1, 1)) + 0.3 * rng.normal(size=(places + 1, 2))
    skip = np.tile([0.5, 0.0], (places + 1, 1)) + 0.3 * rng.normal(size=(places + 1, 2))
    return inputs(letters.astype("int32"), emit, match, insert, skip)


def _protein_family(letters: Any, *weights: Any) -> list[Any]:
    proteins, places = letters.shape[1], len(weights[1])

    def likelihood(weights: tuple[Any, ...]) -> Any:
        emit, match, insert, skip = (log_softmax(one, axis=1) for one in weights)
        shown, background = emit.T, -jnp.log(float(LETTERS))
        nothing = jnp.full((proteins, 1), NONE)

        def skipped(M: Any) -> Any:
            def place(D_j: Any, now: tuple[Any, ...]) -> tuple[Any, Any]:
                M_j, open_j, go_on_j = now
                new = jnp.logaddexp(M_j + open_j, D_j + go_on_j)
                return new, new

            _, D = lax.scan(place, nothing[:, 0], (M.T[:-1], match[:-1, 2], skip[:-1, 1]))
            return jnp.concatenate([nothing, D.T], axis=1)

        def forward(M: Any, I: Any, D: Any) -> Any:
            return jnp.logaddexp(jnp.logaddexp(M + match[:, 0], I + insert[:, 0]), D + skip[:, 0])

        def step(carry: tuple[Any, ...], letter: Any) -> tuple[tuple[Any, ...], None]:
            M, I, D = carry
            new_M = jnp.concatenate([nothing, forward(M, I, D)[:, :-1] + shown[letter]], axis=1)
            new_I = background + jnp.logaddexp(M + match[:, 1], I + insert[:, 1])
            return (new_M, new_I, skipped(new_M)), None

        none = jnp.full((proteins, places), NONE)
        begin = none.at[:, 0].set(0)
        last, _ = lax.scan(step, (begin, none, skipped(begin)), letters)
        return forward(*last)[:, -1].mean()

    value, slopes = jax.value_and_grad(likelihood)(weights)
    return [value, *slopes]


def _protein_family_tuned(letters: Any, *weights: Any) -> list[Any]:
    """Chances instead of logarithms; ways over skipped places are a matrix, which is the same for all letters, so that
    a step is one product."""
    proteins, places = letters.shape[1], len(weights[1])

    def likelihood(weights: tuple[Any, ...]) -> Any:
        emit, match, insert, skip = (softmax(one, axis=1) for one in weights)
        last = jnp.concatenate([jnp.zeros(1), jnp.cumsum(jnp.log(skip[:-1, 1]))])
        later = jnp.triu(jnp.ones((places, places), bool), 1)
        through = jnp.where(later, last[None, :] - jnp.append(last[1:], 0)[:, None], 0)
        skips = jnp.where(later, match[:, 2][:, None] * jnp.exp(through), 0)
        ahead = jnp.diag(match[:, 0]) + skips * skip[:, 0]
        shown = (LETTERS * emit.T).at[letters].get(mode="promise_in_bounds")

        def step(carry: tuple[Any, Any], shown_t: Any) -> tuple[tuple[Any, Any], Any]:
            M, I = carry
            into = M @ ahead + I * insert[:, 0]
            new_M = jnp.pad(into[:, :-1] * shown_t, ((0, 0), (1, 0)))
            new_I = M * match[:, 1] + I * insert[:, 1]
            total = new_M.sum(axis=1) + new_I.sum(axis=1)
            scale = 1 / lax.stop_gradient(total)[:, None]
            return (new_M * scale, new_I * scale), scale[:, 0]

        none = jnp.zeros((proteins, places))
        (M, I), scales = lax.scan(step, (none.at[:, 0].set(1), none), shown)
        end = M @ ahead[:, -1] + I[:, -1] * insert[-1, 0]
        return (jnp.log(end) - jnp.log(scales).sum(axis=0)).mean() - len(letters) * jnp.log(float(LETTERS))

    value, slopes = jax.value_and_grad(likelihood)(weights)
    return [value, *slopes]


def _population(_: np.random.Generator, scale: Scale) -> Inputs:
    samples, trees = scale.pick((50, 1_000), quick=(10, 1_000))
    return inputs(np.float32(2), samples=samples, trees=trees)


def _coalescent(key: Any, growth: Any, samples: int, trees: int) -> Any:
    tree, line = jnp.arange(trees), jnp.arange(samples)

    def step(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[tuple[Any, ...], None]:
        size, time, length = carry
        k, key = now
        waiting, first, second = random.split(key, 3)
        pairs = k * (k - 1) / 2
        chance = random.exponential(waiting, (trees,))
        wait = jnp.log(1 + growth * chance * jnp.exp(-growth * time) / pairs) / growth
        length = length.at[tree[:, None], size].add(jnp.where(line < k, wait[:, None], 0))
        one = random.randint(first, (trees,), 0, k)
        other = random.randint(second, (trees,), 0, k - 1)
        other = other + (other >= one)
        size = size.at[tree, one].add(size[tree, other])
        size = size.at[tree, other].set(size[tree, k - 1])
        return (size, time + wait, length), None

    start = (jnp.ones((trees, samples), "int32"), jnp.zeros(trees), jnp.zeros((trees, samples + 1)))
    left = jnp.arange(samples, 1, -1)
    (_, time, length), _ = lax.scan(step, start, (left, random.split(key, samples - 1)))
    return jnp.append(length.mean(axis=0)[1:samples], time.mean())


def _coalescent_tuned(key: Any, growth: Any, samples: int, trees: int) -> Any:
    """Numbers of lines of each size beside the lines, so that lengths are products with waits; a tree is a column;
    random numbers at once."""
    steps = samples - 1
    waiting, choosing = random.split(key)
    chance = random.exponential(waiting, (steps, trees))
    u = random.uniform(choosing, (steps, 2, trees))
    left = np.arange(samples, 1, -1)
    row = jnp.arange(samples + 1, dtype="int32")
    lines = left.astype("float32")[:, None]
    one = jnp.minimum((u[:, 0] * lines).astype("int32"), left[:, None] - 1)
    other = jnp.minimum((u[:, 1] * (lines - 1)).astype("int32"), left[:, None] - 2)
    other = other + (other >= one)
    rate = growth / (lines * (lines - 1) / 2)
    tree = jnp.arange(trees, dtype="int32")

    def step(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[tuple[Any, ...], None]:
        size, counts, time, length = carry
        k, one, other, chance = now
        wait = jnp.log1p(chance * jnp.exp(-growth * time)) / growth
        length = length + counts @ wait
        a = size.at[one, tree].get(mode="promise_in_bounds")
        b = size.at[other, tree].get(mode="promise_in_bounds")
        last = jnp.where(one == k - 1, a + b, lax.dynamic_index_in_dim(size, k - 1, keepdims=False))
        size = size.at[one, tree].set(a + b, mode="promise_in_bounds", unique_indices=True)
        size = size.at[other, tree].set(last, mode="promise_in_bounds", unique_indices=True)
        change = (row[:, None] == a + b).astype("float32") - (row[:, None] == a) - (row[:, None] == b)
        return (size, counts + change, time + wait, length), None

    counts = jnp.zeros((samples + 1, trees)).at[1].set(samples)
    start = (jnp.ones((samples, trees), "int32"), counts, jnp.zeros(trees), jnp.zeros(samples + 1))
    given = (jnp.array(left, "int32"), one, other, chance * rate)
    (_, _, time, length), _ = lax.scan(step, start, given)
    return jnp.append(length[1:samples] / trees, time.mean())


def _signals(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Sequences with a signal in each, and places of which some are right."""
    count, length, width = scale.pick((30, 200, 10), quick=(12, 40, 6))
    letters = rng.integers(0, BASES, (count, length))
    signal = rng.integers(0, BASES, width)
    where = rng.integers(0, length - width + 1, count)
    for k in range(count):
        shown = np.where(rng.random(width) < 0.9, signal, rng.integers(0, BASES, width))
        letters[k, where[k] : where[k] + width] = shown
    first = np.where(rng.random(count) < 0.5, where, rng.integers(0, length - width + 1, count))
    base = np.full(BASES, 1 / BASES, "float32")
    steps = scale.steps(3_000, quick=600)
    return inputs(letters.astype("int32"), first.astype("int32"), base, width=width, steps=steps)


def _motif_sampler(key: Any, letters: Any, first: Any, base: Any, width: int, steps: int) -> Any:
    count, length = letters.shape
    windows = jnp.arange(length - width + 1)[:, None] + jnp.arange(width)
    sequence = jnp.arange(count)

    def step(place: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        t, key = now
        chosen = t % count
        shown = letters[sequence[:, None], place[:, None] + jnp.arange(width)]
        hot = jax.nn.one_hot(shown, BASES) * (sequence != chosen)[:, None, None]
        share = (hot.sum(axis=0) + EXTRA) / (count - 1 + BASES * EXTRA)
        odds = jnp.log(share / base)
        score = odds[jnp.arange(width), letters[chosen][windows]].sum(axis=1)
        drawn = random.categorical(key, score)
        return place.at[chosen].set(drawn), (share * odds).sum()

    _, information = lax.scan(step, first, (jnp.arange(steps), random.split(key, steps)))
    return information[steps // 2 :].mean()


def _motif_sampler_tuned(key: Any, letters: Any, first: Any, base: Any, width: int, steps: int) -> Any:
    """Letters of all windows as rows of 0 and 1, so that scores are a product; counts lose the window of a sequence and
    get its new one; noise of all draws at once; information after the loop."""
    count, length = letters.shape
    starts = length - width + 1
    windows = letters[:, jnp.arange(starts)[:, None] + jnp.arange(width)]
    hot = jax.nn.one_hot(windows, BASES).reshape(count, starts, width * BASES)
    noise = random.gumbel(key, (steps, starts))
    time = jnp.arange(steps, dtype="int32")
    number = count - 1 + BASES * EXTRA
    of_base = jnp.tile(jnp.log(base * number), width)

    def row(chosen: Any, place: Any) -> Any:
        return lax.dynamic_slice(hot, (chosen, place, 0), (1, 1, width * BASES)).reshape(-1)

    def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
        place, counts = carry
        chosen, noise_t = now
        counts = counts - row(chosen, lax.dynamic_index_in_dim(place, chosen, keepdims=False))
        odds = jnp.log(counts + EXTRA) - of_base
        score = lax.dynamic_index_in_dim(hot, chosen, keepdims=False) @ odds
        drawn = jnp.argmax(score + noise_t).astype("int32")
        place = lax.dynamic_update_index_in_dim(place, drawn, chosen, 0)
        return (place, counts + row(chosen, drawn)), counts

    counts = hot[jnp.arange(count), first].sum(axis=0)
    _, counts = lax.scan(step, (first, counts), (time % count, noise))
    share = (counts[steps // 2 :] + EXTRA) / number
    return (share * (jnp.log(share * number) - of_base)).sum(axis=1).mean()


WORKLOADS = (
    task(
        "copied-haplotypes-grad",
        "likelihood of a gene of 2,000 sites as parts of 1,000 others, with gradient in two parameters",
        genes.copied_haplotypes,
        _panel,
        _copied_haplotypes,
        _copied_haplotypes_tuned,
        close(1e-3),
    ),
    task(
        "protein-family-grad",
        "16 proteins of 80 letters in a family with 69 places, nested loops, with gradients",
        genes.protein_family,
        _proteins,
        _protein_family,
        _protein_family_tuned,
        close(1e-7),
    ),
    task(
        "coalescent",
        "1,000 trees of 50 relatives whose lines meet by chance",
        genes.coalescent,
        _population,
        _coalescent,
        _coalescent_tuned,
        within(0.1),
        draws=True,
    ),
    task(
        "motif-sampler",
        "places of a signal in 30 sequences of 200 letters, 3,000 draws",
        genes.motif_sampler,
        _signals,
        _motif_sampler,
        _motif_sampler_tuned,
        near(0.1),
        draws=True,
    ),
)
