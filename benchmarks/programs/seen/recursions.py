"""Recursions over tables, trees and grids, float64."""

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

DISCOUNT, SHARE, WEAR, TOLERANCE = 0.95, 0.36, 0.1, 1e-8
HIGH = 1e30


def segmentation(aesara: Any) -> Any:
    """Cost of the best split of a series into segments of one mean each, their number and where they start, last first
    (Jackson et al. 2005)."""
    at = aesara.tensor
    y, penalty = at.dvector("y"), at.dscalar("penalty")
    size = y.shape[0]
    zero = at.zeros((1,), dtype="float64")
    sums, squares = at.concatenate([zero, at.cumsum(y)]), at.concatenate([zero, at.cumsum(y**2)])
    first = at.arange(size)

    def step(t: Any, best: Any) -> list[Any]:
        count = at.cast(at.maximum(t - first, 1), "float64")
        cost = squares[t] - squares[:-1] - (sums[t] - sums[:-1]) ** 2 / count
        total = at.switch(first < t, best[:-1] + cost + penalty, HIGH)
        return [at.set_subtensor(best[t], total.min()), at.cast(at.argmin(total), "int32")]

    start = at.zeros((size + 1,), dtype="float64")
    (best, came), updates = aesara.scan(step, sequences=at.arange(1, size + 1), outputs_info=[start, None])

    def back(end: Any) -> Any:
        begins = came[end - 1]
        return begins, until(aesara, at.eq(begins, 0))

    begins, _ = aesara.scan(back, outputs_info=at.cast(size, "int32"), n_steps=size)
    padded = at.zeros((size,), dtype="int32")
    padded = at.set_subtensor(padded[: begins.shape[0]], begins)
    outputs = [best[-1][-1], at.cast(begins.shape[0], "int32"), padded]
    return aesara.function([y, penalty], outputs, updates=updates)


def growth_model(aesara: Any, rounds: int, sweeps: int) -> Any:
    """Values of a model of growth on a grid of capital, the capital that is left at each, and the rounds, by modified
    policy iteration with linear interpolation (Puterman and Shin 1978)."""
    at = aesara.tensor
    capital, saved = at.dvector("capital"), at.dvector("saved")
    low, width = capital[0], capital[1] - capital[0]
    output = (capital**SHARE + (1 - WEAR) * capital).dimshuffle(0, "x")
    left, utility = output * saved, at.log(output * (1 - saved))

    def interpolated(value: Any, x: Any) -> Any:
        place = at.clip((x - low) / width, 0.0, capital.shape[0] - 1.0)
        i = at.minimum(at.cast(at.floor(place), "int32"), capital.shape[0] - 2)
        part = place - i
        return (1 - part) * value[i] + part * value[i + 1]

    def improved(value: Any) -> Any:
        policy = at.argmax(utility + DISCOUNT * interpolated(value, left), axis=1)
        every = at.arange(capital.shape[0])
        gain, after = utility[every, policy], left[every, policy]

        def sweep(value: Any) -> Any:
            return gain + DISCOUNT * interpolated(value, after)

        swept, _ = aesara.scan(sweep, outputs_info=value, n_steps=sweeps)
        new = swept[-1]
        return [new, after], until(aesara, abs(new - value).max() < TOLERANCE)

    start = at.zeros_like(capital)
    (value, after), updates = aesara.scan(improved, outputs_info=[start, None], n_steps=rounds)
    outputs = [value[-1], after[-1], at.cast(value.shape[0], "int32")]
    return aesara.function([capital, saved], outputs, updates=updates)


def sinkhorn(aesara: Any, steps: int, blur: float) -> Any:
    """Cost of moving one cloud of points to another with an entropy of weight ``blur``, and its gradient in the first
    (Cuturi 2013)."""
    at = aesara.tensor
    x, y = at.dmatrix("x"), at.dmatrix("y")
    apart = ((x.dimshuffle(0, "x", 1) - y) ** 2).sum(axis=2)
    log_x, log_y = (-at.log(at.cast(points.shape[0], "float64")) for points in (x, y))

    def step(f: Any, g: Any) -> list[Any]:
        f = -blur * at.logsumexp((g - apart) / blur + log_y, axis=1)
        return [f, -blur * at.logsumexp((f.dimshuffle(0, "x") - apart) / blur + log_x, axis=0)]

    start = [at.zeros_like(x[:, 0]), at.zeros_like(y[:, 0])]
    (f, g), updates = aesara.scan(step, outputs_info=start, n_steps=steps)
    cost = f[-1].mean() + g[-1].mean()
    return aesara.function([x, y], [cost, aesara.grad(cost, x)], updates=updates)


def inside(aesara: Any) -> Any:
    """Log-probability of a sentence under a grammar, by spans of growing length (Baker 1979), and its gradients in
    ``rules (symbol, left, right)`` and ``lexicon (symbol, word)``; symbol 0 is the sentence's."""
    at = aesara.tensor
    words, rules, lexicon = at.ivector("words"), at.dtensor3("rules"), at.dmatrix("lexicon")
    size, symbols = words.shape[0], rules.shape[0]
    first, split = at.arange(size).dimshuffle("x", 0), at.arange(size).dimshuffle(0, "x")

    def step(d: Any, chart: Any) -> Any:
        right = chart[(d - 1 - split) % size, (first + split + 1) % size]
        pairs = (chart.dimshuffle(0, 1, 2, "x") * right.dimshuffle(0, 1, "x", 2)).sum(axis=0)
        return at.set_subtensor(chart[d], at.tensordot(pairs, rules, axes=[[1, 2], [1, 2]]))

    start = at.zeros((size, size, symbols), dtype="float64")
    start = at.set_subtensor(start[0], lexicon[:, words].T)
    chart, updates = aesara.scan(step, sequences=at.arange(1, size), outputs_info=start)
    value = at.log(chart[-1][size - 1, 0, 0])
    return aesara.function([words, rules, lexicon], [value, *aesara.grad(value, [rules, lexicon])], updates=updates)


def pruning(aesara: Any) -> Any:
    """Log-likelihood of aligned sequences on a tree and its gradient in the lengths of the branches above all nodes but
    the root (Felsenstein 1981; Jukes and Cantor 1969). ``leaves (leaf, site, 4)``; a row of ``children`` has those of
    an inner node, which are numbered after the leaves."""
    at = aesara.tensor
    leaves, children, length = at.dtensor3("leaves"), at.imatrix("children"), at.dvector("length")
    count, inner = leaves.shape[0], children.shape[0]
    stays = at.exp(-4 * length / 3).dimshuffle(0, "x", "x")
    change = stays * at.eye(4, dtype="float64") + (1 - stays) / 4

    def step(node: Any, pair: Any, partial: Any) -> Any:
        left, right = pair[0], pair[1]
        both = at.dot(partial[left], change[left]) * at.dot(partial[right], change[right])
        return at.set_subtensor(partial[node], both)

    start = at.concatenate([leaves, at.zeros((inner, leaves.shape[1], 4), dtype="float64")])
    partial, updates = aesara.scan(step, sequences=[count + at.arange(inner), children], outputs_info=start)
    value = at.log(partial[-1][-1].mean(axis=1)).sum()
    return aesara.function([leaves, children, length], [value, aesara.grad(value, length)], updates=updates)
