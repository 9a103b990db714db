"""Neurons, waves, pendulums and sand."""

# ruff: noqa: N806 - fields have the names that the field gives them

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.compare import close
from benchmarks.programs.seen import physics
from benchmarks.programs.seen.physics import COURANT, GRAVITY, LEAK, NEURON_DT, PENDULUM_DT, POTASSIUM, SODIUM
from benchmarks.workload import Scale
from benchmarks.workloads.applications.task import Inputs, inputs, task

NEURON = (-65.0, 0.05, 0.6, 0.32)


def _currents(rng: np.random.Generator, scale: Scale) -> Inputs:
    steps, count = scale.steps(2_000, quick=50), scale.pick(32, quick=3)
    return inputs(np.linspace(2, 15, count) + rng.normal(size=(steps, count)))


def _hodgkin_huxley(current: Any) -> Any:
    def moved(gate: Any, opens: Any, closes: Any) -> Any:
        ends = opens / (opens + closes)
        return ends + (gate - ends) * jnp.exp(-NEURON_DT * (opens + closes))

    def step(carry: Any, current_t: Any) -> tuple[Any, Any]:
        V, m, h, n = carry
        m = moved(m, 0.1 * (V + 40) / (1 - jnp.exp(-(V + 40) / 10)), 4 * jnp.exp(-(V + 65) / 18))
        h = moved(h, 0.07 * jnp.exp(-(V + 65) / 20), 1 / (1 + jnp.exp(-(V + 35) / 10)))
        n = moved(n, 0.01 * (V + 55) / (1 - jnp.exp(-(V + 55) / 10)), 0.125 * jnp.exp(-(V + 65) / 80))
        through = SODIUM * m**3 * h * (V - 50) + POTASSIUM * n**4 * (V + 77) + LEAK * (V + 54.4)
        V = V + NEURON_DT * (current_t - through)
        return (V, m, h, n), V

    start = tuple(jnp.full(current.shape[1], value) for value in NEURON)
    return lax.scan(step, start, current)[1]


def _hodgkin_huxley_tuned(current: Any) -> Any:
    """Exponentials of the potential from two instead of six; a gate's end and decay with one division."""

    def moved(gate: Any, opens: Any, total: Any) -> Any:
        return gate + (gate - opens / total) * jnp.expm1(-NEURON_DT * total)

    factor = {offset: float(np.exp(-offset / 10)) for offset in (35, 40, 55)}
    of_m, of_h, of_n = 4 * float(np.exp(-65 / 18)), 0.07 * float(np.exp(-65 / 20)), 0.125 * float(np.exp(-65 / 80))

    def step(carry: Any, current_t: Any) -> tuple[Any, Any]:
        V, m, h, n = carry
        eighth = jnp.exp(V * (-1 / 80))
        half = (eighth * eighth) ** 2
        whole = half * half
        opens, closes = 0.1 * (V + 40) / (1 - factor[40] * whole), of_m * jnp.exp(V * (-1 / 18))
        m = moved(m, opens, opens + closes)
        opens, closes = of_h * half, 1 / (1 + factor[35] * whole)
        h = moved(h, opens, opens + closes)
        opens, closes = 0.01 * (V + 55) / (1 - factor[55] * whole), of_n * eighth
        n = moved(n, opens, opens + closes)
        squared = n * n
        through = SODIUM * (m * m * m * h) * (V - 50) + POTASSIUM * (squared * squared) * (V + 77) + LEAK * (V + 54.4)
        V = V + NEURON_DT * (current_t - through)
        return (V, m, h, n), V

    start = tuple(jnp.full(current.shape[1], value) for value in NEURON)
    return lax.scan(step, start, current)[1]


def _line(rng: np.random.Generator, scale: Scale) -> Inputs:
    size, steps = scale.pick(400, quick=30), scale.steps(1_500, quick=60)
    permittivity = np.where(np.arange(size) > 0.6 * size, 4.0, 1.0)
    return inputs(np.exp(-(((np.arange(steps) - 60) / 20) ** 2)) + 0.01 * rng.normal(size=steps), permittivity)


