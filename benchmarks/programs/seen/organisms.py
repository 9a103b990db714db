"""Trees, genes and minds."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import stream, until


def neighbour_joining(aesara: Any) -> Any:
    """Tree of organisms from the distances of all pairs, by joining those two that are near each other and far from the
    others (Saitou and Nei 1987; Studier and Keppler 1988), until four are left, any two of which may be joined: the two
    that are joined at each step, the first of them stands for both from then on, and the lengths of their branches.
    Float64."""
    at = aesara.tensor
    D = at.dmatrix("D")
    count = D.shape[0]

    def join(left: Any, D: Any, active: Any) -> list[Any]:
        far = at.dot(D, active)
        Q = (left - 2) * D - far.dimshuffle(0, "x") - far.dimshuffle("x", 0)
        pairs = at.triu(at.outer(active, active), 1)
        best = at.argmin(at.switch(pairs > 0, Q, 1e30).flatten())
        i, j = best // count, best % count
        to_i = D[i, j] / 2 + (far[i] - far[j]) / (2 * (left - 2))
        row = (D[i] + D[j] - D[i, j]) / 2
        D_new = at.set_subtensor(D[i], row)
        D_new = at.set_subtensor(D_new[:, i], row)
        D_new = at.set_subtensor(D_new[i, i], 0.0)
        active = at.set_subtensor(active[j], 0.0)
        return [D_new, active, at.cast(i, "int32"), at.cast(j, "int32"), to_i, D[i, j] - to_i]

    left = at.cast(at.arange(count, 4, -1), "float64")
    start = [D, at.ones_like(D[0]), None, None, None, None]
    (_, _, *found), updates = aesara.scan(join, sequences=left, outputs_info=start)
    return aesara.function([D], found, updates=updates)


def boolean_network(aesara: Any, most: int) -> Any:
    """Length of the cycle in which genes end that switch each other on and off (Kauffman 1969), and the number of genes
    that are on, summed over it. A walker and one of twice its speed meet on the cycle (Knuth 1969, exercise 3.1.6);
    then one goes round until it is back. ``inputs (gene, 2)``, ``rules (gene, 4)``. Int32."""
    at = aesara.tensor
    state, inputs, rules = at.ivector("state"), at.imatrix("inputs"), at.imatrix("rules")
    genes = at.arange(state.shape[0])

    def next_of(state: Any) -> Any:
        return rules[genes, 2 * state[inputs[:, 0]] + state[inputs[:, 1]]]

    def walk(slow: Any, fast: Any) -> Any:
        slow, fast = next_of(slow), next_of(next_of(fast))
        return [slow, fast], until(aesara, at.all(at.eq(slow, fast)))

    (slow, _), updates = aesara.scan(walk, outputs_info=[state, state], n_steps=most)
    met = slow[-1]

    def go_round(state: Any, length: Any, total: Any) -> Any:
        state = next_of(state)
        total = total + at.cast(state.sum(), "int32")
        return [state, length + 1, total], until(aesara, at.all(at.eq(state, met)))

    zero = at.constant(0, dtype="int32")
    (_, length, total), more = aesara.scan(go_round, outputs_info=[met, zero, zero], n_steps=most)
    return aesara.function([state, inputs, rules], [length[-1], total[-1]], updates={**updates, **more})


def allele_drift(aesara: Any, size: int, generations: int) -> Any:
    """Chance that two genes of a population are alike, the mean over the later half of the generations: each gene is a
    copy of one of a random parent or a new one (Wright 1931; Fisher 1930; Kimura and Crow 1964). Since parents are
    random, neighbours are two random genes. Int32."""
    at, trng = aesara.tensor, stream(aesara)
    rate = at.fscalar("rate")
    own = at.arange(size, dtype="int32")

    def generation(number: Any, genes: Any) -> list[Any]:
        parents = trng.integers(0, size, size=(size,))
        new = trng.uniform(size=(size,), dtype="float32") < rate
        genes = at.switch(new, number * size + own, genes[parents])
        return [genes, at.cast(at.eq(genes, at.roll(genes, 1)), "float32").mean()]

    numbers = at.arange(1, generations + 1, dtype="int32")
    (_, alike), updates = aesara.scan(generation, sequences=numbers, outputs_info=[own, None])
    return aesara.function([rate], alike[generations // 2 :].mean(), updates=updates)


def learning_trials(aesara: Any) -> Any:
    """Log-likelihood of the choices of people who learn from rewards, at a rate that rises with their surprise (Pearce
    and Hall 1980; Li, Schiller, Schoenbaum, Phelps and Daw 2011), and its gradient in four numbers of each person.
    ``choice`` and ``reward (trial, person)``. Float64."""
    at = aesara.tensor
    choice, reward = at.imatrix("choice"), at.dmatrix("reward")
    parameters = rate, memory, sharpness, habit = [at.dvector(n) for n in ("rate", "memory", "sharpness", "habit")]
    kappa, eta, beta = at.sigmoid(rate), at.sigmoid(memory), at.exp(sharpness)
    people = at.arange(choice.shape[1])

    def trial(choice_t: Any, reward_t: Any, value: Any, interest: Any, last: Any) -> list[Any]:
        liking = beta.dimshuffle(0, "x") * value + habit.dimshuffle(0, "x") * last
        most = at.max(liking, axis=1, keepdims=True)
        lost = at.log(at.exp(liking - most).sum(axis=1)) + most[:, 0] - liking[people, choice_t]
        surprise = reward_t - value[people, choice_t]
        value = at.inc_subtensor(value[people, choice_t], kappa * interest * surprise)
        interest = eta * abs(surprise) + (1 - eta) * interest
        last = at.set_subtensor(at.zeros_like(last)[people, choice_t], 1.0)
        return [value, interest, last, -lost]

    zeros = at.zeros((choice.shape[1], 4), dtype="float64")
    start = [zeros, at.ones_like(rate), zeros, None]
    (*_, gained), updates = aesara.scan(trial, sequences=[choice, reward], outputs_info=start)
    value = gained.sum()
    slopes = aesara.grad(value, parameters)
    return aesara.function([choice, reward, *parameters], [value, *slopes], updates=updates)
