"""A computer with one instruction, guesses which way a program goes, a text as numbers of phrases and a table of words
that were counted."""

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

HASH = 40_503


def one_instruction(aesara: Any, most: int) -> Any:
    """Memory of a computer with one instruction, which subtracts and jumps where what is left is not positive
    (Mavaddat and Parhami 1988), when its program has ended, and the number of steps. Int32."""
    at = aesara.tensor
    memory = at.ivector("memory")

    def step(memory: Any, place: Any, steps: Any) -> Any:
        what, where, jump = memory[place], memory[place + 1], memory[place + 2]
        left = memory[where] - memory[what]
        place = at.switch(left <= 0, jump, place + 3)
        return [at.set_subtensor(memory[where], left), place, steps + 1], until(aesara, place < 0)

    zero = at.constant(0, dtype="int32")
    (memories, _, steps), updates = aesara.scan(step, outputs_info=[memory, zero, zero], n_steps=most)
    return aesara.function([memory], [memories[-1], steps[-1]], updates=updates)


def branch_predictor(aesara: Any, bits: int) -> Any:
    """Branches of a program that a processor guesses right: of two guesses, by tables of counters for places and for
    places and the last branches, it takes that which was better at this place (McFarling 1993); and the numbers of
    those that each is right about. ``address`` and ``taken (branch)``. Int32."""
    at = aesara.tensor
    address, taken = at.ivector("address"), at.ivector("taken")
    size = 2**bits

    def counted(table: Any, place: Any, way: Any) -> Any:
        return at.set_subtensor(table[place], at.clip(table[place] + way, 0, 3))

    def step(address_t: Any, taken_t: Any, history: Any, local: Any, shared: Any, chooser: Any) -> list[Any]:
        here, pattern = address_t % size, (address_t ^ history) % size
        first = at.eq(local[here] >= 2, taken_t)
        second = at.eq(shared[pattern] >= 2, taken_t)
        right = at.switch(chooser[here] >= 2, second, first)
        better = at.cast(second, "int32") - at.cast(first, "int32")
        chooser = counted(chooser, here, better)
        local = counted(local, here, 2 * taken_t - 1)
        shared = counted(shared, pattern, 2 * taken_t - 1)
        rights = [at.cast(one, "int32") for one in (right, first, second)]
        return [(2 * history + taken_t) % size, local, shared, chooser, *rights]

    unsure = at.ones((size,), dtype="int32")
    outputs = [at.constant(0, dtype="int32"), unsure, unsure, unsure, None, None, None]
    found, updates = aesara.scan(step, sequences=[address, taken], outputs_info=outputs)
    right, first, second = found[4:]
    totals = [at.cast(one.sum(), "int32") for one in (first, second)]
    return aesara.function([address, taken], [right, *totals], updates=updates)


def phrase_coder(aesara: Any, letters: int, most: int) -> Any:
    """Codes of the longest phrases of a text that came before, each of which with the next letter is a new phrase
    (Welch 1984), up to ``most`` of them, or -1 where the phrase goes on, and their number. Int32."""
    at = aesara.tensor
    text = at.ivector("text")

    def step(letter: Any, table: Any, phrase: Any, count: Any) -> list[Any]:
        longer = table[phrase, letter]
        known = longer >= 0
        adds = at.eq(known, 0) & (count < most)
        table = at.set_subtensor(table[phrase, letter], at.switch(adds, count, longer))
        code = at.switch(known, -1, phrase)
        return [table, at.switch(known, longer, letter), count + at.cast(adds, "int32"), code]

    empty = at.zeros((most, letters), dtype="int32") - 1
    outputs = [empty, text[0], at.constant(letters, dtype="int32"), None]
    (_, phrase, count, code), updates = aesara.scan(step, sequences=text[1:], outputs_info=outputs)
    codes = at.concatenate([code, phrase[-1:]])
    return aesara.function([text], [codes, count[-1]], updates=updates)


def word_counts(aesara: Any, bits: int) -> Any:
    """A table of words and one of how often each comes in a text, where a word whose place is taken goes to the next
    that is free (Peterson 1957; Knuth 1973), and the mean number of places that were looked at: a loop over words with
    one over places. ``words`` are numbers from 0 on. Int32 and float64."""
    at = aesara.tensor
    words = at.ivector("words")
    size = 2**bits

    def step(word: Any, table: Any, counts: Any) -> list[Any]:
        def look(place: Any, looks: Any) -> Any:
            place = (place + 1) % size
            there = table[place]
            return [place, looks + 1], until(aesara, at.eq(there, word) | (there < 0))

        first = word * HASH % 2**16 // 2 ** (16 - bits) - 1
        (place, looks), _ = aesara.scan(look, outputs_info=[first, at.constant(0, dtype="int32")], n_steps=size)
        place = place[-1]
        table = at.set_subtensor(table[place], word)
        return [table, at.inc_subtensor(counts[place], 1), looks[-1]]

    zeros = at.zeros((size,), dtype="int32")
    (table, counts, looks), updates = aesara.scan(step, sequences=words, outputs_info=[zeros - 1, zeros, None])
    mean = at.cast(looks, "float64").mean()
    return aesara.function([words], [table[-1], counts[-1], mean], updates=updates)
