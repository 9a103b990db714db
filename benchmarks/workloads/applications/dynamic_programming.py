"""Dynamic programming."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.program import unroll
from benchmarks.programs.applications import dynamic_programming as programs
from benchmarks.programs.applications.dynamic_programming import DISCOUNT, GAP_EXTEND, GAP_OPEN, LOW, SOFTNESS
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _markov(rng: np.random.Generator, scale: Scale, states: int, logs: bool) -> Inputs:
    start, A, B = (
        rng.dirichlet(np.ones(shape[-1]), shape[:-1]) for shape in ((states,), (states, states), (states, 16))
    )
    seen = rng.integers(0, 16, scale.steps(1_000, quick=50)).astype("int32")
    return inputs(seen, *(map(np.log, (start, A, B)) if logs else (start, A, B)))


def _viterbi(seen: Any, start: Any, A: Any, B: Any) -> list[Any]:
    def forward(score: Any, symbol: Any) -> tuple[Any, Any]:
        reached = score[:, None] + A
        return reached.max(0) + B[:, symbol], reached.argmax(0)

    score, parent = lax.scan(forward, start + B[:, seen[0]], seen[1:])
    last = score.argmax()

    def backward(state: Any, back: Any) -> tuple[Any, Any]:
        return back[state], state

    first, path = lax.scan(backward, last, parent, reverse=True)
    return [jnp.concatenate([first[None], path]), score.max()]


def _viterbi_tuned(seen: Any, start: Any, A: Any, B: Any) -> list[Any]:
    """Only scores in the forward loop, with a row for each next state; on the way back, the best of one row."""
    into = A.T.copy()
    chances = B.T[seen]

    def forward(score: Any, chance: Any) -> tuple[Any, Any]:
        return (into + score).max(1) + chance, score

    score, before = lax.scan(forward, start + chances[0], chances[1:], unroll=unroll(1, 8))
    last = score.argmax()

    def backward(state: Any, score: Any) -> tuple[Any, Any]:
        return (score + into[state]).argmax(), state

    first, path = lax.scan(backward, last, before, reverse=True)
    return [jnp.concatenate([first[None], path]), score.max()]


def _language(rng: np.random.Generator, scale: Scale) -> Inputs:
    words = scale.pick(128, quick=20)
    A, B = (np.log(rng.dirichlet(np.full(words, 0.3), n) + 1e-12) for n in (words, scale.steps(100, quick=12)))
    return inputs(A.astype("float32"), B.astype("float32"), beams=8)


def _beam_search(A: Any, B: Any, beams: int, fast: bool = False) -> list[Any]:
    """``fast``: selects the best without sorting all."""

    def best(scores: Any) -> tuple[Any, Any]:
        if fast:
            return tuple(lax.top_k(scores, beams))
        order = jnp.argsort(-scores)[:beams]
        return scores[order], order

    def forward(carry: tuple[Any, Any], b: Any) -> tuple[tuple[Any, Any], Any]:
        score, word = carry
        score, found = best((score[:, None] + A[word] + b).ravel())
        word = found % len(A)
        return (score, word), (word, found // len(A))

    score, first = best(B[0])
    (score, _), (word, parent) = lax.scan(forward, (score, first), B[1:])

    def backward(beam: Any, now: tuple[Any, Any]) -> tuple[Any, Any]:
        word, parent = now
        return parent[beam], word[beam]

    origin, found = lax.scan(backward, jnp.arange(beams, dtype=word.dtype), (word, parent), reverse=True)
    return [jnp.concatenate([found[::-1], first[origin][None]]), score]


def _texts(rng: np.random.Generator, scale: Scale) -> Inputs:
    one, two = (rng.integers(0, 4, scale.pick(size, quick=size // 10)).astype("int32") for size in (200, 180))
    return inputs(one, two)


def _edit_distance(one: Any, two: Any) -> Any:
    def row(above: Any, letter: Any) -> tuple[Any, None]:
        def cell(left: Any, now: Any) -> tuple[Any, Any]:
            other, diagonal, up = now
            value = jnp.minimum(jnp.minimum(left, up) + 1, diagonal + (other != letter))
            return value, value

        first = above[0] + 1
        rest = lax.scan(cell, first, (two, above[:-1], above[1:]))[1]
        return jnp.concatenate([first[None], rest]), None

    return lax.scan(row, jnp.arange(len(two) + 1, dtype="int32"), one)[0][-1]


def _edit_distance_tuned(one: Any, two: Any) -> Any:
    """Anti-diagonals, each from the two before it."""
    rows = jnp.arange(len(one) + 1, dtype="int32")
    shifted = jnp.concatenate([jnp.full(1, -1, "int32"), one])
    texts = jnp.concatenate([jnp.full(len(one), -2, "int32"), two[::-1], jnp.full(len(one) + 1, -3, "int32")])
    size = len(one) + len(two)

    def diagonal(carry: tuple[Any, Any], t: Any) -> tuple[tuple[Any, Any], None]:
        older, old = carry
        letters = lax.dynamic_slice(texts, (len(one) + len(two) - t,), (len(rows),))
        inner = jnp.minimum(
            jnp.minimum(old[1:], old[:-1]) + 1, older[:-1] + (letters[1:] != shifted[1:]).astype("int32")
        )
        values = jnp.concatenate([t[None], inner])
        return (old, jnp.where(rows == t, t, values)), None

    big = jnp.full(len(rows), 10**6, "int32")
    start = big.at[0].set(0), big.at[:2].set(1)
    return lax.scan(diagonal, start, jnp.arange(2, size + 1, dtype="int32"))[0][1][-1]


def _proteins(rng: np.random.Generator, scale: Scale) -> Inputs:
    one, two = (rng.integers(0, 20, scale.pick(size, quick=size // 10)).astype("int32") for size in (150, 130))
    root = rng.normal(size=(20, 20))
    return inputs(one, two, root + root.T + 4 * np.eye(20))


def _affine_gaps(one: Any, two: Any, scores: Any) -> Any:
    def row(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], None]:
        (best, gap), (letter, t) = carry, now
        gap = jnp.maximum(best - GAP_OPEN, gap) - GAP_EXTEND

        def cell(carry: tuple[Any, Any], now: Any) -> tuple[tuple[Any, Any], Any]:
            (left, across), (match, diagonal, down) = carry, now
            across = jnp.maximum(left - GAP_OPEN, across) - GAP_EXTEND
            value = jnp.maximum(diagonal + match, jnp.maximum(down, across))
            return (value, across), value

        first = -GAP_OPEN - GAP_EXTEND * t
        rest = lax.scan(cell, (first, jnp.float64(LOW)), (scores[letter, two], best[:-1], gap[1:]))[1]
        return (jnp.concatenate([first[None], rest]), gap), None

    columns = jnp.arange(len(two) + 1.0)
    start = jnp.where(columns > 0, -GAP_OPEN - GAP_EXTEND * columns, 0.0), jnp.full(len(two) + 1, LOW)
    (best, _), _ = lax.scan(row, start, (one, jnp.arange(1.0, len(one) + 1)))
    return best[-1]


def _affine_gaps_tuned(one: Any, two: Any, scores: Any) -> Any:
    """All that a cell needs from the row above is computed for the whole row, scores of the matches before the loop."""

    def row(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], None]:
        (best, gap), (match, t) = carry, now
        gap = jnp.maximum(best - GAP_OPEN, gap) - GAP_EXTEND

        def cell(carry: tuple[Any, Any], above: Any) -> tuple[tuple[Any, Any], Any]:
            left, across = carry
            across = jnp.maximum(left - GAP_OPEN, across) - GAP_EXTEND
            value = jnp.maximum(above, across)
            return (value, across), value

        first = -GAP_OPEN - GAP_EXTEND * t
        rest = lax.scan(cell, (first, jnp.float64(LOW)), jnp.maximum(best[:-1] + match, gap[1:]))[1]
        return (jnp.concatenate([first[None], rest]), gap), None

    columns = jnp.arange(len(two) + 1.0)
    start = jnp.where(columns > 0, -GAP_OPEN - GAP_EXTEND * columns, 0.0), jnp.full(len(two) + 1, LOW)
    (best, _), _ = lax.scan(row, start, (scores[one[:, None], two], jnp.arange(1.0, len(one) + 1)))
    return best[-1]


def _curves(rng: np.random.Generator, scale: Scale) -> Inputs:
    return inputs(*(rng.normal(size=(scale.pick(size, quick=size // 8), 3)).cumsum(0) for size in (80, 72)))


def _soft_dtw_cost(x: Any, y: Any) -> Any:
    def row(above: Any, x_i: Any) -> tuple[Any, None]:
        cost = ((x_i - y) ** 2).sum(1)

        def cell(left: Any, now: Any) -> tuple[Any, Any]:
            cost, diagonal, up = now
            value = cost - SOFTNESS * jax.nn.logsumexp(-jnp.stack([diagonal, up, left]) / SOFTNESS)
            return value, value

        first = jnp.float64(-LOW)
        rest = lax.scan(cell, first, (cost, above[:-1], above[1:]))[1]
        return jnp.concatenate([first[None], rest]), None

    start = jnp.where(jnp.arange(len(y) + 1) == 0, 0.0, -LOW)
    return lax.scan(row, start, x)[0][-1]


def _soft_dtw(x: Any, y: Any) -> list[Any]:
    return list(jax.value_and_grad(_soft_dtw_cost)(x, y))


def _skewed(table: Any, fill: float) -> Any:
    """Anti-diagonals of a table ``(n, m)`` as rows ``(n + m - 1, n)``, each at the place of its row."""
    n, m = table.shape
    padded = jnp.pad(table, ((0, 0), (0, n)), constant_values=fill).ravel()
    return padded[: n * (n + m - 1)].reshape(n, n + m - 1).T


def _soft_dtw_tuned(x: Any, y: Any) -> list[Any]:
    """Anti-diagonals; the gradient in the costs by the recursion of Cuturi and Blondel's algorithm 2, in the same
    order; the gradient in ``x`` after the loop."""
    n, m = len(x), len(y)
    apart = x[:, None] - y
    costs = _skewed((apart**2).sum(-1), -LOW)

    def diagonal(carry: tuple[Any, Any], cost: Any) -> tuple[tuple[Any, Any], Any]:
        older, old = carry
        values = jnp.stack([older[:-1], old[:-1], old[1:]])
        least = values.min(0)
        weights = jnp.exp((least - values) / SOFTNESS)
        total = weights.sum(0)
        best = cost + least - SOFTNESS * jnp.log(total)
        return (old, jnp.concatenate([jnp.full(1, -LOW), best])), weights / total

    far = jnp.full(n + 1, -LOW)
    (_, last), weights = lax.scan(diagonal, (far.at[0].set(0.0), far), costs)

    def reverse(carry: tuple[Any, Any], weights: Any) -> tuple[tuple[Any, Any], Any]:
        """``later`` and ``latest``: what the next diagonal and the one after ask of this one, in places 0 to n."""
        later, latest = carry
        mine = later[1:]
        diagonal, up, left = weights * mine
        zero = jnp.zeros(1)
        return (
            latest + jnp.concatenate([up, zero]) + jnp.concatenate([zero, left]),
            jnp.concatenate([diagonal, zero]),
        ), mine

    start = jnp.zeros(n + 1).at[-1].set(1.0), jnp.zeros(n + 1)
    _, found = lax.scan(reverse, start, weights, reverse=True)
    back = jnp.pad(found.T.ravel(), (0, n)).reshape(n, n + m)[:, :m]
    return [last[-1], 2 * (back[:, :, None] * apart).sum(1)]


def _items(rng: np.random.Generator, scale: Scale) -> Inputs:
    count = scale.steps(200, quick=20)
    return inputs(
        rng.integers(1, 50, count).astype("int32"),
        rng.uniform(1, 10, count),
        capacity=scale.pick(2_000, quick=100),
    )


def _knapsack(weight: Any, value: Any, capacity: int) -> Any:
    place = jnp.arange(capacity + 1)

    def item(best: Any, now: tuple[Any, Any]) -> tuple[Any, None]:
        weight, value = now
        without = place - weight
        taken = jnp.where(without >= 0, best[jnp.maximum(without, 0)] + value, LOW)
        return jnp.maximum(best, taken), None

    return lax.scan(item, jnp.zeros(capacity + 1), (weight, value))[0]


def _knapsack_tuned(weight: Any, value: Any, capacity: int) -> Any:
    """Shifted values as a slice of a padded array."""
    low = jnp.full(capacity + 1, LOW)

    def item(best: Any, now: tuple[Any, Any]) -> tuple[Any, None]:
        weight, value = now
        shifted = lax.dynamic_slice(jnp.concatenate([low, best]), (capacity + 1 - weight,), (capacity + 1,))
        return jnp.maximum(best, shifted + value), None

    return lax.scan(item, jnp.zeros(capacity + 1), (weight, value))[0]


def _speech(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, labels = scale.pick((200, 40), quick=(30, 6))
    return inputs(rng.normal(size=(steps, 30)), rng.integers(1, 30, labels).astype("int32"))


def _ctc(logits: Any, labels: Any, linear: bool = False) -> list[Any]:
    """``linear``: probabilities instead of their logarithms, scaled at every step."""

    def cost(logits: Any) -> Any:
        extended = jnp.zeros(2 * len(labels) + 1, "int32").at[1::2].set(labels)
        before = jnp.concatenate([jnp.zeros(2, "int32"), extended[:-2]])
        skips = (extended != 0) & (extended != before)
        shifted = jax.nn.log_softmax(logits, axis=1)

        def step(alpha: Any, scores: Any) -> tuple[Any, None]:
            low = jnp.full(2, LOW)
            one, two = jnp.concatenate([low[:1], alpha[:-1]]), jnp.concatenate([low, alpha[:-2]])
            reached = jax.nn.logsumexp(jnp.stack([alpha, one, jnp.where(skips, two, LOW)]), axis=0)
            return reached + scores[extended], None

        def scaled(alpha: Any) -> tuple[Any, Any]:
            total = alpha.sum()
            return alpha / total, total

        def fast(alpha: Any, chances: Any) -> tuple[Any, Any]:
            wide = jnp.concatenate([jnp.zeros(2), alpha])
            return scaled((alpha + wide[1:-1] + allowed * wide[:-2]) * chances)

        if not linear:
            start = jnp.where(jnp.arange(len(extended)) < 2, shifted[0][extended], LOW)
            return -jax.nn.logsumexp(lax.scan(step, start, shifted[1:])[0][-2:])
        allowed = skips.astype(logits.dtype)
        chances = jnp.exp(shifted) @ (jnp.arange(logits.shape[1])[:, None] == extended).astype(logits.dtype)
        first, size = scaled(jnp.where(jnp.arange(len(extended)) < 2, chances[0], 0))
        last, sizes = lax.scan(fast, first, chances[1:], unroll=unroll(1, 8))
        return -jnp.log(last[-2:].sum()) - jnp.log(size) - jnp.log(sizes).sum()

    return list(jax.value_and_grad(cost)(logits))


def _chain(rng: np.random.Generator, scale: Scale) -> Inputs:
    count = scale.pick(48, quick=10)
    return inputs(rng.integers(5, 60, count + 1).astype(float), count=count)


def _matrix_chain(sizes: Any, count: int) -> Any:
    place = jnp.arange(count)

    def length(cost: Any, span: Any) -> tuple[Any, None]:
        last = jnp.minimum(place + span, count - 1)
        split = place[:, None] + place
        inside = jnp.minimum(split, count - 2)
        join = sizes[place][:, None] * sizes[inside + 1] * sizes[last + 1][:, None]
        every = cost[place[:, None], inside] + cost[inside + 1, last[:, None]] + join
        best = jnp.where(split < last[:, None], every, -LOW).min(1)
        best = jnp.where(place + span < count, best, cost[place, last])
        return cost.at[place, last].set(best), None

    return lax.scan(length, jnp.zeros((count, count)), jnp.arange(1, count))[0][0, -1]


def _matrix_chain_tuned(sizes: Any, count: int) -> Any:
    """Costs by first matrix and length, and by last matrix and length from the longest on, so that those of all splits
    are slices; what is impossible costs most, so that nothing is masked."""

    def length(carry: tuple[Any, Any], span: Any) -> tuple[tuple[Any, Any], None]:
        ahead, behind = carry
        tall = lax.dynamic_slice(jnp.concatenate([behind, far]), (span, 0), (count, count))
        right = lax.dynamic_slice(jnp.concatenate([tall, far], axis=1), (0, count - span), (count, count))
        join = sizes[:count, None] * windows * lax.dynamic_slice(ends, (span,), (count,))[:, None]
        best = (ahead + right + join).min(1)
        ahead = lax.dynamic_update_slice(ahead, best[:, None], (0, span))
        shifted = lax.dynamic_slice(jnp.concatenate([far[0], best]), (count - span,), (count,))
        return (ahead, lax.dynamic_update_slice(behind, shifted[:, None], (0, count - 1 - span))), None

    far = jnp.full((count, count), -LOW)
    ends = jnp.concatenate([sizes[1:], jnp.ones(count)])
    windows = jnp.stack([ends[i : i + count] for i in range(count)])
    start = far.at[:, 0].set(0.0), far.at[:, -1].set(0.0)
    return lax.scan(length, start, jnp.arange(1, count))[0][0][0, -1]


def _decisions(rng: np.random.Generator, scale: Scale) -> Inputs:
    states = scale.pick(100, quick=10)
    P = rng.dirichlet(np.full(states, 0.3), (8, states))
    return inputs(P, rng.normal(size=(states, 8)), sweeps=scale.steps(200, quick=20))


def _value_iteration(P: Any, R: Any, sweeps: int) -> list[Any]:
    def sweep(v: Any, _: None) -> tuple[Any, None]:
        return (R + DISCOUNT * (P @ v).T).max(1), None

    v, _ = lax.scan(sweep, jnp.zeros(len(R)), None, length=sweeps)
    return [v, (R + DISCOUNT * (P @ v).T).argmax(1)]


def _forward_backward(seen: Any, start: Any, A: Any, B: Any) -> Any:
    def forward(alpha: Any, symbol: Any) -> tuple[Any, Any]:
        alpha = alpha @ A * B[:, symbol]
        alpha = alpha / alpha.sum()
        return alpha, alpha

    def backward(beta: Any, symbol: Any) -> tuple[Any, Any]:
        beta = A @ (B[:, symbol] * beta)
        beta = beta / beta.sum()
        return beta, beta

    first = start * B[:, seen[0]]
    first = first / first.sum()
    ones = jnp.ones_like(start)
    alpha = lax.scan(forward, first, seen[1:])[1]
    beta = lax.scan(backward, ones, seen[1:], reverse=True)[1]
    both = jnp.concatenate([first[None], alpha]) * jnp.concatenate([beta, ones[None]])
    return both / both.sum(1, keepdims=True)


def _roads(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(96, quick=12)
    distance = np.where(rng.uniform(size=(size, size)) < 0.1, rng.uniform(1, 10, (size, size)), 1e9)
    return inputs(distance * (1 - np.eye(size)))


def _shortest_paths(distance: Any) -> Any:
    def through(d: Any, k: Any) -> tuple[Any, None]:
        return jnp.minimum(d, d[:, k][:, None] + d[k]), None

    return lax.scan(through, distance, jnp.arange(len(distance)))[0]


WORKLOADS = (
    task(
        "viterbi",
        "most likely states, 32 states, T=1,000, with backtrace",
        programs.viterbi,
        partial(_markov, states=32, logs=True),
        _viterbi,
        _viterbi_tuned,
    ),
    task(
        "beam-search",
        "beam search, 128 words, 8 beams, T=100",
        programs.beam_search,
        _language,
        _beam_search,
        partial(_beam_search, fast=True),
    ),
    task(
        "edit-distance",
        "edit distance of 200 and 180 letters, nested loops",
        programs.edit_distance,
        _texts,
        _edit_distance,
        _edit_distance_tuned,
    ),
    task(
        "affine-gaps",
        "alignment with affine gaps, 150 and 130 letters, nested loops",
        programs.affine_gaps,
        _proteins,
        _affine_gaps,
        _affine_gaps_tuned,
    ),
    task(
        "soft-dtw-grad",
        "soft dynamic time warping, 80 and 72 points, with gradient",
        programs.soft_dtw,
        _curves,
        _soft_dtw,
        _soft_dtw_tuned,
        close(1e-7),
    ),
    task(
        "knapsack",
        "knapsack of 200 items, capacities up to 2,000",
        programs.knapsack,
        _items,
        _knapsack,
        _knapsack_tuned,
    ),
    task(
        "ctc-grad",
        "connectionist temporal classification, 40 labels, T=200, with gradient",
        programs.ctc,
        _speech,
        _ctc,
        partial(_ctc, linear=True),
        close(1e-8),
    ),
    task(
        "matrix-chain", "order of 48 matrix products", programs.matrix_chain, _chain, _matrix_chain, _matrix_chain_tuned
    ),
    task(
        "value-iteration",
        "values of a decision process, 100 states, 8 actions, 200 sweeps",
        programs.value_iteration,
        _decisions,
        _value_iteration,
    ),
    task(
        "forward-backward",
        "posterior of a hidden Markov model, 16 states, T=1,000",
        programs.forward_backward,
        partial(_markov, states=16, logs=False),
        _forward_backward,
    ),
    task("shortest-paths", "distances of all pairs of 96 places", programs.shortest_paths, _roads, _shortest_paths),
)
