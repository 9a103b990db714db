"""Networks whose matrices are made of reflections, or change while they run."""

# ruff: noqa: N803, N806 - matrices have the names that the field gives them

from __future__ import annotations

import math
from typing import Any

REST, EXCITED, THRESHOLD, RESET = -70.0, 0.0, -54.0, -60.0
MEMBRANE, SYNAPSE, TRACE = 20.0, 5.0, 20.0
MORE, LESS = 0.005, 0.00525


def reflections(aesara: Any) -> Any:
    """Squared error of a recurrent network at its last step, and its gradient, where states are turned by reflections,
    one after the other, so that they neither grow nor fade (Mhammedi, Hellicar, Rahman and Bailey 2017): a loop with a
    loop. ``x (time, batch, input)``, ``V (reflection, unit)``. Float32."""
    at = aesara.tensor
    x, target = at.ftensor3("x"), at.fmatrix("target")
    weights = W_in, V, b, W_out = [at.fmatrix("W_in"), at.fmatrix("V"), at.fvector("b"), at.fmatrix("W_out")]

    def reflect(v: Any, h: Any) -> Any:
        return h - 2 * at.outer(at.dot(h, v), v) / at.dot(v, v)

    def step(x_t: Any, h: Any) -> Any:
        turned, _ = aesara.scan(reflect, sequences=V, outputs_info=h)
        inner = turned[-1] + at.dot(x_t, W_in) + b
        return at.maximum(inner, 0.5 * inner)

    start = at.zeros((x.shape[1], V.shape[1]), dtype="float32")
    h, updates = aesara.scan(step, sequences=x, outputs_info=start)
    cost = ((at.dot(h[-1], W_out) - target) ** 2).mean()
    return aesara.function([x, target, *weights], [cost, *aesara.grad(cost, weights)], updates=updates)


def plastic_network(aesara: Any) -> Any:
    """Squared error of patterns that a network completes whose connections learn while it runs, each at a strength of
    its own, and its gradient (Miconi, Stanley and Clune 2018). ``x (time, batch, unit)`` are parts that are shown.
    Float32."""
    at = aesara.tensor
    x, target = at.ftensor3("x"), at.fmatrix("target")
    weights = W, strength, rate = at.fmatrix("W"), at.fmatrix("strength"), at.fscalar("rate")

    def step(x_t: Any, y: Any, trace: Any) -> list[Any]:
        matrix = W + strength * trace
        new = at.tanh(at.batched_dot(y, matrix) + x_t)
        trace = (1 - rate) * trace + rate * y.dimshuffle(0, 1, "x") * new.dimshuffle(0, "x", 1)
        return [new, trace]

    batch, units = x.shape[1], x.shape[2]
    start = [at.zeros((batch, units), dtype="float32"), at.zeros((batch, units, units), dtype="float32")]
    (y, _), updates = aesara.scan(step, sequences=x, outputs_info=start)
    cost = ((y[-1] - target) ** 2).mean()
    return aesara.function([x, target, *weights], [cost, *aesara.grad(cost, list(weights))], updates=updates)


def spike_timing(aesara: Any) -> Any:
    """Times at which a neuron fires and its last conductances, which grow where a synapse was active before it and
    shrink where one was after it (Song, Miller and Abbott 2000). ``spikes (time, synapse)`` are 0 or 1 at each
    millisecond. Int8 and float64."""
    at = aesara.tensor
    spikes, conductance, most = at.bmatrix("spikes"), at.dvector("conductance"), at.dscalar("most")

    def step(spike: Any, V: Any, excitation: Any, g: Any, before: Any, after: Any) -> list[Any]:
        spike = at.cast(spike, "float64")
        excitation = excitation * math.exp(-1 / SYNAPSE) + at.dot(spike, g)
        V = V + (REST - V + excitation * (EXCITED - V)) / MEMBRANE
        fired = V > THRESHOLD
        now = at.cast(fired, "float64")
        before = before * math.exp(-1 / TRACE) + MORE * spike
        g = at.clip(g + most * (now * before - after * spike), 0, most)
        after = after * math.exp(-1 / TRACE) + LESS * now
        return [at.switch(fired, RESET, V), excitation, g, before, after, fired]

    def number(value: float) -> Any:
        return at.constant(value, dtype="float64")

    start = [number(REST), number(0.0), conductance, at.zeros_like(conductance), number(0.0), None]
    (_, _, g, _, _, fired), updates = aesara.scan(step, sequences=spikes, outputs_info=start)
    return aesara.function([spikes, conductance, most], [fired, g[-1]], updates=updates)


def principal_stream(aesara: Any) -> Any:
    """Main directions of rows that come one by one, by Hebb's rule without what directions before have in common with a
    row (Sanger 1989), and the mean square of each direction's output. ``W (direction, feature)``. Float32."""
    at = aesara.tensor
    x, W, rate = at.fmatrix("x"), at.fmatrix("W"), at.fscalar("rate")

    def learn(x_t: Any, W: Any) -> list[Any]:
        y = at.dot(W, x_t)
        return [W + rate * (at.outer(y, x_t) - at.dot(at.tril(at.outer(y, y)), W)), y]

    (W_t, y), updates = aesara.scan(learn, sequences=x, outputs_info=[W, None])
    return aesara.function([x, W, rate], [W_t[-1], (y**2).mean(axis=0)], updates=updates)
