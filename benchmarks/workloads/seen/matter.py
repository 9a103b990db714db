"""A liquid, qubits, electrons and waves in shallow channels."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import matter
from benchmarks.programs.seen.matter import CUTOFF, DISPERSION, MIXED, SKIN, STEP
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task


def _atoms(rng: np.random.Generator, scale: Scale) -> Inputs:
    edge, (rebuilds, steps), capacity = scale.pick((4, (4, 10), 64), quick=(3, (2, 3), 56))
    cells = np.stack(np.meshgrid(*[np.arange(edge)] * 3, indexing="ij"), axis=-1).reshape(-1, 1, 3)
    corners = np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])
    x = (cells + corners).reshape(-1, 3)
    box = (len(x) / 0.84) ** (1 / 3)
    x = x * (box / edge) + 0.03 * rng.normal(size=x.shape)
    v = rng.normal(size=x.shape)
    v = v - v.mean(axis=0)
    return inputs(x, v, np.float64(box), rebuilds=rebuilds, steps=scale.steps(steps), capacity=capacity)


def _liquid(x: Any, v: Any, box: Any, rebuilds: int, steps: int, capacity: int) -> list[Any]:
    atoms = len(x)
    own = jnp.arange(atoms)[:, None]

    def apart(x: Any, other: Any) -> Any:
        by = x - other
        return by - box * jnp.round(by / box)

    def neighbours(x: Any) -> Any:
        square = (apart(x[:, None], x) ** 2).sum(axis=2)
        near = (square < (CUTOFF + SKIN) ** 2) & (own != own.T)
        slot = jnp.where(near, jnp.cumsum(near, axis=1) - 1, capacity)
        table = jnp.broadcast_to(own, (atoms, capacity + 1))
        return table.at[own, slot].set(own.T)[:, :capacity]

    def forces(x: Any, table: Any) -> tuple[Any, Any]:
        by = apart(x[:, None], x[table])
        square = (by**2).sum(axis=2)
        near = (square < CUTOFF**2) & (table != own)
        inverse = 1 / jnp.where(near, square, 1.0)
        sixth = inverse**3
        energy = jnp.where(near, 4 * (sixth**2 - sixth), 0.0).sum() / 2
        size = jnp.where(near, 24 * inverse * (2 * sixth**2 - sixth), 0.0)
        return (size[:, :, None] * by).sum(axis=1), energy

    def rebuild(carry: tuple[Any, Any], _: None) -> tuple[Any, Any]:
        x, v = carry
        table = neighbours(x)

        def verlet(carry: tuple[Any, ...], _: None) -> tuple[Any, Any]:
            x, v, force = carry
            v = v + STEP / 2 * force
            x = x + STEP * v
            force, energy = forces(x, table)
            return (x, v + STEP / 2 * force, force), energy

        (x, v, _), energy = lax.scan(verlet, (x, v, forces(x, table)[0]), None, steps)
        return (x, v), energy

    (x, v), energy = lax.scan(rebuild, (x, v), None, rebuilds)
    return [x, v, energy.ravel()]


def _liquid_tuned(x: Any, v: Any, box: Any, rebuilds: int, steps: int, capacity: int) -> list[Any]:
    """Coordinates apart and in units of the box, so that neighbours are reads of three rows; places without a
    neighbour by a mask that a list has."""
    atoms = x.shape[0]
    own = np.arange(atoms, dtype="int32")[:, None]
    limit, square_box = (CUTOFF / box) ** 2, box * box

    def neighbours(x: Any) -> tuple[Any, Any]:
        square = sum((by - jnp.round(by)) ** 2 for by in (a[:, None] - a for a in x))
        near = (square < ((CUTOFF + SKIN) / box) ** 2) & (own != own.T)
        slot = jnp.where(near, jnp.cumsum(near, axis=1, dtype="int32") - 1, capacity)
        table = jnp.full((atoms, capacity), -1, "int32").at[own, slot].set(own.T, mode="drop")
        return jnp.maximum(table, 0), table >= 0

    def forces(x: tuple[Any, ...], table: Any, there: Any) -> tuple[Any, Any]:
        by = [a[:, None] - a.at[table].get(mode="promise_in_bounds") for a in x]
        by = [one - jnp.round(one) for one in by]
        square = by[0] * by[0] + by[1] * by[1] + by[2] * by[2]
        inverse = jnp.where((square < limit) & there, 1 / (square * square_box), 0.0)
        sixth = inverse * inverse * inverse
        size = inverse * (sixth * (sixth - 0.5))
        return tuple((48 * box) * (size * one).sum(axis=1) for one in by), 2 * (sixth * (sixth - 1)).sum()

    def rebuild(carry: tuple[Any, ...], _: None) -> tuple[Any, Any]:
        x, v = carry
        table, there = neighbours(x)

        def verlet(carry: tuple[Any, ...], _: None) -> tuple[Any, Any]:
            x, v, force = carry
            v = tuple(one + STEP / 2 * by for one, by in zip(v, force, strict=True))
            x = tuple(one + (STEP / box) * by for one, by in zip(x, v, strict=True))
            force, energy = forces(x, table, there)
            return (x, tuple(one + STEP / 2 * by for one, by in zip(v, force, strict=True)), force), energy

        (x, v, _), energy = lax.scan(verlet, (x, v, forces(x, table, there)[0]), None, steps)
        return (x, v), energy

    (x, v), energy = lax.scan(rebuild, (tuple(x.T / box), tuple(v.T)), None, rebuilds)
    return [jnp.stack(x, axis=1) * box, jnp.stack(v, axis=1), energy.ravel()]


def _graph(rng: np.random.Generator, scale: Scale) -> Inputs:
    qubits, layers = scale.pick((12, 10), quick=(4, 2))
    bits = np.arange(2**qubits)[:, None] >> np.arange(qubits) & 1
    edges = np.triu(rng.random((qubits, qubits)) < 0.4, 1) * rng.random((qubits, qubits))
    cost = -np.einsum("ni,ij,nj->n", bits, edges, 1 - bits) - np.einsum("ni,ij,nj->n", 1 - bits, edges, bits)
    ramp = (np.arange(layers) + 0.5) / layers
    return inputs(cost, 0.7 * ramp, 0.7 * (1 - ramp), qubits=qubits)


def _quantum_cut(cost: Any, phase: Any, turn: Any, qubits: int) -> list[Any]:
    def value(phase: Any, turn: Any) -> Any:
        def layer(state: Any, now: tuple[Any, Any]) -> tuple[Any, None]:
            phase_t, turn_t = now
            state = jnp.exp(-1j * phase_t * cost) * state
            c, s = jnp.cos(turn_t), jnp.sin(turn_t)

            def turned(_: Any, state: Any) -> Any:
                state = state.reshape(2, -1)
                return (c * state - 1j * s * state[::-1]).T.ravel()

            return lax.fori_loop(0, qubits, turned, state), None

        start = jnp.full(2**qubits, 2.0 ** (-qubits / 2), "complex128")
        state, _ = lax.scan(layer, start, (phase, turn))
        return (cost * jnp.abs(state) ** 2).sum()

    found, slopes = jax.value_and_grad(value, argnums=(0, 1))(phase, turn)
    return [found, *slopes]


def _quantum_cut_tuned(cost: Any, phase: Any, turn: Any, qubits: int) -> list[Any]:
    """The way back undoes each layer, in the state and in what the cost makes of it, so that nothing is kept (Jones and
    Gacon 2020). Turns of half of the qubits are a product with a matrix; turns of all, which commute, are the sum of a
    qubit's flips before the turn."""
    low = qubits // 2
    high = qubits - low

    def ones(count: int) -> np.ndarray[Any, Any]:
        number = np.arange(2**count)
        return np.array([int(one).bit_count() for one in range(2**count)])[number[:, None] ^ number]

    def flips(count: int) -> Any:
        return jnp.asarray((ones(count) == 1).astype(float))

    of_high, of_low = ones(high), ones(low)
    flip_high, flip_low = flips(high), flips(low)
    table = cost.reshape(2**high, 2**low)
    cosines, sines = jnp.cos(phase[:, None, None] * table), jnp.sin(phase[:, None, None] * table)

    def powers(count: int) -> tuple[Any, Any]:
        """Real and imaginary parts of the turns of some qubits together, for each layer."""
        apart = np.arange(count + 1)
        size = jnp.cos(turn)[:, None] ** (count - apart) * jnp.sin(turn)[:, None] ** apart
        re, im = np.array([1, 0, -1, 0])[apart % 4], np.array([0, -1, 0, 1])[apart % 4]
        return size * re, size * im

    high_re, high_im = (part[:, of_high] for part in powers(high))
    low_re, low_im = (part[:, of_low] for part in powers(low))
    left = jnp.concatenate([jnp.concatenate([high_re, -high_im], 2), jnp.concatenate([high_im, high_re], 2)], 1)
    right = jnp.concatenate([jnp.concatenate([low_re, low_im], 2), jnp.concatenate([-low_im, low_re], 2)], 1)

    def turned(re: Any, im: Any, left_t: Any, right_t: Any) -> tuple[Any, Any]:
        both = left_t @ jnp.concatenate([re, im])
        found = jnp.concatenate([both[: 2**high], both[2**high :]], axis=1) @ right_t
        return found[:, : 2**low], found[:, 2**low :]

    def layer(carry: tuple[Any, Any], now: tuple[Any, ...]) -> tuple[Any, None]:
        re, im = carry
        c, s, left_t, right_t = now
        return turned(c * re + s * im, c * im - s * re, left_t, right_t), None

    even = jnp.full_like(table, 2.0 ** (-qubits / 2))
    (re, im), _ = lax.scan(layer, (even, jnp.zeros_like(table)), (cosines, sines, left, right))
    value = (table * (re * re + im * im)).sum()

    def undo(carry: tuple[Any, ...], now: tuple[Any, ...]) -> tuple[Any, Any]:
        re, im, of_re, of_im = carry
        c, s, left_t, right_t = now
        re, im = turned(re, im, left_t.T, right_t.T)
        of_re, of_im = turned(of_re, of_im, left_t.T, right_t.T)
        flipped_re = flip_high @ re + re @ flip_low
        flipped_im = flip_high @ im + im @ flip_low
        of_turn = (of_re * flipped_im - of_im * flipped_re).sum()
        of_phase = (table * (of_re * im - of_im * re)).sum()
        re, im = c * re - s * im, c * im + s * re
        of_re, of_im = c * of_re - s * of_im, c * of_im + s * of_re
        return (re, im, of_re, of_im), (2 * of_phase, 2 * of_turn)

    start = (re, im, table * re, table * im)
    of_phase, of_turn = lax.scan(undo, start, (cosines, sines, left, right), reverse=True)[1]
    return [value, of_phase, of_turn]


