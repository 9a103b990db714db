"""Search and optimisation without gradients."""

from __future__ import annotations

import math
from typing import Any

from benchmarks.programs.applications import stream, until

FREE = -1
LOW = -(2**30)
DIFFERENCE, CROSSOVER = 0.6, 0.9
WALK = 0.1


def auction(aesara: Any, most: int) -> Any:
    """Persons who get each object, prices and the number of bids of the auction in which the first person without an
    object bids, until all have one (Bertsekas 1988). ``benefit (person, object)`` in multiples of their number plus
    one, so that the assignment is the best. Int32."""
    at = aesara.tensor
    benefit = at.imatrix("benefit")
    count = benefit.shape[0]
    nobody = at.full((count,), FREE, dtype="int32")

    def bid(owner: Any, of: Any, price: Any) -> Any:
        person = at.cast(at.argmax(at.eq(of, FREE)), "int32")
        worth = benefit[person] - price
        item = at.cast(at.argmax(worth), "int32")
        second = at.set_subtensor(worth[item], LOW).max()
        price = at.inc_subtensor(price[item], worth[item] - second + 1)
        before = owner[item]
        released = at.set_subtensor(of[at.maximum(before, 0)], FREE)
        of = at.set_subtensor(at.switch(before >= 0, released, of)[person], item)
        owner = at.set_subtensor(owner[item], person)
        return [owner, of, price], until(aesara, at.all(of >= 0))

    start = [nobody, nobody, at.zeros((count,), dtype="int32")]
    (owner, _, price), updates = aesara.scan(bid, outputs_info=start, n_steps=most)
    outputs = [owner[-1], price[-1], at.cast(owner.shape[0], "int32")]
    return aesara.function([benefit], outputs, updates=updates)


def simplex(aesara: Any, most: int, tolerance: float) -> Any:
    """Least point of Rosenbrock's function by a simplex that reflects, expands, contracts and shrinks until its values
    are alike (Nelder and Mead 1965); ``start`` has a corner in each row. Float64."""
    at = aesara.tensor
    start = at.dmatrix("start")

    def value(x: Any) -> Any:
        head, tail = x[..., :-1], x[..., 1:]
        return (100 * (tail - head**2) ** 2 + (1 - head) ** 2).sum(axis=-1)

    def step(points: Any, values: Any) -> Any:
        order = at.argsort(values)
        points, values = points[order], values[order]
        center, worst = points[:-1].mean(axis=0), points[-1]
        reflected = 2 * center - worst
        expanded = 3 * center - 2 * worst
        of_reflected, of_expanded = value(reflected), value(expanded)
        outside = of_reflected < values[-1]
        contracted = at.switch(outside, 1.5 * center - 0.5 * worst, 0.5 * center + 0.5 * worst)
        of_contracted = value(contracted)
        shrunk = points[0] + 0.5 * (points - points[0])
        of_shrunk = value(shrunk)

        expands, reflects = of_reflected < values[0], of_reflected < values[-2]
        further = at.and_(expands, of_expanded < of_reflected)
        found = at.switch(further, expanded, at.switch(reflects, reflected, contracted))
        of_found = at.switch(further, of_expanded, at.switch(reflects, of_reflected, of_contracted))
        shrinks = at.and_(at.invert(reflects), of_contracted >= at.minimum(of_reflected, values[-1]))
        points = at.switch(shrinks, shrunk, at.set_subtensor(points[-1], found))
        values = at.switch(shrinks, of_shrunk, at.set_subtensor(values[-1], of_found))
        return [points, values], until(aesara, values.max() - values.min() < tolerance)

    (points, values), updates = aesara.scan(step, outputs_info=[start, value(start)], n_steps=most)
    return aesara.function([start], points[-1][at.argmin(values[-1])], updates=updates)


