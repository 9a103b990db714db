"""Planets, a shallow sea and the way around obstacles."""

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

SUN = 39.47841760435743
ACCURACY = 1e-12
GRAVITY, DEPTH, TURNING = 9.81, 10.0, 0.05
UNKNOWN = 1e6


def planets(aesara: Any, steps: int) -> Any:
    """Places and speeds of planets and the energy after each step, by kicks of each other between parts of ellipses
    around the sun (Wisdom and Holman 1991), with Newton's method for Kepler's equation until all planets have their
    angle: a loop over time with one until. ``x (planet, 3)``; masses are shares of the sun's. Float64."""
    at = aesara.tensor
    start_x, start_v, mass, dt = at.dmatrix("x"), at.dmatrix("v"), at.dvector("mass"), at.dscalar("dt")
    pull = SUN * mass

    def apart(x: Any) -> tuple[Any, Any]:
        by = x.dimshuffle(0, "x", 1) - x
        return by, (by**2).sum(axis=2) + at.eye(x.shape[0])

    def kick(x: Any) -> Any:
        by, square = apart(x)
        return -(pull.dimshuffle("x", 0, "x") * by / (square**1.5).dimshuffle(0, 1, "x")).sum(axis=1)

    def drift(x: Any, v: Any) -> tuple[Any, Any]:
        r = at.sqrt((x**2).sum(axis=1))
        a = 1 / (2 / r - (v**2).sum(axis=1) / SUN)
        n = at.sqrt(SUN / a**3)
        cosine, sine = 1 - r / a, (x * v).sum(axis=1) / at.sqrt(SUN * a)

        def newton(angle: Any) -> Any:
            wrong = angle - cosine * at.sin(angle) + sine * (1 - at.cos(angle)) - n * dt
            by = wrong / (1 - cosine * at.cos(angle) + sine * at.sin(angle))
            return angle - by, until(aesara, at.max(abs(by)) < ACCURACY)

        angle, _ = aesara.scan(newton, outputs_info=n * dt, n_steps=30)
        c, s = at.cos(angle[-1]), at.sin(angle[-1])
        later = a * (1 - cosine * c + sine * s)
        f, g = 1 - a / r * (1 - c), dt + (s - angle[-1]) / n
        df, dg = -(a**2) * n / (r * later) * s, 1 - a / later * (1 - c)
        f, g, df, dg = (one.dimshuffle(0, "x") for one in (f, g, df, dg))
        return f * x + g * v, df * x + dg * v

    def energy(x: Any, v: Any) -> Any:
        own = mass * ((v**2).sum(axis=1) / 2 - SUN / at.sqrt((x**2).sum(axis=1)))
        between = SUN * at.outer(mass, mass) / at.sqrt(apart(x)[1])
        return own.sum() - at.triu(between, 1).sum()

    def step(x: Any, v: Any) -> list[Any]:
        v = v + dt / 2 * kick(x)
        x, v = drift(x, v)
        v = v + dt / 2 * kick(x)
        return [x, v, energy(x, v)]

    (x, v, found), updates = aesara.scan(step, outputs_info=[start_x, start_v, None], n_steps=steps)
    return aesara.function([start_x, start_v, mass, dt], [x[-1], v[-1], found], updates=updates)


def shallow_sea(aesara: Any, every: int) -> Any:
    """Squared error of the heights of a shallow, turning sea to measurements at each ``every``-th step, and its
    gradient in the first heights (Arakawa and Lamb 1977; Talagrand and Courtier 1987). Heights are in the middle of
    cells, speeds on their sides; the sea has no border. ``measured (time, row, column)``. Float32."""
    at = aesara.tensor
    height, measured, rate = at.fmatrix("height"), at.ftensor3("measured"), at.fscalar("rate")

    def step(h: Any, u: Any, v: Any) -> list[Any]:
        right, below = at.roll(h, -1, axis=1), at.roll(h, -1, axis=0)
        across = (v + at.roll(v, -1, axis=1) + at.roll(v, 1, axis=0) + at.roll(at.roll(v, -1, axis=1), 1, axis=0)) / 4
        u = u + rate * (TURNING * across - GRAVITY * (right - h))
        along = (u + at.roll(u, 1, axis=1) + at.roll(u, -1, axis=0) + at.roll(at.roll(u, 1, axis=1), -1, axis=0)) / 4
        v = v - rate * (TURNING * along + GRAVITY * (below - h))
        flow_u, flow_v = (DEPTH + (h + right) / 2) * u, (DEPTH + (h + below) / 2) * v
        h = h - rate * (flow_u - at.roll(flow_u, 1, axis=1) + flow_v - at.roll(flow_v, 1, axis=0))
        return [h, u, v]

    rest = at.zeros_like(height)
    steps = every * measured.shape[0]
    (h, _, _), updates = aesara.scan(step, outputs_info=[height, rest, rest], n_steps=steps)
    cost = ((h[every - 1 :: every] - measured) ** 2).mean()
    return aesara.function([height, measured, rate], [cost, aesara.grad(cost, height)], updates=updates)


def travel_times(aesara: Any, most: int) -> Any:
    """Least times from some cells to all others of a map, when ``slowness`` differs from cell to cell, by sweeps from
    all four corners (Zhao 2005) until no time changes: a loop over rounds with loops over rows, each with one over
    cells. ``start`` is 0 where one may begin, else ``UNKNOWN``. Float64."""
    at = aesara.tensor
    start, slowness = at.dmatrix("start"), at.dmatrix("slowness")

    def cell(now: Any, right: Any, vertical: Any, slow: Any, left: Any) -> Any:
        across = at.minimum(left, right)
        apart = across - vertical
        near = at.minimum(across, vertical) + slow
        both = (across + vertical + at.sqrt(at.maximum(2 * slow**2 - apart**2, 0.0))) / 2
        return at.minimum(now, at.switch(abs(apart) >= slow, near, both))

    def sweep(times: Any, slow: Any) -> Any:
        edge = at.zeros_like(times[:1]) + UNKNOWN
        side = at.zeros_like(times[:, :1]) + UNKNOWN
        right = at.concatenate([times[:, 1:], side], axis=1)
        below = at.concatenate([times[1:], edge], axis=0)

        def row(now: Any, right_r: Any, below_r: Any, slow_r: Any, above: Any) -> Any:
            vertical = at.minimum(above, below_r)
            first = at.constant(UNKNOWN, dtype="float64")
            found, _ = aesara.scan(cell, sequences=[now, right_r, vertical, slow_r], outputs_info=first)
            return found

        found, _ = aesara.scan(row, sequences=[times, right, below, slow], outputs_info=edge[0])
        return found

    def rounds(times: Any) -> Any:
        new = times
        for down in (1, -1):
            for across in (1, -1):
                new = sweep(new[::down, ::across], slowness[::down, ::across])[::down, ::across]
        return new, until(aesara, at.max(times - new) < 1e-9)

    times, updates = aesara.scan(rounds, outputs_info=start, n_steps=most)
    return aesara.function([start, slowness], times[-1], updates=updates)
