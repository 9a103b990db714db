"""Matter that flows through a grid, electrons of a ring, echoes of spins and the energies of a magnet."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from itertools import product
from typing import Any

from benchmarks.programs.applications import stream, until

GRID, STEP, GRAVITY, STIFF, BORDER = 48, 2e-4, 9.8, 400.0, 3
VOLUME = (0.5 / GRID) ** 2
MIXED = 0.4
PAIRS = tuple(product(range(3), repeat=2))


def material_points(aesara: Any, steps: int) -> Any:
    """Places, speeds and volumes of points of a liquid that falls in a box: points give their momentum to the grid
    around them, the grid moves, and points take it back (Hu et al. 2018; Jiang et al. 2015). Float32."""
    at = aesara.tensor
    x, v = at.fmatrix("x"), at.fmatrix("v")
    count = x.shape[0]
    node = at.arange(GRID * GRID)
    down, across = node // GRID, node % GRID

    def step(x: Any, v: Any, C: Any, J: Any) -> list[Any]:
        base = at.cast(x * GRID - 0.5, "int32")
        apart = x * GRID - base
        weights = [0.5 * (1.5 - apart) ** 2, 0.75 - (apart - 1) ** 2, 0.5 * (apart - 0.5) ** 2]
        stress = -STEP * 4 * STIFF * VOLUME * GRID**2 * (J - 1)
        affine = stress.dimshuffle(0, "x", "x") * at.eye(2, dtype="float32") + VOLUME * C
        speed = at.zeros((GRID * GRID, 2), dtype="float32")
        mass = at.zeros((GRID * GRID,), dtype="float32")
        for i, j in PAIRS:
            offset = (at.constant([i, j], dtype="float32") - apart) / GRID
            weight = weights[i][:, 0] * weights[j][:, 1]
            place = (base[:, 0] + i) * GRID + base[:, 1] + j
            momentum = VOLUME * v + at.batched_dot(affine, offset)
            speed = at.inc_subtensor(speed[place], weight.dimshuffle(0, "x") * momentum)
            mass = at.inc_subtensor(mass[place], weight * VOLUME)

        filled = mass > 0
        speed = at.switch(filled.dimshuffle(0, "x"), speed / at.switch(filled, mass, 1.0).dimshuffle(0, "x"), 0.0)
        one, two = speed[:, 0], speed[:, 1] - STEP * GRAVITY
        one = at.switch(at.or_(at.and_(down < BORDER, one < 0), at.and_(down >= GRID - BORDER, one > 0)), 0.0, one)
        two = at.switch(at.or_(at.and_(across < BORDER, two < 0), at.and_(across >= GRID - BORDER, two > 0)), 0.0, two)
        speed = at.stack([one, two], axis=1)

        v = at.zeros((count, 2), dtype="float32")
        C = at.zeros((count, 2, 2), dtype="float32")
        for i, j in PAIRS:
            offset = (at.constant([i, j], dtype="float32") - apart) / GRID
            weight = weights[i][:, 0] * weights[j][:, 1]
            found = weight.dimshuffle(0, "x") * speed[(base[:, 0] + i) * GRID + base[:, 1] + j]
            v = v + found
            C = C + 4 * GRID**2 * found.dimshuffle(0, 1, "x") * offset.dimshuffle(0, "x", 1)
        J = J * (1 + STEP * (C[:, 0, 0] + C[:, 1, 1]))
        return [x + STEP * v, v, C, J]

    start = [x, v, at.zeros((count, 2, 2), dtype="float32"), at.ones((count,), dtype="float32")]
    (x_t, v_t, _, J_t), updates = aesara.scan(step, outputs_info=start, n_steps=steps)
    return aesara.function([x, v], [x_t[-1], v_t[-1], J_t[-1]], updates=updates)


def self_consistent(aesara: Any, electrons: int, most: int) -> Any:
    """Energy and densities of electrons of both spins that hop between sites and push each other away where they meet
    (Hubbard 1963), in the mean field of each other, until densities rest (Pople and Nesbet 1954). ``start (spin,
    site)``. Float64."""
    at = aesara.tensor
    hop, push = at.dmatrix("hop"), at.dscalar("push")
    start, tolerance = at.dmatrix("start"), at.dscalar("tolerance")

    def filled(other: Any) -> tuple[Any, Any]:
        levels, states = at.linalg.eigh(hop + at.diag(push * other))
        return (states[:, :electrons] ** 2).sum(axis=1), levels[:electrons].sum()

    def step(up: Any, down: Any, _: Any) -> Any:
        new_up, energy_up = filled(down)
        new_down, energy_down = filled(up)
        energy = energy_up + energy_down - push * (up * down).sum()
        change = at.maximum(abs(new_up - up).max(), abs(new_down - down).max())
        up, down = up + MIXED * (new_up - up), down + MIXED * (new_down - down)
        return [up, down, energy], until(aesara, change < tolerance)

    begin = [start[0], start[1], at.constant(0.0, dtype="float64")]
    (up, down, energy), updates = aesara.scan(step, outputs_info=begin, n_steps=most)
    found = [energy[-1], at.stack([up[-1], down[-1]])]
    return aesara.function([hop, push, start, tolerance], found, updates=updates)


def echo_train(aesara: Any, orders: int) -> Any:
    """Squared error of the signals of a train of pulses, and its gradient in the logarithms of both times in which
    spins of each place relax: by orders of dephasing, which a pulse mixes and a gradient of the field shifts (Hennig
    1991; Weigel 2015). ``angle`` and ``wait`` are those of each pulse, ``seen (pulse, place)``. Float64."""
    at = aesara.tensor
    angle, wait, seen, theta = at.dvector("angle"), at.dvector("wait"), at.dmatrix("seen"), at.dmatrix("theta")
    slow, fast = at.exp(theta[0]).dimshuffle(0, "x"), at.exp(theta[1]).dimshuffle(0, "x")
    places = theta.shape[1]
    none = at.zeros((places, 1), dtype="float64")

    def pulse(angle_t: Any, wait_t: Any, ahead: Any, behind: Any, along: Any) -> list[Any]:
        half, rest = at.cos(angle_t / 2) ** 2, at.sin(angle_t / 2) ** 2
        new_ahead = half * ahead - rest * behind + at.sin(angle_t) * along
        new_behind = half * behind - rest * ahead + at.sin(angle_t) * along
        along = at.cos(angle_t) * along - at.sin(angle_t) / 2 * (ahead + behind)
        signal = new_ahead[:, 0]
        kept, grown = at.exp(-wait_t / fast), at.exp(-wait_t / slow)
        ahead, behind, along = kept * new_ahead, kept * new_behind, grown * along
        along = at.inc_subtensor(along[:, :1], 1 - grown)
        behind = at.concatenate([behind[:, 1:], none], axis=1)
        ahead = at.concatenate([behind[:, :1], ahead[:, :-1]], axis=1)
        return [ahead, behind, along, signal]

    zeros = at.zeros((places, orders), dtype="float64")
    rest = at.set_subtensor(zeros[:, 0], -1.0)
    (_, _, _, signal), updates = aesara.scan(pulse, sequences=[angle, wait], outputs_info=[zeros, zeros, rest, None])
    cost = ((signal - seen) ** 2).sum()
    return aesara.function([angle, wait, seen, theta], [cost, aesara.grad(cost, theta)], updates=updates)


def flat_histogram(aesara: Any, stages: int, flips: int) -> Any:
    """Mean energy of a square magnet at some temperatures from the number of states of each energy, which random flips
    find that avoid energies seen before, by ever smaller steps (Wang and Landau 2001): a loop over stages with a loop
    over flips. ``spins`` are 1 or -1. Int32 and float32."""
    at, trng = aesara.tensor, stream(aesara)
    spins, inverse = at.imatrix("spins"), at.fvector("inverse")
    size = spins.shape[0]
    count = size * size

    def level(energy: Any) -> Any:
        return (energy + 2 * count) // 4

    def stage(factor: Any, spins: Any, energy: Any, entropy: Any) -> Any:
        def flip(spins: Any, energy: Any, entropy: Any) -> list[Any]:
            site = trng.integers(0, count, size=())
            row, column = site // size, site % size
            around = spins[(row + 1) % size, column] + spins[row - 1, column]
            around = around + spins[row, (column + 1) % size] + spins[row, column - 1]
            new = at.cast(energy + 2 * spins[row, column] * around, "int32")
            chance = at.exp(entropy[level(energy)] - entropy[level(new)])
            accepted = trng.uniform(size=(), dtype="float32") < chance
            spin = at.switch(accepted, -spins[row, column], spins[row, column])
            energy = at.switch(accepted, new, energy)
            entropy = at.inc_subtensor(entropy[level(energy)], factor)
            return [at.set_subtensor(spins[row, column], spin), energy, entropy]

        found, updates = aesara.scan(flip, outputs_info=[spins, energy, entropy], n_steps=flips)
        return [one[-1] for one in found], updates

    energy = -(spins * (at.roll(spins, 1, axis=0) + at.roll(spins, 1, axis=1))).sum()
    factors = 0.5 ** at.arange(stages, dtype="float32")
    start = [spins, at.cast(energy, "int32"), at.zeros((count + 1,), dtype="float32")]
    (_, _, entropy), updates = aesara.scan(stage, sequences=at.cast(factors, "float32"), outputs_info=start)
    entropy = entropy[-1]
    energies = at.cast(4 * at.arange(entropy.shape[0], dtype="int32") - 2 * count, "float32")
    weight = at.switch(entropy > 0, entropy, -1e9) - inverse.dimshuffle(0, "x") * energies
    mean = at.dot(at.softmax(weight, axis=1), energies) / at.cast(count, "float32")
    return aesara.function([spins, inverse], mean, updates=updates)
