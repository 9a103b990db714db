"""Plankton in a column of water, a forest that burns, waves in the ground and water under it."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import stream, until

DEPTH, HOUR = 2.0, 1 / 24
GROWTH, HALF, GRAZING, HUNGER, WASTE, DEATH, GONE = 1.4, 0.5, 0.9, 0.6, 0.3, 0.06, 0.08
CLEAR, SHADE, BRIGHT = 0.06, 0.05, 0.35
SPROUTS, LIGHTNING = 2**-6, 2**-12
DAMPED, SWEEPS = 0.8, 2


def plankton(aesara: Any) -> Any:
    """Nutrients, plants and animals at each depth of a column of water that mixes (Franks, Wroblewski and Flierl 1986),
    where plants shade those below, and the plants at each hour. ``sun (time)``, ``mixing (depth - 1)``. Float32."""
    at = aesara.tensor
    sun, mixing = at.fvector("sun"), at.fvector("mixing")
    start = [at.fvector(name) for name in ("nutrients", "plants", "animals")]
    depth = DEPTH * (at.arange(mixing.shape[0] + 1, dtype="float32") + 0.5)

    def mixed(value: Any) -> Any:
        flow = mixing * (value[1:] - value[:-1]) / DEPTH**2
        none = at.zeros((1,), dtype="float32")
        return at.concatenate([flow, none]) - at.concatenate([none, flow])

    def step(sun_t: Any, N: Any, P: Any, Z: Any) -> list[Any]:
        above = DEPTH * (at.cumsum(P) - P / 2)
        light = sun_t * at.exp(-CLEAR * depth - SHADE * above)
        taken = GROWTH * light / at.sqrt(BRIGHT**2 + light**2) * N / (HALF + N) * P
        eaten = GRAZING * (1 - at.exp(-HUNGER * P)) * Z
        dead, gone = DEATH * P, GONE * Z
        new_N = N + HOUR * (mixed(N) - taken + WASTE * eaten + dead + gone)
        new_P = P + HOUR * (mixed(P) + taken - eaten - dead)
        new_Z = Z + HOUR * (mixed(Z) + (1 - WASTE) * eaten - gone)
        return [new_N, new_P, new_Z, new_P.sum()]

    (N, P, Z, total), updates = aesara.scan(step, sequences=sun, outputs_info=[*start, None])
    return aesara.function([sun, mixing, *start], [N[-1], P[-1], Z[-1], total], updates=updates)


def forest_fires(aesara: Any, steps: int) -> Any:
    """Mean shares of cells with trees and with fires, over the later half of the steps: trees sprout by chance, burn
    where a neighbour burns or lightning strikes, and leave an empty cell (Drossel and Schwabl 1992). Float32."""
    at, trng = aesara.tensor, stream(aesara)
    forest = at.imatrix("forest")

    def step(forest: Any) -> list[Any]:
        burns = at.eq(forest, 2)
        near = at.zeros_like(burns)
        for axis in (0, 1):
            near = near | at.roll(burns, 1, axis=axis) | at.roll(burns, -1, axis=axis)
        u = trng.uniform(size=forest.shape, dtype="float32")
        tree = at.switch(near | (u < LIGHTNING), 2, 1)
        ground = at.switch(u < SPROUTS, 1, 0)
        new = at.switch(at.eq(forest, 1), tree, at.switch(burns, 0, ground))
        new = at.cast(new, "int32")
        shares = [at.cast(at.eq(new, kind), "float32").mean() for kind in (1, 2)]
        return [new, at.stack(shares)]

    (_, shares), updates = aesara.scan(step, outputs_info=[forest, None], n_steps=steps)
    return aesara.function([forest], shares[steps // 2 :].mean(axis=0), updates=updates)


def ground_waves(aesara: Any) -> Any:
    """Squared error of what sensors near the surface hear of a blow to the ground, by the wave equation with edges that
    damp it, and its gradient in the square of the speed at each place, in cells a step (Tarantola 1984). Float32."""
    at = aesara.tensor
    blow, seen, speed, kept = at.fvector("blow"), at.fmatrix("seen"), at.fmatrix("speed"), at.fmatrix("kept")
    source, sensors = at.ivector("source"), at.imatrix("sensors")

    def step(blow_t: Any, last: Any, wave: Any) -> list[Any]:
        wide = at.zeros((wave.shape[0] + 2, wave.shape[1] + 2), dtype="float32")
        wide = at.set_subtensor(wide[1:-1, 1:-1], wave)
        curved = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:] - 4 * wave
        new = kept * (2 * wave - kept * last + speed * curved)
        new = at.inc_subtensor(new[source[0], source[1]], blow_t)
        return [wave, new, new[sensors[0], sensors[1]]]

    still = at.zeros_like(speed)
    (_, _, heard), updates = aesara.scan(step, sequences=blow, outputs_info=[still, still, None])
    cost = ((heard - seen) ** 2).mean()
    arguments = [blow, seen, speed, kept, source, sensors]
    return aesara.function(arguments, [cost, aesara.grad(cost, speed)], updates=updates)


def drawdown(aesara: Any, size: int, most: int) -> Any:
    """How far wells lower the water under a square with rivers around, by cycles over grids of ``size``, half as many
    cells and so on, each smoothed by a loop before and after the coarser one (Brandt 1977; Briggs, Henson and McCormick
    2000), until what is left is small. Float64."""
    at = aesara.tensor
    wells, tolerance = at.dmatrix("wells"), at.dscalar("tolerance")

    def around(u: Any, cells: int) -> Any:
        wide = at.set_subtensor(at.zeros((cells + 2, cells + 2), dtype="float64")[1:-1, 1:-1], u)
        return wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]

    def smooth(u: Any, g: Any, cells: int) -> Any:
        new, _ = aesara.scan(
            lambda u, g: u + DAMPED / 4 * (g + around(u, cells) - 4 * u),
            outputs_info=u,
            non_sequences=g,
            n_steps=SWEEPS,
        )
        return new[-1]

    def coarser(r: Any) -> Any:
        r = (r[:-2:2] + 2 * r[1:-1:2] + r[2::2]) / 4
        return (r[:, :-2:2] + 2 * r[:, 1:-1:2] + r[:, 2::2]) / 4

    def finer(u: Any, cells: int) -> Any:
        few = (cells - 1) // 2
        wide = at.set_subtensor(at.zeros((few + 2, few + 2), dtype="float64")[1:-1, 1:-1], u)
        new = at.zeros((cells, few + 2), dtype="float64")
        new = at.set_subtensor(new[1::2], wide[1:-1])
        wide = at.set_subtensor(new[::2], (wide[:-1] + wide[1:]) / 2)
        new = at.zeros((cells, cells), dtype="float64")
        new = at.set_subtensor(new[:, 1::2], wide[:, 1:-1])
        return at.set_subtensor(new[:, ::2], (wide[:, :-1] + wide[:, 1:]) / 2)

    def cycle(u: Any, g: Any, cells: int) -> Any:
        if cells == 1:
            return g / 4
        u = smooth(u, g, cells)
        left = 4 * coarser(g + around(u, cells) - 4 * u)
        u = u + finer(cycle(at.zeros_like(left), left, (cells - 1) // 2), cells)
        return smooth(u, g, cells)

    def step(u: Any) -> Any:
        u = cycle(u, wells, size)
        left = wells + around(u, size) - 4 * u
        return u, until(aesara, at.sqrt((left**2).sum()) < tolerance * at.sqrt((wells**2).sum()))

    u, updates = aesara.scan(step, outputs_info=at.zeros_like(wells), n_steps=most)
    return aesara.function([wells, tolerance], u[-1], updates=updates)
