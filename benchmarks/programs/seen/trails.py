"""An ant, beginnings of a text that come again, a tree that spans points, and players with regrets, integers and
float64."""

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

FAR = 1e9


def ant(aesara: Any, steps: int) -> Any:
    """Colours of a ring of cells in two directions, and the last place of an ant that turns by the colour of its cell,
    changes it to the next colour and goes on (Langton 1986; Gale, Propp, Sutherland and Troubetzkoy 1995). ``turn``
    are quarters to the right for each colour. Int32."""
    at = aesara.tensor
    cells, turn = at.imatrix("cells"), at.ivector("turn")
    rows, columns, colours = cells.shape[0], cells.shape[1], turn.shape[0]
    down, right = at.constant([-1, 0, 1, 0], dtype="int32"), at.constant([0, 1, 0, -1], dtype="int32")

    def step(cells: Any, row: Any, column: Any, heading: Any) -> list[Any]:
        colour = cells[row, column]
        heading = (heading + turn[colour]) % 4
        cells = at.set_subtensor(cells[row, column], at.cast((colour + 1) % colours, "int32"))
        row, column = (row + down[heading]) % rows, (column + right[heading]) % columns
        return [cells, at.cast(row, "int32"), at.cast(column, "int32"), at.cast(heading, "int32")]

    middle = [at.cast(rows // 2, "int32"), at.cast(columns // 2, "int32"), at.constant(0, dtype="int32")]
    (cells_t, row, column, _), updates = aesara.scan(step, outputs_info=[cells, *middle], n_steps=steps)
    return aesara.function([cells, turn], [cells_t[-1], at.stack([row[-1], column[-1]])], updates=updates)


def failure_function(aesara: Any) -> Any:
    """For each place of a text, the length of its longest beginning that ends there, too (Knuth, Morris and Pratt
    1977): a loop over places with one that tries shorter beginnings until one goes on. Int32."""
    at = aesara.tensor
    text = at.ivector("text")
    size = text.shape[0]

    def place(i: Any, table: Any, length: Any) -> list[Any]:
        def shorter(length: Any) -> Any:
            fails = at.and_(length > 0, at.neq(text[length], text[i]))
            length = at.switch(fails, table[at.maximum(length - 1, 0)], length)
            return length, until(aesara, at.or_(at.eq(length, 0), at.eq(text[length], text[i])))

        lengths, _ = aesara.scan(shorter, outputs_info=length, n_steps=size)
        length = lengths[-1] + at.cast(at.eq(text[lengths[-1]], text[i]), "int32")
        return [at.set_subtensor(table[i], length), length]

    start = [at.zeros_like(text), at.constant(0, dtype="int32")]
    (table, _), updates = aesara.scan(place, sequences=at.arange(1, size), outputs_info=start)
    return aesara.function([text], table[-1], updates=updates)


def spanning_tree(aesara: Any) -> Any:
    """Tree of least length that spans points, as the point before each one, and the sum of its lengths: the point that
    is nearest to the tree joins it, one after the other (Prim 1957). Float64 and int32."""
    at = aesara.tensor
    points = at.dmatrix("points")
    count = points.shape[0]

    def join(outside: Any, distance: Any, before: Any) -> list[Any]:
        nearest = at.argmin(at.switch(outside, distance, FAR))
        length = distance[nearest]
        outside = at.set_subtensor(outside[nearest], False)
        to = at.sqrt(((points - points[nearest]) ** 2).sum(axis=1))
        closer = at.and_(outside, to < distance)
        before = at.switch(closer, at.cast(nearest, "int32"), before)
        return [outside, at.switch(closer, to, distance), before, length]

    outside = at.arange(count) > 0
    distance = at.sqrt(((points - points[0]) ** 2).sum(axis=1))
    start = [outside, distance, at.zeros((count,), dtype="int32"), None]
    (_, _, before, length), updates = aesara.scan(join, outputs_info=start, n_steps=count - 1)
    return aesara.function([points], [before[-1], length.sum()], updates=updates)


def regrets(aesara: Any, rounds: int) -> Any:
    """Mixed strategies of two players of a game with ``payoff (row, column)`` to the first, each by regrets for what it
    did not play, which never fall below zero, and how much both could gain against the averages (Tammelin, Burch,
    Johanson and Bowling 2015)."""
    at = aesara.tensor
    payoff = at.dmatrix("payoff")

    def strategy(regret: Any) -> Any:
        total = regret.sum()
        return at.switch(total > 0, regret / at.switch(total > 0, total, 1.0), 1.0 / regret.shape[0])

    def play(time: Any, first: Any, second: Any, of_first: Any, of_second: Any) -> list[Any]:
        x, y = strategy(first), strategy(second)
        gains = at.dot(payoff, y)
        first = at.maximum(first + gains - at.dot(x, gains), 0)
        x = strategy(first)
        losses = at.dot(x, payoff)
        second = at.maximum(second + at.dot(losses, y) - losses, 0)
        y = strategy(second)
        return [first, second, of_first + time * x, of_second + time * y]

    zeros = [at.zeros_like(payoff[:, 0]), at.zeros_like(payoff[0])]
    times = at.arange(1, rounds + 1, dtype="float64")
    (_, _, x, y), updates = aesara.scan(play, sequences=times, outputs_info=[*zeros, *zeros])
    x, y = x[-1] / x[-1].sum(), y[-1] / y[-1].sum()
    gain = at.dot(payoff, y).max() - at.dot(x, payoff).min()
    return aesara.function([payoff], [x, y, gain], updates=updates)