def _maxwell(source: Any, permittivity: Any) -> Any:
    size = len(permittivity)
    open_end = (COURANT - 1) / (COURANT + 1)

    def step(carry: tuple[Any, Any], source_t: Any) -> tuple[tuple[Any, Any], Any]:
        E, H = carry
        H = H + COURANT * (E[1:] - E[:-1])
        new = E.at[1:-1].add(COURANT / permittivity[1:-1] * (H[1:] - H[:-1]))
        new = new.at[size // 3].add(source_t)
        new = new.at[0].set(E[1] + open_end * (new[1] - E[0]))
        new = new.at[-1].set(E[-2] + open_end * (new[-2] - E[-1]))
        return (new, H), new[-2]

    zeros = jnp.zeros_like(permittivity)
    return lax.scan(step, (zeros, zeros[1:]), source)[1]


def _maxwell_tuned(source: Any, permittivity: Any) -> Any:
    """The field inside in one operation, with the source as a row; ends as numbers of their own."""
    size = len(permittivity)
    open_end = (COURANT - 1) / (COURANT + 1)
    share = COURANT / permittivity[1:-1]
    place = (jnp.arange(1, size - 1) == size // 3).astype(permittivity.dtype)

    def step(carry: Any, source_t: Any) -> tuple[Any, Any]:
        E, H, first, last = carry
        H = H + COURANT * (jnp.append(E, last) - jnp.insert(E, 0, first))
        new = E + share * (H[1:] - H[:-1]) + place * source_t
        first = E[0] + open_end * (new[0] - first)
        last = E[-1] + open_end * (new[-1] - last)
        return (new, H, first, last), new[-1]

    zeros = jnp.zeros_like(permittivity)
    return lax.scan(step, (zeros[2:], zeros[1:], zeros[0], zeros[0]), source)[1]


def _swing(rng: np.random.Generator, scale: Scale) -> Inputs:
    return inputs(np.array([1.2, 0.4, 0.1, -0.2]), np.array([0.5, -1.5]), steps=scale.steps(500, quick=30))


def _slopes(a: Any, b: Any, v: Any, w: Any) -> tuple[Any, Any, Any, Any]:
    sine, cosine = jnp.sin(a - b), jnp.cos(a - b)
    below = 3 - jnp.cos(2 * (a - b))
    of_v = -3 * GRAVITY * jnp.sin(a) - GRAVITY * jnp.sin(a - 2 * b) - 2 * sine * (w**2 + v**2 * cosine)
    of_w = 2 * sine * (2 * v**2 + 2 * GRAVITY * jnp.cos(a) + w**2 * cosine)
    return v, w, of_v / below, of_w / below


def _missed(a: Any, b: Any, target: Any) -> Any:
    place = jnp.stack([jnp.sin(a) + jnp.sin(b), -jnp.cos(a) - jnp.cos(b)])
    return ((place - target) ** 2).sum()


def _double_pendulum(start: Any, target: Any, steps: int) -> list[Any]:
    def slope(x: Any) -> Any:
        return jnp.stack(_slopes(*x))

    def step(x: Any, _: None) -> tuple[Any, None]:
        k1 = slope(x)
        k2 = slope(x + PENDULUM_DT / 2 * k1)
        k3 = slope(x + PENDULUM_DT / 2 * k2)
        k4 = slope(x + PENDULUM_DT * k3)
        return x + (k1 + 2 * k2 + 2 * k3 + k4) * PENDULUM_DT / 6, None

    def cost(start: Any) -> Any:
        x, _ = lax.scan(step, start, None, length=steps)
        return _missed(x[0], x[1], target)

    return list(jax.value_and_grad(cost)(start))


def _double_pendulum_tuned(start: Any, target: Any, steps: int) -> list[Any]:
    """Four numbers instead of an array; sines and cosines of both angles make the others; only states are stored, and a
    step's values are computed again for the gradient."""

    def slope(x: tuple[Any, ...]) -> tuple[Any, Any, Any, Any]:
        a, b, v, w = x
        sine_a, cosine_a, sine_b, cosine_b = jnp.sin(a), jnp.cos(a), jnp.sin(b), jnp.cos(b)
        sine, cosine = sine_a * cosine_b - cosine_a * sine_b, cosine_a * cosine_b + sine_a * sine_b
        share = 1 / (4 - 2 * cosine * cosine)
        pull = GRAVITY * (3 * sine_a + sine * cosine_b - cosine * sine_b)
        square_v, square_w = v * v, w * w
        of_v = -pull - 2 * sine * (square_w + square_v * cosine)
        of_w = 2 * sine * (2 * square_v + 2 * GRAVITY * cosine_a + square_w * cosine)
        return v, w, of_v * share, of_w * share

    def moved(x: tuple[Any, ...], k: tuple[Any, ...], by: float) -> tuple[Any, ...]:
        return tuple(one + by * of for one, of in zip(x, k, strict=True))

    @jax.checkpoint
    def step(x: tuple[Any, ...], _: None) -> tuple[tuple[Any, ...], None]:
        k1 = slope(x)
        k2 = slope(moved(x, k1, PENDULUM_DT / 2))
        k3 = slope(moved(x, k2, PENDULUM_DT / 2))
        k4 = slope(moved(x, k3, PENDULUM_DT))
        k = tuple(a + 2 * (b + c) + d for a, b, c, d in zip(k1, k2, k3, k4, strict=True))
        return moved(x, k, PENDULUM_DT / 6), None

    def cost(start: Any) -> Any:
        (a, b, *_), _ = lax.scan(step, tuple(start), None, length=steps)
        return _missed(a, b, target)

    return list(jax.value_and_grad(cost)(start))


def _sand(rng: np.random.Generator, scale: Scale) -> Inputs:
    size, grains = scale.pick(24, quick=5), scale.steps(300, quick=20)
    pile = rng.choice(4, (size, size), p=[0.07, 0.18, 0.3, 0.45]).astype("int32")
    row, column = rng.integers(0, size, (2, grains)).astype("int32")
    return inputs(pile, row, column, most=1_000)


def _sandpile(pile: Any, row: Any, column: Any, most: int) -> list[Any]:
    def topple(state: Any) -> Any:
        i, pile, size = state
        over = (pile >= 4).astype("int32")
        pile = pile - 4 * over
        pile = pile.at[1:].add(over[:-1]).at[:-1].add(over[1:])
        pile = pile.at[:, 1:].add(over[:, :-1]).at[:, :-1].add(over[:, 1:])
        return i + 1, pile, size + over.sum(dtype="int32")

    def grain(pile: Any, place: tuple[Any, Any]) -> tuple[Any, Any]:
        state = 0, pile.at[place].add(1), jnp.int32(0)
        _, pile, size = lax.while_loop(lambda state: (state[1] >= 4).any() & (state[0] < most), topple, state)
        return pile, size

    pile, size = lax.scan(grain, pile, (row, column))
    return [size, pile]


def _sandpile_tuned(pile: Any, row: Any, column: Any, most: int) -> list[Any]:
    """Int8 with a margin that is always empty, so that neighbours are reads; one number says whether and how many
    topple."""

    def topple(state: Any) -> Any:
        i, pile, over, count, size = state
        edged = jnp.pad(over, 1)
        near = edged[2:, 1:-1] + edged[:-2, 1:-1] + edged[1:-1, 2:] + edged[1:-1, :-2]
        pile = pile - 4 * over + near
        over = (pile >> 2).astype("int8")
        return i + 1, pile, over, over.sum(dtype="int32"), size + count

    def grain(pile: Any, place: tuple[Any, Any]) -> tuple[Any, Any]:
        new = lax.dynamic_slice(pile, place, (1, 1)) + jnp.int8(1)
        pile = lax.dynamic_update_slice(pile, new, place)
        full = (new[0, 0] >= 4).astype("int32")
        over = lax.dynamic_update_slice(jnp.zeros_like(pile), new >> 2, place)
        state = jnp.int32(0), pile, over, full, jnp.int32(0)
        _, pile, _, _, size = lax.while_loop(lambda state: (state[3] > 0) & (state[0] < most), topple, state)
        return pile, size

    pile, size = lax.scan(grain, pile.astype("int8"), (row, column))
    return [size, pile.astype("int32")]


WORKLOADS = (
    task(
        "hodgkin-huxley",
        "potentials of 32 neurons by exponential Euler steps, T=2,000",
        physics.hodgkin_huxley,
        _currents,
        _hodgkin_huxley,
        _hodgkin_huxley_tuned,
        close(1e-7),
    ),
    task(
        "maxwell",
        "electric field on a line of 400 cells with open ends, 1,500 steps, one cell kept",
        physics.maxwell,
        _line,
        _maxwell,
        _maxwell_tuned,
    ),
    task(
        "double-pendulum-grad",
        "double pendulum, 500 Runge-Kutta steps, with gradient in the start",
        physics.double_pendulum,
        _swing,
        _double_pendulum,
        _double_pendulum_tuned,
        close(1e-7),
    ),
    task(
        "sandpile",
        "avalanches of a pile of 24 x 24 places to which 300 grains are added, nested loops",
        physics.sandpile,
        _sand,
        _sandpile,
        _sandpile_tuned,
    ),
)
