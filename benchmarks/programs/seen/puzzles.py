"""Queens on a board, water in pipes, a way around obstacles and steps that only rise."""

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

LENGTH, NEAR = 0.02, 0.03
LARGEST = 2**30


def queens(aesara: Any, size: int, most: int) -> Any:
    """Number of ways to place queens on a board of ``size`` rows so that none attacks another, by trial and return
    (Dijkstra 1972), with bits for the columns and diagonals that are taken (Richards 1997), and the number of tries.
    ``full`` has a bit for each column. Int32."""
    at = aesara.tensor
    full = at.iscalar("full")

    def step(row: Any, columns: Any, left: Any, right: Any, free: Any, ways: Any, tries: Any) -> Any:
        here = free[row]
        stuck = at.eq(here, 0)
        queen = here & -here
        last = at.eq(row, size - 1)
        placed = at.and_(at.invert(stuck), last)
        free = at.set_subtensor(free[row], here & ~queen)
        taken, to_left, to_right = columns[row] | queen, (left[row] | queen) * 2, (right[row] | queen) // 2
        after = at.minimum(row + 1, size - 1)
        deeper = at.and_(at.invert(stuck), at.invert(last))
        columns = at.switch(deeper, at.set_subtensor(columns[after], taken), columns)
        left = at.switch(deeper, at.set_subtensor(left[after], to_left), left)
        right = at.switch(deeper, at.set_subtensor(right[after], to_right), right)
        free = at.switch(deeper, at.set_subtensor(free[after], full & ~(taken | to_left | to_right)), free)
        ways = ways + at.cast(placed, "int32")
        tries = tries + at.cast(at.invert(stuck), "int32")
        row = at.cast(at.switch(stuck, row - 1, at.switch(last, row, row + 1)), "int32")
        return [row, columns, left, right, free, ways, tries], until(aesara, row < 0)

    zeros = at.zeros((size,), dtype="int32")
    zero = at.constant(0, dtype="int32")
    start = [zero, zeros, zeros, zeros, at.set_subtensor(zeros[0], full), zero, zero]
    found, updates = aesara.scan(step, outputs_info=start, n_steps=most)
    return aesara.function([full], [found[5][-1], found[6][-1]], updates=updates)


def max_flow(aesara: Any, most: int) -> Any:
    """Greatest flow from the first node to the last of a network, and the nodes on the first's side of the narrowest
    cut, by shortest ways with room left (Edmonds and Karp 1972): a loop with loops that search a way, and go back along
    it to find its room and to take it. ``room (from, to)``. Int32."""
    at = aesara.tensor
    room = at.imatrix("room")
    count = room.shape[0]
    node = at.arange(count)
    sink = at.cast(count - 1, "int32")

    def search(room: Any) -> tuple[Any, Any]:
        def layer(reached: Any, newest: Any, before: Any) -> Any:
            open_to = at.and_(newest.dimshuffle(0, "x"), room > 0)
            new = at.and_(open_to.any(axis=0), at.invert(reached))
            before = at.switch(new, at.cast(at.argmax(open_to, axis=0), "int32"), before)
            reached = at.or_(reached, new)
            return [reached, new, before], until(aesara, at.or_(reached[sink], at.invert(new.any())))

        first = at.eq(node, 0)
        start = [first, first, at.zeros((count,), dtype="int32")]
        (reached, _, before), _ = aesara.scan(layer, outputs_info=start, n_steps=count)
        return reached[-1], before[-1]

    def augment(room: Any, total: Any) -> Any:
        reached, before = search(room)

        def narrow(place: Any, least: Any) -> Any:
            least = at.minimum(least, room[before[place], place])
            return [before[place], least], until(aesara, at.eq(before[place], 0))

        (_, least), _ = aesara.scan(narrow, outputs_info=[sink, at.constant(LARGEST, dtype="int32")], n_steps=count)
        flow = at.switch(reached[sink], least[-1], 0)

        def take(place: Any, room: Any) -> Any:
            to = before[place]
            room = at.inc_subtensor(room[to, place], -flow)
            room = at.inc_subtensor(room[place, to], flow)
            return [to, room], until(aesara, at.eq(to, 0))

        (_, rooms), _ = aesara.scan(take, outputs_info=[sink, room], n_steps=count)
        return [rooms[-1], total + flow, reached], until(aesara, at.invert(reached[sink]))

    start = [room, at.constant(0, dtype="int32"), None]
    (_, total, reached), updates = aesara.scan(augment, outputs_info=start, n_steps=most)
    return aesara.function([room], [total[-1], reached[-1]], updates=updates)


