"""Memory accesses, coded symbols, seams of pictures and orders of texts, integers and float32."""

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

BITS = 12
DARK = 1e9


def cache(aesara: Any, sets: int, ways: int) -> Any:
    """Hits of a cache of ``sets`` sets of ``ways`` lines each, where the least recently used gives way (Mattson,
    Gecsei, Slutz and Traiger 1970), for each access of ``line``, and the number of misses of each set. Int32 and
    bool."""
    at = aesara.tensor
    line = at.ivector("line")

    def access(time: Any, line_t: Any, tags: Any, used: Any, misses: Any) -> list[Any]:
        place, tag = line_t % sets, line_t // sets
        same = at.eq(tags[place], tag)
        hit = at.any(same)
        way = at.switch(hit, at.argmax(same), at.argmin(used[place]))
        tags = at.set_subtensor(tags[place, way], tag)
        used = at.set_subtensor(used[place, way], time)
        misses = at.inc_subtensor(misses[place], at.cast(at.switch(hit, 0, 1), "int32"))
        return [tags, used, misses, hit]

    nothing = at.zeros((sets, ways), dtype="int32") - 1
    start = [nothing, nothing, at.zeros((sets,), dtype="int32"), None]
    times = at.arange(line.shape[0], dtype="int32")
    (_, _, misses, hit), updates = aesara.scan(access, sequences=[times, line], outputs_info=start)
    return aesara.function([line], [hit, misses[-1]], updates=updates)


def range_decoder(aesara: Any, steps: int) -> Any:
    """Symbols of several interleaved streams of asymmetric numerals (Duda 2013; Giesen 2014), which share the words of
    16 bits in ``words``, and the last states. ``symbol`` is that of each of 4,096 slots, ``count (symbol)`` the number
    of slots of a symbol and ``first (symbol)`` its first. Uint32 and int32."""
    at = aesara.tensor
    words, state = at.vector("words", dtype="uint32"), at.vector("state", dtype="uint32")
    symbol = at.ivector("symbol")
    count, first = at.vector("count", dtype="uint32"), at.vector("first", dtype="uint32")
    slots, low = at.constant(2**BITS, dtype="uint32"), at.constant(2**16, dtype="uint32")

    def step(state: Any, position: Any) -> list[Any]:
        slot = state % slots
        found = symbol[at.cast(slot, "int32")]
        state = count[found] * (state // slots) + slot - first[found]
        needs = state < low
        place = position + at.cumsum(at.cast(needs, "int32"))
        state = at.switch(needs, state * low + words[place - 1], state)
        return [state, at.cast(place[-1], "int32"), found]

    start = [state, at.constant(0, dtype="int32"), None]
    (state_t, _, found), updates = aesara.scan(step, outputs_info=start, n_steps=steps)
    return aesara.function([words, state, symbol, count, first], [found, state_t[-1]], updates=updates)


def seams(aesara: Any, seams: int) -> Any:
    """Picture without some seams from top to bottom, each that of least contrast, and the contrast of each (Avidan and
    Shamir 2007): a loop over seams with loops over rows down and up. Right of the picture that is left there are zeros.
    Float32."""
    at = aesara.tensor
    picture = at.fmatrix("picture")
    rows, columns = picture.shape[0], picture.shape[1]
    column = at.arange(columns)
    edge = at.zeros((1,), dtype="float32") + DARK

    def contrast(picture: Any, width: Any) -> Any:
        right = at.concatenate([picture[:, 1:], picture[:, -1:]], axis=1)
        below = at.concatenate([picture[1:], picture[-1:]], axis=0)
        right = at.switch(at.eq(column, width - 1), picture, right)
        return at.switch(column < width, abs(right - picture) + abs(below - picture), DARK)

    def remove(width: Any, picture: Any) -> list[Any]:
        energy = contrast(picture, width)

        def down(energy_r: Any, above: Any) -> Any:
            left, right = at.concatenate([edge, above[:-1]]), at.concatenate([above[1:], edge])
            return energy_r + at.minimum(above, at.minimum(left, right))

        more, _ = aesara.scan(down, sequences=energy[1:], outputs_info=energy[0])
        total = at.concatenate([energy[:1], more], axis=0)
        last = at.cast(at.argmin(total[-1]), "int32")

        def up(total_r: Any, place: Any) -> Any:
            near = at.switch(abs(column - place) <= 1, total_r, 2 * DARK)
            return at.cast(at.argmin(near), "int32")

        places, _ = aesara.scan(up, sequences=total[:-1], outputs_info=last, go_backwards=True)
        places = at.concatenate([last.dimshuffle("x"), places])[::-1]
        moved = at.concatenate([picture[:, 1:], at.zeros((rows, 1), dtype="float32")], axis=1)
        picture = at.switch(column < places.dimshuffle(0, "x"), picture, moved)
        return [picture, total[-1].min()]

    widths = columns - at.arange(seams)
    (left, paid), updates = aesara.scan(remove, sequences=widths, outputs_info=[picture, None])
    return aesara.function([picture], [left[-1], paid], updates=updates)


def suffix_order(aesara: Any, most: int) -> Any:
    """Order of the suffixes of a text, by the ranks of their beginnings of 1, 2, 4, 8, ... letters, until all differ
    (Manber and Myers 1993). ``text`` has numbers of letters from 0. Int32."""
    at = aesara.tensor
    text = at.ivector("text")
    size = text.shape[0]
    place = at.arange(size, dtype="int32")

    def double(length: Any, rank: Any, order: Any) -> Any:
        beyond = place + length
        second = at.switch(beyond < size, rank[at.minimum(beyond, size - 1)] + 1, 0)
        key = rank * at.cast(size + 1, "int32") + at.cast(second, "int32")
        order = at.cast(at.argsort(key), "int32")
        ordered = key[order]
        new = at.cast(at.concatenate([at.zeros((1,), dtype="int32"), at.neq(ordered[1:], ordered[:-1])]), "int32")
        new = at.cast(at.cumsum(new), "int32")
        rank = at.set_subtensor(at.zeros_like(rank)[order], new)
        return [length * 2, rank, order], until(aesara, at.eq(new[-1], size - 1))

    start = [at.constant(1, dtype="int32"), text, at.zeros_like(text)]
    (_, _, order), updates = aesara.scan(double, outputs_info=start, n_steps=most)
    return aesara.function([text], order[-1], updates=updates)
