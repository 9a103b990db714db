"""Populations, states of a particle and a chemical clock, float64."""

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until


def blowflies(aesara: Any, delay: int) -> Any:
    """Squared errors of the logarithms of numbers of blowflies that breed after a delay (Gurney, Blythe and Nisbet
    1980; Wood 2010), and the gradient in births, size and deaths. ``counts``, ``luck`` and ``harm`` have the shape
    ``(time, cage)``."""
    at = aesara.tensor
    counts, luck, harm, start = (at.dmatrix(name) for name in ("counts", "luck", "harm", "start"))
    parameters = births, size, deaths = [at.dscalar(name) for name in ("births", "size", "deaths")]

    def step(luck_t: Any, harm_t: Any, parents: Any, adults: Any) -> Any:
        recruits = births * parents * at.exp(-parents / size) * luck_t
        return recruits + adults * at.exp(-deaths * harm_t)

    flies, updates = aesara.scan(step, sequences=[luck, harm], outputs_info={"initial": start, "taps": [-delay, -1]})
    cost = ((at.log(flies) - at.log(counts)) ** 2).sum()
    outputs = [cost, *aesara.grad(cost, parameters)]
    return aesara.function([counts, luck, harm, start, *parameters], outputs, updates=updates)


def energies(aesara: Any, levels: int, most: int, tolerance: float) -> Any:
    """Lowest energies of a particle in a well, all halved at once until they are sharp, by the number of zeros of the
    wave function that Numerov's recurrence (1924) computes in an inner loop. ``potential`` is at points ``apart``."""
    at = aesara.tensor
    potential, apart, highest = at.dvector("potential"), at.dscalar("apart"), at.dscalar("highest")
    level = at.arange(levels)

    def zeros(energy: Any) -> Any:
        share = apart**2 / 12

        def point(v_2: Any, v_1: Any, v: Any, psi_2: Any, psi_1: Any) -> Any:
            far, near, own = (2 * share * (energy - value) for value in (v_2, v_1, v))
            return (2 * (1 - 5 * near) * psi_1 - (1 + far) * psi_2) / (1 + own)

        start = at.stack([at.zeros_like(energy), at.ones_like(energy) * 1e-9])
        sequences = [potential[:-2], potential[1:-1], potential[2:]]
        psi, _ = aesara.scan(point, sequences=sequences, outputs_info={"initial": start, "taps": [-2, -1]})
        return at.cast(psi[1:] * psi[:-1] < 0, "int32").sum(axis=0)

    def halve(low: Any, high: Any) -> Any:
        middle = (low + high) / 2
        above = zeros(middle) > level
        low, high = at.switch(above, low, middle), at.switch(above, middle, high)
        return [low, high], until(aesara, at.max(high - low) < tolerance)

    bottom = at.min(potential) + at.zeros((levels,), dtype="float64")
    start = [bottom, highest + at.zeros((levels,), dtype="float64")]
    (low, high), updates = aesara.scan(halve, outputs_info=start, n_steps=most)
    return aesara.function([potential, apart, highest], (low[-1] + high[-1]) / 2, updates=updates)


def brusselator(aesara: Any, most: int) -> Any:
    """Concentrations of a chemical clock (Prigogine and Lefever 1968) at the time ``end`` and the number of steps, by a
    Runge-Kutta pair that chooses its steps (Bogacki and Shampine 1989)."""
    at = aesara.tensor
    start, feed, rate = at.dvector("start"), at.dscalar("feed"), at.dscalar("rate")
    end, tolerance = at.dscalar("end"), at.dscalar("tolerance")

    def slope(x: Any) -> Any:
        u, v = x[0], x[1]
        made = u**2 * v
        return at.stack([feed + made - (rate + 1) * u, rate * u - made])

    def step(x: Any, k1: Any, time: Any, size: Any) -> Any:
        h = at.minimum(size, end - time)
        k2 = slope(x + h * k1 / 2)
        k3 = slope(x + 3 * h * k2 / 4)
        new = x + h * (2 * k1 + 3 * k2 + 4 * k3) / 9
        k4 = slope(new)
        error = h * (-5 * k1 / 72 + k2 / 12 + k3 / 9 - k4 / 8)
        wrong = at.sqrt(((error / (tolerance * (1 + abs(x)))) ** 2).mean())
        size = h * at.clip(0.9 * (wrong + 1e-12) ** (-1 / 3), 0.2, 5.0)
        good = wrong <= 1
        x, k1, time = at.switch(good, new, x), at.switch(good, k4, k1), at.switch(good, time + h, time)
        return [x, k1, time, size], until(aesara, time >= end - 1e-9)

    begin = [start, slope(start), at.zeros((), dtype="float64"), at.constant(1e-3, dtype="float64")]
    (x, *_), updates = aesara.scan(step, outputs_info=begin, n_steps=most)
    outputs = [x[-1], at.cast(x.shape[0], "int32")]
    return aesara.function([start, feed, rate, end, tolerance], outputs, updates=updates)
