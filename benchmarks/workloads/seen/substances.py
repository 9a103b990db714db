"""Matter that flows through a grid, electrons of a ring, echoes of spins and the energies of a magnet."""

# ruff: noqa: N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax, random

from benchmarks.compare import close, within
from benchmarks.programs.seen import substances
from benchmarks.programs.seen.substances import BORDER, GRAVITY, GRID, MIXED, PAIRS, STEP, STIFF, VOLUME
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _liquid(rng: np.random.Generator, scale: Scale) -> Inputs:
    count = scale.pick(1_000, quick=40)
    x = 0.3 + 0.4 * rng.random((count, 2))
    v = np.array([1.0, -2.0]) + 0.5 * rng.normal(size=(count, 2))
    return inputs(x.astype("float32"), v.astype("float32"), steps=scale.steps(300, quick=10))


def _material_points(x: Any, v: Any, steps: int) -> list[Any]:
    down, across = jnp.meshgrid(jnp.arange(GRID), jnp.arange(GRID), indexing="ij")

    def step(carry: tuple[Any, ...], _: None) -> tuple[tuple[Any, ...], None]:
        x, v, C, J = carry
        base = (x * GRID - 0.5).astype("int32")
        apart = x * GRID - base
        weights = [0.5 * (1.5 - apart) ** 2, 0.75 - (apart - 1) ** 2, 0.5 * (apart - 0.5) ** 2]
        stress = -STEP * 4 * STIFF * VOLUME * GRID**2 * (J - 1)
        affine = stress[:, None, None] * jnp.eye(2) + VOLUME * C
        speed, mass = jnp.zeros((GRID, GRID, 2), "float32"), jnp.zeros((GRID, GRID), "float32")
        for i, j in PAIRS:
            offset = (jnp.array([i, j], "float32") - apart) / GRID
            weight = weights[i][:, 0] * weights[j][:, 1]
            momentum = VOLUME * v + jnp.einsum("pij,pj->pi", affine, offset)
            speed = speed.at[base[:, 0] + i, base[:, 1] + j].add(weight[:, None] * momentum)
            mass = mass.at[base[:, 0] + i, base[:, 1] + j].add(weight * VOLUME)

        filled = mass[:, :, None] > 0
        speed = jnp.where(filled, speed / jnp.where(filled, mass[:, :, None], 1), 0)
        one, two = speed[:, :, 0], speed[:, :, 1] - STEP * GRAVITY
        one = jnp.where((down < BORDER) & (one < 0) | (down >= GRID - BORDER) & (one > 0), 0, one)
        two = jnp.where((across < BORDER) & (two < 0) | (across >= GRID - BORDER) & (two > 0), 0, two)
        speed = jnp.stack([one, two], axis=2)

        v, C = jnp.zeros_like(v), jnp.zeros_like(C)
        for i, j in PAIRS:
            offset = (jnp.array([i, j], "float32") - apart) / GRID
            weight = weights[i][:, 0] * weights[j][:, 1]
            found = weight[:, None] * speed[base[:, 0] + i, base[:, 1] + j]
            v = v + found
            C = C + 4 * GRID**2 * found[:, :, None] * offset[:, None, :]
        J = J * (1 + STEP * (C[:, 0, 0] + C[:, 1, 1]))
        return (x + STEP * v, v, C, J), None

    start = (x, v, jnp.zeros((len(x), 2, 2), "float32"), jnp.ones(len(x), "float32"))
    (x, v, _, J), _ = lax.scan(step, start, None, steps)
    return [x, v, J]


