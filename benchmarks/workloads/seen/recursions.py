"""Recursions over tables, trees and grids."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import recursions
from benchmarks.programs.seen.recursions import DISCOUNT, HIGH, SHARE, TOLERANCE, WEAR
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _levels(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.steps(800, quick=60)
    level = np.repeat(rng.normal(size=size // 20) * 3, 20)
    return inputs(level + rng.normal(size=size), np.float64(8.0))


def _segmentation(y: Any, penalty: Any) -> list[Any]:
    size = len(y)
    sums, squares = (jnp.concatenate([jnp.zeros(1), jnp.cumsum(values)]) for values in (y, y**2))
    first = jnp.arange(size)

    def step(best: Any, t: Any) -> tuple[Any, Any]:
        count = jnp.maximum(t - first, 1)
        cost = squares[t] - squares[:-1] - (sums[t] - sums[:-1]) ** 2 / count
        total = jnp.where(first < t, best[:-1] + cost + penalty, HIGH)
        return best.at[t].set(total.min()), jnp.argmin(total).astype("int32")

    best, came = lax.scan(step, jnp.zeros(size + 1), jnp.arange(1, size + 1))

    def back(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        i, end, begins = state
        end = came[end - 1]
        return i + 1, end, begins.at[i].set(end)

    state = jnp.int32(0), jnp.int32(size), jnp.zeros(size, "int32")
    count, _, begins = lax.while_loop(lambda state: state[1] > 0, back, state)
    return [best[-1], count, begins]


def _segmentation_tuned(y: Any, penalty: Any) -> list[Any]:
    """Part of the costs that a start alone decides kept with its best; inverses of lengths read from one table; index
    of the least as the least index with the least value."""
    size = len(y)
    sums, squares = (jnp.concatenate([jnp.zeros(1), jnp.cumsum(values)]) for values in (y, y**2))
    first = jnp.arange(size, dtype="int32")
    inverse = jnp.concatenate([1.0 / jnp.arange(size, 0, -1), jnp.full(size, jnp.inf)])

    def step(offset: Any, now: Any) -> tuple[Any, Any]:
        t, total_sum, total_squares = now
        apart = total_sum - sums[:-1]
        shorter = lax.dynamic_slice(inverse, (size - t,), (size,))
        total = jnp.where(first < t, offset - apart * apart * shorter, HIGH)
        least = total.min()
        came = jnp.where(total == least, first, size).min()
        best = least + total_squares + penalty
        return lax.dynamic_update_slice(offset, (best - total_squares)[None], (t,)), (best, came)

    offset = jnp.full(size, HIGH).at[0].set(0)
    _, (best, came) = lax.scan(step, offset, (first + 1, sums[1:], squares[1:]))

    def back(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        i, end, begins = state
        end = lax.dynamic_index_in_dim(came, end - 1, keepdims=False)
        return i + 1, end, lax.dynamic_update_slice(begins, end[None], (i,))

    state = jnp.int32(0), jnp.int32(size), jnp.zeros(size, "int32")
    count, _, begins = lax.while_loop(lambda state: state[1] > 0, back, state)
    return [best[-1], count, begins]


def _capital(rng: np.random.Generator, scale: Scale) -> Inputs:
    places, choices = scale.pick((200, 100), quick=(20, 10))
    return inputs(np.linspace(0.5, 8, places), np.linspace(0.3, 0.95, choices), rounds=200, sweeps=20)


def _growth(capital: Any, saved: Any, rounds: int, sweeps: int) -> list[Any]:
    output = (capital**SHARE + (1 - WEAR) * capital)[:, None]
    left, utility = output * saved, jnp.log(output * (1 - saved))
    every = jnp.arange(len(capital))

    def interpolated(value: Any, x: Any) -> Any:
        place = jnp.clip((x - capital[0]) / (capital[1] - capital[0]), 0, len(capital) - 1)
        i = jnp.minimum(jnp.floor(place).astype("int32"), len(capital) - 2)
        part = place - i
        return (1 - part) * value[i] + part * value[i + 1]

    def improve(state: Any) -> Any:
        i, value, _, _ = state
        policy = jnp.argmax(utility + DISCOUNT * interpolated(value, left), axis=1)
        gain, after = utility[every, policy], left[every, policy]

        def sweep(value: Any, _: None) -> tuple[Any, None]:
            return gain + DISCOUNT * interpolated(value, after), None

        new, _ = lax.scan(sweep, value, None, length=sweeps)
        return i + 1, new, after, jnp.abs(new - value).max() < TOLERANCE

    zeros = jnp.zeros_like(capital)
    state = jnp.int32(0), zeros, zeros, jnp.bool_(False)
    count, value, after, _ = lax.while_loop(lambda state: ~state[3] & (state[0] < rounds), improve, state)
    return [value, after, count]


def _growth_tuned(capital: Any, saved: Any, rounds: int, sweeps: int) -> list[Any]:
    """Places and weights of the interpolation before the loops."""
    output = (capital**SHARE + (1 - WEAR) * capital)[:, None]
    left, utility = output * saved, jnp.log(output * (1 - saved))
    place = jnp.clip((left - capital[0]) / (capital[1] - capital[0]), 0, len(capital) - 1)
    index = jnp.minimum(jnp.floor(place).astype("int32"), len(capital) - 2)
    part = place - index

    def at_places(value: Any, index: Any, part: Any) -> Any:
        low = value.at[index].get(mode="promise_in_bounds")
        return low + part * (value.at[index + 1].get(mode="promise_in_bounds") - low)

    def improve(state: Any) -> Any:
        i, value, _, _ = state
        policy = jnp.argmax(utility + DISCOUNT * at_places(value, index, part), axis=1)[:, None]
        gain, to, by = (jnp.take_along_axis(table, policy, 1)[:, 0] for table in (utility, index, part))
        new, _ = lax.scan(lambda value, _: (gain + DISCOUNT * at_places(value, to, by), None), value, None, sweeps)
        return i + 1, new, policy, jnp.abs(new - value).max() < TOLERANCE

    nothing = jnp.zeros_like(jnp.argmax(utility, axis=1))[:, None]
    state = jnp.int32(0), jnp.zeros_like(capital), nothing, jnp.bool_(False)
    count, value, policy, _ = lax.while_loop(lambda state: ~state[3] & (state[0] < rounds), improve, state)
    return [value, jnp.take_along_axis(left, policy, 1)[:, 0], count]


def _clouds(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(48, quick=8)
    x, y = rng.uniform(size=(size, 2)), rng.uniform(size=(size, 2)) + 0.2
    return inputs(x, y, steps=scale.steps(50, quick=10), blur=0.05)


def _sinkhorn(x: Any, y: Any, steps: int, blur: float) -> list[Any]:
    def cost(x: Any) -> Any:
        apart = ((x[:, None] - y) ** 2).sum(2)
        log_x, log_y = -jnp.log(len(x)), -jnp.log(len(y))

        def step(carry: tuple[Any, Any], _: None) -> tuple[tuple[Any, Any], None]:
            _, g = carry
            f = -blur * jax.nn.logsumexp((g - apart) / blur + log_y, axis=1)
            g = -blur * jax.nn.logsumexp((f[:, None] - apart) / blur + log_x, axis=0)
            return (f, g), None

        (f, g), _ = lax.scan(step, (jnp.zeros(len(x)), jnp.zeros(len(y))), None, length=steps)
        return f.mean() + g.mean()

    return list(jax.value_and_grad(cost)(x))


def _sinkhorn_tuned(x: Any, y: Any, steps: int, blur: float) -> list[Any]:
    """Scalings instead of potentials, so that a step is two products with one matrix of exponentials, whose gradient is
    one product after the backward loop."""

    def kernel(x: Any) -> Any:
        return jnp.exp(((x[:, None] - y) ** 2).sum(2) / -blur)

    K, pull = jax.vjp(kernel, x)  # noqa: N806 - as the field names it
    back = K.T
    many_x, many_y = len(x), len(y)

    def step(v: Any, _: None) -> tuple[Any, Any]:
        u = many_y / (K @ v)
        new = many_x / (back @ u)
        return new, (v, u, new)

    _, (v, u, new) = lax.scan(step, jnp.ones(many_y), None, length=steps)
    value = blur * (jnp.log(u[-1]).mean() + jnp.log(new[-1]).mean())

    def adjoint(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
        (of_u, of_new), (u, new) = carry, now
        down = -of_new * new * new / many_x
        of_u = of_u + K @ down
        up = -of_u * u * u / many_y
        return (jnp.zeros_like(of_u), back @ up), (down, up)

    start = blur / (many_x * u[-1]), blur / (many_y * new[-1])
    _, (down, up) = lax.scan(adjoint, start, (u, new), reverse=True)
    return [value, *pull(u.T @ down + up.T @ v)]


def _sentence(rng: np.random.Generator, scale: Scale) -> Inputs:
    symbols, words, size = scale.pick((8, 20, 24), quick=(3, 5, 6))
    rules, lexicon = rng.gamma(0.5, size=(symbols, symbols, symbols)), rng.gamma(0.5, size=(symbols, words))
    total = rules.sum((1, 2)) + lexicon.sum(1)
    sentence = rng.integers(0, words, size).astype("int32")
    return inputs(sentence, rules / total[:, None, None], lexicon / total[:, None])


def _inside(words: Any, rules: Any, lexicon: Any) -> list[Any]:
    size = len(words)
    first, split = jnp.arange(size), jnp.arange(size)[:, None]

    def value(rules: Any, lexicon: Any) -> Any:
        def step(chart: Any, d: Any) -> tuple[Any, None]:
            right = chart[(d - 1 - split) % size, (first + split + 1) % size]
            return chart.at[d].set(jnp.einsum("abc,kib,kic->ia", rules, chart, right)), None

        start = jnp.zeros((size, size, len(rules))).at[0].set(lexicon[:, words].T)
        return jnp.log(lax.scan(step, start, jnp.arange(1, size))[0][-1, 0, 0])

    found, slopes = jax.value_and_grad(value, (0, 1))(rules, lexicon)
    return [found, *slopes]


def _inside_tuned(words: Any, rules: Any, lexicon: Any) -> list[Any]:
    """Lengths written out, each with the spans and splits that it has; sums over splits as batched products."""
    size, symbols = len(words), len(rules)

    def value(rules: Any, lexicon: Any) -> Any:
        flat = rules.reshape(symbols, -1).T
        chart = [lexicon[:, words].T]
        for d in range(1, size):
            spans = size - d
            left = jnp.stack([chart[k][:spans] for k in range(d)], axis=1)
            right = jnp.stack([chart[d - 1 - k][k + 1 : k + 1 + spans] for k in range(d)], axis=1)
            chart.append((left.swapaxes(1, 2) @ right).reshape(spans, -1) @ flat)
        return jnp.log(chart[-1][0, 0])

    found, slopes = jax.value_and_grad(value, (0, 1))(rules, lexicon)
    return [found, *slopes]


def _tree(rng: np.random.Generator, scale: Scale) -> Inputs:
    count, sites = scale.pick((24, 200), quick=(5, 10))
    leaves = np.eye(4)[(rng.integers(0, 4, sites) + (rng.uniform(size=(count, sites)) < 0.3)) % 4]
    alive, children = list(range(count)), []
    for node in range(count, 2 * count - 1):
        pair = rng.choice(alive, 2, replace=False)
        alive = [one for one in alive if one not in pair] + [node]
        children.append(pair)
    return inputs(leaves, np.array(children, "int32"), rng.uniform(0.05, 0.3, 2 * count - 2))


def _pruning(leaves: Any, children: Any, length: Any) -> list[Any]:
    count, inner = len(leaves), len(children)

    def value(length: Any) -> Any:
        stays = jnp.exp(-4 * length / 3)[:, None, None]
        change = stays * jnp.eye(4) + (1 - stays) / 4

        def step(partial: Any, now: tuple[Any, Any]) -> tuple[Any, None]:
            node, (left, right) = now
            both = (partial[left] @ change[left]) * (partial[right] @ change[right])
            return partial.at[node].set(both), None

        start = jnp.concatenate([leaves, jnp.zeros((inner, *leaves.shape[1:]))])
        partial, _ = lax.scan(step, start, (count + jnp.arange(inner), children))
        return jnp.log(partial[-1].mean(1)).sum()

    return list(jax.value_and_grad(value)(length))


def _pruning_tuned(leaves: Any, children: Any, length: Any) -> list[Any]:
    """Products with the matrices of the model in closed form, sites last; the gradient by a pass down the tree over the
    table that the pass up has left."""
    count, inner = len(leaves), len(children)
    stays = jnp.exp(-4 * length / 3)
    tips = leaves.swapaxes(1, 2)

    def read(table: Any, i: Any) -> Any:
        return lax.dynamic_index_in_dim(table, i, keepdims=False)

    def moved(x: Any, stay: Any) -> Any:
        return stay * x + ((1 - stay) / 4) * x.sum(0)

    def up(partial: Any, now: Any) -> tuple[Any, None]:
        node, left, right, of_left, of_right = now
        both = moved(read(partial, left), of_left) * moved(read(partial, right), of_right)
        return lax.dynamic_update_index_in_dim(partial, both, node, 0), None

    nodes = count + jnp.arange(inner, dtype="int32")
    left, right = children.T
    sequences = nodes, left, right, stays[left], stays[right]
    partial, _ = lax.scan(up, jnp.concatenate([tips, jnp.zeros((inner, *tips.shape[1:]))]), sequences)
    total = partial[-1].sum(0)

    def down(adjoint: Any, now: Any) -> tuple[Any, Any]:
        node, left, right, of_left, of_right = now
        above, one, two = read(adjoint, node), read(partial, left), read(partial, right)
        to_one, to_two = above * moved(two, of_right), above * moved(one, of_left)
        slopes = (to_one * (one - one.sum(0) / 4)).sum(), (to_two * (two - two.sum(0) / 4)).sum()
        adjoint = lax.dynamic_update_index_in_dim(adjoint, moved(to_one, of_left), left, 0)
        return lax.dynamic_update_index_in_dim(adjoint, moved(to_two, of_right), right, 0), slopes

    start = jnp.zeros_like(partial).at[-1].set(1 / total)
    _, (of_left, of_right) = lax.scan(down, start, sequences, reverse=True)
    slope = jnp.zeros_like(length).at[left].set(of_left).at[right].set(of_right)
    return [jnp.log(total / 4).sum(), slope * stays * (-4 / 3)]


WORKLOADS = (
    task(
        "segmentation",
        "best split of 800 values into segments, with the way back until its start",
        recursions.segmentation,
        _levels,
        _segmentation,
        _segmentation_tuned,
    ),
    task(
        "growth-model",
        "policy iteration of a growth model, 200 places, 100 choices, 20 sweeps, nested loops, until it converges",
        recursions.growth_model,
        _capital,
        _growth,
        _growth_tuned,
        close(1e-7),
    ),
    task(
        "sinkhorn-grad",
        "entropic transport of 48 points in 50 steps, with gradient in the points",
        recursions.sinkhorn,
        _clouds,
        _sinkhorn,
        _sinkhorn_tuned,
        close(1e-7),
    ),
    task(
        "inside-grad",
        "inside algorithm of a grammar with 8 symbols, 24 words, with gradient",
        recursions.inside,
        _sentence,
        _inside,
        _inside_tuned,
        close(1e-7),
    ),
    task(
        "pruning-grad",
        "likelihood of a tree of 24 leaves, 200 sites, with gradient in the lengths of branches",
        recursions.pruning,
        _tree,
        _pruning,
        _pruning_tuned,
        close(1e-7),
    ),
)
