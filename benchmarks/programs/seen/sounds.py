"""Synthesizers, voices and beats."""

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

GLOTTIS, LIPS, LOSS = 0.75, -0.85, 0.999
FLOOR = 1e-6
TIGHTNESS = 6.0


def ladder_filter(aesara: Any) -> Any:
    """Sound through a ladder of four stages that saturate, whose output comes back with half a sample more of delay, so
    that two of its samples are averaged (Stilson and Smith 1996; Huovilainen 2004). ``opening`` is that of the filter
    at each time. Float64."""
    at = aesara.tensor
    x, opening, resonance = at.dvector("x"), at.dvector("opening"), at.dscalar("resonance")

    def step(x_t: Any, g: Any, y_2: Any, y_1: Any, a: Any, b: Any, c: Any) -> list[Any]:
        drive = at.tanh(x_t - 2 * resonance * (y_1 + y_2))
        a = a + g * (drive - at.tanh(a))
        b = b + g * (at.tanh(a) - at.tanh(b))
        c = c + g * (at.tanh(b) - at.tanh(c))
        y = y_1 + g * (at.tanh(c) - at.tanh(y_1))
        return [y, a, b, c]

    zero = at.constant(0.0, dtype="float64")
    before = {"initial": at.zeros((2,), dtype="float64"), "taps": [-2, -1]}
    (y, *_), updates = aesara.scan(step, sequences=[x, opening], outputs_info=[before, zero, zero, zero])
    return aesara.function([x, opening, resonance], y, updates=updates)


def vocal_tract(aesara: Any) -> Any:
    """Sound at the lips of a tube of sections whose areas change, by waves in both directions that are reflected where
    sections meet (Kelly and Lochbaum 1962). ``area (time, section)``. Float64."""
    at = aesara.tensor
    source, area = at.dvector("source"), at.dmatrix("area")
    reflection = (area[:, :-1] - area[:, 1:]) / (area[:, :-1] + area[:, 1:])

    def step(source_t: Any, k: Any, right: Any, left: Any) -> list[Any]:
        turned = k * (right[:-1] + left[1:])
        first = (GLOTTIS * left[0] + source_t).dimshuffle("x")
        last = (LIPS * right[-1]).dimshuffle("x")
        return [
            LOSS * at.concatenate([first, right[:-1] - turned]),
            LOSS * at.concatenate([left[1:] + turned, last]),
        ]

    zeros = at.zeros_like(area[0])
    (right, _), updates = aesara.scan(step, sequences=[source, reflection], outputs_info=[zeros, zeros])
    return aesara.function([source, area], right[:, -1], updates=updates)


def channel_energies(aesara: Any) -> Any:
    """Squared error of energies of a sound in channels, each divided by a power of its mean so far and compressed
    (Wang, Getreuer, Hughes, Lyon and Saurous 2017), and its gradient in four parameters of each channel. ``energy
    (time, channel)``. Float32."""
    at = aesara.tensor
    energy, target = at.fmatrix("energy"), at.fmatrix("target")
    parameters = speed, gain, bias, power = [at.fvector(name) for name in ("speed", "gain", "bias", "power")]
    s, alpha, delta, r = at.sigmoid(speed), at.sigmoid(gain), at.exp(bias), at.sigmoid(power)

    def step(energy_t: Any, mean: Any) -> list[Any]:
        mean = (1 - s) * mean + s * energy_t
        return [mean, (energy_t / (FLOOR + mean) ** alpha + delta) ** r - delta**r]

    (_, found), updates = aesara.scan(step, sequences=energy, outputs_info=[energy[0], None])
    cost = ((found - target) ** 2).mean()
    slopes = aesara.grad(cost, parameters)
    return aesara.function([energy, target, *parameters], [cost, *slopes], updates=updates)


def beat_tracking(aesara: Any, period: int) -> Any:
    """Scores of beats at each time of a series of onsets, by dynamic programming over the time of the beat before
    (Ellis 2007), the number of beats of the best series and the time of its first, by the way back until its start. A
    beat is half of a period to two periods after the last one. Float64."""
    at = aesara.tensor
    onset = at.dvector("onset")
    most, least = 2 * period, period // 2
    lags = at.arange(most, least - 1, -1, dtype="int32")
    penalty = -TIGHTNESS * at.log(at.cast(lags, "float64") / period) ** 2

    def step(onset_t: Any, t: Any, window: Any) -> list[Any]:
        candidates = window[: most - least + 1] + penalty
        score = onset_t + at.max(candidates)
        last = t - lags[at.argmax(candidates)]
        return [at.concatenate([window[1:], score.dimshuffle("x")]), score, last]

    times = at.arange(onset.shape[0], dtype="int32")
    start = at.zeros((most,), dtype="float64")
    (_, score, last), updates = aesara.scan(step, sequences=[onset, times], outputs_info=[start, None, None])

    def back(t: Any, count: Any) -> Any:
        t = last[t]
        return [t, count + 1], until(aesara, last[t] < 0)

    end = at.cast(onset.shape[0] - period + at.argmax(score[-period:]), "int32")
    (t, count), more = aesara.scan(
        back, outputs_info=[end, at.constant(1, dtype="int32")], n_steps=onset.shape[0] // least
    )
    return aesara.function([onset], [score, count[-1], t[-1]], updates={**updates, **more})
