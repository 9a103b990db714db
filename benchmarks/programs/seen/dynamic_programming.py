"""Dynamic programming: paths, sequences, segments and learned decisions."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

HIGH = 1e30
"""Score of what is impossible."""
DISCOUNT, LEARNING, EXPLORING = 0.95, 0.2, 0.1


def bellman_ford(aesara: Any) -> Any:
    """Distances from the first place and the number of rounds until none changes (Bellman 1958); a row of ``near``
    and ``apart`` has a place's neighbours."""
    at = aesara.tensor
    near, apart = at.imatrix("near"), at.dmatrix("apart")
    count = near.shape[0]

    def improved(distance: Any) -> Any:
        new = at.minimum(distance, (distance[near] + apart).min(axis=1))
        return new, until(aesara, at.all(at.eq(new, distance)))

    start = at.set_subtensor(at.full((count,), HIGH, dtype="float64")[0], 0.0)
    distance, updates = aesara.scan(improved, outputs_info=start, n_steps=count)
    return aesara.function([near, apart], [distance[-1], at.cast(distance.shape[0], "int32")], updates=updates)


def longest_subsequence(aesara: Any) -> Any:
    """Length of the longest increasing subsequence that ends at each value, by patience sorting (Fredman 1975)."""
    at = aesara.tensor
    x = at.dvector("x")

    def step(x_t: Any, least: Any) -> list[Any]:
        place = at.searchsorted(least, x_t)
        return [at.set_subtensor(least[place], x_t), at.cast(place + 1, "int32")]

    start = at.full((x.shape[0],), HIGH, dtype="float64")
    (_, length), updates = aesara.scan(step, sequences=x, outputs_info=[start, None])
    return aesara.function([x], length, updates=updates)


def semi_markov(aesara: Any, longest: int) -> Any:
    """Log-partition function of a semi-Markov conditional random field and its gradients in the scores of labels, of
    transitions and of lengths (Sarawagi and Cohen 2004); segments have at most ``longest`` steps."""
    at = aesara.tensor
    scores, A, lengths = at.dmatrix("scores"), at.dmatrix("A"), at.dmatrix("lengths")
    labels = A.shape[0]
    total = at.concatenate([at.zeros((longest, labels), dtype="float64"), at.cumsum(scores, axis=0)])

    def step(*values: Any) -> Any:
        now, totals, alphas = values[0], values[1 : longest + 1], values[longest + 1 :]
        reached = [
            at.logsumexp(alpha.dimshuffle(0, "x") + A, axis=0) + now - before + lengths[d]
            for d, (before, alpha) in enumerate(zip(totals, alphas, strict=True))
        ]
        return at.logsumexp(at.stack(reached), axis=0)

    taps = list(range(-1, -longest - 1, -1))
    start = at.full((longest, labels), -HIGH, dtype="float64")
    start = at.set_subtensor(start[-1], at.zeros((labels,), dtype="float64"))
    alpha, updates = aesara.scan(
        step, sequences={"input": total, "taps": [0, *taps]}, outputs_info={"initial": start, "taps": taps}
    )
    value = at.logsumexp(alpha[-1])
    inputs = [scores, A, lengths]
    return aesara.function(inputs, [value, *aesara.grad(value, inputs)], updates=updates)


def q_learning(aesara: Any) -> Any:
    """Learned values and rewards of Q-learning (Watkins 1989) in a given world; ``u`` decides where the action is
    ``other`` instead of the best."""
    at = aesara.tensor
    after, reward = at.imatrix("after"), at.dmatrix("reward")
    u, other = at.dvector("u"), at.ivector("other")

    def step(u_t: Any, other_t: Any, state: Any, Q: Any) -> list[Any]:
        action = at.switch(u_t < EXPLORING, other_t, at.cast(at.argmax(Q[state]), "int32"))
        new, gain = after[state, action], reward[state, action]
        error = gain + DISCOUNT * Q[new].max() - Q[state, action]
        return [new, at.inc_subtensor(Q[state, action], LEARNING * error), gain]

    start = [at.zeros((), dtype="int32"), at.zeros_like(reward), None]
    (_, Q, gain), updates = aesara.scan(step, sequences=[u, other], outputs_info=start)
    return aesara.function([after, reward, u, other], [Q[-1], gain], updates=updates)
