"""Plankton in a column of water, a forest that burns, waves in the ground and water under it."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from benchmarks.compare import close, within
from benchmarks.programs.seen import environments
from benchmarks.programs.seen.environments import (
    BRIGHT,
    CLEAR,
    DAMPED,
    DEATH,
    DEPTH,
    GONE,
    GRAZING,
    GROWTH,
    HALF,
    HOUR,
    HUNGER,
    LIGHTNING,
    SHADE,
    SPROUTS,
    SWEEPS,
    WASTE,
)
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _water(rng: np.random.Generator, scale: Scale) -> Inputs:
    depths, steps = scale.pick(50, quick=6), scale.steps(24 * 200, quick=60)
    hour = np.arange(steps)
    sun = np.maximum(np.sin(2 * np.pi * hour / 24), 0) * (0.7 + 0.3 * np.sin(2 * np.pi * hour / 8_760))
    mixing = 2 + 18 * (np.arange(depths - 1) < depths // 3)
    start = [np.linspace(2, 8, depths), np.full(depths, 0.3), 0.2 + 0.02 * rng.random(depths)]
    return inputs(*(one.astype("float32") for one in (sun, mixing, *start)))


def _plankton(sun: Any, mixing: Any, N: Any, P: Any, Z: Any) -> list[Any]:
    depth = DEPTH * (jnp.arange(len(N)) + 0.5)

    def mixed(value: Any) -> Any:
        return jnp.diff(jnp.pad(mixing * jnp.diff(value) / DEPTH**2, 1))

    def step(carry: tuple[Any, ...], sun_t: Any) -> tuple[tuple[Any, ...], Any]:
        N, P, Z = carry
        above = DEPTH * (jnp.cumsum(P) - P / 2)
        light = sun_t * jnp.exp(-CLEAR * depth - SHADE * above)
        taken = GROWTH * light / jnp.sqrt(BRIGHT**2 + light**2) * N / (HALF + N) * P
        eaten = GRAZING * (1 - jnp.exp(-HUNGER * P)) * Z
        dead, gone = DEATH * P, GONE * Z
        new_N = N + HOUR * (mixed(N) - taken + WASTE * eaten + dead + gone)
        new_P = P + HOUR * (mixed(P) + taken - eaten - dead)
        new_Z = Z + HOUR * (mixed(Z) + (1 - WASTE) * eaten - gone)
        return (new_N, new_P, new_Z), new_P.sum()

    (N, P, Z), total = lax.scan(step, (N, P, Z), sun)
    return [N, P, Z, total]


def _plankton_tuned(sun: Any, mixing: Any, N: Any, P: Any, Z: Any) -> list[Any]:
    """Nutrients, plants and animals are rows of one matrix, whose flows up and down have factors that are found before
    the loop; plants above by a product with a triangular matrix; sums over depths after the loop."""
    depths = len(N)
    place = jnp.arange(depths)
    flow = HOUR / DEPTH**2 * mixing
    up, down = jnp.pad(flow, (0, 1)), jnp.pad(flow, (1, 0))
    shades = (-SHADE * DEPTH) * ((place < place[:, None]) + 0.5 * (place == place[:, None])).astype("float32")
    clear = -CLEAR * DEPTH * (place + 0.5).astype("float32")
    stays = 1 - up - down

    def step(state: Any, sun_t: Any) -> tuple[Any, Any]:
        N, P, Z = state
        light = sun_t * jnp.exp(clear + shades @ P)
        taken = (HOUR * GROWTH) * light * N * P / (jnp.sqrt(BRIGHT**2 + light * light) * (HALF + N))
        eaten = (HOUR * GRAZING) * (1 - jnp.exp(-HUNGER * P)) * Z
        dead, gone = (HOUR * DEATH) * P, (HOUR * GONE) * Z
        mixed = stays * state + up * jnp.pad(state[:, 1:], ((0, 0), (0, 1)))
        mixed = mixed + down * jnp.pad(state[:, :-1], ((0, 0), (1, 0)))
        made = jnp.stack([WASTE * eaten + dead + gone - taken, taken - eaten - dead, (1 - WASTE) * eaten - gone])
        new = mixed + made
        return new, new[1]

    state, plants = lax.scan(step, jnp.stack([N, P, Z]), sun)
    return [*state, plants.sum(axis=1)]


def _forest(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(128, quick=64)
    return inputs((rng.random((size, size)) < 0.35).astype("int32"), steps=scale.steps(600))


def _forest_fires(key: Any, forest: Any, steps: int) -> Any:
    def step(forest: Any, key: Any) -> tuple[Any, Any]:
        burns = forest == 2
        near = jnp.roll(burns, 1, 0) | jnp.roll(burns, -1, 0) | jnp.roll(burns, 1, 1) | jnp.roll(burns, -1, 1)
        u = random.uniform(key, forest.shape)
        tree = jnp.where(near | (u < LIGHTNING), 2, 1)
        new = jnp.where(forest == 1, tree, jnp.where(burns, 0, jnp.where(u < SPROUTS, 1, 0)))
        return new, jnp.stack([(new == 1).mean(), (new == 2).mean()])

    _, shares = lax.scan(step, forest, random.split(key, steps))
    return shares[steps // 2 :].mean(axis=0)


def _forest_fires_tuned(key: Any, forest: Any, steps: int) -> Any:
    """Two random numbers of 16 bits from one of 32, as chances are multiples of those: one for the upper half of the
    forest, one for the lower; a first loop without shares."""
    top, side = (np.uint32(round(one * 2**16)) for one in (LIGHTNING, SPROUTS))
    rows, columns = forest.shape

    def grown(forest: Any, key: Any) -> Any:
        burns = forest == 2
        near = jnp.roll(burns, 1, 0) | jnp.roll(burns, -1, 0) | jnp.roll(burns, 1, 1) | jnp.roll(burns, -1, 1)
        both = random.bits(key, (rows // 2, columns), "uint32")
        bits = jnp.concatenate([both >> 16, both & np.uint32(2**16 - 1)])
        tree = jnp.where(near | (bits < top), 2, 1)
        return jnp.where(forest == 1, tree, jnp.where((forest == 0) & (bits < side), 1, 0))

    def early(forest: Any, key: Any) -> tuple[Any, None]:
        return grown(forest, key), None

    def late(carry: tuple[Any, ...], key: Any) -> tuple[tuple[Any, ...], None]:
        forest, total, burning = carry
        new = grown(forest, key)
        return (new, total + new, burning + (new >> 1)), None

    keys = random.split(key, steps)
    half = steps // 2
    forest, _ = lax.scan(early, forest, keys[:half])
    zeros = jnp.zeros_like(forest)
    (_, total, burning), _ = lax.scan(late, (forest, zeros, zeros), keys[half:])
    fires = burning.sum()
    return jnp.stack([total.sum() - 2 * fires, fires]).astype("float32") / (forest.size * (steps - half))


def _ground(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Layers with a lens in them, waves of a true ground and a smooth guess, and a sponge at all edges but the top."""
    rows, columns, steps = *scale.pick((80, 100), quick=(12, 14)), scale.steps(400, quick=30)
    edge = scale.pick(15, quick=3)
    down, across = np.mgrid[:rows, :columns]
    guess = 0.1 + 0.15 * down / rows
    lens = ((down - rows / 2) / 8) ** 2 + ((across - columns / 2) / 14) ** 2 < 1
    true = guess + 0.03 * (down > rows * 0.7) - 0.04 * lens
    far = np.maximum(np.maximum(edge - across, across - columns + 1 + edge), down - rows + 1 + edge)
    kept = np.exp(-((0.25 * np.maximum(far, 0) / edge) ** 2))
    time = np.arange(steps) - 40
    square = (np.pi * 0.04 * time) ** 2
    blow = (1 - 2 * square) * np.exp(-square)
    source = np.array([2, columns // 2])
    sensors = np.stack([np.full(columns // 4, 2), np.arange(columns // 4) * 4 + 1])
    last, wave, seen = np.zeros((rows, columns)), np.zeros((rows, columns)), []
    for blow_t in blow:
        wide = np.pad(wave, 1)
        curved = wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:] - 4 * wave
        new = kept * (2 * wave - kept * last + true * curved)
        new[source[0], source[1]] += blow_t
        last, wave = wave, new
        seen.append(new[sensors[0], sensors[1]])
    heard = np.stack(seen)
    heard = heard + 0.01 * heard.std() * rng.normal(size=heard.shape)
    arrays = [one.astype("float32") for one in (blow, heard, guess, kept)]
    return inputs(*arrays, source.astype("int32"), sensors.astype("int32"))


def _curved(wave: Any) -> Any:
    wide = jnp.pad(wave, 1)
    return wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:] - 4 * wave


def _ground_waves(blow: Any, seen: Any, speed: Any, kept: Any, source: Any, sensors: Any) -> list[Any]:
    def cost(speed: Any) -> Any:
        def step(carry: tuple[Any, Any], blow_t: Any) -> tuple[tuple[Any, Any], Any]:
            last, wave = carry
            new = kept * (2 * wave - kept * last + speed * _curved(wave))
            new = new.at[source[0], source[1]].add(blow_t)
            return (wave, new), new[sensors[0], sensors[1]]

        still = jnp.zeros_like(speed)
        _, heard = lax.scan(step, (still, still), blow)
        return ((heard - seen) ** 2).mean()

    return list(jax.value_and_grad(cost)(speed))


def _ground_waves_tuned(blow: Any, seen: Any, speed: Any, kept: Any, source: Any, sensors: Any) -> list[Any]:
    """The loop back written out, which is a wave, too; waves have a border of zeros, so that only what is inside is
    written; curvatures are kept for the loop back."""
    fast, fade, twice = kept * speed, kept * kept, 2 * kept
    ahead = twice - 4 * fast
    rows, columns = speed.shape
    first, second = sensors + 1

    def inside(wide: Any) -> Any:
        return wide[1:-1, 1:-1]

    def around(wide: Any) -> Any:
        return wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]

    def step(carry: tuple[Any, Any], blow_t: Any) -> tuple[tuple[Any, Any], Any]:
        last, wave = carry
        new = ahead * inside(wave) - fade * inside(last) + fast * around(wave)
        wide = lax.dynamic_update_slice(last, new, (1, 1))
        wide = wide.at[source[0] + 1, source[1] + 1].add(blow_t, mode="promise_in_bounds")
        heard = wide.at[first, second].get(mode="promise_in_bounds")
        return (wave, wide), (around(wave) - 4 * inside(wave), heard)

    still = jnp.zeros((rows + 2, columns + 2), speed.dtype)
    _, (curved, heard) = lax.scan(step, (still, still), blow)
    error = heard - seen

    def back(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[tuple[Any, ...], None]:
        of_last, of_new, total = carry
        error_t, curved_t = now
        of_new = of_new.at[sensors[0], sensors[1]].add(error_t, mode="promise_in_bounds", unique_indices=True)
        before = ahead * of_new - fade * of_last + around(jnp.pad(fast * of_new, 1))
        return (of_new, before, total + of_new * curved_t), None

    zeros = jnp.zeros_like(speed)
    given = (error * (2 / error.size), curved)
    (_, _, total), _ = lax.scan(back, (zeros, zeros, zeros), given, reverse=True)
    return [(error**2).mean(), kept * total]


def _wells(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(127, quick=15)
    wells = np.zeros((size, size))
    for row, column in rng.integers(size // 8, size - size // 8, (12, 2)):
        wells[row, column] += 0.5 + rng.random()
    return inputs(wells, np.array(1e-10), size=size, most=scale.steps(50))


def _drawdown(wells: Any, tolerance: Any, size: int, most: int) -> Any:
    def around(u: Any) -> Any:
        wide = jnp.pad(u, 1)
        return wide[:-2, 1:-1] + wide[2:, 1:-1] + wide[1:-1, :-2] + wide[1:-1, 2:]

    def smooth(u: Any, g: Any) -> Any:
        return lax.fori_loop(0, SWEEPS, lambda _, u: u + DAMPED / 4 * (g + around(u) - 4 * u), u)

    def coarser(r: Any) -> Any:
        r = (r[:-2:2] + 2 * r[1:-1:2] + r[2::2]) / 4
        return (r[:, :-2:2] + 2 * r[:, 1:-1:2] + r[:, 2::2]) / 4

    def finer(u: Any, cells: int) -> Any:
        wide = jnp.pad(u, 1)
        new = jnp.zeros((cells, wide.shape[1]))
        wide = new.at[1::2].set(wide[1:-1]).at[::2].set((wide[:-1] + wide[1:]) / 2)
        new = jnp.zeros((cells, cells))
        return new.at[:, 1::2].set(wide[:, 1:-1]).at[:, ::2].set((wide[:, :-1] + wide[:, 1:]) / 2)

    def cycle(u: Any, g: Any) -> Any:
        if len(u) == 1:
            return g / 4
        u = smooth(u, g)
        left = 4 * coarser(g + around(u) - 4 * u)
        u = u + finer(cycle(jnp.zeros_like(left), left), len(u))
        return smooth(u, g)

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, u, _ = carry
        u = cycle(u, wells)
        return i + 1, u, jnp.linalg.norm(wells + around(u) - 4 * u)

    limit = tolerance * jnp.linalg.norm(wells)
    start = (0, jnp.zeros_like(wells), jnp.inf)
    return lax.while_loop(lambda carry: (carry[0] < most) & (carry[2] >= limit), step, start)[1]


def _drawdown_tuned(wells: Any, tolerance: Any, size: int, most: int) -> Any:
    """At once, by sine waves, which are the eigenvectors, in four products of matrices."""
    k = jnp.arange(1, size + 1)
    waves = jnp.sqrt(2 / (size + 1)) * jnp.sin(jnp.pi / (size + 1) * ((k[:, None] * k) % (2 * size + 2)))
    value = 2 - 2 * jnp.cos(jnp.pi / (size + 1) * k)
    return waves @ ((waves @ wells @ waves) / (value[:, None] + value)) @ waves


WORKLOADS = (
    task(
        "plankton",
        "nutrients, plants and animals at 50 depths over 4,800 hours",
        environments.plankton,
        _water,
        _plankton,
        _plankton_tuned,
        close(1e-3),
    ),
    task(
        "forest-fires",
        "forest of 128 by 128 cells that burns, 600 steps",
        environments.forest_fires,
        _forest,
        _forest_fires,
        _forest_fires_tuned,
        within(0.08),
        draws=True,
    ),
    task(
        "ground-waves-grad",
        "waves in a ground of 80 by 100 cells, 400 steps, with gradient in the speed at each",
        environments.ground_waves,
        _ground,
        _ground_waves,
        _ground_waves_tuned,
        close(1e-3),
    ),
    task(
        "drawdown",
        "water under a square of 127 by 127 cells, by cycles over seven grids until it rests, nested loops",
        environments.drawdown,
        _wells,
        _drawdown,
        _drawdown_tuned,
        close(1e-6),
    ),
)
