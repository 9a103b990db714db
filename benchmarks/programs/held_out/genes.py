"""Genes that are copies of others, families of proteins, trees of relatives and signals that sequences share."""

# ruff: noqa: E741, N803, N806 - states have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import stream

LETTERS, NONE = 20, -1e9
BASES, EXTRA = 4, 0.5


def copied_haplotypes(aesara: Any) -> Any:
    """Log-likelihood of a gene as parts of those of a panel, which it changes between and copies with errors (Li and
    Stephens 2003), and its gradient in the logarithm of the rate of changes and the logit of errors. ``panel (site,
    haplotype)`` and ``gene (site)`` are 0 or 1, ``distance (site)`` is that from the site before. Float32."""
    at = aesara.tensor
    panel, gene = at.bmatrix("panel"), at.bvector("gene")
    distance, theta = at.fvector("distance"), at.fvector("theta")
    rate, error = at.exp(theta[0]), at.sigmoid(theta[1])
    count = at.cast(panel.shape[1], "float32")
    jump = 1 - at.exp(-rate * distance)

    def step(copied: Any, gene_t: Any, jump_t: Any, share: Any) -> list[Any]:
        shown = at.switch(at.eq(copied, gene_t), 1 - error, error)
        new = shown * ((1 - jump_t) * share + jump_t / count)
        total = new.sum()
        return [new / total, at.log(total)]

    start = at.ones_like(panel[0], dtype="float32") / count
    (_, score), updates = aesara.scan(step, sequences=[panel, gene, jump], outputs_info=[start, None])
    total = score.sum()
    return aesara.function([panel, gene, distance, theta], [total, aesara.grad(total, theta)], updates=updates)


def protein_family(aesara: Any) -> Any:
    """Mean log-likelihood of proteins by the profile of a family (Krogh, Brown, Mian, Sjolander and Haussler 1994) and
    its gradients: at each place of the profile a letter matches, letters are inserted or the place is skipped. A loop
    over letters with one over places, for those that are skipped. ``letters (letter, protein)``; ``emit (place, 20)``,
    ``match (place + 1, 3)``, ``insert (place + 1, 2)`` and ``skip (place + 1, 2)`` are logits. Float64."""
    at = aesara.tensor
    letters = at.imatrix("letters")
    weights = emit, match, insert, skip = [at.dmatrix(name) for name in ("emit", "match", "insert", "skip")]
    places, proteins = match.shape[0], letters.shape[1]
    shown = at.log_softmax(emit, axis=1).T
    of_match, of_insert, of_skip = (at.log_softmax(one, axis=1) for one in (match, insert, skip))
    background = -at.log(at.constant(float(LETTERS)))
    nothing = at.zeros((proteins, 1), dtype="float64") + NONE

    def skipped(M: Any) -> Any:
        def place(M_j: Any, open_j: Any, go_on_j: Any, D_j: Any) -> Any:
            return at.logaddexp(M_j + open_j, D_j + go_on_j)

        sequences = [M.T[:-1], of_match[:-1, 2], of_skip[:-1, 1]]
        D, _ = aesara.scan(place, sequences=sequences, outputs_info=nothing[:, 0])
        return at.concatenate([nothing, D.T], axis=1)

    def forward(M: Any, I: Any, D: Any) -> Any:
        return at.logaddexp(at.logaddexp(M + of_match[:, 0], I + of_insert[:, 0]), D + of_skip[:, 0])

    def step(letter: Any, M: Any, I: Any, D: Any) -> list[Any]:
        new_M = at.concatenate([nothing, forward(M, I, D)[:, :-1] + shown[letter]], axis=1)
        new_I = background + at.logaddexp(M + of_match[:, 1], I + of_insert[:, 1])
        return [new_M, new_I, skipped(new_M)]

    none = at.zeros((proteins, places), dtype="float64") + NONE
    begin = at.set_subtensor(none[:, 0], 0.0)
    (M, I, D), updates = aesara.scan(step, sequences=letters, outputs_info=[begin, none, skipped(begin)])
    total = forward(M[-1], I[-1], D[-1])[:, -1].mean()
    return aesara.function([letters, *weights], [total, *aesara.grad(total, weights)], updates=updates)


