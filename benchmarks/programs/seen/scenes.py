"""Pictures and a fluid in the plane, float64."""

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

RADIUS, TUBE, BALL, FLOOR, BLEND = 1.0, 0.35, 0.6, -0.6, 0.3
HIT, FAR = 1e-4, 20.0

MOVES = ((0, 0), (1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1))
SHARES = (4 / 9, *(1 / 9,) * 4, *(1 / 36,) * 4)


def ray_marching(aesara: Any, most: int) -> Any:
    """Distances to a scene of a torus, a ball that melts into it and a floor by steps as long as the distance to the
    nearest surface (Hart 1996), until all rays have hit or are far. ``direction (ray, 3)``."""
    at = aesara.tensor
    eye, direction, ball = at.dvector("eye"), at.dmatrix("direction"), at.dvector("ball")

    def distance(p: Any) -> Any:
        ring = at.sqrt(p[:, 0] ** 2 + p[:, 2] ** 2) - RADIUS
        torus = at.sqrt(ring**2 + p[:, 1] ** 2) - TUBE
        round_one = at.sqrt(((p - ball) ** 2).sum(axis=1)) - BALL
        between = at.maximum(BLEND - abs(torus - round_one), 0.0) / BLEND
        both = at.minimum(torus, round_one) - between**2 * BLEND / 4
        return at.minimum(both, p[:, 1] - FLOOR)

    def march(length: Any, going: Any) -> Any:
        by = distance(eye + length.dimshuffle(0, "x") * direction)
        length = at.switch(going, length + by, length)
        going = at.and_(going, at.and_(by > HIT, length < FAR))
        return [length, going], until(aesara, at.invert(at.any(going)))

    zeros = at.zeros_like(direction[:, 0])
    (length, _), updates = aesara.scan(march, outputs_info=[zeros, at.ge(zeros, 0)], n_steps=most)
    return aesara.function([eye, direction, ball], length[-1], updates=updates)


def total_variation(aesara: Any, steps: int) -> Any:
    """Picture without noise that keeps its edges (Rudin, Osher and Fatemi 1992) by steps in the picture and in the
    slopes (Chambolle and Pock 2011)."""
    at = aesara.tensor
    noisy, weight = at.dmatrix("noisy"), at.dscalar("weight")
    tau = sigma = 8**-0.5
    row, column = at.zeros_like(noisy[:1]), at.zeros_like(noisy[:, :1])

    def step(picture: Any, ahead: Any, down: Any, right: Any) -> list[Any]:
        down = down + sigma * at.concatenate([ahead[1:] - ahead[:-1], row], axis=0)
        right = right + sigma * at.concatenate([ahead[:, 1:] - ahead[:, :-1], column], axis=1)
        size = at.maximum(at.sqrt(down**2 + right**2) / weight, 1.0)
        down, right = down / size, right / size
        spread = at.concatenate([down[:1], down[1:-1] - down[:-2], -down[-2:-1]], axis=0)
        spread = spread + at.concatenate([right[:, :1], right[:, 1:-1] - right[:, :-2], -right[:, -2:-1]], axis=1)
        new = (picture + tau * (spread + noisy)) / (1 + tau)
        return [new, 2 * new - picture, down, right]

    zeros = at.zeros_like(noisy)
    (picture, *_), updates = aesara.scan(step, outputs_info=[noisy, noisy, zeros, zeros], n_steps=steps)
    return aesara.function([noisy, weight], picture[-1], updates=updates)


def flow(aesara: Any, steps: int) -> Any:
    """Velocities of a fluid that flows past a body by the lattice Boltzmann method with nine directions (Qian,
    d'Humieres and Lallemand 1992). ``body (x, y)`` is 1 inside of the body, ``speed`` is that of the flow at the
    start."""
    at = aesara.tensor
    body, speed, relaxation = at.dmatrix("body"), at.dscalar("speed"), at.dscalar("relaxation")

    def balance(density: Any, u: Any, v: Any) -> Any:
        square = 1.5 * (u**2 + v**2)
        along = [3 * (x * u + y * v) for x, y in MOVES]
        shares = zip(SHARES, along, strict=True)
        return at.stack([share * density * (1 + one + one**2 / 2 - square) for share, one in shares])

    def moments(f: Any) -> tuple[Any, Any, Any]:
        density = f.sum(axis=0)
        u = sum(x * f[k] for k, (x, _) in enumerate(MOVES) if x) / density
        v = sum(y * f[k] for k, (_, y) in enumerate(MOVES) if y) / density
        return density, u, v

    def step(f: Any) -> Any:
        f = at.stack([at.roll(at.roll(f[k], x, axis=0), y, axis=1) for k, (x, y) in enumerate(MOVES)])
        turned = at.stack([f[MOVES.index((-x, -y))] for x, y in MOVES])
        f_new = f + relaxation * (balance(*moments(f)) - f)
        return at.switch(body > 0.5, turned, f_new)

    ones = at.ones_like(body)
    f, updates = aesara.scan(step, outputs_info=balance(ones, speed * ones, 0 * ones), n_steps=steps)
    _, u, v = moments(f[-1])
    return aesara.function([body, speed, relaxation], [u, v], updates=updates)