def _material_points_tuned(x: Any, v: Any, steps: int) -> list[Any]:
    """Both parts of momenta and speeds as complex numbers, for half as many scatters and gathers, whose places are in
    bounds; axes in rows; the affine part of a point's momentum is a constant and two slopes."""
    node = jnp.arange(GRID * GRID, dtype="int32")
    down, across = node // GRID, node % GRID
    least = jnp.stack([jnp.where(k < BORDER, 0, -jnp.inf) for k in (down, across)])
    most = jnp.stack([jnp.where(k >= GRID - BORDER, 0, jnp.inf) for k in (down, across)])
    steps_of = jnp.array([i * GRID + j for i, j in PAIRS], "int32")[:, None]
    rows, columns = (jnp.array([pair[k] for pair in PAIRS], "float32")[:, None] for k in (0, 1))
    count = len(x)

    def step(carry: tuple[Any, ...], _: None) -> tuple[tuple[Any, ...], None]:
        x, v, C, J = carry
        scaled = x * GRID
        base = (scaled - 0.5).astype("int32")
        apart = scaled - base
        near, middle, far = 0.5 * (1.5 - apart) ** 2, 0.75 - (apart - 1) ** 2, 0.5 * (apart - 0.5) ** 2
        one, two = (jnp.stack([near[k], middle[k], far[k]]) for k in (0, 1))
        weight = (one[:, None] * two[None]).reshape(9, count)
        offset_1, offset_2 = (rows - apart[0]) * (1 / GRID), (columns - apart[1]) * (1 / GRID)
        stress = (-STEP * 4 * STIFF * GRID**2) * (J - 1)
        by_1 = v[0] + (stress + C[0]) * offset_1 + C[1] * offset_2
        by_2 = v[1] + C[2] * offset_1 + (stress + C[3]) * offset_2
        place = base[0] * GRID + base[1] + steps_of

        def given(value: Any) -> Any:
            total = jnp.zeros(GRID * GRID, value.dtype)
            for k in range(9):
                total = total.at[place[k]].add(value[k], mode="promise_in_bounds")
            return total

        momentum, mass = given(lax.complex(weight * by_1, weight * by_2)), given(weight)
        inverse = 1 / jnp.where(mass > 0, mass, 1)
        speed = jnp.stack([momentum.real * inverse, momentum.imag * inverse - STEP * GRAVITY])
        speed = jnp.minimum(jnp.maximum(speed, least), most)
        found = lax.complex(*speed).at[place].get(mode="promise_in_bounds")
        of_1, of_2 = weight * found.real, weight * found.imag
        v = jnp.stack([of_1.sum(axis=0), of_2.sum(axis=0)])
        turned = [one * other for one in (of_1, of_2) for other in (offset_1, offset_2)]
        C = (4 * GRID**2) * jnp.stack([one.sum(axis=0) for one in turned])
        return (x + STEP * v, v, C, J * (1 + STEP * (C[0] + C[3]))), None

    start = (x.T, v.T, jnp.zeros((4, count), "float32"), jnp.ones(count, "float32"))
    (x, v, _, J), _ = lax.scan(step, start, None, steps)
    return [x.T, v.T, J]


