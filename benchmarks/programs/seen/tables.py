"""Tables that loops fill and look into."""

from __future__ import annotations

import math
from typing import Any

FAR = 1e9
LEARNING, RATE = 0.02, 0.05


def subset_tour(aesara: Any, size: int) -> Any:
    """Length of the shortest round trip by dynamic programming over all sets of places (Bellman 1962; Held and Karp
    1962); ``apart`` has the start last. The table has a row for each set and a column for the place where it ends.
    Float64."""
    at = aesara.tensor
    apart = at.dmatrix("apart")
    between, from_start = apart[:size, :size], apart[size, :size]
    power = at.constant([2**k for k in range(size)], dtype="int32")

    def extend(places: Any, table: Any) -> Any:
        inside = at.eq((places // power) % 2, 1)
        without = places - at.switch(inside, power, 0)
        shortest = (table[without] + between.T).min(axis=1)
        shortest = at.switch(at.eq(without, 0), from_start, shortest)
        return at.set_subtensor(table[places], at.switch(inside, shortest, FAR))

    start = at.full((2**size, size), FAR, dtype="float64")
    table, updates = aesara.scan(extend, sequences=at.arange(1, 2**size, dtype="int32"), outputs_info=start)
    return aesara.function([apart], (table[-1][-1] + from_start).min(), updates=updates)


def grundy(aesara: Any, moves: tuple[int, ...], heaps: int) -> Any:
    """Values of heaps of a game in which a player takes one of some numbers of stones (Sprague 1935; Grundy 1939): the
    least value that no move leads to. Also the number of lost heaps. Int32."""
    at = aesara.tensor
    value = at.arange(len(moves) + 1, dtype="int32")

    def heap(*after: Any) -> Any:
        reached = at.any(at.eq(at.stack(after).dimshuffle(0, "x"), value), axis=0)
        return at.cast(at.argmin(at.cast(reached, "int32")), "int32")

    farthest = moves[-1]
    initial = at.full((farthest,), -1, dtype="int32")
    taps = {"initial": initial, "taps": [-move for move in reversed(moves)]}
    values, updates = aesara.scan(heap, outputs_info=taps, n_steps=heaps)
    lost = at.cast(at.eq(values, 0).sum(), "int32")
    return aesara.function([], [values, lost], updates=updates)


def mixing(aesara: Any, slots: int) -> Any:
    """Bits that a compressor needs for each bit of a text when it mixes the predictions of several contexts (Mahoney
    2005), and the weights at the end; ``context (time, model)`` numbers the slots. Float64."""
    at = aesara.tensor
    bit, context = at.dvector("bit"), at.imatrix("context")
    models = context.shape[1]
    model = at.arange(models)

    def step(bit_t: Any, context_t: Any, table: Any, weight: Any) -> list[Any]:
        p = table[model, context_t]
        stretched = at.log(p / (1 - p))
        mixed = at.sigmoid(at.dot(weight, stretched))
        table = at.inc_subtensor(table[model, context_t], RATE * (bit_t - p))
        cost = -at.log(at.switch(bit_t > 0.5, mixed, 1 - mixed))
        return [table, weight + LEARNING * (bit_t - mixed) * stretched, cost]

    start = [at.full((models, slots), 0.5, dtype="float64"), at.full((models,), 0.3, dtype="float64"), None]
    (_, weight, cost), updates = aesara.scan(step, sequences=[bit, context], outputs_info=start)
    return aesara.function([bit, context], [cost / math.log(2), weight[-1]], updates=updates)


def haplotypes(aesara: Any) -> Any:
    """Runs of equal letters at each site when haplotypes are in the order of what comes before it (Durbin 2014), and
    the last order. ``x (site, haplotype)`` has 0 and 1. Int32."""
    at = aesara.tensor
    x = at.imatrix("x")
    first = at.arange(x.shape[1], dtype="int32")

    def site(x_k: Any, order: Any) -> list[Any]:
        letter = x_k[order]
        ones = at.cumsum(letter)
        zeros = at.cumsum(1 - letter)
        place = at.switch(at.eq(letter, 0), zeros - 1, zeros[-1] + ones - 1)
        runs = at.neq(letter[1:], letter[:-1]).sum() + 1
        return [at.set_subtensor(at.zeros_like(order)[place], order), at.cast(runs, "int32")]

    (order, runs), updates = aesara.scan(site, sequences=x, outputs_info=[first, None])
    return aesara.function([x], [runs, order[-1]], updates=updates)
