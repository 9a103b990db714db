"""Sound and pictures, float64."""

# ruff: noqa: N806 - matrices have the names that the field gives them

from __future__ import annotations

from typing import Any

from benchmarks.programs.applications import until

RESISTANCE, CAPACITANCE, SATURATION, THERMAL, SAMPLING = 2200.0, 1e-8, 2.52e-9, 0.0453, 88_200.0


def reverb(aesara: Any, delays: tuple[int, ...]) -> Any:
    """Squared error of a reverberator, whose delay lines feed each other, to a recorded sound (Jot and Chaigne 1991),
    and its gradient in the matrix ``A`` and in the gains into and out of the lines."""
    at = aesara.tensor
    sound, target = at.dvector("sound"), at.dvector("target")
    weights = A, into, out = at.dmatrix("A"), at.dvector("into"), at.dvector("out")

    def step(sound_t: Any, *late: Any) -> list[Any]:
        late = at.stack(late)
        fed = at.dot(A, late) + into * sound_t
        return [*(fed[k] for k in range(len(delays))), at.dot(out, late)]

    lines = [{"initial": at.zeros((delay,), dtype="float64"), "taps": [-delay]} for delay in delays]
    results, updates = aesara.scan(step, sequences=sound, outputs_info=[*lines, None])
    cost = ((results[-1] - target) ** 2).mean()
    return aesara.function([sound, target, *weights], [cost, *aesara.grad(cost, list(weights))], updates=updates)


def touch_tones(aesara: Any) -> Any:
    """Smoothed power of the eight tones of a telephone's keys in each block of a sound by Goertzel's recurrence (1958),
    a loop over the block's samples, and the keys that it names. ``sound (block, sample)``."""
    at = aesara.tensor
    sound, frequency, keep = at.dmatrix("sound"), at.dvector("frequency"), at.dscalar("keep")
    coefficient = 2 * at.cos(frequency)
    start = at.zeros((2, frequency.shape[0]), dtype="float64")

    def block(samples: Any, power: Any) -> list[Any]:
        def sample(x: Any, s_2: Any, s_1: Any) -> Any:
            return x + coefficient * s_1 - s_2

        s, _ = aesara.scan(sample, sequences=samples, outputs_info={"initial": start, "taps": [-2, -1]})
        found = s[-1] ** 2 + s[-2] ** 2 - coefficient * s[-1] * s[-2]
        power = keep * power + (1 - keep) * found
        key = 4 * at.argmax(power[:4]) + at.argmax(power[4:])
        return [power, at.cast(key, "int32")]

    (power, key), updates = aesara.scan(block, sequences=sound, outputs_info=[at.zeros_like(frequency), None])
    return aesara.function([sound, frequency, keep], [power, key], updates=updates)


def diode_clipper(aesara: Any, most: int, tolerance: float) -> Any:
    """Output of a guitar pedal's two diodes by the trapezoidal rule, with Newton's method at each sample until it rests
    (Yeh, Abel and Smith 2007)."""
    at = aesara.tensor
    sound = at.dvector("sound")
    half = 0.5 / SAMPLING

    def slope(v: Any, sound_t: Any) -> Any:
        through = 2 * SATURATION / CAPACITANCE * at.sinh(v / THERMAL)
        return (sound_t - v) / (RESISTANCE * CAPACITANCE) - through

    def sample(sound_t: Any, v: Any, before: Any) -> list[Any]:
        known = v + half * before

        def newton(guess: Any) -> Any:
            steep = -1 / (RESISTANCE * CAPACITANCE)
            steep = steep - 2 * SATURATION / (CAPACITANCE * THERMAL) * at.cosh(guess / THERMAL)
            change = (guess - half * slope(guess, sound_t) - known) / (1 - half * steep)
            return guess - change, until(aesara, abs(change) < tolerance)

        guesses, _ = aesara.scan(newton, outputs_info=v, n_steps=most)
        return [guesses[-1], slope(guesses[-1], sound_t)]

    zero = at.zeros((), dtype="float64")
    (v, _), updates = aesara.scan(sample, sequences=sound, outputs_info=[zero, zero])
    return aesara.function([sound], v, updates=updates)


def dithering(aesara: Any) -> Any:
    """Black and white dots for a picture in grey, by errors that go to the neighbours on the right and below (Floyd and
    Steinberg 1976): a loop over rows with a loop over the dots of each."""
    at = aesara.tensor
    picture = at.dmatrix("picture")
    zero = at.zeros((1,), dtype="float64")

    def dot(grey: Any, error: Any) -> list[Any]:
        wanted = grey + 7 / 16 * error
        white = wanted > 0.5
        return [wanted - at.cast(white, "float64"), at.cast(white, "int32")]

    def row(greys: Any, from_above: Any) -> list[Any]:
        start = at.zeros((), dtype="float64")
        (error, white), _ = aesara.scan(dot, sequences=greys + from_above, outputs_info=[start, None])
        left, right = at.concatenate([error[1:], zero]), at.concatenate([zero, error[:-1]])
        return [3 / 16 * left + 5 / 16 * error + 1 / 16 * right, white]

    (_, white), updates = aesara.scan(row, sequences=picture, outputs_info=[at.zeros_like(picture[0]), None])
    return aesara.function([picture], white, updates=updates)
