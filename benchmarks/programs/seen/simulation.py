"""Neurons, oscillators, chemical reactions and prices, float64."""

# ruff: noqa: N806 - matrices have the names that the field gives them

from __future__ import annotations

import math
from typing import Any

from benchmarks.programs.applications import stream, until

NEURON_DT, DRIVE, LEAK, SHIFT, SLOWNESS = 0.1, 0.5, 0.8, 0.7, 0.08
OSCILLATOR_DT = 0.05
RATE, PULL, LEVEL, WILDNESS, CORRELATION, SPOT = 0.02, 2.0, 0.04, 0.3, -0.7, 100.0
BIRTH, DEATH, PAIRING, END = 10.0, 0.1, 0.005, 10.0


def delayed_neurons(aesara: Any, delay: int) -> Any:
    """Mean potential by step and last potentials of neurons of FitzHugh (1961) and Nagumo that reach each other after
    ``delay`` steps, through the weights ``A``; ``start`` has their past."""
    at = aesara.tensor
    A, start, drive = at.dmatrix("A"), at.dmatrix("start"), at.dvector("drive")

    def step(drive_t: Any, late: Any, v: Any, w: Any) -> list[Any]:
        slope = v - v**3 / 3 - w + drive_t + at.dot(A, late)
        return [v + NEURON_DT * slope, w + NEURON_DT * SLOWNESS * (v + SHIFT - LEAK * w)]

    taps = {"initial": start, "taps": [-delay, -1]}
    (v, _), updates = aesara.scan(step, sequences=drive, outputs_info=[taps, at.zeros_like(start[0])])
    return aesara.function([A, start, drive], [v.mean(axis=1), v[-1]], updates=updates)


def oscillators(aesara: Any, steps: int) -> Any:
    """Coherence of coupled oscillators at the end, squared, and its gradient in their speeds and in the strength
    (Kuramoto 1975)."""
    at = aesara.tensor
    start, speed, strength = at.dvector("start"), at.dvector("speed"), at.dscalar("strength")

    def step(phase: Any) -> Any:
        pull = at.sin(phase.dimshuffle("x", 0) - phase.dimshuffle(0, "x")).mean(axis=1)
        return phase + OSCILLATOR_DT * (speed + strength * pull)

    phase, updates = aesara.scan(step, outputs_info=start, n_steps=steps)
    cost = at.cos(phase[-1]).mean() ** 2 + at.sin(phase[-1]).mean() ** 2
    return aesara.function([start, speed, strength], [cost, *aesara.grad(cost, [speed, strength])], updates=updates)


def heston(aesara: Any, paths: int, steps: int) -> Any:
    """Prices of call options with the given strikes by Monte Carlo, with the stochastic variance of Heston (1993) and
    full truncation (Lord, Koekkoek and van Dijk 2010)."""
    at, trng = aesara.tensor, stream(aesara)
    strikes = at.dvector("strikes")
    dt = 1 / steps

    def step(price: Any, variance: Any) -> list[Any]:
        one = trng.normal(size=(paths,), dtype="float64")
        two = CORRELATION * one + math.sqrt(1 - CORRELATION**2) * trng.normal(size=(paths,), dtype="float64")
        positive = at.maximum(variance, 0)
        price = price * at.exp((RATE - positive / 2) * dt + at.sqrt(positive * dt) * one)
        variance = variance + PULL * (LEVEL - positive) * dt + WILDNESS * at.sqrt(positive * dt) * two
        return [price, variance]

    start = [at.full((paths,), SPOT, dtype="float64"), at.full((paths,), LEVEL, dtype="float64")]
    (price, _), updates = aesara.scan(step, outputs_info=start, n_steps=steps)
    gain = at.maximum(price[-1] - strikes.dimshuffle(0, "x"), 0).mean(axis=1)
    return aesara.function([strikes], math.exp(-RATE) * gain, updates=updates)


def reactions(aesara: Any, most: int) -> Any:
    """Mean and standard deviation, over runs, of the molecules that are left at a given time: born, dying and
    annihilating in pairs, one reaction after the other (Gillespie 1977)."""
    at, trng = aesara.tensor, stream(aesara)
    start = at.dvector("start")

    def step(x: Any, time: Any) -> Any:
        dying, pairing = DEATH * x, PAIRING * x * (x - 1)
        total = BIRTH + dying + pairing
        time = time - at.log(trng.uniform(size=x.shape, dtype="float64")) / total
        mark = trng.uniform(size=x.shape, dtype="float64") * total
        change = at.switch(mark < BIRTH, 1.0, at.switch(mark < BIRTH + dying, -1.0, -2.0))
        return [at.switch(time < END, x + change, x), time], until(aesara, at.all(time >= END))

    (x, _), updates = aesara.scan(step, outputs_info=[start, at.zeros_like(start)], n_steps=most)
    return aesara.function([start], [x[-1].mean(), x[-1].std()], updates=updates)


def crank_nicolson(aesara: Any, steps: int) -> Any:
    """Prices of an American put option by implicit differences (Crank and Nicolson 1947; Brennan and Schwartz 1977):
    in each step, a loop down and a loop up a tridiagonal system (Thomas 1949) with ``lower``, ``middle`` and
    ``upper``; ``edge`` is added at the lowest price."""
    at = aesara.tensor
    lower, middle, upper, payoff = (at.dvector(name) for name in ("lower", "middle", "upper", "payoff"))
    edge = at.dscalar("edge")
    none = at.zeros((1,), dtype="float64")
    zero = at.zeros((), dtype="float64")

    def down(right: Any, a: Any, b: Any, c: Any, factor: Any, value: Any) -> list[Any]:
        pivot = 1 - b + a * factor
        return [-c / pivot, (right + a * value) / pivot]

    def up(factor: Any, value: Any, above: Any) -> Any:
        return value - factor * above

    def step(u: Any) -> Any:
        right = (1 + middle) * u + lower * at.concatenate([none, u[:-1]]) + upper * at.concatenate([u[1:], none])
        right = at.inc_subtensor(right[0], edge)
        (factor, value), _ = aesara.scan(down, sequences=[right, lower, middle, upper], outputs_info=[zero, zero])
        solved, _ = aesara.scan(up, sequences=[factor, value], outputs_info=zero, go_backwards=True)
        return at.maximum(solved[::-1], payoff)

    u, updates = aesara.scan(step, outputs_info=payoff, n_steps=steps)
    return aesara.function([lower, middle, upper, payoff, edge], u[-1], updates=updates)
