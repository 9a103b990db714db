"""Texts, labels, clicks and parts of pictures."""

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

ALPHA, BETA, L1, L2 = 0.1, 1.0, 0.5, 1.0
FAR = -1e30


def approximate_search(aesara: Any) -> Any:
    """Fewest changes that make each pattern of 32 letters of what ends at each place of a text, by words of 32 bits
    (Myers 1999), and the number of places with at most ``most`` for each pattern. ``table (letter, pattern)`` has
    words: a bit for each place of the pattern that has the letter. Uint32 and int32."""
    at = aesara.tensor
    text, most = at.ivector("text"), at.iscalar("most")
    table = at.matrix("table", dtype="uint32")
    two, top = at.constant(2, dtype="uint32"), at.constant(2**31, dtype="uint32")

    def letter(equal: Any, up: Any, down: Any, score: Any) -> list[Any]:
        vertical = at.bitwise_or(equal, down)
        carried = at.bitwise_xor(at.bitwise_and(equal, up) + up, up)
        horizontal = at.bitwise_or(carried, equal)
        more = at.bitwise_or(down, at.invert(at.bitwise_or(horizontal, up)))
        less = at.bitwise_and(up, horizontal)
        score = score + at.cast(more // top, "int32") - at.cast(less // top, "int32")
        more, less = more * two, less * two
        up = at.bitwise_or(less, at.invert(at.bitwise_or(vertical, more)))
        return [up, at.bitwise_and(more, vertical), score]

    none = at.zeros_like(table[0])
    start = [at.invert(none), none, at.cast(none, "int32") + 32]
    (_, _, score), updates = aesara.scan(letter, sequences=table[text], outputs_info=start)
    return aesara.function([text, table, most], [score, at.cast((score <= most).sum(axis=0), "int32")], updates=updates)


def transducer(aesara: Any) -> Any:
    """Negative log-likelihood of labels under a transducer, which at each time and label so far goes on in time or says
    the next label (Graves 2012), and its gradient: a loop over time with a loop over labels. ``blank (time, label + 1,
    batch)`` and ``label (time, label, batch)`` are logarithms of chances. Float32."""
    at = aesara.tensor
    blank, label = at.ftensor3("blank"), at.ftensor3("label")

    def say(said: Any, waited: Any, before: Any) -> Any:
        return at.logaddexp(waited, before + said)

    def along(label_t: Any, waited: Any) -> Any:
        rest, _ = aesara.scan(say, sequences=[label_t, waited[1:]], outputs_info=waited[0])
        return at.concatenate([waited[:1], rest], axis=0)

    def time(label_t: Any, blank_before: Any, alpha: Any) -> Any:
        return along(label_t, alpha + blank_before)

    nowhere = at.zeros_like(blank[0, 1:]) + FAR
    first = along(label[0], at.concatenate([at.zeros_like(blank[0, :1]), nowhere], axis=0))
    alpha, updates = aesara.scan(time, sequences=[label[1:], blank[:-1]], outputs_info=first)
    cost = -(alpha[-1, -1] + blank[-1, -1]).sum()
    return aesara.function([blank, label], [cost, *aesara.grad(cost, [blank, label])], updates=updates)


def click_learning(aesara: Any, size: int) -> Any:
    """Loss of each prediction of a logistic regression with many rare features that learns from clicks as they come, by
    the leader of regularized sums, whose small weights are zero (McMahan et al. 2013), and the number of other weights
    at the end. ``feature (time, field)`` has numbers that differ. Float32 and int32."""
    at = aesara.tensor
    feature, click = at.imatrix("feature"), at.fvector("click")

    def weight(z: Any, n: Any) -> Any:
        found = (at.sgn(z) * L1 - z) / ((BETA + at.sqrt(n)) / ALPHA + L2)
        return at.switch(abs(z) <= L1, 0.0, found)

    def step(feature_t: Any, click_t: Any, z: Any, n: Any) -> list[Any]:
        own_z, own_n = z[feature_t], n[feature_t]
        w = weight(own_z, own_n)
        logit = w.sum()
        g = at.sigmoid(logit) - click_t
        by = (at.sqrt(own_n + g**2) - at.sqrt(own_n)) / ALPHA
        z = at.inc_subtensor(z[feature_t], g - by * w)
        n = at.inc_subtensor(n[feature_t], at.zeros_like(w) + g**2)
        return [z, n, at.softplus(logit) - click_t * logit]

    nothing = at.zeros((size,), dtype="float32")
    (z, n, loss), updates = aesara.scan(step, sequences=[feature, click], outputs_info=[nothing, nothing, None])
    used = at.cast(at.neq(weight(z[-1], n[-1]), 0).sum(), "int32")
    return aesara.function([feature, click], [loss, used], updates=updates)


def components(aesara: Any, most: int) -> Any:
    """Number of the connected parts of a picture and the label of the part of each cell, by labels that go to
    neighbours until none changes (Rosenfeld and Pfaltz 1966; Haralick 1981). A label is the largest place in a part,
    counted from 1; ``picture`` has 0 and 1. Int32."""
    at = aesara.tensor
    picture = at.imatrix("picture")
    rows, columns = picture.shape[0], picture.shape[1]
    places = at.cast(at.arange(1, rows * columns + 1).reshape((rows, columns)), "int32")

    def spread(label: Any) -> Any:
        found = at.set_subtensor(label[1:], at.maximum(label[1:], label[:-1]))
        found = at.set_subtensor(found[:-1], at.maximum(found[:-1], label[1:]))
        found = at.set_subtensor(found[:, 1:], at.maximum(found[:, 1:], label[:, :-1]))
        found = at.set_subtensor(found[:, :-1], at.maximum(found[:, :-1], label[:, 1:]))
        found = picture * found
        return found, until(aesara, at.all(at.eq(found, label)))

    label, updates = aesara.scan(spread, outputs_info=picture * places, n_steps=most)
    count = at.cast(at.and_(at.eq(label[-1], places), at.eq(picture, 1)).sum(), "int32")
    return aesara.function([picture], [count, label[-1]], updates=updates)
