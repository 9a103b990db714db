"""Bits that came through noise, a stream of secret numbers, levels between two others and a text from its sorted
turns."""

from __future__ import annotations

from typing import Any

import numpy as np

NEXT = np.array([[0, 2], [2, 0], [3, 1], [1, 3]], "int32")
PARITY = np.array([[-1, 1], [-1, 1], [1, -1], [1, -1]], "float32")
BIT = np.array([[-1, 1]] * 4, "float32")
SHARE, IMPOSSIBLE = 0.75, -1e9
FINE, APART = 2**16, 64
LETTERS = 5


def turbo_decoder(aesara: Any, rounds: int) -> Any:
    """Logarithms of the odds of bits of a word that two coders with four states protect, one of them in another order,
    by as many rounds of two decoders that tell each other what they found (Berrou, Glavieux and Thitimajshima 1993),
    each with a loop forth and one back, with maxima for sums (Robertson, Villebrun and Hoeher 1995). Float32."""
    at = aesara.tensor
    plain, first, second = at.fvector("plain"), at.fvector("first"), at.fvector("second")
    order = at.ivector("order")
    after, bit, parity = at.constant(NEXT), at.constant(BIT), at.constant(PARITY)
    before = [[(s, u) for s in range(4) for u in range(2) if NEXT[s, u] == to] for to in range(4)]
    came_from = at.constant(np.array([[s for s, _ in pair] for pair in before], "int32"))
    came_by = at.constant(np.array([[u for _, u in pair] for pair in before], "int32"))

    def found(odds: Any, checks: Any) -> Any:
        branch = (bit * odds.dimshuffle(0, "x", "x") + parity * checks.dimshuffle(0, "x", "x")) / 2

        def forth(branch_t: Any, a: Any) -> Any:
            new = (a[came_from] + branch_t[came_from, came_by]).max(axis=1)
            return new - new.max()

        def back(branch_t: Any, b: Any) -> Any:
            new = (b[after] + branch_t).max(axis=1)
            return new - new.max()

        zeros = at.zeros((4,), dtype="float32")
        start = at.set_subtensor(zeros[1:], IMPOSSIBLE)
        a, _ = aesara.scan(forth, sequences=branch, outputs_info=start)
        b, _ = aesara.scan(back, sequences=branch, outputs_info=zeros, go_backwards=True)
        a = at.concatenate([start.dimshuffle("x", 0), a[:-1]])
        b = at.concatenate([b[::-1][1:], zeros.dimshuffle("x", 0)])
        both = a.dimshuffle(0, 1, "x") + branch + b[:, after]
        best = both.max(axis=1)
        return best[:, 1] - best[:, 0] - odds

    def step(known: Any) -> list[Any]:
        odds = plain + known
        news = SHARE * found(odds, first)
        turned = (plain + news)[order]
        back = SHARE * found(turned, second)
        known = at.set_subtensor(at.zeros_like(known)[order], back)
        return [known, plain + news + known]

    (_, odds), updates = aesara.scan(step, outputs_info=[at.zeros_like(plain), None], n_steps=rounds)
    return aesara.function([plain, first, second, order], odds[-1], updates=updates)


def key_stream(aesara: Any, state: Any, at_place: Any) -> Any:
    """A message with bytes of a stream cipher (Rivest 1987, as published in 1994), whose table of 256 bytes changes
    places with each, and goes on with the next call. Int32."""
    at = aesara.tensor
    message = at.ivector("message")
    state, at_place = aesara.shared(state), aesara.shared(at_place)

    def step(letter: Any, table: Any, i: Any, j: Any) -> list[Any]:
        i = (i + 1) % 256
        one = table[i]
        j = (j + one) % 256
        other = table[j]
        table = at.set_subtensor(table[i], other)
        table = at.set_subtensor(table[j], one)
        return [table, i, j, letter ^ table[(one + other) % 256]]

    start = [state, at_place[0], at_place[1], None]
    (table, i, j, secret), updates = aesara.scan(step, sequences=message, outputs_info=start)
    changes = [(state, table[-1]), (at_place, at.stack([i[-1], j[-1]]))]
    return aesara.function([message], secret, updates=[*updates.items(), *changes])


def noise_shaper(aesara: Any) -> Any:
    """Whole levels whose mean is between two of them by three accumulators (Matsuya et al. 1987), and each 64th value
    of what three sums and three differences make of them (Hogenauer 1981), which wrap around. Int32."""
    at = aesara.tensor
    x = at.ivector("x")

    def step(x_t: Any, a: Any, b: Any, c: Any, b_1: Any, c_1: Any, c_2: Any, p: Any, q: Any, r: Any) -> list[Any]:
        a = a + x_t
        high_a, a = a // FINE, a % FINE
        b = b + a
        high_b, b = b // FINE, b % FINE
        c = c + b
        high_c, c = c // FINE, c % FINE
        y = high_a + (high_b - b_1) + (high_c - 2 * c_1 + c_2)
        p = p + y
        q = q + p
        r = r + q
        return [a, b, c, high_b, high_c, c_1, p, q, r, y]

    zero = at.constant(0, dtype="int32")
    found, updates = aesara.scan(step, sequences=x, outputs_info=[zero] * 9 + [None])
    out = found[8][APART - 1 :: APART]
    for _ in range(3):
        out = out - at.concatenate([at.zeros((1,), dtype="int32"), out[:-1]])
    return aesara.function([x], [found[9], out], updates=updates)


def inverse_transform(aesara: Any) -> Any:
    """A text from the last letters of its turns in their order (Burrows and Wheeler 1994), letter by letter. Int32."""
    at = aesara.tensor
    last = at.ivector("last")
    size = last.shape[0]
    order = at.cast(at.argsort(last * size + at.arange(size)), "int32")

    def step(place: Any) -> list[Any]:
        place = order[place]
        return [place, last[place]]

    start = at.cast(at.argmin(last), "int32")
    (_, text), updates = aesara.scan(step, outputs_info=[start, None], n_steps=size)
    return aesara.function([last], text, updates=updates)