def tour(aesara: Any, moves: int) -> Any:
    """Length of a closed tour by simulated annealing: parts of it are turned round (Kirkpatrick, Gelatt and Vecchi
    1983). ``apart`` has the distances of all places, ``heat`` a temperature for each move. Float64."""
    at, trng = aesara.tensor, stream(aesara)
    apart, heat = at.dmatrix("apart"), at.dvector("heat")
    size = apart.shape[0]
    place = at.arange(size)

    def move(heat_t: Any, order: Any) -> Any:
        ends = trng.integers(0, size, size=(2,))
        i, j = at.min(ends), at.max(ends)
        before, after = order[(i - 1) % size], order[(j + 1) % size]
        first, last = order[i], order[j]
        longer = apart[before, last] + apart[first, after] - apart[before, first] - apart[last, after]
        longer = at.switch(j - i >= size - 2, 0.0, longer)
        turned = order[at.switch(at.and_(place >= i, place <= j), i + j - place, place)]
        accepted = trng.uniform(size=(), dtype="float64") < at.exp(-longer / heat_t)
        return at.switch(accepted, turned, order)

    order, updates = aesara.scan(move, sequences=heat, outputs_info=at.cast(place, "int32"))
    last = order[-1]
    length = apart[last[:-1], last[1:]].sum() + apart[last[-1], last[0]]
    return aesara.function([apart, heat], length, updates=updates)


def differential_evolution(aesara: Any, generations: int) -> Any:
    """Mean cost of all generations by differences of other members that are added to a third (Storn and Price
    1997), for Rastrigin's function. Float64."""
    at, trng = aesara.tensor, stream(aesara)
    start = at.dmatrix("start")
    members, size = start.shape[0], start.shape[1]
    each = at.arange(members)

    def value(x: Any) -> Any:
        return (x**2 - 10 * at.cos(2 * math.pi * x) + 10).sum(axis=1)

    def generation(x: Any, cost: Any) -> list[Any]:
        other = (each.dimshuffle("x", 0) + trng.integers(1, members, size=(3, members))) % members
        mutant = x[other[0]] + DIFFERENCE * (x[other[1]] - x[other[2]])
        mixed = trng.uniform(size=(members, size), dtype="float64") < CROSSOVER
        sure = at.eq(trng.integers(0, size, size=(members, 1)), at.arange(size))
        trial = at.switch(at.or_(mixed, sure), mutant, x)
        new = value(trial)
        better = new <= cost
        return [at.switch(better.dimshuffle(0, "x"), trial, x), at.switch(better, new, cost)]

    (_, cost), updates = aesara.scan(generation, outputs_info=[start, value(start)], n_steps=generations)
    return aesara.function([start], cost.mean(), updates=updates)


def nested_sampling(aesara: Any, rounds: int, walk: int) -> Any:
    """Logarithm of the evidence of a normal density in a cube: the worst of the live points gives way to another that
    has walked ``walk`` steps above its likelihood, with a loop over those (Skilling 2006). Float64."""
    at, trng = aesara.tensor, stream(aesara)
    start, center, precision = at.dmatrix("start"), at.dvector("center"), at.dscalar("precision")
    count, size = start.shape[0], start.shape[1]

    def log_likelihood(x: Any) -> Any:
        return -0.5 * precision * ((x - center) ** 2).sum(axis=-1)

    def replace(live: Any, level: Any) -> list[Any]:
        worst = at.argmin(level)
        least = level[worst]
        other = trng.integers(0, count, size=())

        def jump(x: Any, of_x: Any) -> list[Any]:
            proposed = x + WALK * trng.normal(size=(size,), dtype="float64")
            new = log_likelihood(proposed)
            inside = at.all(at.and_(proposed > 0, proposed < 1))
            accepted = at.and_(inside, new > least)
            return [at.switch(accepted, proposed, x), at.switch(accepted, new, of_x)]

        (x, of_x), moved = aesara.scan(jump, outputs_info=[live[other], level[other]], n_steps=walk)
        return [at.set_subtensor(live[worst], x[-1]), at.set_subtensor(level[worst], of_x[-1]), least], moved

    (_, level, least), updates = aesara.scan(replace, outputs_info=[start, log_likelihood(start), None], n_steps=rounds)
    left = at.cast(at.arange(rounds), "float64") / count
    dead = least - left + at.log(1 - at.exp(-1.0 / count))
    alive = level[-1] - rounds / count - at.log(at.cast(count, "float64"))
    evidence = at.logsumexp(at.concatenate([dead, alive]))
    return aesara.function([start, center, precision], evidence, updates=updates)
