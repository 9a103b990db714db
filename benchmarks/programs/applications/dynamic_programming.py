"""Dynamic programming: sequences, paths and decisions."""

# ruff: noqa: N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

GAP_OPEN, GAP_EXTEND = 3.0, 1.0
SOFTNESS = 0.5
DISCOUNT = 0.95
LOW = -1e30
"""Score of what is impossible."""


def viterbi(aesara: Any) -> Any:
    """Most likely states of a hidden Markov model and their score (Viterbi 1967)."""
    at = aesara.tensor
    seen, start, A, B = at.ivector("seen"), at.dvector("start"), at.dmatrix("A"), at.dmatrix("B")

    def forward(symbol: Any, score: Any) -> list[Any]:
        reached = score.dimshuffle(0, "x") + A
        return [reached.max(axis=0) + B[:, symbol], reached.argmax(axis=0)]

    (score, parent), updates = aesara.scan(forward, sequences=seen[1:], outputs_info=[start + B[:, seen[0]], None])
    last = score[-1].argmax()
    path, _ = aesara.scan(lambda back, state: back[state], sequences=parent, outputs_info=last, go_backwards=True)
    states = at.concatenate([path[::-1], last.dimshuffle("x")])
    return aesara.function([seen, start, A, B], [states, score[-1].max()], updates=updates)


