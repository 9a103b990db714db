"""A computer with one instruction, guesses which way a program goes, a text as numbers of phrases and a table of words
that were counted."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.programs.held_out import processors
from benchmarks.programs.held_out.processors import HASH
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _read(array: Any, place: Any) -> Any:
    """Number at a place that is known to be inside."""
    return lax.dynamic_index_in_dim(array, place, keepdims=False)


def _write(array: Any, value: Any, place: Any) -> Any:
    return lax.dynamic_update_index_in_dim(array, value, place, 0)


def _squares(rng: np.random.Generator, scale: Scale) -> Inputs:
    """A program that sums up the squares of numbers by additions, with an address that it changes itself."""
    count = scale.pick(80, quick=4)
    values = rng.integers(1, scale.pick(200, quick=9), count)
    names = ("zero", "one", "minus", "left", "negative", "value", "times", "total")
    code = [
        ("negative", "negative", None),
        ("numbers", "negative", None),
        ("value", "value", None),
        ("negative", "value", None),
        ("times", "times", None),
        ("negative", "times", None),
        ("value", "zero", None),
        ("zero", "total", None),
        ("zero", "zero", None),
        ("one", "times", 11),
        ("zero", "zero", 6),
        ("minus", 3, None),
        ("one", "left", -1),
        ("zero", "zero", 0),
    ]
    place = {name: 3 * len(code) + k for k, name in enumerate((*names, "numbers"))}
    memory = []
    for k, (what, where, jump) in enumerate(code):
        after = k + 1 if jump is None else jump
        memory += [place.get(what, what), place.get(where, where), 3 * after if after >= 0 else -1]
    start = {"one": 1, "minus": -1, "left": count}
    memory += [start.get(name, 0) for name in names] + values.tolist()
    return inputs(np.array(memory, "int32"), most=scale.steps(200_000, quick=2_000))


def _one_instruction(memory: Any, most: int) -> list[Any]:
    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        memory, place, steps = carry
        what, where, jump = memory[place], memory[place + 1], memory[place + 2]
        left = memory[where] - memory[what]
        return memory.at[where].set(left), jnp.where(left <= 0, jump, place + 3), steps + 1

    start = (memory, jnp.int32(0), jnp.int32(0))
    memory, _, steps = lax.while_loop(lambda carry: (carry[1] >= 0) & (carry[2] < most), step, start)
    return [memory, steps]


def _one_instruction_tuned(memory: Any, most: int) -> list[Any]:
    """A step writes and then reads the next instruction and both its numbers, so that the memory stays where it is."""

    def fetched(memory: Any, place: Any) -> tuple[Any, ...]:
        what, where, jump = (_read(memory, place + k) for k in range(3))
        return where, jump, _read(memory, where) - _read(memory, what)

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        memory, place, steps, where, jump, left = carry
        memory = _write(memory, left, where)
        place = jnp.where(left <= 0, jump, place + 3)
        return memory, place, steps + 1, *fetched(memory, place)

    zero = jnp.int32(0)
    start = (memory, zero, zero, *fetched(memory, zero))
    found = lax.while_loop(lambda carry: (carry[1] >= 0) & (carry[2] < most), step, start)
    return [found[0], found[2]]


def _branches(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Branches of loops, some that go the way of others before, and some that go either way."""
    count, places = scale.steps(20_000, quick=500), scale.pick(400, quick=20)
    address = 4 * rng.permutation(4 * places)[:places]
    kind, period = rng.integers(0, 3, places), rng.integers(2, 12, places)
    begin = rng.integers(0, places, count // 8 + 1)
    which = ((begin[:, None] + np.arange(8)) % places).ravel()[:count]
    visits, taken = np.zeros(places, int), np.zeros(count, "int32")
    for t, one in enumerate(which):
        visits[one] += 1
        looped = visits[one] % period[one] != 0
        taken[t] = (looped, taken[t - 1] ^ (one & 1), rng.random() < 0.7)[kind[one]]
    return inputs(address[which].astype("int32"), taken, bits=12)


def _branch_predictor(address: Any, taken: Any, bits: int) -> list[Any]:
    size = 2**bits

    def counted(table: Any, place: Any, way: Any) -> Any:
        return table.at[place].set(jnp.clip(table[place] + way, 0, 3))

    def step(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        history, local, shared, chooser = carry
        address_t, taken_t = now
        here, pattern = address_t % size, (address_t ^ history) % size
        first = (local[here] >= 2) == taken_t
        second = (shared[pattern] >= 2) == taken_t
        right = jnp.where(chooser[here] >= 2, second, first)
        chooser = counted(chooser, here, second.astype("int32") - first)
        local = counted(local, here, 2 * taken_t - 1)
        shared = counted(shared, pattern, 2 * taken_t - 1)
        return ((2 * history + taken_t) % size, local, shared, chooser), (right, first, second)

    unsure = jnp.ones(size, "int32")
    _, (right, first, second) = lax.scan(step, (jnp.int32(0), unsure, unsure, unsure), (address, taken))
    return [right.astype("int32"), first.sum(dtype="int32"), second.sum(dtype="int32")]


def _branch_predictor_tuned(address: Any, taken: Any, bits: int) -> list[Any]:
    """Places in tables are known before the loop, as which way branches went is; both tables of places are one, whose
    numbers have both counters as bits. A step writes and then reads for the next step, so that tables stay where they
    are. What was right comes from the counters after the loop."""
    size, count = 2**bits, len(address)
    history = jnp.zeros(count, "int32")
    for k in range(bits):
        history = history + (jnp.pad(taken, (k + 1, 0))[:count] << k)
    here, pattern = address & (size - 1), (address ^ history) & (size - 1)

    def step(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[tuple[Any, ...], tuple[Any, Any]]:
        own, shared, both, other = carry
        i, j, next_i, next_j, taken_t = now
        way = 2 * taken_t - 1
        better = ((other >> 1) - ((both >> 1) & 1)) * way
        new = jnp.clip((both & 3) + way, 0, 3) + 4 * jnp.clip((both >> 2) + better, 0, 3)
        own, shared = _write(own, new, i), _write(shared, jnp.clip(other + way, 0, 3), j)
        return (own, shared, _read(own, next_i), _read(shared, next_j)), (both, other)

    one = jnp.int32(1)
    unsure = jnp.ones(size, "int32")
    sequences = (here, pattern, jnp.roll(here, -1), jnp.roll(pattern, -1), taken)
    _, (both, other) = lax.scan(step, (5 * unsure, unsure, 5 * one, one), sequences)
    first, second = ((both >> 1) & 1) == taken, (other >> 1) == taken
    right = jnp.where(both >= 8, second, first)
    return [right.astype("int32"), first.sum(dtype="int32"), second.sum(dtype="int32")]


def _text(rng: np.random.Generator, scale: Scale) -> Inputs:
    """A text of words that come again."""
    size, letters, most = scale.steps(8_000, quick=300), scale.pick(27, quick=6), scale.pick(1_024, quick=60)
    vocabulary = [rng.integers(0, letters, rng.integers(2, 9)) for _ in range(scale.pick(500, quick=10))]
    chance = 1 / np.arange(1, len(vocabulary) + 1)
    words = rng.choice(len(vocabulary), size, p=chance / chance.sum())
    text = np.concatenate([vocabulary[word] for word in words])[:size]
    return inputs(text.astype("int32"), letters=letters, most=most)


def _phrase_coder(text: Any, letters: int, most: int) -> list[Any]:
    def step(carry: tuple[Any, ...], letter: Any) -> tuple[tuple[Any, ...], Any]:
        table, phrase, count = carry
        longer = table[phrase, letter]
        known = longer >= 0
        adds = ~known & (count < most)
        table = table.at[phrase, letter].set(jnp.where(adds, count, longer))
        return (table, jnp.where(known, longer, letter), count + adds), jnp.where(known, -1, phrase)

    start = (jnp.full((most, letters), -1, "int32"), text[0], jnp.int32(letters))
    (_, phrase, count), code = lax.scan(step, start, text[1:])
    return [jnp.append(code, phrase), count]


def _phrase_coder_tuned(text: Any, letters: int, most: int) -> list[Any]:
    """The table as a row, with one more place for what is not kept; a step writes and then reads for the next step, so
    that the table stays where it is."""

    def step(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[tuple[Any, ...], Any]:
        table, place, longer, phrase, count = carry
        letter, after = now
        known = longer >= 0
        adds = ~known & (count < most)
        table = _write(table, count, jnp.where(adds, place, most * letters))
        code = jnp.where(known, -1, phrase)
        phrase = jnp.where(known, longer, letter)
        place = phrase * letters + after
        return (table, place, _read(table, place), phrase, count + adds), code

    table = jnp.full(most * letters + 1, -1, "int32")
    start = (table, text[0] * letters + text[1], jnp.int32(-1), text[0], jnp.int32(letters))
    (_, _, _, phrase, count), code = lax.scan(step, start, (text[1:], jnp.roll(text, -1)[1:]))
    return [jnp.append(code, phrase), count]


def _words(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Words, some far likelier than others, as numbers below the largest product that 32 bits hold."""
    many, size, bits = scale.pick((14_000, 100_000, 14), quick=(40, 200, 6))
    chance = 1 / np.arange(1, many + 1) ** 0.8
    which = rng.choice(many, scale.steps(size), p=chance / chance.sum())
    number = rng.permutation(53_000)[:many]
    return inputs(number[which].astype("int32"), bits=bits)


def _word_counts(words: Any, bits: int) -> list[Any]:
    size = 2**bits

    def step(carry: tuple[Any, Any], word: Any) -> tuple[tuple[Any, Any], Any]:
        table, counts = carry
        first = word * HASH % 2**16 // 2 ** (16 - bits)

        def taken(carry: tuple[Any, Any]) -> Any:
            there = table[carry[0]]
            return (there != word) & (there >= 0)

        place, looks = lax.while_loop(taken, lambda now: ((now[0] + 1) % size, now[1] + 1), (first, jnp.int32(1)))
        return (table.at[place].set(word), counts.at[place].add(1)), looks

    zeros = jnp.zeros(size, "int32")
    (table, counts), looks = lax.scan(step, (zeros - 1, zeros), words)
    with jax.enable_x64(True):
        return [table, counts, looks.astype("float64").mean()]


def _word_counts_tuned(words: Any, bits: int) -> list[Any]:
    """First places of words before the loop, bits instead of remainders, and the places that words end at after it."""
    size = 2**bits
    first = ((words * HASH) & (2**16 - 1)) >> (16 - bits)

    def step(carry: tuple[Any, Any], now: tuple[Any, Any]) -> tuple[tuple[Any, Any], Any]:
        table, counts = carry
        word, first = now

        def taken(place: Any) -> Any:
            there = table.at[place].get(mode="promise_in_bounds")
            return (there != word) & (there >= 0)

        place = lax.while_loop(taken, lambda place: (place + 1) & (size - 1), first)
        return (_write(table, word, place), counts.at[place].add(1, mode="promise_in_bounds")), place

    zeros = jnp.zeros(size, "int32")
    (table, counts), place = lax.scan(step, (zeros - 1, zeros), (words, first))
    looks = (((place - first) & (size - 1)) + 1).sum()
    with jax.enable_x64(True):
        return [table, counts, looks.astype("float64") / len(words)]


WORKLOADS = (
    task(
        "one-instruction",
        "computer with one instruction that sums up the squares of 80 numbers, until its program ends",
        processors.one_instruction,
        _squares,
        _one_instruction,
        _one_instruction_tuned,
    ),
    task(
        "branch-predictor",
        "guesses of 20,000 branches by two tables of counters and a choice between them",
        processors.branch_predictor,
        _branches,
        _branch_predictor,
        _branch_predictor_tuned,
    ),
    task(
        "phrase-coder",
        "text of 8,000 letters as numbers of up to 1,024 phrases that came before",
        processors.phrase_coder,
        _text,
        _phrase_coder,
        _phrase_coder_tuned,
    ),
    task(
        "word-counts",
        "100,000 words counted in a table with 16,384 places, nested loops",
        processors.word_counts,
        _words,
        _word_counts,
        _word_counts_tuned,
    ),
)
