"""Rivers, light, cloth and gas, float64."""

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

MELTS_AT, LIMIT, HELD = 0.0, 20.0, 0.7
ROUTE = (1 / 9, 2 / 9, 3 / 9, 2 / 9, 1 / 9)
PULL, DRAG, STIFFNESS = -0.002, 0.99, 0.25
GAS, COURANT, END = 1.4, 0.4, 0.2


def runoff(aesara: Any) -> Any:
    """Squared error of roots of a river's flow by a model of snow, soil and two stores of water (Bergstrom 1976;
    Seibert and Vis 2012), whose outflow of the last five days arrives together, and its gradient in the logarithms of
    seven parameters. Rain, temperature, evaporation and the measured flow of each day."""
    at = aesara.tensor
    rain, warmth, dryness, measured = (at.dvector(name) for name in ("rain", "warmth", "dryness", "measured"))
    logs = [at.dscalar(name) for name in ("melting", "room", "shape", "fast", "middle", "slow", "sinking")]
    melting, room, shape, fast, middle, slow, sinking = (at.exp(one) for one in logs)

    def day(rain_t: Any, warmth_t: Any, dry_t: Any, q_4: Any, q_3: Any, q_2: Any, q_1: Any, *stores: Any) -> list[Any]:
        snow, soil, upper, lower = stores
        cold = warmth_t < MELTS_AT
        snow = snow + at.switch(cold, rain_t, 0.0)
        melt = at.minimum(snow, melting * at.maximum(warmth_t - MELTS_AT, 0.0))
        snow = snow - melt
        water = at.switch(cold, 0.0, rain_t) + melt
        recharge = water * at.minimum(soil / room, 1.0) ** shape
        soil = soil + water - recharge
        soil = at.maximum(soil - dry_t * at.minimum(soil / (HELD * room), 1.0), 1e-3)
        upper = upper + recharge
        sunk = at.minimum(upper, sinking)
        upper = upper - sunk
        out = fast * at.maximum(upper - LIMIT, 0.0) + middle * upper
        upper = upper - out
        lower = lower + sunk
        q = out + slow * lower
        lower = lower - slow * lower
        flow = ROUTE[0] * q + ROUTE[1] * q_1 + ROUTE[2] * q_2 + ROUTE[3] * q_3 + ROUTE[4] * q_4
        return [q, snow, soil, upper, lower, flow]

    start = [at.constant(value, dtype="float64") for value in (0.0, 100.0, 10.0, 50.0)]
    before = {"initial": at.zeros((4,), dtype="float64"), "taps": [-4, -3, -2, -1]}
    (*_, flow), updates = aesara.scan(day, sequences=[rain, warmth, dryness], outputs_info=[before, *start, None])
    cost = ((at.sqrt(flow + 0.01) - at.sqrt(measured + 0.01)) ** 2).mean()
    arguments = [rain, warmth, dryness, measured, *logs]
    return aesara.function(arguments, [cost, *aesara.grad(cost, logs)], updates=updates)


def lenses(aesara: Any) -> Any:
    """Mean square size of the spot that rays of a far point make behind a row of lenses, each ray through one surface
    after the other (Spencer and Murty 1962), and its gradient in curvatures and distances of the surfaces. ``ratio`` is
    the index before a surface over that after it; ``back`` is the distance of the picture."""
    at = aesara.tensor
    x, y, angle = at.dvector("x"), at.dvector("y"), at.dscalar("angle")
    curvature, distance, ratio, back = (at.dvector(name) for name in ("curvature", "distance", "ratio", "back"))

    def surface(c: Any, d: Any, mu: Any, x: Any, y: Any, z: Any, u: Any, v: Any, w: Any) -> list[Any]:
        to_vertex = (d - z) / w
        x, y = x + to_vertex * u, y + to_vertex * v
        f = c * (x**2 + y**2)
        g = w - c * (x * u + y * v)
        falls = at.sqrt(g**2 - c * f)
        further = f / (g + falls)
        x, y, z = x + further * u, y + further * v, further * w
        leaves = at.sqrt(1 - mu**2 * (1 - falls**2))
        by = leaves - mu * falls
        return [x, y, z, mu * u - by * c * x, mu * v - by * c * y, mu * w + by * (1 - c * z)]

    ones = at.ones_like(x)
    start = [x, y, 0 * ones, 0 * ones, at.sin(angle) * ones, at.cos(angle) * ones]
    rays, updates = aesara.scan(surface, sequences=[curvature, distance, ratio], outputs_info=start)
    x_end, y_end, z_end, u, v, w = (ray[-1] for ray in rays)
    left = (back[0] - z_end) / w
    x_end, y_end = x_end + left * u, y_end + left * v
    size = ((x_end - x_end.mean()) ** 2 + (y_end - y_end.mean()) ** 2).mean()
    slopes = aesara.grad(size, [curvature, distance, back])
    return aesara.function([x, y, angle, curvature, distance, ratio, back], [size, *slopes], updates=updates)