def exploring_tree(aesara: Any) -> Any:
    """Length of a way past round obstacles and its number of parts, by a tree that grows to random points from the
    nearest of its own, until it is near the goal (LaValle 1998); then a second loop goes back. ``sample (time, axis)``
    are points that are tried. Float64 and int32."""
    at = aesara.tensor
    sample, start, goal = at.dmatrix("sample"), at.dvector("start"), at.dvector("goal")
    centre, radius = at.dmatrix("centre"), at.dvector("radius")
    most = sample.shape[0] + 1

    def norm(v: Any, axis: int = 0) -> Any:
        return at.sqrt((v**2).sum(axis=axis))

    def grow(point: Any, nodes: Any, before: Any, count: Any) -> Any:
        apart = at.switch(at.arange(most) < count, norm(nodes - point, axis=1), 1e9)
        nearest = at.argmin(apart)
        origin = nodes[nearest]
        new = origin + (point - origin) * at.minimum(1.0, LENGTH / apart[nearest])
        along = new - origin
        part = at.clip(at.dot(centre - origin, along) / at.dot(along, along), 0, 1)
        closest = origin + part.dimshuffle(0, "x") * along
        free = at.all(norm(centre - closest, axis=1) > radius)
        nodes = at.switch(free, at.set_subtensor(nodes[count], new), nodes)
        before = at.switch(free, at.set_subtensor(before[count], at.cast(nearest, "int32")), before)
        count = at.cast(count + free, "int32")
        return [nodes, before, count], until(aesara, at.and_(free, norm(new - goal) < NEAR))

    nodes = at.set_subtensor(at.zeros((most, 2), dtype="float64")[0], start)
    begin = [nodes, at.zeros((most,), dtype="int32"), at.constant(1, dtype="int32")]
    (nodes, before, count), updates = aesara.scan(grow, sequences=sample, outputs_info=begin)
    nodes, before, count = nodes[-1], before[-1], count[-1]

    def back(place: Any, length: Any, parts: Any) -> Any:
        to = before[place]
        length = length + norm(nodes[place] - nodes[to])
        return [to, length, at.cast(parts + 1, "int32")], until(aesara, at.eq(to, 0))

    zero = at.constant(0, dtype="int32")
    begin = [at.cast(count - 1, "int32"), at.constant(0.0, dtype="float64"), zero]
    (_, length, parts), _ = aesara.scan(back, outputs_info=begin, n_steps=most)
    arguments = [sample, start, goal, centre, radius]
    return aesara.function(arguments, [length[-1], parts[-1], count], updates=updates)


def rising_steps(aesara: Any) -> Any:
    """Rising values that are nearest to ``y`` in weighted squares, by blocks that are joined while the one before is
    not lower (Ayer, Brunk, Ewing, Reid and Silverman 1955; Barlow and others 1972): a loop over values with one that
    joins blocks. Float64."""
    at = aesara.tensor
    y, weight = at.dvector("y"), at.dvector("weight")
    size = y.shape[0]

    def add(i: Any, y_i: Any, weight_i: Any, mean: Any, total: Any, first: Any, count: Any) -> list[Any]:
        mean = at.set_subtensor(mean[count], y_i)
        total = at.set_subtensor(total[count], weight_i)
        first = at.set_subtensor(first[count], i)

        def join(mean: Any, total: Any, top: Any) -> Any:
            low = at.maximum(top - 1, 0)
            joins = at.and_(top > 0, mean[low] >= mean[top])
            both = total[low] + total[top]
            joined = (mean[low] * total[low] + mean[top] * total[top]) / both
            mean = at.set_subtensor(mean[low], at.switch(joins, joined, mean[low]))
            total = at.set_subtensor(total[low], at.switch(joins, both, total[low]))
            return [mean, total, at.switch(joins, low, top)], until(aesara, at.invert(joins))

        (mean, total, top), _ = aesara.scan(join, outputs_info=[mean, total, count], n_steps=size)
        return [mean[-1], total[-1], first, top[-1] + 1]

    place = at.arange(size)
    start = [at.zeros_like(y), at.zeros_like(y), at.zeros_like(place), at.zeros_like(place[0])]
    (mean, _, first, count), updates = aesara.scan(add, sequences=[place, y, weight], outputs_info=start)
    ends = at.switch(place < count[-1], first[-1], size)
    block = at.searchsorted(ends, place, side="right") - 1
    return aesara.function([y, weight], mean[-1][block], updates=updates)
