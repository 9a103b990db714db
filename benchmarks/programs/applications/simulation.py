"""Physics, cellular automata, epidemics, queues and prices."""

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import stream

BODIES_DT, SOFTENING = 0.01, 0.05
HEAT, WAVE = 0.2, 0.25
FORCING, LORENZ_DT = 8.0, 0.01
INFECTION, RECOVERY, SIR_DT = 0.3, 0.1, 1.0
RATE, VOLATILITY, STRIKE, SPOT = 0.05, 0.2, 100.0, 100.0
PENDULUM_DT = 0.01


def bodies(aesara: Any, steps: int) -> Any:
    """Positions and velocities ``(n, 3)`` after leapfrog steps of gravitation, softened."""
    at = aesara.tensor
    x0, v0, mass = at.dmatrix("x0"), at.dmatrix("v0"), at.dvector("mass")

    def pull(x: Any) -> Any:
        apart = x.dimshuffle("x", 0, 1) - x.dimshuffle(0, "x", 1)
        cubes = ((apart**2).sum(axis=2) + SOFTENING**2) ** 1.5
        return (mass.dimshuffle("x", 0, "x") * apart / cubes.dimshuffle(0, 1, "x")).sum(axis=1)

    def step(x: Any, v: Any) -> list[Any]:
        v = v + BODIES_DT / 2 * pull(x)
        x = x + BODIES_DT * v
        return [x, v + BODIES_DT / 2 * pull(x)]

    (x, v), updates = aesara.scan(step, outputs_info=[x0, v0], n_steps=steps)
    return aesara.function([x0, v0, mass], [x[-1], v[-1]], updates=updates)


def life(aesara: Any, steps: int) -> Any:
    """Last generation of Conway's game of life on a torus, and the number of living cells in each."""
    at = aesara.tensor
    start = at.imatrix("start")

    def step(cells: Any) -> list[Any]:
        around = sum(at.roll(at.roll(cells, i, 0), j, 1) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0))
        lives = at.or_(at.eq(around, 3), at.and_(at.eq(cells, 1), at.eq(around, 2)))
        cells = at.cast(lives, "int32")
        return [cells, at.cast(cells.sum(), "int32")]

    (cells, count), updates = aesara.scan(step, outputs_info=[start, None], n_steps=steps)
    return aesara.function([start], [cells[-1], count], updates=updates)


def rule_110(aesara: Any, steps: int) -> Any:
    """All generations of the elementary cellular automaton 110 on a ring."""
    at = aesara.tensor
    start, table = at.ivector("start"), at.ivector("table")

    def step(cells: Any) -> Any:
        return table[4 * at.roll(cells, 1) + 2 * cells + at.roll(cells, -1)]

    cells, updates = aesara.scan(step, outputs_info=start, n_steps=steps)
    return aesara.function([start, table], cells, updates=updates)


def heat(aesara: Any, steps: int) -> Any:
    """Temperatures after explicit steps of the heat equation, fixed at the border."""
    at = aesara.tensor
    start = at.dmatrix("start")

    def step(u: Any) -> Any:
        inner = u[1:-1, 1:-1]
        change = u[2:, 1:-1] + u[:-2, 1:-1] + u[1:-1, 2:] + u[1:-1, :-2] - 4 * inner
        return at.set_subtensor(u[1:-1, 1:-1], inner + HEAT * change)

    u, updates = aesara.scan(step, outputs_info=start, n_steps=steps)
    return aesara.function([start], u[-1], updates=updates)


def wave(aesara: Any, steps: int) -> Any:
    """Displacement of a ring at all steps, by second-order differences in time and place."""
    at = aesara.tensor
    start = at.dmatrix("start")

    def step(u: Any, older: Any) -> Any:
        return 2 * u - older + WAVE * (at.roll(u, 1) + at.roll(u, -1) - 2 * u)

    u, updates = aesara.scan(step, outputs_info={"initial": start, "taps": [-1, -2]}, n_steps=steps)
    return aesara.function([start], u, updates=updates)


def lorenz(aesara: Any, steps: int) -> Any:
    """States of the model of Lorenz (1996) by Runge-Kutta steps."""
    at = aesara.tensor
    start = at.dvector("start")

    def slope(x: Any) -> Any:
        return (at.roll(x, -1) - at.roll(x, 2)) * at.roll(x, 1) - x + FORCING

    def step(x: Any) -> Any:
        k1 = slope(x)
        k2 = slope(x + LORENZ_DT / 2 * k1)
        k3 = slope(x + LORENZ_DT / 2 * k2)
        k4 = slope(x + LORENZ_DT * k3)
        return x + LORENZ_DT / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    x, updates = aesara.scan(step, outputs_info=start, n_steps=steps)
    return aesara.function([start], x, updates=updates)