def cloth(aesara: Any, steps: int, rounds: int) -> Any:
    """Points of a cloth that hangs from its first row, by Verlet steps, each with rounds that bring neighbours back to
    their distance (Jakobsen 2001; Mueller, Heidelberger, Hennix and Ratcliff 2007), all at once: a loop over time with
    a loop over rounds. ``points (row, column, 3)``."""
    at = aesara.tensor
    points, rest, gravity = at.dtensor3("points"), at.dscalar("rest"), at.dvector("gravity")

    def relax(p: Any) -> Any:
        right = p[:, 1:] - p[:, :-1]
        right = STIFFNESS * (1 - rest / at.sqrt((right**2).sum(axis=2, keepdims=True))) * right
        down = p[1:] - p[:-1]
        down = STIFFNESS * (1 - rest / at.sqrt((down**2).sum(axis=2, keepdims=True))) * down
        p = at.inc_subtensor(p[:, :-1], right)
        p = at.inc_subtensor(p[:, 1:], -right)
        p = at.inc_subtensor(p[:-1], down)
        p = at.inc_subtensor(p[1:], -down)
        return at.set_subtensor(p[0], points[0])

    def step(before: Any, now: Any) -> Any:
        moved = now + DRAG * (now - before) + gravity
        relaxed, _ = aesara.scan(relax, outputs_info=moved, n_steps=rounds)
        return relaxed[-1]

    start = {"initial": at.stack([points, points]), "taps": [-2, -1]}
    found, updates = aesara.scan(step, outputs_info=start, n_steps=steps)
    return aesara.function([points, rest, gravity], found[-1], updates=updates)


def shock_tube(aesara: Any, most: int) -> Any:
    """Density, speed and pressure of a gas in a tube some time after the wall in it is gone (Sod 1978), by finite
    volumes with limited slopes (van Leer 1979) and the flux of Rusanov (1961), in two stages a step (Shu and Osher
    1988). The fastest wave limits each step, until the end."""
    at = aesara.tensor
    density, pressure, width = at.dvector("density"), at.dvector("pressure"), at.dscalar("width")

    def known(rho: Any, m: Any, e: Any) -> tuple[Any, Any, Any]:
        u = m / rho
        return rho, u, (GAS - 1) * (e - m * u / 2)

    def sides(q: Any) -> tuple[Any, Any]:
        q = at.concatenate([q[:1], q[:1], q, q[-1:], q[-1:]])
        by = q[1:] - q[:-1]
        a, b = by[:-1], by[1:]
        slope = at.switch(a * b > 0, at.switch(abs(a) < abs(b), a, b), 0.0)
        return (q[1:-1] + slope / 2)[:-1], (q[1:-1] - slope / 2)[1:]

    def flux(rho: Any, u: Any, p: Any) -> tuple[list[Any], list[Any], Any]:
        e = p / (GAS - 1) + rho * u**2 / 2
        return [rho, rho * u, e], [rho * u, rho * u**2 + p, (e + p) * u], abs(u) + at.sqrt(GAS * p / rho)

    def change(state: Any) -> list[Any]:
        left, right = zip(*(sides(q) for q in known(*state)), strict=True)
        q_left, f_left, fast_left = flux(*left)
        q_right, f_right, fast_right = flux(*right)
        fast = at.maximum(fast_left, fast_right)
        flows = [(a + b) / 2 - fast * (d - c) / 2 for a, b, c, d in zip(f_left, f_right, q_left, q_right, strict=True)]
        return [-(flow[1:] - flow[:-1]) / width for flow in flows]

    def step(time: Any, *state: Any) -> Any:
        rho, u, p = known(*state)
        by = COURANT * width / at.max(abs(u) + at.sqrt(GAS * p / rho))
        by = at.minimum(by, END - time)
        first = [q + by * one for q, one in zip(state, change(state), strict=True)]
        second = [q + by * one for q, one in zip(first, change(first), strict=True)]
        time = time + by
        new = [(q + other) / 2 for q, other in zip(state, second, strict=True)]
        return [time, *new], until(aesara, time > END - 1e-12)

    zero = at.constant(0.0, dtype="float64")
    start = [zero, density, at.zeros_like(density), pressure / (GAS - 1)]
    (_, *state), updates = aesara.scan(step, outputs_info=start, n_steps=most)
    return aesara.function([density, pressure, width], list(known(*(q[-1] for q in state))), updates=updates)
