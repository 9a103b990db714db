"""Cars that follow each other, a car that follows a path, a map from beams of light and places of a robot from what it
saw again."""

# ruff: noqa: N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

TIME, LONG = 0.2, 4.5
TICK, BASE, PULL, SPEED, SHARP, FASTEST = 0.05, 2.9, 1.0, 8.0, 0.6, 1.2
FREE, HIT, SURE, PACE = -0.4, 0.85, 5.0, 0.7


def following(aesara: Any) -> Any:
    """Mean square error of the places of cars behind a leader by the intelligent driver model (Treiber, Hennecke and
    Helbing 2000), and its gradient in the logarithms of the wished speed, the time and the distance ahead, the
    acceleration and the braking. Float64."""
    at = aesara.tensor
    lead_x, lead_v, seen = at.dvector("lead_x"), at.dvector("lead_v"), at.dmatrix("seen")
    start, theta = at.dvector("start"), at.dvector("theta")
    wished, ahead, apart, gain, brake = [at.exp(theta[k]) for k in range(5)]

    def step(x_lead: Any, v_lead: Any, x: Any, v: Any) -> list[Any]:
        before_x = at.concatenate([x_lead.dimshuffle("x"), x[:-1]])
        before_v = at.concatenate([v_lead.dimshuffle("x"), v[:-1]])
        gap = before_x - x - LONG
        wanted = apart + at.maximum(0.0, v * ahead + v * (v - before_v) / (2 * at.sqrt(gain * brake)))
        force = gain * (1 - (v / wished) ** 4 - (wanted / gap) ** 2)
        new_v = at.maximum(v + TIME * force, 0.0)
        return [x + TIME * (v + new_v) / 2, new_v]

    outputs = [start, at.zeros_like(start) + lead_v[0]]
    (x, _), updates = aesara.scan(step, sequences=[lead_x, lead_v], outputs_info=outputs)
    cost = ((x - seen) ** 2).mean()
    arguments = [lead_x, lead_v, seen, start, theta]
    return aesara.function(arguments, [cost, aesara.grad(cost, theta)], updates=updates)


def path_tracking(aesara: Any, most: int) -> Any:
    """Place, heading and speed of a car that follows a path to its end by the heading of the nearest point and the
    distance from it (Hoffmann, Tomlin, Montemerlo and Thrun 2007), the largest distance and the number of steps.
    Float64 and int32."""
    at = aesara.tensor
    path, heading, start = at.dmatrix("path"), at.dvector("heading"), at.dvector("start")
    count = path.shape[0]

    def step(x: Any, y: Any, yaw: Any, speed: Any, worst: Any, steps: Any) -> Any:
        front_x, front_y = x + BASE * at.cos(yaw), y + BASE * at.sin(yaw)
        off_x, off_y = front_x - path[:, 0], front_y - path[:, 1]
        nearest = at.argmin(off_x**2 + off_y**2)
        error = off_x[nearest] * at.sin(yaw) - off_y[nearest] * at.cos(yaw)
        turn = heading[nearest] - yaw
        turn = at.arctan2(at.sin(turn), at.cos(turn))
        wheel = at.clip(turn + at.arctan2(SHARP * error, speed), -0.5, 0.5)
        new_yaw = yaw + speed / BASE * at.tan(wheel) * TICK
        moved = [x + speed * at.cos(yaw) * TICK, y + speed * at.sin(yaw) * TICK]
        new_speed = speed + at.minimum(PULL * (SPEED - speed), FASTEST) * TICK
        worst = at.maximum(worst, abs(error))
        state = [*moved, new_yaw, new_speed, worst, steps + 1]
        return state, until(aesara, nearest >= count - 2)

    zero = at.constant(0.0, dtype="float64")
    outputs = [start[0], start[1], start[2], start[3], zero, at.constant(0, dtype="int32")]
    found, updates = aesara.scan(step, outputs_info=outputs, n_steps=most)
    return aesara.function([path, heading, start], [one[-1] for one in found], updates=updates)