def _ring(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(30, quick=6)
    hop = -(np.eye(size, k=1) + np.eye(size, k=-1))
    hop[0, -1] = hop[-1, 0] = -1
    hop += np.diag(0.3 * rng.normal(size=size))
    turn = 0.3 * (-1.0) ** np.arange(size)
    start = np.stack([0.5 + turn, 0.5 - turn])
    return inputs(hop, np.array(4.0), start, np.array(1e-9), electrons=size // 2, most=scale.steps(500))


def _self_consistent(hop: Any, push: Any, start: Any, tolerance: Any, electrons: int, most: int) -> list[Any]:
    def filled(other: Any) -> tuple[Any, Any]:
        levels, states = jnp.linalg.eigh(hop + jnp.diag(push * other))
        return (states[:, :electrons] ** 2).sum(axis=1), levels[:electrons].sum()

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, up, down, _, _ = carry
        new_up, energy_up = filled(down)
        new_down, energy_down = filled(up)
        energy = energy_up + energy_down - push * (up @ down)
        change = jnp.maximum(jnp.abs(new_up - up).max(), jnp.abs(new_down - down).max())
        return i + 1, up + MIXED * (new_up - up), down + MIXED * (new_down - down), energy, change

    begin = (0, start[0], start[1], jnp.float64(0), jnp.float64(jnp.inf))
    _, up, down, energy, _ = lax.while_loop(lambda carry: (carry[0] < most) & (carry[4] >= tolerance), step, begin)
    return [energy, jnp.stack([up, down])]


def _self_consistent_tuned(hop: Any, push: Any, start: Any, tolerance: Any, electrons: int, most: int) -> list[Any]:
    """Both spins in one array, with symmetry of the matrices taken for granted."""
    eye = jnp.eye(len(hop))

    def step(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, density, _, _ = carry
        other = density[::-1]
        states, levels = lax.linalg.eigh(hop + push * other[:, :, None] * eye, symmetrize_input=False)
        found = (states[:, :, :electrons] ** 2).sum(axis=2)
        energy = levels[:, :electrons].sum() - push * (density[0] * density[1]).sum()
        change = found - density
        return i + 1, density + MIXED * change, energy, jnp.abs(change).max()

    begin = (0, start, jnp.float64(0), jnp.float64(jnp.inf))
    _, density, energy, _ = lax.while_loop(lambda carry: (carry[0] < most) & (carry[3] >= tolerance), step, begin)
    return [energy, density]


def _tissue(rng: np.random.Generator, scale: Scale) -> Inputs:
    """Pulses of slowly varying angles, as in fingerprints of tissue, with times in seconds."""
    pulses, places = scale.steps(400, quick=9), scale.pick(48, quick=3)
    time = np.arange(pulses)
    angle = np.radians(10 + 50 * np.abs(np.sin(2 * np.pi * time / 250)) + 3 * rng.normal(size=pulses))
    angle[0] = np.pi
    wait = 0.012 + 0.002 * rng.random(pulses)
    theta = np.stack([np.log(0.4 + rng.random(places)), np.log(0.04 + 0.1 * rng.random(places))])
    seen = -0.2 * np.sin(angle)[:, None] + 0.02 * rng.normal(size=(pulses, places))
    return inputs(angle, wait, seen, theta, orders=scale.pick(24, quick=4))


def _echo_train(angle: Any, wait: Any, seen: Any, theta: Any, orders: int) -> list[Any]:
    places = theta.shape[1]

    def cost(theta: Any) -> Any:
        slow, fast = jnp.exp(theta)[:, :, None]

        def pulse(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[tuple[Any, ...], Any]:
            ahead, behind, along = carry
            angle_t, wait_t = now
            half, rest = jnp.cos(angle_t / 2) ** 2, jnp.sin(angle_t / 2) ** 2
            new_ahead = half * ahead - rest * behind + jnp.sin(angle_t) * along
            new_behind = half * behind - rest * ahead + jnp.sin(angle_t) * along
            along = jnp.cos(angle_t) * along - jnp.sin(angle_t) / 2 * (ahead + behind)
            signal = new_ahead[:, 0]
            kept, grown = jnp.exp(-wait_t / fast), jnp.exp(-wait_t / slow)
            ahead, behind, along = kept * new_ahead, kept * new_behind, grown * along
            along = along.at[:, :1].add(1 - grown)
            behind = jnp.pad(behind[:, 1:], ((0, 0), (0, 1)))
            ahead = jnp.concatenate([behind[:, :1], ahead[:, :-1]], axis=1)
            return (ahead, behind, along), signal

        zeros = jnp.zeros((places, orders))
        _, signal = lax.scan(pulse, (zeros, zeros, zeros.at[:, 0].set(-1)), (angle, wait))
        return ((signal - seen) ** 2).sum()

    return list(jax.value_and_grad(cost)(theta))


def _echo_train_tuned(angle: Any, wait: Any, seen: Any, theta: Any, orders: int) -> list[Any]:
    """Derivatives in both times go forth with the values, since each place has two: nothing is kept; the parts of a
    pulse before the loop; places are the last axis."""
    places = theta.shape[1]
    sine = jnp.sin(angle)
    turns = jnp.stack([jnp.cos(angle / 2) ** 2, jnp.sin(angle / 2) ** 2, sine, jnp.cos(angle), sine / 2], axis=1)
    slow, fast = jnp.exp(theta)
    faded, grows = wait[:, None] / fast, wait[:, None] / slow
    kept, grown = jnp.exp(-faded), jnp.exp(-grows)
    of_kept, of_grown = kept * faded, grown * grows

    def pulse(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[tuple[Any, ...], Any]:
        (half, rest, sine, cosine, less), kept_t, grown_t, of_kept_t, of_grown_t, seen_t = now
        turned = []
        for ahead, behind, along in carry[:3]:
            over = sine * along
            one = half * ahead - rest * behind + over
            other = half * behind - rest * ahead + over
            turned.append((one, other, cosine * along - less * (ahead + behind)))
        signal, *slopes = (one[0] for one, _, _ in turned)
        (ahead, behind, along), by_slow, by_fast = turned

        def waited(ahead: Any, behind: Any, along: Any) -> tuple[Any, ...]:
            behind = jnp.concatenate([behind[1:], jnp.zeros((1, places))])
            return jnp.concatenate([behind[:1], ahead[:-1]]), behind, along

        value = waited(kept_t * ahead, kept_t * behind, (grown_t * along).at[0].add(1 - grown_t))
        more = (grown_t * by_slow[2] + of_grown_t * along).at[0].add(-of_grown_t)
        of_slow = waited(kept_t * by_slow[0], kept_t * by_slow[1], more)
        of_fast = waited(
            kept_t * by_fast[0] + of_kept_t * ahead, kept_t * by_fast[1] + of_kept_t * behind, grown_t * by_fast[2]
        )
        error = signal - seen_t
        cost, of_theta = carry[3:]
        of_theta = of_theta + 2 * error * jnp.stack(slopes)
        return (value, of_slow, of_fast, cost + error * error, of_theta), None

    zeros = jnp.zeros((orders, places))
    none = (zeros, zeros, zeros)
    start = ((zeros, zeros, zeros.at[0].set(-1)), none, none, jnp.zeros(places), jnp.zeros((2, places)))
    sequences = (turns, kept, grown, of_kept, of_grown, seen)
    (*_, cost, of_theta), _ = lax.scan(pulse, start, sequences)
    return [cost.sum(), of_theta]


def _magnet(rng: np.random.Generator, scale: Scale) -> Inputs:
    size = scale.pick(6, quick=4)
    spins = rng.choice(np.array([-1, 1], "int32"), (size, size))
    inverse = np.array([0.2, 0.35, 0.5, 0.7], "float32")
    return inputs(spins, inverse, stages=scale.steps(10), flips=5_000)


def _flat_histogram(key: Any, spins: Any, inverse: Any, stages: int, flips: int) -> Any:
    size, count = len(spins), spins.size

    def flip(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[tuple[Any, ...], None]:
        spins, energy, entropy = carry
        key, factor = now
        choosing, deciding = random.split(key)
        row, column = jnp.divmod(random.randint(choosing, (), 0, count), size)
        around = spins[(row + 1) % size, column] + spins[row - 1, column]
        around = around + spins[row, (column + 1) % size] + spins[row, column - 1]
        new = energy + 2 * spins[row, column] * around
        chance = jnp.exp(entropy[(energy + 2 * count) // 4] - entropy[(new + 2 * count) // 4])
        accepted = random.uniform(deciding) < chance
        spins = spins.at[row, column].multiply(jnp.where(accepted, -1, 1))
        energy = jnp.where(accepted, new, energy)
        return (spins, energy, entropy.at[(energy + 2 * count) // 4].add(factor)), None

    def stage(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[tuple[Any, ...], None]:
        key, factor = now
        return lax.scan(flip, carry, (random.split(key, flips), jnp.full(flips, factor)))[0], None

    energy = -(spins * (jnp.roll(spins, 1, 0) + jnp.roll(spins, 1, 1))).sum(dtype="int32")
    factors = 0.5 ** jnp.arange(stages, dtype="float32")
    start = (spins, energy, jnp.zeros(count + 1, "float32"))
    (_, _, entropy), _ = lax.scan(stage, start, (random.split(key, stages), factors))
    return _mean_energy(entropy, inverse, count)


def _mean_energy(entropy: Any, inverse: Any, count: int) -> Any:
    energies = (4 * jnp.arange(count + 1) - 2 * count).astype("float32")
    weight = jnp.where(entropy > 0, entropy, -1e9) - inverse[:, None] * energies
    return jax.nn.softmax(weight, axis=1) @ energies / count


def _flat_histogram_tuned(key: Any, spins: Any, inverse: Any, stages: int, flips: int) -> Any:
    """Random numbers of a stage at once, as places and logarithms; spins in a row with places of neighbours in a table;
    the level of the energy and its entropy are carried."""
    size, count = len(spins), spins.size
    site = np.arange(count)
    row, column = np.divmod(site, size)
    ways = [(row + 1) % size * size + column, (row - 1) % size * size + column]
    ways += [row * size + (column + 1) % size, row * size + (column - 1) % size]
    near = jnp.array(np.stack(ways, axis=1).astype("int32"))

    def read(array: Any, place: Any) -> Any:
        return lax.dynamic_index_in_dim(array, place, keepdims=False)

    def flip(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[tuple[Any, ...], None]:
        spins, level, entropy, factor = carry
        place, around, threshold = now
        spin = read(spins, place)
        a, b, c, d = (spins.at[around[k]].get(mode="promise_in_bounds") for k in range(4))
        new = level + ((spin * (a + b + c + d)) >> 1)
        accepted = threshold < read(entropy, level) - read(entropy, new)
        spins = lax.dynamic_update_index_in_dim(spins, jnp.where(accepted, -spin, spin), place, 0)
        level = jnp.where(accepted, new, level)
        entropy = lax.dynamic_update_index_in_dim(entropy, read(entropy, level) + factor, level, 0)
        return (spins, level, entropy, factor), None

    def stage(carry: tuple[Any, ...], now: tuple[Any, Any]) -> tuple[tuple[Any, ...], None]:
        choosing, deciding = random.split(now[0])
        places = random.randint(choosing, (flips,), 0, count, "int32")
        threshold = jnp.log(random.uniform(deciding, (flips,)))
        found, _ = lax.scan(flip, (*carry, now[1]), (places, near[places], threshold))
        return found[:3], None

    energy = -(spins * (jnp.roll(spins, 1, 0) + jnp.roll(spins, 1, 1))).sum(dtype="int32")
    factors = 0.5 ** jnp.arange(stages, dtype="float32")
    start = (spins.ravel(), (energy + 2 * count) // 4, jnp.zeros(count + 1, "float32"))
    (_, _, entropy), _ = lax.scan(stage, start, (random.split(key, stages), factors))
    return _mean_energy(entropy, inverse, count)


WORKLOADS = (
    task(
        "material-points",
        "1,000 points of a liquid on a grid of 48 by 48, 300 steps",
        substances.material_points,
        _liquid,
        _material_points,
        _material_points_tuned,
        close(1e-3),
    ),
    task(
        "self-consistent",
        "electrons on a ring of 30 sites in the mean field of each other, until they rest",
        substances.self_consistent,
        _ring,
        _self_consistent,
        _self_consistent_tuned,
        close(1e-7),
    ),
    task(
        "echo-train-grad",
        "signals of 400 pulses at 48 places by 24 orders, with gradients in two times of each place",
        substances.echo_train,
        _tissue,
        _echo_train,
        _echo_train_tuned,
        close(1e-7),
    ),
    task(
        "flat-histogram",
        "energies of a magnet of 6 by 6 spins by 10 stages of 5,000 random flips, nested loops",
        substances.flat_histogram,
        _magnet,
        _flat_histogram,
        _flat_histogram_tuned,
        within(0.4),
        draws=True,
    ),
)
