"""Codes that detect or mend errors, and a receiver."""

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

SCALE = 0.8
PERIOD, GAIN, DRIFT = 4.0, 0.05, 0.001


def checksum(aesara: Any) -> Any:
    """Cyclic redundancy check of bytes by a table of 256 words (Peterson and Brown 1961; Sarwate 1988). Uint32."""
    at = aesara.tensor
    message, table = (at.vector(name, dtype="uint32") for name in ("message", "table"))
    ones = at.constant(2**32 - 1, dtype="uint32")

    def byte(letter: Any, word: Any) -> Any:
        return at.bitwise_xor(table[at.bitwise_xor(word, letter) % 256], word // 256)

    word, updates = aesara.scan(byte, sequences=message, outputs_info=ones)
    return aesara.function([message, table], at.bitwise_xor(word[-1], ones), updates=updates)


def shift_register(aesara: Any) -> Any:
    """Length of the shortest shift register with feedback that makes the first bits of a sequence, for each number of
    them, and the last register (Berlekamp 1968; Massey 1969). Int32."""
    at = aesara.tensor
    bits = at.ivector("bits")
    size = bits.shape[0] + 1
    zero = at.zeros((1,), dtype="int32")

    def step(bit: Any, n: Any, seen: Any, register: Any, other: Any, length: Any) -> list[Any]:
        seen = at.concatenate([bit.dimshuffle("x"), seen[:-1]])
        other = at.concatenate([zero, other[:-1]])
        wrong = at.eq((register * seen).sum() % 2, 1)
        mended = at.switch(wrong, (register + other) % 2, register)
        longer = at.and_(wrong, 2 * length <= n)
        other = at.switch(longer, register, other)
        return [seen, mended, other, at.switch(longer, n + 1 - length, length)]

    one = at.set_subtensor(at.zeros((size,), dtype="int32")[0], 1)
    start = [at.zeros((size,), dtype="int32"), one, one, at.constant(0, dtype="int32")]
    sequences = [bits, at.arange(bits.shape[0], dtype="int32")]
    (_, register, _, length), updates = aesara.scan(step, sequences=sequences, outputs_info=start)
    return aesara.function([bits], [length, register[-1]], updates=updates)


def parity_decoder(aesara: Any, most: int) -> Any:
    """Bits of a word that came through noise by messages between bits and parity checks (Gallager 1962; Fossorier,
    Mihaljevic and Imai 1999) until all checks hold, and the number of rounds. ``bit (check, 6)`` has the bits of each
    check, ``edge (bit, 3)`` the places of a bit in it. Float64."""
    at = aesara.tensor
    channel, bit, edge = at.dvector("channel"), at.imatrix("bit"), at.imatrix("edge")
    place = at.arange(bit.shape[1])

    def step(message: Any, total: Any, rounds: Any) -> Any:
        heard = total[bit] - message
        size = abs(heard)
        first, least = at.argmin(size, axis=1), at.min(size, axis=1)
        smallest = at.eq(place.dimshuffle("x", 0), first.dimshuffle(0, "x"))
        second = at.switch(smallest, 1e30, size).min(axis=1)
        sign = at.switch(heard < 0, -1.0, 1.0)
        others = sign * at.prod(sign, axis=1).dimshuffle(0, "x")
        message = SCALE * others * at.switch(smallest, second.dimshuffle(0, "x"), least.dimshuffle(0, "x"))
        total = channel + message.flatten()[edge].sum(axis=1)
        odd = at.cast(total < 0, "int32")[bit].sum(axis=1) % 2
        return [message, total, rounds + 1], until(aesara, at.all(at.eq(odd, 0)))

    start = [at.zeros(bit.shape, dtype="float64"), channel, at.constant(0, dtype="int32")]
    (_, total, rounds), updates = aesara.scan(step, outputs_info=start, n_steps=most)
    return aesara.function([channel, bit, edge], [at.cast(total[-1] < 0, "int32"), rounds[-1]], updates=updates)


def timing_recovery(aesara: Any, symbols: int) -> Any:
    """Symbols of a signal whose clock is unknown and drifts, by a loop that moves the time of each sample (Gardner
    1986), with cubic interpolation between samples (Erup, Gardner and Harris 1993), and these times. Float64."""
    at = aesara.tensor
    signal = at.dvector("signal")

    def between(time: Any) -> Any:
        whole = at.floor(time)
        mu, i = time - whole, at.cast(whole, "int32")
        before, now, after, later = (signal[i + k] for k in (-1, 0, 1, 2))
        return (
            -mu * (mu - 1) * (mu - 2) / 6 * before
            + (mu + 1) * (mu - 1) * (mu - 2) / 2 * now
            - (mu + 1) * mu * (mu - 2) / 2 * after
            + (mu + 1) * mu * (mu - 1) / 6 * later
        )

    def step(time: Any, rate: Any, last: Any) -> list[Any]:
        middle, new = between(time - PERIOD / 2), between(time)
        error = middle * (last - new)
        rate = rate + DRIFT * error
        return [time + PERIOD + GAIN * error + rate, rate, new]

    start = [at.constant(value, dtype="float64") for value in (PERIOD, 0.0, 0.0)]
    (time, _, found), updates = aesara.scan(step, outputs_info=start, n_steps=symbols)
    return aesara.function([signal], [found, time], updates=updates)