def pendulums(aesara: Any, steps: int) -> Any:
    """Final angles of a chain of coupled pendulums by velocity Verlet, and the gradient of their energy in the
    initial angles."""
    at = aesara.tensor
    angle0, stiffness = at.dvector("angle0"), at.dscalar("stiffness")

    def push(angle: Any) -> Any:
        return -at.sin(angle) + stiffness * (at.roll(angle, 1) + at.roll(angle, -1) - 2 * angle)

    def step(angle: Any, speed: Any) -> list[Any]:
        half = speed + PENDULUM_DT / 2 * push(angle)
        angle = angle + PENDULUM_DT * half
        return [angle, half + PENDULUM_DT / 2 * push(angle)]

    (angle, speed), updates = aesara.scan(step, outputs_info=[angle0, at.zeros_like(angle0)], n_steps=steps)
    energy = 0.5 * (speed[-1] ** 2).sum() - at.cos(angle[-1]).sum()
    outputs = [angle[-1], *aesara.grad(energy, [angle0, stiffness])]
    return aesara.function([angle0, stiffness], outputs, updates=updates)


def epidemic(aesara: Any, steps: int) -> Any:
    """Mean share of susceptible and infected people by day: chain-binomial SIR model, many regions."""
    at, trng = aesara.tensor, stream(aesara)
    s0, i0 = at.dvector("s0"), at.dvector("i0")
    people = s0 + i0

    def step(s: Any, i: Any) -> list[Any]:
        infected = trng.binomial(at.cast(s, "int64"), 1 - at.exp(-INFECTION * i / people * SIR_DT), size=s.shape)
        recovered = trng.binomial(at.cast(i, "int64"), at.full_like(i, 1 - at.exp(-RECOVERY * SIR_DT)), size=s.shape)
        infected, recovered = at.cast(infected, "float64"), at.cast(recovered, "float64")
        return [s - infected, i + infected - recovered]

    (s, i), updates = aesara.scan(step, outputs_info=[s0, i0], n_steps=steps)
    return aesara.function([s0, i0], [(s / people).mean(axis=1), (i / people).mean(axis=1)], updates=updates)


def queue(aesara: Any, servers: int) -> Any:
    """Waiting times of customers at several servers: the sorted workloads of Kiefer and Wolfowitz (1955)."""
    at = aesara.tensor
    gaps, work = at.dvector("gaps"), at.dvector("work")

    def step(gap: Any, work: Any, load: Any) -> list[Any]:
        load = at.maximum(load - gap, 0)
        return [at.sort(at.set_subtensor(load[0], load[0] + work)), load[0]]

    start = at.zeros((servers,), dtype="float64")
    (_, wait), updates = aesara.scan(step, sequences=[gaps, work], outputs_info=[start, None])
    return aesara.function([gaps, work], wait, updates=updates)


def asian_option(aesara: Any, paths: int, steps: int) -> Any:
    """Price of an Asian call option by Monte Carlo, and its derivative with respect to the spot price."""
    at, trng = aesara.tensor, stream(aesara)
    spot = at.dscalar("spot")
    dt = 1 / steps

    def step(price: Any) -> Any:
        noise = trng.normal(size=(paths,), dtype="float64")
        return price * at.exp((RATE - VOLATILITY**2 / 2) * dt + VOLATILITY * dt**0.5 * noise)

    prices, updates = aesara.scan(step, outputs_info=spot * at.ones((paths,), dtype="float64"), n_steps=steps)
    value = at.exp(-RATE) * at.maximum(prices.mean(axis=0) - STRIKE, 0).mean()
    return aesara.function([spot], [value, aesara.grad(value, spot)], updates=updates)


def american_put(aesara: Any, levels: int) -> Any:
    """Price of an American put option on a binomial tree (Cox, Ross and Rubinstein 1979)."""
    at = aesara.tensor
    spot = at.dscalar("spot")
    dt = 1 / levels
    up = at.exp(at.constant(VOLATILITY * dt**0.5, dtype="float64"))
    discount = at.exp(at.constant(-RATE * dt, dtype="float64"))
    chance = (1 / discount - 1 / up) / (up - 1 / up)
    place = at.arange(levels + 1)

    def step(level: Any, value: Any) -> Any:
        later = discount * (chance * at.roll(value, -1) + (1 - chance) * value)
        exercised = STRIKE - spot * up ** (2 * place - level)
        return at.maximum(later, exercised)

    start = at.maximum(STRIKE - spot * up ** (2 * place - levels), 0)
    value, updates = aesara.scan(step, sequences=at.arange(levels)[::-1], outputs_info=start)
    return aesara.function([spot], value[-1][0], updates=updates)