def coalescent(aesara: Any, samples: int, trees: int) -> Any:
    """Mean length of branches above 1, 2, ... of the samples, and mean age of the last common ancestor, of trees of
    relatives in a population that has grown: two lines of descent meet by chance, one pair after the other (Kingman
    1982; Slatkin and Hudson 1991). Float32 and int32."""
    at, trng = aesara.tensor, stream(aesara)
    growth = at.fscalar("growth")
    tree, line = at.arange(trees), at.arange(samples)

    def step(k: Any, size: Any, time: Any, length: Any) -> list[Any]:
        u = trng.uniform(size=(3, trees), dtype="float32")
        lines = at.cast(k, "float32")
        pairs = lines * (lines - 1) / 2
        wait = at.log(1 - growth * at.log(1 - u[0]) * at.exp(-growth * time) / pairs) / growth
        here = at.switch(line < k, wait.dimshuffle(0, "x"), 0)
        length = at.inc_subtensor(length[tree.dimshuffle(0, "x"), size], here)
        one = at.minimum(at.cast(u[1] * lines, "int32"), k - 1)
        other = at.minimum(at.cast(u[2] * (lines - 1), "int32"), k - 2)
        other = other + at.cast(other >= one, "int32")
        size = at.set_subtensor(size[tree, one], size[tree, one] + size[tree, other])
        size = at.set_subtensor(size[tree, other], size[tree, k - 1])
        return [size, time + wait, length]

    outputs = [
        at.ones((trees, samples), dtype="int32"),
        at.zeros((trees,), dtype="float32"),
        at.zeros((trees, samples + 1), dtype="float32"),
    ]
    left = at.arange(samples, 1, -1, dtype="int32")
    (_, time, length), updates = aesara.scan(step, sequences=left, outputs_info=outputs)
    found = at.concatenate([length[-1].mean(axis=0)[1:samples], time[-1].mean().dimshuffle("x")])
    return aesara.function([growth], found, updates=updates)


def motif_sampler(aesara: Any, width: int, steps: int) -> Any:
    """Mean information, over the later half of the steps, of the signal that sequences share somewhere, whose place in
    one of them at a time is drawn given those in the others (Lawrence et al. 1993). ``letters (sequence, place)``,
    ``first`` are places at the start. Float32 and int32."""
    at, trng = aesara.tensor, stream(aesara)
    letters, first, base = at.imatrix("letters"), at.ivector("first"), at.fvector("base")
    count, length = letters.shape[0], letters.shape[1]
    sequence, along, kind = at.arange(count), at.arange(width), at.arange(BASES)
    windows = at.arange(length - width + 1).dimshuffle(0, "x") + along

    def step(t: Any, place: Any) -> list[Any]:
        now = t % count
        shown = letters[sequence.dimshuffle(0, "x"), place.dimshuffle(0, "x") + along]
        is_kind = at.eq(shown.dimshuffle(0, 1, "x"), kind) & at.neq(sequence, now).dimshuffle(0, "x", "x")
        counts = at.cast(is_kind, "float32").sum(axis=0)
        share = (counts + EXTRA) / (at.cast(count, "float32") - 1 + BASES * EXTRA)
        odds = at.log(share / base)
        score = odds[along, letters[now][windows]].sum(axis=1)
        drawn = trng.categorical(at.softmax(score, axis=0))
        return [at.set_subtensor(place[now], at.cast(drawn, "int32")), (share * odds).sum()]

    time = at.arange(steps)
    (_, information), updates = aesara.scan(step, sequences=time, outputs_info=[first, None])
    return aesara.function([letters, first, base], information[steps // 2 :].mean(), updates=updates)
