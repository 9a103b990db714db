"""A liquid, qubits, electrons and waves in shallow channels, float64."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

CUTOFF, SKIN, STEP = 2.0, 0.3, 0.004
DISPERSION = 0.022
MIXED = 0.6


def liquid(aesara: Any, rebuilds: int, steps: int, capacity: int) -> Any:
    """Positions and velocities of atoms of a liquid in a periodic box and their potential energy (Lennard-Jones 1924;
    Rahman 1964), by velocity Verlet steps with lists of neighbours (Verlet 1967): a loop over lists with one over
    steps. A list has at most ``capacity`` neighbours of an atom; the atom itself stands in the places that are left."""
    at = aesara.tensor
    start_x, start_v, box = at.dmatrix("x"), at.dmatrix("v"), at.dscalar("box")
    atoms = start_x.shape[0]
    own = at.arange(atoms).dimshuffle(0, "x")

    def apart(x: Any, other: Any) -> Any:
        by = x - other
        return by - box * at.round(by / box)

    def neighbours(x: Any) -> Any:
        square = (apart(x.dimshuffle(0, "x", 1), x) ** 2).sum(axis=2)
        near = at.and_(square < (CUTOFF + SKIN) ** 2, at.neq(own, own.T))
        slot = at.switch(near, at.cumsum(at.cast(near, "int64"), axis=1) - 1, capacity)
        table = at.zeros((atoms, capacity + 1), dtype="int64") + own
        return at.set_subtensor(table[own, slot], own.T)[:, :capacity]

    def forces(x: Any, table: Any) -> tuple[Any, Any]:
        by = apart(x.dimshuffle(0, "x", 1), x[table])
        square = (by**2).sum(axis=2)
        near = at.and_(square < CUTOFF**2, at.neq(table, own))
        inverse = 1 / at.switch(near, square, 1.0)
        sixth = inverse**3
        energy = at.switch(near, 4 * (sixth**2 - sixth), 0.0).sum() / 2
        size = at.switch(near, 24 * inverse * (2 * sixth**2 - sixth), 0.0)
        return (size.dimshuffle(0, 1, "x") * by).sum(axis=1), energy

    def rebuild(x: Any, v: Any) -> list[Any]:
        table = neighbours(x)

        def verlet(x: Any, v: Any, force: Any) -> list[Any]:
            v = v + STEP / 2 * force
            x = x + STEP * v
            force, energy = forces(x, table)
            return [x, v + STEP / 2 * force, force, energy]

        (x, v, _, energy), _ = aesara.scan(verlet, outputs_info=[x, v, forces(x, table)[0], None], n_steps=steps)
        return [x[-1], v[-1], energy]

    (x, v, energy), updates = aesara.scan(rebuild, outputs_info=[start_x, start_v, None], n_steps=rebuilds)
    return aesara.function([start_x, start_v, box], [x[-1], v[-1], energy.flatten()], updates=updates)


def quantum_cut(aesara: Any, qubits: int) -> Any:
    """Expected cost of the bits that a quantum computer finds by alternating phases of the cost and turns of each qubit
    (Farhi, Goldstone and Gutmann 2014), and its gradient in all angles. ``cost`` has a value for each combination of
    bits. Real and imaginary parts are apart: a loop over layers with one over qubits, each in turn the first."""
    at = aesara.tensor
    cost, phase, turn = at.dvector("cost"), at.dvector("phase"), at.dvector("turn")

    def turned(re: Any, im: Any, c: Any, s: Any) -> list[Any]:
        re, im = re.reshape((2, -1)), im.reshape((2, -1))
        return [(c * re + s * im[::-1]).T.flatten(), (c * im - s * re[::-1]).T.flatten()]

    def layer(phase_t: Any, turn_t: Any, re: Any, im: Any) -> list[Any]:
        c, s = at.cos(phase_t * cost), at.sin(phase_t * cost)
        start = [c * re + s * im, c * im - s * re]
        angles = [at.cos(turn_t), at.sin(turn_t)]
        (re, im), _ = aesara.scan(turned, outputs_info=start, non_sequences=angles, n_steps=qubits)
        return [re[-1], im[-1]]

    even = at.zeros_like(cost) + 2.0 ** (-qubits / 2)
    (re, im), updates = aesara.scan(layer, sequences=[phase, turn], outputs_info=[even, at.zeros_like(cost)])
    value = (cost * (re[-1] ** 2 + im[-1] ** 2)).sum()
    slopes = aesara.grad(value, [phase, turn])
    return aesara.function([cost, phase, turn], [value, *slopes], updates=updates)


def electron_field(aesara: Any, pairs: int, most: int) -> Any:
    """Energy and density of the electrons of a conjugated molecule in their own mean field, by eigenvectors of the
    field until the density rests (Pople 1953; Pariser and Parr 1953). ``core`` has the energies of sites and bonds,
    ``repulsion (site, site)``; the first density is that without repulsion."""
    at = aesara.tensor
    core, repulsion, tolerance = at.dmatrix("core"), at.dmatrix("repulsion"), at.dscalar("tolerance")

    def density_of(F: Any) -> Any:
        _, vectors = at.linalg.eigh(F)
        occupied = vectors[:, :pairs]
        return 2 * at.dot(occupied, occupied.T)

    def field(P: Any) -> Any:
        return core + at.diag(at.dot(repulsion, at.diagonal(P) - 1)) - 0.5 * repulsion * (P - at.eye(P.shape[0]))

    def rounds(P: Any) -> Any:
        new = density_of(field(P))
        change = at.max(abs(new - P))
        return (1 - MIXED) * P + MIXED * new, until(aesara, change < tolerance)

    P, updates = aesara.scan(rounds, outputs_info=density_of(core), n_steps=most)
    energy = 0.5 * (P[-1] * (core + field(P[-1]))).sum()
    return aesara.function([core, repulsion, tolerance], [energy, P[-1]], updates=updates)


def solitons(aesara: Any, steps: int, every: int) -> Any:
    """Waves of a periodic channel that run through each other (Korteweg and de Vries 1895), by differences that leap
    over the present (Zabusky and Kruskal 1965): each ``every``-th of the waves. ``u`` has the first two."""
    at = aesara.tensor
    u, dx, dt = at.dmatrix("u"), at.dscalar("dx"), at.dscalar("dt")

    def leap(before: Any, now: Any) -> Any:
        right, left = at.roll(now, -1), at.roll(now, 1)
        flow = (right + now + left) * (right - left) / (3 * dx)
        third = at.roll(now, -2) - 2 * right + 2 * left - at.roll(now, 2)
        return before - dt * (flow + DISPERSION**2 * third / dx**3)

    found, updates = aesara.scan(leap, outputs_info={"initial": u, "taps": [-2, -1]}, n_steps=steps)
    return aesara.function([u, dx, dt], found[every - 1 :: every], updates=updates)