def occupancy_map(aesara: Any, reach: int) -> Any:
    """Odds, as logarithms, that cells of a map are taken, from beams that a robot sends around: cells that a beam
    passes are less likely, the cell where it ends more so (Moravec and Elfes 1985), within limits. ``pose (time, 3)``
    in cells and radians, ``length (time, beam)``. Float64."""
    at = aesara.tensor
    pose, length, beam, grid = at.dmatrix("pose"), at.dmatrix("length"), at.dvector("beam"), at.dmatrix("grid")
    along = PACE * (at.arange(reach) + 0.5)
    rows, columns = grid.shape[0], grid.shape[1]

    def step(pose_t: Any, length_t: Any, grid: Any) -> Any:
        angle = (pose_t[2] + beam).dimshuffle(0, "x")
        row = at.cast(at.floor(pose_t[0] + at.sin(angle) * along), "int32")
        column = at.cast(at.floor(pose_t[1] + at.cos(angle) * along), "int32")
        end = length_t.dimshuffle(0, "x")
        odds = at.switch(along < end - PACE, FREE, at.switch(along < end, HIT, 0.0))
        inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
        odds = at.switch(inside, odds, 0.0)
        row, column = at.clip(row, 0, rows - 1), at.clip(column, 0, columns - 1)
        return at.clip(at.inc_subtensor(grid[row, column], odds), -SURE, SURE)

    grids, updates = aesara.scan(step, sequences=[pose, length], outputs_info=grid)
    return aesara.function([pose, length, beam, grid], grids[-1], updates=updates)


def pose_graph(aesara: Any, most: int) -> Any:
    """Places and headings of a robot from its moves and from what it saw again, by Gauss-Newton steps (Grisetti,
    Kuemmerle, Stachniss and Burgard 2010) until they rest, and the weighted square error. ``pose (number, 3)``; edges
    go from ``first`` to ``second``, measured as ``seen (edge, 3)`` with weights. Float64."""
    at = aesara.tensor
    pose, seen, weight = at.dmatrix("pose"), at.dmatrix("seen"), at.dmatrix("weight")
    first, second, tolerance = at.ivector("first"), at.ivector("second"), at.dscalar("tolerance")
    count = pose.shape[0]

    def step(pose: Any, _: Any) -> Any:
        one, other = pose[first], pose[second]
        cosine, sine = at.cos(one[:, 2]), at.sin(one[:, 2])
        x, y = other[:, 0] - one[:, 0], other[:, 1] - one[:, 1]
        seen_x, seen_y = cosine * x + sine * y, cosine * y - sine * x
        turn = other[:, 2] - one[:, 2] - seen[:, 2]
        turn = at.arctan2(at.sin(turn), at.cos(turn))
        error = at.stack([seen_x - seen[:, 0], seen_y - seen[:, 1], turn], axis=1)
        zero, unit = at.zeros_like(x), at.ones_like(x)
        A = at.stack(
            [
                at.stack([-cosine, -sine, seen_y], axis=1),
                at.stack([sine, -cosine, -seen_x], axis=1),
                at.stack([zero, zero, -unit], axis=1),
            ],
            axis=1,
        )
        B = at.stack(
            [
                at.stack([cosine, sine, zero], axis=1),
                at.stack([-sine, cosine, zero], axis=1),
                at.stack([zero, zero, unit], axis=1),
            ],
            axis=1,
        )
        A_w = (A * weight.dimshuffle(0, 1, "x")).dimshuffle(0, 2, 1)
        B_w = (B * weight.dimshuffle(0, 1, "x")).dimshuffle(0, 2, 1)
        H = at.zeros((count, count, 3, 3), dtype="float64")
        H = at.inc_subtensor(H[first, first], at.batched_dot(A_w, A))
        H = at.inc_subtensor(H[first, second], at.batched_dot(A_w, B))
        H = at.inc_subtensor(H[second, first], at.batched_dot(B_w, A))
        H = at.inc_subtensor(H[second, second], at.batched_dot(B_w, B))
        H = at.inc_subtensor(H[0, 0], at.eye(3, dtype="float64"))
        b = at.zeros((count, 3), dtype="float64")
        b = at.inc_subtensor(b[first], at.batched_dot(A_w, error))
        b = at.inc_subtensor(b[second], at.batched_dot(B_w, error))
        square = H.dimshuffle(0, 2, 1, 3).reshape((3 * count, 3 * count))
        change = at.linalg.solve(square, -b.flatten())
        total = (weight * error**2).sum()
        return [pose + change.reshape((count, 3)), total], until(aesara, abs(change).max() < tolerance)

    outputs = [pose, at.constant(0.0, dtype="float64")]
    (poses, total), updates = aesara.scan(step, outputs_info=outputs, n_steps=most)
    arguments = [pose, seen, weight, first, second, tolerance]
    return aesara.function(arguments, [poses[-1], total[-1]], updates=updates)