def _polyene(rng: np.random.Generator, scale: Scale) -> Inputs:
    sites = scale.pick(30, quick=6)
    bond = np.where(np.arange(sites - 1) % 2, -2.2, -2.6)
    core = np.diag(bond, 1) + np.diag(bond, -1) + np.diag(0.3 * rng.normal(size=sites))
    far = 1.4 * np.abs(np.arange(sites)[:, None] - np.arange(sites))
    repulsion = 1 / np.sqrt((1 / 11.13) ** 2 + (far / 14.397) ** 2)
    return inputs(core, repulsion, np.float64(1e-9), pairs=sites // 2, most=scale.steps(200))


def _density(F: Any, pairs: int) -> Any:
    occupied = jnp.linalg.eigh(F)[1][:, :pairs]
    return 2 * occupied @ occupied.T


def _field(core: Any, repulsion: Any, P: Any) -> Any:
    return core + jnp.diag(repulsion @ (jnp.diagonal(P) - 1)) - 0.5 * repulsion * (P - jnp.eye(len(P)))


def _energy(core: Any, repulsion: Any, P: Any) -> list[Any]:
    return [0.5 * (P * (core + _field(core, repulsion, P))).sum(), P]


def _electron_field(core: Any, repulsion: Any, tolerance: Any, pairs: int, most: int) -> list[Any]:
    def rounds(carry: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
        i, P, _ = carry
        new = _density(_field(core, repulsion, P), pairs)
        return i + 1, (1 - MIXED) * P + MIXED * new, jnp.abs(new - P).max()

    def goes_on(carry: tuple[Any, Any, Any]) -> Any:
        return (carry[0] < most) & (carry[2] >= tolerance)

    _, P, _ = lax.while_loop(goes_on, rounds, (0, _density(core, pairs), jnp.inf))
    return _energy(core, repulsion, P)


def _electron_field_tuned(core: Any, repulsion: Any, tolerance: Any, pairs: int, most: int) -> list[Any]:
    """The density of a field that the last rounds extrapolate to (Pulay 1980): a few rounds."""
    n = len(core)
    keep = 4

    def rounds(carry: tuple[Any, ...]) -> tuple[Any, ...]:
        i, P, fields, errors, _ = carry
        F = _field(core, repulsion, P)
        error = (F @ P - P @ F).ravel()
        fields = jnp.concatenate([fields[1:], F.reshape(1, -1)])
        errors = jnp.concatenate([errors[1:], error[None]])
        there = jnp.arange(keep) >= keep - 1 - i
        gram = errors @ errors.T
        scale = jnp.trace(gram)
        gram = jnp.where(there[:, None] & there, gram / scale, jnp.eye(keep))
        gram = gram + 1e-13 * jnp.eye(keep)
        weight = jnp.where(there, jnp.linalg.solve(gram, jnp.where(there, 1.0, 0.0)), 0.0)
        F = ((weight / weight.sum()) @ fields).reshape(n, n)
        new = _density(F, pairs)
        return i + 1, new, fields, errors, jnp.abs(new - P).max()

    def goes_on(carry: tuple[Any, ...]) -> Any:
        return (carry[0] < most) & (carry[4] >= tolerance)

    none = jnp.zeros((keep, n * n))
    P = lax.while_loop(goes_on, rounds, (0, _density(core, pairs), none, none, jnp.inf))[1]
    return _energy(core, repulsion, P)


def _waves(rng: np.random.Generator, scale: Scale) -> Inputs:
    points, (steps, every) = scale.pick((256, (6_000, 200)), quick=(32, (20, 5)))
    dx, dt = 2 / points, 0.1 * (2 / points) ** 3 / DISPERSION**2
    first = np.cos(np.pi * dx * np.arange(points)) + 0.01 * rng.normal()
    right, left = np.roll(first, -1), np.roll(first, 1)
    flow = (right + first + left) * (right - left) / (6 * dx)
    third = np.roll(first, -2) - 2 * right + 2 * left - np.roll(first, 2)
    second = first - dt * (flow + DISPERSION**2 * third / (2 * dx**3))
    return inputs(np.stack([first, second]), np.float64(dx), np.float64(dt), steps=scale.steps(steps), every=every)


def _solitons(u: Any, dx: Any, dt: Any, steps: int, every: int) -> Any:
    def leap(carry: tuple[Any, Any], _: None) -> tuple[Any, Any]:
        before, now = carry
        right, left = jnp.roll(now, -1), jnp.roll(now, 1)
        flow = (right + now + left) * (right - left) / (3 * dx)
        third = jnp.roll(now, -2) - 2 * right + 2 * left - jnp.roll(now, 2)
        new = before - dt * (flow + DISPERSION**2 * third / dx**3)
        return (now, new), new

    return lax.scan(leap, (u[0], u[1]), None, steps)[1][every - 1 :: every]


def _solitons_tuned(u: Any, dx: Any, dt: Any, steps: int, every: int) -> Any:
    """Two cells of the other end on each side, for two steps at a time; factors in front of the loop; only the waves
    that count are kept."""
    flows, thirds = dt / (3 * dx), dt * DISPERSION**2 / dx**3

    def leap(before: Any, now: Any) -> Any:
        """The wave after ``now``, which has two cells more on each side."""
        far_left, left, middle, right, far_right = now[:-4], now[1:-3], now[2:-2], now[3:-1], now[4:]
        by = right - left
        return before - flows * (right + middle + left) * by - thirds * (far_right - far_left - 2 * by)

    def ring(now: Any, more: int) -> Any:
        return jnp.concatenate([now[-more:], now, now[:more]])

    def two(_: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        before, now = carry
        wide = ring(now, 4)
        new = leap(ring(before, 2), wide)
        return new[2:-2], leap(now, new)

    def some(carry: tuple[Any, Any], _: None) -> tuple[Any, Any]:
        before, now = lax.fori_loop(0, every // 2, two, carry)
        if every % 2:
            before, now = now, leap(before, ring(now, 2))
        return (before, now), now

    return lax.scan(some, (u[0], u[1]), None, steps // every)[1]


WORKLOADS = (
    task(
        "liquid",
        "256 atoms of a liquid with lists of 64 neighbours, 4 lists of 10 steps",
        matter.liquid,
        _atoms,
        _liquid,
        _liquid_tuned,
        close(1e-8),
    ),
    task(
        "quantum-cut-grad",
        "12 qubits that look for a cut of a graph by 10 layers, with gradients in the angles",
        matter.quantum_cut,
        _graph,
        _quantum_cut,
        _quantum_cut_tuned,
        close(1e-8),
    ),
    task(
        "electron-field",
        "electrons of 30 atoms in their own mean field, by eigenvectors until the density rests",
        matter.electron_field,
        _polyene,
        _electron_field,
        _electron_field_tuned,
        close(1e-7),
    ),
    task(
        "solitons",
        "waves of a channel of 256 cells that leap over the present, T=6,000, each 200th kept",
        matter.solitons,
        _waves,
        _solitons,
        _solitons_tuned,
        close(1e-7),
    ),
)
