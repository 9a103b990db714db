"""Neurons, waves, pendulums and sand."""

# ruff: noqa: N803, N806 - fields have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

NEURON_DT, SODIUM, POTASSIUM, LEAK = 0.01, 120.0, 36.0, 0.3
COURANT = 0.5
GRAVITY, PENDULUM_DT = 9.81, 0.01


def hodgkin_huxley(aesara: Any) -> Any:
    """Potentials of neurons by exponential Euler steps (Hodgkin and Huxley 1952; Rush and Larsen 1978). Float64."""
    at = aesara.tensor
    current = at.dmatrix("current")

    def moved(gate: Any, opens: Any, closes: Any) -> Any:
        ends = opens / (opens + closes)
        return ends + (gate - ends) * at.exp(-NEURON_DT * (opens + closes))

    def step(current_t: Any, V: Any, m: Any, h: Any, n: Any) -> list[Any]:
        m = moved(m, 0.1 * (V + 40) / (1 - at.exp(-(V + 40) / 10)), 4 * at.exp(-(V + 65) / 18))
        h = moved(h, 0.07 * at.exp(-(V + 65) / 20), 1 / (1 + at.exp(-(V + 35) / 10)))
        n = moved(n, 0.01 * (V + 55) / (1 - at.exp(-(V + 55) / 10)), 0.125 * at.exp(-(V + 65) / 80))
        through = SODIUM * m**3 * h * (V - 50) + POTASSIUM * n**4 * (V + 77) + LEAK * (V + 54.4)
        return [V + NEURON_DT * (current_t - through), m, h, n]

    start = [at.full((current.shape[1],), value, dtype="float64") for value in (-65.0, 0.05, 0.6, 0.32)]
    (V, *_), updates = aesara.scan(step, sequences=current, outputs_info=start)
    return aesara.function([current], V, updates=updates)


def maxwell(aesara: Any) -> Any:
    """Electric field at the last cell but one of a line with a source at the first third and open ends, by finite
    differences in time (Yee 1966; Mur 1981); ``permittivity`` is relative. Float64."""
    at = aesara.tensor
    source, permittivity = at.dvector("source"), at.dvector("permittivity")
    size = permittivity.shape[0]
    open_end = (COURANT - 1) / (COURANT + 1)

    def step(source_t: Any, E: Any, H: Any) -> list[Any]:
        H = H + COURANT * (E[1:] - E[:-1])
        new = at.inc_subtensor(E[1:-1], COURANT / permittivity[1:-1] * (H[1:] - H[:-1]))
        new = at.inc_subtensor(new[size // 3], source_t)
        new = at.set_subtensor(new[0], E[1] + open_end * (new[1] - E[0]))
        new = at.set_subtensor(new[-1], E[-2] + open_end * (new[-2] - E[-1]))
        return [new, H]

    zeros = at.zeros_like(permittivity)
    (E, _), updates = aesara.scan(step, sequences=source, outputs_info=[zeros, zeros[1:]])
    return aesara.function([source, permittivity], E[:, -2], updates=updates)


def double_pendulum(aesara: Any, steps: int) -> Any:
    """Squared distance of the end of a double pendulum from a target, by Runge-Kutta steps, and its gradient in the
    start: both angles and their speeds (Shinbrot et al. 1992). Float64."""
    at = aesara.tensor
    start, target = at.dvector("start"), at.dvector("target")

    def slope(x: Any) -> Any:
        a, b, v, w = x[0], x[1], x[2], x[3]
        sine, cosine = at.sin(a - b), at.cos(a - b)
        below = 3 - at.cos(2 * (a - b))
        of_v = -3 * GRAVITY * at.sin(a) - GRAVITY * at.sin(a - 2 * b) - 2 * sine * (w**2 + v**2 * cosine)
        of_w = 2 * sine * (2 * v**2 + 2 * GRAVITY * at.cos(a) + w**2 * cosine)
        return at.stack([v, w, of_v / below, of_w / below])

    def step(x: Any) -> Any:
        k1 = slope(x)
        k2 = slope(x + PENDULUM_DT / 2 * k1)
        k3 = slope(x + PENDULUM_DT / 2 * k2)
        k4 = slope(x + PENDULUM_DT * k3)
        return x + (k1 + 2 * k2 + 2 * k3 + k4) * PENDULUM_DT / 6

    x, updates = aesara.scan(step, outputs_info=start, n_steps=steps)
    a, b = x[-1][0], x[-1][1]
    place = at.stack([at.sin(a) + at.sin(b), -at.cos(a) - at.cos(b)])
    cost = ((place - target) ** 2).sum()
    return aesara.function([start, target], [cost, aesara.grad(cost, start)], updates=updates)


def sandpile(aesara: Any, most: int) -> Any:
    """Sizes of the avalanches in a pile of sand to which grains are added, and the pile (Bak, Tang and Wiesenfeld
    1987): places of four grains or more topple together, until there are none. Int32."""
    at = aesara.tensor
    pile, row, column = at.imatrix("pile"), at.ivector("row"), at.ivector("column")

    def topple(pile: Any, size: Any) -> Any:
        over = at.cast(pile >= 4, "int32")
        new = pile - 4 * over
        new = at.inc_subtensor(new[1:], over[:-1])
        new = at.inc_subtensor(new[:-1], over[1:])
        new = at.inc_subtensor(new[:, 1:], over[:, :-1])
        new = at.inc_subtensor(new[:, :-1], over[:, 1:])
        return [new, size + at.cast(over.sum(), "int32")], until(aesara, at.all(new < 4))

    def grain(i: Any, j: Any, pile: Any) -> list[Any]:
        start = [at.inc_subtensor(pile[i, j], 1), at.zeros((), dtype="int32")]
        (piles, size), _ = aesara.scan(topple, outputs_info=start, n_steps=most)
        return [piles[-1], size[-1]]

    (piles, size), updates = aesara.scan(grain, sequences=[row, column], outputs_info=[pile, None])
    return aesara.function([pile, row, column], [size, piles[-1]], updates=updates)
