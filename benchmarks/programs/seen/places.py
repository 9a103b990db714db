"""Mountains that rivers wear down, a glacier, a picture from radio dishes and the light of a star, float64."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

import math
from typing import Any

UPLIFT, ERODES, LONG = 1e-3, 2e-4, 100.0
SIDE = math.sqrt(2)
WAYS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
CELL, YEAR, MOST_SNOW = 200.0, 0.1, 1.0
GAIN = 0.1


def landscape(aesara: Any, steps: int) -> Any:
    """Heights of land that rises while rivers wear it down, and the area that drains through each cell (Braun and
    Willett 2013): each time cells drain to their steepest neighbour, areas are added up from the highest cell down,
    and heights are found from the lowest cell up: a loop with two loops. The edge stays where it is."""
    at = aesara.tensor
    z = at.dmatrix("z")
    rows, columns = z.shape[0], z.shape[1]
    cell = at.arange(rows * columns)
    row, column = cell // columns, cell % columns
    inner = at.neq(row, 0) * at.neq(row, rows - 1) * at.neq(column, 0) * at.neq(column, columns - 1)
    lengths = at.constant([math.hypot(*way) for way in WAYS], dtype="float64")
    offsets = at.stack([way[0] * columns + way[1] for way in WAYS])

    def drain(i: Any, area: Any, receiver: Any) -> Any:
        to = at.switch(at.eq(receiver[i], i), 0.0, area[i])
        return at.inc_subtensor(area[receiver[i]], to)

    def erode(i: Any, height: Any, receiver: Any, factor: Any) -> Any:
        return at.set_subtensor(height[i], (height[i] + factor[i] * height[receiver[i]]) / (1 + factor[i]))

    def step(z: Any) -> list[Any]:
        slopes = at.stack([(z - at.roll(at.roll(z, -a, axis=0), -b, axis=1)) / math.hypot(a, b) for a, b in WAYS])
        slopes = slopes.reshape((len(WAYS), -1))
        best = at.argmax(slopes, axis=0)
        flows = at.and_(inner, slopes.max(axis=0) > 0)
        receiver = at.switch(flows, cell + offsets[best], cell)
        height = z.flatten()
        order = at.argsort(height)
        ones = at.ones_like(height)
        area, _ = aesara.scan(drain, sequences=order, outputs_info=ones, non_sequences=receiver, go_backwards=True)
        factor = ERODES * LONG * at.sqrt(area[-1]) / lengths[best]
        raised = height + UPLIFT * LONG * at.cast(inner, "float64")
        height, _ = aesara.scan(erode, sequences=order, outputs_info=raised, non_sequences=[receiver, factor])
        return [height[-1].reshape(z.shape), area[-1]]

    (z_t, area), updates = aesara.scan(step, outputs_info=[z, None], n_steps=steps)
    return aesara.function([z], [z_t[-1], area[-1]], updates=updates)


def glacier(aesara: Any, steps: int) -> Any:
    """Squared error of a glacier's thickness after some years of flow down its bed (Oerlemans 1997; Cuffey and Paterson
    2010), and its gradient in three parameters: how fast snow changes with height, the height without change, and the
    logarithm of how easily ice flows."""
    at = aesara.tensor
    H, bed, seen, theta = at.dvector("H"), at.dvector("bed"), at.dvector("seen"), at.dvector("theta")
    wall = at.zeros((1,), dtype="float64")

    def step(H: Any) -> Any:
        surface = bed + H
        slope = (surface[1:] - surface[:-1]) / CELL
        between = (H[1:] + H[:-1]) / 2
        flux = at.concatenate([wall, -at.exp(theta[2]) * between**5 * slope**3, wall])
        snow = at.minimum(theta[0] * (surface - theta[1]), MOST_SNOW)
        return at.maximum(H + YEAR * (snow - (flux[1:] - flux[:-1]) / CELL), 0)

    H_t, updates = aesara.scan(step, outputs_info=H, n_steps=steps)
    cost = ((H_t[-1] - seen) ** 2).mean()
    return aesara.function([H, bed, seen, theta], [cost, aesara.grad(cost, theta)], updates=updates)


def clean(aesara: Any, rounds: int) -> Any:
    """Points of light in a picture from radio dishes, found one by one: a part of the brightest place is taken away
    together with how the dishes spread it (Hoegbom 1974). ``dirty`` is the picture, ``beam`` what a point at its middle
    looks like, with twice its size less one."""
    at = aesara.tensor
    dirty, beam = at.dmatrix("dirty"), at.dmatrix("beam")
    size = dirty.shape[0]

    def find(left: Any, model: Any) -> list[Any]:
        brightest = at.argmax(abs(left))
        row, column = brightest // size, brightest % size
        part = GAIN * left[row, column]
        pattern = beam[size - 1 - row : 2 * size - 1 - row, size - 1 - column : 2 * size - 1 - column]
        return [left - part * pattern, at.inc_subtensor(model[row, column], part), part]

    start = [dirty, at.zeros_like(dirty), None]
    (left, model, part), updates = aesara.scan(find, outputs_info=start, n_steps=rounds)
    return aesara.function([dirty, beam], [left[-1], model[-1], part], updates=updates)


def damped_waves(aesara: Any) -> Any:
    """Log-likelihood of a star's brightness at irregular times, a sum of a damped walk and a damped wave, by the
    factors of a matrix that is semiseparable (Foreman-Mackey, Agol, Ambikasaran and Angus 2017), and its gradient in
    the logarithms of six parameters. ``wait`` is the time since the observation before."""
    at = aesara.tensor
    time, wait, y, theta = at.dvector("time"), at.dvector("wait"), at.dvector("y"), at.dvector("theta")
    a, c, wave, fade, turn, noise = (at.exp(theta[k]) for k in range(6))
    cosine, sine = at.cos(turn * time), at.sin(turn * time)
    other = wave * fade / turn
    U = at.stack([a + 0 * time, wave * cosine + other * sine, wave * sine - other * cosine], axis=1)
    V = at.stack([1 + 0 * time, cosine, sine], axis=1)
    kept = at.exp(-wait.dimshuffle(0, "x") * at.stack([c, fade, fade]))

    def step(y_t: Any, u: Any, v: Any, kept_t: Any, S: Any, f: Any, W: Any, D: Any, z: Any) -> list[Any]:
        S = at.outer(kept_t, kept_t) * (S + D * at.outer(W, W))
        f = kept_t * (f + W * z)
        uS = at.dot(u, S)
        D = a + wave + noise - at.dot(uS, u)
        W = (v - uS) / D
        z = y_t - at.dot(u, f)
        return [S, f, W, D, z]

    zeros = at.zeros((3,), dtype="float64")
    number = at.constant(0.0, dtype="float64")
    start = [at.zeros((3, 3), dtype="float64"), zeros, zeros, number, number]
    (_, _, _, D, z), updates = aesara.scan(step, sequences=[y, U, V, kept], outputs_info=start)
    value = -0.5 * (z**2 / D + at.log(D) + math.log(2 * math.pi)).sum()
    return aesara.function([time, wait, y, theta], [value, aesara.grad(value, theta)], updates=updates)
