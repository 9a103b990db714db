"""Codes that detect or mend errors, and a receiver."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import TIGHT, close
from benchmarks.programs.seen import codes
from benchmarks.programs.seen.codes import DRIFT, GAIN, PERIOD, SCALE
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task

ONES = np.uint32(2**32 - 1)


def _table() -> np.ndarray[Any, Any]:
    word = np.arange(256, dtype="uint32")
    for _ in range(8):
        word = np.where(word & 1, (word >> 1) ^ np.uint32(0xEDB88320), word >> 1)
    return word


def _message(rng: np.random.Generator, scale: Scale) -> Inputs:
    return inputs(rng.integers(0, 256, scale.steps(100_000, quick=50)).astype("uint32"), _table())


def _checksum(message: Any, table: Any) -> Any:
    def byte(word: Any, letter: Any) -> tuple[Any, None]:
        return table[(word ^ letter) & 255] ^ (word >> 8), None

    return lax.scan(byte, jnp.uint32(ONES), message)[0] ^ ONES


def _checksum_tuned(message: Any, table: Any) -> Any:
    """Eight parts side by side, so that look-ups do not wait for each other; a part of zeros changes a word by four
    look-ups, since the check is linear."""
    lanes = 8
    part = -(-len(message) // lanes)
    message = message.at[:4].set(message[:4] ^ 255, mode="promise_in_bounds")
    parts = jnp.pad(message, (lanes * part - len(message), 0)).reshape(lanes, part)

    def byte(words: Any, letters: Any) -> tuple[Any, None]:
        places = ((word ^ letter) & 255 for word, letter in zip(words, letters, strict=True))
        found = (table.at[place].get(mode="promise_in_bounds") for place in places)
        return tuple(one ^ (word >> 8) for one, word in zip(found, words, strict=True)), None

    words = lax.scan(byte, (jnp.uint32(0),) * lanes, tuple(parts), unroll=4)[0]
    known = _table()
    after = np.arange(256, dtype="uint32") << np.arange(0, 32, 8, dtype="uint32")[:, None]
    for _ in range(part):
        after = known[after & 255] ^ (after >> 8)
    later, total = jnp.asarray(after), jnp.uint32(0)
    for word in words:
        for k in range(4):
            word = word ^ later[k, (total >> (8 * k)) & 255]
        total = word
    return total ^ ONES


def _bits(rng: np.random.Generator, scale: Scale) -> Inputs:
    return inputs(rng.integers(0, 2, scale.steps(2_000, quick=30)).astype("int32"))


def _shift_register(bits: Any) -> list[Any]:
    size = len(bits) + 1
    zero = jnp.zeros(1, "int32")

    def step(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[Any, Any]:
        seen, register, other, length = carry
        bit, n = now
        seen = jnp.concatenate([bit[None], seen[:-1]])
        other = jnp.concatenate([zero, other[:-1]])
        wrong = (register * seen).sum(dtype="int32") % 2 == 1
        mended = jnp.where(wrong, (register + other) % 2, register)
        longer = wrong & (2 * length <= n)
        other = jnp.where(longer, register, other)
        length = jnp.where(longer, n + 1 - length, length)
        return (seen, mended, other, length), length

    one = jnp.zeros(size, "int32").at[0].set(1)
    start = (jnp.zeros(size, "int32"), one, one, jnp.int32(0))
    (_, register, *_), length = lax.scan(step, start, (bits, jnp.arange(size - 1, dtype="int32")))
    return [length, register]


def _shift_register_tuned(bits: Any) -> list[Any]:
    """32 bits in each word."""
    size = len(bits) + 1
    words = -(-size // 32)
    top = jnp.uint32(31)

    def later(array: Any, first: Any) -> Any:
        return (array << 1) | jnp.concatenate([first[None], array[:-1] >> top])

    def step(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[Any, Any]:
        seen, register, other, length = carry
        bit, n = now
        seen, other = later(seen, bit), later(other, jnp.uint32(0))
        odd = lax.reduce(register & seen, np.uint32(0), lax.bitwise_xor, (0,))
        wrong = lax.population_count(odd) & 1
        longer = (wrong == 1) & (2 * length <= n)
        mended = register ^ (other & (jnp.uint32(0) - wrong))
        other = jnp.where(longer, register, other)
        length = jnp.where(longer, n + 1 - length, length)
        return (seen, mended, other, length), length

    none = jnp.zeros(words, "uint32")
    one = none.at[0].set(1)
    sequences = bits.astype("uint32"), jnp.arange(size - 1, dtype="int32")
    (_, register, *_), length = lax.scan(step, (none, one, one, jnp.int32(0)), sequences, unroll=4)
    every = (register[:, None] >> jnp.arange(32, dtype="uint32")) & 1
    return [length, every.ravel()[:size].astype("int32")]


def _word(rng: np.random.Generator, scale: Scale) -> Inputs:
    checks = scale.pick(972, quick=30)
    bit = np.repeat(np.arange(2 * checks), 3)
    twice = True
    while twice:
        rng.shuffle(bit)
        each = np.sort(bit.reshape(checks, 6), axis=1)
        twice = bool((each[:, 1:] == each[:, :-1]).any())
    edge = np.argsort(bit, kind="stable").reshape(2 * checks, 3)
    received = 1 + 0.8 * rng.normal(size=2 * checks)
    return inputs(2 / 0.8**2 * received, bit.reshape(checks, 6).astype("int32"), edge.astype("int32"), most=50)


def _parity_decoder(channel: Any, bit: Any, edge: Any, most: int) -> list[Any]:
    place = jnp.arange(6)

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        rounds, message, total, _ = state
        heard = total[bit] - message
        size = jnp.abs(heard)
        smallest = place == jnp.argmin(size, axis=1)[:, None]
        least = size.min(axis=1)
        second = jnp.where(smallest, jnp.inf, size).min(axis=1)
        sign = jnp.where(heard < 0, -1.0, 1.0)
        others = sign * jnp.prod(sign, axis=1, keepdims=True)
        message = SCALE * others * jnp.where(smallest, second[:, None], least[:, None])
        total = channel + message.ravel()[edge].sum(axis=1)
        odd = (total < 0)[bit].sum(axis=1) % 2
        return rounds + 1, message, total, (odd == 0).all()

    def goes_on(state: tuple[Any, ...]) -> Any:
        return (state[0] < most) & ~state[3]

    start = (jnp.int32(0), jnp.zeros(bit.shape), channel, jnp.bool_(False))
    rounds, _, total, _ = lax.while_loop(goes_on, step, start)
    return [(total < 0).astype("int32"), rounds]


def _parity_decoder_tuned(channel: Any, bit: Any, edge: Any, most: int) -> list[Any]:
    """Six vectors with one number for each check; what all others say from both sides; one look-up of the sums, whose
    signs tell the parity too."""
    checks = len(bit)
    bit, edge = bit.T, (edge % 6 * checks + edge // 6).T

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        rounds, message, seen, _, _ = state
        heard = seen - message
        size, sign = list(jnp.abs(heard)), list(heard < 0)
        left, right = [size[0]], [size[5]]
        for k in range(1, 5):
            left.append(jnp.minimum(left[-1], size[k]))
            right.append(jnp.minimum(right[-1], size[5 - k]))
        least = [right[4], *(jnp.minimum(left[k - 1], right[4 - k]) for k in range(1, 5)), left[4]]
        odd = sign[0] ^ sign[1] ^ sign[2] ^ sign[3] ^ sign[4] ^ sign[5]
        message = jnp.stack([SCALE * jnp.where(odd ^ sign[k], -least[k], least[k]) for k in range(6)])
        flat = message.ravel()
        total = channel + sum(flat.at[edge[k]].get(mode="promise_in_bounds") for k in range(3))
        seen = total.at[bit].get(mode="promise_in_bounds")
        wrong = seen < 0
        done = ~(wrong[0] ^ wrong[1] ^ wrong[2] ^ wrong[3] ^ wrong[4] ^ wrong[5]).any()
        return rounds + 1, message, seen, total, done

    def goes_on(state: tuple[Any, ...]) -> Any:
        return (state[0] < most) & ~state[4]

    start = (jnp.int32(0), jnp.zeros((6, checks)), channel[bit], channel, jnp.bool_(False))
    rounds, _, _, total, _ = lax.while_loop(goes_on, step, start)
    return [(total < 0).astype("int32"), rounds]


def _signal(rng: np.random.Generator, scale: Scale) -> Inputs:
    symbols = scale.steps(10_000, quick=60)
    letters = rng.choice([-1.0, 1.0], symbols + 20)
    time = (np.arange(int(PERIOD) * (symbols + 10)) - 1.3) / PERIOD * 1.0002
    near = np.floor(time).astype(int)[:, None] + np.arange(-3, 5)
    pulse = np.sinc(time[:, None] - near) * np.cos(0.5 * np.pi * (time[:, None] - near) / 4.5) ** 2
    signal = (letters[np.clip(near + 4, 0, len(letters) - 1)] * pulse).sum(axis=1)
    return inputs(signal + 0.05 * rng.normal(size=len(signal)), symbols=symbols)


def _timing_recovery(signal: Any, symbols: int) -> list[Any]:
    def between(time: Any) -> Any:
        whole = jnp.floor(time)
        mu, i = time - whole, whole.astype("int32")
        before, now, after, later = (signal[i + k] for k in (-1, 0, 1, 2))
        return (
            -mu * (mu - 1) * (mu - 2) / 6 * before
            + (mu + 1) * (mu - 1) * (mu - 2) / 2 * now
            - (mu + 1) * mu * (mu - 2) / 2 * after
            + (mu + 1) * mu * (mu - 1) / 6 * later
        )

    def step(carry: tuple[Any, Any, Any], _: None) -> tuple[Any, Any]:
        time, rate, last = carry
        middle, new = between(time - PERIOD / 2), between(time)
        error = middle * (last - new)
        rate = rate + DRIFT * error
        time = time + PERIOD + GAIN * error + rate
        return (time, rate, new), (new, time)

    start = (jnp.float64(PERIOD), jnp.float64(0.0), jnp.float64(0.0))
    found, time = lax.scan(step, start, None, symbols)[1]
    return [found, time]


def _timing_recovery_tuned(signal: Any, symbols: int) -> list[Any]:
    """Weights once for both samples, since both are at the same place between samples; short sums; no test of
    places."""

    def step(carry: tuple[Any, Any, Any], _: None) -> tuple[Any, Any]:
        time, rate, last = carry
        i = time.astype("int32")
        mu = time - i
        up, down, over = mu + 1, mu - 1, mu - 2
        outer, inner = mu * down * (1 / 6), up * over * 0.5
        weights = (-outer * over, inner * down, -inner * mu, outer * up)

        def between(first: Any) -> Any:
            parts = [weight * signal.at[first + k].get(mode="promise_in_bounds") for k, weight in enumerate(weights)]
            return (parts[0] + parts[1]) + (parts[2] + parts[3])

        middle, new = between(i - 1 - int(PERIOD / 2)), between(i - 1)
        error = middle * (last - new)
        time = (time + PERIOD + rate) + (GAIN + DRIFT) * error
        return (time, rate + DRIFT * error, new), (new, time)

    start = (jnp.float64(PERIOD), jnp.float64(0.0), jnp.float64(0.0))
    found, time = lax.scan(step, start, None, symbols)[1]
    return [found, time]


WORKLOADS = (
    task(
        "checksum",
        "cyclic redundancy check of 100,000 bytes by a table",
        codes.checksum,
        _message,
        _checksum,
        _checksum_tuned,
        TIGHT,
    ),
    task(
        "shift-register",
        "shortest shift register that makes 2,000 bits",
        codes.shift_register,
        _bits,
        _shift_register,
        _shift_register_tuned,
        TIGHT,
    ),
    task(
        "parity-decoder",
        "word of 1,944 bits with 972 parity checks through noise, until all checks hold",
        codes.parity_decoder,
        _word,
        _parity_decoder,
        _parity_decoder_tuned,
        TIGHT,
    ),
    task(
        "timing-recovery",
        "10,000 symbols of a signal whose clock drifts",
        codes.timing_recovery,
        _signal,
        _timing_recovery,
        _timing_recovery_tuned,
        close(1e-8),
    ),
)