def beam_search(aesara: Any, beams: int) -> Any:
    """Best sequences of a first-order model with scores that change with time, and their scores, best first."""
    at = aesara.tensor
    A, B = at.fmatrix("A"), at.fmatrix("B")
    words = A.shape[0]

    def forward(b: Any, score: Any, word: Any) -> list[Any]:
        every = (score.dimshuffle(0, "x") + A[word] + b).flatten()
        best = at.argsort(-every)[:beams]
        return [every[best], best % words, best // words]

    first = at.argsort(-B[0])[:beams]
    (score, word, parent), updates = aesara.scan(forward, sequences=B[1:], outputs_info=[B[0][first], first, None])

    def backward(word: Any, parent: Any, beam: Any) -> list[Any]:
        return [parent[beam], word[beam]]

    (origin, words_back), _ = aesara.scan(
        backward, sequences=[word, parent], outputs_info=[at.arange(beams), None], go_backwards=True
    )
    found = at.concatenate([words_back, first[origin[-1]].dimshuffle("x", 0)[:1]])
    return aesara.function([A, B], [at.cast(found, "int32"), score[-1]], updates=updates)


def edit_distance(aesara: Any) -> Any:
    """Levenshtein distance of two texts, by rows and within a row from left to right."""
    at = aesara.tensor
    one, two = at.ivector("one"), at.ivector("two")

    def row(letter: Any, above: Any) -> Any:
        def cell(other: Any, diagonal: Any, up: Any, left: Any) -> Any:
            return at.minimum(at.minimum(left, up) + 1, diagonal + at.cast(at.neq(other, letter), "int32"))

        first = above[0] + 1
        rest, _ = aesara.scan(cell, sequences=[two, above[:-1], above[1:]], outputs_info=first)
        return at.concatenate([first.dimshuffle("x"), rest])

    start = at.arange(two.shape[0] + 1, dtype="int32")
    rows, updates = aesara.scan(row, sequences=one, outputs_info=start)
    return aesara.function([one, two], rows[-1, -1], updates=updates)


def affine_gaps(aesara: Any) -> Any:
    """Score of the best global alignment with affine gaps (Gotoh 1982)."""
    at = aesara.tensor
    one, two, scores = at.ivector("one"), at.ivector("two"), at.dmatrix("scores")

    def row(letter: Any, t: Any, best: Any, gap: Any) -> list[Any]:
        gap = at.maximum(best - GAP_OPEN, gap) - GAP_EXTEND

        def cell(match: Any, diagonal: Any, down: Any, left: Any, across: Any) -> list[Any]:
            across = at.maximum(left - GAP_OPEN, across) - GAP_EXTEND
            return [at.maximum(diagonal + match, at.maximum(down, across)), across]

        first = -GAP_OPEN - GAP_EXTEND * t
        low = at.constant(LOW, dtype="float64")
        (rest, _), _ = aesara.scan(cell, sequences=[scores[letter][two], best[:-1], gap[1:]], outputs_info=[first, low])
        return [at.concatenate([first.dimshuffle("x"), rest]), gap]

    columns = at.arange(two.shape[0] + 1, dtype="float64")
    start = at.switch(columns > 0, -GAP_OPEN - GAP_EXTEND * columns, 0.0)
    (best, _), updates = aesara.scan(
        row,
        sequences=[one, at.arange(1, one.shape[0] + 1, dtype="float64")],
        outputs_info=[start, at.full((two.shape[0] + 1,), LOW, dtype="float64")],
    )
    return aesara.function([one, two, scores], best[-1, -1], updates=updates)


def soft_dtw(aesara: Any) -> Any:
    """Soft dynamic time warping and its gradient with respect to ``x (n, d)`` (Cuturi and Blondel 2017)."""
    at = aesara.tensor
    x, y = at.dmatrix("x"), at.dmatrix("y")

    def row(x_i: Any, above: Any) -> Any:
        cost = ((x_i - y) ** 2).sum(axis=1)

        def cell(cost: Any, diagonal: Any, up: Any, left: Any) -> Any:
            return cost - SOFTNESS * at.logsumexp(-at.stack([diagonal, up, left]) / SOFTNESS)

        first = at.constant(-LOW, dtype="float64")
        rest, _ = aesara.scan(cell, sequences=[cost, above[:-1], above[1:]], outputs_info=first)
        return at.concatenate([first.dimshuffle("x"), rest])

    start = at.switch(at.eq(at.arange(y.shape[0] + 1), 0), 0.0, -LOW)
    rows, updates = aesara.scan(row, sequences=x, outputs_info=start)
    cost = rows[-1, -1]
    return aesara.function([x, y], [cost, aesara.grad(cost, x)], updates=updates)


def knapsack(aesara: Any, capacity: int) -> Any:
    """Greatest value for every capacity of a knapsack, each item at most once."""
    at = aesara.tensor
    weight, value = at.ivector("weight"), at.dvector("value")
    place = at.arange(capacity + 1)

    def item(weight: Any, value: Any, best: Any) -> Any:
        without = place - weight
        taken = at.switch(without >= 0, best[at.maximum(without, 0)] + value, LOW)
        return at.maximum(best, taken)

    start = at.zeros((capacity + 1,), dtype="float64")
    best, updates = aesara.scan(item, sequences=[weight, value], outputs_info=start)
    return aesara.function([weight, value], best[-1], updates=updates)


def ctc(aesara: Any) -> Any:
    """Negative log-likelihood of connectionist temporal classification (Graves et al. 2006) and its gradient in the
    logits ``(T, classes)``; class 0 is the blank."""
    at = aesara.tensor
    logits, labels = at.dmatrix("logits"), at.ivector("labels")
    size = 2 * labels.shape[0] + 1
    extended = at.set_subtensor(at.zeros((size,), dtype="int32")[1::2], labels)
    before = at.concatenate([at.zeros((2,), dtype="int32"), extended[:-2]])
    skips = at.and_(at.neq(extended, 0), at.neq(extended, before))
    shifted = logits - at.logsumexp(logits, axis=1, keepdims=True)

    def step(scores: Any, alpha: Any) -> Any:
        low = at.full((2,), LOW, dtype="float64")
        one, two = at.concatenate([low[:1], alpha[:-1]]), at.concatenate([low, alpha[:-2]])
        reached = at.logsumexp(at.stack([alpha, one, at.switch(skips, two, LOW)]), axis=0)
        return reached + scores[extended]

    start = at.switch(at.arange(size) < 2, shifted[0][extended], LOW)
    alpha, updates = aesara.scan(step, sequences=shifted[1:], outputs_info=start)
    cost = -at.logsumexp(alpha[-1][-2:])
    return aesara.function([logits, labels], [cost, aesara.grad(cost, logits)], updates=updates)


def matrix_chain(aesara: Any, count: int) -> Any:
    """Least number of multiplications for products of ``count`` neighbouring matrices: one length after the other."""
    at = aesara.tensor
    sizes = at.dvector("sizes")
    place = at.arange(count)

    def length(span: Any, cost: Any) -> Any:
        first = place
        last = at.minimum(first + span, count - 1)
        split = first.dimshuffle(0, "x") + place
        inside = at.minimum(split, count - 2)
        left = cost[first.dimshuffle(0, "x"), inside]
        right = cost[inside + 1, last.dimshuffle(0, "x")]
        join = sizes[first].dimshuffle(0, "x") * sizes[inside + 1] * sizes[last + 1].dimshuffle(0, "x")
        best = at.switch(split < last.dimshuffle(0, "x"), left + right + join, -LOW).min(axis=1)
        fits = first + span < count
        return at.set_subtensor(cost[first, last], at.switch(fits, best, cost[first, last]))

    start = at.zeros((count, count), dtype="float64")
    cost, updates = aesara.scan(length, sequences=at.arange(1, count), outputs_info=start)
    return aesara.function([sizes], cost[-1][0, -1], updates=updates)


def value_iteration(aesara: Any, sweeps: int) -> Any:
    """Values and greedy actions of a Markov decision process: ``P (actions, n, n)``, ``R (n, actions)``."""
    at = aesara.tensor
    P, R = at.dtensor3("P"), at.dmatrix("R")

    def sweep(v: Any) -> Any:
        return (R + DISCOUNT * at.dot(P, v).T).max(axis=1)

    v, updates = aesara.scan(sweep, outputs_info=at.zeros((R.shape[0],), dtype="float64"), n_steps=sweeps)
    actions = (R + DISCOUNT * at.dot(P, v[-1]).T).argmax(axis=1)
    return aesara.function([P, R], [v[-1], actions], updates=updates)


def forward_backward(aesara: Any) -> Any:
    """Posterior probabilities of a hidden Markov model's states (Rabiner 1989), scaled at every step."""
    at = aesara.tensor
    seen, start, A, B = at.ivector("seen"), at.dvector("start"), at.dmatrix("A"), at.dmatrix("B")

    def forward(symbol: Any, alpha: Any) -> Any:
        alpha = at.dot(alpha, A) * B[:, symbol]
        return alpha / alpha.sum()

    def backward(symbol: Any, beta: Any) -> Any:
        beta = at.dot(A, B[:, symbol] * beta)
        return beta / beta.sum()

    first = start * B[:, seen[0]]
    first = first / first.sum()
    alpha, updates = aesara.scan(forward, sequences=seen[1:], outputs_info=first)
    ones = at.ones_like(start)
    beta, _ = aesara.scan(backward, sequences=seen[1:], outputs_info=ones, go_backwards=True)
    both = at.concatenate([first.dimshuffle("x", 0), alpha])
    both = both * at.concatenate([beta[::-1], ones.dimshuffle("x", 0)])
    return aesara.function([seen, start, A, B], both / both.sum(axis=1, keepdims=True), updates=updates)


def shortest_paths(aesara: Any) -> Any:
    """Distances of all pairs (Floyd 1962)."""
    at = aesara.tensor
    distance = at.dmatrix("distance")

    def through(k: Any, d: Any) -> Any:
        return at.minimum(d, d[:, k].dimshuffle(0, "x") + d[k])

    d, updates = aesara.scan(through, sequences=at.arange(distance.shape[0]), outputs_info=distance)
    return aesara.function([distance], d[-1], updates=updates)
